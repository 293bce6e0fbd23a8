"""A telephone line as a clock: frames, marks and clears against a far side that plays at its own speed."""

import sys
import threading
from typing import Any

import pytest
from helpers.telephone import TelephoneRig
from hypothesis import given, settings
from hypothesis import strategies as st
from speaker_contract import Told, content, tagged

from rtcore import PCM16_24K, PCMA, PCMU, AudioFormat, Clock
from rtcore_adapters.audio import MarksSpeaker, PushMicrophone

FRAME = 160


def sent(rig: TelephoneRig, kind: str) -> list[bytes]:
    return [data for _, what, data in rig.line.sent if what == kind]


def opened(**options: Any) -> TelephoneRig:
    rig = TelephoneRig(**options)
    rig.open()
    return rig


# -- frames -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("format", "quiet"), [(PCMU, b"\xff"), (PCMA, b"\xd5")])
def test_only_whole_frames_are_sent_and_the_last_is_filled_up(format: AudioFormat, quiet: bytes) -> None:  # F160
    rig = opened(format=format)
    for start in range(0, 500, 50):
        rig.play(1, start, 50)
    assert sent(rig, "media") == [tagged(format, 1, at, FRAME) for at in (0, 160, 320)]
    rig.until(1.0)
    assert len(sent(rig, "media")) == 3  # the rest of a frame waits for more
    rig.drain(1)
    assert sent(rig, "media")[3] == tagged(format, 1, 480, 20) + 140 * quiet
    rig.until(2.0)
    assert rig.reports("played", 1)[-1].samples == 500  # what filled it up is not of the stream


def test_the_line_is_never_further_ahead_than_it_may_be() -> None:  # F040, F156
    rig = opened(ahead_ms=300, trip_s=0.05)
    rig.play(1, 0, 5 * 8000)
    assert len(sent(rig, "media")) == 15
    rig.until(6.0)
    assert rig.line.most_held <= 0.3 + 1e-6
    assert content(PCMU, rig.audible(), 1) == tagged(PCMU, 1, 0, 5 * 8000)
    times = [at for at, what, _ in rig.line.sent if what == "media"][15:]
    assert times == pytest.approx([0.02 * n for n in range(1, len(times) + 1)], abs=1e-6)  # a grid: nothing drifts (F151)


@pytest.mark.parametrize("ppm", [-2000, 2000])
def test_the_pace_is_the_lines_own(ppm: int) -> None:
    """A far side that plays slower is not sent more than it plays, one that plays faster does not run dry."""
    rig = opened(ahead_ms=200, trip_s=0.02, round_trip_ms=60, far={"ppm": ppm})
    rig.play(1, 0, 300 * 8000)
    rig.until(250.0)
    assert rig.line.most_held <= 0.2 + 0.06 + 0.02
    assert len(rig.audible()) / 8000 == pytest.approx(250 * (1 + ppm / 1e6), abs=0.1)


def test_a_line_that_stood_still_is_not_sent_more_than_it_may_hold() -> None:
    """Without a clear, all that was sent is heard: after a stall of the network the lead is short again."""
    rig = opened(ahead_ms=200, clears=False, trip_s=0.02, round_trip_ms=60)
    rig.play(1, 0, 20 * 8000)
    rig.until(1.0)
    rig.line.stall(until=3.0)
    rig.until(6.0)
    rig.flush(1)
    rig.until(10.0)
    answer = rig.answer(1)
    assert answer.at - 6.0 <= rig.clock.flush_latency_ms / 1000 + 0.001
    assert answer.samples == answer.audible == rig.heard(1)


# -- marks ------------------------------------------------------------------------------------------------------------------


def test_marks_come_at_a_bounded_rate_and_at_the_end() -> None:  # F020
    rig = opened(mark_ms=100, ahead_ms=1000)
    for start in range(0, 8000, 40):
        rig.play(1, start, 40)  # two hundred deltas
    rig.play(1, 8000, 100)
    rig.drain(1)
    rig.until(3.0)
    assert len(sent(rig, "mark")) == 11
    assert [told.samples for told in rig.reports("played", 1)] == [*range(800, 8001, 800), 8100]


