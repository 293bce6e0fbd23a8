"""A world that fails shrinks to a handful of steps that fail in the same way (DESIGN 6: "a failure prints the seed, shrinks")."""

from typing import Any

import msgspec
import pytest
from samples import later, sample

from rtcore import Clock, Config, Effect, Session
from rtcore.recording import RecordingError, read, replay
from rtcore.sim import World
from rtcore.sim.recorded import RecordedWorld, record_world, run_again, voices_mark, world_of
from rtcore.sim.sabotage import SABOTAGED
from rtcore.sim.scenario import Scenario, scenario_of
from rtcore.sim.shrink import Size, explicit, shrink, size_of
from rtcore.sim.voices import synthetic_voices


def drawn(seed: int) -> Scenario:
    """What the seed draws, but shorter, so that the test is quick."""
    return msgspec.structs.replace(scenario_of(seed), interruptions=5)


@pytest.mark.parametrize("name", sample(sorted(SABOTAGED, reverse=True), 3))
def test_a_sabotaged_core_shrinks_to_a_handful_of_steps(name: str) -> None:
    factory = SABOTAGED[name]
    small = shrink(2, drawn(2), factory=factory)
    assert small.before.turns == 5 and small.before.settings >= 20
    assert small.after.turns <= 2 and small.after.answers <= 2 and small.after.settings <= 5
    again = World(2, scenario=small.scenario, session_factory=factory).run()
    assert small.violation in again.violations
    assert World(2, scenario=small.scenario).run().violations == ()  # it shows the core's mistake, not the world's
    assert str(small.violation.invariant) in small.told[-1]


@later
def test_shrinking_is_the_same_every_time_and_keeps_to_its_budget() -> None:
    """Invariant 14 for the tools too."""
    factory = SABOTAGED["no deletes"]
    first, second = (shrink(1, drawn(1), factory=factory, budget=8) for _ in range(2))
    assert first == second
    assert (first.runs, first.exhausted) == (8, True)
    assert first.after.turns < first.before.turns
    sizes: list[tuple[int, Size]] = []
    shrink(1, drawn(1), factory=factory, budget=8, told=lambda runs, size: sizes.append((runs, size)))
    assert sizes and sizes[-1][1] == first.after


@pytest.mark.parametrize("seed", [1, 3])
def test_a_world_written_down_is_the_same_world(seed: int) -> None:
    """The explicit scenario, stored as JSON and read again, gives the same digest; so does nobody's scenario."""
    result, scenario = explicit(seed)
    assert result == World(seed).run()
    stored = msgspec.json.decode(msgspec.json.encode(scenario), type=Scenario)
    assert stored == scenario
    assert World(seed, scenario=stored).run().digest == result.digest
    assert size_of(scenario).turns == result.interruptions


def test_another_invariant_is_not_taken_for_the_one_that_was_asked_for() -> None:
    with pytest.raises(ValueError, match="breaks invariant 12 not"):
        shrink(1, drawn(1), factory=SABOTAGED["no deletes"], invariant=12)
    with pytest.raises(ValueError, match="breaks no invariant"):
        shrink(1, drawn(1))


def test_an_exception_of_another_kind_is_another_failure() -> None:
    """Everything that raises breaks invariant 15; it shrinks to the exception that it began with."""

    class Crashes(Session):
        def played(self, generation: int, samples: int, *, now: float) -> list[Effect]:
            if self.history and samples > 5_000:
                raise OverflowError("too much")
            if samples > 1_000_000:
                raise KeyError("never")
            return super().played(generation, samples, now=now)

    small = shrink(2, drawn(2), factory=Crashes)
    assert small.violation.text == "OverflowError: too much"
    assert small.after.turns <= 1


# -- worlds as recordings ------------------------------------------------------------------------------------------------------


def test_a_failing_world_becomes_a_file_that_replays_as_inputs_and_as_a_world() -> None:
    result, lines = record_world(1, scenario=drawn(1), sabotage="no deletes")
    recording = read(lines)
    world = world_of(recording.header)
    assert world is not None
    assert (world.seed, world.sabotage, world.violations, world.digest) == (1, "no deletes", result.violations, result.digest)
    assert replay(recording, factory=world.factory).difference is None
    assert replay(recording).difference is not None  # the core that was mended does something else
    assert run_again(world).digest == result.digest
    small = shrink(world.seed, world.scenario, factory=world.factory)
    _, fewer = record_world(1, scenario=small.scenario, sabotage="no deletes")
    assert small.after.turns < small.before.turns
    shrunken = world_of(read(fewer).header)
    assert shrunken is not None and small.violation in shrunken.violations


def test_a_world_is_not_run_again_with_other_voices() -> None:
    """The sound is not in the file: with other voices it would be another world."""
    world = world_of(read(record_world(1, scenario=drawn(1))[1]).header)
    assert world is not None and world.violations == ()
    with pytest.raises(ValueError, match="other voices"):
        run_again(world, synthetic_voices(2))
    assert voices_mark(synthetic_voices(1)) == world.voices


def test_a_real_session_has_no_world_and_a_damaged_one_is_named() -> None:
    header = read(record_world(1, scenario=drawn(1))[1]).header
    assert world_of(msgspec.structs.replace(header, world=None)) is None
    damaged: dict[str, Any] = {**(header.world or {}), "seed": "seven"}
    with pytest.raises(RecordingError, match="line 1: the world in the header cannot be read"):
        world_of(msgspec.structs.replace(header, world=damaged))


def test_an_unknown_sabotage_is_named() -> None:
    with pytest.raises(ValueError, match="'gremlins' is not known; known are: "):
        record_world(1, sabotage="gremlins")
    assert RecordedWorld(1, Scenario(), "").factory(Config(), clock=Clock(), seed=1).state == "new"
