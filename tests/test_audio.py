"""Speakers and microphones that need no device: exact counts, no drift, clear errors."""

import struct
import sys
import tempfile
import wave
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore import PCM16_24K, PCMA, PCMU, AudioFormat, Clock
from rtcore_adapters.audio import (
    AudioFileError,
    Microphone,
    SilentMicrophone,
    Span,
    Speaker,
    VirtualSpeaker,
    WavMicrophone,
    WavSpeaker,
    load_wav,
)
from rtcore_adapters.audio._g711 import decode, encode, silence


class Reports:
    """Writes down what a speaker told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, int]] = []

    def played(self, generation: int, samples: int) -> None:
        self.told.append(("played", generation, samples))

    def flushed(self, generation: int, samples: int) -> None:
        self.told.append(("flushed", generation, samples))

    def underrun(self, generation: int) -> None:
        self.told.append(("underrun", generation, 0))

    def device(self, state: Literal["lost", "ready"]) -> None:
        raise AssertionError(state)

    def wake(self) -> None:
        raise AssertionError("nothing comes from outside")

    def new(self) -> list[tuple[str, int, int]]:
        told, self.told = self.told, []
        return told


def speech(samples: int, first: int = 1) -> bytes:
    """Samples that differ from silence and from each other."""
    return struct.pack(f"<{samples}h", *[(first + i) % 30_000 + 1 for i in range(samples)])


def opened(speaker: Speaker, now: float = 100.0) -> Reports:
    reports = Reports()
    speaker.open(reports, now=now)
    return reports


def until(speaker: Speaker, end: float) -> None:
    """Tick exactly when the speaker wants it."""
    while (due := speaker.deadline) is not None and due <= end:
        speaker.tick(now=due)


# -- the virtual speaker ----------------------------------------------------------------------------------------------------


def test_it_reports_every_block_what_became_audible() -> None:
    speaker = VirtualSpeaker(block_ms=20)
    reports = opened(speaker)
    speaker.play(speech(1200), PCM16_24K, 1, now=100.0)
    until(speaker, 101.0)
    assert reports.new() == [("played", 1, 480), ("played", 1, 960), ("played", 1, 1200), ("underrun", 1, 0)]
    assert speaker.deadline is None
    assert bytes(speaker.signal[:2400]) == speech(1200)


def test_silence_before_between_and_after_is_part_of_the_signal() -> None:
    speaker = VirtualSpeaker()
    opened(speaker)
    speaker.play(speech(240), PCM16_24K, 1, now=100.5)
    speaker.play(speech(240, 5000), PCM16_24K, 1, now=101.0)
    speaker.close(now=102.0)
    assert speaker.position == 2 * 24_000
    quiet = bytes(2 * 11_760)
    assert bytes(speaker.signal) == bytes(24_000) + speech(240) + quiet + speech(240, 5000) + bytes(2 * 23_760)
    assert speaker.spans == [Span(12_000, 1, 0, 240, PCM16_24K), Span(24_000, 1, 240, 240, PCM16_24K)]


def test_a_flush_is_answered_at_once_with_the_exact_count() -> None:  # B01: between two reports, to the sample
    speaker = VirtualSpeaker()
    reports = opened(speaker)
    speaker.play(speech(48_000), PCM16_24K, 1, now=100.0)
    until(speaker, 100.5)
    reports.new()
    speaker.flush(1, now=100.5 + 7 / 24_000)
    assert reports.new() == [("flushed", 1, 12_007)]
    until(speaker, 102.0)
    speaker.close(now=102.0)
    assert reports.new() == []
    assert bytes(speaker.signal) == speech(12_007) + bytes(2 * (48_000 - 12_007))


def test_a_slow_flush_goes_on_sounding_until_its_answer() -> None:
    speaker = VirtualSpeaker(flush_ms=50)
    assert speaker.capabilities == Clock(report_ms=20, flush_latency_ms=50)
    reports = opened(speaker)
    speaker.play(speech(48_000), PCM16_24K, 1, now=100.0)
    until(speaker, 100.1)
    reports.new()
    speaker.flush(1, now=100.11)
    until(speaker, 102.0)
    assert reports.new() == [("played", 1, 2880), ("played", 1, 3360), ("flushed", 1, 3840)]


def test_the_next_generation_sounds_behind_an_unanswered_flush() -> None:
    speaker = VirtualSpeaker(flush_ms=50)
    reports = opened(speaker)
    speaker.play(speech(48_000), PCM16_24K, 1, now=100.0)
    speaker.flush(1, now=100.0)
    speaker.play(speech(480), PCM16_24K, 2, now=100.01)
    until(speaker, 101.0)
    assert reports.new()[-3:] == [("flushed", 1, 1200), ("played", 2, 240), ("played", 2, 480), ("underrun", 2, 0)][-3:]
    assert [(s.generation, s.start, s.samples) for s in speaker.spans] == [(1, 0, 1200), (2, 0, 480)]


def test_a_pause_loses_no_sample() -> None:  # B16
    speaker = VirtualSpeaker()
    reports = opened(speaker)
    speaker.play(speech(24_000), PCM16_24K, 1, now=100.0)
    speaker.pause(1, now=100.25)
    assert speaker.deadline == pytest.approx(100.02)
    until(speaker, 101.0)
    assert reports.new() == [("played", 1, 6000)]
    assert speaker.deadline is None
    speaker.resume(1, now=101.0)
    until(speaker, 103.0)
    speaker.close(now=103.0)
    sound = [(s.position, s.start, s.samples) for s in speaker.spans]
    assert sound == [(0, 0, 6000), (24_000, 6000, 18_000)]


def test_a_flush_ends_the_pause_of_its_generation() -> None:  # B17
    speaker = VirtualSpeaker()
    reports = opened(speaker)
    speaker.play(speech(24_000), PCM16_24K, 1, now=100.0)
    speaker.pause(1, now=100.25)
    speaker.flush(1, now=100.5)
    assert reports.new() == [("flushed", 1, 6000)]
    speaker.play(speech(480), PCM16_24K, 2, now=100.5)
    until(speaker, 101.0)
    assert reports.new()[0] == ("played", 2, 480)


def test_running_dry_after_a_drain_is_no_underrun() -> None:
    speaker = VirtualSpeaker()
    reports = opened(speaker)
    speaker.play(speech(480), PCM16_24K, 1, now=100.0)
    speaker.drain(1, now=100.0)
    until(speaker, 101.0)
    assert reports.new() == [("played", 1, 480)]
    speaker.play(speech(480), PCM16_24K, 1, now=101.0)  # later audio of the same generation may follow
    until(speaker, 102.0)
    assert reports.new() == [("played", 1, 960), ("underrun", 1, 0)]


def test_blocks_end_on_an_absolute_grid_however_late_the_loop_wakes() -> None:
    speaker = VirtualSpeaker(block_ms=20)
    opened(speaker, now=0.0)
    speaker.play(speech(240_000), PCM16_24K, 1, now=0.0)
    for _ in range(400):
        due = speaker.deadline
        assert due is not None
        speaker.tick(now=due + 0.003)
    assert speaker.deadline == pytest.approx(401 * 0.02, abs=1e-9)


@given(st.lists(st.tuples(st.sampled_from(["play", "pause", "resume", "flush", "tick"]), st.integers(0, 3000)), max_size=40))
def test_what_is_counted_is_what_sounded(steps: list[tuple[str, int]]) -> None:
    """The counts reported for a generation are the samples of it in the signal, in order and once."""
    speaker = VirtualSpeaker()
    reports = opened(speaker, now=0.0)
    at, generation, given_samples = 0, 1, {1: b""}
    final: dict[int, int] = {}
    for step, amount in steps:
        at += amount
        now = at / 24_000
        until(speaker, now)
        match step:
            case "play":
                pcm = speech(amount, len(given_samples[generation]))
                given_samples[generation] += pcm
                speaker.play(pcm, PCM16_24K, generation, now=now)
            case "pause":
                speaker.pause(generation, now=now)
            case "resume":
                speaker.resume(generation, now=now)
            case "flush":
                speaker.flush(generation, now=now)
                generation += 1
                given_samples[generation] = b""
            case _:
                speaker.tick(now=now)
    speaker.close(now=at / 24_000)
    assert speaker.position == at == len(speaker.signal) // 2
    sounded: dict[int, bytes] = {}
    for span in speaker.spans:
        before = sounded.setdefault(span.generation, b"")
        assert len(before) == 2 * span.start
        sounded[span.generation] = before + bytes(speaker.signal[2 * span.position : 2 * (span.position + span.samples)])
    for which, pcm in sounded.items():
        assert given_samples[which].startswith(pcm)
    for kind, which, samples in reports.new():
        if kind == "underrun":
            continue
        assert samples >= final.get(which, 0)
        final[which] = samples
        total = len(sounded.get(which, b"")) // 2
        assert samples == total if kind == "flushed" else samples <= total


def test_telephone_audio_sounds_at_its_own_rate() -> None:  # C22
    speaker = VirtualSpeaker()
    reports = opened(speaker)
    speaker.play(encode(speech(8000), PCMU), PCMU, 1, now=100.0)
    until(speaker, 100.5)
    assert reports.new()[-1] == ("played", 1, 4000)
    speaker.flush(1, now=100.5 + 1 / 8000)
    assert reports.new() == [("flushed", 1, 4001)]
    assert speaker.position == 12_003


def test_a_speaker_serves_one_conversation() -> None:
    speaker = VirtualSpeaker()
    opened(speaker)
    with pytest.raises(RuntimeError, match="one speaker serves one conversation"):
        opened(speaker)


@pytest.mark.parametrize("wrong", [{"block_ms": 0}, {"flush_ms": -1}])
def test_impossible_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        VirtualSpeaker(**wrong)  # type: ignore[arg-type]  # any keyword
    with pytest.raises(ValueError, match="frame_ms"):
        SilentMicrophone(frame_ms=0)


# -- the WAV speaker --------------------------------------------------------------------------------------------------------


def test_the_wav_holds_the_audible_signal_with_its_silences(tmp_path: Path) -> None:
    path = tmp_path / "heard.wav"
    speaker = WavSpeaker(path)
    opened(speaker)
    speaker.play(speech(12_000), PCM16_24K, 1, now=100.5)
    until(speaker, 100.75)
    speaker.flush(1, now=100.75)
    speaker.close(now=102.0)
    speaker.close(now=103.0)
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        assert file.readframes(file.getnframes()) == bytes(24_000) + speech(6000) + bytes(60_000)


def test_a_wav_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match=r"nowhere.heard\.wav: no such file or directory; needed: a place"):
        opened(WavSpeaker(tmp_path / "nowhere" / "heard.wav"))


# -- microphones ------------------------------------------------------------------------------------------------------------


class Sink:
    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def audio(self, pcm: bytes) -> None:
        self.frames.append(pcm)

    def speech(self, event: Literal["started", "stopped"]) -> None:
        raise AssertionError(event)


def listened(microphone: Microphone, seconds: float) -> list[bytes]:
    sink = Sink()
    microphone.open(sink, now=50.0)
    while (due := microphone.deadline) is not None and due <= 50.0 + seconds + 1e-9:
        microphone.tick(now=due)
    return sink.frames


@pytest.mark.parametrize(("format", "frame"), [(PCM16_24K, bytes(960)), (PCMU, b"\xff" * 160), (PCMA, b"\xd5" * 160)])
def test_a_quiet_room_is_frames_of_silence(format: AudioFormat, frame: bytes) -> None:
    assert listened(SilentMicrophone(format=format), 1.0) == [frame] * 50


def test_speech_comes_at_real_speed_and_then_silence() -> None:
    microphone = WavMicrophone(speech(1000))
    assert microphone.speaking
    assert listened(microphone, 0.08) == [speech(480), speech(480, 481), speech(40, 961) + bytes(880), bytes(960)]
    assert not microphone.speaking


def test_a_clip_is_said_on_demand_behind_what_is_being_said() -> None:
    microphone, sink = WavMicrophone(), Sink()
    microphone.open(sink, now=0.0)
    microphone.tick(now=0.02)
    assert microphone.say(speech(240)) == 0.01
    microphone.say(speech(240, 241))
    microphone.tick(now=0.04)
    assert sink.frames == [bytes(960), speech(480)]
    microphone.say(speech(4800))
    microphone.hush()
    microphone.tick(now=0.06)
    assert sink.frames[-1] == bytes(960)


def test_frames_stay_on_an_absolute_grid() -> None:
    microphone, sink = SilentMicrophone(), Sink()
    microphone.open(sink, now=0.0)
    for _ in range(500):
        assert microphone.deadline is not None
        microphone.tick(now=microphone.deadline + 0.004)
    assert microphone.deadline == pytest.approx(501 * 0.02, abs=1e-9)
    assert microphone.position == 500 * 480


def test_a_late_wake_up_delivers_what_was_captured_up_to_a_second() -> None:
    microphone, sink = SilentMicrophone(), Sink()
    microphone.open(sink, now=0.0)
    microphone.tick(now=0.1)
    assert len(sink.frames) == 5
    microphone.tick(now=60.1)
    assert len(sink.frames) == 55
    assert microphone.skipped == 59 * 24_000
    microphone.close(now=60.1)
    assert microphone.deadline is None
    microphone.tick(now=61.0)
    assert len(sink.frames) == 55


def test_half_a_sample_cannot_be_said() -> None:
    with pytest.raises(ValueError, match="3 bytes are not whole samples"):
        WavMicrophone(b"abc")


# -- WAV files in -----------------------------------------------------------------------------------------------------------


def written(path: Path, pcm: bytes, *, rate: int = 24_000, channels: int = 1, width: int = 2) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setframerate(rate)
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.writeframes(pcm)
    return path


def test_a_wav_is_loaded(tmp_path: Path) -> None:
    assert load_wav(written(tmp_path / "a.wav", speech(100)), PCM16_24K) == speech(100)
    assert load_wav(written(tmp_path / "b.wav", speech(100), rate=8000), PCMU) == encode(speech(100), PCMU)
    assert WavMicrophone(tmp_path / "a.wav").speaking


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ({"rate": 44_100}, "16 bits, 1 channel, 44100 Hz"),
        ({"channels": 2}, "16 bits, 2 channels, 24000 Hz"),
        ({"width": 1}, "8 bits, 1 channel, 24000 Hz"),
    ],
)
def test_a_wav_of_another_shape_is_named_with_what_is_needed(
    tmp_path: Path, shape: dict[str, int], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    path = written(tmp_path / "other.wav", bytes(400), **shape)
    with pytest.raises(AudioFileError) as caught:
        load_wav(path, PCM16_24K)
    assert str(caught.value).startswith(f"{path}: it has {found}; needed: a WAV file with PCM of 16 bits, 1 channel, 24000 Hz;")
    assert f"ffmpeg -i {path} -ar 24000 -ac 1" in str(caught.value)


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_a_wav_of_another_rate_is_resampled(tmp_path: Path, rate: int) -> None:  # F153
    pytest.importorskip("soxr", reason="rtcore[audio] is not installed")
    tone = struct.pack(f"<{rate}h", *[8000 if at * 440 // rate % 2 else -8000 for at in range(rate)])  # a second
    pcm = load_wav(written(tmp_path / "other.wav", tone, rate=rate), PCM16_24K)
    samples = struct.unpack(f"<{len(pcm) // 2}h", pcm)
    assert len(samples) == 24_000
    crossings = sum((before < 0) != (after < 0) for before, after in pairwise(samples[1000:-1000]))
    assert crossings == pytest.approx(440 * 22_000 / 24_000, abs=5)


@pytest.mark.parametrize("rate", [1, 4_000_000])
def test_a_wav_of_an_impossible_rate_is_named(tmp_path: Path, rate: int) -> None:
    with pytest.raises(AudioFileError, match=f"it has 16 bits, 1 channel, {rate} Hz; needed"):
        load_wav(written(tmp_path / "other.wav", bytes(400), rate=rate), PCM16_24K)


def test_a_missing_empty_or_malformed_wav_is_named(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole.wav", speech(100)).read_bytes()
    cases = {
        "missing.wav": (None, "no such file or directory"),
        "empty.wav": (b"", "the file is empty"),
        "short.wav": (whole[:24], "cut off inside its header"),
        "text.wav": (b"This is not a sound at all, only words.", "not a usable WAV file"),
        "float.wav": (whole[:20] + b"\x03\x00" + whole[22:], "not a usable WAV file"),
        "cut.wav": (whole[:-51], "the file is cut off: its header states 100 samples, it holds 74.5"),
        "silent.wav": (whole[:40] + bytes(4), "holds no audio"),
    }
    for name, (content, words) in cases.items():
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(AudioFileError) as caught:
            load_wav(path, PCM16_24K)
        assert str(caught.value).startswith(f"{path}: "), name
        assert words in str(caught.value), name
        assert "needed: a WAV file with PCM of 16 bits, 1 channel, 24000 Hz" in str(caught.value), name
    with pytest.raises(AudioFileError, match="is a directory"):
        load_wav(tmp_path, PCM16_24K)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 43), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0, 200))
def test_a_damaged_wav_is_audio_or_is_named(damage: list[tuple[int, int]], kept: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = written(Path(directory) / "damaged.wav", speech(60))
        content = bytearray(path.read_bytes())
        for at, byte in damage:
            content[at] = byte
        path.write_bytes(content[: 44 + kept])
        try:
            load_wav(path, PCM16_24K)
        except AudioFileError as error:
            assert str(error).startswith(f"{path}: ")
            assert "needed: a WAV file" in str(error)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (16, b"\xff\xff\xff\xff"),
        (4, b"\x00\x00\x00\x00"),
        (40, b"\xff\xff\xff\xff"),
        (16, b"\x01"),
        (32, b"\x00\x00"),
        (34, b"\x00\x00"),
    ],
)
def test_a_wav_with_a_broken_header_is_audio_or_is_named(tmp_path: Path, at: int, value: bytes) -> None:
    path = written(tmp_path / "damaged.wav", speech(60))
    content = path.read_bytes()
    path.write_bytes(content[:at] + value + content[at + len(value) :])
    try:
        assert load_wav(path, PCM16_24K) == speech(60)
    except AudioFileError as error:
        assert str(error).startswith(f"{path}: ") and "needed: a WAV file" in str(error)


@pytest.mark.parametrize("name", ["a\0b.wav", "\ud800.wav"])
def test_a_name_that_no_file_can_have_is_named(name: str) -> None:
    with pytest.raises(AudioFileError, match="needed: a WAV file") as caught:
        WavMicrophone(name)
    assert str(caught.value).isprintable()
    with pytest.raises(AudioFileError, match="needed: a place"):
        opened(WavSpeaker(name))


# -- G.711 ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", [PCMU, PCMA])
def test_every_g711_code_survives_the_way_there_and_back(format: AudioFormat) -> None:
    codes = bytes(range(256))
    again = encode(decode(codes, format), format)
    assert decode(again, format) == decode(codes, format)  # mu-law has two zeros


def test_g711_agrees_with_the_standard_at_known_points() -> None:
    assert struct.unpack("<4h", decode(bytes([0x00, 0x80, 0x7F, 0xFF]), PCMU)) == (-32124, 32124, 0, 0)
    assert struct.unpack("<4h", decode(bytes([0x2A, 0xAA, 0x55, 0xD5]), PCMA)) == (-32256, 32256, -8, 8)
    assert decode(silence(PCMU, 3), PCMU) == bytes(6)
