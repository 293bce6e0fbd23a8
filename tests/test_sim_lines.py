"""Long calls whose lines drop: no turn is unanswered, no word is repeated or made up, and a broken core is found out."""

from types import SimpleNamespace
from typing import Any

import pytest
from samples import later, sample

from rtcore import Config, Effect, HistoryItem, MessageEnded, Session, Verdict
from rtcore.config import Reconnect
from rtcore.recording import read, replay
from rtcore.sim import World, lines, synthetic_voices
from rtcore.sim._line_book import SECOND, Book, comes_back, draw_lines
from rtcore.sim._line_hearing import Hearing
from rtcore.sim._line_pictures import Pictures
from rtcore.sim._line_served import serve
from rtcore.sim._line_told import Told
from rtcore.sim._line_world import KIND
from rtcore.sim._rng import Rng
from rtcore.sim.campaign import policy_world
from rtcore.sim.lines import LineOptions, LongCall
from rtcore.sim.policy import Policy, parse_policy
from rtcore.sim.recorded import record_lines, world_of
from rtcore.sim.soak import Counted, problems
from rtcore.sim.sometimes import SOMETIMES
from rtcore.sim.speaker import Speaker, SpeakerOptions

MAX_ITEMS = Reconnect().max_items


@pytest.mark.parametrize("seed", sample(range(6), 3))
def test_a_call_whose_line_drops_every_two_minutes(
    seed: int,
) -> None:  # B21, B23 to B25, C27, S08, F086, F087, F093; invariant 15
    result = LongCall(seed, LineOptions(seconds=300)).run()
    assert result.problems == []
    assert result.turns > 25 and result.answered + result.into_nothing >= result.turns - 1


def test_the_situations_that_matter_come_up() -> None:  # sometimes: what never happens was not tested
    results = [LongCall(seed, LineOptions(seconds=240, drop_every_s=25)).run() for seed in range(20, 24)]
    assert [problem for result in results for problem in result.problems] == []
    for counter in ("reconnected", "lost_while_sounding", "lost_in_a_turn", "calls", "interruptions", "replayed"):
        assert sum(getattr(result, counter) for result in results) > 0, counter


def test_servers_that_end_their_sessions_every_ninety_seconds() -> None:  # C27, F085: session_expired and 1001
    result = LongCall(3, LineOptions(seconds=300, session_s=90, drop_every_s=0)).run()
    assert (result.problems, result.reconnected) == ([], 3)


def test_a_session_that_renews_itself_is_not_heard_to_do_it() -> None:  # B26: audible gap 0 ms in silence
    results = [LongCall(seed, LineOptions(seconds=300, limit_s=45.0, drop_every_s=0)).run() for seed in range(3)]
    assert [problem for result in results for problem in result.problems] == []
    assert sum(result.renewed for result in results) >= 12
    assert sum(result.renewed_in_silence for result in results) * 2 > sum(result.renewed for result in results)


def test_an_answer_that_was_cut_does_not_show_that_the_model_speaks_again() -> None:  # F140: asked for again once, until one has
    options = LineOptions(seconds=120, drop_every_s=10, half_open_per_mille=300, text_per_mille=1000, barge_per_mille=800)
    assert LongCall(55, options).run().problems == []


@pytest.mark.parametrize("taken_out", [True, False])
def test_what_was_taken_out_may_stand_at_a_server_whose_line_was_lost(taken_out: bool) -> None:  # F140, invariant 11
    book = Book(1)
    hearing = Hearing(book, Speaker(SpeakerOptions(), Rng(1)))
    hearing.ended["m1"] = ("I would rather write that.", 0)
    hearing.heard.append("I would rather write that.")
    hearing.taken_back("m1", "I would rather write that.")
    if not taken_out:
        hearing.taken_out.clear()
    served: Any = [serve(number, Rng(number), synthetic_voices(1), LineOptions()) for number in (1, 2)]
    served[1].before = served[0]
    message = SimpleNamespace(id="m1", type="message", role="assistant", origin="response", call_id=None, content=())
    served[1].server = SimpleNamespace(items={"m1": message}, conversation=["m1"])
    Told(book, hearing, Pictures(book, Rng(1), 0), summary=False).leave(served[1])
    assert (book.result.problems == []) is taken_out


