"""What the model knew when it was asked: stale answers accepted or taken back, exact context, requests that become one."""

from typing import Any, Literal

import pytest
from helpers import wire
from helpers.scene import (
    Scene,
    cancel,
    configured,
    create,
    event_id,
    kinds,
    outcomes,
    ready,
    sent,
    sounded,
    spoken,
    talking,
    told,
    truncate,
)
from helpers.wire import (
    CLIENT_VAD,
    SERVER_VAD,
    audio,
    call,
    cancelled,
    created,
    deleted,
    done,
    error,
    message,
    opened,
    pcm,
    speech_started,
    speech_stopped,
    truncated,
    turn,
    user_item,
)

from rtcore import ContextStale, Effect, PolicyFailed, RequestEnded
from rtcore.policies import ContextView, Policies

EXACT = {**SERVER_VAD, "create_response": False}
OOB = {"conversation": "none"}


def cut(stale_context: str = "recreate", **options: object) -> Scene:
    """Half of a message was heard when the server heard a person; the truncate is on its way."""
    scene = talking(
        opened("a"), audio("a", 2000), heard_ms=500, at=0.5, config=configured(stale_context=stale_context, **options)
    )
    scene.barge_in(500)
    scene.server(cancelled(), turn("u1"))
    return scene


# -- stale answers -----------------------------------------------------------------------------------------------------


def test_a_stale_answer_stands_by_default() -> None:  # DESIGN 3: context_stale, a policy accepts it
    scene = cut("accept")
    effects = scene.server(created("r2"), message("b", 100, r="r2"))
    assert (told(effects, ContextStale), kinds(effects)) == ([ContextStale("r2")], [])


def test_a_stale_answer_is_cancelled_unheard_and_asked_for_again_after_the_edits() -> None:  # DESIGN 3: context_stale
    scene = cut()
    begun = scene.server(created("r2"))
    late = scene.server(opened("b", r="r2"), audio("b", 300, r="r2"), cancelled("r2", by="client_cancelled"))
    edited = scene.server(truncated("a", 500), deleted("b"))
    [again] = sent(edited)
    heard = scene.server(created("r3", request=int(again["response"]["metadata"]["rtcore_request"])), message("c", 100, r="r3"))
    assert (sent(begun), told(begun, ContextStale), kinds(late), sounded(late)) == (
        [cancel("r2")],
        [ContextStale("r2", recreated=True)],
        ["conversation.item.delete"],
        b"",
    )
    assert (again["type"], sounded(heard), told(heard, ContextStale)) == ("response.create", pcm("c", 100), [])


def test_the_answer_that_is_asked_for_again_is_one() -> None:  # C15, DESIGN 6 invariant 1
    scene = cut()
    scene.server(created("r2"), truncated("a", 500))
    once = scene.server(cancelled("r2", by="client_cancelled"))
    assert (kinds(once), kinds(scene.at(20.0).tick())) == (["response.create"], ["response.create"])  # no answer came: F061
    later = scene.server(created("r3", request=2), done("r3"))
    assert kinds(later + scene.at(60.0).tick()) == []


def test_a_person_who_speaks_again_is_answered_by_the_server_instead() -> None:  # C16, F060
    scene = cut()
    scene.server(created("r2"), truncated("a", 500), speech_started("u2"), cancelled("r2", by="client_cancelled"))
    waits = scene.server(speech_stopped("u2"))
    answered = scene.server(turn("u2", previous="u1")[1:], created("r3"), message("c", 100, r="r3"), done("r3"))
    assert (kinds(waits), kinds(answered), sounded(answered)) == ([], [], pcm("c", 100))


def test_function_results_that_a_stale_answer_saw_are_answered_by_the_next() -> None:  # C15, C26
    config = configured(stale_context="recreate")
    scene = talking(message("a", 2000), call("c1", index=1), heard_ms=500, at=0.5, config=config)
    scene.barge_in(500)
    scene.tool_result("c1", "21")
    scene.server(cancelled(), turn("u1"), created("r2"), truncated("a", 500))
    after = scene.server(cancelled("r2", by="client_cancelled"))
    assert kinds(after) == ["response.create"]


