"""openai-agents' realtime session with rtcore behind it (docs/plugs.md), against the strict server, in virtual time.

``make plugs`` runs this in an environment that has the SDK. The program is ``quickstart.py``: its runner is given the model, and
nothing else of it is changed.
"""

import asyncio
from typing import Any

import pytest
from agents import GuardrailFunctionOutput, output_guardrail
from agents.realtime import RealtimeAgent, RealtimeRunner
from agents.realtime.model_inputs import RealtimeModelSendRawMessage as Raw
from loopback import VOICES, clean_run, scripted, served
from manners import ODD, USUAL, script
from msgspec import structs
from quickstart import ANSWER, KEY, Program, running

from rtcore import Config, HeardText, TurnReport
from rtcore.config import Reconnect
from rtcore.sim.server import CallManner, CallPlan, ResponsePlan, Rules, Server, spoken
from rtcore_adapters.asyncio import ConnectionFailed
from rtcore_openai_agents import RtcoreRealtimeModel

CALL = ResponsePlan((CallPlan("weather", '{"place":"Rome"}'),))
HANDOFF = ResponsePlan((CallPlan("transfer_to_booking", "{}"),))
VOICE = VOICES[0].pcm[:48_000]


def model() -> RtcoreRealtimeModel:
    return RtcoreRealtimeModel(Config(reconnect=Reconnect(attempts=0)))


def spoken_items(server: Server) -> list[Any]:
    return [item for item in server.items.values() if item.role == "assistant"]


def transcripts(program: Program) -> dict[str, str]:
    """What the SDK's history has of the assistant."""
    history = program.of("history_updated")[-1].history
    return {item.item_id: item.content[0].transcript for item in history if item.type == "message" and item.role == "assistant"}


@pytest.mark.parametrize("rules", [USUAL, ODD], ids=["usual", "odd"])
def test_two_turns_and_a_function_call_are_heard_whole(rules: Rules) -> None:  # B19, C20
    async def main() -> None:
        async with served(script(spoken(1200), CALL, spoken(1500, 800), rules=rules)) as (url, servers):
            async with running(model(), url) as program:
                await program.session.send_message("Say hello in one short sentence.")
                await program.quiet(1)
                program.say(VOICE)
                await program.quiet(3)
                shown = transcripts(program)
            server = servers[0]
            items = spoken_items(server)
            assert server.refusals == []
            assert program.asked == ["Rome"]
            assert [item.output for item in server.items.values() if item.type == "function_call_output"] == [ANSWER]
            assert {item.id: bytes(program.player.heard[item.id]) for item in items} == {item.id: item.audio for item in items}
            assert [event.item_id for event in program.of("audio_end")] == [item.id for item in items]
            assert shown == {item.id: item.parts[0].planned_text for item in items}
            assert [event.agent.name for event in program.of("agent_start")] == ["Assistant"] * 3
            assert [event.tool.name for event in program.of("tool_end")] == ["weather"]
            assert program.of("error") == []
            told = [event.data for event in program.of("raw_model_event")]
            assert {each.status for each in told if each.type == "connection_status"} == {"connected"}
            assert sum(each.usage.total_tokens for each in told if each.type == "usage") > 0
            assert any(each.type == "input_audio_transcription_completed" for each in told)
            assert {type(each.data) for each in told if each.type == "other"} >= {HeardText, TurnReport}
            raw = {each.data["type"] for each in told if each.type == "raw_server_event"}
            assert raw >= {"session.updated", "response.output_audio.delta", "response.done"}

    clean_run(main())


