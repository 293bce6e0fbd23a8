"""Output into a pipe whose reader has had enough, as in ``rtcore fuzz --world 7 | head``: that is no error worth a traceback."""

import argparse
import os
import sys
from collections.abc import Callable
from functools import wraps

Run = Callable[[argparse.Namespace], int]

_SIGPIPE = 141  # what a shell says of a program that wrote into a closed pipe


def until_closed(run: Run) -> Run:
    """The same command; where its output is closed early it ends with status 141."""

    @wraps(run)
    def guarded(options: argparse.Namespace) -> int:
        try:
            status = run(options)
            sys.stdout.flush()
        except BrokenPipeError:
            # What is still buffered must not fail again when the interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _SIGPIPE
        return status

    return guarded
