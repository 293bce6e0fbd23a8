"""A telephone line as a clock: whole frames out, marks back when the audio before them has been played.

Media streams of telephone companies (Twilio's, Telnyx's and their likes) play what they are sent from a queue of their own, at
their own speed. They tell where they stand by marks alone, which come back over a network: late, all at once because the queue
was cleared, twice, or never. So the count of this speaker is the last mark that came back while its audio could still sound;
what lies between that mark and the truth is declared, and the core puts its estimate there (F019).

Everything this speaker believes of the far side's queue is one number: when it will have been played out (``_end``).
"""

from collections import deque
from collections.abc import Callable

from msgspec import Struct

from rtcore import PCMU, AudioFormat, Clock
from rtcore_adapters.audio._converter import Converter
from rtcore_adapters.audio._g711 import silence
from rtcore_adapters.audio._interface import SpeakerReports

FRAME_MS = 20
"""A frame of telephone audio. Lines stumble over parts of one (F160)."""
_FRAME_S = FRAME_MS / 1000
_HAIR = 1e-6  # seconds: sums of floats may fall just short of the instant they mean
_MARKS = 64  # outstanding beyond those that the lead needs; a line that never answers makes older ones be forgotten
_AHEAD_MS, _AHEAD_UNCLEARED_MS = 1000, 200


class _Mark(Struct, gc=False):
    """A mark on its way: behind which audio it stands."""

    name: str
    generation: int
    samples: int
    """Of the generation, in the handed-over format: what has been played when it comes back."""
    at: int
    """In frames of the line, from its beginning."""
    settles: int = 0
    """The flush that it answers; 0: none."""


class _Flushing(Struct, gc=False):
    """A flush that is not answered yet: its answer, and when it is given without word from the line."""

    generation: int
    samples: int
    due: float


class _Stream:
    """One generation on its way to the line."""

    __slots__ = ("converter", "drained", "marked", "number", "sent", "waiting")

    def __init__(self, number: int, source: AudioFormat, line: AudioFormat) -> None:
        self.number = number
        self.converter = Converter(source, line)
        self.waiting = bytearray()  # in the line's format
        self.sent = 0  # samples of the line, padding not counted
        self.marked = 0  # of these, those that a mark stands behind
        self.drained = False

    @property
    def samples(self) -> int:
        """What was sent, in samples of the handed-over format."""
        return self.converter.source_samples(self.sent)


