"""``rtcore audit``: what became audible (HTTP, WAV), real servers behind the proxy, secrets, and the command itself."""

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import wave
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import which

import msgspec
import pytest
from audit_clients import SERVER, Client, Silent, audited
from loopback import KEY, VOICES, Port, clean_run, config, served
from loopback import Line as ScriptedLine
from msgspec.structs import replace
from virtual_loop import run

from rtcore import Handshake
from rtcore.sim.judge import AuditVerdict
from rtcore.sim.server import ServerOptions, spoken
from rtcore_adapters._link import Link, LinkEvent, Message, Opened, Refused
from rtcore_adapters.asyncio import connect
from rtcore_adapters.audio import VirtualSpeaker, WavSpeaker
from rtcore_adapters.cli import main as rtcore
from rtcore_adapters.cli._proxy import Proxy, ProxyOptions
from rtcore_adapters.cli._verdict import page, text
from rtcore_adapters.cli.audit import CLEAN, FOUND, NOTHING, status

OWN = Path(__file__).parent.parent / "examples" / "audit" / "own_client.py"


async def own(url: str, speaker: VirtualSpeaker) -> None:
    """A conversation of rtcore's, until the audit hangs up."""
    async with connect(config(url), speaker=speaker, seed=1) as conversation:
        async for _ in conversation:
            pass