def test_a_response_of_ours_is_never_stale() -> None:  # DESIGN 3: edits come before creations
    scene = spoken(message("a", 2000), heard_ms=500, at=0.5, config=configured(stale_context="recreate"))
    scene.respond()
    request = scene.request
    scene.answering(scene.interrupt("r1"), 500)
    assert told(scene.server(created("r2", request=request)), ContextStale) == []


def test_with_an_exact_context_an_answer_that_the_server_gives_all_the_same_is_taken_back() -> None:  # DESIGN 3: exact
    config = configured(context="exact")
    scene = talking(opened("a"), audio("a", 2000), heard_ms=500, at=0.5, config=config, turn_detection=EXACT)
    scene.barge_in(500)
    effects = scene.server(cancelled(), created("r2"))
    assert (told(effects, ContextStale), kinds(effects)) == ([ContextStale("r2", recreated=True)], ["response.cancel"])


# -- exact context -----------------------------------------------------------------------------------------------------


def _spoken_turn(scene: Scene) -> list[Effect]:
    return scene.server(turn("u1", previous="a"))


def _manual_turn(scene: Scene) -> list[Effect]:
    scene.append(bytes(9600))
    return scene.commit() + scene.respond()


def _function_result(scene: Scene) -> list[Effect]:
    return scene.tool_result("c1", "21") + scene.server(turn("u1", previous="a"))


def _typed(scene: Scene) -> list[Effect]:
    return scene.say("And tomorrow?", interrupt=False)


def _beside(scene: Scene) -> list[Effect]:
    return scene.respond(OOB)


WAYS = {
    "spoken": (_spoken_turn, EXACT),
    "push to talk": (_manual_turn, None),
    "function result": (_function_result, EXACT),
    "typed": (_typed, EXACT),
    "out of band": (_beside, EXACT),
}


@pytest.mark.parametrize("way", WAYS)
def test_with_an_exact_context_nothing_is_asked_before_the_edit_is_acknowledged(way: str) -> None:  # DESIGN 3, C15, C16, B28
    ask, detection = WAYS[way]
    scene = talking(
        message("a", 2000),
        call("c1", index=1),
        done("r1"),
        heard_ms=500,
        at=0.5,
        config=configured(context="exact"),
        turn_detection=detection,
    )
    edits = scene.answering(scene.server(speech_started()) if detection else scene.interrupt(), 500)
    asked = ask(scene)
    assert truncate("a", 500) in sent(edits)
    assert "response.create" not in kinds(asked)
    released = kinds(scene.server(speech_stopped() if way in ("typed", "out of band") else [], truncated("a", 500)))
    released += kinds(scene.server(user_item("i", previous="a")))
    assert released.count("response.create") == 1


# -- requests that become one ------------------------------------------------------------------------------------------


def test_every_request_keeps_its_own_response_by_default() -> None:  # C15: explicit ones keep their order and parameters
    scene = talking()
    effects = scene.respond() + scene.respond() + scene.say("Hm?", interrupt=False)
    assert told(effects, RequestEnded) == []


def test_plain_requests_that_wait_become_one_and_those_with_options_do_not() -> None:  # C15, F060
    scene = talking(config=configured(coalesce="plain"))
    scene.respond()
    first = scene.request
    scene.respond({"instructions": "Briefly."})
    special = scene.request
    scene.respond(OOB)
    effects = scene.respond()
    last = scene.request
    said = scene.server(done("r1")) + scene.server(created("r2", request=special), done("r2"))
    assert (outcomes(effects), sent(said)) == (
        [(first, "superseded")],
        [create(special, instructions="Briefly."), create(last)],
    )


