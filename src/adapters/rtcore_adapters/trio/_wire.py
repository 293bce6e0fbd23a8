"""A line's socket on trio: it dials, then one task reads and one writes."""

import socket
from collections.abc import Awaitable, Callable

import trio

from rtcore_adapters._addresses import worst
from rtcore_adapters._engine import Engine
from rtcore_adapters._line import Line
from rtcore_adapters.trio._request import Request

Dial = Callable[[str, int], Awaitable[socket.socket]]
"""Opens a socket to a host and a port."""

_READ = 64 * 1024


class Wire:
    """A line and its socket. ``serve`` is its life; when it comes back, nothing is left."""

    def __init__(self, line: Line, engine: Engine[Request], dial: Dial | None) -> None:
        self._line = line
        self._engine = engine
        self._dial = dial
        self._writable = trio.Event()
        self._stream: trio.SocketStream | None = None
        self._life = trio.CancelScope()

    def write(self) -> None:
        """The line may have something to write, or be over."""
        self._writable.set()
        if self._line.over:
            # Not the writer's to mind: it may wait for a peer that reads nothing.
            patience = 0.0 if self._stream is None else self._line.close_s
            self._life.deadline = min(self._life.deadline, trio.current_time() + patience)

    def abort(self) -> None:
        """No more waiting: drop the socket."""
        self._life.cancel()

    async def serve(self) -> None:
        """Dial, then move bytes both ways until the line is over."""
        with self._life:
            try:
                self._stream = await self._open()
            except Exception as error:  # OSError as a rule; what a resolver raises ends it as well
                self._engine.failed(self._line, error)
                return
            async with self._stream, trio.open_nursery() as nursery:
                nursery.start_soon(self._write, self._stream, nursery.cancel_scope)
                await self._read(self._stream)
        self._engine.lost(self._line, None)

    async def _open(self) -> trio.SocketStream:
        """To whichever address of the host answers first (RFC 8305), unless the program dials."""
        line = self._line
        host, port = line.host, line.port
        if line.lookup is not None:
            found = await trio.socket.getaddrinfo(line.lookup, None, type=socket.SOCK_STREAM)
            line.resolved(str(found[0][4][0]))
        if self._dial is not None:
            return trio.SocketStream(trio.socket.from_stdlib_socket(await self._dial(host, port)))
        try:
            return await trio.open_tcp_stream(host, port)
        except OSError as error:
            why = error.__cause__
            causes = why.exceptions if isinstance(why, ExceptionGroup) else [why]
            told = [each for each in causes if isinstance(each, OSError)]
            raise worst(told, host) if told else error from error

    async def _read(self, stream: trio.SocketStream) -> None:
        """Until the stream ends, however."""
        data: bytes | bytearray = b"first"
        while data:
            try:
                data = await stream.receive_some(_READ)
            except trio.BrokenResourceError as error:
                self._engine.lost(self._line, error.__cause__ if isinstance(error.__cause__, OSError) else error)
                return
            self._engine.received(self._line, bytes(data))

    @trio.lowlevel.enable_ki_protection  # a task of its own, so not the pump's protection
    async def _write(self, stream: trio.SocketStream, both: trio.CancelScope) -> None:
        """What the line gives, piece by piece; when it is over and all is written, let go of the socket."""
        try:
            while True:
                self._writable = trio.Event()
                while data := self._line.outgoing():
                    await stream.send_all(data)
                if self._line.over:
                    break
                await self._writable.wait()
        except trio.BrokenResourceError:
            return  # the reader meets the same end, and tells it
        both.cancel()
