"""Events beside speech and responses: remote tools, keys, idle time-outs, usage, what is unknown, and the raw wire (issue 5).

B27: what is not known passes through and costs nothing; facts 4.12, 4.14, 10, 11.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from helpers import wire
from helpers.scene import Scene, configured, kinds, outcomes, ready, sent, talking, told
from pydantic import ValidationError

from rtcore import (
    AnsweredInText,
    ApprovalRequested,
    DtmfReceived,
    IdleTimeout,
    ItemRetrieved,
    LocalProtocolError,
    McpCalled,
    McpCallEnded,
    McpListing,
    MessageEnded,
    MessageStarted,
    Problem,
    ProtocolWarning,
    RateLimitsUpdated,
    RawEvent,
    ResponseEnded,
    ServerError,
    UnknownFields,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
    UserTranscriptDelta,
    UserTranscriptSegment,
    Verdict,
)
from rtcore.recording import RecordedSession
from rtcore.usage import Prices, Usage, confidence, cost, response_usage, transcription_usage

Event = dict[str, Any]


def event(kind: str, **fields: object) -> list[Event]:
    return [{"type": kind, "event_id": "event_x", **fields}]


def output(kind: str, item: Event, *, response: str = "r1", index: int = 0) -> list[Event]:
    return event(f"response.output_item.{kind}", response_id=response, output_index=index, item=item)


# -- remote tools (facts 4.14) ------------------------------------------------------------------------------------------------

LISTING: Event = {"id": "mcpl_1", "type": "mcp_list_tools", "server_label": "shop", "tools": []}
TOOLS = [{"name": "price", "input_schema": {"type": "object"}}]
CALL: Event = {"id": "mcp_1", "type": "mcp_call", "server_label": "shop", "name": "price", "arguments": ""}
ASK: Event = {"id": "mcpr_1", "type": "mcp_approval_request", "server_label": "shop", "name": "buy", "arguments": '{"n":1}'}


def test_a_listing_of_remote_tools_is_told_from_beginning_to_end() -> None:
    scene = ready()
    scene.server(
        event("conversation.item.added", item={**LISTING, "tools": None}, previous_item_id=None),
        event("mcp_list_tools.in_progress", item_id="mcpl_1"),
        event("mcp_list_tools.completed", item_id="mcpl_1"),
        event("conversation.item.done", item={**LISTING, "tools": TOOLS}, previous_item_id=None),
    )
    assert told(scene.log, McpListing) == [
        McpListing("mcpl_1", "shop", "in_progress"),
        McpListing("mcpl_1", "shop", "completed", tuple(TOOLS)),
    ]
    [shown] = scene.session.history
    assert (shown.type, shown.server_label, shown.tools) == ("mcp_list_tools", "shop", tuple(TOOLS))
    assert told(scene.log, ProtocolWarning) == []


def test_a_listing_that_fails_is_told_and_nothing_waits() -> None:
    scene = ready()
    scene.server(event("mcp_list_tools.failed", item_id="mcpl_9"))
    assert told(scene.log, McpListing) == [McpListing("mcpl_9", "", "failed")]


def remote_call(*, ended: Event, how: str = "completed") -> list[Event]:
    return [
        *output("added", CALL),
        *event("conversation.item.added", item=CALL, previous_item_id=None),
        *event("response.mcp_call_arguments.delta", response_id="r1", item_id="mcp_1", output_index=0, delta="{}"),
        *event("response.mcp_call_arguments.done", response_id="r1", item_id="mcp_1", output_index=0, arguments="{}"),
        *event("response.mcp_call.in_progress", item_id="mcp_1", output_index=0),
        *event(f"response.mcp_call.{how}", item_id="mcp_1", output_index=0),
        *event("conversation.item.done", item=ended, previous_item_id=None),
        *output("done", ended),
    ]


def test_a_remote_call_is_told_once_with_its_output() -> None:
    scene = talking(remote_call(ended={**CALL, "arguments": "{}", "output": "3 euros"}), wire.done("r1"))
    assert told(scene.log, McpCalled) == [McpCalled("mcp_1", "r1", "shop", "price", "{}")]
    assert told(scene.log, McpCallEnded) == [McpCallEnded("mcp_1", "r1", "shop", "price", "3 euros")]
    assert "response.create" not in kinds(scene.log), "the server goes on by itself"


def test_a_remote_call_that_fails_says_why() -> None:
    error = {"type": "http_error", "code": 503, "message": "down"}
    scene = talking(remote_call(ended={**CALL, "arguments": "{}", "error": error}, how="failed"), wire.done("r1"))
    [ended] = told(scene.log, McpCallEnded)
    assert ended.problem is not None
    assert (ended.output, ended.problem.code, ended.problem.message, ended.problem.type) == (None, "503", "down", "http_error")


def test_a_remote_call_that_is_cut_ends_with_its_response() -> None:
    script = [*output("added", CALL), *event("response.mcp_call.in_progress", item_id="mcp_1", output_index=0)]
    scene = talking(script, wire.done("r1", status="cancelled"))
    [ended] = told(scene.log, McpCallEnded)
    assert isinstance(ended.problem, Problem)
    assert ended.problem.code == "incomplete"


def test_an_approval_is_asked_once_and_answered_like_a_call() -> None:
    scene = talking(output("added", ASK), output("done", ASK), event("conversation.item.done", item=ASK))
    assert told(scene.log, ApprovalRequested) == [ApprovalRequested("mcpr_1", "shop", "buy", '{"n":1}', "r1")]
    answered = scene.approve("mcpr_1", approve=False, reason="too dear")
    [item] = [each["item"] for each in sent(answered)]
    assert {key: item[key] for key in item if key != "id"} == {
        "type": "mcp_approval_response",
        "approval_request_id": "mcpr_1",
        "approve": False,
        "reason": "too dear",
    }
    request = scene.request
    echoed = scene.server(
        event("conversation.item.added", item=item, previous_item_id=None), event("conversation.item.done", item=item)
    )
    assert outcomes(echoed) == [(request, "done")]
    assert "response.create" in kinds(scene.server(wire.done("r1"))), "the model goes on, once its response is done"


def test_approvals_and_function_calls_of_one_response_are_one_batch() -> None:
    """C15, facts 4.7: one response.create after all of them."""
    scene = talking(wire.call("c1", index=0), output("done", ASK, index=1), wire.done("r1"))
    assert "response.create" not in kinds(scene.tool_result("c1", "x"))
    effects = scene.approve("mcpr_1")
    assert kinds(effects) == ["conversation.item.create", "response.create"]


@pytest.mark.parametrize("wrong", ["mcpr_2", "c1"])
def test_only_an_open_request_can_be_approved(wrong: str) -> None:
    scene = talking(wire.call("c1", index=0), output("done", ASK, index=1))
    with pytest.raises(LocalProtocolError, match="is not open"):
        scene.session.approve(wrong, now=scene.now)
    scene.approve("mcpr_1")
    with pytest.raises(LocalProtocolError, match="already"):
        scene.session.approve("mcpr_1", now=scene.now)
    with pytest.raises(LocalProtocolError, match="not an open call"):
        scene.session.tool_result("mcpr_1", "x", now=scene.now)


def test_a_remote_servers_credentials_never_show() -> None:
    """B20: not in what is printed, not in errors; on the wire as given."""
    tool = {"type": "mcp", "server_label": "shop", "server_url": "https://s.example", "authorization": "tok-very-secret-1"}
    options = {**tool, "headers": {"x-key": "head-very-secret-2"}, "require_approval": {"never": {"tool_names": ["price"]}}}
    config = configured(session={"tools": [options]})
    assert "very-secret" not in repr(config)
    assert "very-secret" not in str(config)
    assert config.session.wire()["tools"] == [options]
    with pytest.raises(ValidationError) as fault:
        configured(session={"tools": [{**options, "headers": {"x-key": 5, "y": "head-very-secret-2"}, "odd": "very-secret"}]})
    assert "very-secret" not in str(fault.value)
    scene = ready()
    with pytest.raises(LocalProtocolError, match=r"tools\.0\.require_approval") as local:
        scene.session.update({"tools": [{**options, "require_approval": "very-secret"}]}, now=scene.now)
    assert "very-secret" not in str(local.value)
    lines: list[bytes] = []
    recorded = RecordedSession(config, seed=1, sink=lines.append)
    recorded.open(now=0.0)
    recorded.connected(1, now=0.0)
    recorded.finish()
    assert b"very-secret" not in b"".join(lines)
    talks = ready(config)
    talks.server(wire.error("mcp_error", "401 for tok-very-secret-1"))
    assert [notice.problem.message for notice in told(talks.log, ServerError)] == ["401 for ***"]


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ({"image_url": "cat.png"}, r"content\[0\].image_url: 'cat.png' is no image"),
        ({}, "image_url: 'None'"),
        ({"image_url": "data:image/png;base64,AA==", "detail": "best"}, "detail: 'best' is not one of auto, low, high"),
    ],
)
def test_an_image_that_is_none_is_refused(image: Event, said: str) -> None:
    """Facts 5.8."""
    scene = ready()
    item = {"type": "message", "role": "user", "content": [{"type": "input_image", **image}]}
    with pytest.raises(LocalProtocolError, match=said):
        scene.session.create_item(item, now=scene.now)


# -- the user: keys, silence, offsets, transcripts -----------------------------------------------------------------------------


def test_a_key_of_a_telephone_is_told() -> None:
    scene = ready()
    scene.server([{"type": "input_audio_buffer.dtmf_event_received", "event": "#", "received_at": 1763906400}])
    assert told(scene.log, DtmfReceived) == [DtmfReceived("#", 1763906400.0)]


def test_an_idle_timeout_is_told_and_the_servers_items_enter_the_history() -> None:
    """Facts 4.12, rule 22: the injected system message is an item like any other."""
    scene = ready()
    system = {"id": "s1", "type": "message", "role": "system", "content": [{"type": "input_text", "text": "Silence."}]}
    scene.server(
        event("input_audio_buffer.timeout_triggered", item_id="u1", audio_start_ms=100, audio_end_ms=6100),
        event("conversation.item.added", item=system, previous_item_id=None),
        event("conversation.item.done", item=system),
    )
    assert told(scene.log, IdleTimeout) == [IdleTimeout("u1", 100, 6100)]
    assert [(item.role, item.text) for item in scene.session.history] == [("system", "Silence.")]


def test_where_speech_began_and_ended_is_told() -> None:
    scene = ready()
    scene.server(
        event("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=640),
        event("input_audio_buffer.speech_stopped", item_id="u1", audio_end_ms="late"),
    )
    assert told(scene.log, UserSpeechStarted) == [UserSpeechStarted("u1", "server", 640)]
    assert told(scene.log, UserSpeechStopped) == [UserSpeechStopped("u1", "server", None)]


def test_a_transcript_has_confidence_languages_and_usage() -> None:
    """S10: logprobs come where ``include`` asks for them."""
    scene = ready()
    logprobs = [{"token": "Hi", "logprob": -0.5, "bytes": [72, 105]}, {"token": "!", "logprob": -1.5, "bytes": [33]}]
    kind = "conversation.item.input_audio_transcription"
    scene.server(
        event(f"{kind}.delta", item_id="u1", content_index=0, delta="Hi", logprobs=logprobs[:1]),
        event(
            f"{kind}.completed",
            item_id="u1",
            content_index=0,
            transcript="Hi!",
            logprobs=logprobs,
            languages=["en"],
            usage={"type": "duration", "seconds": 2.5},
        ),
        event(f"{kind}.segment", item_id="u1", content_index=0, id="seg_1", text="Hi!", speaker="A", start=0.1, end=0.9),
    )
    assert told(scene.log, UserTranscriptDelta) == [UserTranscriptDelta("u1", 0, "Hi", tuple(logprobs[:1]))]
    [whole] = told(scene.log, UserTranscript)
    assert whole.confidence == pytest.approx(0.36788, abs=1e-5)
    assert (whole.text, whole.languages, whole.usage) == ("Hi!", ("en",), {"type": "duration", "seconds": 2.5})
    assert told(scene.log, UserTranscriptSegment) == [UserTranscriptSegment("u1", 0, "seg_1", "Hi!", "A", 0.1, 0.9)]
    assert scene.session.usage.session.transcription_s == 2.5


@pytest.mark.parametrize("odd", [None, 7, "x", [None], [{"logprob": "low"}], [{"logprob": True}]])
def test_odd_logprobs_and_usage_cost_nothing(odd: object) -> None:
    """B27: the words count, whatever stands beside them."""
    scene = ready()
    kind = "conversation.item.input_audio_transcription.completed"
    scene.server(event(kind, item_id="u1", content_index=0, transcript="Hi", logprobs=odd, usage=odd, languages=odd))
    [whole] = told(scene.log, UserTranscript)
    assert (whole.text, whole.confidence) == ("Hi", None)


# -- the model: phase, usage ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["commentary", "final_answer"])
def test_a_messages_phase_is_told(phase: str) -> None:
    """Facts 11.2."""
    script = wire.message("m1", 100, "One.")
    for each in script:
        if isinstance(each.get("item"), dict):
            each["item"]["phase"] = phase
    scene = talking(script, wire.done("r1"), heard_ms=100, at=0.2)
    assert [notice.phase for notice in told(scene.log, MessageStarted)] == [phase]
    assert [notice.phase for notice in told(scene.log, MessageEnded)] == [phase]
    assert [item.phase for item in scene.session.history] == [phase]


USAGE: Event = {
    "total_tokens": 400,
    "input_tokens": 300,
    "output_tokens": 100,
    "input_token_details": {
        "text_tokens": 100,
        "audio_tokens": 190,
        "image_tokens": 10,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 64, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 70, "reasoning_tokens": 12},
}


def done(response: str, **more: object) -> list[Event]:
    return event("response.done", response={"id": response, "status": "completed", "conversation_id": "c", **more})


def test_usage_adds_up_by_response_turn_and_session() -> None:
    scene = ready()
    user = {"id": "u1", "type": "message", "role": "user", "content": []}
    scene.server(wire.created("r1"), done("r1", usage=USAGE), event("conversation.item.added", item=user, previous_item_id=None))
    scene.server(wire.created("r2"), done("r2", usage=USAGE), done("r2", usage=USAGE))
    kind = "conversation.item.input_audio_transcription.completed"
    tokens = {
        "type": "tokens",
        "input_tokens": 20,
        "output_tokens": 5,
        "input_token_details": {"audio_tokens": 18, "text_tokens": 2},
    }
    scene.server(event(kind, item_id="u1", content_index=0, transcript="", usage=tokens))
    totals = scene.session.usage
    assert [notice.usage for notice in told(scene.log, ResponseEnded)] == [USAGE, USAGE]
    assert (totals.session.responses, totals.turn.responses) == (2, 1)
    assert (totals.session.input_tokens, totals.turn.input_tokens) == (600, 300)
    assert (totals.turn.reasoning, totals.turn.cached_audio, totals.turn.transcription_input_audio) == (12, 64, 18)


def test_usage_at_the_top_of_the_event_counts() -> None:
    """Facts 14: xAI leaves that of the response empty."""
    scene = ready()
    scene.server(wire.created("r1"), event("response.done", response={"id": "r1", "usage": {}}, usage=USAGE))
    assert [notice.usage for notice in told(scene.log, ResponseEnded)] == [USAGE]
    assert scene.session.usage.session == response_usage(USAGE)


def test_cost_is_what_the_program_says_it_is() -> None:
    prices = Prices(input_text=4, input_audio=32, input_image=5, cached_audio=0.4, output_text=16, output_audio=64)
    expected = (100 * 4 + (190 - 64) * 32 + 64 * 0.4 + 10 * 5 + 30 * 16 + 70 * 64) / 1e6
    assert cost(response_usage(USAGE), prices) == pytest.approx(expected)
    minute = transcription_usage({"type": "duration", "seconds": 30})
    assert cost(minute, Prices(transcription_minute=0.006)) == pytest.approx(0.003)
    assert cost(Usage(), prices) == 0


@pytest.mark.parametrize("odd", [None, {}, {"input_tokens": -1}, {"input_tokens": True, "input_token_details": 3}])
def test_odd_usage_counts_as_none(odd: Event | None) -> None:
    assert response_usage(odd) == Usage(responses=1)


def test_a_total_without_its_parts_counts_as_text() -> None:
    assert response_usage({"input_tokens": 7, "output_tokens": 3}) == Usage(responses=1, input_text=7, output_text=3)


def test_confidence_of_nothing_is_none() -> None:
    assert confidence([]) is None


# -- retrieving ---------------------------------------------------------------------------------------------------------------


def test_an_item_is_retrieved_whole() -> None:
    scene = ready()
    effects = scene.retrieve_item("m1")
    assert sent(effects) == [{"type": "conversation.item.retrieve", "item_id": "m1"}]
    item = {"id": "m1", "type": "message", "content": [{"type": "output_audio", "audio": "AAAA"}]}
    answer = scene.server(event("conversation.item.retrieved", item=item))
    assert told(answer, ItemRetrieved) == [ItemRetrieved("m1", item)]
    assert outcomes(answer) == [(scene.request, "done")]


# -- what is unknown, and the raw wire ------------------------------------------------------------------------------------------


def test_unknown_fields_of_known_events_cost_nothing_unless_asked_for() -> None:
    scene = ready()
    scene.server(event("response.created", response={"id": "r1", "mood": "good"}, weather="fine"))
    assert (told(scene.log, UnknownFields), told(scene.log, ProtocolWarning)) == ([], [])


def test_unknown_fields_are_told_where_that_is_asked_for() -> None:
    scene = ready(configured(tap="unknown"))
    whole = {"type": "response.output_item.added", "event_id": "e", "output_index": 0, "response_id": "r1", "weather": 1}
    item = {"id": "m1", "type": "message", "mood": "good", "content": [{"type": "output_text", "text": "", "color": 1}]}
    scene.server(wire.created("r1"), [{**whole, "item": item}])
    [found] = told(scene.log, UnknownFields)
    assert (found.event_type, found.fields) == ("response.output_item.added", ("weather", "item.mood", "item.content.color"))
    assert json.loads(found.payload)["weather"] == 1
    assert told(scene.log, RawEvent) == []


def test_the_tap_shows_both_directions() -> None:
    scene = ready(configured(tap="all"))
    scene.say("Hello")
    raw = told(scene.log, RawEvent)
    seen = [(notice.direction, json.loads(notice.payload)["type"]) for notice in raw]
    assert seen == [
        ("sent", "session.update"),
        ("received", "session.created"),
        ("received", "session.updated"),
        ("sent", "conversation.item.create"),
        ("sent", "response.create"),
    ]


def test_what_no_command_says_can_be_sent_raw() -> None:
    scene = ready()
    event = {"type": "input_image_buffer.append", "image": "AAAA"}
    first, second = scene.send_raw(event), scene.send_raw({**event, "event_id": "mine"})
    assert sent(first) == [event]
    ids = [json.loads(bytes(effect.payload))["event_id"] for effect in (*first, *second) if hasattr(effect, "payload")]
    assert len(set(ids)) == 2
    assert ids[1] == "mine"
    assert event == {"type": "input_image_buffer.append", "image": "AAAA"}, "the program's object is left alone"
    answer = scene.server(wire.error("unknown_event", "What?", event_id="mine"))
    assert [notice.request for notice in told(answer, ServerError)] == [None]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"type": "response.create"}, r"respond\(\)"),
        ({"type": "response.cancel"}, r"interrupt\(response\)"),
        ({"type": "conversation.item.truncate", "item_id": "m1"}, r"interrupt\(\)"),
        ({"type": "session.update", "session": {}}, r"update\(\)"),
        ({"type": ""}, "is no type"),
        ({"x": 1}, "is no type"),
        ({"type": "x", "event_id": "event_00000000_1"}, "of your own"),
        ({"type": "x", "event_id": ""}, "of your own"),
        ({"type": "x", "of": object()}, "cannot be written as JSON"),
    ],
)
def test_what_would_break_the_books_is_refused_with_the_command_to_use(event: Event, said: str) -> None:
    scene = ready()
    with pytest.raises(LocalProtocolError, match=said):
        scene.session.send_raw(event, now=scene.now)


# -- what the failures of others ask for ---------------------------------------------------------------------------------------


def test_a_full_configuration_sent_again_never_carries_the_voice() -> None:
    """F135: after the model has spoken, an update has only what is named; another voice is refused with its remedy."""
    scene = talking(wire.message("m1", 100, "One."), session={"audio": {"output": {"voice": "marin"}}})
    assert sent(scene.update({"instructions": "Be brief."}))[0]["session"] == {"type": "realtime", "instructions": "Be brief."}
    with pytest.raises(LocalProtocolError, match="voice is fixed once the model has spoken; open a new session"):
        scene.session.update({"audio": {"output": {"voice": "cedar"}}}, now=scene.now)


def test_a_connection_begins_with_the_whole_configuration() -> None:
    """F137: instructions, voice and tools are in the first event, and nothing else goes out before it is acknowledged."""
    tools = [{"type": "function", "name": "look_up"}]
    session = {"instructions": "Be kind.", "audio": {"output": {"voice": "cedar"}}, "tools": tools}
    scene = Scene(configured(session=session))
    scene.open()
    scene.connected()
    scene.say("Hello")
    [first] = sent(scene.log)
    assert first["session"] == {"type": "realtime", **session}
    scene.server(wire.session_updated())
    assert kinds(scene.log) == ["session.update", "conversation.item.create", "response.create"]


def test_an_answer_in_text_alone_is_told_and_nothing_is_made_up() -> None:
    """F140, F141: an audio session whose answer has no sound: its text and verdict are told; no item of ours is sent."""
    scene = talking(wire.text_message("m1", "Only words."), wire.done("r1"))
    [ended] = told(scene.log, MessageEnded)
    assert (ended.verdict, ended.text) == (Verdict.TEXT, "Only words.")
    assert kinds(scene.log) == ["session.update"]


def test_an_answer_in_text_alone_is_named_where_sound_was_asked_for() -> None:
    """F140: never silent: the program is told of each message that nobody will hear, with its words."""
    scene = talking(wire.text_message("m1", "Only words."), wire.done("r1"))
    assert told(scene.log, AnsweredInText) == [AnsweredInText("r1", "m1", "Only words.")]
    scene.server(wire.created("r2"), wire.message("m2", 100, "Heard.", r="r2", previous="m1"))
    mixed = wire.text_message("t2", "Shown.", r="r2", index=1, previous="m2") + wire.done("r2")
    assert told(scene.server(mixed), AnsweredInText) == []  # an answer with sound may have a text beside it


@pytest.mark.parametrize(
    "story",
    [
        lambda scene: scene.server(wire.text_message("m1", "Half"), wire.cancelled("r1")),
        lambda scene: scene.server(wire.text_message("m1", "Half"), wire.done("r1", "incomplete", "max_output_tokens")),
        lambda scene: scene.server(wire.opened("m1"), wire.transcript("m1", "Silent"), wire.done("r1")),
        lambda scene: scene.server(wire.call("c1"), wire.done("r1")),
        lambda scene: scene.server(wire.done("r1")),
    ],
    ids=["cut", "incomplete", "sound that never came", "a call", "nothing at all"],
)
def test_what_is_no_answer_in_text_is_not_called_one(story: Callable[[Scene], object]) -> None:  # F140
    scene = talking()
    story(scene)
    assert told(scene.log, AnsweredInText) == []


def test_text_that_was_asked_for_is_no_surprise() -> None:
    """F140: by the session, or by the request."""
    for_text = ready(configured(session={"output_modalities": ["text"]}), output_modalities=["text"])
    for_text.server(wire.created("r1"), wire.text_message("m1", "Words."), wire.done("r1"))
    once = ready()
    once.respond({"output_modalities": ["text"]})
    once.server(wire.created("r1", request=once.request), wire.text_message("m1", "Words."), wire.done("r1"))
    assert told([*for_text.log, *once.log], AnsweredInText) == []


def test_an_answer_in_text_is_taken_out_and_asked_for_once_more() -> None:
    """F140: by policy, once, after the delete was acknowledged (DESIGN 3: edits come before creations)."""
    scene = ready(configured(text_answers="retry"))
    scene.server(wire.created("r1"), wire.text_message("m1", "Only words."))
    deleting = scene.server(wire.done("r1"))
    assert told(deleting, AnsweredInText) == [AnsweredInText("r1", "m1", "Only words.", retried=True)]
    assert sent(deleting) == [{"type": "conversation.item.delete", "item_id": "m1"}]
    [asked] = sent(scene.server(wire.deleted("m1")))
    assert asked["type"] == "response.create"
    mine = int(asked["response"]["metadata"]["rtcore_request"])
    again = scene.server(wire.created("r2", request=mine), wire.text_message("m2", "Again words.", r="r2"), wire.done("r2"))
    assert told(again, AnsweredInText) == [AnsweredInText("r2", "m2", "Again words.")]
    assert kinds(again) == []
    scene.server(wire.created("r3"), wire.message("m3", 100, "Heard.", r="r3", previous="m2"), wire.done("r3"))
    scene.played(1, 100)
    later = scene.server(wire.created("r4"), wire.text_message("m4", "Words.", r="r4", previous="m3"), wire.done("r4"))
    assert [each.retried for each in told(later, AnsweredInText)] == [True]


def test_an_answer_in_text_beside_a_call_is_not_asked_for_again() -> None:  # F140: the answer to the call's output follows
    scene = ready(configured(text_answers="retry"))
    scene.server(wire.created("r1"), wire.text_message("m1", "Let me look."), wire.call("c1", index=1, previous="m1"))
    assert kinds(scene.server(wire.done("r1"))) == []
    assert told(scene.log, AnsweredInText) == [AnsweredInText("r1", "m1", "Let me look.")]


def test_what_a_server_throttles_is_told_with_its_remedy() -> None:
    """F145: a response that failed for want of quota says so on its own notice, and whether trying again helps."""
    details = {"type": "failed", "error": {"type": "rate_limit_exceeded", "code": "rate_limit_exceeded", "message": "Slow down."}}
    scene = talking(event("response.done", response={"id": "r1", "status": "failed", "status_details": details}))
    [ended] = told(scene.log, ResponseEnded)
    assert ended.problem is not None
    assert (ended.status, ended.problem.code, ended.problem.retryable) == ("failed", "rate_limit_exceeded", True)
    assert ended.problem.remedy


def test_limits_are_passed_on_as_they_came() -> None:
    """Facts 10.3."""
    limits = [{"name": "tokens", "limit": 40_000, "remaining": 39_000, "reset_seconds": 0.5}]
    effects = ready().server(event("rate_limits.updated", rate_limits=limits))
    assert told(effects, RateLimitsUpdated) == [RateLimitsUpdated(tuple(limits))]
