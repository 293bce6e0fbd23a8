"""The reference model says who heard what from three lists alone, and the auditor holds the core against it."""

from typing import Any

import msgspec
import pytest
from msgspec import structs

from rtcore import PCM16_24K, Effect, MessageEnded, SegmentView, Session
from rtcore.sim import World, synthetic_voices
from rtcore.sim._audit_estimates import Estimates
from rtcore.sim.reference import Heard, Judged, Reference
from rtcore.sim.scenario import scenario_of

VOICES = synthetic_voices(1)
MS = 1_000_000
A, B = bytes(range(200)) * 48, bytes(range(199, -1, -1)) * 48  # 4800 samples each, 200 ms
KEY, OTHER = ("a", 0), ("b", 0)


class Sent:
    def __init__(self, pcm: bytes) -> None:
        self.source, self.start = pcm, 0


def two() -> Reference:
    """Two segments, all received and handed over in generation 1."""
    model = Reference(PCM16_24K)
    for key, pcm in ((KEY, A), (OTHER, B)):
        model.received(key, Sent(pcm), len(pcm))
        model.complete(key)
        model.played(1, pcm[:4000])
        model.played(1, pcm[4000:])
    return model


def test_the_clocks_number_is_divided_among_what_was_handed_over() -> None:  # C03
    model = two()
    model.said(1, 4800 + 700)
    assert (model.heard(KEY), model.heard(OTHER)) == (Heard(4800, 4800), Heard(700, 700))
    model.cut([KEY, OTHER])
    model.settled(1, answered=True)
    assert model.judge("a", [0]) == Judged("full", 200, None)
    assert model.judge("b", [0]) == Judged("partial", 29, (0, 29))


@pytest.mark.parametrize(
    ("said", "verdict"), [(0, "skipped"), (23, "skipped"), (24, "partial"), (4798, "partial"), (4799, "full")]
)
def test_the_table_of_verdicts(said: int, verdict: str) -> None:  # B02, B03, C05
    model = two()
    model.said(1, said)
    model.settled(1, answered=True)
    judged = model.judge("a", [0])
    assert judged is not None and judged.verdict == verdict


def test_a_number_above_what_was_handed_over_is_all_of_it_and_a_smaller_one_nothing() -> None:  # C08, C21
    model = two()
    model.said(1, 100_000)
    model.said(1, 10)
    assert model.heard(OTHER) == Heard(4800, 4800)


def test_what_was_put_back_is_heard_in_the_next_generation() -> None:  # B16
    model = two()
    model.said(1, 1000)
    model.settled(1, answered=True)
    model.played(2, A[2000:])
    model.said(2, 50)
    assert model.heard(KEY) == Heard(1050, 1050) and model.stray == []
    model.said(1, 4000)  # a settled generation is not news any more
    assert model.heard(KEY) == Heard(1050, 1050)


def test_between_two_marks_there_are_bounds() -> None:  # F019
    model = Reference(PCM16_24K, coarse=2400)
    model.received(KEY, Sent(A), len(A))
    model.played(1, A)
    model.said(1, 1000)
    assert model.heard(KEY) == Heard(1000, 1000)
    model.cut([KEY])
    model.settled(1, answered=True)
    assert model.heard(KEY) == Heard(1000, 3400)


def test_a_clock_that_reports_nothing_leaves_everything_open() -> None:  # C19
    model = Reference(PCM16_24K, reports=False)
    model.received(KEY, Sent(A), len(A))
    model.played(1, A)
    assert model.heard(KEY) == Heard(0, 4800)


def test_a_segment_of_which_all_was_heard_goes_on_in_a_generation_that_begins_for_others() -> None:  # C19, C12
    model = Reference(PCM16_24K, reports=False)
    model.received(KEY, Sent(A), len(A))
    model.played(1, A[:4000])
    model.played(2, A[4000:6000])  # the flush of generation 1, for another response, is not settled yet
    assert model.stray == [] and model.heard(KEY) == Heard(0, 3000)


def test_without_an_answer_there_are_bounds() -> None:  # B29
    model = two()
    model.said(1, 1000)
    model.cut([KEY, OTHER])
    model.settled(1, answered=False)
    assert model.heard(KEY) == Heard(1000, 4800)
    assert model.judge("a", [0]) is None


def test_a_segment_that_goes_on_from_a_guess_is_lost_sight_of() -> None:
    model = two()
    model.said(1, 1000)
    model.settled(1, answered=False)
    assert model.heard(KEY) is None and model.judge("a", [0]) is None
    model.played(2, A[4444:])
    assert model.stray == []


