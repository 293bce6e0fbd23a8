"""Server messages that are nearly right: every event the core knows, with fields dropped, retyped, doubled and nested.

Random bytes are refused at the first character and reach nothing; a message with one wrong field reaches the handler.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from helpers import wire
from helpers.wire import Event, Script
from hypothesis import strategies as st

STORY: Script = (
    wire.created("r1")
    + wire.message("m1", 60, "One.")
    + wire.text_message("t1", "Two.", index=1, previous="m1")
    + wire.call("c1", index=2, previous="t1")
    + wire.speech_started("u1")
    + wire.cancelled("r1")
    + wire.truncated("m1", 50)
    + wire.deleted("t1")
    + wire.speech_stopped("u1")
    + wire.turn("u1", previous="m1")
    + wire.user_words("u1", "Wa")
    + wire.user_transcript("u1", "Wait.")
    + wire.created("r2")
    + wire.opened("m2", r="r2", previous="u1")
    + wire.transcript("m2", "Three", r="r2")
    + wire.audio("m2", 60, r="r2")
    + wire.closing("m2", "Three", r="r2")
    + wire.done("r2")
    + wire.cancel_not_active()
    + wire.active_response()
    + wire.error("server_error", "The server had an error.")
    + wire.announce("late")
    + wire.session_updated()
    + [{"type": "rate_limits.updated", "rate_limits": [{"name": "requests", "limit": 9, "remaining": 8, "reset_seconds": 1.5}]}]
    + [{"type": "input_audio_buffer.cleared"}]
    + [{"type": "input_audio_buffer.timeout_triggered", "item_id": "u2", "audio_start_ms": 0, "audio_end_ms": 9}]
    + [{"type": "conversation.item.retrieved", "item": {"id": "m1", "type": "message", "role": "assistant", "content": []}}]
)
"""One conversation in which nearly every known event comes up, in an order that a server could show."""

_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1 << 70, 1.5, 1e308, "", "r1", "m1", "\x00", "é" * 40, "AAAA", "A", "====", "%%%",
    [], {}, [None], {"id": 7}, {"type": "audio/pcm", "rate": 24_000}, "completed", "cancelled", "in_progress",
)  # fmt: skip
_FIELDS = ("delta", "response_id", "item_id", "item", "part", "response", "session", "error", "x")


def _paths(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Where the value can be changed: every key and index in it, at any depth."""
    found: list[tuple[str | int, ...]] = []
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inside:
        found.append((*at, key))
        found += _paths(child, (*at, key))
    return found


def _changed(value: Any, path: tuple[str | int, ...], change: Callable[[Any, str | int], None]) -> Any:
    copy = json.loads(json.dumps(value))
    holder = copy
    for key in path[:-1]:
        holder = holder[key]
    change(holder, path[-1])
    return copy


def _set(to: Callable[[Any], Any]) -> Callable[[Any, str | int], None]:
    def change(holder: Any, key: str | int) -> None:
        holder[key] = to(holder[key])

    return change


def _drop(holder: Any, key: str | int) -> None:
    del holder[key]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """One message: whole, or with one to three of its fields changed, or its text damaged."""
    event: Event = draw(st.sampled_from(STORY))
    if draw(st.booleans()):
        event = next(iter(wire.preview([event])), event)  # one event has no preview name
    for _ in range(draw(st.integers(0, 3))):
        paths = _paths(event)
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        how = draw(st.sampled_from(["drop", "retype", "nest", "list", "deep", "add"]))
        match how:
            case "drop":
                event = _changed(event, path, _drop)
            case "retype":
                event = _changed(event, path, _set(partial(_instead, draw(st.sampled_from(_ODD)))))
            case "nest":
                event = _changed(event, path, _set(lambda old: {"value": old, "id": old}))
            case "list":
                event = _changed(event, path, _set(lambda old: [old, old]))
            case "deep":
                event = _changed(event, path, _set(_deep))
            case _:
                event = {**event, draw(st.sampled_from(_FIELDS)): draw(st.sampled_from(_ODD))}
    return draw(damaged(wire.encode(event)))


def _instead(new: Any, old: Any) -> Any:
    return new


def _deep(value: Any) -> Any:
    for _ in range(60):
        value = [value]
    return value


@st.composite
def damaged(draw: st.DrawFn, message: bytes) -> bytes:
    """The text of a message, mostly as it is; else with a key twice, cut off, or with another byte in it."""
    how = draw(st.sampled_from(["as it is"] * 5 + ["key twice", "cut off", "another byte", "more behind"]))
    at = draw(st.integers(0, max(0, len(message) - 1)))
    match how:
        case "key twice":
            return message[:-1] + b',"type":"' + draw(st.sampled_from([b"error", b"response.done", b"", b"x"])) + b'"}'
        case "cut off":
            return message[:at]
        case "another byte":
            return message[:at] + bytes([draw(st.integers(0, 255))]) + message[at + 1 :]
        case "more behind":
            return message + b"{}"
        case _:
            return message


MESSAGES = st.lists(mutated(), min_size=1, max_size=25)
"""What a confused server sends."""
