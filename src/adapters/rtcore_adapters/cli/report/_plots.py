"""Plots as SVG: distributions, ranges by row, amounts by row. No scripts, no outside resources, every text escaped.

Colours and dark mode are in ``plots.css``. Each plot comes in any width from 320 pixels on; in a narrow one, a row's name stands
above it instead of beside it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Generic, TypeVar

from msgspec import Struct

from rtcore_adapters.cli._table import milliseconds, number

_NARROW = 600
_CHARACTER_PX = 6.4
_PAD = 14
_AXIS = 44
_HEIGHT = 190
_ROW = 22
_ROW_NARROW = 36
_BINS = 60


class Series(Struct, frozen=True):
    """A distribution: ``counts`` by value, ``per_unit`` of which make one of the axis' units."""

    name: str
    counts: Mapping[int, int]
    per_unit: int = 1


class Range(Struct, frozen=True):
    """One row: how many were measured, their median, 99th percentile and maximum."""

    name: str
    count: int
    median: float
    p99: float
    max: float


class Amount(Struct, frozen=True):
    """One row: how much, and how much it must be at least (None: no minimum)."""

    name: str
    value: int
    least: int | None = None


class _Linear:
    """From ``low`` to ``high`` over ``left`` to ``right`` pixels."""

    def __init__(self, low: float, high: float, left: float, right: float) -> None:
        self.low, self.high, self._left, self._right = low, high, left, right

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self._left + share * (self._right - self._left)

    def ticks(self) -> list[float]:
        """Round values, as many as there is room for their texts."""
        room = max(2, int((self._right - self._left) / 70))
        span = (self.high - self.low) / room
        magnitude = 10.0 ** floor(log10(span))
        step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= span)
        return [step * place for place in range(ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9) + 1)]


class _Log:
    """Zero on the left, then powers of ten from ``least`` on."""

    def __init__(self, least: float, high: float, left: float, right: float) -> None:
        self._first = floor(log10(least))
        self._last = max(self._first + 1, ceil(log10(high) - 1e-9))
        self._zero, self._left, self._right = left, left + (right - left) * 0.06, right

    def __call__(self, value: float) -> float:
        if value <= 0:
            return self._zero
        share = max(0.0, (log10(value) - self._first) / (self._last - self._first))
        return self._left + share * (self._right - self._left)

    def ticks(self) -> list[float]:
        """Zero, and the powers of ten."""
        room = max(2, int((self._right - self._left) / 60))
        step = -(-(self._last - self._first) // room)
        return [0.0, *(10.0**power for power in range(self._first, self._last + 1, step))]


_Scale = _Linear | _Log


# -- distributions ------------------------------------------------------------------------------------------------------------


def distribution(series: Sequence[Series], *, title: str, axis: str, width: int = 960) -> str:
    """How often which value was measured; counts are logarithmic, so that a single one can be seen beside millions.

    Two series are drawn one over the other, as shares of their own total.
    """
    shares = len(series) > 1
    left, right = 58.0, float(width - _PAD)
    top, bottom = 30.0 + (20 if shares else 0), 30.0 + _HEIGHT
    values = [value / each.per_unit for each in series for value in each.counts]
    if not values:
        return _svg(width, 40, title, [_text(_PAD, 24, "nothing measured", "pl-small")])
    low, high, size = _bins(min(values), max(values))
    if all(each.per_unit == 1 for each in series):
        low, high = low - size / 2, high + size / 2  # whole numbers stand over their ticks
    x = _Linear(low, high, left, right)
    binned = [_binned(each, low, size) for each in series]
    totals = [sum(each.counts.values()) for each in series]
    heights = [
        {place: count / total if shares else count for place, count in each.items()}
        for each, total in zip(binned, totals, strict=True)
    ]
    tallest, smallest = max(max(each.values()) for each in heights), min(min(each.values()) for each in heights)
    y = _Upright(smallest if shares else 1, tallest, top, bottom)
    parts = [part for level, text in y.ticks(percent=shares) for part in _level(level, text, left, right)]
    for index, (each, height, counts) in enumerate(zip(series, heights, binned, strict=True)):
        colour = "pl-b" if index else "pl-a"
        parts.append(f'<g class="{colour}">')
        if shares:
            parts.append(_legend(index, each.name, totals[index], left, width))
        kind = "pl-step" if shares else "pl-bar"
        for place, value in sorted(height.items()):
            begin, end = low + place * size, low + (place + 1) * size
            wide = max(1.5, x(end) - x(begin) - (0 if shares else 1))
            where = f"{milliseconds(begin)} to {milliseconds(end)}" if begin == floor(begin) else f"around {begin + size / 2:g}"
            told = escape(f"{each.name}: {where} {axis}: {number(counts[place])} of {number(totals[index])}")
            top_at = y(value)
            parts.append(
                f'<rect class="{kind}" x="{x(begin):.1f}" y="{top_at:.1f}" width="{wide:.1f}" '
                f'height="{max(0.5, bottom - top_at):.1f}"><title>{told}</title></rect>'
            )
        parts.append("</g>")
    what = "share of all" if shares else "how many"
    parts.append(_text(_PAD, 11.0, f"{what} (logarithmic)", "pl-small"))
    parts += _axis(x, bottom, left, right, axis)
    return _svg(width, bottom + _AXIS, title, parts)


def _legend(index: int, name: str, total: int, left: float, width: int) -> str:
    room = (width - left - _PAD) / 2
    at = left + index * room
    count = f" ({number(total)})"
    text = f"{'AB'[index]}: {_fitted(name, room - 18 - (3 + len(count)) * _CHARACTER_PX)}{count}"
    return f'<rect class="pl-dot" x="{at:.1f}" y="19" width="9" height="9" rx="2"/>' + _text(at + 14, 28, text, "pl-small")


def _bins(low: float, high: float) -> tuple[float, float, float]:
    """Round limits and a round width: least, most, width."""
    span = max(high - low, 1e-9)
    size = max(1.0, span / _BINS)
    magnitude = 10.0 ** floor(log10(size))
    size = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= size - 1e-9)
    begin, end = floor(low / size) * size, (floor(high / size) + 1) * size
    if end - begin < 10 * size:  # hardly any spread: room around it
        begin, end = begin - 5 * size, end + 5 * size
    return begin, end, size


