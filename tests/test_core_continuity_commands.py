"""What the program had asked for when the line dropped: results, edits and requests are carried out, or told as lost."""

from collections.abc import Callable
from typing import Any

import pytest
from helpers.scene import Scene, configured, event_id, kinds, outcomes, ready, sent, told
from helpers.wire import (
    Event,
    Script,
    announce,
    audio,
    call,
    created,
    deleted,
    done,
    error,
    message,
    opened,
    session_created,
    session_updated,
    speech_started,
    text_message,
    transcript,
    turn,
    user_transcript,
)

from rtcore import Disconnection, Effect, Flush, Issued, ReplayIncomplete, RequestEnded, Send, Session

LOST = Disconnection(close_code=1006)


def steady(**options: Any) -> Any:
    return configured(reconnect={"jitter": 0.0, "renew": False, **options})


def lose(scene: Scene) -> list[Effect]:
    return scene.disconnected(LOST, connection=scene.session._core.connection)


def back(scene: Scene) -> list[Effect]:
    """The next connection comes up when its wait is over, and is acknowledged."""
    due = scene.session.deadline
    assert due is not None and due.why == "reconnection"
    connection = scene.session._core.connection
    effects = scene.at(due.at).tick() + scene.connected(connection)
    return effects + scene.server(session_created(), session_updated(), connection=connection)


