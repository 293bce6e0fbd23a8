"""The contract of the core: set-up, time, order, microphone, mistakes, and the end (DESIGN section 2)."""

import json
import sys
from collections.abc import Callable

import pytest
from helpers.scene import (
    KEY,
    Scene,
    acts,
    cancel,
    configured,
    create,
    ended,
    event_id,
    interrupted,
    kinds,
    outcomes,
    preview_config,
    ready,
    sent,
    settled,
    spoke,
    spoken,
    talking,
    told,
    truncate,
)
from helpers.wire import (
    CLIENT_VAD,
    SERVER_VAD,
    Script,
    audio,
    call,
    cancelled,
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
    speech_stopped,
    truncated,
    turn,
    user_item,
)

from rtcore import (
    PCMU,
    Clock,
    Config,
    Connect,
    Disconnect,
    Disconnection,
    Flush,
    LocalProtocolError,
    MessageEnded,
    MicrophoneDropped,
    RequestEnded,
    Send,
    ServerError,
    Session,
    SessionChanged,
    SessionClosed,
    SessionReady,
    UserSpeechStarted,
    UserSpeechStopped,
)
from rtcore.config import Connection, Microphone, SessionOptions, Timeouts

TEXT = [{"type": "input_text", "text": "x"}]
LOST = Disconnection(close_code=1006, reason="")
ONE_LINE = configured(reconnect={"attempts": 0})


def _connected(**options: object) -> Scene:
    scene = Scene(configured(**options))
    scene.open()
    scene.connected()
    scene.server(session_created())
    return scene


# -- set-up ------------------------------------------------------------------------------------------------------------


def test_opening_dials_connection_one() -> None:  # DESIGN 2, contract: open() -> [Connect(1, Handshake)]
    [effect] = Scene().open()
    assert isinstance(effect, Connect)
    assert (effect.connection, effect.request.url) == (1, "wss://api.openai.com/v1/realtime?model=gpt-realtime")


def test_the_first_words_are_a_session_update_with_its_type() -> None:  # DESIGN 2; facts 2.2
    scene = Scene(configured(session=SessionOptions(instructions="Be brief.")))
    scene.open()
    [event] = sent(scene.connected())
    assert (event["type"], event["session"]["type"], event["session"]["instructions"]) == (
        "session.update",
        "realtime",
        "Be brief.",
    )


def test_the_states_of_a_session() -> None:  # contract: state
    scene = Scene()
    states: list[str] = [scene.session.state]
    for step in (scene.open, scene.connected, lambda: scene.server(session_created(), session_updated()), scene.close):
        step()
        states.append(scene.session.state)
    assert states == ["new", "connecting", "configuring", "ready", "closed"]


def test_the_acknowledgement_makes_it_ready() -> None:  # contract: SessionReady
    assert told(_connected().server(session_updated()), SessionReady) == [SessionReady(1, "sess_1")]


def test_nothing_but_the_session_update_is_sent_before_the_acknowledgement() -> None:  # DESIGN 2, F136
    scene = _connected()
    scene.say("hello")
    scene.respond({"instructions": "later"})
    scene.append(bytes(9600))
    scene.create_item({"type": "message", "role": "system", "content": TEXT})
    assert kinds(scene.log) == ["session.update"]


def test_what_was_asked_before_the_acknowledgement_is_sent_after_it_in_order() -> None:  # DESIGN 2, F136
    scene = _connected()
    scene.create_item({"type": "message", "role": "system", "content": TEXT})
    scene.say("hello")
    effects = scene.server(session_updated())
    assert ([e.get("item", {}).get("role") for e in sent(effects)], kinds(effects)) == (
        ["system", "user", None],
        ["conversation.item.create", "conversation.item.create", "response.create"],
    )


@pytest.mark.parametrize(
    ("at", "state", "news"),
    [(9.9, "ready", SessionReady), (10.0, "ready", SessionReady), (10.1, "closed", SessionClosed)],
    ids=["before", "at", "after"],
)
def test_an_acknowledgement_before_at_and_after_its_deadline(at: float, state: str, news: type) -> None:
    """An input first fires what is overdue, then does its work, then fires what is due now (DESIGN 2)."""
    scene = _connected()
    effects = scene.at(at).server(session_updated())
    assert (scene.session.state, [type(e) for e in effects if isinstance(e, SessionReady | SessionClosed)]) == (state, [news])


