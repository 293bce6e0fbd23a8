"""What history says: ordered by the server's announcements, filled in by id, never losing an item (DESIGN section 4)."""

import pytest
from helpers.scene import Scene, ended, ready, sent, spoken, talking, told, verdicts
from helpers.wire import (
    announce,
    audio,
    cancelled,
    closing,
    committed,
    created,
    deleted,
    done,
    error,
    message,
    opened,
    speech_started,
    text_message,
    transcript,
    truncated,
    turn,
    user_item,
    user_transcript,
    user_words,
)

from rtcore import (
    Effect,
    ItemAdded,
    ItemDeleted,
    MessageEnded,
    RateLimitsUpdated,
    TextDelta,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
    UserTranscriptDelta,
    UserTranscriptFailed,
    UserTurnCommitted,
    Verdict,
)


def ids(scene: Scene) -> list[str]:
    return [item.id for item in scene.session.history]


def test_how_much_was_heard_is_known_while_it_sounds() -> None:  # invariant 11, B04: over its messages and parts
    scene = spoken(message("m1", 1000, "aaaa bbbb"), message("m2", 1000, "cccc dddd", index=1, previous="m1"))
    shown = []
    for ms in (0, 400, 1500):
        scene.at(ms / 1000).played(1, ms)
        shown.append([(item.heard_ms, item.verdict) for item in scene.session.history])
    assert shown == [[(0, None), (0, None)], [(400, None), (0, None)], [(1000, Verdict.FULL), (500, None)]]


def test_when_it_sounded_is_known_while_it_sounds_and_as_it_was_told() -> None:  # issue 6, part 6; invariant 11
    scene = spoken(message("m1", 1000, "aaaa bbbb"), message("m2", 1000, "cccc dddd", index=1, previous="m1"))
    shown = []
    for ms in (0, 400, 1500):
        scene.at(ms / 1000).played(1, ms)
        shown.append([(item.started_at, item.stopped_at) for item in scene.session.history])
    assert shown == [[(None, None), (None, None)], [(0.0, 0.4), (None, None)], [(0.0, 1.0), (1.0, 1.5)]]
    scene.at(1.6).answering(scene.interrupt(), 1600)
    told_at = [(ending.started_at, ending.stopped_at) for ending in told(scene.log, MessageEnded)]
    assert [(item.started_at, item.stopped_at) for item in scene.session.history] == told_at == [(0.0, 1.0), (1.0, 1.6)]


def test_what_nobody_heard_stopped_when_that_was_known() -> None:  # issue 6, part 6
    scene = ready()
    scene.at(3.0).server(user_item("u1"), created("r1"), text_message("m1", "aaaa", previous="u1"), done("r1"))
    assert [(item.started_at, item.stopped_at) for item in scene.session.history] == [(None, None), (None, 3.0)]


def test_items_stand_where_the_server_announced_them() -> None:  # C25, DESIGN 4: ordered by previous_item_id
    scene = ready()
    scene.server(user_item("a"), user_item("b", previous="a"), user_item("x", previous="a"))
    assert ids(scene) == ["a", "x", "b"]


def test_an_item_of_ours_at_the_root_is_announced_without_a_predecessor_and_is_the_first() -> None:  # facts 3.4: null is first
    scene = ready()
    scene.server(user_item("a"), user_item("b", previous="a"))
    item = {"id": "zero", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "0"}]}
    scene.create_item(item, previous="root")
    scene.server(user_item("zero", previous=None))
    assert ids(scene) == ["zero", "a", "b"]


def _note(scene: Scene, behind: str) -> list[Effect]:
    item = {"id": "note", "type": "message", "role": "system", "content": [{"type": "input_text", "text": "Slowly."}]}
    return scene.create_item(item, previous=behind)


def _behind(effects: list[Effect]) -> list[str | None]:
    return [event.get("previous_item_id") for event in sent(effects) if event["type"] == "conversation.item.create"]


