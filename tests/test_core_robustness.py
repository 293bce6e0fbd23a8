"""Whatever bytes come, nothing raises, one notice says why, the session goes on, and the same bytes give the same effects."""

import base64
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import accumulate, pairwise
from typing import Any

import pytest
from helpers.scene import Scene, configured, ended, kinds, outcomes, ready, sent, sounded, spoken, talking, told, verdicts
from helpers.wire import (
    CLIENT_VAD,
    SERVER_VAD,
    Event,
    Script,
    active_response,
    announce,
    audio,
    call,
    cancel_not_active,
    cancelled,
    closing,
    committed,
    created,
    deleted,
    done,
    encode,
    item_added,
    message,
    opened,
    part_added,
    pcm,
    session_updated,
    speech_started,
    transcript,
    truncated,
    turn,
    user_item,
    user_transcript,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore import Clock, Effect, Flush, LocalProtocolError, Play, ProtocolWarning, Send, ServerError, UnknownEvent
from rtcore.config import Playout


def _but(script: Script, **changes: Any) -> bytes:
    """The first event of ``script`` with fields replaced; a field set to ``...`` is missing."""
    event = {**script[0], **changes}
    return encode({k: v for k, v in event.items() if v is not ...})


BAD_MESSAGES: dict[str, bytes] = {
    "nothing": b"",
    "not JSON": b"hello",
    "half of JSON": b'{"type": "response.done", "resp',
    "not UTF-8": b'\xff\xfe{"type": "error"}',
    "a list": b"[]",
    "a number": b"42",
    "null": b"null",
    "no type": b"{}",
    "a type that is a number": b'{"type": 7}',
    "a type that is null": b'{"type": null}',
    "nested a thousand times": b"[" * 1000 + b"]" * 1000,
    "delta without data": _but(audio("m1", 10), delta=...),
    "delta without item": _but(audio("m1", 10), item_id=...),
    "delta without response": _but(audio("m1", 10), response_id=...),
    "delta that is a number": _but(audio("m1", 10), delta=5),
    "delta that is null": _but(audio("m1", 10), delta=None),
    "delta that is not base64": _but(audio("m1", 10), delta="%%%"),
    "delta with broken padding": _but(audio("m1", 10), delta="AAA"),
    "item that is a number": _but(audio("m1", 10), item_id=5),
    "content index that is a text": _but(audio("m1", 10), content_index="zero"),
    "response without id": encode({"type": "response.created", "response": {}}),
    "response that is a text": encode({"type": "response.created", "response": "r1"}),
    "done without response": encode({"type": "response.done"}),
    "announcement without item": encode({"type": "conversation.item.added", "previous_item_id": None}),
    "announcement of a list": encode({"type": "conversation.item.added", "item": []}),
    "error without error": encode({"type": "error"}),
    "speech with a number for an item": encode({"type": "input_audio_buffer.speech_started", "item_id": 5}),
    "transcript that is a number": _but(transcript("m1", "x"), delta=5),
}


@pytest.mark.parametrize("payload", BAD_MESSAGES.values(), ids=BAD_MESSAGES.keys())
def test_a_message_that_cannot_be_used_is_one_warning_with_a_reason(payload: bytes) -> None:  # B27, C29, DESIGN 2
    scene = talking(opened("m1"))
    [notice] = scene.raw(payload)
    assert isinstance(notice, ProtocolWarning)
    assert notice.reason != ""


@pytest.mark.parametrize("payload", BAD_MESSAGES.values(), ids=BAD_MESSAGES.keys())
def test_the_session_goes_on_after_a_message_that_cannot_be_used(payload: bytes) -> None:  # B27, C29
    scene = talking(opened("m1"), audio("m1", 10))
    scene.raw(payload)
    scene.server(audio("m1", 10, start_ms=10))
    assert (sounded(scene.log), scene.session.state) == (pcm("m1", 20), "ready")


def test_an_event_of_an_unknown_type_is_told_whole() -> None:  # B27, C29, facts 17.12
    payload = b'{"type": "response.hologram.delta", "x": [1, 2]}'
    assert ready().raw(payload) == [UnknownEvent("response.hologram.delta", payload)]


def test_unknown_fields_are_tolerated() -> None:  # facts 17.12
    scene = talking(opened("m1"))
    assert (sounded(scene.raw(_but(audio("m1", 10), obfuscation="xyz", phase={"a": 1}))), told(scene.log, ProtocolWarning)) == (
        pcm("m1", 10),
        [],
    )


def test_half_a_sample_that_stays_half_is_one_warning() -> None:  # B27, DESIGN 2: an odd byte
    scene = talking(opened("m1"))
    effects = scene.server(audio("m1", raw=pcm("m1", 10) + b"\x01"), closing("m1"), done("r1"))
    assert (len(told(effects, ProtocolWarning)), sounded(effects)) == (1, pcm("m1", 10))


@pytest.mark.parametrize(
    "script",
    [audio("m1", 0), [{**user_item("u1")[0], "previous_item_id": None}], [{**created("r9")[0], "event_id": None}]],
    ids=["empty delta", "no predecessor", "no event id"],
)
def test_what_is_odd_but_legal_does_no_harm(script: Script) -> None:  # B27
    scene = talking(opened("m1"))
    effects = scene.server(script)
    assert (len(told(effects, ProtocolWarning)) <= 1, sounded(effects), scene.session.state) == (True, b"", "ready")


def test_a_delta_of_sixteen_mebibytes_is_played() -> None:  # C29
    data = bytes(12 << 20)
    scene = talking(opened("m1"))
    assert len(sounded(scene.server(audio("m1", raw=data)))) == len(data)


def test_sixteen_mebibytes_of_rubbish_are_one_warning() -> None:  # C29
    [notice] = ready().raw(b"x" * (16 << 20))
    assert isinstance(notice, ProtocolWarning)
    assert len(notice.detail) < 2000


@pytest.mark.parametrize("details", ["unimplemented", 5, [], {"type": 5}, {"error": "x"}])
def test_status_details_may_be_anything(details: object) -> None:  # facts 17.13
    scene = talking(message("m1", 100))
    [event] = done("r1", "failed")
    event["response"]["status_details"] = details
    scene.server([event])
    assert (verdicts(scene.at(0.1).played(1, 100)), scene.session.state) == ([ended("m1", "full", 100)], "ready")


def test_an_error_with_odd_fields_is_still_an_error() -> None:  # C29, F071
    scene = ready()
    effects = scene.raw(b'{"type": "error", "error": {"message": null, "code": null, "event_id": null}}')
    assert (len(told(effects, ServerError)) + len(told(effects, ProtocolWarning)), scene.session.state) == (1, "ready")


def test_what_could_not_be_used_is_counted() -> None:  # contract: Counters
    scene = ready()
    scene.raw(b"{}")
    scene.raw(b"hello")
    scene.raw(b'{"type": "new.thing"}')
    assert (scene.session.counters.warnings, scene.session.counters.unknown_events) == (2, 1)


@pytest.mark.parametrize("state", ["new", "connecting", "configuring"])
def test_a_message_at_the_wrong_time_does_no_harm(state: str) -> None:  # DESIGN 2: no bytes whatever make it raise
    scene = Scene()
    if state != "new":
        scene.open()
    if state == "configuring":
        scene.connected()
    scene.server(created("r1"), message("m1", 100), done("r1"), speech_started(), truncated("m1", 5), deleted("m1"))
    for payload in BAD_MESSAGES.values():
        scene.raw(payload)
    assert scene.session.state == state


# -- any order, any loss -----------------------------------------------------------------------------------------------


STORY: Script = (
    created("r1")
    + message("m1", 100, "One.")
    + message("m2", 100, "Two.", index=1, previous="m1")
    + call("c1", index=2, previous="m2")
    + speech_started("u1")
    + cancelled("r1")
    + truncated("m1", 50)
    + deleted("m2")
    + turn("u1", previous="m1")
    + created("r2")
    + item_added("m3", r="r2", previous="u1")
    + part_added("m3", r="r2")
    + audio("m3", 100, r="r2")
    + closing("m3", r="r2")
    + user_transcript("u1", "Wait.")
    + done("r2")
    + committed("u2")
    + announce("late")
    + session_updated()
)

Step = tuple[str, int]
COMMANDS: dict[str, Callable[[Scene], list[Effect]]] = {
    "tick": Scene.tick,
    "interrupt": Scene.interrupt,
    "respond": Scene.respond,
    "respond out of band": lambda scene: scene.respond({"conversation": "none"}, audible=True),
    "say": Scene.say,
    "say aside": lambda scene: scene.say("aside", interrupt=False, respond=False),
    "pause": Scene.pause,
    "resume": Scene.resume,
    "append": lambda scene: scene.append(pcm("mic", 50)),
    "commit": Scene.commit,
    "clear": Scene.clear,
    "tool result": lambda scene: scene.tool_result("c1", {"a": 1}),
    "delete": lambda scene: scene.delete_item("m1"),
    "update": lambda scene: scene.update({"instructions": "x"}),
    "local speech": Scene.local_speech,
    "refused": lambda scene: scene.server(active_response()),
    "late cancel": lambda scene: scene.server(cancel_not_active()),
    "device lost": lambda scene: scene.device("lost"),
    "device ready": lambda scene: scene.device("ready"),
    "echo": lambda scene: scene.server(created("r3", request=scene.request)),
}
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("event"), st.integers(0, len(STORY) - 1)),
        st.tuples(st.just("next"), st.integers(1, 8)),
        st.tuples(st.just("played"), st.integers(0, 12_000)),
        st.tuples(st.just("answer"), st.integers(0, 12_000)),
        st.tuples(st.just("wait"), st.integers(1, 3000)),
        st.tuples(st.just("underrun"), st.just(0)),
        st.tuples(st.sampled_from(sorted(COMMANDS)), st.just(0)),
    ),
    min_size=10,
    max_size=80,
)