def test_no_acknowledgement_in_ten_seconds_is_a_failure_with_a_name() -> None:  # DESIGN 2
    scene = _connected()
    deadline = scene.session.deadline
    assert deadline is not None
    early = scene.at(9.9).tick()
    [end] = told(scene.at(10.0).tick(), SessionClosed)
    assert (deadline.at, deadline.why != "", early, end.reason) == (10.0, True, [], "not_acknowledged")


def test_no_acknowledgement_settles_what_was_asked() -> None:  # DESIGN 6 invariant 2
    scene = _connected()
    scene.respond()
    effects = scene.at(10.0).tick()
    assert (outcomes(effects), isinstance(effects[-1], SessionClosed)) == ([(scene.request, "connection_lost")], True)


def test_a_command_when_nothing_waits_is_sent_in_the_same_step() -> None:  # contract: Issued
    scene = ready()
    assert acts(scene.respond()) == [create(scene.request)]


def test_metadata_of_the_program_is_kept_beside_ours() -> None:  # contract: correlation by metadata
    scene = ready()
    [event] = sent(scene.respond({"instructions": "Sing.", "metadata": {"topic": "song"}}))
    assert event["response"] == {
        "instructions": "Sing.",
        "metadata": {"topic": "song", "rtcore_request": str(scene.request)},
    }


def test_items_we_make_have_ids_of_at_most_32_characters() -> None:  # contract; facts 3.2
    scene = ready()
    ids = [e["item"]["id"] for n in range(5) for e in sent(scene.say(f"word {n}", respond=False))]
    assert (len(set(ids)), max(map(len, ids)) <= 32) == (5, True)


# -- settings that belong together -------------------------------------------------------------------------------------


def _turn_detection_sent(scene: Scene) -> dict[str, object]:
    scene.open()
    [event] = sent(scene.connected())
    detection = event["session"]["audio"]["input"]["turn_detection"]
    assert isinstance(detection, dict)
    return detection


@pytest.mark.parametrize("chosen", [None, True])
def test_a_server_that_may_not_interrupt_may_not_create_unless_told_to(chosen: bool | None) -> None:  # DESIGN 4: settings
    detection = {"type": "server_vad", "interrupt_response": False, **({} if chosen is None else {"create_response": chosen})}
    options = SessionOptions.model_validate({"audio": {"input": {"turn_detection": detection}}})
    assert _turn_detection_sent(Scene(configured(session=options)))["create_response"] is bool(chosen)


def test_an_exact_context_means_that_the_server_does_not_create() -> None:  # DESIGN 3: context="exact"
    assert _turn_detection_sent(Scene(configured(context="exact")))["create_response"] is False


def test_unset_is_not_sent_and_none_is_null() -> None:  # F138
    options = SessionOptions.model_validate({"audio": {"input": {"noise_reduction": None}}})
    scene = Scene(configured(session=options))
    scene.open()
    [event] = sent(scene.connected())
    heard = event["session"]["audio"]["input"]
    assert (heard["noise_reduction"], "transcription" in heard, "instructions" in event["session"]) == (None, False, False)


# -- time --------------------------------------------------------------------------------------------------------------


def test_time_that_runs_backward_stands_still() -> None:  # DESIGN 2, F017
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=1.0)
    scene.at(0.25).server(speech_started())
    deadline = scene.session.deadline
    assert deadline is not None
    assert deadline.at == 1.5


def test_a_step_back_of_the_clock_does_not_move_the_cut() -> None:  # F017
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=1.0)
    scene.at(0.25).server(speech_started())
    assert sent(scene.at(1.5).tick()) == [truncate("m1", 500)]


def test_ticks_may_come_early_late_and_often() -> None:  # DESIGN 2: tick()
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5)
    scene.server(speech_started())
    early = scene.at(0.6).tick() + scene.tick() + scene.at(0.99).tick()
    late = scene.at(7.0).tick() + scene.tick()
    assert (early, acts(late)) == ([], [truncate("m1", 500), ended("m1", "partial", 500), interrupted("m1")])


def test_an_overdue_timer_fires_before_the_input_that_comes_late() -> None:  # DESIGN 2; B29
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5)
    scene.server(speech_started())
    effects = scene.at(2.0).server(cancelled())
    assert acts(effects) == [truncate("m1", 500), ended("m1", "partial", 500), interrupted("m1")]


