"""``rtcore serve``: the strict server on a real socket, in this process and as a program."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import msgspec
import pytest
from loopback import KEY, VOICES, clean_run, config, served

from rtcore import Config, Handshake
from rtcore.config import Connection, DialectName, SessionOptions
from rtcore.sim.server import Server, ServerOptions, spoken
from rtcore_adapters._link import Closed, Link, LinkEvent, Message, Opened, Refused
from rtcore_adapters.asyncio import ConnectionFailed, connect
from rtcore_adapters.cli import main as rtcore
from rtcore_adapters.cli.serve import serve


class Client:
    """A websocket of messages, with nothing behind it."""

    def __init__(self, link: Link, stream: anyio.abc.SocketStream) -> None:
        self.link, self.stream = link, stream
        self.events: list[LinkEvent] = []

    async def event(self) -> LinkEvent:
        while not self.events:
            try:
                data = await self.stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                data = b""
            self.events += self.link.receive(data, now=0.0)
            await self.flush()
        return self.events.pop(0)

    async def flush(self) -> None:
        if data := self.link.outgoing():
            await self.stream.send(data)

    async def send(self, event: Mapping[str, Any]) -> None:
        self.link.send(msgspec.json.encode(event))
        await self.flush()

    async def until(self, type: str) -> dict[str, Any]:
        while True:
            event = await self.event()
            assert isinstance(event, Message), event
            found: dict[str, Any] = msgspec.json.decode(event.payload)
            if found["type"] == type:
                return found


@asynccontextmanager
async def dialled(url: str, *headers: tuple[str, str], subprotocols: tuple[str, ...] = ()) -> AsyncIterator[Client]:
    link = Link(Handshake(url, headers, subprotocols), now=0.0)
    async with await anyio.connect_tcp(link.host, link.port) as stream:
        client = Client(link, stream)
        await client.flush()
        yield client


# -- the opening handshake --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "dialect", "model"),
    [
        ("/v1/realtime?model=gpt-realtime-2", "openai", "gpt-realtime-2"),
        ("/v1/realtime", "openai", "gpt-realtime"),
        ("/openai/v1/realtime?model=voice", "openai", "voice"),
        ("/openai/realtime?api-version=2025-04-01-preview&deployment=voice", "azure-preview", "voice"),
        ("/voice-live/realtime?api-version=2025-10-01&model=voice", "azure-voice-live", "voice"),
        ("/api-ws/v1/realtime?model=voice", "qwen", "voice"),
        ("/api/v1/realtime/session?key=k&protocol=realtime", "inworld", "gpt-realtime"),
        ("/v1/realtime?model=voice&dialect=xai", "xai", "voice"),
    ],
)
def test_the_url_chooses_the_dialect(path: str, dialect: str, model: str) -> None:  # protocol facts 1.1
    async def main() -> None:
        async with served() as (url, servers):
            async with dialled(url.removesuffix("/v1/realtime") + path) as client:
                assert await client.event() == Opened()
                created = await client.until("session.created")
                assert created["session"]["model"] == model
                assert ("type" in created["session"]) == (dialect in ("openai", "inworld"))
            assert servers[0].options.dialect == dialect

    clean_run(main())


@pytest.mark.parametrize("path", ["/", "/v2/realtime", "/openai/realtime?deployment=voice"])
def test_another_place_is_not_found(path: str) -> None:
    async def main() -> None:
        async with served() as (url, servers), dialled(url.removesuffix("/v1/realtime") + path) as client:
            refused = await client.event()
            assert isinstance(refused, Refused)
            assert refused.http_status == 404
            assert "try /v1/realtime" in refused.reason
            assert servers == []

    clean_run(main())


@pytest.mark.parametrize(
    ("headers", "subprotocols", "status"),
    [
        ([("Authorization", "Bearer sk-right")], (), None),
        ([("api-key", "sk-right")], (), None),
        ([], ("realtime", "openai-insecure-api-key.sk-right"), None),
        ([("Authorization", "Bearer sk-wrong")], (), 401),
        ([("api-key", "")], (), 401),
        ([], (), 401),
    ],
)
def test_a_key_is_checked_in_all_its_places(
    headers: list[tuple[str, str]], subprotocols: tuple[str, ...], status: int | None
) -> None:
    async def main() -> None:  # protocol facts 1.2, 1.3, 1.5
        async with served(api_key="sk-right") as (url, _), dialled(url, *headers, subprotocols=subprotocols) as client:
            event = await client.event()
            if status is None:
                assert event == Opened("realtime" if subprotocols else None)
            else:
                assert isinstance(event, Refused)
                assert event.http_status == status
                assert "Incorrect API key provided" in event.reason

    clean_run(main())


def test_the_beta_header_opens_and_is_closed() -> None:  # protocol facts 1.4
    async def main() -> None:
        async with served() as (url, servers), dialled(url, ("OpenAI-Beta", "realtime=v1")) as client:
            assert await client.event() == Opened()
            assert await client.event() == Closed(4000, "invalid_request_error.beta_api_shape_disabled")
            assert servers == []

    clean_run(main())


REQUEST = (
    b" HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)


@pytest.mark.parametrize(
    ("target", "header", "answer"),
    [
        (b"//[x", b"", b"HTTP/1.1 400 "),
        (b"/caf\xc3\xa9", b"api-key: right", None),
        (b"/v1/realtime", b"Authorization: Bearer \xff\xfe", b"HTTP/1.1 401 "),
        (b"/v1/realtime?model=%ff", b"api-key: right", b"HTTP/1.1 101 "),
    ],
)
def test_an_odd_request_ends_that_client_only(target: bytes, header: bytes, answer: bytes | None) -> None:
    async def main() -> None:
        async with served(api_key="right" if header else None) as (url, _):
            link = Link(Handshake(url), now=0.0)
            async with await anyio.connect_tcp(link.host, link.port) as stream:
                await stream.send(b"GET " + target + REQUEST + (header + b"\r\n" if header else b"") + b"\r\n")
                if answer is None:  # not HTTP at all
                    with pytest.raises(anyio.EndOfStream):
                        await stream.receive()
                else:
                    assert (await stream.receive()).startswith(answer)
            async with dialled(url, *([("api-key", "right")] if header else [])) as client:
                assert await client.event() == Opened()

    clean_run(main())


def test_an_error_with_one_client_is_logged_by_its_name_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        def opened(number: int, server: Server) -> None:
            if number == 2:
                raise KeyError("sk-secret")

        async with anyio.create_task_group() as tasks:
            port = await tasks.start(partial(serve, voices=VOICES, opened=opened))
            url = f"ws://127.0.0.1:{port}/v1/realtime"
            async with dialled(url) as first:
                await first.event()
                async with dialled(url) as second:
                    assert await second.event() == Opened()
                    assert isinstance(await second.event(), Closed)
                await first.send({"type": "session.update", "session": {"type": "realtime"}})
                await first.until("session.updated")
            tasks.cancel_scope.cancel()

    clean_run(main())
    assert [record.getMessage() for record in caplog.records if record.name == "rtcore.serve"] == [
        "a client was dropped because of KeyError"
    ]
    assert "sk-secret" not in caplog.text


def test_what_cannot_serve_is_said_at_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    assert rtcore(["serve", "--port", "0", "--say", "99999999"]) == 2
    assert "error: argument --say: messages of 99999999 ms need voices" in capsys.readouterr().err
    with pytest.raises(ValueError, match="messages of 99999999 ms"):
        asyncio.run(serve(voices=VOICES, options=ServerOptions(script=(spoken(99_999_999),))))


def test_a_client_that_is_no_websocket_or_says_nothing_is_let_go() -> None:
    async def main() -> None:
        async with served() as (url, servers):
            port = int(url.split(":")[2].split("/")[0])
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await stream.send(b"EHLO mail.example\r\n\r\n")
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    await stream.receive()
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                begun = anyio.current_time()
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    await stream.receive()
                assert anyio.current_time() - begun == pytest.approx(10.0)
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await stream.send(b"GET /v1/realtime HTTP/1.1\r\nHost: x\r\n\r\n")
                assert (await stream.receive()).startswith(b"HTTP/1.1 426 ")
            assert servers == []

    clean_run(main())


# -- conversations ----------------------------------------------------------------------------------------------------------


def test_each_client_has_a_server_of_its_own_drawn_from_the_seed() -> None:  # invariant 14
    async def first_ids() -> list[str]:
        async with served() as (url, servers):
            async with dialled(url) as one, dialled(url) as two:
                assert [await client.event() for client in (one, two)] == [Opened()] * 2
                ids = [(await client.until("session.created"))["session"]["id"] for client in (one, two)]
            assert len(servers) == 2
            return ids

    ids = clean_run(first_ids())
    assert len(set(ids)) == 2
    assert clean_run(first_ids()) == ids


def test_it_speaks_answers_and_refuses() -> None:
    async def main() -> None:
        async with served(ServerOptions(script=(spoken(500),))) as (url, servers), dialled(url) as client:
            await client.event()
            await client.send({"type": "session.update", "session": {"type": "realtime"}})
            await client.until("session.updated")
            await client.send({"type": "response.create", "event_id": "mine"})
            done = await client.until("response.done")
            assert done["response"]["status"] == "completed"
            await client.send({"type": "response.sing"})
            await client.until("error")
            assert len(servers[0].refusals) == 1
            assert sum(len(item.audio) for item in servers[0].items.values()) == 500 * 48

    clean_run(main())


CONVERSATION = {"type": "session.update", "session": {"type": "realtime"}}
LISTENING = {"type": "session.update", "session": {"type": "transcription"}}


@pytest.mark.parametrize("path", ["/v1/realtime", "/openai/v1/realtime"])
@pytest.mark.parametrize(
    ("query", "taken", "refused", "code"),
    [
        ("?model=gpt-realtime", CONVERSATION, LISTENING, "invalid_parameter"),
        ("?intent=transcription", LISTENING, CONVERSATION, "invalid_parameter"),
    ],
)
def test_the_address_decides_what_a_session_is(
    path: str, query: str, taken: Mapping[str, Any], refused: Mapping[str, Any], code: str
) -> None:
    """A model opens a conversation, intent=transcription a session that only transcribes (facts 1.1, docs/decisions.md)."""

    async def main() -> None:
        async with served() as (url, _), dialled(url.removesuffix("/v1/realtime") + path + query) as client:
            await client.event()
            await client.send(refused)
            assert (await client.until("error"))["error"]["code"] == code
            await client.send(taken)
            assert (await client.until("session.updated"))["session"]["type"] == taken["session"]["type"]

    clean_run(main())


def test_a_model_beside_the_intent_is_refused_and_the_line_closed() -> None:  # facts 1.1, docs/decisions.md
    async def main() -> None:
        async with served() as (url, _), dialled(f"{url}?intent=transcription&model=gpt-4o-transcribe") as client:
            await client.event()
            await client.send(LISTENING)
            assert (await client.until("error"))["error"]["code"] == "invalid_model"
            assert await client.event() == Closed(4000, "invalid_request_error.invalid_model")

    clean_run(main())


WRITES: dict[str, Any] = {"type": "transcription", "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}}


@pytest.mark.parametrize(
    ("dialect", "path"),
    [("openai", ""), ("openai", "?intent=transcription"), ("azure", "/openai/v1"), ("azure-preview", "/openai")],
)
def test_our_client_opens_a_session_that_only_transcribes(dialect: DialectName, path: str) -> None:
    """Over a socket, at a server that looks at the address: GA, Azure's GA and its preview (S10; facts 1.1, 12.1)."""

    async def main() -> None:
        async with served() as (url, servers):
            where = url if not path.startswith("/") else url.removesuffix("/v1/realtime")
            mine = Connection(dialect=dialect, url=f"{where}{path}", api_key=KEY)
            chosen = Config(connection=mine, session=SessionOptions.model_validate(WRITES))
            async with connect(chosen):
                pass
            assert (servers[0].options.address, servers[0].refusals) == ("transcription", [])

    clean_run(main())


