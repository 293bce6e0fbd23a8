"""A program for every runtime: one coroutine, to which a ``Talk`` hides whose idiom it is.

On asyncio and trio it is awaited. For threads and the example its awaits come back at once, so that the coroutine runs straight
through, in the program's own thread.
"""

import asyncio
import gc
import signal
import socket
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

import trio
from examples.selectors_adapter import Conversation as OwnLoop
from loopback import open_sockets

from conformance.jumping import Jumper, run_asyncio, run_trio
from conformance.server import ScriptedServer
from rtcore import Config, Notice, SessionClosed
from rtcore_adapters import asyncio as on_asyncio
from rtcore_adapters import threads as on_threads
from rtcore_adapters import trio as on_trio
from rtcore_adapters.engine import Engine

try:
    uvloop: Any = import_module("uvloop")
except ImportError:  # there is none for Windows
    uvloop = None

T = TypeVar("T")


class Talk(ABC):
    """A conversation that is ready, in any runtime."""

    def __init__(self, conversation: Any) -> None:
        self.conversation = conversation

    @abstractmethod
    async def notice(self) -> Notice | None:
        """The next; None after the last."""

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Let time pass, and listen to nothing."""

    async def until(self, kind: type[Notice]) -> Any:
        """The next notice of a kind."""
        while (notice := await self.notice()) is not None:
            if isinstance(notice, kind):
                return notice
        raise AssertionError(f"the notices ended without {kind.__name__}")

    async def rest(self) -> list[Notice]:
        """All until the session is over."""
        found: list[Notice] = []
        while (notice := await self.notice()) is not None:
            found.append(notice)
        assert isinstance(found[-1], SessionClosed)
        return found


Program = Callable[[Talk], Coroutine[Any, Any, T]]


class Runtime(ABC):
    """Runs a program on one adapter, against a server on a stage, and sees that nothing is left behind."""

    name: str
    virtual = True
    leaps = True
    """Whether a test can set its clock ahead."""
    failures: tuple[type[Exception], ...]
    """What ``connect`` raises where the session does not become ready."""

    def run(self, program: Program[T], server: ScriptedServer, config: Config, *, patient: bool = True, **options: Any) -> T:
        """What the program gives, or raises. ``patient``: virtual time waits for tools in threads."""
        jumper = Jumper(server)
        jumper.patient = patient
        # Devices that the test holds hold their conversation, and so does a tool that still runs.
        with nothing_left(server, conversations=not options):
            try:
                return self._run(program, server, config, jumper, options)
            finally:
                server.now = max(server.now, jumper.now)

    @abstractmethod
    def _run(self, program: Program[T], server: ScriptedServer, config: Config, jumper: Jumper, options: Any) -> T: ...


class OnALoop(Runtime):
    """A runtime whose conversations are awaited."""

    connect: Callable[..., Any]

    class _Talk(Talk):
        def __init__(self, conversation: Any, sleep: Callable[[float], Any]) -> None:
            super().__init__(conversation)
            self._sleep = sleep

        async def notice(self) -> Notice | None:
            try:
                notice: Notice = await anext(self.conversation)
            except StopAsyncIteration:
                return None
            return notice

        async def sleep(self, seconds: float) -> None:
            await self._sleep(seconds)

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Let time pass."""

    @abstractmethod
    def started(self, main: Callable[[], Coroutine[Any, Any, T]], jumper: Jumper) -> T:
        """What ``main`` gives on a loop of its own, in virtual time."""

    @abstractmethod
    async def give_up(self, talk: Callable[[], Coroutine[Any, Any, None]], turns: int, turn: Callable[[], None]) -> None:
        """Begin a talk, cancel it after so many turns of the loop, and see that nothing else is running behind it."""

    def _main(
        self, program: Program[T], server: ScriptedServer, config: Config, options: Any
    ) -> Callable[[], Coroutine[Any, Any, T]]:
        async def main() -> T:
            async with type(self).connect(config, dial=server.dial_soon, **options) as conversation:
                return await program(self._Talk(conversation, self.sleep))

        return main

    def _run(self, program: Program[T], server: ScriptedServer, config: Config, jumper: Jumper, options: Any) -> T:
        return self.started(self._main(program, server, config, options), jumper)

    def cancelled(self, server: ScriptedServer, config: Config, *, turns: int) -> str:
        """Connect, and cancel it after so many turns of the loop: where that was."""
        where = "before"

        async def talk() -> None:
            nonlocal where
            async with type(self).connect(config, dial=server.dial_soon) as conversation:
                where = "in the block"
                async for _ in conversation:
                    pass

        def turn() -> None:
            server.carry(0.0)
            while server.next_at == 0.0:
                server.step(0.0)

        with nothing_left(server):
            self.started(lambda: self.give_up(talk, turns, turn), Jumper(server))
        return where


