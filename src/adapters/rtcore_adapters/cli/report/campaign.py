"""A campaign as one page: its figures, its distributions, by kind of interruption and by fault, and what it had to meet."""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import add

from rtcore.sim.results import CampaignResult, Counts, FaultResult, KindResult, spread
from rtcore.sim.sometimes import SOMETIMES
from rtcore_adapters.cli._campaign import Campaign
from rtcore_adapters.cli._table import FAULT_GROUPS, FAULT_TITLES, duration, fault_rows, figures, number
from rtcore_adapters.cli.report._page import figure, frame, grid, section, table, text_list, words
from rtcore_adapters.cli.report._plots import Amount, Range, Series, amounts, distribution, ranges

Measured = KindResult | FaultResult

RANGE_CAPTION = (
    "A dot is the median, a stroke the 99th percentile, a ring the greatest value; on the right, how many were measured."
)


def campaign_page(campaign: Campaign, result: CampaignResult, problems: Sequence[str]) -> str:
    """The page."""
    policy = f" under the policy {campaign.policy}" if campaign.policy else ""
    total = reduce(add, result.kinds, KindResult("all"))
    body = [
        section("Figures", text_list(figures(result, campaign.seconds or None, campaign.process_seconds or None))),
        section("By kind of interruption", f'<div class="wide">{table(result.kinds)}</div>'),
        *_silence(result, total),
        *_errors(result, total),
        *_left(result),
        *_faults(result),
        *_sometimes(result),
    ]
    return frame(
        title="Interrupted, in virtual time",
        lead=f"{number(result.interruptions)} interruptions in {number(result.worlds)} simulated conversations, "
        f"{duration(result.simulated_ms / 1000)} together, from seed {campaign.first} on{policy}.",
        verdict="Everything held." if not problems else f"Failed: {len(problems)}",
        problems=problems,
        body=body,
        made_by=command(campaign, result),
    )


def command(campaign: Campaign, result: CampaignResult) -> str:
    """What runs the same worlds again."""
    words = f"rtcore fuzz --interruptions {result.interruptions}"
    words += f" --seed {campaign.first}" if campaign.first else ""
    words += f' --policy "{campaign.policy}"' if campaign.policy else ""
    return words + (f' --sabotage "{campaign.sabotage}"' if campaign.sabotage is not None else "")


def _silence(result: CampaignResult, total: KindResult) -> list[str]:
    series = (Series("silence", total.silence_us, 1000),)
    return [
        section(
            "Silence after barge-in",
            words(
                "How long old sound could still be heard after the interruption had reached the client. Most of it is the "
                "speaker's own buffer and the time it takes to stop."
            ),
            figure(
                lambda width: distribution(series, title="Silence after barge-in", axis="ms of old sound", width=width),
                "Every interruption.",
            ),
            *_further(total, "talked_over_us", "From the interruption itself to the silence, the line included."),
            *_further(total, "answer_us", "From the end of the user's turn to the first sound of its answer."),
            _by(result.kinds, lambda kind: kind.silence_us, 1000, "Silence after barge-in by kind", "ms of old sound"),
        )
    ]


def _further(total: KindResult, field: str, caption: str) -> list[str]:
    counts = getattr(total, field)
    series = (Series(caption, counts, 1000),)
    draw = figure(lambda width: distribution(series, title=caption, axis="ms", width=width), caption)
    return [draw] if counts else []


def _errors(result: CampaignResult, total: KindResult) -> list[str]:
    told = (Series("truncation error", total.truncation_error_ms),)
    estimated = (Series("estimated error", total.estimated_error_ms),)
    misled = (Series("error of a wrong clock", total.misled_error_ms),)
    return [
        section(
            "Truncation error",
            words(
                "What the server was told minus what was truly heard. Where the clock answered the flush, it must be 0; where it "
                "did not, the core estimates, and the error of the estimate is a figure of its own."
            ),
            figure(
                lambda width: distribution(told, title="Truncation error", axis="ms told - ms heard", width=width),
                "Cuts that the clock answered.",
            ),
            figure(
                lambda width: distribution(estimated, title="Estimated error", axis="ms told - ms heard", width=width),
                "Cuts that had to be estimated.",
            ),
            figure(
                lambda width: distribution(misled, title="Error of a wrong clock", axis="ms told - ms heard", width=width),
                "Cuts where the clock's answer was wrong, or it knows its position only now and then.",
            )
            if total.misled_error_ms
            else "",
            _by(
                [kind for kind in result.kinds if kind.estimated_error_ms],
                lambda kind: kind.estimated_error_ms,
                1,
                "Size of the estimated error by kind",
                "ms off, either way",
            ),
        )
    ]


def _left(result: CampaignResult) -> list[str]:
    rows = [Amount(kind.kind, kind.unheard_left, None) for kind in result.kinds]
    return [
        section(
            "Unheard words",
            words(
                "Messages that the server still held with words that nobody had heard, after everything had settled: the model "
                "would go on as if they had been said. There must be none."
            ),
            figure(lambda width: amounts(rows, title="Unheard messages left by kind", axis="messages", width=width), "By kind."),
        )
    ]


def _faults(result: CampaignResult) -> list[str]:
    if not result.faults:
        return []
    rows = [Amount(fault.fault, fault.unheard_left, None) for fault in result.faults]
    return [
        section(
            "By fault",
            words(
                "The same figures over the worlds in which a fault existed. A world has several, so these rows overlap: compare "
                "them with each other, they do not add up."
            ),
            _by(result.faults, lambda fault: fault.silence_us, 1000, "Silence after barge-in by fault", "ms of old sound"),
            _by(
                [fault for fault in result.faults if fault.truncation_error_ms],
                lambda fault: fault.truncation_error_ms,
                1,
                "Size of the truncation error by fault",
                "ms off, where the clock answered",
            ),
            _by(
                [fault for fault in result.faults if fault.estimated_error_ms],
                lambda fault: fault.estimated_error_ms,
                1,
                "Size of the estimated error by fault",
                "ms off, where it did not",
            ),
            figure(
                lambda width: amounts(rows, title="Unheard messages left by fault", axis="messages left unheard", width=width),
                "Unheard messages left at the server.",
            ),
            grid(("in worlds with", *FAULT_TITLES), fault_rows(result.faults), FAULT_GROUPS),
        )
    ]


def _sometimes(result: CampaignResult) -> list[str]:
    asked = {one.id: one.least(result.interruptions) for one in SOMETIMES}
    names = sorted({*asked, *result.situations})
    rows = [Amount(name, result.situations.get(name, 0), asked.get(name)) for name in names]
    return [
        section(
            "What came up",
            words(
                "Fuzzing that never reached a situation proves nothing about it. A bar is how often it came up, the stroke how "
                "often it must have in so many interruptions; one that fell short is red."
            ),
            figure(lambda width: amounts(rows, title="What came up", axis="times", width=width), "Counts of the whole campaign."),
        )
    ]


def _by(
    rows: Sequence[KindResult] | Sequence[FaultResult],
    counts: Callable[..., Counts],
    per_unit: int,
    title: str,
    axis: str,
) -> str:
    found = []
    for row in rows:
        one = spread([counts(row)], per_unit)
        found.append(Range(row.kind if isinstance(row, KindResult) else row.fault, one.count, one.median, one.p99, one.max))
    if not found:
        return ""
    return figure(lambda width: ranges(found, title=title, axis=axis, width=width), f"{title}. {RANGE_CAPTION}")
