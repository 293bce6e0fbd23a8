"""How far ahead of what was heard is handed over? Data (``playout.lead_ms``), or a policy of the program's own.

It is decided when a generation begins, that is with each flush and each change of format, and when the clock ran dry; in between
it stands, so that a delta costs nothing more.
"""

from collections.abc import Callable

from rtcore._consult import consult
from rtcore._core import Core
from rtcore.policies import LeadView, lead

_LEAST_MS = 20
"""As ``playout.lead_ms``."""


class Lead:
    """Owner of: how far ahead is handed over?"""

    def __init__(self, core: Core) -> None:
        self._core = core
        core.playout.begun = self._decide
        self._decide()

    def ran_dry(self) -> None:
        """The clock had nothing left while more was on its way."""
        core = self._core
        if self._decide(ran_dry=True):
            core.playout.release(core.now, core.sound)
            core.speech.after_playout()

    def _decide(self, *, ran_dry: bool = False) -> bool:
        """Gives whether it was decided anew: the default's answer never changes, and stands from the beginning."""
        core = self._core
        if core.policies.lead is lead:
            return False
        clock, told = core.clock, core.config.playout.lead_ms
        view = LeadView(core.playout.generation.number, told, clock.report_ms, clock.latency_ms, core.counters.underruns, ran_dry)
        core.playout.bound(consult(core, "lead", _checked(core.policies.lead), lead, view, int, type(None)))
        return True


def _checked(own: Callable[[LeadView], int | None]) -> Callable[[LeadView], int | None]:
    """With an answer that is no lead told as such."""

    def answer(view: LeadView) -> int | None:
        given: object = own(view)
        if given is None:
            return None
        if isinstance(given, bool) or not isinstance(given, int) or given < _LEAST_MS:
            raise ValueError(f"{given!r} is no int of at least {_LEAST_MS}, and not None")
        return given

    return answer
