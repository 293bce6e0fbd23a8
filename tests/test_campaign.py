"""Campaigns that are ended and gone on with: nothing lost, nothing counted twice, the same figures as in one run."""

import gc
import json
import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rtcore_adapters.cli import _store, main
from rtcore_adapters.cli._arguments import minutes
from rtcore_adapters.cli._campaign import Campaign, Goal, Saving, run
from rtcore_adapters.cli._pool import WorkerDied, batch_size, local
from rtcore_adapters.cli._progress import expected
from rtcore_adapters.cli._signals import shielded
from rtcore_adapters.cli._store import Saved, StoreError, fingerprint, load, save
from rtcore_adapters.cli._worlds import Work, Worlds, run_world

WORLDS = {seed: run_world(seed, policy="interruptions=3,faults=none")[0] for seed in range(9)}


@contextmanager
def _ready(work: Work) -> Iterator[Iterator[Worlds]]:
    """A runner whose worlds have been run already."""
    yield ((WORLDS[seed],) for seed in range(work.first, len(WORLDS)))


def _whole() -> Campaign:
    campaign = Campaign()
    run([campaign], Goal(worlds=9), _ready)
    return campaign


def test_a_campaign_that_is_ended_again_and_again_finds_the_same(tmp_path: Path) -> None:
    path, goal = tmp_path / "c.json", Goal(worlds=9)
    for stop in (1, 2, 5, 5, 8, 9):
        campaign = Campaign.of(load(path)) if path.exists() else Campaign()
        run([campaign], Goal(worlds=stop), _ready, saving=Saving(path, campaign, goal))

    resumed, whole = Campaign.of(load(path)), _whole()
    assert resumed.result == whole.result
    assert resumed.rows == whole.rows
    assert (resumed.unanswered, resumed.unheard, resumed.next_seed) == (whole.unanswered, whole.unheard, 9)
    assert load(path).complete


def test_ctrl_c_at_any_place_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    path, goal = tmp_path / "c.json", Goal(worlds=9)
    campaign = Campaign()

    def told() -> None:
        raise KeyboardInterrupt

    for _ in range(9):
        with pytest.raises(KeyboardInterrupt):
            run([campaign], goal, _ready, saving=Saving(path, campaign, goal), told=told)
        campaign = Campaign.of(load(path))

    assert campaign.result == _whole().result and campaign.rows == _whole().rows


def test_a_signal_waits_until_a_world_is_added() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), shielded():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        done.append("whole")

    assert done == ["whole"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_waited_keeps_nothing_alive_of_what_was_under_way() -> None:
    """Otherwise a look at memory, on the way out, finds the world that was run when it came."""
    found: list[weakref.ref[Campaign]] = []

    def work() -> None:
        big = Campaign()
        found.append(weakref.ref(big))
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt):
        try:
            with shielded():
                work()
        finally:
            gc.collect()
            alive = found[0]()
    assert alive is None


def test_a_world_out_of_its_place_is_refused() -> None:
    campaign = Campaign()
    campaign.add(WORLDS[0])

    for wrong in (0, 2):
        with pytest.raises(ValueError, match=f"world {wrong} came where 1 is next"):
            campaign.add(WORLDS[wrong])
    assert campaign.total.worlds == len(campaign.rows) == 1


