"""The one table: interruptions by kind, and the figures of a whole campaign in sentences.

``COLUMNS`` says what a row shows; the terminal and the report both use it.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import add

from msgspec import Struct

from rtcore.sim.auditor import PENDING_REASONS
from rtcore.sim.results import CampaignResult, Counts, FaultResult, KindResult, Spread, Violation, WordErrors, spread

INVARIANTS = {
    1: "one response at a time",
    2: "every request settles once",
    3: "no event of one response changes another",
    4: "truncates lie within what was received and heard",
    5: "the server is told what was not heard, and nothing else",
    6: "every message ends once, with the right verdict",
    7: "silence first, and it lasts",
    8: "every sample is heard, discarded or queued",
    9: "the server refuses nothing",
    10: "every function call gets one output",
    11: "history says what was audible",
    12: "a core that waits says until when",
    13: "bounded memory",
    14: "same seed, same bytes",
    15: "it recovers after faults",
}
"""DESIGN section 6 in short."""


class Column(Struct, frozen=True):
    """One column: its title, the title above several, and what a kind's cell says."""

    group: str
    title: str
    cell: Callable[[KindResult], str]


def _verdict(name: str) -> Callable[[KindResult], str]:
    return lambda kind: number(kind.verdicts.get(name, 0))


def _figure(counts: Callable[[KindResult], Counts], which: str, per_unit: int = 1) -> Callable[[KindResult], str]:
    def cell(kind: KindResult) -> str:
        found = spread([counts(kind)], per_unit)
        return milliseconds(getattr(found, which)) if found.count else "-"

    return cell


def _error(kind: KindResult) -> Counts:
    return kind.truncation_error_ms


def _silence(kind: KindResult) -> Counts:
    return kind.silence_us


COLUMNS = (
    Column("", "count", lambda kind: number(kind.interruptions)),
    Column("verdicts", "full", _verdict("full")),
    Column("verdicts", "partial", _verdict("partial")),
    Column("verdicts", "skipped", _verdict("skipped")),
    Column("verdicts", "text", _verdict("text")),
    Column("truncation error", "median ms", _figure(_error, "median")),
    Column("truncation error", "max ms", _figure(_error, "max")),
    Column("silence after", "median ms", _figure(_silence, "median", 1000)),
    Column("silence after", "max ms", _figure(_silence, "max", 1000)),
    Column("unheard", "left", lambda kind: number(kind.unheard_left)),
    Column("server", "errors", lambda kind: number(kind.server_errors)),
    Column("next turn", "answered", lambda kind: f"{number(kind.answered)}/{number(kind.answered + kind.unanswered)}"),
)
"""What the issue of this table asks for, in its order."""


def table_rows(kinds: Sequence[KindResult]) -> list[list[str]]:
    """One row per kind, by name, and the sum where there are several; the first cell is the name."""
    rows = sorted(kinds, key=lambda kind: kind.kind)
    if len(rows) > 1:
        rows.append(reduce(add, rows, KindResult("all")))
    return [[kind.kind, *(column.cell(kind) for column in COLUMNS)] for kind in rows]


def text_table(kinds: Sequence[KindResult]) -> str:
    """The table for a terminal."""
    rows = table_rows(kinds)
    titles = ["interruption", *(column.title for column in COLUMNS)]
    return laid_out(titles, rows, [column.group for column in COLUMNS], sum_last=len(rows) > 1)


def laid_out(titles: Sequence[str], rows: Sequence[Sequence[str]], groups: Sequence[str], *, sum_last: bool = False) -> str:
    """Columns as wide as they must be, the first to the left, the others to the right; ``groups`` are titles above titles."""
    widths = [max(len(row[index]) for row in (titles, *rows)) for index in range(len(titles))]
    spans = _spans(groups)
    for start, end, group in spans:
        # A group's title may be wider than its columns: the last one takes up the slack.
        room = sum(widths[start + 1 : end + 1]) + 2 * (end - start - 1)
        widths[end] += max(0, len(group) - room)
    head = " " * widths[0]
    for start, end, group in spans:
        head += "  " + group.rjust(sum(widths[start + 1 : end + 1]) + 2 * (end - start - 1))
    rule = _line(["-" * width for width in widths], widths)
    lines = [*([head.rstrip()] if any(groups) else []), _line(titles, widths), rule]
    lines += [_line(row, widths) for row in rows]
    if sum_last:
        lines.insert(-1, rule)
    return "\n".join(lines)


def _spans(groups: Sequence[str]) -> list[tuple[int, int, str]]:
    """Neighbouring columns of one group: from, to, title."""
    found: list[tuple[int, int, str]] = []
    for index, group in enumerate(groups):
        if found and group and found[-1][2] == group:
            found[-1] = (found[-1][0], index + 1, group)
        else:
            found.append((index, index + 1, group))
    return found


def column_groups(groups: Sequence[str]) -> list[tuple[int, str]]:
    """How many columns each title above the titles spans."""
    return [(end - start, group) for start, end, group in _spans(groups)]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    return "  ".join([first, *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))]).rstrip()


# -- by fault, and what came up -----------------------------------------------------------------------------------------------

FAULT_GROUPS = (
    *["", "", *["truncation error"] * 2, *["estimated error"] * 2, *["clock wrong"] * 2, *["silence after"] * 3],
    *["unheard", "turns"],
)
FAULT_TITLES = (
    *["worlds", "count", "median ms", "max ms", *["median ms", "p99 ms"] * 2, "median ms", "p99 ms", "max ms"],
    *["left", "unanswered"],
)
"""The columns of the table by fault, after the fault's name."""