def _binned(series: Series, low: float, size: float) -> dict[int, int]:
    found: dict[int, int] = {}
    for value, count in series.counts.items():
        place = floor((value / series.per_unit - low) / size + 1e-9)
        found[place] = found.get(place, 0) + count
    return found or {0: 0}


class _Upright:
    """A logarithmic axis from the bottom up; the smallest value is still visible."""

    def __init__(self, smallest: float, tallest: float, top: float, bottom: float) -> None:
        self._first = floor(log10(max(smallest, 1e-9)) - 0.2)
        self._last = max(self._first + 1, ceil(log10(max(tallest, 1e-9)) - 1e-9))
        self._top, self._bottom = top, bottom

    def __call__(self, value: float) -> float:
        if value <= 0:
            return self._bottom
        share = (log10(value) - self._first) / (self._last - self._first)
        return self._bottom - share * (self._bottom - self._top)

    def ticks(self, *, percent: bool) -> list[tuple[float, str]]:
        """Powers of ten."""
        found = []
        for power in range(self._first, self._last + 1):
            if percent:
                found.append((self(10.0**power), f"{10.0 ** (power + 2):g} %"))
            elif power >= 0:
                found.append((self(10.0**power), number(10**power)))
        return found


# -- rows ---------------------------------------------------------------------------------------------------------------------


def ranges(rows: Sequence[Range], *, title: str, axis: str, width: int = 960) -> str:
    """Row by row: a dot at the median, a stroke at the 99th percentile, a ring at the maximum."""
    frame = _Rows(rows, [row.name for row in rows], width)
    positive = [value for row in rows if row.count for value in (row.median, row.p99, row.max) if value > 0]
    scale = _scale(positive, frame.left, frame.right)
    parts = list(frame.grid(scale))
    for row, y in frame.rows():
        if row.count:
            told = (
                f"{row.name}: median {milliseconds(row.median)}, p99 {milliseconds(row.p99)}, max {milliseconds(row.max)} "
                f"{axis}, {number(row.count)} measured"
            )
            a, b, c = (scale(value) for value in (row.median, row.p99, row.max))
            parts.append(
                f'<g class="pl-a"><title>{escape(told)}</title>'
                f'<line class="pl-range" x1="{a:.1f}" x2="{c:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<line class="pl-tick" x1="{b:.1f}" x2="{b:.1f}" y1="{y - 5:.1f}" y2="{y + 5:.1f}"/>'
                f'<circle class="pl-far" cx="{c:.1f}" cy="{y:.1f}" r="4"/>'
                f'<circle class="pl-dot" cx="{a:.1f}" cy="{y:.1f}" r="4"/></g>'
            )
        parts.append(frame.label(row.name, y))
        parts.append(frame.figure(number(row.count) if row.count else "none", y))
    parts += _axis(scale, frame.bottom, frame.left, frame.right, axis)
    return _svg(width, frame.bottom + _AXIS, title, parts)


