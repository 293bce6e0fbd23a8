"""The test bench in virtual time: a script, asyncio, trio and the bare core, and what came of it (issue 7, 2)."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rtcore import (
    Config,
    Interrupted,
    MessageEnded,
    MessageStarted,
    Notice,
    Reconnecting,
    RequestEnded,
    ResponseEnded,
    SessionClosed,
    Underrun,
    Verdict,
)
from rtcore.config import AudioInput, AudioOptions, Connection, Reconnect, ServerVad, SessionOptions
from rtcore_adapters import trio as on_trio
from rtcore_adapters.asyncio import ConnectionFailed, connect
from rtcore_adapters.testing import Memory, RealtimeServer, ScriptError, Written, call
from rtcore_adapters.testing._faults import KNOWN

FRANCE = "Paris is the capital of France."
Play = Callable[[RealtimeServer], list[Notice]]


def on_asyncio_by_url(server: RealtimeServer, **options: Any) -> list[Notice]:
    async def talk() -> None:
        async with connect(Config(connection=server.connection), speaker=server.speaker(), seed=1, **options) as conversation:
            async for notice in conversation:
                found.append(notice)

    found: list[Notice] = []
    server.run(talk, until_over=True)
    return found


def on_asyncio(server: RealtimeServer) -> list[Notice]:
    return on_asyncio_by_url(server, dial=server.dial)


def on_trio_without_sockets(server: RealtimeServer) -> list[Notice]:
    async def talk() -> None:
        options: dict[str, Any] = {"speaker": server.speaker(), "dial": server.dial, "seed": 1}
        async with on_trio.connect(Config(connection=server.connection), **options) as conversation:
            async for notice in conversation:
                found.append(notice)

    found: list[Notice] = []
    server.run(talk, runtime="trio", until_over=True)
    return found


def on_the_core(server: RealtimeServer) -> list[Notice]:
    with server.core() as core:
        core.until_over()
    return core.notices


RUNTIMES = pytest.mark.parametrize("play", [on_asyncio, on_asyncio_by_url, on_trio_without_sockets, on_the_core])


# -- interruptions -----------------------------------------------------------------------------------------------------------


@RUNTIMES
@pytest.mark.parametrize("word", [1, 3, 5])
def test_the_user_interrupts_at_a_word_and_exactly_those_before_it_were_heard(play: Play, word: int) -> None:  # B01, B20
    with RealtimeServer() as server:
        server.user_says("What is the capital of France?")
        answer = server.answers(FRANCE)
        server.user_interrupts("And of Italy?", at_word=word)
        server.answers("Rome.")
        play(server)
        heard = " ".join(FRANCE.split()[:word])
        assert server.heard == [heard, "Rome."]
        assert server.remembers == [
            Memory("user", "What is the capital of France?"),
            Memory("assistant", heard),
            Memory("user", "And of Italy?"),
            Memory("assistant", "Rome."),
        ]
        spoken = answer.words[word - 1]
        [told] = server.sent("conversation.item.truncate")
        assert spoken.sound_end_ms <= told["audio_end_ms"] <= spoken.end_ms
        assert (server.unheard_left, server.refusals, server.findings, server.left) == ([], [], [], [])


@RUNTIMES
def test_of_several_messages_the_later_ones_are_unheard(play: Play) -> None:  # B03, S01
    with RealtimeServer() as server:
        server.user_says("Tell me a story.")
        server.answers("One two three.", "Four five six.", "Seven.")
        server.user_interrupts(at_word=5)
        server.answers("All right.")
        notices = play(server)
        assert server.heard == ["One two three.", "Four five", "", "All right."]
        assert [text for role, text in server.remembers if role == "assistant"] == ["One two three.", "Four five", "All right."]
        ended = [each for each in notices if isinstance(each, MessageEnded)]
        assert [each.verdict for each in ended] == [Verdict.FULL, Verdict.PARTIAL, Verdict.SKIPPED, Verdict.FULL]
        assert server.unheard_left == []


def test_equal_runs_are_equal_on_every_virtual_runtime() -> None:  # C30, invariant 14
    told = []
    for play in (on_asyncio, on_asyncio, on_trio_without_sockets):
        with RealtimeServer() as server:
            server.user_says("Hello?")
            server.answers("One two three four five.", "Six seven.")
            server.user_interrupts(at_word=6)
            notices = play(server)
            told.append((notices, server.sent(), server.story))
    assert told[0] == told[1]
    # How the end comes is the runtime's; what was sent and heard is not.
    assert (told[0][1], told[0][2]) == (told[2][1], told[2][2])


def test_minutes_pass_in_no_time() -> None:
    with RealtimeServer() as server:
        for _ in range(3):
            server.user_says("Go on, please.")
            server.answers(" ".join(["lighthousekeeper"] * 15), " ".join(["keeper"] * 15), pace=0.8)
        notices = on_asyncio(server)
        assert sum(each.heard_ms for each in notices if isinstance(each, MessageEnded)) > 60_000
        assert server.unheard_left == []


def test_a_client_that_tells_nothing_leaves_unheard_words_with_the_model() -> None:
    """A check that could not fail would be none: a core whose truncates never arrive."""
    with RealtimeServer() as server:
        server.user_says("Go on.")
        server.answers("One two three four.")
        server.user_interrupts(at_word=2)
        server.answers("Yes?")
        server.refuses("conversation.item.truncate", times=1)
        on_the_core(server)
        assert server.heard == ["One two", "Yes?"]
        assert server.unheard_left == ["three", "four."]
        assert server.remembers[1] == Memory("assistant", "One two three four.")
        assert "unheard words left" in [each.name for each in server.findings]


@pytest.mark.parametrize(
    ("dialect", "path", "left"),
    [
        ("azure-preview", "/openai/realtime", []),
        ("xai", "/v1/realtime?dialect=xai", []),
        ("inworld", "/api/v1/realtime/session", ["three", "four."]),  # it cannot truncate: the model is told in words
    ],
)
def test_other_dialects(dialect: Any, path: str, left: list[str]) -> None:  # C28
    with RealtimeServer() as server:
        server.user_says("Count.")
        server.answers("One two three four.")
        server.user_interrupts(at_word=2)
        server.answers("Yes?")
        connection = Connection(dialect=dialect, url=f"ws://127.0.0.1:1{path}", api_key="test")
        with server.core(Config(connection=connection)) as core:
            core.until_over()
        assert server.heard == ["One two", "Yes?"]
        assert server.unheard_left == left
        assert any(role == "system" and "One two" in text for role, text in server.remembers) == bool(left)
        assert (server.refusals, server.left) == ([], [])


# -- answers -----------------------------------------------------------------------------------------------------------------


def test_a_voice_made_from_text_has_its_words_times() -> None:
    with RealtimeServer() as server:
        slow, fast = server.answers("Well, hello there.", call("wave")), server.answers("Well, hello there.", pace=2)
    assert [word.text for word in slow.words] == ["Well,", "hello", "there."]
    assert [(word.start_ms, word.sound_end_ms, word.end_ms) for word in slow.words] == [
        (0, 220, 380),
        (380, 660, 720),
        (720, 1000, 1260),
    ]
    assert (slow.seconds, fast.seconds) == (1.26, 0.64)
    [voice, nothing] = slow.voices
    assert nothing is None and voice is not None and not any(voice.pcm[48 * 220 : 48 * 380])


@pytest.mark.parametrize("runtime", ["asyncio", "trio"])
def test_function_calls_are_answered_and_remembered(runtime: Any) -> None:  # C26
    def weather(city: str) -> str:
        return f"sunny in {city}"

    with RealtimeServer() as server:
        server.user_says("What is the weather in Paris?")
        server.answers("One moment.", call("weather", city="Paris"))
        server.answers("It is sunny.")

        async def talk() -> None:
            cn: Any = connect if runtime == "asyncio" else on_trio.connect
            options = {"speaker": server.speaker(), "dial": server.dial, "tools": {"weather": weather}}
            async with cn(Config(connection=server.connection), **options) as conversation:
                async for _ in conversation:
                    pass

        server.run(talk, runtime=runtime, until_over=True)
        assert server.remembers == [
            ("user", "What is the weather in Paris?"),
            ("assistant", "One moment."),
            ("call", 'weather({"city":"Paris"})'),
            ("output", "sunny in Paris"),
            ("assistant", "It is sunny."),
        ]
        assert [each["item"]["type"] for each in server.sent("conversation.item.create")] == ["function_call_output"]
        assert server.heard == ["One moment.", "It is sunny."]


def test_text_answers_stalls_failures_and_answers_beyond_the_script() -> None:  # F140, C19, S06, F143
    with RealtimeServer() as server:
        server.user_says("One?")
        server.answers(Written("Only words."))
        server.user_says("Two?")
        server.answers("This one stands still here.", stalls=[(3, 4.0)], thinks=2.0, speed=1.5)
        server.user_says("Three?")
        server.answers("It breaks off.", ends="failed", detail="server_error")
        server.user_says("Four?")
        server.answers("It is cut.", ends="incomplete", detail="content_filter")
        server.user_says("Five?")
        notices = on_the_core(server)
        assert server.heard[0] == "This one stands still here."
        assert server.heard[-1] == "This answer is not in the script."
        assert server.remembers[1] == ("assistant", "Only words.")
        assert any(isinstance(each, Underrun) for each in notices)
        ends = [each.status for each in notices if isinstance(each, ResponseEnded)]
        assert ends == ["completed", "completed", "failed", "incomplete", "completed"]
        assert server.left == []


def test_what_the_client_sends_can_be_filtered() -> None:
    with RealtimeServer() as server:
        server.answers("Hello.")
        with server.core() as core:
            core.do(core.session.append_audio, bytes(4800))
            core.do(core.session.send_text, "Hi.")
            core.until(MessageEnded)
        assert [each["type"] for each in server.sent()] == ["session.update", "conversation.item.create", "response.create"]
        assert [each["type"] for each in server.sent("response.*")] == ["response.create"]
        assert {each["type"] for each in server.sent("input_audio_buffer.append")} == {"input_audio_buffer.append"}


# -- what goes wrong ---------------------------------------------------------------------------------------------------------


def test_client_events_are_refused_as_scripted() -> None:  # B13, F047
    with RealtimeServer() as server:
        server.refuses("response.create", code="rate_limit_exceeded", message="Slow down.")
        server.answers("Never asked for.")
        with server.core() as core:
            core.do(core.session.respond)
            ended = core.until(RequestEnded)
        assert ended.outcome == "failed" and "Slow down." in str(ended)
        # The script's own refusals are none of the client's faults.
        assert (server.refusals, server.findings) == ([], [])
        assert server.left == ["answer 1, 'Never asked for.', was not asked for"]


def test_what_a_strict_server_refuses_is_told() -> None:
    with RealtimeServer() as server:
        with server.core() as core:
            core.wait(0.1)
            core.do(core.session.send_raw, {"type": "session.obey"})
            core.wait(0.1)
        [refusal] = server.refusals
        assert refusal.event["type"] == "session.obey"
        assert "refused:" in server.story


def test_handshakes_are_answered_with_a_status() -> None:  # F094
    with RealtimeServer() as server:
        server.rejects(401)

        async def talk() -> None:
            async with connect(Config(connection=server.connection), dial=server.dial):
                pass

        with pytest.raises(ConnectionFailed, match="401"):
            server.run(talk)
        server.rejects(403)
        with server.core() as core:
            core.wait(1)
        assert [each.reason for each in core.notices if isinstance(each, SessionClosed)] == ["refused"]
        assert server.left == []


@RUNTIMES
def test_a_line_that_breaks_in_mid_answer_and_the_next_knows_what_was_heard(play: Play) -> None:  # B24, C27, F085
    with RealtimeServer() as server:
        server.user_says("Tell me.")
        server.answers("One two three four.", speed=1.0)
        server.drops_line(at_word=2)
        server.answers("Where was I? At two.")  # it asks for what was lost
        server.user_says("Where were you?")
        server.answers("At three.")
        notices = play(server)
        assert len([each for each in notices if isinstance(each, Reconnecting)]) == 1
        heard = server.heard
        assert heard[0].startswith("One two") and heard[-1] == "At three."
        assert server.remembers[-2:] == [("user", "Where were you?"), ("assistant", "At three.")]
        assert server.unheard_left == []
        assert server.left == []


def test_the_server_hangs_up_with_a_code_at_a_time() -> None:
    with RealtimeServer() as server:
        server.drops_line(at=2.0, code=1013)

        async def talk() -> list[Notice]:
            config = Config(connection=server.connection, reconnect=Reconnect(attempts=0))
            async with connect(config, dial=server.dial) as conversation:
                return [notice async for notice in conversation]

        notices = server.run(talk)
        assert notices is not None and isinstance(notices[-1], SessionClosed)
        assert "1013" in str(notices)


@pytest.mark.parametrize("fault", [name for name in KNOWN if name != "error without event_id"])
def test_faults_are_scripted_by_their_name(fault: str) -> None:
    """Each happens, by the server's own count, to a user who interrupts or to a client that asks; and the session survives it."""
    happened: set[str] = set()
    patient = AudioInput(turn_detection=ServerVad(interrupt_response=False))
    for interrupted in (True, False):
        with RealtimeServer() as server:
            server.faults(f"server: {fault}")
            server.answers("One two three four five six seven.", "Eight nine ten.", speed=1.2)
            if interrupted:
                server.user_interrupts(at_word=4)
            server.answers("Eleven twelve.")
            session = SessionOptions() if interrupted else SessionOptions(audio=AudioOptions(input=patient))
            with server.core(Config(connection=server.connection, session=session)) as core:
                core.do(core.session.send_text, "Count.")
                core.wait(30)
            assert core.notices[-1] == SessionClosed("closed")
            [talk] = server._stage.talks
            happened |= set(talk.server.happened)
    assert f"server: {fault}" in happened


