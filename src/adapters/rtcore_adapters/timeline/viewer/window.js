// What is seen: a stretch of the axis, and the moment at which the cursor stands. Times are on the axis, 0 where the recordings meet.

class Window {
  constructor(recordings) {
    this.recordings = recordings;
    this.changed = () => {};
    this.cursor = 0;
    this.measure();
    this.from = this.first;
    this.to = this.last;
  }

  /** The ends of the axis, after the recordings were aligned. */
  measure() {
    const length = Math.max(0.1, ...this.recordings.map((each) => each.length));
    this.first = Math.min(...this.recordings.map((each) => -each.zero));
    this.last = Math.max(this.first + 0.1, ...this.recordings.map((each) => each.length - each.zero));
    this.edge = length * 0.02; // a little more than all, so that ends can be seen as such
  }

  get wide() { return this.to - this.from; }

  set(from, to) {
    const most = this.last - this.first + 2 * this.edge;
    const wide = Math.min(Math.max(to - from, 0.02), most);
    const middle = (from + to) / 2;
    this.from = Math.min(Math.max(middle - wide / 2, this.first - this.edge), this.last + this.edge - wide);
    this.to = this.from + wide;
    this.changed();
  }

  all() { this.set(this.first - this.edge, this.last + this.edge); }

  /** By which factor more is seen; what is at ``around`` stays where it is. */
  zoom(factor, around = this.anchor()) {
    const wide = Math.min(Math.max(this.wide * factor, 0.02), this.last - this.first + 2 * this.edge);
    const share = (around - this.from) / this.wide;
    this.set(around - share * wide, around + (1 - share) * wide);
  }

  pan(seconds) { this.set(this.from + seconds, this.to + seconds); }

  /** What keys zoom around: the cursor where it is seen. */
  anchor() { return this.cursor >= this.from && this.cursor <= this.to ? this.cursor : (this.from + this.to) / 2; }

  /** Put the cursor there; what is seen follows it. */
  moveTo(time) {
    this.cursor = Math.min(Math.max(time, this.first), this.last);
    const margin = this.wide * 0.04;
    if (this.cursor < this.from + margin) this.pan(this.cursor - this.from - this.wide * 0.1);
    else if (this.cursor > this.to - margin) this.pan(this.cursor - this.to + this.wide * 0.3);
    else this.changed();
  }

  /** Align the recordings at these moments of theirs. */
  align(zeros) {
    const middle = (this.from + this.to) / 2, wide = this.wide;
    const shift = zeros[0] - this.recordings[0].zero; // the first keeps its place on the screen
    this.recordings.forEach((each, index) => { each.zero = zeros[index]; });
    this.measure();
    this.cursor = Math.min(Math.max(this.cursor - shift, this.first), this.last);
    this.set(middle - shift - wide / 2, middle - shift + wide / 2);
  }
}

/** Where recordings can meet: gives the moment of each. */
const MEETINGS = {
  begin: () => 0,
  sound: (recording) => recording.spoken[0]?.begin ?? 0,
  cut: (recording) => recording.lane("cuts").marks.find((event) => event.kind === "Flush")?.at ?? 0,
};

/** A time to read: 3.456 s, 2:03.456, 1:02:03.456. */
function clock(time, digits = 3) {
  const rounded = Math.round(Math.abs(time) * 10 ** digits) / 10 ** digits;
  const minutes = Math.floor(rounded / 60), hours = Math.floor(minutes / 60);
  const sign = time < 0 && rounded > 0 ? "\u2212" : "";
  if (rounded < 60) return `${sign}${rounded.toFixed(digits)} s`;
  const seconds = (rounded - minutes * 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return hours ? `${sign}${hours}:${String(minutes % 60).padStart(2, "0")}:${seconds}` : `${sign}${minutes}:${seconds}`;
}
