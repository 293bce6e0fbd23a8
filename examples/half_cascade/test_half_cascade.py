"""The half cascade against the strict server, in virtual time: sound in, words to the model, text back, one's own voice out."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from examples.half_cascade.half_cascade import Detector, Espeak, HalfCascade, half_cascade_config
from examples.half_cascade.slow_writer import SENTENCES, SlowWriter
from loopback import KEY, VOICES, clean_run, scripted, served
from pydantic import SecretStr

from rtcore import PCM16_24K, MessageEnded, Notice, SpeakingStarted, TextDelta, Verdict
from rtcore.config import Connection
from rtcore.sim.server import MessagePlan, PartPlan, ResponsePlan, Server, ServerOptions
from rtcore_adapters.asyncio import connect
from rtcore_adapters.audio import VirtualSpeaker
from rtcore_adapters.testing import RealtimeServer, Written

FRAME = 960
ANSWER = "Paris is the capital of France. It lies on the Seine. Nine hundred metres of it are an island."


class Known:
    """A recogniser that knows what will be said, and takes a while."""

    def __init__(self, *words: str) -> None:
        self._words, self.lengths = list(words), list[int]()

    async def words(self, pcm: bytes) -> str:
        self.lengths.append(len(pcm) // 48)
        await asyncio.sleep(0.15)
        return self._words.pop(0)


class Beeps:
    """A voice of 300 ms for each word, the last 60 of them silent."""

    format = PCM16_24K

    async def sound(self, words: str) -> bytes:
        await asyncio.sleep(0.08)
        return b"".join(b"\x00\x10" * 5_760 + bytes(2 * 1_440) for _ in words.split())


class Person:
    """Speaks into the microphone, in frames."""

    def __init__(self, cascade: HalfCascade) -> None:
        self.cascade = cascade
        self.notices: list[Notice] = []

    async def speak(self, milliseconds: int) -> None:
        await self._frames(VOICES[0].pcm * 3, milliseconds)
        await self._frames(bytes(48 * 800), 800)

    async def _frames(self, pcm: bytes, milliseconds: int) -> None:
        for at in range(0, 48 * milliseconds, FRAME):
            self.cascade.hear(pcm[at : at + FRAME])
            await asyncio.sleep(0.02)

    @property
    def ended(self) -> list[MessageEnded]:
        """What sounded, in order: verdicts of the voice."""
        return [each for each in self.notices if isinstance(each, MessageEnded) and each.verdict is not Verdict.TEXT]

    async def until_ended(self, count: int) -> MessageEnded:
        async with asyncio.timeout(60):
            while len(self.ended) < count:
                await asyncio.sleep(0.01)
        return self.ended[count - 1]


def hold(
    play: Callable[[Person, Server], Awaitable[None]],
    recogniser: Known,
    *answers: str | tuple[str, ...],
    voice: Beeps | None = None,
) -> None:
    """Each answer is a message, or several."""
    messages = [(answer,) if isinstance(answer, str) else answer for answer in answers]
    script = tuple(ResponsePlan(tuple(MessagePlan((PartPlan(kind="text", text=text),)) for text in each)) for each in messages)

    async def main() -> None:
        async with served(ServerOptions(script=script)) as (url, servers):
            config = half_cascade_config(Connection(url=url, api_key=SecretStr(KEY)))
            async with connect(config, speaker=VirtualSpeaker()) as conversation:
                person = Person(HalfCascade(conversation, voice or Beeps(), recogniser))

                async def follow() -> None:
                    async for notice in conversation:
                        person.notices.append(notice)
                        person.cascade.told(notice)

                following = asyncio.create_task(follow())
                await play(person, servers[0])
                await asyncio.sleep(0.5)
                conversation.close()
                await following
            assert servers[0].refusals == []

    clean_run(main())


def remembered(server: Server) -> list[str]:
    """What the model's conversation holds, in order."""
    told = []
    for item_id in server.conversation:
        item = server.items[item_id]
        told.append(f"{item.role}: {''.join(_words(part) for part in item.content) or item.parts[0].planned_text}")
    return told


def _words(part: dict[str, Any]) -> str:
    return str(part.get("text", ""))


