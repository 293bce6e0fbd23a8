"""Where in the stream that was handed to the speaker each part of a message begins: found by its first samples, not asked of the
core. Voices do not repeat, so so many samples are a signature."""

from rtcore._effects import Play
from rtcore.sim._server_truth import ServerPart
from rtcore.sim.matching import SIGNATURE_SAMPLES


class Handed:
    """What the core has handed over in the current generation."""

    def __init__(self, sample_width: int) -> None:
        self._width = sample_width
        self._size = SIGNATURE_SAMPLES * sample_width
        self._plays: list[tuple[int, bytes]] = []  # where each piece begins in its generation, and its first samples
        self._starts: dict[int, tuple[int, int]] = {}
        self._scanned: dict[int, int] = {}
        self._generation = 0
        self._handed = 0

    def note(self, effect: Play) -> None:
        """A piece is handed over."""
        if effect.generation != self._generation:
            self._generation, self._handed = effect.generation, 0
            self._plays.clear()
            self._starts.clear()
            self._scanned.clear()
        self._plays.append((self._handed, bytes(effect.pcm[: self._size])))
        self._handed += len(effect.pcm) // self._width

    def start_of(self, part: ServerPart) -> tuple[int, int] | None:
        """Where this part begins (generation, sample), if it was handed over in this generation."""
        found = self._starts.get(id(part))
        if found is not None:
            return found
        length = min(part.sent_bytes, self._size)
        if length < self._size and part.done_at is None:
            return None  # so little of it could be any part's
        key = part.source[part.start : part.start + length]
        for start, first in self._plays[self._scanned.get(id(part), 0) :]:
            if key.startswith(first[:length]):
                self._starts[id(part)] = found = (self._generation, start)
                break
        self._scanned[id(part)] = len(self._plays)
        return found
