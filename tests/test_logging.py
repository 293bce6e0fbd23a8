"""What the adapters write to the standard library's log: what happened, and no word, sound or key of it (issue 6, part 9)."""

import logging
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
import pytest
from loopback import KEY, clean_run, config, served, until

from rtcore import (
    AudioFormat,
    Notice,
    Problem,
    ProtocolWarning,
    ServerError,
    SessionClosed,
    SpeakingStopped,
    TextDelta,
    ToolCalled,
    TurnReport,
    Verdict,
)
from rtcore.config import SessionOptions
from rtcore.sim.server import ServerOptions, spoken
from rtcore.usage import Usage
from rtcore_adapters import _journal
from rtcore_adapters._tools import failure
from rtcore_adapters.asyncio import connect
from rtcore_adapters.audio import VirtualSpeaker

WORDS = "Tell me the number of my bank account"
MARK = "what-was-said"
LOGGERS = ("rtcore.conversation", "rtcore.wire", "rtcore.tools", "rtcore.engine", "rtcore.devices", "rtcore.recording")


def filled(kind: type[Notice]) -> Notice:
    """A notice of a kind with the same words wherever it could hold any."""
    return kind(**{field.name: _value(field.name, field.type) for field in msgspec.structs.fields(kind)})


def _value(name: str, kind: Any) -> object:
    options = [each for each in get_args(kind) if each is not type(None)] if get_origin(kind) in (Union, type(int | None)) else []
    if options:
        return _value(name, options[0])
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    if get_origin(kind) is tuple:
        return (_value(name, get_args(kind)[0]),)
    if get_origin(kind) is dict:
        return {"text": MARK}
    known: dict[Any, object] = {
        str: "id-1" if name.endswith("_id") or name in ("partial", "skipped", "response_ids") else MARK,
        bytes: MARK.encode(),
        int: 7,
        float: 1.5,
        bool: True,
        Verdict: Verdict.PARTIAL,
        Usage: Usage(),
        AudioFormat: AudioFormat("audio/pcm", 24_000),
        Problem: Problem("some_code", MARK, True, MARK, "item.content", MARK),
    }
    return known.get(kind, {"text": MARK})


@pytest.mark.parametrize("kind", sorted(Notice.__subclasses__(), key=repr), ids=lambda kind: str(kind.__name__))
def test_no_words_of_a_notice_are_written(kind: type[Notice]) -> None:
    notice = filled(kind)
    fixed = {"reason", "event_type", "status", "role", "item_type"}  # the core's own words, and the protocol's names
    plain = msgspec.structs.replace(
        notice, **{f.name: "fixed" for f in msgspec.structs.fields(kind) if f.name in fixed and f.type in (str, str | None)}
    )
    written = _journal.line(plain)
    assert written.startswith(kind.__name__)
    assert MARK not in written


def _records(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int, str]]:
    return [(record.name, record.levelno, record.getMessage()) for record in caplog.records if record.name.startswith("rtcore")]


def test_a_conversation_at_every_level_holds_no_key_and_no_word(caplog: pytest.LogCaptureFixture) -> None:
    spoken_words: list[str] = []

    async def main() -> None:
        async with served(ServerOptions(script=(spoken(300), spoken(300)))) as (url, _):
            session = SessionOptions(instructions=f"Never say: {MARK}")
            async with connect(config(url, session=session), speaker=VirtualSpeaker()) as conversation:
                conversation.send_text(WORDS)
                async for notice in conversation:
                    if isinstance(notice, TextDelta):
                        spoken_words.append(notice.delta.strip())
                    if isinstance(notice, TurnReport):
                        break

    with caplog.at_level(logging.DEBUG, "rtcore"):
        clean_run(main())
    text = "\n".join(message for _, _, message in _records(caplog))
    assert len(spoken_words) > 0
    assert not [word for word in (KEY, WORDS, MARK, *(w for w in spoken_words if len(w) > 5)) if word in text]
    assert {name for name, _, _ in _records(caplog)} >= {"rtcore.conversation", "rtcore.wire"}
    assert "TurnReport" in text
    assert "sent connection=1 type=session.update" in text
    assert "received connection=1 type=response.output_audio.delta" in text


def test_by_default_only_what_needs_looking_at_is_written(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        options = ServerOptions(script=(spoken(300),))
        async with served(options) as (url, _), connect(config(url), speaker=VirtualSpeaker()) as conversation:
            conversation.send_text(WORDS)
            await until(conversation, SpeakingStopped)

    with caplog.at_level(logging.WARNING, "rtcore"):
        clean_run(main())
    assert _records(caplog) == []


def test_what_needs_looking_at_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    told = Problem("rate_limited", f"too many: {MARK}", True, "wait", "session")
    with caplog.at_level(logging.WARNING, "rtcore"):
        for notice in (
            ServerError(told),
            ProtocolWarning("a server message could not be read", "response.done", MARK),
            SessionClosed("lost", told),
            SessionClosed("closed"),
            TextDelta("r1", "m1", 0, MARK),
        ):
            _journal.note(notice)
    assert _records(caplog) == [
        ("rtcore.conversation", 30, "ServerError fatal=False code=rate_limited retryable=True param=session"),
        (
            "rtcore.conversation",
            30,
            "ProtocolWarning reason='a server message could not be read' event_type=response.done",
        ),
        ("rtcore.conversation", 30, "SessionClosed reason=lost code=rate_limited retryable=True param=session"),
    ]


def test_a_tool_that_fails_is_named_with_its_line_and_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    call = ToolCalled("c1", "look_up", "{}", "r1", "f1")
    with caplog.at_level(logging.INFO, "rtcore"):
        try:
            raise ValueError(f"nothing known of {WORDS}")
        except ValueError as error:
            answer = failure(call, error)
    [(name, level, message)] = _records(caplog)
    assert (name, level, message.startswith("the tool look_up failed: ValueError in ")) == ("rtcore.tools", 40, True)
    assert WORDS not in message + str(caplog.records[0].exc_info)
    assert WORDS in answer["error"]  # the model is told


def test_the_loggers_are_those_of_the_page() -> None:
    page = (Path(__file__).resolve().parent.parent / "docs" / "reports.md").read_text(encoding="utf-8")
    assert not [name for name in LOGGERS if f"`{name}`" not in page]
