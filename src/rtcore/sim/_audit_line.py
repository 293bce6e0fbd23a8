"""What the core asks of the server and of itself: invariants 1, 2, 9, 10 and 12.

One response at a time, edits before creations, cancels by id and only of what was cut, refusals with an excuse, one output for
each call, and a deadline wherever something is waited for.
"""

from collections.abc import Callable, Mapping, Set
from typing import Any

import msgspec

from rtcore._effects import Deadline
from rtcore._notices import RequestEnded, ToolCalled
from rtcore.sim._audit_truncates import excused
from rtcore.sim._audit_words import RAW
from rtcore.sim._ledger import ROUNDING, Creation, Edit, Ledger, ResponseRecord
from rtcore.sim._seen import ClientSeen, ServerSeen
from rtcore.sim._server_truth import Refusal, ServerItem, ServerResponse
from rtcore.sim.speaker import MILLISECOND

_ACTIVE, _NOT_ACTIVE, _COMMIT, _DELETE = (
    "Conversation already has an active response",
    "Cancellation failed",
    "Error committing input audio buffer",
    "Error deleting item",
)
_TEXT_WAIT = 1_000 * MILLISECOND
"""How long typed text waits for edits (the core's ``timeouts.text_ms``)."""
_EDIT_WAIT = 5_000 * MILLISECOND
"""After how long an edit without an answer counts as settled (``timeouts.edit_ms``)."""
_CREATE_WAIT = 10_000 * MILLISECOND
"""After how long a creation without an answer counts as failed (``timeouts.create_ms``)."""
_SERVER_CANCEL = 400 * MILLISECOND
"""After how long the core may cancel for a server that interrupts by itself (DESIGN section 4)."""


