"""Remote players for ``RemoteSpeaker``: a plain one in Python, and the browser's own code under Node."""

import asyncio
import base64
import json
import shutil
import struct
import subprocess
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from speaker_contract import Rig

from rtcore import PCM16_24K
from rtcore_adapters.audio import RemoteSpeaker

BLOCK = 256
"""Frames that a remote player renders at once."""
BROWSER = Path(__file__).parents[2] / "examples" / "browser" / "page" / "player.js"
_HARNESS = Path(__file__).with_name("player.mjs")


class RemotePlayer(Protocol):
    """Messages in, sound out; both give what it has to say."""

    def take(self, message: str | bytes) -> list[str]: ...

    def render(self, frames: int) -> tuple[bytes, list[str]]: ...


class PlainPlayer:
    """PCM16 at its own rate. It renders, counts what it rendered, and tells with every report how much of that is not audible."""

    def __init__(self, rate: int, latency_s: float) -> None:
        self._rate, self._latency = rate, round(latency_s * rate)
        self._frame = 0
        self._reset(50)

    def _reset(self, report_ms: int) -> None:
        self._every = self._rate * report_ms // 1000
        self._queue: deque[tuple[int, bytes]] = deque()
        self._out: dict[int, int] = {}
        self._last: tuple[int, int] = (0, -(10**9))  # generation and frame of the last sound
        self._told: tuple[int, int, float] | None = None
        self._flushes: list[tuple[int, int, int]] = []
        self._refused = self._held = self._drained = 0
        self._dry = True
        self._report_at = self._frame + self._every

    def take(self, message: str | bytes) -> list[str]:
        if isinstance(message, bytes):
            kind, encoding, _, generation, rate = struct.unpack_from("<BBHII", message)
            assert (kind, encoding, rate) == (1, 0, self._rate)
            if generation > self._refused:
                self._queue.append((generation, message[12:]))
                self._dry = False
                self._drained = min(self._drained, generation - 1)
            return []
        told = json.loads(message)
        generation = told.get("generation", 0)
        match told["type"]:
            case "begin":
                self._reset(told["report_ms"])
            case "drain":
                self._drained = max(self._drained, generation)
            case "flush":
                self._refused = max(self._refused, generation)
                self._queue = deque(entry for entry in self._queue if entry[0] > generation)
                self._held = 0 if self._held <= generation else self._held
                self._flushes.append((generation, self._out.get(generation, 0), self._last[1] + self._latency))
            case "pause":
                self._held = generation
            case "resume":
                self._held = 0
            case other:
                assert other == "end"
                self._reset(50)
        return self._reports()

    def render(self, frames: int) -> tuple[bytes, list[str]]:
        signal = b""
        while self._queue and len(signal) < 2 * frames and self._queue[0][0] > self._held:
            generation, pcm = self._queue.popleft()
            room = 2 * frames - len(signal)
            if pcm[room:]:
                self._queue.appendleft((generation, pcm[room:]))
            signal += pcm[:room]
            self._out[generation] = self._out.get(generation, 0) + len(pcm[:room]) // 2
            self._last = (generation, self._frame + len(signal) // 2)
        self._frame += frames
        return signal.ljust(2 * frames, b"\0"), self._reports()

    def _reports(self) -> list[str]:
        told: list[dict[str, Any]] = []
        while self._flushes and self._flushes[0][2] <= self._frame:
            generation, samples, _ = self._flushes.pop(0)
            told.append({"type": "flushed", "generation": generation, "samples": samples})
        generation, at = self._last
        waits = max(0, at + self._latency - self._frame)
        position = (generation, self._out.get(generation, 0), 1000 * waits / self._rate)
        if self._frame >= self._report_at and generation > self._refused and position != self._told:
            self._report_at = self._frame + self._every
            self._told = position
            told.append({"type": "played", "generation": generation, "samples": position[1], "delay_ms": position[2]})
        if not (self._queue or self._dry or waits):
            self._dry = True
            if generation > max(self._drained, self._refused):
                told.append({"type": "underrun", "generation": generation})
        return [json.dumps(each) for each in told]


class Node:
    """A Node process with the browser's player in it, for one player after the other."""

    def __init__(self, node: str) -> None:
        self._process = subprocess.Popen([node, _HARNESS, BROWSER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, **question: object) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate(timeout=10)


@contextmanager
def node_process() -> Iterator[Node]:
    """Skips the test where there is no Node."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("the browser's player is tested under Node, which is not installed")
    node = Node(found)
    try:
        yield node
    finally:
        node.close()


class BrowserPlayer:
    """``examples/browser/page/player.js``."""

    def __init__(self, node: Node, rate: int, latency_s: float) -> None:
        self._node = node
        node.ask(rate=rate, latency=latency_s)

    def take(self, message: str | bytes) -> list[str]:
        if isinstance(message, str):
            answer = self._node.ask(text=message)
        else:
            answer = self._node.ask(audio=base64.b64encode(message).decode())
        assert not answer["error"], answer["error"]
        return list(answer["reports"])

    def render(self, frames: int) -> tuple[bytes, list[str]]:
        answer = self._node.ask(render=frames)
        assert not answer["error"], answer["error"]
        return base64.b64decode(answer["signal"]), list(answer["reports"])


class RemoteRig(Rig):
    """A ``RemoteSpeaker`` with its player, ``trip_s`` away in each direction; ``delay_s`` is the player's output latency."""

    format = PCM16_24K

    def __init__(self, player: Callable[[int, float], RemotePlayer], *, trip_s: float, delay_s: float) -> None:
        super().__init__()
        self._player = player(self.format.rate, delay_s)
        self._trip_s, self._delay_s = trip_s, delay_s
        self.latency_s = trip_s + delay_s + BLOCK / self.format.rate
        self._out: deque[tuple[float, str | bytes]] = deque()
        self._back: deque[tuple[float, str]] = deque()
        self._signal = b""
        self._blocks = 0
        self.speaker: RemoteSpeaker = RemoteSpeaker(lambda message: self._out.append((self.now + trip_s, message)))

    def audible(self) -> bytes:
        return self._signal[: 2 * max(0, int((self.now - self._delay_s) * self.format.rate + 1e-6))]

    @property
    def _block_at(self) -> float:
        return (self._blocks + 1) * BLOCK / self.format.rate

    @property
    def far_at(self) -> float | None:
        return min([self._block_at, *(queue[0][0] for queue in (self._out, self._back) if queue)])

    def far(self) -> None:
        while (at := self.far_at) is not None and at <= self.now:
            if self._out and self._out[0][0] <= at:
                self._answers(self._player.take(self._out.popleft()[1]), at)
            elif self._back and self._back[0][0] <= at:
                self.speaker.received(self._back.popleft()[1])
            else:
                signal, reports = self._player.render(BLOCK)
                self._signal += signal
                self._blocks += 1
                self._answers(reports, at)

    def _answers(self, reports: list[str], at: float) -> None:
        self._back += [(at + self._trip_s, report) for report in reports]


class LivePlayer:
    """A ``RemoteSpeaker`` and its player on an event loop's clock: the player renders, and messages take ``trip_s``."""

    def __init__(self, *, trip_s: float = 0.05, delay_s: float = 0.03) -> None:
        self.signal = b""
        self._trip_s, self._delay_s = trip_s, delay_s
        self._loop = asyncio.get_running_loop()
        self._player = PlainPlayer(PCM16_24K.rate, delay_s)
        self._timer: asyncio.TimerHandle | None = None
        self.speaker = RemoteSpeaker(self._send, round_trip_ms=200)
        self.connect()

    def connect(self) -> None:
        """A player is there, and empty."""
        self._player = PlainPlayer(PCM16_24K.rate, self._delay_s)
        self._render()

    def disconnect(self) -> None:
        """It is gone, with all that it held."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def _send(self, message: str | bytes) -> None:
        self._loop.call_later(self._trip_s, self._arrive, message)

    def _arrive(self, message: str | bytes) -> None:
        if self._timer is not None:
            self._answer(self._player.take(message))

    def _render(self) -> None:
        self._timer = self._loop.call_later(BLOCK / PCM16_24K.rate, self._render)
        signal, reports = self._player.render(BLOCK)
        self.signal += signal
        self._answer(reports)

    def _answer(self, reports: list[str]) -> None:
        for report in reports:
            self._loop.call_later(self._trip_s, self.speaker.received, report)
