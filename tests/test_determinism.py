"""The same seeds give the same figures, to the bit, whatever the hash seed and the version of Python (C30, invariant 14).

Another interpreter is used where it is at hand with rtcore's dependencies: those on the path, and any named in
``RTCORE_PYTHONS`` (paths, separated as in ``PATH``).
"""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import rtcore
import rtcore_adapters

COMMAND = ["-m", "rtcore_adapters.cli", "fuzz", "--interruptions", "60", "--seed", "40", "--jobs", "1", "--json"]
FIGURES = (
    "digest", "worlds", "interruptions", "cuts", "cuts_checked", "cuts_estimated", "truncation_error_ms", "estimated_error_ms",
    "silence_after_barge_in_ms", "unheard_left", "server_errors_by_code", "turns_unanswered", "simulated_seconds", "idle_seconds",
    "situations", "faults", "sometimes", "broken",
)  # fmt: skip


def _environment(hash_seed: str) -> dict[str, str]:
    # These sources and nothing else of this interpreter's: another version has its own library and dependencies.
    path = os.pathsep.join(str(Path(package.__file__ or "").parent.parent) for package in (rtcore, rtcore_adapters))
    return os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": hash_seed}


def _figures(python: str, hash_seed: str) -> dict[str, Any]:
    ended = subprocess.run([python, *COMMAND], capture_output=True, text=True, check=False, env=_environment(hash_seed))
    assert ended.stdout, ended.stderr
    found = json.loads(ended.stdout)
    return {name: found[name] for name in FIGURES}


@cache
def _here() -> dict[str, Any]:
    return _figures(sys.executable, "1")


def test_another_hash_seed_changes_nothing() -> None:
    assert _figures(sys.executable, "2024") == _here()


def _others() -> list[str]:
    """Interpreters of other versions that have what rtcore needs."""
    named = [each for each in os.environ.get("RTCORE_PYTHONS", "").split(os.pathsep) if each]
    found: dict[str, str] = {}
    for python in [*named, *filter(None, (shutil.which(f"python3.{minor}") for minor in (11, 12, 13)))]:
        asked = "import sys, msgspec, pydantic; print('%d.%d' % sys.version_info[:2])"
        ended = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=False, env=_environment("0"))
        version = ended.stdout.strip()
        if ended.returncode == 0 and version != f"{sys.version_info.major}.{sys.version_info.minor}":
            found.setdefault(version, python)
    return list(found.values())


def test_another_version_of_python_changes_nothing() -> None:
    others = _others()
    if not others:
        pytest.skip("no other Python 3.11, 3.12 or 3.13 with msgspec and pydantic is at hand: name some in RTCORE_PYTHONS")
    for python in others:
        assert _figures(python, "7") == _here(), python