@pytest.mark.parametrize(
    ("query", "session", "code", "remedy"),
    [
        ("?model=gpt-realtime", WRITES, "invalid_parameter", "take it out of url"),
        ("?model=m&intent=transcription", WRITES, "invalid_model", "take it out of url"),
        ("?intent=transcription", {}, "invalid_parameter", "set session.type to 'transcription'"),
    ],
)
def test_an_address_by_hand_that_opens_another_session_is_explained(
    query: str, session: dict[str, Any], code: str, remedy: str
) -> None:
    """What stands in the URL is kept, and what the server then refuses is named with what to do."""

    async def main() -> None:
        async with served() as (url, _):
            with pytest.raises(ConnectionFailed) as failed:
                async with connect(config(f"{url}{query}", session=SessionOptions.model_validate(session))):
                    pass
        assert failed.value.problem is not None
        assert failed.value.problem.code == code
        assert remedy in failed.value.problem.remedy

    clean_run(main())


def test_fragments_and_binary_frames_are_messages_too() -> None:
    async def main() -> None:
        async with served() as (url, servers), dialled(url) as client:
            await client.event()
            protocol = client.link._protocol
            protocol.send_text(b'{"type":"respon', fin=False)
            protocol.send_ping(b"?")
            protocol.send_continuation(b'se.sing"}', fin=True)
            protocol.send_binary(b'{"type":"response.dance"}')
            await client.flush()
            await client.until("error")
            await client.until("error")
            assert len(servers[0].refusals) == 2

    clean_run(main())


