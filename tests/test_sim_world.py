"""Whole worlds: the invariants hold, a seed is a world to the bit, and the interesting situations do come up."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from msgspec import structs

from rtcore import Effect, Session
from rtcore.sim import (
    PENDING,
    SABOTAGED,
    CampaignResult,
    KindResult,
    NetworkOptions,
    Scenario,
    Spread,
    World,
    WorldResult,
    run_campaign,
    synthetic_voices,
)
from rtcore.sim._rng import Rng
from rtcore.sim.results import spread
from rtcore.sim.scenario import KINDS, KindRow, draw_scenario

VOICES = synthetic_voices(1)
WORLDS = 40


@pytest.fixture(scope="module")
def campaign() -> CampaignResult:
    total = CampaignResult()
    for seed in range(WORLDS):
        total += CampaignResult.of(World(seed, VOICES).run())
    return total


def test_no_invariant_breaks(campaign: CampaignResult) -> None:  # DESIGN 6, invariants 1 to 10, 12 and 14
    assert campaign.violations == ()
    assert campaign.unheard_left == 0 and campaign.turns_unanswered == 0
    assert set(campaign.pending_invariants) == set(PENDING)


def test_nearly_every_cut_is_checked(campaign: CampaignResult) -> None:  # invariant 5
    assert campaign.cuts > 400 and campaign.cuts_checked >= campaign.cuts * 95 // 100


def test_the_server_is_told_the_very_millisecond_wherever_the_clock_answers(campaign: CampaignResult) -> None:  # B01, C08, F011
    error = campaign.truncation_error_ms
    assert error.count > 300 and error.max == 0
    assert campaign.estimated_error_ms.max <= 350 + 200  # the declared flush latency, and the longest reporting interval


def test_old_sound_ends_with_what_the_device_held(campaign: CampaignResult) -> None:
    silence = campaign.silence_after_barge_in_ms
    # One that the next overtakes is told to nobody, and one that the policy ignores silences nothing.
    assert silence.count >= campaign.interruptions * 90 // 100
    assert silence.max <= 500 + 20 + 1  # the largest device buffer and a block


def test_every_kind_of_interruption_and_every_situation_comes_up(campaign: CampaignResult) -> None:
    assert {kind.kind for kind in campaign.kinds} == {row.kind for row in KINDS}
    expected = {"B10: late audio after a cut", "B15: response dead on arrival", "C16: context stale"}
    assert expected <= set(campaign.situations)
    verdicts = {verdict for kind in campaign.kinds for verdict in kind.verdicts}
    assert {"full", "partial", "skipped"} <= verdicts


def test_only_excused_errors_come_from_the_server(campaign: CampaignResult) -> None:  # invariant 9
    races = {"response_cancel_not_active", "conversation_already_has_active_response"}
    faults = {"server_error", "rate_limit_exceeded", "session_expired"}  # "server: rejection", "server: session end"
    unknown = {
        "item_already_truncated",
        "invalid_value",
    }  # what a server makes of a truncate, where nobody knows (_audit_truncates)
    assert set(campaign.server_errors) <= races | faults | unknown


def test_the_same_seed_is_the_same_world_to_the_bit() -> None:  # C30, invariant 14
    first, second = World(11, VOICES, story=True), World(11, VOICES)
    assert first.run() == second.run()
    assert first.story is not None and len(first.story.lines) > 500


def test_another_seed_is_another_world() -> None:
    assert World(11, VOICES).run().digest != World(12, VOICES).run().digest


@pytest.mark.parametrize("seed", range(4))
def test_where_the_byte_stream_is_cut_changes_nothing(seed: int) -> None:  # invariant 14
    scenario = structs.replace(draw_scenario(Rng(seed)), interruptions=6, stream=NetworkOptions(20, 10, stream=True))
    worlds = [World(seed, VOICES, scenario=scenario, split_seed=split).run() for split in (0, 5, 9)]
    plain = structs.replace(scenario, stream=NetworkOptions(20, 10, stream=False))
    worlds.append(World(seed, VOICES, scenario=plain).run())
    assert len({world.digest for world in worlds}) == 1


def test_hash_seeds_change_nothing() -> None:
    """No decision hangs on the order of a set."""
    code = (
        "from rtcore.sim import World, synthetic_voices\n"
        "print(*(World(seed, synthetic_voices(1)).run().digest for seed in range(3)))"
    )
    source = str(Path(__file__).parent.parent / "src")
    told = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": source},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1] and told[0].split() == [World(seed, VOICES).run().digest for seed in range(3)]


def test_a_world_tells_what_happened_in_lines() -> None:
    world = World(3, VOICES, story=True)
    world.run()
    assert world.story is not None
    lines = [str(line) for line in world.story.lines]
    told = ("user      interrupts: ", "core      Flush(", "> conversation.item.truncate", "at server  ", "clock     played(")
    assert all(any(words in line for line in lines) for words in told)


def test_results_are_plain_data() -> None:
    result = World(5, VOICES).run()
    assert msgspec.json.decode(msgspec.json.encode(result), type=WorldResult) == result


# -- adding up -----------------------------------------------------------------------------------------------------------------


def test_sums_do_not_depend_on_the_grouping() -> None:
    worlds = [CampaignResult.of(World(seed, VOICES).run()) for seed in range(4)]
    a, b, c, d = worlds
    assert ((a + b) + c) + d == a + (b + (c + d)) == (a + b) + (c + d)
    assert CampaignResult() + a == a


def test_a_campaign_runs_until_it_has_held_so_many_interruptions() -> None:
    told: list[int] = []
    result = run_campaign(100, 30, VOICES, lambda world, total: told.append(total.interruptions))
    assert told[-1] == result.interruptions >= 30 and all(count < 30 for count in told[:-1])


def test_processes_share_seeds_by_stride() -> None:
    whole = sum((CampaignResult.of(World(seed, VOICES).run()) for seed in (7, 8)), CampaignResult())
    parts = [run_campaign(first, 1, VOICES, stride=2) for first in (7, 8)]
    assert parts[0] + parts[1] == whole


def test_percentiles_are_nearest_ranks() -> None:
    assert spread([{0: 98, -7: 1}, {9: 1}]) == Spread(100, 0, 7, 9)
    assert spread([{1500: 2, 2500: 1}], 1000) == Spread(3, 1.5, 2.5, 2.5)
    assert spread([]) == Spread(0, 0, 0, 0)


def test_figures_of_a_kind_add_up() -> None:
    one = KindResult("a", 1, {"full": 1}, {0: 1}, {}, {5: 1}, 0, 1, 1, 0)
    assert one + one == KindResult("a", 2, {"full": 2}, {0: 2}, {}, {5: 2}, 0, 2, 2, 0)


# -- worlds of one's own -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", KINDS, ids=lambda row: str(row.kind))
def test_each_kind_can_be_asked_for_alone(row: KindRow) -> None:
    detection: Literal["server_vad"] | None = "server_vad" if row.by_speech else None
    result = World(1, VOICES, scenario=Scenario(interruptions=4, kinds=((row.kind, 1),), detection=detection)).run()
    assert result.violations == () and result.interruptions == 4 and result.turns_unanswered == 0


def test_every_sabotaged_core_is_caught_by_a_campaign() -> None:
    for name, factory in SABOTAGED.items():
        broken = run_campaign(0, 60, VOICES, session_factory=factory, stop_at_violation=True)
        assert broken.violations, name
    assert run_campaign(0, 60, VOICES, session_factory=Session).violations == ()


class Raises(Session):
    """A session that does what it must never do."""

    def flushed(self, generation: int, samples: int, *, now: float) -> list[Effect]:
        raise ZeroDivisionError("out of order")


def test_a_session_that_raises_is_a_violation_with_a_seed() -> None:
    result = World(1, VOICES, session_factory=Raises).run()
    assert [(v.seed, v.invariant, v.text) for v in result.violations] == [(1, 15, "ZeroDivisionError: out of order")]


def test_a_world_needs_nothing_but_its_seed() -> None:  # DESIGN 6
    assert World(7).run() == World(7, synthetic_voices(1)).run()
