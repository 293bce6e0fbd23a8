"""What all runtimes share, on a runtime that is a list: the engine and its host (DESIGN 7)."""

import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Literal

import msgspec
import pytest
from loopback import config
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as HttpRequest
from websockets.server import ServerProtocol

from rtcore import (
    PCMU,
    Clock,
    Effect,
    LocalProtocolError,
    LoopLagged,
    Notice,
    RequestEnded,
    Session,
    SessionClosed,
    ToolCalled,
)
from rtcore.config import Playout, SessionOptions
from rtcore_adapters._engine import LAG_S, Engine
from rtcore_adapters._failures import ConnectionFailed
from rtcore_adapters._line import Line, Ways
from rtcore_adapters._tools import Tool, Tools
from rtcore_adapters.audio import SilentMicrophone, Speaker, SpeakerReports, VirtualSpeaker


class Waiting:
    """A request of this runtime."""

    def __init__(self) -> None:
        self.result: RequestEnded | Exception | None = None

    def settle(self, result: RequestEnded | Exception) -> None:
        self.result = result


class Host:
    """A runtime without sockets or threads: its time is a number, and what it is asked to do is a list."""

    def __init__(self, speaker: Speaker | None = None, tools: Tools | None = None, **options: Any) -> None:
        self.now = 100.0
        self.armed: float | None = None
        self.works: list[tuple[Awaitable[object], ToolCalled]] = []
        self.handed: list[Callable[[], None]] = []
        self.came = threading.Semaphore(0)
        self.aborted: list[Line] = []
        self.news = 0
        self.line: Line | None = None
        self.server = ServerProtocol()
        self.engine: Engine[Waiting] = Engine(
            self,
            config(
                "ws://127.0.0.1:1/v1/realtime",
                session=SessionOptions(**options.pop("session_options", {})),
                playout=Playout(lead_ms=options.pop("lead_ms", None)),
            ),
            speaker=speaker,
            microphone=options.pop("microphone", None),
            tools=tools,
            times=None,
            ways=options.pop("ways", Ways(proxy=None)),
            seed=1,
            **options,
        )

    def time(self) -> float:
        return self.now

    def request(self, number: int) -> Waiting:
        return Waiting()

    def dial(self, line: Line) -> None:
        self.line = line

    def write(self, line: Line) -> None:
        while data := line.outgoing():
            self.server.receive_data(data)

    def abort(self, line: Line) -> None:
        self.aborted.append(line)

    def arm(self, at: float | None) -> None:
        self.armed = at

    def run(self, work: Awaitable[object], call: ToolCalled) -> None:
        self.works.append((work, call))

    def hand_over(self, work: Callable[[], None]) -> None:
        self.handed.append(work)
        self.came.release()

    def tell(self) -> None:
        self.news += 1

    # -- the server's side ----------------------------------------------------------------------------------------------------

    def opened(self) -> "Host":
        """A session that is ready."""
        self.engine.start()
        assert self.line is not None
        self.write(self.line)
        (request,) = self.server.events_received()
        assert isinstance(request, HttpRequest)
        self.server.send_response(self.server.accept(request))
        self.engine.received(self.line, b"".join(self.server.data_to_send()))
        self.says(
            {"type": "session.created", "session": {"id": "sess_1", "type": "realtime"}},
            {"type": "session.updated", "session": {"id": "sess_1", "type": "realtime"}},
        )
        assert self.engine.is_ready()
        return self

    def says(self, *events: dict[str, Any]) -> None:
        assert self.line is not None
        frames = (Frame(Opcode.TEXT, msgspec.json.encode(event)).serialize(mask=False) for event in events)
        self.engine.received(self.line, b"".join(frames))

    def heard(self) -> list[dict[str, Any]]:
        """What the client has sent since."""
        frames = self.server.events_received()
        return [msgspec.json.decode(each.data) for each in frames if isinstance(each, Frame) and each.opcode is Opcode.TEXT]

    def outputs(self) -> list[Any]:
        items = [event["item"] for event in self.heard() if event["type"] == "conversation.item.create"]
        return [msgspec.json.decode(item["output"]) for item in items if item["type"] == "function_call_output"]

    def calls(self, name: str, arguments: str = "{}") -> None:
        """The model calls a function."""
        item = {
            "id": "item_f",
            "type": "function_call",
            "name": name,
            "call_id": "call_1",
            "arguments": arguments,
            "status": "completed",
        }
        self.says(
            {"type": "response.created", "response": {"id": "r1", "status": "in_progress"}},
            {
                "type": "response.output_item.added",
                "response_id": "r1",
                "output_index": 0,
                "item": {**item, "status": "in_progress"},
            },
            {"type": "conversation.item.added", "previous_item_id": None, "item": item},
            {"type": "response.output_item.done", "response_id": "r1", "output_index": 0, "item": item},
            {"type": "response.done", "response": {"id": "r1", "status": "completed", "output": [item]}},
        )

    def take_over(self) -> None:
        """Another thread has handed something over: do it."""
        assert self.came.acquire(timeout=10)
        self.handed.pop(0)()

    def notices(self) -> list[Notice]:
        found = []
        while (notice := self.engine.take()) is not None:
            found.append(notice)
        return found


