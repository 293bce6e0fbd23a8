"""What a campaign must have met: fuzzing that never reached a situation proves nothing about it.

Each entry is a situation that the auditor recognises by itself or a part of the world counts (a fault that struck), the ids of
the behaviours and failures that it stands for, and how often a million interruptions have to meet it at least. The minimum is
about a quarter of what was measured, so that chance does not break a campaign and a hole in the world does.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

_MILLION = 1_000_000
_WARM_UP = 5_000
"""Worlds come in lumps: so few interruptions prove nothing about what was missed."""


class Sometimes(Struct, frozen=True):
    """One situation: ``id`` is its key in ``situations``, ``covers`` names behaviours (B, C, S) and failures (F)."""

    id: str
    what: str
    covers: tuple[str, ...]
    per_million: int
    """At least so often in a million interruptions."""

    def least(self, interruptions: int) -> int:
        """How often a campaign of so many interruptions must have met it: nothing is demanded of the first 5,000."""
        return max(0, interruptions - _WARM_UP) * self.per_million // _MILLION


class Met(Protocol):
    """What is asked of a result: how large the campaign was, and what came up."""

    @property
    def interruptions(self) -> int:
        """How many interruptions there were."""

    @property
    def situations(self) -> Mapping[str, int]:
        """How often each situation came up."""


SOMETIMES: tuple[Sometimes, ...] = (
    Sometimes("B15: response dead on arrival", "interrupted before it was created", ("B15", "F035"), 5_000),
    Sometimes("B10: late audio after a cut", "audio of a cut response arrived", ("B10", "C10", "F035"), 100_000),
    Sometimes("interrupted", "a cut left something unheard", ("C02",), 300_000),
)
"""Everything that has to come up."""


def missed(result: Met, table: Sequence[Sometimes] = SOMETIMES) -> list[str]:
    """What a campaign met too rarely, in words; empty for one that met everything."""
    found = []
    for one in table:
        seen, least = result.situations.get(one.id, 0), one.least(result.interruptions)
        if seen < least:
            found.append(f"{one.id}: {seen} times in {result.interruptions} interruptions, {least} at least")
    return found
