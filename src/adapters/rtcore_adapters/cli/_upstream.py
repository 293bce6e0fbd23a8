"""The other side of the proxy where it is a real server: a websocket dialled with what the client brought along.

Headers, query and subprotocols pass through unread; what belongs to the client's own handshake does not. TLS is verified, and the
environment's proxies are used, as by every adapter (``Line``). Errors are told in words that hold no key.
"""

import socket
from contextlib import suppress
from ssl import SSLContext
from types import TracebackType
from urllib.parse import urlsplit, urlunsplit

import anyio
import anyio.abc
from websockets.http11 import Request

from rtcore import Handshake
from rtcore_adapters._line import Line, Ways
from rtcore_adapters._link import Closed, Failed, LinkEvent, LinkTimes, Message, Opened, Refused
from rtcore_adapters._requested import offered

_OWN = frozenset(
    {"host", "upgrade", "connection", "content-length", "transfer-encoding", "keep-alive", "te", "trailer", "proxy-connection"}
)
"""Headers that belong to one connection (RFC 9110, 7.6.1), besides ``Sec-WebSocket-*``."""


def handshake_of(request: Request, upstream: str) -> Handshake:
    """What to dial: the client's request, sent to ``upstream``.

    The path is the upstream's where it has one, else the client's; queries are joined. ValueError for what is no URL.
    """
    wanted, given = urlsplit(upstream), urlsplit(request.path)
    path = wanted.path if wanted.path.strip("/") else given.path
    query = "&".join(each for each in (wanted.query, given.query) if each)
    headers = tuple(
        (name, value)
        for name, value in request.headers.raw_items()
        if name.lower() not in _OWN and not name.lower().startswith("sec-websocket-")
    )
    return Handshake(urlunsplit((wanted.scheme, wanted.netloc, path, query, "")), headers, offered(request))


class Upstream:
    """One dialled websocket: ``async with``, ``opened``, then messages until ``Closed``. One task reads; any may write."""

    def __init__(self, handshake: Handshake, *, ssl: SSLContext | None = None) -> None:
        self._line = Line(1, handshake, now=anyio.current_time(), times=LinkTimes(), ways=Ways(ssl=ssl))
        self._stream: anyio.abc.ByteStream | None = None
        self._events: list[LinkEvent] = []
        self._writing = anyio.Lock()

    async def __aenter__(self) -> "Upstream":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._stream is not None:
            with anyio.CancelScope(shield=True), anyio.move_on_after(1.0):
                await self._stream.aclose()

    async def opened(self) -> Opened | Refused | Failed | Closed:
        """Dial; how it went."""
        deadline = self._line.deadline
        try:
            with anyio.CancelScope(deadline=deadline.at if deadline is not None else float("inf")):
                self._stream = await self._dial()
        except Exception as error:
            # anyio wraps what its several attempts raised.
            cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
            while isinstance(cause, ExceptionGroup):
                cause = cause.exceptions[0]
            self._events += self._line.failed(cause, now=anyio.current_time())
        else:
            if self._stream is None:
                self._events += self._line.failed(TimeoutError(), now=anyio.current_time())
        await self.write()
        event = await self.event()
        if isinstance(event, Message):
            raise AssertionError("a link opens before it says anything")
        return event

    async def _dial(self) -> anyio.abc.ByteStream:
        line = self._line
        if line.lookup is not None:
            found = await anyio.getaddrinfo(line.lookup, None, type=socket.SOCK_STREAM)
            line.resolved(str(found[0][4][0]))
        return await anyio.connect_tcp(line.host, line.port)

    async def event(self) -> LinkEvent:
        """The next one. After ``Closed``, ``Refused`` or ``Failed`` there is none."""
        while not self._events:
            due = self._line.deadline
            data: bytes | None = None
            try:
                with anyio.CancelScope(deadline=due.at if due is not None else float("inf")):
                    assert self._stream is not None
                    data = await self._stream.receive()
            except anyio.EndOfStream:
                data = b""
            except (anyio.BrokenResourceError, OSError) as error:
                cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
                self._events += self._line.lost(cause, now=anyio.current_time())
                continue
            now = anyio.current_time()
            if data is not None:
                self._events += self._line.receive(data, now=now)
            elif due is not None:
                # The loop may wake a hair early; the line must see its deadline as reached.
                self._events += self._line.tick(now=max(now, due.at))
            await self.write()
        return self._events.pop(0)

    async def send(self, payload: bytes) -> None:
        """One message."""
        self._line.send(payload, "ordered")
        await self.write()

    async def close(self, code: int, reason: str) -> None:
        """Say goodbye; the close frame is on its way when this returns."""
        self._events += self._line.close(code, reason, now=anyio.current_time())
        await self.write()

    async def write(self) -> None:
        """Send what is queued; a line that is gone says so at the next read."""
        async with self._writing:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                while self._stream is not None and (data := self._line.outgoing()):
                    await self._stream.send(data)
