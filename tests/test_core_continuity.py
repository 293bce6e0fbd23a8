"""The conversation survives its connection: back-off, replay of what was heard, and nothing of the dead line on the new one."""

import json
from base64 import b64decode
from itertools import pairwise
from typing import Any

import pytest
from helpers.scene import (
    Scene,
    acts,
    configured,
    ended,
    event_id,
    kinds,
    outcomes,
    ready,
    sent,
    sounded,
    spoke,
    spoken,
    talking,
    told,
    verdicts,
)
from helpers.wire import (
    Event,
    Script,
    active_response,
    announce,
    audio,
    call,
    call_opened,
    committed,
    created,
    deleted,
    done,
    error,
    message,
    opened,
    pcm,
    session_created,
    session_updated,
    speech_started,
    text_message,
    transcript,
    turn,
    user_item,
    user_transcript,
    user_words,
)

from rtcore import (
    AnsweredInText,
    Clock,
    Connect,
    Disconnect,
    Disconnection,
    Effect,
    Flush,
    ItemDeleted,
    LocalProtocolError,
    MicrophoneDropped,
    Policies,
    PolicyFailed,
    ProtocolWarning,
    Reconnected,
    Reconnecting,
    ReplayIncomplete,
    RequestEnded,
    Send,
    ServerError,
    Session,
    SessionClosed,
    SessionReady,
)
from rtcore.policies import ReconnectView, reconnect
from rtcore.saved import as_messages
from rtcore.sim.footprint import footprint

LOST = Disconnection(close_code=1006)
STEADY: dict[str, Any] = {"jitter": 0.0}
TEXT = [{"type": "input_text", "text": "Be brief."}]


def steady(**options: Any) -> Any:
    return configured(reconnect={**STEADY, **options})


def lose(scene: Scene, cause: Disconnection = LOST, connection: int = 1) -> list[Effect]:
    return scene.disconnected(cause, connection=connection)


def back(scene: Scene, connection: int = 2, **session: Any) -> list[Effect]:
    """The next connection comes up when its wait is over, and is acknowledged."""
    due = scene.session.deadline
    assert due is not None and due.why == "reconnection"
    effects = scene.at(due.at).tick() + scene.connected(connection)
    return effects + scene.server(session_created(**session), session_updated(**session), connection=connection)


def dropped(scene: Scene) -> list[Effect]:
    """Lost and back; gives what was done since the loss."""
    return lose(scene) + back(scene)


def created_items(effects: list[Effect]) -> list[Event]:
    """The items that were created: what they say, without their names."""
    items = [event["item"] for event in sent(effects) if event["type"] == "conversation.item.create"]
    return [{key: value for key, value in item.items() if key != "id"} for item in items]


def says(text: str, role: str = "assistant", **more: str) -> Event:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}], **more}


def a_turn(item: str, text: str, previous: str | None = None) -> Script:
    return speech_started(item) + turn(item, previous=previous) + user_transcript(item, text)


# -- back-off ----------------------------------------------------------------------------------------------------------------


def test_waits_grow_to_the_cap_and_stop_after_the_budget() -> None:  # B25
    scene = ready(steady(attempts=5, cap_ms=500))
    lose(scene)
    delays = []
    for connection in range(2, 7):
        [notice] = told(scene.log, Reconnecting)[-1:]
        delays.append(notice.delay_s)
        due = scene.session.deadline
        assert due is not None
        scene.at(due.at).tick()
        scene.disconnected(Disconnection(error="refused"), connection=connection)
    assert delays == [0.1, 0.2, 0.4, 0.5, 0.5]
    [closed] = told(scene.log, SessionClosed)
    assert (closed.reason, [n.attempt for n in told(scene.log, Reconnecting)]) == ("lost", [1, 2, 3, 4, 5])


def test_a_connection_that_comes_up_and_dies_does_not_fill_the_budget() -> None:  # B25, F091
    scene = ready(steady(attempts=3))
    for connection in (1, 2, 3):
        lose(scene, connection=connection)
        back(scene, connection + 1)
    [*_, last] = lose(scene, connection=4)
    assert isinstance(last, SessionClosed)


def test_a_completed_response_fills_the_budget() -> None:  # B25, F091
    scene = ready(steady(attempts=2))
    for connection in range(1, 8):
        lose(scene, connection=connection)
        back(scene, connection + 1)
        response = f"r{connection}"
        scene.server(
            created(response), message(f"m{connection}", 20, "Hm.", r=response), done(response), connection=connection + 1
        )
    assert (scene.session.state, {n.attempt for n in told(scene.log, Reconnecting)}) == ("ready", {1})


def test_chance_takes_its_share_off_and_comes_from_the_seed() -> None:  # B25
    def delay(seed: int) -> float:
        scene = ready(configured(), seed=seed)
        lose(scene)
        return told(scene.log, Reconnecting)[0].delay_s

    delays = [delay(seed) for seed in range(20)]
    assert all(0.08 <= each <= 0.1 for each in delays) and len(set(delays)) == 20
    assert delays == [delay(seed) for seed in range(20)]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_that_will_not_pass_ends_the_session_at_once(status: int) -> None:  # B25, C27
    scene = ready(steady())
    lose(scene)
    due = scene.session.deadline
    assert due is not None
    scene.at(due.at).tick()
    [closed] = told(scene.disconnected(Disconnection(http_status=status), connection=2), SessionClosed)
    assert closed.reason == "refused"


def test_no_quota_ends_the_session_at_once_with_one_error() -> None:  # B25, C27, F091
    scene = ready(steady())
    effects = scene.server(error("insufficient_quota", "You exceeded your current quota."))
    assert ([type(e) for e in effects], scene.session.deadline) == ([Disconnect, ServerError, SessionClosed], None)


def test_a_server_that_closes_in_order_has_ended_the_conversation() -> None:  # F101
    [closed] = told(lose(ready(steady()), Disconnection(close_code=1000)), SessionClosed)
    assert closed.reason == "lost"


@pytest.mark.parametrize(("code", "name"), [(1009, "message_too_big"), (1003, "message_refused")])
def test_f096_a_close_that_the_next_connection_would_end_with_too_is_not_retried(code: int, name: str) -> None:
    scene = ready(steady())
    cause = Disconnection(close_code=code, reason="frame exceeds 1048576 bytes", error="raise the link's max_message")
    *_, closed = lose(scene, cause)
    assert isinstance(closed, SessionClosed) and closed.problem is not None
    assert (closed.reason, closed.problem.code, closed.problem.retryable) == ("lost", name, False)
    assert "raise the link's max_message" in closed.problem.message and closed.problem.remedy
    assert (told(scene.log, Reconnecting), scene.session.deadline) == ([], None)


def test_f096_a_reconnection_that_meets_the_limit_ends_the_session() -> None:  # B25: the replay itself was too big
    scene = ready(steady())
    dropped(scene)
    *_, closed = lose(scene, Disconnection(close_code=1009), connection=2)
    assert isinstance(closed, SessionClosed) and closed.problem is not None and closed.problem.code == "message_too_big"


@pytest.mark.parametrize("code", [1000, 1005, 1008])
def test_f102_a_close_instead_of_an_acknowledgement_asks_whether_the_configuration_was_rejected(code: int) -> None:
    scene = Scene(steady())
    scene.open()
    scene.connected()
    *_, closed = lose(scene, Disconnection(close_code=code))
    assert isinstance(closed, SessionClosed) and closed.problem is not None
    assert (closed.reason, closed.problem.code) == ("not_acknowledged", "configuration_refused")
    assert "onfiguration rejected?" in closed.problem.remedy and "session.update" in closed.problem.message


def test_f102_a_session_that_is_refused_on_return_is_dialled_again_within_the_budget() -> None:  # F102
    scene = ready(steady(attempts=3))
    lose(scene)
    for connection in (2, 3, 4):
        due = scene.session.deadline
        assert due is not None and due.why == "reconnection"
        scene.at(due.at).tick()
        scene.connected(connection)
        scene.disconnected(Disconnection(close_code=1000), connection=connection)
    assert [notice.problem.code for notice in told(scene.log, Reconnecting)] == ["connection_lost"] + [
        "configuration_refused"
    ] * 2
    [closed] = told(scene.log, SessionClosed)
    assert closed.reason == "not_acknowledged" and scene.session.deadline is None


def test_f102_a_change_that_the_server_closed_on_fails_and_is_not_asked_for_again() -> None:  # F102
    scene = ready(steady())
    scene.update({"instructions": "Be brief."})
    lose(scene, Disconnection(close_code=1000))
    [end] = told(scene.log, RequestEnded)
    assert end.outcome == "failed" and end.problem is not None
    assert end.problem.code == "configuration_refused"
    [again] = [event for event in sent(back(scene)) if event["type"] == "session.update"]
    assert again["session"].get("instructions") != "Be brief."


def test_f102_a_line_that_only_breaks_says_nothing_of_the_configuration() -> None:  # F102
    scene = Scene(steady())
    scene.open()
    scene.connected()
    *_, closed = lose(scene)
    assert isinstance(closed, SessionClosed) and closed.reason == "lost"
    assert closed.problem is not None and closed.problem.code == "connection_lost"


def test_a_first_connection_that_fails_ends_the_session() -> None:  # F101: a wrong address shows at once
    scene = Scene(steady())
    scene.open()
    assert [type(e) for e in lose(scene)] == [SessionClosed]


