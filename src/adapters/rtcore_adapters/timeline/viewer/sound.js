// The two lanes that say what reached the ear: how much of each message, and which words.

const LINE = 15;

/** A wedge for each message: behind it what had arrived, on it what was heard. Where the two part is what nobody heard. */
function audible(scene, top, high) {
  const { paint, content, recording, x, chosen, from, to, width } = scene;
  for (const bar of barsWithin(content, from, to)) {
    const message = recording.byItem.get(bar.item);
    const left = x(bar.at), right = Math.max(x(bar.end), left + 2), colour = toneOf(bar);
    const most = Math.max(message.received, message.heard, ...(recording.received.get(bar.item) ?? []).slice(-1).map((point) => point[1]), 1);
    block(paint, left, right, top, high, C.soft, width);
    if (right - left > 4) {
      const points = wedge(recording, message);
      area(scene, points, bar.at, bar.end, most, top, high, colour, 0.42);
    } else {
      paint.fillStyle = colour;
      paint.fillRect(left, top, right - left, high);
    }
    const start = Math.max(left, 0) + 7, room = Math.min(right, width) - start - 4;
    const whole = message.received || Math.round(most);
    const label = [bar.label, `${message.heard} / ${whole} ms`, `${message.heard} / ${whole}`].find((text) => textWidth(paint, text) <= room);
    paint.fillStyle = C.ink;
    if (label) paint.fillText(label, start, top + 10);
    if (bar === chosen) ring(paint, left, top, right - left, high);
  }
}

/** Points of what was heard of a message; kept with it. */
function wedge(recording, message) {
  if (!message.wedge) {
    const begin = message.begin, end = recording.end(message), list = recording.heard;
    const times = [begin];
    for (let index = countUntil(list, begin, FIRST); index < list.length && list[index][0] < end; index++) times.push(list[index][0]);
    const last = message.end === null ? recording.heardOf(message, end) : message.heard;
    message.wedge = [...times.map((time) => [time, recording.heardOf(message, time)]), [end, last]];
  }
  return message.wedge;
}

/** Each word where it was heard, if there is room; else the message's words, wrapped into the time that it took. */
function heard(scene, top, high) {
  const { paint, recording, x, from, to, width, scale, chosen } = scene;
  const list = recording.spoken;
  const first = Math.max(0, countUntil(list, from, (message) => message.begin) - 2);
  for (let index = first; index < list.length && list[index].begin < to; index++) {
    const message = list[index];
    const left = x(message.begin), right = x(recording.end(message)), next = index + 1 < list.length ? x(list[index + 1].begin) - 8 : width;
    const { words, rest } = recording.wordsOf(message, recording.length);
    const pieces = [[words.trim(), false], [rest.trim(), true]].filter(([text]) => text);
    ticks(scene, message, top + high - 3);
    if (next < 0 || next - left < 14 || right - left < 8) continue;
    const places = message.words.length ? spaced(paint, message, scale) : null;
    if (!places) { wrapped(paint, pieces, Math.max(left, 2), Math.min(next, width), top, high); continue; }
    apart(scene, message, places, next, top + LINE / 2);
    const begin = Math.max(right, 2);
    if (rest.trim() && next > begin) wrapped(paint, [[rest.trim(), true]], begin + 4, Math.min(next, width), top + LINE + 2, high - LINE - 2);
  }
  if (chosen && LANES[chosen.lane].id === "heard" && chosen.recording === recording) ring(paint, x(chosen.at) - 1, top, 4, high);
}

function ticks({ paint, x, from, to }, message, top) {
  paint.fillStyle = C.full;
  let last = -Infinity;
  for (let index = countUntil(message.words, from, AT); index < message.words.length && message.words[index].at < to; index++) {
    const left = x(message.words[index].at);
    if (left >= last + 1.5) { paint.fillRect(left - 1, top, 2, 5); last = left; }
  }
}

/** How far each word must give way to the one before it, if all can stand about where they were heard; else null. */
function spaced(paint, message, scale) {
  const places = [];
  let free = -Infinity;
  for (const word of message.words) {
    const left = word.at * scale, push = Math.max(0, free - left);
    if (push > 40) return null;
    places.push(push);
    free = left + push + textWidth(paint, word.label) + 5;
  }
  return places;
}

function apart({ paint, x, from, to }, message, places, next, middle) {
  message.words.forEach((word, index) => {
    if (word.at < from - 5 || word.at > to) return;
    const left = x(word.at) + places[index], label = fitted(paint, word.label, next - left);
    if (label) labelled(paint, label, left, middle, C.ink);
  });
}

/** Words in lines between two pixels; those never heard are soft and struck out. */
function wrapped(paint, pieces, left, right, top, high) {
  const lines = Math.floor((high - 4) / LINE), space = textWidth(paint, " ");
  let at = left, line = 0;
  for (const [text, never] of pieces) {
    for (const word of text.split(/\s+/)) {
      let shown = word;
      if (at > left && at + textWidth(paint, shown) > right) { line += 1; at = left; }
      if (line >= lines) return;
      if (at + textWidth(paint, shown) > right) shown = fitted(paint, shown, right - at);
      const middle = top + line * LINE + LINE / 2;
      if (never) struck(paint, shown, at, middle);
      else { paint.fillStyle = C.ink; paint.fillText(shown, at, middle + 0.5); }
      at += textWidth(paint, shown) + space;
    }
  }
}

function struck(paint, text, left, middle) {
  paint.fillStyle = C.soft;
  paint.fillText(text, left, middle + 0.5);
  paint.fillRect(left, middle, textWidth(paint, text), 1);
}
