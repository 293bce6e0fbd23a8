"""HTTP CONNECT and SOCKS5 as layers: what they ask, what they make of every answer, and what they never tell."""

import base64
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from websockets.proxy import Proxy

from rtcore_adapters._layers import LayerFault
from rtcore_adapters._route import _parsed
from rtcore_adapters._socks import SocksTunnel
from rtcore_adapters._tunnel import HttpTunnel, Tunnel

PROXY = "the proxy proxy.example:3128"
TARGET = "voice.example:443"
USER, PASSWORD = "anna", "s3cret-pa/ss word"
LOGIN = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}@"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
CHECK = "check the proxy's scheme (http, https or socks5), host and port"


def http(login: str = LOGIN, *, host: str = "voice.example", port: int = 443, secure: bool = True) -> HttpTunnel:
    return HttpTunnel(_parsed(f"http://{login}proxy.example:3128", "proxy"), host, port, secure=secure)


def socks(login: str = "anna:pw@", scheme: str = "socks5h", host: str = "voice.example") -> SocksTunnel:
    return SocksTunnel(_parsed(f"{scheme}://{login}proxy.example:3128", "proxy"), host, 443)


def fed(tunnel: Tunnel, data: bytes, edges: list[int]) -> bytes:
    """What came through, cut at the edges."""
    return b"".join(tunnel.receive(data[a:b]) for a, b in pairwise(sorted({0, len(data), *edges})))


def bytewise(data: bytes) -> list[int]:
    return list(range(len(data)))


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers))
    return head.encode("latin-1") + b"\r\n" + body


# -- HTTP CONNECT -----------------------------------------------------------------------------------------------------------


def test_connect_is_asked_with_host_port_and_credentials() -> None:
    tunnel = http()
    tunnel.send(b"TLS")
    assert tunnel.outgoing().decode().split("\r\n") == [
        "CONNECT voice.example:443 HTTP/1.1",
        "Host: voice.example",
        "User-Agent: rtcore",
        f"Proxy-Authorization: Basic {BASIC}",
        "",
        "",
    ]
    assert tunnel.outgoing() == b""
    plain = http("", host="::1", port=8080, secure=False).outgoing()
    assert plain.startswith(b"CONNECT [::1]:8080 HTTP/1.1\r\nHost: [::1]:8080\r\n")
    assert b"Proxy-Authorization" not in plain


YES = {
    "the usual words": b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n",
    "no words": b"HTTP/1.1 200\r\n\r\n",
    "another success": b"HTTP/1.1 202 Accepted\r\n\r\n",
    "a length that means nothing": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",  # RFC 9110, 9.3.6
    "bare line feeds": b"HTTP/1.1 200 OK\nVia: x\n\n",
    "an announcement first": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    "a strange header": b"HTTP/1.1 200 OK\r\nno colon\r\n\xff: \x00\r\n\r\n",
}


@pytest.mark.parametrize("cut", [lambda data: [], bytewise], ids=["whole", "bytewise"])
@pytest.mark.parametrize("name", YES)
def test_a_yes_opens_the_tunnel_and_nothing_behind_it_is_lost(name: str, cut: Callable[[bytes], list[int]]) -> None:
    tunnel = http()
    tunnel.outgoing()
    tunnel.send(b"kept")
    data = YES[name] + b"\r\n\r\nserver first\n"
    assert fed(tunnel, data, cut(data)) == b"\r\n\r\nserver first\n"  # invariant 14
    assert (tunnel.established, tunnel.fault) == (True, None)
    assert tunnel.outgoing() == b"kept"
    data = bytes(100)
    assert tunnel.receive(data) is data
    tunnel.send(data)
    assert tunnel.outgoing() is data
    assert tunnel.receive(b"") == b""
    assert (tunnel.ended, tunnel.fault) == (True, None)


LOGIN_PAGE = "a login page or another gateway is in the way: log in to the network, or use the final proxy's URL"
MAYBE_NONE = "it may be a web server and no proxy: check the proxy's host and port"

