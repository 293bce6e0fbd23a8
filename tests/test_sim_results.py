"""Results of worlds add up exactly, in any grouping, and survive being written down."""

import re
from pathlib import Path

import msgspec
import pytest

from rtcore.sim import CampaignResult, KindResult, WorldResult, run_campaign, synthetic_voices
from rtcore.sim.faults import NAMES
from rtcore.sim.results import FaultResult, Violation, word_errors
from rtcore.sim.sometimes import FAILURES_UNREACHED, SOMETIMES, UNREACHED, Sometimes, missed
from rtcore_adapters.cli._judgement import campaign_problems


def world(seed: int, faults: tuple[str, ...] = ()) -> WorldResult:
    kinds = (
        KindResult("a", 2, {"full": 1}, {0: seed, -2: 1}, {}, {5: 1}, 0, 1, 1, 1),
        KindResult("b", seed, {"partial": 3}, {1: 1}, {40: 2}, {7 * seed: 1}, seed % 2, 0, 2, 0),
    )
    broken = (Violation(seed, 4, 0.1 * seed, "told too much"),) if seed == 3 else ()
    return WorldResult(
        seed=seed,
        settings="",
        kinds=kinds,
        violations=broken,
        cuts=3,
        cuts_checked=2,
        cuts_estimated=1,
        server_errors={"x": seed},
        simulated_ms=1000 * seed,
        digest=f"{seed * 0x1234567890ABCDE:016x}",
        pending_invariants=(11,),
        situations={"B15: response dead on arrival": seed},
        faults=faults,
        idle_ms=100 * seed,
    )


WORLDS = [
    CampaignResult.of(each)
    for each in (
        world(1, ("network: jitter",)),
        world(2, ("speaker: drift", "network: jitter")),
        world(3),
        world(4, ("speaker: drift",)),
    )
]


def test_any_grouping_gives_the_same_sum() -> None:
    a, b, c, d = WORLDS
    total = a + b + c + d
    assert total == a + (b + (c + d)) == (a + b) + (c + d) == CampaignResult() + (a + (b + c)) + d + CampaignResult()
    assert total.idle_ms == 1000 and total.worlds == 4 and total.interruptions == 18


def test_a_fault_sums_the_worlds_in_which_it_existed() -> None:
    by_name = {fault.fault: fault for fault in (WORLDS[0] + WORLDS[1] + WORLDS[2] + WORLDS[3]).faults}
    assert list(by_name) == ["network: jitter", "speaker: drift"]
    assert by_name["network: jitter"] == FaultResult(
        "network: jitter", 2, 7, {-2: 2, 0: 3, 1: 2}, {40: 4}, {5: 2, 7: 1, 14: 1}, unheard_left=1, unanswered=2
    )
    assert by_name["speaker: drift"].worlds == 2 and by_name["speaker: drift"].interruptions == 10


@pytest.mark.parametrize("kind", [WorldResult, CampaignResult], ids=lambda each: each.__name__)
def test_what_is_written_as_json_is_read_back_equal(kind: type[WorldResult] | type[CampaignResult]) -> None:
    results: list[WorldResult | CampaignResult]
    if kind is WorldResult:
        results = [world(3, ("speaker: drift",))]
        run_campaign(0, 20, synthetic_voices(1), lambda one, total: results.append(one))
    else:
        results = [CampaignResult(), WORLDS[0] + WORLDS[1] + WORLDS[2], run_campaign(0, 20, synthetic_voices(1))]
    for result in results:
        assert msgspec.json.decode(msgspec.json.encode(result), type=kind) == result


# -- "sometimes": what has to come up -------------------------------------------------------------------------------------------


def test_a_campaign_that_missed_a_situation_says_which() -> None:
    table = (Sometimes("often", "", ("B01",), 100_000), Sometimes("rare", "", ("B02",), 1), Sometimes("never", "", (), 60_000))
    result = CampaignResult(kinds=(KindResult("a", 5_020),), situations={"often": 2})
    assert missed(result, table) == ["never: 0 times in 5020 interruptions, 1 at least"]
    assert missed(CampaignResult(kinds=(KindResult("a", 5_000),)), table) == []


def test_every_situation_is_listed_once_and_has_a_minimum() -> None:
    assert len({one.id for one in SOMETIMES}) == len(SOMETIMES)
    assert all(one.per_million > 0 and one.covers and one.what for one in SOMETIMES)


def test_every_behaviour_and_every_fault_comes_up_or_is_said_not_to() -> None:
    """A behaviour that is added has to be met by campaigns, or named as one that is not, with the reason."""
    behaviours = {f"{kind}{number:02}" for kind, last in (("B", 31), ("C", 30), ("S", 10)) for number in range(1, last + 1)}
    covered = {name for one in SOMETIMES for name in one.covers if name[0] != "F"}
    assert covered | set(UNREACHED) == behaviours
    assert covered.isdisjoint(UNREACHED) and all(UNREACHED.values())
    assert {one.id for one in SOMETIMES}.issuperset(NAMES)


def test_every_failure_of_turns_tools_lines_and_words_comes_up_or_is_said_not_to() -> None:
    """Groups D to I of what broke for real users; the page on the simulated world gives the same list."""
    unused = {48, 53, 58, 63, 68, 73, 77, 79, 84, 89, 94, 99, 104, 109, 114, 119, 124, 129}  # numbers that no failure has
    failures = {f"F{number:03}" for number in range(44, 132) if number not in unused}
    covered = {name for one in SOMETIMES for name in one.covers} & failures
    assert covered | set(FAILURES_UNREACHED) == failures
    assert covered.isdisjoint(FAILURES_UNREACHED) and all(FAILURES_UNREACHED.values())
    page = (Path(__file__).parent.parent / "docs" / "world.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (F\d{3}) \| (.+) \|$", page, re.MULTILINE))
    assert rows == FAILURES_UNREACHED


def test_errors_in_words_keep_their_sign_in_the_mean_and_lose_it_in_the_ranks() -> None:  # invariant 11
    errors = word_errors([{0: 90, -1: 4}, {0: 1, 1: 3, -4: 2}])
    assert errors is not None
    assert (errors.count, errors.exact, errors.median, errors.p95, errors.p99, errors.max) == (100, 0.91, 0, 1, 4, 4)
    assert errors.mean == pytest.approx((-4 + 3 - 8) / 100)
    assert word_errors([{}]) is None


@pytest.mark.parametrize(("errors", "bad"), [({0: 600, 2: 20}, False), ({0: 600, -2: 40}, True), ({0: 10, 5: 10}, False)])
def test_a_campaign_whose_heard_words_are_off_fails(errors: dict[int, int], bad: bool) -> None:  # invariant 11, issue 6
    result = CampaignResult(kinds=(KindResult("a", text_error_words=errors),))
    told = [problem for problem in campaign_problems(result, policy="network=clean") if "words told as heard" in problem]
    assert bool(told) is bad
