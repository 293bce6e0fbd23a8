"""When a response may be asked for, who is answered, and what a cut leaves to be said first (DESIGN sections 3 and 4)."""

import pytest
from helpers.scene import (
    Scene,
    acts,
    cancel,
    configured,
    create,
    delete,
    ended,
    event_id,
    interrupted,
    kinds,
    outcomes,
    play,
    ready,
    sent,
    sounded,
    spoken,
    talking,
    told,
    truncate,
    verdicts,
)
from helpers.wire import (
    CLIENT_VAD,
    SERVER_VAD,
    Script,
    active_response,
    announce,
    audio,
    cancel_not_active,
    cancelled,
    closing,
    committed,
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
    session_updated,
    speech_started,
    speech_stopped,
    text_delta,
    transcript,
    truncated,
    turn,
    user_item,
)

from rtcore import (
    ContextStale,
    Effect,
    Flush,
    MessageEnded,
    OutOfBandAudio,
    RequestEnded,
    ResponseEnded,
    ResponseStarted,
    ServerError,
    SessionClosed,
    Verdict,
)

OOB = {"conversation": "none"}
SERVER_INTERRUPTS_CLIENT_CREATES = {**SERVER_VAD, "create_response": False}


# -- one at a time -----------------------------------------------------------------------------------------------------


def test_a_request_waits_for_the_end_of_the_running_response() -> None:  # B13, C15, F044
    scene = talking()
    held = scene.respond()
    assert (acts(held), acts(scene.server(done("r1")))) == ([], [create(scene.request)])


def test_a_cascade_of_responses_leaves_the_session_listening() -> None:  # F082: listening is gated on no flag
    scene = ready()
    second = bytes(48_000)
    for number in range(4):  # each is over within milliseconds, and the user speaks into the last
        scene.at(1.0 + number / 500).server(created(f"r{number}"), message(f"m{number}", 300, r=f"r{number}"), done(f"r{number}"))
        assert kinds(scene.append(second)) != []
    effects = scene.at(1.01).server(speech_started())
    assert isinstance(effects[0], Flush)
    scene.flushed(1, 0)
    assert kinds(scene.append(second)) != []
    scene.server(speech_stopped(), created("r9"), message("m9", 300, r="r9"), done("r9"))
    assert told(scene.played(2, 300), MessageEnded)[-1].verdict is Verdict.FULL


def test_a_request_waits_for_the_answer_to_the_one_before() -> None:  # C15, DESIGN 6 invariant 1
    scene = ready()
    first = scene.respond({"instructions": "one"})
    one = scene.request
    held = scene.respond({"instructions": "two"}) + scene.server(created("r1", request=one))
    assert (len(sent(first)), acts(held), kinds(scene.server(done("r1", request=one)))) == (1, [], ["response.create"])


def test_requests_with_parameters_stay_distinct_and_in_order() -> None:  # C15
    scene = talking()
    asked: list[int] = []
    for word in ("one", "two", "three"):
        scene.respond({"instructions": word})
        asked.append(scene.request)
    said = []
    last = ("r1", None)
    for n, request in enumerate(asked):
        [event] = sent(scene.server(done(last[0])))
        said.append(event["response"]["instructions"])
        last = (f"r{n + 2}", None)
        scene.server(created(last[0], request=request))
    assert (said, kinds(scene.server(done(last[0])))) == (["one", "two", "three"], [])


def test_a_started_response_says_whose_it_is() -> None:  # C15; facts 5.4
    scene = ready()
    scene.respond()
    mine = told(scene.server(created("r1", request=scene.request), done("r1")), ResponseStarted)
    theirs = told(scene.server(created("r2")), ResponseStarted)
    assert [(e.response_id, e.request) for e in mine + theirs] == [("r1", scene.request), ("r2", None)]


@pytest.mark.parametrize("created_first", [True, False])
def test_a_request_that_lost_the_race_is_asked_once_more_after_the_winner(created_first: bool) -> None:  # B13, F044, F046, C15
    scene = ready()
    scene.respond()
    won, lost = created("r_auto"), active_response(event_id=None)
    waiting = scene.server(*((won, lost) if created_first else (lost, won)))
    assert (acts(waiting), acts(scene.server(done("r_auto")))) == ([], [create(scene.request)])


def test_the_second_request_is_answered_as_if_nothing_had_happened() -> None:  # B13, F046
    scene = ready()
    scene.respond()
    scene.server(created("r_auto"), active_response(), done("r_auto"))
    assert outcomes(scene.server(created("r1", request=scene.request), done("r1"))) == [(scene.request, "done")]


def test_a_rejection_frees_the_slot() -> None:  # C15, F047
    scene = ready()
    rejected = event_id(scene.respond({"instructions": "x"}), "response.create")
    held = scene.respond()
    effects = scene.server(error("invalid_value", "Bad.", event_id=rejected))
    assert (acts(held), acts(effects)) == ([], [create(scene.request), ("settled", scene.request - 1, "failed")])


def test_a_rejection_without_an_event_id_belongs_to_the_oldest_unanswered_request() -> None:  # F046
    scene = ready()
    scene.respond()
    effects = scene.server(active_response(), created("r_auto"), done("r_auto"))
    assert acts(effects) == [create(scene.request)]


def test_the_end_of_a_dead_response_does_not_free_the_living_one_s_slot() -> None:  # F057, C18, F125
    scene = talking(opened("a"), audio("a", 1000), heard_ms=300, at=0.3)
    scene.barge_in(300)
    scene.server(truncated("a", 300), created("r2"), opened("b", r="r2"), audio("b", 300, r="r2"))
    scene.respond()
    assert (kinds(scene.server(cancelled("r1"))), kinds(scene.server(done("r2")))) == ([], ["response.create"])


@pytest.mark.parametrize("unknown", [done("r_unknown"), cancelled("r_unknown")])
def test_the_end_of_an_unknown_response_changes_nothing(unknown: Script) -> None:  # C18
    scene = talking(opened("a"), audio("a", 1000))
    scene.respond()
    effects = scene.server(unknown) + scene.server(audio("a", 100, start_ms=1000))
    assert acts(effects) == [play(1, 100)]


def test_a_second_end_of_a_response_changes_nothing() -> None:  # C18
    scene = spoken(message("m1", 100), heard_ms=100, at=0.1)
    scene.server(created("r2"))
    scene.respond()
    assert (acts(scene.server(done("r1"))), len(told(scene.log, ResponseEnded))) == ([], 1)


def test_an_end_without_a_beginning_ends_the_request_that_it_names() -> None:  # C18; facts 4.10
    scene = ready()
    scene.respond()
    effects = scene.server(done("r1", "cancelled", "turn_detected", request=scene.request))
    later = scene.at(11.0).tick()
    assert [outcome for _, outcome in outcomes(effects + later)] == ["cancelled"]


