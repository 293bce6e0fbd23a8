"""One connection of a long call: a strict server that knows of no other, and the line to it."""

from collections.abc import Sequence

from msgspec import Struct, field, structs

from rtcore.sim._line_book import LineOptions
from rtcore.sim._rng import Rng
from rtcore.sim._server_plan import MessagePlan, PartPlan, ResponsePlan
from rtcore.sim.network import Line
from rtcore.sim.server import Server, ServerOptions
from rtcore.sim.voices import Voice

_FAILURES = 60
"""More than anybody asks a session for that fails each time."""
_TEXT = "I would rather write that."


class Served(Struct, eq=False):
    """One connection: its server, its line, and what its auditors keep of it."""

    number: int
    server: Server
    up: Line
    down: Line
    poisoned: bool = False
    alive: bool = True
    closing: bool = False
    """Its server ended the session, over a line that can tell it."""
    opened_at: int = 0
    """When its session began, or went on; 0: not yet."""
    dead_at: int | None = None
    """When its line was lost, noticed or not."""
    refusals: int = 0
    unanswered: set[str] = field(default_factory=set)
    """Calls that it is being told, and their outputs not yet."""
    before: "Served | None" = None
    """The one before it."""
    pictures: frozenset[str] = frozenset()
    """The pictures that were to be shown to it again ..."""
    pictures_before: frozenset[str] = frozenset()
    """.. and all that had arrived by then."""
    wordless: str = ""
    """The user's latest turn when it began, if no words of it had come; empty: they had."""
    shown: bool = False
    """It was told words of the model, and has not answered since."""


def serve(number: int, rng: Rng, voices: Sequence[Voice], options: LineOptions) -> Served:
    """A new server, and a line to it. ``rng`` gives what every call has; what only some have comes from a stream beside it."""
    aside = rng.beside("troubles")
    poisoned = number > 1 and options.poisoned_per_mille > 0 and aside.chance(options.poisoned_per_mille)
    writes = number > 1 and not poisoned and options.text_per_mille > 0 and aside.chance(options.text_per_mille)
    served = ServerOptions(
        session_s=options.session_s,
        call_per_mille=options.call_per_mille,
        text_per_mille=0,
        incomplete_per_mille=0,
        failed_per_mille=0,
    )
    if poisoned:
        silent = ResponsePlan((), ends="failed", detail="server_error")
        served = structs.replace(served, script=(silent,) * _FAILURES)
    elif writes:
        text = ResponsePlan((MessagePlan((PartPlan("text", text=_TEXT),)),))
        served = structs.replace(served, script=(text,))
    server = Server(seed=rng.bits(), voices=voices, options=served)
    up, down = Line(options.network, rng.fork("up")), Line(options.network, rng.fork("down"))
    return Served(number, server, up, down, poisoned)
