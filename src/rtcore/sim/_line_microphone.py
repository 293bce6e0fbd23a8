"""The microphone of a long call against what each line is sent: in order, each sample once, and across a loss what is promised.

Every frame carries a trace of noise that never comes again, so that each byte on a line shows when it was given. A new line
begins ``carry_ms`` before it is there, for nobody knows since when the old one was dead, or behind the last turn that a server
had; where a turn was under way, with its beginning; and not much earlier (invariant 8; F087).
"""

from rtcore.sim._line_book import SECOND, Book
from rtcore.sim._line_served import Served
from rtcore.sim._rng import Rng

_PER_MS = 48
_WINDOW = 100_000 * _PER_MS
"""So much of what was given is kept."""
_TRACE = 16
"""Samples of a frame that carry its trace. A message holds a whole frame at least, so that its place shows."""
_TURN_MS = 60_000
"""``_microphone.TURN_MS``: so much of a turn is kept."""
_ROOM_MS = 700
"""A frame, a batch, and what is under way."""


class MicrophoneLog:
    """Owner of the audio that goes up."""

    def __init__(self, book: Book, rng: Rng, carry_ms: int, *, button: bool = False) -> None:
        """``button``: what is given between its presses may be left out; ``_line_button`` looks at what is not."""
        self._book = book
        self._rng = rng
        self._carry_ms = carry_ms
        self._button = button
        self.shown = not button
        """Whether the session can know what a turn is: until the button was used, all that it is given may be one."""
        self._given = bytearray()
        self._base = 0
        self._at: int | None = None
        self._left_at = 0
        self._back_at = 0
        self._turn: int | None = None
        self._earliest: int | None = None
        self._heard = 0

    @property
    def place(self) -> int:
        """So many bytes were given."""
        return self._base + len(self._given)

    def given(self, since: int, until: int) -> bytes:
        """What was given between these places."""
        return bytes(self._given[max(0, since - self._base) : max(0, until - self._base)])

    def frame(self, pcm: bytes) -> bytes:
        """The next frame, with its trace: the low bytes of its first samples are drawn, which is no sound."""
        marked = bytearray(pcm)
        marked[0 : 2 * _TRACE : 2] = self._rng.bits().to_bytes(8, "little") + self._rng.bits().to_bytes(8, "little")
        self._given += marked
        if len(self._given) > _WINDOW:
            cut = len(self._given) - _WINDOW * 3 // 4
            del self._given[:cut]
            self._base += cut
        return bytes(marked)

    def back(self, turn: int | None, earliest: int | None = None) -> None:
        """The session goes on; ``turn``: where a turn began that the old server had noticed and that was not finished;
        ``earliest``: where one began that may be told all the same."""
        self._left_at = self._at if self._at is not None else 0
        self._at, self._back_at, self._turn, self._earliest = None, self.place, turn, earliest

    def committed(self, until: int | None = None) -> None:
        """A server has made a turn of what it was sent (``until`` that place): that is not said again."""
        self._heard = self.place if until is None else until

    def sent(self, served: Served, audio: bytes) -> None:
        """An ``input_audio_buffer.append`` goes out."""
        if self._at is None:
            self._begin(served, audio)
        if self._at is not None:
            at = self._at - self._base
            if self._button:
                at = self._given.find(audio, at)
                self._at = at + self._base if at >= 0 else self._at
            if at < 0 or self._given[at : at + len(audio)] != audio:
                self._book.fail(8, f"microphone audio on connection {served.number} is not what comes next")
                self._at = None
                return
            self._at += len(audio)

    def _begin(self, served: Served, audio: bytes) -> None:
        found = self._given.rfind(audio)
        if found < 0:
            self._book.fail(8, f"connection {served.number} is sent audio that the microphone never gave")
            return
        self._at = at = found + self._base
        if not self._left_at:
            return
        room, carry = _ROOM_MS * _PER_MS, self._carry_ms * _PER_MS
        latest = max(self._heard, self._back_at - carry) if not self._button else self.place
        if self._turn is not None:
            latest = min(latest, max(self._turn, self._back_at - _TURN_MS * _PER_MS))
        if at > latest + room:
            lost = (at - latest) // _PER_MS
            what = "of a turn that was under way" if self._turn is not None else "that was not too old"
            self._book.fail(8, f"connection {served.number} is not sent {lost} ms of microphone audio {what}")
        if at < self._heard - room:
            repeated = (self._heard - at) // _PER_MS
            self._book.fail(8, f"connection {served.number} is sent {repeated} ms that a server has made a turn of")
        earliest = min(place for place in (self._turn, self._earliest, self._back_at) if place is not None) - carry
        if at < earliest - room and self.shown:
            self._book.fail(8, f"a burst: connection {served.number} is sent {(self._back_at - at) // _PER_MS} ms of old audio")

    def ms(self, place: int) -> int:
        """How long ago that was given, in milliseconds."""
        return (self.place - place) // _PER_MS


FRAME_MS = 40
"""Milliseconds of the microphone at a time."""
FRAME_NS = FRAME_MS * SECOND // 1000
"""The same as time."""
