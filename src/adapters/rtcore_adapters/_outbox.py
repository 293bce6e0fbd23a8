"""What waits to be written, in the order in which it may go.

Three lanes, as ``rtcore.Send`` documents them. ``ordered`` keeps its place behind everything before it. ``urgent`` (cancel,
truncate, delete) overtakes waiting microphone audio, but never other control, and so never the audio in front of it: a commit
stays behind the audio that it commits. ``audio`` is dropped oldest first beyond its bound. Bytes are the measure of both bounds
(C30); pure, one per connection, emptied by one writer.
"""

from collections import deque

from rtcore import AudioFormat, Lane

MAX_AUDIO = 1_000_000
"""Microphone audio that may wait, in bytes of messages: about 15 s of PCM16 at 24 kHz. Older audio would answer to nothing."""

MAX_CONTROL = 64 * 1024 * 1024
"""Control messages that may wait, in bytes; four of the largest the server takes (15 MiB, protocol facts 1.9)."""


def audio_ms(message: bytes, format: AudioFormat) -> int:
    """Milliseconds of audio in a message of the audio lane: what its base64 text comes to. It reports a loss, it decides none."""
    text = message[message.rfind(b':"') + 2 : message.rfind(b'"')]
    return format.ms(len(text) * 3 // 4 // format.sample_width)


class _Waiting:
    """One message in the queue; ``payload`` becomes None where the audio in it was dropped."""

    __slots__ = ("audio", "payload")

    def __init__(self, payload: bytes, audio: bool) -> None:
        self.payload: bytes | None = payload
        self.audio = audio


class Outbox:
    """The queue of one connection. ``len`` is the number of messages that wait."""

    def __init__(self, *, max_audio: int = MAX_AUDIO, max_control: int = MAX_CONTROL) -> None:
        self._max_audio = max_audio
        self._max_control = max_control
        self._fixed: deque[_Waiting] = deque()  # up to and including the last control message: nothing overtakes in here
        self._tail: deque[_Waiting] = deque()  # audio behind it, which an urgent message may overtake
        self._audio: deque[_Waiting] = deque()  # all audio that waits, oldest first
        self.audio_bytes = 0
        """Bytes of audio messages that wait."""
        self.control_bytes = 0
        """Bytes of other messages that wait."""

    def __len__(self) -> int:
        return sum(entry.payload is not None for queue in (self._fixed, self._tail) for entry in queue)

    def __bool__(self) -> bool:
        return self.audio_bytes + self.control_bytes > 0

    def overfull(self, beside: int = 0) -> bool:
        """More control waits than ever should: the peer has stopped reading. Control is never dropped, so give up the line.

        ``beside`` is what waits elsewhere for the same socket, in bytes.
        """
        return self.control_bytes + beside > self._max_control

    def put(self, payload: bytes, lane: Lane = "ordered") -> list[bytes]:
        """Queue one message; gives back the audio messages that had to be dropped for it, oldest first."""
        if lane == "audio":
            entry = _Waiting(payload, audio=True)
            self._tail.append(entry)
            self._audio.append(entry)
            self.audio_bytes += len(payload)
            return self._drop()
        if lane == "ordered":
            self._fixed.extend(self._tail)
            self._tail.clear()
        self._fixed.append(_Waiting(payload, audio=False))
        self.control_bytes += len(payload)
        return []

    def pop(self) -> bytes | None:
        """The next message to write, or None."""
        for queue in (self._fixed, self._tail):
            while queue:
                entry = queue.popleft()
                if entry.payload is None:
                    continue
                if entry.audio:
                    self._audio.popleft()
                    self.audio_bytes -= len(entry.payload)
                else:
                    self.control_bytes -= len(entry.payload)
                return entry.payload
        return None

    def drop_audio(self) -> list[bytes]:
        """Give up all audio that waits, because the line is about to be closed."""
        return self._drop(0)

    def _drop(self, bound: int | None = None) -> list[bytes]:
        limit = self._max_audio if bound is None else bound
        dropped: list[bytes] = []
        while self.audio_bytes > limit:
            entry = self._audio.popleft()
            assert entry.payload is not None  # what was dropped or written has left this queue
            self.audio_bytes -= len(entry.payload)
            dropped.append(entry.payload)
            entry.payload = None
        for queue in (self._fixed, self._tail):
            while queue and queue[0].payload is None:  # a line that stands still must not collect the shells
                queue.popleft()
        return dropped