class Server:
    """Does what it is sent: places items and takes them out, and says so. It answers nothing that it is asked."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.items: list[Event] = []
        self.asked: list[Event] = []
        """What it was asked to answer."""

    def takes(self, effects: list[Effect]) -> "Server":
        todo = sent(effects)
        while todo:
            event = todo.pop(0)
            names = [item["id"] for item in self.items]
            if event["type"] == "conversation.item.create":
                before = event.get("previous_item_id")
                at = len(names) if before is None else 0 if before == "root" else names.index(before) + 1
                self.items.insert(at, event["item"])
                previous = names[at - 1] if at else None
                todo += self._says(announce(event["item"]["id"], {**event["item"], "status": "completed"}, previous=previous))
            elif event["type"] == "conversation.item.delete":
                del self.items[names.index(event["item_id"])]
                todo += self._says(deleted(event["item_id"]))
            elif event["type"] == "response.create":
                self.asked.append(event.get("response", {}))
        return self

    def _says(self, script: Script) -> list[Event]:
        return sent(self._scene.server(script, connection=self._scene.session._core.connection))

    @property
    def holds(self) -> list[str]:
        """What it holds: texts, and calls and outputs by their ids and words."""
        return [
            item["content"][0]["text"]
            if item["type"] == "message"
            else f"{item['type']} {item['call_id']} {item.get('output', '')}"
            for item in self.items
        ]


def typed(item: str, text: str, previous: str | None = None) -> Script:
    content = [{"type": "input_text", "text": text}]
    return announce(
        item, {"id": item, "type": "message", "role": "user", "status": "completed", "content": content}, previous=previous
    )


# -- results of calls --------------------------------------------------------------------------------------------------------

CALLED = ["function_call c1 ", "function_call_output c1 Sunny."]


def called(**options: Any) -> Scene:
    """The model has called a function, and something was said behind it."""
    scene = ready(steady(**options))
    scene.server(typed("u1", "Weather?"), created("r1"), call("c1", previous="u1"), done("r1"), typed("u2", "Well?", "f_c1"))
    return scene


@pytest.mark.parametrize("when", ["unconfirmed", "meanwhile", "later"])
@pytest.mark.parametrize("options", [{"history": "summary"}, {"history": "none"}, {"max_items": 1}])
def test_a_result_reaches_the_next_session_whatever_else_is_left_out(options: Any, when: str) -> None:
    """C27, S08; invariants 2 and 10: without it the model would answer as if the function had never run, and the request hang."""
    scene = called(**options)
    if when == "unconfirmed":
        scene.tool_result("c1", "Sunny.")
    lose(scene)
    if when == "meanwhile":
        scene.tool_result("c1", "Sunny.")
    server = Server(scene).takes(back(scene))
    if when == "later":
        server.takes(scene.tool_result("c1", "Sunny."))
    assert [held for held in server.holds if "c1" in held] == CALLED
    assert outcomes(scene.log) == [(scene.request, "done")]
    assert len(server.asked) == 1


def test_a_result_stands_behind_the_summary_of_what_was_said_before() -> None:  # C25, C27
    scene = called(history="summary")
    lose(scene)
    server = Server(scene).takes(back(scene)).takes(scene.tool_result("c1", "Sunny."))
    assert server.holds[0].endswith("User: Weather?\nUser: Well?") and server.holds[1:] == CALLED
    shown = [item.text or item.type for item in scene.session.history if not item.aside]
    assert shown == [
        "Weather?",
        "function_call",
        "Well?",
        "function_call_output",
    ]  # in the conversation's order, not the server's


def test_a_result_that_was_confirmed_is_in_the_summary_and_not_told_again() -> None:  # C27, invariant 10
    scene = called(history="summary")
    server = Server(scene)
    server.items = [{"id": "f_c1", "type": "function_call", "call_id": "c1"}]
    server.takes(scene.tool_result("c1", "Sunny."))
    lose(scene)
    [told_of] = Server(scene).takes(back(scene)).holds
    assert "Tool look({}) answered: Sunny." in told_of


def test_a_result_that_only_the_loss_left_out_is_not_named_as_left_out() -> (
    None
):  # C27: nothing is left out silently, nor untruly
    scene = called(max_items=1)
    scene.tool_result("c1", "Sunny.")
    lose(scene)
    [notice] = told(back(scene), ReplayIncomplete)
    assert notice.left_out == (("u1", "with it 1 items are left out: reconnect.max_items is 1"),)


def test_a_result_whose_call_cannot_be_told_ends_its_request() -> None:  # invariant 2: never a request that hangs
    scene = called()
    scene.tool_result("c1", "Sunny.")
    scene.server(deleted("f_c1"))
    lose(scene)
    effects = back(scene)
    assert outcomes(effects) == [(scene.request, "connection_lost")]
    assert "response.create" not in kinds(effects)


# -- edits under way -----------------------------------------------------------------------------------------------------------

NEW: Event = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "new"}]}
EDITS: dict[str, Callable[[Session], Issued]] = {
    "move": lambda session: session.move_item("u2", "root", now=1.0),
    "replace": lambda session: session.replace_item("u1", NEW, now=1.0),
    "sync": lambda session: session.sync_history(["u2", "u0", NEW], now=1.0),
}
WANTED = {"move": ["two", "none", "one"], "replace": ["none", "new", "two"], "sync": ["two", "none", "new"]}


def talk(**options: Any) -> Scene:
    """Three messages, none, one and two, at one second."""
    scene = ready(steady(**options))
    scene.server(typed("u0", "none"), typed("u1", "one", "u0"), typed("u2", "two", "u1"))
    return scene.at(1.0)


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("answered", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("pending", ["again", "fail"])
def test_an_edit_under_way_at_a_loss_is_carried_out_by_what_the_next_session_is_told(
    name: str, answered: int, pending: str
) -> None:
    """B24, C27, F067; invariant 11: its deletes count as done, so must what it creates, or a message that was moved is gone."""
    scene = talk(pending=pending)
    server = Server(scene)
    server.items = [{"id": item.id, **NEW} for item in scene.session.history]
    effects = scene._issued(EDITS[name](scene.session))
    for effect in [effect for effect in effects if isinstance(effect, Send)][:answered]:
        server.takes([effect])
    lose(scene)
    assert [item.text for item in scene.session.history] == WANTED[name]
    assert Server(scene).takes(back(scene)).holds == WANTED[name]
    assert outcomes(scene.log) == [(scene.request, "done")]


def test_an_edit_that_timed_out_half_done_is_whole_in_the_next_session() -> None:  # B24, F067
    scene = talk()
    scene._issued(EDITS["move"](scene.session))
    scene.server(deleted("u2"))
    assert [outcome for _, outcome in outcomes(scene.at(30.0).tick())] == ["timed_out"]
    lose(scene)
    assert Server(scene).takes(back(scene)).holds == WANTED["move"]


def test_an_edit_that_was_refused_is_not_carried_out_by_a_loss() -> None:  # B24: the program was told that it failed
    scene = talk()
    create = event_id(scene._issued(EDITS["replace"](scene.session)), "conversation.item.create")
    effects = scene.server(deleted("u1"), error("invalid_value", "No.", event_id=create))
    assert outcomes(effects) == [(scene.request, "failed")]
    lose(scene)
    assert Server(scene).takes(back(scene)).holds == ["none", "two"]


# -- answers -------------------------------------------------------------------------------------------------------------------


def speaking(scene: Scene, request: int | None = None) -> Scene:
    """The answer is heard, and not over."""
    scene.server(created("r1", request=request), opened("m1"), transcript("m1", "One two."), audio("m1", 400))
    scene.at(0.2).played(1, 200)
    return scene


NOTICE: Event = {"instructions": "Read the notice.", "tool_choice": "none"}
MANUAL: dict[str, Any] = {"turn_detection": None}


def unmarked(asked: list[Event]) -> list[Event]:
    """What was asked for, without our mark."""
    return [{key: value for key, value in each.items() if key != "metadata"} for each in asked]


@pytest.mark.parametrize("spoken", [False, True])
def test_an_interruption_by_the_program_holds_across_the_loss(spoken: bool) -> None:
    """B24, C12: who interrupts says what comes next; nothing is asked for behind their back when the line is back."""
    scene = ready(steady())
    if spoken:
        scene.server(speech_started("u1"), turn("u1"))  # a turn that nobody has answered
    else:
        speaking(scene)
    lose(scene)
    scene.answering(scene.interrupt(), 200)
    assert Server(scene).takes(back(scene)).asked == []


def test_an_answer_that_was_cut_off_is_asked_for_where_nobody_interrupts() -> None:  # C27, F093: the other side of the rule above
    scene = speaking(ready(steady()))
    lose(scene)
    scene.played(1, 400)
    assert len(Server(scene).takes(back(scene)).asked) == 1


@pytest.mark.parametrize("pending", ["again", "fail"])
def test_an_answer_that_was_cut_off_is_asked_for_again_as_it_was(pending: str) -> None:
    """C27, S08, F093: a notice that is read in the program's words, and by no tool, is no bare answer after a loss."""
    scene = ready(steady(pending=pending), **MANUAL)
    scene.respond(NOTICE, interruptible=False)
    speaking(scene, scene.request)
    effects = lose(scene)
    assert outcomes(effects) == [(scene.request, "connection_lost")]
    scene.played(1, 400)
    server = Server(scene).takes(back(scene))
    assert unmarked(server.asked) == [NOTICE]
    # .. and lost once more before a word of it came.
    lose(scene)
    server = Server(scene).takes(back(scene))
    assert unmarked(server.asked) == [NOTICE]
    # No voice cuts it, as none was to cut the first.
    again = int(server.asked[0]["metadata"]["rtcore_request"])
    scene.server(created("r2", request=again), opened("m2", r="r2"), audio("m2", 400, r="r2"), connection=3)
    assert not any(isinstance(effect, Flush) for effect in scene.local_speech())


