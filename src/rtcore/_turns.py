"""Who has the floor: what the server's turn detection, a local detector and a button say about the user.

While a person speaks, and until the server has answered a turn that it answers by itself, no answer of ours is created unasked:
it would race with the server's own (C16).

The server's word and what is known here are kept apart. A button that is down is down, whatever the server says of its buffer
meanwhile: it clears it because the button went down, and commits the turn before late. A local detector's speech ends by its own
word, or with the turn that it became.
"""

from collections import deque
from math import inf, isfinite
from typing import Any

from rtcore._core import Core
from rtcore._errors import problem
from rtcore._items import Item
from rtcore._notices import (
    DtmfReceived,
    IdleTimeout,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
    UserTranscriptDelta,
    UserTranscriptFailed,
    UserTranscriptSegment,
    UserTurnCommitted,
)
from rtcore._recent import keep_latest
from rtcore._wire import (
    BufferCommitted,
    SpeechStarted,
    SpeechStopped,
    TranscriptionCompleted,
    TranscriptionDelta,
    TranscriptionFailed,
    TranscriptionSoFar,
)
from rtcore._wire_other import DtmfEvent, TimeoutTriggered, TranscriptionSegment
from rtcore.usage import confidence

_HERE = "end of speech heard on this side"
_SPEECH_S = 60.0
"""Speech whose end is never told does not hold up answers for longer (F127)."""
_ANSWER_S = 2.0
"""A server that answers turns by itself creates the response within this time of the turn's end, or not at all."""
_HEARD_AGAIN_S = 3.0
"""So long a server may take to notice the turn that it is told again after a lost connection."""
_EARLY_ITEMS = 64
"""Items not announced yet whose words are kept."""
_REMEMBERED = 64
"""Committed turns whose commit is recognised when it is told again."""


