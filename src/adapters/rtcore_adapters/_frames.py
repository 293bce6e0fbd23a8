"""The usual frame, taken quickly: a whole message in one unmasked frame (RFC 6455, 5.2), which is all that realtime servers send
besides a ping now and then.

The websockets library stays the authority. This file only cuts the stream at the frames' borders; it gives the payload of a usual
frame, and every other frame as it stands, for the library. What the library will refuse for its header is given with all that
follows. So the two never disagree about where a frame begins, and a delta costs one slice instead of a parser's dozen calls.
"""

from msgspec import Struct

_WHOLE = (0x81, 0x82)
"""First bytes of a text or binary message in one frame."""


class Message(Struct, frozen=True):
    """One whole message, text or binary alike, fragments joined."""

    payload: bytes


class FrameCutter:
    """Cuts what a server sends behind its answer to the handshake. A frame above ``max_message`` bytes is not waited for."""

    def __init__(self, max_message: int) -> None:
        self._max_message = max_message
        self._rest = bytearray()
        self._need = 2
        """Bytes that ``_rest`` must hold before it is worth looking at again."""
        self._fragmented = False
        self._broken = False

    def take_rest(self) -> bytes:
        """The frame that was begun and will not be ended."""
        rest, self._rest = bytes(self._rest), bytearray()
        return rest

    def feed(self, data: bytes | bytearray | memoryview) -> list[Message | bytes]:
        """Messages, and frames for the library, in their order."""
        if self._broken:
            return [bytes(data)]
        if self._rest:
            self._rest += data
            if len(self._rest) < self._need:
                return []
            data, self._rest = self._rest, bytearray()
        found: list[Message | bytes] = []
        at, size = 0, len(data)
        while size - at >= 2:
            first, length, head = data[at], data[at + 1], at + 2
            if length >= 126:
                if length == 126:
                    head = at + 4
                elif length == 127:
                    head = at + 10
                if head > size:
                    self._need = head - at
                    break
                if length > 127:  # masked, which a server must not do: the library will say so
                    return [*found, *self._give_up(data[at:])]
                length = int.from_bytes(data[at + 2 : head])
                if length > self._max_message:
                    return [*found, *self._give_up(data[at:])]
            end = head + length
            if end > size:
                self._need = end - at
                break
            if first in _WHOLE and not self._fragmented:
                found.append(Message(bytes(data[head:end])))
            else:
                found.append(bytes(data[at:end]))
                if first in (0x01, 0x02):
                    self._fragmented = True
                elif first == 0x80:
                    self._fragmented = False
            at = end
        else:
            self._need = 2
        if at < size:
            self._rest += data[at:]
        return found

    def _give_up(self, data: bytes | bytearray | memoryview) -> list[bytes]:
        self._broken = True
        return [bytes(data)]
