"""How many live conversations one process holds: the most at which a barge-in silences the speaker within 20 ms at p99.

The client process, on one core, holds N conversations over loopback sockets: a microphone frame every 20 ms goes out, model audio
comes in faster than it sounds, a virtual speaker sounds it at real speed and reports every 20 ms, and every few seconds the
person speaks up. On the other core a server paces them all (``live_server.py``). It is scripted, because it has to stamp the
instant into its events and to be no limit itself: it takes half a millisecond of CPU for a second of a conversation, where the
strict simulated server takes nearly two for the microphone alone. It tells its share of a core and its own lateness, and a run in
which it was the limit is void.

The figure that counts is the strict one: from the instant at which the server wrote ``speech_started``, stamped into the event
with the clock that both processes share, until ``Speaker.flush`` has returned. *Read to flushed*, from the bytes' arrival in the
engine, stands beside it. N is found by bisection and holds only if it holds once more, for twice as long; so many conversations
hold as have, at N: p99 of sent to flushed below 20 ms, every barge-in flushed, every conversation alive, and every microphone
heard for 98 % of the time or more. Floors 150, 60 and 30 for asyncio, trio and threads; aims 200, 200, 100.

Run it by ``make bench-live`` or ``python benchmarks/conversations.py [--only RUNTIME] [--at N] [--seconds S]``.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from machine import DISTURBED, Watch, cores, has, wait_for_quiet

HERE = Path(__file__).resolve().parent
LIMIT_MS = 20.0
"""What a barge-in may take at p99."""
MICROPHONE = 0.98
"""Share of each microphone's audio that the server has to hear in time."""
MARGIN = 0.9
"""Share of its core beyond which the server counts as the limit, and so do its own delays beyond a quarter of ``LIMIT_MS``."""

TRIES = 3
"""How often a number is tried before it counts as too large, where the machine was busy with something else."""


class Runtime(NamedTuple):
    """One line of the table."""

    name: str
    program: str
    arguments: tuple[str, ...]
    needs: str
    floor: int
    aim: int
    step: int
    """How finely the number is found."""


RUNTIMES = (
    Runtime("asyncio", "live_asyncio.py", (), "rtcore_adapters.asyncio", 150, 200, 10),
    Runtime("trio", "live_trio.py", (), "rtcore_adapters.trio", 60, 200, 10),
    Runtime("threads", "live_threads.py", (), "rtcore_adapters.threads", 30, 100, 5),
    Runtime("uvloop", "live_asyncio.py", ("--uvloop",), "uvloop", 150, 200, 10),
)


class Probe(NamedTuple):
    """One run of N conversations: what the client told, what the server told."""

    number: int
    client: dict[str, Any]
    server: dict[str, Any]
    others: float | None
    """Share of the client's core that others used; None where it is not known."""

    @property
    def sent_ms(self) -> float:
        """p99, from the server's write to the flush."""
        return percentile(self.client["sent_ms"], 99)

    @property
    def faults(self) -> list[str]:
        """Why so many do not hold; empty where they do."""
        found = []
        if not self.client:
            return ["the client failed"]
        if not self.sent_ms < LIMIT_MS:
            found.append(f"p99 {self.sent_ms:.1f} ms")
        if self.client["unsilenced"] or len(self.client["sent_ms"]) < 0.95 * self.server["barge_ins"] - 1:
            found.append(f"{len(self.client['sent_ms'])} flushes of {self.server['barge_ins']} barge-ins")
        if self.client["ended"] or self.server["lost"]:
            found.append(f"{self.client['ended']} conversations ended, {self.server['lost']} lines lost")
        if self.server["microphone"] < MICROPHONE:
            found.append(f"a microphone heard for {self.server['microphone']:.1%}")
        if self.server["unexpected"]:
            found.append(f"{self.server['unexpected']} unexpected messages")
        return found

    @property
    def void(self) -> str:
        """Why the run says nothing about rtcore; empty where it does."""
        if self.others is not None and self.others > DISTURBED:
            return f"VOID: others used {self.others:.0%} of the client's core; "
        if self.server["core"] > MARGIN or self.server["late_p99_ms"] > LIMIT_MS / 4:
            return "VOID: the server was the limit; "
        return ""

    def __str__(self) -> str:
        if not self.client:
            return f"{self.number:5}  the client failed"
        sent, read = self.client["sent_ms"], self.client["read_ms"]
        kib = self.client["kib"]
        memory = "?" if kib is None else f"{kib:.0f}"
        return (
            f"{self.number:5}{percentile(sent, 50):9.2f}{percentile(sent, 99):9.2f}{max(sent, default=float('nan')):9.2f}"
            f"{percentile(read, 50):9.2f}{percentile(read, 99):9.2f}{self.client['collected_ms']:11.2f}"
            f"{self.client['core']:9.0%}{self.client['cpu_ms']:10.2f}{memory:>9}"
            f"{self.server['core']:9.0%}{self.server['late_p99_ms']:9.2f}  " + self.void + (", ".join(self.faults) or "holds")
        )