def test_a_drain_marks_the_end_at_once_and_more_may_follow() -> None:
    rig = opened()
    rig.play(1, 0, 2 * FRAME)
    assert sent(rig, "mark") == []
    rig.drain(1)
    assert sent(rig, "mark") == [b"rtcore-1"]
    rig.play(1, 2 * FRAME, 50)
    rig.until(1.0)
    assert len(sent(rig, "media")) == 2  # the end was none: the rest of a frame waits again
    rig.play(1, 2 * FRAME + 50, 110)
    assert sent(rig, "media")[2] == tagged(PCMU, 1, 2 * FRAME, FRAME)


def test_a_tail_that_nobody_drained_gets_its_mark_when_it_has_been_played() -> None:
    """The next audio may be long in coming, and what was heard has to be known by then. Trickling audio makes no burst."""
    rig = opened(mark_ms=100)
    rig.play(1, 0, 3 * FRAME)
    rig.until(0.5)
    assert rig.reports("played", 1)[-1].samples == 3 * FRAME
    assert [told.at for told in rig.reports("underrun", 1)] == [pytest.approx(0.1)]
    for step in range(40):  # 20 ms of audio every 25 ms: dry each time
        rig.until(1.0 + 0.025 * step)
        rig.play(1, (3 + step) * FRAME, FRAME)
    rig.until(3.0)
    assert rig.reports("played", 1)[-1].samples == 43 * FRAME
    assert len(sent(rig, "mark")) <= 2 + 1000 // 100


def test_the_answer_is_the_last_mark_and_the_rest_is_declared() -> None:  # F019
    rig = opened(mark_ms=100, trip_s=0.04, round_trip_ms=100)
    assert rig.clock == Clock(pause=False, report_ms=200, flush_latency_ms=100, answer_ms=200)
    rig.play(1, 0, 6 * 8000)
    rig.until(1.59)
    rig.flush(1)
    rig.until(3.0)
    answer = rig.answer(1)
    assert answer.samples == 1500 * 8  # the mark behind 1500 ms had come back at 1.58
    assert answer.at == pytest.approx(1.59 + 0.08)  # a mark behind the clear says that it took effect
    assert rig.heard(1) == 1590 * 8  # the clear took 40 ms, too
    assert rig.heard(1) - answer.samples <= 200 * 8


def test_marks_that_the_clear_sends_back_are_no_sound() -> None:  # C21, F019
    rig = opened(trip_s=0.04, round_trip_ms=200)
    rig.play(1, 0, 6 * 8000)
    rig.until(0.5)
    known = rig.reports("played", 1)[-1].samples
    rig.flush(1)
    rig.until(2.0)
    assert rig.answer(1).samples == known
    assert rig.reports("played", 1)[-1].samples == known
    assert rig.speaker.stale_marks >= 8


def test_a_clear_that_nobody_confirms_is_answered_in_the_declared_time() -> None:  # B29
    rig = opened(far={"never": 1.0}, round_trip_ms=150)
    rig.play(1, 0, 8000)
    rig.until(0.5)
    rig.flush(1)
    rig.until(5.0)
    assert rig.answer(1).at == pytest.approx(0.65)
    assert rig.answer(1).samples == 0
    rig.play(2, 0, 800)
    rig.drain(2)
    rig.until(9.0)
    assert rig.heard(2) == 800  # the line sounds all the same


def test_a_line_without_clear_sounds_its_short_rest_and_the_answer_is_exact() -> None:  # F030, F040
    rig = opened(clears=False, trip_s=0.03, ahead_ms=200, round_trip_ms=100)
    assert rig.clock == Clock(pause=False, report_ms=200, flush_latency_ms=320, answer_ms=0)
    rig.play(1, 0, 6 * 8000)
    rig.until(1.0)
    rig.flush(1)
    rig.until(3.0)
    answer = rig.answer(1)
    assert answer.samples == answer.audible == rig.heard(1) == 1200 * 8
    assert answer.at == pytest.approx(1.26)


