"""The server's faults, each alone: what is on the wire, what the records say, and what is counted."""

import base64
import json
from collections import Counter
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from sim_server_client import USUAL, Client, Event, types, voices

from rtcore.sim.server import CallPlan, MessagePlan, PartPlan, ResponsePlan, Server, ServerOptions, spoken

ALL = (
    "overlap",
    "duplicate",
    "unknown",
    "malformed",
    "reject",
    "reorder",
    "no_created",
    "empty_audio",
    "short_audio",
    "late_announcement",
)


def asked(*script: ResponsePlan, **options: Any) -> Client:
    """A client that asked for an answer and let it come to its end."""
    client = Client(*script, **options)
    client.say("response.create")
    client.run()
    return client


def turn(client: Client) -> None:
    """The user says something short."""
    client.speech("started")
    client.until(client.now + 0.3)
    client.speech("stopped")


def of(client: Client, response_id: str) -> list[Event]:
    """What the server said of one response."""
    return [event for event in client.heard if response_id in (event.get("response_id"), (event.get("response") or {}).get("id"))]


# -- two responses at once ----------------------------------------------------------------------------------------------------


def test_a_second_answer_to_the_turn_runs_beside_the_first_with_its_own_ids() -> None:  # B11, F056, F057
    client = Client(replace(spoken(3000), beside_ms=300), spoken(2000))
    turn(client)
    client.run()
    first, second = client.server.responses.values()
    assert first.created_at is not None and second.created_at is not None and first.done_at is not None
    assert first.created_at < second.created_at < first.done_at
    assert (first.status, second.status) == ("completed", "completed")
    for response in (first, second):
        told = of(client, response.id)
        assert (told[0]["type"], told[-1]["type"]) == ("response.created", "response.done")
        (item_id,) = response.item_ids
        audio = b"".join(base64.b64decode(event["delta"]) for event in told if event["type"] == "response.output_audio.delta")
        assert audio == client.server.items[item_id].audio == client.server.items[item_id].parts[0].planned_audio
    deltas = [event["response_id"] for event in client.heard if event["type"] == "response.output_audio.delta"]
    assert deltas != sorted(deltas, key=[first.id, second.id].index)
    assert client.server.happened == {"server: overlapping responses": 1}
    assert client.server.plans == [replace(spoken(3000), beside_ms=300), spoken(2000)]


def test_speech_cuts_both_and_a_cancel_by_id_only_its_own() -> None:  # B11, F057
    for by_speech in (True, False):
        client = Client(replace(spoken(4000), beside_ms=100), spoken(4000))
        turn(client)
        first = client.until_event("response.created")["response"]["id"]
        second = client.until_event("response.created")["response"]["id"]
        client.until_audio(4800, message=1)
        if by_speech:
            client.speech("started")
        else:
            client.say("response.cancel", response_id=first)
        client.run()
        responses = client.server.responses
        assert responses[first].status == "cancelled"
        assert responses[second].status == ("cancelled" if by_speech else "completed")


def test_where_only_the_client_creates_nothing_runs_beside() -> None:  # facts 8.2
    client = Client(replace(spoken(3000), beside_ms=300), spoken(2000))
    client.session(audio={"input": {"turn_detection": {"type": "server_vad", "create_response": False}}})
    client.say("response.create")
    client.run()
    assert len(client.server.responses) == 1


def test_an_automatic_response_may_run_beside_one_that_it_did_not_cut() -> None:  # facts 8.2: create without interrupt
    for rate in (0, 1000):
        client = Client(spoken(4000), spoken(1000), overlap_per_mille=rate)
        client.session(audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}})
        client.say("response.create")
        client.until_audio(4800)
        turn(client)
        client.run()
        assert (len(client.server.responses), len(client.server.refusals)) == ((2, 0) if rate else (1, 1))


def test_a_client_s_creation_may_be_accepted_beside_an_unannounced_automatic_one() -> None:  # facts 5.3
    for rate in (0, 1000):
        client = Client(spoken(2000, think_s=0.5), spoken(1000), overlap_per_mille=rate)
        turn(client)
        client.say("response.create")
        client.run()
        assert [response.cause for response in client.server.responses.values()] == (["turn", "client"] if rate else ["turn"])
        assert len(client.server.refusals) == (0 if rate else 1)