def test_a_session_that_expired_is_dialled_again_at_once() -> None:  # C27, F085
    scene = ready(steady())
    effects = scene.server(error("session_expired", "Your session hit the maximum duration of 60 minutes."))
    assert [type(e) for e in effects][:2] == [Disconnect, Connect]
    assert told(effects, Reconnecting)[0].delay_s == 0.0
    scene.connected(2)
    [again] = told(scene.server(session_updated(), connection=2), Reconnected)
    assert again.planned


def test_going_away_is_planned() -> None:  # C27, facts 1.8
    [notice] = told(lose(ready(steady()), Disconnection(close_code=1001)), Reconnecting)
    assert notice.delay_s == 0.0


def test_a_new_session_that_is_not_acknowledged_is_one_attempt() -> None:  # B25, DESIGN 2
    scene = ready(steady())
    lose(scene)
    scene.at(0.1).tick()
    scene.connected(2)
    effects = scene.at(10.1).tick()
    assert [type(e) for e in effects] == [Disconnect, Reconnecting]
    assert told(effects, Reconnecting)[0].attempt == 2


def test_a_policy_of_the_programs_own_decides() -> None:  # issue 6: each policy is replaceable
    seen: list[ReconnectView] = []

    def patient(view: ReconnectView) -> float | None:
        seen.append(view)
        return 2.5 if view.attempt == 1 else None

    session = Session(steady(), seed=3, policies=Policies(reconnect=patient))
    session.open(now=0.0)
    session.connected(1, now=0.0)
    session.receive(1, json.dumps(session_updated()[0]).encode(), now=0.0)
    [notice] = session.disconnected(1, LOST, now=1.0)
    assert isinstance(notice, Reconnecting) and notice.delay_s == 2.5
    assert session.deadline is not None and session.deadline.at == 3.5
    session.tick(now=3.5)
    *_, closed = session.disconnected(2, LOST, now=3.6)
    assert isinstance(closed, SessionClosed)
    assert ([view.attempt for view in seen], [round(view.down_s, 3) for view in seen]) == ([1, 2], [0.0, 2.6])


@pytest.mark.parametrize("given", [float("nan"), float("inf"), 10**400, True, "soon"])
def test_a_delay_that_is_none_is_told_and_the_default_decides(given: Any) -> None:  # issue 6: each policy is replaceable; B25
    scene = ready(steady(), policies=Policies(reconnect=lambda view: given))
    effects = lose(scene)
    assert [notice.policy for notice in told(effects, PolicyFailed)] == ["reconnect"]
    assert len(told(effects, Reconnecting)) == 1 and told(effects, SessionClosed) == []


def test_the_default_policy_is_a_pure_function() -> None:
    lost = told(ready(configured(reconnect={"attempts": 0})).disconnected(LOST), SessionClosed)[0].problem
    assert lost is not None
    view = ReconnectView(1, lost, False, 0.0, 0.5, 3, 0.1, 10.0, 0.2)
    assert reconnect(view) == reconnect(view) == pytest.approx(0.09)


# -- replay ------------------------------------------------------------------------------------------------------------------


def test_the_new_session_is_asked_for_as_the_old_one_was_with_what_changed_since() -> None:  # F137, C27, S08
    scene = ready(steady(), turn_detection=None)
    scene.update({"instructions": "Be brief."})
    scene.server(session_updated())
    effects = dropped(scene)
    assert kinds(effects) == ["session.update"]
    assert sent(effects)[0]["session"]["instructions"] == "Be brief."
    assert [type(n) for n in effects if isinstance(n, SessionReady | Reconnected)] == [Reconnected]


def test_the_heard_history_is_told_in_order_as_text() -> None:  # B21, C27, S08, F086, F087, F088
    scene = ready(steady())
    scene.server(a_turn("u1", "Tell me a story."), created("r1"), message("m1", 4000, "One two three four", previous="u1"))
    scene.server(done("r1"))
    scene.played(1, 2000)
    scene.barge_in(2000, "u2")
    scene.server(turn("u2", previous="m1"), user_transcript("u2", "Stop."))
    scene.server(created("r2"), message("m2", 100, "All right.", r="r2", previous="u2"), done("r2"))
    scene.played(2, 100)
    effects = dropped(scene)
    assert created_items(effects) == [
        says("Tell me a story.", "user"),
        says("One two", status="incomplete"),
        says("Stop.", "user"),
        says("All right."),
    ]
    items = [event for event in sent(effects) if event["type"] == "conversation.item.create"]
    assert items[0].get("previous_item_id") is None
    assert [event["previous_item_id"] for event in items[1:]] == [event["item"]["id"] for event in items[:-1]]
    assert told(effects, Reconnected)[0].replayed == 4
    assert kinds(effects)[0] == "session.update"


def test_no_id_of_the_lost_session_is_on_the_new_line() -> None:  # C27
    scene = ready(steady())
    scene.server(a_turn("u1", "Hello."), created("r1"), message("m1", 100, "Hi.", previous="u1"), done("r1"))
    scene.played(1, 100)
    effects = dropped(scene)
    assert not any(old in json.dumps(sent(effects)) for old in ('"u1"', '"m1"', '"r1"'))
    assert [item.id for item in scene.session.history] == ["u1", "m1"]


def test_items_keep_their_ids_for_the_program() -> None:  # C25, C27
    scene = ready(steady())
    scene.server(a_turn("u1", "Hello."), created("r1"), message("m1", 100, "Hi.", previous="u1"), done("r1"))
    scene.played(1, 100)
    names = [event["item"]["id"] for event in sent(dropped(scene)) if event["type"] == "conversation.item.create"]
    for name, role in zip(names, ("user", "assistant"), strict=True):
        body = {"id": name, "type": "message", "role": role, "status": "completed", "content": []}
        added = {"type": "conversation.item.added", "event_id": "e", "previous_item_id": None, "item": body}
        assert scene.server([added], connection=2) == []
    assert [item.id for item in scene.session.history] == ["u1", "m1"]
    scene.server(speech_started("u2"), turn("u2", previous=names[1]), connection=2)
    assert [item.id for item in scene.session.history] == ["u1", "m1", "u2"]
    assert sent(scene.delete_item("m1")) == [{"type": "conversation.item.delete", "item_id": names[1]}]
    assert told(scene.server(deleted(names[1]), connection=2), ItemDeleted) == [ItemDeleted("m1")]
    assert [item.id for item in scene.session.history] == ["u1", "u2"]


def test_a_turn_that_ended_before_an_item_was_told_again_stands_behind_it() -> None:  # C25, C27, F103; found by make lines
    scene = ready(steady())
    scene.server(a_turn("u1", "Hello."), created("r1"), message("m1", 2000, "One two three.", previous="u1"), done("r1"))
    lose(scene)
    names = [event["item"]["id"] for event in sent(back(scene)) if event["type"] == "conversation.item.create"]
    assert len(names) == 1  # the message still sounds
    scene.played(1, 2000)
    [item] = [event for event in sent(scene.log) if event["type"] == "conversation.item.create"][-1:]
    assert item["previous_item_id"] == names[0]
    scene.server(speech_started("u2"), turn("u2", previous=names[0]), connection=2)  # said before the server had the message
    body = {**item["item"], "status": "completed"}
    added = {"type": "conversation.item.added", "event_id": "e", "previous_item_id": names[0], "item": body}
    scene.server([added], connection=2)
    assert [item.id for item in scene.session.history] == ["u1", "m1", "u2"]
    scene.server(user_item("u3", previous=body["id"]), connection=2)  # put between them meanwhile
    scene.server([added], connection=2)  # told twice
    assert [item.id for item in scene.session.history] == ["u1", "m1", "u3", "u2"]


def test_what_nobody_heard_is_not_told_and_leaves_the_history() -> None:  # C27, S08
    scene = talking(opened("m1"), transcript("m1", "Unheard."), config=steady(), clock=Clock(pause=False))
    scene.server(speech_started("u1"))
    effects = lose(scene)
    assert ended("m1", "skipped", 0) in verdicts(scene.log)
    effects += back(scene)
    assert created_items(effects) == [] and "m1" not in [item.id for item in scene.session.history]


def test_a_call_is_told_with_its_output() -> None:  # C27, S08
    scene = ready(steady())
    scene.server(a_turn("u1", "Weather?"), created("r1"), call("c1", '{"q": 1}', previous="u1"), done("r1"))
    effects = scene.tool_result("c1", "Sunny.")
    [output] = [event["item"] for event in sent(effects) if event["type"] == "conversation.item.create"]
    scene.server([{"type": "conversation.item.added", "event_id": "e", "previous_item_id": "f_c1", "item": output}])
    assert created_items(dropped(scene)) == [
        says("Weather?", "user"),
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"q": 1}'},
        {"type": "function_call_output", "call_id": "c1", "output": "Sunny."},
    ]


def test_an_output_that_was_not_confirmed_is_told_again_and_its_request_settles_once() -> None:  # C27, DESIGN 6 invariant 10
    scene = ready(steady())
    scene.server(created("r1"), call("c1"), done("r1"))
    scene.tool_result("c1", "Sunny.")
    request = scene.request
    effects = dropped(scene)
    assert [item["type"] for item in created_items(effects)] == ["function_call", "function_call_output"]
    assert "response.create" in kinds(effects)
    output = [event["item"] for event in sent(effects) if event["type"] == "conversation.item.create"][1]
    added = {"type": "conversation.item.added", "event_id": "e", "previous_item_id": None, "item": output}
    assert outcomes(scene.server([added], connection=2)) == [(request, "done")]


