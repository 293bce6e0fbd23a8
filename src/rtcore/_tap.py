"""What a program may see and say beside the vocabulary: fields that are not known, and client events that are not."""

from collections.abc import Mapping
from functools import cache
from typing import Any, get_args, get_type_hints

import msgspec
from msgspec import Struct

from rtcore._errors import LocalProtocolError
from rtcore._wire import ErrorBody, ItemBody, PartBody, ResponseBody, ServerEvent, TranscriptionSoFar, plain
from rtcore._wire_other import UNREAD

_EVENTS: dict[str, type[Struct]] = {
    str(kind.__struct_config__.tag): kind for kind in (*get_args(ServerEvent), TranscriptionSoFar)
}
_OBJECTS: dict[type, str] = {ItemBody: "item", PartBody: "part", ResponseBody: "response", ErrorBody: "error"}

_INSTEAD = {
    "session.update": "update()",
    "transcription_session.update": "update()",
    "input_audio_buffer.append": "append_audio()",
    "input_audio_buffer.commit": "commit()",
    "input_audio_buffer.clear": "clear()",
    "output_audio_buffer.clear": "interrupt()",
    "conversation.item.create": "create_item(), send_text(), tool_result() or approve()",
    "conversation.item.delete": "delete_item()",
    "conversation.item.retrieve": "retrieve_item()",
    "conversation.item.truncate": "interrupt(), which truncates to what was heard",
    "response.create": "respond()",
    "response.cancel": "interrupt(response)",
}
"""Events of the protocol, whose answers the core counts on; and the command that sends each."""


def check_raw(event: Mapping[str, object], prefix: str) -> dict[str, Any]:
    """A client event that the protocol does not know, as plain data.

    Raises ``LocalProtocolError`` for what is no event, for one that a command sends, and for an id that is not the program's.
    """
    kind = event.get("type")
    if not isinstance(kind, str) or not kind:
        raise LocalProtocolError(f"event.type: {kind!r} is no type; an event is an object with a type, such as session.close")
    if kind in _INSTEAD:
        raise LocalProtocolError(f"event.type: {kind!r} is sent by {_INSTEAD[kind]}, which keeps count of what it leads to")
    chosen = event.get("event_id")
    if chosen is not None and (not isinstance(chosen, str) or not 0 < len(chosen) <= 512 or chosen.startswith(prefix)):
        raise LocalProtocolError(
            f"event.event_id: {str(chosen)[:40]!r} is no string of 1 to 512 characters of your own; leave it out to get one"
        )
    body: dict[str, Any] = plain("event", dict(event))
    return {"type": kind, **body}


def unknown_fields(payload: bytes) -> tuple[str, tuple[str, ...]]:
    """A server event's type, and the paths of its fields that this version neither reads nor leaves out on purpose.

    Nothing for a message that is no event of the vocabulary.
    """
    try:
        event = msgspec.json.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return "", ()
    kind = event.get("type") if isinstance(event, dict) else None
    known = _EVENTS.get(kind) if isinstance(kind, str) else None
    if known is None:
        return "", ()
    found: list[str] = []
    _look(event, known, "", (str(kind), "*"), found)
    return str(kind), tuple(dict.fromkeys(found))


def _look(value: Mapping[str, Any], kind: type[Struct], path: str, rows: tuple[str, ...], found: list[str]) -> None:
    objects = _nested(kind)
    for name, inner in value.items():
        if name not in kind.__struct_fields__ and name != "type" and not any(name in UNREAD.get(row, ()) for row in rows):
            found.append(f"{path}{name}")
        elif name in objects:
            below = objects[name]
            for each in inner if isinstance(inner, list) else (inner,):
                if isinstance(each, dict):
                    _look(each, below, f"{path}{name}.", (_OBJECTS[below],), found)


@cache
def _nested(kind: type[Struct]) -> dict[str, type[Struct]]:
    """The fields whose objects are known, or whose elements are."""
    hints = get_type_hints(kind)
    return {name: below for name in kind.__struct_fields__ if (below := _struct(hints[name])) is not None}


def _struct(hint: Any) -> type[Struct] | None:
    if isinstance(hint, type) and hint in _OBJECTS:
        return hint
    return next((below for each in get_args(hint) if (below := _struct(each)) is not None), None)
