"""Function calls: one output per call, one answer per batch, nothing guessed (DESIGN section 4, the tool ledger)."""

from contextlib import suppress

import pytest
from helpers.scene import Scene, configured, event_id, kinds, outcomes, ready, sent, sounded, spoken, talking, told
from helpers.wire import (
    SERVER_VAD,
    Event,
    Script,
    active_response,
    announce,
    arguments,
    audio,
    call,
    call_closed,
    call_opened,
    cancelled,
    closing,
    committed,
    created,
    deleted,
    done,
    error,
    message,
    opened,
    pcm,
    speech_started,
    truncated,
    turn,
    user_item,
)

from rtcore import Effect, Flush, LocalProtocolError, ToolCalled
from rtcore.config import Playout


def outputs(scene: Scene) -> list[tuple[str, str]]:
    """Every function call output that was sent: call and output."""
    items = [event["item"] for event in sent(scene.log) if event["type"] == "conversation.item.create"]
    return [(item["call_id"], item["output"]) for item in items if item["type"] == "function_call_output"]


def test_a_completed_call_is_told_once() -> None:  # DESIGN 4; facts 4.5
    scene = talking(call("c1", '{"x": 1}', "look"), done("r1"))
    assert told(scene.log, ToolCalled) == [ToolCalled("c1", "look", '{"x": 1}', "r1", "f_c1")]


def test_what_has_an_input_of_its_own_answers_no_result() -> None:  # C15, C26, F061, F062; facts 5.1
    scene = talking(call("c1"), turn_detection=None)
    scene.respond({"input": [], "instructions": "Say exactly: this call is recorded."})
    item = sent(scene.tool_result("c1", "42"))[0]["item"]["id"]
    scene.server(announce(item), done("r1"), created("r2", request=1), message("m2", 400, r="r2"))
    answer = scene.server(done("r2", request=1))
    number = sent(answer)[0]["response"]["metadata"]["rtcore_request"]
    assert (kinds(answer), kinds(scene.server(created("r3", request=int(number)), done("r3")))) == (["response.create"], [])


def test_a_call_is_told_when_its_arguments_are_complete_and_not_before() -> None:  # F074
    scene = talking(call_opened("c1"))
    early = scene.server(arguments("c1", "{}"))
    assert (told(early, ToolCalled), len(told(scene.server(call_closed("c1")[:1]), ToolCalled))) == ([], 1)


def test_a_call_that_is_told_twice_is_one_call() -> None:  # C26
    scene = talking(call("c1"), call("c1"), done("r1"))
    assert len(told(scene.log, ToolCalled)) == 1


def test_a_call_known_only_from_its_finished_item_is_told() -> None:  # S02, C18: events may be missing
    scene = talking(call_closed("c1", '{"x": 1}')[2:])
    assert [(e.call_id, e.name, e.arguments) for e in told(scene.log, ToolCalled)] == [("c1", "look", '{"x": 1}')]


def test_a_result_is_sent_at_once_and_the_answer_asked_for_after_the_response() -> None:  # B28, facts 4.11, F044
    scene = talking(call("c1"))
    early = scene.tool_result("c1", "sunny")
    assert (kinds(early), outputs(scene), kinds(scene.server(done("r1")))) == (
        ["conversation.item.create"],
        [("c1", "sunny")],
        ["response.create"],
    )


def test_a_result_after_the_response_is_sent_with_its_request() -> None:  # B28
    scene = talking(call("c1"), done("r1"))
    assert kinds(scene.tool_result("c1", "sunny")) == ["conversation.item.create", "response.create"]


def test_a_result_of_which_no_word_comes_is_answered_all_the_same() -> None:  # F061, F071: late is not refused
    scene = talking(call("c1"), done("r1"), created("r2"))
    scene.tool_result("c1", "sunny")
    late = scene.at(6.0).tick()
    assert (outcomes(late), outputs(scene)) == ([(scene.request, "timed_out")], [("c1", "sunny")])
    assert kinds(scene.server(done("r2"))) == ["response.create"]


