"""What the model says: responses, their items, parts and texts, as the server's events describe them.

The routing key of every event is (response, item, content index). A response that was interrupted is dead for ever; one that has
ended is remembered for a while, so that its late events are known as late. Nothing that arrives here raises.
"""

from typing import Any

from msgspec import UNSET

from rtcore._core import Core
from rtcore._errors import problem
from rtcore._formats import AudioFormat
from rtcore._items import Item, PartKind, Response, Segment
from rtcore._notices import (
    ItemAdded,
    ItemDeleted,
    ItemRetrieved,
    Outcome,
    OutOfBandAudio,
    Problem,
    ResponseEnded,
    ResponseStarted,
    TextDelta,
)
from rtcore._recent import keep_latest
from rtcore._wire import (
    AudioDelta,
    AudioDone,
    ContentPartAdded,
    ContentPartDone,
    ItemAddedEvent,
    ItemBody,
    ItemDeletedEvent,
    ItemDoneEvent,
    ItemRetrievedEvent,
    OutputItemAdded,
    OutputItemDone,
    OutputTextDelta,
    OutputTextDone,
    PartBody,
    ResponseBody,
    ResponseCreated,
    ResponseDone,
    TranscriptDelta,
    TranscriptDone,
    output_items,
)

_REMEMBERED = 256
"""How many ended responses are remembered to recognise their late events."""
_SILENT = 8
"""How many responses without an end are kept for what may still come of them."""

_KIND: dict[str, PartKind] = {
    "audio": "audio",
    "output_audio": "audio",
    "text": "text",
    "output_text": "text",
    "input_text": "text",
    "input_image": "image",
}


