"""Calls: the server sounds the audio on a line of its own, and its events are the clock (DESIGN 5, facts 4.15)."""

from typing import Any

import pytest
from helpers.scene import Scene, configured, sent, told
from helpers.wire import (
    audio,
    call,
    cancelled,
    created,
    done,
    opened,
    session_created,
    session_updated,
    speech_started,
    text_message,
    transcript,
    truncated,
    turn,
)

from rtcore import (
    Flush,
    Interrupted,
    LocalProtocolError,
    MessageEnded,
    MessageStarted,
    Play,
    ProtocolWarning,
    ResponseEnded,
    ServerError,
    SpeakingStarted,
    SpeakingStopped,
    ToolCalled,
    Verdict,
)
from rtcore.config import Connection


def on_a_call(**options: Any) -> Scene:
    scene = Scene(configured(connection=Connection(api_key="sk-1", call_id="rtc_1"), **options))
    scene.open()
    scene.connected()
    scene.server(session_created(), session_updated())
    return scene


def buffer(kind: str, r: str = "r1") -> list[dict[str, Any]]:
    return [{"type": f"output_audio_buffer.{kind}", "event_id": "event_b", "response_id": r}]


def spoken(item: str, text: str, index: int = 0, r: str = "r1") -> list[dict[str, Any]]:
    """A message as a side channel shows it: words, and no audio."""
    where = {"response_id": r, "item_id": item, "output_index": index, "content_index": 0}
    parts = [{"type": "output_audio", "transcript": text}]
    body = {"id": item, "type": "message", "role": "assistant", "status": "completed", "content": parts}
    return [
        *opened(item, r=r, index=index),
        *transcript(item, text, r=r),
        {"type": "response.output_audio.done", **where},
        {"type": "response.output_audio_transcript.done", **where, "transcript": text},
        {"type": "response.content_part.done", **where, "part": {"type": "audio", "transcript": text}},
        {"type": "conversation.item.done", "item": body, "previous_item_id": None},
        {"type": "response.output_item.done", "response_id": r, "output_index": index, "item": body},
    ]


def ends(scene: Scene) -> list[tuple[str, Verdict, int, str, str]]:
    return [(end.item_id, end.verdict, end.heard_ms, end.text, end.told) for end in told(scene.log, MessageEnded)]


def edits(scene: Scene) -> list[str]:
    return [event["type"] for event in sent(scene.log) if event["type"] != "session.update"]


def test_what_the_server_played_to_its_end_was_heard() -> None:  # DESIGN 5
    scene = on_a_call()
    scene.server(created("r1"), spoken("m1", "Part one."), buffer("started"), spoken("m2", "Part two.", 1), done("r1"))
    assert ends(scene) == []
    assert (len(told(scene.log, SpeakingStarted)), len(told(scene.log, MessageStarted)), scene.session.speaking) == (1, 1, True)
    scene.at(4.0).server(buffer("stopped"))
    assert [(item, verdict, text, how) for item, verdict, _, text, how in ends(scene)] == [
        ("m1", Verdict.FULL, "Part one.", "server"),
        ("m2", Verdict.FULL, "Part two.", "server"),
    ]
    assert (len(told(scene.log, SpeakingStopped)), scene.session.speaking, edits(scene)) == (1, False, [])


def test_audio_that_comes_all_the_same_is_not_sounded_here() -> None:  # DESIGN 5
    scene = on_a_call()
    scene.server(created("r1"), opened("m1"), buffer("started"), audio("m1", 500))
    assert not any(isinstance(effect, Play) for effect in scene.log)


def test_the_server_cuts_by_itself_and_says_where() -> None:  # DESIGN 5, facts 4.15
    scene = on_a_call()
    scene.server(created("r1"), spoken("m1", "Part one."), buffer("started"), spoken("m2", "aaaa bbbb cccc dddd", 1))
    scene.at(2.0).server(speech_started("u1"), buffer("cleared"), cancelled("r1"))
    assert ends(scene) == []
    scene.server(truncated("m2", 500))
    assert ends(scene) == [("m1", Verdict.FULL, 0, "Part one.", "server"), ("m2", Verdict.PARTIAL, 500, "aaaa bbbb", "server")]
    [cut] = told(scene.log, Interrupted)
    assert (cut.cause, cut.partial, cut.skipped, cut.estimated) == ("server", ("m2",), (), False)
    assert edits(scene) == []
    assert not any(isinstance(effect, Flush) for effect in scene.log)