NO: dict[str, tuple[bytes, LayerFault]] = {
    "407 with the proxy's words": (
        answer("407 Proxy Authentication Required", b'{"error": {"message": "Wrong password for anna"}}'),
        LayerFault(
            f"{PROXY} answered HTTP 407 Proxy Authentication Required to CONNECT {TARGET}: Wrong password for ***",
            "it does not take this user and password: check those in the proxy's URL",
        ),
    ),
    "407 for another scheme": (
        answer("407 x", b"", "Proxy-Authenticate: Negotiate", "Proxy-Authenticate: NTLM realm=x"),
        LayerFault(
            f"{PROXY} answered HTTP 407 Proxy Authentication Required to CONNECT {TARGET}",
            "it asks for negotiate, ntlm, and only Basic is spoken here: put a proxy in between that speaks both",
        ),
    ),
    "403 as a web page": (
        answer("403 Forbidden", b"<html>No!</html>"),
        LayerFault(
            f"{PROXY} answered HTTP 403 Forbidden to CONNECT {TARGET}: a web page",
            f"the proxy's rules forbid it: have {TARGET} allowed for CONNECT",
        ),
    ),
    "a redirect with a token": (
        answer("302 Found", b"", "Location: https://login.example/page?token=abcdefgh"),
        LayerFault(
            f"{PROXY} answered HTTP 302 Found to CONNECT {TARGET}, which points to https://login.example/page", LOGIN_PAGE
        ),
    ),
    "a redirect to nowhere": (
        answer("307 x", b""),
        LayerFault(f"{PROXY} answered HTTP 307 Temporary Redirect to CONNECT {TARGET}", LOGIN_PAGE),
    ),
    "a web server": (
        answer("405 Method Not Allowed", b"no\r\nCONNECT"),
        LayerFault(f"{PROXY} answered HTTP 405 Method Not Allowed to CONNECT {TARGET}: no CONNECT", MAYBE_NONE),
    ),
    "a gateway in chunks": (
        b"HTTP/1.1 502 Bad\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nno s\r\n5;x=y\r\nuch h\r\n3\r\nost\r\n0\r\n\r\n",
        LayerFault(
            f"{PROXY} answered HTTP 502 Bad Gateway to CONNECT {TARGET}: no such host",
            f"the proxy could not reach {TARGET}: check the URL, or try again later",
        ),
    ),
    "a body to the end of the stream": (
        b"HTTP/1.0 503 x\r\n\r\nbusy",
        LayerFault(
            f"{PROXY} answered HTTP 503 Service Unavailable to CONNECT {TARGET}: busy",
            f"the proxy could not reach {TARGET}: check the URL, or try again later",
        ),
    ),
    "a body that is cut off": (
        b"HTTP/1.1 503 x\r\nContent-Length: 100\r\n\r\nbu",
        LayerFault(
            f"{PROXY} answered HTTP 503 Service Unavailable to CONNECT {TARGET}: bu",
            f"the proxy could not reach {TARGET}: check the URL, or try again later",
        ),
    ),
    "a number without a name": (
        answer("499 x"),
        LayerFault(f"{PROXY} answered HTTP 499 to CONNECT {TARGET}", "check the proxy's URL and its settings"),
    ),
    "switching protocols": (
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        LayerFault(
            f"{PROXY} answered HTTP 101 Switching Protocols to CONNECT {TARGET}", "check the proxy's URL and its settings"
        ),
    ),
    "a mail server": (
        b"220 mail.example ESMTP\r\n",
        LayerFault(f"{PROXY} does not speak HTTP: it said '220 mail.example ESMTP'", f"something else listens there: {CHECK}"),
    ),
    "a TLS server": (
        b"\x15\x03\x01\x00\x02\x02\x46",
        LayerFault(
            f"{PROXY} does not speak HTTP: it said '\\x15\\x03\\x01\\x00\\x02\\x02F'",
            "it answers in TLS: use https:// in the proxy's URL",
        ),
    ),
    "noise without a line": (
        b"\x80" * 100_000,
        LayerFault(f"{PROXY} does not speak HTTP: it said '" + "\\x80" * 64 + "'", f"something else listens there: {CHECK}"),
    ),
    "an echo of what we sent": (
        f"Basic {BASIC}\n".encode(),
        LayerFault(f"{PROXY} does not speak HTTP: it said 'Basic ***'", f"something else listens there: {CHECK}"),
    ),
    "no status": (
        b"HTTP/1.1 OK\r\n\r\n",
        LayerFault(f"{PROXY} gave no valid HTTP answer to CONNECT {TARGET}", CHECK),
    ),
    "a status out of range": (
        b"HTTP/1.1 999 x\r\n\r\n",
        LayerFault(f"{PROXY} gave no valid HTTP answer to CONNECT {TARGET}", CHECK),
    ),
    "nothing": (
        b"",
        LayerFault(
            f"{PROXY} closed the connection without an answer to CONNECT {TARGET}",
            f"{CHECK}, and whether it allows this destination",
        ),
    ),
    "a head that is cut off": (
        b"HTTP/1.1 200 OK\r\nVia",
        LayerFault(
            f"{PROXY} closed the connection without an answer to CONNECT {TARGET}",
            f"{CHECK}, and whether it allows this destination",
        ),
    ),
}