def test_an_output_that_went_into_a_dead_line_is_told_again() -> None:  # C26, C27, DESIGN 6 invariant 10
    scene = ready(steady())
    scene.server(created("r1"), call("c1"), done("r1"))
    scene.tool_result("c1", "Sunny.")
    assert [outcome for _, outcome in outcomes(scene.at(30.0).tick())] == ["timed_out"]  # it counts as there
    items = created_items(dropped(scene))
    assert [item["type"] for item in items] == ["function_call", "function_call_output"]
    assert items[1]["output"] == "Sunny."


def test_an_output_without_a_word_is_there_once_the_server_goes_on() -> None:  # DESIGN 6 invariants 10 and 13
    scene = ready(steady())
    scene.server(created("r1"), call("c1"), done("r1"))
    scene.tool_result("c1", "Sunny.")
    scene.at(30.0).tick()
    scene.server(created("r2"), done("r2"))
    assert not scene.session._core.tools._unseen


def test_while_a_replay_waits_no_more_outputs_are_kept_than_it_tells() -> None:  # invariant 13: the conversation may be long
    scene = ready(steady(max_items=3))
    last = None
    for number in range(4):
        scene.server(created(f"r{number}"), call(f"c{number}", "{}", r=f"r{number}", previous=last), done(f"r{number}"))
        [output] = [event["item"] for event in sent(scene.tool_result(f"c{number}", "Sunny.")) if "item" in event]
        last = output["id"]
        scene.server(announce(last, output, previous=f"f_c{number}"))
    scene.server(created("r9"), message("m9", 2000, "It is sunny.", r="r9", previous=last))
    scene.at(0.5).played(1, 500)
    dropped(scene)
    assert footprint(scene.session._core).entries["continuity._outputs"] == 1


def test_what_follows_a_call_follows_its_output_in_the_new_session() -> None:  # C25: the order stays that of the mirror
    scene = ready(steady())
    scene.server(a_turn("u1", "Weather?"), created("r1"), call("c1", previous="u1"), done("r1"))
    scene.server(a_turn("u2", "And tomorrow?", "f_c1"))
    scene.tool_result("c1", "Sunny.")
    events = [event for event in sent(dropped(scene)) if event["type"] == "conversation.item.create"]
    assert [event["item"]["type"] for event in events] == ["message", "function_call", "function_call_output", "message"]
    assert events[3]["previous_item_id"] == events[2]["item"]["id"]


def test_what_the_server_places_behind_a_new_turn_is_not_left_before_it() -> None:  # C25: a turn while the session is told
    scene = ready(steady())
    scene.server(a_turn("u1", "One."), a_turn("u2", "Two.", "u1"))
    first, second = [event["item"] for event in sent(dropped(scene)) if event["type"] == "conversation.item.create"]
    turn_meanwhile = user_item("u3", previous=first["id"])
    ahead = {"type": "conversation.item.added", "event_id": "e", "previous_item_id": None, "item": first}
    behind = {"type": "conversation.item.added", "event_id": "e", "previous_item_id": first["id"], "item": second}
    scene.server([ahead], committed("u3"), turn_meanwhile, [behind], connection=2)
    assert [item.id for item in scene.session.history] == ["u1", "u2", "u3"]


def test_a_call_whose_tool_still_runs_is_told_when_its_result_comes() -> None:  # C27, DESIGN 6 invariant 10
    scene = ready(steady())
    scene.server(a_turn("u1", "Weather?"), created("r1"), call("c1", previous="u1"), done("r1"))
    assert created_items(dropped(scene)) == [says("Weather?", "user")]
    effects = scene.tool_result("c1", "Sunny.")
    assert [item["type"] for item in created_items(effects)] == ["function_call", "function_call_output"]
    assert kinds(effects)[-1] == "response.create"


def test_a_call_that_is_told_late_moves_nothing_that_was_told_before_it() -> None:  # C25, C27: found by the simulated world
    scene = ready(steady())
    scene.server(a_turn("u1", "Weather?"), created("r1"), call("c1", previous="u1"), call("c2", index=1, previous="f_c1"))
    scene.server(done("r1"), a_turn("u2", "And tomorrow?", "f_c2"))
    first, second = [event["item"] for event in sent(dropped(scene)) if event["type"] == "conversation.item.create"]
    late = [event for event in sent(scene.tool_result("c1", "Sunny.")) if event["type"] == "conversation.item.create"]
    assert late[0]["previous_item_id"] == first["id"]
    # Only now the server says that it has what it was told at the beginning: the call is behind that on the same line.
    ahead = {"type": "conversation.item.added", "event_id": "e", "previous_item_id": None, "item": first}
    behind = {"type": "conversation.item.added", "event_id": "e", "previous_item_id": first["id"], "item": second}
    called = {"type": "conversation.item.added", "event_id": "e", "previous_item_id": first["id"], "item": late[0]["item"]}
    scene.server([ahead], [behind], [called], connection=2)
    assert [item.id for item in scene.session.history] == ["u1", "f_c1", "f_c2", "u2"]


def test_a_result_that_comes_while_the_line_is_gone_waits_for_the_next() -> None:  # C27
    scene = ready(steady())
    scene.server(a_turn("u1", "Weather?"), created("r1"), call("c1", previous="u1"), done("r1"))
    lose(scene)
    assert sent(scene.tool_result("c1", "Sunny.")) == []
    effects = back(scene)
    assert [item["type"] for item in created_items(effects)] == ["message", "function_call", "function_call_output"]
    assert kinds(effects)[-1] == "response.create"


def test_a_call_whose_arguments_were_not_complete_is_asked_for_again() -> None:  # C26, C27
    scene = ready(steady())
    scene.server(a_turn("u1", "Weather?"), created("r1"), call_opened("c1", previous="u1"))
    effects = dropped(scene)
    assert (created_items(effects), kinds(effects)[-1]) == ([says("Weather?", "user")], "response.create")
    assert [item.id for item in scene.session.history] == ["u1"]


def test_items_that_cannot_be_told_are_named_with_the_reason() -> None:  # C27: nothing is left out silently
    scene = ready(steady())
    scene.server(speech_started("u1"), committed("u1"), user_item("u1"))
    body = {"id": "l1", "type": "mcp_list_tools", "server_label": "far", "tools": []}
    scene.server([{"type": "conversation.item.added", "event_id": "e", "previous_item_id": "u1", "item": body}])
    [notice] = told(dropped(scene), ReplayIncomplete)
    assert [item_id for item_id, _ in notice.left_out] == ["u1", "l1"]
    assert "transcription" in notice.left_out[0][1] and "remote" in notice.left_out[1][1]


def test_an_item_that_the_new_session_refuses_is_named() -> None:
    scene = ready(steady())
    scene.server(a_turn("u1", "Hello."))
    effects = dropped(scene)
    refusal = error("invalid_value", "No.", event_id=event_id(effects, "conversation.item.create"))
    effects = scene.server(refusal, connection=2)
    assert told(effects, ReplayIncomplete) == [ReplayIncomplete(2, (("u1", "No."),))]


def test_only_the_latest_items_are_told() -> None:
    scene = ready(steady(max_items=1))
    scene.server(a_turn("u1", "One."), a_turn("u2", "Two.", "u1"), a_turn("u3", "Three.", "u2"))
    effects = dropped(scene)
    assert created_items(effects) == [says("Three.", "user")]
    assert told(effects, ReplayIncomplete)[0].left_out[0][0] == "u2"


def test_a_summary_is_one_message() -> None:
    scene = ready(steady(history="summary"))
    scene.server(a_turn("u1", "Hello."), created("r1"), opened("m1", previous="u1"), transcript("m1", "One two three four"))
    scene.server(audio("m1", 4000), done("r1"))
    scene.played(1, 2000)
    scene.barge_in(2000, "u2")
    [item] = created_items(dropped(scene))
    assert item["role"] == "system"
    assert item["content"][0]["text"].endswith("User: Hello.\nAssistant: One two (interrupted)")


def test_the_sound_of_a_turn_without_words_is_told_behind_a_summary() -> None:  # S08, C27: without a lost word
    scene = ready(steady(history="summary"))
    scene.server(a_turn("u1", "Hello."), created("r1"), message("m1", 100, "Yes?", previous="u1"), done("r1"))
    scene.at(0.2).played(1, 100)
    scene.append(pcm("mic", 400))
    scene.server(speech_started("u2"), turn("u2", previous="m1"))
    effects = dropped(scene)
    summary, sound = created_items(effects)
    place = "User: [Said here without a transcript. Its sound follows this summary.]"
    assert summary["content"][0]["text"].endswith(f"User: Hello.\nAssistant: Yes?\n{place}")
    assert (sound["role"], [part["type"] for part in sound["content"]]) == ("user", ["input_audio"])
    assert b64decode(sound["content"][0]["audio"]) == pcm("mic", 400)
    assert kinds(effects)[-1] == "response.create" and told(effects, ReplayIncomplete) == []
    assert told(effects, Reconnected)[0].replayed == 2


