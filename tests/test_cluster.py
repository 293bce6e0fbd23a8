"""A campaign on a Dask cluster on loopback: the same figures as in one process, also where a worker is killed.

Skipped where ``distributed`` is not installed; ``make cluster`` installs it and sets ``RTCORE_CLUSTER=required``, with which its
absence is a failure.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from rtcore_adapters.cli import _cluster, main
from rtcore_adapters.cli._campaign import Campaign, Goal, run
from rtcore_adapters.cli._cluster import Cluster, ClusterError, run_on_worker
from rtcore_adapters.cli._pool import local
from rtcore_adapters.cli._worlds import Work

THERE = find_spec("distributed") is not None
REQUIRED = os.environ.get("RTCORE_CLUSTER") == "required"
needs_distributed = pytest.mark.skipif(
    not THERE and not REQUIRED, reason="distributed is not installed: make cluster installs it and runs these tests"
)
WORLDS = 14


def test_distributed_is_there_where_it_must_be() -> None:
    assert THERE or not REQUIRED, "RTCORE_CLUSTER=required, and distributed is not installed: pip install 'rtcore[cluster]'"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers of one thread each; its address, and the workers."""
    where = tmp_path / "scheduler.json"
    log = (tmp_path / "log").open("wb")

    def start(*words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", *words, "--scheduler-file", str(where), "--no-dashboard"]
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path, env=_environment())

    started = [start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0")]
    try:
        deadline = time.monotonic() + 60
        while not where.exists() and time.monotonic() < deadline and started[0].poll() is None:
            time.sleep(0.05)
        workers = [start("distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", "--host", "127.0.0.1") for _ in "ab"]
        started += workers
        yield json.loads(where.read_text())["address"], workers
    finally:
        for process in reversed(started):  # at once: a worker takes its time to say goodbye
            process.kill()
            process.wait()
        log.close()


def _environment() -> dict[str, str]:
    """Workers find the same sources, wherever they are started."""
    path = os.pathsep.join(os.path.abspath(each) for each in sys.path if each)
    return os.environ | {"PYTHONPATH": path}


@needs_distributed
@pytest.mark.filterwarnings("default")  # what distributed warns of is its own affair
def test_a_killed_worker_changes_nothing_and_every_world_counts_once(
    cluster: tuple[str, list[subprocess.Popen[bytes]]],
) -> None:
    address, workers = cluster
    here, there, seen = Campaign(5), Campaign(5), list[int]()
    run([here], Goal(worlds=WORLDS), local(1))
    connection = Cluster(address)
    deadline = time.monotonic() + 60
    while len(connection._client.scheduler_info()["workers"]) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)

    def told() -> None:
        seen.append(there.next_seed - 1)
        if len(seen) == 3:
            workers[0].send_signal(signal.SIGKILL)

    try:
        run([there], Goal(worlds=WORLDS), connection.runner, batch=2, processes=connection.threads, told=told)
    finally:
        connection.close()

    assert workers[0].wait(20) == -signal.SIGKILL
    assert seen == list(range(5, 5 + WORLDS))
    assert there.result == here.result and there.rows == here.rows
    assert there.result.digest == here.result.digest


@needs_distributed
def test_the_command_prints_the_same_figures(
    cluster: tuple[str, list[subprocess.Popen[bytes]]], capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-m", "rtcore_adapters.cli", "fuzz", "--interruptions", "60", "--seed", "3", "--json"]
    ended = subprocess.run(
        [*command, "--scheduler", cluster[0]], capture_output=True, text=True, check=False, env=_environment(), timeout=200
    )
    assert ended.returncode == 0, ended.stderr
    there = json.loads(ended.stdout)
    main(["fuzz", "--interruptions", "60", "--seed", "3", "--json", "--jobs", "1"])
    here = json.loads(capsys.readouterr().out)

    assert there["digest"] == here["digest"]
    assert {key: value for key, value in there.items() if type(value) is int} == {
        key: value for key, value in here.items() if type(value) is int and key != "jobs"
    }


@needs_distributed
def test_ctrl_c_ends_it_with_what_was_done(cluster: tuple[str, list[subprocess.Popen[bytes]]], tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    command = [sys.executable, "-m", "rtcore_adapters.cli", "fuzz", "--interruptions", "1000000", "--save", str(path)]
    with subprocess.Popen(
        [*command, "--scheduler", cluster[0]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment()
    ) as running:
        deadline = time.monotonic() + 60
        while not path.exists() and time.monotonic() < deadline and running.poll() is None:
            time.sleep(0.05)
        time.sleep(0.5)  # it waits for a result now
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert out.startswith("Ended early: ") and "Traceback" not in err
    assert json.loads(path.read_text())["complete"] is False


@needs_distributed
@pytest.mark.filterwarnings("default")
def test_a_worker_of_another_version_ends_it_with_what_to_do(
    cluster: tuple[str, list[subprocess.Popen[bytes]]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_cluster, "fingerprint", lambda: "0123456789abcdef")
    assert main(["fuzz", "--interruptions", "20", "--scheduler", cluster[0]]) == 1
    assert "a worker runs another version of rtcore" in capsys.readouterr().err


@needs_distributed
@pytest.mark.filterwarnings("default")
def test_a_scheduler_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fuzz", "--interruptions", "20", "--scheduler", "tcp://127.0.0.1:9"]) == 2
    assert "no scheduler answers at tcp://127.0.0.1:9" in capsys.readouterr().err


def test_a_worker_of_another_version_refuses() -> None:
    with pytest.raises(ClusterError, match="another version of rtcore"):
        run_on_worker("0123456789abcdef", Work(0, 1))


@pytest.mark.skipif(THERE, reason="distributed is installed")
def test_without_distributed_it_says_what_to_install(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fuzz", "--interruptions", "20", "--scheduler", "tcp://127.0.0.1:9"]) == 2
    assert "pip install 'rtcore[cluster]'" in capsys.readouterr().err


def test_jobs_and_a_scheduler_do_not_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fuzz", "--jobs", "2", "--scheduler", "tcp://127.0.0.1:9"]) == 2
    assert "--jobs is for this machine" in capsys.readouterr().err