def test_a_timer_that_is_due_now_fires_after_the_input_of_now() -> None:  # DESIGN 2: at equal times inputs come before ticks
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5)
    scene.server(speech_started())
    effects = scene.at(1.0).server(speech_stopped())
    assert [effect for effect in effects if isinstance(effect, UserSpeechStopped | MessageEnded)] == [
        *told(effects, UserSpeechStopped),
        *told(effects, MessageEnded),
    ]
    assert (len(told(effects, UserSpeechStopped)), len(told(effects, MessageEnded))) == (1, 1)


def test_after_the_deadline_s_tick_the_deadline_is_later_or_gone() -> None:  # DESIGN 6 invariant 12
    scene = talking(message("m1", 500), opened("m2", index=1), audio("m2", 500, index=1), heard_ms=100, at=0.1)
    scene.respond()
    scene.server(speech_started())
    seen: list[float] = []
    while (deadline := scene.session.deadline) is not None and len(seen) < 50:
        seen.append(deadline.at)
        scene.at(deadline.at).tick()
    assert (seen == sorted(set(seen)), len(seen) < 50, len(seen) > 0) == (True, True, True)


def test_nothing_to_wait_for_is_no_deadline() -> None:  # DESIGN 2: deadline
    scene = ready()
    assert (scene.session.deadline, scene.at(11.0).tick()) == (None, [])


def test_re_entry_raises() -> None:  # DESIGN 2
    scene = talking(opened())
    refused: list[LocalProtocolError] = []

    def intrude(*_: object) -> None:
        """At every function that the core calls, feed it again."""
        try:
            scene.session.tick(now=0.0)
        except LocalProtocolError as error:
            refused.append(error)

    sys.setprofile(intrude)
    try:
        effects = scene.server(audio("m1", 100))
    finally:
        sys.setprofile(None)
    assert (len(refused) > 0, acts(effects)) == (True, [("play", 1, 2400)])


# -- order -------------------------------------------------------------------------------------------------------------


def test_silence_first_then_the_wire_then_the_news() -> None:  # DESIGN 2
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5, turn_detection=CLIENT_VAD)
    effects = scene.server(speech_started("u1"))
    assert ([type(e) for e in effects], acts(effects)) == ([Flush, Send, UserSpeechStarted], [Flush(1), cancel("r1")])


def test_every_client_event_names_its_type_first_and_has_an_id() -> None:  # contract: outbound JSON
    scene = ready()
    [effect] = scene.respond()
    assert isinstance(effect, Send)
    assert [*json.loads(effect.payload)] == ["type", "event_id", "response"]


# -- microphone --------------------------------------------------------------------------------------------------------


def test_microphone_audio_is_sent_in_pieces_of_40_ms() -> None:  # contract: batched 40 ms
    scene = ready()
    first, second = scene.append(pcm("mic", 20)), scene.append(pcm("mic", 20, start_ms=20))
    assert (first, len(second), spoke(second)) == ([], 1, pcm("mic", 40))


def test_microphone_audio_is_sent_whole_and_in_order() -> None:  # contract: batched 40 ms
    scene = ready()
    effects = [effect for n in range(40) for effect in scene.append(pcm("mic", 10, start_ms=n * 10))]
    assert (len(effects), spoke(effects)) == (10, pcm("mic", 400))


def test_microphone_audio_has_its_own_lane_and_no_event_id() -> None:  # contract: Send.lane, C30
    [effect] = ready().append(pcm("mic", 40))
    assert isinstance(effect, Send)
    assert (effect.lane, sorted(json.loads(effect.payload))) == ("audio", ["audio", "type"])


def test_the_batch_is_a_setting() -> None:  # contract: Microphone(batch_ms)
    scene = ready(configured(microphone=Microphone(batch_ms=100)))
    effects = [effect for n in range(10) for effect in scene.append(pcm("mic", 20, start_ms=n * 20))]
    assert (len(effects), spoke(effects)) == (2, pcm("mic", 200))


def test_a_commit_sends_the_rest_of_the_microphone_first() -> None:  # contract: batching; DESIGN 2
    scene = ready(turn_detection=None)
    effects = scene.append(pcm("mic", 110)) + scene.commit()
    assert (spoke(effects), kinds(effects)[-1]) == (pcm("mic", 110), "input_audio_buffer.commit")


