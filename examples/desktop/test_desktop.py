"""The desktop program in a simulated room, in virtual time: what the loudspeaker sounds, the microphone hears a moment later.

The sound card is simulated; the canceller, the program, the socket and what the strict server hears are real.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable

import fake_portaudio
import pytest
from examples.desktop.desktop import Canceller, WebRtc, converse, desktop_config, devices
from fake_portaudio import LoopHost
from loopback import KEY, served
from pydantic import SecretStr
from virtual_loop import run

from rtcore import Interrupted, MessageEnded, Notice, UserSpeechStarted, Verdict
from rtcore.config import Connection
from rtcore.sim.server import Server, ServerOptions, spoken
from rtcore_adapters.voices import load_voices

RATE = 24_000
DELAY_MS = 45
"""From the loudspeaker's moment of sound to the microphone's."""
LOUD = 0.35
VOICES = load_voices()


class Room(LoopHost):
    """Its microphone hears its loudspeaker, and a person."""

    def __init__(self) -> None:
        super().__init__()
        self.person = bytearray()
        """What the person is about to say."""
        self._heard = 0  # samples of the microphone

    def says(self, samples: int) -> bytearray:
        at = round(self.now * RATE)  # this block of the microphone ends now
        echo = self._sounded(at - samples - DELAY_MS * RATE // 1000, samples)
        voice = memoryview(bytes(self.person[: 2 * samples]).ljust(2 * samples, b"\0")).cast("h")
        del self.person[: 2 * samples]
        mixed = (max(-32_768, min(32_767, int(LOUD * e) + v)) for e, v in zip(echo, voice, strict=True))
        return bytearray(b"".join(value.to_bytes(2, "little", signed=True) for value in mixed))

    def _sounded(self, begin: int, samples: int) -> list[int]:
        """What was audible from a moment on."""
        out = [0] * samples
        for stream in self.streams:
            if stream.kind != "output":
                continue
            for at, pcm in reversed(stream.blocks):
                block = memoryview(pcm).cast("h")
                first = round(at * RATE) - begin
                if first + len(block) <= 0:
                    break
                for index in range(max(0, first), min(samples, first + len(block))):
                    out[index] = block[index - first]
        return out


def meet(
    monkeypatch: pytest.MonkeyPatch, canceller: Canceller | None, play: Callable[[Room, list[Notice], Server], Awaitable[None]]
) -> list[Notice]:
    """A conversation in a room; gives its notices."""
    fake_portaudio.install(monkeypatch)
    room = Room()
    portaudio = sys.modules["rtcore_adapters.audio._portaudio"]
    monkeypatch.setattr(portaudio, "PortAudio", lambda: room)
    monkeypatch.delitem(sys.modules, "rtcore_adapters.audio.device")
    notices: list[Notice] = []

    async def main() -> None:
        script = (spoken(1_500), spoken(6_000), spoken(1_000))
        async with served(ServerOptions(script=script), voices=VOICES) as (url, servers):
            config = desktop_config(Connection(url=url, api_key=SecretStr(KEY)))
            talking = asyncio.create_task(converse(config, *devices(canceller), told=notices.append))
            await play(room, notices, servers[0] if servers else await _first(servers))
            talking.cancel()
            await asyncio.wait([talking])
            assert servers[0].refusals == []

    run(main())  # threads of the canceller's library come and go as they like
    return notices


async def _first(servers: list[Server]) -> Server:
    while not servers:
        await asyncio.sleep(0.01)
    return servers[0]


async def until(notices: list[Notice], kind: type[Notice], count: int = 1) -> Notice:
    async with asyncio.timeout(60):
        while len(found := [notice for notice in notices if isinstance(notice, kind)]) < count:
            await asyncio.sleep(0.01)
    return found[count - 1]


async def a_question_and_its_answer(room: Room, notices: list[Notice], server: Server) -> None:
    await until(notices, MessageEnded)
    await asyncio.sleep(0.5)
    room.person += VOICES[3].pcm[: 2 * RATE]
    await until(notices, MessageEnded, 2)


def test_the_model_does_not_hear_itself(monkeypatch: pytest.MonkeyPatch) -> None:  # F120 ff.: the agent that hears itself
    notices = meet(monkeypatch, WebRtc(), a_question_and_its_answer)
    ends = [notice for notice in notices if isinstance(notice, MessageEnded)]
    assert [end.verdict for end in ends] == [Verdict.FULL, Verdict.FULL] and ends[1].heard_ms == 6_000
    assert not any(isinstance(notice, Interrupted) for notice in notices)


def test_without_the_canceller_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """The room is one in which it matters."""
    notices = meet(monkeypatch, None, a_question_and_its_answer)
    assert any(isinstance(notice, Interrupted) for notice in notices)


def test_a_person_who_talks_over_the_loudspeaker_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:  # C01
    async def play(room: Room, notices: list[Notice], server: Server) -> None:
        await a_question(room, notices)
        await asyncio.sleep(2)
        room.person += VOICES[5].pcm[: 3 * RATE]
        await until(notices, Interrupted)
        await until(notices, MessageEnded, 3)

    async def a_question(room: Room, notices: list[Notice]) -> None:
        await until(notices, MessageEnded)
        room.person += VOICES[3].pcm[: 2 * RATE]
        await until(notices, UserSpeechStarted)
        await asyncio.sleep(2.5)

    notices = meet(monkeypatch, WebRtc(), play)
    ends = [notice for notice in notices if isinstance(notice, MessageEnded)]
    assert [end.verdict for end in ends] == [Verdict.FULL, Verdict.PARTIAL, Verdict.FULL]
