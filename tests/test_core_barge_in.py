"""Interruptions that were none: pause at once, then decide (DESIGN section 4; B16 to B19, F118, F120, F121)."""

import random
from typing import Any

import pytest
from helpers.scene import (
    Scene,
    acts,
    cancel,
    configured,
    create,
    delete,
    ended,
    interrupted,
    kinds,
    outcomes,
    play,
    ready,
    sent,
    settled,
    sounded,
    told,
    truncate,
    verdicts,
)
from helpers.wire import (
    CLIENT_VAD,
    Event,
    active_response,
    announce,
    audio,
    audio_done,
    call,
    cancelled,
    closing,
    committed,
    created,
    done,
    item_done,
    message,
    opened,
    part_added,
    part_done,
    pcm,
    session_created,
    session_updated,
    speech_started,
    speech_stopped,
    truncated,
    turn,
    user_item,
    user_transcript,
    user_words,
)

from rtcore import (
    Clock,
    ClockFault,
    Disconnection,
    FalseInterruption,
    Flush,
    Interrupted,
    InterruptionPending,
    LocalProtocolError,
    MessageEnded,
    Pause,
    PolicyFailed,
    RequestEnded,
    Resume,
    Verdict,
)
from rtcore.config import BargeIn, Playout
from rtcore.policies import (
    CUT,
    IGNORE,
    InterruptionAnswer,
    InterruptionView,
    Policies,
    count_words,
    defer,
    pause,
    pause_then_decide,
    plain_words,
)
from rtcore.sim._audit_pending import said_in

HEARS: dict[str, Any] = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}
CAN_PAUSE, CANNOT = Clock(), Clock(pause=False)
CLOCKS = pytest.mark.parametrize("clock", [CAN_PAUSE, CANNOT], ids=["a clock that can pause", "a clock that cannot"])


def pausing(*, heard_ms: int = 1000, silence_ms: int = 0, words: bool = False, clock: Clock = CAN_PAUSE, **rules: Any) -> Scene:
    """A session that pauses and then decides; 4 s of m1 have arrived, ``heard_ms`` of them were heard at that time."""
    config = configured(interruption="pause", barge_in=BargeIn(**rules), **({"session": HEARS} if words else {}))
    detection: Event = {**CLIENT_VAD, "silence_duration_ms": silence_ms}
    heard = {"model": "whisper-1"} if words else None
    scene = ready(config, clock=clock, turn_detection=detection, transcription=heard)
    scene.server(created("r1"), opened("m1"), audio("m1", 4000), closing("m1"), done("r1"))
    scene.at(heard_ms / 1000)
    if heard_ms:
        scene.played(1, heard_ms)
    return scene


# -- a false interruption ----------------------------------------------------------------------------------------------


@CLOCKS
def test_a_cough_holds_the_sound_and_it_goes_on_with_the_next_sample(clock: Clock) -> None:  # B18, F121
    scene = pausing(min_duration_ms=None, clock=clock)
    held = scene.server(speech_started())
    answer = scene.answering([], 0) + [e for f in held if isinstance(f, Flush) for e in scene.flushed(f.generation, 1000)]
    scene.at(1.2).server(speech_stopped())
    early = scene.at(3.19).tick()
    went_on = scene.at(3.2).tick()
    assert early + answer == []
    assert told(held, InterruptionPending) == [InterruptionPending("server", "u1", True)]
    assert told(went_on, FalseInterruption) == [FalseInterruption("server", "u1", 2200, False)]
    rest = b"" if clock.pause else pcm("m1", 3000, start_ms=1000)
    assert (sounded(went_on), sent(held + early + went_on)) == (rest, [])
    assert acts(went_on)[:1] == ([Resume(1)] if clock.pause else [play(2, 3000)])


def test_a_pause_that_the_clock_answers_too_late_stands_where_it_was_estimated() -> None:  # B18, B29: a late ack is ignored
    scene = pausing(min_duration_ms=None, clock=CANNOT)
    scene.server(speech_started())
    estimated = scene.at(1.9).tick()
    late = scene.at(2.0).flushed(1, 4000)
    scene.at(2.1).server(speech_stopped())
    cut = scene.server(committed())
    assert [(fault.generation, late) for fault in told(estimated, ClockFault)] == [(1, [])]
    assert sent(cut)[:1] == [truncate("m1", 1000)]
    assert [(end.heard_ms, end.estimated) for end in told(cut, MessageEnded)] == [(1000, True)]


def test_a_turn_that_is_committed_in_time_cuts_at_the_paused_sample() -> None:  # B18
    scene = pausing(min_duration_ms=None)
    scene.server(speech_started())
    scene.at(1.2).server(speech_stopped())
    cut = scene.answering(scene.at(2.9).server(committed()), 1000)
    assert acts(cut) == [Flush(1), truncate("m1", 1000), ended("m1", "partial", 1000), interrupted("m1")]
    assert told(scene.at(9.0).tick(), FalseInterruption) == []


def test_the_timer_and_the_commit_at_one_time_are_an_interruption() -> None:  # B18: commit wins
    scene = pausing(min_duration_ms=None)
    scene.server(speech_started())
    scene.at(1.2).server(speech_stopped())
    assert acts(scene.at(3.2).server(committed()))[:1] == [Flush(1)]


def test_the_turn_that_cut_is_answered_and_one_that_was_nothing_is_not() -> None:  # B18, F121
    real, nothing = pausing(min_duration_ms=None), pausing()
    real.server(speech_started())
    real.answering(real.at(1.3).server(speech_stopped(), committed()), 1000)
    answered = real.server([{"type": "conversation.item.truncated", "item_id": "m1", "content_index": 0, "audio_end_ms": 1000}])
    nothing.server(speech_started())
    effects = nothing.at(1.3).server(speech_stopped(), committed(), user_item())
    assert sent(answered) == [create(1)]
    assert (sent(effects + nothing.at(20.0).tick()), told(effects, FalseInterruption)) == (
        [],
        [FalseInterruption("server", "u1", 300, False)],
    )


def test_a_turn_that_is_committed_after_the_sound_went_on_interrupts_it_after_all() -> None:  # F121
    scene = pausing(min_duration_ms=None)
    scene.server(speech_started())
    scene.at(1.2).server(speech_stopped())
    scene.at(3.2).tick()
    scene.at(3.5).played(1, 1300)
    assert acts(scene.answering(scene.server(committed()), 1300))[:2] == [Flush(1), truncate("m1", 1300)]


def test_what_is_generated_during_the_pause_waits_and_is_heard_after_it() -> None:  # B16, B18, F080
    scene = ready(configured(interruption="pause"), turn_detection=CLIENT_VAD)
    scene.server(created("r1"), opened("m1"), audio("m1", 1000))
    scene.at(0.5).played(1, 500)
    scene.server(speech_started())
    scene.at(0.6).server(audio("m1", 1000, start_ms=1000), closing("m1"), done("r1"), speech_stopped())
    scene.at(2.6).tick()
    assert (sounded(scene.log), sent(scene.log)[1:]) == (pcm("m1", 2000), [])


