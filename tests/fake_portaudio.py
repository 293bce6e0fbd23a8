"""A sound system in virtual time: devices that call back block by block, and the signal that became audible.

A device takes a block at a time and sounds it ``latency`` later, at its own rate, to the sample. Its clock is not the program's:
it began ``EPOCH`` earlier.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, Literal

import pytest

from rtcore_adapters.audio._host import Callback, Device, DeviceError, Kind, Unsuited

EPOCH = 5000.0


def loudspeaker(name: str = "Speakers", index: int = 0, *, rate: int = 24_000, channels: int = 1, default: bool = True) -> Device:
    return Device(name, index, "Fake", 0, channels, rate, default_output=default)


def microphone(name: str = "Mic", index: int = 10, *, rate: int = 24_000, channels: int = 1, default: bool = True) -> Device:
    return Device(name, index, "Fake", channels, 0, rate, default_input=default)


class FakeStream:
    """An open device."""

    def __init__(
        self, host: "FakeHost", kind: Kind, device: Device, rate: int, channels: int, frames: int, callback: Callback
    ) -> None:
        self.host, self.kind, self.device = host, kind, device
        self.rate, self.channels, self.frames = rate, channels, frames
        self.latency = host.latency
        self.callback = callback
        self.calls = 0
        self.began: float | None = None
        self.failure: str | None = None
        self.stalled = self.closed = False
        self.xrun = False
        self.blocks: list[tuple[float, bytes]] = []  # when it sounds, and what: the first channel
        self.others: list[bytes] = []  # the last channel
        self.silent_from = float("inf")

    @property
    def time(self) -> float:
        return self.host.now + EPOCH

    @property
    def due(self) -> float:
        if self.began is None or self.closed or self.failure or self.stalled:
            return float("inf")
        return self.began + (self.calls + 1) * self.frames / self.rate

    def start(self) -> None:
        self.host.begin()
        self.began = self.host.now

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.silent_from = min(self.silent_from, self.host.now)

    def call(self) -> None:
        self.calls += 1
        xrun, self.xrun = self.xrun, False
        if self.kind == "output":
            at = self.host.now + self.host.latency
            data = bytearray(b"\x55" * (2 * self.channels * self.frames))
            self.callback(memoryview(data), self.frames, at + EPOCH + self.host.jitter(), xrun)
            samples = memoryview(data).cast("h")
            self.blocks.append((at, samples[:: self.channels].tobytes()))
            self.others.append(samples[self.channels - 1 :: self.channels].tobytes())
        else:
            pcm = self.host.says(self.frames * self.channels)
            self.callback(memoryview(pcm), self.frames, self.host.now + EPOCH - self.host.latency, xrun)

    def lose(self, how: Literal["stalls", "ends"]) -> None:
        """Nothing that was not heard by now will be."""
        self.silent_from = self.host.now
        if how == "stalls":
            self.stalled = True
        else:
            self.failure = "it was unplugged"

    def signal(self, until: float | None = None) -> bytes:
        """What was audible from the first block on: the first channel."""
        end = min(self.silent_from, self.host.now if until is None else until)
        heard = []
        for at, pcm in self.blocks:
            samples = min(len(pcm) // 2, max(0, int((end - at) * self.rate + 1e-6)))
            heard.append(pcm[: 2 * samples])
        return b"".join(heard)


class FakeHost:
    """See ``rtcore_adapters.audio._host.Host``."""

    def __init__(self, *devices: Device, latency: float = 0.03, now: float = 100.0) -> None:
        self.list = list(devices) or [loudspeaker(), microphone()]
        self.latency = latency
        self.now = now
        self.streams: list[FakeStream] = []
        self.refused: set[tuple[int, int]] = set()  # rate, channels
        self.rescans: list[float] = []
        self.jitter: Callable[[], float] = lambda: 0.0
        self.spoken = 0
        self.quiet = False  # nobody speaks

    @property
    def stream(self) -> FakeStream:
        return self.streams[-1]

    def devices(self) -> Sequence[Device]:
        return list(self.list)

    def rescan(self) -> Sequence[Device]:
        self.rescans.append(self.now)
        return list(self.list)

    def open(
        self, kind: Kind, device: Device, *, rate: int, channels: int, frames: int, latency: float, callback: Callback
    ) -> FakeStream:
        if device not in self.list:
            raise DeviceError(f"{device.name}: not there")
        if (rate, channels) in self.refused:
            raise Unsuited(f"{device.name}: invalid sample rate or number of channels")
        self.streams.append(FakeStream(self, kind, device, rate, channels, frames, callback))
        return self.stream

    def begin(self) -> None:
        """A stream starts."""

    def says(self, samples: int) -> bytearray:
        """What a microphone hears: a count, so that nothing can be lost or doubled unseen."""
        if self.quiet:
            return bytearray(2 * samples)
        values = [(self.spoken + n) % 30_000 + 1 for n in range(samples)]
        self.spoken += samples
        return bytearray(b"".join(value.to_bytes(2, "little", signed=True) for value in values))

    def advance(self, until: float) -> None:
        """Let the devices run."""
        while (due := min((stream.due for stream in self.streams), default=float("inf"))) <= until:
            self.now = max(self.now, due)
            next(stream for stream in self.streams if stream.due == due).call()
        self.now = max(self.now, until)


class LoopHost(FakeHost):
    """Its devices run by themselves, in the time of the running loop."""

    def __init__(self, *devices: Device, latency: float = 0.03) -> None:
        super().__init__(*devices, latency=latency)
        self.running = False

    def begin(self) -> None:
        loop = asyncio.get_running_loop()
        self.now = loop.time()
        if not self.running:
            self.running = True
            self._run(loop)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self.advance(loop.time())
        if all(stream.closed for stream in self.streams) and self.streams:
            self.running = False
        else:
            loop.call_later(0.002, self._run, loop)


def install(monkeypatch: pytest.MonkeyPatch, *devices: Device) -> LoopHost:
    """``rtcore_adapters.audio.device`` with this sound system, whatever is installed. Nobody speaks into its microphones."""
    host = LoopHost(*devices)
    host.quiet = True
    portaudio: Any = ModuleType("rtcore_adapters.audio._portaudio")
    portaudio.PortAudio = lambda: host
    monkeypatch.setitem(sys.modules, portaudio.__name__, portaudio)
    name = "rtcore_adapters.audio.device"
    monkeypatch.delitem(sys.modules, name, raising=False)
    module = import_module(name)
    del sys.modules[name]
    monkeypatch.setitem(sys.modules, name, module)
    return host