class MarksSpeaker:
    """A ``Speaker`` on a telephone's media stream.

    The program gives three callables, which send in order: ``media(payload)`` one frame of 20 ms in ``format``, ``mark(name)``,
    and ``clear()``, or None where the line cannot drop what it has. It calls ``marked(name)`` whenever a mark comes back, for
    whatever reason.

    ``mark_ms`` of audio lie between two marks (rounded up to whole frames). ``ahead_ms`` is how much audio the far side holds at
    most (default: 1000; 200 where it cannot be cleared, because all of it is heard after a flush). ``round_trip_ms`` is the
    longest time from a message to the line until its answer: it is declared, and a flush whose answer takes longer is answered
    without. Audio in another format is converted and counted as it was handed over; for that, another rate needs ``soxr``.

    Of a flush that clears the line, what was played is known to the last mark only: ``Clock.answer_ms`` declares how far behind
    the truth that may be. Marks that the clear sends back are no sound. The line cannot pause.
    """

    def __init__(
        self,
        media: Callable[[bytes], object],
        mark: Callable[[str], object],
        clear: Callable[[], object] | None,
        *,
        format: AudioFormat = PCMU,
        mark_ms: int = 100,
        ahead_ms: int | None = None,
        round_trip_ms: int = 250,
    ) -> None:
        if not FRAME_MS <= mark_ms <= 1000:
            raise ValueError(f"mark_ms={mark_ms}: between {FRAME_MS} and 1000")
        if ahead_ms is None:
            ahead_ms = _AHEAD_UNCLEARED_MS if clear is None else _AHEAD_MS
        if not 2 * FRAME_MS <= ahead_ms <= 60 * 1000:
            raise ValueError(f"ahead_ms={ahead_ms}: between {2 * FRAME_MS} and 60000")
        if not 0 <= round_trip_ms <= 5000:
            raise ValueError(f"round_trip_ms={round_trip_ms}: between 0 and 5000")
        if format.rate * FRAME_MS % 1000:
            raise ValueError(f"format={format}: {FRAME_MS} ms of it are not whole samples")
        self.stale_marks = 0
        """Marks that came back and said nothing: twice, after a clear, or never sent by this speaker."""
        self.forgotten_marks = 0
        """Marks that were given up because a newer one came back first, or too many were on their way."""
        self._media, self._mark, self._clear = media, mark, clear
        self._format = format
        self._frame = format.samples(FRAME_MS)
        self._frame_bytes = self._frame * format.sample_width
        self._mark_frames = -(-mark_ms // FRAME_MS)
        self._mark_s = self._mark_frames * _FRAME_S
        self._most_marks = _MARKS + ahead_ms // (self._mark_frames * FRAME_MS)
        self._ahead_s = ahead_ms / 1000
        self._round_trip_s = round_trip_ms / 1000
        behind = self._mark_frames * FRAME_MS + round_trip_ms
        self._capabilities = Clock(
            pause=False,
            report_ms=behind,
            flush_latency_ms=round_trip_ms if clear else ahead_ms + FRAME_MS + round_trip_ms,
            answer_ms=behind if clear else 0,
        )
        self._reports: SpeakerReports | None = None
        self._closed = False
        self._lost = False
        self._advancing = False
        self._inbox: deque[str | None] = deque()  # names of marks that came back; None: the line is gone
        self._now = 0.0  # the latest that was told
        self._end = 0.0  # when the far side will have played what it was sent
        self._sent = 0  # frames
        self._unmarked = 0  # of these, since the last mark
        self._marked_at = 0.0
        self._dry = True
        self._streams: deque[_Stream] = deque()  # generations that are neither flushed nor past; the last is current
        self._marks: deque[_Mark] = deque()
        self._names = 0
        self._refused = 0  # generations up to this one are flushed: nothing of them is sent
        self._answered = 0  # and of these, all is told
        self._told: dict[int, int] = {}
        self._flushes: deque[_Flushing] = deque()

    # -- what the program calls ---------------------------------------------------------------------------------------------

    def marked(self, name: str) -> None:
        """A mark came back. Any name, at any time and on any thread, may be told; what it says is worked out here."""
        self._inbox.append(name)
        if self._reports is not None:
            self._reports.wake()

    def lost(self) -> None:
        """The call was hung up, or its socket was lost: nothing behind the last mark can be known to have sounded."""
        self._inbox.append(None)
        if self._reports is not None:
            self._reports.wake()

    # -- what an adapter calls ----------------------------------------------------------------------------------------------

    @property
    def capabilities(self) -> Clock:
        """No pause; counts as coarse as the marks, and as late as the line."""
        return self._capabilities

    @property
    def deadline(self) -> float | None:
        """When the next frame may go, the far side runs dry, or a flush is answered without word from it."""
        if self._closed or self._lost:
            return None
        due = [flush.due for flush in self._flushes]
        if self._sendable:
            due.append(self._end + _FRAME_S - self._ahead_s)
        elif not self._dry:
            due.append(self._dry_at)
        return min(due, default=None)

    def open(self, reports: SpeakerReports, *, now: float) -> None:
        """Ready. The line has to be, too: its callables may be called from now on."""
        if self._reports is not None:
            raise RuntimeError("this speaker was opened before: one speaker serves one conversation")
        self._reports, self._now, self._end = reports, now, now

    def play(self, pcm: bytes | memoryview, format: AudioFormat, generation: int, *, now: float) -> None:
        """Send it behind what waits, as far ahead as the line may be."""
        if generation <= self._refused or self._closed or self._lost:
            return
        if not self._streams or self._streams[-1].number != generation:
            self._end_streams(generation - 1)
            self._streams.append(_Stream(generation, format, self._format))
        stream = self._streams[-1]
        stream.drained = False
        stream.waiting += stream.converter.push(pcm)
        self._advance(now)

    def drain(self, generation: int, *, now: float) -> None:
        """Nothing more for now: the last frame is filled up with silence, and a mark stands behind it."""
        self._end_streams(generation)
        self._advance(now)

    def flush(self, generation: int, *, now: float) -> None:
        """Clear the line, and answer once it is known to be cleared; or send no more, and answer once the rest has sounded."""
        self._advance(now)
        if self._closed:
            return
        self._refused = max(self._refused, generation)
        told = self._told.get(generation, 0)
        sounding = self._may_sound(generation)
        old = [stream for stream in self._streams if stream.number <= generation]
        self._streams = deque(stream for stream in self._streams if stream.number > generation)
        self._dry = self._dry or not self._streams
        if not sounding:
            self._flushes.append(_Flushing(generation, told, now))
            self._answer_due(now)
        elif self._clear is not None:
            self._flushes.append(_Flushing(generation, told, now + self._round_trip_s))
            # What stands before the clear comes back because of it, or was played before: nobody can tell.
            self._marks = deque(mark for mark in self._marks if mark.generation > generation or mark.settles)
            self._end = now
            self._clear()
            # A mark behind it comes back at once, and says that the clear took effect.
            self._set_mark(generation, told, settles=generation)
        else:
            sent = max((stream.samples for stream in old if stream.number == generation), default=told)
            self._flushes.append(_Flushing(generation, sent, max(self._end, now) + self._round_trip_s))
            if any(stream.sent > stream.marked for stream in old):
                self._set_mark(generation, sent, settles=generation)
            else:
                self._marks[-1].settles = generation

    def pause(self, generation: int, *, now: float) -> None:
        """Never called: ``capabilities.pause`` is False."""
        raise RuntimeError("a telephone line cannot pause: capabilities.pause is False, so the core flushes and plays again")

    def resume(self, generation: int, *, now: float) -> None:
        """Never called, as ``pause``."""
        self.pause(generation, now=now)

    def tick(self, *, now: float) -> None:
        """Take the marks that came back, and send the frames that are due."""
        self._advance(now)

    def close(self, *, now: float) -> None:
        """Silence the line where it can be, and send nothing more."""
        if self._closed:
            return
        sounding = not self._lost and self._may_sound(max([0, *(stream.number for stream in self._streams)]))
        self._closed = True
        self._forget()
        if sounding and self._clear is not None:
            self._clear()

    # -- the passing of time ------------------------------------------------------------------------------------------------

    def _advance(self, now: float) -> None:
        if self._closed or self._reports is None or self._advancing:
            return  # what a report or the line's callables caused meanwhile is seen by the loops below
        self._now = now
        self._advancing = True
        try:
            while self._inbox:
                self._take(self._inbox.popleft(), now)
            self._answer_due(now)
            while self._sendable and self._end - now <= self._ahead_s - _FRAME_S + _HAIR:
                self._send(now)
            if not (self._dry or self._sendable) and now >= self._dry_at - _HAIR:
                self._run_dry()
        finally:
            self._advancing = False

    @property
    def _sendable(self) -> bool:
        """Whether a whole frame waits, or the last part of one."""
        return any(len(s.waiting) >= self._frame_bytes or (s.waiting and self._is_over(s)) for s in self._streams)

    def _is_over(self, stream: _Stream) -> bool:
        return stream.drained or stream is not self._streams[-1]

    def _send(self, now: float) -> None:
        stream = next(stream for stream in self._streams if stream.waiting)
        payload = bytes(stream.waiting[: self._frame_bytes])
        del stream.waiting[: self._frame_bytes]
        samples = len(payload) // self._format.sample_width
        stream.sent += samples
        self._sent += 1
        self._unmarked += 1
        self._dry = False
        self._end = max(self._end, now) + _FRAME_S
        ends = self._is_over(stream) and not stream.waiting
        self._media(payload + silence(self._format, self._frame - samples))
        if (ends or self._unmarked >= self._mark_frames) and stream.number > self._refused:
            self._mark_stream(stream)

    @property
    def _dry_at(self) -> float:
        """When the far side has played everything. A tail gets its mark then at the latest, and marks keep their distance."""
        return max(self._end, self._marked_at + self._mark_s)

    def _run_dry(self) -> None:
        self._dry = True
        stream = self._streams[-1]
        if stream.sent > stream.marked:
            self._mark_stream(stream)
        if not stream.drained and self._reports is not None:
            self._reports.underrun(stream.number)

    def _end_streams(self, generation: int) -> None:
        """Nothing more comes for now of the generations up to this one."""
        for stream in list(self._streams):
            if stream.number <= generation and not stream.drained:
                stream.drained = True
                stream.waiting += stream.converter.drain()
                if stream.sent > stream.marked and not stream.waiting:
                    self._mark_stream(stream)
        while len(self._streams) > 1 and not self._streams[0].waiting:
            self._streams.popleft()

    # -- marks and answers --------------------------------------------------------------------------------------------------

    def _may_sound(self, generation: int) -> bool:
        """Whether the far side may hold audio of a generation up to this one."""
        return any(mark.generation <= generation for mark in self._marks) or any(
            stream.sent > stream.marked for stream in self._streams if stream.number <= generation
        )

    def _mark_stream(self, stream: _Stream) -> None:
        stream.marked = stream.sent
        self._set_mark(stream.number, stream.samples)

    def _set_mark(self, generation: int, samples: int, *, settles: int = 0) -> None:
        self._names += 1
        self._unmarked = 0
        self._marked_at = self._now
        mark = _Mark(f"rtcore-{self._names}", generation, samples, self._sent, settles)
        self._marks.append(mark)
        if len(self._marks) > self._most_marks:
            self._marks.popleft()
            self.forgotten_marks += 1
        self._mark(mark.name)

    def _take(self, name: str | None, now: float) -> None:
        if self._lost:
            return
        if name is None:
            self._lost = True
            self._forget()
            if self._reports is not None:
                self._reports.device("lost")
        elif any(mark.name == name for mark in self._marks):
            self._take_mark(name, now)
        else:
            self.stale_marks += 1

    def _take_mark(self, name: str, now: float) -> None:
        while (mark := self._marks.popleft()).name != name:  # the line plays in order: what stood before was played, too
            self.forgotten_marks += 1
        # The far side's own pace: what was sent since lies before it, but for what it played while the answer was under way.
        rest = (self._sent - mark.at) * _FRAME_S
        self._end = min(max(self._end, now + rest - self._round_trip_s), now + rest)
        if mark.generation > self._answered and mark.samples > self._told.get(mark.generation, 0):
            self._told[mark.generation] = mark.samples
            if self._reports is not None:
                self._reports.played(mark.generation, mark.samples)
        for flush in self._flushes:
            if flush.generation <= mark.settles:
                flush.due = now
        self._answer_due(now)

    def _answer_due(self, now: float) -> None:
        """In the order in which they were asked for."""
        while self._flushes and self._flushes[0].due <= now + _HAIR:
            flush = self._flushes.popleft()
            self._answered = max(self._answered, flush.generation)
            for old in [generation for generation in self._told if generation <= flush.generation]:
                del self._told[old]
            if self._reports is not None:
                self._reports.flushed(flush.generation, flush.samples)

    def _forget(self) -> None:
        self._dry = True
        for queue in (self._streams, self._marks, self._flushes, self._inbox):
            queue.clear()
