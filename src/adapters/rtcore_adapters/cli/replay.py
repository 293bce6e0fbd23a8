"""``rtcore replay``: a recorded session, run again.

The recording's inputs go into a new session, and each outcome is held against the recorded one, to the bit. Where a world is in
the file, it is run again as well; ``--policy`` shows what other settings change, ``--timeline`` draws what happened, ``--shrink``
makes a failing world small.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rtcore.recording import Recording, RecordingError, replay
from rtcore.sim.policy import Policy, PolicyError, parse_policy
from rtcore.sim.recorded import RecordedWorld, record_world, run_again, voices_mark, world_of
from rtcore.sim.rerun import differences, policy_options, rerun
from rtcore.sim.results import CampaignResult, Violation, WorldResult
from rtcore.sim.scenario import Scenario
from rtcore.sim.shrink import BUDGET, Size, shrink
from rtcore.sim.voices import Voice, synthetic_voices
from rtcore_adapters._recording import read_recording, write_recording
from rtcore_adapters.cli._arguments import whole_above_zero
from rtcore_adapters.cli._output import with_output
from rtcore_adapters.cli._progress import Progress
from rtcore_adapters.cli._store import StoreError, writable, write_page
from rtcore_adapters.cli._table import broken, figures, number
from rtcore_adapters.timeline import timeline_page
from rtcore_adapters.timeline._facts import facts_of
from rtcore_adapters.voices import load_voices


class _Unusable(Exception):
    """What was asked for cannot be done; the text says why and what would be right."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``rtcore replay``."""
    parser.epilog = (
        "Exits with 0 where every outcome is the recorded one; with 1 where one differs, a world no longer does what it did, or "
        "the file cannot be replayed."
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a recording (.jsonl or .jsonl.gz)")
    parser.add_argument(
        "--policy",
        type=_policy,
        metavar="KEY=VALUE,...",
        help="also run it with these settings, and show what they change: interruption=ignore, playout.stall_ms=500, "
        "speaker.report_ms=200; of a world, also those of its server and its line",
    )
    parser.add_argument("--timeline", type=Path, metavar="FILE.html", help="also write the page of rtcore timeline")
    parser.add_argument("--partial", action="store_true", help="replay what is there of a file that breaks off")
    parser.add_argument(
        "--shrink",
        type=Path,
        metavar="FILE",
        help="make the file's failing world as small as it goes, and write that as a recording",
    )
    parser.add_argument(
        "--budget", type=whole_above_zero, default=BUDGET, metavar="N", help="worlds that --shrink may run (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


@with_output
def run(options: argparse.Namespace) -> int:
    """``rtcore replay FILE``: 0 where the outcome is the recorded one, else 1."""
    try:
        return _run(options)
    except StoreError as error:
        print(f"rtcore replay: {error}", file=sys.stderr)
    except (RecordingError, PolicyError, _Unusable) as error:
        print(f"rtcore replay: {options.file}: {error}{_remedy(error)}", file=sys.stderr)
    except OSError as error:
        print(f"rtcore replay: {error.filename or options.file}: {error.strerror or error}", file=sys.stderr)
    return 1


def _remedy(error: Exception) -> str:
    return " (--partial)" if isinstance(error, RecordingError) and "partial read" in str(error) else ""


def _run(options: argparse.Namespace) -> int:
    recording = read_recording(options.file, partial=options.partial)
    for path in (options.timeline, options.shrink):
        if path is not None:
            writable(path)  # better known before the work than after
    world = world_of(recording.header)
    say = (lambda *words: None) if options.json else print
    for fact in facts_of(recording, world):
        say(fact)
    found: dict[str, Any] = {"inputs": len(recording.inputs), "complete": recording.complete}
    status = _inputs(recording, world, found, say)
    if world is not None:
        status |= _world(world, found, say)
    if options.policy is not None:
        _compare(recording, world, options.policy, found, say)
    if options.timeline is not None:
        _draw(recording, options, say)
    if options.shrink is not None:
        status |= _shrink(world, options, found, say)
    if options.json:
        print(json.dumps(found | {"same": not status}))
    return status


def _inputs(recording: Recording, world: RecordedWorld | None, found: dict[str, Any], say: Callable[..., None]) -> int:
    difference = replay(recording, factory=_factory(world)).difference if world else replay(recording).difference
    if difference is None:
        say(f"OK: all {number(len(recording.inputs))} outcomes are the recorded ones, bit for bit")
        return 0
    say(f"DIFFERENT: after {difference.line - 2} inputs with the recorded outcome (-: recorded, +: now)\n{difference}")
    found["difference"] = {
        "line": difference.line,
        "at": difference.at,
        "do": difference.do,
        "recorded": difference.recorded,
        "now": difference.now,
    }
    return 1


# -- worlds --------------------------------------------------------------------------------------------------------------------


def _factory(world: RecordedWorld) -> Any:
    try:
        return world.factory
    except ValueError as error:
        raise _Unusable(str(error)) from None


def _voices(world: RecordedWorld) -> tuple[Voice, ...]:
    """The voices that spoke in it: the packaged ones, or those of tests."""
    for voices in (load_voices(), synthetic_voices(1)):
        if voices_mark(voices) == world.voices:
            return voices
    raise _Unusable(
        f"the voices of its world ({world.voices}) are not those of this rtcore: replay it with the version that made it"
    )


def _again(world: RecordedWorld, scenario: Scenario | None = None) -> WorldResult:
    _factory(world)
    try:
        return run_again(world, _voices(world), scenario=scenario)
    except (ValueError, TypeError) as error:
        raise _Unusable(f"its world cannot be run: {error}") from None


def _world(world: RecordedWorld, found: dict[str, Any], say: Callable[..., None]) -> int:
    result = _again(world)
    found["world"] = {"seed": world.seed, "digest": result.digest, "recorded_digest": world.digest}
    found["world"] |= {"broken": [_violation(each) for each in result.violations]}
    same = result.digest == world.digest
    if same and result.violations == world.violations:
        say("OK: as a world it does the same" + (":" if world.violations else ""))
        for violation in result.violations[:3]:
            say(f"  BROKEN: {broken(violation)}")
        return 0
    say("DIFFERENT: as a world it no longer does the same")
    for name, violations in (("-", world.violations), ("+", result.violations)):
        for line in [broken(violation) for violation in violations[:3]] or ["no invariant breaks"]:
            say(f"  {name} {line}")
    return 1


def _violation(violation: Violation) -> dict[str, Any]:
    return {"invariant": violation.invariant, "at": violation.at, "text": violation.text}


def _compare(
    recording: Recording, world: RecordedWorld | None, policy: Policy, found: dict[str, Any], say: Callable[..., None]
) -> None:
    if world is not None:
        say(f"\nThe world under {policy}:")
        before, after = _again(world), _again(world, policy.applied(world.scenario))
        changed = [row for row in _world_rows(before, after) if row[1] != row[2]]
    else:
        say(f"\nUnder {policy} (server and user as recorded, the speaker simulated in both):")
        try:
            config, speaker = policy_options(recording.header, policy)
        except ValueError as error:
            raise _Unusable(f"--policy {policy}: {error}") from None
        old = policy_options(recording.header, Policy())
        changed = differences(rerun(recording, *old), rerun(recording, config, speaker))
    found["policy"] = [{"name": name, "recorded": was, "policy": now} for name, was, now in changed]
    width = max((len(name) for name, _, _ in changed), default=0)
    for name, was, now in changed:
        say(f"  {name.ljust(width)}  {was}  ->  {now}")
    if not changed:
        say("  nothing changes")


def _world_rows(before: WorldResult, after: WorldResult) -> list[tuple[str, str, str]]:
    one, other = (dict(figures(CampaignResult.of(result), None)) for result in (before, after))
    rows = [(name, one.get(name, "-"), other.get(name, "-")) for name in [*one, *(name for name in other if name not in one)]]
    for verdict in ("full", "partial", "skipped", "text"):
        was, now = (str(sum(kind.verdicts.get(verdict, 0) for kind in result.kinds)) for result in (before, after))
        rows.append((f"messages {verdict}", was, now))
    return rows


def _shrink(world: RecordedWorld | None, options: argparse.Namespace, found: dict[str, Any], say: Callable[..., None]) -> int:
    if world is None:
        raise _Unusable(
            "--shrink needs a simulated world of one line in the file; this is a real session, or a world whose lines come back"
        )
    progress = Progress()
    voices = _voices(world)

    def told(runs: int, size: Size) -> None:
        progress.say(f"rtcore replay: {runs} of at most {options.budget} worlds run: {size}")

    try:
        small = shrink(world.seed, world.scenario, voices, factory=_factory(world), budget=options.budget, told=told)
    except ValueError as error:
        raise _Unusable(f"--shrink: {error}") from None
    finally:
        progress.clear()
    write_recording(options.shrink, record_world(world.seed, voices, scenario=small.scenario, sabotage=world.sabotage)[1])
    say(f"\nShrunk by {small.runs} runs: from {small.before}\n  to {small.after}")
    for line in small.told:
        say(f"  {line}")
    more = f"; the budget was used up: --budget {2 * options.budget} may find less" if small.exhausted else ""
    say(f"Written to {options.shrink}{more}")
    found["shrunk"] = {"runs": small.runs, "before": str(small.before), "after": str(small.after), "told": small.told}
    return 0


# -- the picture -------------------------------------------------------------------------------------------------------------


def _draw(recording: Recording, options: argparse.Namespace, say: Callable[..., None]) -> None:
    write_page(options.timeline, timeline_page(recording, names=[options.file.name]))
    say(f"Timeline in {options.timeline}")


def _policy(text: str) -> Policy:
    try:
        return parse_policy(text)
    except PolicyError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
