// Lanes on canvases. Only what is seen is drawn, and of what falls on one pixel only one, so an hour costs what a minute does.

const ROW = 17, BAR = 19, PAD = 5, TICK = 5;
const FONT = '12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif';
const widths = new Map();

/** How a lane is built: rows of labelled moments, and what else it holds. */
const SHAPES = {
  user: { marks: 1, strip: true }, program: { marks: 1 }, client: { marks: 2 }, server: { marks: 2 },
  received: { curve: 46, marks: 0 }, audible: { curve: 52, marks: 1, strip: true }, heard: { text: 58, marks: 0 },
  cuts: { marks: 2 }, notices: { marks: 2 },
};

function laneHeight(lane, content) {
  const shape = SHAPES[lane.id];
  if (!content.all.length && !(lane.id === "user")) return 24;
  const bars = shape.curve ?? shape.text ?? (content.bars.length ? content.rows * (BAR + 2) : 0);
  return 2 * PAD + bars + (content.marks.length && shape.marks ? shape.marks * ROW + TICK : 0) + (shape.strip ? 6 : 0);
}

function textWidth(paint, text) {
  let width = widths.get(text);
  if (width === undefined) {
    if (widths.size > 20_000) widths.clear();
    widths.set(text, width = paint.measureText(text).width);
  }
  return width;
}

/** The text, or as much of it as fits. */
function fitted(paint, text, room) {
  if (textWidth(paint, text) <= room) return text;
  const letters = [...text];
  let low = 0, high = letters.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (paint.measureText(letters.slice(0, middle).join("") + "…").width <= room) low = middle; else high = middle - 1;
  }
  return low > 1 ? letters.slice(0, low).join("") + "…" : "";
}

/** In which row each moment's label has room at this scale, -1: none. Kept for a few scales, because panning changes nothing. */
function rowsAt(paint, content, scale, count) {
  const key = `${scale} ${count}`;
  let rows = content.layouts.get(key);
  if (!rows) {
    if (content.layouts.size > 3) content.layouts.clear();
    const ends = new Array(count).fill(-Infinity);
    rows = new Int8Array(content.marks.length);
    content.marks.forEach((event, index) => {
      const x = event.at * scale;
      const row = ends.findIndex((end) => end <= x);
      rows[index] = row;
      if (row >= 0) ends[row] = x + 14 + textWidth(paint, event.label);
    });
    content.layouts.set(key, rows);
  }
  return rows;
}

/** One lane of one recording. ``x`` turns its time into a pixel. */
function paintLane(canvas, recording, lane, view, chosen) {
  const { paint, width, height } = prepared(canvas);
  const content = recording.lanes[lane.index], shape = SHAPES[lane.id];
  const scale = width / view.wide;
  const x = (time) => (time - recording.zero - view.from) * scale;
  const scene = { paint, width, height, recording, content, scale, x, chosen, from: view.from + recording.zero, to: view.to + recording.zero };
  grid(scene, view);
  let top = PAD;
  if (lane.id === "received") { received(scene, top, shape.curve); top += shape.curve; }
  else if (lane.id === "audible") { audible(scene, top, shape.curve); top += shape.curve; }
  else if (lane.id === "heard") { heard(scene, top, shape.text); top += shape.text; }
  else if (content.bars.length) { bars(scene, top); top += content.rows * (BAR + 2); }
  if (content.marks.length && shape.marks) { marks(scene, top, shape.marks); top += shape.marks * ROW + TICK; }
  if (shape.strip) stretches(scene, lane.id === "user" ? recording.microphone : recording.sounding, top, lane.id === "user" ? C.user : C.full);
}

function prepared(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const paint = canvas.getContext("2d");
  paint.setTransform(ratio, 0, 0, ratio, 0, 0);
  paint.clearRect(0, 0, width, height);
  paint.font = FONT;
  paint.textBaseline = "middle";
  return { paint, width, height };
}

/** Seconds between two lines of the grid, so that they are about 90 pixels apart. */
function gridStep(scale) {
  const steps = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 36_000];
  return steps.find((step) => step * scale >= 90) ?? 86_400;
}

function grid({ paint, width, height, recording, scale, x, from, to }, view) {
  const step = gridStep(scale);
  paint.fillStyle = C.line;
  for (let time = Math.ceil(view.from / step) * step; time <= view.to; time += step) paint.fillRect(Math.round((time - view.from) * scale), 0, 1, height);
  // Cuts go through all lanes.
  const cuts = recording.cutTimes ??= recording.lane("cuts").marks.filter((event) => event.kind === "Flush").map(AT);
  paint.fillStyle = C.cut;
  paint.globalAlpha = 0.55;
  let last = -Infinity;
  const first = countUntil(cuts, from, Number), crowded = (countUntil(cuts, to, Number) - first) * 14 > width;
  for (let index = first; !crowded && index < cuts.length && cuts[index] < to; index++) {
    const at = Math.round(x(cuts[index]));
    if (at > last) for (let y = 0; y < height; y += 6) paint.fillRect(at, y, 1, 3);
    last = at;
  }
  paint.globalAlpha = 1;
  // Where the recording begins and ends.
  paint.fillStyle = C.shade;
  const begin = x(0), end = x(recording.length);
  if (begin > 0) paint.fillRect(0, 0, Math.min(begin, width), height);
  if (end < width) paint.fillRect(Math.max(end, 0), 0, width, height);
}

function ring(paint, left, top, wide, high) {
  paint.strokeStyle = C.ink;
  paint.lineWidth = 2;
  paint.strokeRect(left - 1.5, top - 1.5, Math.max(wide, 2) + 3, high + 3);
}