def test_a_commit_of_too_little_is_not_sent() -> None:  # F123; DESIGN 6 invariant 9
    scene = ready(turn_detection=None)
    effects = scene.append(pcm("mic", 80)) + scene.commit()
    assert ("input_audio_buffer.commit" in kinds(effects), outcomes(effects)) == (False, [(scene.request, "failed")])


def test_only_what_was_appended_since_the_last_commit_counts() -> None:  # F123
    scene = ready(turn_detection=None)
    scene.append(pcm("mic", 200))
    scene.commit()
    scene.server(committed("u1"), user_item("u1"))
    scene.append(pcm("mic", 80))
    assert "input_audio_buffer.commit" not in kinds(scene.commit())


def test_microphone_audio_is_held_until_the_acknowledgement() -> None:  # DESIGN 2
    scene = _connected()
    held = [effect for n in range(10) for effect in scene.append(pcm("mic", 20, start_ms=n * 20))]
    assert (held, spoke(scene.server(session_updated()))) == ([], pcm("mic", 200))


def test_held_microphone_audio_is_dropped_oldest_first_and_reported() -> None:  # DESIGN 2
    scene = _connected(microphone=Microphone(max_held_ms=1000))
    for n in range(15):
        scene.append(pcm("mic", 100, start_ms=n * 100))
    after = scene.server(session_updated())
    dropped = sum(notice.dropped_ms for notice in told(scene.log, MicrophoneDropped))
    assert (dropped, spoke(after)) == (500, pcm("mic", 1000, start_ms=500))


def test_microphone_audio_is_counted_in_the_acknowledged_format() -> None:  # contract: in the acknowledged input format; C22
    scene = ready(input={"type": "audio/pcmu"})
    first, second = scene.append(bytes(160)), scene.append(bytes(160))
    assert (scene.session.input_format, first, spoke(second)) == (PCMU, [], bytes(320))


def test_audio_of_before_a_change_of_format_goes_before_it_and_is_counted_with_what_follows() -> None:  # C22, F123
    scene = ready(turn_detection=None)
    scene.append(pcm("mic", 90))
    effects = scene.update({"audio": {"input": {"format": "audio/pcmu"}}})
    assert [event["type"] for event in sent(effects)] == ["input_audio_buffer.append", "session.update"]
    scene.server(session_updated(turn_detection=None, input={"type": "audio/pcmu"}))
    scene.append(bytes(8 * 20))
    assert kinds(scene.commit()) == ["input_audio_buffer.append", "input_audio_buffer.commit"]


def test_audio_in_a_format_that_counts_no_more_is_dropped_and_reported() -> None:  # C22, F127
    scene = ready(turn_detection=None)
    scene.update({"audio": {"input": {"format": "audio/pcmu"}}})
    scene.append(pcm("mic", 20))
    scene.server(session_updated(turn_detection=None, input={"type": "audio/pcmu"}))
    assert [(notice.dropped_ms, notice.reason) for notice in told(scene.log, MicrophoneDropped)] == [
        (20, "the session's input format changed")
    ]
    assert spoke(scene.append(bytes(8 * 40))) == bytes(8 * 40)


