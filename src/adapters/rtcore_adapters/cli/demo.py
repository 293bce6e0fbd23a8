"""``rtcore demo``: voice conversations interrupted at fuzzed points, for real and in virtual time.

First conversations at real speed over loopback websockets, then thousands of interruptions in virtual time, then cores that are
wrong on purpose and must be caught. Prints the tables; writes ``heard.wav`` after the first, ``report.html`` at the end.
"""

import argparse
import os
import sys
import time
import wave
from pathlib import Path

from rtcore.sim.sabotage import SABOTAGED
from rtcore_adapters.cli._arguments import seed, whole_above_zero
from rtcore_adapters.cli._campaign import Campaign, Goal
from rtcore_adapters.cli._campaign import run as run_campaign
from rtcore_adapters.cli._judgement import campaign_problems, replay_command
from rtcore_adapters.cli._live import LiveResult, Talked, talk_for_real
from rtcore_adapters.cli._output import with_output
from rtcore_adapters.cli._pool import WorkerDied, batch_size, local
from rtcore_adapters.cli._progress import Progress
from rtcore_adapters.cli._scene import KINDS, Scene, draw_scenes
from rtcore_adapters.cli._signals import endable
from rtcore_adapters.cli._table import INVARIANTS, figures, number, text_table
from rtcore_adapters.cli._worlds import processes
from rtcore_adapters.cli.report.talk import Caught, Findings, page, picture_file

REPORT, SOUND = "report.html", "heard.wav"
"""What it writes."""

CONVERSATIONS = 20
"""How many for real, by default: each kind once, most twice."""

INTERRUPTIONS = 4000
"""How many in virtual time, by default."""

