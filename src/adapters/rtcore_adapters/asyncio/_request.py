"""What a command gives back on asyncio: something to await."""

import asyncio
from collections.abc import Generator
from typing import Any

from rtcore import RequestEnded
from rtcore_adapters._failures import outcome


class Request:
    """Something asked of the server. ``await request`` gives its ``RequestEnded``, or raises ``RequestFailed``.

    ``done``, ``cancelled`` and ``superseded`` are given back; ``failed``, ``timed_out`` and ``connection_lost`` are raised.
    Nobody has to wait: a request that nobody awaits costs nothing and warns of nothing.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        """The request number that ``RequestEnded`` and ``ResponseStarted`` carry."""
        self._ended: asyncio.Future[RequestEnded | Exception] = asyncio.get_running_loop().create_future()

    @property
    def ended(self) -> RequestEnded | None:
        """How it settled, or None while it has not."""
        result = self._ended.result() if self._ended.done() else None
        return result if isinstance(result, RequestEnded) else None

    def __await__(self) -> Generator[Any, None, RequestEnded]:
        # Shielded: whoever waits may be cancelled, the request is not.
        ended = yield from asyncio.shield(self._ended).__await__()
        return outcome(ended)

    def settle(self, result: RequestEnded | Exception) -> None:
        """How it ended, or the mistake in this program because of which it never will."""
        if not self._ended.done():
            self._ended.set_result(result)