@pytest.mark.parametrize("rate", [22_050, 44_100])
def test_a_commit_of_100_ms_is_counted_in_samples_where_a_millisecond_has_no_whole_number_of_them(rate: int) -> None:  # C22, F123
    form = {"type": "audio/pcm", "rate": rate}
    url = "wss://api.inworld.ai/api/v1/realtime/session?key=k"
    scene = Scene(configured(connection=Connection(dialect="inworld", url=url, api_key="sk-1")))
    scene.open()
    scene.connected()
    scene.server(session_created(), session_updated(turn_detection=None, input=form))
    scene.append(bytes(rate // 10 * 2 - 2))
    assert "input_audio_buffer.commit" not in kinds(scene.commit())
    scene.append(bytes(rate // 10 * 2))
    assert "input_audio_buffer.commit" in kinds(scene.commit())


# -- every request settles exactly once --------------------------------------------------------------------------------


def _answered(scene: Scene, answer: Callable[[str], Script]) -> list[tuple[int, str, str | None]]:
    """Settlements after the server's answer to the last item we made."""
    made = [event["item"]["id"] for event in sent(scene.log) if event["type"] == "conversation.item.create"]
    effects = scene.server(answer(made[-1] if made else ""))
    return [(e.request, e.outcome, e.item_id or e.response_id) for e in told(effects, RequestEnded)]


def test_a_commit_ends_with_its_item() -> None:  # DESIGN 6 invariant 2
    scene = ready(turn_detection=None)
    scene.append(pcm("mic", 200))
    scene.commit()
    assert _answered(scene, lambda _: committed("u1")) == [(scene.request, "done", "u1")]


def test_a_clear_ends_with_its_answer() -> None:  # DESIGN 6 invariant 2
    scene = ready(turn_detection=None)
    scene.append(pcm("mic", 200))
    scene.clear()
    assert _answered(scene, lambda _: [{"type": "input_audio_buffer.cleared"}]) == [(scene.request, "done", None)]


def test_an_update_ends_with_its_acknowledgement() -> None:  # DESIGN 6 invariant 2
    scene = ready()
    [event] = sent(scene.update({"instructions": "Be brief."}))
    effects = scene.server(session_updated(instructions="Be brief."))
    assert (event["session"], outcomes(effects), told(effects, SessionChanged)) == (
        {"type": "realtime", "instructions": "Be brief."},
        [(scene.request, "done")],
        [SessionChanged(1)],
    )


def test_a_created_item_ends_with_its_announcement() -> None:  # DESIGN 6 invariant 2
    scene = ready()
    scene.create_item({"type": "message", "role": "user", "content": TEXT})
    [made] = [event["item"]["id"] for event in sent(scene.log)[1:]]
    assert _answered(scene, user_item) == [(scene.request, "done", made)]


def test_a_deleted_item_ends_with_its_answer() -> None:  # DESIGN 6 invariant 2
    scene = spoken(message("m1", 100), heard_ms=100, at=0.1)
    scene.delete_item("m1")
    assert _answered(scene, lambda _: deleted("m1")) == [(scene.request, "done", "m1")]


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (done("r1"), "done"),
        (done("r1", "incomplete", "max_output_tokens"), "done"),
        (done("r1", "failed", failure={"type": "server_error", "code": "server_error", "message": "x"}), "failed"),
        (cancelled("r1"), "cancelled"),
    ],
    ids=["completed", "incomplete", "failed", "cancelled"],
)
def test_a_response_ends_its_request(end: Script, outcome: str) -> None:  # DESIGN 6 invariant 2, F131
    scene = ready()
    scene.respond()
    effects = scene.server(created("r1", request=scene.request), end)
    assert [(e.request, e.outcome, e.response_id) for e in told(effects, RequestEnded)] == [(scene.request, outcome, "r1")]


def test_a_text_with_an_answer_is_one_request() -> None:  # contract: Issued
    scene = ready()
    effects = scene.say("hello")
    [item, _] = sent(effects)
    effects += scene.server(user_item(item["item"]["id"]), created("r1", request=scene.request), done("r1"))
    assert outcomes(effects) == [(scene.request, "done")]


def test_a_rejected_request_fails_in_the_same_step_with_the_code() -> None:  # F047, C15
    scene = ready()
    [effect] = scene.respond()
    assert isinstance(effect, Send)
    effects = scene.server(error("invalid_value", "Invalid value", event_id=json.loads(effect.payload)["event_id"]))
    assert [(e.request, e.outcome, e.problem and e.problem.code) for e in told(effects, RequestEnded)] == [
        (scene.request, "failed", "invalid_value")
    ]


def test_a_rejected_update_fails_and_the_session_goes_on() -> None:  # facts 2.3; DESIGN 6 invariant 2
    scene = ready()
    rejected = event_id(scene.update({"instructions": "x"}), "session.update")
    effects = scene.server(error("unknown_parameter", "Unknown parameter: 'session.x'.", event_id=rejected))
    assert (outcomes(effects), scene.session.state) == ([(scene.request, "failed")], "ready")


def test_a_rejected_item_fails_also_where_the_error_names_no_event() -> None:  # facts 6.1: duplicate id has a null event_id
    scene = ready()
    scene.create_item({"id": "dup", "type": "message", "role": "user", "content": TEXT})
    effects = scene.server(error("item_create_duplicate_item_id", "Error adding item: an item with id 'dup' already exists."))
    assert outcomes(effects) == [(scene.request, "failed")]


def test_a_refused_commit_fails_and_the_session_goes_on() -> None:  # F123; DESIGN 6 invariant 9
    scene = ready(turn_detection=None)
    scene.append(pcm("mic", 200))
    scene.commit()
    effects = scene.server(error("input_audio_buffer_commit_empty", "Error committing input audio buffer: buffer too small."))
    assert (outcomes(effects), scene.session.state) == ([(scene.request, "failed")], "ready")


def test_a_request_that_is_never_answered_times_out() -> None:  # F061
    scene = ready(configured(timeouts=Timeouts(create_ms=3000)))
    scene.respond()
    deadline = scene.session.deadline
    assert deadline is not None
    assert (deadline.at, outcomes(scene.at(2.9).tick()), outcomes(scene.at(3.0).tick())) == (
        3.0,
        [],
        [(scene.request, "timed_out")],
    )


UNANSWERED: list[tuple[str, Callable[[Scene], object]]] = [
    ("commit", lambda scene: (scene.append(pcm("mic", 200)), scene.commit())),
    ("clear", Scene.clear),
    ("respond", Scene.respond),
    ("respond out of band", lambda scene: scene.respond({"conversation": "none"})),
    ("say", Scene.say),
    ("say without an answer", lambda scene: scene.say(respond=False)),
    ("tool result", lambda scene: scene.tool_result("c1", "x")),
    ("tool result without an answer", lambda scene: scene.tool_result("c1", "x", respond=False)),
    ("update", lambda scene: scene.update({"instructions": "x"})),
    ("create", lambda scene: scene.create_item({"type": "message", "role": "system", "content": TEXT})),
    ("delete", lambda scene: scene.delete_item("m1")),
]


@pytest.mark.parametrize("command", [command for _, command in UNANSWERED], ids=[name for name, _ in UNANSWERED])
def test_a_server_that_says_nothing_more_leaves_no_request_open(command: Callable[[Scene], object]) -> None:
    # DESIGN 6 invariants 2 and 12, F047, F061
    scene = _calling()
    scene.at(0.5).played(1, 200)
    command(scene)
    while (deadline := scene.session.deadline) is not None:
        scene.at(deadline.at).tick()
    assert ([number for number, _ in outcomes(scene.log)], outcomes(scene.log)[0][1], scene.session.state) == (
        [scene.request],
        "timed_out",
        "ready",
    )


def test_a_request_does_not_wait_for_ever_for_its_turn() -> None:  # B13: failure only after its deadline
    scene = talking(config=configured(timeouts=Timeouts(queue_ms=20_000)))
    scene.respond()
    early = scene.at(19.9).tick()
    assert (outcomes(early), outcomes(scene.at(20.0).tick())) == ([], [(scene.request, "timed_out")])


def test_a_request_that_waited_too_long_is_not_sent_any_more() -> None:  # B13, B14
    scene = talking(config=configured(timeouts=Timeouts(queue_ms=20_000)))
    scene.respond()
    scene.at(20.0).tick()
    assert kinds(scene.server(done("r1"))) == []


def test_after_a_time_out_the_next_turn_works() -> None:  # F061
    scene = ready()
    scene.respond()
    scene.at(10.0).tick()
    scene.server(speech_started(), turn("u1"))
    assert acts(scene.server(created("r1"), message("m1", 200, previous="u1"))) == [("play", 1, 4800)]


def _many_requests() -> Scene:
    scene = ready(ONE_LINE, turn_detection=None)
    scene.append(pcm("mic", 200))
    scene.commit()
    scene.respond()
    scene.respond({"instructions": "again"})
    scene.say("hello", interrupt=False)
    scene.update({"instructions": "x"})
    scene.create_item({"type": "message", "role": "system", "content": TEXT})
    return scene


@pytest.mark.parametrize("outcome", ["cancelled", "connection_lost"])
def test_every_open_request_settles_exactly_once_at_the_end(outcome: str) -> None:  # DESIGN 6 invariant 2, B31
    scene = _many_requests()
    effects = scene.close() if outcome == "cancelled" else scene.disconnected(LOST)
    assert (sorted(outcomes(effects)), isinstance(effects[-1], SessionClosed)) == ([(n, outcome) for n in range(1, 7)], True)


# -- the end -----------------------------------------------------------------------------------------------------------


def test_close_silences_hangs_up_and_tells_everything_once() -> None:  # F098, F101, F162
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5)
    scene.respond()
    effects = scene.close()
    assert ([type(e) for e in effects][:2], acts(effects), effects[-1]) == (
        [Flush, Disconnect],
        [Flush(1), ended("m1", "partial", 500), settled(scene.request, "cancelled")],
        SessionClosed("closed"),
    )


def _stage(name: str) -> Scene:
    scene = Scene()
    if name != "new":
        scene.open()
    if name in ("configuring", "ready"):
        scene.connected()
    if name == "ready":
        scene.server(session_created(), session_updated())
    return scene


@pytest.mark.parametrize("state", ["new", "connecting", "configuring", "ready"])
def test_close_works_from_every_state_and_a_second_close_does_nothing(state: str) -> None:  # F098, F101
    scene = _stage(state)
    effects = scene.close()
    hung_up = [] if state == "new" else [Disconnect]
    assert ([type(e) for e in effects], effects[-1], scene.close()) == ([*hung_up, SessionClosed], SessionClosed("closed"), [])


def test_after_the_end_inputs_are_ignored() -> None:  # B31, F098
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5)
    scene.close()
    late = scene.server(audio("m1", 100), done("r1"), speech_started()) + scene.played(1, 600) + scene.flushed(1, 600)
    late += scene.at(60.0).tick() + scene.disconnected(LOST)
    assert (late, scene.session.deadline) == ([], None)


