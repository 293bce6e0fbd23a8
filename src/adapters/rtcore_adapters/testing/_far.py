"""The server's end of one websocket, on a socket that never blocks: the handshake, whole messages, and every way to end.

What the socket does not take is kept; ``carry`` goes on with it, and reads what has arrived. It knows no clock.
"""

import socket
import struct
from contextlib import suppress

from websockets.http11 import Request
from websockets.protocol import State

from rtcore_adapters._served import ServerEnd

_READ = 1 << 18


class FarEnd:
    """One connection, as the server sees it."""

    def __init__(self, accepted: socket.socket, *, tcp: bool) -> None:
        self.tcp = tcp
        """Whether it came over the loopback interface, whose kernel may take a moment."""
        self.messages: list[bytes] = []
        """What the client has sent, and nobody has taken yet."""
        self.answered = False
        """The handshake has been answered, either way."""
        self.ended = False
        """Nothing comes or goes any more."""
        self._socket = accepted
        self._socket.setblocking(False)
        self._protocol = ServerEnd()
        self._out = bytearray()
        self._last_word = False

    def fileno(self) -> int:
        """For ``select``."""
        return self._socket.fileno()

    @property
    def request(self) -> Request | None:
        """The handshake's request, once it has come."""
        return self._protocol.request

    @property
    def writing(self) -> bool:
        """Whether the socket has not taken everything."""
        return bool(self._out) and not self.ended

    @property
    def open(self) -> bool:
        """Whether messages can be sent."""
        return self._protocol.state is State.OPEN and not self.ended

    # -- out ------------------------------------------------------------------------------------------------------------------

    def accept(self) -> bool:
        """Answer the handshake; False where the request was none that can be accepted."""
        assert self.request is not None, "no request has come"
        self.answered = True
        self._protocol.send_response(self._protocol.accept(self.request))
        self._flush()
        return self.open

    def reject(self, status: int, code: str, message: str) -> None:
        """Answer an HTTP status instead, with a body as this protocol's servers write it."""
        self.answered = True
        self._protocol.refuse(status, code, message)
        self._flush()

    def send(self, payload: bytes) -> None:
        """A message in one frame; dropped where the line is closing."""
        if self.open:
            self._protocol.send_text(payload)
            self._flush()

    def close(self, code: int, reason: str) -> None:
        """Begin to close in order."""
        if self.open:
            self._protocol.send_close(code, reason)
            self._flush()

    def hang_up(self, *, reset: bool = False) -> None:
        """Let go of the socket; with ``reset`` as a line that breaks, without a word."""
        self.ended = True
        if reset and self.tcp:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()
        self._out.clear()

    # -- in -------------------------------------------------------------------------------------------------------------------

    def carry(self) -> bool:
        """Write what waits, read what has come; True where something moved."""
        if self.ended:
            return False
        moved = self._write()
        while not self.ended:
            try:
                data = self._socket.recv(_READ)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            moved = True
            if data:
                self._protocol.receive_data(data)
            else:
                self._protocol.receive_eof()
            self.messages += self._protocol.messages()
            self._flush()
            if not data:
                self.hang_up()
        return moved

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            self._last_word |= not data  # an empty piece means: nothing more will come
            self._out += data
        self._write()

    def _write(self) -> bool:
        moved = False
        while self._out and not self.ended:
            try:
                sent = self._socket.send(self._out)
            except BlockingIOError:
                break
            except OSError:
                self._out.clear()
                break
            del self._out[:sent]
            moved = True
        if self._last_word and not self._out and not self.ended:
            self._last_word = False
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
        return moved
