"""What the programs of ``conversations.py`` share: N conversations, and how long each barge-in took to silence the speaker.

Started with a URL, the number of conversations, the seconds to measure and those to settle before. The speaker is the virtual
one, at real speed, with a report every 20 ms; the microphone a silent one, with a frame every 20 ms. Two times are taken of each
``speech_started``:

- *sent to flushed*: from the instant in its item id, at which the server wrote it, until ``Speaker.flush`` has returned, having
  reported. It holds the kernel, the loop's queue and everything else; it is the figure that counts.
- *read to flushed*: from the instant at which its bytes were handed to the engine. No public name tells that instant, so this
  program wraps ``rtcore_adapters._engine.Engine.received``, which every runtime calls with what it read.
"""

import gc
import json
import os
import sys
import threading
from time import monotonic, process_time
from typing import Any

from rtcore import Config, Notice, SessionClosed, UserSpeechStarted
from rtcore.config import Connection
from rtcore_adapters._engine import Engine
from rtcore_adapters.audio import SilentMicrophone, VirtualSpeaker

BETWEEN_S = 0.005
"""Between two connections, so that neither frames nor handshakes come all at once."""

_reading = threading.local()
_received = Engine.received


def _timed(self: Any, *arguments: Any, **options: Any) -> None:
    _reading.at = monotonic()
    _received(self, *arguments, **options)


Engine.received = _timed  # type: ignore[method-assign]


class TimedSpeaker(VirtualSpeaker):
    """Tells when its last flush was done, and when the bytes that caused it had been read."""

    def __init__(self) -> None:
        super().__init__(record=False)
        self.flushed: tuple[float, float] | None = None

    def flush(self, generation: int, *, now: float) -> None:
        """Silence, timed."""
        super().flush(generation, now=now)
        done = monotonic()
        self.flushed = done, done - _reading.at


class Live:
    """The figures of one program."""

    def __init__(self) -> None:
        self.url, self.number, self.seconds, self.settle = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
        self.config = Config(connection=Connection(url=self.url))
        self.connected = 0
        self._counting = False
        self._sent: list[float] = []
        self._read: list[float] = []
        self._unsilenced = self._ended = 0
        self._before = memory()
        self._collecting = self._collected = 0.0  # since when; the longest
        gc.callbacks.append(self._collects)
        self._began = self._cpu = 0.0

    def devices(self) -> dict[str, Any]:
        """Speaker and microphone of one conversation."""
        return {"speaker": TimedSpeaker(), "microphone": SilentMicrophone()}

    def take(self, speaker: TimedSpeaker, notice: Notice) -> None:
        """A notice of a conversation."""
        if type(notice) is UserSpeechStarted:
            sent = int(notice.item_id.removeprefix("item_")) / 1e9
            flushed, speaker.flushed = speaker.flushed, None
            if not self._counting:
                return
            if flushed is None:
                self._unsilenced += 1
                return
            self._sent.append(flushed[0] - sent)
            self._read.append(flushed[1])
        elif type(notice) is SessionClosed:
            self._ended += 1

    def _collects(self, phase: str, about: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = monotonic()
        elif self._counting:
            self._collected = max(self._collected, monotonic() - self._collecting)

    def begin(self) -> None:
        """What counts begins."""
        gc.collect()
        self._counting = True
        print("begin", flush=True)
        self._began, self._cpu = monotonic(), process_time()

    def end(self) -> None:
        """Tell, and go: how conversations end is not measured here."""
        cpu, spent = process_time() - self._cpu, monotonic() - self._began
        after = memory()
        found = {
            "sent_ms": [each * 1000 for each in self._sent],
            "read_ms": [each * 1000 for each in self._read],
            "unsilenced": self._unsilenced,
            "ended": self._ended,
            "collected_ms": self._collected * 1000,
            "core": cpu / spent,
            "spent": spent,
            "cpu_ms": cpu * 1000 / (spent * self.number),
            "kib": None if after is None or self._before is None else (after - self._before) / self.number,
        }
        print("end", flush=True)
        print(json.dumps(found), flush=True)
        sys.stdin.readline()  # the server is asked first
        os._exit(0)


def memory() -> float | None:
    """Resident memory in KiB, where the system tells it so."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024
    except OSError:
        return None
