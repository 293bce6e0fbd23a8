"""A session with a guard against the echo of its loudspeaker: is each voice taken for what the guard says, and the back-off told?

It keeps its own account of when the model began to be heard, of what the client was told of the user's speech, and of the cuts
that came right after a beginning. A voice within the guard is nothing (``ignore``), or counts if it goes on when the time is over
(``defer``); every other is an interruption at once. What is nothing changes nothing and is not answered.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct, field

from rtcore._effects import Effect
from rtcore._notices import FalseInterruption, InterruptionPending
from rtcore.policies import InterruptionOptions
from rtcore.sim._audit_guard import GuardAudit
from rtcore.sim._ledger import Ledger
from rtcore.sim._seen import ServerSeen

_SECOND = 1_000_000_000


class _Speech(Struct):
    """One stretch of speech, as far as the client was told of it, and the guard as it was when it began."""

    started_at: float
    """Seconds, as the session is told them: the guard's end is a deadline, and is hit to the bit."""
    first_at: int
    playout_ms: int
    guard_ms: int
    heard_out: int
    stopped_at: int | None = None
    items: set[str] = field(default_factory=set)
    turns: set[str] = field(default_factory=set)
    withheld: list[ServerSeen] = field(default_factory=list)
    fate: Literal["open", "cut", "dismissed"] = "open"


class EchoAudit:
    """Owner of: is this the loudspeaker?"""

    def __init__(
        self,
        ledger: Ledger,
        options: InterruptionOptions,
        *,
        active: Callable[[], bool | None],
        cut: Callable[[str, int, int], None],
        owed: Callable[[ServerSeen], None],
    ) -> None:
        """``active``: whether anything could be cut, None where only what was heard to its end is left. ``cut`` tells the rest of
        the auditor of an interruption, ``owed`` that a commit is to be answered.
        """
        self.watches = options.mode == "cut" and options.echo_guard_ms > 0
        self._ledger = ledger
        self._options = options
        self._active, self._cut, self._owed = active, cut, owed
        self._speech: _Speech | None = None
        self._withheld: set[str] = set()
        """Turns of voices that were not taken for interruptions at once: told again, they are still the same turns (F115)."""
        self._guard = GuardAudit(ledger, options)
        self._begins = self._ends = self._either = False

    @property
    def open(self) -> bool:
        """Whether it is still open what a speech is."""
        return self._speech is not None and self._speech.fate == "open"

    # -- what reaches the client ---------------------------------------------------------------------------------------------

    def voice(self, item_id: str | None) -> bool:
        """Speech begins. Gives whether it is decided here what it is."""
        if not self.watches:
            return False
        now, speech = self._ledger.now, self._speech
        if speech is not None and speech.fate == "open":
            if speech.stopped_at is not None:
                speech.started_at, speech.stopped_at = now / _SECOND, None
                if self._guard.playout_ms:
                    speech.playout_ms, speech.heard_out = self._guard.playout_ms, self._guard.heard_out
            speech.items.add(item_id or "")
            self._judge(speech)
            return True
        active = self._active()
        guard = self._guard
        speech = _Speech(now / _SECOND, now, guard.playout_ms, guard.ms, guard.heard_out, items={item_id or ""})
        self._speech = speech
        if active is False or not speech.playout_ms or speech.playout_ms >= speech.guard_ms:
            speech.fate = "cut"
            guard.cuts(speech.playout_ms, speech.heard_out)
            return False
        self._either = active is None
        if self._options.echo_guard == "ignore":
            self._ledger.saw("F118: a voice within the guard, ignored")
            self._dismiss(speech)
        else:
            self._ledger.saw("F118: a voice within the guard, deferred")
            self._begins = True
        return True

    def arrived(self, message: ServerSeen) -> bool:
        """A message reaches the client. Gives whether the answer that it asks for waits, or is none."""
        speech, kind, item_id = self._speech, message.type, message.item_id or ""
        if kind == "input_audio_buffer.committed" and item_id in self._withheld:
            return True
        if speech is None or item_id not in speech.items:
            return False
        if kind == "input_audio_buffer.speech_stopped" and speech.stopped_at is None:
            speech.stopped_at = self._ledger.now
            self._judge(speech)
        elif kind == "input_audio_buffer.committed" and item_id not in speech.turns:
            speech.turns.add(item_id)
            speech.stopped_at = self._ledger.now if speech.stopped_at is None else speech.stopped_at
            if speech.fate == "cut":
                return False
            speech.withheld.append(message)
            self._withheld.add(item_id)
            self._judge(speech)
            return True
        return kind == "input_audio_buffer.committed" and speech.fate != "cut"

    def time(self) -> None:
        """The session is about to be called."""
        if self._speech is not None:
            self._judge(self._speech)

    def ended_by(self, cause: str) -> None:
        """Something else interrupts: nothing is left to decide."""
        speech = self._speech
        if speech is not None and speech.fate == "open":
            speech.fate = "cut"
            if cause != "program":
                self._answer(speech)
            speech.withheld.clear()
        self._guard.ended_by(cause)

    # -- what it has to be ---------------------------------------------------------------------------------------------------

    def _judge(self, speech: _Speech) -> None:
        if speech.fate != "open":
            return
        if speech.playout_ms < speech.guard_ms and self._ledger.now / _SECOND < _over(speech):
            return
        if speech.playout_ms < speech.guard_ms and speech.stopped_at is not None:
            self._dismiss(speech)
            return
        speech.fate = "cut"
        self._guard.cuts(speech.playout_ms, speech.heard_out)
        self._ledger.saw("F118: it went on when the guard was over")
        self._cut("server", speech.first_at, speech.first_at)
        self._answer(speech)

    def _dismiss(self, speech: _Speech) -> None:
        speech.fate = "dismissed"
        self._ends = True

    def _answer(self, speech: _Speech) -> None:
        for message in speech.withheld:
            self._owed(message)
        speech.withheld.clear()

    # -- what the core does --------------------------------------------------------------------------------------------------

    def did(self, effects: Sequence[Effect]) -> None:
        """The session has answered: does it say the same?"""
        ledger = self._ledger
        begins = any(type(effect) is InterruptionPending for effect in effects)
        ends = any(type(effect) is FalseInterruption for effect in effects)
        if self._either and self._speech is not None and not (begins or ends):
            # Whether there was anything to cut nobody can say (``active``): the client took it that there was not.
            self._speech.fate = "cut"
            self._guard.cuts(self._speech.playout_ms, self._speech.heard_out)
            self._begins = self._ends = False
        self._either = False
        if begins != self._begins:
            ledger.fail(7, "a voice waits for the guard's end" if begins else "a voice within the guard did not wait for its end")
        if ends != self._ends:
            ledger.fail(7, "a voice was taken for an echo" if ends else "an echo was not taken for one")
        self._begins = self._ends = False
        self._guard.did(effects)


def _over(speech: _Speech) -> float:
    """When the guard is."""
    return speech.started_at + (speech.guard_ms - speech.playout_ms) / 1000
