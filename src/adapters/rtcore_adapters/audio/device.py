"""Loudspeakers and microphones of this computer, through PortAudio (package ``sounddevice``): the extra ``audio``.

``pip install 'rtcore[audio]'``; on Debian and Ubuntu also ``apt-get install libportaudio2``. Without either, importing this
module raises ``ImportError``, which says what to install.
"""

from collections.abc import Sequence

from rtcore import PCM16_24K, AudioFormat
from rtcore_adapters.audio import _device_microphone, _device_speaker
from rtcore_adapters.audio._device_speaker import SpeakerCounts as SpeakerCounts
from rtcore_adapters.audio._device_speaker import Tap as Tap
from rtcore_adapters.audio._host import Device as Device
from rtcore_adapters.audio._host import DeviceError as DeviceError
from rtcore_adapters.audio._host import Latency as Latency
from rtcore_adapters.audio._portaudio import PortAudio


def list_devices() -> Sequence[Device]:
    """The sound devices of this computer, as PortAudio lists them. Raises ``DeviceError`` where it cannot."""
    return PortAudio().devices()


class DeviceSpeaker(_device_speaker.DeviceSpeaker):
    """A loudspeaker as a ``Speaker``.

    ``device`` is an index, a name, or a part of a name in any case; None is the default. ``rate`` is what the device runs at
    (None: its own); audio of another rate is resampled. ``latency`` ("low", "high" or seconds) is asked of the sound system,
    ``block_ms`` is how much it takes at one go. ``tap`` gets what becomes audible, silence included: PCM16 in mono, samples per
    second, and when the first of them sounded, in ``now`` seconds; it is called in the runtime's thread.

    Raises ``DeviceError`` where there is no such device, here and in ``open``; later a device that vanishes is told
    (``device("lost")``), and had back as soon as it is there again: the same, or the default where none was named.
    """

    def __init__(
        self,
        device: int | str | None = None,
        *,
        rate: int | None = None,
        latency: Latency = "low",
        tap: Tap | None = None,
        block_ms: int = 10,
    ) -> None:
        super().__init__(PortAudio(), device, rate=rate, latency=latency, tap=tap, block_ms=block_ms)


class DeviceMicrophone(_device_microphone.DeviceMicrophone):
    """A microphone as a ``Microphone``: its first channel, in frames of ``frame_ms`` in ``format``.

    ``device``, ``rate``, ``latency`` and ``block_ms`` are those of ``DeviceSpeaker``. While the device is away nothing is sent;
    ``skipped`` counts what was missed.
    """

    def __init__(
        self,
        device: int | str | None = None,
        *,
        format: AudioFormat = PCM16_24K,
        rate: int | None = None,
        latency: Latency = "low",
        frame_ms: int = 20,
        block_ms: int = 10,
    ) -> None:
        super().__init__(PortAudio(), device, format=format, rate=rate, latency=latency, frame_ms=frame_ms, block_ms=block_ms)