class LineAudit:
    """Owner of invariants 1, 2, 9, 10 and 12."""

    def __init__(
        self,
        ledger: Ledger,
        items: Mapping[str, ServerItem],
        responses: Mapping[str, ServerResponse],
        *,
        untold: Callable[[], Set[str]],
        server_interrupts: bool,
    ) -> None:
        """``untold``: the responses that have ended without a ``response.done``."""
        self._untold = untold
        self._ledger = ledger
        self._items = items
        self._responses = responses
        self._server_interrupts = server_interrupts
        self.deaf = False
        """The line is dead and the client has not been told: it goes by its deadlines, whatever the server does."""
        self.expired: Callable[[Creation], None] = lambda creation: None
        """Is told of each creation that had no answer in time."""
        self.owed_delete: Callable[[], str | None] = lambda: None
        """Which item has to be deleted before anything is created."""
        self._open: dict[int, str] = {}
        self._responses_of_calls: dict[str, ResponseRecord] = {}
        self._settled: set[int] = set()
        self._called: dict[str, int] = {}
        self._outputs: dict[str, int] = {}
        self._texts: list[int] = []
        self._underway: list[ServerSeen] = []
        self._lost: set[str] = set()
        """Items that the server did not take, through no fault of ours."""

    # -- requests (2) --------------------------------------------------------------------------------------------------------

    def issued(self, request: int, what: str) -> None:
        """A command gave back a request number."""
        if request in self._open or request in self._settled:
            self._ledger.fail(2, f"request {request} ({what}) was given before")
        self._open[request] = what
        if what in ("respond", "send_text") and self._ledger.running:
            self._ledger.saw("C15: an answer asked for while a response runs")

    def request_ended(self, notice: RequestEnded) -> None:
        """A request settled."""
        if notice.outcome == "superseded":
            self._superseded(notice.request)
        if notice.request in self._settled:
            self._ledger.fail(2, f"request {notice.request} settled twice")
        elif notice.request not in self._open:
            self._ledger.fail(2, f"request {notice.request} settled and was never given")
        else:
            del self._open[notice.request]
            self._settled.add(notice.request)

    def _superseded(self, request: int) -> None:
        """A later request stands for it, and it was never sent: nothing of it may be under way."""
        if not any(later > request and what in ("respond", "send_text") for later, what in self._open.items()):
            self._ledger.fail(2, f"request {request} was superseded, and no later one is open")
        if any(creation.request == str(request) for creation in self._ledger.creations):
            self._ledger.fail(2, f"request {request} was superseded after it had been sent")
        self._ledger.saw("C15: a request superseded by a later one")

    @property
    def requests_open(self) -> bool:
        """Whether a request waits for its end."""
        return bool(self._open)

    def all_settled(self) -> None:
        """The session is over: nothing may be left."""
        for request, what in self._open.items():
            self._ledger.fail(2, f"request {request} ({what}) never settled")

    # -- what the core sends (1, 5, 9) ---------------------------------------------------------------------------------------

    def create_response(self, message: ClientSeen) -> None:
        """A ``response.create`` leaves the core."""
        ledger = self._ledger
        body = message.response or {}
        metadata = body.get("metadata")
        request = metadata.get("rtcore_request") if isinstance(metadata, dict) else None
        out_of_band = body.get("conversation") == "none"
        if not out_of_band:
            self.give_up()
            waiting = [
                creation for creation in ledger.creations if not (creation.out_of_band or creation.expired or creation.doubted)
            ]
            active = [r.id for r in ledger.running.values() if not r.out_of_band]
            if waiting and not self.deaf:
                ledger.fail(1, f"response.create while another ({waiting[0].event_id}) has no answer")
            if active and not self.deaf:
                ledger.fail(1, f"response.create while {active[0]} is not done")
            self._edits_first("response.create", None)
        ledger.creations.append(Creation(message.event_id, request, out_of_band, message))

    def create_item(self, message: ClientSeen) -> None:
        """A ``conversation.item.create`` leaves the core."""
        body = message.item or {}
        call_id = body.get("call_id")
        if body.get("type") == "function_call_output" and isinstance(call_id, str):
            self._outputs[call_id] = self._outputs.get(call_id, 0) + 1
            self._ledger.called.discard(call_id)
            self._note_output(call_id)
            self._look_at_output(call_id, str(body.get("output")))
            if self._outputs[call_id] > 1:
                self._ledger.fail(10, f"{call_id} got {self._outputs[call_id]} outputs")
            if call_id not in self._called and not self._explained(call_id):
                self._ledger.fail(10, f"{call_id} got an output before it was called")
        elif is_note(body):
            # What the server is told of a cut in words is an edit like a truncate: nothing is created before it is there.
            self._ledger.edits.append(Edit("note", str(body.get("id")), message.event_id, self._ledger.now))
        elif body.get("type") == "message" and body.get("role") == "user":
            typed = bool(self._texts) and body["content"][0].get("type") != "input_image"
            self._edits_first("a user item", self._texts.pop(0) if typed else None)

    def _explained(self, call_id: str) -> bool:
        """Whether the core answers for a call that was cut: where it cannot be deleted (DESIGN section 4)."""
        item = next((item for item in self._ledger.items.values() if item.call_id == call_id), None)
        return item is not None and item.response.dead and not self._ledger.able.delete

    def edited(self) -> None:
        """An item that is part of an edit of the program's leaves the core."""
        self._edits_first("an edit of the program's", None)

    def _look_at_output(self, call_id: str, output: str) -> None:
        """A text stays as it is, and everything else is encoded once (F076)."""
        try:
            value = msgspec.json.decode(output)
        except msgspec.DecodeError:
            return
        if isinstance(value, str):
            self._ledger.fail(10, f"the output of {call_id} was encoded twice: {output}")
        elif isinstance(value, dict | list):
            self._ledger.saw("F076: a result that is no text")

    def _note_output(self, call_id: str) -> None:
        ledger = self._ledger
        response = self._responses_of_calls.get(call_id)
        if response is not None and response.dead:
            ledger.saw("F064: a tool's result after the cut of its response")
        if ledger.stream.unconfirmed > 0:
            ledger.saw("B28: a tool's result while sound is left")
        if ledger.talking:
            ledger.saw("C16: a tool's result while the user speaks")
        if ledger.here.pressed:
            ledger.saw("C16: a tool's result while the button is down")
        elif ledger.here.detected:
            ledger.saw("C16: a tool's result while a local detector hears the user")

    def was_issued(self, request: str) -> bool:
        """Whether the program was given this number."""
        return request.isdigit() and (int(request) in self._open or int(request) in self._settled)

    def text_typed(self) -> None:
        """The program sent text: its item may wait for edits, but not for ever."""
        self._texts.append(self._ledger.now)

    def _edits_first(self, what: str, since: int | None) -> None:
        ledger = self._ledger
        if since is not None and ledger.now >= since + _TEXT_WAIT:
            return
        if ledger.flush_open:
            ledger.fail(5, f"{what} was created while a flush was unsettled")
        owed = self.owed_delete()
        if owed is not None:
            ledger.fail(5, f"{what} was created while the delete of {owed} was still to be sent")
        waiting = [edit for edit in ledger.edits if ledger.now < edit.at + _EDIT_WAIT]
        if waiting:
            ledger.fail(5, f"{what} was created while the {waiting[0].kind} of {waiting[0].item_id} was unsettled")

    @property
    def editing(self) -> bool:
        """Whether an edit of ours has no answer, and has not been given up for that."""
        return any(self._ledger.now < edit.at + _EDIT_WAIT - ROUNDING for edit in self._ledger.edits)

    def cancel(self, message: ClientSeen) -> ResponseRecord | None:
        """A ``response.cancel`` leaves the core. Gives the response if nothing but this says that it is dead."""
        ledger = self._ledger
        response = ledger.responses.get(message.response_id or "")
        if message.response_id is None:
            ledger.fail(3, "a cancel without response_id, which may hit any response")
        elif response is None or not response.known:
            ledger.fail(3, f"a cancel of {message.response_id}, which has not reached the client")
        else:
            response.cancels += 1
            if not response.done:
                by_itself = "C12: a cancel of ours at a server that interrupts by itself"
                ledger.saw(by_itself if self._server_interrupts else "B07: a cancel that is ours to send")
            told = f"a cancel of {response.id}"
            if response.done:
                ledger.fail(9, f"{told}, which is done")
            if response.cancels > 1:
                ledger.fail(9, f"{told}, which was cancelled before")
            if not response.dead and (response.doubtful or response.withdrawn):
                return response
            if not response.dead and not response.out_of_band:
                ledger.fail(3, f"{told}, which nothing interrupted")
            cut = response.cut
            own = self._server_interrupts and not (response.out_of_band or response.doubtful)
            if cut is not None and cut.cause == "server" and own:
                if ledger.now < cut.at + _SERVER_CANCEL or response.last_audio_at < cut.at:
                    ledger.fail(9, f"{told}, although the server interrupts by itself")
                ledger.saw("B07: the server's own cancel was missing")
        return None

    def cancels_owed(self, killed: list[ResponseRecord]) -> None:
        """What was cut and is not done has been cancelled by now, unless the server did so by itself (B07, C12, B15)."""
        for response in killed:
            cut = response.cut
            own = cut is not None and cut.cause == "server" and self._server_interrupts and not response.out_of_band
            if not (response.own or response.done or response.cancels or own or (cut is not None and cut.cause == "end")):
                self._ledger.fail(9, f"{response.id} was cut, is not done, and was not cancelled")

    # -- what the server answers (1, 9) --------------------------------------------------------------------------------------

    def underway(self, message: ServerSeen) -> None:
        """A message that could excuse a refusal left the server."""
        if message.type in _DECISIVE:
            self._underway.append(message)
            del self._underway[:-200]

    def refused(self, refusal: Refusal, cause: ClientSeen | None) -> bool:
        """The server refused something; whether that is on the closed list and excused."""
        ledger = self._ledger
        code = refusal.code or _code(refusal.message)
        ledger.errors[code] = ledger.errors.get(code, 0) + 1
        why = f"the server refused {cause.type if cause is not None else 'nothing of ours'}: {code}: {refusal.message}"
        if code == "session_expired":
            return True  # nobody's fault: the session had its time
        if refusal.injected and cause is None:
            return True  # told behind its response: it answers nothing any more
        if cause is None or refusal.event is None:
            # The server's own automatic creation met a running response; that one must have been running.
            if code == "conversation_already_has_active_response" and self._running(refusal):
                ledger.saw("B13: the server's own creation was refused")
                return True
            ledger.fail(9, why)
            return False
        if refusal.injected or self._behind_a_lost_one(refusal, cause):
            self._withdraw(cause)
            return True
        if cause.type in RAW:
            ledger.saw("words: a raw event was refused")
            return True
        if code == "response_cancel_not_active" and cause.response_id in self._untold():
            ledger.saw("C14: a cancel of what had ended untold")
            return True
        unknowable = excused(ledger, self._items, cause, refusal.message)
        if unknowable is not None:
            ledger.saw(unknowable)
            return True
        decisive = _EXCUSES.get(code)
        if decisive is None:
            ledger.fail(9, why)
            return False
        if code == "conversation_already_has_active_response" and self._accepted_unseen(refusal, cause):
            ledger.saw(_RACES[code])
            return True
        for message in reversed(self._underway):
            late = message.got_order == 0 or message.got_order > cause.sent_order
            if late and message.type in decisive and _concerns(message, cause):
                ledger.saw(_RACES[code])
                return True
        ledger.fail(9, f"{why}; nothing decisive was under way")
        return False

    def _behind_a_lost_one(self, refusal: Refusal, cause: ClientSeen) -> bool:
        """It was to stand behind an item that the server did not take, and left before that was known."""
        if cause.type != "conversation.item.create" or not isinstance(refusal.event, dict):
            return False
        lost = refusal.param == "previous_item_id" and refusal.event.get("previous_item_id") in self._lost
        if lost:
            self._ledger.saw("B22: a list broken off by a refusal")
        return lost

    def take_back(self) -> None:
        """The client learns that an item of its own was refused: what it has asked for since would answer nothing (F071)."""
        self._ledger.killed_at = self._ledger.now
        for creation in self._ledger.creations:
            creation.withdrawn = creation.withdrawn or not creation.out_of_band

    def _withdraw(self, cause: ClientSeen) -> None:
        """What was sent with an item that was refused may be taken back: an answer to it would answer nothing (F071)."""
        if cause.type == "conversation.item.create":
            self._lost.add((cause.item or {}).get("id") or "")
            self._ledger.killed_at = self._ledger.now
            for creation in self._ledger.creations:
                creation.withdrawn = creation.withdrawn or creation.sent.sent_at >= cause.sent_at
            for response in self._ledger.running.values():
                response.withdrawn = response.withdrawn or response.asked_at >= cause.sent_at

    def _accepted_unseen(self, refusal: Refusal, cause: ClientSeen) -> bool:
        """The server had accepted a response of its own, of which the client had not been told when it sent."""
        told = {m.response.id: m for m in self._underway if m.type == "response.created" and m.response is not None}
        for response in self._running(refusal):
            message = told.get(response.id)
            if message is None or message.got_order == 0 or message.got_order > cause.sent_order:
                return True
        return False

    def _running(self, refusal: Refusal) -> list[ServerResponse]:
        """The responses of the conversation that ran at the server when it refused."""
        return [
            response
            for response in self._responses.values()
            if not response.out_of_band
            and response.accepted_at <= refusal.at
            and (response.done_at is None or response.done_at >= refusal.at)
        ]

    def creation_answered(self, *, event_id: str | None = None, request: object = None) -> Creation | None:
        """A creation was accepted or refused: it is in flight no more. Gives it, if there was one."""
        ledger = self._ledger
        for creation in ledger.creations:
            by_event = event_id is not None and creation.event_id == event_id
            if by_event or (request is not None and creation.request == request):
                ledger.creations.remove(creation)
                return creation
        return None

    # -- tools (10) ----------------------------------------------------------------------------------------------------------

    def tool_called(self, notice: ToolCalled) -> None:
        """A function call was given to the program."""
        ledger = self._ledger
        self._called[notice.call_id] = self._called.get(notice.call_id, 0) + 1
        ledger.called.add(notice.call_id)
        if self._called[notice.call_id] > 1:
            ledger.fail(10, f"{notice.call_id} was called twice")
        item = ledger.items.get(notice.item_id)
        if item is not None:
            item.called = True
            self._responses_of_calls[notice.call_id] = item.response
            if sum(each.type == "function_call" for each in item.response.items.values()) == 2:
                ledger.saw("C26: several calls in one response")
            if ledger.stream.unconfirmed > 0 and any(each.segments for each in item.response.items.values()):
                ledger.saw("F074: a call was told while the words before it sounded")
            if ledger.now > item.call_done_at >= 0:
                ledger.fail(
                    10, f"{notice.call_id} was told {(ledger.now - item.call_done_at) // MILLISECOND} ms after it was complete"
                )
            others = (each for each in item.response.items.values() if each.call_done and not (each.called or each.deletes))
            if any(each.call_order < item.call_order for each in others):
                ledger.fail(10, f"{notice.call_id} was told before another that was complete first (F074)")
        if item is None or not item.call_done:
            ledger.fail(10, f"{notice.call_id} was called before it was complete")

    def tools_settled(self, truth: Mapping[str, ServerItem]) -> None:
        """At the end: every completed call that the server still holds has its output, and no incomplete one is left."""
        for item in truth.values():
            if item.type != "function_call" or item.deleted or item.out_of_band or item.call_id is None:
                continue
            record = self._ledger.items.get(item.id)
            if record is None:
                continue
            count = self._outputs.get(item.call_id, 0)
            if item.status == "completed" and count != 1:
                self._ledger.fail(10, f"{item.call_id} completed and has {count} outputs")
            elif not self._ledger.able.delete:
                pass  # it cannot be taken out
            elif item.status != "completed" and record.announced and not record.response.cancels and count == 0:
                self._ledger.fail(10, f"{item.call_id} never completed and was left in the conversation")

    # -- deadlines (12) ------------------------------------------------------------------------------------------------------

    def ticked(self, before: Deadline, after: Deadline | None) -> None:
        """The core was ticked at its deadline."""
        if after is not None and after.at <= before.at:
            self._ledger.fail(12, f"after tick({before.at}) for {before.why!r} the deadline is {after.at} ({after.why!r})")

    def give_up(self) -> None:
        """What was not answered for so long is not waited for any more; a creation may still turn up, and is unwanted then."""
        ledger = self._ledger
        if ledger.edits and ledger.now >= ledger.edits[0].at + _EDIT_WAIT - ROUNDING:
            ledger.edits = [edit for edit in ledger.edits if ledger.now < edit.at + _EDIT_WAIT - ROUNDING]
        for creation in ledger.creations:
            if not creation.expired and ledger.now >= creation.sent.sent_at + _CREATE_WAIT - ROUNDING:
                creation.expired = True
                self.expired(creation)

    def waiting(self, deadline: Deadline | None) -> None:
        """What the core waits for has a deadline with a reason."""
        ledger = self._ledger
        self.give_up()
        if deadline is None:
            what = "a flush" if ledger.flush_open else "an edit" if ledger.edits else ""
            what = what or ("a creation" if any(not (one.expired or one.doubted) for one in ledger.creations) else "")
            if what:
                ledger.fail(12, f"the core waits for the answer to {what} without a deadline")
        elif not deadline.why:
            ledger.fail(12, "a deadline without a reason")