def test_what_is_said_is_recognised_answered_and_heard() -> None:  # B19, S05: user_turn with a recogniser of one's own
    recogniser = Known("What is the capital of France?")

    async def play(person: Person, server: Server) -> None:
        await person.speak(1_200)
        ended = await person.until_ended(1)
        assert (ended.verdict, ended.text, ended.heard_ms) == (Verdict.FULL, ANSWER, 300 * len(ANSWER.split()))
        assert remembered(server) == ["user: What is the capital of France?", f"assistant: {ANSWER}"]
        assert 1_200 <= recogniser.lengths[0] <= 1_200 + 900

    hold(play, recogniser, ANSWER)


def test_who_talks_over_the_voice_is_answered_by_a_model_that_knows_what_was_heard() -> None:  # B01, B30, C24
    recogniser = Known("What is the capital of France?", "And of Spain?")

    async def play(person: Person, server: Server) -> None:
        await person.speak(900)
        while not person.cascade._conversation.speaking:
            await asyncio.sleep(0.01)
        await asyncio.sleep(2.4)  # into the ninth word
        await person.speak(600)
        ended = await person.until_ended(1)
        assert ended.verdict is Verdict.PARTIAL and ended.text and ANSWER.startswith(ended.text)
        assert abs(len(ended.text.split()) - ended.heard_ms / 300) <= 1
        await person.until_ended(2)
        assert remembered(server) == [
            "user: What is the capital of France?",
            f"assistant: {ended.text}",
            "user: And of Spain?",
            "assistant: Madrid.",
        ]

    hold(play, recogniser, ANSWER, "Madrid.")


SECOND = "And this is the second message. It goes on."


@pytest.mark.parametrize(
    ("wait", "ends"),
    [(1.1, [Verdict.PARTIAL, Verdict.SKIPPED, Verdict.FULL]), (6.8, [Verdict.FULL, Verdict.PARTIAL, Verdict.FULL])],
    ids=["in the first", "in the second"],
)
def test_an_answer_of_two_messages_is_remembered_as_each_was_heard(wait: float, ends: list[Verdict]) -> None:  # B01, B05, C24
    recogniser = Known("What is the capital of France?", "And of Spain?")

    async def play(person: Person, server: Server) -> None:
        await person.speak(900)
        while not person.cascade._conversation.speaking:
            await asyncio.sleep(0.01)
        await asyncio.sleep(wait)
        await person.speak(600)
        await person.until_ended(3)
        assert [each.verdict for each in person.ended] == ends
        heard = [f"assistant: {each.text}" for each in person.ended if each.text]
        assert remembered(server) == ["user: What is the capital of France?", *heard[:-1], "user: And of Spain?", heard[-1]]

    hold(play, recogniser, (ANSWER, SECOND), "Madrid.")


def test_what_is_typed_is_answered_when_the_model_knows_what_was_heard() -> None:  # B19, B30
    with RealtimeServer() as server:
        server.answers(Written(ANSWER))
        server.answers(Written("Madrid."))

        async def main() -> None:
            config = half_cascade_config(server.connection)
            async with connect(config, speaker=VirtualSpeaker(), dial=server.dial) as conversation:
                cascade = HalfCascade(conversation, Beeps())
                cascade.said("What is the capital of France?")
                async for notice in conversation:
                    cascade.told(notice)
                    match notice:
                        case SpeakingStarted() if len(server.sent("response.create")) == 1:
                            asyncio.get_running_loop().call_later(1, cascade.said, "And of Spain?")
                        case MessageEnded(verdict=Verdict.FULL):
                            break
                        case _:
                            pass

        server.run(main)
        answer = ["conversation.item.create", "response.create"]
        corrected = ["conversation.item.delete", "conversation.item.create"]
        assert [event["type"] for event in server.sent()] == ["session.update", *answer, *corrected, *answer]
        assert server.refusals == []
        server.check()