@pytest.mark.parametrize("tracked", [True, False], ids=["tracker", "own clock"])
@pytest.mark.parametrize("wait", [0.31, 1.234, 2.6])
@pytest.mark.parametrize("rules", [USUAL, ODD], ids=["usual", "odd"])
def test_a_person_interrupts_and_nothing_unheard_is_left(rules: Rules, wait: float, tracked: bool) -> None:  # B01, B04, B05, F002
    async def main() -> None:
        async with served(script(spoken(2000, 3000, 1000), spoken(700), rules=rules)) as (url, servers):
            async with running(model(), url, tracked=tracked) as program:
                await program.session.send_message("Tell me everything.")
                await program.until(lambda: program.player.heard)
                await asyncio.sleep(wait)
                program.say(VOICE)
                await program.until(lambda: program.of("audio_interrupted"))
                await program.quiet(2)
                shown = transcripts(program)
            server, heard = servers[0], program.player.heard
            *said, answer = spoken_items(server)
            assert server.refusals == []
            assert bytes(heard[answer.id]) == answer.audio
            cut = [item for item in said if item.id in heard][-1]
            exactly, told = len(heard[cut.id]) // 48, cut.parts[0].truncated_ms
            assert told == exactly if tracked else abs(told - exactly) <= 40
            later = said[said.index(cut) + 1 :]
            assert all(item.deleted for item in later)
            assert not {item.id for item in later} & (heard.keys() | shown.keys())
            whole = cut.parts[0].planned_text
            assert whole.startswith(shown[cut.id].rstrip(".,!? "))
            assert len(shown[cut.id]) < len(whole)
            assert program.of("error") == []

    clean_run(main())


@pytest.mark.parametrize("wait", [0.31, 1.234, 2.6])
def test_marks_of_what_a_cleared_line_has_not_sounded_are_not_taken_for_heard(wait: float) -> None:  # C19, F078
    async def main() -> None:
        async with served(script(spoken(2000, 3000, 1000), spoken(700))) as (url, servers):
            async with running(model(), url, tracked=True) as program:
                program.player.marked = True
                await program.session.send_message("Tell me everything.")
                await program.until(lambda: program.player.heard)
                await asyncio.sleep(wait)
                program.say(VOICE)
                await program.until(lambda: program.of("audio_interrupted"))
                await program.quiet(2)
            server, heard = servers[0], program.player.heard
            *said, answer = spoken_items(server)
            assert server.refusals == []
            assert bytes(heard[answer.id]) == answer.audio
            cut = [item for item in said if item.id in heard][-1]
            assert abs(cut.parts[0].truncated_ms - len(heard[cut.id]) // 48) <= 40
            assert all(item.deleted for item in said[said.index(cut) + 1 :])

    clean_run(main())


def test_a_player_that_begins_seconds_late_has_heard_nothing_before() -> None:  # C19, F078
    async def main() -> None:
        async with served(script(spoken(2000, 1000), spoken(700))) as (url, servers):
            async with running(model(), url, tracked=True) as program:
                program.player.held = True
                await program.session.send_message("Tell me everything.")
                await program.until(lambda: program.of("audio"))
                await asyncio.sleep(7)
                program.player.held = False
                await asyncio.sleep(1)
                program.say(VOICE)
                await program.quiet(2)
            first, second, _ = spoken_items(servers[0])
            assert first.parts[0].truncated_ms == len(program.player.heard[first.id]) // 48
            assert second.deleted
            assert servers[0].refusals == []

    clean_run(main())


def test_the_program_interrupts() -> None:  # C12
    async def main() -> None:
        async with served(script(spoken(5000), spoken(700))) as (url, servers):
            async with running(model(), url, tracked=True) as program:
                await program.session.send_message("Tell me everything.")
                await program.until(lambda: program.player.heard)
                await asyncio.sleep(1)
                await program.session.interrupt()
                await program.until(lambda: program.of("audio_interrupted"))
                await program.session.send_message(
                    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "No."}]}
                )
                await program.quiet(2)
            first, answer = spoken_items(servers[0])
            assert first.parts[0].truncated_ms == len(program.player.heard[first.id]) // 48
            assert bytes(program.player.heard[answer.id]) == answer.audio
            assert servers[0].refusals == []

    clean_run(main())


