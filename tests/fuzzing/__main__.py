"""``python -m fuzzing`` in tests/: messages of a broken server by the million, and that no later message is lost.

    python -m fuzzing --messages 10000000 --save messages.json      # Ctrl-C ends it
    python -m fuzzing --resume messages.json                        # and this goes on
    python -m fuzzing --round 17                                    # one round again, its messages shown where it breaks

Exits with 0 where everything held, 1 where something broke, 2 where the options do not fit, 130 after Ctrl-C, 143 after SIGTERM.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from fuzzing.campaign import State, advance, begun, resumed
from fuzzing.rounds import Broken, Tally, run
from rtcore_adapters.cli._arguments import seed, whole_above_zero, world
from rtcore_adapters.cli._progress import Progress, expected
from rtcore_adapters.cli._signals import endable
from rtcore_adapters.cli._store import StoreError, savable
from rtcore_adapters.cli._table import number

MESSAGES = 200_000
_SHOWN = 60


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the options say; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m fuzzing", description=(__doc__ or "").partition("\n")[0])
    option = parser.add_argument
    option("--messages", type=whole_above_zero, metavar="N", help=f"how many mutated messages (default: {number(MESSAGES)})")
    option("--seed", type=seed, metavar="S", help="another campaign (default: 0)")
    option("--save", type=Path, metavar="FILE", help="write the campaign so far into this new file, every few seconds")
    option("--resume", type=Path, metavar="FILE", help="go on with the campaign in this file, and save into it again")
    option("--round", type=world, metavar="R", help="run this round alone, and show its messages where it breaks")
    options = parser.parse_args(argv)
    try:
        if options.round is not None:
            return _again(options.seed or 0, options.round)
        return _campaign(options)
    except StoreError as error:
        print(f"python -m fuzzing: {error}", file=sys.stderr)
        return 2


def _campaign(options: argparse.Namespace) -> int:
    path: Path | None = options.save or options.resume
    if options.resume is not None:
        if options.seed is not None:
            raise StoreError("--seed is the file's: leave it out, or begin anew")
        state = resumed(options.resume, options.messages)
    else:
        if options.save is not None and options.save.exists():
            raise StoreError(f"{options.save} exists: go on with it by --resume {options.save}, or choose another file")
        state = begun(options.seed or 0, options.messages or MESSAGES)
    if path is not None:
        savable(path)
    status = 0
    progress = _Telling(state)
    with endable() as ending:
        try:
            advance(state, path, progress)
        except KeyboardInterrupt:
            status = 0 if state.complete else ending.status
        finally:
            progress.clear()
    if status:
        print(f"Ended early: {number(state.sent)} of {number(state.messages)} messages.")
        print(f"Go on with: python -m fuzzing --resume {path}\n" if path is not None else "")
    for line in told(state):
        print(line)
    return status or int(bool(state.problems))


class _Telling:
    """How far it is, on stderr."""

    def __init__(self, state: State) -> None:
        self._progress = Progress()
        self._began, self._before = time.monotonic(), state.sent

    def __call__(self, state: State) -> None:
        if self._progress.due:
            seconds = time.monotonic() - self._began
            done = state.sent - self._before
            broke = f", {state.failed} rounds broke" if state.failed else ""
            rate = f"{done / seconds:.0f}/s" if seconds else ""
            when = expected(done, state.messages - self._before, seconds)
            self._progress.say(f"fuzzing: {number(state.sent)} of {number(state.messages)} messages, {rate}{when}{broke}")

    def clear(self) -> None:
        """Take the line away."""
        self._progress.clear()


def told(state: State) -> list[str]:
    """The figures, and what broke with how to see it again."""
    counts = state.counts
    lines = [
        f"mutated messages   {number(state.sent)}, in {number(state.rounds)} rounds",
        f"exchanges after    {number(counts.get('exchanges', 0))} understood",
        f"replayed inputs    {number(counts.get('replayed inputs', 0))} did what they do without the changes",
        f"sessions ended     {number(counts.get('ended by a fatal error', 0))} by a fatal error, as a message said",
        f"rounds that broke  {number(state.failed)}",
    ]
    for each in state.memory:
        megabytes = f", {each.resident / 1e6:.0f} and {each.resident_last / 1e6:.0f} MB" if each.resident else ""
        blocks = f"{number(each.blocks)} blocks after the first rounds, {number(each.blocks_last)} after {number(each.rounds)}"
        lines.append(f"memory             {blocks}{megabytes}")
    rate = f", {state.sent / state.seconds:.0f}/s" if state.seconds else ""
    lines.append(f"time               {state.seconds:.0f} s{rate}")
    kinds = sorted((name.removeprefix("sent: "), count) for name, count in counts.items() if name.startswith("sent: "))
    lines.append("by kind            " + ", ".join(f"{name} {number(count)}" for name, count in kinds))
    for problem in state.problems:
        lines.append(f"BROKEN: {problem}")
    for failure in state.failures:
        lines.append(f"Again: python -m fuzzing --seed {state.seed} --round {failure.round}   # {failure.message[:200]}")
    return lines


def _again(chosen: int, which: int) -> int:
    try:
        run(chosen, which, Tally())
    except Broken as broken:
        for message in broken.messages[-_SHOWN:]:
            print(message.decode(errors="backslashreplace")[:2_000])
        print(f"\nBROKEN: round {which} of seed {chosen}: {broken}")
        return 1
    print(f"Round {which} of seed {chosen} held.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
