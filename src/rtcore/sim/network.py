"""The line between client and server, one direction at a time: late, in bursts, in pieces, and always in order (it is TCP).

Messages go in, messages come out later. In some worlds they travel as a stream of bytes that is cut and joined anywhere; then a
message arrives with its last byte, and several arrive in the same instant. A line can be cut, also in the middle of a message,
or go dead without a word (half-open). Times are integer nanoseconds of virtual time.
"""

from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from rtcore.sim._rng import Rng
from rtcore.sim.speaker import MILLISECOND

NOTABLE_MS = 20
"""A latency from which on it counts as a fault."""
_LENGTH = 4
_SECOND = 1_000_000_000
_KIB = 1024


class NetworkOptions(Struct, frozen=True):
    """What kind of line this is, in both directions."""

    latency_ms: int = 30
    jitter_ms: int = 10
    burst_ms: int = 0
    """Arrivals are gathered to multiples of this (0: not), so that many messages come in the same instant."""
    stall_per_mille: int = 0
    """How many sends are followed by a stall, as a lost packet makes it: everything behind it waits."""
    stall_ms: tuple[int, int] = (100, 600)
    """Least and most length of a stall; several seconds where a route changes or a radio link is lost for a while."""
    slow_reader_kib: int = 0
    """The reader takes at most so many KiB in a second, so that what it reads is ever older; 0: as much as comes."""
    stream: bool = False
    """Messages travel as bytes with a length before each, cut into pieces at any byte."""


