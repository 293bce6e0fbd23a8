"""The campaign of broken messages: a short run of it, and that it would notice.

Issue 5: no exception, no later event lost, memory flat; B27, C29, B31.
"""

import json
import signal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from fuzzing import campaign, mutation, vocabulary
from fuzzing.__main__ import main
from fuzzing.campaign import State, advance, begun
from fuzzing.rounds import Broken, Tally, run

from rtcore import Effect, Problem, Session
from rtcore._history import History
from rtcore._lifecycle import Lifecycle
from rtcore._responses import Responses
from rtcore._wire import AudioDelta, ResponseBody, output_items


def broke(numbers: range = range(60)) -> int:
    """How many of these rounds broke."""
    count = 0
    for number in numbers:
        try:
            run(0, number, Tally())
        except Broken:
            count += 1
    return count


def test_a_short_campaign_holds() -> None:  # B27, C29, B31; invariants 2 and 13
    state = begun(5, 12_000)
    advance(state, None)
    assert state.problems == []
    assert state.complete
    kinds = {name for name in state.counts if name.startswith("sent: ")}
    assert len(kinds) == 21, kinds
    assert state.counts["exchanges"] > 5_000 and state.counts["replayed inputs"] > 5_000


@pytest.mark.parametrize("kind", vocabulary.SERVER)
def test_an_event_of_the_facts_has_the_fields_that_the_facts_demand(kind: str) -> None:
    random = Random(kind)
    ids = vocabulary.Ids(random)
    made = [vocabulary.event(random, ids, kind) for _ in range(50)]
    wanted = {name for name, spec in vocabulary.FACTS["server"][kind]["fields"].items() if spec.get("required")}
    assert all(wanted <= set(event) and event["type"] == kind for event in made)
    assert all(json.loads(json.dumps(event)) == event for event in made)


def test_a_round_is_the_same_however_often_it_is_run() -> None:
    for number in range(6):
        tallies = [Tally(), Tally()]
        for tally in tallies:
            run(3, number, tally)
        assert tallies[0].counts == tallies[1].counts


# -- would it notice? ---------------------------------------------------------------------------------------------------------


def test_an_exception_is_noticed(monkeypatch: Any) -> None:
    announce = History.announce

    def careless(self: History, item: Any, previous_item_id: str | None) -> bool:
        if previous_item_id is not None and not item.announced:
            self._items[previous_item_id]
        return announce(self, item, previous_item_id)

    monkeypatch.setattr(History, "announce", careless)
    with pytest.raises(Broken, match="KeyError"):
        for number in range(1, 30):
            run(0, number, Tally())


def test_an_event_that_is_lost_after_one_that_could_not_be_read_is_noticed(monkeypatch: Any) -> None:
    warn, delta = Lifecycle.warn, Responses.audio_delta

    def warned(self: Lifecycle, reason: str, event_type: str, detail: str) -> None:
        warn(self, reason, event_type, detail)
        self._core.responses.deaf = True  # type: ignore[attr-defined]  # the planted bug's own

    def heard(self: Responses, event: AudioDelta) -> None:
        if not self.__dict__.pop("deaf", False):
            delta(self, event)

    monkeypatch.setattr(Lifecycle, "warn", warned)
    monkeypatch.setattr(Responses, "audio_delta", heard)
    assert broke(range(0, 60, 3)) > 5, "a replayed round did not notice"
    assert broke(range(1, 60, 3)) > 5, "a broken round did not notice"


def test_a_field_that_is_read_although_nobody_knows_it_is_noticed(monkeypatch: Any) -> None:
    receive = Session.receive

    def moody(self: Session, connection: int, payload: bytes, *, now: float) -> list[Effect]:
        return [] if b"x_vendor" in payload else receive(self, connection, payload, now=now)

    monkeypatch.setattr(Session, "receive", moody)
    assert broke(range(0, 60, 3)) > 3


