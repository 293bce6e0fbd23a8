"""The auditor's rules about asking: each turn and each batch of results is answered once, and at once."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from rtcore import PCM16_24K, Effect, Problem, RequestEnded, Send, ServerError, Session
from rtcore.sim import Scenario, ServerOptions, World, WorldResult, synthetic_voices
from rtcore.sim._audit_asking import AskingAudit
from rtcore.sim._ledger import Creation, Edit, Ledger, ResponseRecord
from rtcore.sim._seen import ClientSeen, ItemSeen, ResponseSeen, ServerSeen
from rtcore.sim._server_truth import Refusal, ServerItem, ServerResponse

VOICES = synthetic_voices(1)
SECOND = 1_000_000_000
BUSY = "Conversation already has an active response in progress: r0."


class _Server:
    def __init__(self) -> None:
        self.items: dict[str, ServerItem] = {}
        self.responses: dict[str, ServerResponse] = {}


class Case:
    """One auditor of asking, with the ledger written by hand."""

    def __init__(self, *, creates: bool = False) -> None:
        self.ledger = Ledger(1, PCM16_24K, 0)
        self.ledger.detects = True
        self.server = _Server()
        self.named: set[str] = set()
        self.audit = AskingAudit(
            self.ledger,
            self.server,
            named=self.named.__contains__,
            owed_delete=lambda: None,
            creates=creates,
            answers=True,
        )
        self.audit.ready = True

    def at(self, seconds: float) -> "Case":
        self.ledger.now = round(seconds * SECOND)
        return self

    def told(self) -> list[tuple[int, str]]:
        return [(one.invariant, one.text) for one in self.ledger.violations]

    def turn(self, item: str = "u1") -> None:
        self.audit.arrived(ServerSeen("input_audio_buffer.speech_stopped", item_id=item, sent_at=self.ledger.now))
        self.audit.committed()
        self.audit.arrived(ServerSeen("input_audio_buffer.committed", item_id=item, sent_at=self.ledger.now))

    def create(self, request: str, *, out_of_band: bool = False) -> Creation:
        message = ClientSeen("response.create", event_id=f"e{request}", sent_at=self.ledger.now)
        creation = Creation(f"e{request}", request, out_of_band, message)
        self.ledger.creations.append(creation)
        self.audit.create_response(message, creation)
        return creation

    def begun(self, response: str = "r1", *, out_of_band: bool = False) -> None:
        self.ledger.creations.clear()
        record = ResponseRecord(response, 0, out_of_band=out_of_band, known=True, created=True)
        self.ledger.responses[response] = self.ledger.running[response] = record
        accepted = self.ledger.now / SECOND
        self.server.responses[response] = ServerResponse(response, "client", accepted, out_of_band, None)
        self.audit.arrived(ServerSeen("response.created", response=ResponseSeen(response)))

    def done(self, response: str = "r1") -> None:
        self.ledger.running.pop(response).done = True
        self.audit.arrived(ServerSeen("response.done", response=ResponseSeen(response, "completed")))

    def refused(self, creation: Creation | None, message: str = BUSY, *, event: Any = None) -> None:
        named = creation.event_id if creation is not None else None
        if creation is not None:
            self.ledger.creations.remove(creation)
            event = {"type": "response.create", "event_id": named}
        named = named or (event or {}).get("event_id")
        self.audit.refused(Refusal(0, "", None, message, None, named, event), creation)

    def output(self, call: str) -> None:
        body = {"type": "function_call_output", "id": f"out_{call}", "call_id": call}
        self.audit.create_item(ClientSeen("conversation.item.create", item=body))

    def question(self, request: int, text: str = "Well?") -> None:
        self.named.add(str(request))
        self.audit.typed(text)
        self.audit.issued(request, "send_text")
        body = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        self.audit.create_item(ClientSeen("conversation.item.create", event_id=f"q{request}", item=body))


def once(case: Case) -> None:
    case.turn()
    case.create("1")
    case.begun()
    case.done()


def twice(case: Case) -> None:
    once(case)
    case.create("2")


def by_both(case: Case) -> None:
    case.begun()
    case.turn()
    case.done()
    case.named.add("1")
    case.create("1")
    case.begun("r2")
    case.done("r2")
    case.create("2")


def over_the_user(case: Case) -> None:
    case.turn()
    case.ledger.talking = True
    case.create("1")


def too_early(case: Case) -> None:
    case.begun()
    case.audit.tool_called("a", "r1")
    case.audit.tool_called("b", "r1")
    case.done()
    case.output("a")
    case.create("1")


def into_a_taken_slot(case: Case) -> None:
    case.turn()
    case.refused(case.create("1"))
    case.create("2")


def a_third_time(case: Case) -> None:
    case.named.add("1")
    for at in (0, 20, 40):
        case.at(at).refused(case.create("1"))


def without_its_question(case: Case) -> None:
    case.question(1)
    case.refused(None, "no", event={"type": "conversation.item.create", "event_id": "q1", "item": {"type": "message"}})
    case.create("1")


def given_up(case: Case) -> None:
    case.named.add("1")
    case.audit.issued(1, "respond")
    case.refused(case.create("1"))
    case.audit.request_ended(RequestEnded(1, "failed", Problem("x", BUSY, True, "")))


@pytest.mark.parametrize(
    ("story", "said"),
    [
        (once, None),
        (twice, "nobody is owed"),
        (by_both, "nobody is owed"),
        (over_the_user, "while the user speaks"),
        (too_early, "nobody is owed"),
        (into_a_taken_slot, "none was seen to end"),
        (a_third_time, "sent 3 times"),
        (without_its_question, "had refused the question"),
        (given_up, "not tried again"),
    ],
)
def test_what_is_asked_too_often_breaks_1(story: Callable[[Case], None], said: str | None) -> None:
    """C15, F060, F062, F071, B13, F046."""
    case = Case()
    story(case)
    assert [(number, said in text) for number, text in case.told() if said] == ([(1, True)] if said else case.told())


@pytest.mark.parametrize(("asked_at", "blamed"), [(1, [1]), (2.1, [])])
def test_an_answer_of_ours_waits_for_the_servers_own(asked_at: float, blamed: list[int]) -> None:  # C16, F044
    case = Case(creates=True)
    case.begun()
    case.audit.tool_called("a", "r1")
    case.done()
    case.output("a")
    case.turn()
    case.at(asked_at).create("1")
    assert [(number, "about to give its own" in text) for number, text in case.told()] == [(number, True) for number in blamed]


@pytest.mark.parametrize("gate", ["edit", "slot", "speech", "none"])
def test_what_is_owed_and_not_asked_for_at_once_breaks_15(gate: str) -> None:  # B13, B28, C26, F061, F064
    case = Case()
    case.begun()
    case.audit.tool_called("a", "r1")
    case.output("a")
    case.done()
    if gate == "edit":
        case.ledger.edits.append(Edit("truncate", "m1", None, 0))
    elif gate == "slot":
        case.ledger.running["r2"] = ResponseRecord("r2", 1)
    elif gate == "speech":
        case.ledger.talking = True
    for at in (1, 1.3, 1.6):
        case.at(at).audit.look()
    assert [number for number, _ in case.told()] == ([15] if gate == "none" else [])


@pytest.mark.parametrize("order", ["confirmed first", "refused first"])
@pytest.mark.parametrize(("taken", "asks", "blamed"), [(1, True, []), (1, False, [15]), (0, True, [1]), (0, False, [])])
def test_a_batch_of_which_the_server_has_some_is_owed_an_answer_and_one_refused_as_a_whole_is_not(
    taken: int, asks: bool, blamed: list[int], order: str
) -> None:
    """F071, F062, B28: refused while a response holds the slot, so that the answer is due and was not asked for."""
    case = Case()
    case.begun()
    case.audit.tool_called("a", "r1")
    case.audit.tool_called("b", "r1")
    case.done()
    case.begun("r2")
    for call in ("a", "b"):
        case.output(call)
    case.audit.look()
    answers = [("a", taken > 0), ("b", False)]
    for call, confirmed in answers if order == "confirmed first" else reversed(answers):
        if confirmed:
            case.audit.arrived(ServerSeen("conversation.item.added", item=ItemSeen(f"out_{call}", "function_call_output")))
            continue
        item = {"type": "function_call_output", "id": f"out_{call}", "call_id": call}
        case.refused(None, "no", event={"type": "conversation.item.create", "event_id": f"e_{call}", "item": item})
    case.at(0.1).done("r2")
    if asks:
        case.create("1")
    for at in (1, 1.3, 1.6):
        case.at(at).audit.look()
    assert [number for number, _ in case.told()] == blamed


@pytest.mark.parametrize(("calls", "blamed"), [("ab", []), ("a", [1])])
def test_after_a_refusal_a_batch_is_answered_of_which_the_server_has_another_result(calls: str, blamed: list[int]) -> None:
    """F071, B28: the answer to that one is owed, whatever becomes of the last."""
    case = Case()
    case.begun()
    for call in calls:
        case.audit.tool_called(call, "r1")
    case.done()
    for call in calls[1:]:
        case.output(call)
        case.audit.arrived(ServerSeen("conversation.item.added", item=ItemSeen(f"out_{call}", "function_call_output")))
    case.at(0.1).begun("r2")
    case.audit.tool_called("c", "r2")
    case.output("c")
    item = {"type": "function_call_output", "id": "out_c", "call_id": "c"}
    case.refused(None, "no", event={"type": "conversation.item.create", "event_id": "e_c", "item": item})
    case.done("r2")
    case.output("a")
    case.create("1")
    assert [number for number, _ in case.told()] == blamed


@pytest.mark.parametrize(("told", "blamed"), [("before", []), ("after", [15]), ("refused", []), ("too late", [])])
def test_a_turn_in_words_of_which_the_client_knew_nothing_is_not_answered_by_what_begins_then(
    told: str, blamed: list[int]
) -> None:
    """C15, C16: the answer to function results had been asked for before the turn was understood."""
    case = Case()
    case.begun()
    case.audit.tool_called("a", "r1")
    case.done()
    case.output("a")
    case.create("1")
    case.audit.recognised("Well?")
    body = {"type": "message", "id": "said", "role": "user", "content": [{"type": "input_text", "text": "Well?"}]}
    case.audit.create_item(ClientSeen("conversation.item.create", event_id="e_said", item=body))
    if told == "before":
        case.audit.arrived(ServerSeen("conversation.item.added", item=ItemSeen("said", "message")))
    case.at(6.0 if told == "too late" else 1.0).begun("r2")
    if told == "after":
        case.audit.arrived(ServerSeen("conversation.item.added", item=ItemSeen("said", "message")))
    elif told == "refused":
        case.refused(None, "no", event={"type": "conversation.item.create", "event_id": "e_said", "item": body})
    case.done("r2")
    for at in (7, 7.3, 7.6):
        case.at(at).audit.look()
    assert [number for number, _ in case.told()] == blamed


def test_what_a_program_interrupted_is_owed_no_answer() -> None:  # F064
    case = Case()
    case.turn()
    case.audit.dropped()
    assert not case.audit.waits
    calls = Case()
    calls.begun()
    calls.audit.tool_called("a", "r1")
    calls.ledger.responses["r1"].dead = True
    calls.done()
    calls.output("a")
    calls.audit.look()
    assert not calls.audit.waits


def test_a_harmless_refusal_is_no_news() -> None:  # C14, F050
    case = Case()
    case.audit.server_error(ServerError(Problem("x", "Cancellation failed: no active response found", False, "")))
    assert [number for number, _ in case.told()] == [9]


# -- in a world ------------------------------------------------------------------------------------------------------------


class NeverAsks(Session):
    """Leaves it to the user to ask."""

    def receive(self, connection: int, payload: bytes, *, now: float) -> list[Effect]:
        effects = super().receive(connection, payload, now=now)
        return [effect for effect in effects if not (isinstance(effect, Send) and b'"response.create"' in effect.payload[:40])]


class AsksForEachEnd(Session):
    """Has it go on talking: an answer to its own answer."""

    _own = 0

    def receive(self, connection: int, payload: bytes, *, now: float) -> list[Effect]:
        effects = super().receive(connection, payload, now=now)
        sends = any(isinstance(effect, Send) for effect in effects)
        if b'"response.done"' in payload[:40] and not sends and self._own < 3:
            self._own += 1
            again = {"type": "response.create", "event_id": f"x{self._own}"}
            return [Send(1, msgspec.json.encode(again | {"response": {"metadata": {"rtcore_request": "9000"}}})), *effects]
        return effects


SCENARIO = Scenario(
    interruptions=4, kinds=(("inside message 1", 1),), context="exact", server=ServerOptions(audio_ms=(300, 1500))
)


def run(session: type[Session]) -> WorldResult:
    return World(3, VOICES, scenario=SCENARIO, session_factory=session).run()


def test_a_world_finds_who_never_asks_and_who_asks_too_often() -> None:
    assert run(Session).violations == ()
    assert {15} <= {one.invariant for one in run(NeverAsks).violations}
    assert any(one.invariant == 1 and "nobody is owed" in one.text for one in run(AsksForEachEnd).violations)


def test_what_nobody_could_hear_is_asked_for_again_once_it_is_gone() -> None:  # F140, C16: nothing is created before an edit
    case = Case().at(1.0)
    once(case)
    case.audit.takes_out("m1")
    case.audit.unheard()
    for second in (2.0, 4.0):
        case.at(second).audit.look()
    assert case.told() == []
    case.audit.arrived(ServerSeen("conversation.item.deleted", item_id="m1"))
    for second in (4.1, 5.0):
        case.at(second).audit.look()
    assert [invariant for invariant, _ in case.told()] == [15]


def test_what_the_program_cut_is_no_result_to_be_answered_when_another_is_refused() -> None:  # F064, F071
    case = Case()
    for response, call in (("r1", "a"), ("r2", "b")):
        case.begun(response)
        case.audit.tool_called(call, response)
        case.ledger.responses[response].dead = response == "r1"
        case.done(response)
    for call in ("a", "b"):
        case.output(call)
        case.audit.look()
    case.audit.arrived(ServerSeen("conversation.item.added", item=ItemSeen("out_a", "function_call_output")))
    item = {"type": "function_call_output", "id": "out_b", "call_id": "b"}
    case.refused(None, "no", event={"type": "conversation.item.create", "event_id": "e_b", "item": item})
    assert not case.audit.waits
    assert case.told() == []
