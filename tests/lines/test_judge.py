"""The judge of ``make lines`` finds what it is for: a small call in which all is well, and the same with one thing wrong."""

import base64
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lines.judge import Judge, Truth, Verdict

MS = 48
"""Bytes in a millisecond."""


def sound(ms: int) -> bytes:
    return random.Random(ms).randbytes(ms * MS)


def said(line: int, event: dict[str, Any], by: str = "server", **more: Any) -> dict[str, Any]:
    return {"at": 10.0 * line, "by": by, "line": line, "event": event, **more}


def message(line: int, item: str, ms: int, text: str) -> list[dict[str, Any]]:
    """A message whose one word sounds to its end."""
    delta = base64.b64encode(sound(ms)).decode()
    event = {"type": "response.output_audio.delta", "item_id": item, "content_index": 0, "delta": delta}
    word = {"text": text, "char": 0, "start_ms": 0, "sound_end_ms": ms, "end_ms": ms}
    return [said(line, event, text=text, words=[word]) | {"at": 9.0}]


def heard(at: float, item: str, ms: int, text: str, verdict: str = "full") -> dict[str, Any]:
    about = {
        "item_id": item,
        "heard_ms": ms,
        "text": text,
        "full_text": text,
        "verdict": verdict,
        "started_at": at,
        "estimated": False,
    }
    return {"at": at, "kind": "MessageEnded", **about}


class Call:
    """Two sessions: one message is heard, the line is lost, the next session is told of it, and one more is heard."""

    def __init__(self) -> None:
        self.journal: list[dict[str, Any]] = []
        for line in (1, 2):
            self.journal.append(said(line, {"type": "session.created", "session": {"id": f"s{line}"}}))
            self.journal.append(said(line, {"type": "session.update", "session": {"instructions": "me"}}, "client"))
            if line == 2:
                item = {"id": "i1", "role": "assistant", "content": [{"type": "output_text", "text": "One."}]}
                self.journal.append(said(2, {"type": "conversation.item.create", "item": item}, "client"))
            self.journal += message(line, f"m{line}", 100 * line, ("One.", "Two.")[line - 1])
            self.journal.append(said(line, {"type": "response.done"}))
        self.journal.append(said(3, {"type": "session.created", "session": {"id": "s3"}}))
        items = [
            {"id": name, "type": "message", "role": "assistant", "text": text, "heard_ms": ms, "verdict": "full"}
            for name, ms, text in (("m1", 100, "One."), ("m2", 200, "Two."))
        ]
        self.records: list[dict[str, Any]] = [
            {"at": 11.0, "kind": "turn", "began": 0.0, "ended": 0.5},
            {"at": 11.0, "kind": "request", "number": 1, "what": "send_text"},
            heard(12.0, "m1", 100, "One."),
            {"at": 13.0, "kind": "RequestEnded", "request": 1, "outcome": "done"},
            *[{"at": 13.0, "kind": "memory", "kib": 100, "entries": 50} for _ in range(9)],
            {"at": 18.0, "kind": "Reconnected", "session_id": "s2", "planned": False, "replayed": 1},
            heard(21.0, "m2", 200, "Two."),
            {"at": 22.0, "kind": "history", "items": items},
            {"at": 23.0, "kind": "SessionClosed", "reason": "closed", "problem": None},
        ]
        self.signal = bytes(1_000 * MS) + sound(100) + bytes(500 * MS) + sound(200)
        self.spans = [(24_000, 1, 2_400), (24_000 + 2_400 + 12_000, 2, 4_800)]
        self.dead: list[tuple[float, float]] = []

    def of(self, kind: str, at: int = 0) -> dict[str, Any]:
        return [each for each in self.records if each["kind"] == kind][at]

    def judged(self, directory: Path) -> Verdict:
        (directory / "me.jsonl").write_bytes(_lines(self.records))
        (directory / "me.spans.jsonl").write_bytes(_lines(self.spans))
        (directory / "me.pcm").write_bytes(self.signal)
        return Judge("me", Truth(self.journal), directory, self.dead).judge()


def _lines(values: list[Any]) -> bytes:
    return b"".join(msgspec.json.encode(value) + b"\n" for value in values)


