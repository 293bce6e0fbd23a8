"""A line that stands still for longer than the core waits: what was given up, and comes after all, is dealt with all the same."""

import pytest
from helpers.scene import Scene, acts, cancel, delete, ended, event_id, kinds, sent, sounded, talking, told, truncate, verdicts
from helpers.wire import (
    Script,
    audio,
    call,
    cancel_not_active,
    cancelled,
    closing,
    created,
    deleted,
    done,
    item_added,
    item_done,
    message,
    opened,
    part_added,
    text_delta,
    transcript,
    truncated,
)

from rtcore import ResponseEnded, ToolCalled


def cut_and_silent() -> Scene:
    """Message m1 of r1 was heard for a second and cut by the program; then nothing came for longer than the core waits."""
    scene = talking(opened("m1"), audio("m1", 3000), heard_ms=1000, at=1.0)
    assert acts(scene.answering(scene.interrupt(), 1000))[1:3] == [cancel("r1"), truncate("m1", 1000)]
    scene.server(truncated("m1", 1000))
    scene.at(11.1).tick()
    assert [each.status for each in told(scene.log, ResponseEnded)] == ["cancelled"]
    return scene


def test_the_slot_is_free_after_ten_seconds_of_silence() -> None:  # F022
    scene = cut_and_silent()
    before = scene.respond()
    behind = scene.server(truncated("m1", 1000))  # told once more, as the server may have spoken on
    assert "response.create" not in kinds(before) and "response.create" in kinds(behind)


@pytest.mark.parametrize("end", [[], done(), done(status="cancelled")], ids=["no end", "completed", "cancelled"])
def test_what_comes_of_a_cut_response_after_its_end_was_presumed_is_deleted(end: Script) -> None:  # B10, C10, DESIGN 6: 5, 6
    scene = cut_and_silent()
    late = scene.at(12.0).server(closing("m1"), message("m2", 500, "you", index=1, previous="m1"), end)
    assert sounded(late) == b""
    assert verdicts(scene.log) == [ended("m1", "partial", 1000), ended("m2", "skipped", 0)]
    assert [event for event in sent(late) if event["type"] == "conversation.item.delete"] == [delete("m2")]
    assert len(told(scene.log, ResponseEnded)) == 1


def test_sound_behind_a_text_in_a_message_that_comes_so_late_is_not_left_to_the_model() -> None:  # B12, C23, DESIGN 6: 5
    scene = cut_and_silent()
    text = part_added("m2", index=1, kind="text") + text_delta("m2", "Sure.", index=1)
    sound = part_added("m2", index=1, part=1) + audio("m2", 500, index=1, part=1)
    late = scene.at(12.0).server(item_added("m2", index=1, previous="m1"), text, sound, item_done("m2", index=1), done())
    assert sounded(late) == b"" and verdicts(late) == [ended("m2", "skipped", 0)]
    assert sent(late) == [delete("m2")]


def test_a_call_that_shows_itself_behind_the_silence_goes_like_any_of_a_cut_response() -> None:  # C26, DESIGN 4
    scene = cut_and_silent()
    late = scene.at(12.0).server(call("c1", index=1), done())
    assert (sent(late), told(late, ToolCalled)) == ([delete("f_c1")], [])


def test_audio_behind_the_silence_has_the_truncate_sent_once_more() -> None:  # C10
    scene = cut_and_silent()
    late = scene.at(12.0).server(audio("m1", 500, start_ms=3000), closing("m1"), done())
    assert (sounded(late), sent(late)) == (b"", [truncate("m1", 1000)])
    assert verdicts(scene.log) == [ended("m1", "partial", 1000)]


def test_the_next_answer_is_not_touched_by_it() -> None:  # DESIGN 6: 3
    scene = cut_and_silent()
    scene.respond()
    now = scene.at(12.0).server(created("r2", request=1), opened("n1", r="r2"), audio("n1", 400, r="r2"))
    late = scene.server(closing("m1"), opened("m2", index=1, previous="m1"), part_added("m2", index=1), done())
    assert sounded(now) != b"" and sounded(late) == b""
    assert scene.session.speaking or scene.session.segments


def test_no_more_than_a_few_silent_responses_are_kept() -> None:  # DESIGN 6: 13
    scene = cut_and_silent()
    for number in range(2, 40):
        scene.server(created(f"r{number}"), opened(f"m{number}", r=f"r{number}"), audio(f"m{number}", 100, r=f"r{number}"))
        scene.interrupt()
        scene.tick()
        scene.server(deleted(f"m{number}"))
        scene.at(scene.now + 11).tick()
    late = scene.server(message("late", 200, r="r2", index=1), message("known", 200, r="r39", index=1))
    assert [each["item_id"] for each in sent(late)] == ["known"]


def test_a_response_whose_sound_still_comes_runs_however_long_ago_it_was_cut() -> None:  # F022, B10
    scene = talking(opened("m1"), audio("m1", 2000), heard_ms=500, at=0.5)
    scene.barge_in(500)
    scene.server(truncated("m1", 500))
    scene.at(8.0).server(audio("m1", 300))
    early = scene.at(10.6).tick()
    late = scene.at(18.1).tick()
    assert (told(early, ResponseEnded), [e.status for e in told(late, ResponseEnded)]) == ([], ["cancelled"])


