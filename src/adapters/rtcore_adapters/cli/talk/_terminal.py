"""Lines and a status on a stream: one line that is rewritten where a person looks at a terminal, plain lines anywhere else.

Everything that changes at one time leaves in one write, so nothing flickers. The cursor rests at the beginning of the status:
when the terminal is made narrower and breaks that line in two, it is still where the status begins, and what is erased from there
on is the status and nothing else.
"""

import os
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from rtcore_adapters.cli.talk._screen import Line, Status

_CLEAR = "\r\x1b[J"  # from the cursor to the end of the screen
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
_RESET = "\x1b[0m"
_DIM, _STRUCK = "\x1b[2m", "\x1b[2;9m"
_COLOURS = {"you": "\x1b[36m", "model": "\x1b[32m", "tool": "\x1b[35m", "warning": "\x1b[33m", "talk": "\x1b[2m"}
_NAMES = 9  # the column of who, with the gap behind it


def is_live(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether a status may be drawn: a terminal that knows how, and nobody who asked for plain output (no-color.org)."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM", "") not in ("", "dumb")


class Terminal:
    """Where a talk is shown. ``live``: lines above a status that is rewritten, in colours; else plain lines and no status."""

    def __init__(self, stream: TextIO | None = None, *, live: bool = False, width: Callable[[], int] | None = None) -> None:
        self.live = live
        self._stream = sys.stdout if stream is None else stream
        self._width = width or self._terminal_width
        self._shown = ""

    def show(self, lines: Sequence[Line], status: Status | None = None, typed: str = "") -> None:
        """These lines, and below them the status with what is being typed."""
        if not self.live:
            if lines:
                self._write("".join(f"{plain(line)}\n" for line in lines))
            return
        drawn = "" if status is None else self._drawn(status, typed)
        if lines or drawn != self._shown:
            above = "".join(f"{coloured(line)}\n" for line in lines)
            begin = "" if self._shown else _HIDE
            end = "" if drawn else _SHOW
            self._write(f"{begin}{_CLEAR}{above}{drawn}\r{end}")
            self._shown = drawn

    def close(self) -> None:
        """Take the status away, and give the cursor back."""
        if self._shown:
            self._shown = ""
            self._write(f"{_CLEAR}{_SHOW}")

    def _drawn(self, status: Status, typed: str) -> str:
        # The last column stays free: a full line would make some terminals go on in the next.
        room = self._width() - 1 - _NAMES
        if room < 8:
            return ""
        field = f"> {ended(typed, max(4, room // 2 - 3))}▏" if typed else ""
        left = room - (cells(field) + 2 if field else 0)
        text = ended(status.text, left) if status.tail else begun(status.text, left)
        gap = " " * (left - cells(text) + 2) if field else ""
        return f"{_COLOURS[status.who]}{status.who:<{_NAMES}}{_RESET}{text}{gap}{field}"

    def _terminal_width(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except OSError:  # it is no terminal, or has gone
            return 80

    def _write(self, text: str) -> None:
        # The words are a model's, in any language; a terminal that cannot write them shows a question mark.
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(text.encode(encoding, "replace").decode(encoding))
        self._stream.flush()


def plain(line: Line) -> str:
    """A line without colours."""
    unheard = f" {line.unheard}" if line.unheard else ""
    return f"{line.at:7.1f}  {line.who:<{_NAMES}}{line.text}{unheard}"


def coloured(line: Line) -> str:
    """A line for a terminal: what nobody heard is struck out."""
    unheard = f" {_STRUCK}{line.unheard}{_RESET}" if line.unheard else ""
    return f"{_DIM}{line.at:7.1f}{_RESET}  {_COLOURS[line.who]}{line.who:<{_NAMES}}{_RESET}{line.text}{unheard}"


# -- as much as fits ----------------------------------------------------------------------------------------------------------


def cells(text: str) -> int:
    """How many columns a text takes: marks none, wide characters two."""
    return sum(_cells(c) for c in text)


def _cells(c: str) -> int:
    if unicodedata.combining(c) or unicodedata.category(c) in ("Cf", "Me", "Mn"):
        return 0
    return 2 if unicodedata.east_asian_width(c) in "WF" else 1


def begun(text: str, width: int) -> str:
    """The beginning of a text, in at most ``width`` columns."""
    if cells(text) <= width:
        return text
    at, room = 0, width - 1
    while at < len(text) and (room := room - _cells(text[at])) >= 0:
        at += 1
    return text[:at] + "…" if width > 0 else ""


def ended(text: str, width: int) -> str:
    """The end of a text, in at most ``width`` columns."""
    # Most of a long text cannot be seen: only its end is measured.
    if len(text) <= width and cells(text) <= width:
        return text
    at, room = len(text), width - 1
    while at > 0 and (room := room - _cells(text[at - 1])) >= 0:
        at -= 1
    return "…" + text[at:] if width > 0 else ""
