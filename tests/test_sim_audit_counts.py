"""Audio does not wait while nothing sounds (invariant 12), but while the program holds it, or a segment that is open."""

import pytest
from msgspec import structs

from rtcore import SegmentView
from rtcore._formats import PCM16_24K
from rtcore.sim import SpeakerOptions
from rtcore.sim._audit_counts import CountAudit
from rtcore.sim._audit_cuts import CutAudit
from rtcore.sim._ledger import ItemRecord, Ledger, ResponseRecord
from rtcore.sim._rng import Rng
from rtcore.sim.matching import Segment
from rtcore.sim.speaker import MILLISECOND, Speaker

SOUND = bytes(4800)
WAITING = [SegmentView("r", "item", 0, PCM16_24K, received=2400, heard=0, discarded=0, queued=2400)]


HONEST = SpeakerOptions()


class Sent:
    source, start, sent_bytes = SOUND, 0, len(SOUND)


def counts(options: SpeakerOptions = HONEST) -> tuple[CountAudit, Ledger, CutAudit]:
    ledger = Ledger(1, PCM16_24K, 0)
    cuts = CutAudit(ledger, lambda now: None, None, lambda: 0, ignores=False, bound=0)
    ledger.matcher.add(Segment("r", "item", 0, (0, 0), Sent(), received=len(SOUND)))
    return CountAudit(ledger, Speaker(options, Rng(1)), cuts, None, stall_ms=2_000), ledger, cuts


def at(ms: int, audit: CountAudit, ledger: Ledger) -> int:
    ledger.now = ms * MILLISECOND
    audit.check(WAITING)
    return len(ledger.violations)


def test_audio_that_nothing_holds_up_does_not_wait_longer_than_a_stall() -> None:  # B11, F078
    audit, ledger, _ = counts()
    assert at(0, audit, ledger) == 0 and at(2_999, audit, ledger) == 0
    assert at(3_000, audit, ledger) == 1


@pytest.mark.parametrize("clock", [{"silent_per_mille": 10}, {"marks_ms": 20}], ids=["falls silent", "marks only"])
def test_what_waits_for_a_clock_that_tells_no_end_waits_as_long_as_for_that(clock: dict[str, int]) -> None:  # F078, F020
    audit, ledger, _ = counts(structs.replace(HONEST, report_ms=20, flush_latency_ms=480, **clock))
    silence = 2 * (20 + 480 + 1_000) + 1_000
    assert at(0, audit, ledger) == 0 and at(2_999 + silence, audit, ledger) == 0
    assert at(3_000 + silence, audit, ledger) == 1


def test_a_pause_in_which_nobody_looked_does_not_count_as_waiting() -> None:  # B16
    audit, ledger, cuts = counts()
    assert at(0, audit, ledger) == 0
    cuts.held = True
    cuts.held = False  # .. between two looks
    audit.released()
    assert at(3_000, audit, ledger) == 0 and at(5_999, audit, ledger) == 0
    assert at(6_000, audit, ledger) == 1


def miscounted(heard: int, *, lost: bool) -> int:
    """Violations where all 2400 samples were audible, and the core counts ``heard`` of them."""
    ledger, speaker = Ledger(1, PCM16_24K, 0), Speaker(SpeakerOptions(), Rng(1))
    segment = Segment("r", "item", 0, (0, 0), Sent(), received=len(SOUND))
    segment.heard = len(SOUND)
    ledger.matcher.add(segment)
    ledger.items["item"] = ItemRecord("item", "message", ResponseRecord("r", 0))
    if lost:
        speaker.lose(now=0)
    cuts = CutAudit(ledger, lambda now: None, None, lambda: 0, ignores=False, bound=0)
    audit = CountAudit(ledger, speaker, cuts, None, stall_ms=2_000)
    audit.check([SegmentView("r", "item", 0, PCM16_24K, received=2400, heard=heard, discarded=2400 - heard, queued=0)])
    return len(ledger.violations)


def test_a_lost_device_may_leave_the_last_sample_untold_and_no_more() -> None:  # B02, F100
    assert miscounted(2400, lost=False) == 0 and miscounted(2399, lost=False) == 1
    assert miscounted(2399, lost=True) == 0 and miscounted(2398, lost=True) == 1
