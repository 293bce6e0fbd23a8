"""The committed corpus replays bit for bit: it pins what the core does outwardly. After a change that is meant: make corpus."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec
import pytest
from corpus.make import CASES, FOLDER, main, path_of

import rtcore
from rtcore import Clock, Config, Counters, Session
from rtcore.recording import Recording, replay, steps
from rtcore.recording._replay import INPUTS
from rtcore_adapters._recording import read_recording, write_recording

LIMIT = 1_500_000
_TOLD = ("rtcore._effects", "rtcore._notices")


@cache
def recording(name: str) -> Recording:
    return read_recording(path_of(name))


@cache
def outcome(name: str) -> tuple[str, Counters]:
    """Everything that the case gave in words, and the counters at its end."""
    made: list[Session] = []

    def factory(config: Config, *, clock: Clock, seed: int) -> Session:
        made.append(Session(config, clock=clock, seed=seed))
        return made[0]

    words = [word for step in steps(recording(name), factory=factory) for word in step.outcome.what]
    return "\n".join(words), made[0].counters


@pytest.mark.parametrize("name", CASES)
def test_the_corpus_replays_bit_for_bit(name: str) -> None:  # C30, B31, invariant 14
    difference = replay(recording(name)).difference
    assert difference is None, f"{name}: {difference}\nmeant? make corpus shows every change and takes it as the new truth"


def test_the_corpus_is_small_safe_and_complete() -> None:
    """Every case has its file and every file its case; no sound is in it; it fits into a checkout."""
    assert {path.name for path in FOLDER.glob("*.jsonl.gz")} == {path_of(name).name for name in CASES}
    assert sum(path_of(name).stat().st_size for name in CASES) < LIMIT
    for name in CASES:
        assert recording(name).complete and "audio" in recording(name).header.left_out
        assert not any(each.unlike for each in recording(name).inputs)


def test_the_corpus_reaches_every_input_every_effect_and_every_notice() -> None:
    """What it does not reach, it does not pin."""
    given = {each.do for name in CASES for each in recording(name).inputs}
    assert given == INPUTS
    seen = {type(effect) for name in CASES for step in steps(recording(name)) for effect in step.outcome.effects}
    wanted = {
        kind
        for kind in vars(rtcore).values()
        if isinstance(kind, type)
        and issubclass(kind, msgspec.Struct)
        and (kind.__module__ in ("rtcore._effects", "rtcore._notices"))
    }
    values = {rtcore.Deadline, rtcore.Handshake, rtcore.Notice, rtcore.Problem}
    values.add(rtcore.LoopLagged)  # adapters tell it, no core
    values.add(rtcore.PolicyFailed)  # it is about a program's own functions, which no file holds
    assert wanted - values - seen == set()


def _counted(counter: str) -> Callable[[str, Counters], bool]:
    return lambda words, counters: getattr(counters, counter) > 0


def _told(*words: str) -> Callable[[str, Counters], bool]:
    return lambda said, counters: all(word in said for word in words)


EVIDENCE: dict[str, Callable[[str, Counters], bool]] = {
    "interruption-inside-a-message": _told("Send(conversation.item.truncate", "verdict=partial"),  # B01
    "interruption-between-messages": _told("verdict=full", "verdict=skipped", "Send(conversation.item.delete"),
    "interruption-twice-within-100-ms": _told("Interrupted(cause=server"),
    "interrupt-by-the-program": _told("Interrupted(cause=program", "Send(response.cancel"),  # C12
    "typed-text": _told("Interrupted(cause=text"),  # F037
    "local-detector": _told("Interrupted(cause=local"),
    "paused-clock-that-can": _told("Pause(", "Resume("),
    "pause-then-decide": _told("Pause(", "Resume(", "InterruptionPending(", "FalseInterruption(", "Interrupted("),  # B18, B19
    "pause-then-decide-by-flush": _told("InterruptionPending(", "FalseInterruption(", "Interrupted("),  # B18, F083
    "muted": _told("Send(input_audio_buffer.append"),  # F126
    "manual-turns": _told("Send(input_audio_buffer.commit", "Send(response.create"),  # C13
    "late-deltas": _counted("late_deltas"),  # B10
    "function-calls": _told("ToolCalled(", "Send(conversation.item.create"),  # invariant 10
    "calls-that-take-long": _told("ToolSlow(", "ToolArguments(", "outcome=cancelled"),  # F065, F069
    "a-voice-of-its-own": _told("ConversationIdle(", "verdict=partial", "verdict=full"),  # F130
    "text-only-answers": _told("verdict=text"),
    "out-of-band-responses": _told("OutOfBandAudio("),  # B12
    "guardrail": _told("AudioHeld(", "AudioReleased(", "Interrupted(cause=program"),  # F161
    "edits-of-the-history": _told("ItemDeleted(", "SessionChanged("),
    "no-answer-to-a-flush": _counted("estimated_cuts"),  # B29
    "late-and-stale-answers": _counted("stale_reports"),  # C21
    "failed-and-incomplete-responses": _told("status=failed"),
    "duplicate-unknown-and-malformed-events": _counted("unknown_events"),
    "connection-cut": _told("SessionClosed(reason=lost"),
    "history-loaded": _told("Send(conversation.item.create"),
    "line-lost-and-back": _told("Reconnecting(", "Reconnected(", "ReplayIncomplete(", "AnsweredInText("),  # B21, C27
    "refused-handshake": _told("SessionClosed(reason=refused"),
    "session-never-acknowledged": _told("SessionClosed(reason=not_acknowledged"),
    "session-expired": _told("SessionClosed(reason=expired"),
    "unreadable-messages": _counted("warnings"),  # B27, C29
    "impossible-reports": _counted("excess_reports"),  # B02
    "device-lost-and-back": _told("Interrupted(cause=device"),  # F100
    "odd-bytes": _counted("warnings"),
    "interruption-in-an-underrun": _counted("underruns"),  # F147
}


@pytest.mark.parametrize("name", EVIDENCE)
def test_a_recording_shows_what_its_name_says(name: str) -> None:
    assert EVIDENCE[name](*outcome(name)), name


def test_what_changed_is_shown_and_taken_only_on_request(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``make corpus`` is how a change that is meant becomes the new truth."""
    name = "refused-handshake"
    monkeypatch.setattr("corpus.make.FOLDER", tmp_path)
    monkeypatch.setattr("corpus.make.CASES", {name: CASES[name]})
    assert main([]) == 0 and (tmp_path / f"{name}.jsonl.gz").exists()
    assert main(["--check"]) == 0
    changed = read_recording(tmp_path / f"{name}.jsonl.gz")
    changed.inputs[-1].out = "0" * 12
    lines = [msgspec.json.encode(each) + b"\n" for each in (changed.header, *changed.inputs)]
    write_recording(tmp_path / f"{name}.jsonl.gz", [*lines, b'{"inputs":%d}\n' % len(changed.inputs)])
    capsys.readouterr()
    assert main(["--check"]) == 1
    assert "other content" in capsys.readouterr().out
    assert main([]) == 0
    assert main(["--check"]) == 0
