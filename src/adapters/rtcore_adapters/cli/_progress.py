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

    def say(self, text: str) -> None:
        """The present state."""
        now = time.monotonic()
        if now - self._last < (_REDRAW_S if self._terminal else _EVERY_S):
            return
        self._last = now
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
