"""Turns that the program ends, by a button or a commit, over a line that is lost: each is heard once, whole, before its answer.

What a server had said nothing of is said again to the next one, in its place; what is said between presses is no turn.
"""

from typing import Any

import pytest
from helpers.scene import Scene, configured, event_id, kinds, outcomes, ready, sent, spoke, told
from helpers.wire import (
    Script,
    committed,
    created,
    done,
    error,
    message,
    pcm,
    session_created,
    session_updated,
    user_item,
)

from rtcore import Connect, Disconnection, Effect, HistoryItem, ItemAdded, MessageStarted, MicrophoneDropped, Reconnected

LOST = Disconnection(close_code=1006)
SPOKEN = pcm("mic", 400)
OTHER = pcm("another", 600)


def button(**options: Any) -> Scene:
    """A session whose turns are the program's."""
    return ready(configured(reconnect={"jitter": 0.0, "renew": False, **options}), turn_detection=None)


def press(scene: Scene, said: bytes = b"") -> list[Effect]:
    effects = scene._took(scene.session.begin_turn(now=scene.now))
    return effects + (scene.append(said) if said else [])


def release(scene: Scene, *, respond: bool = True) -> list[Effect]:
    return scene._issued(scene.session.end_turn(respond=respond, now=scene.now))


def lose(scene: Scene, connection: int = 1) -> list[Effect]:
    return scene.disconnected(LOST, connection=connection)


def back(scene: Scene, connection: int = 2) -> list[Effect]:
    due = scene.session.deadline
    assert due is not None and due.why == "reconnection"
    effects = scene.at(due.at).tick() + scene.connected(connection)
    return effects + scene.server(
        session_created(turn_detection=None), session_updated(turn_detection=None), connection=connection
    )


def order(effects: list[Effect]) -> list[str]:
    """The kinds of the client events without the session's own, each run of audio once."""
    short = [kind.removeprefix("input_audio_buffer.").removeprefix("conversation.item.") for kind in kinds(effects)]
    short = [kind for kind in short if kind != "session.update"]
    return [kind for at, kind in enumerate(short) if at == 0 or kind != short[at - 1]]


def sounds(effects: list[Effect]) -> list[bytes]:
    """What the items that were created say in sound, in base64 as it is sent."""
    items = [event["item"] for event in sent(effects) if event["type"] == "conversation.item.create"]
    return [part["audio"] for item in items for part in item["content"] if part["type"] == "input_audio"]


def the_turn(item: str, previous: str | None = None) -> Script:
    return committed(item, previous=previous) + user_item(item, previous=previous)


# -- lost with the line ------------------------------------------------------------------------------------------------------


def test_b24_s08_a_turn_released_just_before_the_line_drops_is_said_again_and_answered() -> None:  # invariant 15
    scene = button()
    press(scene, SPOKEN)
    release(scene)
    request = scene.request
    lose(scene)
    effects = back(scene)
    assert (order(effects), spoke(effects)) == (["append", "commit", "response.create"], SPOKEN)
    answer = created("r1", request=request) + message("m1", 20, "Hi.", previous="u1") + done("r1")
    scene.server(the_turn("u1"), answer, connection=2)
    assert outcomes(scene.log) == [(request, "done")]
    assert [item.id for item in scene.session.history] == ["u1", "m1"]


def test_b24_a_commit_and_a_request_behind_it_keep_their_order() -> None:
    scene = button()
    scene.append(SPOKEN)
    scene.commit()
    turn = scene.request
    scene.respond()
    lose(scene)
    effects = back(scene)
    assert (order(effects), spoke(effects)) == (["append", "commit", "response.create"], SPOKEN)
    assert outcomes(scene.server(the_turn("u1"), connection=2)) == [(turn, "done")]


def test_b24_a_commit_that_no_answer_follows_is_said_again_too() -> None:
    scene = button()
    press(scene, SPOKEN)
    release(scene, respond=False)
    lose(scene)
    effects = back(scene)
    assert (order(effects), spoke(effects)) == (["append", "commit"], SPOKEN)


def test_b24_what_was_typed_and_said_into_the_dead_line_keeps_its_order() -> None:
    scene = button()
    scene.say("Before.", respond=False)
    press(scene, SPOKEN)
    release(scene, respond=False)
    scene.say("Behind.", respond=False)
    lose(scene)
    effects = back(scene)
    assert order(effects) == ["create", "append", "commit", "create"]
    texts = [part["text"] for event in sent(effects) if "item" in event for part in event["item"]["content"]]
    assert texts == ["Before.", "Behind."]


def test_b24_s08_a_turn_lost_with_one_line_and_again_with_the_next_is_said_to_the_third() -> None:
    scene = button()
    press(scene, SPOKEN)
    release(scene)
    lose(scene)
    back(scene)
    lose(scene, connection=2)
    effects = back(scene, connection=3)
    assert (order(effects), spoke(effects)) == (["append", "commit", "response.create"], SPOKEN)


