"""Errors of each dialect's own servers, fed to a session in it: what they lead to (F007, F133; protocol facts 6, 14)."""

from collections.abc import Callable
from typing import Any

import pytest
from helpers.scene import Scene, configured, outcomes, ready, sent, talking, told
from helpers.wire import announce, audio, call, done, encode, message, opened, pcm, user_item

from rtcore import Disconnection, RequestEnded, ServerError, SessionClosed
from rtcore.config import Connection
from rtcore.dialects import DIALECTS, Dialect, DialectError, ErrorKind, classify, problem

OWN = [
    pytest.param(table, error, id=f"{table.name}-{error.code or error.text.replace(' ', '_')}")
    for table in DIALECTS.values()
    for error in table.errors
]


def of(table: Dialect | str, **options: Any) -> Any:
    name = table if isinstance(table, str) else table.name
    connection = {"dialect": name, "url": "ws://127.0.0.1:9?key=mine"}
    kind = {} if DIALECTS[name].capabilities.answers else {"session": {"type": "transcription"}}
    return configured(connection=Connection.model_validate(connection), **kind, **options)


def refusal(code: str | None, text: str, **more: Any) -> bytes:
    """As LocalAI fills it in: an event id that is nobody's, no parameter."""
    error = {"type": "invalid_request_error", "code": code, "message": text, "param": "", "event_id": "event_TODO", **more}
    return encode({"type": "error", "event_id": "event_TODO", "error": error})


def _delete(scene: Scene) -> None:
    scene.server(user_item("a"))
    scene.delete_item("a")


def _retrieve(scene: Scene) -> None:
    scene.server(user_item("a"))
    scene.retrieve_item("a")


def _commit(scene: Scene) -> None:
    scene.append(pcm("u", 200))
    scene.commit()


COMMANDS: dict[str, Callable[[Scene], object]] = {
    "update": lambda scene: scene.update({"instructions": "Be brief."}),
    "delete": _delete,
    "commit": _commit,
    "response": lambda scene: scene.respond(),
    "item": lambda scene: scene.create_item(
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
    ),
}


@pytest.mark.parametrize(("table", "error"), OWN)
def test_an_error_of_a_dialects_own_leads_to_what_its_table_says(table: Dialect, error: DialectError) -> None:
    scene = ready(of(table))
    if error.command:
        COMMANDS[error.command](scene)
    effects = scene.raw(refusal(error.code or None, f"It said: {error.text.replace('…', 'x')}"))
    if error.kind is ErrorKind.FATAL:
        [closed] = told(effects, SessionClosed)
        assert closed.problem is not None
        assert (closed.reason, closed.problem.remedy, closed.problem.retryable) == ("fatal_error", error.remedy, error.retryable)
        return
    assert scene.session.state == "ready"
    if error.command:
        [end] = told(effects, RequestEnded)
        assert end.problem is not None
        assert (end.request, end.outcome, end.problem.remedy) == (scene.request, "failed", error.remedy)
    elif error.kind in (ErrorKind.TRUNCATE_REPEATED, ErrorKind.DELETE_NOT_FOUND):
        assert told(effects, ServerError) == []  # what was wanted is so already
    else:
        [said] = told(effects, ServerError)
        assert (said.fatal, said.problem.remedy, said.problem.retryable) == (False, error.remedy, error.retryable)


@pytest.mark.parametrize("table", DIALECTS.values(), ids=lambda table: table.name)
def test_a_dialects_own_errors_hide_none_of_the_protocols(table: Dialect) -> None:
    for error in table.errors:
        assert error.code or error.text
        if error.code and not error.text:
            assert classify(error.code, "") is ErrorKind.OTHER, "the protocol's own list has it: leave it to that"
        assert problem(error.code or None, error.text, extra=table.errors).remedy == error.remedy


def test_an_item_that_localai_does_not_know_is_the_oldest_that_was_named() -> None:  # one code for all, no event id
    scene = ready(of("localai"))
    _retrieve(scene)
    assert outcomes(scene.raw(refusal("invalid_item_id", "Need item_id, but none specified"))) == [(scene.request, "failed")]
    scene.delete_item("a")
    effects = scene.raw(refusal("invalid_item_id", "the item with id 'a' does not exist"))
    assert (outcomes(effects), told(effects, ServerError)) == ([(scene.request, "done")], [])  # gone is gone
    cut = talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5, config=of("localai"))
    cut.barge_in(500)
    cut.raw(refusal("invalid_item_id", "Item not found"))
    assert cut.session.counters.rejected_truncates == 1
    assert cut.session.state == "ready"


