"""rtcore on trio: an ordinary conversation, every notice taken."""

import trio
from counting import Counting
from meter import Meter

from rtcore import Config, TextDelta
from rtcore.config import Connection
from rtcore_adapters.trio import connect


async def main() -> None:
    """Take until everything was taken."""
    meter = Meter("rtcore", "websockets", "msgspec", "trio")
    async with connect(Config(connection=Connection(url=meter.url)), speaker=Counting(meter)) as conversation:
        meter.ready()
        async for notice in conversation:
            if type(notice) is TextDelta:
                meter.text(notice.delta)


if __name__ == "__main__":
    trio.run(main)
