"""A naive model of a cut beside the core: twenty lines of arithmetic over samples, and any conversation must agree with them."""

from helpers.scene import Scene, configured, delete, ended, interrupted, ready, sent, talking, told, truncate, verdicts
from helpers.wire import Event, Script, audio, cancelled, closing, created, deleted, done, opened, truncated, turn
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore import Flush, Interrupted, MessageEnded, Play
from rtcore.config import Playout

SIZES = st.lists(st.one_of(st.integers(24, 60), st.integers(24, 9600)), min_size=1, max_size=4)
ROUNDS = st.lists(st.tuples(SIZES, st.booleans(), st.integers(0, 40_000)), min_size=1, max_size=4)
LEAST = 24
"""Samples in the first whole millisecond: less than that was not heard."""
TOLERANCE = 1
"""A clock that rounds to milliseconds may lose one sample of a message; nobody hears the difference (B02)."""
Cut = tuple[list[Event], list[object], list[str], list[str]]


def _model(
    names: list[str], sizes: list[int], finished: bool, heard: int
) -> tuple[list[Event], list[object], list[str], list[str]]:
    """Edits, verdicts, partial and skipped of a cut after ``heard`` samples of messages that play one after the other."""
    edits, ends = list[Event](), list[object]()
    partial, skipped = list[str](), list[str]()
    for name, size in zip(names, sizes, strict=True):
        own = min(max(heard, 0), size)
        heard -= size
        complete = finished or name != names[-1]
        if own >= size - TOLERANCE and complete:
            ends.append(ended(name, "full", own // 24))
        elif own >= LEAST:
            partial.append(name)
            edits.append(truncate(name, own // 24))
            ends.append(ended(name, "partial", own // 24))
        else:
            skipped.append(name)
            ends.append(ended(name, "skipped", own // 24))
    return edits + [delete(name) for name in skipped], ends, partial, skipped


def _speak(r: str, names: list[str], sizes: list[int], finished: bool) -> Script:
    script = created(r)
    for index, (name, size) in enumerate(zip(names, sizes, strict=True)):
        script += opened(name, r=r, index=index) + audio(name, raw=bytes(2 * size), r=r, index=index)
        script += closing(name, r=r, index=index) if finished or name != names[-1] else []
    return script + (done(r) if finished else [])


def _acknowledge(scene: Scene, edits: list[Event]) -> None:
    for edit in edits:
        known = edit["type"] == "conversation.item.delete"
        scene.server(deleted(edit["item_id"]) if known else truncated(edit["item_id"], edit["audio_end_ms"]))


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(ROUNDS, st.sampled_from([None, 3_600_000]))
def test_every_cut_agrees_with_the_model(rounds: list[tuple[list[int], bool, int]], lead_ms: int | None) -> None:
    # B01 to B06, C01 to C08, S04, F021, F024, DESIGN 6 invariants 4 to 6
    scene = ready(configured(playout=Playout(lead_ms=lead_ms)))
    for number, (sizes, finished, limit) in enumerate(rounds):
        names = [f"m{number}_{n}" for n in range(len(sizes))]
        heard = min(limit, sum(sizes))
        generation = 1 + sum(isinstance(effect, Flush) for effect in scene.log)
        already = sum(handed for handed, at in _handed(scene) if at == generation)
        scene.server(_speak(f"r{number}", names, sizes, finished))
        scene.at(scene.now + 0.25)
        begin = len(scene.log)
        if heard:
            scene.played_samples(generation, already + heard)
        effects = scene.server([{"type": "input_audio_buffer.speech_started", "item_id": f"u{number}"}])
        if Flush(generation) in effects:
            scene.flushed_samples(generation, already + heard)
        if not finished:
            scene.server(cancelled(f"r{number}"))
        effects = scene.log[begin:]
        edits, ends, partial, skipped = _model(names, sizes, finished, heard)
        told_once = [interrupted(*partial, skipped=skipped)] if partial or skipped else []
        assert sorted(map(str, sent(effects))) == sorted(map(str, edits))
        assert verdicts(effects) == ends
        assert [interrupted(*e.partial, skipped=e.skipped) for e in told(effects, Interrupted)] == told_once
        _acknowledge(scene, edits)
        scene.server(turn(f"u{number}"))


def _handed(scene: Scene) -> list[tuple[int, int]]:
    """Samples and generation of everything handed to the clock."""
    return [(len(e.pcm) // 2, e.generation) for e in scene.log if isinstance(e, Play)]


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=40))
def test_however_the_clock_reports_a_message_ends_once_and_full(steps: list[int]) -> None:  # B02, B31, DESIGN 6 invariant 6
    scene = talking(opened("m1"), audio("m1", 1000), closing("m1"), done("r1"))
    heard = 0
    for step in steps:
        heard += step
        scene.at(scene.now + 0.02).played(1, heard)
    scene.at(scene.now + 1.0).played(1, 1000)
    assert [(e.verdict.value, e.heard_ms) for e in told(scene.log, MessageEnded)] == [("full", 1000)]