def test_an_answer_that_was_cut_off_is_not_asked_for_again_by_who_interrupted() -> None:  # C12, B24
    scene = ready(steady(), **MANUAL)
    scene.respond(NOTICE)
    speaking(scene, scene.request)
    lose(scene)
    scene.answering(scene.interrupt(), 200)
    assert Server(scene).takes(back(scene)).asked == []


@pytest.mark.parametrize("options", [{}, NOTICE])
@pytest.mark.parametrize("by", ["id", "text"])
def test_what_is_cut_while_the_line_is_gone_is_not_asked_for_again(options: Event, by: str) -> None:  # B23, B24, C12
    scene = ready(steady(), **MANUAL)
    scene.respond(options)
    speaking(scene, scene.request)
    lose(scene)
    effects = (
        scene.interrupt("r1") if by == "id" else scene._issued(scene.session.send_text("Stop.", respond=False, now=scene.now))
    )
    scene.answering(effects, 200)
    assert Server(scene).takes(back(scene)).asked == []


def test_a_notice_over_which_somebody_spoke_while_the_line_was_gone_is_not_read_again() -> None:  # B23: as with a line
    scene = ready(steady(), **MANUAL)
    scene.respond(NOTICE)
    speaking(scene, scene.request)
    lose(scene)
    scene.answering(scene.local_speech(), 200)
    assert NOTICE not in unmarked(Server(scene).takes(back(scene)).asked)