def test_a_session_that_has_lived_long_enough_is_closed() -> None:  # protocol facts 1.7
    async def main() -> None:
        async with served(ServerOptions(session_s=60)) as (url, _), dialled(url) as client:
            await client.event()
            error = await client.until("error")
            assert error["error"]["code"] == "session_expired"
            assert await client.event() == Closed(1001, "Your session hit the maximum duration of 1 minutes.")

    clean_run(main())


def test_stopping_it_tells_every_client() -> None:
    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            port = await tasks.start(partial(serve, voices=VOICES))
            url = f"ws://127.0.0.1:{port}/v1/realtime"
            async with dialled(url) as one, dialled(url) as two:
                for client in (one, two):
                    await client.event()
                    await client.until("session.created")
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    for client in (one, two):
                        assert await client.event() == Closed(1001, "the server is stopping")
                        await client.stream.aclose()

    clean_run(main())


def test_it_runs_on_trio_too() -> None:
    async def main() -> None:
        servers: list[Server] = []
        async with anyio.create_task_group() as tasks:
            opened = lambda number, server: servers.append(server)  # noqa: E731  # a callback, named for the call
            port = await tasks.start(partial(serve, voices=VOICES, opened=opened))
            async with dialled(f"ws://127.0.0.1:{port}/v1/realtime") as client:
                await client.event()
                await client.send({"type": "session.update", "session": {"type": "realtime"}})
                await client.until("session.updated")
            tasks.cancel_scope.cancel()
        assert len(servers) == 1

    anyio.run(main, backend="trio")