@pytest.mark.parametrize("announced", ["before", "after"])
def test_a_result_is_answered_by_no_response_that_was_asked_for_before_it(announced: str) -> None:  # B28, C15, F061, F062
    scene = talking(call("c1"), done("r1"), turn_detection=None)
    asked = scene.respond()
    [item] = [event["item"]["id"] for event in sent(scene.tool_result("c1", "sunny"))]
    confirmation = announce(item, {"id": item, "type": "function_call_output", "call_id": "c1"})
    number = int(sent(asked)[-1]["response"]["metadata"]["rtcore_request"])
    scene.server(confirmation if announced == "before" else [], created("r2", request=number))
    effects = scene.server(confirmation if announced == "after" else [], message("m2", 100, r="r2"), done("r2", request=number))
    assert kinds(effects) == ["response.create"]


def refused(scene: Scene, effects: list[Effect]) -> list[Effect]:
    """The server refuses the item that was just sent."""
    return scene.server(error("server_error", "The server had an error.", event_id=event_id(effects, "conversation.item.create")))


def confirmed(scene: Scene, effects: list[Effect], call_id: str) -> list[Effect]:
    """The server has the output that was just sent."""
    [item] = [event["item"] for event in sent(effects) if event["type"] == "conversation.item.create"]
    return scene.server(announce(item["id"], {"id": item["id"], "type": "function_call_output", "call_id": call_id}))


def test_a_server_that_refuses_every_output_is_not_asked_again_and_again() -> None:
    """F071: the model calls again each time it is asked; after one refused output nothing is asked until one is confirmed."""
    scene = ready()
    asked = 0
    for n in range(1, 20):
        mine = int(sent(scene.log)[-1]["response"]["metadata"]["rtcore_request"]) if n == 2 else None
        scene.server(created(f"r{n}", request=mine), call(f"c{n}", r=f"r{n}"), done(f"r{n}", request=mine))
        effects = scene.tool_result(f"c{n}", "sunny")
        asked += kinds(effects).count("response.create")
        failed = refused(scene, effects)
        asked += kinds(failed).count("response.create")
        assert outcomes(failed) == [(scene.request, "failed")]  # the program is told
    assert (asked, len(outputs(scene))) == (1, 19)


def test_after_a_refused_output_the_answer_waits_for_the_confirmation_of_the_next() -> None:  # F071, B28
    scene = talking(call("c1"), done("r1"))
    refused(scene, scene.tool_result("c1", "sunny"))
    scene.server(created("r2", request=2), call("c2", r="r2"), call("c3", r="r2", index=1), done("r2", request=2))
    early = [*scene.tool_result("c2", "rainy"), *scene.tool_result("c3", "cold")]
    [_, second, third] = [event["item"]["id"] for event in sent(scene.log) if event["type"] == "conversation.item.create"]
    confirmed = scene.server(announce(second, {"id": second, "type": "function_call_output", "call_id": "c2"}))
    assert (kinds(early), kinds(confirmed)) == (["conversation.item.create"] * 2, ["response.create"])
    # The server takes outputs again: the next answer is asked for at once, as ever.
    scene.server(announce(third, {"id": third, "type": "function_call_output", "call_id": "c3"}))
    mine = int(sent(confirmed)[-1]["response"]["metadata"]["rtcore_request"])
    scene.server(created("r3", request=mine), call("c4", r="r3"), done("r3", request=mine))
    assert kinds(scene.tool_result("c4", "warm")) == ["conversation.item.create", "response.create"]


def test_an_output_refused_while_its_response_runs_is_not_answered_at_its_end() -> None:  # F071
    scene = talking(call("c1"))
    refused(scene, scene.tool_result("c1", "sunny"))
    assert kinds(scene.server(done("r1"))) == []


