"""A report per turn: what it took, by the core's own clocks (issue 6, part 9)."""

import pytest
from helpers.scene import Scene, configured, ready, sent, told
from helpers.wire import (
    CLIENT_VAD,
    SERVER_VAD,
    Script,
    announce,
    audio,
    call,
    committed,
    created,
    done,
    message,
    opened,
    session_created,
    session_updated,
    speech_started,
    speech_stopped,
    text_message,
    turn,
    user_item,
)
from test_core_continuity import a_turn, back, lose, steady

from rtcore import Clock, Config, Disconnection, Flush, SessionClosed, ToolEnded, TurnReport, UserSpeechStarted, UserSpeechStopped
from rtcore.config import BargeIn
from rtcore.usage import Usage

FAULT = {"type": "server_error", "code": "server_error", "message": "boom"}
USAGE = {
    "total_tokens": 40,
    "input_tokens": 10,
    "output_tokens": 30,
    "output_token_details": {"text_tokens": 5, "audio_tokens": 25},
}


def used(script: Script) -> Script:
    """The same ``response.done``, with what was used."""
    return [{**event, "response": {**event["response"], "usage": USAGE}} for event in script]


def reports(scene: Scene) -> list[TurnReport]:
    return told(scene.log, TurnReport)


def only(scene: Scene) -> TurnReport:
    [report] = reports(scene)
    return report


def asked(item: str = "u1", *, at: float = 1.0, scene: Scene | None = None, **options: object) -> Scene:
    """The user has spoken until ``at``, and the server has committed the turn."""
    scene = scene or ready(**options)  # type: ignore[arg-type]
    scene.server(speech_started(item))
    scene.at(at).server(speech_stopped(item), turn(item))
    return scene


def answered(*script: Script, **options: object) -> Scene:
    """.. and was answered by r1: its first delta 300 ms later, its first sample heard 100 ms after that."""
    scene = asked(**options)  # type: ignore[arg-type]
    scene.at(1.2).server(created("r1"))
    scene.at(1.3).server(*(script or (message("m1", 1000),)))
    scene.at(1.5).played(1, 100)
    return scene


def test_a_turn_is_reported_once_when_its_answer_was_heard() -> None:
    scene = answered()
    scene.at(1.9).server(used(done("r1")))
    assert reports(scene) == []
    scene.at(2.4).played(1, 1000)
    assert only(scene) == TurnReport(
        turn=1,
        cause="speech",
        outcome="answered",
        item_id="u1",
        response_ids=("r1",),
        responses=1,
        began_at=1.0,
        ended_at=2.4,
        to_first_delta_ms=300,
        to_first_heard_ms=400,
        usage=Usage(responses=1, input_text=10, output_text=5, output_audio=25),
    )
    scene.at(9.0).close()
    assert len(reports(scene)) == 1


def test_the_report_follows_the_news_of_the_input_that_ends_the_turn() -> None:  # DESIGN 2: the order is part of the contract
    scene = answered()
    scene.server(done("r1"))
    effects = scene.at(2.4).played(1, 1000)
    assert [type(effect).__name__ for effect in effects] == ["Drain", "MessageEnded", "SpeakingStopped", "TurnReport"][
        -len(effects) :
    ]
    assert isinstance(effects[-1], TurnReport)


def test_speech_says_when_it_was_noticed() -> None:
    scene = ready(turn_detection=None)
    scene.at(0.5).server(speech_started("u1"))
    scene.at(0.75).server(speech_stopped("u1"))
    scene.at(0.8).local_speech()
    started, stopped = told(scene.log, UserSpeechStarted), told(scene.log, UserSpeechStopped)
    assert ([each.at for each in started], [each.at for each in stopped]) == ([0.5, 0.8], [0.75])


def test_what_a_clock_sounds_later_than_it_tells_is_in_the_figures() -> None:  # the declared latency
    scene = answered(clock=Clock(latency_ms=80))
    scene.server(done("r1"))
    scene.at(2.4).played(1, 1000)
    report = only(scene)
    assert (report.to_first_delta_ms, report.to_first_heard_ms, report.clock_latency_ms) == (300, 480, 80)


def test_a_barge_in_is_measured_to_the_answer_of_the_clock() -> None:
    scene = answered()
    [flush] = [e for e in scene.at(1.8).server(speech_started("u2")) if isinstance(e, Flush)]
    scene.at(1.84).flushed(flush.generation, 400)
    assert reports(scene) == []  # the response has not ended
    scene.at(1.9).server(done("r1", "cancelled", reason="turn_detected"))
    report = only(scene)
    assert (report.outcome, report.to_silence_ms, report.estimated) == ("interrupted", 40, False)


