"""A recording is a session's inputs, and runs again bit for bit (C30, invariant 14)."""

import inspect
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcore import Clock, Config, Effect, LocalProtocolError, Session
from rtcore.recording import FORMAT, RTCORE, Keep, RecordedSession, Recording, RecordingError, read, replay
from rtcore.sim import World, WorldResult
from rtcore.sim.sabotage import SABOTAGED
from rtcore.sim.scenario import Scenario, scenario_of

ALL = Keep(audio=True, text=True)
KEEPS = [Keep(), Keep(audio=True), Keep(text=True), ALL]


def drawn(seed: int) -> Scenario:
    """What the seed draws, but shorter, so that the test is quick."""
    return msgspec.structs.replace(scenario_of(seed), interruptions=6)


def recorded_world(seed: int, keep: Keep = ALL, **options: Any) -> tuple[WorldResult, list[bytes]]:
    """A world around a session that is recorded."""
    lines: list[bytes] = []
    world = World(seed, scenario=drawn(seed), session_factory=partial(RecordedSession, sink=lines.append, keep=keep, **options))
    result = world.run()
    assert isinstance(world.session, RecordedSession)
    world.session.finish()
    return result, lines


@pytest.mark.parametrize("keep", KEEPS, ids=str)
@pytest.mark.parametrize("seed", [1, 7, 23])
def test_a_world_is_the_same_with_a_recorded_session_and_its_recording_replays(seed: int, keep: Keep) -> None:
    """C30, B31: the recorder changes nothing, and whatever it leaves out, the file replays to its own digests."""
    result, lines = recorded_world(seed, keep)
    assert result == World(seed, scenario=drawn(seed)).run()
    recording = read(lines)
    assert recording.header.left_out == keep.left_out
    assert replay(recording).difference is None
    # Of a frame that is no text at all nothing can be masked; only the words of the warning about it may differ.
    assert {each.unlike for each in recording.inputs} <= {None, ("ProtocolWarning",)}


def test_every_input_is_recorded_with_its_arguments_and_its_exact_time() -> None:
    """DESIGN 2: every input can be written down."""
    lines: list[bytes] = []
    session = RecordedSession(local(), seed=3, sink=lines.append, keep=ALL)
    at = 0.1 + 0.2
    session.open(now=at)
    session.connected(1, now=1e-9)
    session.receive(1, b'{"type":"session.updated","session":{}}', now=float("-inf"))
    session.append_audio(bytes(4800), now=1 / 3)
    assert session.commit(now=0.5).request == 1
    with pytest.raises(LocalProtocolError):
        session.create_item({"type": "none"}, now=0.5)
    session.finish()
    inputs = read(lines).inputs
    assert [(each.now, each.do) for each in inputs] == [
        (at, "open"),
        (1e-9, "connected"),
        (float("-inf"), "receive"),
        (1 / 3, "append_audio"),
        (0.5, "commit"),
        (0.5, "create_item"),
    ]
    assert inputs[2].given == {"connection": 1, "payload": '{"type":"session.updated","session":{}}'}
    assert inputs[-1].raised == "LocalProtocolError"
    assert replay(read(lines)).difference is None


def test_what_is_no_utf8_is_recorded_to_the_byte() -> None:
    """C29: no bytes whatever are lost."""
    lines: list[bytes] = []
    session = ready(lines, ALL)
    session.receive(1, b"\xff\xfe{", now=2.0)
    session.finish()
    assert read(lines).inputs[-1].given == {"connection": 1, "base64": "//57"}
    assert replay(read(lines)).difference is None


def test_which_message_a_voice_speaks_is_recorded_where_it_speaks_one() -> None:  # B19
    lines: list[bytes] = []
    session = ready(lines, ALL)
    session.say(bytes(480), "It will rain.", speaks="m1", now=1.0)
    session.say_begin(speaks="m2", now=1.0)
    session.say(bytes(480), now=1.0)
    session.finish()
    assert [each.given.get("speaks", "none") for each in read(lines).inputs[-3:]] == ["m1", "m2", "none"]
    assert replay(read(lines)).difference is None


