"""Eight hours in one session (make soak): about a minute, so ``make test`` leaves it out."""

import pytest
from samples import later

from rtcore.sim import synthetic_voices
from rtcore.sim.soak import Hour, problems, soak

pytestmark = pytest.mark.soak
HOURS = 8


@later
@pytest.mark.parametrize("seed", [2036])
def test_nothing_grows_in_eight_hours_but_the_conversation(seed: int) -> None:  # invariants 13 and 15, F150
    outcome = soak(seed, HOURS, synthetic_voices(1))
    assert outcome.result.violations == ()
    assert outcome.problems == []
    assert len(outcome.hours) == HOURS and outcome.result.simulated_ms >= HOURS * 3_600_000
    grown = [later.items - earlier.items for earlier, later in zip(outcome.hours, outcome.hours[1:], strict=False)]
    assert all(more > 300 for more in grown), grown  # it was a conversation to the end


def test_what_hangs_on_a_memory_with_a_bound_may_grow_as_far_as_that_allows() -> None:  # invariant 13
    place = "creation._expired[].for_tools"
    few = Hour({place: 0}, {place: 1}, 240, 300, 3_000)
    assert problems([few, few, few, Hour({place: 1}, {place: 40}, 240, 600, 6_000)]) == []
    [found] = problems([few, few, few, Hour({place: 1}, {place: 64 * 16 + 1}, 240, 600, 6_000)])
    assert found.startswith(place)
