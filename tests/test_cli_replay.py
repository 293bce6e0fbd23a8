"""``rtcore replay``: bit for bit or where it differs; other policies; worlds; the page of what happened."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from helpers import wire

from rtcore import Clock, Config
from rtcore.recording import Keep, RecordedSession
from rtcore.sim.recorded import record_world
from rtcore.sim.scenario import scenario_of
from rtcore.sim.voices import synthetic_voices
from rtcore_adapters._recording import write_recording
from rtcore_adapters.cli import main
from rtcore_adapters.timeline import timeline_page

SHORT = msgspec.structs.replace(scenario_of(1), interruptions=10)


def talk(keep: Keep | None = None, words: str = "Hello, <script>alert(1)</script> & friends") -> list[bytes]:
    """A real session as an adapter would feed it: an answer of 2 s, a barge-in after 500 ms of it."""
    lines: list[bytes] = []
    config = Config.model_validate({"connection": {"dialect": "openai", "url": "ws://localhost"}})
    session = RecordedSession(config, clock=Clock(), seed=3, sink=lines.append, keep=keep or Keep(audio=True, text=True))
    session.open(now=100.0)
    session.connected(1, now=100.1)
    now = 100.2

    def server(script: wire.Script) -> None:
        nonlocal now
        for event in script:
            now += 0.001
            session.receive(1, wire.encode(event), now=now)

    server(wire.session_updated())
    session.send_text(words, now=now)
    session.append_audio(bytes(4800), now=now)
    server(wire.created("r1", request=1) + wire.message("m1", 2000, words, r="r1") + wire.done("r1", request=1))
    for step in range(1, 26):
        session.played(1, 480 * step, now=now + step / 50)
    now += 0.5
    server(wire.speech_started("u1"))
    session.flushed(1, 12_000, now=now)
    server(wire.truncated("m1", 500) + wire.speech_stopped("u1"))
    session.close(now=now + 3)
    session.finish()
    return lines


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "talk.jsonl"
    write_recording(path, talk())
    return path


@pytest.fixture(scope="session")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("worlds") / "world-1.jsonl.gz"
    write_recording(path, record_world(1, synthetic_voices(1), scenario=SHORT, sabotage="no deletes")[1])
    return path


def answered(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = main(["replay", *map(str, words)])
    out, err = capsys.readouterr()
    return status, out, err


def edited(path: Path, change: dict[str, Any], line: int) -> None:
    """One line of the file with other values."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line - 1] = msgspec.json.encode({**msgspec.json.decode(lines[line - 1]), **change}) + b"\n"
    path.write_bytes(b"".join(lines))


def test_what_does_the_same_is_ok(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = answered(capsys, file)
    assert (status, err) == (0, "")
    assert re.search(r"OK: all \d+ outcomes are the recorded ones, bit for bit", out)


def test_a_difference_is_shown_with_its_line_its_time_and_both_outcomes(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = file.read_bytes().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if b'"do":"flushed"' in text)
    edited(file, {"out": "0" * 12, "what": ["Send(conversation.item.truncate m1 [0] 501 ms)"]}, line)
    status, out, _ = answered(capsys, file)
    assert status == 1
    assert f"DIFFERENT: after {line - 2} inputs" in out and f"line {line}, " in out and "flushed()" in out
    assert "  - Send(conversation.item.truncate m1 [0] 501 ms)" in out
    assert "  + Send(conversation.item.truncate m1 [0] 500 ms)" in out
    found = json.loads(answered(capsys, file, "--json")[1])
    assert (found["same"], found["difference"]["line"], found["difference"]["do"]) == (False, line, "flushed")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.write_bytes(b""), "the file is empty"),
        (lambda path: path.write_bytes(b"RIFF....WAVE\n"), "line 1: is no header of an rtcore recording"),
        (lambda path: path.write_bytes(path.read_bytes()[:3000]), r"line \d+: .*the file was cut.*\(--partial\)"),
        (lambda path: edited(path, {"rtcore_recording": 99, "rtcore": "9.0.0"}, 1), r"line 1: .*install rtcore 9\.0\.0 or newer"),
        (lambda path: path.unlink(), "No such file or directory"),
    ],
    ids=["empty", "no recording", "cut", "newer", "missing"],
)
def test_a_file_that_cannot_be_replayed_is_one_line(
    file: Path, capsys: pytest.CaptureFixture[str], damage: Any, says: str
) -> None:
    damage(file)
    status, out, err = answered(capsys, file)
    assert (status, out) == (1, "")
    assert re.search(says, err) and err.startswith("rtcore replay: ") and err.count("\n") == 1


