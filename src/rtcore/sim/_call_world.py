"""A world that is a call: the server sounds the audio on a line of its own (DESIGN section 5)."""

from typing import TYPE_CHECKING

from msgspec import structs

from rtcore.sim._aim_call import ON_A_CALL
from rtcore.sim._kinds import weights
from rtcore.sim._rng import Rng
from rtcore.sim._server_plan import draw_call
from rtcore.sim.speaker import SpeakerOptions

if TYPE_CHECKING:
    from rtcore.sim.scenario import Scenario


def on_a_call(scenario: "Scenario", rng: Rng) -> "Scenario":
    """The same world as a call: without a device, a microphone and whatever needs them.

    Left out are also what only the sound of this side could tell (parts without sound, several parts of sound in one message,
    audio out of band), responses that overlap, and one whose end is never told: nothing says how such a server sounds them.
    """
    server = structs.replace(
        scenario.server,
        call=draw_call(rng),
        dialect="openai",
        overlap_per_mille=0,
        two_parts_per_mille=0,
        empty_audio_per_mille=0,
        short_audio_per_mille=0,
        no_done_per_mille=0,
        no_created_per_mille=0,
    )
    kinds = scenario.kinds if scenario.detects else weights(by_speech=True, faults=set(scenario.faults))
    return structs.replace(
        scenario,
        kinds=tuple((kind, weight) for kind, weight in kinds if kind in ON_A_CALL),
        detection=scenario.detection or "server_vad",
        microphone=False,
        recogniser=False,
        idle_ms=None,
        output="audio/pcm",
        rate=24_000,
        lead_ms=None,
        pauses_per_mille=0,
        device_lost_per_mille=0,
        asides_per_mille=0,
        hold_ms=0,
        blocks_per_mille=0,
        speaker=SpeakerOptions(
            drift_ppm=0, late_per_mille=0, slow_per_mille=0, missing_per_mille=0, stale_per_mille=0, duplicate_per_mille=0
        ),
        server=server,
    )
