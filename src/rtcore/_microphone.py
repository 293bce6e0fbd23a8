"""Microphone audio on its way out: batched, held while the server cannot take it, bounded.

Batching costs a fixed overhead per message instead of one per frame of the device. While it is held, the oldest audio is dropped
first, because a person's newest words matter most, and the drop is told.
"""

from rtcore._formats import AudioFormat

COMMIT_MIN_MS = 100
"""A commit of less is refused by the server (facts 5.9, F123)."""


class Microphone:
    """A buffer of PCM in the input format, with the count that decides whether a commit makes sense."""

    def __init__(self, format: AudioFormat, batch_ms: int, max_held_ms: int) -> None:
        self.format = format
        self._batch_ms = batch_ms
        self._max_held_ms = max_held_ms
        self._buffer = bytearray()
        self._uncommitted = 0
        self._before_ms = 0

    def change(self, format: AudioFormat) -> int:
        """Another format counts from here on (C22). What waits in the old one can be sent no more; gives its milliseconds."""
        if format == self.format:
            return 0
        dropped_ms = self._ms(len(self._buffer))
        self._uncommitted -= len(self._buffer)
        self._buffer.clear()
        self._before_ms += self._ms(self._uncommitted)
        self._uncommitted = 0
        self.format = format
        return dropped_ms

    def _ms(self, size: int) -> int:
        return self.format.ms(size // self.format.sample_width)

    def _bytes(self, ms: int) -> int:
        return self.format.samples(ms) * self.format.sample_width

    def append(self, pcm: bytes) -> None:
        """Take what the microphone gave."""
        self._buffer += pcm
        self._uncommitted += len(pcm)

    @property
    def holds(self) -> bool:
        """Whether whole samples wait to be sent."""
        return len(self._buffer) >= self.format.sample_width

    def trim(self) -> int:
        """Drop the oldest audio beyond the bound; gives the dropped milliseconds."""
        excess = len(self._buffer) - self._bytes(self._max_held_ms)
        if excess <= 0:
            return 0
        # Whole milliseconds as near as samples come to them, so that what was dropped can be said.
        dropped_ms = -(-excess * 1000 // (self.format.rate * self.format.sample_width))
        drop = min(self._bytes(dropped_ms), len(self._buffer))
        del self._buffer[:drop]
        self._uncommitted -= drop
        return dropped_ms

    def batches(self, *, rest: bool) -> list[bytes]:
        """Whole batches that can go out; the rest of the buffer too where it must not wait (a commit, a timer)."""
        size = self._bytes(self._batch_ms)
        out: list[bytes] = []
        at = 0
        while len(self._buffer) - at >= size:
            out.append(bytes(self._buffer[at : at + size]))
            at += size
        width = self.format.sample_width
        tail = (len(self._buffer) - at) // width * width
        if rest and tail:
            out.append(bytes(self._buffer[at : at + tail]))
            at += tail
        if at:
            del self._buffer[:at]
        return out

    @property
    def uncommitted(self) -> bool:
        """Whether anything was appended since the last commit or clear."""
        return self._uncommitted > 0 or self._before_ms > 0

    @property
    def uncommitted_ms(self) -> int:
        """Milliseconds appended since the last commit or clear."""
        return self._before_ms + self._ms(self._uncommitted)

    def committed(self) -> None:
        """The server's buffer was committed or cleared."""
        self._uncommitted = len(self._buffer)
        self._before_ms = 0

    def clear(self) -> None:
        """Drop what was not sent, because the program clears."""
        self._buffer.clear()
        self._uncommitted = 0
        self._before_ms = 0
