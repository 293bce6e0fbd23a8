"""A loudspeaker in virtual time that remembers every sample a person could hear, and when.

It is the clock of DESIGN section 3: a FIFO of PCM with a counter (``_speaker_fifo``), whose owner tells the core what it can:
positions, answers to flushes, underruns. What it tells may be late, missing, told twice, wrong, or known to a mark only; what
became audible is in ``Speaker.spans`` and ``Speaker.stops`` all the same, and ``Speaker.happened`` counts which faults came up.

Times are integer nanoseconds of virtual time.
"""

from msgspec import Struct, structs

from rtcore._formats import PCM16_24K, AudioFormat
from rtcore.sim._rng import Rng
from rtcore.sim._speaker_fifo import Fifo
from rtcore.sim._speaker_fifo import Span as Span
from rtcore.sim._speaker_moods import Moods
from rtcore.sim._speaker_moods import stale as repeat_the_past
from rtcore.sim._speaker_records import MILLISECOND as MILLISECOND
from rtcore.sim._speaker_records import Loss as Loss
from rtcore.sim._speaker_records import Report as Report
from rtcore.sim._speaker_records import SpeakerOptions as SpeakerOptions
from rtcore.sim._speaker_records import Stop as Stop

LARGE_BUFFER_MS = 160
"""A device that holds more than this when it is flushed counts as one with a large buffer."""
NOTABLE_PPM = 50
"""A drift from which on it counts as a fault, where it made a difference of a sample."""
SLOW_MS = (200, 600)
"""How far beyond its declared time a device falls silent that is slow to."""
_PPM = 1_000_000
_ECHO_MS = 3_000
"""The latest second answer to a flush."""


class _Flushing(Struct):
    """A flush on its way through the device."""

    generation: int
    asked_at: int
    stop_at: int
    answer_at: int
    answered: bool
    stopped: bool = False
    told: int | None = None


