"""What a client may say: every client event of GA and of the beta as a table; ``_server_events`` has those of the others.

The tables are written from the protocol facts (``events.json``, client events and their objects; ``protocol.md`` sections 2,
5, 6) and from nothing in the core, so that a mistake in the core's own tables is found here.
"""

from collections.abc import Mapping
from typing import Any

from rtcore.sim._server_checks import (
    Check,
    Fault,
    anything,
    either,
    flag,
    listing,
    mapping,
    maybe,
    number,
    one_of,
    pairs,
    shape,
    tagged,
    text,
    whole,
)

# -- parts that both dialects share -----------------------------------------------------------------------------------------

_ID = text(32, minimum=1)
_STATUS = one_of("completed", "incomplete", "in_progress")
_OBJECT = one_of("realtime.item")
TOKENS = either(one_of("inf"), whole(1, 4096))
FUNCTION = shape(
    {"type": one_of("function"), "name": text(64, minimum=1), "description": text(), "parameters": mapping}, "type", "name"
)
TRANSCRIPTION_GA = shape(
    {
        "model": text(),
        "language": text(),
        "prompt": text(),
        "delay": one_of("minimal", "low", "medium", "high", "xhigh"),
        "keywords": listing(text()),
        "languages": listing(text()),
    }
)
TRANSCRIPTION_PREVIEW = shape({"model": text(), "language": text(), "prompt": text()})
TRACING = either(one_of("auto"), shape({"group_id": text(), "metadata": mapping, "workflow_name": text()}))
VAD = {
    "type": anything,
    "threshold": number(0, 1),
    "prefix_padding_ms": whole(0),
    "silence_duration_ms": whole(0),
    "create_response": flag,
    "interrupt_response": flag,
}
SEMANTIC = {
    "type": anything,
    "eagerness": one_of("low", "medium", "high", "auto"),
    "create_response": flag,
    "interrupt_response": flag,
}
_ITEM = {"id": _ID, "type": anything, "object": _OBJECT, "status": _STATUS}
_MCP_ITEM = {"id": _ID, "type": anything}


def event_of(fields: Mapping[str, Check], *required: str) -> Check:
    return shape({"type": anything, "event_id": maybe(text(512)), **fields}, *required)


_COMMON: dict[str, Check] = {
    "input_audio_buffer.append": event_of({"audio": text(15 << 20)}, "audio"),
    "input_audio_buffer.commit": event_of({}),
    "input_audio_buffer.clear": event_of({}),
    "conversation.item.retrieve": event_of({"item_id": text()}, "item_id"),
    "conversation.item.delete": event_of({"item_id": text()}, "item_id"),
    "conversation.item.truncate": event_of(
        {"item_id": text(), "content_index": whole(0), "audio_end_ms": whole(0)}, "item_id", "content_index", "audio_end_ms"
    ),
    "response.cancel": event_of({"response_id": maybe(text())}),
}


# -- GA ---------------------------------------------------------------------------------------------------------------------

_VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
"""In both generations: which voices a server lists goes by its models. A refusal in the flat shape names the last two as well."""
_FORMAT_GA = tagged(
    "type",
    {
        "audio/pcm": shape({"type": anything, "rate": whole(24_000, 24_000)}),
        "audio/pcmu": shape({"type": anything}),
        "audio/pcma": shape({"type": anything}),
    },
)
_VOICE_GA = either(one_of(*_VOICES), shape({"id": text(minimum=1)}, "id"))
PROMPT = shape({"id": text(minimum=1), "version": maybe(text()), "variables": maybe(mapping)}, "id")
REASONING = shape({"effort": one_of("minimal", "low", "medium", "high", "xhigh")})
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
TOOLS_GA = listing(tagged("type", {"function": FUNCTION, "mcp": _MCP}, default="function"))
CHOICE_GA = either(
    one_of("none", "auto", "required"),
    tagged(
        "type",
        {
            "function": shape({"type": anything, "name": text(minimum=1)}, "name"),
            "mcp": shape({"type": anything, "server_label": text(minimum=1), "name": maybe(text())}, "server_label"),
        },
    ),
)


def modalities_ga(value: Any, path: str) -> Fault | None:
    """["audio"] or ["text"], never both (protocol facts, 2.6)."""
    if fault := listing(one_of("text", "audio"))(value, path):
        return fault
    if value in (["audio"], ["text"]):
        return None
    message = f"Invalid modalities: {value}. Supported combinations are: ['text'] and ['audio']."
    return Fault("invalid_value", path, message)


