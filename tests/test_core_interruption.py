"""Barge-in: what is silenced, what the server is told, and what the program hears, to the sample (DESIGN section 3)."""

from collections.abc import Callable

import pytest
from helpers.scene import (
    Scene,
    acts,
    cancel,
    configured,
    delete,
    ended,
    interrupted,
    kinds,
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
    Event,
    Script,
    announce,
    audio,
    audio_done,
    call,
    call_closed,
    call_opened,
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
    session_updated,
    speech_started,
    speech_stopped,
    text_delta,
    text_message,
    transcript,
    transcript_done,
    truncated,
    turn,
)
from msgspec import structs

from rtcore import (
    Cause,
    ClockFault,
    Effect,
    Flush,
    Interrupted,
    MessageEnded,
    Send,
    ServerError,
    ToolCalled,
    UserSpeechStarted,
    Verdict,
)

FOUR_WORDS = "aaaa bbbb cccc dddd"


# -- one message -------------------------------------------------------------------------------------------------------


def test_speech_silences_at_once_and_the_clock_s_answer_settles_it() -> None:  # B01, C01, F012, F019, F041
    scene = talking(opened(), audio("m1", 2000), heard_ms=480, at=0.5)
    assert scene.server(speech_started("u1")) == [Flush(1), UserSpeechStarted("u1", audio_start_ms=100, at=0.5)]
    assert acts(scene.flushed(1, 500)) == [truncate("m1", 500), ended("m1", "partial", 500), interrupted("m1")]


def test_an_interruption_is_told_to_the_server_exactly_once() -> None:  # B01, C11
    scene = talking(opened(), audio("m1", 2000), heard_ms=480, at=0.5)
    scene.barge_in(500)
    later = scene.played(1, 700) + scene.flushed(1, 900) + scene.server(truncated("m1", 500)) + scene.at(0.6).barge_in(0, "u2")
    assert acts(later) == []


def test_speech_between_a_flush_and_its_answer_adds_nothing() -> None:  # C11
    scene = talking(opened(), audio("m1", 2000), heard_ms=480, at=0.5)
    scene.server(speech_started("u1"))
    assert acts(scene.at(0.6).server(speech_started("u2"))) == []


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        (0, [delete("m1"), ended("m1", "skipped", 0), interrupted(skipped=["m1"])]),
        (23, [delete("m1"), ended("m1", "skipped", 0), interrupted(skipped=["m1"])]),
        (24, [truncate("m1", 1), ended("m1", "partial", 1), interrupted("m1")]),
        (12_023, [truncate("m1", 500), ended("m1", "partial", 500), interrupted("m1")]),
        (47_975, [truncate("m1", 1998), ended("m1", "partial", 1998), interrupted("m1")]),
        (48_000, [ended("m1", "full", 2000)]),
        (50_400, [ended("m1", "full", 2000)]),
    ],
)
def test_the_verdict_of_a_complete_message_by_heard_samples(heard: int, expected: list[object]) -> None:  # B02, B09, C05, C06
    scene = spoken(message("m1", 2000), at=1.0)
    scene.server(speech_started())
    assert acts(scene.flushed_samples(1, heard)) == expected


def test_a_rounding_of_one_sample_is_not_an_interruption() -> None:  # B02: 1199.96 of 1200 ms
    scene = spoken(message("m1", 1200), at=1.2)
    scene.server(speech_started())
    assert acts(scene.flushed_samples(1, 28_799)) == [ended("m1", "full", 1199)]


def test_an_over_report_of_a_complete_message_is_full_and_told_as_a_fault_of_the_clock() -> None:  # B02, F002
    scene = spoken(message("m1", 2000), at=2.1)
    effects = scene.played(1, 2100)
    assert (acts(effects), len(told(effects, ClockFault))) == ([ended("m1", "full", 2000)], 1)


def test_an_over_report_of_an_open_message_is_clamped_to_what_was_received() -> None:  # C08, F004, F005, F011
    data = pcm("m1", 1001)[: 24_012 * 2]
    scene = talking(opened(), audio("m1", raw=data), at=1.01)
    scene.played(1, 1010)
    assert acts(scene.barge_in(1010)) == [truncate("m1", 1000), ended("m1", "partial", 1000), interrupted("m1")]


