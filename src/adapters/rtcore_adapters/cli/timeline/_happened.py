"""What happened in a recorded session, sorted for a picture: runs the inputs again and keeps the times of everything."""

from base64 import b64decode
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct, field

from rtcore import (
    Connect,
    Disconnect,
    Drain,
    Flush,
    HeardText,
    Interrupted,
    MessageEnded,
    Notice,
    Pause,
    Play,
    RateLimitsUpdated,
    Resume,
    Send,
    TextDelta,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscriptDelta,
)
from rtcore.recording import Step, told
from rtcore.recording import unpack as unpacked

_DELTAS = frozenset({"response.output_audio.delta", "response.audio.delta"})
_UNMARKED = (RateLimitsUpdated, UserTranscriptDelta)
"""Notices that would only fill the picture; they stand in the words below it."""


class Mark(Struct, frozen=True):
    """Something at a time; ``label`` is short enough to be drawn, ``text`` says all."""

    at: float
    label: str
    text: str


class Bar(Struct):
    """Something that lasted. ``kind`` says how it is coloured."""

    begin: float
    end: float
    label: str
    text: str
    kind: str = ""


class Level(Struct, frozen=True):
    """Milliseconds of a generation at a time."""

    at: float
    generation: int
    ms: int


class Happened(Struct):
    """Everything, by who did it. Times are those of the recording."""

    begin: float = 0.0
    end: float = 0.0
    arrivals: dict[str, Bar] = field(default_factory=dict)
    """By item: from the first to the last of its audio."""
    server: list[Mark] = field(default_factory=list)
    handed: list[Level] = field(default_factory=list)
    heard: list[Level] = field(default_factory=list)
    messages: list[Bar] = field(default_factory=list)
    cuts: list[Mark] = field(default_factory=list)
    sent: list[Mark] = field(default_factory=list)
    people: list[Mark] = field(default_factory=list)
    speech: list[Bar] = field(default_factory=list)
    notices: list[Mark] = field(default_factory=list)
    log: list[tuple[float, str, str]] = field(default_factory=list)
    """Time, who, what: in words, one line each."""


def happened(steps: Iterable[Step]) -> Happened:
    """Run through the steps once."""
    reader = _Reader()
    for step in steps:
        reader.read(step)
    return reader.finished()