HEAD = (
    f"{'N':>5}{'sent p50':>9}{'p99':>9}{'max':>9}{'read p50':>9}{'p99':>9}{'longest gc':>11}"
    f"{'client':>9}{'ms/conv-s':>10}{'KiB/conv':>9}{'server':>9}{'late p99':>9}"
)


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that is not below so many of a hundred; not a number where there is none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else float("nan")


def probe(runtime: Runtime, number: int, seconds: float, settle: float, bound: tuple[int, int] | None) -> Probe:
    """Run so many conversations for so long, once they have settled."""
    pipes = {"stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, str(HERE / "live_server.py")], stdin=subprocess.PIPE, **pipes) as server:
        assert server.stdin is not None and server.stdout is not None
        url = f"ws://127.0.0.1:{server.stdout.readline().split()[1]}/v1/realtime?model=gpt-realtime"
        program = [sys.executable, str(HERE / "programs" / runtime.program), url, str(number), str(seconds), str(settle)]
        with subprocess.Popen([*program, *runtime.arguments], stdin=subprocess.PIPE, **pipes) as client:
            assert client.stdout is not None
            if bound is not None:
                os.sched_setaffinity(server.pid, {bound[0]})
                os.sched_setaffinity(client.pid, {bound[1]})
            found: dict[str, Any] = {}
            told: dict[str, Any] = {}
            watch, others = Watch(None), None
            try:
                for line in client.stdout:
                    if line.startswith("{"):
                        found = json.loads(line)
                        others = watch.others(found["cpu_ms"] * number * found["spent"] / 1000)
                        break
                    elif line.strip() in ("begin", "end"):
                        server.stdin.write(line)
                        server.stdin.flush()
                    if line.startswith("begin"):
                        watch = Watch(None if bound is None else bound[1])
                    elif line.startswith("end"):
                        told = json.loads(server.stdout.readline())
            finally:
                client.kill()
                server.kill()
    return Probe(number, found, told, others)


class Search:
    """The largest number of conversations that hold."""

    def __init__(self, runtime: Runtime, seconds: float, settle: float, wait: float, bound: tuple[int, int] | None) -> None:
        self._runtime, self._seconds, self._settle, self._wait, self._bound = runtime, seconds, settle, wait, bound

    def holds(self, number: int, seconds: float | None = None) -> Probe | None:
        """The run, printed, if so many hold. What fails while others used the core is tried again."""
        for _ in range(TRIES):
            wait_for_quiet(self._bound[1] if self._bound is not None else None, self._wait)
            found = probe(self._runtime, number, seconds or self._seconds, self._settle, self._bound)
            print(found, flush=True)
            if not found.faults:
                return found
            if not found.void:
                break
        return None

    def largest(self) -> Probe | None:
        """Up from the floor, or down from it, then between; what is found has to hold once more, for twice as long."""
        step = self._runtime.step
        low, high = 0, self._runtime.floor
        while self.holds(high):
            low, high = high, -(-high * 4 // 3 // step) * step
        while high - low > step:
            middle = (low + high) // 2 // step * step
            if middle <= low:
                break
            low, high = (middle, high) if self.holds(middle) else (low, middle)
        while low > 0:
            if found := self.holds(low, 2 * self._seconds):
                return found
            low -= step
        return None


def main() -> int:
    """Search each runtime's largest number, or look at one number."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[each.name for each in RUNTIMES], action="append", help="only this runtime")
    parser.add_argument("--at", type=int, metavar="N", help="no search: one run of N conversations")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="measured in each run (default: 10)")
    parser.add_argument("--settle", type=float, default=2.0, metavar="S", help="before what is measured (default: 2)")
    parser.add_argument(
        "--wait", type=float, default=0, metavar="S", help="before each, for a quiet machine, at most (default: 0)"
    )
    options = parser.parse_args()
    if options.seconds <= 0 or (options.at is not None and options.at < 1):
        parser.error("--seconds must be above 0, and --at at least 1")
    bound = cores()
    where = "a core each" if bound is not None else "ON ONE CORE, or unbound: figures mean less"
    print(f"{platform.python_implementation()} {platform.python_version()}, client and server on {where}; times in ms")
    failed = False
    found: dict[str, Probe | None] = {}
    for runtime in RUNTIMES:
        if options.only and runtime.name not in options.only:
            continue
        if not has(sys.executable, runtime.needs):
            print(f"\nnot here: {runtime.name} (no {runtime.needs})")
            continue
        print(f"\n{runtime.name}\n{HEAD}")
        search = Search(runtime, options.seconds, options.settle, options.wait, bound)
        if options.at is not None:
            failed |= search.holds(options.at) is None
        else:
            found[runtime.name] = search.largest()
    for runtime in RUNTIMES:
        if runtime.name in found:
            most = found[runtime.name]
            number = most.number if most else 0
            floor, aim = (f"{each} {_verdict(number >= each)}" for each in (runtime.floor, runtime.aim))
            void = most.void if most else ""
            print(f"\n{void}{runtime.name}: {number} live conversations in one process: floor {floor}, aim {aim}")
    return 1 if failed else 0


def _verdict(reached: bool) -> str:
    return "reached" if reached else "MISSED"


if __name__ == "__main__":
    sys.exit(main())