@pytest.mark.parametrize("taken_out", [True, False])
def test_and_no_summary_tells_of_it(taken_out: bool) -> None:  # F140, invariant 11: of another that says the same, it does
    book = Book(1)
    hearing = Hearing(book, Speaker(SpeakerOptions(), Rng(1)))
    for name in ("m1", "m2"):
        hearing.ended[name] = ("I would rather write that.", 0)
        hearing.heard.append("I would rather write that.")
    hearing.taken_back("m1", "I would rather write that.")
    served: Any = [serve(number, Rng(number), synthetic_voices(1), LineOptions()) for number in (1, 2)]
    served[1].before, served[1].opened_at = served[0], 1
    name = "m1" if taken_out else "m2"
    message = SimpleNamespace(id=name, type="message", role="assistant", origin="response", call_id=None, content=())
    served[0].server = SimpleNamespace(items={name: message}, conversation=[name])
    served[1].server = SimpleNamespace(items={}, conversation=[])
    told = Told(book, hearing, Pictures(book, Rng(1), 0), summary=True)
    told.leave(served[0])
    book.now = 10 * SECOND
    told.leave(served[1])
    assert (book.result.problems == []) is taken_out


@pytest.mark.parametrize("told", ["nothing", "deleted", "lost"])
def test_and_in_the_history_till_its_deletion_is_told_or_its_line_is_lost(told: str) -> None:  # F140, invariant 11
    book = Book(1)
    hearing = Hearing(book, Speaker(SpeakerOptions(), Rng(1)))
    hearing.heard.append("I would rather write that.")
    hearing.taken_back("m1", "I would rather write that.")
    served: Any = serve(1, Rng(1), synthetic_voices(1), LineOptions())
    served.server, served.alive = SimpleNamespace(items={"m1": None}), told != "lost"
    if told == "deleted":
        hearing.deleted("m1")
    text = "I would rather write that."
    hearing.check_history((HistoryItem("m1", "message", "assistant", "completed", text, text, Verdict.TEXT),), served)
    assert (book.result.problems == []) is (told == "nothing")


@pytest.mark.parametrize(
    ("heard_ms", "estimated", "closing", "right"),
    [
        (80, True, True, True),  # what the device does not declare: its buffer, its block, and a report
        (81, True, True, False),
        (1, False, True, False),  # and then it is called one
        (1, True, False, False),  # while it goes on, the clock is waited for
    ],
)
def test_only_what_sounds_when_a_call_ends_is_an_estimate(
    heard_ms: int, estimated: bool, closing: bool, right: bool
) -> None:  # C19, invariant 11
    book = Book(1)
    hearing = Hearing(book, Speaker(SpeakerOptions(), Rng(1)))
    ended = MessageEnded("r1", "m1", Verdict.PARTIAL, heard_ms, 500, "", "", 0.0, 1.0, estimated)
    hearing.over(ended, closing=closing)
    assert (book.result.problems == []) is right


@pytest.mark.parametrize("summary", [True, False])
@pytest.mark.parametrize("behind", [True, False])
def test_what_was_said_before_stands_before_what_a_session_heard_itself(behind: bool, summary: bool) -> None:  # invariant 11
    book = Book(1)
    hearing = Hearing(book, Speaker(SpeakerOptions(), Rng(1)))
    served: Any = [serve(number, Rng(number), synthetic_voices(1), LineOptions()) for number in (1, 2)]
    served[1].before = served[0]
    told = Told(book, hearing, Pictures(book, Rng(1), 0), summary=summary)
    told.words("u1", "Hello.")
    fields: dict[str, Any] = {"type": "message", "call_id": None, "image": None}
    said = SimpleNamespace(id="u1", role="user", origin="turn", content=(), **fields)
    again = SimpleNamespace(
        id="u2",
        role="system" if summary else "user",
        origin="client",
        content=({"type": "input_text", "text": "Hello."},),
        **fields,
    )
    new = SimpleNamespace(id="u3", role="user", origin="turn", content=(), **fields)
    served[0].server = SimpleNamespace(items={"u1": said}, conversation=["u1"])
    served[1].server = SimpleNamespace(items={"u2": again, "u3": new}, conversation=["u3", "u2"] if behind else ["u2", "u3"])
    told.leave(served[1])
    assert (book.result.problems == []) is not behind


SHOWN = LineOptions(seconds=240, drop_every_s=25, show_per_mille=40, image_bytes=2_000, aimed_per_mille=300)