@pytest.mark.parametrize(
    "cause",
    [Disconnection(close_code=1006), Disconnection(error="connection reset by peer"), Disconnection(close_code=1000)],
)
def test_a_lost_connection_ends_the_session_with_its_reason(cause: Disconnection) -> None:  # DESIGN 2, F101
    scene = ready(ONE_LINE)
    effects = scene.disconnected(cause)
    [end] = told(effects, SessionClosed)
    assert (effects[-1] is end, end.reason, end.problem is not None, scene.session.state) == (True, "lost", True, "closed")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_handshake_ends_the_session_and_says_what_to_do(status: int) -> None:  # F101; facts 1.5
    scene = Scene()
    scene.open()
    [end] = told(scene.disconnected(Disconnection(http_status=status)), SessionClosed)
    assert end.problem is not None
    assert (end.reason, end.problem.retryable, end.problem.remedy != "") == ("refused", False, True)


def test_a_lost_connection_ends_what_was_being_said() -> None:  # DESIGN 6 invariant 6, F093, F162
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5, config=ONE_LINE)
    effects = scene.disconnected(LOST)
    assert (ended("m1", "partial", 500) in acts(effects), scene.session.speaking, isinstance(effects[-1], SessionClosed)) == (
        True,
        False,
        True,
    )


