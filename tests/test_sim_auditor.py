"""Each invariant of the design catches a session that breaks it, and none complains about one that does not."""

import base64
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from rtcore import (
    Deadline,
    Effect,
    Flush,
    HistoryItem,
    Issued,
    MessageEnded,
    Notice,
    Play,
    RequestEnded,
    SegmentView,
    Send,
    Session,
    SpeakingStarted,
    SpeakingStopped,
    Verdict,
)
from rtcore.sim import SABOTAGED, Scenario, ServerOptions, SpeakerOptions, World, WorldResult, synthetic_voices
from rtcore.sim.matching import Matcher, Place, Segment
from rtcore.sim.speaker import Span

VOICES = synthetic_voices(1)
SCENARIO = Scenario(
    interruptions=8,
    kinds=(("inside message 1", 3), ("inside message 2", 3), ("at the boundary", 2), ("during a function call", 2)),
    server=ServerOptions(audio_ms=(300, 2500), message_weights=(20, 60, 20), call_per_mille=400),
    speaker=SpeakerOptions(stop_ms=(0, 40)),
)


class Broken(Session):
    """A session whose effects pass through ``change`` on their way out."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return effects

    def receive(self, connection: int, payload: bytes, *, now: float) -> list[Effect]:
        return self.change(super().receive(connection, payload, now=now))

    def played(self, generation: int, samples: int, *, now: float) -> list[Effect]:
        return self.change(super().played(generation, samples, now=now))

    def flushed(self, generation: int, samples: int, *, now: float) -> list[Effect]:
        return self.change(super().flushed(generation, samples, now=now))

    def tick(self, *, now: float) -> list[Effect]:
        return self.change(super().tick(now=now))

    def tool_result(self, call_id: str, output: object, *, respond: bool = True, now: float) -> Issued:
        issued = super().tool_result(call_id, output, respond=respond, now=now)
        return Issued(issued.request, self.change(issued.effects))

    def send_text(self, text: str, *, interrupt: bool = True, respond: bool = True, now: float) -> Issued:
        issued = super().send_text(text, interrupt=interrupt, respond=respond, now=now)
        return Issued(issued.request, self.change(issued.effects))


def is_send(effect: Effect, kind: str, text: str = "") -> bool:
    begins = b'{"type":"%s"' % kind.encode()
    return isinstance(effect, Send) and effect.payload.startswith(begins) and text.encode() in effect.payload


def event(effect: Effect) -> dict[str, Any]:
    assert isinstance(effect, Send)
    content: dict[str, Any] = json.loads(effect.payload)
    return content


class TwoResponsesAtOnce(Broken):
    """1: asks for each response twice."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        changed: list[Effect] = []
        for effect in effects:
            changed.append(effect)
            if is_send(effect, "response.create"):
                again = {**event(effect), "event_id": "again"}
                changed.append(Send(1, msgspec.json.encode(again)))
        return changed


class RequestsNeverSettle(Broken):
    """2: keeps the ends of requests to itself."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [effect for effect in effects if not isinstance(effect, RequestEnded)]


class RequestsSettleTwice(Broken):
    """2: tells the ends of requests twice."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [copy for effect in effects for copy in ([effect, effect] if isinstance(effect, RequestEnded) else [effect])]


class CancelsAnything(Broken):
    """3: cancels without saying which."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        if any(isinstance(effect, Flush) for effect in effects):
            return [*effects[:1], Send(1, b'{"type":"response.cancel","event_id":"x"}'), *effects[1:]]
        return effects


class PlaysTheDead(Broken):
    """3, 7: hands over late audio of an interrupted response."""

    _dead = 0
    _responses: frozenset[str] = frozenset()
    _known: frozenset[str] = frozenset()

    def receive(self, connection: int, payload: bytes, *, now: float) -> list[Effect]:
        effects = super().receive(connection, payload, now=now)
        flush = next((effect for effect in effects if isinstance(effect, Flush)), None)
        if flush is not None:
            self._dead, self._responses = flush.generation, self._known
        if b'audio.delta"' in payload[:60]:
            content = msgspec.json.decode(payload)
            self._known |= {content["response_id"]}
            if content["response_id"] in self._responses:
                pcm = base64.b64decode(content["delta"])
                effects = [Play(pcm[: len(pcm) // 2 * 2], self.output_format, self._dead + 1), *effects]
        return effects


class TooMuch(Broken):
    """4: rounds up."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [self.more(effect) if is_send(effect, "conversation.item.truncate") else effect for effect in effects]

    def more(self, effect: Effect) -> Effect:
        content = event(effect)
        return Send(1, msgspec.json.encode({**content, "audio_end_ms": content["audio_end_ms"] + 1}))


