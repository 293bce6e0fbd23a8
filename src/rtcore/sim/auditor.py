"""Watches everything and believes nobody: the invariants of DESIGN section 6, held against the audible signal and the server's
truth.

The auditor stands between the parts of a world. It sees every message both ways when it leaves and when it arrives, every input
and every effect of the session, and the sound. From these it works out by itself what was heard, what was cut, and what the
server was owed; the core's own counters are compared with that, never used for it.

Invariants 3, 7 and 8 are held here; 1, 2, 9, 10 and 12 in ``_audit_line``; 4, 5 and 6 in ``_audit_edits``.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol
from zlib import adler32, crc32

import msgspec

from rtcore._clock import Clock
from rtcore._effects import Connect, Deadline, Disconnect, Drain, Effect, Flush, Pause, Play, Resume, Send
from rtcore._formats import AudioFormat
from rtcore._items import SegmentView
from rtcore._notices import ClockFault, ContextStale, Interrupted, MessageEnded, Notice, RequestEnded, SessionClosed, ToolCalled
from rtcore.sim._audit_edits import EditAudit
from rtcore.sim._audit_line import LineAudit
from rtcore.sim._ledger import Cut, Flushing, Interruption, ItemRecord, Ledger, ResponseRecord, Snapshot
from rtcore.sim._seen import ClientSeen, ServerSeen, read_client, read_server
from rtcore.sim._server_truth import Refusal, ServerItem, ServerResponse
from rtcore.sim.matching import Place, Segment
from rtcore.sim.results import Counts, KindResult, Violation
from rtcore.sim.speaker import MILLISECOND, Report, Speaker

PENDING = (11, 13, 15)
"""Invariants that this version does not hold yet: what history says in words, bounded memory, recovery after faults."""

_CHECK_AFTER = 5_000 * MILLISECOND
"""A cut is checked at the latest so long after it (invariant 5)."""
_SAMPLED = 16
"""Every so many steps the session's counts and deadline are looked at, whatever is going on."""
_ANSWER_SLACK = 150 * MILLISECOND
"""How long the core waits for a flush's answer beyond the declared latency (DESIGN section 3)."""


class Truth(Protocol):
    """What the auditor needs of a server: its items, and what it refused."""

    @property
    def items(self) -> Mapping[str, ServerItem]:
        """Every item ever, by id."""

    @property
    def responses(self) -> Mapping[str, ServerResponse]:
        """Every response ever, by id."""

    @property
    def refusals(self) -> Sequence[Refusal]:
        """Every error, in order."""


class View(Protocol):
    """What it compares of a session with its own records."""

    @property
    def deadline(self) -> Deadline | None:
        """When it wants to be ticked."""

    @property
    def segments(self) -> tuple[SegmentView, ...]:
        """Its sample counts."""


