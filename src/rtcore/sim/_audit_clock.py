"""What the audio clock says, what that obliges it to, and whose fault it is that something had to be guessed (invariant 12)."""

from collections.abc import Iterable

from rtcore._clock import Clock
from rtcore._effects import Effect
from rtcore._notices import ClockFault
from rtcore.sim._audit_reference import ReferenceAudit
from rtcore.sim._ledger import ROUNDING, Ledger
from rtcore.sim.speaker import Report, Speaker


class ClockAudit:
    """Hears the clock just before the session does."""

    def __init__(self, ledger: Ledger, speaker: Speaker, clock: Clock, reference: ReferenceAudit | None, *, lies: bool) -> None:
        """``lies``: the clock's reports may be wrong."""
        self._ledger = ledger
        self._speaker = speaker
        self._reference = reference
        self._lies = lies
        self._reckons = clock.answer_ms > 0 or not clock.reports or speaker.options.silent_per_mille > 0
        """The clock leaves something to be reckoned: it declares so, or falls silent."""
        self.excess = False
        """What the clock has just said was more than was handed over."""

    def reports(self, report: Report) -> None:
        """The clock says something; the session hears it right after this."""
        ledger = self._ledger
        stream = ledger.stream
        generation, samples = report.generation, report.samples
        if self._reference is not None:
            self._reference.report(report)
        if report.kind == "played":
            handed = stream.handed.get(generation, 0)
            # Also of a generation whose flush is unanswered: until then, what the clock says of it counts.
            self.excess = samples > handed
            if self.excess:
                ledger.saw("C08: a report above what was handed over")
            if generation == stream.generation:
                confirmed = stream.confirmed.get(generation, 0)
                if samples > confirmed:
                    stream.confirmed[generation] = samples if samples < handed else handed
                elif samples < confirmed:
                    ledger.saw("C21: a stale report")
            else:
                ledger.saw("C21: a stale report")
        elif report.kind == "flushed":
            self._answered(generation, samples)
        else:
            stream.dry = generation

    def _answered(self, generation: int, samples: int) -> None:
        ledger = self._ledger
        self.excess = samples > ledger.stream.handed.get(generation, 0)
        if self.excess:
            ledger.saw("C08: a report above what was handed over")
        known = False
        for flush in [flush for flush in ledger.waiting if flush.generation <= generation]:
            known = True
            if flush.generation == generation and ledger.now <= flush.asked_at + ledger.allowance:
                flush.answered_at = ledger.now
                if self._reference is not None:
                    self._reference.answered(flush, samples)
            else:
                flush.settled = True
                if flush.generation < generation and ledger.now < flush.asked_at + ledger.allowance:
                    ledger.saw("B29: a lost answer made up for by the next")
                ledger.saw("B29: a flush answered too late" if flush.generation == generation else "B29: a flush never answered")
            ledger.waiting.remove(flush)
        if not known:
            ledger.saw("B29: a flush answered twice")

    def owes(self, item_id: str) -> bool:
        """Whether the clock owes the answer that would make this message's verdict exact."""
        if self._ledger.stream.guessed or self._reckons:
            return True
        return any(flush.answered_at is None for flush in self._ledger.flushes[-3:])

    def fault(self, generation: int) -> None:
        """The core says that the clock is at fault: it must be."""
        ledger = self._ledger
        ledger.saw("B29: the core named a fault of the clock")
        if self.excess:
            return  # a number that cannot be: the core has clamped it, and nothing was guessed
        if not (self._reckons or self._lies or self._flush_overdue(generation) or self._speaker.losses):
            ledger.fail(12, f"a fault of the clock in generation {generation}, of which it has told all it knows")
        ledger.stream.faulty = generation
        if generation == ledger.stream.generation:
            ledger.stream.taken = ledger.stream.end
        ledger.matcher.lenient = True

    def refer(self, effects: Iterable[Effect]) -> None:
        """Tell the slow model of faults, before these effects are looked at.

        The news comes last, and what it tells is why the wire was told what it was.
        """
        if self._reference is None or self.excess:
            return
        for effect in effects:
            if isinstance(effect, ClockFault):
                self._reference.fault(effect.generation, flushed=self._flush_overdue(effect.generation))

    def _flush_overdue(self, generation: int) -> bool:
        ledger = self._ledger
        late = ledger.now - ledger.allowance + ROUNDING
        # An older one has nothing to do with it: of a generation that was never flushed, it is a position that is missing.
        return any(flush.generation == generation and flush.asked_at <= late for flush in ledger.flushes[-8:])