def test_events_of_another_connection_are_not_ours() -> None:  # DESIGN 6 invariant 3, F090
    scene = ready()
    assert acts(scene.server(created("r1"), message("m1", 200), connection=7)) == []


def test_the_loss_of_another_connection_is_not_ours() -> None:  # DESIGN 6 invariant 3, F090
    scene = ready()
    assert (scene.session.disconnected(7, LOST, now=1.0), scene.session.state) == ([], "ready")


def test_a_second_acknowledgement_is_not_a_second_beginning() -> None:  # contract: SessionReady
    scene = ready()
    scene.server(session_created(), session_updated())
    assert len(told(scene.log, SessionReady)) == 1


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("insufficient_quota", "fatal_error"),
        ("invalid_api_key", "fatal_error"),
        ("account_deactivated", "fatal_error"),
        ("session_expired", "expired"),
    ],
)
def test_a_short_list_of_errors_is_fatal(code: str, reason: str) -> None:  # DESIGN 2, F007
    scene = ready(ONE_LINE)
    effects = scene.server(error(code, "No."))
    [end] = told(effects, SessionClosed)
    assert (effects[-1] is end, end.reason, end.problem and end.problem.code) == (True, reason, code)


@pytest.mark.parametrize("code", ["server_error", "invalid_value", "unknown_parameter", None, "never_heard_of"])
def test_every_other_error_is_a_notice_that_says_what_to_do(code: str | None) -> None:  # DESIGN 2, F006, F007
    scene = ready()
    [notice] = told(scene.server(error(code, "Something.")), ServerError)
    assert (notice.fatal, notice.problem.message, notice.problem.remedy != "", scene.session.state) == (
        False,
        "Something.",
        True,
        "ready",
    )


# -- mistakes of the caller --------------------------------------------------------------------------------------------


