"""Audio that is held back for a guardrail, and interruptions of one response by its id (F161)."""

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
    sounded,
    talking,
    told,
    verdicts,
)
from helpers.wire import audio, cancelled, closing, created, done, message, opened, pcm, truncated
from pydantic import ValidationError

from rtcore import AudioHeld, AudioReleased, Drain, Flush, LocalProtocolError, SpeakingStarted
from rtcore.config import Connection, Playout

OOB = {"conversation": "none"}


def holding(hold_ms: int = 300) -> Scene:
    """A session in which every response is held back."""
    return ready(configured(playout=Playout(hold_ms=hold_ms)))


def test_held_audio_is_not_handed_to_the_clock_and_plays_when_it_is_let_go() -> None:  # F161
    scene = holding()
    held = scene.server(created("r1"), opened("m1"), audio("m1", 100), audio("m1", 200, start_ms=100))
    released = scene.at(0.1).session.release("r1", now=0.1)
    after = scene.server(audio("m1", 50, start_ms=300))
    assert (acts(held), told(held, AudioHeld), acts(released), told(released, AudioReleased), acts(after)) == (
        [],
        [AudioHeld("r1", 0.3)],
        [play(1, 300)],
        [AudioReleased("r1", "program")],
        [play(1, 50)],
    )


def test_a_hold_ends_by_time_and_the_deadline_says_so() -> None:  # F161, DESIGN 6 invariant 12
    scene = holding()
    scene.at(1.0).server(created("r1"), message("m1", 200), done("r1"))
    due = scene.session.deadline
    assert due is not None and (due.at, due.why) == (1.3, "audio held back")
    effects = scene.at(1.3).tick()
    assert (sounded(effects), told(effects, AudioReleased)) == (pcm("m1", 200), [AudioReleased("r1", "time")])


def test_a_response_that_is_cut_while_it_is_held_was_not_heard() -> None:  # F161, DESIGN 3: skipped
    scene = holding()
    scene.server(created("r1"), opened("m1"), audio("m1", 500))
    effects = scene.interrupt("r1") + scene.server(cancelled(by="client_cancelled"))
    assert acts(effects) == [cancel("r1"), ended("m1", "skipped", 0), interrupted(skipped=["m1"]), delete("m1")]
    later = scene.at(2.0).tick()
    assert (sounded(scene.log), later, told(scene.log, AudioReleased)) == (b"", [], [])


def test_a_person_who_speaks_cuts_what_is_held() -> None:  # F161, B03
    scene = holding()
    scene.server(created("r1"), message("m1", 500), done("r1"))
    effects = scene.barge_in(0)
    flushes = [effect for effect in effects if isinstance(effect, Flush)]
    assert (verdicts(effects), flushes, sounded(scene.log)) == ([ended("m1", "skipped", 0)], [], b"")


def test_what_comes_behind_a_held_response_waits_with_it_and_what_plays_goes_on() -> None:  # F161, DESIGN 3: playing order
    scene = holding()
    scene.server(created("r1"), message("a", 1000), done("r1"))
    scene.session.release("r1", now=0.0)
    effects = scene.server(created("r2"), message("b", 100, r="r2"), done("r2"), created("r3"), message("c", 100, r="r3"))
    first = acts(effects)
    second = scene.at(0.1).session.release("r3", now=0.1)
    third = scene.at(0.2).session.release("r2", now=0.2)
    assert (first, acts(second), sounded(third)) == ([], [], pcm("b", 100) + pcm("c", 100))


def test_a_hold_is_no_stall_and_nothing_steps_past_it() -> None:  # F161, DESIGN 3: what holds up the queue
    scene = holding(5_000)
    scene.server(created("r1"), message("a", 100), done("r1"), created("r2"), message("b", 100, r="r2"), done("r2"))
    scene.session.release("r2", now=0.0)
    waits = scene.at(4.0).tick()
    assert (sounded(waits), sounded(scene.at(5.0).tick()), scene.session.counters.steps_aside) == (
        b"",
        pcm("a", 100) + pcm("b", 100),
        0,
    )


