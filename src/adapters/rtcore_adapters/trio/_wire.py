"""A line's socket on trio: it dials, then one task reads. What is to be written is written at once, in ``write``; a second task
waits where the socket takes no more.
"""

import socket
from collections.abc import Awaitable, Callable

import trio

from rtcore_adapters._addresses import worst
from rtcore_adapters._engine import Engine
from rtcore_adapters._line import Line
from rtcore_adapters._sockets import shared_buffer, tune
from rtcore_adapters.trio._request import Request

Dial = Callable[[str, int], Awaitable[socket.socket]]
"""Opens a socket to a host and a port."""


class Wire:
    """A line and its socket. ``serve`` is its life; when it comes back, nothing is left."""

    def __init__(self, line: Line, engine: Engine[Request], dial: Dial | None) -> None:
        self._line = line
        self._engine = engine
        self._dial = dial
        self._socket: socket.socket | None = None
        self._rest: bytes | memoryview = b""  # of a piece that the socket did not take whole
        self._full = trio.Event()
        self._life = trio.CancelScope()

    def write(self) -> None:
        """Write what the socket takes; when the line is over, let go of it, with the time that writing out may take."""
        if self._socket is not None and not self._full.is_set():
            self._push(self._socket)
        if self._line.over:
            # Not the task's to mind that waits: its peer may read nothing.
            rest = self._rest and self._socket is not None
            self._life.deadline = min(self._life.deadline, trio.current_time() + (self._line.close_s if rest else 0.0))

    def abort(self) -> None:
        """No more waiting: drop the socket."""
        self._life.cancel()

    async def serve(self) -> None:
        """Dial, then move bytes both ways until the line is over."""
        with self._life:
            try:
                opened = await self._open()
            except Exception as error:  # OSError as a rule; what a resolver raises ends it as well
                self._engine.failed(self._line, error)
                return
            with opened:
                opened.setblocking(False)
                tune(opened)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._when_it_takes_more, opened)
                    self._socket = opened
                    self.write()
                    await self._read(opened)
                    await trio.sleep_forever()  # what is left is written, or its time is up
        self._engine.lost(self._line, None)

    async def _open(self) -> socket.socket:
        """To whichever address of the host answers first (RFC 8305), unless the program dials."""
        line = self._line
        host, port = line.host, line.port
        if line.lookup is not None:
            found = await trio.socket.getaddrinfo(line.lookup, None, type=socket.SOCK_STREAM)
            line.resolved(str(found[0][4][0]))
        if self._dial is not None:
            return await self._dial(host, port)
        try:
            stream = await trio.open_tcp_stream(host, port)
        except OSError as error:
            why = error.__cause__
            causes = why.exceptions if isinstance(why, ExceptionGroup) else [why]
            told = [each for each in causes if isinstance(each, OSError)]
            raise worst(told, host) if told else error from error
        return socket.socket(fileno=stream.socket.detach())

    async def _read(self, opened: socket.socket) -> None:
        """Until the stream ends, however."""
        buffer = shared_buffer()
        while True:
            await trio.lowlevel.wait_readable(opened)
            try:
                count = opened.recv_into(buffer)
            except BlockingIOError:
                continue
            except OSError as error:
                self._engine.lost(self._line, error)
                return
            self._engine.received(self._line, buffer[:count])
            if not count:
                return

    def _push(self, opened: socket.socket) -> None:
        """Piece by piece, in the very call that has something to write: a task of its own would be a turn of the loop later."""
        try:
            while data := self._rest or self._line.outgoing():
                self._rest = data
                self._rest = memoryview(data)[opened.send(data) :]
        except BlockingIOError:
            self._full.set()
        except OSError:
            self._rest = b""  # the reader meets the same end, and tells it

    @trio.lowlevel.enable_ki_protection  # a task of its own, so not the pump's protection
    async def _when_it_takes_more(self, opened: socket.socket) -> None:
        while True:
            await self._full.wait()
            await trio.lowlevel.wait_writable(opened)
            self._full = trio.Event()
            self.write()
