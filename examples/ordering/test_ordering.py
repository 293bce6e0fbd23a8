"""The ordering assistant against the strict server, in virtual time: slow tools, failing ones, and guests who talk into them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from examples.ordering.ordering import Kitchen, converse, ordering_config
from loopback import KEY, clean_run, served
from pydantic import SecretStr

from rtcore import MessageEnded, Notice, ToolCalled, ToolEnded, ToolSlow, Verdict
from rtcore.config import Connection
from rtcore.sim.server import CallPlan, MessagePlan, PartPlan, ResponsePlan, Server, ServerOptions, spoken
from rtcore_adapters.asyncio import Conversation
from rtcore_adapters.audio import VirtualSpeaker

ORDER = json.dumps({"pizzas": [{"kind": "funghi", "count": 2}], "name": "Ada"})


def calls(name: str, arguments: str = "{}", *, spoken_ms: int = 0) -> ResponsePlan:
    message = (MessagePlan((PartPlan(audio_ms=spoken_ms),)),) if spoken_ms else ()
    return ResponsePlan((*message, CallPlan(name=name, arguments=arguments)))


class Guest:
    """What the test sees of a conversation."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.new = asyncio.Event()
        self.conversation: Conversation | None = None

    def told(self, notice: Notice, conversation: Conversation) -> None:
        self.conversation = conversation
        self.notices.append(notice)
        self.new.set()

    async def until(self, kind: type[Notice], count: int = 1) -> Any:
        while len(found := [notice for notice in self.notices if isinstance(notice, kind)]) < count:
            self.new.clear()
            await asyncio.wait_for(self.new.wait(), 60)
        return found[count - 1]


def serve(kitchen: Kitchen, play: Callable[[Guest, Server], Awaitable[None]], *script: ResponsePlan) -> None:
    """A guest at a kitchen, served by a model that follows a script; no message of ours may be refused."""

    async def main() -> None:
        async with served(ServerOptions(script=(spoken(600), *script))) as (url, servers):
            guest = Guest()
            config = ordering_config(Connection(url=url, api_key=SecretStr(KEY)))
            serving = asyncio.create_task(converse(config, kitchen, told=guest.told, speaker=VirtualSpeaker()))
            await guest.until(MessageEnded)
            assert guest.conversation is not None
            guest.conversation.send_text("Two funghi, for Ada.")
            await play(guest, servers[0])
            guest.conversation.close()
            await serving
            assert servers[0].refusals == []

    clean_run(main())


def outputs(server: Server) -> list[Any]:
    return [json.loads(item.output) for item in server.items.values() if item.type == "function_call_output"]


def test_a_slow_kitchen_has_a_few_words_said_and_the_result_is_answered() -> None:  # S06, B19
    kitchen = Kitchen(answer_s=5)

    async def play(guest: Guest, server: Server) -> None:
        slow = await guest.until(ToolSlow)
        assert slow.waited_ms >= 1_500
        ended = await guest.until(ToolEnded)
        assert ended.outcome == "answered" and ended.took_ms >= 5_000
        await guest.until(MessageEnded, 3)  # the welcome, the filler, the answer
        [order] = outputs(server)
        assert (order["number"], order["name"]) == (100, "Ada") and len(kitchen.orders) == 1

    serve(kitchen, play, calls("place_order", ORDER), spoken(400), spoken(900))


@pytest.mark.parametrize(("failures", "placed"), [(1, 1), (2, 0)])
def test_a_kitchen_that_fails_is_asked_again_and_the_model_is_told_the_truth(failures: int, placed: int) -> None:
    kitchen = Kitchen(answer_s=0.3, failures=failures)

    async def play(guest: Guest, server: Server) -> None:
        await guest.until(MessageEnded, 2)
        [output] = outputs(server)
        assert kitchen.asked == 2 and len(kitchen.orders) == placed
        assert ("number" in output) is bool(placed) and output.get("can_be_repeated", False) is not bool(placed)

    serve(kitchen, play, calls("place_order", ORDER), spoken(900))


def test_who_talks_into_an_order_does_not_order_twice() -> None:
    """The result of a call that was open at an interruption is kept, and told once (F060 to F068: one execution)."""
    kitchen = Kitchen(answer_s=4)

    async def play(guest: Guest, server: Server) -> None:
        assert guest.conversation is not None
        await guest.until(ToolCalled)
        guest.conversation.interrupt()
        guest.conversation.send_text("And make them large.")
        await guest.until(ToolEnded)
        while [item for item in server.items.values() if item.type == "function_call_output"] == []:
            await asyncio.sleep(0.1)
        assert kitchen.asked == 1 and len(kitchen.orders) == 1
        assert len(outputs(server)) == 1

    serve(kitchen, play, calls("place_order", ORDER, spoken_ms=3_000), spoken(500), spoken(500))


def test_a_question_that_takes_long_is_called_off_and_answered_all_the_same() -> None:
    kitchen = Kitchen(answer_s=30)

    async def play(guest: Guest, server: Server) -> None:
        ended = await guest.until(ToolEnded)
        assert ended.outcome == "cancelled"
        # The few words that were due at that moment are not said any more, or said before the answer.
        while not [ended for ended in guest.notices[1:] if isinstance(ended, MessageEnded) and ended.verdict is Verdict.FULL][1:]:
            await guest.until(MessageEnded, 1 + sum(isinstance(notice, MessageEnded) for notice in guest.notices))
        [item] = [item for item in server.items.values() if item.type == "function_call_output"]
        assert "about half an hour" in item.output

    serve(kitchen, play, calls("waiting_time"), spoken(700))


def test_an_order_that_does_not_fit_is_mended_by_the_model() -> None:
    kitchen = Kitchen(answer_s=0.1)

    async def play(guest: Guest, server: Server) -> None:
        await guest.until(ToolEnded, 2)
        await guest.until(MessageEnded, 2)
        wrong, right = outputs(server)
        assert "kind" in str(wrong) and right["number"] == 100 and kitchen.asked == 1

    wrong = json.dumps({"pizzas": [{"kind": "hawaii"}], "name": "Ada"})
    serve(kitchen, play, calls("place_order", wrong), calls("place_order", ORDER), spoken(500))