def test_one_refused_output_of_two_leaves_the_answer_to_the_other() -> None:  # F071, F062
    scene = talking(call("c1"), call("c2", index=1))
    refused(scene, scene.tool_result("c1", "sunny"))
    scene.tool_result("c2", "cold")
    before = kinds(scene.server(done("r1")))
    [_, second] = [event["item"]["id"] for event in sent(scene.log) if event["type"] == "conversation.item.create"]
    assert (before, kinds(scene.server(announce(second)))) == ([], ["response.create"])


@pytest.mark.parametrize("taken", [0, 1, 2, None])
def test_a_batch_is_answered_by_what_the_server_has_of_it(taken: int | None) -> None:
    """F071, B28: once all results have been dealt with, one that was confirmed is answered; where none was, nothing."""
    scene = talking(call("c1"), call("c2", index=1), call("c3", index=2), done("r1"))
    heard: list[str] = []
    for n, call_id in enumerate(("c1", "c2", "c3")):
        effects = scene.tool_result(call_id, "sunny")
        if n < 2:
            assert kinds(effects) == ["conversation.item.create"]
        if n == taken:
            after = confirmed(scene, effects, call_id)
        else:
            after = refused(scene, effects)
            assert outcomes(after) == [(scene.request, "failed")]  # the program is told
        heard += kinds([*effects, *after])
    assert heard.count("response.create") == (0 if taken is None else 1)


def test_an_output_refused_while_an_answer_is_due_leaves_that_to_the_others() -> None:  # F071, F062, B28
    scene = talking(call("c1"), call("c2", index=1), done("r1"), created("r2"))
    confirmed(scene, scene.tool_result("c1", "sunny"), "c1")
    refused(scene, scene.tool_result("c2", "cold"))
    assert kinds(scene.server(done("r2"))) == ["response.create"]


def test_an_output_refused_while_an_answer_is_due_leaves_those_of_other_responses_alone() -> None:  # F071, F062, C15
    scene = talking(call("c1"), done("r1"), created("r2"), call("c2", r="r2"), done("r2"), created("r3"))
    confirmed(scene, scene.tool_result("c1", "sunny"), "c1")
    refused(scene, scene.tool_result("c2", "cold"))
    assert kinds(scene.server(done("r3"))) == ["response.create"]


def test_what_is_due_to_an_output_on_its_way_waits_for_its_confirmation_after_a_refusal() -> None:  # F071, B28
    scene = talking(call("c1"), call("c2", index=1), done("r1"), created("r2"))
    first, second = scene.tool_result("c1", "sunny"), scene.tool_result("c2", "cold")
    refused(scene, first)
    assert kinds(scene.server(done("r2"))) == []
    assert kinds(confirmed(scene, second, "c2")) == ["response.create"]


def test_a_batch_of_which_the_server_has_one_is_answered_with_its_last_after_a_refusal_elsewhere() -> None:  # F071, B28
    scene = talking(call("c1"), call("c2", index=1), done("r1"))
    confirmed(scene, scene.tool_result("c1", "sunny"), "c1")
    scene.server(created("r2"), call("c3", r="r2"))
    refused(scene, scene.tool_result("c3", "warm"))
    scene.server(done("r2"))
    assert kinds(scene.tool_result("c2", "cold")) == ["conversation.item.create", "response.create"]


def test_a_batch_whose_last_is_refused_is_answered_already_by_what_saw_the_others() -> None:  # F064, F071, B28, invariant 1
    scene = talking(call("c1"), call("c2", index=1), done("r1"))
    confirmed(scene, scene.tool_result("c1", "sunny"), "c1")
    scene.server(created("r2"), message("m2", 100, r="r2"))
    refused(scene, scene.tool_result("c2", "cold"))
    assert kinds(scene.server(done("r2"))) == []


