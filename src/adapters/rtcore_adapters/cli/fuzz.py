"""``rtcore fuzz``: interruptions by the thousand, in virtual time, held against the invariants.

A seed is a world. The worlds from ``--seed`` on run until they have held ``--interruptions`` together, or for ``--minutes``; the
figures are the same, to the bit, whatever ``--jobs`` says and however often the campaign was ended and resumed. ``--world``
replays one world and tells its story; ``--compare`` puts two campaigns side by side.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from rtcore.sim.results import CampaignResult
from rtcore.sim.sabotage import SABOTAGED
from rtcore_adapters.cli import _compared
from rtcore_adapters.cli._arguments import minutes, policy, seed, whole_above_zero, world
from rtcore_adapters.cli._campaign import Campaign, Goal, Saving
from rtcore_adapters.cli._drive import drive
from rtcore_adapters.cli._failing import record_failures
from rtcore_adapters.cli._judgement import campaign_problems, not_reached, replay_command, world_problems
from rtcore_adapters.cli._objects import SHOWN, campaign_object
from rtcore_adapters.cli._output import with_output
from rtcore_adapters.cli._store import StoreError, fingerprint, load, savable, writable, writable_into, write_page
from rtcore_adapters.cli._table import broken, fault_table, figures, number, text_table
from rtcore_adapters.cli._worlds import processes, run_world
from rtcore_adapters.cli.report.campaign import campaign_page

INTERRUPTIONS = 2000
"""How many by default."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``rtcore fuzz``."""
    parser.epilog = (
        "Exits with 0 where everything held; with 1 where an invariant broke, a turn got no answer, an unheard message stayed at "
        "the server, or the campaign did not meet what it must have met; with 130 after Ctrl-C, 143 after SIGTERM."
    )
    option = parser.add_argument
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--interruptions", type=whole_above_zero, metavar="N", help=f"how many (default: {INTERRUPTIONS})")
    what.add_argument("--minutes", type=minutes, metavar="M", help="how long, in minutes; all runs of a resumed one together")
    what.add_argument("--world", type=world, metavar="SEED", help="replay the world of this seed, and tell its story")
    option("--seed", type=seed, metavar="FIRST", help="the first world's seed (default: 0)")
    option("--policy", type=policy, metavar="K=V,...", help="hold settings fixed, as in context=exact,network.latency_ms=150")
    option(
        "--compare", nargs=2, metavar=("A", "B"), help='two policies ("" changes nothing) or saved results, over the same seeds'
    )
    option("--jobs", type=whole_above_zero, metavar="J", help="how many processes (default: one per core)")
    option("--scheduler", metavar="ADDRESS", help="run on a Dask cluster, as in tcp://10.0.0.1:8786 (needs the extra cluster)")
    option("--save", type=Path, metavar="FILE", help="write the result so far into this new file, every few seconds")
    option("--resume", type=Path, metavar="FILE", help="go on with the campaign in this file, and save into it again")
    option("--json", action="store_true", help="print one JSON object and nothing else")
    option("--html", type=Path, metavar="FILE", help="write a page with plots, too")
    option("--failures", type=Path, metavar="DIR", help="record the first worlds that break an invariant, for rtcore replay")
    option(
        "--sabotage",
        type=_sabotage,
        metavar="NAME",
        help=f"run a core that is wrong on purpose, which must be caught: {', '.join(repr(name) for name in SABOTAGED)}",
    )


@with_output
def run(options: argparse.Namespace) -> int:
    """``rtcore fuzz``: 0 where all held, 1 where something did not, 2 where the options do not fit.

    Ctrl-C and SIGTERM end it with 130 and 143, and with what was done until then.
    """
    try:
        if options.compare is not None:
            return _compared.run(options)
        if options.world is not None:
            return _replay(options)
        if options.jobs is not None and options.scheduler is not None:
            raise StoreError("--jobs is for this machine: a scheduler uses all of its workers")
        return _campaign(options)
    except StoreError as error:
        print(f"rtcore fuzz: {error}", file=sys.stderr)
        return 2


def _campaign(options: argparse.Namespace) -> int:
    if options.html is not None:
        writable(options.html)
    if options.failures is not None:
        writable_into(options.failures)
    campaign, goal = _resumed(options) if options.resume is not None else _begun(options)
    path: Path | None = options.save if options.save is not None else options.resume
    if path is not None:
        savable(path)
    saving = None if path is None else Saving(path, campaign, goal)
    status = drive([campaign], goal, options, saving)
    result = campaign.result
    problems = campaign_problems(
        result, campaign.unanswered, campaign.unheard, policy=campaign.policy, sabotage=campaign.sabotage
    )
    _tell(campaign, result, problems, goal, options, path, status)
    if options.html is not None:
        write_page(options.html, campaign_page(campaign, result, problems))
    _record(campaign, result, options)
    return status or int(bool(problems))


