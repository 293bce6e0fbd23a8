"""What went wrong, whether it can be retried, and what to do about it.

Servers of this protocol keep the text of an error and change its code: the old beta sends null, other vendors put the code into
``type``. So an error is recognised by its code first, then by a kernel of its text (protocol facts, section 6). An error is
normally not fatal (6.2, F007): only credentials, quota and the end of the session are.

Everything that a program may be told about an error stands in the tables of this file.
"""

import re
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from msgspec import Struct

from rtcore._notices import Problem


class LocalProtocolError(ValueError):
    """The caller's mistake: a wrong argument, or a command at the wrong time.

    It is raised before any state changes, and its message names the argument and the remedy. It never holds a credential.
    Faults of the server or the line are never raised; they come back as notices.
    """


class ErrorKind(Enum):
    """What an ``error`` event of the server means for the session (protocol facts 6.1)."""

    ACTIVE_RESPONSE = "active_response"
    """``response.create`` while a response runs. The rejected request gets no ``response.done``."""
    CANCEL_NOT_ACTIVE = "cancel_not_active"
    """``response.cancel`` with nothing running: harmless (C14)."""
    COMMIT_EMPTY = "commit_empty"
    """A commit of less than 100 ms of audio."""
    DELETE_NOT_FOUND = "delete_not_found"
    """A delete of an item that does not exist (any more)."""
    TRUNCATE_TOO_LONG = "truncate_too_long"
    """A truncate beyond what the server holds: it holds no more than was heard (C09, F005 to F007)."""
    TRUNCATE_NO_AUDIO = "truncate_no_audio"
    """A truncate of an item without model audio (S03)."""
    TRUNCATE_NOT_FOUND = "truncate_not_found"
    """A truncate of an item that does not exist (any more)."""
    TRUNCATE_REPEATED = "truncate_repeated"
    """A truncate to where the item was cut already, at a server that refuses repeats (protocol facts 5.6)."""
    ITEM_NOT_FOUND = "item_not_found"
    """An item that does not exist (any more), from a server that says so alike for a truncate, a delete and a retrieve."""
    DUPLICATE_ITEM = "duplicate_item"
    """``conversation.item.create`` with an id that exists."""
    BAD_PREDECESSOR = "bad_predecessor"
    """``conversation.item.create`` behind an item that does not exist."""
    FATAL = "fatal"
    """Key, account, quota or billing refused, or the session is over: nothing more will work on this connection."""
    OTHER = "other"
    """Anything else: one command failed, the session goes on."""


class _Known(NamedTuple):
    kind: ErrorKind
    retryable: bool
    remedy: str
    command: str = ""
    """The only command that it can answer, where its kind does not say (a ``Pending.kind``)."""


class DialectError(Struct, frozen=True):
    """One error of a dialect's own servers: how it is known, what it means, and what to do (``Dialect.errors``).

    ``code`` is compared with the error's ``code`` and ``type``; ``text`` is a kernel of its message, "…" for anything between.
    Either may be empty.
    """

    kind: ErrorKind
    remedy: str
    code: str = ""
    text: str = ""
    retryable: bool = False
    command: str = ""
    """The command that it answers, where the event does not say: a ``Pending.kind``."""


