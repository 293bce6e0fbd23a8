"""The program edits the history: insert, replace, delete and move anywhere, and synchronise, by as few events as can be."""

from collections.abc import Iterable, Mapping
from itertools import combinations, pairwise
from typing import Any

import pytest
from helpers.scene import Scene, configured, kinds, outcomes, preview_config, ready, sent, spoken, talking, told
from helpers.wire import (
    Event,
    announce,
    audio,
    call,
    cancelled,
    created,
    deleted,
    done,
    error,
    message,
    opened,
    session_created,
    session_updated,
    transcript,
    truncated,
    turn,
    user_item,
    user_transcript,
)
from hypothesis import given
from hypothesis import strategies as st

from rtcore import Disconnection, Effect, HistoryEdited, HistoryItem, LocalProtocolError, RequestEnded
from rtcore._sync import staying
from rtcore.config import Connection

Wanted = Iterable[HistoryItem | str | Mapping[str, object]]


def said(text: str, *, role: str = "user", id: str | None = None) -> Event:
    kind = "output_text" if role == "assistant" else "input_text"
    body: Event = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
    return body if id is None else {**body, "id": id}


def conversation(*texts: str, **options: Any) -> Scene:
    """Items i0, i1, ... with these words of the user's."""
    scene = ready(**options)
    previous = None
    for number, text in enumerate(texts):
        scene.server(user_item(f"i{number}", previous=previous), user_transcript(f"i{number}", text))
        previous = f"i{number}"
    return scene


def sync(scene: Scene, items: Wanted, base: Iterable[HistoryItem | str] | None = None) -> list[Effect]:
    return scene._issued(scene.session.sync_history(items, base=base, now=scene.now))


def carried_out(scene: Scene, effects: list[Effect]) -> list[Effect]:
    """The server does what it was sent."""
    answers: list[Effect] = []
    for event in sent(effects):
        if event["type"] == "conversation.item.delete":
            answers += scene.server(deleted(event["item_id"]))
        elif event["type"] == "conversation.item.create":
            behind = event.get("previous_item_id")
            answers += scene.server(announce(event["item"]["id"], event["item"], previous=None if behind == "root" else behind))
    return answers


def texts(scene: Scene) -> list[str]:
    return [item.text for item in scene.session.history]


def ids(scene: Scene) -> list[str]:
    return [item.id for item in scene.session.history]


# -- the least number of events ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "deletes", "creates"),
    [
        (["i0", "i1", "i2", "i3"], 0, 0),
        (["i0", "i2", "i3"], 1, 0),
        ([], 4, 0),
        (["i3", "i0", "i1", "i2"], 1, 1),
        (["i1", "i2", "i3", "i0"], 1, 1),
        (["i3", "i2", "i1", "i0"], 3, 3),
        (["i0", "i1", said("new"), "i2", "i3"], 0, 1),
        (["i0", said("b!", id="i1"), "i2", "i3"], 1, 1),
        ([said("a"), said("b"), said("c"), said("d")], 0, 0),
        ([said("a"), said("c"), said("x"), said("d")], 1, 1),
    ],
)
def test_a_wanted_history_takes_as_few_events_as_can_be(wanted: list[Any], deletes: int, creates: int) -> None:  # F107, B22
    scene = conversation("a", "b", "c", "d")
    effects = sync(scene, wanted)
    assert (kinds(effects).count("conversation.item.delete"), kinds(effects).count("conversation.item.create")) == (
        deletes,
        creates,
    )
    assert len(kinds(effects)) == deletes + creates


@given(st.lists(st.integers(0, 6), unique=True), st.integers(0, 7), st.integers(0, 2**7 - 1))
def test_what_stays_is_the_most_that_can(wanted: list[int], size: int, heavy: int) -> None:  # F107
    """Against every choice there is: nothing that cannot be moved gives way to what can, and no more could stay."""
    places = [place for place in wanted if place < size]
    weights = [size + 1 if heavy >> place & 1 else 1 for place in range(size)]
    stays = staying([[place] for place in places], [weight > 1 for weight in weights])
    chosen = sorted(stays.items())
    assert all(one[1] < other[1] for one, other in pairwise(chosen))
    rising = (
        sum(weights[place] for place in chain)
        for count in range(len(places) + 1)
        for chain in combinations(places, count)
        if list(chain) == sorted(chain)
    )
    assert sum(weights[place] for place in stays.values()) == max(rising)


