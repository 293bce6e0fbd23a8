"""What every speaker owes (docs/clocks.md): one suite, run against each of them on a rig.

A rig is a speaker with whatever sounds behind it, in virtual time, and knows what was audible. ``CHECKS`` are the suite: each
takes a function that makes a fresh rig. Audio is made such that every sample says of which generation it is, and which one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import pairwise
from typing import Literal, NamedTuple

import pytest

from rtcore import AudioFormat, Clock
from rtcore_adapters.audio import Speaker

_HAIR = 1e-6


def tagged(format: AudioFormat, generation: int, start: int, samples: int) -> bytes:
    """Samples of a generation from 1 to 3, from ``start`` on. None of them is silence."""
    if format.type == "audio/pcm":
        return b"".join(bytes((1 + at % 250, generation)) for at in range(start, start + samples))
    return bytes(64 * (generation - 1) + at % 64 for at in range(start, start + samples))


def content(format: AudioFormat, signal: bytes, generation: int) -> bytes:
    """What of a signal is of one generation."""
    if format.type == "audio/pcm":
        return b"".join(signal[at : at + 2] for at in range(0, len(signal), 2) if signal[at + 1] == generation)
    return bytes(code for code in signal if code // 64 == generation - 1)


def count(format: AudioFormat, signal: bytes, generation: int) -> int:
    """How many samples of a generation are in a signal."""
    if format.type == "audio/pcm":
        return signal[1::2].count(generation)
    codes = bytes(range(64 * (generation - 1), 64 * generation))
    return len(signal) - len(signal.translate(None, codes))


class Told(NamedTuple):
    """One report: when, what, and how much of that generation had been audible by then."""

    at: float
    kind: str
    generation: int
    samples: int
    audible: int


class Rig(ABC):
    """Subclasses set ``speaker`` and ``format`` and say what sounds."""

    speaker: Speaker
    format: AudioFormat
    latency_s = 0.0
    """From a ``close`` to the silence."""

    def __init__(self) -> None:
        self.now = 0.0
        self.told: list[Told] = []
        self._woken = False

    # what a rig is asked for

    @abstractmethod
    def audible(self) -> bytes:
        """Everything that has sounded until ``now``, silences in between or not."""

    @property
    def far_at(self) -> float | None:
        """When something happens behind the speaker."""
        return None

    def far(self) -> None:  # noqa: B027  # most have nothing behind them
        """Let happen what happens behind the speaker until ``now``."""

    # what the suite does with it

    @property
    def clock(self) -> Clock:
        return self.speaker.capabilities

    def open(self) -> "Rig":
        self.speaker.open(self, now=self.now)
        return self

    def play(self, generation: int, start: int, samples: int) -> None:
        self.speaker.play(tagged(self.format, generation, start, samples), self.format, generation, now=self.now)
        self._settle()

    def flush(self, generation: int) -> None:
        self.speaker.flush(generation, now=self.now)
        self._settle()

    def drain(self, generation: int) -> None:
        self.speaker.drain(generation, now=self.now)
        self._settle()

    def until(self, end: float) -> None:
        """Let time pass as an adapter does: whoever has the earliest deadline is served first."""
        while True:
            due = [at for at in (self.speaker.deadline, self.far_at) if at is not None]
            if not due or min(due) > end + _HAIR:
                break
            self.now = max(self.now, min(due))
            self._settle()
            if (at := self.speaker.deadline) is not None and at <= self.now:
                self.speaker.tick(now=self.now)
        self.now = max(self.now, end)
        self._settle()

    def _settle(self) -> None:
        self.far()
        while self._woken:
            self._woken = False
            self.speaker.tick(now=self.now)
            self.far()

    def heard(self, generation: int) -> int:
        self._settle()
        return count(self.format, self.audible(), generation)

    def reports(self, kind: str, generation: int) -> list[Told]:
        return [told for told in self.told if (told.kind, told.generation) == (kind, generation)]

    def answer(self, generation: int) -> Told:
        """The one answer to a flush."""
        [answer] = self.reports("flushed", generation)
        return answer

    # what the speaker tells

    def _tell(self, kind: str, generation: int, samples: int) -> None:
        audible = count(self.format, self.audible(), generation) if 1 <= generation <= 3 else 0
        self.told.append(Told(self.now, kind, generation, samples, audible))

    def played(self, generation: int, samples: int) -> None:
        self._tell("played", generation, samples)

    def flushed(self, generation: int, samples: int) -> None:
        self._tell("flushed", generation, samples)

    def underrun(self, generation: int) -> None:
        self._tell("underrun", generation, 0)

    def device(self, state: Literal["lost", "ready"]) -> None:
        self._tell(state, 0, 0)

    def wake(self) -> None:
        self._woken = True


Make = Callable[[], Rig]


def _is_sound(rig: Rig) -> None:
    """Counts never go back, and never ahead of what was audible; each flush has one answer, the last word of its generation."""
    for generation in (1, 2, 3):
        told = [entry for entry in rig.told if entry.generation == generation and entry.kind in ("played", "flushed")]
        counts = [entry.samples for entry in told]
        assert counts == sorted(counts)
        assert all(entry.samples <= entry.audible for entry in told), told
        assert [entry.kind for entry in told].count("flushed") <= 1
        assert all(entry.kind == "played" for entry in told[:-1])


def everything_sounds_and_is_counted(make: Make) -> None:  # C20, F081
    rig = make().open()
    second = rig.format.rate
    for start, samples in ((0, 1), (1, 7), (8, second // 2), (8 + second // 2, 333)):
        rig.play(1, start, samples)
    total = 341 + second // 2
    rig.drain(1)
    rig.until(4.0)
    assert content(rig.format, rig.audible(), 1) == tagged(rig.format, 1, 0, total)
    assert rig.reports("played", 1)[-1].samples == total
    assert rig.reports("underrun", 1) == []
    assert rig.speaker.deadline is None or rig.speaker.deadline > 4.0
    rig.play(1, total, 100)  # later audio of the generation may follow
    rig.drain(1)
    rig.until(8.0)
    assert content(rig.format, rig.audible(), 1) == tagged(rig.format, 1, 0, total + 100)
    assert rig.reports("played", 1)[-1].samples == total + 100
    _is_sound(rig)


def a_drain_sounds_the_tail(make: Make) -> None:  # F160
    rig = make().open()
    rig.play(1, 0, 5)
    rig.drain(1)
    rig.until(3.0)
    assert (rig.heard(1), rig.reports("played", 1)[-1].samples) == (5, 5)


def it_reports_as_often_as_it_declares(make: Make) -> None:
    rig = make().open()
    rig.play(1, 0, 2 * rig.format.rate)
    rig.until(2.0)
    if rig.clock.reports and rig.heard(1) < 2 * rig.format.rate:
        times = [told.at for told in rig.reports("played", 1)]
        assert len(times) > 2
        longest = rig.clock.report_ms / 1000 + _HAIR
        assert all(after - before <= longest for before, after in pairwise(times))


def a_flush_silences_and_is_answered_once(make: Make) -> None:  # B01, F031, F032, F042, C21
    rig = make().open()
    rig.play(1, 0, 2 * rig.format.rate)
    rig.until(0.7)
    rig.flush(1)
    rig.play(1, 2 * rig.format.rate, 480)  # a delta that was under way
    rig.play(2, 0, 1000)
    rig.drain(2)
    rig.until(0.7 + rig.clock.flush_latency_ms / 1000)
    answer = rig.answer(1)
    rig.until(5.0)
    assert rig.answer(1) == answer
    heard = rig.heard(1)
    assert heard == answer.audible, "something sounded after the answer"
    slack = rig.format.samples(rig.clock.answer_ms)
    assert heard - slack <= answer.samples <= heard
    assert content(rig.format, rig.audible(), 1) == tagged(rig.format, 1, 0, heard)
    assert content(rig.format, rig.audible(), 2) == tagged(rig.format, 2, 0, 1000)
    assert rig.reports("played", 2)[-1].samples == 1000
    _is_sound(rig)


def a_flush_of_nothing_is_answered(make: Make) -> None:  # C07
    rig = make().open()
    rig.flush(1)
    rig.until(1.0)
    assert rig.answer(1).samples == 0
    rig.play(2, 0, 480)
    rig.drain(2)
    rig.until(3.0)
    rig.flush(2)
    rig.until(4.0)
    assert rig.answer(2).samples == rig.heard(2) == 480
    _is_sound(rig)


def flushes_are_answered_in_order(make: Make) -> None:  # C11, C21
    rig = make().open()
    rig.play(1, 0, rig.format.rate)
    rig.until(0.3)
    rig.flush(1)
    rig.play(2, 0, rig.format.rate)
    rig.until(0.31)
    rig.flush(2)
    rig.play(3, 0, 800)
    rig.drain(3)
    rig.until(5.0)
    assert [told.generation for told in rig.told if told.kind == "flushed"] == [1, 2]
    assert content(rig.format, rig.audible(), 3) == tagged(rig.format, 3, 0, 800)
    assert all(rig.heard(each) == rig.answer(each).audible for each in (1, 2))
    _is_sound(rig)


def a_pause_loses_nothing(make: Make) -> None:  # B16, C20, F083: by the clock, or by a flush and playing again
    rig = make().open()
    total = rig.format.rate
    rig.play(1, 0, total)
    rig.until(0.3)
    settled = 0.3 + rig.clock.flush_latency_ms / 1000 + _HAIR
    if rig.clock.pause:
        rig.speaker.pause(1, now=rig.now)
        rig.until(settled)
        held = rig.heard(1)
        assert held < total or rig.clock.flush_latency_ms == 0
        rig.play(1, total, 100)  # F080: it arrives while it is held
        rig.until(settled + 1.0)
        assert rig.heard(1) == held
        rig.speaker.resume(1, now=rig.now)
        rig.drain(1)
        rig.until(settled + 3.0)
        assert content(rig.format, rig.audible(), 1) == tagged(rig.format, 1, 0, total + 100)
    else:
        with pytest.raises(RuntimeError, match="pause"):
            rig.speaker.pause(1, now=rig.now)
        rig.flush(1)
        rig.until(settled)
        held = rig.heard(1)
        rig.until(settled + 1.0)
        assert rig.heard(1) == held
        known = rig.answer(1).samples
        rig.play(2, known, total - known)
        rig.drain(2)
        rig.until(settled + 3.0)
        again = content(rig.format, rig.audible(), 2)
        assert again == tagged(rig.format, 2, known, total - known)
        assert known <= held <= known + rig.format.samples(rig.clock.answer_ms)
    _is_sound(rig)


def a_flush_ends_a_pause(make: Make) -> None:  # B17, F036
    rig = make().open()
    if not rig.clock.pause:
        return  # the check before this one shows that it is never asked to
    rig.play(1, 0, rig.format.rate)
    rig.until(0.3)
    rig.speaker.pause(1, now=rig.now)
    rig.until(0.9)
    held = rig.heard(1)
    rig.flush(1)
    rig.play(2, 0, 500)
    rig.drain(2)
    rig.until(3.0)
    assert rig.heard(1) == rig.answer(1).samples == held
    assert content(rig.format, rig.audible(), 2) == tagged(rig.format, 2, 0, 500)
    _is_sound(rig)


def a_close_silences(make: Make) -> None:  # F162: no report after it
    rig = make().open()
    rig.play(1, 0, 3 * rig.format.rate)
    rig.until(0.5)
    rig.speaker.close(now=rig.now)
    told = list(rig.told)
    rig.until(0.5 + rig.latency_s)
    heard = rig.heard(1)
    rig.until(5.0)
    rig.speaker.close(now=rig.now)
    assert rig.speaker.deadline is None
    assert (rig.heard(1), rig.told) == (heard, told)
    _is_sound(rig)


def it_serves_one_conversation(make: Make) -> None:
    rig = make().open()
    with pytest.raises(RuntimeError, match="one speaker serves one conversation"):
        rig.open()


CHECKS = [
    everything_sounds_and_is_counted,
    a_drain_sounds_the_tail,
    it_reports_as_often_as_it_declares,
    a_flush_silences_and_is_answered_once,
    a_flush_of_nothing_is_answered,
    flushes_are_answered_in_order,
    a_pause_loses_nothing,
    a_flush_ends_a_pause,
    a_close_silences,
    it_serves_one_conversation,
]