def test_b24_a_turn_that_was_lost_stands_before_the_one_made_meanwhile() -> None:
    scene = button()
    press(scene, SPOKEN)
    release(scene, respond=False)
    lose(scene)
    press(scene, OTHER)
    release(scene)
    effects = back(scene)
    assert order(effects) == ["append", "commit", "append", "commit", "response.create"]
    assert spoke(effects) == SPOKEN + OTHER


def test_b24_c22_a_turn_ended_before_the_session_was_ready_and_lost_with_it_is_said_again() -> None:
    session = {"audio": {"input": {"turn_detection": None}}}
    scene = Scene(configured(reconnect={"jitter": 0.0, "renew": False}, session=session))
    scene.open()
    press(scene, SPOKEN)
    release(scene)
    scene.connected()
    assert spoke(scene.server(session_created(turn_detection=None), session_updated(turn_detection=None))) == SPOKEN
    lose(scene)
    effects = back(scene)
    assert (order(effects), spoke(effects)) == (["append", "commit", "response.create"], SPOKEN)


def test_s08_b24_a_turn_that_the_server_had_and_had_not_announced_is_told() -> None:
    scene = button()
    press(scene, SPOKEN)
    release(scene)
    scene.server(committed("u1"))
    assert [notice.item_id for notice in told(lose(scene), ItemAdded)] == ["u1"]
    effects = back(scene)
    assert order(effects) == ["create", "response.create"]
    assert len(sounds(effects)) == 1 and [item.id for item in scene.session.history] == ["u1"]


def test_b24_or_it_fails_where_that_is_wanted() -> None:
    scene = button(pending="fail")
    scene.append(SPOKEN)
    scene.commit()
    turn = scene.request
    press(scene, OTHER)
    release(scene)
    assert sorted(outcomes(lose(scene))) == [(turn, "connection_lost"), (scene.request, "connection_lost")]
    assert order(back(scene)) == []


def test_b24_s08_a_turn_whose_commit_was_overdue_is_said_again_while_its_answer_is_waited_for() -> None:
    scene = button()
    press(scene, SPOKEN)
    release(scene)
    scene.at(7.0).tick()  # the commit had 5 s; the line is dead, and nobody knows yet
    assert outcomes(scene.log) == []
    lose(scene)
    effects = back(scene)
    assert (order(effects), spoke(effects)) == (["append", "commit", "response.create"], SPOKEN)


def test_b24_a_turn_that_was_given_up_with_its_answer_is_not_said_again() -> None:
    scene = button()
    press(scene, SPOKEN)
    release(scene)
    for now in (7.0, 30.0):
        scene.at(now).tick()
    assert outcomes(scene.log) == [(scene.request, "timed_out")]
    assert order(lose(scene) + back(scene)) == []


# -- made while there is no session ------------------------------------------------------------------------------------------


def test_f097_b24_a_turn_made_during_an_outage_is_heard_before_its_answer_is_asked_for() -> None:
    scene = button()
    lose(scene)
    press(scene, SPOKEN)
    release(scene)
    effects = back(scene)
    assert (order(effects), spoke(effects)) == (["append", "commit", "response.create"], SPOKEN)


def test_f097_what_was_typed_before_a_turn_of_an_outage_stands_before_it() -> None:
    scene = button()
    scene.server(the_turn("u0"))
    lose(scene)
    scene.say("Typed.", respond=False)
    press(scene, SPOKEN)
    release(scene)
    scene.say("Later.", interrupt=False)
    effects = back(scene)
    assert order(effects) == ["create", "append", "commit", "response.create", "create"]


def test_f136_a_turn_made_before_a_loaded_conversation_is_ready_is_heard_before_its_answer() -> None:
    session = {"audio": {"input": {"turn_detection": None}}}
    scene = Scene(configured(session=session))
    scene._took(scene.session.load([HistoryItem("u0", "message", "user", "completed", "Hi.", "Hi.")], now=0.0))
    scene.open()
    scene.append(SPOKEN)
    scene.commit()
    scene.respond()
    scene.connected()
    effects = scene.server(session_created(turn_detection=None), session_updated(turn_detection=None))
    assert order(effects) == ["create", "append", "commit", "response.create"]


@pytest.mark.parametrize("first", [True, False])
def test_f136_c13_a_button_is_one_between_the_servers_defaults_and_its_acknowledgement(first: bool) -> None:
    connection = 1 if first else 2
    session = {"audio": {"input": {"turn_detection": None}}}
    scene = Scene(configured(reconnect={"jitter": 0.0, "renew": False}, session=session))
    scene.open()
    scene.connected()
    scene.server(session_created())  # its default is to listen for turns
    if not first:
        scene.server(session_updated(turn_detection=None))
        lose(scene)
        scene.at(0.1).tick()
        scene.connected(2)
        scene.server(session_created(), connection=2)
    press(scene, SPOKEN)
    release(scene)
    effects = scene.server(session_updated(turn_detection=None), connection=connection)
    assert (order(effects), spoke(effects)) == (["append", "commit", "response.create"], SPOKEN)