def test_an_answer_that_had_not_begun_to_sound_waits_for_the_decision() -> None:  # F120: the cough before the reply
    scene = ready(configured(interruption="pause"), turn_detection=CLIENT_VAD, clock=CANNOT)
    scene.server(created("r1"))
    held = scene.server(speech_started())
    during = scene.at(0.1).server(message("m1", 500), done("r1"), speech_stopped())
    went_on = scene.at(2.1).tick()
    assert (acts(held), sounded(during), sounded(went_on)) == ([], b"", pcm("m1", 500))


# -- a real one --------------------------------------------------------------------------------------------------------


def test_shorter_speech_than_the_minimum_only_pauses() -> None:  # B19
    scene = pausing(min_duration_ms=500)
    begun = scene.server(speech_started())
    ended_early = scene.at(1.3).server(speech_stopped())
    assert acts(begun + ended_early + scene.at(2.0).tick()) == [Pause(1)]


@pytest.mark.parametrize("silence_ms", [0, 500])
def test_speech_as_long_as_the_minimum_interrupts(silence_ms: int) -> None:  # B19; a detector's silence is no speech
    scene = pausing(min_duration_ms=500, silence_ms=silence_ms)
    scene.server(speech_started())
    due = 1.5 + silence_ms / 1000
    early = scene.at(due - 0.001).tick()
    cut = scene.answering(scene.at(due).tick(), 1000)
    assert (early, acts(cut)) == ([], [Flush(1), truncate("m1", 1000), ended("m1", "partial", 1000), interrupted("m1")])


def test_the_silence_that_ends_a_turn_does_not_make_a_cough_long() -> None:  # B19, facts 8.1
    scene = pausing(min_duration_ms=500, silence_ms=500)
    scene.server(speech_started())
    effects = scene.at(1.8).server(speech_stopped(), committed())  # 300 ms, and 500 ms of silence
    assert acts(effects) == [Resume(1)]


def test_a_response_that_still_runs_is_cancelled_by_id_when_it_is_cut() -> None:  # B07, B18: cancel is ours
    scene = ready(configured(interruption="pause"), turn_detection=CLIENT_VAD)
    scene.server(created("r1"), opened("m1"), audio("m1", 1000))
    scene.at(0.5).played(1, 500)
    scene.server(speech_started())
    assert acts(scene.at(1.5).tick()) == [Flush(1), cancel("r1")]


def test_words_interrupt_once_there_are_enough() -> None:  # B19
    scene = pausing(min_duration_ms=None, min_words=2, words=True)
    scene.server(speech_started())
    one = scene.at(1.1).server(user_words(delta="Stop"))
    assert (acts(one), acts(scene.server(user_words(delta=" it")))) == ([], [Flush(1)])


@pytest.mark.parametrize("said", ["", "Mhm.", "uh-huh, okay", "Yeah, right!"])
def test_a_transcript_without_a_word_that_means_anything_lets_the_model_go_on(said: str) -> None:  # B19, F121: backchannels
    scene = pausing(words=True)
    scene.server(speech_started())
    waits = scene.at(1.3).server(speech_stopped(), committed())
    went_on = scene.at(1.7).server(user_transcript("u1", said))
    assert (acts(waits), acts(went_on), sent(scene.at(9.0).tick())) == ([], [Resume(1)], [])


def test_the_timer_holds_while_the_words_are_on_their_way() -> None:  # F121
    scene = pausing(words=True, false_interruption_ms=2000)
    scene.server(speech_started())
    scene.at(1.2).server(speech_stopped(), committed())
    assert (acts(scene.at(3.1).tick()), acts(scene.at(3.15).server(user_transcript("u1", "No, wait.")))) == ([], [Flush(1)])


def test_words_that_come_after_the_sound_went_on_interrupt_it_after_all() -> None:  # F121
    scene = pausing(words=True, false_interruption_ms=500)
    scene.server(speech_started())
    scene.at(1.2).server(speech_stopped(), committed())
    went_on = scene.at(1.7).tick()
    late = scene.at(2.5).server(user_transcript("u1", "No, wait."))
    assert (acts(went_on), acts(late)[:1]) == ([Resume(1)], [Flush(1)])


def test_a_transcription_that_fails_leaves_the_length_to_decide() -> None:  # B19, F116
    scene = pausing(words=True)
    scene.server(speech_started())
    scene.at(1.2).server(speech_stopped(), committed())
    failed = {"type": "conversation.item.input_audio_transcription.failed", "item_id": "u1", "content_index": 0, "error": {}}
    assert acts(scene.server([failed])) == [Resume(1)]


def test_nothing_is_cut_before_the_turn_where_that_is_asked_for() -> None:  # B19: wait for a committed turn
    scene = pausing(wait_for_turn=True)
    scene.server(speech_started())
    waits = scene.at(4.0).tick()
    assert (acts(waits), acts(scene.at(4.5).server(speech_stopped(), committed()))) == ([], [Flush(1)])


def test_who_speaks_on_is_waited_for_and_both_turns_get_one_answer() -> None:  # B18, C15
    scene = pausing(words=True)
    scene.server(speech_started("u1"))
    scene.at(1.2).server(speech_stopped("u1"), committed("u1"))
    again = scene.at(1.5).server(speech_started("u2"))
    scene.at(1.7).server(speech_stopped("u2"), committed("u2"), user_transcript("u1", "Hm."))
    cut = scene.answering(scene.at(2.0).server(user_transcript("u2", "Not that.")), 1000)
    freed = scene.server([{"type": "conversation.item.truncated", "item_id": "m1", "content_index": 0, "audio_end_ms": 1000}])
    assert (acts(again), acts(cut)[:1], sent(freed)) == ([], [Flush(1)], [create(1)])


def test_speech_whose_end_is_never_told_does_not_hold_the_sound_for_ever() -> None:  # F127, invariant 12
    scene = pausing(min_duration_ms=None)
    scene.server(speech_started())
    assert (acts(scene.at(60.9).tick()), acts(scene.at(61.0).tick())[:1]) == ([], [Flush(1)])


@CLOCKS
def test_the_last_sample_of_a_message_that_counts_as_heard_is_not_heard_after_the_cut(clock: Clock) -> None:  # B02, B18
    scene = ready(configured(interruption="pause"), turn_detection=CLIENT_VAD, clock=clock)
    scene.server(created("r1"), message("m1", 500), done("r1"))
    scene.at(0.5).played_samples(1, 11_999)
    scene.respond()
    scene.server(created("r2", request=1))
    held = scene.server(speech_started())
    heard = [e for f in held if isinstance(f, Flush) for e in scene.flushed_samples(1, 11_999)]
    scene.at(0.6).server(message("m2", 500, r="r2"), done("r2", request=1))
    cut = scene.at(1.5).tick()
    cut += [e for f in cut if isinstance(f, Flush) for e in scene.flushed_samples(f.generation, 11_999)]
    assert (sounded(heard + cut), [a for a in acts(cut) if isinstance(a, tuple) and a[0] == "ended"]) == (
        b"",
        [ended("m2", "skipped", 0)],
    )


