"""A way through a proxy, as a layer: ask it for a connection to host and port, then let the bytes pass.

``Tunnel`` is what all proxies have in common; ``HttpTunnel`` is HTTP CONNECT (RFC 9110, 9.3.6) with Basic authentication.
``_socks`` has the other one. Nothing that a proxy sends behind its answer is lost, and what it may send before is bounded.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from websockets.proxy import Proxy, prepare_connect_request
from websockets.uri import WebSocketURI

from rtcore_adapters._layers import Data, LayerFault
from rtcore_adapters._words import bracketed, clean, longest_first, place, quoted, said, spellings

_GREETING = 64  # bytes of the peer's first line that are looked at and quoted, as the link does
_MAX_HEAD = 16 * 1024  # of status line and headers, as common servers allow
_MAX_BODY = 4 * 1024  # of a refusal, enough for its words
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class Tunnel(ABC):
    """A ``Layer`` that speaks to a proxy first and is only a pipe afterwards. ``where`` is how the proxy is called in errors."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._heard = bytearray()
        self._out: list[bytes] = []
        self._kept: list[bytes] = []
        self.established = False
        self.ended = False
        self.fault: LayerFault | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._where!r}, established={self.established})"

    def receive(self, data: Data) -> Data:
        """Take what the proxy sends; gives what came through the tunnel."""
        if self.ended:
            return b""
        if self.established:
            self.ended = not data
            return data
        if not data:
            self._fail(self._cut_off())
            return b""
        self._heard += data
        if not self._answered():
            return b""
        self.established = True
        self._out += self._kept
        rest = bytes(self._heard)
        self._kept, self._heard = [], bytearray()
        return rest

    def send(self, data: bytes) -> None:
        """Take bytes for the other end of the tunnel."""
        if not self.fault:
            (self._out if self.established else self._kept).append(data)

    def outgoing(self) -> bytes:
        """The question to the proxy, then what goes through the tunnel."""
        out, self._out = self._out, []
        return out[0] if len(out) == 1 else b"".join(out)

    def end(self) -> None:
        """No more goes through. A proxy learns it when the socket is closed."""
        self._kept.clear()

    @abstractmethod
    def unanswered(self, after_s: float) -> LayerFault:
        """No answer in so many seconds."""

    @abstractmethod
    def _answered(self) -> bool:
        """Take the answer out of ``_heard``; whether it was yes. It may still lack bytes; a no is a fault."""

    @abstractmethod
    def _cut_off(self) -> LayerFault:
        """What it comes to if the proxy hangs up now."""

    def _fail(self, fault: LayerFault) -> None:
        self.fault = fault
        self.ended = True
        self._heard.clear()
        self._kept.clear()


