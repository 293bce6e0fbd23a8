"""The thin part of the devices, on a stand-in for ``sounddevice``: stamps that are none, errors, hanging drivers."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from rtcore_adapters.audio._host import Device, DeviceError, Unsuited

SPEAKERS = Device("Speakers", 0, "ALSA", 0, 2, 48_000, default_output=True, output_latency=(0.01, 0.04))
MIC = Device("Mic", 1, "ALSA", 1, 0, 44_100, default_input=True, input_latency=(0.01, 0.04))


class PortAudioError(Exception):
    pass


class RawStream:
    """A stream as ``sounddevice`` has it."""

    latency = 0.025
    refuses: PortAudioError | ValueError | None = None
    closing: Callable[[], object] = staticmethod(lambda: None)

    def __init__(self, **options: Any) -> None:
        if RawStream.refuses is not None:
            raise RawStream.refuses
        self.options = options
        self.active = self.closed = False
        self.clock = 1000.0

    @property
    def time(self) -> float:
        if not self.clock:
            raise PortAudioError("Error getting stream time")
        return self.clock

    def start(self) -> None:
        self.active = True

    def abort(self) -> None:
        self.active = False

    def close(self) -> None:
        RawStream.closing()
        self.closed = True


@pytest.fixture
def binding(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    module: Any = ModuleType("sounddevice")
    module.PortAudioError = PortAudioError
    module.RawOutputStream = module.RawInputStream = RawStream
    latencies = {"default_low_input_latency": 0.01, "default_high_input_latency": 0.04}
    latencies |= {"default_low_output_latency": 0.01, "default_high_output_latency": 0.04}
    found = [
        {"max_input_channels": device.inputs, "max_output_channels": device.outputs, "default_samplerate": float(device.rate)}
        | {"name": device.name, "index": device.index, "hostapi": 0, **latencies}
        for device in (SPEAKERS, MIC)
    ]
    module.query_devices = lambda kind=None: found if kind is None else found[kind == "input"]
    module.query_hostapis = lambda: [{"name": "ALSA"}]
    module.looked = 0

    def look() -> None:
        module.looked += 1

    module._terminate, module._initialize = lambda: None, look
    monkeypatch.setattr(RawStream, "refuses", None)
    monkeypatch.setattr(RawStream, "closing", lambda: None)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    name = "rtcore_adapters.audio._portaudio"
    monkeypatch.delitem(sys.modules, name, raising=False)
    loaded = import_module(name)
    del sys.modules[name]
    monkeypatch.setattr(loaded, "_PATIENCE_S", 0.05)
    yield loaded


class Called:
    """What a ring gets."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, float, bool]] = []

    def __call__(self, data: memoryview, frames: int, at: float, xrun: bool) -> None:
        self.calls.append((frames, at, xrun))
        if frames == 13:
            raise RuntimeError("a bug")


def opened(binding: ModuleType, device: Device = SPEAKERS) -> tuple[Any, Called]:
    called = Called()
    kind = "output" if device.outputs else "input"
    stream = binding.PortAudio().open(kind, device, rate=48_000, channels=1, frames=480, latency=0.03, callback=called)
    return stream, called


def call(stream: Any, at: float, frames: int = 480, *, under: bool = False, over: bool = False) -> bytearray:
    data = bytearray(b"\x55" * 2 * frames)
    stamps = SimpleNamespace(outputBufferDacTime=at, inputBufferAdcTime=at, currentTime=at)
    stream._stream.options["callback"](data, frames, stamps, SimpleNamespace(output_underflow=under, input_overflow=over))
    return data


def test_the_devices_are_listed_with_their_defaults(binding: ModuleType) -> None:
    speakers, mic = binding.PortAudio().devices()
    assert (speakers.name, speakers.host, speakers.outputs, speakers.rate) == ("Speakers", "ALSA", 2, 48_000)
    assert speakers.default_output and not speakers.default_input and mic.default_input and not mic.default_output


@pytest.mark.parametrize(
    ("stamp", "sounds"),
    [
        (1000.04, 1000.04),  # as it should be
        (999.99, 999.99),  # the device is a hair behind
        (0.0, 1000.025),  # none
        (77.0, 1000.025),  # of another clock
        (5000.0, 1000.025),
        (float("nan"), 1000.025),
    ],
)
def test_where_a_stamp_is_none_the_stated_latency_stands_in(binding: ModuleType, stamp: float, sounds: float) -> None:
    stream, called = opened(binding)
    call(stream, stamp, under=True)
    ((frames, at, xrun),) = called.calls
    assert (frames, xrun) == (480, True) and at == pytest.approx(sounds)


def test_a_sound_system_without_a_clock_is_measured_by_the_programs(binding: ModuleType) -> None:
    stream, called = opened(binding)
    stream._stream.clock = 0.0
    before = time.monotonic()
    call(stream, 0.0)
    assert before <= called.calls[0][1] - 0.025 <= stream.time <= time.monotonic()


def test_a_microphone_that_ran_over_says_so(binding: ModuleType) -> None:
    stream, called = opened(binding, MIC)
    call(stream, 0.0, over=True)
    call(stream, 0.0, under=True)
    assert [xrun for _, _, xrun in called.calls] == [True, False]


def test_a_mistake_in_the_callback_is_silence_and_the_end_of_the_device(binding: ModuleType) -> None:
    stream, _ = opened(binding)
    stream.start()
    assert stream.failure is None
    assert call(stream, 1000.0, frames=13) == bytes(26)
    assert stream.failure == "RuntimeError: a bug"


def test_a_stream_that_has_ended_is_a_failure(binding: ModuleType) -> None:
    stream, _ = opened(binding)
    assert stream.failure is None  # it was not started
    stream.start()
    stream._stream.active = False
    assert stream.failure == "the sound system has ended the stream"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (PortAudioError("Error opening: Invalid sample rate", -9997), Unsuited),
        (PortAudioError("Error opening: Invalid number of channels", -9998), Unsuited),
        (PortAudioError("Error opening: Device unavailable", -9985), DeviceError),
        (ValueError("No such device"), DeviceError),
    ],
)
def test_an_error_names_the_device_and_says_whether_another_rate_may_do(
    binding: ModuleType, error: PortAudioError | ValueError, kind: type[DeviceError]
) -> None:
    RawStream.refuses = error
    with pytest.raises(DeviceError, match=r"output device 0 'Speakers' at 48000 Hz with 1 channel: ") as caught:
        opened(binding)
    assert type(caught.value) is kind


def test_the_list_is_made_anew_only_while_no_stream_is_open(binding: ModuleType) -> None:
    host = binding.PortAudio()
    stream, _ = opened(binding)
    host.rescan()
    assert sys.modules["sounddevice"].looked == 0
    stream.close()
    stream.close()
    host.rescan()
    assert sys.modules["sounddevice"].looked == 1


def test_a_driver_that_hangs_holds_nobody_up_for_ever(binding: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    gate = threading.Event()
    stream, _ = opened(binding)

    def hang() -> None:
        gate.wait(5)

    RawStream.closing = hang
    stream.close()
    assert "takes long to close" in caplog.text
    with pytest.raises(DeviceError, match="the sound system hangs"):
        binding.PortAudio().devices()
    gate.set()
    end = time.monotonic() + 5
    while not stream._stream.closed and time.monotonic() < end:
        time.sleep(0.001)
    with binding._lock:
        assert stream._stream.closed
