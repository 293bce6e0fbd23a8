"""The programs that openai-agents brings with its source, unchanged, with rtcore behind them (docs/plugs.md), in virtual time.

``make plugs`` unpacks them from the SDK's source distribution. Their sound card, page and telephone line are here, and
what sounds there is kept; the runner's model, which they leave to its default, is rtcore's.
"""

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import agents.realtime.runner
import numpy as np
import pytest
from loopback import KEY, VOICES, clean_run, served
from manners import script

from rtcore import AudioFormat, Config
from rtcore.config import Connection, Reconnect
from rtcore.sim.server import Server, spoken
from rtcore_adapters.audio._g711 import encode
from rtcore_openai_agents import RtcoreRealtimeModel

PROGRAMS = Path(sys.prefix) / "programs" / "examples"
FRAME_S = 0.02
VOICE = VOICES[0].pcm[:48_000]
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(autouse=True)
def as_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROGRAMS))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setitem(sys.modules, "sounddevice", SoundCard.module())


def behind(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner's default model is rtcore's."""
    config = Config(connection=Connection(url=url), reconnect=Reconnect(attempts=0))
    monkeypatch.setattr(agents.realtime.runner, "OpenAIRealtimeWebSocketModel", lambda: RtcoreRealtimeModel(config))


class SoundCard:
    """What sounds, and what the microphone hears: silence, but for what is said."""

    sounded = bytearray()
    said = bytearray()

    class Out:
        def __init__(self, *, samplerate: int, blocksize: int, callback: Callable[..., None], **_: Any) -> None:
            self._every, self._size, self._callback, self.active = blocksize / samplerate, blocksize, callback, False

        def start(self) -> None:
            self.active = True
            self._task = asyncio.create_task(self._run())

        async def _run(self) -> None:
            while True:
                block = np.zeros((self._size, 1), dtype=np.int16)
                self._callback(block, self._size, None, None)
                SoundCard.sounded += block.tobytes()
                await asyncio.sleep(self._every)

        def stop(self) -> None:
            self.active = False
            self._task.cancel()

        def close(self) -> None: ...

    class In:
        def __init__(self, *, samplerate: int, **_: Any) -> None:
            self._rate, self.active, self._given = samplerate, False, 0

        def start(self) -> None:
            self.active, self._since = True, asyncio.get_running_loop().time()

        @property
        def read_available(self) -> int:
            return int((asyncio.get_running_loop().time() - self._since) * self._rate) - self._given

        def read(self, samples: int) -> tuple[Any, bool]:
            self._given += samples
            frame = bytes(SoundCard.said[: 2 * samples]).ljust(2 * samples, b"\0")
            del SoundCard.said[: 2 * samples]
            return np.frombuffer(frame, dtype=np.int16).reshape(-1, 1), False

        def stop(self) -> None:
            self.active = False

        def close(self) -> None: ...

    @classmethod
    def module(cls) -> Any:
        cls.sounded, cls.said = bytearray(), bytearray()
        return SimpleNamespace(OutputStream=cls.Out, InputStream=cls.In)


class Far:
    """The other end of a program's websocket: sounds what it is sent at real speed, 20 ms at a time."""

    def __init__(self, frame: int) -> None:
        self.sounded = bytearray()
        self.incoming: asyncio.Queue[str] = asyncio.Queue()
        self.waiting: list[bytes | str] = []
        """Audio, and names of marks between it."""
        self._frame = frame

    async def accept(self) -> None: ...

    async def receive_text(self) -> str:
        return await self.incoming.get()

    async def send_text(self, text: str) -> None:
        told = json.loads(text)
        match told.get("event") or told["type"]:
            case "media":
                self.waiting.append(base64.b64decode(told["media"]["payload"]))
            case "audio":
                self.waiting.append(base64.b64decode(told["audio"]))
            case "mark":
                self.waiting.append(told["mark"]["name"])
            case "clear" | "audio_interrupted":
                marks = [each for each in self.waiting if isinstance(each, str)]
                self.waiting.clear()
                for name in marks:
                    self.mark(name)
            case _:
                pass

    def mark(self, name: str) -> None:
        self.incoming.put_nowait(json.dumps({"event": "mark", "mark": {"name": name}}))

    async def sound(self) -> None:
        while True:
            await asyncio.sleep(FRAME_S)
            room = self._frame
            while self.waiting and room:
                each = self.waiting.pop(0)
                if isinstance(each, str):
                    self.mark(each)
                    continue
                self.sounded += each[:room]
                if each[room:]:
                    self.waiting.insert(0, each[room:])
                room -= len(each[:room])


@asynccontextmanager
async def besides(*work: Awaitable[Any]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [each for each in ended if isinstance(each, Exception)] == []


async def talk(servers: list[Server], sounded: bytearray, say: Callable[[], None], wait: float) -> None:
    """A question, and another into its answer, which is heard out."""
    async with asyncio.timeout(60):
        await asyncio.sleep(0.5)
        say()
        while not any(sounded):
            await asyncio.sleep(0.01)
        await asyncio.sleep(wait)
        say()
        while [item.role for item in servers[0].items.values()].count("user") < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(4)


def judge(server: Server, sounded: bytes, per_ms: int) -> None:
    """What sounded was heard, and of the rest nothing is left. 60 ms are what a card's block and a fade may be."""
    *said, answer = [item for item in server.items.values() if item.role == "assistant"]
    assert server.refusals == []
    assert answer.audio in sounded
    cut = 0
    for item in said:
        part = item.parts[0]
        kept = 0 if item.deleted else len(item.audio) // per_ms if part.truncated_ms is None else part.truncated_ms
        cut += kept < len(item.audio) // per_ms
        if kept > 80:
            assert item.audio[(kept - 80) * per_ms : (kept - 60) * per_ms] in sounded
        if (rest := item.audio[(kept + 60) * per_ms : (kept + 80) * per_ms]) and kept + 80 < len(item.audio) // per_ms:
            assert rest not in sounded
    assert cut


WAITS = pytest.mark.parametrize("wait", [0.31, 1.234, 2.6])


@WAITS
def test_the_program_at_a_sound_card(wait: float, monkeypatch: pytest.MonkeyPatch) -> None:  # B01, B04, B05, F002
    demo = import_module("realtime.cli.demo")
    monkeypatch.setattr(demo, "sd", sys.modules["sounddevice"])

    async def main() -> None:
        async with served(script(spoken(2000, 3000, 1000), spoken(700))) as (url, servers):
            behind(url, monkeypatch)
            async with besides(demo.NoUIDemo().run()):
                await talk(servers, SoundCard.sounded, lambda: SoundCard.said.extend(VOICE), wait)
            judge(servers[0], bytes(SoundCard.sounded), 48)

    clean_run(main())


@WAITS
def test_the_program_behind_a_page(wait: float, monkeypatch: pytest.MonkeyPatch) -> None:  # B01, B04, B05, F002
    manager = import_module("realtime.app.server").RealtimeWebSocketManager()
    page, said = Far(960), bytearray()

    async def microphone() -> None:
        while True:
            await asyncio.sleep(FRAME_S)
            frame = bytes(said[:960]).ljust(960, b"\0")
            del said[:960]
            await manager.send_audio("page", frame)

    async def main() -> None:
        async with served(script(spoken(2000, 3000, 1000), spoken(700))) as (url, servers):
            behind(url, monkeypatch)
            await manager.connect(page, "page")
            async with besides(page.sound(), microphone()):
                await talk(servers, page.sounded, lambda: said.extend(VOICE), wait)
            await manager.disconnect("page")
            judge(servers[0], bytes(page.sounded), 48)

    clean_run(main())


@WAITS
def test_the_program_on_a_telephone_line(wait: float, monkeypatch: pytest.MonkeyPatch) -> None:  # C19, F002, F078
    """The line is cleared at once, and returns the marks of all that it had not sounded."""
    handler = import_module("realtime.twilio.twilio_handler")
    third = np.frombuffer(VOICE, dtype=np.int16).reshape(-1, 3).mean(axis=1).astype(np.int16).tobytes()
    voice = encode(third, AudioFormat("audio/pcmu", 8000))
    line, said = Far(160), bytearray()

    async def caller() -> None:
        line.incoming.put_nowait(json.dumps({"event": "start", "start": {"streamSid": "MZ1"}}))
        while True:
            await asyncio.sleep(FRAME_S)
            frame = bytes(said[:160]).ljust(160, b"\xff")
            del said[:160]
            media = {"payload": base64.b64encode(frame).decode()}
            line.incoming.put_nowait(json.dumps({"event": "media", "media": media}))

    async def main() -> None:
        async with served(script(spoken(2000, 3000, 1000), spoken(700))) as (url, servers):
            behind(url, monkeypatch)
            program = handler.TwilioHandler(line)
            await program.start()
            async with besides(line.sound(), caller()):
                await talk(servers, line.sounded, lambda: said.extend(voice), wait)
            for task in (tasks := program._background_tasks()):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await program.session.close()
            judge(servers[0], bytes(line.sounded), 8)

    clean_run(main())
