"""The simulated speaker: what a person could hear, to the sample, and what it tells the core about it."""

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


def test_a_missing_answer_is_silence_all_the_same() -> None:  # B29
    device = speaker(missing_per_mille=1000)
    device.play(1, pcm(48_000), now=0)
    device.flush(1, now=100 * MILLISECOND)
    told = run(device, 5_000 * MILLISECOND)
    assert all(report.kind != "flushed" for _, report in told)
    assert len(heard(device, 1)) // 2 == 960 and not device.stops[0].answered


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


STEP = st.tuples(st.sampled_from(("play", "flush", "pause", "resume", "drain", "wait")), st.integers(1, 3_000))


@settings(max_examples=80, deadline=None)
@given(st.lists(STEP, max_size=40), st.integers(0, 1 << 32), st.booleans())
def test_every_generation_sounds_a_prefix_of_what_was_handed_over_and_stops_where_it_says(
    steps: list[tuple[str, int]], seed: int, hold_tail: bool
) -> None:
    device = Speaker(SpeakerOptions(stop_ms=(0, 90), answer_ms=(0, 60), hold_tail=hold_tail), Rng(seed))
    now, generation = 0, 1
    handed: dict[int, bytes] = {1: b""}
    answers: dict[int, int] = {}
    for kind, amount in steps:
        match kind:
            case "play":
                more = pcm(amount, first=len(handed[generation]) // 2 % 60_000)
                handed[generation] += more
                device.play(generation, more, now=now)
            case "flush":
                device.flush(generation, now=now)
                generation += 1
                handed[generation] = b""
            case "pause":
                device.pause(now=now)
            case "resume":
                device.resume(now=now)
            case "drain":
                device.drain(generation, now=now)
            case _:
                now += amount * 100_000
                answers |= {r.generation: r.samples for _, r in run(device, now) if r.kind == "flushed"}
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
