"""An estimate is no further from the truth than the clock's words allow (invariant 4)."""

import pytest

from rtcore import Clock
from rtcore._formats import PCM16_24K
from rtcore.sim._audit_edits import EditAudit
from rtcore.sim._ledger import ItemRecord, Ledger, ResponseRecord
from rtcore.sim.speaker import Loss


@pytest.mark.parametrize(
    ("error", "losses", "broken"),
    [
        (-400, (), []),
        (-3_000, (), [4]),
        (-3_000, (Loss(0, 1, 90_000, 0),), []),  # it had been silent for three seconds when it was lost
        (3_000, (Loss(0, 1, 90_000, 0),), [4]),
        (-3_000, (Loss(0, 0, 90_000, 0),), [4]),  # .. in a generation long gone
    ],
)
def test_what_a_silent_device_had_not_told_when_it_was_lost_no_one_can_know(
    error: int, losses: tuple[Loss, ...], broken: list[int]
) -> None:  # F100, F078
    ledger = Ledger(1, PCM16_24K, 0)
    ledger.flush(1)
    audit = EditAudit(ledger, {}, None, {}, own_index=True, clock=Clock(), buffer_ms=0, bound_ms=400, lies=False, losses=losses)
    audit._estimated_error(ItemRecord("item", "message", ResponseRecord("r", 0)), error)
    assert [violation.invariant for violation in ledger.violations] == broken
