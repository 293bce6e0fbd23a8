"""A line's socket on asyncio: all methods belong to the loop's thread, none waits, and everything is written in ``write``."""

import asyncio
import socket
from typing import cast

from rtcore_adapters._engine import Engine
from rtcore_adapters._line import WRITE_AHEAD, Line
from rtcore_adapters._sockets import own_buffer, shared_buffer, tune
from rtcore_adapters.asyncio._connect import Dial
from rtcore_adapters.asyncio._request import Request

_PROACTOR = getattr(asyncio, "ProactorEventLoop", ())
"""Windows' loop: its kernel writes into the buffer of a read that was begun."""


class Wire(asyncio.BufferedProtocol):
    """A line and its socket. ``gone`` is done when nothing of it is left."""

    def __init__(self, line: Line, engine: Engine[Request], loop: asyncio.AbstractEventLoop, dial: Dial) -> None:
        self.gone: asyncio.Future[None] = loop.create_future()
        self.dialling: asyncio.Task[None] | None = None
        self._line = line
        self._engine = engine
        self._loop = loop
        self._dial = dial
        self._transport: asyncio.Transport | None = None
        self._full = False
        self._buffer = own_buffer() if isinstance(loop, _PROACTOR) else shared_buffer()
        self._patience: asyncio.TimerHandle | None = None

    async def dial(self) -> None:
        """Open the socket, to whichever address of the host answers first."""
        line, loop = self._line, self._loop
        try:
            if line.lookup is not None:
                found = await loop.getaddrinfo(line.lookup, None, type=socket.SOCK_STREAM)
                line.resolved(str(found[0][4][0]))
            opened = await self._dial(line.host, line.port)
            try:
                await loop.create_connection(lambda: self, sock=opened)
            finally:
                if self._transport is None:
                    opened.close()
            self.dialling = None
        except Exception as error:  # OSError as a rule; what a resolver or a loop raises ends it as well
            self._give_up()
            self._engine.failed(line, error)
        except BaseException:
            self._give_up()
            self._engine.gone(line)
            raise

    def _give_up(self) -> None:
        """Nothing came of dialling. The loop may have made a transport all the same, of whose end not every loop tells."""
        self.dialling = None
        if self._transport is not None:
            self._transport.abort()
        self._set_gone()

    # -- what the engine asks -------------------------------------------------------------------------------------------------

    def write(self) -> None:
        """Write what the socket takes; when the line is over, close it, with the time that writing out may take."""
        transport = self._transport
        if transport is None:
            if self._line.over:
                self.abort()
            return
        if transport.is_closing():
            return
        while not self._full and (data := self._line.outgoing()):
            transport.write(data)
        if self._line.over and self._patience is None:
            self._patience = self._loop.call_later(self._line.close_s, self.abort)
            transport.close()

    def abort(self) -> None:
        """No more waiting: drop the socket."""
        if self._transport is not None:
            self._transport.abort()
        if self.dialling is not None:
            self.dialling.cancel()

    # -- what the socket tells ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # not asserted: uvloop's are none by inheritance
        self._transport.set_write_buffer_limits(high=WRITE_AHEAD)
        tune(transport.get_extra_info("socket"))
        self.write()

    def get_buffer(self, sizehint: int) -> memoryview:
        # One buffer for all reads: asyncio would make one of 256 KiB for each. What is read comes in ``buffer_updated`` at once.
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._engine.received(self._line, self._buffer[:nbytes])

    def eof_received(self) -> None:
        self._engine.received(self._line, b"")

    def connection_lost(self, exc: Exception | None) -> None:
        self._engine.lost(self._line, exc)
        self._set_gone()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self.write()

    def _set_gone(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        if not self.gone.done():
            self.gone.set_result(None)
