"""Servers that cannot truncate: what they are told instead, and what the verdict says of it (DESIGN 5)."""

from collections.abc import Callable
from typing import Any

import pytest
from helpers.scene import Scene, configured, outcomes, sent, told
from helpers.wire import (
    audio,
    call,
    created,
    deleted,
    done,
    error,
    message,
    opened,
    session_created,
    session_updated,
    transcript,
    turn,
    user_item,
)

from rtcore import Disconnection, LocalProtocolError, MessageEnded, MessageStarted, ServerError, ToolCalled, Verdict
from rtcore.config import Connection
from rtcore.dialects import DIALECTS, Dialect, dialect
from rtcore.sim._server_events import check_event

URLS = {"inworld": "wss://api.inworld.ai/api/v1/realtime/session?key=k"}


def connected(name: str, **session: Any) -> Scene:
    """A session in this dialect, acknowledged in GA's shape, which is understood in all."""
    connection = Connection.model_validate({"dialect": name, "url": URLS.get(name), "api_key": "sk-1"})
    scene = Scene(configured(connection=connection, **session))
    scene.open()
    scene.connected()
    for event in session_created() + session_updated():
        form = dialect(name).capabilities.input_formats[0]
        event["session"].setdefault("audio", {}).setdefault("input", {})["format"] = {"type": form.type, "rate": form.rate}
        scene.server([event])
    assert scene.session.state == "ready"
    return scene


def cut_in_two_of_three(scene: Scene) -> list[dict[str, Any]]:
    """Three messages of 500 ms; the user interrupts 250 ms into the second. Gives what the server was told."""
    scene.server(created("r1"), user_item("u0"))
    story = message("m1", 500, "Part one.", previous="u0") + message("m2", 500, "aaaa bbbb", index=1, previous="m1")
    scene.server(story, message("m3", 500, "Part three.", index=2, previous="m2"), done("r1"))
    scene.at(0.75).played(1, 750)
    before = len(scene.log)
    scene.barge_in(750)
    return sent(scene.log[before:])


def ends(scene: Scene) -> list[tuple[str, Verdict, str]]:
    return [(end.item_id, end.verdict, end.told) for end in told(scene.log, MessageEnded)]


FULL = ("m1", Verdict.FULL, "nothing")


def test_a_server_that_truncates_is_told_by_a_truncate() -> None:  # S04, DESIGN 5
    scene = connected("xai")
    edits = cut_in_two_of_three(scene)
    assert [edit["type"] for edit in edits] == ["conversation.item.truncate", "conversation.item.delete"]
    assert ends(scene) == [FULL, ("m2", Verdict.PARTIAL, "truncate"), ("m3", Verdict.SKIPPED, "delete")]


def test_one_that_only_deletes_gets_the_heard_words_in_the_place_of_the_message() -> None:  # DESIGN 5
    scene = connected("glm")
    edits = cut_in_two_of_three(scene)
    [gone, heard, skipped] = edits
    assert (gone["type"], gone["item_id"]) == ("conversation.item.delete", "m2")
    assert (heard["type"], heard["previous_item_id"]) == ("conversation.item.create", "m1")
    assert heard["item"]["content"] == [{"type": "text", "text": "aaaa"}]
    assert (skipped["type"], skipped["item_id"]) == ("conversation.item.delete", "m3")
    assert ends(scene) == [FULL, ("m2", Verdict.PARTIAL, "rewrite"), ("m3", Verdict.SKIPPED, "delete")]
    new = heard["item"]["id"]
    scene.server(deleted("m2"), deleted("m3"))
    item = {"id": new, "type": "message", "role": "assistant", "status": "completed", "content": heard["item"]["content"]}
    scene.server([{"type": "conversation.item.created", "previous_item_id": "m1", "item": item}])
    assert [(item.id, item.text) for item in scene.session.history] == [("u0", ""), ("m1", "Part one."), (new, "aaaa")]


@pytest.mark.parametrize("answered", ["nothing", "the deletes", "all"])
def test_the_heard_words_outlive_a_line_that_is_lost_while_they_are_put_in_their_place(answered: str) -> None:
    """B24, C27, S08; invariant 11: the message is deleted, and what was heard of it was only said to the lost session."""
    scene = connected("glm", reconnect={"jitter": 0.0, "renew": False})
    edits = cut_in_two_of_three(scene)
    if answered in ("the deletes", "all"):
        scene.server(deleted("m2"), deleted("m3"))
    if answered == "all":
        item = {**edits[1]["item"], "status": "completed"}
        scene.server([{"type": "conversation.item.created", "previous_item_id": "m1", "item": item}])
    scene.disconnected(Disconnection(close_code=1006))
    assert [item.text for item in scene.session.history] == ["", "Part one.", "aaaa"]