# -- time ---------------------------------------------------------------------------------------------------------------------


def test_a_deadline_that_comes_late_is_told_and_a_hair_is_not() -> None:  # issue 4, transport: loop lag is measured and told
    host = Host(microphone=SilentMicrophone()).opened()
    host.notices()
    for lag in (0.001, LAG_S - 0.01, LAG_S + 0.05):
        assert host.armed is not None
        host.now = host.armed + lag
        host.engine.wake()
    assert [notice.lag_ms for notice in host.notices() if isinstance(notice, LoopLagged)] == [150]


def test_a_runtime_that_wakes_a_hair_early_ticks_the_deadline_all_the_same() -> None:  # invariant 12
    host = Host().opened()
    due = host.armed
    assert due is not None
    host.now = due - 0.0004
    host.engine.wake()
    assert host.armed is not None
    assert host.armed > due


def test_the_alarm_is_taken_back_when_the_last_deadline_has_gone() -> None:  # no busy waiting in a block whose session is over
    host = Host().opened()
    while not host.engine.over:
        assert host.armed is not None
        host.now = host.armed
        host.engine.wake()
    assert host.armed is None


def test_a_clock_that_jumps_an_hour_ends_nothing_that_still_answers() -> None:  # F095, L: the program slept, not the server
    host = Host().opened()
    host.now += 3600
    host.engine.wake()
    host.says({"type": "rate_limits.updated", "rate_limits": []})
    host.now += 0.01
    host.engine.wake()
    assert not host.engine.over
    assert host.aborted == []


class Entered(VirtualSpeaker):
    """Notes when it is called while its own tick has not returned, and what a command from within it is worth."""

    def __init__(self) -> None:
        super().__init__()
        self.within = False
        self.entered: list[str] = []
        self.command: Callable[[], object] | None = None

    def tick(self, *, now: float) -> None:
        self.within = True
        super().tick(now=now)
        if self.command is not None:
            with pytest.raises(LocalProtocolError, match="from within a speaker"):
                self.command()
        self.within = False

    def play(self, *args: Any, **options: Any) -> None:
        if self.within:
            self.entered.append("play")
        super().play(*args, **options)


def test_what_a_speaker_reports_from_its_tick_waits_until_that_returns() -> None:  # contract: one list at a time
    """With a lead each report releases audio: it must not be handed over in the middle of the tick that reported."""
    speaker = Entered()
    host = Host(speaker=speaker, lead_ms=60).opened()
    host.says({"type": "response.created", "response": {"id": "r1"}}, AUDIO | {"delta": "AAAA" * 8_000})
    speaker.command = partial(host.engine.do, host.engine.session.interrupt)
    for _ in range(20):
        assert host.armed is not None
        host.now = host.armed
        host.engine.wake()
    assert host.engine.crash is None
    assert speaker.entered == []
    assert speaker.position > 48 * 60  # it has played what the reports released


class Absent(VirtualSpeaker):
    """Its device is not there when it is opened."""

    def open(self, reports: SpeakerReports, *, now: float) -> None:
        super().open(reports, now=now)
        reports.device("lost")


def test_what_a_speaker_reports_from_its_opening_comes_behind_the_sessions() -> None:
    given: list[str] = []

    class Told(Session):
        def open(self, *, now: float) -> list[Effect]:
            given.append("open")
            return super().open(now=now)

        def device(self, state: Literal["lost", "ready"], *, now: float) -> list[Effect]:
            given.append(state)
            return super().device(state, now=now)

    host = Host(speaker=Absent(), session=Told).opened()
    assert given == ["open", "lost"]
    assert host.engine.crash is None


# -- tools --------------------------------------------------------------------------------------------------------------------