class Responses:
    """Owner of: is this event for something alive?"""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.live: dict[str, Response] = {}
        self.items: dict[str, Item] = {}
        self.segments: dict[tuple[str, int], Segment] = {}
        self._ended: dict[str, bool] = {}
        """Those that are over, and whether it is known what they used."""
        self._silent: dict[str, Response] = {}
        self._outran = 0
        """Cancels that were given up and whose response ended by itself: so many refusals are still to come ..."""
        self._outran_before = 0
        """.. before the answer to anything that was sent behind so many events."""
        self._silence_told = False
        self.bound_audio()

    def bound_audio(self) -> None:
        """The bound of unheard audio in samples, at the acknowledged rate."""
        self._limit = self._core.config.playout.max_buffered_s * self._core.acknowledged.output_format.rate

    @property
    def running(self) -> bool:
        """Whether a response of the conversation is generating."""
        return any(not response.done and not response.out_of_band for response in self.live.values())

    # -- audio -------------------------------------------------------------------------------------------------------------------

    def audio_delta(self, event: AudioDelta) -> None:
        """One audio delta: the hot path. Constant work, no copy."""
        core = self._core
        segment = self.segments.get((event.item_id, event.content_index))
        if segment is None or segment.response_id != event.response_id:
            segment = self._first_audio(event)
            if segment is None:
                return
        if segment.cut or (segment.complete and not self._reopen(segment)):
            self._late_audio(segment, event)
            return
        playout = core.playout
        playout.append(segment, event.delta, core.now, core.sound)
        if segment.carry and not segment.odd_told:
            segment.odd_told = True
            core.lifecycle.warn("an audio delta ends within a sample; the rest is carried to the next", "", segment.item_id)
        if segment.waiting:
            core.speech.after_playout()
        elif not core.speech.watching:
            core.speech.watch_clock()
        if playout.received - playout.heard - playout.discarded > self._limit:
            core.interruption.overflow(event.response_id)

    def _first_audio(self, event: AudioDelta) -> Segment | None:
        core = self._core
        response = self.live.get(event.response_id)
        item = self._item(response, event.item_id, "message") if response else None
        if response is None or item is None:
            core.counters.late_deltas += 1
            core.counters.late_samples += len(event.delta) // core.acknowledged.output_format.sample_width
            return None
        part = item.part(event.content_index)
        part.kind = "audio"
        if core.capabilities.playout == "server":
            response.quiet_since = core.now  # it runs, however long ago it was cut
            return None  # sounded where it was made: here it is nobody's
        segment = part.segment
        if segment is None:
            segment = part.segment = Segment(response.id, item.id, event.content_index, response.format or self._format())
            if response.done:
                # First seen behind the end of its response: nothing says any more when it is complete.
                part.complete = part.final = True
            segment.complete = part.complete
        if not response.audible and response.dead:
            core.counters.late_deltas += 1
            return None
        if not response.audible:
            self._out_of_band_audio(segment, event)
            return None
        if (item.id, event.content_index) in self.segments:
            return segment
        core.reports.first_audio(response.id)
        self.segments[item.id, event.content_index] = segment
        if response.dead or item.verdict is not None:
            segment.cut = True
            segment.received_at_cut = 0
            core.interruption.part_known(item)
        else:
            core.playout.add(segment, done=response.done)
            core.holds.first_audio(response)
        return segment

    def _reopen(self, segment: Segment) -> bool:
        """Audio behind its own end: it plays, in its turn, unless its message has its verdict."""
        item = self.items.get(segment.item_id)
        response = self.live.get(segment.response_id)
        if item is None or response is None or item.verdict is not None or item.text_due is not None:
            segment.cut = True
            segment.received_at_cut = segment.received
            segment.complete_at_cut = True
            return False
        self._core.playout.add(segment, done=response.done)
        return True

    def _format(self) -> AudioFormat:
        return self._core.acknowledged.output_format

    def _out_of_band_audio(self, segment: Segment, event: AudioDelta) -> None:
        pcm = segment.align(event.delta)
        if pcm:
            self._core.news.append(OutOfBandAudio(event.response_id, event.item_id, event.content_index, pcm, segment.format))

    def _late_audio(self, segment: Segment, event: AudioDelta) -> None:
        core = self._core
        core.counters.late_deltas += 1
        core.counters.late_samples += core.playout.discard_late(segment, event.delta)
        response = self.live.get(event.response_id)
        item = self.items.get(event.item_id)
        if response is not None and item is not None:
            core.interruption.late_audio(response, item)

    def audio_done(self, event: AudioDone) -> None:
        """The part's audio is complete; its text may still come (S07)."""
        item = self._known(event.response_id, event.item_id)
        if item is not None:
            self._complete_audio(item, event.content_index)
            self._core.speech.check_ended(item)

    def _complete_audio(self, item: Item, index: int) -> None:
        part = item.part(index)
        part.kind = part.kind or "audio"
        part.complete = True
        if part.segment is not None and not part.segment.complete:
            part.segment.complete = True
            self._core.playout.release(self._core.now, self._core.sound)
            self._core.speech.after_playout()

    # -- text --------------------------------------------------------------------------------------------------------------------

    def text_delta(self, event: TranscriptDelta | OutputTextDelta) -> None:
        """A piece of transcript or text; both feed the same text of the part (F142)."""
        core = self._core
        item = self.items.get(event.item_id)
        if item is None or item.response is None or item.response.id != event.response_id:
            response = self.live.get(event.response_id)
            item = self._item(response, event.item_id, "message") if response else None
            if item is None or item.response is None:
                core.counters.late_deltas += 1
                return
        part = item.parts.get(event.content_index) or item.part(event.content_index)
        if part.kind is None:
            part.kind = "audio" if isinstance(event, TranscriptDelta) else "text"
            if item.response.dead:
                core.interruption.part_known(item)
        part.add_text(event.delta)
        if item.response.dead:
            core.counters.late_deltas += 1
        else:
            core.news.append(TextDelta(event.response_id, event.item_id, event.content_index, event.delta))
            core.running_text.words_came(item, event.content_index, part)

    def text_done(self, event: TranscriptDone | OutputTextDone) -> None:
        """The part's text is complete."""
        item = self._known(event.response_id, event.item_id)
        if item is not None:
            part = item.part(event.content_index)
            text = event.transcript if isinstance(event, TranscriptDone) else event.text
            part.kind = part.kind or ("audio" if isinstance(event, TranscriptDone) else "text")
            part.finish_text(text or "")
            if isinstance(event, OutputTextDone):
                part.complete = True
            self._core.speech.check_ended(item)

    # -- responses ---------------------------------------------------------------------------------------------------------------

    def created(self, event: ResponseCreated) -> None:
        """A response begins."""
        body = event.response
        if body.id not in self.live and body.id not in self._ended:
            self._adopt(body.id, body)

    def _adopt(self, response_id: str, body: ResponseBody | None) -> Response:
        core = self._core
        metadata = _metadata(body) if body is not None else None
        claim = core.creation.claim(
            metadata, announced=body is not None, conversation_known=body is not None and body.conversation_id is not None
        )
        out_of_band = claim.out_of_band or (body is not None and body.conversation_id is None)
        audible = not out_of_band or (claim.ours and claim.audible)
        response = Response(response_id, request=claim.request, out_of_band=out_of_band, audible=audible)
        response.answers = claim.answers
        response.asked = claim.asked
        response.format = claim.format
        response.text = claim.text
        response.for_user = claim.for_user
        response.hold_ms = core.config.playout.hold_ms if claim.hold_ms is None else claim.hold_ms
        response.interruptible = claim.interruptible
        response.asked_at = core.now if claim.asked_at is None else claim.asked_at
        response.quiet_since = core.now
        core.timers.set_earlier("end of a response", core.now + core.config.timeouts.create_ms / 1000)
        self.live[response_id] = response
        if response.audible:
            core.playout.open(response_id)
        core.news.append(ResponseStarted(response_id, claim.shown, out_of_band, core.creation.visible(metadata), at=core.now))
        # Of one that was never announced, nobody can say that the server began it by itself while we wait for ours (facts 4.10).
        ours = claim.ours or (body is None and core.creation.awaited)
        core.interruption.response_created(response, ours=ours, dead=claim.dead)
        core.creation.response_created(
            response, announced=body is not None, ours=claim.ours, doubtful=claim.doubtful, unseen=claim.unseen
        )
        return response

    def done(self, event: ResponseDone) -> None:
        """A response ended, however. Unknown and repeated ones change nothing (C18)."""
        core = self._core
        body = event.response
        response = self.live.get(body.id)
        status, reason, error = _status(core, body)
        usage = _usage(event)
        if usage is not None:
            self._used(body.id, response, usage)
        if response is not None and response.presumed and response.done:
            response.outran_cancel = status != "cancelled" or reason == "turn_detected"
            self._leaves_refusal(response)
            self._ended_at_last(response)
            return
        if response is None or response.done:
            if response is None and body.id not in self._ended:
                self._remember(body.id, used=usage is not None)
                if status == "cancelled" and reason == "turn_detected" and not self.running:
                    # Cut before its response.created was sent (facts 4.10); what it says of the user holds all the same. Beside
                    # a response that runs it cannot have had the slot, and changes nothing (C18).
                    core.barge_in.server_cancelled(unseen=core.turns.automatic > 0)
                core.creation.unknown_done(body.id, _metadata(body), status, error)
            return
        if status == "cancelled" and reason == "turn_detected" and not response.dead:
            core.interruption.server_cancelled(response)
        response.done = True
        response.completed = status == "completed"
        response.outran_cancel = status != "cancelled" or reason == "turn_detected"
        self._leaves_refusal(response)
        if response.request is None:
            core.creation.named_at_last(response, _metadata(body))
        for shown in output_items(body):
            item = response.items.get(shown.id)
            if item is not None:
                self._fill(item, shown)
                core.tools.item_done(item, response, shown.status if status == "completed" else "incomplete")
            elif status == "completed" and shown.type == "function_call":
                adopted = self._item(response, shown.id, "function_call")
                if adopted is not None:
                    self._fill(adopted, shown)
                    core.tools.item_done(adopted, response, shown.status)
        for item in response.items.values():
            item.done = item.done or not response.presumed
            for part in item.parts.values():
                part.complete = True
                part.final = part.final or not response.presumed
                if part.segment is not None:
                    part.segment.complete = True
        core.playout.response_done(response.id, core.now, core.sound)
        core.news.append(ResponseEnded(response.id, status, reason, error, usage, at=core.now))
        self._notice_silence(response, usage)
        for item in list(response.items.values()):
            self._core.speech.check_ended(item)
        core.interruption.response_done(response)
        core.silent_answers.response_done(response)
        core.mcp.response_done(response)
        core.tools.response_done(response)  # first: what is due to its calls and what is due to a turn is one answer (C15)
        core.creation.response_done(response, status, error)
        core.continuity.response_done(response, status, error)
        self._core.speech.after_playout()
        if all(other.done for other in self.live.values()):
            core.timers.cancel("end of a response")
        self.retire(response)

    def _used(self, response_id: str, response: Response | None, usage: dict[str, Any]) -> None:
        """What the server says that a response used counts once, also where its end had been presumed."""
        ended = response.done if response is not None else response_id in self._ended
        if response.used if response is not None else self._ended.get(response_id):
            return
        self._core.accounts.response(usage)
        if response is not None:
            response.used = True
        elif ended:
            self._ended[response_id] = True
        if ended:
            self._core.reports.used(response_id, usage)

    def _notice_silence(self, response: Response, usage: object) -> None:
        """Audio that was paid for and never came, in a session without a sample: its deltas have a name unknown here (F132)."""
        core = self._core
        details = usage.get("output_token_details") if isinstance(usage, dict) else None
        tokens = details.get("audio_tokens") if isinstance(details, dict) else None
        silent = not core.playout.received and response.completed and response.audible and not response.dead
        if (
            self._silence_told
            or not silent
            or not isinstance(tokens, int)
            or tokens <= 0
            or core.capabilities.playout == "server"
        ):
            return
        self._silence_told = True
        reason = "the response cost audio tokens and no audio came: does the server speak another dialect?"
        core.lifecycle.warn(reason, "response.done", f"{response.id}: {tokens} tokens; connection.dialect is {core.dialect.name}")

    def presume_done(self, response: Response) -> None:
        """The server says that nothing is running, or went silent about a response that was cut: it has ended (C14)."""
        if not response.done:
            self.done(ResponseDone(ResponseBody(id=response.id, status="cancelled")))

    def presume_cut(self, response: Response) -> None:
        """Nothing came of a response that was cut: the slot is free. Where the line only stood still, more of it arrives: its
        items go like those of any response that was cut, so it is not forgotten before its own end came (F022, B10)."""
        if response.done:
            return
        response.presumed = True
        self._silent[response.id] = response
        while len(self._silent) > _SILENT:
            oldest = self._silent.pop(next(iter(self._silent)))
            oldest.presumed = False
            self.retire(oldest)
        self.presume_done(response)

    def _leaves_refusal(self, response: Response) -> None:
        """One that ended by itself leaves the refusal of its cancel behind, also of a cancel that was given up by then."""
        if response.cancel_sent and response.outran_cancel and response.id not in self._core.requests.keys("cancel"):
            self._await_refusal()

    def cancel_overdue(self, response_id: str, *, lost: bool) -> None:
        """A cancel had no answer in time. Its refusal is still to come if its response has ended by itself (C14). ``lost``: that
        refusal would have come by now."""
        response = self.live.get(response_id)
        if not lost and (response is None or response.done):
            self._await_refusal()

    def _await_refusal(self) -> None:
        self._outran += 1
        self._outran_before = self._core.requests.issued

    @property
    def refusal_awaited(self) -> bool:
        """Whether the refusal of a cancel that was given up is still to come. It was none if something is answered that was sent
        since: on one line it would have come before."""
        if self._core.requests.answered > self._outran_before:
            self._outran = 0
        return self._outran > 0

    def silence_explained(self) -> None:
        """A cancel that was given up is refused after all: its response had ended, and nothing more of it is on its way (C14)."""
        cancelled = next((response for response in self._silent.values() if response.cancel_sent), None)
        if self.refusal_awaited:
            self._outran -= 1
        elif cancelled is not None:
            self._ended_at_last(cancelled)

    def _ended_at_last(self, response: Response) -> None:
        """The end that was presumed came after all."""
        response.presumed = False
        self._silent.pop(response.id, None)
        for item in response.items.values():
            item.done = True
            for part in item.parts.values():
                part.final = True
        self._core.interruption.response_done(response)
        self.retire(response)

    def went_quiet(self, response: Response) -> None:
        """One of its messages ended: from here counts how long its own end may take."""
        if not response.dead:
            response.quiet_since = self._core.now

    def responses_overdue(self) -> None:
        """A ``response.done`` that never comes must not hold the slot for ever (F022).

        It is presumed once every item has ended, and was heard where it has sound, and nothing came for ``create_ms``, or where
        nothing at all came for twice ``queue_ms``: longer than any request waits for its turn.
        """
        core = self._core
        times = core.config.timeouts
        for response in list(self.live.values()):
            if response.done or response.dead:
                continue
            items = response.items.values()
            activity = sum(item.activity for item in items) + len(items)
            if activity != response.activity:
                response.activity = activity
                response.quiet_since = core.now
            ended = items and all(item.done and (item.verdict is not None or not _waits_to_be_heard(item)) for item in items)
            due = response.quiet_since + (times.create_ms if ended else 2 * times.queue_ms) / 1000
            if core.now >= due and response.own:
                core.voice.abandoned(response)
            elif core.now >= due:
                core.lifecycle.warn("response.done is missing; the response is taken as done", "response.done", response.id)
                self.presume_done(response)
            else:
                core.timers.set_earlier("end of a response", min(due, core.now + times.create_ms / 1000))

    def retire(self, response: Response) -> None:
        """Forget a response once it is done and each of its messages ended; its late events are known by its id."""
        if not response.done or any(item.type == "message" and item.verdict is None for item in response.items.values()):
            return
        if response.presumed or (response.dead and not response.cut_settled):
            return
        core = self._core
        if self.live.pop(response.id, None) is None:
            return
        self._remember(response.id, used=response.used)
        for item in response.items.values():
            for index in item.parts:
                self.segments.pop((item.id, index), None)
            self.items.pop(item.id, None)
            if response.out_of_band:
                core.history.forget(item.id)
            else:
                core.history.shelve(item.id)

    def line_lost(self, told: Problem) -> list[Response]:
        """The connection of these responses is gone: what was received of them is all that can be heard. Gives those of the
        conversation that were cut off by it, for which an answer is still due."""
        core = self._core
        broken: list[Response] = []
        for response in list(self.live.values()):
            if response.own:
                continue  # no line is needed for what the program says itself
            response.gone = True
            response.presumed = False
            if not response.done:
                whole = bool(response.items) and all(_is_whole(item) for item in response.items.values())
                if whole:
                    core.silent_answers.line_lost(response)
                elif not (response.dead or response.out_of_band):
                    broken.append(response)
                core.news.append(ResponseEnded(response.id, "incomplete" if whole else "failed", "connection_lost", told))
                outcome: Outcome = "done" if whole else "connection_lost"
                core.requests.end(response.request, outcome, problem=None if whole else told, response_id=response.id)
            response.done = True
            for item in response.items.values():
                self._close(item, cut=not response.dead)
            core.playout.response_done(response.id, core.now, core.sound)
        self._silent.clear()
        self._outran = 0
        core.timers.cancel("end of a response")
        if any(response.own and not response.done for response in self.live.values()):
            # What the program says itself goes on, and its end may be forgotten all the same.
            core.timers.set("end of a response", core.now + core.config.timeouts.create_ms / 1000)
        core.timers.cancel("end of a response that was cut")
        for response in list(self.live.values()):
            if response.own:
                continue
            for item in list(response.items.values()):
                core.speech.check_ended(item)
            core.interruption.response_done(response)
            core.mcp.response_done(response)
            self.retire(response)
        core.speech.after_playout()
        return broken

    def _close(self, item: Item, *, cut: bool) -> None:
        """Nothing more comes of this item. Parts that were open are not heard to their end by being all that came."""
        item.done = True
        for part in item.parts.values():
            if cut and not part.complete and item.verdict is None and item.text_due is None:
                part.cut()
            part.complete = part.final = True
            segment = part.segment
            if segment is not None and not segment.complete:
                segment.torn = not segment.cut
                if segment.complete_at_cut is None:
                    segment.complete_at_cut = False
                segment.complete = True

    def knows(self, response_id: str) -> bool:
        """Whether it runs, or has ended a while ago."""
        return response_id in self.live or response_id in self._ended

    def _remember(self, response_id: str, *, used: bool) -> None:
        self._ended[response_id] = used
        keep_latest(self._ended, _REMEMBERED)

    # -- items -------------------------------------------------------------------------------------------------------------------

    def item_added_to_response(self, event: OutputItemAdded) -> None:
        """An output item begins. Of a response never announced, it announces it (facts 4.10)."""
        response = self.live.get(event.response_id)
        if response is None:
            if event.response_id in self._ended:
                self._core.counters.late_deltas += 1
                return
            response = self._adopt(event.response_id, None)
        item = self._item(response, event.item.id, event.item.type or "message")
        if item is not None:
            item.role = item.role or event.item.role
            self._fill(item, event.item)
            self._core.interruption.item_known(item)

    def item_done_in_response(self, event: OutputItemDone) -> None:
        """An output item is complete, or was cut."""
        response = self.live.get(event.response_id)
        item = self._item(response, event.item.id, event.item.type or "message") if response else None
        if response is not None and item is not None:
            self._finish(item, event.item)
            self._core.tools.item_done(item, response, event.item.status)
            self._core.speech.check_ended(item)

    def item_announced(self, event: ItemAddedEvent) -> None:
        """The item is in the conversation; its place is fixed from here on (C25)."""
        core = self._core
        body = event.item
        if not body.id or core.history.is_deleted(body.id):
            return
        if (again := core.history.by_wire(body.id)) is not None:
            before = event.previous_item_id
            core.history.confirm(again, core.history.public(before) if isinstance(before, str) else None)
            core.creation.item_announced(again.id)
            return
        item = core.history.get(body.id)
        if item is None:
            item = core.turns.early_words.pop(body.id, None) or Item(body.id, body.type or "message", body.role, None)
        item.role = item.role or body.role
        place = core.history.last if event.previous_item_id is UNSET else event.previous_item_id
        place = place and core.history.public(place)
        first = core.history.announce(item, place)
        self._fill(item, body)
        core.creation.item_announced(body.id)  # an edit that waited for it is planned with it in its place
        if first:
            core.continuity.announced(item)
            if item.role == "user":
                core.accounts.turn(item.id)
            core.news.append(ItemAdded(item.id, item.type, item.role, place))
            core.interruption.announced(item)

    def item_done(self, event: ItemDoneEvent) -> None:
        """The item is complete in the conversation; for one of a response, its parts are too."""
        core = self._core
        item = core.history.get(event.item.id)
        if item is None or core.history.by_wire(event.item.id) is not None:
            return
        self._finish(item, event.item)
        if item.response is not None:
            core.tools.item_done(item, item.response, event.item.status)
            self._core.speech.check_ended(item)

    def item_retrieved(self, event: ItemRetrievedEvent) -> None:
        """The server's own copy of an item, for the program that asked for it. The mirror goes by announcements alone."""
        core = self._core
        item_id = core.history.public(str(event.item.get("id") or ""))
        pending = core.requests.take_first("retrieve", item_id)
        core.requests.end(pending.request if pending is not None else None, "done", item_id=item_id)
        core.news.append(ItemRetrieved(item_id, event.item))

    def item_deleted(self, event: ItemDeletedEvent) -> None:
        """An item left the conversation. An empty id can only mean the one delete that is under way (F108)."""
        core = self._core
        event.item_id = core.history.public(event.item_id)
        pending = core.requests.take_first("delete", event.item_id or None)
        item_id = event.item_id or (pending.key if pending is not None else "")
        if pending is not None:
            core.requests.end(pending.request, "done", item_id=item_id)
            core.edits.answered(pending)
        core.edits.delete_settled(item_id, "done")
        self.forget(item_id)
        core.creation.pump()

    def forget(self, item_id: str) -> None:
        """Take an item out of the history."""
        self._core.tools.item_deleted(item_id)
        self._core.continuity.images.forget(item_id)
        if item_id and self._core.history.delete(item_id):
            self._core.news.append(ItemDeleted(item_id))

    def part_added(self, event: ContentPartAdded) -> None:
        """A content part begins; its kind decides what a cut means for the message."""
        core = self._core
        response = self.live.get(event.response_id)
        item = self._item(response, event.item_id, "message") if response else None
        if item is None or response is None:
            return
        if event.content_index not in item.parts and not response.dead:
            # There is more to hear of it: the wait for the text of a message that was heard starts over at its end.
            item.text_due = None
        part = item.part(event.content_index)
        if part.kind is None and event.part is not None:
            part.kind = _KIND.get(event.part.type, "other")
        if response.dead and part.kind is not None:
            core.interruption.part_known(item)

    def part_done(self, event: ContentPartDone) -> None:
        """A content part is complete."""
        item = self._known(event.response_id, event.item_id)
        if item is None:
            return
        part = item.part(event.content_index)
        if event.part is not None:
            part.kind = part.kind or _KIND.get(event.part.type, "other")
            _fill_text(item, event.content_index, event.part)
        if part.kind == "audio":
            self._complete_audio(item, event.content_index)
        part.complete = True
        self._core.speech.check_ended(item)

    def _known(self, response_id: str, item_id: str) -> Item | None:
        item = self.items.get(item_id)
        if item is None:
            response = self.live.get(response_id)
            return self._item(response, item_id, "message") if response is not None else None
        return item if item.response is not None and item.response.id == response_id else None

    def _item(self, response: Response, item_id: str, type: str) -> Item | None:
        """The response's item, known from whatever event shows it first (F027); None if it is another response's or deleted."""
        history = self._core.history
        item = self.items.get(item_id) or history.get(item_id)
        if item is None:
            if not item_id or history.is_deleted(item_id):
                return None
            item = Item(item_id, type, None, response)
            item.done = response.done and not response.presumed
            history.know(item)
        if item.response is None:
            item.response = response
        elif item.response is not response:
            return None
        response.items[item_id] = self.items[item_id] = item
        return item

    def _fill(self, item: Item, body: ItemBody, *, done: bool = False) -> None:
        running = body.status == "in_progress"
        if not (running and item.done):
            # A status never goes back, whatever announcement comes late or twice (F115).
            item.status = body.status or item.status
        item.call_id = body.call_id or item.call_id
        item.name = body.name or item.name
        item.arguments = body.arguments or item.arguments
        if isinstance(body.output, str):
            item.output = body.output
        if isinstance(body.phase, str):
            item.phase = body.phase
        if item.type.startswith("mcp_"):
            self._core.mcp.item_shown(item, body, done=done)
        for index, part in enumerate(body.content or ()):
            if part.type in _KIND or item.response is None:
                known = item.part(index)
                known.kind = known.kind or _KIND.get(part.type, "other")
                if not running:
                    _fill_text(item, index, part)
                elif not known.text and not known.final:
                    known.add_text(part.transcript or part.text or "")

    def _finish(self, item: Item, body: ItemBody) -> None:
        self._fill(item, body, done=True)
        item.done = True
        for index, part in item.parts.items():
            if part.kind == "audio":
                self._complete_audio(item, index)
            part.complete = True
        if item.response is not None and item.response.dead:
            self._core.interruption.part_known(item)


