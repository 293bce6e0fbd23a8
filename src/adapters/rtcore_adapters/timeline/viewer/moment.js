// What is so at the cursor: what is audible, how much of it, the words so far, and what was last said to whom.

class Moment {
  constructor(root, recording) {
    this.recording = recording;
    const value = (name) => {
      const dd = el("dd");
      this.list.append(el("div", {}, el("dt", {}, name), dd));
      return dd;
    };
    this.title = el("h3");
    this.time = el("b", { className: "time" });
    this.words = el("p", { className: "words" });
    this.list = el("dl");
    root.append(el("div", { className: "moment" }, el("div", { className: "head" }, this.title, this.time), this.words, this.list));
    this.title.textContent = recording.letter ? `${recording.letter} · ${recording.name}` : "At the cursor";
    this.audible = value("audible");
    this.heard = value("heard");
    this.received = value("received");
    this.user = value("user");
    this.client = value("last client message");
    this.server = value("last server event");
    this.cut = value("last cut");
  }

  /** Gives the moment in one line. */
  show(time) {
    const now = this.recording.moment(time), { message } = now;
    const outside = time < 0 ? "before it began" : time > this.recording.length ? "after it ended" : "";
    this.time.textContent = outside || clock(time);
    const ago = (event) => (event ? [event.label, el("small", {}, `${clock(time - event.at)} ago`)] : ["none yet"]);
    this.audible.textContent = sounding(now, this.recording);
    const [heard, verdict] = heardOf(now);
    this.heard.replaceChildren(heard, ...(verdict ? [el("small", {}, verdict)] : []));
    this.received.textContent = message ? `${now.received} ms` : "nothing yet";
    this.user.textContent = now.speaks ? "speaks" : "silent";
    this.client.replaceChildren(...ago(now.client));
    this.server.replaceChildren(...ago(now.server));
    this.cut.replaceChildren(...(now.cut ? [`at ${clock(now.cut.at)}`, el("small", {}, `${clock(time - now.cut.at)} ago`)] : ["none yet"]));
    const never = now.over && message?.verdict !== "open";
    this.words.replaceChildren(
      el("span", { className: "said" }, now.words),
      el(never ? "s" : "span", { className: "rest", title: never ? "never heard" : "not heard yet" }, now.rest),
    );
    if (!now.words && !now.rest) this.words.replaceChildren(el("span", { className: "rest" }, message ? "No words." : "Nothing was heard yet."));
    for (const value of this.list.querySelectorAll("dd")) value.title = value.textContent;
    return `${clock(time)}: ${sounding(now, this.recording)}, heard ${[heard, verdict].filter(Boolean).join(", ")}${now.words ? `: ${now.words}` : ""}`;
  }
}

/** Messages are counted, because their ids are long; the lanes have the ids. */
function sounding({ message, over, sounds }, recording) {
  if (!message || over) return "silence";
  return `message ${recording.spoken.indexOf(message) + 1}${sounds ? "" : ", silent just now"}`;
}

/** How much was heard of it, and the verdict once there is one. */
function heardOf({ message, over, heard }) {
  if (!message) return ["nothing yet"];
  if (!over) return [`${heard} ms`];
  return [`${heard}${message.received ? ` of ${message.received}` : ""} ms`, message.verdict];
}