def test_a_guardrail_silences_one_response_and_says_why() -> None:  # F161
    @output_guardrail
    async def decent(context: Any, agent: Any, output: str) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered=not tripped)

    tripped: list[Any] = []

    async def main() -> None:
        async with served(script(spoken(9000), spoken(900))) as (url, servers):
            async with running(model(), url, tracked=True, guardrails=(decent,)) as program:
                await program.session.send_message("Tell me everything.")
                await program.until(lambda: program.of("guardrail_tripped"))
                tripped.append(True)
                await program.quiet(2)
            first, answer = spoken_items(servers[0])
            heard = len(program.player.heard.get(first.id, b"")) // 48
            assert first.deleted if not heard else first.parts[0].truncated_ms == heard
            assert bytes(program.player.heard[answer.id]) == answer.audio
            assert [item.role for item in servers[0].items.values()] == ["user", "assistant", "user", "assistant"]
            assert (servers[0].refusals, program.of("error")) == ([], [])

    clean_run(main())


async def _fetched() -> str:
    await asyncio.sleep(0.01)
    return KEY


@pytest.mark.parametrize("key", [KEY, lambda: KEY, _fetched, None], ids=["text", "function", "coroutine", "environment"])
def test_the_key_is_given_as_the_sdk_takes_it(key: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # C18
    monkeypatch.setenv("OPENAI_API_KEY", KEY if key is None else "sk-another-0123456789abcdef")

    async def main() -> None:
        async with served(script(spoken(500)), api_key=KEY) as (url, servers):
            async with running(model(), url, key=key) as program:
                await program.session.send_message("Hello.")
                await program.quiet(1)
            assert servers[0].refusals == []

    clean_run(main())


@pytest.mark.parametrize("key", [None, "sk-given-0123456789abcdef", _fetched], ids=["environment", "text", "coroutine"])
@pytest.mark.parametrize("headers", [{"api-key": "az-0123456789"}, {"Authorization": "Bearer mine-0123456789"}, {}])
def test_with_headers_no_key_is_sent_beside_them(
    headers: dict[str, str], key: Any, monkeypatch: pytest.MonkeyPatch
) -> None:  # C18
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    sent: list[list[tuple[str, str]]] = []

    async def refuse(line: Any) -> None:
        request = await line.accept()
        sent.append(
            [(name, value) for name, value in request.headers.raw_items() if name.lower() in ("authorization", "api-key")]
        )

    async def main() -> None:
        async with scripted(refuse) as url:
            runner = RealtimeRunner(RealtimeAgent(name="Assistant"), model=model())
            config: Any = {"url": url, "headers": headers, **({} if key is None else {"api_key": key})}
            with pytest.raises(ConnectionFailed):
                async with await runner.run(model_config=config):
                    raise AssertionError("it is not entered")

    clean_run(main())
    assert sent == [list(headers.items())]


def test_a_session_is_handed_over_to_another_agent() -> None:  # S12
    async def main() -> None:
        async with served(script(HANDOFF, spoken(900))) as (url, servers):
            async with running(model(), url) as program:
                await program.session.send_message("Book me a flight.")
                await program.quiet(2)
            assert [(event.from_agent.name, event.to_agent.name) for event in program.of("handoff")] == [("Assistant", "Booking")]
            assert servers[0].session["instructions"] == "Book flights."
            assert servers[0].session["tools"] == []
            (answer,) = spoken_items(servers[0])
            assert bytes(program.player.heard[answer.id]) == answer.audio
            assert (servers[0].refusals, program.of("error")) == ([], [])

    clean_run(main())


def test_mistakes_and_refusals_are_error_events_and_the_session_goes_on() -> None:  # S04, F007
    async def main() -> None:
        async with served(script(spoken(500))) as (url, servers):
            async with running(model(), url) as program:
                send = program.session.model.send_event
                await send(Raw({"type": "conversation.item.delete", "other_data": {"item_id": "item_unknown"}}))
                await send(Raw({"type": "conversation.item.truncate", "other_data": {"item_id": "item_1"}}))
                await send(Raw({"type": "conversation.item.create"}))
                await program.until(lambda: len(program.of("error")) == 3)
                await program.session.send_message("Hello.")
                await program.quiet(1)
            codes = sorted(event.error.code for event in program.of("error"))
            assert codes == ["local_protocol_error", "local_protocol_error", "unknown_item"]
            assert servers[0].refusals == []

    clean_run(main())


def test_raw_messages_reach_the_server_by_their_commands() -> None:
    async def main() -> None:
        async with served(script(spoken(500))) as (url, servers):
            async with running(model(), url, turn_detection=None) as program:

                async def send(kind: str, **data: Any) -> None:
                    await program.session.model.send_event(Raw({"type": kind, "other_data": data}))

                await send("session.update", session={"type": "realtime", "instructions": "Be brief."})
                item = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "It is night."}]}
                await send("conversation.item.create", item=item)
                await send("input_audio_buffer.clear")
                await send("response.create", response={"instructions": "Greet."})
                await program.quiet(1)
                await send("response.cancel")
            assert servers[0].session["instructions"] == "Be brief."
            assert [item.role for item in servers[0].items.values()] == ["system", "assistant"]
            assert program.of("error") == []

    clean_run(main())