@pytest.mark.parametrize(
    ("behind", "gone", "named"),
    [("b", ["b"], "a"), ("b", ["a", "b"], "root"), ("b", ["b", "a"], "root"), ("a", ["b"], "a"), ("root", ["a"], "root")],
)
def test_an_item_whose_predecessor_is_deleted_while_it_waits_takes_the_place_that_that_had(
    behind: str, gone: list[str], named: str
) -> None:  # F108, DESIGN 4: a deleted id leaves a tombstone; DESIGN 6 invariant 9
    scene = ready()
    scene.server(user_item("a"), user_item("b", previous="a"), created("r1"))
    scene.respond()
    waits = _note(scene, behind)
    for item_id in gone:
        scene.server(deleted(item_id))
    assert (_behind(waits), _behind(scene.server(done("r1")))) == ([], [named])


def test_an_item_behind_one_whose_delete_is_under_way_takes_its_place() -> None:  # F108, DESIGN 6 invariant 9
    scene = ready()
    scene.server(user_item("a"), user_item("b", previous="a"))
    scene.delete_item("b")
    assert _behind(_note(scene, "b")) == ["a"]


def test_an_unknown_predecessor_loses_nothing() -> None:  # C25, F108
    scene = ready()
    scene.server(user_item("a"), user_item("b", previous="nowhere"), user_item("c", previous="b"))
    assert ids(scene) == ["a", "b", "c"]


def test_an_item_without_a_predecessor_is_the_first() -> None:  # facts 3.4: null is first
    scene = ready()
    scene.server(user_item("a"), user_item("b", previous="a"), user_item("zero", previous=None))
    assert ids(scene) == ["zero", "a", "b"]


def test_a_deleted_item_leaves_a_tombstone_that_keeps_its_place() -> None:  # DESIGN 4: a deleted id leaves a tombstone
    scene = ready()
    scene.server(user_item("a"), user_item("b", previous="a"), user_item("c", previous="b"), deleted("b"))
    before = ids(scene)
    scene.server(user_item("d", previous="b"))
    assert (before, ids(scene)) == (["a", "c"], ["a", "d", "c"])


def test_an_item_that_names_itself_as_its_predecessor_is_not_lost() -> None:  # C25, C29, F108: found by the broken messages
    scene = ready()
    scene.server(user_item("u1"), user_item("u2", previous="u1"), announce("u3", previous="u3"), user_item("u4", previous="u3"))
    assert ids(scene) == ["u1", "u2", "u3", "u4"]


def test_an_item_after_a_deleted_one_is_not_lost() -> None:  # DESIGN 4: a deleted id leaves a tombstone; F108
    scene = ready()
    scene.server(user_item("a"), user_item("b", previous="a"), deleted("b"), user_item("c", previous="b"))
    assert ids(scene) == ["a", "c"]


def test_a_deleted_item_does_not_come_back() -> None:  # DESIGN 4: tombstones
    scene = spoken(message("m1", 100), heard_ms=100, at=0.1)
    scene.server(deleted("m1"), closing("m1", "late"), user_transcript("m1", "late"))
    assert ids(scene) == []


def test_events_of_a_deleted_message_bring_nothing_back() -> None:  # DESIGN 4: tombstones; DESIGN 2: nothing raises
    scene = talking(opened("m1"), deleted("m1"))
    scene.server(opened("m1"), audio("m1", 100), closing("m1"), deleted("m1"), announce("m1"), done("r1"))
    assert ids(scene) == []


def test_an_announcement_is_told_with_its_place() -> None:  # contract: ItemAdded, ItemDeleted
    scene = ready()
    effects = scene.server(user_item("a"), user_item("b", previous="a"), deleted("a"))
    assert (told(effects, ItemAdded), told(effects, ItemDeleted)) == (
        [ItemAdded("a", "message", "user", None), ItemAdded("b", "message", "user", "a")],
        [ItemDeleted("a")],
    )


