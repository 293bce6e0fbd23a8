"""``rtcore fuzz``: exit statuses, one JSON object, the same figures whoever shares the work, worlds that can be replayed."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rtcore.sim.results import CampaignResult, KindResult
from rtcore_adapters.cli import _drive, fuzz, main
from rtcore_adapters.cli._campaign import Campaign, Goal, run
from rtcore_adapters.cli._judgement import campaign_problems, not_reached, world_problems
from rtcore_adapters.cli._pool import local
from rtcore_adapters.cli._table import COLUMNS, INVARIANTS, text_table
from rtcore_adapters.cli._worlds import cores, processes, run_world


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(["fuzz", *words])
    told = capsys.readouterr()
    return status, told.out, told.err


def _json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    _, out, _ = _run(capsys, *words, "--json")
    found: dict[str, Any] = json.loads(out)
    return found


TIMED = (
    "seconds",
    "process_seconds",
    "interruptions_per_second",
    "simulated_seconds_per_second",
    "interruptions_per_process_second",
    "simulated_seconds_per_process_second",
    "busy_seconds_per_process_second",
    "jobs",
)


def test_json_is_one_object_with_these_keys_and_types(capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(capsys, "--interruptions", "20", "--jobs", "1")

    whole = ("interruptions", "worlds", "violations", "cuts_checked", "unheard_left", "server_errors", "turns_unanswered", "cuts")
    assert [type(found[key]) for key in whole] == [int] * len(whole)
    spreads = ("truncation_error_ms", "silence_after_barge_in_ms", "estimated_error_ms")
    assert [sorted(found[key]) for key in spreads] == [["max", "median", "p99"]] * len(spreads)
    measured = spreads[:2]  # no cut of these worlds had to be estimated: null, which is not the same as no error
    assert all(isinstance(value, int | float) for key in measured for value in found[key].values())
    assert found["cuts_estimated"] or list(found["estimated_error_ms"].values()) == [None] * 3
    assert found["interruptions"] >= 20 and found["interruptions_per_second"] > 0 and found["simulated_seconds_per_second"] > 0
    assert (found["complete"], found["violations"], found["broken"]) == (True, 0, [])
    assert 0 <= found["idle_seconds"] < found["simulated_seconds"]
    assert found["busy_seconds_per_process_second"] <= found["simulated_seconds_per_process_second"]
    assert (
        {"fault", "worlds", "interruptions", "silence_after_barge_in_ms"} <= set(found["faults"][0]) if found["faults"] else True
    )
    assert [sorted(each) for each in found["sometimes"]] == [["count", "id", "least"]] * len(found["sometimes"])


def test_the_figures_do_not_depend_on_the_number_of_processes(capsys: pytest.CaptureFixture[str]) -> None:  # C30, invariant 14
    alone = _json(capsys, "--interruptions", "25", "--jobs", "1", "--seed", "5")
    shared = _json(capsys, "--interruptions", "25", "--jobs", "2", "--seed", "5")

    assert alone["jobs"] == 1 and shared["jobs"] == 2
    for key in TIMED:
        del alone[key], shared[key]
    assert alone == shared


def test_the_plain_output_is_a_table_by_kind_and_the_overall_figures(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys, "--interruptions", "10", "--jobs", "1")

    assert status == 0
    lines = out.splitlines()
    assert lines[1].split()[:2] == ["interruption", "count"]
    for name in ("estimated cuts", "truncation error", "invariants pending", "turns unanswered", "digest"):
        assert sum(line.startswith(name) for line in lines) == 1, name


def test_a_world_tells_the_same_story_twice(capsys: pytest.CaptureFixture[str]) -> None:  # C30
    first = _run(capsys, "--world", "7")
    second = _run(capsys, "--world", "7")

    assert first[1] == second[1]
    assert len(first[1].splitlines()) > 100 and "session.update" in first[1]
    assert first[0] == second[0] == 0


def _untimed(out: str) -> list[str]:
    return [line for line in out.splitlines() if not line.startswith(("simulated time", "speed"))]


def test_a_sabotaged_core_is_caught_and_the_printed_command_shows_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys, "--interruptions", "10", "--jobs", "1", "--sabotage", "no-deletes")

    assert status == 1
    assert "caught, as it must be" in out
    command = next(line for line in out.splitlines() if line.startswith("Replay it: ")).removeprefix("Replay it: ")
    words = shlex.split(command)
    assert words[:2] == ["rtcore", "fuzz"]
    status, again, _ = _run(capsys, *words[2:])
    assert status == 1 and "BROKEN: invariant 5" in again


def test_a_broken_invariant_is_in_the_json_with_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(capsys, "--interruptions", "5", "--jobs", "1", "--sabotage", "a millisecond too much")

    assert found["violations"] > 0
    assert found["broken"][0]["invariant"] in (4, 5)  # which of the two it breaks first: too much was told
    seed = found["broken"][0]["seed"]
    assert found["broken"][0]["replay"] == f'rtcore fuzz --world {seed} --sabotage "a millisecond too much"'


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--interruptions", "0"], "'0' is not a whole number of at least 1"),
        (["--interruptions", "many"], "'many' is not a whole number of at least 1"),
        (["--jobs", "-3"], "expected one argument|'-3' is not a whole number of at least 1"),
        (["--seed", "1.5"], "'1.5' is not a whole number of at least 0"),
        (["--world", "1", "--interruptions", "5"], "not allowed with argument"),
        (["--sabotage", "sleep"], "'sleep' is none of: 'a millisecond too much'"),
        (["--seed", str(1 << 63)], "is too large: at most 9223372036854775807"),
        (["--world", str(1 << 64)], "is too large: at most 18446744073709551615"),
        (["--world", "9" * 5000], "is not a whole number of at least 0|is too large"),
        (["--wrold", "1"], "unrecognized arguments: --wrold"),
    ],
)
def test_wrong_arguments_end_with_status_2_and_what_is_right(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fuzz", *words])

    assert ended.value.code == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert any(each in told.err for each in said.split("|")), told.err


def test_ctrl_c_prints_what_was_done_so_far(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(campaigns: Sequence[Campaign], goal: Goal, runner: object, **options: object) -> None:
        campaigns[0].add(run_world(11)[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(_drive, "run", interrupted)
    status, out, _ = _run(capsys, "--seed", "11")
    assert status == 130
    assert out.startswith("Ended early: ") and "cuts checked" in out
    status, out, _ = _run(capsys, "--seed", "11", "--json")
    assert status == 130 and json.loads(out)["complete"] is False


def test_failing_worlds_are_recorded_and_replay(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["--interruptions", "5", "--jobs", "1", "--sabotage", "no deletes", "--failures", str(tmp_path / "new")]
    status, out, _ = _run(capsys, *words)
    command = next(line for line in out.splitlines() if line.startswith("Recorded: ")).removeprefix("Recorded: ")

    assert status == 1 and command == f"rtcore replay {tmp_path / 'new' / 'world-0.jsonl.gz'}"
    main(shlex.split(command)[1:])
    assert "invariant 5" in capsys.readouterr().out
    (tmp_path / "file").write_text("")
    status, out, err = _run(capsys, *words[:-1], str(tmp_path / "file"))
    assert (status, out) == (2, "") and err.startswith("rtcore fuzz: cannot write into ")  # before the work, not after it


def test_a_closed_pipe_is_no_traceback() -> None:
    command = [sys.executable, "-m", "rtcore_adapters.cli", "fuzz", "--world", "11"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith(b"World 11: ")
        process.stdout.close()
        assert process.wait() == 141
        assert process.stderr.read() == b""


COMMAND = [sys.executable, "-m", "rtcore_adapters.cli"]


@pytest.mark.parametrize("command", [["fuzz", "--world", "11"], ["fuzz", "--world", "11", "--json"], ["serve", "--port", "0"]])
def test_output_that_is_full_or_closed_is_one_line(command: list[str]) -> None:
    cases = {">&-": "standard output is closed: redirect it"}
    if os.path.exists("/dev/full"):
        cases[">/dev/full"] = "standard output: no space left on device"
    for redirection, words in cases.items():
        line = shlex.join([*COMMAND, *command]) + " " + redirection
        ended = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
        assert ended.returncode == 1
        assert ended.stderr.splitlines() == [ended.stderr.strip()] and words in ended.stderr, ended.stderr
        assert ended.stderr.startswith(f"rtcore {command[0]}: ")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="children are found in /proc")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_no_process_outlives_the_command(number: signal.Signals, status: int) -> None:
    command = [*COMMAND, "fuzz", "--interruptions", "1000000", "--jobs", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        children: list[int] = []
        while len(children) < 3 and running.poll() is None:  # two workers, and Python's resource tracker
            children = _children(running.pid)
            time.sleep(0.02)
        running.send_signal(number)
        out, err = running.communicate()  # ends only when the last process that holds the pipe is gone
    assert running.returncode == status
    if number != signal.SIGKILL:
        assert err == ""
        assert out.startswith("Ended early: ")
    deadline = time.monotonic() + 30
    while any(map(_alive, children)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(_alive, children))


def test_no_more_processes_than_worlds() -> None:
    assert processes(64, 1) == processes(None, 20) == 1
    assert processes(64, 100) == 5
    assert processes(2, 100_000) == 2
    assert processes(None, 1_000_000) == cores()


@pytest.mark.parametrize(
    ("change", "said"),
    [("unanswered", "1 turns were not answered"), ("unheard_left", "1 unheard messages were left at the server")],
)
def test_what_was_left_fails_it_and_names_the_world(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, change: str, said: str
) -> None:
    world, _ = run_world(11)
    first, *others = world.kinds
    wrong = msgspec.structs.replace(world, kinds=(msgspec.structs.replace(first, **{change: 1}), *others))

    def run_wrong(campaigns: Sequence[Campaign], goal: Goal, runner: object, **options: object) -> None:
        campaigns[0].add(wrong)

    monkeypatch.setattr(_drive, "run", run_wrong)
    monkeypatch.setattr(fuzz, "run_world", lambda *args, **options: (wrong, ()))
    status, out, _ = _run(capsys, "--seed", "11")
    assert status == 1
    assert f"FAILED: {said}; replay: rtcore fuzz --world 11" in out.splitlines()
    assert _run(capsys, "--world", "11")[0] == 1


def test_worlds_stop_at_the_first_that_breaks_where_that_is_asked_for() -> None:
    campaign = Campaign(0, sabotage="no deletes")
    run([campaign], Goal(10_000, stop_at_violation=True), local(1))

    assert 1 <= campaign.total.worlds <= 3 and campaign.total.violations > 0


def test_every_invariant_has_a_name_and_every_row_a_cell_per_column() -> None:
    assert sorted(INVARIANTS) == list(range(1, 16))
    kinds = run_world(11)[0].kinds
    lines = text_table(kinds).splitlines()
    assert len({len(line) for line in lines[1:]}) == 1
    assert len(COLUMNS) == 12


def test_cuts_that_were_not_checked_fail_a_campaign_and_an_error_fails_any_world() -> None:  # invariant 5: at least 95 % of cuts
    assert campaign_problems(CampaignResult(cuts=100, cuts_checked=94)) == ["only 94 of 100 cuts were checked"]
    wrong = CampaignResult(kinds=(KindResult("a", truncation_error_ms={-7: 1}),))
    assert world_problems(wrong) == campaign_problems(wrong) == ["a truncation error of 7.0 ms"]


def test_what_a_campaign_did_not_reach_fails_it_and_a_policy_may_rule_it_out() -> None:
    result = CampaignResult(kinds=(KindResult("a", interruptions=100_000),), situations={"C02: interrupted": 0})
    missed = [
        problem
        for problem in campaign_problems(result)
        if problem.startswith("not reached, so not tested: C02: interrupted: 0 times")
    ]

    assert len(missed) == 1
    assert not any(problem.startswith("not reached") for problem in campaign_problems(result, policy="network=clean"))
    assert any(each.startswith("C02: interrupted: 0 times") for each in not_reached(result, "network=clean"))
    assert not_reached(result, "") == []
