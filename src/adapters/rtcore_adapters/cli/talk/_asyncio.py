"""A talk on asyncio: what was typed ends the wait for the next notice, and a notice is never lost by that."""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any

from rtcore import Config
from rtcore_adapters.asyncio import connect
from rtcore_adapters.cli.talk._conduct import FRAME_S, Input, Talk
from rtcore_adapters.cli.talk._inputs import Listening


def run(config: Config, talk: Talk, listening: Listening, **options: Any) -> None:
    """Talk until it is over; returns when nothing is left of the conversation."""
    asyncio.run(converse(config, talk, listening, **options))


async def converse(config: Config, talk: Talk, listening: Listening, **options: Any) -> None:
    """The same, on a loop that runs already."""
    loop = asyncio.get_running_loop()
    typed: deque[Input] = deque()
    wait = asyncio.timeout(None)

    def take(what: Input) -> None:
        typed.append(what)
        with suppress(RuntimeError):  # it has just ended by itself
            wait.reschedule(loop.time())

    async with connect(config, **options) as conversation:
        talk.begin(conversation, now=loop.time())
        try:
            with listening(lambda what: loop.call_soon_threadsafe(take, what)):
                while not talk.over:
                    given: Input = None
                    with suppress(TimeoutError, StopAsyncIteration):
                        async with asyncio.timeout(0 if typed else FRAME_S) as wait:
                            given = await anext(conversation)
                    talk.take(given, now=loop.time())
                    while typed:
                        talk.take(typed.popleft(), now=loop.time())
        finally:
            talk.leave()
