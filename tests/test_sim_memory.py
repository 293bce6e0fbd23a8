"""Invariant 13: a session keeps its conversation and a few bounded memories, and nothing else."""

from collections import deque

import pytest
from msgspec import Struct

from rtcore import Clock, Config, Effect, Issued, Session
from rtcore.sim import Scenario, ServerOptions, World, synthetic_voices
from rtcore.sim._audit_memory import of_silent
from rtcore.sim.footprint import Footprint, footprint
from rtcore.sim.soak import Hour, problems

VOICES = synthetic_voices(1)


class Slotted:
    __slots__ = ("pcm", "queue")

    def __init__(self) -> None:
        self.queue = deque([b"1234", memoryview(b"12345678")[2:6]])
        self.pcm = bytearray(3)


class Record(Struct):
    name: str
    members: list[Slotted]


class Holder:
    def __init__(self) -> None:
        self.record = Record("one", [Slotted()])
        self.again = self.record
        self.by_id = {"a": {1, 2}, "b": set[int]()}
        self.me = self
        self.config = Config(connection={"api_key": "none"})  # type: ignore[arg-type]
        self.call = Session.tick


def test_every_container_counts_once_with_its_place() -> None:
    assert footprint(Holder()) == Footprint(
        entries={"by_id": 2, "by_id[]": 2, "record.members": 1, "record.members[].queue": 2},
        audio={"record.members[].pcm": 3, "record.members[].queue[]": 8},
    )


def test_places_can_be_left_out_and_summed() -> None:
    found = footprint(Holder(), without=("record",))
    assert found.entries == {"again.members": 1, "again.members[].queue": 2, "by_id": 2, "by_id[]": 2}
    assert (found.total, found.audio_bytes, found.under("by_id"), found.under("by")) == (7, 11, 4, 0)
    assert found.without("again.members") == {"by_id": 2, "by_id[]": 2}


# -- in a world ----------------------------------------------------------------------------------------------------------------


class KeepsSound(Session):
    """Never forgets what was heard."""

    def receive(self, connection: int, payload: bytes, *, now: float) -> list[Effect]:
        if b"audio.delta" in payload[:60]:
            self._core.__dict__.setdefault("kept", []).append(payload)
        return super().receive(connection, payload, now=now)


class KeepsAnswers(Session):
    """Keeps the ids of its calls for ever."""

    def tool_result(self, call_id: str, output: object, *, respond: bool = True, now: float) -> Issued:
        self._core.__dict__.setdefault("answered", set()).add(call_id)
        return super().tool_result(call_id, output, respond=respond, now=now)


class ForgetsNoDeleted(Session):
    """Keeps deleted items in its history's index."""

    def receive(self, connection: int, payload: bytes, *, now: float) -> list[Effect]:
        history = self._core.history
        before = dict(history._items)
        effects = super().receive(connection, payload, now=now)
        if b"item.deleted" in payload[:60]:
            history._items = before | history._items
        return effects


SCENARIO = Scenario(interruptions=8, server=ServerOptions(audio_ms=(300, 2500), call_per_mille=400))


@pytest.mark.parametrize("leaky", [KeepsSound, KeepsAnswers, ForgetsNoDeleted], ids=lambda each: each.__name__)
def test_a_session_that_keeps_too_much_is_caught(leaky: type[Session]) -> None:
    worlds = (World(seed, VOICES, scenario=SCENARIO, session_factory=leaky).run() for seed in range(6))
    assert any(violation.invariant == 13 for world in worlds for violation in world.violations)


def test_the_core_keeps_nothing_beyond_its_conversation() -> None:
    for seed in range(6):
        assert World(seed, VOICES, scenario=SCENARIO).run().violations == ()


def test_responses_whose_end_was_never_told_may_be_remembered_and_no_others() -> None:  # F022, B10
    kept = {"responses._silent": 1, "responses.live": 1, "responses.live[].items": 1, "responses.items": 1}
    places = of_silent(Footprint(kept, {}), 1)
    assert Footprint(kept, {}).without(*places) == {}
    assert of_silent(Footprint(kept, {}), 0) == ()  # every end was told
    assert of_silent(Footprint(kept | {"responses.live": 2}, {}), 2) == ()  # another one lives
    assert of_silent(Footprint(kept | {"responses.live[].items": 100}, {}), 1) == ()
    assert of_silent(Footprint({"responses._silent": 9, "responses.live": 9}, {}), 9) == ()


# -- over hours ----------------------------------------------------------------------------------------------------------------


def hour(busy: int, idle: int, items: int, entries: int) -> Hour:
    return Hour({"responses.live": idle}, {"responses.live": busy, "responses._ended": 256}, 200, items, entries)


def test_hours_that_are_alike_show_no_problem() -> None:
    assert problems([hour(3, 0, 100, 300), hour(4, 0, 200, 600), hour(5, 0, 300, 910), hour(4, 0, 400, 1190)]) == []


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (hour(4, 1, 400, 1200), "responses.live never held less than 1 entries in hour 4, 0 in hour 2"),
        (hour(40, 0, 400, 1200), "responses.live held up to 40 entries in hour 4, 5 in hours 2 and 3"),
        (hour(4, 0, 400, 2400), "an item of the history cost 6.00 entries at the end, 3.00 at the beginning"),
    ],
)
def test_what_grows_is_named(last: Hour, told: str) -> None:
    assert problems([hour(3, 0, 100, 300), hour(4, 0, 200, 600), hour(5, 0, 300, 900), last]) == [told]


def test_a_bounded_memory_may_fill_up_to_its_bound() -> None:
    hours = [hour(3, 0, 100, 300) for _ in range(4)]
    hours[3].most["responses._ended"] = 257
    assert problems(hours) == ["responses._ended held 257 entries, 256 at most"]


def test_too_few_hours_prove_nothing() -> None:
    assert problems([hour(3, 0, 1, 1)] * 2) == ["only 2 hours: nothing to compare"]


def test_a_clock_is_no_leak() -> None:
    assert footprint(Clock()).total == 0