@pytest.mark.parametrize("before", [True, False], ids=["truncated first", "cleared first"])
def test_the_order_in_which_the_server_says_it_does_not_matter(before: bool) -> None:
    scene = on_a_call()
    scene.server(created("r1"), spoken("m1", "aaaa bbbb cccc"), buffer("started"), speech_started("u1"))
    news = [truncated("m1", 400), buffer("cleared")] if before else [buffer("cleared"), truncated("m1", 400)]
    scene.server(*news, cancelled("r1"))
    assert ends(scene) == [("m1", Verdict.PARTIAL, 400, "aaaa bbbb", "server")]


def test_an_interruption_of_ours_clears_the_server_s_audio() -> None:  # DESIGN 5
    scene = on_a_call()
    scene.server(created("r1"), opened("m1"), transcript("m1", "aaaa bbbb cccc"), buffer("started"))
    scene.at(0.5).interrupt()
    assert edits(scene) == ["response.cancel", "output_audio_buffer.clear"]
    scene.server(buffer("cleared"), cancelled("r1", by="client_cancelled"), truncated("m1", 400))
    assert ends(scene) == [("m1", Verdict.PARTIAL, 400, "aaaa bbbb", "server")]
    assert [cut.cause for cut in told(scene.log, Interrupted)] == ["program"]
    assert edits(scene) == ["response.cancel", "output_audio_buffer.clear"]


def test_what_was_generated_to_its_end_is_only_cleared() -> None:
    scene = on_a_call()
    scene.server(created("r1"), spoken("m1", "aaaa bbbb"), buffer("started"), done("r1"))
    scene.at(0.5).interrupt()
    assert edits(scene) == ["output_audio_buffer.clear"]


def test_where_the_server_does_not_say_how_much_the_time_stands_for_it() -> None:
    scene = on_a_call()
    scene.server(created("r1"), spoken("m1", "aaaa bbbb cccc dddd"), buffer("started"))
    scene.at(0.6).server(speech_started("u1"), buffer("cleared"), cancelled("r1"))
    assert ends(scene) == []
    scene.at(1.2).tick()
    assert ends(scene) == [("m1", Verdict.PARTIAL, 600, "aaaa bbbb", "server")]
    assert [cut.estimated for cut in told(scene.log, Interrupted)] == [True]


def test_what_was_cut_before_it_sounded_was_not_heard() -> None:
    scene = on_a_call()
    scene.server(created("r1"), opened("m1"), transcript("m1", "Once"), speech_started("u1"), cancelled("r1"))
    assert ends(scene) == [("m1", Verdict.SKIPPED, 0, "", "server")]
    assert edits(scene) == []


def test_a_text_message_ends_as_anywhere() -> None:
    scene = on_a_call()
    scene.server(created("r1"), text_message("m1", "Seen."), done("r1"))
    assert [(end.verdict, end.told) for end in told(scene.log, MessageEnded)] == [(Verdict.TEXT, "nothing")]


def test_a_server_that_never_says_that_it_stopped_holds_up_nothing_for_ever() -> None:  # F078, invariant 12
    scene = on_a_call()
    scene.server(created("r1"), spoken("m1", "Hello."), buffer("started"), done("r1"))
    due = scene.session.deadline
    assert due is not None
    while scene.session.deadline is not None and not ends(scene):
        scene.at(scene.session.deadline.at).tick()
    assert [verdict for _, verdict, *_ in ends(scene)] == [Verdict.FULL]
    assert len(told(scene.log, ProtocolWarning)) == 1


def test_a_response_that_was_cut_is_not_given_up_while_audio_of_it_comes() -> None:  # F022, as on a websocket
    scene = on_a_call()
    scene.server(created("r1"), opened("m1"), buffer("started"), speech_started("u1"), buffer("cleared"), truncated("m1", 20))
    scene.at(9.0).server(audio("m1", 200))
    scene.at(18.0).tick()
    assert told(scene.log, ResponseEnded) == []
    scene.at(19.5).tick()
    assert [end.status for end in told(scene.log, ResponseEnded)] == ["cancelled"]


def test_a_session_that_ends_reckons_what_was_heard() -> None:  # F162
    scene = on_a_call()
    scene.server(created("r1"), spoken("m1", "aaaa bbbb cccc dddd"), buffer("started"))
    scene.at(0.5).close()
    assert ends(scene) == [("m1", Verdict.PARTIAL, 500, "aaaa bbbb", "server")]


# -- races with the server's own news --------------------------------------------------------------------------------------------


