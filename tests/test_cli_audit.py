"""``rtcore audit``: clients that are wrong in one way each are caught by name, and those that are right come out clean."""

from collections.abc import Callable

import audit_clients as wrong
import pytest
from audit_clients import SERVER, Client, audited
from loopback import clean_run
from msgspec.structs import replace

from rtcore.sim.judge import AuditVerdict
from rtcore.sim.server import CallPlan, MessagePlan, ResponsePlan, spoken

TWO = tuple(spoken(1500, 2500, rate_percent=400) for _ in range(6))
CALLS = tuple(ResponsePlan((MessagePlan(), CallPlan("weather", "{}")), rate_percent=800) for _ in range(6))


def judged(client: Client, *points: int, script: tuple[ResponsePlan, ...] = TWO, interruptions: int = 3) -> AuditVerdict:
    server = replace(SERVER, script=script, stragglers=(0, 0))
    return clean_run(audited(client, server=server, points=points, interruptions=interruptions))[0]


def test_a_client_that_is_right_is_clean() -> None:  # B01, B04, B06, C02
    verdict = judged(Client(), 700, 2300, 1600, interruptions=6)
    assert verdict.findings == ()
    assert len(verdict.interruptions) == 6
    told = [(part.told, part.error_ms) for one in verdict.interruptions for part in one.parts]
    assert set(told) == {("nothing", None), ("truncate", 0), ("delete", None)}


@pytest.mark.parametrize("seed", range(4))
def test_a_client_that_is_right_is_clean_wherever_it_is_interrupted(seed: int) -> None:
    verdict, _ = clean_run(audited(Client(), seed=seed, interruptions=8))
    assert verdict.findings == ()
    assert len(verdict.interruptions) >= 6


@pytest.mark.parametrize(
    ("client", "points", "name"),
    [
        (wrong.Zero, (700,), "truncate at zero"),  # F001
        (wrong.Cumulative, (2300,), "cumulative position"),  # B06, F004
        (wrong.Whole, (700,), "told too much"),  # F002
        (wrong.Beyond, (700,), "truncate above what was sent"),  # C08
        (wrong.Silent, (700,), "unheard words left"),  # F006
        (wrong.Float, (700,), "truncate not an integer"),  # F011
        (wrong.Stranger, (700,), "truncate of a wrong item"),
        (wrong.Raising, (700,), "raised truncate"),
        (wrong.Cancelling, (100,), "second cancel"),  # B07
        (wrong.Friendly, (700,), "friendly fire"),  # B08
        (wrong.Greedy, (1400,), "response while one is active"),  # B13
        (wrong.Babbling, (700,), "malformed message"),
        (wrong.Babbling, (700,), "refused event"),
    ],
)
def test_what_is_wrong_is_named(client: Callable[[], Client], points: tuple[int, ...], name: str) -> None:
    verdict = judged(client(), *points)
    assert name in verdict.counts, verdict.findings
    assert not verdict.clean


@pytest.mark.parametrize(
    ("client", "name"),
    [
        (wrong.Deaf, "call without output"),  # B28, C26
        (wrong.Twice, "second output"),
        (wrong.Inventing, "output for no call"),
    ],
)
def test_calls_want_one_output(client: Callable[[], Client], name: str) -> None:
    verdict = judged(client(), 2900, script=CALLS)
    assert name in verdict.counts, verdict.findings


def test_the_words_that_were_left_are_told() -> None:
    verdict = judged(wrong.Silent(), 700)
    finding = next(each for each in verdict.findings if each.name == "unheard words left")
    part = next(part for part in verdict.interruptions[0].parts if part.item_id == finding.item_id)
    assert part.unheard_words
    assert part.unheard_words in finding.text
    assert part.told == "nothing"
    assert part.received_ms > part.heard_most_ms


def test_a_client_that_leaves_in_the_middle_is_not_clean() -> None:
    class Leaving(Client):
        def interrupted(self) -> None:
            super().interrupted()
            if self.items:
                self._link.close(now=self.now)

    verdict = judged(Leaving(), 700)
    assert list(verdict.counts) == ["hung up"]


def test_a_client_without_turn_detection_proves_nothing() -> None:
    verdict = judged(Client({"audio": {"input": {"turn_detection": None}}}), 700)
    assert list(verdict.counts) == ["unanswered"]
    assert verdict.interruptions == ()
    assert "the session has no turn detection: only the client itself can interrupt" in verdict.notes
