"""What a world found out, in numbers that can be added: the same figures whoever adds them, in whatever grouping.

Distributions are kept as counts by value, so that joining two is exact; percentiles are the nearest rank, by integers alone.
"""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from msgspec import Struct

_K = TypeVar("_K", int, str)

Counts = dict[int, int]
"""How often each value was measured."""


class Spread(Struct, frozen=True):
    """A distribution in short: how many were measured, the middle, the 99th percentile, the greatest."""

    count: int
    median: float
    p99: float
    max: float


class WordErrors(Struct, frozen=True):
    """How far the words told as heard were off: the share that was not, and the sizes in words; ``mean`` keeps the sign."""

    count: int
    exact: float
    median: int
    p95: int
    p99: int
    max: int
    mean: float


class Violation(Struct, frozen=True):
    """A broken invariant of DESIGN section 6: its number, what happened, and when in the world of this seed (seconds)."""

    seed: int
    invariant: int
    at: float
    text: str


class KindResult(Struct, frozen=True):
    """Everything measured for one kind of interruption.

    ``truncation_error_ms`` counts by (milliseconds told to the server - milliseconds truly heard, floored); cuts that the clock
    did not answer are in ``estimated_error_ms`` instead, and those that a wrong or coarse clock misled in ``misled_error_ms``.
    ``silence_us`` counts by microseconds of old sound after the interruption reached the client, ``talked_over_us`` by those from
    the interruption itself to the silence, the line included, and ``answer_us`` by those from the end of the user's turn to the
    first sound of its answer. ``text_error_words`` counts, for messages that were heard in part, by words told as heard that had
    not begun to sound, or, below 0, by words whose sound was over that were not told (invariant 11). ``answered`` and
    ``unanswered`` are about the turn that followed.
    """

    kind: str
    interruptions: int = 0
    verdicts: dict[str, int] = {}
    truncation_error_ms: Counts = {}
    estimated_error_ms: Counts = {}
    silence_us: Counts = {}
    unheard_left: int = 0
    server_errors: int = 0
    answered: int = 0
    unanswered: int = 0
    misled_error_ms: Counts = {}
    talked_over_us: Counts = {}
    answer_us: Counts = {}
    text_error_words: Counts = {}

    def __add__(self, other: "KindResult") -> "KindResult":
        return KindResult(
            self.kind,
            self.interruptions + other.interruptions,
            _add(self.verdicts, other.verdicts),
            _add(self.truncation_error_ms, other.truncation_error_ms),
            _add(self.estimated_error_ms, other.estimated_error_ms),
            _add(self.silence_us, other.silence_us),
            self.unheard_left + other.unheard_left,
            self.server_errors + other.server_errors,
            self.answered + other.answered,
            self.unanswered + other.unanswered,
            _add(self.misled_error_ms, other.misled_error_ms),
            _add(self.talked_over_us, other.talked_over_us),
            _add(self.answer_us, other.answer_us),
            _add(self.text_error_words, other.text_error_words),
        )


class FaultResult(Struct, frozen=True):
    """Everything measured in the worlds in which one fault existed (``rtcore.sim.faults`` lists them).

    A world has several faults, so the rows overlap and do not add up to the campaign. The measures are those of ``KindResult``.
    """

    fault: str
    worlds: int = 0
    interruptions: int = 0
    truncation_error_ms: Counts = {}
    estimated_error_ms: Counts = {}
    silence_us: Counts = {}
    unheard_left: int = 0
    unanswered: int = 0
    misled_error_ms: Counts = {}

    def __add__(self, other: "FaultResult") -> "FaultResult":
        return FaultResult(
            self.fault,
            self.worlds + other.worlds,
            self.interruptions + other.interruptions,
            _add(self.truncation_error_ms, other.truncation_error_ms),
            _add(self.estimated_error_ms, other.estimated_error_ms),
            _add(self.silence_us, other.silence_us),
            self.unheard_left + other.unheard_left,
            self.unanswered + other.unanswered,
            _add(self.misled_error_ms, other.misled_error_ms),
        )


