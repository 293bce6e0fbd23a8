"""The same world at a server of another dialect: as far as that dialect goes (DESIGN section 5)."""

from typing import TYPE_CHECKING, Any

from msgspec import structs

from rtcore.dialects import DIALECTS
from rtcore.sim._program import UPDATES
from rtcore.sim._server_dialects import DialectName
from rtcore.sim._words import says, spoken_in

if TYPE_CHECKING:
    from rtcore.sim.scenario import Scenario


def in_dialect(scenario: "Scenario", name: DialectName) -> "Scenario":
    """This world, spoken in this dialect: without what its server cannot do, and with what it does by itself where that cannot be
    switched off. A call stays one only where the dialect has side channels to calls."""
    table = DIALECTS[name]
    able = table.capabilities
    changes: dict[str, Any] = {}
    if all(form != scenario.audio for form in able.output_formats):
        changes |= {"output": "audio/pcm", "rate": able.output_formats[0].rate}
    if scenario.detection not in (None, *able.turn_detection):
        changes["detection"] = able.turn_detection[0]
    if not able.server_obeys and scenario.detection is not None:
        # What turn detection does cannot be said, so it does all of it; and the model's own echo would talk to it without end.
        changes |= {"server_creates": True, "server_interrupts": True, "context": "auto", "interruption": "cut"}
        changes |= {"guard_ms": 0, "echo_ms": 0}
    if able.input_formats[0].rate != _MICROPHONE:
        changes |= {"microphone": False, "echo_ms": 0}
    if not able.create:
        changes |= {"tools": False, "typed_per_mille": 0, "early": False, "recogniser": False}
    if not (able.create and able.delete):
        changes |= {"edits_per_mille": 0, "syncs_per_mille": 0}
    if not able.out_of_band:
        changes["asides_per_mille"] = 0
    if not all(says(table, update) for update in UPDATES):
        changes["updates_per_mille"] = 0
    words = spoken_in(scenario.words, name)
    server = structs.replace(scenario.server, dialect=name)
    if not words.remote_tools:
        server = structs.replace(server, remote_per_mille=0)
    if not table.way.calls:
        server = structs.replace(server, call=None)
    return structs.replace(scenario, server=server, words=words, **changes)


_MICROPHONE = 24_000
"""Samples per second of what is said into the microphone of a world."""
