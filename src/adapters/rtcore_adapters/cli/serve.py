"""``rtcore serve``: the strict server of ``rtcore.sim`` on a local websocket.

Every client talks to a server of its own, drawn from the seed and the connection's number: equal seeds give equal answers. The
server decides; this file only carries bytes and time to it. It listens on 127.0.0.1 unless told otherwise, and speaks the dialect
of the URL that it is asked for::

    ws://127.0.0.1:PORT/v1/realtime?model=...                           OpenAI GA (also /openai/v1/realtime, Azure GA)
    ws://127.0.0.1:PORT/openai/realtime?api-version=...&deployment=...  Azure preview
"""

import argparse
import hmac
import logging
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import anyio
import anyio.abc
import msgspec
from anyio.abc import SocketAttribute, SocketStream, TaskStatus
from websockets.frames import Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import BytesLike, Subprotocol

from rtcore.sim.server import ResponsePlan, Server, ServerOptions, spoken
from rtcore.sim.voices import Voice
from rtcore_adapters.cli._arguments import port, seed
from rtcore_adapters.cli._output import with_output
from rtcore_adapters.voices import load_voices

Dialect = Literal["openai", "azure-preview"]

_HANDSHAKE_S = 10.0
_GOODBYE_S = 0.5  # what a close frame may take when the server itself is being stopped
_MAX_MESSAGE = 32 * 1024 * 1024  # an append holds at most 15 MiB (protocol facts, 1.9); what is larger is refused by name

_log = logging.getLogger("rtcore.serve")

# Headers carry keys: the library's log lines go nowhere.
_MUTE = logging.Logger("rtcore.serve.websocket", level=logging.CRITICAL + 1)


