"""What a turn took: from the end of the user's speech to sound, from a barge-in to silence, in tools, in tokens.

A fold over the notices of each input, read when it is left, and over four facts that no notice tells. Nothing in the core
depends on it, and an audio delta costs it nothing.

A turn is what follows once the user has said something, or once the program
or the server has spoken up by itself: the responses from there to the next turn, with their tools. It is told when each of its
responses is done and each of its messages was heard or cut, no tool of it runs and no answer of ours is due, now or to the next
session, if there is to be one; where another turn has begun, without waiting for tools and answers. Turns may overlap so long,
and are told in any order.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rtcore._core import Core
from rtcore._effects import Effect
from rtcore._items import Response
from rtcore._notices import (
    ContextStale,
    IdleTimeout,
    McpCalled,
    McpCallEnded,
    MessageEnded,
    MessageStarted,
    Reconnected,
    RequestEnded,
    ResponseEnded,
    ResponseStarted,
    TextDelta,
    ToolCalled,
    ToolEnded,
    TurnCause,
    TurnOutcome,
    TurnReport,
    Underrun,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
    UserTurnCommitted,
    Verdict,
)
from rtcore.usage import Usage, response_usage, transcription_usage

_OPEN = 8
"""Turns that are not told yet. One more, and the oldest is told as it stands."""
_NAMED = 32
"""Responses that a report names; a turn of more tells how many there were."""
_CUT_OFF = ("cancelled", "incomplete")
"""The statuses of a response that did not come to its end and did not fail (F143)."""


class _Turn:
    """One turn, as far as it has come."""

    __slots__ = (
        "began_at",
        "calls",
        "calls_open",
        "cause",
        "cut_off",
        "estimated",
        "failed",
        "first_delta_at",
        "first_heard_at",
        "item_id",
        "named",
        "number",
        "open",
        "renewals",
        "responses",
        "silence_ms",
        "stale",
        "tool_s",
        "tool_since",
        "underruns",
        "unheard",
        "usage",
    )

    def __init__(self, number: int, cause: TurnCause, began_at: float) -> None:
        self.number = number
        self.cause: TurnCause = cause
        self.began_at = began_at
        self.item_id: str | None = None
        self.named: list[str] = []
        self.responses = 0
        self.open: dict[str, bool] = {}
        """Its responses of which something is still to come, or to be heard; and whether a message or a call came of it."""
        self.cut_off: str | None = None
        """Its last response, where that did not come to its end and nothing came of it."""
        self.first_delta_at: float | None = None
        self.first_heard_at: float | None = None
        self.silence_ms: int | None = None
        self.unheard = self.estimated = self.failed = False
        self.calls = self.calls_open = 0
        self.tool_since = self.tool_s = 0.0
        self.underruns = self.stale = self.renewals = 0
        self.usage = Usage()


class Reports:
    """Adds up what each turn took, and tells it once."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._turns: dict[int, _Turn] = {}
        self._current: _Turn | None = None
        self._of: dict[str, _Turn] = {}
        self._calls: dict[str, _Turn] = {}
        self._asked: dict[int, _Turn] = {}
        self._count = 0
        self._stopped_at: float | None = None
        """When the last words ended."""
        self._taken = False
        """Whether a turn that began there was committed: what is said without another beginning of speech ended elsewhere."""
        self._read = 0

    # -- what no notice tells ----------------------------------------------------------------------------------------------------

    def asked(self, cause: TurnCause, *, request: int = 0, item_id: str | None = None, apart: bool = False) -> None:
        """The program ends the user's turn ("speech"), speaks for the user ("text"), or wants an answer by itself ("program").
        The response to ``request`` belongs to the turn, whatever has begun by then. ``apart``: it sees nothing of the
        conversation, and what others belong to stays as it is.
        """
        if apart:
            current = self._current
            self._asked[request] = self._open(cause, self._core.now)
            self._current = current if current in self._turns.values() else None
            return
        if cause == "speech":
            self._spoken()
        elif cause == "text" or self._current is None:
            self._open(cause, self._core.now, item_id)
        if request and self._current is not None:
            self._asked[request] = self._current

    def first_audio(self, response_id: str) -> None:
        """The first delta of a part's audio."""
        turn = self._of.get(response_id)
        if turn is not None and turn.first_delta_at is None:
            turn.first_delta_at = self._core.now

    def used(self, response_id: str, usage: dict[str, Any]) -> None:
        """What a response had used of which the end, that had been presumed, came after all."""
        turn = self._of.get(response_id)
        if turn is not None:
            turn.usage += response_usage(usage)

    def silenced(self, responses: Iterable[Response], at: float, *, estimated: bool) -> None:
        """A cut of these is settled: by ``at``, nothing of them sounds any more. One that had been heard to its end was not
        silenced, whatever else was.
        """
        for response in responses:
            turn = self._of.get(response.id)
            unheard = any(item.verdict in (Verdict.PARTIAL, Verdict.SKIPPED) for item in response.items.values())
            if turn is not None and response.interrupted_at is not None and unheard:
                turn.silence_ms = max(turn.silence_ms or 0, _ms(at - response.interrupted_at))
                turn.estimated |= estimated

    # -- the fold ----------------------------------------------------------------------------------------------------------------

    def read(self, news: Sequence[Effect]) -> None:
        """Read what this input has told so far; a turn that is over by it is told behind it."""
        moved = False
        for at in range(self._read, len(news)):
            notice = news[at]
            reads = _READS.get(type(notice))
            if reads is not None:
                reads(self, notice)
            moved |= type(notice) is not TextDelta
        self._read = len(news)
        if moved and self._turns:
            self._look()

    def left(self) -> None:
        """The input has been left: its news are gone."""
        self._read = 0

    def end(self, news: Sequence[Effect]) -> None:
        """The session is over: every turn is told."""
        self.read(news)
        for turn in list(self._turns.values()):
            self._tell(turn)
        self._read = len(news)

    def _look(self) -> None:
        for turn in list(self._turns.values()):
            for response_id in [key for key in turn.open if self._is_over(key)]:
                came = turn.open.pop(response_id)
                if came and turn.cut_off == response_id:
                    turn.cut_off = None
            if turn.open or any(other is turn for other in self._asked.values()):
                continue
            settled = turn.responses and not turn.calls_open and not self._awaits_answer
            if turn is not self._current or settled:
                self._tell(turn)

    @property
    def _awaits_answer(self) -> bool:
        return self._core.creation.due or self._core.continuity.owes

    def _is_over(self, response_id: str) -> bool:
        response = self._core.responses.live.get(response_id)
        return response is None or (
            response.done and all(item.verdict is not None for item in response.items.values() if item.type == "message")
        )

    def _open(self, cause: TurnCause, began_at: float, item_id: str | None = None) -> _Turn:
        self._count += 1
        turn = self._current = self._turns[self._count] = _Turn(self._count, cause, began_at)
        turn.item_id = item_id
        if len(self._turns) > _OPEN:
            self._tell(next(iter(self._turns.values())))
        return turn

    def _tell(self, turn: _Turn) -> None:
        core = self._core
        if turn is self._current:
            self._current = None
        del self._turns[turn.number]
        self._of = {key: other for key, other in self._of.items() if other is not turn}
        self._calls = {key: other for key, other in self._calls.items() if other is not turn}
        self._asked = {key: other for key, other in self._asked.items() if other is not turn}
        self._count_tools(turn)
        late = core.clock.latency_ms if core.clock.reports else 0
        core.news.append(
            TurnReport(
                turn=turn.number,
                cause=turn.cause,
                outcome=_outcome(turn),
                item_id=turn.item_id,
                response_ids=tuple(turn.named),
                responses=turn.responses,
                began_at=turn.began_at,
                ended_at=core.now,
                to_first_delta_ms=_since(turn.began_at, turn.first_delta_at),
                to_first_heard_ms=_since(turn.began_at, turn.first_heard_at, late),
                to_silence_ms=None if turn.silence_ms is None else turn.silence_ms + late,
                clock_latency_ms=core.clock.latency_ms,
                estimated=turn.estimated,
                underruns=turn.underruns,
                tool_calls=turn.calls,
                tool_ms=_ms(turn.tool_s),
                renewals=turn.renewals,
                stale=turn.stale,
                usage=turn.usage,
            )
        )

    # -- the user ----------------------------------------------------------------------------------------------------------------

    def _speech_started(self, notice: UserSpeechStarted) -> None:
        self._stopped_at, self._taken = None, False

    def _speech_stopped(self, notice: UserSpeechStopped) -> None:
        if self._stopped_at is None:
            self._stopped_at = notice.at
        if notice.source == "server" and not self._core.acknowledged.transcribes:
            self._spoken()

    def _committed(self, notice: UserTurnCommitted) -> None:
        turn = self._current
        if self._core.acknowledged.transcribes or (turn is not None and turn.item_id == notice.item_id):
            return
        if turn is None or turn.item_id is not None or turn.cause != "speech":
            self._spoken()
        if self._current is not None:
            self._current.item_id = notice.item_id
        # Where another commit is under way, it may be what was said up to there.
        self._taken = not self._core.requests.keys("commit")

    def _spoken(self) -> None:
        """The user has said something. Where the last words were not committed and have no answer yet, these belong to them."""
        began_at = self._core.now if self._stopped_at is None or self._taken else self._stopped_at
        turn = self._current
        if turn is not None and turn.cause == "speech" and turn.item_id is None and not turn.responses:
            turn.began_at = began_at
        else:
            self._open("speech", began_at)

    def _idle(self, notice: IdleTimeout) -> None:
        turn = self._current
        if turn is not None and turn.item_id is not None and turn.item_id == notice.item_id:
            turn.cause, turn.began_at = "idle", self._core.now  # the silence was committed first
        else:
            self._open("idle", self._core.now, notice.item_id)

    def _transcript(self, notice: UserTranscript) -> None:
        for turn in self._turns.values():
            if turn.item_id == notice.item_id and notice.usage is not None:
                turn.usage += transcription_usage(notice.usage)

    # -- the answer --------------------------------------------------------------------------------------------------------------

    def _response_started(self, notice: ResponseStarted) -> None:
        response = self._core.responses.live.get(notice.response_id)
        if response is None or response.dead or response.out_of_band:
            return
        turn = self._asked.get(notice.request or 0) or self._current
        if turn is None:
            turn = self._open("server", self._core.now)
        turn.responses += 1
        if len(turn.named) < _NAMED:
            turn.named.append(notice.response_id)
        turn.open[notice.response_id] = False
        self._of[notice.response_id] = turn

    def _request_ended(self, notice: RequestEnded) -> None:
        self._asked.pop(notice.request, None)

    def _response_ended(self, notice: ResponseEnded) -> None:
        turn = self._of.get(notice.response_id)
        if turn is not None:
            turn.failed = notice.status == "failed"
            turn.cut_off = notice.response_id if notice.status in _CUT_OFF else None
            if notice.usage is not None:
                turn.usage += response_usage(notice.usage)

    def _text(self, notice: TextDelta) -> None:
        turn = self._of.get(notice.response_id)
        if turn is None or turn.first_delta_at is not None:
            return
        item = self._core.responses.items.get(notice.item_id)
        part = item.parts.get(notice.content_index) if item is not None else None
        if part is not None and part.kind == "text":  # the transcript of sound is not what is waited for
            turn.first_delta_at = self._core.now

    def _message_started(self, notice: MessageStarted) -> None:
        turn = self._of.get(notice.response_id)
        if turn is not None and turn.first_heard_at is None:
            turn.first_heard_at = notice.at

    def _message_ended(self, notice: MessageEnded) -> None:
        turn = self._of.get(notice.response_id)
        if turn is not None:
            turn.unheard |= notice.verdict in (Verdict.PARTIAL, Verdict.SKIPPED)
            self._came(turn, notice.response_id)

    def _came(self, turn: _Turn, response_id: str) -> None:
        if response_id in turn.open:
            turn.open[response_id] = True

    def _stale(self, notice: ContextStale) -> None:
        turn = self._of.get(notice.response_id) or self._current
        if turn is not None:
            turn.stale += 1

    def _reconnected(self, notice: Reconnected) -> None:
        for turn in self._turns.values():
            turn.renewals += 1

    def _underrun(self, notice: Underrun) -> None:
        turn = next((turn for turn in self._turns.values() if any(map(self._may_sound, turn.open))), None)
        if turn is not None:
            turn.underruns += 1

    def _may_sound(self, response_id: str) -> bool:
        """Whether a response can still be what the clock waits for: one that was cut is only open for its verdicts."""
        response = self._core.responses.live.get(response_id)
        return response is not None and not response.dead

    # -- tools -------------------------------------------------------------------------------------------------------------------

    def _called(self, call_id: str, response_id: str) -> None:
        turn = self._of.get(response_id)
        if turn is None:
            return
        self._came(turn, response_id)
        self._calls[call_id] = turn
        turn.calls += 1
        turn.calls_open += 1
        if turn.calls_open == 1:
            turn.tool_since = self._core.now

    def _answered(self, call_id: str) -> None:
        turn = self._calls.pop(call_id, None)
        if turn is not None:
            if turn.calls_open == 1:
                self._count_tools(turn)
            turn.calls_open -= 1

    def _count_tools(self, turn: _Turn) -> None:
        if turn.calls_open:
            turn.tool_s += max(0.0, self._core.now - turn.tool_since)


