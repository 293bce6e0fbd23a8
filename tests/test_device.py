"""Real audio devices, against a sound system in virtual time: what is counted is what sounded, to the sample.

``tests/device`` runs the same code against PortAudio (``make device``).
"""

import asyncio
import struct
import sys
from array import array
from collections.abc import Callable
from importlib import import_module
from itertools import pairwise
from types import ModuleType
from typing import Any, Literal

import pytest
from fake_portaudio import EPOCH, FakeHost, FakeStream, LoopHost, loudspeaker, microphone
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import VOICES, config, served, until
from virtual_loop import run

from rtcore import (
    PCM16_24K,
    PCMA,
    PCMU,
    AudioFormat,
    Clock,
    Interrupted,
    MessageEnded,
    SpeakingStarted,
    SpeakingStopped,
    Verdict,
)
from rtcore.sim.server import ServerOptions, spoken
from rtcore_adapters.asyncio import connect
from rtcore_adapters.audio._device_microphone import DeviceMicrophone
from rtcore_adapters.audio._device_speaker import DeviceSpeaker, SpeakerCounts
from rtcore_adapters.audio._g711 import decode, encode
from rtcore_adapters.audio._host import Device, DeviceError, Host, Stream, choose
from rtcore_adapters.audio._ring import InputRing, OutputRing

BLOCK = 240  # samples of 10 ms at 24 kHz


def speech(samples: int, first: int = 0) -> bytes:
    """Samples that differ from silence and from each other."""
    return struct.pack(f"<{samples}h", *[(first + n) % 30_000 + 1 for n in range(samples)])


def at_once(work: Callable[[], None]) -> None:
    work()


class Room:
    """A speaker on a fake device, and what it told."""

    def __init__(self, host: FakeHost | None = None, device: int | str | None = None, **options: Any) -> None:
        self.host = host or FakeHost()
        self.told: list[tuple[str, int | str, int]] = []
        self.speaker = DeviceSpeaker(self.host, device, spawn=options.pop("spawn", at_once), **options)
        self.speaker.open(self, now=self.host.now)
        self.start = self.host.now
        self.on_report: Callable[[str], None] = lambda what: None
        self.woken = 0

    def played(self, generation: int, samples: int) -> None:
        self.told.append(("played", generation, samples))
        self.on_report("played")

    def flushed(self, generation: int, samples: int) -> None:
        self.told.append(("flushed", generation, samples))
        self.on_report("flushed")

    def underrun(self, generation: int) -> None:
        self.told.append(("underrun", generation, 0))

    def device(self, state: Literal["lost", "ready"]) -> None:
        self.told.append(("device", state, 0))
        self.on_report(state)

    def wake(self) -> None:
        self.woken += 1

    def new(self) -> list[tuple[str, int | str, int]]:
        told, self.told = self.told, []
        return told

    def play(self, pcm: bytes, generation: int = 1, format: AudioFormat = PCM16_24K) -> None:
        self.speaker.play(pcm, format, generation, now=self.host.now)

    def flush(self, generation: int = 1) -> None:
        self.speaker.flush(generation, now=self.host.now)

    def run(self, seconds: float, *, late: float = 0.0) -> None:
        """Let time pass; tick when the speaker wants it, or ``late`` seconds later."""
        end = self.host.now + seconds
        while (due := self.speaker.deadline) is not None and due + late <= end:
            self.host.advance(due + late)
            self.speaker.tick(now=self.host.now)
        self.host.advance(end)

    def heard(self) -> bytes:
        """What was audible, on all devices, without silence."""
        samples = b"".join(stream.signal() for stream in self.host.streams)
        return array("h", [value for value in array("h", samples) if value]).tobytes()

    def count(self, generation: int = 1) -> int:
        return max((n for kind, g, n in self.told if kind in ("played", "flushed") and g == generation), default=0)


# -- what sounded ------------------------------------------------------------------------------------------------------------


def test_what_is_reported_is_what_has_left_the_device_by_its_own_time_stamps() -> None:  # DESIGN 3: the one number
    room = Room()
    room.play(speech(4800))
    for _ in range(40):
        room.run(0.007)
        room.speaker.tick(now=room.host.now)
        assert room.count() == len(room.heard()) // 2
    assert room.count() == 4800 and room.heard() == speech(4800)


def test_silence_that_keeps_the_device_running_is_not_of_the_stream() -> None:
    room = Room()
    room.run(0.5)
    room.play(speech(100))
    room.run(0.5)
    room.play(speech(100, 100))
    room.run(0.5)
    assert [told for told in room.new() if told[0] == "played"] == [("played", 1, 100), ("played", 1, 200)]
    assert room.heard() == speech(200)


def test_it_reports_as_often_as_it_declares_and_sleeps_when_nothing_sounds() -> None:
    room = Room()
    assert room.speaker.capabilities == Clock(report_ms=20, flush_latency_ms=350)
    room.play(speech(24_000))
    at = []
    room.on_report = lambda what: at.append(room.host.now)
    room.run(2.0)
    assert max(b - a for a, b in pairwise(at)) < 0.0201
    asleep = room.speaker.deadline
    assert asleep is not None
    room.run(asleep - room.host.now + 0.001)
    assert room.speaker.deadline == pytest.approx(asleep + 0.5)


def test_time_stamps_that_jitter_never_make_the_count_go_back_or_too_far() -> None:
    host = FakeHost()
    offsets = iter([0.004, -0.003, 0.0, 0.009, -0.008] * 1000)
    host.jitter = lambda: next(offsets)
    room = Room(host)
    room.play(speech(12_000))
    room.run(2.0)
    counts = [n for kind, _, n in room.told if kind == "played"]
    assert counts == sorted(set(counts)) and counts[-1] == 12_000