async def ask(port: int, head: str, body: bytes = b"", *, host: str = "127.0.0.1") -> tuple[int, bytes]:
    """One HTTP request; status and body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = f"{head}\r\nHost: {host}:{port}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    writer.write(lines.encode() + body)
    answer = await reader.read()
    writer.close()
    head_of, _, rest = answer.partition(b"\r\n\r\n")
    return int(head_of.split(b" ")[1]), rest


# -- rtcore itself ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_rtcore_is_clean_to_the_sample(seed: int) -> None:
    async def talk(url: str, hook: int) -> None:
        speaker = VirtualSpeaker()

        async def report() -> None:
            told = 0
            while True:
                await asyncio.sleep(0.1)
                pcm, told = bytes(speaker.signal[told:]), len(speaker.signal)
                if pcm:
                    assert (await ask(hook, "POST /played HTTP/1.1\r\nContent-Type: audio/pcm", pcm))[0] == 200

        reporting = asyncio.create_task(report())
        try:
            await own(url, speaker)
        finally:
            reporting.cancel()
            await asyncio.wait([reporting])

    verdict, _ = clean_run(audited(talk, seed=seed, interruptions=4))
    assert verdict.findings == ()
    assert verdict.signal == "samples"
    assert len(verdict.interruptions) >= 3
    assert {part.error_ms for one in verdict.interruptions for part in one.parts} <= {0, None}


def test_a_recording_tells_what_was_heard(tmp_path: Path) -> None:
    path = tmp_path / "heard.wav"
    verdicts: list[AuditVerdict] = []

    async def main() -> None:
        async def talk(url: str, hook: int) -> None:
            await own(url, WavSpeaker(path))

        _, proxy = await audited(talk, interruptions=3)
        session = proxy.sessions[-1]
        with wave.open(str(path)) as file:
            session.judge.sound(file.readframes(file.getnframes()), at=session.opened)
        verdicts.append(session.verdict())

    clean_run(main())
    assert verdicts[0].signal == "samples"
    assert verdicts[0].findings == ()


# -- the hook --------------------------------------------------------------------------------------------------------------------


def test_the_hook_takes_positions_and_says_what_is_wrong_with_a_report() -> None:
    told: list[tuple[int, bytes]] = []
    js = "POST /played HTTP/1.1\r\nContent-Type: application/json"

    class Reporting(Client):
        hook = 0
        asking: asyncio.Task[None] | None = None

        def interrupted(self) -> None:
            super().interrupted()
            if self.items and self.asking is None:
                self.asking = asyncio.get_running_loop().create_task(self.reports(self.items[0].item_id))

        async def reports(self, item_id: str) -> None:
            told.append(await ask(self.hook, js, json.dumps([{"item_id": item_id, "ms": 700}]).encode()))
            wrong = (b"{", b"{}", b'{"ms":1,"samples":2}', b'{"samples":-1}', b'{"item_id":"item_9","ms":1}', b'{"x":1,"ms":1}')
            for body in wrong:
                told.append(await ask(self.hook, js, body))
            told.append(await ask(self.hook, "POST /played?at=soon HTTP/1.1", b"\0\0"))
            told.append(await ask(self.hook, "GET /verdict HTTP/1.1"))
            told.append(await ask(self.hook, "GET /elsewhere HTTP/1.1"))
            told.append(await ask(self.hook, "GET /verdict HTTP/1.1", host="rebound.example"))

    async def talk(url: str, hook: int) -> None:
        client = Reporting()
        client.hook = hook
        await client.run(url)
        assert client.asking is not None
        await client.asking

    server = replace(SERVER, script=tuple(spoken(3000) for _ in range(4)), stragglers=(0, 0))
    verdict, _ = clean_run(audited(talk, server=server, points=(700,)))
    assert [status for status, _ in told] == [200, 400, 400, 400, 400, 400, 400, 400, 200, 404, 403]
    assert verdict.signal == "positions"
    assert msgspec.json.decode(told[8][1], type=AuditVerdict).interruptions
    assert verdict.findings == ()


# -- a real server behind it -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def proxied(upstream: str, trust: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, Proxy]]:
    proxy = Proxy(ProxyOptions(upstream=upstream), VOICES, ssl=trust)
    port = Port()
    listening = asyncio.create_task(proxy.listen(task_status=port))
    try:
        yield f"ws://127.0.0.1:{await port.known}", proxy
    finally:
        listening.cancel()
        await asyncio.wait([listening])


async def events(
    url: str, *headers: tuple[str, str], say: Sequence[bytes] = (), subprotocols: tuple[str, ...] = ()
) -> list[LinkEvent]:
    """What a bare websocket client is told that says this and hangs up."""
    loop = asyncio.get_running_loop()
    link = Link(Handshake(url, headers, subprotocols), now=loop.time())
    reader, writer = await asyncio.open_connection(link.host, link.port)
    found: list[LinkEvent] = []
    try:
        for message in (b"", *say):
            if message:
                link.send(message)
            writer.write(link.outgoing())
            data = await reader.read(65_536)
            found += link.receive(data, now=loop.time())
        found += link.close(now=loop.time())
        writer.write(link.outgoing())
        while link.state != "closed":
            found += link.receive(await reader.read(65_536), now=loop.time())
    finally:
        writer.close()
    return found


def test_it_passes_headers_queries_and_subprotocols_to_a_real_server() -> None:
    async def main() -> list[LinkEvent]:
        async with served(api_key=KEY) as (upstream, servers), proxied(upstream.removesuffix("/v1/realtime")) as (url, proxy):
            path = "/openai/realtime?api-version=2025-04-01-preview&deployment=voice"
            update = b'{"type":"session.update","session":{}}'
            found = await events(url + path, ("api-key", KEY), say=(update, update), subprotocols=("realtime",))
            await asyncio.sleep(2.0)
            assert servers[0].options.dialect == "azure-preview"
            assert servers[0].options.model == "voice"
            assert [session.over for session in proxy.sessions] == [True]
            assert proxy.sessions[0].verdict().client_messages == 2
            return found

    found = clean_run(main())
    assert found[0] == Opened("realtime")
    assert isinstance(found[1], Message)
    assert b"session.created" in found[1].payload


def test_a_refused_key_is_refused_and_never_repeated(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> LinkEvent:
        async with served(api_key=KEY) as (upstream, _), proxied(upstream) as (url, proxy):
            key = ("Authorization", "Bearer sk-wrong-0123456789")
            (event,) = await events(url + "/v1/realtime?key=sk-in-the-query-0123", key)
            assert proxy.sessions == []
            return event

    event = clean_run(main())
    assert isinstance(event, Refused)
    assert event.http_status == 401
    assert "sk-" not in event.reason + caplog.text


def test_an_upstream_that_is_not_there_is_a_bad_gateway() -> None:
    async def main() -> LinkEvent:
        async with proxied("ws://127.0.0.1:9") as (url, _):
            return (await events(url + "/v1/realtime"))[0]

    event = clean_run(main())
    assert isinstance(event, Refused)
    assert event.http_status == 502
    assert "connection refused" in event.reason


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1, made for this run, signed by nobody."""
    if which("openssl") is None:
        pytest.skip("making a certificate takes the openssl program")
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    extension = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", str(path) + ".crt"]
    subprocess.run([*words.split(), *extension], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(str(path) + ".crt").read_bytes())
    return path


@pytest.mark.parametrize("trusted", [False, True])
def test_a_real_server_is_verified_over_tls(certificate: Path, trusted: bool) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = ScriptedLine(reader, writer)
        await line.accept()
        line.send(b'{"type":"session.created"}')
        await line.event()
        writer.close()

    async def main() -> list[LinkEvent]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context)
        upstream = f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        verifying = ssl.create_default_context(cafile=str(certificate)) if trusted else None
        try:
            async with proxied(upstream, verifying) as (url, _):
                found = await events(url + "/v1/realtime", say=(b'{"type":"session.update"}',) if trusted else ())
                await asyncio.sleep(2.0)
                return found
        finally:
            server.close()

    found = run(main())  # the peer's transports close when they like: leaks are watched for elsewhere
    if trusted:
        assert found[:2] == [Opened(), Message(b'{"type":"session.created"}')]
    else:
        (event,) = found
        assert isinstance(event, Refused)
        assert event.http_status == 502
        assert "is not trusted" in event.reason


