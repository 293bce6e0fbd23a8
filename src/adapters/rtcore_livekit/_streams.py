"""What livekit reads of a response: a stream of messages, each with its text and its sound, and one of function calls."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Literal

from livekit import rtc
from livekit.agents import llm, utils

Taken = Callable[[int, rtc.AudioFrame], None]
"""Told of each frame, with its generation, when livekit takes it to play it."""


class Message:
    """One message, as it comes in."""

    def __init__(self, item_id: str, taken: Taken) -> None:
        self.item_id = item_id
        self._text: utils.aio.Chan[str] = utils.aio.Chan()
        self._audio: utils.aio.Chan[tuple[int, rtc.AudioFrame]] = utils.aio.Chan()
        self._taken = taken
        self._silenced = 0  # generations up to this one are not played any more
        self._modalities: asyncio.Future[list[Literal["text", "audio"]]] = asyncio.get_running_loop().create_future()
        self.generation = llm.MessageGeneration(item_id, self._text, self._frames(), self._modalities)
        """What livekit is given."""

    async def _frames(self) -> AsyncIterator[rtc.AudioFrame]:
        async for generation, frame in self._audio:
            if generation > self._silenced:
                self._taken(generation, frame)
                yield frame

    def sound(self, generation: int, frame: rtc.AudioFrame) -> None:
        """More of its sound."""
        self._is(["audio", "text"])
        if not self._audio.closed:
            self._audio.send_nowait((generation, frame))

    def say(self, delta: str, *, audible: bool) -> None:
        """More of its words."""
        if audible:
            self._is(["audio", "text"])
        if not self._text.closed:
            self._text.send_nowait(delta)

    def silence(self, generation: int) -> None:
        """Nothing more of this generation is to sound."""
        self._silenced = generation
        self._audio.close()

    def sounded(self) -> None:
        """That was all of its sound."""
        self._audio.close()

    def said(self) -> None:
        """That was all of its words."""
        self._text.close()

    def end(self) -> None:
        """That was all of it."""
        self._is(["text"])
        self.sounded()
        self.said()

    def _is(self, modalities: list[Literal["text", "audio"]]) -> None:
        if not self._modalities.done():
            self._modalities.set_result(modalities)


class Response:
    """One response, as it comes in."""

    def __init__(self, response_id: str, taken: Taken) -> None:
        self.response_id = response_id
        self.messages: dict[str, Message] = {}
        self.generating = True
        self._taken = taken
        self._messages: utils.aio.Chan[llm.MessageGeneration] = utils.aio.Chan()
        self._calls: utils.aio.Chan[llm.FunctionCall] = utils.aio.Chan()

    def created(self, *, asked: bool) -> llm.GenerationCreatedEvent:
        """What livekit is given."""
        return llm.GenerationCreatedEvent(self._messages, self._calls, user_initiated=asked, response_id=self.response_id)

    def message(self, item_id: str) -> Message:
        """A message of it, which livekit is given with its first word or sample."""
        if (found := self.messages.get(item_id)) is None:
            found = self.messages[item_id] = Message(item_id, self._taken)
            if not self._messages.closed:
                self._messages.send_nowait(found.generation)
        return found

    def call(self, call: llm.FunctionCall) -> None:
        """A function is called."""
        if not self._calls.closed:
            self._calls.send_nowait(call)

    def done(self) -> None:
        """No further message, call or word; what there is of sound may still be on its way."""
        self.generating = False
        self._messages.close()
        self._calls.close()
        for each in self.messages.values():
            each.said()

    def end(self) -> None:
        """Nothing more at all."""
        self.done()
        for each in self.messages.values():
            each.end()
