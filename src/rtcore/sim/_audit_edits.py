"""What the server is told about a cut, against what was heard: invariants 4, 5 and 6.

The verdict of every cut message is worked out here once more, from the audible signal and from what had reached the client, and
compared with the truncates, the deletes and the notices of the core (DESIGN section 3, the table of verdicts).
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from rtcore._clock import Clock
from rtcore._items import HistoryItem
from rtcore._notices import MessageEnded, Verdict
from rtcore.sim._audit_reference import ReferenceAudit
from rtcore.sim._audit_text import TextAudit
from rtcore.sim._ledger import ROUNDING, Cut, Edit, ItemRecord, Ledger, ResponseRecord, Snapshot, Truncate
from rtcore.sim._seen import ClientSeen
from rtcore.sim._server_truth import ServerItem
from rtcore.sim.matching import Segment
from rtcore.sim.speaker import MILLISECOND, Loss

_UNANNOUNCED_DONE = 1_000 * MILLISECOND
"""An unheard item may be deleted so long after the cut, even if its response is not done (DESIGN section 3)."""
_PRESUMED = 10_000 * MILLISECOND
"""A response that was cut is taken as done so long after the last of it, where its end does not come (``timeouts.create_ms``)."""


class Expected(NamedTuple):
    """What the core owes the server for one message. ``nothing``: no edit at all; ``either``: too little is known to say."""

    edit: Literal["nothing", "truncate", "delete", "either"]
    verdict: Verdict | None = None
    content_index: int = 0
    audio_end_ms: int = 0


class EditAudit:
    """Owner of invariants 4, 5 and 6."""

    def __init__(
        self,
        ledger: Ledger,
        truth: Mapping[str, ServerItem],
        reference: ReferenceAudit | None,
        sound_ends: Mapping[int, int],
        *,
        own_index: bool,
        clock: Clock,
        buffer_ms: int,
        bound_ms: int,
        lies: bool,
        losses: Sequence[Loss] = (),
    ) -> None:
        """``losses``: of a device that may fall silent, every time that it was lost."""
        self._able = ledger.able
        self._ledger = ledger
        self._truth = truth
        self._own_index = own_index
        self._bound_ms = bound_ms
        self._reference = reference
        self.text = TextAudit(ledger, truth)
        self.lies = lies
        self._sound_ends = sound_ends
        self._losses = losses
        self._buffer_ms = buffer_ms
        self._declared = clock.flush_latency_ms * MILLISECOND

    # -- what the core sends -------------------------------------------------------------------------------------------------

    def truncate(self, message: ClientSeen, estimated: set[str]) -> None:
        """A truncate leaves the core."""
        ledger = self._ledger
        item = ledger.items.get(message.item_id or "")
        ms, index = message.audio_end_ms, message.content_index
        told = f"truncate of {message.item_id}[{index}] to {ms} ms"
        if type(ms) is not int or ms <= 0 or type(index) is not int:
            ledger.fail(4, f"{told}: audio_end_ms must be an integer above 0")
            return
        if self._able.truncate_acknowledged:
            ledger.edits.append(Edit("truncate", message.item_id or "", message.event_id, ledger.now))
        if item is None:
            ledger.fail(4, f"{told}: no such item has reached the client")
            return
        segment = self._truncated_segment(item, index if self._own_index else self.expected(item).content_index)
        if segment is None or not segment.received:
            ledger.fail(4, f"{told}: no audio of it has reached the client")
            return
        cut_by_estimate = item.response.heard_out and item.id in estimated
        if item.response.out_of_band or not (item.response.dead or cut_by_estimate):
            ledger.fail(5, f"{told}: nothing cut it")
        if item.id in estimated:
            item.estimated = True
        if self._reference is not None:
            self._reference.believe(item)
            if not item.guessed:
                self._reference.truncate(item, message)
        received, heard = self._received(item, segment), _heard(segment)
        if ms > ledger.ms(received):
            ledger.fail(4, f"{told}: only {ledger.ms(received)} ms had reached the client")
        truly = ledger.ms(min(heard, received))
        if item.guessed:
            self._estimated_error(item, ms - ledger.ms(min(segment.heard, received)))
        elif ms > truly:
            ledger.fail(4, f"{told}: only {truly} ms were heard")
        elif ms < truly:
            ledger.fail(5, f"{told}: {truly} ms were heard")
        if item.truncates:
            before = item.truncates[-1]
            if ms > before.audio_end_ms or index != before.content_index:
                ledger.fail(4, f"{told}: it had been told {before.audio_end_ms} ms of part {before.content_index} before")
            elif not item.late_audio and (
                item.done or item.repeated_unseen or ledger.now + ROUNDING < self._presumed_at(item.response)
            ):
                ledger.fail(5, f"{told}: told before, and no audio came since")
            elif not item.response.done and ledger.now + ROUNDING < self._presumed_at(item.response):
                ledger.fail(5, f"{told}: told again before the response was done")
            if item.late_audio:
                ledger.saw("C10: truncate repeated for late audio")
            item.repeated_unseen = not item.late_audio
        elif not item.guessed:
            self._record_error(item, ms - ledger.ms(min(segment.heard, received)), misled=heard != segment.heard)
        if index:
            ledger.saw("C23: a later content part truncated")
        item.truncates.append(Truncate(ledger.now, index, ms))
        item.late_audio = False

    def delete(self, message: ClientSeen, estimated: set[str], *, asked_by_program: bool) -> None:
        """A delete leaves the core."""
        ledger = self._ledger
        item = ledger.items.get(message.item_id or "")
        told = f"delete of {message.item_id}"
        if asked_by_program:
            return
        ledger.edits.append(Edit("delete", message.item_id or "", message.event_id, ledger.now))
        if item is None:
            ledger.fail(5, f"{told}: no item of the model's has that id")
            return
        item.deletes += 1
        if self._reference is not None:
            self._reference.believe(item)
        item.estimated = item.estimated or item.id in estimated
        response = item.response
        if item.deletes > 1:
            ledger.fail(5, f"{told}: deleted before")
        # A call that will never complete goes, whatever ended its response (DESIGN section 4), and so may what has no sample.
        empty = item.type == "function_call" or not any(segment.received for segment in item.segments)
        cut_by_estimate = response.heard_out and item.id in estimated
        if response.out_of_band or not (response.dead or cut_by_estimate or (empty and response.done)):
            ledger.fail(5, f"{told}: nothing cut it")
        if not item.announced:
            ledger.fail(5, f"{told}: it has not been announced")
        cut = response.cut
        if not response.done and ledger.now < response.dead_at + _UNANNOUNCED_DONE:
            ledger.fail(5, f"{told}: its response is not done, and the cut less than a second ago")
        flush = cut.flush if cut is not None else None
        waits = flush is not None and flush.waits and ledger.now < flush.asked_at + ledger.allowance - ROUNDING
        if waits and item.type == "message" and item.ended is None:
            ledger.fail(5, f"{told}: its flush is not settled")
        if item.type == "function_call":
            if item.called:
                ledger.fail(10, f"{told}: a function call that the program was given was deleted")
        elif self._able.heard == "rewrite":
            pass  # the words that were heard take its place
        elif not item.guessed and any(ledger.ms(_heard(segment)) for segment in item.segments):
            ledger.fail(5, f"{told}: {max(ledger.ms(_heard(s)) for s in item.segments)} ms of it were heard")
        elif item.shown_text:
            ledger.fail(5, f"{told}: its text was shown")

    def message_ended(self, notice: MessageEnded, eligible: bool) -> None:
        """A message got its verdict."""
        ledger = self._ledger
        item = ledger.items.get(notice.item_id)
        if item is None or item.type != "message":
            ledger.fail(6, f"MessageEnded for {notice.item_id}, which is no message of the model's")
            return
        if item.ended is not None:
            ledger.fail(6, f"{item.id} ended twice: {item.ended.verdict.value}, then {notice.verdict.value}")
            return
        if self._reference is not None:
            self._reference.believe(item)
            (self._reference.estimated if notice.estimated else self._reference.ended)(item, notice)
            self._reference.over(item)
        item.ended = notice
        item.ended_at = ledger.now
        for segment in item.segments:
            segment.dismissed = True
        if notice.estimated:
            if eligible:
                item.estimated = True
            else:
                ledger.fail(5, f"{item.id} is called estimated although the clock had answered")
        cut = item.response.cut
        if cut is not None and cut.interruption is not None:
            verdicts = cut.interruption.verdicts
            verdicts[notice.verdict.value] = verdicts.get(notice.verdict.value, 0) + 1
            if item.estimated:
                cut.estimated = True
        self.text.ended(item, notice)
        if item.response.audible:
            states = [self._snapshot(item, segment) for segment in item.segments]
            received = sum(ledger.ms(state.received) for state in states)
            surely = sum(ledger.ms(state.received - state.just) for state in states)
            if notice.received_ms not in (received, surely):
                ledger.fail(
                    6, f"{item.id} ended with received_ms {notice.received_ms}; {received} ms had arrived when it was cut"
                )
            if not item.guessed:
                self._check_verdict(item, notice)

    def _check_verdict(self, item: ItemRecord, notice: MessageEnded) -> None:
        ledger = self._ledger
        heard = [_heard(segment) for segment in item.segments]
        width = ledger.audio.sample_width
        expected = self.expected(item)
        what = f"{item.id} ended {notice.verdict.value}"
        allowed = expected.verdict is None or notice.verdict is expected.verdict
        if not allowed:
            received = [self._received(item, segment) for segment in item.segments]
            amounts = ", ".join(f"{h // width} of {r // width}" for h, r in zip(heard, received, strict=True)) or "no audio"
            name = expected.verdict.value if expected.verdict is not None else ""
            ledger.fail(6, f"{what}, but {amounts} samples were heard, which is {name}")
            return
        if notice.verdict is Verdict.TEXT:
            return
        clamped = [min(_heard(segment), self._received(item, segment)) for segment in item.segments]
        parts, joined = sum(map(ledger.ms, clamped)), ledger.ms(sum(clamped))
        # Each part of a full message may lack its last sample: either that of the sound, or that of the clock's report (B02).
        whole = sum(ledger.ms(self._received(item, segment)) for segment in item.segments)
        short = sum(ledger.ms(max(0, heard - width)) for heard in clamped)
        full = notice.verdict is Verdict.FULL and short <= notice.heard_ms <= whole
        if notice.heard_ms not in (parts, joined) and not full:
            ledger.fail(11, f"{what} with heard_ms {notice.heard_ms}, but {joined} ms were audible")

    def owed_delete(self) -> str | None:
        """A skipped item whose delete waits for the end of its response, less than a second after the cut."""
        ledger = self._ledger
        if not self._able.delete:
            return None
        for cut in ledger.recent:
            for response in cut.responses:
                if response.done or ledger.now >= response.dead_at + _UNANNOUNCED_DONE - ROUNDING or response.out_of_band:
                    continue
                for item in response.items.values():
                    skipped = item.ended is not None and item.ended.verdict is Verdict.SKIPPED
                    if skipped and item.announced and not (item.deletes or item.deleted or item.shown_text):
                        return item.id
        return None

    def history(self, history: Sequence[HistoryItem]) -> None:
        """At the quiet end: the history says what the notices said."""
        self.text.history(history)

    # -- checks --------------------------------------------------------------------------------------------------------------

    def expected(self, item: ItemRecord) -> Expected:
        """What the design owes this message, from what was heard and what had arrived when it was cut."""
        ledger = self._ledger
        if item.type != "message":
            return Expected("either")
        if not item.audio_parts:
            return Expected("nothing", Verdict.TEXT) if item.shown_text else Expected("either")
        # What the server has sent and the client has not seen does not count yet.
        states = [(s, self._snapshot(item, s)) for s in item.segments if s.content_index in item.audio_parts]
        width = ledger.audio.sample_width
        silent = item.audio_parts - {segment.content_index for segment in item.segments}
        whole = [state.complete and _heard(segment) >= state.received - width for segment, state in states]
        if not any(state.received for _, state in states) and item.audio_parts <= item.done_parts:
            cut = item.response.cut
            closed = not item.response.dead or (cut is not None and item.id in cut.closed_items)
            # Closed without a sample, and not by a cut: all of it was heard, or nothing of it.
            if closed:
                return Expected("either")
            return Expected("nothing" if item.shown_text else "delete", Verdict.SKIPPED)
        if all(whole) and not (silent - item.done_parts):
            cut = item.response.cut
            # Another part could still have come: who calls that partial is not wrong, and there is nothing to tell the server.
            return Expected("nothing", None if cut is not None and item.id in cut.open_items else Verdict.FULL)
        if not item.response.dead:
            return Expected("either")
        audible = [ledger.ms(min(_heard(segment), state.received)) for segment, state in states]
        for (segment, _), heard_ms, full in zip(states, audible, whole, strict=True):
            if heard_ms and not full:
                return Expected("truncate", Verdict.PARTIAL, segment.content_index, heard_ms)
        if any(audible):
            return Expected("nothing", Verdict.PARTIAL)  # the part that was not heard is left (DESIGN section 3)
        if item.shown_text:
            return Expected("nothing", Verdict.SKIPPED)
        return Expected("delete", Verdict.SKIPPED)

    def check(self, cut: Cut) -> None:
        """Invariant 5, for one cut: every item with unheard audio was truncated or deleted, and nothing else was."""
        cut.checked = True
        for response in cut.responses:
            self._note_pattern(response)
            for item in list(response.items.values()):
                self._check_item(item)
                for segment in item.segments:
                    self._note_edge(self._snapshot(item, segment), segment.heard)

    def _note_pattern(self, response: ResponseRecord) -> None:
        """Which of several messages was heard how far: the cases in which clients mistake one for another."""
        saw = self._ledger.saw
        ended = [item.ended.verdict for item in response.items.values() if item.ended is not None and item.segments]
        pairs = list(pairwise(ended))
        if (Verdict.PARTIAL, Verdict.SKIPPED) in pairs:
            saw("C02: heard in part, the next not at all")
        if (Verdict.FULL, Verdict.SKIPPED) in pairs:
            saw("B05: cut between two messages")
        if (Verdict.FULL, Verdict.PARTIAL) in pairs:
            saw("C03: the second heard in part, the first in full")
        if ended[:3] == [Verdict.FULL, Verdict.PARTIAL, Verdict.SKIPPED]:
            saw("S04: cut in the second of three messages")
        if ended == [Verdict.SKIPPED]:
            saw("C05: nothing heard of what was received")

    def _note_edge(self, state: Snapshot, heard: int) -> None:
        """Cuts on the very edges are what rounding errors need: they have to come up."""
        width = self._ledger.audio.sample_width
        if heard == width:
            self._ledger.saw("B03: cut after one sample")
        elif state.received and heard == state.received - width:
            self._ledger.saw("B02: cut one sample before the end")
        elif state.received and heard == state.received:
            self._ledger.saw("B20: cut at the very end")

    def _check_item(self, item: ItemRecord) -> None:
        ledger = self._ledger
        if item.type != "message" or item.response.out_of_band:
            return
        if self._able.heard != "truncate":
            self._check_ladder(item)
            return
        if item.guessed and item.ended is not None:
            self._check_estimated(item, item.ended)
            return
        expected = self.expected(item)
        told = [truncate.audio_end_ms for truncate in item.truncates]
        heard = ", ".join(f"{ledger.ms(_heard(s))} of {ledger.ms(s.received)} ms" for s in item.segments) or "no audio"
        if expected.edit == "truncate":
            if not told:
                ledger.fail(5, f"{item.id} was cut ({heard} heard) and the server was not told")
            if item.deletes:
                ledger.fail(5, f"{item.id} was deleted although {heard} of it were heard")
        elif expected.edit == "delete":
            if told:
                ledger.fail(5, f"{item.id} was truncated to {told[-1]} ms although {heard} were heard")
            if item.announced and not item.deletes and not item.deleted:
                ledger.fail(5, f"{item.id} was not heard ({heard}) and was not deleted")
        elif expected.edit == "nothing":
            if told:
                ledger.fail(5, f"{item.id} needed no edit ({heard} heard) and was truncated to {told[-1]} ms")
            if item.deletes:
                ledger.fail(5, f"{item.id} needed no edit ({heard} heard) and was deleted")

    def _check_ladder(self, item: ItemRecord) -> None:
        """A server that cannot truncate: it is told by what it can, and the verdict says which (DESIGN section 5)."""
        ledger, able, ended = self._ledger, self._able, item.ended
        expected = self.expected(item)
        if ended is None or item.guessed or expected.edit == "either":
            return
        if item.truncates:
            ledger.fail(5, f"{item.id} was truncated, which the server cannot do")
        owed = expected.edit
        if owed != "nothing" and item.shown_text:
            return
        if owed == "truncate":
            told = "delete" if able.heard == "rewrite" and not ended.text else able.heard
            self._must_be(item, ended, told, deleted=able.heard == "rewrite" and item.announced)
        elif owed == "delete" and able.delete:
            self._must_be(item, ended, "delete", deleted=item.announced and not item.deleted)
        elif owed == "delete":
            self._must_be(item, ended, "note" if able.create else "record", deleted=False)
        else:
            self._must_be(item, ended, "nothing", deleted=False)

    def _must_be(self, item: ItemRecord, ended: MessageEnded, told: str, *, deleted: bool) -> None:
        if ended.told != told:
            self._ledger.fail(5, f"{item.id}: the server was told by {ended.told}, not by {told}")
        if bool(item.deletes) != deleted and not item.deleted:
            self._ledger.fail(5, f"{item.id} was {'not ' if deleted else ''}deleted")

    def _check_estimated(self, item: ItemRecord, ended: MessageEnded) -> None:
        """Against the core's own estimate, because the clock said nothing."""
        ledger = self._ledger
        told = [truncate.audio_end_ms for truncate in item.truncates]
        # All that there was of a message that was still open was heard: there is nothing to tell.
        open_end = ended.heard_ms >= ended.received_ms and not told
        one = len(item.segments) == 1 and not open_end
        if ended.verdict is Verdict.PARTIAL and one and (not told or told[-1] != ended.heard_ms):
            ledger.fail(5, f"{item.id} was estimated at {ended.heard_ms} ms and the server was told {told}")
        if ended.verdict is Verdict.SKIPPED and item.announced and not item.shown_text and not item.deletes:
            ledger.fail(5, f"{item.id} was estimated as not heard and was not deleted")
        if ended.verdict is Verdict.FULL and (told or item.deletes):
            ledger.fail(5, f"{item.id} was estimated as heard in full and was edited")

    def unheard_left(self, item: ItemRecord) -> bool:
        """Whether the server still holds audio of this item that nobody heard and that the design does not leave there."""
        truth = self._truth.get(item.id)
        if self._able.heard in ("note", "record") or (item.ended is not None and item.ended.told == "note"):
            return False
        if truth is None or truth.deleted or item.guessed or item.response.out_of_band or not item.announced:
            return False
        expected = self.expected(item)
        if expected.edit in ("nothing", "either") and expected.verdict is not None:
            return False
        width = self._ledger.audio.sample_width
        held = {part.index: part.held_samples for part in truth.parts if part.kind == "audio"}
        for segment in item.segments:
            if expected.edit == "truncate" and segment.content_index != expected.content_index:
                continue
            if held.get(segment.content_index, 0) > _heard(segment) // width + 1:
                return True
        return False

    # -- helpers -------------------------------------------------------------------------------------------------------------

    def _presumed_at(self, response: ResponseRecord) -> int:
        """When a response that was cut may be taken as done."""
        return max(response.dead_at, response.last_audio_at) + _PRESUMED

    def _truncated_segment(self, item: ItemRecord, index: int) -> Segment | None:
        for segment in item.segments:
            if segment.content_index == index:
                return segment
        return None

    def _snapshot(self, item: ItemRecord, segment: Segment) -> Snapshot:
        cut = item.response.cut
        if cut is not None and id(segment) in cut.snapshots:
            return cut.snapshots[id(segment)]
        if item.response.dead:
            return Snapshot(0, False)
        return Snapshot(segment.received, segment.complete)

    def _received(self, item: ItemRecord, segment: Segment) -> int:
        return self._snapshot(item, segment).received

    def _record_error(self, item: ItemRecord, error: int, *, misled: bool) -> None:
        """How far what the server was told is from the truth: nothing, where the clock spoke it."""
        cut = item.response.cut
        if misled and not self.lies and abs(error) > self._bound_ms:
            self._ledger.fail(4, f"{item.id} was told {error} ms off by an honest clock that may be {self._bound_ms} ms off")
        if cut is not None and cut.interruption is not None:
            if not (misled or error):
                self._ledger.saw("B01: truncated at the very millisecond")
            errors = cut.interruption.misled_errors_ms if misled else cut.interruption.errors_ms
            errors.append(error)

    def _estimated_error(self, item: ItemRecord, error: int) -> None:
        cut = item.response.cut
        # Each flush without an answer adds its own doubt (a pause of a clock that cannot pause, then the cut).
        unanswered = [flush for flush in self._ledger.flushes[-3:] if flush.answered_at is None]
        bound = self._bound_ms * max(1, len(unanswered))
        for flush in unanswered:
            # A device that falls silent later than it declared: nobody can know what sounded beyond that.
            longer = self._sound_ends.get(flush.generation, 0) - flush.asked_at - self._declared
            bound += max(0, -(-longer // MILLISECOND)) + (self._buffer_ms if flush.blind else 0)
        # What sounded between its last word and its loss, no one can know (F100, F078): less may count as heard, never more.
        untold = error < 0 and any(loss.generation >= f.generation for f in unanswered[:1] for loss in self._losses[-1:])
        misled = (self.lies or untold) and abs(error) > bound
        if abs(error) > bound and not misled and not any(segment.inexact for segment in item.segments):
            self._ledger.fail(4, f"{item.id} was estimated {error} ms off, more than the clock's {bound} ms")
        if cut is not None:
            cut.estimated = True
            if cut.interruption is not None and not item.truncates:
                one = cut.interruption
                (one.misled_errors_ms if misled else one.estimated_errors_ms).append(error)


def _heard(segment: Segment) -> int:
    """Bytes of it that count as heard: what was audible, or the clock's own words where the core must go by these."""
    return segment.heard if segment.told is None else segment.told