def with_a_sound_behind_the_summary() -> tuple[Scene, str]:
    """Of three turns the second has no words: its sound stands behind the summary. And the name of that."""
    scene = ready(steady(history="summary"))
    scene.server(a_turn("u1", "One."), created("r1"), message("m1", 100, "First.", previous="u1"), done("r1"))
    scene.at(0.2).played(1, 100)
    scene.append(pcm("mic", 400))
    scene.server(speech_started("u2"), turn("u2", previous="m1"))
    scene.server(created("r2"), message("m2", 100, "Second.", r="r2", previous="u2"), done("r2"))
    scene.at(0.4).played(1, 200)
    scene.server(a_turn("u3", "Three.", "m2"), created("r3"), message("m3", 100, "Third.", r="r3", previous="u3"), done("r3"))
    scene.at(0.6).played(1, 300)
    summary, sound = created_events(dropped(scene))
    scene.server(announce(summary["id"], summary), announce(sound["id"], sound, previous=summary["id"]), connection=2)
    return scene, summary["id"]


AT_ITS_PLACE = "First.\nUser: [Said here without a transcript. Its sound follows this summary.]\nAssistant: Second.\n"


def test_a_sound_behind_a_summary_keeps_its_place_in_the_conversation() -> None:  # C25, C27: in its order, at the next loss too
    scene, _ = with_a_sound_behind_the_summary()
    sound = scene.session._core.history.wire("u2")
    scene.server(a_turn("u4", "Four.", sound), connection=2)
    order = ["u1", "m1", "u2", "m2", "u3", "m3", "u4"]
    assert [item.id for item in scene.session.history if not item.aside] == order
    summary, again = created_items(lose(scene, connection=2) + back(scene, 3))
    assert AT_ITS_PLACE in summary["content"][0]["text"] and summary["content"][0]["text"].endswith("Third.\nUser: Four.")
    assert b64decode(again["content"][0]["audio"]) == pcm("mic", 400)
    assert [item.id for item in scene.session.history if not item.aside] == order


@pytest.mark.parametrize("on_its_way", [False, True])
def test_a_turn_before_the_server_has_the_summary_stands_behind_all_that_it_tells(on_its_way: bool) -> None:  # B21, C25, C27
    scene = ready(steady(history="summary"))
    scene.append(pcm("mic", 400))
    scene.server(speech_started("u1"), turn("u1"))  # its words do not come: its sound is told behind the summary
    scene.server(created("r1"), message("m1", 2000, "One two three.", previous="u1"), done("r1"))
    assert created_events(dropped(scene)) == []  # the message still sounds
    if not on_its_way:
        scene.server(turn("u2"), connection=2)
    effects = scene.at(2.0).played(1, 2000)
    [summary, sound] = [event for event in sent(effects) if event["type"] == "conversation.item.create"]
    assert (summary["previous_item_id"], sound["previous_item_id"]) == ("root", summary["item"]["id"])
    if on_its_way:
        scene.server(turn("u2"), connection=2)
    summary, sound = summary["item"], sound["item"]
    scene.server(announce(summary["id"], summary), announce(sound["id"], sound, previous=summary["id"]), connection=2)
    scene.server(user_item("u3", previous="u2"), connection=2)
    assert [item.id for item in scene.session.history] == [summary["id"], "u1", "m1", "u2", "u3"]


def test_a_turn_that_ended_while_a_call_is_told_late_stands_behind_the_calls_that_are_told_later_still() -> None:  # C25, C27
    scene = ready(steady())
    scene.server(created("r1"), message("m1", 500, "One."), done("r1"))
    scene.server(created("r2"), call("c1", r="r2", previous="m1"), call("c2", r="r2", index=1, previous="f_c1"), done("r2"))
    scene.at(0.5).played(1, 500)
    [told_m1] = created_events(dropped(scene))
    scene.server(announce(told_m1["id"], told_m1), connection=2)
    late = [event for event in sent(scene.tool_result("c1", "42")) if event["type"] == "conversation.item.create"]
    assert [event["item"]["type"] for event in late] == ["function_call", "function_call_output"]
    wire = told_m1["id"]
    scene.server(speech_started("u1"), turn("u1", previous=wire), connection=2)
    scene.server(announce(late[0]["item"]["id"], late[0]["item"], previous=wire), connection=2)
    kinds_of = [(item.type, item.call_id or item.id) for item in scene.session.history]
    assert [each for each in kinds_of if each[0] != "function_call_output"] == [
        ("message", "m1"),
        ("function_call", "c1"),
        ("function_call", "c2"),
        ("message", "u1"),
    ]


def test_a_turn_that_ended_before_the_first_item_was_told_again_stands_behind_it() -> None:  # C25, C27, F103
    scene = ready(steady())
    scene.server(created("r1"), message("m1", 2000, "One two three."), done("r1"))
    assert created_events(dropped(scene)) == []  # the message still sounds
    [item] = [event for event in sent(scene.at(2.0).played(1, 2000)) if event["type"] == "conversation.item.create"]
    assert item["previous_item_id"] == "root"
    scene.server(speech_started("u1"), turn("u1"), connection=2)  # said before the server had the message
    scene.server(announce(item["item"]["id"], item["item"]), connection=2)
    assert [item.id for item in scene.session.history] == ["m1", "u1"]


def test_what_takes_the_place_of_a_sound_behind_a_summary_stands_behind_it_too() -> None:  # B22, C25
    scene, name = with_a_sound_behind_the_summary()
    body = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Two."}]}
    effects = scene._issued(scene.session.replace_item("u2", body, now=scene.now))
    [created_] = [event for event in sent(effects) if event["type"] == "conversation.item.create"]
    assert created_["previous_item_id"] == name


@pytest.mark.parametrize("words", ["", "Two."])
def test_another_summary_keeps_the_place_of_a_sound_that_is_told_behind_it(words: str) -> None:  # B22, C25, C27
    scene, _ = with_a_sound_behind_the_summary()
    if words:  # the sound stands there all the same, and is not told twice
        scene.server(user_transcript(scene.session._core.history.wire("u2"), words), connection=2)
    [summary] = created_events(scene.delete_item("u3"))
    assert summary["content"][0]["text"].endswith(AT_ITS_PLACE + "Assistant: Third.")
    scene.server(announce(summary["id"], summary), connection=2)
    assert [item.id for item in scene.session.history if not item.aside] == ["u1", "m1", "u2", "m2", "m3"]


@pytest.mark.parametrize("history", ["items", "summary"])
def test_a_turn_whose_words_have_only_begun_is_told_by_its_sound(history: str) -> None:  # S08, C27: without a lost word
    scene = ready(steady(history=history))
    scene.append(pcm("mic", 400))
    scene.server(speech_started("u1"), turn("u1"), user_words("u1", "Book a table"))
    effects = dropped(scene)
    [item] = created_items(effects)
    assert b64decode(item["content"][0]["audio"]) == pcm("mic", 400)
    assert told(effects, ReplayIncomplete) == []


@pytest.mark.parametrize("history", ["items", "summary"])
def test_words_that_have_only_begun_are_told_and_named_where_no_sound_is_kept(history: str) -> None:  # C27
    scene = ready(steady(history=history))
    scene.server(speech_started("u1"), turn("u1"), user_words("u1", "Book a table"))
    effects = dropped(scene)
    [item] = created_items(effects)
    assert item["content"][0]["text"].endswith("Book a table")
    [(item_id, reason)] = told(effects, ReplayIncomplete)[0].left_out
    assert (item_id, "beginning" in reason) == ("u1", True)


def test_words_that_have_only_begun_at_a_renewal_leave_the_sound_its_place() -> None:  # F092, S08
    scene = ready(lasting(limit_s=60.0))
    scene.at(59.0).append(pcm("mic", 400))
    scene.server(speech_started("u1"), turn("u1"), user_words("u1", "Book a table"))
    scene.at(59.5).server(created("r1"), message("m1", 100, "Sure.", previous="u1"), done("r1"))
    scene.played(1, 100)
    until(scene, 60.0)
    sound, answer = created_items(beside(scene))
    assert (sound["content"][0]["type"], answer) == ("input_audio", says("Sure."))


@pytest.mark.parametrize("kept", [True, False])
def test_a_turn_whose_transcript_is_empty_is_told_by_its_sound(kept: bool) -> None:  # S08, F115
    scene = ready(steady())
    if kept:
        scene.append(pcm("mic", 400))
    scene.server(speech_started("u1"), turn("u1"), user_transcript("u1", ""))
    effects = dropped(scene)
    assert [item["content"][0]["type"] for item in created_items(effects)] == ["input_audio"] * kept
    reasons = [reason for notice in told(effects, ReplayIncomplete) for _, reason in notice.left_out]
    assert reasons == ["the user's words are not known: the transcript of them is empty"] * (not kept)


@pytest.mark.parametrize("history", ["items", "summary"])
@pytest.mark.parametrize("content", [[], [{"type": "output_text", "text": ""}], [{"type": "output_text", "text": " "}]])
def test_f110_a_message_without_content_is_not_told_again(content: list[Event], history: str) -> None:  # F110, C27
    scene = ready(steady(history=history))
    scene.server(a_turn("u1", "Hello."))
    for item_id, previous, role in (("e1", "u1", "assistant"), ("e2", "e1", "system")):
        said = [{**part, "type": "output_text" if role == "assistant" else "input_text"} for part in content]
        empty = {"id": item_id, "type": "message", "role": role, "content": said, "status": "completed"}
        scene.server(announce(item_id, empty, previous=previous))
    effects = dropped(scene)
    [item] = created_items(effects)
    [part] = item["content"]
    assert part["text"].endswith("Hello.") and told(effects, ReplayIncomplete) == []
    assert [each.id for each in scene.session.history if not each.aside] == ["u1", "e1", "e2"]