def test_what_had_sounded_to_its_end_as_it_was_cut_was_heard_in_full() -> None:  # DESIGN 5: its news was on the way
    scene = on_a_call()
    scene.server(created("r1"), spoken("m1", "Hello."), buffer("started"), done("r1"))
    scene.at(0.5).interrupt()
    scene.server(buffer("stopped"))
    assert [(verdict, text) for _, verdict, _, text, _ in ends(scene)] == [(Verdict.FULL, "Hello.")]
    assert told(scene.log, Interrupted) == [] and scene.session.speaking is False


def test_what_was_generated_and_has_not_begun_to_sound_is_cleared_too() -> None:
    scene = on_a_call()
    scene.server(created("r1"), spoken("m1", "Hello."), done("r1"))
    scene.at(0.1).interrupt()
    assert edits(scene) == ["output_audio_buffer.clear"]
    assert ends(scene) == []  # it may have begun: the news of that would be on the way
    scene.at(0.2).server(buffer("started"), truncated("m1", 90), buffer("cleared"))
    assert ends(scene) == [("m1", Verdict.PARTIAL, 90, "Hello.", "server")]


def test_what_was_cut_and_begins_to_sound_all_the_same_is_cleared() -> None:  # F030
    scene = on_a_call()
    scene.server(created("r1"), spoken("m1", "aaaa bbbb"), buffer("started"), done("r1"), created("r2"), opened("m2", r="r2"))
    scene.at(0.5).interrupt("r2")
    scene.server(cancelled("r2", by="client_cancelled"), buffer("stopped"), buffer("started", "r2"))
    assert edits(scene) == ["response.cancel", "output_audio_buffer.clear"]
    scene.server(buffer("cleared", "r2"), truncated("m2", 40))
    assert [(item, verdict, ms) for item, verdict, ms, *_ in ends(scene)] == [
        ("m1", Verdict.FULL, 0),
        ("m2", Verdict.PARTIAL, 40),
    ]
    assert len(told(scene.log, SpeakingStarted)) == 1


def test_what_began_before_our_clear_came_needs_no_other() -> None:  # a second one could hit what comes next
    scene = on_a_call()
    scene.server(created("r1"), opened("m1"), transcript("m1", "Once"))
    scene.interrupt()
    scene.server(buffer("started"), buffer("cleared"), truncated("m1", 40), cancelled("r1", by="client_cancelled"))
    assert edits(scene) == ["response.cancel", "output_audio_buffer.clear"]
    assert [(item, verdict, ms) for item, verdict, ms, *_ in ends(scene)] == [("m1", Verdict.PARTIAL, 40)]


def test_a_response_that_a_late_clear_hit_is_not_let_go_on() -> None:  # a clear names no response
    scene = on_a_call()
    scene.server(created("r1"), opened("m1"), buffer("started"))
    scene.interrupt()
    scene.server(buffer("stopped"), cancelled("r1", by="client_cancelled"), created("r2"), opened("m2", r="r2"))
    scene.server(buffer("started", "r2"), buffer("cleared", "r2"), truncated("m2", 80))
    assert edits(scene) == ["response.cancel", "output_audio_buffer.clear", "response.cancel"]
    assert sent(scene.log)[-1]["response_id"] == "r2"
    assert [(item, verdict) for item, verdict, *_ in ends(scene)][-1] == ("m2", Verdict.PARTIAL)


def behind_a_clear(last: list[dict[str, Any]]) -> Scene:
    """r1 sounds, r2 waits and is cut, r3 waits behind it; the clear that r2 gets as it begins empties the line."""
    scene = on_a_call()
    scene.server(created("r1"), spoken("m1", "aaaa bbbb"), buffer("started"), done("r1"))
    scene.server(created("r2"), spoken("m2", "cccc dddd", r="r2"), done("r2"))
    scene.at(0.5).interrupt("r2")
    scene.server(created("r3"), spoken("m3", "eeee ffff", r="r3"), last)
    scene.at(4.0).server(buffer("stopped"), buffer("started", "r2"))
    assert edits(scene) == ["output_audio_buffer.clear"]
    scene.at(4.1).server(buffer("cleared", "r2"))
    return scene


def test_what_waited_behind_what_a_clear_was_meant_for_is_not_let_go_on() -> None:  # a clear empties the line, F030
    scene = behind_a_clear([])
    assert edits(scene) == ["output_audio_buffer.clear", "response.cancel"]
    assert sent(scene.log)[-1]["response_id"] == "r3"
    scene.at(4.2).server(buffer("started", "r3"))  # what was generated behind the clear
    assert edits(scene) == ["output_audio_buffer.clear", "response.cancel", "output_audio_buffer.clear"]
    scene.at(4.3).server(cancelled("r3", by="client_cancelled"), buffer("stopped", "r3"))
    scene.at(20.0).tick()
    verdicts = {item: verdict for item, verdict, *_ in ends(scene)}
    assert verdicts["m1"] is Verdict.FULL and verdicts["m3"] is not Verdict.FULL  # the end of it is not all of it


