"""``rtcore fuzz --compare A B``: two policies over the same seeds, or saved results, side by side.

Policies run world by world in pairs: the same seed under each. A saved result and a policy: the policy runs over the file's
seeds. Two saved results are paired as far as both hold the same seeds; they may be of different versions of the core, which is
how a change of it is judged.
"""

import argparse
import json
from pathlib import Path

from rtcore.sim.comparison import FEWEST
from rtcore.sim.policy import PolicyError, parse_policy
from rtcore_adapters.cli._campaign import Campaign, Goal
from rtcore_adapters.cli._drive import drive
from rtcore_adapters.cli._judgement import campaign_problems
from rtcore_adapters.cli._objects import campaign_object, comparison_object
from rtcore_adapters.cli._sides import (
    DIFFERENCE_TITLES,
    RANK_GROUPS,
    RANK_TITLES,
    Compared,
    Side,
    compared,
    difference_rows,
    rank_rows,
    side_line,
)
from rtcore_adapters.cli._store import StoreError, fingerprint, load, writable, write_page
from rtcore_adapters.cli._table import laid_out
from rtcore_adapters.cli.report.comparison import comparison_page

INTERRUPTIONS = 2000
"""How many of each policy by default."""


def run(options: argparse.Namespace) -> int:
    """0 where both held, 1 where something did not, 130 and 143 where a signal ended it. Raises ``StoreError``."""
    for name in ("policy", "save", "resume", "world", "sabotage", "failures"):
        if getattr(options, name) is not None:
            raise StoreError(f"--{name} does not go with --compare: its two sides are policies or saved results")
    if options.html is not None:
        writable(options.html)
    (name_a, a, version_a), (name_b, b, version_b) = sides = tuple(_side(text, options.seed) for text in options.compare)
    status = 0
    new = [campaign for _, campaign, _ in sides if not campaign.total.worlds]
    if len(new) == 1:
        old = next(campaign for _, campaign, _ in sides if campaign.total.worlds)
        if any(each is not None for each in (options.seed, options.interruptions, options.minutes)):
            raise StoreError("--seed, --interruptions and --minutes are those of the saved result")
        new[0].first = old.first
        status = drive(new, Goal(worlds=old.total.worlds), options)
    elif new:
        interruptions = options.interruptions or (INTERRUPTIONS if options.minutes is None else None)
        status = drive(new, Goal(interruptions, options.minutes), options)
    elif any(each is not None for each in (options.seed, options.interruptions, options.minutes)):
        raise StoreError("two saved results are compared as they are: leave --seed, --interruptions and --minutes out")
    found = compared(_judged(name_a, a, version_a), _judged(name_b, b, version_b))
    problems = [f"{side}: {each}" for side, one in (("A", found.a), ("B", found.b)) for each in one.problems]
    if options.json:
        print(json.dumps(_object(found) | {"complete": status == 0, "problems": problems}))
    else:
        if status:
            print("Ended early.\n")
        _print(found, problems)
    if options.html is not None:
        write_page(options.html, comparison_page(found, problems))
    return status or int(bool(problems))


def _side(text: str, first: int | None) -> tuple[str, Campaign, str]:
    """Its name, its campaign (empty where it has to run), the version that ran it."""
    path = Path(text)
    if text and _is_file(path):
        saved = load(path)
        if not saved.result.worlds:
            raise StoreError(f"{path} holds no world yet")
        return f"{path.name} ({parse_policy(saved.policy).name})", Campaign.of(saved), saved.fingerprint
    try:
        rules = parse_policy(text)
    except PolicyError as error:
        raise StoreError(f"{text!r} is neither a file nor a policy: {error}") from None
    return rules.name, Campaign(first or 0, str(rules)), fingerprint()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _judged(name: str, campaign: Campaign, version: str) -> Side:
    result = campaign.result
    found = campaign_problems(result, campaign.unanswered, campaign.unheard, policy=campaign.policy, sabotage=campaign.sabotage)
    return Side(name, campaign, result, version, tuple(found))


# -- telling ------------------------------------------------------------------------------------------------------------------


def _print(found: Compared, problems: list[str]) -> None:
    print(f"A: {side_line(found.a)}")
    print(f"B: {side_line(found.b)}")
    print(f"{found.how}\n")
    print(laid_out(DIFFERENCE_TITLES, difference_rows(found), [""] * 5), end="\n\n")
    print(laid_out(RANK_TITLES, rank_rows(found), RANK_GROUPS), end="\n\n")
    print("+/- is 1.96 standard errors of the difference, from the spread among worlds: a larger difference is no accident.")
    print(f"Too few: measured in fewer than {FEWEST} worlds.")
    for problem in problems[:20]:
        print(f"FAILED: {problem}")


def _object(found: Compared) -> dict[str, object]:
    a, b = (
        campaign_object(side.campaign, side.result) | {"name": side.name, "version": side.version} for side in (found.a, found.b)
    )
    return {"a": a, "b": b, "pairs": found.pairs, **comparison_object(found.differences, found.ranks, paired=found.pairs > 0)}
