"""Playout: which audio is handed over when, whose samples the clock's one number counts, and what holds when it lies or is
silent (DESIGN section 3)."""

from itertools import permutations

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
    PCM,
    Event,
    Script,
    audio,
    audio_done,
    cancelled,
    closing,
    created,
    done,
    encode,
    item_done,
    message,
    opened,
    part_done,
    pcm,
    session_created,
    session_updated,
    speech_started,
    transcript,
    transcript_done,
    truncated,
)

from rtcore import (
    PCM16_24K,
    PCMA,
    PCMU,
    AudioFormat,
    Clock,
    ClockFault,
    Drain,
    Flush,
    Interrupted,
    MessageEnded,
    MessageStarted,
    PartView,
    Pause,
    Play,
    ProtocolWarning,
    Resume,
    SessionClosed,
    SpeakingStarted,
    SpeakingStopped,
    Underrun,
)
from rtcore.config import Playout

ULAW: Event = {"type": "audio/pcmu"}
ALAW: Event = {"type": "audio/pcma"}


# -- order of segments -------------------------------------------------------------------------------------------------


def test_two_messages_of_one_response_are_played_in_order() -> None:  # S01, F021, F022
    scene = ready()
    effects = scene.server(created("r1"), message("m1", 300), message("m2", 200, index=1, previous="m1"), done("r1"))
    assert sounded(effects) == pcm("m1", 300) + pcm("m2", 200)


def test_each_of_two_messages_has_its_own_text_state_and_position() -> None:  # S01, F021, F106, F117
    scene = ready()
    scene.server(created("r1"), message("m1", 300, "Part one."), message("m2", 200, "Part two.", index=1, previous="m1"), done())
    ends = told(scene.at(0.3).played(1, 300) + scene.at(0.5).played(1, 500), MessageEnded)
    assert [(e.item_id, e.verdict.value, e.heard_ms, e.received_ms, e.text) for e in ends] == [
        ("m1", "full", 300, 300, "Part one."),
        ("m2", "full", 200, 200, "Part two."),
    ]


def test_speaking_starts_once_a_turn_and_each_message_once() -> None:  # S01, F026
    scene = spoken(message("m1", 300), message("m2", 200, index=1, previous="m1"))
    for step in range(1, 26):
        scene.at(step * 0.02).played(1, step * 20)
    started = told(scene.log, SpeakingStarted)
    assert ([e.response_id for e in started], [e.item_id for e in told(scene.log, MessageStarted)]) == (["r1"], ["m1", "m2"])


def test_a_gap_between_two_messages_does_not_end_the_turns_speech() -> None:  # S01, F147
    scene = ready()
    scene.server(created("r1"), message("m1", 300))
    scene.at(0.3).played(1, 300)
    scene.at(0.8).server(message("m2", 200, index=1, previous="m1"))
    scene.at(1.0).played(1, 500)
    scene.server(done("r1"))
    assert (len(told(scene.log, SpeakingStarted)), [e.at for e in told(scene.log, SpeakingStopped)]) == (1, [1.0])


def test_messages_start_and_stop_one_after_the_other() -> None:  # S01, F026
    scene = spoken(message("m1", 300), message("m2", 200, index=1, previous="m1"))
    for step in range(1, 26):
        scene.at(step * 0.02).played(1, step * 20)
    one, two = told(scene.log, MessageEnded)
    assert one.started_at is not None
    assert two.started_at is not None
    assert one.started_at < one.stopped_at <= two.started_at < two.stopped_at


def test_speaking_is_from_the_first_audible_sample_to_the_last() -> None:  # B31, S01
    scene = spoken(message("m1", 300))
    states = [scene.session.speaking]
    for heard in (20, 280, 300):
        scene.played(1, heard)
        states.append(scene.session.speaking)
    assert (states, len(told(scene.log, SpeakingStopped))) == ([False, True, True, False], 1)


def test_a_later_message_waits_until_the_earlier_is_complete() -> None:  # DESIGN 3: items of one response may interleave
    scene = ready()
    scene.server(created("r1"))
    effects = scene.server(opened("m1"), opened("m2", index=1, previous="m1"), audio("m1", 100), audio("m2", 100, index=1))
    effects += scene.server(audio("m1", 100, start_ms=100), audio("m2", 100, index=1, start_ms=100))
    assert (acts(effects), acts(scene.server(audio_done("m1")))) == ([play(1, 200)], [play(1, 200)])


