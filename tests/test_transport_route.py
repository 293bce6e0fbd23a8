"""The way to a server: proxies by argument and from the environment, and what is wrong with a URL, in words."""

import pytest
from far_end import Authority
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import InvalidProxy

from rtcore_adapters import _route
from rtcore_adapters._layers import Stack
from rtcore_adapters._route import Route, route
from rtcore_adapters._socks import SocksTunnel
from rtcore_adapters._tls import Tls
from rtcore_adapters._tunnel import HttpTunnel

HOST, PORT = "voice.example", 443
VARIABLES = ("ws", "wss", "http", "https", "socks", "all", "no")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy in the environment but what a test puts there."""
    for name in VARIABLES:
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


def kinds(way: Route) -> list[type]:
    return [type(layer) for layer in way.layers]


# -- what is dialled, and through what --------------------------------------------------------------------------------------


def test_without_a_proxy_the_server_is_dialled() -> None:
    way = route(HOST, 80, False)
    assert (way.host, way.port, way.layers, way.lookup) == (HOST, 80, (), None)
    way = route(HOST, PORT, True)
    assert (way.host, way.port, kinds(way)) == (HOST, PORT, [Tls])


WAYS: dict[str, tuple[str, bool, tuple[str, int], list[type], str | None]] = {
    "http": ("http://p.example:8080", True, ("p.example", 8080), [HttpTunnel, Tls], None),
    "http to ws": ("http://p.example:8080/", False, ("p.example", 8080), [HttpTunnel], None),
    "its port": ("http://p.example", True, ("p.example", 80), [HttpTunnel, Tls], None),
    "https": ("https://p.example", True, ("p.example", 443), [Tls, HttpTunnel, Tls], None),
    "socks5": ("socks5://p.example", True, ("p.example", 1080), [SocksTunnel, Tls], HOST),
    "socks5h": ("socks5h://p.example:9050", False, ("p.example", 9050), [SocksTunnel], None),
    "no scheme": ("p.example:3128", True, ("p.example", 3128), [HttpTunnel, Tls], None),
    "user, no scheme": ("me:pw@p.example:3128", True, ("p.example", 3128), [HttpTunnel, Tls], None),
    "IPv6": ("http://[::1]:3128", True, ("::1", 3128), [HttpTunnel, Tls], None),
    "another alphabet": ("http://bücher.example:1", True, ("xn--bcher-kva.example", 1), [HttpTunnel, Tls], None),
}


@pytest.mark.parametrize("name", WAYS)
def test_a_proxy_is_dialled_and_passed_through(name: str) -> None:
    url, secure, dialled, layers, lookup = WAYS[name]
    way = route(HOST, PORT, secure, proxy=url)
    assert ((way.host, way.port), kinds(way), way.lookup) == (dialled, layers, lookup)


def test_an_address_needs_no_lookup() -> None:
    assert route("192.0.2.1", PORT, True, proxy="socks5://p.example").lookup is None


def test_a_resolved_name_goes_to_the_proxy_as_an_address() -> None:
    way = route(HOST, 80, False, proxy="socks5://p.example")
    way.resolved("192.0.2.9")
    stack = Stack(way.layers)
    assert stack.outgoing() == b"\x05\x01\x00"
    stack.receive(b"\x05\x00")
    assert stack.outgoing() == b"\x05\x01\x00\x01\xc0\x00\x02\x09\x00\x50"


# -- the environment --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "secure", "expected"),
    [
        ({}, True, HOST),
        ({"https_proxy": "http://a.example:1"}, True, "a.example"),
        ({"HTTPS_PROXY": "http://a.example:1"}, True, "a.example"),
        ({"http_proxy": "http://a.example:1"}, True, HOST),
        ({"http_proxy": "http://a.example:1"}, False, "a.example"),
        ({"https_proxy": "http://a.example:1", "wss_proxy": "http://b.example:1"}, True, "b.example"),
        ({"https_proxy": "http://a.example:1", "socks_proxy": "http://c.example:1"}, True, "c.example"),
        ({"https_proxy": "http://a.example:1", "no_proxy": "other.example"}, True, "a.example"),
        ({"https_proxy": "http://a.example:1", "no_proxy": "x,.example"}, True, HOST),
        ({"https_proxy": "http://a.example:1", "no_proxy": "voice.example:443"}, True, HOST),
        ({"https_proxy": "http://a.example:1", "no_proxy": "*"}, True, HOST),
    ],
)
def test_the_environment_names_the_proxy_as_websockets_reads_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], secure: bool, expected: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert route(HOST, PORT, secure).host == expected
    assert route(HOST, PORT, secure, proxy=None).host == HOST
    assert route(HOST, PORT, secure, proxy="http://mine.example:1").host == "mine.example"


def test_a_socks_variable_means_socks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("socks_proxy", "http://c.example:1")
    assert kinds(route(HOST, PORT, True)) == [SocksTunnel, Tls]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.53", "::1"])
def test_this_machine_is_reached_without_the_environments_proxy(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """``rtcore serve`` on loopback behind a company's proxy; a proxy by argument is meant as it is said."""
    monkeypatch.setenv("http_proxy", "http://a.example:1")
    monkeypatch.setenv("https_proxy", "http://a.example:1")
    for secure in (False, True):
        assert route(host, PORT, secure).host == host
        assert route(host, PORT, secure, proxy="http://a.example:1").host == "a.example"


