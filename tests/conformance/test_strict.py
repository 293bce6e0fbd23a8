"""The same programs on every adapter against the strict server (issue 4, item 4).

Where time is virtual, everything is the same to the bit: notices with their times, messages with their ids. On the real clock the
course of the conversation is, and the server refuses nothing anywhere.
"""

import time
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

import anyio
import pytest
from loopback import VOICES, config

from conformance.plays import flowed
from conformance.strict import StrictServer
from conformance.talks import RUNTIMES, Talk
from rtcore import (
    AudioHeld,
    Config,
    Interrupted,
    MessageEnded,
    Notice,
    ResponseEnded,
    SessionClosed,
    SpeakingStarted,
    SpeakingStopped,
    Verdict,
)
from rtcore.sim.server import CallPlan, ResponsePlan, spoken
from rtcore_adapters.audio import VirtualSpeaker, WavMicrophone

WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {"place": {"type": "string"}}}}


def there(**options: Any) -> Config:
    return config("ws://server.example/v1/realtime", **options)


class Case(NamedTuple):
    """A program, the server that it talks to, and what it connects with."""

    program: Callable[[Talk], Coroutine[Any, Any, list[Notice]]]
    server: Callable[[], StrictServer]
    config: Config
    verdicts: list[Verdict]
    options: Callable[[], dict[str, Any]] = dict


async def listen(talk: Talk, kind: type[Notice], found: list[Notice]) -> Notice:
    """Take notices up to the next of a kind."""
    while (notice := await talk.notice()) is not None:
        found.append(notice)
        if isinstance(notice, kind):
            return notice
    raise AssertionError(f"the notices ended without {kind.__name__}: {found}")


async def finish(talk: Talk, found: list[Notice]) -> list[Notice]:
    """Close, and take the rest."""
    talk.conversation.close()
    found += await talk.rest()
    return found


async def two_messages(talk: Talk) -> list[Notice]:  # S01
    found: list[Notice] = []
    talk.conversation.send_text("Tell me a story in two parts.")
    await listen(talk, SpeakingStopped, found)
    assert [item.role for item in talk.conversation.history] == ["user", "assistant", "assistant"]
    return await finish(talk, found)


async def barge_in(talk: Talk) -> list[Notice]:  # B01, B03: in the second of three
    found: list[Notice] = []
    talk.conversation.send_text("Tell me a story in three parts.")
    while not any(isinstance(each, MessageEnded) for each in found):
        await listen(talk, MessageEnded, found)
    await talk.sleep(0.4)
    talk.conversation.interrupt()
    await listen(talk, Interrupted, found)
    talk.conversation.send_text("Shorter, please.")
    await listen(talk, SpeakingStopped, found)
    await listen(talk, SpeakingStopped, found)
    return await finish(talk, found)


async def tools(talk: Talk) -> list[Notice]:  # C26
    found: list[Notice] = []
    talk.conversation.send_text("What is the weather in Paris?")
    await listen(talk, SpeakingStopped, found)
    return await finish(talk, found)


async def pause(talk: Talk) -> list[Notice]:  # B16
    found: list[Notice] = []
    talk.conversation.send_text("Hello.")
    await listen(talk, SpeakingStarted, found)
    talk.conversation.pause()
    await talk.sleep(0.3)
    talk.conversation.resume()
    await listen(talk, SpeakingStopped, found)
    return await finish(talk, found)


async def edits(talk: Talk) -> list[Notice]:  # invariant 2
    found: list[Notice] = []
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "My name is Ada."}]}
    asked = [
        talk.conversation.update({"instructions": "Be brief."}),
        talk.conversation.create_item(item),
        talk.conversation.send_text("Who am I?", respond=False),
        talk.conversation.respond({"conversation": "none", "output_modalities": ["text"]}),
    ]
    await listen(talk, ResponseEnded, found)
    await talk.sleep(0.2)
    asked.append(talk.conversation.delete_item(talk.conversation.history[0].id))
    await talk.sleep(0.3)
    assert [request.ended.outcome for request in asked] == ["done"] * 5
    return await finish(talk, found)


