"""Server messages as they reach the client, written into the ledger: what exists, what arrived of it, what is over.

This is a reading of the protocol of its own: nothing of the core's is used. Where an event is unreadable, lacks what it needs or
names nothing that is known, nothing is written: the core owes it the same silence (B27, C29).
"""

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, Protocol

from rtcore.sim._audit_line import LineAudit
from rtcore.sim._audit_order import OrderAudit
from rtcore.sim._audit_reference import ReferenceAudit
from rtcore.sim._ledger import Creation, ItemRecord, Ledger, ResponseRecord
from rtcore.sim._seen import ServerSeen
from rtcore.sim._server_truth import Refusal, ServerItem, ServerResponse
from rtcore.sim.matching import Place, Segment
from rtcore.sim.speaker import MILLISECOND

_RECENT = 6
"""So many of the latest responses may have been cancelled and not heard of since."""
_REMEMBERED = 20_000 * MILLISECOND
"""So long a client may take a response that begins without ``response.created`` for one that it had interrupted before."""


class Truth(Protocol):
    """What the auditor needs of a server: its items, and what it refused."""

    @property
    def items(self) -> Mapping[str, ServerItem]:
        """Every item ever, by id."""

    @property
    def responses(self) -> Mapping[str, ServerResponse]:
        """Every response ever, by id."""

    @property
    def conversation(self) -> Sequence[str]:
        """The ids of the conversation's items as it stands, in order."""

    @property
    def refusals(self) -> Sequence[Refusal]:
        """Every error, in order."""

    @property
    def untold(self) -> Set[str]:
        """Responses that have ended and of whose end the client is never told."""

    @property
    def malformed(self) -> Set[bytes]:
        """Frames that mean nothing, whatever they look like."""


