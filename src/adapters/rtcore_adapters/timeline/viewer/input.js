// Wheel, fingers and keys. Everything that a pointer can do has a key.

/** Wheel, drag and pinch over the lanes. ``point(event, element)`` is told where a pointer rests, ``tap`` where one was lifted. */
function pointers(root, view, { left, width, point, tap }) {
  const down = new Map();
  let moved = false;
  const time = (clientX) => view.from + ((clientX - left()) / width()) * view.wide;

  root.addEventListener("wheel", (event) => {
    const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
    const across = event.shiftKey && !event.deltaX ? event.deltaY : event.deltaX;
    if (Math.abs(across) > Math.abs(event.deltaY) || event.shiftKey) view.pan((across * unit * view.wide) / width());
    else view.zoom(Math.exp(Math.max(-400, Math.min(400, event.deltaY * unit)) * (event.ctrlKey ? 0.01 : 0.002)), time(event.clientX));
    event.preventDefault();
  }, { passive: false });

  root.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.target.closest("canvas")) return;
    if (!down.size) moved = false;
    down.set(event.pointerId, { x: event.clientX, first: event.clientX, time: time(event.clientX) });
    root.setPointerCapture(event.pointerId);
  });
  root.addEventListener("pointermove", (event) => {
    const held = down.get(event.pointerId);
    if (!held) { if (event.pointerType !== "touch") point(event); return; }
    held.x = event.clientX;
    if (Math.abs(held.x - held.first) > 4) moved = true;
    if (!moved) return;
    point(null);
    const [one, other] = down.values();
    if (other) {
      // Two fingers: what lies under each stays under it.
      const apart = other.x - one.x, seconds = other.time - one.time;
      if (Math.abs(apart) < 12 || apart * seconds <= 0) return;
      const wide = (seconds / apart) * width();
      const from = one.time - ((one.x - left()) / width()) * wide;
      view.set(from, from + wide);
    } else view.pan(held.time - time(held.x));
  });
  const lifted = (event) => {
    const held = down.get(event.pointerId);
    if (!held) return;
    down.delete(event.pointerId);
    for (const each of down.values()) each.time = time(each.x);
    if (event.type === "pointerup" && !moved) tap(event, time(event.clientX));
  };
  root.addEventListener("pointerup", lifted);
  root.addEventListener("pointercancel", lifted);
  root.addEventListener("pointerleave", (event) => { if (!down.size && event.pointerType !== "touch") point(null); });
}

/** Keys of the lanes, and those that hold anywhere but where one types. ``commands`` by key. */
function keys(root, anywhere, commands) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const { target } = event;
    if (target instanceof HTMLElement && target.closest("input, select, textarea")) return;
    if (event.key === " " && target instanceof HTMLElement && target.closest("button, summary, [role=listbox]")) return;
    const key = event.shiftKey && event.key.startsWith("Arrow") ? `Shift${event.key}` : event.key;
    const command = (root.contains(target) ? commands[key] : undefined) ?? anywhere[key];
    if (!command) return;
    event.preventDefault();
    command();
  });
}
