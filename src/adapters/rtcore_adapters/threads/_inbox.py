"""What other threads hand to one that sleeps in a ``select``: a queue, and a byte that wakes it."""

import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

Work = Callable[[], None]


class Inbox:
    """``put`` may be called on any thread; everything else belongs to the one that sleeps. Work is done with no lock held."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self.is_shut = False
        """Nothing is taken any more."""
        self._work: deque[Work] = deque()
        self._door = threading.Lock()
        self._ear, self._bell = socket.socketpair()
        self._ear.setblocking(False)
        self._bell.setblocking(False)
        selector.register(self._ear, selectors.EVENT_READ, self._rung)

    def __bool__(self) -> bool:
        """Whether there is something to do."""
        return bool(self._work)

    def put(self, work: Work) -> bool:
        """Have this done soon; False where the inbox is shut, and it never will."""
        with self._door:
            if self.is_shut:
                return False
            quiet = not self._work
            self._work.append(work)
            if quiet:
                with suppress(BlockingIOError):  # it has been rung often enough
                    self._bell.send(b"!")
        return True

    def work_off(self) -> None:
        """Do what there is."""
        while self._work:
            self._work.popleft()()

    def shut(self) -> None:
        """Take nothing more. What came before has somebody who waits for it, and is done."""
        with self._door:
            self.is_shut = True
        while self._work:
            with suppress(Exception):
                self._work.popleft()()

    def close(self) -> None:
        """Let go of its sockets."""
        self._ear.close()
        self._bell.close()

    def _rung(self, events: int) -> None:
        with suppress(BlockingIOError):
            while self._ear.recv(4096):
                pass