# -- noise --------------------------------------------------------------------------------------------------------------------


def test_duplicates_are_the_same_bytes_and_never_deltas_or_answers_that_are_counted() -> None:  # C18, C26, C29
    plan = ResponsePlan((MessagePlan((PartPlan(audio_ms=900), PartPlan("text"))), CallPlan("look_up")))
    client = asked(plan, duplicate_per_mille=1000)
    client.say("conversation.item.create", item={"type": "message", "role": "user", "content": []})
    client.session(instructions="short")
    client.say("conversation.item.retrieve", item_id="item_none")
    twice = [json.loads(payload)["type"] for payload, count in Counter(client.raw).items() if count > 1]
    assert max(Counter(client.raw).values()) == 2
    kinds = set(twice)
    assert {"response.created", "response.done", "conversation.item.added", "response.output_audio.done"} <= kinds
    assert not any(kind.endswith(".delta") for kind in kinds)
    assert not kinds & {"session.created", "session.updated", "error"}
    assert client.server.happened == {"server: duplicate event": len(twice)}
    assert len(client.server.items) == 3 and len(client.server.responses) == 1


def test_unknown_events_and_fields_change_nothing_of_what_is_said() -> None:  # B27, C29, facts 14
    plain, noisy = asked(spoken(900), duplicate_per_mille=0), asked(spoken(900), unknown_per_mille=400)
    known = {event["type"] for event in plain.heard}
    strange = [event for event in noisy.heard if event["type"] not in known]
    fields = [event for event in noisy.heard if "rid" in event]
    assert noisy.server.happened == {"server: unknown event": len(strange) + len(fields)} and strange and fields
    said = [{key: event[key] for key in event if key not in ("rid", "ts", "latency")} for event in noisy.heard]
    assert [event for event in said if event["type"] in known] == plain.heard


def test_malformed_frames_come_in_addition_and_none_can_be_read() -> None:  # B27, C29
    server = Server(
        seed=2, voices=voices(), options=ServerOptions(script=(spoken(20_000),), rules=USUAL, malformed_per_mille=1000)
    )
    plain = Server(seed=2, voices=voices(), options=ServerOptions(script=(spoken(20_000),), rules=USUAL))
    said, expected = everything(server), everything(plain)
    assert [payload for payload in said if payload not in server.malformed] == expected
    assert server.happened == {"server: malformed event": len(said) - len(expected)} == {"server: malformed event": len(expected)}
    assert not any(readable(payload) for payload in server.malformed)
    assert [item.audio for item in server.items.values()] == [item.audio for item in plain.items.values()]


def everything(server: Server) -> list[bytes]:
    """One answer, asked for at 0.1 s, to its end."""
    heard = server.connect(now=0.0) + server.receive(b'{"type":"response.create"}', now=0.1)
    while server.deadline is not None and server.deadline < 600:
        heard += server.tick(now=server.deadline)
    return heard


def readable(payload: bytes) -> bool:
    """Whether an event can be read: an object with a type, ids where the event needs them, and audio that is base64."""
    try:
        event = msgspec.json.decode(payload)
    except (ValueError, RecursionError):
        return False
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        return False
    match event["type"]:
        case "response.output_audio.delta":
            try:
                msgspec.convert(event.get("delta"), bytes)
            except msgspec.ValidationError:
                return False
            return isinstance(event.get("response_id"), str) and isinstance(event.get("item_id"), str)
        case "response.done":
            return isinstance(event.get("response"), dict)
        case "response.output_item.added" | "conversation.item.added":
            return isinstance(event.get("item"), dict)
        case "input_audio_buffer.speech_started":
            return isinstance(event.get("item_id"), str)
        case _:
            return True


# -- refusals -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["always", "never"])
def test_a_rejection_has_no_effect_and_is_marked(rule: Any) -> None:  # C15, F047, F071
    client = Client(rules=replace(USUAL, error_event_id=rule), reject_per_mille=1000)
    client.say("response.create", event_id="mine")
    client.say("conversation.item.create", event_id="mine", item={"type": "message", "role": "user", "content": []})
    client.run()
    assert not client.server.responses and not client.server.items
    assert [refusal.injected for refusal in client.server.refusals] == [True, True]
    assert {error["code"] for error in client.errors} <= {"server_error", "rate_limit_exceeded"}
    assert [error["event_id"] for error in client.errors] == ["mine" if rule == "always" else None] * 2
    assert client.server.happened["server: rejection"] == 2
    assert client.server.happened.get("server: error without event_id", 0) == (0 if rule == "always" else 2)


