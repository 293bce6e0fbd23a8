"""What a call of hours needs beyond a short one: a realtime server for each of its sessions, and the truth about every answer."""

import random
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from examples.telephone.far_end import FRAME, Telephone
from helpers.telephone import LiveLine, alike
from msgspec import Struct

from rtcore.sim.server import MessagePlan, PartPlan, ResponsePlan, Server, ServerItem, ServerOptions
from rtcore.sim.voices import Voice
from rtcore_adapters.testing._far import FarEnd

_ANSWERS = 400
"""So many answers are drawn for each session: more than there is time for."""
_AFTERWARDS_S = 2.0
"""So long after the network stood still what is believed of the far side may be wrong by it."""
SILENCE = b"\xff" * FRAME


class Servers:
    """Strict servers, one for each session that is opened, and each ends its session after an hour. A stage of a virtual loop."""

    def __init__(self, seed: int, voices: tuple[Voice, ...]) -> None:
        self.truths: list[Server] = []
        self._seed, self._voices = seed, voices
        self._lines: list[tuple[FarEnd, Server]] = []

    async def dial(self, host: str, port: int) -> socket.socket:
        """For ``connect(dial=...)``."""
        near, far = socket.socketpair()
        draw = random.Random(f"{self._seed} {len(self.truths)}")
        options = ServerOptions(script=tuple(_answer(draw) for _ in range(_ANSWERS)), session_s=3600)
        self.truths.append(Server(seed=draw.getrandbits(32), voices=self._voices, options=options))
        self._lines.append((FarEnd(far, tcp=False), self.truths[-1]))
        return near

    @property
    def answers(self) -> list[ServerItem]:
        """What the model said, in order."""
        return [
            item
            for truth in self.truths
            for item in truth.items.values()
            if item.role == "assistant" and item.origin == "response"
        ]

    def close(self) -> None:
        """Let go of every line."""
        for line, _ in self._lines:
            line.hang_up()

    # -- as a stage -----------------------------------------------------------------------------------------------------------

    @property
    def next_at(self) -> float | None:
        dues = [truth.deadline for line, truth in self._lines if line.open]
        return min((due for due in dues if due is not None), default=None)

    def step(self, now: float) -> None:
        for line, truth in self._lines:
            if line.open and truth.deadline is not None and truth.deadline <= now:
                self._say(line, truth, truth.tick(now=now))
                return

    def carry(self, now: float) -> bool:
        moved = False
        for line, truth in self._lines:
            moved |= line.carry()
            if line.request is not None and not line.answered:
                line.accept()
                self._say(line, truth, truth.connect(now=now))
            for payload in line.messages:
                self._say(line, truth, truth.receive(payload, now=now))
            line.messages.clear()
        if moved:
            self._lines = [each for each in self._lines if not each[0].ended]
        return moved

    def _say(self, line: FarEnd, truth: Server, payloads: list[bytes]) -> None:
        for payload in payloads:
            line.send(payload)
        if truth.closing is not None:
            line.close(*truth.closing)


def _answer(draw: random.Random) -> ResponsePlan:
    lengths = [draw.randint(1_500, 9_000) for _ in range(1 if draw.random() < 0.85 else 2)]
    messages = tuple(MessagePlan((PartPlan(audio_ms=length),)) for length in lengths)
    return ResponsePlan(messages, think_s=draw.uniform(0.1, 0.9), rate_percent=draw.choice((120, 200, 300, 1000)))


class Heard(Struct):
    """The truth about an answer, in ms."""

    item: ServerItem
    ms: float
    """What was played of it."""
    most_ms: float
    """What the last mark that had come back at the clear confirmed, and all that could have sounded from there on."""
    stood_still: bool
    """The network did, at about that time."""


class _Line(LiveLine):
    """Remembers what it had played when a mark came back, and when it was cleared."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.at_marks: dict[str, tuple[float, int]] = {}
        self.at_clears: list[tuple[float, int]] = []

    def _come_back(self, name: str, at: float) -> None:
        self.at_marks[name] = (at, self.played)
        super()._come_back(name, at)

    def _arrive(self, at: float, kind: str, data: bytes) -> None:
        super()._arrive(at, kind, data)
        if kind == "clear":
            self.at_clears.append((at, self.played))


class LongTelephone(Telephone):
    """A telephone that keeps account: what it was sent between one clear and the next, and what it played of that."""

    heard: _Line

    def __init__(self, **far: Any) -> None:
        super().__init__(line=_Line, bundle=10, **far)
        self._sent = [bytearray()]
        self._last_mark = (0.0, 0)
        self._confirmed: list[tuple[float, int]] = []  # at each clear: the last mark that had come back
        self._stood_still: list[float] = []

    async def send(self, message: str) -> None:
        await super().send(message)
        _, kind, data = self.heard.sent.pop()  # eight hours of them are not needed
        if kind == "media":
            self._sent[-1] += data
        elif kind == "clear":
            self._sent.append(bytearray())
            self._confirmed.append(self._last_mark)

    def stand_still(self, now: float, seconds: float) -> None:
        """Nothing that is sent to it arrives for so long."""
        self._stood_still += [now, now + seconds]
        self.heard.stall(until=now + seconds)

    def _marked(self, name: str) -> None:
        self._last_mark = self.heard.at_marks.get(name, self._last_mark)
        super()._marked(name)

    # -- the account ----------------------------------------------------------------------------------------------------------

    def account(self, answers: Iterable[ServerItem]) -> dict[str, Heard]:
        """The truth about every answer of which anything was sent, by its id. AssertionError where something else was sent: what
        had been cleared, or out of order.
        """
        self.heard.hang_up()
        ends = [*self.heard.at_clears, (self.heard.now, self.heard.played)]
        confirmed = [*self._confirmed, ends[-1]]
        waiting, found, began = deque(answers), dict[str, Heard](), 0
        assert len(ends) == len(self._sent), "a clear has not arrived"
        for sent, (at, end), (marked_at, marked) in zip(self._sent, ends, confirmed, strict=True):
            most = marked + (at - marked_at) * self.heard.rate - began
            still = any(marked_at - _AFTERWARDS_S < moment <= at for moment in self._stood_still)
            for item, start in _answers_in(bytes(sent), waiting):
                length = len(item.audio)
                heard, could = (max(0.0, min(length, until - start)) / 8 for until in (end - began, most))
                found[item.id] = Heard(item, heard, could, still)
            began = end
        return found


def _answers_in(sent: bytes, waiting: deque[ServerItem]) -> Iterator[tuple[ServerItem, int]]:
    """The answers that were sent between two clears, and where each begins; only the last may be sent in part."""
    at = 0
    while at < len(sent):
        while not sent.startswith(waiting[0].audio[: len(sent) - at][:FRAME], at):
            waiting.popleft()  # nothing of it was sent
            assert waiting, "something was sent that is no answer's beginning: what was cleared came back"
        item = waiting.popleft()
        yield item, at
        audio = item.audio
        same = len(audio) if sent.startswith(audio, at) else alike(sent[at:], audio)
        at += same
        assert same == len(audio) or at == len(sent), (
            f"{item.id} was left in its middle, and something else was sent without a clear"
        )
        padding = -at % FRAME
        if sent[at : at + padding] == SILENCE[:padding]:
            at += padding
