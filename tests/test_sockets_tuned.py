"""What every connection's socket is set to (issue 4: control before microphone audio)."""

import math
import socket
import sys
import threading
from contextlib import closing

import pytest

from rtcore_adapters._line import Ways
from rtcore_adapters._link import LinkTimes
from rtcore_adapters._sockets import NOT_SENT, own_buffer, shared_buffer, tune


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="the option is theirs")
def test_a_kernel_takes_little_that_it_cannot_send() -> None:
    with closing(socket.socket()) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024)  # a peer that reads nothing takes no more than this
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with closing(socket.create_connection(listener.getsockname())) as opened, closing(listener.accept()[0]):
            opened.setblocking(False)
            tune(opened)
            taken = 0
            with pytest.raises(BlockingIOError):
                for _ in range(1_000):
                    taken += opened.send(bytes(4 * 1024))
    assert 0 < taken < 8 * NOT_SENT


def test_a_socket_of_another_kind_is_left_as_it_is() -> None:
    one, other = socket.socketpair()
    with one, other:
        tune(one)


def test_the_lines_of_a_thread_share_what_they_are_read_into() -> None:  # memory per conversation (issue 4)
    mine, theirs = shared_buffer(), []
    thread = threading.Thread(target=lambda: theirs.append(shared_buffer()))
    thread.start()
    thread.join()
    assert shared_buffer() is mine and theirs[0] is not mine
    assert own_buffer() is not own_buffer() and len(own_buffer()) == len(mine)


@pytest.mark.parametrize("given", [-1, None, "3", True, float("nan")])
def test_a_time_out_that_is_none_is_named(given: object) -> None:
    with pytest.raises(ValueError, match=r"LinkTimes\.ping_s is .*: give seconds"):
        LinkTimes(ping_s=given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"ping_s": 0}, r"LinkTimes\.ping_s is 0, and it would ping without a pause"),
        ({"open_s": 0.0}, r"LinkTimes\.open_s is 0, and nothing answers in no time"),
        ({"pong_s": 0}, r"LinkTimes\.pong_s is 0, and nothing answers in no time"),
        ({"close_s": math.inf}, r"LinkTimes\.close_s is inf, and the block would not be left"),
    ],
)
def test_a_time_out_that_has_no_sense_is_refused_with_its_reason(given: dict[str, float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        LinkTimes(**given)


def test_a_limit_may_be_none() -> None:
    assert LinkTimes(open_s=math.inf, ping_s=math.inf, pong_s=math.inf, close_s=0).ping_s == math.inf


def test_the_way_to_a_server_shows_no_password() -> None:
    assert "hunter2" not in repr(Ways(proxy="http://me:hunter2@proxy.example:3128"))