def interruptible(config: Config, clock: Clock | None = None) -> Scene:
    """A session that decides by itself what interrupts; 4 s of an answer, of which 1 s was heard at 1.0 s."""
    scene = ready(config, clock=clock, turn_detection=CLIENT_VAD)
    scene.server(a_turn("u1", "Hi."), created("r1", request=1), message("m1", 4000, previous="u1"), done("r1", request=1))
    scene.played(1, 20)
    scene.at(1.0).played(1, 1000)
    return scene


@pytest.mark.parametrize("guard_ms", [0, 1500])
def test_a_voice_that_was_put_to_the_test_first_is_measured_from_its_beginning(guard_ms: int) -> None:  # F118
    scene = interruptible(configured(barge_in=BargeIn(echo_guard_ms=guard_ms)))
    effects = scene.server(speech_started("u2"))
    if guard_ms:
        assert not any(isinstance(effect, Flush) for effect in effects)
        effects = scene.at(1.5).played(1, 1500)
    assert any(isinstance(effect, Flush) for effect in effects)
    scene.at(scene.now + 0.02).flushed(1, round(scene.now * 1000))
    scene.at(2.0).server(turn("u2", previous="m1"))
    assert (only(scene).to_silence_ms, only(scene).estimated) == (520 if guard_ms else 20, False)


@pytest.mark.parametrize("pauses", [True, False])
def test_a_pause_before_the_cut_is_the_silence(pauses: bool) -> None:  # B18
    scene = interruptible(configured(interruption="pause"), Clock(pause=pauses))
    scene.server(speech_started("u2"))
    if not pauses:
        scene.at(1.04).flushed(1, 1040)
    effects = scene.at(2.4).server(turn("u2", previous="m1"))  # long enough: it is one
    if pauses:
        assert any(isinstance(effect, Flush) for effect in effects)
        scene.at(2.42).flushed(1, 1040)
    # A clock that can pause does so without an answer.
    assert (only(scene).to_silence_ms, only(scene).estimated) == ((0, True) if pauses else (40, False))


def test_what_was_heard_to_its_end_was_not_silenced_by_a_cut_of_what_came_behind_it() -> None:  # B20, C03
    scene = answered()
    scene.at(1.6).server(done("r1"))
    ours = sent(scene.at(1.7).say("And?", interrupt=False))[-1]["response"]["metadata"]["rtcore_request"]
    scene.at(1.8).server(created("r2", request=int(ours)), message("m2", 1000, r="r2"))
    scene.at(2.5).server(speech_started("u3"), done("r2", "cancelled", reason="turn_detected"))
    scene.at(2.54).flushed(1, 1200)  # all of the first, and 200 ms of the second
    assert [(each.outcome, each.to_silence_ms) for each in reports(scene)] == [("answered", None), ("interrupted", 40)]


def test_an_underrun_is_of_what_is_heard_and_not_of_what_was_cut_before() -> None:  # F147
    scene = answered()
    scene.at(1.8).server(speech_started("u2"), done("r1", "cancelled", reason="turn_detected"))
    scene.at(1.9).server(speech_stopped("u2"), turn("u2"), created("r2"), opened("m2", r="r2"))
    scene.at(1.95).underrun(2)
    scene.at(2.0).flushed(1, 400)
    assert only(scene).underruns == 0


def test_a_barge_in_that_the_clock_did_not_answer_is_an_estimate() -> None:  # B29
    scene = answered()
    scene.at(1.8).server(speech_started("u2"), done("r1", "cancelled", reason="turn_detected"))
    scene.at(2.3).tick()
    report = only(scene)
    assert (report.outcome, report.to_silence_ms, report.estimated) == ("interrupted", 500, True)


def test_a_cut_of_what_was_heard_is_no_interruption() -> None:  # C07
    scene = answered()
    scene.server(done("r1"))
    scene.at(2.4).played(1, 1000)
    scene.at(2.5).server(speech_started("u2"))
    assert (only(scene).outcome, only(scene).to_silence_ms) == ("answered", None)


