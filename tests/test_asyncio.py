"""The asyncio adapter against the strict server, over a loopback socket, in virtual time."""

import asyncio
import logging
import os
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from loopback import KEY, VOICES, clean_run, config, open_sockets, rest, served, until
from virtual_loop import EarlyLoop, run

from rtcore import (
    PCMU,
    Interrupted,
    LocalProtocolError,
    MessageEnded,
    MessageStarted,
    MicrophoneDropped,
    Notice,
    Problem,
    RequestEnded,
    ResponseEnded,
    ServerError,
    SessionClosed,
    SpeakingStarted,
    SpeakingStopped,
    TextDelta,
    ToolCalled,
    UserSpeechStarted,
    Verdict,
)
from rtcore.sim.server import CallPlan, ResponsePlan, Rules, Server, ServerOptions, spoken
from rtcore_adapters.asyncio import ConnectionFailed, Conversation, Request, RequestFailed, connect
from rtcore_adapters.audio import AudioFileError, SilentMicrophone, VirtualSpeaker, WavMicrophone, WavSpeaker

RULES = Rules(error_event_id="always")


def scripted(*plans: ResponsePlan, **options: Any) -> ServerOptions:
    return ServerOptions(script=plans, rules=RULES, **options)


def heard(speaker: VirtualSpeaker) -> bytes:
    """The audible signal without its silences."""
    return b"".join(bytes(speaker.signal[2 * s.position : 2 * (s.position + s.samples)]) for s in speaker.spans)


def spoken_items(server: Server) -> list[Any]:
    return [item for item in server.items.values() if item.role == "assistant"]


