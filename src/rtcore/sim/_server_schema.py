"""What a client may say: every client event of both dialects as a table, and the check that refuses what does not fit.

The tables are written from the protocol facts (``events.json``, client events and their objects; ``protocol.md`` sections 2,
5, 6) and from nothing in the core, so that a mistake in the core's own tables is found here. ``check`` gives the first fault
in a fixed order: a missing field, an unknown field, then each field's value in the order in which it was sent.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Fault(NamedTuple):
    """Why a client event is refused: the protocol's ``code``, the ``param`` it names, and the text."""

    code: str | None
    param: str | None
    message: str
    type: str = "invalid_request_error"


Check = Callable[[Any, str], Fault | None]
"""Looks at a value and the path that names it; gives its first fault."""


# -- values -----------------------------------------------------------------------------------------------------------------


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a decimal number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"


def _wrong(path: str, expected: str, value: object) -> Fault:
    message = f"Invalid type for '{path}': expected {expected}, but got {_kind(value)} instead."
    return Fault("invalid_type", path, message)


def _outside(code: str, path: str, what: str, expected: str) -> Fault:
    return Fault(code, path, f"Invalid '{path}': {what}. Expected {expected} instead.")


def listed(values: tuple[str, ...]) -> str:
    """The values as the server lists them: ``'a', 'b', and 'c'``."""
    quoted = [f"'{value}'" for value in values]
    match quoted:
        case [only]:
            return only
        case [first, second]:
            return f"{first} and {second}"
        case _:
            return ", ".join(quoted[:-1]) + f", and {quoted[-1]}"


def invalid_value(path: str, value: object, values: tuple[str, ...]) -> Fault:
    """The refusal of a value outside a closed list."""
    return Fault("invalid_value", path, f"Invalid value: '{value}'. Supported values are: {listed(values)}.")


def text(maximum: int = 1 << 20, *, minimum: int = 0) -> Check:
    """A string of ``minimum`` to ``maximum`` characters."""

    def check(value: Any, path: str) -> Fault | None:
        if not isinstance(value, str):
            return _wrong(path, "a string", value)
        if len(value) > maximum:
            expected = f"a string with maximum length {maximum}, but got a string with length {len(value)}"
            return _outside("string_above_max_length", path, "string too long", expected)
        if len(value) < minimum:
            expected = f"a string with minimum length {minimum}, but got an empty string"
            return _outside("empty_string", path, "empty string", expected)
        return None

    return check


def one_of(*values: str) -> Check:
    """A string of a closed list."""

    def check(value: Any, path: str) -> Fault | None:
        if not isinstance(value, str):
            return _wrong(path, "a string", value)
        return None if value in values else invalid_value(path, value, values)

    return check


def whole(low: int, high: int = 1 << 53) -> Check:
    """An integer in [low, high]. A decimal number is refused even where its value is whole (F011)."""

    def check(value: Any, path: str) -> Fault | None:
        if not isinstance(value, int) or isinstance(value, bool):
            return _wrong(path, "an integer", value)
        if value < low:
            return _outside("integer_below_min_value", path, "integer below minimum value", f"a value >= {low}, but got {value}")
        if value > high:
            return _outside("integer_above_max_value", path, "integer above maximum value", f"a value <= {high}, but got {value}")
        return None

    return check


def number(low: float, high: float) -> Check:
    """A number in [low, high]."""

    def check(value: Any, path: str) -> Fault | None:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return _wrong(path, "a decimal number", value)
        if value < low:
            return _outside("decimal_below_min_value", path, "decimal below minimum value", f"a value >= {low}, but got {value}")
        if value > high:
            return _outside("decimal_above_max_value", path, "decimal above maximum value", f"a value <= {high}, but got {value}")
        return None

    return check


def flag(value: Any, path: str) -> Fault | None:
    """True or false."""
    return None if isinstance(value, bool) else _wrong(path, "a boolean", value)


def anything(value: Any, path: str) -> Fault | None:
    """Whatever JSON can say."""
    return None


def mapping(value: Any, path: str) -> Fault | None:
    """An object with any keys."""
    return None if isinstance(value, dict) else _wrong(path, "an object", value)


