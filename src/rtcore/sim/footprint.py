"""What a session keeps: a pure walk over its objects that counts entries of containers and bytes of audio (invariant 13).

It asks neither the allocator nor the garbage collector: a number of entries is the same on every machine, and it is entries that
grow where memory leaks. The configuration and tables of modules are not walked: they belong to nobody's conversation.

A place is named by the attributes on the way, members of containers by ``[]``: ``_core.history._items[].parts`` are the parts
of all items together.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from enum import Enum

from msgspec import Struct


class _Example:
    """What Python calls a slot, a function and a method."""

    __slots__ = ("slot",)

    def method(self) -> None:
        """Nothing."""


_SLOT, _FUNCTION, _METHOD = type(vars(_Example)["slot"]), type(_Example.method), type(_Example().method)
_PLAIN = frozenset({str, int, float, bool, type(None)})
"""Nearly everything that is met is of one of these types, and holds nothing."""
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
            for item in value.items():
                _enqueue(queue, f"{place}[]", item)
        elif isinstance(value, list | tuple | set | frozenset | deque):
            _count(entries, place, len(value))
            _enqueue(queue, f"{place}[]", value)
        elif not type(value).__module__.startswith(_OUTSIDE):
            before = f"{place}." if place else ""
            for name, member in getattr(value, "__dict__", {}).items():
                if type(member) not in _PLAIN:
                    queue.append((before + name, member))
            for name in _slots(type(value)):
                member = getattr(value, name, None)
                if type(member) not in _PLAIN:
                    queue.append((before + name, member))
    return Footprint(dict(sorted(entries.items())), dict(sorted(audio.items())))


def _count(entries: dict[str, int], place: str, count: int) -> None:
    if count:
        entries[place] = entries.get(place, 0) + count


def _enqueue(queue: deque[tuple[str, object]], place: str, members: Iterable[object]) -> None:
    queue.extend([(place, member) for member in members if type(member) not in _PLAIN])


_SLOTS: dict[type, tuple[str, ...]] = {}


def _slots(kind: type) -> tuple[str, ...]:
    """Attributes that are stored outside of ``__dict__``: slots and fields of Structs; nothing that is computed."""
    names = _SLOTS.get(kind)
    if names is None:
        names = tuple(name for base in kind.__mro__ for name, found in vars(base).items() if isinstance(found, _SLOT))
        _SLOTS[kind] = names
    return names