@pytest.mark.parametrize("cut", [lambda data: [], bytewise], ids=["whole", "bytewise"])
@pytest.mark.parametrize("name", NO)
def test_a_no_is_told_in_the_proxys_words(name: str, cut: Callable[[bytes], list[int]]) -> None:
    data, fault = NO[name]
    data = data[:5000]
    tunnel = http()
    assert fed(tunnel, data, cut(data)) + tunnel.receive(b"") == b""
    assert tunnel.fault == fault  # invariant 14: the same words however they came
    assert (tunnel.established, tunnel.ended) == (False, True)
    tunnel.send(b"x")
    tunnel.end()
    assert b"x" not in tunnel.outgoing()[-1:]
    assert tunnel.receive(b"more") == tunnel.receive(b"") == b""


def test_a_proxy_that_wants_credentials_which_the_url_has_not() -> None:
    tunnel = http("")
    tunnel.receive(answer("407 Proxy Authentication Required", b"", 'Proxy-Authenticate: Basic realm="x"'))
    assert tunnel.fault is not None
    assert tunnel.fault.remedy == (
        "it wants credentials: put user and password into the proxy's URL (http://user:password@host:port)"
    )


@pytest.mark.parametrize(
    ("heard", "what"),
    [
        (b"", f"{PROXY} did not answer CONNECT {TARGET} in 10 s"),
        (b"HTTP/1.1 20", f"{PROXY} did not answer CONNECT {TARGET} in 10 s"),
        (b"220 mail", f"{PROXY} does not speak HTTP: it said '220 mail'"),
        (b"HTTP/1.1 403 x\r\nContent-Length: 9\r\n\r\nrules", f"{PROXY} answered HTTP 403 Forbidden to CONNECT {TARGET}: rules"),
    ],
)
def test_a_proxy_that_does_not_go_on_is_named_with_what_it_said(heard: bytes, what: str) -> None:
    tunnel = http()
    tunnel.receive(heard)
    assert tunnel.unanswered(10.0).error == what


@pytest.mark.parametrize(
    "flood",
    [b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 3000, b"HTTP/1.1 200 " + b"O" * 20_000, b"HTTP/1.1 403 x\r\n\r\n" + b"no " * 7000],
    ids=["headers", "a line", "a body"],
)
def test_whatever_a_proxy_sends_memory_is_bounded(flood: bytes) -> None:  # C30
    """It gives up at 16 KiB of a head and 4 KiB of a body, at the same place however the bytes come."""
    ends = []
    for size in (1, 1000, len(flood)):
        tunnel, held, taken = http(), 0, 0
        for at in range(0, len(flood), size):
            tunnel.receive(flood[at : at + size])
            held, taken = max(held, len(tunnel._heard)), at
            if tunnel.ended:
                break
        assert tunnel.fault is not None
        assert (size == len(flood)) or held <= 16 * 1024 + size
        assert taken <= 16 * 1024
        assert len(tunnel.fault.error) < 500
        ends.append(tunnel.fault)
    assert ends[0] == ends[1] == ends[2]


def test_a_tunnel_says_with_whom_and_how_far() -> None:
    assert repr(http()) == f"HttpTunnel({PROXY!r}, established=False)"
    assert repr(socks()) == f"SocksTunnel({PROXY!r}, established=False)"


# -- SOCKS5 -----------------------------------------------------------------------------------------------------------------

NAME = b"\x05\x01\x00\x03\x0dvoice.example\x01\xbb"
OPEN = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38"


def test_without_credentials_none_are_offered() -> None:  # RFC 1928, 3
    tunnel = socks("")
    tunnel.send(b"TLS")
    assert tunnel.outgoing() == b"\x05\x01\x00"
    assert tunnel.receive(b"\x05\x00") == b""
    assert tunnel.outgoing() == NAME
    assert tunnel.receive(OPEN + b"server first") == b"server first"
    assert tunnel.outgoing() == b"TLS"
    assert (tunnel.established, tunnel.fault) == (True, None)


