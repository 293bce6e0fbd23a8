"""The far end of a connection, in memory: TLS with certificates made for this run, proxies, and a websocket server behind them.

Each is a ``Peer``, bytes in and bytes out, and may stand in front of another; ``on_a_port`` gives one to real sockets.
"""

import base64
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import which
from typing import Protocol

import msgspec
import pytest
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

USER, PASSWORD = "anna", "s3cret/pass"
LOGIN = "anna:s3cret%2Fpass"
"""What the proxies here want, as a URL has it."""

_BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode())

_WORDS = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
_CONFIG = """
[req]
distinguished_name = dn
prompt = no
[dn]
CN = {name}
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
authorityKeyIdentifier = keyid
subjectKeyIdentifier = hash
subjectAltName = {names}
"""


class Authority:
    """Signs certificates; ``path`` is its own. Its files live in ``folder``."""

    def __init__(self, folder: Path) -> None:
        if which("openssl") is None:
            pytest.skip("making certificates takes the openssl program")
        self.folder = folder
        self.path, self._key = folder / "authority.pem", folder / "authority.key"
        self._make("authority", "DNS:none", "authority", self.path, self._key)

    def issue(self, *names: str) -> Path:
        """Key and certificate in one file, for ``DNS:...`` and ``IP:...`` names."""
        path = self.folder / f"{''.join(c if c.isalnum() else '-' for c in '_'.join(names))}.pem"
        if not path.exists():
            key, made = path.with_suffix(".key"), path.with_suffix(".crt")
            self._make("leaf", ", ".join(names), "leaf", made, key, "-CA", str(self.path), "-CAkey", str(self._key))
            path.write_bytes(key.read_bytes() + made.read_bytes())
        return path

    def _make(self, name: str, names: str, kind: str, path: Path, key: Path, *more: str) -> None:
        config = path.with_suffix(".cnf")
        config.write_text(_CONFIG.format(name=f"rtcore test {name}", names=names), encoding="ascii")
        files = ["-config", str(config), "-extensions", kind, "-keyout", str(key), "-out", str(path)]
        subprocess.run([*_WORDS.split(), *files, *more], check=True, capture_output=True)

    def client_context(self) -> ssl.SSLContext:
        """Trusts this authority and no other."""
        return ssl.create_default_context(cafile=str(self.path))

    def server_context(self, *names: str) -> ssl.SSLContext:
        """Of a server with a certificate for ``names``."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.issue(*names))
        return context


class TlsPeer:
    """A TLS server over memory: ``talk`` takes what the client wrote and gives what the server answers.

    ``heard`` is what it was told. ``fault`` is why it gave up, if it did; ``closed`` says that close_notify came.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._in, self._out, server_side=True)
        self.heard = b""
        self.shaken = False
        self.closed = False
        self.fault: ssl.SSLError | None = None

    def talk(self, data: bytes) -> bytes:
        if data:
            self._in.write(data)
        try:
            if not self.shaken:
                self._object.do_handshake()
                self.shaken = True
            while True:
                part = self._object.read(65_536)
                self.closed = not part
                if not part:
                    break
                self.heard += part
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.closed = True
        except ssl.SSLError as error:
            self.fault = error
        return self._out.read()

    def say(self, data: bytes) -> bytes:
        """The records with which it says something."""
        self._object.write(data)
        return self._out.read()

    def bye(self) -> bytes:
        """The record that ends its side in order (close_notify)."""
        with suppress(ssl.SSLError):  # the client's is still to come
            self._object.unwrap()
        return self._out.read()

    @property
    def certificate(self) -> object:
        """What the client has shown."""
        return self._object.getpeercert()

    @property
    def protocol(self) -> str | None:
        return self._object.selected_alpn_protocol()


class Peer(Protocol):
    """Takes what the client wrote, gives what it answers."""

    @property
    def over(self) -> bool:
        """It hangs up, behind what it has answered."""

    def talk(self, data: bytes) -> bytes:
        """b"" in: nothing has come yet."""


