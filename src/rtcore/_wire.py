"""The vocabulary at the core's edge: server events as Structs with one Decoder, client events as bytes.

Names of both generations (GA and preview) are accepted on input whatever the dialect (F132); a preview name is a subclass with
another tag, so that one handler serves both. Fields that other vendors leave out have defaults; fields without which an event
means nothing have none, so that their absence is a decoding error and becomes one ``ProtocolWarning`` (B27).
"""

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from rtcore._errors import LocalProtocolError
from rtcore._wire_other import Event, OtherEvent

# -- objects inside events ---------------------------------------------------------------------------------------------------


class PartBody(Struct, gc=False):
    """A content part: ``audio``/``text`` in content_part events, ``output_audio``/``output_text`` in items (facts 3.6)."""

    type: str = ""
    text: str | None = None
    transcript: str | None = None


class ItemBody(Struct):
    """A conversation item as the server shows it."""

    id: str = ""
    type: str = ""
    role: str | None = None
    status: str | None = None
    content: list[PartBody] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: Any = None
    phase: Any = None
    server_label: Any = None
    tools: Any = None
    error: Any = None
    approval_request_id: Any = None
    approve: Any = None
    reason: Any = None


class ResponseBody(Struct):
    """A response as the server shows it. ``conversation_id`` null means out of band; absent means the default conversation."""

    id: str
    status: str | None = None
    status_details: Any = None
    conversation_id: str | UnsetType | None = UNSET
    metadata: Any = None
    output: Any = None
    usage: Any = None


def output_items(body: ResponseBody) -> list[ItemBody]:
    """The items that a response shows. What has another shape is left out: nothing is decided by this list alone (F027)."""
    items: list[ItemBody] = []
    for shown in body.output if isinstance(body.output, list) else ():
        try:
            items.append(msgspec.convert(shown, ItemBody))
        except msgspec.ValidationError:
            continue
    return items


class ErrorBody(Struct):
    """The server's error object (facts 6)."""

    type: str | None = None
    code: Any = None
    message: str | None = None
    param: Any = None
    event_id: str | None = None


# -- server events -----------------------------------------------------------------------------------------------------------


class SessionCreated(Event, tag="session.created"):
    session: dict[str, Any] = {}  # noqa: RUF012  # msgspec copies it; a server that shows none is no server that is known


class SessionUpdated(Event, tag="session.updated"):
    session: dict[str, Any]


class TranscriptionSessionCreated(SessionCreated, tag="transcription_session.created"):
    """Preview: a session that only transcribes (facts 12.1)."""


class TranscriptionSessionUpdated(SessionUpdated, tag="transcription_session.updated"):
    """Preview: its acknowledgement."""


class ErrorEvent(Event, tag="error"):
    error: ErrorBody


class RateLimits(Event, tag="rate_limits.updated"):
    rate_limits: list[dict[str, Any]] | None = None


class ConversationCreated(Event, tag="conversation.created"):
    """The default conversation exists: known before it is said."""


class ItemAddedEvent(Event, tag="conversation.item.added"):
    item: ItemBody
    previous_item_id: str | UnsetType | None = UNSET
    """Null means first; left out (other vendors), the tail (facts 3.4, 14)."""


class ItemCreatedEvent(ItemAddedEvent, tag="conversation.item.created"):
    """Preview name; also what some GA-like servers send."""


class ItemDoneEvent(Event, tag="conversation.item.done"):
    """Its ``previous_item_id`` is not read: it is sometimes null although .added named one (facts 3.4)."""

    item: ItemBody


class ItemRetrievedEvent(Event, tag="conversation.item.retrieved"):
    """The answer to a retrieve, told whole: it may hold audio."""

    item: dict[str, Any]


class ItemDeletedEvent(Event, tag="conversation.item.deleted"):
    item_id: str = ""


class ItemTruncated(Event, tag="conversation.item.truncated"):
    item_id: str
    content_index: int = 0
    audio_end_ms: int = 0


class TranscriptionDelta(Event, tag="conversation.item.input_audio_transcription.delta"):
    item_id: str
    content_index: int = 0
    delta: str | None = None
    logprobs: Any = None


class TranscriptionSoFar(Event, tag="conversation.item.input_audio_transcription.updated"):
    """xAI's (facts 14): the words so far, whole each time. Read only where the dialect has it."""

    item_id: str
    content_index: int = 0
    transcript: str | None = None


class TranscriptionCompleted(Event, tag="conversation.item.input_audio_transcription.completed"):
    item_id: str
    content_index: int = 0
    transcript: str | None = None
    logprobs: Any = None
    languages: Any = None
    usage: Any = None


