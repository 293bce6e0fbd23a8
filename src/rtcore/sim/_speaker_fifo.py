"""The device itself: a queue that is fed into a buffer block by block, and sounds what it took a buffer's length later.

Nothing is simulated per block or per sample. Positions are integers of the device's own sample clock, on which a crystal that
drifts counts; ``reach`` computes what has happened since. Sound is noted as pieces of what was handed over, and becomes
``Span`` values only when somebody looks.
"""

from collections import deque
from math import gcd

from msgspec import Struct

from rtcore._formats import AudioFormat

_PPM = 1_000_000
_SECOND = 1_000_000_000


class Span(Struct, frozen=True, gc=False):
    """Sound: these samples of this generation, the first of them audible from ``at`` on, the last until ``until``.

    Times are nanoseconds of virtual time. ``index`` is the first sample's place in its generation's audible signal.
    """

    at: int
    until: int
    generation: int
    index: int
    pcm: memoryview


_Piece = tuple[int, int, int, int, memoryview, int]
"""Device positions of its first sample and past its last, generation, index in the generation, PCM, samples of it to skip."""


class Fifo:
    """Queue, buffer and crystal. Every position is one of the device's sample clock, see ``position`` and ``time_of``."""

    def __init__(self, audio: AudioFormat, *, buffer_ms: int, block_ms: int, drift_ppm: int, hold_tail: bool) -> None:
        self.sounded: dict[int, int] = {}
        """Samples of each generation that were audible by the last ``reach``."""
        self.drained: set[int] = set()
        """Generations of which nothing more comes for now."""
        self.newest = 0
        self.dry = True
        """It has taken nothing since it was last found empty."""
        rate = audio.rate * (_PPM + drift_ppm)
        common = gcd(rate, _SECOND * _PPM)
        self._rate, self._per = rate // common, _SECOND * _PPM // common
        self._width = audio.sample_width
        self._block = audio.samples(block_ms)
        self._lag = audio.samples(buffer_ms)
        self._hold_tail = hold_tail
        self._queue: deque[tuple[int, memoryview, int]] = deque()  # generation, PCM, its samples
        self._skip = 0  # samples of the first in the queue that the buffer has taken
        self._queued = 0
        self._ready: deque[_Piece] = deque()
        self._inside = 0  # samples of what is in ``_ready``
        self._begun = 0  # samples of the first in ``_ready`` that have sounded
        self._pull_at = 0  # where the next block is taken
        self._at = 0
        self._spans: list[Span] = []
        self._past: list[_Piece] = []  # has sounded, and nobody has looked
        self._spanned = 0  # everything before this position is in ``_spans``
        self._edge = (0, 0)  # the last span's end: position and time

    # -- time ----------------------------------------------------------------------------------------------------------------

    def position(self, time: int) -> int:
        """How many samples the device's crystal has counted by then."""
        return time * self._rate // self._per

    def time_of(self, position: int) -> int:
        """The first nanosecond at which the crystal has counted that far."""
        return -(-position * self._per // self._rate)

    # -- what it holds -------------------------------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """Samples that have neither sounded nor been thrown away."""
        return self._queued + self._inside - self._begun

    @property
    def inside(self) -> int:
        """Samples in the device's own buffer that have not sounded."""
        return self._inside - self._begun

    @property
    def busy(self) -> bool:
        """Something will sound without more being handed over."""
        return bool(self._ready) or bool(self._available())

    def _available(self) -> int:
        if self._hold_tail and self.newest not in self.drained:
            return self._queued - self._queued % self._block
        return self._queued

    @property
    def spans(self) -> list[Span]:
        """Everything that was audible, in order, up to the last ``reach``."""
        if self._spanned < self._at:
            for piece in self._past:
                self._span(piece, piece[1])
            self._past.clear()
            if self._begun:
                self._span(self._ready[0], self._at)
            self._spanned = self._at
        return self._spans

    def _span(self, piece: _Piece, end: int) -> None:
        at, _, generation, index, pcm, skip = piece
        start = max(at, self._spanned)
        if start < end:
            edge, begin = self._edge
            if edge != start:
                begin = self.time_of(start)
            until = self.time_of(end)
            self._edge = (end, until)
            first, last = start - at + skip, end - at + skip
            view = pcm[first * self._width : last * self._width]
            self._spans.append(Span(begin, until, generation, index + start - at, view))

    def next_sound(self) -> int | None:
        """The position at which the next sample sounds, as far as it is known now; None if there is none."""
        if self._ready:
            return self._ready[0][0] + self._begun
        return self._pull_at + self._lag if self._available() else None

    def reaches(self, generation: int, samples: int) -> int | None:
        """The position at which this many samples of the generation will have been audible; None if past or unknown."""
        missing = samples - self.sounded.get(generation, 0)
        if missing <= 0:
            return None
        begun = self._begun
        for at, end, owner, _, _, _ in self._ready:
            if owner == generation:
                if missing <= end - at - begun:
                    return at + begun + missing
                missing -= end - at - begun
            begun = 0
        at = self._pull_at + self._lag
        skip = self._skip
        for owner, _, count in self._queue:
            if owner == generation:
                if missing <= count - skip:
                    return at + missing
                missing -= count - skip
            at += count - skip
            skip = 0
        return None

    # -- what happens to it --------------------------------------------------------------------------------------------------

    def short(self, position: int) -> bool:
        """Whether the buffer may have wanted more by this position than there is: then it makes a difference when more comes.

        Otherwise what it took can be worked out later, from a queue that has grown meanwhile.
        """
        return self._pull_at <= position and position - self._pull_at + self._block > self._available()

    def append(self, generation: int, pcm: memoryview, count: int) -> None:
        """More for the queue."""
        self._queue.append((generation, pcm, count))
        self._queued += count
        self.drained.discard(generation)
        if generation > self.newest:
            self.newest = generation

    def forget(self, generation: int) -> None:
        """Nobody asks about generations before this one any more."""
        for old in [number for number in self.sounded if number < generation]:
            del self.sounded[old]
        self.drained = {number for number in self.drained if number >= generation}

    def drop(self, generation: int) -> None:
        """Forget what is queued up to this generation."""
        if self._skip:
            owner, pcm, count = self._queue[0]
            self._queue[0] = (owner, pcm[self._skip * self._width :], count - self._skip)
            self._skip = 0
        self._queue = deque(entry for entry in self._queue if entry[0] > generation)
        self._queued = sum(count for _, _, count in self._queue)

    def reach(self, position: int, *, taking: bool = True) -> None:
        """Let everything happen up to this position; ``taking``: the buffer takes what is queued."""
        if taking and self._pull_at <= position:
            self._pull(position)
        if position > self._at:
            self._at = position
        ready = self._ready
        while ready:
            at, end, generation, index, _, _ = piece = ready[0]
            if at >= position:
                break
            if end > position:
                self._begun = position - at
                self.sounded[generation] = index + self._begun
                break
            ready.popleft()
            self._past.append(piece)
            self._inside -= end - at
            self._begun = 0
            self.sounded[generation] = index + end - at

    def _pull(self, position: int) -> None:
        queue, ready, block = self._queue, self._ready, self._block
        while self._pull_at <= position:
            due = ((position - self._pull_at) // block + 1) * block
            take = self._available()
            if due < take:
                take = due
            if not take:
                self._pull_at += due
                return
            self.dry = False
            at = self._pull_at + self._lag
            end = at + take
            skip = self._skip
            while at < end:
                generation, pcm, count = queue[0]
                count -= skip
                if count > end - at:
                    count = end - at
                    left = skip + count
                else:
                    queue.popleft()
                    left = 0
                last = ready[-1] if ready else None
                if last is not None and last[4] is pcm and last[1] == at:  # more of the same: one piece
                    ready[-1] = (last[0], at + count, generation, last[3], pcm, last[5])
                else:
                    index = last[3] + last[1] - last[0] if last and last[2] == generation else self._next_index(generation)
                    ready.append((at, at + count, generation, index, pcm, skip))
                at += count
                skip = left
            self._skip = skip
            self._queued -= take
            self._inside += take
            self._pull_at += -(-take // block) * block

    def _next_index(self, generation: int) -> int:
        for at, end, owner, index, _, _ in reversed(self._ready):
            if owner == generation:
                return index + end - at
        return self.sounded.get(generation, 0)

    def empty(self, position: int) -> None:
        """What is in the buffer is lost; it takes the next block from here on."""
        self._keep_begun()
        self._ready.clear()
        self._inside = 0
        self._pull_at = position

    def shift(self, by: int) -> None:
        """It was held for so many samples: everything in the buffer sounds later."""
        self._keep_begun()
        self._ready = deque(
            (at + by, end + by, generation, index, pcm, skip) for at, end, generation, index, pcm, skip in self._ready
        )
        self._pull_at += by

    def _keep_begun(self) -> None:
        """Split the piece that is sounding: its first part has sounded, whatever becomes of the rest."""
        if self._begun:
            at, end, generation, index, pcm, skip = self._ready[0]
            begun, self._begun = self._begun, 0
            self._past.append((at, at + begun, generation, index, pcm, skip))
            self._ready[0] = (at + begun, end, generation, index + begun, pcm, skip + begun)
            self._inside -= begun
