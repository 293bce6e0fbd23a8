"""A clock across a network: what goes over the line, whom the count is believed, and the browser's half."""

import json
import struct
import threading
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from helpers.player import BrowserPlayer, PlainPlayer, RemoteRig, node_process
from hypothesis import given, settings
from hypothesis import strategies as st
from speaker_contract import Rig, content, tagged

from rtcore import PCM16_24K, PCMU, Clock
from rtcore_adapters.audio import PlayerMessageError, RemoteSpeaker


class Wire(Rig):
    """A remote speaker whose player is the test."""

    format = PCM16_24K

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.sent: list[str | bytes] = []
        self.speaker: RemoteSpeaker = RemoteSpeaker(self.sent.append, **options)
        self.open()

    def audible(self) -> bytes:
        return b""

    def receive(self, **report: Any) -> list[tuple[str, int, int]]:
        """What the speaker tells when the player says this."""
        before = len(self.told)
        self.speaker.received(json.dumps(report))
        self._settle()
        return [(told.kind, told.generation, told.samples) for told in self.told[before:]]


def test_what_goes_over_the_line() -> None:
    """The encoding that docs/clocks.md describes: audio in binary frames, all else as JSON."""
    wire = Wire(report_ms=40)
    wire.speaker.play(b"\x01\x02\x03\x04", PCM16_24K, 3, now=0.0)
    wire.speaker.play(b"\x7f", PCMU, 4, now=0.0)
    wire.speaker.drain(3, now=0.0)
    wire.speaker.pause(3, now=0.0)
    wire.speaker.resume(3, now=0.0)
    wire.speaker.flush(3, now=0.0)
    wire.speaker.close(now=0.0)
    wire.speaker.close(now=0.0)
    wire.speaker.flush(4, now=0.0)
    assert wire.sent == [
        '{"type":"begin","report_ms":40}',
        bytes((1, 0, 0, 0)) + struct.pack("<II", 3, 24_000) + b"\x01\x02\x03\x04",
        bytes((1, 1, 0, 0)) + struct.pack("<II", 4, 8000) + b"\x7f",
        '{"type":"drain","generation":3}',
        '{"type":"pause","generation":3}',
        '{"type":"resume","generation":3}',
        '{"type":"flush","generation":3}',
        '{"type":"end"}',
    ]


def test_what_it_declares() -> None:
    assert Wire(report_ms=40, round_trip_ms=300, latency_ms=25).clock == Clock(report_ms=340, latency_ms=25, flush_latency_ms=300)


def test_reports_are_passed_on_as_they_come() -> None:  # C21, C08: stale and excess ones, too; the core judges them
    wire = Wire()
    wire.speaker.play(bytes(9600), PCM16_24K, 1, now=0.0)
    assert wire.receive(type="played", generation=1, samples=480) == [("played", 1, 480)]
    assert wire.receive(type="played", generation=1, samples=240) == [("played", 1, 240)]
    assert wire.receive(type="played", generation=1, samples=999_999) == [("played", 1, 999_999)]
    assert wire.receive(type="played", generation=7, samples=5) == [("played", 7, 5)]
    assert wire.receive(type="underrun", generation=1) == [("underrun", 1, 0)]
    assert wire.receive(type="flushed", generation=1, samples=4000) == [("flushed", 1, 4000)]
    assert wire.receive(type="flushed", generation=1, samples=4000) == [("flushed", 1, 4000)]


def test_the_players_own_delay_is_subtracted() -> None:
    wire = Wire()
    wire.speaker.play(bytes(96_000), PCM16_24K, 1, now=0.0)
    assert wire.receive(type="played", generation=1, samples=1000, delay_ms=50.0) == [("played", 1, 0)]
    assert wire.receive(type="played", generation=1, samples=4800, delay_ms=50.0) == [("played", 1, 3600)]
    assert wire.receive(type="played", generation=1, samples=4800, delay_ms=12.51) == [("played", 1, 4499)]
    # Behind a gap the delay reaches back over what was heard before it.
    assert wire.receive(type="played", generation=1, samples=4800) == [("played", 1, 4800)]
    assert wire.receive(type="played", generation=1, samples=4900, delay_ms=50.0) == [("played", 1, 4800)]
    assert wire.speaker.delay_ms == 50.0


@pytest.mark.parametrize(
    ("message", "what"),
    [
        ("not json", "JSON is malformed"),
        ("[]", "Expected `object`"),
        ('{"type":"flush","generation":1}', "Invalid value 'flush'"),
        ('{"type":"played","generation":1}', "missing required field `samples`"),
        ('{"type":"played","generation":1,"samples":-1}', "samples"),
        ('{"type":"played","generation":0,"samples":1}', "generation"),
        ('{"type":"played","generation":1,"samples":1.5}', "samples"),
        ('{"type":"played","generation":1,"samples":1,"delay_ms":-3}', "delay_ms"),
        (b"\xff\xfe", "needed: played, flushed or underrun"),
    ],
)
def test_what_no_player_sends_is_refused_by_name(message: str | bytes, what: str) -> None:
    wire = Wire()
    with pytest.raises(PlayerMessageError, match=what):
        wire.speaker.received(message)
    wire.until(1.0)
    assert wire.told == []