def test_the_tail_before_a_held_response_is_sounded() -> None:  # F161: a clock that holds a tail until more comes
    scene = holding()
    scene.server(created("r1"), opened("a"), audio("a", 100))
    scene.session.release("r1", now=0.0)
    waits = scene.server(created("r2"), closing("a"), done("r1"))
    effects = scene.server(opened("b", r="r2"), audio("b", 100, r="r2"))
    assert ([e for e in waits if isinstance(e, Drain)], [e for e in effects if isinstance(e, Drain)]) == ([], [Drain(1)])


def test_a_response_may_be_let_go_before_it_sounds() -> None:  # F161
    scene = holding()
    scene.server(created("r1"))
    scene.session.release("r1", now=0.0)
    effects = scene.server(message("m1", 100))
    assert (sounded(effects), told(effects, AudioHeld)) == (pcm("m1", 100), [])


def test_one_response_may_be_held_alone_or_not_at_all() -> None:  # F161
    scene = ready()
    scene.session.respond({}, hold_ms=200, now=0.0)
    alone = scene.server(created("r1", request=1), message("m1", 100), done("r1"))
    other = holding()
    other.session.respond({}, hold_ms=0, now=0.0)
    never = other.server(created("r1", request=1), message("m1", 100), done("r1"))
    assert (told(alone, AudioHeld), sounded(alone), sounded(never)) == ([AudioHeld("r1", 0.2)], b"", pcm("m1", 100))


def test_a_response_beside_the_conversation_that_is_to_be_heard_is_held_and_cut_by_its_id() -> None:  # F161, DESIGN 4, F055
    scene = holding()
    scene.respond(OOB, audible=True)
    scene.server(created("r1", request=scene.request, in_band=False), opened("m1"), audio("m1", 500))
    effects = scene.interrupt("r1")
    assert (acts(effects)[0], kinds(effects), verdicts(effects)) == (
        cancel("r1"),
        ["response.cancel"],
        [ended("m1", "skipped", 0)],
    )


def test_a_guardrail_that_comes_too_late_cuts_what_is_left_of_its_response_and_nothing_of_the_next() -> None:  # F161
    scene = talking(message("a", 1000), done("r1"), created("r2"), message("b", 500, r="r2"), heard_ms=400, at=0.4)
    effects = scene.answering(scene.interrupt("r1"), 400)
    late = scene.server(truncated("a", 400))
    again = scene.interrupt("r1")
    rest = scene.at(2.0).played(2, 500)
    assert (verdicts(effects), kinds(again), verdicts(rest)) == ([ended("a", "partial", 400)], [], [ended("b", "full", 500)])
    assert (sounded(effects, 2), sounded(late)) == (pcm("b", 500), b"")


def test_what_is_heard_begins_when_it_is_let_go() -> None:  # F161, S01
    scene = holding(1_000)
    scene.server(created("r1"), message("m1", 100), done("r1"))
    scene.at(1.0).tick()
    [began] = told(scene.at(1.1).played(1, 100), SpeakingStarted)
    assert began.at == 1.0


@pytest.mark.parametrize("hold_ms", [-1, 60_001, 1.5, True, "300"])
def test_no_time_to_hold_is_refused(hold_ms: object) -> None:  # DESIGN 2: the caller's mistake
    scene = ready()
    with pytest.raises(LocalProtocolError, match="hold_ms"):
        scene.session.respond({}, hold_ms=hold_ms, now=0.0)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="hold_ms"):
        Playout.model_validate({"hold_ms": hold_ms})


def test_what_is_not_sounded_here_cannot_be_held() -> None:  # DESIGN 5: who owns playout
    with pytest.raises(LocalProtocolError, match="hold_ms"):
        ready().session.respond(OOB, hold_ms=100, now=0.0)
    with pytest.raises(ValidationError, match="on a call the server sounds the audio"):
        configured(connection=Connection(call_id="rtc_1"), playout=Playout(hold_ms=100))


def test_letting_go_of_nothing_changes_nothing() -> None:  # DESIGN 4: unknown ids never throw
    scene = holding()
    assert scene.session.release("r_unknown", now=0.0) == []
