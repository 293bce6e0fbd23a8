// Which event lies under a pointer.

/** The event of a lane nearest to a pixel, or null where none is near. ``reach``: pixels; a finger needs more than a mouse. */
function hit(canvas, recording, lane, view, left, top, reach) {
  const content = recording.lanes[lane.index], shape = SHAPES[lane.id];
  const scale = canvas.clientWidth / view.wide;
  const x = (time) => (time - recording.zero - view.from) * scale;
  const time = left / scale + view.from + recording.zero;
  let best = null, near = reach;
  const offer = (event, far) => { if (far < near || (far === near && best?.end !== null)) [best, near] = [event, far]; };
  if (lane.id === "heard") return heardAt(recording, time, reach / scale);
  const paint = canvas.getContext("2d");
  const barsHigh = shape.curve ?? (content.bars.length ? content.rows * (BAR + 2) : 0);
  for (const bar of barsWithin(content, time - reach / scale, time + reach / scale)) {
    const row = shape.curve ? top < PAD + shape.curve : Math.floor((top - PAD) / (BAR + 2)) === bar.row;
    const far = Math.max(x(bar.at) - left, left - x(bar.end), 0);
    offer(bar, far + (row ? 0 : reach * 0.6));
  }
  if (!shape.marks || !content.marks.length) return best;
  const rows = rowsAt(paint, content, scale, shape.marks);
  const row = Math.floor((top - PAD - barsHigh) / ROW); // below the last are those without a label
  for (let index = countUntil(content.marks, time - 420 / scale, AT); index < content.marks.length; index++) {
    const event = content.marks[index];
    if (x(event.at) > left + reach) break;
    const long = rows[index] >= 0 && rows[index] === row ? textWidth(paint, event.label) + 8 : 2;
    const far = Math.max(x(event.at) - left, left - x(event.at) - long, 0);
    offer(event, far + (rows[index] === row ? 0 : Math.min(reach * 0.5, 4)));
  }
  return best;
}

/** The last word heard by then, of the message that was heard. */
function heardAt(recording, time, reach) {
  const marks = recording.lane("heard").marks, index = countUntil(marks, time + reach, AT) - 1;
  const found = marks[index];
  if (!found) return null;
  const message = recording.byItem.get(found.item);
  return !message || time <= recording.end(message) + 2 ? found : null;
}
