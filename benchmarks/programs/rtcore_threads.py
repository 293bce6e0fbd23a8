"""rtcore on threads: an ordinary conversation, every notice taken."""

from counting import Counting
from meter import Meter

from rtcore import Config, TextDelta
from rtcore.config import Connection
from rtcore_adapters.threads import connect


def main() -> None:
    """Take until everything was taken."""
    meter = Meter("rtcore", "websockets", "msgspec")
    with connect(Config(connection=Connection(url=meter.url)), speaker=Counting(meter)) as conversation:
        meter.ready()
        for notice in conversation:
            if type(notice) is TextDelta:
                meter.text(notice.delta)


if __name__ == "__main__":
    main()
