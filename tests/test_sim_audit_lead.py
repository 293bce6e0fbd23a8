"""A lead is no reason for silence: what waits behind it is handed over before the sound runs dry (invariant 12)."""

import pytest
from msgspec import structs

from rtcore import Clock, Session
from rtcore.config import Config
from rtcore.sim import Scenario, ServerOptions, SpeakerOptions, World, synthetic_voices

VOICES = synthetic_voices(1)
CLOCKS = [SpeakerOptions(buffer_ms=40, report_ms=200), SpeakerOptions(buffer_ms=40, marks_ms=500)]
"""They say seldom where they stand; the second is a telephone."""


def scenario(clock: SpeakerOptions, lead_ms: int | None) -> Scenario:
    return Scenario(
        interruptions=6,
        kinds=(("inside message 1", 1), ("after all audio arrived", 2)),
        lead_ms=lead_ms,
        server=ServerOptions(audio_ms=(1500, 4000)),
        speaker=clock,
    )


def trusting(config: Config, /, *, clock: Clock, seed: int) -> Session:
    """A session that hands over the lead that was asked for, as if its clock spoke all the time."""
    return Session(config, clock=structs.replace(clock, report_ms=1), seed=seed)


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_lead_that_ends_before_the_clocks_next_word_is_caught(clock: SpeakerOptions) -> None:  # F019, F020, F040
    broken = World(1, VOICES, scenario=scenario(clock, 80), session_factory=trusting).run()
    assert any(one.invariant == 12 and "waited in the core behind the lead" in one.text for one in broken.violations)


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("lead_ms", [80, 3000, None])
def test_the_core_knows_better_than_to_hand_over_so_little(clock: SpeakerOptions, lead_ms: int | None) -> None:  # F019, F020
    assert [World(seed, VOICES, scenario=scenario(clock, lead_ms)).run().violations for seed in range(3)] == [()] * 3


def test_a_lead_that_cannot_fill_the_device_is_nobodys_fault() -> None:  # F019
    # 300 ms of its buffer are more than two reports of 100 ms: it starves, and it was the program's wish.
    starved = World(1, VOICES, scenario=scenario(SpeakerOptions(buffer_ms=300, report_ms=100), 80)).run()
    assert not any("behind the lead" in one.text for one in starved.violations)