@pytest.mark.parametrize(
    "closed", [audio_done("m1"), part_done("m1"), item_done("m1"), done("r1")], ids=["audio", "part", "item", "response"]
)
def test_a_message_is_complete_by_any_of_its_ends(closed: Script) -> None:  # DESIGN 3: complete
    scene = ready()
    scene.server(created("r1"), opened("m1"), audio("m1", 100), opened("m2", index=1), audio("m2", 100, index=1))
    assert sounded(scene.server(closed)) == pcm("m2", 100)


def test_the_first_audio_decides_the_order_not_the_output_index() -> None:  # DESIGN 3: segments in the order of their first audio
    scene = ready()
    scene.server(created("r1"), opened("m1"), opened("m2", index=1))
    effects = scene.server(audio("m2", 100, index=1), audio("m1", 100), closing("m2", index=1), closing("m1"), done("r1"))
    assert sounded(effects) == pcm("m2", 100) + pcm("m1", 100)


def test_two_responses_overlap_on_the_wire_and_play_one_after_the_other() -> None:  # B11
    scene = ready()
    scene.server(created("r1"), created("r2"), opened("a"), opened("b", r="r2"))
    effects = scene.server(audio("b", 100, r="r2"), audio("a", 100), audio("b", 100, r="r2", start_ms=100))
    effects += scene.server(audio("a", 100, start_ms=100), closing("a"), done("r1"), closing("b", r="r2"), done("r2"))
    assert sounded(effects) == pcm("a", 200) + pcm("b", 200)


def test_the_end_of_one_response_does_not_touch_the_other() -> None:  # B11, F057
    scene = ready()
    scene.server(created("r1"), created("r2"), message("a", 100), opened("b", r="r2"), audio("b", 100, r="r2"), done("r1"))
    more = scene.server(audio("b", 100, r="r2", start_ms=100), closing("b", r="r2"), done("r2"))
    assert (sounded(more), verdicts(scene.played(1, 300))) == (
        pcm("b", 100, start_ms=100),
        [ended("a", "full", 100), ended("b", "full", 200)],
    )


def test_a_message_without_a_sample_does_not_hold_up_the_next() -> None:  # facts 17.21, F022, F027
    scene = ready()
    effects = scene.server(created("r1"), opened("m1"), opened("m2", index=1), audio("m2", 100, index=1))
    effects += scene.server(closing("m1"), closing("m2", index=1), done("r1"))
    assert sounded(effects) == pcm("m2", 100)


def test_a_stalled_message_holds_up_the_next_for_two_seconds_of_silence() -> None:  # DESIGN 3: a deadline ends the wait
    scene = talking(opened("m1"), audio("m1", 100), message("m2", 300, index=1), heard_ms=100, at=1.0)
    scene.underrun(1)
    deadline = scene.session.deadline
    assert deadline is not None
    assert (deadline.at, acts(scene.at(2.9).tick()), acts(scene.at(3.0).tick())) == (3.0, [], [play(1, 300)])


def test_a_message_that_goes_on_while_others_wait_may_hold_them_up_anew() -> None:  # DESIGN 3: while the speaker is dry
    scene = talking(opened("m1"), audio("m1", 100), message("m2", 300, index=1), heard_ms=100, at=1.0)
    scene.at(2.5).server(audio("m1", 200, start_ms=100))
    scene.at(2.8).played(1, 300)
    assert (acts(scene.at(3.0).tick()), acts(scene.at(4.7).tick()), acts(scene.at(4.8).tick())) == ([], [], [play(1, 300)])


def test_several_stalled_messages_hold_up_the_next_no_longer_than_one() -> None:  # DESIGN 3: a deadline ends the wait
    scene = talking(opened("m1"), audio("m1", 100), opened("m2", index=1), audio("m2", 100, index=1), heard_ms=100, at=1.0)
    scene.at(3.0).tick()  # m1 steps aside, m2 plays
    scene.server(opened("m3", index=2), audio("m3", 300, index=2))
    scene.at(3.1).played(1, 200)
    assert (acts(scene.at(5.0).tick()), acts(scene.at(5.1).tick())) == ([], [play(1, 300)])


def test_the_end_of_a_response_is_not_the_end_of_its_sound() -> None:  # F022, F066, F081
    scene = spoken(message("m1", 3000), heard_ms=100, at=0.1)
    assert (scene.session.speaking, verdicts(scene.at(3.0).played(1, 2999)), verdicts(scene.played(1, 3000))) == (
        True,
        [],
        [ended("m1", "full", 3000)],
    )


def test_when_nothing_more_comes_the_clock_is_told_to_sound_the_tail() -> None:  # DESIGN 2: Drain
    scene = spoken(message("m1", 300))
    assert [e for e in scene.log if isinstance(e, Drain)][-1:] == [Drain(1)]


