"""What the strict server says and in which order: sessions, items, responses, both dialects (protocol facts 2 to 4, 13)."""

import base64
import json
from itertools import pairwise
from typing import Any

import pytest
from sim_server_client import Client, Event, types

from rtcore.sim._rng import Rng
from rtcore.sim.server import CallPlan, MessagePlan, PartPlan, ResponsePlan, Rules, Stall, spoken

# -- the session -------------------------------------------------------------------------------------------------------------


def test_the_first_event_is_the_session_with_its_defaults() -> None:  # protocol facts, 1.6, 1.7 and 2.5
    client = Client(epoch_s=1000)
    assert types(client.heard) == ["session.created"]
    session = client.heard[0]["session"]
    assert session.pop("id").startswith("sess_")
    assert "temperature" not in session
    assert session.pop("instructions")
    assert session == {
        "type": "realtime",
        "object": "realtime.session",
        "model": "gpt-realtime",
        "expires_at": 4600,
        "output_modalities": ["audio"],
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "include": None,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 500,
                    "idle_timeout_ms": None,
                    "create_response": True,
                    "interrupt_response": True,
                },
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy", "speed": 1.0},
        },
    }


def test_preview_is_flat() -> None:  # protocol facts, 13; S02, C28
    client = Client(dialect="azure-preview")
    assert types(client.heard) == ["session.created", "conversation.created"]
    said = client.session(
        modalities=["text", "audio"],
        voice="echo",
        output_audio_format="g711_ulaw",
        turn_detection={"type": "server_vad", "interrupt_response": False},
        input_audio_transcription={"model": "whisper-1"},
        temperature=0.7,
        max_response_output_tokens=100,
    )
    session = said[0]["session"]
    assert session.pop("id").startswith("sess_") and session.pop("instructions") and session.pop("expires_at")
    assert session == {
        "object": "realtime.session",
        "model": "gpt-realtime",
        "modalities": ["audio", "text"],
        "voice": "echo",
        "speed": 1.0,
        "input_audio_format": "pcm16",
        "output_audio_format": "g711_ulaw",
        "input_audio_transcription": {"model": "whisper-1"},
        "input_audio_noise_reduction": None,
        "turn_detection": {
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": 200,
            "create_response": True,
            "interrupt_response": False,
        },
        "tools": [],
        "tool_choice": "auto",
        "temperature": 0.7,
        "max_response_output_tokens": 100,
        "tracing": None,
        "client_secret": None,
    }


def test_an_update_changes_what_it_names_and_null_switches_off() -> None:  # protocol facts, 2.1; F138
    client = Client()
    client.session(
        instructions="one", tools=[{"type": "function", "name": "f"}], audio={"input": {"transcription": {"model": "whisper-1"}}}
    )
    session = client.session(audio={"input": {"turn_detection": None}, "output": {"voice": "echo"}}, model="other")[0]["session"]
    assert (session["instructions"], session["tools"]) == ("one", [{"type": "function", "name": "f"}])
    assert session["audio"]["input"]["turn_detection"] is None
    assert session["audio"]["input"]["transcription"] == {"model": "whisper-1"}
    assert session["audio"]["output"]["voice"] == "echo"
    assert session["model"] == "gpt-realtime"  # silently unchanged (protocol facts, 2.4)
    session = client.session(instructions="", tools=[], audio={"input": {"transcription": None}})[0]["session"]
    assert (session["instructions"], session["tools"], session["audio"]["input"]["transcription"]) == ("", [], None)


@pytest.mark.parametrize(
    ("echo", "shown"),
    [
        ("true", {"create_response": True, "interrupt_response": True}),
        ("null", {"create_response": None, "interrupt_response": None}),
        ("absent", {}),
    ],
)
def test_unset_flags_are_acknowledged_by_rule(echo: Any, shown: Event) -> None:  # C13
    client = Client(rules=Rules(detection_echo=echo))
    detection = client.heard[0]["session"]["audio"]["input"]["turn_detection"]
    assert {key: value for key, value in detection.items() if key.endswith("_response")} == shown


