"""The room in which loudspeaker and microphone stand: what was sounded comes back, later and softer, with whatever the user says.

There the microphone runs by itself, a frame after the other, for as long as anything is to be heard and long enough behind it for
the server to find the end. What the user says waits for its frame. ``calm`` moves the loudspeaker out of earshot.
"""

from collections import deque
from struct import pack, unpack, unpack_from
from typing import TYPE_CHECKING

from rtcore.sim.speaker import MILLISECOND, Span

if TYPE_CHECKING:
    from rtcore.sim.world import World

_FRAME_MS = 40
_SAMPLES = 24 * _FRAME_MS
_SECOND = 1_000_000_000
_SILENCE = bytes(2 * _SAMPLES)
_FORMAT = f"<{_SAMPLES}h"
_RUNS_ON = 2_500 * MILLISECOND
"""No detector of a simulated server waits longer for the end of speech."""
_LAST = 600 * MILLISECOND
"""So long after its last frame the microphone still counts as running: what was not sent by then is sent."""
_ON_ITS_OWN = 1_000 * MILLISECOND
"""What is found so long after the user's last word is not the user."""
_PATIENCE = 120_000 * MILLISECOND
"""A user who has not come to a word for so long, because the model goes on answering itself, turns the loudspeaker away."""


class Room:
    """One world's. ``delay_ms``: how much later the microphone hears the loudspeaker; ``shift``: by how many bits softer."""

    def __init__(self, world: "World", delay_ms: int, shift: int) -> None:
        self.running = False
        """The microphone runs."""
        self.spoken_ms = 0
        """Where the user's last word ends in everything that the microphone gave."""
        self._world = world
        self._delay = delay_ms * MILLISECOND
        self._shift = shift
        self._calm = False
        self._waiting: deque[bytes] = deque()
        self._given_ms = 0
        self._spoke_at = -_ON_ITS_OWN
        self._until = 0
        self._read = 0

    def says(self, pcm: bytes) -> None:
        """The user says this next, or nothing for so long."""
        self._waiting.append(pcm)
        self.listens()

    def calm(self) -> None:
        """The loudspeaker is not heard any more."""
        self._calm = True

    def listens(self) -> None:
        """Something is, or will be, to be heard."""
        world = self._world
        self._until = world.now + _RUNS_ON
        if not self.running:
            self.running = True
            world.at(world.now, self._frame)

    @property
    def only_echo(self) -> bool:
        """Whether the user has said nothing that anybody could have found just now."""
        return not self._waiting and self._world.now > self._spoke_at + _ON_ITS_OWN

    def _frame(self) -> None:
        world = self._world
        world.speaker.advance(world.now)
        if world.speaker.pending:
            self._until = world.now + _RUNS_ON
        pcm = self._waiting.popleft() if self._waiting else _SILENCE
        self._given_ms += _FRAME_MS
        if pcm.strip(b"\0"):
            self.spoken_ms, self._spoke_at = self._given_ms, world.now
        elif world.now > self._spoke_at + _PATIENCE:
            self._calm = True
        echo = self._echo()
        world.gives(_mixed(pcm, echo) if echo else pcm)
        if world.now < self._until or self._waiting:
            world.at(world.now + _FRAME_MS * MILLISECOND, self._frame)
        else:
            world.at(world.now + _LAST, self._stop)

    def _stop(self) -> None:
        if self._world.now < self._until or self._waiting:
            self._frame()
        else:
            self.running = False

    def _echo(self) -> list[int] | None:
        """What sounded while this frame was recorded, so much earlier as it takes to come back."""
        spans = self._world.speaker.spans
        end = self._world.now - self._delay
        start = end - _FRAME_MS * MILLISECOND
        while self._read < len(spans) and spans[self._read].until <= start:
            self._read += 1
        heard: list[int] | None = None
        for at in range(self._read, len(spans)):
            span = spans[at]
            if span.at >= end:
                break
            heard = heard if heard is not None else [0] * _SAMPLES
            self._add(heard, span, start)
        return None if self._calm else heard

    def _add(self, heard: list[int], span: Span, start: int) -> None:
        # To the nearest sample of a device whose crystal drifts: a room is no measuring instrument.
        first = (span.at - start) * 24_000 // _SECOND
        begin, stop = max(0, first), min(_SAMPLES, first + len(span.pcm) // 2)
        if begin < stop:
            sound = unpack_from(f"<{stop - begin}h", span.pcm, 2 * (begin - first))
            heard[begin:stop] = [sample >> self._shift for sample in sound]


def _mixed(pcm: bytes, echo: list[int]) -> bytes:
    if pcm == _SILENCE:
        return pack(_FORMAT, *echo)
    both = [one + other for one, other in zip(unpack(_FORMAT, pcm), echo, strict=True)]
    if min(both) < -32768 or max(both) > 32767:
        both = [max(-32768, min(32767, sample)) for sample in both]
    return pack(_FORMAT, *both)
