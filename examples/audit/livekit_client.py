"""livekit-agents, judged: ``rtcore audit --http 0 -- python examples/audit/livekit_client.py``.

An ``AgentSession`` with the plugin's ``RealtimeModel`` and no room: its audio output is a speaker without a device, written as
the library asks (``capture_frame``, ``flush``, ``clear_buffer``, ``on_playback_finished`` with the position that was heard).
"""

import asyncio
import os
import time
from urllib.parse import urlsplit

from livekit import rtc
from livekit.agents import Agent, AgentSession, APIConnectionError, ErrorEvent, function_tool, llm
from livekit.agents.voice.io import AudioInput, AudioOutput, AudioOutputCapabilities
from livekit.plugins.openai.realtime import RealtimeModel
from openai.types.beta.realtime.session import TurnDetection
from sounding import RATE, Speaker


class Output(AudioOutput):
    """Frames go to the speaker; a segment is finished when its last sample was heard, or when it was cleared."""

    def __init__(self) -> None:
        super().__init__(label="audit", capabilities=AudioOutputCapabilities(pause=False), sample_rate=RATE)
        self.speaker = Speaker(self._heard)
        self._segment: list[int] | None = None  # samples captured, samples heard
        self._flushed: list[list[int]] = []

    def _heard(self, pcm: bytes, tag: object) -> None:
        assert isinstance(tag, list)
        if tag[1] == 0:
            asyncio.get_running_loop().call_soon(self._started)
        tag[1] += len(pcm) // 2
        while self._flushed and self._flushed[0][1] >= self._flushed[0][0]:
            segment = self._flushed.pop(0)
            self.on_playback_finished(playback_position=segment[1] / RATE, interrupted=False)

    def _started(self) -> None:
        self.on_playback_started(created_at=time.time())

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """More of the present segment."""
        await super().capture_frame(frame)
        if self._segment is None:
            self._segment = [0, 0]
        self._segment[0] += frame.samples_per_channel
        self.speaker.play(bytes(frame.data), self._segment)

    def flush(self) -> None:
        """The present segment has all its audio."""
        super().flush()
        if self._segment is None:
            return
        segment, self._segment = self._segment, None
        if segment[1] >= segment[0]:
            self.on_playback_finished(playback_position=segment[1] / RATE, interrupted=False)
        else:
            self._flushed.append(segment)

    def clear_buffer(self) -> None:
        """Silence now."""
        self.speaker.clear()
        segments, self._flushed = self._flushed, []
        if self._segment is not None:
            segments.append(self._segment)
            self._segment = None
        for segment in segments:
            self.on_playback_finished(playback_position=segment[1] / RATE, interrupted=True)


class Assistant(Agent):
    """One tool, that takes its time."""

    def __init__(self) -> None:
        super().__init__(instructions="Answer briefly.")

    @function_tool
    async def weather(self, place: str = "") -> str:
        """The weather at a place."""
        await asyncio.sleep(0.3)
        return "18 degrees and dry"


class Silence(AudioInput):
    """A microphone in a quiet room: the audit's user needs no sound to be found speaking."""

    async def __anext__(self) -> rtc.AudioFrame:
        await asyncio.sleep(0.05)
        return rtc.AudioFrame(bytes(2 * RATE // 20), RATE, 1, RATE // 20)


def plugin() -> llm.RealtimeModel:
    """The model of livekit's own plugin."""
    url = urlsplit(os.environ["RTCORE_URL"])
    return RealtimeModel(
        base_url=f"http://{url.netloc}/v1",
        api_key="sk-not-a-key-0123456789",
        turn_detection=TurnDetection(type="server_vad", interrupt_response=True, create_response=True),
    )


async def main(model: llm.RealtimeModel) -> None:
    """Talk until the audit hangs up."""
    session = AgentSession(llm=model)
    output = Output()
    session.output.audio = output
    session.input.audio = Silence(label="silence")
    over = asyncio.Event()
    session.on("close", lambda event: over.set())

    def failed(event: ErrorEvent) -> None:
        # The audit hangs up when it is over; the library would connect again.
        if isinstance(getattr(event.error, "error", None), APIConnectionError):
            over.set()

    session.on("error", failed)
    sounding = asyncio.create_task(output.speaker.run())
    try:
        await session.start(Assistant(), record=False)
        await over.wait()
    finally:
        sounding.cancel()
        await asyncio.gather(sounding, return_exceptions=True)
        await session.aclose()


if __name__ == "__main__":
    asyncio.run(main(plugin()))
