"""Standard error while a status is shown: libraries of the system write to it by themselves (ALSA tells of every underrun), and
would tear the status apart. So it is a pipe for that long, and each line of it is handed over."""

import codecs
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_STDERR = 2


@contextmanager
def standard_error(take: Callable[[str], object]) -> Iterator[None]:
    """While this lasts, what anybody writes to standard error goes to ``take`` line by line, in a thread of its own."""
    sys.stderr.flush()
    kept = os.dup(_STDERR)
    ear, mouth = os.pipe()
    os.dup2(mouth, _STDERR)
    os.close(mouth)
    thread = threading.Thread(target=_read, args=(ear, take), name="rtcore standard error", daemon=True)
    thread.start()
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, _STDERR)  # nobody can write into the pipe any more: the thread ends
        os.close(kept)
        thread.join()


def _read(ear: int, take: Callable[[str], object]) -> None:
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    text = ""
    while data := os.read(ear, 4096):
        *lines, text = (text + decode(data)).split("\n")
        for line in filter(str.strip, lines):
            take(line)
    os.close(ear)
    if text.strip():
        take(text)
