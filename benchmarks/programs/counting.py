"""rtcore's speaker in these programs: the cheapest that is honest. It counts what it is given, and has heard it at once.

So the session does all of its work: it routes, accounts for every sample, keeps the text in step with the sound, and takes one
report for each audio delta.
"""

from meter import Meter

from rtcore import AudioFormat, Clock
from rtcore_adapters.audio import SpeakerReports


class Counting:
    """A ``Speaker`` that has heard everything as soon as it is given."""

    capabilities = Clock()
    deadline = None

    def __init__(self, meter: Meter) -> None:
        self._take = meter.audio
        self._reports: SpeakerReports | None = None
        self._generation, self._samples = 0, 0

    def open(self, reports: SpeakerReports, *, now: float) -> None:
        """Keep where to report."""
        self._reports = reports

    def play(self, pcm: bytes | memoryview, format: AudioFormat, generation: int, *, now: float) -> None:
        """Heard."""
        assert self._reports is not None
        if generation != self._generation:
            self._generation, self._samples = generation, 0
        self._samples += len(pcm) // format.sample_width
        self._reports.played(generation, self._samples)
        self._take(pcm)

    def drain(self, generation: int, *, now: float) -> None:
        """There is no tail."""

    def flush(self, generation: int, *, now: float) -> None:
        """Nothing waits."""
        assert self._reports is not None
        self._reports.flushed(generation, self._samples if generation == self._generation else 0)

    def pause(self, generation: int, *, now: float) -> None:
        """Nothing waits."""

    def resume(self, generation: int, *, now: float) -> None:
        """Nothing waits."""

    def tick(self, *, now: float) -> None:
        """It has no deadline."""

    def close(self, *, now: float) -> None:
        """Nothing is left."""
