"""A voice, a button and a recogniser of the program's own in every runtime, over a socket (issue 6, part 3)."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
import trio
from loopback import clean_run, config, served, served_in_a_thread, until
from test_docs import Block, blocks
from virtual_loop import run

from rtcore import MessageEnded, MessageStarted, UserTranscript, Verdict
from rtcore.config import SessionOptions
from rtcore.sim.server import ServerOptions, spoken
from rtcore_adapters import asyncio as on_asyncio
from rtcore_adapters import threads as on_threads
from rtcore_adapters import trio as on_trio
from rtcore_adapters.audio import VirtualSpeaker

MANUAL = SessionOptions.model_validate({"audio": {"input": {"turn_detection": None}}})
CLIP = bytes(range(1, 241)) * 20  # 100 ms, and no sample of it silent
SCRIPT = ServerOptions(script=(spoken(200), spoken(200)))


def heard(speaker: VirtualSpeaker) -> bytes:
    """The audible signal without its silences."""
    return b"".join(bytes(speaker.signal[2 * s.position : 2 * (s.position + s.samples)]) for s in speaker.spans)


def test_a_clip_is_heard_sample_by_sample_before_the_answer_behind_it() -> None:
    async def main() -> None:
        speaker = VirtualSpeaker()
        async with served(SCRIPT) as (url, servers):
            async with on_asyncio.connect(config(url, session=MANUAL), speaker=speaker) as conversation:
                request = conversation.say(CLIP, "One moment.", remember=True)
                conversation.send_text("Hello.", interrupt=False)
                assert (await request).outcome == "done"
                first, second = [await until(conversation, MessageEnded) for _ in range(2)]
            [told] = [item for item in servers[0].items.values() if item.role == "assistant" and item.origin == "client"]
            assert (first.verdict, second.verdict, first.text) == (Verdict.FULL, Verdict.FULL, "One moment.")
            answer = servers[0].items[second.item_id]
            assert heard(speaker) == CLIP + answer.audio
            assert told.content == [{"type": "output_text", "text": "One moment."}]
            assert servers[0].refusals == []

    clean_run(main())


def test_pieces_and_an_interruption_on_trio() -> None:
    async def main(url: str) -> None:
        async with on_trio.connect(config(url, session=MANUAL), speaker=VirtualSpeaker()) as conversation:
            voice = conversation.voice()
            for word in ("One ", "two ", "three "):
                voice.append(CLIP, word)
            async for notice in conversation:
                if isinstance(notice, MessageStarted):
                    conversation.interrupt()
                if isinstance(notice, MessageEnded):
                    break
            voice.append(CLIP, "four")  # too late, and no mistake
            voice.end()
            assert (await voice.request).outcome == "cancelled"

    with served_in_a_thread(options=SCRIPT) as url:
        trio.run(main, url)


def test_a_clip_and_a_turn_in_words_in_threads() -> None:
    with (
        served_in_a_thread(options=SCRIPT) as url,
        on_threads.connect(config(url, session=MANUAL), speaker=VirtualSpeaker()) as conversation,
    ):
        assert conversation.say(CLIP).result(5).outcome == "done"
        conversation.speech("started")
        conversation.speech("stopped")
        assert conversation.user_turn("What time is it?").result(5).outcome == "done"
        told: list[object] = []
        for notice in conversation:
            if isinstance(notice, UserTranscript):
                told.append(notice.text)
            if isinstance(notice, MessageEnded) and notice.item_id in {item.id for item in conversation.history}:
                told.append(notice.verdict)
                break
        assert told == ["What time is it?", Verdict.FULL]


def test_a_conversation_that_is_over_ends_a_voice_without_a_second_error() -> None:
    async def main() -> None:
        async with served(SCRIPT) as (url, _), on_asyncio.connect(config(url, session=MANUAL)) as conversation:
            with conversation.voice() as voice:
                voice.append(CLIP)
                conversation.close()
            assert (await voice.request).outcome == "cancelled"

    clean_run(main())


@pytest.mark.parametrize("block", [pytest.param(each, id=each.name) for each in blocks("python button")])
def test_the_page_prints_what_stands_on_it(
    block: Block, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def beside(main: Coroutine[Any, Any, None]) -> None:
        async with served(SCRIPT) as (url, _):
            monkeypatch.setenv("RTCORE_URL", url)
            await main

    monkeypatch.setattr(asyncio, "run", lambda main: run(beside(main)))
    exec(compile(block.body, block.name, "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out == block.output
