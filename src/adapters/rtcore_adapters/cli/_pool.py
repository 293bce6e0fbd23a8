"""Batches of worlds on all cores, taken in the order of their seeds.

How many worlds a campaign takes is only known afterwards. So batches are handed out ahead, results are taken in order, and what
was begun beyond the end is thrown away: the worlds that count are the same, however many processes share the work.
"""

import gc
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from os import _exit

from rtcore_adapters.cli._worlds import INTERRUPTIONS_PER_WORLD, Work, Worlds, run_batch, unpacked
from rtcore_adapters.voices import load_voices

Runner = Callable[[Work], AbstractContextManager[Iterator[Worlds]]]
"""Runs the worlds of the seeds from ``work.first`` on without end, in batches of ``work.count``; gives them in order."""

_BATCH = 8
"""Worlds per task, at most: some tenths of a second, so that Ctrl-C does not wait long."""
_AHEAD = 3
"""Tasks per process that are handed out ahead."""


def batch_size(interruptions: int | None, processes: int) -> int:
    """Worlds per task: a campaign's last batches are too small to leave a process without work for long."""
    if interruptions is None:
        return _BATCH
    return max(1, min(_BATCH, interruptions // (INTERRUPTIONS_PER_WORLD * processes * 8)))


def local(jobs: int) -> Runner:
    """Runs in so many processes; in this one where it is one."""

    @contextmanager
    def run(work: Work) -> Iterator[Iterator[Worlds]]:
        if jobs == 1:
            yield _here(work)
            return
        # Spawned, not forked: the same on every platform, and no thread or lock of this process is copied.
        pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_begin)
        try:
            yield _in_order(pool, work, jobs)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    return run


def batches(work: Work) -> Iterator[Work]:
    """One after the other, without end."""
    for first in count(work.first, work.count):
        yield Work(first, work.count, work.policies, work.sabotage)


def _here(work: Work) -> Iterator[Worlds]:
    for batch in batches(Work(work.first, 1, work.policies, work.sabotage)):
        yield from unpacked(run_batch(batch))


def _in_order(pool: ProcessPoolExecutor, work: Work, jobs: int) -> Iterator[Worlds]:
    ahead: deque[Future[bytes]] = deque()
    for batch in batches(work):
        ahead.append(pool.submit(run_batch, batch))
        if len(ahead) >= _AHEAD * jobs:
            yield from unpacked(ahead.popleft().result())


def _begin() -> None:
    """A process begins: Ctrl-C is for the one that prints, and none goes on when that one is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    load_voices()
    # Neither code nor voices are garbage: the collector need not look at them again after every world.
    gc.freeze()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        _exit(1)  # at once: nobody is left who would take a result
