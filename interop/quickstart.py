"""A program on openai-agents in the shape of the SDK's own quickstart (docs/realtime/quickstart.md there), with what its guide
adds: a tool, an agent to hand over to, a microphone, a player that is silenced. It knows nothing of rtcore: the runner is given a
model, or none."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from agents import function_tool
from agents.realtime import (
    RealtimeAgent,
    RealtimeModel,
    RealtimePlaybackTracker,
    RealtimeRunner,
    RealtimeSession,
    realtime_handoff,
)

FRAME = 960
"""Bytes of 20 ms."""
KEY = "sk-test-0123456789abcdef"
ANSWER = "18 degrees and dry"


class Player:
    """Sounds what it is given at real speed, 20 ms at a time, and tells the tracker, if there is one."""

    def __init__(self, tracker: RealtimePlaybackTracker | None) -> None:
        self.heard: dict[str, bytearray] = {}
        """What was audible, by item."""
        self.held = False
        """Nothing sounds yet: a device that is opened, a line that is put through."""
        self.marked = False
        """It tells of whole pieces, and when it is silenced, of all that waited, as a telephone line returns its marks."""
        self._tracker = tracker
        self._queue: list[tuple[str, int, bytes, bytes]] = []  # what is left of each piece, and the whole

    def play(self, item_id: str, content_index: int, pcm: bytes) -> None:
        """Sound it behind what waits."""
        self._queue.append((item_id, content_index, pcm, pcm))

    def clear(self) -> None:
        """Silence."""
        over, self._queue = self._queue, []
        if self.marked and self._tracker is not None:
            for item_id, content_index, _, whole in over:
                self._tracker.on_play_bytes(item_id, content_index, whole)

    async def run(self) -> None:
        """Sound, until cancelled."""
        while True:
            await asyncio.sleep(0.02)
            room = FRAME
            while self._queue and room and not self.held:
                item_id, content_index, pcm, whole = self._queue.pop(0)
                taken, rest = pcm[:room], pcm[room:]
                if rest:
                    self._queue.insert(0, (item_id, content_index, rest, whole))
                room -= len(taken)
                self.heard.setdefault(item_id, bytearray()).extend(taken)
                if self._tracker is not None and (not self.marked or not rest):
                    self._tracker.on_play_bytes(item_id, content_index, whole if self.marked else taken)


class Program:
    """The session, and everything that it told."""

    def __init__(self, session: RealtimeSession, player: Player) -> None:
        self.session, self.player = session, player
        self.events: list[Any] = []
        self.asked: list[str] = []
        """Places that the tool was called for."""
        self._said = b""

    def of(self, kind: str) -> list[Any]:
        """Events of a kind."""
        return [event for event in self.events if event.type == kind]

    async def until(self, enough: Callable[[], object]) -> None:
        """Wait until it is so."""
        async with asyncio.timeout(120):
            while not enough():
                await asyncio.sleep(0.01)

    async def quiet(self, answers: int) -> None:
        """Until so many answers have ended, and nothing sounds any more."""
        await self.until(lambda: len(self.of("agent_end")) >= answers)
        heard = -1
        while heard != (heard := sum(map(len, self.player.heard.values()))):
            await asyncio.sleep(0.5)

    async def listen(self) -> None:
        """The loop that every program of the SDK has."""
        async for event in self.session:
            self.events.append(event)
            if event.type == "audio":
                self.player.play(event.item_id, event.content_index, event.audio.data)
            elif event.type == "audio_interrupted":
                self.player.clear()

    def say(self, pcm: bytes) -> None:
        """The user speaks."""
        self._said += pcm

    async def microphone(self) -> None:
        """What the user says, and silence in between."""
        while True:
            await asyncio.sleep(0.02)
            frame, self._said = self._said[:FRAME], self._said[FRAME:]
            await self.session.send_audio(frame.ljust(FRAME, b"\0"))


@asynccontextmanager
async def running(
    model: RealtimeModel | None,
    url: str,
    *,
    tracked: bool = False,
    guardrails: tuple[Any, ...] = (),
    key: Any = KEY,
    **settings: Any,
) -> AsyncIterator[Program]:
    """The program, with its session entered."""
    program: Program

    @function_tool
    async def weather(place: str) -> str:
        """The weather at a place."""
        program.asked.append(place)
        await asyncio.sleep(0.3)
        return ANSWER

    booking = RealtimeAgent(name="Booking", instructions="Book flights.", handoff_description="Books flights.")
    agent = RealtimeAgent(
        name="Assistant",
        instructions="You are a helpful voice assistant. Keep responses short and conversational.",
        tools=[weather],
        handoffs=[realtime_handoff(booking)],
        output_guardrails=list(guardrails),
    )
    runner = RealtimeRunner(
        starting_agent=agent,
        model=model,
        config={
            "model_settings": {
                "model_name": "gpt-realtime-2",
                "audio": {
                    "input": {
                        "format": "pcm16",
                        "transcription": {"model": "gpt-4o-mini-transcribe"},
                        "turn_detection": {"type": "semantic_vad", "interrupt_response": True},
                    },
                    "output": {"format": "pcm16", "voice": "ash"},
                },
                **settings,
            }
        },
    )
    tracker = RealtimePlaybackTracker() if tracked else None
    config: Any = {"url": url}
    if key is not None:
        config["api_key"] = key
    if tracker is not None:
        config["playback_tracker"] = tracker
    session = await runner.run(model_config=config)
    async with session:
        program = Program(session, Player(tracker))
        tasks = [asyncio.create_task(each) for each in (program.player.run(), program.listen(), program.microphone())]
        try:
            yield program
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
    for each in ended:
        if isinstance(each, Exception):
            raise each
