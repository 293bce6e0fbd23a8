"""The worked examples of the documentation are runs of a real session: every ``trace`` block is replayed and compared.

A line that begins with a time is an input, an indented one what the session answers.
``python tests/test_docs_traces.py`` writes the answers anew.
"""

import base64
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rtcore import (
    Clock,
    ClockFault,
    Config,
    ContextStale,
    Disconnection,
    Drain,
    EchoSuspected,
    Effect,
    FalseInterruption,
    Flush,
    Interrupted,
    InterruptionPending,
    Issued,
    LocalProtocolError,
    MessageEnded,
    MicrophoneDropped,
    Notice,
    Pause,
    Play,
    RequestEnded,
    Resume,
    Send,
    ServerError,
    Session,
    SessionClosed,
)

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TRACE = re.compile(r"(?<=^```trace\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)

_INPUT = re.compile(r"(?P<at>\d+\.\d+) +(?P<who>server|clock|program|time|line|voice) +(?P<what>.+)")
_EVENT = re.compile(
    r"(?P<type>[a-z_.]+)(?: (?P<id>[a-z]\w*)(?:\[(?P<part>\d+)\])?)?(?:, (?P<ms>\d+) ms)?(?:, '(?P<text>.*)')?"
    r"(?:, (?P<word>\w+)(?: (?P<reason>\w+))?)?"
)
_CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\)")
_SILENCE = re.compile(r'"(A{40,})"')
_INDENT = " " * 8
_TOLD: tuple[type[Notice], ...] = (
    ClockFault,
    ContextStale,
    EchoSuspected,
    FalseInterruption,
    Interrupted,
    InterruptionPending,
    MessageEnded,
    MicrophoneDropped,
    RequestEnded,
    ServerError,
    SessionClosed,
)
"""Notices that the examples show; the others are left out, as docs/verdicts.md says."""
_FIELDS: dict[type[Notice], tuple[str, ...]] = {
    MessageEnded: ("item_id", "verdict", "heard_ms", "received_ms", "text", "estimated")
}


class Replay:
    """One example: a session that is ready at 0.0 s, and what it answers to each line."""

    def __init__(self, given: dict[str, Any], make: Callable[..., Session] = Session) -> None:
        options = {name: value for name, value in given.items() if name != "clock"}
        self.config = Config.model_validate({"connection": {"dialect": "openai", "url": "ws://localhost"}, **options})
        self.session = make(self.config, clock=Clock(**given.get("clock", {})))
        self._response = ""
        self._owner: dict[str, str] = {}
        self._last_item: str | None = None
        self.session.open(now=0.0)
        self.session.connected(1, now=0.0)
        asked = self.config.session.wire()
        detection = asked.get("audio", {}).get("input", {}).get("turn_detection", {"type": "server_vad"})
        listening = {"turn_detection": detection}
        if (words := asked.get("audio", {}).get("input", {}).get("transcription")) is not None:
            listening["transcription"] = words
        session = {"id": "s1", "type": "realtime", "audio": {"input": listening, "output": {}}}
        self.session.receive(1, _json({"type": "session.updated", "session": session}), now=0.0)
        assert self.session.state == "ready"

    def feed(self, at: float, who: str, what: str) -> list[Effect]:
        """One input, and everything it caused."""
        if who == "time":
            deadline = self.session.deadline
            assert deadline is not None and deadline.why == what, f"{what!r} is written, the deadline is {deadline}"
            assert f"{deadline.at:.3f}" == f"{at:.3f}", f"{at} is written, the deadline is {deadline}"
            return self.session.tick(now=deadline.at)
        if who == "server":
            event = json.loads(what) if what.startswith("{") else self._event(what)
            return self.session.receive(1, _json(event), now=at)
        if who == "line":
            code, _, reason = what.removeprefix("closed ").partition(", ")
            return self.session.disconnected(1, Disconnection(close_code=int(code), reason=reason.strip("'")), now=at)
        if who == "voice":
            return self.session.append_audio(bytes(48 * int(what.removesuffix(" ms"))), now=at)
        call = _CALL.fullmatch(what)
        assert call is not None, f"{what!r} is no call"
        arguments = json.loads(f"[{call['arguments']}]")
        result = getattr(self.session, call["name"])(*arguments, now=at)
        return list(result.effects) if isinstance(result, Issued) else list(result)

    def _event(self, what: str) -> dict[str, Any]:
        found = _EVENT.fullmatch(what)
        assert found is not None, f"{what!r} is not understood"
        kind, name = found["type"], found["id"]
        event: dict[str, Any] = {"type": kind, "event_id": "e"}
        if kind in ("response.created", "response.done"):
            self._response = name
            details = {"type": found["word"], "reason": found["reason"]} if found["reason"] else None
            status = found["word"] or ("completed" if kind == "response.done" else "in_progress")
            response: dict[str, Any] = {
                "id": name,
                "status": status,
                "status_details": details,
                "conversation_id": "conv_1",
                "output": [],
            }
            return {**event, "response": response}
        if kind.startswith("input_audio_buffer."):
            return {**event, "item_id": name}
        if kind == "conversation.item.added":
            role = "user" if name.startswith("u") else "assistant"
            item: dict[str, Any] = {"id": name, "type": "message", "role": role, "content": []}
            previous, self._last_item = self._last_item, name
            return {**event, "previous_item_id": previous, "item": item}
        if kind.startswith("conversation.item."):
            more = {"content_index": int(found["part"] or 0), "audio_end_ms": int(found["ms"])} if found["ms"] else {}
            return {**event, "item_id": name, **more}
        assert kind.startswith("response."), f"{kind!r} is no event of these examples"
        event["response_id"] = self._owner.setdefault(name, self._response)
        if kind == "response.output_item.done":
            item = {"id": name, "type": "message", "role": "assistant", "status": found["word"] or "completed"}
            return {**event, "output_index": 0, "item": item}
        if kind == "response.output_item.added":
            return {**event, "output_index": 0, "item": {"id": name, "type": "message", "role": "assistant"}}
        event |= {"item_id": name, "output_index": 0, "content_index": int(found["part"] or 0)}
        if kind == "response.content_part.added":
            event["part"] = {"type": found["word"]}
        if kind == "response.output_audio.delta":
            event["delta"] = base64.b64encode(b"\x00\x20\x00\xe0" * (12 * int(found["ms"]))).decode()
        elif kind.endswith(".delta"):
            event["delta"] = found["text"]
        elif kind.endswith(("transcript.done", "text.done")):
            event["transcript" if "transcript" in kind else "text"] = found["text"]
        return event