def pairs(value: Any, path: str) -> Fault | None:
    """``metadata``: at most 16 pairs of strings, keys up to 64 characters, values up to 512 (protocol facts, 2.7)."""
    if not isinstance(value, dict):
        return _wrong(path, "an object", value)
    if len(value) > 16:
        expected = f"an object with at most 16 properties, but got an object with {len(value)} properties"
        return _outside("object_above_max_properties", path, "too many properties", expected)
    for key, held in value.items():
        if len(key) > 64:
            expected = f"a name with maximum length 64, but got a name with length {len(key)}"
            return _outside("property_name_above_max_length", path, "property name too long", expected)
        if fault := text(512)(held, f"{path}.{key}"):
            return fault
    return None


def maybe(check: Check) -> Check:
    """Null, or what ``check`` takes."""

    def nullable(value: Any, path: str) -> Fault | None:
        return None if value is None else check(value, path)

    return nullable


def listing(check: Check) -> Check:
    """An array of what ``check`` takes."""

    def array(value: Any, path: str) -> Fault | None:
        if not isinstance(value, list):
            return _wrong(path, "an array", value)
        for index, held in enumerate(value):
            if fault := check(held, f"{path}[{index}]"):
                return fault
        return None

    return array


def shape(fields: Mapping[str, Check], *required: str) -> Check:
    """An object with these fields and no others."""

    def check(value: Any, path: str) -> Fault | None:
        if not isinstance(value, dict):
            return _wrong(path, "an object", value)
        stem = f"{path}." if path else ""
        for key in required:
            if key not in value:
                return missing(f"{stem}{key}")
        for key in value:
            if key not in fields:
                return Fault("unknown_parameter", f"{stem}{key}", f"Unknown parameter: '{stem}{key}'.")
        for key, held in value.items():
            if fault := fields[key](held, f"{stem}{key}"):
                return fault
        return None

    return check


def missing(path: str) -> Fault:
    """The refusal of an absent field."""
    return Fault("missing_required_parameter", path, f"Missing required parameter: '{path}'.")


def tagged(key: str, options: Mapping[str, Check], default: str | None = None) -> Check:
    """An object whose ``key`` says which of ``options`` it must be."""

    def check(value: Any, path: str) -> Fault | None:
        if not isinstance(value, dict):
            return _wrong(path, "an object", value)
        stem = f"{path}." if path else ""
        tag = value.get(key, default)
        if tag is None and key not in value:
            return missing(f"{stem}{key}")
        if not isinstance(tag, str):
            return _wrong(f"{stem}{key}", "a string", tag)
        if tag not in options:
            return invalid_value(f"{stem}{key}", tag, tuple(options))
        return options[tag](value, path)

    return check


def either(word: Check, thing: Check, *, kinds: tuple[type, ...] = (str,)) -> Check:
    """``word`` where the value is of ``kinds``, ``thing`` otherwise."""

    def check(value: Any, path: str) -> Fault | None:
        return word(value, path) if isinstance(value, kinds) else thing(value, path)

    return check


# -- parts that both dialects share -----------------------------------------------------------------------------------------

_ID = text(32, minimum=1)
_STATUS = one_of("completed", "incomplete", "in_progress")
_OBJECT = one_of("realtime.item")
_TOKENS = either(one_of("inf"), whole(1, 4096))
_FUNCTION = shape(
    {"type": one_of("function"), "name": text(64, minimum=1), "description": text(), "parameters": mapping}, "type", "name"
)
_TRANSCRIPTION_GA = shape(
    {
        "model": text(),
        "language": text(),
        "prompt": text(),
        "delay": one_of("minimal", "low", "medium", "high", "xhigh"),
        "keywords": listing(text()),
        "languages": listing(text()),
    }
)
_TRANSCRIPTION_PREVIEW = shape({"model": text(), "language": text(), "prompt": text()})
_TRACING = either(one_of("auto"), shape({"group_id": text(), "metadata": mapping, "workflow_name": text()}))
_VAD = {
    "type": anything,
    "threshold": number(0, 1),
    "prefix_padding_ms": whole(0),
    "silence_duration_ms": whole(0),
    "create_response": flag,
    "interrupt_response": flag,
}
_SEMANTIC = {
    "type": anything,
    "eagerness": one_of("low", "medium", "high", "auto"),
    "create_response": flag,
    "interrupt_response": flag,
}
_ITEM = {"id": _ID, "type": anything, "object": _OBJECT, "status": _STATUS}
_MCP_ITEM = {"id": _ID, "type": anything}


