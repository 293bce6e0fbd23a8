"""Virtual time, and asyncio on it: it jumps to the next timer when nothing can run, and no socket of the process has anything.

What stands outside of the runtime (the far ends of socket pairs, the user, a scripted device) is a ``Stage``. It acts inside the
same rule: at equal times what the stage does comes first, one thing after the other, each with all the IO that follows from it;
then the timers. So whatever happens, happens in an order that the runtime has no part in.

Sockets are real, but pairs of one process: what was written to one end is at once in the other, so an empty poll means silence.
"""

import asyncio
import math
import selectors
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, Protocol, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

TOOL = "rtcore tool"
"""How the threads of plain tools are called. Their time is real, so virtual time waits for them."""
_WAIT = 0.001  # real seconds of one look at a tool's thread
_STUCK = 200_000  # looks without time passing


class Stuck(RuntimeError):
    """Nothing can ever happen any more, or time has ceased to pass."""


class Stage(Protocol):
    """What is outside of the runtime."""

    @property
    def next_at(self) -> float | None:
        """When ``step`` is due."""

    def step(self, now: float) -> None:
        """Do one thing. What follows from it happens before the next."""

    def carry(self, now: float) -> bool:
        """Read what has arrived at the far ends, and answer it; True where there was something."""


class Empty:
    """A stage on which nothing happens."""

    next_at: float | None = None

    def step(self, now: float) -> None:
        raise AssertionError("nothing is due")

    def carry(self, now: float) -> bool:
        return False


class Jumper:
    """The rule. ``idle`` is called when nothing can run and a poll of all sockets has found nothing."""

    def __init__(self, stage: Stage) -> None:
        self.now = 0.0
        self.fired = -math.inf
        """Timers up to here may fire. It lags behind ``now`` while the stage acts."""
        self.patient = True
        """Whether time stands still while a plain tool runs."""
        self._stage = stage
        self._looks = 0
        self._busy = False

    def idle(self, timer: float | None) -> float:
        """Do the next thing: the stage's, or let the timers fire. Gives the real seconds that the next poll may take."""
        self._looks += 1
        if self._looks > _STUCK:
            raise Stuck(f"time stands still at {self.now:.6f} s")
        if self._stage.carry(self.now):
            return 0
        # A tool that has just ended has left its answer: one more poll finds it.
        was_busy = self._busy
        self._busy = self.patient and any(thread.name.startswith(TOOL) for thread in threading.enumerate())
        if self._busy or was_busy:
            return _WAIT
        at = self._stage.next_at
        if at is not None and (timer is None or max(at, self.now) <= timer):
            self._pass(at)
            self.fired = math.nextafter(self.now, -math.inf)
            self._stage.step(self.now)
        elif timer is not None:
            self._pass(timer)
            self.fired = self.now
        else:
            raise Stuck(f"at {self.now:.6f} s every task waits, no timer is set, and nothing is to come")
        return 0

    def _pass(self, at: float) -> None:
        if at > self.now:
            self.now, self._looks = at, 0


# -- asyncio ----------------------------------------------------------------------------------------------------------------


class InPlaceLoop(asyncio.SelectorEventLoop):
    """What would run in a thread (resolving a name) runs in place, because a thread's time is not virtual."""

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> "asyncio.Future[T]":
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class _Selector(selectors.SelectSelector):
    loop: "JumpingLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(0) or super().select(self.loop.idle())


class JumpingLoop(InPlaceLoop):
    """An event loop on virtual time."""

    _ready: Any
    _scheduled: Any
    _stopping: bool
    _clock_resolution: float

    def __init__(self, jumper: Jumper) -> None:
        self.jumper = jumper
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.jumper.now

    def idle(self) -> float:
        """A poll found nothing. Gives the real seconds that the next may take."""
        # The loop fires what is due before time + resolution: with 0, no timer that is due at this very time.
        self._clock_resolution = 0.0
        if self._ready or self._stopping:
            return 0
        timer = self._scheduled[0].when() if self._scheduled else None  # no cancelled one: the loop has just removed those
        wait = self.jumper.idle(timer)
        if timer is not None and timer <= self.jumper.fired:
            self._clock_resolution = math.nextafter(self.jumper.now, math.inf) - self.jumper.now
        return wait


def run_asyncio(main: Callable[[], Coroutine[Any, Any, T]], stage: Stage | None = None, *, jumper: Jumper | None = None) -> T:
    """Run in virtual time on asyncio."""
    with asyncio.Runner(loop_factory=lambda: JumpingLoop(jumper or Jumper(stage or Empty()))) as runner:
        return runner.run(main())
