"""What a talk shows: notices, typed words and time in, lines and a status out. It knows no terminal and no runtime.

A line is a fact: who spoke, what was heard, where the model was cut. The status is the moment: the words that sound, as far as
they have been heard, and what is waited for. Words of the model appear as they are heard, never as they are generated, because
what runs ahead of the sound may never be heard at all.
"""

from functools import singledispatchmethod
from typing import Literal

from msgspec import Struct

from rtcore import (
    Cause,
    ClockFault,
    ContextStale,
    HeardText,
    HistoryItem,
    Interrupted,
    LoopLagged,
    MessageEnded,
    MessageStarted,
    MicrophoneDropped,
    Notice,
    Problem,
    ProtocolWarning,
    RequestEnded,
    ResponseEnded,
    ResponseStarted,
    ServerError,
    SessionClosed,
    SpeakingStarted,
    SpeakingStopped,
    ToolCalled,
    Underrun,
    UnknownEvent,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
    UserTranscriptDelta,
    UserTranscriptFailed,
    UserTurnCommitted,
    Verdict,
)

Who = Literal["you", "model", "tool", "warning", "talk"]
"""Whom a line is about; ``talk`` is the program itself."""

_PATIENCE_S = 20.0
"""How long an answer that never begins is waited for."""

_CUT_BY: dict[Cause, str] = {
    "device": "the sound device went away, and cut what was sounding",
    "overflow": "more sound waited than is held; the rest was cut",
}
_REASONS = {
    "refused": "the server refused the session",
    "lost": "the connection was lost",
    "fatal_error": "the server gave up",
    "not_acknowledged": "the server never acknowledged the session",
    "expired": "the session reached the server's limit",
}


class Line(Struct, frozen=True):
    """A line of the talk. ``at`` is seconds since it began; ``text`` may be printed as it is; ``unheard`` are words behind it
    that nobody heard."""

    at: float
    who: Who
    text: str
    unheard: str = ""


class Status(Struct, frozen=True):
    """The moment: who, and what. Where ``tail`` is set and there is no room for all of ``text``, its end is what counts."""

    who: Who
    text: str
    tail: bool = False