def test_what_may_be_either_of_two_is_known_of_neither() -> None:  # seed 32036861
    model = Reference(PCM16_24K)
    for key in (KEY, OTHER):
        model.received(key, Sent(A), len(A))
    model.played(1, A[:4000])
    model.settled(1, answered=False)
    model.played(2, A[:4000])  # KEY may go on with it, and OTHER begin
    assert model.heard(KEY) is None and model.heard(OTHER) is None and model.stray == []


def test_late_audio_never_loosens_a_clamp() -> None:  # C10
    model = Reference(PCM16_24K)
    model.received(KEY, Sent(A), 480)
    model.played(1, A[:480])
    model.cut([KEY])
    model.received(KEY, Sent(A), 480)
    model.complete(KEY)
    model.said(1, 240)
    assert model.judge("a", [0]) == Judged("partial", 10, (0, 10))


def test_what_is_no_segments_next_sample_is_noticed() -> None:  # invariant 8
    model = two()
    model.played(1, A[:100])
    assert len(model.stray) == 1


def test_a_part_that_was_never_heard_leaves_the_message_partial() -> None:  # C23
    model = Reference(PCM16_24K)
    for index, pcm in ((0, A), (1, B)):
        model.received(("a", index), Sent(pcm), len(pcm))
        model.complete(("a", index))
        model.played(1, pcm)
    model.said(1, 4800)
    assert model.judge("a", [0, 1]) == Judged("partial", 200, None)
    assert model.judge("t", []) == Judged("text", 0, None)


# -- in a world ----------------------------------------------------------------------------------------------------------------


class OneMillisecondMore(Session):
    """Counts as heard what the clock has not said, and rounds up: what only a second opinion finds where the clock is coarse."""

    def flushed(self, generation: int, samples: int, *, now: float) -> list[Effect]:
        return super().flushed(generation, samples + 24, now=now)


class OtherCounts(Session):
    """Its counts are off by a sample, and add up."""

    @property
    def segments(self) -> tuple[SegmentView, ...]:
        return tuple(
            msgspec.structs.replace(view, heard=view.heard + 1, queued=view.queued - 1) if view.queued else view
            for view in super().segments
        )


class OtherVerdicts(Session):
    """Tells another length than it counted."""

    def flushed(self, generation: int, samples: int, *, now: float) -> list[Effect]:
        return [
            msgspec.structs.replace(effect, heard_ms=effect.heard_ms + 1)
            if isinstance(effect, MessageEnded) and effect.verdict.value == "partial"
            else effect
            for effect in super().flushed(generation, samples, now=now)
        ]