@pytest.mark.parametrize("options", [{}, OOB])
def test_one_that_fails_unseen_says_so_to_its_request(options: dict[str, object]) -> None:  # C17, C18, F145; facts 4.10
    scene = ready()
    scene.respond(options)
    failure = {"type": "server_error", "code": "inference_rate_limit_exceeded", "message": "Slow down."}
    effects = scene.server(done("r1", "failed", failure=failure, request=scene.request, in_band=not options))
    [end] = told(effects + scene.at(11.0).tick(), RequestEnded)
    assert (end.outcome, end.problem and end.problem.code) == ("failed", "inference_rate_limit_exceeded")


def test_one_beside_the_conversation_tells_nothing_of_the_slot() -> None:  # C17, B12; facts 4.10
    scene = ready()
    scene.server(active_response())  # something has the slot that has not shown itself
    scene.respond(OOB)
    beside = scene.request
    held = scene.respond() + scene.server(done("r1", request=beside, in_band=False))
    assert (kinds(held), outcomes(held)) == ([], [(beside, "done")])


def test_a_slot_that_is_told_again_to_be_held_is_waited_for_again() -> None:  # F022, B13: the server knows that it runs
    scene = ready()
    scene.server(active_response())
    scene.at(4.0).server(active_response())
    waits = scene.respond() + scene.at(10.5).tick()
    assert (kinds(waits), kinds(scene.at(14.5).tick())) == ([], ["response.create"])


def test_an_automatic_answer_replaces_the_automatic_answer_that_waits() -> None:  # F060, C15
    scene = talking(turn_detection=CLIENT_VAD, config=configured(interruption="ignore"))
    scene.server(speech_started("u1"), turn("u1"), speech_started("u2"), turn("u2", previous="u1"))
    after = scene.server(done("r1"))
    request = sent(after)[0]["response"]["metadata"]["rtcore_request"]
    later = scene.server(created("r2", request=int(request)), done("r2"))
    assert (kinds(after), kinds(later)) == (["response.create"], [])


LEGAL = {"input": [], "instructions": "Say exactly: this call is recorded."}
"""It sees nothing of the conversation."""


@pytest.mark.parametrize("options", [LEGAL, {"instructions": "Summarise."}, {"tool_choice": "none"}])
def test_what_has_an_input_of_its_own_answers_no_turn(options: dict[str, object]) -> None:  # C15, C16, invariant 15; facts 5.1
    scene = talking(turn_detection=CLIENT_VAD, config=configured(interruption="ignore"))
    scene.respond(options)
    scene.server(speech_started("u1"), turn("u1"), done("r1"), created("r2", request=1))
    after = scene.server(done("r2", request=1))
    assert sent(after) == ([create(2)] if options is LEGAL else [])
    assert kinds(scene.server(created("r3", request=2), done("r3", request=2))) == []


def test_nor_one_that_the_server_could_not_answer_because_of_it() -> None:  # C15, C16, F044; facts 5.1, 8.2
    scene = ready()
    scene.respond(LEGAL)
    scene.server(speech_started("u1"), turn("u1"), created("r1", request=1))
    scene.at(0.5).server(active_response())  # without an event_id: the server's own creation for the turn
    assert sent(scene.server(done("r1", request=1))) == [create(2)]


def test_an_answer_that_the_server_refused_for_now_is_asked_for_again_behind_it() -> None:  # C15, F047, F061; facts 5.1
    scene = ready(turn_detection=CLIENT_VAD)
    first = scene.server(speech_started("u1"), turn("u1"))
    scene.server(error("server_error", "The server had an error.", event_id=event_id(first, "response.create")))
    scene.at(0.2).respond(LEGAL)
    scene.server(created("r1", request=scene.request), done("r1", request=scene.request))
    assert kinds(scene.at(1.0).tick()) == ["response.create"]


def test_a_turn_that_the_server_does_not_answer_is_answered_when_the_slot_is_free() -> None:  # DESIGN 4: settings; C16
    scene = ready(turn_detection=SERVER_INTERRUPTS_CLIENT_CREATES)
    assert kinds(scene.server(speech_started(), turn("u1"))) == ["response.create"]


def test_a_turn_that_the_server_answers_is_left_to_it() -> None:  # DESIGN 4, F044
    scene = ready()
    assert kinds(scene.server(speech_started(), turn("u1"))) == []


def test_a_program_may_answer_turns_itself() -> None:  # contract: answer_turns
    scene = ready(configured(answer_turns=False), turn_detection=SERVER_INTERRUPTS_CLIENT_CREATES)
    assert kinds(scene.server(speech_started(), turn("u1"))) == []


def test_an_incomplete_response_says_why_and_is_heard_to_its_end() -> None:  # F131, F143
    scene = talking(message("m1", 500))
    [notice] = told(scene.server(done("r1", "incomplete", "max_output_tokens")), ResponseEnded)
    assert (notice.status, notice.reason, verdicts(scene.at(0.5).played(1, 500))) == (
        "incomplete",
        "max_output_tokens",
        [ended("m1", "full", 500)],
    )


def test_a_failed_response_says_why_and_frees_the_slot() -> None:  # F145, F146, F131
    scene = talking()
    scene.respond()
    failure = {"type": "server_error", "code": "inference_rate_limit_exceeded", "message": "Slow down."}
    effects = scene.server(done("r1", "failed", failure=failure))
    [notice] = told(effects, ResponseEnded)
    assert (notice.status, notice.problem and notice.problem.code, kinds(effects)) == (
        "failed",
        "inference_rate_limit_exceeded",
        ["response.create"],
    )


# -- interruption and the slot -----------------------------------------------------------------------------------------


def test_an_answer_asked_for_after_an_interruption_waits_for_the_end_of_the_old_one() -> None:  # F045, B13
    scene = talking(opened("a"), audio("a", 1000), heard_ms=300, at=0.3)
    scene.answering(scene.interrupt(), 300)
    held = scene.respond() + scene.server(truncated("a", 300))
    assert (kinds(held), kinds(scene.server(cancelled(by="client_cancelled")))) == ([], ["response.create"])


def test_a_cancel_of_nothing_releases_the_waiting_request_once() -> None:  # C14, F045, F050
    scene = talking()
    scene.interrupt()
    held = scene.respond()
    released = scene.server(cancel_not_active())
    assert (kinds(held), kinds(released), kinds(scene.server(done("r1")))) == ([], ["response.create"], [])


def test_a_late_refusal_of_a_cancel_is_swallowed() -> None:  # C14, F050
    scene = talking()
    refused = event_id(scene.interrupt(), "response.cancel")
    scene.respond()
    released = scene.server(done("r1"))
    assert (kinds(released), scene.server(cancel_not_active(refused))) == (["response.create"], [])


