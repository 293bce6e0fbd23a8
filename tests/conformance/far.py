"""The server's end of a socket pair: websocket frames out, cut and merged anywhere, and what the client wrote.

It never waits. What the socket does not take is kept; ``carry`` goes on with it, and reads what has arrived.
"""

import socket
from itertools import pairwise
from typing import Any

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol


def _tcp_pair() -> tuple[socket.socket, socket.socket]:
    """A pair over the loopback interface, for loops that take no others."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        return near, listener.accept()[0]


class FarEnd:
    """One connection, as the server sees it."""

    def __init__(self, accepted: socket.socket | None = None, *, tcp: bool = False) -> None:
        """Of a socket that was accepted; else of a new pair, whose other end is ``near``."""
        if accepted is not None:
            self._socket = accepted
        else:
            self.near, self._socket = _tcp_pair() if tcp else socket.socketpair()
        self._socket.setblocking(False)
        self._protocol = ServerProtocol(max_size=None)
        self._out = bytearray()
        self.request: Request | None = None
        """The handshake's request, once it has come."""
        self.messages: list[bytes] = []
        """What the client has sent, and nobody has taken yet."""
        self.accepted = False
        self.pings = 0
        """How many the client has sent."""
        self.mute = False
        """It reads, but says no word: half-open."""
        self.deaf = False
        """It does not read."""
        self.ended = False
        """The client has let go of its socket."""
        self.torn = b""
        """The rest of a frame that has begun: it comes before anything else."""

    # -- out ----------------------------------------------------------------------------------------------------------------

    def accept(self) -> None:
        """Answer the handshake."""
        assert self.request is not None, "no request has come"
        self.accepted = True
        self._protocol.send_response(self._protocol.accept(self.request))
        self._flush()

    def send(self, payload: bytes) -> None:
        """A message in one frame; dropped where the line is closing."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_text(payload)
            self._flush()

    def frames(self, payload: bytes, cuts: list[int]) -> bytes:
        """The bytes of a message in several frames, cut at these places, for ``raw``; none where the line is closing."""
        if self._protocol.state is not State.OPEN:
            return b""
        edges = [0, *cuts, len(payload)]
        pieces = [payload[start:end] for start, end in pairwise(edges)]
        first, *more = pieces
        self._protocol.send_text(first, fin=not more)
        for number, piece in enumerate(more, 2):
            self._protocol.send_continuation(piece, fin=number == len(pieces))
        return b"".join(self._protocol.data_to_send())

    def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        self._out += data
        self._write()

    def close(self, code: int, reason: str) -> None:
        """Begin to close in order."""
        self._protocol.send_close(code, reason)
        self._flush()

    def hang_up(self) -> None:
        """Let go of the socket."""
        self._socket.close()
        self._out = bytearray()  # another thread may be writing the old one just now

    # -- in -----------------------------------------------------------------------------------------------------------------

    @property
    def writing(self) -> bool:
        """Whether the socket has not taken everything."""
        return bool(self._out)

    @property
    def closed_with(self) -> tuple[int, str] | None:
        """Code and reason of the client's close frame, once it came."""
        came = self._protocol.close_rcvd
        return None if came is None else (came.code, came.reason)

    def carry(self) -> bool:
        """Write what waits, read what has come; True where something moved."""
        if self._socket.fileno() < 0:
            return False
        moved = self._write()
        if self.deaf:
            return moved
        while not self.ended:
            try:
                data = self._socket.recv(1 << 18)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            moved = True
            if data:
                self._protocol.receive_data(data)
            else:
                self.ended = True
                self._protocol.receive_eof()
            for event in self._protocol.events_received():
                if isinstance(event, Request):
                    self.request = event
                elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                    self.messages.append(bytes(event.data))
                elif isinstance(event, Frame) and event.opcode is Opcode.PING:
                    self.pings += 1
            self._flush()
        return moved

    def _flush(self) -> None:
        data: Any = b"".join(self._protocol.data_to_send())
        if data and not self.mute:
            self._out += self.torn + data
            self.torn = b""
        self._write()

    def _write(self) -> bool:
        moved = False
        while self._out and self._socket.fileno() >= 0 and not self.ended:
            try:
                sent = self._socket.send(self._out)
            except BlockingIOError:
                break
            except OSError:
                self._out.clear()
                break
            del self._out[:sent]
            moved = True
        return moved