class NotAnInteger(TooMuch):
    """4: tells the server a fraction (F011)."""

    def more(self, effect: Effect) -> Effect:
        content = event(effect)
        return Send(1, msgspec.json.encode({**content, "audio_end_ms": content["audio_end_ms"] - 0.5}))


class TooLittle(TooMuch):
    """5: leaves out a millisecond that was heard."""

    def more(self, effect: Effect) -> Effect:
        content = event(effect)
        return Send(1, msgspec.json.encode({**content, "audio_end_ms": max(1, content["audio_end_ms"] - 1)}))


class NoTruncates(Broken):
    """5: never tells what was heard."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [effect for effect in effects if not is_send(effect, "conversation.item.truncate")]


class TruncatesTheHeard(Broken):
    """5: edits messages that were heard in full."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        full = [e for e in effects if isinstance(e, MessageEnded) and e.verdict is Verdict.FULL]
        extra = [self.cut(ended) for ended in full]
        at = next((i for i, effect in enumerate(effects) if isinstance(effect, Notice)), len(effects))
        return [*effects[:at], *extra, *effects[at:]]

    def cut(self, ended: MessageEnded) -> Effect:
        body = {"item_id": ended.item_id, "content_index": 0, "audio_end_ms": ended.heard_ms}
        return Send(1, msgspec.json.encode({"type": "conversation.item.truncate", "event_id": "x", **body}))


class ForgetsMessages(Broken):
    """6: some messages never end."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [e for e in effects if not (isinstance(e, MessageEnded) and e.verdict is Verdict.SKIPPED)]


class EverythingWasHeard(Broken):
    """6: calls partial what was partial, but full what was skipped."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [self.praise(e) if isinstance(e, MessageEnded) and e.verdict is Verdict.SKIPPED else e for e in effects]

    def praise(self, ended: MessageEnded) -> Effect:
        return msgspec.structs.replace(ended, verdict=Verdict.FULL)


class NewsBeforeSilence(Broken):
    """7: tells the program first."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return effects[::-1] if any(isinstance(effect, Flush) for effect in effects) else effects


class LosesSound(Broken):
    """8: loses one piece of audio in fifty."""

    _count = 0

    def change(self, effects: list[Effect]) -> list[Effect]:
        changed: list[Effect] = []
        for effect in effects:
            self._count += isinstance(effect, Play)
            if not (isinstance(effect, Play) and self._count % 20 == 10):
                changed.append(effect)
        return changed


class Miscounts(Broken):
    """8: its counts do not add up."""

    @property
    def segments(self) -> tuple[SegmentView, ...]:
        return tuple(msgspec.structs.replace(view, discarded=view.discarded + 1) for view in super().segments)


class AsksForWhatIsNot(Broken):
    """9: sends what the server refuses."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        if any(is_send(effect, "conversation.item.truncate") for effect in effects):
            return [Send(1, b'{"type":"input_audio_buffer.commit","event_id":"x"}'), *effects]
        return effects


class AnswersCallsTwice(Broken):
    """10: sends each output twice."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        changed: list[Effect] = []
        for effect in effects:
            changed.append(effect)
            if is_send(effect, "conversation.item.create", "function_call_output"):
                content = event(effect)
                content["item"]["id"] += "x"
                changed.append(Send(1, msgspec.json.encode(content)))
        return changed


class NeverAnswersCalls(Broken):
    """10: keeps outputs to itself."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [effect for effect in effects if not is_send(effect, "conversation.item.create", "function_call_output")]


class WaitsWithoutADeadline(Broken):
    """12: waits, and does not say until when."""

    @property
    def deadline(self) -> Deadline | None:
        return None


class TellsTheHistoryBackwards(Broken):
    """11: its history is in no order that the server gave (C25)."""

    @property
    def history(self) -> tuple[HistoryItem, ...]:
        return super().history[::-1]


class KnowsOnlyAtTheEnd(Broken):
    """11: of a message that sounds its history does not say how much was heard."""

    @property
    def history(self) -> tuple[HistoryItem, ...]:
        return tuple(item if item.verdict else msgspec.structs.replace(item, heard_ms=0) for item in super().history)


class ForgetsWhenItSounded(Broken):
    """11: its history does not say when a message sounded as its end did."""

    @property
    def history(self) -> tuple[HistoryItem, ...]:
        return tuple(msgspec.structs.replace(item, started_at=None) for item in super().history)


class StopsInGaps(Broken):
    """6: takes each moment without sound for the end of the model's speech."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        for effect in effects:
            if isinstance(effect, SpeakingStarted):
                return [*effects, SpeakingStopped(effect.at), effect]
        return effects


class EndsTooLate(Broken):
    """6: a message stops, on the record, some time after its last sample."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [
            msgspec.structs.replace(effect, stopped_at=effect.stopped_at + 0.25) if isinstance(effect, MessageEnded) else effect
            for effect in effects
        ]


