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
    const ago = (event) => (event ? `${event.label}, ${clock(time - event.at)} ago` : "none yet");
    this.audible.textContent = heardWords(now);
    this.received.textContent = message ? `${now.received} ms of ${message.item}` : "nothing yet";
    this.user.textContent = now.speaks ? "speaks" : "silent";
    this.client.textContent = ago(now.client);
    this.server.textContent = ago(now.server);
    this.cut.textContent = now.cut ? `${clock(time - now.cut.at)} ago` : "none yet";
    const never = now.over && message?.verdict !== "open";
    this.words.replaceChildren(
      el("span", { className: "said" }, now.words),
      el(never ? "s" : "span", { className: "rest", title: never ? "never heard" : "not heard yet" }, now.rest),
    );
    if (!now.words && !now.rest) this.words.replaceChildren(el("span", { className: "rest" }, message ? "No words." : "Nothing was heard yet."));
    return `${clock(time)}: ${heardWords(now)}${now.words ? `. Heard: ${now.words}` : ""}`;
  }
}

function heardWords({ message, over, sounds, heard }) {
  if (!message) return "nothing yet";
  if (!over) return `${heard} ms of ${message.item}${sounds ? "" : ", silent just now"}`;
  const whole = message.received ? ` of ${message.received}` : "";
  return `silence; of ${message.item} ${heard}${whole} ms were heard (${message.verdict})`;
}
