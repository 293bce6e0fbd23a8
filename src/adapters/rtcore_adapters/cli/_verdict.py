"""A verdict for people: as text on a terminal, and as one page that needs nothing but a browser (every text escaped)."""

from collections.abc import Iterator, Sequence
from html import escape

from rtcore.sim.judge import FINDINGS, AuditVerdict, InterruptionVerdict, PartVerdict

_SIGNALS = {
    "messages": "messages alone: what could have been heard at most, in real time",
    "positions": "the positions that the speaker reported",
    "samples": "the audible signal, found again sample by sample in what the server sent",
}
_COLUMNS = ("item", "received", "heard", "told", "off by", "left unheard")


def text(verdict: AuditVerdict) -> str:
    """The verdict in lines."""
    lines = [f"judged by {_SIGNALS[verdict.signal]}", _counts(verdict), ""]
    rows = [row for each in verdict.interruptions for row in _rows(each)]
    if rows:
        widths = [max(len(row[index]) for row in (_COLUMNS, *rows)) for index in range(len(_COLUMNS))]
        head = ["  ".join(title.ljust(width) for title, width in zip(_COLUMNS, widths, strict=True)).rstrip()]
        for each in verdict.interruptions:
            head.append(_title(each))
            for row in _rows(each):
                head.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        lines += [*head, ""]
    if verdict.refused:
        lines += ["refused by the server:", *(f"  {_refused(verdict, index)}" for index in range(len(verdict.refused))), ""]
    lines += [f"note: {note}" for note in verdict.notes]
    if verdict.clean:
        lines.append("clean: nothing is wrong with this client" if verdict.interruptions else "nothing was judged")
        return "\n".join(lines)
    lines.append(f"{len(verdict.findings)} findings: " + ", ".join(f"{count} x {name}" for name, count in verdict.counts.items()))
    for finding in verdict.findings:
        where = f"#{finding.interruption} " if finding.interruption is not None else ""
        lines.append(f"  {finding.at:8.3f} s  {where}{finding.name}: {finding.text}")
    return "\n".join(lines)


def _counts(verdict: AuditVerdict) -> str:
    return (
        f"{len(verdict.interruptions)} interruptions, {verdict.responses} responses, {verdict.calls} function calls in "
        f"{verdict.duration_s:.1f} s; {verdict.client_messages} messages from the client, {verdict.server_messages} to it"
    )


def _title(one: InterruptionVerdict) -> str:
    sent = ", ".join(kind.removeprefix("conversation.item.").removeprefix("response.") for kind in one.sent) or "nothing"
    late = f"; old sound for {one.late_ms} ms" if one.late_ms is not None else ""
    return f"#{one.number} at {one.at:.3f} s by {one.cause}; the client sent: {sent}{late}"


def _rows(one: InterruptionVerdict) -> Iterator[tuple[str, ...]]:
    for part in one.parts:
        yield (
            f"  {part.item_id}[{part.content_index}]",
            f"{part.received_ms} ms",
            _heard(part),
            f"{part.told_ms} ms" if part.told == "truncate" else part.told,
            f"{part.error_ms:+d} ms" if part.error_ms else "-" if part.error_ms is None else "0",
            f"{part.unheard_ms} ms" if part.unheard_ms else "-",
        )


def _heard(part: PartVerdict) -> str:
    if part.heard_least_ms == part.heard_most_ms:
        return f"{part.heard_most_ms} ms"
    return f"{part.heard_least_ms} to {part.heard_most_ms} ms"


def _refused(verdict: AuditVerdict, index: int) -> str:
    each = verdict.refused[index]
    excused = " (excused: it crossed the server's event)" if each.excused else ""
    return f"{each.at:8.3f} s  {each.event_type or 'an event'}: {each.message} [{each.code}]{excused}"


_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bad: #c0392b; --good: #1d7a4a; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; font-size: 14px; } td, th { text-align: left; padding: 4px 12px 4px 0; vertical-align: top;
border-bottom: 1px solid var(--line); } .wide { overflow-x: auto; } .bad { color: var(--bad); } .good { color: var(--good); }
del { opacity: .7; }
"""


def page(verdicts: Sequence[AuditVerdict]) -> str:
    """The verdicts as one HTML page."""
    body = "\n".join(_section(each, number) for number, each in enumerate(verdicts, 1))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>rtcore audit</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>\n'
        f"<h1>rtcore audit</h1>\n{body}\n</body></html>\n"
    )


def _section(verdict: AuditVerdict, number: int) -> str:
    if verdict.clean:
        mood, words = ("good", "Clean.") if verdict.interruptions else ("bad", "Nothing was judged.")
    else:
        mood, words = "bad", f"{len(verdict.findings)} findings."
    parts = [
        f'<h2>Session {number}: <span class="{mood}">{words}</span></h2>',
        f"<p>Judged by {escape(_SIGNALS[verdict.signal])}. {escape(_counts(verdict))}.</p>",
        *(f"<p>Note: {escape(note)}.</p>" for note in verdict.notes),
    ]
    if verdict.findings:
        found = [(f"{each.at:.3f} s", each.name, FINDINGS.get(each.name, ""), each.text) for each in verdict.findings]
        parts.append(_table(("when", "finding", "what that means", "what happened"), found))
    if verdict.interruptions:
        parts.append("<h3>Interruptions</h3>")
        for one in verdict.interruptions:
            parts.append(f"<p>{escape(_title(one))}</p>")
            rows = [(*row, part.unheard_words) for row, part in zip(_rows(one), one.parts, strict=True)]
            if rows:
                parts.append(_table((*_COLUMNS, "words left unheard"), rows))
    if verdict.refused:
        parts.append("<h3>Refused by the server</h3><ul>")
        parts += [f"<li>{escape(_refused(verdict, index))}</li>" for index in range(len(verdict.refused))]
        parts.append("</ul>")
    return "\n".join(parts)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'
