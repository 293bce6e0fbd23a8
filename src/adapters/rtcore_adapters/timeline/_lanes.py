"""What a timeline is made of: events in lanes, messages, and what went up with time (received, audible) as lines."""

from typing import Literal

from msgspec import Struct, field

Lane = Literal["user", "program", "client", "server", "received", "audible", "heard", "cuts", "notices"]
LANES: dict[Lane, tuple[str, str]] = {
    "user": ("user", "when a person was heard to speak, and their words"),
    "program": ("program", "what the program asked for"),
    "client": ("client messages", "what the server was told"),
    "server": ("server", "responses from beginning to end, and the events between"),
    "received": ("received", "audio of each item, by its arrival"),
    "audible": ("audible", "what the audio clock reported, and each message's verdict"),
    "heard": ("text as heard", "words when they were heard; struck out: never heard"),
    "cuts": ("cuts", "flushes, their answers, interruptions"),
    "notices": ("notices", "what the program was told"),
}
"""In their order: a lane's name, and what is in it."""

_TEXT = 1_500


class Event(Struct, frozen=True):
    """Something that happened at ``at``, or lasted until ``end``. ``kind`` is its type, ``label`` short, ``text`` says all.

    ``tone`` says how it is coloured: a verdict, "speech", "cut", or nothing.
    """

    at: float
    lane: Lane
    kind: str
    label: str
    text: str
    end: float | None = None
    tone: str = ""
    message: str = ""
    """The item that it is about, where it is a message of the model's."""


class Message(Struct):
    """A message of the model's: when it was heard, how much of it, and its words."""

    item: str
    begin: float | None = None
    end: float | None = None
    verdict: str = "open"
    heard_ms: int = 0
    received_ms: int = 0
    text: str = ""
    full_text: str = ""


class Line:
    """Milliseconds that only go up, kept as the fewest points from which a straight line is never ``tolerance`` ms away.

    A report each 20 ms of a clock that runs evenly is one line however long it runs.
    """

    def __init__(self, tolerance: float = 5.0) -> None:
        self.points: list[tuple[float, float]] = []
        self._tolerance = tolerance
        self._low, self._high = float("-inf"), float("inf")

    def add(self, at: float, ms: float) -> None:
        """The next point; time never goes back."""
        points = self.points
        if not points:
            points.append((at, ms))
            return
        if len(points) > 1:
            begin, base = points[-2]
            if at > begin:
                slope = (ms - base) / (at - begin)
                if self._low <= slope <= self._high:
                    points[-1] = (at, ms)
                    self._narrow(at - begin, ms - base)
                    return
        begin, base = points[-1]
        points.append((at, ms))
        self._low, self._high = float("-inf"), float("inf")
        if at > begin:
            self._narrow(at - begin, ms - base)
        else:
            self._low, self._high = float("inf"), float("-inf")

    def _narrow(self, wide: float, high: float) -> None:
        self._low = max(self._low, (high - self._tolerance) / wide)
        self._high = min(self._high, (high + self._tolerance) / wide)


class Span(Struct):
    """A stretch of time in which something went on without a gap."""

    begin: float
    end: float


class Spans:
    """Stretches of time from moments: those less than ``gap`` seconds apart are one."""

    def __init__(self, gap: float) -> None:
        self.found: list[Span] = []
        self._gap = gap

    def add(self, begin: float, end: float) -> None:
        """Something went on from ``begin`` to ``end``."""
        if self.found and begin - self.found[-1].end <= self._gap:
            self.found[-1].end = max(end, self.found[-1].end)
        else:
            self.found.append(Span(begin, end))


class Timeline(Struct):
    """One recording, sorted for a picture. Times are those of the recording."""

    name: str = ""
    facts: list[str] = field(default_factory=list)
    begin: float = 0.0
    end: float = 0.0
    events: list[Event] = field(default_factory=list)
    messages: dict[str, Message] = field(default_factory=dict)
    received: dict[str, Line] = field(default_factory=dict)
    """By item."""
    heard: Line = field(default_factory=Line)
    """What the clock reported, summed over all generations."""
    sounding: Spans = field(default_factory=lambda: Spans(0.025))
    microphone: Spans = field(default_factory=lambda: Spans(0.25))


def bounded(text: str) -> str:
    """At most so much of a text that a page of an hour stays a page."""
    return text if len(text) <= _TEXT else f"{text[:_TEXT]} … and {len(text) - _TEXT} more characters"
