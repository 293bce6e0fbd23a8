"""The wider vocabulary in the simulated world: each part of it is drawn, holds, and a session that mislays it is caught."""

from collections.abc import Callable

import pytest
from msgspec import structs
from samples import WHOLE

from rtcore import (
    ApprovalRequested,
    DtmfReceived,
    Effect,
    McpCallEnded,
    RateLimitsUpdated,
    RawEvent,
    RequestEnded,
    ResponseStarted,
    Send,
    Session,
    UnknownEvent,
    UserTranscript,
)
from rtcore.sim import Scenario, World, WorldResult, scenario_of, synthetic_voices
from rtcore.sim._rng import Rng
from rtcore.sim._words import FAULTS
from rtcore.sim.scenario import draw_with
from rtcore.usage import Usage, UsageTotals

VOICES = synthetic_voices(1)


def world_of(seed: int, *faults: str) -> Scenario:
    """A world with these parts of the vocabulary, and little else."""
    return draw_with(Rng(seed), set(faults))


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_each_part_of_the_vocabulary_comes_up_and_holds(fault: str) -> None:  # C26, B27, C29, F103, F116, F062
    seen = 0
    for seed in range(8 if WHOLE else 3):
        result = World(seed, VOICES, scenario=world_of(seed, fault)).run()
        assert result.violations == () and result.turns_unanswered == 0, seed
        seen += result.situations.get(fault, 0)
    assert seen or not WHOLE or fault == "server: idle time-out"


def test_a_silence_is_told_and_answered() -> None:  # facts 4.12
    told = 0
    for seed in range(40):
        scenario = world_of(seed, "server: idle time-out", "program: slow tools", "program: pauses")
        result = World(seed, VOICES, scenario=scenario).run()
        assert result.violations == (), seed
        told += result.situations.get("server: idle time-out", 0)
        if told:
            return
    raise AssertionError("nobody was silent for long enough")


def test_a_server_that_goes_on_by_itself_comes_to_its_end() -> None:  # facts 4.12
    scenario = world_of(11, "server: idle time-out", "program: slow tools")
    served = structs.replace(scenario.server, call_per_mille=1000, audio_ms=(300, 2000))
    # Whenever nobody speaks it does, and asks for a function that takes longer than anybody is silent: there is no rest between.
    words = structs.replace(scenario.words, idle_ms=5000)
    world = World(
        11, VOICES, scenario=structs.replace(scenario, tools=True, tool_late_per_mille=1000, server=served, words=words)
    )
    result = world.run()
    assert result.violations == () and world.program.calls_open == 0
    assert world.server.happened["server: idle time-out"] > 20


def test_all_of_it_together_holds() -> None:
    parts = set(FAULTS) - {"server: only transcribes"}
    for seed in range(10 if WHOLE else 4):
        result = World(seed, VOICES, scenario=world_of(seed, *parts, "server: duplicate event", "server: unknown event")).run()
        assert result.violations == () and result.turns_unanswered == 0, seed


def test_a_modest_share_of_the_default_worlds_has_each() -> None:
    drawn = [scenario_of(seed).faults for seed in range(400)]
    for fault in FAULTS:
        assert 4 <= sum(fault in faults for faults in drawn) <= 80, fault


# -- sessions that mislay it ---------------------------------------------------------------------------------------------------


class Changed(Session):
    """A session whose effects pass through ``change`` on their way out."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return effects

    def receive(self, connection: int, payload: bytes, *, now: float) -> list[Effect]:
        return self.change(super().receive(connection, payload, now=now))


def leaves_out(*kinds: type[Effect]) -> type[Changed]:
    class LeavesOut(Changed):
        def change(self, effects: list[Effect]) -> list[Effect]:
            return [effect for effect in effects if not isinstance(effect, kinds)]

    return LeavesOut


class CountsTwice(Changed):
    """3: what was used is counted twice."""

    @property
    def usage(self) -> UsageTotals:
        total = super().usage
        return UsageTotals(total.session + Usage(responses=1), total.turn)


class AsksAtAStranger(Changed):
    """3: an event that nobody knows makes it ask for an answer."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        strange = any(isinstance(effect, UnknownEvent) for effect in effects)
        return [Send(1, b'{"type":"response.cancel","response_id":"resp_1"}', "urgent"), *effects] if strange else effects


class SureOfEverything(Changed):
    """11: a transcript without logprobs is certain."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [structs.replace(e, confidence=1.0, logprobs=()) if isinstance(e, UserTranscript) else e for e in effects]


class ForgetsMetadata(Changed):
    """3: the program's own metadata are lost."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [structs.replace(e, metadata=None) if isinstance(e, ResponseStarted) else e for e in effects]


@pytest.mark.parametrize(
    ("fault", "session", "invariant"),
    [
        ("user: presses keys", leaves_out(DtmfReceived), 3),
        ("user: presses keys", leaves_out(RateLimitsUpdated), 3),
        ("server: unknown event", leaves_out(UnknownEvent), 3),
        ("server: unknown event", AsksAtAStranger, 3),
        ("program: tap", leaves_out(RawEvent), 3),
        ("server: remote tools", leaves_out(McpCallEnded), 10),
        ("server: remote tools", leaves_out(ApprovalRequested), 10),
        ("user: presses keys", CountsTwice, 3),
        ("program: logprobs", SureOfEverything, 11),
        ("program: input of its own", ForgetsMetadata, 3),
    ],
)
def test_a_session_that_mislays_it_is_caught(fault: str, session: Callable[..., Session], invariant: int) -> None:
    found: set[int] = set()
    for seed in range(10):
        result: WorldResult = World(seed, VOICES, scenario=world_of(seed, fault), session_factory=session).run()
        found |= {violation.invariant for violation in result.violations}
        if invariant in found:
            return
    raise AssertionError(found)


def test_what_stays_open_is_found_though_the_server_goes_on() -> None:  # invariant 15
    scenario = structs.replace(world_of(11, "server: idle time-out"), tools=False)
    result = World(11, VOICES, scenario=scenario, session_factory=leaves_out(RequestEnded)).run()
    assert any("something is still open" in violation.text for violation in result.violations)
