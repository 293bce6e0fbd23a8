"""The proxy of ``rtcore audit``: carries one client's messages to a server and back, and lets a judge read along.

The server is the simulated one, with a user who barges in, or a real one behind ``Upstream``. What the client brought to open its
session passes through and is remembered only to keep it out of every text.
"""

import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from ssl import SSLContext
from typing import Any

import anyio
import msgspec
from anyio.abc import SocketAttribute, SocketStream, TaskStatus
from msgspec import Struct
from websockets.http11 import Request

from rtcore import Handshake
from rtcore.sim.judge import AuditVerdict, Judge, JudgeOptions
from rtcore.sim.judge_user import Heckler
from rtcore.sim.server import Server, ServerOptions
from rtcore.sim.voices import Voice
from rtcore_adapters._link import Closed, Message, Opened, Refused, secrets_of
from rtcore_adapters._requested import offered
from rtcore_adapters.cli._hook import Played
from rtcore_adapters.cli._line import Line, admitted
from rtcore_adapters.cli._upstream import Upstream, handshake_of

_log = logging.getLogger("rtcore.audit")
_ANSWERING_S = 1.0
"""What a client may take to answer the last thing before it is hung up on."""


class ProxyOptions(Struct, frozen=True):
    """What stands behind the proxy, and how it judges.

    ``upstream``: a websocket URL; None is the simulated server, drawn from ``seed`` and ``server``, with a user who interrupts
    ``interruptions`` times, at ``points`` (milliseconds from an answer's first audio) or where the seed says. After ``sessions``
    connections (0: no bound) further ones are refused.
    """

    upstream: str | None = None
    seed: int = 0
    server: ServerOptions = ServerOptions()
    interruptions: int = 8
    points: tuple[int, ...] = ()
    sessions: int = 0
    judge: JudgeOptions = JudgeOptions()


class Session:
    """One client's connection. ``opened`` is ``anyio.current_time()`` at its beginning."""

    def __init__(self, number: int, judge: Judge, server: Server | None, secrets: Sequence[str]) -> None:
        self.number = number
        self.judge = judge
        self.server = server
        self.opened = anyio.current_time()
        self.opened_unix = time.time()
        self.over = False
        self._secrets = set(secrets)

    def learn(self, payload: bytes) -> None:
        """Remember what looks like a key in a client message: servers repeat what they refuse."""
        if b"input_audio_buffer.append" in payload[:64] or not _SECRET_BYTES.search(payload):
            return
        with suppress(msgspec.MsgspecError, ValueError, RecursionError):
            self._secrets.update(_values(msgspec.json.decode(payload)))

    def verdict(self) -> AuditVerdict:
        """The verdict until now, without a word that came as a key."""
        plain = msgspec.to_builtins(self.judge.verdict(self.server))
        return msgspec.convert(self._redacted(plain), AuditVerdict)

    def _redacted(self, value: Any) -> Any:
        match value:
            case str():
                for secret in sorted(self._secrets, key=len, reverse=True):
                    value = value.replace(secret, "***")
                return value
            case dict():
                return {key: self._redacted(held) for key, held in value.items()}
            case list() | tuple():
                return [self._redacted(held) for held in value]
            case _:
                return value


_SECRET = re.compile("auth|api.?key|token$|secret|password|cookie", re.IGNORECASE)
_SECRET_BYTES = re.compile(b"(?i)auth|api.?key|token|secret|password|cookie")


def _values(value: Any, *, told: bool = False) -> Iterator[str]:
    match value:
        case dict():
            for key, held in value.items():
                yield from _values(held, told=told or _SECRET.search(key) is not None)
        case list():
            for held in value:
                yield from _values(held, told=told)
        case str() if told:
            yield from (word for word in (value, *value.split()) if len(word) >= 6 and word.lower() != "bearer")
        case _:
            pass