def test_a_message_that_ends_the_session_without_a_right_to_is_noticed(monkeypatch: Any) -> None:
    warn = Lifecycle.warn

    def touchy(self: Lifecycle, reason: str, event_type: str, detail: str) -> None:
        warn(self, reason, event_type, detail)
        self.end("lost", Problem("x", "x", False, "x"))

    monkeypatch.setattr(Lifecycle, "warn", touchy)
    assert broke(range(1, 60, 3)) > 5


def test_a_session_that_remembers_every_message_is_noticed(monkeypatch: Any) -> None:
    """Memory of one session, at the end of a long round; and of the process, over the rounds."""
    kept: list[bytes] = []
    items = output_items

    def keeping(body: ResponseBody) -> Any:
        kept.extend(bytes([n]) * 40 for n in range(64))
        return items(body)

    monkeypatch.setattr(campaign, "_WARM", 4)
    monkeypatch.setattr(campaign, "_LOOK_EVERY", 4)
    monkeypatch.setattr(campaign, "_GROWTH", 3_000)
    monkeypatch.setattr("rtcore._responses.output_items", keeping)
    state = begun(0, 8_000)
    advance(state, None)
    assert len(kept) > 3_000
    assert any("memory grew" in problem for problem in state.problems), state.memory


# -- what means nothing, means nothing -------------------------------------------------------------------------------------------


def test_garbage_is_no_event_and_a_changed_spelling_is_the_same_event() -> None:
    random = Random(1)
    ids = vocabulary.Ids(random)
    for _ in range(2_000):
        event = vocabulary.event(random, ids)
        kind, junk = mutation.garbage(event, random)
        try:
            read = json.loads(junk)
        except (ValueError, RecursionError):
            read = None
        known = isinstance(read, dict) and read.get("type") in vocabulary.SERVER
        assert not known, (kind, junk)
        kind, same = mutation.ineffective(event, random)
        again = json.loads(same)
        assert again["type"] == event["type"]
        if kind in ("other order", "other spelling"):
            assert again == event


# -- the command ----------------------------------------------------------------------------------------------------------------


def test_a_campaign_ended_and_gone_on_with_is_the_one_that_was_never_ended(tmp_path: Path, capsys: Any) -> None:
    whole, parts = tmp_path / "whole.json", tmp_path / "parts.json"
    assert main(["--messages", "3000", "--save", str(whole)]) == 0
    assert main(["--messages", "1000", "--save", str(parts)]) == 0
    assert main(["--messages", "3000", "--resume", str(parts)]) == 0
    one, two = (json.loads(path.read_bytes()) for path in (whole, parts))
    assert (one["counts"], one["rounds"]) == (two["counts"], two["rounds"])
    assert "mutated messages   3," in capsys.readouterr().out
    assert main(["--save", str(whole)]) == 2
    assert main(["--resume", str(whole), "--seed", "1"]) == 2
    whole.write_text(whole.read_text(encoding="utf-8").replace(one["fingerprint"], "0" * 16), encoding="utf-8")
    assert main(["--resume", str(whole)]) == 2
    assert "another version" in capsys.readouterr().err


def test_ctrl_c_leaves_a_file_to_go_on_with(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    path = tmp_path / "ended.json"
    one = campaign._one

    def ended(state: State) -> None:
        one(state)
        if state.rounds == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(campaign, "_one", ended)
    assert main(["--messages", "100000", "--save", str(path)]) == 130
    assert json.loads(path.read_bytes())["rounds"] == 3
    assert f"--resume {path}" in capsys.readouterr().out


def test_what_broke_is_told_with_the_command_that_shows_it_again(monkeypatch: Any, capsys: Any) -> None:
    def broken(self: Responses, event: AudioDelta) -> None:
        raise KeyError("planted")

    monkeypatch.setattr(Responses, "audio_delta", broken)
    assert main(["--messages", "300"]) == 1
    said = capsys.readouterr().out
    assert "BROKEN: round " in said and "planted" in said
    [command] = [line for line in said.splitlines() if line.startswith("Again: ")][:1]
    which = command.partition("--round ")[2].split()[0]
    assert main(["--round", which]) == 1
    assert "BROKEN" in capsys.readouterr().out