class OnAsyncio(OnALoop):
    """``rtcore_adapters.asyncio``."""

    name = "asyncio"
    failures = (on_asyncio.ConnectionFailed,)
    connect = on_asyncio.connect

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def started(self, main: Callable[[], Coroutine[Any, Any, T]], jumper: Jumper) -> T:
        return run_asyncio(main, jumper=jumper)

    async def give_up(self, talk: Callable[[], Coroutine[Any, Any, None]], turns: int, turn: Callable[[], None]) -> None:
        task = asyncio.create_task(talk())
        for _ in range(turns):
            await asyncio.sleep(0)
            turn()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert asyncio.all_tasks() == {asyncio.current_task()}


class OnUvloop(OnAsyncio):
    """The same on uvloop, on the real clock and the loopback interface."""

    name, virtual, leaps = "uvloop", False, False

    def _run(self, program: Program[T], server: ScriptedServer, config: Config, jumper: Jumper, options: Any) -> T:
        server.tcp = True
        with on_the_real_clock(server), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(self._main(program, server, config, options)())


class OnTrio(OnALoop):
    """``rtcore_adapters.trio``."""

    name = "trio"
    failures = (on_trio.ConnectionFailed,)
    connect = on_trio.connect

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)

    def started(self, main: Callable[[], Coroutine[Any, Any, T]], jumper: Jumper) -> T:
        return run_trio(main, jumper=jumper)

    async def give_up(self, talk: Callable[[], Coroutine[Any, Any, None]], turns: int, turn: Callable[[], None]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk)
            for _ in range(turns):
                await trio.lowlevel.checkpoint()
                turn()
            nursery.cancel_scope.cancel()
        assert nursery.cancel_scope.cancelled_caught


class OnThreads(Runtime):
    """``rtcore_adapters.threads``, on the real clock; the server has a thread of its own."""

    name, virtual = "threads", False
    failures = (on_threads.ConnectionFailed,)

    class _Talk(Talk):
        async def notice(self) -> Notice | None:
            notice: Notice | None = self.conversation.next_notice(20)
            return notice

        async def sleep(self, seconds: float) -> None:
            time.sleep(seconds)

    def _run(self, program: Program[T], server: ScriptedServer, config: Config, jumper: Jumper, options: Any) -> T:
        with on_the_real_clock(server), on_threads.connect(config, dial=server.dial, **options) as conversation:
            return straight(program(self._Talk(conversation)))

    def interrupted(self, server: ScriptedServer, config: Config, *, after: float, **options: Any) -> str:
        """Connect, and press Ctrl-C once, so many seconds after it has first dialled: where that was."""
        where = "before"
        dialled = False

        def press(number: int, frame: object) -> None:
            raise KeyboardInterrupt

        def dial(host: str, port: int) -> socket.socket:
            nonlocal dialled
            if not dialled:  # one who dials again could press it when all of this is over
                dialled = True
                signal.setitimer(signal.ITIMER_REAL, after)
            return server.dial(host, port)

        before = signal.signal(signal.SIGALRM, press)
        try:
            with nothing_left(server, conversations=False), on_the_real_clock(server):
                try:
                    with on_threads.connect(config, dial=dial, **options) as conversation:
                        where = "in the block"
                        for _ in conversation:
                            pass
                except KeyboardInterrupt:
                    return where
                raise AssertionError("nothing was raised")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


