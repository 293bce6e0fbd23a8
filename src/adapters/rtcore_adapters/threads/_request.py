"""What a command gives back in a program of threads: something to wait for."""

import threading

from rtcore import RequestEnded
from rtcore_adapters._failures import outcome
from rtcore_adapters.threads._waiting import Process, patience


class Request:
    """Something asked of the server. ``request.result()`` waits, and gives its ``RequestEnded`` or raises ``RequestFailed``.

    ``done``, ``cancelled`` and ``superseded`` are given back; ``failed``, ``timed_out`` and ``connection_lost`` are raised.
    Any number of threads may wait, or none.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        """The request number that ``RequestEnded`` and ``ResponseStarted`` carry."""
        self._process = Process()
        self._settled = threading.Event()
        self._result: RequestEnded | Exception | None = None

    @property
    def ended(self) -> RequestEnded | None:
        """How it settled, or None while it has not."""
        return self._result if isinstance(self._result, RequestEnded) else None

    def result(self, timeout_s: float | None = None) -> RequestEnded:
        """Wait for its end, for ever by default. Raises ``TimeoutError`` after ``timeout_s``; the request itself goes on.

        Raises ``ValueError`` for a time-out that is none, and ``RuntimeError`` in a child of ``os.fork``.
        """
        left = patience(timeout_s)
        if not self._settled.is_set():
            self._process.check()
        if not self._settled.wait(left):
            raise TimeoutError(f"request {self.number} has not settled in {timeout_s:g} s")
        assert self._result is not None  # settled
        return outcome(self._result)

    def settle(self, result: RequestEnded | Exception) -> None:
        """How it ended, or the mistake in this program because of which it never will."""
        if self._result is None:
            self._result = result
            self._settled.set()
