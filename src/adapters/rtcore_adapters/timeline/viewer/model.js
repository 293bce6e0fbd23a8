// The data: recordings, their events by lane, and what was so at a moment. Times are seconds from a recording's beginning.

const DATA = JSON.parse(document.getElementById("data").textContent);
const LANES = DATA.lanes.map(([id, name, hint], index) => ({ id, name, hint, index }));

/** How many of a sorted list come at or before the time. */
function countUntil(list, time, of) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (of(list[middle]) <= time) low = middle + 1; else high = middle;
  }
  return low;
}

const AT = (each) => each.at;
const FIRST = (each) => each[0];

/** A line of [time, value] points, read between them; flat before the first and behind the last. */
function valueAt(points, time) {
  const after = countUntil(points, time, FIRST);
  if (after === 0) return points.length ? points[0][1] : 0;
  const [x, y] = points[after - 1];
  if (after === points.length) return y;
  const [nextX, nextY] = points[after];
  return nextX > x ? y + ((nextY - y) * (time - x)) / (nextX - x) : y;
}

/** The stretches that touch a range; they are sorted and apart. */
function* within(spans, from, to) {
  for (let index = countUntil(spans, from, (span) => span[1]); index < spans.length && spans[index][0] < to; index++) yield spans[index];
}

class Recording {
  constructor(raw, index, count) {
    this.name = raw.name;
    this.facts = raw.facts;
    this.letter = count > 1 ? "AB"[index] : "";
    this.length = raw.length;
    this.zero = 0; // the moment that lies at 0 on the axis
    this.heard = raw.heard;
    this.sounding = raw.sounding;
    this.microphone = raw.microphone;
    this.received = new Map(raw.received.map(([item, points]) => [raw.items[item], points]));
    this.messages = raw.messages.map(([item, begin, end, verdict, heard, received, text, full]) => (
      { item: raw.items[item], begin, end, verdict, heard, received, text, full, words: [] }
    ));
    this.byItem = new Map(this.messages.map((message) => [message.item, message]));
    this.spoken = this.messages.filter((message) => message.begin !== null).sort((one, other) => one.begin - other.begin);
    this.events = raw.events.map(([at, end, lane, kind, label, text, tone, item]) => (
      { recording: this, at, end, lane, kind: DATA.kinds[kind], why: DATA.explained[kind], label, text, tone, item: raw.items[item] ?? "" }
    ));
    this.lanes = LANES.map((lane) => arranged(this.events.filter((event) => event.lane === lane.index)));
    for (const event of this.lane("heard").marks) this.byItem.get(event.item)?.words.push(event);
    this.most = 1;
    for (const points of this.received.values()) this.most = Math.max(this.most, points.at(-1)[1]);
  }

  lane(id) { return this.lanes[LANES.findIndex((lane) => lane.id === id)]; }

  end(message) { return message.end ?? this.length; }

  /** Milliseconds of the message that were heard by then. */
  heardOf(message, time) {
    if (message.begin === null || time <= message.begin) return 0;
    if (message.end !== null && time >= message.end) return message.heard;
    const from = valueAt(this.heard, message.begin);
    const whole = valueAt(this.heard, this.end(message)) - from;
    // Where a server sounds the audio itself, no clock reports: evenly, then.
    const ms = whole > 0 ? valueAt(this.heard, time) - from : (message.heard * (time - message.begin)) / (this.end(message) - message.begin);
    return Math.max(0, message.end === null ? ms : Math.min(ms, message.heard));
  }

  /** Milliseconds of the item's audio that had arrived by then. */
  receivedOf(item, time) {
    const points = this.received.get(item);
    return points && time >= points[0][0] ? Math.floor(valueAt(points, time)) : 0;
  }

  /** What was so at a moment. */
  moment(time) {
    const last = (id, kind) => {
      const marks = this.lane(id).all;
      for (let index = countUntil(marks, time, AT) - 1; index >= 0; index--) if (!kind || marks[index].kind === kind) return marks[index];
      return null;
    };
    const begun = countUntil(this.spoken, time, (message) => message.begin);
    const message = this.spoken[begun - 1] ?? null;
    const over = message !== null && time >= this.end(message);
    const speech = last("user", "speech");
    return {
      time,
      speaks: speech !== null && time < speech.end,
      sounds: [...within(this.sounding, time, time + 1e-4)].length > 0,
      message,
      over,
      heard: message ? Math.round(this.heardOf(message, time)) : 0,
      received: message ? this.receivedOf(message.item, time) : 0,
      ...this.wordsOf(message, time),
      client: last("client"),
      server: last("server"),
      cut: last("cuts", "Flush"),
    };
  }

  /** The message's words: those heard by then, and those not heard yet, or never. */
  wordsOf(message, time) {
    if (!message) return { words: "", rest: "" };
    const over = message.end !== null && time >= message.end;
    const words = over ? message.text : message.words.slice(0, countUntil(message.words, time, AT)).map((each) => each.text).join("");
    const full = message.full || message.text, rest = full.startsWith(words) ? full.slice(words.length) : "";
    const space = rest.length - rest.trimStart().length; // stands with the words, so that it is not struck out
    return { words: words + rest.slice(0, space), rest: rest.slice(space) };
  }
}

/** A lane's events: those that last, in rows so that none covers another; moments; and all of them by time. */
function arranged(events) {
  const bars = events.filter((event) => event.end !== null), ends = [];
  let reach = -Infinity;
  for (const bar of bars) {
    let row = ends.findIndex((end) => end <= bar.at + 1e-6);
    if (row < 0) row = ends.length < 3 ? ends.length : 2;
    ends[row] = bar.end;
    bar.row = row;
    bar.reach = reach = Math.max(reach, bar.end); // where to begin to look: nothing before this one reaches further
  }
  return { all: events, bars, marks: events.filter((event) => event.end === null), rows: Math.max(1, ends.length), layouts: new Map() };
}

/** The bars that touch a range. */
function* barsWithin(lane, from, to) {
  for (let index = countUntil(lane.bars, from, (bar) => bar.reach); index < lane.bars.length && lane.bars[index].at < to; index++) {
    if (lane.bars[index].end >= from) yield lane.bars[index];
  }
}
