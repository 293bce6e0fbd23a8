"""A voice of the program's own in the same playout, and turns of the program's own making (issue 6, part 3)."""

import pytest
from helpers.scene import (
    Scene,
    acts,
    cancel,
    configured,
    ended,
    event_id,
    kinds,
    outcomes,
    ready,
    sent,
    settled,
    sounded,
    talking,
    told,
)
from helpers.wire import (
    CLIENT_VAD,
    active_response,
    announce,
    audio,
    audio_done,
    call,
    cancelled,
    committed,
    created,
    deleted,
    done,
    error,
    item_added,
    item_done,
    message,
    opened,
    part_added,
    pcm,
    session_created,
    session_updated,
    speech_started,
    text_delta,
    text_done,
    truncated,
    user_item,
    user_transcript,
    user_words,
)
from test_core_continuity import back, lose, steady

from rtcore import (
    PCMU,
    Clock,
    ConversationIdle,
    Disconnection,
    Effect,
    FalseInterruption,
    Flush,
    HeardText,
    Interrupted,
    LocalProtocolError,
    MessageEnded,
    MessageStarted,
    Policies,
    ProtocolWarning,
    ResponseEnded,
    ResponseStarted,
    Send,
    SessionClosed,
    SpeakingStarted,
    SpeakingStopped,
    TurnReport,
    UserSpeechStarted,
    UserTranscript,
    UserTurnCommitted,
    Verdict,
)
from rtcore.config import Timeouts
from rtcore.policies import CUT, defer

CLIP = pcm("clip", 1000)


def says(scene: Scene, data: bytes = CLIP, text: str = "One moment, please.", **options: object) -> int:
    issued = scene.session.say(data, text, now=scene.now, **options)  # type: ignore[arg-type]
    scene._took(issued.effects)
    return issued.request


def begins(scene: Scene, **options: object) -> int:
    issued = scene.session.say_begin(now=scene.now, **options)  # type: ignore[arg-type]
    scene._took(issued.effects)
    return issued.request


def appends(scene: Scene, request: int, data: bytes, text: str = "") -> None:
    scene._took(scene.session.say_append(request, data, text, now=scene.now))


def ends(scene: Scene, request: int) -> None:
    scene._took(scene.session.say_end(request, now=scene.now))


def verdict(scene: Scene) -> MessageEnded:
    [found] = told(scene.log, MessageEnded)
    return found


# -- clips -------------------------------------------------------------------------------------------------------------------


def test_a_clip_is_heard_in_silence_at_once_and_ends_full() -> None:
    scene = ready()
    request = says(scene)
    assert (sounded(scene.log), kinds(scene.log[-2:])) == (CLIP, [])
    scene.at(0.5).played(1, 500)
    scene.at(1.0).played(1, 1000)
    found = verdict(scene)
    assert (found.verdict, found.heard_ms, found.text, found.told) == (Verdict.FULL, 1000, "One moment, please.", "nothing")
    assert [each.item_id for each in told(scene.log, MessageStarted)] == [found.item_id]
    assert (len(told(scene.log, SpeakingStarted)), len(told(scene.log, SpeakingStopped))) == (1, 1)
    assert outcomes(scene.log) == [(request, "done")]
    assert (told(scene.log, ResponseStarted), scene.session.history) == ([], ())


def test_what_the_program_says_is_no_item_of_the_conversation() -> None:  # F111: it lives outside the mirrored list
    scene = ready()
    says(scene)
    scene.at(0.5).barge_in(500)
    assert (scene.session.history, [kind for kind in kinds(scene.log) if kind.startswith("conversation.item")]) == ((), [])


def test_a_clip_waits_for_its_turn_and_what_follows_waits_for_it() -> None:
    scene = talking(message("m1", 300), done("r1"))
    says(scene)
    scene.server(created("r2"), message("m2", 200, r="r2"), done("r2"))
    assert sounded(scene.log) == pcm("m1", 300) + CLIP + pcm("m2", 200)


def test_a_clip_waits_for_a_response_that_is_still_generating() -> None:
    scene = talking(opened("m1"), audio("m1", 300))
    says(scene)
    scene.server(audio("m1", 200, start_ms=300), audio_done("m1"), done("r1"))
    assert sounded(scene.log) == pcm("m1", 500) + CLIP


def test_a_clip_that_is_interrupted_tells_the_server_nothing() -> None:
    scene = ready()
    request = says(scene, text="One two three four.")
    scene.at(0.5).played(1, 400)
    effects = scene.at(0.6).barge_in(500)
    found = verdict(scene)
    assert acts(effects) == [
        Flush(1),
        ended(found.item_id, "partial", 500),
        settled(request, "cancelled"),
        ("interrupted", [found.item_id], []),
    ]
    assert (found.text, found.full_text) == ("One two", "One two three four.")
    assert (scene.session.segments, kinds(effects)) == ((), [])


def test_a_clip_behind_a_message_is_skipped_with_it() -> None:  # S04
    scene = talking(opened("m1"), audio("m1", 2000), heard_ms=100, at=0.1)
    request = says(scene)
    scene.at(0.5).barge_in(400)
    scene.server(cancelled("r1"))
    assert [(each.verdict, each.heard_ms) for each in told(scene.log, MessageEnded)] == [
        (Verdict.PARTIAL, 400),
        (Verdict.SKIPPED, 0),
    ]
    assert (outcomes(scene.log), kinds(scene.log)[1:]) == ([(request, "cancelled")], ["conversation.item.truncate"])


