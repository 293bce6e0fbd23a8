// The page: what stands where, and who tells whom.

const $ = (id) => document.getElementById(id);
const recordings = DATA.recordings.map((raw, index) => new Recording(raw, index, DATA.recordings.length));
const view = new Window(recordings);
const rows = []; // { canvas, recording, lane }
let chosen = null, playing = null, waiting = false;

// -- the lanes ------------------------------------------------------------------------------------------------------------------

const axis = $("axis"), lanes = $("lanes"), line = $("cursor");

function row(recording, lane, parent) {
  const { all } = recording.lanes[lane.index];
  const canvas = el("canvas", { role: "img", className: "lane" });
  const cuts = lane.id === "audible" ? verdicts(recording) : "";
  canvas.setAttribute("aria-label", `${lane.name}${recording.letter && ` of ${recording.letter}`}: ${lane.hint}. ${all.length} events${cuts}.`);
  canvas.style.height = `${laneHeight(lane, recording.lanes[lane.index])}px`;
  const empty = all.length ? "" : "none";
  parent.append(el("div", { className: `row ${lane.id} ${empty}` }, el("div", { className: "name", title: lane.hint }, el("b", {}, lane.name), el("small", {}, lane.hint)), canvas));
  rows.push({ canvas, recording, lane });
}

function verdicts(recording) {
  const counts = {};
  for (const { verdict } of recording.messages) counts[verdict] = (counts[verdict] ?? 0) + 1;
  return Object.entries(counts).map(([verdict, count]) => `, ${count} ${verdict}`).join("");
}

for (const recording of recordings) {
  const group = el("section", { className: "recording" });
  if (recording.letter) group.append(el("h2", {}, `${recording.letter} · ${recording.name}`));
  group.setAttribute("aria-label", recording.letter ? `Recording ${recording.letter}` : "Lanes");
  for (const lane of LANES) row(recording, lane, group);
  lanes.append(group);
}

function drawAxis() {
  const { paint, width, height } = prepared(axis);
  const scale = width / view.wide, step = gridStep(scale);
  paint.fillStyle = C.soft;
  const digits = Math.max(0, Math.min(2, -Math.floor(Math.log10(step))));
  for (let count = Math.ceil(view.from / step); count * step <= view.to; count++) {
    const at = count * step, left = Math.round((at - view.from) * scale);
    paint.fillRect(left, height - 6, 1, 6);
    if (left < width - 30) paint.fillText(clock(at, digits), left + 4, height / 2);
  }
}

function draw() {
  waiting = false;
  strip.draw();
  drawAxis();
  for (const { canvas, recording, lane } of rows) paintLane(canvas, recording, lane, view, chosen);
  const left = axis.offsetLeft + ((view.cursor - view.from) / view.wide) * axis.clientWidth;
  Object.assign(lanes.dataset, { from: view.from.toFixed(4), to: view.to.toFixed(4), cursor: view.cursor.toFixed(4) });
  line.hidden = view.cursor < view.from || view.cursor > view.to;
  line.style.transform = `translateX(${left}px)`;
}

function changed() {
  if (!waiting) { waiting = true; requestAnimationFrame(draw); }
  strip.say(moments.map((moment) => moment.show(view.cursor + moment.recording.zero)).join(" "));
  $("range").textContent = `${clock(Math.min(view.wide, view.last - view.first), 1)} of ${clock(view.last - view.first, 1)} seen`;
}

// -- choosing -------------------------------------------------------------------------------------------------------------------

/** Everybody is told of the chosen event; the cursor goes where it is. */
function choose(event, { fromList = false } = {}) {
  chosen = event;
  detail.show(event);
  if (!fromList) list.select(event);
  view.moveTo(event.at - event.recording.zero);
}

/** The next or previous event of those in the list. */
function step(by) {
  const times = list.shown, at = view.cursor;
  let index = chosen ? times.indexOf(chosen) : -1;
  if (index < 0) index = countUntil(times, at, (event) => event.at - event.recording.zero) - (by > 0 ? 1 : 0);
  const event = times[Math.min(Math.max(index + by, 0), times.length - 1)];
  if (event) choose(event);
}

/** From cut to cut: what most people come for. */
function cut(by) {
  const times = recordings.flatMap((each) => each.lane("cuts").marks.filter((event) => event.kind === "Flush"));
  times.sort((one, other) => one.at - one.recording.zero - other.at + other.recording.zero);
  const far = (event) => (event.at - event.recording.zero - view.cursor) * by;
  const found = (by > 0 ? times : times.reverse()).find((event) => far(event) > 1e-4);
  if (found) choose(found);
}

function closer(event) {
  const at = event.at - event.recording.zero, long = event.end === null ? 2 : Math.max(event.end - event.at, 0.2);
  view.set(at - long * 0.5, at + long * 1.5);
}

const actions = [["Show it closer", closer]];
if (recordings.length > 1) {
  actions.push(["Align here", (event) => {
    $("align").value = "chosen";
    align(recordings.map((each) => (each === event.recording ? event.at : each.chosenZero ?? each.zero)));
    event.recording.chosenZero = event.at;
    $("said").textContent = `${event.recording.letter} is aligned at ${event.label}.`;
  }]);
}

function align(zeros) {
  view.align(zeros);
  list.filter();
}

// -- the rest -------------------------------------------------------------------------------------------------------------------