def test_audio_after_a_drain_goes_on_in_the_same_generation() -> None:  # contract: a Play after Drain(g)
    scene = spoken(message("m1", 300), heard_ms=300, at=0.5)
    assert acts(scene.server(created("r2"), message("m2", 200, r="r2"))) == [play(1, 200)]


def test_counts_go_on_within_a_generation_and_positions_stay_local() -> None:  # DESIGN 3: generations; B06
    scene = spoken(message("m1", 300), heard_ms=300, at=0.5)
    scene.server(created("r2"), message("m2", 2000, r="r2"), done("r2"))
    assert sent(scene.at(1.0).barge_in(800)) == [truncate("m2", 500)]


# -- the text of a segment ---------------------------------------------------------------------------------------------


ENDS = [audio_done("m1"), transcript_done("m1", "One two."), part_done("m1", "One two."), item_done("m1", "One two.")]


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=lambda order: "".join("atpi"[i] for i in order))
def test_text_and_audio_end_in_any_order(order: tuple[int, ...]) -> None:  # S07, F106, F115
    scene = talking(opened(), transcript("m1", "One "), audio("m1", 500), transcript("m1", "two."))
    scene.server(*(ENDS[i] for i in order), done("r1"))
    [end] = told(scene.played(1, 500), MessageEnded)
    assert (end.verdict.value, end.heard_ms, end.text, end.full_text) == ("full", 500, "One two.", "One two.")


@pytest.mark.parametrize("text_first", [True, False])
def test_the_ends_may_come_before_or_after_the_last_sample(text_first: bool) -> None:  # S07
    scene = talking(opened(), transcript("m1", "One two."), audio("m1", 500))
    first, second = (ENDS[1], ENDS[0]) if text_first else (ENDS[0], ENDS[1])
    scene.server(first)
    scene.played(1, 500)
    effects = scene.server(second, ENDS[3])
    assert [(e.verdict.value, e.text) for e in told(scene.log, MessageEnded)] == [("full", "One two.")]
    assert told(effects, MessageEnded) != []


@pytest.mark.parametrize("text_first", [True, False])
def test_an_interruption_between_the_two_ends(text_first: bool) -> None:  # S07
    scene = talking(opened(), transcript("m1", "aaaa bbbb cccc dddd"), audio("m1", 2000))
    scene.server(transcript_done("m1", "aaaa bbbb cccc dddd") if text_first else audio_done("m1"))
    [end] = told(scene.at(1.0).barge_in(1000), MessageEnded)
    assert (end.verdict.value, end.heard_ms, end.text) == ("partial", 1000, "aaaa bbbb")


def test_a_full_message_waits_a_second_at_most_for_its_text() -> None:  # DESIGN 3: full waits for the text of its parts
    untold = [{**event, "item": {**event["item"], "content": []}} for event in item_done("m1")]
    scene = talking(opened(), transcript("m1", "One two."), audio("m1", 500), audio_done("m1"), untold)
    heard = scene.at(1.0).played(1, 500)
    assert (verdicts(heard), verdicts(scene.at(1.9).tick()), verdicts(scene.at(2.0).tick())) == (
        [],
        [],
        [ended("m1", "full", 500)],
    )


def test_an_error_in_one_message_leaves_the_other_and_nothing_waiting() -> None:  # S06
    bad = [{**audio("m1", 100)[0], "delta": "!!!"}]
    scene = ready()
    effects = scene.server(created("r1"), opened("m1"), bad, closing("m1"), message("m2", 200, index=1), done("r1"))
    played = scene.at(0.2).played(1, 200)
    assert (len(told(effects, ProtocolWarning)), sounded(effects), scene.session.speaking) == (1, pcm("m2", 200), False)
    assert sorted(e.item_id for e in told(effects + played, MessageEnded)) == ["m1", "m2"]


# -- generations and reports -------------------------------------------------------------------------------------------


def test_a_flush_opens_the_next_generation_whose_counts_begin_at_zero() -> None:  # DESIGN 3: generations; C21
    scene = talking(opened("a"), audio("a", 2000), heard_ms=500, at=0.5)
    scene.barge_in(500)
    scene.server(cancelled(), truncated("a", 500), created("r2"), message("b", 1000, r="r2"), done("r2"))
    assert acts(scene.at(1.0).played(2, 300) + scene.barge_in(400, "u2"))[:2] == [Flush(2), truncate("b", 400)]


def test_new_audio_may_follow_while_a_flush_is_unanswered() -> None:  # contract; B08
    scene = talking(opened("a"), audio("a", 2000), heard_ms=500, at=0.5)
    effects = scene.server(speech_started(), cancelled(), created("r2"), message("b", 300, r="r2"))
    effects += scene.flushed(1, 500)
    assert [act for act in acts(effects) if isinstance(act, tuple) and act[0] == "play"] == [play(2, 300)]


