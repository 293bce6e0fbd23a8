"""Server events as the wire carries them, in GA names; ``preview`` says the same in the names of the preview dialect.

Builders return lists, so that a script is a sum: ``created() + message("m1", 2000) + done()``. The audio is a pattern in which
every item begins elsewhere, so that a sample lost, doubled or swapped is a different byte string.
"""

import base64
import json
from array import array
from typing import Any
from zlib import crc32

Event = dict[str, Any]
Script = list[Event]

PCM: Event = {"type": "audio/pcm", "rate": 24_000}
SERVER_VAD: Event = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
CLIENT_VAD: Event = {**SERVER_VAD, "create_response": False, "interrupt_response": False}

_PERIOD = 1 << 16
_PATTERN = array("h", ((i * 40_503 + (i >> 3)) % _PERIOD - (1 << 15) for i in range(_PERIOD))).tobytes()


def pcm(item: str, ms: int, *, start_ms: int = 0, part: int = 0, bytes_per_ms: int = 48) -> bytes:
    """The audio of ``item`` from ``start_ms`` on."""
    first = 2 * (crc32(f"{item}/{part}".encode()) % _PERIOD) + start_ms * bytes_per_ms
    length = ms * bytes_per_ms
    turns = (first % len(_PATTERN) + length) // len(_PATTERN) + 1
    return (_PATTERN * turns)[first % len(_PATTERN) :][:length]


# -- session -----------------------------------------------------------------------------------------------------------


def session_object(
    *,
    turn_detection: Event | None = SERVER_VAD,
    output: object = PCM,
    input: object = PCM,
    transcription: Event | None = None,
    **more: object,
) -> Event:
    """The whole effective session, as ``session.created`` and ``session.updated`` carry it."""
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": "sess_1",
        "model": "gpt-realtime",
        "output_modalities": ["audio"],
        "instructions": "",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "include": None,
        "expires_at": 1_800_000_000,
        "audio": {
            "input": {"format": input, "transcription": transcription, "noise_reduction": None, "turn_detection": turn_detection},
            "output": {"format": output, "voice": "marin", "speed": 1.0},
        },
        **more,
    }


def session_created(**options: Any) -> Script:
    return [{"type": "session.created", "event_id": "event_s", "session": session_object(**options)}]


def session_updated(**options: Any) -> Script:
    return [{"type": "session.updated", "event_id": "event_s", "session": session_object(**options)}]


def error(code: str | None, message: str = "", *, event_id: str | None = None, param: str | None = None) -> Script:
    body = {"type": "invalid_request_error", "code": code, "message": message, "param": param, "event_id": event_id}
    return [{"type": "error", "event_id": "event_e", "error": body}]


def active_response(event_id: str | None = None) -> Script:
    return error(
        "conversation_already_has_active_response",
        "Conversation already has an active response in progress: resp_x. Wait until the response is finished.",
        event_id=event_id,
    )


def cancel_not_active(event_id: str | None = None) -> Script:
    return error("response_cancel_not_active", "Cancellation failed: no active response found", event_id=event_id)


# -- responses ---------------------------------------------------------------------------------------------------------


def created(r: str = "r1", *, request: int | None = None, in_band: bool = True, metadata: Event | None = None) -> Script:
    echoed = {**(metadata or {}), **({} if request is None else {"rtcore_request": str(request)})}
    return [_response("response.created", r, "in_progress", None, echoed or None, in_band, [])]


def done(
    r: str = "r1",
    status: str = "completed",
    reason: str | None = None,
    *,
    request: int | None = None,
    in_band: bool = True,
    output: Script | None = None,
    failure: Event | None = None,
) -> Script:
    details: Event | None = None
    if status != "completed":
        details = {"type": status, **({"reason": reason} if reason else {}), **({"error": failure} if failure else {})}
    metadata = None if request is None else {"rtcore_request": str(request)}
    return [_response("response.done", r, status, details, metadata, in_band, output or [])]