def test_texts_that_are_typed_one_after_the_other_are_answered_together() -> None:  # C15, F060, F044
    scene = talking(config=configured(coalesce="plain", interruption="ignore"), turn_detection=CLIENT_VAD)
    scene.say("One.", interrupt=False)
    one = scene.request
    effects = scene.say("Two.", interrupt=False)
    after = scene.server(done("r1"))
    assert (outcomes(effects), kinds(effects), kinds(after)) == (
        [(one, "superseded")],
        ["conversation.item.create"],
        ["response.create"],
    )


@pytest.mark.parametrize("sent", [False, True])
def test_a_text_whose_request_gave_way_is_answered_though_the_later_one_is_refused(*, sent: bool) -> None:  # C15, F071, F060
    scene = talking(config=configured(coalesce="plain", interruption="ignore"), turn_detection=CLIENT_VAD)
    scene.say("One.", interrupt=False)
    later = scene.say("Two.", interrupt=False)
    two = scene.request
    refusal = error("invalid_value", "too long", event_id=event_id(later, "conversation.item.create"))
    steps = [done("r1"), refusal] if sent else [refusal, done("r1")]
    effects = scene.server(*steps)
    assert (kinds(effects), outcomes(effects)) == (["response.create"], [(two, "failed")])
    number = two if sent else two + 1
    answer = scene.server(created("r2", request=number), message("m2", 500, r="r2"), done("r2", request=number))
    assert (sounded(answer) != b"", outcomes(answer)) == (True, [])


def test_a_turn_whose_request_gave_way_is_answered_though_the_later_one_has_no_answer() -> None:  # C15, B13
    scene = talking(config=configured(coalesce="plain", interruption="ignore"), turn_detection=None)
    scene.append(bytes(9600))
    scene.commit()
    scene.respond()
    scene.say("Two.", interrupt=False)
    two = scene.request
    assert outcomes(scene.at(60.0).tick()) == [(two - 2, "timed_out"), (two, "timed_out")]
    effects = scene.server(done("r1"))
    assert (kinds(effects), outcomes(effects)) == (["response.create"], [])


@pytest.mark.parametrize("last", ["One.", "Two."])
def test_where_both_texts_are_refused_nothing_is_answered(last: str) -> None:  # C15, F071
    scene = talking(config=configured(coalesce="plain", interruption="ignore"), turn_detection=CLIENT_VAD)
    one, two = scene.say("One.", interrupt=False), scene.say("Two.", interrupt=False)
    for each in (one, two) if last == "Two." else (two, one):
        scene.server(error("invalid_value", "too long", event_id=event_id(each, "conversation.item.create")))
    assert kinds(scene.server(done("r1"))) == []


def test_a_request_that_is_held_back_or_uninterruptible_gives_way_to_nothing() -> None:  # C15, F060, F161, F054
    scene = ready(configured(coalesce="plain"), turn_detection=CLIENT_VAD)
    scene.server(created("r1"))
    scene.respond(interruptible=False)
    scene._issued(scene.session.respond(hold_ms=800, now=scene.now))
    scene._issued(scene.session.respond(hold_ms=0, now=scene.now))
    effects = scene.respond() + scene.respond()
    assert outcomes(effects) == [(4, "superseded")]


def test_a_request_that_stands_for_a_typed_text_answers_it_also_after_a_cough() -> None:  # C15, F060, F120
    scene = talking(config=configured(coalesce="plain"), turn_detection=CLIENT_VAD)
    scene.say("One.", interrupt=False)
    assert outcomes(scene.respond()) == [(1, "superseded")]
    scene.server(done("r1"), created("r2", request=scene.request))
    scene.at(0.5).server(speech_started("u1"), done("r2", "cancelled", "client_cancelled"))
    scene.at(0.7).server(speech_stopped("u1"))
    assert kinds(scene.at(2.7).tick()) == ["response.create"]