@pytest.mark.parametrize("after", [0.0, 0.05, 0.4, 1.5])
def test_cancelled_or_closed_anywhere_nothing_is_left(after: float) -> None:  # F106; what is left, clean_run finds
    async def main() -> None:
        async with served(script(spoken(5000))) as (url, _):

            async def program() -> None:
                async with running(model(), url) as running_program:
                    await running_program.session.send_message("Go on.")
                    await asyncio.sleep(60)

            task = asyncio.create_task(program())
            await asyncio.sleep(after)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    clean_run(main())


def test_a_call_is_joined_whose_server_sounds_the_audio() -> None:
    async def main() -> None:
        options = structs.replace(script(spoken(2000, 1000)), call=CallManner())
        async with served(options) as (url, servers):
            runner = RealtimeRunner(RealtimeAgent(name="Assistant", instructions="Be brief."), model=model())
            session = await runner.run(model_config={"url": url, "api_key": KEY, "call_id": "rtc_1"})
            async with session:
                await session.send_message("Hello.")
                async for event in session:
                    assert event.type not in ("error", "audio")
                    if event.type == "agent_end":
                        break
            assert [item.role for item in servers[0].items.values()] == ["user", "assistant", "assistant"]
            assert servers[0].refusals == []

    clean_run(main())


def test_one_model_serves_one_session_after_the_other() -> None:
    async def main() -> None:
        async with served(script(spoken(500))) as (url, servers):
            again = model()
            for _ in range(2):
                async with running(again, url) as program:
                    await program.session.send_message("Hello.")
                    await program.quiet(1)
                assert again.conversation is None
            assert len(servers) == 2

    clean_run(main())


def test_no_server_is_told_where_the_session_is_entered() -> None:  # C18
    async def main() -> None:
        with pytest.raises(ConnectionFailed):
            async with running(model(), "ws://127.0.0.1:9/v1/realtime"):
                raise AssertionError("it is not entered")

    clean_run(main())


def test_the_end_of_the_line_ends_the_events() -> None:  # F101
    async def hang_up(line: Any) -> None:
        await line.set_up()
        line.close(1000, "over")
        await line.event()

    async def main() -> None:
        async with scripted(hang_up) as url:
            async with running(model(), url) as program:
                await program.until(lambda: any(each.data.type == "end_of_stream" for each in program.of("raw_model_event")))
            told = [each.data for each in program.of("raw_model_event")]
            assert [each.status for each in told if each.type == "connection_status"][-1] == "disconnected"

    clean_run(main())


def test_sound_and_tools_are_the_programs() -> None:
    with pytest.raises(ValueError, match="speaker, tools"):
        RtcoreRealtimeModel(speaker=None, tools=None)