@pytest.mark.parametrize("code", [None, "no_active_response"])
def test_other_vendors_words_for_a_cancel_of_nothing_are_as_harmless(code: str | None) -> None:  # C14, F050
    scene = talking()
    refused = event_id(scene.interrupt(), "response.cancel")
    effects = scene.server(error(code, "Cancellation failed: no active response found", event_id=refused))
    assert (told(effects, SessionClosed), outcomes(effects), scene.session.state) == ([], [], "ready")


def test_an_interruption_before_the_response_appears_cancels_it_once_when_it_does() -> None:  # B15, F049, F035
    scene = ready()
    scene.respond()
    early = scene.interrupt()
    late = scene.server(created("r1", request=scene.request), opened(), audio("m1", 500))
    late += scene.server(cancelled(by="client_cancelled"))
    assert (sent(early), [e for e in sent(late) if e != delete("m1")], sounded(late)) == ([], [cancel("r1")], b"")


def test_the_slot_is_free_after_a_response_that_was_dead_on_arrival() -> None:  # B15, F049
    scene = ready()
    scene.respond()
    scene.interrupt()
    scene.server(created("r1", request=scene.request), cancelled(by="client_cancelled"))
    assert kinds(scene.respond()) == ["response.create"]


def test_an_interrupted_request_ends_once_as_cancelled() -> None:  # B15, DESIGN 6 invariant 2
    scene = ready()
    scene.respond()
    effects = scene.interrupt() + scene.server(created("r1", request=scene.request), cancelled(by="client_cancelled"))
    effects += scene.at(20.0).tick()
    assert outcomes(effects) == [(scene.request, "cancelled")]


def test_an_answer_that_nobody_waits_for_by_name_is_asked_for_again_when_it_does_not_come() -> None:  # B14, F061
    scene = ready(turn_detection=SERVER_INTERRUPTS_CLIENT_CREATES)
    first = scene.server(speech_started("u1"), speech_stopped("u1"), committed("u1"), user_item("u1"))
    again = scene.at(10.0).tick()
    late = scene.server(created("r1", request=1), opened(), audio("m1", 500))
    assert (kinds(first), kinds(again), kinds(late), sounded(late)) == (
        ["response.create"],
        ["response.create"],
        ["response.cancel"],
        b"",
    )
    assert "response.create" not in kinds(scene.interrupt() + scene.at(60.0).tick())


def test_a_request_that_timed_out_is_cancelled_when_its_response_appears() -> None:  # B14, F034
    scene = ready()
    scene.respond()
    ended_first = outcomes(scene.at(10.0).tick())
    late = scene.server(created("r1", request=scene.request), opened(), audio("m1", 500), created("r2"))
    late += scene.server(audio("m1", 100, start_ms=500), message("b", 300, r="r2"), cancelled(by="client_cancelled"), done("r2"))
    assert (ended_first, cancel("r1") in sent(late), kinds(late).count("response.cancel"), sounded(late), outcomes(late)) == (
        [(scene.request, "timed_out")],
        True,
        1,
        pcm("b", 300),
        [],
    )


def test_an_interruption_by_name_touches_only_that_response() -> None:  # F052, F161
    scene = spoken(message("a", 1000), at=0.1)
    scene.server(created("r2"), opened("b", r="r2"), audio("b", 500, r="r2"))
    effects = scene.answering(scene.interrupt("r2"), 100)
    assert [e for e in sent(effects) if e["type"] == "response.cancel"] == [cancel("r2")]
    assert verdicts(scene.at(2.0).played(scene_generation(scene), 5000)) == [ended("a", "full", 1000)]


def scene_generation(scene: Scene) -> int:
    """The generation that sounds now."""
    return 1 + sum(isinstance(effect, Flush) for effect in scene.log)


def test_an_interruption_of_a_response_that_is_over_changes_nothing_of_the_next() -> None:  # F052, F161
    scene = spoken(message("a", 100), heard_ms=100, at=0.1)
    scene.server(created("r2"), opened("b", r="r2"), audio("b", 500, r="r2"))
    assert acts(scene.interrupt("r1")) == []


def test_a_typed_text_silences_cancels_and_is_answered_after_the_old_response() -> None:  # F037, B13
    scene = talking(opened("a"), audio("a", 2000), heard_ms=500, at=0.5)
    stop = scene.answering(scene.say("Stop."), 500)
    edited = scene.server(truncated("a", 500))
    assert ([*map(type, stop[:1])], sent(stop), kinds(edited), kinds(scene.server(cancelled(by="client_cancelled")))) == (
        [Flush],
        [cancel("r1"), truncate("a", 500)],
        ["conversation.item.create"],
        ["response.create"],
    )


def test_a_typed_text_may_leave_the_speech_alone() -> None:  # contract: send_text(interrupt=False)
    scene = talking(opened("a"), audio("a", 2000), heard_ms=500, at=0.5)
    assert (kinds(scene.say("By the way.", interrupt=False)), scene.session.speaking) == (["conversation.item.create"], True)


def test_a_typed_text_may_want_no_answer() -> None:  # contract: send_text(respond=False)
    scene = ready()
    effects = scene.say("Just so you know.", respond=False)
    [event] = sent(effects)
    settled = outcomes(scene.server(user_item(event["item"]["id"])))
    assert (kinds(effects), event["item"]["content"], settled) == (
        ["conversation.item.create"],
        [{"type": "input_text", "text": "Just so you know."}],
        [(scene.request, "done")],
    )


# -- edits before creations --------------------------------------------------------------------------------------------


def _cut_at(heard_ms: int, *more: Script) -> Scene:
    """r1 is done; its message a was cut after ``heard_ms`` and the edit is on its way."""
    scene = spoken(message("a", 2000), *more, heard_ms=heard_ms, at=0.5)
    scene.barge_in(heard_ms)
    return scene


@pytest.mark.parametrize(("heard_ms", "answer"), [(500, truncated("a", 500)), (0, deleted("a"))], ids=["truncate", "delete"])
def test_a_response_is_not_asked_for_before_the_edit_is_acknowledged(heard_ms: int, answer: Script) -> None:  # DESIGN 3: edits
    scene = _cut_at(heard_ms)
    held = scene.respond()
    assert (acts(held), acts(scene.server(answer))) == ([], [create(scene.request)])


@pytest.mark.parametrize(("heard_ms", "answer"), [(500, truncated("a", 500)), (0, deleted("a"))], ids=["truncate", "delete"])
def test_a_user_item_is_not_made_before_the_edit_is_acknowledged(heard_ms: int, answer: Script) -> None:  # DESIGN 3: edits
    scene = _cut_at(heard_ms)
    held = scene.say("And now?")
    assert (acts(held), kinds(scene.server(answer))) == ([], ["conversation.item.create", "response.create"])


