"""The websocket without a socket: bytes and time in, link events out.

A link lives through ``handshake -> open -> closing -> closed`` and tells it in a fixed grammar, whatever the peer does::

    Opened Message* Closed  |  Refused  |  Failed        exactly one of the last three, always last, exactly once

Nothing a peer sends makes it raise, any split or merge of the byte stream gives the same events (invariant 14), and no text that
leaves it holds a credential. It owns its three timers (handshake, keepalive, close), told by ``deadline`` as the core tells its
own. What an adapter does with it: dial ``host`` and ``port``, write what ``outgoing`` returns, feed what it reads, hang up after
the last event.
"""

import logging
import math
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal
from urllib.parse import unquote_plus, urlsplit

from msgspec import Struct
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI, PayloadTooBig
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.typing import BytesLike, Subprotocol
from websockets.uri import parse_uri

from rtcore import Deadline, Disconnection, Handshake
from rtcore_adapters._frames import FrameCutter, Message
from rtcore_adapters._words import clean, longest_first, place, quoted, said, spellings

MAX_MESSAGE = 64 * 1024 * 1024
"""Largest message taken, in bytes: a bound, not a budget. Server frames of hundreds of KiB are normal (protocol facts, 1.9)."""

_GREETING = 64  # bytes of the peer's first line that are looked at and quoted
_LATE = 1.0  # seconds after which a wake-up counts as late: then the program slept, not the peer

# The library logs headers at DEBUG, and headers carry keys: it gets a logger that belongs to no hierarchy and lets nothing pass.
_MUTE = logging.Logger("rtcore.link", level=logging.CRITICAL + 1)


class Opened(Struct, frozen=True):
    """The handshake succeeded. ``subprotocol`` is the one the server chose, if any."""

    subprotocol: str | None = None


class Closed(Struct, frozen=True):
    """An open link is over. ``code`` is the websocket close code (1006: no close frame came), ``reason`` says what happened."""

    code: int
    reason: str
    remedy: str = ""


class Refused(Struct, frozen=True):
    """The server answered the handshake with another HTTP status than 101."""

    http_status: int
    reason: str
    remedy: str


class Failed(Struct, frozen=True):
    """The link never opened, and no HTTP status says why: nothing there, no TLS, no HTTP, no answer in time."""

    error: str
    remedy: str


LinkEvent = Opened | Message | Closed | Refused | Failed
LinkState = Literal["handshake", "open", "closing", "closed"]


class LinkTimes(Struct, frozen=True, kw_only=True):
    """The link's time-outs in seconds; ``math.inf`` sets no limit, but for ``close_s``: leaving a conversation always ends.

    ``open_s`` covers dialling, TLS and the HTTP answer. A ping is sent after ``ping_s`` without a byte from the peer; anything at
    all that arrives within ``pong_s`` is an answer, because a pong may stand behind megabytes of audio. ``close_s`` is how long
    the peer may take to answer our close frame; 0 does not wait. Raises ``ValueError`` for what is no such time.
    """

    open_s: float = 10.0
    ping_s: float = 20.0
    pong_s: float = 20.0
    close_s: float = 2.0

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            given = getattr(self, name)
            if isinstance(given, bool) or not isinstance(given, int | float) or not given >= 0:
                raise ValueError(f"LinkTimes.{name} is {given!r}: give seconds")
            if given == 0 and name != "close_s":
                why = "it would ping without a pause" if name == "ping_s" else "nothing answers in no time"
                raise ValueError(f"LinkTimes.{name} is 0, and {why}: give more seconds, or math.inf for no limit")
            if given == math.inf and name == "close_s":
                raise ValueError("LinkTimes.close_s is inf, and the block would not be left where a server is gone: give seconds")


_STATUS_REMEDY: Mapping[int, str] = {
    401: "check the API key or token, and that it belongs to this endpoint",
    403: "the key is known but may not do this: check its permissions for this model or deployment, "
    "and the network's access rules",
    404: "check the URL, the model or deployment name and the api-version",
    407: "a proxy wants credentials: check the proxy's settings",
    429: "wait before trying again, and check the account's rate limits and quota",
}


