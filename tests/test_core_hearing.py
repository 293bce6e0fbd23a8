"""What of the user the server gets to hear: mute, half duplex, and the echo of a loudspeaker (F039, F118, F126)."""

from typing import Any

import pytest
from helpers.scene import Scene, acts, configured, kinds, ready, sent, spoke, told
from helpers.wire import (
    CLIENT_VAD,
    audio,
    committed,
    created,
    done,
    message,
    opened,
    pcm,
    speech_started,
    speech_stopped,
    truncated,
    user_item,
)

from rtcore import EchoSuspected, Effect, FalseInterruption, Flush, LocalProtocolError, Pause
from rtcore.config import BargeIn, Config

VOICE = pcm("voice", 40)
SILENCE = bytes(40 * 48)


def run(scene: Scene, until: float) -> list[Effect]:
    """Let time pass, deadline by deadline."""
    effects: list[Effect] = []
    while (deadline := scene.session.deadline) is not None and deadline.at <= until:
        effects += scene.at(deadline.at).tick()
    scene.at(until)
    return effects


# -- mute --------------------------------------------------------------------------------------------------------------


def test_a_muted_microphone_is_silence_in_real_time_whether_or_not_it_runs() -> None:  # F126
    scene = ready()
    scene.at(1.0).mute()
    still = run(scene, 2.05)
    given = scene.append(VOICE) + run(scene, 3.05)
    lengths = [len(spoke(effects)) / 48 for effects in (still, still + given)]
    assert set(spoke(still + given)) == {0}
    assert lengths == pytest.approx([1000, 2000], abs=40)


def test_after_a_mute_the_user_is_heard_again_and_not_a_sample_of_time_is_missing() -> None:  # F126
    scene = ready()
    scene.append(VOICE)
    scene.at(1.0).mute()
    effects = run(scene, 1.5) + scene.at(1.537).unmute() + scene.append(VOICE) + run(scene, 3.0)
    silence = bytes(round(0.537 * 24_000) * 2)
    assert spoke(effects) == silence + VOICE


