"""The benchmark of live conversations: barge-ins reach every runtime's speaker, microphones the server. No time is judged."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parent.parent / "benchmarks" / "conversations.py"


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, str(BENCHMARK), *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("runtime", ["asyncio", "trio", "threads"])
def test_conversations_are_held_and_their_barge_ins_counted(runtime: str) -> None:
    done = run("--only", runtime, "--at", "5", "--seconds", "2", "--settle", "0.1")
    assert done.returncode in (0, 1), done.stderr  # 1: a busy machine, which the line names
    assert not done.stderr
    line = re.search(r"^ +5 +(\d+\.\d\d) +(\d+\.\d\d) +(\d+\.\d\d) .*$", done.stdout, re.MULTILINE)
    assert line is not None, done.stdout
    middle, high, most = map(float, line.groups())
    assert 0 < middle <= high <= most
    for fault in ("flushes of", "ended", "unexpected", "failed"):
        assert fault not in line[0]


def test_the_benchmark_refuses_to_measure_nothing() -> None:
    done = run("--at", "0")
    assert done.returncode == 2
    assert "--at at least 1" in done.stderr