def test_tools_belong_to_the_turn_and_their_time_counts_once() -> None:  # B28: two at once are no twice as long
    scene = asked()
    scene.at(1.2).server(created("r1"), call("c1"), call("c2", index=1, previous="f_c1"), done("r1"))
    scene.at(2.2).tool_result("c1", "sunny")
    ours = int(sent(scene.at(3.2).tool_result("c2", "windy"))[-1]["response"]["metadata"]["rtcore_request"])
    assert [(e.call_id, e.outcome, e.at, e.took_ms) for e in told(scene.log, ToolEnded)] == [
        ("c1", "answered", 2.2, 1000),
        ("c2", "answered", 3.2, 2000),
    ]
    assert reports(scene) == []
    scene.at(3.4).server(created("r2", request=ours), message("m2", 100, r="r2"), done("r2"))
    scene.at(3.6).played(1, 100)
    report = only(scene)
    assert (report.response_ids, report.responses, report.tool_calls, report.tool_ms) == (("r1", "r2"), 2, 2, 2000)
    assert (report.to_first_delta_ms, report.to_first_heard_ms) == (2400, 2500)


def test_a_turn_without_an_answer_is_told_when_the_next_begins() -> None:
    scene = asked()
    asked("u2", at=9.0, scene=scene)
    report = only(scene)
    assert (report.turn, report.outcome, report.responses, report.to_first_delta_ms) == (1, "unanswered", 0, None)


def test_what_was_interrupted_before_it_was_answered_holds_up_no_report() -> None:  # B15: its response is nobody's
    scene = ready()
    scene.respond()
    scene.interrupt()
    scene = answered(scene=scene)
    scene.at(1.9).server(done("r1"))
    scene.at(2.4).played(1, 1000)
    assert [(report.cause, report.outcome) for report in reports(scene)][-1] == ("speech", "answered")


def test_words_that_were_not_committed_belong_to_those_that_follow() -> None:
    scene = ready()
    scene.server(speech_started("u1"))
    scene.at(1.0).server(speech_stopped("u1"))
    scene.at(1.2).server(speech_started("u1"))
    scene.at(2.0).server(speech_stopped("u1"), turn("u1"))
    scene.at(2.3).server(created("r1"), message("m1", 100), done("r1"))
    scene.at(2.4).played(1, 100)
    assert (only(scene).began_at, only(scene).to_first_delta_ms) == (2.0, 300)


def test_a_local_detector_may_hear_the_end_first() -> None:
    scene = ready()
    scene.server(speech_started("u1"))
    scene.local_speech()
    scene.at(0.7)
    scene.log += scene.session.speech("stopped", now=0.7)
    scene.at(1.0).server(speech_stopped("u1"), turn("u1"))
    scene.at(1.2).server(created("r1"), text_message("m1", "Yes."), done("r1"))
    assert (only(scene).began_at, only(scene).to_first_delta_ms) == (0.7, 500)


def test_an_answer_in_writing_has_a_first_delta_and_is_not_heard() -> None:
    scene = asked()
    scene.at(1.5).server(created("r1"), text_message("m1", "Yes."), done("r1"))
    report = only(scene)
    assert (report.outcome, report.to_first_delta_ms, report.to_first_heard_ms) == ("answered", 500, None)


def test_push_to_talk_begins_at_the_release() -> None:  # commit(), respond(): one turn
    scene = ready(turn_detection=None)
    scene.append(bytes(48 * 200))
    scene.at(1.0).commit()
    scene.respond()
    scene.at(1.1).server(committed("u1"), user_item("u1"))
    scene.at(1.4).server(created("r1", request=scene.request), message("m1", 100), done("r1"))
    scene.at(1.5).played(1, 100)
    report = only(scene)
    assert (report.cause, report.item_id, report.began_at, report.to_first_delta_ms) == ("speech", "u1", 1.0, 400)


def test_a_turn_begins_at_no_end_of_speech_of_an_earlier_one() -> None:  # C08, F041: a detector of one's own, and then none
    scene = ready(turn_detection=None)
    scene.local_speech()
    scene.at(2.0).log += scene.session.speech("stopped", now=2.0)
    scene.append(bytes(48 * 200))
    scene.at(2.1).commit()
    scene.at(2.2).server(committed("u1"), user_item("u1"))
    scene.append(bytes(48 * 200))
    scene.at(60.0).commit()
    scene.at(60.1).server(committed("u2", previous="u1"), user_item("u2", previous="u1"))
    scene.at(60.2).server(created("r2"), text_message("m2", "Yes.", r="r2"), done("r2"))
    assert [(each.item_id, each.began_at, each.to_first_delta_ms) for each in reports(scene)] == [
        ("u1", 2.0, None),
        ("u2", 60.0, 200),
    ]


