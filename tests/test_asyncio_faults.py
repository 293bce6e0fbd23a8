"""What an asyncio conversation makes of servers that misbehave, lines that break, and places where there is no server.

Over a real socket. What every runtime makes of the same faults is in tests/conformance/test_faults.py.
"""

import asyncio
import base64
import errno
import logging
import socket
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from shutil import which
from typing import Any

import anyio
import msgspec
import pytest
from loopback import KEY, Line, clean_run, config, open_sockets, peer, rest, scripted, until
from websockets.frames import Frame, Opcode

from rtcore import (
    ItemAdded,
    MicrophoneDropped,
    Notice,
    ProtocolWarning,
    RequestEnded,
    SessionClosed,
    UnknownEvent,
)
from rtcore_adapters import _line
from rtcore_adapters._dial import dial_fault
from rtcore_adapters._outbox import Outbox
from rtcore_adapters.asyncio import ConnectionFailed, RequestFailed, connect


def item_added(item_id: str) -> bytes:
    content = [{"type": "input_text", "text": "x"}]
    item = {"id": item_id, "type": "message", "role": "user", "status": "completed", "content": content}
    return msgspec.json.encode({"type": "conversation.item.added", "previous_item_id": None, "item": item})


def talked(script: Callable[[Line], Awaitable[None]], **options: Any) -> list[Notice]:
    """All notices of a conversation with a scripted server."""

    async def main() -> list[Notice]:
        async with scripted(script) as url, connect(config(url), **options) as conversation:
            return await rest(conversation)

    return clean_run(main())


def refused(
    script: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], scheme: str = "ws"
) -> ConnectionFailed:
    """How ``connect`` fails against something that is no realtime server."""

    async def main() -> ConnectionFailed:
        async with peer(script) as port:
            with pytest.raises(ConnectionFailed) as caught:
                async with connect(config(f"{scheme}://127.0.0.1:{port}/v1/realtime")):
                    raise AssertionError("unreachable")
            return caught.value

    failed = clean_run(main())
    assert KEY not in str(failed) + repr(failed)
    return failed


# -- bad messages -----------------------------------------------------------------------------------------------------------

AUDIO = '{"type":"response.output_audio.delta","response_id":"r","item_id":"i","output_index":0,"content_index":0,"delta":"%s"}'