class Auditor:
    """One world's auditor."""

    def __init__(
        self,
        truth: Truth,
        speaker: Speaker,
        *,
        seed: int,
        audio: AudioFormat,
        server_interrupts: bool,
        own_index: bool = True,
        clock: Clock,
    ) -> None:
        allowance = clock.flush_latency_ms * MILLISECOND + _ANSWER_SLACK
        bound = clock.latency_ms + clock.flush_latency_ms + clock.report_ms
        self.ledger = Ledger(seed, audio)
        self.line = LineAudit(self.ledger, truth.responses, server_interrupts=server_interrupts, allowance=allowance)
        self.edits = EditAudit(self.ledger, truth.items, own_index=own_index, allowance=allowance, bound_ms=bound)
        self.interruptions: list[Interruption] = []
        self.checked = 0
        self._truth = truth
        self._speaker = speaker
        self._audio = audio
        self._allowance = allowance
        self._current: Interruption | None = None
        self._down: deque[ServerSeen] = deque()
        self._up: deque[ClientSeen] = deque()
        self._refusals_read = 0
        self._spans_read = 0
        self._steps = 0
        self._sound_ends: dict[int, int] = {}
        self._mismatches_read = 0
        self._generation = 1
        self._handed: dict[int, int] = {}
        self._confirmed: dict[int, int] = {}
        self._faulty = 0
        self._cutting: Cut | None = None
        self._cut_due = False
        self._flush_expected = 0
        self._flush_allowed = False
        self._pausing = False
        self._unchecked: deque[Cut] = deque()
        self._closed = False
        self._crc = crc32(seed.to_bytes(8, "big", signed=True))
        self._adler = adler32(seed.to_bytes(8, "big", signed=True))
        self._program_deletes: set[str] = set()
        self._audible: set[str | None] = set()

    # -- the world tells -----------------------------------------------------------------------------------------------------

    def begin(self, kind: str, now: int) -> Interruption:
        """From here on, what interrupts is an interruption of this kind."""
        self._current = Interruption(kind, now)
        self.interruptions.append(self._current)
        return self._current

    def server_sent(self, payloads: Iterable[bytes], now: int) -> list[ServerSeen]:
        """The server put messages on the wire."""
        self._at(now)
        seen = [read_server(payload, now) for payload in payloads]
        for message in seen:
            self._down.append(message)
            self.line.underway(message)
            if message.type == "response.output_audio.delta" and message.item_id is not None:
                self._know_segment(message)
            elif message.response is not None and message.response.id:
                record = self.ledger.response(message.response.id)
                if message.response.conversation_id is None and not record.out_of_band:
                    record.out_of_band = True
                    record.audible = _request(message.response.metadata) in self._audible
        return seen

    def client_receives(self, now: int) -> ServerSeen:
        """The next message reaches the client; the session gets it right after this."""
        self._at(now)
        message = self._down.popleft()
        self.ledger.order += 1
        message.got_order = self.ledger.order
        self._arrived(message)
        return message

    def server_receives(self, now: int) -> ClientSeen:
        """The next client message reaches the server."""
        self._at(now)
        return self._up.popleft()

    def server_received(self, cause: ClientSeen | None) -> None:
        """The server has dealt with it: did it refuse anything?"""
        refusals = self._truth.refusals
        for refusal in refusals[self._refusals_read :]:
            self.line.refused(refusal, cause)
            if self._current is not None:
                self._current.server_errors += 1
        self._refusals_read = len(refusals)

    def interrupts(self, cause: str, now: int, response_id: str | None = None) -> None:
        """The program, or a local detector, is about to interrupt."""
        self._at(now)
        self._begin_cut(cause, response_id)

    def pauses(self) -> None:
        """The program is about to pause: a clock that cannot is flushed instead."""
        self._pausing = True

    def deletes(self, item_id: str) -> None:
        """The program is about to delete an item."""
        self._program_deletes.add(item_id)

    def wants_to_hear(self, request: int) -> None:
        """The program wants this out-of-band response to be heard."""
        self._audible.add(str(request))

    def replayed(self, effects: Sequence[Effect]) -> None:
        """A message of a connection that is gone reached the session."""
        if effects:
            self.ledger.fail(3, f"a message of an old connection caused {type(effects[0]).__name__}")

    def reports(self, report: Report, now: int) -> None:
        """The clock says something; the session hears it right after this."""
        self._at(now)
        generation = report.generation
        if report.kind == "played" and generation == self._generation:
            handed = self._handed.get(generation, 0)
            self._confirmed[generation] = max(self._confirmed.get(generation, 0), min(report.samples, handed))
        elif report.kind == "flushed":
            for flush in self.ledger.flushes:
                if flush.generation == generation and flush.waits and now <= flush.asked_at + self._allowance:
                    flush.answered_at = now
                elif flush.generation <= generation and flush.waits:
                    flush.settled = True

    def did(self, effects: Sequence[Effect], now: int, issued: tuple[int, str] | None = None) -> None:
        """What a call of the session gave back."""
        self._at(now)
        if issued is not None:
            self.line.issued(*issued)
        self._end_cut(effects)
        if effects:
            self._digest(effects, now)
            estimated = {e.item_id for e in effects if isinstance(e, MessageEnded) and e.estimated and self._eligible(e.item_id)}
            rank = 0
            for effect in effects:
                rank = self._effect(effect, rank, estimated)

    def ticked(self, before: Deadline, after: Deadline | None, now: int) -> None:
        """The session was ticked because ``before`` was due."""
        self._at(now)
        self.line.ticked(before, after)

    def checkpoint(self, session: View, now: int) -> None:
        """After each step: what is due to be checked?"""
        self._at(now)
        self._steps += 1
        if self._steps % _SAMPLED == 0:
            self._look_inside(session)
        if not self._unchecked:
            return
        overdue = now >= self._unchecked[0].at + _CHECK_AFTER
        if not overdue and not self._quiescent():
            return
        self._look_inside(session)
        while self._unchecked and (now >= self._unchecked[0].at + _CHECK_AFTER or self._quiescent()):
            cut = self._unchecked.popleft()
            self.edits.check(cut)
            self.checked += 1

    def _look_inside(self, session: View) -> None:
        self.sync(self.ledger.now)
        self.line.waiting(session.deadline)
        self._check_counts(session)

    def finish(self, session: View, now: int) -> None:
        """Everything is silent and settled: the last checks before the session is closed."""
        self._at(now)
        self._look_inside(session)
        while self._unchecked:
            self.edits.check(self._unchecked.popleft())
            self.checked += 1
        self.line.tools_settled(self._truth.items)
        for item in list(self.ledger.items.values()):
            if item.type != "message":
                continue
            if item.ended is None:
                self.ledger.fail(6, f"{item.id} never ended")
            if self.edits.unheard_left(item):
                cut = item.response.cut
                if cut is not None and cut.interruption is not None:
                    cut.interruption.unheard_left += 1
                self.ledger.fail(5, f"{item.id} is left at the server with audio that nobody heard")

    def closed(self, now: int) -> None:
        """The session was closed."""
        self._at(now)
        self.line.all_settled()
        if not self._closed:
            self.ledger.fail(2, "close() gave no SessionClosed")

    # -- what came of it -----------------------------------------------------------------------------------------------------

    @property
    def violations(self) -> list[Violation]:
        """The broken invariants."""
        return self.ledger.violations

    @property
    def digest(self) -> str:
        """Of every byte sent and every effect, with its time."""
        return f"{self._crc:08x}{self._adler:08x}"

    def kinds(self) -> tuple[KindResult, ...]:
        """The figures by kind of interruption."""
        results: dict[str, KindResult] = {}
        for one in self.interruptions:
            result = KindResult(
                one.kind,
                interruptions=1,
                verdicts=one.verdicts,
                truncation_error_ms=_counts(one.errors_ms),
                estimated_error_ms=_counts(one.estimated_errors_ms),
                silence_us=_counts([self._silence(one)]) if one.arrived_at is not None else {},
                unheard_left=one.unheard_left,
                server_errors=one.server_errors,
                answered=int(one.answered is True),
                unanswered=int(one.answered is False),
            )
            results[one.kind] = results[one.kind] + result if one.kind in results else result
        return tuple(results[kind] for kind in sorted(results))

    def _silence(self, one: Interruption) -> int:
        return max((max(0, self._sound_ends.get(generation, 0) - at) for at, generation in one.flushes), default=0) // 1000

    # -- sound ---------------------------------------------------------------------------------------------------------------

    def sync(self, now: int) -> None:
        """Attribute everything that has sounded by now."""
        self._speaker.advance(now)
        spans = self._speaker.spans
        matcher = self.ledger.matcher
        for index in range(self._spans_read, len(spans)):
            span = spans[index]
            self._sound_ends[span.generation] = span.until
            matcher.consume(span)
        self._spans_read = len(spans)
        for mismatch in matcher.mismatches[self._mismatches_read :]:
            self.ledger.fail(mismatch.invariant, mismatch.text, mismatch.at)
        self._mismatches_read = len(matcher.mismatches)

    def _check_counts(self, session: View) -> None:
        """Invariant 8, and that the core's counts are what was audible."""
        ledger = self.ledger
        width = self._audio.sample_width
        still = not self._speaker.pending and not ledger.flush_waits(self._allowance)
        for view in session.segments:
            name = f"{view.item_id}[{view.content_index}]"
            if view.heard + view.discarded + view.queued != view.received:
                parts = f"heard {view.heard} + discarded {view.discarded} + queued {view.queued}"
                ledger.fail(8, f"{name}: {parts} != received {view.received}")
            segment = ledger.matcher.find(view.item_id, view.content_index)
            item = ledger.items.get(view.item_id)
            if segment is None or item is None or item.guessed or self._clock_guessed:
                continue
            if view.received != segment.received // width:
                ledger.fail(8, f"{name}: the core counts {view.received} samples received, {segment.received // width} were")
            if view.heard > segment.heard // width:
                ledger.fail(8, f"{name}: the core counts {view.heard} samples heard, {segment.heard // width} were audible")
            elif still and not view.queued and view.heard != segment.heard // width:
                ledger.fail(8, f"{name}: the core counts {view.heard} samples heard, but {segment.heard // width} were audible")

    # -- messages ------------------------------------------------------------------------------------------------------------

    def _know_segment(self, message: ServerSeen) -> None:
        item_id, index = message.item_id or "", message.content_index
        matcher = self.ledger.matcher
        if matcher.find(item_id, index) is not None:
            return
        truth = self._truth.items.get(item_id)
        part = next((part for part in truth.parts if part.index == index), None) if truth is not None else None
        response = self.ledger.response(message.response_id or "")
        if truth is None or part is None or not response.audible:
            return
        segment = Segment(response.id, item_id, index, (response.order, len(response.segments)), part)
        response.segments.append(segment)
        segment.dead_from = response.dead_from
        matcher.add(segment)
        record = response.items.get(item_id)
        if record is not None:
            record.segments.append(segment)

    def _arrived(self, message: ServerSeen) -> None:
        kind = message.type
        if kind == "response.output_audio.delta":
            self._audio_arrived(message)
        elif kind == "input_audio_buffer.speech_started":
            self._begin_cut("server", None)
        elif kind in _HANDLERS:
            _HANDLERS[kind](self, message)

    def _known(self, response_id: str | None) -> ResponseRecord:
        record = self.ledger.response(response_id or "")
        record.known = True
        return record

    def _item(self, message: ServerSeen, item_id: str, kind: str) -> ItemRecord | None:
        response = self._known(message.response_id)
        record = response.items.get(item_id)
        if record is None and item_id:
            record = response.items[item_id] = self.ledger.items[item_id] = ItemRecord(item_id, kind, response)
            record.segments += [segment for segment in response.segments if segment.item_id == item_id]
        return record

    def _audio_arrived(self, message: ServerSeen) -> None:
        item = self._item(message, message.item_id or "", "message")
        if item is None:
            return
        item.audio_parts.add(message.content_index)
        item.response.last_audio_at = self.ledger.now
        segment = self.ledger.matcher.find(item.id, message.content_index)
        if segment is not None:
            segment.received += message.audio_bytes
            if item.response.dead:
                self.ledger.saw("B10: late audio after a cut")
                item.late_audio = item.late_audio or bool(item.truncates)

    def _created(self, message: ServerSeen) -> None:
        body = message.response
        if body is None:
            return
        record = self._known(body.id)
        record.created = True
        self._answer_creation(body.metadata, record)

    def _answer_creation(self, metadata: object, record: ResponseRecord) -> None:
        request = _request(metadata)
        if request is not None:
            creation = self.line.creation_answered(request=request)
            if creation is not None and creation.killed and not record.dead:
                self.ledger.saw("B15: response dead on arrival")
                self._kill(record, Place(self._generation, self._handed.get(self._generation, 0)))

    def _response_done(self, message: ServerSeen) -> None:
        body = message.response
        if body is None:
            return
        record = self._known(body.id)
        if message.cancel_reason == "turn_detected" and not record.dead and not record.out_of_band:
            self._begin_cut("server", None)
        record.done = True
        record.status = body.status or ""
        self._answer_creation(body.metadata, record)
        for item in record.items.values():
            self._complete(item, None)

    def _output_item(self, message: ServerSeen) -> None:
        body = message.item
        if body is None:
            return
        item = self._item(message, body.id, body.type)
        if item is None:
            return
        if message.type == "response.output_item.done":
            self._complete(item, None)
        item.call_id = body.call_id or item.call_id
        if body.type == "function_call" and body.status == "completed":
            item.call_done = True

    def _conversation_item(self, message: ServerSeen) -> None:
        item = self.ledger.items.get(message.item.id) if message.item is not None else None
        if item is None:
            return
        if message.type == "conversation.item.added":
            item.announced = True
        else:
            self._complete(item, None)

    def _part_added(self, message: ServerSeen) -> None:
        item = self._item(message, message.item_id or "", "message")
        if item is not None and message.part is not None and message.part.type in ("audio", "output_audio"):
            item.audio_parts.add(message.content_index)

    def _part_done(self, message: ServerSeen) -> None:
        item = self._item(message, message.item_id or "", "message")
        if item is not None:
            self._complete(item, message.content_index)

    def _text(self, message: ServerSeen) -> None:
        item = self._item(message, message.item_id or "", "message")
        if item is not None and not item.response.dead and (message.delta or message.text):
            item.shown_text = True

    def _call_done(self, message: ServerSeen) -> None:
        item = self._item(message, message.item_id or "", "function_call")
        if item is not None:
            item.call_done = True

    def _complete(self, item: ItemRecord, index: int | None) -> None:
        item.done = item.done or index is None
        for segment in item.segments:
            if index is None or segment.content_index == index:
                segment.complete = True
        item.done_parts |= item.audio_parts if index is None else {index}

    def _edit_answered(self, message: ServerSeen) -> None:
        kind = "delete" if message.type == "conversation.item.deleted" else "truncate"
        for edit in self.ledger.edits:
            if edit.kind == kind and edit.item_id == message.item_id:
                self.ledger.edits.remove(edit)
                break
        item = self.ledger.items.get(message.item_id or "")
        if kind == "delete" and item is not None:
            item.deleted = True

    def _error(self, message: ServerSeen) -> None:
        """An answer to something: which event it was, the server's truth knows even where the error does not say."""
        ledger = self.ledger
        told = message.error.message if message.error is not None else None
        for refusal in reversed(self._truth.refusals):
            if refusal.message == told and isinstance(refusal.event, dict):
                event_id = refusal.event.get("event_id")
                if not isinstance(event_id, str):
                    continue
                ledger.edits = [edit for edit in ledger.edits if edit.event_id != event_id]
                if self.line.creation_answered(event_id=event_id) is not None:
                    return

    # -- cuts ----------------------------------------------------------------------------------------------------------------

    def _begin_cut(self, cause: str, response_id: str | None) -> None:
        """An interruption is about to reach the session: what does it cut, by what had arrived and what was heard?"""
        ledger = self.ledger
        self.sync(ledger.now)
        one = self._current
        if one is not None and one.arrived_at is None:
            one.arrived_at = ledger.now
        affected = [
            response
            for response in ledger.responses.values()
            if response.known
            and not response.dead
            and response.audible
            and (response_id is None or response.id == response_id)
            and self._unfinished(response)
        ]
        self._cut_due = True
        if response_id is None:
            for creation in ledger.creations:
                creation.killed = creation.killed or not creation.out_of_band
        unconfirmed = self._handed.get(self._generation, 0) - self._confirmed.get(self._generation, 0)
        # One sample short counts as heard (B02): a message that ended so is no reason for a flush, and no obstacle to one.
        expected = unconfirmed > 1 and response_id is None and self._faulty != self._generation
        self._flush_expected = self._generation if expected else 0
        self._flush_allowed = unconfirmed > 0 or self._faulty > 0
        if affected:
            cut = Cut(ledger.now, cause, one, affected)
            for response in affected:
                for item in response.items.values():
                    if not item.done:
                        cut.open_items.add(item.id)
                    for segment in item.segments:
                        cut.snapshots[id(segment)] = Snapshot(segment.received, segment.complete)
            self._cutting = cut

    def _unfinished(self, response: ResponseRecord) -> bool:
        if not response.done:
            return True
        if self.ledger.flush_waits(self._allowance) and any(item.ended is None for item in response.items.values()):
            return True  # where the clock stands is not known, so what is heard to the end is not known either
        width = self._audio.sample_width
        return any(
            segment.heard < segment.received - segment.received % width
            for item in response.items.values()
            if item.ended is None
            for segment in item.segments
        )

    def _end_cut(self, effects: Sequence[Effect]) -> None:
        """The session has answered: its silence comes first, and the cut responses are dead from here."""
        if not self._cut_due:
            if not self._pausing and any(isinstance(effect, Flush) for effect in effects):
                self.ledger.fail(7, "a flush that no interruption asked for")
            self._pausing = False
            return
        self._cut_due = False
        flush = next((effect for effect in effects if isinstance(effect, Flush)), None)
        if self._flush_expected:
            first = effects[0] if effects else None
            if not (isinstance(first, Flush) and first.generation == self._flush_expected):
                shown = type(first).__name__ if first is not None else "nothing"
                text = f"an interruption with unconfirmed sound began with {shown}, not Flush({self._flush_expected})"
                self.ledger.fail(7, text)
        elif flush is not None and not self._flush_allowed:
            self.ledger.fail(7, f"Flush({flush.generation}) although everything handed over was confirmed")
        cut, self._cutting = self._cutting, None
        if cut is None:
            return
        one = cut.interruption
        self.ledger.cuts.append(cut)
        self._unchecked.append(cut)
        if flush is not None and one is not None:
            one.flushes.append((self.ledger.now, flush.generation))
        if flush is not None:
            cut.flush = Flushing(flush.generation, self.ledger.now)
            self.ledger.flushes.append(cut.flush)
            place = Place(flush.generation + 1, 0)
        else:
            place = Place(self._generation, self._handed.get(self._generation, 0))
        for response in cut.responses:
            response.cut = cut
            self._kill(response, place)

    def _kill(self, response: ResponseRecord, place: Place) -> None:
        response.dead = True
        response.dead_at = self.ledger.now
        response.dead_from = place
        for segment in response.segments:
            segment.dead_from = place

    def _quiescent(self) -> bool:
        ledger = self.ledger
        if ledger.flush_waits(self._allowance) or ledger.creations or ledger.edits or self.line.requests_open:
            return False
        return all(response.done for response in ledger.responses.values() if response.known)

    @property
    def _clock_guessed(self) -> bool:
        """The core has lately had to guess where the clock stood."""
        return self._faulty > 0 and self._faulty >= self._generation - 1

    def _eligible(self, item_id: str) -> bool:
        """Whether the clock owes the answer that would make this message's verdict exact."""
        if self._clock_guessed:
            return True
        return any(flush.answered_at is None for flush in self.ledger.flushes[-3:])

    # -- effects -------------------------------------------------------------------------------------------------------------

    def _effect(self, effect: Effect, rank: int, estimated: set[str]) -> int:
        ledger = self.ledger
        if self._closed:
            ledger.fail(2, f"{type(effect).__name__} after SessionClosed")
        order = 2
        match effect:
            case Play():
                order = 0
                self._play(effect)
            case Flush():
                order = 0
                self._flush(effect)
            case Drain() | Pause() | Resume():
                order = 0
            case Send():
                order = 1
                message = read_client(effect.payload, ledger.now, ledger.order)
                self._up.append(message)
                self._sent(message, estimated)
            case Connect() | Disconnect():
                order = 1
            case Notice():
                self._noticed(effect)
        if order < rank:
            ledger.fail(7, f"{type(effect).__name__} after wire or news: silence first, then the wire, then the news")
        return order

    def _play(self, effect: Play) -> None:
        if effect.generation < self._generation:
            self.ledger.fail(7, f"Play of generation {effect.generation} after its flush")
            return
        self._generation = effect.generation
        self._handed[effect.generation] = self._handed.get(effect.generation, 0) + len(effect.pcm) // self._audio.sample_width

    def _flush(self, effect: Flush) -> None:
        if effect.generation != self._generation:
            self.ledger.fail(7, f"Flush({effect.generation}) while generation {self._generation} is current")
        flushes = self.ledger.flushes
        if not flushes or flushes[-1].generation != effect.generation:
            flushes.append(Flushing(effect.generation, self.ledger.now))
        self._generation = effect.generation + 1

    def _sent(self, message: ClientSeen, estimated: set[str]) -> None:
        match message.type:
            case "conversation.item.truncate":
                self.sync(self.ledger.now)
                self.edits.truncate(message, estimated)
            case "conversation.item.delete":
                self.sync(self.ledger.now)
                self.edits.delete(message, estimated, asked_by_program=message.item_id in self._program_deletes)
            case "response.cancel":
                self.line.cancel(message)
            case "response.create":
                self.line.create_response(message)
            case "conversation.item.create":
                self.line.create_item(message)
            case _:
                pass

    def _noticed(self, notice: Notice) -> None:
        match notice:
            case MessageEnded():
                self.sync(self.ledger.now)
                self.edits.message_ended(notice, self._eligible(notice.item_id))
            case RequestEnded():
                self.line.request_ended(notice)
            case ToolCalled():
                self.line.tool_called(notice)
            case ClockFault():
                self._faulty = notice.generation
                self.ledger.matcher.lenient = True
                self.ledger.saw("clock fault")
            case ContextStale():
                self.ledger.saw("context stale")
            case Interrupted():
                self.ledger.saw("interrupted")
            case SessionClosed():
                self._closed = True
            case _:
                pass

    def _digest(self, effects: Sequence[Effect], now: int) -> None:
        data: list[bytes | memoryview] = [now.to_bytes(8, "big")]
        for effect in effects:
            match effect:
                case Send():
                    data.append(effect.payload)
                case Play():
                    data.append(effect.pcm)
                case _:
                    data.append(type(effect).__name__.encode() + msgspec.json.encode(effect))
        block = b"\x00".join(data)
        self._crc = crc32(block, self._crc)
        self._adler = adler32(block, self._adler)

    def _at(self, now: int) -> None:
        self.ledger.now = now


def _request(metadata: object) -> str | None:
    """Our mark in a response's metadata."""
    request = metadata.get("rtcore_request") if isinstance(metadata, dict) else None
    return request if isinstance(request, str) else None


def _counts(values: Iterable[int]) -> Counts:
    counts: Counts = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return counts


_HANDLERS = {
    "response.created": Auditor._created,
    "response.done": Auditor._response_done,
    "response.output_item.added": Auditor._output_item,
    "response.output_item.done": Auditor._output_item,
    "conversation.item.added": Auditor._conversation_item,
    "conversation.item.done": Auditor._conversation_item,
    "response.content_part.added": Auditor._part_added,
    "response.content_part.done": Auditor._part_done,
    "response.output_audio.done": Auditor._part_done,
    "response.output_text.delta": Auditor._text,
    "response.output_text.done": Auditor._text,
    "response.function_call_arguments.done": Auditor._call_done,
    "conversation.item.truncated": Auditor._edit_answered,
    "conversation.item.deleted": Auditor._edit_answered,
    "error": Auditor._error,
}