def test_a_slot_held_by_nothing_is_free_again_after_a_while() -> None:  # B13, F044, F046
    refused = []
    for seed in range(12):
        client = Client(spoken(300), seed=seed, rules=USUAL, phantom_per_mille=1000)
        tries = 0
        while not client.server.responses:
            client.say("response.create")
            client.until(client.now + 0.5)
            tries += 1
        assert {error["code"] for error in client.errors} == {"conversation_already_has_active_response"}
        assert all(refusal.injected for refusal in client.server.refusals)
        refused.append(tries - 1)
    assert (min(refused), max(refused) > 18) == (1, True)


def test_a_slow_response_begins_after_more_than_ten_seconds() -> None:  # B14, F034
    client = Client(rules=USUAL, slow_per_mille=1000)
    client.say("response.create")
    early = [event["type"] for event in client.until(10.0)]
    late = [event["type"] for event in client.until(14.2)]
    assert ("response.created" in early, "response.created" in late) == (False, True)
    assert client.server.happened["server: slow to begin"] == 1


def test_two_slow_responses_never_follow_each_other() -> None:  # B14, F034: such a server answers nobody
    client = Client(rules=USUAL, slow_per_mille=1000)
    waited = []
    for _ in range(4):
        client.say("response.create")
        asked = client.now
        while not any(event["type"] == "response.created" for event in client.until(client.now + 0.1)):
            pass
        waited.append(client.now - asked > 10)
        client.until(client.now + 60)
    assert waited == [True, False, True, False]


@pytest.mark.parametrize("rule", ["always", "never"])
def test_an_error_behind_its_response_names_what_asked_for_it(rule: Any) -> None:  # C14, C15, F046
    client = Client(
        replace(spoken(500), ends="failed", error_ms=100), rules=replace(USUAL, error_event_id=rule), late_error_per_mille=1000
    )
    client.say("response.create", event_id="mine")
    client.run()
    told = [error["event_id"] for error in client.errors]
    assert told == (["mine"] if rule == "always" else [])  # without its name nobody could tell what it is about


def test_what_is_wrong_is_refused_for_what_is_wrong_with_it() -> None:
    client = Client(reject_per_mille=1000)
    client.say("response.create", response={"voice": "nobody"})
    client.say("conversation.item.create", item={"type": "message", "role": "user", "content": []}, previous_item_id="item_none")
    assert [refusal.injected for refusal in client.server.refusals] == [False, False]
    assert "server: rejection" not in client.server.happened


# -- orders, announcements, lengths -------------------------------------------------------------------------------------------

DONE = ("response.output_audio.done", "response.content_part.done", "conversation.item.done", "response.output_item.done")
ORDERS: tuple[tuple[Any, list[str]], ...] = (
    ("usual", ["audio 0", "part 0", "item 0", "output 0", "audio 1", "part 1", "item 1", "output 1"]),
    ("part first", ["part 0", "audio 0", "item 0", "output 0", "part 1", "audio 1", "item 1", "output 1"]),
    ("output first", ["audio 0", "part 0", "output 0", "item 0", "audio 1", "part 1", "output 1", "item 1"]),
    ("held", ["audio 0", "part 0", "item 0", "output 0", "audio 1", "part 1", "item 1", "output 1"]),
    ("reversed", ["audio 1", "part 1", "item 1", "output 1", "audio 0", "part 0", "item 0", "output 0"]),
)