def test_what_was_said_before_the_mute_is_not_lost() -> None:  # F126
    scene = ready()
    half = VOICE[: len(VOICE) // 2]
    effects = scene.append(half) + scene.mute() + run(scene, 0.2)
    assert spoke(effects).rstrip(b"\0") == half.rstrip(b"\0")


def test_a_mute_under_manual_turns_clears_what_was_not_committed() -> None:  # F126
    scene = ready(turn_detection=None)
    scene.append(VOICE)
    effects = scene.mute() + scene.append(VOICE) + run(scene, 2.0)
    assert (kinds(effects), spoke(effects)) == (["input_audio_buffer.clear"], b"")


def test_muted_twice_is_muted_and_a_mute_is_seen() -> None:
    scene = ready()
    before = scene.session.muted
    effects = scene.mute() + scene.mute() + scene.unmute() + scene.unmute()
    assert (before, scene.session.muted, sent(effects)) == (False, False, [])


@pytest.mark.parametrize(("form", "zero"), [("audio/pcmu", 0xFF), ("audio/pcma", 0xD5)])
def test_silence_is_that_of_the_format(form: str, zero: int) -> None:  # C22, F126
    config = configured(session={"audio": {"input": {"format": {"type": form}}}})
    scene = ready(config, input={"type": form})
    scene.mute()
    assert set(spoke(run(scene, 0.5))) == {zero}


def test_nothing_is_sent_for_a_mute_before_the_session_is_ready() -> None:  # F136
    scene = Scene()
    scene.open()
    scene.connected()
    scene.mute()
    assert spoke(run(scene, 1.0)) == b""


def test_a_program_that_slept_for_an_hour_owes_no_hour_of_silence() -> None:  # C30: bounded
    scene = ready()
    scene.mute()
    assert len(spoke(scene.at(3600.0).tick())) == 10_000 * 48


def test_a_muted_session_ends_without_a_timer() -> None:  # F101
    scene = ready()
    scene.mute()
    scene.close()
    assert scene.session.deadline is None
    with pytest.raises(LocalProtocolError, match="closed"):
        scene.unmute()


# -- half duplex -------------------------------------------------------------------------------------------------------


def half_duplex(**session: Any) -> Scene:
    """A second of speech was handed over; half of it was heard at 0.5 s."""
    scene = ready(configured(interruption="half_duplex"), **session)
    scene.server(created("r1"), message("m1", 1000), done("r1"))
    scene.at(0.5).played(1, 500)
    return scene


def test_half_duplex_gives_the_server_silence_while_the_model_is_heard() -> None:  # F118
    scene = half_duplex()
    during = scene.append(VOICE)
    scene.at(1.0).played(1, 1000)
    tail = scene.at(1.29).append(VOICE)
    after = scene.at(1.31).append(VOICE)
    assert [spoke(each) for each in (during, tail, after)] == [SILENCE, SILENCE, VOICE]


def test_half_duplex_begins_with_the_hand_over_before_the_first_sample_sounds() -> None:  # F118: not a frame of echo
    scene = ready(configured(interruption="half_duplex"))
    before = scene.append(VOICE)
    scene.server(created("r1"), opened("m1"), audio("m1", 100))
    assert (spoke(before), spoke(scene.append(VOICE))) == (VOICE, SILENCE)


def test_half_duplex_hears_nothing_until_a_flush_is_answered() -> None:  # F039
    scene = half_duplex()
    scene.interrupt()
    flushing = scene.at(0.6).append(VOICE)
    scene.at(0.7).flushed(1, 550)
    assert (spoke(flushing), spoke(scene.at(1.01).append(VOICE))) == (SILENCE, VOICE)


def test_half_duplex_hears_the_user_while_the_program_holds_the_sound() -> None:  # B16
    scene = half_duplex()
    scene.pause()
    assert spoke(scene.at(0.9).append(VOICE)) == VOICE


def test_half_duplex_under_manual_turns_sends_nothing() -> None:  # F126
    scene = half_duplex(turn_detection=None)
    assert spoke(scene.append(VOICE)) == b""


def test_a_button_that_goes_down_over_the_model_is_heard_as_soon_as_it_is_silent() -> None:  # F039, F125
    scene = half_duplex(turn_detection=None)
    pressed = scene._took(scene.session.begin_turn(now=scene.now))
    assert spoke(scene.append(VOICE)) == b"", "the device may still sound"
    generation = next(effect.generation for effect in pressed if isinstance(effect, Flush))
    scene.at(0.55).flushed(generation, 500)
    effects = scene.at(0.56).append(VOICE)
    effects += scene._issued(scene.session.end_turn(now=scene.now))
    assert spoke(effects) == VOICE, "without a tail: the first words are there"


def test_half_duplex_has_its_tail_where_no_button_is_down() -> None:  # F039
    scene = half_duplex(turn_detection=None)
    scene.answering(scene.interrupt(), 500)
    assert spoke(scene.at(0.7).append(VOICE) + scene.at(0.81).append(VOICE)) == VOICE


def test_half_duplex_leaves_the_server_s_settings_alone() -> None:
    assert Config(interruption="half_duplex").session == Config().session


def test_a_voice_that_the_server_heard_before_the_model_began_interrupts() -> None:  # DESIGN 4
    scene = half_duplex()
    assert acts(scene.server(speech_started()))[:1] == [Flush(1)]


def test_a_local_detector_hears_only_the_model_then() -> None:  # F118
    assert acts(half_duplex().local_speech()) == []


# -- the echo of a loudspeaker -----------------------------------------------------------------------------------------


def guarded(heard_ms: int, **rules: Any) -> Scene:
    """``heard_ms`` of m1 have been heard through a loudspeaker."""
    scene = ready(configured(barge_in=BargeIn(**rules)), turn_detection=CLIENT_VAD)
    scene.server(created("r1"), message("m1", 5000), done("r1"))
    scene.at(heard_ms / 1000).played(1, heard_ms)
    return scene


def test_a_voice_right_after_the_beginning_is_taken_for_echo() -> None:  # F118: ignore
    scene = guarded(300, echo_guard_ms=500, echo_guard="ignore")
    echo = scene.server(speech_started())
    turn = scene.at(1.0).server(speech_stopped(), committed(), user_item())
    assert (acts(echo), told(echo, FalseInterruption)) == ([], [FalseInterruption("server", "u1", 0, False)])
    assert (acts(turn), acts(scene.at(2.0).server(speech_started("u2")))) == ([], [Flush(1)])


def test_a_voice_that_goes_on_when_the_guard_is_over_is_none() -> None:  # F118: defer
    scene = guarded(300, echo_guard_ms=500)
    waits = scene.server(speech_started()) + scene.at(0.499).tick()
    assert (acts(waits), acts(scene.at(0.5).tick())) == ([], [Flush(1)])


def test_a_voice_that_has_ended_by_then_was_echo_and_is_not_answered() -> None:  # F118: defer
    scene = guarded(300, echo_guard_ms=500)
    effects = scene.server(speech_started()) + scene.at(0.4).server(speech_stopped(), committed())
    assert (acts(effects + scene.at(0.5).tick()), sent(scene.at(4.0).tick())) == ([], [])


def test_a_session_that_pauses_first_puts_it_to_the_test_when_the_guard_is_over() -> None:  # F118, B18
    scene = ready(
        configured(interruption="pause", barge_in=BargeIn(echo_guard_ms=500, min_duration_ms=None)), turn_detection=CLIENT_VAD
    )
    scene.server(created("r1"), message("m1", 5000), done("r1"))
    scene.at(0.3).played(1, 300)
    waits = scene.server(speech_started()) + scene.at(0.499).tick()
    assert (acts(waits), acts(scene.at(0.5).tick())) == ([], [Pause(1)])
    ends = scene.at(0.7).server(speech_stopped())
    assert (acts(ends), acts(scene.at(0.8).server(committed()))[:1]) == ([], [Flush(1)])


def cut_again_and_again(scene: Scene, times: int, *, after_ms: int = 500) -> list[Effect]:
    """Each answer is cut ``after_ms`` after it began, by a voice that becomes the turn that the next one answers."""
    effects: list[Effect] = []
    for number in range(1, times + 1):
        effects += scene.barge_in(after_ms, f"u{number}")
        effects += scene.server(speech_stopped(f"u{number}"), committed(f"u{number}"), user_item(f"u{number}"))
        effects += scene.server(truncated(f"m{number}", after_ms))
        name, item = f"r{number + 1}", f"m{number + 1}"
        effects += scene.server(created(name), message(item, 5000, r=name), done(name))
        scene.now += after_ms / 1000
        effects += scene.played(number + 1, after_ms)
    return effects


def test_cuts_in_a_row_right_after_the_beginning_are_said_to_be_echo() -> None:  # F118: say so
    effects = cut_again_and_again(guarded(500), 4)
    assert told(effects, EchoSuspected) == [EchoSuspected(3, 0), EchoSuspected(4, 0)]


def test_the_guard_backs_off_when_cuts_repeat() -> None:  # F118: back off
    scene = guarded(500, echo_guard_ms=200, echo_guard="ignore")
    told_of = told(cut_again_and_again(scene, 2), EchoSuspected)
    third = scene.server(speech_started("u3"))
    assert (told_of, acts(third), told(third, FalseInterruption)) == ([], [], [FalseInterruption("server", "u3", 0, False)])


def test_a_voice_is_judged_to_its_end_by_the_guard_under_which_it_began() -> None:  # F118: what was echo is not answered later
    scene = guarded(500, echo_guard_ms=200, echo_guard="ignore")
    cut_again_and_again(scene, 2)
    scene.server(speech_started("u3"))
    scene.at(scene.now + 4.5).played(3, 5000)  # the message is heard to its end, which ends the row
    turn = scene.server(speech_stopped("u3"), committed("u3"), user_item("u3"))
    assert (kinds(turn), kinds(scene.at(scene.now + 3.0).tick())) == ([], [])


def test_a_voice_that_speaks_on_waits_no_longer_than_the_guard() -> None:  # F118: defer
    scene = guarded(100, echo_guard_ms=500)
    scene.server(speech_started("u1"))
    scene.at(0.2).server(speech_stopped("u1"))
    effects = scene.at(0.4).server(speech_started("u1")) + scene.at(0.499).tick()
    assert (acts(effects), acts(scene.at(0.5).tick())) == ([], [Flush(1)])


def test_cuts_in_the_middle_of_an_answer_are_no_echo() -> None:  # F118
    assert told(cut_again_and_again(guarded(2000), 4, after_ms=2000), EchoSuspected) == []


def test_a_message_that_was_heard_to_its_end_ends_the_row() -> None:  # F118
    scene = guarded(500)
    effects = cut_again_and_again(scene, 2)
    scene.at(scene.now + 4.5).played(3, 5000)
    scene.server(created("r9"), message("m9", 5000, r="r9"), done("r9"))
    scene.at(scene.now + 0.5).played(3, 5500)
    assert told(effects + scene.barge_in(5500, "u9"), EchoSuspected) == []


def test_a_voice_that_cut_nothing_does_not_lengthen_the_guard() -> None:  # F118: what it came into was heard to its end meanwhile
    scene = ready(configured(barge_in=BargeIn(echo_guard_ms=800)), turn_detection=CLIENT_VAD)
    scene.server(created("r1"), message("m1", 500), done("r1"))
    scene.at(0.3).played(1, 300)
    scene.server(speech_started())
    scene.at(0.5).played(1, 500)
    scene.at(0.8).tick()
    scene.server(speech_stopped(), committed(), user_item())
    scene.at(2.0).server(created("r2"), message("m2", 5000, r="r2"), done("r2"))
    scene.at(3.0).played(1, 1500)
    assert acts(scene.server(speech_started("u2"))) == [Flush(1)]
