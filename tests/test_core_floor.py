"""Who has the floor on this side: a button that is down, a local detector that hears somebody (C16, C26, F127, F130)."""

from typing import Any

import pytest
from helpers.scene import Scene, configured, kinds, outcomes, ready, sent, told
from helpers.wire import (
    announce,
    call,
    committed,
    created,
    done,
    session_created,
    session_updated,
    speech_started,
    speech_stopped,
    turn,
    user_item,
)

from rtcore import Connect, ConversationIdle, Effect, Reconnected
from rtcore.config import FunctionCalls, Timeouts

MANUAL: dict[str, Any] = {"turn_detection": None}
CLEARED = [{"type": "input_audio_buffer.cleared", "event_id": "e1"}]
SECOND = bytes(48_000)
CLIENT_VAD = {"type": "server_vad", "create_response": False, "interrupt_response": False, "silence_duration_ms": 500}


def called(scene: Scene) -> Scene:
    """A function was called, and the program works on it."""
    scene.server(created("r1"), call("c1"), done("r1"))
    return scene


def presses(scene: Scene) -> None:
    scene._took(scene.session.begin_turn(now=scene.now))


def lets_go(scene: Scene, *, respond: bool = True) -> list[str]:
    return kinds(scene._issued(scene.session.end_turn(respond=respond, now=scene.now)))


def silent(scene: Scene) -> list[str]:
    return kinds(scene._took(scene.session.speech("stopped", now=scene.now)))


def answers(scene: Scene) -> int:
    return kinds(scene.log).count("response.create")


# -- the button ----------------------------------------------------------------------------------------------------------------


def test_the_clear_that_a_press_causes_gives_nobody_else_the_floor() -> None:  # C16, C23, F044
    scene = called(ready(**MANUAL))
    scene.append(SECOND)  # the microphone always runs
    presses(scene.at(0.1))
    scene.at(0.15).server(CLEARED)
    assert kinds(scene.at(0.2).tool_result("c1", "sunny")) == ["conversation.item.create"]
    scene.append(SECOND)
    sends = lets_go(scene.at(1.2))
    assert sends.count("response.create") == 1, "one answer to the turn, which answers the function's result too"
    assert sends[-2:] == ["input_audio_buffer.commit", "response.create"]


def test_a_button_that_is_down_when_the_server_begins_to_find_the_turns_is_down_no_more() -> None:  # C16, S09
    scene = called(ready(**MANUAL))
    presses(scene.at(0.1))
    scene.append(SECOND)
    scene.tool_result("c1", "sunny")
    output = next(event["item"] for event in sent(scene.log) if event["type"] == "conversation.item.create")
    scene.server(announce(output["id"], output, previous="f_c1"))
    scene.update({"audio": {"input": {"turn_detection": {"type": "server_vad"}}}})
    assert answers(scene) == 0
    assert kinds(scene.at(0.5).server(session_updated())) == ["response.create"]


def test_the_commit_of_the_turn_before_comes_while_the_button_is_down_again() -> None:  # C16, F125
    scene = called(ready(**MANUAL))
    presses(scene)
    scene.append(SECOND)
    lets_go(scene.at(0.2))
    asked = scene.request
    presses(scene.at(0.25))
    scene.append(SECOND)
    scene.at(0.3).server(committed("u1"), user_item("u1"))
    assert kinds(scene.at(0.35).tool_result("c1", "sunny")) == ["conversation.item.create"]
    effects = scene.at(0.4).server(created("r2", request=asked), done("r2", "cancelled"))
    assert kinds(effects) == ["response.cancel"], "the first turn's answer is never heard, and the second is being spoken"


def test_no_filler_while_the_button_is_down() -> None:  # C26
    scene = called(ready(configured(function_calls=FunctionCalls(slow_ms=1000, filler="One moment.")), **MANUAL))
    scene.append(SECOND)
    presses(scene.at(0.5))
    scene.server(CLEARED)
    assert "response.create" not in kinds(scene.at(1.1).tick())


def test_letting_go_of_the_button_asks_for_what_waited() -> None:  # C16, F123
    scene = called(ready(**MANUAL))
    presses(scene.at(0.1))
    scene.tool_result("c1", "sunny")
    assert answers(scene) == 0
    assert "response.create" in lets_go(scene.at(0.2)), "a slip of the finger is no turn, and the function's result is answered"
    assert answers(scene) == 1


def test_a_button_whose_release_is_never_told_holds_up_answers_for_a_minute() -> None:  # F127
    scene = called(ready(**MANUAL))
    presses(scene)
    scene.tool_result("c1", "sunny")
    scene.at(59.9).tick()
    assert answers(scene) == 0
    scene.at(60.0).tick()
    assert answers(scene) == 1


def test_the_silence_of_a_detector_is_none_while_the_button_is_down() -> None:  # C16
    scene = called(ready(**MANUAL))
    presses(scene)
    scene.local_speech()
    silent(scene.at(0.5))
    assert kinds(scene.tool_result("c1", "sunny")) == ["conversation.item.create"]


# -- a detector of the program's own -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("detection", [None, CLIENT_VAD])
def test_nothing_is_asked_for_while_a_local_detector_hears_somebody(detection: object) -> None:  # C16, F044
    scene = called(ready(turn_detection=detection))
    scene.at(1.0).local_speech()
    assert kinds(scene.at(1.2).tool_result("c1", "sunny")) == ["conversation.item.create"]
    scene.at(2.0).tick()
    assert answers(scene) == 0
    assert silent(scene.at(2.5)) == ["response.create"], "at once when they are silent, with nothing else coming by"


