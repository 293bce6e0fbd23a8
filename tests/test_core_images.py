"""Pictures after a reconnection: the newest are shown again, of older ones is told that they were there, within a bound."""

from typing import Any

import pytest
from helpers.scene import Scene, configured, event_id, ready, sent
from helpers.wire import Event, announce, deleted, error, session_updated

from rtcore import Disconnection, Effect

PLACEHOLDER = "[An image was shown here. It is not shown again.]"


def picture(name: str, size: int = 100) -> Event:
    return {"type": "input_image", "image_url": "data:image/png;base64," + name * size}


def showing(*parts: Event) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Look."}, *parts]}


def show(scene: Scene, item: dict[str, Any], *, previous: str | None = None, connection: int = 1) -> str:
    """The program shows it, and the server takes it; gives its id."""
    created = [event for event in sent(scene.create_item(item)) if event["type"] == "conversation.item.create"]
    body = {**created[-1]["item"], "status": "completed"}
    added = {"type": "conversation.item.added", "event_id": "e", "previous_item_id": previous, "item": body}
    scene.server([added], connection=connection)
    name: str = body["id"]
    return name


def back(scene: Scene, connection: int = 2) -> list[Event]:
    """Lost and back: the content of what the new session was told."""
    scene.disconnected(Disconnection(close_code=1006), connection=connection - 1)
    due = scene.session.deadline
    assert due is not None
    effects: list[Effect] = scene.at(due.at).tick() + scene.connected(connection)
    effects += scene.server(session_updated(), connection=connection)
    items = [event["item"] for event in sent(effects) if event["type"] == "conversation.item.create"]
    return [part for item in items for part in item["content"]]


def begun(**reconnect: Any) -> Scene:
    return ready(configured(reconnect={"jitter": 0.0, **reconnect}))


def kept(scene: Scene) -> int:
    """Bytes of pictures that the session holds."""
    bodies = scene.session._core.continuity.images._bodies.values()
    return sum(len(part.get("image_url", "")) for body in bodies for part in body["content"])


def test_an_image_is_shown_to_the_next_session_and_the_one_after() -> None:  # C27, S08, B21
    scene = begun()
    shown = showing(picture("a"))
    show(scene, shown)
    assert back(scene) == shown["content"]
    assert back(scene, 3) == shown["content"]


def test_beyond_the_bound_the_newest_are_shown_and_of_the_older_it_is_told() -> None:  # C27, invariant 13
    size = len(picture("a")["image_url"])
    scene = begun(image_bytes=2 * size)
    last = None
    for name in "abc":
        last = show(scene, showing(picture(name)), previous=last)
    assert kept(scene) == 2 * size
    text = {"type": "input_text", "text": "Look."}
    gone = {"type": "input_text", "text": PLACEHOLDER}
    assert back(scene) == [text, gone, text, picture("b"), text, picture("c")]


def test_one_that_is_larger_than_the_bound_is_told_alone() -> None:
    scene = begun(image_bytes=10)
    show(scene, showing(picture("a")))
    assert kept(scene) == 0
    assert [part["text"] for part in back(scene)] == ["Look.", PLACEHOLDER]


def test_a_summary_says_that_there_was_an_image_and_keeps_none() -> None:
    scene = begun(history="summary")
    show(scene, {**showing(), "content": [picture("a")]})
    assert kept(scene) == 0
    [told] = back(scene)
    assert f"User: {PLACEHOLDER}" in told["text"]


@pytest.mark.parametrize("options", [{"attempts": 0}, {"history": "none"}])
def test_nothing_is_kept_where_nothing_is_replayed(options: dict[str, Any]) -> None:
    scene = begun(**options)
    show(scene, showing(picture("a")))
    assert scene.session._core.continuity.images._bodies == {}


def test_one_that_was_deleted_or_refused_is_kept_no_longer() -> None:
    scene = begun()
    item = show(scene, showing(picture("a")))
    scene.delete_item(item)
    scene.server(deleted(item))
    assert kept(scene) == 0
    effects = scene.create_item(showing(picture("b")))
    scene.server(error("invalid_value", "Invalid image.", event_id=event_id(effects, "conversation.item.create")))
    assert kept(scene) == 0 and back(scene) == []


