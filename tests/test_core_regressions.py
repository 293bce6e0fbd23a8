"""What a review of the core found, and must not come back: each test names the sentence of the design that it had broken."""

from collections.abc import Callable
from itertools import groupby
from typing import Any

import pytest
from helpers.scene import (
    KEY,
    Scene,
    acts,
    cancel,
    configured,
    create,
    delete,
    ended,
    event_id,
    kinds,
    outcomes,
    play,
    ready,
    sent,
    sounded,
    spoke,
    spoken,
    talking,
    told,
    truncate,
    verdicts,
)
from helpers.wire import (
    CLIENT_VAD,
    Event,
    Script,
    active_response,
    audio,
    audio_done,
    call,
    cancel_not_active,
    cancelled,
    closing,
    created,
    deleted,
    done,
    error,
    item_added,
    item_done,
    message,
    opened,
    part_added,
    pcm,
    session_created,
    session_updated,
    speech_started,
    transcript,
    truncated,
    turn,
    user_item,
)

from rtcore import (
    PCMU,
    Clock,
    Deadline,
    Disconnection,
    LocalProtocolError,
    MessageEnded,
    OutOfBandAudio,
    Pause,
    Play,
    ResponseEnded,
    Resume,
    Session,
    SessionReady,
)

OOB = {"conversation": "none"}
PCMU_OUT = {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}
WORDS = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]}
PICTURE = {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "data:,x"}]}


def configuring(*, preview: bool = False, **options: Any) -> Scene:
    """Connected, and nothing acknowledged yet."""
    scene = Scene(configured(**options) if options else None, preview=preview)
    scene.open()
    scene.connected()
    return scene


def acknowledged(**fields: object) -> Script:
    """An acknowledgement that names ``fields`` alone."""
    return [{"type": "session.updated", "event_id": "event_s", "session": {"type": "realtime", "id": "sess_1", **fields}}]


def ticking(scene: Scene, until: float) -> list[Any]:
    """Tick at every deadline up to ``until``, as an adapter does."""
    effects = []
    while (deadline := scene.session.deadline) is not None and deadline.at <= until:
        effects += scene.at(max(scene.now, deadline.at)).tick()
    scene.at(until)
    return effects + scene.tick()


def asked(scene: Scene, options: Event | None = None, *script: Script, in_band: bool = True) -> int:
    """``respond`` was granted as response r1, which has sent ``script``."""
    scene.respond(options)
    scene.server(created("r1", request=scene.request, in_band=in_band), *script)
    return scene.request


# -- nothing loops, nothing raises but the caller's mistake --------------------------------------------------------------


def test_a_tick_returns_where_an_audio_part_appears_after_the_text_of_a_message_was_done() -> None:  # DESIGN 2: tick
    text = item_added("m1") + part_added("m1", kind="text") + item_done("m1", kind="output_text")
    scene = talking(text, part_added("m1", part=1))
    scene.at(1.0).tick()
    assert scene.session.deadline == Deadline(10.0, "end of a response")


@pytest.mark.parametrize("wrong", [5, "audio", {"a": 1}, [5], [None], True])
def test_an_acknowledgement_with_modalities_of_a_wrong_type_does_not_end_the_session(wrong: object) -> None:  # DESIGN 2, C29
    scene = configuring()
    scene.server(session_created(output_modalities=wrong), session_updated(output_modalities=wrong), session_updated())
    scene.respond()
    assert (len(told(scene.log, SessionReady)), kinds(scene.log)) == (1, ["session.update", "response.create"])


@pytest.mark.parametrize("acknowledge", [True, False])
def test_an_item_that_the_dialect_cannot_say_is_refused_at_the_call(acknowledge: bool) -> None:  # DESIGN 2: the mistake raises
    scene = ready(preview=True) if acknowledge else configuring(preview=True)
    with pytest.raises(LocalProtocolError):
        scene.create_item(PICTURE)
    scene.server(session_created(), session_updated())
    assert (kinds(scene.create_item(WORDS)), len(kinds(scene.log))) == (["conversation.item.create"], 2)


