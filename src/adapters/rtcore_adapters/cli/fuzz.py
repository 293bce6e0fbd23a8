"""``rtcore fuzz``: interruptions by the thousand, in virtual time, held against the invariants.

A seed is a world. The worlds from ``--seed`` on run until they have held ``--interruptions`` together; the figures are the same,
to the bit, whatever ``--jobs`` says. ``--world`` replays one of them and tells its story.
"""

import argparse
import json
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from rtcore.sim.results import CampaignResult, Spread
from rtcore.sim.sabotage import SABOTAGED
from rtcore_adapters.cli._arguments import seed, whole_above_zero, world
from rtcore_adapters.cli._judgement import campaign_problems, replay_command, world_problems
from rtcore_adapters.cli._output import with_output
from rtcore_adapters.cli._progress import Progress
from rtcore_adapters.cli._signals import endable
from rtcore_adapters.cli._table import broken, figures, number, text_table
from rtcore_adapters.cli._worlds import Sum, processes, run_world, run_worlds

INTERRUPTIONS = 2000
"""How many by default."""

_SHOWN = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``rtcore fuzz``."""
    parser.epilog = (
        "Exits with 0 where everything held; with 1 where an invariant broke, a turn got no answer or an unheard message stayed "
        "at the server; with 130 after Ctrl-C, 143 after SIGTERM."
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--interruptions", type=whole_above_zero, metavar="N", help=f"how many (default: {INTERRUPTIONS})")
    what.add_argument("--world", type=world, metavar="SEED", help="replay the world of this seed, and tell its story")
    parser.add_argument("--seed", type=seed, default=0, metavar="FIRST", help="the first world's seed (default: %(default)s)")
    parser.add_argument("--jobs", type=whole_above_zero, metavar="J", help="how many processes (default: one per core)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument(
        "--sabotage",
        type=_sabotage,
        metavar="NAME",
        help=f"run a core that is wrong on purpose, which must be caught: {', '.join(repr(name) for name in SABOTAGED)}",
    )


@with_output
def run(options: argparse.Namespace) -> int:
    """``rtcore fuzz``: 0 where all held, 1 where an invariant broke, a turn got no answer or an unheard message was left.

    Ctrl-C and SIGTERM end it with 130 and 143, and with what was done until then.
    """
    if options.world is not None:
        return _replay(options)
    wanted: int = options.interruptions or INTERRUPTIONS
    jobs = processes(options.jobs, wanted)
    progress, total, began = Progress(), Sum(), time.perf_counter()

    def told() -> None:
        speed = total.interruptions / (time.perf_counter() - began)
        broke = f", {total.violations} violations" if total.violations else ""
        progress.say(f"rtcore fuzz: {number(total.interruptions)} of {number(wanted)} interruptions, {speed:.0f}/s{broke}")

    status = 0
    with endable() as ending:
        try:
            run_worlds(total, options.seed, wanted, jobs=jobs, sabotage=options.sabotage, told=told)
        except KeyboardInterrupt:
            status = ending.status
        except BrokenProcessPool:
            if ending.terminated:  # SIGTERM went to the whole group
                status = ending.status
            else:
                print("rtcore fuzz: a process was killed (out of memory?); try fewer --jobs", file=sys.stderr)
                status = 1
    progress.clear()
    seconds = time.perf_counter() - began
    result = total.result
    problems = campaign_problems(result, total.unanswered, total.unheard, sabotage=options.sabotage)
    if options.json:
        left = {"unanswered_in": total.unanswered[:_SHOWN], "unheard_left_in": total.unheard[:_SHOWN]}
        more = {**left, "jobs": jobs, "complete": status == 0}
        print(json.dumps(_object(result, seconds, options) | more))
    else:
        if status:
            print(f"Ended early: {number(total.interruptions)} of {number(wanted)} interruptions.\n")
        _print(result, seconds, options, problems)
    return status or int(bool(problems))


def _replay(options: argparse.Namespace) -> int:
    began = time.perf_counter()
    world, lines = run_world(options.world, options.sabotage, story=True)
    result, seconds = CampaignResult.of(world), time.perf_counter() - began
    problems = world_problems(result, sabotage=options.sabotage)
    if options.json:
        print(json.dumps(_object(result, seconds, options) | {"settings": world.settings, "story": lines}))
        return int(bool(problems))
    print(f"World {world.seed}: {world.settings}\n")
    for line in lines:
        print(line)
    print()
    # Without the speed of this machine: the same seed prints the same bytes.
    _print(result, None, options, problems)
    return int(bool(problems))


def _print(result: CampaignResult, seconds: float | None, options: argparse.Namespace, problems: list[str]) -> None:
    if result.kinds:
        print(text_table(result.kinds), end="\n\n")
    lines = figures(result, seconds)
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        print(f"{name.ljust(width)}  {value}")
    for violation in result.violations[:_SHOWN]:
        print(f"\nBROKEN: {broken(violation)}", end="")
    if result.violations:
        more = len(result.violations) - _SHOWN
        print(f"\n... and {more} more" if more > 0 else "")
        print(f"Replay it: {replay_command(result.violations[0], options.sabotage)}")
    for problem in problems[len(result.violations) :]:
        print(f"FAILED: {problem}")
    if options.sabotage is not None:
        caught = "caught, as it must be" if result.violations else "NOT CAUGHT: the auditor is blind"
        print(f"The sabotaged core ({options.sabotage}) was {caught}.")


def _object(result: CampaignResult, seconds: float, options: argparse.Namespace) -> dict[str, Any]:
    """What ``--json`` prints; counts are integers, ``*_ms`` and rates are numbers."""
    return {
        "interruptions": result.interruptions,
        "worlds": result.worlds,
        "violations": len(result.violations),
        "cuts": result.cuts,
        "cuts_checked": result.cuts_checked,
        "cuts_estimated": result.cuts_estimated,
        "truncation_error_ms": _spread(result.truncation_error_ms),
        "estimated_error_ms": _spread(result.estimated_error_ms),
        "silence_after_barge_in_ms": _spread(result.silence_after_barge_in_ms),
        "unheard_left": result.unheard_left,
        "server_errors": sum(result.server_errors.values()),
        "server_errors_by_code": result.server_errors,
        "turns_unanswered": result.turns_unanswered,
        "interruptions_per_second": round(result.interruptions / seconds, 1),
        "simulated_seconds_per_second": round(result.simulated_ms / 1000 / seconds, 1),
        "seconds": round(seconds, 3),
        "first_seed": options.seed if options.world is None else options.world,
        "sabotage": options.sabotage,
        "pending_invariants": list(result.pending_invariants),
        "situations": result.situations,
        "digest": result.digest,
        "broken": [
            {
                "seed": each.seed,
                "invariant": each.invariant,
                "at": each.at,
                "text": each.text,
                "replay": replay_command(each, options.sabotage),
            }
            for each in result.violations[:_SHOWN]
        ],
    }


def _spread(found: Spread) -> dict[str, float | None]:
    """Null where nothing was measured: that is not the same as no error."""
    if not found.count:
        return {"median": None, "p99": None, "max": None}
    return {"median": found.median, "p99": found.p99, "max": found.max}


# -- arguments ----------------------------------------------------------------------------------------------------------------


def _sabotage(text: str) -> str:
    name = text.replace("-", " ")
    if name not in SABOTAGED:
        raise argparse.ArgumentTypeError(f"{text!r} is none of: {', '.join(repr(name) for name in SABOTAGED)}")
    return name