def test_a_clip_is_never_cancelled_at_the_server() -> None:  # B07
    scene = ready(turn_detection=CLIENT_VAD)
    request = begins(scene)
    appends(scene, request, CLIP)
    scene.at(0.1).played(1, 100)
    effects = scene.answering(scene.interrupt(), 100)
    assert kinds(effects) == []
    assert told(effects, Interrupted) != []
    assert scene.session.deadline is None or "cut" not in scene.session.deadline.why


def test_one_response_is_cut_and_the_clip_behind_it_is_heard() -> None:  # F161: a guardrail and its replacement
    scene = talking(opened("m1"), audio("m1", 2000), heard_ms=100, at=0.1)
    says(scene)
    effects = scene.answering(scene.at(0.5).interrupt("r1"), 400)
    scene.server(cancelled("r1", by="client_cancelled"))
    assert cancel("r1") in sent(effects)
    assert sounded(scene.log, 2) == CLIP


def test_a_clip_may_be_uninterruptible() -> None:
    scene = ready()
    says(scene, interruptible=False)
    scene.at(0.5).played(1, 400)
    assert told(scene.server(speech_started("u1")), MessageEnded) == []
    assert [e for e in scene.log if isinstance(e, Flush)] == []
    effects = scene.answering(scene.at(0.6).interrupt(), 500)  # the program may
    assert [each.verdict for each in told(effects, MessageEnded)] == [Verdict.PARTIAL]


def test_a_pause_loses_nothing_of_a_clip_on_a_clock_that_cannot_hold() -> None:  # B16
    scene = ready(clock=Clock(pause=False))
    says(scene)
    scene.at(0.5).played(1, 400)
    scene.answering(scene.pause(), 500)
    scene.at(2.0).resume()
    assert sounded(scene.log, 2) == CLIP[48 * 500 :]
    scene.at(2.5).played(2, 500)
    assert (verdict(scene).verdict, verdict(scene).heard_ms) == (Verdict.FULL, 1000)


def test_a_clip_in_a_format_of_its_own_is_measured_in_it() -> None:
    scene = ready()
    says(scene, bytes(8 * 400), format=PCMU)
    scene.at(0.2).played_samples(1, 8 * 200)
    effects = scene.at(0.3).server(speech_started())
    scene.flushed_samples(next(e.generation for e in effects if isinstance(e, Flush)), 8 * 300)
    assert (verdict(scene).heard_ms, verdict(scene).received_ms) == (300, 400)


def test_heard_words_of_a_clip_are_told_in_step() -> None:  # B30
    scene = ready()
    says(scene, text="One two three four.")
    for tenth in range(1, 11):
        scene.at(tenth / 10).played(1, tenth * 100)
    words = [each.delta for each in told(scene.log, HeardText)]
    assert (len(words) > 1, "".join(words)) == (True, "One two three four.")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((b"",), "pcm: is empty"),
        ((b"123",), "no whole samples"),
        (("text",), "pcm: is str, not bytes"),
        ((b"12", 5), "text: is int, not str"),
        ((b"12", "\ud800"), "text"),
    ],
)
def test_what_cannot_be_said_is_refused_before_anything_changes(arguments: tuple[object, ...], words: str) -> None:
    scene = ready()
    with pytest.raises(LocalProtocolError, match=words):
        scene.session.say(*arguments, now=0.0)  # type: ignore[arg-type]
    assert (scene.session.segments, scene.session.tick(now=0.0)) == ((), [])


def test_more_than_may_wait_is_refused() -> None:  # F150: bounded, and nothing dropped
    scene = ready(configured(playout={"max_buffered_s": 1}))
    says(scene)
    with pytest.raises(LocalProtocolError, match="more than 1 s would wait"):
        says(scene, bytes(2))
    scene.at(1.0).played(1, 1000)
    says(scene, bytes(2))


def test_the_end_of_the_session_ends_a_clip_with_what_was_heard() -> None:  # F162
    scene = ready()
    request = says(scene)
    scene.at(0.4).played(1, 400)
    scene.close()
    assert (verdict(scene).verdict, outcomes(scene.log)) == (Verdict.PARTIAL, [(request, "cancelled")])
    assert isinstance(scene.log[-1], SessionClosed)


# -- what the server is told -------------------------------------------------------------------------------------------------


def remembered(scene: Scene) -> list[str]:
    items = [event["item"] for event in sent(scene.log) if event["type"] == "conversation.item.create"]
    return [item["content"][0]["text"] for item in items if item["role"] == "assistant"]


def test_the_server_is_told_what_was_heard_where_that_is_asked_for() -> None:
    scene = ready()
    says(scene, remember=True)
    assert remembered(scene) == []
    scene.at(1.0).played(1, 1000)
    assert remembered(scene) == ["One moment, please."]


def test_what_was_heard_while_the_line_was_away_is_told_to_the_next_session() -> None:  # issue 6, parts 3 and 7
    scene = ready(steady())
    says(scene, remember=True)
    scene.at(0.2).played(1, 200)
    lose(scene)
    scene.at(0.25).played(1, 1000)
    assert (remembered(scene), outcomes(scene.log)) == ([], [(1, "done")])
    back(scene)
    assert remembered(scene) == ["One moment, please."]


