"""The line between client and server, one direction at a time: late, in bursts, in pieces, and always in order (it is TCP).

Messages go in, messages come out later. In some worlds they travel as a stream of bytes that is cut and joined anywhere; then a
message arrives with its last byte, and several arrive in the same instant. Times are integer nanoseconds of virtual time.
"""

from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from rtcore.sim._rng import Rng
from rtcore.sim.speaker import MILLISECOND

_LENGTH = 4


class NetworkOptions(Struct, frozen=True):
    """What kind of line this is, in both directions."""

    latency_ms: int = 30
    jitter_ms: int = 10
    burst_ms: int = 0
    """Arrivals are gathered to multiples of this (0: not), so that many messages come in the same instant."""
    stall_per_mille: int = 0
    """How many sends are followed by a stall, as a lost packet makes it: everything behind it waits."""
    stall_ms: tuple[int, int] = (100, 600)
    stream: bool = False
    """Messages travel as bytes with a length before each, cut into pieces at any byte."""


class Line:
    """One direction. ``send`` now, ``arrivals`` when ``next_at`` is reached."""

    def __init__(self, options: NetworkOptions, rng: Rng, *, split_seed: int = 0) -> None:
        self.options = options
        self._rng = rng
        # Where the bytes are cut never shifts another draw: two worlds that differ in it alone are the same world (invariant 14).
        self._cuts = Rng(split_seed)
        self._last = 0
        self._messages: deque[tuple[int, bytes]] = deque()
        self._pieces: deque[tuple[int, bytes]] = deque()
        self._buffer = bytearray()

    @property
    def next_at(self) -> int | None:
        """When something arrives next."""
        waiting = self._pieces if self.options.stream else self._messages
        return waiting[0][0] if waiting else None

    def send(self, messages: Iterable[bytes], *, now: int, arrive_at: int | None = None) -> int:
        """Put messages on the line; they arrive together. Gives back when: as drawn, or at ``arrive_at`` if the order permits."""
        options, rng = self.options, self._rng
        at = now + (options.latency_ms * MILLISECOND) + rng.below(options.jitter_ms * MILLISECOND + 1)
        if rng.chance(options.stall_per_mille):
            at += rng.between(*options.stall_ms) * MILLISECOND
        if options.burst_ms:
            grid = options.burst_ms * MILLISECOND
            at = -(-at // grid) * grid
        if arrive_at is not None:
            at = max(arrive_at, now)
        at = max(at, self._last)
        self._last = at
        if options.stream:
            self._send_stream(messages, at)
        else:
            self._messages.extend((at, message) for message in messages)
        return at

    def arrivals(self, now: int) -> list[bytes]:
        """Whole messages that have arrived by now, in order."""
        whole: list[bytes] = []
        if self.options.stream:
            while self._pieces and self._pieces[0][0] <= now:
                self._buffer += self._pieces.popleft()[1]
                whole += self._deframe()
            return whole
        while self._messages and self._messages[0][0] <= now:
            whole.append(self._messages.popleft()[1])
        return whole

    def _send_stream(self, messages: Iterable[bytes], at: int) -> None:
        stream = b"".join(len(message).to_bytes(_LENGTH, "big") + message for message in messages)
        while stream:
            size = self._cuts.between(1, len(stream)) if self._cuts.chance(700) else len(stream)
            self._pieces.append((at, stream[:size]))
            stream = stream[size:]

    def _deframe(self) -> list[bytes]:
        whole: list[bytes] = []
        buffer = self._buffer
        while len(buffer) >= _LENGTH:
            end = _LENGTH + int.from_bytes(buffer[:_LENGTH], "big")
            if len(buffer) < end:
                break
            whole.append(bytes(buffer[_LENGTH:end]))
            del buffer[:end]
        return whole
