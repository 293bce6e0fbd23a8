"""A silence that is told: when nobody has said anything for so long, once, and not while anything is under way (F130)."""

from rtcore._notices import ConversationIdle
from rtcore.sim._ledger import ROUNDING, Ledger
from rtcore.sim.speaker import MILLISECOND

_SECOND = 1_000_000_000
_FLOOR = 60 * _SECOND
"""So long a person may have the floor whose end of speech is never told (F127)."""


class IdleAudit:
    """Owner of: has nobody said anything? ``idle_ms``: after how long the program is told (``config.timeouts.idle_ms``)."""

    def __init__(self, ledger: Ledger, idle_ms: int | None) -> None:
        self.watches = idle_ms is not None
        self._ledger = ledger
        self._idle = (idle_ms or 0) * MILLISECOND
        self._said_at = 0
        self._busy_at = 0
        self._owed = False

    def touched(self, now: int | None = None) -> None:
        """Somebody has said something, the model has said all, or nobody has spoken yet."""
        self._said_at, self._owed = self._ledger.now if now is None else now, True

    def told(self, notice: ConversationIdle, busy: str) -> None:
        """The core says that nobody has said anything; ``busy``: what goes on all the same."""
        ledger = self._ledger
        ledger.saw("F130: nobody has said anything, and the program is told")
        if not self._owed:
            ledger.fail(12, "a silence is told twice")
        elif abs(round(notice.since * _SECOND) - self._said_at) > ROUNDING:
            ledger.fail(12, f"a silence is told since {notice.since:.3f} s, and is since {self._said_at / _SECOND:.3f} s")
        elif ledger.now + ROUNDING < self._said_at + self._idle:
            ledger.fail(12, f"a silence is told after {(ledger.now - self._said_at) // MILLISECOND} ms")
        if busy:
            ledger.fail(12, f"a silence is told, and {busy}")
        self._owed = False

    def look(self, *, busy: bool) -> None:
        """After each step. What goes on is looked at again when so long has passed once more: then it is told at the latest."""
        now = self._ledger.now
        if busy:
            self._busy_at = now
        elif self._owed and now > max(self._said_at, self._busy_at) + 2 * self._idle + _FLOOR:
            self._owed = False
            self._ledger.fail(12, "nobody has said anything for long, nothing goes on, and nobody is told")
