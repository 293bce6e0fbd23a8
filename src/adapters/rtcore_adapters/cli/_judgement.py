"""What a campaign found that must not be, in words, and how to see it again: one judgement for ``fuzz`` and ``demo``."""

from collections.abc import Sequence

from rtcore.sim.results import CampaignResult, Violation
from rtcore.sim.sometimes import missed
from rtcore_adapters.cli._table import broken

_CHECKED = 0.95  # of the cuts, at least (DESIGN section 6, invariant 5)
_SHOWN = 5
_WORDS, _ENOUGH = 1, 500
"""Words that the text at a cut may be off at the 95th percentile, of so many cuts at least (invariant 11)."""


def campaign_problems(
    result: CampaignResult,
    unanswered: Sequence[int] = (),
    unheard: Sequence[int] = (),
    *,
    policy: str = "",
    sabotage: str | None = None,
) -> list[str]:
    """Everything that fails a campaign; the seeds are of the worlds that left a turn or a message so."""
    problems = world_problems(result, unanswered, unheard, policy=policy, sabotage=sabotage)
    if result.cuts_checked < _CHECKED * result.cuts:
        # Of many worlds: one alone may hold a cut or two, and end before they can be checked.
        problems.append(f"only {result.cuts_checked} of {result.cuts} cuts were checked")
    words = result.text_error_words
    if words is not None and words.count >= _ENOUGH and words.p95 > _WORDS:
        problems.append(f"the words told as heard are {words.p95} off at the 95th percentile of {words.count} cuts")
    if not policy:
        problems += [f"not reached, so not tested: {each}" for each in missed(result)]
    return problems


def not_reached(result: CampaignResult, policy: str) -> list[str]:
    """What a policy's campaign did not reach: no failure, for the policy itself may rule it out, but worth knowing."""
    return missed(result) if policy else []


def world_problems(
    result: CampaignResult,
    unanswered: Sequence[int] = (),
    unheard: Sequence[int] = (),
    *,
    policy: str = "",
    sabotage: str | None = None,
) -> list[str]:
    """What must not be in any world: a broken invariant, a truncation error, words left unheard, a turn without an answer."""
    problems = [f"{broken(each)}; replay it: {replay_command(each, sabotage, policy)}" for each in result.violations]
    if result.truncation_error_ms.max:
        problems.append(f"a truncation error of {result.truncation_error_ms.max} ms")
    if result.unheard_left:
        problems.append(f"{result.unheard_left} unheard messages were left at the server{_where(unheard, sabotage, policy)}")
    if result.turns_unanswered:
        problems.append(f"{result.turns_unanswered} turns were not answered{_where(unanswered, sabotage, policy)}")
    return problems


def replay_command(violation: Violation, sabotage: str | None = None, policy: str = "") -> str:
    """The command that shows a violation again."""
    return world_command(violation.seed, sabotage, policy)


def world_command(number: int, sabotage: str | None = None, policy: str = "") -> str:
    """The command that replays a world."""
    broken_core = f' --sabotage "{sabotage}"' if sabotage is not None else ""
    rules = f' --policy "{policy}"' if policy else ""
    return f"rtcore fuzz --world {number}{rules}{broken_core}"


def _where(seeds: Sequence[int], sabotage: str | None, policy: str) -> str:
    """Where to look: every world's command, up to a handful."""
    if not seeds:
        return ""
    more = f" and {len(seeds) - _SHOWN} more worlds" if len(seeds) > _SHOWN else ""
    return f"; replay: {', '.join(world_command(each, sabotage, policy) for each in seeds[:_SHOWN])}{more}"
