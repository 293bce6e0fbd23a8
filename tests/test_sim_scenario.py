"""What kind of world it is: the catalogue of faults, what a seed draws, and that all of it is data."""

import re

import pytest

from rtcore.sim import FAULTS, World, scenario_of, synthetic_voices
from rtcore.sim.faults import NAMES, in_order

VOICES = synthetic_voices(1)


def test_every_fault_has_one_name_and_says_what_it_serves() -> None:
    assert len(set(NAMES)) == len(NAMES) == len(FAULTS)
    for fault in FAULTS:
        assert fault.name.split(": ", 1) == [fault.group, fault.what] and len(fault.means) > 10
        assert fault.serves and all(re.fullmatch(r"[BCS]\d\d|F\d\d\d", name) for name in fault.serves), fault


def test_names_of_faults_come_in_the_order_of_the_catalogue() -> None:
    assert in_order({NAMES[7], NAMES[2]}) == (NAMES[2], NAMES[7])
    with pytest.raises(ValueError, match="user: sneeze"):
        in_order({"user: sneeze", NAMES[0]})


def test_a_seed_tells_its_scenario_without_running() -> None:
    for seed in range(5):
        assert World(seed, VOICES).scenario == scenario_of(seed)


def test_time_in_which_nothing_happens_is_told_apart() -> None:
    for seed in range(3):
        result = World(seed, VOICES).run()
        assert 0 < result.idle_ms < result.simulated_ms and result.faults == scenario_of(seed).faults