def with_parts(scene: Scene, role: str, *content: Event) -> None:
    """The program puts a message of several parts into the conversation."""
    [item] = created_events(scene.create_item({"type": "message", "role": role, "content": list(content)}))
    scene.server(announce(item["id"], item))


@pytest.mark.parametrize("role", ["system", "user"])
@pytest.mark.parametrize("history", ["items", "summary"])
def test_the_parts_of_a_message_that_the_program_wrote_do_not_run_together(history: str, role: str) -> None:  # C27, B22
    scene = ready(steady(history=history))
    texts = [{"type": "input_text", "text": text} for text in ("Context: order 17", "23 items left")]
    with_parts(scene, role, *texts)
    [shown] = scene.session.history
    assert (shown.text, shown.full_text) == ("Context: order 17 23 items left",) * 2
    assert [each["content"] for each in as_messages([shown])] == ["Context: order 17 23 items left"]
    # What the program wrote is what is there, however it is told: nothing is changed for it.
    body = {"id": shown.id, "type": "message", "role": role, "content": texts}
    assert sent(scene._issued(scene.session.sync_history([body], now=scene.now))) == []
    [item] = created_items(dropped(scene))
    if history == "items":
        assert item["content"] == texts
    else:
        assert item["content"][0]["text"].endswith(": Context: order 17 23 items left")


@pytest.mark.parametrize("history", ["items", "summary"])
def test_sound_beside_text_that_cannot_be_told_is_named(history: str) -> None:  # C27: nothing is left out silently
    scene = ready(steady(history=history))
    with_parts(scene, "user", {"type": "input_text", "text": "Who says this?"}, {"type": "input_audio", "audio": "AAAAAAAA"})
    effects = dropped(scene)
    [item] = created_items(effects)
    assert item["content"][0]["text"].endswith("Who says this?")
    [(_, reason)] = told(effects, ReplayIncomplete)[0].left_out
    assert "sound" in reason


@pytest.mark.parametrize("history", ["items", "summary"])
def test_a_text_without_a_word_is_no_sound(history: str) -> None:  # C27: nor is anything named that was not there
    scene = ready(steady(history=history))
    with_parts(scene, "user", {"type": "input_text", "text": ""}, {"type": "input_text", "text": "Hi."})
    effects = dropped(scene)
    [item] = created_items(effects)
    assert item["content"][0]["text"].endswith("Hi.")
    assert told(effects, ReplayIncomplete) == []


@pytest.mark.parametrize(("options", "named"), [({}, False), ({"image_bytes": 10}, True), ({"history": "summary"}, True)])
def test_sound_beside_a_picture_that_cannot_be_told_is_named(options: dict[str, Any], named: bool) -> None:  # C27
    scene = ready(steady(**options))
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    with_parts(scene, "user", image, {"type": "input_audio", "audio": "AAAAAAAA"})
    reasons = [reason for notice in told(dropped(scene), ReplayIncomplete) for _, reason in notice.left_out]
    assert ["sound" in reason for reason in reasons] == [True] * named


def test_a_summary_is_not_asked_for_where_only_a_sound_is_to_be_told() -> None:  # S08
    scene = ready(steady(history="summary"))
    scene.append(pcm("mic", 400))
    scene.server(speech_started("u1"), turn("u1"))
    assert [item["content"][0]["type"] for item in created_items(dropped(scene))] == ["input_audio"]


def test_what_a_summary_cannot_tell_is_named() -> None:  # C27: nothing is left out silently
    scene = ready(steady(history="summary"))
    scene.server(speech_started("u1"), committed("u1"), user_item("u1"))
    body = {"id": "l1", "type": "mcp_list_tools", "server_label": "far", "tools": []}
    scene.server([{"type": "conversation.item.added", "event_id": "e", "previous_item_id": "u1", "item": body}])
    scene.server(a_turn("u2", "Weather?", "l1"), created("r1"), call("c1", previous="u2"), done("r1"))
    [output] = created_events(scene.tool_result("c1", "Sunny."))
    scene.server(announce(output["id"], output, previous="f_c1"))
    effects = dropped(scene)
    [item] = created_items(effects)
    assert item["content"][0]["text"].endswith("User: Weather?\nTool look({}) answered: Sunny.")
    [notice] = told(effects, ReplayIncomplete)
    assert [item_id for item_id, _ in notice.left_out] == ["u1", "l1"]


def test_nothing_is_told_where_that_is_wanted() -> None:
    scene = ready(steady(history="none"))
    scene.server(a_turn("u1", "Hello."), created("r1"), message("m1", 100, "Hi.", previous="u1"), done("r1"))
    scene.played(1, 100)
    assert kinds(dropped(scene)) == ["session.update"]


@pytest.mark.parametrize("history", ["items", "summary"])
def test_the_first_answer_after_a_replay_that_comes_as_text_is_asked_for_again_once(history: str) -> None:  # F140, issue 6, 7
    scene = ready(steady(history=history))
    scene.server(a_turn("u1", "Hello."), created("r1"), message("m1", 100, "Hi.", previous="u1"), done("r1"))
    scene.played(1, 100)
    dropped(scene)
    written = created("r2") + text_message("m2", "In writing.", r="r2") + done("r2")
    effects = scene.server(written, connection=2)
    assert told(effects, AnsweredInText) == [AnsweredInText("r2", "m2", "In writing.", True)]
    assert kinds(effects) == ["conversation.item.delete"]
    effects = scene.server(deleted("m2"), connection=2)
    assert kinds(effects) == ["response.create"]
    again = created("r3", request=1) + text_message("m3", "In writing.", r="r3") + done("r3", request=1)
    assert [notice.retried for notice in told(scene.server(again, connection=2), AnsweredInText)] == [False]


def replayed() -> Scene:
    """Line 2, whose server was told what the model had said."""
    scene = ready(steady())
    scene.server(a_turn("u1", "Hello."), created("r1"), message("m1", 100, "Hi.", previous="u1"), done("r1"))
    scene.played(1, 100)
    dropped(scene)
    return scene


def written(number: int, request: int | None = None) -> Script:
    """The server answers in text, and sounds nothing."""
    name = f"r{number}"
    return created(name, request=request) + text_message(f"m{number}", "In writing.", r=name) + done(name, request=request)


def retried(effects: list[Effect]) -> list[bool]:
    """Whether the answers in text that are told are taken back and asked for again."""
    again = [notice.retried for notice in told(effects, AnsweredInText)]
    assert kinds(effects) == ["conversation.item.delete"] * sum(again)
    return again


@pytest.mark.parametrize("beside", ["nothing", "text"])
def test_a_call_is_no_answer_what_is_written_behind_it_is_still_the_first_after_the_replay(beside: str) -> None:  # F140, issue 6
    scene = replayed()
    words = text_message("m2", "A moment.", r="r2") if beside == "text" else []
    scene.server(a_turn("u2", "Weather?"), created("r2"), words, call("c1", "{}", r="r2"), done("r2"), connection=2)
    output, asked = sent(scene.tool_result("c1", "Sunny."))
    scene.server(announce(output["item"]["id"], output["item"], previous="f_c1"), connection=2)
    number = int(asked["response"]["metadata"]["rtcore_request"])
    assert retried(scene.server(written(3, number), connection=2)) == [True]
    assert kinds(scene.server(deleted("m3"), connection=2)) == ["response.create"]


def test_each_replay_has_a_try_of_its_own() -> None:  # F140, issue 6
    scene = replayed()
    assert retried(scene.server(written(2), connection=2)) == [True]
    scene.server(deleted("m2"), connection=2)
    assert retried(scene.server(written(3), connection=2)) == [False]
    lose(scene, connection=2)
    back(scene, 3)
    assert retried(scene.server(written(4), connection=3)) == [True]
    assert kinds(scene.server(deleted("m4"), connection=3)) == ["response.create"]
    assert retried(scene.server(written(5), connection=3)) == [False]


def test_who_has_spoken_since_the_replay_is_not_asked_again() -> None:  # F140: text_answers decides, as ever
    scene = replayed()
    scene.server(created("r2"), message("m2", 100, "Well.", r="r2"), done("r2"), connection=2)
    assert retried(scene.server(written(3), connection=2)) == [False]


def test_an_answer_in_text_whose_line_is_lost_at_its_end_is_told_as_one() -> None:  # F140, B24: nobody waits in silence
    scene = ready(steady())
    scene.server(a_turn("u1", "Hello."), created("r1"), text_message("m1", "In writing."))
    effects = scene.disconnected(Disconnection(close_code=1006))
    assert told(effects, AnsweredInText) == [AnsweredInText("r1", "m1", "In writing.", False)]


# -- what sounds while the line is gone ---------------------------------------------------------------------------------------


