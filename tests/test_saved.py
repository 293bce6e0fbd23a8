"""History as plain data: saved, loaded into another session and dialect, told to a model of text."""

import json

import pytest
from helpers.scene import Scene, configured, preview_config, ready, sent, told
from helpers.wire import announce, call, created, done, message, session_updated, speech_started, turn, user_transcript

from rtcore import Config, ItemDeleted, LocalProtocolError, ReplayIncomplete, SessionReady, Verdict
from rtcore.saved import VERSION, as_messages, load, save


def told_before() -> Scene:
    """A conversation with a cut, a call and its output."""
    scene = ready()
    scene.server(speech_started("u1"), turn("u1"), user_transcript("u1", "Hello."))
    scene.server(created("r1"), message("m1", 4000, "One two three four", previous="u1"), done("r1"))
    scene.played(1, 2000)
    scene.barge_in(2000, "u2")
    scene.server(turn("u2", previous="m1"), user_transcript("u2", "Weather?"))
    scene.server(created("r2"), call("c1", '{"q":1}', r="r2", previous="u2"), done("r2"))
    [output] = [event["item"] for event in sent(scene.tool_result("c1", "Sunny.")) if "item" in event]
    scene.server(announce(output["id"], output, previous="f_c1"))
    return scene


def loaded(config: Config | None = None, data: bytes | None = None) -> Scene:
    scene = Scene(config)
    scene._took(scene.session.load(save(told_before().session.history) if data is None else data, now=0.0))
    scene.open()
    scene.connected()
    return scene


def test_what_was_saved_is_what_is_loaded() -> None:  # issue 6, part 6
    history = told_before().session.history
    assert load(save(history)) == history
    assert json.loads(save(history))["rtcore_history"] == VERSION
    scene = loaded()
    scene.server(session_updated())
    assert [(item.id, item.text, item.full_text, item.verdict) for item in scene.session.history] == [
        (item.id, item.text, item.full_text, item.verdict) for item in history
    ]


@pytest.mark.parametrize("config", [configured(), preview_config()])
def test_another_session_of_any_dialect_begins_with_what_was_heard(config: Config) -> None:  # B21, S08, F086 to F088
    scene = loaded(config)
    effects = scene.server(session_updated())
    items = [event["item"] for event in sent(effects) if event["type"] == "conversation.item.create"]
    words = [part["text"] for item in items for part in item.get("content", ())]
    assert (words, [item["type"] for item in items[3:]]) == (
        ["Hello.", "One two", "Weather?"],
        ["function_call", "function_call_output"],
    )
    assert items[1]["status"] == "incomplete" and len(told(effects, SessionReady)) == 1
    assert told(effects, ReplayIncomplete) == []


def test_a_loaded_item_can_be_deleted_like_any_other() -> None:  # C25
    scene = loaded()
    effects = scene.server(session_updated())
    name = next(event["item"]["id"] for event in sent(effects) if event["type"] == "conversation.item.create")
    assert sent(scene.delete_item("u1")) == [{"type": "conversation.item.delete", "item_id": name}]
    deleted = {"type": "conversation.item.deleted", "event_id": "e", "item_id": name}
    assert told(scene.server([deleted]), ItemDeleted) == [ItemDeleted("u1")]


def test_a_model_of_text_is_told_what_was_heard() -> None:  # issue 6, part 6
    function = {"name": "look", "arguments": '{"q":1}'}
    assert as_messages(told_before().session.history) == [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "One two..."},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "c1", "content": "Sunny."},
    ]


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"rtcore_history":2,"items":[]}', b'{"rtcore_history":1}', b"\xff"])
def test_what_is_no_history_is_refused_with_a_reason(data: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="history"):
        load(data)


def test_a_history_is_loaded_once_and_before_the_session_is_open() -> None:
    scene = Scene()
    history = told_before().session.history
    with pytest.raises(LocalProtocolError, match="twice"):
        scene.session.load([*history, history[0]], now=0.0)
    with pytest.raises(LocalProtocolError, match="HistoryItem"):
        scene.session.load(["x"], now=0.0)  # type: ignore[list-item]
    scene.open()
    with pytest.raises(LocalProtocolError, match="before open"):
        scene.session.load(history, now=0.0)
    assert [item.verdict for item in history][1] is Verdict.PARTIAL
