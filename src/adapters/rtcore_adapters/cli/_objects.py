"""What ``--json`` prints: counts are integers, ``*_ms`` and rates are numbers, null where nothing was measured."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from msgspec.structs import asdict

from rtcore.sim.auditor import PENDING_REASONS
from rtcore.sim.comparison import Difference, Ranks
from rtcore.sim.results import CampaignResult, FaultResult, Spread, spread
from rtcore.sim.sometimes import SOMETIMES
from rtcore_adapters.cli._campaign import Campaign
from rtcore_adapters.cli._judgement import replay_command

SHOWN = 10
"""Of lists that have no end: broken invariants, worlds to look at."""


def campaign_object(campaign: Campaign, result: CampaignResult) -> dict[str, Any]:
    """One campaign."""
    seconds, process_seconds = campaign.seconds, campaign.process_seconds
    return {
        "interruptions": result.interruptions,
        "worlds": result.worlds,
        "violations": len(result.violations),
        "cuts": result.cuts,
        "cuts_checked": result.cuts_checked,
        "cuts_estimated": result.cuts_estimated,
        "truncation_error_ms": _spread(result.truncation_error_ms),
        "estimated_error_ms": _spread(result.estimated_error_ms),
        "text_error_words": None if result.text_error_words is None else asdict(result.text_error_words),
        "silence_after_barge_in_ms": _spread(result.silence_after_barge_in_ms),
        **{
            name: _spread(spread((getattr(kind, field) for kind in result.kinds), per_unit))
            for name, field, per_unit in (
                ("misled_error_ms", "misled_error_ms", 1),
                ("barge_in_to_silence_ms", "talked_over_us", 1000),
                ("turn_to_answer_ms", "answer_us", 1000),
            )
        },
        "unheard_left": result.unheard_left,
        "server_errors": sum(result.server_errors.values()),
        "server_errors_by_code": result.server_errors,
        "turns_unanswered": result.turns_unanswered,
        "simulated_seconds": result.simulated_ms / 1000,
        "idle_seconds": result.idle_ms / 1000,
        "seconds": round(seconds, 3),
        "process_seconds": round(process_seconds, 3),
        "interruptions_per_second": _rate(result.interruptions, seconds),
        "simulated_seconds_per_second": _rate(result.simulated_ms / 1000, seconds),
        "interruptions_per_process_second": _rate(result.interruptions, process_seconds),
        "simulated_seconds_per_process_second": _rate(result.simulated_ms / 1000, process_seconds),
        "busy_seconds_per_process_second": _rate((result.simulated_ms - result.idle_ms) / 1000, process_seconds),
        "first_seed": campaign.first,
        "policy": campaign.policy,
        "sabotage": campaign.sabotage,
        "pending_invariants": list(result.pending_invariants),
        "pending_reasons": {str(each): PENDING_REASONS.get(each, "") for each in result.pending_invariants},
        "situations": result.situations,
        "sometimes": [
            {"id": one.id, "count": result.situations.get(one.id, 0), "least": one.least(result.interruptions)}
            for one in SOMETIMES
        ],
        "faults": [_fault(fault) for fault in result.faults],
        "unanswered_in": campaign.unanswered[:SHOWN],
        "unheard_left_in": campaign.unheard[:SHOWN],
        "digest": result.digest,
        "broken": [
            {
                "seed": each.seed,
                "invariant": each.invariant,
                "at": each.at,
                "text": each.text,
                "replay": replay_command(each, campaign.sabotage, campaign.policy),
            }
            for each in result.violations[:SHOWN]
        ],
    }


def comparison_object(differences: Sequence[Difference], found: Sequence[Ranks], *, paired: bool) -> dict[str, Any]:
    """What two campaigns differ in."""
    return {
        "paired": paired,
        "figures": [
            {
                "name": each.measure.name,
                "unit": each.measure.unit,
                "a": _number(each.a),
                "b": _number(each.b),
                "difference": _number(each.difference),
                "spread": _number(each.spread),
                "worlds": each.worlds,
                "certain": each.certain,
            }
            for each in differences
        ],
        "distributions": [
            {"name": each.name, "unit": each.unit, "a": _ranks(each.a, each.counts[0]), "b": _ranks(each.b, each.counts[1])}
            for each in found
        ],
    }


def _fault(fault: FaultResult) -> dict[str, Any]:
    return {
        "fault": fault.fault,
        "worlds": fault.worlds,
        "interruptions": fault.interruptions,
        "truncation_error_ms": _spread(spread([fault.truncation_error_ms])),
        "estimated_error_ms": _spread(spread([fault.estimated_error_ms])),
        "misled_error_ms": _spread(spread([fault.misled_error_ms])),
        "silence_after_barge_in_ms": _spread(spread([fault.silence_us], 1000)),
        "unheard_left": fault.unheard_left,
        "turns_unanswered": fault.unanswered,
    }


def _spread(found: Spread) -> dict[str, float | None]:
    """Null where nothing was measured: that is not the same as no error."""
    return _ranks((found.median, found.p99, found.max), found.count)


def _ranks(found: tuple[float, float, float], count: int) -> dict[str, float | None]:
    return dict(zip(("median", "p99", "max"), found if count else (None, None, None), strict=True))


def _number(value: Fraction | None) -> float | None:
    return None if value is None else float(value)


def _rate(amount: float, seconds: float) -> float | None:
    return round(amount / seconds, 1) if seconds else None