def test_two_answers_that_were_asked_for_in_two_ways_are_both_asked_for_again() -> None:  # B24, C15: neither stands for the other
    scene = ready(steady(), **MANUAL)
    scene.respond(NOTICE)
    speaking(scene, scene.request)
    scene.respond({"instructions": "Say goodbye."})
    lose(scene)
    scene.played(1, 400)
    server = Server(scene).takes(back(scene))
    first = int(server.asked[0]["metadata"]["rtcore_request"])
    server.takes(scene.server(created("r2", request=first), done("r2", request=first), connection=2))
    assert unmarked(server.asked) == [NOTICE, {"instructions": "Say goodbye."}]


@pytest.mark.parametrize("options", [{}, NOTICE])
def test_an_answer_in_text_is_asked_for_again_as_it_was(options: Event) -> None:  # F140, issue 6, part 7
    scene = ready(configured(text_answers="retry"), **MANUAL)
    scene.respond(options)
    number = scene.request
    written = created("r1", request=number) + text_message("m1", "In writing.") + done("r1", request=number)
    effects = scene.server(written) + scene.server(deleted("m1"))
    assert outcomes(effects) == [(number, "done")]
    [asked] = [event["response"] for event in sent(effects) if event["type"] == "response.create"]
    assert unmarked([asked]) == [options] and asked["metadata"]["rtcore_request"] != str(number)


def test_nor_is_it_asked_for_over_a_person_who_speaks() -> None:  # F140, C15: nobody waits for it by name
    scene = ready(configured(text_answers="retry", interruption="ignore"))
    scene.respond(NOTICE)
    scene.server(created("r1", request=scene.request), text_message("m1", "In writing."), speech_started("u1"))
    effects = scene.server(done("r1", request=scene.request), deleted("m1"))
    assert "response.create" not in kinds(effects)


# -- options that were changed -----------------------------------------------------------------------------------------------

BESIDE = {"conversation": "none", "instructions": "Name the topic."}


def instructed(effects: list[Effect]) -> list[str]:
    """What is sent, in order; of options, the instructions."""
    events = sent(effects)
    return [event.get("session", {}).get("instructions", event["type"].removeprefix("conversation.")) for event in events]


@pytest.mark.parametrize("by", ["respond", "say"])
@pytest.mark.parametrize("pause", ["unanswered", "meanwhile"])
def test_what_was_asked_for_behind_a_change_is_asked_for_behind_it_again(by: str, pause: str) -> None:  # B24, S08
    scene = ready(steady(), **MANUAL)
    if pause == "meanwhile":
        lose(scene)
    scene.update({"instructions": "In French."})
    scene.respond(NOTICE) if by == "respond" else scene.say("Good morning.")
    effects = back(scene) if pause == "meanwhile" else lose(scene) + back(scene)
    asked = ["response.create"] if by == "respond" else ["item.create", "response.create"]
    assert instructed(effects) == ["session.update", "In French.", *asked]


