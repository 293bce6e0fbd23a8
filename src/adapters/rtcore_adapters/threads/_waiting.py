"""What a thread is told before it waits: that it would wait for ever, or not in seconds."""

import math
import os
import threading


class Process:
    """The process in which something was made. A child of ``os.fork`` has its memory, and none of its threads."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    @property
    def here(self) -> bool:
        """Whether this is it."""
        return os.getpid() == self._pid

    def check(self) -> None:
        """Raises ``RuntimeError`` in a child, where nobody would ever answer."""
        if not self.here:
            raise RuntimeError(
                "this conversation runs in the process that opened it, and this is a child of os.fork: open another one here, "
                "or start the child before the conversation (multiprocessing: the start method 'spawn')"
            )


def patience(timeout_s: float | None) -> float | None:
    """The time-out as ``threading`` takes it: None waits for ever. Raises ``ValueError`` for what is no time."""
    given: object = timeout_s
    if given is None or given == math.inf:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float) or not given >= 0:
        raise ValueError(f"timeout_s is {given!r}: give seconds, 0 to ask only, None or math.inf to wait for ever")
    return min(given, threading.TIMEOUT_MAX)