def test_errors_may_name_no_event() -> None:  # F046, F062
    with RealtimeServer() as server:
        server.faults("error without event_id")
        with server.core() as core:
            core.wait(0.1)
            core.do(core.session.send_raw, {"type": "session.obey"})
            core.wait(0.1)
        [refusal] = server.refusals
        assert refusal.event_id is None


def test_an_unknown_fault_is_named_with_those_there_are() -> None:
    with RealtimeServer() as server, pytest.raises(ValueError, match=r"'gremlins' cannot be scripted; there are bursts, "):
        server.faults("bursts", "gremlins")


def test_the_server_says_what_it_is_told_to() -> None:  # C29
    with RealtimeServer() as server:
        server.sends({"type": "never.heard.of", "x": 1}, at=1.0)
        with server.core() as core:
            core.wait(2.0)
        assert "UnknownEvent" in [type(each).__name__ for each in core.notices]
        assert "never.heard.of" in server.story


# -- scripts that cannot happen ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda server: server.answers(), "answers: say something"),
        (lambda server: server.answers(" "), "answers: an answer needs at least one word"),
        (lambda server: server.answers("Yes.", pace=0), "pace: 0 is not above 0"),
        (lambda server: server.answers("Yes.", thinks=-1), "thinks: -1 is below 0"),
        (lambda server: server.answers("Yes.", ends="oops"), "ends: 'oops' is none of completed, failed, incomplete"),
        (lambda server: server.answers(5), r"answers: 5 is no text, call\(...\) or Written"),
        (lambda server: (server.answers("Yes."), server.user_interrupts(at_word=0.5)), "at_word: word 0.5 of an answer"),
        (lambda server: server.drops_line(code=1006), "code: 1006 cannot be sent"),
        (lambda server: server.sends("hello"), "event: a mapping with a type"),
        (lambda server: server.run(lambda: None, runtime="curio"), "runtime: 'curio' is none of asyncio, trio"),
        (lambda server: server.run(server.until_over()), "main: give the function, not what it returns"),
        (lambda server: server.answers("Yes.", stalls=[(2, 1.0)]), r"stalls: word 2 of an answer with 1 spoken words \('Yes.'\)"),
        (lambda server: server.user_interrupts(at_word=1), "at_word: script the answer first"),
        (lambda server: (server.answers("Yes."), server.user_interrupts(at_word=0)), "at_word: word 0 of an answer"),
        (lambda server: (server.answers("Yes."), server.drops_line(at=1, at_word=1)), "at and at_word: give one of them"),
        (lambda server: server.user_says("Hi.", at=-1), "at: -1 is below 0"),
        (lambda server: server.user_says("Hi.", lasts=0), "lasts: 0 is not above 0"),
        (lambda server: server.sends({"kind": "error"}), "event: a mapping with a type"),
        (lambda server: server.refuses("response.create", times=0), "times: 0 is below 1"),
        (lambda server: server.rejects(200), "status: 200 is no HTTP error"),
    ],
)
def test_a_script_that_makes_no_sense_is_refused_at_once(write: Callable[[RealtimeServer], object], says: str) -> None:
    with RealtimeServer() as server, pytest.raises((ValueError, TypeError), match=says):
        write(server)


