"""What the server says about the user, and what is being said, as the program is told it: whose turn, which words.

Speech that starts and stops and a turn that is committed are told at once, with the item that the server named (invariant 3: the
program lays words to turns by it). Transcripts of the user and the text of the model are told as they come, whole and once, and
the history has the user's words where the server put them (invariant 11). How a response ended is told as the server told it: an
answer that stops in the middle has a reason (F143).
"""

from collections.abc import Callable, Sequence

from rtcore._items import HistoryItem
from rtcore._notices import (
    Notice,
    ResponseEnded,
    TextDelta,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
    UserTranscriptDelta,
    UserTranscriptFailed,
    UserTurnCommitted,
)
from rtcore.sim._ledger import ROUNDING, Ledger
from rtcore.sim._seen import ServerSeen
from rtcore.sim.speaker import MILLISECOND

_Told = tuple[type[Notice], str | None, str]
"""A notice as it is compared: its type, the item that it names, and its words."""

HEARD: frozenset[type[Notice]] = frozenset(
    {
        ResponseEnded,
        TextDelta,
        UserSpeechStarted,
        UserSpeechStopped,
        UserTranscript,
        UserTranscriptDelta,
        UserTranscriptFailed,
        UserTurnCommitted,
    }
)
"""The notices that this looks at."""
_PRESUMED = 10_000 * MILLISECOND
"""How long after the last of it a response whose end does not come is waited for (docs/decisions.md)."""
_WORDS = "conversation.item.input_audio_transcription"


