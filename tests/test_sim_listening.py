"""What goes up and what is said about the user: the auditor catches a session that loses, repeats or mislays it, and one that
ends for nothing or does not say why."""

from collections.abc import Callable
from typing import Any, Literal

import msgspec
import pytest

from rtcore import (
    Effect,
    HistoryItem,
    Issued,
    ResponseEnded,
    ResponseStarted,
    Send,
    ServerError,
    Session,
    SessionClosed,
    TextDelta,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
)
from rtcore.sim import Scenario, ServerOptions, World, WorldResult, synthetic_voices
from rtcore.sim.server import Rules

VOICES = synthetic_voices(1)
SERVER = ServerOptions(audio_ms=(300, 1500), call_per_mille=0, text_per_mille=0)
SPOKEN = Scenario(interruptions=4, kinds=(("inside message 1", 3), ("after all was heard", 1)), server=SERVER)
PRESSED = msgspec.structs.replace(SPOKEN, kinds=(("manual turn", 1),), detection=None, server_creates=False, batch_ms=100)
MUTED = msgspec.structs.replace(SPOKEN, kinds=(("silence", 1),), microphone=True, batch_ms=250)
APPEND = b'{"type":"input_audio_buffer.append"'


class Changed(Session):
    """A session whose effects pass through ``change`` on their way out."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return effects

    def receive(self, connection: int, payload: bytes, *, now: float) -> list[Effect]:
        return self.change(super().receive(connection, payload, now=now))

    def disconnected(self, connection: int, cause: Any, *, now: float) -> list[Effect]:
        return self.change(super().disconnected(connection, cause, now=now))

    def tick(self, *, now: float) -> list[Effect]:
        return self.change(super().tick(now=now))

    def append_audio(self, pcm: bytes, *, now: float) -> list[Effect]:
        return self.change(super().append_audio(pcm, now=now))

    def commit(self, *, now: float) -> Issued:
        issued = super().commit(now=now)
        return Issued(issued.request, self.change(issued.effects))


def is_append(effect: Effect) -> bool:
    return isinstance(effect, Send) and effect.payload.startswith(APPEND)


class LosesTheEnd(Changed):
    """8: the last batch before a commit stays behind."""

    def commit(self, *, now: float) -> Issued:
        issued = super().commit(now=now)
        return Issued(issued.request, [effect for effect in issued.effects if not is_append(effect)])


class RepeatsAudio(Changed):
    """8: sends every batch twice."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [copy for effect in effects for copy in ([effect, effect] if is_append(effect) else [effect])]


class TurnsAudioRound(Changed):
    """8: sends what waited in another order."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        appends = [effect for effect in effects if is_append(effect)][::-1]
        return [appends.pop(0) if is_append(effect) else effect for effect in effects]


class HoldsAudioBack(Changed):
    """12: the rest of what was said waits for more."""

    def tick(self, *, now: float) -> list[Effect]:
        return [effect for effect in super().tick(now=now) if not is_append(effect)]


class ForgetsWhoSpoke(Changed):
    """3: does not say which item a turn will be."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [UserSpeechStarted(None) if isinstance(effect, UserSpeechStarted) else effect for effect in effects]


class HearsNoEnd(Changed):
    """3: keeps the end of speech to itself."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [effect for effect in effects if not isinstance(effect, UserSpeechStopped)]


class LosesTranscripts(Changed):
    """11: keeps the user's words to itself."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [effect for effect in effects if not isinstance(effect, UserTranscript)]


class LosesText(Changed):
    """11: does not tell the model's words as they come."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [effect for effect in effects if not isinstance(effect, TextDelta)]


class KeepsTheReason(Changed):
    """3: does not say why a response ended."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [msgspec.structs.replace(each, reason=None) if isinstance(each, ResponseEnded) else each for each in effects]


class EndsTooSoon(Changed):
    """3: takes a response as over that goes on."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        begun = [each.response_id for each in effects if isinstance(each, ResponseStarted)]
        return [*effects, *(ResponseEnded(response_id, "cancelled") for response_id in begun)]


class ForgetsTheUser(Changed):
    """11: a history without what the user said."""

    @property
    def history(self) -> tuple[HistoryItem, ...]:
        return tuple(
            msgspec.structs.replace(item, text="", full_text="") if item.role == "user" else item for item in super().history
        )


class EndsForNothing(Changed):
    """15: takes a lost race for the end of everything."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        started = any(isinstance(effect, UserSpeechStarted) for effect in effects)
        return [*effects, SessionClosed("fatal_error")] if started else effects


class TakesTheEndForAnError(Changed):
    """15: goes on after the end of its life."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [effect for effect in effects if not isinstance(effect, SessionClosed)]


class TakesTheEndForALostLine(Changed):
    """15: does not say that the session had its time."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [SessionClosed("lost") if isinstance(effect, SessionClosed) else effect for effect in effects]


