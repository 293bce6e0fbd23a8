"""What a session keeps: a pure walk over its objects that counts entries of containers and bytes of audio (invariant 13).

It asks neither the allocator nor the garbage collector: a number of entries is the same on every machine, and it is entries that
grow where memory leaks. The configuration and tables of modules are not walked: they belong to nobody's conversation.

A place is named by the attributes on the way, members of containers by ``[]``: ``_core.history._items[].parts`` are the parts
of all items together.
"""

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from enum import Enum
from typing import Any

from msgspec import Struct


class _Example:
    """What Python calls a slot, a function and a method."""

    __slots__ = ("slot",)

    def method(self) -> None:
        """Nothing."""


_SLOT, _FUNCTION, _METHOD = type(vars(_Example)["slot"]), type(_Example.method), type(_Example().method)
_LEAVES = (str, int, float, bool, type(None), Enum, type, _FUNCTION, _METHOD)
_OUTSIDE = ("rtcore.config", "rtcore.dialects", "pydantic", "msgspec")
"""Modules whose objects are settings and tables."""


class Footprint(Struct, frozen=True):
    """Entries of containers and bytes of sound, by place. Empty ones are left out."""

    entries: dict[str, int]
    audio: dict[str, int]

    @property
    def total(self) -> int:
        """Entries of all containers."""
        return sum(self.entries.values())

    @property
    def audio_bytes(self) -> int:
        """Bytes of sound held anywhere."""
        return sum(self.audio.values())

    def under(self, *places: str) -> int:
        """Entries at these places and below them."""
        return sum(
            count
            for place, count in self.entries.items()
            if any(place == p or place.startswith((f"{p}.", f"{p}[")) for p in places)
        )

    def without(self, *places: str) -> dict[str, int]:
        """Everything else than these places and what is below them."""
        return {
            place: count
            for place, count in self.entries.items()
            if not any(place == p or place.startswith((f"{p}.", f"{p}[")) for p in places)
        }


def footprint(root: object, *, without: Collection[str] = ()) -> Footprint:
    """Walk everything that ``root`` holds, but not into the places ``without``.

    Each object counts once, at the first place where it is met.
    """
    entries: dict[str, int] = {}
    audio: dict[str, int] = {}
    seen: set[int] = set()
    queue: deque[tuple[str, object]] = deque([("", root)])
    while queue:
        place, value = queue.popleft()
        if isinstance(value, _LEAVES) or id(value) in seen or place in without:
            continue
        seen.add(id(value))
        if isinstance(value, bytes | bytearray | memoryview):
            if len(value):
                audio[place] = audio.get(place, 0) + memoryview(value).nbytes
        elif isinstance(value, Mapping):
            _count(entries, place, len(value))
            for key, member in value.items():
                queue += ((f"{place}[]", key), (f"{place}[]", member))
        elif isinstance(value, list | tuple | set | frozenset | deque):
            _count(entries, place, len(value))
            queue.extend((f"{place}[]", member) for member in value)
        elif not type(value).__module__.startswith(_OUTSIDE):
            queue.extend((f"{place}.{name}" if place else name, member) for name, member in _attributes(value))
    return Footprint(dict(sorted(entries.items())), dict(sorted(audio.items())))


def _count(entries: dict[str, int], place: str, count: int) -> None:
    if count:
        entries[place] = entries.get(place, 0) + count


def _attributes(value: object) -> Iterator[tuple[str, Any]]:
    """Attributes that are stored: those of ``__dict__``, of slots, and fields of Structs; nothing that is computed."""
    for name, member in getattr(value, "__dict__", {}).items():
        yield name, member
    for kind in type(value).__mro__:
        for name, descriptor in vars(kind).items():
            if isinstance(descriptor, _SLOT):
                member = getattr(value, name, None)
                if member is not None:
                    yield name, member