MISTAKES: list[tuple[str, Callable[[Session], object]]] = [
    ("open twice", lambda s: s.open(now=1.0)),
    ("a result for a call nobody made", lambda s: s.tool_result("c_unknown", "x", now=1.0)),
    ("a result that is not JSON", lambda s: s.tool_result("c1", object(), now=1.0)),
    ("a wanted history that is none", lambda s: s.sync_history(5, now=1.0)),  # type: ignore[arg-type]  # the mistake itself
    ("an item that is none in the place of another", lambda s: s.replace_item("m1", {"type": "message"}, now=1.0)),
    ("half a sample from the microphone", lambda s: s.append_audio(b"\x00\x01\x02", now=1.0)),
    ("a commit of nothing", lambda s: s.commit(now=1.0)),
    ("an empty text", lambda s: s.send_text("", now=1.0)),
    ("text that is no Unicode", lambda s: s.send_text("\ud800", now=1.0)),
    ("options that are no Unicode", lambda s: s.respond({"instructions": "\ud800"}, now=1.0)),
    ("changes that are no Unicode", lambda s: s.update({"instructions": "\ud800"}, now=1.0)),
    ("a result that is no Unicode", lambda s: s.tool_result("c1", "\ud800", now=1.0)),
    ("a result without end", lambda s: s.tool_result("c1", _nested(), now=1.0)),
    ("an item without end", lambda s: s.create_item({"type": "message", "role": "user", "content": [_nested()]}, now=1.0)),
    ("words for sound", lambda s: s.append_audio("1234", now=1.0)),  # type: ignore[arg-type]  # the mistake itself
]


def _nested() -> list[object]:
    inner: list[object] = []
    for _ in range(100_000):
        inner = [inner]
    return inner


def _calling() -> Scene:
    scene = ready(turn_detection=None)
    scene.server(created("r1"), message("m1", 200), call("c1", index=1, previous="m1"), done("r1"))
    return scene


@pytest.mark.parametrize("mistake", [m for _, m in MISTAKES], ids=[name for name, _ in MISTAKES])
def test_a_mistake_raises_before_anything_changed(mistake: Callable[[Session], object]) -> None:  # DESIGN 2, B31
    scene, other = _calling(), _calling()
    with pytest.raises(LocalProtocolError):
        mistake(scene.session)
    after = [s.at(1.0).played(1, 200) + s.tool_result("c1", "x") + s.say("hello", respond=False) for s in (scene, other)]
    assert after[0] == after[1]


@pytest.mark.parametrize(
    "command",
    [
        lambda s: s.respond(now=1.0),
        lambda s: s.send_text("x", now=1.0),
        lambda s: s.append_audio(bytes(2), now=1.0),
        lambda s: s.open(now=1.0),
    ],
    ids=["respond", "send_text", "append_audio", "open"],
)
def test_a_command_after_the_end_raises(command: Callable[[Session], object]) -> None:  # DESIGN 2
    scene = ready()
    scene.close()
    with pytest.raises(LocalProtocolError):
        command(scene.session)


def test_a_mistake_is_an_ordinary_python_error() -> None:  # contract: LocalProtocolError
    assert issubclass(LocalProtocolError, RuntimeError) or issubclass(LocalProtocolError, ValueError)


# -- credentials -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("configure", [configured, preview_config], ids=["openai", "azure-preview"])
def test_a_key_is_in_the_handshake_and_in_no_repr(configure: Callable[[], Config]) -> None:  # DESIGN 2: never printed
    config = configure()
    scene = Scene(config)
    effects = scene.open()
    [dial] = effects
    assert isinstance(dial, Connect)
    shown = f"{config!r}{config}{effects!r}{effects}{scene.session!r}{scene.session}{dial.request!r}{dial.request}"
    assert (any(KEY in value for _, value in dial.request.headers), KEY in shown) == (True, False)


def test_a_disconnection_s_words_carry_no_key_into_the_news() -> None:  # DESIGN 2
    scene = Scene()
    scene.open()
    cause = Disconnection(http_status=401, reason=f"Incorrect API key provided: {KEY}")
    assert KEY not in repr(scene.disconnected(cause))


def test_no_clock_is_needed_to_begin() -> None:  # contract: Session(config, *, clock=Clock(), seed=0)
    assert Session(configured()).state == Session(configured(), clock=Clock(), seed=0).state == "new"


def test_a_flush_of_a_settled_cut_is_not_waited_for_again() -> None:  # B29: capture/flush/ack counts may never deadlock
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5, turn_detection=SERVER_VAD)
    scene.barge_in(500)
    scene.server(truncated("m1", 500), cancelled())
    assert scene.at(30.0).tick() == []