# -- whose sound it is -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["refused", "unanswered"])
def test_s08_the_sound_of_a_commit_that_came_to_nothing_is_no_other_turns(how: str) -> None:
    scene = button()
    press(scene, SPOKEN)
    effects = release(scene, respond=False)
    if how == "refused":
        commit = event_id(effects, "input_audio_buffer.commit")
        scene.server(error("input_audio_buffer_commit_empty", "buffer too small", event_id=commit))
    else:
        scene.at(30.0).tick()
    press(scene, OTHER)
    release(scene, respond=False)
    scene.server(the_turn("u2"))
    assert [outcome for _, outcome in outcomes(scene.log)] == ["failed" if how == "refused" else "timed_out", "done"]
    lose(scene)
    [sound] = sounds(back(scene))
    assert len(sound) == len(OTHER) * 4 // 3


@pytest.mark.parametrize("when", ["before it begins", "while it runs", "while another runs"])
def test_f123_an_answer_to_a_turn_that_the_server_refused_is_not_given(when: str) -> None:  # B18: it has nothing to answer
    scene, number = button(), 1
    if when == "while another runs":
        request, effects = scene.session.respond(now=scene.now)
        scene._took(effects)
        scene.server(created("r0", request=request))
        number = request + 1
    press(scene, SPOKEN)
    effects = release(scene)
    commit = event_id(effects, "input_audio_buffer.commit")
    refused = error("input_audio_buffer_commit_empty", "buffer too small", event_id=commit)
    later = scene.server(created("r1", request=number), refused) if when == "while it runs" else scene.server(refused)
    if when == "before it begins":
        later += scene.server(created("r1", request=number), message("m1", 400))
    elif when == "while another runs":
        later += scene.server(done("r0", status="cancelled"))

    assert (number, "failed") in outcomes(later)
    assert [event["response_id"] for event in sent(later) if event["type"] == "response.cancel"] == (
        [] if when == "while another runs" else ["r1"]
    )
    assert "response.create" not in kinds(later) and not told(later, MessageStarted)


def test_s08_f123_a_commit_acknowledged_late_takes_nothing_of_the_turn_under_way() -> None:
    scene = button()
    press(scene, SPOKEN)
    release(scene, respond=False)
    scene.at(30.0).tick()
    press(scene, OTHER)
    scene.server(the_turn("u1"))
    scene.append(SPOKEN[: 48 * 40])
    assert "input_audio_buffer.commit" in kinds(release(scene, respond=False))  # 640 ms, and not the 40 since
    lose(scene)
    assert spoke(back(scene)) == OTHER + SPOKEN[: 48 * 40]


# -- a microphone that always runs -------------------------------------------------------------------------------------------


def test_f087_between_presses_a_microphone_that_always_runs_is_not_saved_up() -> None:  # invariant 8
    scene = button(carry_ms=1000)
    press(scene, SPOKEN)
    release(scene)
    scene.server(the_turn("u1"))
    for tenth in range(300):
        scene.at(1 + tenth / 10).append(pcm("room", 100, start_ms=tenth * 100))
    lose(scene)
    effects = back(scene)
    assert len(spoke(effects)) <= 48 * 1000 and told(effects, MicrophoneDropped) == []


def test_s08_while_the_button_is_down_it_is_kept_from_the_press_on() -> None:
    scene = button(carry_ms=300)
    scene.append(pcm("room", 2000))
    press(scene)
    for tenth in range(30):
        scene.at(1 + tenth / 10).append(pcm("mic", 100, start_ms=tenth * 100))
    lose(scene)
    assert spoke(back(scene)) == pcm("mic", 3000)
    release(scene)
    scene.append(pcm("room", 500))
    lose(scene, connection=2)
    effects = back(scene, connection=3)
    assert spoke(effects) == pcm("mic", 3000) + pcm("room", 500)[48 * 200 : 48 * 480]  # the rest is no whole batch
    assert order(effects) == ["append", "commit", "append", "response.create"]


@pytest.mark.parametrize("ended_by", ["button", "words"])
def test_b26_a_session_is_renewed_between_presses_though_the_microphone_runs(ended_by: str) -> None:
    scene = button(renew=True, limit_s=10.0, grace_s=60.0)
    if ended_by == "button":
        press(scene, SPOKEN)
        release(scene, respond=False)
        scene.server(the_turn("u1"))
    else:
        scene.append(SPOKEN)
        scene._issued(scene.session.user_turn("Hello.", respond=False, now=0.0))
        [item] = [event["item"] for event in sent(scene.log) if event["type"] == "conversation.item.create"]
        scene.server([{"type": "input_audio_buffer.cleared", "event_id": "e"}])
        scene.server([{"type": "conversation.item.added", "event_id": "e", "previous_item_id": None, "item": item}])
    renewed: list[float] = []
    for tenth in range(1, 200):
        effects = scene.at(tenth / 10).append(pcm("room", 100)) + scene.tick()
        for dialled in told(effects, Connect):  # type: ignore[type-var]
            scene.connected(dialled.connection)
            script = session_created(turn_detection=None) + session_updated(turn_detection=None)
            effects += scene.server(script, connection=dialled.connection)
        renewed += [scene.now for _ in told(effects, Reconnected)]
    assert renewed and renewed[0] < 11
