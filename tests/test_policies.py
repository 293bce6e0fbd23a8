"""Decisions of the program's own: recorded by their names, replayed with the functions, offered in every runtime."""

import asyncio
from functools import partial
from typing import Any

import pytest
import trio
from helpers.scene import (
    KEY,
    configured,
    ready,
    told,
)
from helpers.wire import (
    CLIENT_VAD,
    Script,
    audio,
    created,
    done,
    encode,
    message,
    opened,
    session_created,
    session_updated,
    speech_started,
    truncated,
)
from loopback import config, served, served_in_a_thread, until
from virtual_loop import run

from rtcore import (
    Clock,
    Flush,
    Interrupted,
    Play,
    PolicyFailed,
    Session,
    SpeakingStarted,
)
from rtcore.policies import (
    CUT,
    DEFAULT,
    IGNORE,
    InterruptionAnswer,
    InterruptionView,
    LeadView,
    Policies,
    lead,
)
from rtcore.recording import Keep, RecordedSession, Recording, read, replay, steps
from rtcore.sim.server import ServerOptions, spoken
from rtcore_adapters import asyncio as on_asyncio
from rtcore_adapters import threads as on_threads
from rtcore_adapters import trio as on_trio
from rtcore_adapters._recording import recorder
from rtcore_adapters.audio import VirtualSpeaker
from rtcore_adapters.cli import main


def never(view: InterruptionView) -> InterruptionAnswer:
    """Nothing interrupts."""
    return IGNORE


def late(view: InterruptionView) -> InterruptionAnswer:
    """What was heard for less than a second is not interrupted."""
    return CUT if view.heard_ms >= 1000 else IGNORE


def converse(session: Session) -> list[int]:
    """A barge-in at 0.5 s, and one at 1.5 s; gives the generations that were flushed."""
    session.open(now=0.0)
    session.connected(1, now=0.0)
    scripts: list[tuple[float, Script]] = [
        (0.0, session_created() + session_updated(turn_detection=CLIENT_VAD)),
        (0.0, created() + message("m1", 4000) + done()),
        (0.5, speech_started("u1")),
        (1.5, speech_started("u2")),
    ]
    flushed: list[int] = []
    for at, script in scripts:
        if at:
            session.played(1, round(at * 24_000), now=at)
        for event in script:
            effects = session.receive(1, encode(event), now=at)
            flushed += [effect.generation for effect in effects if isinstance(effect, Flush)]
    return flushed


def recorded(policies: Policies | None) -> Recording:
    lines: list[bytes] = []
    session = RecordedSession(configured(), seed=3, sink=lines.append, keep=Keep(text=True), policies=policies)
    converse(session)
    session.finish()
    return read(lines)


def test_policies_have_names_and_defaults() -> None:
    assert (Policies().own, DEFAULT.own, Policies(interruption=never).own) == ((), (), ("interruption",))


@pytest.mark.parametrize(
    ("policies", "flushed"), [(None, [1]), (Policies(interruption=late), [1]), (Policies(interruption=never), [])]
)
def test_a_session_decides_as_the_program_does(policies: Policies | None, flushed: list[int]) -> None:
    assert converse(Session(configured(), seed=3, policies=policies)) == flushed


def test_a_recording_with_the_defaults_replays_as_before() -> None:
    recording = recorded(None)
    assert (recording.header.policies, replay(recording).difference) == ((), None)


def test_a_recording_names_the_program_s_own_decisions_and_replays_with_them() -> None:
    own = Policies(interruption=late)
    recording = recorded(own)
    assert (recording.header.policies, replay(recording, policies=own).difference) == (("interruption",), None)


def test_without_them_the_replay_says_where_it_parts() -> None:
    difference = replay(recorded(Policies(interruption=late))).difference
    assert difference is not None
    assert (difference.at, difference.do) == (0.5, "receive")


def test_a_factory_may_bring_them_as_well() -> None:
    own = Policies(interruption=never)
    same = [step.same for step in steps(recorded(own), factory=partial(Session, policies=own))]
    assert same and all(same)


