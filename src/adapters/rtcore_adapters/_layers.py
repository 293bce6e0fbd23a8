"""What may lie between a socket and the websocket: TLS and proxies, as layers that only know bytes.

A ``Stack`` holds them, from the socket (first) to the link (last). Its use is the same with any number of layers, also none::

    plain = stack.receive(data)              # data: what the socket returned, b"" at its end
    if plain: ...                            # for the link
    if stack.ended: ...                      # nothing more will come: because of stack.fault, or simply as a stream ends
    stack.send(link.outgoing())              # at any time; kept until the layers are through with their handshakes
    socket.write(stack.outgoing())           # after each of the calls above, and once before the first

Nothing here raises over what a peer sends: what came before a failure would be lost with the exception, and how much that is
would depend on how the bytes were split. A failure is state, like an end. No layer knows time: the link's ``open_s`` covers their
handshakes, and ``unanswered`` has the words for it.
"""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

Data = bytes | memoryview
"""What was read. A view is used up within the call and never kept: the buffer behind it is the reader's, for the next read."""


class LayerFault(Struct, frozen=True):
    """Why a layer ended the connection: what happened and what to do about it, without a credential."""

    error: str
    remedy: str


class Layer(Protocol):
    """Something that the connection's bytes pass through. ``outgoing`` is due after every other method, and before the first."""

    @property
    def established(self) -> bool:
        """Its own handshake is over; from now on bytes flow in both directions."""

    @property
    def ended(self) -> bool:
        """Nothing more comes up from it: end of stream, orderly or not, or a fault. Never taken back."""

    @property
    def fault(self) -> LayerFault | None:
        """Why it ended, if not as a stream ends. Always there when it ended before it was established."""

    def receive(self, data: Data) -> Data:
        """Take bytes from below (b"": the stream below has ended); gives the bytes for above, if there are any."""

    def send(self, data: bytes) -> None:
        """Take bytes from above. They are kept until the layer is established, and dropped once it ended by a fault."""

    def outgoing(self) -> bytes:
        """The bytes to write below now."""

    def end(self) -> None:
        """Nothing more will be sent: say so in the layer's own way. Not waited for, and allowed at any time."""

    def unanswered(self, after_s: float) -> LayerFault:
        """What to say of a peer that has not let the layer come about in so many seconds."""


class Stack:
    """Layers as one: bytes of the socket below, bytes of the link above. Without layers they pass as they are, uncopied."""

    def __init__(self, layers: Sequence[Layer] = ()) -> None:
        self._layers = tuple(layers)
        self._plain: list[bytes] = []
        self._ended = False

    def __repr__(self) -> str:
        return f"Stack({list(self._layers)!r})"

    @property
    def established(self) -> bool:
        """All handshakes below the link are over."""
        return all(layer.established for layer in self._layers)

    @property
    def ended(self) -> bool:
        """Nothing more comes for the link. What ``receive`` has given back with it still counts."""
        return self._ended

    @property
    def fault(self) -> LayerFault | None:
        """Why it ended, told by the layer nearest to the socket; None where the stream just ended."""
        return next((layer.fault for layer in self._layers if layer.fault), None)

    def receive(self, data: Data) -> Data:
        """Take what the socket returned, b"" at its end (a reset is an end, too); gives what is for the link."""
        if self._ended:
            return b""
        ended = not data
        for layer in self._layers:
            plain = layer.receive(data) if data else b""
            if ended and (last := layer.receive(b"")):
                plain = b"".join((plain, last))
            data, ended = plain, layer.ended
            if not data and not ended:
                return b""
        self._ended = ended
        return data

    def send(self, data: bytes) -> None:
        """Take bytes of the link."""
        if not data:
            return
        if self._layers:
            self._layers[-1].send(data)
        else:
            self._plain.append(data)

    def outgoing(self) -> bytes:
        """The bytes to write to the socket now, in order; b"" if there are none."""
        for at in range(len(self._layers) - 1, 0, -1):
            self._sink(at)
        if self._layers:
            return self._layers[0].outgoing()
        plain, self._plain = self._plain, []
        return plain[0] if len(plain) == 1 else b"".join(plain)

    def end(self) -> None:
        """The link has said its last: end every layer in its own way, from the top. Then write ``outgoing`` and hang up."""
        for at in range(len(self._layers) - 1, -1, -1):
            self._layers[at].end()
            if at:
                self._sink(at)

    def _sink(self, at: int) -> None:
        if data := self._layers[at].outgoing():
            self._layers[at - 1].send(data)

    def unanswered(self, after_s: float) -> LayerFault | None:
        """Whose handshake has not ended in so many seconds, in words; None if it is none of the layers'."""
        return next((layer.unanswered(after_s) for layer in self._layers if not layer.established), None)
