"""What passes between our client and our server: one example of every shape of event, both ways, and all that servers said.

Two events have one shape where they differ in nothing but ids, words, audio and numbers: the keys, the kinds of values and every
word that the protocol chose are the same. Heard are simulated worlds, calls whose line drops (which replay what was said) and the
scripted conversations of ``vocabulary.py``. What the worlds do to the protocol on purpose (events that are no JSON or of a type
that nobody knows) is left out; every other fault is in.
"""

import base64
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import msgspec
from msgspec import Struct, structs
from vocabulary import tell_everything

from rtcore.sim.lines import LineOptions, LongCall
from rtcore.sim.server import Server
from rtcore.sim.world import World

Side = Literal["server", "client", "request"]

_FREE = frozenset(
    {"arguments", "audio", "delta", "event_id", "id", "instructions", "message", "obfuscation", "output", "text", "transcript"}
)
"""Keys under which any string may stand, beside those that end in ``_id``."""
_SOUND = ("response.output_audio.delta", "response.audio.delta")
_INPUTS = ("connect", "receive", "tick", "user_speech", "press")


class Example(Struct, frozen=True):
    """One event: which side said it, in which dialect, on which connection (a number of its own)."""

    side: Side
    dialect: str
    event: dict[str, Any]
    connection: int = 0


class Heard(Struct, frozen=True):
    """``examples``: one event of every shape, in the order of their first appearance. ``streams``: everything that servers said,
    in order, as encoded ``Example``s, with audio cut to three samples, or one and a half where it ends in half a sample.
    """

    examples: list[Example]
    streams: list[bytes]


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


def _shortened(event: dict[str, Any]) -> dict[str, Any]:
    if event["type"] not in _SOUND:
        return event
    halves = len(base64.b64decode(event["delta"])) % 2
    return {**event, "delta": event["delta"][: 4 if halves else 8]}


def hear(seeds: Sequence[int]) -> Heard:
    """Listen to the scripted conversations, to a long call for every tenth seed, and to the worlds of these seeds."""
    found: dict[object, Example] = {}
    streams: list[bytes] = []

    def take(side: Side, dialect: str, payload: bytes, connection: int) -> None:
        event = msgspec.json.decode(payload)
        example = Example(side, dialect, event, connection)
        found.setdefault((side, dialect, shape(event)), example)
        if side == "server":
            streams.append(msgspec.json.encode(structs.replace(example, event=_shortened(event))))

    with listening(take):
        tell_everything()
        for seed in seeds[::10]:
            LongCall(seed, LineOptions(seconds=900)).run()  # its own tests judge it
        for seed in seeds:
            world = World(seed)
            options = structs.replace(world.scenario.server, unknown_per_mille=0, malformed_per_mille=0)
            result = World(seed, scenario=structs.replace(world.scenario, server=options)).run()
            assert not result.violations, (seed, result.violations)
    return Heard(list(found.values()), streams)


@contextmanager
def listening(take: Callable[[Side, str, bytes, int], None]) -> Iterator[None]:
    """Take whatever any strict server is told, and says, meanwhile: side, dialect, message, and the server's number."""
    numbers: dict[int, int] = {}
    alive: list[Server] = []  # an id is an id only as long as its owner lives
    originals = {name: getattr(Server, name) for name in _INPUTS}

    def listen(name: str, original: Callable[..., list[bytes]]) -> Callable[..., list[bytes]]:
        def listened(server: Server, *arguments: Any, **named: Any) -> list[bytes]:
            if id(server) not in numbers:
                numbers[id(server)] = len(alive)
                alive.append(server)
            number, dialect = numbers[id(server)], server.options.dialect
            if name == "receive":
                take("client", dialect, arguments[0], number)
            said = original(server, *arguments, **named)
            for payload in said:
                take("server", dialect, payload, number)
            return said

        return listened

    for name, original in originals.items():
        setattr(Server, name, listen(name, original))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(Server, name, original)
