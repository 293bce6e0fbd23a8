"""What a client may do to items, checked against the conversation (protocol facts, 5.6 to 5.8 and 6.1).

Each function gets an event whose shape is right and either changes the state and answers, or gives the fault.
"""

from typing import Any

from msgspec import ValidationError, convert

from rtcore.sim._server_checks import Fault
from rtcore.sim._server_state import State
from rtcore.sim._server_truth import ServerItem, Truncation
from rtcore.sim._server_wire import Json

NO_MODEL = "invalid_model"
"""The code with which an address that names a model for a session that only transcribes is refused, and the line closed."""


def decode_audio(value: str, path: str) -> bytes | Fault:
    """Base64 as bytes, or the fault."""
    try:
        return convert(value, bytes)
    except ValidationError:
        message = f"Invalid '{path}'. Expected base64-encoded audio bytes but got an invalid value."
        return Fault("invalid_audio", path, message)


def create(state: State, event: Json) -> Fault | None:
    """conversation.item.create."""
    item = state.wire.read_item(event["item"])
    if fault := _acceptable(state, item, "item") or _repeats(state, item):
        return fault
    identity = item.get("id")
    if identity in state.items:
        message = f"Error adding item: an item with id '{identity}' already exists."
        return Fault("item_create_duplicate_item_id", None, message)
    after = event.get("previous_item_id")
    if after is not None and after != "root" and state.present(after) is None:
        message = f"Error adding item: the previous item with id '{after}' does not exist."
        return Fault("item_create_invalid_previous_item_id", "previous_item_id", message)
    if fault := state.rejection():
        return fault
    record = ServerItem(
        id=identity or state.new_id("item"),
        type=item["type"],
        role=item.get("role"),
        origin="client",
        order=0,
        announced_at=state.now,
        status=item.get("status") or "completed",
        phase=item.get("phase"),
    )
    match item["type"]:
        case "message":
            record.content = [_without_audio(part) for part in item["content"]]
        case "function_call":
            record.name, record.arguments = item["name"], item["arguments"]
            record.call_id = item.get("call_id") or state.new_id("call")
            state.calls[record.call_id] = record.id
        case "function_call_output":
            record.call_id, record.output = item["call_id"], item["output"]
        case _:
            record.output = {key: value for key, value in item.items() if key not in ("id", "type", "status", "object")}
    state.add(record, None if after in (None, "root") else after, first=after == "root")
    state.announce(record)
    state.finish(record, record.status)
    return None


def _acceptable(state: State, item: Json, path: str) -> Fault | None:
    for index, part in enumerate(item.get("content", ())):
        if part["type"] == "input_audio":
            audio = decode_audio(part["audio"], f"{path}.content[{index}].audio")
            if isinstance(audio, Fault):
                return audio
    if item["type"] == "function_call_output":
        call = state.calls.get(item["call_id"])
        if call is None or state.present(call) is None:
            message = f"Tool call ID '{item['call_id']}' not found in conversation."
            return Fault("invalid_tool_call_id", f"{path}.call_id", message)
    if item["type"] == "mcp_approval_response":
        asked = state.present(item["approval_request_id"])
        if asked is None or asked.type != "mcp_approval_request":
            message = f"Approval request ID '{item['approval_request_id']}' not found in conversation."
            return Fault("invalid_value", f"{path}.approval_request_id", message)
    return None


def _repeats(state: State, item: Json) -> Fault | None:
    """A second output for a call or a second call with one id, where this server refuses them."""
    if state.rules.repeated_call == "accepted" or item["type"] not in ("function_call", "function_call_output"):
        return None
    call_id = item.get("call_id")
    if not state.has_call(item["type"], call_id):
        return None
    what = "an output" if item["type"] == "function_call_output" else "a function call"
    message = f"Tool call ID '{call_id}' already has {what} in the conversation."
    return Fault("invalid_tool_call_id", "item.call_id", message)


def _without_audio(part: Json) -> Json:
    # The server does not show audio it was given; a transcript may follow.
    return {"type": "input_audio", "transcript": part.get("transcript")} if part["type"] == "input_audio" else part


def check_input(state: State, items: list[Json]) -> Fault | None:
    """The ``input`` of a response: references must be there, calls must be known."""
    for index, item in enumerate(items):
        path = f"response.input[{index}]"
        if item["type"] == "item_reference":
            if state.present(item["id"]) is None:
                message = f"Error referencing item: the item with id '{item['id']}' does not exist."
                return Fault("item_reference_invalid_item_id", f"{path}.id", message)
        elif item["type"] != "function_call_output" and (fault := _acceptable(state, item, path)):
            return fault
    return None


