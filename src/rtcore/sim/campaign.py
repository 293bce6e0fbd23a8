"""Many worlds in a row, and what they found out together.

A campaign is a range of seeds. Its result is the sum of its worlds', so that several processes can share the seeds and add up
what they got, in the order of the seeds.
"""

from collections.abc import Callable, Sequence

from rtcore._session import Session
from rtcore.sim._line_book import comes_back as comes_back
from rtcore.sim._line_world import LineWorld
from rtcore.sim.policy import Policy
from rtcore.sim.results import CampaignResult, WorldResult
from rtcore.sim.scenario import scenario_of
from rtcore.sim.voices import Voice
from rtcore.sim.world import SessionFactory, World


class Sum:
    """Worlds added one by one, in order, at a cost that grows with their number and not with its square.

    Neighbours of equal weight are joined first, as a binary counter carries: a world is part of ``log2`` of all joins.
    """

    def __init__(self, result: CampaignResult | None = None) -> None:
        """Go on from ``result``, or from nothing."""
        start = CampaignResult() if result is None else result
        self.worlds = start.worlds
        self.interruptions = start.interruptions
        self.violations = len(start.violations)
        # What was there before any world is heavier than all of them: nothing carries into it.
        self._parts: list[tuple[int, CampaignResult]] = [(0, start)] if start.worlds else []

    def add(self, world: WorldResult) -> None:
        """The next world."""
        weight, part = 1, CampaignResult.of(world)
        while self._parts and self._parts[-1][0] == weight:
            part = self._parts.pop()[1] + part
            weight *= 2
        self._parts.append((weight, part))
        self.worlds += 1
        self.interruptions += world.interruptions
        self.violations += len(world.violations)

    @property
    def result(self) -> CampaignResult:
        """Of all of them."""
        total = CampaignResult()
        for _, part in reversed(self._parts):
            total = part + total
        return total


Progress = Callable[[WorldResult, Sum], None]
"""Told after each world: its result, and the sum so far."""


def policy_world(
    seed: int,
    voices: Sequence[Voice],
    policy: Policy,
    *,
    session_factory: SessionFactory = Session,
    story: bool = False,
) -> World | LineWorld:
    """The world of this seed under a policy: everything that the policy does not name is as the seed drew it.

    One seed in seventeen is a call over lines that come back, the same under every policy.
    """
    if comes_back(seed):
        return LineWorld(seed, voices, session_factory=session_factory, story=story)
    scenario = policy.applied(scenario_of(seed)) if policy.changes else None
    return World(seed, voices, scenario=scenario, session_factory=session_factory, story=story)


def run_campaign(
    first_seed: int,
    interruptions: int,
    voices: Sequence[Voice],
    progress: Progress | None = None,
    *,
    stride: int = 1,
    policy: Policy | None = None,
    session_factory: SessionFactory = Session,
    stop_at_violation: bool = False,
) -> CampaignResult:
    """Run the worlds ``first_seed``, ``first_seed + stride``, ... until they held so many interruptions together.

    Pure and sequential: a command line shares the seeds among processes. ``stop_at_violation`` ends after the first world that
    broke an invariant.
    """
    total, rules = Sum(), policy or Policy()
    seed = first_seed
    while total.interruptions < interruptions:
        world = policy_world(seed, voices, rules, session_factory=session_factory).run()
        total.add(world)
        if progress is not None:
            progress(world, total)
        if stop_at_violation and world.violations:
            break
        seed += stride
    return total.result
