"""A whole line over TLS and proxies, in memory: up to a message and back, every failure as the link tells it, and the end."""

import socket
from functools import partial

import msgspec
import pytest
from far_end import LOGIN, PASSWORD, Authority, OverTls, Peer, Proxied, Server, connect_proxy, socks_proxy
from websockets.frames import Frame, Opcode

from rtcore import Handshake
from rtcore_adapters import _line
from rtcore_adapters._line import Line, Ways
from rtcore_adapters._link import Closed, Failed, LinkEvent, LinkTimes, Message, Opened
from rtcore_adapters._outbox import Outbox

KEY = "sk-very-secret-0123456789"
HOST = "voice.example"
PROXY = "the proxy p.example:3128"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


def line(authority: Authority | None, *, url: str = f"wss://{HOST}/v1/realtime", proxy: str | None = None) -> Line:
    context = None if authority is None else authority.client_context()
    handshake = Handshake(url, (("Authorization", f"Bearer {KEY}"),))
    return Line(1, handshake, now=0.0, times=LinkTimes(), ways=Ways(ssl=context, proxy=proxy, proxy_ssl=context))


def carried(line: Line, peer: Peer, size: int = 65_536) -> list[LinkEvent]:
    """Moves bytes until nobody has any, the peer's ``size`` at a time. When the line opens, it asks for a session and closes."""
    events: list[LinkEvent] = []
    while out := line.outgoing():
        back = peer.talk(out)
        pieces = [back[at : at + size] for at in range(0, len(back), size)]
        for piece in [*pieces, b""] if peer.over else pieces:
            buffer = bytearray(piece)
            told = line.receive(memoryview(buffer), now=0.0)
            buffer[:] = bytes(len(buffer))  # a view is not kept: the next read overwrites it
            events += told
            if Opened() in told:
                line.send(b'{"type":"session.update","session":{"instructions":"x"}}', "ordered")
            if any(isinstance(event, Message) and b"session.updated" in event.payload for event in told):
                line.close(1000, "", now=0.0)
    return events


def failed(events: list[LinkEvent]) -> Failed:
    (event,) = events
    assert isinstance(event, Failed)
    assert KEY not in repr(event)
    assert PASSWORD not in repr(event)
    return event


def peer_behind(proxy: str, authority: Authority, host: str = HOST) -> Peer:
    """A realtime server over TLS, behind that kind of proxy."""
    server: Peer = OverTls(authority.server_context(f"DNS:{host}"), Server())
    if proxy in ("http", "https"):
        server = Proxied(connect_proxy, server)
    elif proxy.startswith("socks"):
        server = Proxied(socks_proxy, server)
    return OverTls(authority.server_context("DNS:p.example"), server) if proxy == "https" else server


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
@pytest.mark.parametrize("proxy", ["none", "http", "https", "socks5", "socks5h"])
def test_a_websocket_opens_through_every_kind_of_proxy(authority: Authority, proxy: str, size: int) -> None:
    """Issue 4, transport; invariant 14: TLS in a tunnel, TLS in TLS to the proxy, whole or byte by byte."""
    ours = line(authority, proxy=None if proxy == "none" else f"{proxy}://{LOGIN}@p.example:3128")
    assert (ours.host, ours.port) == ((HOST, 443) if proxy == "none" else ("p.example", 3128))
    if proxy == "socks5":
        assert ours.lookup == HOST
        ours.resolved("192.0.2.1")
    assert ours.lookup is None
    opened, created, updated, closed = carried(ours, peer_behind(proxy, authority), size)
    assert opened == Opened()
    assert isinstance(created, Message)
    assert isinstance(updated, Message)
    assert msgspec.json.decode(updated.payload)["session"]["instructions"] == "x"
    assert closed == Closed(1000, "the server closed the connection with code 1000")
    assert ours.over
    assert ours.outgoing() == b""


def test_the_end_is_said_in_tls_too(authority: Authority) -> None:
    """Close frame, then close_notify, so that the server sees no attack in it."""
    context = authority.server_context(f"DNS:{HOST}")
    peer = OverTls(context, Server())
    assert isinstance(carried(line(authority), peer)[-1], Closed)
    assert peer._tls.closed
    assert peer._tls.fault is None


# -- failures, as the link tells them ---------------------------------------------------------------------------------------


def test_a_wrong_certificate_is_told_and_the_server_hears_of_it(authority: Authority) -> None:
    peer = OverTls(authority.server_context("DNS:other.example"), Server())
    event = failed(carried(line(authority), peer))
    assert event.error.startswith(f"the TLS certificate of {HOST}:443 is not trusted: Hostname mismatch")
    assert "use a host name that stands in the certificate" in event.remedy
    assert peer._tls.fault is not None  # our alert


def test_each_side_of_an_https_proxy_is_verified_by_itself(authority: Authority) -> None:
    tunnel = Proxied(connect_proxy, OverTls(authority.server_context("DNS:other.example"), Server()))
    for context, where in (("DNS:other.example", PROXY), ("DNS:p.example", f"{HOST}:443")):
        peer = OverTls(authority.server_context(context), tunnel)
        event = failed(carried(line(authority, proxy=f"https://{LOGIN}@p.example:3128"), peer))
        assert event.error.startswith(f"the TLS certificate of {where} is not trusted: Hostname mismatch")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_refuses_is_told_in_its_words(authority: Authority, scheme: str) -> None:
    event = failed(carried(line(authority, proxy=f"{scheme}://anna:wrong%20one@p.example:3128"), peer_behind(scheme, authority)))
    assert event.error.startswith(f"{PROXY} answered HTTP 407 Proxy Authentication Required to CONNECT {HOST}:443: Who are you, ")
    assert event.remedy == "it does not take this user and password: check those in the proxy's URL"


