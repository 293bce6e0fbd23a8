"""Faults, the same in every runtime: a clear notice, no hang, no task, thread or socket left (issue 4, "What must hold").

Virtual time where there is any; threads with short time-outs on the real clock. Each run is watched (``nothing_left``). What is
asyncio's alone is in tests/test_asyncio_faults.py, TLS and proxies in tests/test_transport_adapters.py.
"""

import errno
import math
import socket
import threading
import time
from functools import partial
from random import Random
from typing import Any

import pytest
from loopback import config

from conformance.jumping import Jumper
from conformance.server import ScriptedServer, json
from conformance.talks import LOOPS, RUNTIMES, OnALoop, OnThreads, Runtime, Talk, engines
from rtcore import (
    AudioFormat,
    Config,
    Interrupted,
    ItemAdded,
    LoopLagged,
    Notice,
    RequestEnded,
    SessionClosed,
    SpeakingStarted,
    TextDelta,
    ToolCalled,
)
from rtcore_adapters import threads as on_threads
from rtcore_adapters.audio import MicrophoneSink, SilentMicrophone, VirtualSpeaker
from rtcore_adapters.engine import LinkTimes

every = pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
CONFIG = config("ws://server.example/v1/realtime")
_QUICK = LinkTimes(open_s=0.15, ping_s=0.1, pong_s=0.1, close_s=0.15)


def times(runtime: Runtime) -> LinkTimes | None:
    """The default time-outs where time is virtual."""
    return None if runtime.virtual else _QUICK


async def to_the_end(talk: Talk) -> SessionClosed:
    closed = (await talk.rest())[-1]
    assert isinstance(closed, SessionClosed)
    return closed


# -- the line ----------------------------------------------------------------------------------------------------------------


@every
def test_a_server_that_is_killed_in_the_middle_of_a_frame(runtime: Runtime) -> None:  # F093, F101
    server = ScriptedServer()
    server.after(0.01, lambda: server.speak(400))
    server.after(0.05, server.kill)

    async def program(talk: Talk) -> tuple[Any, SessionClosed]:
        request = talk.conversation.send_text("Hello.")
        return request, await to_the_end(talk)

    request, closed = runtime.run(program, server, CONFIG)
    assert closed.reason == "lost"
    assert closed.problem is not None and "cut in the middle of a message" in closed.problem.message
    assert closed.problem.remedy
    assert request.ended.outcome == "connection_lost"


@every
def test_a_line_that_goes_dead_without_a_word(runtime: Runtime) -> None:  # F095
    server = ScriptedServer()
    server.after(0.01, lambda: setattr(server.line, "mute", True))
    closed = runtime.run(to_the_end, server, CONFIG, times=times(runtime))
    assert closed.reason == "lost"
    assert closed.problem is not None and "nothing came from the server for" in closed.problem.message
    if runtime.virtual:
        assert server.now == 40.0


@every
def test_a_server_that_does_not_answer_the_handshake(runtime: Runtime) -> None:
    server = ScriptedServer(accepts=False)
    with pytest.raises(runtime.failures, match=r"did not answer the websocket handshake in .* check the host and the port"):
        runtime.run(to_the_end, server, CONFIG, times=times(runtime))


@every
def test_a_server_that_never_acknowledges_the_session(runtime: Runtime) -> None:  # DESIGN 2
    server = ScriptedServer(acknowledges=False)
    options: dict[str, Any] = {} if runtime.virtual else {"timeouts": {"acknowledge_ms": 150}}
    wanted = Config.model_validate({"connection": CONFIG.connection, **options})
    with pytest.raises(runtime.failures, match="acknowledge") as caught:
        runtime.run(to_the_end, server, wanted)
    failed: Any = caught.value
    assert failed.reason == "not_acknowledged"
    assert failed.problem.retryable
    if runtime.virtual:
        assert 10.0 <= server.now <= 12.0


@every
def test_nobody_there(runtime: Runtime) -> None:
    with pytest.raises(runtime.failures, match="connection refused"):
        runtime.run(to_the_end, ScriptedServer(refuses_to_dial=True), CONFIG)


@every
def test_a_server_that_closes_the_line(runtime: Runtime) -> None:  # C27
    server = ScriptedServer()
    server.after(0.02, lambda: server.line.close(1013, "try again later"))
    closed = runtime.run(to_the_end, server, CONFIG)
    assert closed.problem is not None and "try again later" in closed.problem.message


