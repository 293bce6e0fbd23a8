"""A talk on trio: what was typed ends the wait for the next notice, and a notice is never lost by that."""

from collections import deque
from contextlib import suppress
from functools import partial
from typing import Any

import trio

from rtcore import Config
from rtcore_adapters.cli.talk._conduct import FRAME_S, Input, Talk
from rtcore_adapters.cli.talk._inputs import Listening
from rtcore_adapters.trio import connect


def run(config: Config, talk: Talk, listening: Listening, **options: Any) -> None:
    """Talk until it is over; returns when nothing is left of the conversation."""
    trio.run(partial(converse, config, talk, listening, **options))


async def converse(config: Config, talk: Talk, listening: Listening, **options: Any) -> None:
    """The same, in a trio task."""
    token = trio.lowlevel.current_trio_token()
    typed: deque[Input] = deque()
    wait = trio.CancelScope()

    def take(what: Input) -> None:
        typed.append(what)
        wait.cancel()

    async with connect(config, **options) as conversation:
        talk.begin(conversation, now=trio.current_time())
        try:
            with listening(lambda what: token.run_sync_soon(take, what)):
                while not talk.over:
                    given: Input = None
                    with suppress(StopAsyncIteration), trio.move_on_after(0 if typed else FRAME_S) as wait:
                        given = await anext(conversation)
                    talk.take(given, now=trio.current_time())
                    while typed:
                        talk.take(typed.popleft(), now=trio.current_time())
        finally:
            talk.leave()
