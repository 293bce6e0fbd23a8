"""Two campaigns side by side: every figure, the difference, and how far chance alone could have moved it.

A figure is a ratio of two sums over worlds (milliseconds of old sound per barge-in, say), so each world is one ``row`` of
integers. Where both campaigns ran the same seeds, worlds are compared in pairs, and what the seeds themselves bring cancels out.
The interval is the usual one for a ratio of sums (each world's part in the difference, linearised; 1.96 standard errors). All of
it is integer and rational arithmetic: the same figures on every machine.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from math import isqrt

from msgspec import Struct

from rtcore.sim.results import CampaignResult, Counts, WorldResult, spread

Row = tuple[int, ...]
"""One world in integers: ``COLUMNS``, in their order."""

LONG_MS = 200
"""Old sound for longer than this after a barge-in is what people notice as being talked over."""

FEWEST = 10
"""Worlds in which a figure must have been measured before a difference is called certain."""

_STEPS = 10**9
_SPREAD = Fraction(196, 100)  # standard errors on each side: 95 of 100 intervals hold the true difference


def _size(counts: Iterable[Counts]) -> int:
    return sum(abs(value) * count for each in counts for value, count in each.items())


def _count(counts: Iterable[Counts]) -> int:
    return sum(count for each in counts for count in each.values())


def _verdicts(*names: str) -> Callable[[WorldResult], int]:
    return lambda world: sum(kind.verdicts.get(name, 0) for kind in world.kinds for name in names)


def _above(counts: Iterable[Counts], limit: int) -> int:
    return sum(count for each in counts for value, count in each.items() if value > limit)


COLUMNS: dict[str, Callable[[WorldResult], int]] = {
    "interruptions": lambda world: world.interruptions,
    "simulated_ms": lambda world: world.simulated_ms,
    "idle_ms": lambda world: world.idle_ms,
    "cuts": lambda world: world.cuts,
    "cuts_estimated": lambda world: world.cuts_estimated,
    "truncation_error_ms": lambda world: _size(kind.truncation_error_ms for kind in world.kinds),
    "truncations": lambda world: _count(kind.truncation_error_ms for kind in world.kinds),
    "estimated_error_ms": lambda world: _size(kind.estimated_error_ms for kind in world.kinds),
    "estimates": lambda world: _count(kind.estimated_error_ms for kind in world.kinds),
    "misled_error_ms": lambda world: _size(kind.misled_error_ms for kind in world.kinds),
    "misled": lambda world: _count(kind.misled_error_ms for kind in world.kinds),
    "talked_over_us": lambda world: _size(kind.talked_over_us for kind in world.kinds),
    "talks_over": lambda world: _count(kind.talked_over_us for kind in world.kinds),
    "answer_us": lambda world: _size(kind.answer_us for kind in world.kinds),
    "answers": lambda world: _count(kind.answer_us for kind in world.kinds),
    "silence_us": lambda world: _size(kind.silence_us for kind in world.kinds),
    "silences": lambda world: _count(kind.silence_us for kind in world.kinds),
    "silences_long": lambda world: _above((kind.silence_us for kind in world.kinds), LONG_MS * 1000),
    "messages": _verdicts("full", "partial", "skipped"),
    "partial": _verdicts("partial"),
    "skipped": _verdicts("skipped"),
    "unheard_left": lambda world: world.unheard_left,
    "unanswered": lambda world: world.turns_unanswered,
    "server_errors": lambda world: sum(world.server_errors.values()),
    "violations": lambda world: len(world.violations),
}
"""What is kept of each world."""


class Measure(Struct, frozen=True):
    """One figure: ``per_unit`` times the sum of one column, for each of another; ``unit`` is its unit."""

    name: str
    unit: str
    of: str
    per: str
    times: Fraction = Fraction(1)


_THOUSAND, _PERCENT = Fraction(1000), Fraction(100)

MEASURES: tuple[Measure, ...] = (
    Measure("truncation error, mean", "ms", "truncation_error_ms", "truncations"),
    Measure("cuts estimated", "% of cuts", "cuts_estimated", "cuts", _PERCENT),
    Measure("estimated error, mean", "ms", "estimated_error_ms", "estimates"),
    Measure("error where the clock was wrong, mean", "ms", "misled_error_ms", "misled"),
    Measure("barge-in to silence, mean", "ms", "talked_over_us", "talks_over", Fraction(1, 1000)),
    Measure("turn to answer, mean", "ms", "answer_us", "answers", Fraction(1, 1000)),
    Measure("silence after barge-in, mean", "ms", "silence_us", "silences", Fraction(1, 1000)),
    Measure(f"silence later than {LONG_MS} ms", "% of barge-ins", "silences_long", "silences", _PERCENT),
    Measure("messages cut short", "% of messages", "partial", "messages", _PERCENT),
    Measure("messages not heard at all", "% of messages", "skipped", "messages", _PERCENT),
    Measure("unheard messages left", "per 1000 interruptions", "unheard_left", "interruptions", _THOUSAND),
    Measure("turns unanswered", "per 1000 interruptions", "unanswered", "interruptions", _THOUSAND),
    Measure("server errors", "per 1000 interruptions", "server_errors", "interruptions", _THOUSAND),
    Measure("invariants broken", "per 1000 interruptions", "violations", "interruptions", _THOUSAND),
    Measure("conversation", "s per interruption", "simulated_ms", "interruptions", Fraction(1, 1000)),
    Measure("of it nothing happens", "%", "idle_ms", "simulated_ms", _PERCENT),
)
"""What is compared."""


def row(world: WorldResult) -> Row:
    """One world in integers."""
    return tuple(column(world) for column in COLUMNS.values())


class Difference(Struct, frozen=True):
    """One figure of two campaigns. ``a`` and ``b`` are None where nothing was measured.

    ``spread`` is how far the difference ``b - a`` may lie from the true one on either side; None where it cannot be told (fewer
    than two worlds). ``worlds`` is in how many worlds it was measured, of the campaign that has fewer.
    """

    measure: Measure
    a: Fraction | None
    b: Fraction | None
    spread: Fraction | None
    worlds: int

    @property
    def difference(self) -> Fraction | None:
        """``b - a``."""
        return None if self.a is None or self.b is None else self.b - self.a

    @property
    def certain(self) -> bool:
        """It is larger than its spread: no accident, in 95 of 100 comparisons. Of few worlds, a spread says too little."""
        enough = self.spread is not None and self.worlds >= FEWEST
        return enough and self.difference is not None and self.spread is not None and abs(self.difference) > self.spread


def compare(a: Sequence[Row], b: Sequence[Row], *, paired: bool) -> tuple[Difference, ...]:
    """Every measure of ``a`` and ``b``; ``paired`` where the worlds at the same place have the same seed.

    Raises ValueError where paired campaigns are of different lengths.
    """
    if paired and len(a) != len(b):
        raise ValueError(f"pairs of {len(a)} and {len(b)} worlds")
    return tuple(_difference(measure, a, b, paired) for measure in MEASURES)


_PLACE: Mapping[str, int] = {name: place for place, name in enumerate(COLUMNS)}


class _Ratio:
    """A ratio of sums, and each world's part in its deviation (integers over one common denominator)."""

    def __init__(self, measure: Measure, rows: Sequence[Row]) -> None:
        of, per = _PLACE[measure.of], _PLACE[measure.per]
        self._pairs = [(row[of], row[per]) for row in rows]
        self._of = sum(y for y, _ in self._pairs)
        self._per = sum(x for _, x in self._pairs)
        self.worlds = sum(x > 0 for _, x in self._pairs)
        self._times = measure.times
        self.value = measure.times * Fraction(self._of, self._per) if self._per else None

    def parts(self) -> list[int]:
        """World by world ``y - ratio * x``, times the sum of x: they sum to 0."""
        return [y * self._per - self._of * x for y, x in self._pairs]

    @property
    def scale(self) -> Fraction:
        """What makes of a part its share in the ratio's deviation, for n worlds: times n / sum(x), over the sum of x."""
        return self._times * len(self._pairs) / Fraction(self._per * self._per)


