"""Messages as an observer sees them: one lenient Struct each way, whatever the dialect, read once when they are put on the line.

The auditor must not share the core's reading of the protocol, so nothing here imports the core's vocabulary.
"""

from typing import Any

import msgspec
from msgspec import Struct


class ResponseSeen(Struct, gc=False):
    """``response`` inside an event."""

    id: str = ""
    status: str | None = None
    status_details: Any = None
    conversation_id: Any = ""
    metadata: Any = None


class ItemSeen(Struct, gc=False):
    """``item`` inside an event."""

    id: str = ""
    type: str = ""
    role: str | None = None
    status: str | None = None
    call_id: str | None = None


class PartSeen(Struct, gc=False):
    """``part`` inside an event."""

    type: str = ""


class ErrorSeen(Struct, gc=False):
    """``error`` inside an event."""

    code: Any = None
    message: Any = None
    event_id: str | None = None


class ServerSeen(Struct, gc=False):
    """A server message on its way: what it says, when it left (nanoseconds), and as which of all it arrived (0: not yet)."""

    type: str = ""
    response_id: str | None = None
    item_id: str | None = None
    content_index: int = 0
    delta: str | None = None
    text: str | None = None
    transcript: str | None = None
    response: ResponseSeen | None = None
    item: ItemSeen | None = None
    part: PartSeen | None = None
    error: ErrorSeen | None = None
    audio_end_ms: int | None = None
    previous_item_id: str | None = ""
    """None: it is the first; empty: the event does not say."""
    sent_at: int = 0
    got_order: int = 0
    payload: bytes = b""
    """The message itself; not of a long delta of audio."""
    audio: int | None = None
    """Bytes of audio, where that was worked out when it was read; ``delta`` is empty then."""

    @property
    def audio_bytes(self) -> int:
        """Bytes of audio in a delta, from the length of its base64 text."""
        if self.audio is not None:
            return self.audio
        text = self.delta
        return len(text) // 4 * 3 - text.count("=", -2) if text else 0

    @property
    def cancel_reason(self) -> str | None:
        """Why a ``response.done`` says that it was cancelled; None if it was not."""
        body = self.response
        if body is None or body.status != "cancelled":
            return None
        details = body.status_details
        reason = details.get("reason") if isinstance(details, dict) else details
        return reason if isinstance(reason, str) else ""


class ClientSeen(Struct, gc=False):
    """A client message: what it asks for, when it was sent, and how many server messages had arrived by then."""

    type: str = ""
    event_id: str | None = None
    item_id: str | None = None
    content_index: Any = None
    audio_end_ms: Any = None
    response_id: str | None = None
    response: dict[str, Any] | None = None
    item: dict[str, Any] | None = None
    sent_at: int = 0
    sent_order: int = 0


_PREVIEW = {
    "conversation.item.created": "conversation.item.added",
    "response.audio.delta": "response.output_audio.delta",
    "response.audio.done": "response.output_audio.done",
    "response.audio_transcript.delta": "response.output_audio_transcript.delta",
    "response.audio_transcript.done": "response.output_audio_transcript.done",
    "response.text.delta": "response.output_text.delta",
    "response.text.done": "response.output_text.done",
}
_APPEND = b'{"type":"input_audio_buffer.append"'
_DELTA, _END = b',"delta":"', b'"}'
_LONG = 1000
"""From so many bytes on a message is probably a delta of audio, of which only the length is worth reading."""

_server = msgspec.json.Decoder(ServerSeen)
_client = msgspec.json.Decoder(ClientSeen)


def read_server(payload: bytes, now: int) -> ServerSeen:
    """A server message, its type in the GA spelling; an unreadable one has the type ``""``."""
    audio = None
    try:
        begins = payload.find(_DELTA, 0, 500) if len(payload) > _LONG else -1
        if begins >= 0 and payload.find(b'"', begins + len(_DELTA)) == len(payload) - len(_END):
            # One string up to the end: the rest of the message without it, and its length.
            seen = _server.decode(payload[:begins] + b"}")
            size = len(payload) - begins - len(_DELTA) - len(_END)
            audio = size // 4 * 3 - payload.count(b"=", -4)
            if not seen.type.endswith("audio.delta"):
                audio, seen = None, _server.decode(payload)
        else:
            seen = _server.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ServerSeen(sent_at=now)
    seen.type = _PREVIEW.get(seen.type, seen.type)
    seen.sent_at = now
    seen.audio = audio
    if audio is None:
        seen.payload = payload
    return seen


def read_client(payload: bytes, now: int, order: int) -> ClientSeen:
    """A client message. Microphone audio is recognised by its beginning and not read further."""
    if payload.startswith(_APPEND):
        return ClientSeen("input_audio_buffer.append", sent_at=now, sent_order=order)
    seen = _client.decode(payload)
    seen.sent_at = now
    seen.sent_order = order
    return seen