class Arrivals:
    """Reads what leaves the server (``left``) and what reaches the client (``arrived``)."""

    def __init__(
        self,
        ledger: Ledger,
        truth: Truth,
        line: LineAudit,
        reference: ReferenceAudit | None,
        order: OrderAudit,
        *,
        cut: Callable[[str, str | None], None],
        kill: Callable[[ResponseRecord, Place], None],
    ) -> None:
        self._ledger = ledger
        self._truth = truth
        self._line = line
        self._reference = reference
        self._order = order
        self._cut = cut
        self._kill = kill
        self._audible: set[str] = set()
        self._errors = 0
        self.creates = False
        """The server answers turns by itself."""
        self._calls = 0
        self._laid_to: list[Creation] = []
        """What an error that refused an attempt of the server's own may be laid to: it names nothing."""
        self.named: ResponseRecord | None = None
        """A response whose very end said that it had been interrupted before it began: it may be cut now, or go on."""
        self.stale: list[ResponseRecord] = []
        """Responses that the server has just created by itself although an edit of ours is not acknowledged."""
        self.refused: Callable[[Refusal, Creation | None], None] = lambda refusal, creation: None
        """Is told of each refusal that reaches the client, with the creation that it ended."""
        self.voice: Callable[[str | None], bool] = lambda item_id: False
        """Is told of each speech that begins, before it counts as an interruption; gives whether that is decided elsewhere."""
        self.over: Callable[[str], None] = lambda response_id: None
        """Is told of each response that is over without a ``response.done``."""
        self.sounds: Callable[[ResponseRecord, bool], None] = lambda response, alive: None
        """Is told of audio that reaches the client, and whether it could still be heard."""
        self.perhaps: set[str] = set()
        """Responses that may be taken as done, or not: nothing runs, said a refusal that may have been another's."""
        self.elsewhere = False
        """The audio sounds on another line: what of it comes here is nobody's."""
        self._deleted: set[str] = set()
        self.conversation: dict[str, None] = {}
        """Items that the client has been told of and that are not deleted."""
        self._width = ledger.audio.sample_width

    def wants_to_hear(self, request: str) -> None:
        """The program wants the out-of-band response of this request to be heard."""
        self._audible.add(request)

    def asked(self, creation: Creation) -> None:
        """A response is asked for; is anybody to hear it?"""
        creation.silent = creation.out_of_band and creation.request not in self._audible

    # -- leaving the server --------------------------------------------------------------------------------------------------

    def left(self, message: ServerSeen) -> None:
        """A message is on its way."""
        kind = message.type
        if kind == "response.output_audio.delta" and self.elsewhere:
            return
        if kind == "response.output_audio.delta":
            if message.item_id is not None and self._ledger.matcher.find(message.item_id, message.content_index) is None:
                self._know_segment(message, message.item_id, message.content_index)
            return
        self._line.underway(message)
        if kind == "response.output_item.added" and message.response_id:
            # One that begins without saying so has its place from here. What it is, only the server knows; that the program
            # wanted to hear it cannot be seen from it.
            begun = self._ledger.response(message.response_id)
            served = self._truth.responses.get(begun.id)
            if served is not None and served.out_of_band and not begun.out_of_band:
                begun.out_of_band, begun.audible = True, False
        if message.response is not None and message.response.id:
            record = self._ledger.response(message.response.id)
            if message.response.conversation_id is None and not record.out_of_band:
                record.out_of_band = True
                record.audible = request_of(message.response.metadata) in self._audible

    def _know_segment(self, message: ServerSeen, item_id: str, index: int) -> None:
        truth = self._truth.items.get(item_id)
        part = next((part for part in truth.parts if part.index == index), None) if truth is not None else None
        response_id = message.response_id or ""
        if truth is None or part is None or not response_id or truth.response_id != response_id:
            return
        response = self._ledger.response(response_id)
        if not response.audible:
            return
        segment = Segment(response.id, item_id, index, (response.order, len(response.segments)), part)
        response.segments.append(segment)
        segment.dead_from = response.dead_from
        self._ledger.matcher.add(segment)
        record = response.items.get(item_id)
        if record is not None:
            record.segments.append(segment)

    # -- reaching the client -------------------------------------------------------------------------------------------------

    def arrived(self, message: ServerSeen) -> None:
        """A message reaches the client; the session gets it right after this."""
        kind = message.type
        if kind == "response.output_audio.delta":
            self._audio(message)
            return
        handler = _HANDLERS.get(kind)
        if handler is not None:
            handler(self, message)
        elif not kind:
            self._ledger.saw("B27: a message that cannot be read")

    def _known(self, response_id: str | None) -> ResponseRecord | None:
        if not response_id:
            return None
        ledger = self._ledger
        record = ledger.responses.get(response_id)
        if record is None:
            record = ledger.response(response_id)
        if not record.known:
            record.known, record.known_at = True, ledger.now
            record.begun_at = ledger.now if record.created else self._asked_without_a_word(record)
            ledger.alive[record.id] = record
            if not record.done:
                ledger.running[record.id] = record
            record.doubtful = not record.created and ledger.now < ledger.killed_at + _REMEMBERED
            if not record.created and any(creation.expired for creation in ledger.creations):
                # Whose it is, of those that were given up or asked for since, nothing tells.
                for creation in ledger.creations:
                    creation.doubted = True
        return record

    def _asked_without_a_word(self, record: ResponseRecord) -> int:
        """When one that began without ``response.created`` was asked for: the order of answers tells, where the server creates
        nothing by itself; what is not ours began when it was seen."""
        served = self._truth.responses.get(record.id)
        event_id = served.client_event_id if served is not None else None
        for creation in self._ledger.creations:
            if event_id is not None and creation.event_id == event_id and not creation.expired:
                creation.shown = True
                return creation.sent.sent_at
        return self._ledger.now

    def _item(self, response_id: str | None, item_id: str | None, kind: str, *, begins: bool = False) -> ItemRecord | None:
        """The item's record; only ``response.created`` and an item that ``begins`` make a response known."""
        response = self._known(response_id) if begins else self._ledger.responses.get(response_id or "")
        if response is None or not response.known or not item_id:
            return None
        record = response.items.get(item_id)
        if record is None:
            if item_id in self._ledger.items:
                return None  # another response's: whoever says so is mistaken
            record = response.items[item_id] = self._ledger.items[item_id] = ItemRecord(item_id, kind, response)
            record.segments += [segment for segment in response.segments if segment.item_id == item_id]
            if not response.dead:
                self._ledger.alive[response.id] = response
        return record

    def _audio(self, message: ServerSeen) -> None:
        item = self._item(message.response_id, message.item_id, "message")
        if item is None:
            self._ledger.saw("B10: audio of nothing that is known")
            return
        ledger = self._ledger
        item.audio_parts.add(message.content_index)
        response = item.response
        response.last_audio_at = ledger.now
        self.sounds(response, response.audible and not response.dead and item.ended is None)
        segment = ledger.matcher.find(item.id, message.content_index)
        if segment is None:
            return
        if not segment.received:
            item.audio_at = ledger.now
        size = message.audio_bytes
        segment.received += size
        at, just = segment.latest
        segment.latest = ledger.now, size + (just if at == ledger.now else 0)
        if self._reference is not None:
            self._reference.audio(item, segment, size)
        if response.dead:
            ledger.saw("B10: late audio after a cut")
            if item.truncates:
                item.late_audio, item.repeated_unseen = True, False
        elif len(ledger.running) > 1 and any(r is not response and r.audible for r in ledger.running.values()):
            ledger.saw("B11: audio while two responses run")
        if self._width == 2 and segment.received & 1:
            ledger.saw("C22: half a sample carried")

    def _created(self, message: ServerSeen) -> None:
        body = message.response
        if body is None or not body.id:
            return
        ledger = self._ledger
        record = ledger.response(body.id)
        if record.created or record.known:
            return  # told before, or it began without this
        record.created = True
        self._known(body.id)
        if ledger.waiting and not record.out_of_band:
            ledger.saw("B08: the next response began before the last cut was settled")
        served = self._truth.responses.get(record.id)
        by_itself = served is not None and served.cause == "turn" and not record.out_of_band
        if by_itself:
            # Ours would have come before it: one that waited when something was refused counts as what that was (B13).
            for creation in self._laid_to:
                creation.doubted = True
            self._laid_to.clear()
        if by_itself and not ledger.creations and (self._line.editing or ledger.flush_open):
            self.stale.append(record)
        if record.out_of_band and len(ledger.running) > 1:
            ledger.saw("B12: an out-of-band response beside another")
        self._answer_creation(body.metadata, record)

    def _answer_creation(self, metadata: object, record: ResponseRecord) -> None:
        request = request_of(metadata)
        asked = None
        if request is None and not self._ledger.able.metadata:
            # A server that does not give our mark back: whose it is, its truth knows, and the order of answers tells the client.
            served = self._truth.responses.get(record.id)
            asked = served.client_event_id if served is not None else None
        if request is not None or asked is not None:
            self._line.give_up()
            creation = self._line.creation_answered(request=request, event_id=asked)
            others = [one for one in self._ledger.creations if not one.out_of_band]
            if creation is not None and creation.expired and request is None and (others or self.creates):
                return  # which of the two it is, nothing tells; and what the server began by itself must not be silenced
            if creation is not None:
                record.asked_at = creation.sent.sent_at
                record.withdrawn = creation.withdrawn
            # One that began without its response.created may have been heard before anybody could know whose it was.
            if creation is not None and (creation.killed or creation.expired) and not record.dead and record.created:
                self._ledger.saw("B15: response dead on arrival" if creation.killed else "B14: created after the deadline")
                self._kill(record, self._ledger.stream.end)
            elif creation is not None and (creation.killed or creation.withdrawn) and not record.dead:
                # Only now it shows that this is one that nobody wanted any more.
                self.named = record
                record.silenced_by = creation.killed_by if creation.killed and not creation.expired else None

    def _response_done(self, message: ServerSeen) -> None:
        body = message.response
        if body is None or not body.id:
            return
        ledger = self._ledger
        before = ledger.responses.get(body.id)
        begun = before if before is not None and before.known else None
        if begun is None:
            ledger.saw("C18: the end of a response that never began")
        elif begun.done and not begun.presumed:
            ledger.saw("C18: a response ended twice")
            return
        record = self._known(body.id)
        if record is None:
            return
        if record.presumed:
            ledger.saw("F022: the end of a response that had passed for ended")
        elif message.cancel_reason == "turn_detected" and not record.dead and not record.out_of_band:
            # Beside one that runs, what never began for the client had no slot, and its end says nothing of the user (C18).
            others = any(each is not record and not each.out_of_band for each in ledger.running.values())
            if begun is not None or not others:
                self._cut("server", None)
        if record.out_of_band and len(ledger.running) > 1:
            ledger.saw("C17: an out-of-band response ended while another ran")
        if body.status == "failed" and not record.dead and not record.done:
            ledger.saw("S06: a response failed while it was heard" if record.segments else "S06: a response failed in silence")
        record.done, record.presumed = True, False
        record.status = body.status or ""
        ledger.running.pop(record.id, None)
        self._answer_creation(body.metadata, record)
        for item in record.items.values():
            self._complete(item, None)

    def presumed(self, response_id: str) -> None:
        """A response is over of whose end the client was not told: the server says that it does not run, or nothing of it came
        for so long that it is taken for that (C14, F022). Its ``response.done`` may only be late."""
        record = self._ledger.responses.get(response_id)
        if record is not None and not record.done:
            record.done, record.status, record.presumed = True, "cancelled", True
            self._ledger.running.pop(record.id, None)
            self.over(record.id)

    def _output_item(self, message: ServerSeen) -> None:
        body = message.item
        if body is None:
            return
        item = self._item(message.response_id, body.id, body.type, begins=message.type == "response.output_item.added")
        if item is None:
            return
        if message.type == "response.output_item.done":
            self._complete(item, None)
        item.call_id = body.call_id or item.call_id
        if body.type == "function_call" and body.status == "completed":
            self._complete_call(item)

    def _conversation_item(self, message: ServerSeen) -> None:
        if message.type == "conversation.item.added" and message.item is not None:
            self._order.announced(message.item.id, message.previous_item_id)
            self._ledger.edits = [
                edit for edit in self._ledger.edits if not (edit.kind == "note" and edit.item_id == message.item.id)
            ]
            if message.item.id not in self._deleted:
                self.conversation[message.item.id] = None
        item = self._ledger.items.get(message.item.id) if message.item is not None else None
        if item is None:
            return
        if message.type == "conversation.item.added":
            item.announced, item.announced_at = True, self._ledger.now if not item.announced else item.announced_at
        else:
            self._complete(item, None)

    def _part_added(self, message: ServerSeen) -> None:
        item = self._item(message.response_id, message.item_id, "message")
        if item is not None and message.part is not None and message.part.type in ("audio", "output_audio"):
            item.audio_parts.add(message.content_index)

    def _part_done(self, message: ServerSeen) -> None:
        item = self._item(message.response_id, message.item_id, "message")
        if item is not None:
            if message.type == "response.output_audio.done" and message.content_index not in item.texts_done:
                self._ledger.saw("S07: the audio ended before its text")
            self._complete(item, message.content_index)

    def _transcript(self, message: ServerSeen) -> None:
        item = self._ledger.items.get(message.item_id or "")
        if item is not None and message.delta:
            item.characters += len(message.delta)

    def _transcript_done(self, message: ServerSeen) -> None:
        item = self._ledger.items.get(message.item_id or "")
        if item is not None:
            if message.transcript:
                item.characters = max(item.characters, len(message.transcript))
            elif item.characters:
                self._ledger.saw("F015: an empty transcript closed a part that had words")
            item.texts_done.add(message.content_index)
            if message.content_index not in item.done_parts:
                self._ledger.saw("S07: the text ended before its audio")

    def _text(self, message: ServerSeen) -> None:
        item = self._item(message.response_id, message.item_id, "message")
        if item is not None and not item.response.dead and (message.delta or message.text):
            item.shown_text = True

    def _call_done(self, message: ServerSeen) -> None:
        item = self._item(message.response_id, message.item_id, "function_call")
        if item is not None:
            self._complete_call(item)

    def _complete_call(self, item: ItemRecord) -> None:
        if not item.call_done:
            self._calls += 1
            item.call_done_at, item.call_order = self._ledger.now, self._calls

    def _words(self, message: ServerSeen) -> None:
        if self._ledger.running:
            self._ledger.saw("C25: the user's words came after the answer began")

    def _complete(self, item: ItemRecord, index: int | None) -> None:
        item.done = item.done or index is None
        for segment in item.segments:
            if index is None or segment.content_index == index:
                segment.complete = True
                if self._reference is not None:
                    self._reference.complete(segment)
        item.done_parts |= item.audio_parts if index is None else {index}

    def _speech_started(self, message: ServerSeen) -> None:
        self._ledger.talking = self._ledger.detects = True
        self._ledger.talking_since = self._ledger.now
        if not self.voice(message.item_id):
            self._cut("server", None)

    def _speech_stopped(self, message: ServerSeen) -> None:
        if self._ledger.talking:
            self._ledger.here.silent()  # both heard them, and the server cuts the turns
            self._ledger.fell_silent = self._ledger.now
        self._ledger.talking = False

    def _silence_told(self, message: ServerSeen) -> None:
        """Nobody has spoken for so long that the server goes on by itself, whatever became of a speech that it did not see end.

        The silence that it commits is a turn like any other, and may be the first that it finds (facts 4.12).
        """
        self._ledger.detects = True
        self._speech_stopped(message)

    def _edit_answered(self, message: ServerSeen) -> None:
        ledger = self._ledger
        kind = "delete" if message.type == "conversation.item.deleted" else "truncate"
        for edit in ledger.edits:
            if edit.kind == kind and edit.item_id == message.item_id:
                ledger.edits.remove(edit)
                break
        else:
            if ledger.edits:
                ledger.saw("F113: an acknowledgement came again while another edit was in flight")
        item = ledger.items.get(message.item_id or "")
        if kind == "delete":
            self.conversation.pop(message.item_id or "", None)
            self._deleted.add(message.item_id or "")
            self._order.deleted(message.item_id or "")
            if item is not None:
                item.deleted = True

    def _error(self, message: ServerSeen) -> None:
        """An answer to something: which event it was, the server's truth knows even where the error does not say.

        Each refusal is one error on the wire, in the same order.
        """
        ledger = self._ledger
        told = message.error.message if message.error is not None else None
        refusals = self._truth.refusals
        while self._errors < len(refusals):
            refusal = refusals[self._errors]
            self._errors += 1
            if refusal.message == told:
                event_id = refusal.event.get("event_id") if isinstance(refusal.event, dict) else None
                ended: Creation | None = None
                if isinstance(event_id, str):
                    # Whose item a nameless refusal means, no client can know: a note counts as on its way for as long as it may.
                    blind = refusal.event_id is None
                    ledger.edits = [e for e in ledger.edits if e.event_id != event_id or (blind and e.kind == "note")]
                    if blind and refusal.event is not None:
                        self._taken_for_later(refusal.event, event_id)
                    ended = self._line.creation_answered(event_id=event_id)
                    if ended is not None and ended.expired and refusal.event_id is None:
                        for creation in ledger.creations:
                            creation.doubted = True
                if refusal.event is None:
                    before = round(refusal.at * 1_000_000_000)
                    self._laid_to = [one for one in ledger.creations if not one.out_of_band and one.sent.sent_at < before]
                self.refused(refusal, ended)
                if isinstance(refusal.event, dict) and refusal.event.get("type") == "response.cancel":
                    cancelled = str(refusal.event.get("response_id"))
                    if message.error is not None and message.error.event_id is None and self._cancelled_beside(cancelled):
                        self.perhaps.add(cancelled)
                    elif cancelled in self._truth.untold:
                        self.presumed(cancelled)
                if refusal.injected and refusal.event.get("type") == "conversation.item.create":
                    self._line.take_back()
                return

    def _taken_for_later(self, event: Mapping[str, Any], event_id: str) -> None:
        """A nameless refusal of an edit that was given up: another of the same item that is on its way has it for its answer."""
        edits = self._ledger.edits
        if event.get("type") == "conversation.item.truncate" and all(edit.event_id != event_id for edit in edits):
            taken = next((each for each in edits if each.kind == "truncate" and each.item_id == event.get("item_id")), None)
            self._ledger.edits = [edit for edit in edits if edit is not taken]

    def _cancelled_beside(self, response_id: str) -> bool:
        """Whether a refused cancel that does not say whose it is may be that of another response, which ended by itself (C14)."""
        latest = list(self._ledger.responses.values())[-_RECENT:]
        return any(other.cancels and other.done and other.id != response_id for other in latest)


