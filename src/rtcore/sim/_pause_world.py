"""A world whose session pauses first and decides then what the user's speech is (DESIGN section 4)."""

from typing import TYPE_CHECKING, Any

from msgspec import structs

from rtcore.sim._kinds import Kind
from rtcore.sim._rng import Rng
from rtcore.sim.speaker import SpeakerOptions

if TYPE_CHECKING:
    from rtcore.sim.scenario import Scenario

_PER_MILLE = 70
"""In how many of 1000 worlds that could: those whose server finds turns, and whose clock tells where it stands."""
_LEFT_OUT: frozenset[Kind] = frozenset({"while paused", "local detector"})
"""What would hold the sound for another reason, or begins speech whose end nobody tells."""


def pausing_first(scenario: "Scenario", rng: Rng) -> "Scenario":
    """The same world with a session that holds the sound when it hears a voice, or, in most worlds, the world as it is."""
    if not rng.chance(_PER_MILLE) or not scenario.detects or scenario.microphone or not exact(scenario.speaker):
        return scenario
    rules: dict[str, Any] = {
        "min_duration_ms": rng.choice((None, 100, 250, 250, 500)),
        "min_words": rng.choice((0, 0, 0, 2)),
        "wait_for_turn": rng.chance(200),
        "false_interruption_ms": rng.choice((500, 2000, 2000)),
    }
    core: dict[str, Any] = {"barge_in": rules}
    listening: dict[str, Any] = {}
    if scenario.detection == "server_vad":
        listening["turn_detection"] = {"silence_duration_ms": rng.choice((0, 0, 100))}
    if rng.chance(300):
        listening["transcription"] = None
        rules["min_words"] = 0
    if listening:
        core["session"] = {"audio": {"input": listening}}
    return structs.replace(
        scenario,
        interruption="pause",
        server_interrupts=False,
        server_creates=False,
        kinds=tuple((kind, weight) for kind, weight in scenario.kinds if kind not in _LEFT_OUT),
        pauses_per_mille=0,
        device_lost_per_mille=0,
        core=core,
    )


def exact(speaker: SpeakerOptions) -> bool:
    """Whether what the clock says is true and comes in time: what a voice could cut is known then."""
    wrong = (
        speaker.missing_per_mille,
        speaker.late_per_mille,
        speaker.slow_per_mille,
        speaker.wrong_per_mille,
        speaker.silent_per_mille,
        speaker.marks_ms,
    )
    return not any(wrong) and speaker.reports == "all"