def fault_rows(faults: Sequence[FaultResult]) -> list[list[str]]:
    """One row per fault, as they come; a world has several, so they do not add up."""
    rows = []
    for fault in faults:
        error, estimated = spread([fault.truncation_error_ms]), spread([fault.estimated_error_ms])
        misled, silence = spread([fault.misled_error_ms]), spread([fault.silence_us], 1000)
        rows.append(
            [
                fault.fault,
                number(fault.worlds),
                number(fault.interruptions),
                *_ranks(error, "median", "max"),
                *_ranks(estimated, "median", "p99"),
                *_ranks(misled, "median", "p99"),
                *_ranks(silence, "median", "p99", "max"),
                number(fault.unheard_left),
                number(fault.unanswered),
            ]
        )
    return rows


def fault_table(faults: Sequence[FaultResult]) -> str:
    """The same for a terminal."""
    return laid_out(["in worlds with", *FAULT_TITLES], fault_rows(faults), FAULT_GROUPS)


def _ranks(found: Spread, *which: str) -> list[str]:
    return [milliseconds(getattr(found, each)) if found.count else "-" for each in which]


# -- sentences ----------------------------------------------------------------------------------------------------------------


def figures(result: CampaignResult, seconds: float | None, process_seconds: float | None = None) -> list[tuple[str, str]]:
    """The overall figures: what, and how much. Without ``seconds``, only those that are the same on every machine.

    ``process_seconds`` is the same time for each process.
    """
    simulated, idle = result.simulated_ms / 1000, result.idle_ms / 1000
    share = f" ({100 * result.cuts_checked / result.cuts:.1f} %)" if result.cuts else ""
    errors = sum(result.server_errors.values())
    estimated = _spread(result.estimated_error_ms)
    by_code = ", ".join(f"{code} {count}" for code, count in result.server_errors.items())
    return [
        ("worlds", f"{number(result.worlds)}, with {number(result.interruptions)} interruptions"),
        ("cuts checked", f"{number(result.cuts_checked)} of {number(result.cuts)}{share}"),
        ("truncation error", _spread(result.truncation_error_ms)),
        ("estimated cuts", f"{number(result.cuts_estimated)}, where the clock did not answer; error {estimated}"),
        *_where_measured("misled cuts, clock wrong", result, "misled_error_ms", 1),
        *words_off(result.text_error_words),
        ("silence after barge-in", _spread(result.silence_after_barge_in_ms)),
        *_where_measured("barge-in to silence", result, "talked_over_us", 1000),
        *_where_measured("turn to answer", result, "answer_us", 1000),
        ("unheard messages left", number(result.unheard_left)),
        ("server errors", f"{number(errors)} ({by_code})" if errors else "0"),
        ("turns unanswered", number(result.turns_unanswered)),
        ("simulated time", f"{duration(simulated)}, in {duration(idle)} of it nothing happens" + _took(seconds)),
        *([("speed", _speed(result, seconds))] if seconds else []),
        *([("speed per process", _speed(result, process_seconds))] if process_seconds else []),
        ("invariants broken", str(len(result.violations)) if result.violations else "none"),
        *pending(result.pending_invariants),
        ("digest", result.digest),
    ]


def words_off(found: WordErrors | None) -> list[tuple[str, str]]:
    """How far the words told as heard were off."""
    if found is None:
        return []
    sizes = f"median {found.median}, p95 {found.p95}, p99 {found.p99}, max {found.max}, mean {found.mean:+.2f}"
    return [("words heard", f"{found.exact:.1%} exact; off by {sizes} words ({number(found.count)} measured)")]


def _where_measured(name: str, result: CampaignResult, field: str, per_unit: int) -> list[tuple[str, str]]:
    found = spread((getattr(kind, field) for kind in result.kinds), per_unit)
    return [(name, _spread(found))] if found.count else []


def _took(seconds: float | None) -> str:
    return (
        f"; took {duration(seconds)}" if seconds is not None and seconds >= 60 else f"; took {seconds:.1f} s" if seconds else ""
    )


def _speed(result: CampaignResult, seconds: float) -> str:
    simulated, busy = result.simulated_ms / 1000, (result.simulated_ms - result.idle_ms) / 1000
    return (
        f"{number(round(result.interruptions / seconds))} interruptions/s, {number(round(simulated / seconds))} simulated s/s "
        f"({number(round(busy / seconds))} without idle time)"
    )


def pending(invariants: Sequence[int]) -> list[tuple[str, str]]:
    """The invariants that are not held in full yet, and why: one line each, after one that numbers them."""
    reasons = [(f"  {each}", f"{INVARIANTS[each]}: {PENDING_REASONS.get(each, 'no reason given')}") for each in invariants]
    return [("invariants pending", ", ".join(map(str, invariants)) or "none"), *reasons]


def broken(violation: Violation) -> str:
    """One broken invariant in a line."""
    name = INVARIANTS.get(violation.invariant, "")
    return f"invariant {violation.invariant} ({name}) in world {violation.seed} at {violation.at:.3f} s: {violation.text}"


def number(value: int) -> str:
    """With thin groups: 12,345."""
    return f"{value:,}"


def milliseconds(value: float) -> str:
    """Whole where it is whole, else to the tenth."""
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"


def _spread(found: Spread) -> str:
    if not found.count:
        return "nothing measured"
    sizes = f"median {milliseconds(found.median)} ms, p99 {milliseconds(found.p99)} ms, max {milliseconds(found.max)} ms"
    return f"{sizes} ({number(found.count)} measured)"


def duration(seconds: float) -> str:
    """In hours, minutes and seconds."""
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours} h {minutes} min {rest} s" if hours else f"{minutes} min {rest} s"
