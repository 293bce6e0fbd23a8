"""The ground truth and the open questions: what the server holds, forgets and records; equal seeds, equal bytes."""

import base64
import json
from typing import Any

import pytest
from sim_server_client import Client, types, voices

from rtcore.sim.server import CallPlan, MessagePlan, PartPlan, ResponsePlan, Rules, Server, ServerOptions, spoken
from rtcore.sim.voices import synthetic_voices

# -- truncate and delete -----------------------------------------------------------------------------------------------------


def truncate(client: Client, item_id: str, ms: int) -> list[str]:
    return types(client.say("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=ms))


def test_a_truncate_holds_what_it_says() -> None:  # protocol facts, 5.6
    client = Client(spoken(2000))
    client.say("response.create")
    client.until_event("response.done")
    item = client.server.items[client.server.conversation[0]]
    for ms in (1500, 1500, 1499):
        assert truncate(client, item.id, ms) == ["conversation.item.truncated"]
        assert item.parts[0].held_samples == ms * 24
        assert item.parts[0].truncated_ms == ms
    assert item.parts[0].sent_samples == 48_000
    assert [entry.audio_end_ms for entry in item.parts[0].truncations] == [1500, 1500, 1499]
    assert truncate(client, item.id, 1500) == ["error"]


@pytest.mark.parametrize(("rule", "held"), [("drops_later", 100), ("keeps_later", None)])
def test_what_a_truncate_of_a_running_item_does_to_later_audio_is_a_rule(rule: Any, held: int | None) -> None:
    client = Client(spoken(2000), rules=Rules(truncate_midway=rule))
    client.say("response.create")
    item = client.server.items[client.until_audio(24_000)]
    sent = item.parts[0].sent_samples
    truncate(client, item.id, 100)
    client.until_event("response.done")
    assert item.parts[0].sent_samples == 48_000  # sent all the same
    assert item.parts[0].held_samples == (2400 if held else 2400 + 48_000 - sent)
    assert item.parts[0].truncations[0].sent_samples == sent
    assert truncate(client, item.id, 100) == ["conversation.item.truncated"]
    assert item.parts[0].held_samples == 2400


def test_a_harsh_server_refuses_a_repeated_truncate() -> None:
    client = Client(spoken(2000), rules=Rules(truncate_repeat="refused"))
    client.say("response.create")
    item_id = client.until_audio(24_000)
    assert truncate(client, item_id, 100) == ["conversation.item.truncated"]
    assert truncate(client, item_id, 100) == ["error"]
    assert client.errors[-1]["code"] == "item_already_truncated"


def test_a_server_may_hold_less_than_it_sent() -> None:  # F005
    client = Client(spoken(2000), rules=Rules(held_short_ms=85))
    client.say("response.create")
    item_id = client.until_audio(48_000)
    assert truncate(client, item_id, 2000) == ["error"]
    assert client.errors[-1]["message"] == "Audio content of 1915ms is already shorter than 2000ms"
    assert truncate(client, item_id, 1915) == ["conversation.item.truncated"]
    assert client.server.items[item_id].parts[0].held_samples == 1915 * 24


@pytest.mark.parametrize("rule", ["silent", "goes_on"])
def test_what_becomes_of_a_deleted_item_of_a_running_response_is_a_rule(rule: Any) -> None:
    client = Client(spoken(2000, 500), rules=Rules(delete_midway=rule))
    client.say("response.create")
    item = client.server.items[client.until_audio(24_000)]
    sent = item.audio
    assert types(client.say("conversation.item.delete", item_id=item.id)) == ["conversation.item.deleted"]
    assert item.deleted and item.id not in client.server.conversation
    at = len(client.heard)
    done = client.until_event("response.done")["response"]
    later = {event["type"] for event in client.heard[at:] if item.id in json.dumps(event) and event["type"] != "response.done"}
    if rule == "silent":
        # The next item's announcement may still name it as what it follows; nothing else does.
        assert later <= {"conversation.item.added"}
        assert item.audio == sent
        assert len(done["output"]) == 1
    else:
        assert "response.output_audio.delta" in later and "conversation.item.done" not in later
        assert item.parts[0].sent_samples == 48_000
        assert len(done["output"]) == 2
    assert done["status"] == "completed"


def test_a_deleted_id_stays_taken_and_its_record_stays() -> None:
    client = Client()
    item = {"type": "message", "role": "user", "id": "mine", "content": []}
    client.say("conversation.item.create", item=item)
    client.now = 4.0
    client.say("conversation.item.delete", item_id="mine")
    assert client.server.items["mine"].deleted_at == 4.0
    assert types(client.say("conversation.item.create", item=item)) == ["error"]


# -- the record --------------------------------------------------------------------------------------------------------------


def test_everything_sent_is_on_record() -> None:
    for seed in range(12):
        client = Client(seed=seed, rules=None, stragglers=(0, 4), call_per_mille=400, log=True)
        client.session(tools=[{"type": "function", "name": "f"}])
        for turn in range(4):
            client.speech("started")
            client.speech("stopped")
            client.until(client.now + 1.0 + turn)
        audio: dict[tuple[str, int], bytes] = {}
        text: dict[tuple[str, int], str] = {}
        for event in client.heard:
            if event["type"] == "response.output_audio.delta":
                key = (event["item_id"], event["content_index"])
                audio[key] = audio.get(key, b"") + base64.b64decode(event["delta"])
            elif event["type"] in ("response.output_audio_transcript.delta", "response.output_text.delta"):
                key = (event["item_id"], event["content_index"])
                text[key] = text.get(key, "") + event["delta"]
        for item in client.server.items.values():
            for part in item.parts:
                assert part.audio == audio.get((item.id, part.index), b"")
                assert part.sent_text == text.get((item.id, part.index), "")
                assert part.planned_audio.startswith(part.audio)
        assert len([entry for entry in client.server.log if entry.direction == "out"]) == len(client.heard)
        responses = client.server.responses
        done = {
            event["response"]["id"]: event["response"]["status"] for event in client.heard if event["type"] == "response.done"
        }
        assert {key: entry.status for key, entry in responses.items() if entry.done_at is not None} == done
        assert [item.order for item in client.server.items.values()] == list(range(len(client.server.items)))
        assert len(client.server.refusals) == len(client.errors)


def test_no_two_items_of_a_server_begin_alike() -> None:
    client = Client(*[spoken(400, 400, 400, think_s=0.0) for _ in range(30)])
    for _ in range(30):
        client.say("response.create")
        client.until_event("response.done")
    starts = [item.audio[:64] for item in client.server.items.values()]
    assert len(set(starts)) == len(starts) == 90
    assert all(any(start[1::2]) for start in starts)


def test_words_are_where_they_sound() -> None:
    client = Client(spoken(3000))
    client.say("response.create")
    part = client.server.items[client.until_audio(72_000)].parts[0]
    for word in part.words:
        if word.sound_end_ms - word.start_ms > 40:
            assert any(part.audio[word.start_ms * 48 : word.sound_end_ms * 48])
    # The voices are silent exactly between their words' sounds.
    between = [part.audio[a.sound_end_ms * 48 : b.start_ms * 48] for a, b in zip(part.words, part.words[1:], strict=False)]
    assert between and not any(any(gap) for gap in between)


def test_the_transcript_runs_ahead_of_its_words() -> None:  # C24, F014
    for lead in (0, 700):
        client = Client(ResponsePlan(transcript_lead_ms=lead))
        client.say("response.create")
        ahead = 0
        while client.server.deadline is not None and not any(event["type"] == "response.done" for event in client.heard):
            client.until(client.server.deadline)
            for item in client.server.items.values():
                for part in item.parts:
                    told_ms = max((word.start_ms for word in part.words if word.char < part.sent_chars), default=0)
                    heard_ms = part.sent_samples // 24
                    audible = [word for word in part.words if word.start_ms < heard_ms]
                    assert not audible or part.sent_chars > audible[-1].char
                    ahead = max(ahead, told_ms - heard_ms)
        assert ahead <= lead
        assert (ahead > 300) is (lead > 0)


def test_a_transcript_may_lag_behind_its_sound_and_come_whole_all_the_same() -> None:  # F105, F116, S07
    client = Client(ResponsePlan((MessagePlan((PartPlan(audio_ms=3000),)),), transcript_lag_ms=1000))
    client.say("response.create")
    behind = 0
    while client.server.deadline is not None and not any(event["type"] == "response.done" for event in client.heard):
        client.until(client.server.deadline)
        for item in client.server.items.values():
            for part in item.parts:
                over = [word for word in part.words if word.sound_end_ms <= part.sent_samples // 24]
                behind = max(behind, sum(word.char >= part.sent_chars for word in over))
    texts = [part.sent_text == part.planned_text for item in client.server.items.values() for part in item.parts]
    assert behind >= 2 and texts == [True]


# -- the same again ----------------------------------------------------------------------------------------------------------


def conversation(seed: int, dialect: Any) -> list[bytes]:
    client = Client(seed=seed, rules=None, dialect=dialect, stragglers=(0, 4))
    client.session(tools=[{"type": "function", "name": "f"}])
    for _ in range(3):
        client.speech("started")
        client.speech("stopped")
        client.until(client.now + 3.0)
        client.say("response.create", response={"conversation": "none"})
    return client.raw


@pytest.mark.parametrize("dialect", ["openai", "azure-preview"])
def test_equal_seeds_give_equal_bytes(dialect: str) -> None:  # C30, invariant 14
    assert conversation(7, dialect) == conversation(7, dialect)
    assert conversation(7, dialect) != conversation(8, dialect)


def test_how_often_the_server_is_ticked_changes_nothing_but_the_moment() -> None:
    script = (spoken(1000, 500),)
    fine = Client(*script, seed=3)
    fine.say("response.create")
    fine.until(20.0)
    coarse = Client(*script, seed=3)
    coarse.say("response.create")
    coarse._hear(coarse.server.tick(now=20.0))
    assert fine.raw == coarse.raw


def test_the_clock_never_runs_backward() -> None:
    client = Client(spoken(500))
    client.now = 5.0
    client.say("response.create")
    assert client.server.tick(now=1.0) == []
    assert client.server.deadline is not None and client.server.deadline >= 5.0


def test_the_seed_draws_the_rules() -> None:
    drawn = {Server(seed=seed, voices=voices()).rules for seed in range(40)}
    assert len(drawn) > 30
    assert {rules.truncate_repeat for rules in drawn} == {"accepted"}
    assert {rules.held_short_ms for rules in drawn} == {0}
    harsh = {Server(seed=seed, voices=voices(), options=ServerOptions(harsh=True)).rules.truncate_repeat for seed in range(40)}
    assert harsh == {"accepted", "refused"}
    short = [
        Server(seed=seed, voices=voices(), options=ServerOptions(held_short_ms=85)).rules.held_short_ms for seed in range(40)
    ]
    assert 0 < max(short) <= 85


# -- the caller's mistakes ---------------------------------------------------------------------------------------------------


def test_a_server_serves_one_connection() -> None:
    server = Server(seed=1, voices=voices())
    assert server.deadline is None
    with pytest.raises(RuntimeError, match=r"connect\(\) comes first"):
        server.receive(b"{}", now=0.0)
    server.connect(now=0.0)
    with pytest.raises(RuntimeError, match="a Server of its own"):
        server.connect(now=1.0)


def test_messages_longer_than_the_voices_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="give more voices"):
        Server(seed=1, voices=synthetic_voices(1, count=1))
    with pytest.raises(ValueError, match="messages of 60000 ms"):
        Server(seed=1, voices=voices(), options=ServerOptions(script=(spoken(60_000),)))


def test_a_script_names_voices_that_exist() -> None:
    plan = ResponsePlan((MessagePlan((PartPlan(voice="nobody"),)), CallPlan("f")))
    with pytest.raises(ValueError, match="no voice is called 'nobody'"):
        Server(seed=1, voices=voices(), options=ServerOptions(script=(plan,)))
