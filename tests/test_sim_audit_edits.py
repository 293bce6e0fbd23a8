"""An estimate is no further from the truth than the clock allows (invariant 4), and a truncate is told again in time (5)."""

import pytest

from rtcore import Clock
from rtcore._formats import PCM16_24K
from rtcore.sim._audit_edits import EditAudit
from rtcore.sim._ledger import Cut, ItemRecord, Ledger, ResponseRecord, Snapshot, Truncate
from rtcore.sim._seen import ClientSeen
from rtcore.sim.matching import Place, Segment
from rtcore.sim.speaker import MILLISECOND, Loss

SOUND = bytes(2 * 4_800)
"""200 ms."""


class Sent:
    source, start, sent_bytes = SOUND, 0, len(SOUND)


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


@pytest.mark.parametrize(("after_ms", "done", "broken"), [(5_000, True, []), (5_000, False, [5]), (10_000, False, [])])
def test_a_truncate_is_repeated_once_the_response_is_done_or_taken_as_done(after_ms: int, done: bool, broken: list[int]) -> None:
    ledger = Ledger(1, PCM16_24K, 0)
    response = ResponseRecord("r", 0, known=True, dead=True, dead_at=0, dead_from=Place(1, 0), done=done)
    item = ItemRecord(
        "item", "message", response, announced=True, audio_parts={0}, late_audio=True, truncates=[Truncate(0, 0, 100)]
    )
    segment = Segment("r", "item", 0, (0, 0), Sent(), received=len(SOUND), heard=len(SOUND) // 2, dead_from=Place(1, 0))
    item.segments.append(segment)
    response.cut = Cut(0, "program", None, [response], 0, snapshots={id(segment): Snapshot(len(SOUND), False)})
    ledger.items["item"] = item
    ledger.now = after_ms * MILLISECOND
    audit = EditAudit(ledger, {}, None, {}, own_index=True, clock=Clock(), buffer_ms=0, bound_ms=400, lies=False)
    audit.truncate(ClientSeen(type="conversation.item.truncate", item_id="item", content_index=0, audio_end_ms=100), set())
    assert [violation.invariant for violation in ledger.violations] == broken