def test_of_what_was_cut_the_server_is_told_the_heard_words() -> None:  # DESIGN 3
    scene = ready()
    says(scene, text="One two three four.", remember=True)
    scene.at(0.5).played(1, 400)
    scene.at(0.6).barge_in(500)
    assert remembered(scene) == ["One two"]


def test_of_what_nobody_heard_the_server_is_told_nothing() -> None:
    scene = talking(opened("m1"), audio("m1", 2000), heard_ms=100, at=0.1)
    says(scene, remember=True)
    scene.at(0.5).barge_in(400)
    assert remembered(scene) == []


def test_a_response_asked_for_afterwards_comes_behind_what_was_said() -> None:  # the model knows what was said for it
    scene = ready()
    says(scene, remember=True)
    scene.at(1.0).played(1, 1000)
    scene.respond()
    assert kinds(scene.log)[1:] == ["conversation.item.create", "response.create"]


# -- in pieces ---------------------------------------------------------------------------------------------------------------


def test_pieces_are_one_message() -> None:
    scene = ready()
    request = begins(scene)
    for part in range(4):
        appends(scene, request, CLIP[part * 12_000 : (part + 1) * 12_000], f"word{part} ")
    scene.at(0.9).played(1, 900)
    ends(scene, request)
    assert told(scene.log, MessageEnded) == []
    scene.at(1.0).played(1, 1000)
    assert (sounded(scene.log), verdict(scene).full_text, verdict(scene).verdict) == (
        CLIP,
        "word0 word1 word2 word3 ",
        Verdict.FULL,
    )


def test_all_heard_is_not_ended_before_the_program_says_so() -> None:
    scene = ready()
    request = begins(scene)
    appends(scene, request, CLIP)
    scene.at(1.0).played(1, 1000)
    assert told(scene.log, MessageEnded) == []
    ends(scene, request)
    assert outcomes(scene.log) == [(request, "done")]


def test_pieces_after_an_interruption_are_nothing_and_no_mistake() -> None:  # B10
    scene = ready()
    request = begins(scene)
    appends(scene, request, CLIP)
    scene.at(0.5).barge_in(400)
    before = len(scene.log)
    appends(scene, request, CLIP)
    ends(scene, request)
    assert (scene.log[before:], outcomes(scene.log)) == ([], [(request, "cancelled")])


def test_what_was_ended_takes_no_more() -> None:
    scene = ready()
    request = begins(scene)
    ends(scene, request)
    for wrong in (request, 99, "1"):
        with pytest.raises(LocalProtocolError, match="is nothing that say_begin"):
            scene.session.say_append(wrong, CLIP, now=0.0)  # type: ignore[arg-type]
        with pytest.raises(LocalProtocolError, match="is nothing that say_begin"):
            scene.session.say_end(wrong, now=0.0)  # type: ignore[arg-type]


def test_nothing_said_is_a_message_of_nothing() -> None:
    scene = ready()
    request = begins(scene)
    ends(scene, request)
    assert (verdict(scene).heard_ms, outcomes(scene.log)) == (0, [(request, "done")])


def test_a_voice_that_stalls_lets_others_pass() -> None:  # F078
    scene = ready()
    request = begins(scene)
    appends(scene, request, pcm("clip", 100))
    scene.server(created("r1"), message("m1", 200), done("r1"))
    scene.at(0.1).played(1, 100)
    deadline = scene.session.deadline
    assert deadline is not None
    scene.at(2.2).tick()
    assert sounded(scene.log) == pcm("clip", 100) + pcm("m1", 200)


def test_a_voice_whose_end_is_forgotten_ends_also_where_the_line_was_lost_meanwhile() -> None:  # invariants 2 and 12
    scene = ready(steady())
    request = begins(scene)
    appends(scene, request, CLIP, "Hm.")
    scene.at(1.0).played(1, 1000)
    lose(scene)
    back(scene)
    for second in range(2, 200):
        scene.at(second).tick()
    assert outcomes(scene.log) == [(request, "done")]


def test_a_voice_whose_end_is_forgotten_ends() -> None:  # invariant 12: nothing waits for ever
    scene = ready(configured(timeouts=Timeouts(create_ms=1000, queue_ms=2000)))
    request = begins(scene)
    appends(scene, request, pcm("clip", 100))
    scene.at(0.1).played(1, 100)
    while outcomes(scene.log) == []:
        deadline = scene.session.deadline
        assert deadline is not None
        scene.at(deadline.at).tick()
    assert (outcomes(scene.log), scene.now < 12) == ([(request, "done")], True)
    assert [each.reason for each in told(scene.log, ProtocolWarning)] == [
        "say_end() is missing; what was said is taken as complete"
    ]


def test_a_clip_belongs_to_no_turn() -> None:
    scene = ready()
    scene.at(0.5).say("hello")
    says(scene)
    scene.at(1.6).played(1, 1000)
    scene.server(created("r1", request=1), message("m1", 100), done("r1"))
    scene.at(2.0).played(1, 1100)
    [report] = told(scene.log, TurnReport)
    assert report.to_first_heard_ms == 1400