def test_a_turn_of_ones_own_recogniser_begins_at_no_release_of_the_button() -> None:  # C09, F041
    scene = ready(turn_detection=None)
    scene.at(1.0)._took(scene.session.begin_turn(now=1.0))
    scene.append(bytes(48 * 200))
    scene.at(2.0)._issued(scene.session.end_turn(respond=False, now=2.0))
    scene.at(2.1).server(committed("u1"), user_item("u1"))
    scene.at(60.0)._issued(scene.session.user_turn("And now?", now=60.0))
    item = sent(scene.log)[-2]["item"]
    scene.at(60.1).server(announce(item["id"], item, previous="u1"))
    scene.at(60.2).server(created("r2", request=scene.request), text_message("m2", "Yes.", r="r2"), done("r2"))
    assert [(each.began_at, each.to_first_delta_ms) for each in reports(scene)] == [(2.0, None), (60.0, 200)]


def test_a_button_that_is_pressed_again_at_once_ends_each_turn_itself() -> None:  # C09: the first commit's answer is on its way
    scene = ready(turn_detection=None)
    for end in (1.0, 1.4):
        scene.at(end - 0.3)._took(scene.session.begin_turn(now=scene.now))
        scene.append(bytes(48 * 200))
        scene.at(end)._issued(scene.session.end_turn(respond=False, now=end))
    scene.at(1.5).server(committed("u1"), user_item("u1"))
    scene.at(1.6).server(committed("u2", previous="u1"), user_item("u2", previous="u1"))
    scene.respond()
    scene.at(1.8).server(created("r1", request=scene.request), text_message("m1", "Yes."), done("r1", request=scene.request))
    assert [(each.item_id, each.began_at, each.to_first_delta_ms) for each in reports(scene)][-1] == ("u2", 1.4, 400)


def test_a_turn_of_silence_begins_when_the_time_was_up() -> None:  # F130: the server commits the silence first
    scene = asked(turn_detection={**SERVER_VAD, "idle_timeout_ms": 10_000})
    scene.at(1.2).server(created("r1"), text_message("m1", "Yes."), done("r1"))
    over = {
        "type": "input_audio_buffer.timeout_triggered",
        "event_id": "e",
        "audio_start_ms": 0,
        "audio_end_ms": 1,
        "item_id": "u2",
    }
    scene.at(12.0).server(committed("u2"), [over], user_item("u2"))
    scene.at(12.5).server(created("r2"), text_message("m2", "Still there?", r="r2"), done("r2"))
    assert [(each.cause, each.began_at, each.to_first_delta_ms) for each in reports(scene)] == [
        ("speech", 1.0, 200),
        ("idle", 12.0, 500),
    ]


def test_typed_text_and_a_greeting_are_turns() -> None:
    scene = ready()
    scene.at(0.5).respond({"instructions": "Greet."})
    scene.at(0.8).server(created("r1", request=scene.request), message("m1", 100), done("r1"))
    scene.at(0.9).played(1, 100)
    scene.at(2.0).say("hello")
    scene.at(2.5).server(created("r2", request=scene.request), message("m2", 100, r="r2"), done("r2"))
    scene.at(2.7).played(1, 200)
    assert [(each.cause, each.began_at, each.to_first_delta_ms) for each in reports(scene)] == [
        ("program", 0.5, 300),
        ("text", 2.0, 500),
    ]


def test_a_turn_that_overlaps_the_next_has_what_is_its_own() -> None:  # F057: events of one response never change another
    scene = answered()
    scene.at(1.6).say("And then?", interrupt=False)
    scene.at(1.9).server(used(done("r1")))
    scene.at(2.0).server(created("r2", request=scene.request), message("m2", 100, r="r2"), done("r2"))
    scene.at(2.6).played(1, 1000)
    scene.at(2.7).played(1, 1100)
    first, second = reports(scene)
    assert (first.turn, first.responses, first.usage.output_audio) == (1, 1, 25)
    assert (second.turn, second.responses, second.usage.output_audio, second.began_at) == (2, 1, 0, 1.6)


