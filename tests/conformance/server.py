"""A server on a stage: it shakes hands, acknowledges the session, and then does what a test wants of it, or nothing any more."""

import socket
from collections.abc import Callable
from contextlib import suppress
from heapq import heappop, heappush
from typing import Any

import msgspec

from conformance.far import FarEnd


def json(event: dict[str, Any]) -> bytes:
    """A server event."""
    return msgspec.json.encode(event)


class ScriptedServer:
    """Each connection is a ``FarEnd``; ``line`` is the latest."""

    def __init__(self, *, accepts: bool = True, acknowledges: bool = True, refuses_to_dial: bool = False) -> None:
        self.lines: list[FarEnd] = []
        self.events: list[dict[str, Any]] = []
        """What the clients have sent, microphone audio aside."""
        self.tcp = False
        """Whether its socket pairs are of the internet."""
        self.now = 0.0
        self.answers: dict[str, Callable[[dict[str, Any]], None]] = {}
        """What to do when a client event of this type comes."""
        self._accepts, self._acknowledges, self._refuses = accepts, acknowledges, refuses_to_dial
        self._agenda: list[tuple[float, int, Callable[[], object]]] = []
        self._plan: list[tuple[float, Callable[[], object]]] = []
        self._accepted = 0
        self._listener: socket.socket | None = None

    @property
    def line(self) -> FarEnd:
        """The connection."""
        return self.lines[-1]

    def dial(self, host: str, port: int) -> socket.socket:
        """The near end of a new connection."""
        if self._refuses:
            raise ConnectionRefusedError
        self.lines.append(FarEnd(tcp=self.tcp))
        return self.line.near

    async def dial_soon(self, host: str, port: int) -> socket.socket:
        """The same, for a runtime that awaits it."""
        return self.dial(host, port)

    def listen(self) -> int:
        """Take connections of other processes, too; gives the port."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        port: int = self._listener.getsockname()[1]
        return port

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        """Do something so long after the session was acknowledged."""
        self._plan.append((seconds, act))

    def at(self, at: float, act: Callable[[], object]) -> None:
        """Do something then."""
        heappush(self._agenda, (at, len(self._agenda) + 1_000_000 * len(self.events), act))

    def close(self) -> None:
        """Let go of everything."""
        for line in self.lines:
            line.hang_up()
        if self._listener is not None:
            self._listener.close()

    # -- as a stage -----------------------------------------------------------------------------------------------------------

    @property
    def next_at(self) -> float | None:
        if any(line.writing and not line.ended for line in self.lines):
            return 0.0
        return self._agenda[0][0] if self._agenda else None

    def step(self, now: float) -> None:
        self.now = now
        if self._agenda and self._agenda[0][0] <= now:
            heappop(self._agenda)[2]()
        else:
            self.carry(now)

    def carry(self, now: float) -> bool:
        self.now = now
        moved = False
        if self._listener is not None:
            with suppress(BlockingIOError):
                self.lines.append(FarEnd(self._listener.accept()[0]))
        for line in self.lines:
            moved |= line.carry()
        for line in self.lines[self._accepted :]:
            if line.request is not None and self._accepts and not line.ended:
                self._accepted += 1
                line.accept()
                line.send(json({"type": "session.created", "event_id": "e0", "session": {"id": "s1", "type": "realtime"}}))
        for line in self.lines:
            for payload in line.messages:
                self._hear(msgspec.json.decode(payload), line)
            line.messages.clear()
        return moved

    def _hear(self, event: dict[str, Any], line: FarEnd) -> None:
        if event["type"] == "input_audio_buffer.append":
            return
        self.events.append(event)
        if event["type"] == "session.update" and self._acknowledges:
            line.send(json({"type": "session.updated", "event_id": "e1", "session": {"id": "s1", **event["session"]}}))
            for seconds, act in self._plan:
                self.at(self.now + seconds, act)
            self._plan = []
        if (answer := self.answers.get(event["type"])) is not None:
            answer(event)

    def kill(self) -> None:
        """It dies in the middle of a frame: of a message of 256 bytes, 100 have been sent."""
        self.line.raw(b"\x81\x7e\x01\x00" + bytes(100))
        self.line.hang_up()

    # -- what it says ---------------------------------------------------------------------------------------------------------

    def speak(self, ms: int, item: str = "m1", response: str = "r1") -> None:
        """A response begins to sound, and does not end."""
        message = {"id": item, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        part = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        self.line.send(json({"type": "response.created", "response": {"id": response, "status": "in_progress", "output": []}}))
        added = {"response_id": response, "output_index": 0, "item": message}
        self.line.send(json({"type": "response.output_item.added", **added}))
        self.line.send(json({"type": "conversation.item.added", "previous_item_id": None, "item": message}))
        self.line.send(json({"type": "response.output_audio.delta", **part, "delta": bytes(48 * ms)}))

    def add_item(self, item: str) -> None:
        """Something that comes out as one notice."""
        message = {"id": item, "type": "message", "role": "user", "status": "completed", "content": []}
        self.line.send(json({"type": "conversation.item.added", "previous_item_id": None, "item": message}))

    def call(self, name: str, call_id: str = "c1") -> None:
        """A response that calls a function."""
        item = {
            "id": f"i{call_id}",
            "type": "function_call",
            "name": name,
            "call_id": call_id,
            "arguments": "{}",
            "status": "completed",
        }
        began = {**item, "status": "in_progress", "arguments": ""}
        self.line.send(
            json({"type": "response.created", "response": {"id": f"r{call_id}", "status": "in_progress", "output": []}})
        )
        where = {"response_id": f"r{call_id}", "output_index": 0}
        self.line.send(json({"type": "response.output_item.added", **where, "item": began}))
        self.line.send(json({"type": "conversation.item.added", "previous_item_id": None, "item": began}))
        done = {"item_id": item["id"], "call_id": call_id, "name": name, "arguments": "{}"}
        self.line.send(json({"type": "response.function_call_arguments.done", **where, **done}))
        self.line.send(json({"type": "response.output_item.done", **where, "item": item}))
        self.line.send(
            json({"type": "response.done", "response": {"id": f"r{call_id}", "status": "completed", "output": [item]}})
        )