NOISE_GA = maybe(shape({"type": one_of("near_field", "far_field"), "strength": number(0, 1)}, "type"))
TRUNCATION = either(
    one_of("auto", "disabled"),
    tagged(
        "type",
        {
            "retention_ratio": shape(
                {"type": anything, "retention_ratio": number(0, 1), "token_limits": shape({"post_instructions": whole(0)})},
                "retention_ratio",
            )
        },
    ),
)
_INPUT_GA = shape(
    {
        "format": _FORMAT_GA,
        "noise_reduction": NOISE_GA,
        "transcription": maybe(TRANSCRIPTION_GA),
        "turn_detection": maybe(
            tagged(
                "type",
                {
                    "server_vad": shape({**VAD, "idle_timeout_ms": maybe(whole(5_000, 30_000))}),
                    "semantic_vad": shape(SEMANTIC),
                },
            )
        ),
    }
)
INCLUDE = maybe(listing(one_of("item.input_audio_transcription.logprobs")))
# Nothing that a model would need (protocol facts, 12.1).
LISTENING_GA = shape({"type": anything, "include": INCLUDE, "audio": shape({"input": _INPUT_GA})})
_SESSION_GA = shape(
    {
        "type": anything,
        "model": text(),
        "instructions": text(),
        "output_modalities": modalities_ga,
        "max_output_tokens": TOKENS,
        "include": INCLUDE,
        "parallel_tool_calls": flag,
        "prompt": maybe(PROMPT),
        "reasoning": REASONING,
        "tool_choice": CHOICE_GA,
        "tools": TOOLS_GA,
        "tracing": maybe(TRACING),
        "truncation": TRUNCATION,
        "audio": shape(
            {
                "input": _INPUT_GA,
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
ITEMS_GA = {
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
REFERENCE = shape({"type": anything, "id": text(minimum=1)}, "id")
_RESPONSE_GA = shape(
    {
        "audio": shape({"output": shape({"format": _FORMAT_GA, "voice": _VOICE_GA})}),
        "conversation": one_of("auto", "none"),
        "input": listing(tagged("type", {**ITEMS_GA, "item_reference": REFERENCE})),
        "instructions": maybe(text()),  # null, as livekit-agents sends it, is none
        "max_output_tokens": TOKENS,
        "metadata": maybe(pairs),
        "output_modalities": modalities_ga,
        "parallel_tool_calls": flag,
        "prompt": maybe(PROMPT),
        "reasoning": REASONING,
        "tool_choice": CHOICE_GA,
        "tools": TOOLS_GA,
    }
)
GA: dict[str, Check] = {
    **_COMMON,
    "session.update": event_of({"session": tagged("type", {"realtime": _SESSION_GA, "transcription": LISTENING_GA})}, "session"),
    "conversation.item.create": event_of({"item": tagged("type", ITEMS_GA), "previous_item_id": maybe(text(minimum=1))}, "item"),
    "response.create": event_of({"response": maybe(_RESPONSE_GA)}),
}


# -- preview ----------------------------------------------------------------------------------------------------------------

_FORMAT_PREVIEW = one_of("pcm16", "g711_ulaw", "g711_alaw")


def modalities_preview(value: Any, path: str) -> Fault | None:
    """["text"] or ["audio", "text"]; ["audio"] alone is refused (protocol facts, 2.6)."""
    if fault := listing(one_of("text", "audio"))(value, path):
        return fault
    if value in (["text"], ["audio", "text"], ["text", "audio"]):
        return None
    message = f"Invalid modalities: {value}. Supported combinations are: ['text'] and ['audio', 'text']."
    return Fault("invalid_value", path, message)


TOOLS_PREVIEW = listing(FUNCTION)
CHOICE_PREVIEW = either(text(minimum=1), shape({"type": one_of("function"), "name": text(minimum=1)}, "type", "name"))
_SESSION_PREVIEW = shape(
    {
        "model": text(),
        "modalities": modalities_preview,
        "instructions": text(),
        "voice": one_of(*_VOICES),
        "speed": number(0.25, 1.5),
        "input_audio_format": _FORMAT_PREVIEW,
        "output_audio_format": _FORMAT_PREVIEW,
        "input_audio_transcription": maybe(TRANSCRIPTION_PREVIEW),
        "input_audio_noise_reduction": maybe(shape({"type": one_of("near_field", "far_field")}, "type")),
        "turn_detection": maybe(tagged("type", {"server_vad": shape(VAD), "semantic_vad": shape(SEMANTIC)})),
        "tools": TOOLS_PREVIEW,
        "tool_choice": CHOICE_PREVIEW,
        "temperature": number(0.6, 1.2),
        "max_response_output_tokens": TOKENS,
        "tracing": maybe(TRACING),
        "client_secret": mapping,
    }
)
_LISTENING_PREVIEW = shape(
    {
        "modalities": listing(one_of("text", "audio")),
        "input_audio_format": _FORMAT_PREVIEW,
        "input_audio_transcription": maybe(TRANSCRIPTION_PREVIEW),
        "input_audio_noise_reduction": maybe(shape({"type": one_of("near_field", "far_field")}, "type")),
        "turn_detection": maybe(tagged("type", {"server_vad": shape(VAD), "semantic_vad": shape(SEMANTIC)})),
        "include": INCLUDE,
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
ITEMS_PREVIEW = {
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
        "modalities": modalities_preview,
        "instructions": maybe(text()),
        "voice": one_of(*_VOICES),
        "output_audio_format": _FORMAT_PREVIEW,
        "tools": TOOLS_PREVIEW,
        "tool_choice": CHOICE_PREVIEW,
        "temperature": number(0.6, 1.2),
        "max_response_output_tokens": TOKENS,
        "conversation": one_of("auto", "none"),
        "metadata": maybe(pairs),
        "input": listing(tagged("type", {**ITEMS_PREVIEW, "item_reference": REFERENCE})),
    }
)
PREVIEW: dict[str, Check] = {
    **_COMMON,
    "transcription_session.update": event_of({"session": _LISTENING_PREVIEW}, "session"),
    "session.update": event_of({"session": _SESSION_PREVIEW}, "session"),
    "conversation.item.create": event_of(
        {"item": tagged("type", ITEMS_PREVIEW), "previous_item_id": maybe(text(minimum=1))}, "item"
    ),
    "response.create": event_of({"response": maybe(_RESPONSE_PREVIEW)}),
}
