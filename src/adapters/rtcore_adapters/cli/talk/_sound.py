"""What the talk is heard with and spoken into: the computer's own devices, or files. Never something else than was asked for."""

from collections.abc import Iterator
from contextlib import contextmanager

from rtcore_adapters.audio import Microphone, Speaker, VirtualSpeaker, WavMicrophone, WavSpeaker


class NoSound(Exception):
    """There is no such device. The text says what to install, or to ask for instead."""


def speaker(*, output: str | None, silent: bool, device: str | None) -> tuple[Speaker, str]:
    """The loudspeaker, and what it is, in words. Raises ``NoSound``."""
    if output is not None:
        return WavSpeaker(output), f"loudspeaker: {output}"
    if silent:
        return VirtualSpeaker(record=False), "no loudspeaker: what the model says passes unheard, at the speed of speech"
    with _available("no loudspeaker", "--output FILE writes what would be heard, --no-speaker lets it pass unheard"):
        from rtcore_adapters.audio.device import DeviceSpeaker  # noqa: PLC0415  # see _available

        return DeviceSpeaker(_named(device)), f"loudspeaker: {device or 'the default device'}"


def microphone(*, input: str | None, silent: bool, device: str | None) -> tuple[Microphone | None, str]:
    """The microphone, None where there is to be none, and what it is, in words. Raises ``NoSound``, ``AudioFileError``."""
    if input is not None:
        return WavMicrophone(input), f"microphone: {input}"
    if silent:
        return None, "no microphone: type what you want to say"
    with _available("no microphone", "--input FILE speaks a WAV file, --no-microphone takes typed text only"):
        from rtcore_adapters.audio.device import DeviceMicrophone  # noqa: PLC0415  # see _available

        return DeviceMicrophone(_named(device)), f"microphone: {device or 'the default device'}"


def devices() -> list[str]:
    """The sound devices of this computer, one in a line. Raises ``NoSound``."""
    with _available("the devices cannot be listed", ""):
        from rtcore_adapters.audio.device import list_devices  # noqa: PLC0415  # see _available

        found = list_devices()
    lines = []
    for each in found:
        uses = [f"{each.inputs} in" if each.inputs else "", f"{each.outputs} out" if each.outputs else ""]
        uses += ["default microphone" if each.default_input else "", "default loudspeaker" if each.default_output else ""]
        lines.append(f"{each.index:>3}  {each.name} ({each.host}): {', '.join(filter(None, uses))}, {each.rate} Hz")
    return lines


def _named(device: str | None) -> int | str | None:
    return int(device) if device is not None and device.isdecimal() else device


@contextmanager
def _available(what: str, instead: str) -> Iterator[None]:
    """Devices need an extra, a library of the system, and a device: where one is missing, what to do about it.

    So they are imported only where one is wanted.
    """
    try:
        yield
    except (ImportError, OSError) as error:
        raise NoSound("; ".join(part for part in (f"{what}: {error}", instead) if part)) from None