def test_a_server_that_closes_on_the_configuration_is_told_and_dialled_again() -> None:  # F102, B25; invariant 15
    options = LineOptions(seconds=240, drop_every_s=25, limit_s=40.0, turned_away_per_mille=500)
    results = [LongCall(seed, options).run() for seed in range(2)]
    assert [problem for result in results for problem in result.problems] == []
    assert all(result.situations["F102: a server closed on the configuration"] > 3 for result in results)


def test_pictures_are_shown_again_the_newest_of_them() -> None:  # C27, S08, B23: as many as reconnect.image_bytes allows
    results = [LongCall(seed, SHOWN).run() for seed in range(4)]
    assert [problem for result in results for problem in result.problems] == []
    for situation in ("a picture was shown", "a picture was shown again", "that there was a picture was told"):
        assert sum(result.situations.get(f"lines: {situation}", 0) for result in results) > 0, situation


@later
@pytest.mark.parametrize("image_bytes", [0, 100_000])
def test_a_core_that_shows_others_again_is_found_out(image_bytes: int) -> None:
    def other(config: Config, **made: Any) -> Session:
        reconnect = config.reconnect.model_copy(update={"image_bytes": image_bytes})
        return Session(config.model_copy(update={"reconnect": reconnect}), **made)

    results = [LongCall(seed, SHOWN, session_factory=other).run() for seed in range(2)]
    told = [problem.text for result in results for problem in result.problems if problem.invariant == 11]
    assert any(("older than" if image_bytes else "was not told of the user: 'data:image") in text for text in told)


def test_a_call_without_pictures_is_the_call_that_it_was() -> None:  # drawn from a stream of their own
    drawn = [draw_lines(seed) for seed in range(200)]
    assert 20 < sum(options.show_per_mille > 0 for options in drawn) < 60
    assert {options.image_bytes for options in drawn if not options.show_per_mille} == {4_000_000}


def test_the_same_seed_is_the_same_call() -> None:  # DESIGN 6 invariant 14
    options = LineOptions(seconds=120, drop_every_s=30)
    assert LongCall(5, options).run() == LongCall(5, options).run()


class Short(Counted):
    """Its hours are short."""

    hour_s = 150.0
    every_s = 3.0


class Leaks(Short):
    """It keeps a moment of sound for each response, for ever."""

    def receive(self, connection: int, payload: bytes, *, now: float) -> list[Effect]:
        if b'"response.done"' in payload:
            vars(self._core.creation).setdefault("planted", []).append(bytes(4800))
        return super().receive(connection, payload, now=now)


def grown(session_type: type[Counted], seconds: int) -> list[str]:
    """What a call on lines that drop held more and more of."""
    call = LongCall(9, LineOptions(seconds=seconds, drop_every_s=40), session_factory=session_type)
    assert call.run().problems == [] and isinstance(call.session, Counted)
    call.session.close_hour()
    return problems(call.session.hours, told=MAX_ITEMS)


def test_what_the_session_holds_does_not_grow_with_its_losses() -> None:  # DESIGN 6 invariant 13
    assert grown(Short, 600) == []


@later
def test_what_grows_with_each_response_is_found_out() -> None:  # DESIGN 6 invariant 13: entries and sound, by their places
    found = grown(Leaks, 450)
    assert {problem.split(" held")[0].split(" never")[0] for problem in found} == {
        "creation.planted",
        "bytes of creation.planted[]",
    }


def _unheard_words_told(session: Session) -> None:
    """The replay tells everything that was generated."""
    create = session._core.continuity._create

    def told(item: Any, wire_id: str, body: dict[str, Any]) -> None:
        for part in body.get("content", ()) if item.role == "assistant" else ():
            part["text"] = item.full_text + " and more"
        create(item, wire_id, body)

    session._core.continuity._create = told  # type: ignore[method-assign]


def _turns_forgotten(session: Session) -> None:
    """A turn that was owed an answer is nobody's any more."""
    session._core.continuity._go_on = lambda: None  # type: ignore[method-assign]


def _everything_in_a_burst(session: Session) -> None:
    """Whatever was said into the dead line is sent on the next."""
    microphone = session._core.microphone
    microphone.trim = microphone.trim_older = lambda *given: 0  # type: ignore[method-assign, assignment]
    microphone._keep = microphone._sent.extend  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize("fault", [_unheard_words_told, _turns_forgotten, _everything_in_a_burst])
def test_a_broken_core_is_found_out(fault: Any) -> None:
    def broken(*given: Any, **options: Any) -> Session:
        session = Session(*given, **options)
        fault(session)
        return session

    options = LineOptions(seconds=240, drop_every_s=40)
    assert any(LongCall(seed, options, session_factory=broken).run().problems for seed in range(3))


