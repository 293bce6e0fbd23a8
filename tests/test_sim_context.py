"""The auditor's rule about context: what the model knew when it was asked, held against what was heard."""

from typing import Any

import pytest
from msgspec import structs

from rtcore import Clock, Config, Session
from rtcore._interruption import Interruption
from rtcore.sim import Scenario, ServerOptions, SpeakerOptions, World, synthetic_voices
from rtcore.sim.network import NetworkOptions
from rtcore.sim.policy import parse_policy
from rtcore.sim.scenario import scenario_of

VOICES = synthetic_voices(1)
SLOW = Scenario(
    interruptions=6,
    kinds=(("inside message 1", 1),),
    stream=NetworkOptions(latency_ms=250),
    server=ServerOptions(audio_ms=(1500, 3000), think_ms=(0, 50), message_weights=(1, 0, 0), call_per_mille=0),
)


class _Hasty(Interruption):
    @property
    def editing(self) -> bool:
        return False


def hasty(config: Config, /, *, clock: Clock, seed: int) -> Session:
    """A core that creates before its edits."""
    session = Session(config, clock=clock, seed=seed)
    session._core.interruption.__class__ = _Hasty
    return session


def test_a_core_that_creates_before_its_edits_is_found_out_by_what_the_model_knew() -> None:  # DESIGN 3: exact; C16
    late = SpeakerOptions(answer_ms=(1500, 1500), flush_latency_ms=2500)  # what was heard is known only then
    scenario = structs.replace(SLOW, context="exact", speaker=late)
    found = World(3, VOICES, scenario=scenario, session_factory=hasty).run()
    assert any("was made from words of" in one.text for one in found.violations)


@pytest.mark.parametrize("context", ["auto", "exact"])
def test_an_exact_context_holds_on_a_slow_line_and_an_automatic_one_does_not(context: Any) -> None:  # DESIGN 3, C16
    stale = []
    for seed in range(8):
        world = World(seed, VOICES, scenario=structs.replace(SLOW, context=context))
        assert world.run().violations == ()
        stale.append(len(world.auditor.context.stale))
    assert (sum(stale) == 0) is (context == "exact")


def test_stale_answers_are_taken_back_unheard_and_the_turn_is_answered_all_the_same() -> None:  # DESIGN 3: context_stale
    taken = answered = 0
    for seed in range(8):
        world = World(seed, VOICES, scenario=structs.replace(SLOW, core={"stale_context": "recreate"}))
        result = world.run()
        assert result.violations == ()
        taken += len(world.auditor.context.taken_back)
        answered += result.situations.get("C16: a stale answer was taken back", 0)
    assert taken == answered > 0


def test_a_core_that_lets_a_stale_answer_stand_against_the_policy_is_found_out() -> None:  # DESIGN 3: context_stale

    def lenient(config: Config, /, *, clock: Clock, seed: int) -> Session:
        return Session(config.model_copy(update={"stale_context": "accept"}), clock=clock, seed=seed)

    scenario = structs.replace(SLOW, core={"stale_context": "recreate"})
    found = [World(seed, VOICES, scenario=scenario, session_factory=lenient).run().violations for seed in range(4)]
    assert any("against the policy" in one.text for violations in found for one in violations)


def test_a_policy_sets_what_becomes_of_stale_answers_and_of_requests_that_wait() -> None:  # C15, C16
    policy = parse_policy("stale_context=recreate,coalesce=plain")
    config = policy.applied(scenario_of(1)).config()
    assert (config.stale_context, config.coalesce) == ("recreate", "plain")