def test_nothing_is_created_while_a_flush_is_unsettled() -> None:  # DESIGN 3: edits before creations
    scene = spoken(message("a", 2000), heard_ms=500, at=0.5)
    scene.server(speech_started())
    held = scene.respond()
    edits = scene.flushed(1, 500)
    assert (acts(held), sent(edits), kinds(scene.server(truncated("a", 500)))) == (
        [],
        [truncate("a", 500)],
        ["response.create"],
    )


def test_all_edits_come_first() -> None:  # DESIGN 3: edits before creations
    scene = _cut_at(500, message("b", 1000, index=1, previous="a"))
    scene.respond()
    assert (kinds(scene.server(truncated("a", 500))), kinds(scene.server(deleted("b")))) == ([], ["response.create"])


def test_an_edit_that_is_never_acknowledged_holds_up_creations_for_five_seconds() -> None:  # contract: edit_ms
    scene = _cut_at(500)
    scene.respond()
    deadline = scene.session.deadline
    assert deadline is not None
    assert (deadline.at, kinds(scene.at(5.4).tick()), kinds(scene.at(5.5).tick())) == (5.5, [], ["response.create"])


def test_the_server_s_own_answer_before_our_edit_is_marked_stale() -> None:  # DESIGN 3: context_stale
    scene = talking(opened("a"), audio("a", 2000), heard_ms=500, at=0.5)
    scene.barge_in(500)
    effects = scene.server(cancelled(), turn("u1"), created("r2"))
    assert told(effects, ContextStale) == [ContextStale("r2")]


def test_the_server_s_own_answer_after_our_edit_is_not_stale() -> None:  # DESIGN 3: context_stale
    scene = talking(opened("a"), audio("a", 2000), heard_ms=500, at=0.5)
    scene.barge_in(500)
    effects = scene.server(cancelled(), truncated("a", 500), turn("u1"), created("r2"))
    assert told(effects, ContextStale) == []


def test_with_an_exact_context_the_answer_is_asked_for_after_the_edit() -> None:  # DESIGN 3: context="exact"
    scene = talking(
        opened("a"),
        audio("a", 2000),
        heard_ms=500,
        at=0.5,
        config=configured(context="exact"),
        turn_detection=SERVER_INTERRUPTS_CLIENT_CREATES,
    )
    scene.barge_in(500)
    held = scene.server(cancelled(), turn("u1"))
    assert (kinds(held), kinds(scene.server(truncated("a", 500)))) == ([], ["response.create"])


def test_out_of_band_requests_wait_for_nobody() -> None:  # DESIGN 4: their own lane; C17
    scene = talking()
    assert kinds(scene.respond(OOB)) == ["response.create"]


def test_but_for_the_server_s_word_on_our_edits() -> None:  # DESIGN 3: edits before creations
    scene = talking(opened("a"), audio("a", 2000), heard_ms=500, at=0.5)
    scene.barge_in(500)
    scene.server(cancelled())
    held = scene.respond(OOB)
    assert (kinds(held), kinds(scene.server(truncated("a", 500)))) == ([], ["response.create"])


def test_the_edits_of_two_cuts_both_come_first() -> None:  # DESIGN 3: edits before creations
    scene = _cut_at(500)
    scene.server(created("r2"), opened("b", r="r2"), audio("b", 1000, r="r2"))
    scene.at(1.0).barge_in(200, "u2")
    held = scene.respond() + scene.server(cancelled("r2"), truncated("b", 200))
    assert (kinds(held), kinds(scene.server(truncated("a", 500)))) == ([], ["response.create"])


# -- out of band -------------------------------------------------------------------------------------------------------


def _beside(*, audible: bool | None = None) -> Scene:
    """r1 speaks in the conversation, r2 was asked for out of band."""
    scene = talking(opened("a"), audio("a", 2000), heard_ms=500, at=0.5)
    scene.respond({**OOB, "metadata": {"topic": "summary"}}, audible=audible)
    scene.server(created("r2", request=scene.request, in_band=False, metadata={"topic": "summary"}))
    return scene


def _aside(item: str = "b", ms: int = 300, text: str = "Aside.") -> Script:
    """A message of r2; out of band, no conversation events exist."""
    whole = opened(item, r="r2") + transcript(item, text, r="r2") + audio(item, ms, r="r2") + closing(item, text, r="r2")
    return [event for event in whole if not event["type"].startswith("conversation.")]


def test_an_out_of_band_response_goes_to_the_caller_and_nowhere_else() -> None:  # B12, C17
    scene = _beside()
    effects = scene.server(_aside())
    assert (sounded(effects), b"".join(e.pcm for e in told(effects, OutOfBandAudio)), [i.id for i in scene.session.history]) == (
        b"",
        pcm("b", 300),
        ["a"],
    )


def test_the_end_of_an_out_of_band_response_is_not_the_end_of_the_other() -> None:  # C17, F057
    scene = _beside()
    ended_aside = scene.server(_aside(), done("r2", in_band=False))
    assert (outcomes(ended_aside), sent(scene.interrupt())) == ([(scene.request, "done")], [cancel("r1")])


def test_an_out_of_band_response_does_not_take_the_slot() -> None:  # C17, B12
    scene = ready()
    scene.respond(OOB)
    scene.server(created("r2", request=scene.request, in_band=False))
    assert kinds(scene.respond()) == ["response.create"]


def test_an_out_of_band_response_that_nobody_asked_for_is_known_by_its_conversation() -> None:  # facts 7.4, B12
    scene = ready()
    effects = scene.server(created("r2", in_band=False), _aside())
    assert (sounded(effects), [e.out_of_band for e in told(effects, ResponseStarted)]) == (b"", [True])


def test_an_audible_out_of_band_response_is_cancelled_by_us_because_the_server_never_does() -> None:  # DESIGN 4, F055
    scene = ready()
    scene.respond(OOB, audible=True)
    scene.server(created("r2", request=scene.request, in_band=False), opened("b", r="r2")[:1], audio("b", 2000, r="r2"))
    scene.at(0.5).played(1, 500)
    assert acts(scene.barge_in(500)) == [
        Flush(1),
        cancel("r2"),
        ended("b", "partial", 500),
        interrupted("b"),
    ]


def test_an_audible_out_of_band_response_that_has_not_begun_is_interrupted_like_any_other() -> None:  # B15, F049, F055
    for silence in (Scene.interrupt, Scene.local_speech, lambda scene: scene.server(speech_started())):
        scene = ready()
        scene.respond(OOB, audible=True)
        early = silence(scene)
        late = scene.server(created("r2", request=scene.request, in_band=False), _aside(), done("r2", in_band=False))
        assert (sent(early), sent(late), sounded(late)) == ([], [cancel("r2")], b"")
        assert outcomes(late) == [(scene.request, "cancelled")]