def cancelled(r: str = "r1", *, by: str = "turn_detected") -> Script:
    return done(r, "cancelled", by)


def _response(
    kind: str, r: str, status: str, details: Event | None, metadata: Event | None, in_band: bool, output: Script
) -> Event:
    response = {
        "object": "realtime.response",
        "id": r,
        "status": status,
        "status_details": details,
        "output": output,
        "conversation_id": "conv_1" if in_band else None,
        "output_modalities": ["audio"],
        "max_output_tokens": "inf",
        "usage": None,
        "metadata": metadata,
    }
    return {"type": kind, "event_id": "event_r", "response": response}


# -- one message -------------------------------------------------------------------------------------------------------


def item_added(item: str = "m1", *, r: str = "r1", index: int = 0, previous: str | None = None) -> Script:
    """A message was declared in its response and announced in the conversation."""
    body = {"id": item, "type": "message", "status": "in_progress", "role": "assistant", "content": []}
    declared = {"type": "response.output_item.added", "response_id": r, "output_index": index, "item": body}
    return [declared, *announce(item, body, previous=previous)]


def announce(item: str, body: Event | None = None, *, previous: str | None = None) -> Script:
    """The conversation's announcement alone: it fixes the item's place, and only then may the item be deleted."""
    body = body or {"id": item, "type": "message", "status": "in_progress", "role": "assistant", "content": []}
    return [{"type": "conversation.item.added", "event_id": "event_i", "previous_item_id": previous, "item": body}]


def part_added(item: str = "m1", *, r: str = "r1", index: int = 0, part: int = 0, kind: str = "audio") -> Script:
    body = {"type": kind, ("transcript" if kind == "audio" else "text"): ""}
    return [_keyed("response.content_part.added", item, r, index, part, part=body)]


def audio(
    item: str = "m1", ms: int = 0, *, r: str = "r1", index: int = 0, part: int = 0, start_ms: int = 0, raw: bytes | None = None
) -> Script:
    data = pcm(item, ms, start_ms=start_ms, part=part) if raw is None else raw
    return [_keyed("response.output_audio.delta", item, r, index, part, delta=base64.b64encode(data).decode())]


def transcript(item: str = "m1", delta: str = "", *, r: str = "r1", index: int = 0, part: int = 0) -> Script:
    return [_keyed("response.output_audio_transcript.delta", item, r, index, part, delta=delta)]


def transcript_done(item: str = "m1", text: str = "", *, r: str = "r1", index: int = 0, part: int = 0) -> Script:
    return [_keyed("response.output_audio_transcript.done", item, r, index, part, transcript=text)]


def audio_done(item: str = "m1", *, r: str = "r1", index: int = 0, part: int = 0) -> Script:
    return [_keyed("response.output_audio.done", item, r, index, part)]


def text_delta(item: str = "m1", delta: str = "", *, r: str = "r1", index: int = 0, part: int = 0) -> Script:
    return [_keyed("response.output_text.delta", item, r, index, part, delta=delta)]


def text_done(item: str = "m1", text: str = "", *, r: str = "r1", index: int = 0, part: int = 0) -> Script:
    return [_keyed("response.output_text.done", item, r, index, part, text=text)]


def part_done(item: str = "m1", text: str = "", *, r: str = "r1", index: int = 0, part: int = 0, kind: str = "audio") -> Script:
    body = {"type": kind, ("transcript" if kind == "audio" else "text"): text}
    return [_keyed("response.content_part.done", item, r, index, part, part=body)]


def item_done(
    item: str = "m1", text: str = "", *, r: str = "r1", index: int = 0, status: str = "completed", kind: str = "output_audio"
) -> Script:
    content = {"type": kind, ("transcript" if kind == "output_audio" else "text"): text}
    body = {"id": item, "type": "message", "status": status, "role": "assistant", "content": [content]}
    return [
        {"type": "conversation.item.done", "event_id": "event_i", "previous_item_id": None, "item": body},
        {"type": "response.output_item.done", "event_id": "event_i", "response_id": r, "output_index": index, "item": body},
    ]


