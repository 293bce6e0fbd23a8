// The last twenty seconds: a lane for the user, one for what was heard of the model, marks where it was cut.

const SECONDS = 20;

export class Timeline {
  constructor(canvas) {
    this.canvas = canvas;
    this.spans = []; // { lane, from, to }
    this.marks = []; // { at, label }
    requestAnimationFrame(() => this.draw());
  }

  begin(lane) { this.spans.push({ lane, from: performance.now(), to: null }); }

  end(lane) {
    const open = this.spans.findLast((span) => span.lane === lane && span.to === null);
    if (open) open.to = performance.now();
  }

  mark(label) { this.marks.push({ at: performance.now(), label }); }

  draw() {
    const { canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== width * ratio) [canvas.width, canvas.height] = [width * ratio, height * ratio];
    const style = getComputedStyle(document.documentElement);
    const paint = canvas.getContext("2d");
    const now = performance.now();
    const x = (time) => width - ((now - time) / 1000 / SECONDS) * width;
    paint.setTransform(ratio, 0, 0, ratio, 0, 0);
    paint.clearRect(0, 0, width, height);
    this.spans = this.spans.filter((span) => span.to === null || x(span.to) > 0);
    this.marks = this.marks.filter((mark) => x(mark.at) > 0);
    for (const { lane, from, to } of this.spans) {
      paint.fillStyle = style.getPropertyValue(`--${lane}`);
      paint.fillRect(Math.max(0, x(from)), lane === "user" ? 20 : 60, x(to ?? now) - Math.max(0, x(from)), 24);
    }
    paint.fillStyle = paint.strokeStyle = style.getPropertyValue("--cut");
    paint.font = "12px system-ui, sans-serif";
    paint.textAlign = "right";
    for (const { at, label } of this.marks) {
      paint.fillRect(x(at) - 1, 52, 2, 40);
      paint.fillText(label, x(at) - 4, 104);
    }
    paint.textAlign = "left";
    paint.fillStyle = style.getPropertyValue("--user");
    paint.fillText("you", 6, 16);
    paint.fillStyle = style.getPropertyValue("--model");
    paint.fillText("the model, as heard", 6, 58);
    requestAnimationFrame(() => this.draw());
  }
}
