"""Where an interruption is to fall: the moment for each kind, from what the server said and what the speaker is about to sound.

The user may look behind the scenes: it is no part of what is tested. An aim that cannot be had yet says what it waits for, so
that a world asks again only when that has changed.
"""

from typing import TYPE_CHECKING, NamedTuple

from rtcore.sim._kinds import Kind, Turn
from rtcore.sim._server_truth import ServerPart, ServerResponse
from rtcore.sim.speaker import MILLISECOND

if TYPE_CHECKING:
    from rtcore.sim.world import World

SERVER, DELTAS, SOUND, CLOCK, NEWS = 1, 2, 4, 8, 16
"""What can change, as bits: what the server did beside deltas, the deltas it sent, what the speaker was asked for, what it
reported, what the session did or was told beside deltas."""
ANYTHING = SERVER | DELTAS | SOUND | CLOCK | NEWS
NEVER = 0
"""It cannot be had any more."""

HEARD: Kind = "after all was heard"
_EARLY: dict[Kind, int] = {"before the first event": 400, "interrupt() before the response": 150}
"""Kinds that come before the response does, with the longest wait in milliseconds."""
_ON_THIS_SIDE = frozenset(
    {
        "typed text",
        "interrupt() by the program",
        "interrupt() of one response",
        "manual turn",
        "local detector",
        "while paused",
        "pressed twice",
    }
)
"""Kinds of which no news has to cross the line."""
_SECOND = 1_000 * MILLISECOND


class Aim(NamedTuple):
    """When to act, and when the news of it is to reach the client (None: as the network has it)."""

    act_at: int
    arrive_at: int | None = None


Aimed = Aim | int
"""What came of aiming: an aim, or what has to change before it is worth another look, or ``NEVER``."""


