"""What a refused cancel says of a response whose end was never told (C14, F022)."""

import pytest

from rtcore._formats import PCM16_24K
from rtcore.sim import Server, ServerOptions, synthetic_voices
from rtcore.sim._audit_arrivals import Arrivals
from rtcore.sim._audit_line import LineAudit
from rtcore.sim._audit_order import OrderAudit
from rtcore.sim._ledger import Ledger, ResponseRecord
from rtcore.sim._seen import ErrorSeen, ServerSeen
from rtcore.sim._server_truth import Refusal

NOTHING_RUNS = "Cancellation failed: no active response found"


@pytest.mark.parametrize(
    ("named", "another", "over"),
    [(True, True, (True, False)), (False, False, (True, False)), (False, True, (False, True))],
    ids=["names its event", "the only cancel", "perhaps another's"],
)
def test_a_refusal_that_may_be_another_cancels_leaves_open_whether_its_response_is_over(
    named: bool, another: bool, over: tuple[bool, bool]
) -> None:
    ledger = Ledger(1, PCM16_24K, 0)
    server = Server(seed=1, voices=synthetic_voices(1), options=ServerOptions())
    line = LineAudit(ledger, server.items, server.responses, untold=lambda: server.untold, server_interrupts=False)
    ledger.responses["ended"] = ResponseRecord("ended", 0, done=True, cancels=int(another))
    ledger.responses["silent"] = record = ResponseRecord("silent", 1, cancels=1)
    server._state.untold.add("silent")
    event = {"type": "response.cancel", "response_id": "silent", "event_id": "e1"}
    server._state.refusals.append(Refusal(0.0, "", "response_cancel_not_active", NOTHING_RUNS, None, "e1", event))
    arrivals = Arrivals(
        ledger, server, line, None, OrderAudit(ledger), cut=lambda cause, name: None, kill=lambda response, place: None
    )
    arrivals.arrived(ServerSeen("error", error=ErrorSeen(message=NOTHING_RUNS, event_id="e1" if named else None)))
    assert (record.done, "silent" in arrivals.perhaps) == over
