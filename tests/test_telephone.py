"""Whole conversations over clocks that are no sound card, against the strict server, in virtual time.

The telephone line and the remote player play by themselves, a network away; what a person heard is known to the test alone.
"""

import asyncio
import json
import queue
import threading
from typing import Any

import pytest
from helpers.player import LivePlayer
from helpers.telephone import LiveLine, alike, heard_of
from loopback import VOICES, clean_run, config, served, served_in_a_thread, until

from rtcore import PCMU, Interrupted, MessageEnded, SpeakingStarted, SpeakingStopped, Verdict
from rtcore.config import AudioInput, AudioOptions, AudioOutput, Pcmu, SessionOptions
from rtcore.sim.server import Rules, Server, ServerOptions, spoken
from rtcore_adapters.asyncio import Conversation, connect
from rtcore_adapters.audio import MarksSpeaker, NullSpeaker, PushMicrophone, RemoteSpeaker
from rtcore_adapters.audio._g711 import encode, resampled
from rtcore_adapters.threads import connect as connect_in_threads

RULES = Rules(error_event_id="always")
TELEPHONE = SessionOptions(audio=AudioOptions(input=AudioInput(format=Pcmu()), output=AudioOutput(format=Pcmu())))
TRIP_S = 0.04


class Call:
    """A telephone call: a line with a person at its far end."""

    def __init__(self, *, clears: bool = True, trip_s: float = TRIP_S, far: dict[str, Any] | None = None, **options: Any) -> None:
        self.line = LiveLine(self._marked, out_s=trip_s, back_s=trip_s, clears=clears, **far or {})
        clear = self.line.clear if clears else None
        self.speaker = MarksSpeaker(self.line.media, self.line.mark, clear, round_trip_ms=100, **options)
        self.microphone = PushMicrophone(PCMU)

    def _marked(self, name: str) -> None:
        self.speaker.marked(name)

    async def say(self, speech: bytes) -> None:
        """The person speaks, or is silent, in frames of 20 ms."""
        for at in range(0, len(speech), 160):
            self.microphone.push(speech[at : at + 160])
            await asyncio.sleep(0.02)


def answers(server: Server) -> list[Any]:
    return [item for item in server.items.values() if item.role == "assistant"]


async def whole(conversation: Conversation) -> None:
    """Until a message was heard to its end."""
    while (await until(conversation, MessageEnded)).verdict is not Verdict.FULL:
        pass


def sounding(pcm: bytes) -> bytes:
    """PCM16 without its samples of silence."""
    return b"".join(pcm[at : at + 2] for at in range(0, len(pcm), 2) if any(pcm[at : at + 2]))


@pytest.mark.parametrize("clears", [True, False])
@pytest.mark.parametrize("wait", [0.5, 1.013, 3.3])
def test_an_interrupted_call_leaves_the_server_with_what_was_heard(clears: bool, wait: float) -> None:
    """The truncate is behind what the far side really played, by no more than declared (F019, F029, F030, C20, C21)."""

    async def main() -> None:
        call = Call(clears=clears)
        async with served(ServerOptions(script=(spoken(9000), spoken(1000)), rules=RULES)) as (url, servers):
            async with connect(config(url, session=TELEPHONE), speaker=call.speaker, microphone=call.microphone) as conversation:
                conversation.send_text("Tell me a story.")
                await until(conversation, SpeakingStarted)
                await asyncio.sleep(wait)
                conversation.interrupt()
                cut = await until(conversation, Interrupted)
                assert (await conversation.send_text("And now something else.")).outcome == "done"
                await whole(conversation)
            first, second = answers(servers[0])
            audible = call.line.hang_up()
            true_ms = heard_of(audible, first.audio) / 8
            told_ms = first.parts[0].truncated_ms
            assert true_ms - call.speaker.capabilities.answer_ms <= told_ms <= true_ms
            assert cut.estimated is clears  # with a clear the truth is known to the last mark only
            assert second.audio in audible
            assert servers[0].refusals == []

    clean_run(main())