@pytest.mark.parametrize("pending", ["again", "fail"])
def test_what_never_arrived_takes_no_place_from_what_was_there(pending: str) -> None:  # C27: the newest up to so many bytes
    scene = begun(image_bytes=250, pending=pending)
    show(scene, showing(picture("a")))
    scene.create_item(showing(picture("b", 60)))
    if pending == "again":
        scene.at(6.0).tick()  # no word of it: the program was told so, and it is nobody's to send again
    assert back(scene) == showing(picture("a"))["content"]
    show(scene, showing(picture("c", 90)), connection=2)
    shown = [part["image_url"][-1] for part in back(scene, 3) if "image_url" in part]
    assert sorted(shown) == ["a", "c"]


@pytest.mark.parametrize("pending", ["again", "fail"])
def test_a_line_that_is_dead_takes_no_picture_from_what_was_there(
    pending: str,
) -> None:  # C27: nor do many, in a dead line's time
    scene = begun(image_bytes=250, pending=pending)
    show(scene, showing(picture("a")))
    for name in "bcdef":
        scene.create_item(showing(picture(name)))
    scene.at(6.0).tick()
    assert kept(scene) <= 500  # what may arrive late is bounded as well
    assert back(scene) == showing(picture("a"))["content"]
    assert kept(scene) == len(picture("a")["image_url"])


@pytest.mark.parametrize("answers", ["taken, refused", "refused, taken", "taken, late"])
def test_what_is_on_its_way_takes_no_place_from_what_left_before_it(answers: str) -> None:  # C27: the newest that the server had
    one = len(picture("p", 40)["image_url"])
    scene = begun(image_bytes=2 * one + 30)
    previous = show(scene, showing(picture("p", 40)))
    shown = [scene.create_item(showing(picture(name, 60))) for name in "ab"]
    for effects, answer in zip(shown, answers.split(", "), strict=True):
        [item] = [event["item"] for event in sent(effects)]
        if answer == "taken":
            scene.server(announce(item["id"], item, previous=previous))
        elif answer == "refused":
            refused = event_id(effects, "conversation.item.create")
            scene.server(error("invalid_value", "Invalid image.", event_id=refused))
    scene.at(6.0).tick()
    taken = "ab"[answers.split(", ").index("taken")]
    assert [part["image_url"][-1] for part in back(scene) if "image_url" in part] == ["p", taken]


def test_one_that_was_left_out_takes_no_place_when_it_arrives_late() -> None:  # C27
    scene = begun(image_bytes=250)
    show(scene, showing(picture("a", 90)))
    late, _ = (sent(scene.create_item(showing(picture(name, 180))))[0]["item"] for name in "bc")
    scene.at(6.0).tick()
    scene.server(announce(late["id"], late))
    assert [part["image_url"][-1] for part in back(scene) if "image_url" in part] == ["a"]


def test_one_that_an_edit_was_putting_there_as_the_line_was_lost_is_shown_again() -> None:  # B24, C27: such an edit is done
    scene = begun()
    item = show(scene, showing(picture("a")))
    scene._issued(scene.session.replace_item(item, showing(picture("b")), now=scene.now))
    assert back(scene) == showing(picture("b"))["content"]


def test_what_arrives_late_takes_its_place_all_the_same() -> None:  # C27
    scene = begun(image_bytes=130)
    first = show(scene, showing(picture("a")))
    effects = scene.create_item(showing(picture("b")))
    scene.at(6.0).tick()
    [body] = [event["item"] for event in sent(effects) if event["type"] == "conversation.item.create"]
    added = {
        "type": "conversation.item.added",
        "event_id": "e",
        "previous_item_id": first,
        "item": {**body, "status": "completed"},
    }
    scene.server([added])
    assert [part["image_url"][-1] for part in back(scene) if "image_url" in part] == ["b"]
