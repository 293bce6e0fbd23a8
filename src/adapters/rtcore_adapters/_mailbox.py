"""Notices on their way to the program, which may listen late, slowly or never.

The pump puts, the program takes, and neither waits for the other. Facts (what was said, heard, cut, answered) are never lost:
there are a few per turn, so a session of an hour stays small. Streams are: pieces of text that wait side by side become one
piece, losses of microphone audio side by side one sum, and beyond a bound the diagnostics that nobody reads are dropped, oldest
first, and counted.
"""

import threading
from collections import deque

from msgspec.structs import replace

from rtcore import (
    HeardText,
    LoopLagged,
    MicrophoneDropped,
    Notice,
    OutOfBandAudio,
    PolicyFailed,
    ProtocolWarning,
    RateLimitsUpdated,
    RawEvent,
    TextDelta,
    ToolArguments,
    Underrun,
    UnknownEvent,
    UnknownFields,
    UserTranscriptDelta,
)

MAX_WAITING = 2_000
"""Notices that may wait before streams and diagnostics give way."""

MAX_AUDIO = 16 * 1024 * 1024
"""Bytes of out-of-band audio that may wait: about six minutes of PCM16 at 24 kHz."""

_STREAMS = (HeardText, TextDelta, ToolArguments, UserTranscriptDelta)
_DIAGNOSTICS = (
    PolicyFailed,
    ProtocolWarning,
    RateLimitsUpdated,
    Underrun,
    UnknownEvent,
    UnknownFields,
    RawEvent,
    MicrophoneDropped,
    LoopLagged,
)


class _Waiting:
    """One notice in the queue, or several pieces of one stream; ``notice`` becomes None where it was dropped."""

    __slots__ = ("more", "notice")

    def __init__(self, notice: Notice) -> None:
        self.notice: Notice | None = notice
        self.more: list[str] = []  # further pieces, joined once at the end: appending text to text would be quadratic


class Mailbox:
    """The queue between one session and one program. ``dropped`` counts the notices that nobody took in time."""

    def __init__(self, *, max_waiting: int = MAX_WAITING, max_audio: int = MAX_AUDIO) -> None:
        self._max_waiting = max_waiting
        self._max_audio = max_audio
        self._queue: deque[_Waiting] = deque()
        self._expendable: deque[_Waiting] = deque()  # those of the queue that may be dropped, oldest first
        self._audio: deque[_Waiting] = deque()  # those that hold out-of-band audio
        self._audio_bytes = 0
        self._waiting = 0
        self.dropped = 0

    def __len__(self) -> int:
        return self._waiting

    def put(self, notice: Notice) -> None:
        """Queue a notice; never waits, never refuses."""
        if isinstance(notice, _STREAMS) and self._queue:
            last = self._queue[-1]
            if _one_stream(last.notice, notice):
                last.more.append(notice.delta)
                if isinstance(last.notice, HeardText) and isinstance(notice, HeardText):
                    last.notice = replace(last.notice, estimated=notice.estimated)  # the end is exact, so all of it is
                return
        if isinstance(notice, MicrophoneDropped) and self._queue:
            last = self._queue[-1]
            if isinstance(last.notice, MicrophoneDropped) and last.notice.reason == notice.reason:
                last.notice = MicrophoneDropped(last.notice.dropped_ms + notice.dropped_ms, notice.reason)
                return
        entry = _Waiting(notice)
        self._queue.append(entry)
        self._waiting += 1
        if isinstance(notice, OutOfBandAudio):
            self._audio.append(entry)
            self._audio_bytes += len(notice.pcm)
            while self._audio_bytes > self._max_audio:
                self._drop(self._audio.popleft())
        elif isinstance(notice, (*_STREAMS, *_DIAGNOSTICS)):
            self._expendable.append(entry)
        while self._waiting > self._max_waiting and self._expendable:
            self._drop(self._expendable.popleft())
        if len(self._queue) > 2 * max(self._waiting, self._max_waiting):  # mostly shells of what was dropped
            self._queue = deque(entry for entry in self._queue if entry.notice is not None)

    def take(self) -> Notice | None:
        """The oldest notice that waits, or None."""
        while self._queue:
            entry = self._queue.popleft()
            notice = entry.notice
            if notice is None:
                continue
            self._waiting -= 1
            if isinstance(notice, OutOfBandAudio):
                self._audio.popleft()
                self._audio_bytes -= len(notice.pcm)
            elif self._expendable and self._expendable[0] is entry:
                self._expendable.popleft()
            return _joined(notice, entry.more)
        return None

    def _drop(self, entry: _Waiting) -> None:
        if isinstance(entry.notice, OutOfBandAudio):
            self._audio_bytes -= len(entry.notice.pcm)
        self._waiting -= 1
        self.dropped += 1
        entry.notice = None


class SharedMailbox(Mailbox):
    """A mailbox into which one thread puts and from which others take."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def put(self, notice: Notice) -> None:
        """Queue a notice."""
        with self._lock:
            super().put(notice)

    def take(self) -> Notice | None:
        """The oldest notice that waits, or None."""
        with self._lock:
            return super().take()


def _one_stream(one: Notice | None, other: Notice) -> bool:
    """Whether two pieces of text are pieces of one stream."""
    match one, other:
        case TextDelta(), TextDelta():
            return (one.item_id, one.content_index, one.response_id) == (other.item_id, other.content_index, other.response_id)
        case ToolArguments(), ToolArguments():
            return (one.item_id, one.call_id) == (other.item_id, other.call_id)
        case HeardText(), HeardText():
            return (one.item_id, one.content_index) == (other.item_id, other.content_index)
        case UserTranscriptDelta(), UserTranscriptDelta():
            # Each piece has its own logprobs; the text of several would not say whose they are.
            plain = not (one.logprobs or other.logprobs)
            return plain and (one.item_id, one.content_index) == (other.item_id, other.content_index)
        case _:
            return False


def _joined(notice: Notice, more: list[str]) -> Notice:
    if not more:
        return notice
    match notice:
        case TextDelta(response_id, item_id, content_index, delta):
            return TextDelta(response_id, item_id, content_index, "".join([delta, *more]))
        case HeardText(response_id, item_id, content_index, delta, estimated):
            return HeardText(response_id, item_id, content_index, "".join([delta, *more]), estimated)
        case ToolArguments():
            return replace(notice, delta="".join([notice.delta, *more]))
        case UserTranscriptDelta(item_id, content_index, delta):
            return UserTranscriptDelta(item_id, content_index, "".join([delta, *more]))
        case _:
            return notice
