"""docs/contributing.md is done step by step: its diffs are applied to a copy of the repository, what follows is run there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_docs import _FENCE, ROOT

PAGE = ROOT / "docs" / "contributing.md"
_FILE = re.compile(r"^--- a/(?P<path>.+)\n\+\+\+ b/(?P=path)\n(?P<hunks>(?:(?!--- a/).*\n)+)", re.MULTILINE)
WALKS = [
    section
    for section in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    if any("patched" in found["kind"] for found in _FENCE.finditer(section))
]


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.partition("\n")[0])
def test_a_walk_leads_where_it_says(walk: str, tmp_path: Path) -> None:
    fences = list(_FENCE.finditer(walk))
    whole = any(found["kind"] == "console patched" for found in fences)
    _copy(tmp_path, ["src", "tests", "examples", "docs", "pyproject.toml", "README.md"] if whole else ["src"])
    ran = 0
    for found, after in zip(fences, [*fences[1:], None], strict=True):
        match found["kind"]:
            case "diff":
                _apply(found["body"], tmp_path)
            case "python patched":
                assert after is not None and after["kind"] == "output"
                assert _run([sys.executable, "-c", found["body"]], tmp_path) == after["body"]
                ran += 1
            case "console patched":
                command = found["body"].removeprefix("$ python ").split()
                assert re.search(r"^\d+ passed", _run([sys.executable, *command], tmp_path), re.MULTILINE)
                ran += 1
            case _:
                pass
    assert ran == 1


def test_there_is_a_walk_for_each_thing_that_is_added() -> None:
    assert [walk.partition("\n")[0] for walk in WALKS] == ["A dialect", "A fault", "An adapter"]  # a policy needs no patch


def test_the_files_that_are_named_are_there() -> None:
    text = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:src|tests|docs|examples)/[\w./]+)`", text)) | set(re.findall(r"`python (docs/\w+\.py)`", text))
    assert len(named) > 10
    assert {path for path in named if not (ROOT / path).exists()} == set()


def _copy(to: Path, names: list[str]) -> None:
    for name in names:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copy(ROOT / name, to / name)


def _apply(diff: str, to: Path) -> None:
    """Each hunk's old lines stand in its file once, and become the new ones."""
    files = list(_FILE.finditer(diff))
    assert files
    for found in files:
        path = to / found["path"]
        text = path.read_text(encoding="utf-8")
        for hunk in re.split(r"^@@\n", found["hunks"], flags=re.MULTILINE)[1:]:
            lines = hunk.splitlines(keepends=True)
            old = "".join(line[1:] for line in lines if line[0] in " -")
            new = "".join(line[1:] for line in lines if line[0] in " +")
            assert text.count(old) == 1, f"{found['path']} has changed: docs/contributing.md is to follow.\n{old}"
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")


def _run(command: list[str], where: Path) -> str:
    paths = [where / "src", where / "src" / "adapters", where / "tests", where]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTEST_ADDOPTS": "-p no:cacheprovider -p no:xdist",
    }
    done = subprocess.run(command, cwd=where, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
