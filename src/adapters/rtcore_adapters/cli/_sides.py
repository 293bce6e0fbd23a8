"""What a comparison found, and its rows for terminal and page."""

from fractions import Fraction

from msgspec import Struct

from rtcore.sim.comparison import FEWEST, Difference, Ranks, compare, ranks
from rtcore.sim.results import CampaignResult
from rtcore_adapters.cli._campaign import Campaign
from rtcore_adapters.cli._table import duration, milliseconds, number


class Side(Struct, frozen=True, eq=False):
    """One of the two: what it is called, what it found, of which version, and what was wrong with it."""

    name: str
    campaign: Campaign
    result: CampaignResult
    version: str
    problems: tuple[str, ...]


class Compared(Struct, frozen=True, eq=False):
    """Both, and what they differ in. ``pairs`` is how many worlds were compared as pairs; 0 where the seeds are others."""

    a: Side
    b: Side
    pairs: int
    differences: tuple[Difference, ...]
    ranks: tuple[Ranks, ...]

    @property
    def how(self) -> str:
        """How they were compared, in words."""
        if not self.pairs:
            return "Other seeds: compared as two independent samples of worlds."
        text = f"Compared in pairs of worlds: {number(self.pairs)} seeds under both."
        most = max(self.a.result.worlds, self.b.result.worlds)
        return text if most == self.pairs else f"{text} Distributions are of all worlds of each."


def compared(a: Side, b: Side) -> Compared:
    """Their differences."""
    pairs = min(a.result.worlds, b.result.worlds) if a.campaign.first == b.campaign.first else 0
    rows_a, rows_b = a.campaign.rows, b.campaign.rows
    differences = compare(rows_a[:pairs], rows_b[:pairs], paired=True) if pairs else compare(rows_a, rows_b, paired=False)
    return Compared(a, b, pairs, differences, ranks(a.result, b.result))


# -- telling ------------------------------------------------------------------------------------------------------------------


def amount(value: Fraction | None, *, sign: bool = False) -> str:
    """A figure with as many places as say something; "-" where there is none."""
    if value is None:
        return "-"
    size = abs(value)
    places = 0 if value == 0 else 1 if size >= 100 else 2 if size >= 1 else 3
    text = f"{float(value):{'+' if sign and value else ''},.{places}f}"
    return text if value == 0 or float(text.replace(",", "")) else f"{float(value):{'+' if sign else ''}.1g}"


def difference_rows(found: Compared) -> list[list[str]]:
    """Name and unit, A, B, difference, spread, and whether it is more than chance."""
    rows = []
    for each in found.differences:
        spread = "-" if each.spread is None else amount(each.spread)
        verdict = "-" if each.difference is None else "yes" if each.certain else "no" if each.worlds >= FEWEST else "too few"
        name = f"{each.measure.name}, {each.measure.unit}"
        rows.append([name, amount(each.a), amount(each.b), amount(each.difference, sign=True), spread, verdict])
    return rows


DIFFERENCE_TITLES = ("figure", "A", "B", "B - A", "+/-", "more than chance")
"""The titles of these rows."""


def rank_rows(found: Compared) -> list[list[str]]:
    """What means hide: name, and median, p99 and maximum of A, then of B."""
    rows = []
    for each in found.ranks:
        a, b = (
            [number(count), *map(milliseconds, values)] if count else ["0", "-", "-", "-"]
            for values, count in ((each.a, each.counts[0]), (each.b, each.counts[1]))
        )
        rows.append([f"{each.name}, {each.unit}", *a, *b])
    return rows


RANK_TITLES = ("distribution", *("count", "median", "p99", "max") * 2)
"""The titles of these rows."""

RANK_GROUPS = (*["A"] * 4, *["B"] * 4)
"""What stands above them."""


def side_line(side: Side) -> str:
    """One side in words."""
    result = side.result
    seeds = f"seeds {side.campaign.first} to {side.campaign.next_seed - 1}" if result.worlds else "no seeds"
    return (
        f"{side.name}; {number(result.interruptions)} interruptions in {number(result.worlds)} worlds ({seeds}), "
        f"{duration(result.simulated_ms / 1000)}; version {side.version}, digest {result.digest}"
    )
