"""Ctrl-C in the middle of audio, while the conversation carries out an effect (issue 4, "What must hold")."""

import os
import signal
from typing import Any

import pytest
from loopback import config

from conformance.server import ScriptedServer
from conformance.talks import RUNTIMES, Runtime, Talk
from rtcore import AudioFormat
from rtcore_adapters.audio import VirtualSpeaker


class _Pressed(VirtualSpeaker):
    """Ctrl-C is pressed while it is given the first audio."""

    pressed = False
    closed = False

    def play(self, pcm: bytes | memoryview, format: AudioFormat, generation: int, *, now: float) -> None:
        super().play(pcm, format, generation, now=now)
        if not self.pressed:
            self.pressed = True
            os.kill(os.getpid(), signal.SIGINT)  # not to this thread, but to the process, as a terminal does

    def close(self, *, now: float) -> None:
        self.closed = True
        super().close(now=now)


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
def test_ctrl_c_hangs_up_in_order_and_comes_out_as_it_is(runtime: Runtime) -> None:
    server = ScriptedServer()
    server.after(0.01, lambda: server.speak(5_000))
    speaker = _Pressed()

    async def program(talk: Talk) -> list[Any]:
        return await talk.rest()

    with pytest.raises(KeyboardInterrupt):
        runtime.run(program, server, config("ws://server.example/v1/realtime"), speaker=speaker)
    assert server.line.closed_with == (1000, "")
    assert speaker.closed
    assert sum(span.samples for span in speaker.spans) < 24 * 1_000