@given(st.permutations(["i0", "i1", "i2", "i3", "i4"]), st.integers(0, 5), st.integers(0, 3))
def test_whatever_is_wanted_is_there_afterwards_and_wanted_again_costs_nothing(order: list[str], kept: int, new: int) -> None:
    """B22, F107"""
    scene = conversation("a", "b", "c", "d", "e")
    words = dict(zip(ids(scene), texts(scene), strict=True))
    wanted: list[Any] = [*order[:kept], *(said(f"new {number}", id=f"mine{number}") for number in range(new))]
    effects = sync(scene, wanted)
    settled = carried_out(scene, effects)
    expected = [words[item] for item in order[:kept]] + [f"new {number}" for number in range(new)]
    assert texts(scene) == expected
    assert outcomes(effects + settled) == [(scene.request, "done")]
    again = sync(scene, wanted)
    assert (kinds(again), outcomes(again)) == ([], [(scene.request, "done")])


def test_items_are_put_at_their_places_and_behind_each_other() -> None:  # F107: every create names its predecessor
    scene = conversation("a", "b")
    effects = sync(scene, [said("0", id="x0"), "i0", said("1", id="x1"), said("2", id="x2"), "i1", said("3", id="x3")])
    creates = [(event["item"]["id"], event["previous_item_id"]) for event in sent(effects)]
    assert creates == [("x0", "root"), ("x1", "i0"), ("x2", "x1"), ("x3", "i1")]


# -- idempotence -------------------------------------------------------------------------------------------------------


def _as_items(history: tuple[HistoryItem, ...]) -> Wanted:
    return history


def _as_ids(history: tuple[HistoryItem, ...]) -> Wanted:
    return [item.id for item in history]


def _as_bodies(history: tuple[HistoryItem, ...]) -> Wanted:
    return [said(item.full_text, role=item.role or "", id=item.id) for item in history if item.full_text]


@pytest.mark.parametrize("written", [_as_items, _as_ids, _as_bodies])
@pytest.mark.parametrize("heard_ms", [0, 500, 1000])
def test_an_unchanged_local_context_costs_nothing_after_any_interruption(written: Any, heard_ms: int) -> None:  # B22, S04
    scene = ready()
    scene.server(user_item("u0"), user_transcript("u0", "Hello?"), created("r1"))
    scene.server(message("m1", 1000, "aaaa bbbb cccc dddd", previous="u0"), message("m2", 500, "eeee", index=1), done("r1"))
    context = list(written(scene.session.history))  # the program's own, from before
    scene.at(0.5)
    if heard_ms:
        scene.played(1, heard_ms)
    scene.barge_in(heard_ms)
    scene.server(deleted("m1") if not heard_ms else truncated("m1", heard_ms) if heard_ms < 1000 else [], deleted("m2"))
    scene.server(turn("u1", previous="m1"))
    effects = sync(scene, context, base=["u0", "m1", "m2"])
    assert (kinds(effects), outcomes(effects)) == ([], [(scene.request, "done")])


def test_what_came_after_the_program_had_looked_stays() -> None:  # F067: items seen from the server are adopted first
    scene = conversation("a", "b")
    known = scene.session.history
    scene.server(user_item("late", previous="i1"), user_transcript("late", "and c"))
    effects = sync(scene, ["i0", said("note", role="system", id="n")], base=known)
    assert [event.get("item_id") or event["item"]["id"] for event in sent(effects)] == ["i1", "n"]
    carried_out(scene, effects)
    assert ids(scene) == ["i0", "n", "late"]


def test_what_was_deleted_meanwhile_is_not_brought_back() -> None:  # DESIGN 4: tombstones; B22
    scene = conversation("a", "b")
    context = list(scene.session.history)
    scene.server(deleted("i1"))
    assert kinds(sync(scene, [*context, said("b", id="i1")])) == []