def test_changes_stay_between_what_was_asked_for_before_and_behind_them() -> None:  # B24
    scene = ready(steady(), **MANUAL)
    scene.respond(BESIDE)
    scene.update({"instructions": "In French."})
    scene.append(bytes(9600))
    scene.commit()
    scene.update({"instructions": "In Greek."})
    scene.respond(BESIDE)
    lose(scene)
    turn_again = ["input_audio_buffer.append", "input_audio_buffer.commit"]
    effects = [each for each in instructed(back(scene)) if each != turn_again[0]]
    assert effects == ["session.update", "response.create", "In French.", turn_again[1], "In Greek.", "response.create"]


@pytest.mark.parametrize("pause", ["unanswered", "meanwhile"])
def test_what_is_asked_for_beside_the_conversation_passes_an_answer_that_waits_and_no_change(pause: str) -> None:  # B24, C15
    scene = ready(steady(), **MANUAL)
    if pause == "meanwhile":
        lose(scene)
    scene.respond(NOTICE)
    scene.respond(NOTICE)
    scene.update({"instructions": "In French."})
    scene.respond(BESIDE)
    effects = back(scene) if pause == "meanwhile" else lose(scene) + back(scene)
    assert instructed(effects) == ["session.update", "response.create", "In French.", "response.create"]
    assert "conversation" in sent(effects)[-1]["response"]


@pytest.mark.parametrize("options", [None, NOTICE])
def test_an_answer_that_was_cut_off_comes_behind_a_change_unless_it_had_options(options: Any) -> None:  # B24, C27
    scene = ready(steady(), **MANUAL)
    scene.respond(options)
    scene.server(created("r1", request=scene.request), opened("m1"))
    scene.update({"instructions": "In French."})
    lose(scene)
    change, answer = "In French.", "response.create"
    assert instructed(back(scene))[1:] == ([answer, change] if options else [change, answer])


def test_a_change_waits_for_no_sound_and_what_waits_for_it_is_asked_for_behind() -> None:  # B24, S08
    scene = ready(steady(), **MANUAL)
    scene.server(created("r0"), message("m0", 3000, r="r0"), done("r0"))
    scene.at(0.5).played(1, 500)
    lose(scene)
    scene.say("Good morning.", interrupt=False)
    scene.update({"instructions": "In French."})
    scene.say("Good evening.", interrupt=False)
    assert instructed(back(scene)) == ["session.update", "In French."]
    effects = scene.at(6).played(1, 3000)
    assert instructed(effects) == ["item.create", "response.create", "item.create"]


def test_a_change_that_the_next_session_refuses_fails_with_its_error() -> None:  # B24, invariant 2
    scene = ready(steady(), **MANUAL)
    scene.update({"instructions": "In French."})
    number = scene.request
    scene.respond()
    lose(scene)
    back(scene)
    effects = scene.server(error("invalid_value", "No French.", param="session.instructions"), connection=2)
    [end] = told(effects, RequestEnded)
    assert (end.request, end.outcome, end.problem and end.problem.message) == (number, "failed", "No French.")
    assert scene.session.state == "ready"


def renewed_meanwhile(scene: Scene) -> None:
    """A second line is configured and ready, while the first is not quiet."""
    scene.server(speech_started("u1"))
    scene._took(scene.session.renew(now=scene.now))
    scene.connected(2)
    scene.server(session_created(), session_updated(), connection=2)


def test_a_change_that_a_renewed_session_was_not_configured_with_goes_before_all_else() -> None:  # B24, B26
    scene = ready(configured(reconnect={"jitter": 0.0}))
    renewed_meanwhile(scene)
    scene.update({"instructions": "In French."})
    scene.server(session_updated(instructions="In French."), turn("u1"), user_transcript("u1", "Hello."))
    assert instructed(lose(scene)) == ["In French.", "item.create", "response.create"]


