"""Many live conversations on asyncio, a task each (``--uvloop``: on uvloop)."""

import asyncio
import sys
from importlib import import_module

from live import BETWEEN_S, Live

from rtcore_adapters.asyncio import connect


async def converse(live: Live) -> None:
    """One conversation."""
    devices = live.devices()
    async with connect(live.config, **devices) as conversation:
        live.connected += 1
        async for notice in conversation:
            live.take(devices["speaker"], notice)


async def main() -> None:
    """All of them."""
    live = Live()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(live.number):
            tasks.create_task(converse(live))
            await asyncio.sleep(BETWEEN_S)
        while live.connected < live.number:
            await asyncio.sleep(0.05)
        await asyncio.sleep(live.settle)
        live.begin()
        await asyncio.sleep(live.seconds)
        live.end()


if __name__ == "__main__":
    import_module("uvloop" if "--uvloop" in sys.argv else "asyncio").run(main())
