"""Worlds as recordings: a file that holds the session's inputs, and the world that gave them.

The same file replays in two ways: as inputs, which shows what a changed core does with them; and as a world, in which everybody
answers what the core now does, so that it says whether the invariant still breaks.
"""

from collections.abc import Sequence
from functools import partial
from hashlib import blake2s
from typing import Any

import msgspec
from msgspec import Struct

from rtcore._session import Session
from rtcore.recording import Header, Keep, RecordedSession, RecordingError
from rtcore.sim._line_world import LineWorld
from rtcore.sim.results import Violation, WorldResult
from rtcore.sim.sabotage import SABOTAGED
from rtcore.sim.scenario import Scenario
from rtcore.sim.voices import Voice, synthetic_voices
from rtcore.sim.world import SessionFactory, World

NOT_PERSONAL = Keep(audio=False, text=True)
"""What a world's recording keeps by default: its words are nobody's, and its sound only makes the file large."""


class RecordedWorld(Struct, frozen=True, omit_defaults=True):
    """A world in the header of a recording: its seed and everything that was drawn, the voices, and what was found."""

    seed: int
    scenario: Scenario
    voices: str
    """Which voices spoke (``voices_mark``); others would give another world."""
    digest: str = ""
    """``WorldResult.digest``."""
    sabotage: str | None = None
    """Which wrong core was under test, by its name in ``rtcore.sim.sabotage``; None: the real one."""
    violations: tuple[Violation, ...] = ()

    @property
    def factory(self) -> SessionFactory:
        """Makes the core that was under test. Raises ``ValueError`` for a sabotage that is not known here."""
        return _factory(self.sabotage)


def record_world(
    seed: int,
    voices: Sequence[Voice] | None = None,
    *,
    scenario: Scenario | None = None,
    sabotage: str | None = None,
    keep: Keep = NOT_PERSONAL,
) -> tuple[WorldResult, list[bytes]]:
    """Run a world and record it: what was found, and the lines of the recording, with the world in its header.

    The header's scenario is the explicit one, with every turn and every answer written down, so that the file stays the same
    world when a later version draws others.
    """
    voices = voices if voices is not None else synthetic_voices(1)
    lines: list[bytes] = []
    recorded = partial(RecordedSession, sink=lines.append, keep=keep, factory=_factory(sabotage))
    world = World(seed, voices, scenario=scenario, session_factory=recorded)
    result = world.run()
    session = world.session
    assert isinstance(session, RecordedSession)
    session.finish()
    found = RecordedWorld(seed, world.script(), voices_mark(voices), result.digest, sabotage, result.violations)
    lines[0] = _with_world(lines[0], found)
    return result, lines


def record_lines(
    seed: int, voices: Sequence[Voice] | None = None, *, sabotage: str | None = None, keep: Keep = NOT_PERSONAL
) -> tuple[WorldResult, list[bytes]]:
    """Run a world whose lines come back and record its session: what was found, and the lines of the recording.

    It is the recording of a session, with no world in its header: its inputs are replayed to the bit, and it cannot be shrunk.
    """
    lines: list[bytes] = []
    recorded = partial(RecordedSession, sink=lines.append, keep=keep, factory=_factory(sabotage))
    world = LineWorld(seed, voices, session_factory=recorded)
    result = world.run()
    session = world.session
    assert isinstance(session, RecordedSession)
    session.finish()
    return result, lines


def _with_world(line: bytes, world: RecordedWorld) -> bytes:
    header: dict[str, Any] = msgspec.json.decode(line)
    return msgspec.json.encode({**header, "world": world}) + b"\n"


def world_of(header: Header) -> RecordedWorld | None:
    """The world in a recording's header; None where a real session was recorded. Raises ``RecordingError`` where it is damaged,
    or was made by a version that knew other worlds."""
    if header.world is None:
        return None
    try:
        return msgspec.convert(header.world, RecordedWorld, strict=False)
    except msgspec.ValidationError as error:
        raise RecordingError(1, f"the world in the header cannot be read by this version: {error}") from None


def run_again(recorded: RecordedWorld, voices: Sequence[Voice] | None = None, *, scenario: Scenario | None = None) -> WorldResult:
    """Run a recorded world, with the core that it was recorded with. ``scenario`` replaces its own.

    Raises ``ValueError`` where the voices are not those that spoke.
    """
    voices = voices if voices is not None else synthetic_voices(1)
    if voices_mark(voices) != recorded.voices:
        raise ValueError(f"the world was recorded with other voices ({recorded.voices}) than these ({voices_mark(voices)})")
    return World(recorded.seed, voices, scenario=scenario or recorded.scenario, session_factory=recorded.factory).run()


def voices_mark(voices: Sequence[Voice]) -> str:
    """By what equal voices are known: their names and a digest of all of their sound and words."""
    state = blake2s(digest_size=6)
    for voice in voices:
        state.update(voice.name.encode())
        state.update(voice.pcm)
        state.update(msgspec.json.encode(voice.words))
    return f"{voices[0].name} and {len(voices) - 1} more, {state.hexdigest()}"


def _factory(sabotage: str | None) -> SessionFactory:
    if sabotage is None:
        return Session
    if sabotage not in SABOTAGED:
        raise ValueError(f"the sabotaged core {sabotage!r} is not known; known are: {', '.join(SABOTAGED)}")
    return SABOTAGED[sabotage]