def test_no_filler_over_a_person_whom_a_local_detector_hears() -> None:  # C26
    scene = called(ready(configured(function_calls=FunctionCalls(slow_ms=1000, filler="One moment.")), **MANUAL))
    scene.at(0.5).local_speech()
    assert kinds(scene.at(1.1).tick()) == []


def test_a_conversation_is_not_idle_while_a_local_detector_hears_somebody() -> None:  # F130
    scene = ready(configured(timeouts=Timeouts(idle_ms=2000)), **MANUAL)
    scene.at(1.0).local_speech()
    for second in range(2, 9):
        assert not told(scene.at(float(second)).tick(), ConversationIdle)
    silent(scene.at(8.5))
    assert told(scene.at(10.0).tick(), ConversationIdle)


def test_a_session_is_not_changed_for_another_over_a_person_whom_a_local_detector_hears() -> None:  # F094
    scene = ready(configured(reconnect={"limit_s": 5, "grace_s": 30, "jitter": 0}), **MANUAL)
    scene.at(4.5).local_speech()
    [dialled] = told_connects(scene.at(5.0).tick())
    scene.connected(dialled)
    scene.server(session_created(), session_updated(turn_detection=None), connection=dialled)
    for tenth in range(51, 70):
        scene.at(tenth / 10).tick()
    assert not told(scene.log, Reconnected)
    silent(scene.at(7.0))
    scene.at(7.2).tick()
    assert told(scene.log, Reconnected)


def told_connects(effects: list[Effect]) -> list[int]:
    return [effect.connection for effect in effects if isinstance(effect, Connect)]


@pytest.mark.parametrize("how", ["commit", "user_turn"])
def test_a_detector_that_tells_of_beginnings_alone_holds_nothing_up_behind_the_turn(how: str) -> None:  # C16, F127
    scene = called(ready(**MANUAL))
    scene.local_speech()
    scene.append(SECOND)
    scene.at(1.0)
    if how == "commit":
        scene.commit()
    else:
        scene._issued(scene.session.user_turn("And tomorrow?", respond=False, now=scene.now))
    assert "response.create" in kinds(scene.at(1.1).tool_result("c1", "sunny"))


def test_beside_the_servers_detector_the_turn_ends_by_its_word() -> None:  # C16
    scene = called(ready(turn_detection=CLIENT_VAD))
    scene.local_speech()
    scene.at(0.1).server(speech_started("u1"))
    scene.at(1.0).server(speech_stopped("u1"))
    scene.server(committed("u1"), user_item("u1"))
    assert answers(scene) == 1


def test_the_commit_of_the_turn_before_does_not_end_the_speech_that_a_detector_hears_now() -> None:  # C16
    scene = called(ready(**MANUAL))
    scene.local_speech()
    scene.append(SECOND)
    silent(scene.at(1.0))
    scene.commit()
    scene.at(1.1).local_speech()
    scene.at(1.2).server(turn("u1"))
    assert kinds(scene.at(1.3).tool_result("c1", "sunny")) == ["conversation.item.create"]


def test_what_a_detector_never_says_the_end_of_holds_up_answers_for_a_minute() -> None:  # F127
    scene = called(ready(**MANUAL))
    scene.local_speech()
    scene.tool_result("c1", "sunny")
    scene.at(59.9).tick()
    assert answers(scene) == 0
    scene.at(60.0).tick()
    assert answers(scene) == 1


def test_what_the_program_asks_for_by_name_does_not_wait_for_the_floor() -> None:  # C16
    scene = ready(**MANUAL)
    scene.local_speech()
    assert [each["type"] for each in sent(scene.respond())] == ["response.create"]
    assert outcomes(scene.log) == []


# -- speech that the server hears, in turns that are answered here ---------------------------------------------------------------


def coughs_before_a_result(mode: str = "cut") -> Scene:
    """A function's result comes while the server hears somebody, and they fall silent at 1.4 s."""
    scene = called(ready(configured(interruption=mode), turn_detection=CLIENT_VAD))
    scene.at(1.0).server(speech_started("u2"))
    [output] = [event["item"] for event in sent(scene.at(1.2).tool_result("c1", "sunny"))]
    scene.server(announce(output["id"], output, previous="f_c1"))
    scene.at(1.4).server(speech_stopped("u2"))
    assert answers(scene) == 0, "the turn may follow, and its answer is one to the result too"
    return scene


@pytest.mark.parametrize("mode", ["cut", "pause"])
def test_a_result_that_came_while_somebody_coughed_is_answered_when_no_turn_follows(mode: str) -> None:  # B28, C26, F064
    scene = coughs_before_a_result(mode)
    scene.at(3.3).tick()
    assert answers(scene) == 0
    assert kinds(scene.at(3.4).tick()) == ["response.create"]


@pytest.mark.parametrize("mode", ["cut", "pause"])
def test_the_turn_that_follows_and_the_result_get_one_answer(mode: str) -> None:  # C15, C26
    scene = coughs_before_a_result(mode)
    assert kinds(scene.at(1.5).server(committed("u2"), user_item("u2"))) == ["response.create"]
    scene.server(created("r2", request=scene.request), done("r2"))
    scene.at(4.0).tick()
    assert answers(scene) == 1


def test_a_turn_that_the_program_answers_itself_is_waited_for_no_longer_than_to_its_commit() -> None:  # C26
    scene = called(ready(configured(answer_turns=False), turn_detection=CLIENT_VAD))
    scene.at(1.0).server(speech_started("u2"))
    scene.at(1.2).tool_result("c1", "sunny")
    scene.at(1.4).server(speech_stopped("u2"))
    assert kinds(scene.at(1.5).server(committed("u2"), user_item("u2"))) == ["response.create"]
