"""Situations with a rule of their own: worlds that have them keep every invariant, and really meet them."""

import json

import pytest
from samples import WHOLE

from rtcore import Effect, Issued, ResponseEnded, Session, ToolCalled
from rtcore.sim import World, scenario_of, synthetic_voices
from rtcore.sim._rng import Rng
from rtcore.sim.scenario import draw_with

VOICES = synthetic_voices(1)


@pytest.mark.parametrize(
    ("fault", "met"),
    [
        # C26, B28, F065: a function that takes long is told once, bridged into silence, and answered once.
        (
            "program: words for a wait",
            ("C26: words while a function takes long", "C26: the result came before the words that bridge it"),
        ),
        # F039: what the loudspeaker sounds never comes back as a turn, and the next words of the user are whole.
        (
            "program: half duplex",
            (
                "F039: half duplex, the model is heard and not the user",
                "F039: half duplex, the model is silent and the user heard",
            ),
        ),
        # F118: an echo is ignored or waited for, the guard backs off, and what the user really says is answered.
        (
            "program: echo guard",
            (
                "speaker: echo",
                "F118: a voice within the guard, ignored",
                "F118: a voice within the guard, deferred",
                "F118: it went on when the guard was over",
            ),
        ),
        # F130: a silence is told once, and not while anything goes on.
        ("program: told of silence", ("F130: nobody has said anything, and the program is told",)),
        # C13, B18, F118: a turn in words is answered once, and interrupts like a voice.
        ("user: own recogniser", ("C13: a cut in a session with manual turns", "user: own recogniser")),
    ],
)
def test_the_rule_holds_where_it_comes_up(fault: str, met: tuple[str, ...]) -> None:
    seen: dict[str, int] = {}
    drawn = ((seed, draw_with(Rng(seed), {fault})) for seed in range(200))
    for seed, scenario in [each for each in drawn if fault in each[1].faults][: 12 if WHOLE else 6]:
        result = World(seed, VOICES, scenario=scenario).run()
        assert (result.violations, result.turns_unanswered) == ((), 0)
        for name, count in result.situations.items():
            seen[name] = seen.get(name, 0) + count
    assert [name for name in met if not seen.get(name)] == []


def test_calls_and_their_results_meet_what_is_told_before_them() -> None:  # B28, F066, F074, F076, F090
    wanted = {
        "B28: a tool's result while sound is left",
        "F074: a call was told while the words before it sounded",
        "F076: a result that is no text",
        "F090: a message of a connection that is gone",
    }
    for seed in range(60):
        if scenario_of(seed).stale_per_mille:
            result = World(seed, VOICES).run()
            assert (result.violations, result.turns_unanswered) == ((), 0)
            wanted -= set(result.situations)
        if not wanted:
            return
    raise AssertionError(wanted)


class EncodesTwice(Session):
    """What is no text is a text when it comes to be encoded."""

    def tool_result(self, call_id: str, output: object, *, respond: bool = True, now: float) -> Issued:
        return super().tool_result(call_id, json.dumps(json.dumps(output)), respond=respond, now=now)


def test_a_result_that_is_encoded_twice_is_found() -> None:  # F076, invariant 10
    seeds = (seed for seed in range(20) if scenario_of(seed).tools)
    found = (World(seed, VOICES, session_factory=EncodesTwice).run().violations for seed in seeds)
    assert any(violation.invariant == 10 and "encoded twice" in violation.text for each in found for violation in each)


class TellsCallsLate(Session):
    """A call waits for the end of its response."""

    def receive(self, connection: int, payload: bytes, *, now: float) -> list[Effect]:
        effects = super().receive(connection, payload, now=now)
        held: list[Effect] = vars(self).setdefault("_held_calls", [])
        held += [effect for effect in effects if isinstance(effect, ToolCalled)]
        told = [effect for effect in effects if not isinstance(effect, ToolCalled)]
        if any(isinstance(effect, ResponseEnded) for effect in effects):
            told += held[::-1]
            held.clear()
        return told


def test_a_call_that_is_told_late_is_found() -> None:  # F074, invariant 10
    seeds = (seed for seed in range(20) if scenario_of(seed).tools)
    found = (World(seed, VOICES, session_factory=TellsCallsLate).run().violations for seed in seeds)
    assert any(violation.invariant == 10 and "after it was complete" in violation.text for each in found for violation in each)