_KNOWN: dict[str, _Known] = {
    # Codes as the live servers send them (protocol facts 6.1).
    "conversation_already_has_active_response": _Known(
        ErrorKind.ACTIVE_RESPONSE, True, "Ask again after the running response is done, or interrupt it first."
    ),
    "response_cancel_not_active": _Known(ErrorKind.CANCEL_NOT_ACTIVE, False, "Nothing to do: the response had already ended."),
    "input_audio_buffer_commit_empty": _Known(
        ErrorKind.COMMIT_EMPTY, True, "Append at least 100 ms of audio in the session's input format before you commit."
    ),
    "item_truncate_invalid_item_id": _Known(
        ErrorKind.TRUNCATE_NOT_FOUND, False, "Nothing to do: the item is no longer in the conversation."
    ),
    "item_already_truncated": _Known(ErrorKind.TRUNCATE_REPEATED, False, "Nothing to do: the item had been cut there before."),
    "item_delete_invalid_item_id": _Known(
        ErrorKind.DELETE_NOT_FOUND, False, "Nothing to do: the item is no longer in the conversation."
    ),
    "item_retrieve_invalid_item_id": _Known(
        ErrorKind.OTHER, False, "Ask only for items that stand in the history.", command="retrieve"
    ),
    "item_create_duplicate_item_id": _Known(
        ErrorKind.DUPLICATE_ITEM, False, "Leave the item's id out, or choose one that no item has."
    ),
    "item_create_invalid_previous_item_id": _Known(
        ErrorKind.BAD_PREDECESSOR, True, "Name an item that stands in the history, or leave previous_item_id out to append."
    ),
    "cannot_update_voice": _Known(
        ErrorKind.OTHER,
        False,
        "The voice is fixed once the model has spoken: set it before, or open a new session.",
        command="update",
    ),
    "unknown_parameter": _Known(ErrorKind.OTHER, False, "Leave the named field out; nothing of that command was applied."),
    "missing_required_parameter": _Known(ErrorKind.OTHER, False, "Add the named field; nothing of that command was applied."),
    "invalid_value": _Known(ErrorKind.OTHER, False, "Correct the named field; nothing of that command was applied."),
    "rate_limit_exceeded": _Known(ErrorKind.OTHER, True, "Wait, then ask again; ask for a higher limit if it happens often."),
    "inference_rate_limit_exceeded": _Known(
        ErrorKind.OTHER, True, "Wait, then ask again; ask for a higher limit if it happens often."
    ),
    "server_error": _Known(ErrorKind.OTHER, True, "Ask again; the server failed, not the command."),
    "internal_error": _Known(ErrorKind.OTHER, True, "Ask again; the server failed, not the command."),
    "DeploymentNotFound": _Known(
        ErrorKind.OTHER, False, "On Azure a model is named by its deployment, for transcription too: check the deployment's name."
    ),
    "session_expired": _Known(ErrorKind.FATAL, True, "Open a new session; one lasts at most 60 minutes."),
    "session_limit_reached": _Known(
        ErrorKind.FATAL,
        True,
        "The server has no room for another session: close one of yours, or wait until one ends, then connect again.",
    ),
    "insufficient_quota": _Known(ErrorKind.FATAL, False, "Check the plan and the credit of the account that owns the API key."),
    "credit_balance_exhausted": _Known(ErrorKind.FATAL, False, "Add credit to the account that owns the API key."),
    "billing_hard_limit_reached": _Known(ErrorKind.FATAL, False, "Raise the billing limit of the account that owns the API key."),
    "invalid_api_key": _Known(ErrorKind.FATAL, False, "Check api_key or bearer_token: the server does not accept it."),
    "account_deactivated": _Known(ErrorKind.FATAL, False, "The account that owns the API key is closed: ask its provider."),
    "beta_api_shape_disabled": _Known(
        ErrorKind.FATAL, False, "The server no longer speaks the preview shape: use dialect='openai', no OpenAI-Beta header."
    ),
    # Names of ours for errors whose code says nothing: ``invalid_value`` and ``unsupported_content_type`` mean many things.
    "truncate_too_long": _Known(
        ErrorKind.TRUNCATE_TOO_LONG, False, "Nothing to do: the server holds less of the item than was heard."
    ),
    "truncate_no_audio": _Known(ErrorKind.TRUNCATE_NO_AUDIO, False, "Nothing to do: the item holds no audio that could be cut."),
    "address_of_a_conversation": _Known(
        ErrorKind.FATAL,
        False,
        "The address names a model, which opens a conversation: take it out of url (?intent=transcription is added where the "
        "dialect has it), and name the model in session.audio.input.transcription.",
    ),
    "address_of_a_transcription": _Known(
        ErrorKind.FATAL,
        False,
        "The address says intent=transcription: set session.type to 'transcription', or take it out of url.",
    ),
    "tool_call_not_found": _Known(
        ErrorKind.OTHER, False, "Answer only calls that the session reported by ToolCalled.", command="item"
    ),
    # What the core itself reports about the line; ``connection_problem`` makes them.
    "handshake_unauthorized": _Known(ErrorKind.FATAL, False, "Check api_key or bearer_token: the server does not accept it."),
    "handshake_forbidden": _Known(ErrorKind.FATAL, False, "The key may not use this model or region: check its rights."),
    "handshake_not_found": _Known(ErrorKind.OTHER, False, "Check url, model, deployment and api_version: nothing answers there."),
    "handshake_rate_limited": _Known(ErrorKind.OTHER, True, "Wait, then connect again."),
    "handshake_server_error": _Known(ErrorKind.OTHER, True, "Connect again later; the server failed."),
    "handshake_refused": _Known(ErrorKind.OTHER, False, "Check url and port: what answers there does not speak this protocol."),
    "connection_refused": _Known(ErrorKind.OTHER, True, "Check url, port and network, then connect again."),
    "connection_lost": _Known(ErrorKind.OTHER, True, "Open a new session; what was pending has failed."),
    "message_too_big": _Known(
        ErrorKind.OTHER,
        False,
        "A limit of size, which the next connection meets as well: raise the link's max_message, or that of a proxy between; "
        "send audio and images in smaller pieces.",
    ),
    "message_refused": _Known(
        ErrorKind.OTHER, False, "The server takes no such messages at all: check connection.url and connection.dialect."
    ),
    "configuration_refused": _Known(
        ErrorKind.OTHER,
        True,
        "Was the configuration rejected? Check the model, the dialect and each option against what the server takes; begin with "
        "none of them.",
    ),
}

