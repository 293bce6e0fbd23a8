"""From what the core handed over to the frames of a device, and from the frames that sounded back to what was heard.

Audio waits here as it came. It is brought to the device's rate and written to the ring as there is room; each stretch of the ring
is remembered with whose it is, until it has sounded or was skipped. What waits is kept until it was heard, so that another device
can go on from there.
"""

from collections import deque

from rtcore import AudioFormat
from rtcore_adapters.audio._g711 import decode
from rtcore_adapters.audio._resampler import Resampler
from rtcore_adapters.audio._ring import Block, OutputRing

_PIECE_S = 0.1  # converted at one go


class _Chunk:
    """Audio that was handed over: ``samples`` of a generation from ``start`` on, of which ``at`` have gone to the device."""

    __slots__ = ("at", "format", "generation", "pcm", "samples", "start")

    def __init__(self, pcm: bytes | memoryview, format: AudioFormat, generation: int, start: int) -> None:
        self.pcm, self.format, self.generation, self.start = memoryview(pcm), format, generation, start
        self.samples = len(self.pcm) // format.sample_width
        self.at = 0


class _Voice:
    """A generation on its way through one device, from sample ``base`` on."""

    __slots__ = ("base", "drained", "format", "generation", "resampler", "sounded")

    def __init__(self, generation: int, format: AudioFormat, base: int, rate: int) -> None:
        self.generation, self.format, self.base = generation, format, base
        self.resampler = Resampler(format.rate, rate)
        self.sounded = 0
        self.drained = True


class _Run:
    """Frames ``start`` to ``end`` of the ring, and what they are, in mono."""

    __slots__ = ("end", "pcm", "start", "voice")

    def __init__(self, voice: _Voice, start: int, end: int, pcm: memoryview) -> None:
        self.voice, self.start, self.end, self.pcm = voice, start, end, pcm