def test_with_credentials_the_proxy_chooses() -> None:  # RFC 1929
    tunnel = socks("anna:p%C3%A4%2Fss@")
    assert tunnel.outgoing() == b"\x05\x02\x00\x02"
    tunnel.receive(b"\x05\x02")
    assert tunnel.outgoing() == b"\x01\x04anna\x06p\xc3\xa4/ss"
    tunnel.receive(b"\x01\x00")
    assert tunnel.outgoing() == NAME
    tunnel = socks()
    tunnel.outgoing()
    tunnel.receive(b"\x05\x00")
    assert tunnel.outgoing() == NAME


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("voice.example", b"\x03\x0dvoice.example"),
        ("192.0.2.1", b"\x01\xc0\x00\x02\x01"),
        ("2001:db8::1", b"\x04\x20\x01\x0d\xb8" + bytes(11) + b"\x01"),
    ],
)
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_a_name_goes_to_the_proxy_or_is_resolved_here_as_the_scheme_says(scheme: str, host: str, address: bytes) -> None:
    tunnel = socks("", scheme, host)
    if scheme == "socks5" and host == "voice.example":
        with pytest.raises(RuntimeError, match=r"socks5:// wants the server's address: look up Route\.lookup"):
            tunnel.outgoing()
        tunnel.resolved("192.0.2.7")
        address = b"\x01\xc0\x00\x02\x07"
    tunnel.outgoing()
    tunnel.receive(b"\x05\x00")
    assert tunnel.outgoing() == b"\x05\x01\x00" + address + b"\x01\xbb"


@pytest.mark.parametrize("bound", [b"\x01\x7f\x00\x00\x01", b"\x03\x04host", b"\x03\x00", b"\x04" + bytes(16)])
@pytest.mark.parametrize("cut", [lambda data: [], bytewise], ids=["whole", "bytewise"])
def test_any_bound_address_is_passed_over(bound: bytes, cut: Callable[[bytes], list[int]]) -> None:  # invariant 14
    tunnel = socks()
    data = b"\x05\x02\x01\x00\x05\x00\x00" + bound + b"\x00\x50" + b"\x05\x05rest"
    assert fed(tunnel, data, cut(data)) == b"\x05\x05rest"
    assert tunnel.established