def test_a_secret_that_a_server_repeats_stays_out_of_the_verdict() -> None:
    class Telling(Client):
        def on(self, event: dict[str, object]) -> None:
            super().on(event)
            if event["type"] == "session.created":
                tool = {"type": "mcp", "server_label": "x", "server_url": "https://x.example", "authorization": "tok-0123456789"}
                self.send("session.update", session={"type": "tok-0123456789", "tools": [tool]})

    verdict, _ = clean_run(audited(Telling(), interruptions=1))
    assert "refused event" in verdict.counts
    assert b"tok-0123456789" not in msgspec.json.encode(verdict)
    assert b"***" in msgspec.json.encode(verdict)


def test_what_the_server_closes_is_closed_for_the_client() -> None:
    async def main() -> None:
        async with served(ServerOptions(session_s=5)) as (upstream, _), proxied(upstream) as (url, _):
            client = Silent()
            await client.run(url + "/v1/realtime")
            assert client.now == pytest.approx(5.0, abs=0.5)

    clean_run(main())


# -- the command -----------------------------------------------------------------------------------------------------------------


def test_the_command_judges_a_client_that_it_starts(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    options = ["--listen", "0", "--interruptions", "1", "--say", "900", "--say", "300", "--interrupt-at", "200", "--json"]
    html, wav = tmp_path / "verdict.html", tmp_path / "heard.wav"
    options += ["--html", str(html), "--wav", str(wav)]
    assert rtcore(["audit", *options, "--", sys.executable, str(OWN), str(wav)]) == CLEAN
    out, _ = capfd.readouterr()
    (verdict,) = msgspec.json.decode(out, type=dict[str, list[AuditVerdict]])["sessions"]
    assert verdict.clean
    assert verdict.signal == "samples"
    assert [one.cause for one in verdict.interruptions] == ["speech_started"]
    assert "Clean." in html.read_text(encoding="utf-8")


def test_a_client_that_never_comes_proves_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert rtcore(["audit", "--listen", "0", "--", sys.executable, "-c", "pass"]) == NOTHING
    assert rtcore(["audit", "--listen", "0", "--say", "99999999"]) == NOTHING
    out, err = capfd.readouterr()
    assert out == ""
    assert "argument --say: messages of 99999999 ms" in err
    with pytest.raises(SystemExit):
        rtcore(["audit", "--upstream", "https://user:sk-secret@host.example/?key=sk-secret"])
    assert "sk-secret" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--upstream", "wss://host.example", "--say", "900"], "--say is for the simulated server and its user"),
        (["--upstream", "wss://host.example", "--seed", "0"], "--seed is for the simulated server and its user"),
        (["--wav-start", "5"], "--wav-start says when the recording of --wav began"),
        (["--html", "nowhere/page.html"], "cannot write nowhere/page.html: no such file or directory"),
        (["--", "no-such-client"], "no-such-client: no such file or directory"),
        (["--listen", "PORT"], "address already in use; --listen chooses another port"),
        (["--http", "PORT"], "address already in use; --http chooses another port"),
    ],
)
def test_options_that_do_not_fit_are_told_before_a_client_comes(
    capfd: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = [str(taken.getsockname()[1]) if word == "PORT" else word for word in words]
        listen = [] if "--listen" in words else ["--listen", "0"]
        assert rtcore(["audit", *listen, *words]) == NOTHING
    out, err = capfd.readouterr()
    assert out == "" and said in err.splitlines()[-1] and err.splitlines()[-1].startswith("rtcore audit: ")


@pytest.mark.parametrize("url", ["wss://", "wss://host.example:99999/", "http://host.example"])
def test_an_upstream_that_nothing_can_dial_is_refused(capfd: pytest.CaptureFixture[str], url: str) -> None:
    with pytest.raises(SystemExit):
        rtcore(["audit", "--upstream", url])
    assert "argument --upstream: " in capfd.readouterr().err


def test_every_text_of_the_page_is_escaped_and_the_status_follows_the_verdict() -> None:
    verdict, _ = clean_run(audited(Silent(), interruptions=2, server=replace(SERVER, script=(spoken(3000),) * 4), points=(500,)))
    finding = msgspec.structs.replace(verdict.findings[0], text="<script>alert(1)</script>")
    marked = msgspec.structs.replace(verdict, findings=(finding,), notes=("<b>",))
    assert "<script>" not in page([marked])
    assert "&lt;script&gt;" in page([marked])
    assert "unheard words left" in text(verdict)
    assert status([verdict]) == FOUND
    assert status([]) == NOTHING
