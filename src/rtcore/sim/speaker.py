"""A loudspeaker in virtual time that remembers every sample a person could hear, and when.

It is the clock of DESIGN section 3: a FIFO of PCM with a counter. A queue feeds a device block by block; the device sounds what
it took ``buffer_ms`` later, on a crystal that drifts. What the device holds goes on sounding until a flush takes effect.
Nothing is simulated per block: positions are integers of the device's own sample clock, and ``advance`` computes what happened
since.

Times are integer nanoseconds of virtual time.
"""

from collections import deque
from typing import Literal

from msgspec import Struct

from rtcore._clock import Clock
from rtcore._formats import PCM16_24K, AudioFormat
from rtcore.sim._rng import Rng

MILLISECOND = 1_000_000
"""In nanoseconds, the unit of virtual time."""
_PPM = 1_000_000
_SECOND = 1_000_000_000


class SpeakerOptions(Struct, frozen=True):
    """What kind of device this is. Milliseconds, unless the name says otherwise."""

    buffer_ms: int = 40
    """From a block's way into the device to its sound."""
    block_ms: int = 20
    drift_ppm: int = 0
    """How fast its crystal runs against virtual time."""
    report_ms: int = 20
    stop_ms: tuple[int, int] = (0, 40)
    """Least and most time from a flush to the silence."""
    answer_ms: tuple[int, int] = (0, 5)
    """Least and most time from the silence to the answer."""
    instant_per_mille: int = 300
    """How many flushes are obeyed and answered in the same instant."""
    late_per_mille: int = 0
    """How many answers come after the declared latency and the core's own 150 ms (B29)."""
    slow_per_mille: int = 0
    """How many flushes take effect only after the declared latency."""
    missing_per_mille: int = 0
    """How many flushes are obeyed but never answered (B29)."""
    stale_per_mille: int = 0
    """How many reports are followed by one of a generation long gone, or by a smaller one (C21)."""
    hold_tail: bool = False
    """It sounds whole blocks only, until ``Drain`` says that nothing more comes (resamplers and jitter buffers do this)."""
    pause: bool = True
    flush_latency_ms: int = 350
    """What it declares; whether it keeps to it is another matter."""

    @property
    def clock(self) -> Clock:
        """The capabilities that it declares to the core."""
        return Clock(pause=self.pause, report_ms=self.report_ms, flush_latency_ms=self.flush_latency_ms)


class Span(Struct, frozen=True, gc=False):
    """Sound: these samples of this generation, the first of them audible from ``at`` on, the last until ``until``.

    ``index`` is the first sample's place in its generation's audible signal.
    """

    at: int
    until: int
    generation: int
    index: int
    pcm: memoryview


class Stop(Struct, frozen=True, gc=False):
    """A flush: when it was asked for, when it silenced the device, how many samples of the generation had sounded by then."""

    generation: int
    asked_at: int
    at: int
    samples: int
    answered: bool
    """An answer was or will be given, at ``answer_at``."""
    answer_at: int


class Report(Struct, frozen=True, gc=False):
    """What the clock tells its owner: ``played``, ``flushed`` (samples of that generation audible so far) or ``underrun``."""

    kind: Literal["played", "flushed", "underrun"]
    generation: int
    samples: int = 0


class _Flushing(Struct):
    """A flush on its way through the device."""

    generation: int
    asked_at: int
    stop_at: int
    answer_at: int
    answered: bool
    stopped: bool = False
    samples: int = 0