def test_what_nobody_listened_to_is_told() -> None:
    manual = SessionOptions(audio=AudioOptions(input=AudioInput(turn_detection=None)))
    with RealtimeServer() as server:
        server.user_says("Hello?", at=1)
        config = Config(connection=server.connection, session=manual)
        with server.core(config) as core:
            core.wait(3)
        assert server.left == [
            "the user says 'Hello?', but the session has no turn detection: nobody listens (append and commit audio instead)"
        ]
        with pytest.raises(ScriptError, match="nobody listens"):
            server.check()


def test_the_user_says_one_thing_at_a_time() -> None:
    with RealtimeServer() as server:
        server.user_says("A long story.", at=1, lasts=5)
        server.user_says("A short one.", at=2)
        with server.core() as core:
            core.wait(10)
        assert server.left == ["the user says 'A short one.', but was still saying something else"]


def test_a_speaker_that_nobody_opened_has_nothing_to_say() -> None:
    async def talk() -> None:
        async with connect(Config(connection=server.connection), dial=server.dial) as conversation:
            conversation.send_text("Hi.")
            await server.until_over()

    with RealtimeServer() as server:
        server.answers("Hello.")
        server.speaker()
        server.run(talk)
        assert server.heard == ["Hello."]


def test_a_script_that_is_not_over_says_what_is_missing() -> None:
    with RealtimeServer() as server:
        server.answers("Nobody asks.")
        server.user_interrupts("No!", at_word=1)
        with server.core() as core, pytest.raises(TimeoutError, match=r"'No!'; answer 1, 'Nobody asks\.', was not asked for"):
            core.until_over(within=5)
        with pytest.raises(TimeoutError, match="no MessageEnded within 3 s"), RealtimeServer() as other, other.core() as core:
            core.until(MessageEnded, within=3)