def test_a_plain_function_answers_from_a_thread_of_its_own() -> None:  # C26, DESIGN 7: a tool that blocks stops nothing
    go, where = threading.Event(), []

    def look_up(city: str) -> dict[str, str]:
        go.wait(10)
        where.append(threading.current_thread())
        return {"weather": f"sun in {city}"}

    host = Host(tools={"look_up": look_up}).opened()
    host.calls("look_up", '{"city": "Paris"}')
    host.heard()
    host.says({"type": "rate_limits.updated", "rate_limits": []})  # the conversation goes on
    assert host.outputs() == []
    go.set()
    host.take_over()
    assert host.outputs() == [{"weather": "sun in Paris"}]
    assert where[0] is not threading.main_thread()


def _raise(**arguments: object) -> None:
    raise ValueError("no such city")


def _leave(**arguments: object) -> None:
    raise SystemExit(3)


class _Speechless(Exception):
    def __str__(self) -> str:
        raise ValueError


def _wordless(**arguments: object) -> None:
    raise _Speechless


async def _coroutine(**arguments: object) -> str:
    return "ok"


class _Callable:
    async def __call__(self, **arguments: object) -> str:
        return "ok"


@pytest.mark.parametrize(
    ("tool", "arguments", "error"),
    [
        (_raise, "{}", "ValueError: no such city"),
        (_leave, "{}", "SystemExit: 3"),
        (_wordless, "{}", "_Speechless"),
        (object, "{}", "the tool returned something that is not JSON"),
        (lambda: "x", '{"surplus": 1}', "TypeError"),
        (lambda: "x", "[1]", "ValidationError"),
        (_coroutine, "no json", "DecodeError"),
    ],
)
def test_whatever_fails_in_a_tool_is_its_answer(tool: Tool, arguments: str, error: str) -> None:  # C26, invariant 10
    host = Host(tools={"look_up": tool}).opened()
    host.calls("look_up", arguments)
    host.heard()
    host.take_over()
    (output,) = host.outputs()
    assert error in output["error"]


@pytest.mark.parametrize("tool", [_coroutine, partial(_coroutine, more=1), _Callable()])
def test_what_only_makes_something_to_await_runs_on_the_runtime(tool: Tool) -> None:
    host = Host(tools={"look_up": tool}).opened()
    host.calls("look_up")
    ((work, call),) = host.works
    assert host.handed == []
    with pytest.raises(StopIteration) as stopped:
        work.__await__().__next__()
    host.engine.answer(call, {"found": stopped.value.value})
    assert host.outputs() == [{"found": "ok"}]


def test_a_coroutine_may_be_over_within_the_call_that_begins_it() -> None:  # asyncio.eager_task_factory, Python 3.12
    class Eager(Host):
        def run(self, work: Awaitable[object], call: ToolCalled) -> None:
            with pytest.raises(StopIteration) as stopped:
                work.__await__().__next__()
            self.engine.answer(call, {"found": stopped.value.value})

    host = Eager(tools={"look_up": _coroutine}).opened()
    host.calls("look_up")
    host.take_over()
    assert host.outputs() == [{"found": "ok"}]


def test_a_plain_function_may_give_something_to_await() -> None:
    def look_up() -> Awaitable[str]:
        return _coroutine()

    host = Host(tools={"look_up": look_up}).opened()
    host.calls("look_up")
    host.take_over()
    ((work, _),) = host.works
    with pytest.raises(StopIteration):
        work.__await__().__next__()


def test_what_a_tool_gives_after_the_end_is_dropped() -> None:
    go = threading.Event()

    def slow() -> str:
        go.wait(10)
        return "late"

    host = Host(tools={"slow": slow}).opened()
    host.calls("slow")
    host.engine.close()
    host.heard()
    go.set()
    host.take_over()
    assert (host.outputs(), host.engine.crash) == ([], None)


def test_a_tool_that_cannot_be_called_is_named() -> None:
    with pytest.raises(TypeError, match=r"tools\['look_up'\] is a str: give a function"):
        Host(tools={"look_up": "weather"})  # type: ignore[dict-item]


# -- threads ------------------------------------------------------------------------------------------------------------------