def test_a_voice_of_ones_own_needs_no_line() -> None:  # B24: what is heard goes on while it is dialled again
    scene = ready(steady())
    request = begins(scene)
    appends(scene, request, CLIP, "One moment: ")
    scene.at(0.1).played(1, 100)
    lose(scene)
    appends(scene, request, pcm("more", 500), "the line is being dialled again.")
    ends(scene, request)
    scene.at(0.3)
    back(scene)
    scene.at(1.7).played(1, 1500)
    assert (verdict(scene).verdict, verdict(scene).heard_ms, outcomes(scene.log)) == (Verdict.FULL, 1500, [(request, "done")])
    assert sounded(scene.log) == CLIP + pcm("more", 500)
    assert told(scene.log, ResponseEnded) == []


# -- turns of a recogniser of one's own ---------------------------------------------------------------------------------------


def hears(scene: Scene, text: str = "What time is it?", *, respond: bool = True) -> int:
    issued = scene.session.user_turn(text, respond=respond, now=scene.now)
    scene._took(issued.effects)
    return issued.request


def local(scene: Scene, event: str) -> None:
    scene._took(scene.session.speech(event, now=scene.now))  # type: ignore[arg-type]


def test_a_turn_in_words_is_committed_and_answered() -> None:
    scene = ready(turn_detection=None)
    local(scene, "started")
    scene.at(1.0)
    local(scene, "stopped")
    request = hears(scene.at(1.2))
    [item, create] = sent(scene.log)[-2:]
    assert (item["item"]["role"], item["item"]["content"]) == ("user", [{"type": "input_text", "text": "What time is it?"}])
    assert create["type"] == "response.create"
    item_id = item["item"]["id"]
    assert [each.item_id for each in told(scene.log, UserTurnCommitted)] == [item_id]
    assert [(each.item_id, each.text) for each in told(scene.log, UserTranscript)] == [(item_id, "What time is it?")]
    scene.server(announce(item_id, item["item"]))
    assert outcomes(scene.log) == [(request, "done")]


def test_a_turn_in_words_interrupts_like_a_voice() -> None:
    scene = talking(opened("m1"), audio("m1", 2000), heard_ms=100, at=0.1, turn_detection=None)
    effects_before = len(scene.log)
    hears(scene.at(0.5))
    effects = scene.answering(scene.log[effects_before:], 400)
    assert [each.cause for each in told(effects, Interrupted)] == ["local"]
    assert cancel("r1") in sent(effects)


def test_a_turn_in_words_is_left_unanswered_where_that_is_wanted() -> None:
    scene = ready(turn_detection=None)
    hears(scene, respond=False)
    assert kinds(scene.log)[1:] == ["conversation.item.create"]


def test_audio_that_was_sent_meanwhile_is_thrown_away() -> None:
    scene = ready(turn_detection=None)
    scene.append(bytes(48 * 200))
    hears(scene)
    assert "input_audio_buffer.clear" in kinds(scene.log)


def test_a_turn_in_words_is_a_turn_of_the_report() -> None:
    scene = ready(turn_detection=None)
    local(scene, "started")
    scene.at(1.0)
    local(scene, "stopped")
    hears(scene.at(1.5))
    ours = int(sent(scene.log)[-1]["response"]["metadata"]["rtcore_request"])
    scene.at(2.0).server(created("r1", request=ours), message("m1", 100), done("r1"))
    scene.at(2.2).played(1, 100)
    [report] = told(scene.log, TurnReport)
    assert (report.cause, report.began_at, report.to_first_delta_ms, report.item_id) == (
        "speech",
        1.0,
        1000,
        told(scene.log, UserTurnCommitted)[0].item_id,
    )


def understood_late() -> tuple[Scene, str, int]:
    """The answer to a function's result is asked for in the silence behind a voice, and then that voice is understood."""
    scene = talking(call("c1"), done("r1"), turn_detection=None)
    local(scene.at(0.5), "started")
    scene.tool_result("c1", "42")
    scene.server(announce(sent(scene.log)[-1]["item"]["id"]))
    local(scene.at(1.0), "stopped")
    asked = sent(scene.log)[-1]
    hears(scene.at(1.1))
    return scene, sent(scene.log)[-1]["item"]["id"], int(asked["response"]["metadata"]["rtcore_request"])


@pytest.mark.parametrize("announced", ["before", "after"])
def test_a_turn_in_words_is_answered_by_no_response_that_was_asked_for_before_it(announced: str) -> None:  # C15, C16
    scene, turn, asked = understood_late()
    scene.server(announce(turn) if announced == "before" else [], created("r2", request=asked))
    effects = scene.server(announce(turn) if announced == "after" else [], message("m2", 100, r="r2"), done("r2", request=asked))
    assert [kind for kind in kinds(effects) if kind == "response.create"] == ["response.create"]


def test_nor_is_one_whose_answer_is_on_its_way_when_another_begins() -> None:  # C15, B13, B14
    scene = ready(turn_detection=None)
    hears(scene)
    item = sent(scene.log)[-2]
    scene.server(created("r0", metadata={"by": "another"}), announce(item["item"]["id"]))
    scene.server(active_response(event_id(scene.log, "response.create")))
    effects = scene.server(message("m0", 100, r="r0"), done("r0"))
    assert "response.create" in kinds(effects)


