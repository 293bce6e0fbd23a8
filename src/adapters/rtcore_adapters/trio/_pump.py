"""The pump: trio as the host of an engine. A task keeps the time, one serves each line, one awaits each coroutine tool.

All of them are shielded from the cancellation around them, and ended by ``stop``: so a conversation that is cancelled still hangs
up in order, in the time that its link gives the server (``LinkTimes.close_s``). Ctrl-C is kept from them as well, for the same
reason: trio raises it in the program's main task instead.
"""

import math
from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio

from rtcore import Notice, ToolCalled
from rtcore_adapters._engine import Engine
from rtcore_adapters._line import Line
from rtcore_adapters._tools import failure, not_its_own
from rtcore_adapters.trio._request import Request
from rtcore_adapters.trio._wire import Dial, Wire


class Pump:
    """An engine, made by ``build``. Its tasks live in the nursery that ``start`` is given."""

    def __init__(self, build: "Callable[[Pump], Engine[Request]]", *, dial: Dial | None) -> None:
        self._dial = dial
        self._token = trio.lowlevel.current_trio_token()
        self._clock = trio.lowlevel.current_clock()
        self._wires: dict[int, Wire] = {}
        self._scopes: set[trio.CancelScope] = set()  # one for each task
        self._alarm = trio.CancelScope()
        self._at = math.inf
        self._news = trio.Event()
        self._stopped = False
        self.engine = build(self)

    def start(self, nursery: trio.Nursery) -> None:
        """Begin to keep the time, then open the session."""
        self._nursery = nursery
        self._spawn(self._keep_time)
        self._scopes.add(watch := trio.CancelScope())  # now, because ``stop`` may be faster than the task
        nursery.start_soon(self._end_with_the_nursery, watch, name="rtcore end")
        self.engine.start()

    # -- what the engine asks -------------------------------------------------------------------------------------------------

    def time(self) -> float:
        return self._clock.current_time()

    def request(self, number: int) -> Request:
        return Request(number)

    def dial(self, line: Line) -> None:
        self._wires[line.number] = Wire(line, self.engine, self._dial)
        self._spawn(self._serve, line.number)

    def write(self, line: Line) -> None:
        if (wire := self._wires.get(line.number)) is not None:
            wire.write()

    def abort(self, line: Line) -> None:
        if (wire := self._wires.get(line.number)) is not None:
            wire.abort()

    def arm(self, at: float | None) -> None:
        self._at = self._alarm.deadline = math.inf if at is None else at

    def run(self, work: Awaitable[object], call: ToolCalled) -> Callable[[], None]:
        return self._spawn(self._run, work, call).cancel

    def hand_over(self, work: Callable[[], None]) -> None:
        with suppress(trio.RunFinishedError):  # a thread that outlived the run: nobody is left to hear it
            self._token.run_sync_soon(self._take_over, work)

    def tell(self) -> None:
        self._news.set()

    def _take_over(self, work: Callable[[], None]) -> None:
        if not self._stopped:
            work()

    # -- tasks ----------------------------------------------------------------------------------------------------------------

    def _spawn(self, work: Callable[..., Awaitable[None]], *args: object) -> trio.CancelScope:
        scope = trio.CancelScope(shield=True)
        self._scopes.add(scope)
        self._nursery.start_soon(self._live, scope, work, *args, name=f"rtcore {work.__name__.strip('_')}")
        return scope

    @trio.lowlevel.enable_ki_protection
    async def _live(self, scope: trio.CancelScope, work: Callable[..., Awaitable[None]], *args: object) -> None:
        try:
            with scope:
                await work(*args)
        finally:
            self._scopes.discard(scope)
            self.tell()

    async def _keep_time(self) -> None:
        while True:
            with trio.CancelScope(deadline=self._at) as self._alarm:
                await trio.sleep_forever()
            if trio.current_time() >= self._at:  # else it was put off after it had gone off
                self.engine.wake()

    async def _serve(self, number: int) -> None:
        try:
            await self._wires[number].serve()
        finally:
            del self._wires[number]

    async def _run(self, work: Awaitable[object], call: ToolCalled) -> None:
        output: object
        try:
            output = await work
        except BaseException as error:
            if (found := not_its_own(error, trio.Cancelled)) is not None:
                raise found from None
            output = failure(call, error)
        self.engine.answer(call, output)

    @trio.lowlevel.enable_ki_protection
    async def _end_with_the_nursery(self, watch: trio.CancelScope) -> None:
        """Where the nursery is the caller's, its cancellation ends the conversation in order."""
        try:
            with watch:
                await trio.sleep_forever()
        finally:
            self._scopes.discard(watch)
            if not self._stopped:
                self.engine.close()
            self.tell()

    # -- what a program waits for ---------------------------------------------------------------------------------------------

    async def ready(self) -> None:
        """Until the session is ready; raises what ``Engine.is_ready`` raises."""
        await trio.lowlevel.checkpoint()
        while not self.engine.is_ready():
            await self._wait()

    async def next_notice(self) -> Notice:
        """The next notice; ``StopAsyncIteration`` after the last. Always a checkpoint."""
        await trio.lowlevel.checkpoint()
        while (notice := self.engine.take()) is None:
            if self.engine.over:
                raise StopAsyncIteration
            await self._wait()
        return notice

    async def _wait(self) -> None:
        if self._news.is_set():
            self._news = trio.Event()
        await self._news.wait()

    # -- the end --------------------------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """End everything, in order. Comes back when nothing is left."""
        with trio.CancelScope(shield=True):
            try:
                self.engine.close()
                while self._wires:
                    await self._wait()
            finally:
                self._stopped = True
                for scope in list(self._scopes):
                    scope.cancel()
                while self._scopes:
                    await self._wait()
                self.engine.silence()
