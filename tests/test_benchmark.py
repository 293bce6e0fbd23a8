"""The benchmark measures the real path and prints what issue 2 asks for; how fast that is depends on the machine."""

import re
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parent.parent / "benchmarks" / "core.py"
TEXT = BENCHMARK.with_name("running_text.py")
WORLD = Path(__file__).parent.parent / "benchmarks" / "world.py"
CONTEXT = Path(__file__).parent.parent / "benchmarks" / "context.py"


def test_the_benchmark_prints_core_bare_and_ratio_for_every_kind_of_delta() -> None:
    done = subprocess.run([sys.executable, str(BENCHMARK), "--rounds", "2"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = re.findall(r"^(.+?)\s+(\d+\.\d\d)\s+(\d+\.\d\d)\s+(\d+\.\d\d)", done.stdout, re.MULTILINE)
    assert [line[0] for line in lines] == [
        "audio delta,  20 ms",
        "audio delta, 100 ms",
        "audio delta, 200 ms",
        "transcript delta",
    ]
    assert all(abs(float(core) / float(bare) - float(ratio)) < 0.1 * float(ratio) for _, core, bare, ratio in lines)


def test_the_benchmark_refuses_to_measure_nothing() -> None:
    done = subprocess.run([sys.executable, str(BENCHMARK), "--rounds", "0"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--rounds 0: must be at least 1" in done.stderr


def test_the_running_text_s_benchmark_prints_what_it_costs_beside_nothing() -> None:
    done = subprocess.run([sys.executable, str(TEXT), "--rounds", "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = re.findall(r"^a message of (\d+) s +(\d+\.\d\d) +(\d+\.\d\d) +(\d+\.\d\d) +\d+\.\d\d ms$", done.stdout, re.MULTILINE)
    assert [line[0] for line in lines] == ["5", "60"]
    assert all(abs(float(with_it) / float(bare) - float(ratio)) < 0.1 * float(ratio) for _, with_it, bare, ratio in lines)


def test_the_world_s_benchmark_prints_speeds_and_where_the_time_goes() -> None:
    command = [sys.executable, str(WORLD), "--worlds", "3", "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    speeds = dict(re.findall(r"^ *(interruptions|simulated seconds|without idle time) +(\d+)", done.stdout, re.MULTILINE))
    assert set(speeds) == {"interruptions", "simulated seconds", "without idle time"}
    shares = re.findall(r"^(\w[\w ]+?) +(\d+\.\d)%$", done.stdout, re.MULTILINE)
    assert {"core", "server", "auditor", "speaker and network", "world", "user and program"} <= {part for part, _ in shares}
    assert abs(sum(float(share) for _, share in shares) - 100) < 1


def test_the_benchmark_of_context_counts_answers_from_unheard_words_and_what_none_of_them_costs() -> None:  # C16, DESIGN 3: exact
    command = [sys.executable, str(CONTEXT), "--worlds", "2", "--round-trips", "300"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^ +300 ms +(\w+) +(\w+) +(\d+) +([\d.]+) +([\d.]+) +(\d+) +(\d+)$", done.stdout, re.MULTILINE)
    found = {(line, way): (float(early), float(heard), int(wait)) for line, way, _, early, heard, wait, _ in rows}
    assert [found[line, "exact"][:2] for line in ("clean", "stalls")] == [(0.0, 0.0)] * 2
    assert found["stalls", "accept"][1] >= found["stalls", "recreate"][1]
    assert 200 < found["clean", "exact"][2] - found["clean", "accept"][2] < 500  # about a round trip