class _ByKind:
    """What one world and many have in common: sums over the kinds of interruption."""

    __slots__ = ()
    kinds: tuple[KindResult, ...]

    @property
    def interruptions(self) -> int:
        """How many interruptions there were."""
        return sum(kind.interruptions for kind in self.kinds)

    @property
    def unheard_left(self) -> int:
        """Items with unheard audio left in a server's conversation."""
        return sum(kind.unheard_left for kind in self.kinds)

    @property
    def turns_unanswered(self) -> int:
        """Interruptions after which the next turn got no answer."""
        return sum(kind.unanswered for kind in self.kinds)


class WorldResult(_ByKind, Struct, frozen=True):
    """What one world found out. ``digest`` covers every byte sent and every effect, with its time (invariant 14)."""

    seed: int
    settings: str
    kinds: tuple[KindResult, ...]
    violations: tuple[Violation, ...]
    cuts: int
    cuts_checked: int
    cuts_estimated: int
    server_errors: dict[str, int]
    simulated_ms: int
    digest: str
    pending_invariants: tuple[int, ...] = ()
    situations: dict[str, int] = {}
    """How often each interesting situation came up; one that never does in a campaign was not tested."""
    faults: tuple[str, ...] = ()
    """Those that existed in this world, whether or not they struck."""
    idle_ms: int = 0
    """Virtual time in which nobody spoke, nothing sounded and nothing was on its way: it costs nothing to simulate."""


class CampaignResult(_ByKind, Struct, frozen=True):
    """What many worlds found out. Join with ``+``, in the order of the seeds; ``CampaignResult()`` is nothing."""

    worlds: int = 0
    kinds: tuple[KindResult, ...] = ()
    violations: tuple[Violation, ...] = ()
    cuts: int = 0
    cuts_checked: int = 0
    cuts_estimated: int = 0
    server_errors: dict[str, int] = {}
    simulated_ms: int = 0
    digest: str = ""
    """Of the worlds' digests, in order."""
    pending_invariants: tuple[int, ...] = ()
    situations: dict[str, int] = {}
    faults: tuple[FaultResult, ...] = ()
    idle_ms: int = 0

    @classmethod
    def of(cls, world: WorldResult) -> "CampaignResult":
        """A campaign of one world."""
        return cls(
            worlds=1,
            kinds=world.kinds,
            violations=world.violations,
            cuts=world.cuts,
            cuts_checked=world.cuts_checked,
            cuts_estimated=world.cuts_estimated,
            server_errors=world.server_errors,
            simulated_ms=world.simulated_ms,
            digest=world.digest,
            pending_invariants=world.pending_invariants,
            situations=world.situations,
            faults=_by_fault(world),
            idle_ms=world.idle_ms,
        )

    def __add__(self, other: "CampaignResult") -> "CampaignResult":
        kinds = {kind.kind: kind for kind in self.kinds}
        for kind in other.kinds:
            kinds[kind.kind] = kinds[kind.kind] + kind if kind.kind in kinds else kind
        faults = {fault.fault: fault for fault in self.faults}
        for fault in other.faults:
            faults[fault.fault] = faults[fault.fault] + fault if fault.fault in faults else fault
        return CampaignResult(
            worlds=self.worlds + other.worlds,
            kinds=tuple(kinds[name] for name in sorted(kinds)),
            violations=self.violations + other.violations,
            cuts=self.cuts + other.cuts,
            cuts_checked=self.cuts_checked + other.cuts_checked,
            cuts_estimated=self.cuts_estimated + other.cuts_estimated,
            server_errors=_add(self.server_errors, other.server_errors),
            simulated_ms=self.simulated_ms + other.simulated_ms,
            digest=_join(self.digest, other.digest),
            pending_invariants=tuple(sorted({*self.pending_invariants, *other.pending_invariants})),
            situations=_add(self.situations, other.situations),
            faults=tuple(faults[name] for name in sorted(faults)),
            idle_ms=self.idle_ms + other.idle_ms,
        )

    @property
    def truncation_error_ms(self) -> Spread:
        """Size of (told - truly heard) where the clock answered, in milliseconds."""
        return spread(kind.truncation_error_ms for kind in self.kinds)

    @property
    def estimated_error_ms(self) -> Spread:
        """Size of (told - truly heard) where it did not, in milliseconds."""
        return spread(kind.estimated_error_ms for kind in self.kinds)

    @property
    def misled_error_ms(self) -> Spread:
        """Size of (told - truly heard) where a wrong or coarse clock misled the core, or only a server on a call knew, in ms."""
        return spread(kind.misled_error_ms for kind in self.kinds)

    @property
    def text_error_words(self) -> WordErrors | None:
        """How far the text of messages that were heard in part was off, in words; None where nothing was measured."""
        return word_errors(kind.text_error_words for kind in self.kinds)

    @property
    def silence_after_barge_in_ms(self) -> Spread:
        """Old sound after the interruption reached the client, in milliseconds."""
        return spread((kind.silence_us for kind in self.kinds), 1000)