_READS: dict[type, Callable[[Reports, Any], None]] = {
    TextDelta: Reports._text,
    UserSpeechStarted: Reports._speech_started,
    UserSpeechStopped: Reports._speech_stopped,
    UserTurnCommitted: Reports._committed,
    UserTranscript: Reports._transcript,
    IdleTimeout: Reports._idle,
    ResponseStarted: Reports._response_started,
    ResponseEnded: Reports._response_ended,
    RequestEnded: Reports._request_ended,
    MessageStarted: Reports._message_started,
    MessageEnded: Reports._message_ended,
    ToolCalled: lambda self, notice: self._called(notice.call_id, notice.response_id),
    ToolEnded: lambda self, notice: self._answered(notice.call_id),
    McpCalled: lambda self, notice: self._called(notice.item_id, notice.response_id),
    McpCallEnded: lambda self, notice: self._answered(notice.item_id),
    ContextStale: Reports._stale,
    Underrun: Reports._underrun,
    Reconnected: Reports._reconnected,
}


def _outcome(turn: _Turn) -> TurnOutcome:
    if not turn.responses:
        return "unanswered"
    if turn.failed and turn.silence_ms is None:
        return "failed"
    cut_off = turn.cut_off is not None and not turn.open.get(turn.cut_off, False)
    return "interrupted" if turn.unheard or cut_off else "answered"


def _since(began_at: float, at: float | None, late_ms: int = 0) -> int | None:
    return None if at is None else _ms(at - began_at) + late_ms


def _ms(seconds: float) -> int:
    """Whole milliseconds, floored; what a float lacks by its rounding does not count."""
    return max(0, int(seconds * 1000 + 0.001))