# -- the program ------------------------------------------------------------------------------------------------------------


def program(*arguments: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "error"}
    return subprocess.Popen(
        [sys.executable, "-m", "rtcore_adapters.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def test_the_program_says_where_it_listens_and_stops_when_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    with program("serve", "--port", "0", "--seed", "3", "--api-key", "sk-1", "--say", "500,300", "--rate", "200") as running:
        assert running.stdout is not None
        lines = [running.stdout.readline() for _ in range(3)]
        assert lines[0] == "rtcore serve: seed 3, listening on\n"
        url = lines[1].strip()
        assert url.startswith("ws://127.0.0.1:")

        async def talk() -> float:
            async with dialled(url, ("Authorization", "Bearer sk-1")) as client:
                assert await client.event() == Opened()
                await client.send({"type": "response.create"})
                done = await client.until("response.done")
                return len(done["response"]["output"])

        assert asyncio.run(talk()) == 2
        assert rtcore(["serve", "--port", url.split(":")[2].split("/")[0]]) == 1
        assert "cannot listen on 127.0.0.1:" in capsys.readouterr().err
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=30) == 0
        assert running.stderr is not None
        assert running.stderr.read() == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["sing"], "invalid choice: 'sing'"),
        (["serve", "--rate", "fast"], "'fast' is not a speed in percent: a whole number above 0"),
        (["serve", "--port", "99999"], "argument --port: '99999' is too large: at most 65535"),
        (["serve", "--port", "-1"], "argument --port: '-1' is not a whole number of at least 0"),
        (["serve", "--seed", str(1 << 63)], "is too large: at most 9223372036854775807"),
        (["serve", "--say", "500,-1"], "'-1' is not a length in milliseconds: a whole number above 0"),
    ],
)
def test_wrong_usage_is_explained(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        rtcore(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_without_anyio_it_names_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delitem(sys.modules, "rtcore_adapters.cli.serve")
    monkeypatch.setitem(sys.modules, "anyio", None)
    with pytest.raises(SystemExit) as caught:
        rtcore(["serve"])
    assert caught.value.code == 1
    assert "rtcore serve needs the package anyio: pip install 'rtcore[cli]'" in capsys.readouterr().err