def test_a_socks_proxy_that_refuses_is_told(authority: Authority) -> None:
    event = failed(carried(line(authority, proxy="socks5h://anna:wrong@p.example:3128"), peer_behind("socks5h", authority)))
    assert event.error == f"{PROXY} does not take the user and password of its URL"


def test_a_proxy_that_is_a_web_server_with_the_key_in_its_mouth_does_not_tell_it(authority: Authority) -> None:
    ours = line(authority, proxy="http://p.example:3128")
    ours.outgoing()
    body = f"no, {KEY} is no key of mine".encode()
    event = failed(ours.receive(b"HTTP/1.1 403 x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body), now=0.0))
    assert event.error.endswith("no, *** is no key of mine")


@pytest.mark.parametrize(
    ("proxy", "heard", "what"),
    [
        (None, b"", f"{HOST}:443 did not finish the TLS handshake in 10 s"),
        ("http://p.example:3128", b"", f"{PROXY} did not answer CONNECT {HOST}:443 in 10 s"),
        ("http://p.example:3128", b"HTTP/1.1 200 OK\r\n\r\n", f"{HOST}:443 did not finish the TLS handshake in 10 s"),
        ("https://p.example:3128", b"", f"{PROXY} did not finish the TLS handshake in 10 s"),
        ("socks5h://p.example:3128", b"\x05\x00", f"{PROXY} did not connect to {HOST}:443 by SOCKS5 in 10 s"),
    ],
)
def test_a_handshake_time_out_names_who_kept_us_waiting(proxy: str | None, heard: bytes, what: str) -> None:
    ours = line(None, proxy=proxy)
    ours.outgoing()
    assert not heard or ours.receive(heard, now=5.0) == []
    assert ours.tick(now=9.9) == []
    assert ours.deadline is not None
    assert ours.deadline.at == 10.0
    assert failed(ours.tick(now=10.0)).error == what
    assert ours.over


@pytest.mark.parametrize("error", [ConnectionResetError(), None])
def test_a_reset_in_a_handshake_is_laid_to_whom_it_happened_with(error: OSError | None) -> None:
    ours = line(None)
    ours.outgoing()
    event = failed(ours.lost(error, now=0.0) if error else ours.receive(b"", now=0.0))
    assert event == Failed(
        f"{HOST}:443 broke off the TLS handshake", "if the server speaks no TLS on this port, use ws:// instead of wss://"
    )


@pytest.mark.parametrize(
    ("error", "what", "remedy"),
    [
        (ConnectionRefusedError(), f"nothing listens on {PROXY}: connection refused", "check the proxy's host and port"),
        (TimeoutError(), f"{PROXY} did not answer", "check the proxy's host and port"),
        (socket.gaierror(), "the proxy's host name 'p.example' could not be resolved", "check the proxy's host"),
        (OSError(), f"{PROXY} could not be reached", "check the network and the proxy"),
    ],
)
def test_a_proxy_that_cannot_be_dialled_is_called_one(error: OSError, what: str, remedy: str) -> None:
    event = failed(line(None, proxy=f"http://{LOGIN}@p.example:3128").failed(error, now=0.0))
    assert event.error.startswith(what)
    assert event.remedy.startswith(remedy)


def test_a_name_that_this_machine_cannot_look_up_for_a_proxy_is_the_urls() -> None:
    ours = line(None, proxy="socks5://p.example:3128")
    assert failed(ours.failed(socket.gaierror(), now=0.0)) == Failed(
        f"the host name {HOST!r} could not be resolved",
        "check the URL's host and this machine's name service, or let the proxy look it up (socks5h://)",
    )
    ours = line(None, proxy="socks5://p.example:3128")
    ours.resolved("192.0.2.1")
    assert failed(ours.failed(ConnectionRefusedError(), now=0.0)).error.startswith(f"nothing listens on {PROXY}")


def test_pongs_that_nobody_takes_count_at_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """C30: a peer that pings and never reads."""
    monkeypatch.setattr(_line, "Outbox", partial(Outbox, max_control=10_000))
    ours, server = line(None, url=f"ws://{HOST}/v1/realtime"), Server()
    assert Opened() in ours.receive(server.talk(ours.outgoing()), now=0.0)
    ping = Frame(Opcode.PING, b"?" * 94).serialize(mask=False)  # its pong has 100 bytes

    def pinged() -> list[LinkEvent]:
        return ours.receive(ping, now=0.0)

    for _ in range(100):  # a peer that takes them at times is a good one
        assert pinged() == []
    assert len(ours.outgoing()) == 10_000
    ours.send(b"x" * 5_000, "ordered")
    for _ in range(50):
        assert pinged() == []
    (closed,) = pinged()
    assert isinstance(closed, Closed)
    assert closed.reason == "the server takes nothing: 10100 bytes wait"
    assert ours.over
    assert pinged() == []
