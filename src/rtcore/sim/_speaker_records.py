"""What a simulated device is, as options, and what is written down of it: flushes, losses, reports.

Times are integer nanoseconds of virtual time.
"""

from typing import Literal

from msgspec import Struct

from rtcore._clock import Clock

MILLISECOND = 1_000_000
"""In nanoseconds, the unit of virtual time."""


class SpeakerOptions(Struct, frozen=True):
    """What kind of device this is. Milliseconds, unless the name says otherwise."""

    buffer_ms: int = 40
    """From a block's way into the device to its sound; up to 500."""
    block_ms: int = 20
    drift_ppm: int = 0
    """How fast its crystal runs against virtual time; up to 500 either way."""
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
    duplicate_per_mille: int = 0
    """How many answers are given once more, at once or up to 3 s later, when newer generations sound (C21)."""
    wrong_per_mille: int = 0
    """How many answers are not the truth: less, more, or more than was ever handed over (C08)."""
    stale_per_mille: int = 0
    """How many reports are followed by one of a generation long gone, or by a smaller one (C21)."""
    padding_per_mille: int = 0
    """How many times, of those that it runs dry, it counts the silence that filled its last block: its position is more than was
    ever handed over, until more is (C08)."""
    silent_per_mille: int = 0
    """Instead of how many reports it falls silent, and tells no position until it has run dry: the end is never told (F078)."""
    marks_ms: int = 0
    """0: positions are exact. Else they are known only where a mark was passed: at every so many ms of handed-over audio, and at
    its end once ``Drain`` said that it is the end. Reports come when a mark is passed, and an answer is the last one passed, as
    telephone media streams have it (F019, F020)."""
    reports: Literal["all", "answers only", "none"] = "all"
    """Whether it tells its position at all; with "none" no flush is ever answered either."""
    late_pause_ms: tuple[int, int] = (0, 0)
    """Least and most time until a pause takes effect; what sounds until then is heard, and reported."""
    hold_tail: bool = False
    """It sounds whole blocks only, until ``Drain`` says that nothing more comes (resamplers and jitter buffers do this)."""
    pause: bool = True
    flush_latency_ms: int = 350
    """What it declares; whether it keeps to it is another matter."""

    @property
    def clock(self) -> Clock:
        """The capabilities that it declares to the core."""
        return Clock(
            pause=self.pause,
            report_ms=self.marks_ms or self.report_ms,
            reports=self.reports == "all",
            # Without reports a position can only be reckoned from the hand-over, and sound comes so much later.
            latency_ms=0 if self.reports == "all" else self.buffer_ms + self.block_ms,
            flush_latency_ms=self.flush_latency_ms,
            answer_ms=self.marks_ms,
        )


class Stop(Struct, frozen=True, gc=False):
    """A flush: when it was asked for, when it silenced the device, how many samples of the generation had sounded by then."""

    generation: int
    asked_at: int
    at: int
    samples: int
    """The truth."""
    answered: bool
    """An answer was or will be given, at ``answer_at``."""
    answer_at: int
    told: int | None = None
    """What the answer says; None if there is none."""
    handed: int = 0
    """Samples of the generation that had been handed over."""
    faults: tuple[str, ...] = ()
    """Why the answer is not the truth within the declared time, by the catalogue's names without their group. "marks only" and
    "no reports" are what the device is: it is entitled to them. "wrong answer" is a lie: the core cannot but believe it."""


class Loss(Struct, frozen=True, gc=False):
    """The device was lost: when, and how many samples of the newest generation had sounded and had been reported by then."""

    at: int
    generation: int
    samples: int
    reported: int


class Report(Struct, frozen=True, gc=False):
    """What the clock tells its owner: ``played``, ``flushed`` (samples of that generation audible so far) or ``underrun``."""

    kind: Literal["played", "flushed", "underrun"]
    generation: int
    samples: int = 0
