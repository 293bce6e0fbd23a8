"""A conversation over a real loopback socket in virtual time: the simulated server, scripted peers, and a watch over leaks."""

import asyncio
import os
import stat
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import anyio.abc
import msgspec
from pydantic import SecretStr
from virtual_loop import run
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from rtcore import Config, Notice
from rtcore.config import Connection, Reconnect
from rtcore.sim.server import Server, ServerOptions
from rtcore.sim.voices import Voice, synthetic_voices
from rtcore_adapters.asyncio import Conversation
from rtcore_adapters.cli.serve import serve

T = TypeVar("T")
N = TypeVar("N", bound=Notice)
KEY = "sk-test-0123456789abcdef"
VOICES: tuple[Voice, ...] = synthetic_voices(1)


def config(url: str, *, key: str = KEY, **options: Any) -> Config:
    # A test is of one line, and ends with it, unless it says otherwise.
    options.setdefault("reconnect", Reconnect(attempts=0))
    return Config(connection=Connection(url=url, api_key=SecretStr(key)), **options)


class Port(anyio.abc.TaskStatus[int]):
    """Where ``serve`` reports its port."""

    def __init__(self) -> None:
        self.known: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def started(self, value: int | None = None) -> None:
        assert value is not None
        self.known.set_result(value)


@asynccontextmanager
async def served(
    options: ServerOptions | None = None,
    *,
    api_key: str | None = None,
    seed: int = 7,
    voices: Sequence[Voice] | None = VOICES,
) -> AsyncIterator[tuple[str, list[Server]]]:
    """``rtcore serve`` in this loop: its URL, and the ground truth of each session in the order of their connection."""
    servers: list[Server] = []

    def opened(number: int, server: Server) -> None:
        servers.append(server)

    port = Port()
    serving = asyncio.create_task(
        serve(seed=seed, options=options, voices=voices, api_key=api_key, opened=opened, task_status=port)
    )
    try:
        yield f"ws://127.0.0.1:{await port.known}/v1/realtime", servers
    finally:
        serving.cancel()
        await asyncio.wait([serving])
    if not serving.cancelled():
        serving.result()


@contextmanager
def served_in_a_thread(**options: Any) -> Iterator[str]:
    """``rtcore serve`` on the real clock, in a loop of another thread, for programs that block or run on another runtime."""
    ready: Future[str] = Future()
    over = threading.Event()

    async def main() -> None:
        async with served(**options) as (url, _):
            ready.set_result(url)
            await asyncio.to_thread(over.wait)

    def work() -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(main())
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield ready.result()
    finally:
        over.set()
        thread.join()


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def peer(talk: Talk) -> AsyncIterator[int]:
    """Something that listens on a port and is no rtcore server; gives the port."""
    lines: set[asyncio.Task[Any]] = set()

    async def line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        lines.add(task)
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client was faster, or the test is over
        finally:
            lines.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(line, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(lines):
            task.cancel()
        await asyncio.gather(*lines)
        await asyncio.sleep(0)


class Line:
    """A scripted server's end of a websocket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._protocol = ServerProtocol(max_size=None)
        self.received: list[dict[str, Any]] = []
        self.mute = False
        """It reads, and answers nothing."""

    async def accept(self) -> Request:
        while True:
            self._protocol.receive_data(await self._reader.read(65_536))
            for event in self._protocol.events_received():
                assert isinstance(event, Request)
                self._protocol.send_response(self._protocol.accept(event))
                self.flush()
                return event

    def flush(self) -> None:
        for data in self._protocol.data_to_send():
            if not self.mute:
                self._writer.write(data)

    def send(self, *payloads: bytes) -> None:
        for payload in payloads:
            self._protocol.send_text(payload)
        self.flush()

    def send_raw(self, data: bytes) -> None:
        self._writer.write(data)

    def close(self, code: int, reason: str) -> None:
        self._protocol.send_close(code, reason)
        self.flush()

    async def event(self) -> dict[str, Any] | None:
        """The next client event; None when the client has hung up."""
        while not self.received:
            if self._protocol.state is not State.OPEN:
                return None
            data = await self._reader.read(65_536)
            if not data:
                return None
            self._protocol.receive_data(data)
            for frame in self._protocol.events_received():
                if isinstance(frame, Frame) and frame.opcode is Opcode.TEXT:
                    self.received.append(msgspec.json.decode(frame.data))
            self.flush()
        return self.received.pop(0)

    @property
    def close_code(self) -> int | None:
        """The code of the client's close frame, once it came."""
        return self._protocol.close_rcvd.code if self._protocol.close_rcvd else None

    async def until(self, type: str) -> dict[str, Any]:
        """The next client event of a type."""
        while (event := await self.event()) is not None:
            if event["type"] == type:
                return event
        raise ConnectionError(f"no {type} came")

    async def set_up(self) -> None:
        """Shake hands and acknowledge the session."""
        await self.accept()
        self.send(b'{"type":"session.created","event_id":"e0","session":{"id":"sess_1","type":"realtime"}}')
        event = await self.until("session.update")
        session = {"id": "sess_1", **event["session"]}
        self.send(msgspec.json.encode({"type": "session.updated", "event_id": "e1", "session": session}))


@asynccontextmanager
async def scripted(script: Callable[[Line], Awaitable[None]]) -> AsyncIterator[str]:
    """A websocket server that follows a script once the handshake is to come; gives its URL."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await script(Line(reader, writer))

    async with peer(talk) as port:
        yield f"ws://127.0.0.1:{port}/v1/realtime"


async def until(conversation: Conversation, kind: type[N]) -> N:
    """The next notice of a kind."""
    async for notice in conversation:
        if isinstance(notice, kind):
            return notice
    raise AssertionError(f"the notices ended without {kind.__name__}")


async def rest(conversation: Conversation) -> list[Notice]:
    """All notices until the session is over."""
    return [notice async for notice in conversation]


def open_sockets() -> set[int]:
    """The process's open sockets, by file descriptor."""
    found = set()
    for name in os.listdir("/dev/fd"):
        try:
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                found.add(int(name))
        except OSError:
            pass  # the directory's own descriptor, closed by now
    return found


def clean_run(main: Coroutine[Any, Any, T]) -> T:
    """Run in virtual time, and see that no task, socket or thread is left behind."""

    async def watched() -> T:
        tasks, sockets, threads = asyncio.all_tasks(), open_sockets(), set(threading.enumerate())
        result = await main
        await asyncio.sleep(0)  # transports close their sockets one turn later
        assert asyncio.all_tasks() == tasks
        assert open_sockets() == sockets
        assert set(threading.enumerate()) <= threads  # one of an earlier test may have ended meanwhile
        return result

    return run(watched())