def test_an_answer_that_waits_for_a_confirmation_is_taken_back_by_the_program() -> None:  # F071, B15: as one that does not wait
    scene = talking(call("c1"), call("c2", index=1), done("r1"))
    refused(scene, scene.tool_result("c1", "sunny"))
    second = scene.tool_result("c2", "cold")
    assert kinds([*second, *scene.interrupt(), *confirmed(scene, second, "c2")]) == ["conversation.item.create"]


def test_an_answer_whose_outputs_were_all_refused_is_not_asked_for_again() -> None:  # F071, B13: the slot was taken by another
    scene = talking(call("c1"), done("r1"))
    effects = scene.tool_result("c1", "sunny")
    refused(scene, effects)
    scene.server(active_response(event_id(effects, "response.create")))
    assert kinds([*scene.server(created("r2")), *scene.server(done("r2"))]) == []


def test_after_a_refusal_an_output_of_which_no_word_comes_is_answered_late() -> None:  # F061, F071: late is not refused
    scene = talking(call("c1"))
    refused(scene, scene.tool_result("c1", "sunny"))
    scene.server(done("r1"), created("r2"), call("c2", r="r2"), done("r2"))
    early = scene.tool_result("c2", "cold")
    assert (kinds(early), kinds(scene.at(6.0).tick())) == (["conversation.item.create"], ["response.create"])


def test_a_result_never_waits_for_playout() -> None:  # B28, F066
    scene = talking(message("m1", 3000), call("c1", index=1, previous="m1"), done("r1"))
    assert kinds(scene.at(0.5).tool_result("c1", "sunny")) == ["conversation.item.create", "response.create"]


def test_the_answer_to_a_tool_is_heard_after_the_preamble() -> None:  # B28, F059
    scene = talking(message("m1", 3000), call("c1", index=1, previous="m1"), done("r1"))
    scene.at(0.5).tool_result("c1", "sunny")
    scene.server(created("r2", request=scene.request), message("m2", 500, r="r2"))
    assert sounded(scene.log) == pcm("m1", 3000) + pcm("m2", 500)


def test_what_is_due_to_a_turn_and_to_the_calls_of_the_response_that_ends_is_one_answer() -> None:  # C15, B28
    scene = ready()
    scene.server(created("r1"), call("c1"), speech_started("u1"), turn("u1"), active_response())  # the server's own was refused
    scene.tool_result("c1", "sunny")  # .. and is not told that it has arrived
    ended = scene.server(done("r1"))
    ours = int(sent(ended)[-1]["response"]["metadata"]["rtcore_request"])
    late = scene.server(created("r2", request=ours), message("m2", 100, r="r2"), done("r2"))
    assert (kinds(ended), "response.create" in kinds(late)) == (["response.create"], False)


def test_an_answer_to_results_that_got_lost_is_not_asked_for_when_the_server_has_answered_since() -> None:  # C15, F060, F062
    scene = ready()
    scene.server(created("r1"), call("c1"), done("r1"))
    [item, _] = sent(scene.tool_result("c1", "sunny"))
    scene.server(user_item(item["item"]["id"]), turn("u1"), created("r2"), done("r2"))
    assert "response.create" not in kinds(scene.at(10.0).tick())


def test_a_response_that_saw_a_later_result_has_seen_all_that_arrived() -> None:  # C15, F060, F062
    scene = ready()
    scene.server(created("r1"), call("c1"), call("c2", index=1), done("r1"))
    scene.tool_result("c1", "sunny")  # refused by an error that named nothing
    [item, *_] = sent(scene.tool_result("c2", "windy"))
    scene.server(user_item(item["item"]["id"]), turn("u1"), created("r2"))
    assert "response.create" not in kinds(scene.server(done("r2")) + scene.at(10.0).tick())


def test_a_tool_result_does_not_stop_the_speech() -> None:  # F059, F066
    scene = talking(opened("m1"), audio("m1", 3000), call("c1", index=1, previous="m1"), heard_ms=100, at=0.1)
    assert (kinds(scene.tool_result("c1", "sunny")), scene.session.speaking) == (["conversation.item.create"], True)