def test_nothing_is_created_before_the_heard_words_are_in_their_place() -> None:  # DESIGN 3: edits come before creations
    scene = connected("glm")
    edits = cut_in_two_of_three(scene)
    before = len(scene.log)
    scene.respond()
    assert sent(scene.log[before:]) == []
    scene.server(deleted("m2"), deleted("m3"))
    assert sent(scene.log[before:]) == []
    item = {**edits[1]["item"], "status": "completed"}
    scene.server([{"type": "conversation.item.created", "previous_item_id": "m1", "item": item}])
    assert [event["type"] for event in sent(scene.log[before:])] == ["response.create"]


def test_one_that_takes_neither_gets_a_note_of_what_was_heard() -> None:  # DESIGN 5
    scene = connected("inworld")
    edits = cut_in_two_of_three(scene)
    assert [(edit["type"], edit["item"]["role"]) for edit in edits] == [("conversation.item.create", "system")] * 2
    notes = [edit["item"]["content"][0]["text"] for edit in edits]
    assert notes == [
        'The user interrupted your message that begins "aaaa bbbb" and heard only: "aaaa".',
        'The user interrupted your message that begins "Part three." and heard nothing of it.',
    ]
    assert ends(scene) == [FULL, ("m2", Verdict.PARTIAL, "note"), ("m3", Verdict.SKIPPED, "note")]


def test_one_that_takes_no_items_leaves_it_to_the_history_here() -> None:  # DESIGN 5
    scene = connected("qwen")
    assert cut_in_two_of_three(scene) == []
    assert ends(scene) == [FULL, ("m2", Verdict.PARTIAL, "record"), ("m3", Verdict.SKIPPED, "record")]
    heard = {item.id: item.text for item in scene.session.history}
    assert (heard["m2"], heard["m3"]) == ("aaaa", "")


def test_where_less_than_a_word_was_heard_the_message_is_only_deleted() -> None:  # DESIGN 5
    scene = connected("glm")
    scene.server(created("r1"), user_item("u0"), message("m1", 500, "", previous="u0"), done("r1"))
    scene.at(0.1).played(1, 100)
    before = len(scene.log)
    scene.barge_in(100)
    assert [edit["type"] for edit in sent(scene.log[before:])] == ["conversation.item.delete"]
    assert ends(scene) == [("m1", Verdict.PARTIAL, "delete")]


JPEG = {"type": "input_image", "image_url": "data:image/jpeg;base64,/9j/4AAQ"}