def _event(fields: Mapping[str, Check], *required: str) -> Check:
    return shape({"type": anything, "event_id": maybe(text(512)), **fields}, *required)


_COMMON: dict[str, Check] = {
    "input_audio_buffer.append": _event({"audio": text(15 << 20)}, "audio"),
    "input_audio_buffer.commit": _event({}),
    "input_audio_buffer.clear": _event({}),
    "conversation.item.retrieve": _event({"item_id": text()}, "item_id"),
    "conversation.item.delete": _event({"item_id": text()}, "item_id"),
    "conversation.item.truncate": _event(
        {"item_id": text(), "content_index": whole(0), "audio_end_ms": whole(0)}, "item_id", "content_index", "audio_end_ms"
    ),
    "response.cancel": _event({"response_id": maybe(text())}),
}


# -- GA ---------------------------------------------------------------------------------------------------------------------

_VOICES_GA = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
_FORMAT_GA = tagged(
    "type",
    {
        "audio/pcm": shape({"type": anything, "rate": whole(24_000, 24_000)}),
        "audio/pcmu": shape({"type": anything}),
        "audio/pcma": shape({"type": anything}),
    },
)
_VOICE_GA = either(one_of(*_VOICES_GA), shape({"id": text(minimum=1)}, "id"))
_PROMPT = shape({"id": text(minimum=1), "version": maybe(text()), "variables": maybe(mapping)}, "id")
_REASONING = shape({"effort": one_of("minimal", "low", "medium", "high", "xhigh")})
_FILTER = shape({"read_only": flag, "tool_names": listing(text())})
_MCP = shape(
    {
        "type": anything,
        "server_label": text(minimum=1),
        "server_url": text(),
        "server_description": text(),
        "connector_id": text(),
        "tunnel_id": text(),
        "authorization": text(),
        "defer_loading": flag,
        "headers": maybe(mapping),
        "allowed_callers": maybe(listing(one_of("direct", "programmatic"))),
        "allowed_tools": maybe(either(listing(text()), _FILTER, kinds=(list,))),
        "require_approval": maybe(either(one_of("always", "never"), shape({"always": _FILTER, "never": _FILTER}))),
    },
    "server_label",
)
_TOOLS_GA = listing(tagged("type", {"function": _FUNCTION, "mcp": _MCP}, default="function"))
_CHOICE_GA = either(
    one_of("none", "auto", "required"),
    tagged(
        "type",
        {
            "function": shape({"type": anything, "name": text(minimum=1)}, "name"),
            "mcp": shape({"type": anything, "server_label": text(minimum=1), "name": maybe(text())}, "server_label"),
        },
    ),
)


def _modalities_ga(value: Any, path: str) -> Fault | None:
    """["audio"] or ["text"], never both (protocol facts, 2.6)."""
    if fault := listing(one_of("text", "audio"))(value, path):
        return fault
    if value in (["audio"], ["text"]):
        return None
    message = f"Invalid modalities: {value}. Supported combinations are: ['text'] and ['audio']."
    return Fault("invalid_value", path, message)


_SESSION_GA = shape(
    {
        "type": one_of("realtime"),
        "model": text(),
        "instructions": text(),
        "output_modalities": _modalities_ga,
        "max_output_tokens": _TOKENS,
        "include": maybe(listing(one_of("item.input_audio_transcription.logprobs"))),
        "parallel_tool_calls": flag,
        "prompt": maybe(_PROMPT),
        "reasoning": _REASONING,
        "tool_choice": _CHOICE_GA,
        "tools": _TOOLS_GA,
        "tracing": maybe(_TRACING),
        "truncation": either(
            one_of("auto", "disabled"),
            shape(
                {
                    "type": one_of("retention_ratio"),
                    "retention_ratio": number(0, 1),
                    "token_limits": shape({"post_instructions": whole(0)}),
                },
                "type",
                "retention_ratio",
            ),
        ),
        "audio": shape(
            {
                "input": shape(
                    {
                        "format": _FORMAT_GA,
                        "noise_reduction": maybe(
                            shape({"type": one_of("near_field", "far_field"), "strength": number(0, 1)}, "type")
                        ),
                        "transcription": maybe(_TRANSCRIPTION_GA),
                        "turn_detection": maybe(
                            tagged(
                                "type",
                                {
                                    "server_vad": shape({**_VAD, "idle_timeout_ms": maybe(whole(5_000, 30_000))}),
                                    "semantic_vad": shape(_SEMANTIC),
                                },
                            )
                        ),
                    }
                ),
                "output": shape({"format": _FORMAT_GA, "voice": _VOICE_GA, "speed": number(0.25, 1.5)}),
            }
        ),
    },
    "type",
)

