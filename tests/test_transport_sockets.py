"""Happy eyeballs for threads, against real loopback sockets: who wins, what is closed, and what ends it early."""

import errno
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest
from loopback import config, open_sockets

from rtcore_adapters._addresses import Address, order_addresses
from rtcore_adapters._sockets import connect_any
from rtcore_adapters.threads import ConnectionFailed, LinkTimes, connect
from rtcore_adapters.threads._dial import open_socket

LONG = 60.0  # seconds; a test that waits so long has failed


def address(port: int, host: str = "127.0.0.1") -> Address:
    return Address(socket.AF_INET, socket.SOCK_STREAM, 0, (host, port))


def refused() -> Address:
    """Where nothing listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        return address(taken.getsockname()[1])


@contextmanager
def listening() -> Iterator[tuple[Address, socket.socket]]:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield address(server.getsockname()[1]), server


@contextmanager
def black_hole() -> Iterator[Address]:
    """An address that answers nothing: what listens there has no room left for connections, so the kernel drops them."""
    with ExitStack() as stack:
        server = stack.enter_context(closing(socket.socket()))
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        where = server.getsockname()
        for _ in range(8):
            filler = stack.enter_context(closing(socket.socket()))
            filler.settimeout(0.05)
            try:
                filler.connect(where)
            except TimeoutError:
                break
        else:
            pytest.skip("this kernel takes more connections than it was asked to")
        yield address(where[1])


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = open_sockets()
    yield
    assert open_sockets() == before


def test_the_first_that_answers_wins() -> None:
    with listening() as (one, server), listening() as (two, other):
        with closing(connect_any([one, two], "h")) as found:
            assert found.getpeername() == one.sockaddr
            assert not found.getblocking()
            server.accept()[0].close()
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.accept()


def test_one_that_refuses_costs_no_waiting() -> None:  # RFC 8305, 5
    with listening() as (good, _), closing(connect_any([refused(), refused(), good], "h", stagger_s=LONG)) as found:
        assert found.getpeername() == good.sockaddr


def test_one_that_leads_nowhere_costs_one_stagger() -> None:
    """And is closed when the other wins."""
    with black_hole() as hole, listening() as (good, _), closing(connect_any([hole, good], "h", stagger_s=0.02)) as found:
        assert found.getpeername() == good.sockaddr


def test_a_family_that_this_machine_has_not_costs_nothing() -> None:
    absent = Address(9999, socket.SOCK_STREAM, 0, ("127.0.0.1", 1))
    with listening() as (good, _), closing(connect_any([absent, good], "h", stagger_s=LONG)) as found:
        assert found.getpeername() == good.sockaddr


def test_of_several_errors_the_one_that_says_most_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Address(9999, socket.SOCK_STREAM, 0, ("127.0.0.1", 1))
    with pytest.raises(ConnectionRefusedError):
        connect_any([absent, refused()], "h")
    with pytest.raises(OSError) as caught:
        connect_any([absent], "h")
    assert caught.value.errno == errno.EAFNOSUPPORT
    with pytest.raises(socket.gaierror, match=r"voice\.example has no address"):
        connect_any([], "voice.example")


def test_it_does_not_try_for_ever() -> None:
    with black_hole() as hole, pytest.raises(TimeoutError, match=r"^h did not answer in 0\.02 s$"):
        connect_any([hole, hole], "h", stagger_s=0.005, timeout_s=0.02)


def test_it_can_be_ended_from_outside() -> None:
    """The end of a conversation waits for no dial that leads nowhere (issue 4: no hang, no leak)."""
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs), black_hole() as hole:
        threading.Timer(0.02, theirs.send, [b"x"]).start()
        with pytest.raises(InterruptedError, match="dialling h was given up"):
            connect_any([hole], "h", timeout_s=LONG, stop=ours)
        with pytest.raises(InterruptedError):  # it was not read
            connect_any([hole], "h", timeout_s=LONG, stop=ours)


def test_a_host_is_resolved_and_its_families_are_tried_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with an IPv6 address first where nothing listens: the usual dual-stack trap."""
    with listening() as (good, _):
        port = good.sockaddr[1]

        def resolved(host: str, port: int, **options: object) -> list[tuple[int, int, int, str, object]]:
            assert host == "voice.example"
            six = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0))
            four = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
            return [six, six, four]

        monkeypatch.setattr(socket, "getaddrinfo", resolved)
        with closing(open_socket("voice.example", port)) as found:
            assert found.getpeername() == good.sockaddr


def test_an_attempt_that_cannot_be_watched_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(selectors.SelectSelector):
        def register(self, fileobj: object, events: int, data: object = None) -> None:  # type: ignore[override]
            raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(selectors, "DefaultSelector", Full)
    with listening() as (good, _), pytest.raises(OSError, match="no room"):
        connect_any([good], "h")


def test_addresses_are_taken_in_turns_by_family() -> None:  # RFC 8305, 4
    def info(family: int, where: str) -> tuple[int, int, int, str, tuple[str, int]]:
        return family, socket.SOCK_STREAM, 6, "", (where, 1)

    six, four = int(socket.AF_INET6), int(socket.AF_INET)
    found = [info(six, "a"), info(six, "b"), info(six, "a"), info(four, "c"), info(six, "d")]
    assert [each.sockaddr[0] for each in order_addresses(found)] == ["a", "c", "b", "d"]
    assert order_addresses([]) == []
    assert order_addresses(found[:1]) == [Address(six, socket.SOCK_STREAM, 6, ("a", 1))]


def test_a_dial_that_leads_nowhere_ends_with_its_conversation() -> None:
    """Not minutes later, when the kernel gives up: no thread and no socket is left (issue 4: no leak)."""
    before = set(threading.enumerate())
    with black_hole() as hole:
        url = f"ws://127.0.0.1:{hole.sockaddr[1]}/v1/realtime"
        failure = pytest.raises(ConnectionFailed, match=r"did not answer the websocket handshake in 0\.05 s")
        with failure, connect(config(url), times=LinkTimes(open_s=0.05)):
            raise AssertionError("unreachable")
        for thread in set(threading.enumerate()) - before:
            thread.join(LONG / 10)
            assert not thread.is_alive()