def _json(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode()


def shown(effects: list[Effect]) -> list[str]:
    """Effects as the examples write them."""
    lines = []
    for effect in effects:
        match effect:
            case Play(pcm, format, generation):
                lines.append(f"Play {len(pcm) // format.bytes_per_ms} ms, generation {generation}")
            case Flush(generation) | Pause(generation) | Resume(generation) | Drain(generation):
                lines.append(f"{type(effect).__name__}({generation})")
            case Send(_, payload):
                lines.append("> " + _SILENCE.sub(lambda sound: f'"{len(sound[1]) // 64} ms of silence"', payload.decode()))
            case Notice() if isinstance(effect, _TOLD):
                lines.append(_notice(effect))
            case _:
                pass
    return lines


def _notice(notice: Notice) -> str:
    fields = _FIELDS.get(type(notice), notice.__struct_fields__)
    values = {name: getattr(notice, name) for name in fields}
    words = [f"{name}={_word(value)}" for name, value in values.items() if value is not None and value is not False]
    return f"{type(notice).__name__}({', '.join(words)})"


def _word(value: object) -> str:
    return str(getattr(value, "name", None) or repr(value))


def replayed(block: str, session: Callable[..., Session] = Session) -> str:
    """The block with the answers that the session really gives."""
    lines: list[str] = []
    replay: Replay | None = None
    given: dict[str, Any] = {}
    for line in block.splitlines():
        if line.startswith(" "):
            continue
        lines.append(line)
        if line.startswith("given "):
            given = json.loads(line.removeprefix("given "))
        elif line and not line.startswith("#"):
            replay = replay or Replay(given, session)
            found = _INPUT.fullmatch(line)
            assert found is not None, f"{line!r} is not understood"
            try:
                answers = shown(replay.feed(float(found["at"]), found["who"], found["what"]))
            except LocalProtocolError as error:
                answers = [f"LocalProtocolError: {error}"]
            lines += [_INDENT + answer for answer in answers]
    return "".join(f"{line}\n" for line in lines)


def blocks() -> Iterator[Any]:
    """Every example, named by its page and line."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in TRACE.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield pytest.param(found[0], id=f"{page.name}:{line}")


@pytest.mark.parametrize("block", list(blocks()))
def test_an_example_is_what_the_session_does(block: str) -> None:
    """The worked examples show what happens (B01 to B07, B09, B10, B29, C01 to C08, C10 to C12)."""
    assert replayed(block) == block


def test_a_wrong_example_is_noticed() -> None:
    """The negative control: one millisecond more than was heard."""
    page = (ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8")
    found = TRACE.search(page)
    assert found is not None
    wrong = found[0].replace('"audio_end_ms":500', '"audio_end_ms":501')
    assert wrong != found[0]
    assert replayed(wrong) != wrong


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]) if sys.argv[1:] else PAGES:
        old = path.read_text(encoding="utf-8")
        path.write_text(TRACE.sub(lambda found: replayed(found[0]), old), encoding="utf-8")
