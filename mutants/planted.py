"""The planted bugs, read from ``mutants/bugs/*.txt``.

One bug is a paragraph: its name in brackets; the file (a path under ``src/rtcore``); the class of the mistake; the ids of the
behaviours and failure reports that it violates; how a real client got it; then the change as a diff of whole lines, one ``-`` and
one ``+``, with lines of context around them (a space in front) where the line alone is not unique:

    [both-cancel]
    file: _interruption.py
    kind: second cancel
    ids: B07 F051
    story: The client cancelled what the server had cancelled already; an error on every barge-in.
    -        return cause == "server" and interrupts and not response.out_of_band
    +        return cause == "text" and interrupts and not response.out_of_band
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parent / "bugs"
_FIELDS = ("file", "kind", "ids", "story")
_NAME = re.compile(r"\[([a-z0-9-]+)\]")
_ID = re.compile(r"[BCSF]\d{2,3}")


class Bug(NamedTuple):
    """One line of the core, made wrong.

    ``old`` are whole lines of ``file`` that occur there exactly once, ``new`` what stands in their place: one line differs.
    """

    name: str
    file: str
    kind: str
    ids: tuple[str, ...]
    story: str
    old: tuple[str, ...]
    new: tuple[str, ...]


class FormatError(ValueError):
    """A file of planted bugs is not written as it should be; the message names the bug."""


def read_bugs(text: str) -> Iterator[Bug]:
    """The bugs of one file, in order. Raises ``FormatError``."""
    paragraphs = re.split(r"\n{2,}", text.strip("\n"))
    for paragraph in paragraphs:
        lines = paragraph.split("\n")
        if not lines[0].startswith("#"):
            yield _read(lines)


def _read(lines: list[str]) -> Bug:
    named = _NAME.fullmatch(lines[0])
    if named is None:
        raise FormatError(f"{lines[0]!r}: a bug begins with its name in brackets: small letters, digits, hyphens")
    fields: dict[str, str] = {}
    for field, line in zip(_FIELDS, lines[1 : 1 + len(_FIELDS)], strict=False):
        key, colon, value = line.partition(": ")
        if key != field or not colon or not value.strip():
            raise FormatError(f"{named[1]}: {line!r} should be {field!r}, a colon and its text")
        fields[field] = value.strip()
    diff = lines[1 + len(_FIELDS) :]
    if len(fields) != len(_FIELDS) or [line[:1] for line in diff if line[:1] != " "] != ["-", "+"]:
        raise FormatError(f"{named[1]}: after {', '.join(_FIELDS)} comes a diff: one '-' line, one '+' line, context by ' '")
    ids = tuple(fields["ids"].split())
    wrong = [id for id in ids if _ID.fullmatch(id) is None]
    if wrong:
        raise FormatError(f"{named[1]}: {', '.join(wrong)}: ids are of behaviours (B, C, S) and failure reports (F)")
    old = tuple(line[1:] for line in diff if line[0] != "+")
    new = tuple(line[1:] for line in diff if line[0] != "-")
    return Bug(named[1], fields["file"], fields["kind"], ids, fields["story"], old, new)


def read_all() -> tuple[Bug, ...]:
    """All of them, file by file, each with a name of its own. Raises ``FormatError``."""
    bugs: dict[str, Bug] = {}
    for path in sorted(FOLDER.glob("*.txt")):
        for bug in read_bugs(path.read_text(encoding="utf-8")):
            if bug.name in bugs:
                raise FormatError(f"{bug.name}: two bugs have this name")
            bugs[bug.name] = bug
    return tuple(bugs.values())