class TranscriptionFailed(Event, tag="conversation.item.input_audio_transcription.failed"):
    item_id: str
    content_index: int = 0
    error: ErrorBody | None = None


class BufferCommitted(Event, tag="input_audio_buffer.committed"):
    item_id: str
    previous_item_id: str | None = None


class BufferCleared(Event, tag="input_audio_buffer.cleared"):
    pass


class SpeechStarted(Event, tag="input_audio_buffer.speech_started"):
    """``audio_start_ms`` counts all audio written in the session, padding included (facts 5.10)."""

    item_id: str | None = None
    audio_start_ms: Any = None


class SpeechStopped(Event, tag="input_audio_buffer.speech_stopped"):
    item_id: str | None = None
    audio_end_ms: Any = None


class ServerPlayoutStarted(Event, tag="output_audio_buffer.started"):
    """On a call the server sounds the audio: it begins to leave the server (facts 4.15)."""

    response_id: str = ""


class ServerPlayoutStopped(Event, tag="output_audio_buffer.stopped"):
    """All of it has left the server."""

    response_id: str = ""


class ServerPlayoutCleared(Event, tag="output_audio_buffer.cleared"):
    """The rest of it was dropped, by turn detection or by us."""

    response_id: str = ""


class ResponseCreated(Event, tag="response.created"):
    response: ResponseBody


class ResponseDone(Event, tag="response.done"):
    """xAI has ``usage`` at the top and an empty one within (facts, wire_facts_not_in_sdk)."""

    response: ResponseBody
    usage: Any = None


class OutputItemAdded(Event, tag="response.output_item.added"):
    response_id: str
    item: ItemBody


class OutputItemDone(Event, tag="response.output_item.done"):
    response_id: str
    item: ItemBody


class ContentPartAdded(Event, tag="response.content_part.added"):
    response_id: str
    item_id: str
    part: PartBody | None = None
    content_index: int = 0


class ContentPartDone(Event, tag="response.content_part.done"):
    response_id: str
    item_id: str
    part: PartBody | None = None
    content_index: int = 0


class AudioDelta(Event, tag="response.output_audio.delta", gc=False):
    """``delta`` is decoded from base64 by msgspec straight into bytes: the one copy an audio delta gets."""

    response_id: str
    item_id: str
    delta: bytes
    content_index: int = 0


class PreviewAudioDelta(AudioDelta, tag="response.audio.delta", gc=False):
    pass


class AudioDone(Event, tag="response.output_audio.done"):
    response_id: str
    item_id: str
    content_index: int = 0


class PreviewAudioDone(AudioDone, tag="response.audio.done"):
    pass


class TranscriptDelta(Event, tag="response.output_audio_transcript.delta", gc=False):
    response_id: str
    item_id: str
    delta: str
    content_index: int = 0


class PreviewTranscriptDelta(TranscriptDelta, tag="response.audio_transcript.delta", gc=False):
    pass


class TranscriptDone(Event, tag="response.output_audio_transcript.done"):
    response_id: str
    item_id: str
    transcript: str | None = None
    content_index: int = 0


class PreviewTranscriptDone(TranscriptDone, tag="response.audio_transcript.done"):
    pass


class OutputTextDelta(Event, tag="response.output_text.delta", gc=False):
    response_id: str
    item_id: str
    delta: str
    content_index: int = 0


class PreviewTextDelta(OutputTextDelta, tag="response.text.delta", gc=False):
    pass


class OutputTextDone(Event, tag="response.output_text.done"):
    response_id: str
    item_id: str
    text: str | None = None
    content_index: int = 0


class PreviewTextDone(OutputTextDone, tag="response.text.done"):
    pass


class ArgumentsDelta(Event, tag="response.function_call_arguments.delta", gc=False):
    """A piece, told where that is asked for; a call is dispatched by what comes whole with .done."""

    response_id: str = ""
    item_id: str = ""
    delta: str = ""
    call_id: str | None = None


class ArgumentsDone(Event, tag="response.function_call_arguments.done"):
    response_id: str
    item_id: str
    arguments: str
    call_id: str | None = None
    name: str | None = None


