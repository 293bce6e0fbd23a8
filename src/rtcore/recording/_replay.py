"""Running a recording again: the same inputs into a new session, each outcome held against the one that was written down."""

from base64 import b64decode
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from msgspec import Struct, convert

from rtcore._clock import Clock
from rtcore._effects import Deadline, Effect
from rtcore._formats import AudioFormat
from rtcore._lifecycle import Disconnection
from rtcore._session import Issued, Session
from rtcore.config import Config
from rtcore.policies import Policies
from rtcore.recording._format import Input, Recording, RecordingError, unpack
from rtcore.recording._told import digest, told, waiting

Factory = Callable[..., Session]
"""Makes a session: ``factory(config, clock=..., seed=...)``. ``rtcore.Session``, or one with something changed."""


class Outcome(Struct, frozen=True):
    """What a call gave, in the forms in which it is compared."""

    effects: list[Effect]
    out: str
    what: tuple[str, ...]
    raised: str = ""


class Step(Struct, frozen=True):
    """One input, run again: its line in the file, what it gave, and the format of the model's audio after it."""

    line: int
    input: Input
    outcome: Outcome
    output_format: AudioFormat

    @property
    def same(self) -> bool:
        """Whether it gave what was recorded, to the bit."""
        return (self.outcome.out, self.outcome.raised) == (self.input.out, self.input.raised)


class Difference(Struct, frozen=True):
    """The first input whose outcome is not the recorded one."""

    line: int
    at: float
    do: str
    recorded: tuple[str, ...]
    now: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"line {self.line}, {self.at:.6f} s, {self.do}():", *_beside(self.recorded, self.now)]
        if self.recorded == self.now:
            lines.append("  the same effects with other content (a text, an option or a byte of audio)")
        return "\n".join(lines)


class Replay(Struct, frozen=True):
    """A recording that was run again: how many inputs, and the first difference, or None."""

    inputs: int
    difference: Difference | None


class Observed:
    """A session whose outcomes are compared. Remembers the deadline, so that a change of it is an outcome too.

    Without ``digests`` outcomes are compared by their words alone.
    """

    def __init__(self, session: Session, *, digests: bool = True) -> None:
        self.session = session
        self._digests = digests
        self._due: Deadline | None = None

    def feed(self, do: str, given: dict[str, Any], now: float) -> Outcome:
        """Call the session as a recording says. What it raises becomes the outcome."""
        try:
            return self.outcome(call(self.session, do, given, now))
        except Exception as error:
            return self.outcome([], type(error).__name__)

    def outcome(self, result: list[Effect] | Issued, raised: str = "") -> Outcome:
        """What the session's last call gave."""
        effects, request = (result.effects, result.request) if isinstance(result, Issued) else (result, None)
        due = self.session.deadline
        changed, self._due = due != self._due, due
        if not effects and request is None and not changed:
            return Outcome(effects, "", (), raised)
        what = tuple(told(effect) for effect in effects)
        if request is not None:
            what = (f"request {request}", *what)
        if changed:
            what = (*what, waiting(due))
        found = digest(effects, request, _due_text(due) if changed else None) if self._digests else ""
        return Outcome(effects, found, what, raised)


def _due_text(due: Deadline | None) -> str:
    return "none" if due is None else f"{due.at!r} {due.why}"


def call(session: Session, do: str, given: dict[str, Any], now: float) -> list[Effect] | Issued:
    """One recorded call. Raises whatever the session raises, ``KeyError`` or ``TypeError`` for what is no call of a session."""
    match do:
        case "receive":
            payload = unpack(given["payload"]).encode() if "payload" in given else b64decode(given["base64"])
            return session.receive(given["connection"], payload, now=now)
        case "append_audio":
            return session.append_audio(b64decode(unpack(given["pcm"])), now=now)
        case "say" | "say_begin" | "say_append":
            return _say(session, do, given, now)
        case "disconnected":
            return session.disconnected(given["connection"], convert(given["cause"], Disconnection), now=now)
        case _ if do in SIMPLE:
            result: list[Effect] | Issued = getattr(session, do)(**given, now=now)
            return result
        case _:
            raise KeyError(f"{do!r} is no input of a session")


def _say(session: Session, do: str, given: dict[str, Any], now: float) -> list[Effect] | Issued:
    options = dict(given)
    if "pcm" in options:
        options["pcm"] = b64decode(unpack(options["pcm"]))
    if options.get("format") is not None:
        options["format"] = convert(options["format"], AudioFormat)
    result: list[Effect] | Issued = getattr(session, do)(**options, now=now)
    return result


SIMPLE = frozenset(
    {
        "open", "connected", "played", "flushed", "underrun", "device", "speech", "tick", "commit", "clear", "send_text",
        "respond", "interrupt", "release", "tool_result", "update", "create_item", "delete_item", "retrieve_item", "approve",
        "replace_item", "move_item", "sync_history", "send_raw", "pause", "resume", "renew", "load", "mute", "unmute", "close",
        "cancel_tool", "user_turn", "begin_turn", "end_turn", "say_end",
    }
)  # fmt: skip
"""Inputs whose arguments are JSON as they are."""
INPUTS = SIMPLE | {"receive", "append_audio", "disconnected", "say", "say_begin", "say_append"}
"""Every input of a session."""


def steps(
    recording: Recording,
    *,
    factory: Factory = Session,
    config: Config | None = None,
    clock: Clock | None = None,
    policies: Policies | None = None,
) -> Iterator[Step]:
    """Run the recording again, input by input. ``config`` and ``clock`` replace the recorded ones; ``policies`` are the program's
    own, which no file can hold: ``Header.policies`` names those that a session was recorded with.

    Raises ``RecordingError`` naming the line where one cannot be read as a call.
    """
    header = recording.header
    factory = factory if policies is None else partial(factory, policies=policies)
    session = factory(config or header.configuration(), clock=clock or header.clock, seed=header.seed)
    observed = Observed(session)
    for line, given in enumerate(recording.inputs, 2):
        if given.do not in INPUTS:
            raise RecordingError(line, f"names {given.do!r}, which is no input of this version's sessions")
        yield Step(line, given, observed.feed(given.do, given.given, given.now), session.output_format)


def replay(recording: Recording, *, factory: Factory = Session, policies: Policies | None = None) -> Replay:
    """Run the whole recording again, with the program's own ``policies`` if it had some, and hold every outcome against the
    recorded one.
    """
    difference: Difference | None = None
    for step in steps(recording, factory=factory, policies=policies):
        if difference is None and not step.same:
            given, outcome = step.input, step.outcome
            difference = Difference(
                step.line, given.now, given.do, _words(given.what, given.raised), _words(outcome.what, outcome.raised)
            )
    return Replay(len(recording.inputs), difference)


def _words(what: tuple[str, ...], raised: str) -> tuple[str, ...]:
    return (*what, f"raised {raised}") if raised else what


def _beside(recorded: tuple[str, ...], now: tuple[str, ...]) -> list[str]:
    """What was, what is: common beginnings once."""
    same = 0
    while same < min(len(recorded), len(now)) and recorded[same] == now[same]:
        same += 1
    lines = [f"    {each}" for each in now[:same]]
    lines += [f"  - {each}" for each in recorded[same:]]
    lines += [f"  + {each}" for each in now[same:]]
    return lines
