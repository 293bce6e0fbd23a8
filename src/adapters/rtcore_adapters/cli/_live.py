"""Conversations for real: strict servers on loopback ports, clients on ``rtcore_adapters.asyncio``, speech at real speed.

Every conversation has a server of its own, in this process, so that its ground truth is at hand. A person makes a turn,
interrupts the answer at the scene's point by another turn, and listens to the answer to that. ``_heard`` judges what came of it.
"""

import asyncio
import gc
import socket
import threading
from collections.abc import Callable, Sequence
from functools import partial

import anyio
from msgspec import Struct

from rtcore import (
    LocalProtocolError,
    MessageEnded,
    Notice,
    ResponseStarted,
    UserSpeechStarted,
    UserSpeechStopped,
    Verdict,
)
from rtcore.sim.results import KindResult
from rtcore.sim.server import Server
from rtcore.sim.voices import Voice
from rtcore_adapters.asyncio import ConnectionFailed, Conversation, connect
from rtcore_adapters.cli._heard import Hearing, Message, Recorder, hearing, old_sound_us
from rtcore_adapters.cli._person import Person, Utterance, clip, stutter
from rtcore_adapters.cli._scene import TOOL_S, Scene, aim
from rtcore_adapters.cli.serve import serve
from rtcore_adapters.tools import tool
from rtcore_adapters.voices import load_voices

_PATIENCE_S = 25.0
"""How long a conversation may take before it counts as stuck."""
_VOICES = ("order", "weather", "pause", "fr_museum", "es_recipe", "preamble")
_SAMPLE_S = 0.01


class Received(Struct, frozen=True):
    """How many samples of a message the server had sent at a time (``now`` seconds)."""

    at: float
    item_id: str
    samples: int


class Talked(Struct, frozen=True):
    """One live conversation: what it was to be, what was heard, and whether it was right. Times are ``now`` seconds."""

    scene: Scene
    began: float
    ended: float
    opened: float
    """When the speaker's signal begins."""
    hearing: Hearing
    received: tuple[Received, ...]
    said: tuple[Utterance, ...]
    detected_at: tuple[float, ...]
    """When the server said that the person speaks."""
    flushed_at: tuple[float, ...]
    signal: bytes
    """What was audible: PCM16, 24 kHz, silences included."""
    result: KindResult
    faults: tuple[str, ...]