@pytest.mark.parametrize("order", [("c1", "c2"), ("c2", "c1")])
@pytest.mark.parametrize("done_first", [True, False])
def test_one_answer_for_a_batch_after_all_results_and_the_end_of_the_response(order: tuple[str, str], done_first: bool) -> None:
    # F062, DESIGN 4: one response.create per batch
    scene = talking(call("c1"), call("c2", index=1, previous="f_c1"))
    if done_first:
        scene.server(done("r1"))
    for call_id in order:
        scene.tool_result(call_id, call_id.upper())
    if not done_first:
        scene.server(done("r1"))
    assert (outputs(scene), kinds(scene.log)[-1], kinds(scene.log).count("response.create")) == (
        [(call_id, call_id.upper()) for call_id in order],
        "response.create",
        1,
    )


@pytest.mark.parametrize(
    ("result", "output"),
    [("plain", "plain"), ('{"a": 1}', '{"a": 1}'), ({"a": 1}, '{"a":1}'), ([1, 2], "[1,2]"), (None, "null"), (1.5, "1.5")],
)
def test_a_text_passes_unchanged_and_everything_else_is_encoded_once(result: object, output: str) -> None:  # F076
    scene = talking(call("c1"))
    scene.tool_result("c1", result)
    assert outputs(scene) == [("c1", output)]


def test_a_result_may_want_no_answer() -> None:  # contract: tool_result(respond=False)
    scene = talking(call("c1"), done("r1"))
    assert kinds(scene.tool_result("c1", "sunny", respond=False)) == ["conversation.item.create"]


def test_a_second_result_is_not_sent() -> None:  # DESIGN 6 invariant 10, C26
    scene = talking(call("c1"), done("r1"))
    scene.tool_result("c1", "sunny")
    with suppress(LocalProtocolError):
        scene.tool_result("c1", "rainy")
    assert outputs(scene) == [("c1", "sunny")]


def test_a_result_for_a_call_nobody_made_is_refused() -> None:  # DESIGN 2: the caller's mistake
    scene = talking(call("c1"), done("r1"))
    with pytest.raises(LocalProtocolError, match="c9"):
        scene.tool_result("c9", "sunny")


def test_a_result_for_a_call_whose_arguments_are_not_complete_is_refused() -> None:  # C26: partial arguments are never executed
    scene = talking(call_opened("c1"), arguments("c1", '{"x'))
    with pytest.raises(LocalProtocolError):
        scene.tool_result("c1", "sunny")


def test_a_result_settles_with_the_response_that_answers_it() -> None:  # DESIGN 6 invariant 2
    scene = talking(call("c1"), done("r1"))
    [item, _] = sent(scene.tool_result("c1", "sunny"))
    effects = scene.server(user_item(item["item"]["id"]), created("r2", request=scene.request), done("r2"))
    assert outcomes(effects) == [(scene.request, "done")]


def test_a_result_is_sent_although_its_turn_was_interrupted() -> None:  # C26, F064, B28
    scene = talking(opened("m1"), audio("m1", 2000), call("c1", index=1, previous="m1"), heard_ms=500, at=0.5)
    scene.barge_in(500)
    scene.server(cancelled(), truncated("m1", 500))
    scene.tool_result("c1", "sunny")
    assert outputs(scene) == [("c1", "sunny")]


