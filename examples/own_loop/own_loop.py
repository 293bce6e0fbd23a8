"""The bare core in a loop of its own: ``rtcore.Session``, sockets and a selector, without any of the adapters.

    python examples/own_loop/own_loop.py

Type a line, and it is answered; type another while it is answered, and it is an interruption. See README.md.
"""

import logging
import os
import selectors
import socket
import ssl
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import IO, Literal

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from rtcore import (
    Config,
    Connect,
    Disconnect,
    Disconnection,
    Drain,
    Effect,
    Flush,
    HeardText,
    MessageEnded,
    Notice,
    Pause,
    Play,
    Resume,
    Send,
    Session,
    SessionClosed,
)
from rtcore.config import Connection
from rtcore_adapters.audio import Speaker, VirtualSpeaker

_MUTE = logging.Logger("own loop", level=logging.CRITICAL + 1)  # websockets would log headers, which hold keys


class Wire:
    """One connection: a socket, and websockets' protocol, which does no IO. It blocks while it dials."""

    def __init__(self, dial: Connect) -> None:
        uri = parse_uri(dial.request.url)
        self.socket = socket.create_connection((uri.host, uri.port), timeout=10)
        if uri.secure:
            self.socket = ssl.create_default_context().wrap_socket(self.socket, server_hostname=uri.host)
        self.socket.setblocking(False)
        subprotocols = [Subprotocol(name) for name in dial.request.subprotocols]
        self._protocol = ClientProtocol(uri, subprotocols=subprotocols or None, max_size=None, logger=_MUTE)
        upgrade = self._protocol.connect()
        for name, value in dial.request.headers:
            upgrade.headers[name] = value
        self._protocol.send_request(upgrade)
        self._out, self._parts = bytearray(), list[bytes]()
        self.opened = False
        self.lost: Disconnection | None = None
        """Why there is nothing to expect any more."""
        self.write()

    def send(self, payload: bytes) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_text(payload)
            self.write()

    def close(self, code: int, reason: str) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            self.write()

    def read(self) -> list[bytes]:
        """The whole messages that came; afterwards ``opened`` and ``lost`` say what else there was."""
        whole: list[bytes] = []
        try:
            while data := self.socket.recv(1 << 16):
                self._protocol.receive_data(data)
            self._protocol.receive_eof()
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except OSError:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.CONT):
                self._parts.append(bytes(event.data))
                if event.fin:
                    whole.append(b"".join(self._parts))
                    self._parts = []
            elif isinstance(event, Response) and event.status_code != 101:
                self.lost = Disconnection(http_status=event.status_code)
        self.opened = self.opened or self._protocol.state is State.OPEN
        if self._protocol.state is State.CLOSED and self.lost is None:
            code, reason = self._protocol.close_code, self._protocol.close_reason or ""
            self.lost = Disconnection(close_code=code, reason=reason) if self.opened else Disconnection(error="no websocket")
        self.write()
        return whole

    @property
    def writing(self) -> bool:
        """Whether the socket has not taken everything."""
        return bool(self._out)

    def write(self) -> None:
        self._out += b"".join(self._protocol.data_to_send())
        try:
            while self._out:
                del self._out[: self.socket.send(self._out)]
        except (BlockingIOError, ssl.SSLWantWriteError):
            pass
        except OSError:
            self._out.clear()  # reading tells