class OnOwnLoop(Runtime):
    """The example, ``examples/selectors_adapter.py``."""

    name = "selectors"

    class _Talk(Talk):
        def __init__(self, conversation: OwnLoop, jumper: Jumper) -> None:
            super().__init__(conversation)
            self._jumper = jumper

        async def notice(self) -> Notice | None:
            while (notice := self.conversation.engine.take()) is None and not self.conversation.engine.over:
                self.turn(None)
            found: Notice | None = notice
            return found

        async def sleep(self, seconds: float) -> None:
            until = self._jumper.now + seconds
            while self._jumper.fired < until:
                self.turn(until)

        def turn(self, until: float | None) -> None:
            conversation = self.conversation
            if not conversation.carry(0):
                due = conversation.due
                time.sleep(self._jumper.idle(min((at for at in (until, due) if at is not None), default=None)))
                if due is not None and due <= self._jumper.fired:
                    conversation.engine.wake()

    def _run(self, program: Program[T], server: ScriptedServer, config: Config, jumper: Jumper, options: Any) -> T:
        conversation = OwnLoop(config, dial=server.dial, time=lambda: jumper.now, **options)
        talk = self._Talk(conversation, jumper)
        try:
            while not conversation.engine.is_ready():
                talk.turn(None)
            return straight(program(talk))
        finally:
            conversation.engine.close()
            while conversation.engine.lines:
                talk.turn(None)
            conversation.engine.silence()

    failures = (on_asyncio.ConnectionFailed,)


LOOPS: tuple[OnALoop, ...] = (OnAsyncio(), OnTrio())
"""Those whose conversations can be cancelled."""
RUNTIMES: tuple[Runtime, ...] = (*LOOPS, OnThreads(), OnOwnLoop())
if uvloop is not None:
    RUNTIMES = (*RUNTIMES, OnUvloop())


def straight(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives that never has to wait."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("it waits for a loop that is not there")


@contextmanager
def on_the_real_clock(server: ScriptedServer) -> Iterator[None]:
    """A server that acts in a thread of its own, in real time."""
    over = threading.Event()

    def act() -> None:
        began = time.monotonic()
        while not over.is_set():
            now = time.monotonic() - began
            if server.carry(now):
                continue
            if server.next_at is not None and server.next_at <= now:
                server.step(now)
            else:
                time.sleep(0.0005)

    thread = threading.Thread(target=act, name="server")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        server.carry(server.now)


@contextmanager
def nothing_left(server: ScriptedServer, *, conversations: bool = True) -> Iterator[None]:
    """No socket, no thread, nothing of the conversation, however the block is left; of tasks the loops complain themselves."""
    sockets, threads, held = open_sockets(), set(threading.enumerate()), engines()
    try:
        yield
    finally:
        server.carry(server.now)
        server.close()
    for thread in set(threading.enumerate()) - threads:
        if thread.name.startswith("rtcore dial"):
            thread.join(5)
    assert {thread.name for thread in set(threading.enumerate()) - threads if not thread.name.startswith("rtcore tool")} == set()
    assert open_sockets() == sockets
    if conversations:
        assert engines() <= held


def engines() -> set[weakref.ref[Any]]:
    """The conversations that are held by anything; an earlier test's failure may hold some."""
    gc.collect()
    return {weakref.ref(each) for each in gc.get_objects() if isinstance(each, Engine)}


__all__ = ["LOOPS", "RUNTIMES", "Program", "Runtime", "Talk", "engines", "nothing_left", "on_the_real_clock", "straight"]