readColours();
const tip = new Tip($("tip")), detail = new Detail($("detail"), actions);
const moments = recordings.map((recording) => new Moment($("moments"), recording));
const strip = new Strip($("strip"), view, recordings, (time) => { stop(); view.moveTo(time); });
const list = new List($("list"), recordings, { lanes: $("only"), words: $("find"), count: $("count") }, (event) => choose(event, { fromList: true }));
view.changed = changed;

pointers(lanes, view, {
  left: () => axis.getBoundingClientRect().left,
  width: () => axis.clientWidth,
  point(event) {
    const found = event && under(event, 7);
    if (found) explain(found, event); else tip.hide();
  },
  tap(event, time) {
    stop();
    const found = under(event, event.pointerType === "touch" ? 18 : 7);
    if (!found) { view.moveTo(time); return; }
    choose(found);
    // A finger cannot rest above an event; what explains it may be far below on a phone.
    if (event.pointerType === "touch") explain(found, event);
  },
});

function explain(found, { clientX, clientY }) {
  const time = view.from + ((clientX - axis.getBoundingClientRect().left) / axis.clientWidth) * view.wide;
  tip.show(found, clientX, clientY, time + found.recording.zero);
}

/** The event at a pointer; a captured pointer's target is not what lies under it. */
function under(event, reach) {
  const canvas = document.elementsFromPoint(event.clientX, event.clientY).find((each) => each.classList.contains("lane"));
  const found = rows.find((each) => each.canvas === canvas);
  if (!found) return null;
  const box = canvas.getBoundingClientRect();
  return hit(canvas, found.recording, found.lane, view, event.clientX - box.left, event.clientY - box.top, reach);
}

document.addEventListener("pointerdown", () => tip.hide(), { capture: true });
document.addEventListener("scroll", () => tip.scrolled(), { passive: true });

axis.addEventListener("pointerdown", (event) => { axis.setPointerCapture(event.pointerId); scrub(event); });
axis.addEventListener("pointermove", (event) => { if (axis.hasPointerCapture(event.pointerId)) scrub(event); });
function scrub(event) {
  stop();
  view.cursor = Math.min(Math.max(view.from + (event.offsetX / axis.clientWidth) * view.wide, view.first), view.last);
  changed();
}

function play() {
  if (playing) { stop(); return; }
  if (view.cursor >= view.last) view.moveTo(view.first);
  playing = { frame: 0, last: null };
  const tick = (now) => {
    if (playing.last !== null) view.moveTo(view.cursor + (now - playing.last) / 1000);
    playing.last = now;
    if (view.cursor >= view.last) stop(); else playing.frame = requestAnimationFrame(tick);
  };
  playing.frame = requestAnimationFrame(tick);
  $("play").textContent = "Pause";
}

function stop() {
  if (!playing) return;
  cancelAnimationFrame(playing.frame);
  playing = null;
  $("play").textContent = "Play";
}

const buttons = {
  play, all: () => view.all(), in: () => view.zoom(1 / 1.6), out: () => view.zoom(1.6), before: () => cut(-1), after: () => cut(1),
};
for (const [id, act] of Object.entries(buttons)) $(id).addEventListener("click", act);
keys(lanes, {
  "+": buttons.in, "=": buttons.in, "-": buttons.out, _: buttons.out, 0: buttons.all, " ": play,
  n: () => step(1), p: () => step(-1), c: () => cut(1), C: () => cut(-1), Escape: () => tip.hide(),
}, {
  ArrowLeft: () => view.pan(-view.wide / 8), ArrowRight: () => view.pan(view.wide / 8),
  ShiftArrowLeft: () => view.moveTo(view.cursor - view.wide / 100), ShiftArrowRight: () => view.moveTo(view.cursor + view.wide / 100),
  ArrowUp: () => step(-1), ArrowDown: () => step(1), PageUp: () => view.pan(-view.wide), PageDown: () => view.pan(view.wide),
  Home: () => view.set(view.first - view.edge, view.first - view.edge + view.wide),
  End: () => view.set(view.last + view.edge - view.wide, view.last + view.edge),
  Enter: () => { if (chosen) closer(chosen); },
});

$("meeting").hidden = recordings.length < 2;
$("align").addEventListener("change", ({ target }) => {
  if (MEETINGS[target.value]) align(recordings.map(MEETINGS[target.value]));
  else align(recordings.map((each) => each.chosenZero ?? each.zero));
});

for (const query of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"]) {
  window.matchMedia(query).addEventListener("change", () => { readColours(); list.draw(); changed(); });
}
new ResizeObserver(() => changed()).observe(lanes);

/** How much a cut message shows: words on both sides of the cut. */
function telling({ text, full }) { return Math.min(text.trim().length, full.length - text.length); }

/** It opens where a message was cut in the middle, because that is what one wants to see; without a cut, at the first sound. */
function open() {
  if (recordings.length > 1) { $("align").value = DATA.align; view.align(recordings.map(MEETINGS[DATA.align])); }
  const [first] = recordings;
  const cuts = first.spoken.filter((message) => message.verdict === "partial").sort((one, other) => telling(other) - telling(one));
  const shown = cuts[0] ?? first.spoken[0];
  const at = shown ? first.end(shown) - first.zero + 0.1 : view.first; // when the server has been told
  const wide = Math.max(6, axis.clientWidth / 60); // so that words find room
  view.all();
  const from = at - wide * 0.6;
  if (view.wide > wide * 1.5) view.set(from < view.first + wide * 0.2 ? view.first - view.edge : from, from + wide);
  view.moveTo(at);
}

document.documentElement.classList.add("ready");
$("viewer").hidden = false;
open();