def _undelayed(port: int) -> list[bool]:
    """Whether TCP_NODELAY is set, for both ends of every connection to the port."""
    found = []
    for descriptor in open_sockets():
        with socket.socket(fileno=os.dup(descriptor)) as end:
            try:
                ports = {end.getsockname()[1], end.getpeername()[1]}
            except (OSError, IndexError):
                continue  # it listens, or is no internet socket
            if port in ports:
                found.append(bool(end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
    return found


def test_a_truncate_does_not_wait_for_the_last_acknowledgement() -> None:  # TCP_NODELAY
    async def main() -> None:
        async with served() as (url, _), connect(config(url)):
            assert _undelayed(urlsplit(url).port or 0) == [True, True]

    clean_run(main())


# -- a conversation ---------------------------------------------------------------------------------------------------------


def test_two_messages_are_heard_whole_and_in_order() -> None:  # S01
    async def main() -> None:
        speaker = VirtualSpeaker()
        async with served(scripted(spoken(3000, 2000))) as (url, servers):
            async with connect(config(url), speaker=speaker) as conversation:
                assert conversation.state == "ready"
                ended = await conversation.send_text("Tell me a story with two parts.")
                assert (ended.outcome, ended.response_id) == ("done", next(iter(servers[0].responses)))
                notices: list[Notice] = []
                async for notice in conversation:
                    notices.append(notice)
                    if isinstance(notice, SpeakingStopped):
                        break
                assert not conversation.speaking
                assert [item.role for item in conversation.history] == ["user", "assistant", "assistant"]
            first, second = spoken_items(servers[0])
            assert heard(speaker) == first.audio + second.audio
            story = [type(n) for n in notices if isinstance(n, SpeakingStarted | MessageStarted | MessageEnded | SpeakingStopped)]
            assert story == [SpeakingStarted, MessageStarted, MessageEnded, MessageStarted, MessageEnded, SpeakingStopped]
            assert [n.verdict for n in notices if isinstance(n, MessageEnded)] == [Verdict.FULL, Verdict.FULL]
            assert servers[0].refusals == []

    clean_run(main())


@pytest.mark.parametrize("flush_ms", [0, 60])
@pytest.mark.parametrize("wait", [0.0, 0.011, 0.777, 3.02])
def test_an_interruption_is_exact_to_the_sample(wait: float, flush_ms: int) -> None:  # B01, B04, B06
    async def main() -> None:
        speaker = VirtualSpeaker(flush_ms=flush_ms)
        async with served(scripted(spoken(3000, 2000), spoken(1000))) as (url, servers):
            async with connect(config(url), speaker=speaker) as conversation:
                conversation.send_text("Tell me a story with two parts.")
                await until(conversation, SpeakingStarted)
                await asyncio.sleep(wait)
                conversation.interrupt()
                cut = await until(conversation, Interrupted)
                assert not cut.estimated
                assert heard(speaker) == b"".join(item.audio for item in spoken_items(servers[0]))[: len(heard(speaker))]
                assert (await conversation.send_text("And now something else.")).outcome == "done"
                await until(conversation, SpeakingStopped)
            first, *others = spoken_items(servers[0])
            samples = sum(span.samples for span in speaker.spans if span.generation == 1)
            if cut.partial == (first.id,):
                assert first.parts[0].truncated_ms == samples // 24
            else:
                assert others[0].parts[0].truncated_ms == (samples - first.parts[0].sent_samples) // 24
            assert all(servers[0].items[item].deleted for item in cut.skipped)
            assert servers[0].refusals == []

    clean_run(main())


def test_a_person_interrupts_by_speaking_and_is_answered() -> None:  # C01, C12
    async def main() -> None:
        speaker, microphone = VirtualSpeaker(), WavMicrophone()
        async with served(scripted(spoken(9000), spoken(1000))) as (url, servers):
            async with connect(config(url), speaker=speaker, microphone=microphone) as conversation:
                conversation.send_text("Tell me everything.")
                await until(conversation, SpeakingStarted)
                await asyncio.sleep(1.0)
                microphone.say(VOICES[0].pcm[:48_000])
                assert (await until(conversation, UserSpeechStarted)).item_id is not None
                cut = await until(conversation, Interrupted)
                samples = sum(span.samples for span in speaker.spans if span.generation == 1)
                again = await until(conversation, SpeakingStarted)
                await until(conversation, SpeakingStopped)
            item = servers[0].items[cut.partial[0]]
            assert item.parts[0].truncated_ms == samples // 24
            assert servers[0].responses[again.response_id].cause == "turn"
            assert servers[0].refusals == []

    clean_run(main())


def test_a_pause_holds_the_sound_and_loses_nothing() -> None:  # B16
    async def main() -> None:
        speaker = VirtualSpeaker()
        async with served(scripted(spoken(2000))) as (url, servers):
            async with connect(config(url), speaker=speaker) as conversation:
                conversation.send_text("Go on.")
                await until(conversation, SpeakingStarted)
                await asyncio.sleep(0.5)
                conversation.pause()
                paused = sum(span.samples for span in speaker.spans)
                await asyncio.sleep(3.0)
                assert sum(span.samples for span in speaker.spans) == paused
                conversation.resume()
                await until(conversation, SpeakingStopped)
            assert heard(speaker) == spoken_items(servers[0])[0].audio

    clean_run(main())


def test_the_other_dialect_is_one_url_away() -> None:  # S02
    async def main() -> None:
        async with served(scripted(spoken(500))) as (url, servers):
            base = url.removesuffix("/v1/realtime")
            azure = config(f"{base}/openai/realtime", interruption="cut").model_copy()
            connection = azure.connection.model_copy(update={"dialect": "azure-preview", "deployment": "voice"})
            there = type(azure)(connection=connection.model_copy(update={"url": base + "/openai/realtime"}))
            async with connect(there) as conversation:
                await conversation.send_text("Hello.")
                ended = await until(conversation, MessageEnded)
                assert ended.verdict is Verdict.FULL
            assert servers[0].options.dialect == "azure-preview"
            assert servers[0].refusals == []

    clean_run(main())


def _one_answer() -> "Coroutine[Any, Any, None]":
    async def main() -> None:
        speaker = VirtualSpeaker()
        async with served(scripted(spoken(300))) as (url, servers):
            async with connect(config(url), speaker=speaker, microphone=SilentMicrophone()) as conversation:
                conversation.send_text("Hello.")
                await until(conversation, SpeakingStopped)
            assert heard(speaker) == spoken_items(servers[0])[0].audio
            assert servers[0].refusals == []

    return main()


def test_a_loop_that_wakes_a_hair_early_changes_nothing() -> None:
    run(_one_answer(), EarlyLoop)


def test_a_real_clock_will_do() -> None:
    asyncio.run(_one_answer())


# -- requests ---------------------------------------------------------------------------------------------------------------


def test_a_request_gives_its_end_or_raises_the_problem() -> None:  # invariant 2
    async def main() -> None:
        async with served(scripted()) as (url, _), connect(config(url)) as conversation:
            item = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be brief."}]}
            made = await conversation.create_item(item)
            assert made.outcome == "done"
            assert made.item_id is not None
            deleted = conversation.delete_item(made.item_id)
            before, ended = deleted.ended, await deleted
            assert (before, ended.outcome, deleted.ended) == (None, "done", ended)
            with pytest.raises(RequestFailed, match=r"request \d failed: .*\. Correct ") as caught:
                await conversation.create_item({**item, "content": [{"type": "output_text", "text": "x"}]})
            assert caught.value.problem is not None
            assert caught.value.ended.outcome == "failed"
            assert (await conversation.update({"instructions": "Be kind."})).outcome == "done"

    clean_run(main())


def test_who_waits_may_be_cancelled_the_request_is_not() -> None:
    async def main() -> None:
        async with served(scripted(spoken(300))) as (url, _), connect(config(url)) as conversation:
            request = conversation.send_text("Hello.")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(_ended(request), 0.01)
            assert (await request).outcome == "done"

    clean_run(main())


async def _ended(request: Request) -> RequestEnded:
    return await request


def test_the_callers_mistake_is_raised_where_it_was_made() -> None:
    async def main() -> None:
        async with served() as (url, _), connect(config(url)) as conversation:
            with pytest.raises(LocalProtocolError, match="text"):
                conversation.send_text("")
            conversation.close()
            closed = await rest(conversation)
            assert closed[-1] == SessionClosed("closed")
            with pytest.raises(LocalProtocolError):
                conversation.send_text("too late")
            with pytest.raises(StopAsyncIteration):
                await anext(aiter(conversation))

    clean_run(main())


def test_what_is_open_settles_when_the_session_is_closed() -> None:  # invariant 2, F101
    async def main() -> None:
        async with served(scripted(spoken(5000))) as (url, _):
            async with connect(config(url)) as conversation:
                request = conversation.send_text("Hello.")
                await until(conversation, SpeakingStarted)
                conversation.close()
                notices = await rest(conversation)
                assert notices[-1] == SessionClosed("closed")
            assert request.ended is not None
            assert next(n for n in notices if isinstance(n, MessageEnded)).verdict is Verdict.PARTIAL

    clean_run(main())


# -- tools ------------------------------------------------------------------------------------------------------------------

TOOLS = [
    {"type": "function", "name": name, "parameters": {"type": "object", "properties": properties}}
    for name, properties in (("weather", {"place": {"type": "string"}}), ("broken", {}), ("other", {}))
]


def test_tools_answer_calls_and_failures_are_answers_too() -> None:  # C26, invariant 10
    async def weather(place: str) -> dict[str, object]:
        await asyncio.sleep(0.3)
        return {"place": place, "sky": "blue"}

    async def broken() -> str:
        raise KeyError("no key")

    async def main() -> None:
        calls = ResponsePlan((CallPlan("weather", '{"place":"Paris"}'), CallPlan("broken")))
        tools: Any = {"weather": weather, "broken": broken}
        async with served(scripted(calls, spoken(500))) as (url, servers):
            there = config(url, session={"tools": TOOLS})
            async with connect(there, tools=tools) as conversation:
                conversation.send_text("What is the weather in Paris?")
                called = await until(conversation, ToolCalled)
                assert called.name == "weather"
                await until(conversation, SpeakingStopped)
            outputs = {item.call_id: item.output for item in servers[0].items.values() if item.type == "function_call_output"}
            assert sorted(outputs.values()) == ['{"error":"KeyError: \'no key\'"}', '{"place":"Paris","sky":"blue"}']
            assert len(servers[0].responses) == 2
            assert servers[0].refusals == []

    clean_run(main())


class _Mute(Exception):
    def __str__(self) -> str:
        return "half a \ud800 pair"


def _cycle() -> object:
    cycle: list[object] = []
    cycle.append(cycle)
    return cycle


@pytest.mark.parametrize(
    ("gives", "answer"),
    [
        (object(), '{"error":"the tool returned something that is not JSON"}'),
        (b"\xff", None),
        (_cycle(), '{"error":"the tool returned something that is not JSON"}'),
        ("half a \ud800 pair", '{"error":"the tool returned something that is not JSON"}'),
        (asyncio.CancelledError(), '{"error":"CancelledError"}'),
        (asyncio.CancelledError("by itself"), '{"error":"CancelledError: by itself"}'),
        (_Mute(), '{"error":"_Mute: half a ? pair"}'),
    ],
    ids=["object", "bytes", "cycle", "surrogate", "cancelled", "cancelled with words", "surrogate in the error"],
)
def test_whatever_a_tool_does_its_call_is_answered_and_the_model_goes_on(  # C26
    gives: object, answer: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL + 1, "rtcore.tools")  # pytest-xdist cannot carry half a pair to its parent

    async def weather(place: str = "here") -> object:
        if isinstance(gives, BaseException):
            raise gives
        return gives

    async def main() -> None:
        async with served(scripted(ResponsePlan((CallPlan("weather"),)), spoken(300))) as (url, servers):
            async with connect(config(url, session={"tools": TOOLS}), tools={"weather": weather}) as conversation:
                conversation.send_text("What is the weather?")
                await until(conversation, SpeakingStopped)
            (output,) = [item.output for item in servers[0].items.values() if item.type == "function_call_output"]
            assert answer is None or output == answer
            assert len(servers[0].responses) == 2
            assert servers[0].refusals == []

    clean_run(main())


def test_a_tool_that_still_runs_when_the_conversation_ends_is_cancelled_with_it() -> None:
    ended: list[str] = []

    async def weather(place: str = "here") -> object:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return None

    async def main() -> None:
        async with served(scripted(ResponsePlan((CallPlan("weather"),)))) as (url, servers):
            async with connect(config(url, session={"tools": TOOLS}), tools={"weather": weather}) as conversation:
                conversation.send_text("What is the weather?")
                await until(conversation, ToolCalled)
                await asyncio.sleep(1.0)
            assert not [item for item in servers[0].items.values() if item.type == "function_call_output"]

    clean_run(main())
    assert ended == ["cancelled"]


def test_a_long_clip_in_one_piece_keeps_its_end_and_tells_the_loss_once() -> None:  # C30
    async def main() -> None:
        manual = {"audio": {"input": {"turn_detection": None}}}
        async with served(scripted()) as (url, _), connect(config(url, session=manual)) as conversation:
            conversation.append_audio(bytes(48_000 * 900))
            conversation.close()
            (lost,) = [notice for notice in await rest(conversation) if isinstance(notice, MicrophoneDropped)]
            assert 0 < lost.dropped_ms < 900_000  # how much the socket takes at once is the machine's

    clean_run(main())


def test_sound_of_another_type_is_refused_by_its_name() -> None:
    async def main() -> None:
        async with served() as (url, _), connect(config(url)) as conversation:
            wrong: Any = "AAAA"
            with pytest.raises(LocalProtocolError, match="pcm: is str, not bytes"):
                conversation.append_audio(wrong)

    clean_run(main())


def test_a_call_without_a_tool_is_the_programs() -> None:
    async def main() -> None:
        async with served(scripted(ResponsePlan((CallPlan("other"),)), spoken(300))) as (url, servers):
            async with connect(config(url, session={"tools": TOOLS}), tools={}) as conversation:
                conversation.send_text("Do it.")
                called = await until(conversation, ToolCalled)
                await until(conversation, ResponseEnded)
                await conversation.tool_result(called.call_id, "done")
                await until(conversation, SpeakingStopped)
            assert [i.output for i in servers[0].items.values() if i.type == "function_call_output"] == ["done"]

    clean_run(main())


# -- a program that does not listen -----------------------------------------------------------------------------------------


def test_a_consumer_that_never_reads_stops_nothing() -> None:  # DESIGN 7
    async def main() -> None:
        speaker = VirtualSpeaker()
        async with served(scripted(spoken(3000, 3000), spoken(1000))) as (url, servers):
            async with connect(config(url), speaker=speaker) as conversation:
                await conversation.send_text("Tell me a story.")
                await asyncio.sleep(8.0)
                await conversation.send_text("And another one.")
                await asyncio.sleep(3.0)
                assert heard(speaker) == b"".join(item.audio for item in spoken_items(servers[0]))
                conversation.close()
                notices = await rest(conversation)
            assert [n.verdict for n in notices if isinstance(n, MessageEnded)] == [Verdict.FULL] * 3
            assert conversation.dropped_notices == 0
            texts = [n.delta for n in notices if isinstance(n, TextDelta)]
            assert "".join(texts).startswith(spoken_items(servers[0])[0].parts[0].sent_text)

    clean_run(main())


# -- devices ----------------------------------------------------------------------------------------------------------------


def test_what_was_heard_goes_into_a_wav(tmp_path: Path) -> None:
    async def main() -> bytes:
        async with served(scripted(spoken(700))) as (url, servers):
            async with connect(config(url), speaker=WavSpeaker(tmp_path / "heard.wav")) as conversation:
                conversation.send_text("Hello.")
                await until(conversation, SpeakingStopped)
            audio: bytes = spoken_items(servers[0])[0].audio
            return audio

    said = clean_run(main())
    assert said in (tmp_path / "heard.wav").read_bytes()


def test_a_file_that_cannot_be_used_stops_it_before_it_dials(tmp_path: Path) -> None:
    async def main() -> None:
        async with served() as (url, servers):
            with pytest.raises(AudioFileError, match="is a directory"):
                async with connect(config(url), speaker=WavSpeaker(tmp_path)):
                    raise AssertionError("unreachable")
            assert servers == []

    clean_run(main())


def test_a_microphone_of_another_format_is_named() -> None:
    async def main() -> None:
        async with served() as (url, _):
            with pytest.raises(ValueError, match=r"the microphone delivers .*pcmu.*set audio\.input\.format"):
                async with connect(config(url), microphone=SilentMicrophone(format=PCMU)):
                    raise AssertionError("unreachable")

    clean_run(main())


class Failing(VirtualSpeaker):
    """A speaker that fails after half a second of sound."""

    def __init__(self, fault: Exception) -> None:
        super().__init__()
        self._fault = fault

    def tick(self, *, now: float) -> None:
        super().tick(now=now)
        if self.spans and self.position - self.spans[0].position > 12_000:
            raise self._fault


def test_a_device_that_vanishes_does_not_end_the_conversation() -> None:  # F100, DESIGN 7
    async def main() -> None:
        async with served(scripted(spoken(3000), spoken(500))) as (url, servers):
            async with connect(config(url), speaker=Failing(OSError("unplugged"))) as conversation:
                conversation.send_text("Hello.")
                ended = await until(conversation, MessageEnded)
                assert ended.verdict is Verdict.PARTIAL
                assert (await conversation.send_text("Are you there?")).outcome == "done"
            assert len(servers[0].responses) == 2

    clean_run(main())


class Unplugged(SilentMicrophone):
    """A microphone that is gone after a tenth of a second, and cannot even be closed."""

    def tick(self, *, now: float) -> None:
        super().tick(now=now)
        if self.position >= 2400:
            raise OSError("unplugged")

    def close(self, *, now: float) -> None:
        super().close(now=now)
        raise OSError("gone")


def test_a_microphone_that_vanishes_does_not_either(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with served(scripted(spoken(300))) as (url, _), connect(config(url), microphone=Unplugged()) as conversation:
            await asyncio.sleep(1.0)
            assert (await conversation.send_text("I would rather write.")).outcome == "done"

    clean_run(main())
    assert caplog.messages == ["the microphone was lost: unplugged", "a device did not close: gone"]


def test_a_mistake_in_a_device_is_raised_where_the_program_waits() -> None:
    async def main() -> None:
        async with served(scripted(spoken(3000))) as (url, _):
            with pytest.raises(ZeroDivisionError):
                async with connect(config(url), speaker=Failing(ZeroDivisionError("a bug"))) as conversation:
                    conversation.send_text("Hello.")
                    await rest(conversation)
            with pytest.raises(ZeroDivisionError):
                async with connect(config(url), speaker=Failing(ZeroDivisionError("a bug"))) as conversation:
                    await conversation.send_text("Hello.")
                    await asyncio.sleep(5.0)

    clean_run(main())


def test_a_command_from_within_a_speaker_is_refused() -> None:
    class Meddling(VirtualSpeaker):
        conversation: Conversation

        def play(self, *args: Any, **options: Any) -> None:
            self.conversation.interrupt()

    async def main() -> None:
        speaker = Meddling()
        async with served(scripted(spoken(500))) as (url, _):
            with pytest.raises(LocalProtocolError, match="from within a speaker"):
                async with connect(config(url), speaker=speaker) as conversation:
                    speaker.conversation = conversation
                    conversation.send_text("Hello.")
                    await rest(conversation)

    clean_run(main())


# -- leaving ----------------------------------------------------------------------------------------------------------------


def test_an_exception_in_the_block_comes_out_as_it_is() -> None:
    async def main() -> None:
        async with served(scripted(spoken(3000))) as (url, servers):
            speaker = VirtualSpeaker()
            with pytest.raises(ZeroDivisionError):
                async with connect(config(url), speaker=speaker) as conversation:
                    conversation.send_text("Hello.")
                    await until(conversation, SpeakingStarted)
                    raise ZeroDivisionError
            assert speaker.deadline is None
            assert servers[0].refusals == []

    clean_run(main())


def test_cancelled_anywhere_it_leaves_nothing() -> None:  # issue 2: no task, socket or thread left behind
    async def converse(url: str, speaker: VirtualSpeaker) -> None:
        async with connect(config(url), speaker=speaker, microphone=WavMicrophone(VOICES[0].pcm)) as conversation:
            conversation.send_text("Tell me a story.")
            await until(conversation, SpeakingStarted)
            await rest(conversation)

    async def main() -> None:
        async with served(scripted(spoken(2000))) as (url, _):
            tasks, sockets = asyncio.all_tasks(), open_sockets()
            for turns in [*range(36), *range(60, 400, 31)]:
                speaker = VirtualSpeaker()
                task = asyncio.create_task(converse(url, speaker))
                for _ in range(turns):
                    await asyncio.sleep(0)
                await asyncio.sleep(0.003 * turns if turns >= 60 else 0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert speaker.deadline is None
                await asyncio.sleep(1.0)  # the server's side hears of it
                assert asyncio.all_tasks() == tasks, turns
                assert open_sockets() == sockets

    clean_run(main())


def test_many_conversations_at_once() -> None:
    async def converse(url: str, length: float) -> Verdict:
        async with connect(config(url)) as conversation:
            conversation.send_text("Hello.")
            await until(conversation, SpeakingStarted)
            await asyncio.sleep(length)
            conversation.interrupt()
            return (await until(conversation, MessageEnded)).verdict

    async def main() -> None:
        async with served(scripted(spoken(3000))) as (url, servers):
            verdicts = await asyncio.gather(*(converse(url, 0.1 * number) for number in range(10)))
            assert verdicts == [Verdict.PARTIAL] * 10
            assert len(servers) == 10
            assert all(server.refusals == [] for server in servers)

    clean_run(main())


def test_the_same_seed_gives_the_same_conversation() -> None:  # invariant 14, C30
    def once() -> tuple[list[Notice], bytes]:
        async def main() -> tuple[list[Notice], bytes]:
            speaker = VirtualSpeaker()
            async with served(scripted(spoken(1000, 800))) as (url, _), connect(config(url), speaker=speaker, seed=5) as talk:
                talk.send_text("Hello.")
                await until(talk, SpeakingStarted)
                await asyncio.sleep(0.5)
                talk.interrupt()
                await until(talk, Interrupted)
                talk.close()
                return await rest(talk), bytes(speaker.signal)

        return run(main())

    assert once() == once()


def test_a_wrong_key_is_a_clear_error_without_the_key() -> None:  # B25, protocol facts 1.5
    async def main() -> None:
        async with served(api_key="sk-right") as (url, servers):
            with pytest.raises(ConnectionFailed) as caught:
                async with connect(config(url)):
                    raise AssertionError("unreachable")
            assert servers == []
        problem = caught.value.problem
        assert isinstance(problem, Problem)
        assert caught.value.reason == "refused"
        assert problem.code == "handshake_unauthorized"
        assert not problem.retryable
        assert "401 Unauthorized: Incorrect API key provided" in str(caught.value)
        assert "Check api_key" in str(caught.value)
        assert KEY not in str(caught.value) + repr(caught.value) + repr(problem)

    clean_run(main())


def test_an_error_of_the_server_is_a_notice_and_the_session_goes_on() -> None:
    async def main() -> None:
        async with served(scripted(spoken(300))) as (url, _), connect(config(url)) as conversation:
            conversation.append_audio(bytes(4800 * 2))
            request = conversation.create_item({"type": "message", "role": "user", "content": [{"type": "nonsense"}]})
            with pytest.raises(RequestFailed):
                await request
            assert (await conversation.send_text("Hello.")).outcome == "done"
            conversation.close()
            assert [n for n in await rest(conversation) if isinstance(n, ServerError) and n.fatal] == []

    clean_run(main())
