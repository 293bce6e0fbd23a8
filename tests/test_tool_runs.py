"""Tools that are given up, that decide about the answer, calls of tools that nobody has: in every runtime (issue 6, part 5)."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

import pytest
import trio
from loopback import clean_run, config, served, served_in_a_thread, until
from test_docs import blocks
from virtual_loop import run

from rtcore import LocalProtocolError, SpeakingStopped, ToolCalled, ToolEnded, TurnReport
from rtcore.config import FunctionTool, SessionOptions
from rtcore.sim.server import CallPlan, ResponsePlan, Server, ServerOptions, spoken
from rtcore_adapters import asyncio as on_asyncio
from rtcore_adapters import threads as on_threads
from rtcore_adapters import trio as on_trio
from rtcore_adapters.tools import Output, running, tool

TOOL = FunctionTool(name="work", parameters={"type": "object", "properties": {}})
SESSION = SessionOptions(tools=(TOOL,))
ONE_CALL = ServerOptions(script=(ResponsePlan((CallPlan("work", "{}"),)), spoken(200)))


def outputs(server: Server) -> list[str | None]:
    return [item.output for item in server.items.values() if item.type == "function_call_output"]


def test_a_coroutine_tool_is_cancelled_on_asyncio() -> None:  # F065, F069
    ended: list[str] = []

    async def work() -> str:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled" if running().cancelled else "not")
        return "done"

    async def main() -> None:
        async with served(ONE_CALL) as (url, servers):
            async with on_asyncio.connect(config(url, session=SESSION), tools={"work": work}) as conversation:
                conversation.send_text("Work.")
                call = await until(conversation, ToolCalled)
                await asyncio.sleep(1)
                request = conversation.cancel_tool(call.call_id)
                assert (await until(conversation, ToolEnded)).outcome == "cancelled"
                assert (await request).outcome == "done"
                await until(conversation, SpeakingStopped)
            assert outputs(servers[0]) == ['{"status":"cancelled"}']
            assert servers[0].refusals == []

    clean_run(main())
    assert ended == ["cancelled"]


def test_a_tool_that_is_given_up_before_it_began_leaves_nothing_behind() -> None:
    async def work() -> str:
        return "never"

    async def main() -> None:
        async with served(ONE_CALL) as (url, servers):
            async with on_asyncio.connect(config(url, session=SESSION), tools={"work": work}) as conversation:
                engine = conversation._pump.engine
                note = engine._note

                def at_once(notice: Any) -> None:
                    note(notice)
                    if isinstance(notice, ToolCalled):
                        engine.feed(lambda **now: conversation.session.cancel_tool(notice.call_id, **now).effects)

                engine._note = at_once  # type: ignore[method-assign]
                conversation.send_text("Work.")
                await until(conversation, SpeakingStopped)
            assert outputs(servers[0]) == ['{"status":"cancelled"}']

    clean_run(main())


def test_a_coroutine_tool_is_cancelled_on_trio() -> None:
    ended: list[str] = []

    async def work() -> str:
        try:
            await trio.sleep(60)
        finally:
            ended.append("cancelled" if running().cancelled else "not")
        return "done"

    async def main(url: str) -> None:
        async with on_trio.connect(config(url, session=SESSION), tools={"work": work}) as conversation:
            conversation.send_text("Work.")
            async for notice in conversation:
                if isinstance(notice, ToolCalled):
                    conversation.cancel_tool(notice.call_id)
                if isinstance(notice, TurnReport):
                    assert (notice.outcome, notice.tool_calls) == ("answered", 1)
                    break

    with served_in_a_thread(options=ONE_CALL) as url:
        trio.run(main, url)
    assert ended == ["cancelled"]


def test_a_plain_tool_is_told_and_its_result_is_dropped() -> None:  # threads cannot be ended, but they can be told
    told: list[bool] = []
    over = threading.Event()

    def work() -> str:
        told.append(running().wait(5))
        over.set()
        return "too late"

    with (
        served_in_a_thread(options=ONE_CALL) as url,
        on_threads.connect(config(url, session=SESSION), tools={"work": work}) as conversation,
    ):
        conversation.send_text("Work.")
        for notice in conversation:
            if isinstance(notice, ToolCalled):
                conversation.cancel_tool(notice.call_id, {"error": "no time"})
            if isinstance(notice, SpeakingStopped):
                break
        assert over.wait(5)
        time.sleep(0.05)
        assert [item.output for item in conversation.history if item.output] == ['{"error":"no time"}']
    assert told == [True]


def test_the_end_of_the_conversation_tells_a_plain_tool() -> None:
    told: list[bool] = []
    over = threading.Event()

    def work() -> str:
        told.append(running().wait(5))
        over.set()
        return "too late"

    def talk(url: str) -> None:
        with on_threads.connect(config(url, session=SESSION), tools={"work": work}) as conversation:
            conversation.send_text("Work.")
            for notice in conversation:
                if isinstance(notice, ToolCalled):
                    break

    with served_in_a_thread(options=ONE_CALL) as url:
        talk(url)
        assert over.wait(5)
    assert told == [True]


def test_a_tool_may_ask_for_no_answer() -> None:  # F059: the tool decides
    async def work() -> Output:
        return Output({"saved": True}, respond=False)

    async def main() -> None:
        async with served(ONE_CALL) as (url, servers):
            async with on_asyncio.connect(config(url, session=SESSION), tools={"work": work}) as conversation:
                conversation.send_text("Work.")
                report = await until(conversation, TurnReport)
                assert (report.responses, report.tool_calls) == (1, 1)
                await asyncio.sleep(1)
            assert (outputs(servers[0]), len(servers[0].responses)) == (['{"saved":true}'], 1)

    clean_run(main())


def test_a_call_of_a_tool_that_nobody_has_is_answered() -> None:  # F070
    async def work() -> str:
        raise AssertionError

    async def main() -> None:
        script = ServerOptions(script=(ResponsePlan((CallPlan("invented", "{}"),)), spoken(200)))
        async with served(script) as (url, servers):
            async with on_asyncio.connect(config(url, session=SESSION), tools={"work": work}) as conversation:
                conversation.send_text("Work.")
                assert (await until(conversation, ToolCalled)).name == "invented"
                await until(conversation, SpeakingStopped)
            assert outputs(servers[0]) == ['{"error":"there is no tool of this name; there are: work"}']

    clean_run(main())


def test_a_call_of_a_tool_that_is_the_programs_is_left_to_it() -> None:
    async def other() -> str:
        raise AssertionError

    async def main() -> None:
        async with served(ONE_CALL) as (url, servers):
            async with on_asyncio.connect(config(url, session=SESSION), tools={"other": other}) as conversation:
                conversation.send_text("Work.")
                call = await until(conversation, ToolCalled)
                await asyncio.sleep(1)
                conversation.tool_result(call.call_id, "by hand")
                with pytest.raises(LocalProtocolError, match="has its output already"):
                    conversation.tool_result(call.call_id, "again")
                await until(conversation, SpeakingStopped)
            assert outputs(servers[0]) == ["by hand"]

    clean_run(main())


def test_what_a_tool_gives_to_a_call_that_the_program_answered_is_dropped() -> None:
    async def work() -> str:
        await asyncio.sleep(2)
        return "slow"

    async def main() -> None:
        async with served(ONE_CALL) as (url, servers):
            async with on_asyncio.connect(config(url, session=SESSION), tools={"work": work}) as conversation:
                conversation.send_text("Work.")
                call = await until(conversation, ToolCalled)
                conversation.tool_result(call.call_id, "quick")
                await until(conversation, SpeakingStopped)
                await asyncio.sleep(3)
            assert outputs(servers[0]) == ["quick"]

    clean_run(main())


CALLER = ContextVar("CALLER", default="nobody")


@pytest.mark.parametrize("plain", [True, False])
def test_a_tool_sees_the_context_variables_of_the_program_on_asyncio(plain: bool) -> None:  # issue 6, part 5
    def work() -> str:
        return CALLER.get()

    async def works() -> str:
        return CALLER.get()

    async def main() -> None:
        CALLER.set("anna")
        tools: dict[str, Any] = {"work": work if plain else works}
        async with served(ONE_CALL) as (url, servers):
            async with on_asyncio.connect(config(url, session=SESSION), tools=tools) as conversation:
                conversation.send_text("Work.")
                assert (await until(conversation, ToolEnded)).outcome == "answered"
                await until(conversation, SpeakingStopped)
            assert outputs(servers[0]) == ["anna"]

    clean_run(main())


def test_a_plain_tool_may_call_into_trio_and_sees_the_context_variables_of_the_program() -> None:  # issue 6, part 5
    async def main(url: str) -> list[str]:
        CALLER.set("anna")
        token = trio.lowlevel.current_trio_token()

        def work() -> str:
            task: str = trio.from_thread.run_sync(lambda: "trio's thread", trio_token=token)
            return f"{CALLER.get()}, {task}"

        async with on_trio.connect(config(url, session=SESSION), tools={"work": work}) as conversation:
            conversation.send_text("Work.")
            async for notice in conversation:
                if isinstance(notice, SpeakingStopped):
                    break
            return [item.output for item in conversation.history if item.output]

    with served_in_a_thread(options=ONE_CALL) as url:
        assert trio.run(main, url) == ["anna, trio's thread"]


def test_running_is_for_tools() -> None:
    with pytest.raises(LookupError, match="running\\(\\) is for the function of a tool"):
        running()


def test_a_typed_tool_may_give_an_output_and_look_at_its_call() -> None:
    seen: list[str] = []

    def save(number: int) -> Output:
        """Save a number."""
        seen.append(running().call.name)
        return Output(number, respond=False)

    made: Callable[..., object] = tool(save)
    script = ServerOptions(script=(ResponsePlan((CallPlan("save", '{"number": 4}'),)),))

    async def main() -> None:
        async with served(script) as (url, servers), on_asyncio.connect(config(url), tools=[made]) as conversation:
            conversation.send_text("Save it.")
            assert (await until(conversation, ToolEnded)).outcome == "answered"
            await asyncio.sleep(0.2)
            assert outputs(servers[0]) == ["4"]

    asyncio.run(main())
    assert seen == ["save"]


def test_the_page_prints_what_stands_on_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """docs/tools.md, beside a server whose model calls the function that takes long."""
    [block] = blocks("python calling")
    script = ServerOptions(script=(ResponsePlan((CallPlan("search", '{"query": "tea"}'),)), spoken(300), spoken(300)))

    async def beside(main: Coroutine[Any, Any, None]) -> None:
        async with served(script) as (url, _):
            monkeypatch.setenv("RTCORE_URL", url)
            await main

    monkeypatch.setattr(asyncio, "run", lambda main: run(beside(main)))
    exec(compile(block.body, block.name, "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out == block.output
