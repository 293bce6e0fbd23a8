"""The running text: words told as heard while a message sounds, the same words at its end, and none of them taken back."""

from array import array
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from helpers.scene import Scene, configured, spoken, talking, told
from helpers.wire import (
    Script,
    audio,
    audio_done,
    cancelled,
    closing,
    done,
    item_done,
    message,
    opened,
    part_added,
    text_delta,
    transcript,
    transcript_done,
    truncated,
)

from rtcore import PCMA, PCMU, AudioFormat, Clock, Disconnection, Effect, HeardText, MessageEnded, Session, Verdict
from rtcore.config import Playout
from rtcore.sim._server_g711 import codes
from rtcore_adapters._mailbox import Mailbox
from rtcore_adapters.voices import load_voices

FOUR_WORDS = "aaaa bbbb cccc dddd"
CHINESE = "我们今天去公园吧"


def words(effects: Iterable[Effect], item: str = "m1", part: int = 0) -> str:
    """What was told as heard, piece by piece."""
    return "".join(e.delta for e in told(effects, HeardText) if (e.item_id, e.content_index) == (item, part))


def heard_until(scene: Scene, until_ms: int, *, step_ms: int = 20, first_ms: int = 0) -> list[str]:
    """What had been told after each report of the clock."""
    shown = []
    for ms in range(first_ms + step_ms, until_ms + 1, step_ms):
        scene.at(ms / 1000).played(1, ms)
        shown.append(words(scene.log))
    return shown


def end_of(scene: Scene, item: str = "m1") -> MessageEnded:
    [end] = [e for e in told(scene.log, MessageEnded) if e.item_id == item]
    return end


def spoken_out(text: str, **options: Any) -> Scene:
    return spoken(message("m1", 2000, text), **options)


# -- in step with the sound --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [FOUR_WORDS, CHINESE, "สวัสดีครับ"])
def test_words_are_told_as_they_are_heard(text: str) -> None:  # B30, C24, F105
    scene = spoken_out(text)
    shown = heard_until(scene, 2000)
    assert all(later.startswith(earlier) for earlier, later in pairwise(shown))
    assert 0 < len(shown[49]) < len(text) == len(shown[-1])
    assert len(set(shown)) >= 4
    assert end_of(scene).text == shown[-1] == text


def test_all_words_but_the_last_ones_are_marked_as_an_estimate() -> None:  # F105: exact at the end, marked as an estimate before
    scene = spoken_out(FOUR_WORDS)
    heard_until(scene, 2000)
    assert [e.estimated for e in told(scene.log, HeardText)][-1] is False
    assert all(e.estimated for e in told(scene.log, HeardText)[:-1])


def test_the_words_come_before_the_verdict_and_none_behind_it() -> None:  # S07, F106
    scene = spoken_out(FOUR_WORDS)
    heard_until(scene, 2000)
    scene.at(3.0).tick()
    kinds = [type(e).__name__ for e in scene.log if isinstance(e, HeardText | MessageEnded)]
    assert kinds.index("MessageEnded") == len(kinds) - 1


def test_each_message_has_its_own_words() -> None:  # F106, F021, S01
    scene = spoken(message("m1", 1000, "aaaa bbbb"), message("m2", 1000, "cccc dddd", index=1))
    heard_until(scene, 1500)
    assert words(scene.log) == "aaaa bbbb"
    assert words(scene.log, "m2") in ("cccc", "")
    heard_until(scene, 2000, first_ms=1500)
    assert words(scene.log, "m2") == "cccc dddd"


@pytest.mark.parametrize("report_ms", [10, 100, 700])
def test_however_often_the_clock_reports_the_words_at_a_cut_are_the_same(report_ms: int) -> None:  # B30
    scene = spoken_out(FOUR_WORDS)
    heard_until(scene, 1400, step_ms=report_ms)
    scene.at(1.45).barge_in(1450)
    assert end_of(scene).text == "aaaa bbbb cccc"


# -- where the sound is cut --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("heard_ms", range(50, 2000, 130))
def test_the_text_at_a_cut_is_what_was_told_and_at_most_the_word_in_progress(heard_ms: int) -> None:  # B30, C24, S05, F014
    scene = spoken_out(FOUR_WORDS)
    heard_until(scene, heard_ms, step_ms=10)
    before = words(scene.log)
    scene.at(heard_ms / 1000).barge_in(heard_ms)
    end = end_of(scene)
    assert end.verdict is Verdict.PARTIAL
    assert end.text.startswith(before)
    assert len(end.text[len(before) :].split()) <= 1
    assert words(scene.log) == end.text == scene.session.history[0].text
    assert end.full_text == FOUR_WORDS


