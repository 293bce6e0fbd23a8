// Colours are those of the style sheet, so that light and dark are decided in one place.

const NAMES = ["ink", "soft", "line", "paper", "shade", "user", "told", "full", "partial", "skipped", "text", "cut", "m1", "m2", "m3", "m4"];
const C = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of NAMES) C[name] = style.getPropertyValue(`--${name}`).trim();
}

/** The colour of an event: by its verdict, by what it is, or plain. */
function toneOf(event) {
  if (event.tone.includes("cut")) return C.cut;
  if (event.tone === "speech") return C.user;
  if (event.tone === "open") return C.text;
  if (C[event.tone]) return C[event.tone];
  return { client: C.told, received: itemColour(event), heard: C.full }[LANES[event.lane].id] ?? C.soft;
}

/** Items in turn, so that neighbours differ. */
function itemColour(event) {
  const items = event.recording.itemOrder ??= new Map([...event.recording.received.keys()].map((item, index) => [item, index]));
  return C[`m${((items.get(event.item) ?? 0) % 4) + 1}`];
}