def test_a_request_that_is_sent_once_more_answers_the_turn_behind_which_it_stands_now() -> None:  # C15, B13
    scene = ready(configured(interruption="ignore"), turn_detection=None)
    scene.respond()
    refused = event_id(scene.log, "response.create")
    hears(scene)
    turn = sent(scene.log)[-1]["item"]["id"]
    scene.server(created("r0", metadata={"by": "another"}), active_response(refused), announce(turn))
    scene.server(message("m0", 100, r="r0"), done("r0"))
    again = sent(scene.log)[-1]
    scene.server(created("r1", request=int(again["response"]["metadata"]["rtcore_request"])))
    effects = scene.server(message("m1", 100, r="r1"), done("r1")) + scene.at(30).tick()
    assert again["type"] == "response.create" and "response.create" not in kinds(effects)


def test_words_of_the_user_interrupt_nothing_and_speech_does() -> None:  # F128: speech_started, never a transcript or an item
    scene = talking(opened("m1"), audio("m1", 2000), heard_ms=100, at=0.1)
    before = len(scene.log)
    scene.at(0.5).server(user_item("u1"), user_words("u1", "Stop"), user_transcript("u1", "Stop it."))
    assert [effect for effect in scene.log[before:] if isinstance(effect, Flush | MessageEnded)] == []
    assert isinstance(scene.server(speech_started("u2"))[0], Flush)


# -- push-to-talk -------------------------------------------------------------------------------------------------------------


def presses(scene: Scene) -> None:
    scene._took(scene.session.begin_turn(now=scene.now))


def releases(scene: Scene, *, respond: bool = True) -> int:
    issued = scene.session.end_turn(respond=respond, now=scene.now)
    scene._took(issued.effects)
    return issued.request


def test_press_and_release_is_a_turn_with_its_answer() -> None:  # C13
    scene = ready(turn_detection=None)
    presses(scene)
    scene.append(bytes(48 * 200))
    request = releases(scene.at(0.2))
    assert kinds(scene.log)[-2:] == ["input_audio_buffer.commit", "response.create"]
    scene.server(committed("u1"), user_item("u1"), created("r1", request=request), message("m1", 100), done("r1"))
    assert outcomes(scene.log) == [(request, "done")]
    assert kinds(scene.log).count("response.create") == 1


def test_a_press_silences_the_model_and_cancels_it() -> None:
    scene = talking(opened("m1"), audio("m1", 2000), heard_ms=100, at=0.1, turn_detection=None)
    before = len(scene.log)
    presses(scene.at(0.5))
    effects = scene.answering(scene.log[before:], 400)
    assert isinstance(effects[0], Flush)
    assert cancel("r1") in sent(effects)
    assert [each.source for each in told(effects, UserSpeechStarted)] == ["local"]


def test_too_little_audio_is_thrown_away_here() -> None:  # F123
    scene = ready(turn_detection=None)
    presses(scene)
    scene.append(bytes(48 * 60))
    request = releases(scene.at(0.06))
    assert kinds(scene.log)[-1] == "input_audio_buffer.clear"
    assert (outcomes(scene.log), "response.create" in kinds(scene.log)) == ([(request, "failed")], False)


def test_no_audio_at_all_sends_nothing() -> None:  # F123
    scene = ready(turn_detection=None)
    presses(scene)
    request = releases(scene)
    assert (outcomes(scene.log), kinds(scene.log)[1:]) == ([(request, "failed")], [])


def test_pressed_again_at_once_the_first_answer_is_never_heard() -> None:  # F125, F057, F045, B15
    scene = ready(turn_detection=None)
    presses(scene)
    scene.append(bytes(48 * 200))
    first = releases(scene.at(0.2))
    presses(scene.at(0.25))
    scene.append(bytes(48 * 200))
    scene.server(committed("u1"), user_item("u1"))
    effects = scene.server(created("r1", request=first))
    assert cancel("r1") in sent(effects)
    second = releases(scene.at(0.45))
    assert kinds(scene.log)[-1] == "input_audio_buffer.commit"  # the answer waits for the end of the first (F045)
    scene.server(message("m1", 500), cancelled("r1", by="client_cancelled"), committed("u2"), user_item("u2"))
    assert kinds(scene.log).count("response.create") == 1  # an edit is under way: nobody heard m1
    scene.server(deleted("m1"))
    assert kinds(scene.log)[-1] == "response.create"
    scene.server(created("r2", request=second), message("m2", 300, r="r2"), done("r2"))
    assert sounded(scene.log) == pcm("m2", 300)
    assert outcomes(scene.log)[-1] == (second, "done")


def _touched(*, begun: bool = True, heard_ms: int = 0, told: bool = True) -> Scene:
    """A turn by button, and a touch of it while the answer comes."""
    scene = ready(turn_detection=None)
    presses(scene)
    scene.append(bytes(48 * 200))
    first = releases(scene.at(0.2))
    if told:
        scene.server(committed("u1"), user_item("u1"))
    if begun:
        scene.server(created("r1", request=first), message("m1", 2000 if heard_ms else 0))
    if heard_ms:
        scene.at(1.0).played(1, heard_ms)
    presses(scene.at(1.0))
    scene.append(bytes(48 * 30))
    releases(scene.at(1.03))
    if heard_ms:
        scene.answering([], heard_ms)
    if not told:
        scene.server(committed("u1"), user_item("u1"))
    if not begun:
        scene.server(created("r1", request=first))
    scene.server(cancelled("r1", by="client_cancelled"))
    for event in sent(scene.log):
        if event["type"] == "conversation.item.delete":
            scene.server(deleted(event["item_id"]))
    return scene