WHERE_FROM = f"something else listens there: {CHECK}"
REFUSALS: dict[str, tuple[str, bytes, LayerFault]] = {
    "credentials wanted": (
        "",
        b"\x05\xff",
        LayerFault(
            f"{PROXY} wants credentials", "put user and password into the proxy's URL (socks5://user:password@host:port)"
        ),
    ),
    "none of ours": (
        "anna:pw@",
        b"\x05\xff",
        LayerFault(f"{PROXY} takes neither user and password nor none", "use a proxy that takes one of them"),
    ),
    "one that was not offered": (
        "",
        b"\x05\x02",
        LayerFault(f"{PROXY} chose the authentication 2, which was not offered", "it is broken: use another proxy"),
    ),
    "a wrong password": (
        "anna:pw@",
        b"\x05\x02\x01\x01",
        LayerFault(f"{PROXY} does not take the user and password of its URL", "check user and password in the proxy's URL"),
    ),
    "HTTP": (
        "",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        LayerFault(
            f"{PROXY} does not speak SOCKS5: its answer begins with the byte 0x48",
            "it may answer in HTTP: use http:// in the proxy's URL",
        ),
    ),
    "SOCKS4": (
        "",
        b"\x00\x5b",
        LayerFault(
            f"{PROXY} does not speak SOCKS5: its answer begins with the byte 0x00", "it may speak SOCKS4 only: use another proxy"
        ),
    ),
    "noise": (
        "",
        b"\xff" * 9,
        LayerFault(f"{PROXY} does not speak SOCKS5: its answer begins with the byte 0xff", WHERE_FROM),
    ),
    "noise later": (
        "",
        b"\x05\x00\x06",
        LayerFault(f"{PROXY} does not speak SOCKS5: its answer begins with the byte 0x06", WHERE_FROM),
    ),
    "an address of no kind": (
        "",
        b"\x05\x00\x05\x00\x00\x09\x00",
        LayerFault(f"{PROXY} gave no valid SOCKS5 answer: address type 9", CHECK),
    ),
    "the rules": (
        "",
        b"\x05\x00\x05\x02",
        LayerFault(
            f"{PROXY} did not connect to {TARGET}: it answered that its rules do not allow it",
            "have the destination allowed in the proxy's rules",
        ),
    ),
    "nothing listens": (
        "",
        b"\x05\x00\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00",
        LayerFault(
            f"{PROXY} did not connect to {TARGET}: it answered that the connection was refused",
            "check the URL's host and port, and that the server runs",
        ),
    ),
    "a code of its own": (
        "",
        b"\x05\x00\x05\x77",
        LayerFault(f"{PROXY} did not connect to {TARGET}: it answered the unknown code 119", "check the proxy's log"),
    ),
    "nothing at all": (
        "",
        b"",
        LayerFault(
            f"{PROXY} closed the connection before it connected to {TARGET}", f"{CHECK}, and whether it wants a user"
        ),
    ),
    "an end in the middle": (
        "",
        b"\x05\x00" + OPEN[:7],
        LayerFault(
            f"{PROXY} closed the connection before it connected to {TARGET}", f"{CHECK}, and whether it wants a user"
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("cut", [lambda data: [], bytewise], ids=["whole", "bytewise"])
@pytest.mark.parametrize("name", REFUSALS)
def test_a_socks_proxy_that_does_not_connect_says_why(name: str, cut: Callable[[bytes], list[int]]) -> None:
    login, data, fault = REFUSALS[name]
    tunnel = socks(login)
    assert fed(tunnel, data, cut(data)) + tunnel.receive(b"") == b""
    assert tunnel.fault == fault
    assert tunnel.ended


@pytest.mark.parametrize("reply", range(1, 9))
def test_every_reply_of_the_rfc_has_words(reply: int) -> None:  # RFC 1928, 6
    tunnel = socks("")
    tunnel.receive(b"\x05\x00\x05" + bytes([reply]))
    assert tunnel.fault is not None
    assert "unknown code" not in tunnel.fault.error


def test_a_socks_proxy_that_says_nothing_is_named() -> None:
    assert socks().unanswered(10.0).error == f"{PROXY} did not connect to {TARGET} by SOCKS5 in 10 s"


def test_a_name_that_socks_cannot_carry_is_the_urls_mistake() -> None:
    with pytest.raises(ValueError, match="longer than the 255 bytes"):
        socks(host="x." * 128)


# -- any bytes at all, and no secret in any words ---------------------------------------------------------------------------


@given(data=st.binary(max_size=120), head=st.sampled_from([b"", b"HTTP/1.1 ", b"HTTP/1.1 407 x\r\n", b"\x05\x02\x01", b"\x05"]),
       cuts=st.lists(st.integers(0, 130), max_size=6))  # fmt: skip
@pytest.mark.parametrize("make", [http, socks])
def test_no_bytes_make_a_tunnel_raise_and_any_split_means_the_same(
    make: Callable[[], Tunnel], data: bytes, head: bytes, cuts: list[int]
) -> None:  # C29, invariant 14
    one, two, wire = make(), make(), head + data
    whole = fed(one, wire, []) + one.receive(b"")
    split = fed(two, wire, [cut for cut in cuts if cut < len(wire)]) + two.receive(b"")
    assert (split, two.fault, two.established) == (whole, one.fault, one.established)
    assert one.ended
    assert two.outgoing() == one.outgoing()


_WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=0x17F), min_size=4, max_size=20)


@given(user=_WORDS, password=_WORDS, around=st.sampled_from(["@@", "for @@.", "<@@>", '{"error": "@@ no"}', "ab @@ cd " * 20]),
       how=st.integers(0, 3), status=st.sampled_from(["407 x", "403 x", "302 x"]))  # fmt: skip
def test_no_words_of_a_proxy_carry_its_credentials(user: str, password: str, around: str, how: int, status: str) -> None:
    """Whatever it repeats: user, password, as they stand, as a URL spells them, as Basic authentication does; also in a header.

    A secret is only looked for where our own words would not hold it by themselves.
    """
    assume(":" not in user)
    spelled = [password, quote(password, safe=""), base64.b64encode(f"{user}:{password}".encode()).decode(), user][how]
    proxy = Proxy("http", "proxy.example", 3128, user, password)
    bare, told = (HttpTunnel(proxy, "voice.example", 443, secure=True) for _ in range(2))
    location = "Location: https://login.example/" + spelled.encode("ascii", "replace").decode().replace("?", "")
    bare.receive(answer(status, around.replace("@@", "").encode(), "Location: https://login.example/"))
    told.receive(answer(status, around.replace("@@", spelled).encode(), location))
    assert bare.fault is not None
    assert told.fault is not None
    ours = repr(bare.fault) + repr(bare) + "***"
    theirs = repr(told.fault) + repr(told) + repr(vars(told)["_where"])
    for secret in (user, password, spelled):
        if secret not in ours:
            assert secret not in theirs


def test_a_short_password_goes_where_it_stands_alone() -> None:
    """Inside of words three letters mean nothing, and taking them out would spoil the text."""
    tunnel = http("me:cat@")
    tunnel.receive(answer("407 x", b"me: 'cat' is no valid password, concatenate more"))
    assert tunnel.fault is not None
    assert tunnel.fault.error.endswith(": ***: '***' is no valid password, concatenate more")
