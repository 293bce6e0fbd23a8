"""A program on one of the runtimes that talks for some minutes, and writes down what it saw.

``python -m lines.client RUNTIME URL SECONDS SEED DIRECTORY`` leaves there, by the runtime's name: ``.jsonl`` (requests, notices,
turns, memory; at the end the history), ``.pcm`` (what was audible, silences included) and ``.spans.jsonl`` (where in it which
generation sounded).
"""

import asyncio
import random
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import trio

from rtcore import Config, HeardText, MessageEnded, MessageStarted, Notice, Reconnected, Reconnecting, Session
from rtcore.config import Connection
from rtcore.sim.footprint import footprint
from rtcore.sim.scenario import TOOLS
from rtcore.sim.voices import synthetic_voices
from rtcore_adapters import asyncio as on_asyncio
from rtcore_adapters import threads as on_threads
from rtcore_adapters import trio as on_trio
from rtcore_adapters.asyncio import LinkTimes
from rtcore_adapters.audio import SilentMicrophone, VirtualSpeaker

TIMES = LinkTimes(open_s=2.0, ping_s=1.5, pong_s=1.5, close_s=0.5)
"""A stopped server is noticed after three seconds, so that it comes up often in minutes."""
LIMIT_S = 10.0
"""A session renews itself at this age."""
PATIENCE_S = 15.0
"""A turn that nobody answers for so long, counted while somebody is there, is given up."""
LAST_S = 20.0
"""So long, after its time, a call may go on to say its last words."""


def config(name: str, url: str) -> Config:
    """What all of them ask for; the instructions name the client to the judge."""
    input_ = {"turn_detection": {"type": "server_vad"}, "transcription": {"model": "whisper-1"}}
    return Config.model_validate(
        {
            "connection": Connection(url=url),
            "session": {"audio": {"input": input_}, "tools": list(TOOLS), "instructions": name},
            "reconnect": {"attempts": 1000, "cap_ms": 400, "limit_s": LIMIT_S, "grace_s": 5},
        }
    )


class Book:
    """What this process saw, written as it happens."""

    def __init__(self, name: str, directory: Path) -> None:
        self.file = (directory / f"{name}.jsonl").open("wb")
        self._sound = (directory / f"{name}.pcm").open("wb")
        self._spans = (directory / f"{name}.spans.jsonl").open("wb")
        self.speaker = VirtualSpeaker()

    def write(self, kind: str, **fields: Any) -> None:
        """One line."""
        line = {"at": time.monotonic(), "kind": kind, **fields}
        self.file.write(msgspec.json.encode(line) + b"\n")

    def keep(self, *, all: bool = False) -> None:
        """Put into files what was audible, so that nothing but the conversation grows here."""
        speaker = self.speaker
        self._sound.write(speaker.signal)
        speaker.signal.clear()
        spans = speaker.spans if all else speaker.spans[:-1]  # the last one may still go on
        for span in spans:
            self._spans.write(msgspec.json.encode((span.position, span.generation, span.samples)) + b"\n")
        del speaker.spans[: len(spans)]

    def close(self) -> None:
        """All of it is there."""
        self.keep(all=True)
        for file in (self.file, self._sound, self._spans):
            file.close()