def truncate(state: State, event: Json) -> Fault | None:
    """conversation.item.truncate: model audio only, never above what is held, never nothing."""
    item = state.present(event["item_id"]) or state.unannounced.get(event["item_id"])
    if item is None:
        if state.rules.unknown_item_text == "not_found":
            message = f"Item with item_id not found: {event['item_id']}"
        else:
            message = f"Error truncating item: the item with id '{event['item_id']}' does not exist."
        return Fault("item_truncate_invalid_item_id", "item_id", message)
    index, wanted_ms = event["content_index"], event["audio_end_ms"]
    part = item.parts[index] if index < len(item.parts) else None
    if part is None or part.kind != "audio" or part.sent_samples == 0 or wanted_ms == 0:
        return Fault("unsupported_content_type", "item_id", "Only model output audio messages can be truncated")
    held_ms = part.format.ms(part.held_samples)
    if wanted_ms > held_ms:
        message = f"Audio content of {held_ms}ms is already shorter than {wanted_ms}ms"
        return Fault("invalid_value", "audio_end_ms", message)
    if part.truncated_ms == wanted_ms and state.rules.truncate_repeat == "refused":
        return Fault("item_already_truncated", "item_id", f"Item '{item.id}' is already truncated.")
    part.truncations.append(Truncation(state.now, wanted_ms, part.sent_samples))
    part.kept_bytes = part.format.samples(wanted_ms) * part.format.sample_width
    # From here on the server holds exactly what the truncate said.
    part.short_samples = 0
    if state.wire.manner.truncate_answered:
        state.emit("conversation.item.truncated", item_id=item.id, content_index=index, audio_end_ms=wanted_ms)
    return None


def delete(state: State, event: Json) -> Fault | None:
    """conversation.item.delete: any item, at any time."""
    item = state.present(event["item_id"])
    if item is None:
        message = f"Error deleting item: the item with id '{event['item_id']}' does not exist."
        return Fault("item_delete_invalid_item_id", "item_id", message)
    state.delete(item)
    state.emit("conversation.item.deleted", item_id=item.id)
    return None


def retrieve(state: State, event: Json) -> Fault | None:
    """conversation.item.retrieve."""
    item = state.present(event["item_id"])
    if item is None:
        message = f"Error retrieving item: the item with id '{event['item_id']}' does not exist."
        return Fault("item_retrieve_invalid_item_id", "item_id", message)
    state.emit("conversation.item.retrieved", item=state.shape(item, audio=True))
    return None


def update(state: State, event: Json) -> Fault | None:
    """session.update: everything or nothing (protocol facts, 2.3 and 2.4)."""
    sent: dict[str, Any] = state.wire.read_session(event["session"])
    merged = state.merged(sent)
    kind = "transcription" if event["type"] == "transcription_session.update" else sent.get("type", "realtime")
    if fault := _misaddressed(state, kind):
        return fault
    if state.listens and kind != "transcription":
        return Fault("invalid_value", "session.type", "A transcription session cannot become another.")
    if kind == "transcription" and state.order and not state.listens:
        return Fault("invalid_value", "session.type", "A conversation cannot become a transcription session.")
    state.listens = kind == "transcription"
    changed = merged["audio"]["output"]["voice"] != state.session["audio"]["output"]["voice"]
    if changed and state.spoke:
        return _voice_fault(state, "session")
    was, will = state.session["tracing"], merged["tracing"]
    if was is not None and will != was:
        return Fault("invalid_value", "session.tracing", "Tracing cannot be changed once it is enabled for a session.")
    state.session = merged
    state.session_event("session.updated")
    _list_tools(state)
    return None


def _misaddressed(state: State, kind: str) -> Fault | None:
    """Whether the session is asked to be another than its address opened. The words are the live server's (docs/decisions.md)."""
    match state.options.address, kind:
        case "conversation", "transcription":
            message = "Passing a transcription session update event to a realtime session is not allowed."
            return Fault("invalid_parameter", None, message)
        case "transcription", "realtime":
            message = "Passing a realtime session update event to a transcription session is not allowed."
            return Fault("invalid_parameter", None, message)
        case "both", "transcription":
            return Fault(NO_MODEL, None, "You must not provide a model parameter for transcription sessions.")
        case _:
            return None


def _list_tools(state: State) -> None:
    """Ask each remote server for its tools, once (protocol facts, 4.14). One without an address cannot be asked."""
    for tool in state.session["tools"]:
        label = tool.get("server_label")
        if tool.get("type") != "mcp" or label in state.listed:
            continue
        state.listed.add(label)
        item = ServerItem(
            id=state.new_id("mcpl"), type="mcp_list_tools", role=None, origin="client", order=0, announced_at=state.now
        )
        item.output = {"server_label": label, "tools": []}
        state.add(item)
        state.announce(item)
        state.emit("mcp_list_tools.in_progress", item_id=item.id)
        if tool.get("server_url") is None and tool.get("connector_id") is None:
            state.emit("mcp_list_tools.failed", item_id=item.id)
            continue
        allowed = tool.get("allowed_tools")
        names = allowed if isinstance(allowed, list) else ["look_up"]
        item.output = {**item.output, "tools": [{"name": name, "input_schema": {"type": "object"}} for name in names]}
        state.emit("mcp_list_tools.completed", item_id=item.id)
        state.finish(item, "completed")


def _voice_fault(state: State, stem: str) -> Fault:
    message = "Cannot update a conversation's voice if assistant audio is present."
    return Fault("cannot_update_voice", state.wire.param(f"{stem}.audio.output.voice"), message)


def check_response(state: State, wanted: Json) -> Fault | None:
    """The options of response.create (GA) against the conversation."""
    if fault := check_input(state, wanted.get("input", [])):
        return fault
    voice = wanted.get("audio", {}).get("output", {}).get("voice")
    in_conversation = wanted.get("conversation", "auto") != "none"
    if voice is not None and in_conversation and state.spoke and voice != state.session["audio"]["output"]["voice"]:
        return _voice_fault(state, "response")
    return None
