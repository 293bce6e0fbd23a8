"""A conversation as plain data: saved, loaded into another session of any dialect, or shown to a model of text.

    data = save(session.history)                    # versioned JSON, as bytes
    other = Session(config)
    other.load(data, now=now)                       # before open(): it is told what was heard

What was heard and what was generated are both in it; a session, and a model of text, are told what was heard. A message that
still sounded when it was saved counts as cut there.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from rtcore._errors import LocalProtocolError
from rtcore._items import HistoryItem
from rtcore._notices import Verdict
from rtcore._replay import GONE
from rtcore._verdicts import verdict_if_left

VERSION = 1
"""Of the shape that ``save`` writes. ``load`` reads this one and those before it."""
_ROLES = ("user", "assistant", "system")


class Saved(Struct, frozen=True):
    """What ``save`` writes: ``{"rtcore_history": 1, "items": [...]}``, each item as ``Session.history`` shows it."""

    rtcore_history: int
    items: tuple[HistoryItem, ...]


def save(history: Iterable[HistoryItem]) -> bytes:
    """``Session.history`` as JSON."""
    return msgspec.json.encode(Saved(VERSION, tuple(history)))


def load(data: bytes | str) -> tuple[HistoryItem, ...]:
    """What ``save`` wrote; a message that still sounded has the verdict that it would have if it had been cut then.

    Raises ``LocalProtocolError`` for anything else, and for a version that is newer than this one.
    """
    try:
        version = msgspec.json.decode(data, type=dict[str, Any]).get("rtcore_history")
        if not isinstance(version, int) or version > VERSION:
            raise LocalProtocolError(
                f"rtcore_history: is {version!r}; this version of rtcore reads {VERSION}, written by rtcore.saved.save"
            )
        items = msgspec.json.decode(data, type=Saved).items
        return tuple(msgspec.structs.replace(item, verdict=verdict_if_left(item)) for item in items)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise LocalProtocolError(f"history: is not what rtcore.saved.save writes: {error}") from None


def as_messages(history: Iterable[HistoryItem]) -> list[dict[str, Any]]:
    """The conversation as messages of a chat, for a model of text: what was heard, calls with their outputs.

    ``{"role", "content"}``; a call is ``{"role": "assistant", "tool_calls": [...]}``, its output ``{"role": "tool",
    "tool_call_id", "content"}``. Calls without an output, what nobody heard, and the items of remote tools are left out. What was
    cut, or still sounds, ends in an ellipsis, and in the place of a picture stands that there was one.
    """
    items = list(history)
    outputs = {item.call_id: item.output or "" for item in items if item.type == "function_call_output"}
    messages: list[dict[str, Any]] = []
    for item in items:
        text = " ".join([item.text, *[GONE] * item.images]).strip()
        if item.aside:
            continue
        if item.type == "message" and text and item.role in _ROLES:
            cut = "..." if verdict_if_left(item) is Verdict.PARTIAL else ""
            messages.append({"role": item.role, "content": f"{text}{cut}"})
        elif item.type == "function_call" and item.call_id in outputs:
            function = {"name": item.name or "", "arguments": item.arguments or "{}"}
            call = {"id": item.call_id, "type": "function", "function": function}
            messages.append({"role": "assistant", "tool_calls": [call]})
            messages.append({"role": "tool", "tool_call_id": item.call_id, "content": outputs[item.call_id]})
    return messages
