"""Real PortAudio, on a PulseAudio of its own without hardware: what is counted is compared with what was really played.

``make device`` runs these; they take real time and a sound server. Elsewhere the same code is tested in virtual time
(``tests/test_device.py``). The reference is a recording of the sink's monitor, at the sink's rate, so that it is exact.
"""

import asyncio
import os
import subprocess
import sys
import time
import wave
from array import array
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pytest
from loopback import config, served, until
from msgspec import structs

from device.pulse import FIGURES, RATE, Pulse, Recording
from rtcore import PCM16_24K, Interrupted, MessageEnded, SpeakingStarted, SpeakingStopped, UserSpeechStarted, Verdict
from rtcore.sim.server import Rules, ServerOptions, spoken
from rtcore_adapters.asyncio import connect
from rtcore_adapters.voices import load_voices

pytestmark = [
    pytest.mark.device,
    pytest.mark.skipif(os.environ.get("RTCORE_DEVICE") != "required", reason="make device runs these"),
]

TAKES = 8
"""A machine that is busy with other things lets the device run dry; then another take is made."""


def clip(seconds: float, name: int = 0) -> "array[int]":
    """Recorded speech in which no sample is silence, so that silence in between would show."""
    samples = unsilenced(load_voices()[name].pcm)
    assert len(samples) >= seconds * RATE
    return samples[: int(seconds * RATE)]


def unsilenced(pcm: bytes) -> "array[int]":
    return array("h", [value or 1 for value in array("h", pcm)])


@pytest.fixture(scope="module")
def pulse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pulse]:
    server = Pulse(tmp_path_factory.mktemp("pulse"))
    try:
        server.plug("hall")
        server.plug("booth")
        server.wire("ear", "booth")
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def device(pulse: Pulse) -> Iterator[ModuleType]:
    """The module under test. PortAudio reads its configuration when it is loaded, so that has to be the first time."""
    assert "sounddevice" not in sys.modules
    before = {name: os.environ.get(name) for name in pulse.environment}
    os.environ.update(pulse.environment)
    yield import_module("rtcore_adapters.audio.device")
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


class Room:
    """A speaker on a real device, driven by a plain loop; what it told, and when."""

    def __init__(self, speaker: Any, pulse: Pulse, *sinks: str) -> None:
        self.speaker = speaker
        self.recordings = [pulse.record(sink) for sink in sinks]
        self.told: list[tuple[float, str, int | str, int]] = []
        speaker.open(self, now=time.monotonic())
        self.run(0.7)  # PulseAudio takes its time to begin

    def played(self, generation: int, samples: int) -> None:
        self.told.append((time.monotonic(), "played", generation, samples))

    def flushed(self, generation: int, samples: int) -> None:
        self.told.append((time.monotonic(), "flushed", generation, samples))

    def underrun(self, generation: int) -> None:
        self.told.append((time.monotonic(), "underrun", generation, 0))

    def device(self, state: Literal["lost", "ready"]) -> None:
        self.told.append((time.monotonic(), "device", state, 0))

    def wake(self) -> None:
        pass

    def __enter__(self) -> "Room":
        return self

    def __exit__(self, *error: object) -> None:
        self.speaker.close(now=time.monotonic())
        for recording in self.recordings:
            recording.close()

    def play(self, samples: "array[int]", generation: int = 1) -> None:
        self.speaker.play(samples.tobytes(), PCM16_24K, generation, now=time.monotonic())

    def flush(self, generation: int = 1) -> int:
        self.speaker.flush(generation, now=time.monotonic())
        end = time.monotonic() + 2
        while not self.answers(generation) and time.monotonic() < end:
            self.run(0.01)
        ((_, samples),) = self.answers(generation)
        return samples

    def answers(self, generation: int) -> list[tuple[float, int]]:
        return [(at, samples) for at, kind, which, samples in self.told if (kind, which) == ("flushed", generation)]

    def states(self) -> list[int | str]:
        return [state for _, kind, state, _ in self.told if kind == "device"]

    def run(self, seconds: float, *, until: Callable[[], bool] = lambda: False) -> None:
        listen(self.speaker, seconds, until=until)


def listen(device: Any, seconds: float, *, until: Callable[[], bool] = lambda: False) -> None:
    end = time.monotonic() + seconds
    while (now := time.monotonic()) < end and not until():
        due = device.deadline
        if due is not None and due <= now:
            device.tick(now=now)
        else:
            time.sleep(min(end, due if due is not None else end) - now)


def take(made: Callable[[], tuple[bool, str]]) -> None:
    """Until one is exact: where the device ran dry, what was in its buffer may have been thrown away, and none can be."""
    for _ in range(TAKES):
        exact, line = made()
        FIGURES.append(line if exact else f"{line}: not exact, once more")
        if exact:
            return
    raise AssertionError(f"not one of {TAKES} takes was exact")