@every
def test_a_close_frame_that_is_not_answered_is_not_waited_for_long(runtime: Runtime) -> None:
    server = ScriptedServer()
    server.after(0.01, lambda: setattr(server.line, "mute", True))

    async def program(talk: Talk) -> None:
        await talk.sleep(0.05)

    runtime.run(program, server, CONFIG, times=times(runtime))
    assert server.line.closed_with == (1000, "")
    if runtime.virtual:
        assert server.now == pytest.approx(2.05)


@every
def test_a_line_without_any_limit_is_waited_for_and_can_be_left(runtime: Runtime) -> None:
    server = ScriptedServer()
    server.after(0.05, lambda: server.add_item("u1"))

    async def program(talk: Talk) -> str:
        found: ItemAdded = await talk.until(ItemAdded)
        return found.item_id

    times = LinkTimes(open_s=math.inf, ping_s=math.inf, pong_s=math.inf)
    assert runtime.run(program, server, CONFIG, times=times) == "u1"


# -- leaving in the middle of a sentence ----------------------------------------------------------------------------------------


class _Ended(Exception):
    pass


@every
@pytest.mark.parametrize("how", ["left", "raised", "closed"])
def test_whoever_leaves_in_mid_audio_hangs_up_in_order_and_it_is_silent(runtime: Runtime, how: str) -> None:
    server = ScriptedServer()
    server.after(0.01, lambda: server.speak(5_000))
    speaker = VirtualSpeaker()

    async def program(talk: Talk) -> None:
        await talk.until(SpeakingStarted)
        await talk.sleep(0.1)
        assert talk.conversation.speaking
        match how:
            case "raised":
                raise _Ended
            case "closed":
                talk.conversation.close()
                assert await to_the_end(talk) == SessionClosed("closed")
            case _:
                pass

    if how == "raised":
        with pytest.raises(_Ended):
            runtime.run(program, server, CONFIG, speaker=speaker)
    else:
        runtime.run(program, server, CONFIG, speaker=speaker)
    assert server.line.closed_with == (1000, "")
    assert server.line.ended
    sounded = sum(span.samples for span in speaker.spans)
    assert 0 < sounded < 24 * 1_000
    speaker.tick(now=1e9)
    assert sum(span.samples for span in speaker.spans) == sounded  # whatever time it is, nothing follows


# -- the program ----------------------------------------------------------------------------------------------------------------


@every
def test_a_consumer_that_never_reads_stops_nothing_and_costs_little(runtime: Runtime) -> None:  # DESIGN 7
    server = ScriptedServer()
    part = {"response_id": "r1", "item_id": "m1", "output_index": 0, "content_index": 0}
    delta = json({"type": "response.output_text.delta", **part, "delta": "word "})

    def flood() -> None:
        server.speak(0)
        for _ in range(3_000):
            server.line.send(delta)
        for number in range(50):
            server.add_item(f"u{number}")

    server.after(0.01, flood)

    async def program(talk: Talk) -> list[Notice]:
        await talk.sleep(0.5)
        talk.conversation.close()
        return await talk.rest()

    notices = runtime.run(program, server, CONFIG)
    assert "".join(notice.delta for notice in notices if isinstance(notice, TextDelta)) == "word " * 3_000
    assert sum(isinstance(notice, TextDelta) for notice in notices) <= 3
    assert [notice.item_id for notice in notices if isinstance(notice, ItemAdded)][-50:] == [f"u{n}" for n in range(50)]


@every
def test_a_tool_that_blocks_stops_nothing_and_is_answered_when_it_comes_back(runtime: Runtime) -> None:  # C26
    server = ScriptedServer()
    released = threading.Event()
    server.after(0.01, lambda: server.call("slow"))
    server.after(0.1, lambda: server.add_item("u1"))

    def slow() -> str:
        assert released.wait(20)
        return "at last"

    async def program(talk: Talk) -> dict[str, Any]:
        assert (await talk.until(ToolCalled)).name == "slow"
        while (await talk.until(ItemAdded)).item_id != "u1":
            pass
        if runtime.virtual:
            await talk.sleep(30)
        assert not any(event["type"] == "conversation.item.create" for event in server.events)
        released.set()
        for _ in range(2_000):
            await talk.sleep(0.01)
            if found := [event for event in server.events if event["type"] == "conversation.item.create"]:
                event: dict[str, Any] = found[0]["item"]
                return event
            threading.Event().wait(0.001)
        raise AssertionError("the call was not answered")

    item = runtime.run(program, server, CONFIG, tools={"slow": slow}, patient=False)
    assert (item["call_id"], item["output"]) == ("c1", "at last")