_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class Link:
    """One websocket connection to be. ``now`` is in seconds, monotonic, the clock of all calls.

    Raises ``ValueError`` for a handshake that cannot be written (a URL that is not ``ws://`` or ``wss://``, a header with a line
    break); its text names the part but never a value.
    """

    host: str
    port: int
    secure: bool

    def __init__(
        self, handshake: Handshake, *, now: float, times: LinkTimes | None = None, max_message: int = MAX_MESSAGE
    ) -> None:
        self._secrets = secrets_of(handshake)
        self._place = place(handshake.url)
        try:
            uri = parse_uri(handshake.url)
        except (InvalidURI, ValueError):
            raise ValueError(f"{self._place!r} is not a websocket URL: it must look like wss://host/path") from None
        if urlsplit(handshake.url).port == 0:  # the library takes 0 for "not given"
            raise ValueError(f"{self._place!r} names port 0, where nothing can listen: use the port that the server listens on")
        self.host, self.port, self.secure = uri.host, uri.port, uri.secure
        self._times = times or LinkTimes()
        self._max_message = max_message
        self._protocol = ClientProtocol(
            uri,
            subprotocols=[Subprotocol(name) for name in handshake.subprotocols] or None,
            max_size=max_message,
            logger=_MUTE,
        )
        request = self._protocol.connect()
        for name, value in (("User-Agent", "rtcore"), *handshake.headers):
            _check_header(name, value)
            if name in request.headers:
                del request.headers[name]
            request.headers[name] = value
        self._protocol.send_request(request)
        self._state: LinkState = "handshake"
        self._greeting = bytearray()
        self._answered = b""  # the last bytes of an answer whose head has not ended yet
        self._frames = FrameCutter(max_message)
        self._parts: list[BytesLike] = []
        self._since = now  # when the present timer began: the dial, the last byte heard, the ping, our close frame
        self._excused = False  # a late wake-up has been forgiven once since then
        self._pinged = False
        self._pings = 0
        self._answers = bytearray()  # one block: a list of pongs costs ten times their bytes
        self.unwritten = 0
        """Bytes of answers to the peer's control frames that ``outgoing`` has not given yet: a peer that reads lets none wait."""

    def __repr__(self) -> str:
        """Where to and how far; never a header or a query."""
        return f"Link({self._place!r}, state={self._state!r})"

    @property
    def state(self) -> LinkState:
        """How far the link has come."""
        return self._state

    @property
    def deadline(self) -> Deadline | None:
        """When ``tick`` is due at the latest, and what for; None once the link is closed."""
        match self._state:
            case "handshake":
                return Deadline(self._since + self._times.open_s, "websocket handshake")
            case "open" if self._pinged:
                return Deadline(self._since + self._times.pong_s, "answer to a ping")
            case "open":
                return Deadline(self._since + self._times.ping_s, "keepalive ping")
            case "closing":
                return Deadline(self._since + self._times.close_s, "answer to the close frame")
            case "closed":
                return None

    # -- out ----------------------------------------------------------------------------------------------------------------

    def outgoing(self) -> bytes:
        """Bytes to write now, in order: the request, frames, pongs. Call it after every other method; b"" if there are none."""
        # The library marks the end of the stream with an empty chunk; joining drops it, because hanging up is the adapter's act.
        if not self.unwritten:
            return b"".join(self._protocol.data_to_send())
        answers, self._answers, self.unwritten = bytes(self._answers), bytearray(), 0
        return b"".join((answers, *self._protocol.data_to_send()))

    def send(self, payload: bytes) -> None:
        """Frame one message as text. Ignored unless the link is open: what was meant for a dead link is not for the next."""
        if self._state == "open":
            self._protocol.send_text(payload)

    def close(self, code: int = 1000, reason: str = "", *, now: float) -> list[LinkEvent]:
        """Begin the close handshake; before the link is open, end it at once."""
        if self._state == "open":
            self._protocol.send_close(code, _fit(reason, 123))  # RFC 6455, 5.5: a control frame holds 125 bytes, 2 are the code
            self._state = "closing"
            self._restart(now)
            return []
        if self._state == "handshake":
            return self._end(Failed("closed before the handshake was answered", ""))
        return []

    # -- in -----------------------------------------------------------------------------------------------------------------

    def receive(self, data: bytes | memoryview, *, now: float) -> list[LinkEvent]:
        """Take what the socket returned; b"" means end of stream. A view is not kept."""
        if self._state == "closed":
            return []
        if not data:
            return self._receive_eof(now)
        if self._state == "handshake":
            return self._receive_answer(bytes(data), now)
        if self._state == "open":
            self._pinged = False
            self._restart(now)
        return self._cut(data, now)

    def _cut(self, data: bytes | memoryview, now: float) -> list[LinkEvent]:
        """Bytes of frames."""
        events: list[LinkEvent] = []
        for found in self._frames.feed(data):
            if isinstance(found, bytes):
                self._protocol.receive_data(found)
                events += self._drain(now)
                for answer in self._protocol.data_to_send():
                    self._answers += answer
                self.unwritten = len(self._answers)
            elif self._state == "open":  # messages behind our own close frame come too late
                events.append(found)
            if self._state == "closed":
                break
        return events

    def lost(self, error: str, remedy: str = "", *, now: float) -> list[LinkEvent]:
        """The transport failed: refused, unresolved, reset. ``error`` says how, ``remedy`` what to do."""
        match self._state:
            case "closed":
                return []
            case "handshake":
                return self._end(Failed(self._clean(error), self._clean(remedy)))
            case "open" | "closing":
                return self._end(Closed(1006, self._clean(error), self._clean(remedy)))

    def tick(self, *, now: float) -> list[LinkEvent]:
        """Time passed; allowed early, late, often."""
        due = self.deadline
        if due is None or now < due.at:
            return []
        if self._state == "open" and not self._pinged:
            self._pings += 1
            self._protocol.send_ping(b"%d" % self._pings)
            self._pinged = True
            self._restart(now)
            return []
        if now - due.at >= _LATE and not self._excused:
            # So late that this program itself slept: what the peer said may wait unread in the socket (F095). Look once more.
            self._since += now - due.at + _LATE
            self._excused = True
            return []
        match self._state:
            case "handshake":
                return self._no_answer()
            case "open":
                error = f"nothing came from the server for {self._times.pong_s:g} s after a ping"
                self._protocol.fail(1011, "keepalive ping timeout")
                return self._end(Closed(1006, error, "the network or the server is gone: connect again"))
            case _:
                return self._end(Closed(1006, f"the server did not answer the close frame in {self._times.close_s:g} s"))

    # -- the handshake ------------------------------------------------------------------------------------------------------

    def _receive_answer(self, data: bytes, now: float) -> list[LinkEvent]:
        """The HTTP answer goes to the library up to the end of its head: what follows are frames, or words of a refusal."""
        if events := self._greeted(data):
            return events
        seen = self._answered + data
        end = seen.find(b"\r\n\r\n")
        cut = len(data) if end < 0 else end + 4 - len(self._answered)
        self._answered = seen[-3:]
        self._protocol.receive_data(data[:cut])
        events = self._drain(now)
        if cut == len(data) or self._state == "closed":
            return events
        if self._state == "open":
            return events + self._cut(data[cut:], now)
        self._protocol.receive_data(data[cut:])
        return events + self._drain(now)

    def _greeted(self, data: bytes) -> list[LinkEvent]:
        """Hang up on a peer whose first line is not HTTP, instead of waiting for the rest of it."""
        line_known = len(self._greeting) >= _GREETING or b"\n" in self._greeting
        if line_known:
            return []
        self._greeting += data[: _GREETING - len(self._greeting)]
        # Judged when the first line or 64 bytes are there, so that how the bytes were split cannot change the verdict's words.
        if len(self._greeting) < _GREETING and b"\n" not in self._greeting:
            return []
        return [] if self._first_line().startswith(b"HTTP/") else self._end(self._not_http())

    def _first_line(self) -> bytes:
        return bytes(self._greeting).partition(b"\n")[0].rstrip(b"\r")

    def _not_http(self) -> Failed:
        words = quoted(self._first_line(), self._secrets)
        remedy = "something else listens there: check the host, the port and ws:// or wss://"
        if self._first_line()[:1] == b"\x15":  # a TLS alert (RFC 8446, 5.1)
            remedy = "it answers in TLS: use wss:// instead of ws://"
        return Failed(f"{self._place} does not speak HTTP: it said '{words}'", remedy)

    def _no_answer(self) -> list[LinkEvent]:
        if (status := self._status_line()) is not None:
            return self._end(self._refusal(status, None))
        if self._greeting:
            return self._end(self._not_http())
        error = f"{self._place} did not answer the websocket handshake in {self._times.open_s:g} s"
        return self._end(Failed(error, "check the host and the port, and that the network lets the connection through"))

    def _status_line(self) -> int | None:
        found = re.match(rb"HTTP/\d(?:\.\d)? (\d{3})(?!\d)", self._greeting)
        return int(found[1]) if found else None

    def _refusal(self, status: int, response: Response | None) -> Refused:
        words = f"{self._place} answered HTTP {status}"
        if status in _PHRASES:
            words += f" {_PHRASES[status]}"
        remedy = _STATUS_REMEDY.get(status, "check the URL: this place answers HTTP but opened no websocket")
        if 300 <= status < 400:
            remedy = "use the final websocket URL: redirects are not followed, because they would carry the key to another host"
            if response and (target := response.headers.get("Location")):
                words += f", which points to {place(target)}"
        elif status >= 500:
            remedy = "the server or a gateway is in trouble: try again later"
        if response and (told := said(bytes(response.body))):
            words += f": {told}"
        return Refused(status, self._clean(words), remedy)

    def _unanswerable(self, fault: Exception) -> LinkEvent:
        """What a failed handshake comes to. The library's own words depend on how the bytes were split; ours must not."""
        if isinstance(fault, InvalidStatus):
            return self._refusal(fault.response.status_code, fault.response)
        status = self._status_line()
        if status is not None and status != 101:
            return self._refusal(status, None)
        if not self._first_line().startswith(b"HTTP/"):
            return self._not_http()
        detail = f": {fault}" if status == 101 and type(fault).__name__ != "InvalidMessage" else ""
        error = f"{self._place} gave no valid websocket answer{detail}"
        return Failed(self._clean(error), "check the URL: a server or proxy there does not speak websocket (RFC 6455)")

    # -- frames -------------------------------------------------------------------------------------------------------------

    def _drain(self, now: float) -> list[LinkEvent]:
        events: list[LinkEvent] = []
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                events += self._frame(event)
            elif isinstance(event, Response) and self._protocol.handshake_exc is None:
                self._state = "open"
                self._restart(now)
                events.append(Opened(self._protocol.subprotocol))
        if self._state == "closed":
            return events
        if self._protocol.handshake_exc is not None:
            return events + self._end(self._unanswerable(self._protocol.handshake_exc))
        if (fault := self._protocol.parser_exc) is not None:
            return events + self._end(self._broken(fault))
        return events

    def _frame(self, frame: Frame) -> list[LinkEvent]:
        if frame.opcode is Opcode.CLOSE:
            closed = self._protocol.close_rcvd
            assert closed is not None  # the library parsed the frame before it passed it on
            return self._end(self._close_words(closed.code, closed.reason))
        if self._state != "open" or frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return []  # pings are answered by the library; messages behind our own close frame come too late
        if frame.fin and not self._parts:
            return [Message(bytes(frame.data))]
        self._parts.append(frame.data)
        if not frame.fin:
            return []
        payload, self._parts = b"".join(self._parts), []
        return [Message(payload)]

    def _close_words(self, code: int, reason: str) -> Closed:
        remedy = ""
        if code == 1009:
            remedy = "a message of ours was too big for the server: send audio in smaller pieces (15 MiB at most)"
        return Closed(code, self._clean(reason) or f"the server closed the connection with code {code}", remedy)

    def _broken(self, fault: Exception) -> Closed:
        if isinstance(fault, PayloadTooBig):
            error = f"the server sent a message above the limit of {self._max_message} bytes"
            remedy = "a setting of this program: raise the link's max_message, or ask the server for less at once"
            return Closed(1009, error, remedy)
        code = self._protocol.close_sent.code if self._protocol.close_sent else 1002
        error = self._clean(f"the server broke the websocket protocol: {fault}")
        return Closed(code, error, "a proxy or server bug: connect again")

    def _receive_eof(self, now: float) -> list[LinkEvent]:
        if self._state == "handshake" and not self._greeting:
            error = f"{self._place} closed the connection without an answer"
            return self._end(Failed(error, "check the host, the port and ws:// or wss://"))
        was = self._state
        if rest := self._frames.take_rest():
            self._protocol.receive_data(rest)
            if events := self._drain(now):
                return events
        begun = bool(self._protocol.reader.buffer) or bool(self._parts)
        self._protocol.receive_eof()
        self._protocol.events_received()
        if was == "handshake":
            return self._end(self._unanswerable(self._protocol.handshake_exc or InvalidHandshake("end of stream")))
        inside = begun or str(self._protocol.parser_exc).startswith("stream ends after")
        where = "in the middle of a message" if inside else "without a close frame"
        return self._end(Closed(1006, f"the connection was cut {where}", "connect again"))

    def _restart(self, now: float) -> None:
        self._since, self._excused = now, False

    # -- the end ------------------------------------------------------------------------------------------------------------

    def _end(self, event: LinkEvent) -> list[LinkEvent]:
        self._state = "closed"
        self._parts = []
        return [event]

    def _clean(self, text: str) -> str:
        return clean(text, self._secrets)


