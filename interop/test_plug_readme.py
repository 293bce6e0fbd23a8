"""The program in livekit-agents' own README, unchanged, with rtcore behind it (docs/plugs.md), in virtual time.

``make plugs`` has it from the description that the installed package brings. The job that runs it is the library's own fake one,
and in the place of a room there is LiveKit's console, whose microphone and loudspeaker are those of ``agent.py``. The name
``openai.realtime.RealtimeModel``, by which the program asks for its model, leads to rtcore's.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import pytest
from agent import Loudspeaker, Microphone
from livekit.agents import AgentSession, cli, testing
from livekit.agents.ipc.mock_room import create_mock_room
from livekit.plugins import openai
from loopback import KEY, VOICES, served
from manners import ODD, USUAL, script
from virtual_loop import run

from rtcore import Config
from rtcore.config import AudioOptions, AudioOutput, Connection, Reconnect, SessionOptions
from rtcore.sim.server import Rules, Server, spoken
from rtcore_livekit import RtcoreRealtimeModel

VOICE = VOICES[0].pcm[:48_000]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
pytestmark = pytest.mark.filterwarnings("default")


class Console(cli.AgentsConsole):
    """LiveKit's console, with the sound card of ``agent.py``: what a session uses where there is no room."""

    def __init__(self) -> None:
        super().__init__()
        self.enabled = True
        self.speaker, self.microphone = Loudspeaker(), Microphone()

    def acquire_io(self, *, loop: asyncio.AbstractEventLoop, session: AgentSession[Any]) -> None:
        self._io_acquired, self._io_session = True, session
        session.output.audio, session.input.audio = self.speaker, self.microphone


def the_program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The README's program for realtime models, as a module."""
    description = metadata("livekit-agents").json["description"]
    assert isinstance(description, str)
    [source] = [block for block in BLOCK.findall(description) if "realtime.RealtimeModel(" in block]
    (folder / "readme_program.py").write_text(source)
    monkeypatch.syspath_prepend(str(folder))
    return import_module("readme_program")


@asynccontextmanager
async def started(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Console]:
    """The program's job has begun."""

    def model(*, voice: str) -> RtcoreRealtimeModel:
        session = SessionOptions(audio=AudioOptions(output=AudioOutput(voice=voice)))
        connection = Connection(url=url, api_key=KEY)
        return RtcoreRealtimeModel(Config(connection=connection, session=session, reconnect=Reconnect(attempts=0)))

    console = Console()
    monkeypatch.setattr(openai.realtime, "RealtimeModel", model)
    monkeypatch.setattr(cli.AgentsConsole, "get_instance", lambda: console)
    program = the_program(folder, monkeypatch)
    sounding = asyncio.create_task(console.speaker.run())
    with testing.fake_job_context(room=create_mock_room()) as job:
        job_task = asyncio.create_task(program.entrypoint(job))
        try:
            yield console
            await job_task
        finally:
            await console.io_session.aclose()
            sounding.cancel()
            await asyncio.gather(sounding, return_exceptions=True)


async def until(servers: list[Server], users: int) -> None:
    """Until the server has so many turns of the user's."""
    while not servers or [item.role for item in servers[0].items.values()].count("user") < users:
        await asyncio.sleep(0.01)


# LiveKit's sessions are deaf for the first three seconds of the first turn unless they are told otherwise; the program does not.
@pytest.mark.parametrize("wait", [3.31, 4.234, 5.6])
@pytest.mark.parametrize("rules", [USUAL, ODD], ids=["usual", "odd"])
def test_the_readmes_program_is_interrupted(
    rules: Rules, wait: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # B01, B04, B05, F002
    async def main() -> None:
        async with served(script(spoken(5000, 3000, 1000), spoken(700), rules=rules)) as (url, servers):
            async with started(url, tmp_path, monkeypatch) as console, asyncio.timeout(60):
                heard = console.speaker.heard
                while not heard:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(wait)
                console.microphone.said = VOICE
                await until(servers, users=1)
                await asyncio.sleep(4)
            server = servers[0]
            *said, answer = [item for item in server.items.values() if item.role == "assistant"]
            assert server.refusals == []
            assert server.session["instructions"] == "You are a helpful voice AI assistant."
            assert server.session["audio"]["output"]["voice"] == "coral"
            before = len(heard) // 2 - len(answer.audio) // 2
            assert bytes(heard[2 * before :]) == answer.audio
            assert any(item.deleted or item.parts[0].truncated_ms is not None for item in said)
            for item in said:
                part, length = item.parts[0], len(item.audio) // 2
                if before <= 0:
                    assert item.deleted
                elif before < length:
                    assert part.truncated_ms == before // 24
                before -= min(before, length)

    run(main())
