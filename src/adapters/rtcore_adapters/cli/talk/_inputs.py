"""What comes to a talk from outside of its conversation: keys, the signals that end it, and what the library logs."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType

from msgspec import Struct

from rtcore_adapters.cli.talk._editor import End, Wish
from rtcore_adapters.cli.talk._errors import standard_error
from rtcore_adapters.cli.talk._keyboard import keyboard


class Logged(Struct, frozen=True):
    """Something that was logged, or written to standard error: on a terminal it would tear the status apart."""

    text: str


Post = Callable[["Wish | str | Logged"], object]
"""Hands something over to the talk; may be called in any thread and in a signal's handler."""

Listening = Callable[[Post], AbstractContextManager[None]]
"""While it lasts, what comes is posted."""


@contextmanager
def listening(post: Post, *, keys: bool, errors: bool = False) -> Iterator[None]:
    """Standard input, signals and the log. ``keys``: the terminal gives each key at once; ``errors``: standard error is logged,
    too, because it would go where the status is."""
    told = standard_error(lambda line: post(Logged(line))) if errors else nullcontext()
    with told, _logged(post), _ended_by_signals(post), keyboard(post, keys=keys):
        yield


@contextmanager
def _ended_by_signals(post: Post) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask for the end of the talk; the second one does not ask. Outside the main thread it changes nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        post(End())

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _logged(post: Post) -> Iterator[None]:
    """Warnings of the library become lines of the talk, without their tracebacks."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            post(Logged(record.getMessage()))

    logger, handler = logging.getLogger("rtcore"), Handler(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