class Loop:
    """A session, a speaker, and whatever connections the session asks for. Call ``turn`` until ``over``.

    ``told`` gets every notice. It is the speaker's ``SpeakerReports``, too.
    """

    def __init__(self, config: Config, speaker: Speaker, told: Callable[[Notice], object]) -> None:
        self.session = Session(config, clock=speaker.capabilities)
        self.over = False
        self._speaker, self._told = speaker, told
        self._wires: dict[int, Wire] = {}
        self._selector = selectors.DefaultSelector()
        self._inputs: deque[Callable[[float], list[Effect]]] = deque()
        self._acting = False
        speaker.open(self, now=time.monotonic())
        self.do(self.session.open)

    def watch(self, file: IO[str] | socket.socket, ready: Callable[[], object]) -> None:
        """Something of the program's own in the same loop: ``ready`` is called when it can be read."""
        self._selector.register(file, selectors.EVENT_READ, ready)

    def turn(self, wait_s: float = 1.0) -> None:
        """Wait for something to happen, no longer than ``wait_s``, and do what follows from it."""
        deadline = self.session.deadline
        due = [at for at in (self._speaker.deadline, deadline.at if deadline else None) if at is not None]
        for number, wire in self._wires.items():
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if wire.writing else 0)
            self._selector.modify(wire.socket, events, number)
        for key, events in self._selector.select(max(0.0, min([wait_s, *(at - time.monotonic() for at in due)]))):
            if not isinstance(key.data, int):
                key.data()
            elif key.data in self._wires:
                self._carry(key.data, events)
        # Inputs that are due come before the session's own time.
        self._speaker.tick(now=time.monotonic())
        if (deadline := self.session.deadline) is not None and deadline.at <= time.monotonic():
            self.do(self.session.tick)

    def do(self, command: Callable[..., list[Effect]], *args: object) -> None:
        """One input of the session: now, or behind the effects that are being carried out."""
        self._inputs.append(lambda now: command(*args, now=now))
        if not self._acting:
            self._acting = True
            try:
                while self._inputs:
                    for effect in self._inputs.popleft()(time.monotonic()):
                        self._act(effect)
            finally:
                self._acting = False

    def say(self, text: str) -> None:
        """Text of the user's. It interrupts what sounds."""
        self.do(lambda now: self.session.send_text(text, now=now).effects)

    def _act(self, effect: Effect) -> None:
        now = time.monotonic()
        match effect:
            case Play(pcm, format, generation):
                self._speaker.play(pcm, format, generation, now=now)
            case Drain(generation):
                self._speaker.drain(generation, now=now)
            case Flush(generation):
                self._speaker.flush(generation, now=now)
            case Pause(generation):
                self._speaker.pause(generation, now=now)
            case Resume(generation):
                self._speaker.resume(generation, now=now)
            case Send(connection, payload) if connection in self._wires:
                self._wires[connection].send(payload)
            case Connect(connection):
                self._dial(connection, effect)
            case Disconnect(connection, code, reason) if connection in self._wires:
                self._wires[connection].close(code, reason)
            case Notice():
                self.over = self.over or isinstance(effect, SessionClosed)
                self._told(effect)
            case _:
                pass  # for a connection that is gone

    def end(self) -> None:
        """Close the session and go on until its connections are closed in order; then nothing is left."""
        self.do(self.session.close)
        until = time.monotonic() + 2
        while self._wires and time.monotonic() < until:
            self.turn(0.1)
        for number in list(self._wires):
            self._drop(number)
        self._speaker.close(now=time.monotonic())
        self._selector.close()

    # -- connections ------------------------------------------------------------------------------------------------------------

    def _dial(self, number: int, dial: Connect) -> None:
        try:
            self._wires[number] = Wire(dial)
        except OSError as error:
            self.do(self.session.disconnected, number, Disconnection(error=str(error)))
        else:
            self._selector.register(self._wires[number].socket, selectors.EVENT_READ, number)

    def _carry(self, number: int, events: int) -> None:
        wire = self._wires[number]
        if events & selectors.EVENT_WRITE:
            wire.write()
        was_open = wire.opened
        messages = wire.read()
        if wire.opened and not was_open:
            self.do(self.session.connected, number)
        for payload in messages:
            self.do(self.session.receive, number, payload)
        if wire.lost is not None:
            self._drop(number)
            self.do(self.session.disconnected, number, wire.lost)

    def _drop(self, number: int) -> None:
        wire = self._wires.pop(number)
        self._selector.unregister(wire.socket)
        wire.socket.close()

    # -- what the speaker reports -----------------------------------------------------------------------------------------------

    def played(self, generation: int, samples: int) -> None:
        self.do(self.session.played, generation, samples)

    def flushed(self, generation: int, samples: int) -> None:
        self.do(self.session.flushed, generation, samples)

    def underrun(self, generation: int) -> None:
        self.do(self.session.underrun, generation)

    def device(self, state: Literal["lost", "ready"]) -> None:
        self.do(self.session.device, state)

    def wake(self) -> None:
        """For speakers with threads of their own; these are to be woken from ``select`` by a pair of sockets."""


def tell(notice: Notice) -> None:
    """What a terminal shows."""
    match notice:
        case HeardText(delta=words):
            print(words, end="", flush=True)
        case MessageEnded(verdict=verdict, heard_ms=heard):
            print(f"  ({heard / 1000:.1f} s heard, {verdict.value})")
        case SessionClosed(problem=problem) if problem is not None:
            print(problem.message, problem.remedy)
        case _:
            pass


def main() -> None:
    """On the terminal; the sound passes at its own speed, unheard. A sound card's speaker is one line more."""
    connection = Connection(url=os.environ.get("RTCORE_URL"), api_key=os.environ.get("OPENAI_API_KEY"))
    loop = Loop(Config(connection=connection), VirtualSpeaker(), tell)

    def typed() -> None:
        if words := os.read(sys.stdin.fileno(), 1 << 12).decode(errors="replace").strip():
            loop.say(words)
        else:
            loop.do(loop.session.close)

    loop.watch(sys.stdin, typed)
    try:
        while not loop.over:
            loop.turn()
    except KeyboardInterrupt:
        pass
    finally:
        loop.end()


if __name__ == "__main__":
    main()