class Person(SilentMicrophone):
    """Somebody who takes turns, waits for an answer to each, and now and then talks over it: a stretch of noise."""

    def __init__(self, seed: int, book: Book) -> None:
        super().__init__()
        self.session: Session | None = None
        self.silent = False
        """No more turns."""
        self.waits: float | None = None
        """Since when an answer is waited for, in seconds of the microphone."""
        self.connected = True
        """While nobody is there, nobody is waited for."""
        self._random = random.Random(seed)
        self._book = book
        self._voice = synthetic_voices(1)[0].pcm
        self._mouth = self._thoughts = 0
        self._began = self._until = self._waited = self._last = 0.0
        self._thinks = 2.0

    @property
    def _now(self) -> float:
        # Where the process was kept from running for over a second, the microphone left that out.
        return (self.position + self.skipped) / self.format.rate

    def answered(self, at: float) -> None:
        """A message began to sound, by the runtime's clock."""
        if self.waits is not None and at - self._opened > self.waits:
            self.waits = None

    def _next(self, samples: int) -> bytes:
        now = self._now
        sounds = self._book.speaker.deadline is not None
        self._waited += now - self._last if self.connected else 0.0
        self._last = now
        if now < self._until:
            size = 2 * samples
            self._mouth = 0 if self._mouth + size > len(self._voice) else self._mouth
            frame, self._mouth = self._voice[self._mouth : self._mouth + size], self._mouth + size
            if self._until <= now + samples / self.format.rate:
                self.waits, self._waited = now, 0.0
                self._book.write("turn", began=self._began, ended=now)
            return frame
        if now >= self._thinks:
            self._thinks = now + 0.2
            self._look()
            self._think(now, sounds)
        return super()._next(samples)

    def _think(self, now: float, sounds: bool) -> None:
        """Is it this person's turn?"""
        if self.silent or now < self._until + 1.2:
            return
        if self.waits is not None:
            if self._waited < PATIENCE_S:
                return
            self._book.write("gave up", ended=self.waits)
            self.waits = None
        if self._random.random() < (0.08 if sounds else 0.35):
            self._began, self._until = now, now + self._random.uniform(0.6, 2.2)

    def _look(self) -> None:
        """What the process holds."""
        self._book.keep()
        self._thoughts += 1
        if self._thoughts % 25 == 0 and self.session is not None:
            found = footprint(self.session._core, without=("asked", "session", "history._items", "history._order"))
            traced = tracemalloc.get_traced_memory()[0]
            entries = sum(found.entries.values())
            self._book.write("memory", kib=traced // 1024, entries=entries, audio=found.audio_bytes)


class Program:
    """What the runtimes' programs have in common."""

    def __init__(self, name: str, seconds: float, seed: int, directory: Path) -> None:
        self.book = Book(name, directory)
        self.person = Person(seed, self.book)
        self._seconds, self._ends = seconds, float("inf")
        self._count = 0
        self._over = False

    def take(self, notice: Notice, conversation: Any) -> None:
        """One notice: written down, and now and then answered by a command."""
        book, person = self.book, self.person
        if person.session is None:
            person.session = conversation.session
            self._ends = time.monotonic() + self._seconds
            print("ready", flush=True)
        if isinstance(notice, HeardText):
            return
        # ``at`` is the moment in which it is taken, and not the notice's own time.
        about = {f"its_{name}" if name == "at" else name: value for name, value in plain(notice).items()}
        book.write(type(notice).__name__, **about)
        if isinstance(notice, Reconnecting | Reconnected):
            person.connected = isinstance(notice, Reconnected)
        elif isinstance(notice, MessageStarted):
            person.answered(notice.at)
        elif isinstance(notice, MessageEnded) and not self._over:
            self._count += 1
            if self._count % 5 == 0:
                self._asked("send_text", conversation.send_text("And what else?"))
            if self._count % 7 == 0:
                self._asked("update", conversation.update({"max_output_tokens": 3000 + self._count}))
        left = self._ends - time.monotonic()
        person.silent = left < 0
        if not self._over and left < 0 and (left < -LAST_S or not (person.waits or conversation.speaking)):
            self._over = True
            book.write("history", items=plain(conversation.history))
            conversation.close()

    def _asked(self, what: str, request: Any) -> None:
        self.book.write("request", number=request.number, what=what)

    @property
    def options(self) -> dict[str, Any]:
        """For ``connect``."""
        return {"speaker": self.book.speaker, "microphone": self.person, "times": TIMES, "proxy": None}


def plain(value: Any) -> Any:
    """As it can be written down."""
    return msgspec.to_builtins(value, enc_hook=repr)


def blocking(**given: object) -> str:
    """A tool that takes its time."""
    time.sleep(0.3)
    return "It is so."


async def on_a_task(**given: object) -> str:
    """The same for a loop."""
    await asyncio.sleep(0.3)
    return "It is so."


async def in_a_nursery(**given: object) -> str:
    """The same for trio."""
    await trio.sleep(0.3)
    return "It is so."


async def asynchronous(connect: Any, program: Program, settings: Config, tool: Any) -> None:
    """On asyncio and trio."""
    async with connect(settings, tools={"look_up": tool, "end_call": tool}, **program.options) as conversation:
        async for notice in conversation:
            program.take(notice, conversation)


def main(name: str, url: str, seconds: float, seed: int, directory: Path) -> None:
    """Talk."""
    tracemalloc.start()
    program = Program(name, seconds, seed, directory)
    settings = config(name, url)
    if name == "asyncio":
        asyncio.run(asynchronous(on_asyncio.connect, program, settings, on_a_task))
    elif name == "trio":
        trio.run(asynchronous, on_trio.connect, program, settings, in_a_nursery)
    else:
        tools = {"look_up": blocking, "end_call": blocking}
        with on_threads.connect(settings, tools=tools, **program.options) as conversation:
            for notice in conversation:
                program.take(notice, conversation)
    program.book.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