def _cut_short(by: str) -> Scene:
    """A preamble that is cut while its call runs."""
    config = configured(playout=Playout(max_buffered_s=1)) if by == "overflow" else None
    scene = ready(config, turn_detection=None)
    scene.server(created("r1"), message("m1", 900 if by == "overflow" else 3000), call("c1", index=1, previous="m1"))
    if by == "overflow":
        scene.server(opened("m2", index=2, previous="f_c1"), audio("m2", 300, index=2))
    scene.server(done("r1"))
    if by != "overflow":
        scene.at(1.0).played(1, 1000)
    if by == "device":
        scene.device("lost")
        scene.device("ready")
    elif by == "text":
        scene.say("And in Rome?")
    elif by == "button":
        scene._took(scene.session.begin_turn(now=scene.now))
        scene.append(bytes(48 * 300))
        scene._issued(scene.session.end_turn(now=scene.now))
        scene.server(committed("u1"), user_item("u1"))
    elif by == "program":
        scene.interrupt()
    flushes = [each.generation for each in scene.log if isinstance(each, Flush)]
    if flushes:
        scene.flushed(flushes[-1], 0 if by == "overflow" else 1000)
    for event in sent(scene.log):
        if event["type"] == "conversation.item.truncate":
            scene.server(truncated(event["item_id"], event["audio_end_ms"]))
        elif event["type"] == "conversation.item.delete":
            scene.server(deleted(event["item_id"]))
    if by in ("text", "button"):  # the turn that cut it is answered while the call still runs
        for event in sent(scene.log):
            if event["type"] == "conversation.item.create":
                scene.server(announce(event["item"]["id"], event["item"]))
        scene.server(created("r2", request=scene.request), message("m9", 500, r="r2"), done("r2"))
    return scene


@pytest.mark.parametrize(
    ("by", "asked"), [("device", True), ("overflow", True), ("text", True), ("button", True), ("program", False)]
)
def test_only_what_the_program_itself_silenced_leaves_its_result_unanswered(by: str, asked: bool) -> None:  # F064, F075, F100
    scene = _cut_short(by)
    effects = scene.at(3.0).tool_result("c1", "sunny")
    for event in sent(effects):
        effects += scene.server(announce(event["item"]["id"], event["item"])) if "item" in event else []
    assert outputs(scene) == [("c1", "sunny")]
    assert kinds(effects).count("response.create") == asked


@pytest.mark.parametrize(("by", "asked"), [("voice", True), ("program", False), ("voice, then program", False)])
def test_what_a_voice_had_interrupted_before_it_was_known_leaves_its_result_to_be_answered(by: str, asked: bool) -> None:
    # B15, F064, facts 4.10: a response without response.created, of which its end tells that it had been interrupted
    scene = ready()
    scene.respond()
    first = scene.request
    if "voice" in by:
        scene.server(speech_started())
    if "program" in by:
        scene.interrupt()
    cut = scene.server(opened("m1"), audio("m1", 1000), closing("m1"), call("c1", index=1), done("r1", request=first))
    scene.flushed(next(each.generation for each in cut if isinstance(each, Flush)), 0)
    scene.server(deleted("m1"))
    if "voice" in by:
        scene.server(turn("u1"), created("r2"), message("m2", 500, r="r2"), done("r2"))
    effects = scene.at(3.0).tool_result("c1", "sunny")
    for event in sent(effects):
        effects += scene.server(announce(event["item"]["id"], event["item"])) if "item" in event else []
    assert kinds(effects).count("response.create") == asked


def test_partial_arguments_of_a_cancelled_response_are_never_told() -> None:  # C26
    scene = talking(call_opened("c1"), arguments("c1", '{"x'))
    scene.barge_in(0)
    effects = scene.server(cancelled())
    assert (told(effects, ToolCalled), kinds(effects + scene.server(deleted("f_c1")))) == ([], ["conversation.item.delete"])


def test_a_call_and_its_output_are_in_history() -> None:  # contract: HistoryItem
    scene = ready()
    scene.server(created("r1"), call("c1", '{"x": 1}'), done("r1"))
    [item, _] = sent(scene.tool_result("c1", "sunny"))
    body = {"id": item["item"]["id"], "type": "function_call_output", "call_id": "c1", "output": "sunny"}
    scene.server([{"type": "conversation.item.added", "previous_item_id": "f_c1", "item": body}])
    assert [(i.type, i.call_id, i.name, i.arguments, i.output) for i in scene.session.history] == [
        ("function_call", "c1", "look", '{"x": 1}', None),
        ("function_call_output", "c1", None, None, "sunny"),
    ]


