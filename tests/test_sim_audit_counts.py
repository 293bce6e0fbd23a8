"""Audio does not wait while nothing sounds (invariant 12), but while the program holds it, or a segment that is open."""

from rtcore import SegmentView
from rtcore._formats import PCM16_24K
from rtcore.sim import SpeakerOptions
from rtcore.sim._audit_counts import CountAudit
from rtcore.sim._audit_cuts import CutAudit
from rtcore.sim._ledger import Ledger
from rtcore.sim._rng import Rng
from rtcore.sim.matching import Segment
from rtcore.sim.speaker import MILLISECOND, Speaker

SOUND = bytes(4800)
WAITING = [SegmentView("r", "item", 0, PCM16_24K, received=2400, heard=0, discarded=0, queued=2400)]


class Sent:
    source, start, sent_bytes = SOUND, 0, len(SOUND)


def counts() -> tuple[CountAudit, Ledger, CutAudit]:
    ledger = Ledger(1, PCM16_24K, 0)
    cuts = CutAudit(ledger, lambda now: None, None, lambda: 0, ignores=False, bound=0)
    ledger.matcher.add(Segment("r", "item", 0, (0, 0), Sent(), received=len(SOUND)))
    return CountAudit(ledger, Speaker(SpeakerOptions(), Rng(1)), cuts, None, stall_ms=2_000), ledger, cuts


def at(ms: int, audit: CountAudit, ledger: Ledger) -> int:
    ledger.now = ms * MILLISECOND
    audit.check(WAITING)
    return len(ledger.violations)


def test_audio_that_nothing_holds_up_does_not_wait_longer_than_a_stall() -> None:  # B11, F078
    audit, ledger, _ = counts()
    assert at(0, audit, ledger) == 0 and at(2_999, audit, ledger) == 0
    assert at(3_000, audit, ledger) == 1


def test_a_pause_in_which_nobody_looked_does_not_count_as_waiting() -> None:  # B16
    audit, ledger, cuts = counts()
    assert at(0, audit, ledger) == 0
    cuts.held = True
    cuts.held = False  # .. between two looks
    audit.released()
    assert at(3_000, audit, ledger) == 0 and at(5_999, audit, ledger) == 0
    assert at(6_000, audit, ledger) == 1
