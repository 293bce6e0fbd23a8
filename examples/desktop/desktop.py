"""A conversation through a loudspeaker and a microphone in one room, without headphones: the model does not hear itself.

    python examples/desktop/desktop.py

The speaker says what became audible and when (``tap``); WebRTC's echo canceller takes that out of what the microphone hears,
before the server hears it. See README.md.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Any, Literal, Protocol

from livekit.rtc import AudioFrame
from livekit.rtc.apm import AudioProcessingModule

from rtcore import AudioFormat, Config, Interrupted, MessageEnded, Notice, UserTranscript
from rtcore.config import AudioInput, AudioOptions, BargeIn, Connection, SessionOptions, Transcription
from rtcore_adapters.asyncio import connect
from rtcore_adapters.audio import Microphone, MicrophoneSink, Speaker

log = logging.getLogger("desktop")

FRAME_MS = 10
"""What echo cancellers work in."""


class Canceller(Protocol):
    """Takes one sound out of another. Frames are 10 ms of PCM16, mono."""

    def reference(self, frame: bytes, rate: int) -> None:
        """What the loudspeaker sounded."""

    def clean(self, frame: bytes, rate: int) -> bytes:
        """What the microphone heard, without it."""


class WebRtc:
    """The canceller that browsers have (AEC3), from the package ``livekit``. It finds the delay in the room by itself."""

    def __init__(self, *, noise_suppression: bool = True) -> None:
        self._module = AudioProcessingModule(echo_cancellation=True, noise_suppression=noise_suppression)
        self._module.set_stream_delay_ms(0)

    def reference(self, frame: bytes, rate: int) -> None:
        self._module.process_reverse_stream(AudioFrame(bytearray(frame), rate, 1, len(frame) // 2))

    def clean(self, frame: bytes, rate: int) -> bytes:
        heard = AudioFrame(bytearray(frame), rate, 1, len(frame) // 2)
        self._module.process_stream(heard)
        return bytes(heard.data.cast("B"))


class CleanMicrophone:
    """A microphone without what the loudspeaker sounds. Give ``reference`` to ``DeviceSpeaker(tap=...)``."""

    def __init__(self, microphone: Microphone, canceller: Canceller) -> None:
        self._microphone, self._canceller = microphone, canceller
        self._sink: MicrophoneSink | None = None
        self._far, self._near = bytearray(), bytearray()  # less than a frame
        self.format: AudioFormat = microphone.format

    def reference(self, pcm: bytes, rate: int, at: float) -> None:
        """What became audible: called before the microphone's frames of the same time, on the same thread."""
        self._far += pcm
        size = 2 * rate * FRAME_MS // 1000
        while len(self._far) >= size:
            self._canceller.reference(bytes(self._far[:size]), rate)
            del self._far[:size]

    # -- a microphone towards the conversation -----------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        return self._microphone.deadline

    def open(self, sink: MicrophoneSink, *, now: float) -> None:
        self._sink = sink
        self._microphone.open(self, now=now)

    def tick(self, *, now: float) -> None:
        self._microphone.tick(now=now)

    def close(self, *, now: float) -> None:
        self._microphone.close(now=now)

    # -- a sink towards the microphone -------------------------------------------------------------------------------------------

    def audio(self, pcm: bytes) -> None:
        self._near += pcm
        rate = self.format.rate
        size = 2 * rate * FRAME_MS // 1000
        clean = bytearray()
        while len(self._near) >= size:
            clean += self._canceller.clean(bytes(self._near[:size]), rate)
            del self._near[:size]
        if clean and self._sink is not None:
            self._sink.audio(bytes(clean))

    def speech(self, event: Literal["started", "stopped"]) -> None:
        if self._sink is not None:
            self._sink.speech(event)


def desktop_config(connection: Connection) -> Config:
    """The canceller needs a moment of sound to learn the room: a voice in the first half second has to last, to count."""
    audio = AudioOptions(input=AudioInput(transcription=Transcription(model="gpt-4o-mini-transcribe")))
    return Config(
        connection=connection, session=SessionOptions(audio=audio), barge_in=BargeIn(echo_guard_ms=500, echo_guard="defer")
    )


async def converse(
    config: Config, speaker: Speaker, microphone: Microphone, *, told: Callable[[Notice], object] = lambda notice: None
) -> None:
    """Until the session ends."""
    async with connect(config, speaker=speaker, microphone=microphone) as conversation:
        conversation.respond({"instructions": "Say hello in one sentence."})
        async for notice in conversation:
            told(notice)
            match notice:
                case UserTranscript(text=text):
                    log.info("you: %s", text.strip())
                case MessageEnded(verdict=verdict, text=text):
                    log.info("model (%s): %s", verdict.value, text.strip())
                case Interrupted(cause=cause):
                    log.info("interrupted by %s", cause)
                case _:
                    pass


def devices(canceller: Canceller | None, **options: Any) -> tuple[Speaker, Microphone]:
    """The default loudspeaker and microphone; without a canceller as they are."""
    from rtcore_adapters.audio.device import DeviceMicrophone, DeviceSpeaker  # noqa: PLC0415 - an extra

    if canceller is None:
        return DeviceSpeaker(**options), DeviceMicrophone(**options)
    microphone = CleanMicrophone(DeviceMicrophone(**options), canceller)
    return DeviceSpeaker(tap=microphone.reference, **options), microphone


def main() -> None:
    """On the sound card."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = desktop_config(Connection(url=os.environ.get("RTCORE_URL"), api_key=os.environ.get("OPENAI_API_KEY")))
    asyncio.run(converse(config, *devices(WebRtc())))


if __name__ == "__main__":
    main()