@pytest.mark.parametrize("part", [5, None, "text", [], {}, {"type": []}, {"type": None}])
def test_a_content_part_that_is_no_part_is_refused_at_the_call(part: object) -> None:  # DESIGN 2: the caller's mistake raises
    scene = ready()
    with pytest.raises(LocalProtocolError):
        scene.create_item({"type": "message", "role": "user", "content": [part]})
    assert outcomes(scene.close()) == []


def _mistakes() -> list[tuple[str, Callable[[Session, Any], object]]]:
    wrong: Any = "5"
    return [
        ("played, text", lambda session, _: session.played(1, wrong, now=0.5)),
        ("played, float", lambda session, number: session.played(1, number, now=0.5)),
        ("flushed, text", lambda session, _: session.flushed(1, wrong, now=0.5)),
        ("flushed, float", lambda session, number: session.flushed(1, number, now=0.5)),
        ("tick, infinite", lambda session, _: session.tick(now=float("inf"))),
        ("played, infinite", lambda session, _: session.played(1, 5, now=float("inf"))),
        ("text, number", lambda session, number: session.send_text(number, now=0.5)),
        ("microphone, text", lambda session, _: session.append_audio(wrong, now=0.5)),
    ]


@pytest.mark.parametrize("mistake", [m for _, m in _mistakes()], ids=[name for name, _ in _mistakes()])
def test_an_argument_of_a_wrong_type_raises_and_leaves_the_session_usable(mistake: Callable[[Session, Any], object]) -> None:
    scene = talking(opened(), audio("m1", 1000))  # DESIGN 2: the caller's mistake raises before any state changes
    with pytest.raises(LocalProtocolError):
        mistake(scene.session, 5.5)
    scene.at(0.5).barge_in(500)
    assert (sent(scene.log)[1:], verdicts(scene.log)) == ([truncate("m1", 500)], [ended("m1", "partial", 500)])


# -- the microphone before the session is ready --------------------------------------------------------------------------


def test_a_commit_before_ready_goes_out_behind_its_audio() -> None:  # DESIGN 2: commands queue, microphone audio is held
    scene = configuring(session={"audio": {"input": {"turn_detection": None}}})
    pcm = bytes(range(250)) * 192
    scene.append(pcm)
    scene.commit()
    effects = scene.server(session_created(turn_detection=None), session_updated(turn_detection=None))
    order = [kind for kind, _ in groupby(kinds(effects))]
    assert (order, spoke(effects)) == (["input_audio_buffer.append", "input_audio_buffer.commit"], pcm)


def test_audio_after_a_commit_before_ready_goes_out_behind_the_commit() -> None:  # DESIGN 2: commands queue
    scene = configuring(session={"audio": {"input": {"turn_detection": None}}})
    scene.append(b"\1\0" * 4800)
    scene.commit()
    scene.append(b"\2\0" * 960)
    effects = scene.server(session_created(turn_detection=None), session_updated(turn_detection=None))
    append, commit = "input_audio_buffer.append", "input_audio_buffer.commit"
    order = [kind for kind, _ in groupby(kinds(effects))]
    assert (order, spoke(effects)) == ([append, commit, append], b"\1\0" * 4800 + b"\2\0" * 960)


# -- whose an error is ---------------------------------------------------------------------------------------------------


def test_a_refusal_for_an_active_response_is_never_laid_to_an_out_of_band_request() -> None:  # DESIGN 4: their own lane; F046
    scene = ready()
    scene.respond(OOB)
    beside = scene.request
    scene.respond()
    again = scene.server(active_response(), created("rx"), done("rx"))
    assert (sent(again), outcomes(again), beside) == ([create(scene.request)], [], scene.request - 1)


def test_the_out_of_band_request_beside_such_a_refusal_is_answered() -> None:  # DESIGN 4: their own lane
    scene = ready()
    scene.respond(OOB)
    beside = scene.request
    scene.respond()
    scene.server(active_response(), created("r9", request=beside, in_band=False), done("r9", request=beside, in_band=False))
    assert outcomes(scene.log) == [(beside, "done")]


