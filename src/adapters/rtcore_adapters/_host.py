"""What the engine asks of a runtime: a clock, sockets, a timer, tasks, and something to wait for."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from rtcore import RequestEnded, ToolCalled
from rtcore_adapters._line import Line
from rtcore_adapters._tools import Stop


class Settles(Protocol):
    """A request as a runtime offers it: something that can be waited for."""

    def settle(self, result: RequestEnded | Exception) -> None:
        """How it ended, or the mistake in this program because of which it never will."""


R = TypeVar("R", bound=Settles)
R_co = TypeVar("R_co", bound=Settles, covariant=True)


class Host(Protocol[R_co]):
    """What the engine asks of a runtime. Nothing here may wait, and nothing may call the engine back before it returns."""

    def time(self) -> float:
        """The runtime's clock, in seconds; may be read on any thread."""

    def request(self, number: int) -> R_co:
        """Something that a program can wait for."""

    def dial(self, line: Line) -> None:
        """Open a socket for the line, then write what it has; or ``Engine.failed``."""

    def write(self, line: Line) -> None:
        """The line may have something to write, or be over."""

    def abort(self, line: Line) -> None:
        """Drop the line's socket at once."""

    def arm(self, at: float | None) -> None:
        """Call ``Engine.wake`` at this time; it replaces the time before."""

    def run(self, work: Awaitable[object], call: ToolCalled) -> Stop | None:
        """Await a coroutine tool beside the conversation; then ``Engine.answer``. Gives what cancels it; None: nothing can."""

    def hand_over(self, work: Callable[[], None]) -> None:
        """Do this on the engine's thread, soon. May be called on any thread; drops it once the conversation is over."""

    def tell(self) -> None:
        """``take``, ``is_ready`` or ``over`` has something new."""
