"""The strict server as a process of its own, which writes down what passes, line by line, so that it outlives a SIGKILL.

``python -m lines.server PORT SEED JOURNAL``. Each line of the journal is one JSON object: ``by`` is ``server`` or ``client``,
``line`` the connection's number, ``event`` what was said, without microphone audio. A message's first audio
brings its ``words``, which no client is told.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import anyio
import anyio.abc
import msgspec

from rtcore.sim.server import Rules, Server, ServerOptions
from rtcore.sim.voices import synthetic_voices
from rtcore_adapters.cli.serve import serve

SESSION_S = 8
"""Every third session ends itself after so long."""
OPTIONS = ServerOptions(
    rules=Rules(error_event_id="always"),
    audio_ms=(800, 5000),
    message_weights=(70, 30, 0),
    text_per_mille=0,
    incomplete_per_mille=0,
    failed_per_mille=0,
    stall_per_mille=40,
    transcription_delay_ms=(100, 800),
    transcription_failed_per_mille=0,
)


class Journal:
    """One file for all of a process's sessions, which the next process goes on with."""

    def __init__(self, path: str, first: int) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._count = first

    def opened(self, number: int, server: Server) -> None:
        """A client is there: what passes between the two is written down from now on."""
        if number % 3 == 0:
            server.options = msgspec.structs.replace(server.options, session_s=SESSION_S)
        self._count += 1
        line = _Line(self, server, self._count)
        for name in ("connect", "receive", "tick"):
            setattr(server, name, line.told(getattr(server, name)))

    def write(self, line: dict[str, Any]) -> None:
        """One write, so that a line is whole or not there."""
        os.write(self._file, msgspec.json.encode({"at": time.monotonic(), **line}) + b"\n")


class _Line:
    """One connection."""

    def __init__(self, journal: Journal, server: Server, number: int) -> None:
        self._journal, self._server, self._number = journal, server, number
        self._known: set[tuple[str, int]] = set()

    def told(self, answer: Callable[..., list[bytes]]) -> Callable[..., list[bytes]]:
        def written(*given: bytes, now: float) -> list[bytes]:
            for payload in given:
                if not payload.startswith(b'{"type":"input_audio_buffer.append"'):
                    self._write("client", payload)
            said = answer(*given, now=now)
            for payload in said:
                self._write("server", payload)
            return said

        return written

    def _write(self, by: str, payload: bytes) -> None:
        event = msgspec.json.decode(payload)
        line = {"by": by, "line": self._number, "event": event}
        if event["type"] == "response.output_audio.delta":
            place = event["item_id"], event["content_index"]
            if place not in self._known:
                self._known.add(place)
                part = self._server.items[place[0]].parts[place[1]]
                line["text"], line["words"] = part.planned_text, part.words
        self._journal.write(line)


async def main(port: int, seed: int, path: str) -> None:
    """Serve from a line of standard input on, until somebody ends the process: one that only has to listen is there at once."""
    sys.stdin.readline()
    journal = Journal(path, seed * 1000)

    class Listening(anyio.abc.TaskStatus[int]):
        def started(self, value: int | None = None) -> None:
            print("ready", flush=True)

    async with anyio.create_task_group() as tasks:

        async def leave() -> None:
            with anyio.open_signal_receiver(signal.SIGTERM) as signals:
                async for _ in signals:
                    tasks.cancel_scope.cancel()
                    return

        tasks.start_soon(leave)
        voices, listening = synthetic_voices(1), Listening()
        await serve(port=port, seed=seed, options=OPTIONS, voices=voices, opened=journal.opened, task_status=listening)


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