class HttpTunnel(Tunnel):
    """HTTP CONNECT to ``host`` and ``port`` through ``proxy``; ``secure`` says what will be spoken in the tunnel."""

    def __init__(self, proxy: Proxy, host: str, port: int, *, secure: bool) -> None:
        super().__init__(f"the proxy {bracketed(proxy.host)}:{proxy.port}")
        self._target = f"{bracketed(host)}:{port}"
        self._with_user = proxy.username is not None
        self._secrets = _secrets(proxy)
        self._out.append(prepare_connect_request(proxy, WebSocketURI(secure, host, port, "", ""), "rtcore"))
        self._searched = 0
        self._status = 0  # of a refusal whose words are still to come
        self._headers: Mapping[str, list[str]] = {}

    def unanswered(self, after_s: float) -> LayerFault:
        """No answer in so many seconds; a refusal without its last words is an answer."""
        if self._status:
            return self._refusal()
        if self._heard and not self._heard.startswith(b"HTTP/"):
            return self._not_http()
        error = f"{self._where} did not answer CONNECT {self._target} in {after_s:g} s"
        return LayerFault(error, "check the proxy's host and port, and that it can reach the server")

    def _cut_off(self) -> LayerFault:
        if self._status:
            return self._refusal()
        if self._heard and not self._heard.startswith(b"HTTP/"):
            return self._not_http()
        return LayerFault(
            f"{self._where} closed the connection without an answer to CONNECT {self._target}",
            "check the proxy's scheme (http, https or socks5), host and port, and whether it allows this destination",
        )

    def _answered(self) -> bool:
        while not self._status:
            if not self._heard.startswith(b"HTTP/"):
                # Judged when the first line or 64 bytes are there, so that how the bytes were split cannot change the words.
                if len(self._heard) >= _GREETING or b"\n" in self._heard:
                    self._fail(self._not_http())
                return False
            head = _END_OF_HEAD.search(self._heard, self._searched, _MAX_HEAD)
            if head is None:
                self._searched = max(0, len(self._heard) - 3)
                if len(self._heard) >= _MAX_HEAD:
                    self._fail(self._nonsense())
                return False
            lines = self._heard[: head.start()].decode("latin-1").splitlines()
            found = re.fullmatch(r"HTTP/\d(?:\.\d)? ([1-5]\d\d)(?: .*)?", lines[0])
            if found is None:
                self._fail(self._nonsense())
                return False
            del self._heard[: head.end()]
            self._searched = 0
            status = int(found[1])
            if 200 <= status < 300:
                return True
            if status >= 300 or status == 101:  # any other 1xx only announces the answer
                self._status, self._headers = status, _headers(lines[1:])
        if self._whole():
            self._fail(self._refusal())
        return False

    def _whole(self) -> bool:
        if len(self._heard) >= _MAX_BODY:
            return True
        if self._chunked:
            return _unchunked(self._heard)[1]
        sizes = [int(value) for value in self._headers.get("content-length", ()) if re.fullmatch(r"\d{1,18}", value)]
        return bool(sizes) and len(self._heard) >= sizes[0]

    @property
    def _chunked(self) -> bool:
        return self._headers.get("transfer-encoding", [""])[-1].lower() == "chunked"

    # -- in words -----------------------------------------------------------------------------------------------------------

    def _not_http(self) -> LayerFault:
        line = bytes(self._heard[:_GREETING]).partition(b"\n")[0].rstrip(b"\r")
        remedy = "something else listens there: check the proxy's scheme (http, https or socks5), host and port"
        if line[:1] == b"\x15":  # a TLS alert (RFC 8446, 5.1)
            remedy = "it answers in TLS: use https:// in the proxy's URL"
        return LayerFault(f"{self._where} does not speak HTTP: it said '{quoted(line, self._secrets)}'", remedy)

    def _nonsense(self) -> LayerFault:
        error = f"{self._where} gave no valid HTTP answer to CONNECT {self._target}"
        return LayerFault(error, "check the proxy's scheme (http, https or socks5), host and port")

    def _refusal(self) -> LayerFault:
        status, body = self._status, bytes(self._heard[:_MAX_BODY])
        error = f"{self._where} answered HTTP {status}"
        if status in _PHRASES:
            error += f" {_PHRASES[status]}"
        error += f" to CONNECT {self._target}"
        if 300 <= status < 400 and (target := self._headers.get("location")):
            error += f", which points to {clean(place(target[0]), self._secrets)}"
        if self._chunked:
            body = _unchunked(body)[0]
        if body and (words := clean(said(body), self._secrets)):
            error += f": {words}"
        return LayerFault(error, self._remedy())

    def _remedy(self) -> str:
        status = self._status
        if status == 407:
            schemes = [value.partition(" ")[0].lower() for value in self._headers.get("proxy-authenticate", ())]
            if schemes and "basic" not in schemes:
                asked = clean(", ".join(schemes), self._secrets)
                return f"it asks for {asked}, and only Basic is spoken here: put a proxy in between that speaks both"
            if self._with_user:
                return "it does not take this user and password: check those in the proxy's URL"
            return "it wants credentials: put user and password into the proxy's URL (http://user:password@host:port)"
        if 300 <= status < 400:
            return "a login page or another gateway is in the way: log in to the network, or use the final proxy's URL"
        if status in (401, 403):
            return f"the proxy's rules forbid it: have {self._target} allowed for CONNECT"
        if status in (404, 405, 501):
            return "it may be a web server and no proxy: check the proxy's host and port"
        if status >= 500:
            return f"the proxy could not reach {self._target}: check the URL, or try again later"
        return "check the proxy's URL and its settings"


def _headers(lines: Iterable[str]) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), []).append(value.strip())
    return headers


def _unchunked(data: bytes | bytearray) -> tuple[bytes, bool]:
    """The body in a chunked one as far as it came (RFC 9112, 7.1), and whether its end, or nonsense, is among it."""
    body, at = b"", 0
    while (line := data.find(b"\r\n", at)) >= 0:
        size = re.match(rb"[0-9a-fA-F]{1,8}", data[at:line])
        length = int(size[0], 16) if size else 0
        if not length:
            return body, True
        body += data[line + 2 : line + 2 + length]
        at = line + 2 + length + 2
    return body, False


def _secrets(proxy: Proxy) -> tuple[str, ...]:
    """What a proxy must not carry into our texts: user and password in every spelling, also as Basic authentication has them."""
    if proxy.username is None or proxy.password is None:
        return ()
    pair = prepare_connect_request(proxy, WebSocketURI(True, "host", 1, "", "")).decode()
    basic = re.findall(r"Basic (\S+)", pair)
    return longest_first([*basic, *spellings(proxy.username), *spellings(proxy.password)])
