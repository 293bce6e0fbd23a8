"""Bearer tokens that live shorter than a program: asked for anew at each dialling, of a function of the program.

The core wants one by a ``Handshake`` that ``wants_token``; it never sees it. A plain function is called in a thread of its own,
because one that goes to the network blocks; a coroutine function is awaited by the runtime, where that can. Neither the token
nor the words of a provider that fails are shown.
"""

import inspect
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from rtcore import Handshake, ToolCalled

TokenProvider = Callable[[], str | Awaitable[str]]
"""Gives a bearer token; a plain function, as those of azure-identity, or on asyncio and trio a coroutine function."""

NO_CALL = ToolCalled("", "", "", "", "")
"""What a runtime is given as the call for work that is no tool's: nobody wants its answer."""

Came = Callable[[int, Handshake], None]
Failed = Callable[[int, str], None]


class Runs(Protocol):
    """What fetching needs of a runtime."""

    def run(self, work: Awaitable[object], call: ToolCalled) -> object:
        """Await this beside the conversation."""

    def hand_over(self, work: Callable[[], None]) -> None:
        """Do this on the engine's thread."""


class Tokens:
    """Fetches tokens for handshakes. ``came`` and ``failed`` are called on the engine's thread, one of them once a fetch."""

    def __init__(self, provider: TokenProvider | None, host: Runs, *, wait_s: float, came: Came, failed: Failed) -> None:
        self._provider = provider
        self._host = host
        self._wait_s = wait_s
        self._came = came
        self._failed = failed
        self._due: dict[int, float] = {}

    @property
    def deadline(self) -> float | None:
        """When the earliest fetch is given up."""
        return min(self._due.values(), default=None)

    def fetch(self, number: int, handshake: Handshake, *, now: float) -> None:
        """Have a token put into the handshake of connection ``number``."""
        provider = self._provider
        if provider is None:
            self._failed(number, "the connection wants a token: pass connect() a function that gives one, as token")
            return
        self._due[number] = now + self._wait_s
        if inspect.iscoroutinefunction(provider):
            self._host.run(self._awaited(number, handshake, provider()), NO_CALL)
        else:
            work = partial(self._called, number, handshake, provider)
            threading.Thread(target=work, name="rtcore token", daemon=True).start()

    def tick(self, *, now: float) -> None:
        """Give up what takes too long."""
        for number in [number for number, due in self._due.items() if due <= now]:
            del self._due[number]
            self._failed(number, f"the token provider gave no token in {self._wait_s:g} s")

    def drop(self) -> None:
        """The conversation is over: what comes now is nobody's."""
        self._due.clear()

    async def _awaited(self, number: int, handshake: Handshake, work: Awaitable[str]) -> None:
        try:
            token: object = await work
        except GeneratorExit:
            raise
        except BaseException as error:
            self._take(number, handshake, error)
            if not isinstance(error, Exception):
                raise  # a cancellation is the runtime's to see
        else:
            self._take(number, handshake, token)

    def _called(self, number: int, handshake: Handshake, provider: TokenProvider) -> None:
        try:
            found: object = provider()
        except BaseException as error:  # one that raises SystemExit failed as well
            found = error
        self._host.hand_over(partial(self._take, number, handshake, found))

    def _take(self, number: int, handshake: Handshake, found: object) -> None:
        if self._due.pop(number, None) is None:
            return  # given up, or over
        if isinstance(found, BaseException):
            # Its words may hold what it was sent or given.
            self._failed(number, f"the token provider failed with {type(found).__name__}")
        elif not isinstance(found, str):
            if inspect.iscoroutine(found):
                found.close()
            self._failed(number, f"the token provider gave {type(found).__name__}, not str")
        else:
            try:
                complete = handshake.with_token(found)
            except ValueError as error:
                self._failed(number, str(error))
            else:
                self._came(number, complete)
