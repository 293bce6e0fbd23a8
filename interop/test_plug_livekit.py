"""livekit-agents' sessions with rtcore behind them (docs/plugs.md), against the strict server, in virtual time.

``make plugs`` runs this in an environment that has the library. The program is ``agent.py``: its session is given the model, and
nothing else of it is changed.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from agent import ANSWER, Program, running
from livekit.agents import Agent, llm
from loopback import KEY, VOICES, served
from manners import ODD, USUAL, script
from virtual_loop import run

from rtcore import Config
from rtcore.config import AudioInput, AudioOptions, Connection, Reconnect, ServerVad, SessionOptions, Transcription
from rtcore.sim.server import CallPlan, ResponsePlan, Rules, Server, spoken
from rtcore_livekit import RtcoreRealtimeModel
from rtcore_livekit._items import ga_item

CALL = ResponsePlan((CallPlan("weather", '{"place":"Rome"}'),))
HANDOFF = ResponsePlan((CallPlan("book", "{}"),))
VOICE = VOICES[0].pcm[:48_000]
pytestmark = pytest.mark.filterwarnings("default")


def model(url: str, **options: Any) -> RtcoreRealtimeModel:
    session = SessionOptions(
        audio=AudioOptions(input=AudioInput(turn_detection=ServerVad(), transcription=Transcription(model="whisper-1")))
    )
    options = {"session": session, "reconnect": Reconnect(attempts=0), **options}
    return RtcoreRealtimeModel(Config(connection=Connection(url=url, api_key=KEY), **options))


def spoken_items(server: Server) -> list[Any]:
    return [item for item in server.items.values() if item.role == "assistant"]


def told(program: Program) -> list[str]:
    """What livekit's history has of the assistant."""
    return [item.text_content for item in program.items if item.type == "message" and item.role == "assistant"]


def words(chat: llm.ChatContext) -> str:
    """What it has of the assistant."""
    return " ".join(item.text_content or "" for item in chat.messages() if item.role == "assistant")


def clean(main: Coroutine[Any, Any, None]) -> None:
    """Run in virtual time, and see that the plug leaves no task behind. (livekit keeps sockets and threads of its own.)"""

    async def watched() -> None:
        await main
        await asyncio.sleep(0.01)
        left = [task for task in asyncio.all_tasks() if "rtcore" in repr(task.get_coro())]
        assert left == [], left

    run(watched())


@pytest.mark.parametrize("rules", [USUAL, ODD], ids=["usual", "odd"])
def test_two_turns_and_a_function_call_are_heard_whole(rules: Rules) -> None:  # B19, C20
    async def main() -> None:
        async with served(script(spoken(1200), CALL, spoken(1500, 800), rules=rules)) as (url, servers):
            async with running(model(url)) as program:
                program.session.generate_reply(instructions="Greet the user.")
                await program.heard(1200 * 24)
                program.microphone.said = VOICE
                await program.heard((1200 + 1500 + 800) * 24)
            server = servers[0]
            items = spoken_items(server)
            assert server.refusals == []
            assert program.asked == ["Rome"]
            assert [item.output for item in server.items.values() if item.type == "function_call_output"] == [ANSWER]
            assert bytes(program.speaker.heard) == b"".join(item.audio for item in items)
            assert told(program) == [item.parts[0].planned_text for item in items]
            assert len(program.words) == 1
            assert server.session["instructions"] == "You are a helpful voice assistant."

    clean(main())


