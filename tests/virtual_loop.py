"""Virtual time for asyncio: when no task can run and no socket has anything, the clock jumps to the next timer.

Sockets are real; so before it jumps, the loop grants the kernel a moment to carry what was written to the other end.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from rtcore_adapters.testing._virtual import InPlaceLoop

T = TypeVar("T")
_GRACE = 0.0002  # real seconds
_STUCK = 5.0  # real seconds without a timer, a task or a byte: the test hangs


class _Selector(selectors.SelectSelector):
    skip: Callable[[float], None]

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            ready = super().select(_STUCK)
            if not ready:
                raise TimeoutError("nothing can ever happen any more: every task waits, and no timer is set")
            return ready
        ready = super().select(0 if timeout <= 0 else _GRACE)
        if not ready and timeout > 0:
            self.skip(timeout)
        return ready


class VirtualLoop(InPlaceLoop):
    """An event loop whose ``time`` begins at 0 and passes only when nothing else is left to do."""

    def __init__(self) -> None:
        self._virtual = 0.0
        selector = _Selector()
        selector.skip = self._skip
        super().__init__(selector)

    def time(self) -> float:
        return self._virtual

    def _skip(self, seconds: float) -> None:
        self._virtual += seconds


class EarlyLoop(VirtualLoop):
    """A virtual loop that wakes half a millisecond early, as a real one may, within the resolution of its clock."""

    def __init__(self) -> None:
        super().__init__()
        self._clock_resolution = 0.001

    def _skip(self, seconds: float) -> None:
        super()._skip(seconds - 0.0005 if seconds > 0.001 else seconds)


def run(main: Coroutine[Any, Any, T], loop: type[VirtualLoop] = VirtualLoop) -> T:
    """Run in virtual time."""
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main)