class EndsTooSoon(Broken):
    """6: a message stops, on the record, before its last sample."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [
            msgspec.structs.replace(effect, stopped_at=effect.stopped_at - 0.25) if isinstance(effect, MessageEnded) else effect
            for effect in effects
        ]


class NeverAsks(Broken):
    """15: function results are sent, and the answer to them is not asked for."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [effect for effect in effects if not is_send(effect, "response.create")]


class GoesDeaf(Broken):
    """15: after its first answer it hears nothing of the server any more."""

    _answers = 0

    def receive(self, connection: int, payload: bytes, *, now: float) -> list[Effect]:
        if self._answers:
            return []
        self._answers += payload.startswith(b'{"type":"response.done"')
        return super().receive(connection, payload, now=now)


BROKEN: list[tuple[int, type[Session]]] = [
    (1, TwoResponsesAtOnce),
    (2, RequestsNeverSettle),
    (2, RequestsSettleTwice),
    (3, CancelsAnything),
    (3, PlaysTheDead),
    (4, TooMuch),
    (4, NotAnInteger),
    (5, TooLittle),
    (5, NoTruncates),
    (5, TruncatesTheHeard),
    (6, ForgetsMessages),
    (6, EverythingWasHeard),
    (6, StopsInGaps),
    (6, EndsTooLate),
    (6, EndsTooSoon),
    (7, NewsBeforeSilence),
    (8, LosesSound),
    (8, Miscounts),
    (9, AsksForWhatIsNot),
    (10, AnswersCallsTwice),
    (10, NeverAnswersCalls),
    (11, TellsTheHistoryBackwards),
    (11, KnowsOnlyAtTheEnd),
    (11, ForgetsWhenItSounded),
    (12, WaitsWithoutADeadline),
    (15, NeverAsks),
    (15, GoesDeaf),
]


def run(factory: Callable[..., Session], seeds: range = range(3)) -> list[WorldResult]:
    return [World(seed, VOICES, scenario=SCENARIO, session_factory=factory).run() for seed in seeds]


@pytest.mark.parametrize(("invariant", "broken"), BROKEN, ids=lambda each: each.__name__ if isinstance(each, type) else str(each))
def test_a_broken_session_is_caught_by_the_invariant_it_breaks(invariant: int, broken: type[Session]) -> None:
    found = ({violation.invariant for violation in run(broken, range(seed, seed + 1))[0].violations} for seed in range(12))
    assert any(invariant in broken_ones for broken_ones in found)


def test_a_session_that_breaks_nothing_is_left_alone() -> None:
    for world in run(Broken, range(6)):
        assert world.violations == () and world.interruptions == SCENARIO.interruptions
        assert world.cuts_checked == world.cuts and world.turns_unanswered == 0


def test_a_message_that_had_just_sounded_may_be_cut_by_estimate() -> None:  # B29, F019
    # A fast crystal, a flush in the instant of the last sample, no answer: the core reckons a millisecond or two too few.
    scenario = Scenario(
        interruptions=12,
        kinds=(("at the end of an item", 1),),
        server=ServerOptions(audio_ms=(300, 1500)),
        speaker=SpeakerOptions(buffer_ms=200, report_ms=400, stop_ms=(0, 0), missing_per_mille=1000, drift_ppm=500),
    )
    worlds = [World(seed, VOICES, scenario=scenario).run() for seed in range(4)]
    assert [world.violations for world in worlds] == [()] * 4
    assert any(min(kind.estimated_error_ms, default=0) < 0 for world in worlds for kind in world.kinds)


@pytest.mark.parametrize("name", SABOTAGED)
def test_each_sabotaged_core_is_caught(name: str) -> None:  # C03, F024, B03
    worlds = run(SABOTAGED[name])
    assert any(world.violations for world in worlds)


# -- the matcher: whose samples are these? -------------------------------------------------------------------------------------


class Sent:
    def __init__(self, pcm: bytes) -> None:
        self.source, self.start, self.sent_bytes = pcm, 0, len(pcm)


def segment(name: str, pcm: bytes, order: int) -> Segment:
    return Segment("r", name, 0, (0, order), Sent(pcm), received=len(pcm), complete=True)


A, B = bytes(range(1, 201)) * 4, bytes(range(201, 0, -1)) * 4


