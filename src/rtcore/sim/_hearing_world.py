"""A world in which the microphone hears the loudspeaker, and a session that does something against it (DESIGN section 4)."""

from typing import TYPE_CHECKING, Any

from msgspec import structs

from rtcore.sim._kinds import Kind
from rtcore.sim._pause_world import exact
from rtcore.sim._rng import Rng

if TYPE_CHECKING:
    from rtcore.sim.scenario import Scenario

FAULTS = frozenset({"program: half duplex", "program: echo guard", "speaker: echo"})
_LEFT_OUT: frozenset[Kind] = frozenset({"while paused", "local detector", "silence"})
"""What would hold the sound for another reason, begins speech whose end nobody tells, or stops a microphone that runs."""


def with_echo(scenario: "Scenario", faults: set[str], rng: Rng) -> "Scenario":
    """The same world with what these faults name, where the server hears the user in real audio and the clock says the truth.

    A half-duplex session needs no guard. An echo alone would have the model talk to itself without end: it is in the worlds of
    those that do something against it.
    """
    half, guarded = rng.fork("half duplex"), rng.fork("guard")
    fits = scenario.detects and scenario.server.call is None and not scenario.words.listens and exact(scenario.speaker)
    if not fits or scenario.loss is not None or scenario.interruption != "cut" or scenario.words.idle_ms is not None:
        return scenario
    if "program: half duplex" in faults:
        # Where nothing comes back, nothing has to be waited for.
        tail_ms = half.choice((300, 800) if "speaker: echo" in faults else (0, 0, 300))
        core, interruption = {"barge_in": {"tail_ms": tail_ms}}, "half_duplex"
        if not tail_ms:
            # .. and a device that sounds on while it stops shows whether the flush's answer is waited for.
            scenario = structs.replace(scenario, speaker=structs.replace(scenario.speaker, stop_ms=(100, 300)))
        return _heard(scenario, faults, rng, interruption=interruption, core={**scenario.core, **core})
    if "program: echo guard" in faults:
        return _heard(
            scenario,
            faults | {"speaker: echo"},
            rng,
            guard_ms=guarded.choice((500, 800, 1000)),
            guard=guarded.choice(("ignore", "defer")),
            server_interrupts=False,
            server_creates=False,
            server=structs.replace(scenario.server, audio_ms=guarded.choice(((200, 1500), (300, 3000), (1000, 4000)))),
        )
    return scenario


def _heard(scenario: "Scenario", faults: set[str], rng: Rng, **changes: Any) -> "Scenario":
    room = rng.fork("room")
    echo_ms, echo_shift = room.choice((20, 60, 120, 200)), room.choice((1, 2, 3))
    return structs.replace(
        scenario,
        microphone=True,
        output="audio/pcm",
        rate=24_000,
        echo_ms=echo_ms if "speaker: echo" in faults else 0,
        echo_shift=echo_shift,
        kinds=tuple((kind, weight) for kind, weight in scenario.kinds if kind not in _LEFT_OUT),
        pauses_per_mille=0,
        mutes_per_mille=0,
        device_lost_per_mille=0,
        says_per_mille=0,
        asides_per_mille=0,
        hold_ms=0,
        blocks_per_mille=0,
        early=False,
        **changes,
    )
