"""A conversation as a picture in time: what the server sent, what was heard, what the person said, what the server was told.

One SVG, without scripts and outside resources; colours and dark mode are in ``picture.css``.
"""

from collections.abc import Callable, Iterator, Sequence
from html import escape
from itertools import pairwise

from msgspec import Struct

from rtcore_adapters.cli._heard import Message, Sounded, Told
from rtcore_adapters.cli._live import Received, Talked
from rtcore_adapters.cli._table import number

_Place = Callable[[float, float], str]
"""A time and a count of samples, as a point of the chart."""

_RATE = 24_000
_BIN_PX = 2
_COLOURS = 4
_CHARACTER_PX = 6.3  # of a 12 px sans-serif letter, on average: for placing texts
_PAD = 14
_CHART = 150
_WAVE = 48
_ROW = 20
_TITLE = 22
_GAP = 16
_AXIS = 30


class _Frame(Struct, frozen=True):
    """Where times are: from ``begin`` to ``end`` over ``left`` to ``right``."""

    begin: float
    end: float
    left: float
    right: float

    def x(self, at: float) -> float:
        """A time's place."""
        return self.left + (min(max(at, self.begin), self.end) - self.begin) / (self.end - self.begin) * (self.right - self.left)


class _Shown(Struct, frozen=True):
    """A message with what the picture calls it and how it is coloured; ``base`` is how much of its response comes before it."""

    message: Message
    name: str
    colour: str
    base: int
    arrivals: tuple[tuple[float, int], ...]
    sounded: tuple[Sounded, ...]


def picture(talk: Talked, *, width: int = 960) -> str:
    """The conversation as an ``<svg>`` element for a page that has ``picture.css``; ``width`` in pixels, from 320 on."""
    shown = _shown(talk)
    frame = _frame(talk, width)
    body, height = _draw(talk, shown, frame, width)
    label = "A conversation in time: what the server sent, what was heard, what the person said, what the server was told."
    box = f'viewBox="0 0 {width} {height}" role="img" aria-label="{label}"'
    return "\n".join([f'<svg class="rt" xmlns="http://www.w3.org/2000/svg" {box}>', *body, "</svg>"])


def standalone(talk: Talked, style: str, *, width: int = 960) -> str:
    """The same as a file of its own, with its style and a background."""
    svg = picture(talk, width=width)
    head, _, rest = svg.partition("\n")
    return f'{head}\n<style>{style}</style>\n<rect class="rt-paper" width="100%" height="100%"/>\n{rest}\n'


# -- what is shown ------------------------------------------------------------------------------------------------------------


def _shown(talk: Talked) -> list[_Shown]:
    messages = talk.hearing.messages
    first = messages[0].response_id if messages else ""
    shown: list[_Shown] = []
    bases: dict[str, int] = {}
    for index, message in enumerate(messages):
        base = bases.get(message.response_id, 0)
        bases[message.response_id] = base + message.sent
        shown.append(
            _Shown(
                message,
                f"message {index + 1}" if message.response_id == first else "next answer",
                f"rt-m{index % _COLOURS + 1}",
                base,
                _arrivals(message, talk.received),
                tuple(each for each in talk.hearing.sounded if each.item_id == message.item_id),
            )
        )
    return shown


def _arrivals(message: Message, received: Sequence[Received]) -> tuple[tuple[float, int], ...]:
    """When how many samples had been sent, from nothing on."""
    if message.first_audio_at is None:
        return ()
    found = [(message.first_audio_at, 0)]
    found += [(each.at, each.samples) for each in received if each.item_id == message.item_id]
    if found[-1][1] < message.sent and message.last_audio_at is not None:
        found.append((message.last_audio_at, message.sent))
    return tuple(found)


def _frame(talk: Talked, width: int) -> _Frame:
    starts = [each.at for each in talk.said] + [each.at for each in talk.hearing.sounded] or [talk.began]
    ends = [each.until for each in talk.hearing.sounded] + [each.at for each in talk.hearing.told] or [talk.ended]
    return _Frame(min(starts) - 0.2, max(*ends, min(starts) + 1) + 0.3, _PAD, width - _PAD)


# -- drawing ------------------------------------------------------------------------------------------------------------------


def _draw(talk: Talked, shown: Sequence[_Shown], frame: _Frame, width: int) -> tuple[list[str], int]:
    cut = talk.flushed_at[0] if talk.flushed_at else None
    legend, y = _legend(shown, width)
    y += _GAP
    top = y
    y += _ROW if cut is not None else 0
    chart, y = _lane("The server sent (seconds of audio; it waits until it is heard)", y, width)
    body = [*legend, *chart, *_chart(shown, frame, y, cut)]
    y += _CHART + _GAP
    title, y = _lane("The person heard", y, width)
    body += [*title, *_axis_line(frame, y + _WAVE / 2), *_heard(talk, shown, frame, y)]
    y += _WAVE + _GAP
    title, y = _lane("The person said", y, width)
    body += [*title, *_axis_line(frame, y + _WAVE / 2), *_said(talk, frame, y)]
    y += _WAVE + _GAP
    title, y = _lane("The server was told", y, width)
    told = _told(talk.hearing.told, shown, frame, y)
    body += title
    bottom = y + max(1, len(talk.hearing.told)) * _ROW + _GAP / 2
    if cut is not None:
        body += _cut(frame, cut, top, bottom)
    body += [*told, *_axis(frame, bottom, width)]
    return body, round(bottom + _AXIS)