@every
def test_nobody_waits_for_a_tool_that_blocks_when_the_block_is_left(runtime: Runtime) -> None:
    server = ScriptedServer()
    released = threading.Event()
    server.after(0.01, lambda: server.call("slow"))

    def slow() -> str:
        released.wait(20)
        return "too late"

    async def program(talk: Talk) -> None:
        await talk.until(ToolCalled)

    try:
        runtime.run(program, server, CONFIG, tools={"slow": slow}, patient=False)
    finally:
        released.set()
    for thread in threading.enumerate():
        if thread.name.startswith("rtcore tool"):
            thread.join(5)
    assert not any(event["type"] == "conversation.item.create" for event in server.events)


# -- devices --------------------------------------------------------------------------------------------------------------------


class _Brittle(VirtualSpeaker):
    """It is pulled out in the middle of a sentence."""

    def tick(self, *, now: float) -> None:
        if self.position > 4_800:
            raise OSError("the device was unplugged")
        super().tick(now=now)


@every
def test_a_speaker_that_vanishes_does_not_end_the_conversation(runtime: Runtime) -> None:  # F100
    server = ScriptedServer()
    server.after(0.01, lambda: server.speak(2_000))

    async def program(talk: Talk) -> Any:
        cut = await talk.until(Interrupted)
        ended = talk.conversation.send_text("Are you there?", respond=False)
        await talk.sleep(0.05)
        assert talk.conversation.state == "ready"
        talk.conversation.close()
        assert await to_the_end(talk) == SessionClosed("closed")
        assert isinstance(ended.ended, RequestEnded)
        return cut

    cut = runtime.run(program, server, CONFIG, speaker=_Brittle())
    assert (cut.cause, cut.partial) == ("device", ("m1",))


class _BrittleMicrophone:
    """It is pulled out after five frames."""

    format = AudioFormat("audio/pcm", 24_000)
    deadline: float | None = None
    frames = 0

    def open(self, sink: MicrophoneSink, *, now: float) -> None:
        self._sink, self.deadline = sink, now

    def tick(self, *, now: float) -> None:
        self.frames += 1
        if self.frames > 5:
            raise OSError("the device was unplugged")
        self.deadline = now + 0.02
        self._sink.audio(bytes(960))

    def close(self, *, now: float) -> None:
        self.deadline = None


@every
def test_a_microphone_that_vanishes_does_not_either(runtime: Runtime) -> None:
    server = ScriptedServer()
    server.after(0.3, lambda: server.add_item("u1"))
    microphone = _BrittleMicrophone()

    async def program(talk: Talk) -> ItemAdded:
        found: ItemAdded = await talk.until(ItemAdded)
        return found

    assert runtime.run(program, server, CONFIG, microphone=microphone).item_id == "u1"
    assert microphone.frames == 6