BUTTON = LineOptions(seconds=180, drop_every_s=25, aimed_per_mille=500, down_per_mille=300, button=True)


def test_calls_with_a_button_lose_no_turn_and_save_up_no_room() -> None:  # S08, B24, F087, F125; invariants 2, 8, 15
    results = [LongCall(seed, BUTTON).run() for seed in range(4)]
    assert [problem for result in results for problem in result.problems] == []
    assert sum(result.situations.get("lines: a turn of the button said again", 0) for result in results) > 0


def _turn_not_said_again(session: Session) -> None:
    """What the lost server was to make a turn of, no other hears."""
    session._core.continuity._said_again = lambda *given, **options: False  # type: ignore[method-assign]


def _answer_before_the_turn(session: Session) -> None:
    """Whatever waits is created before what was sent to no server yet."""
    pump = session._core.creation.pump

    def at_once(*, before: int | None = None) -> None:
        pump()

    session._core.creation.pump = at_once  # type: ignore[method-assign]


def _room_saved_up(session: Session) -> None:
    """A microphone that runs is a turn."""
    session._core.microphone.release = lambda: None  # type: ignore[method-assign]


@pytest.mark.parametrize("fault", [_turn_not_said_again, _answer_before_the_turn, _room_saved_up])
def test_a_core_that_loses_what_a_button_made_is_found_out(fault: Any) -> None:
    def broken(*given: Any, **options: Any) -> Session:
        session = Session(*given, **options)
        fault(session)
        return session

    assert any(LongCall(seed, BUTTON, session_factory=broken).run().problems for seed in range(4))


SEEDS = [seed for seed in range(200) if comes_back(seed)]
"""Seeds of a campaign's worlds whose lines come back."""


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_a_campaign_has_worlds_whose_lines_come_back(seed: int) -> None:  # B23 to B26, F092, F140; invariants 2, 3, 8 to 11, 15
    world = policy_world(seed, synthetic_voices(1), Policy(), story=True)
    result = world.run()
    assert result.violations == () and result.kinds[0].kind == KIND
    assert result.situations.keys() <= {one.id for one in SOMETIMES}
    assert world.story is not None and any("Reconnected" in str(line) for line in world.story.lines)
    assert result == policy_world(seed, synthetic_voices(1), parse_policy("network=clean")).run()  # no policy changes them


def test_they_are_few_and_every_other_seed_is_the_world_it_was() -> None:  # invariant 14
    assert 5 <= len(SEEDS) <= 20
    other = next(seed for seed in range(200) if not comes_back(seed))
    assert type(policy_world(other, synthetic_voices(1), Policy())) is World


def test_what_raises_in_the_core_is_a_violation_of_its_seed() -> None:
    def broken(*given: Any, **options: Any) -> Session:
        session = Session(*given, **options)
        session._core.continuity._begin = None  # type: ignore[assignment, method-assign]
        return session

    [violation] = policy_world(SEEDS[0], synthetic_voices(1), Policy(), session_factory=broken).run().violations
    assert (violation.seed, violation.invariant) == (SEEDS[0], 15) and violation.text.startswith("TypeError")


def test_such_a_world_is_recorded_as_its_session_and_replays_to_the_bit() -> None:  # B23, invariant 14
    result, lines = record_lines(SEEDS[0])
    assert result.violations == ()
    recording = read(lines)
    assert world_of(recording.header) is None and replay(recording).difference is None


@later
def test_eight_hours_on_lines_that_drop_every_three_minutes() -> None:  # issue 6, to reach; invariants 11, 13, 15
    call = LongCall(8, LineOptions(seconds=8 * 3600, drop_every_s=180, session_s=1800), session_factory=Counted)
    result = call.run()
    print(lines.figures(result))
    assert result.problems == []
    assert result.turns > 3_000 and result.reconnected > 100 and result.answered + result.into_nothing >= result.turns - 1
    assert isinstance(call.session, Counted)
    call.session.close_hour()
    assert problems(call.session.hours[:8], told=MAX_ITEMS) == []  # place by place


def test_the_figures_are_for_people() -> None:
    shown = lines.figures(LongCall(1, LineOptions(seconds=60, drop_every_s=20)).run())
    assert {"turns", "answered", "reconnected", "problems"} <= set(shown)