def _legend(shown: Sequence[_Shown], width: int) -> tuple[list[str], float]:
    """Colours and names, in as many rows as they need; gives the height."""
    x, y = float(_PAD), 22.0
    parts = []
    for each in shown:
        text = f"{each.name}: {each.message.verdict}"
        room = 18 + len(text) * _CHARACTER_PX + 18
        if x > _PAD and x + room > width - _PAD + 18:
            x, y = float(_PAD), y + _ROW
        key = f'<rect class="rt-key" x="{x:.1f}" y="{y - 9:.1f}" width="10" height="10" rx="2"/>'
        parts.append(f'<g class="{each.colour}">{key}</g>')
        parts.append(_text(x + 16, y, text, "rt-text"))
        x += room
    return parts, y


def _lane(title: str, y: float, width: int) -> tuple[list[str], float]:
    """A lane's title, without what is in brackets where there is no room."""
    if len(title) * 6.8 > width - 2 * _PAD:
        title = title.partition(" (")[0]
    return [_text(_PAD, y + 13, title, "rt-lane")], y + _TITLE


def _chart(shown: Sequence[_Shown], frame: _Frame, y: float, cut: float | None) -> list[str]:
    """Audio over time: it arrives on the left edge of its band, and leaves where it is heard, or where it is cut."""
    most = max((each.base + each.message.sent for each in shown), default=0) / _RATE or 1.0
    scale = _CHART / most
    bottom = y + _CHART

    def place(at: float, samples: float) -> str:
        return f"{frame.x(at):.1f},{bottom - samples / _RATE * scale:.1f}"

    parts = []
    step = 1 if most <= 6 else 2 if most <= 16 else 10
    for second in range(0, int(most) + 1, step):
        level = bottom - second * scale
        parts.append(f'<line class="rt-grid" x1="{frame.left}" x2="{frame.right}" y1="{level:.1f}" y2="{level:.1f}"/>')
        if second:
            parts.append(_text(frame.left, level - 3, f"{second} s", "rt-small"))
    for each in shown:
        parts += _band(each, cut if cut is not None else frame.end, place)
    return parts


def _band(each: _Shown, cut: float, place: _Place) -> Iterator[str]:
    message, base = each.message, each.base
    if not each.arrivals:
        return
    yield f'<g class="{each.colour}">'
    yield f"<title>{escape(_story(each))}</title>"
    heard = [point for piece in each.sounded for point in ((piece.at, piece.start), (piece.until, piece.end))]
    if heard:
        left = [place(at, base + samples) for at, samples in _steps(each.arrivals, 0, message.heard)]
        right = [place(at, base + samples) for at, samples in reversed(heard)]
        yield f'<polygon class="rt-got" points="{" ".join(left + right)}"/>'
    if message.heard < message.sent:
        rest = [(min(at, cut), samples) for at, samples in _steps(each.arrivals, message.heard, message.sent)]
        left = [place(at, base + samples) for at, samples in rest]
        right = [place(cut, base + message.sent), place(cut, base + message.heard)]
        yield f'<polygon class="rt-lost" points="{" ".join(left + right)}"/>'
    line = [place(at, base + samples) for at, samples in _steps(each.arrivals, 0, message.sent)]
    yield f'<polyline class="rt-arrived" points="{" ".join(line)}"/>'
    for piece in each.sounded:
        ends = place(piece.at, base + piece.start), place(piece.until, base + piece.end)
        yield f'<polyline class="rt-heard" points="{" ".join(ends)}"/>'
    yield "</g>"


def _steps(arrivals: Sequence[tuple[float, int]], low: int, high: int) -> Iterator[tuple[float, int]]:
    """The staircase of what had arrived, between two counts."""
    for (_, before), (at, after) in pairwise(arrivals):
        if after > low and before < high:
            yield at, max(low, before)
            yield at, min(high, after)


def _heard(talk: Talked, shown: Sequence[_Shown], frame: _Frame, y: float) -> Iterator[str]:
    loudest = _peak(talk.signal)
    for each in shown:
        yield f'<g class="{each.colour}"><title>{escape(_story(each))}</title>'
        for piece in each.sounded:
            pcm = talk.signal[2 * round((piece.at - talk.opened) * _RATE) : 2 * round((piece.until - talk.opened) * _RATE)]
            yield _wave(pcm, piece.at, frame, y, loudest, "rt-wave")
        yield "</g>"