# -- time -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("runtime", [each for each in RUNTIMES if each.leaps], ids=lambda runtime: runtime.name)
def test_a_clock_that_leaps_an_hour_ahead_ends_nothing_that_is_alive(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that was suspended: what is due is done, late, and told; the line is asked once more before it is given up
    (F095)."""
    server = ScriptedServer()
    leap = _Leap(runtime, monkeypatch)
    server.after(0.05, leap)
    server.after(0.1 + (3600 if runtime.virtual else 0), lambda: server.add_item("u1"))

    async def program(talk: Talk) -> LoopLagged:
        found: dict[type[Notice], Notice] = {}
        while not found.keys() >= {ItemAdded, LoopLagged}:
            notice = await talk.notice()
            assert notice is not None and not isinstance(notice, SessionClosed), notice
            found.setdefault(type(notice), notice)
        lagged = found[LoopLagged]
        assert isinstance(lagged, LoopLagged)
        return lagged

    assert runtime.run(program, server, CONFIG, microphone=SilentMicrophone()).lag_ms > 3_000_000


class _Leap:
    """Sets the runtime's clock ahead by an hour."""

    def __init__(self, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hour = 0.0
        if runtime.virtual:
            idle = Jumper.idle

            def leaping(jumper: Jumper, timer: float | None) -> float:
                wait = idle(jumper, timer)
                jumper.now, self.hour = jumper.now + self.hour, 0.0
                return wait

            monkeypatch.setattr(Jumper, "idle", leaping)
        else:
            monotonic = time.monotonic
            monkeypatch.setattr(time, "monotonic", lambda: monotonic() + self.hour)

    def __call__(self) -> None:
        self.hour = 3_600.0


# -- hours ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("runtime", [each for each in RUNTIMES if each.virtual], ids=lambda runtime: runtime.name)
def test_a_line_is_kept_for_eight_hours_by_pings(runtime: Runtime) -> None:  # F097
    """Eight hours of virtual time, a word every half hour: nothing ends, and every silence of 20 s is asked about."""
    server = ScriptedServer()
    hours, half = 8 * 3_600.0, 1_800.0
    for number in range(15):
        server.after(half * (number + 1), partial(server.add_item, f"u{number}"))

    async def program(talk: Talk) -> list[str]:
        found = [(await talk.until(ItemAdded)).item_id for _ in range(15)]
        await talk.sleep(hours - half * 15 - 1)
        assert talk.conversation.state == "ready"
        return found

    assert runtime.run(program, server, CONFIG) == [f"u{number}" for number in range(15)]
    assert server.now == hours - 1
    assert server.line.pings == hours // 20 - 1 - 15  # a word is as good as an answer to a ping


# -- connects that are given up -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answers", ["nothing", "the handshake", "everything"])
@pytest.mark.parametrize("runtime", LOOPS, ids=lambda runtime: runtime.name)
def test_a_hundred_connects_that_are_cancelled_anywhere_leave_nothing(runtime: OnALoop, answers: str) -> None:
    """Cancelled after any number of turns of the loop, and in the middle of a sentence."""
    held = engines()
    random = Random(answers)
    ended: list[str] = []
    for number in range(34):
        server = ScriptedServer(accepts=answers != "nothing", acknowledges=answers == "everything")
        server.after(0.0, partial(server.speak, 1_000))
        turns = number if number < 24 else random.randrange(200)
        ended.append(runtime.cancelled(server, CONFIG, turns=turns))
        for line in server.lines:
            assert line.ended
            if line.accepted and answers == "everything" and ended[-1] == "in the block":
                assert line.closed_with == (1000, "")
    assert set(ended) <= {"before", "in the block"} and "before" in ended
    assert ("in the block" in ended) == (answers == "everything")
    assert engines() <= held


def test_a_hundred_connects_of_threads_that_are_given_up_anywhere_leave_nothing() -> None:
    """A program of threads cannot be cancelled; it is interrupted (Ctrl-C), while ``connect`` waits or in the block."""
    held = engines()
    runtime = OnThreads()
    random = Random(1)
    ended: list[str] = []
    for number in range(100):
        server = ScriptedServer(accepts=number % 5 != 0, acknowledges=number % 3 != 0)
        server.after(0.0, partial(server.speak, 1_000))
        ended.append(runtime.interrupted(server, CONFIG, after=random.uniform(0.0001, 0.02), times=_QUICK))
    assert set(ended) == {"before", "in the block"}
    assert engines() <= held


@pytest.mark.parametrize("launched", [False, True])
def test_ctrl_c_while_the_thread_of_a_conversation_begins_leaves_nothing(launched: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start
    begun: list[threading.Thread] = []

    def interrupted(self: threading.Thread) -> None:
        if self.name != "rtcore conversation":
            start(self)
            return
        if launched:
            start(self)
            begun.append(self)
        raise KeyboardInterrupt

    async def program(talk: Talk) -> None:
        raise AssertionError("unreachable")

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        OnThreads().run(program, ScriptedServer(), CONFIG)
    assert [thread.is_alive() for thread in begun] == [False] * launched


def test_ctrl_c_cannot_fall_between_a_socket_and_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C arrives on the main thread alone: whatever has to be closed is made on the conversation's own."""
    real = socket.socketpair
    made: list[str] = []

    def pair(*args: Any) -> tuple[socket.socket, socket.socket]:
        made.append(threading.current_thread().name)
        return real(*args)

    def dial(host: str, port: int) -> socket.socket:
        raise ConnectionRefusedError(f"nobody at {host}:{port}")

    monkeypatch.setattr(socket, "socketpair", pair)
    with pytest.raises(ConnectionError), on_threads.connect(CONFIG, dial=dial):
        pass
    assert set(made) == {"rtcore conversation"}


def test_a_thread_that_finds_no_sockets_says_so_and_opens_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*args: Any) -> tuple[socket.socket, socket.socket]:
        raise OSError(errno.EMFILE, "Too many open files")

    async def program(talk: Talk) -> None:
        raise AssertionError("unreachable")

    speaker = VirtualSpeaker()
    opened: list[object] = []
    monkeypatch.setattr(speaker, "open", lambda *args, **options: opened.append(args))
    monkeypatch.setattr(socket, "socketpair", none)
    with pytest.raises(OSError, match="Too many open files"):
        OnThreads().run(program, ScriptedServer(), CONFIG, speaker=speaker)
    assert opened == []