def test_another_rate_is_counted_in_samples_that_were_handed_over_and_the_tail_sounds_on_drain() -> None:
    room = Room(FakeHost(loudspeaker(rate=48_000)))
    room.play(speech(2400))
    room.run(1.0)
    before = room.count()
    assert 0 < before < 2400  # the resampler holds the rest back
    room.speaker.drain(1, now=room.host.now)
    room.run(1.0)
    assert room.count() == 2400
    room.play(speech(2400))
    room.speaker.drain(1, now=room.host.now)
    room.run(1.0)
    assert room.new()[-1] == ("played", 1, 4800)
    counts = [n for kind, _, n in room.told if kind == "played"]
    assert counts == sorted(counts)
    rate = room.host.stream.rate
    sounded = sum(1 for pair in struct.iter_unpack("<h", room.host.stream.signal()) if abs(pair[0]) > 3)
    assert rate == 48_000 and abs(sounded - 9600) < 20


@pytest.mark.parametrize("format", [PCMU, PCMA])
def test_telephone_audio_is_decoded_and_counted_in_its_own_samples(format: AudioFormat) -> None:  # C22
    room = Room(FakeHost(loudspeaker(rate=8000)))
    data = encode(speech(1600), format)
    room.play(data, 1, format)
    room.run(0.1 + 0.03 + 0.01)
    room.flush()
    room.run(0.2)
    count = room.count()
    assert 700 <= count <= 1200
    assert room.host.stream.signal() == decode(data[:count], format) + bytes(len(room.host.stream.signal()) - 2 * count)


def test_stereo_sounds_on_both_sides() -> None:
    room = Room(FakeHost(loudspeaker(channels=2)))
    room.play(speech(480))
    room.run(0.2)
    assert room.host.stream.channels == 2
    assert b"".join(room.host.stream.others) == b"".join(pcm for _, pcm in room.host.stream.blocks)
    assert room.heard() == speech(480)


def test_a_device_that_refuses_its_own_rate_or_stereo_is_asked_for_another() -> None:
    host = FakeHost(loudspeaker(rate=96_000, channels=8))
    host.refused = {(96_000, 2), (96_000, 8), (96_000, 1), (48_000, 2)}
    room = Room(host)
    assert (room.speaker.rate, host.stream.channels) == (48_000, 8)
    host.refused |= {(rate, count) for rate in (48_000, 44_100) for count in (1, 2, 8)}
    with pytest.raises(DeviceError, match="Speakers: invalid sample rate"):
        Room(host)


# -- flush -------------------------------------------------------------------------------------------------------------------


def test_a_flush_is_silence_from_the_next_block_on_and_answered_when_what_the_device_took_has_sounded() -> None:  # B01, F031
    room = Room()
    room.play(speech(24_000))
    room.run(0.104)
    room.new()
    asked = room.host.now
    room.flush()
    assert room.new() == []  # 40 ms of it are still in the device
    room.on_report = lambda what: answered.append((what, room.host.now - asked)) if what == "flushed" else None
    answered: list[tuple[str, float]] = []
    room.run(1.0)
    assert room.told[-1] == ("flushed", 1, 10 * BLOCK)  # ten blocks were taken in 104 ms
    assert room.heard() == speech(10 * BLOCK)
    assert [kind for kind, _, _ in room.new()].count("flushed") == 1
    assert answered[0][1] <= room.host.latency + 0.01 + 0.01


def test_a_flush_before_the_device_took_anything_is_answered_at_once() -> None:
    room = Room()
    room.play(speech(24_000))
    room.flush()
    assert room.new() == [("flushed", 1, 0)]
    room.run(0.5)
    assert room.heard() == b"" and room.new() == []


def test_a_flush_of_nothing_is_answered_at_once() -> None:
    room = Room()
    room.flush(3)
    assert room.new() == [("flushed", 3, 0)]


