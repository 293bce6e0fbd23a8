"""The examples of docs/plugs.md, run in the environment that has what they plug into."""

from typing import Any

import pytest
from loopback import KEY, clean_run, served
from test_docs import Block, blocks

from rtcore.sim.server import ServerOptions, spoken


@pytest.mark.parametrize("block", list(blocks("python plug")), ids=lambda block: block.name)
def test_an_example_runs(block: Block) -> None:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(block.body, block.name, "exec"), names)
    if (runner := names.get("runner")) is not None:
        clean_run(_hold(runner))


async def _hold(runner: Any) -> None:
    """A turn with the runner of the example."""
    async with served(ServerOptions(script=(spoken(500),))) as (url, servers):
        async with await runner.run(model_config={"url": url, "api_key": KEY}) as session:
            await session.send_message("Hello.")
            async for event in session:
                if event.type == "audio_end":
                    break
        assert servers[0].refusals == []
