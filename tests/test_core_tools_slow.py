"""Function calls that take long, are cut, cancelled or come to nothing (issue 6, part 5)."""

import pytest
from helpers.scene import Scene, cancel, configured, event_id, kinds, outcomes, ready, sent, talking, told
from helpers.wire import (
    CLIENT_VAD,
    SERVER_VAD,
    Event,
    announce,
    arguments,
    audio,
    call,
    call_closed,
    call_opened,
    cancelled,
    committed,
    created,
    deleted,
    done,
    error,
    message,
    opened,
    speech_started,
    speech_stopped,
    turn,
    user_item,
)
from pydantic import ValidationError

from rtcore import FalseInterruption, LocalProtocolError, ToolArguments, ToolCalled, ToolEnded, ToolSlow
from rtcore.config import FunctionCalls

CANCELLED = '{"status":"cancelled"}'


def outputs(scene: Scene) -> list[tuple[str, str]]:
    items = [event["item"] for event in sent(scene.log) if event["type"] == "conversation.item.create"]
    return [(item["call_id"], item["output"]) for item in items if item["type"] == "function_call_output"]


def ends(scene: Scene) -> list[tuple[str, str]]:
    return [(each.call_id, each.outcome) for each in told(scene.log, ToolEnded)]


def cancels(scene: Scene, call_id: str, output: object = None, *, respond: bool = True) -> list[object]:
    issued = scene.session.cancel_tool(call_id, output, respond=respond, now=scene.now)
    scene.log += issued.effects
    return list(issued.effects)


def calling(*script: object, at: float = 0.0, **options: object) -> Scene:
    """Response r1 has called c1 and is done."""
    scene = ready(configured(function_calls=FunctionCalls(**options)))  # type: ignore[arg-type]
    scene.server(created("r1"), *(script or (call("c1"),)), done("r1"))  # type: ignore[arg-type]
    return scene.at(at)


# -- cancelled -----------------------------------------------------------------------------------------------------------------


def test_a_call_that_is_given_up_has_one_output_and_the_model_is_asked() -> None:  # F065, F069, invariant 10
    scene = calling()
    effects = cancels(scene, "c1")
    assert (outputs(scene), kinds(effects), ends(scene)) == (  # type: ignore[arg-type]
        [("c1", CANCELLED)],
        ["conversation.item.create", "response.create"],
        [("c1", "cancelled")],
    )


def test_a_call_is_given_up_with_words_of_the_programs_own() -> None:
    scene = calling()
    cancels(scene, "c1", {"error": "the shop is closed"}, respond=False)
    assert (outputs(scene), "response.create" in kinds(scene.log)) == ([("c1", '{"error":"the shop is closed"}')], False)


def test_a_result_that_comes_after_is_refused_and_says_why() -> None:  # F069: dropped, not sent twice
    scene = calling()
    cancels(scene, "c1")
    with pytest.raises(LocalProtocolError, match=r"c1.* was cancelled, and the model has been told so"):
        scene.tool_result("c1", "sunny")
    with pytest.raises(LocalProtocolError, match="was cancelled"):
        cancels(scene, "c1")
    assert len(outputs(scene)) == 1


@pytest.mark.parametrize("settle", ["answered", "gone", "forgotten"])
def test_an_answer_to_a_dead_call_says_what_became_of_it(settle: str) -> None:  # issue 6: refused clearly
    scene = calling()
    if settle == "gone":
        scene.server(deleted("f_c1"))
        words = "is not in the conversation any more"
    else:
        [item, *_] = sent(scene.tool_result("c1", "sunny"))
        if settle == "forgotten":  # the ledger keeps only what can still change
            scene.server([{"type": "conversation.item.added", "previous_item_id": "f_c1", "item": item["item"]}])
        words = "has its output already"
    with pytest.raises(LocalProtocolError, match=words):
        scene.tool_result("c1", "rainy")
    assert len(told(scene.log, ToolEnded)) == 1


def test_the_request_of_a_cancellation_settles_with_its_item() -> None:  # invariant 2
    scene = calling()
    issued = scene.session.cancel_tool("c1", now=0.0)
    [item, _] = sent(issued.effects)
    scene.server([{"type": "conversation.item.added", "previous_item_id": "f_c1", "item": item["item"]}])
    assert outcomes(scene.log) == [(issued.request, "done")]