def test_what_a_clear_dropped_whole_was_not_heard() -> None:
    scene = behind_a_clear(done("r3"))
    assert edits(scene) == ["output_audio_buffer.clear", "response.create"]  # what it answered is asked for once more
    assert [(item, verdict) for item, verdict, *_ in ends(scene)] == [("m1", Verdict.FULL), ("m3", Verdict.SKIPPED)]


def test_a_call_that_is_cut_gets_its_output_from_here() -> None:  # invariant 10; nothing is deleted on a call
    scene = on_a_call()
    scene.server(created("r1"), opened("m1"), buffer("started"))
    scene.interrupt()
    scene.server(call("c1"), cancelled("r1", by="client_cancelled"))
    outputs = [event["item"] for event in sent(scene.log) if event["type"] == "conversation.item.create"]
    assert [(item["type"], item["call_id"]) for item in outputs] == [("function_call_output", "c1")]
    assert "was not called" in outputs[0]["output"] and told(scene.log, ToolCalled) == []


def test_one_response_of_two_is_cut_without_clearing_the_other() -> None:  # a clear names no response
    scene = on_a_call()
    scene.server(created("r1"), spoken("m1", "aaaa bbbb"), buffer("started"), done("r1"), created("r2"), opened("m2", r="r2"))
    scene.at(0.5).interrupt("r2")
    assert edits(scene) == ["response.cancel"]
    scene.server(cancelled("r2", by="client_cancelled"), buffer("stopped"))
    scene.at(4.0).tick()
    assert [(item, verdict) for item, verdict, *_ in ends(scene)] == [("m1", Verdict.FULL), ("m2", Verdict.SKIPPED)]


def test_what_is_cut_waits_behind_everything_that_was_created_before_it() -> None:  # invariant 6: it may sound all the same
    scene = on_a_call()
    for r in ("r1", "r2", "r3"):
        scene.server(created(r), spoken(f"m{r}", "aaaa bbbb", r=r), done(r))
    scene.server(buffer("started", "r1"))
    scene.at(0.5).interrupt("r3")
    scene.at(5.0).server(buffer("stopped", "r1"), buffer("started", "r2"))
    assert [end[:2] for end in ends(scene.at(7.0))] == [("mr1", Verdict.FULL)]
    scene.tick()
    scene.at(9.0).server(buffer("stopped", "r2"), buffer("started", "r3"))
    assert edits(scene) == ["output_audio_buffer.clear"]
    scene.at(9.2).server(buffer("cleared", "r3"), truncated("mr3", 150))
    assert [end[:3] for end in ends(scene)][1:] == [("mr2", Verdict.FULL, 0), ("mr3", Verdict.PARTIAL, 150)]


def test_a_stale_answer_may_sound_before_it_is_cancelled() -> None:  # DESIGN 3, invariant 6
    scene = on_a_call(stale_context="recreate")
    scene.server(created("r0"), spoken("m0", "aaaa", r="r0"), buffer("started", "r0"), done("r0"), buffer("stopped", "r0"))
    scene._issued(scene.session.sync_history([], now=scene.now))
    scene.server(speech_started("u1"), turn("u1"), created("r1"), spoken("m1", "aaaa bbbb"), buffer("started"))
    assert edits(scene) == ["conversation.item.delete", "response.cancel", "output_audio_buffer.clear"]
    assert [end[:2] for end in ends(scene)] == [("m0", Verdict.FULL)]
    scene.at(0.3).server(cancelled("r1", by="client_cancelled"), buffer("cleared"), truncated("m1", 260))
    assert [end[:3] for end in ends(scene)][1:] == [("m1", Verdict.PARTIAL, 260)]


@pytest.mark.parametrize("sounds", ["r1", "nobody's"])
def test_what_was_cut_behind_sound_that_never_ends_is_settled_all_the_same(
    sounds: str,
) -> None:  # B31, DESIGN 3: no wait for ever
    scene = on_a_call()
    scene.server(created("r1"), spoken("m1", "aaaa bbbb"), buffer("started", sounds), done("r1"))
    scene.at(0.1).interrupt("r1" if sounds == "r1" else None)  # the server says nothing of it, then or later
    scene.server(created("r2"), opened("m2", r="r2"))
    scene.at(0.2).interrupt("r2")
    scene.server(cancelled("r2", by="client_cancelled"))
    for _ in range(200):
        if scene.session.deadline is not None:
            scene.at(scene.session.deadline.at).tick()
    assert scene.session.deadline is None
    assert {item for item, *_ in ends(scene)} == {"m1", "m2"}