async def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    seed: int = 0,
    options: ServerOptions | None = None,
    voices: Sequence[Voice] | None = None,
    api_key: str | None = None,
    opened: Callable[[int, Server], None] | None = None,
    task_status: TaskStatus[int] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; then every client gets a close frame (1001).

    Reports its port by ``task_status.started(port)``; ``port=0`` lets the system choose. ``options`` (the dialect and the model
    come from each URL) and ``voices`` (default: the packaged speech) make the servers, ``api_key`` refuses any other key with
    HTTP 401. ``opened(number, server)`` is told of each session, numbered from 1, so that a test or an auditor can look at its
    ground truth. ``now`` of the servers is ``anyio.current_time()``. Raises ``OSError`` where it cannot listen, ``ValueError``
    where the options and the voices make no server. What goes wrong with one client ends that client and is logged
    (``rtcore.serve``), by the name of the error alone: its text might hold a key.
    """
    speech = tuple(voices) if voices is not None else load_voices()
    Server(seed=seed, voices=speech, options=options or ServerOptions())  # what cannot serve fails here, not at its first client
    listener = await anyio.create_tcp_listener(local_host=host, local_port=port)
    numbers = 0

    async def talk(stream: SocketStream) -> None:
        nonlocal numbers
        line = _Line(stream)
        if (accepted := await line.accept(api_key)) is None:
            return
        numbers += 1
        dialect, model = accepted
        mine = msgspec.structs.replace(options or ServerOptions(), dialect=dialect, model=model)
        server = Server(seed=_mixed(seed, numbers), voices=speech, options=mine)
        if opened is not None:
            opened(numbers, server)
        await line.converse(server)

    async def client(stream: SocketStream) -> None:
        async with stream:
            try:
                await talk(stream)
            except anyio.BrokenResourceError:
                pass  # the client went away in the middle of its handshake
            except Exception as error:
                _log.error("a client was dropped because of %s", type(error).__name__)

    async with listener:
        task_status.started(listener.extra(SocketAttribute.local_port))
        await listener.serve(client)


def _mixed(seed: int, number: int) -> int:
    """Neighbouring seeds and numbers must not give the same server: 0 + 2 and 1 + 1 are two."""
    return seed * 1_000_003 + number


class _Line:
    """One client's websocket, fragments joined, pings answered by the library."""

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        self._protocol = ServerProtocol(max_size=_MAX_MESSAGE, select_subprotocol=_realtime, logger=_MUTE)
        self._parts: list[BytesLike] = []
        stream.extra(SocketAttribute.raw_socket).setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def accept(self, api_key: str | None) -> tuple[Dialect, str] | None:
        """The opening handshake: dialect and model of the session to be, or None where it was refused."""
        with anyio.move_on_after(_HANDSHAKE_S):
            while self._protocol.handshake_exc is None:
                data = await self._read()
                if not data:
                    return None
                self._protocol.receive_data(data)
                for event in self._protocol.events_received():
                    if isinstance(event, Request):
                        return await self._answer(event, api_key)
            await self._write()
        return None

    async def _answer(self, request: Request, api_key: str | None) -> tuple[Dialect, str] | None:
        try:
            found = _session_of(request.path)
        except ValueError:  # a target such as //[x is no URL
            found, readable = None, False
        else:
            readable = True
        if api_key is not None and not _has_key(request, api_key):
            message = "Incorrect API key provided. Check the key of this server."
            response = _refusal(self._protocol, 401, "invalid_api_key", message)
        elif not readable:
            response = _refusal(self._protocol, 400, "invalid_url", "The request's target is not a URL: try /v1/realtime.")
        elif found is None:
            message = f"Nothing at {urlsplit(request.path).path}: try /v1/realtime."
            response = _refusal(self._protocol, 404, "not_found", message)
        else:
            response = self._protocol.accept(request)
        self._protocol.send_response(response)
        if self._protocol.state is not State.OPEN or found is None:
            await self._write()
            return None
        if found[0] == "openai" and "OpenAI-Beta" in request.headers:
            # Protocol facts, 1.4: the socket opens and is closed at once.
            await self._hang_up(4000, "invalid_request_error.beta_api_shape_disabled")
            return None
        await self._write()
        return found

    async def converse(self, server: Server) -> None:
        """Carry messages and time to the server and its answers back, until one side hangs up."""
        try:
            self._send(server.connect(now=anyio.current_time()))
            while self._protocol.state is State.OPEN:
                await self._write()
                due = server.deadline
                data = await self._read(due)
                if data is None and due is not None:
                    # The loop may wake a hair early; the server must see its deadline as reached.
                    self._send(server.tick(now=max(anyio.current_time(), due)))
                elif not data:
                    return
                else:
                    self._take(data, server)
                if server.closing is not None:
                    await self._hang_up(*server.closing)
            await self._write()
        except anyio.BrokenResourceError:
            pass  # the client went away; its session ends with it
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self._hang_up(1001, "the server is stopping")
            raise

    def _take(self, data: bytes, server: Server) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request | Response) or event.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                continue
            self._parts.append(event.data)
            if event.fin:
                payload, self._parts = b"".join(self._parts), []
                self._send(server.receive(payload, now=anyio.current_time()))

    def _send(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            if self._protocol.state is State.OPEN:
                self._protocol.send_text(message)

    async def _read(self, deadline: float | None = None) -> bytes | None:
        """What came: bytes, b"" at the end of the stream, None where the deadline was first."""
        with anyio.CancelScope(deadline=float("inf") if deadline is None else deadline):
            try:
                return await self._stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return b""
        return None

    async def _write(self) -> None:
        if data := b"".join(self._protocol.data_to_send()):
            await self._stream.send(data)

    async def _hang_up(self, code: int, reason: str) -> None:
        """Send a close frame, and give the client a moment to hang up: a socket closed over unread data would lose the frame."""
        if self._protocol.state is not State.OPEN:
            return
        self._protocol.send_close(code, reason)
        with anyio.move_on_after(_GOODBYE_S):
            try:
                await self._write()
                while await self._read():
                    pass
            except anyio.BrokenResourceError:
                pass  # the client was faster


# -- the opening handshake --------------------------------------------------------------------------------------------------


def _session_of(path: str) -> tuple[Dialect, str] | None:
    """Dialect and model that a request's path and query ask for (protocol facts, 1.1)."""
    parts = urlsplit(path)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    match parts.path.rstrip("/"):
        case "/v1/realtime" | "/openai/v1/realtime":
            return "openai", query.get("model", "gpt-realtime")
        case "/openai/realtime" if "api-version" in query:
            return "azure-preview", query.get("deployment", "gpt-realtime")
        case _:
            return None


def _has_key(request: Request, api_key: str) -> bool:
    """Whether the key came in any of its three places (protocol facts, 1.2 and 1.3)."""
    given = [value.removeprefix("Bearer ") for value in request.headers.get_all("Authorization")]
    given += request.headers.get_all("api-key")
    for value in request.headers.get_all("Sec-WebSocket-Protocol"):
        given += [name.strip().removeprefix("openai-insecure-api-key.") for name in value.split(",")]
    # Headers and arguments may hold bytes that are no UTF-8.
    right = api_key.encode(errors="surrogateescape")
    return any(hmac.compare_digest(key.encode(errors="surrogateescape"), right) for key in given)


def _refusal(protocol: ServerProtocol, status: int, code: str, message: str) -> Response:
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    response = protocol.reject(status, msgspec.json.encode(body).decode())
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "application/json"
    return response


def _realtime(protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return Subprotocol("realtime") if "realtime" in offered else None


# -- the command ------------------------------------------------------------------------------------------------------------


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``rtcore serve``."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=port, default=8765, help="port; 0 lets the system choose (default: %(default)s)")
    parser.add_argument("--seed", type=seed, default=0, help="what the servers are drawn from (default: %(default)s)")
    parser.add_argument("--api-key", help="answer HTTP 401 to any other key")
    parser.add_argument(
        "--rate",
        type=_percent,
        metavar="PERCENT",
        help="speed of the audio against real time: 200 is twice as fast (default: drawn)",
    )
    parser.add_argument(
        "--say",
        type=_lengths,
        action="append",
        default=[],
        metavar="MS[,MS...]",
        help="script one response with spoken messages of these lengths; repeat for the next responses (default: drawn)",
    )


@with_output
def run(options: argparse.Namespace) -> int:
    """``rtcore serve``: 0 where it was interrupted, 1 where it cannot listen, 2 where the script asks for too much."""
    status = 0
    chosen = _options(options)
    try:
        Server(seed=options.seed, voices=load_voices(), options=chosen)
    except ValueError as wrong:
        print(f"rtcore serve: error: argument --say: {wrong}", file=sys.stderr)
        return 2
    try:
        anyio.run(_run, options, chosen)
    except* OSError as failed:
        status = 1
        for error in failed.exceptions:
            print(f"rtcore serve: cannot listen on {options.host}:{options.port}: {error}", file=sys.stderr)
    return status


def _options(options: argparse.Namespace) -> ServerOptions:
    rate = options.rate or 300
    script: tuple[ResponsePlan, ...] = tuple(spoken(*lengths, rate_percent=rate) for lengths in options.say)
    chosen = ServerOptions(script=script)
    return msgspec.structs.replace(chosen, rate_percent=(rate, rate)) if options.rate else chosen


async def _run(options: argparse.Namespace, chosen: ServerOptions) -> None:
    async with anyio.create_task_group() as tasks:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            where = {"host": options.host, "port": options.port}
            bound = await tasks.start(partial(serve, **where, seed=options.seed, options=chosen, api_key=options.api_key))
            host = f"[{options.host}]" if ":" in options.host else options.host
            print(f"rtcore serve: seed {options.seed}, listening on")
            print(f"  ws://{host}:{bound}/v1/realtime?model=gpt-realtime")
            print(f"  ws://{host}:{bound}/openai/realtime?api-version=2025-04-01-preview&deployment=gpt-realtime", flush=True)
            async for _ in signals:
                tasks.cancel_scope.cancel()
                return


def _percent(text: str) -> int:
    return _whole(text, "a speed in percent")


def _lengths(text: str) -> tuple[int, ...]:
    return tuple(_whole(part, "a length in milliseconds") for part in text.split(","))


def _whole(text: str, what: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}: a whole number above 0")
    return value