def _tell(
    campaign: Campaign,
    result: CampaignResult,
    problems: list[str],
    goal: Goal,
    options: argparse.Namespace,
    path: Path | None,
    status: int,
) -> None:
    if options.json:
        jobs = None if options.scheduler is not None else processes(options.jobs, goal.interruptions)
        more = {"jobs": jobs, "scheduler": options.scheduler, "complete": status == 0, "problems": problems[:SHOWN]}
        print(json.dumps(campaign_object(campaign, result) | more))
        return
    if status:
        wanted = f" of {number(goal.interruptions)}" if goal.interruptions is not None else ""
        print(f"Ended early: {number(result.interruptions)}{wanted} interruptions.")
        print(f"Go on with: rtcore fuzz --resume {path}\n" if path is not None else "")
    _print(campaign, result, problems, timed=True)


def _record(campaign: Campaign, result: CampaignResult, options: argparse.Namespace) -> None:
    if options.failures is not None:
        for command in record_failures(options.failures, campaign, result):
            print(f"Recorded: {command}", file=sys.stderr if options.json else sys.stdout)


def _begun(options: argparse.Namespace) -> tuple[Campaign, Goal]:
    """A new campaign, as the options say. Raises ``StoreError`` where its file is already one."""
    if options.save is not None and options.save.exists():
        raise StoreError(f"{options.save} exists: go on with it by --resume {options.save}, or choose another file")
    interruptions = options.interruptions or (INTERRUPTIONS if options.minutes is None else None)
    campaign = Campaign(options.seed or 0, options.policy or "", options.sabotage)
    return campaign, Goal(interruptions, options.minutes)


def _resumed(options: argparse.Namespace) -> tuple[Campaign, Goal]:
    """The campaign of a file, with its own settings; the goal may be moved. Raises ``StoreError``."""
    saved = load(options.resume)
    if saved.fingerprint != fingerprint():
        raise StoreError(
            f"{options.resume} was made by another version of the core or of the simulated world ({saved.fingerprint}, this is "
            f"{fingerprint()}): its figures and new ones do not add up. Begin anew, or put the two side by side with --compare"
        )
    for name, asked, was in (
        ("--seed", options.seed, saved.first_seed),
        ("--policy", options.policy, saved.policy),
        ("--sabotage", options.sabotage, saved.sabotage),
    ):
        if asked is not None and asked != was:
            raise StoreError(f"{options.resume} was begun with {name} {was!r}: leave {name} out, or begin anew")
    if options.save is not None and options.save.exists():
        raise StoreError(f"{options.save} exists: choose another file, or leave --save out to save into {options.resume}")
    if options.interruptions is None and options.minutes is None:
        return Campaign.of(saved), Goal(saved.interruptions, saved.minutes)
    return Campaign.of(saved), Goal(options.interruptions, options.minutes)


def _replay(options: argparse.Namespace) -> int:
    for name in ("seed", "jobs", "save", "resume", "html", "scheduler"):
        if getattr(options, name) is not None:
            raise StoreError(f"--{name} is for campaigns, not for --world")
    if options.failures is not None:
        writable_into(options.failures)
    began = time.perf_counter()
    rules: str = options.policy or ""
    world, lines = run_world(options.world, options.sabotage, policy=rules, story=True)
    campaign = Campaign(world.seed, rules, options.sabotage)
    campaign.add(world)
    campaign.seconds = campaign.process_seconds = time.perf_counter() - began
    result = campaign.result
    problems = world_problems(result, policy=rules, sabotage=options.sabotage)
    if options.json:
        print(json.dumps(campaign_object(campaign, result) | {"settings": world.settings, "story": lines}))
        _record(campaign, result, options)
        return int(bool(problems))
    print(f"World {world.seed}: {world.settings}\n")
    for line in lines:
        print(line)
    print()
    # Without the speed of this machine: the same seed prints the same bytes.
    _print(campaign, result, problems, timed=False)
    _record(campaign, result, options)
    return int(bool(problems))


def _print(campaign: Campaign, result: CampaignResult, problems: list[str], *, timed: bool) -> None:
    if result.kinds:
        print(text_table(result.kinds), end="\n\n")
    if result.faults and timed:
        print(fault_table(result.faults), end="\n\n")
    times = (campaign.seconds, campaign.process_seconds) if timed else (None, None)
    lines = figures(result, *times)
    if campaign.policy:
        lines.insert(0, ("policy", campaign.policy))
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        print(f"{name.ljust(width)}  {value}")
    for violation in result.violations[:SHOWN]:
        print(f"\nBROKEN: {broken(violation)}", end="")
    if result.violations:
        more = len(result.violations) - SHOWN
        print(f"\n... and {more} more" if more > 0 else "")
        print(f"Replay it: {replay_command(result.violations[0], campaign.sabotage, campaign.policy)}")
    for problem in problems[len(result.violations) :]:
        print(f"FAILED: {problem}")
    if timed:
        for each in not_reached(result, campaign.policy):
            print(f"Not reached under this policy: {each}")
    if campaign.sabotage is not None:
        caught = "caught, as it must be" if result.violations else "NOT CAUGHT: the auditor is blind"
        print(f"The sabotaged core ({campaign.sabotage}) was {caught}.")


# -- arguments ----------------------------------------------------------------------------------------------------------------


def _sabotage(text: str) -> str:
    name = text.replace("-", " ")
    if name not in SABOTAGED:
        raise argparse.ArgumentTypeError(f"{text!r} is none of: {', '.join(repr(name) for name in SABOTAGED)}")
    return name
