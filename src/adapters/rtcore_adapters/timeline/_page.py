"""The page: the viewer with its data, and the events as a table for a browser that runs no script."""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import islice
from string import Template

from rtcore_adapters.timeline._lanes import LANES, Event, Timeline
from rtcore_adapters.timeline._script import embedded, fingerprint, read, script

_ROWS = 1_000


def page(timelines: Sequence[Timeline], title: str, align: str) -> str:
    """One page of HTML, which needs nothing but a browser, loads nothing, and runs no script but its own."""
    code = script()
    return Template(read("page.html")).substitute(
        title=escape(title),
        css=read("page.css"),
        summary=escape(timelines[0].facts[0] if len(timelines) == 1 and timelines[0].facts else "About these recordings"),
        facts="\n".join(_facts(each, named=len(timelines) > 1) for each in timelines),
        table="\n".join(_table(each) for each in timelines),
        data=embedded(timelines, align),
        script=code,
        fingerprint=fingerprint(code),
    )


def _facts(it: Timeline, *, named: bool) -> str:
    facts = it.facts if named else it.facts[1:]
    name = f"<p>{escape(it.name)}</p>" if named else ""
    return f"{name}<ul>{''.join(f'<li>{escape(fact)}</li>' for fact in facts)}</ul>"


def _table(it: Timeline) -> str:
    rows = "\n".join(islice(_rows(it), _ROWS))
    more = len(it.events) - _ROWS
    rest = f"<p>… and {more} more events, which the viewer shows: it needs JavaScript.</p>" if more > 0 else ""
    return (
        f"<h2>{escape(it.name)}</h2>\n<table><thead><tr><th>Time</th><th>Lane</th><th>Event</th></tr></thead><tbody>\n"
        f"{rows}\n</tbody></table>{rest}"
    )


def _rows(it: Timeline) -> Iterator[str]:
    return (_row(event, it.begin) for event in it.events)


def _row(event: Event, begin: float) -> str:
    time = f"{event.at - begin:.3f} s"
    words = event.text if event.lane != "client" else event.text.partition("\n")[0]
    return f"<tr><td>{time}</td><td>{escape(LANES[event.lane][0])}</td><td>{escape(words)}</td></tr>"
