"""Which planted bug breaks the test of which behaviour: a test that no bug breaks shows nothing.

Tests name what they show by ids (B01, C23, S05) in their names, docstrings and comments; that is read from the sources each time,
so nothing here can go stale. By default each behaviour is done with once one bug has broken one of its tests; ``full`` runs every
bug against every test.
"""

import ast
import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mutants.planted import Bug
from mutants.tree import ROOT, planted, snapshot

_ID = re.compile(r"\b[BCS]\d\d\b")
_OF_THE_CORE = re.compile(r"test_(core_\w+|dialects|errors|config)\.py")
"""Tests of the core itself. Others (adapters, documentation) name behaviours too: asked only for those that none here names."""
_NOT_OF_THE_CORE = re.compile(r"test_(sim|mutants|prop|fuzz|cli|report|recording|judge|campaign|cluster)\w*\.py")
"""Tests of the simulator and its tools: they show that a behaviour is checked, not that the core has it."""


_HANGS_AFTER_S = 900

Progress = Callable[[str, list[str]], None]
"""Told after each bug: its name, and the behaviours whose tests it broke."""


class Claim(NamedTuple):
    """One test function's claim: its file, its name in it (with its class), the behaviours that it names."""

    file: str
    name: str
    ids: frozenset[str]


def read_tests(folder: Path) -> list[Claim]:
    """Every test that names a behaviour, of the files that are about the core."""
    tests: list[Claim] = []
    for path in sorted(folder.glob("**/test_*.py")):
        if _NOT_OF_THE_CORE.fullmatch(path.name) is None:
            tests += _tests_of(path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8"))
    known = {name for test in tests if _OF_THE_CORE.fullmatch(test.file) for name in test.ids}
    # An adapter's test is worth its time only where the core's own tests name the behaviour nowhere.
    return [test for test in tests if _OF_THE_CORE.fullmatch(test.file) or test.ids - known]


def _tests_of(file: str, source: str) -> Iterable[Claim]:
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        for inner in ast.iter_child_nodes(node):
            if not isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) or not inner.name.startswith("test_"):
                continue
            begin = min([inner.lineno, *(decorator.lineno for decorator in inner.decorator_list)])
            text = "\n".join(lines[begin - 1 : inner.end_lineno])
            ids = frozenset(_ID.findall(text.replace("_", " ")))
            if ids:
                name = f"{node.name}::{inner.name}" if isinstance(node, ast.ClassDef) else inner.name
                yield Claim(file, name, ids)


def judge(bugs: Sequence[Bug], *, jobs: int, full: bool, told: Progress = lambda bug, broken: None) -> tuple[list[str], bool]:
    """The table, and whether every behaviour that has a test has a bug that breaks it."""
    with snapshot() as state:
        return _judge(state, bugs, jobs, full, told)


def _judge(state: Path, bugs: Sequence[Bug], jobs: int, full: bool, told: Progress) -> tuple[list[str], bool]:
    tests = read_tests(state / "tests")
    guarded: dict[str, list[str]] = {name: [] for name in sorted({name for test in tests for name in test.ids})}
    failed = _failed(None, state, tests)
    if failed:
        raise RuntimeError(f"tests fail without any bug: {', '.join(sorted(f'{t.file}::{t.name}' for t in failed))}")
    with ThreadPoolExecutor(jobs) as pool:
        for start in range(0, len(bugs), 4 * jobs):
            wanted = [test for test in tests if full or any(not guarded[name] for name in test.ids)]
            if not wanted:
                break
            some = bugs[start : start + 4 * jobs]
            run = partial(_failed, state=state, tests=wanted)
            for bug, broken in zip(some, pool.map(run, some), strict=True):
                names = {name for test in broken for name in test.ids}
                for name in names:
                    guarded[name].append(bug.name)
                told(bug.name, sorted(names))
    lines = ["behaviour  broken by"]
    for name, by in guarded.items():
        lines.append(f"{name:9}  {', '.join(by) if by else 'NO PLANTED BUG: its tests show nothing that could break'}")
    good = sum(bool(by) for by in guarded.values())
    lines.append(f"guarded {good} of {len(guarded)}")
    return lines, good == len(guarded)


def _failed(bug: Bug | None, state: Path, tests: Sequence[Claim]) -> list[Claim]:
    """Which of these tests fail with the bug, or do not come to an end."""
    with planted(state, bug, tests=True) as folder:
        sources = folder / "src"
        notes = folder / "notes.txt"
        notes.touch()
        path = os.pathsep.join([str(sources), str(sources / "adapters"), str(ROOT)])
        command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider", "-p", "mutants._reporter"]
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [*command, *(f"tests/{test.file}::{test.name}" for test in tests)],
                cwd=folder,
                env={**environment, "RTCORE_MUTANT_NOTES": str(notes)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_HANGS_AFTER_S,
                check=False,
            )
        fallen = read_notes(notes.read_text(encoding="utf-8"))
        return [test for test in tests if (test.file, test.name) in fallen or (test.file, "") in fallen]


def read_notes(text: str) -> set[tuple[str, str]]:
    """Files and names of the test functions that failed or never ended; no name where a whole file could not be read."""
    fallen: set[tuple[str, str]] = set()
    running: str | None = None
    for line in text.splitlines():
        what, _, node = line.partition(" ")
        if what == "failed":
            fallen.add(_function(node))
        running = node if what == "begins" else None if what == "ends" else running
    if running is not None:
        fallen.add(_function(running))
    return fallen


def _function(node: str) -> tuple[str, str]:
    """Of "tests/test_core_slot.py::TestQueue::test_x[case]": the file, and the name without its case."""
    file, _, name = node.partition("::")
    return file.removeprefix("tests/"), name.partition("[")[0]
