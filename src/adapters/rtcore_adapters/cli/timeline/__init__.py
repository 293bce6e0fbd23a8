"""A recording as a picture in time: one page that needs nothing but a browser, without scripts, every text escaped."""

from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from string import Template

from rtcore_adapters.cli._document import document
from rtcore_adapters.cli.timeline._happened import Bar, Happened, Level, Mark, happened

__all__ = ["Happened", "happened", "page"]

_PX_PER_S = 80
_LEAST, _MOST = 900, 24_000
_PAD = 16
_CHARACTER = 6.2
_ROW = 18
_CURVE = 120
_BAR = 20
_ROWS = 4
_COLOURS = 4


def page(it: Happened, title: str, facts: Sequence[str]) -> str:
    """The page. ``facts`` are lines about the recording, shown above the picture."""
    lanes = _Lanes(it)
    lanes.bars("server sends", "audio of each item, from its first to its last delta", _coloured(it.arrivals.values()))
    lanes.marks("", it.server)
    lanes.curve("sound, ms", "thin: handed over; bold: audible by report", it.handed, it.heard)
    lanes.bars("messages", "from the first to the last audible sample", it.messages)
    lanes.marks("cuts", it.cuts, "cut")
    lanes.marks("told the server", it.sent, "told")
    lanes.bars("the user", "", it.speech)
    lanes.marks("the program", it.people)
    lanes.marks("notices", it.notices)
    body = Template(_read("page.html")).substitute(
        title=escape(title),
        facts="\n".join(f"<li>{escape(fact)}</li>" for fact in facts),
        names="\n".join(lanes.names),
        picture=lanes.svg(),
        log="\n".join(_row(at - it.begin, who, what) for at, who, what in it.log),
    )
    return document(title, _read("page.css"), body)


def _read(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")


def _row(at: float, who: str, what: str) -> str:
    return f'<tr class="{escape(who.replace(" ", "-"))}"><td>{at:.3f}</td><td>{escape(who)}</td><td>{escape(what)}</td></tr>'


def _coloured(bars: Iterable[Bar]) -> list[Bar]:
    return [Bar(bar.begin, bar.end, bar.label, bar.text, f"m{index % _COLOURS + 1}") for index, bar in enumerate(bars)]


class _Lanes:
    """Lanes one below the other, all on one axis of time."""

    def __init__(self, it: Happened) -> None:
        self._it = it
        self._seconds = max(it.end - it.begin, 0.001)
        self._width = min(max(round(self._seconds * _PX_PER_S), _LEAST), _MOST)
        self._body: list[str] = []
        self._y = 24.0
        self.names: list[str] = []

    def bars(self, name: str, hint: str, bars: Sequence[Bar]) -> None:
        """Spans of time; those that overlap lie below each other."""
        ends = [float("-inf")] * _ROWS
        rows = 1
        self._name(name, hint)
        for bar in sorted(bars, key=lambda each: each.begin):
            left, right = self._x(bar.begin), max(self._x(bar.end), self._x(bar.begin) + 2)
            row = next((index for index, end in enumerate(ends) if end <= left), _ROWS - 1)
            rows = max(rows, row + 1)
            ends[row] = max(right, left + len(bar.label) * _CHARACTER) + 4
            y = self._y + row * (_BAR + 3)
            self._body.append(
                f'<g class="bar {escape(bar.kind)}"><title>{escape(self._when(bar.begin))} {escape(bar.text)}</title>'
                f'<rect x="{left:.1f}" y="{y:.1f}" width="{right - left:.1f}" height="{_BAR}" rx="3"/>'
                f'<text x="{left + 4:.1f}" y="{y + 14:.1f}">{escape(bar.label)}</text></g>'
            )
        self._end(rows * (_BAR + 3))

    def marks(self, name: str, marks: Sequence[Mark], kind: str = "") -> None:
        """Moments, with labels where there is room."""
        ends = [float("-inf")] * _ROWS
        rows = 1
        self._name(name, "")
        for mark in marks:
            x = self._x(mark.at)
            # Where all rows are taken, its stroke stands in one of its own, without a label.
            row = next((index for index, end in enumerate(ends) if end <= x), _ROWS)
            rows = max(rows, row + 1)
            y = self._y + row * _ROW
            label = ""
            if row < _ROWS:
                ends[row] = x + 10 + len(mark.label) * _CHARACTER
                label = f'<text x="{x + 6:.1f}" y="{y + 12:.1f}">{escape(mark.label)}</text>'
            self._body.append(
                f'<g class="mark {kind}"><title>{escape(self._when(mark.at))} {escape(mark.text)}</title>'
                f'<path d="M{x:.1f} {y + 2:.1f}v12"/>{label}</g>'
            )
        self._end(rows * _ROW)

    def curve(self, name: str, hint: str, handed: Sequence[Level], heard: Sequence[Level]) -> None:
        """Positions in each generation: what was handed over, what was audible."""
        most = max((level.ms for level in handed), default=0)
        self._name(f"{name} (to {most})", hint)
        for levels, kind in ((handed, "handed"), (heard, "heard")):
            for generation in dict.fromkeys(level.generation for level in levels):
                points = [(self._x(level.at), level.ms) for level in levels if level.generation == generation]
                path = f"M{points[0][0]:.1f} {self._level(0 if kind == 'handed' else points[0][1], most):.1f}"
                path += "".join(f"H{x:.1f}V{self._level(ms, most):.1f}" for x, ms in points)
                title = f"generation {generation}: {points[-1][1]} ms {'handed over' if kind == 'handed' else 'audible'}"
                self._body.append(f'<g class="{kind}"><title>{escape(title)}</title><path d="{path}"/></g>')
        self._end(_CURVE)

    def _level(self, ms: int, most: int) -> float:
        return self._y + _CURVE - 4 - (_CURVE - 8) * ms / max(most, 1)

    def svg(self) -> str:
        """The picture: axis, lines of the cuts, lanes."""
        step = next(
            step for step in (1, 2, 5, 10, 30, 60, 300, 600, 3600) if step * self._width / self._seconds >= 60 or step == 3600
        )
        grid = []
        for second in range(0, int(self._seconds) + 1, step):
            x = self._x(self._it.begin + second)
            grid.append(
                f'<path class="grid" d="M{x:.1f} 18V{self._y:.0f}"/><text class="axis" x="{x + 3:.1f}" y="13">{second} s</text>'
            )
        cuts = [
            f'<path class="cutline" d="M{self._x(cut.at):.1f} 18V{self._y:.0f}"/>'
            for cut in self._it.cuts
            if cut.label == "flush"
        ]
        width = self._width + 2 * _PAD + 160
        label = (
            "The recorded session in time: what the server sent, what was audible, the cuts, what the server was told, notices."
        )
        head = f'<svg width="{width}" height="{self._y:.0f}" viewBox="0 0 {width} {self._y:.0f}" role="img" aria-label="{label}">'
        return "\n".join([head, *grid, *cuts, *self._body, "</svg>"])

    def _name(self, name: str, hint: str) -> None:
        small = f"<small>{escape(hint)}</small>" if hint else ""
        self.names.append(f'<div style="top:{self._y:.0f}px"><b>{escape(name)}</b>{small}</div>')

    def _end(self, height: float) -> None:
        self._y += height + 14

    def _x(self, at: float) -> float:
        return _PAD + (min(max(at, self._it.begin), self._it.end) - self._it.begin) / self._seconds * self._width

    def _when(self, at: float) -> str:
        return f"{at - self._it.begin:.3f} s"
