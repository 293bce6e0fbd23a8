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

    def __init__(self) -> None:
        self.is_shut = False
        """Nothing is taken any more."""
        self._work: deque[Work] = deque()
        self._door = threading.Lock()
        self._ear: socket.socket | None = None
        self._bell: socket.socket | None = None

    def listen(self, selector: selectors.BaseSelector) -> None:
        """From here on a ``select`` of the thread that calls this is woken.

        Its sockets are made here, and not before: no Ctrl-C arrives on a thread of ours, between their making and their owner.
        """
        ear, bell = socket.socketpair()
        ear.setblocking(False)
        bell.setblocking(False)
        self._ear = ear
        selector.register(ear, selectors.EVENT_READ, self._rung)
        with self._door:
            self._bell = bell

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
            if quiet and self._bell is not None:
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
        for end in (self._ear, self._bell):
            if end is not None:
                end.close()

    def _rung(self, events: int) -> None:
        assert self._ear is not None  # it is what rang
        with suppress(BlockingIOError):
            while self._ear.recv(4096):
                pass
