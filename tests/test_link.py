"""The link: what a server's bytes come to, however they are cut; what it says when there is no server; and its three timers."""

import io
import logging
from collections.abc import Callable, Generator, Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from rtcore import Deadline, Disconnection, Handshake
from rtcore_adapters._link import (
    MAX_MESSAGE,
    Closed,
    Failed,
    Link,
    LinkEvent,
    LinkTimes,
    Message,
    Opened,
    Refused,
    disconnection,
    place,
)

KEY = "sk-very-secret-0123456789"
URL = "ws://voice.example:8080/v1/realtime?model=gpt-realtime"
PLACE = "ws://voice.example:8080/v1/realtime"
HANDSHAKE = Handshake(URL, (("Authorization", f"Bearer {KEY}"), ("X-Team", "blue")))


def link_to(handshake: Handshake = HANDSHAKE, max_message: int = MAX_MESSAGE) -> Link:
    return Link(handshake, now=0.0, max_message=max_message)


def accepted(link: Link) -> bytes:
    """The bytes with which a correct server answers this link's request."""
    server = ServerProtocol()
    server.receive_data(link.outgoing())
    (request,) = server.events_received()
    server.send_response(server.accept(request))  # type: ignore[arg-type]  # a request, before anything else
    return b"".join(server.data_to_send())


def opened(max_message: int = MAX_MESSAGE) -> Link:
    link = link_to(max_message=max_message)
    assert link.receive(accepted(link), now=0.0) == [Opened()]
    return link


def frame(opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=False)


def closing(code: int, reason: str = "") -> bytes:
    return frame(Opcode.CLOSE, code.to_bytes(2, "big") + reason.encode())


def written(link: Link) -> list[Frame]:
    """The frames that the link wants written, as a server would read them."""
    data = io.BytesIO(link.outgoing())
    frames: list[Frame] = []
    while data.tell() < len(data.getbuffer()):
        parser = Frame.parse(lambda n: _exactly(data, n), mask=True)
        try:
            while True:
                next(parser)
        except StopIteration as parsed:
            frames.append(parsed.value)
    return frames


def _exactly(data: io.BytesIO, size: int) -> Generator[None, None, bytes]:
    yield from ()
    return data.read(size)


# -- a conversation ---------------------------------------------------------------------------------------------------------

TEXT, BINARY, CONT = Opcode.TEXT, Opcode.BINARY, Opcode.CONT
BROKE, A_BUG = "the server broke the websocket protocol", "a proxy or server bug: connect again"

STREAMS: dict[str, tuple[bytes, list[LinkEvent]]] = {
    "two messages": (frame(TEXT, b"{}") + frame(TEXT, b'{"a":1}'), [Message(b"{}"), Message(b'{"a":1}')]),
    "binary is a message too": (frame(BINARY, b"\x00\xff"), [Message(b"\x00\xff")]),
    "an empty message": (frame(TEXT), [Message(b"")]),
    "no valid UTF-8": (frame(TEXT, b"\xff\xfe"), [Message(b"\xff\xfe")]),
    "fragments around a ping": (
        frame(TEXT, b"ab", fin=False) + frame(Opcode.PING, b"?") + frame(CONT, b"cd", fin=False) + frame(CONT, b"ef"),
        [Message(b"abcdef")],
    ),
    "lengths of all three widths": (
        frame(TEXT, b"x" * 125) + frame(TEXT, b"y" * 126) + frame(TEXT, b"z" * 65_536),
        [Message(b"x" * 125), Message(b"y" * 126), Message(b"z" * 65_536)],
    ),
    "a close": (
        frame(TEXT, b"1") + closing(1001, "session_expired") + frame(TEXT, b"2"),
        [Message(b"1"), Closed(1001, "session_expired")],
    ),
    "a close without a code": (frame(Opcode.CLOSE), [Closed(1005, "the server closed the connection with code 1005")]),
    "a close with a broken reason": (
        frame(Opcode.CLOSE, b"\x03\xe8\xff"),
        [
            Closed(1007, f"{BROKE}: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte", A_BUG),
        ],
    ),
    "a masked frame": (
        frame(TEXT, b"1") + Frame(TEXT, b"2").serialize(mask=True),
        [
            Message(b"1"),
            Closed(1002, f"{BROKE}: incorrect masking", A_BUG),
        ],
    ),
    "an unknown opcode": (
        b"\x83\x00" + frame(TEXT, b"2"),
        [Closed(1002, f"{BROKE}: invalid opcode", A_BUG)],
    ),
    "a continuation of nothing": (
        frame(CONT, b"x"),
        [Closed(1002, f"{BROKE}: unexpected continuation frame", A_BUG)],
    ),
    "a message in a message": (
        frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"),
        [Closed(1002, f"{BROKE}: expected a continuation frame", A_BUG)],
    ),
    "cut between messages": (
        frame(TEXT, b"1") + b"",
        [Message(b"1"), Closed(1006, "the connection was cut without a close frame", "connect again")],
    ),
    "cut in a frame": (
        frame(TEXT, b"1") + frame(TEXT, b"2" * 300)[:99],
        [Message(b"1"), Closed(1006, "the connection was cut in the middle of a message", "connect again")],
    ),
    "cut behind a frame's header": (
        frame(TEXT, b"2" * 100)[:2],
        [Closed(1006, "the connection was cut in the middle of a message", "connect again")],
    ),
    "cut between fragments": (
        frame(TEXT, b"1", fin=False),
        [Closed(1006, "the connection was cut in the middle of a message", "connect again")],
    ),
}


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers))
    return head.encode() + b"\r\n" + body