def test_the_next_generation_sounds_behind_a_flush_that_is_unanswered_and_nothing_of_the_old_one_behind_the_answer() -> None:
    room = Room(FakeHost(latency=0.2))
    room.play(speech(24_000))
    room.run(0.1)
    room.flush()
    room.play(speech(480, 25_000), 2)
    signal_at_answer: list[int] = []
    room.on_report = lambda what: signal_at_answer.append(len(room.heard()) // 2) if what == "flushed" else None
    room.run(1.0)
    assert (
        len(signal_at_answer) == 1 and signal_at_answer[0] >= 10 * BLOCK
    )  # everything of the old generation was audible by then
    assert room.heard() == speech(10 * BLOCK) + speech(480, 25_000)
    assert room.count(2) == 480


def test_the_tail_of_the_resampler_is_flushed_on_flush() -> None:  # F032
    room = Room(FakeHost(loudspeaker(rate=48_000)))
    room.play(struct.pack("<h", 20_000) * 2400)
    room.run(0.5)
    room.flush()
    loud = len(room.heard())
    room.speaker.drain(1, now=room.host.now)  # late, and of no effect
    room.run(0.1)
    room.play(bytes(2 * 2400), 2)
    room.speaker.drain(2, now=room.host.now)
    room.run(1.0)
    later = [pair[0] for pair in struct.iter_unpack("<h", room.heard()[loud:])]
    assert all(abs(value) <= 3 for value in later)  # dither
    assert room.count(2) == 2400


def test_a_call_that_is_under_way_when_the_flush_is_asked_for_is_counted() -> None:  # F032
    room = Room()
    room.play(speech(24_000))
    room.run(0.1)
    room.host.stream.stalled = True
    room.run(0.1)  # what was taken before has sounded
    room.new()
    line = room.speaker._watch.line
    assert line is not None
    ring = line.ring
    taken = ring.read

    class Slow:
        """A device's buffer; the runtime's thread asks for a flush while it is written to."""

        def __init__(self) -> None:
            self.data = bytearray(2 * BLOCK)

        def __setitem__(self, where: slice, what: memoryview) -> None:
            if ring.read == taken and not room.told:
                room.flush()
                assert room.told == []
            self.data[where] = what

    slow = Slow()
    ring.fill(slow, BLOCK, room.host.now + EPOCH + 0.03, False)  # type: ignore[arg-type]  # it is written to, no more
    assert bytes(slow.data) == speech(BLOCK, taken)
    room.host.stream.stalled = False
    room.run(0.5)
    assert room.told[-1] == ("flushed", 1, taken + BLOCK)


def test_a_device_that_stands_still_has_not_sounded_what_it_took() -> None:  # invariant 7
    room = Room(FakeHost(latency=0.05))
    room.play(speech(24_000))
    room.run(0.2)
    room.host.stream.stalled = True
    room.run(0.1)  # by their stamps, all blocks have sounded
    room.flush()
    room.run(0.1)
    assert ("flushed", 1, 20 * BLOCK) not in room.told
    room.host.stream.stalled = False
    room.run(0.2)
    assert room.told[-1] == ("flushed", 1, 20 * BLOCK)


def test_a_flush_leaves_what_is_of_a_later_generation() -> None:  # another format opens the next without a flush
    room = Room()
    room.play(speech(2400))
    room.play(speech(2400, 25_000), 2)
    room.run(0.05)
    room.flush()
    room.run(1.0)
    cut = room.count(1)
    assert 0 < cut < 2400 and room.count(2) == 2400
    assert room.heard() == speech(cut) + speech(2400, 25_000)


def test_a_flush_in_answer_to_a_report_is_taken() -> None:
    room = Room()
    room.play(speech(24_000))
    room.on_report = lambda what: room.flush() if what == "played" and room.count() > 1000 else None
    room.run(1.0)
    flushed = [told for told in room.told if told[0] == "flushed"]
    assert len(flushed) >= 1 and flushed[0][2] == len(room.heard()) // 2
    assert all(told[0] != "played" for told in room.told[room.told.index(flushed[0]) :])


# -- pause -------------------------------------------------------------------------------------------------------------------


def test_pause_and_resume_lose_and_repeat_no_sample() -> None:  # B16, C20
    room = Room()
    room.play(speech(96_000))
    room.run(1.0)
    for _ in range(2):
        room.speaker.pause(1, now=room.host.now)
        room.run(0.1)
        held = room.count()
        room.run(0.4)
        assert room.count() == held == len(room.heard()) // 2
        assert room.speaker.deadline is not None and room.speaker.deadline > room.host.now
        room.speaker.resume(1, now=room.host.now)
        room.run(0.5)
    room.flush()
    room.run(0.5)
    assert room.told[-1] == ("flushed", 1, len(room.heard()) // 2)
    assert room.heard() == speech(2 * 24_000)  # 3 s, of which one was held


def test_a_pause_at_the_tail_completes_nothing_until_it_is_resumed() -> None:  # B17
    room = Room()
    room.play(speech(24_000))
    room.speaker.drain(1, now=room.host.now)
    room.run(0.85)
    room.speaker.pause(1, now=room.host.now)
    room.run(2.0)
    assert room.count() < 24_000 and ("underrun", 1, 0) not in room.told
    room.speaker.resume(1, now=room.host.now)
    room.run(1.0)
    assert room.count() == 24_000 and room.heard() == speech(24_000)


def test_a_flush_of_what_is_held_lets_nothing_of_it_slip_and_ends_the_pause() -> None:  # B17, F080
    room = Room()
    room.play(speech(24_000))
    room.run(0.25)
    room.speaker.pause(1, now=room.host.now)
    room.run(0.5)
    held = len(room.heard()) // 2
    room.flush()
    assert room.told[-1] == ("flushed", 1, held)
    room.play(speech(480, 25_000), 2)
    room.run(0.5)
    assert room.heard() == speech(held) + speech(480, 25_000) and room.count(2) == 480


# -- running dry -------------------------------------------------------------------------------------------------------------


def test_running_dry_is_told_once_and_not_after_a_drain() -> None:  # F147
    room = Room()
    room.play(speech(480))
    room.run(1.0)
    assert room.new()[-1] == ("underrun", 1, 0)
    room.run(1.0)
    assert room.new() == []
    room.play(speech(480))
    room.speaker.drain(1, now=room.host.now)
    room.run(1.0)
    assert [kind for kind, _, _ in room.new()] == ["played", "played"]
    assert room.speaker.counts == SpeakerCounts(underruns=1)
    room.play(speech(480))  # and a drain is no word about what comes behind it
    room.run(1.0)
    assert room.new()[-1] == ("underrun", 1, 0)


def test_a_gap_that_audio_came_too_late_for_is_an_underrun_although_more_waits_by_the_time_it_sounds() -> None:
    room = Room(FakeHost(latency=0.2))
    room.play(speech(480))
    room.run(0.1)
    room.play(speech(4800))
    room.run(1.0)
    assert room.speaker.counts.underruns == 2  # between the two, and at the end
    assert room.count() == 5280


def test_a_program_that_sleeps_too_long_starves_the_device_and_that_is_told_apart() -> None:  # F158
    room = Room()
    room.play(speech(6 * 24_000))
    room.run(1.5, late=1.4)
    assert room.speaker.counts == SpeakerCounts()
    room.run(5.0, late=2.5)
    assert room.speaker.counts.starved >= 1
    room.speaker.drain(1, now=room.host.now)
    room.run(9.0)
    assert room.count() == 6 * 24_000 and room.heard() == speech(6 * 24_000)
    assert room.speaker.counts.underruns == 0


def test_a_program_that_sleeps_for_a_minute_goes_on_with_the_next_sample() -> None:
    room = Room(tap=lambda pcm, rate, at: tapped.append(pcm))
    tapped: list[bytes] = []
    room.play(speech(3 * 24_000))
    room.run(61.0, late=60.0)
    room.run(5.0)
    assert room.count() == 72_000 and room.heard() == speech(72_000)
    signal = room.host.stream.signal()
    assert b"".join(tapped) == signal[: len(b"".join(tapped))]
    assert len(signal) - len(b"".join(tapped)) <= 2 * BLOCK * 2


def test_the_sound_systems_own_underruns_are_counted_apart() -> None:
    room = Room()
    room.play(speech(24_000))
    room.run(0.3)
    room.host.stream.xrun = True
    room.run(0.3)
    assert room.speaker.counts == SpeakerCounts(xruns=1)


# -- the device vanishes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["stalls", "ends"])
def test_a_device_that_vanishes_is_told_and_had_back(how: Literal["stalls", "ends"]) -> None:  # F100
    room = Room()
    room.run(4.0)
    room.play(speech(48_000))
    room.run(0.5)
    room.host.stream.lose(how)
    gone, room.host.list = room.host.list, []
    states: list[tuple[str, float]] = []
    vanished = room.host.now
    room.on_report = lambda what: states.append((what, room.host.now - vanished)) if what in ("lost", "ready") else None
    room.run(3.0)
    assert [what for what, _ in states] == ["lost"] and states[0][1] <= (0.55 if how == "stalls" else 0.011)
    count = room.count()
    assert abs(count - len(room.heard()) // 2) <= (0 if how == "ends" else 48_000 * 0.03) + BLOCK
    room.flush()  # the core asks for it, with the news
    assert room.told[-1] == ("flushed", 1, count)
    room.host.list = gone
    room.run(5.0)
    assert [what for what, _ in states] == ["lost", "ready"]
    before = room.heard()
    room.play(speech(480, 25_000), 2)
    room.speaker.drain(2, now=room.host.now)
    room.run(0.5)
    assert room.heard() == before + speech(480, 25_000) and room.count(2) == 480
    assert room.speaker.counts == SpeakerCounts(lost=1) and room.host.streams[0].closed


def test_the_same_generation_goes_on_after_a_loss_without_what_waited() -> None:  # F100
    room = Room()
    room.play(speech(480))
    room.speaker.drain(1, now=room.host.now)
    room.run(1.0)
    room.host.stream.lose("ends")
    room.run(2.0)
    assert room.told[-2:] == [("device", "lost", 0), ("device", "ready", 0)]
    room.play(speech(4800), 1)
    room.run(0.1)
    room.host.stream.lose("ends")
    room.run(2.0)
    heard = room.count()
    assert 480 < heard < 5280
    room.play(speech(240), 1)
    room.run(1.0)
    assert room.count() == heard + 240


def test_a_device_that_was_named_is_waited_for_with_growing_pauses_and_no_other_is_taken() -> None:
    headset = loudspeaker("Headset", 1, default=False)
    room = Room(FakeHost(loudspeaker(), headset), "headset")
    room.host.list.remove(headset)
    room.host.stream.lose("ends")
    room.run(60.0)
    pauses = [round(b - a, 1) for a, b in pairwise(room.host.rescans)]
    assert pauses[:5] == [0.1, 0.2, 0.4, 0.8, 1.6] and set(pauses[6:]) == {5.0}
    room.host.list.append(loudspeaker("Headset", 7, default=False))  # back, at another place in the list
    room.run(6.0)
    assert room.told == [("device", "lost", 0), ("device", "ready", 0)]
    assert (room.speaker.device.name, room.speaker.device.index) == ("Headset", 7)


def test_where_none_was_named_the_default_takes_over() -> None:
    other = loudspeaker("Other", 1, rate=48_000, default=False)
    room = Room(FakeHost(loudspeaker(), other))
    room.host.list = [loudspeaker("Other", 0, rate=48_000)]
    room.host.stream.lose("ends")
    room.run(1.0)
    assert room.told == [("device", "lost", 0), ("device", "ready", 0)] and room.speaker.device.name == "Other"
    room.play(speech(480))
    room.speaker.drain(1, now=room.host.now)
    room.run(1.0)
    assert room.count() == 480 and room.speaker.rate == 48_000


def test_a_device_that_vanishes_in_silence_is_missed_before_it_is_needed() -> None:
    room = Room()
    room.run(10.0)
    room.host.stream.lose("stalls")
    room.run(5.0)
    assert room.told == [("device", "lost", 0), ("device", "ready", 0)]


def test_a_program_that_was_suspended_has_not_waited_for_the_device() -> None:
    room = Room()
    room.run(5.0)
    room.host.now += 3600.0  # a laptop that slept: neither the program nor the device ran
    assert room.host.stream.began is not None
    room.host.stream.began += 3600.0
    room.run(5.0)
    assert room.told == []


def test_a_sound_server_may_take_its_time_to_wake_up() -> None:
    room = Room()
    room.host.stream.stalled = True
    room.run(2.2)
    room.host.stream.stalled = False
    room.run(5.0)
    assert room.told == []


def test_closing_while_a_device_is_being_opened_leaves_nothing_open() -> None:
    work: list[Callable[[], None]] = []
    room = Room(spawn=work.append)
    room.host.stream.lose("ends")
    room.run(0.5)
    room.speaker.close(now=room.host.now)
    for each in work:
        each()
    assert len(room.host.streams) == 2 and all(stream.closed for stream in room.host.streams)
    assert room.speaker.deadline is None
    room.speaker.tick(now=room.host.now)
    assert room.told == [("device", "lost", 0)]


def test_opening_beside_the_runtime_is_a_thread_of_its_own() -> None:
    host = FakeHost()
    speaker = DeviceSpeaker(host)
    room = Room.__new__(Room)
    room.host, room.speaker, room.told, room.on_report, room.woken = host, speaker, [], lambda what: None, 0
    speaker.open(room, now=host.now)
    host.stream.lose("ends")
    for _ in range(10_000):
        room.run(0.05)
        if len(room.told) == 2:
            break
    assert room.told == [("device", "lost", 0), ("device", "ready", 0)]
    speaker.close(now=host.now)


def test_nothing_is_told_after_the_end() -> None:
    room = Room()
    room.play(speech(24_000))
    room.run(0.1)
    room.on_report = lambda what: room.speaker.close(now=room.host.now)
    room.run(1.0)
    told = len(room.told)
    room.speaker.close(now=room.host.now)
    room.run(1.0)
    assert len(room.told) == told and room.host.stream.closed


# -- hot switch --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [24_000, 48_000])
def test_the_device_is_changed_in_mid_sentence_and_every_sample_is_counted_once(rate: int) -> None:
    room = Room(FakeHost(loudspeaker(), loudspeaker("Headset", 1, rate=rate, default=False)))
    room.play(speech(24_000))
    room.run(0.3)
    room.speaker.switch("headset")
    assert room.woken == 1  # the adapter ticks at once, on its own thread
    room.run(0.1)
    assert room.host.streams[0].closed and room.speaker.device.name == "Headset" and room.speaker.rate == rate
    on_the_first = sum(1 for pair in struct.iter_unpack("<h", room.host.streams[0].signal()) if pair[0])
    room.speaker.drain(1, now=room.host.now)
    room.run(2.0)
    assert room.count() == 24_000 and [told for told in room.told if told[0] == "device"] == []
    if rate == 24_000:
        assert room.heard() == speech(24_000)
    else:
        on_the_second = sum(1 for pair in struct.iter_unpack("<h", room.host.stream.signal()) if abs(pair[0]) > 3)
        assert abs(on_the_first + on_the_second // 2 - 24_000) < 20


def test_a_device_that_cannot_be_opened_leaves_the_present_one() -> None:
    room = Room(FakeHost(loudspeaker(), loudspeaker("Broken", 1, rate=96_000, default=False)))
    room.host.refused = {(rate, 1) for rate in (96_000, 48_000, 44_100)}
    with pytest.raises(DeviceError, match="'Nowhere': there is none; there is: 0 'Speakers'"):
        room.speaker.switch("Nowhere")
    room.play(speech(24_000))
    room.run(0.2)
    room.speaker.switch("Broken")
    room.run(3.0)
    assert room.heard() == speech(24_000) and room.speaker.device.name == "Speakers"


def test_one_change_waits_for_the_one_before_and_no_device_stays_open() -> None:
    devices = [loudspeaker(), loudspeaker("Headset", 1, default=False), loudspeaker("Screen", 2, default=False)]
    room = Room(FakeHost(*devices, latency=0.2))
    room.play(speech(24_000))
    room.run(0.3)
    room.speaker.switch("Headset")
    room.run(0.05)
    room.speaker.switch("Screen")
    room.run(2.0)
    assert room.heard() == speech(24_000) and room.speaker.device.name == "Screen"
    assert [(stream.device.name, stream.closed) for stream in room.host.streams] == [
        ("Speakers", True),
        ("Headset", True),
        ("Screen", False),
    ]


def test_a_change_that_failed_leaves_the_default_to_take_over() -> None:
    room = Room(FakeHost(loudspeaker(), loudspeaker("Broken", 1, rate=96_000, default=False)))
    room.host.refused = {(rate, 1) for rate in (96_000, 48_000, 44_100)}
    room.speaker.switch("Broken")
    room.run(1.0)
    room.host.list = [loudspeaker("Other", 3)]
    room.host.stream.lose("ends")
    room.run(1.0)
    assert room.told == [("device", "lost", 0), ("device", "ready", 0)] and room.speaker.device.name == "Other"


def test_a_device_that_is_lost_while_it_is_changed_gives_way_to_the_other() -> None:
    room = Room(FakeHost(loudspeaker(), loudspeaker("Headset", 1, default=False), latency=0.2))
    room.play(speech(24_000))
    room.run(0.3)
    room.speaker.switch("Headset")
    room.run(0.05)
    room.host.streams[0].lose("ends")
    room.run(0.5)
    assert room.told[-2:] == [("device", "lost", 0), ("device", "ready", 0)] and room.speaker.device.name == "Headset"
    assert room.host.streams[0].closed and not room.host.streams[1].closed


def test_a_flush_while_the_device_is_changed_is_answered_with_what_sounded() -> None:
    room = Room(FakeHost(loudspeaker(), loudspeaker("Headset", 1, default=False), latency=0.2))
    room.play(speech(24_000))
    room.run(0.3)
    room.speaker.switch("Headset")
    room.run(0.05)
    room.flush()
    room.play(speech(480, 25_000), 2)
    room.run(1.5)
    assert [told for told in room.told if told[0] == "flushed"] == [("flushed", 1, len(room.heard()) // 2 - 480)]
    assert room.heard().endswith(speech(480, 25_000)) and room.count(2) == 480


# -- the tap -----------------------------------------------------------------------------------------------------------------


def test_the_tap_gets_the_audible_signal_without_a_gap_and_when_it_sounded() -> None:
    tapped: list[tuple[bytes, int, float]] = []
    room = Room(tap=lambda pcm, rate, at: tapped.append((pcm, rate, at)))
    room.run(0.2)
    room.play(speech(2400))
    room.run(0.15)
    room.speaker.pause(1, now=room.host.now)
    room.run(0.2)
    room.speaker.resume(1, now=room.host.now)
    room.run(0.5)
    room.speaker.tick(now=room.host.now)
    signal = b"".join(pcm for pcm, _, _ in tapped)
    assert signal == room.host.stream.signal()
    first = room.host.stream.blocks[0][0]
    position = 0
    for pcm, rate, at in tapped:
        assert rate == 24_000 and at == pytest.approx(first + position / 24_000, abs=1e-6)
        position += len(pcm) // 2


# -- every order of things ---------------------------------------------------------------------------------------------------

STEPS = st.tuples(
    st.sampled_from(["play", "play", "play", "pause", "resume", "flush", "drain", "wait", "wait", "lose", "switch", "sleep"]),
    st.integers(0, 3000),
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(STEPS, max_size=30),
    st.sampled_from([0.0, 0.004, 0.03, 0.2]),
    st.sampled_from([24_000, 8_000, 48_000]),
    st.integers(4, 30),
)
def test_whatever_happens_each_sample_is_counted_once_and_nothing_sounds_after_the_answer(
    steps: list[tuple[str, int]], latency: float, rate: int, block_ms: int
) -> None:  # B16, B17, C20, C21, F031, F032
    host = FakeHost(loudspeaker("A", 0, rate=rate), loudspeaker("B", 1, rate=rate, default=False), latency=latency)
    room = Room(host, block_ms=block_ms)
    generation, given_samples, drained = 1, {1: 0}, set[int]()
    format = AudioFormat("audio/pcm", rate)  # no resampler: what is handed over is what sounds
    audible_at_answer: dict[int, int] = {}
    lost = False

    def value(generation: int, n: int) -> int:
        return (generation * 4001 + n) % 30_000 + 1

    def note(what: str) -> None:
        if what == "flushed":
            audible_at_answer[room.told[-1][1]] = len(room.heard()) // 2  # type: ignore[index]

    room.on_report = note
    for step, amount in steps:
        match step:
            case "play":
                first = given_samples[generation]
                pcm = struct.pack(f"<{amount}h", *[value(generation, first + n) for n in range(amount)])
                given_samples[generation] = first + amount
                drained.discard(generation)
                room.play(pcm, generation, format)
            case "pause":
                room.speaker.pause(generation, now=host.now)
            case "resume":
                room.speaker.resume(generation, now=host.now)
            case "drain":
                room.speaker.drain(generation, now=host.now)
                drained.add(generation)
            case "flush":
                room.flush(generation)
                generation += 1
                given_samples[generation] = 0
            case "lose" if not lost:
                lost = True
                room.speaker.resume(generation, now=host.now)
                room.run(latency + 0.1)
                room.flush(generation)  # as the core does
                generation += 1
                given_samples[generation] = 0
                room.run(latency + 0.1)
                host.stream.lose("ends")
                room.run(1.0)
                assert room.told[-1] == ("device", "ready", 0)
            case "switch":
                room.speaker.switch(amount % 2)
            case "sleep":
                host.advance(host.now + amount / 2000)
            case _:
                room.run(amount / 24_000)
    for each in range(1, generation + 1):
        room.speaker.resume(each, now=host.now)
    room.speaker.drain(generation, now=host.now)
    room.run(sum(given_samples.values()) / rate + latency + 1.0)
    heard = [pair[0] for pair in struct.iter_unpack("<h", room.heard())]
    position = 0
    for each in range(1, generation + 1):
        counts = [n for kind, g, n in room.told if g == each and kind in ("played", "flushed")]
        assert counts == sorted(counts)
        final = counts[-1] if counts else 0
        assert heard[position : position + final] == [value(each, n) for n in range(final)]
        position += final
        flushed = [told for told in room.told if told[:2] == ("flushed", each)]
        assert len(flushed) == (each < generation)
        if flushed:
            assert room.told.index(flushed[0]) > max(
                (n for n, told in enumerate(room.told) if told[:2] == ("played", each)), default=-1
            )
            assert audible_at_answer[each] >= position - final  # and behind it, nothing of this generation: the order above
            assert audible_at_answer[each] >= position
        else:
            assert final == given_samples[each]
    assert position == len(heard)


# -- the ring ----------------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 50)), max_size=60), st.integers(1, 40))
def test_the_ring_gives_out_what_was_put_in_in_order_and_says_what_it_gave(steps: list[tuple[bool, int]], size: int) -> None:
    ring = OutputRing(size, 2, 8)
    put = taken = 0
    for write, amount in steps:
        if write:
            fits = min(amount, ring.room)
            ring.write(memoryview(speech(fits, put)))
            put += fits
        else:
            out = bytearray(b"\x55" * (2 * amount))
            ring.fill(memoryview(out), amount, 1.0, False)
            (block,) = ring.blocks()
            assert bytes(out) == speech(block.count, taken) + bytes(2 * (amount - block.count))
            assert (block.start, block.count) == (taken, min(amount, put - taken))
            taken += block.count
        assert (ring.written, ring.read, ring.room) == (put, taken, size - (put - taken))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 50)), max_size=60), st.integers(1, 40))
def test_the_ring_of_a_microphone_keeps_what_it_has_and_counts_what_did_not_fit(steps: list[tuple[bool, int]], size: int) -> None:
    ring = InputRing(size, 2)
    waiting, dropped = b"", 0
    for take, amount in steps:
        if take:
            assert ring.take() == waiting
            waiting = b""
        else:
            pcm = speech(amount)
            fits = min(amount, size - len(waiting) // 2)
            ring.put(memoryview(pcm), amount, 0.0, False)
            waiting += pcm[: 2 * fits]
            dropped += amount - fits
        assert ring.dropped == dropped


# -- microphones -------------------------------------------------------------------------------------------------------------


class Ear:
    """A microphone on a fake device, and what it delivered."""

    def __init__(self, host: FakeHost | None = None, device: int | str | None = None, **options: Any) -> None:
        self.host = host or FakeHost(microphone())
        self.frames: list[bytes] = []
        self.on_frame: Callable[[], None] = lambda: None
        self.microphone = DeviceMicrophone(self.host, device, spawn=at_once, **options)
        self.microphone.open(self, now=self.host.now)

    def audio(self, pcm: bytes) -> None:
        self.frames.append(pcm)
        self.on_frame()

    def speech(self, event: Literal["started", "stopped"]) -> None:
        raise AssertionError(event)

    def run(self, seconds: float) -> None:
        end = self.host.now + seconds
        while (due := self.microphone.deadline) is not None and due <= end:
            self.host.advance(due)
            self.microphone.tick(now=self.host.now)
        self.host.advance(end)


def test_a_microphone_delivers_whole_frames_as_they_were_said() -> None:
    ear = Ear()
    ear.run(1.005)
    assert {len(frame) for frame in ear.frames} == {960} and len(ear.frames) == 50
    assert b"".join(ear.frames) == speech(24_000)
    assert ear.microphone.position == 24_000
    ear.microphone.close(now=ear.host.now)
    assert ear.host.stream.closed and ear.microphone.deadline is None


def test_a_microphone_of_another_rate_or_in_stereo_is_brought_to_the_format() -> None:
    ear = Ear(FakeHost(microphone(rate=48_000, channels=2)))
    ear.host.refused = set()
    ear.run(1.0)
    assert 45 <= len(ear.frames) <= 50 and ear.host.stream.channels == 1
    host = FakeHost(microphone(rate=24_000, channels=2))
    host.refused = {(24_000, 1)}
    ear = Ear(host)
    ear.run(0.5)
    assert host.stream.channels == 2
    assert b"".join(ear.frames) == b"".join(speech(1, 2 * n) for n in range(12_000))[: 960 * len(ear.frames)]


def test_a_microphone_for_a_telephone_line_speaks_g711() -> None:  # C22
    ear = Ear(FakeHost(microphone(rate=8000)), format=PCMU)
    ear.run(0.505)
    assert len(ear.frames) == 25 and b"".join(ear.frames) == encode(speech(4000), PCMU)


def test_while_a_microphone_is_away_nothing_is_sent_and_what_was_missed_is_counted() -> None:
    ear = Ear()
    ear.run(4.0)
    said = len(ear.frames)
    ear.host.stream.lose("ends")
    gone, ear.host.list = ear.host.list, []
    ear.run(2.0)
    assert len(ear.frames) == said and ear.microphone.lost == 1 and ear.microphone.rate == 0
    ear.host.list = gone
    ear.run(8.0)
    assert ear.microphone.rate == 24_000
    away = 12 * 24_000 + said * 480 - len(ear.frames) * 480 - 4 * 24_000 + (4 * 24_000 - said * 480)
    assert abs(ear.microphone.skipped - (14 * 24_000 - len(ear.frames) * 480)) <= 960 and away > 0


def test_what_a_resampler_holds_back_was_said_before_the_microphone_was_changed() -> None:
    ear = Ear(FakeHost(microphone(rate=48_000), microphone("Headset", 11, default=False)))
    ear.run(0.5)
    ear.microphone.switch("headset")
    ear.run(0.5)
    assert ear.microphone.position >= 24_000 - 480 - BLOCK  # less than a frame, and a block that is being heard


def test_a_microphone_is_changed_without_a_loss_of_what_was_said() -> None:
    ear = Ear(FakeHost(microphone(), microphone("Headset", 11, default=False)))
    ear.run(0.5)
    ear.microphone.switch("headset")
    ear.run(0.5)
    assert ear.host.streams[0].closed and ear.microphone.device.name == "Headset"
    assert b"".join(ear.frames) == speech(24_000)[: 960 * len(ear.frames)] and len(ear.frames) >= 49


def test_a_program_that_is_busy_for_seconds_misses_the_newest_and_says_how_much() -> None:
    ear = Ear()
    ear.run(1.0)
    ear.host.advance(ear.host.now + 5.0)
    ear.run(1.0)
    assert ear.microphone.skipped == pytest.approx(3 * 24_000, abs=BLOCK)  # the ring holds two seconds
    assert ear.microphone.position + ear.microphone.skipped == pytest.approx(7 * 24_000, abs=480 + BLOCK)
    ear.host.stream.xrun = True
    ear.run(0.1)
    assert ear.microphone.xruns == 1


def test_a_frame_that_ends_the_conversation_is_the_last() -> None:
    ear = Ear()
    ear.on_frame = lambda: ear.microphone.close(now=ear.host.now)
    ear.host.advance(ear.host.now + 1.0)
    ear.microphone.tick(now=ear.host.now)
    assert len(ear.frames) == 1


# -- settings, lists, and what is missing ------------------------------------------------------------------------------------


def test_a_device_is_named_by_index_name_or_part_of_a_name() -> None:
    devices = [
        loudspeaker("Speakers (USB Audio)", 0),
        loudspeaker("Headset", 1, default=False),
        loudspeaker("Headset left", 2, default=False),
        microphone("Headset", 3),
        Device("Headset left", 4, "Other host", 0, 2, 48_000),
    ]
    assert choose(devices, None, "output").index == 0
    assert choose(devices, 2, "output").index == 2
    assert choose(devices, "Headset", "output").index == 1  # the whole name goes before a part
    assert choose(devices, "usb", "output").index == 0
    assert choose(devices, "left", "output").index == 2  # of the sound system that has the default
    assert choose(devices, "headset", "input").index == 3
    with pytest.raises(DeviceError, match=r"'e': several fit, name one by its index: 0 'Speakers \(USB Audio\)' \(Fake\); 1"):
        choose(devices, "e", "output")
    with pytest.raises(DeviceError, match="output device 3: there is none; there is: 0 "):
        choose(devices, 3, "output")
    with pytest.raises(DeviceError, match="no default input device; there is: no input device at all"):
        choose(devices[:2], None, "input")


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"latency": "lowest"}, {"latency": 3.0}, {"block_ms": 1}])
def test_impossible_settings_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DeviceSpeaker(FakeHost(), **wrong)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DeviceMicrophone(FakeHost(), **wrong)
    with pytest.raises(ValueError, match="frame_ms=0"):
        DeviceMicrophone(FakeHost(), frame_ms=0)