def amounts(rows: Sequence[Amount], *, title: str, axis: str, width: int = 960) -> str:
    """Row by row: a bar, and a mark where the minimum is; a row below its minimum is red."""
    frame = _Rows(rows, [row.name for row in rows], width)
    positive = [float(value) for row in rows for value in (row.value, row.least or 0) if value > 0]
    scale = _scale(positive, frame.left, frame.right)
    parts = list(frame.grid(scale))
    for row, y in frame.rows():
        short = row.least is not None and row.value < row.least
        least = "" if row.least is None else f", at least {number(row.least)}"
        parts.append(
            f'<g class="{"pl-bad" if short else "pl-a"}"><title>{escape(f"{row.name}: {number(row.value)}{least}")}</title>'
        )
        start, end = scale(0), scale(row.value)
        parts.append(f'<rect class="pl-bar" x="{start:.1f}" y="{y - 5:.1f}" width="{max(0.0, end - start):.1f}" height="10"/>')
        if row.least:
            at = scale(row.least)
            parts.append(f'<line class="pl-least" x1="{at:.1f}" x2="{at:.1f}" y1="{y - 7:.1f}" y2="{y + 7:.1f}"/>')
        parts.append("</g>")
        parts.append(frame.label(row.name, y))
        parts.append(frame.figure(number(row.value), y))
    parts += _axis(scale, frame.bottom, frame.left, frame.right, axis)
    return _svg(width, frame.bottom + _AXIS, title, parts)


_T = TypeVar("_T")


class _Rows(Generic[_T]):
    """Where rows, their names and their figures go."""

    def __init__(self, rows: Sequence[_T], names: Sequence[str], width: int) -> None:
        self._rows = rows
        self._narrow = width < _NARROW
        longest = max((len(name) for name in names), default=0) * _CHARACTER_PX
        self.left = float(_PAD) if self._narrow else _PAD + min(longest, 330.0) + 14
        self.right = float(width - _PAD - 74)
        self._end = float(width - _PAD)
        self._height = _ROW_NARROW if self._narrow else _ROW
        self.bottom = 10.0 + max(1, len(rows)) * self._height

    def rows(self) -> Iterator[tuple[_T, float]]:
        """Each row, and the height of its line."""
        for index, row in enumerate(self._rows):
            yield row, 10 + (index + 1) * self._height - (9 if self._narrow else self._height / 2)

    def label(self, name: str, y: float) -> str:
        """The row's name."""
        if self._narrow:
            return _text(_PAD, y - 12, _fitted(name, self._end - _PAD), "pl-text")
        return _text(self.left - 14, y + 4, _fitted(name, self.left - _PAD), "pl-text", anchor="end")

    def figure(self, text: str, y: float) -> str:
        """What stands at the row's end."""
        return _text(self._end, y + 4, text, "pl-small", anchor="end")

    def grid(self, scale: _Scale) -> Iterator[str]:
        """Lines through all rows."""
        for tick in scale.ticks():
            x = scale(tick)
            yield f'<line class="pl-grid" x1="{x:.1f}" x2="{x:.1f}" y1="10" y2="{self.bottom:.1f}"/>'


def _scale(positive: Sequence[float], left: float, right: float) -> _Scale:
    """Logarithmic where the values differ by more than a factor of 30."""
    if not positive:
        return _Linear(0, 1, left, right)
    least, most = min(positive), max(positive)
    if most > 30 * least:
        # Below a thousandth of the greatest, a difference is no longer worth the room: it is drawn beside zero.
        return _Log(max(least, most / 1000), most, left, right)
    return _Linear(0, most * 1.05, left, right)


# -- pieces -------------------------------------------------------------------------------------------------------------------


def _axis(scale: _Scale, y: float, left: float, right: float, name: str) -> Iterator[str]:
    yield f'<line class="pl-base" x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
    for tick in scale.ticks():
        x = scale(tick)
        yield f'<line class="pl-base" x1="{x:.1f}" x2="{x:.1f}" y1="{y:.1f}" y2="{y + 5:.1f}"/>'
        yield _text(x, y + 18, f"{tick:,.10g}", "pl-small", anchor="middle")
    suffix = " (logarithmic)" if isinstance(scale, _Log) else ""
    yield _text((left + right) / 2, y + 36, name + suffix, "pl-text", anchor="middle")


def _level(y: float, text: str, left: float, right: float) -> Iterable[str]:
    yield f'<line class="pl-grid" x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
    yield _text(left - 6, y + 4, text, "pl-small", anchor="end")


def _fitted(text: str, room: float) -> str:
    most = max(4, int(room / _CHARACTER_PX))
    return text if len(text) <= most else text[: most - 1] + "\u2026"


def _text(x: float, y: float, text: str, kind: str, *, anchor: str = "start") -> str:
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{where}>{escape(text)}</text>'


def _svg(width: int, height: float, title: str, parts: Iterable[str]) -> str:
    box = f'viewBox="0 0 {width} {height:.0f}" role="img" aria-label="{escape(title)}"'
    return "\n".join([f'<svg class="pl" xmlns="http://www.w3.org/2000/svg" {box}>', *parts, "</svg>"])