@pytest.mark.parametrize("told_at_once", [True, False])
@pytest.mark.parametrize("begun", [True, False])
def test_a_touch_of_the_button_that_is_no_turn_leaves_the_turn_before_to_be_answered(begun: bool, told_at_once: bool) -> None:
    # F120, F123, C26: a turn that was cut for nothing and never answered is answered
    scene = _touched(begun=begun, told=told_at_once)
    assert kinds(scene.at(3.0).tick()) == []
    effects = scene.at(3.04).tick()
    assert (kinds(effects), told(effects, FalseInterruption)) == (
        ["response.create"],
        [FalseInterruption("program", None, 0, answered=False)],
    )


def test_what_was_heard_when_the_button_was_touched_is_no_missing_answer() -> None:  # F120
    scene = _touched(heard_ms=500)
    assert "response.create" not in kinds(scene.at(9.0).tick())


@pytest.mark.parametrize("by", ["button", "program"])
def test_after_a_touch_of_the_button_the_next_turn_decides_or_the_program(by: str) -> None:  # F120, F125, C12
    scene = _touched()
    if by == "program":
        scene.at(1.5).interrupt()
        assert "response.create" not in kinds(scene.at(9.0).tick())
        return
    presses(scene.at(1.5))
    scene.append(bytes(48 * 200))
    assert kinds(scene.at(3.5).tick()) == []
    releases(scene)
    assert kinds(scene.log).count("response.create") == 2  # that turn's own
    scene.server(committed("u2"), user_item("u2"), created("r2", request=scene.request), message("m2", 300, r="r2"), done("r2"))
    assert "response.create" not in kinds(scene.at(9.0).tick())


def test_the_button_touched_twice_for_nothing_is_as_once() -> None:  # F120, F125
    scene = _touched()
    presses(scene.at(1.5))
    scene.append(bytes(48 * 30))
    releases(scene.at(1.53))
    assert [kinds(scene.at(at).tick()) for at in (3.1, 3.6)] == [[], ["response.create"]]


def test_while_the_button_is_down_nothing_is_answered_unasked() -> None:  # C16
    scene = ready(turn_detection=None)
    scene.server(created("r1"), call("c1"), done("r1"))
    presses(scene.at(0.1))
    scene.at(0.2).tool_result("c1", "sunny")
    assert "response.create" not in kinds(scene.log)


def test_the_button_is_for_sessions_without_detection() -> None:
    scene = ready()
    for command in (scene.session.begin_turn, scene.session.end_turn):
        with pytest.raises(LocalProtocolError, match=r"set audio\.input\.turn_detection to None"):
            command(now=0.0)


# -- nobody says anything ------------------------------------------------------------------------------------------------------


def test_nobody_says_anything_is_told_once_until_somebody_does() -> None:  # F130
    scene = ready(configured(timeouts=Timeouts(idle_ms=5000)))
    scene.server(created("r1"), message("m1", 1000), done("r1"))
    scene.at(1.0).played(1, 1000)
    scene.at(5.9).tick()
    assert told(scene.log, ConversationIdle) == []
    scene.at(6.0).tick()
    scene.at(60.0).tick()
    assert told(scene.log, ConversationIdle) == [ConversationIdle(1.0, 5000)]
    scene.at(70.0).server(speech_started("u1"))  # noise is nothing
    scene.server(committed("u1"), user_item("u1"))
    scene.at(80.0).tick()
    assert [each.since for each in told(scene.log, ConversationIdle)] == [1.0, 70.0]


def test_a_silence_begins_anew_where_the_model_falls_silent_in_the_call_that_would_have_told_it() -> None:  # F130
    scene = ready(configured(timeouts=Timeouts(idle_ms=6000)))
    scene.server(created("r1"), message("m1", 500), done("r1"))
    scene.at(0.1).played(1, 100)
    late = scene.at(20.0).tick()  # the clock was silent for long, and nobody looked
    assert (len(told(late, SpeakingStopped)), told(late, ConversationIdle)) == (1, [])
    assert [each.idle_ms for each in told(scene.at(26.0).tick(), ConversationIdle)] == [6000]


def test_a_caller_who_never_says_a_word_is_silent_from_the_beginning() -> None:  # F130
    scene = ready(configured(timeouts=Timeouts(idle_ms=5000)))
    scene.at(5.0).tick()
    assert told(scene.log, ConversationIdle) == [ConversationIdle(0.0, 5000)]


def test_a_typed_text_is_no_silence_even_where_it_is_answered_in_writing() -> None:  # F130
    scene = ready(configured(timeouts=Timeouts(idle_ms=5000)))
    scene.at(4.0).say("And?", respond=False)
    scene.at(8.9).tick()
    assert told(scene.log, ConversationIdle) == []
    scene.at(9.0).tick()
    assert told(scene.log, ConversationIdle) == [ConversationIdle(4.0, 5000)]


def test_a_line_that_is_away_is_no_silence() -> None:  # F130, S08
    scene = ready(configured(timeouts=Timeouts(idle_ms=5000), reconnect={"renew": False, "first_ms": 20_000, "cap_ms": 20_000}))
    scene.at(1.0).disconnected(Disconnection(close_code=1006))
    scene.at(5.0).tick()
    assert (scene.session.state, told(scene.log, ConversationIdle)) == ("reconnecting", [])
    scene.at(30.0).tick()
    scene.connected(2)
    scene.server(session_created(), session_updated(), connection=2)
    scene.at(36.0).tick()
    assert told(scene.log, ConversationIdle) == [ConversationIdle(0.0, 36_000)]


