"""A campaign under way: worlds are added in the order of their seeds; what is there can be saved and gone on with at any time.

The worlds that count are always a prefix of the seeds, whoever ran them and however often the campaign was ended: so the figures
do not depend on processes, batches, machines or interruptions.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from rtcore.sim.campaign import Sum
from rtcore.sim.comparison import COLUMNS, Row, row
from rtcore.sim.results import CampaignResult, WorldResult
from rtcore_adapters.cli._pool import Runner
from rtcore_adapters.cli._signals import shielded
from rtcore_adapters.cli._store import FORMAT, VERSION, Saved, fingerprint, save
from rtcore_adapters.cli._worlds import Work

_SAVE_EVERY_S = 5.0
_SAVE_SHARE = 0.03
"""Of the time may go into saving: a long campaign's file is written less often, if that takes long."""


class Goal(Struct, frozen=True):
    """When a campaign is complete: whichever is set and reached first."""

    interruptions: int | None = None
    minutes: float | None = None
    worlds: int | None = None
    stop_at_violation: bool = False


class Campaign:
    """The worlds from ``first`` on, under one policy."""

    def __init__(self, first: int = 0, policy: str = "", sabotage: str | None = None) -> None:
        self.first = first
        self.policy = policy
        self.sabotage = sabotage
        self.total = Sum()
        self.rows: list[Row] = []
        self.unanswered: list[int] = []
        """Seeds of worlds in which a turn got no answer."""
        self.unheard: list[int] = []
        """Seeds of worlds in which an unheard message was left at the server."""
        self.seconds = 0.0
        """How long it ran, all runs together."""
        self.process_seconds = 0.0
        """The same, times the processes it ran in."""

    @classmethod
    def of(cls, saved: Saved) -> "Campaign":
        """Where a file left it."""
        campaign = cls(saved.first_seed, saved.policy, saved.sabotage)
        campaign.total = Sum(saved.result)
        campaign.rows = list(saved.rows)
        campaign.unanswered = list(saved.unanswered)
        campaign.unheard = list(saved.unheard)
        campaign.seconds, campaign.process_seconds = saved.seconds, saved.process_seconds
        return campaign

    def saved(self, goal: Goal) -> Saved:
        """As it is stored."""
        return Saved(
            format=FORMAT,
            version=VERSION,
            fingerprint=fingerprint(),
            first_seed=self.first,
            policy=self.policy,
            sabotage=self.sabotage,
            interruptions=goal.interruptions,
            minutes=goal.minutes,
            complete=self.reached(goal),
            seconds=round(self.seconds, 3),
            process_seconds=round(self.process_seconds, 3),
            result=self.result,
            unanswered=tuple(self.unanswered),
            unheard=tuple(self.unheard),
            columns=tuple(COLUMNS),
            rows=self.rows,
        )

    @property
    def next_seed(self) -> int:
        """The first world that is not in it."""
        return self.first + self.total.worlds

    @property
    def result(self) -> CampaignResult:
        """The sum of its worlds."""
        return self.total.result

    def add(self, world: WorldResult) -> None:
        """The next world. Raises ValueError where it is another one: every world counts once, in its place."""
        if world.seed != self.next_seed:
            raise ValueError(f"world {world.seed} came where {self.next_seed} is next")
        self.total.add(world)
        self.rows.append(row(world))
        if world.turns_unanswered:
            self.unanswered.append(world.seed)
        if world.unheard_left:
            self.unheard.append(world.seed)

    def reached(self, goal: Goal) -> bool:
        """It is complete."""
        total = self.total
        return (
            (goal.interruptions is not None and total.interruptions >= goal.interruptions)
            or (goal.minutes is not None and self.seconds >= 60 * goal.minutes)
            or (goal.worlds is not None and total.worlds >= goal.worlds)
            or (goal.stop_at_violation and total.violations > 0)
        )


class Saving:
    """Saves a campaign now and then, as often as it pays."""

    def __init__(self, path: Path, campaign: Campaign, goal: Goal) -> None:
        self._path, self._campaign, self._goal = path, campaign, goal
        self._next = 0.0

    def now(self) -> None:
        """At once. Raises OSError where that cannot be done; the file that was there stays."""
        began = time.monotonic()
        save(self._path, self._campaign.saved(self._goal))
        ended = time.monotonic()
        self._next = ended + max(_SAVE_EVERY_S, (ended - began) / _SAVE_SHARE)

    def if_due(self) -> None:
        """Where the last time is some seconds ago."""
        if time.monotonic() >= self._next:
            self.now()


def run(
    campaigns: Sequence[Campaign],
    goal: Goal,
    runner: Runner,
    *,
    batch: int = 1,
    processes: Callable[[], int] = lambda: 1,
    saving: Saving | None = None,
    told: Callable[[], None] = lambda: None,
) -> None:
    """Run campaigns over the same seeds, side by side, until each has reached the goal.

    ``told`` is called after each seed. ``KeyboardInterrupt`` ends it early, between two worlds: what was added is whole, and
    ``saving`` has it. So does it after any other failure (a process that died raises ``WorkerDied``).
    """
    if saving is not None:
        saving.now()  # better to know now than after hours that the file cannot be written
    if all(campaign.reached(goal) for campaign in campaigns):
        return
    work = Work(campaigns[0].next_seed, batch, tuple(each.policy for each in campaigns), campaigns[0].sabotage)
    last = time.monotonic()
    try:
        with runner(work) as results:
            for worlds in results:
                with shielded():
                    now = time.monotonic()
                    for campaign, world in zip(campaigns, worlds, strict=True):
                        campaign.add(world)
                        campaign.seconds += now - last
                        campaign.process_seconds += (now - last) * processes() / len(campaigns)
                    last = now
                    if saving is not None:
                        saving.if_due()
                told()
                if all(campaign.reached(goal) for campaign in campaigns):
                    break
    finally:
        if saving is not None:
            with shielded():
                saving.now()