@pytest.mark.parametrize("wait", [0.31, 1.234, 2.6])
@pytest.mark.parametrize("rules", [USUAL, ODD], ids=["usual", "odd"])
def test_a_person_interrupts_and_nothing_unheard_is_left(rules: Rules, wait: float) -> None:  # B01, B04, B05, F002
    async def main() -> None:
        async with served(script(spoken(2000, 3000, 1000), spoken(700), rules=rules)) as (url, servers):
            async with running(model(url)) as program:
                program.session.generate_reply(user_input="Tell me everything.")
                await program.until(lambda: program.speaker.heard)
                await asyncio.sleep(wait)
                program.microphone.said = VOICE
                await program.until(
                    lambda: len(spoken_items(servers[0])) > 1 and servers[0].items and len(servers[0].responses) == 2
                )
                await program.heard(len(program.speaker.heard) // 2 + 700 * 24 - 2400)
            server = servers[0]
            *said, answer = spoken_items(server)
            assert server.refusals == []
            before = len(program.speaker.heard) // 2 - len(answer.audio) // 2
            assert bytes(program.speaker.heard[2 * before :]) == answer.audio
            for item in said:
                length = len(item.audio) // 2
                part = item.parts[0]
                if before <= 0:
                    assert item.deleted
                elif item.deleted or part.truncated_ms is not None:
                    assert part.truncated_ms == before // 24
                else:
                    assert length <= before
                before -= length if part.truncated_ms is None else before
            assert program.errors == []

    clean(main())


def test_playback_that_begins_seconds_late_has_heard_nothing_before() -> None:  # C19, F078
    async def main() -> None:
        async with served(script(spoken(2000, 1000), spoken(700))) as (url, servers):
            async with running(model(url)) as program:
                program.late_s = 8
                program.session.generate_reply()
                await program.until(lambda: len(program.speaker.heard) > 48_000)
                await program.session.interrupt()
                await asyncio.sleep(1)
                heard = len(program.speaker.heard)
            first, second = spoken_items(servers[0])
            assert first.parts[0].truncated_ms == heard // 48
            assert second.deleted
            assert servers[0].refusals == []

    clean(main())


def test_the_program_interrupts() -> None:  # C12
    async def main() -> None:
        async with served(script(spoken(5000), spoken(700))) as (url, servers):
            async with running(model(url)) as program:
                program.session.generate_reply()
                await program.until(lambda: len(program.speaker.heard) > 48_000)
                await program.session.interrupt()
                heard = len(program.speaker.heard)
                program.session.generate_reply(user_input="No.")
                await program.heard(heard // 2 + 700 * 24)
            first, answer = spoken_items(servers[0])
            assert first.parts[0].truncated_ms == heard // 48
            assert bytes(program.speaker.heard[heard:]) == answer.audio
            assert (servers[0].refusals, program.errors) == ([], [])
            assert [item.role for item in servers[0].items.values()] == ["assistant", "user", "assistant"]

    clean(main())


def test_it_is_handed_over_to_another_agent() -> None:  # S12
    async def main() -> None:
        async with served(script(HANDOFF, spoken(900))) as (url, servers):
            async with running(model(url)) as program:
                program.session.generate_reply(user_input="Book me a flight.")
                await program.until(lambda: any(server.session.get("instructions") == "Book flights." for server in servers))
                await program.until(lambda: len(servers[-1].items) > 0)
            assert [server.refusals for server in servers] == [[]] * len(servers)

    clean(main())


def test_the_realtime_session_has_the_words_that_were_heard_and_another_model_is_given_those() -> None:  # B05, S12
    async def main() -> None:
        async with served(script(spoken(6000), spoken(700))) as (url, servers):
            async with running(model(url)) as program:
                program.session.generate_reply(user_input="Tell me everything.")
                await program.until(lambda: len(program.speaker.heard) > 96_000)
                await program.session.interrupt()
                await asyncio.sleep(1)
                agent = program.session.current_agent
                whole = spoken_items(servers[0])[0].parts[0].planned_text
                heard = words(agent.realtime_llm_session.chat_ctx)
                assert heard and len(heard) < len(whole)
                assert whole.startswith(heard.rstrip(".,!? "))
                assert words(agent.chat_ctx) == words(program.session.history) == whole  # livekit's own, as docs/plugs.md says
                heir = Agent(instructions="Book.", llm=model(url), chat_ctx=agent.realtime_llm_session.chat_ctx)
                program.session.update_agent(heir)
                await program.until(lambda: len(servers) == 2 and len(servers[1].items) >= 2)
                (given,) = spoken_items(servers[1])
                assert given.content[0]["text"] == heard
            assert [server.refusals for server in servers] == [[], []]

    clean(main())


PICTURE = "data:image/png;base64,iVBORw0KGgo="


def test_images_that_the_user_shows_reach_the_server() -> None:  # C20
    async def main() -> None:
        async with served(script(spoken(500))) as (url, servers):
            async with running(model(url)) as program:
                realtime = program.session.current_agent.realtime_llm_session
                chat = realtime.chat_ctx.copy()
                linked = llm.ImageContent(image="https://example.com/a.jpg", inference_detail="low")
                chat.add_message(role="user", content=["Look.", llm.ImageContent(image=PICTURE), linked])
                await realtime.update_chat_ctx(chat)
                await realtime.update_chat_ctx(realtime.chat_ctx.copy())
                assert [part.type for part in realtime.chat_ctx.items[-1].content[1:]] == ["image_content"] * 2
                chat.add_message(role="user", content=[llm.ImageContent(image="data:image/bmp;base64,AAAA")])
                with pytest.raises(llm.RealtimeError, match="image/bmp"):
                    await realtime.update_chat_ctx(chat)
                (item,) = servers[0].items.values()
                assert [part["type"] for part in item.content] == ["input_text", "input_image", "input_image"]
            assert servers[0].refusals == []

    clean(main())


def test_images_are_written_as_the_protocol_has_them() -> None:
    shown = [llm.ImageContent(image=PICTURE), llm.ImageContent(image="https://example.com/a.jpg", inference_detail="low")]
    item = ga_item(llm.ChatMessage(id="item_1", role="user", content=shown))
    assert item is not None and item["content"] == [
        {"type": "input_image", "image_url": PICTURE, "detail": "auto"},
        {"type": "input_image", "image_url": "https://example.com/a.jpg", "detail": "low"},
    ]
    assert ga_item(llm.ChatMessage(role="assistant", content=[shown[0]])) is None


def test_refusals_are_error_events() -> None:  # S04, F007
    async def main() -> None:
        async with served(script(spoken(500))) as (url, _):
            async with running(model(url)) as program:
                realtime = program.session.current_agent.realtime_llm_session
                with pytest.raises(llm.RealtimeError):
                    await realtime.update_chat_ctx(
                        llm.ChatContext([llm.FunctionCallOutput(id="out_1", call_id="call_nobody", output="1", is_error=False)])
                    )
                realtime.commit_audio()
                await program.until(lambda: program.errors)
                program.session.generate_reply()
                await program.heard(500 * 24)
            assert {error.recoverable for error in program.errors} == {True}

    clean(main())


def test_no_server_ends_the_session() -> None:  # C18
    async def main() -> None:
        with pytest.raises(llm.RealtimeError):
            session = model("ws://127.0.0.1:9/v1/realtime").session()
            try:
                await session.update_instructions("Be brief.")
            finally:
                await session.aclose()

    clean(main())


@pytest.mark.parametrize("after", [0.0, 0.05, 0.4, 1.5])
def test_cancelled_anywhere_nothing_is_left(after: float) -> None:  # F106; what is left, clean finds
    async def main() -> None:
        async with served(script(spoken(5000))) as (url, _):

            async def program() -> None:
                async with running(model(url)) as started:
                    started.session.generate_reply()
                    await asyncio.sleep(60)

            task = asyncio.create_task(program())
            await asyncio.sleep(after)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    clean(main())


def test_what_livekit_cannot_do_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be held"):
        RtcoreRealtimeModel(Config(connection=Connection(url="ws://localhost"), interruption="pause"))
    with pytest.raises(ValueError, match="microphone"):
        RtcoreRealtimeModel(microphone=None)


def test_without_turn_detection_the_program_ends_the_turns() -> None:
    given = model("ws://localhost")
    assert given.capabilities.turn_detection
    config = Config(session=SessionOptions(audio=AudioOptions(input=AudioInput(turn_detection=None))))
    assert not RtcoreRealtimeModel(config).capabilities.turn_detection