class Server:
    """A websocket server that says each message back. A session's update is answered as a realtime server would."""

    def __init__(self) -> None:
        self._protocol = ServerProtocol()
        self.over = False

    def talk(self, data: bytes) -> bytes:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._protocol.send_response(self._protocol.accept(event))
                self._protocol.send_text(
                    b'{"type":"session.created","event_id":"e0","session":{"id":"sess_1","type":"realtime"}}'
                )
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT and self._protocol.state is State.OPEN:
                self._protocol.send_text(self._answer(bytes(event.data)))
        data = b"".join(self._protocol.data_to_send())
        self.over = self._protocol.close_expected()
        return data

    def _answer(self, message: bytes) -> bytes:
        event = msgspec.json.decode(message)
        if event["type"] == "session.update":
            event = {"type": "session.updated", "event_id": "e1", "session": {"id": "sess_1", **event["session"]}}
        return msgspec.json.encode(event)


class OverTls:
    """TLS in front of another peer."""

    def __init__(self, context: ssl.SSLContext, inner: Peer) -> None:
        self._tls, self._inner, self._taken = TlsPeer(context), inner, 0

    @property
    def over(self) -> bool:
        return self._inner.over or self._tls.fault is not None

    def talk(self, data: bytes) -> bytes:
        out = self._tls.talk(data)
        heard, self._taken = self._tls.heard[self._taken :], len(self._tls.heard)
        if heard and (answer := self._inner.talk(heard)):
            out += self._tls.say(answer)
        return out + self._tls.bye() if self._inner.over else out


Ask = Callable[[bytes], tuple[bytes, int, bool]]
"""Takes what a proxy heard so far; gives its answer, how many bytes it took, and whether the tunnel is open."""


class Proxied:
    """A proxy in front of another peer."""

    def __init__(self, ask: Ask, inner: Peer) -> None:
        self._ask, self._inner, self._heard, self._through = ask, inner, b"", False

    @property
    def over(self) -> bool:
        return self._inner.over

    def talk(self, data: bytes) -> bytes:
        if self._through:
            return self._inner.talk(data)
        self._heard += data
        out = b""
        while not self._through:
            answer, taken, self._through = self._ask(self._heard)
            self._heard = self._heard[taken:]
            out += answer
            if not taken:
                return out
        return out + (self._inner.talk(self._heard) if self._heard else b"")


def connect_proxy(heard: bytes) -> tuple[bytes, int, bool]:
    """HTTP CONNECT, for ``LOGIN`` only."""
    head, end, _ = heard.partition(b"\r\n\r\n")
    if not end:
        return b"", 0, False
    assert head.startswith(b"CONNECT ")
    if b"Proxy-Authorization: Basic " + _BASIC not in head:
        return b"HTTP/1.1 407 x\r\nContent-Length: 21\r\n\r\nWho are you, " + head[-8:], len(head) + 4, False
    return b"HTTP/1.1 200 OK\r\n\r\n", len(head) + 4, True


def socks_proxy(heard: bytes) -> tuple[bytes, int, bool]:
    """SOCKS5, for ``LOGIN`` only."""
    login = b"\x01" + bytes([len(USER)]) + USER.encode() + bytes([len(PASSWORD)]) + PASSWORD.encode()
    for said, answer in ((b"\x05\x02\x00\x02", b"\x05\x02"), (login, b"\x01\x00")):
        if heard.startswith(said):
            return answer, len(said), False
    if heard.startswith(b"\x01"):
        return b"\x01\x01", len(heard), False
    if not heard.startswith(b"\x05\x01\x00"):
        assert not heard
        return b"", 0, False
    size = {1: 4, 3: 1 + heard[4], 4: 16}[heard[3]]
    return b"\x05\x00\x00\x01" + bytes(6), 4 + size + 2, True


@contextmanager
def on_a_port(make: Callable[[], Peer]) -> Iterator[int]:
    """A peer for every connection to a loopback port, in threads; gives the port."""
    lines: list[tuple[socket.socket, threading.Thread]] = []

    def serve(line: socket.socket) -> None:
        with line, suppress(OSError):
            peer = make()
            while not peer.over and (data := line.recv(65_536)):
                line.sendall(peer.talk(data))

    def accept() -> None:
        with suppress(OSError):  # closed
            while True:
                line = server.accept()[0]
                thread = threading.Thread(target=serve, args=[line], daemon=True)
                lines.append((line, thread))
                thread.start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for line, thread in lines:
                with suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
                thread.join()