class Screen:
    """The state of a talk as it is shown. Times are ``now`` seconds of whatever clock the conversation runs on."""

    def __init__(self, *, began: float) -> None:
        self._began = began
        self._lines: list[Line] = []
        self._now = began
        self._user_since: float | None = None
        self._user_words = ""
        self._heard = ""  # of the message that sounds
        self._turn_ended: float | None = None
        self._barged: float | None = None
        self._typed = False  # the last turn, not spoken
        self._speaking = False
        self._awaiting: float | None = None
        self._told: set[int] = set()  # requests whose problem was shown
        self.sounding: str | None = None
        """The message that is being heard."""
        self.paused = False
        """Whether the sound is held."""
        self.changed = began
        """When something last happened."""
        self.failed = False
        """The session ended, and not because it was asked to."""
        self.over = False
        """The session ended."""

    def notice(self, notice: Notice, *, now: float) -> list[Line]:
        """What the conversation told, as lines."""
        self._now = now
        self._show(notice)
        return self._taken()

    def typed(self, text: str, *, now: float) -> list[Line]:
        """The user sends this text: it interrupts what sounds, and is a turn."""
        self._now = self.changed = self._turn_ended = self._awaiting = now
        self._typed = True
        if self._speaking:
            self._barged = now
        self._add("you", _quoted(text))
        return self._taken()

    def pause(self, paused: bool, *, now: float) -> list[Line]:
        """The sound is held, or goes on."""
        self._now, self.paused = now, paused
        self._add("talk", "the sound is held" if paused else "the sound goes on")
        return self._taken()

    def answered(self, item: HistoryItem, *, now: float) -> list[Line]:
        """A function call has its output."""
        self._now = now
        self._add("tool", f"answered {_words(item.output or '')}")
        return self._taken()

    def logged(self, text: str, *, now: float) -> list[Line]:
        """The library said something to whoever runs the program."""
        self._now = now
        self._warn(_words(text))
        return self._taken()

    def busy(self, *, now: float) -> bool:
        """Whether somebody speaks, or an answer is due."""
        waiting = self._awaiting is not None and now - self._awaiting < _PATIENCE_S
        return self._user_since is not None or self._speaking or waiting

    def status(self, *, now: float) -> Status:
        """The moment."""
        if self._user_since is not None:
            said = f": {_printable(self._user_words)}" if self._user_words else ""
            return Status("you", f"speak, {now - self._user_since:.1f} s{said}", tail=bool(said))
        if self._speaking:
            held = "(held) " if self.paused else ""
            return Status("model", f"{held}{_printable(self._heard) or 'speaks'}", tail=True)
        if self.paused:
            return Status("talk", "the sound is held; space lets it go on")
        if self._awaiting is not None and now - self._awaiting < _PATIENCE_S:
            return Status("model", f"answers soon; waited {now - self._awaiting:.1f} s")
        return Status("talk", "listening")

    # -- notices ------------------------------------------------------------------------------------------------------------

    @singledispatchmethod
    def _show(self, notice: Notice) -> None:
        """What is not named below is not shown."""

    def _add(self, who: Who, text: str, unheard: str = "") -> None:
        self._lines.append(Line(self._now - self._began, who, text, unheard))

    def _taken(self) -> list[Line]:
        lines, self._lines = self._lines, []
        return lines

    def _warn(self, text: str) -> None:
        self._add("warning", text)

    @_show.register
    def _(self, notice: UserSpeechStarted) -> None:
        if self._user_since is not None:
            return  # the server's detector and a local one notice the same
        self.changed = self._user_since = self._now
        self._user_words, self._typed = "", False
        self._turn_ended = None
        if self._speaking:
            self._barged = self._now
        self._add("you", "speak")

    @_show.register
    def _(self, notice: UserSpeechStopped) -> None:
        if self._user_since is not None:
            self._add("you", f"fall silent after {_seconds(self._now - self._user_since)}")
            self.changed = self._turn_ended = self._now
            self._user_since = None

    @_show.register
    def _(self, notice: UserTurnCommitted) -> None:
        self.changed = self._awaiting = self._now

    @_show.register
    def _(self, notice: UserTranscriptDelta) -> None:
        self._user_words += notice.delta

    @_show.register
    def _(self, notice: UserTranscript) -> None:
        self._user_words = ""
        self._add("you", _quoted(notice.text) if notice.text.strip() else "(no words)")

    @_show.register
    def _(self, notice: UserTranscriptFailed) -> None:
        self._user_words = ""
        self._warn(f"your words could not be written down: {_why(notice.problem)}")

    @_show.register
    def _(self, notice: ResponseStarted) -> None:
        self.changed = self._awaiting = self._now

    @_show.register
    def _(self, notice: ResponseEnded) -> None:
        self.changed, self._awaiting = self._now, None
        if notice.status in ("failed", "incomplete"):
            why = _why(notice.problem) if notice.problem is not None else _words(notice.reason or "no reason was given")
            self._warn(f"the answer {'failed' if notice.status == 'failed' else 'is incomplete'}: {why}")

    @_show.register
    def _(self, notice: SpeakingStarted) -> None:
        self.changed, self._awaiting, self._speaking = self._now, None, True
        waited = self._turn_ended
        self._turn_ended = None
        after = f" {_ms(notice.at - waited)} after {'your text' if self._typed else 'your turn'}" if waited is not None else ""
        self._add("model", f"speaks{after}")

    @_show.register
    def _(self, notice: MessageStarted) -> None:
        self.changed, self.sounding = self._now, notice.item_id
        self._heard = ""

    @_show.register
    def _(self, notice: HeardText) -> None:
        if notice.item_id == self.sounding:
            self._heard += notice.delta

    @_show.register
    def _(self, notice: SpeakingStopped) -> None:
        self.changed, self._speaking, self.sounding = self._now, False, None
        if self._barged is not None:
            self._add("model", f"silent {_ms(notice.at - self._barged)} after {'your text' if self._typed else 'you spoke'}")
            self._barged = None

    @_show.register
    def _(self, notice: MessageEnded) -> None:
        self.changed = self._now
        if self.sounding == notice.item_id:
            self.sounding = None
        text, full = notice.text, notice.full_text
        rest = full[len(text) :].strip() if full.startswith(text) else full
        about = "about " if notice.estimated else ""
        heard, of = _seconds(notice.heard_ms / 1000), _seconds(notice.received_ms / 1000)
        match notice.verdict:
            case Verdict.FULL:
                self._add("model", f"{_quoted(text)} ({heard})" if text.strip() else f"(no words, {heard})")
            case Verdict.PARTIAL:
                said = f"{_quoted(text)} " if text.strip() else ""
                self._add("model", f"{said}cut after {about}{heard} of {of}; not heard:", _quoted(rest) if rest else "(no words)")
            case Verdict.SKIPPED:
                self._add("model", "not heard at all:", _quoted(rest) if rest.strip() else "(no words)")
            case Verdict.TEXT:
                self._add("model", f"writes {_quoted(text)}")
        if notice.told == "record":
            self._warn("this server cannot be told what was not heard: its next answer may build on it")

    @_show.register
    def _(self, notice: Interrupted) -> None:
        if notice.cause in _CUT_BY:
            self._warn(_CUT_BY[notice.cause])

    @_show.register
    def _(self, notice: ToolCalled) -> None:
        self.changed = self._awaiting = self._now
        self._add("tool", f"{_words(notice.name)} called with {_words(notice.arguments)}")

    # -- what went wrong ----------------------------------------------------------------------------------------------------

    @_show.register
    def _(self, notice: ServerError) -> None:
        if notice.request is not None:
            self._told.add(notice.request)
        self._warn(f"the server says: {_why(notice.problem)}")

    @_show.register
    def _(self, notice: RequestEnded) -> None:
        if notice.outcome in ("failed", "timed_out") and notice.request not in self._told:
            self.changed, self._awaiting = self._now, None
            why = _why(notice.problem) if notice.problem is not None else "no reason was given"
            self._warn(f"what was asked {'failed' if notice.outcome == 'failed' else 'got no answer'}: {why}")
        self._told.discard(notice.request)

    @_show.register
    def _(self, notice: SessionClosed) -> None:
        self.over, self.failed = True, notice.reason != "closed"
        self._speaking, self._user_since, self._awaiting, self.sounding = False, None, None, None
        if self.failed:
            why = f": {_why(notice.problem)}" if notice.problem is not None else ""
            self._warn(_REASONS[notice.reason] + why)

    @_show.register
    def _(self, notice: ProtocolWarning) -> None:
        about = f" ({_words(notice.event_type)})" if notice.event_type else ""
        self._warn(f"{_words(notice.reason)}{about}")

    @_show.register
    def _(self, notice: UnknownEvent) -> None:
        self._warn(f"the server sent an event that is not known: {_words(notice.event_type)}")

    @_show.register
    def _(self, notice: ContextStale) -> None:
        self._warn("this answer was begun before the server knew what had not been heard")

    @_show.register
    def _(self, notice: Underrun) -> None:
        self._warn("the sound ran dry: it comes slower than it is heard")

    @_show.register
    def _(self, notice: ClockFault) -> None:
        self._warn(f"the loudspeaker: {_words(notice.reason)}")

    @_show.register
    def _(self, notice: MicrophoneDropped) -> None:
        self._warn(f"{_seconds(notice.dropped_ms / 1000)} of the microphone were dropped: {_words(notice.reason)}")

    @_show.register
    def _(self, notice: LoopLagged) -> None:
        self._warn(f"this program was held up for {notice.lag_ms} ms")


# -- words --------------------------------------------------------------------------------------------------------------------


def _printable(text: str) -> str:
    """One line without anything that a terminal would obey: the words are a stranger's."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _words(text: str, most: int = 300) -> str:
    shown = _printable(text)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _quoted(text: str) -> str:
    return f"“{_printable(text)}”"


def _why(problem: Problem) -> str:
    return " ".join(_words(part) for part in (f"{problem.message} [{problem.code}].", problem.remedy) if part)


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s"


def _ms(seconds: float) -> str:
    # What sounded may be told a moment after it did, and a notice be read a moment after that.
    return f"{max(0, round(1000 * seconds))} ms"
