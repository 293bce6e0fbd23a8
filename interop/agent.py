"""A program on livekit-agents in the shape of LiveKit's own guide for realtime models: an agent with tools, and a session that
is given the model. It has no room: its microphone and its loudspeaker are here. It knows nothing of rtcore."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from livekit import rtc
from livekit.agents import Agent, AgentSession, function_tool, llm
from livekit.agents.voice.io import AudioInput, AudioOutput, AudioOutputCapabilities

RATE = 24_000
STEP = RATE // 50
ANSWER = "18 degrees and dry"


class Loudspeaker(AudioOutput):
    """Sounds what it is given at real speed, 20 ms at a time, as the library asks of an output."""

    def __init__(self) -> None:
        super().__init__(label="test", capabilities=AudioOutputCapabilities(pause=False), sample_rate=RATE)
        self.heard = bytearray()
        """What was audible, without its silences."""
        self._waiting = bytearray()
        self._captured = self._played = 0  # of the present segment, in samples
        self._open = self._whole = False

    async def run(self) -> None:
        """Sound, until cancelled."""
        while True:
            await asyncio.sleep(0.02)
            piece, self._waiting = self._waiting[: 2 * STEP], self._waiting[2 * STEP :]
            if piece and not self._played:
                self.on_playback_started(created_at=time.time())
            self.heard += piece
            self._played += len(piece) // 2
            if self._open and self._whole and not self._waiting:
                self._finish(interrupted=False)

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """More of the present segment."""
        await super().capture_frame(frame)
        self._open = True
        self._waiting += bytes(frame.data)

    def flush(self) -> None:
        """The present segment is complete."""
        super().flush()
        self._whole = self._open

    def clear_buffer(self) -> None:
        """Silence."""
        self._waiting.clear()
        if self._open:
            self._finish(interrupted=True)

    def _finish(self, *, interrupted: bool) -> None:
        played, self._played = self._played, 0
        self._open = self._whole = False
        self.on_playback_finished(playback_position=played / RATE, interrupted=interrupted)


class Microphone(AudioInput):
    """What the user says, and silence in between, at 48 kHz as a room has it."""

    def __init__(self) -> None:
        super().__init__(label="test")
        self.said = b""

    async def __anext__(self) -> rtc.AudioFrame:
        await asyncio.sleep(0.02)
        frame, self.said = self.said[: 2 * STEP], self.said[2 * STEP :]
        pcm = memoryview(frame.ljust(2 * STEP, b"\0")).cast("h")
        doubled = b"".join(bytes(pcm[at : at + 1]) * 2 for at in range(STEP))
        return rtc.AudioFrame(doubled, 2 * RATE, 1, 2 * STEP)


class Program:
    """The session, and everything that it told."""

    def __init__(self, session: AgentSession[None], speaker: Loudspeaker, microphone: Microphone) -> None:
        self.session, self.speaker, self.microphone = session, speaker, microphone
        self.asked: list[str] = []
        """Places that the tool was called for."""
        self.errors: list[Any] = []
        self.items: list[Any] = []
        self.words: list[str] = []
        """What the user was understood to say."""
        self.closed = False
        self.late_s = 0.0
        """How long the agent waits before it plays a message."""

    async def until(self, enough: Callable[[], object]) -> None:
        """Wait until it is so."""
        async with asyncio.timeout(120):
            while not enough():
                await asyncio.sleep(0.01)

    async def heard(self, samples: int) -> None:
        """Until so much was heard in all, and nothing sounds any more."""
        await self.until(lambda: len(self.speaker.heard) // 2 >= samples)
        before = -1
        while before != (before := len(self.speaker.heard)):
            await asyncio.sleep(1)


@asynccontextmanager
async def running(model: llm.RealtimeModel) -> AsyncIterator[Program]:
    """The program, with its session started."""
    # Without echo there is no need to be deaf for the first three seconds of each turn.
    session: AgentSession[None] = AgentSession(llm=model, aec_warmup_duration=None)
    program = Program(session, Loudspeaker(), Microphone())

    class Assistant(Agent):
        """One tool, that takes its time; another agent to hand over to."""

        def __init__(self) -> None:
            super().__init__(instructions="You are a helpful voice assistant.")

        async def realtime_audio_output_node(self, audio: AsyncIterable[rtc.AudioFrame], _: Any) -> AsyncIterator[rtc.AudioFrame]:
            await asyncio.sleep(program.late_s)
            async for frame in audio:
                yield frame

        @function_tool
        async def weather(self, place: str) -> str:
            """The weather at a place."""
            program.asked.append(place)
            await asyncio.sleep(0.3)
            return ANSWER

        @function_tool
        async def book(self) -> Agent:
            """Hand over to the one who books."""
            return Agent(instructions="Book flights.")

    def closed(event: Any) -> None:
        program.closed = True

    session.output.audio = program.speaker
    session.input.audio = program.microphone
    session.on("error", lambda event: program.errors.append(event.error))
    session.on("conversation_item_added", lambda event: program.items.append(event.item))
    session.on("user_input_transcribed", lambda event: program.words.append(event.transcript) if event.is_final else None)
    session.on("close", closed)
    sounding = asyncio.create_task(program.speaker.run())
    try:
        await session.start(Assistant(), record=False)
        yield program
    finally:
        await session.aclose()
        sounding.cancel()
        await asyncio.gather(sounding, return_exceptions=True)
