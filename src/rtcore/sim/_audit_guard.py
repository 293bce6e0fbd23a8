"""For how long has the model been heard when a voice begins, and how often in a row was it cut so soon (F118)?

What the guard against an echo is reckoned by, kept apart from what a session makes of it: one that cuts at once
(``_audit_echo``), and one that pauses first (``_audit_pending``).
"""

from collections.abc import Sequence

from rtcore._effects import Effect
from rtcore._notices import EchoSuspected, MessageEnded, SpeakingStarted, SpeakingStopped, Verdict
from rtcore.policies import InterruptionOptions
from rtcore.sim._ledger import Ledger

_SECOND = 1_000_000_000
_EARLY_MS = 1_500
_DOUBLED = 4
_REPEATED = 3


class GuardAudit:
    """Owner of: may a voice be the loudspeaker?"""

    def __init__(self, ledger: Ledger, options: InterruptionOptions) -> None:
        self._ledger = ledger
        self._ms = options.echo_guard_ms
        self._since: float | None = None
        self._in_a_row = 0
        self.heard_out = 0
        """So many messages were heard to their end."""
        self._suspected: list[tuple[int, int]] = []

    @property
    def ms(self) -> int:
        """So long behind the beginning of the model's sound a voice may be its own, now."""
        return self._ms << min(self._in_a_row, _DOUBLED)

    @property
    def playout_ms(self) -> int:
        """For how long the model has been heard, or 0."""
        return max(1, int((self._ledger.now / _SECOND - self._since) * 1000)) if self._since is not None else 0

    def cuts(self, playout_ms: int, heard_out: int) -> None:
        """A voice that began so long behind the model's first sample is an interruption. ``heard_out``: as it was then."""
        if self.heard_out > heard_out:
            return  # what it came into the midst of was heard to its end meanwhile
        self._in_a_row = self._in_a_row + 1 if 0 < playout_ms < _EARLY_MS else 0
        if self._in_a_row >= _REPEATED:
            self._suspected.append((self._in_a_row, self.ms))
            self._ledger.saw("F118: cuts repeat without a turn, and the guard backs off")

    def ended_by(self, cause: str) -> None:
        """Something else interrupts."""
        if cause in ("program", "text"):
            self._in_a_row = 0

    def did(self, effects: Sequence[Effect]) -> None:
        """The session has answered: does it suspect the same?"""
        suspected = [(effect.in_a_row, effect.guard_ms) for effect in effects if type(effect) is EchoSuspected]
        if suspected != self._suspected:
            self._ledger.fail(7, f"an echo is suspected as {suspected}, not as {self._suspected}")
        self._suspected = []
        for effect in effects:
            match effect:
                case SpeakingStarted():
                    self._since = effect.at
                case SpeakingStopped():
                    self._since = None
                case MessageEnded(verdict=Verdict.FULL):
                    self._in_a_row = 0
                    self.heard_out += 1
                case _:
                    pass
