"""trio in virtual time, by the rule of ``_virtual``. Needs the extra ``rtcore[trio]``."""

import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from rtcore_adapters.testing._virtual import Empty, Jumper, Stage

T = TypeVar("T")


class JumpingClock(trio.abc.Clock, trio.abc.Instrument):
    """A clock on virtual time; it has to be the run's instrument, too, which tells it when something ran."""

    def __init__(self, jumper: Jumper) -> None:
        self.jumper = jumper
        self._ran = True
        self._expiring = False

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        if self._expiring:  # trio asks which deadlines have passed
            self._expiring = False
            return self.jumper.fired
        return self.jumper.now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Asked when no task can run. What ran may have written to a socket, so one poll comes before anything else."""
        if self._ran:
            self._ran = False
            return 0
        return self.jumper.idle(None if deadline == math.inf else deadline)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._ran = True

    def after_io_wait(self, timeout: float) -> None:
        self._expiring = True


def run_trio(main: Callable[[], Awaitable[T]], stage: Stage | None = None, *, jumper: Jumper | None = None) -> T:
    """Run in virtual time on trio."""
    clock = JumpingClock(jumper or Jumper(stage or Empty()))
    return trio.run(main, clock=clock, instruments=[clock])
