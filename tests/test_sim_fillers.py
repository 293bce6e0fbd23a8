"""The auditor's rules about words that bridge a wait: once for the calls of one response, and into silence (C26)."""

import pytest

from rtcore import PCM16_24K, ToolCalled, ToolEnded
from rtcore.sim._audit_fillers import FILLER, FillerAudit
from rtcore.sim._ledger import Creation, Ledger, ResponseRecord
from rtcore.sim._seen import ClientSeen
from rtcore.sim.matching import Place
from rtcore.sim.speaker import MILLISECOND


class Case:
    """One auditor of fillers, with the ledger written by hand; a call is slow after 300 ms."""

    def __init__(self) -> None:
        self.ledger = Ledger(1, PCM16_24K, 0)
        self.audit = FillerAudit(self.ledger, 300, lambda request: None, undecided=lambda: False, reports=True)

    def at(self, ms: int) -> "Case":
        self.ledger.now = ms * MILLISECOND
        return self

    def called(self, call: str, response: str) -> None:
        self.audit.tool_called(ToolCalled(call, "look", "{}", response, f"f_{call}"))

    def ended(self, call: str) -> None:
        self.audit.tool_ended(ToolEnded(call, "look", "answered", 0.0, 0))

    def fills(self) -> list[str]:
        """A filler leaves the core; gives what is wrong with it."""
        before = len(self.ledger.violations)
        message = ClientSeen(
            "response.create", sent_at=self.ledger.now, response={"instructions": FILLER, "conversation": "none"}
        )
        self.audit.create_response(message, Creation(None, "1", True, message))
        return [one.text for one in self.ledger.violations[before:] if "nobody was told" not in one.text]


def test_the_calls_of_one_response_are_bridged_once() -> None:  # C26
    case = Case()
    case.called("c1", "r1")
    case.called("c2", "r1")
    assert (case.at(300).fills(), case.at(600).fills()) == ([], ["another filler for the calls of r1"])


def test_which_of_two_responses_a_filler_is_for_may_show_itself_later() -> None:  # C26: seeds 7_100_046, 11_100_159
    case = Case()
    case.called("c1", "r1")
    case.called("c2", "r2")
    first = case.at(300).fills()
    case.ended("c1")
    assert (first, case.at(600).fills()) == ([], [])  # the first was for what is answered by now
    assert case.at(900).fills() == ["another filler for the calls of r2"]


def test_a_third_filler_for_the_calls_of_two_responses_is_one_too_many() -> None:  # C26
    case = Case()
    case.called("c1", "r1")
    case.called("c2", "r2")
    assert [case.at(at).fills() for at in (300, 600)] == [[], []]
    assert case.at(900).fills() == ["another filler for the calls of r1, r2"]


@pytest.mark.parametrize(("begun", "wrong"), [(299, ["a filler is asked for while a response runs"]), (300, [])])
def test_what_begins_in_the_instant_of_a_timer_comes_behind_it(begun: int, wrong: list[str]) -> None:
    """DESIGN section 2, C26: an input fires the timers that were due before it, by however little; seed 10_100_240."""
    case = Case()
    case.called("c1", "r1")
    case.ledger.running["r2"] = ResponseRecord("r2", 1, known_at=begun * MILLISECOND)
    assert case.at(300).fills() == wrong


def test_speech_that_began_before_is_in_the_way() -> None:  # C26
    case = Case()
    case.called("c1", "r1")
    case.ledger.talking, case.ledger.talking_since = True, 200 * MILLISECOND
    assert case.at(300).fills() == ["a filler is asked for while the user speaks"]


@pytest.mark.parametrize(("taken", "wrong"), [(0, True), (900, True), (1000, False)])
def test_sound_that_the_core_has_taken_as_heard_is_not_left(taken: int, wrong: bool) -> None:
    """B29, C26: a clock that says nothing holds nothing up once the core has named the fault; seed 10_000_208."""
    case = Case()
    case.called("c1", "r1")
    case.ledger.stream.handed[1] = 1000
    case.ledger.stream.taken = Place(1, taken)
    assert case.at(300).fills() == (["a filler is asked for while sound is left"] if wrong else [])