def test_a_part_that_was_still_open_is_cut_even_where_all_received_was_heard() -> None:  # DESIGN 3, verdicts: partial
    scene = talking(opened(), audio("m1", 1000), heard_ms=1000, at=1.0)
    assert acts(scene.barge_in(1000)) == [truncate("m1", 1000), ended("m1", "partial", 1000), interrupted("m1")]


def test_positions_are_whole_numbers_on_the_wire() -> None:  # F011
    scene = talking(opened(), audio("m1", 2000), at=0.5)
    scene.server(speech_started())
    [event] = sent(scene.flushed_samples(1, 12_001))
    assert type(event["audio_end_ms"]) is int


def test_zero_is_a_position() -> None:  # F010
    scene = talking(opened(), audio("m1", 200))
    assert acts(scene.barge_in(0)) == [Flush(1), ended("m1", "skipped", 0), interrupted(skipped=["m1"])]


def test_time_spent_in_silence_after_the_end_is_nobody_s_audio() -> None:  # C07, F002, F015
    scene = spoken(message("m1", 13_600), heard_ms=13_600, at=13.6)
    assert scene.at(41.6).server(speech_started("u1")) == [UserSpeechStarted("u1", audio_start_ms=100, at=41.6)]


def test_a_last_sample_that_a_clock_rounds_away_leaves_nothing_to_interrupt() -> None:  # C07, B02, F002
    scene = spoken(message("m1", 13_600), at=13.6)
    heard = scene.session.played(1, 13_600 * 24 - 1, now=13.6)
    assert ended("m1", "full", 13_599) in acts(heard)
    assert acts(scene.at(13.7).server(speech_started("u1"))) == []


def test_the_end_of_playout_and_speech_at_one_instant_is_a_full_message() -> None:  # B20
    scene = spoken(message("m1", 2000), at=2.0)
    assert acts(scene.played(1, 2000) + scene.barge_in(2000)) == [ended("m1", "full", 2000)]


def test_speech_and_then_the_last_sample_at_one_instant_is_a_full_message() -> None:  # B20
    scene = spoken(message("m1", 2000), heard_ms=1980, at=2.0)
    assert acts(scene.barge_in(2000)) == [Flush(1), ended("m1", "full", 2000)]


def test_all_audio_received_and_three_seconds_heard() -> None:  # C06, B09, F029
    scene = spoken(message("m1", 10_000), heard_ms=3000, at=3.0)
    assert acts(scene.barge_in(3000)) == [Flush(1), truncate("m1", 3000), ended("m1", "partial", 3000), interrupted("m1")]


# -- several messages --------------------------------------------------------------------------------------------------


def test_the_second_message_is_deleted_where_the_first_was_being_heard() -> None:  # B04, F024, F025, F026
    scene = spoken(message("m1", 3000), message("m2", 3000, index=1, previous="m1"), heard_ms=1000, at=1.0)
    assert acts(scene.barge_in(1000)) == [
        Flush(1),
        truncate("m1", 1000),
        delete("m2"),
        ended("m1", "partial", 1000),
        ended("m2", "skipped", 0),
        interrupted("m1", skipped=["m2"]),
    ]


def test_history_after_the_server_forgot_the_unheard_message() -> None:  # B04, S04
    scene = spoken(message("m1", 3000), message("m2", 3000, index=1, previous="m1"), heard_ms=1000, at=1.0)
    scene.barge_in(1000)
    scene.server(truncated("m1", 1000), deleted("m2"))
    assert [(item.id, item.verdict) for item in scene.session.history] == [("m1", Verdict.PARTIAL)]


def test_five_of_twenty_seconds_heard_and_the_second_message_not_at_all() -> None:  # C02
    scene = spoken(message("a", 20_000), message("b", 5000, index=1, previous="a"), heard_ms=5000, at=5.0)
    effects = scene.barge_in(5000)
    assert (sent(effects), told(effects, Interrupted)) == (
        [truncate("a", 5000), delete("b")],
        [Interrupted("server", ("a",), ("b",))],
    )


def test_a_position_is_local_to_its_message() -> None:  # B06, C03
    scene = spoken(message("a", 2000), message("b", 3000, index=1, previous="a"), heard_ms=2700, at=2.7)
    assert acts(scene.barge_in(2700)) == [Flush(1), truncate("b", 700), ended("b", "partial", 700), interrupted("b")]