def test_nothing_is_told_of_what_nobody_heard() -> None:  # S05, F014
    scene = spoken_out(FOUR_WORDS)
    scene.at(0.1).barge_in(0)
    assert (end_of(scene).verdict, end_of(scene).text, words(scene.log)) == (Verdict.SKIPPED, "", "")


def test_a_transcript_that_goes_on_behind_the_cut_is_not_told_as_heard() -> None:  # F014, S07, B21
    scene = talking(opened(), transcript("m1", FOUR_WORDS), audio("m1", 2000), heard_ms=1000, at=1.0)
    scene.barge_in(1000)
    before = words(scene.log)
    scene.server(transcript("m1", " eeee"), closing("m1", FOUR_WORDS + " eeee"), cancelled(), truncated("m1", 1000))
    assert words(scene.log) == before == scene.session.history[0].text == end_of(scene).text
    assert scene.session.history[0].full_text == FOUR_WORDS + " eeee"


def test_a_truncated_acknowledgement_with_an_empty_transcript_takes_no_word_back() -> None:  # C24, F015
    scene = talking(opened(), transcript("m1", FOUR_WORDS), audio("m1", 2000), heard_ms=1000, at=1.0)
    scene.barge_in(1000)
    before = scene.session.history[0].text
    scene.server(transcript_done("m1", ""), item_done("m1", ""), cancelled(), truncated("m1", 1000))
    [item] = scene.session.history
    assert (item.text, item.full_text) == (before, FOUR_WORDS)


@pytest.mark.parametrize("how", ["close", "lost"])
def test_a_session_that_ends_tells_the_words_that_were_heard_first(how: str) -> None:  # F162, F112
    scene = spoken_out(FOUR_WORDS, config=configured(reconnect={"attempts": 0}))
    heard_until(scene, 1000)
    scene.close() if how == "close" else scene.disconnected(Disconnection(close_code=1006))
    assert "aaaa" in end_of(scene).text
    assert words(scene.log) == end_of(scene).text


def test_what_goes_on_sounding_while_the_line_is_gone_goes_on_being_told() -> None:  # B21, F112
    scene = spoken_out(FOUR_WORDS)
    before = heard_until(scene, 1000)[-1]
    scene.disconnected(Disconnection(close_code=1006))
    heard_until(scene, 2000, first_ms=1000)
    assert before != words(scene.log) == end_of(scene).text == FOUR_WORDS


# -- the transcript is late, stops, or was another one ------------------------------------------------------------------


def test_words_that_come_behind_their_sound_are_told_as_they_come() -> None:  # S07, F105, F116: nothing waits for a transcript
    scene = talking(opened(), audio("m1", 1000), audio_done("m1"))
    assert heard_until(scene, 1000)[-1] == ""
    effects = scene.at(1.1).server(transcript("m1", "aaaa bb"))
    assert words(effects) == "aaaa"
    effects = scene.server(transcript("m1", "bb cccc"))
    assert words(effects) == " bbbb"
    effects = scene.at(1.2).server(transcript_done("m1", "aaaa bbbb cccc"), item_done("m1", "aaaa bbbb cccc"), done())
    assert (words(effects), end_of(scene).text) == (" cccc", "aaaa bbbb cccc")


def test_a_transcript_that_stops_is_told_to_its_end_and_ends_after_its_deadline() -> None:  # S07, F116
    scene = talking(opened(), transcript("m1", "aaaa bbbb"), audio("m1", 2000), audio_done("m1"), done("r1"))
    heard_until(scene, 2000)
    scene.at(3.1).tick()
    assert words(scene.log) == end_of(scene).text == "aaaa bbbb"


def test_a_complete_transcript_that_is_another_one_takes_nothing_back() -> None:  # F115
    scene = talking(opened(), transcript("m1", "aaaa bbbb cccc"), audio("m1", 2000))
    heard_until(scene, 1000)
    before = words(scene.log)
    scene.server(closing("m1", "Aaaa, bbbb, cccc!"), done("r1"))
    heard_until(scene, 2000, first_ms=1000)
    assert words(scene.log).startswith(before)
    assert end_of(scene).text == "Aaaa, bbbb, cccc!"


def test_a_message_without_words_has_none() -> None:
    scene = spoken(message("m1", 500, ""))
    heard_until(scene, 500)
    assert (end_of(scene).text, told(scene.log, HeardText)) == ("", [])


def test_a_written_part_beside_a_spoken_one_is_not_told_as_heard() -> None:  # F142
    scene = talking(
        opened(),
        transcript("m1", FOUR_WORDS),
        audio("m1", 2000),
        part_added("m1", kind="text", part=1),
        text_delta("m1", "Written.", part=1),
    )
    heard_until(scene, 1000)
    assert words(scene.log, part=1) == ""
    assert words(scene.log).startswith("aaaa")