def test_without_marks_a_line_without_clear_is_answered_when_its_rest_must_have_sounded() -> None:  # B29
    rig = opened(clears=False, far={"never": 1.0}, trip_s=0.03, ahead_ms=200, round_trip_ms=100)
    rig.play(1, 0, 6 * 8000)
    rig.until(1.0)
    rig.flush(1)
    rig.until(3.0)
    assert (rig.answer(1).samples, rig.heard(1)) == (1200 * 8, 1200 * 8)
    assert rig.answer(1).at <= 1.0 + 0.32 + 1e-6


def test_marks_of_others_and_marks_that_come_twice_say_nothing() -> None:  # C21
    rig = opened(far={"twice": 1.0})
    rig.speaker.marked("greeting over")
    rig.play(1, 0, 1600)
    rig.drain(1)
    rig.until(1.0)
    assert [told.samples for told in rig.reports("played", 1)] == [800, 1600]
    assert rig.speaker.stale_marks == 3


def test_a_lost_mark_is_made_up_for_by_the_next() -> None:
    rig = opened(far={"never": 0.5, "seed": 3})
    rig.play(1, 0, 16_000)
    rig.until(3.0)
    assert 0 < len(rig.reports("played", 1)) < 20
    assert rig.speaker.forgotten_marks > 0
    assert rig.line.most_held <= 1.0 + 1e-6


def test_a_line_that_never_answers_is_remembered_within_bounds() -> None:
    rig = opened(far={"never": 1.0})
    rig.play(1, 0, 30 * 8000)
    rig.until(30.0)
    assert rig.speaker.forgotten_marks > 200
    assert len(rig.speaker._marks) <= 64 + 10


def test_a_long_lead_has_all_its_marks() -> None:
    rig = opened(ahead_ms=60_000, mark_ms=20)
    rig.play(1, 0, 60 * 8000)
    rig.until(1.0)
    assert [told.samples for told in rig.reports("played", 1)] == [FRAME * n for n in range(1, 51)]


# -- the line's other ways --------------------------------------------------------------------------------------------------


def test_a_call_that_was_hung_up_is_a_lost_device() -> None:  # F100
    rig = opened()
    rig.play(1, 0, 16_000)
    rig.until(0.55)
    rig.speaker.lost()
    rig.speaker.lost()
    rig.until(0.6)
    messages = len(rig.line.sent)
    assert [told.kind for told in rig.told if told.kind in ("lost", "ready")] == ["lost"]
    rig.flush(1)
    rig.play(2, 0, 800)
    rig.until(2.0)
    assert rig.answer(1).samples == 4000
    assert len(rig.line.sent) == messages
    assert rig.speaker.deadline is None


def test_a_mark_may_be_told_on_any_thread() -> None:  # F158
    """``marked`` touches nothing but a queue: the count moves on the runtime's thread, when it ticks."""
    rig = opened(far={"never": 1.0})
    rig.play(1, 0, 800)
    rig.until(0.2)
    thread = threading.Thread(target=rig.speaker.marked, args=(sent(rig, "mark")[0].decode(),))
    thread.start()
    thread.join()
    assert rig.reports("played", 1) == []
    rig.until(0.2)
    assert rig.reports("played", 1)[0].samples == 800


def test_a_mark_may_come_back_within_the_call_that_sets_it() -> None:
    """A program that keeps the line in its own process answers at once; nothing is entered twice."""
    marks: list[str] = []

    def mark(name: str) -> None:
        marks.append(name)
        rig.speaker.marked(name)

    rig = TelephoneRig()
    rig.speaker = MarksSpeaker(rig.line.media, mark, rig.line.clear)
    rig.open()
    rig.play(1, 0, 1600)
    rig.drain(1)
    rig.until(1.0)
    assert marks == ["rtcore-1", "rtcore-2"]
    assert rig.told[-1].samples == 1600


class Eager(TelephoneRig):
    """An adapter that is not busy: it ticks within ``wake``, and a core with a lead: it hands over more within each report."""

    handed = 3 * FRAME

    def wake(self) -> None:
        self.speaker.tick(now=self.now)

    def played(self, generation: int, samples: int) -> None:
        super().played(generation, samples)
        if self.handed < 900:
            self.handed += 90
            self.play(1, self.handed - 90, 90)