def _told(steps: list[Step]) -> list[tuple[Step, Script]]:
    """Steps with their server events: "next" goes on with the story, "event" is any of it at any time."""
    result, place = list[tuple[Step, Script]](), 0
    for name, n in steps:
        script = STORY[place : place + n] if name == "next" else [STORY[n]] if name == "event" else []
        place += len(script) if name == "next" else 0
        result.append(((name, n), script))
    return result


def _step(scene: Scene, step: Step, script: Script, flushes: list[int]) -> list[Effect]:
    name, n = step
    generation = 1 + sum(isinstance(effect, Flush) for effect in scene.log)
    match name:
        case "event" | "next":
            return scene.server(script)
        case "played":
            return scene.played_samples(generation, n)
        case "answer":
            return scene.flushed_samples(flushes.pop(0), n) if flushes else []
        case "wait":
            return scene.at(scene.now + n / 1000).tick()
        case "underrun":
            return scene.underrun(generation)
        case _:
            with suppress(LocalProtocolError):
                return COMMANDS[name](scene)
            return []


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(STEPS, st.booleans(), st.sampled_from([SERVER_VAD, CLIENT_VAD, None]), st.sampled_from([None, 60, 3_600_000]))
def test_any_order_repetition_and_loss_of_events_keeps_the_invariants(
    steps: list[Step], can_pause: bool, turn_detection: Event | None, lead_ms: int | None
) -> None:  # C29, B31; DESIGN 6 invariants 2, 4, 6, 8, 12
    config = configured(playout=Playout(lead_ms=lead_ms))
    scene = ready(config, clock=Clock(pause=can_pause), turn_detection=turn_detection)
    issued, flushes, received = {0}, list[int](), dict[str, int]()
    for step, script in _told(steps):
        for event in (event for event in script if event["type"] == "response.output_audio.delta"):
            received[event["item_id"]] = received.get(event["item_id"], 0) + len(base64.b64decode(event["delta"])) // 48
        effects = _step(scene, step, script, flushes)
        issued.add(scene.request)
        flushes += [effect.generation for effect in effects if isinstance(effect, Flush)]
        cuts = [event for event in sent(effects) if event["type"] == "conversation.item.truncate"]
        assert all(1 <= event["audio_end_ms"] <= received[event["item_id"]] for event in cuts)
        assert all(view.heard + view.discarded + view.queued == view.received for view in scene.session.segments)
        assert scene.session.deadline is None or scene.session.deadline.at >= scene.now
    played = len(sounded(scene.log)) // 48
    assert not can_pause or played <= sum(received.values())
    wakes = 0
    while (deadline := scene.session.deadline) is not None and wakes < 100:
        wakes += 1
        scene.at(max(scene.now, deadline.at)).tick()
    assert wakes < 100
    scene.close()
    assert sorted(request for request, _ in outcomes(scene.log)) == sorted(issued - {0})


