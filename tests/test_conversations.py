"""Options changed in all of a program's conversations at once (S09)."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from helpers import wire
from helpers.scene import Scene, configured, ready, sent, talking

from rtcore import Config, Effect, Issued, LocalProtocolError
from rtcore_adapters._commands import Commands
from rtcore_adapters.conversations import Conversations, Updated


class Held(Commands[int]):
    """A conversation without a runtime: a request is its number."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene.session)
        self.scene = scene

    def _ask(self, command: Callable[..., Issued], *args: Any, **options: Any) -> int:
        issued = command(*args, **options, now=self.scene.now)
        self.scene.log += issued.effects
        return issued.request

    def _do(self, command: Callable[..., list[Effect]], *args: Any, **options: Any) -> None:
        self.scene.log += command(*args, **options, now=self.scene.now)

    def updates(self) -> list[Mapping[str, Any]]:
        """The session objects that it sent after the first."""
        return [event["session"] for event in sent(self.scene.log) if event["type"] == "session.update"][1:]


def group(*held: Held) -> Conversations[int]:
    conversations: Conversations[int] = Conversations()
    for each in held:
        conversations.add(each)
    return conversations


def test_to_each_is_sent_what_changes_there() -> None:  # S09
    brief, long = Held(ready(instructions="Be brief.")), Held(ready(instructions="Be long."))
    changes = {"instructions": "Be brief.", "audio": {"input": {"turn_detection": {"threshold": 0.7}}}}
    made = group(brief, long).update(changes)
    assert [(each.conversation, each.refused) for each in made] == [(brief, None), (long, None)]
    detection = {"audio": {"input": {"turn_detection": {**wire.SERVER_VAD, "threshold": 0.7}}}}
    assert brief.updates() == [{"type": "realtime", **detection}]
    assert long.updates() == [{"type": "realtime", "instructions": "Be brief.", **detection}]


def test_what_cannot_change_in_one_is_refused_there_and_changes_in_the_others() -> None:  # S09, F135
    spoken, silent = Held(talking(wire.message("m1", 100))), Held(ready())
    first, second = group(spoken, silent).update({"audio": {"output": {"voice": "cedar"}}})
    assert (first.request, "fixed once the model has spoken" in str(first.refused)) == (None, True)
    assert (second.request, second.refused, len(spoken.updates()), len(silent.updates())) == (1, None, 0, 1)


def test_a_mistake_is_told_for_each_and_nothing_is_sent() -> None:  # DESIGN 2
    one, two = Held(ready()), Held(ready())
    made = group(one, two).update({"voice": "cedar"})
    assert all(isinstance(each.refused, LocalProtocolError) for each in made) and one.updates() == two.updates() == []


def test_each_renders_the_change_for_its_own_dialect() -> None:  # S02, S09, C28
    flat = Scene(Config.model_validate({"connection": {"dialect": "openai-beta", "api_key": "k"}}), preview=True)
    flat.open()
    flat.connected()
    flat.server(wire.session_created(), wire.session_updated())
    one, two = Held(ready()), Held(flat)
    group(one, two).update({"audio": {"output": {"voice": "cedar"}}})
    assert one.updates() == [{"type": "realtime", "audio": {"output": {"voice": "cedar"}}}]
    assert two.updates() == [{"voice": "cedar"}]


def test_one_that_has_ended_leaves_by_itself_and_one_that_left_is_left_alone() -> None:
    over, gone, here = Held(ready()), Held(ready()), Held(ready())
    conversations = group(over, here)
    with conversations.joined(gone):
        assert len(conversations) == 3
    over.scene.close()
    assert conversations.update({"instructions": "Be brief."}) == [Updated(here, 1)]
    assert list(conversations) == [here] and gone.updates() == []


def test_a_member_twice_is_one_and_leaving_without_having_been_there_is_nothing() -> None:
    one = Held(ready(configured()))
    conversations = group(one, one)
    conversations.discard(Held(ready()))
    assert len(conversations) == 1


@pytest.mark.parametrize("runtime", ["asyncio", "trio", "threads"])
def test_conversations_of_every_runtime_can_join(runtime: str) -> None:  # S09, C30
    module = pytest.importorskip(f"rtcore_adapters.{runtime}")
    assert issubclass(module.Conversation, Commands)
