"""The bench's one door: script, run, and the accounts."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from fnmatch import fnmatchcase
from importlib import import_module
from inspect import iscoroutine
from typing import Any, Literal, Self, TypeVar, get_args

import msgspec

from rtcore import Config
from rtcore.config import Connection
from rtcore.policies import Policies
from rtcore.sim.judge import Finding
from rtcore.sim.server import Refusal
from rtcore_adapters.testing._accounts import Memory, judged, messages, remembered
from rtcore_adapters.testing._core import Core
from rtcore_adapters.testing._faults import checked
from rtcore_adapters.testing._script import Answer, Call, Cue, Ends, Refusing, Written, speech
from rtcore_adapters.testing._speaker import BenchSpeaker
from rtcore_adapters.testing._stage import Stage, event_of
from rtcore_adapters.testing._talk import APPEND
from rtcore_adapters.testing._thread import RealTime
from rtcore_adapters.testing._timeline import Timeline
from rtcore_adapters.testing._virtual import Jumper, run_asyncio

T = TypeVar("T")
Runtime = Literal["asyncio", "trio"]
Over = Callable[[Callable[[float], Awaitable[object]]], Coroutine[Any, Any, None]]

_LOOK_S = 0.05
_CODES = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}
"""With which a websocket may be closed (RFC 6455, 7.4; the others of it are never sent)."""


class ScriptError(AssertionError):
    """The script did not happen as it was written; the text says what of it did not."""


class RealtimeServer:
    """A strict realtime server that follows a script. Write the script first, in the order in which it is to happen; then let the
    client run; then ask what came of it.

    ``seed`` fixes its ids. ``strict``: the fixture fails a test in which something of the script did not happen.
    """

    def __init__(self, *, seed: int = 1, strict: bool = True) -> None:
        self.strict = strict
        self._timeline = Timeline()
        self._stage = Stage(seed=seed, timeline=self._timeline)
        self._speakers: list[BenchSpeaker] = []
        self._real: RealTime | None = None
        self._virtual = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up on whoever is connected, and stop listening."""
        if self._real is not None:
            self._real.stop()
            self._real = None
        self._stage.close()

    # -- the script -----------------------------------------------------------------------------------------------------------

    def answers(
        self,
        *said: str | Call | Written,
        pace: float = 1.0,
        thinks: float = 0.3,
        speed: float = 3.0,
        stalls: Sequence[tuple[int, float]] = (),
        ends: Ends = "completed",
        detail: str | None = None,
    ) -> Answer:
        """The next answer, whoever asks for it: one message for each text, one function call for each ``call(...)``, a message
        in text alone for ``Written(...)``.

        ``pace``: 2 speaks twice as fast. ``thinks``: seconds until its first event. ``speed``: how much faster than real time its
        audio is sent. ``stalls``: pairs of a word (from 1) before which sending stands still, and for how many seconds. ``ends``:
        ``"failed"`` or ``"incomplete"`` after all of it was sent, with ``detail`` as the error's code or the reason.

        Answers are fixed when the first client has come (``RuntimeError``). Whatever is asked for beyond them is answered with
        "This answer is not in the script."
        """
        with self._changing():
            if self._stage.sealed:
                raise RuntimeError("answers are scripted before the first client connects: move this up")
            return self._stage.script.answer(said, pace=pace, thinks=thinks, speed=speed, stalls=stalls, ends=ends, detail=detail)

    def user_says(self, text: str, *, at: float | None = None, lasts: float | None = None) -> None:
        """The user says this, as the server's turn detection would find it: half a second after the answer before it was heard
        (the first time: after the session was set up), or ``at`` seconds after the session was set up. ``lasts``: for how many
        seconds; otherwise as long as such words take."""
        with self._changing():
            self._cue(speech(text, at=at, lasts=lasts), None)

    def user_interrupts(self, text: str = "Wait.", *, at_word: int, lasts: float | None = None) -> None:
        """The user says this when word ``at_word`` (from 1, over all messages) of the answer before it has been said, and the
        next has not begun."""
        with self._changing():
            self._cue(speech(text, at=None, lasts=lasts), at_word)

    def drops_line(self, *, at_word: int | None = None, at: float | None = None, code: int | None = None) -> None:
        """The line breaks without a word, or the server closes it with ``code``: after the answer before it was heard, at its
        word ``at_word``, or ``at`` seconds after the session was set up. Later answers are given on whatever line comes next."""
        if code is not None and code not in _CODES:
            raise ValueError(
                f"code: {code} cannot be sent (1000 to 1003, 1007 to 1014, 3000 to 4999); a line that breaks has none"
            )
        with self._changing():
            self._cue(Cue("drop", at=at, code=code), at_word)

    def sends(self, event: Mapping[str, Any], *, at_word: int | None = None, at: float | None = None) -> None:
        """The server sends this event, whatever it means; when as in ``drops_line``."""
        payload = event_of(event)
        with self._changing():
            self._cue(Cue("send", at=at, event=payload), at_word)

    def refuses(self, type: str, *, code: str = "rate_limit_exceeded", message: str = "Refused.", times: int = 1) -> None:
        """The next ``times`` client events of this type are answered with an error, and have no effect."""
        if times < 1:
            raise ValueError(f"times: {times} is below 1")
        with self._changing():
            self._stage.script.refusing.append(Refusing(type, code, message, times))

    def rejects(self, status: int = 401, *, times: int = 1) -> None:
        """The next ``times`` handshakes are answered with this HTTP status."""
        if not 400 <= status <= 599:
            raise ValueError(f"status: {status} is no HTTP error (400 to 599)")
        with self._changing():
            self._stage.script.rejecting += [status] * times

    def faults(self, *names: str) -> None:
        """All answers and events have these faults, named as in the catalogue (``rtcore.sim.FAULTS``, docs/faults.md), with or
        without the group: ``faults("bursts", "odd bytes")``. ``ValueError`` names those that can be scripted."""
        found = checked(names)
        with self._changing():
            if self._stage.sealed:
                raise RuntimeError("faults are scripted before the first client connects: move this up")
            self._stage.faults |= found

    def _cue(self, cue: Cue, at_word: int | None) -> None:
        self._stage.script.cue(cue, at_word)
        if cue.at is not None:
            self._stage.time(cue)

    # -- the client -----------------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where any client connects, on loopback: ``ws://127.0.0.1:PORT/v1/realtime``. Outside of ``run`` it is served on the
        real clock, by a thread, from the first time that it is asked for. Other paths are other dialects, as with ``rtcore
        serve``."""
        port = self._stage.listen()
        if self._real is None and not self._virtual:
            self._real = RealTime(self._stage)
        return f"ws://127.0.0.1:{port}/v1/realtime"

    @property
    def connection(self) -> Connection:
        """The same for rtcore: ``Config(connection=server.connection)``."""
        return Connection(url=self.url, api_key="test", dialect="openai")

    async def dial(self, host: str = "", port: int = 0) -> socket.socket:
        """For ``connect(config, dial=server.dial)`` on asyncio and trio: a connection without a network between, with which equal
        runs are equal to the bit. ``host`` and ``port`` are not looked at. Only in ``run``."""
        if not self._virtual:
            raise RuntimeError("dial is for programs in run(); on the real clock connect to url")
        return self._stage.pair()

    def speaker(self, *, block_ms: int = 100, flush_ms: int = 0) -> BenchSpeaker:
        """A speaker for a client of rtcore's: it keeps what it sounds, so that ``heard`` need not believe anybody. One for each
        conversation. ``block_ms`` is how often it reports (a device: 10 or 20; the count is exact in any case), ``flush_ms`` how
        long it goes on when it is told to stop."""
        speaker = BenchSpeaker(block_ms=block_ms, flush_ms=flush_ms)
        self._speakers.append(speaker)
        return speaker

    def core(self, config: Config | None = None, *, seed: int = 1, policies: Policies | None = None) -> Core:
        """The bare core, connected, in time that passes only when it is told to."""
        connection = Connection(url="ws://127.0.0.1/v1/realtime", api_key="test", dialect="openai")
        return Core(self._stage, self.speaker(), config or Config(connection=connection), seed=seed, policies=policies)

    def run(
        self,
        main: Callable[[], Coroutine[Any, Any, T]],
        *,
        runtime: Runtime = "asyncio",
        within: float = 3600.0,
        until_over: bool = False,
    ) -> T | None:
        """Run a coroutine function in virtual time, on asyncio or trio, and give what it returns. The clock jumps to whatever is
        due next, so ten minutes pass in no time; the client is any that runs on this runtime's own clock.

        ``within``: virtual seconds after which it is cancelled (``TimeoutError``). ``until_over``: it is cancelled as soon as the
        script has happened and the last answer was heard, and None is returned; for agents that never end by themselves.
        """
        if runtime not in get_args(Runtime):
            raise ValueError(f"runtime: {runtime!r} is none of {', '.join(get_args(Runtime))}")
        if _on_asyncio():
            raise RuntimeError("run() has a loop of its own: call it in a plain test, or connect to url, on the real clock")
        given: object = main
        if not callable(given):
            if iscoroutine(given):
                given.close()
            raise TypeError("main: give the function, not what it returns: run(lambda: agent(server.connection))")
        if self._real is not None:
            if self._stage.talks:
                raise RuntimeError("a client has connected on the real clock: use a server of its own for run()")
            self._real.stop()
            self._real = None
        self._virtual = True
        try:
            jumper = Jumper(self._stage)
            if runtime == "trio":
                on_trio: Any = import_module("rtcore_adapters.testing._on_trio")  # an extra, which not everybody has
                result: T | None = on_trio.run_within(main, jumper, within, self._over_soon if until_over else None)
                return result
            return run_asyncio(lambda: _within(main, within, self._over_soon if until_over else None), jumper=jumper)
        finally:
            self._virtual = False

    def wait_until_over(self, *, within: float = 60.0) -> None:
        """Block until the script has happened and its last answer was heard, on the real clock. ``TimeoutError`` says what is
        missing."""
        end = time.monotonic() + within
        while not self.over:
            if time.monotonic() > end:
                raise TimeoutError(f"the script is not over after {within:g} s: {'; '.join(self.left)}")
            time.sleep(_LOOK_S)

    async def until_over(self) -> None:
        """The same for a program in ``run``."""
        if _on_asyncio():
            await self._over_soon(asyncio.sleep)
        else:
            await self._over_soon(import_module("trio").sleep)

    async def _over_soon(self, sleep: Callable[[float], Awaitable[object]]) -> None:
        while not self.over:
            await sleep(_LOOK_S)

    @property
    def over(self) -> bool:
        """Whether the script has happened and the last answer was heard, half a second ago."""
        with self._looking():
            if self._real is not None:
                self._stage.now = time.monotonic()
            return self._stage.over

    # -- the accounts ---------------------------------------------------------------------------------------------------------

    @property
    def heard(self) -> list[str]:
        """What was heard of each spoken message of the model's, in order: whole words, and ``""`` where none was.

        With a speaker of the bench, that is what it sounded, sample by sample. For any other client it is what the client told:
        up to its truncate, nothing of what it deleted, otherwise everything.
        """
        with self._looking():
            return [each.heard for each in messages(self._stage.talks, self._speakers, now=self._stage.now)]

    @property
    def unheard_left(self) -> list[str]:
        """The words that the model's conversation holds although nobody heard them. Without a speaker of the bench: although a
        listener who played everything at once, and stopped at the interruption, had not heard them."""
        with self._looking():
            told = messages(self._stage.talks, self._speakers, now=self._stage.now)
            return [word for each in told for word in each.unheard]

    @property
    def remembers(self) -> list[Memory]:
        """The model's conversation on the latest connection, as ``(role, text)``: ``user``, ``assistant``, ``system``, and for
        tools ``call`` and ``output``."""
        with self._looking():
            return remembered(self._stage.talks[-1]) if self._stage.talks else []

    def sent(self, *types: str) -> list[dict[str, Any]]:
        """The client's events over all connections, in order: those of these types (``"response.*"`` matches as in a shell), or
        all but microphone audio."""
        with self._looking():
            passed = [each for talk in self._stage.talks for each in talk.sent]
        wanted = [
            each
            for each in passed
            if (any(fnmatchcase(each.type, pattern) for pattern in types) if types else each.type != APPEND)
        ]
        return [msgspec.json.decode(each.payload) for each in wanted if each.type]

    @property
    def refusals(self) -> list[Refusal]:
        """The errors that the server gave because a client event was wrong; those that the script asked for are not here."""
        with self._looking():
            return [each for talk in self._stage.talks for each in talk.server.refusals if not each.injected]

    @property
    def findings(self) -> list[Finding]:
        """What else the client did wrong, as the judge of ``rtcore audit`` reads the messages (docs/judging.md). It goes by
        bounds:
        no client has heard more than it received, nor faster than real time."""
        with self._looking():
            return [each for talk in self._stage.talks for each in judged(talk)]

    @property
    def left(self) -> list[str]:
        """What of the script has not happened, or could not."""
        with self._looking():
            return [*self._stage.problems, *self._stage.left()]

    @property
    def story(self) -> str:
        """The conversation, one line per event, and the accounts."""
        with self._looking():
            lines = self._timeline.text()
        accounts = {
            "heard": self.heard,
            "remembers": [f"{role}: {text}" for role, text in self.remembers],
            "unheard left": self.unheard_left,
            "refused": [f"{each.code}: {each.message}" for each in self.refusals],
            "found wrong": [f"{each.name}: {each.text}" for each in self.findings],
            "not happened": self.left,
        }
        for name, account in accounts.items():
            lines += [f"{name + ':':<14}{each!r}" for each in account]
        return "\n".join(lines)

    def check(self) -> None:
        """Raise ``ScriptError`` where something of the script did not happen. The fixture does so at the end of a test that has
        passed, unless ``strict`` was set to False."""
        if left := self.left:
            raise ScriptError("the script did not happen as written:\n  " + "\n  ".join(left))

    def _looking(self) -> AbstractContextManager[object]:
        return self._real.lock if self._real is not None else nullcontext()

    def _changing(self) -> AbstractContextManager[object]:
        return _Waking(self._real) if self._real is not None else nullcontext()


class _Waking:
    """Holds the lock; the thread looks again behind it."""

    def __init__(self, real: RealTime) -> None:
        self._real = real

    def __enter__(self) -> None:
        self._real.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._real.lock.release()
        self._real.wake()


def _on_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _within(main: Callable[[], Coroutine[Any, Any, T]], within: float, over: Over | None) -> T | None:
    limit = asyncio.timeout(within)
    try:
        async with limit:
            return await (main() if over is None else _first(main, over))
    except TimeoutError:
        if limit.expired():
            raise TimeoutError(f"the program has not ended after {within:g} s of virtual time") from None
        raise


async def _first(main: Callable[[], Coroutine[Any, Any, T]], over: Over) -> T | None:
    """What ``main`` returns or raises, or None where ``over`` was first."""
    running, ending = asyncio.ensure_future(main()), asyncio.ensure_future(over(asyncio.sleep))
    try:
        await asyncio.wait([running, ending], return_when=asyncio.FIRST_COMPLETED)
    finally:
        running.cancel()
        ending.cancel()
        await asyncio.wait([running, ending])
    return None if running.cancelled() else running.result()