def test_a_question_stands_before_its_answer_although_its_words_come_later() -> None:  # C25, F103
    scene = ready()
    scene.server(speech_started("u1"), turn("u1"), created("r1"), message("m1", 100, "Answer.", previous="u1"), done("r1"))
    scene.at(0.1).played(1, 100)
    effects = scene.at(3.0).server(user_transcript("u1", "Question?"))
    assert ([(i.id, i.role, i.text) for i in scene.session.history], told(effects, UserTranscript)) == (
        [("u1", "user", "Question?"), ("m1", "assistant", "Answer.")],
        [UserTranscript("u1", 0, "Question?", usage={"type": "duration", "seconds": 1})],
    )


def test_words_that_come_before_their_announcement_are_not_lost() -> None:  # C25, F103; facts 4.2: any time after committed
    scene = ready()
    scene.server(speech_started("u1"), committed("u1"), user_transcript("u1", "Early."), user_item("u1"))
    assert [(i.id, i.text) for i in scene.session.history] == [("u1", "Early.")]


def test_a_users_turn_is_told_in_three_steps() -> None:  # contract: notices of the user
    effects = ready().server(speech_started("u1"), turn("u1"))
    assert [e for e in effects if not isinstance(e, ItemAdded)] == [
        UserSpeechStarted("u1", audio_start_ms=100),
        UserSpeechStopped("u1", audio_end_ms=900),
        UserTurnCommitted("u1"),
    ]


def test_a_users_words_may_come_in_pieces() -> None:  # contract: UserTranscriptDelta; facts 4.2
    scene = ready()
    scene.server(speech_started("u1"), turn("u1"))
    effects = scene.server(user_words("u1", "Hel"), user_words("u1", "lo."))
    assert ([e.delta for e in told(effects, UserTranscriptDelta)], [i.text for i in scene.session.history]) == (
        ["Hel", "lo."],
        ["Hello."],
    )


def test_a_models_words_are_told_as_they_come() -> None:  # contract: TextDelta
    scene = talking(opened("m1"))
    effects = scene.server(transcript("m1", "One "), transcript("m1", "two."))
    assert told(effects, TextDelta) == [TextDelta("r1", "m1", 0, "One "), TextDelta("r1", "m1", 0, "two.")]


def test_words_of_a_dead_response_are_not_told() -> None:  # DESIGN 4: an interrupted response is dead for ever
    scene = talking(opened("m1"), audio("m1", 1000), heard_ms=500, at=0.5)
    scene.barge_in(500)
    assert told(scene.server(transcript("m1", "too late")), TextDelta) == []


def test_rate_limits_are_told_as_they_are() -> None:  # facts 10.3
    limits = {"name": "tokens", "limit": 100, "remaining": 90, "reset_seconds": 1.5}
    effects = ready().server([{"type": "rate_limits.updated", "rate_limits": [limits]}])
    assert told(effects, RateLimitsUpdated) == [RateLimitsUpdated((limits,))]


def test_words_that_could_not_be_transcribed_are_told_and_nothing_stops() -> None:  # facts 6.3
    scene = ready()
    scene.server(speech_started("u1"), turn("u1"))
    kind = "conversation.item.input_audio_transcription.failed"
    failure = {"type": "server_error", "code": "DeploymentNotFound", "message": "no such deployment", "param": None}
    effects = scene.server([{"type": kind, "item_id": "u1", "content_index": 0, "error": failure}])
    [notice] = told(effects, UserTranscriptFailed)
    assert (notice.item_id, notice.problem.code, ids(scene), scene.session.state) == ("u1", "DeploymentNotFound", ["u1"], "ready")


def test_a_message_is_in_history_from_its_announcement_on() -> None:  # C25, F072
    scene = talking(opened("m1"))
    assert [(i.id, i.role, i.text, i.verdict) for i in scene.session.history] == [("m1", "assistant", "", None)]


def test_while_a_message_is_being_heard_its_text_is_what_was_heard() -> None:  # DESIGN 3: the heard text
    scene = spoken(message("m1", 2000, "aaaa bbbb cccc dddd"), heard_ms=1000, at=1.0)
    assert [(i.text, i.full_text) for i in scene.session.history] == [("aaaa bbbb", "aaaa bbbb cccc dddd")]


