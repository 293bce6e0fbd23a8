"""What an item must be before a program may have it created: the caller's mistakes, told before anything changes."""

from collections.abc import Mapping
from typing import Any

from rtcore._errors import LocalProtocolError
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


def _check_image(part: dict[str, Any], path: str) -> None:
    url, detail = part.get("image_url"), part.get("detail", "auto")
    if not isinstance(url, str) or not url.startswith(("data:image/", "https://", "http://")):
        raise LocalProtocolError(f"{path}.image_url: {str(url)[:40]!r} is no image; give data:image/png;base64,... or an address")
    if detail not in _DETAIL:
        raise LocalProtocolError(f"{path}.detail: {detail!r} is not one of {', '.join(_DETAIL)}")
