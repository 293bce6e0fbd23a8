"""A loudspeaker that sounds nothing, for conversations in text."""

from rtcore import AudioFormat, Clock
from rtcore_adapters.audio._interface import SpeakerReports


class NullSpeaker:
    """A ``Speaker`` for programs that want text, or the words of a voice without its sound.

    Nothing is sounded and no time passes: what comes counts as heard at once, so every message ends, as full, as soon as it is
    complete, and an interruption cuts nothing that has arrived. What is handed over while it is paused counts when it goes on.
    Where it matters how far a person *could* have listened, a ``VirtualSpeaker(record=False)`` takes the time that sound takes.
    """

    def __init__(self) -> None:
        self._capabilities = Clock(report_ms=1, flush_latency_ms=0)
        self._reports: SpeakerReports | None = None
        self._closed = False
        self._flushed = 0
        self._heard: dict[int, int] = {}  # by generation
        self._held: int | None = None
        self._waiting: dict[int, int] = {}  # by generation, while held

    @property
    def capabilities(self) -> Clock:
        """It pauses, flushes, and reports at once."""
        return self._capabilities

    @property
    def deadline(self) -> float | None:
        """None: nothing happens by itself."""
        return None

    def open(self, reports: SpeakerReports, *, now: float) -> None:
        """Ready."""
        if self._reports is not None:
            raise RuntimeError("this speaker was opened before: one speaker serves one conversation")
        self._reports = reports

    def play(self, pcm: bytes | memoryview, format: AudioFormat, generation: int, *, now: float) -> None:
        """Heard."""
        if generation <= self._flushed or self._closed:
            return
        self._waiting[generation] = self._waiting.get(generation, 0) + len(pcm) // format.sample_width
        self._count()

    def drain(self, generation: int, *, now: float) -> None:
        """Nothing is held back."""

    def flush(self, generation: int, *, now: float) -> None:
        """Answered at once."""
        if self._closed:
            return
        self._flushed = max(self._flushed, generation)
        if self._held is not None and self._held <= generation:
            self._held = None
        samples = self._heard.get(generation, 0)
        for counts in (self._heard, self._waiting):
            for old in [each for each in counts if each <= generation]:
                del counts[old]
        if self._reports is not None:
            self._reports.flushed(generation, samples)

    def pause(self, generation: int, *, now: float) -> None:
        """Count no further."""
        self._held = generation

    def resume(self, generation: int, *, now: float) -> None:
        """Count what came meanwhile."""
        self._held = None
        self._count()

    def tick(self, *, now: float) -> None:
        """Nothing is due, ever."""

    def close(self, *, now: float) -> None:
        """Nothing counts any more."""
        self._closed = True

    def _count(self) -> None:
        for generation in [each for each in self._waiting if self._held is None or each > self._held]:
            samples = self._heard[generation] = self._heard.get(generation, 0) + self._waiting.pop(generation)
            if self._reports is not None:
                self._reports.played(generation, samples)