def test_a_clock_that_was_held_for_long_has_all_its_time_when_the_cut_lets_it_go_on() -> None:  # B18, B29: it reports no silence
    scene = ready(configured(interruption="pause", barge_in={"min_duration_ms": 6000}), turn_detection=CLIENT_VAD)
    scene.server(created("r1"), message("m1", 500), done("r1"))
    scene.at(0.5).played_samples(1, 11_999)
    scene.respond()
    held = scene.server(created("r2", request=1), opened("m2", r="r2"), speech_started())
    cut = scene.at(7.0).tick()
    later = scene.at(7.02).tick() + scene.at(7.04).played_samples(1, 12_000)
    assert (acts(held)[:1], Resume(1) in cut, told(cut + later, ClockFault)) == ([Pause(1)], True, [])


@pytest.mark.parametrize("left", [0, 1, 2])
def test_of_a_part_behind_which_its_message_goes_on_the_last_sample_is_heard_after_a_pause(left: int) -> None:  # B02, B18, F083
    scene = ready(clock=Clock(pause=False))
    first = opened("m1") + audio("m1", 500) + audio_done("m1") + part_done("m1")
    second = part_added("m1", part=1) + audio("m1", 300, part=1) + audio_done("m1", part=1) + part_done("m1", part=1)
    scene.server(created("r1"), first, second, item_done("m1"), done("r1"))
    scene.at(0.5).pause()
    scene.flushed_samples(1, 12_000 - left)
    effects = scene.at(1.0).resume()
    assert sounded(effects) == pcm("m1", 500)[24_000 - 2 * left :] + pcm("m1", 300, part=1)
    over = scene.at(1.5).played_samples(2, 7_200 + left)
    assert [(notice.verdict.value, notice.heard_ms) for notice in told(over, MessageEnded)] == [("full", 800)]


# -- beside other interruptions and pauses -----------------------------------------------------------------------------


def test_the_program_s_interruption_ends_the_wait_and_drops_the_turn() -> None:  # C12
    scene = pausing(words=True)
    scene.server(speech_started())
    scene.at(1.2).server(speech_stopped(), committed())
    cut = scene.answering(scene.interrupt(), 1000)
    later = scene.at(9.0).server(user_transcript("u1", "Stop that."))
    assert (acts(cut)[:2], sent(later)) == ([Flush(1), truncate("m1", 1000)], [])


def test_a_pause_of_the_program_s_outlives_a_false_interruption() -> None:  # B16, B18
    scene = pausing()
    scene.pause()
    scene.at(1.1).server(speech_started())
    over = scene.at(1.2).server(speech_stopped()) + scene.at(3.2).tick()
    assert (acts(over), told(over, FalseInterruption) != [], acts(scene.at(4.0).resume())) == ([], True, [Resume(1)])


def test_what_was_asked_for_after_the_voice_began_is_not_cut_by_it_though_it_was_refused() -> None:  # B13, B18
    """It may be the answer, whatever holds the slot; and a refusal that names nothing leaves open whether it runs already."""
    scene = pausing()
    scene.server(speech_started())
    asked = sent(scene.at(1.1).respond())
    scene.server(active_response())
    cut = scene.answering(scene.at(1.5).tick(), 1000)
    scene.server(truncated("m1", 1000))
    again = scene.at(11.2).tick()
    assert (len(asked), acts(cut)[:1], told(cut, RequestEnded)) == (1, [Flush(1)], [])
    assert [event["type"] for event in sent(again)] == ["response.create"]


def test_a_device_that_vanishes_ends_the_wait_and_the_turn_is_answered() -> None:  # F100, B18
    scene = pausing(min_duration_ms=None, words=True)
    scene.server(speech_started())
    scene.at(1.3).server(speech_stopped(), committed(), user_item())
    effects = scene.device("lost")
    assert truncate("m1", 1000) in sent(effects)
    acknowledged = scene.server(
        [{"type": "conversation.item.truncated", "item_id": "m1", "content_index": 0, "audio_end_ms": 1000}]
    )
    assert sent(acknowledged) == [create(1)]


def test_a_device_that_vanishes_with_nothing_to_cut_leaves_no_turn_unanswered() -> None:  # F100, B18
    scene = pausing(min_duration_ms=None, words=True)
    scene.server(speech_started())
    scene.at(1.3).server(speech_stopped(), committed(), user_item())
    scene.played(1, 4000)  # a late pause let it sound to its end
    assert sent(scene.device("lost")) == [create(1)]


def test_a_device_that_is_gone_is_not_paused_and_its_successor_gets_nothing_until_it_is_decided() -> None:  # F100, B16
    scene = pausing(min_duration_ms=None, heard_ms=0)
    scene.session.played(1, 95_999, now=4.0)  # one sample short of its end, which counts as heard
    scene.at(4.0).device("lost")
    scene.server(created("r2"), message("m2", 2000, r="r2"), done("r2"))
    held = scene.at(4.1).server(speech_started()) + scene.at(4.2).server(speech_stopped()) + scene.at(5.0).device("ready")
    assert (acts(held), acts(scene.at(6.2).tick())) == ([], [play(1, 2000)])


def test_a_device_that_vanishes_while_it_is_paused_comes_back_without_a_pause() -> None:  # F100, B16
    scene = pausing(heard_ms=0)
    scene.pause()
    scene.session.played(1, 96_000, now=0.1)  # a late pause let it sound to its end
    scene.at(4.0).device("lost")
    scene.server(created("r2"), message("m2", 2000, r="r2"), done("r2"))
    assert (acts(scene.at(5.0).device("ready")), acts(scene.at(6.0).resume())[-1:]) == ([], [play(1, 2000)])


def test_resume_does_not_end_a_decision() -> None:  # B16, B18
    scene = pausing()
    scene.server(speech_started())
    assert (acts(scene.at(1.1).pause() + scene.resume()), acts(scene.at(1.5).tick())) == ([], [Flush(1)])


def test_a_server_that_cancels_all_the_same_has_interrupted() -> None:  # DESIGN 4: whichever is first
    scene = ready(configured(interruption="pause"), turn_detection=CLIENT_VAD)
    scene.server(created("r1"), opened("m1"), audio("m1", 1000))
    scene.at(0.5).played(1, 500)
    scene.server(speech_started())
    assert acts(scene.answering(scene.at(0.6).server(cancelled("r1")), 500)) == [
        Flush(1),
        truncate("m1", 500),
        ended("m1", "partial", 500),
        interrupted("m1"),
    ]


