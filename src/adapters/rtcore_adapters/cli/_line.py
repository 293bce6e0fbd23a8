"""A client's websocket, as ``serve`` and ``audit`` answer it: the handshake, whole messages, and a close frame that arrives.

Sans-IO below (``ServerEnd``), an anyio stream beneath.
"""

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import anyio
import anyio.abc
from anyio.abc import SocketAttribute, SocketStream
from websockets.http11 import Request
from websockets.protocol import State

from rtcore_adapters._requested import Requested, session_of
from rtcore_adapters._served import ServerEnd

_HANDSHAKE_S = 10.0
_GOODBYE_S = 0.5  # what a close frame may take when the server itself is being stopped


class Line:
    """One client. First ``request``, then ``accept`` or ``refuse``, then messages until ``open`` is false.

    Reading and writing raise ``anyio.BrokenResourceError`` where the client is gone in the middle of something. One task reads;
    any may write.
    """

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        self._protocol = ServerEnd()
        self._writing = anyio.Lock()
        stream.extra(SocketAttribute.raw_socket).setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # -- the opening handshake ----------------------------------------------------------------------------------------------

    async def request(self) -> Request | None:
        """The client's opening request; None where it is no websocket's, or does not come in time."""
        with anyio.move_on_after(_HANDSHAKE_S):
            while self._protocol.handshake_exc is None:
                data = await self.read()
                if not data:
                    return None
                self.messages(data)
                if self._protocol.request is not None:
                    return self._protocol.request
            await self.write()
        return None

    async def accept(self, request: Request, subprotocol: str | None) -> bool:
        """Open the line, naming this subprotocol where it was offered; false where the request is not acceptable."""
        self._protocol.chosen = subprotocol
        self._protocol.send_response(self._protocol.accept(request))
        await self.write()
        return self.open

    async def refuse(self, status: int, code: str, message: str) -> None:
        """Answer an HTTP status instead, with a body as this protocol's servers write it."""
        self._protocol.refuse(status, code, message)
        await self.write()

    # -- messages -----------------------------------------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        """Whether messages can be sent."""
        return self._protocol.state is State.OPEN

    @property
    def closed_by_client(self) -> tuple[int, str] | None:
        """Code and reason of the client's close frame, once it came."""
        frame = self._protocol.close_rcvd
        return (frame.code, frame.reason) if frame is not None else None

    def send(self, messages: Sequence[bytes]) -> None:
        """Queue text messages; ``write`` sends them. Ignored once the line is closing."""
        for message in messages:
            if self.open:
                self._protocol.send_text(message)

    def messages(self, data: bytes) -> list[bytes]:
        """What the client said in ``data``: whole messages. Pongs and the like wait for ``write``."""
        self._protocol.receive_data(data)
        return self._protocol.messages()

    async def read(self, deadline: float | None = None) -> bytes | None:
        """What came: bytes, b"" at the end of the stream, None where the deadline was first."""
        with anyio.CancelScope(deadline=float("inf") if deadline is None else deadline):
            try:
                return await self._stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return b""
        return None

    async def write(self) -> None:
        """Send what is queued."""
        async with self._writing:
            if data := b"".join(self._protocol.data_to_send()):
                await self._stream.send(data)

    def close(self, code: int, reason: str) -> None:
        """Queue a close frame, once; ``write`` sends it."""
        if self.open:
            self._protocol.send_close(code, reason)

    @asynccontextmanager
    async def attended(self, stopped: str) -> AsyncIterator[None]:
        """Around a conversation: a client that goes away ends it; where it is cancelled, the client is told ``stopped`` first."""
        try:
            yield
        except anyio.BrokenResourceError:
            pass  # the client went away; its session ends with it
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self.hang_up(1001, stopped)
            raise

    async def hang_up(self, code: int, reason: str) -> None:
        """Send a close frame, and give the client a moment to hang up: a socket closed over unread data would lose the frame."""
        if not self.open:
            return
        self._protocol.send_close(code, reason)
        with anyio.move_on_after(_GOODBYE_S):
            try:
                await self.write()
                while await self.read():
                    pass
            except anyio.BrokenResourceError:
                pass  # the client was faster


async def admitted(line: Line, request: Request) -> Requested | None:
    """Answer a request for a simulated session: what for, or None where it was refused (its words say why)."""
    try:
        found = session_of(request.path)
    except ValueError:  # a target such as //[x is no URL
        await line.refuse(400, "invalid_url", "The request's target is not a URL: try /v1/realtime.")
        return None
    if found is None:
        await line.refuse(404, "not_found", f"Nothing at {urlsplit(request.path).path}: try /v1/realtime.")
        return None
    if not await line.accept(request, "realtime"):
        return None
    if (closing := found.closing(request)) is not None:
        await line.hang_up(*closing)
        return None
    return found
