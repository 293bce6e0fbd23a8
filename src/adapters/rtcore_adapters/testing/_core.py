"""The bare core on the bench: a ``Session``, a speaker of numbers and the script, with nothing between them but time."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, Self, TypeVar, assert_never
from urllib.parse import urlsplit

from rtcore import (
    Config,
    Connect,
    Disconnect,
    Disconnection,
    Drain,
    Effect,
    Flush,
    Issued,
    Notice,
    Pause,
    Play,
    Resume,
    Send,
    Session,
)
from rtcore.policies import Policies
from rtcore_adapters._requested import session_of
from rtcore_adapters.testing._speaker import BenchSpeaker
from rtcore_adapters.testing._stage import Stage
from rtcore_adapters.testing._talk import Talk

N = TypeVar("N", bound=Notice)


class Core:
    """One conversation. ``do`` gives a command, ``wait`` and ``until`` let time pass; every notice is in ``notices``."""

    def __init__(self, stage: Stage, speaker: BenchSpeaker, config: Config, *, seed: int, policies: Policies | None) -> None:
        self.session = Session(config, clock=speaker.capabilities, seed=seed, policies=policies)
        self.now = stage.now
        self.notices: list[Notice] = []
        self._seen = 0
        self._stage = stage
        self._speaker = speaker
        self._talks: dict[int, Talk] = {}
        self._waiting: deque[Callable[[], list[Effect]]] = deque()
        self._carrying = False
        speaker.open(_Reports(self), now=self.now)
        self._feed(lambda: self.session.open(now=self.now))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._feed(lambda: self.session.close(now=self.now))
        self._speaker.close(now=self.now)

    # -- what a test does -----------------------------------------------------------------------------------------------------

    def do(self, command: Callable[..., Issued | list[Effect]], *args: Any, **options: Any) -> int | None:
        """A command of the session's, now: ``core.do(core.session.send_text, "Hello")``. Gives the request's number, if it has
        one."""
        given = command(*args, **options, now=self.now)
        request, effects = given if isinstance(given, Issued) else (None, given)
        self._feed(lambda: effects)
        return request

    def wait(self, seconds: float) -> None:
        """Let so much time pass."""
        until = self.now + seconds
        while (due := self._due()) is not None and due <= until:
            self._turn(due)
        self.now = max(self.now, until)
        self._feed(lambda: self.session.tick(now=self.now))

    def until(self, kind: type[N], *, within: float = 60.0) -> N:
        """The next notice of this kind behind the one that was waited for before; time passes until it is told.
        ``TimeoutError`` where none is ``within`` so many seconds."""
        end = self.now + within
        while True:
            while self._seen < len(self.notices):
                notice = self.notices[self._seen]
                self._seen += 1
                if isinstance(notice, kind):
                    return notice
            if (due := self._due()) is None or due > end:
                raise TimeoutError(f"no {kind.__name__} within {within:g} s")
            self._turn(due)

    def until_over(self, *, within: float = 3600.0) -> None:
        """Let time pass until the script has happened and its last answer was heard."""
        end = self.now + within
        while not self._stage.over:
            if self.now >= end:
                raise TimeoutError(f"the script is not over after {within:g} s: {'; '.join(self._stage.left())}")
            self.wait(0.1)
            self._stage.now = self.now

    # -- time -----------------------------------------------------------------------------------------------------------------

    def _due(self) -> float | None:
        deadline = self.session.deadline
        dues = [self._stage.next_at, deadline.at if deadline is not None else None, self._speaker.deadline]
        return min((due for due in dues if due is not None), default=None)

    def _turn(self, due: float) -> None:
        self.now = max(self.now, due)
        stage_at = self._stage.next_at
        if stage_at is not None and stage_at <= self.now:
            self._stage.step(self.now)
            self._feed(self._heard)
            return
        if (speaker_at := self._speaker.deadline) is not None and speaker_at <= self.now:
            self._speaker.tick(now=self.now)
            self._carry()
        self._feed(lambda: self.session.tick(now=self.now))

    def _hear(self) -> None:
        """What the server has said reaches the session, and that it has gone."""
        for number, talk in list(self._talks.items()):
            said, talk.out = talk.out, []
            for payload in said:
                self._waiting.append(partial(self._receive, number, payload))
            if talk.server.closing is not None and not talk.ended:
                talk.ended = True
                self._lose(number, Disconnection(close_code=talk.server.closing[0], reason=talk.server.closing[1]))
            elif talk.ended:
                self._lose(number, Disconnection(error="the connection was reset by the other side"))

    def _receive(self, number: int, payload: bytes) -> list[Effect]:
        return self.session.receive(number, payload, now=self.now)

    def _lose(self, number: int, cause: Disconnection) -> None:
        del self._talks[number]
        self._waiting.append(lambda: self.session.disconnected(number, cause, now=self.now))

    # -- effects --------------------------------------------------------------------------------------------------------------

    def _feed(self, step: Callable[[], list[Effect]]) -> None:
        self._waiting.append(step)
        self._carry()

    def _carry(self) -> None:
        """All effects of one input are carried out before the next."""
        if self._carrying:
            return
        self._carrying = True
        try:
            while self._waiting:
                for effect in self._waiting.popleft()():
                    self._carry_out(effect)
        finally:
            self._carrying = False

    def _carry_out(self, effect: Effect) -> None:
        now = self.now
        match effect:
            case Play(pcm, format, generation):
                self._speaker.play(pcm, format, generation, now=now)
            case Drain(generation):
                self._speaker.drain(generation, now=now)
            case Flush(generation):
                self._speaker.flush(generation, now=now)
            case Pause(generation):
                self._speaker.pause(generation, now=now)
            case Resume(generation):
                self._speaker.resume(generation, now=now)
            case Send(number, payload):
                if (talk := self._talks.get(number)) is not None:
                    talk.take(payload, now=now)
                    self._stage.settle(talk)
                    self._waiting.append(self._heard)
            case Connect(number, request):
                self._dial(number, request.url)
            case Disconnect(number):
                if (talk := self._talks.pop(number, None)) is not None:
                    talk.ended = True
            case Notice():
                self.notices.append(effect)
            case _:
                assert_never(effect)

    def _heard(self) -> list[Effect]:
        self._hear()
        return []

    def _dial(self, number: int, url: str) -> None:
        parts = urlsplit(url)
        found = session_of(f"{parts.path}?{parts.query}")
        refused = self._stage.script.rejecting.pop(0) if self._stage.script.rejecting else None
        if found is None or refused is not None:
            cause = Disconnection(http_status=refused or 404)
            self._waiting.append(lambda: self.session.disconnected(number, cause, now=self.now))
            return
        self._talks[number] = self._stage.attach(found, now=self.now)
        self._waiting.append(lambda: self.session.connected(number, now=self.now))
        self._waiting.append(self._heard)


class _Reports:
    """What the speaker tells becomes an input of the session's."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def _add(self, report: Callable[..., list[Effect]], *args: Any) -> None:
        self._core._waiting.append(lambda: report(*args, now=self._core.now))

    def played(self, generation: int, samples: int) -> None:
        self._add(self._core.session.played, generation, samples)

    def flushed(self, generation: int, samples: int) -> None:
        self._add(self._core.session.flushed, generation, samples)

    def underrun(self, generation: int) -> None:
        self._add(self._core.session.underrun, generation)

    def device(self, state: Literal["lost", "ready"]) -> None:
        self._add(self._core.session.device, state)

    def wake(self) -> None:
        """It has nothing from outside."""
