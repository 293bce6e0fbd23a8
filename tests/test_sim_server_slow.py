"""A server that is slow to end what it cancelled, late with its announcements, and repeats what it acknowledged before."""

import pytest
from msgspec.structs import replace
from sim_server_client import USUAL, Client, types

from rtcore.sim.server import MessagePlan, PartPlan, ResponsePlan, spoken

LONG = MessagePlan((PartPlan(audio_ms=6000),))


def cancelled(client: Client) -> float:
    """Cut a response once a second of it was sent; how long its end takes."""
    client.say("response.create")
    client.until_audio(24_000)
    at = client.now
    if "response.done" not in types(client.say("response.cancel")):
        client.until_event("response.done")
    assert next(iter(client.server.responses.values())).status == "cancelled"
    return client.now - at


def test_a_cancelled_response_that_lingers_goes_on_before_it_ends() -> None:  # B07, C10
    client = Client(ResponsePlan((LONG,)), linger_per_mille=1000, stragglers=(0, 0))
    assert 0.3 < cancelled(client) < 8
    assert client.server.happened["server: slow cancel"] == 1
    at = next(i for i, event in enumerate(client.heard) if event["type"] == "response.done")
    assert any(event["type"] == "response.output_audio.delta" for event in client.heard[at - 20 : at])


def test_one_whose_plan_says_what_still_leaves_does_not_linger() -> None:
    client = Client(ResponsePlan((LONG,), stragglers=0), linger_per_mille=1000)
    assert cancelled(client) < 0.1
    assert "server: slow cancel" not in client.server.happened


def test_one_that_lingers_announces_its_items_before_it_closes_them() -> None:  # B03
    client = Client(ResponsePlan((replace(LONG, announced_ms=None),)), linger_per_mille=1000)
    client.say("response.create")
    client.until_audio(24_000)
    cut_at = client.now
    client.say("response.cancel")
    client.until_event("conversation.item.added")
    assert 1 <= client.now - cut_at <= 2.5
    assert "response.done" not in types(client.heard)
    client.until_event("response.done")


def kept(*, delete: bool) -> tuple[Client, str, str]:
    """An item that is announced after another has come, and what stood before it, which may be deleted meanwhile."""
    client = Client(ResponsePlan((replace(LONG, announced_ms=2500),)), rules=replace(USUAL, late_place="kept"))
    for text in ("one", "two"):
        content = [{"type": "input_text", "text": text}]
        client.say("conversation.item.create", item={"type": "message", "role": "user", "id": text, "content": content})
    client.say("response.create")
    item_id = client.until_audio(2_400)
    if delete:
        client.say("conversation.item.delete", item_id="two")
    content = [{"type": "input_text", "text": "three"}]
    client.say("conversation.item.create", item={"type": "message", "role": "user", "id": "three", "content": content})
    client.run()
    return client, item_id, "two"


@pytest.mark.parametrize("delete", [False, True])
def test_an_item_may_keep_the_place_in_which_it_began(delete: bool) -> None:  # C25, F108
    client, item_id, before = kept(delete=delete)
    added = next(e for e in client.heard if e["type"] == "conversation.item.added" and e["item"]["id"] == item_id)
    assert added["previous_item_id"] == before
    there = ["one", item_id, "three"] if delete else ["one", "two", item_id, "three"]
    assert list(client.server.conversation) == there


def test_where_all_before_it_is_gone_it_is_the_first() -> None:  # F108
    client = Client(ResponsePlan((replace(LONG, announced_ms=2500),)), rules=replace(USUAL, late_place="kept"))
    client.say("conversation.item.create", item={"type": "message", "role": "user", "id": "a", "content": []})
    client.say("response.create")
    item_id = client.until_audio(2_400)
    client.say("conversation.item.delete", item_id="a")
    client.say("conversation.item.create", item={"type": "message", "role": "user", "id": "b", "content": []})
    client.run()
    assert list(client.server.conversation) == [item_id, "b"]


@pytest.mark.parametrize("rule", ["told", "empty"])
def test_a_part_that_was_cut_may_be_closed_with_an_empty_transcript(rule: str) -> None:  # F015, C24
    client = Client(ResponsePlan((LONG,)), rules=replace(USUAL, cut_transcript=rule))
    cancelled(client)
    done = next(e for e in client.heard if e["type"] == "response.output_audio_transcript.done")
    part = next(e for e in client.heard if e["type"] == "response.content_part.done")
    assert (done["transcript"] == "") is (part["part"]["transcript"] == "") is (rule == "empty")


def test_what_ends_by_itself_tells_its_transcript() -> None:
    client = Client(spoken(600), rules=replace(USUAL, cut_transcript="empty"))
    client.say("response.create")
    client.run()
    done = next(e for e in client.heard if e["type"] == "response.output_audio_transcript.done")
    assert done["transcript"]


def test_an_acknowledgement_comes_again_before_that_of_the_next_edit() -> None:  # F113, C10
    again = 0
    for seed in range(12):
        client = Client(spoken(2000, 2000), seed=seed, duplicate_per_mille=1)
        client.say("response.create")
        client.run()
        first, second = (item for item in client.server.conversation)
        client.say("conversation.item.truncate", item_id=first, content_index=0, audio_end_ms=100)
        said = client.say("conversation.item.truncate", item_id=second, content_index=0, audio_end_ms=100)
        told = [event["item_id"] for event in said]
        assert told in ([second], [first, second])
        again += len(told) == 2
    assert 0 < again < 12