def spread(many: Iterable[Mapping[int, int]], per_unit: int = 1) -> Spread:
    """The distribution of the sizes of all values, in units of ``per_unit``."""
    sizes: Counts = {}
    for counts in many:
        for value, count in counts.items():
            sizes[abs(value)] = sizes.get(abs(value), 0) + count
    total = sum(sizes.values())
    if not total:
        return Spread(0, 0, 0, 0)
    ordered = sorted(sizes.items())
    median, p99 = _rank(ordered, (total + 1) // 2), _rank(ordered, -(-total * 99 // 100))
    return Spread(total, median / per_unit, p99 / per_unit, ordered[-1][0] / per_unit)


def word_errors(many: Iterable[Mapping[int, int]]) -> WordErrors | None:
    """The errors in words, signed, as counts by value, in short."""
    errors: Counts = {}
    for counts in many:
        errors = _add(errors, counts)
    sizes: Counts = {}
    for value, count in errors.items():
        sizes[abs(value)] = sizes.get(abs(value), 0) + count
    total = sum(sizes.values())
    if not total:
        return None
    ordered = sorted(sizes.items())
    median, p95, p99 = (_rank(ordered, -(-total * share // 100)) for share in (50, 95, 99))
    mean = sum(value * count for value, count in errors.items()) / total
    return WordErrors(total, sizes.get(0, 0) / total, median, p95, p99, ordered[-1][0], mean)


def _by_fault(world: WorldResult) -> tuple[FaultResult, ...]:
    if not world.faults:
        return ()
    total = KindResult("")
    for kind in world.kinds:
        total += kind
    return tuple(
        FaultResult(
            fault,
            worlds=1,
            interruptions=total.interruptions,
            truncation_error_ms=total.truncation_error_ms,
            estimated_error_ms=total.estimated_error_ms,
            silence_us=total.silence_us,
            unheard_left=total.unheard_left,
            unanswered=total.unanswered,
            misled_error_ms=total.misled_error_ms,
        )
        for fault in sorted(set(world.faults))
    )


def _rank(ordered: list[tuple[int, int]], rank: int) -> int:
    seen = 0
    for value, count in ordered:
        seen += count
        if seen >= rank:
            return value
    raise ValueError("a rank above the number of values")


def _add(first: Mapping[_K, int], second: Mapping[_K, int]) -> dict[_K, int]:
    joined = dict(first)
    for key, count in second.items():
        joined[key] = joined.get(key, 0) + count
    return dict(sorted(joined.items()))


def _join(first: str, second: str) -> str:
    # A sum: it does not matter how the worlds were grouped.
    return f"{(int(first or '0', 16) + int(second or '0', 16)) % (1 << 64):016x}"
