"""A play: what happens to a conversation and when. And what came of it, from the bare core or from an adapter.

The inputs of a play are those of ``rtcore.Session`` but for its ticks, which whoever plays it owes by himself.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2s
from typing import Any

import msgspec
from msgspec import Struct, field, structs

from rtcore import (
    Clock,
    Config,
    Connect,
    Disconnect,
    Disconnection,
    Drain,
    Effect,
    Flush,
    Issued,
    LocalProtocolError,
    LoopLagged,
    MicrophoneDropped,
    Notice,
    Pause,
    Play,
    RequestEnded,
    Resume,
    Send,
    Session,
    SessionClosed,
    TextDelta,
    UserTranscriptDelta,
)

REPORTS = ("played", "flushed", "underrun", "device")
"""What a speaker tells."""
LINE = ("connected", "receive", "disconnected")
"""What a line tells."""


class Step(Struct, frozen=True):
    """One input: when, which, and with what."""

    at: float
    do: str
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


class Script(Struct):
    """A play. ``half_open_at``: from then on the server says nothing any more, though it was not cut off."""

    name: str
    config: Config
    clock: Clock
    seed: int
    steps: list[Step]
    half_open_at: float | None = None


class Outcome(Struct):
    """What came out, in order."""

    sound: list[tuple[str, int, bytes]] = field(default_factory=list)
    """What the speaker was asked: effect, generation, a digest of the audio."""
    control: list[bytes] = field(default_factory=list)
    """The client's messages but for microphone audio, ids included."""
    microphone: bytearray = field(default_factory=bytearray)
    """All microphone audio, as one concatenation."""
    audio_before: list[int] = field(default_factory=list)
    """Of each control message, how many bytes of microphone audio were sent before it."""
    notices: list[Notice] = field(default_factory=list)
    requests: list[tuple[int, RequestEnded | None]] = field(default_factory=list)
    """Number and end of each request, in the order of the commands."""
    refused: list[str] = field(default_factory=list)
    """What commands raised."""
    hung_up: tuple[int, str] | None = None
    """Code and reason of our close frame, where we began to close."""
    lanes: list[str] = field(default_factory=list)
    """Of each control message (only the bare core says it)."""

    def sent(self, payload: bytes) -> None:
        """A client message."""
        if payload.startswith(b'{"type":"input_audio_buffer.append"'):
            self.microphone += msgspec.json.decode(payload, type=_Append).audio
        else:
            self.control.append(payload)
            self.audio_before.append(len(self.microphone))

    def asked(self, effect: Play | Drain | Flush | Pause | Resume) -> None:
        """An effect that is the speaker's."""
        pcm = effect.pcm if isinstance(effect, Play) else b""
        self.sound.append((type(effect).__name__, effect.generation, blake2s(pcm, digest_size=6).digest() if pcm else b""))

    def digest(self) -> str:
        """Twelve hexadecimal digits of everything that has to be the same."""
        state = blake2s(digest_size=6)
        for each in self.told():
            state.update(repr(each).encode())
        return state.hexdigest()

    def told(self) -> list[tuple[str, Any]]:
        """All that has to be the same, in a form that can be compared and read."""
        return [
            ("sound", self.sound),
            ("control", self.control),
            ("microphone", bytes(self.microphone)),
            ("notices", flowed(self.notices)),
            ("requests", self.requests),
            ("refused", self.refused),
            ("hung up", self.hung_up),
        ]

    def timeless(self) -> "Outcome":
        """The same without what the clock says: what has to be the same on a clock of its own."""
        return structs.replace(self, notices=[_timeless(notice) for notice in self.notices])


_STAMPS = ("at", "started_at", "stopped_at", "began_at", "ended_at", "received_at", "until", "since")
_SPANS = ("took_ms", "waited_ms", "held_ms", "tool_ms", "to_first_delta_ms", "to_first_heard_ms", "to_silence_ms")
"""What is measured between two inputs."""


def _timeless(notice: Notice) -> Notice:
    told = {name: 0 for name in (*_STAMPS, *_SPANS) if getattr(notice, name, None) is not None}
    return structs.replace(notice, **told) if told else notice


class _Append(Struct):
    audio: bytes