def test_a_long_answer_is_no_silence() -> None:  # F130
    scene = ready(configured(timeouts=Timeouts(idle_ms=500)))
    scene.server(created("r1"), message("m1", 3000), done("r1"))
    for second in (1, 2):
        scene.at(second).played(1, second * 1000)
    assert told(scene.log, ConversationIdle) == []


@pytest.mark.parametrize("pending", ["again", "fail"])
def test_b24_an_answer_to_words_that_are_not_said_again_is_not_asked_for(pending: str) -> None:  # issue 6, 3 and 7
    scene = ready(configured(reconnect={"pending": pending, "renew": False, "jitter": 0.0}), turn_detection=None)
    issued = scene.session.user_turn("What is the time?", now=scene.now)
    scene._issued(issued)
    scene.disconnected(Disconnection(close_code=1006), connection=1)
    due = scene.session.deadline
    assert due is not None
    effects = scene.at(due.at).tick() + scene.connected(2)
    effects += scene.server(session_created(turn_detection=None), session_updated(turn_detection=None), connection=2)
    if pending == "again":
        assert kinds(effects)[1:] == ["conversation.item.create", "response.create"]
    else:
        assert "response.create" not in kinds(effects) and outcomes(scene.log) == [(issued.request, "connection_lost")]


def refused_turn(scene: Scene, which: int = -1) -> list[Effect]:
    """The server refuses an item of the program's; the latest, if nothing is said."""
    latest = [e for e in scene.log if isinstance(e, Send) and b'"conversation.item.create"' in bytes(e.payload)][which]
    return scene.server(error("invalid_value", "too long", event_id=event_id([latest], "conversation.item.create")))


def test_the_answer_to_a_turn_in_words_that_the_server_refused_is_never_heard() -> None:  # F071, B15: it has nothing to answer
    scene = ready(turn_detection=None)
    hears(scene)
    refused_turn(scene)
    effects = scene.server(created("r1", request=2), message("m1", 500), done("r1", request=2))
    assert (sounded(effects), [e for e in sent(effects) if e["type"] == "response.cancel"]) == (b"", [cancel("r1")])


def test_the_answer_that_runs_when_its_turn_in_words_is_refused_is_cut() -> None:  # F071
    scene = ready(turn_detection=None)
    hears(scene)
    scene.server(created("r1", request=2), opened("m1"))
    assert cancel("r1") in sent(refused_turn(scene))


def test_an_answer_to_a_turn_in_words_that_was_refused_is_not_asked_for_later() -> None:  # F071, F054
    scene = ready(configured(interruption="ignore"), turn_detection=None)
    scene.server(created("r1"), message("m1", 500))
    hears(scene)
    effects = refused_turn(scene) + scene.server(done("r1"))
    assert (kinds(effects), outcomes(effects)) == ([], [(1, "failed")])


def test_nor_when_it_is_refused_before_it_is_known_whether_it_interrupts() -> None:  # F071, B18
    policies = Policies(interruption=lambda view: defer(view.now + 1) if view.stopped_at == view.now else CUT)
    scene = ready(policies=policies, turn_detection=None)
    scene.server(created("r1"), message("m1", 3000), done("r1"))
    scene.at(0.5).played(1, 500)
    hears(scene)
    effects = refused_turn(scene)
    effects += scene.answering(scene.at(1.5).tick(), 1000) + scene.server(truncated("m1", 1000))
    assert kinds(effects) == ["conversation.item.truncate"]


def test_another_turn_is_answered_though_the_one_before_was_refused() -> None:  # F071, F062
    scene = ready(configured(interruption="ignore"), turn_detection=None)
    scene.server(created("r1"), message("m1", 500))
    hears(scene)
    hears(scene, "And the weather?")
    effects = refused_turn(scene) + scene.server(done("r1"))
    assert kinds(effects) == ["response.create"]


def two_turns(*, known: bool = True) -> Scene:
    """Two turns in words, of which the first interrupts, and one answer to both that is asked for."""
    policies = Policies(interruption=lambda view: CUT if known or view.now >= 1.5 else defer(1.5))
    scene = ready(policies=policies, turn_detection=None)
    scene.server(created("r1"), message("m1", 3000), done("r1"))
    scene.at(1).played(1, 1000)
    hears(scene)
    hears(scene, "And the weather?")
    if known:
        scene.answering(scene.log, 1000)
        scene.server(truncated("m1", 1000))
    return scene


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("first", [0, 1])
def test_one_answer_to_two_turns_in_words_is_called_back_once_both_were_refused(first: int, begun: bool) -> None:  # F071, C15
    scene = two_turns()
    answer = [created("r2", request=3), opened("m2", r="r2")]
    if begun:
        scene.server(*answer)
    assert cancel("r2") not in sent(refused_turn(scene, first))
    effects = refused_turn(scene, 1 - first)
    if not begun:
        effects += scene.server(*answer)
    assert cancel("r2") in sent(effects)


def test_nor_is_it_asked_for_when_both_were_refused_before_it_is_known_whether_they_interrupt() -> None:  # F071, B18, C15
    scene = two_turns(known=False)
    effects = refused_turn(scene, 0) + refused_turn(scene, 1)
    effects += scene.answering(scene.at(1.5).tick(), 1000) + scene.server(truncated("m1", 1000))
    assert kinds(effects) == ["conversation.item.truncate"]