def test_an_interruption_between_messages_leaves_the_first_alone() -> None:  # B05
    scene = spoken(message("m1", 2000), message("m2", 3000, index=1, previous="m1"), heard_ms=2000, at=2.0)
    assert acts(scene.barge_in(2000)) == [Flush(1), delete("m2"), ended("m2", "skipped", 0), interrupted(skipped=["m2"])]


def test_an_interruption_between_messages_before_the_second_has_a_sample() -> None:  # B05
    scene = talking(message("m1", 2000), opened("m2", index=1, previous="m1"), heard_ms=2000, at=2.0)
    assert acts(scene.barge_in(2000) + scene.server(cancelled())) == [
        ended("m2", "skipped", 0),
        interrupted(skipped=["m2"]),
        delete("m2"),
    ]


def test_barge_in_in_message_two_of_three() -> None:  # S04
    three = message("m1", 1000) + message("m2", 1000, index=1, previous="m1") + message("m3", 1000, index=2, previous="m2")
    scene = spoken(three, at=1.4)
    assert acts(scene.barge_in(1400)) == [
        Flush(1),
        truncate("m2", 400),
        delete("m3"),
        ended("m1", "full", 1000),
        ended("m2", "partial", 400),
        ended("m3", "skipped", 0),
        interrupted("m2", skipped=["m3"]),
    ]


def test_the_audible_message_is_found_in_the_playout_not_in_the_order_of_arrival() -> None:  # F024, F025, F163
    scene = talking(message("a", 4000), opened("b", index=1, previous="a"), audio("b", 4000, index=1), heard_ms=900, at=0.9)
    assert acts(scene.barge_in(900)) == [
        Flush(1),
        truncate("a", 900),
        ended("a", "partial", 900),
        ended("b", "skipped", 0),
        interrupted("a", skipped=["b"]),
    ]


# -- before the first sample -------------------------------------------------------------------------------------------


BEFORE_THE_FIRST_SAMPLE = [
    pytest.param(item_added(), id="declared"),
    pytest.param(opened(), id="part announced"),
    pytest.param(opened() + transcript("m1", "Once"), id="transcript begun"),
    pytest.param(opened() + audio("m1", 200), id="audio received, none heard"),
]


@pytest.mark.parametrize("begun", BEFORE_THE_FIRST_SAMPLE)
def test_an_unheard_message_is_deleted_after_its_response_and_never_truncated(begun: Script) -> None:  # B03, C04, C05, S03, F001
    scene = talking(begun, at=0.1)
    effects = [effect for effect in scene.barge_in(0) if effect != Flush(1)]
    assert (acts(effects), acts(scene.server(cancelled()))) == (
        [ended("m1", "skipped", 0), interrupted(skipped=["m1"])],
        [delete("m1")],
    )


@pytest.mark.parametrize("begun", BEFORE_THE_FIRST_SAMPLE)
def test_the_client_cancels_once_where_the_server_does_not(begun: Script) -> None:  # B03, B07, C04
    scene = talking(begun, at=0.1, turn_detection=CLIENT_VAD)
    assert sent(scene.barge_in(0) + scene.server(cancelled(by="client_cancelled"))) == [cancel("r1"), delete("m1")]


def test_the_next_turn_is_answered_after_a_barge_in_before_the_first_sample() -> None:  # S03, C10
    scene = talking(opened(), at=0.1)
    scene.barge_in(0)
    scene.server(cancelled(), deleted("m1"), turn("u1"))
    assert acts(scene.server(created("r2"), message("m2", 500, r="r2", previous="u1"))) == [play(1, 500)]


def test_a_message_is_not_deleted_before_the_server_announced_it() -> None:  # B03
    scene = talking(audio("m1", 200), at=0.1)
    assert sent(scene.barge_in(0) + scene.server(cancelled())) == []
    assert sent(scene.server(announce("m1"))) == [delete("m1")]


def test_a_message_that_never_appears_is_never_deleted() -> None:  # DESIGN 3, verdicts: skipped
    scene = talking(audio("m1", 200), at=0.1)
    effects = scene.barge_in(0) + scene.server(cancelled())
    assert (sent(effects + scene.at(5.0).tick()), verdicts(effects)) == ([], [ended("m1", "skipped", 0)])