def test_an_item_that_was_replaced_or_moved_answers_to_its_old_id() -> None:  # B22
    scene = conversation("a", "b", "c")
    wanted: list[Any] = ["i2", said("B", id="i1"), "i0"]
    carried_out(scene, sync(scene, wanted))
    assert texts(scene) == ["c", "B", "a"]
    assert kinds(sync(scene, wanted)) == []
    assert kinds(scene.delete_item("i0")) == ["conversation.item.delete"]


def test_an_unknown_id_is_told_and_not_raised() -> None:  # DESIGN 4: unknown ids never throw
    scene = conversation("a")
    effects = sync(scene, ["i0", "nobody"])
    assert told(effects, HistoryEdited) == [HistoryEdited(scene.request, unknown=("nobody",))]
    for problem in (
        scene.session.delete_item("nobody", now=0.0),
        scene.session.replace_item("nobody", said("x"), now=0.0),
        scene.session.move_item("nobody", now=0.0),
        scene.session.move_item("i0", "nobody", now=0.0),
        scene.session.create_item(said("x"), previous_item_id="nobody", now=0.0),
    ):
        [ended] = told(problem.effects, RequestEnded)
        assert ended.outcome == "failed" and ended.problem is not None and ended.problem.code == "unknown_item"


def test_a_predecessor_that_was_deleted_leaves_its_place() -> None:  # F108
    scene = conversation("a", "b")
    scene.server(deleted("i0"))
    [event] = sent(scene.create_item(said("x"), previous="i0"))
    assert event["previous_item_id"] == "root"


def test_a_delete_that_is_under_way_is_not_sent_twice() -> None:  # F113
    scene = conversation("a")
    scene.delete_item("i0")
    first = scene.request
    second = scene.delete_item("i0")
    settled = scene.server(deleted("i0"))
    third = scene.delete_item("i0")
    assert (kinds(second), kinds(third)) == ([], [])
    assert outcomes(settled + third) == [(first, "done"), (first + 1, "done"), (first + 2, "done")]


# -- when it is sent ---------------------------------------------------------------------------------------------------


def test_an_edit_waits_for_those_of_an_interruption_and_creations_wait_for_it() -> None:  # DESIGN 3: edits before creations
    scene = spoken(message("m1", 2000, "aaaa bbbb"), heard_ms=500, at=0.5)
    scene.answering(scene.interrupt(), 500)
    waits = sync(scene, ["m1", said("Be brief.", role="system", id="n")]) + scene.respond()
    edited = scene.server(truncated("m1", 500))
    asked = carried_out(scene, edited)
    assert (kinds(waits), kinds(edited), kinds(asked)) == ([], ["conversation.item.create"], ["response.create"])


def test_an_edit_before_the_session_is_ready_is_sent_when_it_is() -> None:  # F136
    scene = Scene()
    scene.open()
    effects = sync(scene, [said("Before.", id="x")])
    scene.connected()
    assert (kinds(effects), kinds(scene.server(session_created(), session_updated()))) == ([], ["conversation.item.create"])


def test_an_edit_is_planned_when_it_is_sent() -> None:  # DESIGN 3; F067
    scene = spoken(message("m1", 2000, "aaaa"), message("m2", 500, "bbbb", index=1), heard_ms=500, at=0.5)
    scene.answering(scene.interrupt(), 500)
    waits = sync(scene, ["m1"])  # m2 is being deleted already
    assert kinds(waits) == []
    scene.server(deleted("m2"))
    assert kinds(scene.server(truncated("m1", 500))) == []


def test_an_edit_that_waited_for_items_is_planned_with_them_in_their_places() -> None:  # B22: wanted twice, written once
    scene = conversation("a", "b")
    known = scene.session.history
    wanted: list[Any] = ["i0", said("note", role="system", id="n"), said("B", id="i1")]
    first, again = sync(scene, wanted, base=known), sync(scene, wanted, base=known)
    assert (kinds(again), kinds(carried_out(scene, first)), texts(scene)) == ([], [], ["a", "note", "B"])