_PART = {"type": anything}
_USER_GA = tagged(
    "type",
    {
        "input_text": shape({**_PART, "text": text()}, "text"),
        "input_audio": shape({**_PART, "audio": text(15 << 20), "transcript": maybe(text())}, "audio"),
        "input_image": shape({**_PART, "image_url": text(), "detail": one_of("auto", "low", "high")}, "image_url"),
    },
)
_SYSTEM = tagged("type", {"input_text": shape({**_PART, "text": text()}, "text")})
# Assistant audio cannot be given back to the server, only its text (protocol facts, 5.8).
_ASSISTANT_GA = tagged("type", {"output_text": shape({**_PART, "text": text()}, "text")})


def _message(part: Check, **more: Check) -> Check:
    return shape({**_ITEM, "role": anything, "content": listing(part), **more}, "content")


_CALL = shape({**_ITEM, "call_id": _ID, "name": text(minimum=1), "arguments": text()}, "name", "arguments")
_ITEMS_GA = {
    "message": tagged(
        "role",
        {
            "user": _message(_USER_GA),
            "system": _message(_SYSTEM),
            "assistant": _message(_ASSISTANT_GA, phase=maybe(one_of("commentary", "final_answer"))),
        },
    ),
    "function_call": _CALL,
    "function_call_output": shape(
        {**_ITEM, "call_id": text(minimum=1), "output": either(text(), listing(mapping))}, "call_id", "output"
    ),
    "mcp_approval_response": shape(
        {**_MCP_ITEM, "approval_request_id": text(minimum=1), "approve": flag, "reason": maybe(text())},
        "id",
        "approval_request_id",
        "approve",
    ),
    "mcp_approval_request": shape(
        {**_MCP_ITEM, "server_label": text(), "name": text(), "arguments": text()}, "id", "server_label", "name", "arguments"
    ),
    "mcp_list_tools": shape({**_MCP_ITEM, "server_label": text(), "tools": listing(mapping)}, "server_label", "tools"),
    "mcp_call": shape(
        {
            **_MCP_ITEM,
            "server_label": text(),
            "name": text(),
            "arguments": text(),
            "approval_request_id": maybe(text()),
            "error": maybe(mapping),
            "output": maybe(text()),
        },
        "id",
        "server_label",
        "name",
        "arguments",
    ),
}
_REFERENCE = shape({"type": anything, "id": text(minimum=1)}, "id")
_RESPONSE_GA = shape(
    {
        "audio": shape({"output": shape({"format": _FORMAT_GA, "voice": _VOICE_GA})}),
        "conversation": one_of("auto", "none"),
        "input": listing(tagged("type", {**_ITEMS_GA, "item_reference": _REFERENCE})),
        "instructions": text(),
        "max_output_tokens": _TOKENS,
        "metadata": maybe(pairs),
        "output_modalities": _modalities_ga,
        "parallel_tool_calls": flag,
        "prompt": maybe(_PROMPT),
        "reasoning": _REASONING,
        "tool_choice": _CHOICE_GA,
        "tools": _TOOLS_GA,
    }
)
_GA: dict[str, Check] = {
    **_COMMON,
    "session.update": _event({"session": _SESSION_GA}, "session"),
    "conversation.item.create": _event({"item": tagged("type", _ITEMS_GA), "previous_item_id": maybe(text(minimum=1))}, "item"),
    "response.create": _event({"response": maybe(_RESPONSE_GA)}),
}


# -- preview ----------------------------------------------------------------------------------------------------------------

_VOICES_PREVIEW = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse")
_FORMAT_PREVIEW = one_of("pcm16", "g711_ulaw", "g711_alaw")


def _modalities_preview(value: Any, path: str) -> Fault | None:
    """["text"] or ["audio", "text"]; ["audio"] alone is refused (protocol facts, 2.6)."""
    if fault := listing(one_of("text", "audio"))(value, path):
        return fault
    if value in (["text"], ["audio", "text"], ["text", "audio"]):
        return None
    message = f"Invalid modalities: {value}. Supported combinations are: ['text'] and ['audio', 'text']."
    return Fault("invalid_value", path, message)


