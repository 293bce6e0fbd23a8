"""Standard output that ends early: closed, full, or a pipe whose reader has had enough, as in ``rtcore fuzz --world 7 | head``.

None of these is a mistake in the command, so none is worth a traceback: a reader that left is a quiet end, the others are one
line. They are told apart from the command's own ``OSError`` at the only place that knows, the stream itself.
"""

import argparse
import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, TextIO, cast

Run = Callable[[argparse.Namespace], int]

_SIGPIPE = 141  # what a shell says of a program that wrote into a closed pipe


class OutputFailed(Exception):
    """Standard output takes nothing more; ``error`` is why."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class _Output:
    """Standard output whose failures have a name of their own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            raise OutputFailed(error) from None

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            raise OutputFailed(error) from None


def with_output(run: Run) -> Run:
    """The same command. Where its output's reader leaves early it ends with 141; where there is none or it is full, with 1."""

    @wraps(run)
    def guarded(options: argparse.Namespace) -> int:
        stream = cast(TextIO | None, sys.stdout)  # Python sets None where the descriptor was closed
        if stream is None:
            print(f"rtcore {options.command}: standard output is closed: redirect it to a file or to /dev/null", file=sys.stderr)
            return 1
        sys.stdout = cast(TextIO, _Output(stream))
        try:
            status = run(options)
            sys.stdout.flush()
        except (OutputFailed, ExceptionGroup) as failed:
            # What is still buffered must not fail again when the interpreter ends.
            if (error := _cause(failed)) is None:
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if isinstance(error, BrokenPipeError):
                return _SIGPIPE
            print(f"rtcore {options.command}: standard output: {(error.strerror or str(error)).lower()}", file=sys.stderr)
            return 1
        finally:
            sys.stdout = stream
        return status

    return guarded


def _cause(failed: Exception) -> OSError | None:
    """Why output failed, through the groups in which tasks wrap it; None where something else failed."""
    while isinstance(failed, ExceptionGroup) and len(failed.exceptions) == 1:
        failed = failed.exceptions[0]
    return failed.error if isinstance(failed, OutputFailed) else None