_SABOTAGED_INTERRUPTIONS = 400
_RATE = 24_000


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``rtcore demo``."""
    parser.epilog = (
        "Exits with 0 where everything held; with 1 where something failed: an invariant broke, a turn got no answer, an unheard "
        "message was left at the server, a sabotaged core was not caught; with 130 after Ctrl-C, 143 after SIGTERM."
    )
    option, count = parser.add_argument, whole_above_zero
    option("--seed", type=seed, default=0, metavar="SEED", help="what everything is drawn from (default: %(default)s)")
    option("--conversations", type=count, default=CONVERSATIONS, metavar="N", help="how many for real (default: %(default)s)")
    option("--interruptions", type=count, default=INTERRUPTIONS, metavar="N", help="how many simulated (default: %(default)s)")
    option("--jobs", type=count, metavar="J", help="how many processes simulate (default: one per core)")
    option("--directory", type=Path, default=Path("."), metavar="DIR", help="where to write (default: here)")
    option("--picture", type=Path, metavar="FILE", help="hold one conversation, write its picture as an SVG file, and end")


@with_output
def run(options: argparse.Namespace) -> int:
    """``rtcore demo``: 0 where everything held, 1 where something failed, 130 and 143 where Ctrl-C or SIGTERM ended it."""
    target: Path = options.directory
    if not target.is_dir():
        print(f"rtcore demo: {target} is not a directory that exists: make it, or give another --directory", file=sys.stderr)
        return 2
    files = [target / REPORT, target / SOUND] if options.picture is None else [options.picture]
    for file in files:
        if (fault := _unwritable(file)) is not None:
            print(f"rtcore demo: {fault}", file=sys.stderr)
            return 2
    written: list[Path] = []
    with endable() as ending:
        try:
            return _demo(options, written) if options.picture is None else _picture(options)
        except KeyboardInterrupt:
            print(f"\nrtcore demo: ended by {ending.word}; {_left(written)}", file=sys.stderr)
            return ending.status
        except WorkerDied as error:
            if ending.terminated:  # SIGTERM went to the whole group
                return ending.status
            print(f"rtcore demo: a process {error} (out of memory?); try --jobs 1", file=sys.stderr)
            return 1
        except OSError as error:
            print(f"rtcore demo: {error}", file=sys.stderr)
            return 1


def _left(written: list[Path]) -> str:
    return f"{' and '.join(map(str, written))} written, nothing else" if written else "nothing was written"


def _unwritable(file: Path) -> str | None:
    """Why this file cannot be written, and what to do; better known before minutes of talk than after. Leaves no trace."""
    there = os.path.lexists(file)
    try:
        with open(file, "ab"):
            pass
        if not there:
            file.unlink()
    except (OSError, ValueError) as error:
        why = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
        option = "--directory" if file.name in (REPORT, SOUND) else "--picture"
        return f"cannot write {file.name} into {file.parent}: {why}: make it writable, or give another {option}"
    return None


def _picture(options: argparse.Namespace) -> int:
    live = _talk(draw_scenes(options.seed, 1))
    options.picture.write_text(picture_file(live.talks[0]), encoding="utf-8")
    for fault in live.faults:
        print(f"FAILED: {fault}", file=sys.stderr)
    print(f"Wrote {options.picture}")
    return int(bool(live.faults))


def _demo(options: argparse.Namespace, written: list[Path]) -> int:
    """The whole of it; ``written`` gets the sound as soon as it is there to be listened to, minutes before the report."""
    jobs = processes(options.jobs, options.interruptions)
    began = time.perf_counter()
    scenes = draw_scenes(options.seed, options.conversations)
    print(f"Talking for real: {len(scenes)} conversations over websockets, each interrupted ({len(KINDS)} kinds).", flush=True)
    live = _talk(scenes)
    print(f"\n{text_table(live.kinds)}\n")
    print(_outcome(live))
    report, sound = options.directory / REPORT, options.directory / SOUND
    write_wav(sound, live.talks[0])
    written.append(sound)
    print(f"Wrote {sound}, {time.perf_counter() - began:.0f} s after the start: what was audible of the first of them.")

    print(f"\nIn virtual time: {number(options.interruptions)} interruptions.", flush=True)
    campaign = _fuzz(options.seed, options.interruptions, jobs)
    fuzz, fuzz_seconds = campaign.result, campaign.seconds
    print(f"\n{text_table(fuzz.kinds)}\n")
    lines = figures(fuzz, fuzz_seconds)
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        print(f"{name.ljust(width)}  {value}")

    print("\nCores that are wrong on purpose:", flush=True)
    caught = tuple(_sabotage(name, options.seed) for name in SABOTAGED)

    problems = (
        *live.faults,
        *campaign_problems(fuzz, campaign.unanswered, campaign.unheard),
        *(f"not caught: {each.name}" for each in caught if each.violation is None),
    )
    found = Findings(options.seed, live, fuzz, fuzz_seconds, caught, problems)
    report.write_text(page(found), encoding="utf-8")
    written.append(report)
    print(f"\nWrote {report}, {time.perf_counter() - began:.0f} s after the start.")
    for problem in problems[:20]:
        print(f"FAILED: {problem}")
    print("Something failed." if problems else "Everything held.")
    return int(bool(problems))


def _talk(scenes: tuple[Scene, ...]) -> LiveResult:
    progress, began = Progress(), time.perf_counter()

    def told(done: int) -> None:
        progress.say(f"rtcore demo: {done} of {len(scenes)} conversations, {time.perf_counter() - began:.0f} s")

    live = talk_for_real(scenes, told)
    progress.clear()
    return live


def _outcome(live: LiveResult) -> str:
    """The live part in one sentence."""
    answered = sum(talk.result.answered for talk in live.talks)
    audible = sum(len(talk.signal) for talk in live.talks) / (2 * _RATE)
    return (
        f"{answered} of {len(live.talks)} next turns were answered and heard; {audible:.0f} s of sound matched sample by sample; "
        f"left behind: {', '.join(live.left_behind) or 'no task, no socket, no thread'}."
    )


def _fuzz(first: int, interruptions: int, jobs: int) -> Campaign:
    progress, campaign = Progress(), Campaign(first)

    def told() -> None:
        progress.say(f"rtcore demo: {number(campaign.total.interruptions)} of {number(interruptions)} interruptions")

    batch = batch_size(interruptions, jobs)
    run_campaign([campaign], Goal(interruptions), local(jobs), batch=batch, processes=lambda: jobs, told=told)
    progress.clear()
    return campaign


def _sabotage(name: str, first: int) -> Caught:
    """A broken core meets the same worlds until one catches it."""
    campaign = Campaign(first, sabotage=name)
    run_campaign([campaign], Goal(_SABOTAGED_INTERRUPTIONS, stop_at_violation=True), local(1))
    total = campaign.total
    violation = next(iter(total.result.violations), None)
    if violation is None:
        by = "NOT CAUGHT"
        command = f'rtcore fuzz --seed {first} --sabotage "{name}"'
    else:
        by = f"caught by invariant {violation.invariant} ({INVARIANTS[violation.invariant]})"
        command = replay_command(violation, name)
    print(f"  {name}: {by} after {number(total.interruptions)} interruptions; {command}", flush=True)
    return Caught(name, violation, total.interruptions, command)


def write_wav(path: Path, talk: Talked) -> None:
    """What was audible, silences at their place: PCM16, 24 kHz, mono."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(talk.signal)
