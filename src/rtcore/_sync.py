"""The least number of changes that make one sequence out of another: which entries may stay where they are.

Every entry that does not stay costs an event on either side, so the most that can stay, in order, is the least that has to be
sent. What cannot be moved counts for more than everything else together. Numbers alone: no items, no events.
"""

from collections.abc import Sequence
from typing import NamedTuple


class _Node(NamedTuple):
    """The end of a chain of entries that stay: what was wanted, where it stands, and what comes before it."""

    score: int
    wanted: int
    place: int
    before: "_Node | None"


def staying(candidates: Sequence[Sequence[int]], heavy: Sequence[bool]) -> dict[int, int]:
    """Which wanted entries stay at which of the places in use: the heaviest chain in which both go up.

    ``candidates`` names, for each wanted entry, the places (from 0) that hold what is wanted; ``heavy`` says of each place
    whether what stands there cannot be moved. Takes time in proportion to the pairs, times the logarithm of the places.
    """
    size = len(heavy)
    best: list[_Node | None] = [None] * (size + 1)  # a Fenwick tree of maxima over the places
    whole: _Node | None = None
    for wanted, places in enumerate(candidates):
        # From the last place on, so that one wanted entry never follows itself.
        for place in sorted(places, reverse=True):
            before = _best(best, place)
            score = (before.score if before is not None else 0) + (size + 1 if heavy[place] else 1)
            node = _Node(score, wanted, place, before)
            at = place + 1
            while at <= size:
                held = best[at]
                if held is None or held.score < score:
                    best[at] = node
                at += at & -at
            if whole is None or whole.score < score:
                whole = node
    found: dict[int, int] = {}
    while whole is not None:
        found[whole.wanted] = whole.place
        whole = whole.before
    return found


def _best(tree: list[_Node | None], places: int) -> _Node | None:
    """The heaviest chain that ends at one of the first ``places``."""
    found: _Node | None = None
    at = places
    while at > 0:
        held = tree[at]
        if held is not None and (found is None or found.score < held.score):
            found = held
        at -= at & -at
    return found