def test_a_refused_text_fails_its_request() -> None:  # DESIGN 2: each request settles exactly once, invariant 2
    scene = ready()
    refused = event_id(scene.say("hello"), "conversation.item.create")
    effects = scene.server(error("invalid_value", "Too long.", event_id=refused))
    assert outcomes(effects) == [(scene.request, "failed")]


def test_the_response_to_a_refused_text_is_not_heard() -> None:  # DESIGN 4: dead for ever, late events are dropped
    scene = ready()
    refused = event_id(scene.say("hello"), "conversation.item.create")
    scene.server(error("invalid_value", "Too long.", event_id=refused))
    effects = scene.server(created("r1", request=scene.request), opened(), audio("m1", 500))
    assert (sounded(effects), sent(effects), outcomes(scene.log)) == (b"", [cancel()], [(scene.request, "failed")])


def test_an_unnamed_cancel_error_is_laid_to_the_cancel_whose_response_had_ended() -> None:  # DESIGN 4: the slot; F057
    scene = talking(opened("a"), audio("a", 1000), heard_ms=500, at=0.5)
    scene.answering(scene.interrupt(), 500)
    scene.server(done("r1"), created("r2"), opened("b", r="r2"), audio("b", 1000, r="r2"), truncated("a", 500))
    scene.answering(scene.interrupt(), 0)
    scene.respond()
    early = scene.server(cancel_not_active(), deleted("b"))
    assert (kinds(early), "response.create" in kinds(scene.server(cancelled("r2")))) == ([], True)


# -- audio where nobody expects it ---------------------------------------------------------------------------------------


def test_audio_that_waits_behind_a_dry_open_segment_arms_the_stall_deadline() -> None:  # DESIGN 3: a deadline ends the wait
    scene = talking(opened("m1"), audio("m1", 100), heard_ms=100, at=0.1)
    scene.server(opened("m2", index=1), audio("m2", 3000, index=1))
    assert scene.session.deadline == Deadline(2.1, "segment that holds up the queue")


def test_audio_behind_a_dry_open_segment_plays_after_the_stall_deadline() -> None:  # DESIGN 3: a deadline ends the wait
    scene = talking(opened("m1"), audio("m1", 100), heard_ms=100, at=0.1)
    held = scene.server(opened("m2", index=1), audio("m2", 3000, index=1))
    assert (acts(held), acts(ticking(scene, 2.1))) == ([], [play(1, 3000)])


@pytest.mark.parametrize(
    "script",
    [
        opened() + audio("m1", 1000) + audio_done() + audio("m1", 500, start_ms=1000) + closing("m1", "hello")[1:] + done(),
        message("m1", 1000, "hello") + done() + audio("m1", 500, start_ms=1000),
    ],
    ids=["after audio_done", "after response.done"],
)
def test_audio_of_a_message_after_its_end_is_heard_and_counted_in_its_verdict(script: Script) -> None:  # DESIGN 3: verdicts
    scene = talking(script)
    scene.at(1.0).played(1, 1000)
    scene.at(1.5).played(1, 1500)
    ticking(scene, 30.0)
    assert (verdicts(scene.log), scene.session.speaking, scene.session.segments) == ([ended("m1", "full", 1500)], False, ())


def test_a_message_first_seen_after_response_done_plays_and_ends() -> None:  # DESIGN 3: each message ends exactly once; S01
    scene = spoken(message("m1", 1000, "hello"))
    scene.server(message("m2", 500, "you", index=1, previous="m1"))
    scene.at(1.5).played(1, 1500)
    expected = [ended("m1", "full", 1000), ended("m2", "full", 500)]
    assert (verdicts(scene.log), scene.session.speaking, scene.session.segments) == (expected, False, ())


@pytest.mark.parametrize("first", [[], opened("m2", index=1)], ids=["bare audio", "announced"])
def test_a_message_first_seen_after_response_done_ends_without_closing_events(first: Script) -> None:  # DESIGN 3: verdicts; S01
    scene = spoken(message("m1", 1000, "hello"))
    scene.server(first, audio("m2", 500, index=1))
    scene.at(1.5).played(1, 1500)
    ticking(scene, 30.0)
    expected = [ended("m1", "full", 1000), ended("m2", "full", 500)]
    assert (verdicts(scene.log), scene.session.speaking, scene.session.segments) == (expected, False, ())