def test_minutes_end_at_a_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock moves by 10 s with each world: half a minute is three of them, however many were begun."""
    now = iter(range(0, 1000, 10))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(now)))
    campaign = Campaign()
    run([campaign], Goal(minutes=0.5), _ready)

    assert (campaign.total.worlds, campaign.seconds) == (3, 30.0)
    assert campaign.reached(Goal(minutes=0.5)) and not campaign.reached(Goal(minutes=1.0))


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, goal = tmp_path / "c.json", Goal(worlds=9)
    campaign = Campaign()
    campaign.add(WORLDS[0])
    save(path, campaign.saved(goal))
    before = path.read_bytes()
    campaign.add(WORLDS[1])

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(path, campaign.saved(goal))
    assert path.read_bytes() == before


def _saved(path: Path) -> Saved:
    campaign = Campaign()
    campaign.add(WORLDS[0])
    save(path, campaign.saved(Goal(interruptions=10)))
    return load(path)


def test_what_is_saved_is_read_as_it_was(tmp_path: Path) -> None:
    saved = _saved(tmp_path / "c.json")

    assert saved.result == Campaign.of(saved).result
    assert msgspec.json.decode(msgspec.json.encode(saved), type=Saved) == saved
    assert (saved.version, saved.fingerprint, saved.complete) == (1, fingerprint(), False)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not a result that rtcore fuzz --save wrote"),
        (b"\xff\x00", "is not a result that rtcore fuzz --save wrote"),
        (b"[" * 100_000, "is not a result that rtcore fuzz --save wrote"),
        (b'{"format": "other", "version": 1}', "is not a result that rtcore fuzz --save wrote"),
        (b'{"format": "rtcore campaign", "version": 99}', "is of version 99 of the file format; this is version 1"),
        (b'{"format": "rtcore campaign", "version": 1}', "is damaged"),
    ],
)
def test_a_file_that_is_no_result_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(content)
    with pytest.raises(StoreError) as refused:
        load(path)
    assert said in str(refused.value)


def test_a_file_whose_worlds_do_not_add_up_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    saved = _saved(path)
    save(path, msgspec.structs.replace(saved, rows=[]))
    with pytest.raises(StoreError, match="do not add up"):
        load(path)
    save(path, msgspec.structs.replace(saved, columns=saved.columns[1:], rows=[row[1:] for row in saved.rows]))
    with pytest.raises(StoreError, match="other figures"):
        load(path)


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(["fuzz", *words])
    told = capsys.readouterr()
    return status, told.out, told.err


def test_another_version_is_not_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.json"
    save(path, msgspec.structs.replace(_saved(path), fingerprint="0123456789abcdef"))
    status, out, err = _run(capsys, "--resume", str(path))

    assert (status, out) == (2, "")
    assert "was made by another version of the core or of the simulated world (0123456789abcdef" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--resume", "FILE", "--seed", "3"], "was begun with --seed 0"),
        (["--resume", "FILE", "--policy", "context=exact"], "was begun with --policy ''"),
        (["--resume", "FILE", "--sabotage", "no deletes"], "was begun with --sabotage None"),
        (["--save", "FILE"], "exists: go on with it by --resume"),
        (["--resume", "nowhere.json"], "nowhere.json: no such file or directory"),
        (["--compare", "contxt=exact", ""], "neither a file nor a policy: unknown key 'contxt'"),
        (["--compare", "", "lead_ms=200", "--policy", "context=exact"], "--policy does not go with --compare"),
        (["--compare", "FILE", "FILE", "--interruptions", "5"], "two saved results are compared as they are"),
        (["--compare", "FILE", "", "--seed", "5"], "those of the saved result"),
        (["--html", "nowhere/page.html"], "cannot write nowhere/page.html: no such file or directory"),
        (["--world", "3", "--save", "x.json"], "--save is for campaigns"),
        (["--world", "3", "--seed", "4"], "--seed is for campaigns"),
        (["--world", "3", "--jobs", "4"], "--jobs is for campaigns"),
        (["--world", "3", "--failures", "FILE"], "cannot write into "),
        (["--save", "nowhere/c.json"], "cannot write nowhere/c.json: no such file or directory"),
        (["--save", "FOLDER"], "exists: go on with it by --resume"),
        (["--failures", "FILE"], " is no directory"),
        (["--failures", "FILE/below"], " is no directory"),
    ],
)
def test_options_that_do_not_fit_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    path = tmp_path / "c.json"
    _saved(path)
    before = path.read_bytes()
    status, out, err = _run(capsys, *(word.replace("FILE", str(path)).replace("FOLDER", str(tmp_path)) for word in words))

    assert (status, out) == (2, "")
    assert [each.name for each in tmp_path.iterdir()] == ["c.json"]
    assert said in err and err.startswith("rtcore fuzz: ") and err.count("\n") == 1
    assert path.read_bytes() == before


def test_a_killed_campaign_goes_on_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SIGKILL leaves no time for anything: what was saved until then counts, the rest is run again."""
    path = tmp_path / "c.json"
    policy = ["--policy", "interruptions=4"]
    command = [sys.executable, "-m", "rtcore_adapters.cli", "fuzz", "--interruptions", "60", "--jobs", "2", *policy]
    with subprocess.Popen([*command, "--save", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 60
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(1.0)
        running.kill()
    status, out, _ = _run(capsys, "--resume", str(path), "--json", "--jobs", "2")
    resumed = json.loads(out)
    _, out, _ = _run(capsys, "--interruptions", "60", "--json", "--jobs", "1", *policy)
    whole = json.loads(out)

    assert status == 0 and load(path).complete
    assert (resumed["digest"], resumed["worlds"], resumed["situations"]) == (
        whole["digest"],
        whole["worlds"],
        whole["situations"],
    )
    assert len(load(path).rows) == whole["worlds"] >= 12


def test_the_digest_does_not_depend_on_jobs_and_batches() -> None:  # C30
    found = []
    for jobs, batch in ((1, 1), (2, 1), (2, 3)):
        campaign = Campaign(20, "interruptions=2")
        run([campaign], Goal(worlds=7), local(jobs), batch=batch)
        found.append((campaign.result, campaign.rows))

    assert found[0] == found[1] == found[2]


def test_a_process_that_is_killed_ends_the_campaign_with_what_was_done(tmp_path: Path) -> None:
    path, goal = tmp_path / "c.json", Goal(worlds=1000)
    campaign = Campaign(0, "interruptions=2,faults=none")

    def told() -> None:
        for child in active_children():
            child.kill()

    with pytest.raises(WorkerDied, match="was killed by signal 9"):
        run([campaign], goal, local(2), saving=Saving(path, campaign, goal), told=told)
    assert load(path).rows == campaign.rows and campaign.total.worlds >= 1
    assert active_children() == []


def test_a_second_ctrl_c_does_not_leave_it_waiting() -> None:
    command = [sys.executable, "-m", "rtcore_adapters.cli", "fuzz", "--interruptions", "100000", "--jobs", "2"]
    for pause in (0.0, 0.02, 0.3):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
            time.sleep(1.5)
            running.send_signal(signal.SIGINT)
            time.sleep(pause)
            running.send_signal(signal.SIGINT)
            assert running.wait(60) != 0


def test_last_batches_are_small() -> None:
    assert batch_size(20, 2) == 1
    assert batch_size(1_000_000, 2) == batch_size(None, 2) == 8
    assert 1 <= batch_size(1000, 2) <= 4


def test_the_expected_end_is_in_words() -> None:
    assert expected(0, 100, 50) == expected(100, 100, 50) == expected(1, 100, 1) == ""
    assert expected(50, 100, 30) == ", 30 s left"
    assert expected(50, 100, 600).startswith(", 10 min left (until ")
    assert expected(1, 100, 3600) == ", 99.0 h left"


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon", "1e9"])
def test_minutes_are_a_number_above_zero(text: str) -> None:
    with pytest.raises(Exception, match="is not a number of minutes above 0"):
        minutes(text)


def test_the_fingerprint_covers_the_core_the_world_and_the_voices(monkeypatch: pytest.MonkeyPatch) -> None:
    class Changed:
        """One source differs by a byte."""

        def __init__(self, wrapped: Any) -> None:
            self._wrapped = wrapped

        def read_bytes(self) -> bytes:
            return bytes(self._wrapped.read_bytes()) + b" "

    real = _store._files
    names = [name for name, _ in real(resources.files("rtcore"), "")]
    assert {"_session.py", "sim/world.py", "sim/server.py"} <= set(names)

    def files(folder: Any, above: str) -> list[tuple[str, Any]]:
        return [(name, Changed(file) if name == "sim/world.py" else file) for name, file in real(folder, above)]

    monkeypatch.setattr(_store, "_files", files)
    assert _store.fingerprint.__wrapped__() != fingerprint()