BAD: dict[str, tuple[bytes, type[Notice] | None]] = {
    "a malformed frame": (b'{"type":"response.done",', ProtocolWarning),
    "no JSON at all": (b"hello", ProtocolWarning),
    "no UTF-8": (b"\xff\xfe\x00", ProtocolWarning),
    "an unknown event": (b'{"type":"response.telepathy.delta","delta":"..."}', UnknownEvent),
    "no type": (b'{"delta":"x"}', ProtocolWarning),
    "bad base64": ((AUDIO % "&&&&").encode(), ProtocolWarning),
    "an odd byte of audio of an unknown item": ((AUDIO % base64.b64encode(b"abc").decode()).encode(), None),
    "a 16 MiB frame": (b'{"type":"x.huge","padding":"' + b"x" * (16 << 20) + b'"}', UnknownEvent),
    "wrong types": (b'{"type":"response.created","response":7}', ProtocolWarning),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_message_is_one_notice_and_the_session_goes_on(name: str) -> None:  # B27, C29
    payload, expected = BAD[name]

    async def script(line: Line) -> None:
        await line.set_up()
        line.send(payload, item_added("item_after"))
        await line.event()

    async def main() -> None:
        async with scripted(script) as url, connect(config(url)) as conversation:
            seen: list[Notice] = []
            async for notice in conversation:
                seen.append(notice)
                if isinstance(notice, ItemAdded):
                    break
            told = [notice for notice in seen if isinstance(notice, ProtocolWarning | UnknownEvent)]
            assert [type(notice) for notice in told] == ([] if expected is None else [expected])
            assert seen[-1] == ItemAdded("item_after", "message", "user", None)
            assert conversation.state == "ready"

    clean_run(main())


def test_frames_in_binary_and_in_fragments_are_messages_too() -> None:
    async def script(line: Line) -> None:
        await line.set_up()
        one, two = item_added("item_1"), item_added("item_2")
        line.send_raw(Frame(Opcode.BINARY, one).serialize(mask=False))
        line.send_raw(Frame(Opcode.TEXT, two[:9], fin=False).serialize(mask=False))
        line.send_raw(Frame(Opcode.PING, b"?").serialize(mask=False))
        line.send_raw(Frame(Opcode.CONT, two[9:]).serialize(mask=False))
        await asyncio.sleep(0.01)
        line.close(1000, "done")

    added = [notice.item_id for notice in talked(script) if isinstance(notice, ItemAdded)]
    assert added == ["item_1", "item_2"]


# -- lines that break -------------------------------------------------------------------------------------------------------


def closed_by(script: Callable[[Line], Awaitable[None]], **options: Any) -> SessionClosed:
    notices = talked(script, **options)
    assert [notice for notice in notices if isinstance(notice, SessionClosed)] == notices[-1:]
    closed = notices[-1]
    assert isinstance(closed, SessionClosed)
    assert closed.problem is not None
    assert closed.problem.remedy
    return closed


def test_what_was_asked_settles_when_the_line_breaks() -> None:  # invariant 2, F101
    async def script(line: Line) -> None:
        await line.set_up()
        await line.until("conversation.item.create")

    async def main() -> None:
        async with scripted(script) as url:
            async with connect(config(url)) as conversation:
                request = conversation.send_text("Hello?")
                with pytest.raises(RequestFailed, match="connection lost"):
                    await request
                notices = await rest(conversation)
            assert [n.outcome for n in notices if isinstance(n, RequestEnded)] == ["connection_lost"]

    clean_run(main())


def test_a_server_that_ends_the_session_says_why() -> None:  # protocol facts 1.7, C27
    async def script(line: Line) -> None:
        await line.set_up()
        line.close(1001, "Your session hit the maximum duration of 60 minutes.")
        await line.event()

    assert closed_by(script).reason == "expired"


def test_a_server_that_breaks_the_websocket_protocol_is_named() -> None:
    async def script(line: Line) -> None:
        await line.set_up()
        line.send_raw(b"\x83\x00")
        await asyncio.sleep(0.01)

    closed = closed_by(script)
    assert closed.problem is not None
    assert "broke the websocket protocol: invalid opcode" in closed.problem.message


def test_cancelled_it_hangs_up_in_order() -> None:
    codes: list[int | None] = []

    async def script(line: Line) -> None:
        await line.set_up()
        while await line.event() is not None:
            pass
        codes.append(line.close_code)

    async def converse(url: str) -> None:
        async with connect(config(url)) as conversation:
            await rest(conversation)

    async def main() -> None:
        async with scripted(script) as url:
            task = asyncio.create_task(converse(url))
            await asyncio.sleep(1.0)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()

    clean_run(main())
    assert codes == [1000]


def test_a_second_cancellation_does_not_wait_for_the_close_frame() -> None:
    async def script(line: Line) -> None:
        await line.set_up()
        await asyncio.sleep(1000)

    async def converse(url: str) -> None:
        async with connect(config(url)) as conversation:
            await rest(conversation)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with scripted(script) as url:
            sockets = open_sockets()
            task = asyncio.create_task(converse(url))
            await asyncio.sleep(1.0)
            task.cancel()
            await asyncio.sleep(0.1)
            assert not task.done()
            begun = loop.time()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert loop.time() == begun
            assert len(open_sockets() - sockets) == 1  # the server's end, which never reads

    clean_run(main())


@pytest.mark.parametrize(("scope", "waits"), [(anyio.move_on_after, False), (asyncio.timeout, True)], ids=["anyio", "asyncio"])
def test_a_scope_of_anyio_cancels_at_every_turn_so_the_close_frame_is_not_waited_for(
    scope: Callable[[float], Any], waits: bool
) -> None:
    codes: list[int | None] = []

    async def script(line: Line) -> None:
        await line.set_up()
        line.mute = True
        while await line.event() is not None:
            pass
        codes.append(line.close_code)
        await asyncio.sleep(1000)

    async def converse(url: str) -> None:
        async with connect(config(url)) as conversation:
            await rest(conversation)

    async def main() -> float:
        loop = asyncio.get_running_loop()
        async with scripted(script) as url:
            begun = loop.time()
            with suppress(TimeoutError):
                async with AsyncExitStack() as stack:
                    limit = scope(1.0)
                    await stack.enter_async_context(limit) if waits else stack.enter_context(limit)
                    await converse(url)
            return loop.time() - begun

    assert clean_run(main()) == pytest.approx(3.0 if waits else 1.0)
    assert codes == [1000]


def test_a_server_that_takes_nothing_costs_bounded_memory() -> None:  # C30: microphone audio gives way, oldest first
    async def script(line: Line) -> None:
        await line.set_up()
        await asyncio.sleep(1000)

    async def main() -> None:
        async with scripted(script) as url, connect(config(url)) as conversation:
            for _ in range(200):
                conversation.append_audio(bytes(48_000))
                await asyncio.sleep(0)
            conversation.close()
            dropped = [notice.dropped_ms for notice in await rest(conversation) if isinstance(notice, MicrophoneDropped)]
            assert sum(dropped) > 20_000  # the kernel's buffers and ours hold the rest

    clean_run(main())


def test_a_server_that_takes_no_control_either_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:  # C30
    monkeypatch.setattr(_line, "Outbox", partial(Outbox, max_control=1_000_000))

    async def script(line: Line) -> None:
        await line.set_up()
        await asyncio.sleep(1000)

    async def main() -> SessionClosed:
        async with scripted(script) as url, connect(config(url)) as conversation:
            for _ in range(20):
                content = [{"type": "input_text", "text": "x" * 1_000_000}]
                conversation.create_item({"type": "message", "role": "system", "content": content})
                await asyncio.sleep(0)
                if conversation.state == "closed":
                    break
            closed = (await rest(conversation))[-1]
            assert isinstance(closed, SessionClosed)
            return closed

    closed = clean_run(main())
    assert closed.problem is not None
    assert "the server takes nothing" in closed.problem.message


# -- places where no realtime server is -------------------------------------------------------------------------------------


def test_a_port_where_nothing_listens() -> None:
    async def main() -> ConnectionFailed:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        with pytest.raises(ConnectionFailed) as caught:
            async with connect(config(f"ws://127.0.0.1:{port}/v1/realtime")):
                raise AssertionError("unreachable")
        return caught.value

    failed = clean_run(main())
    assert failed.reason == "refused"
    assert failed.problem is not None
    assert failed.problem.retryable
    assert "nothing listens on 127.0.0.1:" in str(failed)
    assert "check the host and the port" in str(failed)


def test_a_host_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    async def main() -> None:
        with pytest.raises(
            ConnectionFailed, match=r"the host name 'nowhere\.example' could not be resolved; check the URL's host"
        ):
            async with connect(config("ws://nowhere.example/v1/realtime")):
                raise AssertionError("unreachable")

    clean_run(main())


async def mail_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP ready\r\n")
    await reader.read(1)


async def silent_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(1000)


async def hasty_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def web_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request = await reader.readuntil(b"\r\n\r\n")
    assert KEY.encode() in request
    body = b"<html>Welcome</html>"
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    await writer.drain()
    await reader.read(1)


async def echoing_proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request = await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(request), request))
    await writer.drain()
    await reader.read(1)


