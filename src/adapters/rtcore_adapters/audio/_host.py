"""What the device code asks of a sound system: a list of devices, and streams with a callback.

``_portaudio`` is the real one; tests have one in virtual time.
"""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from msgspec import Struct

Kind = Literal["input", "output"]
Latency = float | Literal["low", "high"]
"""What is asked of the sound system: seconds, or one of its two suggestions."""


_LEAST_S = 0.03  # the callback is Python: it may have to wait for the interpreter a few times 5 ms


class DeviceError(OSError):
    """A sound device that cannot be used. The text names the device, what is wrong, and what there is instead."""


class Unsuited(DeviceError):
    """The device takes another rate or another number of channels."""


class Device(Struct, frozen=True):
    """A sound device as the computer lists it.

    ``index`` may change when devices come and go, ``name`` and ``host`` (the sound system: ALSA, Core Audio, WASAPI) together do
    not. ``rate`` is its default in samples per second. Latencies are what the sound system suggests, in seconds.
    """

    name: str
    index: int
    host: str
    inputs: int
    """Channels that it records; 0 for a loudspeaker."""
    outputs: int
    """Channels that it plays; 0 for a microphone."""
    rate: int
    default_input: bool = False
    """The microphone that is used where none is named."""
    default_output: bool = False
    """The loudspeaker that is used where none is named."""
    input_latency: tuple[float, float] = (0.01, 0.1)
    """Low and high."""
    output_latency: tuple[float, float] = (0.01, 0.1)
    """Low and high."""

    def channels(self, kind: Kind) -> int:
        """How many channels it has of this kind."""
        return self.inputs if kind == "input" else self.outputs

    def latency(self, kind: Kind, wanted: Latency) -> float:
        """The latency to ask for, in seconds."""
        low, high = self.input_latency if kind == "input" else self.output_latency
        return max(low, _LEAST_S) if wanted == "low" else max(high, _LEAST_S) if wanted == "high" else wanted


class Callback(Protocol):
    """Called in the device's thread: data to fill or to take, frames, when the first of them sounds (seconds of ``Stream.time``;
    nobody asks when a microphone's were heard), and whether the device had run dry or over before."""

    def __call__(self, data: memoryview, frames: int, at: float, xrun: bool, /) -> None: ...


class Stream(Protocol):
    """An open device. ``latency`` is in seconds; samples are PCM16, interleaved."""

    rate: int
    channels: int
    latency: float

    @property
    def time(self) -> float:
        """The stream's clock now, in seconds."""

    @property
    def failure(self) -> str | None:
        """Why it does not run any more, or None while it does."""

    def start(self) -> None:
        """Begin to call back."""

    def close(self) -> None:
        """Stop at once; what was not heard yet is dropped. Called once or more, never raises."""


class Host(Protocol):
    """A sound system. Everything raises ``DeviceError`` where it cannot."""

    def devices(self) -> Sequence[Device]:
        """What is there, as it was last looked at."""

    def rescan(self) -> Sequence[Device]:
        """Look again, where that is possible without disturbing a stream that is open."""

    def open(
        self, kind: Kind, device: Device, *, rate: int, channels: int, frames: int, latency: float, callback: Callback
    ) -> Stream:
        """An open stream that was not started yet; ``frames`` a callback where it can be had. ``Unsuited`` where the device is
        there, and takes another rate or number of channels."""


def choose(devices: Sequence[Device], wanted: int | str | None, kind: Kind) -> Device:
    """The device that is meant: an index, a name, a part of a name in any case, or None for the default."""
    fit = [device for device in devices if device.channels(kind)]
    if wanted is None:
        found = [device for device in fit if (device.default_input if kind == "input" else device.default_output)]
    elif isinstance(wanted, int):
        found = [device for device in fit if device.index == wanted]
    else:
        found = [device for device in fit if device.name == wanted]
        found = found or [device for device in fit if wanted.casefold() in device.name.casefold()]
    if len(found) == 1:
        return found[0]
    # One device is often there once for each sound system: the one that holds the default is meant.
    hosts = {device.host for device in devices if (device.default_input if kind == "input" else device.default_output)}
    if len(at_home := [device for device in found if device.host in hosts]) == 1:
        return at_home[0]
    shown = "; ".join(f"{device.index} {device.name!r} ({device.host})" for device in found or fit)
    asked = f"no default {kind} device" if wanted is None else f"{kind} device {wanted!r}"
    if found:
        raise DeviceError(f"{asked}: several fit, name one by its index: {shown}")
    raise DeviceError(f"{asked}{'' if wanted is None else ': there is none'}; there is: {shown or f'no {kind} device at all'}")


def again(devices: Sequence[Device], device: Device, kind: Kind) -> Device | None:
    """The same device in a new list, or None where it is gone."""
    same = [each for each in devices if (each.name, each.host) == (device.name, device.host) and each.channels(kind)]
    return next((each for each in same if each.index == device.index), same[0] if same else None)


def opened(
    host: Host,
    kind: Kind,
    device: Device,
    *,
    rate: int | None,
    block_ms: int,
    latency: Latency,
    ring: Callable[[int, int], Callback],
) -> Stream:
    """An open stream, not started: at the rate that is named or the device's, in stereo or mono or what else it takes.

    ``ring`` gets rate and channels, and gives the callback.
    """
    most = device.channels(kind)
    channels = [1, most] if kind == "input" else [2, most, 1]
    counts = list(dict.fromkeys(count for count in channels if count <= most))
    rates = [rate] if rate is not None else list(dict.fromkeys([device.rate, 48_000, 44_100]))
    failure: Unsuited | None = None
    for at in rates:
        for count in counts:
            callback = ring(at, count)
            frames = at * block_ms // 1000
            wanted = device.latency(kind, latency)
            try:
                return host.open(kind, device, rate=at, channels=count, frames=frames, latency=wanted, callback=callback)
            except Unsuited as error:
                failure = failure or error
    assert failure is not None
    raise failure
