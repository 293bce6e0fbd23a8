"""Many live conversations on trio, a task each."""

import trio
from live import BETWEEN_S, Live

from rtcore_adapters.trio import connect


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
    async with trio.open_nursery() as nursery:
        for _ in range(live.number):
            nursery.start_soon(converse, live)
            await trio.sleep(BETWEEN_S)
        while live.connected < live.number:
            await trio.sleep(0.05)
        await trio.sleep(live.settle)
        live.begin()
        await trio.sleep(live.seconds)
        live.end()


if __name__ == "__main__":
    trio.run(main)