ANSWERS: dict[str, tuple[bytes, list[LinkEvent]]] = {
    "401 with the server's words": (
        http("401 Unauthorized", b'{"error": {"message": "Incorrect API key provided: %s. Go away."}}' % KEY.encode()),
        [
            Refused(
                401,
                f"{PLACE} answered HTTP 401 Unauthorized: Incorrect API key provided: ***. Go away.",
                "check the API key or token, and that it belongs to this endpoint",
            )
        ],
    ),
    "401 without a body, in HTTP/1.0": (
        b"HTTP/1.0 401 Unauthorized\r\n\r\n",
        [
            Refused(
                401,
                f"{PLACE} answered HTTP 401 Unauthorized",
                "check the API key or token, and that it belongs to this endpoint",
            )
        ],
    ),
    "403": (
        http("403 Forbidden", b'{"error": "not you"}'),
        [
            Refused(
                403,
                f"{PLACE} answered HTTP 403 Forbidden: not you",
                "the key is known but may not do this: check its permissions for this model or deployment, "
                "and the network's access rules",
            )
        ],
    ),
    "a JSON error": (
        http("404 Not Found", b'{"error": {"message": "no such deployment\\n"}}'),
        [
            Refused(
                404,
                f"{PLACE} answered HTTP 404 Not Found: no such deployment",
                "check the URL, the model or deployment name and the api-version",
            )
        ],
    ),
    "a redirect": (
        http("307 Temporary Redirect", b"", "Location: https://x.example/login?token=abcdefgh"),
        [
            Refused(
                307,
                f"{PLACE} answered HTTP 307 Temporary Redirect, which points to https://x.example/login",
                "use the final websocket URL: redirects are not followed, because they would carry the key to another host",
            )
        ],
    ),
    "429": (
        http("429 Too Many Requests", b"slow down"),
        [
            Refused(
                429,
                f"{PLACE} answered HTTP 429 Too Many Requests: slow down",
                "wait before trying again, and check the account's rate limits and quota",
            )
        ],
    ),
    "503, unusual status text, chunked": (
        b"HTTP/1.1 503 Nope\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nlater\r\n0\r\n\r\n",
        [
            Refused(
                503,
                f"{PLACE} answered HTTP 503 Service Unavailable: later",
                "the server or a gateway is in trouble: try again later",
            )
        ],
    ),
    "a web page": (
        http("200 OK", b"<html>Welcome!</html>"),
        [
            Refused(
                200,
                f"{PLACE} answered HTTP 200 OK: a web page",
                "check the URL: this place answers HTTP but opened no websocket",
            )
        ],
    ),
    "JSON that is nested too deeply": (
        http("404 Not Found", b"[" * 5000),
        [
            Refused(
                404,
                (f"{PLACE} answered HTTP 404 Not Found: " + "[" * 5000)[:297] + "...",
                "check the URL, the model or deployment name and the api-version",
            )
        ],
    ),
    "a status nobody knows": (
        http("599 Whatever"),
        [Refused(599, f"{PLACE} answered HTTP 599", "the server or a gateway is in trouble: try again later")],
    ),
    "101 that is no websocket": (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        [
            Failed(
                f"{PLACE} gave no valid websocket answer: invalid Upgrade header: h2c",
                "check the URL: a server or proxy there does not speak websocket (RFC 6455)",
            )
        ],
    ),
    "HTTP that breaks off in a header": (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgr\r\n\r\n",
        [
            Failed(
                f"{PLACE} gave no valid websocket answer",
                "check the URL: a server or proxy there does not speak websocket (RFC 6455)",
            )
        ],
    ),
    "a mail server": (
        b"220 mail.example ESMTP ready\r\n",
        [
            Failed(
                f"{PLACE} does not speak HTTP: it said '220 mail.example ESMTP ready'",
                "something else listens there: check the host, the port and ws:// or wss://",
            )
        ],
    ),
    "a TLS server": (
        b"\x15\x03\x01\x00\x02\x02\x46" + b"\n",
        [
            Failed(
                f"{PLACE} does not speak HTTP: it said '\\x15\\x03\\x01\\x00\\x02\\x02F'",
                "it answers in TLS: use wss:// instead of ws://",
            )
        ],
    ),
    "noise without a line": (
        b"\x80" * 200,
        [
            Failed(
                f"{PLACE} does not speak HTTP: it said '" + "\\x80" * 64 + "'",
                "something else listens there: check the host, the port and ws:// or wss://",
            )
        ],
    ),
}


