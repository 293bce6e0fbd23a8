"""The pump: asyncio as the host of an engine. No task belongs to it but those that dial and those that run tools; everything else
is a callback of the loop."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from rtcore import Notice, ToolCalled
from rtcore_adapters._engine import Engine
from rtcore_adapters._line import Line
from rtcore_adapters._tools import failure, not_its_own
from rtcore_adapters.asyncio._connect import Dial
from rtcore_adapters.asyncio._request import Request
from rtcore_adapters.asyncio._wire import Wire


def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()


class Pump:
    """An engine, made by ``build``, on the running loop."""

    def __init__(self, build: "Callable[[Pump], Engine[Request]]", *, dial: Dial) -> None:
        self._loop = asyncio.get_running_loop()
        self._dial = dial
        self._wires: dict[int, Wire] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()
        self._stopped = False
        self.engine = build(self)

    # -- what the engine asks -------------------------------------------------------------------------------------------------

    def time(self) -> float:
        return self._loop.time()

    def request(self, number: int) -> Request:
        return Request(number)

    def dial(self, line: Line) -> None:
        wire = self._wires[line.number] = Wire(line, self.engine, self._loop, self._dial)
        wire.gone.add_done_callback(lambda _: self._wires.pop(line.number))
        wire.dialling = self._spawn(wire.dial())

    def write(self, line: Line) -> None:
        if (wire := self._wires.get(line.number)) is not None:
            wire.write()

    def abort(self, line: Line) -> None:
        if (wire := self._wires.get(line.number)) is not None:
            wire.abort()

    def arm(self, at: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if at is None else self._loop.call_at(at, self.engine.wake)

    def run(self, work: Awaitable[object], call: ToolCalled) -> Callable[[], None]:
        task = self._spawn(self._run(work, call))
        if inspect.iscoroutine(work):
            task.add_done_callback(lambda _: work.close())  # a task that is cancelled before it began has not awaited it
        return lambda: _cancel(task)

    def hand_over(self, work: Callable[[], None]) -> None:
        if not self._stopped and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(work)

    def tell(self) -> None:
        self._news.set()

    async def _run(self, work: Awaitable[object], call: ToolCalled) -> None:
        output: object
        try:
            output = await work
        except BaseException as error:
            task = asyncio.current_task()
            ending = task is None or task.cancelling() > 0  # else something inside the tool was cancelled, not the call
            found = not_its_own(error, asyncio.CancelledError) if ending else not_its_own(error)
            if found is not None:
                raise found from None
            output = failure(call, error)
        self.engine.answer(call, output)

    # -- what a program waits for ---------------------------------------------------------------------------------------------

    async def ready(self) -> None:
        """Until the session is ready; raises what ``Engine.is_ready`` raises."""
        while not self.engine.is_ready():
            await self._wait()

    async def next_notice(self) -> Notice:
        """The next notice; ``StopAsyncIteration`` after the last."""
        while (notice := self.engine.take()) is None:
            if self.engine.over:
                raise StopAsyncIteration
            await self._wait()
        return notice

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()

    # -- the end --------------------------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """End everything: in order, or at once when cancelled meanwhile. Comes back when nothing is left."""
        ending = asyncio.ensure_future(self._end())
        cancelled: asyncio.CancelledError | None = None
        while not ending.done():
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError as error:
                cancelled = error
                self.engine.abort()
        if cancelled is not None:
            raise cancelled
        ending.result()

    async def _end(self) -> None:
        try:
            self.engine.close()
            while self._wires:
                await next(iter(self._wires.values())).gone
                await asyncio.sleep(0)
        finally:
            self._stopped = True
            self.engine.abort()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, *(wire.gone for wire in self._wires.values()), return_exceptions=True)
            await asyncio.sleep(0)  # asyncio closes a socket that was still in its TLS handshake one turn later
            self.engine.silence()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
