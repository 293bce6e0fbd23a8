"""An ideal listener beside the client: it sounds whatever arrives at once, in order, at real speed.

No client can have sounded more than this ear; so it says when a word can be interrupted, and what nobody can have heard.
"""

from msgspec import Struct

Key = tuple[str, int]
"""An audio part: item and content index."""


class _Chunk(Struct):
    """``samples`` of a part from sample ``first`` on, sounding from ``start`` (seconds) on."""

    first: int
    samples: int
    start: float
    rate: int


class Ear:
    """What is delivered waits for what was delivered before; ``hush`` is an interruption."""

    def __init__(self) -> None:
        self._chunks: dict[Key, list[_Chunk]] = {}
        self._free_at = 0.0
        self._dead: set[str] = set()

    def deliver(self, key: Key, response: str, first: int, samples: int, rate: int, *, now: float) -> None:
        """Audio of a response has arrived; of one that was hushed nothing sounds any more."""
        if response in self._dead or samples <= 0:
            return
        start = max(now, self._free_at)
        self._free_at = start + samples / rate
        self._chunks.setdefault(key, []).append(_Chunk(first, samples, start, rate))

    def hush(self, responses: set[str], *, now: float) -> None:
        """Silence now: what waits is dropped, and whatever else these responses say."""
        self._dead |= responses
        for chunks in self._chunks.values():
            for chunk in chunks:
                if chunk.start + chunk.samples / chunk.rate > now:
                    chunk.samples = max(0, int((now - chunk.start) * chunk.rate + 1e-3))
        self._free_at = min(self._free_at, now)

    @property
    def silent_at(self) -> float:
        """When everything that was delivered has sounded."""
        return self._free_at

    def when(self, key: Key, sample: int) -> float | None:
        """When this sample of the part sounds, or None where it has not arrived or was dropped."""
        for chunk in self._chunks.get(key, ()):
            if chunk.first <= sample < chunk.first + chunk.samples:
                return chunk.start + (sample - chunk.first) / chunk.rate
        return None

    def heard(self, key: Key, *, now: float) -> int:
        """How many samples of the part have sounded by now."""
        return sum(min(each.samples, max(0, int((now - each.start) * each.rate + 1e-3))) for each in self._chunks.get(key, ()))

    def sounds(self, key: Key, *, now: float) -> bool:
        """Whether something of the part is still to sound."""
        return any(each.start + each.samples / each.rate > now for each in self._chunks.get(key, ()))
