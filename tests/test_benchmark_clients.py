"""The benchmark of clients compares what was given with what was sent, and names who was given less. No figure is judged."""

import re
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parent.parent / "benchmarks" / "clients.py"
QUICK = ["--rounds", "1", "--pairs", "4", "--ms", "200", "--clients-python", sys.executable]
"""Tiny; the other clients are not in this interpreter, and so reported as absent."""

CLIENT = """
import msgspec, os
from meter import Meter
from websockets.sync.client import connect

class Delta(msgspec.Struct):
    type: str
    delta: str | None = None

meter = Meter("msgspec")
with connect(meter.url, proxy=None) as line:
    line.send('{"type":"session.update"}')
    for number, message in enumerate(line):
        event = msgspec.json.decode(message, type=Delta)
        if event.type == "session.updated":
            meter.ready()
        elif event.type == "response.output_audio_transcript.delta":
            meter.text(event.delta)
        elif event.type == "response.output_audio.delta":
            meter.audio(TAKEN)
"""


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(BENCHMARK), *QUICK, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_benchmark_prints_a_figure_for_every_client_and_names_those_that_are_not_here() -> None:
    done = run("--only", "rtcore, asyncio", "--only", "openai-agents")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"^200 ms (\w+): microseconds per pair", done.stdout, re.MULTILINE) == ["apart", "together"]
    assert len(re.findall(r"^rtcore, asyncio +\d+\.\d +\d+\.\d +1\.00", done.stdout, re.MULTILINE)) == 2
    assert "not here: openai-agents (no agents.realtime in " in done.stdout


def test_a_client_that_was_given_less_or_something_else_has_no_figure(tmp_path: Path) -> None:
    whole = 'msgspec.json.decode(message, type=dict)["delta"]'
    decoded = f"__import__('base64').b64decode({whole})"
    programs = {"honest": decoded, "lazy": f"{decoded}[:4800]", "wrong": f"bytes(len({decoded}))"}
    also = []
    for name, taken in programs.items():
        (tmp_path / f"{name}.py").write_text(CLIENT.replace("TAKEN", taken), encoding="utf-8")
        also += ["--also", str(tmp_path / f"{name}.py")]
    done = run("--way", "together", "--only", "none", "--patience", "1", *also)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"^honest +\d+\.\d", done.stdout, re.MULTILINE)
    assert re.search(r"^lazy +was given \d+\.\d% of the audio and \d+\.\d% of the text", done.stdout, re.MULTILINE)
    assert re.search(r"^wrong +was given something else than was sent$", done.stdout, re.MULTILINE)


def test_a_client_that_does_not_start_is_a_fault_and_no_hang(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise SystemExit(3)", encoding="utf-8")
    done = run("--only", "none", "--also", str(tmp_path / "broken.py"))
    assert done.returncode == 1
    assert re.search(r"^broken +it ended with status 3$", done.stdout, re.MULTILINE)


def test_the_benchmark_refuses_to_measure_nothing() -> None:
    done = run("--rounds", "0")
    assert done.returncode == 2
    assert "--rounds and --pairs must be at least 1" in done.stderr