def test_a_session_ends_with_its_life() -> None:  # protocol facts, 1.7
    client = Client(session_s=60)
    client.until(60.0)
    assert client.errors[-1]["code"] == "session_expired"
    assert client.server.closing == (1001, "Your session hit the maximum duration of 1 minutes.")
    assert client.server.deadline is None
    assert client.say("response.create") == []


# -- items -------------------------------------------------------------------------------------------------------------------


def message(**fields: Any) -> Event:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}], **fields}


def test_client_items_take_their_place() -> None:  # protocol facts, 3.4 and 4.1; C25
    client = Client()
    for identity, before in (("b", None), ("d", None), ("c", "b"), ("a", "root")):
        fields = {} if before is None else {"previous_item_id": before}
        added, done = client.say("conversation.item.create", item=message(id=identity), **fields)
        assert (added["type"], done["type"]) == ("conversation.item.added", "conversation.item.done")
        assert added["item"] == done["item"] == {"id": identity, "status": "completed", **message()}
    assert client.server.conversation == ("a", "b", "c", "d")
    assert [event["previous_item_id"] for event in client.heard if event["type"] == "conversation.item.added"] == [
        None,
        "b",
        "b",
        None,
    ]


def test_preview_creates_where_ga_adds_and_finishes() -> None:  # protocol facts, 4.1
    client = Client(dialect="azure-preview")
    item = {"type": "message", "role": "assistant", "id": "x", "content": [{"type": "text", "text": "hi"}]}
    said = client.say("conversation.item.create", item=item)
    assert types(said) == ["conversation.item.created"]
    assert said[0]["item"] == {**item, "object": "realtime.item", "status": "completed"}


def test_an_item_can_be_retrieved_with_what_is_held_of_it() -> None:
    client = Client(spoken(1000))
    client.say("response.create")
    client.until_event("response.done")
    spoken_id = client.server.conversation[0]
    client.say("conversation.item.truncate", item_id=spoken_id, content_index=0, audio_end_ms=500)
    part = client.say("conversation.item.retrieve", item_id=spoken_id)[0]["item"]["content"][0]
    assert part["transcript"] is None  # a truncate removes it (protocol facts, 5.6)
    assert base64.b64decode(part["audio"]) == client.server.items[spoken_id].audio[:24_000]


# -- responses ---------------------------------------------------------------------------------------------------------------

PART = ["response.content_part.added", "response.output_audio_transcript.delta", "response.output_audio.delta"]
CLOSE = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
]
OPEN = ["response.output_item.added", "conversation.item.added"]
TALK = [*OPEN, *PART, *CLOSE]
ALL_AT_ONCE = 60_000


def response(plan: ResponsePlan, **options: Any) -> Client:
    client = Client(plan, **options)
    client.say("response.create", response={"metadata": {"n": "1"}})
    client.until_event("response.done")
    return client


def test_one_spoken_message() -> None:  # protocol facts, 4.3
    client = response(ResponsePlan(transcript_lead_ms=ALL_AT_ONCE))
    assert types(client.heard)[1:] == ["response.created", *TALK, "response.done", "rate_limits.updated"]
    created, done = (
        next(event["response"] for event in client.heard if event["type"] == kind)
        for kind in ("response.created", "response.done")
    )
    assert (created["status"], created["output"], created["usage"], created["metadata"]) == ("in_progress", [], None, {"n": "1"})
    assert created["conversation_id"].startswith("conv_")
    assert (done["status"], done["status_details"], done["metadata"]) == ("completed", None, {"n": "1"})
    assert done["usage"]["output_token_details"]["audio_tokens"] == 60  # 50 ms a token
    spoken_id = client.server.conversation[0]
    item = client.server.items[spoken_id]
    assert done["output"] == [
        {
            "id": spoken_id,
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_audio", "transcript": item.parts[0].planned_text}],
        }
    ]


