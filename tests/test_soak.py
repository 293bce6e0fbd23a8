"""Eight hours in one session (make soak): about a minute, so ``make test`` leaves it out."""

import os

import pytest

from rtcore.sim import synthetic_voices
from rtcore.sim.soak import soak

pytestmark = pytest.mark.soak
HOURS = 8


@pytest.mark.skipif("RTCORE_SOAK" not in os.environ, reason="a minute or more; make soak runs it")
@pytest.mark.parametrize("seed", [2036])
def test_nothing_grows_in_eight_hours_but_the_conversation(seed: int) -> None:  # invariants 13 and 15, F150
    outcome = soak(seed, HOURS, synthetic_voices(1))
    assert outcome.result.violations == ()
    assert outcome.problems == []
    assert len(outcome.hours) == HOURS and outcome.result.simulated_ms >= HOURS * 3_600_000
    grown = [later.items - earlier.items for earlier, later in zip(outcome.hours, outcome.hours[1:], strict=False)]
    assert all(more > 300 for more in grown), grown  # it was a conversation to the end
