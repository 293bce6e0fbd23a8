// The events as a list: chosen by keys or a click, narrowed by lane or by words. Only the rows that are seen exist.

class List {
  constructor(root, recordings, { lanes, words, count }, choose) {
    this.root = root;
    this.inner = el("div", { className: "inner", role: "presentation" });
    root.append(this.inner);
    Object.assign(this, { recordings, lanes, words, count, choose });
    this.chosen = -1;
    lanes.append(el("option", { value: "" }, "all lanes"), ...LANES.map((lane) => el("option", { value: lane.id }, lane.name)));
    lanes.addEventListener("change", () => this.filter());
    words.addEventListener("input", () => this.filter());
    root.addEventListener("scroll", () => this.draw(), { passive: true });
    root.addEventListener("keydown", (event) => this.key(event));
    root.addEventListener("focus", () => { if (this.chosen < 0 && this.shown.length) this.pick(Math.max(0, this.near)); });
    root.addEventListener("click", (event) => {
      const row = event.target.closest("[data-index]");
      if (row) this.pick(Number(row.dataset.index));
    });
    new ResizeObserver(() => this.draw()).observe(root);
    this.near = 0;
    this.filter();
  }

  get high() { return window.matchMedia("(pointer: coarse)").matches ? 44 : 28; }

  filter() {
    const lane = LANES.findIndex((each) => each.id === this.lanes.value), wanted = this.words.value.trim().toLowerCase();
    const kept = this.shown?.[this.chosen];
    this.shown = this.recordings.flatMap((recording) => recording.events).filter((event) => (
      (lane < 0 || event.lane === lane)
      && (!wanted || `${event.label} ${event.text} ${event.kind}`.toLowerCase().includes(wanted))
    ));
    if (this.recordings.length > 1) this.shown.sort((one, other) => one.at - one.recording.zero - other.at + other.recording.zero);
    this.count.textContent = this.shown.length === 1 ? "1 event" : `${this.shown.length.toLocaleString("en")} events`;
    this.chosen = kept ? this.shown.indexOf(kept) : -1;
    this.draw();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.root.clientHeight / this.high) - 1), last = this.shown.length - 1;
    const to = {
      ArrowDown: this.chosen + 1, ArrowUp: this.chosen - 1, PageDown: this.chosen + page, PageUp: this.chosen - page, Home: 0, End: last,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    if (last >= 0) this.pick(Math.min(Math.max(to, 0), last));
  }

  pick(index) {
    this.mark(index);
    this.choose(this.shown[index]);
  }

  /** Show this event as the chosen one, without choosing it. */
  select(event) {
    const index = this.shown.indexOf(event);
    if (index >= 0) this.mark(index); else { this.chosen = -1; this.draw(); }
  }

  mark(index) {
    this.chosen = index;
    const top = index * this.high, { root } = this;
    if (top < root.scrollTop) root.scrollTop = top;
    else if (top + this.high > root.scrollTop + root.clientHeight) root.scrollTop = top + this.high - root.clientHeight;
    this.draw();
  }

  draw() {
    const { root, inner, high, shown } = this;
    inner.style.height = `${shown.length * high}px`;
    const from = Math.max(0, Math.floor(root.scrollTop / high) - 3);
    const to = Math.min(shown.length, Math.ceil((root.scrollTop + root.clientHeight) / high) + 3);
    const rows = [];
    for (let index = from; index < to; index++) rows.push(this.row(shown[index], index));
    // The chosen one exists wherever the list is scrolled to, because it is the list's active descendant.
    if (this.chosen >= 0 && (this.chosen < from || this.chosen >= to)) rows.push(this.row(shown[this.chosen], this.chosen));
    inner.replaceChildren(...rows);
    if (this.chosen >= 0) root.setAttribute("aria-activedescendant", `event-${this.chosen}`); else root.removeAttribute("aria-activedescendant");
  }

  row(event, index) {
    const row = el(
      "div", { id: `event-${index}`, role: "option", "aria-selected": String(index === this.chosen), "aria-posinset": index + 1, "aria-setsize": this.shown.length },
      el("span", { className: "at" }, clock(event.at - event.recording.zero)),
      el("span", { className: "lane" }, whereOf(event)),
      el("span", { className: "label" }, event.label || event.kind),
    );
    row.dataset.index = index;
    row.style.transform = `translateY(${index * this.high}px)`;
    row.style.height = `${this.high}px`;
    row.style.setProperty("--tone", toneOf(event));
    return row;
  }
}