class Aimer:
    """One user's eye. ``turn_at`` is when its last turn ended, ``accepted`` how many responses there were before that."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.turn_at = 0
        self.accepted = 0
        self.begun: dict[str, None] = {}
        self.ended: set[str] = set()

    def answer(self) -> ServerResponse | None:
        """The newest response since the turn, as the server knows it."""
        responses = self._world.responses
        return responses[-1] if len(responses) > self.accepted else None

    @property
    def sound_left(self) -> bool:
        """Whether something that has come is still to be heard."""
        return self._world.speaker.pending > 0

    def too_late(self, kind: Kind) -> bool:
        """Whether a kind that comes before the response has been overtaken by it."""
        return kind in _EARLY and bool(self.begun)

    def aim(self, turn: Turn) -> Aimed:
        """When this interruption is due."""
        world, kind = self._world, turn.kind
        now = world.now
        if kind in _EARLY:
            return NEVER if self.begun else Aim(max(now, self.turn_at + turn.delay * _EARLY[kind] // 400 * MILLISECOND))
        response = self.answer()
        if response is None:
            return SERVER
        if kind == HEARD:
            return Aim(now + turn.delay * MILLISECOND) if self.begun and world.idle() else ANYTHING
        if kind == "during a function call":
            return self._at_call(turn, response)
        if kind == "after all audio arrived":
            return self._after_arrival(turn, response)
        parts = self._messages(response)
        over = response.done_at is not None
        if kind == "between declaration and audio":
            if any(part.first_audio_at is None and part.done_at is None for part in parts):
                return Aim(now)
            return NEVER if over or parts else SERVER
        if not parts:
            return NEVER if over else SERVER
        first = parts[0]
        if kind in ("in an underrun", "with nothing queued"):
            if over and not world.down_busy:
                return NEVER
            dry = world.dry if kind == "in an underrun" else not world.speaker.pending
            return Aim(now, now + 1) if dry and first.first_audio_at is not None else SERVER | CLOCK
        if kind == "between two deltas":
            return self._between_deltas(turn, parts[turn.share % len(parts)], over=over)
        if kind == "at the end of an item":
            return self._at_end(turn, parts, over=over)
        if kind in ("at the boundary", "inside message 2"):
            if len(parts) < 2:
                return NEVER if over else SERVER
            return self._at_sample(turn, parts[1], turn.sample) if kind == "at the boundary" else self._inside(turn, parts[1])
        if kind == "on the first sample":
            return self._at_sample(turn, first, self._near_the_start(turn))
        return self._inside(turn, first if kind in _IN_THE_FIRST else parts[turn.share % len(parts)])

    # -- targets -------------------------------------------------------------------------------------------------------------

    def _messages(self, response: ServerResponse) -> list[ServerPart]:
        """The first audio part of each message of it, in order."""
        items = self._world.server.items
        found: list[ServerPart] = []
        for item_id in response.item_ids:
            for part in items[item_id].parts:
                if part.kind == "audio":
                    found.append(part)
                    break
        return found

    def _at_call(self, turn: Turn, response: ServerResponse) -> Aimed:
        world = self._world
        if world.program.calls_open:
            return Aim(world.now + turn.delay // 8 * MILLISECOND)
        items = [world.server.items[item_id] for item_id in response.item_ids]
        if any(item.type == "function_call" and item.done_at is None for item in items):
            return Aim(world.now)
        return NEVER if response.done_at is not None and not world.down_busy else SERVER | NEWS

    def _after_arrival(self, turn: Turn, response: ServerResponse) -> Aimed:
        world = self._world
        if response.id not in self.ended:
            return NEWS | SERVER
        pending = world.speaker.pending
        left = world.scenario.audio.ms(pending) * MILLISECOND
        return self._arriving(turn, world.now + left * turn.share // 1000) if pending else NEVER

    def _between_deltas(self, turn: Turn, part: ServerPart, *, over: bool) -> Aimed:
        """Right behind a delta that is not the item's last: the news arrives with it, and before the next."""
        if over or part.done_at is not None or part.sent_bytes >= part.planned_bytes:
            return NEVER
        sent = part.sent_bytes
        now = self._world.now
        return Aim(now, now + 1) if sent and sent * 1000 >= part.planned_bytes * turn.share * 3 // 4 else SERVER | DELTAS

    def _at_end(self, turn: Turn, parts: list[ServerPart], *, over: bool) -> Aimed:
        """One sample before the last sample of an item, at it, or one behind; the response's last item too."""
        part = parts[turn.share % len(parts)] if over or turn.share % 3 else parts[-1]
        world = self._world
        start = world.handed.start_of(part)
        if start is None:
            return SERVER | SOUND
        generation, first = start
        last = first + part.planned_samples - 1
        at = world.speaker.reaches(generation, max(1, last))
        if at is None:
            return SERVER | SOUND | CLOCK if world.speaker.sounded(generation) < last and not part.done_at else NEVER
        at += (turn.sample + 1) * (_SECOND // world.scenario.audio.rate)
        if turn.at_stop:
            at -= world.speaker.next_stop_latency
        return self._arriving(turn, at) if at > world.now else NEVER

    def _near_the_start(self, turn: Turn) -> int:
        """The first samples, or those at the edge of the first or second millisecond: less than one counts as unheard."""
        per_ms = self._world.scenario.audio.rate // 1000
        return turn.sample + (1, per_ms, 1, per_ms * 2)[turn.share % 4]

    def newest(self) -> str | None:
        """The response that the client was told of last since the last interruption."""
        return next(reversed(self.begun), None)

    def oldest(self) -> str | None:
        """The first of them."""
        return next(iter(self.begun), None)

    def _at_sample(self, turn: Turn, part: ServerPart, sample: int) -> Aimed:
        """So that the sound stops (or the news arrives) when exactly so many samples of the part were heard."""
        world = self._world
        start = world.handed.start_of(part)
        if start is None:
            return SERVER | SOUND
        generation, first = start
        at = world.speaker.reaches(generation, max(1, first + sample))
        if at is None:
            return NEVER
        if turn.at_stop:
            at -= world.speaker.next_stop_latency
        return self._arriving(turn, at) if at > world.now else NEVER

    def _inside(self, turn: Turn, part: ServerPart) -> Aimed:
        world = self._world
        start = world.handed.start_of(part)
        if start is None:
            return SERVER | SOUND
        generation, first = start
        heard = max(0, world.speaker.sounded(generation) - first)
        sample = max(1, part.planned_samples * turn.share // 1000)
        if heard >= sample:
            if heard >= part.planned_samples - 1:
                return NEVER
            sample = heard + 1 + (part.planned_samples - heard) * turn.share // 1000
        at = world.speaker.reaches(generation, first + sample)
        return SERVER | SOUND | CLOCK if at is None else self._arriving(turn, at)

    def _arriving(self, turn: Turn, at: int) -> Aim:
        """Act so much earlier as the news takes to the client."""
        world = self._world
        by_network = world.scenario.detects and turn.kind not in _ON_THIS_SIDE
        lead = world.scenario.stream.latency_ms * MILLISECOND if by_network else 0
        return Aim(max(world.now, at - lead), at)


_IN_THE_FIRST: frozenset[Kind] = frozenset({"inside message 1", "twice within 100 ms"})
