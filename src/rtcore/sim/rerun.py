"""What another policy would have done with the same conversation: a recording's inputs, with a simulated speaker in their place.

What the server and the user did is as it was recorded; what the speaker reports depends on what it is given, so it is simulated,
and so are the ticks. To compare two policies, run both in this way. From the first difference on the server of the recording
answers a client that it did not have, so that a rerun shows where policies part, and not how the conversation would have gone on;
only a world (``rtcore.sim.recorded``) answers that.
"""

from collections.abc import Sequence

from msgspec import Struct, field

from rtcore._effects import Drain, Effect, Flush, Pause, Play, Resume, Send
from rtcore._errors import LocalProtocolError
from rtcore._notices import Interrupted, MessageEnded, SessionClosed
from rtcore._session import Issued, Session
from rtcore._wire import decode_type
from rtcore.config import Config
from rtcore.recording import Header, Recording, call
from rtcore.sim._rng import Rng
from rtcore.sim.policy import Policy, PolicyError
from rtcore.sim.speaker import Speaker, SpeakerOptions

_SECOND = 1_000_000_000
_OF_THE_CLOCK = frozenset({"played", "flushed", "underrun", "tick", "device"})
_LINGER = 30 * _SECOND
"""How long what is still sounding may go on after the last recorded input."""
_CONFIG = frozenset({"interruption", "answer_turns", "context"})
_SECTIONS = frozenset({"playout", "microphone", "timeouts"})


class Outline(Struct):
    """How a conversation went, in what a policy can change."""

    messages: dict[str, str] = field(default_factory=dict)
    """The verdict of each message, by its item: "partial, 1200 of 3400 ms"."""
    interruptions: dict[str, int] = field(default_factory=dict)
    """By their cause."""
    sent: dict[str, int] = field(default_factory=dict)
    """Client messages by type, without microphone audio."""
    refused: int = 0
    """Recorded commands that made no sense any more."""
    closed: str = ""
    """Why the session ended."""


def policy_options(header: Header, policy: Policy) -> tuple[Config, SpeakerOptions]:
    """The recorded configuration and the recorded clock as a speaker, under a policy.

    Raises ``PolicyError`` for a setting of the server or the line, which are as they were recorded, and ``ValueError`` where the
    configuration does not allow it.
    """
    data = dict(header.config)
    clock = header.clock
    speaker: dict[str, object] = {}
    for key, value in policy.changes:
        group, _, name = key.partition(".")
        if key in _CONFIG:
            data = _rederived({**data, key: value})
        elif key == "lead_ms":
            data["playout"] = {**data.get("playout", {}), "lead_ms": value}
        elif group in _SECTIONS:
            data[group] = {**data.get(group, {}), name: value}
        elif group == "speaker":
            speaker[name] = value
        else:
            raise PolicyError(f"{key}: of a real session, the server and the line are as they were recorded")
    options = SpeakerOptions(
        buffer_ms=0,
        report_ms=max(clock.report_ms, 1),
        stop_ms=(0, 0),
        answer_ms=(0, 0),
        instant_per_mille=1000,
        pause=clock.pause,
        reports="all" if clock.reports else "answers only",
        marks_ms=clock.answer_ms,
        flush_latency_ms=clock.flush_latency_ms,
    )
    given = {name: getattr(options, name) for name in options.__struct_fields__}
    return Config.model_validate(data), SpeakerOptions(**{**given, **speaker})


def _rederived(data: dict[str, object]) -> dict[str, object]:
    """The recorded turn detection holds what followed from the recorded policy; what follows from another is derived again."""
    session = data.get("session")
    audio = session.get("audio") if isinstance(session, dict) else None
    side = audio.get("input") if isinstance(audio, dict) else None
    detection = side.get("turn_detection") if isinstance(side, dict) else None
    if not (isinstance(session, dict) and isinstance(audio, dict) and isinstance(side, dict) and isinstance(detection, dict)):
        return data
    left = {name: value for name, value in detection.items() if name not in ("create_response", "interrupt_response")}
    return {**data, "session": {**session, "audio": {**audio, "input": {**side, "turn_detection": left}}}}


def rerun(recording: Recording, config: Config, speaker: SpeakerOptions) -> Outline:
    """Run the recording's server and user against this configuration and this speaker."""
    return _Rerun(recording, config, speaker).run()


