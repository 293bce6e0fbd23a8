"""The estimate of what was heard, in words: the text's weights, the audio's silences, and both together (B30, C24, S05)."""

from array import array
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore import PCM16_24K, PCMA, PCMU, AudioFormat, _pacing
from rtcore._loudness import Loudness
from rtcore._pacing import Pacing
from rtcore._script import Script, syllables
from rtcore.sim import Voice
from rtcore.sim._server_g711 import codes
from rtcore_adapters.voices import load_voices

STEP = 2_400
"""A tenth of a second."""
WIDE = settings(max_examples=60, deadline=None)


def sound(milliseconds: int, level: int = 8_000) -> bytes:
    """Something loud, or silence."""
    return array("h", [level, -level] * (milliseconds * 12)).tobytes()


def in_format(pcm: bytes, format: AudioFormat) -> bytes:
    """The same at 8 kHz as G.711."""
    if format.type == "audio/pcm":
        return pcm
    table = codes(format.type)
    return bytes(table[sample & 0xFFFF] for sample in array("h", pcm)[::3])


def words_over(voice: Voice, milliseconds: float) -> int:
    return sum(word.sound_end_ms <= milliseconds for word in voice.words)


def words_begun(voice: Voice, milliseconds: float) -> int:
    return sum(word.start_ms < milliseconds for word in voice.words)


def words_told(voice: Voice, end: int) -> int:
    return sum(word.char + len(word.text) <= end for word in voice.words)


# -- the text --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shorter", "longer"),
    [
        ("a", "and"),
        ("to", "tomorrow"),
        ("made", "madam"),
        ("4", "42"),
        ("42", "4279"),
        ("5", "5%"),
        ("нет", "хорошо"),
        ("é", "été"),
    ],
)
def test_a_word_that_takes_longer_to_say_weighs_more(shorter: str, longer: str) -> None:
    assert 0 < syllables(shorter) < syllables(longer)


def test_digits_weigh_as_the_words_they_are_read_as() -> None:
    assert 0.5 < syllables("7") / syllables("seven") < 2
    assert 0.5 < syllables("15") / syllables("fifteen") < 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Yes, I can.", ["Yes,", "I", "can."]),
        ("Well - yes …", ["Well -", "yes …"]),
        ("“Sure.”", ["“Sure.”"]),
        ("好，我们去。", ["好，", "我", "们", "去。"]),  # noqa: RUF001
        ("用 Python 写。", ["用", "Python", "写。"]),
        ("สวัสดี", ["ส", "วั", "ส", "ดี"]),
        ("", []),
        (" ... ", []),
    ],
)
def test_a_text_is_split_where_it_may_be_cut(text: str, words: list[str]) -> None:  # B30
    script = Script()
    script.read(text, True)
    assert [text[begin:end].strip() for begin, end in pairwise([0, *script.ends])] == words


@WIDE
@given(st.lists(st.text(alphabet="ab, .é好，5-", max_size=6), max_size=12))  # noqa: RUF001
def test_a_text_in_pieces_reads_as_the_whole(pieces: list[str]) -> None:  # F115
    whole, grown = Script(), Script()
    text = "".join(pieces)
    whole.read(text, True)
    for end in range(1, len(pieces) + 1):
        grown.read("".join(pieces[:end]), False)
    grown.read(text, True)
    assert (grown.ends, grown.marks) == (whole.ends, whole.marks)
    assert grown.times == pytest.approx(whole.times)


def test_a_text_that_turns_out_to_be_another_one_is_read_anew() -> None:  # F115
    script = Script()
    script.read("One two three ", False)
    script.read("Eins zwei.", True)
    assert script.ends == [4, 10]
    assert len(script.times) == 3


