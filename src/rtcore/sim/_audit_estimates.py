"""Where a clock that does not answer must be thought to stand: the rule of DESIGN section 3, worked out from three lists.

The last report is extrapolated over the time in which audio was available: never across an underrun, a pause, or the loss of the
device. What was handed over, what the clock said, and when the sound was held are all that goes into it.
"""

from msgspec import Struct, field

_SECOND = 1_000_000_000


class _Stream(Struct, eq=False):
    """One generation, as far as it is known."""

    pieces: list[tuple[int, int]] = field(default_factory=list)
    """When they were handed over, and how many samples there were then."""
    handed: int = 0
    said: int = 0
    said_at: int = 0
    """The last position that is known, and when it was so."""
    told: int = 0
    """The last one that the clock itself reported."""
    held: bool = False
    lost: bool = False


class Estimates:
    """One session's. Tell it what happens, in order; ``final`` says where a flush without an answer leaves its generation."""

    def __init__(self, rate: int, latency: int) -> None:
        """``latency``: nanoseconds from the hand-over to the sound, where the clock reports nothing."""
        self._rate = rate
        self._latency = latency
        self._streams: dict[int, _Stream] = {}
        self.final: dict[int, int] = {}
        """By generation: samples heard when it was flushed, if no answer says otherwise."""

    def play(self, generation: int, count: int, now: int) -> None:
        """The core handed over so many samples."""
        stream = self._stream(generation)
        stream.lost = False  # nothing is handed to a device that is away
        stream.handed += count
        stream.pieces.append((now, stream.handed))

    def report(self, generation: int, samples: int, now: int) -> None:
        """The clock said where it stands. Less than it said before is a word of the past, and counts for nothing (C21).

        Less than a pause took to have sounded is news: a device's buffer makes it later than it was thought.
        """
        stream = self._streams.get(generation)
        if stream is not None and min(samples, stream.handed) >= stream.told:
            stream.said = stream.told = min(samples, stream.handed)
            stream.said_at, stream.lost = now, False
            while stream.pieces and stream.pieces[0][1] <= stream.said:
                stream.pieces.pop(0)

    def hold(self, generation: int, now: int) -> None:
        """The sound is held: from here on it does not move."""
        stream = self._stream(generation)
        stream.said, stream.said_at, stream.held = self._position(stream, now), now, True

    def go_on(self, generation: int, now: int) -> None:
        """It is held no longer."""
        stream = self._stream(generation)
        stream.said_at, stream.held = now, False

    def flush(self, generation: int, now: int) -> None:
        """The core asked for silence."""
        stream = self._stream(generation)
        self.final[generation] = self._position(stream, now)
        for old in [number for number in self._streams if number < generation - 4]:
            del self._streams[old]
            self.final.pop(old, None)

    def lose(self) -> None:
        """The device is gone: nothing sounded after its last word, not even what a pause took to have sounded (F100)."""
        for generation, stream in self._streams.items():
            stream.lost = True
            if generation in self.final:
                self.final[generation] = stream.told

    def _stream(self, generation: int) -> _Stream:
        found = self._streams.get(generation)
        if found is None:
            found = self._streams[generation] = _Stream()
        return found

    def _position(self, stream: _Stream, now: int) -> int:
        position, since = stream.said, float(stream.said_at)
        if stream.lost:
            return stream.told
        if stream.held:
            return position
        for at, end in stream.pieces:
            if end <= position:
                continue
            since = max(since, at + self._latency)
            audible = min(int((now - since) * self._rate / _SECOND), end - position)
            if audible <= 0:
                break
            position += audible
            since += audible * _SECOND / self._rate
            if position < end:
                break
        return position
