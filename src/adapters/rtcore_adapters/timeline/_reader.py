"""Runs a recording's inputs again, and sorts what happened into lanes."""

from base64 import b64decode
from collections.abc import Iterable
from typing import Any

import msgspec

from rtcore import (
    Connect,
    Disconnect,
    Drain,
    FalseInterruption,
    Flush,
    HeardText,
    Interrupted,
    InterruptionPending,
    MessageEnded,
    MessageStarted,
    Notice,
    OutOfBandAudio,
    Pause,
    Play,
    RateLimitsUpdated,
    RawEvent,
    ResponseEnded,
    ResponseStarted,
    Resume,
    Send,
    TextDelta,
    ToolArguments,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
    UserTranscriptDelta,
)
from rtcore.recording import Step, told
from rtcore.recording import unpack as unpacked
from rtcore_adapters.timeline._lanes import Event, Lane, Line, Message, Timeline, bounded

_AUDIO = frozenset({"response.output_audio.delta", "response.audio.delta"})
_UNTOLD = (RateLimitsUpdated, UserTranscriptDelta, TextDelta, OutOfBandAudio, RawEvent, ToolArguments)
"""Notices by the hundred, which say nothing that is not seen otherwise."""


def timeline_of(steps: Iterable[Step]) -> Timeline:
    """Run through the steps once."""
    reader = _Reader()
    for step in steps:
        reader.read(step)
    return reader.finished()