@pytest.mark.parametrize(("closing", "tail"), [("held", 2_400), ("reversed", 2_400), ("usual", 0)])
def test_the_end_of_a_message_comes_behind_what_passed_it(closing: Any, tail: int) -> None:  # B11, F078
    client = asked(replace(spoken(600, 600), closing=closing, tail_ms=100, delta_ms=(100, 100)))
    first, second = (item.id for item in client.server.items.values() if item.type == "message" and item.role == "assistant")
    deltas = [
        (event["item_id"], len(base64.b64decode(event["delta"])) // 2)
        for event in client.heard
        if event["type"] == "response.output_audio.delta"
    ]
    last_of_second = max(at for at, (item_id, _) in enumerate(deltas) if item_id == second)
    assert deltas[last_of_second + 1 :] == ([(first, tail)] if tail else [])
    assert all(sum(size for item_id, size in deltas if item_id == one) == 14_400 for one in (first, second))


@pytest.mark.parametrize(("closing", "order"), ORDERS)
def test_items_close_in_orders_that_servers_show(closing: Any, order: list[str]) -> None:  # S07, F106, facts 3.5, 4.6, 14, 17.1
    client = asked(replace(spoken(600, 600), closing=closing))
    ids = [item.id for item in client.server.items.values()]
    names = dict(zip(DONE, ("audio", "part", "item", "output"), strict=True))
    closed = [
        f"{names[event['type']]} {ids.index(event.get('item_id') or event['item']['id'])}"
        for event in client.heard
        if event["type"] in names
    ]
    assert closed == order
    first_close = next(at for at, event in enumerate(client.heard) if event["type"] in names)
    last_delta = max(at for at, event in enumerate(client.heard) if event["type"] == "response.output_audio.delta")
    assert (first_close > last_delta) == (closing in ("held", "reversed"))
    assert client.server.happened.get("server: reordered output_item.done", 0) == (0 if closing == "usual" else 1)
    assert all(event["item"]["status"] == "completed" for event in client.heard if event["type"] == DONE[3])


def test_a_response_that_was_never_announced_says_everything_else() -> None:  # C18, facts 4.10
    client = asked(replace(spoken(600), created=False))
    assert types(client.heard)[1:3] == ["response.output_item.added", "conversation.item.added"]
    assert types(client.heard)[-2:] == ["response.done", "rate_limits.updated"]
    (response,) = client.server.responses.values()
    assert response.created_at is None and response.status == "completed"
    assert client.server.happened == {"server: missing response.created": 1}


def test_an_out_of_band_response_is_always_announced() -> None:  # B12: nothing else says what it is
    client = Client(no_created_per_mille=1000, call_per_mille=0)
    client.say("response.create", response={"conversation": "none"})
    assert client.until_event("response.created")["response"]["conversation_id"] is None


def test_a_late_announcement_gives_the_item_its_place_then() -> None:  # B03, C05, C25
    plan = ResponsePlan((MessagePlan((PartPlan(audio_ms=900),), announced_ms=2000),))
    client = Client(plan)
    client.say("response.create")
    client.until_event("response.done")
    (item,) = client.server.items.values()
    assert (item.announced_at, item.order, client.server.conversation) == (None, -1, ())
    client.say("conversation.item.delete", item_id=item.id)
    client.say("conversation.item.truncate", item_id=item.id, content_index=0, audio_end_ms=500)
    assert [error["code"] for error in client.errors] == ["item_delete_invalid_item_id"]
    assert client.heard[-1]["type"] == "conversation.item.truncated"
    client.say("conversation.item.create", item={"type": "message", "role": "user", "content": []})
    assert types(client.run())[-2:] == ["conversation.item.added", "conversation.item.done"]
    assert client.heard[-2]["previous_item_id"] == client.server.conversation[0] and client.server.conversation[1] == item.id
    assert client.server.happened["server: late announcement"] == 1
    client.say("conversation.item.delete", item_id=item.id)
    assert client.heard[-1]["type"] == "conversation.item.deleted"


def test_an_item_may_never_be_announced() -> None:  # C05, facts 14
    client = asked(ResponsePlan((MessagePlan((PartPlan(audio_ms=900),), announced_ms=None),)))
    assert not [event for event in client.heard if event["type"].startswith("conversation.item.")]
    (item,) = client.server.items.values()
    assert item.announced_at is None and item.audio == item.parts[0].planned_audio
    assert client.server.conversation == () and client.server.happened == {"server: late announcement": 1}


@pytest.mark.parametrize("transcript", [True, False])
@pytest.mark.parametrize("sound", ["none", "empty deltas"])
def test_an_audio_part_may_be_closed_without_a_sample(sound: Any, transcript: bool) -> None:  # C04, S03, F001, F132, facts 17.21
    client = asked(ResponsePlan((MessagePlan((PartPlan(audio_ms=900, sound=sound, transcript=transcript),)),)))
    deltas = [event["delta"] for event in client.heard if event["type"] == "response.output_audio.delta"]
    assert set(deltas) == ({""} if sound == "empty deltas" else set())
    assert "response.output_audio.done" in types(client.heard)
    (item,) = client.server.items.values()
    (part,) = item.parts
    assert (part.sent_samples, part.planned_samples, part.announced_samples) == (0, 0, 21_600)
    assert bool(part.sent_text) == transcript
    assert client.heard[-2]["response"]["usage"]["output_token_details"]["audio_tokens"] == 18  # 1 token each 50 ms
    assert client.server.happened == {"server: empty audio": 1}
    client.say("conversation.item.truncate", item_id=item.id, content_index=0, audio_end_ms=1)
    assert client.errors[0]["message"] == "Only model output audio messages can be truncated"


def test_a_part_may_have_fewer_samples_than_its_transcript_and_usage_announce() -> None:  # C24, F148
    whole = asked(spoken(3000))
    short = asked(ResponsePlan((MessagePlan((PartPlan(lost_ms=2000),)),)))
    (full,), (part,) = (next(iter(client.server.items.values())).parts for client in (whole, short))
    assert (part.sent_samples, part.announced_samples) == (24_000, 72_000)
    assert full.planned_text == part.sent_text and part.words == full.words
    assert full.planned_audio.startswith(part.audio)
    assert whole.heard[-2]["response"]["usage"] == short.heard[-2]["response"]["usage"]
    assert short.server.happened == {"server: fewer samples than announced": 1}
    short.say(
        "conversation.item.truncate", item_id=short.heard[-2]["response"]["output"][0]["id"], content_index=0, audio_end_ms=1001
    )
    assert short.errors[0]["message"] == "Audio content of 1000ms is already shorter than 1001ms"


def test_a_cut_part_is_not_short() -> None:
    client = Client(spoken(4000))
    client.say("response.create")
    client.until_audio(4800)
    client.speech("started")
    client.run()
    assert client.server.happened == {}


# -- drawing ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_a_fault_s_rate_shifts_no_other_draw_of_a_plan(name: str) -> None:  # swarm testing needs it
    def plans(rate: int) -> list[ResponsePlan]:
        client = Client(rules=USUAL, **{f"{name}_per_mille": rate})
        for _ in range(8):
            turn(client)
            client.until(client.now + 120.0)
        return list(client.server.plans)

    def plain(plan: ResponsePlan) -> ResponsePlan:
        output = tuple(
            replace(
                out, parts=tuple(replace(part, lost_ms=0, sound="whole", transcript=True) for part in out.parts), announced_ms=0
            )
            if isinstance(out, MessagePlan)
            else out
            for out in plan.output
        )
        # What holds up a queue comes with the order of closing; no other stall is that long.
        stalls = tuple(stall for stall in plan.stalls if stall.for_s < 4)
        return replace(plan, output=output, created=True, closing="usual", beside_ms=None, stalls=stalls, tail_ms=0)

    drawn = [plain(plan) for plan in plans(300)]
    assert drawn[:8] == plans(0)[: len(drawn)][:8]


@pytest.mark.parametrize("name", ALL)
def test_every_fault_happens_at_its_rate_and_repeats_with_its_seed(name: str) -> None:
    def run() -> tuple[list[bytes], dict[str, int]]:
        client = Client(rules=USUAL, seed=4, **{f"{name}_per_mille": 400})
        for _ in range(10):
            turn(client)
            client.say("conversation.item.create", item={"type": "message", "role": "user", "content": []})
            client.until(client.now + 120.0)
        return client.raw, dict(client.server.happened)

    fault = {
        "overlap": "overlapping responses",
        "duplicate": "duplicate event",
        "unknown": "unknown event",
        "malformed": "malformed event",
        "reject": "rejection",
        "reorder": "reordered output_item.done",
        "no_created": "missing response.created",
        "empty_audio": "empty audio",
        "short_audio": "fewer samples than announced",
        "late_announcement": "late announcement",
    }[name]
    said, happened = run()
    assert happened[f"server: {fault}"] > 0
    assert run() == (said, happened)