def test_the_whole_story_backwards() -> None:  # C29
    scene = ready()
    scene.server(list(reversed(STORY)))
    assert scene.session.state == "ready"


@pytest.mark.parametrize("missing", range(len(STORY)), ids=lambda n: f"{n}-{STORY[n]['type']}")
def test_the_story_without_one_event_still_ends(missing: int) -> None:  # C29, S06, F022: nothing blocks the end
    scene = ready()
    scene.server(STORY[:missing] + STORY[missing + 1 :])
    for generation in (1, 2):
        scene.at(scene.now + 1).flushed(generation, 50)
        scene.played(generation, 300)
    while (deadline := scene.session.deadline) is not None:
        assert scene.now < 60
        scene.at(max(scene.now, deadline.at)).tick()
    assert (scene.session.speaking, scene.session.state) == (False, "ready")


# -- determinism -------------------------------------------------------------------------------------------------------


def _trace(seed: int = 7) -> list[Effect]:
    """One conversation with commands, cuts, tools and a time-out."""
    scene = ready(configured(), seed=seed)
    scene.append(pcm("mic", 100))
    scene.respond({"instructions": "Tell me."})
    scene.server(created("r1", request=scene.request), message("m1", 500, "One."), call("c1", index=1), transcript("m9", "x"))
    scene.at(0.2).played(1, 200)
    scene.at(0.25).server(speech_started("u1"))
    scene.at(0.3).flushed(1, 240)
    scene.server(cancelled("r1"))
    scene.tool_result("c1", {"a": 1})
    scene.say("And?")
    scene.at(9.0).tick()
    scene.at(12.0).close()
    return scene.log


