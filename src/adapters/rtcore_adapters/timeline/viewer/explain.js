// An event explained: beside the pointer in short, below the lanes with all that is known of it.

const el = (name, properties = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value; else made.setAttribute(key, value);
  }
  made.append(...children); // texts become text, never markup
  return made;
};

function whenOf(event) {
  const at = clock(event.at - event.recording.zero);
  return event.end === null ? at : `${at} to ${clock(event.end - event.recording.zero)} (${clock(event.end - event.at)})`;
}

function whereOf(event) {
  const { letter } = event.recording;
  return `${letter ? `${letter} · ` : ""}${LANES[event.lane].name}`;
}

/** What is said of an event besides its text: for one of a message, how the message stood at that moment. */
function standing(event, time = event.at) {
  const { recording, item } = event, message = recording.byItem.get(item), { id } = LANES[event.lane];
  if (!["received", "audible", "heard"].includes(id)) return "";
  const heard = message ? `${Math.round(recording.heardOf(message, time))} ms of ${item} were heard` : "";
  const arrived = id === "heard" ? "" : `${recording.receivedOf(item, time)} ms of ${heard ? "it" : item} had arrived`;
  return `At ${clock(time - recording.zero)} ${[heard, arrived].filter(Boolean).join(", ")}.`;
}

/** The first line of its text, where that says more than the label. */
function shortly(event) {
  const [first] = event.text.split("\n");
  return first === event.label || first === event.why ? "" : first;
}

class Tip {
  constructor(root) { this.root = root; }

  /** ``time``: where in it the pointer is, in its recording. */
  show(event, x, y, time) {
    const { root } = this;
    root.replaceChildren(
      el("b", {}, event.label || event.kind),
      el("span", { className: "when" }, `${whereOf(event)}, ${whenOf(event)}`),
      ...[event.end === null ? "" : standing(event, Math.min(Math.max(time, event.at), event.end)), event.why, shortly(event)].filter(Boolean).map((text) => el("span", {}, text)),
    );
    root.hidden = false;
    this.scroll = window.scrollY;
    const box = root.getBoundingClientRect(), wide = document.documentElement.clientWidth;
    const left = Math.max(8, Math.min(x + 14, wide - box.width - 8));
    const top = y + 18 + box.height > window.innerHeight ? y - box.height - 12 : y + 18;
    root.style.transform = `translate(${left}px, ${Math.max(8, top)}px)`;
  }

  /** A browser scrolls a little by itself where something above grows; whoever scrolls goes away from what is explained. */
  scrolled() { if (Math.abs(window.scrollY - this.scroll) > 80) this.hide(); }

  hide() { this.root.hidden = true; }
}

class Detail {
  constructor(root, actions) {
    this.root = root;
    this.actions = actions;
  }

  show(event) {
    const extra = standing(event);
    this.root.replaceChildren(
      el("h3", {}, event.label || event.kind),
      el("p", { className: "when" }, `${whereOf(event)} · ${whenOf(event)} · `, el("code", {}, event.kind)),
      ...(event.why ? [el("p", {}, event.why)] : []),
      ...(extra ? [el("p", {}, extra)] : []),
      ...(event.text ? [el("pre", { tabIndex: 0, "aria-label": "All of it" }, event.text)] : []),
      el("p", { className: "actions" }, ...this.actions.map(([name, act]) => el("button", { type: "button", onclick: () => act(event) }, name))),
    );
  }
}