def test_what_was_received_goes_on_sounding_and_is_told_when_it_was_heard() -> None:  # C27, F093, DESIGN 6 invariant 11
    scene = ready(steady())
    scene.server(
        a_turn("u1", "Tell me."), created("r1"), opened("m1", previous="u1"), transcript("m1", "One two"), audio("m1", 2000)
    )
    scene.at(0.5).played(1, 500)
    effects = lose(scene)
    assert not [effect for effect in effects if isinstance(effect, Flush)] and verdicts(effects) == []
    effects = back(scene)
    assert created_items(effects) == [says("Tell me.", "user")]
    assert "response.create" not in kinds(effects)
    effects = scene.at(2.0).played(1, 2000)
    assert verdicts(effects) == [ended("m1", "partial", 2000)]
    # The answer was cut off by the line: the model is told how much was heard, and asked to go on.
    assert created_items(effects) == [says("One two", status="incomplete")]
    assert kinds(effects)[-1] == "response.create"
    assert sounded(scene.log) == pcm("m1", 2000)


def test_an_interruption_of_what_sounds_is_not_told_to_a_server_that_does_not_know_it() -> None:  # B23
    scene = ready(steady())
    scene.server(a_turn("u1", "Tell me."), created("r1"), message("m1", 4000, "One two three four", previous="u1"), done("r1"))
    scene.at(0.5).played(1, 500)
    dropped(scene)
    effects = scene.at(1.0).server(speech_started("u2"), connection=2)
    effects = scene.answering(effects, 1000)
    assert verdicts(effects) == [ended("m1", "partial", 1000)]
    assert kinds(effects) == ["conversation.item.create"]
    assert created_items(effects) == [says("One", status="incomplete")]
    [item] = [item for item in scene.session.history if item.id == "m1"]
    assert (item.text, item.full_text) == ("One", "One two three four")


def test_an_interruption_while_the_line_is_gone_silences_at_once() -> None:  # B23, B24
    scene = ready(steady())
    scene.server(created("r1"), opened("m1"), transcript("m1", "One two"), audio("m1", 2000))
    scene.at(0.5).played(1, 500)
    lose(scene)
    effects = scene.answering(scene.at(0.55).local_speech(), 550)
    assert (acts(effects)[0], verdicts(effects), kinds(effects)) == (Flush(1), [ended("m1", "partial", 550)], [])


def test_an_answer_that_came_whole_is_not_asked_for_again() -> None:  # only its end was not told
    scene = ready(steady())
    scene.server(a_turn("u1", "Hello."), created("r1"), message("m1", 100, "Hi.", previous="u1"))
    scene.played(1, 100)
    effects = dropped(scene)
    assert "response.create" not in kinds(effects)
    assert created_items(effects) == [says("Hello.", "user"), says("Hi.")]


# -- nothing of the dead line on the new one -----------------------------------------------------------------------------------


def test_edits_of_the_lost_session_are_not_sent_to_another() -> None:  # B24
    scene = ready(steady(), turn_detection=None)
    scene.server(created("r1"), opened("m1"), transcript("m1", "One two"), audio("m1", 2000))
    scene.at(0.5).played(1, 500)
    flushed = scene.interrupt()
    lose(scene)
    scene.answering(flushed, 500)
    effects = back(scene)
    assert set(kinds(effects)) <= {"session.update", "conversation.item.create"}


def test_a_turn_that_the_server_owed_an_answer_is_answered() -> None:  # DESIGN 6 invariant 15, S08
    scene = ready(steady())
    scene.server(a_turn("u1", "Hello?"))
    effects = dropped(scene)
    assert (created_items(effects), kinds(effects)[-1]) == ([says("Hello?", "user")], "response.create")


def test_a_turn_that_was_said_into_a_line_that_died_without_a_word_is_answered_however_late() -> None:  # F095, invariant 15
    scene = ready(steady())
    scene.server(a_turn("u1", "Hello?"))
    scene.at(39.0).tick()
    effects = dropped(scene)
    assert kinds(effects)[-1] == "response.create"


def test_commands_that_were_not_answered_are_asked_for_again() -> None:  # B24, S08
    scene = ready(steady(), turn_detection=None)
    scene.say("Hello.")
    first = scene.request
    scene.update({"instructions": "Be brief."})
    effects = dropped(scene)
    assert kinds(effects) == ["session.update", "conversation.item.create", "response.create", "session.update"]
    assert created_items(effects) == [says("Hello.", "user")]
    assert outcomes(effects) == []
    effects = scene.server(created("r1", request=first), message("m1", 20, "Hi."), done("r1", request=first), connection=2)
    assert (first, "done") in outcomes(effects)


def test_or_they_fail_where_that_is_wanted() -> None:  # B24, S08
    scene = ready(steady(pending="fail"), turn_detection=None)
    scene.say("Hello.")
    scene.create_item({"type": "message", "role": "system", "content": TEXT})
    effects = lose(scene)
    assert outcomes(effects) == [(1, "connection_lost"), (2, "connection_lost")]
    assert [notice.problem is not None for notice in told(effects, RequestEnded)] == [True, True]
    assert kinds(back(scene)) == ["session.update"]


def test_a_running_response_is_closed_and_its_request_settles() -> None:  # S08, F093
    scene = ready(steady(), turn_detection=None)
    scene.respond()
    scene.server(created("r1", request=1), opened("m1"), audio("m1", 100))
    assert outcomes(lose(scene)) == [(1, "connection_lost")]


def test_messages_of_the_lost_connection_change_nothing() -> None:  # B24, DESIGN 6 invariant 3, F090
    scene = ready(steady())
    dropped(scene)
    assert scene.server(created("r9"), opened("m9"), audio("m9", 100), active_response()) == []


def test_commands_wait_while_the_line_is_gone() -> None:  # F097
    scene = ready(steady(), turn_detection=None)
    lose(scene)
    assert sent(scene.say("Still there?")) == []
    effects = back(scene)
    assert (created_items(effects), kinds(effects)[-1]) == ([says("Still there?", "user")], "response.create")


# -- the microphone ----------------------------------------------------------------------------------------------------------


def test_what_was_said_into_the_dead_line_is_not_sent_in_a_burst() -> None:  # B24, C27
    scene = ready(steady(carry_ms=1000, first_ms=8000))
    lose(scene)
    for ms in range(0, 8000, 100):
        scene.at(ms / 1000).append(pcm("mic", 100, start_ms=ms))
    effects = back(scene)
    assert sum(n.dropped_ms for n in told(effects, MicrophoneDropped)) == 7000
    assert spoke(effects) == pcm("mic", 1000, start_ms=7000)


def test_microphone_audio_goes_on_after_the_acknowledgement() -> None:  # C27
    scene = ready(steady())
    lose(scene)
    scene.append(pcm("mic", 40))
    due = scene.session.deadline
    assert due is not None
    scene.at(due.at).tick()
    assert spoke(scene.connected(2)) == b""
    assert spoke(scene.server(session_updated(), connection=2)) == pcm("mic", 40)


def test_the_last_moments_are_sent_again_because_nobody_knows_since_when_the_line_was_dead() -> None:  # F087, S08
    scene = ready(steady(carry_ms=2000))
    for ms in range(0, 5000, 100):
        scene.at(ms / 1000).append(pcm("mic", 100, start_ms=ms))
    lose(scene.at(5.0))
    effects = back(scene)
    assert spoke(effects) == pcm("mic", 2000, start_ms=3000)
    assert told(effects, MicrophoneDropped) == []  # of what was never sent, nothing


def test_an_unfinished_turn_is_said_again_from_its_beginning() -> None:  # issue 6, part 7; C27
    scene = ready(steady(carry_ms=100, first_ms=1000))
    for ms in range(0, 3000, 100):
        scene.at(ms / 1000).append(pcm("mic", 100, start_ms=ms))
        if ms == 500:
            scene.server(speech_started("u1"))
    lose(scene.at(3.0))
    for ms in range(3000, 4000, 100):
        scene.at(ms / 1000).append(pcm("mic", 100, start_ms=ms))
    effects = back(scene)
    assert spoke(effects) == pcm("mic", 4000)
    assert told(effects, MicrophoneDropped) == []


def test_an_unfinished_turn_is_not_said_again_after_a_minute() -> None:  # F087, F127: its beginning is gone, and nobody waits
    scene = ready(steady(carry_ms=500, first_ms=70_000, cap_ms=70_000))
    scene.append(pcm("mic", 100))
    scene.server(speech_started("u1"))
    lose(scene.at(1.0))
    for second in range(1, 71):
        scene.at(second).append(pcm("mic", 100, start_ms=100 * second))
    assert len(spoke(back(scene))) <= 48 * 500


def test_a_turn_that_the_program_ends_is_kept_whole() -> None:  # B24, C13
    scene = ready(steady(first_ms=5000, carry_ms=100), turn_detection=None)
    scene.append(pcm("mic", 400))
    lose(scene)
    effects = back(scene, turn_detection=None)
    assert spoke(effects) == pcm("mic", 400)
    assert kinds(scene.commit()) == ["input_audio_buffer.commit"]


def test_a_commit_that_was_not_answered_becomes_the_turn_that_it_was_to_be() -> None:  # B24, issue 6, part 7
    scene = ready(steady())  # the server listens for turns as well, and would find others in what is sent at once
    scene.append(pcm("mic", 400))
    scene.commit()
    request = scene.request
    effects = dropped(scene)
    [event] = [event for event in sent(effects) if event["type"] == "conversation.item.create"]
    [part] = event["item"]["content"]
    assert part["type"] == "input_audio" and spoke(effects) == b""
    added = {"type": "conversation.item.added", "event_id": "e", "previous_item_id": None, "item": event["item"]}
    assert outcomes(scene.server([added], connection=2)) == [(request, "done")]


