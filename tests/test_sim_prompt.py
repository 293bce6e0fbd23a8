"""What is due in the step of a server message, and the places of items: a session that is late, or mistakes one response or place
for another, is caught although it repairs everything before the world ends."""

from collections.abc import Sequence

import pytest

from rtcore import MessageEnded, ResponseEnded, Verdict
from rtcore._effects import Effect, Send
from rtcore._formats import PCM16_24K
from rtcore.sim._audit_order import OrderAudit
from rtcore.sim._audit_prompt import PromptAudit
from rtcore.sim._ledger import ItemRecord, Ledger, ResponseRecord
from rtcore.sim._seen import ServerSeen, read_server
from rtcore.sim.speaker import MILLISECOND

SKIPPED = MessageEnded("r", "m", Verdict.SKIPPED, 0, 0, "", "", None, 0.0)
ADDED = b'{"type":"conversation.item.added","previous_item_id":null,"item":{"id":"m","type":"message"}}'
PART = b'{"type":"response.content_part.added","response_id":"r","item_id":"m","content_index":0,"part":{"type":"audio"}}'


def cut(*, done: bool = False, since_ms: int = 1_500) -> tuple[PromptAudit, Ledger, ItemRecord]:
    """A message of a response that was cut so long ago."""
    ledger = Ledger(1, PCM16_24K, 0)
    ledger.now = since_ms * MILLISECOND
    response = ResponseRecord("r", 0, dead=True, done=done)
    item = response.items["m"] = ledger.items["m"] = ItemRecord("m", "message", response, audio_parts={0})
    return PromptAudit(ledger), ledger, item


def told(audit: PromptAudit, payload: bytes, effects: Sequence[Effect] = ()) -> None:
    audit.arrived(read_server(payload, 0))
    audit.did(effects)


@pytest.mark.parametrize(("done", "since_ms"), [(True, 10), (False, 1_500)])
def test_an_unheard_item_is_deleted_as_it_is_announced(done: bool, since_ms: int) -> None:  # B03
    audit, ledger, item = cut(done=done, since_ms=since_ms)
    item.ended = SKIPPED
    told(audit, ADDED)
    assert [violation.invariant for violation in ledger.violations] == [5]
    item.deletes = 1  # .. as it was, had the session been in time
    told(audit, ADDED)
    assert len(ledger.violations) == 1


def test_it_is_not_deleted_while_its_response_still_fills_it() -> None:  # B03, S03
    audit, ledger, item = cut(since_ms=900)
    item.ended = SKIPPED
    told(audit, ADDED)
    assert ledger.violations == []


def test_what_was_heard_or_read_is_not_to_be_deleted() -> None:  # S05
    audit, ledger, item = cut(done=True)
    item.ended, item.shown_text = SKIPPED, True
    told(audit, ADDED)
    item.ended, item.shown_text = MessageEnded("r", "m", Verdict.PARTIAL, 20, 40, "", "", None, 0.0), False
    told(audit, ADDED)
    assert ledger.violations == []


def test_a_message_whose_sound_is_declared_after_the_cut_ends_at_once() -> None:  # S03, C04
    audit, ledger, item = cut()
    told(audit, PART)
    assert [violation.invariant for violation in ledger.violations] == [6]
    audit.arrived(read_server(PART, 0))
    item.ended = SKIPPED
    audit.did((SKIPPED,))
    assert len(ledger.violations) == 1
    assert ledger.situations == {"S03: a part began after the cut of its response": 2}


def test_a_flush_without_an_answer_is_waited_for() -> None:  # B29
    audit, ledger, _ = cut()
    ledger.flush(1)
    told(audit, PART)
    assert ledger.violations == []


def test_the_end_of_one_response_is_not_the_end_of_another() -> None:  # C18, F057
    audit, ledger, _ = cut()
    done = b'{"type":"response.done","response":{"id":"stale","status":"cancelled"}}'
    told(audit, done, [ResponseEnded("stale", "cancelled")])
    assert ledger.violations == []
    told(audit, done, [Send(1, b"{}"), ResponseEnded("running", "cancelled")])
    assert [violation.invariant for violation in ledger.violations] == [3]


# -- places ------------------------------------------------------------------------------------------------------------------


def conversation(*ids: str) -> tuple[OrderAudit, Ledger]:
    ledger = Ledger(1, PCM16_24K, 0)
    order = OrderAudit(ledger)
    for previous, item_id in zip((None, *ids), ids, strict=False):
        order.announced(item_id, previous)
    order.due = False
    return order, ledger


def broken(order: OrderAudit, ledger: Ledger, *ids: str) -> int:
    order.check(ids)
    return len(ledger.violations)


def test_what_takes_the_last_place_needs_no_look() -> None:  # C25
    order, _ = conversation("a", "b")
    order.announced("c", "b")
    order.announced("c", "b")
    order.announced("d", "nobody")
    assert not order.due
    order.announced("between", "a")
    assert order.due


def test_an_item_belongs_where_a_deleted_one_was() -> None:  # F108, C25
    order, ledger = conversation("a", "b", "c", "d")
    order.deleted("c")
    order.announced("late", "c")
    assert broken(order, ledger, "a", "b", "late", "d") == 0
    assert broken(order, ledger, "a", "late", "b", "d") == 1
    assert broken(order, ledger, "a", "b", "d", "late") == 2
    order.deleted("b")
    order.announced("later", "c")
    assert broken(order, ledger, "a", "later", "late", "d") == 2
    assert ledger.situations == {"F108: an announcement that names a deleted item": 2}


def test_a_deleted_item_does_not_come_back() -> None:  # F108
    order, ledger = conversation("a", "b")
    order.deleted("a")
    order.announced("a", None)
    assert broken(order, ledger, "b") == 0
    assert broken(order, ledger, "a", "b") == 1 and "again" in ledger.violations[0].text


def test_what_stood_behind_the_first_comes_before_what_came_first_since() -> None:  # F108, F107
    order, ledger = conversation("a")
    order.deleted("a")
    order.announced("first", None)
    order.announced("late", "a")
    assert broken(order, ledger, "late", "first") == 0


def test_null_is_the_first_place_and_silence_the_last() -> None:  # F107
    order, ledger = conversation("a", "b")
    order.announced("first", None)
    order.announced("last", ServerSeen().previous_item_id)
    assert broken(order, ledger, "first", "a", "b", "last") == 0