def shown(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": list(parts), **more}


def test_one_that_takes_images_beside_the_audio_gets_them_so() -> None:  # facts 14: input_image_buffer.append
    scene = connected("qwen")
    scene.append(b"\0\0" * 160)
    effects = scene.create_item(shown(JPEG, {**JPEG, "image_url": "data:image/jpeg;base64,AAAA"}))
    assert [event["type"] for event in sent(effects)] == [
        "input_audio_buffer.append",
        "input_image_buffer.append",
        "input_image_buffer.append",
    ]
    assert [event.get("image") for event in sent(effects)] == [None, "/9j/4AAQ", "AAAA"]
    assert outcomes(effects) == [(scene.request, "done")]  # nothing acknowledges them
    scene.server(error(None, "Error append image before append audio."))
    [said] = told(scene.log, ServerError)
    assert said.problem.remedy.startswith("Append audio first")


@pytest.mark.parametrize(
    ("item", "more", "message"),
    [
        (shown(JPEG), {}, r"^item: an image follows the audio"),
        (shown({"type": "input_text", "text": "x"}), {}, r"servers of the qwen dialect cannot"),
        (shown(JPEG, {"type": "input_text", "text": "x"}), {}, r"^item\.content\[1\]: this server takes images alone"),
        (shown({**JPEG, "image_url": "https://example.com/a.jpg"}), {}, r"^item\.content\[0\]\.image_url: .*bytes"),
        (shown({**JPEG, "image_url": "nothing"}), {}, r"^item\.content\[0\]\.image_url: 'nothing' is no image"),
        (shown(JPEG, role="system"), {}, r"^item: this server takes no items but images"),
        (shown(JPEG, id="a"), {}, r"^item\.id: the server makes the item"),
        (shown(JPEG), {"previous_item_id": "m1"}, r"^previous_item_id: an image belongs"),
    ],
)
def test_what_is_no_image_beside_the_audio_is_the_callers_mistake(item: dict[str, Any], more: Any, message: str) -> None:
    scene = connected("qwen")
    if "follows the audio" not in message:
        scene.append(b"\0\0" * 160)
    with pytest.raises(LocalProtocolError, match=message):
        scene.session.create_item(item, now=scene.now, **more)


def test_an_image_that_waits_for_the_session_goes_behind_its_audio() -> None:  # F136
    scene = Scene(configured(connection=Connection(dialect="qwen", url="ws://127.0.0.1:9")))
    scene.open()
    scene.connected()
    scene.append(b"\0\0" * 160)
    scene.create_item(shown(JPEG))
    effects = scene.server(session_updated())
    assert [event["type"] for event in sent(effects)] == ["input_audio_buffer.append", "input_image_buffer.append"]


@pytest.mark.parametrize("table", DIALECTS.values(), ids=lambda table: table.name)
def test_images_are_parts_of_items_where_the_table_says_so(table: Dialect) -> None:
    if table.capabilities.images == "item":
        assert table.render_item(shown(JPEG))["content"] == [JPEG]
        return
    with pytest.raises(LocalProtocolError, match=r"item\.content \(type 'input_image'\)"):
        table.render_item(shown(JPEG))


def test_the_strict_server_takes_images_behind_audio_in_that_dialect_alone() -> None:
    image = {"type": "input_image_buffer.append", "event_id": "e", "image": "AAAA"}
    assert check_event("qwen", image) is None
    assert check_event("qwen", {**image, "image": ""}) is not None
    assert check_event("openai", image) is not None
    assert check_event("xai", {"type": "session.update", "session": {"reasoning": {"effort": "low"}}}) is not None
    assert check_event("xai", {"type": "session.update", "session": {"reasoning": {"effort": "high"}}}) is None


def test_what_a_server_cannot_do_is_the_callers_mistake() -> None:
    scene = connected("qwen")
    commands: list[Callable[[], object]] = [
        lambda: scene.session.send_text("Hello.", now=scene.now),
        lambda: scene.session.create_item({"type": "message", "role": "user", "content": []}, now=scene.now),
        lambda: scene.session.tool_result("c1", "x", now=scene.now),
        lambda: scene.session.delete_item("u0", now=scene.now),
        lambda: scene.session.respond({"conversation": "none"}, now=scene.now),
    ]
    for command in commands:
        with pytest.raises(LocalProtocolError, match=r"servers of the qwen dialect cannot; Session\.capabilities says"):
            command()


def test_a_response_is_known_to_be_ours_without_metadata() -> None:
    scene = connected("qwen")
    [event] = sent(scene.respond())
    assert event == {"type": "response.create", "response": {}}
    scene.server(created("r1", metadata=None), opened("m1"), transcript("m1", "Hi."), audio("m1", 100))
    assert scene.session._core.responses.live["r1"].request == scene.request


def test_a_turn_goes_on_after_a_note() -> None:  # S01
    scene = connected("inworld")
    notes = [edit["item"] for edit in cut_in_two_of_three(scene)]
    for previous, note in zip(("m3", notes[0]["id"]), notes, strict=True):
        scene.server([{"type": "conversation.item.added", "previous_item_id": previous, "item": note}])
    scene.server(turn("u1", previous=notes[1]["id"]), created("r2"))
    scene.server(message("m4", 200, "Yes?", r="r2", previous="u1"), done("r2"))
    scene.at(1.5).played(2, 200)
    assert ends(scene)[-1] == ("m4", Verdict.FULL, "nothing")


def manual(name: str) -> Scene:
    """Where the server finds no turns and creates nothing by itself."""
    scene = connected(name)
    scene.server(session_updated(turn_detection=None))
    return scene


def test_without_metadata_an_answer_that_was_given_up_is_known_where_nobody_else_creates() -> None:  # B14
    scene = manual("qwen")
    scene.respond()
    scene.at(10.0).tick()
    late = scene.server(created("r1"), opened("m1"), audio("m1", 300))
    assert [event["type"] for event in sent(late)] == ["response.cancel"] and not told(late, MessageStarted)


def test_without_metadata_nothing_wanted_is_taken_for_what_was_given_up() -> None:  # B14: two are asked for, and both may come
    scene = manual("qwen")
    scene.respond()
    scene.at(10.0).tick()
    scene.respond()
    both = scene.server(created("r1"), opened("m1"), done("r1"), created("r2"), opened("m2", r="r2"), audio("m2", 300, r="r2"))
    assert "response.cancel" not in [event["type"] for event in sent(both)]


@pytest.mark.parametrize("name", ["inworld", "glm"])
def test_a_call_that_was_cut_where_nothing_can_be_taken_out_gets_its_output_from_here(name: str) -> None:  # invariant 10, C26
    scene = connected(name)
    scene.server(created("r1"), opened("m1"), audio("m1", 500))
    scene.barge_in(100)
    told_then = scene.server(call("c1"), done("r1", status="cancelled"))
    made = [event for event in sent(told_then) if event["type"].startswith("conversation.item")]
    if name == "inworld":
        assert [(event["item"]["type"], event["item"]["call_id"]) for event in made] == [("function_call_output", "c1")]
    else:
        assert [event["type"] for event in made] == ["conversation.item.delete"] * len(made) and made
    assert told(scene.log, ToolCalled) == []