# -- the audio -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", [PCM16_24K, PCMU, PCMA])
def test_a_pause_is_found_in_every_format(format: AudioFormat) -> None:
    loudness = Loudness(format)
    loudness.fresh.append(in_format(sound(500) + sound(200, 0) + sound(300), format))
    assert loudness.look()
    assert [tuple(silence) for silence in loudness.silences()] == [(50, 70, 50)]


@pytest.mark.parametrize("format", [PCM16_24K, PCMU, PCMA])
def test_a_bounded_stretch_is_looked_at_in_one_go(format: AudioFormat) -> None:  # B30: O(1) work, however much came at once
    speech = b"".join(sound(700 + 10 * n) + sound(90 + n, 0) for n in range(60))
    whole = in_format(speech, format)
    once, bitten = Loudness(format), Loudness(format)
    once.fresh.append(whole)
    frames = [once.look() and once.frames for _ in range(5)]
    for at in range(0, len(whole), 100 * format.sample_width):
        bitten.fresh.append(whole[at : at + 100 * format.sample_width])
        bitten.look()
    assert frames == [2000, 4000, 6000, bitten.frames, False] and not once.fresh
    assert (once.frames, once.silences()) == (bitten.frames, bitten.silences())


def test_a_pause_is_found_in_noise() -> None:
    noise = Random(1)
    speech = array("h", sound(1_000) + sound(200, 0) + sound(800))
    for at, sample in enumerate(speech):
        speech[at] = sample + noise.randint(-400, 400)
    loudness = Loudness(PCM16_24K)
    loudness.fresh.append(speech.tobytes())
    loudness.look()
    assert [tuple(silence) for silence in loudness.silences()] == [(100, 120, 100)]