def test_the_answer_to_what_was_typed_first_belongs_to_it() -> None:  # two in the queue: each response to its request
    scene = ready()
    scene.at(1.0).say("One.")
    first = scene.request
    scene.at(1.1).say("Two.", interrupt=False)
    scene.at(1.5).server(created("r1", request=first), text_message("m1", "Yes."), done("r1"))
    scene.at(2.0).server(created("r2", request=scene.request), text_message("m2", "Yes.", r="r2"), done("r2"))
    assert [(each.turn, each.to_first_delta_ms) for each in reports(scene)] == [(1, 500), (2, 900)]


@pytest.mark.parametrize("first", [True, False])
def test_what_has_an_input_of_its_own_is_a_turn_of_its_own(first: bool) -> None:  # C15; facts 5.1: it answers none
    scene = asked(turn_detection=CLIENT_VAD)
    answer = [*created("r1"), *message("m1", 100), *done("r1")]
    if not first:
        scene.server(answer)
    scene.at(1.1).respond({"input": [], "instructions": "Say exactly: this call is recorded."})
    scene.server(created("r2", request=scene.request), message("m2", 200, r="r2"), done("r2"))
    if first:
        scene.server(answer)
    scene.at(3.0).played(1, 300)
    scene.close()
    assert {report.cause: report.response_ids for report in reports(scene)} == {"speech": ("r1",), "program": ("r2",)}


@pytest.mark.parametrize(("status", "reason"), [("cancelled", "turn_detected"), ("incomplete", "content_filter")])
def test_an_answer_that_was_cut_off_before_a_word_of_it_is_no_answer(status: str, reason: str) -> None:  # F143, B15
    scene = asked()
    scene.at(1.2).server(created("r1"), done("r1", status, reason))
    assert (only(scene).outcome, only(scene).to_first_delta_ms) == ("interrupted", None)


def test_an_answer_that_the_program_interrupts_before_a_word_of_it_is_no_answer() -> None:  # B15
    scene = asked()
    scene.at(1.2).server(created("r1"))
    scene.at(1.3).interrupt()
    scene.server(done("r1", "cancelled", "client_cancelled"))
    assert only(scene).outcome == "interrupted"


def test_what_was_said_and_called_before_the_rest_was_cut_off_is_an_answer() -> None:  # F143: all that there was was heard
    scene = answered(message("m1", 500))
    scene.at(1.6).server(done("r1", "incomplete", "content_filter"))
    scene.at(2.0).played(1, 500)
    assert only(scene).outcome == "answered"


def test_an_answer_that_was_cut_off_and_given_again_was_given() -> None:  # C16: replaced before a word of it
    scene = asked()
    scene.at(1.2).server(created("r1"))
    scene.respond()
    scene.at(1.3).server(done("r1", "cancelled", "client_cancelled"))
    scene.at(1.5).server(created("r2", request=scene.request), text_message("m2", "Yes.", r="r2"), done("r2"))
    assert (only(scene).response_ids, only(scene).outcome) == (("r1", "r2"), "answered")


def test_a_failed_response_makes_a_failed_turn() -> None:  # S06
    scene = asked()
    scene.at(1.2).server(created("r1"), done("r1", "failed"))
    assert only(scene).outcome == "failed"


def test_underruns_and_stale_context_are_counted() -> None:  # F147, C16
    scene = answered(opened("m1"), audio("m1", 200))
    scene.at(1.6).underrun(1)
    scene.at(1.7).underrun(1)
    scene.server(done("r1"))
    scene.at(2.0).played(1, 200)
    assert only(scene).underruns == 2


def test_a_stale_response_is_counted() -> None:  # C16
    scene = answered()
    scene.at(1.8).barge_in(400, "u2")
    scene.at(2.2).server(done("r1", "cancelled", reason="turn_detected"), speech_stopped("u2"), turn("u2"), created("r2"))
    scene.server(message("m2", 100, r="r2"), done("r2"))
    scene.at(2.4).played(2, 100)
    assert [each.stale for each in reports(scene)] == [0, 1]


def test_a_turn_that_goes_on_over_another_line_says_so() -> None:  # B24, C27
    scene = ready(steady())
    scene.at(1.0).say("hello")
    lose(scene)
    scene.at(1.5)
    back(scene)
    ours = [event for event in sent(scene.log) if event["type"] == "response.create"][-1]["response"]["metadata"]
    scene.at(2.0).server(created("r1", request=int(ours["rtcore_request"])), text_message("m1", "Yes."), done("r1"), connection=2)
    assert (only(scene).renewals, only(scene).to_first_delta_ms) == (1, 1000)