def test_a_clear_that_nothing_answers_is_no_error() -> None:  # there was nothing to clear
    scene = on_a_call()
    scene.server(created("r1"), opened("m1"))
    scene.interrupt()
    scene.server(cancelled("r1", by="client_cancelled"))
    while scene.session.deadline is not None:
        scene.at(scene.session.deadline.at).tick()
    assert told(scene.log, ServerError) == []
    assert [verdict for _, verdict, *_ in ends(scene)] == [Verdict.SKIPPED]


def test_only_what_the_server_did_not_say_is_an_estimate() -> None:
    scene = on_a_call()
    scene.server(created("r1"), spoken("m1", "aaaa bbbb cccc"), buffer("started"), speech_started("u1"))
    scene.server(truncated("m1", 400), buffer("cleared"), cancelled("r1"))
    assert [end.estimated for end in told(scene.log, MessageEnded)] == [False]
    scene.server(created("r2"), spoken("m2", "aaaa bbbb cccc", r="r2"), buffer("started", "r2"))
    scene.at(1.0).server(speech_started("u2"), buffer("cleared", "r2"), cancelled("r2"))
    scene.at(2.0).tick()
    assert [end.estimated for end in told(scene.log, MessageEnded)] == [False, True]


def test_a_cut_of_which_the_server_says_nothing_at_all_is_an_estimate() -> None:  # the line stands still: DESIGN 3
    scene = on_a_call()
    scene.server(created("r1"), opened("m1"), transcript("m1", "Once"))
    scene.at(0.2).interrupt()  # it may sound by now, and the news of that may be on its way
    while scene.session.deadline is not None and not ends(scene):
        scene.at(scene.session.deadline.at).tick()
    assert [(item, verdict) for item, verdict, *_ in ends(scene)] == [("m1", Verdict.SKIPPED)]
    assert [cut.estimated for cut in told(scene.log, Interrupted)] == [True]


def test_what_comes_of_a_cut_response_after_the_line_stood_still_waits_for_what_the_server_says_of_it() -> None:  # F022, F030
    scene = on_a_call()
    scene.server(created("r1"))
    scene.at(0.1).interrupt()
    scene.at(10.2).tick()
    assert [end.status for end in told(scene.log, ResponseEnded)] == ["cancelled"]  # not a word of it for so long
    scene.at(12.0).server(spoken("m1", "Hello."), buffer("started"))
    assert ends(scene) == []
    scene.server(buffer("cleared"), done("r1"), truncated("m1", 90))
    assert [(item, verdict, ms, how) for item, verdict, ms, _, how in ends(scene)] == [("m1", Verdict.PARTIAL, 90, "server")]
    assert [(cut.partial, cut.estimated) for cut in told(scene.log, Interrupted)] == [(("m1",), False)]


def test_what_comes_of_a_cut_response_after_the_line_stood_still_may_never_have_sounded() -> None:  # F022, invariant 12
    for last in ([], done("r1")):
        scene = on_a_call()
        scene.server(created("r1"))
        scene.at(0.1).interrupt()
        scene.at(10.2).tick()
        scene.at(12.0).server(opened("m1"), last)
        while scene.session.deadline is not None and not ends(scene):
            scene.at(scene.session.deadline.at).tick()
        assert [(item, verdict, ms) for item, verdict, ms, *_ in ends(scene)] == [("m1", Verdict.SKIPPED, 0)]


def test_a_call_cannot_be_held() -> None:
    scene = on_a_call()
    with pytest.raises(LocalProtocolError, match=r"interrupt\(\) silences it"):
        scene.session.pause(now=1.0)


def test_elsewhere_the_events_of_a_call_mean_nothing() -> None:  # facts 4.15: on a websocket none of this exists
    scene = Scene(configured())
    scene.open()
    scene.connected()
    scene.server(session_created(), session_updated(), created("r1"), opened("m1"), audio("m1", 500))
    scene.server(buffer("started"), buffer("cleared"), buffer("stopped"), truncated("m1", 100))
    assert told(scene.log, Interrupted) == [] and ends(scene) == [] and told(scene.log, SpeakingStarted) == []