def opened(item: str = "m1", *, r: str = "r1", index: int = 0, previous: str | None = None) -> Script:
    """A message that was declared, announced, and has an audio part without a sample yet."""
    return item_added(item, r=r, index=index, previous=previous) + part_added(item, r=r, index=index)


def closing(item: str = "m1", text: str = "", *, r: str = "r1", index: int = 0) -> Script:
    """Every event that ends one audio message."""
    return (
        audio_done(item, r=r, index=index)
        + transcript_done(item, text, r=r, index=index)
        + part_done(item, text, r=r, index=index)
        + item_done(item, text, r=r, index=index)
    )


def message(
    item: str = "m1", ms: int = 0, text: str = "", *, r: str = "r1", index: int = 0, previous: str | None = None
) -> Script:
    """A complete audio message in wire order: the transcript runs ahead of the audio."""
    said = transcript(item, text, r=r, index=index) if text else []
    heard = audio(item, ms, r=r, index=index) if ms else []
    return opened(item, r=r, index=index, previous=previous) + said + heard + closing(item, text, r=r, index=index)


def text_message(item: str, text: str, *, r: str = "r1", index: int = 0, previous: str | None = None) -> Script:
    return (
        item_added(item, r=r, index=index, previous=previous)
        + part_added(item, r=r, index=index, kind="text")
        + text_delta(item, text, r=r, index=index)
        + text_done(item, text, r=r, index=index)
        + part_done(item, text, r=r, index=index, kind="text")
        + item_done(item, text, r=r, index=index, kind="output_text")
    )


def _keyed(kind: str, item: str, r: str, index: int, content_index: int, **fields: object) -> Event:
    key = {"response_id": r, "item_id": item, "output_index": index, "content_index": content_index}
    return {"type": kind, "event_id": "event_d", **key, **fields}


# -- function calls ----------------------------------------------------------------------------------------------------


def call_opened(call: str, name: str = "look", *, r: str = "r1", index: int = 0, previous: str | None = None) -> Script:
    """A function call whose arguments have not begun; its item is ``f_<call>``."""
    item = f"f_{call}"
    body = {"id": item, "type": "function_call", "status": "in_progress", "call_id": call, "name": name, "arguments": ""}
    declared = {"type": "response.output_item.added", "response_id": r, "output_index": index, "item": body}
    return [declared, *announce(item, body, previous=previous)]


def arguments(call: str, delta: str, *, r: str = "r1", index: int = 0) -> Script:
    key = {"response_id": r, "item_id": f"f_{call}", "output_index": index, "call_id": call}
    return [{"type": "response.function_call_arguments.delta", "event_id": "event_d", **key, "delta": delta}]


def call_closed(call: str, text: str = "{}", name: str = "look", *, r: str = "r1", index: int = 0) -> Script:
    item = f"f_{call}"
    key = {"response_id": r, "item_id": item, "output_index": index, "call_id": call}
    body = {"id": item, "type": "function_call", "status": "completed", "call_id": call, "name": name, "arguments": text}
    return [
        {"type": "response.function_call_arguments.done", "event_id": "event_d", **key, "name": name, "arguments": text},
        {"type": "conversation.item.done", "event_id": "event_i", "previous_item_id": None, "item": body},
        {"type": "response.output_item.done", "event_id": "event_i", "response_id": r, "output_index": index, "item": body},
    ]


def call(
    call: str, text: str = "{}", name: str = "look", *, r: str = "r1", index: int = 0, previous: str | None = None
) -> Script:
    """A complete function call."""
    return (
        call_opened(call, name, r=r, index=index, previous=previous)
        + arguments(call, text, r=r, index=index)
        + call_closed(call, text, name, r=r, index=index)
    )


# -- the user and the conversation -------------------------------------------------------------------------------------


def speech_started(item: str = "u1") -> Script:
    return [{"type": "input_audio_buffer.speech_started", "event_id": "event_u", "audio_start_ms": 100, "item_id": item}]


