"""Clients that nobody here wrote, against our strict server (issue 5): two turns, a function call, a barge-in, the turn after it.

Nothing that they send is refused but what their entry explains, and their own parsers take every event (C28, F051, F132, F133).
Turns are made by audio alone: the client's microphone reaches the server, whose turn detection finds them.
"""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import manners
import pytest
from driving import AUDIT, Peer, running, theirs
from loopback import served
from msgspec import Struct
from msgspec.structs import replace

from rtcore.sim.server import CallPlan, ResponsePlan, Rules, Server, ServerOptions, spoken

GREETING = spoken(800)
CALL = ResponsePlan((CallPlan("weather", '{"place":"Rome"}'),))
SERVER = ServerOptions(log=True, transcription_failed_per_mille=0)


class Manner(Struct, frozen=True):
    """How the server answers what the facts leave open, and how long the messages are of the answer that is interrupted.

    ``cut`` is the number of the message that sounds when a second has been heard; ``least_ms`` of it at the cut.
    """

    name: str
    rules: Rules
    long: tuple[int, int]
    cut: int
    least_ms: int
    interleaving: Literal["sequential", "late_close"] = "sequential"
    closing: Literal["usual", "output first"] = "usual"
    ragged: bool = False

    def script(self, *, greets: bool) -> tuple[ResponsePlan, ...]:
        """The conversation's responses."""
        plans = (GREETING,) * greets + (spoken(1200), CALL, spoken(1000), spoken(*self.long, rate_percent=150), spoken(1100))
        shape: dict[str, Any] = {
            "interleaving": self.interleaving,
            "closing": self.closing,
            "ragged": self.ragged,
            "burst": 1 + 2 * self.ragged,
            # Deltas of one length are never ragged.
            "delta_ms": (40, 160) if self.ragged else (100, 100),
        }
        return tuple(replace(plan, **shape) for plan in plans)


USUAL = Manner("usual", Rules(), long=(9000, 5000), cut=0, least_ms=1000)
ODD = Manner(
    "odd",
    manners.ODD,
    long=(700, 9000),
    cut=1,
    least_ms=1,
    interleaving="late_close",
    closing="output first",
    ragged=True,
)


class Client(Struct, frozen=True):
    """One client in one dialect. ``known`` are beginnings of what its library warns of, which is none of the server's doing.
    ``greets``: the library asks for a response before the user has said anything. ``refused`` are codes of refusals that may
    come, by a fault of the client's, and without ``halves`` it cannot read a delta that ends in half a sample (docs/interop.md).
    """

    name: str
    program: str
    path: str = "/v1/realtime?model=gpt-realtime"
    known: tuple[str, ...] = ()
    greets: bool = False
    refused: frozenset[str] = frozenset()
    halves: bool = True


PREVIEW = "/openai/realtime?api-version=2025-04-01-preview&deployment=gpt-realtime"
_NO_PAUSE = "warning livekit.agents: resume_false_interruption is enabled but audio output does not support pause"
_RETIRED = "warning livekit.agents: The `api_version` parameter"
_LATE_CANCEL = frozenset({"response_cancel_not_active"})
"""It cancels what the server's turn detection has cancelled already."""
_LIVEKIT: dict[str, Any] = {"known": (_NO_PAUSE,), "refused": _LATE_CANCEL, "halves": False}
AZURE = "/openai/v1/realtime?model=gpt-realtime"
CLIENTS = (
    Client("openai", "openai_client.py"),
    Client("openai, preview", "openai_client.py", PREVIEW),
    Client("openai, Azure", "openai_client.py", AZURE),
    Client("openai-agents", "openai_agents_client.py"),
    Client("livekit-plugins-openai", "livekit_client.py", **_LIVEKIT),
    Client("livekit-plugins-openai, preview", "livekit_client.py", PREVIEW, **{**_LIVEKIT, "known": (_NO_PAUSE, _RETIRED)}),
    Client("livekit-plugins-openai, Azure", "livekit_client.py", AZURE, **_LIVEKIT),
    Client("pipecat-ai", "pipecat_client.py", greets=True),
    Client("pipecat-ai, Azure", "pipecat_client.py", AZURE, greets=True),
    Client("agents-realtime, JavaScript", "agents_realtime.mjs"),
)