def test_a_turn_whose_words_have_not_come_is_told_as_sound() -> None:  # issue 6, part 7: no word is lost
    scene = ready(steady())
    scene.append(pcm("mic", 400))
    scene.server(speech_started("u1"))
    scene.append(pcm("mic", 400, start_ms=400))
    scene.server(turn("u1"))
    effects = dropped(scene)
    [item] = created_items(effects)
    assert item["content"][0]["type"] == "input_audio"
    assert kinds(effects)[-1] == "response.create"


def test_losing_it_again_before_anything_was_said_changes_nothing() -> None:  # B24
    scene = ready(steady())
    scene.server(a_turn("u1", "Hello."), created("r1"), message("m1", 100, "Hi.", previous="u1"), done("r1"))
    scene.played(1, 100)
    first = created_items(dropped(scene))
    lose(scene, connection=2)
    again = created_items(back(scene, 3))
    assert (first, again) == ([says("Hello.", "user"), says("Hi.")], first)


def test_answered_after_the_loss_is_behind_what_was_before() -> None:  # C25
    scene = spoken(message("m1", 100, "Hi."), config=steady())
    scene.played(1, 100)
    [name] = [event["item"]["id"] for event in sent(dropped(scene)) if event["type"] == "conversation.item.create"]
    scene.server(created("r2"), message("m2", 100, "Well.", r="r2", previous=name), done("r2"), connection=2)
    assert [item.id for item in scene.session.history] == ["m1", "m2"]


# -- renewal -----------------------------------------------------------------------------------------------------------------


def lasting(limit_s: float = 60.0, grace_s: float = 10.0, **options: Any) -> Any:
    return configured(reconnect={**STEADY, "limit_s": limit_s, "grace_s": grace_s, **options})


def until(scene: Scene, at: float) -> list[Effect]:
    """Let time pass, deadline by deadline."""
    effects: list[Effect] = []
    while (due := scene.session.deadline) is not None and due.at <= at:
        effects += scene.at(max(scene.now, due.at)).tick()
    scene.at(at)
    return effects


def beside(scene: Scene, connection: int = 2) -> list[Effect]:
    """The second line comes up and is acknowledged."""
    effects = scene.connected(connection)
    return effects + scene.server(session_created(), session_updated(), connection=connection)


def lines(effects: list[Effect]) -> list[str]:
    """What happens to connections, and what is said on which."""
    told_: list[str] = []
    for effect in effects:
        if isinstance(effect, Connect):
            told_.append(f"dial {effect.connection}")
        elif isinstance(effect, Disconnect):
            told_.append(f"leave {effect.connection}")
        elif isinstance(effect, Send):
            told_.append(f"{effect.connection} {json.loads(bytes(effect.payload))['type']}")
        elif isinstance(effect, Reconnected):
            told_.append("reconnected")
    return told_


def test_a_session_is_renewed_in_a_quiet_moment_over_a_second_line() -> None:  # B26, C27, F085
    scene = ready(lasting())
    scene.server(a_turn("u1", "Hello."), created("r1"), message("m1", 100, "Hi.", previous="u1"), done("r1"))
    scene.played(1, 100)
    assert lines(until(scene, 60.0)) == ["dial 2"]
    assert lines(scene.connected(2)) == ["2 session.update"]
    effects = scene.server(session_created(), session_updated(), connection=2)
    assert lines(effects) == ["leave 1", "2 conversation.item.create", "2 conversation.item.create", "reconnected"]
    assert [notice.planned for notice in told(effects, Reconnected)] == [True]
    assert lines(scene.say("And now?")) == ["2 conversation.item.create", "2 response.create"]


def test_not_while_the_user_speaks_or_the_model_is_heard() -> None:  # B26
    scene = ready(lasting())
    scene.at(59.0).server(speech_started("u1"))
    until(scene, 60.0)
    assert lines(beside(scene)) == ["2 session.update"]
    scene.at(61.0).server(turn("u1"), user_transcript("u1", "Hello."))
    scene.at(61.5).server(created("r1"), message("m1", 1000, "Hi.", previous="u1"), done("r1"))
    assert lines(until(scene, 62.0)) == []
    scene.at(62.5).played(1, 1000)
    assert "leave 1" in lines(until(scene, 62.7))


def test_at_the_latest_when_its_grace_is_over_in_the_middle_of_anything() -> None:  # B26
    scene = ready(lasting(grace_s=5.0))
    scene.at(59.9).server(a_turn("u1", "Tell me."), created("r1"), opened("m1", previous="u1"), transcript("m1", "One two"))
    scene.server(audio("m1", 9000))
    until(scene, 60.0)
    beside(scene)
    scene.at(64.0).played(1, 4000)
    effects = until(scene, 65.1)
    assert lines(effects)[0] == "leave 1" and not [effect for effect in effects if isinstance(effect, Flush)]
    # It sounds on without a gap, is told when it was heard, and the answer is gone on with.
    effects = scene.at(69.0).played(1, 9000)
    assert kinds(effects) == ["conversation.item.create", "response.create"]
    assert sounded(scene.log) == pcm("m1", 9000)


def test_the_dialects_own_limit_counts_where_none_was_set() -> None:  # B26, facts 1.7
    scene = ready(steady())
    assert lines(until(scene, 3479.0)) == []
    assert lines(until(scene, 3480.0)) == ["dial 2"]


def test_a_word_that_begins_as_the_lines_are_changed_is_heard_on_the_new_one() -> None:  # B26: no word is lost
    scene = ready(lasting())
    until(scene, 59.0)
    for ms in range(0, 1000, 100):
        scene.at(59.0 + ms / 1000).append(pcm("mic", 100, start_ms=ms))
    until(scene, 60.0)
    effects = beside(scene)
    assert "leave 1" in lines(effects) and spoke(effects) == pcm("mic", 1000)


def test_a_line_that_is_lost_while_another_is_ready_is_changed_for_it_at_once() -> None:  # B26: loss while waiting
    scene = ready(lasting())
    scene.at(59.9).server(speech_started("u1"))
    until(scene, 60.0)
    beside(scene)
    effects = lose(scene)
    assert (lines(effects)[-1], scene.session.state, told(effects, Reconnecting)) == ("reconnected", "ready", [])


def test_a_line_that_is_lost_while_another_is_being_dialled_is_dialled_anew() -> None:  # B26
    scene = ready(lasting())
    until(scene, 60.0)
    effects = lose(scene)
    assert (lines(effects), scene.session.state) == (["leave 2"], "reconnecting")
    assert "reconnected" in lines(back(scene, 3))


def test_a_second_line_that_fails_is_tried_again_while_the_first_goes_on() -> None:  # B26
    scene = ready(lasting(grace_s=30.0))
    until(scene, 60.0)
    scene.disconnected(Disconnection(http_status=503), connection=2)
    assert scene.session.state == "ready" and lines(scene.say("Hello?")) == ["1 conversation.item.create", "1 response.create"]
    assert lines(until(scene, 65.2)) == ["dial 3"]


def refused_renewals(seconds: float, **options: Any) -> tuple[Scene, list[float]]:
    """A server that has no room for a second line, all the time; gives when it was dialled."""
    scene = ready(lasting(grace_s=30.0, **options))
    dialled: list[float] = []
    while (due := scene.session.deadline) is not None and due.at <= seconds:
        for effect in scene.at(due.at).tick():
            if isinstance(effect, Connect):
                dialled.append(round(scene.now, 3))
                scene.disconnected(Disconnection(http_status=503), connection=effect.connection)
    return scene, dialled


def test_a_second_line_that_fails_again_and_again_is_dialled_less_and_less_often_and_then_no_more() -> None:  # B25, B26
    scene, dialled = refused_renewals(3_000.0, attempts=3, jitter=0.0)
    assert [later - earlier for earlier, later in pairwise(dialled)] == [5.0, 10.0, 20.0]
    [*_, last] = told(scene.log, ProtocolWarning)
    assert (last.reason, scene.session.state) == ("the session could not be renewed", "ready")
    assert lines(scene._took(scene.session.renew(now=scene.now))) == ["dial 6"]  # unless the program wants it


def test_its_waits_end_at_five_minutes_and_chance_takes_its_share() -> None:  # B25, B26
    _, dialled = refused_renewals(4_000.0, attempts=100, jitter=0.0)
    assert max(later - earlier for earlier, later in pairwise(dialled)) == 300.0
    _, dialled = refused_renewals(200.0, attempts=100, jitter=0.5)
    assert all(w * 0.5 <= later - at < w for w, (at, later) in zip([5, 10, 20], pairwise(dialled), strict=False))


def test_a_policy_of_the_programs_own_decides_of_the_second_line_too() -> None:  # issue 6: each policy is replaceable
    views: list[ReconnectView] = []

    def once(view: ReconnectView) -> float | None:
        views.append(view)
        return 7.0 if view.attempt == 1 else None

    scene = ready(lasting(grace_s=30.0), policies=Policies(reconnect=once))
    until(scene, 60.0)
    scene.disconnected(Disconnection(http_status=503), connection=2)
    assert lines(until(scene, 66.9)) == [] and lines(until(scene, 67.2)) == ["dial 3"]
    scene.disconnected(Disconnection(http_status=503), connection=3)
    assert lines(until(scene, 600.0)) == []
    assert [(view.attempt, view.renewal, view.planned) for view in views] == [(1, True, False), (2, True, False)]