def fed(link: Link, pieces: Iterable[bytes]) -> list[LinkEvent]:
    events: list[LinkEvent] = []
    for piece in pieces:
        events += link.receive(piece, now=1.0)
    return events + link.receive(b"", now=1.0)


def whole(data: bytes) -> list[bytes]:
    return [data] if data else []


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


FEEDINGS: dict[str, Callable[[bytes], list[bytes]]] = {"whole": whole, "byte by byte": bytewise}


def in_the_grammar(events: list[LinkEvent]) -> bool:
    """Opened Message* Closed | Refused | Failed"""
    match events:
        case [Refused() | Failed()]:
            return True
        case [Opened(), *messages, Closed()]:
            return all(isinstance(event, Message) for event in messages)
        case _:
            return False


@pytest.mark.parametrize("feeding", FEEDINGS)
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_gives_its_events_however_it_is_cut(name: str, feeding: str) -> None:  # invariant 14, C30, B27
    stream, expected = STREAMS[name]
    link = link_to()
    events = fed(link, FEEDINGS[feeding](accepted(link) + stream))
    if not isinstance(expected[-1], Closed):
        expected = [*expected, Closed(1006, "the connection was cut without a close frame", "connect again")]
    assert events == [Opened(), *expected]
    assert link.state == "closed"
    assert link.deadline is None


@pytest.mark.parametrize("feeding", FEEDINGS)
@pytest.mark.parametrize("name", ANSWERS)
def test_every_other_answer_says_what_happened_and_what_to_do(name: str, feeding: str) -> None:  # 1.5, B25
    answer, expected = ANSWERS[name]
    assert fed(link_to(), FEEDINGS[feeding](answer)) == expected


@st.composite
def _cut_streams(draw: st.DrawFn) -> tuple[bytes, list[int]]:
    parts = draw(st.lists(st.sampled_from([stream for stream, _ in STREAMS.values() if len(stream) < 1000]), max_size=6))
    stream = b"".join(parts)
    if draw(st.booleans()) and stream:
        at = draw(st.integers(0, len(stream) - 1))
        stream = stream[:at] + bytes([stream[at] ^ draw(st.integers(1, 255))]) + stream[at + 1 :]
    return stream, draw(st.lists(st.integers(0, len(stream) + 200), max_size=12))


