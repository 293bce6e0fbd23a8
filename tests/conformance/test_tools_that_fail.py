"""Tools that fail in a group, as task groups and nurseries raise it: the call is answered, and what ends a program goes on.

(C26, invariant 10: every completed call gets exactly one output; issue 4: structured concurrency.)
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from loopback import config

from conformance.server import ScriptedServer
from conformance.talks import RUNTIMES, OnAsyncio, OnTrio, Runtime, Talk
from rtcore import Config, ToolCalled
from rtcore_adapters._tools import not_its_own

CONFIG = config("ws://server.example/v1/realtime")
every = pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)


class Odd(BaseException):
    """No ``Exception``: a group that holds it is a ``BaseExceptionGroup``."""


def output_of(runtime: Runtime, tool: Callable[[], object], config: Config = CONFIG) -> Any:
    """What the server is answered."""
    server = ScriptedServer()
    server.after(0.01, lambda: server.call("broken"))

    async def program(talk: Talk) -> Any:
        await talk.until(ToolCalled)
        for _ in range(500):
            await talk.sleep(0.01)
            if found := [event["item"] for event in server.events if event["type"] == "conversation.item.create"]:
                return found
        raise AssertionError("the call was not answered")

    (item,) = runtime.run(program, server, config, tools={"broken": tool})
    return item["output"]


@every
def test_a_plain_tool_that_raises_a_group_is_answered(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL + 1, "rtcore.tools")

    def broken() -> None:
        raise BaseExceptionGroup("two things failed", [Odd(), ValueError("no")])

    assert output_of(runtime, broken) == '{"error":"BaseExceptionGroup: two things failed (2 sub-exceptions)"}'


async def _odd() -> None:
    raise Odd


async def in_a_task_group() -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_odd())


async def with_a_cancellation_of_its_own() -> None:
    raise BaseExceptionGroup("mine", [asyncio.CancelledError(), ValueError("no")])


async def in_a_nursery() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_odd)


async def bare() -> None:
    raise Odd("by itself")


@pytest.mark.parametrize(
    ("runtime", "tool", "error"),
    [
        (OnAsyncio(), in_a_task_group, "BaseExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)"),
        (OnAsyncio(), with_a_cancellation_of_its_own, "BaseExceptionGroup: mine (2 sub-exceptions)"),
        (OnAsyncio(), bare, "Odd: by itself"),
        (OnTrio(), in_a_nursery, "BaseExceptionGroup: Exceptions from Trio nursery (1 sub-exception)"),
        (OnTrio(), bare, "Odd: by itself"),
    ],
    ids=lambda each: getattr(each, "name", getattr(each, "__name__", "")),
)
def test_a_coroutine_tool_that_raises_a_group_is_answered(
    runtime: Runtime, tool: Callable[[], Awaitable[None]], error: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL + 1, "rtcore.tools")
    assert output_of(runtime, tool) == f'{{"error":"{error}"}}'


@pytest.mark.parametrize("runtime", [OnAsyncio(), OnTrio()], ids=lambda runtime: runtime.name)
def test_a_tool_that_is_cancelled_in_a_group_ends_with_its_conversation(runtime: Runtime) -> None:
    """It waits in a nursery of its own and fails while it is cancelled: nothing is left, and nothing comes out of the block."""
    server = ScriptedServer()
    server.after(0.01, lambda: server.call("slow"))
    ended: list[str] = []

    async def slow() -> None:
        try:
            if runtime.name == "trio":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_fails_at_its_end)
                    await trio.sleep_forever()
            else:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(_fails_at_its_end())
                    await asyncio.sleep(1_000)
        except BaseException as error:
            ended.append(type(error).__name__)
            raise

    async def _fails_at_its_end() -> None:
        try:
            await (trio.sleep_forever() if runtime.name == "trio" else asyncio.sleep(1_000))
        finally:
            raise Odd

    async def program(talk: Talk) -> None:
        await talk.until(ToolCalled)
        await talk.sleep(0.01)

    runtime.run(program, server, CONFIG, tools={"slow": slow})
    assert ended == ["BaseExceptionGroup"]
    assert not [event for event in server.events if event["type"] == "conversation.item.create"]


def test_what_ends_a_program_is_found_in_any_group_and_goes_before_a_cancellation() -> None:
    interrupt, cancelled = KeyboardInterrupt(), asyncio.CancelledError()
    group = BaseExceptionGroup("", [cancelled, BaseExceptionGroup("", [ValueError(), interrupt])])
    assert not_its_own(group, asyncio.CancelledError) is interrupt
    assert not_its_own(BaseExceptionGroup("", [Odd(), cancelled]), asyncio.CancelledError) is cancelled
    assert not_its_own(BaseExceptionGroup("", [Odd(), cancelled])) is None
    assert not_its_own(SystemExit()) is not None
    assert not_its_own(ValueError(), asyncio.CancelledError) is None