async def redirecting_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 302 Found\r\nLocation: https://login.example/\r\nContent-Length: 0\r\n\r\n")
    await reader.read(1)


@pytest.mark.parametrize(
    ("server", "what", "remedy"),
    [
        (mail_server, "does not speak HTTP: it said '220 mail.example ESMTP ready'", "something else listens there"),
        (hasty_server, "closed the connection without an answer", "check the host, the port and ws:// or wss://"),
        (web_server, "answered HTTP 200 OK: a web page", "check the URL"),
        (echoing_proxy, "answered HTTP 403 Forbidden", "check its permissions"),
        (redirecting_server, "which points to https://login.example/", "redirects are not followed"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_something_else_listens_there(
    server: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], what: str, remedy: str
) -> None:
    failed = refused(server)
    assert failed.reason == "refused"
    assert what in str(failed)
    assert remedy in str(failed)


def test_tls_where_the_server_speaks_none() -> None:
    failed = refused(mail_server, scheme="wss")
    assert "failed the TLS handshake" in str(failed)
    assert "use ws:// instead of wss://" in str(failed)


@pytest.mark.parametrize(
    ("error", "what", "remedy"),
    [
        (
            ConnectionRefusedError(),
            "nothing listens on h:1: connection refused",
            "check the host and the port, and that the server",
        ),
        (OSError(f"Multiple: [Errno {errno.ECONNREFUSED}] x, y"), "nothing listens on h:1: connection refused", "check the host"),
        (TimeoutError(), "h:1 did not answer", "check the host and the port, and that the network"),
        (UnicodeError("label too long"), "the host name 'h' could not be resolved", "check the URL's host"),
        (
            OSError(errno.ENETUNREACH, "Network is unreachable"),
            "h:1 could not be reached: network is unreachable",
            "check the network",
        ),
    ],
)
def test_every_failure_to_dial_has_words(error: Exception, what: str, remedy: str) -> None:
    told = dial_fault(error, "h", 1)
    assert told[0] == what
    assert remedy in told[1]


def test_a_reset_is_told_in_words() -> None:
    assert dial_fault(ConnectionResetError(), "h", 1)[0] == "h:1 could not be reached: the connection was reset by the other side"


def test_a_url_that_is_none_is_named_without_its_key() -> None:
    """What the configuration does not catch, the link does."""

    async def main() -> None:
        with pytest.raises((ConnectionFailed, ValueError)) as caught:
            async with connect(config(f"wss://me:{KEY}@/v1?key={KEY}")):
                raise AssertionError("unreachable")
        assert KEY not in str(caught.value)

    clean_run(main())


# -- TLS --------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1, made for this run, signed by nobody."""
    if which("openssl") is None:
        pytest.skip("making a certificate takes the openssl program")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    also = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", str(path.with_suffix(".crt"))]
    subprocess.run([*words.split(), *also], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + path.with_suffix(".crt").read_bytes())
    return path


async def _over_tls(certificate: Path, trusted: bool) -> list[Notice]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        scripted_line = Line(reader, writer)
        await scripted_line.set_up()
        scripted_line.send(item_added("item_1"))
        while await scripted_line.event() is not None:
            pass
        writer.close()

    server = await asyncio.start_server(line, "127.0.0.1", 0, ssl=context)
    try:
        url = f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"
        verifying = ssl.create_default_context(cafile=str(certificate)) if trusted else None
        async with connect(config(url), ssl=verifying) as conversation:
            await until(conversation, ItemAdded)
            conversation.close()
            return await rest(conversation)
    finally:
        server.close()
        await asyncio.sleep(0.1)


def test_tls_is_verified_by_default(certificate: Path) -> None:
    with pytest.raises(ConnectionFailed, match=r"the TLS certificate of 127\.0\.0\.1:.* is not trusted: self") as caught:
        clean_run(_over_tls(certificate, trusted=False))
    assert "pass an ssl context that knows it" in str(caught.value)


def test_a_private_authority_can_be_trusted(certificate: Path) -> None:
    assert clean_run(_over_tls(certificate, trusted=True))[-1] == SessionClosed("closed")


def test_no_tls_where_the_server_speaks_it(certificate: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def main() -> None:
        server = await asyncio.start_server(silent_server, "127.0.0.1", 0, ssl=context)
        asyncio.get_running_loop().set_exception_handler(lambda loop, told: None)  # the server's side complains of what we sent
        try:
            with pytest.raises(ConnectionFailed):
                async with connect(config(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime")):
                    raise AssertionError("unreachable")
        finally:
            server.close()
            await asyncio.sleep(0.1)

    clean_run(main())


# -- credentials ------------------------------------------------------------------------------------------------------------


def test_the_key_is_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def script(line: Line) -> None:
        request = await line.accept()
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        line.close(1008, f"I know your key {KEY}")
        await line.event()

    async def main() -> str:
        asyncio.get_running_loop().set_debug(True)
        async with scripted(script) as url:
            with pytest.raises(ConnectionFailed) as caught:
                async with connect(config(url)):
                    raise AssertionError("unreachable")
            return str(caught.value) + repr(caught.value.problem)

    words = clean_run(main())
    assert "I know your key ***" in words
    assert KEY not in words
    ours = [record for record in caplog.records if not record.name.startswith("websockets")]  # that is the scripted server
    assert KEY not in "".join(record.getMessage() for record in ours)


# -- dialling that comes to nothing -------------------------------------------------------------------------------------------


class _MuteTransport(asyncio.Transport):
    """A transport that tells nobody of its end, as uvloop's where dialling was cancelled at the last moment."""

    def __init__(self, opened: Any) -> None:
        super().__init__()
        self.aborted = False
        self._opened = opened

    def abort(self) -> None:
        self.aborted = True
        self._opened.close()

    def close(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self.aborted

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._opened

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass


@pytest.mark.parametrize("fault", [None, OSError("half way"), RuntimeError("half way"), TypeError("ssl")])
def test_dialling_that_fails_after_the_connection_was_made_leaves_nothing(
    fault: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[_MuteTransport] = []

    async def create_connection(factory: Callable[[], asyncio.Protocol], *args: object, **options: object) -> None:
        made.append(_MuteTransport(options["sock"]))
        factory().connection_made(made[0])
        if fault is not None:
            raise fault
        await asyncio.sleep(60)

    async def opening(port: int) -> None:
        async with connect(config(f"ws://127.0.0.1:{port}/v1/realtime")):
            raise AssertionError("unreachable")

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(1000)

    async def main() -> None:
        async with peer(silent) as port:
            monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", create_connection)
            task = asyncio.create_task(opening(port))
            await asyncio.sleep(0.1)
            if fault is None:
                task.cancel()
            with pytest.raises(asyncio.CancelledError if fault is None else ConnectionFailed):
                await task
            assert made[0].aborted

    clean_run(main())


def test_port_0_is_no_place_to_dial() -> None:
    async def main() -> None:
        with pytest.raises(ConnectionFailed, match="names port 0, where nothing can listen"):
            async with connect(config("ws://127.0.0.1:0/v1/realtime")):
                raise AssertionError("unreachable")

    clean_run(main())
