"""The command line: ``python -m mutants``."""

import argparse
import os
import sys

from mutants.behaviours import judge
from mutants.hunt import FIRST_SEED, LIMIT, Found, hunt, table
from mutants.planted import read_all
from mutants.tree import AnchorError, check


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _count(text: str) -> int:
    return _whole(text, 1)


def _seed(text: str) -> int:
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    """Run; 0 where every bug was found (every behaviour is guarded, every anchor fits), else 1."""
    parser = argparse.ArgumentParser(prog="mutants", description="Plant bugs in the core and see whether they are found.")
    parser.add_argument("--only", nargs="+", metavar="BUG", help="these bugs instead of all")
    parser.add_argument("--jobs", type=_count, default=_cores(), help="processes at once (default: one per core)")
    parser.add_argument("--limit", type=_count, default=LIMIT, help=f"worlds to try for one bug (default: {LIMIT})")
    parser.add_argument("--first", type=_seed, default=FIRST_SEED, help=f"seed of the first world (default: {FIRST_SEED})")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--anchors", action="store_true", help="only check that every bug fits the core's text")
    mode.add_argument("--list", action="store_true", help="only list the bugs: what is wrong, and how a real client got it")
    mode.add_argument("--behaviours", action="store_true", help="which bug breaks the test of which behaviour")
    parser.add_argument("--full", action="store_true", help="with --behaviours: every bug against every test")
    options = parser.parse_args(arguments)
    planted = read_all()
    unknown = set(options.only or ()) - {bug.name for bug in planted}
    if unknown:
        parser.error(f"no such bug: {', '.join(sorted(unknown))}; --list names them")
    bugs = [bug for bug in planted if not options.only or bug.name in options.only]
    misfits = 0
    for bug in bugs:
        try:
            check(bug)
        except AnchorError as error:
            misfits += 1
            print(error, file=sys.stderr)
    if misfits:
        print(f"{misfits} of {len(bugs)} bugs do not fit the core's text", file=sys.stderr)
        return 1
    if options.anchors:
        print(f"all {len(bugs)} bugs fit the core's text")
        return 0
    if options.list:
        for bug in bugs:
            print(f"{bug.name}  ({bug.file}; {bug.kind}; {' '.join(bug.ids)})\n    {bug.story}")
        return 0
    if options.behaviours:
        lines, good = judge(bugs, jobs=options.jobs, full=options.full, told=_broke)
        print(*lines, sep="\n")
        return 0 if good else 1
    report = hunt(bugs, jobs=options.jobs, limit=options.limit, first=options.first, told=_progress)
    print(*table(report), sep="\n")
    return 0 if all(one.counts for one in report.found) and not report.broken else 1


def _progress(one: Found) -> None:
    print(f"{one.outcome:11} {one.worlds:4} {one.name}", file=sys.stderr, flush=True)


def _broke(bug: str, behaviours: list[str]) -> None:
    print(f"{bug}: {' '.join(behaviours) or '-'}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
