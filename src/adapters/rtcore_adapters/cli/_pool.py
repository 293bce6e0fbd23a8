"""Batches of worlds on all cores, taken in the order of their seeds.

How many worlds a campaign takes is only known afterwards. So batches are handed out ahead, results are taken in order, and what
was begun beyond the end is thrown away: the worlds that count are the same, however many processes share the work.

Each process has a pipe of its own and no lock with another, and whoever ends a campaign kills them: they hold nothing that is
worth waiting for, and a world that hangs cannot hold up the end. (The standard library's pool waits for its workers, and two
signals while it does leave it waiting for ever.)
"""

import gc
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from os import _exit
from typing import Any, TypeAlias, cast

from rtcore_adapters.cli._signals import shielded
from rtcore_adapters.cli._worlds import INTERRUPTIONS_PER_WORLD, Work, Worlds, run_batch, unpacked
from rtcore_adapters.voices import load_voices

Runner = Callable[[Work], AbstractContextManager[Iterator[Worlds]]]
"""Runs the worlds of the seeds from ``work.first`` on without end, in batches of ``work.count``; gives them in order."""

_BATCH = 8
"""Worlds per task, at most: some tenths of a second, so that Ctrl-C does not wait long."""
_AHEAD = 4
"""Batches per process that are handed out ahead of the one whose turn it is."""
_GIVEN = 2
"""Batches that a process has at a time: one to do, and one to go on with at once."""
_LAST_WORD_S = 5.0

_Pipe: TypeAlias = "Connection[Any, Any]"  # which is generic for a type checker alone


def batch_size(interruptions: int | None, processes: int) -> int:
    """Worlds per task: a campaign's last batches are too small to leave a process without work for long."""
    if interruptions is None:
        return _BATCH
    return max(1, min(_BATCH, interruptions // (INTERRUPTIONS_PER_WORLD * processes * 8)))


def local(jobs: int) -> Runner:
    """Runs in so many processes; in this one where it is one. A process that dies raises ``WorkerDied``."""

    @contextmanager
    def run(work: Work) -> Iterator[Iterator[Worlds]]:
        if jobs == 1:
            yield _here(work)
            return
        workers: list[_Worker] = []
        try:
            workers += (_Worker() for _ in range(jobs))
            yield _in_order(workers, work)
        finally:
            with shielded():
                for worker in workers:
                    worker.end()

    return run


def batches(work: Work) -> Iterator[Work]:
    """One after the other, without end."""
    for first in count(work.first, work.count):
        yield Work(first, work.count, work.policies, work.sabotage)


def _here(work: Work) -> Iterator[Worlds]:
    for batch in batches(Work(work.first, 1, work.policies, work.sabotage)):
        yield from unpacked(run_batch(batch))


class WorkerDied(Exception):
    """A process ended before its worlds did; the text says how."""


class _Worker:
    """A process, its pipe, and the batches that it has not answered yet."""

    def __init__(self) -> None:
        # Spawned, not forked: the same on every platform, and no thread or lock of this process is copied.
        context = get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other,), daemon=True)
        self.process.start()
        other.close()
        self.open: deque[int] = deque()

    def give(self, batch: Work) -> None:
        """One more to do. Raises ``WorkerDied``."""
        try:
            self.connection.send(batch)
        except OSError:
            raise self.died() from None
        self.open.append(batch.first)

    def take(self) -> tuple[int, bytes]:
        """The first seed and the result of its oldest batch. Raises ``WorkerDied``."""
        try:
            packed = self.connection.recv_bytes()
        except (EOFError, OSError):
            raise self.died() from None  # one with nothing to do may die, too
        return self.open.popleft(), packed

    def died(self) -> WorkerDied:
        """How it ended."""
        self.process.join(_LAST_WORD_S)
        code = self.process.exitcode
        return WorkerDied(f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with status {code}")

    def end(self) -> None:
        """At once."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def _in_order(workers: Sequence[_Worker], work: Work) -> Iterator[Worlds]:
    waiting = batches(work)
    done: dict[int, bytes] = {}
    ahead = 0  # batches handed out whose worlds were not taken
    by_connection = {worker.connection: worker for worker in workers}
    for first in count(work.first, work.count):
        while first not in done:
            for worker in workers:
                # One to do and one to go on with, but no more than a few beyond the one that is waited for.
                while len(worker.open) < _GIVEN and ahead < _AHEAD * len(workers):
                    worker.give(next(waiting))
                    ahead += 1
            for ready in wait(list(by_connection)):
                at, packed = by_connection[cast(_Pipe, ready)].take()
                done[at] = packed
        ahead -= 1
        yield from unpacked(done.pop(first))


def _serve(connection: _Pipe) -> None:
    """A process: batches in, results out. Ctrl-C is for the one that prints, and none goes on when that one is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    load_voices()
    # Neither code nor voices are garbage: the collector need not look at them again after every world.
    gc.freeze()
    while True:
        connection.send_bytes(run_batch(connection.recv()))


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        _exit(1)  # at once: nobody is left who would take a result