def speech_stopped(item: str = "u1") -> Script:
    return [{"type": "input_audio_buffer.speech_stopped", "event_id": "event_u", "audio_end_ms": 900, "item_id": item}]


def committed(item: str = "u1", *, previous: str | None = None) -> Script:
    return [{"type": "input_audio_buffer.committed", "event_id": "event_u", "previous_item_id": previous, "item_id": item}]


def user_item(item: str = "u1", *, previous: str | None = None) -> Script:
    content = [{"type": "input_audio", "transcript": None}]
    body = {"id": item, "type": "message", "status": "completed", "role": "user", "content": content}
    return [
        *announce(item, body, previous=previous),
        {"type": "conversation.item.done", "event_id": "event_i", "previous_item_id": previous, "item": body},
    ]


def turn(item: str = "u1", *, previous: str | None = None) -> Script:
    """The end of a spoken user turn: stopped, committed, announced."""
    return speech_stopped(item) + committed(item, previous=previous) + user_item(item, previous=previous)


def user_transcript(item: str = "u1", text: str = "") -> Script:
    kind = "conversation.item.input_audio_transcription.completed"
    usage = {"type": "duration", "seconds": 1}
    return [{"type": kind, "event_id": "event_u", "item_id": item, "content_index": 0, "transcript": text, "usage": usage}]


def user_words(item: str = "u1", delta: str = "") -> Script:
    kind = "conversation.item.input_audio_transcription.delta"
    return [{"type": kind, "event_id": "event_u", "item_id": item, "content_index": 0, "delta": delta}]


def truncated(item: str = "m1", ms: int = 0, *, part: int = 0) -> Script:
    fields = {"item_id": item, "content_index": part, "audio_end_ms": ms}
    return [{"type": "conversation.item.truncated", "event_id": "event_t", **fields}]


def deleted(item: str = "m1") -> Script:
    return [{"type": "conversation.item.deleted", "event_id": "event_t", "item_id": item}]


# -- the same in the preview dialect -----------------------------------------------------------------------------------

_PREVIEW_TYPE = {
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "conversation.item.added": "conversation.item.created",
}
_PREVIEW_PART = {"output_audio": "audio", "output_text": "text"}
_PREVIEW_FORMAT = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}


def preview(script: Script) -> Script:
    """``script`` as a preview deployment sends it (protocol facts, section 13)."""
    return [_previewed(event) for event in script if event["type"] != "conversation.item.done"]


def _previewed(event: Event) -> Event:
    event = {**event, "type": _PREVIEW_TYPE.get(event["type"], event["type"])}
    if event["type"] == "response.function_call_arguments.done":
        del event["name"]
    if "item" in event:
        item = {**event["item"], "object": "realtime.item"}
        if "content" in item:
            item["content"] = [{**part, "type": _PREVIEW_PART.get(part["type"], part["type"])} for part in item["content"]]
        event["item"] = item
    if "session" in event:
        event["session"] = _flat(event["session"])
    if "response" in event:
        response = {**event["response"], "modalities": ["audio", "text"]}
        event["response"] = {k: v for k, v in response.items() if k not in ("output_modalities", "max_output_tokens")}
    return event


def _flat(session: Event) -> Event:
    heard, said = session["audio"]["input"], session["audio"]["output"]
    return {
        "object": "realtime.session",
        "id": session["id"],
        "model": session["model"],
        "modalities": ["audio", "text"],
        "instructions": session["instructions"],
        "voice": said["voice"],
        "input_audio_format": _PREVIEW_FORMAT[heard["format"]["type"]],
        "output_audio_format": _PREVIEW_FORMAT[said["format"]["type"]],
        "input_audio_transcription": heard["transcription"],
        "input_audio_noise_reduction": heard["noise_reduction"],
        "turn_detection": heard["turn_detection"],
        "tools": session["tools"],
        "tool_choice": session["tool_choice"],
        "temperature": 0.8,
        "max_response_output_tokens": session["max_output_tokens"],
    }


def encode(event: Event) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()