def test_audio_of_a_response_that_has_ended_is_counted_and_dropped() -> None:  # DESIGN 4: late events are counted and dropped
    scene = spoken(message("m1", 1000, "hello"), heard_ms=1000, at=1.0)
    late = scene.server(opened("m2", index=1, previous="m1"), audio("m2", 500, index=1))
    assert (sounded(late), scene.session.counters.late_samples, scene.session.speaking) == (b"", 12_000, False)


# -- response.done is missing or unreadable ------------------------------------------------------------------------------


def test_a_function_call_without_the_end_of_its_response_does_not_hold_the_slot() -> None:  # DESIGN 4: the response slot; F022
    scene = talking(call("c1"))
    held = scene.respond()
    after = ticking(scene, 30.0)
    assert (sent(held), sent(after)) == ([], [create(scene.request)])


def test_a_message_without_a_sample_does_not_prolong_the_wait_for_its_end() -> None:  # DESIGN 4: the response slot; F022, S03
    scene = talking(opened("m1"), closing("m1"))
    held = scene.respond()
    after = ticking(scene, 30.0)
    assert (sent(held), sent(after)) == ([], [delete("m1"), create(scene.request)])


def test_a_response_of_which_nothing_comes_does_not_hold_the_slot_for_ever() -> None:  # DESIGN 4: the response slot; F022
    scene = talking()
    gone = told(ticking(scene, 120.0), ResponseEnded)
    assert ([e.response_id for e in gone], sent(scene.respond())) == (["r1"], [create(scene.request)])


@pytest.mark.parametrize("script", [[], call("c1")], ids=["nothing else", "a function call"])
def test_the_request_of_a_response_without_its_end_settles(script: Script) -> None:  # DESIGN 2: settles exactly once
    scene = ready()
    request = asked(scene, None, script)
    ticking(scene, 200.0)
    assert [number for number, _ in outcomes(scene.log)] == [request]


@pytest.mark.parametrize(
    "odd",
    [
        {"output": [{"id": None, "type": "message"}]},
        {"output": [None, 5]},
        {"output": 5},
        {"usage": []},
        {"usage": 5},
        {"status_details": []},
    ],
)
def test_a_response_done_of_an_odd_shape_ends_its_response(odd: Event) -> None:  # DESIGN 2: the session goes on; C29
    scene = talking()
    scene.respond()
    [event] = done("r1")
    effects = scene.server([{**event, "response": {**event["response"], **odd}}])
    assert ([e.status for e in told(effects, ResponseEnded)], sent(effects)) == (["completed"], [create(scene.request)])


# -- formats -------------------------------------------------------------------------------------------------------------


def test_a_response_of_its_own_audio_format_is_played_in_it() -> None:  # DESIGN 3: each generation has one audio format
    scene = ready()
    asked(scene, PCMU_OUT, opened())
    effects = scene.server(audio("m1", raw=b"\x55" * 8000))
    assert [(e.format, len(e.pcm)) for e in effects if isinstance(e, Play)] == [(PCMU, 8000)]


def test_a_response_of_its_own_audio_format_is_cut_in_its_own_milliseconds() -> None:  # DESIGN 3: floor of the segment's heard ms
    scene = ready()
    asked(scene, PCMU_OUT, opened(), audio("m1", raw=b"\x55" * 8000))
    scene.at(0.5).server(speech_started())
    assert sent(scene.flushed_samples(1, 4000)) == [truncate("m1", 500)]


def test_an_acknowledgement_without_formats_keeps_those_asked_for() -> None:  # DESIGN 2: what counts is what was acknowledged
    scene = configuring(session={"audio": {"input": {"format": "audio/pcmu"}, "output": {"format": "audio/pcmu"}}})
    scene.server(acknowledged())
    assert (scene.session.state, scene.session.input_format, scene.session.output_format) == ("ready", PCMU, PCMU)