def test_a_refused_part_is_told_with_the_request() -> None:  # F113, F110, DESIGN 6 invariant 2
    scene = conversation("a", "b")
    effects = sync(scene, ["i0", said("x", id="x")])
    first = scene.server(deleted("i1"))
    refused = scene.server(error("invalid_value", "Bad item.", param="item.content"))
    assert (kinds(effects), outcomes(first), outcomes(refused)) == (
        ["conversation.item.delete", "conversation.item.create"],
        [],
        [(scene.request, "failed")],
    )


def test_no_answer_to_an_edit_holds_nothing_up_for_ever() -> None:  # timeouts.edit_ms
    scene = conversation("a")
    sync(scene, [])
    edit = scene.request
    scene.respond()
    effects = scene.at(5.0).tick()
    assert ((edit, "timed_out") in outcomes(effects), kinds(effects)) == (True, ["response.create"])


# -- what stays --------------------------------------------------------------------------------------------------------


def test_what_is_being_heard_stays() -> None:  # F067
    scene = talking(opened("m1"), transcript("m1", "aaaa"), audio("m1", 2000), heard_ms=100, at=0.1)
    effects = sync(scene, [])
    assert (kinds(effects), told(effects, HistoryEdited)) == ([], [HistoryEdited(scene.request, stayed=("m1",))])


def test_a_call_that_runs_stays_and_so_does_half_a_pair() -> None:  # F067, C26, DESIGN 3: pinned with its output
    scene = spoken(call("c1"))
    open_call = ids(scene)
    first = sync(scene, [])
    [output, _] = sent(scene.tool_result("c1", "21"))
    scene.server(announce(output["item"]["id"], output["item"], previous=open_call[0]))
    half = sync(scene, [output["item"]["id"]])
    both = sync(scene, [])
    assert (kinds(first), kinds(half), kinds(both)) == ([], [], ["conversation.item.delete"] * 2)


def test_what_has_no_words_is_not_moved() -> None:  # F088: audio cannot be written again
    scene = ready()
    scene.server(user_item("silent"), user_item("i1", previous="silent"), user_transcript("i1", "b"))
    effects = sync(scene, ["i1", "silent"])
    carried_out(scene, effects)
    assert (kinds(effects), texts(scene)) == (["conversation.item.delete", "conversation.item.create"], ["b", ""])


# -- one item ----------------------------------------------------------------------------------------------------------


def test_an_item_is_replaced_in_its_place() -> None:  # F107: edits = del + create(prev=left neighbour)
    scene = conversation("a", "b", "c")
    effects = scene._issued(scene.session.replace_item("i1", said("B"), now=0.0))
    settled = carried_out(scene, effects)
    same = scene._issued(scene.session.replace_item("i1", said("B"), now=0.0))
    assert (kinds(effects), texts(scene), kinds(same)) == (
        ["conversation.item.delete", "conversation.item.create"],
        ["a", "B", "c"],
        [],
    )
    assert outcomes(settled) == [(scene.request - 1, "done")]


@pytest.mark.parametrize(("behind", "expected"), [("root", "bac"), ("i2", "acb"), (None, "acb"), ("i0", "abc")])
def test_an_item_is_moved(behind: str | None, expected: str) -> None:  # F107
    scene = conversation("a", "b", "c")
    effects = scene._issued(scene.session.move_item("i1", behind, now=0.0))
    carried_out(scene, effects)
    assert "".join(texts(scene)) == expected
    assert len(kinds(effects)) == (0 if expected == "abc" else 2)


def test_of_a_message_that_was_cut_what_was_heard_is_moved() -> None:  # B21, DESIGN 3: history is the heard text
    scene = spoken(message("m1", 2000, "aaaa bbbb cccc dddd"), heard_ms=1000, at=1.0)
    scene.server(user_item("u1", previous="m1"), user_transcript("u1", "x"))
    scene.barge_in(1000)
    scene.server(truncated("m1", 1000))
    effects = scene._issued(scene.session.move_item("m1", now=scene.now))
    [created_event] = [event for event in sent(effects) if event["type"] == "conversation.item.create"]
    assert created_event["item"]["content"] == [{"type": "output_text", "text": "aaaa bbbb"}]


