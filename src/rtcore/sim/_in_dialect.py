"""The same world at a server of another dialect: as far as that dialect goes (DESIGN section 5)."""

from typing import TYPE_CHECKING, Any

from msgspec import structs

from rtcore._errors import LocalProtocolError
from rtcore.dialects import DIALECTS, Dialect
from rtcore.sim._program import UPDATES
from rtcore.sim._server_dialects import MANNERS, DialectName

if TYPE_CHECKING:
    from rtcore.sim.scenario import Scenario


def in_dialect(scenario: "Scenario", name: DialectName) -> "Scenario":
    """This world, spoken in this dialect: without what its server cannot do, and with what it does by itself where that cannot be
    switched off. A call stays one only where the dialect has side channels to calls."""
    table, manner = DIALECTS[name], MANNERS[name]
    able = table.capabilities
    changes: dict[str, Any] = {}
    if all(form != scenario.audio for form in able.output_formats):
        changes |= {"output": "audio/pcm", "rate": able.output_formats[0].rate}
    if scenario.detection not in (None, *able.turn_detection):
        changes["detection"] = able.turn_detection[0]
    if not manner.detection_flags and scenario.detection is not None:
        # What turn detection does cannot be said, so it does all of it.
        changes |= {"server_creates": True, "server_interrupts": True, "context": "auto", "interruption": "cut"}
    if able.input_formats[0].rate != _MICROPHONE:
        changes["microphone"] = False
    if not able.create:
        changes |= {"tools": False, "typed_per_mille": 0, "early": False}
    if not (able.create and able.delete):
        changes |= {"edits_per_mille": 0, "syncs_per_mille": 0}
    if not able.out_of_band:
        changes["asides_per_mille"] = 0
    if not all(_says(table, update) for update in UPDATES):
        changes["updates_per_mille"] = 0
    words, server = scenario.words, structs.replace(scenario.server, dialect=name)
    if name != "openai":
        # The newest of the vocabulary is GA's.
        words = structs.replace(words, remote_tools=False, idle_ms=None, images_per_mille=0, logprobs=False, prompt=False)
        words = structs.replace(words, own_input=words.own_input and able.out_of_band, listens=False)
        server = structs.replace(server, remote_per_mille=0)
    if name not in _WITH_CALLS:
        server = structs.replace(server, call=None)
    return structs.replace(scenario, server=server, words=words, **changes)


_MICROPHONE = 24_000
"""Samples per second of what is said into the microphone of a world."""
_WITH_CALLS = ("openai", "azure")


def _says(table: Dialect, update: dict[str, Any]) -> bool:
    try:
        table.render_session({"type": "realtime", **update})
    except LocalProtocolError:
        return False
    return True