def is_note(item: Mapping[str, Any]) -> bool:
    """Whether the core tells the server by this item what was heard: by the heard words, or by a note (DESIGN section 5)."""
    content = item.get("content") or [{}]
    return item.get("role") == "assistant" or (
        item.get("role") == "system" and str(content[0].get("text", "")).startswith("The user interrupted ")
    )


_DECISIVE = frozenset(
    {
        "response.done",
        "response.created",
        "input_audio_buffer.committed",
        "input_audio_buffer.cleared",
        "conversation.item.deleted",
    }
)
_EXCUSES: dict[str, frozenset[str]] = {
    "response_cancel_not_active": frozenset({"response.done"}),
    "conversation_already_has_active_response": frozenset({"response.created"}),
    "input_audio_buffer_commit_empty": frozenset({"input_audio_buffer.committed", "input_audio_buffer.cleared"}),
    "item_delete_invalid_item_id": frozenset({"conversation.item.deleted"}),
}


_RACES = {
    "response_cancel_not_active": "C14: a cancel that lost the race",
    "conversation_already_has_active_response": "B13: a creation that lost the race",
    "input_audio_buffer_commit_empty": "F123: a commit that lost the race",
    "item_delete_invalid_item_id": "F108: a delete that lost the race",
}


def _concerns(message: ServerSeen, cause: ClientSeen) -> bool:
    if cause.type == "response.cancel":
        return message.response is not None and message.response.id == cause.response_id
    if cause.type == "conversation.item.delete":
        return message.item_id == cause.item_id
    return True


def _code(message: str) -> str:
    """Older servers send a null code: the text says which it is (facts 6)."""
    for text, code in (
        (_ACTIVE, "conversation_already_has_active_response"),
        (_NOT_ACTIVE, "response_cancel_not_active"),
        (_COMMIT, "input_audio_buffer_commit_empty"),
        ("buffer too small", "input_audio_buffer_commit_empty"),
        (_DELETE, "item_delete_invalid_item_id"),
        ("hit the maximum duration", "session_expired"),
        ("is already shorter than", "invalid_value"),
        ("is already truncated", "item_already_truncated"),
    ):
        if text in message:
            return code
    return message
