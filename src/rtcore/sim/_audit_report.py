"""What the core says that a turn took, against the world's own clocks: nobody can improve what is measured wrongly.

Held of every ``TurnReport``: it comes once for each response, when it says; it begins where the client was told that the user had
ended; the first delta is the first that arrived, the first heard sample the first audible one, silence what the clock answered;
and underruns, stale responses and the time of functions are those that there were.
"""

from collections.abc import Mapping
from typing import Any

from rtcore._clock import Clock
from rtcore._notices import (
    ContextStale,
    McpCalled,
    McpCallEnded,
    MessageEnded,
    Notice,
    ResponseEnded,
    ResponseStarted,
    ToolCalled,
    ToolEnded,
    TurnReport,
    UserTurnCommitted,
    Verdict,
)
from rtcore.sim._ledger import Ledger, ResponseRecord
from rtcore.sim._seen import ServerSeen
from rtcore.sim.speaker import MILLISECOND

_SECOND = 1_000_000_000
_SLACK_MS = 2
"""A crystal's drift between two reports, and what floats and whole milliseconds round."""
_NAMED = 32
_RECENT = 8
_UNHEARD = frozenset({Verdict.PARTIAL, Verdict.SKIPPED})
_WRITTEN = "response.output_text.delta"
_DELTAS = ("response.output_audio.delta", _WRITTEN)
READ: frozenset[type[Notice]] = frozenset(
    {
        ContextStale,
        McpCallEnded,
        McpCalled,
        MessageEnded,
        ResponseEnded,
        ResponseStarted,
        ToolCalled,
        ToolEnded,
        TurnReport,
        UserTurnCommitted,
    }
)
"""The notices of which ``told`` has to be told."""


