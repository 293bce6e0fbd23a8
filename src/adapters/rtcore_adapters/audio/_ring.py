"""What the device's thread and the runtime's thread share: frames in one direction, what became of them in the other.

Each integer here has one writer and is only ever replaced, never changed in place. A writer first writes the bytes, then the
integer that says they are there; the other side first reads the integer, then the bytes. No lock, and nothing to wait for. That
relies on two things: that a store of an attribute is seen whole, and that stores are seen in the order in which they were made.
CPython gives both: the callback holds the interpreter lock while it runs, and taking that lock is a full barrier. (A build
without the lock keeps the first, and the second on x86; on other processors these integers would need to be atomics.)

The callback allocates nothing but the few views that slicing makes, logs nothing, and cannot raise for want of data.
"""

from array import array

from msgspec import Struct

_BLOCKS = 1024  # blocks of which the runtime has not heard yet: ten seconds at 10 ms


class Block(Struct):
    """What the device took at one go: ``count`` frames of the ring from ``start`` on, and silence up to ``frames``.

    ``at`` is when its first frame sounds, in seconds of the stream's clock. ``sounded`` and ``starved`` (it fell short although
    audio waited) are for the runtime's side to note.
    """

    at: float
    frames: int
    start: int
    count: int
    held: bool
    call: int = 0
    """The number of the call, from 1."""
    sounded: int = 0
    starved: bool = False


class OutputRing:
    """Frames on their way to a device. The runtime's thread writes, the device's callback reads.

    Frames are counted from 0 at the opening and never wrap; only their places in the buffer do. ``width`` is bytes per frame.
    """

    def __init__(self, frames: int, width: int, longest: int) -> None:
        self.frames = frames
        self.width = width
        self._bytes = memoryview(bytearray(frames * width))
        self._quiet = memoryview(bytes(longest * width))
        # Written by the runtime's thread.
        self.written = 0
        """Frames that were put in; those before it may be read."""
        self.skip = 0
        """Frames before this one are not wanted any more (a flush)."""
        self.hold = False
        """Take nothing for now (a pause)."""
        self._noted = 0  # blocks that ``blocks`` gave out
        # Written by the callback.
        self.read = 0
        """Frames before this one were taken or skipped."""
        self.begun = 0
        """Calls that have begun .."""
        self.done = 0
        """.. and those that have ended: their blocks can be asked for."""
        self.xruns = 0
        """Calls that said the device had run dry before."""
        self.unnoted = 0
        """Frames of silence that were played while the runtime did not listen for ``_BLOCKS`` blocks."""
        self._at = array("d", bytes(8 * _BLOCKS))
        self._frames = array("q", bytes(8 * _BLOCKS))
        self._start = array("q", bytes(8 * _BLOCKS))
        self._count = array("q", bytes(8 * _BLOCKS))
        self._held = bytearray(_BLOCKS)
        self._call = array("q", bytes(8 * _BLOCKS))
        self._recorded = 0  # blocks, in all

    # -- the device's thread ----------------------------------------------------------------------------------------------------

    def fill(self, out: memoryview, frames: int, at: float, xrun: bool) -> None:
        """The device wants ``frames`` frames, the first of which sounds at ``at``."""
        self.begun += 1
        if xrun:
            self.xruns += 1
        # ``hold`` before ``skip``: a flush ends a pause, and writes them the other way round. What was skipped cannot slip out.
        held = self.hold
        start = max(self.read, self.skip)
        full = self._recorded - self._noted >= _BLOCKS
        count = 0 if held or full else min(frames, self.written - start)
        self._copy(out, start, count)
        width = self.width
        at_byte, end = count * width, frames * width
        while at_byte < end:
            step = min(end - at_byte, len(self._quiet))
            out[at_byte : at_byte + step] = self._quiet[:step]
            at_byte += step
        if full:
            self.unnoted += frames
        else:
            place = self._recorded % _BLOCKS
            self._at[place] = at
            self._frames[place] = frames
            self._start[place] = start
            self._count[place] = count
            self._held[place] = held
            self._call[place] = self.begun
            self._recorded += 1
        self.read = start + count
        self.done += 1

    def _copy(self, out: memoryview, start: int, count: int) -> None:
        if count <= 0:
            return
        width = self.width
        place = start % self.frames
        first = min(count, self.frames - place)
        out[: first * width] = self._bytes[place * width : (place + first) * width]
        if first < count:
            out[first * width : count * width] = self._bytes[: (count - first) * width]

    # -- the runtime's thread ---------------------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """Frames that fit in now; more as the device reads on."""
        return self.frames - (self.written - self.read)

    def write(self, data: memoryview) -> None:
        """Put whole frames in, ``room`` at most."""
        count = len(data) // self.width
        assert count <= self.room
        width = self.width
        place = self.written % self.frames
        first = min(count, self.frames - place)
        self._bytes[place * width : (place + first) * width] = data[: first * width]
        if first < count:
            self._bytes[: (count - first) * width] = data[first * width :]
        self.written += count

    def blocks(self) -> list[Block]:
        """What the device took since the last call."""
        done = self._recorded
        found = []
        for number in range(self._noted, done):
            at = number % _BLOCKS
            held = bool(self._held[at])
            found.append(Block(self._at[at], self._frames[at], self._start[at], self._count[at], held, self._call[at]))
        self._noted = done
        return found


class InputRing:
    """Bytes on their way from a device. The device's callback writes, the runtime's thread reads.

    Where the runtime does not read, the newest is dropped: what is in the ring stays in one piece.
    """

    def __init__(self, frames: int, width: int) -> None:
        self.frames = frames
        self.width = width
        self._bytes = memoryview(bytearray(frames * width))
        # Written by the callback.
        self.written = 0
        """Frames that were put in."""
        self.done = 0
        """Calls that have ended."""
        self.xruns = 0
        """Calls that said the device had overrun before."""
        self.dropped = 0
        """Frames for which there was no room."""
        # Written by the runtime's thread.
        self.taken = 0
        """Frames that were read."""

    def put(self, data: memoryview, frames: int, at: float, xrun: bool) -> None:
        """The device's thread: the device heard this (``at``: nobody asks when)."""
        if xrun:
            self.xruns += 1
        width = self.width
        count = min(frames, self.frames - (self.written - self.taken))
        place = self.written % self.frames
        first = min(count, self.frames - place)
        self._bytes[place * width : (place + first) * width] = data[: first * width]
        if first < count:
            self._bytes[: (count - first) * width] = data[first * width : count * width]
        if count < frames:
            self.dropped += frames - count
        self.written += count
        self.done += 1

    def take(self) -> bytes:
        """The runtime's thread: everything that was heard since the last call, whole frames."""
        written, width = self.written, self.width
        place, count = self.taken % self.frames, written - self.taken
        first = min(count, self.frames - place)
        data = bytes(self._bytes[place * width : (place + first) * width])
        if first < count:
            data += bytes(self._bytes[: (count - first) * width])
        self.taken = written
        return data
