"""One connection without a socket: the websocket, what lies below it (TLS, proxies), and what waits to be written, in one place.

Bytes and time in, link events out; ``outgoing`` gives the next bytes to write, a piece at a time, so that a cancel or a truncate
can still overtake the microphone audio behind it. A runtime opens a socket to ``host`` and ``port``, and moves bytes.
"""

from ssl import SSLContext

from msgspec import Struct

from rtcore import Deadline, Handshake, Lane
from rtcore_adapters._dial import dial_fault, line_fault
from rtcore_adapters._layers import Stack
from rtcore_adapters._link import Failed, Link, LinkEvent, LinkTimes
from rtcore_adapters._outbox import Outbox
from rtcore_adapters._route import route
from rtcore_adapters._words import place

WRITE_AHEAD = 32 * 1024
"""Bytes in one piece of ``outgoing``, about: what has been given away can no longer be overtaken."""


class Ways(Struct, frozen=True, kw_only=True):
    """How servers are reached; ``_route.route`` says what each means."""

    ssl: SSLContext | None = None
    proxy: str | bool | None = True
    proxy_ssl: SSLContext | None = None

    def __repr__(self) -> str:
        """Without the proxy's URL, which may hold a password."""
        proxy = place(self.proxy) if isinstance(self.proxy, str) else self.proxy
        return f"Ways(ssl={self.ssl!r}, proxy={proxy!r}, proxy_ssl={self.proxy_ssl!r})"


def check(ways: Ways) -> None:
    """Raise ``ValueError`` for a proxy's URL or a context that cannot be used, before anything is dialled."""
    route("server.invalid", 80, ways.ssl is not None, ssl=ways.ssl, proxy=ways.proxy, proxy_ssl=ways.proxy_ssl)


class Line:
    """A link, the layers below it, and its outbox. ``number`` is the core's for this connection.

    Raises ``ValueError`` for a URL, a header, a proxy or a context that cannot be used; it names the part.
    """

    def __init__(self, number: int, handshake: Handshake, *, now: float, times: LinkTimes, ways: Ways) -> None:
        self.number = number
        self.link = Link(handshake, now=now, times=times)
        way = route(self.link.host, self.link.port, self.link.secure, ssl=ways.ssl, proxy=ways.proxy, proxy_ssl=ways.proxy_ssl)
        self.host = way.host
        """Where to dial: the server, or the proxy on the way to it."""
        self.port = way.port
        """Where to dial."""
        self.lookup = way.lookup
        """A name that has to be looked up on this machine first, its address given to ``resolved``; None as a rule."""
        self._way = way
        self.close_s = times.close_s
        """How long a socket may take to write out what is left when the line is over."""
        self._open_s = times.open_s
        self._stack = Stack(way.layers)
        self._layered = bool(way.layers)
        self._outbox = Outbox()

    @property
    def over(self) -> bool:
        """The link has told its last event: write what ``outgoing`` still gives, then let go of the socket."""
        return self.link.state == "closed"

    @property
    def deadline(self) -> Deadline | None:
        """When ``tick`` is due, and what for."""
        return self.link.deadline

    def resolved(self, address: str) -> None:
        """Takes a numeric address of ``lookup``."""
        self._way.resolved(address)
        self.lookup = None

    # -- in -----------------------------------------------------------------------------------------------------------------

    def receive(self, data: bytes | memoryview, *, now: float) -> list[LinkEvent]:
        """What the socket returned; b"" means end of stream."""
        events = self._from_below(data, now) if self._layered else self.link.receive(data, now=now)
        if self.link.unwritten:
            events += self.refuse_if_overfull(now=now)
        return events

    def _from_below(self, data: bytes | memoryview, now: float) -> list[LinkEvent]:
        plain = self._stack.receive(data)
        events = self.link.receive(plain, now=now) if plain else []
        if self._stack.ended:
            fault = self._stack.fault
            events += self.link.receive(b"", now=now) if fault is None else self.link.lost(fault.error, fault.remedy, now=now)
        return events

    def tick(self, *, now: float) -> list[LinkEvent]:
        """Time passed."""
        events = self.link.tick(now=now)
        if events and isinstance(events[0], Failed) and (fault := self._stack.unanswered(self._open_s)) is not None:
            return [Failed(fault.error, fault.remedy)]  # it was not the server that said nothing
        return events

    def failed(self, error: Exception, *, now: float) -> list[LinkEvent]:
        """No socket could be opened, or ``lookup`` is unknown."""
        if self.lookup is not None:
            what, remedy = dial_fault(error, self.lookup, self.link.port)
            return self.link.lost(what, f"{remedy}, or let the proxy look it up (socks5h://)", now=now)
        return self.link.lost(*dial_fault(error, self.host, self.port, proxy=self._way.proxied), now=now)

    def lost(self, error: Exception | None, *, now: float) -> list[LinkEvent]:
        """The socket broke, or is gone (None)."""
        if not self._stack.established and error is not None:
            self._stack.receive(b"")  # whoever was shaking hands knows what that means
            if (fault := self._stack.fault) is not None:
                return self.link.lost(fault.error, fault.remedy, now=now)
        return self.link.lost(line_fault(error), now=now)

    # -- out ----------------------------------------------------------------------------------------------------------------

    def send(self, payload: bytes, lane: Lane) -> list[bytes]:
        """Queue a message; gives back the audio messages that had to be dropped for it."""
        return self._outbox.put(payload, lane)

    def refuse_if_overfull(self, *, now: float) -> list[LinkEvent]:
        """Give the line up where the peer has stopped reading: control messages and pongs are never dropped (C30)."""
        unwritten = self.link.unwritten
        if not self._outbox.overfull(unwritten):
            return []
        return self.link.lost(f"the server takes nothing: {self._outbox.control_bytes + unwritten} bytes wait", now=now)

    def close(self, code: int, reason: str, *, now: float) -> list[LinkEvent]:
        """Begin the close handshake, behind the control messages that wait."""
        self._outbox.drop_audio()
        while (payload := self._outbox.pop()) is not None:
            self.link.send(payload)
        return self.link.close(code, reason, now=now)

    def outgoing(self) -> bytes:
        """The next bytes to write; b"" if there are none now. What was taken has to be written, whole and in order."""
        data = self._below()
        if self.link.state != "open" or len(data) >= WRITE_AHEAD:
            return data
        pieces = [data]
        size = len(data)
        while size < WRITE_AHEAD and (payload := self._outbox.pop()) is not None:
            self.link.send(payload)
            data = self._below()
            pieces.append(data)
            size += len(data)
        return b"".join(pieces) if len(pieces) > 1 else data

    def _below(self) -> bytes:
        """What the link has to say, as the socket is to carry it."""
        data = self.link.outgoing()
        if not self._layered:
            return data
        self._stack.send(data)
        if self.over:
            self._stack.end()
        return self._stack.outgoing()