def test_one_cancelled_call_of_a_batch_waits_for_the_others() -> None:  # F062
    scene = calling(call("c1"), call("c2", index=1, previous="f_c1"))
    cancels(scene, "c1")
    assert "response.create" not in kinds(scene.log)
    assert kinds(scene.tool_result("c2", "windy")) == ["conversation.item.create", "response.create"]


def test_the_end_of_the_session_ends_every_call() -> None:  # F065: checked at close
    scene = calling(call("c1"), call("c2", index=1, previous="f_c1"))
    scene.tool_result("c1", "sunny")
    scene.close()
    assert ends(scene) == [("c1", "answered"), ("c2", "gone")]


# -- interrupted ---------------------------------------------------------------------------------------------------------------


def test_a_result_outlives_the_interruption_and_is_told() -> None:  # F064, C26: kept is the default
    scene = talking(opened("m1"), audio("m1", 2000), call("c1", index=1, previous="m1"), heard_ms=100, at=0.1)
    scene.barge_in(100)
    scene.server(cancelled("r1"))
    scene.at(0.5).tool_result("c1", "sunny")
    assert (outputs(scene), ends(scene)) == ([("c1", "sunny")], [("c1", "answered")])


@pytest.mark.parametrize("how", ["speech", "text", "program"])
def test_calls_that_are_not_to_outlive_an_interruption_are_answered_before_anything_is_created(how: str) -> None:  # F069
    scene = calling(interrupted="cancel")
    if how == "speech":
        scene.server(speech_started("u1"), turn("u1"))
    elif how == "text":
        scene.say("Never mind.")
    else:
        scene.interrupt()
    created_items = [event.get("item", {}).get("type") for event in sent(scene.log) if "create" in event["type"]]
    assert (outputs(scene), created_items[0], ends(scene)) == (
        [("c1", CANCELLED)],
        "function_call_output",
        [("c1", "cancelled")],
    )
    assert kinds(scene.log).count("response.create") == (1 if how == "text" else 0)


def test_a_lost_device_cancels_no_call() -> None:
    scene = calling(interrupted="cancel")
    scene.device("lost")
    assert ends(scene) == []


def pausing() -> Scene:
    """A function runs in silence, in a session that looks first and decides then."""
    scene = ready(configured(interruption="pause", function_calls={"interrupted": "cancel"}), turn_detection=CLIENT_VAD)
    scene.server(created("r1"), call("c1"), done("r1"))
    return scene.at(1.0)


def test_a_cough_cancels_no_call_where_a_voice_is_looked_at_first() -> None:  # B18, F069, F120
    scene = pausing()
    scene.server(speech_started("u1"))
    scene.at(1.6).server(speech_stopped("u1"))
    scene.at(3.6).tick()
    assert (outputs(scene), ends(scene), len(told(scene.log, FalseInterruption))) == ([], [], 1)
    assert kinds(scene.at(4.0).tool_result("c1", "sunny")) == ["conversation.item.create", "response.create"]


def test_a_voice_that_means_it_cancels_the_call_and_its_turn_is_answered() -> None:  # B19, F069
    scene = pausing()
    scene.server(speech_started("u1"))
    assert outputs(scene) == []
    scene.at(2.1).tick()
    assert (outputs(scene), ends(scene)) == ([("c1", CANCELLED)], [("c1", "cancelled")])
    scene.at(2.5).server(speech_stopped("u1"), committed("u1"), user_item("u1"))
    scene.at(9.0).tick()
    assert kinds(scene.log).count("response.create") == 1


@pytest.mark.parametrize("turn_detection", [CLIENT_VAD, SERVER_VAD])
@pytest.mark.parametrize("follows", [False, True])
def test_a_cough_that_cancelled_a_call_is_followed_by_its_answer(turn_detection: Event, follows: bool) -> None:  # F069, F120
    scene = ready(configured(function_calls={"interrupted": "cancel"}), turn_detection=turn_detection)
    scene.server(created("r1"), call("c1"), done("r1"))
    scene.at(1.0).server(speech_started("u1"))
    assert outputs(scene) == [("c1", CANCELLED)]
    scene.at(1.5).server(speech_stopped("u1"), *([committed("u1"), user_item("u1")] if follows else []))
    before = kinds(scene.log).count("response.create")
    late = scene.at(3.5).tick()
    asked = before + kinds(late).count("response.create")
    assert len(told(late, FalseInterruption)) == (not follows)
    assert asked == (not follows or turn_detection is CLIENT_VAD), "once, by whoever answers turns"