def test_a_missing_resampler_is_told_when_the_device_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    hosts = [FakeHost(loudspeaker(rate=48_000)), FakeHost(microphone(rate=48_000))]
    with pytest.raises(ModuleNotFoundError, match=r"rtcore\[audio\]"):
        Room(hosts[0])
    with pytest.raises(ModuleNotFoundError, match=r"rtcore\[audio\]"):
        Ear(hosts[1])
    assert all(host.stream.closed for host in hosts)


def test_a_device_serves_one_conversation() -> None:
    room, ear = Room(), Ear()
    with pytest.raises(RuntimeError, match="one speaker serves one conversation"):
        room.speaker.open(room, now=0.0)
    with pytest.raises(RuntimeError, match="one microphone serves one conversation"):
        ear.microphone.open(ear, now=0.0)


def test_an_error_in_the_callback_does_not_reach_the_device() -> None:
    """The ring is the only thing that the callback touches, and it gives silence for what is not there."""
    ring = OutputRing(100, 2, 10)
    out = bytearray(b"\x55" * 2000)
    ring.fill(memoryview(out), 1000, 0.0, True)  # more than it was told the device would ask for
    assert bytes(out) == bytes(2000) and ring.xruns == 1


@pytest.fixture
def no_device_module(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("rtcore_adapters.audio.device", "rtcore_adapters.audio._portaudio"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return monkeypatch


def test_without_the_package_the_error_says_what_to_install(no_device_module: pytest.MonkeyPatch) -> None:
    no_device_module.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ImportError, match=r"a sound device needs the package sounddevice: pip install 'rtcore\[audio\]'"):
        import_module("rtcore_adapters.audio.device")


def test_without_the_library_the_error_says_what_to_install(no_device_module: pytest.MonkeyPatch) -> None:
    class Broken:
        """A finder that finds a package whose library is missing."""

        def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    no_device_module.delitem(sys.modules, "sounddevice", raising=False)
    no_device_module.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(ImportError, match=r"PortAudio library not found\): on Debian and Ubuntu, apt-get install libportaudio2"):
        import_module("rtcore_adapters.audio.device")


def test_the_fake_is_a_sound_system() -> None:
    host: Host = FakeHost()
    stream: Stream = FakeStream(FakeHost(), "output", loudspeaker(), 24_000, 1, BLOCK, lambda data, frames, at, xrun: None)
    assert host.devices() and stream.failure is None


# -- a conversation ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "latency"), [(24_000, 0.03), (24_000, 0.25), (48_000, 0.03)])
def test_a_conversation_is_cut_where_the_device_fell_silent(rate: int, latency: float) -> None:  # B01, B04, C01
    async def main() -> None:
        host = LoopHost(loudspeaker(rate=rate), microphone(), latency=latency)
        host.quiet = True
        speaker, mic = DeviceSpeaker(host, spawn=at_once), DeviceMicrophone(host, spawn=at_once)
        options = ServerOptions(script=(spoken(3000, 2000), spoken(1000)))
        async with served(options, voices=VOICES) as (url, servers):
            async with connect(config(url, interruption="cut"), speaker=speaker, microphone=mic) as conversation:
                conversation.send_text("Tell me a story with two parts.")
                await until(conversation, SpeakingStarted)
                await asyncio.sleep(0.777)
                conversation.interrupt()
                cut = await until(conversation, Interrupted)
                assert not cut.estimated and len(cut.partial) == 1
                await conversation.send_text("And now something else.")
                told = servers[0].items[cut.partial[0]].parts[0].truncated_ms
                await until(conversation, SpeakingStopped)
            audio = servers[0].items[cut.partial[0]].audio
            assert told is not None and 700 <= told <= 850 + 1000 * latency  # what the device had taken still sounds
            assert servers[0].refusals == [] and mic.position > 0
        output = next(stream for stream in host.streams if stream.kind == "output")
        if rate == 24_000:
            signal = output.signal()
            start = signal.index(audio[:4800])
            same = next(n for n in range(0, len(audio), 2) if signal[start + n : start + n + 2] != audio[n : n + 2]) // 2
            silent = (
                len(audio[: 2 * same].rstrip(b"\0")) // 2
            )  # where the audio is silent itself, nobody can say where it was cut
            assert silent * 1000 // 24_000 <= told <= same * 1000 // 24_000
        assert speaker.counts.starved == speaker.counts.lost == 0
        assert all(stream.closed for stream in host.streams)

    run(main())


def test_a_conversation_goes_on_when_the_device_is_back() -> None:  # F100
    async def main() -> None:
        host = LoopHost()
        speaker = DeviceSpeaker(host, spawn=at_once)
        async with served(ServerOptions(script=(spoken(9000), spoken(1000))), voices=VOICES) as (url, servers):
            async with connect(config(url), speaker=speaker) as conversation:
                conversation.send_text("Tell me everything.")
                await until(conversation, SpeakingStarted)
                await asyncio.sleep(1.0)
                host.stream.lose("ends")
                cut = await until(conversation, Interrupted)
                audio, signal = servers[0].items[cut.partial[0]].audio, host.streams[0].signal()
                sounded = len(signal) - signal.index(audio[:4800])
                told = servers[0].items[cut.partial[0]].parts[0].truncated_ms
                while told is None:
                    await asyncio.sleep(0.01)
                    told = servers[0].items[cut.partial[0]].parts[0].truncated_ms
                assert sounded / 48 - 60 <= told <= sounded / 48
                conversation.send_text("Are you there?")
                ended = await until(conversation, MessageEnded)
                while ended.item_id == cut.partial[0]:
                    ended = await until(conversation, MessageEnded)
                assert ended.verdict is Verdict.FULL
            assert servers[0].refusals == []
        assert speaker.counts.lost == 1 and len(host.streams) == 2

    run(main())