def flowed(notices: Iterable[Notice]) -> list[Notice]:
    """The notices as one who reads slowly gets them: what a mailbox may join is joined, and what machines alone cause is out."""
    found: list[Notice] = []
    for notice in notices:
        last = found[-1] if found else None
        match notice, last:
            case LoopLagged(), _:
                continue
            case TextDelta(), TextDelta() if (notice.response_id, notice.item_id, notice.content_index) == (
                last.response_id,
                last.item_id,
                last.content_index,
            ):
                found[-1] = TextDelta(last.response_id, last.item_id, last.content_index, last.delta + notice.delta)
            case UserTranscriptDelta(), UserTranscriptDelta() if (notice.item_id, notice.content_index) == (
                last.item_id,
                last.content_index,
            ):
                found[-1] = UserTranscriptDelta(last.item_id, last.content_index, last.delta + notice.delta)
            case MicrophoneDropped(), MicrophoneDropped() if notice.reason == last.reason:
                found[-1] = MicrophoneDropped(last.dropped_ms + notice.dropped_ms, notice.reason)
            case _:
                found.append(notice)
    return found


def difference(expected: Outcome, found: Outcome) -> str:
    """Where an outcome first is another than it has to be; empty where it is the same."""
    for (what, wanted), (_, got) in zip(expected.told(), found.told(), strict=True):
        if wanted == got:
            continue
        if not isinstance(wanted, list) or not isinstance(got, list):
            return f"{what}: {_short(wanted)} wanted, {_short(got)} found"
        for number, (one, other) in enumerate(zip(wanted, got, strict=False)):
            if one != other:
                return f"{what} {number}: {_short(one)} wanted, {_short(other)} found"
        return f"{what}: {len(wanted)} wanted, {len(got)} found: {_short((wanted + got)[min(len(wanted), len(got)) :][:1])}"
    for number, lane in enumerate(expected.lanes):
        # An urgent message may overtake audio that waits, an ordered one nothing.
        if found.audio_before[number] > expected.audio_before[number]:
            return f"control {number} stands behind audio that came after it: {_short(found.control[number])}"
        if lane == "ordered" and found.audio_before[number] != expected.audio_before[number]:
            return f"control {number} has overtaken audio: {_short(found.control[number])}"
    return ""


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:200]} ... {text[-200:]}"


# -- the bare core ----------------------------------------------------------------------------------------------------------


class Bare:
    """The session alone, with the time that its deadlines ask for."""

    def __init__(self, script: Script) -> None:
        self.session = Session(script.config, clock=script.clock, seed=script.seed)
        self.outcome = Outcome()
        self._requests: dict[int, RequestEnded | None] = {}
        self._steps = script.steps

    def run(self) -> Outcome:
        """What has to come out."""
        self._act(self.session.open(now=0.0))
        for step in self._steps:
            if not self._over:
                self._until(step.at)
            if not self._over:
                self._take(step)
        self.outcome.requests = list(self._requests.items())
        return self.outcome

    @property
    def _over(self) -> bool:
        return self.session.state == "closed"

    def _until(self, at: float) -> None:
        while (deadline := self.session.deadline) is not None and deadline.at < at:
            self._act(self.session.tick(now=deadline.at))

    def _take(self, step: Step) -> None:
        try:
            result = getattr(self.session, step.do)(*step.args, **step.options, now=step.at)
        except LocalProtocolError as error:
            self.outcome.refused.append(f"{step.do}: {error}")
            return
        if isinstance(result, Issued):
            self._requests[result.request] = None
            result = result.effects
        self._act(result)

    def _act(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Play() | Drain() | Flush() | Pause() | Resume():
                    self.outcome.asked(effect)
                case Send():
                    before = len(self.outcome.control)
                    self.outcome.sent(effect.payload)
                    if len(self.outcome.control) > before:
                        self.outcome.lanes.append(effect.lane)
                case Connect():
                    pass
                case Disconnect():
                    self.outcome.hung_up = (effect.code, effect.reason)
                case Notice():
                    self.outcome.notices.append(effect)
                    if isinstance(effect, RequestEnded) and effect.request in self._requests:
                        self._requests[effect.request] = effect


def closed_before_ready(outcome: Outcome) -> SessionClosed | None:
    """How the session ended, where it did before it was ready: then ``connect`` raises, and no notice reaches the program."""
    last = outcome.notices[-1] if outcome.notices else None
    ready = any(type(notice).__name__ == "SessionReady" for notice in outcome.notices)
    return last if isinstance(last, SessionClosed) and not ready else None


__all__ = ["LINE", "REPORTS", "Bare", "Disconnection", "Outcome", "Script", "Step", "closed_before_ready", "difference", "flowed"]