def test_a_policy_is_told_of_an_audible_out_of_band_response_that_has_not_begun() -> None:  # B15, B19: there is what to cut
    scene = ready(configured(barge_in={"min_duration_ms": 300}), turn_detection=CLIENT_VAD)
    scene.respond(OOB, audible=True)
    scene.server(speech_started())
    scene.at(0.5).tick()
    assert sent(scene.server(created("r2", request=scene.request, in_band=False))) == [cancel("r2")]


def test_a_voice_spares_an_uninterruptible_response_beside_the_conversation_that_has_not_begun() -> None:  # B15, F054
    scene = ready(turn_detection=CLIENT_VAD)
    scene.respond(OOB, audible=True, interruptible=False)
    scene.server(speech_started())
    effects = scene.server(created("r2", request=scene.request, in_band=False), _aside())
    assert (sent(effects), sounded(effects) != b"") == ([], True)


def test_what_was_asked_for_beside_the_conversation_and_is_to_be_heard_is_not_sent_after_an_interruption() -> None:  # B15, F049
    scene = talking(opened("a"), audio("a", 2000), heard_ms=500, at=0.5)
    scene.interrupt()
    scene.respond(OOB, audible=True)  # it waits for what becomes of the first
    audible = scene.request
    scene.respond(OOB)
    effects = scene.interrupt() + scene.flushed(1, 500) + scene.server(cancelled(by="client_cancelled"), truncated("a", 500))
    assert (outcomes(effects)[0], [e for e in sent(effects) if e["type"] == "response.create"]) == (
        (audible, "cancelled"),
        [create(scene.request, conversation="none")],
    )


def test_a_silent_out_of_band_response_that_has_not_begun_is_left_alone() -> None:  # F055
    scene = ready()
    scene.respond(OOB)
    scene.interrupt()
    effects = scene.server(created("r2", request=scene.request, in_band=False), _aside(), done("r2", in_band=False))
    assert (sent(effects), outcomes(effects)) == ([], [(scene.request, "done")])


def test_items_of_an_audible_out_of_band_response_are_neither_truncated_nor_deleted() -> None:  # DESIGN 3: out of band
    scene = ready()
    scene.respond(OOB, audible=True)
    scene.server(created("r2", request=scene.request, in_band=False), _aside(ms=1000), done("r2", in_band=False))
    effects = scene.at(0.2).barge_in(200) + scene.at(3.0).tick()
    assert (sent(effects), verdicts(effects)) == ([], [ended("b", "partial", 200)])


def test_every_audible_response_is_cancelled_by_its_own_id() -> None:  # F055
    scene = _beside(audible=True)
    scene.server(_aside()[:3])
    assert sorted(event["response_id"] for event in sent(scene.interrupt())) == ["r1", "r2"]


def test_an_interruption_leaves_a_silent_out_of_band_response_alone() -> None:  # B12, C17
    scene = _beside()
    effects = scene.answering(scene.interrupt(), 500)
    aside = scene.server(_aside(), done("r2", in_band=False))
    assert ([e for e in sent(effects) if e["type"] == "response.cancel"], len(told(aside, OutOfBandAudio)) > 0) == (
        [cancel("r1")],
        True,
    )


def test_a_request_settles_once_whatever_the_server_repeats() -> None:  # DESIGN 6 invariant 2, C18
    scene = ready()
    scene.respond()
    script = created("r1", request=scene.request) + message("m1", 100) + done("r1")
    effects = scene.server(script, script, done("r1"), active_response(), committed("u9"), item_done("m1"))
    assert len(told(effects, RequestEnded)) == 1


def test_speech_that_stops_the_wait_for_a_turn_leaves_the_slot_alone() -> None:  # C16
    scene = ready(turn_detection=SERVER_INTERRUPTS_CLIENT_CREATES)
    early = scene.server(speech_started("u1"), speech_stopped("u1"))
    assert (kinds(early), kinds(scene.server(committed("u1"), user_item("u1")))) == ([], ["response.create"])


def test_a_turn_that_is_told_twice_is_answered_once() -> None:  # C15, C18, F115
    scene = ready(turn_detection=SERVER_INTERRUPTS_CLIENT_CREATES)
    scene.server(speech_started("u1"), speech_stopped("u1"), committed("u1"), user_item("u1"))
    scene.server(created("r1", request=1), done("r1"), speech_started("u2"))
    assert scene.server(committed("u1")) == []


def test_a_turn_that_the_server_could_not_answer_waits_for_the_person_who_speaks_again() -> None:  # C16
    scene = ready()
    scene.respond()
    scene.server(speech_started("u1"), speech_stopped("u1"), committed("u1"), user_item("u1"), active_response())
    ended = scene.server(speech_started("u2"), created("r1", request=scene.request), cancelled("r1"))
    assert kinds(ended) == ["response.cancel"]


def test_a_change_of_who_creates_counts_from_its_acknowledgement() -> None:  # C13, DESIGN 2: what counts is what was acknowledged
    scene = ready()
    scene.server(session_updated(turn_detection=SERVER_INTERRUPTS_CLIENT_CREATES))
    assert kinds(scene.server(speech_started(), turn("u1"))) == ["response.create"]


# -- responses that nobody announced (facts 4.10) ------------------------------------------------------------------------


def test_a_response_that_was_never_announced_names_its_request_at_its_end() -> None:  # facts 4.10, C18, invariant 2
    scene = ready()  # the server creates too: until its end, it could be the server's own
    scene.respond()
    effects = scene.server(opened("m1"), audio("m1", 100), closing("m1"), done("r1", request=scene.request))
    assert (outcomes(effects), kinds(scene.respond())) == ([(1, "done")], ["response.create"])


def test_where_only_we_create_it_is_known_from_its_first_event() -> None:  # facts 4.10, B15, F035
    scene = ready(turn_detection=CLIENT_VAD)
    scene.server(created("r0", request=99), done("r0", request=99))  # this server echoes marks
    scene.respond()
    scene.interrupt()
    effects = scene.server(opened("m1"), audio("m1", 100), closing("m1"), done("r1", "cancelled"))
    assert (sounded(effects), sent(effects)[0], outcomes(effects)) == (b"", cancel("r1"), [(1, "cancelled")])


def test_one_that_was_to_be_dead_is_cut_when_it_turns_out_to_be_ours() -> None:  # B15, facts 4.10
    scene = ready()
    scene.respond()
    scene.interrupt()
    scene.server(opened("m1"), audio("m1", 1000), closing("m1"))
    effects = scene.at(0.1).server(done("r1", request=scene.request))
    assert (Flush(1) in effects, kinds(effects)) == (True, [])