class Proxy:
    """Listens, judges each client, and is an ``Ear`` for what became audible. ``ended`` is told of each session that is over."""

    def __init__(
        self,
        options: ProxyOptions,
        voices: Sequence[Voice],
        *,
        ended: Callable[[Session], None] = lambda session: None,
        ssl: SSLContext | None = None,
    ) -> None:
        self.sessions: list[Session] = []
        self._options = options
        self._voices = tuple(voices)
        self._ended = ended
        self._ssl = ssl

    async def listen(self, *, port: int = 0, task_status: TaskStatus[int] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve on 127.0.0.1 until cancelled. ``OSError`` where it cannot listen."""
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
        async with listener:
            task_status.started(listener.extra(SocketAttribute.local_port))
            await listener.serve(self._client)

    async def _client(self, stream: SocketStream) -> None:
        async with stream:
            try:
                line = Line(stream)
                if (request := await line.request()) is None:
                    return
                if self._options.sessions and len(self.sessions) >= self._options.sessions:
                    await line.refuse(503, "audit_over", "The audit is over.")
                else:
                    await (self._simulated if self._options.upstream is None else self._forwarded)(line, request)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass  # the client went away
            except Exception as error:
                # By its name alone: its text might hold a key.
                _log.error("a client was dropped because of %s", type(error).__name__)

    def _begin(self, server: Server | None, secrets: Sequence[str]) -> Session:
        session = Session(len(self.sessions) + 1, Judge(self._options.judge), server, secrets)
        self.sessions.append(session)
        return session

    def _end(self, session: Session) -> None:
        session.over = True
        self._ended(session)

    # -- the simulated server -------------------------------------------------------------------------------------------------

    async def _simulated(self, line: Line, request: Request) -> None:
        if (accepted := await admitted(line, request)) is None:
            return
        options, number = self._options, len(self.sessions) + 1
        seed = options.seed * 1_000_003 + number
        server = Server(seed=seed, voices=self._voices, options=accepted.of(options.server))
        heckler = Heckler(seed, count=options.interruptions, points=options.points)
        came_with = Handshake(f"ws://127.0.0.1{request.path}", tuple(request.headers.raw_items()), offered(request))
        session = self._begin(server, secrets_of(came_with))
        try:
            await self._converse(line, session, server, heckler)
            made, wanted = len(heckler.made), options.interruptions
            if heckler.gave_up:
                session.judge.failed("unanswered", f"after {made} of {wanted} interruptions", now=anyio.current_time())
            elif not heckler.done:
                session.judge.failed("hung up", f"after {made} of {wanted} interruptions", now=anyio.current_time())
        finally:
            self._end(session)

    async def _converse(self, line: Line, session: Session, server: Server, heckler: Heckler) -> None:
        judge = session.judge

        def tell(messages: Sequence[bytes]) -> None:
            for message in messages:
                judge.server(message, now=anyio.current_time())
            line.send(messages)

        async with line.attended("the audit was stopped"):
            tell(server.connect(now=anyio.current_time()))
            leaving: float | None = None
            while line.open:
                tell(heckler.advance(server, now=anyio.current_time(), updated_at=judge.updated_at))
                await line.write()
                now = anyio.current_time()
                if heckler.done and leaving is None:
                    leaving = now + _ANSWERING_S
                if leaving is not None and now >= leaving:
                    await line.hang_up(1000, "the audit is over")
                    return
                dues = [due for due in (server.deadline, None if heckler.done else heckler.deadline, leaving) if due is not None]
                due = min(dues, default=None)
                data = await line.read(due)
                if data is None and due is not None:
                    # The loop may wake a hair early; the server must see its deadline as reached.
                    now = max(anyio.current_time(), due)
                    tell(server.tick(now=now))
                elif not data:
                    return
                else:
                    for message in line.messages(data):
                        session.learn(message)
                        judge.client(message, now=anyio.current_time())
                        tell(server.receive(message, now=anyio.current_time()))
                if server.closing is not None:
                    await line.write()
                    await line.hang_up(*server.closing)
            await line.write()

    # -- a real server --------------------------------------------------------------------------------------------------------

    async def _forwarded(self, line: Line, request: Request) -> None:
        upstream_url = self._options.upstream
        assert upstream_url is not None
        try:
            handshake = handshake_of(request, upstream_url)
            upstream = Upstream(handshake, ssl=self._ssl)
        except ValueError as wrong:  # its text names a part, never a value
            await line.refuse(502, "bad_upstream", str(wrong))
            return
        async with upstream:
            event = await upstream.opened()
            if isinstance(event, Refused):
                await line.refuse(event.http_status if 400 <= event.http_status < 600 else 502, "upstream_refused", event.reason)
                return
            if not isinstance(event, Opened):
                await line.refuse(502, "upstream_failed", event.error if not isinstance(event, Closed) else event.reason)
                return
            if not await line.accept(request, event.subprotocol):
                return
            session = self._begin(None, secrets_of(handshake))
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._down, line, session, upstream, tasks.cancel_scope)
                    await self._up(line, session, upstream)
                    tasks.cancel_scope.cancel()
            finally:
                self._end(session)

    async def _up(self, line: Line, session: Session, upstream: Upstream) -> None:
        """From the client to the server, until the client hangs up."""
        try:
            while data := await line.read():
                for message in line.messages(data):
                    session.learn(message)
                    session.judge.client(message, now=anyio.current_time())
                    await upstream.send(message)
                await line.write()
                if not line.open:
                    break
        except anyio.BrokenResourceError:
            pass  # the client went away
        await upstream.close(*_sendable(line.closed_by_client or (1001, "the client went away")))

    async def _down(self, line: Line, session: Session, upstream: Upstream, both: anyio.CancelScope) -> None:
        """From the server to the client, until the server hangs up."""
        try:
            while isinstance(event := await upstream.event(), Message):
                session.judge.server(event.payload, now=anyio.current_time())
                line.send([event.payload])
                await line.write()
            if isinstance(event, Closed):
                line.close(*_sendable((event.code, event.reason)))
                await line.write()
        except anyio.BrokenResourceError:
            pass  # the client went away; the other task sees it too
        # The client's goodbye ends the other task; it may wait for it only so long.
        await anyio.sleep(_ANSWERING_S)
        both.cancel()

    # -- what became audible --------------------------------------------------------------------------------------------------

    def _latest(self) -> Session | None:
        return self.sessions[-1] if self.sessions else None

    def sounded(self, pcm: bytes, at: float) -> str | None:
        """Audible samples, of the session that was opened last."""
        if (session := self._latest()) is None:
            return "no client has connected yet"
        session.judge.sound(pcm, at=at)
        return None

    def played(self, report: Played, at: float) -> str | None:
        """A position, of the session that was opened last."""
        if (session := self._latest()) is None:
            return "no client has connected yet"
        samples = report.samples if report.samples is not None else session.judge.samples(report.ms or 0.0)
        taken = session.judge.position(at=at, samples=samples, item_id=report.item_id, content_index=report.content_index)
        if taken:
            return None
        return f"no audio of {report.item_id!r} was sent" if report.item_id is not None else "more than was sent"

    def verdict(self) -> bytes:
        """The verdict on the session that was opened last, as JSON."""
        session = self._latest()
        return msgspec.json.encode(session.verdict() if session is not None else None)


def _sendable(close: tuple[int, str]) -> tuple[int, str]:
    """A close code as it may be sent on (RFC 6455, 7.4)."""
    code, reason = close
    known = 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
    return (code if known else 1011), reason.encode()[:120].decode(errors="ignore")
