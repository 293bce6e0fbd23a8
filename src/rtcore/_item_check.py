"""What an item must be before a program may have it created: the caller's mistakes, told before anything changes."""

from collections.abc import Iterable, Mapping
from typing import Any

from rtcore._edit_plan import Entry
from rtcore._errors import LocalProtocolError
from rtcore._items import HistoryItem
from rtcore._wire import plain
from rtcore.dialects import Dialect

_ID_LENGTH = 32
"""Longest id that a client may choose (facts 3.2)."""
_ITEM_TYPES = (
    "message",
    "function_call",
    "function_call_output",
    "mcp_approval_response",
    "mcp_list_tools",
    "mcp_call",
    "mcp_approval_request",
)
_ROLES = ("user", "assistant", "system")
_DETAIL = ("auto", "low", "high")


def check_item(item: Mapping[str, object], dialect: Dialect) -> dict[str, Any]:
    """An item that the program wants created, as plain data of its own.

    Raises ``LocalProtocolError`` for what no server takes, or this dialect cannot say (facts 5.8, F110).
    """
    kind = item.get("type")
    if kind not in _ITEM_TYPES:
        raise LocalProtocolError(f"item.type: {kind!r} is not one of {', '.join(_ITEM_TYPES)}")
    if kind == "message":
        if item.get("role") not in _ROLES:
            raise LocalProtocolError(f"item.role: {item.get('role')!r} is not one of {', '.join(_ROLES)}")
        content = item.get("content")
        if not isinstance(content, list | tuple) or not content:
            raise LocalProtocolError("item.content: is empty; a message needs at least one part")
    if kind == "function_call_output" and not (isinstance(item.get("call_id"), str) and item.get("output") is not None):
        raise LocalProtocolError("item.call_id and item.output: a call's output needs both; tool_result() fills them in")
    chosen = item.get("id")
    if chosen is not None and not (isinstance(chosen, str) and 0 < len(chosen) <= _ID_LENGTH):
        raise LocalProtocolError(
            f"item.id: {str(chosen)[:40]!r} is not a string of 1 to {_ID_LENGTH} characters; leave it out to get one"
        )
    body: dict[str, Any] = plain("item", dict(item))
    for index, part in enumerate(body.get("content") or ()):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise LocalProtocolError(f"item.content[{index}]: {str(part)[:40]!r} is no part; a part is an object with a type")
        if part["type"] == "input_image":
            _check_image(part, f"item.content[{index}]")
    dialect.render_item(body)
    return body


def images_alone(item: Mapping[str, object]) -> list[str]:
    """The images of a user's message that holds nothing else, as base64, for servers that take them beside the audio.

    Raises ``LocalProtocolError`` for anything else, because such a server takes no items.
    """
    content = item.get("content")
    if item.get("type") != "message" or item.get("role") != "user" or not isinstance(content, list | tuple) or not content:
        raise LocalProtocolError("item: this server takes no items but images: a user's message of input_image parts")
    if item.get("id") is not None:
        raise LocalProtocolError("item.id: the server makes the item, of what is said beside the image; leave it out")
    images: list[str] = []
    for index, part in enumerate(content):
        path = f"item.content[{index}]"
        if not isinstance(part, Mapping) or part.get("type") != "input_image":
            raise LocalProtocolError(f"{path}: this server takes images alone, each an input_image")
        body = plain(path, dict(part))
        _check_image(body, path)
        head, base64, data = body["image_url"].partition(";base64,")
        if not (head.startswith("data:image/") and base64 and data):
            raise LocalProtocolError(f"{path}.image_url: this server takes an image's bytes; give data:image/jpeg;base64,...")
        images.append(data)
    return images


def wanted_entries(items: object, dialect: Dialect) -> list[Entry]:
    """A wanted history as entries: ids, items of ``Session.history``, and items as they are to be.

    Raises ``LocalProtocolError`` for what is none of these, naming its place.
    """
    if isinstance(items, str | bytes | Mapping) or not isinstance(items, Iterable):
        raise LocalProtocolError(f"items: is {type(items).__name__}, not a sequence of ids, history items and items")
    entries: list[Entry] = []
    for index, item in enumerate(items):
        if isinstance(item, str):
            entries.append(Entry(item))
        elif isinstance(item, HistoryItem):
            entries.append(Entry(item.id))
        elif isinstance(item, Mapping):
            body = check_item(item, dialect)
            entries.append(Entry(body.get("id"), body))
        else:
            raise LocalProtocolError(f"items[{index}]: is {type(item).__name__}, not an id, a HistoryItem or an item")
    return entries


def known_ids(base: object) -> frozenset[str] | None:
    """The ids that a program knew when it made a wanted history; None where it does not say."""
    if base is None:
        return None
    if isinstance(base, str | bytes) or not isinstance(base, Iterable):
        raise LocalProtocolError(f"base: is {type(base).__name__}, not a sequence of ids or history items")
    found = [item.id if isinstance(item, HistoryItem) else item for item in base]
    for index, item in enumerate(found):
        if not isinstance(item, str):
            raise LocalProtocolError(f"base[{index}]: is {type(item).__name__}, not an id or a HistoryItem")
    return frozenset(map(str, found))


def _check_image(part: dict[str, Any], path: str) -> None:
    url, detail = part.get("image_url"), part.get("detail", "auto")
    if not isinstance(url, str) or not url.startswith(("data:image/", "https://", "http://")):
        raise LocalProtocolError(f"{path}.image_url: {str(url)[:40]!r} is no image; give data:image/png;base64,... or an address")
    if detail not in _DETAIL:
        raise LocalProtocolError(f"{path}.detail: {detail!r} is not one of {', '.join(_DETAIL)}")
