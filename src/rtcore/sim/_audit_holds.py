"""Audio that is held back for a guardrail: nothing of it sounds before the hold has ended, and no hold goes on for ever (F161).

Part of invariants 7 and 12. Which response has to be held is worked out from what reached the client; that nothing of it sounded
is read from the signal.
"""

from collections.abc import Callable

from rtcore._notices import AudioHeld, AudioReleased
from rtcore.sim._ledger import ROUNDING, Ledger, ResponseRecord
from rtcore.sim.speaker import MILLISECOND

_SECOND = 1_000_000_000


class HoldAudit:
    """Owner of: was anything heard that was held back?"""

    def __init__(self, ledger: Ledger, hold_ms: int, sync: Callable[[int], None]) -> None:
        """``hold_ms``: how long the first audio of every response is held back (``config.playout.hold_ms``)."""
        self.watches = hold_ms > 0
        self.open: dict[str, int] = {}
        """Responses that are held back, and until when."""
        self._ledger = ledger
        self._hold = hold_ms * MILLISECOND
        self._sync = sync
        self._first: ResponseRecord | None = None
        self._known: set[str] = set()
        self._freed: set[str] = set()

    def audio(self, response: ResponseRecord, alive: bool) -> None:
        """Audio of a response that is to be heard reaches the client; ``alive``: it could still be heard."""
        if self.watches and response.id not in self._known:
            self._known.add(response.id)
            self._first = response if alive and response.id not in self._freed else None

    def freed(self, response_id: str) -> None:
        """The program is about to let it be heard."""
        self._freed.add(response_id)

    def did(self, told: set[str]) -> None:
        """The session has answered; ``told`` are the responses that it says are held."""
        first, self._first = self._first, None
        if first is not None and first.id not in told and not first.dead:
            self._ledger.fail(7, f"the first audio of {first.id} came, and it is not held back")

    def held(self, notice: AudioHeld) -> None:
        """The core holds a response back."""
        ledger = self._ledger
        until = round(notice.until * _SECOND)
        if abs(until - ledger.now - self._hold) > ROUNDING:
            ledger.fail(7, f"{notice.response_id} is held for {(until - ledger.now) // MILLISECOND} ms")
        self.open[notice.response_id] = until
        ledger.saw("F161: audio held back for a guardrail")

    def released(self, notice: AudioReleased) -> None:
        """.. and lets it go."""
        ledger = self._ledger
        until = self.open.pop(notice.response_id, None)
        if until is None:
            ledger.fail(7, f"{notice.response_id} was let go, and was not held back")
            return
        self._silent(notice.response_id)
        if notice.by == "program":
            if notice.response_id not in self._freed:
                ledger.fail(7, f"{notice.response_id} was let go, and the program had not said so")
            ledger.saw("F161: let go by the program")
        elif ledger.now + ROUNDING < until:
            ledger.fail(7, f"{notice.response_id} was let go {(until - ledger.now) // MILLISECOND} ms too soon")
        else:
            ledger.saw("F161: let go by time")

    def cut(self, response: ResponseRecord) -> None:
        """It was cut: nothing of it was heard, and nothing will be."""
        if self.open.pop(response.id, None) is not None:
            self._silent(response.id)
            self._ledger.saw("F161: cut before a word was heard")

    def _silent(self, response_id: str) -> None:
        self._sync(self._ledger.now)
        if any(segment.heard for segment in self._ledger.responses[response_id].segments):
            self._ledger.fail(7, f"{response_id} sounded while it was held back")

    def look(self) -> None:
        """Does one go on for too long?"""
        for response_id, until in self.open.items():
            if self._ledger.now > until + ROUNDING:
                self._ledger.fail(12, f"{response_id} is held back beyond its time")
                self.open[response_id] = 1 << 62
