"""Progress on stderr: one line that is rewritten where a person looks, a line every few seconds where a file does."""

import sys
import time
from typing import TextIO

_EVERY_S = 5.0
_REDRAW_S = 0.1


class Progress:
    """Says how far something is. ``say`` may be called as often as one likes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._last = time.monotonic()
        self._width = 0

    @property
    def due(self) -> bool:
        """``say`` would say something: for a text that is worth nothing otherwise."""
        return time.monotonic() - self._last >= (_REDRAW_S if self._terminal else _EVERY_S)

    def say(self, text: str) -> None:
        """The present state."""
        if not self.due:
            return
        self._last = time.monotonic()
        if self._terminal:
            self._stream.write("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            self._stream.write(text + "\n")
        self._stream.flush()

    def clear(self) -> None:
        """Remove the line again."""
        if self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()
            self._width = 0


def expected(done: float, of: float, seconds: float) -> str:
    """When it will be over, in words, at the pace so far; nothing where that cannot be told yet."""
    if not 0 < done < of or seconds < 2:
        return ""
    left = seconds * (of - done) / done
    if left < 90:
        return f", {left:.0f} s left"
    ends = time.strftime("%H:%M", time.localtime(time.time() + left))
    return f", {left / 60:.0f} min left (until {ends})" if left < 2 * 3600 else f", {left / 3600:.1f} h left"