def test_a_request_that_was_sent_is_not_superseded() -> None:  # C15, DESIGN 6 invariant 2
    scene = ready(configured(coalesce="plain"))
    scene.respond()
    sent_one = scene.request
    effects = scene.respond() + scene.server(created("r1", request=sent_one), done("r1"))
    assert outcomes(effects) == [(sent_one, "done")]


def test_a_superseded_request_ends_once() -> None:  # DESIGN 6 invariant 2
    scene = talking(config=configured(coalesce="plain"))
    scene.respond()
    first = scene.request
    scene.respond()
    scene.interrupt()
    scene.at(200.0).tick()
    assert [outcome for request, outcome in outcomes(scene.log) if request == first] == ["superseded"]


# -- policies ----------------------------------------------------------------------------------------------------------


def _with(policies: Policies, **options: object) -> Scene:
    return ready(configured(**options), policies=policies)


def test_a_policy_may_judge_by_how_much_was_not_heard() -> None:  # DESIGN 3: a policy accepts it or re-creates it
    seen: list[ContextView] = []

    def mine(view: ContextView) -> Literal["accept", "recreate"]:
        seen.append(view)
        return "recreate" if view.unheard_ms is None or view.unheard_ms > 1_000 else "accept"

    scene = _with(Policies(context=mine))
    scene.server(created("r1"), opened("a"), audio("a", 2000))
    scene.at(0.5).barge_in(500)
    effects = scene.server(cancelled(), turn("u1"), created("r2"))
    assert (seen, told(effects, ContextStale)) == (
        [ContextView("r2", "auto", "accept", 1500)],
        [ContextStale("r2", recreated=True)],
    )


def test_a_policy_may_say_which_requests_are_one() -> None:  # C15
    scene = _with(Policies(creation=lambda view: tuple(wanted.request for wanted in view.waiting[:-1])))
    scene.server(created("r1"))
    scene.respond({"instructions": "x"})
    effects = scene.respond()
    assert outcomes(effects) == [(1, "superseded")]


@pytest.mark.parametrize("given", [(99,), (2, 99), ("1",), (True,), (1.0,), [1], None])
def test_a_policy_that_names_what_does_not_wait_is_told_and_the_default_decides(given: Any) -> None:  # C15, issue 6
    scene = _with(Policies(creation=lambda view: given), coalesce="plain")
    scene.server(created("r1"))
    scene.respond()
    effects = scene.respond()
    assert [notice.policy for notice in told(effects, PolicyFailed)] == ["creation"]
    assert outcomes(effects) == [(1, "superseded")]


@pytest.mark.parametrize("given", ["perhaps", 5, None])
def test_a_policy_that_gives_no_answer_is_told_and_the_default_decides(
    given: Any,
) -> None:  # DESIGN 2: policies are pure functions
    scene = _with(Policies(context=lambda view: given), stale_context="recreate")
    scene.server(created("r1"), opened("a"), audio("a", 2000))
    scene.at(0.5).barge_in(500)
    effects = scene.server(cancelled(), turn("u1"), created("r2"))
    assert (len(told(effects, PolicyFailed)), told(effects, ContextStale)) == (1, [ContextStale("r2", recreated=True)])


def test_a_response_that_nobody_announced_is_not_taken_back_while_an_answer_of_ours_is_awaited() -> None:
    """C16, facts 4.10: it may be ours, and nobody says whose it is before its end."""
    scene = ready(configured(stale_context="recreate"))
    scene.server(wire.created("r1"), wire.item_added("m1")[:1], wire.part_added("m1"))
    scene.barge_in(0)
    scene.server(wire.cancelled("r1"), wire.turn("u1"), wire.created("r2"), wire.done("r2"))
    scene.respond()
    assert kinds(scene.server(wire.announce("m1"))) == ["conversation.item.delete"]  # an edit, and our answer is under way
    assert kinds(scene.server(wire.item_added("m3", r="r3"))) == []