@pytest.mark.parametrize("refused", [0, 1])
def test_it_is_heard_where_one_of_the_two_is_in_the_conversation(refused: int) -> None:  # F071, F062
    scene = two_turns()
    refused_turn(scene, refused)
    effects = scene.server(created("r2", request=3), message("m2", 500, r="r2"))
    assert sounded(effects) and "response.cancel" not in kinds(effects)


# -- the voice of an answer in text ------------------------------------------------------------------------------------------

WRITTEN = {"output_modalities": ["text"], "audio": {"input": {"turn_detection": None}}}


def answered_in_text(stage: str) -> Scene:
    """A turn in words, and so much of its answer."""
    scene = ready(configured(session=WRITTEN), turn_detection=None)
    scene._issued(scene.session.user_turn("What is the weather?", now=scene.now))
    scene.server(announce(sent(scene.log)[-2]["item"]["id"]), created("r1", request=2))
    scene.server(item_added("m1"), part_added("m1", kind="text"), text_delta("m1", "It will "))
    if stage == "written":
        scene.server(text_done("m1", "It will rain. Perhaps."), item_done("m1", "It will rain. Perhaps."), done("r1", request=2))
    return scene


def coughs(scene: Scene, *, from_s: float, heard_ms: float = 0) -> list[Effect]:
    """A voice of 100 ms, and what comes of it within eight seconds."""
    cut = scene.answering(scene.at(from_s)._took(scene.session.speech("started", now=scene.at(from_s).now)), heard_ms)
    cut += scene._took(scene.session.speech("stopped", now=scene.at(from_s + 0.1).now))
    if "response.cancel" in kinds(cut):
        cut += scene.server(cancelled("r1", by="client_cancelled"))
    return cut + scene.at(from_s + 2.1).tick() + scene.at(from_s + 8).tick()


@pytest.mark.parametrize("given", ["nothing", "some", "all"])
@pytest.mark.parametrize("stage", ["begun", "written"])
def test_an_answer_in_text_of_which_nothing_was_heard_is_asked_for_again(stage: str, given: str) -> None:  # B19, F120
    scene = answered_in_text(stage)
    if given == "all":
        says(scene, text="It will rain.", speaks="m1")
    else:
        request = begins(scene, speaks="m1")
        appends(scene, request, CLIP[: 48 * 500] if given == "some" else b"", "It will ")
    effects = coughs(scene, from_s=0.4)
    assert [kind for kind in kinds(effects) if kind == "response.create"] == ["response.create"]
    assert told(effects, FalseInterruption) == [FalseInterruption("local", None, 0, False)]


def test_it_is_so_again_where_the_second_answer_is_cut_the_same() -> None:  # B19, F120
    scene = answered_in_text("written")
    says(scene, speaks="m1")
    coughs(scene, from_s=0.4)
    scene.at(9.0).server(created("r2", request=3), item_added("m2", r="r2"), part_added("m2", r="r2", kind="text"))
    scene.server(text_delta("m2", "Rain.", r="r2"), text_done("m2", "Rain.", r="r2"), item_done("m2", "Rain.", r="r2"))
    scene.server(done("r2", request=3))
    says(scene, speaks="m2")
    assert "response.create" in kinds(coughs(scene, from_s=9.4))


@pytest.mark.parametrize("heard", ["in part", "its first clip", "as a clip of nothing", "and is read as well"])
def test_one_that_was_heard_in_part_or_read_is_not(heard: str) -> None:  # B19, F120
    scene = answered_in_text("written")
    at = 0.4
    if heard == "its first clip":
        says(scene, CLIP[: 48 * 300], "It will rain.", speaks="m1")
        scene.at(0.3).played(1, 300)
        at = 1.0
    speaks = {"as a clip of nothing": "m7", "and is read as well": None}.get(heard, "m1")
    says(scene, text="Perhaps.", speaks=speaks)
    effects = coughs(scene, from_s=at, heard_ms=200 if heard == "in part" else 300 if heard == "its first clip" else 0)
    assert (kinds(effects), told(effects, FalseInterruption)) == ([], [])


def test_a_turn_in_words_is_the_only_one_to_be_answered_then() -> None:  # B19, F120
    scene = answered_in_text("written")
    says(scene, speaks="m1")
    scene.answering(scene._took(scene.session.speech("started", now=scene.at(0.4).now)), 0)
    scene._took(scene.session.speech("stopped", now=scene.at(0.5).now))
    scene.at(0.7)._issued(scene.session.user_turn("And tomorrow?", now=scene.now))
    assert [kinds(scene.at(at).tick()) for at in (2.6, 9.0)] == [[], []]


def test_the_answer_that_is_said_after_all_is_no_longer_missing() -> None:  # B19, F120
    scene = answered_in_text("written")
    says(scene, speaks="m1")
    scene.answering(scene._took(scene.session.speech("started", now=scene.at(0.4).now)), 0)
    scene._took(scene.session.speech("stopped", now=scene.at(0.5).now))
    says(scene, CLIP[: 48 * 500], speaks="m1")
    scene.at(1.2).played(2, 500)
    assert kinds(scene.at(9.0).tick()) == []


def test_what_it_speaks_is_the_id_of_a_message() -> None:
    with pytest.raises(LocalProtocolError, match="speaks: is int, not the id of a message"):
        says(ready(), speaks=7)