# -- real speech, in every format ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", [AudioFormat("audio/pcm", 24_000), PCMU, PCMA], ids=str)
@pytest.mark.parametrize("name", ["weather", "zh_weather", "fr_museum"])
def test_real_speech_is_told_within_a_word_of_its_sound(format: AudioFormat, name: str) -> None:  # B30, C24, S05
    voice = next(each for each in load_voices() if each.name == name)
    sound = voice.pcm
    if format.type != "audio/pcm":
        table = codes(format.type)
        sound = bytes(table[sample & 0xFFFF] for sample in array("h", voice.pcm)[::3])
    deltas: list[Script] = []
    step = 200 * format.bytes_per_ms
    for at in range(0, len(sound), step):
        deltas.append(audio("m1", raw=sound[at : at + step]))
    wire = {"type": format.type, **({"rate": 24_000} if format.type == "audio/pcm" else {})}
    scene = talking(opened(), transcript("m1", voice.text), *deltas, closing("m1", voice.text), done("r1"), output=wire)
    worst = 0
    for ms in range(20, voice.samples // 24, 20):
        scene.at(ms / 1000).played_samples(1, format.samples(ms))
        end = len(words(scene.log))
        complete = [w for w in voice.words if w.char + len(w.text) <= end]
        begun = sum(w.start_ms < ms for w in voice.words)
        over = sum(w.sound_end_ms <= ms - 100 for w in voice.words)  # told at the next look at the latest
        worst = max(worst, len(complete) - begun, over - len(complete))
    assert worst <= 1


# -- who does not want it, and who is slow --------------------------------------------------------------------------------


def test_it_can_be_switched_off_and_the_text_at_the_cut_is_there_all_the_same() -> None:  # B30
    scene = spoken_out(FOUR_WORDS, config=configured(playout=Playout(heard_text_ms=None)))
    heard_until(scene, 1400)
    assert (told(scene.log, HeardText), scene.session.history[0].text) == ([], "")
    scene.at(1.45).barge_in(1450)
    assert (told(scene.log, HeardText), end_of(scene).text) == ([], "aaaa bbbb cccc")


def test_it_is_looked_at_as_often_as_is_asked() -> None:
    often, seldom = (spoken_out(FOUR_WORDS, config=configured(playout=Playout(heard_text_ms=ms))) for ms in (20, 1000))
    assert len(set(heard_until(often, 1900))) > len(set(heard_until(seldom, 1900)))


def test_a_clock_that_reports_nothing_tells_the_words_all_the_same() -> None:
    scene = spoken_out(FOUR_WORDS, clock=Clock(reports=False, latency_ms=0))
    for ms in range(100, 2600, 100):
        scene.at(ms / 1000).tick()
    assert words(scene.log) == end_of(scene).text == FOUR_WORDS
    assert end_of(scene).estimated and all(piece.estimated for piece in told(scene.log, HeardText))  # no clock said so: C19, F105


def test_reading_the_history_changes_nothing_of_what_is_told() -> None:  # same inputs, same effects
    read, unread = spoken_out(FOUR_WORDS), spoken_out(FOUR_WORDS)
    for ms in range(20, 2001, 20):
        for scene in (read, unread):
            scene.at(ms / 1000).played(1, ms)
        assert words(read.log).startswith(read.session.history[0].text)
    assert read.log == unread.log


def test_pieces_that_wait_side_by_side_become_one() -> None:  # C30
    box = Mailbox()
    for number, delta in enumerate(("aaaa", " bbbb", " cccc")):
        box.put(HeardText("r1", "m1", 0, delta, estimated=number < 2))
    box.put(HeardText("r1", "m2", 0, "dddd"))
    assert [box.take() for _ in range(3)] == [
        HeardText("r1", "m1", 0, "aaaa bbbb cccc", estimated=False),
        HeardText("r1", "m2", 0, "dddd"),
        None,
    ]


def test_sound_that_was_heard_is_not_kept_for_its_words() -> None:  # invariant 13: F157
    for every in (100, None):
        scene = talking(opened(), transcript("m1", FOUR_WORDS), config=configured(playout=Playout(heard_text_ms=every)))
        for second in range(30):
            scene.server(audio("m1", 1000, start_ms=1000 * second))
            scene.at(second + 1.0).played(1, 1000 * (second + 1))
        assert _waiting(scene.session) <= 2 * 48_000


def _waiting(session: Session) -> int:
    """Bytes of sound that wait to be looked at."""
    items = session._core.responses.items.values()
    return sum(len(piece) for item in items for segment in item.segments for piece in segment.fresh)
