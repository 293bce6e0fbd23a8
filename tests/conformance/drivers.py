"""One driver for each runtime: how it connects, listens and ends, so that nothing else here has to know."""

from abc import ABC, abstractmethod
from typing import Any

from examples.selectors_adapter import Conversation

from conformance.jumping import Jumper, run_asyncio, run_trio
from conformance.player import Player
from conformance.plays import Outcome
from conformance.real import Conductor
from rtcore_adapters import asyncio as on_asyncio
from rtcore_adapters import threads as on_threads
from rtcore_adapters import trio as on_trio


class Driver(ABC):
    """Plays a script through one adapter."""

    name: str
    virtual: bool
    """Whether its time is."""

    @abstractmethod
    def play(self, player: Player) -> Outcome:
        """Connect, take every notice until the session is over, leave the block."""


def _options(player: Player) -> dict[str, Any]:
    return {"speaker": player.speaker, "microphone": player.microphone, "seed": player.script.seed}


class AsyncioDriver(Driver):
    """``rtcore_adapters.asyncio`` on a jumping loop."""

    name, virtual = "asyncio", True

    def play(self, player: Player) -> Outcome:
        async def main() -> None:
            try:
                async with on_asyncio.connect(player.config, **_options(player), dial=player.dial_soon) as conversation:
                    player.conversation = conversation
                    async for notice in conversation:
                        player.outcome.notices.append(notice)
            except on_asyncio.ConnectionFailed as error:
                player.failed = error.reason

        run_asyncio(main, player)
        return player.finish()


class TrioDriver(Driver):
    """``rtcore_adapters.trio`` on a jumping clock."""

    name, virtual = "trio", True

    def play(self, player: Player) -> Outcome:
        async def main() -> None:
            try:
                async with on_trio.connect(player.config, **_options(player), dial=player.dial_soon) as conversation:
                    player.conversation = conversation
                    async for notice in conversation:
                        player.outcome.notices.append(notice)
            except on_trio.ConnectionFailed as error:
                player.failed = error.reason

        run_trio(main, player)
        return player.finish()


class ExampleDriver(Driver):
    """``examples/selectors_adapter.py``, whose loop is this one."""

    name, virtual = "selectors", True

    def play(self, player: Player) -> Outcome:
        jumper = Jumper(player)
        conversation = Conversation(player.config, **_options(player), dial=player.dial, time=lambda: jumper.now)
        player.conversation = conversation
        with conversation:
            while not conversation.over:
                if not conversation.carry(0):
                    jumper.idle(conversation.due)
                    if conversation.due is not None and conversation.due <= jumper.fired:
                        conversation.engine.wake()
                player.outcome.notices += iter(conversation.engine.take, None)
        return player.finish()


class ThreadsDriver(Driver):
    """``rtcore_adapters.threads`` on the real clock."""

    name, virtual = "threads", False

    def play(self, player: Player) -> Outcome:
        conductor = Conductor(player, lambda conversation: conversation.state)
        try:
            with on_threads.connect(player.config, **_options(player), dial=conductor.dial) as conversation:
                player.conversation = conversation
                for notice in conversation:
                    player.outcome.notices.append(notice)
        except on_threads.ConnectionFailed as error:
            player.failed = error.reason
        conductor.finish()
        return player.finish()


SHIPPED: tuple[Driver, ...] = (AsyncioDriver(), TrioDriver())
"""Adapters whose time can be virtual."""
VIRTUAL: tuple[Driver, ...] = (*SHIPPED, ExampleDriver())
"""Those whose time is virtual."""
REAL: tuple[Driver, ...] = (ThreadsDriver(),)
"""Those on the real clock."""