/** A text on a ground of its own, so that no line goes through it. */
function labelled(paint, text, left, middle, colour) {
  paint.globalAlpha = 0.82;
  paint.fillStyle = C.paper;
  paint.fillRect(left - 2, middle - 7, textWidth(paint, text) + 4, 14);
  paint.globalAlpha = 1;
  paint.fillStyle = colour;
  paint.fillText(text, left, middle + 0.5);
}

function marks({ paint, content, scale, x, chosen, from, to }, top, count) {
  const rows = rowsAt(paint, content, scale, count), list = content.marks;
  let last = -Infinity;
  for (let index = countUntil(list, from - 420 / scale, AT); index < list.length && list[index].at <= to; index++) {
    const event = list[index], left = x(event.at), row = rows[index];
    if (row >= 0) {
      paint.fillStyle = toneOf(event);
      paint.fillRect(Math.round(left) - 1, top + row * ROW + 2, 3, ROW - 4);
      labelled(paint, event.label, left + 5, top + row * ROW + ROW / 2, event.tone.includes("cut") ? C.cut : C.ink);
    } else if (left >= last + 1.5) {
      paint.fillStyle = toneOf(event);
      paint.fillRect(Math.round(left) - 1, top + count * ROW, 2, TICK);
      last = left;
    }
    if (event === chosen) ring(paint, left - 1, top + Math.max(row, 0) * ROW + 2, row >= 0 ? 8 + textWidth(paint, event.label) : 2, ROW - 4);
  }
}

function bars({ paint, width, content, x, chosen, from, to }, top) {
  const last = new Array(content.rows).fill(-Infinity);
  for (const bar of barsWithin(content, from, to)) {
    const left = x(bar.at), right = Math.max(x(bar.end), left + 2), y = top + bar.row * (BAR + 2);
    if (right < last[bar.row] + 1) continue;
    last[bar.row] = right;
    block(paint, left, right, y, BAR, toneOf(bar), width);
    const start = Math.max(left, 0) + 6, room = Math.min(right, width) - start - 4;
    const label = room > 60 || textWidth(paint, bar.label) <= room ? fitted(paint, bar.label, room) : "";
    paint.fillStyle = C.ink;
    if (label) paint.fillText(label, start, y + BAR / 2 + 0.5);
    if (bar === chosen) ring(paint, left, y, right - left, BAR);
  }
}

function block(paint, left, right, top, high, colour, width) {
  const from = Math.max(left, -4), to = Math.min(right, width + 4);
  paint.globalAlpha = 0.2;
  paint.fillStyle = colour;
  paint.fillRect(from, top, to - from, high);
  paint.globalAlpha = 1;
  paint.fillRect(left, top, 3, high);
}

/** Thin stretches: where sound was sent, or heard. */
function stretches({ paint, x, from, to }, spans, top, colour) {
  paint.fillStyle = colour;
  let last = -Infinity;
  for (const [begin, end] of within(spans, from, to)) {
    const left = x(begin), right = Math.max(x(end), left + 1);
    if (right >= last + 0.5) paint.fillRect(left, top + 2, right - left, 3);
    last = right;
  }
}

/** The area below a line of [time, ms] points, between two times. */
function area({ paint, x, width }, points, begin, end, most, top, high, colour, alpha) {
  const y = (ms) => top + high - (high * Math.min(ms, most)) / most;
  const left = Math.max(x(begin), -10), right = Math.min(x(end), width + 10);
  if (right <= left) return;
  const back = (pixel) => begin + ((pixel - x(begin)) * (end - begin)) / (x(end) - x(begin));
  const from = back(left), to = back(right);
  paint.beginPath();
  paint.moveTo(left, top + high);
  paint.lineTo(left, y(valueAt(points, from)));
  let last = left;
  for (let index = countUntil(points, from, FIRST); index < points.length && points[index][0] < to; index++) {
    const pixel = x(points[index][0]);
    if (pixel - last >= 0.5 || index + 1 === points.length) paint.lineTo(pixel, y(points[index][1]));
    last = pixel;
  }
  paint.lineTo(right, y(valueAt(points, to)));
  paint.lineTo(right, top + high);
  paint.closePath();
  paint.globalAlpha = alpha;
  paint.fillStyle = colour;
  paint.fill();
  paint.globalAlpha = 1;
  paint.strokeStyle = colour;
  paint.lineWidth = 1.5;
  paint.lineJoin = "round";
  paint.stroke();
}

function received(scene, top, high) {
  const { paint, content, recording, x, chosen, from, to, scale } = scene;
  const labels = [];
  for (const bar of barsWithin(content, from - 200 / scale, to)) {
    const points = recording.received.get(bar.item), left = x(bar.at), right = Math.max(x(bar.end), left + 2);
    const colour = toneOf(bar);
    if (right - left < 3) {
      const tall = Math.max(3, (high * points.at(-1)[1]) / recording.most);
      paint.fillStyle = colour;
      paint.fillRect(left, top + high - tall, 3, tall);
    } else area(scene, [[bar.at - 1e-6, 0], ...points], bar.at, bar.end, recording.most, top, high, colour, 0.3);
    labels.push([right + 5, bar.label]);
    if (bar === chosen) ring(paint, left, top, right - left, high);
  }
  let free = -Infinity;
  for (const [left, label] of labels) {
    if (left < free || left > scene.width) continue;
    labelled(paint, label, left, top + high - 8, C.ink);
    free = left + 7 + textWidth(paint, label);
  }
}