def test_a_delete_waits_a_second_at_most_for_its_response() -> None:  # DESIGN 3, verdicts: or 1 s after the cut
    scene = talking(opened(), audio("m1", 200), at=1.0)
    scene.barge_in(0)
    deadline = scene.session.deadline
    assert deadline is not None
    assert (deadline.at, sent(scene.at(1.99).tick()), sent(scene.at(2.0).tick())) == (2.0, [], [delete("m1")])


def test_a_message_that_appears_after_the_cut_is_skipped_and_deleted() -> None:  # C10, B10
    scene = talking(opened("a"), audio("a", 2000), heard_ms=1440, at=1.5)
    scene.barge_in(1440)
    effects = scene.server(opened("c", index=1, previous="a"), audio("c", 300, index=1), cancelled())
    assert acts(effects) == [ended("c", "skipped", 0), delete("c")]


# -- late audio --------------------------------------------------------------------------------------------------------


def test_late_audio_is_never_played_and_the_truncate_is_said_once_more() -> None:  # C10, B10, F035, DESIGN 3: repeat
    scene = talking(opened("a"), audio("a", 4000), heard_ms=1440, at=1.5)
    first = scene.barge_in(1440)
    late = scene.server(audio("a", 500, start_ms=4000), truncated("a", 1440), audio("a", 500, start_ms=4500))
    assert (sent(first), acts(late), acts(scene.server(cancelled()))) == (
        [truncate("a", 1440)],
        [],
        [truncate("a", 1440)],
    )


def test_the_truncate_is_not_repeated_where_no_audio_came_after_it() -> None:  # C11, DESIGN 3: repeat
    scene = talking(opened("a"), audio("a", 4000), heard_ms=1440, at=1.5)
    scene.server(speech_started(), audio("a", 500, start_ms=4000))
    assert sent(scene.flushed(1, 1440) + scene.server(truncated("a", 1440), cancelled())) == [truncate("a", 1440)]


def test_late_audio_is_counted_as_discarded() -> None:  # B10, B31, DESIGN 3: received is frozen at the cut
    scene = talking(opened("a"), audio("a", 4000), heard_ms=1440, at=1.5)
    scene.barge_in(1440)
    scene.server(audio("a", 500, start_ms=4000))
    [segment] = scene.session.segments
    assert (segment.received, segment.heard, segment.discarded, segment.queued) == (108_000, 34_560, 73_440, 0)


def test_late_audio_is_in_the_counters() -> None:  # B10
    scene = talking(opened("a"), audio("a", 4000), heard_ms=1440, at=1.5)
    scene.barge_in(1440)
    scene.server(audio("a", 500, start_ms=4000))
    assert (scene.session.counters.late_deltas, scene.session.counters.late_samples) == (1, 12_000)


def test_late_audio_never_loosens_a_clamp() -> None:  # DESIGN 3: received is frozen at the cut
    scene = talking(opened("a"), audio("a", 1000), heard_ms=900, at=1.0)
    scene.server(speech_started(), audio("a", 1000, start_ms=1000))
    assert sent(scene.flushed(1, 1500)) == [truncate("a", 1000)]


def test_audio_of_the_next_response_plays() -> None:  # C10, F052, F056
    scene = talking(opened("a"), audio("a", 2000), heard_ms=500, at=0.5)
    scene.barge_in(500)
    scene.server(cancelled(), truncated("a", 500), turn("u1", previous="a"))
    assert acts(scene.server(created("r2"), message("b", 300, r="r2", previous="u1"))) == [play(2, 300)]


def test_audio_of_an_item_nobody_declared_in_a_dead_response_is_dropped() -> None:  # B10
    scene = talking(opened("a"), audio("a", 2000), heard_ms=500, at=0.5)
    scene.barge_in(500)
    scene.server(cancelled())
    assert (sounded(scene.server(audio("zz", 300))), scene.session.state) == (b"", "ready")


def test_a_batch_of_the_old_end_and_the_new_beginning_hits_only_the_old() -> None:  # B08, F052, F057
    scene = talking(message("m1", 1000), opened("m2", index=1), audio("m2", 1000, index=1), heard_ms=400, at=0.4)
    batch = scene.server(speech_started(), cancelled("r1"), speech_stopped(), created("r3"), message("m3", 700, r="r3"))
    batch += scene.flushed(1, 400) + scene.server(truncated("m1", 400), deleted("m2"))
    assert (kinds(batch).count("response.cancel"), sounded(batch)) == (0, pcm("m3", 700))


