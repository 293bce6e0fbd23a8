"""Worlds on all cores, and their sum: the same to the bit, however many processes share the work.

Worlds run in the order of their seeds until they have held enough interruptions together; how many that takes is only known
afterwards. So seeds are handed out ahead, results are taken in order, and what was begun beyond the end is thrown away.
"""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import count
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait

from rtcore.sim.results import CampaignResult, WorldResult
from rtcore.sim.sabotage import SABOTAGED
from rtcore.sim.world import World
from rtcore_adapters.voices import load_voices


def cores() -> int:
    """How many processes can run at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_INTERRUPTIONS_PER_WORLD = 20  # a little less than they hold on average, so that no core is idle


def processes(jobs: int | None, interruptions: int) -> int:
    """How many processes to use: ``jobs``, by default one per core, but never more than there will be worlds."""
    return min(jobs or cores(), -(-interruptions // _INTERRUPTIONS_PER_WORLD))


def run_world(seed: int, sabotage: str | None = None, *, story: bool = False) -> tuple[WorldResult, tuple[str, ...]]:
    """One world, around the real core or a sabotaged one; with ``story``, its lines."""
    voices = load_voices()
    if sabotage is None:
        world = World(seed, voices, story=story)
    else:
        world = World(seed, voices, session_factory=SABOTAGED[sabotage], story=story)
    result = world.run()
    lines = () if world.story is None else tuple(str(line) for line in world.story.lines)
    return result, lines


class Sum:
    """Adds results in order, at a cost that grows with their number and not with its square.

    Neighbours of equal weight are joined first, as a binary counter carries.
    """

    def __init__(self) -> None:
        self.worlds = 0
        self.interruptions = 0
        self.violations = 0
        self.unanswered: list[int] = []
        """Seeds of worlds in which a turn got no answer."""
        self.unheard: list[int] = []
        """Seeds of worlds in which an unheard message was left at the server."""
        self._parts: list[tuple[int, CampaignResult]] = []

    def add(self, world: WorldResult) -> None:
        """The next world."""
        self.worlds += 1
        self.interruptions += world.interruptions
        self.violations += len(world.violations)
        if world.turns_unanswered:
            self.unanswered.append(world.seed)
        if world.unheard_left:
            self.unheard.append(world.seed)
        weight, part = 1, CampaignResult.of(world)
        while self._parts and self._parts[-1][0] == weight:
            part = self._parts.pop()[1] + part
            weight *= 2
        self._parts.append((weight, part))

    @property
    def result(self) -> CampaignResult:
        """Of all of them."""
        total = CampaignResult()
        for _, part in reversed(self._parts):
            total = part + total
        return total


def run_worlds(
    total: Sum,
    first: int,
    interruptions: int,
    *,
    jobs: int,
    sabotage: str | None = None,
    stop_at_violation: bool = False,
    told: Callable[[], None] = lambda: None,
) -> None:
    """Add the worlds ``first``, ``first + 1``, ... to ``total`` until they held so many interruptions together.

    ``told`` is called after each. ``KeyboardInterrupt`` ends it early: ``total`` holds what was complete until then. A process
    that dies raises ``concurrent.futures.process.BrokenProcessPool``.
    """
    with _results(first, jobs, sabotage) as results:
        for world in results:
            total.add(world)
            told()
            if total.interruptions >= interruptions or (stop_at_violation and world.violations):
                break


@contextmanager
def _results(first: int, jobs: int, sabotage: str | None) -> Iterator[Iterator[WorldResult]]:
    if jobs == 1:
        yield (run_world(seed, sabotage)[0] for seed in count(first))
        return
    # Spawned, not forked: the same on every platform, and no thread or lock of this process is copied.
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_begin)
    try:
        yield _in_order(pool, first, jobs, sabotage)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_order(pool: ProcessPoolExecutor, first: int, jobs: int, sabotage: str | None) -> Iterator[WorldResult]:
    ahead: deque[Future[WorldResult]] = deque()
    for seed in count(first):
        ahead.append(pool.submit(_work, seed, sabotage))
        if len(ahead) >= 4 * jobs:
            yield ahead.popleft().result()


def _begin() -> None:
    """A process begins: Ctrl-C is for the one that prints, and none goes on when that one is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    load_voices()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)  # at once: nobody is left who would take a result


def _work(seed: int, sabotage: str | None) -> WorldResult:
    return run_world(seed, sabotage)[0]
