"""Voices: the packaged recordings, the synthetic ones, and how the server cuts them."""

import base64
from importlib import resources

import pytest

from rtcore import PCM16_24K, PCMA, PCMU, AudioFormat
from rtcore.sim._rng import Rng
from rtcore.sim._server_g711 import codes, levels
from rtcore.sim._server_speech import KEY_SAMPLES, Bank, bank
from rtcore.sim.voices import Voice, synthetic_voices
from rtcore_adapters.voices import load_voices


def test_the_packaged_recordings_are_whole_and_their_words_are_in_place() -> None:
    voices = load_voices()
    assert len(voices) == 12
    assert {"story_1", "story_2", "weather", "preamble", "short"} <= {voice.name for voice in voices}
    for voice in voices:
        assert len(voice.pcm) == 2 * voice.samples
        last = 0
        for word in voice.words:
            assert voice.text.startswith(word.text, word.char), (voice.name, word)
            assert last <= word.start_ms < word.sound_end_ms <= word.end_ms <= voice.samples / 24 + 1
            last = word.end_ms


def test_the_packaged_recordings_are_small_and_read_once() -> None:
    package = resources.files("rtcore_adapters.voices")
    assert sum(len((package / name).read_bytes()) for name in ("voices.xz", "voices.json")) < 2_000_000
    assert load_voices() is load_voices()


def test_the_packaged_recordings_decode_losslessly() -> None:
    # Every byte of the twelve recordings, weighted by the recording's place; taken from the WAV files when they were packed.
    assert sum(sum(voice.pcm) * (index + 1) for index, voice in enumerate(load_voices())) == 2_758_728_687


def test_synthetic_voices_depend_on_the_seed_alone() -> None:
    assert synthetic_voices(3) == synthetic_voices(3)
    assert synthetic_voices(3)[0].pcm != synthetic_voices(4)[0].pcm


def test_synthetic_voices_are_loud_in_their_words_and_silent_between() -> None:
    for voice in synthetic_voices(3, count=2):
        for word in voice.words:
            sound = voice.pcm[word.start_ms * 48 : word.sound_end_ms * 48]
            assert max(sound[1::2]) >= 0x18
            assert not any(voice.pcm[word.sound_end_ms * 48 : word.end_ms * 48])
            assert voice.text.startswith(word.text, word.char)


@pytest.mark.parametrize("form", [PCM16_24K, PCMU, PCMA])
def test_every_fragment_is_the_base64_of_its_bytes(form: AudioFormat) -> None:
    track = bank(synthetic_voices(3)).track(form)
    for start, end in ((0, 960), (960, 1920), (6, 12), (1, 5), (7, 8), (3, 3), (len(track.data) - 7, len(track.data))):
        assert base64.b64decode(track.fragment(start, end), validate=True) == track.data[start:end]


@pytest.mark.parametrize("form", [PCM16_24K, PCMU])
def test_no_two_messages_begin_alike_and_none_in_silence(form: AudioFormat) -> None:
    speech = Bank(synthetic_voices(3))
    used: set[bytes] = set()
    rng = Rng(1)
    starts = set()
    for _ in range(800):
        take = speech.take(form, form.rate, rng, used)
        starts.add(take.track.data[take.start : take.start + KEY_SAMPLES * form.sample_width])
        assert len(set(take.track.data[take.start : take.start + KEY_SAMPLES * form.sample_width])) > 1
    assert len(starts) == 800


def test_starts_are_used_again_only_when_all_were_used() -> None:
    short = Bank(synthetic_voices(3, count=1, words=1))
    used: set[bytes] = set()
    starts = [short.take(PCM16_24K, 480, Rng(seed), used).start for seed in range(400)]
    distinct = len(set(starts))
    assert distinct > 100
    assert len(set(starts[:distinct])) == distinct


def test_a_slice_says_the_words_that_sound_in_it() -> None:
    speech = bank(load_voices())
    used: set[bytes] = set()
    for seed in range(200):
        take = speech.take(PCM16_24K, 24 * 3000, Rng(seed), used)
        assert take.text and take.words
        for word in take.words:
            assert take.text.startswith(word.text, word.char)
            assert 0 <= word.start_ms <= word.sound_end_ms <= word.end_ms <= 3000
        assert take.words[0].start_ms < 700


def test_a_named_voice_is_said_from_its_beginning() -> None:
    voices = load_voices()
    weather = next(voice for voice in voices if voice.name == "weather")
    take = bank(voices).take(PCM16_24K, weather.samples - 960, Rng(1), set(), "weather")
    assert take.text.startswith("Good morning. The weather today is mild")
    assert weather.pcm.find(take.track.data[take.start : take.start + 64]) in range(48 * 60)


def test_the_bank_is_made_once_for_the_same_voices() -> None:
    voices = synthetic_voices(3)
    assert bank(voices) is bank(voices)


@pytest.mark.parametrize("voices", [(), (Voice("empty", "", b"", ()),)])
def test_a_bank_needs_words(voices: tuple[Voice, ...]) -> None:
    with pytest.raises(ValueError, match="at least one voice with at least one word"):
        bank(voices)


def test_g711_codes_are_those_of_the_standard() -> None:
    ulaw, alaw = codes("audio/pcmu"), codes("audio/pcma")
    for sample, expected in ((0, 0xFF), (32_767, 0x80), (-32_768, 0x00), (4, 0xFE), (-4, 0x7E), (1000, 0xCE), (-1000, 0x4E)):
        assert ulaw[sample & 0xFFFF] == expected, sample
    for sample, expected in ((0, 0xD5), (32_767, 0xAA), (-32_768, 0x2A), (-1, 0x55), (1000, 0xFA), (-1000, 0x7A)):
        assert alaw[sample & 0xFFFF] == expected, sample


def test_g711_levels_grow_with_the_sample() -> None:
    for table, loudness in ((codes("audio/pcmu"), levels("audio/pcmu")), (codes("audio/pcma"), levels("audio/pcma"))):
        heard = [loudness[table[sample]] for sample in range(0, 32_768, 128)]
        assert heard == sorted(heard)
        assert heard[0] == 0 and heard[-1] > 120