def test_a_delete_waits_for_the_clock_s_answer() -> None:  # DESIGN 3, verdicts: its flush settled
    scene = talking(opened(), audio("m1", 2000), at=0.1)
    early = scene.server(speech_started(), cancelled())
    assert (sent(early), sent(scene.at(0.2).flushed(1, 0))) == ([], [delete("m1")])


def test_two_responses_in_the_queue_are_both_cut() -> None:  # B28: barge-in deletes the unheard items of the second
    scene = spoken(message("m1", 1000), heard_ms=300, at=0.3)
    scene.server(created("r2"), opened("m2", r="r2", previous="m1"), audio("m2", 1000, r="r2"))
    assert acts(scene.barge_in(300) + scene.server(cancelled("r2"))) == [
        Flush(1),
        truncate("m1", 300),
        ended("m1", "partial", 300),
        ended("m2", "skipped", 0),
        interrupted("m1", skipped=["m2"]),
        delete("m2"),
    ]


def test_an_answer_settles_every_generation_up_to_its_own() -> None:  # DESIGN 3: flushed(g, n) settles every generation up to g
    scene = talking(opened("a"), audio("a", 2000), heard_ms=500, at=0.5)
    scene.server(speech_started("u1"), cancelled("r1"), created("r2"), opened("b", r="r2"), audio("b", 1000, r="r2"))
    scene.at(0.6).server(speech_started("u2"))
    effects = scene.at(0.7).flushed(2, 100)
    assert (sent(effects)[-1], [end.item_id for end in told(effects, MessageEnded)]) == (truncate("b", 100), ["a", "b"])


@pytest.mark.parametrize(
    ("cause", "interrupt"),
    [
        ("server", lambda scene: scene.server(speech_started())),
        ("server", lambda scene: scene.server(cancelled())),
        ("local", lambda scene: scene.local_speech()),
        ("program", lambda scene: scene.interrupt()),
        ("text", lambda scene: scene.say("Stop.")),
    ],
    ids=["speech", "cancelled", "local", "program", "text"],
)
def test_an_interruption_says_what_caused_it(cause: Cause, interrupt: Callable[[Scene], list[Effect]]) -> None:
    # DESIGN 4: causes; F004: one code path for all
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5)
    effects = scene.answering(interrupt(scene), 500)
    assert told(effects, Interrupted) == [Interrupted(cause, ("m1",), ())]


def test_a_lost_device_cuts_at_the_last_heard_sample() -> None:  # F100
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5)
    effects = scene.answering(scene.device("lost"), 500)
    assert [e for e in acts(effects) if e != cancel("r1")][-3:] == [
        truncate("m1", 500),
        ended("m1", "partial", 500),
        interrupted("m1"),
    ]


def test_a_device_lost_in_a_pause_cuts_at_its_last_report_not_at_what_the_pause_took_to_have_sounded() -> None:  # F100, C20
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5)
    scene.at(0.75).pause()
    effects = scene.at(1.0).device("lost")
    assert verdicts(effects) == [ended("m1", "partial", 500)] and truncate("m1", 500) in acts(effects)


def test_a_call_that_completes_in_a_dead_response_is_either_told_or_deleted() -> None:  # DESIGN 6 invariant 10; C26
    scene = talking(opened("m1"), audio("m1", 1000), call_opened("c1", index=1, previous="m1"), heard_ms=500, at=0.5)
    scene.barge_in(500)
    effects = scene.server(call_closed("c1", index=1), cancelled(), truncated("m1", 500)) + scene.at(3.0).tick()
    assert (len(told(effects, ToolCalled)) == 1) != (delete("f_c1") in sent(effects))


# -- who cancels -------------------------------------------------------------------------------------------------------


def _without(key: str, table: Event) -> Event:
    return {k: v for k, v in table.items() if k != key}