_TOOLS_PREVIEW = listing(_FUNCTION)
_CHOICE_PREVIEW = either(text(minimum=1), shape({"type": one_of("function"), "name": text(minimum=1)}, "type", "name"))
_SESSION_PREVIEW = shape(
    {
        "model": text(),
        "modalities": _modalities_preview,
        "instructions": text(),
        "voice": one_of(*_VOICES_PREVIEW),
        "speed": number(0.25, 1.5),
        "input_audio_format": _FORMAT_PREVIEW,
        "output_audio_format": _FORMAT_PREVIEW,
        "input_audio_transcription": maybe(_TRANSCRIPTION_PREVIEW),
        "input_audio_noise_reduction": maybe(shape({"type": one_of("near_field", "far_field")}, "type")),
        "turn_detection": maybe(tagged("type", {"server_vad": shape(_VAD), "semantic_vad": shape(_SEMANTIC)})),
        "tools": _TOOLS_PREVIEW,
        "tool_choice": _CHOICE_PREVIEW,
        "temperature": number(0.6, 1.2),
        "max_response_output_tokens": _TOKENS,
        "tracing": maybe(_TRACING),
        "client_secret": mapping,
    }
)
_USER_PREVIEW = tagged(
    "type",
    {
        "input_text": shape({**_PART, "text": text()}, "text"),
        "input_audio": shape({**_PART, "audio": text(15 << 20), "transcript": maybe(text())}, "audio"),
    },
)
_ITEMS_PREVIEW = {
    "message": tagged(
        "role",
        {
            "user": _message(_USER_PREVIEW),
            "system": _message(_SYSTEM),
            "assistant": _message(tagged("type", {"text": shape({**_PART, "text": text()}, "text")})),
        },
    ),
    "function_call": _CALL,
    "function_call_output": shape({**_ITEM, "call_id": text(minimum=1), "output": text()}, "call_id", "output"),
}
_RESPONSE_PREVIEW = shape(
    {
        "modalities": _modalities_preview,
        "instructions": text(),
        "voice": one_of(*_VOICES_PREVIEW),
        "output_audio_format": _FORMAT_PREVIEW,
        "tools": _TOOLS_PREVIEW,
        "tool_choice": _CHOICE_PREVIEW,
        "temperature": number(0.6, 1.2),
        "max_response_output_tokens": _TOKENS,
        "conversation": one_of("auto", "none"),
        "metadata": maybe(pairs),
        "input": listing(tagged("type", {**_ITEMS_PREVIEW, "item_reference": _REFERENCE})),
    }
)
_PREVIEW: dict[str, Check] = {
    **_COMMON,
    "session.update": _event({"session": _SESSION_PREVIEW}, "session"),
    "conversation.item.create": _event(
        {"item": tagged("type", _ITEMS_PREVIEW), "previous_item_id": maybe(text(minimum=1))}, "item"
    ),
    "response.create": _event({"response": maybe(_RESPONSE_PREVIEW)}),
}

_EVENTS: dict[str, dict[str, Check]] = {"openai": _GA, "azure-preview": _PREVIEW}

KNOWN_TYPES = (
    "session.update",
    "session.close",
    "transcription_session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "conversation.item.create",
    "conversation.item.truncate",
    "conversation.item.delete",
    "conversation.item.retrieve",
    "response.create",
    "response.cancel",
)
"""What the server names when it refuses an unknown type; ``output_audio_buffer.clear`` is not among them (6.4)."""


def check_event(dialect: str, event: Any) -> Fault | None:
    """The first thing wrong with a decoded client event by itself, without regard to the conversation."""
    if not isinstance(event, dict):
        return Fault("invalid_json", None, f"Invalid event: expected a JSON object, but got {_kind(event)} instead.")
    if "type" not in event:
        return missing("type")
    kind = event["type"]
    if not isinstance(kind, str):
        return _wrong("type", "a string", kind)
    check = _EVENTS[dialect].get(kind)
    if check is None:
        if kind in KNOWN_TYPES:
            return Fault("invalid_value", "type", f"The event type '{kind}' is not supported in a realtime session.")
        return invalid_value("type", kind, KNOWN_TYPES)
    return check(event, "")