def _difference(measure: Measure, a: Sequence[Row], b: Sequence[Row], paired: bool) -> Difference:
    first, second = _Ratio(measure, a), _Ratio(measure, b)
    worlds = min(first.worlds, second.worlds)
    if first.value is None or second.value is None or min(len(a), len(b)) < 2:
        return Difference(measure, first.value, second.value, None, worlds)
    if paired:
        # Over a common denominator, so that the sum of squares runs on integers.
        left, right = first.scale, second.scale
        base = left.denominator * right.denominator
        by_a, by_b = left.numerator * right.denominator, right.numerator * left.denominator
        squares = sum((by_b * y - by_a * x) ** 2 for x, y in zip(first.parts(), second.parts(), strict=True))
        variance = Fraction(squares, base * base * len(a) * (len(a) - 1))
    else:
        variance = sum((_variance(each, len(rows)) for each, rows in ((first, a), (second, b))), Fraction(0))
    return Difference(measure, first.value, second.value, _SPREAD * _root(variance), worlds)


def _variance(ratio: _Ratio, worlds: int) -> Fraction:
    scale = ratio.scale
    return scale * scale * sum(part * part for part in ratio.parts()) / (worlds * (worlds - 1))


def _root(value: Fraction) -> Fraction:
    """The square root, rounded down in its ninth decimal place or later: whole numbers alone, so the same everywhere."""
    below = value.denominator
    return Fraction(isqrt(value.numerator * below * _STEPS * _STEPS), below * _STEPS)


DISTRIBUTIONS: tuple[tuple[str, str, int], ...] = (
    ("truncation error", "truncation_error_ms", 1),
    ("estimated error", "estimated_error_ms", 1),
    ("error where the clock was wrong", "misled_error_ms", 1),
    ("silence after barge-in", "silence_us", 1000),
    ("barge-in to silence", "talked_over_us", 1000),
    ("turn to answer", "answer_us", 1000),
)
"""What is measured in milliseconds: name, field of ``KindResult``, and how many of its units make a millisecond."""


class Ranks(Struct, frozen=True):
    """A distribution of two campaigns, by its ranks: what means hide."""

    name: str
    unit: str
    a: tuple[float, float, float]
    b: tuple[float, float, float]
    counts: tuple[int, int]


def ranks(a: CampaignResult, b: CampaignResult) -> tuple[Ranks, ...]:
    """Median, 99th percentile and maximum of what is measured in milliseconds."""
    found = []
    for name, field, per_unit in DISTRIBUTIONS:
        x, y = (spread((getattr(kind, field) for kind in each.kinds), per_unit) for each in (a, b))
        found.append(Ranks(name, "ms", (x.median, x.p99, x.max), (y.median, y.p99, y.max), (x.count, y.count)))
    return tuple(found)