@pytest.mark.parametrize(
    ("turn_detection", "cancels"),
    [
        pytest.param({**SERVER_VAD, "interrupt_response": True}, [], id="true"),
        pytest.param({**SERVER_VAD, "interrupt_response": None}, [], id="null"),
        pytest.param(_without("interrupt_response", SERVER_VAD), [], id="absent"),
        pytest.param({**CLIENT_VAD, "interrupt_response": False}, [cancel("r1")], id="false"),
    ],
)
def test_the_acknowledged_session_says_who_cancels_at_speech(turn_detection: Event, cancels: list[Event]) -> None:
    # B07, C01, C13, F051
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5, turn_detection=turn_detection)
    assert sent(scene.server(speech_started())) == cancels


def test_without_turn_detection_the_client_cancels() -> None:  # C13
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5, turn_detection=None)
    assert acts(scene.local_speech()) == [Flush(1), cancel("r1")]


def test_a_later_acknowledgement_changes_who_cancels() -> None:  # C13, F051
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5)
    scene.server(session_updated(turn_detection=CLIENT_VAD))
    assert acts(scene.server(speech_started())) == [Flush(1), cancel("r1")]


def test_a_local_detector_is_named_in_the_news() -> None:  # contract: UserSpeechStarted
    assert told(ready(turn_detection=None).local_speech(), UserSpeechStarted) == [UserSpeechStarted(None, "local")]


def test_a_local_detector_cancels_by_itself_and_the_server_s_later_word_adds_nothing() -> None:  # DESIGN 4: who cancels
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5)
    assert acts(scene.local_speech() + scene.at(0.6).server(speech_started())) == [Flush(1), cancel("r1")]


def test_the_program_s_interruption_cancels_although_the_server_has_turn_detection() -> None:  # C12
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5)
    assert acts(scene.answering(scene.interrupt(), 500)) == [
        Flush(1),
        cancel("r1"),
        truncate("m1", 500),
        ended("m1", "partial", 500),
        interrupted("m1"),
    ]


def test_after_the_response_the_program_s_interruption_only_truncates() -> None:  # B09, C12, F029
    scene = spoken(message("m1", 2000), heard_ms=500, at=0.5)
    assert sent(scene.answering(scene.interrupt(), 500)) == [truncate("m1", 500)]


def test_an_interruption_of_nothing_does_nothing() -> None:  # C12, F015
    assert acts(spoken(message("m1", 2000), heard_ms=2000, at=2.0).interrupt()) == []


def test_only_one_cancel_for_two_interruptions() -> None:  # B07
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5)
    assert sent(scene.interrupt() + scene.interrupt() + scene.at(0.6).server(speech_started())) == [cancel("r1")]


def test_a_server_that_goes_on_after_its_own_barge_in_is_cancelled_once_by_id() -> None:  # DESIGN 4: 400 ms
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=1.0)
    scene.barge_in(500)
    early = scene.at(1.375).server(audio("m1", 100, start_ms=2000))
    late = scene.at(1.45).server(audio("m1", 100, start_ms=2100)) + scene.at(1.5).server(audio("m1", 100, start_ms=2200))
    late += scene.at(1.6).tick()
    assert (sent(early), sent(late)) == ([], [cancel("r1")])


def test_a_server_that_stopped_by_itself_is_not_cancelled() -> None:  # DESIGN 4: 400 ms
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=1.0)
    scene.barge_in(500)
    scene.at(1.1).server(audio("m1", 100, start_ms=2000), truncated("m1", 500))
    assert "response.cancel" not in kinds(scene.at(1.9).tick() + scene.server(cancelled()))


def test_a_response_cancelled_by_turn_detection_is_an_interruption_even_before_the_speech_event() -> None:  # DESIGN 4; facts 4.9
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5)
    first = scene.answering(scene.server(cancelled()), 500)
    assert (acts(first), acts(scene.server(speech_started()))) == (
        [Flush(1), truncate("m1", 500), ended("m1", "partial", 500), interrupted("m1")],
        [],
    )


def test_interruptions_can_be_ignored() -> None:  # F054
    config = configured(interruption="ignore")
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5, config=config, turn_detection=CLIENT_VAD)
    assert acts(scene.server(speech_started())) == []


def test_a_refused_cancel_is_no_news() -> None:  # C14, F050
    scene = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5)
    effects = scene.answering(scene.interrupt(), 500) + scene.server(done("r1"))
    benign = error("response_cancel_not_active", "Cancellation failed: no active response found")
    assert (acts(scene.server(benign)), scene.session.state, sent(effects)[0]) == ([], "ready", cancel("r1"))


