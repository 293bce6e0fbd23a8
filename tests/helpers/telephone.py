"""The far side of a telephone's media stream, in virtual time: what the person on the phone heard, and which marks come back.

It plays what it was sent, in order, at its own speed. A mark comes back when what stood before it has been played, or when the
queue was cleared. What it is told takes ``out_s`` to arrive, what it tells ``back_s``; nothing is overtaken. Which marks come
back late, never or twice, a generator decides.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import Any

from speaker_contract import Rig

from rtcore import PCMU, AudioFormat
from rtcore_adapters.audio import MarksSpeaker

RATE = 8000


class FarSide:
    """Feed it ``media``, ``mark`` and ``clear`` at ``now``; call ``advance`` when ``next_at`` is reached."""

    def __init__(
        self,
        marked: Callable[[str], object],
        *,
        out_s: float = 0.0,
        back_s: float = 0.0,
        ppm: int = 0,
        late_s: float = 0.0,
        never: float = 0.0,
        twice: float = 0.0,
        clears: bool = True,
        seed: int = 0,
    ) -> None:
        self.now = 0.0
        self.sent: list[tuple[float, str, bytes]] = []
        """Every message to it: when, what, and what it held."""
        self.most_held = 0.0
        """Seconds: the longest its queue ever was."""
        self._marked = marked
        self._out_s, self._back_s, self._late_s = out_s, back_s, late_s
        self._never, self._twice = never, twice
        self._clears = clears
        self._random = random.Random(seed)
        self.rate = RATE * (1 + ppm / 1e6)
        self._arriving: deque[tuple[float, str, bytes]] = deque()
        self._answers: list[tuple[float, int, str]] = []
        self._pieces: deque[tuple[float, bytes]] = deque()  # when it begins to sound, what
        self._past = bytearray()  # those that have sounded to their end
        self._speech = 0  # samples of these that are not silence
        self._free = 0.0  # when everything has been played
        self._waiting: deque[tuple[float, str]] = deque()  # marks, and when they are reached
        self._told_at = 0.0
        self._count = 0
        self._stalled = 0.0

    # -- what the speaker calls ---------------------------------------------------------------------------------------------

    def media(self, payload: bytes) -> None:
        self._take("media", payload)

    def mark(self, name: str) -> None:
        self._take("mark", name.encode())

    def clear(self) -> None:
        assert self._clears
        self._take("clear", b"")

    def _take(self, kind: str, data: bytes) -> None:
        self.sent.append((self.now, kind, data))
        self._arriving.append((max(self._stalled, self.now + self._out_s), kind, data))

    def stall(self, *, until: float) -> None:
        """The network stands still: nothing arrives before ``until``."""
        self._stalled = until

    # -- time ---------------------------------------------------------------------------------------------------------------

    @property
    def next_at(self) -> float | None:
        due = [at for at, _, _ in self._answers]
        due += [self._arriving[0][0]] if self._arriving else []
        due += [self._waiting[0][0]] if self._waiting else []
        return min(due, default=None)

    def advance(self, now: float) -> None:
        while (at := self.next_at) is not None and at <= now:
            self.now = max(self.now, at)
            if self._waiting and self._waiting[0][0] <= at:
                self._come_back(self._waiting.popleft()[1], at)
            elif self._arriving and self._arriving[0][0] <= at:
                self._arrive(*self._arriving.popleft())
            else:
                self._answers.sort()
                self._marked(self._answers.pop(0)[2])
        self.now = max(self.now, now)

    def _arrive(self, at: float, kind: str, data: bytes) -> None:
        match kind:
            case "media":
                self._free = max(self._free, at)
                self._pieces.append((self._free, data))
                self._free += len(data) / self.rate
                self.most_held = max(self.most_held, self._free - at)
            case "mark":
                self._waiting.append((max(self._free, at), data.decode()))
            case _:
                self._pieces = deque((begun, self._until(at, begun, piece)) for begun, piece in self._pieces if begun < at)
                self._free = min(self._free, at)
                while self._waiting:
                    self._come_back(self._waiting.popleft()[1], at)

    def _until(self, at: float, begun: float, piece: bytes) -> bytes:
        return piece[: int((at - begun) * self.rate + 1e-6)]

    def _come_back(self, name: str, at: float) -> None:
        if self._random.random() < self._never:
            return
        for _ in range(2 if self._random.random() < self._twice else 1):
            self._told_at = max(self._told_at, at + self._back_s + self._random.random() * self._late_s)
            self._count += 1
            self._answers.append((self._told_at, self._count, name))

    # -- the truth ----------------------------------------------------------------------------------------------------------

    def audible(self) -> bytes:
        """What has sounded until now, one piece behind the other, padding included."""
        present = self._present()
        return bytes(self._past) + present

    @property
    def played(self) -> int:
        """How many bytes that is."""
        present = self._present()
        return len(self._past) + len(present)

    @property
    def speech(self) -> int:
        """How many samples of that are not silence."""
        present = self._present()
        return self._speech + _speech(present)

    def _present(self) -> bytes:
        while self._pieces and self._pieces[0][0] + len(self._pieces[0][1]) / self.rate <= self.now:
            piece = self._pieces.popleft()[1]
            self._past += piece
            self._speech += _speech(piece)
        return b"".join(self._until(self.now, begun, piece) for begun, piece in self._pieces if begun < self.now)


def _speech(audio: bytes) -> int:
    return len(audio) - audio.count(b"\xff") - audio.count(b"\xd5")


class TelephoneRig(Rig):
    """A ``MarksSpeaker`` with its far side. ``far`` are options of the far side, the others of the speaker."""

    def __init__(
        self,
        format: AudioFormat = PCMU,
        *,
        clears: bool = True,
        trip_s: float = 0.0,
        far: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.format = format
        self.line = FarSide(self._marked, out_s=trip_s, back_s=trip_s, clears=clears, **far or {})
        self.latency_s = trip_s if clears else options.get("ahead_ms", 200) / 1000 + trip_s
        clear = self.line.clear if clears else None
        self.speaker: MarksSpeaker = MarksSpeaker(self.line.media, self.line.mark, clear, format=format, **options)

    def _marked(self, name: str) -> None:
        self.speaker.marked(name)

    def audible(self) -> bytes:
        return self.line.audible()

    @property
    def far_at(self) -> float | None:
        return self.line.next_at

    def far(self) -> None:
        self.line.advance(self.now)


class LiveLine(FarSide):
    """The far side on an event loop's clock, real or virtual."""

    def __init__(self, marked: Callable[[str], object], **options: Any) -> None:
        super().__init__(marked, **options)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def _take(self, kind: str, data: bytes) -> None:
        self.advance(self._loop.time())
        super()._take(kind, data)
        self._arm()

    def _step(self) -> None:
        self.advance(self._loop.time())
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if (at := self.next_at) is not None:
            self._timer = self._loop.call_at(at, self._step)

    def hang_up(self) -> bytes:
        """The end of the call: what was heard of it."""
        if self._timer is not None:
            self._timer.cancel()
        self.advance(self._loop.time())
        return self.audible()


def heard_of(audible: bytes, audio: bytes) -> int:
    """How many samples of an answer, from its beginning, are in what was audible. A little may be missing at its end."""
    start = audible.find(audio[:400])
    assert start >= 0
    return alike(audible[start:], audio)


def alike(one: bytes, other: bytes) -> int:
    """How many bytes two signals have in common from their beginnings on."""
    return next(
        (at for at, (left, right) in enumerate(zip(one, other, strict=False)) if left != right), min(len(one), len(other))
    )