def test_a_recorded_session_has_every_input_and_view_of_a_session() -> None:
    """A name that Session gains and RecordedSession does not override would silently act on nothing."""
    public = {name for name, _ in inspect.getmembers(Session) if not name.startswith("_")}
    assert public <= set(vars(RecordedSession))
    for name in public:
        ours, theirs = getattr(RecordedSession, name), getattr(Session, name)
        if callable(theirs):
            assert inspect.signature(ours) == inspect.signature(theirs), name


def test_a_changed_core_is_found_at_the_first_input_that_differs() -> None:
    """Invariant 14: a replay says where and how."""
    _, lines = recorded_world(1)
    found = replay(read(lines), factory=SABOTAGED["a millisecond too much"]).difference
    assert found is not None
    assert found.line > 2
    told = str(found)
    minus = next(line for line in told.splitlines() if line.startswith("  - Send(conversation.item.truncate"))
    plus = next(line for line in told.splitlines() if line.startswith("  + Send(conversation.item.truncate"))
    assert int(plus.split()[-2]) == int(minus.split()[-2]) + 1


def test_other_content_in_the_same_effects_is_a_difference() -> None:
    """The digest covers every byte, also those that the words do not tell."""

    class Shouting(Session):
        def send_text(self, text: str, *, interrupt: bool = True, respond: bool = True, now: float) -> Any:
            return super().send_text(text.upper(), interrupt=interrupt, respond=respond, now=now)

    lines: list[bytes] = []
    session = ready(lines, ALL)
    session.send_text("hello", now=2.0)
    session.finish()
    found = replay(read(lines), factory=Shouting).difference
    assert found is not None and found.recorded == found.now
    assert "other content" in str(found)


def test_an_input_that_raises_is_the_last_word_of_the_recording() -> None:
    """A crash of the core is what somebody will want to see again."""

    class Broken(Session):
        def played(self, generation: int, samples: int, *, now: float) -> list[Effect]:
            raise ZeroDivisionError

    lines: list[bytes] = []
    session = RecordedSession(local(), sink=lines.append, factory=Broken)
    session.open(now=0)
    with pytest.raises(ZeroDivisionError):
        session.played(1, 10, now=1)
    session.finish()
    assert read(lines).inputs[-1].raised == "ZeroDivisionError"
    assert replay(read(lines), factory=Broken).difference is None
    found = replay(read(lines)).difference
    assert found is not None and found.recorded == ("raised ZeroDivisionError",)


# -- damaged files -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole() -> list[bytes]:
    return recorded_world(1, Keep())[1]


def test_a_file_that_breaks_off_says_so_and_gives_what_is_there(whole: list[bytes]) -> None:
    """A killed process leaves half a line, or no end."""
    for cut, line in [(whole[:9], 9), ([*whole[:9], whole[9][:40]], 10)]:
        with pytest.raises(RecordingError, match=f"^line {line}: .*partial read") as raised:
            read(cut)
        assert raised.value.line == line
        recording = read(cut, partial=True)
        assert (len(recording.inputs), recording.complete) == (8, False)
        assert replay(recording).difference is None


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (b'{"at":1.0,"do":\n', "line 5: is damaged"),
        (b'{"at":1.0}\n', "line 5: is damaged: .*`do`"),
        (b"\xff\xff\n", "line 5: is damaged"),
        (b'{"at":[],"do":"tick"}\n', "line 5: is damaged"),
        (b'{"inputs":3000}\n', "line 5: says that 3000 inputs were recorded, but 3 are there"),
    ],
)
def test_a_damaged_line_is_named(whole: list[bytes], damage: bytes, says: str) -> None:
    with pytest.raises(RecordingError, match=says):
        read([*whole[:4], damage, *whole[5:]])


