"""Tokens that are asked for at each dialling: of a plain function in a thread, or of a coroutine function on the runtime."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from loopback import KEY, served
from virtual_loop import run

from rtcore import Config, Handshake, ToolCalled
from rtcore.config import Connection
from rtcore_adapters._token import NO_CALL, TokenProvider, Tokens
from rtcore_adapters.asyncio import ConnectionFailed, connect
from rtcore_adapters.threads import connect as connect_threads

BARE = Handshake("wss://host.example", (("Authorization", "Bearer"),))


class Host:
    """A runtime whose tasks and threads end when they are told to."""

    def __init__(self, provider: TokenProvider | None) -> None:
        self.came: list[tuple[int, Handshake]] = []
        self.failed: list[tuple[int, str]] = []
        self.handed = threading.Event()
        self._work: list[Callable[[], None]] = []
        self.tokens = Tokens(
            provider,
            self,
            wait_s=5,
            came=lambda number, handshake: self.came.append((number, handshake)),
            failed=lambda number, error: self.failed.append((number, error)),
        )

    def run(self, work: Awaitable[object], call: ToolCalled) -> None:
        assert call is NO_CALL

        async def done() -> None:
            await work

        asyncio.run(done())

    def hand_over(self, work: Callable[[], None]) -> None:
        self._work.append(work)
        self.handed.set()

    def fetch(self) -> None:
        self.tokens.fetch(1, BARE, now=0.0)

    def arrive(self) -> None:
        assert self.handed.wait(5)
        for work in self._work:
            work()


class Starts:
    """Callable, and no coroutine function by its looks; the coroutine is made when it is called."""

    def __call__(self) -> Awaitable[str]:
        return coroutine()


def plain() -> str:
    return "eyJ.a.b"


async def coroutine() -> str:
    await asyncio.sleep(0)
    return "eyJ.a.b"


def refuses() -> str:
    raise RuntimeError("the tenant's secret is hunter2")


async def refuses_later() -> str:
    raise RuntimeError("the tenant's secret is hunter2")


@pytest.mark.parametrize("provider", [plain, coroutine])
def test_a_token_is_put_into_the_handshake(provider: TokenProvider) -> None:
    host = Host(provider)
    host.fetch()
    if provider is plain:
        assert host.came == []  # not in the engine's thread: it may block
        host.arrive()
    assert host.came == [(1, Handshake(BARE.url, (("Authorization", "Bearer eyJ.a.b"),)))]
    assert (host.failed, host.tokens.deadline) == ([], None)


@pytest.mark.parametrize(
    ("provider", "error"),
    [
        (None, "the connection wants a token: pass connect() a function that gives one, as token"),
        (refuses, "the token provider failed with RuntimeError"),
        (refuses_later, "the token provider failed with RuntimeError"),
        (lambda: None, "the token provider gave NoneType, not str"),
        (Starts(), "the token provider gave coroutine, not str"),
        (lambda: "hunter2 hunter2", "the token is empty, or holds white space or another character that no token has"),
        (lambda: "", "the token is empty, or holds white space or another character that no token has"),
    ],
)
def test_a_provider_that_fails_says_why_and_never_what_it_holds(provider: Any, error: str) -> None:
    host = Host(provider)
    host.fetch()
    if provider is not None and provider is not refuses_later:
        host.arrive()
    assert (host.failed, host.came) == ([(1, error)], [])
    assert "hunter2" not in error


def test_a_provider_that_hangs_is_given_up_and_what_it_gives_then_is_dropped() -> None:  # C30
    host = Host(plain)
    host.fetch()
    assert host.tokens.deadline == 5.0
    host.tokens.tick(now=4.9)
    assert host.failed == []
    host.tokens.tick(now=5.0)
    assert host.failed == [(1, "the token provider gave no token in 5 s")]
    host.arrive()
    assert (host.came, len(host.failed)) == ([], 1)


def given_plain() -> str:
    return KEY


async def given_later() -> str:
    return KEY


@pytest.mark.parametrize("provider", [given_plain, given_later])
def test_a_conversation_is_dialled_with_a_token_of_the_moment(provider: TokenProvider) -> None:
    async def talk() -> None:
        async with (
            served(api_key=KEY) as (url, _),
            connect(Config(connection=Connection(url=url)), token=provider) as conversation,
        ):
            assert conversation.state == "ready"

    run(talk())


async def refuses_in_a_group() -> str:
    raise BaseExceptionGroup("hunter2", [asyncio.CancelledError()])  # as a task group or a nursery raises it


@pytest.mark.parametrize(
    ("provider", "error"),
    [(refuses, "RuntimeError"), (refuses_later, "RuntimeError"), (refuses_in_a_group, "BaseExceptionGroup")],
)
def test_one_that_fails_is_told_as_a_connection_that_failed(
    provider: TokenProvider, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def talk() -> None:
        async with served(api_key=KEY) as (url, _):
            with pytest.raises(ConnectionFailed, match=f"the token provider failed with {error}"):
                async with connect(Config(connection=Connection(url=url)), token=provider):
                    pass

    run(talk())
    assert "hunter2" not in caplog.text


def test_a_program_of_threads_gives_a_plain_function() -> None:
    with pytest.raises(TypeError, match=r"^token: is a coroutine function"), connect_threads(Config(), token=coroutine):
        pass