@pytest.mark.parametrize("runtime", ["asyncio", "trio"])
def test_a_program_that_never_ends_is_stopped(runtime: Any) -> None:
    async def talk() -> None:
        cn: Any = connect if runtime == "asyncio" else on_trio.connect
        async with cn(Config(connection=server.connection), dial=server.dial) as conversation:
            async for _ in conversation:
                pass

    with RealtimeServer() as server, pytest.raises(TimeoutError, match="has not ended after 30 s of virtual time"):
        server.run(talk, runtime=runtime, within=30)


@pytest.mark.parametrize("runtime", ["asyncio", "trio"])
def test_a_program_gives_what_it_returns_and_raises_what_it_raises(runtime: Any) -> None:
    async def waits() -> str:
        cn: Any = connect if runtime == "asyncio" else on_trio.connect
        async with cn(Config(connection=server.connection), dial=server.dial, speaker=server.speaker()):
            await server.until_over()
        return "done"

    async def fails() -> str:
        raise LookupError("mine")

    for until_over in (False, True):
        with RealtimeServer() as server:
            server.user_says("Hello?")
            server.answers("Hello.")
            assert server.run(waits, runtime=runtime, until_over=until_over) in ("done", None if until_over else "done")
            assert server.heard == ["Hello."]
            with pytest.raises(LookupError, match="mine"):
                server.run(fails, runtime=runtime, until_over=until_over)


def test_answers_are_fixed_once_a_client_has_come() -> None:
    with RealtimeServer() as server, server.core():
        with pytest.raises(RuntimeError, match="answers are scripted before the first client connects"):
            server.answers("Too late.")
        with pytest.raises(RuntimeError, match="faults are scripted before"):
            server.faults("bursts")
        with pytest.raises(RuntimeError, match="dial is for programs in run"):
            server.dial().send(None)


def test_a_button_and_a_speaker_that_goes_on_for_a_moment() -> None:  # B16, B29
    with RealtimeServer() as server:
        answer = server.answers("One two three four five.")

        async def talk() -> None:
            options: dict[str, Any] = {"speaker": server.speaker(flush_ms=60), "dial": server.dial}
            async with connect(Config(connection=server.connection), **options) as conversation:
                conversation.send_text("Count.")
                async for notice in conversation:
                    match notice:
                        case MessageStarted():
                            await asyncio.sleep(answer.words[2].end_ms / 1000 - 0.1)
                            conversation.interrupt()
                        case Interrupted():
                            break
                        case _:
                            pass

        server.run(talk)
        assert server.heard == ["One two three"]
        assert server.unheard_left == []
