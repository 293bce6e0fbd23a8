"""Campaigns run from a command line: progress, signals, processes that die; what becomes of each is an exit status."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from rtcore_adapters.cli._campaign import Campaign, Goal, Saving, run
from rtcore_adapters.cli._cluster import Cluster, ClusterError
from rtcore_adapters.cli._pool import Runner, WorkerDied, batch_size, local
from rtcore_adapters.cli._progress import Progress, expected
from rtcore_adapters.cli._signals import endable
from rtcore_adapters.cli._store import StoreError
from rtcore_adapters.cli._table import number
from rtcore_adapters.cli._worlds import processes


def drive(campaigns: Sequence[Campaign], goal: Goal, options: argparse.Namespace, saving: Saving | None = None) -> int:
    """Run them until the goal; 0 where they got there. What was done is in them, whatever happened.

    Raises ``StoreError`` where nothing can be done at all, because the cluster is not there.
    """
    left = None if goal.interruptions is None else goal.interruptions - campaigns[0].total.interruptions
    told = _Telling(campaigns, goal)
    with endable() as ending, ExitStack() as open_:
        try:
            runner, width = _runner(options, left, open_)
            run(campaigns, goal, runner, batch=batch_size(left, width()), processes=width, saving=saving, told=told)
            return 0
        except KeyboardInterrupt:
            # It may have come when there was nothing left to end.
            return 0 if all(campaign.reached(goal) for campaign in campaigns) else ending.status
        except WorkerDied as error:
            if ending.terminated:  # SIGTERM went to the whole group
                return ending.status
            print(f"\nrtcore fuzz: a process {error} (out of memory?); try fewer --jobs", file=sys.stderr)
        except ClusterError as error:
            print(f"\nrtcore fuzz: {error}", file=sys.stderr)
        except OSError as error:
            print(f"\nrtcore fuzz: the result could not be saved: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        finally:
            told.progress.clear()
    return 1


def _runner(options: argparse.Namespace, interruptions: int | None, open_: ExitStack) -> tuple[Runner, Callable[[], int]]:
    """Where the worlds run, and in how many processes there."""
    if options.scheduler is not None:
        try:
            cluster = Cluster(options.scheduler)
        except ClusterError as error:
            raise StoreError(str(error)) from None
        open_.callback(cluster.close)
        return cluster.runner, cluster.threads
    jobs = processes(options.jobs, interruptions)
    return local(jobs), lambda: jobs


class _Telling:
    """Says how far it is: the rate, what is done, and when it will end."""

    def __init__(self, campaigns: Sequence[Campaign], goal: Goal) -> None:
        self.progress = Progress()
        self._campaigns, self._goal = campaigns, goal
        self._began = time.monotonic()
        self._before = campaigns[0].total.interruptions

    def __call__(self) -> None:
        if self.progress.due:
            self.progress.say(self._text())

    def _text(self) -> str:
        total, goal = self._campaigns[0].total, self._goal
        seconds = time.monotonic() - self._began
        done = total.interruptions - self._before
        text = f"rtcore fuzz: {number(total.interruptions)}"
        if goal.interruptions is not None:
            text += f" of {number(goal.interruptions)}"
        text += f" interruptions, {done / seconds:.0f}/s" if seconds else " interruptions"
        if goal.interruptions is not None:
            text += expected(done, goal.interruptions - self._before, seconds)
        elif goal.minutes is not None:
            left = max(0.0, 60 * goal.minutes - self._campaigns[0].seconds)
            text += f", {left:.0f} s left" if left < 90 else f", {left / 60:.0f} min left"
        elif goal.worlds is not None:
            text += expected(total.worlds, goal.worlds, seconds)
        broke = sum(each.total.violations for each in self._campaigns)
        return f"{text}, {broke} violations" if broke else text
