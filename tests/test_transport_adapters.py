"""The same TLS and the same proxies on asyncio, trio and threads, over real sockets: what opens, and what is told where not."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import trio
from far_end import LOGIN, PASSWORD, Authority, OverTls, Peer, Proxied, Server, connect_proxy, on_a_port, socks_proxy
from loopback import KEY, config, open_sockets

from rtcore import Notice, SessionClosed
from rtcore_adapters import asyncio as on_asyncio
from rtcore_adapters import threads as on_threads
from rtcore_adapters import trio as on_trio
from rtcore_adapters._failures import ConnectionFailed
from rtcore_adapters._link import LinkTimes


def by_asyncio(url: str, **options: Any) -> list[Notice]:
    async def main() -> list[Notice]:
        async with on_asyncio.connect(config(url), **options) as conversation:
            conversation.close()
            return [notice async for notice in conversation]

    return asyncio.run(main())


def by_trio(url: str, **options: Any) -> list[Notice]:
    async def main() -> list[Notice]:
        async with on_trio.connect(config(url), **options) as conversation:
            conversation.close()
            return [notice async for notice in conversation]

    return trio.run(main)


def by_threads(url: str, **options: Any) -> list[Notice]:
    with on_threads.connect(config(url), **options) as conversation:
        conversation.close()
        return list(conversation)


Run = Callable[..., list[Notice]]
RUNTIMES: dict[str, Run] = {"asyncio": by_asyncio, "trio": by_trio, "threads": by_threads}

each_runtime = pytest.mark.parametrize("run", RUNTIMES.values(), ids=RUNTIMES)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    sockets, threads = open_sockets(), set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - threads:
        if not thread.name.startswith("Trio thread "):  # they wait a while for more to look up
            thread.join(5.0)
    assert open_sockets() <= sockets


def peers(kind: str, authority: Authority) -> Callable[[], Peer]:
    """A realtime server over TLS, behind that kind of proxy."""
    server, proxy = authority.server_context("DNS:localhost", "IP:127.0.0.1"), authority.server_context("IP:127.0.0.1")

    def make() -> Peer:
        peer: Peer = OverTls(server, Server())
        if kind != "none":
            peer = Proxied(socks_proxy if kind.startswith("socks") else connect_proxy, peer)
        return OverTls(proxy, peer) if kind == "https" else peer

    return make


def told(run: Run, url: str, **options: Any) -> ConnectionFailed:
    with pytest.raises(ConnectionFailed) as caught:
        run(url, **options)
    failed = caught.value
    assert failed.reason == "refused"
    assert PASSWORD not in str(failed) + repr(failed.problem)
    assert KEY not in str(failed) + repr(failed.problem)
    return failed


@each_runtime
@pytest.mark.parametrize("proxy", ["none", "http", "https", "socks5", "socks5h"])
def test_a_session_over_tls_opens_and_ends_through_every_proxy(run: Run, proxy: str, authority: Authority) -> None:
    """Issue 4, transport: one TLS and one set of proxies below three runtimes."""
    context = authority.client_context()
    with on_a_port(peers(proxy, authority)) as port:
        url = f"wss://localhost:{port}/v1/realtime"
        through = None if proxy == "none" else f"{proxy}://{LOGIN}@127.0.0.1:{port}"
        notices = run(url, ssl=context, proxy=through, proxy_ssl=context)
    assert notices[-1] == SessionClosed("closed")


@each_runtime
def test_a_proxy_of_the_environment_is_used(run: Run, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "")
    with on_a_port(peers("http", authority)) as port:
        monkeypatch.setenv("wss_proxy", f"http://{LOGIN}@127.0.0.1:{port}")
        context = authority.client_context()
        context.check_hostname = False
        assert run("wss://voice.example/v1/realtime", ssl=context)[-1] == SessionClosed("closed")


@each_runtime
def test_a_server_that_nobody_vouches_for_is_refused(run: Run, authority: Authority) -> None:
    """Verified by default, with this machine's authorities; and a wrong name with the right authority."""
    with on_a_port(peers("none", authority)) as port:
        url = f"wss://localhost:{port}/v1/realtime"
        failed = told(run, url, proxy=None)
        assert f"the TLS certificate of localhost:{port} is not trusted: unable to get local issuer certificate" in str(failed)
        assert "for a private authority pass an ssl context that knows it" in str(failed)
    with on_a_port(lambda: OverTls(authority.server_context("DNS:other.example"), Server())) as port:
        failed = told(run, f"wss://localhost:{port}/v1/realtime", proxy=None, ssl=authority.client_context())
        assert f"the TLS certificate of localhost:{port} is not trusted: Hostname mismatch" in str(failed)


@each_runtime
def test_tls_where_there_is_none_and_none_where_there_is(run: Run, authority: Authority) -> None:
    with on_a_port(lambda: Proxied(lambda heard: (b"220 mail.example\r\n", len(heard), False), Server())) as port:
        failed = told(run, f"wss://localhost:{port}/v1/realtime", proxy=None)
        assert f"localhost:{port} failed the TLS handshake: it does not speak TLS" in str(failed)
        assert "use ws:// instead of wss://" in str(failed)
    with on_a_port(peers("none", authority)) as port:
        failed = told(run, f"ws://127.0.0.1:{port}/v1/realtime", proxy=None)
        assert "closed the connection without an answer; check the host, the port and ws:// or wss://" in str(failed)


class Gone:
    """Hangs up as soon as it hears something."""

    over = False

    def talk(self, data: bytes) -> bytes:
        self.over = True
        return b""