_KERNELS: tuple[tuple[str, str], ...] = (
    # A kernel of the message, "…" for anything between; the first that fits decides. Right: the code that it stands for.
    ("already has an active response", "conversation_already_has_active_response"),
    ("no active response found", "response_cancel_not_active"),
    ("buffer too small", "input_audio_buffer_commit_empty"),
    ("the buffer is empty", "input_audio_buffer_commit_empty"),
    ("only model output audio messages can be truncated", "truncate_no_audio"),
    ("audio content of … is already shorter than", "truncate_too_long"),
    ("item … is already truncated", "item_already_truncated"),
    ("previous item with id … does not exist", "item_create_invalid_previous_item_id"),
    ("an item with id … already exists", "item_create_duplicate_item_id"),
    ("error deleting item", "item_delete_invalid_item_id"),
    ("error retrieving item", "item_retrieve_invalid_item_id"),
    ("item with item_id not found", "item_truncate_invalid_item_id"),
    ("the item with id … does not exist", "item_truncate_invalid_item_id"),
    ("tool call id … not found", "tool_call_not_found"),
    # The live server's words for an address that opened the other type of session (docs/decisions.md).
    ("transcription session update event to a realtime session", "address_of_a_conversation"),
    ("must not provide a model parameter for transcription sessions", "address_of_a_conversation"),
    ("is not supported in transcription mode", "address_of_a_conversation"),
    ("realtime session update event to a transcription session", "address_of_a_transcription"),
    ("hit the maximum duration", "session_expired"),
    ("session slots are in use", "session_limit_reached"),
    ("incorrect api key", "invalid_api_key"),
    ("invalid api key", "invalid_api_key"),
    ("exceeded your current quota", "insufficient_quota"),
    ("cannot update a conversation's voice", "cannot_update_voice"),
    ("beta_api_shape_disabled", "beta_api_shape_disabled"),
)

# Codes that say too little: the text may say more.
_VAGUE = frozenset({"invalid_value", "unknown_parameter", "missing_required_parameter", "server_error", "internal_error"})

_STATUS: dict[int, str] = {
    401: "handshake_unauthorized",
    403: "handshake_forbidden",
    404: "handshake_not_found",
    429: "handshake_rate_limited",
}
_SERVER_FAULT = 500
_CLOSE: dict[int, str] = {1003: "message_refused", 1009: "message_too_big"}
"""Close codes that say of a configuration what no other connection would change (F096). Others may pass."""
_NO_COMPLAINT = frozenset({1000, 1005, 1008})
"""Close codes of a server that meant to close: in order, without a code, by its policy."""


def _fits(kernel: str, message: str) -> bool:
    """Whether the pieces of the kernel stand in the message in this order."""
    at = 0
    for piece in kernel.lower().split("…"):
        found = message.find(piece.strip(), at)
        if found < 0:
            return False
        at = found + len(piece.strip())
    return True


def _find(code: str | None, message: str, type: str, extra: Iterable[DialectError] = ()) -> str | DialectError | None:
    """The entry of ``_KNOWN``, by its name, or the dialect's own that fits.

    By code, or by a type that carries the code: the protocol's first, then the dialect's. Then by text, in that order; then by
    a code that says little.
    """
    own = tuple(extra)
    for name in (code, type):
        if name in _KNOWN and name not in _VAGUE:
            return name
    text = message.lower()
    for each in own:
        if each.code and each.code in (code, type) and _fits(each.text, text):
            return each
    for kernel, name in _KERNELS:
        if _fits(kernel, text):
            return name
    for each in own:
        if not each.code and _fits(each.text, text):
            return each
    return next((name for name in (code, type) if name in _KNOWN), None)


def classify(code: str | None, message: str, type: str = "", *, extra: Iterable[DialectError] = ()) -> ErrorKind:
    """What the error means. ``extra`` are the dialect's own (``Dialect.errors``); the protocol's are asked before them."""
    found = _find(code, message, type, extra)
    if isinstance(found, DialectError):
        return found.kind
    return ErrorKind.OTHER if found is None or found in _VAGUE else _KNOWN[found].kind