def test_a_call_known_only_from_the_end_of_its_response_is_told() -> None:  # facts 7.3; DESIGN 6 invariant 10
    body = {"id": "f_c1", "type": "function_call", "status": "completed", "call_id": "c1", "name": "look", "arguments": "{}"}
    scene = talking(done("r1", output=[body]))
    assert [(e.call_id, e.name, e.arguments) for e in told(scene.log, ToolCalled)] == [("c1", "look", "{}")]


def _speaking_user_after_a_tool(turn_detection: Event) -> Scene:
    """r1 made a call; its output is sent; then a person speaks and the server cancels r1."""
    scene = talking(opened("m1"), audio("m1", 1000), call("c1", index=1, previous="m1"), turn_detection=turn_detection)
    [made] = sent(scene.at(0.3).tool_result("c1", "sunny"))
    scene.server(announce(made["item"]["id"], made["item"], previous="f_c1"))
    scene.barge_in(300)
    scene.server(cancelled("r1"), truncated("m1", 300))
    return scene


def test_while_a_person_speaks_the_answer_to_a_tool_is_not_asked_for() -> None:  # C16
    scene = _speaking_user_after_a_tool(SERVER_VAD)
    assert (outputs(scene), kinds(scene.log).count("response.create")) == ([("c1", "sunny")], 0)


def test_the_server_s_answer_to_the_person_is_the_answer_to_the_tool_as_well() -> None:  # C16
    scene = _speaking_user_after_a_tool(SERVER_VAD)
    scene.server(turn("u1", previous="m1"), created("r2"), message("m2", 100, r="r2"), done("r2"))
    scene.at(20.0).tick()
    assert kinds(scene.log).count("response.create") == 0


def test_where_the_server_does_not_create_one_answer_is_asked_for_after_the_person_s_turn() -> None:  # C16, F060
    scene = _speaking_user_after_a_tool({**SERVER_VAD, "create_response": False})
    early = kinds(scene.log).count("response.create")
    assert (early, kinds(scene.server(turn("u1", previous="m1")))) == (0, ["response.create"])


def test_a_running_response_is_not_cancelled_for_a_result() -> None:  # F059
    scene = spoken(message("m1", 500), call("c1", index=1, previous="m1"))
    scene.server(created("r2"), opened("m2", r="r2"), audio("m2", 500, r="r2"))
    assert kinds(scene.tool_result("c1", "sunny")) == ["conversation.item.create"]


def test_a_call_that_is_deleted_no_longer_holds_up_the_answer_to_the_others() -> None:  # C26, F065
    scene = ready()
    scene.server(created("r1"), call("c1"), call("c2", index=1), done("r1"))
    scene.tool_result("c1", "yes")
    scene.server(item_announced_output(scene))
    held = scene.delete_item("f_c2")
    effects = scene.server(deleted("f_c2"))
    assert (kinds(held), kinds(effects)) == (["conversation.item.delete"], ["response.create"])


def item_announced_output(scene: Scene) -> Script:
    """The server has the output that was sent last."""
    item = next(event["item"] for event in reversed(sent(scene.log)) if event["type"] == "conversation.item.create")
    return announce(item["id"], item)


def test_a_call_of_an_out_of_band_response_is_forgotten_when_it_is_answered() -> None:  # invariant 13
    scene = ready()
    scene.respond({"conversation": "none"})
    scene.server(created("r1", request=scene.request, in_band=False), call("c1"), done("r1", in_band=False))
    scene.tool_result("c1", "yes")
    with pytest.raises(LocalProtocolError, match="has its output already"):
        scene.tool_result("c1", "again")