@each_runtime
@pytest.mark.parametrize(
    ("proxy", "what"),
    [
        (None, "localhost:443 broke off the TLS handshake"),
        ("http", "closed the connection without an answer to CONNECT localhost:443"),
        ("https", "broke off the TLS handshake; if the proxy speaks no TLS on this port, use http:// in its URL"),
        ("socks5h", "closed the connection before it connected to localhost:443"),
    ],
)
def test_who_hangs_up_in_a_handshake_is_named(run: Run, proxy: str | None, what: str) -> None:
    with on_a_port(Gone) as port:
        where = "localhost:443" if proxy else f"localhost:{port}"
        url = None if proxy is None else f"{proxy}://127.0.0.1:{port}"
        failed = told(run, f"wss://{where}/v1/realtime", proxy=url)
    assert what.replace("localhost:443", where) in str(failed)


@each_runtime
def test_a_proxy_that_refuses_is_told_in_its_words(run: Run, authority: Authority) -> None:
    with on_a_port(peers("http", authority)) as port:
        failed = told(run, "wss://localhost/v1/realtime", proxy=f"http://anna:another@127.0.0.1:{port}")
        assert f"the proxy 127.0.0.1:{port} answered HTTP 407" in str(failed)
        assert "it does not take this user and password" in str(failed)
    failed = told(run, "wss://localhost/v1/realtime", proxy=f"http://127.0.0.1:{port}")
    assert f"nothing listens on the proxy 127.0.0.1:{port}: connection refused" in str(failed)


@each_runtime
def test_a_proxy_url_that_is_wrong_is_named_without_its_password(run: Run) -> None:
    with pytest.raises(ValueError, match="proxy: the port must be a number from 1 to 65535") as caught:
        told(run, "wss://voice.example/v1/realtime", proxy=f"http://{LOGIN}@127.0.0.1:99999")
    assert LOGIN not in str(caught.value)


@each_runtime
def test_a_conversation_that_is_over_before_it_has_begun_ends(run: Run) -> None:
    """Ten times, because one that was over before its tasks had begun once hung on trio, by chance."""
    for _ in range(10):
        assert "names port 0, where nothing can listen" in str(told(run, "ws://127.0.0.1:0/v1/realtime"))


# -- given up on the way ----------------------------------------------------------------------------------------------------


class Tripwire:
    """A peer that pulls when it hears something for the ``point``-th time, and goes on."""

    def __init__(self, peer: Peer, point: int, pull: Callable[[], object]) -> None:
        self._peer, self._left, self._pull = peer, point, pull

    @property
    def over(self) -> bool:
        return self._peer.over

    def talk(self, data: bytes) -> bytes:
        self._left -= 1
        if self._left == 0:
            with suppress(RuntimeError):  # the run is over
                self._pull()
        return self._peer.talk(data)


Armed = dict[str, Any]
"""The point of the next connection, and what pulls its tripwire."""


async def _asyncio_cancelled(armed: Armed, url: str, **options: Any) -> int:
    ready = 0

    async def connected() -> None:
        nonlocal ready
        async with on_asyncio.connect(config(url), **options):
            ready += 1
            task.cancel()
            await asyncio.sleep(0)

    for number in range(100):
        task = asyncio.create_task(connected())
        armed.update(point=number % 7, pull=partial(asyncio.get_running_loop().call_soon_threadsafe, task.cancel))
        await asyncio.wait([task])
        assert task.cancelled()
    return ready


async def _trio_cancelled(armed: Armed, url: str, **options: Any) -> int:
    ready = 0
    for number in range(100):
        with trio.CancelScope() as scope:
            armed.update(point=number % 7, pull=partial(trio.lowlevel.current_trio_token().run_sync_soon, scope.cancel))
            async with on_trio.connect(config(url), **options):
                ready += 1
                scope.cancel()
                await trio.lowlevel.checkpoint()
        assert scope.cancelled_caught
    return ready


@pytest.mark.parametrize("runtime", ["asyncio", "trio"])
def test_a_hundred_connects_cancelled_on_the_way_leave_nothing(runtime: str, authority: Authority) -> None:
    """Between any two steps of TLS to the proxy, CONNECT, TLS to the server, websocket and session (issue 4)."""
    context, armed, make = authority.client_context(), Armed(), peers("https", authority)
    with on_a_port(lambda: Tripwire(make(), **armed)) as port:
        options = {"ssl": context, "proxy": f"https://{LOGIN}@127.0.0.1:{port}", "proxy_ssl": context}
        url = f"wss://localhost:{port}/v1/realtime"
        if runtime == "asyncio":
            ready = asyncio.run(_asyncio_cancelled(armed, url, **options))
        else:
            ready = trio.run(partial(_trio_cancelled, armed, url, **options))
    assert 14 <= ready < 100  # those whose tripwire lies behind the session's beginning


def test_connects_of_threads_that_are_given_up_on_the_way_leave_nothing(authority: Authority) -> None:
    """Nothing cancels a thread: its connect is given up by its own time-out, at twenty points."""
    context = authority.client_context()
    with on_a_port(peers("https", authority)) as port:
        for point in range(20):
            through = f"https://{LOGIN}@127.0.0.1:{port}"
            times = LinkTimes(open_s=max(point, 0.1) * 0.001)
            try:
                with on_threads.connect(config(f"wss://localhost:{port}/v1/realtime"), ssl=context, proxy=through,
                                        proxy_ssl=context, times=times) as conversation:  # fmt: skip
                    assert conversation.state == "ready"
            except ConnectionFailed as failed:
                assert " in 0" in str(failed)