def test_f096_a_second_line_that_is_refused_for_good_is_not_tried_for_ever() -> None:  # B26, F096
    scene = ready(lasting(grace_s=30.0))
    until(scene, 60.0)
    effects = scene.disconnected(Disconnection(close_code=1009, reason="frame exceeds limit"), connection=2)
    [warning] = told(effects, ProtocolWarning)
    assert warning.reason == "the session could not be renewed" and "max_message" in warning.detail
    assert scene.session.state == "ready" and lines(until(scene, 600.0)) == []
    assert lines(scene._took(scene.session.renew(now=scene.now))) == ["dial 3"]  # unless the program wants it


def test_a_server_that_has_room_for_one_session_is_left_first() -> None:  # B26
    connection = {"dialect": "speech-to-speech", "url": "ws://localhost"}
    scene = ready(configured(connection=connection, reconnect={**STEADY, "limit_s": 60}))
    effects = until(scene, 60.0)
    assert lines(effects) == ["leave 1", "dial 2"]
    assert [notice.delay_s for notice in told(effects, Reconnecting)] == [0.0]


def test_a_poisoned_session_is_renewed_and_answers() -> None:  # F092, issue 6, part 7
    scene = ready(steady(poisoned_after=3))
    failure = {"type": "server_error", "code": None, "message": "The server had an error."}
    effects: list[Effect] = []
    for number in (1, 2, 3):
        scene.server(a_turn(f"u{number}", "Hello?"), created(f"r{number}"))
        effects = scene.server(done(f"r{number}", "failed", failure=failure))
    assert lines(effects) == ["dial 2"]
    effects = beside(scene)
    assert lines(effects)[-2:] == ["2 response.create", "reconnected"]


def test_what_still_sounds_behind_a_call_stands_behind_the_output_that_was_told_with_the_call() -> None:  # C25, C27
    scene = ready(steady())
    scene.server(created("r1"), call("c1"), opened("m1", index=1, previous="f_c1"), audio("m1", 1000, index=1))
    scene.server(transcript("m1", "One two three", index=1), done("r1"))
    scene.at(0.2).played(1, 200)
    lose(scene)
    scene.tool_result("c1", "sunny")
    first = [event for event in sent(back(scene)) if event["type"] == "conversation.item.create"]
    names = [event["item"]["id"] for event in first]
    assert [event["item"]["type"] for event in first] == ["function_call", "function_call_output"]
    scene.server(announce(names[0], first[0]["item"]), announce(names[1], first[1]["item"], previous=names[0]), connection=2)
    [then] = [event for event in sent(scene.at(1.5).played(1, 1000)) if event["type"] == "conversation.item.create"]
    assert then["previous_item_id"] == names[1]
    scene.server(announce(then["item"]["id"], then["item"], previous=names[1]), connection=2)
    assert [item.id for item in scene.session.history] == ["f_c1", names[1], "m1"]


def test_an_item_that_is_asked_for_while_the_line_is_away_is_asked_for_by_its_new_name() -> None:  # C27
    scene = spoken(message("m1", 100, "Hello."), heard_ms=100, at=0.2, config=steady())
    lose(scene)
    assert sent(scene.retrieve_item("m1")) == []
    effects = back(scene)
    [item] = created_events(effects)
    assert sent(effects)[-1] == {"type": "conversation.item.retrieve", "item_id": item["id"]}


def summarised() -> tuple[Scene, str]:
    """A turn and its answer are known to the present session by a summary alone; and its name there."""
    scene = ready(steady(history="summary"))
    scene.server(a_turn("u1", "My card is 4711."), created("r1"), message("m1", 100, "Noted.", previous="u1"), done("r1"))
    scene.at(0.2).played(1, 100)
    [told_] = created_events(dropped(scene))
    assert told_["content"][0]["text"].endswith("User: My card is 4711.\nAssistant: Noted.")
    scene.server(announce(told_["id"], told_), connection=2)
    return scene, told_["id"]


def created_events(effects: list[Effect]) -> list[Event]:
    return [event["item"] for event in sent(effects) if event["type"] == "conversation.item.create"]


@pytest.mark.parametrize("by", ["delete", "sync"])
def test_what_is_deleted_leaves_the_summary_too(by: str) -> None:  # B22, C27
    scene, name = summarised()
    effects = scene.delete_item("u1") if by == "delete" else scene._issued(scene.session.sync_history(["m1"], now=scene.now))
    deleted_, created_ = sent(effects)
    assert deleted_ == {"type": "conversation.item.delete", "item_id": name}
    assert created_["previous_item_id"] == "root" and created_["item"]["role"] == "system"
    text = created_["item"]["content"][0]["text"]
    assert ("4711" in text, text.endswith("Assistant: Noted.")) == (False, True)
    assert kinds(scene.say("And now?")) == []  # no answer from what was deleted
    deleted_event = [{"type": "conversation.item.deleted", "event_id": "event_d", "item_id": name}]
    effects = scene.server(deleted_event, announce(created_["item"]["id"], created_["item"]), connection=2)
    assert kinds(effects) == ["conversation.item.create", "response.create"]
    assert [item.id for item in scene.session.history if not item.aside][:1] == ["m1"]


def test_a_synchronisation_without_the_note_of_what_was_said_leaves_it_there() -> (
    None
):  # B22: nothing is changed, nothing is sent
    scene, _ = summarised()
    items = [item for item in scene.session.history if not item.aside]
    assert sent(scene._issued(scene.session.sync_history(items, now=scene.now))) == []


def test_a_history_that_is_emptied_takes_the_summary_along() -> None:  # B22
    scene, name = summarised()
    effects = scene._issued(scene.session.sync_history([], now=scene.now))
    assert sent(effects) == [{"type": "conversation.item.delete", "item_id": name}]


@pytest.mark.parametrize("options", [{"conversation": "none", "output_modalities": ["text"]}, {"instructions": "Greet."}])
def test_a_session_poisoned_by_what_the_program_asked_for_itself_is_not_asked_for_more(options: dict[str, Any]) -> None:  # F092
    scene = ready(steady(poisoned_after=3))
    failure = {"type": "server_error", "code": None, "message": "The server had an error."}
    for number in (1, 2, 3):
        scene.respond(options)
        beside_it = "conversation" in options
        scene.server(created(f"r{number}", request=scene.request, in_band=not beside_it))
        scene.server(done(f"r{number}", "failed", request=scene.request, in_band=not beside_it, failure=failure))
    effects = beside(scene) + scene.at(9.0).tick()
    assert ("reconnected" in lines(effects), "2 response.create" in lines(effects)) == (True, False)


def test_what_was_answered_before_a_poisoned_session_was_changed_is_not_asked_for_again() -> None:  # F092
    scene = ready(steady(poisoned_after=3))
    failure = {"type": "server_error", "code": None, "message": "The server had an error."}
    for number in (1, 2, 3):
        scene.server(a_turn(f"u{number}", "Hello?"), created(f"r{number}"), done(f"r{number}", "failed", failure=failure))
    scene.server(a_turn("u4", "Hello?"), created("r4"), message("m4", 100, "Yes?", r="r4"), done("r4"))
    scene.at(0.5).played(1, 100)
    effects = beside(scene) + scene.at(9.0).tick()
    assert ("reconnected" in lines(effects), "2 response.create" in lines(effects)) == (True, False)


def test_a_program_renews_when_it_likes() -> None:  # F092
    scene = ready(steady())
    assert lines(scene._took(scene.session.renew(now=scene.now))) == ["dial 2"]
    assert "reconnected" in lines(beside(scene))
    with pytest.raises(LocalProtocolError, match="renew"):
        ready(configured(reconnect={"attempts": 0})).session.renew(now=1.0)


def test_what_was_asked_for_meanwhile_counts_on_the_new_line() -> None:  # C27
    scene = ready(lasting())
    scene.at(59.9).server(speech_started("u1"))
    until(scene, 60.0)
    beside(scene)
    scene.update({"instructions": "Be brief."})
    scene.server(session_updated())
    effects = lose(scene)
    updates = [event for event in sent(effects) if event["type"] == "session.update"]
    assert [event["session"]["instructions"] for event in updates] == ["Be brief."]


def test_the_end_leaves_both_lines() -> None:
    scene = ready(lasting())
    until(scene, 60.0)
    assert lines(scene.close()) == ["leave 1", "leave 2"]


@pytest.mark.parametrize("answered_since", [False, True])
def test_an_answer_that_was_given_up_on_a_dead_line_is_asked_for_in_the_next_session(
    answered_since: bool,
) -> None:  # F061, B24, S08
    scene = ready(steady())
    scene.server(created("r1"), call("c1"), done("r1"))
    scene.tool_result("c1", "sunny")
    asked = [scene.at(10.0 * n).tick() for n in range(1, 5)]  # timeouts.create_ms
    assert [len(sent(effects)) for effects in asked] == [1, 1, 1, 0]
    if answered_since:
        scene.server(created("r2"), done("r2"))
    again = [event for event in sent(dropped(scene)) if event["type"] == "response.create"]
    assert len(again) == (0 if answered_since else 1)
