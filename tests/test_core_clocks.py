"""Clocks that know less: telephones that know only marks, players that report nothing, reports rarer than the lead."""

from helpers.scene import configured, ended, interrupted, ready, sent, spoken, talking, told, truncate, verdicts
from helpers.wire import audio, closing, created, done, message, opened, speech_started

from rtcore import Clock, ClockFault, Drain, Flush, Interrupted, MessageEnded, MessageStarted, Play, SpeakingStopped
from rtcore.config import Playout

MARKS = Clock(pause=False, report_ms=500, answer_ms=500)
MUTE = Clock(pause=False, reports=False, latency_ms=100, report_ms=200)


def test_between_two_marks_the_estimate_decides_and_says_so() -> None:  # F019, C21
    scene = spoken(message("m1", 6000), clock=MARKS)
    scene.at(1.5).played(1, 1500)
    scene.at(1.75).server(speech_started())
    effects = scene.at(1.8).flushed(1, 1500)
    assert sent(effects) == [truncate("m1", 1750)]
    assert [end.estimated for end in told(effects, MessageEnded)] == [True]


def test_no_more_than_one_mark_is_added() -> None:  # F019
    scene = spoken(message("m1", 6000), clock=MARKS)
    scene.at(1.5).played(1, 1500)
    scene.at(2.9).server(speech_started())  # the next mark never came
    assert sent(scene.at(2.92).flushed(1, 1500)) == [truncate("m1", 2000)]


def test_what_the_last_mark_confirms_is_exact() -> None:  # F019
    scene = spoken(message("m1", 1000), message("m2", 1000, index=1), clock=MARKS)
    scene.at(1.0).played(1, 1000)
    scene.at(1.25).server(speech_started())
    effects = scene.at(1.3).flushed(1, 1000)
    assert verdicts(scene.log) == [ended("m1", "full", 1000), ended("m2", "partial", 250)]
    assert [end.estimated for end in told(scene.log, MessageEnded)] == [False, True]
    assert [interrupted(*e.partial, skipped=e.skipped) for e in told(effects, Interrupted)] == [interrupted("m2")]


def test_an_answer_that_covers_everything_is_exact() -> None:  # F019, B20
    scene = spoken(message("m1", 1000), clock=MARKS)
    scene.at(0.9).server(speech_started())
    effects = scene.at(1.0).flushed(1, 1000)
    assert (verdicts(effects), sent(effects)) == ([ended("m1", "full", 1000)], [])


def test_a_clock_without_reports_is_reckoned_by_time() -> None:  # C19, F078
    scene = spoken(message("m1", 1000), message("m2", 500, index=1), clock=MUTE)
    ends = list[tuple[str, float]]()
    while (deadline := scene.session.deadline) is not None:
        effects = scene.at(max(scene.now, deadline.at)).tick()
        ends += [(end.item_id, round(scene.now, 3)) for end in told(effects, MessageEnded)]
    assert ends == [("m1", 1.1), ("m2", 1.6)]
    assert [round(start.at, 3) for start in told(scene.log, MessageStarted)] == [0.1, 1.1]
    assert told(scene.log, ClockFault) == []
    assert all(end.estimated for end in told(scene.log, MessageEnded))
    assert len(told(scene.log, SpeakingStopped)) == 1


def test_its_cut_is_where_time_says() -> None:  # C19, B29
    scene = spoken(message("m1", 3000), clock=MUTE)
    for step in range(1, 10):
        scene.at(step / 10).tick()
    scene.at(1.0)
    effects = scene.barge_in(900)
    assert (effects[0], sent(effects)) == (Flush(1), [truncate("m1", 900)])


def test_an_underrun_does_not_count_without_reports_either() -> None:  # C19
    scene = ready(clock=MUTE)
    scene.server(created("r1"), opened("m1"), audio("m1", 200))
    for step in range(1, 30):
        scene.at(step / 10).tick()
    scene.at(3.0).server(audio("m1", 3000, start_ms=200))
    for step in range(1, 4):
        scene.at(3.0 + step / 20).tick()
    scene.at(3.2005).server(speech_started())
    scene.at(3.8).tick()  # it never answers
    assert sent(scene.log)[-1] == truncate("m1", 300)


def test_the_lead_lasts_until_the_clock_reports_again() -> None:  # F020, F151
    scene = ready(configured(playout=Playout(lead_ms=200)), clock=Clock(report_ms=500))
    effects = scene.server(created("r1"), opened("m1"), audio("m1", 3000), closing("m1"), done("r1"))
    assert sum(len(effect.pcm) for effect in effects if isinstance(effect, Play)) == 1000 * 48
    assert not told(effects, ClockFault) and not any(isinstance(effect, Drain) for effect in effects)


def test_its_tail_is_drained_although_it_was_reckoned_as_heard() -> None:  # C19, F078: what waits for more must sound
    scene = ready(clock=MUTE)
    scene.server(created("r1"), opened("m1"), audio("m1", 200), closing("m1"))
    scene.at(0.5).tick()
    assert Drain(1) in scene.at(1.0).server(done("r1"))


def test_a_device_that_is_back_is_reckoned_with_again() -> None:  # C19, F100
    scene = ready(clock=MUTE)
    scene.device("lost")
    scene.at(1.0).device("ready")
    scene.server(created("r1"), message("m1", 500), done("r1"))
    while (deadline := scene.session.deadline) is not None:
        scene.at(max(scene.now, deadline.at)).tick()
        assert scene.now < 9
    assert verdicts(scene.log) == [ended("m1", "full", 500)]


def test_a_tail_has_its_time_from_the_word_that_nothing_follows() -> None:  # C19, F078: however long that word took to come
    scene = talking(opened("m1"), audio("m1", 1000))
    scene.at(1.0).played_samples(1, 23_998)
    scene.at(2.3).server(closing("m1"), done("r1"))
    early = scene.at(2.4).tick()
    late = scene.at(2.3 + 1.38).tick()
    assert (told(early, ClockFault), len(told(late, ClockFault))) == ([], 1)
