"""A fourth adapter, for a program that has a loop of its own: a conversation on ``selectors``, in less than a hundred lines.

    with Conversation(config, speaker=VirtualSpeaker()) as conversation:
        while not conversation.over:
            for notice in conversation.turn(0.02):  # in a game: turn(), once a frame
                if isinstance(notice, SessionReady):
                    conversation.send_text("Hello!")

It speaks public names alone, and passes the suite that the three adapters pass. docs/own-loop.md goes through it. Its tools are
plain functions: what a coroutine function gives would never be awaited.
"""

import selectors
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from rtcore import Config, Notice, RequestEnded, ToolCalled
from rtcore_adapters.engine import Commands, Engine, Line, Ways

Dial = Callable[[str, int], socket.socket]


def dial(host: str, port: int) -> socket.socket:
    """It blocks for a moment. A program that may not wait dials in a thread before it makes the conversation."""
    return socket.create_connection((host, port), timeout=10)


class Request:
    """A command that the server answers: ``ended`` says how, once it has."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.ended: RequestEnded | None = None

    def settle(self, result: RequestEnded | Exception) -> None:
        self.ended = result if isinstance(result, RequestEnded) else None


class Conversation(Commands[Request]):
    """Call ``turn`` often, and commands in between, all on one thread. It is the engine's host."""

    def __init__(self, config: Config, *, dial: Dial = dial, time: Callable[[], float] = time.monotonic, **options: Any) -> None:
        self.time, self._dial = time, dial
        self.due: float | None = None
        """When time has to be kept."""
        self._sockets: dict[Line, socket.socket] = {}  # one, or two for a moment: while a session is changed for another
        self._rest: dict[Line, bytes] = {}  # of a piece that the socket did not take whole
        self._inbox: deque[Callable[[], object]] = deque()
        self.request, self.hand_over = Request, self._inbox.append
        options = {"speaker": None, "microphone": None, "tools": None, "times": None, "ways": Ways(), "seed": None} | options
        self.engine = Engine[Request](self, config, **options)
        super().__init__(self.engine.session)
        self.engine.start()

    def __enter__(self) -> "Conversation":
        return self

    def __exit__(self, *error: object) -> None:
        self.engine.close()
        while self.engine.lines:
            self.keep(0.02)
        self.engine.silence()

    @property
    def over(self) -> bool:
        """Whether nothing is left, neither a line nor anything to tell."""
        return (self.engine.over or self.engine.crash is not None) and not self.engine.lines and not self.engine.mailbox

    def turn(self, wait_s: float = 0.0) -> list[Notice]:
        """Move bytes and keep time; wait at most so long for something to do. Gives what is new."""
        self.keep(wait_s)
        return list(iter(self.engine.take, None))

    def keep(self, wait_s: float) -> None:
        self.carry(wait_s if self.due is None else max(0.0, min(wait_s, self.due - self.time())))
        if self.due is not None and self.due <= self.time():
            self.engine.wake()

    def carry(self, wait_s: float) -> bool:
        """Move bytes, and do what was handed over; whether there was anything."""
        work = [self._inbox.popleft() for _ in range(len(self._inbox))]
        for each in work:
            each()
        if not self._sockets:
            time.sleep(0 if work else wait_s)
            return bool(work)
        with selectors.DefaultSelector() as selector:
            for line, near in self._sockets.items():
                waits = selectors.EVENT_WRITE if self._rest.get(line) else 0
                selector.register(near, selectors.EVENT_READ | waits, line)
            ready = selector.select(0 if work else wait_s)
        for key, _ in ready:
            self.write(key.data)
            try:
                if key.data in self._sockets:
                    self.engine.received(key.data, self._sockets[key.data].recv(1 << 16))
            except BlockingIOError:
                pass
            except OSError as error:
                self._drop(key.data, error)
        return bool(work or ready)

    def _ask(self, command: Callable[..., Any], *args: Any, **options: Any) -> Request:
        return self.engine.ask(partial(command, *args, **options))

    def _do(self, command: Callable[..., Any], *args: Any, **options: Any) -> None:
        self.engine.do(partial(command, *args, **options))

    # -- what the engine asks. None of it calls the engine back: that waits in the inbox -----------------------------------------

    def dial(self, line: Line) -> None:
        self._inbox.append(partial(self._open, line))

    def write(self, line: Line) -> None:
        if (near := self._sockets.get(line)) is not None:
            with suppress(OSError):  # it goes on when the socket takes more; of a broken one, reading tells
                while rest := self._rest.pop(line, b"") or line.outgoing():
                    self._rest[line] = rest
                    self._rest[line] = rest[near.send(rest) :]
            if line.over:
                self.abort(line)

    def abort(self, line: Line) -> None:
        self._inbox.append(partial(self._drop, line, None))

    def arm(self, at: float | None) -> None:
        self.due = at

    def tell(self) -> None: ...  # ``turn`` asks

    def run(self, work: Awaitable[object], call: ToolCalled) -> None:
        self.hand_over(partial(self.engine.answer, call, {"error": "coroutine functions cannot be tools here"}))

    # -- the socket ------------------------------------------------------------------------------------------------------------

    def _open(self, line: Line) -> None:
        try:
            if line.lookup is not None:
                line.resolved(socket.gethostbyname(line.lookup))
            near = self._sockets[line] = self._dial(line.host, line.port)
        except OSError as error:
            self.engine.failed(line, error)
            return
        near.setblocking(False)
        self.write(line)

    def _drop(self, line: Line, error: OSError | None) -> None:
        self._rest.pop(line, None)
        if (near := self._sockets.pop(line, None)) is not None:
            near.close()
        self.engine.lost(line, error)