class Speaker:
    """One device. Feed it ``play``, ``drain``, ``flush``, ``pause``, ``resume``; call ``step`` when ``next_at`` is reached."""

    def __init__(self, options: SpeakerOptions, rng: Rng, audio: AudioFormat = PCM16_24K) -> None:
        self.options = options
        self.stops: list[Stop] = []
        """Every flush that took effect."""
        self.losses: list[Loss] = []
        """Every time the device was lost."""
        self.happened: dict[str, int] = {}
        """How often each fault came up, by its name in the catalogue."""
        self.paused = False
        """It holds. A late pause does so only once it has taken effect."""
        self.lost = False
        """It neither sounds nor answers, until it is restored."""
        self.next_at: int | None = None
        """When ``step`` is due."""
        self._rng = rng
        self._echo_rng = rng.beside("duplicate answers")
        self._wrong_rng = rng.beside("wrong answers")
        self._pause_rng = rng.beside("late pauses")
        self._moods = Moods(rng)
        self._rates = options  # with every fault switched off once all is calm
        self._audio = audio
        self._width = audio.sample_width
        self._fifo = Fifo(
            audio,
            buffer_ms=options.buffer_ms,
            block_ms=options.block_ms,
            drift_ppm=options.drift_ppm,
            hold_tail=options.hold_tail,
        )
        self._mark = audio.samples(options.marks_ms)
        self._block = audio.samples(options.block_ms)
        self._tells = options.reports == "all"
        self._now = 0
        self._behind = True  # what has happened by ``_now`` is not worked out yet
        self._held_at = 0  # device position at which a pause holds
        self._pause_at: int | None = None  # when a pause takes effect
        self._flushing: list[_Flushing] = []
        self._echoes: list[tuple[int, Report]] = []
        self._handed: dict[int, int] = {}
        self._ends: dict[int, int] = {}  # of each generation, the last mark that a Drain set
        self._reported: dict[int, int] = {}
        self._settled = 0
        self._unanswered_until = 0
        self._report_at: int | None = None
        self._latency_drawn: tuple[int, int, bool] = self._draw_latency()

    # -- what the core asks for --------------------------------------------------------------------------------------------

    def play(self, generation: int, pcm: bytes | memoryview, *, now: int) -> None:
        """Append whole samples to the queue."""
        view = memoryview(pcm)
        count, rest = divmod(len(view), self._width)
        if rest:
            raise ValueError(f"play() takes whole samples of {self._width} bytes, got {len(view)} bytes")
        if self._flushing or self.paused or self._pause_at is not None or self._fifo.short(self._fifo.position(now)):
            self.advance(now)
        elif now > self._now:
            self._now = now
            self._behind = True
        if not count:
            return
        self._handed[generation] = self._handed.get(generation, 0) + count
        if self.lost:
            return
        self._fifo.append(generation, view, count)
        if self._report_at is None:
            self._arm()

    def drain(self, generation: int, *, now: int) -> None:
        """Nothing more comes for now: the tail may sound."""
        self.advance(now)
        if self.lost:
            return
        fifo = self._fifo
        fifo.drained.add(generation)
        fifo.newest = max(fifo.newest, generation)
        if self._mark:  # the owner sets a mark at the end
            self._ends[generation] = self._handed.get(generation, 0)
            if self._tells:
                self._report_at = None  # the end may come before the next mark, or be past
        if self._report_at is None:
            self._arm()

    def flush(self, generation: int, *, now: int) -> None:
        """Forget every queued sample up to this generation; the device itself falls silent a little later, then answers."""
        self.advance(now)
        if self.lost:
            self._note_stop(generation, now, now, None, now, ("device lost",))
            return
        fifo = self._fifo
        fifo.drop(generation)
        if fifo.inside > self._audio.samples(LARGE_BUFFER_MS):
            self._count("large buffer")
        stop, answer, answered = self._latency_drawn
        self._latency_drawn = self._draw_latency()
        stop_at = now + stop
        if self.paused:  # a held device is silent already, and what it holds is never heard
            stop_at = now
            fifo.empty(self._crystal(now))
            answered = answered and not self._moods.forgets(self._rates.missing_per_mille)
        if self._flushing:
            stop_at = max(stop_at, self._flushing[-1].stop_at)
        self._flushing.append(_Flushing(generation, now, stop_at, stop_at + answer, answered))
        if not answered:
            self._unanswered_until = now + self.options.flush_latency_ms * MILLISECOND
        self.paused, self._pause_at = False, None
        self._schedule()
        self.advance(now)

    def pause(self, *, now: int) -> None:
        """Hold, without losing a sample; in a device whose pauses are late, a while later."""
        self.advance(now)
        if self.paused or self.lost:
            return
        if self._rates.late_pause_ms[1]:
            if self._pause_at is None:
                self._pause_at = now + self._pause_rng.between(*self._rates.late_pause_ms) * MILLISECOND
                self._schedule()
        else:
            self._hold(now)

    def resume(self, *, now: int) -> None:
        """Go on from the very sample at which it held."""
        self.advance(now)
        self._pause_at = None
        if self.paused:
            self.paused = False
            self._fifo.shift(self._crystal(now) - self._held_at)
            self._behind = True
            if self._report_at is None:
                self._arm()
        self._schedule()

    # -- what becomes of the device ------------------------------------------------------------------------------------------

    def lose(self, *, now: int) -> None:
        """The device is gone: silence at once, what was queued is gone with it, and nothing is answered (F100)."""
        self.advance(now)
        if self.lost:
            return
        self.lost = True
        self._count("device lost")
        fifo = self._fifo
        newest = fifo.newest
        self.losses.append(Loss(now, newest, fifo.sounded.get(newest, 0), self._reported.get(newest, 0)))
        for job in self._flushing:
            if job.stopped:
                for index, stop in enumerate(self.stops):
                    if stop.generation == job.generation:
                        self.stops[index] = structs.replace(stop, answered=False, told=None, faults=("device lost",))
            else:
                self._note_stop(job.generation, job.asked_at, now, None, now, ("device lost",))
        fifo.drop(newest)
        fifo.empty(self._crystal(now))
        fifo.dry = True
        self._flushing.clear()
        self._echoes.clear()
        self.paused, self._pause_at, self._report_at = False, None, None
        self._schedule()

    def restore(self, *, now: int) -> None:
        """The device is back, and empty."""
        self.advance(now)
        if self.lost:
            self.lost = False
            self._fifo.empty(self._crystal(now))
            self._behind = True

    def calm(self) -> None:
        """From now on no faults. What is under way may finish; what the device *is* (buffer, drift, marks, no reports) stays, and
        a lost device stays lost until it is restored."""
        self._rates = structs.replace(
            self.options,
            late_per_mille=0,
            slow_per_mille=0,
            missing_per_mille=0,
            duplicate_per_mille=0,
            wrong_per_mille=0,
            stale_per_mille=0,
            padding_per_mille=0,
            silent_per_mille=0,
            late_pause_ms=(0, 0),
        )
        stop, answer, answered = self._latency_drawn
        if not answered or stop + answer > self.options.flush_latency_ms * MILLISECOND:
            self._latency_drawn = self._draw_latency()

    # -- what it tells -----------------------------------------------------------------------------------------------------

    def step(self, now: int) -> list[Report]:
        """What it has to say now: answers first, then its position, then a buffer that ran dry."""
        self.advance(now)
        reports: list[Report] = []
        if self._flushing:
            for job in [job for job in self._flushing if job.stopped and job.answer_at <= now]:
                self._flushing.remove(job)
                if job.told is not None:
                    reports.append(self._answer(job.generation, job.told, now))
        if self._echoes:
            for echo in [echo for echo in self._echoes if echo[0] <= now]:
                self._echoes.remove(echo)
                self._count("duplicate answer")
                reports.append(echo[1])
        if self._report_at is not None and self._report_at <= now:
            self._report_at = None
            self._positions(now, reports)
        self._schedule()
        return reports

    @property
    def spans(self) -> list[Span]:
        """Everything that was audible, in order, complete up to the last ``advance``."""
        if self._behind:
            self._catch_up()
        return self._fifo.spans

    @property
    def pending(self) -> int:
        """Samples handed over that have neither sounded nor been flushed."""
        if self._behind:
            self._catch_up()
        return self._fifo.pending

    @property
    def flushing(self) -> bool:
        """A flush has not been answered yet (or never will be, and its time has not come)."""
        return bool(self._flushing)

    def owes(self, now: int) -> bool:
        """The last flush that will never be answered is not yet longer ago than it declared an answer to take."""
        return now < self._unanswered_until

    def sounded(self, generation: int) -> int:
        """Samples of this generation that have been audible, as of the last ``advance``."""
        if self._behind:
            self._catch_up()
        return self._fifo.sounded.get(generation, 0)

    @property
    def next_stop_latency(self) -> int:
        """How long the next flush will take to silence the device, in nanoseconds: known beforehand, so that a world can aim."""
        return self._latency_drawn[0]

    def reaches(self, generation: int, samples: int) -> int | None:
        """When this many samples of the generation will have been audible, as far as it is known now; None if past or unknown."""
        if self.paused or self._flushing:
            return None
        if self._behind:
            self._catch_up()
        position = self._fifo.reaches(generation, samples)
        return None if position is None else self._fifo.time_of(position)

    # -- the device --------------------------------------------------------------------------------------------------------

    def advance(self, now: int) -> None:
        """Let everything happen that happens up to now."""
        if self._flushing or self._pause_at is not None:
            self._take_effect(now)
        if now > self._now:
            self._now = now
            self._catch_up()
        elif self._behind:
            self._catch_up()

    def _take_effect(self, now: int) -> None:
        """A late pause, and flushes that are on their way through the device."""
        if self._pause_at is not None and self._pause_at <= now:
            self._reach(self._pause_at)
            self._count("late pause")
            self._hold(self._pause_at)
        for job in self._flushing:
            if not job.stopped and job.stop_at <= now:
                self._reach(job.stop_at)
                self._silence(job)
                self._behind = True  # it takes blocks again

    def _reach(self, now: int) -> None:
        self._now = max(self._now, now)
        self._catch_up()

    def _catch_up(self) -> None:
        self._behind = False
        flushing = self._flushing
        position = self._held_at if self.paused else self._fifo.position(self._now)
        self._fifo.reach(position, taking=not (flushing and not flushing[-1].stopped))

    def _crystal(self, now: int) -> int:
        return self._fifo.position(now)

    def _hold(self, now: int) -> None:
        self.paused, self._pause_at = True, None
        self._held_at = self._crystal(now)
        self._schedule()

    def _schedule(self) -> None:
        at = self._report_at
        if not (self._flushing or self._echoes) and self._pause_at is None:
            self.next_at = at
            return
        for job in self._flushing:
            due = job.answer_at if job.stopped else job.stop_at
            if at is None or due < at:
                at = due
        for due, _ in self._echoes:
            if at is None or due < at:
                at = due
        if self._pause_at is not None and (at is None or self._pause_at < at):
            at = self._pause_at
        self.next_at = at

    def _silence(self, job: _Flushing) -> None:
        job.stopped = True
        fifo = self._fifo
        truth = fifo.sounded.get(job.generation, 0)
        fifo.empty(self._crystal(job.stop_at))  # nothing newer is in it: it takes no block between a flush and its silence
        fifo.dry = True
        faults: list[str] = []
        allowed = job.asked_at + self.options.flush_latency_ms * MILLISECOND
        if self.options.reports != "all":
            self._count("no reports")
        if self.options.reports == "none":
            faults.append("no reports")
        elif not job.answered:
            faults.append("missing answer")
        else:
            if job.answer_at > allowed:
                faults.append("slow answer" if job.stop_at > allowed else "late answer")
            job.told = self._told(job.generation, truth, faults)
        drift = abs(self.options.drift_ppm)
        if drift >= NOTABLE_PPM and truth * drift >= _PPM:
            self._count("drift")
        self._note_stop(job.generation, job.asked_at, job.stop_at, job.told, job.answer_at, tuple(faults))
        self._schedule()

    def _told(self, generation: int, truth: int, faults: list[str]) -> int:
        """What the answer will say."""
        handed = self._handed.get(generation, 0)
        rng = self._wrong_rng
        if self._rates.wrong_per_mille and rng.chance(self._rates.wrong_per_mille):
            faults.append("wrong answer")
            kind = rng.below(3)
            if kind == 0 and truth:
                return rng.below(truth)
            if kind == 1 and handed > truth:
                return rng.between(truth + 1, handed)
            return handed + rng.between(1, self._audio.rate)
        told = self._known(generation, truth)
        if told != truth:
            faults.append("marks only")
        return told

    def _note_stop(
        self, generation: int, asked_at: int, at: int, told: int | None, answer_at: int, faults: tuple[str, ...]
    ) -> None:
        for fault in faults:
            if fault not in ("no reports", "device lost"):
                self._count(fault)
        truth, handed = self._fifo.sounded.get(generation, 0), self._handed.get(generation, 0)
        self.stops.append(Stop(generation, asked_at, at, truth, told is not None, answer_at, told, handed, faults))
        self._settled = max(self._settled, generation)
        oldest = generation - 4  # what is older than that is never asked about
        self._fifo.forget(oldest)
        for counts in (self._handed, self._ends, self._reported):
            for old in [number for number in counts if number < oldest]:
                del counts[old]

    def _count(self, fault: str) -> None:
        name = f"speaker: {fault}"
        self.happened[name] = self.happened.get(name, 0) + 1

    # -- positions -----------------------------------------------------------------------------------------------------------

    def _known(self, generation: int, count: int) -> int:
        """How much of ``count`` samples the device's owner can know of."""
        if not self._mark:
            return count
        end = self._ends.get(generation, 0)
        return max(count - count % self._mark, end if end <= count else 0)

    def _arm(self) -> None:
        """Sound is on its way: when is there something to report?"""
        if self._mark and self._tells:
            self._report_at = self._next_mark()
        elif self._fifo.pending:
            self._report_at = self._now + self.options.report_ms * MILLISECOND
        self._schedule()

    def _next_mark(self) -> int | None:
        """When the next mark can be passed at the earliest; None if nothing sounds."""
        fifo = self._fifo
        newest = fifo.newest
        if newest <= self._settled or self.paused:
            return None
        count = fifo.sounded.get(newest, 0)
        if self._known(newest, count) > self._reported.get(newest, 0):
            return self._now
        begins = fifo.next_sound()
        if begins is None:
            return None
        begins = max(begins, fifo.position(self._now))
        if self._flushing and not self._flushing[-1].stopped:  # until then it takes nothing newer
            begins = max(begins, fifo.position(self._flushing[-1].stop_at))
        mark = count - count % self._mark + self._mark
        end = self._ends.get(newest, 0)
        if count < end < mark:
            mark = end
        return max(fifo.time_of(begins + mark - count), self._now + 1)

    def _positions(self, now: int, reports: list[Report]) -> None:
        fifo = self._fifo
        tells = self._tells
        stale = self._rates.stale_per_mille
        for generation, count in fifo.sounded.items():
            if generation <= self._settled or not tells:
                continue
            told = self._known(generation, count) if self._mark else count
            if told > self._reported.get(generation, 0):
                if not self._mark and self._moods.silent(self._rates.silent_per_mille):
                    self._count("falls silent")
                    continue
                self._reported[generation] = told
                padding = 0
                if not (fifo.busy or self._mark) and count == self._handed.get(generation, 0):
                    padding = self._moods.padding(self._rates.padding_per_mille, self._block)
                    if padding:
                        self._count("counted padding")
                reports.append(Report("played", generation, told + padding))
                if stale and self._rng.chance(stale):
                    self._count("stale report")
                    reports.append(repeat_the_past(self._rng, generation, told, self._reported.get(generation - 1, 0)))
                elif not self._latency_drawn[2] and self._moods.confused(stale):
                    self._count("stale report")
                    reports.append(self._moods.smaller(generation, told))
        busy = fifo.busy
        if not busy:
            self._moods.dry()
        if not busy and not fifo.dry:
            fifo.dry = True
            if fifo.newest not in fifo.drained and fifo.newest > self._settled:
                self._count("underrun")
                if tells and not self._mark:
                    reports.append(Report("underrun", fifo.newest))
        if self._mark and self._tells:
            self._report_at = self._next_mark()
        elif busy and not self.paused:
            self._report_at = now + self.options.report_ms * MILLISECOND

    # -- answers -------------------------------------------------------------------------------------------------------------

    def _answer(self, generation: int, told: int, now: int) -> Report:
        answer = Report("flushed", generation, told)
        rng = self._echo_rng
        if self._rates.duplicate_per_mille and rng.chance(self._rates.duplicate_per_mille):
            wait = rng.between(0, 60 if rng.chance(400) else _ECHO_MS)
            self._echoes.append((now + wait * MILLISECOND, answer))
        return answer

    def _draw_latency(self) -> tuple[int, int, bool]:
        options, rng = self._rates, self._rng
        if rng.chance(options.missing_per_mille):
            return rng.between(*options.stop_ms) * MILLISECOND, 0, False
        if rng.chance(options.slow_per_mille):
            return (options.flush_latency_ms + rng.between(*SLOW_MS)) * MILLISECOND, 0, True
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
