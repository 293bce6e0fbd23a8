"""History as plain data: saved, loaded into another session and dialect, told to a model of text."""

import json

import pytest
from helpers.scene import Scene, configured, preview_config, ready, sent, talking, told
from helpers.wire import (
    Script,
    announce,
    audio,
    call,
    created,
    done,
    message,
    opened,
    session_updated,
    speech_started,
    text_delta,
    transcript,
    turn,
    user_transcript,
)

from rtcore import Config, Disconnection, HistoryItem, ItemDeleted, LocalProtocolError, ReplayIncomplete, SessionReady, Verdict
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


COUNTING = message("m1", 4000, "One two three four") + done("r1")


@pytest.mark.parametrize("over", [True, False])
def test_when_a_message_sounded_is_kept_as_seconds_of_the_clock_that_heard_it(over: bool) -> None:  # issue 6, part 6
    scene = talking(COUNTING, heard_ms=2000, at=2.0)
    if over:
        scene.at(2.5).answering(scene.interrupt(), 2500)
    [item] = scene.session.history
    assert (item.verdict is Verdict.PARTIAL) is over and item.stopped_at == (2.5 if over else 2.0)
    other = loaded(data=save([item]))
    other.server(session_updated())
    assert [(each.started_at, each.stopped_at) for each in other.session.history] == [(0.0, item.stopped_at)]


def test_what_was_saved_before_that_was_kept_is_loaded_without_it() -> None:  # issue 6, part 6
    old = json.loads(save(told_before().session.history))
    for item in old["items"]:
        del item["started_at"], item["stopped_at"]
    assert {(item.started_at, item.stopped_at) for item in load(json.dumps(old))} == {(None, None)}


def test_what_still_sounded_when_it_was_saved_was_cut_there() -> None:  # C27, B21, issue 6, part 6
    [sounding] = talking(COUNTING, heard_ms=2000, at=2.0).session.history
    [left] = load(save([sounding]))
    assert (sounding.verdict, left.verdict, left.heard_ms, left.text) == (None, Verdict.PARTIAL, 2000, "One two")
    assert as_messages([sounding]) == as_messages([left]) == [{"role": "assistant", "content": "One two..."}]


@pytest.mark.parametrize("how", ["items", "summary"])
@pytest.mark.parametrize("saved", [True, False])
def test_another_session_is_told_that_it_was_cut(saved: bool, how: str) -> None:  # C27
    history = talking(COUNTING, heard_ms=2000, at=2.0).session.history
    scene = Scene(configured(reconnect={"history": how}))
    scene._took(scene.session.load(save(history) if saved else history, now=0.0))
    scene.open()
    scene.connected()
    [item] = [event["item"] for event in sent(scene.server(session_updated())) if event["type"] == "conversation.item.create"]
    [part] = item["content"]
    marked = part["text"].endswith("One two (interrupted)") if how == "summary" else item["status"] == "incomplete"
    assert "One two" in part["text"] and "three" not in part["text"] and marked
    assert [(each.verdict, each.heard_ms) for each in scene.session.history] == [(Verdict.PARTIAL, 2000)]


@pytest.mark.parametrize(
    ("said", "heard_ms", "verdict"),
    [
        pytest.param(COUNTING, 0, None, id="nobody has heard any of it"),
        pytest.param(COUNTING, 3995, Verdict.FULL, id="all its words were heard"),
        pytest.param(COUNTING, 4000, Verdict.FULL, id="it had ended"),
        pytest.param(opened() + transcript("m1", "One two ") + audio("m1", 1000), 1000, Verdict.PARTIAL, id="more was to come"),
        pytest.param(opened() + audio("m1", 1000), 500, Verdict.PARTIAL, id="its words had not come"),
        pytest.param(opened() + text_delta("m1", "One two ", index=0), 0, None, id="it was written"),
    ],
)
def test_a_message_that_was_saved_before_its_end_is_what_was_heard_of_it(
    said: Script, heard_ms: int, verdict: Verdict | None
) -> None:  # C27
    [left] = load(save(talking(said, heard_ms=heard_ms, at=heard_ms / 1000).session.history))
    assert (left.verdict, left.heard_ms) == (verdict, heard_ms)


def test_what_an_older_version_saved_while_it_sounded_was_cut_too() -> None:  # it wrote no heard_ms before the end
    [left] = load(save([HistoryItem("m1", "message", "assistant", "completed", "One two", "One two three")]))
    assert (left.verdict, left.heard_ms) == (Verdict.PARTIAL, 0)


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


def test_what_was_shown_is_not_saved_and_said_to_have_been_there() -> None:  # issue 6, part 6
    look = {"type": "input_text", "text": "Look."}
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    scene = ready()
    for number, content in enumerate(([look, picture], [picture])):
        body = {"id": f"u{number}", "type": "message", "role": "user", "content": content, "status": "completed"}
        scene.server(announce(f"u{number}", body, previous="u0" if number else None))
    history = scene.session.history
    assert [(item.text, item.images) for item in history] == [("Look.", 1), ("", 1)] and load(save(history)) == history
    gone = "[An image was shown here. It is not shown again.]"
    assert [message["content"] for message in as_messages(history)] == [f"Look. {gone}", gone]
    effects = loaded(data=save(history)).server(session_updated())
    items = [event["item"] for event in sent(effects) if event["type"] == "conversation.item.create"]
    assert [[part["text"] for part in item["content"]] for item in items] == [["Look.", gone], [gone]]
    assert told(effects, ReplayIncomplete) == []


def test_a_summary_is_not_told_beside_what_it_sums_up() -> None:  # issue 6, part 6
    scene = ready(configured(reconnect={"history": "summary", "jitter": 0.0}))
    scene.server(speech_started("u1"), turn("u1"), user_transcript("u1", "Hello."))
    scene.disconnected(Disconnection(close_code=1006))
    due = scene.session.deadline
    assert due is not None
    effects = scene.at(due.at).tick() + scene.connected(2) + scene.server(session_updated(), connection=2)
    [summary] = [event["item"] for event in sent(effects) if event["type"] == "conversation.item.create"]
    scene.server(announce(summary["id"], {**summary, "status": "completed"}), connection=2)
    history = scene.session.history
    assert [item.aside for item in history] == [True, False]  # the server's session begins with it
    assert as_messages(history) == [{"role": "user", "content": "Hello."}]
    assert [item.text for item in loaded(data=save(history)).session.history] == ["Hello."]


def test_a_loaded_item_keeps_its_name_in_a_session_of_the_same_seed() -> None:  # B22: no fresh id is one that is known
    first = ready()
    [one] = [event["item"] for event in sent(first.say("One.", respond=False)) if "item" in event]
    first.server(announce(one["id"], one))
    scene = loaded(data=save(first.session.history))
    scene.server(session_updated())
    last = one["id"]
    for word in ("Two.", "Three.", "Four."):
        [event] = [event for event in sent(scene.say(word, respond=False)) if "item" in event]
        assert event["item"]["id"] != one["id"]
        scene.server(announce(event["item"]["id"], event["item"], previous=last))
        last = event["item"]["id"]
    assert [item.text for item in scene.session.history] == ["One.", "Two.", "Three.", "Four."]