def disconnection(event: Closed | Refused | Failed) -> Disconnection:
    """The link's last event as the core takes it, ``Session.disconnected(connection, cause)``."""
    match event:
        case Closed(code, reason, remedy):
            return Disconnection(close_code=code, reason=reason, error=remedy)  # the core reads codes in the peer's own words
        case Refused(status, reason, remedy):
            return Disconnection(http_status=status, reason=_joined(reason, remedy))
        case Failed(error, remedy):
            return Disconnection(error=_joined(error, remedy))


def _joined(what: str, remedy: str) -> str:
    return f"{what}; {remedy}" if remedy else what


def _fit(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")


def secrets_of(handshake: Handshake) -> tuple[str, ...]:
    """Everything in a handshake that a peer's answer must not carry into our texts, longest first.

    Every word of a header value, a query value, user and password, and the key in a browser-style subprotocol (protocol facts,
    1.2, 1.3). Words of other headers count from 8 characters on, so that ordinary words in an answer survive.
    """
    found: list[str] = []
    for name, value in handshake.headers:
        told = re.search("auth|key|token|secret|cookie", name, re.IGNORECASE)
        found += [word for word in (value, *value.split()) if len(word) >= (4 if told else 8) and word.lower() != "bearer"]
    try:
        parts = urlsplit(handshake.url)
        for name, _, value in (field.partition("=") for field in parts.query.split("&")):
            if re.search("key|token|secret|sig|auth|pass|pwd|credential", unquote_plus(name), re.IGNORECASE):
                found += spellings(value)
        for word in (parts.username, parts.password):
            found += [each for each in spellings(word or "") if len(each) >= 4]
    except ValueError:
        pass  # not a URL: the constructor says so in words of its own
    found += [key for name, _, key in (each.partition(".") for each in handshake.subprotocols) if re.search("key|secret", name)]
    return longest_first(found)


def _check_header(name: str, value: str) -> None:
    """Refuse what would break the request apart. The value stays unsaid: it may be a key with a stray line break."""
    if not re.fullmatch(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+", name):
        raise ValueError(f"header name {name!r} is not a token (RFC 9110, 5.1)")
    if not re.fullmatch(r"[\t\x20-\x7e\xa0-\xff]*", value):
        raise ValueError(f"the value of header {name!r} holds a line break or a character outside Latin-1: check how it was read")
    if name.lower() in ("upgrade", "connection") or name.lower().startswith("sec-websocket-"):
        raise ValueError(f"header {name!r} belongs to the websocket handshake itself: leave it out")


__all__ = [
    "MAX_MESSAGE",
    "Closed",
    "Failed",
    "Link",
    "LinkEvent",
    "LinkState",
    "LinkTimes",
    "Message",
    "Opened",
    "Refused",
    "disconnection",
    "place",
    "secrets_of",
]