# -- bad URLs ---------------------------------------------------------------------------------------------------------------

SECRET = "pAss-9876"
BAD = {
    f"ftp://me:{SECRET}@p.example": "the scheme must be http, https, socks5 or socks5h",
    f"socks4://me:{SECRET}@p.example": "the scheme socks4 is not spoken",
    f"socks4a://me:{SECRET}@p.example": "the scheme socks4a is not spoken",
    f"http://me:{SECRET}@": "the host is missing",
    "": "the host is missing",
    "http://": "the host is missing",
    f"http://me:{SECRET}@p.example:0": "the port must be a number from 1 to 65535",
    f"http://me:{SECRET}@p.example:65536": "the port must be a number from 1 to 65535",
    f"http://me:{SECRET}@p.example:x": "the port must be a number from 1 to 65535",
    f"http://me:{SECRET}/x@p.example:1": "the port must be a number from 1 to 65535",
    f"http://me:12{SECRET[-2:]}/x@p.example:1": "nothing may follow the port",
    f"http://me:{SECRET}@p.example/path": "nothing may follow the port",
    f"http://me:{SECRET}@p.example?q=1": "nothing may follow the port",
    f"http://me:{SECRET}@p.example#f": "nothing may follow the port",
    f"http://{SECRET}@p.example": "the user comes without a password",
    f"http://me:{SECRET}%ff@p.example": "the host, user or password is not valid",
    f"http://me:{SECRET}@[::1": "the URL cannot be read",
    f"http://me%3A:{SECRET}@p.example": "the user may hold no colon",
    f"http://me:{SECRET}@{'x' * 64}.exämple": "the host, user or password is not valid",
    f"socks5://:{SECRET}@p.example": "the user must have 1 to 255 bytes",
    "socks5://me:@p.example": "the password must have 1 to 255 bytes",
    f"socks5://me:{SECRET * 40}@p.example": "the password must have 1 to 255 bytes",
}


@pytest.mark.parametrize("url", BAD)
def test_a_bad_proxy_url_is_named_by_its_part_and_never_quoted(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(ValueError, match=r"^proxy: ") as caught:
        route(HOST, PORT, True, proxy=url)
    assert str(caught.value).startswith(f"proxy: {BAD[url]}")
    assert SECRET not in _told(caught.value)
    if url:
        monkeypatch.setenv("https_proxy", url)
        with pytest.raises(ValueError, match=r"^the proxy of the environment: "):
            route(HOST, PORT, True)


def test_what_the_library_says_of_a_url_is_never_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its errors hold the URL; should it refuse one that passes here, ours does not."""

    def refuses(url: str) -> None:
        raise InvalidProxy(url, "no")

    monkeypatch.setattr(_route, "parse_proxy", refuses)
    with pytest.raises(ValueError, match=r"^proxy: the URL cannot be read$") as caught:
        route(HOST, PORT, True, proxy=f"http://me:{SECRET}@p.example")
    assert SECRET not in _told(caught.value)


def _told(error: BaseException | None) -> str:
    """All that a traceback would print: the causes too, unless they are hidden."""
    told = ""
    while error is not None:
        told += repr(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return told


_PART = st.text(st.characters(min_codepoint=33, max_codepoint=0x17F), min_size=6, max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(user=_PART, password=_PART, scheme=st.sampled_from(["http", "https", "socks5", "socks5h", "socks4", "ftp"]))
def test_no_password_is_ever_told_however_it_is_written(user: str, password: str, scheme: str) -> None:
    """Unencoded, as people write it: whatever the URL then means, neither an error nor a repr quotes the password."""
    try:
        way = route(HOST, PORT, True, proxy=f"{scheme}://{user}:{password}@p.example:3128")
    except ValueError as error:
        told = _told(error)
    else:
        stack = Stack(way.layers)
        told = repr(stack) + repr(stack.unanswered(10))
        told += repr(way) if way.host == "p.example" else ""  # of a password with an @, a part may have become the host
    assert password not in told


def test_a_context_that_cannot_be_used_is_named(authority: Authority) -> None:
    with pytest.raises(ValueError, match=r"^ssl: no handshake can begin with this context"):
        route(HOST, PORT, True, ssl=authority.server_context(f"DNS:{HOST}"))
