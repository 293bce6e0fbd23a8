"""livekit's playback as rtcore's loudspeaker: sound goes into the messages' streams, and where it stopped livekit says."""

from collections import deque
from collections.abc import Callable
from typing import Literal

from livekit import rtc
from msgspec import Struct

from rtcore import AudioFormat, Clock, PartView
from rtcore_adapters.audio import SpeakerReports, VirtualSpeaker

LAG_S = 0.3
"""A count is told so much later than livekit took the audio to play it: its output may be so far behind."""
ANSWER_S = 0.4
"""Longest wait for livekit's word of where it stopped; then the count by time stands."""

AGAIN_S = 1.0
PATIENCE_S = 30.0
"""So long audio that livekit does not take is taken to be played later, when the user is silent, say: a count is told again, so
that it is not presumed."""

Where = Callable[[int, int], PartView | None]
"""``Session.part_at``."""


class Stretch(Struct):
    """Samples from ``start`` to ``end`` of a generation that are of one message."""

    item_id: str
    start: int
    end: int


class Pending(Struct):
    """A flush that waits for livekit's word: its generation, what it was by time, and until when."""

    generation: int
    samples: int
    until: float


class _Heard:
    """The inner clock's reports, kept until they are surely true."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[int, int]] = deque()
        self.final = 0
        self.wake: Callable[[], None] = lambda: None

    def played(self, generation: int, samples: int) -> None:
        self.waiting.append((generation, samples))

    def flushed(self, generation: int, samples: int) -> None:
        self.final = samples

    def underrun(self, generation: int) -> None:
        """livekit takes one message after the other: between two of them nothing waits."""

    def device(self, state: Literal["lost", "ready"]) -> None: ...


class Player:
    """A ``Speaker`` that gives ``sound`` each piece with its part, and counts what livekit has taken, as time passes.

    ``time`` is the runtime's clock. ``silenced`` is told what has been flushed.
    """

    def __init__(
        self,
        sound: Callable[[int, PartView, memoryview | bytes, AudioFormat], None],
        ended: Callable[[PartView], None],
        silenced: Callable[[int], None],
        time: Callable[[], float],
    ) -> None:
        self.where: Where = lambda generation, sample: None
        self._sound, self._ended, self._silenced, self._time = sound, ended, silenced, time
        self._reports: SpeakerReports | None = None
        self._clock = VirtualSpeaker(record=False)
        self._heard = _Heard()
        self._due: deque[tuple[float, int, int]] = deque()
        self._format: AudioFormat | None = None
        self._generation = 0
        self._stretches: list[Stretch] = []  # of this generation
        self._open: PartView | None = None
        self._pending: Pending | None = None
        self._cut: list[Stretch] = []  # of the pending one
        self._stopped: tuple[str, int] | None = None
        self._flushed = 0
        self._samples = 0  # told of this generation
        self._told = self._moved = 0.0

    # -- what livekit tells -------------------------------------------------------------------------------------------------

    def taken(self, generation: int, frame: rtc.AudioFrame) -> None:
        """livekit plays this frame behind what it has."""
        if self._format is not None and generation > self._flushed and self._reports is not None:
            pcm = bytes(frame.data)
            self._clock.play(pcm, AudioFormat("audio/pcm", frame.sample_rate), generation, now=self._time())
            self._reports.wake()

    def holds(self, item_id: str) -> bool:
        """Whether something of this message waits or sounds, and was not flushed."""
        return any(each.item_id == item_id for each in self._stretches)

    def stopped(self, item_id: str, ms: int) -> None:
        """livekit's playback of a message has stopped here."""
        self._stopped = item_id, ms
        if self._reports is not None:
            self._reports.wake()

    # -- what the adapter calls ---------------------------------------------------------------------------------------------

    @property
    def capabilities(self) -> Clock:
        """livekit cannot be told to hold; it says where it stopped a moment after it was told to."""
        return Clock(pause=False, report_ms=round(LAG_S * 1000) + 50, flush_latency_ms=round(ANSWER_S * 1000))

    @property
    def deadline(self) -> float | None:
        """When to count, to tell a count, or to settle a flush without livekit's word."""
        due = [self._clock.deadline, self._due[0][0] if self._due else None, self._pending.until if self._pending else None]
        if self._waits and self._told < self._moved + PATIENCE_S:
            due.append(self._told + AGAIN_S)
        return min((at for at in due if at is not None), default=None)

    @property
    def _waits(self) -> bool:
        return bool(self._stretches) and self._samples < self._stretches[-1].end

    def open(self, reports: SpeakerReports, *, now: float) -> None:
        """Count from now on."""
        self._reports = reports
        self._clock.open(self._heard, now=now)

    def play(self, pcm: bytes | memoryview, format: AudioFormat, generation: int, *, now: float) -> None:
        """Into its message's stream."""
        self._format = format
        if generation > self._generation:
            self._generation, self._stretches, self._samples = generation, [], 0
        if not self._waits:
            self._told = self._moved = now
        start = self._stretches[-1].end if self._stretches else 0
        end = start + len(pcm) // format.sample_width
        part = self.where(generation, start)
        if part is None:
            return
        if self._stretches and self._stretches[-1].item_id == part.item_id:
            self._stretches[-1].end = end
        else:
            self._close()
            self._stretches.append(Stretch(part.item_id, start, end))
        self._open = part
        self._sound(generation, part, pcm, format)

    def drain(self, generation: int, *, now: float) -> None:
        """The message that is played has ended."""
        self._close()

    def flush(self, generation: int, *, now: float) -> None:
        """No more of it goes to livekit, which is asked by the session to stop, and says where it did."""
        if self._pending is not None:
            self._settle(self._pending.samples)
        self._flushed = generation
        self._open = None
        self._clock.flush(generation, now=now)
        self._heard.waiting.clear()
        self._due.clear()
        self._pending = Pending(generation, self._heard.final, now + ANSWER_S)
        self._cut = self._stretches if generation == self._generation else []
        self._stretches = []
        self._stopped = None
        self._silenced(generation)
        if not self._heard.final:
            self._settle(0)  # livekit has taken nothing of it

    def pause(self, generation: int, *, now: float) -> None:
        """Not called, by ``capabilities``."""

    def resume(self, generation: int, *, now: float) -> None:
        """Not called, by ``capabilities``."""

    def tick(self, *, now: float) -> None:
        """Count, and tell what is old enough."""
        self._clock.tick(now=now)
        self._due.extend((now + LAG_S, generation, samples) for generation, samples in self._heard.waiting)
        self._heard.waiting.clear()
        while self._due and self._due[0][0] <= now and self._reports is not None:
            _, generation, samples = self._due.popleft()
            self._samples, self._moved, self._told = samples, now, now
            while len(self._stretches) > 1 and self._stretches[0].end <= samples:
                del self._stretches[0]
            self._reports.played(generation, samples)
        if self._waits and self._told + AGAIN_S <= now < self._moved + PATIENCE_S + AGAIN_S and self._reports is not None:
            self._told = now
            self._reports.played(self._generation, self._samples)
        if self._pending is not None:
            if self._stopped is not None:
                self._settle_where_it_stopped(*self._stopped)
            elif now >= self._pending.until:
                self._settle(self._pending.samples)

    def close(self, *, now: float) -> None:
        """Count no more."""
        self._reports = None
        self._clock.close(now=now)

    def _close(self) -> None:
        if self._open is not None:
            self._ended(self._open)
        self._open = None

    def _settle_where_it_stopped(self, item_id: str, ms: int) -> None:
        assert self._pending is not None and self._format is not None
        self._stopped = None
        for each in self._cut:
            if each.item_id == item_id:
                self._settle(min(each.start + self._format.samples(ms), each.end))
                return

    def _settle(self, samples: int) -> None:
        assert self._pending is not None
        generation, self._pending = self._pending.generation, None
        if self._reports is not None:
            self._reports.flushed(generation, samples)
