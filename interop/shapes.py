"""What passes between our client and our server in simulated worlds: one example of every shape of event, both ways.

Two events have one shape where they differ in nothing but ids, words, audio and numbers: the keys, the kinds of values and every
word that the protocol chose are the same. What the worlds do to the protocol on purpose (events that are no JSON or of a type
that nobody knows) is left out; every other fault is in.
"""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec import Struct, structs

from rtcore.sim.server import Server
from rtcore.sim.world import World

Side = Literal["server", "client"]

_FREE = frozenset(
    {"arguments", "audio", "delta", "event_id", "id", "instructions", "message", "obfuscation", "output", "text", "transcript"}
)
"""Keys under which any string may stand, beside those that end in ``_id``."""
_INPUTS = ("connect", "receive", "tick", "user_speech")


class Example(Struct, frozen=True):
    """One event, and which side said it in which dialect."""

    side: Side
    dialect: str
    event: dict[str, Any]


def shape(value: object, key: str = "") -> object:
    """The value without what is its own, to be compared."""
    match value:
        case dict() if key == "metadata":
            return "metadata"
        case dict():
            return tuple((name, shape(inner, name)) for name, inner in sorted(value.items()))
        case list():
            return tuple(dict.fromkeys(shape(inner, key) for inner in value))
        case str():
            return "" if key in _FREE or key.endswith("_id") else value
        case bool() | None:
            return value
        case _:
            return type(value).__name__


def examples(seeds: Iterable[int]) -> list[Example]:
    """One event of every shape that these worlds' clients and servers send, in the order of their first appearance."""
    found: dict[object, Example] = {}
    for seed in seeds:
        world = World(seed)
        options = structs.replace(world.scenario.server, unknown_per_mille=0, malformed_per_mille=0)
        world = World(seed, scenario=structs.replace(world.scenario, server=options))
        for side, payload in _heard(world):
            event = msgspec.json.decode(payload)
            found.setdefault((side, options.dialect, shape(event)), Example(side, options.dialect, event))
    return list(found.values())


def _heard(world: World) -> list[tuple[Side, bytes]]:
    """Run it, and give what its server was told and said, in order."""
    heard: list[tuple[Side, bytes]] = []
    server = world.server

    def listen(name: str) -> None:
        original = getattr(Server, name)

        def listened(*arguments: Any, **named: Any) -> list[bytes]:
            if name == "receive":
                heard.append(("client", arguments[0]))
            said: list[bytes] = original(server, *arguments, **named)
            heard.extend(("server", payload) for payload in said)
            return said

        setattr(server, name, listened)

    for each in _INPUTS:
        listen(each)
    result = world.run()
    assert not result.violations, (world.seed, result.violations)
    return heard