# -- parts, texts, calls -----------------------------------------------------------------------------------------------


def _two_parts(first_ms: int, second_ms: int) -> Script:
    return (
        item_added("m1")
        + part_added("m1", part=0)
        + audio("m1", first_ms, part=0)
        + audio_done("m1", part=0)
        + transcript_done("m1", "one", part=0)
        + part_added("m1", part=1)
        + audio("m1", second_ms, part=1)
        + audio_done("m1", part=1)
        + transcript_done("m1", "two", part=1)
        + item_done("m1")
    )


@pytest.mark.parametrize(
    ("heard_ms", "edits", "verdict", "item_ms"),
    [
        (0, [delete("m1")], Verdict.SKIPPED, 0),
        (400, [truncate("m1", 400, part=0)], Verdict.PARTIAL, 400),
        (1000, [], Verdict.PARTIAL, 1000),
        (1300, [truncate("m1", 300, part=1)], Verdict.PARTIAL, 1300),
        (2000, [], Verdict.FULL, 2000),
    ],
)
def test_an_item_with_two_audio_parts(heard_ms: int, edits: list[Event], verdict: Verdict, item_ms: int) -> None:  # C23, F163
    scene = spoken(_two_parts(1000, 1000), at=2.5)
    effects = scene.barge_in(heard_ms)
    [end] = told(effects, MessageEnded)
    assert (sent(effects), end.verdict, end.heard_ms, end.received_ms) == (edits, verdict, item_ms, 2000)


def _text_then_audio(ms: int) -> Script:
    text = part_added("m1", part=0, kind="text") + text_delta("m1", "Look:", part=0)
    return item_added("m1") + text + part_added("m1", part=1) + audio("m1", ms, part=1)


def test_the_truncate_names_the_part_that_has_the_audio() -> None:  # C23, F163
    scene = talking(_text_then_audio(2000), heard_ms=500, at=0.5)
    assert sent(scene.barge_in(500)) == [truncate("m1", 500, part=1)]


def test_a_dialect_may_want_content_index_zero_whatever_part_has_the_audio() -> None:  # C23: a per-dialect switch
    scene = talking(_text_then_audio(2000), heard_ms=500, at=0.5)
    core = scene.session._core
    core.capabilities = structs.replace(core.capabilities, truncate_content_index="zero")
    assert sent(scene.barge_in(500)) == [truncate("m1", 500, part=0)]


def test_an_item_of_which_a_text_was_shown_is_not_deleted() -> None:  # DESIGN 3: delete only if no part was heard or shown
    scene = talking(_text_then_audio(2000), at=0.5)
    assert sent(scene.barge_in(0) + scene.server(cancelled()) + scene.at(2.0).tick()) == []


def test_a_text_message_is_neither_truncated_nor_deleted() -> None:  # DESIGN 3, verdicts: text
    scene = talking(message("m1", 2000), text_message("m2", "Seen.", index=1, previous="m1"), heard_ms=500, at=0.5)
    effects = scene.barge_in(500) + scene.server(cancelled()) + scene.at(2.0).tick()
    assert (sent(effects), sorted(verdicts(scene.log), key=str)) == (
        [truncate("m1", 500)],
        [ended("m1", "partial", 500), ended("m2", "text", 0)],
    )


def test_a_text_message_that_is_cut_short_stays() -> None:  # DESIGN 3, verdicts: text
    begun = item_added("m1") + part_added("m1", kind="text") + text_delta("m1", "I was about")
    scene = talking(begun, at=0.5)
    effects = scene.barge_in(0) + scene.server(cancelled()) + scene.at(2.0).tick()
    assert (sent(effects), verdicts(effects)) == ([], [ended("m1", "text", 0)])


def test_a_completed_call_stays_where_the_preamble_beside_it_is_deleted() -> None:  # DESIGN 3: pinned
    scene = talking(opened("m1"), audio("m1", 2000), call("c1", index=1, previous="m1"), at=0.1)
    effects = scene.barge_in(0) + scene.server(cancelled(), deleted("m1"))
    assert (sent(effects), [item.id for item in scene.session.history]) == ([delete("m1")], ["f_c1"])


def test_a_call_whose_arguments_never_completed_is_deleted() -> None:  # DESIGN 4: tool calls
    scene = talking(call_opened("c1"), at=0.1)
    assert sent(scene.barge_in(0) + scene.server(cancelled())) == [delete("f_c1")]


