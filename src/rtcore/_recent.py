"""Memory of what came last, with a bound: for ids whose late news must be recognised, but not for ever."""

from itertools import islice
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def keep_latest(entries: dict[K, V], most: int) -> list[K]:
    """Forget the oldest entries beyond ``most``; dicts keep the order in which keys came. Gives the keys that were forgotten."""
    forgotten = list(islice(entries, max(0, len(entries) - most)))
    for key in forgotten:
        del entries[key]
    return forgotten