class _Reader:
    def __init__(self) -> None:
        self.it = Timeline()
        self._now: float | None = None
        self._handed: dict[int, int] = {}
        self._reported: dict[int, int] = {}
        self._rates: dict[int, int] = {}
        self._heard_ms = 0.0
        self._last_report: float | None = None
        self._arrived: dict[str, list[float]] = {}
        self._bytes: dict[str, int] = {}
        self._per_ms = 48
        self._responses: dict[str, float] = {}
        self._speaking: float | None = None

    def read(self, step: Step) -> None:
        """One input and what it gave."""
        it, given = self.it, step.input
        if self._now is None:
            it.begin = self._now = given.now if _finite(given.now) else 0.0
        elif _finite(given.now):
            self._now = max(self._now, given.now)
        it.end = now = self._now
        self._input(step)
        for effect in step.outcome.effects:
            match effect:
                case Play(pcm, format, generation):
                    self._handed[generation] = self._handed.get(generation, 0) + len(pcm) // format.sample_width
                    self._rates[generation] = format.rate
                case Flush():
                    self._last_report = None
                    self._add("cuts", "Flush", "flush", told(effect), tone="cut")
                case Send(lane="audio"):
                    it.microphone.add(now, now)
                case Send(payload=payload):
                    self._sent(payload, told(effect)[5:-1])
                case Drain():
                    pass
                case Pause() | Resume():
                    self._last_report = None
                    self._add("cuts", type(effect).__name__, type(effect).__name__.lower(), told(effect))
                case Connect() | Disconnect():
                    self._add("client", type(effect).__name__, type(effect).__name__.lower(), told(effect))
                case Notice():
                    self._notice(effect)
        if step.outcome.raised:
            self._add("program", "raised", f"raised {step.outcome.raised}", f"{given.do} raised {step.outcome.raised}")

    def _add(
        self,
        lane: Lane,
        kind: str,
        label: str,
        text: str,
        *,
        begin: float | None = None,
        end: float | None = None,
        tone: str = "",
        message: str = "",
    ) -> None:
        assert self._now is not None
        at = self._now if begin is None else begin
        self.it.events.append(Event(at, lane, kind, label[:80], bounded(text), end, tone, message))

    # -- inputs ----------------------------------------------------------------------------------------------------------------

    def _input(self, step: Step) -> None:
        given = step.input.given
        match step.input.do:
            case "receive":
                self._received(given, step.output_format.bytes_per_ms)
            case "played":
                self._report(given)
            case "flushed":
                self._report(given)
                self._last_report = None
                text = f"flushed(generation {given.get('generation')}, {given.get('samples')} samples)"
                self._add("cuts", "flushed", "silent", text)
            case "tick" | "append_audio":
                pass
            case "connected" | "disconnected" as name:
                self._add("server", name, name, f"{name}({_arguments(given)})")
            case "underrun" | "device" as name:
                self._last_report = None
                self._add("cuts", name, name, f"{name}({_arguments(given)})")
            case name:
                words = given.get("text")
                label = f"{name} {words!r}" if isinstance(words, str) else name
                self._add("program", name, label, f"{name}({_arguments(given)})")

    def _received(self, given: dict[str, Any], bytes_per_ms: int) -> None:
        event = _event(given)
        told_kind = event.get("type")
        kind = told_kind if isinstance(told_kind, str) else "unreadable"
        if kind in _AUDIO:
            self._arrives(str(event.get("item_id")), event.get("delta"), bytes_per_ms)
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
        tone = "cut" if kind == "error" else ""
        self._add("server", kind, _short(kind), " ".join(dict.fromkeys(words)), tone=tone)

    def _arrives(self, item: str, delta: object, bytes_per_ms: int) -> None:
        assert self._now is not None
        size = len(delta.rstrip("=")) * 3 // 4 if isinstance(delta, str) else 0
        self._bytes[item] = total = self._bytes.get(item, 0) + size
        self._per_ms = bytes_per_ms
        span = self._arrived.setdefault(item, [self._now, self._now])
        span[1] = self._now
        self.it.received.setdefault(item, Line(20.0)).add(self._now, total / bytes_per_ms)

    def _report(self, given: dict[str, Any]) -> None:
        """As the core reads it: never above what was handed over, and a smaller report than the last says nothing (C21)."""
        generation, samples, now = given.get("generation"), given.get("samples"), self._now
        if not isinstance(generation, int) or not isinstance(samples, int) or generation not in self._rates or now is None:
            return
        known, before = min(samples, self._handed[generation]), self._reported.get(generation, 0)
        if known > before:
            self._reported[generation] = known
            ms = (known - before) * 1000 / self._rates[generation]
            # What sounded since the last report sounded at its end at the latest, and took its own time.
            began = max(now - ms / 1000, self._last_report if self._last_report is not None else self.it.begin)
            points = self.it.heard.points
            if points:
                began = max(began, points[-1][0])
            if not points or began > points[-1][0]:
                self.it.heard.add(began, self._heard_ms)
            self._heard_ms += ms
            self.it.heard.add(now, self._heard_ms)
            self.it.sounding.add(began, now)
        self._last_report = now

    def _sent(self, payload: bytes, text: str) -> None:
        kind = text.partition(" ")[0]
        self._add("client", kind, _short(text), f"{text}\n{_readable(payload)}")

    # -- notices ---------------------------------------------------------------------------------------------------------------

    def _notice(self, notice: Notice) -> None:
        if isinstance(notice, _UNTOLD):
            return
        assert self._now is not None
        kind, text = type(notice).__name__, told(notice)
        match notice:
            case HeardText():
                message = self._message(notice.item_id)
                message.text += notice.delta
                self._add("heard", kind, notice.delta.strip(), notice.delta, message=notice.item_id)
                return
            case MessageStarted():
                self._message(notice.item_id).begin = notice.at
            case MessageEnded():
                self._ended(notice)
            case ResponseStarted():
                self._responses[notice.response_id] = self._now
            case ResponseEnded():
                begin = self._responses.pop(notice.response_id, self._now)
                self._response(notice.response_id, begin, notice.status)
            case Interrupted():
                self._add("cuts", kind, f"cut by {notice.cause}", text, tone="cut")
                return
            case InterruptionPending() | FalseInterruption():
                self._add("cuts", kind, _spaced(kind), text)
                return
            case UserSpeechStarted() if self._speaking is None:
                self._speaking = self._now
            case UserSpeechStopped() if self._speaking is not None:
                self._add("user", "speech", "speaks", "A person speaks.", begin=self._speaking, end=self._now, tone="speech")
                self._speaking = None
            case UserTranscript():
                self._add("user", kind, f"“{notice.text}”", f"{notice.item_id}: {notice.text!r}")
                return
            case _:
                pass
        self._add("notices", kind, _spaced(kind), _all(notice, text))

    def _message(self, item: str) -> Message:
        return self.it.messages.setdefault(item, Message(item))

    def _ended(self, notice: MessageEnded) -> None:
        message = self._message(notice.item_id)
        message.verdict = notice.verdict.value
        message.heard_ms, message.received_ms = notice.heard_ms, notice.received_ms
        message.text, message.full_text = notice.text, notice.full_text
        message.begin, message.end = notice.started_at, notice.stopped_at

    def _response(self, response: str, begin: float, status: str, *, over: bool = True) -> None:
        text = (
            f"{response}: {status} after {(self._now or begin) - begin:.3f} s"
            if over
            else f"{response} was open when the recording ended"
        )
        tone = "" if status == "completed" else "cut"
        self._add("server", "response", status, text, begin=begin, end=self._now, tone=f"response {tone}".strip())

    # -- the end ---------------------------------------------------------------------------------------------------------------

    def finished(self) -> Timeline:
        """What still lasts ends with the recording."""
        it = self.it
        if self._now is None:
            return it
        if self._speaking is not None:
            self._add("user", "speech", "speaks", "A person speaks.", begin=self._speaking, end=it.end, tone="speech")
        for response, begin in self._responses.items():
            self._response(response, begin, "open", over=False)
        for item, (begin, end) in self._arrived.items():
            ms = round(self._bytes[item] / self._per_ms)
            text = f"{item}: {ms} ms of audio arrived in {end - begin:.3f} s"
            self._add("received", "audio", f"{ms} ms", text, begin=begin, end=end, message=item)
        for message in it.messages.values():
            self._tell(message)
        it.events.sort(key=lambda event: event.at)
        return it

    def _tell(self, message: Message) -> None:
        """Its bar in the lane of what was audible; what was skipped is a moment."""
        begin, end = message.begin, self.it.end if message.end is None else message.end
        if message.verdict == "text":
            label = "text"
        elif message.verdict == "skipped":
            label = f"skipped, 0 of {message.received_ms} ms"
        elif message.verdict == "open":
            label = "still heard" if begin is not None else "open"
        else:
            label = f"{message.verdict} {message.heard_ms} of {message.received_ms} ms"
        heard = f"heard: {message.text!r}"
        unheard = message.full_text[len(message.text) :] if message.full_text.startswith(message.text) else ""
        words = f"{message.item}: {label}; {heard}" + (f"; not heard: {unheard!r}" if unheard.strip() else "")
        self._add(
            "audible", "message", label, words,
            begin=end if begin is None else begin, end=None if begin is None else max(begin, end),
            tone=message.verdict, message=message.item,
        )  # fmt: skip


