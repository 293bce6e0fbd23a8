"""SIGTERM as a second Ctrl-C: what ends the processes, the sockets and the report of one ends those of the other."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
"""What a shell says of a program that Ctrl-C ended."""

_TERMINATED = 143


class Ending:
    """Which signal came, if one did."""

    def __init__(self) -> None:
        self.terminated = False

    @property
    def status(self) -> int:
        """The exit status that says so to a shell."""
        return _TERMINATED if self.terminated else INTERRUPTED

    @property
    def word(self) -> str:
        """Its name."""
        return "SIGTERM" if self.terminated else "Ctrl-C"


@contextmanager
def endable() -> Iterator[Ending]:
    """While this lasts, SIGTERM does what Ctrl-C does (``KeyboardInterrupt``). Outside the main thread it changes nothing."""
    ending = Ending()

    def terminate(number: int, frame: FrameType | None) -> None:
        ending.terminated = True
        interrupt = signal.getsignal(signal.SIGINT)  # a running event loop has one of its own
        if callable(interrupt):
            interrupt(signal.SIGINT, frame)
        else:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield ending
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield ending
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def shielded() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until this is over: what is inside happens whole. Outside the main thread it changes nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(number)  # without the frame, which would keep all alive that was under way

    before = [(number, signal.signal(number, note)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
    for first in came[:1]:
        meant = signal.getsignal(first)
        if callable(meant):
            meant(first, None)
        elif meant is signal.SIG_DFL:
            signal.raise_signal(first)