@given(_cut_streams())
def test_any_split_of_any_stream_gives_the_same_events(cut: tuple[bytes, list[int]]) -> None:  # invariant 14, C30
    """Same bytes, same events: valid or damaged, whole or cut anywhere; and they follow the grammar."""
    stream, cuts = cut
    one, two = link_to(), link_to()
    at_once = fed(one, [accepted(one) + stream])
    data = accepted(two) + stream
    edges = sorted({0, len(data), *[c for c in cuts if c < len(data)]})
    in_pieces = fed(two, [data[a:b] for a, b in pairwise(edges)])
    assert in_pieces == at_once
    assert in_the_grammar(at_once)
    assert [(f.opcode, bytes(f.data)) for f in written(two)] == [(f.opcode, bytes(f.data)) for f in written(one)]


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=6))
def test_any_answer_to_the_handshake_ends_it_with_one_event(answer: bytes, cuts: list[int]) -> None:  # C29
    """No bytes make it raise, and however they are split they mean the same."""
    for head in (b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n"):
        data = head + answer
        edges = sorted({0, len(data), *[c for c in cuts if c < len(data)]})
        events = fed(link_to(), [data[a:b] for a, b in pairwise(edges)])
        assert events == fed(link_to(), whole(data))
        assert in_the_grammar(events)


# -- what it writes ---------------------------------------------------------------------------------------------------------


def test_the_request_carries_url_headers_and_subprotocols() -> None:
    handshake = Handshake(URL, (("api-key", KEY), ("User-Agent", "mine"), ("Host", "front.example")), ("realtime", "other"))
    request = link_to(handshake).outgoing().decode()
    lines = request.split("\r\n")
    assert lines[0] == "GET /v1/realtime?model=gpt-realtime HTTP/1.1"
    assert {"api-key: " + KEY, "User-Agent: mine", "Host: front.example"} < set(lines)
    assert "Sec-WebSocket-Protocol: realtime, other" in lines
    assert "Sec-WebSocket-Extensions" not in request  # compression costs more than it saves on audio
    assert sum(line.lower().startswith(("host:", "user-agent:")) for line in lines) == 2


def test_it_knows_where_to_dial() -> None:
    assert (link_to().host, link_to().port, link_to().secure) == ("voice.example", 8080, False)
    link = link_to(Handshake("wss://[::1]/x"))
    assert (link.host, link.port, link.secure) == ("::1", 443, True)


def test_the_server_may_choose_a_subprotocol() -> None:
    link = link_to(Handshake(URL, (), ("realtime",)))
    server = ServerProtocol(subprotocols=["realtime"])  # type: ignore[list-item]  # a NewType of str
    server.receive_data(link.outgoing())
    server.send_response(server.accept(server.events_received()[0]))  # type: ignore[arg-type]
    assert link.receive(b"".join(server.data_to_send()), now=0.0) == [Opened("realtime")]


def test_messages_go_out_as_text_and_pings_are_answered() -> None:
    link = opened()
    link.send(b'{"type":"x"}')
    assert link.receive(frame(Opcode.PING, b"hello"), now=1.0) == []
    assert [(f.opcode, bytes(f.data)) for f in written(link)] == [(TEXT, b'{"type":"x"}'), (Opcode.PONG, b"hello")]
    assert link.outgoing() == b""


def test_nothing_is_sent_before_it_is_open_or_after_it_was_closed() -> None:
    link = link_to()
    link.send(b"too early")
    answer = accepted(link)
    assert answer  # the server saw nothing but the request
    link.receive(answer, now=0.0)
    link.close(now=1.0)
    link.send(b"too late")
    assert [f.opcode for f in written(link)] == [Opcode.CLOSE]


@pytest.mark.parametrize(
    ("handshake", "words"),
    [
        (Handshake("https://voice.example/v1"), "'https://voice.example/v1' is not a websocket URL"),
        (Handshake("voice.example"), "'voice.example' is not a websocket URL"),
        (Handshake("ws://voice.example:port/"), "is not a websocket URL"),
        (Handshake("ws://[::1/"), "is not a websocket URL"),
        (Handshake("ws://127.0.0.1:0/v1"), "'ws://127.0.0.1:0/v1' names port 0, where nothing can listen: use the port"),
        (Handshake(f"ws://me@voice.example/?key={KEY}"), "'ws://voice.example/' is not a websocket URL"),
        (Handshake(URL, (("api-key", KEY + "\n"),)), "the value of header 'api-key' holds a line break"),
        (Handshake(URL, (("api key", KEY),)), "header name 'api key' is not a token"),
        (Handshake(URL, (("Sec-WebSocket-Key", KEY),)), "belongs to the websocket handshake itself"),
    ],
)
def test_a_handshake_that_cannot_be_written_is_refused_without_saying_the_key(handshake: Handshake, words: str) -> None:
    with pytest.raises(ValueError) as caught:  # the words are compared below
        link_to(handshake)
    assert words in str(caught.value)
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None


# -- size -------------------------------------------------------------------------------------------------------------------


def test_a_message_of_16_mib_is_a_message() -> None:  # C29
    payload = bytes(16 * 1024 * 1024)
    data = frame(TEXT, payload)
    link = opened()
    events = [event for at in range(0, len(data), 1 << 18) for event in link.receive(data[at : at + (1 << 18)], now=1.0)]
    assert events == [Message(payload)]


@pytest.mark.parametrize("fragments", [1, 4])
def test_a_message_above_the_limit_is_named_as_a_setting(fragments: int) -> None:
    link = opened(max_message=1000)
    one, many = frame(TEXT, b"x" * 1001), frame(TEXT, b"x" * 300, fin=False) + frame(CONT, b"x" * 300, fin=False) * 3
    data = many if fragments > 1 else one
    reason = "the server sent a message above the limit of 1000 bytes"
    remedy = "a setting of this program: raise the link's max_message, or ask the server for less at once"
    assert link.receive(data, now=1.0) == [Closed(1009, reason, remedy)]
    assert [f.opcode for f in written(link)] == [Opcode.CLOSE]


def test_a_message_of_ours_that_was_too_big_says_so() -> None:
    (closed,) = opened().receive(closing(1009, "max frame size"), now=1.0)
    remedy = "a message of ours was too big for the server: send audio in smaller pieces (15 MiB at most)"
    assert closed == Closed(1009, "max frame size", remedy)


# -- time -------------------------------------------------------------------------------------------------------------------

TIMES = LinkTimes(open_s=10.0, ping_s=20.0, pong_s=15.0, close_s=2.0)


def open_at(now: float) -> Link:
    link = Link(HANDSHAKE, now=now, times=TIMES)
    link.receive(accepted(link), now=now)
    return link


def test_a_server_that_never_answers_is_given_up() -> None:
    link = Link(HANDSHAKE, now=5.0, times=TIMES)
    assert link.deadline == Deadline(15.0, "websocket handshake")
    assert link.tick(now=14.9) == []
    remedy = "check the host and the port, and that the network lets the connection through"
    assert link.tick(now=15.0) == [Failed(f"{PLACE} did not answer the websocket handshake in 10 s", remedy)]
    assert link.tick(now=99.0) == []


def test_a_refusal_whose_body_never_ends_is_still_a_refusal() -> None:
    link = Link(HANDSHAKE, now=0.0, times=TIMES)
    link.receive(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 50\r\n\r\nPar", now=1.0)
    (refused,) = link.tick(now=10.0)
    assert isinstance(refused, Refused)
    assert refused.http_status == 401


def test_half_a_line_that_is_not_http_is_named_when_time_is_up() -> None:
    link = Link(HANDSHAKE, now=0.0, times=TIMES)
    link.receive(b"login: ", now=1.0)
    (failed,) = link.tick(now=10.0)
    assert isinstance(failed, Failed)
    assert failed.error == f"{PLACE} does not speak HTTP: it said 'login:'"


def test_pings_keep_an_idle_line_at_a_stated_interval() -> None:
    link = open_at(0.0)
    for round in range(1, 4):
        assert link.deadline == Deadline(20.0 * round, "keepalive ping")
        assert link.tick(now=20.0 * round) == []
        (ping,) = written(link)
        assert ping.opcode is Opcode.PING
        assert link.deadline == Deadline(20.0 * round + 15.0, "answer to a ping")
        assert link.receive(frame(Opcode.PONG, bytes(ping.data)), now=20.0 * round) == []


def test_a_line_that_talks_needs_no_ping_and_anything_answers_one() -> None:  # F095
    link = open_at(0.0)
    link.receive(frame(TEXT, b"{}"), now=15.0)
    assert link.deadline == Deadline(35.0, "keepalive ping")
    link.tick(now=35.0)
    link.receive(frame(TEXT, b"x" * 1000)[:10], now=40.0)
    assert link.deadline == Deadline(60.0, "keepalive ping")


def test_a_peer_that_is_gone_is_noticed() -> None:
    link = open_at(0.0)
    link.tick(now=20.0)
    assert link.tick(now=35.0) == [
        Closed(1006, "nothing came from the server for 15 s after a ping", "the network or the server is gone: connect again")
    ]


def test_a_program_that_slept_looks_once_more_before_it_gives_up_the_line() -> None:  # F095
    link = open_at(0.0)
    link.tick(now=20.0)
    assert link.tick(now=50.0) == []
    assert link.deadline == Deadline(51.0, "answer to a ping")
    assert link.receive(frame(Opcode.PONG, b"1"), now=50.0) == []
    assert link.deadline == Deadline(70.0, "keepalive ping")
    link.tick(now=70.0)
    assert link.tick(now=100.0) == []
    (closed,) = link.tick(now=101.0)
    assert isinstance(closed, Closed)


def test_a_deadline_that_was_ticked_is_later_or_gone() -> None:  # invariant 12
    link = Link(HANDSHAKE, now=0.0, times=TIMES)
    link.receive(accepted(link), now=0.0)
    for _ in range(10):
        if (due := link.deadline) is None:
            break
        link.tick(now=due.at)
        assert link.deadline is None or link.deadline.at > due.at
    assert link.deadline is None


# -- closing ----------------------------------------------------------------------------------------------------------------


def test_closing_waits_for_the_answer() -> None:
    link = open_at(0.0)
    assert link.close(1000, "bye", now=1.0) == []
    assert link.state == "closing"
    assert link.deadline == Deadline(3.0, "answer to the close frame")
    (sent,) = written(link)
    assert (sent.opcode, bytes(sent.data)) == (Opcode.CLOSE, b"\x03\xe8bye")
    assert link.receive(frame(TEXT, b"late"), now=1.1) == []
    assert link.receive(closing(1000, "bye"), now=1.2) == [Closed(1000, "bye")]
    assert link.close(now=2.0) == []


def test_an_answer_that_does_not_come_is_not_waited_for() -> None:
    link = open_at(0.0)
    link.close(now=1.0)
    assert link.tick(now=3.0) == [Closed(1006, "the server did not answer the close frame in 2 s")]


def test_a_close_by_the_server_is_answered() -> None:
    link = open_at(0.0)
    link.receive(closing(1001, "going away"), now=1.0)
    (sent,) = written(link)
    assert (sent.opcode, bytes(sent.data)) == (Opcode.CLOSE, b"\x03\xe9going away")


def test_a_long_reason_is_cut_to_what_a_frame_holds() -> None:
    link = open_at(0.0)
    link.close(4000, "é" * 100, now=1.0)
    (sent,) = written(link)
    assert bytes(sent.data)[2:].decode() == "é" * 61


def test_closing_before_it_is_open_ends_it_at_once() -> None:
    link = link_to()
    assert link.close(now=0.5) == [Failed("closed before the handshake was answered", "")]
    assert link.receive(b"HTTP/1.1 101 Switching Protocols\r\n", now=1.0) == []


def test_a_transport_that_fails_ends_it() -> None:
    link = link_to()
    assert link.lost("connection refused", "start it", now=0.1) == [Failed("connection refused", "start it")]
    assert link.lost("again", now=0.2) == []
    assert open_at(0.0).lost(f"reset while sending {KEY}", now=1.0) == [Closed(1006, "reset while sending ***")]


# -- credentials ------------------------------------------------------------------------------------------------------------


def test_no_text_that_leaves_it_holds_a_credential(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    handshake = Handshake(
        f"ws://user:{KEY}-pass@voice.example/p?api-key={KEY}-query",
        (("Authorization", f"Bearer {KEY}"), ("X-Custom", "opensesame-1")),
        ("realtime", f"openai-insecure-api-key.{KEY}-browser"),
    )
    secrets = [KEY, "opensesame-1"]
    link = link_to(handshake)
    texts = [repr(link), str(link), str(place(handshake.url))]
    body = f"you sent {handshake.headers} {handshake.subprotocols} {handshake.url}".encode()
    answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    texts += [repr(event) for event in link.receive(answer, now=1.0)]
    for other in (link_to(handshake), link_to(handshake), link_to(handshake)):
        texts += [repr(event) for event in other.receive(f"hello {KEY}\n".encode(), now=1.0)]
        texts += [repr(other)]
    talking = link_to(handshake)
    talking.outgoing()
    texts += [repr(event) for event in talking.lost(f"cannot reach {handshake.url}", now=1.0)]
    logged = caplog.text + "".join(texts)
    assert "answered HTTP 401" in logged
    assert not [secret for secret in secrets if secret in logged]


@pytest.mark.parametrize("size", range(4, len(KEY) + 1))
def test_a_credential_that_was_cut_is_not_shown_either(size: int) -> None:
    handshake = Handshake(URL, (("Authorization", f"Bearer {KEY}"),))
    cut = KEY[:size]
    link = open_link = link_to(handshake)
    link.receive(accepted(open_link), now=0.0)
    (closed,) = link.receive(closing(4001, f"I know {cut}..."), now=1.0)
    assert isinstance(closed, Closed)
    assert closed.reason.startswith("I know ***") and cut not in closed.reason
    # The first line is quoted up to 64 bytes, a long text up to 300 characters: both cut where the credential stands.
    (failed,) = link_to(handshake).receive(b"x" * (64 - size) + KEY.encode() + b"\n", now=1.0)
    assert isinstance(failed, Failed)
    assert cut not in failed.error
    body = b"y" * (300 - len("ws://voice.example/v1 answered HTTP 401 Unauthorized: ") - size) + KEY.encode()
    answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    (refused,) = link_to(handshake).receive(answer, now=1.0)
    assert isinstance(refused, Refused)
    assert cut not in refused.reason


@pytest.mark.parametrize("echo", ["a+b/c=d e", "a%2Bb%2Fc%3Dd%20e", "a%2bb%2fc%3dd%20e", "a%2Bb/c%3Dd+e", "a%2Bb%2Fc%3Dd+e"])
def test_a_credential_of_the_query_is_not_shown_in_any_spelling(echo: str) -> None:
    handshake = Handshake("ws://voice.example/v1?api-key=a%2Bb%2fc%3Dd%20e&model=m")
    assert link_to(handshake).lost(f"no {echo}, sorry", now=1.0) == [Failed("no ***, sorry", "")]


def test_a_credential_that_escaping_would_change_is_not_shown() -> None:
    handshake = Handshake(URL, (("api-key", "se'cr\\et\xe9!"),))
    (failed,) = link_to(handshake).receive(b"hello se'cr\\et\xe9!\n", now=1.0)
    assert isinstance(failed, Failed)
    assert "said 'hello ***'" in failed.error


def test_a_close_reason_is_one_printable_line_of_bounded_length() -> None:
    (closed,) = opened().receive(closing(4001, "a\r\nb\x1b[31m" + "c" * 100), now=1.0)
    assert isinstance(closed, Closed)
    assert closed.reason == "a  b [31m" + "c" * 100


# -- towards the core -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "cause"),
    [
        (Closed(1001, "session_expired"), Disconnection(close_code=1001, reason="session_expired")),
        (Closed(1006, "cut", "connect again"), Disconnection(close_code=1006, reason="cut", error="connect again")),
        (Refused(401, "no", "check the key"), Disconnection(http_status=401, reason="no; check the key")),
        (Failed("nothing there", "start it"), Disconnection(error="nothing there; start it")),
    ],
)
def test_the_last_event_is_what_the_core_takes(event: Closed | Refused | Failed, cause: Disconnection) -> None:
    assert disconnection(event) == cause