def elsewhere(work: Callable[[], object]) -> list[BaseException]:
    """Do it in another thread; what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    return raised


def test_a_command_from_another_thread_is_refused_before_anything_happens() -> None:
    host = Host().opened()
    host.heard()
    (error,) = elsewhere(lambda: host.engine.do(host.engine.session.interrupt))
    assert isinstance(error, LocalProtocolError)
    assert (host.heard(), host.handed) == ([], [])


def test_a_report_from_another_thread_is_handed_over_with_its_time() -> None:  # a device's own thread may report
    host = Host().opened()
    told: list[float] = []

    def take(*, now: float) -> list[Any]:
        told.append(now)
        return []

    assert elsewhere(lambda: host.engine.feed(take)) == []
    assert told == []
    host.now += 5
    host.take_over()
    assert told == [100.0]


# -- mistakes in the program --------------------------------------------------------------------------------------------------


class Faulty(VirtualSpeaker):
    """A speaker with a mistake in it."""

    def play(self, *args: Any, **options: Any) -> None:
        raise ZeroDivisionError


AUDIO = {
    "type": "response.output_audio.delta",
    "response_id": "r1",
    "item_id": "m1",
    "output_index": 0,
    "content_index": 0,
    "delta": "AAAA" * 99,
}


def test_a_mistake_in_a_device_is_raised_where_the_program_waits() -> None:
    host = Host(speaker=Faulty()).opened()
    request = host.engine.ask(partial(host.engine.session.send_text, "Hello."))
    host.notices()
    host.says({"type": "response.created", "response": {"id": "r1"}}, AUDIO, AUDIO)
    assert isinstance(request.result, ZeroDivisionError)
    assert host.aborted == [host.line]
    with pytest.raises(ZeroDivisionError):
        while True:
            assert host.engine.take() is not None
    with pytest.raises(ZeroDivisionError):
        host.engine.do(host.engine.session.interrupt)
    assert host.armed is None


def test_a_session_that_ends_before_it_is_ready_says_why() -> None:
    host = Host()
    host.engine.start()
    assert not host.engine.is_ready()
    assert host.line is not None
    host.engine.failed(host.line, ConnectionRefusedError())
    with pytest.raises(ConnectionFailed, match=r"nothing listens on 127\.0\.0\.1:1"):
        host.engine.is_ready()
    assert host.engine.lines == {}
    assert isinstance(host.notices()[-1], SessionClosed)


def test_a_microphone_of_another_format_is_named() -> None:
    host = Host(microphone=SilentMicrophone(format=PCMU))
    with pytest.raises(ValueError, match=r"set audio\.input\.format, or give the microphone this format"):
        host.opened()


@pytest.mark.parametrize("proxy", ["ftp://proxy:21", "http://user@proxy:1", "http://:secret@:3128"])
def test_a_proxy_that_cannot_be_used_is_said_before_anything_is_dialled(proxy: str) -> None:
    with pytest.raises(ValueError, match="proxy: ") as caught:
        Host(ways=Ways(proxy=proxy))
    assert "secret" not in str(caught.value)


def test_the_speakers_capabilities_are_the_sessions() -> None:
    class Deaf(VirtualSpeaker):
        @property
        def capabilities(self) -> Clock:
            return Clock(pause=False)

    host = Host(speaker=Deaf()).opened()
    host.heard()
    host.engine.do(host.engine.session.pause)  # nothing sounds: nothing to do
    assert host.engine.crash is None


# -- tools that define themselves ---------------------------------------------------------------------------------------------


def weather(city: str, days: int = 1) -> str:
    """The weather forecast."""
    return f"{city}: sun for {days} days"


def test_a_list_of_functions_defines_and_answers() -> None:  # issue 5: a schema from the signature, arguments validated; C26
    host = Host(tools=[weather]).opened()
    (update,) = [event for event in host.heard() if event["type"] == "session.update"]
    (told,) = update["session"]["tools"]
    assert (told["type"], told["name"], told["description"]) == ("function", "weather", "The weather forecast.")
    assert told["parameters"]["required"] == ["city"]
    host.calls("weather", '{"city": "Paris", "days": 3}')
    host.take_over()
    (call_1,) = [event["item"] for event in host.heard() if event["type"] == "conversation.item.create"]
    assert call_1["output"] == "Paris: sun for 3 days"


def test_a_bad_call_is_sent_back_so_that_the_model_can_mend_it(caplog: pytest.LogCaptureFixture) -> None:  # issue 5, C26
    host = Host(tools=[weather]).opened()
    host.calls("weather", '{"town": "Paris"}')
    host.heard()
    host.take_over()
    (output,) = host.outputs()
    assert "city: Field required; town: Extra inputs are not permitted" in output["error"]
    assert "Paris" not in caplog.text  # words of a conversation are nobody's log


def test_tools_of_the_configuration_stay_and_none_is_defined_twice() -> None:
    first = {"type": "function", "name": "first", "parameters": {"type": "object"}}
    host = Host(tools=[weather], session_options={"tools": [first]}).opened()
    (update,) = [event for event in host.heard() if event["type"] == "session.update"]
    assert [tool["name"] for tool in update["session"]["tools"]] == ["first", "weather"]
    with pytest.raises(ValueError, match=r"the tool 'weather' is defined in session\.tools and in tools:"):
        Host(tools=[weather], session_options={"tools": [{**first, "name": "weather"}]})