def test_an_answer_that_begins_is_the_only_one_to_calls_of_which_a_cough_cancelled_one() -> None:  # F120, C15
    scene = ready(configured(function_calls={"interrupted": "cancel"}), turn_detection=None)
    scene.server(created("r1"), call("c1"), call("c2", index=1), done("r1"))
    scene.at(1.0).tool_result("c1", "sunny")
    cut = scene.at(2.0).local_speech()
    cut += scene._took(scene.session.speech("stopped", now=scene.at(2.4).now))
    for output in [event["item"] for event in sent(scene.log) if "item" in event]:
        cut += scene.server(announce(output["id"], output))
    assert (ends(scene)[-1], kinds(cut).count("response.create")) == (("c2", "cancelled"), 1)
    begun = created("r2", request=scene.request + 1)
    scene.server(begun, message("m2", 6000, r="r2"), done("r2"))
    late = scene.at(5.0).played(1, 2600) + scene.at(8.4).played(1, 6000) + scene.at(20.0).tick()
    assert (kinds(late), told(late, FalseInterruption)) == ([], [])


def test_nothing_is_missing_where_the_result_would_not_have_been_answered() -> None:  # F059, F120
    scene = ready(configured(function_calls={"interrupted": "cancel", "answer": "if_silent"}), turn_detection=CLIENT_VAD)
    scene.server(created("r1"), message("m1", 500), call("c1", index=1, previous="m1"), done("r1"))
    scene.at(1.0).played(1, 500)
    scene.server(speech_started("u1"))
    scene.at(1.5).server(speech_stopped("u1"))
    scene.at(4.0).tick()
    assert (outputs(scene), kinds(scene.log).count("response.create")) == ([("c1", CANCELLED)], 0)


def test_no_call_is_carried_out_twice() -> None:  # F064: duplicate orders in a database
    scene = calling(interrupted="cancel")
    scene.interrupt()
    scene.server(call_closed("c1"), done("r1"))
    assert len(told(scene.log, ToolCalled)) == 1


# -- slow ----------------------------------------------------------------------------------------------------------------------


def test_a_slow_call_is_told_once() -> None:
    scene = calling(slow_ms=800)
    deadline = scene.session.deadline
    assert deadline is not None
    scene.at(0.8).tick()
    scene.at(5.0).tick()
    assert told(scene.log, ToolSlow) == [ToolSlow("c1", "look", 800)]


def test_a_call_that_is_answered_in_time_is_not_slow() -> None:
    scene = calling(slow_ms=800)
    scene.at(0.5).tool_result("c1", "sunny")
    scene.at(0.8).tick()
    assert told(scene.log, ToolSlow) == []


def test_words_are_said_while_a_call_is_slow_and_nothing_sounds() -> None:  # "still working" messages
    scene = calling(slow_ms=800, filler="Say that it takes a moment.")
    [event] = sent(scene.at(0.8).tick())
    assert event["response"]["instructions"] == "Say that it takes a moment."
    assert (event["response"]["conversation"], event["response"]["tool_choice"]) == ("none", "none")
    assert told(scene.log, ToolSlow) == [ToolSlow("c1", "look", 800, filler=True)]
    assert kinds(scene.at(9.0).tick()) == []  # once for the calls of a response


def _filler(scene: Scene) -> int:
    asked = [event for event in sent(scene.log) if event["type"] == "response.create"]
    return int(asked[-1]["response"]["metadata"]["rtcore_request"])


def test_calls_of_two_responses_that_are_slow_together_are_bridged_once() -> None:  # C26
    scene = calling(slow_ms=800, filler="Say that it takes a moment.")
    scene.server(created("r2"), call("c2", r="r2"), done("r2"))
    assert kinds(scene.at(0.8).tick()) == ["response.create"]
    assert [each.filler for each in told(scene.log, ToolSlow)] == [True, False]
    filler = _filler(scene)
    scene.server(created("r3", request=filler, in_band=False), message("m3", 300, r="r3"), done("r3", in_band=False))
    scene.at(1.2).played(1, 300)
    assert kinds(scene.at(2.1).tick()) == ["response.create"]  # c2 is still open, and nothing sounds any more


def test_the_answer_is_heard_behind_the_words_that_bridged_the_wait() -> None:
    scene = calling(slow_ms=800, filler="Say that it takes a moment.")
    scene.at(0.8).tick()
    scene.server(created("r2", request=_filler(scene), in_band=False), message("m2", 1000, r="r2"), done("r2", in_band=False))
    scene.at(1.0).tool_result("c1", "sunny")
    assert kinds(scene.log).count("response.create") == 2  # beside the conversation, and the answer: neither waits for the other
    scene.server(created("r3"), message("m3", 500, r="r3"), done("r3"))
    assert [segment.item_id for segment in scene.session.segments] == ["m2", "m3"]


