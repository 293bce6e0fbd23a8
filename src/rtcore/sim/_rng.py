"""The simulated world's only source of chance: SplitMix64, on integers alone.

Integers keep a seed's world bit-identical on every machine, Python version and hash seed; floats and libm would not.
"""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
_MASK = (1 << 64) - 1


class Rng:
    """A deterministic stream of integers. ``fork`` gives parts of a world streams of their own, so that one part's draws
    never shift another's."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def bits(self) -> int:
        """The next 64 bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def below(self, bound: int) -> int:
        """An integer in [0, bound)."""
        # ``bits`` written out: a world draws some thousand of these.
        self._state = z = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((z ^ (z >> 31)) * bound) >> 64

    def skip(self, draws: int) -> None:
        """Let so many draws pass unseen: what came of them could not matter."""
        self._state = (self._state + draws * 0x9E3779B97F4A7C15) & _MASK

    def between(self, low: int, high: int) -> int:
        """An integer in [low, high], both included."""
        return low + self.below(high - low + 1)

    def chance(self, per_mille: int) -> bool:
        """True in ``per_mille`` of 1000 draws."""
        if not per_mille:
            self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK  # a draw like any other, whose outcome is known
            return False
        return self.below(1000) < per_mille

    def choice(self, options: Sequence[T]) -> T:
        """One of ``options``."""
        return options[self.below(len(options))]

    def fork(self, label: str) -> "Rng":
        """A stream of its own, named, so that the same label always gives the same stream from the same state."""
        mixed = self.bits()
        for byte in label.encode():
            mixed = ((mixed ^ byte) * 0x100000001B3) & _MASK
        return Rng(mixed)

    def beside(self, label: str) -> "Rng":
        """Like ``fork``, but this stream stays where it is: a fault that is added later shifts nothing that was there before."""
        return Rng(self._state).fork(label)
