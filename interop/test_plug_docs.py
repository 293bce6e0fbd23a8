"""The examples of docs/plugs.md, run in the environment that has what they plug into."""

import asyncio
from typing import Any

import pytest
from livekit.agents import Agent
from loopback import KEY, clean_run, served
from test_docs import Block, blocks
from virtual_loop import run

from rtcore import Config
from rtcore.config import Connection
from rtcore.sim.server import ServerOptions, spoken


@pytest.mark.parametrize("block", list(blocks("python plug")), ids=lambda block: block.name)
def test_an_example_runs(block: Block) -> None:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(block.body, block.name, "exec"), names)
    if (runner := names.get("runner")) is not None:
        clean_run(_hold(runner))
    if (behind := names.get("behind")) is not None:
        run(_start(behind))


async def _hold(runner: Any) -> None:
    """A turn with the runner of the example."""
    async with served(ServerOptions(script=(spoken(500),))) as (url, servers):
        async with await runner.run(model_config={"url": url, "api_key": KEY}) as session:
            await session.send_message("Hello.")
            async for event in session:
                if event.type == "audio_end":
                    break
        assert servers[0].refusals == []


async def _start(behind: Any) -> None:
    """A greeting by the session of the example."""
    async with served(ServerOptions(script=(spoken(500),))) as (url, servers):
        session = behind(Config(connection=Connection(url=url, api_key=KEY)))
        await session.start(Agent(instructions="Greet."), record=False)
        async with asyncio.timeout(60):
            await session.generate_reply()
        await session.aclose()
        assert [item.role for item in servers[0].items.values()] == ["assistant"]
        assert servers[0].refusals == []
