"""Worlds in which an answer in text is asked for again, and the auditor's account of it (F140)."""

import pytest

from rtcore._formats import PCM16_24K
from rtcore._notices import AnsweredInText
from rtcore.sim._audit_written import WrittenAudit
from rtcore.sim._ledger import ItemRecord, Ledger, ResponseRecord
from rtcore.sim._seen import ServerSeen, read_server
from rtcore.sim.scenario import scenario_of

_DONE = b'{"type":"response.done","event_id":"e","response":{"id":"%b","status":"completed"}}'


def test_a_modest_share_of_worlds_asks_again() -> None:
    drawn = [scenario for scenario in map(scenario_of, range(400)) if scenario.core.get("text_answers") == "retry"]
    assert 10 < len(drawn) < 100
    assert all("server: text-only answer" in scenario.faults for scenario in drawn)
    assert {scenario.config().text_answers for scenario in drawn} == {"retry"}


class Stage:
    """An auditor of answers that were written, or spoken."""

    def __init__(self, *, retries: bool = True) -> None:
        self.ledger = Ledger(1, PCM16_24K, 0)
        self.owed = 0
        self.audit = WrittenAudit(self.ledger, retries=retries, owed=self._owe)

    def _owe(self) -> None:
        self.owed += 1

    def answer(self, name: str, *, audio: bool = False) -> None:
        record = ResponseRecord(name, 1, status="completed")
        record.items[f"{name}_item"] = ItemRecord(f"{name}_item", "message", record, shown_text=not audio)
        if audio:
            record.items[f"{name}_item"].audio_parts.add(0)
        self.ledger.responses[name] = record
        self.audit.arrived(_done(name))

    def told(self, name: str, *, retried: bool) -> None:
        self.audit.told(AnsweredInText(name, f"{name}_item", "Words.", retried))
        self.audit.did()


def _done(name: str) -> ServerSeen:
    return read_server(_DONE % name.encode(), 0)


def test_one_is_asked_again_and_the_next_not_until_one_has_sounded() -> None:
    stage = Stage()
    stage.answer("a")
    stage.told("a", retried=True)
    stage.answer("b")
    stage.told("b", retried=False)
    stage.answer("c", audio=True)
    stage.answer("d")
    stage.told("d", retried=True)
    assert stage.ledger.violations == []
    assert stage.owed == 2


@pytest.mark.parametrize(("retries", "retried"), [(True, False), (False, True)])
def test_what_the_option_does_not_say_is_wrong(retries: bool, retried: bool) -> None:
    stage = Stage(retries=retries)
    stage.answer("a")
    stage.told("a", retried=retried)
    assert [violation.invariant for violation in stage.ledger.violations] == [1]


def test_silence_about_it_is_wrong() -> None:
    stage = Stage()
    stage.answer("a")
    stage.audit.did()
    assert [violation.text for violation in stage.ledger.violations] == [
        "a_item is an answer in text, which nobody hears, and nobody was told"
    ]


def test_so_is_telling_of_one_that_is_spoken() -> None:
    stage = Stage()
    stage.answer("a", audio=True)
    stage.told("a", retried=False)
    assert [violation.invariant for violation in stage.ledger.violations] == [6]
