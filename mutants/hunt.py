"""Looks for every planted bug: one process per bug, worlds in the order of their seeds, until an invariant breaks.

The same worlds around the core as it is must break none; those that do are no evidence, are told, and fail the run.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from mutants.planted import Bug
from mutants.tree import ROOT, planted, snapshot

FIRST_SEED = 0
LIMIT = 600
"""So many worlds are tried for one bug."""
PLAIN_SEED = 5
"""The world of the plain conversation."""
_WORKER = ROOT / "mutants" / "_worker.py"
_SHARE = 25
"""Worlds of the core itself that one process runs."""
_HANGS_AFTER_S = 1200
"""A bug that makes the core loop for ever is no world's find; no run takes a tenth of this."""


class Found(NamedTuple):
    """What became of one bug. ``outcome`` is "found", or why it does not count."""

    name: str
    outcome: str
    worlds: int = 0
    seed: int = -1
    invariant: int = 0
    text: str = ""

    @property
    def counts(self) -> bool:
        """Whether an invariant caught it, and the plain conversation did not."""
        return self.outcome == "found"


class Report(NamedTuple):
    """The hunt's result: every bug in the order given, and the seeds whose world the core itself does not pass."""

    found: tuple[Found, ...]
    broken: dict[int, str]


def hunt(
    bugs: Sequence[Bug],
    *,
    jobs: int,
    limit: int = LIMIT,
    first: int = FIRST_SEED,
    told: Callable[[Found], None] = lambda found: None,
) -> Report:
    """Look for these bugs. ``told`` is called as each is done, in any order. Raises ``RuntimeError`` where a process fails."""
    with snapshot() as state, ThreadPoolExecutor(jobs) as pool:
        # First the core itself: a world that it does not pass proves nothing about a bug.
        seeds = range(first, first + limit)
        shares = [seeds[start : start + _SHARE] for start in range(0, limit, _SHARE)]
        broken: dict[int, str] = {}
        for share in pool.map(partial(_clean, state), shares):
            broken |= share

        def look(bug: Bug) -> Found:
            found = _look(bug, state, [seed for seed in seeds if seed not in broken])
            told(found)
            return found

        return Report(tuple(pool.map(look, bugs)), broken)


def _clean(state: Path, seeds: Sequence[int]) -> dict[int, str]:
    """The seeds whose world the core as it is does not pass, and what was said. Raises ``RuntimeError``."""
    broken: dict[int, str] = {}
    code, lines = _run(None, state, seeds, all=True)
    if code != 0:
        raise RuntimeError("the core as it is: its process failed")
    for line in lines:
        if line.get("plain") is not None:
            raise RuntimeError(f"the plain conversation fails with the core as it is: {line['plain']['text']}")
        if line.get("cuts"):
            raise RuntimeError("the plain conversation is not plain: something was cut in it")
        if line.get("broken") is not None:
            broken[line["seed"]] = f"invariant {line['broken']['invariant']}: {line['broken']['text']}"
    return broken


def _look(bug: Bug, state: Path, seeds: Sequence[int]) -> Found:
    """Until a world finds it."""
    code, lines = _run(bug, state, seeds, all=False)
    if code is None:
        return Found(bug.name, "hangs", max(0, len(lines) - 1))
    if code or not lines:
        return Found(bug.name, "crashes")
    plain, worlds = lines[0], lines[1:]
    if plain["plain"] is not None:
        return Found(bug.name, "plain fails", 0, -1, plain["plain"]["invariant"], plain["plain"]["text"])
    broken = worlds[-1]["broken"]
    if broken is None:
        return Found(bug.name, "not found", len(worlds))
    outcome = "exception" if broken["exception"] else "found"
    return Found(bug.name, outcome, len(worlds), worlds[-1]["seed"], broken["invariant"], broken["text"])


def _run(bug: Bug | None, state: Path, seeds: Sequence[int], *, all: bool) -> tuple[int | None, list[dict[str, Any]]]:
    """One process over the plain conversation and these worlds; None instead of its exit code where it had to be ended."""
    with planted(state, bug) as folder:
        sources = folder / "src"
        order = {"sources": str(sources), "plain_seed": PLAIN_SEED, "seeds": list(seeds), "all": all}
        process = subprocess.Popen(
            [sys.executable, "-P", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": str(sources), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
        )
        try:
            out, _ = process.communicate(json.dumps(order), timeout=_HANGS_AFTER_S)
            code: int | None = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            out, _ = process.communicate()
            code = None
        return code, [json.loads(line) for line in out.splitlines()]


def table(report: Report) -> list[str]:
    """The hunt as text: bug, worlds needed, invariant, what the violation says; the last line counts."""
    width = max((len(one.name) for one in report.found), default=4)
    lines = [f"{'bug':{width}}  worlds  invariant  what was said"]
    for one in report.found:
        invariant = str(one.invariant) if one.invariant else "-"
        said = one.text.splitlines()[0] if one.text else ""
        mark = "" if one.counts else f"{one.outcome.upper()} "
        lines.append(f"{one.name:{width}}  {one.worlds:6}  {invariant:>9}  {mark}{said}".rstrip())
    for seed, said in sorted(report.broken.items()):
        lines.append(f"the core as it is does not pass world {seed}: {said}")
    lines.append(f"found {sum(one.counts for one in report.found)} of {len(report.found)}")
    return lines
