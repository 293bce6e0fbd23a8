"""A small HTTP server by which a client says what became audible: ``POST /played``. It listens where it is told, loopback alone.

A body of ``application/json`` is one report or a list of them: ``{"item_id": "item_1", "samples": 4800}`` is how much of an item
was heard by now (``ms`` instead of ``samples``; ``content_index``; ``at`` in Unix seconds, default: now). Without ``item_id`` it
is how much more was heard of what plays in order. Any other body is sound: the samples that begin to sound now, or at ``?at=``.
``GET /verdict`` is the verdict until now.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

import anyio
import msgspec
from anyio.abc import SocketAttribute, SocketStream, TaskStatus
from msgspec import Struct

_HEAD = 16 * 1024
_BODY = 8 * 1024 * 1024
_LOCAL = ("127.0.0.1", "localhost", "[::1]")
_PHRASES = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 411: "Length Required", 413: "Content Too Large"}


class Played(Struct, frozen=True, forbid_unknown_fields=True):
    """One report of a speaker."""

    item_id: str | None = None
    content_index: int | None = None
    samples: int | None = None
    ms: float | None = None
    at: float | None = None


class Ear(Protocol):
    """Who wants to know. Times are ``anyio.current_time()``; a text says what is wrong with a report, None that it was taken."""

    def sounded(self, pcm: bytes, at: float) -> str | None:
        """Audible samples."""

    def played(self, report: Played, at: float) -> str | None:
        """A position."""

    def verdict(self) -> bytes:
        """The verdict until now, as JSON."""


class _Request(Struct, frozen=True):
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class _Wrong(Exception):
    """The request is answered with this status and text, and the connection ends."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


async def listen(ear: Ear, *, port: int = 0, task_status: TaskStatus[int] = anyio.TASK_STATUS_IGNORED) -> None:
    """Serve on 127.0.0.1 until cancelled; reports its port by ``task_status.started``. ``OSError`` where it cannot listen."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)

    async def client(stream: SocketStream) -> None:
        async with stream:
            with suppress(anyio.BrokenResourceError, anyio.EndOfStream):  # it went away
                await _Connection(stream).serve(lambda request: _answer(ear, request))

    async with listener:
        task_status.started(listener.extra(SocketAttribute.local_port))
        await listener.serve(client)


def _answer(ear: Ear, request: _Request) -> tuple[int, bytes]:
    path, query = urlsplit(request.target).path, parse_qs(urlsplit(request.target).query)
    if request.headers.get("host", "").rpartition(":")[0] not in _LOCAL and request.headers.get("host") not in _LOCAL:
        # A web page could point a name of its own at this machine.
        raise _Wrong(403, "only for this machine: ask 127.0.0.1")
    match request.method, path:
        case "POST", "/played":
            if request.headers.get("content-type", "").partition(";")[0].strip() == "application/json":
                wrong = _reports(ear, request.body)
            else:
                wrong = ear.sounded(request.body, _moment(_number(query["at"][0]) if "at" in query else None))
            return (400, _error(wrong)) if wrong is not None else (200, b"{}")
        case "GET", "/verdict":
            return 200, ear.verdict()
        case _:
            raise _Wrong(404, "try POST /played or GET /verdict")


def _reports(ear: Ear, body: bytes) -> str | None:
    try:
        found = msgspec.json.decode(body, type=Played | list[Played])
    except (msgspec.MsgspecError, RecursionError) as error:
        return f"no report: {error}"
    for report in found if isinstance(found, list) else [found]:
        if (report.samples is None) == (report.ms is None):
            return "a report has samples or ms, one of them"
        if (report.samples or 0) < 0 or not 0 <= (report.ms or 0) < 1e9:
            return "samples and ms count up from 0"
        if wrong := ear.played(report, _moment(report.at)):
            return wrong
    return None


def _moment(unix: float | None) -> float:
    """A Unix time on the loop's clock; nothing sounded later than now."""
    now = anyio.current_time()
    return now if unix is None else min(now, now + unix - time.time())


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value < 1e12:
        raise _Wrong(400, "at is a time in Unix seconds")
    return value


def _error(text: str) -> bytes:
    return msgspec.json.encode({"error": text})


class _Connection:
    """HTTP/1.1 as far as this needs it: requests with a Content-Length, one after the other."""

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        self._data = b""

    async def serve(self, answer: Callable[[_Request], tuple[int, bytes]]) -> None:
        """Answer until the client is done, or says what cannot be read."""
        while True:
            try:
                request = await self._request()
                if request is None:
                    return
                status, body = answer(request)
            except _Wrong as wrong:
                await self._write(wrong.status, _error(str(wrong)), last=True)
                return
            last = request.headers.get("connection", "").lower() == "close"
            await self._write(status, body, last=last)
            if last:
                return

    async def _more(self) -> None:
        self._data += await self._stream.receive()

    async def _request(self) -> _Request | None:
        while b"\r\n\r\n" not in self._data:
            if len(self._data) > _HEAD:
                raise _Wrong(413, f"more than {_HEAD} bytes of headers")
            try:
                await self._more()
            except anyio.EndOfStream:
                return None
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            raise _Wrong(400, "this port speaks HTTP/1.1")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "transfer-encoding" in headers:
            raise _Wrong(411, "send a Content-Length")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > _BODY:
            raise _Wrong(413, f"at most {_BODY} bytes at once")
        if headers.get("expect", "").lower() == "100-continue":
            await self._stream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        while len(self._data) < int(length):
            await self._more()
        body, self._data = self._data[: int(length)], self._data[int(length) :]
        return _Request(words[0], words[1], headers, body)

    async def _write(self, status: int, body: bytes, *, last: bool) -> None:
        head = f"HTTP/1.1 {status} {_PHRASES[status]}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        await self._stream.send((head + ("Connection: close\r\n" if last else "") + "\r\n").encode() + body)


__all__ = ["Ear", "Played", "listen"]
