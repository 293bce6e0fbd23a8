"""The page around plots and tables: one frame for a campaign and for a comparison. Every text is escaped."""

import platform
from collections.abc import Callable, Iterable, Sequence
from html import escape
from importlib import resources
from string import Template

from rtcore.sim.results import KindResult
from rtcore_adapters.cli._document import document
from rtcore_adapters.cli._table import COLUMNS, column_groups, table_rows

_SHOWN = 50


def frame(*, title: str, lead: str, verdict: str, problems: Sequence[str], body: Iterable[str], made_by: str) -> str:
    """The whole page; ``body`` is markup, everything else is text."""
    content = Template(read("campaign.html")).substitute(
        title=escape(title),
        lead=escape(lead),
        verdict=escape(verdict),
        mood="bad" if problems else "good",
        problems=problem_list(problems),
        body="\n".join(body),
        footer=f"Made by <code>{escape(made_by)}</code> on Python {escape(platform.python_version())}.",
    )
    return document(title, read("plots.css") + read("page.css"), content)


def problem_list(problems: Sequence[str]) -> str:
    """What failed, or nothing; of many the first, and how many more."""
    more = len(problems) - _SHOWN
    listed = [*problems[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
    return f"<ul>{''.join(f'<li>{escape(each)}</li>' for each in listed)}</ul>" if listed else ""


def section(title: str, *parts: str) -> str:
    """A heading and what is under it."""
    return "\n".join([f"<h2>{escape(title)}</h2>", *parts])


def words(text: str) -> str:
    """A paragraph."""
    return f"<p>{escape(text)}</p>"


def figure(draw: Callable[[int], str], caption: str) -> str:
    """A plot, for a broad window and for a narrow one."""
    sizes = f'<div class="broad">{draw(960)}</div>\n<div class="narrow">{draw(360)}</div>'
    return f"<figure>\n{sizes}\n<figcaption>{escape(caption)}</figcaption>\n</figure>"


def text_list(lines: Sequence[tuple[str, str]]) -> str:
    """Names and values."""
    return "<dl>\n" + "\n".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in lines) + "\n</dl>"


def grid(titles: Sequence[str], rows: Iterable[Sequence[str]], groups: Sequence[str] = ()) -> str:
    """A table; the first cell of a row is its name, ``groups`` are the titles above the other titles."""
    head = ""
    if any(groups):
        cells = "".join(f'<th colspan="{span}">{escape(group)}</th>' for span, group in column_groups(groups))
        head = f"<tr><th></th>{cells}</tr>"
    head += f"<tr>{''.join(f'<th>{escape(title)}</th>' for title in titles)}</tr>"
    body = "\n".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead>{head}</thead><tbody>\n{body}\n</tbody></table></div>'


def table(kinds: Sequence[KindResult]) -> str:
    """The table of interruptions by kind."""
    rows = table_rows(kinds)
    groups = "".join(
        f'<th colspan="{span}">{escape(group)}</th>' for span, group in column_groups([column.group for column in COLUMNS])
    )
    titles = "".join(f"<th>{escape(title)}</th>" for title in ("interruption", *(column.title for column in COLUMNS)))
    body = [_row(row, last=len(rows) > 1 and index == len(rows) - 1) for index, row in enumerate(rows)]
    return f"<table><thead><tr><th></th>{groups}</tr><tr>{titles}</tr></thead><tbody>\n{chr(10).join(body)}\n</tbody></table>"


def _row(cells: Iterable[str], *, last: bool = False) -> str:
    opening = '<tr class="sum">' if last else "<tr>"
    return opening + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def read(name: str) -> str:
    """A file of this package."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