@pytest.mark.parametrize("manner", [USUAL, ODD], ids=lambda manner: manner.name)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_a_conversation_is_held(client: Client, manner: Manner, tmp_path: Path) -> None:
    asyncio.run(conversation(client, manner, tmp_path / "errors.txt"))


async def conversation(client: Client, manner: Manner, errors: Path) -> None:
    """Hold it, then look at both ends."""
    environment = {"RTCORE_AUDIT": str(AUDIT), "PYTHONPATH": str(AUDIT)}
    interpreter = "node" if client.program.endswith(".mjs") else theirs("CLIENTS_PYTHON")
    rules = manner.rules if client.halves else replace(manner.rules, whole_samples=True)
    options = replace(SERVER, rules=rules, script=manner.script(greets=client.greets))
    async with served(options) as (url, servers):
        environment["RTCORE_URL"] = url.removesuffix("/v1/realtime") + client.path
        async with running([interpreter, client.program], errors, **environment) as peer:
            await peer.until(lambda peer: peer.values("ready"), "the session is set up")
            server = servers[0]
            if client.greets:
                await peer.until(lambda peer: done(server) == 1 and peer.heard >= 800 * 24, "the greeting is heard")
            await talk(peer, server, before=int(client.greets))
            events = Counter(current(entry.type) for entry in server.log if entry.direction == "out")
            await peer.until(lambda peer: sum(events.values()) <= len(peer.values("got")), "every event is taken")
            taken = Counter(current(kind) for kind in peer.values("got"))
    assert len(servers) == 1, "it had to connect again"
    judge(client, manner, peer, server)
    assert events - taken == Counter()


async def talk(peer: Peer, server: Server, *, before: int) -> None:
    """Two turns, of which the second calls a function, then a long answer that is interrupted; each is heard at the client."""

    async def turn(answers: int, heard_ms: int) -> None:
        """Speak, and wait until so many responses are done and so much has sounded since then."""
        heard = peer.heard
        peer.say(speak=700)
        await peer.until(
            lambda peer: done(server) >= before + answers and peer.heard >= heard + heard_ms * 24,
            f"response {answers} is heard ({heard_ms} ms)",
        )

    await turn(1, 1200)
    await turn(3, 1000)
    heard = peer.heard
    peer.say(speak=700)
    await peer.until(lambda peer: peer.heard >= heard + 24_000, "a second of the long answer is heard")
    await turn(5, 1100)


def judge(client: Client, manner: Manner, peer: Peer, server: Server) -> None:
    """What the server holds, and what the client's library complained of."""
    assert [refusal for refusal in server.refusals if refusal.code not in client.refused] == []
    assert [told for told in peer.values("problem") if not told.startswith(client.known)] == []
    call, after, long, last = list(server.responses.values())[-4:]
    assert [each.status for each in (call, after, last)] == ["completed"] * 3
    assert peer.values("called") == [{"place": "Rome"}]
    output = [item.output for item in server.items.values() if item.type == "function_call_output"]
    assert len(output) == 1
    assert "18 degrees" in output[0]
    # Cut at about what had been heard when the server found the person speaking; the judge of `make audit` is exact.
    assert (long.status, long.reason) == ("cancelled", "turn_detected")
    cut = server.items[long.item_ids[manner.cut]].parts[0]
    # The first truncate: pipecat sends a second one, at about 1 ms, where a delta comes after it (docs/interop.md).
    assert cut.truncations
    assert manner.least_ms <= cut.truncations[0].audio_end_ms < 9000
    assert peer.heard < (1200 + 1000 + 9000 + 1100) * 24


def done(server: Server) -> int:
    """How many responses have ended."""
    return sum(response.done_at is not None for response in server.responses.values())


def current(kind: str) -> str:
    """The GA name of an event: livekit's Azure mode renames before it tells."""
    for old, new in (("response.audio", "response.output_audio"), ("response.text", "response.output_text")):
        if kind.startswith(old):
            return new + kind.removeprefix(old)
    return "conversation.item.added" if kind == "conversation.item.created" else kind