def all_but_a_buffer(speaker: Any, reported: int, recorded: int) -> bool:
    """What always holds: nothing sounded uncounted, and what was counted and did not sound was in a buffer that ran dry.

    PortAudio tells of what ALSA calls an underrun; PulseAudio has some more that it keeps to itself.
    """
    return bool(0 <= reported - recorded <= (speaker.counts.xruns + 1) * 3 * speaker.latency_ms * RATE / 1000)


# -- the loudspeaker ---------------------------------------------------------------------------------------------------------


def test_the_devices_are_listed(pulse: Pulse, device: ModuleType) -> None:
    found = {each.name: each for each in device.list_devices()}
    assert {"hall", "booth", "ear", "default"} <= set(found)
    assert found["hall"].host == "ALSA" and found["hall"].outputs > 0 and found["hall"].rate > 0
    assert found["default"].default_output and found["default"].default_input and not found["hall"].default_output
    with pytest.raises(device.DeviceError, match=r"'cellar': there is none; there is: .* 'hall'"):
        device.DeviceSpeaker("cellar")


@pytest.mark.parametrize("latency", ["low", "high", 0.1])
@pytest.mark.parametrize("seconds", [0.1, 1.111])
def test_speech_that_is_cut_was_heard_for_exactly_as_many_samples_as_are_reported(
    pulse: Pulse, device: ModuleType, latency: float | str, seconds: float
) -> None:  # B01, F031
    words = clip(3.0)

    def made() -> tuple[bool, str]:
        with Room(device.DeviceSpeaker("hall", rate=RATE, latency=latency), pulse, "hall") as room:
            room.play(words)
            room.run(seconds)
            asked = time.monotonic()
            samples = room.flush()
            answered = room.answers(1)[0][0] - asked
            room.run(0.4)
            heard = room.recordings[0].sounded()
            assert all_but_a_buffer(room.speaker, samples, len(heard))
            assert len(room.answers(1)) == 1 and answered < room.speaker.capabilities.flush_latency_ms / 1000
            late = room.recordings[0].last_sound_at - room.answers(1)[0][0]
            line = f"latency {latency} ({room.speaker.latency_ms:.0f} ms): reported {samples}, recorded {len(heard)} samples"
            line = f"{line}; answered after {1000 * answered:.0f} ms, the last sound {-1000 * late:.0f} ms before"
            # The recorder has a latency of its own, 10 ms and more.
            return heard == words[:samples] and late < 0.05, line

    take(made)


