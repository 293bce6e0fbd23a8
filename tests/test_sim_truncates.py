"""Servers that refuse truncates which no client can know to be one too many: met, survived, and no excuse for any other."""

import json
from typing import Any

import msgspec
import pytest

from rtcore import Effect, Problem, Send, ServerError, Session
from rtcore.sim import Scenario, ServerOptions, World, WorldResult, scenario_of, synthetic_voices
from rtcore.sim._server_plan import Rules

VOICES = synthetic_voices(1)
SHORT = Rules(held_short_ms=300)
REFUSES = Rules(truncate_repeat="refused")


class Broken(Session):
    """A session whose effects pass through ``change`` wherever a truncate can be among them."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return effects

    def receive(self, connection: int, payload: bytes, *, now: float) -> list[Effect]:
        return self.change(super().receive(connection, payload, now=now))

    def flushed(self, generation: int, samples: int, *, now: float) -> list[Effect]:
        return self.change(super().flushed(generation, samples, now=now))


def truncation(effect: Effect) -> dict[str, Any] | None:
    if not isinstance(effect, Send) or not effect.payload.startswith(b'{"type":"conversation.item.truncate"'):
        return None
    said: dict[str, Any] = json.loads(effect.payload)
    return said


def run(rules: Rules, session: type[Broken] = Broken) -> list[WorldResult]:
    scenario = Scenario(
        interruptions=12,
        kinds=(("inside message 1", 1), ("after all audio arrived", 1), ("at the end of an item", 1)),
        server_interrupts=False,
        server=ServerOptions(audio_ms=(300, 2500), rules=rules, stragglers=(1, 9), rate_percent=(120, 300)),
    )
    return [World(seed, VOICES, scenario=scenario, session_factory=session).run() for seed in range(6)]


def met(worlds: list[WorldResult], situation: str) -> int:
    return sum(world.situations.get(situation, 0) for world in worlds)


def broken(worlds: list[WorldResult]) -> set[int]:
    return {violation.invariant for world in worlds for violation in world.violations}


@pytest.mark.parametrize(
    ("rules", "situation"),
    [
        (SHORT, "C09: a truncate beyond what the server holds"),
        (REFUSES, "C10: a repeated truncate that the server refused"),
    ],
)
def test_what_no_client_can_know_is_no_fault_of_its(rules: Rules, situation: str) -> None:  # C09, C10, F005
    worlds = run(rules)
    assert broken(worlds) == set() and met(worlds, situation) > 0
    assert all(world.unheard_left == 0 for world in worlds)


class TruncatesLater(Broken):
    """4, 9: says that more was heard than had arrived."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [_longer(effect) for effect in effects]


def _longer(effect: Effect) -> Effect:
    said = truncation(effect)
    if said is None:
        return effect
    return Send(1, msgspec.json.encode({**said, "audio_end_ms": said["audio_end_ms"] + 5000}))


class SaysEachTruncateTwice(Broken):
    """5: repeats a truncate although nothing came since."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        changed: list[Effect] = []
        for effect in effects:
            changed.append(effect)
            said = truncation(effect)
            if said is not None:
                changed.append(Send(1, msgspec.json.encode({**said, "event_id": "again"})))
        return changed


class TellsTheProgram(Broken):
    """9: hands on what says nothing."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        if not any(truncation(effect) for effect in effects):
            return effects
        return [*effects, ServerError(Problem("invalid_value", "Item 'item_1' is already truncated.", False, ""))]


@pytest.mark.parametrize(
    ("rules", "session", "invariants"),
    [(SHORT, TruncatesLater, {4, 9}), (REFUSES, SaysEachTruncateTwice, {5}), (REFUSES, TellsTheProgram, {9})],
)
def test_and_an_excuse_for_nothing_else(rules: Rules, session: type[Broken], invariants: set[int]) -> None:
    assert invariants <= broken(run(rules, session))


def test_each_answer_is_drawn_and_a_refused_repeat_only_where_it_is_idle() -> None:
    drawn = [scenario_of(seed).server.rules for seed in range(300)]
    rules = [each for each in drawn if each is not None]
    assert {each.held_short_ms for each in rules} == {0, 20, 85, 300}
    assert sum(each.held_short_ms > 0 for each in rules) < 45
    refusing = {each.truncate_midway for each in rules if each.truncate_repeat == "refused"}
    assert refusing == {"drops_later"} and len(rules) == len(drawn)
