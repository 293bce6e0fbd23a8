"""Reports of other clients' users that no other test replays: failures of groups I and K."""

from helpers.scene import ended, kinds, sounded, talking, told, verdicts
from helpers.wire import (
    audio,
    audio_done,
    closing,
    done,
    message,
    opened,
    pcm,
    speech_started,
    speech_stopped,
    transcript,
    turn,
    user_transcript,
    user_words,
)

from rtcore import Flush, Interrupted, MessageEnded, ProtocolWarning, ResponseEnded


def test_speech_interrupts_when_it_begins_and_words_never_do() -> None:  # F128
    scene = talking(message("m1", 2000, "Once upon a time."), at=0.5)
    scene.played(1, 500)
    late = scene.server(user_words("u0", "and then"), user_transcript("u0", "and then I said"))
    assert not any(isinstance(effect, Flush) for effect in late) and kinds(late) == []
    first = scene.server(speech_started("u1"))
    assert isinstance(first[0], Flush)
    scene.flushed(1, 500)
    assert len(told(scene.log, Interrupted)) == 1
    # Its words come seconds later, and find nothing left to interrupt.
    words = scene.server(speech_stopped("u1"), turn("u1"), user_words("u1", "stop"), user_transcript("u1", "stop"))
    assert told(words, Interrupted) == [] and not any(isinstance(effect, Flush) for effect in words)


def test_what_was_heard_of_a_response_that_failed_stays() -> None:  # F146, F143
    scene = talking(opened("m1"), transcript("m1", "Half a sen"), audio("m1", 500))
    failed = scene.server(done("r1", "failed", failure={"type": "server_error", "code": "server_error", "message": "Oops."}))
    [notice] = told(failed, ResponseEnded)
    assert (notice.status, notice.problem and notice.problem.code) == ("failed", "server_error")
    assert sounded(scene.log) == pcm("m1", 500)
    heard = told(scene.at(1.5).played(1, 500) + scene.at(4.0).tick(), MessageEnded)
    assert [(end.item_id, end.heard_ms) for end in heard] == [("m1", 500)]
    [item] = [item for item in scene.session.history if item.id == "m1"]
    assert item.text == "Half a sen" and "conversation.item.delete" not in kinds(scene.log)


def test_audio_that_stops_before_its_text_holds_up_nothing() -> None:  # F148, F078
    scene = talking(opened("m1"), transcript("m1", "A long sentence of which little is ever heard."), audio("m1", 200))
    scene.server(audio_done("m1"), closing("m1", "A long sentence of which little is ever heard."), done("r1"))
    heard = scene.at(0.3).played(1, 200)
    assert verdicts(heard) == [ended("m1", "full", 200)]
    assert scene.session.speaking is False and told(scene.log, ProtocolWarning) == []