ServerEvent = (
    ConversationCreated
    | AudioDelta
    | PreviewAudioDelta
    | TranscriptDelta
    | PreviewTranscriptDelta
    | OutputTextDelta
    | PreviewTextDelta
    | ArgumentsDelta
    | ArgumentsDone
    | AudioDone
    | PreviewAudioDone
    | TranscriptDone
    | PreviewTranscriptDone
    | OutputTextDone
    | PreviewTextDone
    | ContentPartAdded
    | ContentPartDone
    | OutputItemAdded
    | OutputItemDone
    | ResponseCreated
    | ResponseDone
    | ItemAddedEvent
    | ItemCreatedEvent
    | ItemDoneEvent
    | ItemRetrievedEvent
    | ItemDeletedEvent
    | ItemTruncated
    | TranscriptionDelta
    | TranscriptionCompleted
    | TranscriptionFailed
    | BufferCommitted
    | BufferCleared
    | SpeechStarted
    | SpeechStopped
    | ServerPlayoutStarted
    | ServerPlayoutStopped
    | ServerPlayoutCleared
    | SessionCreated
    | SessionUpdated
    | TranscriptionSessionCreated
    | TranscriptionSessionUpdated
    | RateLimits
    | ErrorEvent
    | OtherEvent
)

decode: msgspec.json.Decoder[ServerEvent] = msgspec.json.Decoder(ServerEvent)

KNOWN_TYPES: frozenset[str] = frozenset(
    str(cls.__struct_config__.tag)
    for cls in Event.__subclasses__() + [s for c in Event.__subclasses__() for s in c.__subclasses__()]
    if cls is not TranscriptionSoFar
)


class TypeOnly(Struct):
    """The fallback for an event that did not decode: its type, if it has one."""

    type: str = ""
    event_id: str | None = None


decode_so_far: msgspec.json.Decoder[TranscriptionSoFar] = msgspec.json.Decoder(TranscriptionSoFar)
decode_type: msgspec.json.Decoder[TypeOnly] = msgspec.json.Decoder(TypeOnly)


# -- client events -----------------------------------------------------------------------------------------------------------


class Append(Struct, tag_field="type", tag="input_audio_buffer.append", gc=False):
    """Microphone audio; msgspec encodes ``audio`` as base64. No event_id: it has no acknowledgement (facts 5.9)."""

    audio: bytes


class AppendImage(Struct, tag_field="type", tag="input_image_buffer.append", gc=False):
    """An image beside the microphone's audio, as base64, where the dialect has that (facts 14). No acknowledgement."""

    event_id: str
    image: str


class Truncate(Struct, tag_field="type", tag="conversation.item.truncate", gc=False):
    event_id: str
    item_id: str
    content_index: int
    audio_end_ms: int


class Delete(Struct, tag_field="type", tag="conversation.item.delete", gc=False):
    event_id: str
    item_id: str


class Cancel(Struct, tag_field="type", tag="response.cancel", gc=False):
    """Always names its response, so that it can never hit the next one (F052)."""

    event_id: str
    response_id: str


class Commit(Struct, tag_field="type", tag="input_audio_buffer.commit", gc=False):
    event_id: str


class Clear(Struct, tag_field="type", tag="input_audio_buffer.clear", gc=False):
    event_id: str


class ClearPlayout(Struct, tag_field="type", tag="output_audio_buffer.clear", gc=False):
    """Silence on a call, where the server sounds the audio (DESIGN 5)."""

    event_id: str


class CreateItem(Struct, tag_field="type", tag="conversation.item.create", omit_defaults=True):
    event_id: str
    item: dict[str, Any]
    previous_item_id: str | None = None


class CreateResponse(Struct, tag_field="type", tag="response.create"):
    event_id: str
    response: dict[str, Any]


class UpdateSession(Struct, tag_field="type", tag="session.update"):
    event_id: str
    session: dict[str, Any]


class UpdateTranscriptionSession(UpdateSession, tag_field="type", tag="transcription_session.update"):
    """What the preview wants for a session that only transcribes."""


class Retrieve(Struct, tag_field="type", tag="conversation.item.retrieve", gc=False):
    event_id: str
    item_id: str


ClientEvent = (
    Append
    | AppendImage
    | Truncate
    | Delete
    | Cancel
    | Commit
    | Clear
    | ClearPlayout
    | CreateItem
    | CreateResponse
    | UpdateSession
    | UpdateTranscriptionSession
    | Retrieve
)

encode = msgspec.json.Encoder().encode


def plain(name: str, value: object) -> Any:
    """The caller's value as plain data of our own.

    Raises ``LocalProtocolError`` for what JSON cannot say: objects, lone surrogates, nesting without end. Checked before any
    state changes, because a message that cannot be encoded must never be queued.
    """
    try:
        return msgspec.json.decode(encode(value))
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise LocalProtocolError(f"{name}: cannot be written as JSON ({reason}); give plain data in valid Unicode") from None