def worlds(scenario: Scenario, factory: Callable[..., Session]) -> list[WorldResult]:
    return [World(seed, VOICES, scenario=scenario, session_factory=factory).run() for seed in range(4)]


@pytest.mark.parametrize(
    ("invariant", "scenario", "broken"),
    [
        (8, PRESSED, LosesTheEnd),
        (8, PRESSED, RepeatsAudio),
        (8, msgspec.structs.replace(PRESSED, batch_ms=10), TurnsAudioRound),
        (12, MUTED, HoldsAudioBack),
        (3, SPOKEN, ForgetsWhoSpoke),
        (3, SPOKEN, HearsNoEnd),
        (3, SPOKEN, KeepsTheReason),
        (3, SPOKEN, EndsTooSoon),
        (11, SPOKEN, LosesTranscripts),
        (11, SPOKEN, LosesText),
        (11, SPOKEN, ForgetsTheUser),
        (15, SPOKEN, EndsForNothing),
    ],
    ids=lambda each: each.__name__ if isinstance(each, type) else None,
)
def test_a_session_that_does_not_listen_is_caught(
    invariant: int, scenario: Scenario, broken: type[Session]
) -> None:  # C22 F123 F103
    results = worlds(scenario, broken)
    assert invariant in {violation.invariant for result in results for violation in result.violations}


@pytest.mark.parametrize("scenario", [PRESSED, MUTED, SPOKEN], ids=["pressed", "muted", "spoken"])
def test_a_session_that_listens_is_left_alone(scenario: Scenario) -> None:
    assert [result.violations for result in worlds(scenario, Changed)] == [()] * 4


ENDS: dict[Literal["error", "codeless error", "close frame"], str] = {
    "error": "F085: told by an error",
    "codeless error": "F085: told by the text of an error",
    "close frame": "F085: told by the close frame alone",
}


@pytest.mark.parametrize("dialect", ["openai", "azure-preview"])
@pytest.mark.parametrize("minutes", [30, 60])
@pytest.mark.parametrize("told", ENDS)
def test_the_end_of_a_session_is_told_as_what_it_is(
    told: Literal["error", "codeless error", "close frame"], minutes: int, dialect: Literal["openai", "azure-preview"]
) -> None:  # B25 C27 F085
    server = msgspec.structs.replace(SERVER, rules=Rules(expiry=told), limit_minutes=minutes, dialect=dialect)
    scenario = msgspec.structs.replace(SPOKEN, loss="session end", loss_at_ms=4000, server=server)
    result = World(1, VOICES, scenario=scenario, session_factory=Changed).run()
    assert result.violations == () and result.situations[ENDS[told]] == 1
    for broken in (TakesTheEndForAnError, TakesTheEndForALostLine):
        caught = {
            violation.invariant for violation in World(1, VOICES, scenario=scenario, session_factory=broken).run().violations
        }
        assert caught & {2, 15}


def test_an_error_that_is_told_as_fatal_and_ends_nothing_is_caught() -> None:  # F007
    class Alarmed(Changed):
        def change(self, effects: list[Effect]) -> list[Effect]:
            return [msgspec.structs.replace(each, fatal=True) if isinstance(each, ServerError) else each for each in effects]

    # Drawn worlds, in some of which the server refuses something that the program did not ask for.
    results = [World(seed, VOICES, session_factory=Alarmed).run() for seed in (4, 6, 8, 10)]
    assert 15 in {violation.invariant for result in results for violation in result.violations}


@pytest.mark.parametrize("echo", ["true", "null", "absent"])
def test_a_server_that_says_nothing_of_its_defaults_has_them(echo: Literal["true", "null", "absent"]) -> None:  # C13 F044 F051
    for names in (True, False):
        scenario = msgspec.structs.replace(
            SPOKEN, names_defaults=names, server=msgspec.structs.replace(SERVER, rules=Rules(detection_echo=echo))
        )
        assert ("turn_detection" in scenario.config().session.wire()["audio"]["input"]) is names
        assert [result.violations for result in worlds(scenario, Session)] == [()] * 4


@pytest.mark.parametrize(("seed", "life_s"), [(10, 4), (33, 3), (68, 2), (138, 5)])
def test_what_comes_together_with_the_end_of_the_session_is_told_nobody(seed: int, life_s: int) -> None:  # B31, C24, F085
    server = msgspec.structs.replace(SERVER, duplicate_per_mille=1000, session_s=life_s)
    assert World(seed, VOICES, scenario=msgspec.structs.replace(SPOKEN, server=server)).run().violations == ()
