"""Every speaker of the package keeps the contract of ``speaker_contract``."""

import wave
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fake_portaudio import FakeHost
from helpers.player import BrowserPlayer, PlainPlayer, RemoteRig, node_process
from helpers.telephone import TelephoneRig
from speaker_contract import CHECKS, Make, Rig, tagged

from rtcore import PCM16_24K, PCMA, PCMU, AudioFormat
from rtcore_adapters.audio import NullSpeaker, VirtualSpeaker, WavSpeaker
from rtcore_adapters.audio._device_speaker import DeviceSpeaker


class VirtualRig(Rig):
    speaker: VirtualSpeaker

    def __init__(self, speaker: VirtualSpeaker, format: AudioFormat) -> None:
        super().__init__()
        self.speaker, self.format = speaker, format

    def audible(self) -> bytes:
        return bytes(self.speaker.signal)


class NullRig(Rig):
    """What is handed over counts as heard, so that is what sounds."""

    format = PCM16_24K

    def __init__(self) -> None:
        super().__init__()
        self.speaker = NullSpeaker()
        self._waiting = b""
        self._sounded = b""

    def play(self, generation: int, start: int, samples: int) -> None:
        if not self.reports("flushed", generation):
            self._waiting += tagged(self.format, generation, start, samples)
        super().play(generation, start, samples)

    def _tell(self, kind: str, generation: int, samples: int) -> None:
        if kind == "played":
            self._sounded += self._waiting
            self._waiting = b""
        super()._tell(kind, generation, samples)

    def audible(self) -> bytes:
        return self._sounded


class DeviceRig(Rig):
    """A sound card that is none: the callback is called in virtual time."""

    format = PCM16_24K

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.host = FakeHost(now=0.0, **options)
        self.latency_s = self.host.latency
        self.speaker = DeviceSpeaker(self.host, spawn=lambda work: work())

    def audible(self) -> bytes:
        return b"".join(stream.signal() for stream in self.host.streams)

    @property
    def far_at(self) -> float | None:
        due = min((stream.due for stream in self.host.streams), default=float("inf"))
        return due if due < float("inf") else None

    def far(self) -> None:
        self.host.advance(self.now)


PLAIN: dict[str, Make] = {
    "device": DeviceRig,
    "device, large buffer": partial(DeviceRig, latency=0.25),
    "virtual": lambda: VirtualRig(VirtualSpeaker(), PCM16_24K),
    "virtual, slow to flush": lambda: VirtualRig(VirtualSpeaker(flush_ms=70, block_ms=10), PCM16_24K),
    "null": NullRig,
    "marks": partial(TelephoneRig, PCMU, clears=True, trip_s=0.0, round_trip_ms=0),
    "marks, 40 ms away": partial(TelephoneRig, PCMU, clears=True, trip_s=0.04, round_trip_ms=100),
    "marks, short lead": partial(TelephoneRig, PCMA, clears=True, trip_s=0.03, round_trip_ms=80, mark_ms=50, ahead_ms=120),
    "marks, no clear": partial(TelephoneRig, PCMU, clears=False, trip_s=0.04, round_trip_ms=100),
    "remote": partial(RemoteRig, PlainPlayer, trip_s=0.0, delay_s=0.0),
    "remote, 60 ms away": partial(RemoteRig, PlainPlayer, trip_s=0.06, delay_s=0.045),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("make", PLAIN.values(), ids=PLAIN.keys())
def test_a_speaker_keeps_the_contract(make: Make, check: Callable[[Make], None]) -> None:
    check(make)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_browsers_player_keeps_the_contract(check: Callable[[Make], None]) -> None:
    with node_process() as node:
        check(lambda: RemoteRig(partial(BrowserPlayer, node), trip_s=0.05, delay_s=0.04))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_wav_speaker_keeps_the_contract(tmp_path: Path, check: Callable[[Make], None]) -> None:
    made: list[VirtualRig] = []

    def make() -> Rig:
        made.append(VirtualRig(WavSpeaker(tmp_path / "heard.wav", record=True), PCM16_24K))
        return made[-1]

    check(make)
    made[-1].speaker.close(now=made[-1].now)
    with wave.open(str(tmp_path / "heard.wav"), "rb") as file:
        signal = file.readframes(file.getnframes())
    assert signal == made[-1].audible()
    assert any(signal) or check is CHECKS[-1]