class ForgetsThatItGuessed(Session):
    """Where a flush was not answered it tells half of what must have sounded, and does not say that this is an estimate."""

    def tick(self, *, now: float) -> list[Effect]:
        return [
            msgspec.structs.replace(effect, heard_ms=effect.heard_ms // 2, estimated=False)
            if isinstance(effect, MessageEnded) and effect.estimated and effect.verdict.value == "partial"
            else effect
            for effect in super().tick(now=now)
        ]


CLOCKS: dict[str, dict[str, Any]] = {
    "wrong answers": {"wrong_per_mille": 300},
    "marks only": {"marks_ms": 200},
    "answers only": {"reports": "answers only"},
    "no reports": {"reports": "none"},
    "answered twice": {"duplicate_per_mille": 400},
    "late pause": {"late_pause_ms": (20, 300)},
    "falls silent": {"silent_per_mille": 100},
}


def world(seed: int, factory: type[Session] = Session, **clock: Any) -> World:
    drawn = scenario_of(seed)
    scenario = structs.replace(drawn, lead_ms=None, interruptions=12, speaker=structs.replace(drawn.speaker, **clock))
    return World(seed, VOICES, scenario=scenario, session_factory=factory)


@pytest.mark.parametrize("name", CLOCKS)
def test_the_core_is_right_by_what_the_clock_said(name: str) -> None:  # F019, C08, C21, B29
    compared = 0
    for seed in range(8):
        made = world(seed, **CLOCKS[name])
        result = made.run()
        assert result.violations == (), result.violations[:3]
        compared += made.auditor.reference.compared if made.auditor.reference is not None else 0
    assert compared > 100 or name in ("answered twice", "late pause")  # exact clocks: there the truth is the measure


def test_between_two_marks_the_core_is_off_by_no_more_than_their_distance() -> None:  # F019
    errors = [error for seed in range(8) for kind in world(seed, marks_ms=200).run().kinds for error in kind.estimated_error_ms]
    assert errors and all(abs(error) <= 200 for error in errors)


def test_a_clock_that_lies_misleads_and_that_is_told_apart() -> None:  # C08
    kinds = [kind for seed in range(8) for kind in world(seed, wrong_per_mille=300).run().kinds]
    assert any(kind.misled_error_ms for kind in kinds)
    assert {error for kind in kinds for error in kind.truncation_error_ms} == {0}


@pytest.mark.parametrize("broken", [OneMillisecondMore, OtherCounts, OtherVerdicts], ids=lambda each: each.__name__)
@pytest.mark.parametrize("name", ["wrong answers"])
def test_a_core_that_deviates_from_the_clocks_words_is_caught(broken: type[Session], name: str) -> None:
    assert any(world(seed, broken, **CLOCKS[name]).run().violations for seed in range(3))


def test_a_guess_that_is_not_called_one_is_held_to_the_same_bounds() -> None:  # B29
    found = [each for seed in range(3) for each in world(seed, ForgetsThatItGuessed, missing_per_mille=500).run().violations]
    assert any(each.invariant == 11 and "is estimated at" in each.text for each in found)


# -- estimates ----------------------------------------------------------------------------------------------------------------


def test_an_estimate_runs_over_the_time_in_which_there_was_sound() -> None:  # B29, C19
    estimates = Estimates(24_000, 0)
    estimates.play(1, 24_000, 0)
    estimates.report(1, 6_000, 300 * MS)
    estimates.report(1, 4_000, 310 * MS)  # a word of the past
    estimates.flush(1, 500 * MS)
    assert estimates.final[1] == 6_000 + 4_800


def test_an_estimate_stops_at_what_was_handed_over_and_begins_again_with_more() -> None:  # C19, F147
    estimates = Estimates(24_000, 0)
    estimates.play(1, 4_800, 0)
    estimates.play(1, 72_000, 3_000 * MS)
    estimates.flush(1, 3_100 * MS)
    assert estimates.final[1] == 4_800 + 2_400


def test_an_estimate_does_not_run_while_the_sound_is_held() -> None:  # C20
    estimates = Estimates(24_000, 0)
    estimates.play(1, 96_000, 0)
    estimates.hold(1, 1_000 * MS)
    estimates.go_on(1, 2_500 * MS)
    estimates.flush(1, 3_000 * MS)
    assert estimates.final[1] == 36_000


def test_nothing_sounds_after_the_last_word_of_a_device_that_is_lost() -> None:  # F100
    estimates = Estimates(24_000, 0)
    estimates.play(1, 96_000, 0)
    estimates.report(1, 2_400, 100 * MS)
    estimates.flush(1, 200 * MS)
    assert estimates.final[1] == 4_800
    estimates.lose()
    assert estimates.final[1] == 2_400


def test_what_is_handed_to_a_device_that_is_back_sounds_again() -> None:  # F100, C19
    estimates = Estimates(24_000, 0)
    estimates.play(1, 2_400, 0)
    estimates.report(1, 2_400, 100 * MS)
    estimates.lose()
    estimates.play(1, 24_000, 1_000 * MS)
    estimates.flush(1, 1_100 * MS)
    assert estimates.final[1] == 2_400 + 2_400


def test_what_a_pause_took_to_have_sounded_is_no_word_of_a_device_that_is_lost() -> None:  # F100
    estimates = Estimates(24_000, 0)
    estimates.play(1, 96_000, 0)
    estimates.report(1, 2_400, 100 * MS)
    estimates.hold(1, 200 * MS)
    estimates.play(2, 2_400, 200 * MS)
    estimates.hold(2, 250 * MS)
    estimates.flush(1, 300 * MS)
    estimates.lose()
    estimates.flush(2, 300 * MS)
    assert (estimates.final[1], estimates.final[2]) == (2_400, 0)


def test_a_report_in_a_pause_corrects_what_the_pause_took_to_have_sounded() -> None:  # C20, B29
    estimates = Estimates(24_000, 0)
    estimates.play(1, 96_000, 0)
    estimates.hold(1, 200 * MS)
    estimates.report(1, 2_400, 210 * MS)
    estimates.report(1, 1_200, 220 * MS)  # a word of the past
    estimates.flush(1, 300 * MS)
    assert estimates.final[1] == 2_400


def test_a_clock_that_fell_silent_loses_no_place_in_what_is_handed_over() -> None:
    """The next message may begin with sound that the one before has in its middle: it is not taken for that."""
    model = Reference(PCM16_24K)
    beginning = B[:480]
    first, second = A + beginning + A, beginning + A
    model.received(("first", 0), Sent(first), len(first))
    model.played(1, first)
    model.said(1, len(first) // 8)
    model.assumed(1)
    model.received(("second", 0), Sent(second), len(second))
    model.played(1, beginning)
    model.said(1, (len(first) + len(beginning)) // 2)
    assert model.heard(("second", 0)) == Heard(240, 240)