class NewsAudit:
    """Owner of what is said about the user, and of the words on their way."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.owed: _Told | None = None
        """What the message that has just arrived has to make the session say."""
        self._ended: tuple[str, str, object, bool] | None = None
        """The response whose end has just arrived: its id, status and reason, and whether it had an error."""
        self._over: set[str] = set()
        self._words: dict[str, str] = {}
        self._complete: set[str] = set()
        self._committed: set[str] = set()
        self._recognised: list[tuple[type[Notice], str]] = []
        """What a turn in words, which the program has just told, makes the session say."""

    def arrived(self, message: ServerSeen) -> None:
        """A message reaches the client; the session gets it right after this."""
        self._ended = None
        if message.type == "response.done" and message.response is not None:
            body = message.response
            details = body.status_details if isinstance(body.status_details, dict) else {"reason": body.status_details}
            self._ended = body.id, body.status or "completed", details.get("reason"), "error" in details
            return
        reads = _READS.get(message.type)
        if reads is not None and message.item_id is not None:
            reads(self, message, message.item_id)

    def _text(self, message: ServerSeen, item_id: str) -> None:
        item = self._ledger.items.get(item_id)
        if item is not None and item.response.id == message.response_id and not item.response.dead:
            self.owed = TextDelta, item_id, message.delta or ""

    def _edge(self, message: ServerSeen, item_id: str) -> None:
        if message.type == "input_audio_buffer.committed":
            if item_id in self._committed:
                return  # told twice, and still one turn
            self._committed.add(item_id)
        self.owed = _EDGES[message.type], item_id, ""

    def _delta(self, message: ServerSeen, item_id: str) -> None:
        if item_id not in self._complete:
            self._words[item_id] = self._words.get(item_id, "") + (message.delta or "")
        self.owed = UserTranscriptDelta, item_id, message.delta or ""

    def _so_far(self, message: ServerSeen, item_id: str) -> None:
        """The words so far, whole each time: what is new of them is told (xAI, facts 14)."""
        words, told = message.transcript or "", self._words.get(item_id, "")
        if item_id not in self._complete and words != told and words.startswith(told):
            self._words[item_id] = words
            self.owed = UserTranscriptDelta, item_id, words[len(told) :]

    def _completed(self, message: ServerSeen, item_id: str) -> None:
        self._words[item_id] = message.transcript or ""
        self._complete.add(item_id)
        self.owed = UserTranscript, item_id, message.transcript or ""

    def _failed(self, message: ServerSeen, item_id: str) -> None:
        self.owed = UserTranscriptFailed, item_id, ""

    def recognised(self, text: str) -> None:
        """The program tells what its recogniser heard: it is told back as a turn, with its words."""
        self._recognised = [(UserTurnCommitted, ""), (UserTranscript, text)]

    def told(self, notice: Notice) -> None:
        """The session says one of ``HEARD``."""
        kind = type(notice)
        match notice:
            case ResponseEnded():
                self._response_ended(notice)
                return
            case TextDelta() | UserTranscriptDelta():
                said: _Told = kind, notice.item_id, notice.delta
            case UserTranscript():
                said = kind, notice.item_id, notice.text
            case (
                UserTurnCommitted()
                | UserTranscriptFailed()
                | UserSpeechStarted(source="server")
                | UserSpeechStopped(source="server")
            ):
                said = kind, notice.item_id, ""
            case _:
                return
        if said == self.owed:
            self.owed = None
            return
        if self._recognised and (kind, said[2]) == self._recognised[0]:
            del self._recognised[0]
            return
        owed, self.owed = self.owed, None
        why = f"the server's word was {_shown(owed)}" if owed is not None else "the server said nothing of the kind"
        self._ledger.fail(_invariant(kind), f"{_shown(said)} was told; {why}")

    def _response_ended(self, notice: ResponseEnded) -> None:
        ended, self._ended = self._ended, None
        if notice.response_id in self._over:
            self._ledger.fail(3, f"{notice.response_id} is told to have ended twice")
        self._over.add(notice.response_id)
        if ended is None or ended[0] != notice.response_id:
            self._presumed(notice.response_id)
            return
        told = notice.response_id, notice.status, notice.reason, notice.problem is not None
        if told != ended:
            self._ledger.fail(3, f"{told[0]} is told to have ended as {told[1:]}; the server said {ended[1:]}")

    def _presumed(self, response_id: str) -> None:
        """The core takes a response as over of which nobody said so: only after a silence, or where it was cut."""
        ledger = self._ledger
        response = ledger.responses.get(response_id)
        if response is None or response.done or response.dead:
            return
        if response.last_audio_at > ledger.now - _PRESUMED + ROUNDING:
            ledger.fail(3, f"{response_id} is told to have ended, and its audio still came")

    def check(self) -> None:
        """The session has dealt with the message, and something is still owed."""
        owed, self.owed = self.owed, None
        if owed is not None:
            self._ledger.fail(_invariant(owed[0]), f"{_shown(owed)} is what the server said, and the program was not told")

    def history(self, history: Sequence[HistoryItem]) -> None:
        """At the quiet end: the history has the user's words as they came."""
        for shown in history:
            words = self._words.get(shown.id)
            if words is not None and shown.full_text != words:
                self._ledger.fail(11, f"the user said {words!r} in {shown.id}; the history has {shown.full_text!r}")


def _invariant(kind: type[Notice]) -> int:
    return 3 if kind in _EDGES.values() else 11


def _shown(told: _Told) -> str:
    kind, item_id, words = told
    return f"{kind.__name__} {item_id} {words!r}" if words else f"{kind.__name__} {item_id}"


_EDGES: dict[str, type[Notice]] = {
    "input_audio_buffer.speech_started": UserSpeechStarted,
    "input_audio_buffer.speech_stopped": UserSpeechStopped,
    "input_audio_buffer.committed": UserTurnCommitted,
}
_READS: dict[str, Callable[[NewsAudit, ServerSeen, str], None]] = {
    "response.output_audio_transcript.delta": NewsAudit._text,
    "response.output_text.delta": NewsAudit._text,
    **dict.fromkeys(_EDGES, NewsAudit._edge),
    f"{_WORDS}.delta": NewsAudit._delta,
    f"{_WORDS}.updated": NewsAudit._so_far,
    f"{_WORDS}.completed": NewsAudit._completed,
    f"{_WORDS}.failed": NewsAudit._failed,
}