class Turns:
    """Owner of: who may speak?"""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._speaking = False
        self._awaiting_server = False
        self._pressed = self._detected = False
        self.made = False
        """The program made a turn (committed, typed, recognised) without asking for its answer, and none has begun since."""
        self._unanswered = False
        self.automatic_turns = 0
        """Turns that were left to the server."""
        self._owed: deque[float] = deque(maxlen=_REMEMBERED)
        self._spoke_on_at = -inf
        self.early_words: dict[str, Item] = {}
        self._committed: dict[str, None] = {}
        self._unfinished = False
        self._unfinished_at = 0.0

    # -- another connection ------------------------------------------------------------------------------------------------------

    def line_lost(self) -> bool:
        """The server that heard the user is gone. Gives whether it owed a turn an answer."""
        owed = self._unanswered  # however long ago: a line that went dead without a word is noticed late
        self._owed.clear()
        self._unanswered = False
        self.early_words.clear()
        self._floor(speaking=False, awaiting=False)
        return owed

    @property
    def unfinished(self) -> bool:
        """Whether the user began a turn that is not committed."""
        return self._unfinished

    def forget_overdue(self) -> None:
        """Who began longer ago than speech may last is not said again to another server (F087, F127)."""
        if self._unfinished and self._core.now >= self._unfinished_at + _SPEECH_S:
            self._unfinished = self._core.microphone.in_turn = False

    def go_on(self) -> None:
        """Another server is about to hear the turn that was not finished: the user has the floor until it says so, or has had the
        time to."""
        if self._unfinished:
            self._floor(speaking=True, awaiting=False)
            self._core.timers.set("end of the user's speech", self._core.now + _HEARD_AGAIN_S)

    @property
    def user_has_the_floor(self) -> bool:
        """Whether a person speaks, or the server is about to answer them, or to commit their turn, which is answered here."""
        return self._speaking or self._awaiting_server or self._pressed or self._detected or self._core.barge_in.pending

    @property
    def automatic(self) -> int:
        """Creations by the server itself, one per turn, of which nothing was seen yet and that may still come: a person who
        speaks on makes a server drop its creation without a word.
        """
        core = self._core
        while self._owed and self._owed[0] <= core.now - core.config.timeouts.create_ms / 1000:
            self._owed.popleft()
        return len(self._owed)

    @property
    def refusable(self) -> int:
        """Those of them that a response may have stood in the way of: one that was due before a person whose speech silences
        every response spoke on was refused by none that came since.
        """
        return sum(at > self._spoke_on_at for at in self._owed) if self.automatic else 0

    def started(self, event: SpeechStarted) -> None:
        """The server heard a person begin: an interruption, unless nothing can be heard."""
        core = self._core
        if core.acknowledged.server_interrupts:
            self._spoke_on_at = core.now
        if not self._unfinished:
            core.microphone.begins(_ms(event.audio_start_ms))
        self._unfinished = core.microphone.in_turn = True
        self._unfinished_at = core.now
        self._floor(speaking=True, awaiting=False)
        core.news.append(UserSpeechStarted(event.item_id, audio_start_ms=_ms(event.audio_start_ms), at=core.now))
        core.barge_in.started("server", event.item_id)

    def stopped(self, event: SpeechStopped) -> None:
        """The server heard the end; the commit follows, or nothing does: what is due otherwise waits for it, to be answered with
        the turn."""
        core = self._core
        if self._speaking:
            self._here(detected=False)
            self._floor(speaking=False, awaiting=True)
        core.news.append(UserSpeechStopped(event.item_id, audio_end_ms=_ms(event.audio_end_ms), at=core.now))
        core.barge_in.stopped(event.item_id)

    def committed(self, event: BufferCommitted) -> None:
        """The turn became an item. Where the server does not answer turns by itself, we do (DESIGN 4).

        Told twice, it is still one turn: a second answer would be one too many (F115).
        """
        core = self._core
        if event.item_id in self._committed:
            return
        self._committed[event.item_id] = None
        keep_latest(self._committed, _REMEMBERED)
        found = core.acknowledged.detects_turns or self._unfinished
        self._unfinished = False
        pending = core.requests.take_first("commit")
        core.continuity.turn_committed(event.item_id, pending, found=found)
        if pending is not None:
            # Counted from when it was sent: what was appended since belongs to the next turn.
            core.requests.end(pending.request, "done", item_id=event.item_id)
        elif found:
            core.microphone.committed()
            self._here(detected=False)
        core.news.append(UserTurnCommitted(event.item_id))
        core.idle.touched()
        wanted = core.config.answer_turns and pending is None and self._answered_here
        by_program = pending.event_id if pending is not None else ""
        decided_elsewhere = core.barge_in.committed(event.item_id, answer=wanted, by_program=by_program)
        if not core.acknowledged.detects_turns:
            self._floor(speaking=False, awaiting=False)
        elif core.acknowledged.server_creates and pending is None:
            self._unanswered = True
            core.creation.server_answers()
            self._owed.append(core.now)
            self.automatic_turns += 1
            self._floor(speaking=False, awaiting=True)
        elif core.acknowledged.transcribes or wanted or (self._awaiting_server and not core.acknowledged.server_creates):
            self._floor(speaking=False, awaiting=False)
            if wanted and not decided_elsewhere:
                core.creation.ask_answer()
        core.creation.pump()

    @property
    def _answered_here(self) -> bool:
        """Whether turns are found by the server, and answered by nobody but us."""
        acknowledged = self._core.acknowledged
        return acknowledged.detects_turns and not (acknowledged.server_creates or acknowledged.transcribes)

    def cleared(self) -> None:
        """The server's buffer is empty."""
        core = self._core
        self._unfinished = False
        pending = core.requests.take_first("clear")
        if pending is not None:
            core.requests.end(pending.request, "done")
        else:
            core.microphone.committed()
        self._floor(speaking=False, awaiting=False)
        core.barge_in.cleared()
        core.creation.pump()

    def answered(self, *, by_server: bool) -> None:
        """A response runs. The server's own is for the earliest turn that it owes one."""
        self.made = False
        self._unanswered = by_server and self.automatic > 0
        if self._awaiting_server:
            self._floor(speaking=False, awaiting=False)

    def automatic_seen(self) -> None:
        """What became of one of the server's own creations is known."""
        if self.automatic:
            self._owed.pop()  # the youngest: one that was dropped is given up in its own time

    def server_could_not_answer(self) -> None:
        """The server's own creation failed because a response ran (facts 8.2, T/F): the turn is answered when the slot frees."""
        core = self._core
        self.automatic_seen()
        if self._unanswered and core.config.answer_turns:
            self._unanswered = False
            if self._awaiting_server:  # a person who speaks again keeps the floor
                self._floor(speaking=False, awaiting=False)
            core.creation.ask_answer()
            core.creation.pump()

    def said(self, item_id: str, text: str, *, respond: bool) -> None:
        """A recogniser of the program's own heard a turn: it counts like one that the server committed."""
        core = self._core
        self._committed[item_id] = None
        keep_latest(self._committed, _REMEMBERED)
        core.reports.asked("speech")
        decided_elsewhere = core.barge_in.said(item_id, text, answer=respond)
        core.news.append(UserTurnCommitted(item_id))
        core.news.append(UserTranscript(item_id, 0, text))
        core.idle.touched()
        self._here(detected=False)
        self._floor(speaking=False, awaiting=False)
        if respond and not decided_elsewhere:
            core.creation.ask_answer(frozenset({item_id}))

    def pressed(self) -> None:
        """The button is down: the model is silent, and what was said before is no part of the turn."""
        core = self._core
        self._here(pressed=True)
        core.barge_in.pressed()
        core.news.append(UserSpeechStarted(None, "local", at=core.now))

    def released(self) -> None:
        """The button is up."""
        self._core.news.append(UserSpeechStopped(None, "local", at=self._core.now))
        self._here(pressed=False, detected=False)

    def found_by_server(self) -> None:
        """From here on the server finds the turns: a button that is down can be let go of no more."""
        if self._pressed:
            self._core.microphone.release()
            self._here(pressed=False)

    def ended_here(self) -> None:
        """The program says that the turn is over: a detector that told of its beginning alone holds up nothing."""
        self._here(detected=False)

    def interrupted_by_program(self) -> None:
        """Who interrupts says what comes next: should the server turn out not to have answered the turn, we do not (C12)."""
        self._unanswered = False

    def floor_overdue(self) -> None:
        """Nobody said how the turn ended."""
        self._unfinished = False
        self._core.microphone.in_turn = False
        self._floor(speaking=False, awaiting=False)
        self._core.creation.pump()

    def _floor(self, *, speaking: bool, awaiting: bool) -> None:
        self._speaking, self._awaiting_server = speaking, awaiting
        timers = self._core.timers
        if self._speaking:
            timers.set("end of the user's speech", self._core.now + _SPEECH_S)
        elif self._awaiting_server:
            # One that leaves the answer to us has committed by when speech counts as having become no turn.
            none_s = self._core.config.barge_in.false_interruption_ms / 1000
            wait_s = _ANSWER_S if self._core.acknowledged.server_creates else none_s
            timers.set("end of the user's speech", self._core.now + wait_s)
        else:
            timers.cancel("end of the user's speech")

    def _here(self, *, pressed: bool | None = None, detected: bool | None = None) -> None:
        """What is known of the user on this side; None: as before."""
        self._pressed = self._pressed if pressed is None else pressed
        self._detected = self._detected if detected is None else detected
        timers = self._core.timers
        if pressed or detected:
            timers.set(_HERE, self._core.now + _SPEECH_S)
        elif not (self._pressed or self._detected):
            timers.cancel(_HERE)

    def here_overdue(self) -> None:
        """Nobody said how the turn that a button or a local detector began has ended."""
        self._here(pressed=False, detected=False)
        self._core.creation.pump()

    def local(self, event: str) -> None:
        """A detector on this side heard something."""
        core = self._core
        self._here(detected=event == "started")
        if event == "started":
            core.news.append(UserSpeechStarted(None, "local", at=core.now))
            core.barge_in.started("local", None)
        else:
            core.news.append(UserSpeechStopped(None, "local", at=core.now))
            core.barge_in.stopped(None)
            core.creation.pump()

    # -- what the user said ------------------------------------------------------------------------------------------------------

    def transcript_delta(self, event: TranscriptionDelta) -> None:
        """A piece of the user's words, at any time after the commit (F103)."""
        if event.delta:
            self._item(event.item_id).part(event.content_index).add_text(event.delta)
        logprobs = _objects(event.logprobs)
        self._core.news.append(UserTranscriptDelta(event.item_id, event.content_index, event.delta or "", logprobs))
        self._core.barge_in.spoke(event.item_id, event.delta or "")

    def transcript_so_far(self, event: TranscriptionSoFar) -> None:
        """The user's words so far, whole each time: what is new of them is a piece (facts 14).

        Words that it takes back have been told and stay so; from there on it is the complete transcript that says it right.
        """
        part, words = self._item(event.item_id).part(event.content_index), event.transcript or ""
        told = part.text
        if not part.final and words != told and words.startswith(told):
            self.transcript_delta(TranscriptionDelta(event.item_id, event.content_index, words[len(told) :]))

    def transcript_completed(self, event: TranscriptionCompleted) -> None:
        """The user's words, complete. Some servers repeat it (facts 14)."""
        part = self._item(event.item_id).part(event.content_index)
        part.finish_text(event.transcript or "")
        if part.text.strip():  # a transcript without a word says nothing of the turn: its sound does
            self._core.continuity.words_known(event.item_id)
        logprobs = _objects(event.logprobs)
        languages = tuple(event.languages) if isinstance(event.languages, list) else ()
        usage = event.usage if isinstance(event.usage, dict) else None
        if usage is not None:
            self._core.accounts.transcription(event.item_id, usage)
        text, sure = event.transcript or "", confidence(logprobs)
        self._core.news.append(UserTranscript(event.item_id, event.content_index, text, sure, logprobs, languages, usage))
        self._core.barge_in.spelt(event.item_id, text)

    def transcript_segment(self, event: TranscriptionSegment) -> None:
        """A stretch of the user's words by one speaker; the whole transcript comes apart."""
        start, end = _seconds(event.start), _seconds(event.end)
        self._core.news.append(
            UserTranscriptSegment(event.item_id, event.content_index, event.id, event.text, event.speaker, start, end)
        )

    def idle(self, event: TimeoutTriggered) -> None:
        """Nobody spoke for so long: the server speaks up. Its items and its response are announced like any others."""
        self._core.news.append(IdleTimeout(event.item_id, _ms(event.audio_start_ms), _ms(event.audio_end_ms)))

    def dtmf(self, event: DtmfEvent) -> None:
        """A key of the caller's telephone."""
        self._core.news.append(DtmfReceived(event.event, _seconds(event.received_at)))

    def _item(self, item_id: str) -> Item:
        """The user's item; its words may come before its announcement."""
        item = self._core.history.get(item_id) or self.early_words.get(item_id)
        if item is None:
            item = self.early_words[item_id] = Item(item_id, "message", "user", None)
            keep_latest(self.early_words, _EARLY_ITEMS)
        return item

    def transcript_failed(self, event: TranscriptionFailed) -> None:
        """The user's words could not be had; nothing waits for them (F116)."""
        error = event.error
        told = problem(
            str(error.code) if error is not None and error.code else None,
            self._core.scrub((error.message if error is not None else None) or "the transcription failed"),
            None,
            (error.type if error is not None else None) or "",
        )
        self._core.news.append(UserTranscriptFailed(event.item_id, event.content_index, told))
        self._core.barge_in.spelt(event.item_id, None)


def _ms(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) else None


def _objects(value: object) -> tuple[dict[str, Any], ...]:
    return tuple(each for each in value if isinstance(each, dict)) if isinstance(value, list) else ()
