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
LIMIT = 400
"""So many worlds are tried for one bug."""
PLAIN_SEED = 5
"""The world of the plain conversation."""
_WORKER = ROOT / "mutants" / "_worker.py"
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
        clean = _Clean(state, first)
        look = partial(_look, state=state, limit=limit, first=first)
        done = _all(pool, bugs, partial(look, skip=frozenset()), told)
        while True:
            # How far the core itself must be good is known now; a world that it does not pass proves nothing about a bug.
            clean.reach(max((one.seed + 1 for one in done.values()), default=first), pool)
            again = [bug for bug in bugs if done[bug.name].seed in clean.broken]
            if not again:
                break
            done.update(_all(pool, again, partial(look, skip=frozenset(clean.broken)), told))
    return Report(tuple(done[bug.name] for bug in bugs), clean.broken)


def _all(
    pool: ThreadPoolExecutor, bugs: Sequence[Bug], look: Callable[[Bug], Found], told: Callable[[Found], None]
) -> dict[str, Found]:
    def one(bug: Bug) -> Found:
        found = look(bug)
        told(found)
        return found

    return {found.name: found for found in pool.map(one, bugs)}


class _Clean:
    """The core as it is, on as many worlds as are needed, each once."""

    def __init__(self, state: Path, first: int) -> None:
        self._state = state
        self._next = first
        self._first = first
        self.broken: dict[int, str] = {}

    def reach(self, until: int, pool: ThreadPoolExecutor) -> None:
        """Run the worlds before ``until`` that have not run."""
        seeds = range(self._next, until)
        self._next = max(self._next, until)
        shares = [seeds[start : start + 20] for start in range(0, len(seeds), 20)]
        for lines in pool.map(self._run, shares):
            for line in lines:
                if "plain" in line and line["plain"] is not None:
                    raise RuntimeError(f"the plain conversation fails with the core as it is: {line['plain']['text']}")
                if line.get("cuts"):
                    raise RuntimeError("the plain conversation is not plain: something was cut in it")
                if line.get("broken"):
                    self.broken[line["seed"]] = f"invariant {line['broken']['invariant']}: {line['broken']['text']}"

    def _run(self, seeds: range) -> list[dict[str, Any]]:
        return _run(None, self._state, seeds, plain=seeds[0] == self._first, all=True)[1]


def _look(bug: Bug, state: Path, limit: int, first: int, skip: frozenset[int]) -> Found:
    """Until a world finds it."""
    seeds = [seed for seed in range(first, first + limit) if seed not in skip]
    code, lines = _run(bug, state, seeds, plain=True, all=False)
    if code is None:
        return Found(bug.name, "hangs", len(lines) - 1)
    if code or not lines:
        return Found(bug.name, "crashes")
    plain, worlds = lines[0], lines[1:]
    if plain["plain"] is not None:
        return Found(bug.name, "plain fails", 0, -1, plain["plain"]["invariant"], plain["plain"]["text"])
    last = worlds[-1]
    if last["broken"] is None:
        return Found(bug.name, "not found", len(worlds))
    outcome = "exception" if last["broken"]["exception"] else "found"
    tried = last["seed"] - first + 1
    return Found(bug.name, outcome, tried, last["seed"], last["broken"]["invariant"], last["broken"]["text"])


def _run(
    bug: Bug | None, state: Path, seeds: Sequence[int], *, plain: bool, all: bool
) -> tuple[int | None, list[dict[str, Any]]]:
    """One process over these worlds; None instead of its exit code where it had to be ended."""
    with planted(state, bug) as folder:
        sources = folder / "src"
        order = {"sources": str(sources), "plain": plain, "plain_seed": PLAIN_SEED, "seeds": list(seeds), "all": all}
        environment = {**os.environ, "PYTHONPATH": str(sources), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        process = subprocess.Popen(
            [sys.executable, "-P", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        try:
            out, err = process.communicate(json.dumps(order), timeout=_HANGS_AFTER_S)
            code: int | None = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            code = None
        if code and bug is None:
            raise RuntimeError(f"the core as it is: the process failed:\n{err[-2000:]}")
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
