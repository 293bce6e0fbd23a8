"""One connection without a socket: the websocket, and what waits to be written, in one place.

Bytes and time in, link events out; ``outgoing`` gives the next bytes to write, a piece at a time, so that a cancel or a truncate
can still overtake the microphone audio behind it. A runtime opens a socket to ``host`` and ``port``, and moves bytes.
"""

from rtcore import Deadline, Handshake, Lane
from rtcore_adapters._dial import dial_fault, line_fault
from rtcore_adapters._link import Link, LinkEvent, LinkTimes
from rtcore_adapters._outbox import Outbox

WRITE_AHEAD = 32 * 1024
"""Bytes in one piece of ``outgoing``, about: what has been given away can no longer be overtaken."""


class Line:
    """A link and its outbox. ``number`` is the core's for this connection. Raises ``ValueError`` where ``Link`` does."""

    def __init__(self, number: int, handshake: Handshake, *, now: float, times: LinkTimes) -> None:
        self.number = number
        self.link = Link(handshake, now=now, times=times)
        self.close_s = times.close_s
        """How long a socket may take to write out what is left when the line is over."""
        self._outbox = Outbox()

    @property
    def host(self) -> str:
        """Where to dial."""
        return self.link.host

    @property
    def port(self) -> int:
        """Where to dial."""
        return self.link.port

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.link.secure

    @property
    def over(self) -> bool:
        """The link has told its last event: write what ``outgoing`` still gives, then let go of the socket."""
        return self.link.state == "closed"

    @property
    def deadline(self) -> Deadline | None:
        """When ``tick`` is due, and what for."""
        return self.link.deadline

    # -- in -----------------------------------------------------------------------------------------------------------------

    def receive(self, data: bytes, *, now: float) -> list[LinkEvent]:
        """What the socket returned; b"" means end of stream."""
        return self.link.receive(data, now=now)

    def tick(self, *, now: float) -> list[LinkEvent]:
        """Time passed."""
        return self.link.tick(now=now)

    def failed(self, error: Exception, *, now: float) -> list[LinkEvent]:
        """No socket could be opened."""
        return self.link.lost(*dial_fault(error, self.host, self.port, secure=self.secure), now=now)

    def lost(self, error: Exception | None, *, now: float) -> list[LinkEvent]:
        """The socket broke, or is gone (None)."""
        return self.link.lost(line_fault(error), now=now)

    # -- out ----------------------------------------------------------------------------------------------------------------

    def send(self, payload: bytes, lane: Lane) -> list[bytes]:
        """Queue a message; gives back the audio messages that had to be dropped for it."""
        return self._outbox.put(payload, lane)

    def refuse_if_overfull(self, *, now: float) -> list[LinkEvent]:
        """Give the line up where the peer has stopped reading: control messages are never dropped (C30)."""
        if not self._outbox.overfull:
            return []
        return self.link.lost(f"the server takes nothing: {self._outbox.control_bytes} bytes wait", now=now)

    def close(self, code: int, reason: str, *, now: float) -> list[LinkEvent]:
        """Begin the close handshake, behind the control messages that wait."""
        self._outbox.drop_audio()
        while (payload := self._outbox.pop()) is not None:
            self.link.send(payload)
        return self.link.close(code, reason, now=now)

    def outgoing(self) -> bytes:
        """The next bytes to write; b"" if there are none now. What was taken has to be written, whole and in order."""
        data = self.link.outgoing()
        if self.link.state != "open" or len(data) >= WRITE_AHEAD:
            return data
        pieces = [data]
        size = len(data)
        while size < WRITE_AHEAD and (payload := self._outbox.pop()) is not None:
            self.link.send(payload)
            data = self.link.outgoing()
            pieces.append(data)
            size += len(data)
        return b"".join(pieces) if len(pieces) > 1 else data