async def synchronised(talk: Talk) -> list[Notice]:  # B22, F107
    found: list[Notice] = []
    notes = [
        {"id": name, "type": "message", "role": "system", "content": [{"type": "input_text", "text": name}]}
        for name in ("one", "two", "three")
    ]
    asked = [talk.conversation.sync_history(notes)]
    await talk.sleep(0.2)
    asked.append(talk.conversation.sync_history([notes[2], "one"], base=talk.conversation.history))
    await talk.sleep(0.2)
    asked.append(talk.conversation.move_item("one", "root"))
    await talk.sleep(0.2)
    asked.append(talk.conversation.replace_item("three", {**notes[1], "id": "four"}))
    await talk.sleep(0.2)
    asked.append(talk.conversation.sync_history(talk.conversation.history))
    talk.conversation.send_text("Hello.")
    await listen(talk, AudioHeld, found)
    [held] = [notice for notice in found if isinstance(notice, AudioHeld)]
    talk.conversation.release(held.response_id)
    await listen(talk, SpeakingStopped, found)
    assert [request.ended.outcome for request in asked] == ["done"] * 5
    assert [item.text for item in talk.conversation.history][:2] == ["one", "two"]
    return await finish(talk, found)


async def voice(talk: Talk) -> list[Notice]:  # C01: the user speaks, and is answered
    found: list[Notice] = []
    await listen(talk, SpeakingStopped, found)
    return await finish(talk, found)


def weather(place: str) -> dict[str, str]:
    time.sleep(0.01)
    return {"place": place, "sky": "blue"}


PARIS = ResponsePlan((CallPlan("weather", '{"place":"Paris"}'),))
PREVIEW = Config.model_validate(
    {
        "connection": {
            "url": "ws://server.example/openai/realtime",
            "dialect": "azure-preview",
            "deployment": "voice",
            "api_key": "none",
        }
    }
)
FULL, PARTIAL, SKIPPED = Verdict.FULL, Verdict.PARTIAL, Verdict.SKIPPED
CASES = {
    "two messages": Case(two_messages, lambda: StrictServer(spoken(600, 300)), there(), [FULL, FULL]),
    "barge-in": Case(
        barge_in,
        lambda: StrictServer(spoken(400, 3000, 800, rate_percent=1500), spoken(300)),
        there(),
        [FULL, PARTIAL, SKIPPED, FULL],
    ),
    "a tool": Case(
        tools,
        lambda: StrictServer(PARIS, spoken(300)),
        there(session={"tools": [WEATHER]}),
        [FULL],
        lambda: {"tools": {"weather": weather}},
    ),
    "pause": Case(pause, lambda: StrictServer(spoken(500)), there(), [FULL]),
    "edits": Case(edits, StrictServer, there(), [Verdict.TEXT] * 3),
    "synchronised": Case(synchronised, lambda: StrictServer(spoken(300)), there(playout={"hold_ms": 5000}), [FULL]),
    "preview dialect": Case(two_messages, lambda: StrictServer(spoken(300, 300), dialect="azure-preview"), PREVIEW, [FULL, FULL]),
    "voice": Case(
        voice,
        lambda: StrictServer(spoken(300)),
        there(),
        [FULL],
        lambda: {"microphone": WavMicrophone(VOICES[0].pcm[: 48 * 800])},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_conversation_with_the_strict_server_is_the_same_on_every_adapter(name: str) -> None:  # C30, S01, S02
    case = CASES[name]
    told: dict[str, tuple[list[Notice], list[bytes]]] = {}
    for runtime in RUNTIMES:
        server, speaker = case.server(), VirtualSpeaker()
        notices = flowed(runtime.run(case.program, server, case.config, speaker=speaker, seed=1, **case.options()))
        assert server.truth.refusals == [], runtime.name
        assert [each.verdict for each in notices if isinstance(each, MessageEnded)] == case.verdicts, runtime.name
        assert notices[-1] == SessionClosed("closed"), runtime.name
        if runtime.virtual:
            told[runtime.name] = (notices, server.sent)
    first, *others = told
    for other in others:
        assert told[other][0] == told[first][0], f"notices of {other} and {first}"
        assert told[other][1] == told[first][1], f"messages of {other} and {first}"


def test_coroutine_tools_run_on_the_runtime_itself() -> None:  # C26
    async def slow_weather(place: str) -> dict[str, str]:
        await anyio.sleep(0.3)
        return {"place": place, "sky": "blue"}

    told: dict[str, tuple[list[Notice], list[bytes]]] = {}
    for runtime in RUNTIMES:
        if runtime.name not in ("asyncio", "trio"):
            continue
        server = StrictServer(PARIS, spoken(300))
        case = there(session={"tools": [WEATHER]})
        notices = runtime.run(tools, server, case, speaker=VirtualSpeaker(), seed=1, tools={"weather": slow_weather})
        assert server.truth.refusals == []
        outputs = [item.output for item in server.truth.items.values() if item.type == "function_call_output"]
        assert outputs == ['{"place":"Paris","sky":"blue"}']
        told[runtime.name] = (flowed(notices), server.sent)
    assert told["asyncio"] == told["trio"]
