"""rtcore on asyncio: an ordinary conversation, every notice taken (``--uvloop``: on uvloop)."""

import sys
from importlib import import_module

from counting import Counting
from meter import Meter

from rtcore import Config, TextDelta
from rtcore.config import Connection
from rtcore_adapters.asyncio import connect


async def main() -> None:
    """Take until everything was taken."""
    meter = Meter("rtcore", "websockets", "msgspec")
    async with connect(Config(connection=Connection(url=meter.url)), speaker=Counting(meter)) as conversation:
        meter.ready()
        async for notice in conversation:
            if type(notice) is TextDelta:
                meter.text(notice.delta)


if __name__ == "__main__":
    import_module("uvloop" if "--uvloop" in sys.argv else "asyncio").run(main())