def test_text_that_comes_behind_a_presumed_end_is_part_of_the_full_text() -> None:  # F022, C24
    scene = talking(opened("m1"), transcript("m1", "one two "), audio("m1", 2000), heard_ms=500, at=0.5)
    scene.barge_in(500)
    scene.at(10.6).tick()
    scene.server(transcript("m1", "three"), cancelled())
    assert [item.full_text for item in scene.session.history if item.id == "m1"] == ["one two three"]


def test_a_refused_cancel_ends_the_wait_for_what_still_comes() -> None:  # C14, F022: what was kept for it is forgotten
    scene = talking(opened("m1"), audio("m1", 2000), heard_ms=500, at=0.5)
    scene.answering(scene.interrupt(), 500)
    asked = event_id(scene.log, "response.cancel")
    scene.server(truncated("m1", 500))
    scene.at(10.6).tick()
    kept = len(scene.session.segments)
    assert (scene.server(cancel_not_active(asked)), kept, len(scene.session.segments)) == ([], 1, 0)


def test_the_refusal_that_one_leaves_behind_ends_no_other_one_s_wait() -> None:  # C14, F022, C24
    scene = talking(opened("m1"), transcript("m1", "one "), audio("m1", 2000), heard_ms=500, at=0.5)
    scene.server(created("r2"), opened("n1", r="r2"))
    scene.answering(scene.interrupt(), 500)
    scene.at(11.1).tick()
    scene.server(done("r2"), cancel_not_active(), transcript("m1", "two"), cancelled("r1"))
    assert [item.full_text for item in scene.session.history if item.id == "m1"] == ["one two"]


@pytest.mark.parametrize("ended", ["before", "behind"])
def test_the_refusal_of_a_cancel_that_was_given_up_is_no_other_one_s(ended: str) -> None:  # C14: it was sent first
    scene = talking(opened("m1"), audio("m1", 2000), heard_ms=500, at=0.5)
    scene.answering(scene.interrupt(), 500)
    scene.server(truncated("m1", 500), *([done("r1")] if ended == "before" else []))
    scene.at(11.1).tick()
    scene.server(*([done("r1")] if ended == "behind" else []), created("r2"), opened("m2", r="r2"), audio("m2", 2000, r="r2"))
    scene.interrupt()
    told_of = [each.response_id for each in told(scene.server(cancel_not_active()), ResponseEnded)]
    assert (told_of, len(told(scene.server(cancel_not_active()), ResponseEnded))) == ([], 1)


@pytest.mark.parametrize("waits_s", [1.0, 11.0])
def test_nor_does_the_refusal_of_one_that_still_waits(waits_s: float) -> None:  # C14: the next one is that of a later cancel
    scene = talking(opened("m1"), audio("m1", 2000), heard_ms=500, at=0.5)
    scene.answering(scene.interrupt(), 500)
    scene.server(truncated("m1", 500), done("r1"))
    scene.respond()
    scene.server(created("r2", request=scene.request), opened("m2", r="r2"), audio("m2", 20_000, r="r2"), closing("m2", r="r2"))
    scene.at(waits_s).tick()
    scene.interrupt()
    assert [each.response_id for each in told(scene.server(cancel_not_active()), ResponseEnded)] == ["r2"]


def test_what_is_answered_since_shows_that_no_refusal_of_an_earlier_cancel_comes() -> None:  # C14: on one line nothing overtakes
    scene = talking(opened("m1"), audio("m1", 2000), heard_ms=500, at=0.5)
    scene.answering(scene.interrupt(), 500)
    scene.server(truncated("m1", 500), done("r1"))
    scene.at(11.1).tick()
    scene.respond()
    scene.server(created("r2", request=scene.request), opened("m2", r="r2"), audio("m2", 2000, r="r2"), closing("m2", r="r2"))
    scene.interrupt()
    assert [each.response_id for each in told(scene.server(cancel_not_active()), ResponseEnded)] == ["r2"]


def test_a_refusal_that_names_nothing_is_of_the_response_that_was_whole() -> (
    None
):  # C14, F022: no end that is still to come is lost
    scene = talking(opened("m1"), transcript("m1", "one "), audio("m1", 2000), heard_ms=500, at=0.5)
    scene.server(created("r2"), message("n1", 1000, r="r2"))  # its response.done is missing
    scene.answering(scene.interrupt(), 500)
    scene.server(cancel_not_active())
    assert [each.response_id for each in told(scene.log, ResponseEnded)] == ["r2"]
    scene.server(cancelled("r1", by="client_cancelled"))
    assert [each.response_id for each in told(scene.log, ResponseEnded)] == ["r2", "r1"]


@pytest.mark.parametrize("how", ["refused", "nothing came", "refused late"])
def test_what_a_response_used_counts_though_its_end_had_been_presumed(how: str) -> None:  # C14, F022
    scene = cut_and_silent() if how != "refused" else talking(opened("m1"), audio("m1", 100))
    if how == "refused":
        scene.answering(scene.interrupt(), 0)
        scene.server(deleted("m1"))
    if how != "nothing came":
        scene.server(cancel_not_active(), closing("m1"))
    tokens = {"total_tokens": 20, "input_tokens": 10, "output_tokens": 10}
    [late] = done("r1")
    for _ in range(2):
        scene.server([{**late, "response": {**late["response"], "usage": tokens}}])
    used = scene.session.usage.session
    assert (used.responses, used.input_tokens, used.output_tokens) == (1, 10, 10)
    assert len(told(scene.log, ResponseEnded)) == 1