def test_words_that_come_too_late_are_not_heard() -> None:  # the result was faster than the filler's response.created
    scene = calling(slow_ms=800, filler="Say that it takes a moment.")
    scene.at(0.8).tick()
    filler = _filler(scene)
    scene.at(0.9).tool_result("c1", "sunny")
    effects = scene.server(created("r2", request=filler, in_band=False))
    assert cancel("r2") in sent(effects)


def test_words_that_come_too_late_are_not_heard_where_the_answer_waits_for_a_confirmation() -> None:  # F071, C26
    scene = calling(slow_ms=800, filler="Say that it takes a moment.")
    result = scene.at(0.1).tool_result("c1", "sunny")
    refusal = error("server_error", "The server had an error.", event_id=event_id(result, "conversation.item.create"))
    scene.server(refusal)  # from here on it waits
    scene.server(created("r2"), call("c2", r="r2"), done("r2"))
    scene.at(1.0).tick()
    filler = _filler(scene)
    scene.at(1.1).tool_result("c2", "rain")
    assert cancel("r3") in sent(scene.server(created("r3", request=filler, in_band=False)))


def test_a_person_who_interrupts_does_not_hear_the_words_either() -> None:  # B15
    scene = calling(slow_ms=800, filler="Say that it takes a moment.")
    scene.at(0.8).tick()
    filler = _filler(scene)
    scene.at(0.9).server(speech_started("u1"))
    assert cancel("r2") in sent(scene.server(created("r2", request=filler, in_band=False)))


def test_no_words_over_the_preamble_but_after_it() -> None:  # F059: nothing is said over what sounds
    scene = calling(message("m1", 1500), call("c1", index=1, previous="m1"), slow_ms=800, filler="Say that it takes a moment.")
    assert kinds(scene.at(0.8).tick()) == []
    assert told(scene.log, ToolSlow) == [ToolSlow("c1", "look", 800)]
    scene.at(1.5).played(1, 1500)
    assert kinds(scene.at(1.6).tick()) == ["response.create"]


def test_a_filler_needs_a_time() -> None:
    with pytest.raises(ValidationError, match="filler: needs slow_ms"):
        FunctionCalls(filler="Wait.")


# -- what follows --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("script", "asks"), [((), True), ((message("m1", 500),), False)])
def test_an_answer_may_depend_on_whether_the_response_spoke(script: tuple[list[object], ...], asks: bool) -> None:  # F059
    scene = calling(*script, call("c1", index=len(script)), answer="if_silent")
    assert ("response.create" in kinds(scene.tool_result("c1", "sunny"))) is asks
    assert outputs(scene) == [("c1", "sunny")]


# -- arguments -----------------------------------------------------------------------------------------------------------------


def test_arguments_are_told_piece_by_piece_where_that_is_asked_for() -> None:
    scene = ready(configured(function_calls=FunctionCalls(stream_arguments=True)))
    scene.server(
        created("r1"), call_opened("c1"), arguments("c1", '{"x"'), arguments("c1", ": 1}"), call_closed("c1", '{"x": 1}')
    )
    assert told(scene.log, ToolArguments) == [
        ToolArguments("r1", "f_c1", "c1", '{"x"'),
        ToolArguments("r1", "f_c1", "c1", ": 1}"),
    ]
    assert [each.arguments for each in told(scene.log, ToolCalled)] == ['{"x": 1}']


def test_arguments_are_not_told_otherwise_nor_those_of_a_call_that_was_cut() -> None:  # C26
    quiet = talking(call_opened("c1"), arguments("c1", "{"))
    assert told(quiet.log, ToolArguments) == []
    scene = ready(configured(function_calls=FunctionCalls(stream_arguments=True)))
    scene.server(created("r1"), call_opened("c1"))
    scene.interrupt()
    scene.server(arguments("c1", "{"))
    assert told(scene.log, ToolArguments) == []


# -- functions that nobody has -------------------------------------------------------------------------------------------------


def test_the_session_knows_which_functions_the_model_was_told_of() -> None:  # F070
    tools = [{"type": "function", "name": "look"}]
    scene = ready(tools=tools)
    scene.respond({"tools": [{"type": "function", "name": "once"}]})
    assert scene.session.tool_names == frozenset({"look", "once"})
    assert ready(prompt={"id": "p1"}).session.tool_names is None  # it may define others
