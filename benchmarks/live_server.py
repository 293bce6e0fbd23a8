"""The server of ``conversations.py``: many live conversations at their own pace, in one process, rendered before they begin.

A conversation goes round for ever: the model speaks for four seconds, which are sent in less than one, deltas of 200 ms with a
word each; somewhere in it the person speaks up, and the server cuts the response, if it is still generating, as turn detection
does; the person stops, their turn is committed, and the model answers. The client's microphone is counted, its truncates and
deletes are answered; whatever else it sends is counted as unexpected. Each ``speech_started`` carries the instant at which it was
written, in nanoseconds of the machine's monotonic clock, in its item id.

It prints its port, then takes ``begin`` and ``end`` on its standard input and answers ``end`` with a line of JSON about what lay
between: its own share of a core and how late it was itself, so that a run in which the server was the limit can be told.
"""

import heapq
import json
import os
import selectors
import socket
import sys
import time
from collections.abc import Callable
from itertools import count
from random import Random

from scripted import PCM_BYTES_PER_MS, Turn, accepted, frame, message, session_event

DELTA_MS, DELTAS = 200, 20
BETWEEN_S = 0.04
"""Between two pairs of deltas: five times as fast as they sound."""
BARGE_IN_S = (0.4, 3.0)
"""When in a response the person speaks up: among its deltas, or when only its sound is left."""
SPEECH_S, THINK_S = 0.6, 0.3
"""How long the person speaks; how long the model takes to answer."""
CYCLE_S = sum(BARGE_IN_S) / 2 + SPEECH_S + THINK_S

_HERE, _BEFORE = "@" * 21, "#" * 21  # the number of a turn and of the item before it, in what was rendered


def rendered() -> tuple[bytes, list[bytes], bytes, bytes]:
    """A response in frames: its opening, its pairs, its end, and its end where it was cut."""
    noise = Random(1)
    turn = Turn(_HERE, f"item_{_BEFORE}", [noise.randbytes(DELTA_MS * PCM_BYTES_PER_MS) for _ in range(DELTAS)])
    pairs = [frame(audio) + frame(text) for audio, text in turn.pairs]
    opening, closing, cancelled = (b"".join(map(frame, part)) for part in (turn.opening(), turn.closing(), turn.cancelled()))
    return opening, pairs, closing, cancelled


class Server:
    """All conversations, one loop."""

    def __init__(self) -> None:
        self.opening, self.pairs, self.closing, self.cancelled = rendered()
        self.selector = selectors.DefaultSelector()
        self.lines: list[Line] = []
        self.late: list[float] = []
        self.barge_ins = self.unexpected = self.lost = 0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self._listener.setblocking(False)
        self.selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self.selector.register(sys.stdin, selectors.EVENT_READ, self._asked)
        self._began = self._cpu = 0.0

    def run(self) -> None:
        """Serve for ever."""
        print(f"port {self._listener.getsockname()[1]}", flush=True)
        due = self._due
        while True:
            wait = max(0.0, due[0][0] - time.monotonic()) if due else None
            for key, _ in self.selector.select(wait):
                key.data()
            while due and due[0][0] <= (now := time.monotonic()):
                at, _, work = heapq.heappop(due)
                self.late.append(now - at)
                work()

    def at(self, when: float, work: Callable[[], None]) -> None:
        """Do it then."""
        heapq.heappush(self._due, (when, next(self._order), work))

    def _accept(self) -> None:
        try:
            opened, _ = self._listener.accept()
        except BlockingIOError:
            return
        self.lines.append(Line(self, opened, len(self.lines)))

    def _asked(self) -> None:
        word = sys.stdin.readline().strip()
        now, cpu = time.monotonic(), time.process_time()
        if word == "begin":
            self._began, self._cpu = now, cpu
            self.late, self.barge_ins, self.unexpected, self.lost = [], 0, 0, 0
            for line in self.lines:
                line.heard = 0.0
        elif word == "end":
            late = sorted(self.late) or [0.0]
            spent = now - self._began
            found = {
                "core": (cpu - self._cpu) / spent,
                "late_p99_ms": late[int(len(late) * 0.99)] * 1000,
                "barge_ins": self.barge_ins,
                "unexpected": self.unexpected,
                "lost": self.lost,
                "microphone": min((line.heard / spent for line in self.lines), default=0.0),
            }
            print(json.dumps(found), flush=True)
        else:
            os._exit(0)


