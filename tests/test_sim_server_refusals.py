"""Everything the strict server refuses, with type, code, parameter and text (protocol facts 5 and 6)."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_server_client import Client, Event, types

from rtcore.sim.server import CallPlan, MessagePlan, PartPlan, ResponsePlan, Rules, spoken

# -- by itself: (event, code, param, text) -----------------------------------------------------------------------------------

TYPES = (
    "'session.update', 'session.close', 'transcription_session.update', 'input_audio_buffer.append', "
    "'input_audio_buffer.commit', 'input_audio_buffer.clear', 'conversation.item.create', 'conversation.item.truncate', "
    "'conversation.item.delete', 'conversation.item.retrieve', 'response.create', and 'response.cancel'"
)


def update(**session: Any) -> Event:
    return {"type": "session.update", "session": {"type": "realtime", **session}}


def item(**item: Any) -> Event:
    return {"type": "conversation.item.create", "item": item}


def create(**response: Any) -> Event:
    return {"type": "response.create", "response": response}


def audio_in(**settings: Any) -> Event:
    return update(audio={"input": settings})


Row = tuple[Event, str, str | None, str]


def lacks(event: Event, path: str) -> Row:
    return event, "missing_required_parameter", path, f"Missing required parameter: '{path}'."


def knows_no(event: Event, path: str) -> Row:
    return event, "unknown_parameter", path, f"Unknown parameter: '{path}'."


def wants(event: Event, path: str, expected: str, got: str) -> Row:
    return event, "invalid_type", path, f"Invalid type for '{path}': expected {expected}, but got {got} instead."


def not_among(event: Event, path: str, value: str, values: str) -> Row:
    return event, "invalid_value", path, f"Invalid value: '{value}'. Supported values are: {values}."


def outside(event: Event, code: str, path: str, expected: str) -> Row:
    words = code.replace("_", " ").replace(" max value", " maximum value").replace(" min value", " minimum value")
    return event, code, path, f"Invalid '{path}': {words}. Expected {expected} instead."


VOICES = "'alloy', 'ash', 'ballad', 'coral', 'echo', 'sage', 'shimmer', 'verse', 'marin', and 'cedar'"
ITEMS = (
    "'message', 'function_call', 'function_call_output', 'mcp_approval_response', 'mcp_approval_request', 'mcp_list_tools', "
    "and 'mcp_call'"
)
DETECTION = "session.audio.input.turn_detection"
CUT = {"type": "conversation.item.truncate", "item_id": "x", "content_index": 0}
NOT_BASE64 = "Expected base64-encoded audio bytes but got an invalid value."
NO_RESPONSE = ("response_cancel_not_active", None, "Cancellation failed: no active response found")

GA: list[Row] = [
    lacks({}, "type"),
    wants({"type": 7}, "type", "a string", "an integer"),
    not_among({"type": "response.cancelled"}, "type", "response.cancelled", TYPES),
    # WebRTC alone clears the server's own playout (protocol facts, 6.4).
    not_among({"type": "output_audio_buffer.clear"}, "type", "output_audio_buffer.clear", TYPES),
    (
        {"type": "session.close"},
        "invalid_value",
        "type",
        "The event type 'session.close' is not supported in a realtime session.",
    ),
    wants({"type": "response.cancel", "event_id": 5}, "event_id", "a string", "an integer"),
    knows_no({"type": "response.cancel", "id": "x"}, "id"),
    lacks({"type": "session.update"}, "session"),
    lacks({"type": "session.update", "session": {}}, "session.type"),
    knows_no(update(x=1), "session.x"),
    knows_no(update(voice="alloy"), "session.voice"),
    knows_no(update(modalities=["audio", "text"]), "session.modalities"),
    wants(update(instructions=None), "session.instructions", "a string", "null"),
    wants(update(instructions=True), "session.instructions", "a string", "a boolean"),
    wants(update(tools={}), "session.tools", "an array", "an object"),
    (
        update(output_modalities=["audio", "text"]),
        "invalid_value",
        "session.output_modalities",
        "Invalid modalities: ['audio', 'text']. Supported combinations are: ['text'] and ['audio'].",
    ),
    outside(update(max_output_tokens=0), "integer_below_min_value", "session.max_output_tokens", "a value >= 1, but got 0"),
    outside(
        update(max_output_tokens=4097), "integer_above_max_value", "session.max_output_tokens", "a value <= 4096, but got 4097"
    ),
    not_among(update(max_output_tokens="many"), "session.max_output_tokens", "many", "'inf'"),
    lacks(update(tools=[{"type": "function"}]), "session.tools[0].name"),
    knows_no(update(tools=[{"type": "function", "function": {}, "name": "f"}]), "session.tools[0].function"),
    not_among(update(tool_choice="any"), "session.tool_choice", "any", "'none', 'auto', and 'required'"),
    not_among(
        update(audio={"output": {"voice": "bob"}}),
        "session.audio.output.voice",
        "bob",
        VOICES,
    ),
    outside(
        update(audio={"output": {"speed": 2}}),
        "decimal_above_max_value",
        "session.audio.output.speed",
        "a value <= 1.5, but got 2",
    ),
    wants(audio_in(format="pcm16"), "session.audio.input.format", "an object", "a string"),
    outside(
        audio_in(format={"type": "audio/pcm", "rate": 16000}),
        "integer_below_min_value",
        "session.audio.input.format.rate",
        "a value >= 24000, but got 16000",
    ),
    knows_no(audio_in(format={"type": "audio/pcmu", "rate": 8000}), "session.audio.input.format.rate"),
    lacks(audio_in(turn_detection={}), f"{DETECTION}.type"),
    not_among(
        audio_in(turn_detection={"type": "client_vad"}), f"{DETECTION}.type", "client_vad", "'server_vad' and 'semantic_vad'"
    ),
    knows_no(audio_in(turn_detection={"type": "semantic_vad", "threshold": 0.5}), f"{DETECTION}.threshold"),
    wants(
        audio_in(turn_detection={"type": "server_vad", "create_response": "no"}),
        f"{DETECTION}.create_response",
        "a boolean",
        "a string",
    ),
    lacks(item(type="message", role="user"), "item.content"),
    lacks(item(role="user", content=[]), "item.type"),
    not_among(item(type="image"), "item.type", "image", ITEMS),
    not_among(item(type="message", role="robot", content=[]), "item.role", "robot", "'user', 'system', and 'assistant'"),
    lacks(item(type="message", role="user", content=[{"type": "input_text"}]), "item.content[0].text"),
    not_among(
        item(type="message", role="user", content=[{"type": "text", "text": "a"}]),
        "item.content[0].type",
        "text",
        "'input_text', 'input_audio', and 'input_image'",
    ),
    # Assistant audio cannot be given back (protocol facts, 5.8).
    not_among(
        item(type="message", role="assistant", content=[{"type": "output_audio", "audio": "AA=="}]),
        "item.content[0].type",
        "output_audio",
        "'output_text'",
    ),
    (
        item(type="message", role="user", content=[{"type": "input_audio", "audio": "?"}]),
        "invalid_audio",
        "item.content[0].audio",
        f"Invalid 'item.content[0].audio'. {NOT_BASE64}",
    ),
    (
        item(type="message", role="user", id="i" * 33, content=[]),
        "string_above_max_length",
        "item.id",
        "Invalid 'item.id': string too long. Expected a string with maximum length 32, but got a string with length 33 instead.",
    ),
    lacks(item(type="function_call", name="f"), "item.arguments"),
    lacks(item(type="function_call_output", call_id="call_x"), "item.output"),
    (
        item(type="function_call_output", call_id="call_x", output="1"),
        "invalid_tool_call_id",
        "item.call_id",
        "Tool call ID 'call_x' not found in conversation.",
    ),
    (
        {**item(type="message", role="user", content=[]), "previous_item_id": "nobody"},
        "item_create_invalid_previous_item_id",
        "previous_item_id",
        "Error adding item: the previous item with id 'nobody' does not exist.",
    ),
    lacks(CUT, "audio_end_ms"),
    # F011: a decimal number is no integer, whole or not.
    wants({**CUT, "audio_end_ms": 5.0}, "audio_end_ms", "an integer", "a decimal number"),
    outside({**CUT, "audio_end_ms": -1}, "integer_below_min_value", "audio_end_ms", "a value >= 0, but got -1"),
    (
        {**CUT, "audio_end_ms": 5},
        "item_truncate_invalid_item_id",
        "item_id",
        "Error truncating item: the item with id 'x' does not exist.",
    ),
    lacks({"type": "conversation.item.delete"}, "item_id"),
    (
        {"type": "conversation.item.delete", "item_id": "x"},
        "item_delete_invalid_item_id",
        "item_id",
        "Error deleting item: the item with id 'x' does not exist.",
    ),
    (
        {"type": "conversation.item.retrieve", "item_id": "x"},
        "item_retrieve_invalid_item_id",
        "item_id",
        "Error retrieving item: the item with id 'x' does not exist.",
    ),
    lacks({"type": "input_audio_buffer.append"}, "audio"),
    ({"type": "input_audio_buffer.append", "audio": "AAA"}, "invalid_audio", "audio", f"Invalid 'audio'. {NOT_BASE64}"),
    knows_no({"type": "input_audio_buffer.append", "audio": "AAAA", "rate": 1}, "rate"),
    (
        {"type": "input_audio_buffer.commit"},
        "input_audio_buffer_commit_empty",
        None,
        "Error committing input audio buffer: buffer too small. "
        "Expected at least 100ms of audio, but buffer only has 0.00ms of audio.",
    ),
    ({"type": "response.cancel"}, *NO_RESPONSE),
    ({"type": "response.cancel", "response_id": "resp_x"}, *NO_RESPONSE),
    knows_no(create(modalities=["text"]), "response.modalities"),
    not_among(create(conversation="new"), "response.conversation", "new", "'auto' and 'none'"),
    wants(create(metadata={"n": 1}), "response.metadata.n", "a string", "an integer"),
    (
        create(metadata={str(n): "" for n in range(17)}),
        "object_above_max_properties",
        "response.metadata",
        "Invalid 'response.metadata': too many properties. "
        "Expected an object with at most 16 properties, but got an object with 17 properties instead.",
    ),
    (
        create(input=[{"type": "item_reference", "id": "gone"}]),
        "item_reference_invalid_item_id",
        "response.input[0].id",
        "Error referencing item: the item with id 'gone' does not exist.",
    ),
]


def flat(**session: Any) -> Event:
    return {"type": "session.update", "session": session}


PREVIEW: list[Row] = [
    # Preview must not send session.type (protocol facts, 2.2), and audio alone is no modality (2.6).
    knows_no(flat(type="realtime"), "session.type"),
    (
        flat(modalities=["audio"]),
        "invalid_value",
        "session.modalities",
        "Invalid modalities: ['audio']. Supported combinations are: ['text'] and ['audio', 'text'].",
    ),
    knows_no(flat(audio={}), "session.audio"),
    not_among(
        flat(output_audio_format="audio/pcm"), "session.output_audio_format", "audio/pcm", "'pcm16', 'g711_ulaw', and 'g711_alaw'"
    ),
    not_among(flat(voice="bob"), "session.voice", "bob", VOICES),
    not_among(
        item(type="message", role="assistant", content=[{"type": "output_text", "text": "a"}]),
        "item.content[0].type",
        "output_text",
        "'text'",
    ),
    knows_no(create(output_modalities=["text"]), "response.output_modalities"),
]


@pytest.mark.parametrize(("event", "code", "param", "text"), GA, ids=lambda value: str(value)[:60])
def test_ga_refuses(event: Event, code: str, param: str | None, text: str) -> None:
    refuses("openai", event, code, param, text)


@pytest.mark.parametrize(("event", "code", "param", "text"), PREVIEW, ids=lambda value: str(value)[:60])
def test_preview_refuses(event: Event, code: str, param: str | None, text: str) -> None:
    refuses("azure-preview", event, code, param, text)


def refuses(dialect: str, event: Event, code: str, param: str | None, text: str) -> None:
    client = Client(dialect=dialect)
    event = {"event_id": "mine", **event}
    said = client.raw_say(json.dumps(event).encode())
    echo = event["event_id"] if isinstance(event["event_id"], str) else None
    assert [answer["type"] for answer in said] == ["error"]
    assert said[0]["error"] == {"type": "invalid_request_error", "code": code, "message": text, "param": param, "event_id": echo}
    refusal = client.server.refusals[-1]
    assert (refusal.code, refusal.param, refusal.message, refusal.event) == (code, param, text, event)


ACCEPTED = [
    update(),
    update(instructions="", tools=[], tracing=None, prompt=None, include=None),
    audio_in(turn_detection=None, transcription=None, noise_reduction=None),
    audio_in(turn_detection={"type": "server_vad", "idle_timeout_ms": None, "threshold": 1}),
    audio_in(transcription={"model": "gpt-4o-transcribe", "language": "de"}, noise_reduction={"type": "near_field"}),
    update(audio={"output": {"format": {"type": "audio/pcmu"}, "voice": {"id": "voice_1"}, "speed": 1.5}}),
    update(truncation={"type": "retention_ratio", "retention_ratio": 0.8, "token_limits": {"post_instructions": 8000}}),
    update(
        tools=[{"type": "mcp", "server_label": "x", "allowed_tools": ["a"], "require_approval": {"never": {"tool_names": ["a"]}}}]
    ),
    update(tool_choice={"type": "function", "name": "f"}, reasoning={"effort": "low"}, parallel_tool_calls=False),
    update(model="another"),
    item(type="message", role="user", content=[{"type": "input_text", "text": "a"}]),
    item(
        type="message",
        role="user",
        id="mine",
        status="completed",
        object="realtime.item",
        content=[{"type": "input_audio", "audio": "AAAA"}],
    ),
    item(type="message", role="assistant", phase="commentary", content=[{"type": "output_text", "text": "a"}]),
    item(type="message", role="system", content=[{"type": "input_text", "text": "a"}]),
    item(type="function_call", call_id="call_1", name="f", arguments="{}"),
    {"type": "conversation.item.create", "previous_item_id": "root", "item": {"type": "message", "role": "user", "content": []}},
    {"type": "conversation.item.create", "previous_item_id": None, "item": {"type": "message", "role": "user", "content": []}},
    {"type": "input_audio_buffer.append", "audio": ""},
    {"type": "input_audio_buffer.clear", "event_id": None},
    {"type": "response.create"},
    {"type": "response.create", "response": None},
    create(instructions=None),
    create(conversation="none", input=[], metadata={"a": "b"}, output_modalities=["text"], max_output_tokens="inf"),
]


@pytest.mark.parametrize("event", ACCEPTED, ids=lambda event: json.dumps(event)[:80])
def test_ga_accepts(event: Event) -> None:
    client = Client()
    client.raw_say(json.dumps(event).encode())
    client.run()
    assert client.errors[:-1] == []  # the last one is the session's end


# -- against the conversation ------------------------------------------------------------------------------------------------


def error(client: Client, kind: str, **fields: Any) -> tuple[str | None, str, str | None, str | None]:
    """Code, text, parameter and event id of the one error that answers."""
    said = client.say(kind, event_id="mine", **fields)
    assert types(said) == ["error"], types(said)
    told = said[0]["error"]
    return told["code"], told["message"], told["param"], told["event_id"]


def truncate(client: Client, item_id: str, ms: int, index: int = 0) -> tuple[str | None, str, str | None, str | None]:
    return error(client, "conversation.item.truncate", item_id=item_id, content_index=index, audio_end_ms=ms)


NO_AUDIO = ("unsupported_content_type", "Only model output audio messages can be truncated", "item_id", "mine")


def test_a_truncate_before_the_first_sample_is_refused() -> None:  # S03, F001, C04
    client = Client(ResponsePlan(gap_s=5.0))
    client.say("response.create")
    declared = client.until_event("response.content_part.added")
    assert truncate(client, declared["item_id"], 0) == NO_AUDIO
    assert truncate(client, declared["item_id"], 100) == NO_AUDIO


def test_a_truncate_at_nothing_is_refused_even_where_there_is_audio() -> None:  # protocol facts, 5.6
    client = Client(spoken(1000))
    client.say("response.create")
    assert truncate(client, client.until_audio(9600), 0) == NO_AUDIO


@pytest.mark.parametrize("ms", [1001, 5000])
def test_a_truncate_above_the_length_is_refused(ms: int) -> None:  # C09, F002, F009
    client = Client(ResponsePlan((MessagePlan((PartPlan(audio_ms=1000, extra_samples=23),)),)))
    client.say("response.create")
    spoken_id = client.until_audio(24_023)
    expected = ("invalid_value", f"Audio content of 1000ms is already shorter than {ms}ms", "audio_end_ms", "mine")
    assert truncate(client, spoken_id, ms) == expected
    assert types(client.say("conversation.item.truncate", item_id=spoken_id, content_index=0, audio_end_ms=1000)) == [
        "conversation.item.truncated"
    ]


def test_a_truncate_of_what_is_not_model_audio_is_refused() -> None:  # protocol facts, 5.6
    parts = (PartPlan("text"), PartPlan(audio_ms=400))
    client = Client(ResponsePlan((MessagePlan(parts), CallPlan("f"))))
    client.say(
        "conversation.item.create",
        item={"type": "message", "role": "user", "id": "user", "content": [{"type": "input_text", "text": "a"}]},
    )
    client.say("response.create")
    client.until_event("response.done")
    message, call = client.server.conversation[1:]
    assert truncate(client, "user", 10) == NO_AUDIO
    assert truncate(client, call, 10) == NO_AUDIO
    assert truncate(client, message, 10, index=0) == NO_AUDIO
    assert truncate(client, message, 10, index=2) == NO_AUDIO
    assert types(client.say("conversation.item.truncate", item_id=message, content_index=1, audio_end_ms=10)) == [
        "conversation.item.truncated"
    ]


def test_a_truncate_or_delete_of_a_deleted_item_is_refused() -> None:
    client = Client(spoken(400), rules=Rules(unknown_item_text="not_found"))
    client.say("response.create")
    client.until_event("response.done")
    gone = client.server.conversation[0]
    assert types(client.say("conversation.item.delete", item_id=gone)) == ["conversation.item.deleted"]
    assert truncate(client, gone, 10) == (
        "item_truncate_invalid_item_id",
        f"Item with item_id not found: {gone}",
        "item_id",
        "mine",
    )
    deleted = error(client, "conversation.item.delete", item_id=gone)
    assert deleted == (
        "item_delete_invalid_item_id",
        f"Error deleting item: the item with id '{gone}' does not exist.",
        "item_id",
        "mine",
    )


@pytest.mark.parametrize("when", ["accepted", "created", "speaking"])
def test_a_second_active_response_is_refused(when: str) -> None:  # F044, F046, protocol facts 5.3
    client = Client(spoken(1000))
    client.say("response.create")
    if when != "accepted":
        client.until_event("response.created")
    if when == "speaking":
        client.until_audio(2400)
    running = client.server.active_response
    assert error(client, "response.create") == (
        "conversation_already_has_active_response",
        f"Conversation already has an active response in progress: {running}. "
        "Wait until the response is finished before creating a new one.",
        None,
        None,  # the usual server does not say whose mistake it was
    )


@pytest.mark.parametrize(
    ("rule", "active", "other"), [("always", "mine", "mine"), ("usual", None, "mine"), ("never", None, None)]
)
def test_whether_an_error_names_the_client_event_is_a_rule(rule: Any, active: str | None, other: str | None) -> None:  # F046
    client = Client(spoken(1000), rules=Rules(error_event_id=rule))
    client.say("response.create")
    assert error(client, "response.create")[3] == active
    assert error(client, "conversation.item.delete", item_id="x")[3] == other


def test_old_servers_answer_without_a_code() -> None:  # protocol facts, 6.1
    client = Client(spoken(1000), rules=Rules(codes="old"))
    client.say("response.create")
    assert error(client, "response.create")[0] is None
    assert error(client, "input_audio_buffer.commit")[0] is None
    assert truncate(client, client.until_audio(2400), 5000)[0] is None
    assert error(client, "conversation.item.delete", item_id="x")[0] == "item_delete_invalid_item_id"


def test_a_cancel_of_a_response_that_ended_is_refused() -> None:  # F050, C14
    client = Client(spoken(400))
    client.say("response.create")
    done = client.until_event("response.done")
    assert error(client, "response.cancel", response_id=done["response"]["id"])[0] == "response_cancel_not_active"


def test_a_cancel_without_id_before_response_created_is_a_rule() -> None:  # F049
    refusing = Client(spoken(400))
    refusing.say("response.create")
    assert error(refusing, "response.cancel")[0] == "response_cancel_not_active"
    assert refusing.until_event("response.done")["response"]["status"] == "completed"
    cancelling = Client(spoken(400), rules=Rules(cancel_before_created="cancels"))
    cancelling.say("response.create")
    assert types(cancelling.say("response.cancel"))[:2] == ["response.created", "response.done"]


def test_a_duplicate_id_is_refused() -> None:
    client = Client()
    text = {"type": "message", "role": "user", "id": "twice", "content": []}
    client.say("conversation.item.create", item=text)
    duplicate = ("item_create_duplicate_item_id", "Error adding item: an item with id 'twice' already exists.", None, None)
    assert error(client, "conversation.item.create", item=text) == duplicate


def test_a_function_result_needs_a_call_that_is_still_there() -> None:
    client = Client(ResponsePlan((CallPlan("f"),)))
    client.say("response.create")
    call = client.until_event("response.function_call_arguments.done")
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "1"}
    # Accepted before response.done (protocol facts, 4.11).
    assert types(client.say("conversation.item.create", item=result)) == ["conversation.item.added", "conversation.item.done"]
    client.say("conversation.item.delete", item_id=call["item_id"])
    assert error(client, "conversation.item.create", item=result)[0] == "invalid_tool_call_id"


@pytest.mark.parametrize("rule", ["accepted", "refused"])
def test_whether_a_call_may_be_repeated_or_answered_twice_is_a_rule(rule: Any) -> None:
    client = Client(rules=Rules(repeated_call=rule))
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c", "output": "1"}
    for sent, what in ((call, "a function call"), (result, "an output")):
        client.say("conversation.item.create", item=sent)
        assert client.errors == []
        client.say("conversation.item.create", item=sent)
        if rule == "refused":
            told = client.errors[0]
            assert (told["code"], told["param"]) == ("invalid_tool_call_id", "item.call_id")
            assert told["message"] == f"Tool call ID 'c' already has {what} in the conversation."
            client.heard.clear()
    (output, *_) = [held.id for held in client.server.items.values() if held.type == "function_call_output"]
    client.say("conversation.item.delete", item_id=output)
    client.say("conversation.item.create", item=result)
    assert client.errors == []


def test_a_truncation_object_has_a_type_of_its_own() -> None:  # protocol facts, 2
    client = Client()
    (refused,) = client.session(truncation={"type": "auto"})
    assert (refused["error"]["code"], refused["error"]["param"]) == ("invalid_value", "session.truncation.type")
    client.heard.clear()
    client.session(truncation={"type": "retention_ratio", "retention_ratio": 0.5})
    client.session(truncation="auto")
    assert client.errors == []


@pytest.mark.parametrize("dialect", ["openai", "azure-preview"])
def test_the_voice_is_frozen_once_there_is_assistant_audio(dialect: str) -> None:  # protocol facts, 2.4
    def voice(name: str) -> Event:
        if dialect == "openai":
            return {"type": "realtime", "audio": {"output": {"voice": name}}}
        return {"voice": name}

    client = Client(spoken(400), dialect=dialect)
    assert types(client.say("session.update", session=voice("echo"))) == ["session.updated"]
    client.say("response.create")
    client.until_event("response.done")
    param = "session.audio.output.voice" if dialect == "openai" else "session.voice"
    text = "Cannot update a conversation's voice if assistant audio is present."
    assert error(client, "session.update", session=voice("sage")) == ("cannot_update_voice", text, param, "mine")
    assert types(client.say("session.update", session=voice("echo"))) == ["session.updated"]


def test_an_update_is_all_or_nothing() -> None:  # protocol facts, 2.3
    client = Client()
    before = dict(client.server.session)
    error(client, "session.update", session={"type": "realtime", "instructions": "new", "audio": {"output": {"speed": 9}}})
    assert client.server.session == before


def test_an_empty_commit_counts_what_was_written_since_the_last() -> None:
    client = Client()
    client.session(audio={"input": {"turn_detection": None}})
    client.audio(bytes(4798))
    refused = error(client, "input_audio_buffer.commit")
    assert refused[0] == "input_audio_buffer_commit_empty"
    assert refused[1].endswith("but buffer only has 99.96ms of audio.")
    client.audio(bytes(2))
    assert types(client.say("input_audio_buffer.commit"))[0] == "input_audio_buffer.committed"
    assert error(client, "input_audio_buffer.commit")[0] == "input_audio_buffer_commit_empty"


# -- anything at all ---------------------------------------------------------------------------------------------------------

GARBAGE = [
    b"",
    b"\xff\xfe",
    b"{",
    b"null",
    b"[]",
    b"7",
    b'"x"',
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"type":"\xed\xa0\x80"}',
    b"1e999",
]


@pytest.mark.parametrize("payload", GARBAGE, ids=lambda payload: repr(payload[:12]))
def test_what_is_no_json_object_is_refused(payload: bytes) -> None:  # C29
    client = Client()
    assert [(told["type"], told["error"]["code"]) for told in client.raw_say(payload)] == [("error", "invalid_json")]


def test_a_frame_of_16_mib_is_refused_and_the_session_goes_on() -> None:  # C29
    client = Client()
    payload = b'{"type":"input_audio_buffer.append","audio":"%s"}' % (b"A" * (16 << 20))
    assert client.raw_say(payload)[0]["error"]["code"] == "string_above_max_length"
    assert client.raw_say(b"\x00" * (16 << 20))[0]["error"]["code"] == "invalid_json"
    assert len(client.server.refusals[-1].event) <= 1000
    assert types(client.say("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]


VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PIECES = [event for event, *_ in GA + PREVIEW] + ACCEPTED


def mutated(event: Event, path: list[int], value: Any) -> Event:
    """``event`` with something inside it replaced."""
    copy = json.loads(json.dumps(event))
    at: Any = copy
    for step in path:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            break
        key = keys[step % len(keys)]
        if not isinstance(at[key], dict | list) or step % 3 == 0:
            at[key] = value
            break
        at = at[key]
    return dict(copy)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.tuples(st.sampled_from(PIECES), st.lists(st.integers(0, 20), min_size=1, max_size=5), VALUES), max_size=8),
    st.binary(max_size=30),
)
def test_no_client_message_raises(events: list[tuple[Event, list[int], Any]], noise: bytes) -> None:
    """Whatever a client says, the server answers in JSON and goes on."""
    client = Client(spoken(300))
    client.say("response.create")
    for event, path, value in events:
        client.raw_say(json.dumps(mutated(event, path, value)).encode())
    client.raw_say(noise)
    client.until(client.now + 20)
    assert types(client.say("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]


# -- against the address (protocol facts 1.1, docs/decisions.md) ---------------------------------------------------------------

NOT_HERE = "Passing a {} session update event to a {} session is not allowed."
LISTEN: dict[str, Any] = {
    "openai": ("session.update", {"type": "transcription"}),
    "azure-preview": ("transcription_session.update", {}),
}
CONVERSE: dict[str, Any] = {"openai": ("session.update", {"type": "realtime"}), "azure-preview": ("session.update", {})}
GENERATIONS = pytest.mark.parametrize("dialect", ["openai", "azure-preview"])


@GENERATIONS
def test_an_address_with_a_model_opens_a_conversation_alone(dialect: str) -> None:
    client = Client(dialect=dialect, address="conversation")
    kind, session = LISTEN[dialect]
    assert error(client, kind, session=session) == (
        "invalid_parameter",
        NOT_HERE.format("transcription", "realtime"),
        None,
        "mine",
    )
    kind, session = CONVERSE[dialect]
    assert types(client.say(kind, session=session)) == ["session.updated"]


@GENERATIONS
def test_an_address_with_the_intent_opens_a_session_that_only_transcribes(dialect: str) -> None:
    client = Client(dialect=dialect, address="transcription")
    updated = {"openai": "session", "azure-preview": "transcription_session"}[dialect]
    assert types(client.heard)[0] == f"{updated}.created"
    assert client.heard[0]["session"]["object"] == "realtime.transcription_session"
    kind, session = CONVERSE[dialect]
    assert error(client, kind, session=session) == (
        "invalid_parameter",
        NOT_HERE.format("realtime", "transcription"),
        None,
        "mine",
    )
    kind, session = LISTEN[dialect]
    assert types(client.say(kind, session=session)) == [f"{updated}.updated"]


@GENERATIONS
def test_an_address_with_both_opens_neither(dialect: str) -> None:
    client = Client(dialect=dialect, address="both")
    kind, session = LISTEN[dialect]
    words = "You must not provide a model parameter for transcription sessions."
    assert error(client, kind, session=session) == ("invalid_model", words, None, "mine")
    assert client.server.closing == (4000, "invalid_request_error.invalid_model")
    assert client.say(kind, session=session) == []


@GENERATIONS
def test_where_nothing_is_known_of_the_address_the_session_says_what_it_is(dialect: str) -> None:
    for kind, session in (LISTEN[dialect], CONVERSE[dialect]):
        assert types(Client(dialect=dialect).say(kind, session=session))[0].endswith("session.updated")