def _finite(now: float) -> bool:
    return now == now and abs(now) != float("inf")


def _event(given: dict[str, Any]) -> dict[str, Any]:
    try:
        text = unpacked(given["payload"]).encode() if "payload" in given else b64decode(given["base64"])
        event = msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, TypeError, KeyError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def _readable(payload: bytes) -> str:
    try:
        return msgspec.json.format(payload, indent=2).decode()
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return repr(payload)


def _short(kind: str) -> str:
    """The end of a type, and the milliseconds where there are any: "item.truncate 500 ms"."""
    name, _, rest = kind.partition(" ")
    ms = rest.rpartition("] ")[2] if rest.endswith(" ms") else ""
    parts = name.removeprefix("input_audio_buffer.").replace("input_audio_transcription", "transcription").split(".")
    return " ".join(filter(None, (".".join(parts[-2:]), ms)))


def _spaced(name: str) -> str:
    """ "MessageEnded" as "message ended"."""
    return "".join(f" {each.lower()}" if each.isupper() else each for each in name).strip()


def _arguments(given: dict[str, Any]) -> str:
    return bounded(", ".join(f"{name}={value!r}" for name, value in given.items()))


def _all(notice: Notice, text: str) -> str:
    """A notice in words, and its fields below."""
    fields = []
    for name in notice.__struct_fields__:
        value = getattr(notice, name)
        if value not in (None, "", ()) and not isinstance(value, bytes):
            fields.append(f"{name}: {getattr(value, 'value', value)}")
    return "\n".join([text, *fields])