def test_the_deltas_are_the_part() -> None:
    client = response(ResponsePlan(delta_ms=(20, 400), transcript_lead_ms=300))
    deltas = [event for event in client.heard if event["type"] == "response.output_audio.delta"]
    part = client.server.items[client.server.conversation[0]].parts[0]
    assert b"".join(base64.b64decode(event["delta"]) for event in deltas) == part.audio == part.planned_audio
    assert part.sent_samples == part.planned_samples == part.held_samples == 72_000
    sizes = {len(base64.b64decode(event["delta"])) // 48 for event in deltas}
    assert min(sizes) >= 20 and max(sizes) <= 400 and len(sizes) > 3
    text = "".join(event["delta"] for event in client.heard if event["type"] == "response.output_audio_transcript.delta")
    assert text == part.planned_text == part.sent_text


@pytest.mark.parametrize("rules", [Rules(), Rules(whole_samples=False)])
def test_ragged_deltas_are_cut_anywhere(rules: Rules) -> None:  # protocol facts, 9.2; B27
    client = response(ResponsePlan(ragged=True, delta_ms=(20, 90)), rules=rules)
    deltas = [base64.b64decode(event["delta"]) for event in client.heard if event["type"] == "response.output_audio.delta"]
    assert b"".join(deltas) == client.server.items[client.server.conversation[0]].audio
    assert any(len(delta) % 2 for delta in deltas) is not rules.whole_samples
    assert any(len(delta) // 2 % 24 for delta in deltas)


@pytest.mark.parametrize("rate", [120, 300, 1000])
def test_audio_comes_faster_than_real_time_by_the_rate(rate: int) -> None:
    client = response(ResponsePlan(rate_percent=rate))
    part = client.server.items[client.server.conversation[0]].parts[0]
    assert part.first_audio_at is not None and part.last_audio_at is not None
    assert part.last_audio_at - part.first_audio_at == pytest.approx(2.9 * 100 / rate, abs=0.002)


def test_a_plan_is_told_at_its_times() -> None:
    plan = ResponsePlan(think_s=1.0, gap_s=0.5, stalls=(Stall(0, 730, 2.0),), rate_percent=1000)
    client = Client(plan, log=True)
    client.say("response.create")
    client.until_event("response.done")
    at = {entry.type: entry.at for entry in reversed(client.server.log)}
    assert at["response.created"] == pytest.approx(1.0)
    assert at["response.output_audio.delta"] == pytest.approx(at["response.content_part.added"] + 0.5)
    times = [entry.at for entry in client.server.log if entry.type == "response.output_audio.delta"]
    pauses = [after - before for before, after in pairwise(times)]
    assert max(pauses) == pytest.approx(2.003, abs=0.01)
    # The stall begins exactly at its millisecond: 7 deltas of 100 ms and one of 30.
    assert pauses.index(max(pauses)) == 7


def test_bursts_leave_at_once() -> None:
    client = Client(ResponsePlan(burst=5), log=True)
    client.say("response.create")
    client.until_event("response.done")
    times = [entry.at for entry in client.server.log if entry.type == "response.output_audio.delta"]
    assert len(times) == 30 and len(set(times)) == 6


def test_text_message() -> None:  # protocol facts, 4.4
    client = response(ResponsePlan((MessagePlan((PartPlan("text", text="one two three four"),)),)))
    assert types(client.heard)[2:-2] == [
        *OPEN,
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
    ]
    assert "".join(event["delta"] for event in client.heard if event["type"].endswith(".delta")) == "one two three four"
    assert client.heard[-2]["response"]["output"][0]["content"] == [{"type": "output_text", "text": "one two three four"}]


def test_a_text_session_is_answered_in_text() -> None:
    client = Client(spoken(1000, 1000))
    client.session(output_modalities=["text"])
    client.say("response.create")
    client.until_event("response.done")
    assert "response.output_audio.delta" not in types(client.heard)
    assert types(client.heard).count("response.output_text.done") == 2


def test_function_call() -> None:  # protocol facts, 4.5
    client = response(ResponsePlan((CallPlan("look", '{"a":"b"}', 3),)))
    assert types(client.heard)[2:-2] == [
        *OPEN,
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
    ]
    done = next(event for event in client.heard if event["type"] == "response.function_call_arguments.done")
    assert (done["name"], done["arguments"]) == ("look", '{"a":"b"}')
    added = next(event for event in client.heard if event["type"] == "response.output_item.added")
    assert (added["item"]["name"], added["item"]["arguments"], added["item"]["call_id"]) == ("look", "", done["call_id"])


def test_messages_one_after_the_other() -> None:  # S01, protocol facts 4.8
    client = response(ResponsePlan(spoken(500, 500, 500).output, transcript_lead_ms=ALL_AT_ONCE))
    assert types(client.heard)[2:-2] == TALK * 3
    added = [event for event in client.heard if event["type"] == "response.output_item.added"]
    assert [event["output_index"] for event in added] == [0, 1, 2]


def audio_order(client: Client) -> list[str]:
    return list(dict.fromkeys(event["item_id"] for event in client.heard if event["type"] == "response.output_audio.delta"))


def index(client: Client, kind: str, item_id: str, *, last: bool = False) -> int:
    found = [
        at
        for at, event in enumerate(client.heard)
        if event["type"] == kind and item_id in (event.get("item_id"), event.get("item", {}).get("id"))
    ]
    return found[-1 if last else 0]


@pytest.mark.parametrize("interleaving", ["announced", "ahead", "late_close"])
def test_messages_interleave_and_their_audio_stays_in_order(interleaving: Any) -> None:  # protocol facts, 4.6 and 4.8
    client = response(ResponsePlan(spoken(900, 900).output, interleaving=interleaving, delta_ms=(20, 40)), seed=4)
    first, second = client.server.conversation
    assert audio_order(client) == [first, second]
    last_delta = index(client, "response.output_audio.delta", first, last=True)
    assert index(client, "response.output_audio.delta", second) > last_delta
    # Announced while the first one is still spoken.
    assert index(client, "response.output_item.added", second) < last_delta
    closed = index(client, "response.output_item.done", first)
    if interleaving == "ahead":
        assert index(client, "response.output_audio_transcript.delta", second) < last_delta
    if interleaving == "late_close":
        assert index(client, "response.output_audio.delta", second) < closed
        assert closed < index(client, "response.output_audio.delta", second, last=True)
    else:
        assert closed < index(client, "response.output_audio.delta", second)


def test_a_preamble_stays_open_while_its_call_is_told() -> None:  # protocol facts, 4.6 and 11.2
    plan = ResponsePlan((MessagePlan(phase="commentary"), CallPlan("look")), interleaving="late_close")
    client = response(plan)
    preamble, call = client.server.conversation
    assert client.server.items[preamble].phase == "commentary"
    arguments = index(client, "response.function_call_arguments.delta", call, last=True)
    assert arguments < index(client, "response.output_item.done", preamble)
    assert index(client, "response.output_item.done", preamble) < index(client, "response.function_call_arguments.done", call)
    shown = [item.get("phase") for item in client.heard[-2]["response"]["output"]]
    assert shown == ["commentary", None]


def test_two_parts_of_one_message() -> None:  # C23, F163
    client = response(ResponsePlan((MessagePlan((PartPlan("text", text="a b"), PartPlan(audio_ms=300))),)))
    deltas = [event["content_index"] for event in client.heard if event["type"] == "response.output_audio.delta"]
    assert set(deltas) == {1}
    done = [event["part"]["type"] for event in client.heard if event["type"] == "response.content_part.done"]
    assert done == ["text", "audio"]


@pytest.mark.parametrize(
    ("ends", "detail", "shown"),
    [
        ("incomplete", "content_filter", {"type": "incomplete", "reason": "content_filter"}),
        (
            "failed",
            "rate_limit_exceeded",
            {
                "type": "failed",
                "error": {
                    "type": "server_error",
                    "code": "rate_limit_exceeded",
                    "message": "The server had an error while processing your request.",
                },
            },
        ),
    ],
)
def test_responses_that_break_off(ends: Any, detail: str, shown: Event) -> None:  # protocol facts, 7.2; F143
    client = response(ResponsePlan(spoken(400, 400).output, ends=ends, detail=detail))
    done = client.heard[-2]["response"]
    assert (done["status"], done["status_details"]) == (ends, shown)
    assert [item["status"] for item in done["output"]] == ["completed", "incomplete"]
    assert client.server.responses[done["id"]].status == ends


@pytest.mark.parametrize(("rule", "place"), [("after_done", -1), ("at_start", 2)])
def test_when_rate_limits_come_is_a_rule(rule: Any, place: int) -> None:  # protocol facts, 4.3
    client = Client(spoken(300), rules=Rules(rate_limits=rule))
    client.say("response.create")
    client.until_event("response.done")
    assert client.heard[place]["type"] == "rate_limits.updated"


def test_how_parts_and_items_close_is_a_rule() -> None:  # S07, protocol facts 3.4 and 13
    rules = Rules(audio_done_first=False, item_done=False, part_content=True, obfuscation=True)
    client = response(spoken(300), rules=rules)
    assert types(client.heard)[-6:-2] == [
        "response.output_audio_transcript.done",
        "response.output_audio.done",
        "response.content_part.done",
        "response.output_item.done",
    ]
    part_done = next(event for event in client.heard if event["type"] == "response.content_part.done")
    assert part_done["content"] == part_done["part"]
    delta = next(event for event in client.heard if event["type"] == "response.output_audio_transcript.delta")
    assert delta["obfuscation"]


def test_out_of_band_leaves_no_trace_in_the_conversation_and_runs_beside_it() -> None:  # B12, C17, protocol facts 5.2
    client = Client(spoken(2000))
    client.say("response.create")
    client.say("response.create", response={"conversation": "none", "metadata": {"topic": "aside"}})
    client.until_event("response.done")
    client.until_event("response.done")
    ids = {entry.id: entry for entry in client.server.responses.values()}
    aside = next(entry for entry in ids.values() if entry.out_of_band)
    created = next(event for event in client.heard if event["type"] == "response.created" and event["response"]["id"] == aside.id)
    assert (created["response"]["conversation_id"], created["response"]["metadata"]) == (None, {"topic": "aside"})
    assert aside.item_ids and not set(aside.item_ids) & set(client.server.conversation)
    announced = {event["item"]["id"] for event in client.heard if event["type"].startswith("conversation.item.")}
    assert announced == set(client.server.conversation)
    assert [entry.status for entry in ids.values()] == ["completed", "completed"]


def test_a_response_uses_its_own_options() -> None:
    client = Client(spoken(1000))
    options = {"audio": {"output": {"format": {"type": "audio/pcmu"}, "voice": "echo"}}, "max_output_tokens": 99}
    client.say("response.create", response=options)
    done = client.until_event("response.done")["response"]
    assert done["audio"] == {"output": {"format": {"type": "audio/pcmu"}, "voice": "echo"}}
    assert done["max_output_tokens"] == 99
    part = client.server.items[client.server.conversation[0]].parts[0]
    assert (part.sent_samples, len(part.audio), part.format.rate) == (8000, 8000, 8000)


def test_the_answer_to_a_function_result_speaks() -> None:
    client = Client(
        ResponsePlan((CallPlan("f"),)), call_per_mille=1000, text_per_mille=0, two_parts_per_mille=0, failed_per_mille=0
    )
    client.session(tools=[{"type": "function", "name": "f"}])
    client.say("response.create")
    client.until_event("response.done")
    call_id = client.heard[-2]["response"]["output"][0]["call_id"]
    client.say("conversation.item.create", item={"type": "function_call_output", "call_id": call_id, "output": "1"})
    client.say("response.create")
    done = client.until_event("response.done")["response"]
    assert {item["type"] for item in done["output"]} == {"message"}


def test_drawn_responses_call_declared_functions_alone() -> None:
    client = Client(seed=3, call_per_mille=1000)
    client.say("response.create")
    assert all(item["type"] == "message" for item in client.until_event("response.done")["response"]["output"])
    client.session(tools=[{"type": "function", "name": "f"}], tool_choice="required")
    client.say("response.create")
    done = client.until_event("response.done")["response"]
    calls = [item for item in done["output"] if item["type"] == "function_call"]
    assert {call["name"] for call in calls} == {"f"}
    assert all(json.loads(call["arguments"]) is not None for call in calls)


PREVIEW_NAMES = [
    "response.created",
    "response.output_item.added",
    "conversation.item.created",
    "response.content_part.added",
    "response.audio_transcript.delta",
    "response.audio.delta",
    "response.audio.done",
    "response.audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.output_item.added",
    "conversation.item.created",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]


def test_a_response_in_preview() -> None:  # S02, C28, protocol facts 13
    plan = ResponsePlan((MessagePlan(), CallPlan("f")), transcript_lead_ms=ALL_AT_ONCE)
    client = response(plan, dialect="azure-preview", rules=Rules(part_content=True))
    assert types(client.heard)[2:] == PREVIEW_NAMES
    done = client.heard[-2]["response"]
    assert (done["modalities"], done["voice"], done["output_audio_format"]) == (["audio", "text"], "alloy", "pcm16")
    assert "audio" not in done and "output_modalities" not in done
    message_item, call = done["output"]
    assert message_item["object"] == call["object"] == "realtime.item"
    assert message_item["content"][0]["type"] == "audio"
    assert "name" not in next(event for event in client.heard if event["type"] == "response.function_call_arguments.done")
    assert "content" not in next(event for event in client.heard if event["type"] == "response.content_part.done")


def test_every_event_has_an_id_of_its_own() -> None:  # protocol facts, 1.10
    client = response(spoken(300, 300))
    ids = [event["event_id"] for event in client.heard]
    assert len(set(ids)) == len(ids) and all(each.startswith("event_") for each in ids)


# -- the grammar of everything -----------------------------------------------------------------------------------------------


def check_grammar(client: Client) -> None:
    """Items and parts open once, close once and carry deltas only in between; nothing of a response follows its end."""
    deleted = {event["item_id"] for event in client.heard if event["type"] == "conversation.item.deleted"}
    open_items: dict[str, str] = {}
    open_parts: set[tuple[str, int]] = set()
    added: set[str] = set()
    done: set[str] = set()
    for event in client.heard:
        kind = event["type"].replace("response.output_audio", "response.audio").replace("response.output_text", "response.text")
        response_id = event.get("response_id") or event.get("response", {}).get("id")
        assert response_id not in done, event
        item_id = event.get("item_id") or event.get("item", {}).get("id")
        part = (item_id, event.get("content_index", -1))
        match kind:
            case "response.done":
                assert not [item for item, owner in open_items.items() if owner == response_id and item not in deleted]
                done.add(response_id)
            case "response.output_item.added":
                assert item_id not in open_items
                open_items[item_id] = response_id
            case "response.output_item.done":
                del open_items[item_id]
            case "conversation.item.added" | "conversation.item.created":
                assert item_id not in added
                assert event["previous_item_id"] is None or event["previous_item_id"] in added
                added.add(item_id)
            case "response.content_part.added":
                assert item_id in open_items and part not in open_parts
                open_parts.add(part)
            case "response.content_part.done":
                open_parts.remove(part)
            case _ if kind.startswith(("response.audio", "response.text")):
                assert part in open_parts, event
            case _ if kind.startswith("response.function_call_arguments"):
                assert item_id in open_items
            case _:
                pass
    assert done == {event["response"]["id"] for event in client.heard if event["type"] in ("response.created", "response.done")}


@pytest.mark.parametrize("dialect", ["openai", "azure-preview"])
@pytest.mark.parametrize("seed", range(25))
def test_the_grammar_holds_whatever_happens(seed: int, dialect: str) -> None:  # protocol facts, 4
    client = Client(seed=seed, rules=None, dialect=dialect, stragglers=(0, 4), call_per_mille=400, two_parts_per_mille=200)
    client.session(tools=[{"type": "function", "name": "f"}])
    rng = Rng(seed)
    for _ in range(12):
        known = rng.choice(client.server.conversation or ("nothing",))
        match rng.below(6):
            case 0 | 1:
                client.speech("started")
                client.until(client.now + rng.between(0, 300) / 1000)
                client.speech("stopped")
            case 2:
                client.say("response.cancel")
            case 3:
                client.say("response.create", response={"conversation": rng.choice(("none", "auto"))})
            case 4:
                client.say("conversation.item.delete", item_id=known)
            case _:
                client.say("conversation.item.truncate", item_id=known, content_index=0, audio_end_ms=rng.between(1, 2000))
        client.until(client.now + rng.between(0, 1500) / 1000)
    client.until(client.now + 60)
    check_grammar(client)
    assert client.server.active_response is None
