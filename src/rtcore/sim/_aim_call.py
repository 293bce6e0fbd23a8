"""Where an interruption of a call is to fall: the server sounds the audio, so the moment is one of its own line."""

from rtcore.sim._aim import DELTAS, NEVER, SERVER, Aim, Aimed, Aimer
from rtcore.sim._kinds import Kind, Turn
from rtcore.sim._server_call import sounds_at
from rtcore.sim._server_truth import ServerPart, ServerResponse

_SECOND = 1_000_000_000
ON_A_CALL: frozenset[Kind] = frozenset(
    {
        "before the first event",
        "between declaration and audio",
        "on the first sample",
        "inside message 1",
        "at the boundary",
        "inside message 2",
        "after all audio arrived",
        "after all was heard",
        "twice within 100 ms",
        "during a function call",
        "interrupt() by the program",
        "interrupt() before the response",
        "interrupt() of one response",
        "typed text",
        "local detector",
        "at the end of an item",
        "cough",
        "backchannel",
    }
)
"""The kinds that a call can have: none of a device, of audio that arrives, or of an edit of ours."""


class CallAimer(Aimer):
    """One user's eye on a call."""

    @property
    def sound_left(self) -> bool:
        """Whether something that was generated is still to be heard."""
        call = self._world.server.call
        return call is not None and call.left_s > 0

    def _after_arrival(self, turn: Turn, response: ServerResponse) -> Aimed:
        world = self._world
        call = world.server.call
        if response.done_at is None:
            return SERVER
        left = call.left_s if call is not None else 0.0
        return self._arriving(turn, world.now + int(left * turn.share / 1000 * _SECOND)) if left else NEVER

    def _at_end(self, turn: Turn, parts: list[ServerPart], *, over: bool) -> Aimed:
        """One sample before the last of an item, at it, or one behind."""
        part = parts[turn.share % len(parts)]
        if part.done_at is None:
            return NEVER if over else SERVER
        return self._at_sample(turn, part, part.sent_samples + turn.sample)

    def _at_sample(self, turn: Turn, part: ServerPart, sample: int) -> Aimed:
        world = self._world
        if not part.sounds:
            return SERVER | DELTAS if part.done_at is None else NEVER
        at = sounds_at(part, max(1, sample))
        if at is None:
            at = part.sounds[-1][1] + sample / part.format.rate
        return self._arriving(turn, int(at * _SECOND)) if at * _SECOND > world.now else NEVER

    def _inside(self, turn: Turn, part: ServerPart) -> Aimed:
        world = self._world
        if not part.sounds:
            return SERVER | DELTAS if part.done_at is None else NEVER
        at = sounds_at(part, max(1, part.planned_samples * turn.share // 1000))
        if at is None:
            return SERVER | DELTAS if part.done_at is None else NEVER
        if at * _SECOND <= world.now:
            ends = part.sounds[-1][1]
            at = world.seconds + (ends - world.seconds) * turn.share / 1000
            if at <= world.seconds:
                return NEVER
        return self._arriving(turn, int(at * _SECOND))

    def _arriving(self, turn: Turn, at: int) -> Aim:
        """The news takes as long as the line; what counts is when the server hears it."""
        return Aim(max(self._world.now, at))
