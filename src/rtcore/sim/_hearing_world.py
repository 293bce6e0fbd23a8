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
_ECHO_MS = 60
"""How late a room gives back what it hears, where a policy names a guard and no echo."""


def with_echo(scenario: "Scenario", faults: set[str], rng: Rng) -> "Scenario":
    """The same world with what these faults name, where the server hears the user in real audio and the clock says the truth.

    A half-duplex session needs no guard. An echo alone would have the model talk to itself without end: it is in the worlds of
    those that do something against it.
    """
    half, guarded, room = rng.fork("half duplex"), rng.fork("guard"), rng.fork("room")
    if not fits(scenario):
        return scenario
    echo_ms, echo_shift = room.choice((20, 60, 120, 200)), room.choice((1, 2, 3))
    if "program: half duplex" in faults:
        # Where nothing comes back, nothing has to be waited for.
        tail_ms = half.choice((300, 800) if "speaker: echo" in faults else (0, 0, 300))
        core, interruption = {"barge_in": {"tail_ms": tail_ms}}, "half_duplex"
        if not tail_ms:
            # .. and a device that sounds on while it stops shows whether the flush's answer is waited for.
            scenario = structs.replace(scenario, speaker=structs.replace(scenario.speaker, stop_ms=(100, 300)))
        echo_ms = echo_ms if "speaker: echo" in faults else 0
        core = {**scenario.core, **core}
        return _heard(scenario, echo_ms=echo_ms, echo_shift=echo_shift, interruption=interruption, core=core)
    if "program: echo guard" in faults:
        return _heard(
            scenario,
            echo_ms=echo_ms,
            echo_shift=echo_shift,
            guard_ms=guarded.choice((500, 800, 1000)),
            guard=guarded.choice(("ignore", "defer")),
            server_interrupts=False,
            server_creates=False,
            server=structs.replace(scenario.server, audio_ms=guarded.choice(((200, 1500), (300, 3000), (1000, 4000)))),
        )
    return scenario


def fits(scenario: "Scenario") -> bool:
    """Whether it can be a world of a session that hears itself: the server finds the turns, and nothing else holds the sound."""
    heard = scenario.detects and scenario.server.call is None and not scenario.words.listens and exact(scenario.speaker)
    return heard and scenario.loss is None and scenario.interruption == "cut" and scenario.words.idle_ms is None


def half_duplex(scenario: "Scenario") -> "Scenario":
    """It, in half duplex, for a policy: as it is where it does not fit. What sounds back, and the tail, are its own."""
    other = structs.replace(scenario, interruption="cut")
    return _heard(other, interruption="half_duplex") if fits(other) else scenario


def guarded(scenario: "Scenario", guard_ms: int) -> "Scenario":
    """It, with an echo guard of so many ms in a room that echoes, for a policy: as it is where it does not fit."""
    if not fits(scenario):
        return scenario
    echo_ms = scenario.echo_ms or _ECHO_MS
    return _heard(scenario, echo_ms=echo_ms, guard_ms=guard_ms, server_interrupts=False, server_creates=False)


def _heard(scenario: "Scenario", **changes: Any) -> "Scenario":
    return structs.replace(
        scenario,
        microphone=True,
        output="audio/pcm",
        rate=24_000,
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
