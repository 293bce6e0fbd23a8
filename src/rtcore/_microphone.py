"""Microphone audio on its way out: batched, held while the server cannot take it, bounded.

Batching costs a fixed overhead per message instead of one per frame of the device. While it is held, the oldest audio is dropped
first, because a person's newest words matter most, and the drop is told.

What was sent is kept for as long as another session may have to hear it: a turn that is not finished, or the last moment, in
which one may have begun. It is kept by reference, and bounded.
"""

from collections import deque

from rtcore._formats import AudioFormat

COMMIT_MIN_MS = 100
"""A commit of less is refused by the server (facts 5.9, F123)."""
TURN_MS = 60_000
"""So much of a turn that is under way is kept: a line that goes dead without a word is noticed after twenty seconds or more."""
MARGIN_MS = 200
"""So much is kept before the place at which a turn begins by the server's word."""
_GIVEN = 512
"""Pieces of held audio whose times are known."""


class Microphone:
    """A buffer of PCM in the input format, with the count that decides whether a commit makes sense."""

    def __init__(self, format: AudioFormat, batch_ms: int, max_held_ms: int) -> None:
        self.format = format
        self._batch_ms = batch_ms
        self._max_held_ms = max_held_ms
        self._buffer = bytearray()
        self._uncommitted = 0
        self._before_ms = 0
        self._sent: deque[bytes] = deque()
        self._sent_bytes = 0
        self._given: deque[tuple[float, int]] = deque()
        self._line_bytes = 0  # sent on this line, in the present format
        self._begins: int | None = None  # where in that the turn under way begins, by the server's word
        self._again = 0
        """So many bytes at the head of the buffer were sent before."""
        self.lookback_ms = 0
        """So much of what was sent is kept while nobody is known to speak: a line may be dead before anybody knows, and speech
        begins before the server says so."""
        self.keeps = False
        """Whether what was sent may have to be said again."""
        self.begun = False
        """Whether anything was given at all, to this session of the server's."""
        self.in_turn = False
        """Whether a turn of the user's is under way, which is kept from its beginning."""
        self.pressed = False
        """The button is down."""
        self.by_commit = True
        """Under manual turns: all that is given is of the turn that the program's next commit ends. Not where it has a button, or
        a recogniser of its own: a microphone that always runs hears the room between its turns."""
        self.turn_ms = 0
        """So much of a turn under way is kept, where that is more than may be held."""

    def change(self, format: AudioFormat) -> int:
        """Another format counts from here on (C22). What waits in the old one can be sent no more; gives its milliseconds."""
        if format == self.format:
            return 0
        dropped_ms = self._ms(len(self._buffer))
        self._uncommitted -= len(self._buffer)
        self._buffer.clear()
        self._again = 0
        self._before_ms += self._ms(self._uncommitted)
        self._uncommitted = 0
        self._forget_sent()
        self._line_bytes = 0
        self.format = format
        return dropped_ms

    def _ms(self, size: int) -> int:
        return self.format.ms(size // self.format.sample_width)

    def _bytes(self, ms: int) -> int:
        return self.format.samples(ms) * self.format.sample_width

    def append(self, pcm: bytes, now: float, *, held: bool) -> None:
        """Take what the microphone gave; ``held``: it cannot be sent yet, and may be too old when it can."""
        self._buffer += pcm
        self.begun = True
        self._uncommitted += len(pcm)
        if held:
            self._given.append((now, len(pcm)))
            if len(self._given) > _GIVEN:
                # The two oldest as one, as old as the older.
                at, size = self._given.popleft()
                self._given[0] = (at, size + self._given[0][1])

    @property
    def holds(self) -> bool:
        """Whether whole samples wait to be sent."""
        return len(self._buffer) >= self.format.sample_width

    @property
    def _most(self) -> int:
        """The bound, in bytes."""
        return self._bytes(max(self._max_held_ms, self.turn_ms) if self.in_turn and self.keeps else self._max_held_ms)

    def trim(self) -> int:
        """Drop the oldest audio beyond the bound; gives the dropped milliseconds, of what was never sent."""
        return self._drop_oldest(len(self._buffer) - self._most)

    def _drop_oldest(self, excess: int) -> int:
        if excess <= 0:
            return 0
        # Whole milliseconds as near as samples come to them, so that what was dropped can be said.
        dropped_ms = -(-excess * 1000 // (self.format.rate * self.format.sample_width))
        drop = min(self._bytes(dropped_ms), len(self._buffer))
        del self._buffer[:drop]
        self._uncommitted -= drop
        again = min(self._again, drop)
        self._again -= again
        return dropped_ms if not again else self._ms(drop - again)

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
            self._line_bytes += at
            self._again = max(0, self._again - at)
            if self.keeps:
                self._keep(out)
        self._given.clear()
        return out

    # -- what another session may have to hear -----------------------------------------------------------------------------------

    def _keep(self, batches: list[bytes]) -> None:
        self._sent.extend(batches)
        self._sent_bytes += sum(map(len, batches))
        most = self._most if self.in_turn else self._bytes(min(self.lookback_ms, self._max_held_ms))
        while self._sent_bytes > most:
            self._sent_bytes -= len(self._sent.popleft())

    def _forget_sent(self) -> None:
        self._sent.clear()
        self._sent_bytes = 0

    def begins(self, ms: int | None) -> None:
        """The turn under way begins, as the server says, so many milliseconds into what it was sent; None: it does not say."""
        self._begins = None if ms is None else self._bytes(ms)

    def press(self) -> None:
        """The button is down: what is given from here on is a turn."""
        self.by_commit, self.pressed, self.in_turn = False, True, True

    def release(self) -> None:
        """The button is up, and the turn was committed or thrown away."""
        self.pressed = self.in_turn = False

    @property
    def of_a_turn(self) -> bool:
        """Whether what is given now is of a turn, where turns are the program's."""
        return self.pressed or self.by_commit

    def said_again(self, pieces: list[bytes]) -> None:
        """A turn that a lost line took with it was put in front of what this one is sent."""
        self._line_bytes += sum(map(len, pieces))

    def turn(self) -> list[bytes]:
        """What was sent of the turn that ends here. It is kept no more: nobody is to hear it twice."""
        pieces = list(self._sent)
        if self._begins is not None and self._begins <= self._line_bytes:
            # A server that counts in another way names a place that is no longer here, or not yet: then all of it is the turn.
            before = self._begins - self._bytes(MARGIN_MS) - (self._line_bytes - self._sent_bytes)
            first = 0
            while first < len(pieces) and len(pieces[first]) <= before:
                before -= len(pieces[first])
                first += 1
            del pieces[:first]
        self._begins = None
        self.in_turn = False
        self._forget_sent()
        return pieces

    def line_lost(self, now: float) -> None:
        """What the lost session heard and no other did is to be sent again, before what was not sent."""
        self._buffer[:0] = b"".join(self._sent)
        self._again += self._sent_bytes
        self._given.clear()
        self._given.append((now, len(self._buffer)))
        self._forget_sent()
        self._line_bytes, self._begins = 0, None
        self._uncommitted, self._before_ms = len(self._buffer), 0
        self.begun = bool(self._buffer)

    def trim_older(self, since: float, carry_ms: int) -> int:
        """Drop what was given before ``since``, and all but the last ``carry_ms`` of it; gives the dropped milliseconds, of what
        was never sent."""
        newer = sum(size for at, size in self._given if at >= since)
        return self._drop_oldest(len(self._buffer) - min(self._bytes(carry_ms), newer))

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
        self._again = 0
        self._forget_sent()
        self._begins = None
        self.in_turn = False
        self._uncommitted = 0
        self._before_ms = 0
