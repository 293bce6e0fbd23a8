// The whole of it in one strip, with the part that is seen and the moment of the cursor: drag it, or use its keys.

class Strip {
  constructor(root, view, recordings, moved) {
    this.root = root;
    this.canvas = root.querySelector("canvas");
    Object.assign(this, { view, recordings, moved });
    root.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      root.setPointerCapture(event.pointerId);
      this.dragged(event);
    });
    root.addEventListener("pointermove", (event) => { if (root.hasPointerCapture(event.pointerId)) this.dragged(event); });
    root.addEventListener("keydown", (event) => this.key(event));
  }

  get scale() { return this.canvas.clientWidth / (this.view.last - this.view.first); }

  dragged(event) {
    const left = event.clientX - this.canvas.getBoundingClientRect().left;
    this.moved(this.view.first + left / this.scale);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 1 : 0.1, { view } = this;
    const to = {
      ArrowLeft: view.cursor - step, ArrowDown: view.cursor - step, ArrowRight: view.cursor + step, ArrowUp: view.cursor + step,
      PageDown: view.cursor - 10, PageUp: view.cursor + 10, Home: view.first, End: view.last,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.moved(to);
  }

  /** ``words``: the moment, for whoever cannot see it. */
  say(words) {
    const { root, view } = this;
    root.setAttribute("aria-valuemin", view.first.toFixed(3));
    root.setAttribute("aria-valuemax", view.last.toFixed(3));
    root.setAttribute("aria-valuenow", view.cursor.toFixed(3));
    root.setAttribute("aria-valuetext", words);
  }

  draw() {
    const { paint, width, height } = prepared(this.canvas), { view, scale } = this;
    const x = (time) => (time - view.first) * scale;
    const high = height / this.recordings.length;
    this.recordings.forEach((recording, index) => {
      const top = index * high, part = high / 3;
      const line = (spans, from, to, colour, tall) => {
        paint.fillStyle = colour;
        let last = -Infinity;
        for (const span of spans) {
          const left = x(from(span) - recording.zero), right = Math.max(x(to(span) - recording.zero), left + 1.5);
          if (right >= last + 0.5) { paint.fillRect(left, top + tall, right - left, part - 3); last = right; }
        }
      };
      line(recording.lane("user").bars, AT, (bar) => bar.end, C.user, 3);
      const sounds = recording.sounding.length ? recording.sounding : recording.spoken.map((each) => [each.begin, recording.end(each)]);
      line(sounds, FIRST, (span) => span[1], C.full, part + 2);
      line(recording.lane("cuts").marks.filter((event) => event.kind === "Flush"), AT, AT, C.cut, 2 * part + 1);
    });
    paint.fillStyle = C.ink;
    const left = Math.max(x(view.from), 0), right = Math.min(x(view.to), width);
    paint.globalAlpha = 0.1;
    paint.fillRect(0, 0, left, height);
    paint.fillRect(right, 0, width - right, height);
    paint.globalAlpha = 1;
    paint.strokeStyle = C.soft;
    paint.lineWidth = 1;
    paint.strokeRect(left + 0.5, 0.5, Math.max(right - left - 1, 2), height - 1);
    const at = x(view.cursor);
    paint.fillRect(Math.min(Math.max(at - 1, 0), width - 2), 0, 2, height);
    paint.beginPath();
    paint.arc(Math.min(Math.max(at, 5), width - 5), height / 2, 5, 0, 7);
    paint.fill();
  }
}