def request_of(metadata: object) -> str | None:
    """Our mark in a response's metadata."""
    request = metadata.get("rtcore_request") if isinstance(metadata, dict) else None
    return request if isinstance(request, str) else None


_HANDLERS: dict[str, Callable[[Arrivals, ServerSeen], None]] = {
    "input_audio_buffer.speech_started": Arrivals._speech_started,
    "input_audio_buffer.speech_stopped": Arrivals._speech_stopped,
    "input_audio_buffer.timeout_triggered": Arrivals._silence_told,
    "response.created": Arrivals._created,
    "response.done": Arrivals._response_done,
    "response.output_item.added": Arrivals._output_item,
    "response.output_item.done": Arrivals._output_item,
    "conversation.item.added": Arrivals._conversation_item,
    "conversation.item.done": Arrivals._conversation_item,
    "response.content_part.added": Arrivals._part_added,
    "response.content_part.done": Arrivals._part_done,
    "response.output_audio.done": Arrivals._part_done,
    "response.output_audio_transcript.delta": Arrivals._transcript,
    "response.output_audio_transcript.done": Arrivals._transcript_done,
    "response.output_text.delta": Arrivals._text,
    "response.output_text.done": Arrivals._text,
    "response.function_call_arguments.done": Arrivals._call_done,
    "conversation.item.input_audio_transcription.completed": Arrivals._words,
    "conversation.item.truncated": Arrivals._edit_answered,
    "conversation.item.deleted": Arrivals._edit_answered,
    "error": Arrivals._error,
}