class Line:
    """One direction. ``send`` now, ``arrivals`` when ``next_at`` is reached."""

    def __init__(self, options: NetworkOptions, rng: Rng, *, split_seed: int = 0) -> None:
        self.options = options
        self.next_at: int | None = None
        """When something arrives next."""
        self.dead = False
        """It was cut or frozen: nothing arrives any more."""
        self._rng = rng
        # Where the bytes are cut never shifts another draw: two worlds that differ in it alone are the same world (invariant 14).
        self._cuts = Rng(split_seed)
        self._calm = False
        self._last = 0
        self._waiting: deque[tuple[int, bytes]] = deque()  # messages; where they travel as a stream, pieces of it
        self._buffer = bytearray()
        self._delayed = self._jittered = self._stalls = self._splits = self._merges = self._slowed = 0
        self._cut = self._frozen = 0

    @property
    def happened(self) -> dict[str, int]:
        """How often each fault came up, by its name in the catalogue: sends (latency, jitter, stall, merge), pieces that ended in
        the middle of a message (split), messages (slow reader), once a line (cut mid-frame, half-open)."""
        counts = {
            "network: latency": self._delayed,
            "network: jitter": self._jittered,
            "network: stall": self._stalls,
            "network: split": self._splits,
            "network: merge": self._merges,
            "network: cut mid-frame": self._cut,
            "network: half-open": self._frozen,
            "network: slow reader": self._slowed,
        }
        return {name: count for name, count in counts.items() if count}

    @property
    def torn(self) -> bytes:
        """What has arrived of a message whose rest has not."""
        return bytes(self._buffer)

    def send(self, messages: Iterable[bytes], *, now: int, arrive_at: int | None = None) -> int:
        """Put messages on the line; they arrive together. Gives back when: as drawn, or at ``arrive_at`` if the order permits.

        A slow reader takes them one after the other; then the last one's time is given back.
        """
        options, rng = self.options, self._rng
        at = now + options.latency_ms * MILLISECOND
        jitter = stall = 0
        stalled = False
        if options.jitter_ms:
            jitter = rng.below(options.jitter_ms * MILLISECOND + 1)
        else:
            rng.skip(1)
        if options.stall_per_mille:
            stalled = rng.chance(options.stall_per_mille)
            stall = rng.between(*options.stall_ms) if stalled else 0
        else:
            rng.skip(1)
        if self.dead:
            return at
        self._delayed += options.latency_ms >= NOTABLE_MS
        if not self._calm:
            if jitter:
                self._jittered += 1
                at += jitter
            if stalled:
                self._stalls += 1
                at += stall * MILLISECOND
            if options.burst_ms:
                grid = options.burst_ms * MILLISECOND
                at = -(-at // grid) * grid
        if arrive_at is not None:
            at = max(arrive_at, now)
        arrives = at
        if at <= self._last:
            at = self._last
            if self._waiting:
                self._merges += 1
        if options.slow_reader_kib and not self._calm:
            at = self._read_slowly(messages, arrives, at)
        elif options.stream:
            self._send_stream(messages, at)
        else:
            for message in messages:
                self._waiting.append((at, message))
        self._last = at
        if self.next_at is None and self._waiting:
            self.next_at = self._waiting[0][0]
        return at

    def arrivals(self, now: int) -> list[bytes]:
        """Whole messages that have arrived by now, in order."""
        whole: list[bytes] = []
        waiting = self._waiting
        if self.options.stream:
            while waiting and waiting[0][0] <= now:
                self._buffer += waiting.popleft()[1]
                self._deframe(whole)
        else:
            while waiting and waiting[0][0] <= now:
                whole.append(waiting.popleft()[1])
        self.next_at = waiting[0][0] if waiting else None
        return whole

    # -- what becomes of it --------------------------------------------------------------------------------------------------

    def cut(self, now: int) -> int:
        """The connection breaks: whatever has not arrived is lost, and what is sent from now on as well. Gives the messages lost.

        Where messages travel as a stream, the first of those under way is torn: its beginning arrives now, and stays in ``torn``.
        """
        lost = self._lose(now)
        if self.options.stream and lost:
            self._cut += 1
            self._waiting.append((now, lost[0][: self._cuts.between(1, len(lost[0]) - 1)]))
            self.next_at = self._waiting[0][0]
        return len(lost)

    def freeze(self, now: int) -> int:
        """Half-open: nothing arrives any more, what is sent vanishes, and neither side is told. Gives the messages lost."""
        alive = not self.dead
        lost = self._lose(now)
        self._frozen += alive
        return len(lost)

    def calm(self) -> None:
        """From now on no faults: the latency alone. What is under way arrives as drawn, and a dead line stays dead."""
        self._calm = True

    def _lose(self, now: int) -> list[bytes]:
        """Dead from now on. Gives the messages that were under way; in a stream with their lengths before them."""
        self.dead = True
        pieces = [piece for at, piece in self._waiting if at > now]
        self._waiting = deque(entry for entry in self._waiting if entry[0] <= now)
        self.next_at = self._waiting[0][0] if self._waiting else None
        if not self.options.stream:
            return pieces
        stream = b"".join(pieces)  # all pieces of a message arrive in one instant, so it begins with a length
        lost: list[bytes] = []
        while stream:
            size = _LENGTH + int.from_bytes(stream[:_LENGTH], "big")
            lost.append(stream[:size])
            stream = stream[size:]
        return lost

    # -- bytes ---------------------------------------------------------------------------------------------------------------

    def _read_slowly(self, messages: Iterable[bytes], arrives: int, at: int) -> int:
        """Nothing is read before ``at``; gives back when the last of them is read."""
        per_second = self.options.slow_reader_kib * _KIB
        for message in messages:
            at += len(message) * _SECOND // per_second
            self._slowed += at - arrives >= MILLISECOND
            if self.options.stream:
                self._send_stream((message,), at)
            else:
                self._waiting.append((at, message))
        return at

    def _send_stream(self, messages: Iterable[bytes], at: int) -> None:
        stream = b"".join([len(message).to_bytes(_LENGTH, "big") + message for message in messages])
        cuts, waiting = self._cuts, self._waiting
        start, end = 0, len(stream)
        while start < end:
            left = end - start
            size = cuts.between(1, left) if cuts.chance(700) else left
            waiting.append((at, stream[start : start + size]))
            start += size

    def _deframe(self, whole: list[bytes]) -> None:
        buffer = self._buffer
        at, end = 0, len(buffer)
        while end - at >= _LENGTH:
            stop = at + _LENGTH + int.from_bytes(buffer[at : at + _LENGTH], "big")
            if stop > end:
                break
            whole.append(bytes(buffer[at + _LENGTH : stop]))
            at = stop
        if at:
            del buffer[:at]
        if at < end:
            self._splits += 1