class _Reader:
    def __init__(self) -> None:
        self.it = Happened()
        self._now = float("-inf")
        self._handed: dict[int, int] = {}
        self._heard: dict[int, int] = {}
        self._rates: dict[int, int] = {}
        self._bytes: dict[str, int] = {}
        self._speaking: float | None = None

    def read(self, step: Step) -> None:
        """One input and what it gave."""
        it = self.it
        self._now = now = max(self._now, step.input.now) if step.input.now == step.input.now else self._now
        if not it.log and not it.server and not it.begin:
            it.begin = now
        it.end = now
        self._input(step)
        for effect in step.outcome.effects:
            match effect:
                case Play(pcm, format, generation):
                    total = self._handed[generation] = self._handed.get(generation, 0) + len(pcm) // format.sample_width
                    self._rates[generation] = format.rate
                    it.handed.append(Level(now, generation, total * 1000 // format.rate))
                case Flush(generation):
                    it.cuts.append(Mark(now, "flush", told(effect)))
                    self._log("core", told(effect))
                case Send(lane="audio"):
                    pass
                case Send():
                    text = told(effect)[5:-1]
                    it.sent.append(Mark(now, _short(text), text))
                    self._log("to server", text)
                case Drain() | Pause() | Resume() | Connect() | Disconnect():
                    self._log("core", told(effect))
                case Notice():
                    self._notice(effect)
        if step.outcome.raised:
            self._log("core", f"raised {step.outcome.raised}")

    def _input(self, step: Step) -> None:
        given, it, now = step.input.given, self.it, self._now
        match step.input.do:
            case "receive":
                self._received(given, step.output_format.bytes_per_ms)
            case "played":
                self._level(given)
            case "flushed":
                self._level(given)
                self._log("clock", f"flushed({given.get('generation')}, {given.get('samples')})")
            case "tick" | "append_audio":
                pass
            case "connected" | "disconnected" | "underrun" | "device" as name:
                self._log("line" if "connect" in name else "clock", f"{name}({_arguments(given)})")
            case name:
                it.people.append(Mark(now, name, f"{name}({_arguments(given)})"))
                self._log("program", f"{name}({_arguments(given)})")

    def _received(self, given: dict[str, Any], bytes_per_ms: int) -> None:
        event = _event(given)
        kind = str(event.get("type", "unreadable"))
        if kind in _DELTAS:
            item, delta = str(event.get("item_id")), event.get("delta")
            size = self._bytes[item] = self._bytes.get(item, 0) + (len(delta) * 3 // 4 if isinstance(delta, str) else 0)
            bar = self.it.arrivals.setdefault(item, Bar(self._now, self._now, item, ""))
            bar.end, bar.text = self._now, f"{item}: {size // bytes_per_ms} ms of audio"
            return
        if kind.endswith(".delta") or kind == "rate_limits.updated":
            return
        words = [kind, *(str(event[name]) for name in ("response_id", "item_id") if event.get(name))]
        for name in ("response", "item", "error"):
            inner = event.get(name)
            if isinstance(inner, dict):
                words += [str(inner[key]) for key in ("id", "type", "status", "code", "message") if inner.get(key)]
        if "audio_end_ms" in event:
            words.append(f"{event['audio_end_ms']} ms")
        text = " ".join(words)
        self.it.server.append(Mark(self._now, _short(kind), text))
        self._log("server", text)

    def _level(self, given: dict[str, Any]) -> None:
        generation, samples = given.get("generation"), given.get("samples")
        if isinstance(generation, int) and isinstance(samples, int) and generation in self._rates:
            # As the core reads it: never above what was handed over, and a smaller report than the last says nothing (C21).
            known = min(samples, self._handed[generation])
            if known >= self._heard.get(generation, 0):
                self._heard[generation] = known
                self.it.heard.append(Level(self._now, generation, known * 1000 // self._rates[generation]))

    def _notice(self, notice: Notice) -> None:
        it, text = self.it, told(notice)
        match notice:
            case TextDelta() | HeardText():
                return
            case MessageEnded():
                verdict = notice.verdict.value
                label = verdict if verdict in ("text", "skipped") else f"{verdict} {notice.heard_ms} of {notice.received_ms} ms"
                words = f"{notice.item_id}: {label}" + (f": {notice.text}" if notice.text else "")
                begin = notice.stopped_at if notice.started_at is None else notice.started_at
                it.messages.append(Bar(begin, max(begin, notice.stopped_at), label, words, verdict))
                text = f"{text} {notice.text!r}"
            case Interrupted():
                it.cuts.append(Mark(self._now, f"cut by {notice.cause}", text))
            case UserSpeechStarted() if self._speaking is None:
                self._speaking = self._now
            case UserSpeechStopped() if self._speaking is not None:
                it.speech.append(Bar(self._speaking, self._now, "speaks", "the user speaks"))
                self._speaking = None
            case _:
                pass
        if not isinstance(notice, _UNMARKED):
            it.notices.append(Mark(self._now, type(notice).__name__, text))
        self._log("notice", text)

    def _log(self, who: str, what: str) -> None:
        self.it.log.append((self._now, who, what))

    def finished(self) -> Happened:
        """What still lasts ends with the recording."""
        if self._speaking is not None:
            self.it.speech.append(Bar(self._speaking, self.it.end, "speaks", "the user speaks"))
        return self.it


def _event(given: dict[str, Any]) -> dict[str, Any]:
    try:
        text = unpacked(given["payload"]).encode() if "payload" in given else b64decode(given["base64"])
        event = msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, TypeError, KeyError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def _short(kind: str) -> str:
    """The end of a type, and the milliseconds where there are any: "item.truncate 500 ms"."""
    name, _, rest = kind.partition(" ")
    ms = rest.rpartition("] ")[2] if rest.endswith(" ms") else ""
    return " ".join(filter(None, (".".join(name.split(".")[-2:]), ms)))


def _arguments(given: dict[str, Any]) -> str:
    words = ", ".join(f"{name}={value!r}" for name, value in given.items())
    return words if len(words) <= 300 else words[:297] + "..."
