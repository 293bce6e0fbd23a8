"""``rtcore serve``: the strict server of ``rtcore.sim`` on a local websocket.

Every client talks to a server of its own, drawn from the seed and the connection's number: equal seeds give equal answers. The
server decides; this file only carries bytes and time to it. It listens on 127.0.0.1 unless told otherwise, and speaks the dialect
of the URL that it is asked for::

    ws://127.0.0.1:PORT/v1/realtime?model=...                           OpenAI GA (also /openai/v1/realtime, Azure GA)
    ws://127.0.0.1:PORT/v1/realtime?intent=transcription                a session that only transcribes, without a model
    ws://127.0.0.1:PORT/openai/realtime?api-version=...&deployment=...  Azure preview
"""

import argparse
import hmac
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial

import anyio
import msgspec
from anyio.abc import SocketAttribute, SocketStream, TaskStatus
from websockets.http11 import Request

from rtcore.sim.server import ResponsePlan, Server, ServerOptions, spoken
from rtcore.sim.voices import Voice
from rtcore_adapters._requested import offered
from rtcore_adapters.cli._arguments import lengths, percent, port, seed
from rtcore_adapters.cli._line import Line, admitted
from rtcore_adapters.cli._output import with_output
from rtcore_adapters.voices import load_voices

_log = logging.getLogger("rtcore.serve")


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

    Reports its port by ``task_status.started(port)``; ``port=0`` lets the system choose. ``options`` (the dialect, model and
    type of session come from each URL) and ``voices`` (default: the packaged speech) make the servers, ``api_key`` refuses any
    other key with HTTP 401. ``opened(number, server)`` is told of each session, numbered from 1, so that a test or an auditor can
    look at its ground truth. ``now`` of the servers is ``anyio.current_time()``. Raises ``OSError`` where it cannot listen,
    ``ValueError`` where the options and the voices make no server. What goes wrong with one client ends that client and is logged
    (``rtcore.serve``), by the name of the error alone: its text might hold a key.
    """
    speech = tuple(voices) if voices is not None else load_voices()
    Server(seed=seed, voices=speech, options=options or ServerOptions())  # what cannot serve fails here, not at its first client
    listener = await anyio.create_tcp_listener(local_host=host, local_port=port)
    numbers = 0

    async def talk(stream: SocketStream) -> None:
        nonlocal numbers
        line = Line(stream)
        if (request := await line.request()) is None:
            return
        if api_key is not None and not _has_key(request, api_key):
            await line.refuse(401, "invalid_api_key", "Incorrect API key provided. Check the key of this server.")
            return
        if (accepted := await admitted(line, request)) is None:
            return
        numbers += 1
        server = Server(seed=mixed(seed, numbers), voices=speech, options=accepted.of(options or ServerOptions()))
        if opened is not None:
            opened(numbers, server)
        await _converse(line, server)

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


def mixed(seed: int, number: int) -> int:
    """Neighbouring seeds and numbers must not give the same server: 0 + 2 and 1 + 1 are two."""
    return seed * 1_000_003 + number


async def _converse(line: Line, server: Server) -> None:
    """Carry messages and time to the server and its answers back, until one side hangs up."""
    async with line.attended("the server is stopping"):
        line.send(server.connect(now=anyio.current_time()))
        while line.open:
            await line.write()
            due = server.deadline
            data = await line.read(due)
            if data is None and due is not None:
                # The loop may wake a hair early; the server must see its deadline as reached.
                line.send(server.tick(now=max(anyio.current_time(), due)))
            elif not data:
                return
            else:
                for message in line.messages(data):
                    line.send(server.receive(message, now=anyio.current_time()))
            if server.closing is not None:
                await line.hang_up(*server.closing)
        await line.write()


def _has_key(request: Request, api_key: str) -> bool:
    """Whether the key came in any of its three places (protocol facts, 1.2 and 1.3)."""
    given = [value.removeprefix("Bearer ") for value in request.headers.get_all("Authorization")]
    given += request.headers.get_all("api-key")
    given += [name.removeprefix("openai-insecure-api-key.") for name in offered(request)]
    # Headers and arguments may hold bytes that are no UTF-8.
    right = api_key.encode(errors="surrogateescape")
    return any(hmac.compare_digest(key.encode(errors="surrogateescape"), right) for key in given)


# -- the command ------------------------------------------------------------------------------------------------------------


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``rtcore serve``."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=port, default=8765, help="port; 0 lets the system choose (default: %(default)s)")
    parser.add_argument("--seed", type=seed, default=0, help="what the servers are drawn from (default: %(default)s)")
    parser.add_argument("--api-key", help="answer HTTP 401 to any other key")
    parser.add_argument(
        "--rate",
        type=percent,
        metavar="PERCENT",
        help="speed of the audio against real time: 200 is twice as fast (default: drawn)",
    )
    parser.add_argument(
        "--say",
        type=lengths,
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
    script: tuple[ResponsePlan, ...] = tuple(spoken(*each, rate_percent=rate) for each in options.say)
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
