"""docs/transport.md: its program with a certificate of its own, and its table of failures, row by row."""

import re
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from far_end import Authority, OverTls, Server, TlsPeer, on_a_port
from test_docs import blocks

from rtcore_adapters._layers import LayerFault
from rtcore_adapters._route import route
from rtcore_adapters._socks import SocksTunnel
from rtcore_adapters._tls import Tls
from rtcore_adapters._tunnel import Tunnel

PAGE = Path(__file__).parent.parent / "docs" / "transport.md"
WHERE = "voice.example"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


def test_the_program_with_a_private_authority_and_a_client_certificate(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [block] = blocks("python tls")
    context = authority.server_context("DNS:localhost")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.path)
    (tmp_path / "authority.pem").write_bytes(authority.path.read_bytes())
    (tmp_path / "me.pem").write_bytes(authority.issue("DNS:me.example").read_bytes())
    monkeypatch.chdir(tmp_path)
    with on_a_port(lambda: OverTls(context, Server())) as port:
        monkeypatch.setenv("RTCORE_URL", f"wss://localhost:{port}/v1/realtime")
        exec(compile(block.body, block.name, "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out == block.output


def met(authority: Authority, change: Callable[[ssl.SSLContext, ssl.SSLContext], None] | None = None, name: str = WHERE) -> Tls:
    """TLS with a server that has a certificate for ``name``, the two contexts changed."""
    server, client = authority.server_context(f"DNS:{name}"), authority.client_context()
    if change is not None:
        change(server, client)
    tls, peer = Tls(client, WHERE, where=f"{WHERE}:443"), TlsPeer(server)
    while data := tls.outgoing():
        tls.receive(peer.talk(data))
    return tls


def asking(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    server.verify_mode = ssl.CERT_REQUIRED


def apart(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    server.maximum_version, client.minimum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def damaged(authority: Authority) -> Tls:
    tls, peer = Tls(authority.client_context(), WHERE, where=f"{WHERE}:443"), TlsPeer(authority.server_context(f"DNS:{WHERE}"))
    while data := tls.outgoing():
        tls.receive(peer.talk(data))
    tls.receive(peer.say(b"x")[:-1] + b"?")
    return tls


def told(authority: Authority, *data: bytes) -> Tls:
    tls = Tls(authority.client_context(), WHERE, where=f"{WHERE}:443")
    for piece in data:
        tls.receive(piece)
    return tls


def http(answer: str, login: str = "") -> Tunnel:
    return tunnel(f"http://{login}p.example:3128", answer.replace("|", "\r\n").encode())


def tunnel(url: str, *answers: bytes) -> Tunnel:
    layer = route(WHERE, 443, False, proxy=url).layers[0]
    assert isinstance(layer, Tunnel)
    for answer in answers:
        layer.receive(answer)
    return layer


def untrusted(authority: Authority) -> Tls:
    tls, peer = Tls(ssl.create_default_context(), WHERE, where=f"{WHERE}:443"), TlsPeer(authority.server_context(f"DNS:{WHERE}"))
    while data := tls.outgoing():
        tls.receive(peer.talk(data))
    return tls


ROWS: dict[str, Callable[[Authority], Tls | Tunnel]] = {
    "nobody trusted vouches for the certificate": untrusted,
    "the certificate is another's": lambda authority: met(authority, name="other.example"),
    "the server wants a client certificate": lambda authority: met(authority, asking),
    "no TLS version in common": lambda authority: met(authority, apart),
    "the server speaks no TLS": lambda authority: told(authority, b"HTTP/1.1 400 Bad Request\r\n"),
    "the server hangs up in the handshake": lambda authority: told(authority, b""),
    "the server does not go on": told,
    "a damaged record": damaged,
    "the proxy wants a password": lambda _: http("HTTP/1.1 407 x|Content-Length: 0||"),
    "the proxy knows another password": lambda _: http("HTTP/1.1 407 x|Content-Length: 0||", "me:pass@"),
    "the proxy forbids it": lambda _: http("HTTP/1.1 403 x|Content-Length: 13||not from here"),
    "the proxy sends to a login page": lambda _: http("HTTP/1.1 302 x|Content-Length: 0|Location: https://login.example/||"),
    "the proxy cannot reach the server": lambda _: http("HTTP/1.1 502 x|Content-Length: 0||"),
    "something else listens at the proxy's port": lambda _: http("220 mail.example ESMTP|"),
    "the proxy does not answer": lambda _: tunnel("http://p.example:3128"),
    "the SOCKS proxy wants a password": lambda _: tunnel("socks5h://p.example", b"\x05\xff"),
    "the SOCKS proxy cannot reach the server": lambda _: tunnel("socks5h://p.example", b"\x05\x00", b"\x05\x05"),
    "the SOCKS proxy speaks HTTP": lambda _: tunnel("socks5h://p.example", b"HTTP/1.1 400 x"),
}


def test_every_row_of_the_table_of_failures_is_what_is_said(authority: Authority) -> None:
    text = PAGE.read_text(encoding="utf-8").partition("## What is reported")[2]
    rows = re.findall(r"^\| ([^|`]+) \| `([^|]+)` \| `([^|]+)` \|$", text, re.MULTILINE)
    assert [what for what, _, _ in rows] == list(ROWS)
    for what, said, remedy in rows:
        layer = ROWS[what](authority)
        fault = layer.fault or layer.unanswered(10.0)
        assert isinstance(fault, LayerFault)
        assert said in fault.error, what
        assert remedy in fault.remedy, what


def test_the_table_of_proxy_urls_is_what_is_dialled() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)://host:port` \| ([^|]+) \| (\d+) \| (the proxy|this machine) \|$", text, re.MULTILINE)
    assert [row[0] for row in rows] == ["http", "https", "socks5", "socks5h"]
    for scheme, spoken, port, resolver in rows:
        way = route(WHERE, 80, False, proxy=f"{scheme}://p.example")
        assert way.port == int(port)
        assert (way.lookup is None) == (resolver == "the proxy")
        assert [type(layer) is Tls for layer in way.layers] == ([True, False] if "in TLS" in spoken else [False])
        assert isinstance(way.layers[-1], SocksTunnel) == ("SOCKS5" in spoken)
