"""PortAudio through ``sounddevice``: the thin part that no test without a sound system runs.

PortAudio's calls are not made for several threads, so one lock serves them all; the callbacks take none. Its list of devices is
fixed when the library is initialised; to see what was plugged in since, it has to be initialised anew, which ends all streams. So
that is only done while none is open.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock, Thread
from typing import Any

from rtcore_adapters._extras import missing

try:
    import sounddevice
except ModuleNotFoundError as error:
    raise missing("a sound device", error.name, "audio") from None
except OSError as error:
    raise ImportError(
        f"a sound device needs the library PortAudio ({error}): on Debian and Ubuntu, apt-get install libportaudio2; "
        "elsewhere the package sounddevice brings it"
    ) from None

from rtcore_adapters.audio._host import Callback, Device, DeviceError, Kind, Unsuited

_UNSUITED = (-9998, -9997, -9994)  # PaErrorCode: invalid channel count, invalid sample rate, sample format not supported

_PATIENCE_S = 3.0  # with a driver that hangs
_ODD_S = 2.0  # a stamp that is farther from the stream's clock than its latency and this is none

_log = logging.getLogger("rtcore.devices")
_lock = Lock()
_open: set["_Stream"] = set()


@contextmanager
def _alone() -> Iterator[None]:
    if not _lock.acquire(timeout=_PATIENCE_S):
        raise DeviceError("the sound system hangs: it has not opened or closed a device for seconds")
    try:
        yield
    finally:
        _lock.release()


class _Stream:
    """A PortAudio stream."""

    def __init__(
        self, kind: Kind, device: Device, rate: int, channels: int, frames: int, latency: float, callback: Callback
    ) -> None:
        self._callback = callback
        self._output = kind == "output"
        self._error: BaseException | None = None
        self._started = False
        make = sounddevice.RawOutputStream if self._output else sounddevice.RawInputStream
        self._stream: Any = make(
            samplerate=rate,
            blocksize=frames,
            device=device.index,
            channels=channels,
            dtype="int16",
            latency=latency,
            callback=self._called,
        )
        self.rate, self.channels = rate, channels
        self.latency = float(self._stream.latency)

    @property
    def time(self) -> float:
        try:
            return float(self._stream.time)
        except sounddevice.PortAudioError:  # the stream is gone, or its sound system has no clock
            return time.monotonic()

    @property
    def failure(self) -> str | None:
        if self._error is not None:
            return f"{type(self._error).__name__}: {self._error}"
        try:
            return "the sound system has ended the stream" if self._started and not self._stream.active else None
        except sounddevice.PortAudioError as error:
            return str(error)

    def start(self) -> None:
        with _alone():
            try:
                self._stream.start()
            except sounddevice.PortAudioError as error:
                raise DeviceError(str(error)) from None
        self._started = True

    def close(self) -> None:
        closing = Thread(target=self._close, name="rtcore device", daemon=True)
        closing.start()
        closing.join(_PATIENCE_S)
        if closing.is_alive():
            _log.warning("a sound device takes long to close; nobody waits for it")

    def _close(self) -> None:
        with _lock:
            _open.discard(self)
            if not self._stream.closed:
                # Both ignore what PortAudio says: there is nothing to be done about it.
                self._stream.abort()
                self._stream.close()

    def _called(self, data: Any, frames: int, stamps: Any, status: Any) -> None:
        """In the device's thread. An exception here would end the stream with a trace on stderr."""
        try:
            at, now = 0.0, self.time
            if self._output:
                at = stamps.outputBufferDacTime
                if not -_ODD_S <= at - now <= self.latency + _ODD_S:
                    at = now + self.latency  # some sound systems give no stamps, or of another clock: this is the best guess
            xrun = status.output_underflow if self._output else status.input_overflow
            self._callback(memoryview(data), frames, at, bool(xrun))
        except BaseException as error:
            self._error = error
            if self._output:
                data[:] = bytes(len(data))


class PortAudio:
    """The computer's sound devices. See ``Host``."""

    def devices(self) -> Sequence[Device]:
        """What is there, as it was last looked at."""
        with _alone():
            return _devices()

    def rescan(self) -> Sequence[Device]:
        """Look again, unless a stream is open."""
        with _alone():
            if not _open:
                # PortAudio has no other way to see what has changed, and sounddevice no public name for it.
                sounddevice._terminate()
                sounddevice._initialize()
            return _devices()

    def open(
        self, kind: Kind, device: Device, *, rate: int, channels: int, frames: int, latency: float, callback: Callback
    ) -> _Stream:
        """An open stream that was not started yet."""
        with _alone():
            try:
                stream = _Stream(kind, device, rate, channels, frames, latency, callback)
            except (sounddevice.PortAudioError, ValueError) as error:
                what = f"{kind} device {device.index} {device.name!r} at {rate} Hz with {channels} channel"
                code = error.args[1] if len(error.args) > 1 else None
                kind_of = Unsuited if code in _UNSUITED else DeviceError
                raise kind_of(f"{what}{'s' if channels > 1 else ''}: {error}") from None
            _open.add(stream)
            return stream


def _devices() -> Sequence[Device]:
    try:
        found, hosts = sounddevice.query_devices(), sounddevice.query_hostapis()
    except sounddevice.PortAudioError as error:
        raise DeviceError(f"the sound devices cannot be listed: {error}") from None
    inputs, outputs = _default("input"), _default("output")
    return [
        Device(
            name=device["name"],
            index=device["index"],
            host=hosts[device["hostapi"]]["name"],
            inputs=device["max_input_channels"],
            outputs=device["max_output_channels"],
            rate=round(device["default_samplerate"]),
            default_input=device["index"] == inputs,
            default_output=device["index"] == outputs,
            input_latency=(device["default_low_input_latency"], device["default_high_input_latency"]),
            output_latency=(device["default_low_output_latency"], device["default_high_output_latency"]),
        )
        for device in found
    ]


def _default(kind: Kind) -> int:
    try:
        return int(sounddevice.query_devices(kind=kind)["index"])
    except (sounddevice.PortAudioError, ValueError):  # there is none
        return -1