def test_what_a_report_causes_is_taken_in_its_turn() -> None:
    def mark(name: str) -> None:
        rig.speaker.marked(name)  # the line answers within the call

    rig = Eager()
    rig.speaker = MarksSpeaker(rig.line.media, mark, rig.line.clear, mark_ms=20, ahead_ms=60_000)
    rig.open()
    rig.play(1, 0, 3 * FRAME)
    rig.until(3.0)
    rig.drain(1)
    rig.until(5.0)
    audio = b"".join(sent(rig, "media")).rstrip(b"\xff")
    assert audio == tagged(PCMU, 1, 0, rig.handed)
    counts = [told.samples for told in rig.told if told.kind == "played"]
    assert counts == sorted(set(counts))
    assert counts[-1] == rig.handed
    rig.speaker.play(b"\x01" * 50 * 8000, PCMU, 1, now=rig.now)  # 2500 marks in one call, none within another
    assert len(sent(rig, "media")) > 2400


@pytest.mark.parametrize(
    "wrong",
    [
        {"mark_ms": 10},
        {"mark_ms": 1001},
        {"ahead_ms": 20},
        {"ahead_ms": 60_001},
        {"round_trip_ms": -1},
        {"format": AudioFormat("audio/pcm", 22_050 - 25)},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MarksSpeaker(lambda payload: None, lambda name: None, None, **wrong)


# -- other formats ----------------------------------------------------------------------------------------------------------


def test_the_other_law_is_converted_and_counted_sample_for_sample() -> None:  # C22
    rig = opened(format=PCMU)
    rig.speaker.play(b"\xd5" * 1000, PCMA, 1, now=0.0)
    rig.drain(1)
    rig.until(1.0)
    assert rig.reports("played", 1)[-1].samples == 1000
    assert set(b"".join(sent(rig, "media"))) <= {0xFE, 0xFF, 0x7E, 0x7F}  # both laws' quietest codes


def test_24_khz_are_resampled_and_counted_as_they_were_handed_over() -> None:  # C22, F153
    pytest.importorskip("soxr", reason="rtcore[audio] is not installed")
    rig = opened()
    tone = b"".join((8000 if at // 30 % 2 else -8000).to_bytes(2, "little", signed=True) for at in range(24_000))
    for at in range(0, len(tone), 1000):
        rig.speaker.play(tone[at : at + 1000], PCM16_24K, 1, now=0.0)
    rig.until(0.5)
    for told in rig.reports("played", 1):
        assert told.samples % 2400 == 0
        assert told.samples / 24_000 <= told.at + 1e-6
    rig.drain(1)
    rig.until(3.0)
    assert rig.reports("played", 1)[-1].samples == 24_000  # the tail of the filter was sounded, too
    assert len(rig.audible()) == pytest.approx(8000, abs=FRAME)
    rig.speaker.play(tone[:4800], PCM16_24K, 1, now=3.0)
    rig.until(3.05)
    rig.flush(1)
    rig.until(4.0)
    assert 24_000 <= rig.answer(1).samples <= 26_400


def test_without_a_resampler_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    rig = opened()
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'rtcore\[audio\]'"):
        rig.speaker.play(bytes(4800), PCM16_24K, 1, now=0.0)


# -- whatever happens -------------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(st.sampled_from(["play", "play", "play", "drain", "flush", "wait", "wait"]), st.integers(0, 12_000)), max_size=25
)
LINES = st.fixed_dictionaries(
    {
        "never": st.sampled_from([0.0, 0.3, 1.0]),
        "twice": st.sampled_from([0.0, 0.5]),
        "late_s": st.sampled_from([0.0, 0.4]),
        "ppm": st.sampled_from([-500, 0, 500]),
        "seed": st.integers(0, 9),
    }
)


class Measured(TelephoneRig):
    """Writes down with every report how much speech was audible in all, of whatever generation."""

    def _tell(self, kind: str, generation: int, samples: int) -> None:
        self.told.append(Told(self.now, kind, generation, samples, self.line.speech))


@settings(max_examples=200)
@given(
    steps=STEPS,
    far=LINES,
    clears=st.booleans(),
    mark_ms=st.sampled_from([20, 50, 100, 300]),
    ahead_ms=st.sampled_from([60, 200, 1000]),
    trip_s=st.sampled_from([0.0, 0.013, 0.1]),
)
def test_whatever_the_line_does_the_count_is_never_ahead_of_the_ear(
    steps: list[tuple[str, int]], far: dict[str, Any], clears: bool, mark_ms: int, ahead_ms: int, trip_s: float
) -> None:
    """Never more reported than was handed over or audible, never backwards; each flush answered once, in the declared time, and
    nothing of it sent afterwards; whole frames, marks in proportion to the audio, a queue within its bound (C20, C21, F020)."""
    rig = Measured(mark_ms=mark_ms, ahead_ms=ahead_ms, trip_s=trip_s, clears=clears, far=far, round_trip_ms=210)
    rig.open()
    generation, ends, due = 1, 0, 0.0
    handed: dict[int, int] = {1: 0}
    asked: dict[int, float] = {}
    for step, amount in steps:
        match step:
            case "play":
                rig.speaker.play(b"\x01" * amount, PCMU, generation, now=rig.now)
                handed[generation] += amount
            case "drain":
                rig.drain(generation)
                ends += 1
            case "flush":
                asked[generation] = rig.now
                due = max(due, rig.now + rig.clock.flush_latency_ms / 1000)
                rig.flush(generation)
                generation += 1
                handed[generation] = 0
                ends += 1
            case _:
                rig.until(rig.now + amount / 8000)
                ends += 1  # it may have run dry
    rig.until(rig.now + 15.0)
    assert [told.generation for told in rig.told if told.kind == "flushed"] == [*asked]
    known: dict[int, int] = {}
    for told in rig.told:
        if told.kind != "underrun":
            assert known.get(told.generation, 0) <= told.samples <= handed[told.generation]
            known[told.generation] = told.samples
        if told.kind == "flushed" and (clears or not any(far[fault] for fault in ("late_s", "never", "ppm"))):
            assert told.at <= asked[told.generation] + rig.clock.flush_latency_ms / 1000 + 1e-6
        assert sum(known.values()) <= told.audible or (not clears and far["never"])
    assert {len(data) for data in sent(rig, "media")} <= {FRAME}
    assert len(sent(rig, "mark")) <= len(sent(rig, "media")) // -(-mark_ms // 20) + ends + 1
    assert rig.line.most_held <= ahead_ms / 1000 + 0.21 + 0.02 + far["late_s"]  # it follows the marks, and those tell it late


# -- the other direction ----------------------------------------------------------------------------------------------------


class Sink:
    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def audio(self, pcm: bytes) -> None:
        self.frames.append(pcm)

    def speech(self, event: str) -> None:
        self.frames.append(event.encode())


def test_a_lines_inbound_media_are_a_microphone() -> None:  # F127: in the format that it declares
    microphone, sink = PushMicrophone(PCMU), Sink()
    microphone.push(b"\x01" * 160)  # before the conversation: dropped
    microphone.open(sink, now=0.0)
    assert (microphone.format, microphone.deadline) == (PCMU, None)
    microphone.push(b"\x02" * 160)
    microphone.detected("started")
    microphone.tick(now=1.0)
    microphone.close(now=1.0)
    microphone.push(b"\x03" * 160)
    microphone.detected("stopped")
    assert sink.frames == [b"\x02" * 160, b"started"]
    assert microphone.position == 160


def test_a_microphone_takes_whole_samples_and_may_speak_another_format() -> None:
    with pytest.raises(ValueError, match="pcm: 3 bytes are not whole samples of audio/pcm"):
        PushMicrophone().push(b"abc")
    microphone, sink = PushMicrophone(PCMA, source=PCMU), Sink()
    microphone.open(sink, now=0.0)
    microphone.push(b"\xff" * 160)
    assert [len(frame) for frame in sink.frames] == [160]