@pytest.mark.parametrize("spoken", [False, True], ids=["typed", "spoken"])
def test_who_interrupts_a_model_that_still_writes_is_answered_when_it_has_stopped(spoken: bool) -> None:  # B01, B07, C24
    async def main() -> None:
        server = SlowWriter()
        async with scripted(server.talk) as url:
            config = half_cascade_config(Connection(url=url, api_key=SecretStr(KEY)))
            async with connect(config, speaker=VirtualSpeaker()) as conversation:
                cascade = HalfCascade(conversation, Beeps(), Known("And of Spain?"))
                person = Person(cascade)

                async def follow() -> None:
                    async for notice in conversation:
                        person.notices.append(notice)
                        cascade.told(notice)

                following = asyncio.create_task(follow())
                cascade.said("What is the capital of France?")
                while not conversation.speaking:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(1.2)
                if spoken:
                    await person.speak(600)
                else:
                    cascade.said("And of Spain?")
                heard = (await person.until_ended(1)).text.strip()
                await person.until_ended(2)
                conversation.close()
                await following
        question, answer, second, last = server.held.values()
        assert (question, second, last) == ("What is the capital of France?", "And of Spain?", "Madrid.")
        assert answer == heard and "".join(SENTENCES).startswith(heard)
        asked, corrected = (
            ["conversation.item.create", "response.create"],
            ["conversation.item.delete", "conversation.item.create"],
        )
        assert server.told == [*asked, "response.cancel", *corrected, *asked]
        assert server.refused == []

    clean_run(main())


class Hoarse(Beeps):
    """Fails at its second sentence."""

    said = 0

    async def sound(self, words: str) -> bytes:
        self.said += 1
        if self.said == 2:
            raise FileNotFoundError("no espeak-ng")
        return await super().sound(words)


def test_a_voice_that_fails_ends_no_conversation(caplog: pytest.LogCaptureFixture) -> None:
    """What it could not say is not left with the model."""

    async def play(person: Person, server: Server) -> None:
        person.cascade.said("What is the capital of France?")
        await person.until_ended(1)
        await asyncio.sleep(0.5)
        person.cascade.said("And of Spain?")
        await person.until_ended(2)
        first, *_ = ANSWER.partition(" It lies")
        assert [line.strip() for line in remembered(server)] == [
            "user: What is the capital of France?",
            f"assistant: {first}",
            "user: And of Spain?",
            "assistant: Madrid.",
        ]

    hold(play, Known(), ANSWER, "Madrid.", voice=Hoarse())
    assert "FileNotFoundError: no espeak-ng" in caplog.text


@pytest.mark.parametrize("when", ["written", "sounding"])
def test_a_cough_before_the_first_word_sounds_leaves_nobody_without_an_answer(when: str) -> None:  # B19, F120, C24
    """It is asked for again, by a model that knows nothing of what nobody heard; what was heard in part was an answer."""
    recogniser = Known("What is the capital of France?", "")

    async def play(person: Person, server: Server) -> None:
        await person.speak(900)
        while not any(isinstance(notice, TextDelta if when == "written" else SpeakingStarted) for notice in person.notices):
            await asyncio.sleep(0.005)
        await asyncio.sleep(0 if when == "written" else 0.4)
        await person._frames(VOICES[0].pcm * 3, 100)
        await person._frames(bytes(48 * 800), 800)
        await asyncio.sleep(30)
        [first, *others] = person.ended
        if when == "written":
            assert (first.verdict, [each.verdict for each in others]) == (Verdict.SKIPPED, [Verdict.FULL])
        else:
            assert (first.verdict, others) == (Verdict.PARTIAL, [])
        heard = ANSWER if when == "written" else first.text
        assert remembered(server) == ["user: What is the capital of France?", f"assistant: {heard}"]

    hold(play, recogniser, ANSWER, ANSWER)


def test_noise_is_no_speech() -> None:
    heard: list[object] = []
    detector = Detector(lambda: heard.append("began"), heard.append)
    for _ in range(10):
        for frame in (bytes(FRAME), b"\x00\x20" * 480, b"\x00\x20" * 480):  # 40 ms: a click
            detector.hear(frame)
    assert heard == []


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_espeak_speaks() -> None:
    sound = asyncio.run(Espeak().sound("Paris is the capital of France."))
    assert 1.0 < len(sound) / 2 / Espeak.format.rate < 4.0