class LiveResult(Struct, frozen=True):
    """The live part: its conversations, and what was left behind (tasks, sockets, threads) by name."""

    talks: tuple[Talked, ...]
    left_behind: tuple[str, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """Everything that was wrong, in words."""
        told = []
        for talk in self.talks:
            told += [f"conversation {talk.scene.number + 1} ({talk.scene.kind}): {fault}" for fault in talk.faults]
        return (*told, *(f"left behind: {what}" for what in self.left_behind))

    @property
    def kinds(self) -> tuple[KindResult, ...]:
        """The figures by kind of interruption."""
        kinds: dict[str, KindResult] = {}
        for talk in self.talks:
            kind = talk.result.kind
            kinds[kind] = kinds[kind] + talk.result if kind in kinds else talk.result
        return tuple(kinds[name] for name in sorted(kinds))


def talk_for_real(scenes: Sequence[Scene], told: Callable[[int], None] = lambda done: None) -> LiveResult:
    """Hold these conversations at once, at real speed; ``told`` hears how many are over. Blocks for as long as they take."""
    threads, sockets = set(threading.enumerate()), _sockets()
    talks, tasks = asyncio.run(_talk_all(scenes, told))
    left = [f"task {name}" for name in tasks]
    left += [f"thread {thread.name}" for thread in threading.enumerate() if thread not in threads]
    left += [f"socket {each}" for each in _sockets() - sockets]
    return LiveResult(talks, tuple(left))


def _sockets() -> set[str]:
    return {repr(each) for each in gc.get_objects() if isinstance(each, socket.socket) and each.fileno() != -1}


async def _talk_all(scenes: Sequence[Scene], told: Callable[[int], None]) -> tuple[tuple[Talked, ...], tuple[str, ...]]:
    mine = asyncio.all_tasks()
    voices = load_voices()
    found: dict[int, Talked] = {}

    async def one(scene: Scene) -> None:
        found[scene.number] = await _Live(scene, voices).talk()
        told(len(found))

    async with anyio.create_task_group() as tasks:
        for scene in scenes:
            tasks.start_soon(one, scene)
    left = tuple(sorted(task.get_name() for task in asyncio.all_tasks() - mine))
    return tuple(found[number] for number in sorted(found)), left


class _Live:
    """One conversation."""

    def __init__(self, scene: Scene, voices: Sequence[Voice]) -> None:
        self._scene = scene
        self._voices = {voice.name: voice for voice in voices}
        self._all_voices = voices
        self._person = Person()
        self._speaker = Recorder(block_ms=scene.block_ms, flush_ms=scene.flush_ms)
        self._server: Server | None = None
        self._received: list[Received] = []
        self._notices: list[Notice] = []
        self._turns = 0
        self._aimed = False
        self._stuttering = False
        self._cut_at: int | None = None
        self._problem: str | None = None
        self._now: Callable[[], float] = asyncio.get_running_loop().time

    async def talk(self) -> Talked:
        """From the first word to the last."""
        scene = self._scene
        began = self._now()
        await asyncio.sleep(scene.starts_after_s)
        async with anyio.create_task_group() as tasks:
            port: int = await tasks.start(
                partial(serve, seed=scene.server_seed, options=scene.server, voices=self._all_voices, opened=self._opened)
            )
            if scene.number == 0:
                tasks.start_soon(self._watch_server)
            try:
                with anyio.fail_after(_PATIENCE_S):
                    await self._converse(port)
            except TimeoutError:
                self._problem = f"no end after {_PATIENCE_S:.0f} s"
            except (ConnectionFailed, LocalProtocolError) as error:
                self._problem = str(error)
            tasks.cancel_scope.cancel()
        return self._judged(began, self._now())

    def _opened(self, number: int, server: Server) -> None:
        self._server = server

    async def _converse(self, port: int) -> None:
        config = self._scene.config(port)
        tools = {"look_up": tool(_look_up, name="look_up")}  # held to its signature, which takes no package for schemas
        speaker, person, seed = self._speaker, self._person, self._scene.number
        async with connect(config, speaker=speaker, microphone=person, tools=tools, seed=seed) as conversation:
            self._say(self._now() + 0.2)
            async for notice in conversation:
                self._notices.append(notice)
                self._react(conversation, notice)
                if self._over():
                    return

    def _say(self, heard_at: float, *, stuttering: bool = False) -> None:
        """A turn of the person's, heard from this instant on."""
        index = self._scene.number + self._turns
        speech = clip(self._voices[_VOICES[index % len(_VOICES)]], self._scene.turns_ms[min(self._turns, 1)])
        self._person.say(stutter(speech) if stuttering else speech, heard_at=heard_at, now=self._now())
        self._turns += 1

    def _react(self, conversation: Conversation, notice: Notice) -> None:
        scene = self._scene
        if not self._aimed and (at := aim(scene, notice, self._now())) is not None:
            self._aimed = True
            self._stuttering = scene.kind == "twice within 100 ms"
            if self._stuttering:
                # The shortest pause ends a turn, until the second start has been heard.
                _set_silence(conversation, scene, 20)
            self._say(at, stuttering=self._stuttering)
        elif self._aimed and isinstance(notice, UserSpeechStarted):
            if self._stuttering:
                self._stuttering = False
                _set_silence(conversation, scene, 500)
            if self._cut_at is None:
                self._cut_at = len(self._notices) - 1

    def _over(self) -> bool:
        """A response to the turn that interrupted has been heard to its end."""
        if self._cut_at is None:
            return False
        last_stop = max((i for i, notice in enumerate(self._notices) if isinstance(notice, UserSpeechStopped)), default=0)
        if last_stop < self._cut_at or (self._turns < 2 or self._person.speaking):
            return False
        begun = {notice.response_id for notice in self._notices[last_stop:] if isinstance(notice, ResponseStarted)}
        return any(
            isinstance(notice, MessageEnded) and notice.response_id in begun and notice.verdict is Verdict.FULL
            for notice in self._notices[last_stop:]
        )

    async def _watch_server(self) -> None:
        """Keep how much the server had sent of each message, for the picture."""
        known: dict[str, int] = {}
        while True:
            for item in () if self._server is None else self._server.items.values():
                sent = sum(part.sent_samples for part in item.parts)
                if sent != known.get(item.id, 0):
                    known[item.id] = sent
                    self._received.append(Received(self._now(), item.id, sent))
            await asyncio.sleep(_SAMPLE_S)

    # -- afterwards -----------------------------------------------------------------------------------------------------------

    def _judged(self, began: float, ended: float) -> Talked:
        server, speaker, scene = self._server, self._speaker, self._scene
        ends = [notice for notice in self._notices if isinstance(notice, MessageEnded)]
        found = hearing(server, speaker, ends) if server is not None else Hearing()
        detected = tuple(entry.at for entry in server.log if entry.type == "input_audio_buffer.speech_started") if server else ()
        faults = list(found.faults)
        answered = self._problem is None and self._over() and _heard_in_full(found.messages, ends)
        if self._problem is not None:
            faults.append(self._problem)
        if not answered:
            faults.append("the next turn was not answered and heard")
        old, after = self._cut()
        silence = {}
        if speaker.silenced and len(detected) > 1:
            silence = {old_sound_us(found, old, detected[1]): 1}
        verdicts = [notice.verdict.value for notice in after]
        result = KindResult(
            scene.kind,
            interruptions=1,
            verdicts={name: verdicts.count(name) for name in sorted(set(verdicts))},
            truncation_error_ms={error: found.truncation_errors_ms.count(error) for error in found.truncation_errors_ms},
            silence_us=silence,
            unheard_left=found.unheard_left,
            server_errors=found.server_errors,
            answered=int(answered),
            unanswered=int(not answered),
        )
        return Talked(
            scene,
            began,
            ended,
            speaker.opened,
            found,
            tuple(self._received),
            tuple(self._person.said),
            detected,
            tuple(each.at for each in speaker.silenced),
            bytes(speaker.signal),
            result,
            tuple(faults),
        )

    def _cut(self) -> tuple[frozenset[str], list[MessageEnded]]:
        """The responses that the interruption found, and the messages of theirs that had not ended."""
        if self._cut_at is None:
            return frozenset(), []
        before, after = self._notices[: self._cut_at], self._notices[self._cut_at :]
        old = frozenset(notice.response_id for notice in before if isinstance(notice, ResponseStarted))
        return old, [notice for notice in after if isinstance(notice, MessageEnded) and notice.response_id in old]


def _heard_in_full(messages: Sequence[Message], ends: Sequence[MessageEnded]) -> bool:
    """The last message that the program takes for heard is whole in the signal, too."""
    full = [notice.item_id for notice in ends if notice.verdict is Verdict.FULL]
    last = next((message for message in messages if full and message.item_id == full[-1]), None)
    return last is not None and last.heard == last.sent == last.planned


def _set_silence(conversation: Conversation, scene: Scene, ms: int) -> None:
    conversation.update({"audio": {"input": {"turn_detection": scene.turn_detection(ms)}}})


async def _look_up(query: str) -> str:
    """Look something up."""
    await asyncio.sleep(TOOL_S)
    return f"Nothing is known about {query}"
