"""Copies of the sources with one bug in each, and the check that every bug still fits the core's text."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mutants.planted import Bug

ROOT = Path(__file__).resolve().parent.parent
"""The repository: sources, tests, pyproject.toml."""
CORE = ROOT / "src" / "rtcore"


class AnchorError(Exception):
    """A bug does not fit the core's text any more: the core has changed, so the bug has to follow."""


def patched(bug: Bug, source: str) -> str:
    """The file's text with the bug in it. Raises ``AnchorError`` where it does not fit, or is no valid Python then."""
    lines = source.split("\n")
    size = len(bug.old)
    places = [at for at in range(len(lines) - size + 1) if tuple(lines[at : at + size]) == bug.old]
    if len(places) != 1:
        shown = "\n".join(bug.old)
        raise AnchorError(f"{bug.name}: src/rtcore/{bug.file}: these lines occur {len(places)} times instead of once:\n{shown}")
    lines[places[0] : places[0] + size] = bug.new
    result = "\n".join(lines)
    try:
        compile(result, bug.file, "exec")
    except SyntaxError as error:
        raise AnchorError(f"{bug.name}: src/rtcore/{bug.file} is not valid Python with the bug in it: {error}") from None
    return result


def check(bug: Bug) -> None:
    """Raises ``AnchorError`` where the bug does not fit, or stands outside the core (the simulator is not what is tested)."""
    path = CORE / bug.file
    if "sim" in Path(bug.file).parts or not path.is_file():
        raise AnchorError(f"{bug.name}: src/rtcore/{bug.file} is no file of the core")
    patched(bug, path.read_text(encoding="utf-8"))


@contextmanager
def snapshot() -> Iterator[Path]:
    """The sources, the tests and what pytest reads as they are now: one run judges one state, whatever is edited meanwhile."""
    with tempfile.TemporaryDirectory(prefix="rtcore-mutants-") as name:
        folder = Path(name)
        for part in ("src", "tests"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder / "pyproject.toml")
        yield folder


@contextmanager
def planted(state: Path, bug: Bug | None, *, tests: bool = False) -> Iterator[Path]:
    """A copy of a snapshot with the bug in it (None: as it is), with its tests if they are wanted."""
    with tempfile.TemporaryDirectory(prefix="rtcore-mutant-") as name:
        folder = Path(name)
        shutil.copytree(state / "src", folder / "src")
        if tests:
            shutil.copytree(state / "tests", folder / "tests")
            shutil.copy(state / "pyproject.toml", folder / "pyproject.toml")
        if bug is not None:
            path = folder / "src" / "rtcore" / bug.file
            path.write_text(patched(bug, path.read_text(encoding="utf-8")), encoding="utf-8")
        yield folder
