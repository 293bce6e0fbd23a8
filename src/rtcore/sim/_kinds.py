"""When and by what an interruption comes: the kinds, their weights, and one interruption drawn ahead.

To add a kind: its name and row here, how it is aimed in ``_aim``, and what the user does in ``user`` (``_cut_in``).
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from rtcore.sim._rng import Rng

Kind = Literal[
    "before the first event",
    "between declaration and audio",
    "on the first sample",
    "inside message 1",
    "at the boundary",
    "inside message 2",
    "in an underrun",
    "after all audio arrived",
    "after all was heard",
    "twice within 100 ms",
    "during a function call",
    "interrupt() by the program",
    "interrupt() before the response",
    "typed text",
    "manual turn",
    "local detector",
    "while paused",
    "at the end of an item",
    "between two deltas",
    "with nothing queued",
    "while a truncate is in flight",
    "cough",
    "backchannel",
    "silence",
    "pressed twice",
    "interrupt() of one response",
]
"""When and by what an interruption comes."""

Weights = tuple[tuple[Kind, int], ...]
"""Kinds with their weights."""


class KindRow(Struct, frozen=True):
    """A kind's weight where the server finds turns by itself, its weight where they are made by hand, and the fault (a name of
    ``rtcore.sim.faults``) without which it does not come up; None for those that every world may have."""

    kind: Kind
    by_speech: int
    by_hand: int
    fault: str | None = None


KINDS: tuple[KindRow, ...] = (
    KindRow("before the first event", 6, 0),
    KindRow("between declaration and audio", 7, 0),
    KindRow("on the first sample", 8, 0),
    KindRow("inside message 1", 14, 0),
    KindRow("at the boundary", 11, 0),
    KindRow("inside message 2", 11, 0),
    KindRow("in an underrun", 6, 0),
    KindRow("after all audio arrived", 10, 0),
    KindRow("after all was heard", 4, 0),
    KindRow("twice within 100 ms", 6, 0),
    KindRow("during a function call", 5, 0),
    KindRow("interrupt() by the program", 4, 12),
    KindRow("interrupt() before the response", 4, 8, "program: interrupt before response.created"),
    KindRow("typed text", 6, 15, "user: typed text while the model speaks"),
    KindRow("manual turn", 0, 50),
    KindRow("local detector", 3, 8),
    KindRow("while paused", 4, 7, "program: pauses"),
    KindRow("at the end of an item", 12, 10, "user: end of an item"),
    KindRow("between two deltas", 13, 13, "user: between two deltas"),
    KindRow("with nothing queued", 6, 6, "user: with nothing queued"),
    KindRow("while a truncate is in flight", 8, 6, "user: while a truncate is in flight"),
    KindRow("cough", 8, 0, "user: cough"),
    KindRow("backchannel", 8, 0, "user: backchannel"),
    KindRow("silence", 4, 0, "user: silence"),
    KindRow("interrupt() of one response", 4, 8),
    KindRow("pressed twice", 0, 15, "user: pressed twice"),
)
"""The default mix."""


def weights(*, by_speech: bool, faults: set[str]) -> Weights:
    """The kinds that come up in a world with these faults."""
    rows = ((row.kind, row.by_speech if by_speech else row.by_hand, row.fault) for row in KINDS)
    return tuple((kind, weight) for kind, weight, fault in rows if weight and (fault is None or fault in faults))


class Turn(Struct, frozen=True):
    """One interruption, with everything that the user draws for it; the turn of the user that follows it is part of it.

    ``share`` (of 1000) is how far into its target it falls, ``sample`` how many samples off the mark, ``at_stop`` whether the
    silence or the news of it is aimed, ``delay`` (ms, at most 400) how long the user waits where nothing has to be hit. ``seed``
    is for all small draws: how long a turn takes, which words are typed, what the program does beside.
    """

    kind: Kind
    share: int
    sample: int
    at_stop: bool
    delay: int
    seed: int


def draw_turn(rng: Rng, kinds: Sequence[tuple[Kind, int]]) -> Turn:
    """One interruption. Its draws come from a stream of its own, so that leaving it out shifts no other."""
    seed = rng.bits() >> 16  # small enough for any reader of JSON
    return draw_aim(Rng(seed).fork("aim"), kinds, seed)


def draw_aim(rng: Rng, kinds: Sequence[tuple[Kind, int]], seed: int) -> Turn:
    """Where the interruption with this seed is to fall."""
    roll = rng.below(sum(weight for _, weight in kinds))
    chosen = kinds[0][0]
    for kind, weight in kinds:
        roll -= weight
        if roll < 0:
            chosen = kind
            break
    return Turn(chosen, rng.below(1000), rng.between(-1, 1), rng.chance(500), rng.between(0, 400), seed)