class Sounding:
    """What waits, what is on its way, and how much of each generation was heard, in samples of its own format."""

    def __init__(self) -> None:
        self.heard: dict[int, int] = {}
        """By generation, from its first audio until its flush is answered."""
        self.rate = 0
        """The device's; of ``pieces``."""
        self._chunks: deque[_Chunk] = deque()
        self._pulled = 0  # of the chunks, so many have gone to the device as a whole
        self._given: dict[int, int] = {}
        self._drained = 0
        self._voice: _Voice | None = None
        self._over: tuple[_Voice, memoryview] | None = None  # converted, and not in the ring for want of room
        self._runs: deque[_Run] = deque()
        self._position = 0  # frames of the ring before this one have sounded or were skipped

    # -- in ----------------------------------------------------------------------------------------------------------------------

    def add(self, pcm: bytes | memoryview, format: AudioFormat, generation: int) -> None:
        """Behind what waits."""
        if not len(pcm):
            return
        start = self._given.setdefault(generation, 0)
        chunk = _Chunk(pcm, format, generation, start)
        self._given[generation] = start + chunk.samples
        self.heard.setdefault(generation, 0)
        self._chunks.append(chunk)
        self._drained = min(self._drained, generation - 1)

    def drain(self, generation: int) -> None:
        """Nothing more comes for now: the tail may sound."""
        self._drained = max(self._drained, generation)

    def drained(self, generation: int) -> bool:
        """Whether it was said that nothing more comes."""
        return generation <= self._drained

    def drop(self, generation: int) -> None:
        """Whatever waits of generations up to this one is not wanted any more. (The ring is skipped by its owner.)"""
        self._chunks = deque(chunk for chunk in self._chunks if chunk.generation > generation)
        self._pulled = sum(1 for chunk in self._chunks if chunk.at == chunk.samples)
        if self._over is not None and self._over[0].generation <= generation:
            self._over = None
        if self._voice is not None and self._voice.generation <= generation:
            self._voice = None  # with its tail

    def boundary(self, generation: int, written: int) -> int:
        """The first frame of the ring that is of a later generation."""
        return next((run.start for run in self._runs if run.voice.generation > generation), written)

    @property
    def waiting(self) -> bool:
        """Whether something is there that could go to the device now."""
        return self._over is not None or self._pulled < len(self._chunks) or self._tail_is_due

    @property
    def unsounded(self) -> bool:
        """Whether something is still to sound of its own accord; what a filter holds back until the drain is not."""
        return bool(self._runs) or self.waiting

    # -- to the device -----------------------------------------------------------------------------------------------------------

    def fill(self, ring: OutputRing, channels: int) -> None:
        """Write to the ring what there is and what fits in."""
        while (room := ring.room) > 0 and (self._over is not None or self._convert()):
            assert self._over is not None
            voice, pcm = self._over
            fits, rest = pcm[: 2 * room], pcm[2 * room :]
            start = ring.written
            ring.write(_spread(fits, channels))
            self._runs.append(_Run(voice, start, ring.written, fits))
            self._over = (voice, rest) if rest else None

    def restart(self, rate: int) -> None:
        """Another device, at this rate: from the last sample on that was heard."""
        self.rate = rate
        for chunk in self._chunks:
            chunk.at = min(max(0, self.heard.get(chunk.generation, 0) - chunk.start), chunk.samples)
        self._pulled = sum(1 for chunk in self._chunks if chunk.at == chunk.samples)
        self._forget_device()

    def lose(self) -> None:
        """The device is gone, and with it all that waited. What was heard of a generation stays, and more of it may follow."""
        self._chunks.clear()
        self._pulled = 0
        self._given = dict(self.heard)
        self._forget_device()

    def _forget_device(self) -> None:
        self._runs.clear()
        self._position = 0
        self._voice = self._over = None

    def _convert(self) -> bool:
        """The next stretch at the device's rate, into ``_over``. Gives whether there was one."""
        while True:
            chunk = self._chunks[self._pulled] if self._pulled < len(self._chunks) else None
            voice = self._voice
            if chunk is None or voice is None or (chunk.generation, chunk.format) != (voice.generation, voice.format):
                if voice is not None and not voice.drained and (chunk is not None or self._tail_is_due):
                    voice.drained = True
                    if tail := voice.resampler.drain():
                        self._over = (voice, memoryview(tail))
                        return True
                if chunk is None:
                    return False
                voice = self._voice = _Voice(chunk.generation, chunk.format, chunk.start + chunk.at, self.rate)
            samples = min(chunk.samples - chunk.at, max(1, int(chunk.format.rate * _PIECE_S)))
            width = chunk.format.sample_width
            piece = chunk.pcm[chunk.at * width : (chunk.at + samples) * width]
            chunk.at += samples
            if chunk.at == chunk.samples:
                self._pulled += 1
            voice.drained = voice.drained and not samples
            if pcm := voice.resampler.push(decode(piece, chunk.format)):
                self._over = (voice, memoryview(pcm))
                return True

    @property
    def _tail_is_due(self) -> bool:
        return self._voice is not None and not self._voice.drained and self._voice.generation <= self._drained

    # -- back from the device ----------------------------------------------------------------------------------------------------

    def sound(self, block: Block, audible: int) -> list[tuple[int, memoryview]]:
        """The first ``audible`` frames of a block have sounded by now. Gives what is new: places in the block, and PCM."""
        position = block.start + min(block.sounded, block.count)
        end = block.start + min(audible, block.count)
        block.sounded = max(block.sounded, audible)
        pieces = []
        while position < end:
            run = self._runs[0]
            if run.end > position:
                until = min(end, run.end)
                pieces.append((position - block.start, run.pcm[2 * (position - run.start) : 2 * (until - run.start)]))
                run.voice.sounded += until - position
                position = self._position = until
                self._note(run.voice)
            if run.end <= position:  # it has sounded; or it was skipped
                self._runs.popleft()
        return pieces

    def _note(self, voice: _Voice) -> None:
        generation = voice.generation
        heard = self.heard[generation] = voice.base + voice.resampler.source(voice.sounded)
        while self._pulled and self._chunks[0].generation == generation:
            if self._chunks[0].start + self._chunks[0].samples > heard:
                break
            self._chunks.popleft()
            self._pulled -= 1

    def on_its_way(self, generation: int, taken: int) -> bool:
        """Whether frames of generations up to this one are still to sound, where the device took the ring up to ``taken`` and
        skips the rest of them."""
        while self._runs and (run := self._runs[0]).voice.generation <= generation:
            if min(run.end, taken) > max(run.start, self._position):
                return True
            self._runs.popleft()
        return False

    def settle(self, generation: int) -> int:
        """The final count of a generation; those up to it are done with."""
        samples = self.heard.get(generation, 0)
        for each in [number for number in self._given if number <= generation]:
            del self._given[each]
            self.heard.pop(each, None)
        return samples


def _spread(mono: memoryview, channels: int) -> memoryview:
    """The same on the first two channels."""
    if channels == 1:
        return mono
    frames = len(mono) // 2
    spread = memoryview(bytearray(2 * channels * frames)).cast("h")
    for channel in range(min(channels, 2)):
        spread[channel::channels] = mono.cast("h")
    return spread.cast("B")