class Speaker:
    """One device. Feed it ``play``, ``drain``, ``flush``, ``pause``, ``resume``; call ``step`` when ``next_at`` is reached."""

    def __init__(self, options: SpeakerOptions, rng: Rng, audio: AudioFormat = PCM16_24K) -> None:
        self.options = options
        self.spans: list[Span] = []
        """Everything that was audible, in order, complete up to the last ``advance``."""
        self.stops: list[Stop] = []
        """Every flush that took effect."""
        self.paused = False
        self._rng = rng
        self._audio = audio
        self._rate = audio.rate * (_PPM + options.drift_ppm)
        self._width = audio.sample_width
        self._block = audio.samples(options.block_ms)
        self._lag = audio.samples(options.buffer_ms)
        self._queue: deque[tuple[int, memoryview]] = deque()
        self._queued = 0
        self._ready: deque[tuple[int, int, memoryview]] = deque()  # device position, generation, samples
        self._pull_at = 0  # device position of the next block to be filled
        self._held_at = 0  # device position at which a pause holds
        self._flushing: list[_Flushing] = []
        self._sounded: dict[int, int] = {}
        self._drained: set[int] = set()
        self._newest = 0
        self._reported: dict[int, int] = {}
        self._report_at: int | None = None
        self._dry = True
        self._latency_drawn: tuple[int, int, bool] = self._draw_latency()

    # -- what the core asks for --------------------------------------------------------------------------------------------

    def play(self, generation: int, pcm: bytes | memoryview, *, now: int) -> None:
        """Append whole samples to the queue."""
        self.advance(now)
        view = memoryview(pcm)
        if len(view) % self._width:
            raise ValueError(f"play() takes whole samples of {self._width} bytes, got {len(view)} bytes")
        if not view:
            return
        self._queue.append((generation, view))
        self._queued += len(view) // self._width
        self._drained.discard(generation)
        self._newest = max(self._newest, generation)
        self._arm(now)

    def drain(self, generation: int, *, now: int) -> None:
        """Nothing more comes for now: the tail may sound."""
        self.advance(now)
        self._drained.add(generation)
        self._newest = max(self._newest, generation)
        self._arm(now)

    def flush(self, generation: int, *, now: int) -> None:
        """Forget every queued sample up to this generation; the device itself falls silent a little later, then answers."""
        self.advance(now)
        kept = deque(entry for entry in self._queue if entry[0] > generation)
        self._queued = sum(len(view) for _, view in kept) // self._width
        self._queue = kept
        stop, answer, answered = self._latency_drawn
        self._latency_drawn = self._draw_latency()
        stop_at = now + stop
        if self.paused:  # a held device is silent already, and what it holds is never heard
            stop_at = now
            self._ready.clear()
            self._pull_at = self.position(now)
        if self._flushing:
            stop_at = max(stop_at, self._flushing[-1].stop_at)
        self._flushing.append(_Flushing(generation, now, stop_at, stop_at + answer, answered))
        self.paused = False
        self.advance(now)

    def pause(self, *, now: int) -> None:
        """Hold, without losing a sample."""
        self.advance(now)
        if not self.paused:
            self.paused, self._held_at = True, self.position(now)

    def resume(self, *, now: int) -> None:
        """Go on from the very sample at which it held."""
        self.advance(now)
        if self.paused:
            self.paused = False
            shift = self.position(now) - self._held_at
            self._ready = deque((at + shift, generation, view) for at, generation, view in self._ready)
            self._pull_at += shift
            self._arm(now)

    # -- what it tells -----------------------------------------------------------------------------------------------------

    @property
    def next_at(self) -> int | None:
        """When ``step`` is due."""
        at = self._report_at
        for job in self._flushing:
            due = job.answer_at if job.stopped else job.stop_at
            if at is None or due < at:
                at = due
        return at

    def step(self, now: int) -> list[Report]:
        """What it has to say now: answers first, then its position, then a buffer that ran dry."""
        self.advance(now)
        reports: list[Report] = []
        for job in [job for job in self._flushing if job.stopped and job.answer_at <= now]:
            self._flushing.remove(job)
            if job.answered:
                reports.append(Report("flushed", job.generation, job.samples))
        if self._report_at is not None and self._report_at <= now:
            reports += self._position_reports(now)
        return reports

    @property
    def pending(self) -> int:
        """Samples handed over that have neither sounded nor been flushed."""
        return self._queued + sum(len(view) for _, _, view in self._ready) // self._width

    @property
    def flushing(self) -> bool:
        """A flush has not been answered yet (or never will be, and its time has not come)."""
        return bool(self._flushing)

    def sounded(self, generation: int) -> int:
        """Samples of this generation that have been audible, as of the last ``advance``."""
        return self._sounded.get(generation, 0)

    @property
    def next_stop_latency(self) -> int:
        """How long the next flush will take to silence the device, in nanoseconds: known beforehand, so that a world can aim."""
        return self._latency_drawn[0]

    def reaches(self, generation: int, samples: int) -> int | None:
        """When this many samples of the generation will have been audible, as far as it is known now; None if past or unknown."""
        missing = samples - self._sounded.get(generation, 0)
        if missing <= 0 or self.paused or self._flushing:
            return None
        for at, owner, view in self._ready:
            count = len(view) // self._width
            if owner == generation:
                if missing <= count:
                    return self.time_of(at + missing)
                missing -= count
        at = self._pull_at + self._lag
        for owner, view in self._queue:
            count = len(view) // self._width
            if owner == generation and missing <= count:
                return self.time_of(at + missing)
            missing -= count if owner == generation else 0
            at += count
        return None

    # -- the device --------------------------------------------------------------------------------------------------------

    def position(self, time: int) -> int:
        """How many samples the device's crystal has counted by then."""
        return time * self._rate // (_SECOND * _PPM)

    def time_of(self, position: int) -> int:
        """The first nanosecond at which the crystal has counted that far."""
        return -(-position * _SECOND * _PPM // self._rate)

    def _arm(self, now: int) -> None:
        if self._report_at is None and self.pending:
            self._report_at = now + self.options.report_ms * MILLISECOND

    def advance(self, now: int) -> None:
        """Let everything happen that happens up to now."""
        for job in self._flushing:
            if not job.stopped and job.stop_at <= now:
                self._run(job.stop_at)
                self._silence(job)
        self._run(now)

    def _run(self, now: int) -> None:
        position = self._held_at if self.paused else self.position(now)
        if self._pull_at <= position and not (self._flushing and not self._flushing[-1].stopped):
            self._pull(position)
        ready = self._ready
        width = self._width
        while ready and ready[0][0] < position:
            at, generation, view = ready.popleft()
            count = len(view) // width
            if at + count > position:
                count = position - at
                ready.appendleft((position, generation, view[count * width :]))
                view = view[: count * width]
            index = self._sounded.get(generation, 0)
            self.spans.append(Span(self.time_of(at), self.time_of(at + count), generation, index, view))
            self._sounded[generation] = index + count

    def _pull(self, position: int) -> None:
        while self._pull_at <= position:
            due = ((position - self._pull_at) // self._block + 1) * self._block
            take = min(due, self._available())
            if not take:
                self._pull_at += due
                return
            self._dry = False
            at = self._pull_at + self._lag
            left = take
            while left:
                generation, view = self._queue[0]
                count = min(left, len(view) // self._width)
                self._ready.append((at, generation, view[: count * self._width]))
                if count * self._width == len(view):
                    self._queue.popleft()
                else:
                    self._queue[0] = (generation, view[count * self._width :])
                at += count
                left -= count
            self._queued -= take
            self._pull_at += -(-take // self._block) * self._block

    def _available(self) -> int:
        if self.options.hold_tail and self._newest not in self._drained:
            return self._queued - self._queued % self._block
        return self._queued

    def _silence(self, job: _Flushing) -> None:
        job.stopped = True
        job.samples = self._sounded.get(job.generation, 0)
        self._ready.clear()  # nothing newer can be in the device: it takes no block between a flush and its silence
        self._pull_at = self.position(job.stop_at)
        self._dry = True
        self.stops.append(Stop(job.generation, job.asked_at, job.stop_at, job.samples, job.answered, job.answer_at))

    def _position_reports(self, now: int) -> list[Report]:
        reports: list[Report] = []
        for generation, count in self._sounded.items():
            if count > self._reported.get(generation, 0) and not self._settled(generation):
                self._reported[generation] = count
                reports.append(Report("played", generation, count))
                if self.options.stale_per_mille and self._rng.chance(self.options.stale_per_mille):
                    reports.append(self._stale(generation, count))
        if len(self._sounded) > 4:
            for generation in [old for old in self._sounded if old < self._newest - 4]:
                del self._sounded[generation]
        busy = bool(self._ready) or bool(self._available())
        if not busy and not self._dry:
            self._dry = True
            if self._newest not in self._drained and not self._settled(self._newest):
                reports.append(Report("underrun", self._newest))
        self._report_at = now + self.options.report_ms * MILLISECOND if busy and not self.paused else None
        return reports

    def _settled(self, generation: int) -> bool:
        return bool(self.stops) and self.stops[-1].generation >= generation

    def _stale(self, generation: int, count: int) -> Report:
        if generation > 1 and self._rng.chance(500):
            return Report("played", generation - 1, self._rng.below(count + 1))
        return Report("played", generation, self._rng.below(count + 1))

    def _draw_latency(self) -> tuple[int, int, bool]:
        options, rng = self.options, self._rng
        if rng.chance(options.missing_per_mille):
            return rng.between(*options.stop_ms) * MILLISECOND, 0, False
        if rng.chance(options.slow_per_mille):
            return (options.flush_latency_ms + rng.between(200, 600)) * MILLISECOND, 0, True
        if rng.chance(options.late_per_mille):
            late = options.flush_latency_ms + rng.between(160, 2000)
            return rng.between(*options.stop_ms) * MILLISECOND, late * MILLISECOND, True
        if rng.chance(options.instant_per_mille):
            return 0, 0, True
        # Not whole milliseconds: a device falls silent at any sample.
        least, most = options.stop_ms
        stop = rng.between(least * MILLISECOND, most * MILLISECOND)
        least, most = options.answer_ms
        return stop, rng.between(least * MILLISECOND, most * MILLISECOND), True