def cut_by_the_line(**options: object) -> Scene:
    """The answer was heard for 200 ms; then the line was lost, and all that had come of it was heard."""
    scene = answered(opened("m1"), audio("m1", 200), scene=ready(steady(first_ms=1000, **options)))
    lose(scene)
    scene.at(1.6).played(1, 200)
    return scene


def test_an_answer_that_the_line_cut_off_is_told_with_the_one_that_takes_its_place() -> None:  # B24, F090
    scene = cut_by_the_line()
    assert reports(scene) == []
    back(scene)
    ours = [event for event in sent(scene.log) if event["type"] == "response.create"][-1]["response"]["metadata"]
    scene.at(3.0).server(created("r2", request=int(ours["rtcore_request"])), text_message("m2", "Yes.", r="r2"), connection=2)
    scene.server(done("r2"), connection=2)
    report = only(scene)
    assert (report.response_ids, report.outcome, report.renewals) == (("r1", "r2"), "interrupted", 1)


def test_an_answer_that_the_line_cut_off_for_good_is_told() -> None:  # B25: the budget is spent
    scene = cut_by_the_line(attempts=1)
    due = scene.session.deadline
    assert due is not None
    scene.at(due.at).tick()
    assert reports(scene) == []
    lose(scene, connection=2)
    assert only(scene).outcome == "failed"
    assert isinstance(scene.log[-1], SessionClosed)


def test_an_answer_that_nobody_wants_any_more_is_waited_for_no_longer() -> None:  # C12: who interrupts says what comes next
    scene = cut_by_the_line()
    scene.at(1.7).interrupt()
    back(scene)
    assert [event for event in sent(scene.log) if event["type"] == "response.create"] == []
    assert only(scene).outcome == "failed"


def test_an_answer_that_a_poisoned_session_failed_to_give_is_told_with_that_of_the_next() -> None:  # F092
    scene = asked(scene=ready(steady(poisoned_after=1)))
    scene.at(1.2).server(created("r1"), done("r1", "failed", failure=FAULT))
    assert reports(scene) == []
    scene.at(1.3).connected(2)
    scene.server(session_created(), session_updated(), connection=2)
    ours = [event for event in sent(scene.log) if event["type"] == "response.create"][-1]["response"]["metadata"]
    scene.at(1.5).server(created("r2", request=int(ours["rtcore_request"])), text_message("m2", "Yes.", r="r2"), connection=2)
    scene.server(done("r2"), connection=2)
    report = only(scene)
    assert (report.response_ids, report.outcome, report.renewals) == (("r1", "r2"), "answered", 1)


def test_an_answer_of_a_poisoned_session_that_cannot_be_changed_is_told() -> None:  # F092, F096: nothing comes of the second line
    scene = asked(scene=ready(steady(poisoned_after=1)))
    scene.at(1.2).server(created("r1"), done("r1", "failed", failure=FAULT))
    lose(scene, Disconnection(http_status=401), connection=2)
    assert (only(scene).outcome, told(scene.log, SessionClosed)) == ("failed", [])


def test_the_end_of_the_session_tells_what_is_open_before_it_closes() -> None:  # F101: SessionClosed is the last
    scene = answered()
    effects = scene.at(1.8).close()
    assert [type(effect) for effect in effects[-2:]] == [TurnReport, SessionClosed]
    assert only(scene).outcome == "interrupted"


def test_memory_stays_bounded_where_nothing_is_ever_answered() -> None:  # invariant 13
    scene = ready()
    for number in range(50):
        scene.at(number + 1.0).say("hello", interrupt=False)
    inside = scene.session._core.reports
    assert len(inside._turns) <= 8
    assert sorted(each.turn for each in reports(scene)) == list(range(1, len(reports(scene)) + 1))
    assert len(inside._asked) <= 8


def test_a_delta_of_sound_costs_the_report_nothing(monkeypatch: pytest.MonkeyPatch) -> None:  # O(1): nothing in the hot path
    scene = answered(opened("m1"), audio("m1", 100))

    def fails(*_: object) -> None:
        raise AssertionError("an audio delta reached the report")

    monkeypatch.setattr(scene.session._core.reports, "read", fails)
    monkeypatch.setattr(scene.session._core.reports, "first_audio", fails)
    scene.server(audio("m1", 100), audio("m1", 100))
