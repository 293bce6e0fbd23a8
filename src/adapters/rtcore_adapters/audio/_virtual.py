"""A loudspeaker of numbers: it sounds at real speed, counts samples exactly, and keeps what was audible.

Its signal is one line of samples from ``open`` on, silences included, at its own rate; position and time are the same thing,
``opened + position / rate``. Blocks end at ``opened + n * block``, so nothing drifts, however late the loop wakes.
"""

from collections import deque

from msgspec import Struct

from rtcore import PCM16_24K, AudioFormat, Clock
from rtcore_adapters.audio._g711 import decode, resampled
from rtcore_adapters.audio._interface import SpeakerReports
from rtcore_adapters.audio._wav import Path, WavFile

_HAIR = 1e-6  # of a sample or a block: sums of floats may fall just short of the instant they mean


class Span(Struct):
    """A stretch of audible audio: ``samples`` of ``generation`` from ``start`` on, heard from ``position`` of the signal on.

    ``start`` and ``samples`` count in the rate of ``format``, ``position`` in the speaker's.
    """

    position: int
    generation: int
    start: int
    samples: int
    format: AudioFormat


class _Chunk:
    """Audio that waits, and how far into it the sound has come (in samples)."""

    __slots__ = ("at", "format", "generation", "pcm", "samples")

    def __init__(self, pcm: bytes | memoryview, format: AudioFormat, generation: int) -> None:
        self.pcm, self.format, self.generation = memoryview(pcm), format, generation
        self.samples = len(self.pcm) // format.sample_width
        self.at = 0


