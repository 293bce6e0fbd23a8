"""Many live conversations on threads: each has the program's thread, which takes its notices, and rtcore's own."""

import time
from threading import Thread

from live import BETWEEN_S, Live

from rtcore_adapters.threads import connect


def converse(live: Live) -> None:
    """One conversation."""
    devices = live.devices()
    with connect(live.config, **devices) as conversation:
        live.connected += 1
        for notice in conversation:
            live.take(devices["speaker"], notice)


def main() -> None:
    """All of them."""
    live = Live()
    for _ in range(live.number):
        Thread(target=converse, args=[live], daemon=True).start()
        time.sleep(BETWEEN_S)
    while live.connected < live.number:
        time.sleep(0.05)
    time.sleep(live.settle)
    live.begin()
    time.sleep(live.seconds)
    live.end()


if __name__ == "__main__":
    main()