def test_a_call_in_which_all_is_well(tmp_path: Path) -> None:
    verdict = Call().judged(tmp_path)
    assert verdict.problems == []
    assert (verdict.figures["turns"], verdict.figures["answered"], verdict.figures["messages"]) == (1, 1, 2)


def _again(call: Call) -> None:
    """The second message sounds twice."""
    call.signal += sound(200)
    call.spans.append((call.spans[1][0] + 4_800, 3, 4_800))


def _skipped(call: Call) -> None:
    """A stretch of it is left out."""
    call.signal = call.signal[: -100 * MS] + sound(200)[-50 * MS :] + bytes(50 * MS)
    call.spans[1] = (call.spans[1][0], 2, 3_600)


def _refused(call: Call) -> None:
    error = {"code": "invalid_value", "message": "No."}
    call.journal.append(said(2, {"type": "error", "error": error}))


def _given_up(call: Call) -> None:
    call.of("turn")["ended"] = 1.9
    call.records.append({"at": 20.0, "kind": "gave up", "ended": 1.9})


def _made_up(call: Call) -> None:
    item = {"id": "i2", "role": "assistant", "content": [{"type": "output_text", "text": "Three."}]}
    call.journal.append(said(2, {"type": "conversation.item.create", "item": item}, "client"))


def _told_before(call: Call) -> None:
    """There was another message before the line was lost, and it is told behind the other."""
    call.journal += message(1, "m0", 50, "Zero.")
    item = {"id": "i0", "role": "assistant", "content": [{"type": "output_text", "text": "Zero."}]}
    call.journal.append(said(2, {"type": "conversation.item.create", "item": item}, "client") | {"at": 30.0})
    call.records.insert(0, heard(11.0, "m0", 50, "Zero."))


def _told_nothing(call: Call) -> None:
    call.journal = [each for each in call.journal if each["event"]["type"] != "conversation.item.create"]
    call.journal.append(said(2, {"type": "response.done"}) | {"at": 30.0})


def _grown(call: Call) -> None:
    for each in [each for each in call.records if each["kind"] == "memory"][6:]:
        each["kib"] = 2_000


def _more_entries(call: Call) -> None:
    for each in [each for each in call.records if each["kind"] == "memory"][6:]:
        each["entries"] = 500


def _change(kind: str, at: int = 0, **fields: Any) -> Callable[[Call], None]:
    return lambda call: call.of(kind, at).update(fields)


WRONG: list[tuple[Callable[[Call], None], str]] = [
    (_again, "are no message's that may follow"),
    (_skipped, "are no message's that may follow"),
    (_change("MessageEnded", heard_ms=120), "m1 was heard for 100 ms, and 120 ms are told"),
    (_change("MessageEnded", 1, text="Two and more."), "m2 is another one in the history"),
    (_change("MessageEnded", item_id="m9"), "m1 was audible, and nothing is told of it"),
    (_made_up, "s2 was told 'Three.', which was not heard"),
    (_told_before, "s2 was told in another order than was heard"),
    (_told_nothing, "s2 was not told 'One.', which was heard"),
    (_refused, "s2 refused: invalid_value: No."),
    (_given_up, "the turn that ended at 1.9 s was never answered"),
    (_change("RequestEnded", request=2), "request 1 settled 0 times"),
    (_change("SessionClosed", reason="lost"), "it ended as"),
    (_grown, "what Python holds grew"),
    (_more_entries, "what the session holds grew"),
]


@pytest.mark.parametrize(("wrong", "found"), WRONG)
def test_what_is_wrong_is_found(wrong: Callable[[Call], None], found: str, tmp_path: Path) -> None:
    call = Call()
    wrong(call)
    problems = call.judged(tmp_path).problems
    assert any(found in problem for problem in problems), problems


def test_what_was_spoken_into_nothing_is_nobodys(tmp_path: Path) -> None:  # docs/continuity.md
    call = Call()
    _given_up(call)
    call.dead = [(9.0, 17.0)]
    verdict = call.judged(tmp_path)
    assert (verdict.problems, verdict.figures["into_nothing"]) == ([], 1)
