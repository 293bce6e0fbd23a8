"""How a device's positions go wrong between two flushes: it counts its own padding, falls silent, or repeats the past.

Each has a stream of its own, so that one that is added later shifts nothing that was there before.
"""

from rtcore.sim._rng import Rng
from rtcore.sim._speaker_records import Report


class Moods:
    """One device's. Draws; what is true, the speaker knows."""

    def __init__(self, rng: Rng) -> None:
        self._padding = rng.beside("counted padding")
        self._silence = rng.beside("falls silent")
        self._confused = rng.beside("stale before a missing answer")
        self._held = rng.beside("missing answer while held")
        self._silent = False

    def padding(self, per_mille: int, block: int) -> int:
        """The buffer has run dry: samples of the silence behind the last one that the device counts as sound (C08)."""
        return self._padding.between(1, block) if per_mille and self._padding.chance(per_mille) else 0

    def silent(self, per_mille: int) -> bool:
        """Whether it says nothing of its position, now and until it has run dry (F078)."""
        self._silent = bool(per_mille) and (self._silent or self._silence.chance(per_mille))
        return self._silent

    def confused(self, per_mille: int) -> bool:
        """Whether a device that repeats the past now and then does so now, because it will not answer the next flush either."""
        return bool(per_mille) and self._confused.chance(700)

    def smaller(self, generation: int, count: int) -> Report:
        """A position that it had told before, or passed (C21)."""
        return Report("played", generation, self._confused.below(count + 1))

    def forgets(self, per_mille: int) -> bool:
        """Whether a device that leaves flushes unanswered leaves this one so, because it is held."""
        return bool(per_mille) and self._held.chance(500)

    def dry(self) -> None:
        """It has run dry: of what comes next it tells again."""
        self._silent = False


def stale(rng: Rng, generation: int, count: int, before: int) -> Report:
    """A report of the past: of the generation before, of which ``before`` was told, or a smaller one (C21).

    More than was told of a generation would be no word of the past: while its flush is unanswered, it is the core's measure.
    """
    if generation > 1 and rng.chance(500):
        return Report("played", generation - 1, min(rng.below(count + 1), before))
    return Report("played", generation, rng.below(count + 1))
