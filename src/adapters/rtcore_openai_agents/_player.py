"""The program as rtcore's loudspeaker: it is given audio as events, and told when that is not to sound any more."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from agents.realtime import RealtimePlaybackTracker
from agents.realtime.model_events import (
    RealtimeModelAudioDoneEvent,
    RealtimeModelAudioEvent,
    RealtimeModelAudioInterruptedEvent,
)
from msgspec import Struct
from msgspec.structs import replace

from rtcore import AudioFormat, Clock, PartView
from rtcore_adapters.audio import Speaker, SpeakerReports, VirtualSpeaker

SoundEvent: TypeAlias = RealtimeModelAudioEvent | RealtimeModelAudioDoneEvent | RealtimeModelAudioInterruptedEvent
Tell = Callable[[int, SoundEvent], None]
"""Takes an event and the generation that it is of."""
Where = Callable[[int, int], PartView | None]
"""``Session.part_at``."""

_NOWHERE = PartView("", "", 0)
_POLL_S = 0.02
_SETTLE_S = 0.02
"""From the event that silences the program to its last report: what its player had begun is heard."""
_AGAIN_S = 1.0
_PATIENCE_S = 10.0
"""So long a program that plays nothing is taken to begin, or go on, later: a count is told again, so that it is not presumed."""
_REPORT_MS = 250
"""Programs report a played piece when it is over, and pieces are of any length."""


class Stretch(Struct):
    """Samples from ``start`` to ``end`` of a generation that are of one part."""

    part: PartView
    start: int
    end: int


class Player:
    """A ``Speaker`` that passes audio on as events, and has ``clock`` count it. ``where`` is set when the session is there."""

    def __init__(self, clock: Speaker, tell: Tell) -> None:
        self.where: Where = lambda generation, sample: None
        self._clock = clock
        self._tell = tell
        self._generation = 0
        self._stretches: list[Stretch] = []  # of this generation
        self._open: PartView | None = None  # whose audio goes on

    @property
    def capabilities(self) -> Clock:
        """Those of what counts; but a program cannot be told to hold."""
        return replace(self._clock.capabilities, pause=False)

    @property
    def deadline(self) -> float | None:
        """When what counts wants ``tick``."""
        return self._clock.deadline

    def open(self, reports: SpeakerReports, *, now: float) -> None:
        """Count for this conversation."""
        self._clock.open(reports, now=now)

    def play(self, pcm: bytes | memoryview, format: AudioFormat, generation: int, *, now: float) -> None:
        """An audio event, which the program sounds behind what it has."""
        if generation > self._generation:
            self._generation, self._stretches = generation, []
        start = self._stretches[-1].end if self._stretches else 0
        end = start + len(pcm) // format.sample_width
        part = self.where(generation, start) or _NOWHERE
        if self._stretches and self._stretches[-1].part == part:
            self._stretches[-1].end = end
        else:
            self._done()
            self._begin(Stretch(part, start, end))
        self._open = part
        self._tell(generation, RealtimeModelAudioEvent(bytes(pcm), part.response_id, part.item_id, part.content_index))
        self._clock.play(pcm, format, generation, now=now)

    def drain(self, generation: int, *, now: float) -> None:
        """The part that is played has ended."""
        self._done()
        self._clock.drain(generation, now=now)

    def flush(self, generation: int, *, now: float) -> None:
        """The program is told to fall silent."""
        if generation == self._generation and self._stretches:
            part = self._stretches[-1].part
            self._tell(generation, RealtimeModelAudioInterruptedEvent(part.item_id, part.content_index))
        self._open = None
        self._clock.flush(generation, now=now)

    def pause(self, generation: int, *, now: float) -> None:
        """Not called, by ``capabilities``."""

    def resume(self, generation: int, *, now: float) -> None:
        """Not called, by ``capabilities``."""

    def tick(self, *, now: float) -> None:
        """Count."""
        self._clock.tick(now=now)

    def close(self, *, now: float) -> None:
        """Count no more."""
        self._clock.close(now=now)

    def _begin(self, stretch: Stretch) -> None:
        """What was before it need not be known any more: time counts on."""
        self._stretches = [stretch]

    def _done(self) -> None:
        if self._open is not None:
            self._tell(self._generation, RealtimeModelAudioDoneEvent(self._open.item_id, self._open.content_index))
        self._open = None


class TrackedPlayer(Player):
    """One whose program says what it has played, by a ``RealtimePlaybackTracker``.

    A flush is answered a moment after the program was told, so that what was sounding then is counted; what comes next waits for
    that, because the tracker knows one item at a time. Until then no more is taken for heard than can have sounded: a line that
    is cleared returns the marks of all that waited at once, and the program passes them on.
    """

    def __init__(self, tracker: RealtimePlaybackTracker, tell: Tell) -> None:
        super().__init__(_NoClock(), tell)
        self._tracker = tracker
        self._reports: SpeakerReports | None = None
        self._format: AudioFormat | None = None
        self._heard = self._known = 0
        self._settling: tuple[int, float] | None = None
        self._waiting: list[Callable[..., None]] = []
        self._looked = self._moved = self._told = 0.0

    @property
    def capabilities(self) -> Clock:
        """Reports as the program makes them, and an answer to a flush within a moment."""
        return Clock(pause=False, report_ms=_REPORT_MS, flush_latency_ms=round(_SETTLE_S * 1000))

    @property
    def deadline(self) -> float | None:
        """When a flush is answered, or when to look again."""
        if self._settling is not None:
            return self._settling[1]
        return self._looked + _POLL_S if self._stretches and self._heard < self._stretches[-1].end else None

    def open(self, reports: SpeakerReports, *, now: float) -> None:
        """Look at the tracker from now on."""
        self._reports = reports

    def play(self, pcm: bytes | memoryview, format: AudioFormat, generation: int, *, now: float) -> None:
        """As any player; the first of a generation is heard from its first sample."""
        if self._settling is not None:
            self._waiting.append(partial(self.play, pcm, format, generation))
            return
        if generation > self._generation:
            self._heard, self._format = 0, format
        if self.deadline is None:
            self._looked = self._moved = self._told = now
        super().play(pcm, format, generation, now=now)

    def drain(self, generation: int, *, now: float) -> None:
        """In its place."""
        if self._settling is not None:
            self._waiting.append(partial(self.drain, generation))
        else:
            super().drain(generation, now=now)

    def flush(self, generation: int, *, now: float) -> None:
        """Silence, and the count a moment later. What waits behind another flush was never heard."""
        self._waiting.clear()
        if self._settling is not None:
            self._settle(now)
        if self._look():
            self._moved = now
        self._known = self._heard
        super().flush(generation, now=now)
        self._settling = generation, now + _SETTLE_S

    def tick(self, *, now: float) -> None:
        """See what the program has played."""
        self._looked = now
        if self._settling is None:
            if moved := self._look():
                self._moved = now
            waits = self._told + _AGAIN_S <= now < self._moved + _PATIENCE_S
            if (moved or waits) and self._reports is not None:
                self._told = now
                self._reports.played(self._generation, self._heard)
        elif now >= self._settling[1]:
            self._settle(now)

    def close(self, *, now: float) -> None:
        """Look no more."""
        self._reports, self._settling, self._waiting = None, None, []

    def _begin(self, stretch: Stretch) -> None:
        """The tracker may still speak of those before it."""
        self._stretches.append(stretch)

    def _look(self) -> bool:
        """Whether more was played than was known."""
        state = self._tracker.get_state()
        elapsed = state["elapsed_ms"]
        if elapsed is None or self._format is None:
            return False
        samples = round(elapsed * self._format.rate / 1000)
        for each in self._stretches:
            if (each.part.item_id, each.part.content_index) != (state["current_item_id"], state["current_item_content_index"]):
                continue
            heard = min(each.start + samples, each.end)
            if heard > self._heard:
                self._heard = heard
                while len(self._stretches) > 1 and self._stretches[0].end <= heard:
                    del self._stretches[0]
                return True
        return False

    def _settle(self, now: float) -> None:
        assert self._settling is not None
        generation, self._settling = self._settling[0], None
        self._look()
        if self._format is not None:
            self._heard = min(self._heard, self._known + round((now - self._moved) * self._format.rate))
        mine = generation == self._generation
        heard, self._stretches = (self._heard if mine else 0), []
        self._tracker.on_interrupted()
        if self._reports is not None:
            self._reports.flushed(generation, heard)
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each(now=now)


class _NoClock:
    """Counts nothing: ``TrackedPlayer`` does."""

    capabilities = Clock()
    deadline = None

    def open(self, reports: SpeakerReports, *, now: float) -> None: ...
    def play(self, pcm: bytes | memoryview, format: AudioFormat, generation: int, *, now: float) -> None: ...
    def drain(self, generation: int, *, now: float) -> None: ...
    def flush(self, generation: int, *, now: float) -> None: ...
    def pause(self, generation: int, *, now: float) -> None: ...
    def resume(self, generation: int, *, now: float) -> None: ...
    def tick(self, *, now: float) -> None: ...
    def close(self, *, now: float) -> None: ...


def player(tracker: RealtimePlaybackTracker | None, tell: Tell) -> Player:
    """Counted by the program's tracker, or by the time that sound takes."""
    return Player(VirtualSpeaker(record=False), tell) if tracker is None else TrackedPlayer(tracker, tell)
