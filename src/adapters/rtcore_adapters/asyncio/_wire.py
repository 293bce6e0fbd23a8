"""One websocket on asyncio: link, outbox and socket.

It tells what the link tells, event by event, and knows nothing of conversations. Its methods belong to the loop's thread; none of
them waits. Everything that it writes leaves through ``_write``.
"""

import asyncio
import socket
from collections.abc import Callable
from ssl import SSLContext, create_default_context
from typing import cast

from rtcore import Lane
from rtcore_adapters._dial import dial_fault, line_fault
from rtcore_adapters._link import Link, LinkEvent
from rtcore_adapters._outbox import Outbox

_WRITE_AHEAD = 32 * 1024  # bytes handed to the socket's buffer; what waits behind them can still be overtaken


class Wire(asyncio.Protocol):
    """A link and its socket. ``gone`` is done when nothing of it is left.

    ``tell`` takes the link's events; it must not raise. ``close_s`` is how long the socket may take to write out what is left
    when the link has ended.
    """

    def __init__(self, link: Link, loop: asyncio.AbstractEventLoop, tell: Callable[[LinkEvent], None], *, close_s: float) -> None:
        self.link = link
        self.gone: asyncio.Future[None] = loop.create_future()
        self.dialling: asyncio.Task[None] | None = None
        self._loop = loop
        self._tell = tell
        self._close_s = close_s
        self._outbox = Outbox()
        self._transport: asyncio.Transport | None = None
        self._full = False
        self._patience: asyncio.TimerHandle | None = None

    async def dial(self, ssl: SSLContext | None) -> None:
        """Open the socket: TCP, TLS where the URL says so, then the websocket request."""
        link, loop = self.link, self._loop
        try:
            tls = (ssl or create_default_context()) if link.secure else None
            await loop.create_connection(lambda: self, link.host, link.port, ssl=tls)
            self.dialling = None
        except Exception as error:  # OSError as a rule; what a resolver, a loop or a wrong ssl context raises ends it as well
            self._give_up()
            self._take(link.lost(*dial_fault(error, link.host, link.port, secure=link.secure), now=loop.time()))
        except BaseException:
            self._give_up()
            raise

    def _give_up(self) -> None:
        """Nothing came of dialling. The loop may have made a transport all the same, of whose end not every loop tells."""
        self.dialling = None
        if self._transport is not None:
            self._transport.abort()
        self._set_gone()

    # -- what the pump asks ---------------------------------------------------------------------------------------------------

    def send(self, payload: bytes, lane: Lane) -> list[bytes]:
        """Queue a message, and write what the socket takes; gives back the audio messages that had to be dropped for it."""
        dropped = self._outbox.put(payload, lane)
        self._write()
        if self._outbox.overfull:
            waiting = self._outbox.control_bytes
            self._take(self.link.lost(f"the server takes nothing: {waiting} bytes wait", now=self._loop.time()))
        return dropped

    def hang_up(self, code: int, reason: str) -> None:
        """Begin the close handshake, behind the control messages that wait."""
        self._outbox.drop_audio()
        self._write(all=True)
        self._take(self.link.close(code, reason, now=self._loop.time()))

    def tick(self, now: float) -> None:
        """Time passed."""
        self._take(self.link.tick(now=now))

    def abort(self) -> None:
        """No more waiting: drop the socket."""
        if self._transport is not None:
            self._transport.abort()
        if self.dialling is not None:
            self.dialling.cancel()

    # -- what the socket tells ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # not asserted: uvloop's are none by inheritance
        self._transport.set_write_buffer_limits(high=_WRITE_AHEAD)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._write()

    def data_received(self, data: bytes) -> None:
        self._take(self.link.receive(data, now=self._loop.time()))

    def eof_received(self) -> None:
        self._take(self.link.receive(b"", now=self._loop.time()))

    def connection_lost(self, exc: Exception | None) -> None:
        self._take(self.link.lost(line_fault(exc), now=self._loop.time()))
        self._set_gone()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._write()

    # -- between the two ------------------------------------------------------------------------------------------------------

    def _take(self, events: list[LinkEvent]) -> None:
        for event in events:
            self._tell(event)
        self._write()
        if self.link.state == "closed":
            self._let_go()

    def _write(self, *, all: bool = False) -> None:
        """The one place that writes: what the link has to say, then the outbox, as far as the socket takes it (or ``all``)."""
        if self._transport is None or self._transport.is_closing():
            return
        while True:
            if data := self.link.outgoing():
                self._transport.write(data)
            if self.link.state != "open" or (self._full and not all) or (payload := self._outbox.pop()) is None:
                return
            self.link.send(payload)

    def _let_go(self) -> None:
        """The link has ended: the socket goes when its last bytes are out, or after the time that closing may take."""
        if self._transport is None:
            self.abort()
        elif not self._transport.is_closing():
            self._patience = self._loop.call_later(self._close_s, self.abort)
            self._transport.close()

    def _set_gone(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        if not self.gone.done():
            self.gone.set_result(None)