def test_reports_of_a_flushed_generation_are_stale() -> None:  # B29, C21
    scene = talking(opened("a"), audio("a", 2000), heard_ms=500, at=0.5)
    scene.barge_in(500)
    assert (acts(scene.played(1, 900)), scene.session.counters.stale_reports) == ([], 1)


def test_a_smaller_report_is_ignored_and_counted() -> None:  # DESIGN 3: stale or smaller reports; F017
    scene = talking(opened("a"), audio("a", 2000), heard_ms=500, at=0.5)
    scene.played(1, 200)
    [segment] = scene.session.segments
    assert (segment.heard, scene.session.counters.stale_reports) == (12_000, 1)


def test_reports_above_what_was_handed_over_are_clamped_with_one_notice() -> None:  # DESIGN 3; C08
    scene = talking(opened("a"), audio("a", 1000), at=1.0)
    faults = told(scene.played(1, 1500) + scene.played(1, 1600), ClockFault)
    assert (len(faults), scene.session.segments[0].heard, scene.session.counters.excess_reports) == (1, 24_000, 2)


@pytest.mark.parametrize("generation", [0, 2, 99])
def test_a_report_of_a_generation_that_does_not_exist_changes_nothing(generation: int) -> None:  # C21
    scene = talking(opened("a"), audio("a", 1000), heard_ms=100, at=0.1)
    assert (acts(scene.played(generation, 500)), scene.session.segments[0].heard) == ([], 2400)


def test_samples_are_heard_discarded_or_queued() -> None:  # B31, DESIGN 6 invariant 8
    scene = talking(message("a", 1000), opened("b", index=1), audio("b", 500, index=1), heard_ms=300, at=0.3)
    first, second = scene.session.segments
    assert (first.heard + first.discarded + first.queued, second.heard + second.discarded + second.queued) == (24_000, 12_000)


def test_after_a_cut_every_sample_is_heard_or_discarded() -> None:  # B31, DESIGN 6 invariant 8
    scene = talking(opened("a"), audio("a", 1000), heard_ms=300, at=0.3)
    scene.barge_in(300)
    [segment] = scene.session.segments
    assert (segment.heard, segment.discarded, segment.queued) == (7200, 16_800, 0)


def test_an_underrun_while_the_response_runs_is_told_and_is_not_an_end() -> None:  # F147
    scene = talking(opened("a"), audio("a", 100), heard_ms=100, at=0.1)
    effects = scene.underrun(1)
    assert (told(effects, Underrun), verdicts(effects), sounded(scene.server(audio("a", 100, start_ms=100)))) == (
        [Underrun(1)],
        [],
        pcm("a", 100, start_ms=100),
    )


# -- a clock that does not answer --------------------------------------------------------------------------------------


def test_a_flush_that_is_not_answered_is_settled_by_an_estimate() -> None:  # B29
    scene = talking(opened("a"), audio("a", 2000), heard_ms=500, at=0.5)
    scene.at(0.75).server(speech_started())
    deadline = scene.session.deadline
    assert deadline is not None
    effects = scene.at(deadline.at).tick()
    assert (deadline.at, acts(effects), told(effects, Interrupted)) == (
        1.25,
        [truncate("a", 750), ended("a", "partial", 750), interrupted("a")],
        [Interrupted("server", ("a",), (), estimated=True)],
    )


@pytest.mark.parametrize(("answered", "heard_ms", "estimated"), [(1.2, 600, False), (1.25, 600, False), (1.3, 750, True)])
def test_an_answer_counts_until_the_deadline_and_at_it(answered: float, heard_ms: int, estimated: bool) -> None:  # B29, DESIGN 2
    scene = talking(opened("a"), audio("a", 2000), heard_ms=500, at=0.5)
    scene.at(0.75).server(speech_started())
    [end] = told(scene.at(answered).flushed(1, 600), MessageEnded)
    assert (end.heard_ms, end.estimated) == (heard_ms, estimated)


def test_an_answer_after_the_estimate_is_ignored() -> None:  # B29
    scene = talking(opened("a"), audio("a", 2000), heard_ms=500, at=0.5)
    scene.at(0.75).server(speech_started())
    scene.at(1.25).tick()
    assert (acts(scene.at(1.5).flushed(1, 600)), scene.session.counters.stale_reports) == ([], 1)


