"""Servers that nobody here wrote, against our client (issue 5): nothing raises, sound is heard, and the session goes on.

What a server does differently comes out as notices, and as nothing else (C28, B27, C29).
"""

import asyncio
import json
import math
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from driving import PATIENCE, Peer, running, theirs

from rtcore import (
    Config,
    Interrupted,
    MessageEnded,
    MessageStarted,
    Notice,
    ProtocolWarning,
    RawEvent,
    RequestEnded,
    ResponseEnded,
    ResponseStarted,
    ServerError,
    SessionClosed,
    ToolCalled,
    UnknownEvent,
    UserSpeechStarted,
    Verdict,
)
from rtcore.config import AudioInput, AudioOptions, Connection, DialectName, FunctionTool, ServerVad, SessionOptions
from rtcore.dialects import DIALECTS
from rtcore_adapters.asyncio import ConnectionFailed, Conversation, connect
from rtcore_adapters.audio import VirtualSpeaker

N = TypeVar("N", bound=Notice)
TONE = struct.pack("<960h", *(round(12_000 * math.sin(2 * math.pi * 220 * at / 24_000)) for at in range(960)))
FRAME_S = 0.04


class Talk:
    """A conversation with everything that was noticed in it."""

    def __init__(self, conversation: Conversation, speaker: VirtualSpeaker) -> None:
        self.conversation, self.speaker = conversation, speaker
        self.noticed: list[Notice] = []

    async def listen(self) -> None:
        async for notice in self.conversation:
            self.noticed.append(notice)

    def all(self, kind: type[N]) -> list[N]:
        """The notices of a kind, so far."""
        return [notice for notice in self.noticed if isinstance(notice, kind)]

    async def until(self, kind: type[N], count: int = 1) -> list[N]:
        """Wait for so many notices of a kind."""
        try:
            async with asyncio.timeout(PATIENCE):
                while len(found := self.all(kind)) < count:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            seen = Counter(type(notice).__name__ for notice in self.noticed)
            raise AssertionError(f"no {count} x {kind.__name__} came; {seen}; {self.deviations()}") from None
        return found

    async def speak(self, ms: int, silence_ms: int = 600) -> None:
        """Speak into the microphone, in real time, and be silent afterwards."""
        for at in range(0, ms + silence_ms, 40):
            self.conversation.append_audio(TONE if at < ms else bytes(len(TONE)))
            await asyncio.sleep(FRAME_S)

    def deviations(self) -> Counter[str]:
        """What the server did differently, by the notices that say so."""
        found: Counter[str] = Counter()
        for notice in self.noticed:
            match notice:
                case ProtocolWarning():
                    found[f"{notice.event_type}: {notice.reason}"] += 1
                case UnknownEvent():
                    found[f"unknown: {notice.event_type}"] += 1
                case ServerError():
                    found[f"error: {notice.problem.code} {notice.problem.message}"] += 1
                case RequestEnded(outcome="failed" | "timed_out"):
                    found[f"request {notice.outcome}: {notice.problem and notice.problem.message}"] += 1
                case _:
                    pass
        return found


@asynccontextmanager
async def talking(config: Config) -> AsyncIterator[Talk]:
    """Our client in a conversation with some server."""

    async def weather(**arguments: object) -> str:
        return "18 degrees and dry"

    speaker = VirtualSpeaker()
    async with asyncio.timeout(2 * PATIENCE), connect(config, speaker=speaker, tools={"weather": weather}) as conversation:
        talk = Talk(conversation, speaker)
        listening = asyncio.create_task(talk.listen())
        try:
            yield talk
            assert not talk.all(SessionClosed), "the session goes on"
        finally:
            listening.cancel()


TOOL = FunctionTool(name="weather", description="The weather at a place.", parameters={"type": "object", "properties": {}})


def audible(speaker: VirtualSpeaker) -> bool:
    """Whether anything sounded."""
    return any(speaker.signal)


async def address(peer: Peer) -> str:
    """Where the peer listens."""
    await peer.until(lambda peer: peer.values("port"), "the server listens")
    return f"ws://127.0.0.1:{peer.values('port')[0]}/v1/realtime"


@pytest.mark.parametrize("dialect", ["openai", "speech-to-speech"])
def test_speech_to_speech(dialect: str, tmp_path: Path) -> None:
    """Two turns, a call and a barge-in with the server of speech-to-speech, taken for what its first event shows, and told
    (C10, C28, F022, F027, F132).
    """
    asyncio.run(speech_to_speech(tmp_path / "errors.txt", dialect))