class ReportAudit:
    """Owner of: did a turn take what it is said to have taken?"""

    def __init__(self, ledger: Ledger, clock: Clock, used: Mapping[str, Mapping[str, Any]], *, exact: bool) -> None:
        """``used``: by response, what the server said was used. ``exact``: the clock's words are true, so that the audible signal
        is what the core has to come to.
        """
        self._ledger = ledger
        self._clock = clock
        self._used = used
        self._exact = exact and clock.reports and not ledger.remote
        self._late_ms = clock.latency_ms if clock.reports else 0
        self._ends: set[int] = set()
        """When a turn of the user's ended, as the client was told it or told itself."""
        self._stopped: dict[str, int] = {}
        self._said: list[int] = []
        """The ends that were no commit, from the last one before the last turn that was committed on."""
        self._begins: dict[str, tuple[int, ...]] = {}
        """By the item of a turn: where it may begin."""
        self._first: dict[str, int] = {}
        self._begun: dict[str, bool] = {}
        """Responses that were told to have begun, and whether a report has named them."""
        self._calls: dict[str, list[tuple[str, int]]] = {}
        self._closed: dict[str, int] = {}
        self._stale: dict[str, int] = {}
        self._underruns: dict[str, int] = {}
        self._dry: list[int] = []
        self._verdicts: dict[str, set[Verdict]] = {}
        self._statuses: dict[str, str] = {}
        """How the responses ended, in the order in which they did."""

    # -- what happens --------------------------------------------------------------------------------------------------------

    def arrived(self, message: ServerSeen) -> None:
        """A message reaches the client."""
        now, kind = self._ledger.now, message.type
        if kind in _DELTAS and message.response_id:
            record = self._ledger.responses.get(message.response_id)
            if kind == _WRITTEN and record is not None and record.dead:
                return  # what is written in an answer that was cut is not told, and nobody has waited for it
            self._first.setdefault(message.response_id, now)
        elif kind == "input_audio_buffer.speech_stopped":
            self.ends_turn(now)
            self._stopped.setdefault(message.item_id or "", now)
        elif kind == "input_audio_buffer.committed":
            self._ends.add(now)

    def ends_turn(self, now: int) -> None:
        """The program, or a detector of its own, says that the user has ended a turn."""
        self._ends.add(now)
        self._said.append(now)

    def runs_dry(self) -> None:
        """The clock says that it has run dry."""
        ledger = self._ledger
        self._dry.append(ledger.now)
        alive = [each for each in ledger.alive.values() if each.audible]
        if len(alive) == 1 and not (alive[0].out_of_band or alive[0].done or alive[0].dead):
            self._underruns[alive[0].id] = self._underruns.get(alive[0].id, 0) + 1

    def output(self, call_id: str) -> None:
        """The output of a call leaves the core."""
        self._closed.setdefault(call_id, self._ledger.now)

    def told(self, notice: Notice) -> None:
        """The core says one of ``READ``."""
        match notice:
            case TurnReport():
                self._report(notice)
            case ResponseStarted(out_of_band=False):
                self._begun.setdefault(notice.response_id, False)
            case MessageEnded():
                self._verdicts.setdefault(notice.response_id, set()).add(notice.verdict)
            case ResponseEnded():
                self._statuses.setdefault(notice.response_id, notice.status)
            case ContextStale():
                self._stale[notice.response_id] = self._stale.get(notice.response_id, 0) + 1
            case UserTurnCommitted(item_id=item_id):
                # At the latest end, or one since the turn before; or with its commit, where nobody said that it had ended.
                self._begins.setdefault(item_id, (*self._said, self._ledger.now))
                del self._said[:-1]
            case ToolCalled():
                self._calls.setdefault(notice.response_id, []).append((notice.call_id, self._ledger.now))
            case McpCalled():
                self._calls.setdefault(notice.response_id, []).append((notice.item_id, self._ledger.now))
            case ToolEnded():
                self._closed.setdefault(notice.call_id, self._ledger.now)
            case McpCallEnded():
                self._closed.setdefault(notice.item_id, self._ledger.now)
            case _:
                pass

    def closed(self) -> None:
        """The session is over."""
        for response_id, reported in self._begun.items():
            record = self._ledger.responses.get(response_id)
            if not reported and record is not None and not record.dead:
                self._ledger.fail(6, f"{response_id} is in no turn's report")

    # -- the report ----------------------------------------------------------------------------------------------------------

    def _report(self, report: TurnReport) -> None:
        if report.responses > _NAMED:
            return
        ledger = self._ledger
        for response_id in report.response_ids:
            if self._begun.get(response_id) is not False:
                ledger.fail(6, f"turn {report.turn} names {response_id}, which has not begun, or is in another report")
            self._begun[response_id] = True
        records = [ledger.responses[each] for each in report.response_ids if each in ledger.responses]
        began, ended = round(report.began_at * _SECOND), round(report.ended_at * _SECOND)
        if abs(ended - ledger.now) > _SLACK_MS or report.responses != len(report.response_ids):
            self._wrong(report, "its end, or its number of responses")
        self._check_beginning(report, began)
        self._check_delta(report, began)
        if self._exact:
            self._check_heard(report, records, began)
            self._check_silence(report, records)
        self._check_counts(report, records, began)
        self._check_tools(report, ended)

    def _wrong(self, report: TurnReport, what: str) -> None:
        self._ledger.fail(6, f"the report of turn {report.turn} ({report.cause}, {report.outcome}) is wrong about {what}")

    def _check_beginning(self, report: TurnReport, began: int) -> None:
        if report.cause != "speech":
            return
        stopped = self._stopped.get(report.item_id or "")
        if stopped is not None and abs(stopped - began) > MILLISECOND:
            self._wrong(report, f"the end of the user's speech: {report.began_at:.3f} s, not {stopped / _SECOND:.3f} s")
        elif not any(abs(began - end) < MILLISECOND for end in self._begins.get(report.item_id or "", self._ends)):
            self._wrong(report, f"the end of the user's speech: nothing ended at {report.began_at:.3f} s")

    def _check_delta(self, report: TurnReport, began: int) -> None:
        came = [self._first[each] for each in report.response_ids if each in self._first]
        expected = max(0, (min(came) - began + 1) // MILLISECOND) if came else None
        # On a call nothing is heard by the audio that comes here.
        if not self._ledger.remote and not _same(report.to_first_delta_ms, expected, 1):
            self._wrong(report, f"the first delta: {report.to_first_delta_ms} ms, not {expected} ms")

    def _check_heard(self, report: TurnReport, records: list[ResponseRecord], began: int) -> None:
        sounded = [s for record in records for s in record.segments if s.heard]
        if any(segment.inexact for segment in sounded) or any(i.guessed for r in records for i in r.items.values()):
            return
        told = report.to_first_heard_ms
        if told is None:
            if sounded:
                self._wrong(report, "the first heard sample: there was one")
            return
        if not sounded:
            self._wrong(report, "the first heard sample: there was none")
            return
        true_ms = max(0, (min(segment.begun_at for segment in sounded) - began) // MILLISECOND)
        latest = true_ms + self._late_ms + 2 * self._clock.report_ms + _SLACK_MS
        for record in records:
            flush = record.cut.flush if record.cut is not None else None
            if flush is not None and flush.answered_at is not None:
                latest += (flush.answered_at - flush.asked_at) // MILLISECOND  # the first word of its sound may be that answer
        # Of what sounded for less than the clock takes between two words, or ran dry, it may tell later still.
        first = min(sounded, key=lambda segment: segment.begun_at)
        heard_ms = self._ledger.ms(first.heard)
        gaps = (self._ledger.matcher.until(first) - first.begun_at) // MILLISECOND > heard_ms + _SLACK_MS
        short = gaps or heard_ms < 2 * self._clock.report_ms
        if told < true_ms - _SLACK_MS or (told > latest and not short):
            self._wrong(report, f"the first heard sample: {told} ms, not {true_ms} ms")

    def _check_silence(self, report: TurnReport, records: list[ResponseRecord]) -> None:
        if report.estimated:
            return
        told = report.to_silence_ms
        cuts = [record for record in records if record.cut is not None]
        if told is None:
            return
        # What had sounded to its end when it was flushed, the client may take for cut; and what began without response.created,
        # for what was interrupted before it began.
        if not cuts and not any(record.dead or record.heard_out or record.doubtful for record in records):
            self._wrong(report, "silence: nothing of it was cut")
        elif not any(self._verdicts.get(record.id, set()) & _UNHEARD for record in records):
            self._wrong(report, f"silence: {told} ms, and all of it was heard")
        if not cuts:
            return
        latest = 0
        by_name = {id(record.cut.flush) for record in cuts if record.cut is not None and record.cut.cause == "program"}
        for record in cuts:
            assert record.cut is not None
            flush = record.cut.flush
            # Sound that is flushed for a pause already is silent with that.
            answers = [flush] if flush is not None else self._ledger.flushes[-_RECENT:]
            if any(each.answered_at is None and record.cut.at <= each.asked_at + self._ledger.allowance for each in answers):
                return  # .. and where that had no answer in time, with the end of the wait for it
            latest = max(latest, *(each.answered_at - record.cut.since for each in answers if each.answered_at is not None), 0)
            if not any(each.asked_at >= record.cut.since and id(each) not in by_name for each in answers):
                # All that sounded was heard, or cut by name, while the voice was put to the test.
                latest = max(latest, record.cut.at - record.cut.since)
            if not self._verdicts.get(record.id, set()) & _UNHEARD:
                continue  # what sounded to its end before the device stopped was not silenced
            for segment in record.segments:
                still = self._ledger.matcher.until(segment) - record.cut.since if segment.heard else 0
                if still // MILLISECOND > told + _SLACK_MS:
                    sounded = f"it sounded for {still // MILLISECOND} ms"
                    self._wrong(report, f"silence: {told} ms after it was interrupted, and {sounded}")
        if told > latest // MILLISECOND + self._late_ms + _SLACK_MS:
            self._wrong(report, f"silence: {told} ms, and the clock answered in {latest // MILLISECOND} ms")

    def _check_counts(self, report: TurnReport, records: list[ResponseRecord], began: int) -> None:
        stale = sum(self._stale.get(each, 0) for each in report.response_ids)
        if report.stale < stale:
            self._wrong(report, f"stale responses: {report.stale}, not {stale}")
        least = sum(self._underruns.get(record.id, 0) for record in records)
        first = min((record.begun_at for record in records if record.begun_at >= 0), default=self._ledger.now)
        most = sum(at >= min(began, first) for at in self._dry)
        if not least <= report.underruns <= most:
            self._wrong(report, f"underruns: {report.underruns}, not {least} to {most}")
        cut = any(self._verdicts.get(r.id, set()) & _UNHEARD for r in records) or self._cut_off(report)
        used = sum(int(self._used.get(each, {}).get("output_tokens") or 0) for each in report.response_ids)
        if report.usage.output_tokens != used:
            self._wrong(report, f"what was used: {report.usage.output_tokens} tokens, not {used}")
        if (report.outcome == "unanswered") != (not report.responses):
            self._wrong(report, "whether it was answered")
        elif report.outcome in ("answered", "interrupted") and cut != (report.outcome == "interrupted"):
            self._wrong(report, "whether it was interrupted")

    def _cut_off(self, report: TurnReport) -> bool:
        """Whether the last response did not come to its end, and no message and no call came of it."""
        named = report.response_ids
        last = next((each for each in reversed(self._statuses) if each in named), None) if named else None
        if last is None or self._statuses[last] not in ("cancelled", "incomplete"):
            return False
        return last not in self._verdicts and last not in self._calls

    def _check_tools(self, report: TurnReport, ended: int) -> None:
        calls = [call for each in report.response_ids for call in self._calls.get(each, ())]
        if report.tool_calls != len(calls):
            self._wrong(report, f"its functions: {report.tool_calls}, not {len(calls)}")
        open_for, until = 0, 0
        for call_id, since in sorted(calls, key=lambda call: call[1]):
            end = min(self._closed.get(call_id, ended), ended)
            open_for += max(0, end - max(since, until))
            until = max(until, end)
        if abs(report.tool_ms - open_for // MILLISECOND) > _SLACK_MS:
            self._wrong(report, f"the time of its functions: {report.tool_ms} ms, not {open_for // MILLISECOND} ms")


def _same(told: int | None, expected: int | None, slack: int) -> bool:
    return told == expected or (told is not None and expected is not None and abs(told - expected) <= slack)
