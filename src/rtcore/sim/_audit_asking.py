"""Who asks for an answer, when, and how often: one answer to each turn and to each batch of function results, never none, never
two (B13, B28, C15, C16, C26, F044, F046, F060 to F062, F064, F071).

What is owed is worked out from the messages that reached the client. ``may`` is what an answer that nobody asked for by name
could be for, ``must`` is what it has to be asked for: between the two lies what a client cannot know. Asked for are also the
requests of the program. Where one of these is due and nothing stands in its way, it has to leave at once, not with whatever
event happens to come by next.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Protocol

from rtcore._notices import RequestEnded, ServerError
from rtcore.sim._audit_truncates import HARMLESS
from rtcore.sim._ledger import ROUNDING, Creation, Ledger
from rtcore.sim._seen import ClientSeen, ServerSeen
from rtcore.sim._server_truth import Refusal, ServerItem, ServerResponse
from rtcore.sim.speaker import MILLISECOND

_SLOW = 500 * MILLISECOND
"""So long something may wait for which nothing in the ledger is a reason: what the core knows it knows at once."""
_ANSWER_WAIT = 2_000 * MILLISECOND
"""How long a server that answers turns by itself is given for it (the core's own patience)."""
_SLOT_WAIT = 10_000 * MILLISECOND
"""How long a response may hold the slot that the server spoke of and that does not show itself (``timeouts.create_ms``)."""
_GIVEN_UP = 5_000 * MILLISECOND
"""After so long without an answer the program is told that there was none (``timeouts.edit_ms``)."""
_SPEECH = 60_000 * MILLISECOND
"""So long speech may go on whose end is never told (F127)."""
_ACTIVE = "already has an active response"
_HARMLESS = ("Cancellation failed", "Error deleting item", "Audio content of")
"""Refusals that say only that what was wanted is so already (C09, C14)."""
_ANSWERED_CAUSES = ("server", "local", "cleared", "text", "device", "overflow")
"""A person's interruption, spoken or typed, leaves the answer to function results owed, and so does what nobody decided; the
program that interrupts decides what comes next."""


_OUTPUTS = ("function_call_output", "mcp_approval_response")
"""What answers a call of the model's."""
ASKING = frozenset(
    {
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "input_audio_buffer.cleared",
        "response.created",
        "response.output_item.added",
        "response.done",
        "conversation.item.added",
        "conversation.item.deleted",
    }
)
"""The messages of which ``arrived`` has to be told."""


class Truth(Protocol):
    """What it needs of a server."""

    @property
    def items(self) -> Mapping[str, ServerItem]:
        """Every item ever, by id."""

    @property
    def responses(self) -> Mapping[str, ServerResponse]:
        """Every response ever, by id."""


class AskingAudit:
    """Owner of: is each turn answered once? Breaks of it are invariants 1 (too much is asked) and 15 (too little)."""

    def __init__(
        self,
        ledger: Ledger,
        truth: Truth,
        *,
        named: Callable[[str], bool],
        owed_delete: Callable[[], str | None],
        creates: bool,
        answers: bool,
        finds: bool = True,
        no_turn_ms: int = 2_000,
    ) -> None:
        """``named``: whether the program was given this request's number. ``creates``: the server answers turns by itself.
        ``answers``: the core answers those that nobody else does (``config.answer_turns``). ``finds``: the server finds them.
        ``no_turn_ms``: after so much silence speech counts as having become no turn (``barge_in.false_interruption_ms``).
        """
        self.waits = False
        """Something is due: ``look`` has to be called after each step."""
        self.ready = False
        """The session is up."""
        self.unsettled: AbstractSet[int] = frozenset()
        """The program's edits that have no answer yet."""
        self.undecided: Callable[[], bool] = lambda: False
        """Whether it is open what the user's speech is: nothing is answered then."""
        self._ledger = ledger
        self._truth = truth
        self._named = named
        self._owed_delete = owed_delete
        self._creates = creates
        self._answers = answers
        self._finds = finds
        self._no_turn = no_turn_ms * MILLISECOND
        self._may_turn = self._may_tools = False
        self._must_turn = self._must_tools = False
        self._must_again = False
        """An answer was owed to results of which one was refused: it is owed again once the server has confirmed another."""
        self._let_go = False
        """The last that the program did about the turns was to let go of the button."""
        self._committed_at = 0
        self._turns: set[str] = set()
        """Items of the user's turns that were committed."""
        self._taken_out: dict[str, int] = {}
        """Answers that nobody could hear, and when they were taken out: nothing is created before they are gone."""
        self._silent: set[str] = set()
        """Calls about whose result nothing is to be said."""
        self._calls: dict[str, dict[str, str | None]] = {}
        """By response: its calls that the program was given, with the item of the output that was sent."""
        self._finished: list[str] = []
        """Responses that have just ended: their batches are looked at when the session has heard of it."""
        self._begun_ids: set[str] = set()
        """Responses of the conversation that have shown themselves."""
        self._outputs: set[str] = set()
        """Items of outputs that no response is known to have seen."""
        self._unconfirmed: set[str] = set()
        """Items of outputs that the client has not been told the server has."""
        self._lost: set[str] = set()
        """Outputs that the server refused, or may have."""
        self._doubted = False
        """An output was refused, perhaps, and none was confirmed since: an answer may wait for the next one's confirmation ..."""
        self._refuses_outputs = False
        """.. and must, because the refusal named the output (F071)."""
        self._batch_of: dict[str, dict[str, str | None]] = {}
        """By output: its call and the others of their response, with their outputs."""
        self._sent_at: dict[str, int] = {}
        """When outputs were sent."""
        self._asked_for: set[str] = set()
        """.. and those for which an answer is under way: without it, none has seen them."""
        self._queued: dict[str, str] = {}
        """Requests of the program for a response that were not sent yet: what asked for them."""
        self._results: set[str] = set()
        """Requests that were function results."""
        self._ended: set[str] = set()
        """Requests that have settled."""
        self._tries: dict[str, int] = {}
        self._refused: dict[str, int] = {}
        self._text = ""
        self._typed: list[tuple[str, str]] = []
        """Texts whose item was not sent yet, with their requests."""
        self._recognised: list[str] = []
        """Turns that came in words and whose item was not sent yet ..."""
        self._said: dict[str, int] = {}
        """.. and items of those that no response is known to have seen, and when they were sent."""
        self._spoken_first: dict[str, bool] = {}
        """By their words: whether no typed text of the same words waited to be sent when they came."""
        self._untold: dict[str, int] = {}
        """Items of those that the client has not been told the server has, and when they were sent."""
        self._questions: dict[str, str] = {}
        """By event: the request whose question it was."""
        self._unasked: set[str] = set()
        """Requests whose question was refused."""
        self._gave_way = False
        """A request gave way to a later one, and no response has begun since."""
        self._taken_until = 0
        """The server said that a response runs of which nothing was seen: so long the slot counts as taken."""
        self._named_error = True
        """The last error that reached the client said what it answers."""
        self._blind_until = 0
        """A refusal that named nothing answered a creation: so long the core may take it for unanswered."""
        self._refused_for = ""
        """The text of an error that may have refused the server's own attempt: it names what held the slot."""
        self._awaited_until = 0
        """The server is about to answer a turn by itself, or to commit one that the core answers."""
        self._since: int | None = None
        self._before = (False, False, frozenset[str]())
        """What was due to function results before the latest response began, for one that is taken back."""

    @property
    def blind(self) -> bool:
        """Whether the client may take a request for unanswered that was refused, because the refusal named nothing."""
        return self._ledger.now <= self._blind_until + ROUNDING

    # -- what reaches the client ---------------------------------------------------------------------------------------------

    def arrived(self, message: ServerSeen) -> None:
        """A message has reached the client, and the ledger says so."""
        match message.type:
            case "input_audio_buffer.speech_stopped":
                self._await_server()
                self._await_commit()
            case "input_audio_buffer.committed":
                self._committed(message)
            case "input_audio_buffer.cleared":
                self._awaited_until = 0
            case "response.created" | "response.output_item.added":
                self._begun(message)
            case "response.done":
                if message.response is not None:
                    self._over(message.response.id)
            case "conversation.item.added" if message.item is not None:
                self._confirmed(message.item.id)
            case "conversation.item.deleted":
                self._taken_out.pop(message.item_id or "", None)
                self._call_deleted(message.item_id or "")
            case _:
                return
        self._settle()

    def _await_server(self) -> None:
        if self._creates:
            self._awaited_until = self._ledger.now + _ANSWER_WAIT

    def _await_commit(self) -> None:
        """A turn that is answered by the core is about to be committed: its answer is one to what else is due."""
        ledger = self._ledger
        if self._finds and not self._creates and ledger.fell_silent == ledger.now:
            self._awaited_until = ledger.now + self._no_turn

    def committed(self) -> None:
        """The client is told of a turn, whether or not it is known yet that it is answered."""
        if not self._creates:
            self._awaited_until = 0

    def _committed(self, message: ServerSeen) -> None:
        if message.item_id in self._turns:
            return  # told twice
        self._turns.add(message.item_id or "")
        if self._finds:
            self._ledger.here.silent()
        if self._creates:
            self._await_server()
            self._must_turn = False  # the server's answer, however late, is one to the turn before as well
        elif self._answers and self._ledger.detects:
            self._may_turn = self._must_turn = True
        self._committed_at = message.sent_at

    def _begun(self, message: ServerSeen) -> None:
        """A response shows itself: it may be the answer to what is due."""
        response_id = message.response.id if message.response is not None else message.response_id
        record = self._ledger.responses.get(response_id or "")
        served = self._truth.responses.get(response_id or "")
        if record is None or served is None or record.out_of_band or record.id in self._begun_ids:
            return
        self._begun_ids.add(record.id)
        self._taken_until = self._awaited_until = 0
        if record.dead:
            self.called_back()  # interrupted before it began: it answers nothing
            return
        self._gave_way = False
        self._look_at_batches()  # what ended before, in messages that came together, is answered by this one as well
        self._before = (self._may_tools, self._must_tools, frozenset(self._outputs))
        # A turn that the server has said nothing of when a response shows itself has not been seen by it.
        unsaid = bool(self._recognised) or any(not self._overdue(sent_at) for sent_at in self._untold.values())
        # Nor has one that was asked for before it was sent.
        unsaid = unsaid or any(sent_at > record.asked_at >= 0 for sent_at in self._said.values())
        self._must_turn = self._must_turn and unsaid
        self._must_tools = self._must_again = False
        if record.created and not (record.doubtful or record.withdrawn):
            accepted = round(served.accepted_at * 1_000_000_000)
            # Of one that the client asked for, accepted in the instant of the commit, nobody can say which came first.
            after = ROUNDING if record.asked_at >= 0 else -ROUNDING
            seen = all(self._held(item_id, served.accepted_at) for item_id in self._said)
            # What held the slot while one of the server's own may have been refused is not the answer that was refused.
            seen = seen and record.id not in self._refused_for
            if accepted > self._committed_at + after and not self._recognised and seen:
                self._may_turn = False
                self._said.clear()
            if all(self._held(item_id, served.accepted_at) for item_id in self._outputs):
                self._may_tools = False
                self._outputs.clear()

    def taken_back(self) -> None:
        """The response that has just begun is not to be heard: what it was to answer is due again."""
        self._may_turn = self._must_turn = True
        self._may_tools, self._must_tools, outputs = self._before
        self._outputs |= outputs
        self._settle()

    def called_back(self) -> None:
        """An answer is not to be heard, because it was interrupted before it began, or because the turn that it was for was
        refused: results that it was to answer may be answered by another."""
        if self._asked_for:
            self._may_tools = True
            self._outputs |= self._asked_for
            self._asked_for.clear()

    def over(self, response_id: str) -> None:
        """A response is over of whose end nobody was told."""
        self._over(response_id)
        self._settle()

    def _over(self, response_id: str) -> None:
        """A response ended: one of the conversation that never began has shown itself by that (C18)."""
        record = self._ledger.responses.get(response_id)
        if response_id not in self._begun_ids and not (record is not None and record.out_of_band):
            self._begun_ids.add(response_id)
            self._taken_until = 0
        self._batch(response_id)
        self._finished.append(response_id)

    def _held(self, item_id: str, at: float) -> bool:
        item = self._truth.items.get(item_id)
        # In one instant nobody can say which came first.
        return item is not None and item.announced_at is not None and item.announced_at < at

    def refused(self, refusal: Refusal, creation: Creation | None) -> None:
        """An error has reached the client that answers this refusal; ``creation`` is the one that it ended."""
        told = refusal.message
        event = refusal.event if isinstance(refusal.event, dict) else {}
        unnamed = refusal.event_id is None
        self._named_error = not unnamed
        if _ACTIVE in told:
            if unnamed and self._creates and creation is not None:
                # It may have been the server's own attempt that was refused: only what comes next shows it.
                self._blind_until = self._ledger.now + _SLOT_WAIT
                self._refused_for = told
            elif not self._running():
                self._taken_until = self._ledger.now + _SLOT_WAIT
            elif unnamed and not any(known in told for known in self._begun_ids):
                # What it names has not shown itself, whatever else runs.
                self._blind_until = self._ledger.now + _SLOT_WAIT
            if refusal.event is None or (unnamed and self._creates):
                self._may_turn = self._may_turn or self._answers
            if refusal.event is None:
                self._awaited_until = 0
                self._must_turn = self._answers and not self._ledger.creations
        if creation is not None and unnamed:
            self._blind_until = max(self._blind_until, creation.sent.sent_at + _SLOT_WAIT)
        if creation is not None and not creation.out_of_band and creation.request is not None:
            self._creation_refused(creation, creation.request, active=_ACTIVE in told)
        kind = event.get("type")
        if kind == "input_audio_buffer.commit" and self._ledger.commits:
            self._ledger.commits.popleft()
        if kind == "conversation.item.create" and self._gave_way:
            self._may_turn = True  # what gave way to the one that is refused is answered all the same
        if kind == "conversation.item.create" and not unnamed:
            asked = self._questions.pop(str(event.get("event_id")), None)
            if asked is not None:
                self._unasked.add(asked)
            if event.get("item", {}).get("id") in self._said:
                del self._said[event["item"]["id"]]
                self._untold.pop(event["item"]["id"], None)
                self._must_turn = False  # a turn in words that the server does not have is answered by nothing
            if event.get("item", {}).get("type") in _OUTPUTS:
                self._lost.add(str(event["item"].get("id")))
                self._outputs.discard(str(event["item"].get("id")))
                # The program was told that its result is lost: nothing is to be said about it, whenever its response ends.
                self._silent.add(str(event["item"].get("call_id") or event["item"].get("approval_request_id")))
                self._unconfirmed.discard(str(event["item"].get("id")))
                # What the server has of other results is answered all the same: a person waits for it (F062).
                answerable = self._answerable()
                self._may_tools = self._may_tools and answerable
                self._must_again = self._must_again or (self._must_tools and not answerable)
                self._must_tools = self._must_tools and answerable
                # One that had been given up by then was told to have had no answer: nobody knows it again.
                given_up = self._overdue(self._sent_at.pop(str(event["item"].get("id")), 0))
                self._doubted = True
                self._refuses_outputs = self._refuses_outputs or not given_up
        elif kind == "conversation.item.create":
            self._lost |= self._unconfirmed
            self._must_tools = self._must_again = False
            self._doubted = True
        self._settle()

    def _creation_refused(self, creation: Creation, request: str, *, active: bool) -> None:
        if active:
            self._refused[request] = self._refused.get(request, 0) + 1
        if self._named(request):
            if active and not creation.killed and self._tries.get(request, 0) < 2 and request not in self._ended:
                self._queued[request] = "a request that was refused because a response ran"
        else:
            self._asked_in_vain()

    # -- what the core sends -------------------------------------------------------------------------------------------------

    def typed(self, text: str) -> None:
        """The program sends text; the request that is issued next is that text's."""
        self._text = text

    def recognised(self, text: str) -> None:
        """The program tells a turn of the user in words: it is answered like one that was committed."""
        self._recognised.append(text)
        self._spoken_first[text] = not any(typed[0] == text for typed in self._typed)
        self._may_turn = self._must_turn = True
        self._settle()

    def unheard(self) -> None:
        """What was answered is to be answered once more, because nobody could hear it."""
        self._may_turn = self._must_turn = True
        self._settle()

    def missing(self) -> None:
        """An answer is gone that nobody cut: what it was to answer may be asked for once more."""
        self._may_turn = self._may_tools = True

    def takes_out(self, item_id: str) -> None:
        """What nobody could hear is deleted before it is asked for again (F140)."""
        self._taken_out[item_id] = self._ledger.now

    def issued(self, request: int, what: str) -> None:
        """The program was given a request's number."""
        if what == "tool_result":
            self._results.add(str(request))
        if what not in ("respond", "send_text"):
            return
        self._queued[str(request)] = what
        if what == "send_text":
            self._typed.append((self._text, str(request)))
        self._settle()

    def create_response(self, message: ClientSeen, creation: Creation) -> None:
        """A ``response.create`` has left the core."""
        ledger, request = self._ledger, creation.request
        if request is None:
            return
        self._queued.pop(request, None)
        self._tries[request] = tries = self._tries.get(request, 0) + 1
        if request in self._unasked:
            ledger.fail(1, f"an answer was asked for (request {request}) although the server had refused the question")
        self._settle()
        if creation.out_of_band:
            return
        if ledger.now + ROUNDING < self._taken_until:
            ledger.fail(1, "response.create although the server had said that a response runs, and none was seen to end")
        if tries > 2:
            ledger.fail(1, f"request {request} was sent {tries} times")
        if not self._named(request):
            self._asked_by_itself()
        self._settle()

    def _asked_by_itself(self) -> None:
        ledger = self._ledger
        if not (self._may_turn or self._may_tools):
            ledger.fail(1, "an answer was asked for that nobody is owed")
        unseen = self._outputs & self._unconfirmed
        # One that is overdue counts as on its way (F061).
        late = any(self._overdue(self._sent_at.get(item_id, ledger.now)) for item_id in unseen)
        blindly = unseen == self._outputs and not late and not any(map(self._has_another, unseen))
        if self._refuses_outputs and unseen and blindly and not self._may_turn:
            ledger.fail(1, "an answer was asked for although the server had refused an output, and confirmed none since (F071)")
        if self.undecided():
            ledger.fail(1, "an answer was asked for while it was open whether the user interrupts")
        if ledger.talking and ledger.now < ledger.talking_since + _SPEECH - ROUNDING:
            ledger.fail(1, "an answer was asked for while the user speaks")
        elif ledger.here.surely(ledger.now):
            by = "the button is down" if ledger.here.pressed else "a local detector hears the user"
            ledger.fail(1, f"an answer was asked for while {by}")
        elif ledger.now + ROUNDING < self._awaited_until:
            about = "give its own" if self._creates else "commit the turn"
            ledger.fail(1, f"an answer was asked for while the server was about to {about}")
        self._look_at_batches()
        self._may_turn = self._may_tools = False
        self._must_turn = self._must_tools = self._must_again = False
        self._asked_for, self._outputs = self._outputs, set()

    def _overdue(self, sent_at: int) -> bool:
        """Whether the program has been told by now that what was sent then had no answer."""
        return self._ledger.now + ROUNDING >= sent_at + _GIVEN_UP

    def expired(self, creation: Creation) -> None:
        """A creation had no answer in time: what nobody waits for by name may be asked for again (F061)."""
        if creation.request is not None and not (creation.killed or creation.out_of_band or self._named(creation.request)):
            self._asked_in_vain()

    def _asked_in_vain(self) -> None:
        self._may_turn = self._may_tools = True
        self._outputs |= self._asked_for
        self._asked_for.clear()

    def create_item(self, message: ClientSeen) -> None:
        """A ``conversation.item.create`` has left the core."""
        body = message.item or {}
        if body.get("type") == "function_call_output":
            self._output_sent(str(body.get("call_id")), str(body.get("id")))
        elif body.get("type") == "mcp_approval_response":
            self._output_sent(str(body.get("approval_request_id")), str(body.get("id")))
        elif body.get("role") == "user" and message.event_id is not None:
            said = "".join(str(part.get("text", "")) for part in body.get("content", ()))
            # What is typed may be the same words: items leave in the order in which they were given.
            if said in self._recognised and (self._spoken_first.get(said) or all(typed[0] != said for typed in self._typed)):
                self._recognised.remove(said)
                self._said[str(body.get("id"))] = self._ledger.now
                self._untold[str(body.get("id"))] = self._ledger.now
                return
            typed = next((typed for typed in self._typed if typed[0] == said), None)
            if typed is not None:
                self._typed.remove(typed)
                self._questions[message.event_id] = typed[1]

    # -- function calls ------------------------------------------------------------------------------------------------------

    def tool_called(self, call_id: str, response_id: str) -> None:
        """The program was given a function call."""
        self._calls.setdefault(response_id, {})[call_id] = None

    def wants_no_answer(self, call_id: str) -> None:
        """The program answers this call and wants nothing said about it."""
        self._silent.add(call_id)

    def _confirmed(self, item_id: str) -> None:
        """The client is told that the server has an item."""
        if item_id in self._untold:
            # What was sent before it has been dealt with, whether or not a word of that came.
            for earlier in list(self._untold):
                del self._untold[earlier]
                if earlier == item_id:
                    break
        if item_id in self._unconfirmed:
            self._unconfirmed.discard(item_id)
            # What waited for it may be asked for now, though another output of its batch was refused.
            self._may_tools = self._may_tools or self._doubted
            self._doubted = self._refuses_outputs = False
            if self._must_again and self._answerable():
                self._must_tools, self._must_again = True, False

    def _call_deleted(self, item_id: str) -> None:
        """A call's item left the conversation: it cannot be answered any more."""
        item = self._ledger.items.get(item_id)
        calls = self._calls.get(item.response.id) if item is not None else None
        if item is not None and calls and calls.get(item.call_id or "", "") is None:
            del calls[item.call_id or ""]
            self._batch(item.response.id)

    def _output_sent(self, call_id: str, item_id: str) -> None:
        self._sent_at[item_id] = self._ledger.now
        for response_id, calls in self._calls.items():
            if call_id in calls:
                calls[call_id] = item_id
                self._batch_of[item_id] = calls
                self._outputs.add(item_id)
                self._unconfirmed.add(item_id)
                self._batch(response_id)
                self._finished.append(response_id)
                self._settle()
                return
        self._unconfirmed.add(item_id)  # the core's own, to a call that was cut

    def _batch(self, response_id: str, *, owed: bool = False) -> None:
        """Every call of a response that is done has its output: one answer may be asked for, or is owed (F062)."""
        record = self._ledger.responses.get(response_id)
        calls = self._calls.get(response_id)
        if record is None or not record.done or not calls or any(item is None for item in calls.values()):
            return
        if owed:
            del self._calls[response_id]
        if record.out_of_band or all(call_id in self._silent for call_id in calls):
            return
        by_button = record.cut is not None and record.cut.by_button
        cause = "local" if by_button else record.silenced_by or (record.cut.cause if record.cut is not None else "program")
        if (record.dead or record.silenced_by) and cause not in _ANSWERED_CAUSES:
            # Heard to its end when a person spoke, and then the device was lost: who cut it, the client cannot know.
            self._may_tools = self._may_tools or record.heard_out
            for item in calls.values():
                self._batch_of.pop(item or "", None)  # no other batch is answered because of these (F064)
            return
        self._may_tools = True
        # Heard to its end, and flushed before the client knew: whether that cut it, nobody can say.
        # Outputs that were refused before their response was done are nothing to be answered (F071).
        answerable = any(item not in self._lost for item in calls.values())
        self._must_tools = self._must_tools or (owed and answerable and not record.heard_out)

    def _answerable(self) -> bool:
        """Whether the client knows that the server has a result of which no response is known to have seen, of those that are
        all there and about which something is to be said."""
        for item_id in self._outputs - self._unconfirmed - self._lost:
            calls = self._batch_of.get(item_id, {})
            spoken = any(item == item_id and call_id not in self._silent for call_id, item in calls.items())
            if spoken and all(item is not None for item in calls.values()):
                return True
        return False

    def _has_another(self, item_id: str) -> bool:
        """Whether the server has another result of the same response: that is answered, whatever becomes of this one."""
        others = set(self._batch_of.get(item_id, {}).values()) - {item_id, None}
        return any(each not in self._unconfirmed and each not in self._lost for each in others)

    def _look_at_batches(self) -> None:
        for response_id in self._finished:
            self._batch(response_id, owed=True)
        self._finished.clear()

    # -- the program, the notices --------------------------------------------------------------------------------------------

    def lets_go(self) -> None:
        """The button is up, which makes a turn, or was touched for nothing."""
        self._let_go = True

    def dropped(self) -> None:
        """The program interrupted everything: it decides itself what comes next."""
        self._let_go = self._gave_way = False
        self._may_turn = self._may_tools = self._must_turn = self._must_tools = self._must_again = False
        self._asked_for.clear()
        self._settle()

    def request_ended(self, notice: RequestEnded) -> None:
        """A request of the program's settled."""
        request = str(notice.request)
        self._ended.add(request)
        waited = self._queued.pop(request, None) is not None
        if notice.outcome == "timed_out" and waited and self._gave_way and request in self._questions.values():
            self._may_turn = True  # .. and what gave way to one that had no answer, which is no refusal of the turn before it
        self._gave_way |= notice.outcome == "superseded"
        if request in self._results and notice.outcome != "done":
            # The program was told that its result is lost, and decides, unless the server has others (F071).
            self._must_tools = self._must_tools and self._answerable()
            self._refuses_outputs = self._refuses_outputs and notice.outcome != "timed_out"  # a late one is answered all the same
        problem = notice.problem
        if self._let_go and problem is not None and problem.code == "input_audio_buffer_commit_empty":
            self._let_go = False
            self._may_turn = self._may_turn or self._answers  # what it cut unheard may be asked for once more (F120)
        # Where an error names nothing, whose it is can only be guessed.
        known = notice.outcome == "failed" and self._named_error and request not in self._unasked
        if known and any(each.request == request and not each.expired for each in self._ledger.creations):
            self._ledger.fail(2, f"request {request} failed although the server had not refused it")
        active = notice.outcome == "failed" and problem is not None and _ACTIVE in problem.message
        if active and self._refused.get(request) and self._tries.get(request, 0) < 2:
            self._ledger.fail(1, f"request {request} failed because a response ran, and was not tried again")
        self._settle()

    def server_error(self, notice: ServerError) -> None:
        """The program is told of an error of the server's."""
        said = notice.problem.message
        if said.startswith(_HARMLESS) or said.endswith(f"{HARMLESS}."):
            self._ledger.fail(9, f"the program was told of an error that says nothing: {notice.problem.message}")

    # -- is anything late? ---------------------------------------------------------------------------------------------------

    def _running(self) -> bool:
        ledger = self._ledger
        in_flight = any(not (creation.out_of_band or creation.expired) for creation in ledger.creations)
        return in_flight or any(not response.out_of_band for response in ledger.running.values())

    def _settle(self) -> None:
        self.waits = bool(self._queued or self._must_turn or self._must_tools or self._finished)
        if not self.waits:
            self._since = None

    def look(self) -> None:
        """Something is due: does anything stand in its way?"""
        ledger = self._ledger
        now = ledger.now
        if self._finished:
            self._look_at_batches()
            self._settle()
            if not self.waits:
                return
        gated = (
            not self.ready
            or now <= max(self._taken_until, self._blind_until) + ROUNDING
            or bool(ledger.edits)
            or bool(self.unsettled)
            or any(now <= since + _GIVEN_UP + ROUNDING for since in self._taken_out.values())
            or ledger.flush_waits
            or self.undecided()
            or self._running()
            or self._owed_delete() is not None
            or (self._doubted and bool(self._unconfirmed) and not (self._must_turn or self._queued))
        )
        floor = ledger.talking or ledger.here.perhaps(now) or now <= self._awaited_until + ROUNDING
        if gated or not (self._queued or not floor):
            self._since = None
        elif self._since is None:
            self._since = now
        elif now > self._since + _SLOW:
            what = next(iter(self._queued.values()), None)
            what = what or ("the answer to a turn" if self._must_turn else "the answer to function results")
            ledger.fail(15, f"nothing stands in its way, and {what} was not asked for in {_SLOW // MILLISECOND} ms")
            self._queued.clear()
            self._must_turn = self._must_tools = False
            self._settle()