def test_the_same_inputs_give_the_same_effects_byte_for_byte() -> None:  # C30, B31, DESIGN 2
    assert _trace() == _trace()


def test_another_seed_gives_other_ids_and_nothing_else() -> None:  # DESIGN 2: ids come from a seeded counter
    def bare(effects: list[Effect]) -> list[list[str]]:
        return [kinds(effects), [type(effect).__name__ for effect in effects]]

    assert (bare(_trace(1)) == bare(_trace(2)), _trace(1) == _trace(2)) == (True, False)


def test_client_event_ids_are_unique() -> None:  # C30
    ids = [json.loads(e.payload).get("event_id") for e in _trace() if isinstance(e, Send) and e.lane != "audio"]
    assert (None in ids, len(set(ids))) == (False, len(ids))


def test_how_audio_is_cut_into_deltas_does_not_change_what_is_played() -> None:  # B31: one copy at most, nothing lost
    sizes = [1, 2, 3, 479, 480, 481, 4800, 2, 3552]
    data = pcm("m1", sum(sizes) // 48 + 1)[: sum(sizes) - sum(sizes) % 2]
    cuts = [0, *accumulate(sizes)]
    scene = talking(opened("m1"))
    scene.server(*(audio("m1", raw=data[a:b]) for a, b in pairwise(cuts) if data[a:b]))
    assert sounded(scene.log) == data


def test_eight_hours_leave_a_small_session() -> None:  # DESIGN 6 invariant 13, F157, C10
    scene = ready()
    for n in range(200):
        scene.append(bytes(48_000))
        scene.at(n * 10.0).server(created(f"r{n}"), opened(f"m{n}", r=f"r{n}"), audio(f"m{n}", 200, r=f"r{n}"))
        scene.barge_in(0, f"u{n}")
        scene.server(audio(f"m{n}", 200, r=f"r{n}"), cancelled(f"r{n}"), deleted(f"m{n}"), turn(f"u{n}"))
    scene.at(scene.now + 60).tick()
    assert (scene.session.segments, scene.session.deadline) == ((), None)


def test_a_played_buffer_is_not_copied_again() -> None:  # B31, DESIGN 2: O(1) work per delta
    scene = talking(opened("m1"))
    effects = [effect for n in range(100) for effect in scene.server(audio("m1", 20, start_ms=n * 20))]
    event: Event = audio("m1", 20)[0]
    assert ([type(effect) for effect in effects], len(event["delta"])) == ([Play] * 100, 1280)


def test_a_finished_conversation_is_quiet() -> None:  # B31, DESIGN 6 invariant 15
    scene = spoken(message("m1", 100), heard_ms=100, at=0.1)
    assert [effect for second in range(1, 60) for effect in scene.at(float(second)).tick()] == []


def _calls(step: Callable[[], object]) -> int:
    """How many functions are called: work that no clock has to measure."""
    count = 0

    def called(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        step()
    finally:
        sys.setprofile(before)
    return count


def _spent(turns: int) -> tuple[int, int, int]:
    """What one audio delta, one transcript delta and one report cost after so many turns, in function calls."""
    scene = ready()
    for n in range(turns):
        scene.at(n * 10.0).server(turn(f"u{n}"), created(f"r{n}"), message(f"m{n}", 100, "Hello.", r=f"r{n}"), done(f"r{n}"))
        scene.at(n * 10.0 + 1).played(1, (n + 1) * 100)
    scene.at(turns * 10.0).server(created("r"), opened("m", r="r"), transcript("m", "So", r="r"), audio("m", 100, r="r"))
    scene.played(1, turns * 100 + 50)
    [sound] = audio("m", 100, r="r", start_ms=100)
    [words] = transcript("m", " it", r="r")
    receive, now = scene.session.receive, scene.now
    one = encode(sound), encode(words)
    return (
        _calls(lambda: receive(1, one[0], now=now)),
        _calls(lambda: receive(1, one[1], now=now)),
        _calls(lambda: scene.session.played(1, (turns * 100 + 60) * 24, now=now + 0.01)),
    )


def test_the_work_of_a_delta_does_not_grow_with_the_conversation() -> None:  # B31, DESIGN 6 invariant 13
    few, many = _spent(2), _spent(300)
    assert few == many
    assert max(many) < 60, "a delta is a handful of calls"
