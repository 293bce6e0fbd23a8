"""What a client under test has around it: a person with a microphone, and somebody who takes down what it says.

Standard library only, because it runs beside every client. One JSON object a line: ``{"speak": ms}`` comes in and is spoken into
the microphone; out go ``{"ready": true}``, ``{"got": type}`` for every server event that the client's own parser took,
``{"heard": samples}``, ``{"called": arguments}`` and ``{"problem": text}``.

With ``--parse`` a client's program talks to nobody: it reads events, as lines ``{"event": ...}``, with its library's parser, and
writes ``{"type": type, "problem": text}`` for each that the parser does not take.
"""

import asyncio
import json
import logging
import math
import os
import struct
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

RATE = 24_000
FRAME = RATE // 50
URL = os.environ.get("RTCORE_URL", "")
KEY = "sk-not-a-key-0123456789"
WEATHER = "18 degrees and dry"

_TONE = struct.pack(f"<{RATE}h", *(round(12_000 * math.sin(2 * math.pi * 220 * at / RATE)) for at in range(RATE)))
_turn = threading.Lock()
_heard = 0


def tell(**what: object) -> None:
    """One line for the test."""
    with _turn:
        print(json.dumps(what, default=str), flush=True)


def heard(pcm: bytes, tag: object = None) -> None:
    """So much sounded just now. What comes may end in half a sample, which counts with its other half."""
    global _heard
    before, _heard = _heard, _heard + len(pcm)
    tell(heard=_heard // 2 - before // 2)


class Problems(logging.Handler):
    """Whatever the client's library logs as a warning or worse is told."""

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it, with the traceback's last line."""
        cause = f" ({record.exc_info[1]!r})" if record.exc_info and record.exc_info[1] else ""
        tell(problem=f"{record.levelname.lower()} {record.name}: {record.getMessage()}{cause}")


def watch(*names: str) -> None:
    """Tell the problems of these loggers."""
    for name in names:
        logging.getLogger(name).addHandler(Problems(logging.WARNING))


class Microphone:
    """Frames of 20 ms in real time: a tone where the person speaks, silence elsewhere."""

    def __init__(self) -> None:
        self._speaking = 0
        self._at = 0

    def speak(self, ms: int) -> None:
        """The person begins to speak."""
        self._speaking = ms * RATE // 1000

    def frame(self) -> bytes:
        """The next 20 ms."""
        if self._speaking <= 0:
            return bytes(2 * FRAME)
        self._speaking -= FRAME
        self._at = (self._at + FRAME) % RATE
        return _TONE[2 * self._at : 2 * (self._at + FRAME)].ljust(2 * FRAME, b"\0")

    async def run(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Send, until cancelled."""
        began, frames = time.monotonic(), 0
        while True:
            frames += 1
            await asyncio.sleep(max(0.0, began + frames * 0.02 - time.monotonic()))
            await send(self.frame())


async def obey(microphone: Microphone) -> None:
    """Do what the test says, until it says no more."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=read, daemon=True).start()
    while line := await lines.get():
        microphone.speak(json.loads(line)["speak"])


async def perform(*parts: Awaitable[None], microphone: Microphone) -> None:
    """Run the client's parts until the test is over, or one of them ends or fails."""
    tasks = [asyncio.ensure_future(part) for part in (obey(microphone), *parts)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if task.exception() is not None:
                tell(problem=repr(task.exception()))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def parse_lines(parse: Callable[[dict[str, Any]], object]) -> None:
    """What the library's parser does not take of standard input."""
    for line in sys.stdin:
        event = json.loads(line)["event"]
        try:
            parse(event)
        except Exception as wrong:
            tell(type=event["type"], problem=str(wrong).partition("\n\n")[0])


def start(main: Callable[[], Coroutine[Any, Any, None]], parse: Callable[[dict[str, Any]], object]) -> None:
    """Talk, or parse, as the arguments say."""
    if "--parse" in sys.argv:
        parse_lines(parse)
    else:
        asyncio.run(main())
