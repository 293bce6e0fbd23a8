"""A user who talks to any client's simulated server, and barges in: no microphone, no audio, only what turn detection would find.

The user makes a turn, lets the answer begin, and interrupts it at a point that the seed draws: before its first audio, early in
it, in the middle, in a later message, close to a message's end, or when everything has arrived and is still to be heard. After
the last interruption the user listens to the answer to its end. Pure, as everything here: time is an argument.
"""

from typing import Literal

from msgspec import Struct

from rtcore.sim._rng import Rng
from rtcore.sim.server import Server, ServerResponse

Kind = Literal[
    "at a given point", "before the audio", "early", "in the middle", "in a later message", "near an end", "all arrived"
]
KINDS: tuple[Kind, ...] = ("before the audio", "early", "in the middle", "in a later message", "near an end", "all arrived")

_FIRST_S = 0.5  # after the last session.updated: a client may configure its session in several steps
_UNCONFIGURED_S = 3.0  # a client that never sends session.update is talked to all the same
_PATIENCE_S = 8.0  # without an answer the user speaks again
_TAIL_S = 1.5  # how much longer than its audio an answer may sound
_CHANCES = 4  # turns without an answer in a row, after which the user gives up


class Heckling(Struct, frozen=True):
    """One interruption: which point was drawn, of which response, and when it came (``now`` seconds)."""

    kind: Kind
    response_id: str
    at: float


class Heckler:
    """Drives ``Server.user_speech``. Call ``advance`` after everything that happens, and at ``deadline``.

    ``count`` is how many interruptions there will be; ``points`` fixes where (milliseconds from the first audio of the answer, in
    turn) instead of drawing.
    """

    def __init__(self, seed: int, *, count: int, points: tuple[int, ...] = ()) -> None:
        self.deadline: float | None = None
        """When it wants to be asked again."""
        self.done = False
        """Nothing more will come from the user."""
        self.gave_up = False
        """Because no turn was answered any more."""
        self.made: list[Heckling] = []
        self._rng = Rng(seed).fork("heckler")
        self._count = count
        self._points = points
        self._speaking_until: float | None = None
        self._waits_since = 0.0
        self._left = _CHANCES
        self._known: set[str] = set()
        self._watched: ServerResponse | None = None
        self._kind: Kind = "early"
        self._share = 0

    def advance(self, server: Server, *, now: float, updated_at: float | None) -> list[bytes]:
        """What the server says to what the user does now. ``updated_at``: when the client last had a ``session.updated``."""
        if self.done:
            return []
        if self._speaking_until is not None:
            return self._speak_on(server, now)
        if not self._known and not self.made and self._watched is None and self._left == _CHANCES:
            if self._waits_since == 0.0:
                self._waits_since = now
            ready = self._waits_since + _UNCONFIGURED_S if updated_at is None else updated_at + _FIRST_S
            if now < ready and not server.responses:
                self.deadline = ready
                return []
            if not server.responses:
                return self._begin_turn(server, now)
        return self._listen(server, now)

    def _speak_on(self, server: Server, now: float) -> list[bytes]:
        until = self._speaking_until
        if until is None or now < until:
            self.deadline = until
            return []
        self._speaking_until = None
        self._waits_since = now
        self.deadline = now + _PATIENCE_S
        return server.user_speech("stopped", now=now)

    def _begin_turn(self, server: Server, now: float) -> list[bytes]:
        self._known = set(server.responses)
        self._watched = None
        self._left -= 1
        self._speaking_until = self.deadline = now + self._rng.between(300, 1200) / 1000
        return server.user_speech("started", now=now)

    def _listen(self, server: Server, now: float) -> list[bytes]:
        watched = self._watched
        if watched is None or (watched.done_at is not None and not _parts(server, watched)):
            fresh = [each for key, each in server.responses.items() if key not in self._known and not each.out_of_band]
            fresh = [each for each in fresh if each.done_at is None or _parts(server, each)]
            if not fresh:
                return self._wait(server, now)
            watched = self._watched = fresh[-1]
            self._kind = self._rng.choice(KINDS)
            self._share = self._rng.below(1000)
            if self._points:
                self._kind, self._share = "at a given point", self._points[len(self.made) % len(self._points)]
        if len(self.made) >= self._count:
            return self._hear_out(server, watched, now)
        at = self._moment(server, watched)
        if at is None or now < at:
            self.deadline = min(at, now + 0.1) if at is not None else now + 0.02
            return []
        self.made.append(Heckling(self._kind, watched.id, now))
        self._left = _CHANCES + 1
        return self._begin_turn(server, now)

    def _wait(self, server: Server, now: float) -> list[bytes]:
        self.deadline = self._waits_since + _PATIENCE_S
        if now < self.deadline:
            self.deadline = min(self.deadline, now + 0.05)
            return []
        if self._left <= 0:
            self.done = self.gave_up = True
            return []
        return self._begin_turn(server, now)

    def _hear_out(self, server: Server, watched: ServerResponse, now: float) -> list[bytes]:
        end = _heard_by(server, watched)
        if watched.done_at is not None and end is not None and now >= end + _TAIL_S:
            # The answer to its function calls may follow; then this is not the end yet.
            newest = [each for each in server.responses.values() if not each.out_of_band][-1]
            if server.active_response is None and newest is watched:
                self.done = True
                return []
            self._watched = newest
        self.deadline = now + 0.1
        return []

    def _moment(self, server: Server, watched: ServerResponse) -> float | None:
        """When the drawn point comes; None: not known yet."""
        parts = _parts(server, watched)
        if self._kind == "before the audio":
            return watched.created_at + self._share * 0.0001 if watched.created_at is not None else None
        if not parts:
            return None
        first, planned = parts[0]
        match self._kind:
            case "at a given point":
                return first + self._share / 1000
            case "early":
                return first + self._share * 0.0003
            case "in the middle":
                return first + planned * (200 + self._share * 6 // 10) / 1000
            case "near an end":
                return first + planned + (self._share - 500) / 2500
            case "in a later message":
                if len(parts) < 2:
                    return first + planned * self._share / 1000 if watched.done_at is not None else None
                return max(first + planned, parts[1][0]) + parts[1][1] * self._share / 1000
            case _:
                total = sum(length for _, length in parts)
                return max(watched.done_at, first + total * (300 + self._share * 6 // 10) / 1000) if watched.done_at else None


def _parts(server: Server, response: ServerResponse) -> list[tuple[float, float]]:
    """First audio and planned length in seconds of each audio part that has begun."""
    items = [server.items[identity] for identity in response.item_ids]
    parts = [part for item in items for part in item.parts if part.kind == "audio"]
    return [(each.first_audio_at, each.planned_samples / each.format.rate) for each in parts if each.first_audio_at is not None]


def _heard_by(server: Server, response: ServerResponse) -> float | None:
    """When a client that plays at once has sounded all of it."""
    end: float | None = response.done_at
    for first, length in sorted(_parts(server, response)):
        end = max(first, end if end is not None and end != response.done_at else first) + length
    return end