# -- answers of ours that are refused ------------------------------------------------------------------------------------


def _asked(effects: list[Effect]) -> int:
    return sum(event["type"] == "response.create" for event in sent(effects))


def test_an_answer_that_the_server_refuses_for_now_is_asked_for_again() -> None:  # F047, F061, F146, invariant 15
    scene = ready(turn_detection=SERVER_INTERRUPTS_CLIENT_CREATES)
    first = scene.server(speech_started(), turn("u1"))
    refused = scene.server(error("server_error", "The server had an error.", event_id=event_id(first, "response.create")))
    assert (kinds(refused), [e.problem.code for e in told(refused, ServerError)]) == ([], ["server_error"])
    again = scene.at(1.0).tick()
    later = scene.server(created("r1", request=int(sent(again)[0]["response"]["metadata"]["rtcore_request"])), done("r1"))
    assert (kinds(again), kinds(later + scene.at(30.0).tick())) == (["response.create"], [])


def test_it_is_not_asked_for_for_ever() -> None:  # F091
    scene = ready(turn_detection=SERVER_INTERRUPTS_CLIENT_CREATES)
    effects = scene.server(speech_started(), turn("u1"))
    for second in range(1, 60):
        if "response.create" in kinds(effects):
            scene.server(error("rate_limit_exceeded", "Wait.", event_id=event_id(effects, "response.create")))
        effects = scene.at(float(second)).tick()
    assert _asked(scene.log) == 4


def test_a_person_who_speaks_again_is_answered_instead() -> None:  # C16, F060
    scene = ready(turn_detection=SERVER_INTERRUPTS_CLIENT_CREATES)
    first = scene.server(speech_started(), turn("u1"))
    scene.server(error("server_error", "No.", event_id=event_id(first, "response.create")))
    scene.at(0.5).server(speech_started("u2"))
    held = scene.at(3.0).tick()
    assert (kinds(held), kinds(scene.server(turn("u2", previous="u1")))) == ([], ["response.create"])


def test_an_interruption_by_the_program_ends_the_attempts() -> None:  # C12, F064
    scene = ready(turn_detection=SERVER_INTERRUPTS_CLIENT_CREATES)
    first = scene.server(speech_started(), turn("u1"))
    scene.server(error("server_error", "No.", event_id=event_id(first, "response.create")))
    scene.interrupt()
    assert kinds(scene.at(9.0).tick()) == []


def test_an_interruption_kills_a_request_whose_refusal_may_not_have_been_its_own() -> None:  # B15, F035, F046
    scene = ready()
    scene.respond()
    scene.server(active_response())  # without our event_id: it was the server's own creation that was refused
    scene.server(speech_started("u1"))
    late = scene.server(created("r1", request=scene.request), opened("m1"), audio("m1", 500), cancelled("r1"))
    assert (sent(late)[:1], sounded(late), outcomes(late)) == ([cancel("r1")], b"", [(1, "cancelled")])


def test_a_refusal_that_names_an_unknown_response_decides_nothing_until_that_shows_itself() -> None:  # B13, F046
    scene = ready()
    scene.respond()
    unsure = scene.server(active_response(), active_response())
    shown = scene.server(created("r1", request=scene.request), message("m1", 100), done("r1"))
    assert (outcomes(unsure), outcomes(shown)) == ([], [(1, "done")])


def test_where_it_is_the_server_s_own_ours_was_refused_and_is_asked_for_again() -> None:  # B13, F044, F046
    scene = ready()
    scene.respond()
    scene.server(active_response(), created("r_auto"))
    assert acts(scene.server(done("r_auto"))) == [create(scene.request)]


def test_an_answer_that_the_server_dropped_long_ago_is_no_longer_waited_for() -> None:  # B13, F044, F046, C15
    # The person spoke on before the answer to u1 had begun: some servers drop that without a word.
    scene = ready()
    scene.server(speech_started("u1"), turn("u1"), speech_started("u2"), turn("u2"), created("r2"), done("r2"))
    scene.at(10.0).server(speech_started("u3"), turn("u3"))
    scene.respond()
    scene.server(active_response(), created("r_auto"))
    assert acts(scene.server(done("r_auto"))) == [create(scene.request)]


def test_a_doubt_that_is_older_than_a_turn_says_nothing_of_its_answer() -> None:  # C16, F044
    scene = ready()
    scene.respond()
    scene.server(active_response())
    scene.at(9.5).server(speech_started("u1"), turn("u1"))
    assert "response.create" not in kinds(scene.at(10.0).tick())


def test_where_another_begins_than_the_one_that_held_the_slot_ours_was_refused() -> None:  # B13, F044, F046
    # Whatever the server still owes: what held the slot is gone without a word, so it was not ours.
    scene = ready()
    scene.server(speech_started("u1"), turn("u1"), speech_started("u2"), turn("u2"))
    scene.respond()
    scene.server(active_response(), created("r_auto"))
    assert acts(scene.server(done("r_auto"))) == [create(scene.request)]


def test_where_the_one_that_held_the_slot_begins_and_another_was_owed_that_was_refused() -> None:  # B13, F044, F046, invariant 1
    # No speech silences the first answer, and the line stood still: what the server tried at the end of the second turn is told
    # before what held the slot then.
    scene = ready(turn_detection={**SERVER_VAD, "interrupt_response": False})
    scene.server(speech_started("u1"), turn("u1"), speech_started("u2"), turn("u2", previous="u1"))
    scene.respond()
    scene.server(active_response(), created("resp_x"))
    ended = scene.server(done("resp_x"))
    shown = scene.server(created("r2", request=scene.request), message("m2", 100, r="r2"), done("r2", request=scene.request))
    assert (kinds(ended), kinds(shown), outcomes(shown)) == ([], [], [(1, "done")])


def test_where_speech_silences_answers_none_that_came_since_refused_what_was_owed_before() -> None:  # B13, F044, F046
    # The person spoke on before the answer to u1 had begun, which was dropped: what held the slot came at the end of u2.
    scene = ready()
    scene.server(speech_started("u1"), turn("u1"))
    scene.at(0.1).server(speech_started("u2"))
    scene.at(0.5).server(turn("u2", previous="u1"))
    scene.respond()
    scene.server(active_response(), created("resp_x"))
    assert acts(scene.server(done("resp_x"))) == [create(scene.request)]


def test_an_interruption_by_the_program_ends_what_is_owed_to_a_turn_the_server_could_not_answer() -> None:  # C12, F044
    scene = ready()
    scene.respond()
    scene.server(speech_started("u1"), turn("u1"), active_response())
    scene.interrupt()
    assert "response.create" not in kinds(scene.server(created("r1", request=scene.request), cancelled("r1")))


