"""Comparisons: exact ratios, pairs that cancel what the seeds bring, spreads that hold what they promise."""

from fractions import Fraction

import pytest

from rtcore.sim.comparison import COLUMNS, MEASURES, Row, compare, ranks, row
from rtcore.sim.results import CampaignResult, KindResult, Violation, WorldResult


def _world(**changes: int) -> Row:
    return tuple(changes.get(name, 0) for name in COLUMNS)


def test_a_world_is_one_row_of_integers() -> None:
    kind = KindResult(
        "at the boundary",
        interruptions=3,
        verdicts={"full": 2, "partial": 3, "skipped": 1, "text": 4},
        truncation_error_ms={-2: 1, 3: 2},
        estimated_error_ms={-40: 1},
        misled_error_ms={-7: 2},
        talked_over_us={100_000: 3},
        answer_us={500_000: 2},
        silence_us={0: 1, 200_000: 1, 200_001: 2},
        unheard_left=5,
        answered=2,
        unanswered=1,
    )
    world = WorldResult(
        seed=1,
        settings="",
        kinds=(kind,),
        violations=(Violation(1, 5, 0.5, "x"),),
        cuts=4,
        cuts_checked=4,
        cuts_estimated=1,
        server_errors={"a": 2, "b": 1},
        simulated_ms=9_000,
        digest="00",
        idle_ms=1_000,
    )

    assert dict(zip(COLUMNS, row(world), strict=True)) == {
        "interruptions": 3, "simulated_ms": 9_000, "idle_ms": 1_000, "cuts": 4, "cuts_estimated": 1,
        "truncation_error_ms": 8, "truncations": 3, "estimated_error_ms": 40, "estimates": 1,
        "misled_error_ms": 14, "misled": 2, "talked_over_us": 300_000, "talks_over": 3, "answer_us": 1_000_000, "answers": 2,
        "silence_us": 600_002, "silences": 4, "silences_long": 2, "messages": 6, "partial": 3, "skipped": 1,
        "unheard_left": 5, "unanswered": 1, "server_errors": 3, "violations": 1,
    }  # fmt: skip


def test_figures_are_exact_ratios_of_sums() -> None:
    a = [_world(silence_us=1000, silences=1), _world(silence_us=3000, silences=2)]
    b = [_world(silence_us=5000, silences=1), _world(silence_us=3000, silences=2)]
    found = {each.measure.name: each for each in compare(a, b, paired=True)}["silence after barge-in, mean"]

    assert (found.a, found.b, found.difference) == (Fraction(4, 3), Fraction(8, 3), Fraction(4, 3))


def test_what_was_not_measured_has_no_figure_and_one_world_no_spread() -> None:
    for each in compare([_world(interruptions=1)], [_world(interruptions=2)], paired=True):
        assert each.spread is None and not each.certain
        if each.measure.per != "interruptions":
            assert (each.a, each.b, each.difference) == (None, None, None)


def test_equal_campaigns_differ_by_nothing_at_all() -> None:
    rows = [_world(silence_us=seed * 977 % 400, silences=1 + seed % 3, interruptions=3) for seed in range(50)]

    for each in compare(rows, rows, paired=True):
        assert each.difference in (0, None) and each.spread in (0, None) and not each.certain


def test_pairs_cancel_what_the_seeds_bring() -> None:
    """Each world of b is 5 ms slower than the same world of a; worlds differ among themselves by far more."""
    noise = [seed * 7919 % 1000 for seed in range(200)]
    a = [_world(silence_us=1000 * each, silences=1) for each in noise]
    b = [_world(silence_us=1000 * (each + 5), silences=1) for each in noise]
    name = "silence after barge-in, mean"
    paired = {each.measure.name: each for each in compare(a, b, paired=True)}[name]
    apart = {each.measure.name: each for each in compare(a, b, paired=False)}[name]

    assert paired.difference == apart.difference == 5
    assert paired.spread == 0 and paired.certain
    assert apart.spread is not None and apart.spread > 40 and not apart.certain


def test_the_spread_is_that_of_a_mean_where_every_world_weighs_the_same() -> None:
    """1.96 * sqrt(variance / n), with the variance of a sample: of 0, 2 and 4 it is 4."""
    a = [_world(silence_us=0, silences=1)] * 3
    b = [_world(silence_us=1000 * each, silences=1) for each in (0, 2, 4)]
    for paired in (True, False):
        found = {each.measure.name: each for each in compare(a, b, paired=paired)}["silence after barge-in, mean"]
        assert found.spread is not None and abs(float(found.spread) - 1.96 * (4 / 3) ** 0.5) < 1e-9


def test_pairs_need_the_same_worlds() -> None:
    with pytest.raises(ValueError, match="pairs of 1 and 2 worlds"):
        compare([_world()], [_world()] * 2, paired=True)


def test_measures_are_made_of_columns_and_have_names_of_their_own() -> None:
    assert {name for measure in MEASURES for name in (measure.of, measure.per)} <= set(COLUMNS)
    assert len({measure.name for measure in MEASURES}) == len(MEASURES)


def test_ranks_tell_what_means_hide() -> None:
    a = CampaignResult(kinds=(KindResult("x", silence_us={0: 99, 900_000: 1}),))
    found = {each.name: each for each in ranks(a, CampaignResult())}["silence after barge-in"]

    assert (found.a, found.b, found.counts) == ((0.0, 0.0, 900.0), (0.0, 0.0, 0.0), (100, 0))