def test_a_call_that_is_none_is_named(whole: list[bytes]) -> None:
    """No line of a file can make a replay call anything but a session's inputs."""
    line = b'{"at":1.0,"do":"finish"}\n'
    with pytest.raises(RecordingError, match="line 5: names 'finish'"):
        replay(read([*whole[:4], line, *whole[5:-1]], partial=True))


def test_a_file_of_a_newer_version_is_refused_with_a_remedy(whole: list[bytes]) -> None:
    header = msgspec.json.decode(whole[0]) | {"rtcore_recording": FORMAT + 1, "rtcore": "9.1.0", "shape": "unheard of"}
    with pytest.raises(RecordingError, match=r"made by rtcore 9\.1\.0.*install rtcore 9\.1\.0 or newer"):
        read([msgspec.json.encode(header) + b"\n", *whole[1:]])


@pytest.mark.parametrize("first", [b"", b"hello\n", b"{}\n", b'{"rtcore_recording":1}\n', b"[1]\n"])
def test_what_is_no_recording_is_refused(first: bytes) -> None:
    with pytest.raises(RecordingError, match=r"line 1: |empty"):
        read([first] if first else [])


def test_what_cannot_be_written_down_ends_the_recording_and_not_the_session() -> None:
    class Lenient(Session):
        def tool_result(self, call_id: str, output: object, *, respond: bool = True, now: float) -> Any:
            return super().clear(now=now)

    lines: list[bytes] = []
    session = RecordedSession(local(), sink=lines.append, factory=Lenient)
    session.open(now=0)
    assert session.tool_result("call_1", object(), now=1).request == 1
    session.close(now=2)
    session.finish()
    recording = read(lines)
    assert (len(recording.inputs), recording.stopped) == (1, "the arguments of tool_result() cannot be written down")


def test_the_version_that_records_is_the_project_s() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == RTCORE


@given(data=st.data())
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_whatever_make_a_reader_fail_in_another_way(whole: list[bytes], data: st.DataObject) -> None:
    """A file from elsewhere: read and replayed, or refused with its line, and nothing else."""
    lines = list(whole[:30])
    for _ in range(data.draw(st.integers(1, 3))):
        number = data.draw(st.integers(0, len(lines) - 1))
        line = lines[number]
        at = data.draw(st.integers(0, len(line)))
        lines[number] = line[:at] + data.draw(st.binary(max_size=3)) + line[at + data.draw(st.integers(0, 12)) :]
    try:
        replay(read(lines, partial=True))
    except RecordingError as error:
        assert 0 <= error.line <= len(lines)


@pytest.mark.parametrize(
    ("field", "value"),
    [("config", {"playout": {"lead_ms": -1}}), ("config", {"nonsense": 1}), ("clock", {"report_ms": "x"}), ("seed", "seven")],
)
def test_a_header_that_cannot_be_used_is_named(whole: list[bytes], field: str, value: object) -> None:
    header = msgspec.json.decode(whole[0]) | {field: value}
    with pytest.raises(RecordingError, match=r"line 1: the (header|configuration)"):
        replay(read([msgspec.json.encode(header) + b"\n", *whole[1:]]))


# -- helpers -----------------------------------------------------------------------------------------------------------------


def local() -> Config:
    return Config.model_validate({"connection": {"dialect": "openai", "url": "ws://localhost:1"}})


def ready(lines: list[bytes], keep: Keep) -> RecordedSession:
    """A session that the server has acknowledged."""
    session = RecordedSession(local(), clock=Clock(), seed=5, sink=lines.append, keep=keep)
    session.open(now=0)
    session.connected(1, now=0)
    session.receive(1, b'{"type":"session.updated","session":{}}', now=0)
    return session


def test_a_recording_is_a_value() -> None:
    """Read, written, read: the same."""
    recording = read(recorded_world(1, Keep())[1])
    again = msgspec.json.decode(msgspec.json.encode(recording), type=Recording)
    assert again == recording
