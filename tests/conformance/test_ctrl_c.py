"""Ctrl-C in the middle of audio: a process of its own, on the real clock, interrupted by a signal (issue 4, "What must hold")."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from conformance.server import ScriptedServer
from conformance.talks import on_the_real_clock

ROOT = Path(__file__).parents[2]

_HEAD = """
import sys
from rtcore import Config, SpeakingStarted
from rtcore.config import Connection
from rtcore_adapters.audio import VirtualSpeaker

config = Config(connection=Connection(url=sys.argv[1], api_key="none", dialect="openai"))
speaker = VirtualSpeaker()

def told(notice):
    if isinstance(notice, SpeakingStarted):
        print("speaking", flush=True)

def sounded():
    return sum(span.samples for span in speaker.spans)
"""
_FOOT = """
except KeyboardInterrupt:
    before = sounded()
    speaker.tick(now=1e9)
    print("silent" if 0 < before == sounded() < 24_000 * 5 else f"{before} samples, then {sounded()}", flush=True)
"""
_PROGRAMS = {
    "asyncio": """
import asyncio
from rtcore_adapters.asyncio import connect

async def main():
    async with connect(config, speaker=speaker, proxy=None) as conversation:
        async for notice in conversation:
            told(notice)

try:
    asyncio.run(main())
""",
    "trio": """
import trio
from rtcore_adapters.trio import connect

async def main():
    async with connect(config, speaker=speaker, proxy=None) as conversation:
        async for notice in conversation:
            told(notice)

try:
    trio.run(main)
""",
    "threads": """
from rtcore_adapters.threads import connect

try:
    with connect(config, speaker=speaker, proxy=None) as conversation:
        for notice in conversation:
            told(notice)
""",
    "selectors": """
from examples.selectors_adapter import Conversation

try:
    with Conversation(config, speaker=speaker) as conversation:
        while not conversation.over:
            for notice in conversation.turn(0.02):
                told(notice)
""",
}


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself or another a Ctrl-C there")
@pytest.mark.parametrize("name", _PROGRAMS)
def test_ctrl_c_hangs_up_in_order_and_it_is_silent(name: str) -> None:
    server = ScriptedServer()
    server.after(0.01, lambda: server.speak(60_000))
    url = f"ws://127.0.0.1:{server.listen()}/v1/realtime"
    code = _HEAD + _PROGRAMS[name] + _FOOT
    with on_the_real_clock(server):
        program = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        late = threading.Timer(60, program.kill)
        late.start()
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == b"speaking\n"
            program.send_signal(signal.SIGINT)
            said, complained = program.communicate()
        finally:
            late.cancel()
            program.kill()
            program.wait()
    try:
        assert (said, complained, program.returncode) == (b"silent\n", b"", 0)
        assert server.line.closed_with == (1000, "")
        assert server.line.ended
    finally:
        server.close()
