"""Push-to-talk in a long call: each commit is a turn of the person's, whole and nothing else, and is sent before its answer is
asked for (invariants 8 and 15, B24, F087, F125).

The microphone runs all the time, and every frame of it can be told from every other, so that what a server would make a turn of
is compared with what was said while the button was down.
"""

from msgspec import Struct

from rtcore.sim._line_book import Book
from rtcore.sim._line_microphone import MicrophoneLog
from rtcore.sim._line_served import Served
from rtcore.sim._seen import ClientSeen

_PER_MS = 48
_BUFFER = 70_000 * _PER_MS
"""More than a turn may be, of what a server holds and has no turn of."""
_LATEST = 8
"""Turns that may still be said again."""
_MARK = "rtcore_request"
"""The metadata by which a request for an answer shows whose it is."""


class _Turn(Struct, eq=False):
    began: int
    ended: int | None = None
    request: int = 0
    sent_on: int = 0
    """The connection that it was committed on last."""
    known: bool = False
    """The session was told that a server has it."""
    over: bool = False
    """Its request is settled: nobody waits for it."""


class Button:
    """Owner of the turns between its presses."""

    def __init__(self, book: Book, microphone: MicrophoneLog) -> None:
        self._book = book
        self._microphone = microphone
        self._turns: list[_Turn] = []
        self._buffers: dict[int, bytearray] = {}

    @property
    def down(self) -> bool:
        """Whether the person holds it."""
        return bool(self._turns) and self._turns[-1].ended is None

    def pressed(self) -> None:
        """From here on it is a turn."""
        self._microphone.shown = True
        self._turns.append(_Turn(self._microphone.place))
        del self._turns[:-_LATEST]

    def released(self, request: int) -> None:
        """Up to here; ``request`` is for the answer."""
        turn = self._turns[-1]
        turn.ended, turn.request = self._microphone.place, request

    def line_lost(self) -> None:
        """The line of the present session is gone."""
        self._book.saw("lines: lost while the button was down", self.down)
        waits = any(turn.ended is not None and not (turn.known or turn.over) for turn in self._turns)
        self._book.saw("lines: lost before a turn of the button was committed", waits)

    def ended(self, request: int) -> None:
        """A request is settled."""
        for turn in self._turns:
            turn.over = turn.over or (bool(turn.request) and turn.request == request)

    def committed(self, connection: int) -> None:
        """The session was told that this server has the earliest turn that it was sent and had not."""
        for turn in self._turns:
            if turn.sent_on == connection and not turn.known:
                turn.known = True
                self._microphone.committed(turn.ended)
                return

    def under_way(self) -> int | None:
        """Where the earliest turn began that no server is known to have, and that the next is to hear."""
        return next((turn.began for turn in self._turns if not (turn.known or turn.over)), None)

    def earliest(self) -> int | None:
        """The same, whether its answer is waited for still or not: it may be told all the same."""
        return next((turn.began for turn in self._turns if not turn.known), None)

    # -- what the servers are sent -----------------------------------------------------------------------------------------------

    def appended(self, served: Served, audio: bytes) -> None:
        """Audio of the microphone."""
        buffer = self._buffers.setdefault(served.number, bytearray())
        buffer += audio
        del buffer[:-_BUFFER]

    def sent(self, served: Served, seen: ClientSeen) -> None:
        """Anything else."""
        if seen.type == "input_audio_buffer.clear":
            self._buffers.pop(served.number, None)
        elif seen.type == "input_audio_buffer.commit":
            self._commit(served, bytes(self._buffers.pop(served.number, b"")))
        elif seen.type == "response.create":
            self._asked(served, seen)

    def _commit(self, served: Served, audio: bytes) -> None:
        book = self._book
        for turn in self._turns:
            if turn.ended is not None and self._microphone.given(turn.began, turn.ended) == audio:
                break
        else:
            if not (self.down and self._microphone.given(self._turns[-1].began, self._microphone.place) == audio):
                book.fail(8, f"connection {served.number} is to make a turn of {len(audio) // _PER_MS} ms that are none")
                return
            turn = self._turns[-1]
        if turn.known or turn.sent_on == served.number:
            book.fail(2, f"connection {served.number} is told a turn of the button that a server has")
        book.saw("lines: a turn of the button said again", bool(turn.sent_on))
        turn.sent_on = served.number

    def _asked(self, served: Served, seen: ClientSeen) -> None:
        mark = ((seen.response or {}).get("metadata") or {}).get(_MARK)
        for turn in self._turns:
            if turn.request and str(turn.request) == mark and not turn.known and turn.sent_on != served.number:
                self._book.fail(15, f"connection {served.number} is asked for an answer to a turn that it has not heard")
