"""Sample rates: what comes out, what is held back, and which source samples that stands for."""

import math
import struct
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore_adapters.audio._resampler import Resampler

DITHER = 2  # soxr dithers what it rounds to 16 bits, silence too
RATES = [8_000, 16_000, 24_000, 44_100, 48_000]


def tone(samples: int, rate: int, hertz: float = 440.0, level: int = 10_000) -> bytes:
    return struct.pack(f"<{samples}h", *[round(level * math.sin(2 * math.pi * hertz * n / rate)) for n in range(samples)])


def values(pcm: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(pcm) // 2}h", pcm)


@pytest.mark.parametrize("source", RATES)
@pytest.mark.parametrize("target", RATES)
def test_a_tone_stays_where_it_was_in_time(source: int, target: int) -> None:
    """Sample k of the output stands at k * source / target of the source: the count may be mapped by the rates alone."""
    resampler = Resampler(source, target)
    out = resampler.push(tone(source, source)) + resampler.drain()
    assert abs(len(out) // 2 - target) <= 1
    heard, wanted = values(out), values(tone(len(out) // 2, target))
    middle = range(target // 4, 3 * target // 4)
    assert max(abs(heard[n] - wanted[n]) for n in middle) < 100


def test_equal_rates_pass_through_and_need_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    resampler = Resampler(24_000, 24_000)
    pcm = tone(480, 24_000)
    assert (resampler.push(pcm), resampler.drain(), resampler.push(memoryview(pcm))) == (pcm, b"", pcm)
    assert (resampler.put, resampler.out, resampler.source(481)) == (960, 960, 481)


@pytest.mark.parametrize("missing", ["soxr", "numpy"])
def test_without_the_library_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModuleNotFoundError, match=r"24000 Hz into 48000 Hz.*pip install 'rtcore\[audio\]'"):
        Resampler(24_000, 48_000)


@pytest.mark.parametrize("wrong", [{"source_rate": 0, "target_rate": 8000}, {"source_rate": 8000, "target_rate": -1}])
def test_impossible_rates_are_named(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"_rate=(0|-1): between"):
        Resampler(**wrong)


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="3 bytes are not whole samples"):
        Resampler(24_000, 48_000).push(b"abc")


def test_nothing_of_what_was_cleared_comes_out() -> None:  # F032: the resampler's tail
    fresh, used = Resampler(24_000, 48_000), Resampler(24_000, 48_000)
    used.push(tone(2000, 24_000, level=30_000))
    used.clear()
    assert (used.put, used.out) == (0, 0)
    quiet = values(used.push(bytes(9600)) + used.drain())
    assert len(quiet) == 9600 and max(map(abs, quiet)) <= DITHER
    assert fresh.push(tone(2000, 24_000, level=30_000)) != b"" and fresh.drain() != b""  # there was something to forget


def test_what_follows_a_drain_has_no_echo_of_what_came_before() -> None:
    resampler = Resampler(24_000, 48_000)
    resampler.push(tone(2000, 24_000, level=30_000))
    assert resampler.drain()
    quiet = values(resampler.push(bytes(9600)) + resampler.drain())
    assert len(quiet) == 9600 and max(map(abs, quiet)) <= DITHER


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(RATES),
    st.sampled_from(RATES),
    st.lists(st.one_of(st.integers(0, 3000), st.just("drain")), max_size=20),
    st.lists(st.integers(0, 4000), max_size=20),
)
def test_every_source_sample_is_counted_once_and_none_before_it_came_out(
    source: int, target: int, steps: list[int | str], sounded: list[int]
) -> None:
    resampler = Resampler(source, target)
    put = out = position = before = 0
    ends = {0: 0}  # output samples at a drained end: source samples put in until there
    listening = iter(sounded)
    for step in [*steps, "drain"]:
        if isinstance(step, int):
            out += len(resampler.push(bytes(2 * step))) // 2
            put += step
        else:
            out += len(resampler.drain()) // 2
            ends[out] = put
        assert (resampler.put, resampler.out) == (put, out)
        position = min(out, position + next(listening, 0))
        heard = resampler.source(position)
        assert before <= heard <= put
        if position in ends:
            assert heard == ends[position]
        else:
            end = max(at for at in ends if at < position)
            assert heard == min(put, ends[end] + (position - end) * source // target)
        before = heard
    assert resampler.source(out) == resampler.source(out + 10_000) == put


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from([(24_000, 48_000), (8_000, 44_100), (48_000, 24_000)]), st.lists(st.integers(1, 900), min_size=1, max_size=12)
)
def test_how_the_audio_was_split_is_not_heard(rates: tuple[int, int], sizes: list[int]) -> None:
    whole, pieces = Resampler(*rates), Resampler(*rates)
    pcm = tone(sum(sizes), rates[0])
    together = whole.push(pcm) + whole.drain()
    apart, at = b"", 0
    for size in sizes:
        apart += pieces.push(pcm[2 * at : 2 * (at + size)])
        at += size
    apart += pieces.drain()
    assert len(apart) == len(together)
    assert max((abs(a - b) for a, b in zip(values(apart), values(together), strict=True)), default=0) <= 2 * DITHER
