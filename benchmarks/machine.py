"""The machine under a benchmark: its cores, and whether anybody else was using them meanwhile."""

import os
import subprocess
from time import monotonic, sleep

DISTURBED = 0.05
"""Share of the measured core that others may use before a figure counts as disturbed."""


def cores() -> tuple[int, int] | None:
    """The server's core and the measured process's; None where processes cannot be bound or there is only one."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    mine = sorted(os.sched_getaffinity(0))
    return (mine[0], mine[-1]) if len(mine) > 1 else None


def has(python: str, module: str) -> bool:
    """Whether that interpreter can import it."""
    return subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0


class Watch:
    """What others use of a core from now on. It knows only where Linux counts each core's time; None stands for unknown."""

    def __init__(self, core: int | None) -> None:
        self._core = core
        self._began, self._busy = monotonic(), self._seconds()

    def others(self, own_s: float) -> float | None:
        """The share of the core that was used since, without the ``own_s`` seconds of those who are measured."""
        busy = self._seconds()
        if busy is None or self._busy is None:
            return None
        return max(0.0, busy - self._busy - own_s) / (monotonic() - self._began)

    def _seconds(self) -> float | None:
        """Seconds that programs, and the machine below a virtual one, have used of the core; interrupts are left out."""
        try:
            with open("/proc/stat", encoding="ascii") as file:
                line = next((each.split() for each in file if each.startswith(f"cpu{self._core} ")), None)
        except OSError:
            return None
        if line is None:
            return None
        user, nice, system, steal = (int(line[at]) for at in (1, 2, 3, 8))
        return (user + nice + system + steal) / os.sysconf("SC_CLK_TCK")


def wait_for_quiet(core: int | None, at_most_s: float) -> None:
    """Come back once others have left the core alone for a second, or after ``at_most_s``."""
    until = monotonic() + at_most_s
    while monotonic() < until:
        watch = Watch(core)
        sleep(min(1.0, at_most_s))
        if (watch.others(0.0) or 0.0) < DISTURBED / 2:
            return