class Line:
    """One conversation."""

    def __init__(self, server: Server, opened: socket.socket, number: int) -> None:
        self.heard = 0.0  # seconds of the microphone
        self._around = 0
        self._server, self._socket, self._number = server, opened, number
        self._random = Random(number)
        self._in, self._out = bytearray(), bytearray()
        self._open = self._started = self._gone = False
        self._turns = 0
        self._here, self._before = b"", b"0" * 21
        self._pair = DELTAS  # the next to send; all were sent
        self._audio_s = 0.0
        opened.setblocking(False)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server.selector.register(opened, selectors.EVENT_READ, self._ready)

    # -- what the server says -------------------------------------------------------------------------------------------------

    def _answer(self) -> None:
        """A response begins."""
        if self._gone:
            return
        self._turns += 1
        self._here = b"%06d%015d" % (self._number, self._turns)
        self._pair = 0
        self._tell(self._server.opening)
        now = time.monotonic()
        self._server.at(now, self._generate)
        self._server.at(now + self._random.uniform(*BARGE_IN_S), self._barge_in)

    def _generate(self) -> None:
        if self._pair >= DELTAS or self._gone:
            return  # it was cut
        self._tell(self._server.pairs[self._pair])
        self._pair += 1
        if self._pair < DELTAS:
            self._server.at(time.monotonic() + BETWEEN_S, self._generate)
        else:
            self._tell(self._server.closing)

    def _barge_in(self) -> None:
        """The person speaks up."""
        if self._gone:
            return
        self._server.barge_ins += 1
        cut, self._pair = self._pair < DELTAS, DELTAS
        now = time.monotonic_ns()
        item = f"item_{now:021d}"
        self._send(message("input_audio_buffer.speech_started", audio_start_ms=self._audio_ms(), item_id=item))
        if cut:
            self._tell(self._server.cancelled)
        self._server.at(now / 1e9 + SPEECH_S, lambda: self._committed(item))

    def _committed(self, item: str) -> None:
        """The person has spoken; the model thinks."""
        if self._gone:
            return
        before = f"item_{self._here.decode()}"
        body = {"id": item, "type": "message", "status": "completed", "role": "user"}
        body["content"] = [{"type": "input_audio", "transcript": None}]
        self._send(message("input_audio_buffer.speech_stopped", audio_end_ms=self._audio_ms(), item_id=item))
        self._send(message("input_audio_buffer.committed", previous_item_id=before, item_id=item))
        self._send(message("conversation.item.added", previous_item_id=before, item=body))
        self._send(message("conversation.item.done", previous_item_id=before, item=body))
        self._before = item.removeprefix("item_").encode()
        self._server.at(time.monotonic() + THINK_S, self._answer)

    def _audio_ms(self) -> int:
        """What was sent of the microphone since the session began, as servers count it."""
        return int(self._audio_s * 1000)

    def _tell(self, frames: bytes) -> None:
        """Something rendered, as part of the present response."""
        self._write(frames.replace(_HERE.encode(), self._here).replace(_BEFORE.encode(), self._before))

    def _send(self, payload: bytes) -> None:
        self._write(frame(payload))

    # -- what the client says -------------------------------------------------------------------------------------------------

    def _hear(self, payload: bytes) -> None:
        event = json.loads(payload)
        kind, item = event["type"], event.get("item_id")
        if kind == "session.update":
            self._send(session_event("session.updated"))
            if not self._started:
                self._started = True
                self._server.at(time.monotonic() + self._random.uniform(0, CYCLE_S), self._answer)
        elif kind == "conversation.item.truncate":
            where = {"content_index": event["content_index"], "audio_end_ms": event["audio_end_ms"]}
            self._send(message("conversation.item.truncated", item_id=item, **where))
        elif kind == "conversation.item.delete":
            self._send(message("conversation.item.deleted", item_id=item))
        else:
            self._server.unexpected += 1

    def _frames(self) -> None:
        """What was read, frame by frame; of the microphone's only the head is looked at."""
        data = self._in
        at, end = 0, len(data)
        while end - at >= 6:
            size, body = data[at + 1] & 0x7F, at + 2
            if size == 126:
                size, body = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, body = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if body + 4 + size > end:
                break
            mask = data[body : body + 4]
            head = _unmasked(mask, data[body + 4 : body + 4 + min(size, 64)])
            if b'"input_audio_buffer.append"' in head:
                if not self._around:  # what is not audio in such a message
                    whole = _unmasked(mask, data[body + 4 : body + 4 + size])
                    self._around = size - len(json.loads(whole)["audio"])
                seconds = (size - self._around) * 3 / 4 / PCM_BYTES_PER_MS / 1000
                self.heard += seconds
                self._audio_s += seconds
            elif data[at] & 0x0F == 1:
                self._hear(_unmasked(mask, data[body + 4 : body + 4 + size]))
            elif data[at] & 0x0F == 9:
                self._write(frame(_unmasked(mask, data[body + 4 : body + 4 + size]), opcode=10))
            at = body + 4 + size
        del data[:at]

    # -- the socket -----------------------------------------------------------------------------------------------------------

    def _ready(self) -> None:
        try:
            data = self._socket.recv(65_536)
        except BlockingIOError:
            data = None
        except ConnectionError:
            data = b""
        if data == b"":
            self._lose()
        elif data:
            self._in += data
            if self._open:
                self._frames()
            elif self._in.endswith(b"\r\n\r\n"):
                self._write(accepted(bytes(self._in)))
                self._in.clear()
                self._open = True
                self._send(session_event("session.created"))
        if self._out and not self._gone:
            self._write(b"")

    def _write(self, data: bytes) -> None:
        if self._gone:
            return
        if self._out:
            self._out += data
            data = bytes(self._out)
            self._out.clear()
        try:
            sent = self._socket.send(data) if data else 0
        except BlockingIOError:
            sent = 0
        except ConnectionError:
            self._lose()
            return
        if sent < len(data):
            self._out += data[sent:]
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._out else 0)
        if self._server.selector.get_key(self._socket).events != events:
            self._server.selector.modify(self._socket, events, self._ready)

    def _lose(self) -> None:
        if not self._gone:
            self._gone = True
            self._server.lost += 1
            self._server.selector.unregister(self._socket)
            self._socket.close()


def _unmasked(mask: bytes, body: bytes) -> bytes:
    size = len(body)
    whole = (bytes(mask) * (size // 4 + 1))[:size]
    return (int.from_bytes(body, "big") ^ int.from_bytes(whole, "big")).to_bytes(size, "big")


if __name__ == "__main__":
    Server().run()