def test_the_queue_is_free_after_an_estimate() -> None:  # B29
    scene = talking(opened("a"), audio("a", 2000), heard_ms=500, at=0.5)
    scene.at(0.75).server(speech_started(), cancelled())
    scene.at(1.25).tick()
    scene.server(truncated("a", 750))
    assert acts(scene.server(created("r2"), message("b", 300, r="r2"))) == [play(2, 300)]


def test_an_estimate_does_not_run_across_an_underrun() -> None:  # C19
    scene = talking(opened("a"), audio("a", 200))
    scene.at(3.0).server(audio("a", 3000, start_ms=200))
    scene.at(3.125).server(speech_started())
    assert sent(scene.at(3.625).tick()) == [truncate("a", 325)]


def test_an_estimate_does_not_run_across_a_pause() -> None:  # C20, B16
    scene = talking(opened("a"), audio("a", 5000))
    scene.at(1.0).pause()
    scene.at(4.0).resume()
    scene.at(4.5).server(speech_started())
    assert sent(scene.at(5.0).tick()) == [truncate("a", 1500)]


def test_an_estimate_is_never_above_what_was_received() -> None:  # C08, F004
    scene = talking(opened("a"), audio("a", 1200))
    scene.at(1.5).server(speech_started())
    assert sent(scene.at(2.0).tick()) == [truncate("a", 1200)]


def test_a_clock_that_never_reports_is_silenced_all_the_same() -> None:  # DESIGN 3: a flush where a sample is unconfirmed
    scene = talking(opened("a"), audio("a", 1200))
    scene.at(3.0).tick()
    assert Flush(1) in scene.server(speech_started())


def test_an_estimate_goes_from_one_message_to_the_next() -> None:  # C19: per item, starting when the previous item ended
    scene = spoken(message("a", 1000), message("b", 2000, index=1, previous="a"))
    scene.at(1.5).server(speech_started())
    effects = scene.at(2.0).tick()
    assert acts(effects) == [truncate("b", 500), ended("a", "full", 1000), ended("b", "partial", 500), interrupted("b")]


def test_a_clock_s_own_flush_latency_is_waited_for() -> None:  # DESIGN 3: declared flush latency plus 150 ms
    scene = talking(opened("a"), audio("a", 2000), heard_ms=500, at=0.5, clock=Clock(flush_latency_ms=850))
    scene.at(0.5).server(speech_started())
    deadline = scene.session.deadline
    assert deadline is not None
    assert deadline.at == 1.5


# -- how far ahead audio is handed over --------------------------------------------------------------------------------