def test_a_server_without_room_says_so_and_a_later_try_may_succeed() -> None:  # facts 14, RAN: session_limit_reached + 1008
    scene = Scene(of("speech-to-speech"))
    scene.open()
    scene.connected()
    text = "All 1 session slots are in use. Disconnect an existing client first."
    effects = scene.raw(refusal(None, text, type="session_limit_reached"))
    [closed] = told(effects, SessionClosed)
    assert closed.problem is not None
    assert (closed.reason, closed.problem.code, closed.problem.retryable) == ("fatal_error", "session_limit_reached", True)
    assert closed.problem.remedy.startswith("The server has no room for another session: close one")
    shut = Scene(of("speech-to-speech"))
    shut.open()
    shut.connected()
    [closed] = told(shut.disconnected(Disconnection(close_code=1008, reason="All session slots are in use")), SessionClosed)
    assert closed.problem is not None and closed.problem.code == "session_limit_reached"


def test_a_conversation_whose_old_session_still_has_the_only_room_is_dialled_again() -> None:  # facts 14; C26
    scene = ready(of("speech-to-speech"))
    scene.server(message("m1", 100))
    scene.at(1.0).disconnected(Disconnection(close_code=1006))
    assert scene.session.deadline is not None
    scene.at(scene.session.deadline.at).tick()
    scene.connected(2)
    effects = scene.raw(refusal(None, "All 1 session slots are in use.", type="session_limit_reached"), connection=2)
    assert told(effects, SessionClosed) == []
    assert [each.problem.code for each in told(effects, ServerError)] == ["session_limit_reached"]
    assert scene.session.state == "reconnecting"


# -- errors that name no event -----------------------------------------------------------------------------------------------

NO_CALL = "Tool call ID '{}' not found in conversation."


@pytest.mark.parametrize(
    ("ask", "code", "text"),
    [
        (
            lambda scene: scene.update({"audio": {"output": {"voice": "ash"}}}),
            "cannot_update_voice",
            "Cannot update a conversation's voice if assistant audio is present.",
        ),
        (
            lambda scene: scene.update({"audio": {"output": {"voice": "ash"}}}),
            None,
            "Cannot update a conversation's voice if assistant audio is present.",
        ),
        (_retrieve, "item_retrieve_invalid_item_id", "Error retrieving item: the item with id 'a' does not exist."),
        (lambda scene: scene.tool_result("c1", "42"), "invalid_tool_call_id", NO_CALL.format("c1")),
    ],
)
def test_one_that_only_one_command_can_have_needs_no_event_id(
    ask: Callable[[Scene], object], code: str | None, text: str
) -> None:  # F046, C15, invariant 2; facts 6.1
    scene = talking(call("c1"), done("r1"))
    ask(scene)
    [ended] = told(scene.raw(refusal(code, text, param=None)), RequestEnded)
    assert (ended.request, ended.outcome) == (scene.request, "failed")
    assert ended.problem is not None
    assert ended.problem.message == text


def test_a_call_that_the_server_does_not_know_is_laid_to_its_own_output() -> None:  # F046, F071, invariant 2; facts 6.1
    scene = talking(call("c1"), call("c2"), done("r1"))
    first = scene.tool_result("c1", "1")
    kept, [item] = scene.request, [event["item"]["id"] for event in sent(first)]
    scene.tool_result("c2", "2")
    refused = scene.raw(refusal("invalid_tool_call_id", NO_CALL.format("c2"), param="item.call_id"))
    assert outcomes(refused) == [(scene.request, "failed")]
    other = scene.raw(refusal("invalid_tool_call_id", NO_CALL.format("c9"), param=None))  # an item of the program's own
    assert (outcomes(other), len(told(other, ServerError))) == ([], 1)
    assert outcomes(scene.server(announce(item))) == [(kept, "done")]
