"""A server that does not read: what is full must not keep a line that is over, in any runtime (issue 4: half-open socket; F155).

Virtual time where there is any; threads with short time-outs on the real clock.
"""

from functools import partial
from typing import Any

import pytest
from loopback import config
from websockets.frames import Frame, Opcode

from conformance.server import ScriptedServer
from conformance.talks import RUNTIMES, Runtime, Talk
from rtcore import MicrophoneDropped, SessionClosed
from rtcore_adapters import _line
from rtcore_adapters._outbox import Outbox
from rtcore_adapters.engine import LinkTimes

every = pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
CONFIG = config("ws://server.example/v1/realtime")
_QUICK = LinkTimes(open_s=0.5, ping_s=0.1, pong_s=0.1, close_s=0.1)
_SECOND = bytes(48_000)


async def fill(server: ScriptedServer, talk: Talk) -> None:
    """Speak until the socket is full, and the queue behind it."""
    server.line.deaf = True
    for _ in range(30):
        talk.conversation.append_audio(_SECOND)
        await talk.sleep(0.001)
    await talk.until(MicrophoneDropped)


@every
def test_the_block_can_be_left_while_a_server_reads_nothing(runtime: Runtime) -> None:
    server = ScriptedServer()

    async def program(talk: Talk) -> None:
        await fill(server, talk)

    runtime.run(program, server, CONFIG, times=None if runtime.virtual else _QUICK)
    if runtime.virtual:
        assert server.now <= 2 * LinkTimes().close_s + 0.1


@every
def test_a_dead_line_that_is_full_is_given_up(runtime: Runtime) -> None:  # F095
    server = ScriptedServer()

    async def program(talk: Talk) -> SessionClosed:
        await fill(server, talk)
        server.line.mute = True
        found: Any = await talk.until(SessionClosed)
        return found  # type: ignore[no-any-return]

    closed = runtime.run(program, server, CONFIG, times=None if runtime.virtual else _QUICK)
    assert closed.reason == "lost"
    assert closed.problem is not None and "nothing came from the server for" in closed.problem.message


@every
def test_a_server_that_pings_and_never_reads_is_given_up(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:  # C30, F155
    """Pongs that nobody takes are control, too: they count at the bound."""
    monkeypatch.setattr(_line, "Outbox", partial(Outbox, max_control=100_000))
    server = ScriptedServer()
    pings = Frame(Opcode.PING, b"?" * 100).serialize(mask=False) * 100

    server.after(0.01, lambda: setattr(server.line, "deaf", True))
    over: list[bool] = []
    for number in range(200):
        server.after(0.01 + number * 0.001, lambda: None if over else server.line.raw(pings))

    async def program(talk: Talk) -> SessionClosed:
        found: Any = await talk.until(SessionClosed)
        over.append(True)
        return found  # type: ignore[no-any-return]

    closed = runtime.run(program, server, CONFIG, times=None if runtime.virtual else _QUICK)
    assert closed.reason == "lost"
    assert closed.problem is not None and "the server takes nothing" in closed.problem.message