@WIDE
@given(st.lists(st.integers(1, 3_000), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_audio_in_pieces_has_the_levels_of_the_whole(sizes: list[int], random: Random) -> None:
    pcm = b"".join(sound(random.randint(20, 200), random.choice((0, 8_000))) for _ in range(12))
    whole, grown = Loudness(PCM16_24K), Loudness(PCM16_24K)
    whole.fresh.append(pcm)
    whole.look()
    at = 0
    for size in [*sizes, len(pcm)]:
        grown.fresh.append(memoryview(pcm)[at : at + 2 * size])
        at += 2 * size
        grown.look()
        grown.silences()
    assert grown.frames == whole.frames
    assert grown.silences() == whole.silences()
    assert grown.tail() == whole.tail()


# -- both ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", [PCM16_24K, PCMU, PCMA])
@pytest.mark.parametrize("voice", load_voices(), ids=lambda voice: voice.name)
def test_real_speech_is_followed_to_a_word(voice: Voice, format: AudioFormat) -> None:  # B30, C24, issue 6: what was heard
    pacing = Pacing(format)
    pcm = in_format(voice.pcm, format)
    pacing.fresh.append(pcm)
    received = len(pcm) // format.sample_width
    errors = []
    for heard in range(0, received, format.rate // 20):
        told = words_told(voice, pacing.heard(voice.text, heard, received, final=True, complete=True))
        milliseconds = heard * 1_000 / format.rate
        errors.append(max(told - words_begun(voice, milliseconds), 0) + max(words_over(voice, milliseconds) - told, 0))
    assert max(errors) <= 1
    assert errors.count(0) >= 0.85 * len(errors)
    assert pacing.heard(voice.text, received, received, final=True, complete=True) == len(voice.text)


def test_a_pause_holds_the_text_at_its_comma() -> None:  # S05
    text = "Good morning, how are you today?"
    pcm = sound(900) + sound(700, 0) + sound(1_200)
    pacing = Pacing(PCM16_24K)
    pacing.fresh.append(pcm)
    for milliseconds in (910, 1_200, 1_590):
        assert text[: pacing.heard(text, milliseconds * 24, len(pcm) // 2, final=True, complete=True)] == "Good morning,"


def test_slow_speech_waits_for_its_pause() -> None:
    """While it arrives: seven syllables take two seconds, and nothing behind the comma is told before the silence came."""
    text = "Good morning everybody, and welcome to the show of tonight."
    pacing = Pacing(PCM16_24K)
    for tenth in range(1, 21):
        pacing.fresh.append(sound(100))
        end = pacing.heard(text, tenth * STEP - STEP // 2, tenth * STEP, final=True, complete=False)
        assert "and" not in text[:end]


def test_one_wrong_guess_of_the_pace_does_not_make_a_slower_one_likely() -> None:  # B30, F105
    """Its first sentence runs on without a pause: three silences in a row must not each be taken for that sentence's end."""
    text = "Que se queme. Le musée ouvre à neuf heures, sauf le mardi. Vous pouvez acheter les billets sur place, ou bien."
    silences = ((1_930, 70), (400, 160), (860, 340), (2_550, 200), (1_000, 0))
    pcm = b"".join(sound(loud) + sound(quiet, 0) for loud, quiet in silences)
    pacing = Pacing(PCM16_24K)
    told, tenths = [], len(pcm) // 2 // STEP
    for tenth in range(tenths):
        # Two tenths of a second arrive while one sounds.
        pacing.fresh.append(pcm[4 * STEP * tenth : 4 * STEP * (tenth + 1)])
        received = min(2 * (tenth + 1), tenths) * STEP
        told.append(text[: pacing.heard(text, tenth * STEP, received, final=False, complete=False)])
    assert told[36] == "Que se queme. Le musée ouvre à neuf heures, sauf le mardi."
    assert told[64].endswith("sur place,")


def test_a_transcript_that_stops_is_told_to_its_end_and_no_further() -> None:
    text = "One two three"
    pacing = Pacing(PCM16_24K)
    pacing.fresh.append(sound(10_000))
    assert pacing.heard(text, 200_000, 240_000, final=False, complete=False) == len(text)


def test_half_a_word_is_not_told_as_a_word() -> None:  # C24
    pacing = Pacing(PCM16_24K)
    pacing.fresh.append(sound(1_000))
    assert pacing.heard("un", 6_000, 24_000, final=False, complete=False) == 0


@WIDE
@given(
    st.lists(
        st.tuples(st.text(max_size=12), st.integers(0, 300), st.sampled_from((0, 30, 900, 20_000)), st.integers(0, 7_200)),
        max_size=25,
    ),
    st.booleans(),
)
def test_whatever_comes_the_text_never_goes_back(steps: list[tuple[str, int, int, int]], closed: bool) -> None:  # B30, F105
    pacing = Pacing(PCM16_24K)
    text, received, heard, shown = "", 0, 0, 0
    for number, (more, milliseconds, level, on) in enumerate(steps):
        text += more
        pacing.fresh.append(sound(milliseconds, level))
        received += milliseconds * 24
        heard = min(heard + on, received)
        over = closed and number == len(steps) - 1
        end = pacing.heard(text, heard, received, final=over, complete=over)
        assert shown <= end <= len(text)
        shown = end


def test_a_long_message_is_followed_with_bounded_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes: what is matched together stays a window, whatever came before (invariant 13)."""
    most = 0
    cheapest = _pacing._cheapest

    def counted(begin, stops, marks, *rest):  # type: ignore[no-untyped-def]
        nonlocal most
        most = max(most, len(stops), len(marks))
        return cheapest(begin, stops, marks, *rest)

    monkeypatch.setattr(_pacing, "_cheapest", counted)
    pacing = Pacing(PCM16_24K)
    phrase = "This is one of many sentences, and it goes on. "
    piece = sound(1_200) + sound(150, 0) + sound(900) + sound(350, 0)
    text, received = "", 0
    for _ in range(230):
        text += phrase
        pacing.fresh.append(piece)
        received += len(piece) // 2
        end = pacing.heard(text, received, received, final=False, complete=False)
        assert len(text) - len(phrase) <= end <= len(text)
    assert 0 < most <= 24
