"""Standard input in a thread of its own, for every runtime alike: keys where it is a terminal that shows a status, else lines.

The thread sleeps in one ``select``, which a byte ends; so it is gone when the talk is, and nothing that nobody read is lost to
the next program. Where ``select`` knows sockets only (Windows), it waits in ``read``, is left behind, and dies with the process.
"""

import codecs
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rtcore_adapters.cli.talk._editor import Silent

if sys.platform != "win32":
    import termios

_PIECE = 4096

Take = Callable[["str | Silent"], object]
"""Gets what was typed, as it comes, and ``Silent`` at the end. Called in the keyboard's thread."""


@contextmanager
def keyboard(take: Take, *, keys: bool) -> Iterator[None]:
    """While this lasts, what comes on standard input goes to ``take``; ``keys``: one by one, unechoed. Ctrl-C stays a signal."""
    try:
        source = sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):  # closed, or none at all
        take(Silent())
        yield
        return
    if sys.platform == "win32":  # pragma: no cover - select takes sockets only
        threading.Thread(target=_read, args=(source, None, take), name="rtcore keyboard", daemon=True).start()
        yield
        return
    ear, bell = os.pipe()
    thread = threading.Thread(target=_read, args=(source, ear, take), name="rtcore keyboard", daemon=True)
    try:
        with _unechoed(source, keys):
            thread.start()
            try:
                yield
            finally:
                os.write(bell, b"!")
                thread.join()
    finally:
        os.close(ear)
        os.close(bell)


def _read(source: int, ear: int | None, take: Take) -> None:
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    while True:
        if ear is not None and ear in select.select([source, ear], [], [])[0]:
            return
        try:
            data = os.read(source, _PIECE)
        except OSError:  # the terminal has gone
            data = b""
        if text := decode(data, final=not data):
            take(text)
        if not data:
            take(Silent())
            return


@contextmanager
def _unechoed(source: int, keys: bool) -> Iterator[None]:
    """The terminal gives each key at once, and shows none."""
    if sys.platform == "win32" or not keys:
        yield
        return
    before = termios.tcgetattr(source)
    mode = termios.tcgetattr(source)
    mode[3] &= ~(termios.ECHO | termios.ICANON)
    mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
    termios.tcsetattr(source, termios.TCSANOW, mode)
    try:
        yield
    finally:
        termios.tcsetattr(source, termios.TCSANOW, before)
