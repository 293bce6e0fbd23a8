"""What lies between two flushes: what was handed to the clock, what it has confirmed, and what must have sounded since."""

from collections import deque

from rtcore._formats import AudioFormat
from rtcore._items import Segment

Pcm = bytes | memoryview
Run = tuple[Segment, int, int, Pcm, float]
"""segment, first and past-the-end sample in its generation, PCM, when it was handed over."""


class Generation:
    """What lies between two flushes: one format, counts from 0."""

    __slots__ = (
        "anchor",
        "anchor_at",
        "confirmed",
        "drained",
        "drained_at",
        "excess_told",
        "flush_due",
        "format",
        "guess",
        "handed",
        "latency",
        "lost",
        "number",
        "paused",
        "reported",
        "runs",
    )

    def __init__(self, number: int, format: AudioFormat, latency: float) -> None:
        self.number = number
        self.format = format
        self.latency = latency
        self.handed = 0
        self.confirmed = 0
        self.reported = 0
        self.runs: deque[Run] = deque()
        self.anchor = 0
        self.anchor_at = 0.0
        self.paused = False
        self.lost = False
        self.drained = True
        self.drained_at = 0.0
        self.excess_told = False
        self.flush_due: float | None = None
        self.guess = 0

    def estimate(self, now: float) -> int:
        """Samples audible by ``now``: the last report extrapolated over the time in which audio was available (C19, B29).

        A run cannot have sounded before it was handed over and the clock's latency had passed, so an underrun never counts, and
        a pause stops the count.
        """
        return self.reckon(now)[0]

    def reckon(self, now: float) -> tuple[int, float]:
        """The estimate, and when its last sample ended."""
        position, since = self.anchor, self.anchor_at
        if self.paused or self.lost:
            # Nothing sounded after the last report of a device that is lost, not even what a pause took to have sounded (F100).
            return (self.confirmed if self.lost else position), since
        for _, start, end, _, at in self.runs:
            if end <= position:
                continue
            since = max(since, at + self.latency)
            begin = max(position, start)
            audible = min(int((now - since) * self.format.rate), end - begin)
            if audible <= 0:
                break
            position = begin + audible
            since += audible / self.format.rate
            if position < end:
                break
        return position, since
