"""Server events beside speech and responses: remote tools, keys of a telephone, idle time-outs, segments of a transcript.

Also the base of every server event, and what is deliberately not read, with the reason. Where a field's type is not sure it is
``Any``: one vendor's odd value must not cost the event.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct


class Event(Struct, tag_field="type"):
    """Base of every server event."""


class TimeoutTriggered(Event, tag="input_audio_buffer.timeout_triggered"):
    """The idle time-out; the items and the response that it leads to are announced like any others (facts 4.12)."""

    item_id: str | None = None
    audio_start_ms: Any = None
    audio_end_ms: Any = None


class DtmfEvent(Event, tag="input_audio_buffer.dtmf_event_received"):
    """A key of the caller's telephone, on a SIP call; the one event without an event_id (facts 1.10)."""

    event: str
    received_at: Any = None


class TranscriptionSegment(Event, tag="conversation.item.input_audio_transcription.segment"):
    """A stretch of the user's words with its speaker, from a model that tells speakers apart (facts 11.6). Times in seconds."""

    item_id: str
    text: str
    id: str = ""
    content_index: int = 0
    speaker: str | None = None
    start: Any = None
    end: Any = None


class McpListingBegan(Event, tag="mcp_list_tools.in_progress"):
    item_id: str


class McpListingDone(Event, tag="mcp_list_tools.completed"):
    item_id: str


class McpListingFailed(Event, tag="mcp_list_tools.failed"):
    item_id: str


class McpArgumentsDelta(Event, tag="response.mcp_call_arguments.delta", gc=False):
    """Not read: the arguments come whole with .done."""


class McpArgumentsDone(Event, tag="response.mcp_call_arguments.done"):
    item_id: str
    arguments: str


class McpCallBegan(Event, tag="response.mcp_call.in_progress"):
    """Without a response_id, as the other two (facts 4.14)."""

    item_id: str


class McpCallDone(Event, tag="response.mcp_call.completed"):
    item_id: str


class McpCallFailed(Event, tag="response.mcp_call.failed"):
    item_id: str


OtherEvent = (
    TimeoutTriggered
    | DtmfEvent
    | TranscriptionSegment
    | McpListingBegan
    | McpListingDone
    | McpListingFailed
    | McpArgumentsDelta
    | McpArgumentsDone
    | McpCallBegan
    | McpCallDone
    | McpCallFailed
)

_ORDER = "items are told apart by their ids; the order of sound is that of first audio, that of the conversation previous_item_id"
_CALL = "stands in the call's item as well, which is known by item_id"

UNREAD: Mapping[str, Mapping[str, str]] = {
    "*": {
        "event_id": "the server's own count of its events; nothing refers to it, and it is no echo (facts 1.10)",
        "output_index": _ORDER,
        "obfuscation": "random padding (facts, wire_facts_not_in_sdk)",
    },
    "conversation.created": {"conversation": "the default conversation is known without its id"},
    "conversation.item.done": {"previous_item_id": "sometimes null although .added named one (facts 3.4)"},
    "response.mcp_call_arguments.delta": {
        "delta": "the arguments are told when they are whole; .done carries them",
        "item_id": "as delta",
        "response_id": "known by item_id",
    },
    "response.mcp_call_arguments.done": {"response_id": "known by item_id"},
    "response.content_part.added": {"content": "Azure GA says part twice (facts, wire_facts_not_in_sdk)"},
    "response.content_part.done": {"content": "Azure GA says part twice (facts, wire_facts_not_in_sdk)"},
    "item": {"object": 'always "realtime.item" (beta), absent in GA'},
    "part": {
        "audio": "the server never sends an item's audio back but in conversation.item.retrieved, which is told whole",
        "image_url": "the program's own; kept from what was sent",
        "detail": "the program's own; kept from what was sent",
        "format": "that of the session, or of the response, as asked for",
        "logprobs": "a transcript's are told with conversation.item.input_audio_transcription.completed",
    },
    "response": {
        "object": 'always "realtime.response"',
        "audio": "echo of what was asked for",
        "voice": "echo of what was asked for",
        "output_audio_format": "echo of what was asked for",
        "output_modalities": "the parts say what they are",
        "modalities": "the parts say what they are",
        "max_output_tokens": "echo of what was asked for",
        "max_response_output_tokens": "echo of what was asked for",
        "temperature": "echo of what was asked for",
    },
    "error": {},
}
"""Fields that are known and not read, by the event's type ("*": all), or by the object that they are of, each with the reason."""