def test_a_file_that_breaks_off_is_replayed_as_far_as_it_goes(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(file.read_bytes()[:3000])
    status, out, _ = answered(capsys, file, "--partial")
    assert status == 0 and "breaks off" in out and "OK: all" in out


# -- policies ------------------------------------------------------------------------------------------------------------------


def test_another_policy_shows_what_changes(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = answered(capsys, file, "--policy", "interruption=ignore")
    assert status == 0
    assert re.search(r"message m1 +partial, \d+ of 2000 ms  ->  full, 2000 of 2000 ms", out)
    assert re.search(r"interruptions by server +1  ->  0", out)
    assert re.search(r"sent conversation.item.truncate +1  ->  0", out)
    assert answered(capsys, file, "--policy", "timeouts.queue_ms=70000")[1].endswith("nothing changes\n")


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ("network=noisy", "the server and the line are as they were recorded"),
        ("no.such=1", "unknown key"),
        ("playout.stall_ms=0", "stall_ms"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(file: Path, capsys: pytest.CaptureFixture[str], policy: str, says: str) -> None:
    try:
        status, _, err = answered(capsys, file, "--policy", policy)
    except SystemExit as ended:
        status, err = int(str(ended.code)), capsys.readouterr().err
    assert status in (1, 2) and says in err


# -- worlds --------------------------------------------------------------------------------------------------------------------


def test_a_failing_world_fails_again_and_shrinks(failing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = tmp_path / "small.jsonl.gz"
    status, out, _ = answered(capsys, failing, "--shrink", small)
    assert status == 0
    assert "OK: as a world it does the same:\n  BROKEN: invariant 5" in out
    assert re.search(r"Shrunk by \d+ runs: from \d\d interruptions", out)
    assert re.search(r"^  to [01] interruptions?, ", out, re.MULTILINE)
    status, out, _ = answered(capsys, small)
    assert status == 0 and "BROKEN: invariant 5" in out
    assert small.stat().st_size < failing.stat().st_size


def test_a_core_that_was_mended_is_told_from_one_that_was_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The recording of a failure after the mend: the inputs differ where the mend acts, and the world breaks nothing."""
    path = tmp_path / "world.jsonl"
    lines = record_world(1, synthetic_voices(1), scenario=SHORT, sabotage="no deletes")[1]
    header = msgspec.json.decode(lines[0])
    del header["world"]["sabotage"]
    write_recording(path, [msgspec.json.encode(header) + b"\n", *lines[1:]])
    status, out, _ = answered(capsys, path)
    assert status == 1
    assert "  + Send(conversation.item.delete" in out
    assert "DIFFERENT: as a world it no longer does the same\n  - invariant 5" in out and "+ no invariant breaks" in out


def test_a_world_under_another_policy_answers_what_the_core_then_does(failing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = answered(capsys, failing, "--policy", "interruption=ignore")
    assert "The world under interruption=ignore:" in out and "messages skipped" in out


@pytest.mark.parametrize("option", ["--shrink", "--timeline"])
def test_a_file_that_cannot_be_written_is_told_before_the_work(
    failing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    status, out, err = answered(capsys, failing, option, tmp_path / "nowhere" / "it")
    assert (status, out) == (1, "")
    assert err == f"rtcore replay: cannot write {tmp_path / 'nowhere' / 'it'}: no such file or directory\n"


def test_only_worlds_shrink(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = answered(capsys, file, "--shrink", file.parent / "small.jsonl")
    assert status == 1 and "needs a simulated world" in err


# -- the timeline --------------------------------------------------------------------------------------------------------------


def test_the_timeline_is_the_page_of_rtcore_timeline(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "talk.html"
    status, out, _ = answered(capsys, file, "--timeline", picture)
    assert status == 0 and out.endswith(f"Timeline in {picture}\n")
    text = picture.read_text(encoding="utf-8")
    assert text == timeline_page(file)
    assert "partial 500 of 2000 ms" in text and "&lt;script&gt;alert(1)" in text and text.count("<script") == 2


def test_the_timeline_of_a_world_says_what_broke(failing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "world.html"
    assert answered(capsys, failing, "--timeline", picture)[0] == 0
    text = picture.read_text(encoding="utf-8")
    assert "<li>Broken: invariant 5 at " in text and "core sabotaged on purpose: no deletes" in text