def test_a_player_that_is_lost_is_silent_and_its_successor_counts_from_0() -> None:  # F100
    wire = Wire()
    wire.speaker.play(bytes(2000), PCM16_24K, 1, now=0.0)
    wire.receive(type="played", generation=1, samples=1000)
    wire.speaker.lost()
    wire.speaker.lost()
    wire.until(1.0)
    assert [told.kind for told in wire.told] == ["played", "lost"]
    messages = len(wire.sent)
    wire.speaker.drain(1, now=1.0)
    wire.speaker.play(bytes(960), PCM16_24K, 1, now=1.0)
    assert len(wire.sent) == messages
    wire.speaker.ready()
    wire.until(2.0)
    assert wire.told[-1].kind == "ready"
    assert wire.sent[messages:] == ['{"type":"begin","report_ms":50}']
    wire.speaker.play(bytes(960), PCM16_24K, 1, now=2.0)
    assert wire.receive(type="played", generation=1, samples=240) == [("played", 1, 1240)]
    assert wire.receive(type="flushed", generation=1, samples=300) == [("flushed", 1, 1300)]
    assert wire.receive(type="played", generation=2, samples=10) == [("played", 2, 10)]


def test_a_flush_of_a_lost_player_is_answered_with_what_it_told() -> None:  # F100
    wire = Wire()
    wire.speaker.play(bytes(96_000), PCM16_24K, 1, now=0.0)
    wire.receive(type="played", generation=1, samples=1000)
    wire.speaker.lost()
    wire.until(1.0)
    wire.flush(1)
    assert wire.answer(1).samples == 1000
    assert wire.sent[-1] != '{"type":"flush","generation":1}'


def test_a_report_may_come_on_any_thread() -> None:  # F158
    wire = Wire()
    report = '{"type":"played","generation":1,"samples":5}'
    thread = threading.Thread(target=wire.speaker.received, args=(report,))
    thread.start()
    thread.join()
    assert wire.told == []
    wire.until(0.0)
    assert [told.samples for told in wire.told] == [5]


@pytest.mark.parametrize("wrong", [{"report_ms": 4}, {"round_trip_ms": -1}, {"latency_ms": 6000}])
def test_impossible_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RemoteSpeaker(lambda message: None, **wrong)


STEPS = st.lists(
    st.tuples(st.sampled_from(["play", "play", "drain", "flush", "pause", "resume", "wait", "wait"]), st.integers(0, 9000)),
    max_size=20,
)


def hold(rig: Rig, steps: list[tuple[str, int]]) -> None:
    """Never more reported than was audible, never backwards, each flush answered once, every sample once and in order."""
    rig.open()
    generation, handed = 1, {1: 0, 2: 0, 3: 0}
    flushed = []
    for step, amount in steps:
        match step:
            case "play":
                rig.play(generation, handed[generation], amount)
                handed[generation] += amount
            case "drain":
                rig.drain(generation)
            case "flush" if generation < 3:
                rig.flush(generation)
                flushed.append(generation)
                generation += 1
            case "pause":
                rig.speaker.pause(generation, now=rig.now)
            case "resume":
                rig.speaker.resume(generation, now=rig.now)
            case _:
                rig.until(rig.now + amount / 24_000)
    rig.speaker.resume(generation, now=rig.now)
    rig.until(rig.now + 9.0)
    assert [told.generation for told in rig.told if told.kind == "flushed"] == flushed
    for number, samples in handed.items():
        told = [entry for entry in rig.told if entry.generation == number and entry.kind in ("played", "flushed")]
        assert all(entry.samples <= entry.audible for entry in told)
        assert all(before.samples <= after.samples for before, after in pairwise(told))
        heard = content(PCM16_24K, rig.audible(), number)
        assert heard == tagged(PCM16_24K, number, 0, len(heard) // 2)
        if number in flushed:
            assert (told[-1].kind, told[-1].samples) == ("flushed", len(heard) // 2)
        else:
            assert len(heard) // 2 == samples == (told[-1].samples if told else 0)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, trip_s=st.sampled_from([0.0, 0.05]), delay_s=st.sampled_from([0.0, 0.03, 0.2]))
def test_the_count_of_a_plain_player_is_never_ahead_of_the_ear(
    steps: list[tuple[str, int]], trip_s: float, delay_s: float
) -> None:  # B16, B17, C20, C21, F080
    hold(RemoteRig(PlainPlayer, trip_s=trip_s, delay_s=delay_s), steps)


def test_the_count_of_the_browsers_player_is_never_ahead_of_the_ear() -> None:  # B16, B17, C20, C21, F080
    with node_process() as node:

        @settings(max_examples=30, deadline=None)
        @given(steps=STEPS, trip_s=st.sampled_from([0.0, 0.05]), delay_s=st.sampled_from([0.0, 0.03, 0.2]))
        def holds(steps: list[tuple[str, int]], trip_s: float, delay_s: float) -> None:
            hold(RemoteRig(partial(BrowserPlayer, node), trip_s=trip_s, delay_s=delay_s), steps)

        holds()


def test_the_browsers_player_names_what_it_cannot_sound() -> None:  # F153
    with node_process() as node:
        player = BrowserPlayer(node, 48_000, 0.0)
        wire = Wire()
        wire.speaker.play(bytes(8), PCM16_24K, 1, now=0.0)
        wire.speaker.play(bytes(8), PCMU, 1, now=0.0)
        with pytest.raises(AssertionError, match="audio of 24000 Hz in a context of 48000 Hz: make it with sampleRate 24000"):
            player.take(wire.sent[1])
        with pytest.raises(AssertionError, match=r"set audio\.output\.format to audio/pcm"):
            player.take(wire.sent[2])