def _said(talk: Talked, frame: _Frame, y: float) -> Iterator[str]:
    loudest = max((_peak(each.pcm) for each in talk.said), default=1)
    for turn, each in enumerate(talk.said):
        ms = len(each.pcm) * 1000 // (2 * _RATE)
        yield f"<g><title>turn {turn + 1} of the person: {number(ms)} ms</title>"
        yield _wave(each.pcm, each.at, frame, y, loudest, "rt-person")
        yield "</g>"


def _told(told: Sequence[Told], shown: Sequence[_Shown], frame: _Frame, y: float) -> list[str]:
    names = {each.message.item_id: each.name for each in shown}
    parts = []
    for row, each in enumerate(told):
        x, middle = frame.x(each.at), y + row * _ROW + 9
        name = names.get(each.item_id or "", "an item")
        what = {
            "truncate": f"truncate {name} to {number(each.audio_end_ms or 0)} ms",
            "delete": f"delete {name}",
            "cancel": "cancel the response",
        }[each.what]
        title = escape(f"{what}, at {each.at - frame.begin:.3f} s")
        parts.append(f'<g><title>{title}</title><circle class="rt-mark" cx="{x:.1f}" cy="{middle:.1f}" r="4"/>')
        room = len(what) * _CHARACTER_PX + 12
        if x + room <= frame.right:
            parts.append(_text(x + 10, middle + 4, what, "rt-text"))
        else:
            parts.append(_text(x - 10, middle + 4, what, "rt-text", anchor="end"))
        parts.append("</g>")
    if not told:
        parts.append(_text(frame.left, y + 13, "nothing", "rt-small"))
    return parts


def _cut(frame: _Frame, cut: float, top: float, bottom: float) -> list[str]:
    x = frame.x(cut)
    text = "the person speaks: silence"
    line = f'<line class="rt-cut" x1="{x:.1f}" x2="{x:.1f}" y1="{top + 4:.1f}" y2="{bottom:.1f}"/>'
    title = f"<title>flush at {cut - frame.begin:.3f} s</title>"
    room = len(text) * 6.8 + 8
    if x + room <= frame.right:
        label = _text(x + 6, top + 13, text, "rt-cut-text")
    else:
        label = _text(x - 6, top + 13, text, "rt-cut-text", anchor="end")
    return ["<g>", title, line, label, "</g>"]


def _axis_line(frame: _Frame, y: float) -> list[str]:
    return [f'<line class="rt-grid" x1="{frame.left}" x2="{frame.right}" y1="{y:.1f}" y2="{y:.1f}"/>']


def _axis(frame: _Frame, y: float, width: int) -> Iterator[str]:
    yield f'<line class="rt-base" x1="{frame.left}" x2="{frame.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
    span = frame.end - frame.begin
    step = next(step for step in (1, 2, 5, 10, 60) if span / step * 44 <= frame.right - frame.left or step == 60)
    for second in range(0, int(span) + 1, step):
        x = frame.x(frame.begin + second)
        yield f'<line class="rt-base" x1="{x:.1f}" x2="{x:.1f}" y1="{y:.1f}" y2="{y + 5:.1f}"/>'
        anchor = "start" if second == 0 else "middle" if x + 14 <= frame.right else "end"
        yield _text(x, y + 18, f"{second} s", "rt-small", anchor=anchor)


def _wave(pcm: bytes, at: float, frame: _Frame, y: float, loudest: int, kind: str) -> str:
    """The outline of a stretch of sound around the middle of its lane."""
    seconds = len(pcm) / (2 * _RATE)
    left, right = frame.x(at), frame.x(at + seconds)
    bins = max(1, round((right - left) / _BIN_PX))
    samples = len(pcm) // 2
    heights = []
    for index in range(bins):
        piece = pcm[2 * (samples * index // bins) : 2 * (samples * (index + 1) // bins)]
        heights.append(max(0.75, _peak(piece) / loudest * _WAVE / 2))
    middle = y + _WAVE / 2
    places = [left + (index + 0.5) * (right - left) / bins for index in range(bins)]
    above = [f"{x:.1f},{middle - height:.1f}" for x, height in zip(places, heights, strict=True)]
    below = [f"{x:.1f},{middle + height:.1f}" for x, height in zip(reversed(places), reversed(heights), strict=True)]
    edges = f"{left:.1f},{middle:.1f} {' '.join(above)} {right:.1f},{middle:.1f} {' '.join(below)}"
    return f'<polygon class="{kind}" points="{edges}"/>'


def _peak(pcm: bytes) -> int:
    """The loudest sample, by its high byte: 1 to 128."""
    return max((min(high, 255 - high) for high in pcm[1::2]), default=0) + 1


def _story(each: _Shown) -> str:
    message = each.message
    heard, sent = message.heard * 1000 // _RATE, message.sent * 1000 // _RATE
    return f"{each.name} ({message.verdict}): {number(heard)} ms of {number(sent)} ms heard"


def _text(x: float, y: float, text: str, kind: str, *, anchor: str = "start") -> str:
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{where}>{escape(text)}</text>'