def matched(*sounds: tuple[int, bytes]) -> tuple[Matcher, Segment, Segment]:
    matcher = Matcher(2)
    a, b = segment("a", A, 0), segment("b", B, 1)
    matcher.add(a)
    matcher.add(b)
    index: dict[int, int] = {}
    for number, (generation, pcm) in enumerate(sounds):
        at = number * 1_000_000
        matcher.consume(Span(at, at + 1_000_000, generation, index.get(generation, 0), memoryview(pcm)))
        index[generation] = index.get(generation, 0) + len(pcm) // 2
    return matcher, a, b


def test_sound_that_follows_the_order_is_attributed_to_the_sample() -> None:
    matcher, a, b = matched((1, A[:150]), (1, A[150:] + B[:6]), (1, B[6:100]))
    assert (a.heard, b.heard, matcher.mismatches) == (len(A), 100, [])


def test_a_new_generation_goes_on_where_a_pause_cut() -> None:
    matcher, a, b = matched((1, A[:150]), (2, A[150:]), (2, B))
    assert (a.heard, b.heard, matcher.mismatches) == (len(A), len(B), [])


def test_an_item_left_without_a_cut_breaks_invariant_8() -> None:
    matcher, a, b = matched((1, A[:150]), (1, B))
    assert (a.heard, b.heard) == (150, len(B))
    assert [mismatch.invariant for mismatch in matcher.mismatches] == [8]


def test_a_tail_that_was_held_back_through_a_stall_hides_no_stall() -> None:  # B11, F078: the device sounds whole blocks
    matcher, a, b = Matcher(2), segment("a", A, 0), segment("b", B, 1)
    a.received, a.complete = 200, False
    matcher.add(a)
    matcher.add(b)
    matcher.consume(Span(0, 1_000_000, 1, 0, memoryview(A[:180])))
    matcher.consume(Span(3_000_000_000, 3_001_000_000, 1, 90, memoryview(A[180:200] + B[:100])))
    assert (a.heard, b.heard, matcher.mismatches) == (200, 100, [])


def test_a_lost_sample_breaks_invariant_8() -> None:
    matcher, _, _ = matched((1, A[:150] + A[152:]))
    assert matcher.mismatches and matcher.mismatches[0].invariant == 8


def test_the_same_item_twice_breaks_invariant_8() -> None:
    matcher, _, _ = matched((1, A), (1, A))
    assert {mismatch.invariant for mismatch in matcher.mismatches} == {8}


def test_a_dead_item_that_sounds_breaks_invariant_3() -> None:  # B10
    matcher = Matcher(2)
    a = segment("a", A, 0)
    matcher.add(a)
    matcher.consume(Span(0, 1, 1, 0, memoryview(A[:100])))
    a.dead_from = Place(2, 0)
    matcher.consume(Span(1, 2, 2, 0, memoryview(A[100:200])))
    assert [mismatch.invariant for mismatch in matcher.mismatches] == [3]


def test_many_items_that_are_cut_at_once_sound_on_until_the_device_is_silent() -> None:  # DESIGN 3: Flush(g)
    matcher = Matcher(2)
    items = [segment(str(number), bytes([number + 1, 1, number + 1, 2]) * 50, number) for number in range(14)]
    for item in items:
        matcher.add(item)
        item.dead_from = Place(2, 0)
    for number, item in enumerate(items[:3]):
        matcher.consume(Span(number, number + 1, 1, 100 * number, memoryview(item.sent.source)))
    matcher.consume(Span(3, 4, 2, 0, memoryview(items[3].sent.source)))
    assert [item.heard for item in items[:3]] == [200] * 3
    assert [mismatch.invariant for mismatch in matcher.mismatches] == [3]


def test_the_first_samples_alone_do_not_decide() -> None:
    """Two items may begin alike; what follows tells."""
    matcher = Matcher(2)
    alike = A[:20]
    a, b = segment("a", alike + A[20:], 0), segment("b", alike + B[20:], 1)
    matcher.add(a)
    matcher.add(b)
    a.dismissed = True
    matcher.consume(Span(0, 1, 1, 0, memoryview(alike)))
    matcher.consume(Span(1, 2, 1, 10, memoryview(B[20:200])))
    assert (a.heard, b.heard, matcher.mismatches) == (0, 200, [])


def test_an_item_of_which_a_few_samples_were_heard_may_be_followed_by_another() -> None:
    matcher = Matcher(2)
    a, b = segment("a", A, 0), segment("b", B, 1)
    matcher.add(a)
    matcher.add(b)
    matcher.consume(Span(0, 1, 1, 0, memoryview(A[:32])))
    a.dead_from = Place(1, 16)
    matcher.consume(Span(1, 2, 1, 16, memoryview(B[:200])))
    assert (a.heard, b.heard, matcher.mismatches) == (32, 200, [])