def test_rtcore_replay_says_that_functions_are_missing(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "call.jsonl"
    with recorder(path) as found:
        converse(found.session(configured(), clock=Clock(), seed=3, policies=Policies(interruption=never)))
    assert main(["replay", str(path)]) == 1
    assert "decided interruption by functions of its own" in capsys.readouterr().out


def test_a_key_in_a_policy_s_failure_is_hidden_like_anywhere_else() -> None:
    def broken(view: InterruptionView) -> InterruptionAnswer:
        raise RuntimeError(f"with {KEY}")

    session = Session(configured(), seed=3, policies=Policies(interruption=broken))
    session.open(now=0.0)
    session.connected(1, now=0.0)
    script = session_created() + session_updated(turn_detection=CLIENT_VAD) + created() + message("m1", 400) + speech_started()
    told = " ".join(repr(effect) for event in script for effect in session.receive(1, encode(event), now=0.0))
    assert "PolicyFailed" in told
    assert KEY not in told


# -- the lead --------------------------------------------------------------------------------------------------------------------


def handed(effects: list[Any]) -> int:
    """Milliseconds that were handed to the clock."""
    return sum(len(effect.pcm) for effect in effects if isinstance(effect, Play)) // 48


def shorter(view: LeadView) -> int | None:
    """Half a second, less with each generation, and more each time that the clock ran dry."""
    return 500 // view.generation + 100 * view.underruns


def test_the_default_lead_is_the_option() -> None:
    view = LeadView(1, lead_ms=300, report_ms=20, latency_ms=0, underruns=0, ran_dry=False)
    assert (lead(view), Policies(lead=shorter).own) == (300, ("lead",))


def test_the_lead_is_decided_anew_with_each_generation_and_not_with_each_delta() -> None:  # B31, C12
    seen: list[LeadView] = []

    def watched(view: LeadView) -> int | None:
        seen.append(view)
        return shorter(view)

    scene = ready(configured(), policies=Policies(lead=watched), turn_detection=CLIENT_VAD)
    first = scene.server(created("r1"), opened("m1"), *(audio("m1", 100, start_ms=at) for at in range(0, 3000, 100)))
    first += scene.at(0.5).played(1, 500)
    scene.barge_in(500)
    second = scene.server(done("r1", "cancelled"), truncated("m1", 500), created("r2"), message("m2", 1000, r="r2"))
    assert (handed(first), handed(second)) == (1000, 250)
    assert [(view.generation, view.ran_dry) for view in seen] == [(1, False), (2, False)]


def test_the_lead_is_decided_anew_when_the_clock_ran_dry() -> None:  # C19, F147
    scene = ready(configured(), policies=Policies(lead=shorter))
    scene.server(created("r1"), opened("m1"), audio("m1", 2000))
    assert handed(scene.log) == 500
    assert handed(scene.at(0.6).underrun(1)) == 100


def test_a_clock_is_never_given_less_than_it_needs_to_say_where_it_stands() -> None:  # C19
    scene = ready(configured(), clock=Clock(report_ms=200, latency_ms=30), policies=Policies(lead=lambda view: 20))
    scene.server(created("r1"), message("m1", 1000))
    assert handed(scene.log) == 430


@pytest.mark.parametrize("given", [0, 19, -5, True, 40.0, "all"])
def test_a_lead_that_is_none_is_told_and_the_option_counts(given: Any) -> None:
    scene = ready(configured(playout={"lead_ms": 300}), policies=Policies(lead=lambda view: given))
    scene.server(created("r1"), message("m1", 1000))
    assert handed(scene.log) == 300
    assert [notice.policy for notice in told(scene.log, PolicyFailed)] == ["lead"]


def test_a_lead_of_the_program_s_own_replays_with_it() -> None:  # C30, B31
    own = Policies(lead=shorter)
    recording = recorded(own)
    assert (recording.header.policies, replay(recording, policies=own).difference) == (("lead",), None)
    assert replay(recording).difference is not None


# -- every runtime takes them, and mutes -----------------------------------------------------------------------------------------

SPOKEN = ServerOptions(script=tuple(spoken(2000) for _ in range(6)))


def test_asyncio_takes_policies_and_mutes() -> None:  # F126
    async def conversing() -> None:
        speaker = VirtualSpeaker()
        async with served(SPOKEN) as (url, _):
            own = Policies(interruption=late)
            async with on_asyncio.connect(config(url), speaker=speaker, policies=own) as conversation:
                conversation.mute()
                muted = [conversation.muted]
                conversation.unmute()
                muted.append(conversation.muted)
                assert muted == [True, False]
                conversation.send_text("Go on.")
                await until(conversation, SpeakingStarted)
                conversation.speech("started")
                await asyncio.sleep(1.2)
                assert conversation.speaking
                conversation.speech("started")
                assert (await until(conversation, Interrupted)).cause == "local"

    run(conversing())


def test_trio_takes_policies_and_mutes() -> None:  # F126
    async def conversing(url: str) -> None:
        async with on_trio.connect(config(url), speaker=VirtualSpeaker(), policies=Policies(interruption=never)) as conversation:
            conversation.mute()
            assert conversation.muted
            conversation.unmute()
            conversation.send_text("Go on.")
            async for notice in conversation:
                if isinstance(notice, SpeakingStarted):
                    break
            conversation.speech("started")
            assert conversation.speaking

    with served_in_a_thread(options=SPOKEN) as url:
        trio.run(conversing, url)


def test_threads_take_policies_and_mute() -> None:  # F126
    own = Policies(interruption=never)
    with served_in_a_thread(options=SPOKEN) as url, on_threads.connect(config(url), policies=own) as conversation:
        conversation.mute()
        assert conversation.muted
        conversation.unmute()
        conversation.send_text("Go on.")
        next(notice for notice in conversation if isinstance(notice, SpeakingStarted))
        conversation.speech("started")
        assert conversation.speaking
