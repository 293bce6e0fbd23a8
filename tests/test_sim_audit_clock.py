"""A fault of the clock is named where it was the clock's, and nowhere else (invariant 12)."""

from rtcore._formats import PCM16_24K
from rtcore.sim import SpeakerOptions
from rtcore.sim._audit_clock import ClockAudit
from rtcore.sim._ledger import Ledger
from rtcore.sim._rng import Rng
from rtcore.sim.speaker import Report, Speaker


def named(samples: int) -> list[int]:
    """The core names a fault of a generation whose flush is unanswered, after a report of so many of its 1000 samples."""
    ledger = Ledger(1, PCM16_24K, 150_000_000)
    speaker = Speaker(SpeakerOptions(), Rng(1))
    audit = ClockAudit(ledger, speaker, speaker.options.clock, None, lies=False)
    ledger.stream.handed[1] = 1_000
    ledger.flush(1)
    ledger.stream.generation = 2
    audit.reports(Report("played", 1, samples))
    audit.fault(1)
    return [violation.invariant for violation in ledger.violations]


def test_more_than_was_handed_over_is_a_fault_also_while_the_flush_is_unanswered() -> None:  # C08, B29
    assert named(1_001) == []


def test_a_report_that_can_be_is_none() -> None:  # B29
    assert named(1_000) == [12]