# -- texts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("heard_ms", "text"), [(0, ""), (1000, "aaaa bbbb"), (1700, "aaaa bbbb cccc"), (2000, FOUR_WORDS)])
def test_an_interrupted_message_says_what_was_heard(heard_ms: int, text: str) -> None:  # S05, F014, C24
    scene = spoken(message("m1", 2000, FOUR_WORDS), at=2.0)
    [end] = told(scene.barge_in(heard_ms), MessageEnded)
    assert (end.text, end.full_text) == (text, FOUR_WORDS)


def test_history_shows_the_heard_text_and_keeps_the_full_one_apart() -> None:  # S05, B21, F014, F015, F112
    scene = spoken(message("m1", 2000, FOUR_WORDS), heard_ms=1000, at=1.0)
    scene.barge_in(1000)
    scene.server(truncated("m1", 1000))
    assert [(i.text, i.full_text, i.heard_ms) for i in scene.session.history] == [("aaaa bbbb", FOUR_WORDS, 1000)]


def test_a_transcript_that_ends_after_the_cut_does_not_change_what_was_heard() -> None:  # S07, F014
    scene = talking(opened(), transcript("m1", FOUR_WORDS), audio("m1", 2000), heard_ms=1000, at=1.0)
    scene.barge_in(1000)
    before = [item.text for item in scene.session.history]
    scene.server(closing("m1", FOUR_WORDS + " eeee"), cancelled(), truncated("m1", 1000))
    assert [item.text for item in scene.session.history] == before


# -- errors of edits ---------------------------------------------------------------------------------------------------


TOO_LONG = "Audio content of 6100ms is already shorter than 6185ms"


@pytest.mark.parametrize("code", ["invalid_value", None])
def test_a_server_that_holds_less_than_was_heard_is_not_asked_again(code: str | None) -> None:  # C09, F005, F006, F007
    scene = spoken(message("m1", 7000), heard_ms=6185, at=6.2)
    scene.barge_in(6185)
    refused = scene.server(error(code, TOO_LONG)) + scene.at(20.0).tick()
    assert (sent(refused), scene.session.state) == ([], "ready")


def test_a_refused_truncate_is_settled_and_the_next_answer_is_asked_for() -> None:  # C09, F005, F007
    scene = spoken(message("m1", 7000), heard_ms=6185, at=6.2)
    scene.barge_in(6185)
    held = scene.respond()
    assert (kinds(held), kinds(scene.server(error("invalid_value", TOO_LONG)))) == ([], ["response.create"])


def test_a_repeated_truncate_that_is_refused_says_nothing_and_holds_nothing_up() -> None:  # C09, C10, DESIGN 6
    scene = talking(opened("m1"), audio("m1", 2000), heard_ms=500, at=0.5)
    scene.barge_in(500)
    scene.server(audio("m1", 300), truncated("m1", 500))
    assert kinds(scene.server(cancelled())) == ["conversation.item.truncate"]
    held = scene.respond()
    refused = scene.server(error("item_already_truncated", "Item 'm1' is already truncated."))
    assert (kinds(held), kinds(refused)) == ([], ["response.create"])
    assert not any(isinstance(effect, ServerError) for effect in refused)


def test_a_delete_of_what_is_gone_is_a_delete() -> None:  # F108, DESIGN 6 invariant 9
    scene = spoken(message("m1", 2000), at=0.1)
    scene.barge_in(0)
    held = scene.respond()
    gone = error("item_delete_invalid_item_id", "Error deleting item: the item with id 'm1' does not exist.")
    assert (kinds(held), kinds(scene.server(gone)), [i.id for i in scene.session.history]) == ([], ["response.create"], [])


# -- the line between lanes --------------------------------------------------------------------------------------------


def test_control_overtakes_microphone_audio_in_an_outbox() -> None:  # C30
    scene = talking(opened("m1"), audio("m1", 2000), opened("m2", index=1), heard_ms=500, at=0.5)
    effects = scene.answering(scene.interrupt(), 500) + scene.server(cancelled(by="client_cancelled"))
    assert [effect.lane for effect in effects if isinstance(effect, Send)] == ["urgent", "urgent", "urgent"]
