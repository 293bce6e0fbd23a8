"""The simulated speaker: what a person could hear, to the sample, and what it tells the core about it."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from rtcore import PCM16_24K, PCMU
from rtcore.sim._rng import Rng
from rtcore.sim.speaker import MILLISECOND, Report, Speaker, SpeakerOptions

EXACT = SpeakerOptions(
    buffer_ms=40, block_ms=20, report_ms=20, stop_ms=(0, 0), answer_ms=(0, 0), instant_per_mille=1000
)  # obeys and answers at once


def speaker(seed: int = 1, **changes: object) -> Speaker:
    return Speaker(structs.replace(EXACT, **changes), Rng(seed))


def pcm(samples: int, first: int = 0) -> bytes:
    """Samples that count, so that no two stretches of them are alike."""
    return b"".join((first + index).to_bytes(2, "little") for index in range(samples))


def run(device: Speaker, until: int) -> list[tuple[int, Report]]:
    """Everything it says until then."""
    told: list[tuple[int, Report]] = []
    while (at := device.next_at) is not None and at <= until:
        told += [(at, report) for report in device.step(at)]
    device.advance(until)
    return told


def heard(device: Speaker, generation: int) -> bytes:
    return b"".join(bytes(span.pcm) for span in device.spans if span.generation == generation)


def test_what_is_handed_over_sounds_a_block_and_a_buffer_later_at_the_devices_rate() -> None:
    device = speaker()
    device.play(1, pcm(4800), now=0)
    told = run(device, 400 * MILLISECOND)
    assert heard(device, 1) == pcm(4800)
    assert device.spans[0].at == 60 * MILLISECOND and device.spans[-1].until == 260 * MILLISECOND
    assert told[-2][1] == Report("played", 1, 4800)
    assert [report.samples for _, report in told if report.kind == "played"] == sorted(
        report.samples for _, report in told if report.kind == "played"
    )


def test_a_fast_crystal_sounds_the_same_samples_sooner() -> None:
    device = speaker(drift_ppm=200)
    device.play(1, pcm(24_000), now=0)
    device.advance(2_000 * MILLISECOND)
    assert heard(device, 1) == pcm(24_000)
    assert device.spans[-1].until < (1_060 * MILLISECOND) - 150_000  # 200 ppm of a second are 200 microseconds


def test_a_flush_in_one_instant_stops_between_two_samples() -> None:
    device = speaker()
    device.play(1, pcm(4800), now=0)
    now = 100 * MILLISECOND
    device.flush(1, now=now)
    assert device.step(now) == [Report("flushed", 1, 960)]  # it began after the next block and 40 ms of buffer
    assert heard(device, 1) == pcm(960)
    run(device, 1_000 * MILLISECOND)
    assert heard(device, 1) == pcm(960)


def test_the_device_buffer_sounds_on_until_the_flush_takes_effect_and_the_answer_counts_it() -> None:  # DESIGN 3: the one number
    device = speaker(stop_ms=(10, 10), answer_ms=(5, 5), instant_per_mille=0)
    device.play(1, pcm(48_000), now=0)
    now = 100 * MILLISECOND
    device.advance(now)
    device.flush(1, now=now)
    device.play(2, pcm(480, first=50_000), now=now)  # the next generation waits behind the silence
    told = run(device, 1_000 * MILLISECOND)
    stop = device.stops[0]
    assert (stop.at, stop.samples) == (110 * MILLISECOND, 1200)
    assert [entry for entry in told if entry[1].kind == "flushed"] == [(115 * MILLISECOND, Report("flushed", 1, 1200))]
    assert heard(device, 1) == pcm(1200)
    assert heard(device, 2) == pcm(480, first=50_000)
    assert min(span.at for span in device.spans if span.generation == 2) >= stop.at


def test_a_slow_flush_is_limited_by_what_the_device_holds() -> None:
    device = speaker(slow_per_mille=1000, instant_per_mille=0)
    device.play(1, pcm(48_000), now=0)
    device.advance(100 * MILLISECOND)
    device.flush(1, now=100 * MILLISECOND)
    run(device, 2_000 * MILLISECOND)
    assert len(heard(device, 1)) // 2 <= 960 + 960 + 480  # heard, plus the buffer, plus one block


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_nothing_newer_sounds_before_the_silence_of_a_slow_flush(pieces: int) -> None:  # invariant 7
    device = speaker(buffer_ms=10, block_ms=10, slow_per_mille=1000, instant_per_mille=0)
    device.play(1, pcm(48_000), now=0)
    device.flush(1, now=100 * MILLISECOND)
    for piece in range(pieces):
        device.play(2, pcm(1440, first=1440 * piece), now=(200 + 100 * piece) * MILLISECOND)
    run(device, 3_000 * MILLISECOND)
    first = next(span for span in device.spans if span.generation == 2)
    assert first.at == device.stops[0].at + 10 * MILLISECOND and heard(device, 2) == pcm(1440 * pieces)


def test_a_missing_answer_is_silence_all_the_same() -> None:  # B29
    device = speaker(missing_per_mille=1000)
    device.play(1, pcm(48_000), now=0)
    device.flush(1, now=100 * MILLISECOND)
    told = run(device, 5_000 * MILLISECOND)
    assert all(report.kind != "flushed" for _, report in told)
    assert len(heard(device, 1)) // 2 == 960 and not device.stops[0].answered


def test_a_device_that_leaves_flushes_unanswered_does_so_most_when_it_is_held() -> None:  # B29, C20
    def unanswered(*, held: bool) -> int:
        lost = 0
        for seed in range(40):
            device = speaker(seed, missing_per_mille=10)
            device.play(1, pcm(4800), now=0)
            if held:
                device.pause(now=90 * MILLISECOND)
            device.flush(1, now=100 * MILLISECOND)
            assert device.owes(449 * MILLISECOND) is not device.stops[0].answered and not device.owes(450 * MILLISECOND)
            lost += not device.stops[0].answered
        return lost

    assert unanswered(held=False) < 5 < 10 < unanswered(held=True) < 30


def test_before_an_answer_that_is_lost_it_repeats_the_past() -> None:  # C21, B29
    def stale(**rates: int) -> int:
        device = speaker(stale_per_mille=1, **rates)
        device.play(1, pcm(24_000), now=0)
        truth = past = 0
        for _, report in run(device, 1_000 * MILLISECOND):
            past += report.kind == "played" and report.samples <= truth
            truth = max(truth, report.samples)
        assert past == device.happened.get("speaker: stale report", 0)
        return past

    assert stale() == 0 and stale(missing_per_mille=1000) > 20


def test_a_late_answer_comes_after_the_cores_patience() -> None:  # B29
    device = speaker(late_per_mille=1000)
    device.play(1, pcm(48_000), now=0)
    device.flush(1, now=100 * MILLISECOND)
    answers = [at for at, report in run(device, 5_000 * MILLISECOND) if report.kind == "flushed"]
    assert len(answers) == 1 and answers[0] > (100 + 350 + 150) * MILLISECOND


def test_pause_and_resume_lose_and_repeat_no_sample() -> None:  # B16, C20
    device = speaker()
    device.play(1, pcm(9600), now=0)
    device.pause(now=133 * MILLISECOND)
    before = len(heard(device, 1))
    run(device, 900 * MILLISECOND)
    assert len(heard(device, 1)) == before
    device.resume(now=1_000 * MILLISECOND)
    run(device, 3_000 * MILLISECOND)
    assert heard(device, 1) == pcm(9600)
    assert device.spans[-1].until == (460 + 1000 - 133) * MILLISECOND


def test_what_is_held_when_the_flush_comes_is_never_heard() -> None:
    device = speaker()
    device.play(1, pcm(9600), now=0)
    device.pause(now=100 * MILLISECOND)
    device.flush(1, now=500 * MILLISECOND)
    assert device.step(500 * MILLISECOND) == [Report("flushed", 1, 960)]
    device.play(2, pcm(480, first=20_000), now=500 * MILLISECOND)
    run(device, 2_000 * MILLISECOND)
    assert len(heard(device, 1)) // 2 == 960 and heard(device, 2) == pcm(480, first=20_000)


def test_a_device_that_holds_its_tail_sounds_it_at_drain() -> None:
    device = speaker(hold_tail=True)
    device.play(1, pcm(700), now=0)
    run(device, 1_000 * MILLISECOND)
    assert len(heard(device, 1)) // 2 == 480  # one block
    device.drain(1, now=1_000 * MILLISECOND)
    told = run(device, 2_000 * MILLISECOND)
    assert heard(device, 1) == pcm(700) and told[-1][1] == Report("played", 1, 700)


def test_running_dry_is_told_once_and_not_after_drain() -> None:  # F147
    device = speaker()
    device.play(1, pcm(480), now=0)
    assert [report.kind for _, report in run(device, 1_000 * MILLISECOND)].count("underrun") == 1
    device.play(1, pcm(480), now=1_000 * MILLISECOND)
    device.drain(1, now=1_000 * MILLISECOND)
    assert "underrun" not in [report.kind for _, report in run(device, 2_000 * MILLISECOND)]


def test_it_says_beforehand_when_a_sample_will_have_sounded() -> None:
    device = speaker(drift_ppm=-137)
    device.play(1, pcm(30_000), now=0)
    at = device.reaches(1, 12_345)
    assert at is not None
    device.advance(at - 1)
    assert device.sounded(1) == 12_344
    device.advance(at)
    assert device.sounded(1) == 12_345


def test_telephone_audio_has_one_byte_a_sample() -> None:  # C22
    device = Speaker(EXACT, Rng(1), PCMU)
    device.play(1, bytes(range(160)), now=0)
    device.advance(1_000 * MILLISECOND)
    assert heard(device, 1) == bytes(range(160)) and device.sounded(1) == 160
    assert device.spans[-1].until - device.spans[0].at == 20 * MILLISECOND


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="whole samples"):
        Speaker(EXACT, Rng(1), PCM16_24K).play(1, b"\x00", now=0)


def do(device: Speaker, handed: dict[int, bytes], kind: str, amount: int, now: int) -> None:
    """A step of a session: the newest generation plays more, or ends; ``handed`` keeps what each was given."""
    generation = max(handed)
    match kind:
        case "play":
            more = pcm(amount, first=len(handed[generation]) // 2 % 60_000)
            handed[generation] += more
            device.play(generation, more, now=now)
        case "flush":
            device.flush(generation, now=now)
            handed[generation + 1] = b""
        case "pause":
            device.pause(now=now)
        case "resume":
            device.resume(now=now)
        case "drain":
            device.drain(generation, now=now)
        case _:
            raise ValueError(kind)


STEP = st.tuples(st.sampled_from(("play", "flush", "pause", "resume", "drain", "wait")), st.integers(1, 3_000))


@settings(max_examples=80, deadline=None)
@given(st.lists(STEP, max_size=40), st.integers(0, 1 << 32), st.booleans())
def test_every_generation_sounds_a_prefix_of_what_was_handed_over_and_stops_where_it_says(
    steps: list[tuple[str, int]], seed: int, hold_tail: bool
) -> None:
    device = Speaker(SpeakerOptions(stop_ms=(0, 90), answer_ms=(0, 60), hold_tail=hold_tail), Rng(seed))
    now = 0
    handed: dict[int, bytes] = {1: b""}
    answers: dict[int, int] = {}
    for kind, amount in steps:
        match kind:
            case "wait":
                now += amount * 100_000
                answers |= {r.generation: r.samples for _, r in run(device, now) if r.kind == "flushed"}
            case _:
                do(device, handed, kind, amount, now)
    generation = max(handed)
    device.resume(now=now)
    device.drain(generation, now=now)
    answers |= {r.generation: r.samples for _, r in run(device, now + 60_000 * MILLISECOND) if r.kind == "flushed"}
    for number, everything in handed.items():
        assert everything.startswith(heard(device, number))
        if number == generation:
            assert heard(device, number) == everything
        else:
            assert answers[number] == len(heard(device, number)) // 2
    ends = [span.until for span in device.spans]
    assert all(before <= span.at for before, span in zip(ends, device.spans[1:], strict=False))


# -- faults: what became audible, what was told, and that it is counted ---------------------------------------------------------


def answers(told: list[tuple[int, Report]]) -> list[tuple[int, int, int]]:
    """When which flush was answered with how many samples."""
    return [(at // MILLISECOND, report.generation, report.samples) for at, report in told if report.kind == "flushed"]


def positions(told: list[tuple[int, Report]]) -> list[tuple[int, int]]:
    return [(at // MILLISECOND, report.samples) for at, report in told if report.kind == "played"]


def test_an_honest_device_counts_no_fault_and_its_stop_says_so() -> None:
    device = speaker()
    device.play(1, pcm(4800), now=0)
    device.flush(1, now=100 * MILLISECOND)
    run(device, 1_000 * MILLISECOND)
    stop = device.stops[0]
    assert (stop.samples, stop.told, stop.handed, stop.faults) == (960, 960, 4800, ())
    assert device.happened == {}


def test_a_large_buffer_sounds_on_and_is_counted() -> None:  # C01, F019
    device = speaker(buffer_ms=500, stop_ms=(80, 80), instant_per_mille=0)
    device.play(1, pcm(48_000), now=0)
    device.flush(1, now=700 * MILLISECOND)  # sound began at 520 ms
    told = run(device, 2_000 * MILLISECOND)
    assert len(heard(device, 1)) // 2 == 260 * 24 and answers(told) == [(780, 1, 260 * 24)]
    assert device.happened == {"speaker: large buffer": 1}
    assert device.options.clock.latency_ms == 0  # what it reports has sounded: the buffer is subtracted


def test_drift_of_500_ppm_is_two_hundred_samples_in_sixteen_seconds() -> None:  # B02, F017
    device = speaker(drift_ppm=500, buffer_ms=0, block_ms=10)
    device.play(1, pcm(40_000), now=0)
    for _ in range(11):
        device.play(1, bytes(80_000), now=0)
    device.flush(1, now=16_010 * MILLISECOND)
    samples = device.stops[0].samples
    assert samples == 16_010 * 24 * 1_000_500 // 1_000_000 - 240  # it sounds 10 ms of its own crystal after the hand-over
    assert device.happened == {"speaker: drift": 1}


def test_an_underrun_is_counted_and_the_sound_goes_on_with_the_next_sample() -> None:  # C19, F147
    device = speaker()
    device.play(1, pcm(480), now=0)
    told = run(device, 500 * MILLISECOND)
    device.play(1, pcm(480, first=480), now=500 * MILLISECOND)
    device.drain(1, now=500 * MILLISECOND)
    told += run(device, 1_000 * MILLISECOND)
    assert heard(device, 1) == pcm(960) and positions(told)[-1][1] == 960
    assert [report.kind for _, report in told].count("underrun") == 1 and device.happened == {"speaker: underrun": 1}
    gap = device.spans[1].at - device.spans[0].until
    assert device.spans[1].index == 480 and gap >= 400 * MILLISECOND


@pytest.mark.parametrize(
    ("rate", "fault"),
    [("slow_per_mille", "slow answer"), ("late_per_mille", "late answer"), ("missing_per_mille", "missing answer")],
)
def test_answers_out_of_time_are_true_or_not_given(rate: str, fault: str) -> None:  # B29, C21
    device = speaker(**{rate: 1000, "instant_per_mille": 0})
    device.play(1, pcm(48_000), now=0)
    device.flush(1, now=100 * MILLISECOND)
    told = run(device, 5_000 * MILLISECOND)
    stop = device.stops[0]
    assert stop.faults == (fault,) and device.happened[f"speaker: {fault}"] == 1
    assert stop.samples == len(heard(device, 1)) // 2
    if fault == "missing answer":
        assert answers(told) == [] and (stop.answered, stop.told) == (False, None)
    else:
        assert answers(told) == [(stop.answer_at // MILLISECOND, 1, stop.samples)] and stop.told == stop.samples
        assert stop.answer_at - stop.asked_at > device.options.flush_latency_ms * MILLISECOND
        assert (stop.at - stop.asked_at > device.options.flush_latency_ms * MILLISECOND) == (fault == "slow answer")


def test_a_flush_is_answered_twice_even_when_a_newer_generation_sounds() -> None:  # B29, C21
    late = 0
    for seed in range(40):
        device = speaker(seed, duplicate_per_mille=1000)
        device.play(1, pcm(4800), now=0)
        device.flush(1, now=100 * MILLISECOND)
        device.play(2, pcm(48_000), now=100 * MILLISECOND)
        told = run(device, 6_000 * MILLISECOND)
        (first, *what), (second, *again) = answers(told)
        assert what == again == [1, 960] and 100 == first <= second <= 3_100
        assert device.happened["speaker: duplicate answer"] == 1
        late += device.sounded(2) > 0 and second > 300
    assert 10 < late < 40


def test_a_wrong_answer_is_less_or_more_than_the_truth_or_more_than_was_handed_over() -> None:  # B02, C08, F009
    kinds = {"less": 0, "more": 0, "above": 0}
    for seed in range(60):
        device = speaker(seed, wrong_per_mille=1000)
        device.play(1, pcm(4800), now=0)
        device.flush(1, now=100 * MILLISECOND)
        told = run(device, 1_000 * MILLISECOND)
        stop = device.stops[0]
        assert len(heard(device, 1)) // 2 == stop.samples == 960 and stop.handed == 4800
        assert stop.told is not None and stop.told != 960 and stop.faults == ("wrong answer",)
        assert answers(told) == [(100, 1, stop.told)]
        assert device.happened == {"speaker: wrong answer": 1}
        kinds["less" if stop.told < 960 else "more" if stop.told <= 4800 else "above"] += 1
    assert min(kinds.values()) >= 10


def test_a_wrong_answer_about_nothing_can_only_be_too_much() -> None:  # C08
    for seed in range(20):
        device = speaker(seed, wrong_per_mille=1000)
        device.flush(1, now=100 * MILLISECOND)
        assert (device.stops[0].told or 0) > device.stops[0].handed == 0


def test_a_stale_report_is_smaller_or_of_a_generation_long_gone() -> None:  # C21
    device = speaker(stale_per_mille=1000)
    device.play(1, pcm(4800), now=0)
    told = run(device, 1_000 * MILLISECOND)
    counts = [samples for _, samples in positions(told)]
    assert max(counts) == 4800 and counts[1::2] != sorted(counts) and len(counts) == 2 * device.happened["speaker: stale report"]
    assert all(stale <= true for true, stale in zip(counts[::2], counts[1::2], strict=True))


def test_a_stale_report_of_the_generation_before_is_no_more_than_was_told_of_that() -> None:  # C21, B29: its flush is unanswered
    device = speaker(stale_per_mille=1000, missing_per_mille=1000)
    device.play(1, pcm(4800), now=0)
    first = run(device, 120 * MILLISECOND)
    device.flush(1, now=120 * MILLISECOND)
    device.play(2, pcm(24_000), now=120 * MILLISECOND)
    later = run(device, 1_500 * MILLISECOND)
    told = max(report.samples for _, report in first if report.generation == 1)
    stale = [report.samples for _, report in later if report.generation == 1]
    assert 0 < told < 4800 and len(stale) > 10 and max(stale) <= told


# -- marks: a telephone line ----------------------------------------------------------------------------------------------------


def test_marks_are_reported_when_they_are_passed_and_at_the_end_after_drain() -> None:  # F020: at a bounded rate, and at the end
    device = speaker(marks_ms=200)
    device.play(1, pcm(13_000), now=0)  # 541.7 ms; sound begins at 60 ms
    told = run(device, 2_000 * MILLISECOND)
    assert positions(told) == [(260, 4800), (460, 9600)]
    device.drain(1, now=2_000 * MILLISECOND)
    told = run(device, 3_000 * MILLISECOND)
    assert positions(told) == [(2_000, 13_000)]
    clock = device.options.clock
    assert (clock.report_ms, clock.answer_ms, clock.reports) == (200, 200, True)


def test_a_drain_in_time_puts_the_last_mark_at_the_end() -> None:  # F020
    device = speaker(marks_ms=200)
    device.play(1, pcm(13_000), now=0)
    device.drain(1, now=0)
    told = run(device, 2_000 * MILLISECOND)
    assert positions(told) == [(260, 4800), (460, 9600), (601, 13_000)]
    device.play(1, pcm(4_000), now=2_000 * MILLISECOND)  # the end was none, but its mark was set
    told = run(device, 4_000 * MILLISECOND)
    assert positions(told) == [(2_000 + 60 + 58, 14_400)] and device.sounded(1) == 17_000


def test_a_flush_between_two_marks_is_answered_with_the_last_one_passed() -> None:  # F019
    device = speaker(marks_ms=200)
    device.play(1, pcm(48_000), now=0)
    device.flush(1, now=655 * MILLISECOND)
    told = run(device, 2_000 * MILLISECOND)
    stop = device.stops[0]
    assert stop.samples == len(heard(device, 1)) // 2 == 595 * 24
    assert (stop.told, stop.faults) == (9600, ("marks only",)) and answers(told) == [(655, 1, 9600)]
    assert device.happened == {"speaker: marks only": 1}


def test_a_flush_on_a_mark_is_exact() -> None:  # F019
    device = speaker(marks_ms=200)
    device.play(1, pcm(48_000), now=0)
    device.flush(1, now=660 * MILLISECOND - 200 * MILLISECOND)
    assert (device.stops[0].told, device.stops[0].samples, device.stops[0].faults) == (9600, 9600, ())


def test_marks_of_what_waits_behind_a_flush_are_awaited_once() -> None:  # invariant 12: a clock that wakes all the time is none
    device = speaker(marks_ms=200, slow_per_mille=1000, instant_per_mille=0)
    device.play(1, pcm(48_000), now=0)
    device.flush(1, now=100 * MILLISECOND)
    device.play(2, pcm(9_600), now=200 * MILLISECOND)
    steps = 0
    while (at := device.next_at) is not None and steps < 100:
        device.step(at)
        steps += 1
    assert heard(device, 2) == pcm(9_600) and steps < 10


def test_marks_go_on_after_a_pause_and_after_an_underrun() -> None:  # B16, C19
    device = speaker(marks_ms=100)
    device.play(1, pcm(4_000), now=0)
    device.pause(now=110 * MILLISECOND)  # 50 ms have sounded
    assert positions(run(device, 1_000 * MILLISECOND)) == []
    device.resume(now=1_010 * MILLISECOND)
    assert positions(run(device, 2_000 * MILLISECOND)) == [(1_060, 2400)]
    device.play(1, pcm(4_000, first=4_000), now=3_000 * MILLISECOND)
    device.drain(1, now=3_000 * MILLISECOND)
    assert positions(run(device, 4_000 * MILLISECOND)) == [(3_060 + 33, 4_800), (3_060 + 133, 7_200), (3_060 + 166, 8_000)]


# -- no reports -----------------------------------------------------------------------------------------------------


def test_a_device_that_only_answers_says_nothing_until_it_is_flushed() -> None:  # C19, F078
    device = speaker(reports="answers only")
    device.play(1, pcm(4800), now=0)
    assert run(device, 150 * MILLISECOND) == []
    device.flush(1, now=150 * MILLISECOND)
    assert answers(run(device, 1_000 * MILLISECOND)) == [(150, 1, 90 * 24)]
    assert device.stops[0].faults == () and device.happened == {"speaker: no reports": 1}
    assert not device.options.clock.reports and device.options.clock.answer_ms == 0
    assert device.options.clock.latency_ms == 60  # what is reckoned from the hand-over is so much too early


def test_a_device_without_reports_falls_silent_and_never_says_so() -> None:  # B29, F078
    device = speaker(reports="none")
    device.play(1, pcm(480), now=0)
    assert run(device, 1_000 * MILLISECOND) == []  # not even that it ran dry
    device.play(1, pcm(4800), now=1_000 * MILLISECOND)
    device.flush(1, now=1_150 * MILLISECOND)
    assert run(device, 5_000 * MILLISECOND) == [] and not device.flushing
    stop = device.stops[0]
    assert (stop.samples, stop.told, stop.answered, stop.faults) == (480 + 90 * 24, None, False, ("no reports",))
    assert device.happened == {"speaker: underrun": 1, "speaker: no reports": 1}


# -- the device vanishes -----------------------------------------------------------------------------------------------------


def test_a_lost_device_is_silent_at_once_and_answers_nothing() -> None:  # F100
    device = speaker(stop_ms=(10, 10), answer_ms=(50, 50), instant_per_mille=0)
    device.play(1, pcm(48_000), now=0)
    told = run(device, 100 * MILLISECOND)
    device.lose(now=107 * MILLISECOND)
    device.flush(1, now=107 * MILLISECOND)
    device.play(2, pcm(4800), now=200 * MILLISECOND)
    device.pause(now=210 * MILLISECOND)
    device.drain(2, now=220 * MILLISECOND)
    assert run(device, 1_000 * MILLISECOND) == [] and device.pending == 0 and not device.paused
    assert len(heard(device, 1)) // 2 == 47 * 24 and heard(device, 2) == b""
    loss = device.losses[0]
    assert (loss.at, loss.generation, loss.samples, loss.reported) == (107 * MILLISECOND, 1, 47 * 24, positions(told)[-1][1])
    assert [(stop.generation, stop.samples, stop.told, stop.faults) for stop in device.stops] == [
        (1, 47 * 24, None, ("device lost",))
    ]
    assert device.happened == {"speaker: device lost": 1}
    device.restore(now=1_000 * MILLISECOND)
    device.play(3, pcm(480, first=9_000), now=1_000 * MILLISECOND)
    run(device, 2_000 * MILLISECOND)
    assert heard(device, 3) == pcm(480, first=9_000) and heard(device, 2) == b""
    assert device.spans[-1].at == 1_060 * MILLISECOND


@pytest.mark.parametrize("lost_at", [105, 120])
def test_a_flush_under_way_when_the_device_is_lost_gets_no_answer(lost_at: int) -> None:  # B29, F100
    device = speaker(stop_ms=(10, 10), answer_ms=(50, 50), instant_per_mille=0)
    device.play(1, pcm(48_000), now=0)
    device.flush(1, now=100 * MILLISECOND)
    device.lose(now=lost_at * MILLISECOND)
    device.restore(now=130 * MILLISECOND)
    assert answers(run(device, 2_000 * MILLISECOND)) == [] and len(device.stops) == 1
    stop = device.stops[0]
    assert (stop.answered, stop.told, stop.faults) == (False, None, ("device lost",))
    assert stop.samples == len(heard(device, 1)) // 2 == (min(lost_at, 110) - 60) * 24


def test_the_same_generation_goes_on_after_a_loss_without_what_was_queued() -> None:  # F100
    device = speaker()
    device.play(1, pcm(48_000), now=0)
    device.lose(now=100 * MILLISECOND)
    device.restore(now=200 * MILLISECOND)
    device.play(1, pcm(480, first=50_000), now=200 * MILLISECOND)
    run(device, 1_000 * MILLISECOND)
    assert heard(device, 1) == pcm(960) + pcm(480, first=50_000) and device.sounded(1) == 1440


# -- late pauses, and calm -----------------------------------------------------------------------------------------------------


def test_a_late_pause_lets_sound_on_for_so_long_and_reports_it() -> None:  # B16, C20, F083
    device = speaker(late_pause_ms=(70, 70))
    device.play(1, pcm(9600), now=0)
    device.drain(1, now=0)
    device.pause(now=133 * MILLISECOND)
    told = run(device, 900 * MILLISECOND)
    assert len(heard(device, 1)) // 2 == (133 + 70 - 60) * 24 and device.paused
    assert positions(told)[-1][1] == (133 + 70 - 60) * 24  # the core gets to know where it holds
    device.resume(now=1_000 * MILLISECOND)
    run(device, 3_000 * MILLISECOND)
    assert heard(device, 1) == pcm(9600) and device.happened == {"speaker: late pause": 1}


def test_a_pause_that_is_taken_back_in_time_never_takes_effect() -> None:  # B16
    device = speaker(late_pause_ms=(70, 70))
    device.play(1, pcm(9600), now=0)
    device.drain(1, now=0)
    device.pause(now=100 * MILLISECOND)
    device.resume(now=150 * MILLISECOND)
    run(device, 2_000 * MILLISECOND)
    assert heard(device, 1) == pcm(9600) and device.spans[-1].until == 460 * MILLISECOND and device.happened == {}


def test_a_flush_overtakes_a_late_pause() -> None:  # F083
    device = speaker(late_pause_ms=(70, 70))
    device.play(1, pcm(9600), now=0)
    device.pause(now=100 * MILLISECOND)
    device.flush(1, now=120 * MILLISECOND)
    device.play(2, pcm(480), now=120 * MILLISECOND)
    run(device, 1_000 * MILLISECOND)
    assert device.stops[0].samples == 60 * 24 and heard(device, 2) == pcm(480) and not device.paused


def test_a_calm_device_keeps_its_nature_and_leaves_its_faults() -> None:  # invariant 15
    rates = dict.fromkeys(("missing", "duplicate", "wrong", "stale"), 1000)
    faults = {f"{name}_per_mille": rate for name, rate in rates.items()}
    device = speaker(late_pause_ms=(50, 50), marks_ms=100, instant_per_mille=0, **faults)
    device.calm()
    device.play(1, pcm(9600), now=0)
    device.pause(now=100 * MILLISECOND)
    assert device.paused
    device.resume(now=200 * MILLISECOND)
    told = run(device, 309 * MILLISECOND)
    device.flush(1, now=310 * MILLISECOND)  # 150 ms have sounded
    told += run(device, 5_000 * MILLISECOND)
    assert positions(told) == [(260, 2400)] and answers(told) == [(310, 1, 2400)]
    assert device.happened == {"speaker: marks only": 1}


def test_faults_that_are_off_draw_as_before() -> None:
    faults = {"duplicate_per_mille": 300, "wrong_per_mille": 300, "marks_ms": 60, "late_pause_ms": (10, 20)}
    honest = structs.replace(EXACT, stop_ms=(0, 90), answer_ms=(0, 60), instant_per_mille=300)
    plain, faulty = Speaker(honest, Rng(7)), Speaker(structs.replace(honest, **faults), Rng(7))
    for device in (plain, faulty):
        for generation in range(1, 30):
            now = generation * 500 * MILLISECOND
            device.play(generation, pcm(4800), now=now)
            device.flush(generation, now=now + 150 * MILLISECOND)
            run(device, now + 499 * MILLISECOND)
    assert [(stop.at, stop.answer_at, stop.samples) for stop in plain.stops] == [
        (stop.at, stop.answer_at, stop.samples) for stop in faulty.stops
    ]


FAULTY_STEP = st.tuples(
    st.sampled_from(("play", "play", "flush", "pause", "resume", "drain", "wait", "wait", "lose", "restore", "look")),
    st.integers(1, 3_000),
)
OPTIONS = st.fixed_dictionaries(
    {
        "buffer_ms": st.sampled_from((0, 40, 500)),
        "drift_ppm": st.integers(-500, 500),
        "marks_ms": st.sampled_from((0, 0, 60, 300)),
        "reports": st.sampled_from(("all", "all", "answers only", "none")),
        "late_pause_ms": st.sampled_from(((0, 0), (10, 200))),
        "hold_tail": st.booleans(),
        "instant_per_mille": st.sampled_from((0, 1000)),
        "slow_per_mille": st.sampled_from((0, 300)),
        "missing_per_mille": st.sampled_from((0, 300)),
        "duplicate_per_mille": st.sampled_from((0, 500)),
        "wrong_per_mille": st.sampled_from((0, 300)),
    }
)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.lists(FAULTY_STEP, max_size=40), st.integers(0, 1 << 32), OPTIONS)
def test_whatever_a_device_does_its_records_are_true(  # B29, C08, C21, F019, F078, F100
    steps: list[tuple[str, int]], seed: int, options: dict[str, object]
) -> None:
    device = Speaker(structs.replace(SpeakerOptions(stop_ms=(0, 90), answer_ms=(0, 60)), **options), Rng(seed))
    now, woken, lost_at = 0, 0, None
    told: list[tuple[int, Report]] = []
    silent: list[tuple[int, int]] = []  # from when to when the device was lost
    handed: dict[int, bytes] = {1: b""}
    torn: set[int] = set()  # generations of which a loss took a part
    for kind, amount in steps:
        match kind:
            case "play" if lost_at is not None:
                do(device, handed, kind, amount, now)
                torn.add(max(handed))
            case "lose":
                device.lose(now=now)
                lost_at = now if lost_at is None else lost_at
                torn |= set(handed)
            case "restore":
                device.restore(now=now)
                if lost_at is not None:
                    silent.append((lost_at, now))
                    lost_at = None
            case "look":
                generation = max(handed)
                assert device.pending >= 0 and device.sounded(generation) == len(heard(device, generation)) // 2
            case "wait":
                until = now + amount * 100_000
                while (at := device.next_at) is not None and at <= until:
                    assert at >= now
                    now, woken = at, woken + 1
                    told += [(at, report) for report in device.step(at)]
                now = until
            case _:
                do(device, handed, kind, amount, now)
    generation = max(handed)
    device.restore(now=now)
    silent += [(lost_at, now)] if lost_at is not None else []
    device.resume(now=now)
    device.drain(generation, now=now)
    end = now + 20_000 * MILLISECOND
    told += run(device, end)
    assert device.pending == 0 and device.next_at is None
    for number, everything in handed.items():
        if number not in torn:
            assert everything.startswith(heard(device, number))
            assert number < generation or heard(device, number) == everything
            knows = device.options.reports == "all" and number == generation and everything
            positions_told = [report for _, report in told if report.kind == "played"]
            assert not knows or positions_told[-1] == Report("played", number, len(everything) // 2)
    assert woken <= 20 + now // (10 * MILLISECOND) + 20 * len(steps)  # it wakes when there is something, not all the time
    spans = device.spans
    assert all(before.until <= span.at for before, span in pairwise(spans))
    for start, end in silent:
        assert not any(span.at < end and span.until > start for span in spans)
    for stop in device.stops:
        sound = [span for span in spans if span.generation == stop.generation]
        assert all(span.until <= stop.at + 1_000 for span in sound)  # nothing of it after the silence
        assert sum(len(span.pcm) // 2 for span in sound) == stop.samples <= stop.handed
        answers = {report.samples for _, report in told if report.kind == "flushed" and report.generation == stop.generation}
        assert answers <= {stop.told}
        if not set(stop.faults) & {"wrong answer", "marks only"}:
            assert stop.told in (None, stop.samples)
        if "marks only" in stop.faults:
            assert stop.told is not None and 0 < stop.samples - stop.told < device.options.marks_ms * 24
    for at, report in told:
        if report.kind == "played":
            sounded = sum(
                len(span.pcm) // 2 if span.until <= at else (at - span.at) * 24 // MILLISECOND + 2
                for span in spans
                if span.generation == report.generation and span.at <= at
            )
            assert report.samples <= sounded


# -- positions that go wrong between two flushes ------------------------------------------------------------------------------


def test_a_device_that_counts_its_padding_says_more_than_it_was_given() -> None:  # B02, C08
    device = speaker(padding_per_mille=1000, block_ms=20)
    device.play(1, pcm(1000), now=0)
    told = positions(run(device, 300 * MILLISECOND))
    assert told[-1][1] > 1000 and told[-1][1] <= 1480 and device.sounded(1) == 1000
    assert device.happened["speaker: counted padding"] == 1


def test_a_device_that_falls_silent_tells_nothing_until_it_has_run_dry() -> None:  # F078
    device = speaker(silent_per_mille=1000)
    device.play(1, pcm(2400), now=0)
    assert positions(run(device, 300 * MILLISECOND)) == [] and device.sounded(1) == 2400
    device.calm()
    device.play(1, pcm(2400), now=400 * MILLISECOND)
    assert positions(run(device, 800 * MILLISECOND))[-1][1] == 4800