class VirtualSpeaker:
    """A ``Speaker`` without a device.

    ``block_ms`` is how often it reports, ``flush_ms`` how long it takes to answer a flush (it goes on sounding until then; 0:
    at once), ``rate`` the samples per second of its signal. With ``record=False`` it keeps nothing and runs for ever.
    """

    def __init__(self, *, block_ms: int = 20, flush_ms: int = 0, rate: int = PCM16_24K.rate, record: bool = True) -> None:
        if not 1 <= block_ms <= 1000:
            raise ValueError(f"block_ms={block_ms}: between 1 and 1000")
        if flush_ms < 0:
            raise ValueError(f"flush_ms={flush_ms}: 0 or more")
        self.rate = rate
        self.signal = bytearray()
        """What was audible until now, silences included: PCM16 at ``rate``, mono."""
        self.spans: list[Span] = []
        """Where in the signal which generation sounded, in order; silence is what lies between."""
        self.position = 0
        """Length of the signal until now, in samples of ``rate``."""
        self._capabilities = Clock(report_ms=block_ms, flush_latency_ms=flush_ms)
        self._block = block_ms / 1000
        self._flush_s = flush_ms / 1000
        self._record = record
        self._reports: SpeakerReports | None = None
        self._opened = 0.0
        self._closed = False
        self._blocks = 0  # of those that began until now
        self._queue: deque[_Chunk] = deque()
        self._carry = 0  # of a source sample, in 1/rate: what is left over where the rates differ
        self._last = b"\0\0"  # the sample that sounds
        self._sounded_to = -1  # where in the signal the last sound ended
        self._heard: dict[int, int] = {}  # by generation, those not yet flushed
        self._told: dict[int, int] = {}
        self._held: int | None = None
        self._drained = 0
        self._refused = 0  # generations up to this one are flushed
        self._dry = True
        self._flushes: deque[tuple[float, int]] = deque()

    @property
    def capabilities(self) -> Clock:
        """It pauses, flushes, and reports every block."""
        return self._capabilities

    @property
    def deadline(self) -> float | None:
        """The end of the present block while something sounds, or the instant at which a flush is answered."""
        if self._closed:
            return None
        due = [at for at, _ in self._flushes]
        if self._sounding or (not self._queue and not self._dry) or self._heard != self._told:
            due.append(self._opened + self._blocks * self._block)
        return min(due, default=None)

    @property
    def _sounding(self) -> bool:
        return bool(self._queue) and not self._is_held(self._queue[0].generation)

    def open(self, reports: SpeakerReports, *, now: float) -> None:
        """Begin the signal."""
        if self._reports is not None:
            raise RuntimeError("this speaker was opened before: one speaker serves one conversation")
        self._reports, self._opened = reports, now

    def play(self, pcm: bytes | memoryview, format: AudioFormat, generation: int, *, now: float) -> None:
        """Sound it behind what waits, from now on where nothing waits. What comes behind its own flush is dropped (F032)."""
        self._advance(now)
        if generation <= self._refused:
            return
        self._queue.append(_Chunk(pcm, format, generation))
        self._drained = min(self._drained, generation - 1)
        if self._dry:
            self._dry = False
            self._blocks = self._block_after(now)

    def drain(self, generation: int, *, now: float) -> None:
        """Running dry is no underrun from here on."""
        self._advance(now)
        self._drained = max(self._drained, generation)

    def flush(self, generation: int, *, now: float) -> None:
        """Silence, and the exact count: at once, or after ``flush_ms``."""
        self._advance(now)
        self._refused = max(self._refused, generation)
        if self._flush_s:
            self._flushes.append((now + self._flush_s, generation))
        else:
            self._silence_generation(generation)

    def pause(self, generation: int, *, now: float) -> None:
        """Hold, to the sample."""
        self._advance(now)
        self._held = generation

    def resume(self, generation: int, *, now: float) -> None:
        """Go on with the next sample."""
        self._advance(now)
        self._held = None
        self._blocks = self._block_after(now)

    def tick(self, *, now: float) -> None:
        """Sound what is due, and report it."""
        if self._closed:
            return
        self._advance(now)
        if now < self._opened + self._blocks * self._block - _HAIR:
            return  # a flush was answered between two blocks
        self._blocks = self._block_after(now)
        self._report()

    def close(self, *, now: float) -> None:
        """End the signal here."""
        if self._reports is None or self._closed:
            self._closed = True
            return
        self._advance(now)
        self._closed = True
        self._queue.clear()
        self._flushes.clear()

    # -- the passing of time ------------------------------------------------------------------------------------------------

    def _block_after(self, now: float) -> int:
        return int((now - self._opened) / self._block + _HAIR) + 1

    def _advance(self, now: float) -> None:
        if self._closed:
            return
        while self._flushes and self._flushes[0][0] <= now + _HAIR / self.rate:
            at, generation = self._flushes.popleft()
            self._sound_until(at)
            self._silence_generation(generation)
        self._sound_until(now)

    def _sound_until(self, now: float) -> None:
        target = int((now - self._opened) * self.rate + _HAIR)
        while self.position < target:
            room = target - self.position
            if not self._sounding:
                self._emit(None, room)
                self._carry = 0
                continue
            chunk = self._queue[0]
            due = self._carry + room * chunk.format.rate
            samples = min(due // self.rate, chunk.samples - chunk.at)
            if samples == chunk.samples - chunk.at:
                # The chunk ends inside the room: it took as much of it as its last sample needs.
                room = min(room, -((self._carry - samples * self.rate) // chunk.format.rate))
                due = self._carry + room * chunk.format.rate
            self._carry = due - samples * self.rate
            self._sound(chunk, samples, room)
            if chunk.at == chunk.samples:
                self._queue.popleft()

    def _sound(self, chunk: _Chunk, samples: int, room: int) -> None:
        """``samples`` of the chunk become audible, filling ``room`` samples of the signal."""
        width = chunk.format.sample_width
        pcm = chunk.pcm[chunk.at * width : (chunk.at + samples) * width]
        start = self._heard.get(chunk.generation, 0)
        if self._record and samples:
            last = self.spans[-1] if self.spans and self._sounded_to == self.position else None
            if last and last.generation == chunk.generation and last.format == chunk.format:
                last.samples += samples
            else:
                self.spans.append(Span(self.position, chunk.generation, start, samples, chunk.format))
        chunk.at += samples
        self._heard[chunk.generation] = start + samples
        if samples:
            heard = resampled(decode(pcm, chunk.format), room)
            self._last = heard[-2:]
        else:
            heard = self._last * room  # less than one sample of a slower format: the one before goes on
        self._emit(heard, room)
        self._sounded_to = self.position

    def _emit(self, pcm: bytes | None, samples: int) -> None:
        """The next ``samples`` of the signal: PCM16 at ``rate``, or silence."""
        self.position += samples
        if self._record:
            self.signal += pcm if pcm is not None else bytes(2 * samples)

    # -- reports ------------------------------------------------------------------------------------------------------------

    def _is_held(self, generation: int) -> bool:
        return self._held is not None and generation <= self._held

    def _silence_generation(self, generation: int) -> None:
        self._queue = deque(chunk for chunk in self._queue if chunk.generation > generation)
        self._carry = 0
        if self._is_held(generation):
            self._held = None
        samples = self._heard.get(generation, 0)
        for old in [g for g in self._heard if g <= generation]:
            del self._heard[old]
            self._told.pop(old, None)
        if not self._queue:
            self._dry = True
        if self._reports is not None:
            self._reports.flushed(generation, samples)

    def _report(self) -> None:
        if self._reports is None:
            return
        for generation, samples in list(self._heard.items()):
            if samples != self._told.get(generation):
                self._told[generation] = samples
                self._reports.played(generation, samples)
        if not self._queue and not self._dry:
            self._dry = True
            generation = max(self._heard, default=0)
            if generation > self._drained:
                self._reports.underrun(generation)


class WavSpeaker(VirtualSpeaker):
    """A ``VirtualSpeaker`` whose signal goes into a WAV file (PCM16, mono, ``rate``), silences included, as time passes.

    The file is made by ``open``; ``AudioFileError`` says why it could not be. It is complete after ``close``.
    """

    def __init__(
        self, path: Path, *, block_ms: int = 20, flush_ms: int = 0, rate: int = PCM16_24K.rate, record: bool = False
    ) -> None:
        super().__init__(block_ms=block_ms, flush_ms=flush_ms, rate=rate, record=record)
        self._path = path
        self._file: WavFile | None = None

    def open(self, reports: SpeakerReports, *, now: float) -> None:
        """Create the file and begin the signal."""
        super().open(reports, now=now)
        self._file = WavFile(self._path, self.rate)

    def close(self, *, now: float) -> None:
        """End the signal and the file."""
        try:
            super().close(now=now)
        finally:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _emit(self, pcm: bytes | None, samples: int) -> None:
        super()._emit(pcm, samples)
        if self._file is not None:
            self._file.write(pcm if pcm is not None else bytes(2 * samples))