async def speech_to_speech(errors: Path, dialect: str) -> None:
    vad = AudioOptions(input=AudioInput(turn_detection=ServerVad()))
    async with running([theirs("SPEECH_PYTHON"), "speech_server.py"], errors) as peer:
        told = {"dialect": dialect} if dialect != "openai" else {}
        connection = Connection.model_validate({"url": await address(peer), **told})
        async with talking(Config(connection=connection, session=SessionOptions(tools=(TOOL,), audio=vad))) as talk:
            assert talk.conversation.capabilities == DIALECTS[dialect].capabilities
            talk.conversation.send_text("Who are you?")
            [first] = await talk.until(MessageEnded)
            assert (first.verdict, first.full_text) == (Verdict.FULL, "I am a toy.")
            assert audible(talk.speaker)
            talk.conversation.send_text("What is the weather?")
            [_, after] = await talk.until(MessageEnded, 2)
            assert [call.name for call in talk.all(ToolCalled)] == ["weather"]
            assert (after.verdict, after.full_text) == (Verdict.FULL, "It is so.")
            talk.conversation.send_text("Tell me a story.")
            await talk.until(MessageStarted, 3)
            await asyncio.sleep(1)
            await talk.speak(700)
            [*_, story, last] = await talk.until(MessageEnded, 4)
            await talk.until(ResponseEnded, 5)
            assert talk.all(UserSpeechStarted)
            assert len(talk.all(Interrupted)) == 1
            assert story.verdict is Verdict.PARTIAL
            assert (last.verdict, last.full_text) == (Verdict.FULL, "I am a toy.")
            if dialect == "speech-to-speech":
                assert talk.deviations() == Counter()  # its table has it that a truncate is not answered
                return
            # It truncates in silence: the wait for the answer ends, and says so.
            await talk.until(ServerError)
            assert talk.deviations() == Counter({"error: no_answer the server did not answer conversation.item.truncate": 1})


@pytest.mark.parametrize("dialect", ["openai", "openai-beta"])
def test_aimock(dialect: DialectName, tmp_path: Path) -> None:
    """Text, a call, and a manual turn with aimock, which has no sound, in GA and in the beta (C28, C29, F062, F133, F142)."""
    asyncio.run(aimock(dialect, tmp_path / "errors.txt"))


async def aimock(dialect: DialectName, errors: Path) -> None:
    beta = dialect == "openai-beta"
    async with running(["node", "aimock.mjs", *["beta"] * beta], errors) as peer:
        # GA is found by its first events.
        connection = Connection(url=await address(peer), dialect=dialect if beta else None)
        config = Config(connection=connection, session=SessionOptions(tools=(TOOL,)), tap="all")
        async with talking(config) as talk:
            assert talk.conversation.capabilities == DIALECTS[dialect].capabilities
            talk.conversation.send_text("Who are you?")
            [first] = await talk.until(MessageEnded)
            await talk.until(ResponseEnded)  # a text cuts what has not ended
            assert (first.verdict, first.full_text) == (Verdict.TEXT, "I am a mock.")
            talk.conversation.send_text("What is the weather?")
            [_, after] = await talk.until(MessageEnded, 2)
            assert [call.arguments for call in talk.all(ToolCalled)] == ['{"place":"Rome"}']
            assert (after.verdict, after.full_text) == (Verdict.TEXT, "It is so.")
            await talk.speak(400, silence_ms=0)
            talk.conversation.commit()
            talk.conversation.respond()
            [*_, last] = await talk.until(MessageEnded, 3)
            assert last.verdict is Verdict.TEXT
            # It commits without saying which item.
            assert talk.deviations() == Counter({"input_audio_buffer.committed: a server message could not be read": 1})
            said = {json.loads(each.payload)["type"] for each in talk.all(RawEvent) if each.direction == "received"}
    # Each generation has its own names.
    assert ("response.text.delta" in said, "response.output_text.delta" in said) == (beta, not beta)
    assert ("conversation.item.created" in said, "conversation.item.added" in said) == (beta, not beta)


def test_aimock_refuses_the_beta(tmp_path: Path) -> None:
    """The beta's header is refused as by the real server: an error, and close code 4000 (C28, F133; protocol facts 1.4)."""
    asyncio.run(aimock_refuses_the_beta(tmp_path / "errors.txt"))


async def aimock_refuses_the_beta(errors: Path) -> None:
    async with running(["node", "aimock.mjs"], errors) as peer:
        connection = Connection(url=await address(peer), headers={"OpenAI-Beta": "realtime=v1"})
        with pytest.raises(ConnectionFailed) as failed:
            async with talking(Config(connection=connection)):
                pass
    assert failed.value.problem is not None
    assert failed.value.problem.code == "beta_api_shape_disabled"
    assert "no OpenAI-Beta header" in failed.value.problem.remedy


def test_fakeai(tmp_path: Path) -> None:
    """A server that is wrong in nearly everything: every turn ends, and the next one is asked for (B27, C29)."""
    asyncio.run(fakeai(tmp_path / "errors.txt"))


async def fakeai(errors: Path) -> None:
    async with running([theirs("FAKEAI_PYTHON"), "fakeai_server.py"], errors) as peer:
        config = Config(connection=Connection(url=await address(peer)))
        async with talking(config) as talk:
            assert talk.conversation.capabilities == DIALECTS["openai-beta"].capabilities
            for turn in range(1, 4):
                talk.conversation.send_text("Who are you?")
                await talk.until(ResponseStarted, turn)
                # It breaks off with an error instead of audio, and response.done never comes.
                await talk.until(ServerError, turn)
            await talk.speak(400)
            await talk.until(UserSpeechStarted)
            deviations = talk.deviations()
    # No delta names its item, most fields are null, and an event of its own says that a response was cancelled.
    assert deviations["response.text.delta: a server message could not be read"] >= 3
    assert deviations["unknown: response.cancelled"] >= 1