def command_of(code: str | None, message: str, type: str = "", *, extra: Iterable[DialectError] = ()) -> str:
    """The command that an error answers, where its table says; else ""."""
    found = _find(code, message, type, extra)
    if isinstance(found, DialectError):
        return found.command
    return _KNOWN[found].command if found is not None else ""


def problem(
    code: str | None, message: str, param: str | None = None, type: str = "", *, extra: Iterable[DialectError] = ()
) -> Problem:
    """The server's error with whether it can be retried and what to do; ``extra`` as in ``classify``.

    A code of the server is kept as it came. Where it sent none, the code that its text stands for is filled in, so that a
    program can match one name for all servers; then ``type``; then ``"unknown_error"``.
    """
    found = _find(code, message, type, extra)
    known = found if isinstance(found, str) else None
    if isinstance(found, DialectError):
        entry = _Known(found.kind, found.retryable, found.remedy)
    else:
        entry = _KNOWN[found] if found is not None else _Known(ErrorKind.OTHER, False, _remedy_of(param))
    return Problem(
        code=code or known or type or "unknown_error",
        message=message,
        retryable=entry.retryable,
        remedy=entry.remedy,
        param=param,
        type=type,
    )


def _remedy_of(param: str | None) -> str:
    if param:
        return f"Correct {param!r} as the message says; the session goes on."
    return "Read the message: the command it answers was not carried out; the session goes on."


def connection_problem(
    *, http_status: int | None = None, close_code: int | None = None, reason: str = "", error: str = ""
) -> Problem:
    """Why a connection did not come up or went away, as a problem. All four come from the adapter and may be missing.

    A handshake that was refused (``http_status``) and a close that carries a known reason (session expired 1.7, preview shape
    switched off 1.4, no quota 1.8) are named, and close codes that name a limit (F096); any other loss is ``connection_lost``,
    one before a connection existed (``error`` alone) ``connection_refused``.
    """
    if http_status is not None:
        code = _STATUS.get(http_status) or ("handshake_server_error" if http_status >= _SERVER_FAULT else "handshake_refused")
        message = f"the server refused the handshake with HTTP status {http_status}"
    elif close_code is not None:
        known = _find(reason.rpartition(".")[2], reason, "")
        code = known if isinstance(known, str) else _CLOSE.get(close_code, "connection_lost")
        message = f"the connection was closed with code {close_code}"
    else:
        code = "connection_refused" if error else "connection_lost"
        message = "the connection could not be made" if error else "the connection went away"
    detail = "; ".join(part for part in (reason, error) if part)
    return problem(code, f"{message}: {detail}" if detail else message, type="connection")


def configuration_problem(told: Problem, close_code: int | None) -> Problem:
    """The same loss as that of a connection whose session.update had no answer: a server that closes on one may mean just that
    (F102). A close that says more, or that nobody meant, stays what it is."""
    if told.code != "connection_lost" or close_code not in _NO_COMPLAINT:
        return told
    return problem("configuration_refused", f"{told.message}, before it acknowledged session.update", type="connection")


_IN_PROGRESS = re.compile(r"in progress: ([\w-]+)")
_HELD = re.compile(r"audio content of (\d+)(?:\.\d+)?\s*ms is already shorter than", re.IGNORECASE)
_QUOTED_ID = re.compile(
    r"\bitem with id ['\"`]([^'\"`]+)['\"`]|\bitem with item_id not found:\s*['\"`]?([^\s'\"`.]+)", re.IGNORECASE
)
_QUOTED_CALL = re.compile(r"\btool call id ['\"`]?([^\s'\"`]+)", re.IGNORECASE)


def held_ms(message: str) -> int | None:
    """The length that the server holds, in ms, from "Audio content of 6100ms is already shorter than 6185ms"; or None (C09)."""
    found = _HELD.search(message)
    return int(found[1]) if found else None


def named_response(message: str) -> str | None:
    """The response that holds the slot, as an active-response refusal may name it in its text (facts 6.1); or None."""
    found = _IN_PROGRESS.search(message)
    return found[1] if found else None


def quoted_item_id(message: str) -> str | None:
    """The item that an error names in its text, or None. Errors of some servers come without ``event_id`` (LIVE, section 6)."""
    found = _QUOTED_ID.search(message)
    return (found[1] or found[2]) if found else None


def quoted_call_id(message: str) -> str | None:
    """The function call that an error about its output names in its text (facts 6.1), or None."""
    found = _QUOTED_CALL.search(message)
    return found[1] if found else None
