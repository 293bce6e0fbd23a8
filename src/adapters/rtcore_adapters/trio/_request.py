"""What a command gives back on trio: something to wait for."""

from collections.abc import Generator
from typing import Any

import trio

from rtcore import RequestEnded
from rtcore_adapters._failures import outcome


class Request:
    """Something asked of the server. ``await request`` gives its ``RequestEnded``, or raises ``RequestFailed``.

    ``done``, ``cancelled`` and ``superseded`` are given back; ``failed``, ``timed_out`` and ``connection_lost`` are raised.
    Any number of tasks may wait, or none: a request that nobody awaits costs nothing. Who waits may be cancelled; the request is
    not.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        """The request number that ``RequestEnded`` and ``ResponseStarted`` carry."""
        self._settled = trio.Event()
        self._result: RequestEnded | Exception | None = None

    @property
    def ended(self) -> RequestEnded | None:
        """How it settled, or None while it has not."""
        return self._result if isinstance(self._result, RequestEnded) else None

    def __await__(self) -> Generator[Any, None, RequestEnded]:
        return self.wait().__await__()

    async def wait(self) -> RequestEnded:
        """What ``await request`` does, for ``nursery.start_soon`` and the like."""
        await self._settled.wait()
        assert self._result is not None  # settled
        return outcome(self._result)

    def settle(self, result: RequestEnded | Exception) -> None:
        """How it ended, or the mistake in this program because of which it never will."""
        if self._result is None:
            self._result = result
            self._settled.set()
