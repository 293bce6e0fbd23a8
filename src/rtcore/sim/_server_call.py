"""The server's own sound, on a call (WebRTC, SIP): a line that plays in real time what is generated, and is cleared at once.

Nobody but the server knows what was heard then: it tells that its sound begins, ends and was cleared, and truncates its own items
(protocol facts, 4.15). What the facts leave open about that is in ``CallManner``.
"""

from collections.abc import Iterator
from functools import partial

from msgspec import Struct, field

from rtcore.sim._server_state import State
from rtcore.sim._server_truth import ServerItem, ServerPart, ServerResponse, Truncation


class _Sound(Struct, eq=False):
    """One response's sound that is not over: its items with their parts, in the order of their first audio."""

    response: ServerResponse
    parts: list[tuple[ServerItem, ServerPart]] = field(default_factory=list)
    begun: bool = False


class Call:
    """One call's line. Responses sound in the order in which they were generated, each part behind the other."""

    def __init__(self, state: State) -> None:
        assert state.options.call is not None
        self._state = state
        self._manner = state.options.call
        self._queue: list[_Sound] = []
        self._free_at = 0.0
        """When everything that was generated until now will have sounded."""
        self._latest = ""
        """The response that began to sound last ..."""
        self.begun_at = 0.0
        """.. and when."""
        self.resumed: set[str] = set()
        """Responses that were cleared while they ran, and went on to sound."""
        self._dropped: set[str] = set()
        """Responses of which something was cleared."""

    # -- truth ----------------------------------------------------------------------------------------------------------------

    @property
    def sounds(self) -> bool:
        """Whether something sounds or waits for its turn."""
        return bool(self._queue)

    @property
    def sounding(self) -> str | None:
        """The response that has begun to sound and is not over."""
        return self._queue[0].response.id if self._queue and self._queue[0].begun else None

    @property
    def left_s(self) -> float:
        """How long what was generated until now still sounds."""
        return max(0.0, self._free_at - self._state.now) if self._queue else 0.0

    # -- what is generated ----------------------------------------------------------------------------------------------------

    def generated(self, response: ServerResponse, item: ServerItem, part: ServerPart, size: int) -> None:
        """So many bytes more of a part; what comes of a response behind its cut is not sounded."""
        state = self._state
        if response.out_of_band or response.stop_requested_at is not None:
            return
        sound = next((sound for sound in self._queue if sound.response is response), None)
        begins = max(state.now, self._free_at)
        if sound is None:
            sound = _Sound(response)
            self._queue.append(sound)
            state.later(begins - state.now, partial(self._begin, sound))
        if not any(known is part for _, known in sound.parts):
            sound.parts.append((item, part))
        # Half a sample is carried, here as anywhere.
        width = part.format.sample_width
        samples = (part.sent_bytes + size) // width - part.sent_bytes // width
        self._free_at = begins + samples / part.format.rate
        if part.sounds and part.sounds[-1][1] == begins:
            begins = part.sounds.pop()[0]
        part.sounds.append((begins, self._free_at))

    def ended(self, response: ServerResponse) -> None:
        """A response is done: its sound is over when it has drained (4.15)."""
        for sound in self._queue:
            if sound.response is response:
                ends = max((part.sounds[-1][1] for _, part in sound.parts), default=0.0)
                self._state.later(max(0.0, ends - self._state.now), partial(self._stop, sound))

    def _begin(self, sound: _Sound) -> None:
        if sound in self._queue:
            sound.begun = True
            self._latest, self.begun_at = sound.response.id, self._state.now
            if sound.response.id in self._dropped:
                self.resumed.add(sound.response.id)
            self._state.saw("sounds by itself")
            self._state.emit("output_audio_buffer.started", response_id=sound.response.id)

    def _stop(self, sound: _Sound) -> None:
        if sound in self._queue:
            self._queue.remove(sound)
            self._state.emit("output_audio_buffer.stopped", response_id=sound.response.id)

    # -- silence --------------------------------------------------------------------------------------------------------------

    def clear(self, *, asked: bool) -> None:
        """Drop what has not sounded, and say so; ``asked`` by the client, or because a person speaks."""
        state, manner = self._state, self._manner
        queue, self._queue = self._queue, []
        self._dropped |= {sound.response.id for sound in queue}
        self._free_at = state.now
        told = [sound.response.id for sound in queue if sound.begun or manner.clears == "each"]
        if asked and not told and (queue or manner.idle_clear == "answered"):
            # Nothing had begun to sound: the answer can name only the response that sounded last, or would have.
            told = [queue[0].response.id if queue else self._latest]
        cuts = [cut for sound in queue for cut in self._cut(sound)]
        if not manner.cleared_first and manner.truncates == "at once":
            self._tell(cuts)
        for response_id in told:
            state.emit("output_audio_buffer.cleared", response_id=response_id)
        if manner.truncates == "later":
            state.later(manner.later_ms / 1000, partial(self._tell, cuts))
        elif manner.cleared_first and manner.truncates == "at once":
            self._tell(cuts)

    def _cut(self, sound: _Sound) -> Iterator[tuple[ServerItem, ServerPart, int]]:
        now = self._state.now
        for at, (item, part) in enumerate(sound.parts):
            part.sounds = [(begins, min(ends, now)) for begins, ends in part.sounds if begins < now]
            heard = sounded_samples(part, now)
            followed = any(later.sounds and later.sounds[0][0] < now for _, later in sound.parts[at + 1 :])
            if heard >= part.sent_samples and (part.done_at is not None or followed):
                continue  # all of it was heard
            heard_ms = part.format.ms(heard)
            part.truncations.append(Truncation(now, heard_ms, part.sent_samples))
            part.kept_bytes = part.format.samples(heard_ms) * part.format.sample_width
            if heard_ms or self._manner.unheard == "zero":
                yield item, part, heard_ms

    def _tell(self, cuts: list[tuple[ServerItem, ServerPart, int]]) -> None:
        for item, part, heard_ms in cuts:
            if not item.deleted:
                self._state.emit("conversation.item.truncated", item_id=item.id, content_index=part.index, audio_end_ms=heard_ms)


def sounded_samples(part: ServerPart, now: float) -> int:
    """How much of a part had sounded at the server by ``now``."""
    sounded = sum(min(ends, now) - begins for begins, ends in part.sounds if begins < now)
    return int(sounded * part.format.rate + 1e-6)


def sounds_at(part: ServerPart, sample: int) -> float | None:
    """When this sample of it sounds, or did; None where it was not generated."""
    left = sample / part.format.rate
    for begins, ends in part.sounds:
        if left <= ends - begins:
            return begins + left
        left -= ends - begins
    return None