def test_the_final_text_wins_over_its_pieces() -> None:  # F115
    scene = talking(opened("m1"), transcript("m1", "Hel"), transcript("m1", "lo wrld"), audio("m1", 100))
    scene.server(closing("m1", "Hello world."), transcript("m1", "!!"), done("r1"))
    scene.at(0.1).played(1, 100)
    assert [(i.text, i.full_text) for i in scene.session.history] == [("Hello world.", "Hello world.")]


def test_what_the_server_leaves_out_of_its_summary_stays() -> None:  # F027
    scene = talking(opened("m1"), audio("m1", 1000), heard_ms=100, at=0.1)
    scene.server(done("r1", "cancelled", "turn_detected", output=[]))
    assert ids(scene) == ["m1"]


def test_a_text_message_has_its_text_in_history() -> None:  # DESIGN 3, verdicts: text; F142
    scene = spoken(text_message("m1", "Seen."))
    assert ([(i.text, i.full_text) for i in scene.session.history], verdicts(scene.log)) == (
        [("Seen.", "Seen.")],
        [ended("m1", "text", 0)],
    )


def test_a_truncated_acknowledgement_does_not_empty_a_message() -> None:  # C24, F015
    scene = spoken(message("m1", 2000, "aaaa bbbb cccc dddd"), heard_ms=1000, at=1.0)
    scene.barge_in(1000)
    retrieved = {"id": "m1", "type": "message", "role": "assistant", "content": [{"type": "output_audio", "transcript": ""}]}
    scene.server(truncated("m1", 1000), [{"type": "conversation.item.retrieved", "item": retrieved}])
    assert [(i.text, i.full_text) for i in scene.session.history] == [("aaaa bbbb", "aaaa bbbb cccc dddd")]


def test_an_item_that_the_server_inserts_by_itself_enters_history() -> None:  # facts 17.22
    scene = ready()
    system = {"id": "s1", "type": "message", "role": "system", "content": [{"type": "input_text", "text": "idle"}]}
    scene.server(announce("s1", system), user_item("u1", previous="s1"))
    assert [(i.id, i.role, i.text) for i in scene.session.history] == [("s1", "system", "idle"), ("u1", "user", "")]


@pytest.mark.parametrize("unheard_first", [True, False])
def test_history_is_synchronised_only_where_something_was_not_heard(unheard_first: bool) -> None:  # S04, B22
    heard = 0 if unheard_first else 100
    scene = spoken(message("m1", 100, "One."), at=0.1)
    if heard:
        scene.played(1, heard)
    scene.barge_in(heard)
    scene.server(*([deleted("m1")] if unheard_first else []))
    assert ids(scene) == ([] if unheard_first else ["m1"])


def test_a_deletion_that_the_server_refuses_keeps_the_item() -> None:  # F113: server events are its only writer
    scene = spoken(message("m1", 100), heard_ms=100, at=0.1)
    scene.delete_item("m1")
    scene.server(error("server_error", "Try again."))
    assert ids(scene) == ["m1"]


def test_the_cut_message_stays_with_its_heard_text_and_the_next_turn_follows_it() -> None:  # B21, F112
    scene = talking(opened("m1"), transcript("m1", "aaaa bbbb cccc dddd"), audio("m1", 2000), heard_ms=1000, at=1.0)
    scene.server(audio("m1", 0, raw=b"\0\0" * 24))
    scene.barge_in(1000)
    scene.server(cancelled(), truncated("m1", 1000), turn("u1", previous="m1"))
    assert [(i.id, i.role) for i in scene.session.history] == [("m1", "assistant"), ("u1", "user")]


def test_an_announcement_that_comes_again_takes_nothing_back() -> None:  # F115, C18, invariant 11
    scene = ready()
    early = announce("m1", {"id": "m1", "type": "message", "role": "assistant", "status": "in_progress", "content": [
        {"type": "output_audio", "transcript": "One"}]})  # fmt: skip
    scene.server(created("r1"), early, message("m1", 100, "One and two."), done("r1"))
    scene.played(1, 100)
    scene.server(early)
    [item] = scene.session.history
    assert (item.full_text, item.text, item.status) == ("One and two.", "One and two.", "completed")