def test_audio_is_handed_over_up_to_the_lead_and_all_of_it_in_the_end() -> None:  # F040, F156, DESIGN 3: playout lead
    scene = ready(configured(playout=Playout(lead_ms=200)))
    scene.server(created("r1"), opened("m1"), audio("m1", 150), audio("m1", 850, start_ms=150), closing("m1"), done("r1"))
    leads = []
    for heard in range(0, 1001, 20):
        if heard:
            scene.at(heard / 1000).played(1, heard)
        leads.append(len(sounded(scene.log)) // 48 - heard)
    assert (max(leads) <= 200, sounded(scene.log)) == (True, pcm("m1", 1000))


@pytest.mark.parametrize("lead_ms", [None, 40, 200, 5000])
def test_the_lead_changes_no_verdict(lead_ms: int | None) -> None:  # F040, DESIGN 3: playout lead
    scene = ready(configured(playout=Playout(lead_ms=lead_ms)))
    scene.server(created("r1"), message("m1", 300), message("m2", 300, index=1, previous="m1"), message("m3", 300, index=2))
    for step in range(1, 22):
        scene.at(step * 0.02).played(1, step * 20)
    effects = scene.server(done("r1")) + scene.barge_in(420)
    assert (sent(effects), verdicts(scene.log)) == (
        [truncate("m2", 120), delete("m3")],
        [ended("m1", "full", 300), ended("m2", "partial", 120), ended("m3", "skipped", 0)],
    )


def test_a_flush_takes_back_only_what_was_handed_over() -> None:  # F040
    scene = talking(opened("m1"), audio("m1", 1000), heard_ms=100, at=0.1, config=configured(playout=Playout(lead_ms=200)))
    assert sent(scene.barge_in(120)) == [truncate("m1", 120)]


def test_a_clock_that_flushes_at_once_is_given_everything() -> None:  # DESIGN 3: default: all of it
    scene = ready(configured(playout=Playout()), clock=Clock(flush_latency_ms=0))
    assert sounded(scene.server(created("r1"), opened("m1"), audio("m1", 30_000))) == pcm("m1", 30_000)


def test_a_full_buffer_cancels_the_response_and_drops_nothing() -> None:  # DESIGN 2: every buffer has a bound; F075, F150
    scene = ready(configured(playout=Playout(lead_ms=100, max_buffered_s=2)))
    scene.server(created("r1"), opened("m1"))
    effects = [effect for step in range(4) for effect in scene.server(audio("m1", 1000, start_ms=step * 1000))]
    assert sent(effects) == [cancel("r1")]


# -- pause and resume --------------------------------------------------------------------------------------------------


def test_a_clock_that_can_pause_is_paused() -> None:  # B16
    scene = talking(opened("m1"), audio("m1", 4000), heard_ms=1000, at=1.0)
    assert acts(scene.pause() + scene.at(1.5).resume()) == [Pause(1), Resume(1)]


def test_pause_and_resume_lose_nothing_and_a_cut_counts_what_was_heard() -> None:  # B16, C20
    scene = talking(opened("m1"), audio("m1", 4000), heard_ms=1000, at=1.0)
    scene.pause()
    scene.at(1.5).resume()
    scene.at(2.0).played(1, 1500)
    scene.pause()
    scene.at(2.5).resume()
    assert (sounded(scene.log), sent(scene.at(3.0).barge_in(2000))) == (pcm("m1", 4000), [truncate("m1", 2000)])


def test_a_pause_at_the_tail_is_not_an_end() -> None:  # B17
    scene = spoken(message("m1", 1000), heard_ms=850, at=0.85)
    effects = scene.pause() + scene.at(5.0).tick()
    scene.resume()
    assert (verdicts(effects), verdicts(scene.at(5.15).played(1, 1000))) == ([], [ended("m1", "full", 1000)])


def test_an_interruption_of_a_pause_cuts_at_the_paused_place() -> None:  # B17
    scene = spoken(message("m1", 1000), heard_ms=850, at=0.85)
    scene.pause()
    assert sent(scene.at(2.0).barge_in(850)) == [truncate("m1", 850)]


@pytest.mark.parametrize("heard_ms", [600, 1000], ids=["with a flush", "with nothing to flush"])
def test_after_an_interrupted_pause_the_next_answer_is_not_held(heard_ms: int) -> None:  # B16, B17, F080
    scene = talking(opened("m1"), audio("m1", 1000), heard_ms=heard_ms, at=1.0)
    holding = scene.pause() != []
    cut = scene.at(1.1).barge_in(heard_ms)
    answer = scene.server(cancelled(), truncated("m1", heard_ms), created("r2"), message("m2", 300, r="r2"))
    assert (isinstance(cut[0], Resume | Flush), len(sounded(answer))) == (holding, 300 * 48)


def test_a_clock_that_cannot_pause_is_flushed_and_plays_again_from_the_heard_sample() -> None:  # DESIGN 3; F083, C20
    scene = talking(opened("m1"), audio("m1", 4000), heard_ms=1000, at=1.0, clock=Clock(pause=False))
    paused = scene.pause() + scene.flushed(1, 1100)
    resumed = scene.at(3.0).resume()
    assert (acts(paused), acts(resumed), sounded(resumed)) == (
        [Flush(1)],
        [play(2, 2900)],
        pcm("m1", 2900, start_ms=1100),
    )


def test_after_a_replay_positions_are_still_the_message_s_own() -> None:  # C20, DESIGN 3
    scene = talking(opened("m1"), audio("m1", 4000), heard_ms=1000, at=1.0, clock=Clock(pause=False))
    scene.pause()
    scene.flushed(1, 1100)
    scene.at(3.0).resume()
    assert sent(scene.at(3.5).barge_in(500)) == [truncate("m1", 1600)]


def test_an_interruption_of_a_pause_that_is_a_flush_needs_no_second_flush() -> None:  # DESIGN 3; F083, B17
    scene = talking(opened("m1"), audio("m1", 4000), heard_ms=1000, at=1.0, clock=Clock(pause=False))
    scene.pause()
    scene.flushed(1, 1100)
    cut = scene.at(2.0).server(speech_started())
    assert (acts(cut), acts(scene.at(3.0).resume())) == (
        [truncate("m1", 1100), ended("m1", "partial", 1100), interrupted("m1")],
        [],
    )


def test_an_interruption_while_a_pause_is_being_flushed_is_settled_by_its_answer() -> None:  # DESIGN 3; F083
    scene = talking(opened("m1"), audio("m1", 4000), heard_ms=1000, at=1.0, clock=Clock(pause=False))
    scene.pause()
    cut = scene.at(1.1).server(speech_started())
    assert (acts(cut), acts(scene.at(1.2).flushed(1, 1050))) == (
        [],
        [truncate("m1", 1050), ended("m1", "partial", 1050), interrupted("m1")],
    )


def test_two_pauses_by_flush_lose_and_repeat_nothing() -> None:  # DESIGN 3; F083, C20, B16
    scene = talking(opened("m1"), audio("m1", 2000), closing("m1"), heard_ms=500, at=0.5, clock=Clock(pause=False))
    scene.pause()
    scene.flushed(1, 500)
    second = scene.at(1.0).resume()
    scene.at(1.3).pause()
    scene.flushed(2, 300)
    third = scene.at(2.0).resume()
    assert (sounded(second), sounded(third), sent(scene.at(2.4).barge_in(400))) == (
        pcm("m1", 1500, start_ms=500),
        pcm("m1", 1200, start_ms=800),
        [truncate("m1", 1200)],
    )


def test_a_pause_by_flush_of_a_split_hand_over_goes_on_at_the_heard_sample() -> None:  # DESIGN 3; F083
    scene = talking(*(audio("m1", 100, start_ms=n * 100) for n in range(10)), clock=Clock(pause=False))
    scene.at(0.25).pause()
    scene.flushed_samples(1, 6001)
    assert sounded(scene.at(1.0).resume()) == pcm("m1", 1000)[12_002:]


def test_a_resume_before_the_pause_s_flush_is_answered_loses_and_repeats_nothing() -> None:  # DESIGN 3; F083, C20
    scene = talking(opened("m1"), audio("m1", 4000), heard_ms=1000, at=1.0, clock=Clock(pause=False))
    scene.pause()
    early = scene.at(1.1).resume()
    assert (sounded(early), sounded(scene.at(1.2).flushed(1, 1050))) == (b"", pcm("m1", 2950, start_ms=1050))


@pytest.mark.parametrize("can_pause", [True, False])
def test_a_pause_of_silence_loses_nothing_that_comes_then(can_pause: bool) -> None:  # B16, F080
    scene = ready(clock=Clock(pause=can_pause))
    scene.pause()
    scene.server(created("r1"), message("m1", 500), done("r1"))
    scene.at(1.0).resume()
    assert (sounded(scene.log), verdicts(scene.at(1.5).played(1, 500))) == (pcm("m1", 500), [ended("m1", "full", 500)])


def test_a_clock_that_cannot_pause_gets_nothing_during_a_pause() -> None:  # DESIGN 3; F080
    scene = ready(clock=Clock(pause=False))
    scene.pause()
    assert sounded(scene.server(created("r1"), message("m1", 500), done("r1"))) == b""


def test_audio_that_comes_during_a_pause_is_played_after_it() -> None:  # B16, F080
    scene = talking(opened("m1"), audio("m1", 1000), heard_ms=500, at=0.5)
    scene.pause()
    scene.server(audio("m1", 500, start_ms=1000), closing("m1"), done("r1"))
    scene.at(1.0).resume()
    assert (sounded(scene.log), verdicts(scene.at(2.0).played(1, 1500))) == (pcm("m1", 1500), [ended("m1", "full", 1500)])


# -- formats -----------------------------------------------------------------------------------------------------------


def test_pcm16_has_48_bytes_a_millisecond() -> None:  # C22
    scene = talking(opened("m1"), audio("m1", raw=bytes(48_000)), at=0.5)
    scene.server(speech_started())
    assert sent(scene.flushed_samples(1, 12_000)) == [truncate("m1", 500)]


@pytest.mark.parametrize(("output", "format"), [(ULAW, PCMU), (ALAW, PCMA)])
def test_g711_has_8_bytes_a_millisecond(output: Event, format: AudioFormat) -> None:  # C22, F009
    scene = talking(opened("m1"), audio("m1", raw=bytes(29_600)), at=3.76, output=output)
    handed = [e.format for e in scene.log if isinstance(e, Play)]
    scene.server(speech_started())
    assert (handed, sent(scene.flushed_samples(1, 30_080))) == ([format], [truncate("m1", 3700)])


@pytest.mark.parametrize(
    ("output", "format"),
    [
        (PCM, PCM16_24K),
        ({"type": "audio/pcm"}, PCM16_24K),
        ("pcm16", PCM16_24K),
        (ULAW, PCMU),
        ("audio/pcmu", PCMU),
        ("g711_ulaw", PCMU),
        (ALAW, PCMA),
        ("g711_alaw", PCMA),
    ],
)
def test_a_format_is_understood_in_every_spelling(output: object, format: AudioFormat) -> None:  # F016
    assert ready(output=output).session.output_format == format


def test_an_unknown_format_is_an_error_and_not_a_guess() -> None:  # F016
    [end] = told(ready().server(session_updated(output={"type": "audio/opus", "rate": 48_000})), SessionClosed)
    assert (end.reason, end.problem and end.problem.code) == ("fatal_error", "unsupported_format")


def test_half_a_sample_is_carried_to_the_next_delta() -> None:  # B27, C22
    data = pcm("m1", 30)
    scene = talking(opened("m1"))
    effects = scene.server(*(audio("m1", raw=data[a:b]) for a, b in ((0, 101), (101, 102), (102, 777), (777, len(data)))))
    assert sounded(effects) == data


def test_half_a_sample_of_one_message_is_not_carried_into_another() -> None:  # B27, C22
    scene = talking(opened("m1"), audio("m1", raw=pcm("m1", 10) + b"\x7f"))
    effects = scene.server(closing("m1"), message("m2", 10, index=1))
    assert sounded(effects) == pcm("m2", 10)


def test_audio_before_the_acknowledgement_is_kept_until_its_format_is_known() -> None:  # C22
    scene = Scene()
    scene.open()
    scene.connected()
    scene.server(session_created())
    early = scene.server(created("r1"), opened("m1"), audio("m1", raw=bytes(800)))
    later = scene.server(session_updated(output=ULAW))
    assert ([e for e in early if isinstance(e, Play)], [(e.format, len(e.pcm)) for e in later if isinstance(e, Play)]) == (
        [],
        [(PCMU, 800)],
    )


def test_another_format_begins_the_next_generation_after_all_was_heard() -> None:  # C22, DESIGN 3: each generation has one format
    scene = spoken(message("m1", 1000))
    waiting = scene.server(session_updated(output=ULAW), created("r2"), opened("m2", r="r2"), audio("m2", raw=bytes(800), r="r2"))
    waiting += scene.at(0.5).played(1, 999)
    handed = [e for e in scene.at(1.0).played(1, 1000) if isinstance(e, Play)]
    assert (sounded(waiting), [(e.format, e.generation, len(e.pcm)) for e in handed]) == (b"", [(PCMU, 2, 800)])


def test_a_message_begun_before_the_change_keeps_its_format() -> None:  # C22: applies to later items only; F152
    scene = talking(opened("m1"), audio("m1", 100))
    effects = scene.server(session_updated(output=ULAW), audio("m1", 100, start_ms=100))
    assert [(e.format, e.generation, len(e.pcm)) for e in effects if isinstance(e, Play)] == [(PCM16_24K, 1, 4800)]


def test_a_cut_while_another_format_waits_deletes_what_waited() -> None:  # C22, B04
    scene = spoken(message("m1", 1000))
    scene.server(session_updated(output=ULAW), created("r2"), opened("m2", r="r2"), audio("m2", raw=bytes(800), r="r2"))
    scene.server(closing("m2", r="r2"), done("r2"))
    assert sent(scene.at(0.5).barge_in(500)) == [truncate("m1", 500), delete("m2")]


def test_a_sample_that_waits_in_the_clock_is_known_by_its_part() -> None:  # DESIGN 3: positions map to segments
    scene = spoken(message("m1", 1000), message("m2", 500, index=1))
    part = scene.session.part_at

    def item(sample: int, generation: int = 1) -> str | None:
        found = part(generation, sample)
        return found.item_id if found is not None else None

    assert [item(0), item(23_999), item(24_000), item(35_999), item(36_000), item(0, 2)] == ["m1", "m1", "m2", "m2", None, None]
    assert part(1, 0) == PartView("r1", "m1", 0)
    scene.at(1.0).played(1, 1000)
    assert [item(0), item(24_000)] == [None, "m2"]  # what was heard is nobody's any more
    scene.at(1.2).server(speech_started())
    assert item(30_000) == "m2"  # its flush is not answered yet
    scene.flushed(1, 1200)
    assert item(30_000) is None


# -- effort ------------------------------------------------------------------------------------------------------------


def test_a_delta_makes_one_play_and_no_request_for_reports() -> None:  # B31, F020
    scene = talking(opened("m1"))
    [effect] = scene.raw(encode(audio("m1", 20)[0]))
    assert effect == Play(pcm("m1", 20), PCM16_24K, 1)


def test_a_finished_response_leaves_nothing_in_memory() -> None:  # C10, C29: no growth after response.done; F157
    scene = ready()
    for n in range(50):
        scene.server(created(f"r{n}"), message(f"m{n}", 100, r=f"r{n}"), done(f"r{n}"))
        scene.at(scene.now + 0.1).played(1, (n + 1) * 100)
    assert (scene.session.segments, scene.session.speaking, kinds(scene.log)[1:]) == ((), False, [])
