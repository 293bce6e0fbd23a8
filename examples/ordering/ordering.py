"""An ordering assistant whose kitchen is slow and sometimes fails: tools that take long, are retried, cut and called off.

    python examples/ordering/ordering.py            # on the sound card; needs the extra audio

What it shows is in README.md. Everything that is rtcore's is in ``converse``; ``Kitchen`` stands for a service elsewhere.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from rtcore import Config, FalseInterruption, MessageEnded, Notice, ToolCalled, ToolEnded, ToolSlow
from rtcore.config import AudioInput, AudioOptions, Connection, FunctionCalls, SessionOptions, Transcription
from rtcore_adapters.asyncio import Conversation, connect
from rtcore_adapters.tools import Output, running

log = logging.getLogger("ordering")

INSTRUCTIONS = (
    "You take orders for a pizzeria, by voice: be brief. Look at the menu before you offer anything. Repeat an order and have it "
    "confirmed before you place it. If the kitchen fails, say so and offer to try again."
)
FILLER = "Say in three or four words that the kitchen takes a moment."


class KitchenError(Exception):
    """The kitchen did not take it. Its text is what the model is told."""


class Kitchen:
    """The service behind the tools. It keeps one order for one key, however often it is asked."""

    def __init__(self, *, answer_s: float = 3.0, failures: int = 0) -> None:
        self.answer_s = answer_s
        self.failures = failures
        """So many requests more will fail."""
        self.orders: dict[str, dict[str, Any]] = {}
        self.asked = 0

    async def place(self, key: str, order: dict[str, Any]) -> dict[str, Any]:
        self.asked += 1
        await asyncio.sleep(self.answer_s)
        if self.failures:
            self.failures -= 1
            raise KitchenError("the kitchen did not answer")
        return self.orders.setdefault(key, {"number": 100 + len(self.orders), "minutes": 25, **order})

    async def minutes(self) -> int:
        """How long an order takes at the moment. Nobody minds if this is called off."""
        self.asked += 1
        await asyncio.sleep(self.answer_s)
        return 25


class Pizza(BaseModel):
    """One kind of pizza in an order."""

    kind: Literal["margherita", "funghi", "quattro formaggi"]
    size: Literal["small", "large"] = "large"
    count: Annotated[int, Field(ge=1, le=20)] = 1


class Counter:
    """The tools. The model is told what their signatures and docstrings say."""

    def __init__(self, kitchen: Kitchen, *, attempts: int = 2) -> None:
        self._kitchen, self._attempts = kitchen, attempts

    def menu(self) -> dict[str, float]:
        """What there is, with the price of a large one in euro. A small one costs two euro less."""
        return {"margherita": 9.5, "funghi": 11.0, "quattro formaggi": 12.5}

    async def place_order(self, pizzas: Annotated[list[Pizza], Field(min_length=1)], name: str) -> Output:
        """Place an order. Only after the guest has confirmed it."""
        # The id of the call is the key: whatever is repeated, here or on the way, it is one order.
        key = running().call.call_id
        order = {"name": name, "pizzas": [pizza.model_dump() for pizza in pizzas]}
        for attempt in range(self._attempts):
            try:
                return Output(await self._kitchen.place(key, order))
            except KitchenError as error:
                log.info("attempt %d: %s", attempt + 1, error)
        return Output({"error": "the kitchen does not answer; the order was not placed", "can_be_repeated": True})

    async def waiting_time(self) -> dict[str, int]:
        """How many minutes an order takes at the moment."""
        return {"minutes": await self._kitchen.minutes()}

    @property
    def tools(self) -> list[Callable[..., object]]:
        return [self.menu, self.place_order, self.waiting_time]


class Desk:
    """Follows one conversation, and calls off what nobody waits for any more."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._questions: set[str] = set()  # calls that only ask: they may be given up

    def heard(self, notice: Notice) -> None:
        match notice:
            case ToolCalled(call_id=call_id, name="waiting_time"):
                self._questions.add(call_id)
            case ToolSlow(call_id=call_id, name=name, waited_ms=waited):
                log.info("%s takes more than %d ms", name, waited)
                if call_id in self._questions:  # an order is never given up: it may have been placed
                    self._conversation.cancel_tool(call_id, "unknown at the moment: say about half an hour")
            case ToolEnded(call_id=call_id, name=name, outcome=outcome, took_ms=took):
                self._questions.discard(call_id)
                log.info("%s: %s after %d ms", name, outcome, took)
            case MessageEnded(verdict=verdict, text=text):
                log.info("%s: %s", verdict.value, text)
            case FalseInterruption():
                log.info("that was no interruption")
            case _:
                pass


def ordering_config(connection: Connection, *, slow_ms: int = 1_500) -> Config:
    """Slow calls have a few words said meanwhile. A cough does not cut an answer: the sound is held until there is a word."""
    audio = AudioOptions(input=AudioInput(transcription=Transcription(model="gpt-4o-mini-transcribe")))
    return Config(
        connection=connection,
        session=SessionOptions(instructions=INSTRUCTIONS, audio=audio),
        interruption="pause",
        function_calls=FunctionCalls(slow_ms=slow_ms, filler=FILLER),
    )


async def converse(
    config: Config, kitchen: Kitchen, *, told: Callable[[Notice, Conversation], object] = lambda *_: None, **devices: Any
) -> None:
    """One guest. ``devices`` are the speaker and the microphone; ``told`` gets every notice."""
    async with connect(config, tools=Counter(kitchen).tools, **devices) as conversation:
        desk = Desk(conversation)
        conversation.respond({"instructions": "Welcome the guest in one sentence."})
        async for notice in conversation:
            desk.heard(notice)
            told(notice, conversation)


def main() -> None:
    """On the sound card."""
    from rtcore_adapters.audio.device import DeviceMicrophone, DeviceSpeaker  # noqa: PLC0415 - an extra

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    connection = Connection(url=os.environ.get("RTCORE_URL"), api_key=os.environ.get("OPENAI_API_KEY"))
    kitchen = Kitchen(failures=1)
    asyncio.run(converse(ordering_config(connection), kitchen, speaker=DeviceSpeaker(), microphone=DeviceMicrophone()))


if __name__ == "__main__":
    main()