def test_where_it_is_ours_the_turn_that_the_server_could_not_answer_is_answered_by_us() -> None:  # F044, DESIGN 4: settings
    scene = ready()
    scene.respond()
    scene.server(speech_started("u1"), turn("u1"), active_response())
    late = scene.server(created("r1", request=scene.request), cancelled("r1"))
    assert kinds(late)[-1] == "response.create"


def test_what_the_server_named_holds_the_slot_also_where_our_request_is_given_up_before_it_shows_itself() -> None:
    """B13, C14, F046: it said so six seconds later, and so much longer it is waited for."""
    scene = ready()
    scene.respond()
    scene.at(6.0).server(speech_started("u1"), turn("u1"), active_response())
    assert kinds(scene.at(10.0).tick()) == []
    assert kinds(scene.at(16.0).tick()) == ["response.create"]


def test_an_interruption_by_the_program_ends_it_also_where_ours_was_never_announced() -> None:  # C12, F044; facts 4.10
    scene = ready()
    scene.respond()
    scene.interrupt()
    scene.at(0.5).server(speech_started("u1"), turn("u1"), active_response())
    scene.at(0.6).interrupt()
    text = item_added("m1") + announce("m1") + part_added("m1", kind="text") + text_delta("m1", "Well.")
    late = scene.at(0.7).server(text, done("r1", request=scene.request))
    assert "response.create" not in kinds(late)


def test_where_nothing_shows_itself_the_turn_is_answered_all_the_same() -> None:  # F061, invariant 15
    scene = ready()
    scene.respond()
    scene.server(speech_started("u1"), turn("u1"), active_response())
    assert kinds(scene.at(10.0).tick()) == ["response.create"]


def test_an_answer_of_ours_that_was_perhaps_refused_is_asked_for_again_when_nothing_shows_itself() -> None:  # F061, 15
    scene = ready()
    scene.respond()
    scene.server(speech_started("u1"), turn("u1"), active_response())
    assert kinds(scene.server(created("r1", request=scene.request), cancelled("r1")))[-1] == "response.create"
    assert kinds(scene.server(active_response())) == []  # something holds the slot that nobody is told of
    assert kinds(scene.at(10.0).tick()) == ["response.create"]


def test_a_refused_request_is_asked_for_again_as_soon_as_what_held_the_slot_has_ended() -> None:  # B13, B14, F046, 15
    scene = ready()
    scene.respond()
    first = scene.request
    scene.at(10.0).tick()  # given up
    scene.respond()
    scene.server(active_response())  # without our event_id: what holds the slot may be the second one, or the first
    shown = scene.server(created("r1", request=first), cancelled("r1", by="client_cancelled"))
    assert acts(shown) == [cancel("r1"), create(scene.request)]


def test_a_response_that_nobody_announced_is_never_out_of_band() -> None:  # B12, facts 4.10: only response.created says so
    scene = ready()
    scene.respond(OOB, audible=True)
    scene.server(opened("m1", r="r1"), audio("m1", 100, r="r1"))
    effects = scene.server(created("r2", request=scene.request, in_band=False))
    assert [(e.response_id, e.request, e.out_of_band) for e in told(effects, ResponseStarted)] == [("r2", 1, True)]


def test_one_whose_request_was_only_given_up_is_heard_to_its_end() -> None:  # B14, facts 4.10: nobody interrupted what plays
    scene = ready()
    scene.respond()
    scene.server(opened("m1"), audio("m1", 12_000), closing("m1"))
    gave_up = scene.at(10.0).tick()
    effects = scene.at(11.0).server(done("r1", request=scene.request))
    assert (outcomes(gave_up), [e for e in effects if isinstance(e, Flush)], sent(effects)) == ([(1, "timed_out")], [], [])


@pytest.mark.parametrize("words", ["", "Well, "])
def test_a_message_of_which_no_word_came_before_its_line_stood_still_is_taken_out_before_the_next_answer(words: str) -> None:
    """F022, B07, C16: what the server had said of it by then nobody knows, and sound may have followed the text."""
    scene = ready(turn_detection=SERVER_INTERRUPTS_CLIENT_CREATES)
    scene.server(created("r1"), message("m1", 500), item_added("m2", index=1), announce("m2", previous="m1"))
    scene.server(part_added("m2", index=1, kind="text"), text_delta("m2", words, index=1) if words else [])
    scene.at(0.2).barge_in(200, "u2")
    scene.server(truncated("m1", 200), speech_stopped("u2"), committed("u2"))
    effects = scene.at(10.2).tick() + scene.server([] if words else deleted("m2"))
    gone = scene.server(part_added("m2", index=1, part=1), audio("m2", 100, index=1, part=1), done("r1", status="cancelled"))
    taken_out = [event["item_id"] for event in sent(effects) if event["type"] == "conversation.item.delete"]
    assert (taken_out, kinds(effects)[-1], sounded(effects + gone)) == ([] if words else ["m2"], "response.create", b"")


@pytest.mark.parametrize("ended", [False, True])
def test_a_message_whose_line_stood_still_behind_its_cut_is_truncated_once_more_before_the_next_answer(ended: bool) -> None:
    """C10, C16, F022: the server may have spoken on behind our truncate, and nothing of that arrived; not one that had ended."""
    scene = ready(turn_detection=SERVER_INTERRUPTS_CLIENT_CREATES)
    scene.server(created("r1"), opened("m1"), audio("m1", 500))
    scene.at(0.2).barge_in(200, "u2")
    scene.server(truncated("m1", 200), item_done("m1", status="incomplete") if ended else [])
    scene.server(speech_stopped("u2"), committed("u2"))
    effects = scene.at(10.2).tick()
    assert [event for event in sent(effects) if event["type"] == "conversation.item.truncate"] == (
        [] if ended else [truncate("m1", 200)]
    )
    acknowledged = [] if ended else scene.server(truncated("m1", 200))
    assert ("response.create" in kinds(effects), "response.create" in kinds(acknowledged)) == (ended, not ended)


def test_what_was_asked_for_before_the_cut_of_the_one_that_passed_for_it_is_not_heard_and_not_called_stale() -> None:
    """B14, B15: two were asked for, the first was given up, and comes unannounced in the place of the second."""
    scene = ready(turn_detection=SERVER_INTERRUPTS_CLIENT_CREATES)
    scene.server(speech_started("u1"), speech_stopped("u1"), committed("u1"), user_item("u1"))
    again = sent(scene.at(10.0).tick())[-1]
    scene.at(11.0).server(opened("m1"), audio("m1", 2_000), closing("m1"), done("r1", request=1))
    scene.at(11.5).barge_in(400, "u2")
    number = int(again["response"]["metadata"]["rtcore_request"])
    late = scene.server(created("r2", request=number), opened("m2", r="r2"), audio("m2", 500, r="r2"))
    assert (number, cancel("r2") in sent(late), told(late, ContextStale), sounded(late)) == (2, True, [], b"")