class _Rerun:
    def __init__(self, recording: Recording, config: Config, options: SpeakerOptions) -> None:
        self._options = options
        self._session = Session(config, clock=options.clock, seed=recording.header.seed)
        self._inputs = [each for each in recording.inputs if each.do not in _OF_THE_CLOCK]
        self._base = min((each.now for each in recording.inputs), default=0.0)
        self._format = self._session.output_format
        self._speaker = Speaker(options, Rng(recording.header.seed), self._format)
        self._outline = Outline()
        self._now = 0

    def run(self) -> Outline:
        """Always the earliest of all: the speaker, what was recorded, the session's deadline."""
        at = 0
        while True:
            heard = self._speaker.next_at
            given = self._ns(self._inputs[at].now) if at < len(self._inputs) else None
            deadline = self._session.deadline
            due = None if deadline is None else self._ns(deadline.at) + 1
            wakes = [when for when in (heard, given, due) if when is not None]
            if not wakes or (given is None and min(wakes) > self._now + _LINGER):
                return self._outline
            self._now = max(self._now, min(wakes))
            if heard is not None and heard == min(wakes):
                self._hear()
            elif given is not None and given == min(wakes):
                self._give(at)
                at += 1
            else:
                self._act(self._session.tick(now=self._seconds))

    def _ns(self, seconds: float) -> int:
        return round((seconds - self._base) * _SECOND)

    @property
    def _seconds(self) -> float:
        return self._base + self._now / _SECOND

    def _hear(self) -> None:
        for report in self._speaker.step(self._now):
            match report.kind:
                case "played":
                    self._act(self._session.played(report.generation, report.samples, now=self._seconds))
                case "flushed":
                    self._act(self._session.flushed(report.generation, report.samples, now=self._seconds))
                case "underrun":
                    self._act(self._session.underrun(report.generation, now=self._seconds))

    def _give(self, index: int) -> None:
        each = self._inputs[index]
        try:
            result = call(self._session, each.do, each.given, self._seconds)
        except LocalProtocolError:
            self._outline.refused += not each.raised
            return
        self._act(result.effects if isinstance(result, Issued) else result)

    def _act(self, effects: Sequence[Effect]) -> None:
        outline = self._outline
        for effect in effects:
            match effect:
                case Play(pcm, format, generation):
                    if format != self._format:
                        # Another format begins only where nothing of the old one is left to sound (DESIGN 3).
                        self._format = format
                        self._speaker = Speaker(self._options, Rng(generation), format)
                    self._speaker.play(generation, pcm, now=self._now)
                case Drain(generation):
                    self._speaker.drain(generation, now=self._now)
                case Flush(generation):
                    self._speaker.flush(generation, now=self._now)
                case Pause():
                    self._speaker.pause(now=self._now)
                case Resume():
                    self._speaker.resume(now=self._now)
                case Send(lane="audio"):
                    pass
                case Send():
                    kind = decode_type.decode(effect.payload).type
                    outline.sent[kind] = outline.sent.get(kind, 0) + 1
                case MessageEnded():
                    heard = f"{effect.heard_ms} of {effect.received_ms} ms"
                    outline.messages[effect.item_id] = f"{effect.verdict.value}, {heard}"
                case Interrupted():
                    outline.interruptions[effect.cause] = outline.interruptions.get(effect.cause, 0) + 1
                case SessionClosed():
                    outline.closed = effect.reason
                case _:
                    pass


def differences(before: Outline, after: Outline) -> list[tuple[str, str, str]]:
    """What differs between two outlines: its name, how it was, how it is."""
    found: list[tuple[str, str, str]] = []
    tables: list[tuple[str, dict[str, str], dict[str, str], str]] = [
        ("message", before.messages, after.messages, "never began"),
        ("interruptions by", _counts(before.interruptions), _counts(after.interruptions), "0"),
        ("sent", _counts(before.sent), _counts(after.sent), "0"),
    ]
    for title, old, new, nothing in tables:
        for name in [*old, *(name for name in new if name not in old)]:
            was, now = old.get(name, nothing), new.get(name, nothing)
            if was != now:
                found.append((f"{title} {name}", was, now))
    if before.refused != after.refused:
        found.append(("recorded commands that were refused", str(before.refused), str(after.refused)))
    if before.closed != after.closed:
        found.append(("end of the session", before.closed or "none", after.closed or "none"))
    return found


def _counts(table: dict[str, int]) -> dict[str, str]:
    return {name: str(count) for name, count in table.items()}
