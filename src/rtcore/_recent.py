"""Memory of what came last, with a bound: for ids whose late news must be recognised, but not for ever."""

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def keep_latest(entries: dict[K, V], most: int) -> None:
    """Forget the oldest entries beyond ``most``; dicts keep the order in which keys came."""
    while len(entries) > most:
        del entries[next(iter(entries))]
