"""The pump: inputs to the session, its effects to wire, devices and program. It can be read aloud.

What arrives is fed to the session, what it answers is carried out; when a deadline comes, whoever set it is ticked. Carrying out
is synchronous, so nothing interleaves; what arises meanwhile waits its turn. No task belongs to it but the one that dials and
those that run tools; everything else is a callback of the loop.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from ssl import SSLContext
from typing import Any

import msgspec

from rtcore import (
    Config,
    Connect,
    Disconnect,
    Disconnection,
    Drain,
    Effect,
    Flush,
    Handshake,
    Issued,
    LocalProtocolError,
    MicrophoneDropped,
    Notice,
    Pause,
    Play,
    RequestEnded,
    Resume,
    Send,
    Session,
    SessionClosed,
    SessionReady,
    ToolCalled,
)
from rtcore_adapters._devices import Devices
from rtcore_adapters._failures import ConnectionFailed
from rtcore_adapters._link import Closed, Failed, Link, LinkEvent, LinkTimes, Message, Opened, Refused, disconnection
from rtcore_adapters._mailbox import Mailbox
from rtcore_adapters._outbox import audio_ms
from rtcore_adapters.asyncio._request import Request
from rtcore_adapters.asyncio._wire import Wire
from rtcore_adapters.audio import Microphone, Speaker

Tool = Callable[..., Awaitable[object]]
"""A coroutine function that answers a function call: arguments by name in, output (``str`` or JSON-like) out."""

_log = logging.getLogger("rtcore.asyncio")


class Pump:
    """Drives one session: inputs in, effects carried out, each list whole before the next input."""

    def __init__(
        self,
        config: Config,
        *,
        speaker: Speaker,
        microphone: Microphone | None,
        tools: Mapping[str, Tool],
        ssl: SSLContext | None,
        times: LinkTimes,
        seed: int,
        session: Callable[..., Session] = Session,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.session = session(config, clock=speaker.capabilities, seed=seed)
        self.mailbox = Mailbox()
        self.crash: Exception | None = None
        self._devices = Devices(self.session, speaker, microphone, self.feed)
        self._microphone = microphone
        self._tools = tools
        self._ssl = ssl
        self._times = times
        self._wires: dict[int, Wire] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._requests: dict[int, Request] = {}
        self._inputs: deque[Callable[[], list[Effect]]] = deque()
        self._acting = False
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._news = asyncio.Event()
        self._over = False  # SessionClosed was told: no notice follows
        self._ready: asyncio.Future[SessionClosed | None] = self.loop.create_future()

    # -- inputs -------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the devices, then the session: it answers with where to dial."""
        self._devices.open(now=self.loop.time())
        self.do(self.session.open)

    def feed(self, take: Callable[..., list[Effect]], *args: object, now: float | None = None) -> None:
        """One input. Where it arises while effects are carried out, it waits until all of them are."""
        self._inputs.append(partial(take, *args, now=self.loop.time() if now is None else now))
        if not self._acting:
            self._run([])

    def ask(self, command: Callable[..., Issued]) -> Request:
        """A command that the server answers."""
        self._check()
        issued = command(now=self.loop.time())
        request = self._requests[issued.request] = Request(issued.request)
        self._run(issued.effects)
        return request

    def do(self, command: Callable[..., list[Effect]]) -> None:
        """A command that needs no answer."""
        self._check()
        self._run(command(now=self.loop.time()))

    def _check(self) -> None:
        if self.crash is not None:
            raise self.crash
        if self._acting:
            raise LocalProtocolError("a command from within a speaker or a microphone: use loop.call_soon, or its reports")

    def _wake(self) -> None:
        """A deadline has come: tick whoever set it. The session last, because at equal times inputs come before ticks."""
        self._timer = None
        # The loop may wake a hair early; each must see its deadline as reached.
        now = max(self.loop.time(), self._due)
        with self._guarded():
            self._devices.tick(now=now)
            for wire in list(self._wires.values()):
                wire.tick(now)
            if self.session.deadline is not None and self.session.deadline.at <= now:
                self.feed(self.session.tick, now=now)
        self._arm()

    def _arm(self) -> None:
        """One timer, at the earliest of all deadlines."""
        due = [wire.link.deadline.at for wire in self._wires.values() if wire.link.deadline is not None]
        due += [at for at in (self._devices.deadline,) if at is not None]
        due += [deadline.at for deadline in (self.session.deadline,) if deadline is not None]
        if self._timer is not None:
            if due and self._due == min(due):
                return
            self._timer.cancel()
            self._timer = None
        if due and self.crash is None:
            self._due = min(due)
            self._timer = self.loop.call_at(self._due, self._wake)

    # -- effects ------------------------------------------------------------------------------------------------------------

    def _run(self, effects: list[Effect]) -> None:
        """Carry out a list; then take the inputs that arose meanwhile, one by one, each to its end."""
        with self._guarded():
            self._acting = True
            try:
                self._act(effects)
                while self._inputs:
                    self._act(self._inputs.popleft()())
            finally:
                self._acting = False
        self._arm()

    def _act(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Play() | Drain() | Flush() | Pause() | Resume():
                    self._devices.sound(effect, now=self.loop.time())
                case Send(connection, payload, lane):
                    if (wire := self._wires.get(connection)) is not None:
                        self._dropped(wire.send(payload, lane))
                case Connect(connection, request):
                    self._dial(connection, request)
                case Disconnect(connection, code, reason):
                    if (wire := self._wires.get(connection)) is not None:
                        wire.hang_up(code, reason)
                case Notice():
                    self._note(effect)

    def _dial(self, connection: int, handshake: Handshake) -> None:
        try:
            link = Link(handshake, now=self.loop.time(), times=self._times)
        except ValueError as error:
            self.feed(self.session.disconnected, connection, Disconnection(error=str(error)))
            return
        wire = self._wires[connection] = Wire(link, self.loop, partial(self._heard, connection), close_s=self._times.close_s)
        wire.dialling = self._spawn(wire.dial(self._ssl))

    def _heard(self, connection: int, event: LinkEvent) -> None:
        """What a websocket tells is an input."""
        match event:
            case Opened():
                self.feed(self.session.connected, connection)
            case Message(payload):
                self.feed(self.session.receive, connection, payload)
            case Closed() | Refused() | Failed():
                self.feed(self.session.disconnected, connection, disconnection(event))

    def _note(self, notice: Notice) -> None:
        match notice:
            case SessionReady():
                self._settle_ready(None)
            case RequestEnded(number):
                if (request := self._requests.pop(number, None)) is not None:
                    request.settle(notice)
            case ToolCalled(name=name) if name in self._tools:
                self._spawn(self._call(self._tools[name], notice))
            case SessionClosed():
                self._over = True
                self._settle_ready(notice)
                self._devices.stop_listening(now=self.loop.time())
            case _:
                pass
        self.mailbox.put(notice)
        self._news.set()

    def _dropped(self, messages: list[bytes]) -> None:
        """Microphone audio gave way in the outbox."""
        if messages:
            ms = sum(audio_ms(message, self.session.input_format) for message in messages)
            self._note(MicrophoneDropped(ms, "the line does not take audio as fast as it is spoken"))

    # -- tools --------------------------------------------------------------------------------------------------------------

    async def _call(self, tool: Tool, call: ToolCalled) -> None:
        """Run a tool beside the conversation. Its failure is an answer too, or the model would wait for ever."""
        output: object
        try:
            output = await tool(**msgspec.json.decode(call.arguments or "{}", type=dict[str, Any]))
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise  # the conversation ends
            output = _failure(error)  # something inside the tool was cancelled, not the call
        except Exception as error:
            _log.exception("the tool %s failed", call.name)
            output = _failure(error)
        for answer in (output, {"error": "the tool returned something that is not JSON"}):
            if self._over or self.crash is not None:
                return
            try:
                self.ask(partial(self.session.tool_result, call.call_id, answer))
                return
            except LocalProtocolError as error:  # the output is not JSON; or, both times, its item was deleted meanwhile
                _log.warning("the result of the tool %s was not sent: %s", call.name, error)

    # -- waiting ------------------------------------------------------------------------------------------------------------

    async def ready(self) -> None:
        """Until the session is ready. Raises ``ConnectionFailed`` where it ends before."""
        closed = await asyncio.shield(self._ready)
        if self.crash is not None:
            raise self.crash
        if closed is not None:
            raise ConnectionFailed(closed.reason, closed.problem)
        wanted = self.session.input_format
        if self._microphone is not None and self._microphone.format != wanted:
            raise ValueError(
                f"the microphone delivers {self._microphone.format}, the session takes {wanted}: "
                "set audio.input.format, or give the microphone this format"
            )

    def _settle_ready(self, closed: SessionClosed | None) -> None:
        if not self._ready.done():
            self._ready.set_result(closed)

    async def next_notice(self) -> Notice:
        """The next notice; ``StopAsyncIteration`` after the last."""
        while (notice := self.mailbox.take()) is None:
            if self.crash is not None:
                raise self.crash
            if self._over:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return notice

    # -- the end ------------------------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """End everything: in order, or at once when cancelled meanwhile. Comes back when nothing is left."""
        ending = asyncio.ensure_future(self._end())
        cancelled: asyncio.CancelledError | None = None
        while not ending.done():
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError as error:
                cancelled = error
                self._abort()
        if cancelled is not None:
            raise cancelled
        ending.result()

    async def _end(self) -> None:
        try:
            if self.crash is None and self.session.state not in ("new", "closed"):
                self.do(self.session.close)
            for wire in list(self._wires.values()):
                await wire.gone
        finally:
            self._abort()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, *(wire.gone for wire in self._wires.values()), return_exceptions=True)
            await asyncio.sleep(0)  # asyncio closes a socket that was still in its TLS handshake one turn later
            if self._timer is not None:
                self._timer.cancel()
            self._devices.close(now=self.loop.time())

    def _abort(self) -> None:
        for wire in self._wires.values():
            wire.abort()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """A mistake in a device or in this program ends the conversation loudly: it is raised where the program waits."""
        try:
            yield
        except Exception as error:
            if self.crash is None:
                self.crash = error
                self._inputs.clear()
                self._abort()
                for request in self._requests.values():
                    request.settle(error)
                self._settle_ready(None)
                self._news.set()


def _failure(error: BaseException) -> dict[str, str]:
    """A tool's failure as its output. An exception may hold any text; what goes out has to be UTF-8."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return {"error": text.encode("utf-8", "replace").decode()}