def _is_whole(item: Item) -> bool:
    """Whether all that the server had to say of it has come."""
    return item.done or (bool(item.parts) and all(part.complete for part in item.parts.values()))


def _waits_to_be_heard(item: Item) -> bool:
    """A message that has sound; one that ended without a sample has nothing to wait for."""
    return item.type == "message" and any(segment.received for segment in item.segments)


def _fill_text(item: Item, index: int, body: PartBody) -> None:
    text = body.transcript if body.transcript is not None else body.text
    if text:
        item.part(index).finish_text(text)


def _status(core: Core, body: ResponseBody) -> tuple[str, str | None, Problem | None]:
    """Status, reason and error; ``status_details`` may be any JSON (facts 7.2)."""
    details = body.status_details
    status = body.status or "completed"
    if not isinstance(details, dict):
        return status, details if isinstance(details, str) else None, None
    reason = details.get("reason")
    error = details.get("error")
    found = None
    if isinstance(error, dict):
        message = core.scrub(_text(error.get("message")) or "")
        found = problem(_text(error.get("code")), message, None, _text(error.get("type")) or "")
    return status, reason if isinstance(reason, str) else None, found


def _usage(event: ResponseDone) -> dict[str, Any] | None:
    """Where the server put it: in the response, or on top (facts 14)."""
    return next((usage for usage in (event.response.usage, event.usage) if isinstance(usage, dict) and usage), None)


def _metadata(body: ResponseBody) -> dict[str, Any] | None:
    return body.metadata if isinstance(body.metadata, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