def test_a_person_interrupts_on_the_telephone_and_is_answered() -> None:  # C01, F029, F127
    async def main() -> None:
        call = Call()
        speech = encode(resampled(VOICES[0].pcm, VOICES[0].samples // 3), PCMU)
        async with served(ServerOptions(script=(spoken(9000), spoken(1000)), rules=RULES)) as (url, servers):
            async with connect(config(url, session=TELEPHONE), speaker=call.speaker, microphone=call.microphone) as conversation:
                conversation.send_text("Tell me everything.")
                await until(conversation, SpeakingStarted)
                await call.say(b"\xff" * 8000)
                await call.say(speech[:16_000])
                cut = await until(conversation, Interrupted)
                await call.say(b"\xff" * 8000)
                await until(conversation, SpeakingStopped)
            first: Any = servers[0].items[cut.partial[0]]
            audible = call.line.hang_up()
            true_ms = heard_of(audible, first.audio) / 8
            assert true_ms - call.speaker.capabilities.answer_ms <= first.parts[0].truncated_ms <= true_ms
            assert servers[0].refusals == []

    clean_run(main())


def test_a_pause_on_the_telephone_loses_nothing() -> None:
    """The line cannot hold: it is cleared, and plays again from the last sample that is known to have been heard. What was heard
    beyond it, no more than declared, is heard twice (B16, B17, F083)."""

    async def main() -> None:
        call = Call()
        async with served(ServerOptions(script=(spoken(4000),), rules=RULES)) as (url, servers):
            async with connect(config(url, session=TELEPHONE), speaker=call.speaker) as conversation:
                conversation.send_text("Go on.")
                await until(conversation, SpeakingStarted)
                for play_s, pause_s in ((0.5, 1.0), (0.7, 2.0), (2.6, 3.0)):  # the third with the tail left
                    await asyncio.sleep(play_s)
                    conversation.pause()
                    await asyncio.sleep(pause_s)
                    assert conversation.speaking
                    conversation.resume()
                ended = await until(conversation, MessageEnded)
                await until(conversation, SpeakingStopped)
            assert ended.verdict is Verdict.FULL
            [audio] = [item.audio for item in answers(servers[0])]
            audible = call.line.hang_up().replace(b"\xff", b"")
            audio = audio.replace(b"\xff", b"")
            slack = 8 * call.speaker.capabilities.answer_ms
            at = behind = 0  # of what was audible, of the answer
            while True:
                same = alike(audible[at:], audio[behind:])
                at, behind = at + same, behind + same
                if at == len(audible):
                    break
                again = audio.rfind(audible[at : at + 100], behind - slack, behind + 100)
                assert again >= 0, "it does not go on where it was held, nor a little before"
                behind = again
            assert behind == len(audio)
            assert len(audible) <= len(audio) + 3 * slack
            assert servers[0].refusals == []

    clean_run(main())


@pytest.mark.parametrize("clears", [True, False])
def test_a_session_in_another_rate_is_measured_in_its_own(clears: bool) -> None:
    """PCM16 at 24 kHz on a line of 8 kHz: what the server is told is in the session's milliseconds (C22, F153, F019)."""
    pytest.importorskip("soxr", reason="rtcore[audio] is not installed")

    async def main() -> None:
        call = Call(clears=clears)
        async with served(ServerOptions(script=(spoken(9000), spoken(1000)), rules=RULES)) as (url, servers):
            async with connect(config(url), speaker=call.speaker) as conversation:
                conversation.send_text("Tell me a story.")
                await until(conversation, SpeakingStarted)
                await asyncio.sleep(2.0)
                conversation.interrupt()
                await until(conversation, Interrupted)
                true_ms = len(call.line.hang_up()) / 8
            told_ms = answers(servers[0])[0].parts[0].truncated_ms
            assert true_ms - call.speaker.capabilities.answer_ms - 21 <= told_ms <= true_ms
            assert servers[0].refusals == []

    clean_run(main())


def test_a_call_that_is_hung_up_ends_what_was_being_said() -> None:  # F100, F162
    async def main() -> None:
        call = Call()
        async with served(ServerOptions(script=(spoken(9000),), rules=RULES)) as (url, servers):
            async with connect(config(url, session=TELEPHONE), speaker=call.speaker) as conversation:
                conversation.send_text("Tell me a story.")
                await until(conversation, SpeakingStarted)
                await asyncio.sleep(1.5)
                call.speaker.lost()
                ended = await until(conversation, MessageEnded)
                await asyncio.sleep(0.5)
            true_ms = heard_of(call.line.hang_up(), answers(servers[0])[0].audio) / 8
            assert ended.verdict is Verdict.PARTIAL
            assert 1300 <= ended.heard_ms <= true_ms
            assert answers(servers[0])[0].parts[0].truncated_ms == ended.heard_ms

    clean_run(main())


def test_a_line_that_fails_in_the_middle_is_a_lost_device() -> None:  # F100: the program's callable raises
    async def main() -> None:
        call = Call(ahead_ms=200)

        def broken(payload: bytes) -> None:
            if call.line.now > 1.0:
                raise ConnectionResetError("the call is gone")
            call.line.media(payload)

        call.speaker = MarksSpeaker(broken, call.line.mark, call.line.clear, ahead_ms=200)
        async with served(ServerOptions(script=(spoken(9000),), rules=RULES)) as (url, _):
            async with connect(config(url, session=TELEPHONE), speaker=call.speaker) as conversation:
                conversation.send_text("Tell me a story.")
                ended = await until(conversation, MessageEnded)
                assert ended.verdict is Verdict.PARTIAL
            call.line.hang_up()

    clean_run(main())


# -- a player across a network ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wait", [0.4, 2.009])
def test_an_interrupted_browser_leaves_the_server_with_what_was_heard(wait: float) -> None:  # B01, F031, C20
    async def main() -> None:
        player = LivePlayer()
        async with served(ServerOptions(script=(spoken(9000), spoken(1000)), rules=RULES)) as (url, servers):
            async with connect(config(url), speaker=player.speaker) as conversation:
                conversation.send_text("Tell me a story.")
                await until(conversation, SpeakingStarted)
                await asyncio.sleep(wait)
                conversation.pause()
                await asyncio.sleep(1.0)
                conversation.resume()
                await asyncio.sleep(0.3)
                conversation.interrupt()
                cut = await until(conversation, Interrupted)
                assert not cut.estimated
                assert (await conversation.send_text("And now something else.")).outcome == "done"
                await whole(conversation)
            player.disconnect()
            first, second = answers(servers[0])
            heard, after = sounding(player.signal), sounding(second.audio)
            told = 48 * first.parts[0].truncated_ms  # bytes; what was heard of the answer ends within the next millisecond
            assert heard.endswith(after)
            assert heard.startswith(sounding(first.audio[:told]))
            assert len(sounding(first.audio[:told])) <= len(heard) - len(after) <= len(sounding(first.audio[: told + 48]))
            assert servers[0].refusals == []

    clean_run(main())


def test_a_browser_that_is_reloaded_goes_on_with_the_next_answer() -> None:  # F100
    async def main() -> None:
        player = LivePlayer()
        async with served(ServerOptions(script=(spoken(9000), spoken(1000)), rules=RULES)) as (url, servers):
            async with connect(config(url), speaker=player.speaker) as conversation:
                conversation.send_text("Tell me a story.")
                await until(conversation, SpeakingStarted)
                await asyncio.sleep(1.0)
                player.disconnect()
                player.speaker.lost()
                assert (await until(conversation, MessageEnded)).verdict is Verdict.PARTIAL
                player.connect()
                player.speaker.ready()
                assert (await conversation.send_text("Go on.")).outcome == "done"
                assert (await until(conversation, MessageEnded)).verdict is Verdict.FULL
                await until(conversation, SpeakingStopped)
            player.disconnect()
            assert player.signal.rstrip(bytes(1)).endswith(answers(servers[0])[1].audio.rstrip(bytes(1)))
            assert servers[0].refusals == []

    clean_run(main())


# -- no sound at all --------------------------------------------------------------------------------------------------------


def test_a_conversation_in_text_takes_no_time() -> None:
    """With nobody to listen, what came counts as heard: every message ends, as full, and nothing is ever cut."""

    async def main() -> None:
        async with served(ServerOptions(script=(spoken(9000, 5000),), rules=RULES)) as (url, servers):
            async with connect(config(url), speaker=NullSpeaker()) as conversation:
                conversation.send_text("Tell me a story.")
                ended = [await until(conversation, MessageEnded) for _ in range(2)]
                assert asyncio.get_running_loop().time() < 10.0
            assert [(each.verdict, each.heard_ms) for each in ended] == [(Verdict.FULL, 9000), (Verdict.FULL, 5000)]
            assert servers[0].refusals == []

    clean_run(main())


# -- a player on a thread of its own ----------------------------------------------------------------------------------------


def test_a_player_on_another_thread_moves_a_conversation_of_threads() -> None:  # F158
    """Its messages come on its own thread and are taken on the conversation's. On the real clock: nothing here takes any time."""
    told: queue.Queue[str | bytes | None] = queue.Queue()
    threads: set[int] = set()

    def play() -> None:
        heard: dict[int, int] = {}
        while (message := told.get()) is not None:
            if isinstance(message, bytes):
                generation = int.from_bytes(message[4:8], "little")
                heard[generation] = heard.get(generation, 0) + (len(message) - 12) // 2
                report = {"type": "played", "generation": generation, "samples": heard[generation]}
                speaker.received(json.dumps(report))

    class Watched(RemoteSpeaker):
        def tick(self, *, now: float) -> None:
            threads.add(threading.get_ident())
            super().tick(now=now)

    speaker = Watched(told.put)
    player = threading.Thread(target=play)
    player.start()
    try:
        with (
            served_in_a_thread(options=ServerOptions(script=(spoken(200),), rules=RULES)) as url,
            connect_in_threads(config(url), speaker=speaker) as conversation,
        ):
            conversation.send_text("Hello.")
            while not isinstance(notice := conversation.next_notice(timeout_s=5), MessageEnded):
                assert notice is not None
        assert (notice.verdict, notice.heard_ms) == (Verdict.FULL, 200)
    finally:
        told.put(None)
        player.join(5)
    assert len(threads) == 1 and player.ident not in threads
