"""The end of a conversation, the same in every runtime: what a device does then, and what a program still asks."""

import threading
import time
from typing import Any

import pytest
from loopback import config

from conformance.server import ScriptedServer
from conformance.talks import RUNTIMES, Runtime, Talk, on_the_real_clock
from rtcore import SessionReady
from rtcore_adapters.audio import SilentMicrophone, VirtualSpeaker
from rtcore_adapters.threads import Conversation, connect

every = pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
CONFIG = config("ws://server.example/v1/realtime")


class _Gone(SilentMicrophone):
    def close(self, *, now: float) -> None:
        raise OSError("the device is gone")


class _Broken(VirtualSpeaker):
    def close(self, *, now: float) -> None:
        raise RuntimeError("a mistake in close")


async def _ready(talk: Talk) -> Any:
    return await talk.until(SessionReady)


@every
def test_a_microphone_that_is_gone_when_it_is_closed_does_no_harm(runtime: Runtime) -> None:  # F100
    runtime.run(_ready, ScriptedServer(), CONFIG, microphone=_Gone())


@every
def test_a_mistake_at_the_end_comes_out_as_it_is(runtime: Runtime) -> None:
    with pytest.raises(RuntimeError, match="a mistake in close"):
        runtime.run(_ready, ScriptedServer(), CONFIG, speaker=_Broken())


def test_threads_that_go_on_after_the_end_are_told_that_it_is_over() -> None:
    told: set[str] = set()
    over = threading.Event()

    def speak(conversation: Conversation) -> None:
        while not over.is_set():
            try:
                conversation.append_audio(bytes(960))
            except Exception as error:
                told.add(str(error))

    server = ScriptedServer()
    with on_the_real_clock(server):
        with connect(CONFIG, dial=server.dial) as conversation:
            threads = [threading.Thread(target=speak, args=(conversation,)) for _ in range(4)]
            for thread in threads:
                thread.start()
        time.sleep(0.02)
        over.set()
        for thread in threads:
            thread.join()
    server.close()
    assert told == {"append_audio(): the session is closed; make a new Session"}
