"""Two campaigns side by side as one page: every figure with its difference and spread, and both distributions in one picture."""

from collections.abc import Sequence
from functools import reduce
from operator import add

from rtcore.sim.comparison import DISTRIBUTIONS
from rtcore.sim.results import CampaignResult, KindResult
from rtcore_adapters.cli._sides import (
    DIFFERENCE_TITLES,
    RANK_GROUPS,
    RANK_TITLES,
    Compared,
    difference_rows,
    rank_rows,
    side_line,
)
from rtcore_adapters.cli.report._page import figure, frame, grid, section, text_list, words
from rtcore_adapters.cli.report._plots import Series, distribution


def comparison_page(found: Compared, problems: Sequence[str]) -> str:
    """The page."""
    certain = [each.measure.name for each in found.differences if each.certain]
    body = [
        section(
            "Figures",
            text_list([("A", side_line(found.a)), ("B", side_line(found.b)), ("how", found.how)]),
            grid(DIFFERENCE_TITLES, difference_rows(found)),
            words(
                "+/- is 1.96 standard errors of the difference, from the spread among worlds: a larger difference is more "
                "than chance (in 95 of 100 comparisons). Too few: measured in fewer than 10 worlds."
            ),
        ),
        section(
            "Distributions",
            words("What means hide. Both are shares of their own total, one over the other."),
            *(_both(found, *each) for each in DISTRIBUTIONS),
            grid(RANK_TITLES, rank_rows(found), RANK_GROUPS),
        ),
    ]
    return frame(
        title="Side by side",
        lead=f"A: {found.a.name}. B: {found.b.name}. {found.how}",
        verdict=f"They differ in: {', '.join(certain)}." if certain else "Nothing differs by more than chance.",
        problems=problems,
        body=body,
        made_by=f'rtcore fuzz --compare "{found.a.name}" "{found.b.name}"',
    )


def _both(found: Compared, name: str, field: str, per_unit: int) -> str:
    series = [Series(side.name, getattr(_total(side.result), field), per_unit) for side in (found.a, found.b)]
    if not any(each.counts for each in series):
        return ""
    axis = f"{name}, ms"
    return figure(lambda width: distribution(series, title=name, axis=axis, width=width), f"{name.capitalize()}.")


def _total(result: CampaignResult) -> KindResult:
    return reduce(add, result.kinds, KindResult("all"))