def test_the_latest_change_counts_in_a_renewed_session_too() -> None:  # B24, B26
    scene = ready(configured(reconnect={"jitter": 0.0}))
    renewed_meanwhile(scene)
    scene.update({"instructions": "In French."})
    scene.server(session_updated(instructions="In French."))
    scene.update({"instructions": "In Greek."})
    assert instructed(lose(scene)) == ["In French.", "In Greek."]


# -- what waits in vain, and what is too long ------------------------------------------------------------------------------------


def test_typed_text_that_waited_in_vain_is_not_said_later_without_an_answer() -> None:  # B24, F097, invariant 2
    impatient = configured(timeouts={"queue_ms": 1_000}, reconnect={"jitter": 0.0, "renew": False, "first_ms": 5_000})
    scene = ready(impatient, **MANUAL)
    lose(scene)
    scene.say("Are you there?")
    timed_out = scene.request
    effects = scene.at(4.5).tick()
    assert outcomes(effects) == [(timed_out, "timed_out")]
    scene.say("Hello?")
    server = Server(scene).takes(back(scene))
    assert (server.holds, len(server.asked)) == (["Hello?"], 1)


def test_typed_text_that_the_server_has_stays_when_the_answer_to_it_does_not_get_its_turn() -> None:  # B24: what is said is said
    scene = ready(configured(timeouts={"queue_ms": 1_000}), **MANUAL)
    scene.respond()
    scene.server(created("r1", request=scene.request), opened("m1"))
    server = Server(scene).takes(scene.say("Are you there?", interrupt=False))
    scene.at(1.5).tick()
    assert (outcomes(scene.log)[-1], server.holds) == ((scene.request, "timed_out"), ["Are you there?"])


@pytest.mark.parametrize(("size", "left_out"), [(15_970, []), (15_975, ["u1"]), (20_000, ["u2"])])
def test_a_summary_that_is_too_long_names_what_it_left_out(size: int, left_out: list[str]) -> None:  # C27: nothing silently
    scene = ready(steady(history="summary"))
    scene.server(typed("u1", "One."), typed("u2", "a" * size, "u1"), typed("u3", "Three.", "u2"))
    lose(scene)
    effects = back(scene)
    [summary] = Server(scene).takes(effects).holds
    assert summary.endswith("a\nUser: Three.")
    assert [item_id for notice in told(effects, ReplayIncomplete) for item_id, _ in notice.left_out] == left_out


# -- a call that the server announced twice --------------------------------------------------------------------------------------


def called_twice(scene: Scene) -> None:
    """The call c1 has another item than its own, and its result is not confirmed."""
    scene.server(created("r1"), call("c1"), done("r1"))
    again = {"type": "function_call", "status": "completed", "call_id": "c1", "name": "look", "arguments": "{}"}
    scene.server(announce("twin", {"id": "twin", **again}, previous="f_c1"))
    scene.tool_result("c1", "sunny")


def results(effects: list[Effect]) -> list[Event]:
    return [event for event in sent(effects) if event.get("item", {}).get("type") == "function_call_output"]


@pytest.mark.parametrize("announced", [True, False])
def test_a_result_goes_with_another_item_of_its_call_where_the_first_was_deleted(announced: bool) -> None:  # C29, invariant 2
    scene = ready(steady(), turn_detection=None)
    called_twice(scene)
    result = scene.request
    scene.delete_item("f_c1")
    scene.server(deleted("f_c1"))
    lose(scene.at(1.0))
    effects = back(scene)
    assert (len(results(effects)), result in dict(outcomes(effects))) == (1, False)
    if announced:
        Server(scene).takes(effects)
    else:
        scene.at(scene.now + 6.0).tick()
    assert dict(outcomes(scene.log))[result] == ("done" if announced else "timed_out")


def test_a_call_with_two_items_gets_one_result_in_the_next_session() -> None:  # B24, invariant 10
    scene = ready(steady(), turn_detection=None)
    called_twice(scene)
    lose(scene.at(1.0))
    assert len(results(back(scene))) == 1