def test_while_it_sounds_the_count_says_where_the_sound_is(pulse: Pulse, device: ModuleType) -> None:
    words = clip(3.0)

    def made() -> tuple[bool, str]:
        with Room(device.DeviceSpeaker("hall", rate=RATE, latency="high"), pulse, "hall") as room:
            room.play(words)
            room.speaker.drain(1, now=time.monotonic())
            room.run(3.5)
            reports = [(at, samples) for at, kind, _, samples in room.told if kind == "played"]
            assert reports[-1][1] == len(words)
            assert all_but_a_buffer(room.speaker, len(words), len(room.recordings[0].sounded()))
            assert [samples for _, samples in reports] == sorted({samples for _, samples in reports})
            ahead = [samples - room.recordings[0].sounded_by(at) for at, samples in reports]
            middle = ahead[len(ahead) // 10 : -len(ahead) // 10]
            most, least = 1000 * max(middle) / RATE, 1000 * min(middle) / RATE
            # The recorder hears of a sample 10 ms and more after it sounded, in pieces; so the report is ahead of it, never far.
            gap = max(b - a for (a, _), (b, _) in pairwise(reports))
            line = f"the report is {least:.0f} to {most:.0f} ms ahead of the recorder; {len(reports)} reports"
            exact = room.recordings[0].sounded() == words and least > -40 and most < 40
            return exact, f"{line}, at most {1000 * gap:.0f} ms apart"

    take(made)


def test_a_pause_loses_and_repeats_nothing(pulse: Pulse, device: ModuleType) -> None:  # B16, C20
    words = clip(3.0)

    def made() -> tuple[bool, str]:
        with Room(device.DeviceSpeaker("hall", rate=RATE, latency="high"), pulse, "hall") as room:
            room.play(words)
            for _ in range(3):
                room.run(0.3)
                room.speaker.pause(1, now=time.monotonic())
                room.run(0.3)
                held = room.told[-1][3]
                room.run(0.2)
                assert room.told[-1][3] == held
                room.speaker.resume(1, now=time.monotonic())
            room.run(0.3)
            samples = room.flush()
            room.run(0.4)
            heard = room.recordings[0].sounded()
            assert all_but_a_buffer(room.speaker, samples, len(heard))
            return heard == words[:samples], f"three pauses: reported {samples}, recorded {len(heard)} samples"

    take(made)


def test_another_rate_is_counted_within_a_millisecond(pulse: Pulse, device: ModuleType) -> None:
    """The device runs at 48 kHz, PulseAudio brings it back to the sink's 24: filters, so not to the sample."""
    steady = array("h", [8000 if n // 30 % 2 else -8000 for n in range(3 * RATE)])

    def made() -> tuple[bool, str]:
        with Room(device.DeviceSpeaker("hall", rate=48_000, latency="high"), pulse, "hall") as room:
            assert room.speaker.rate == 48_000
            room.play(steady)
            room.run(1.0)
            samples = room.flush()
            room.run(0.4)
            loud = [n for n, value in enumerate(room.recordings[0].signal) if abs(value) > 2000]
            heard = loud[-1] - loud[0] + 1
            assert all_but_a_buffer(room.speaker, samples + RATE // 1000, heard)
            return abs(samples - heard) <= RATE // 1000, f"at 48 kHz: reported {samples}, recorded {heard} samples at 24 kHz"

    take(made)


def test_the_tap_is_what_was_played(pulse: Pulse, device: ModuleType) -> None:
    words = clip(1.0)

    def made() -> tuple[bool, str]:
        tapped: list[tuple[bytes, int, float]] = []
        speaker = device.DeviceSpeaker("hall", rate=RATE, latency="high", tap=lambda *piece: tapped.append(piece))
        with Room(speaker, pulse, "hall") as room:
            before = time.monotonic()
            room.play(words)
            room.run(0.6)
            room.flush()
            room.run(0.4)
            signal = array("h", b"".join(pcm for pcm, _, _ in tapped))
            heard = room.recordings[0].sounded()
            first = next(at for pcm, _, at in tapped if any(pcm))
            exact = array("h", [value for value in signal if value]) == heard
            assert 0 <= first - before < 0.2
            drift = max(abs(at + len(pcm) / 2 / rate - later) for (pcm, rate, at), (_, _, later) in pairwise(tapped[40:]))
            return exact, f"tapped {len(signal)} samples in {len(tapped)} pieces that join within {1000 * drift:.2f} ms"

    take(made)


def test_the_device_is_changed_in_mid_sentence(pulse: Pulse, device: ModuleType) -> None:
    words = clip(3.0)

    def made() -> tuple[bool, str]:
        with Room(device.DeviceSpeaker("hall", rate=RATE, latency="high"), pulse, "hall", "booth") as room:
            room.play(words)
            room.run(0.6)
            room.speaker.switch("booth")
            room.run(1.0)
            assert room.speaker.device.name == "booth" and room.states() == []
            samples = room.flush()
            room.run(0.4)
            hall, booth = (recording.sounded() for recording in room.recordings)
            assert all_but_a_buffer(room.speaker, samples, len(hall) + len(booth))
            return hall + booth == words[:samples], f"switch: reported {samples}, recorded {len(hall)} and {len(booth)} samples"

    take(made)


# -- the microphone ----------------------------------------------------------------------------------------------------------


class Sink:
    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def audio(self, pcm: bytes) -> None:
        self.frames.append(pcm)

    def speech(self, event: Literal["started", "stopped"]) -> None:
        raise AssertionError(event)


def test_a_microphone_hears_every_sample(pulse: Pulse, device: ModuleType) -> None:
    words = clip(1.5)

    def made() -> tuple[bool, str]:
        sink, microphone = Sink(), device.DeviceMicrophone("ear", rate=RATE)
        microphone.open(sink, now=time.monotonic())
        listen(microphone, 3.0, until=lambda: bool(sink.frames))
        listen(microphone, 0.5)
        player = pulse.play("booth", words.tobytes())
        listen(microphone, 2.5)
        assert player.wait(5) == 0
        microphone.close(now=time.monotonic())
        heard = array("h", [value for value in array("h", b"".join(sink.frames)) if value])
        assert {len(frame) for frame in sink.frames} == {960} and microphone.skipped == 0
        assert len(heard) <= len(words)
        return heard == words, f"played {len(words)}, heard {len(heard)} samples in {len(sink.frames)} frames"

    take(made)


# -- the device vanishes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [True, False])
def test_a_device_that_vanishes_is_told_and_had_back(pulse: Pulse, device: ModuleType, named: bool) -> None:  # F100
    words = clip(3.0)
    with Room(device.DeviceSpeaker("hall" if named else None, rate=RATE, latency=0.1), pulse, "hall") as room:
        room.play(words)
        room.run(1.0)
        # PulseAudio moves what sounds to another sink where there is one, so all have to go.
        pulse.unplug("booth")
        pulse.unplug("hall")
        unplugged = time.monotonic()
        room.run(2.0, until=lambda: bool(room.states()))
        assert room.states() == ["lost"]
        lost = room.told[-1][0] - unplugged
        reported = max(samples for _, kind, _, samples in room.told if kind == "played")
        heard = len(room.recordings[0].sounded())
        assert room.flush() == reported  # answered at once
        room.run(1.0)
        pulse.plug("hall")
        room.recordings.append(pulse.record("hall"))
        plugged = time.monotonic()
        room.run(8.0, until=lambda: len(room.states()) == 2)
        assert room.states() == ["lost", "ready"]
        ready = room.told[-1][0] - plugged
        room.run(2.5)  # until PulseAudio has begun
        room.play(words[:12_000], 2)
        room.speaker.drain(2, now=time.monotonic())
        room.run(2.0)
        assert room.told[-1][1:] == ("played", 2, 12_000)
        assert len(room.recordings[1].sounded()) > 0.9 * 12_000
        times = f"lost after {1000 * lost:.0f} ms, ready {1000 * ready:.0f} ms after it was back"
        FIGURES.append(f"{times}; reported {reported}, recorded {heard} samples")
        # PulseAudio and the time from the last look on: nothing can be exact that ends at an unknown moment.
        assert abs(reported - heard) < RATE // 4
    pulse.plug("booth")
    pulse.wire("ear", "booth")


# -- a conversation ----------------------------------------------------------------------------------------------------------


def test_a_conversation_through_real_devices_is_interrupted_by_a_voice_from_a_file(
    pulse: Pulse, device: ModuleType, tmp_path: Path
) -> None:  # C01, B01
    path = tmp_path / "barge-in.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(clip(2.0, 1).tobytes())
    voices = [structs.replace(voice, pcm=unsilenced(voice.pcm).tobytes()) for voice in load_voices()[:3]]
    options = ServerOptions(script=(spoken(9000), spoken(1000)), rules=Rules(error_event_id="always"))

    async def talk(hall: Recording) -> tuple[bool, str]:
        speaker = device.DeviceSpeaker("hall", rate=RATE, latency=0.1)
        microphone = device.DeviceMicrophone("ear", rate=RATE, latency=0.1)
        async with served(options, voices=voices) as (url, servers):
            async with connect(config(url), speaker=speaker, microphone=microphone) as conversation:
                conversation.send_text("Tell me everything.")
                await until(conversation, SpeakingStarted)
                await asyncio.sleep(1.5)
                with wave.open(str(path), "rb") as file:
                    player = pulse.play("booth", file.readframes(file.getnframes()))
                started = await until(conversation, UserSpeechStarted)
                ended = await until(conversation, MessageEnded)
                cut = await until(conversation, Interrupted)
                again = await until(conversation, SpeakingStarted)
                await until(conversation, SpeakingStopped)
                player.wait(5)
            (first, *_) = [item for item in servers[0].items.values() if item.role == "assistant"]
            assert started.item_id is not None and ended.verdict is Verdict.PARTIAL
            assert cut.partial == (first.id,) and not cut.estimated
            assert servers[0].responses[again.response_id].cause == "turn"
            assert servers[0].refusals == []
            told = first.parts[0].truncated_ms
            assert told == ended.heard_ms
            sent = array("h", first.audio)
        signal = hall.sounded()
        heard = next((n for n, (a, b) in enumerate(zip(sent, signal, strict=False)) if a != b), len(signal))
        # Where a buffer was thrown away the two part there, and this says nothing of the cut.
        assert heard * 1000 // RATE <= told
        return (
            told == heard * 1000 // RATE,
            f"a conversation: the server was told {told} ms, and {heard} samples ({1000 * heard / RATE:.2f} ms) were played",
        )

    def made() -> tuple[bool, str]:
        hall = pulse.record("hall")
        try:
            return asyncio.run(talk(hall))
        finally:
            hall.close()

    take(made)


@pytest.mark.parametrize("runtime", ["asyncio", "trio", "threads"])
def test_the_terminal_talks_through_real_devices_on_every_runtime(pulse: Pulse, device: ModuleType, runtime: str) -> None:
    hall = pulse.record("hall")
    command = [sys.executable, "-m", "rtcore_adapters.cli", "talk", "--simulated", "--runtime", runtime, "--say", "1200"]
    command += ["--speaker", "hall", "--microphone", "ear", "--seconds", "6"]
    talk = subprocess.run(command, input="Hello\n", capture_output=True, text=True, timeout=30, check=False)
    hall.close()
    assert talk.returncode == 0, talk.stderr
    assert "(1.2 s)" in talk.stdout and "speaks" in talk.stdout
    heard = len(hall.sounded())
    # Silence within the words is not seen in the recording.
    assert 0.6 * 1.2 * RATE < heard <= 1.2 * RATE
    FIGURES.append(f"rtcore talk on {runtime}: 1.2 s told as heard, {heard} samples that are not silence recorded")
