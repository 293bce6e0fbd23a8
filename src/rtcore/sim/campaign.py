"""Many worlds in a row, and what they found out together.

A campaign is a range of seeds. Its result is the sum of its worlds', so that several processes can share the seeds and add up
what they got, in the order of the seeds.
"""

from collections.abc import Callable, Sequence

from rtcore._session import Session
from rtcore.sim.results import CampaignResult, WorldResult
from rtcore.sim.voices import Voice
from rtcore.sim.world import SessionFactory, World

Progress = Callable[[WorldResult, CampaignResult], None]
"""Told after each world: its result, and the sum so far."""


def run_campaign(
    first_seed: int,
    interruptions: int,
    voices: Sequence[Voice],
    progress: Progress | None = None,
    *,
    stride: int = 1,
    session_factory: SessionFactory = Session,
    stop_at_violation: bool = False,
) -> CampaignResult:
    """Run the worlds ``first_seed``, ``first_seed + stride``, ... until they held so many interruptions together.

    Pure and sequential: a command line shares the seeds among processes by ``stride``. ``stop_at_violation`` ends after the first
    world that broke an invariant.
    """
    total = CampaignResult()
    seed = first_seed
    while total.interruptions < interruptions:
        world = World(seed, voices, session_factory=session_factory).run()
        total += CampaignResult.of(world)
        if progress is not None:
            progress(world, total)
        if stop_at_violation and world.violations:
            break
        seed += stride
    return total