# -- dialects and mistakes ---------------------------------------------------------------------------------------------


def test_a_server_that_deletes_nothing_says_so_and_takes_what_needs_no_delete() -> None:  # DESIGN 5: capabilities decide
    config = configured(
        connection=Connection(dialect="inworld", url="wss://api.inworld.ai/api/v1/realtime/session?key=k", api_key="k")
    )
    scene = conversation("a", "b", config=config)
    assert not scene.session.capabilities.delete
    removed = sync(scene, ["i0"])
    added = sync(scene, ["i0", "i1", said("c", id="x")])
    assert (kinds(removed), outcomes(removed), kinds(added)) == (
        [],
        [(scene.request - 1, "failed")],
        ["conversation.item.create"],
    )


def test_an_edit_is_written_in_the_dialect() -> None:  # C28, DESIGN 5
    scene = ready(preview_config(), preview=True)
    [event] = sent(sync(scene, [said("Hm.", role="assistant", id="x")]))
    assert event["item"]["content"][0]["type"] in ("text", "input_text")


@pytest.mark.parametrize(
    "items", [5, "i0", [5], [{"type": "message"}], {"i0": 1}, [{"type": "message", "role": "user", "content": []}]]
)
def test_what_is_no_list_of_items_is_refused(items: Any) -> None:  # DESIGN 2: the caller's mistake
    scene = conversation("a")
    with pytest.raises(LocalProtocolError, match="item"):
        scene.session.sync_history(items, now=0.0)
    with pytest.raises(LocalProtocolError, match="base"):
        scene.session.sync_history([], base=5, now=0.0)  # type: ignore[arg-type]


def test_edits_of_a_session_that_is_over_are_settled() -> None:  # DESIGN 6 invariant 2
    scene = conversation("a")
    sync(scene, [])
    effects = scene._took(scene.session.close(now=0.0))
    assert outcomes(effects) == [(scene.request, "cancelled")]


def test_a_cancelled_response_is_no_part_of_an_edit() -> None:  # F027
    scene = talking(opened("m1"), audio("m1", 100))
    scene.barge_in(0)
    scene.server(cancelled())
    assert kinds(sync(scene, scene.session.history)) == []


def test_an_edit_that_was_on_its_way_when_the_line_dropped_is_done_and_one_that_waits_is_planned_anew() -> None:  # B24, F136
    config = configured(reconnect={"attempts": 3, "first_ms": 100, "jitter": 0.0})
    scene = conversation("a", "b", config=config)
    sync(scene, ["i0", said("x", id="x")])
    on_its_way = scene.request
    sync(scene, ["i0", "i1"])
    waits = scene.request
    lost = scene.disconnected(Disconnection(error="gone"))
    assert [(on_its_way, "done")] == outcomes(lost)
    assert ids(scene) == ["i0", "x"]
    scene.at(0.1).tick()
    scene.connected(2)
    effects = scene.server(session_created(), session_updated(), connection=2)
    replayed = [event["item"]["content"][0]["text"] for event in sent(effects) if event["type"] == "conversation.item.create"]
    for event in sent(effects):
        if event["type"] == "conversation.item.create":
            effects += scene.server(announce(event["item"]["id"], event["item"]), connection=2)
    assert (replayed, outcomes(effects)) == (["a", "x"], [(waits, "done")])


def test_what_the_program_has_deleted_meanwhile_is_not_deleted_once_more() -> None:  # B03, C11
    scene = ready()
    scene.server(created("r1"), opened("m1"), audio("m1", 500))
    scene.at(0.1).answering(scene.interrupt(), 0)
    scene.delete_item("m1")
    scene.server(done("r1", "cancelled", "client_cancelled"))
    scene.at(3.0).tick()
    assert kinds(scene.log).count("conversation.item.delete") == 1