def test_an_acknowledged_change_counts_after_an_acknowledgement_that_leaves_it_out() -> None:  # S09; DESIGN 4: who cancels
    scene = talking(opened(), audio("m1", 1000))
    scene.update({"audio": {"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}})
    scene.server(session_updated(turn_detection=CLIENT_VAD))
    scene.update({"instructions": "x"})
    scene.server(acknowledged(instructions="x"))
    assert sent(scene.at(0.5).server(speech_started())) == [cancel()]


def test_the_bound_of_buffered_audio_counts_at_the_acknowledged_rate() -> None:  # DESIGN 2: every buffer has a bound
    scene = configuring(playout={"max_buffered_s": 1})
    scene.server(session_updated(output={"type": "audio/pcmu"}), created("r1"), opened())
    within = scene.server(audio("m1", raw=b"\x55" * 8000))
    assert (sent(within), sent(scene.server(audio("m1", raw=b"\x55" * 8000)))) == ([], [cancel()])


# -- interruptions and edits ---------------------------------------------------------------------------------------------


def test_an_interrupted_out_of_band_response_gives_no_more_audio() -> None:  # DESIGN 4: dead for ever; B12
    scene = ready()
    asked(scene, OOB, audio("m9", 100), in_band=False)
    cut = scene.interrupt("r1")
    late = scene.server(audio("m9", 100, start_ms=100), transcript("m9", "hi"))
    assert (sent(cut), verdicts(cut), late) == ([cancel()], [ended("m9", "skipped", 0)], [])


def test_the_late_audio_of_an_interrupted_out_of_band_response_is_counted() -> None:  # DESIGN 4: counted and dropped
    scene = ready()
    asked(scene, OOB, audio("m9", 100), in_band=False)
    scene.interrupt("r1")
    scene.server(audio("m9", 100, start_ms=100))
    assert (len(told(scene.log, OutOfBandAudio)), scene.session.counters.late_deltas) == (1, 1)


@pytest.mark.parametrize("answered", [False, True])
def test_a_cut_item_that_the_program_deleted_is_not_truncated(answered: bool) -> None:  # DESIGN 3: edits name what is there
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5)
    scene.delete_item("m1")
    if answered:
        scene.server(deleted("m1"))
    assert sent(scene.barge_in(500)) == []


@pytest.mark.parametrize("answered", [False, True])
def test_an_unheard_item_that_the_program_deleted_is_not_deleted_again(answered: bool) -> None:  # DESIGN 3: skipped
    scene = spoken(message("m1", 1000, "a"), message("m2", 1000, "b", index=1, previous="m1"), heard_ms=500, at=0.5)
    scene.delete_item("m2")
    if answered:
        scene.server(deleted("m2"))
    assert sent(scene.barge_in(500)) + sent(ticking(scene, 20.0)) == [truncate("m1", 500)]


def test_a_truncate_is_not_repeated_for_an_item_that_the_program_deleted_meanwhile() -> None:  # DESIGN 3: once more
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5)
    scene.barge_in(500)
    scene.server(audio("m1", 100, start_ms=2000), truncated("m1", 500))
    scene.delete_item("m1")
    assert sent(scene.server(deleted("m1"), cancelled("r1"))) == []


def test_a_cut_at_the_very_start_of_time_deletes_one_second_later() -> None:  # DESIGN 3: or 1 s after the cut
    scene = talking(opened(), audio("m1", 1000))
    scene.barge_in(0)
    assert sent(ticking(scene, 1.0)) == [delete("m1")]


def test_interrupting_a_silent_response_leaves_the_pause_of_another_alone() -> None:  # DESIGN 3; C12
    scene = spoken(message("m1", 2000, "a"), heard_ms=500, at=0.5)
    held = scene.pause()
    scene.respond(OOB)
    scene.server(created("r2", request=scene.request, in_band=False))
    assert (acts(held), acts(scene.interrupt("r2"))) == ([Pause(1)], [cancel("r2")])


def test_a_pause_outlives_the_interruption_of_a_silent_response_and_ends_by_resume() -> None:  # DESIGN 3: pause
    scene = spoken(message("m1", 2000, "a"), heard_ms=500, at=0.5)
    scene.pause()
    scene.respond(OOB)
    scene.server(created("r2", request=scene.request, in_band=False))
    scene.interrupt("r2")
    assert acts(scene.resume()) == [Resume(1)]


def test_a_pause_by_flushing_outlives_the_interruption_of_a_silent_response() -> None:  # DESIGN 3: where it cannot pause
    scene = spoken(message("m1", 2000, "a"), heard_ms=500, at=0.5, clock=Clock(pause=False))
    scene.answering(scene.pause(), 500)
    scene.server(created("r2"), opened("m2", r="r2"))
    cut = scene.interrupt("r2")
    assert (sounded(cut), acts(scene.resume())) == (b"", [play(2, 1500)])


def test_a_message_stopped_where_its_sound_stopped() -> None:  # S01; DESIGN 2: three clocks, never mixed
    scene = spoken(message("m1", 2000, "a"), message("m2", 2000, "b", index=1, previous="m1"), heard_ms=4000, at=4.0)
    times = [(e.item_id, e.started_at, e.stopped_at) for e in told(scene.log, MessageEnded)]
    assert times == [("m1", 0.0, 2.0), ("m2", 2.0, 4.0)]


# -- tools and items -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refused", [False, True])
def test_a_refused_tool_output_does_not_swallow_the_answer_to_a_committed_turn(refused: bool) -> None:  # DESIGN 4: answered later
    scene = ready(configured(context="exact"), turn_detection=CLIENT_VAD)
    scene.server(created("r0"), call("c0", r="r0"), done("r0"))
    output = event_id(scene.tool_result("c0", "y", respond=False), "conversation.item.create")
    asked(scene, None, opened())
    scene.server(speech_started(), turn())
    if refused:
        scene.server(error("invalid_value", "No.", event_id=output))
    assert kinds(scene.server(done("r1", "cancelled"), deleted("m1"))) == ["conversation.item.delete", "response.create"]


def test_an_output_of_the_program_s_own_for_a_call_of_the_ledger_is_refused() -> None:  # DESIGN 4: exactly one output per call
    scene = talking(call("c1"), done("r1"))
    with pytest.raises(LocalProtocolError):
        scene.create_item({"type": "function_call_output", "call_id": "c1", "output": "x"})
    outputs = [event["item"]["output"] for event in sent(scene.tool_result("c1", "y")) if "item" in event]
    assert outputs == ["y"]


def test_a_call_whose_item_was_deleted_cannot_be_answered() -> None:  # DESIGN 4: outputs of calls of the conversation
    scene = talking(call("c1"), done("r1"))
    scene.delete_item("f_c1")
    scene.server(deleted("f_c1"))
    with pytest.raises(LocalProtocolError):
        scene.tool_result("c1", "y")
    assert kinds(scene.log) == ["session.update", "conversation.item.delete"]


@pytest.mark.parametrize(
    "before",
    [[], user_item("k"), user_item("k") + deleted("k")],
    ids=["in flight", "in the conversation", "deleted"],
)
def test_an_item_id_is_used_once(before: Script) -> None:  # DESIGN 4: a deleted id leaves a tombstone; contract: before any state
    scene = ready()
    scene.create_item({**WORDS, "id": "k"})
    scene.server(before)
    with pytest.raises(LocalProtocolError):
        scene.create_item({**WORDS, "id": "k"})
    assert kinds(scene.log) == ["session.update", "conversation.item.create"]


def test_an_item_id_is_used_once_before_ready_too() -> None:  # DESIGN 2: commands queue, the caller's mistake raises
    scene = configuring()
    scene.create_item({**WORDS, "id": "k"})
    with pytest.raises(LocalProtocolError):
        scene.create_item({**WORDS, "id": "k"})
    assert kinds(scene.server(session_created(), session_updated())) == ["conversation.item.create"]


def test_an_item_deleted_twice_still_holds_its_place() -> None:  # DESIGN 4: a deleted id leaves a tombstone
    scene = ready()
    scene.server(user_item("a"), user_item("b", previous="a"), user_item("c", previous="b"), user_item("z", previous="c"))
    scene.server(deleted("c"), deleted("c"), user_item("d", previous="c"))
    assert [item.id for item in scene.session.history] == ["a", "b", "d", "z"]


def test_an_item_behind_one_that_was_deleted_unseen_goes_to_the_end() -> None:  # DESIGN 4: unknown ids never lose items; C25
    scene = ready()
    scene.server(user_item("a"), user_item("b", previous="a"), deleted("unseen"), user_item("d", previous="unseen"))
    assert [item.id for item in scene.session.history] == ["a", "b", "d"]


# -- the device, the end, the key ----------------------------------------------------------------------------------------


def test_nothing_is_handed_to_a_lost_device_and_nothing_counts_as_heard() -> None:  # DESIGN 3: who heard what; F100
    scene = ready()
    scene.device("lost")
    effects = scene.server(created("r1"), message("m1", 2000, "a"), done("r1")) + ticking(scene, 20.0)
    heard = [(view.heard, view.queued) for view in scene.session.segments]
    assert (acts(effects), heard, scene.session.speaking) == ([], [(0, 48_000)], False)


def test_what_waited_for_a_lost_device_plays_when_it_is_back() -> None:  # DESIGN 3: who heard what; F100
    scene = ready()
    scene.device("lost")
    scene.server(created("r1"), message("m1", 2000, "a"), done("r1"))
    ticking(scene, 20.0)
    back = scene.device("ready")
    assert (acts(back), verdicts(scene.at(22.0).played(1, 2000))) == ([play(1, 2000)], [ended("m1", "full", 2000)])


def _inputs() -> list[tuple[str, Callable[[Scene], object]]]:
    return [
        ("connected", lambda scene: scene.connected()),
        ("disconnected", lambda scene: scene.disconnected(Disconnection(close_code=1006))),
        ("receive", lambda scene: scene.server(created("r2"), message("m2", 100, "x", r="r2"), done("r2"))),
        ("played", lambda scene: scene.played(1, 1000)),
        ("flushed", lambda scene: scene.flushed(1, 500)),
        ("underrun", lambda scene: scene.underrun(1)),
        ("device lost", lambda scene: scene.device("lost")),
        ("device ready", lambda scene: scene.device("ready")),
        ("speech", lambda scene: scene.local_speech()),
        ("speech stopped", lambda scene: scene.session.speech("stopped", now=1.0)),
        ("tick", lambda scene: scene.tick()),
        ("close", lambda scene: scene.close()),
    ]


@pytest.mark.parametrize("feed", [f for _, f in _inputs()], ids=[name for name, _ in _inputs()])
def test_nothing_comes_after_the_session_is_closed(feed: Callable[[Scene], object]) -> None:  # F101, invariant: the last notice
    scene = talking(opened(), audio("m1", 1000), heard_ms=500, at=0.5)
    scene.close()
    assert (feed(scene.at(1.0)), scene.session.deadline) == ([], None)


def test_an_underrun_after_the_session_was_closed_says_nothing() -> None:  # F101, invariant: SessionClosed is the last notice
    scene = talking()
    scene.close()
    assert scene.at(1.0).underrun(1) == []


LEAKS = {
    "failed response": created() + done("r1", "failed", failure={"type": "x", "code": "invalid", "message": f"bad {KEY}"}),
    "failed transcription": [
        {
            "type": "conversation.item.input_audio_transcription.failed",
            "event_id": "event_u",
            "item_id": "u1",
            "content_index": 0,
            "error": {"type": "x", "code": "invalid", "message": f"Incorrect API key provided: {KEY}", "param": KEY},
        }
    ],
}


@pytest.mark.parametrize("script", LEAKS.values(), ids=LEAKS.keys())
def test_a_key_that_the_server_repeats_is_not_passed_on(script: Script) -> None:  # contract: Problem never holds a credential
    notices = [repr(effect) for effect in ready().server(script)]
    assert [(KEY in text, "***" in text) for text in notices if "invalid" in text] == [(False, True)]


def test_a_device_that_is_lost_before_the_session_is_ready_gets_nothing_until_it_is_back() -> None:  # F100
    scene = configuring()
    scene.device("lost")
    early = scene.server(session_created(), session_updated(), created("r1"), opened("m1"), audio("m1", 500))
    assert (sounded(early), sounded(scene.device("ready"))) == (b"", pcm("m1", 500))
