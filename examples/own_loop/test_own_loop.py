"""The bare core on a selector, on the real clock, against the strict server: ``make examples`` runs this."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
from examples.own_loop.own_loop import Loop
from loopback import KEY, VOICES, served
from pydantic import SecretStr

from rtcore import (
    Config,
    Interrupted,
    LocalProtocolError,
    MessageEnded,
    Notice,
    Reconnected,
    SessionClosed,
    SessionReady,
    SpeakingStarted,
    Verdict,
)
from rtcore.config import Connection, Reconnect
from rtcore.sim.server import ResponsePlan, Server, ServerOptions, spoken
from rtcore_adapters.audio import VirtualSpeaker

TOOK_S = 30
"""So long a machine may take for some seconds of conversation."""


def converse(
    talk: Callable[[Loop, list[Notice]], None], *script: ResponsePlan, **options: Any
) -> tuple[list[Notice], list[Server]]:
    """A program on its own thread, beside a server; gives what was told, and what the server knows."""
    notices: list[Notice] = []

    def program(url: str) -> None:
        config = Config(connection=Connection(url=url, api_key=SecretStr(KEY)), reconnect=Reconnect(first_ms=10, renew=False))
        loop = Loop(config, VirtualSpeaker(), notices.append)
        try:
            until(loop, notices, SessionReady)
            talk(loop, notices)
        finally:
            loop.end()

    async def main() -> list[Server]:
        async with served(ServerOptions(script=script, **options), voices=VOICES, api_key=KEY) as (url, servers):
            await asyncio.wait_for(asyncio.to_thread(program, url), TOOK_S)
        return servers

    return notices, asyncio.run(main())


def until(loop: Loop, notices: list[Notice], kind: type[Notice], count: int = 1) -> None:
    while sum(isinstance(notice, kind) for notice in notices) < count:
        assert not loop.over, notices[-1]
        loop.turn()


def test_what_interrupts_is_typed_in_the_same_loop() -> None:
    """B01, B19: the server is told what was heard, to the millisecond, and answers what was typed."""
    near, far = socket.socketpair()

    def talk(loop: Loop, notices: list[Notice]) -> None:
        loop.watch(near, lambda: loop.say(near.recv(100).decode()))
        loop.say("Tell me a story.")
        until(loop, notices, SpeakingStarted)
        for _ in range(10):
            loop.turn(0.02)
        far.send(b"Another one.")
        until(loop, notices, Interrupted)
        until(loop, notices, MessageEnded, 2)

    with near, far:
        notices, [server] = converse(talk, spoken(4000), spoken(300))
    first, second = (notice for notice in notices if isinstance(notice, MessageEnded))
    assert (first.verdict, second.verdict) == (Verdict.PARTIAL, Verdict.FULL)
    assert 0 < first.heard_ms == server.items[first.item_id].parts[0].truncated_ms
    assert server.refusals == []
    assert isinstance(notices[-1], SessionClosed) and notices[-1].reason == "closed"


def test_a_session_that_its_server_ends_is_dialled_again() -> None:  # B23, C27
    def talk(loop: Loop, notices: list[Notice]) -> None:
        until(loop, notices, Reconnected)
        loop.say("Are you there?")
        until(loop, notices, MessageEnded)

    notices, servers = converse(talk, spoken(300), session_s=1)
    assert len(servers) >= 2 and any(isinstance(notice, MessageEnded) for notice in notices)


def test_what_is_refused_stops_no_loop() -> None:
    def talk(loop: Loop, notices: list[Notice]) -> None:
        with pytest.raises(LocalProtocolError, match="text: is empty"):
            loop.say("")
        loop.say("Are you there?")
        until(loop, notices, MessageEnded)

    notices, [server] = converse(talk, spoken(300))
    assert server.refusals == []
    assert isinstance(notices[-1], SessionClosed) and notices[-1].reason == "closed"


def test_a_wrong_key_ends_it_with_words() -> None:
    told: list[Notice] = []

    def program(url: str) -> None:
        loop = Loop(Config(connection=Connection(url=url, api_key=SecretStr("sk-another"))), VirtualSpeaker(), told.append)
        while not loop.over:
            loop.turn()
        loop.end()

    async def main() -> None:
        async with served(api_key=KEY) as (url, _):
            await asyncio.wait_for(asyncio.to_thread(program, url), TOOK_S)

    asyncio.run(main())
    [closed] = (notice for notice in told if isinstance(notice, SessionClosed))
    assert closed.problem is not None and "401" in closed.problem.message
    assert "sk-another" not in repr(told)