def test_the_turn_that_it_seemed_to_answer_is_answered_then() -> None:  # F061, facts 4.10, invariant 15
    scene = ready()
    scene.respond()
    scene.server(speech_started("u1"), turn("u1"), active_response())
    scene.server(opened("m1"), audio("m1", 100), closing("m1"))
    effects = scene.server(done("r1", request=scene.request))
    effects += scene.flushed(1, 0) + scene.server(deleted("m1"))
    assert kinds(effects)[-1] == "response.create"


def test_an_end_beside_the_conversation_is_none_of_the_answers_that_the_server_owes() -> None:  # C17, F044, F046; facts 4.10
    scene = ready()
    scene.server(speech_started("u1"), turn("u1"))
    scene.respond(OOB)
    beside = scene.request
    scene.respond()
    scene.server(created("r_auto"), speech_started("u2"), turn("u2", previous="u1"))  # another is owed
    scene.server(done("r1", request=beside, in_band=False))
    refused = scene.server(active_response(), cancelled("r_auto"))
    assert (kinds(refused), outcomes(refused)) == ([], [])


def test_one_that_was_accepted_though_it_seemed_refused_is_not_asked_for_again() -> None:  # B13, F046, C15; facts 4.10
    scene = ready()
    scene.respond()
    scene.server(created("r_auto"), active_response())  # without our event_id: it may have been the server's own
    effects = scene.server(done("r2", request=scene.request), done("r_auto"))
    assert (kinds(effects), outcomes(effects)) == ([], [(1, "done")])


def test_of_a_request_that_was_sent_once_more_the_first_refusal_says_nothing() -> None:  # B13, F044; facts 4.10
    scene = ready()
    scene.respond()
    number = scene.request
    scene.server(created("r_auto"), active_response())  # without our event_id
    assert acts(scene.server(done("r_auto"))) == [create(number)]
    # It was never announced, and only its end says whose it is; the server is about to answer the turn meanwhile.
    scene.answering(scene.server(opened("m2", r="r2"), audio("m2", 100, r="r2"), speech_started("u1"), turn("u1")), 0)
    ended = scene.server(done("r2", "cancelled", "turn_detected", request=number), deleted("m2"))
    assert ("response.create" in kinds(ended), outcomes(ended)) == (False, [(number, "cancelled")])


def test_beside_a_running_response_the_server_s_own_answer_was_the_one_refused() -> None:  # F044, F046, invariant 1
    scene = ready()
    scene.server(speech_started("u1"), turn("u1"))  # one answer is owed
    scene.respond()
    scene.server(created("r_auto"), speech_started("u2"), turn("u2", previous="u1"))  # it is here; another is owed
    refused = scene.server(active_response(), cancelled("r_auto"))
    assert (kinds(refused), outcomes(refused)) == ([], [])
    scene.server(active_response())  # none is owed now: this one is ours
    assert outcomes(scene.server(created("r2", request=scene.request), cancelled("r2"))) == [(1, "cancelled")]


@pytest.mark.parametrize(
    "ending", [done("r1", "failed"), done("r1", "incomplete"), cancelled("r1")], ids=["failed", "incomplete", "by turn"]
)
def test_a_refused_cancel_is_laid_to_the_response_that_had_ended_however(ending: Script) -> None:  # C14, F050, F055
    """Two responses are cancelled; the one that ended by itself is the one whose cancel is refused, also without its event_id."""
    scene = talking(opened("m1"), audio("m1", 100))
    scene.server(created("r2"), opened("m2", r="r2"), audio("m2", 100, r="r2"))
    scene.interrupt()
    scene.server(ending)
    effects = scene.server(cancel_not_active())
    assert told(effects, ResponseEnded) == []
    assert [e.response_id for e in told(scene.server(cancelled("r2", by="client_cancelled")), ResponseEnded)] == ["r2"]


# -- refusals that name nothing ---------------------------------------------------------------------------------------------

TROUBLE = error("server_error", "The server had an error while processing your request.")


@pytest.mark.parametrize("code", ["server_error", "rate_limit_exceeded"])
def test_a_server_that_fails_at_the_only_thing_that_waits_refused_that(code: str) -> None:  # F046, F047, invariant 2
    scene = ready()
    scene.respond()
    at_once = scene.server(error(code, "Not now."))
    [failed] = told(scene.at(2.0).tick(), RequestEnded)
    assert (outcomes(at_once), failed.request, failed.outcome) == ([], 1, "failed")
    assert failed.problem is not None
    assert failed.problem.code == code


def test_whose_response_begins_all_the_same_was_not_refused() -> None:  # F046: the error was about something else
    scene = ready()
    scene.respond()
    scene.server(TROUBLE)
    heard = scene.at(1.0).server(created("r1", request=1), message("m1", 100), done("r1"))
    assert (outcomes(heard), len(sounded(heard)), kinds(scene.at(20.0).tick())) == ([(1, "done")], 4800, [])


def test_nor_is_one_that_begins_later_still_cancelled() -> None:  # F046
    scene = ready()
    scene.respond()
    scene.server(TROUBLE)
    scene.at(2.0).tick()
    late = scene.at(3.0).server(created("r1", request=1), message("m1", 100))
    assert (kinds(late), len(sounded(late))) == ([], 4800)


def test_an_answer_that_nobody_waits_for_by_name_is_asked_for_again_then() -> None:  # F046, F047, F061
    scene = ready(turn_detection=CLIENT_VAD)
    scene.server(speech_started(), turn("u1"), TROUBLE)
    assert (kinds(scene.at(2.0).tick()), kinds(scene.at(3.0).tick())) == ([], ["response.create"])


@pytest.mark.parametrize("other", ["response", "update", "turn"])
def test_where_it_may_have_been_about_something_else_nothing_is_laid_to_it(other: str) -> None:  # F046
    scene = ready()
    if other == "turn":
        scene.server(speech_started("u1"), turn("u1"))
        scene.respond()
    elif other == "update":
        scene.respond()
        scene.update({"instructions": "Be brief."})
    else:
        scene.respond()
        scene.respond({"conversation": "none"})
    scene.server(TROUBLE)
    early, late = outcomes(scene.at(9.0).tick()), outcomes(scene.at(10.0).tick())
    assert (1, "failed") not in [*early, *late]
    assert (1, "timed_out") in [*early, *late]