def test_a_tool_s_answer_waits_for_the_decision() -> None:  # C16
    scene = ready(configured(interruption="pause"), turn_detection=CLIENT_VAD)
    scene.server(created("r1"), message("m1", 2000), call("c1", index=1), done("r1"))
    scene.at(0.5).played(1, 500)
    scene.server(speech_started())
    during = scene.at(0.6).server(speech_stopped()) + scene.tool_result("c1", "ok")
    after = scene.at(2.6).tick()
    assert ([event["type"] for event in sent(during)], sent(after)) == (["conversation.item.create"], [create(2)])


@CLOCKS
def test_a_thousand_pauses_at_random_samples_lose_and_repeat_nothing(clock: Clock) -> None:  # B16, B17, B18, C20
    """What was audible of each generation, joined, is the message: every sample once; the position is exact to the sample."""
    rng = random.Random(7)
    rules = BargeIn(min_duration_ms=None, false_interruption_ms=1000)
    config = configured(interruption="pause", barge_in=rules, playout=Playout(lead_ms=100))
    scene = ready(config, clock=clock, turn_detection=CLIENT_VAD)
    whole = pcm("m1", 16_000)
    scene.server(created("r1"), opened("m1"), *(audio("m1", raw=whole[at : at + 48_000]) for at in range(0, len(whole), 48_000)))
    scene.server(closing("m1"), done("r1"))
    generation, heard, before, audible = 1, 0, 0, b""
    handed = sounded(scene.log)
    scene.log.clear()
    for number in range(1000):
        heard += rng.randint(1, 700)
        scene.now += 0.03
        handed += sounded(scene.played_samples(generation, heard - before))
        held = scene.server(speech_started(f"u{number}"))
        assert acts(held) == [Pause(generation) if clock.pause else Flush(generation)]
        if not clock.pause:
            scene.flushed_samples(generation, heard - before)
            audible += handed[: 2 * (heard - before)]
            generation, before, handed = generation + 1, heard, b""
        scene.now += 0.1
        scene.server(speech_stopped(f"u{number}"))
        scene.now += 1.0
        went_on = scene.tick()
        assert [notice.item_id for notice in told(went_on, FalseInterruption)] == [f"u{number}"]
        assert (Resume(generation) in went_on) is clock.pause
        handed += sounded(went_on)
    assert sent(scene.log) == []
    audible += handed[: 2 * (heard - before)]
    assert audible == whole[: 2 * heard]
    assert [(segment.heard, segment.discarded) for segment in scene.session.segments] == [(heard, 0)]
    scene.server(speech_started("last"))
    if not clock.pause:
        scene.flushed_samples(generation, heard - before)
    cut = scene.server(speech_stopped("last"), committed("last"))
    if clock.pause:
        cut += scene.flushed_samples(generation, heard - before)
    assert sent(cut) == [truncate("m1", heard // 24)]


@pytest.mark.parametrize("committed_before", [True, False])
def test_a_decision_does_not_wait_for_a_server_that_is_gone(committed_before: bool) -> None:  # F127, S08
    scene = pausing(words=True)
    scene.server(speech_started())
    if committed_before:
        scene.at(1.2).server(speech_stopped(), committed())
    lost = scene.at(1.3).disconnected(Disconnection(error="the line is gone"))
    later = scene.at(3.3).tick()
    when = 0 if committed_before else 1
    assert [len(told(effects, FalseInterruption)) for effects in (lost, later)] == [1 - when, when]
    assert Resume(1) in (lost, later)[when]


def test_what_was_asked_for_after_the_voice_began_is_not_cut_by_it() -> None:  # B18, B08: no friendly fire
    scene = pausing(min_duration_ms=None)
    scene.server(speech_started())
    scene.at(1.1).respond()
    scene.server(created("r2", request=1), message("m2", 700, r="r2"), done("r2", request=1))
    scene.at(1.2).server(speech_stopped())
    cut = scene.answering(scene.at(1.3).server(committed()), 1000)
    assert [act for act in acts(cut) if isinstance(act, tuple)] == [play(2, 700), ended("m1", "partial", 1000), interrupted("m1")]


def test_the_program_s_own_commit_says_that_it_is_a_turn() -> None:  # B18: push to talk beside a local detector
    config = configured(interruption="pause", session={**HEARS})
    scene = ready(config, turn_detection=None, transcription={"model": "whisper-1"})
    scene.server(created("r1"), message("m1", 4000), done("r1"))
    scene.at(1.0).played(1, 1000)
    held = scene.local_speech()
    scene.append(pcm("voice", 200))
    scene.commit()
    assert (acts(held), acts(scene.at(1.1).server(committed()))[:1]) == ([Pause(1)], [Flush(1)])


# -- uninterruptible messages ------------------------------------------------------------------------------------------


def reading(*, heard_ms: int = 500) -> Scene:
    """A disclaimer that no voice interrupts is being heard."""
    scene = ready(configured(), turn_detection=CLIENT_VAD)
    scene.respond(interruptible=False)
    scene.server(created("r1", request=1), message("m1", 2000), done("r1", request=1))
    scene.at(heard_ms / 1000).played(1, heard_ms)
    return scene


def test_a_voice_does_not_interrupt_what_is_uninterruptible() -> None:  # F054
    scene = reading()
    assert acts(scene.server(speech_started())) == []


def test_what_was_said_into_an_uninterruptible_message_is_answered() -> None:  # F054, F120
    scene = reading()
    scene.server(speech_started())
    assert sent(scene.at(1.0).server(turn())) == [create(2)]


def _over_a_notice(mode: str, *, speaks_on: bool) -> Scene:
    """Speech begins over a notice that no voice interrupts, and an answer comes behind it."""
    scene = ready(configured(interruption=mode), turn_detection=CLIENT_VAD)
    scene._issued(scene.session.say(pcm("notice", 1000), "A legal notice.", interruptible=False, now=0.0))
    scene.server(created("r1"), message("m1", 3000), done("r1"))
    scene.at(0.8).played(1, 800)
    scene.server(speech_started())
    if not speaks_on:
        scene.at(0.9).server(speech_stopped())
    return scene


def test_who_speaks_on_into_the_answer_behind_an_uninterruptible_notice_interrupts_it() -> None:  # F054, B16
    scene = _over_a_notice("cut", speaks_on=True)
    assert acts(scene.at(1.0).played(1, 1000)) == [ended("item_00000000_2", "full", 1000), settled(1, "done")]
    assert acts(scene.at(1.02).played(1, 1020) + scene.tick())[0] == Flush(1)
    assert [each.cause for each in told(scene.flushed(1, 1020), Interrupted)] == ["server"]

    scene = _over_a_notice("pause", speaks_on=True)
    held = scene.at(1.02).played(1, 1020) + scene.tick()
    assert [type(each) for each in held if isinstance(each, Pause | InterruptionPending)] == [Pause, InterruptionPending]
    assert scene.session.deadline is not None
    assert Flush(1) in scene.at(scene.session.deadline.at).tick()


def test_who_has_fallen_silent_by_then_does_not() -> None:  # F054
    scene = _over_a_notice("cut", speaks_on=False)
    assert Flush(1) not in [*scene.at(1.02).played(1, 1020), *scene.tick()]


def test_the_program_interrupts_what_is_uninterruptible() -> None:  # F037, C12
    scene = reading()
    assert acts(scene.answering(scene.interrupt(), 500))[:2] == [Flush(1), truncate("m1", 500)]


def test_a_cut_spares_what_waits_behind_it_and_is_uninterruptible() -> None:  # F054
    scene = ready(configured(), turn_detection=CLIENT_VAD)
    scene.server(created("r1"), message("m1", 1000), done("r1"))
    scene.respond(interruptible=False)
    scene.server(created("r2", request=1), message("m2", 700, r="r2"), done("r2", request=1))
    scene.at(0.5).played(1, 500)
    cut = scene.answering(scene.server(speech_started()), 500)
    assert acts(cut) == [
        Flush(1),
        play(2, 700),
        truncate("m1", 500),
        ended("m1", "partial", 500),
        interrupted("m1"),
    ]


def test_a_server_that_interrupts_by_itself_cannot_be_kept_from_it() -> None:  # F054
    scene = ready()
    with pytest.raises(LocalProtocolError, match=r"interruptible: False needs .*interrupt_response=False"):
        scene.respond(interruptible=False)


@pytest.mark.parametrize("cancel_first", [True, False])
def test_a_server_that_cancels_its_response_does_not_cut_the_notice_before_it(cancel_first: bool) -> None:  # F054, facts 4.9
    scene = ready()
    scene._issued(scene.session.say(pcm("notice", 3000), "A legal notice.", interruptible=False, now=0.0))
    scene.server(created("r1"), opened("m1"), audio("m1", 500))
    scene.at(1.0).played(1, 1000)
    voice = [cancelled("r1"), speech_started("u1")]
    cut = [scene.answering(scene.server(each), 1000) for each in (voice if cancel_first else reversed(voice))]
    spared = [Flush(1), play(2, 2000), delete("m1"), ended("m1", "skipped", 0), interrupted(skipped=["m1"])]
    assert [acts(each) for each in cut] == ([spared, []] if cancel_first else [[], spared])
    assert verdicts(scene.at(3.0).played(2, 2000)) == [ended("item_00000000_2", "full", 3000)]


def test_a_server_that_cancels_what_is_uninterruptible_all_the_same_has_cut_it() -> None:  # F054, DESIGN 4
    scene = ready(configured(), turn_detection=CLIENT_VAD)
    scene.respond(interruptible=False)
    scene.server(created("r1", request=1), opened("m1"), audio("m1", 2000))
    scene._issued(scene.session.say(pcm("notice", 700), interruptible=False, now=scene.now))
    scene.at(0.5).played(1, 500)
    cut = scene.answering(scene.server(done("r1", "cancelled", "turn_detected", request=1)), 500)
    assert acts(cut) == [
        Flush(1),
        play(2, 700),
        settled(1, "cancelled"),
        truncate("m1", 500),
        ended("m1", "partial", 500),
        interrupted("m1"),
    ]


# -- an answer that was cut for nothing --------------------------------------------------------------------------------


def answer_lost(*, heard_ms: int = 0) -> tuple[Scene, list[Any]]:
    """The user made a turn; its answer was cut by a cough when ``heard_ms`` of it had been heard."""
    scene = ready(configured(), turn_detection=CLIENT_VAD)
    scene.server(speech_started(), turn())
    scene.server(created("r1", request=1), opened("m1"), audio("m1", 1000))
    scene.at(1.0)
    if heard_ms:
        scene.played(1, heard_ms)
    effects = scene.answering(scene.server(speech_started("u2")), heard_ms)
    deleted = [{"type": "conversation.item.deleted", "item_id": "m1"}]
    return scene, effects + scene.server(done("r1", "cancelled", "client_cancelled", request=1), deleted)


def test_a_turn_that_was_cut_for_nothing_and_never_answered_is_answered() -> None:  # F120
    scene, _ = answer_lost()
    scene.at(1.2).server(speech_stopped("u2"))
    early, answer = scene.at(3.1).tick(), scene.at(3.2).tick()
    assert (sent(early), sent(answer), sent(scene.at(9.0).tick())) == ([], [create(2)], [])


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("cancel_first", [True, False])
def test_it_is_answered_too_where_the_server_s_cancel_is_told_first(cancel_first: bool, shown: bool) -> None:  # F120, facts 4.9
    scene = ready()
    scene.server(speech_started(), turn(), *([created("r1"), opened("m1")] if shown else []))
    gone: list[Any] = cancelled("r1") + ([{"type": "conversation.item.deleted", "item_id": "m1"}] if shown else [])
    scene.at(1.0).server(*((gone, speech_started("u2")) if cancel_first else (speech_started("u2"), gone)))
    scene.at(1.2).server(speech_stopped("u2"))
    early, answer = scene.at(3.1).tick(), scene.at(3.2).tick()
    assert (sent(early), sent(answer), sent(scene.at(9.0).tick())) == ([], [create(1)], [])
    assert told(answer, FalseInterruption) == [FalseInterruption("server", "u2", 0, False)]


def test_a_turn_behind_a_cancel_that_was_told_first_is_the_only_one_to_be_answered() -> None:  # F120, facts 4.9
    scene = ready()
    scene.server(speech_started(), turn(), created("r1"), opened("m1"))
    scene.at(1.0).server(cancelled("r1"), [{"type": "conversation.item.deleted", "item_id": "m1"}], speech_started("u2"))
    scene.at(1.2).server(speech_stopped("u2"), committed("u2"), user_item("u2"))
    scene.server(created("r2"), opened("m2", r="r2"))
    assert (sent(scene.at(9.0).tick()), told(scene.log, FalseInterruption)) == ([], [])


def test_a_session_that_pauses_first_misses_the_answer_that_a_server_cancelled_before_it_told_of_a_voice() -> None:  # F120
    scene = ready(configured(interruption="pause"), turn_detection=CLIENT_VAD)
    scene.server(speech_started(), turn(), created("r1", request=1), opened("m1"))
    scene.at(1.0).server(cancelled("r1"), [{"type": "conversation.item.deleted", "item_id": "m1"}], speech_started("u2"))
    scene.at(1.2).server(speech_stopped("u2"))
    assert kinds(scene.at(3.2).tick()) == ["response.create"]


@pytest.mark.parametrize("sound", [True, False])
@pytest.mark.parametrize("cancel_first", [True, False])
@pytest.mark.parametrize("follows", [True, False])
def test_an_answer_that_the_server_cancels_while_the_voice_before_is_undecided_is_cut(
    cancel_first: bool, sound: bool, follows: bool
) -> None:  # F120, B19, facts 4.9
    heard = {"model": "whisper-1"}
    scene = ready(configured(session=HEARS), policies=Policies(interruption=pause_then_decide), transcription=heard)
    scene.server(created("r0"), message("m0", 4000, r="r0"), done("r0"))
    scene.at(1.0).played(1, 1000)
    scene.server(speech_started("u1"))
    scene.at(1.3).server(turn("u1"))  # its words are still to come
    scene.at(1.4).server(created("r1"), opened("m1"), audio("m1", 1000) if sound else [])
    script = [cancelled("r1"), speech_started("u2")]
    scene.at(1.8)
    cut = [e for each in (script if cancel_first else reversed(script)) for e in scene.answering(scene.server(each), 1000)]
    assert verdicts(cut) == [ended("m0", "partial", 1000), ended("m1", "skipped", 0)]
    scene.server([{"type": "conversation.item.deleted", "item_id": "m1"}])
    assert kinds(scene.at(4.9).tick()) == [], "the person still speaks"
    scene.at(5.0).server(speech_stopped("u2"))
    if follows:
        scene.at(5.1).server(committed("u2"), user_item("u2"), created("r2"), message("m2", 5000, r="r2"), done("r2"))
    late = scene.at(7.1).tick() + scene.at(9.9).tick()
    assert kinds(late) == ([] if follows else ["response.create"])


def test_a_turn_that_follows_is_the_only_one_to_be_answered() -> None:  # F120
    scene, _ = answer_lost()
    answer = scene.at(1.2).server(speech_stopped("u2"), committed("u2"), user_item("u2"))
    assert (sent(answer), sent(scene.at(3.2).tick())) == ([create(2)], [])


def test_what_was_heard_in_part_was_an_answer() -> None:  # F120
    scene, _ = answer_lost(heard_ms=300)
    scene.at(1.2).server(speech_stopped("u2"))
    assert sent(scene.at(3.2).tick()) == []


@pytest.mark.parametrize("by", ["clip", "filler", "input of its own", "answer"])
def test_a_clip_or_a_filler_that_is_heard_to_its_end_is_no_answer_to_the_turn(by: str) -> None:  # F120
    scene, _ = answer_lost()
    scene.at(1.2).server(speech_stopped("u2"))
    heard = created("r2", request=2, in_band=by == "answer"), message("m2", 200, r="r2")
    if by == "clip":
        scene._issued(scene.session.say(pcm("hm", 200), "Hm?", now=scene.at(1.3).now))
    elif by == "filler":
        scene.at(1.3).respond({"conversation": "none"}, audible=True)
        scene.server(*heard, done("r2", request=2, in_band=False))
    else:
        scene.at(1.3).respond({"input": []} if by == "input of its own" else None)
        scene.server(created("r2", request=2), *heard[1:], done("r2", request=2))
    assert [each.verdict for each in told(scene.at(1.5).played(2, 200), MessageEnded)] == [Verdict.FULL]
    again = scene.at(3.2).tick()
    assert (kinds(again), len(told(again, FalseInterruption))) == (([], 0) if by == "answer" else (["response.create"], 1))


@pytest.mark.parametrize("coughs_again", [False, True])
def test_a_long_answer_that_begins_meanwhile_is_that_answer_unless_it_is_cut_unheard_too(coughs_again: bool) -> None:  # F120, C15
    scene, _ = answer_lost()
    scene.at(1.2).server(speech_stopped("u2"))
    scene.at(1.3).respond({"instructions": "Briefly."})
    scene.server(created("r2", request=2), opened("m2", r="r2"))
    if coughs_again:
        scene.at(1.5).server(speech_started("u3"), done("r2", "cancelled", "client_cancelled", request=2))
        scene.server([{"type": "conversation.item.deleted", "item_id": "m2"}], speech_stopped("u3"))
    else:
        scene.server(audio("m2", 6000, r="r2"))
        scene.at(2.0).played(1, 700)
    late = scene.at(3.6).tick()
    assert (kinds(late), len(told(late, FalseInterruption))) == ((["response.create"], 1) if coughs_again else ([], 0))


def test_a_cough_that_is_thrown_away_leaves_the_turn_before_it_to_be_answered() -> None:  # F120, facts 8.4
    scene, _ = answer_lost()
    scene.at(1.1).clear()
    scene.server([{"type": "input_audio_buffer.cleared"}])
    assert sent(scene.at(3.1).tick()) == [create(3)]


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("turn_by", ["text", "button"])
def test_a_typed_question_or_a_button_turn_that_was_cut_for_nothing_is_answered(turn_by: str, begun: bool) -> None:  # F120, F125
    scene = ready(configured(), turn_detection=None if turn_by == "button" else CLIENT_VAD)
    if turn_by == "text":
        said = scene.say("What is the weather?")
        item = next(event["item"]["id"] for event in sent(said) if event["type"] == "conversation.item.create")
        heard: list[Any] = announce(item, {"id": item, "type": "message", "role": "user", "status": "completed", "content": []})
    else:
        scene._took(scene.session.begin_turn(now=scene.now))
        scene.append(bytes(48 * 300))
        scene._issued(scene.session.end_turn(now=scene.at(0.3).now))
        heard = committed("u1") + user_item("u1")
    asked, answer = scene.request, created("r1", request=scene.request)
    # Before its first sample, or before it was seen to begin: then also the turn's own commit may still be on its way.
    scene.server(*([heard, answer, opened("m1")] if begun else []))
    cut = scene.at(0.5).local_speech()
    cut += scene.server(*([] if begun else [heard, answer]))
    cut += scene.server(done("r1", "cancelled", "client_cancelled"), [{"type": "conversation.item.deleted", "item_id": "m1"}])
    assert outcomes(cut) == [(asked, "cancelled")]
    scene.at(0.7)._took(scene.session.speech("stopped", now=0.7))
    early, again = scene.at(2.6).tick(), scene.at(2.7).tick()
    assert (kinds(early), kinds(again), kinds(scene.at(9.0).tick())) == ([], ["response.create"], [])
    assert told(again, FalseInterruption) == [FalseInterruption("local", None, 0, False)]
    assert "instructions" not in sent(again)[0]["response"]


def back(scene: Scene) -> list[Any]:
    """The next connection comes up, and is acknowledged."""
    assert scene.session.deadline is not None
    effects = scene.at(scene.session.deadline.at).tick() + scene.connected(2)
    return effects + scene.server(session_created(), session_updated(turn_detection=CLIENT_VAD), connection=2)


@pytest.mark.parametrize("stopped", [True, False])
def test_an_answer_that_was_cut_for_nothing_is_asked_for_in_the_next_session(stopped: bool) -> None:  # F120, B24
    scene, _ = answer_lost()
    scene.at(1.2).server(speech_stopped("u2") if stopped else [])
    scene.at(1.3).disconnected(Disconnection(error="the line is gone"))
    assert "response.create" not in kinds(back(scene))  # what was said into the dead line may be a turn yet
    later = [effect for step in range(40) for effect in scene.at(scene.now + 0.1).tick()]
    assert (kinds(later), len(told(later, FalseInterruption))) == (["response.create"], 1)


@pytest.mark.parametrize("begins", [1.0, 3.0])
def test_an_answer_that_the_next_session_owes_is_the_only_one(begins: float) -> None:  # F120, C15, facts 4.10
    scene = ready()
    scene.server(speech_started(), turn("u1"), user_transcript("u1", "Hello?"))
    scene.at(1.0).server(cancelled("r1"), speech_started("u2"))  # its response.created was never sent
    scene.at(1.2).server(speech_stopped("u2"))
    scene.at(1.5).disconnected(Disconnection(error="the line is gone"))
    effects = back(scene)
    ready_at = scene.now
    effects += scene.at(ready_at + begins).tick()
    scene.server(created("r2", request=1), message("m2", 6000, r="r2"), done("r2", request=1), connection=2)
    for second in range(1, 7):
        effects += scene.at(ready_at + begins + second).played(1, second * 1000) + scene.tick()
    assert kinds(effects).count("response.create") == 1


def test_a_turn_that_follows_in_the_next_session_is_the_only_one_to_be_answered() -> None:  # F120, C15
    scene, _ = answer_lost()
    scene.at(1.3).disconnected(Disconnection(error="the line is gone"))
    back(scene)
    heard = scene.at(scene.now + 0.5).server(speech_started("u9"), connection=2)
    heard += scene.at(scene.now + 4.0).server(speech_stopped("u9"), committed("u9"), user_item("u9"), connection=2)
    later = [effect for step in range(40) for effect in scene.at(scene.now + 0.1).tick()]
    assert (kinds(heard), kinds(later), told(scene.log, FalseInterruption)) == (["response.create"], [], [])


def test_what_the_program_silenced_while_the_line_was_away_is_not_asked_for() -> None:  # F120, C12
    scene, _ = answer_lost()
    scene.at(1.3).disconnected(Disconnection(error="the line is gone"))
    scene.interrupt()
    effects = back(scene) + [effect for step in range(40) for effect in scene.at(scene.now + 0.1).tick()]
    assert "response.create" not in kinds(effects)


def test_what_the_program_asked_for_with_respond_and_a_cough_cut_is_the_programs_affair() -> None:  # F120, C12
    scene = ready(configured(), turn_detection=CLIENT_VAD)
    scene.respond({"instructions": "Greet the caller in German."})
    scene.server(created("r1", request=1), opened("m1"))
    cut = scene.at(0.2).server(speech_started("u1"), done("r1", "cancelled", "client_cancelled"))
    scene.server([{"type": "conversation.item.deleted", "item_id": "m1"}])
    scene.at(0.4).server(speech_stopped("u1"))
    assert (outcomes(cut), kinds(scene.at(9.0).tick())) == ([(1, "cancelled")], [])


@pytest.mark.parametrize("by", ["commit", "user_turn", "send_text", "end_turn"])
@pytest.mark.parametrize("options", [None, {"instructions": "Briefly."}])
def test_an_answer_asked_for_behind_a_turn_that_the_program_made(by: str, options: dict[str, str] | None) -> None:  # F120
    scene = ready(configured(), turn_detection=None)
    if by in ("commit", "end_turn"):
        scene.append(bytes(48 * 300))
    if by == "commit":
        scene.commit()
    elif by == "end_turn":
        scene._issued(scene.session.end_turn(respond=False, now=scene.now))
    elif by == "user_turn":
        scene._issued(scene.session.user_turn("And tomorrow?", respond=False, now=scene.now))
    else:
        scene.say("And tomorrow?", respond=False)
    scene.respond(options)
    scene.server(*([committed("u1"), user_item("u1")] if by in ("commit", "end_turn") else []))
    _coughs_into(scene, "r1", "m1")
    assert kinds(scene.at(2.7).tick()) == (["response.create"] if options is None else []), "with options it is the program's"


def _coughs_into(scene: Scene, response: str, message: str) -> None:
    """The response that was asked for last is cut, before anything of it is heard, by what is no turn."""
    scene.server(created(response, request=scene.request), opened(message))
    scene.at(0.5).local_speech()
    cut = done(response, "cancelled", "client_cancelled")
    scene.server(cut, [{"type": "conversation.item.deleted", "item_id": message}])
    scene.at(0.7)._took(scene.session.speech("stopped", now=0.7))


def test_what_has_an_input_of_its_own_leaves_the_answer_to_the_turn_to_the_next_request() -> None:  # F120, C15; facts 5.1
    scene = ready(configured(), turn_detection=None)
    scene.say("And tomorrow?", respond=False)
    scene.respond({"input": [], "instructions": "Say exactly: one moment."})
    scene.server(created("r1", request=scene.request), message("m1", 100), done("r1"))
    scene.at(0.2).played(1, 100)
    scene.respond()
    _coughs_into(scene, "r2", "m2")
    assert kinds(scene.at(2.7).tick()) == ["response.create"]


def test_an_answer_that_a_guardrail_holds_back_is_not_asked_for_again_without_it() -> None:  # F120, F161
    scene = ready(configured(), turn_detection=None)
    scene.say("And tomorrow?", respond=False)
    scene._issued(scene.session.respond(hold_ms=800, now=scene.now))
    _coughs_into(scene, "r1", "m1")
    assert kinds(scene.at(9.0).tick()) == []


def test_a_second_answer_to_the_same_turn_is_the_programs_affair() -> None:  # F120
    scene = ready(configured(), turn_detection=None)
    scene.say("And tomorrow?", respond=False)
    scene.respond()
    scene.server(created("r1", request=scene.request), message("m1", 100), done("r1"))
    scene.at(0.2).played(1, 100)
    scene.respond()
    _coughs_into(scene, "r2", "m2")
    assert kinds(scene.at(9.0).tick()) == []


def test_a_typed_question_that_another_turn_follows_is_answered_with_it() -> None:  # F120, C15
    scene = ready(configured(), turn_detection=None)
    scene.say("What is the weather?")
    scene.server(created("r1", request=scene.request), opened("m1"))
    scene.at(0.5).local_speech()
    scene.server(done("r1", "cancelled", "client_cancelled"), [{"type": "conversation.item.deleted", "item_id": "m1"}])
    scene.append(bytes(48 * 300))
    scene.at(1.0).commit()
    scene.server(committed("u2"), user_item("u2"))
    asked = scene.respond()
    assert (kinds(asked), kinds(scene.at(9.0).tick())) == (["response.create"], [])


# -- policies of one's own ---------------------------------------------------------------------------------------------


def deciding(policy: Any) -> Scene:
    """400 ms of m1 were heard; ``policy`` decides."""
    scene = ready(configured(), policies=Policies(interruption=policy), turn_detection=CLIENT_VAD)
    scene.server(created("r1"), message("m1", 3000), done("r1"))
    scene.at(0.4).played(1, 400)
    return scene


def test_a_program_decides_in_its_own_way() -> None:
    """A pure function of the view: nothing is interrupted before half a second was heard."""
    seen: list[InterruptionView] = []

    def patient(view: InterruptionView) -> InterruptionAnswer:
        seen.append(view)
        return IGNORE if view.heard_ms < 500 else CUT

    scene = deciding(patient)
    first = scene.server(speech_started("u1"))
    scene.server(speech_stopped("u1"))
    scene.at(0.6).played(1, 600)
    second = scene.server(speech_started("u2"))
    assert (acts(first), acts(second)) == ([], [Flush(1)])
    assert [(v.cause, v.sounding, v.heard_ms, v.playout_ms, v.active) for v in seen] == [
        ("server", True, 400, 400, True),
        ("server", True, 600, 600, True),
    ]


def test_a_deferred_decision_lets_the_model_be_heard() -> None:
    def late(view: InterruptionView) -> InterruptionAnswer:
        return defer(view.started_at + 0.3) if view.now < view.started_at + 0.3 else CUT

    scene = deciding(late)
    waits = scene.server(speech_started()) + scene.at(0.69).played(1, 690)
    assert (acts(waits), told(waits, InterruptionPending), acts(scene.at(0.7).tick())) == (
        [],
        [InterruptionPending("server", "u1", False)],
        [Flush(1)],
    )


@pytest.mark.parametrize("wrong", ["raises", "gives nothing"])
def test_a_policy_that_fails_is_told_and_the_default_decides(wrong: str) -> None:
    def broken(view: InterruptionView) -> Any:
        if wrong == "raises":
            raise ZeroDivisionError("of my own")
        return None

    effects = deciding(broken).server(speech_started())
    assert (acts(effects), [e.policy for e in told(effects, PolicyFailed)]) == ([Flush(1)], ["interruption"])


def test_a_policy_that_names_a_time_that_has_passed_is_not_asked_for_ever() -> None:  # invariant 12
    scene = deciding(lambda view: pause(view.now - 1.0))
    scene.server(speech_started())
    before = scene.session.deadline
    scene.at(before.at if before else 0.0).tick()
    after = scene.session.deadline
    assert before and after and after.at > before.at


@pytest.mark.parametrize(
    ("said", "count"),
    [
        ("", 0),
        ("...", 0),
        ("Mhm, mhm.", 0),
        ("uh huh okay", 0),
        ("Okay, stop!", 1),
        ("I don't know", 3),
        ("ich weiß nicht", 3),
        ("停一下", 3),
        ("OK了", 2),
        ("人々", 2),
        ("はい。", 2),
        ("ครับ", 3),
        ("ठीक है", 2),
        ("रुको", 1),
        ("নিশ্চয়ই", 1),
        ("நிறுத்து", 1),
        ("می\u200cروم", 1),
        ("그렇군요, 잠깐만", 2),
        ("დიახ", 1),
        ("አዎ", 1),
        ("ổn", 1),
        ("a\u0323", 1),
        ("'no' \N{THUMBS UP SIGN}\ufe0f", 1),
        ("I see what you mean", 3),
    ],
)
def test_words_are_counted_without_backchannels(said: str, count: int) -> None:  # B19
    rules = BargeIn().words(None)
    assert (count_words(said, rules), said_in(said, rules)) == (count, count)


def test_a_backchannel_takes_no_part_of_another_word_for_itself() -> None:  # B19: marks on letters are part of a word
    rules = BargeIn(backchannels={"hi": ("हाँ",)}).words("hi")
    assert (count_words("है हो ही", rules), count_words("हाँ, हाँ", rules)) == (3, 0)
    assert plain_words("aja\u0301") == "aj\u00e1"  # written in two ways, and the same word


def test_the_language_of_the_transcription_says_which_backchannels_count() -> None:
    rules = BargeIn(backchannels={"en": ("right",), "pl": ("no tak",)})
    assert (count_words("no tak", rules.words("pl-PL")), count_words("no tak", rules.words("en"))) == (0, 2)


# -- a recogniser of the program's own ----------------------------------------------------------------------------------------


def hears(scene: Scene, text: str) -> list[Any]:
    return scene._issued(scene.session.user_turn(text, now=scene.now))


@pytest.mark.parametrize("options", [{"min_words": 1}, {"min_duration_ms": None}])
def test_a_recognisers_backchannel_lets_the_model_go_on(options: dict[str, Any]) -> None:  # B19, F121
    scene = ready(configured(interruption="pause", barge_in=options), turn_detection=None)
    scene.server(created("r1"), message("m1", 3000), done("r1"))
    scene.at(1.0).played(1, 1000)
    assert Pause(1) in scene.local_speech()
    scene.at(1.6)._took(scene.session.speech("stopped", now=1.6))
    effects = hears(scene.at(1.7), "mhm")
    assert [each for each in effects if isinstance(each, Flush | Resume)] == [Resume(1)]
    assert len(told(effects, FalseInterruption)) == 1
    scene.played(1, 3000)
    assert "response.create" not in kinds(scene.at(9.0).tick()), "the turn is not answered"


@pytest.mark.parametrize("spoke", [False, True])
def test_a_recognisers_words_interrupt_without_a_word_of_a_false_interruption(spoke: bool) -> None:  # B18: no resume
    scene = ready(configured(interruption="pause"), turn_detection=None)
    scene.server(created("r1"), message("m1", 3000), done("r1"))
    scene.at(1.0).played(1, 1000)
    if spoke:
        scene.local_speech()
        scene.at(1.2)._took(scene.session.speech("stopped", now=1.2))
    effects = hears(scene.at(1.3), "stop")
    assert [each for each in effects if isinstance(each, Pause | Flush | Resume)] == [Flush(1)]
    assert told(scene.log, FalseInterruption) == []
    effects = scene.flushed(1, 1000)
    assert "conversation.item.truncate" in kinds(effects)
    effects = scene.server(truncated("m1", 1000))
    assert kinds(effects) == ["conversation.item.create", "response.create"]


def test_a_policy_is_asked_once_about_a_recognisers_turn_with_its_words() -> None:  # F121
    seen: list[InterruptionView] = []

    def policy(view: InterruptionView) -> InterruptionAnswer:
        seen.append(view)
        return CUT

    scene = ready(configured(interruption="pause"), turn_detection=None, policies=Policies(interruption=policy))
    scene.server(created("r1"), message("m1", 3000), done("r1"))
    scene.at(1.0).played(1, 1000)
    hears(scene, "stop")
    assert [(view.committed, view.transcript, view.stopped_at, view.transcribing) for view in seen] == [
        (True, "stop", 1.0, False)
    ]
