"""``rtcore audit``: a proxy that judges any client of the protocol.

It stands between a client and a server, reads along in both directions, and says what the client got wrong::

    rtcore audit                                        then point the client to the URL that it prints
    rtcore audit -- python my_client.py                 or let it start the client, which finds the URL in RTCORE_URL
    rtcore audit --upstream wss://api.openai.com        in front of a real server: the client's own key passes through

The default server is the simulated one, with a user who barges in. What became audible may be told over HTTP (``--http``, see
``_hook``) or by a recording (``--wav``); otherwise the messages alone are judged. It listens on 127.0.0.1.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

import anyio
import anyio.abc
import msgspec

from rtcore import Handshake
from rtcore.sim.judge import AuditVerdict, JudgeOptions
from rtcore.sim.server import Server, ServerOptions, spoken
from rtcore.sim.voices import Voice
from rtcore_adapters._link import Link, place
from rtcore_adapters.audio._wav import AudioFileError, load_wav
from rtcore_adapters.cli import _hook
from rtcore_adapters.cli._arguments import lengths, percent, port, seed, whole_above_zero
from rtcore_adapters.cli._output import with_output
from rtcore_adapters.cli._proxy import Proxy, ProxyOptions, Session
from rtcore_adapters.cli._store import StoreError, writable
from rtcore_adapters.cli._verdict import page, text
from rtcore_adapters.voices import load_voices

CLEAN, FOUND, NOTHING = 0, 1, 2
"""Exit status: nothing is wrong; something is; nothing could be judged (or wrong usage)."""

_INTERRUPTIONS = 8
_OF_THE_SIMULATED = ("seed", "interruptions", "interrupt-at", "say", "rate")
_CHILD_S = 10.0
"""How long a client that the audit started may take to end by itself, once its session is over."""
# Answers long enough to be interrupted, and nothing that a server does only when it is ill.
_SERVER = ServerOptions(
    audio_ms=(1500, 8000),
    text_per_mille=0,
    think_ms=(100, 500),
    rate_percent=(150, 800),
    stall_per_mille=0,
    failed_per_mille=0,
    incomplete_per_mille=0,
    transcription_delay_ms=(100, 800),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``rtcore audit``."""
    option, count = parser.add_argument, whole_above_zero
    option("--listen", type=port, default=8766, metavar="PORT", help="port for the client; 0: any (default: %(default)s)")
    option("--upstream", type=_websocket, metavar="URL", help="a real server (default: the simulated one)")
    option("--seed", type=seed, help="what the simulated server and its user are drawn from (default: 0)")
    option("--interruptions", type=count, metavar="N", help="by the simulated user (default: 8)")
    option("--interrupt-at", type=lengths, metavar="MS[,MS...]", help="so long after an answer's first audio")
    option("--say", type=lengths, action="append", metavar="MS[,MS...]", help="script one answer's messages; repeat")
    option("--rate", type=percent, metavar="PERCENT", help="speed of the server's audio against real time (default: drawn)")
    option("--sessions", type=count, default=1, metavar="N", help="judge so many connections (default: %(default)s)")
    option("--http", type=port, metavar="PORT", help="take reports of what was audible: POST /played; 0: any port")
    option("--wav", metavar="FILE", help="a recording of the client's speaker, read when its session is over")
    option("--wav-start", type=float, metavar="SECONDS", help="when it began, in Unix time (default: when the client connected)")
    option("--tolerance", type=count, default=20, metavar="MS", help="what a truncate may be off by (default: %(default)s)")
    option("--late", type=count, default=250, metavar="MS", help="how long old sound may go on (default: %(default)s)")
    option("--json", action="store_true", help="print one JSON object and nothing else")
    option("--html", metavar="FILE", help="write the verdict as a page, too")
    option("client", nargs="*", metavar="-- COMMAND", help="start this client; its environment holds RTCORE_URL, RTCORE_PLAYED")


@with_output
def run(options: argparse.Namespace) -> int:
    """``rtcore audit``: 0 where the client is clean, 1 where something is wrong with it, 2 where nothing was judged."""
    try:
        _check(options)
    except StoreError as wrong:
        print(f"rtcore audit: {wrong}", file=sys.stderr)
        return NOTHING
    chosen = _options(options)
    try:
        voices = load_voices()
        Server(seed=0, voices=voices, options=chosen.server)
    except ValueError as wrong:
        print(f"rtcore audit: error: argument --say: {wrong}", file=sys.stderr)
        return NOTHING
    audit = _Audit(options, chosen, voices)
    failures: list[Exception] = []
    try:
        anyio.run(audit.run)
    except* OSError as failed:
        failures += failed.exceptions
    for error in failures:
        print(f"rtcore audit: {_words(error)}", file=sys.stderr)
    return NOTHING if failures else audit.report()


def _check(options: argparse.Namespace) -> None:
    """Raises ``StoreError`` where options do not fit together, or the page cannot be written."""
    if options.upstream is not None:
        for name in _OF_THE_SIMULATED:
            if getattr(options, name.replace("-", "_")) is not None:
                raise StoreError(f"--{name} is for the simulated server and its user: leave it out with --upstream")
    if options.wav_start is not None and options.wav is None:
        raise StoreError("--wav-start says when the recording of --wav began: name that, too")
    if options.html is not None:
        writable(Path(options.html))


@contextmanager
def _listening(port: int, option: str) -> Iterator[None]:
    """A port that cannot be had is named, with the option that chooses another."""
    try:
        yield
    except OSError as error:
        why = os.strerror(error.errno).lower() if error.errno else str(error)
        raise OSError(f"cannot listen on 127.0.0.1:{port}: {why}; {option} chooses another port, 0 any") from None


def _words(error: Exception) -> str:
    """An ``OSError`` without its number."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}"
    return str(error)


def _options(options: argparse.Namespace) -> ProxyOptions:
    rate = options.rate or 300
    server = msgspec.structs.replace(_SERVER, script=tuple(spoken(*each, rate_percent=rate) for each in options.say or ()))
    if options.rate:
        server = msgspec.structs.replace(server, rate_percent=(rate, rate))
    return ProxyOptions(
        upstream=options.upstream,
        seed=options.seed or 0,
        server=server,
        interruptions=options.interruptions or _INTERRUPTIONS,
        points=options.interrupt_at or (),
        sessions=options.sessions,
        judge=JudgeOptions(
            tolerance_ms=options.tolerance,
            late_ms=options.late,
            keep_audio=options.http is not None or options.wav is not None,
        ),
    )


class _Audit:
    """One run of the command."""

    def __init__(self, options: argparse.Namespace, chosen: ProxyOptions, voices: Sequence[Voice]) -> None:
        self._options = options
        self._proxy = Proxy(chosen, voices, ended=self._ended)
        self._over: anyio.Event | None = None
        self._faults: list[str] = []

    def _ended(self, session: Session) -> None:
        if sum(each.over for each in self._proxy.sessions) >= self._options.sessions:
            self._stop()

    def _stop(self) -> None:
        if self._over is not None:
            self._over.set()

    async def run(self) -> None:
        """Listen until the sessions are over, the client ended, or a signal came."""
        options = self._options
        self._over = over = anyio.Event()
        async with anyio.create_task_group() as tasks:
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                with _listening(options.listen, "--listen"):
                    bound = await tasks.start(partial(self._proxy.listen, port=options.listen))
                hook: int | None = None
                if options.http is not None:
                    with _listening(options.http, "--http"):
                        hook = await tasks.start(partial(_hook.listen, self._proxy, port=options.http))
                self._greet(bound, hook)
                tasks.start_soon(self._stop_at, signals)
                environment = {"RTCORE_URL": f"ws://127.0.0.1:{bound}/v1/realtime"}
                if hook is not None:
                    environment["RTCORE_PLAYED"] = f"http://127.0.0.1:{hook}/played"
                async with self._client(environment):
                    await over.wait()
                tasks.cancel_scope.cancel()

    async def _stop_at(self, signals: "AsyncIterator[signal.Signals]") -> None:
        async for _ in signals:
            self._stop()
            return

    def _greet(self, bound: int, hook: int | None) -> None:
        what = "the simulated server" if self._options.upstream is None else place(self._options.upstream)
        if self._options.upstream is None:
            what += f", seed {self._options.seed or 0}"
        print(f"rtcore audit: in front of {what}, listening on", file=sys.stderr)
        print(f"  ws://127.0.0.1:{bound}/v1/realtime?model=gpt-realtime", file=sys.stderr)
        print(f"  ws://127.0.0.1:{bound}/openai/realtime?api-version=2025-04-01-preview&deployment=gpt-realtime", file=sys.stderr)
        if hook is not None:
            print(f"  http://127.0.0.1:{hook}/played", file=sys.stderr, flush=True)

    @asynccontextmanager
    async def _client(self, environment: dict[str, str]) -> AsyncIterator[None]:
        """The client that the command line names, from start to end; nothing where it names none."""
        command: Sequence[str] = self._options.client
        if not command:
            yield
            return
        # Its output goes where ours is not: the verdict stays alone on standard output.
        process = await anyio.open_process(
            command, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(), stderr=None, env={**os.environ, **environment}
        )

        async def watch() -> None:
            status = await process.wait()
            if status:
                self._faults.append(f"{command[0]} ended with status {status}")
            self._stop()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            try:
                yield
                with anyio.move_on_after(_CHILD_S):
                    await process.wait()
            finally:
                with anyio.CancelScope(shield=True), suppress(ProcessLookupError):
                    if process.returncode is None:
                        self._faults.append(f"{command[0]} did not end by itself, {_CHILD_S:g} s after its session")
                        process.kill()
                    await process.wait()
                await process.aclose()
            tasks.cancel_scope.cancel()

    def report(self) -> int:
        """Print the verdict; gives the exit status."""
        options = self._options
        for fault in self._faults:
            print(f"rtcore audit: {fault}", file=sys.stderr)
        sessions = self._proxy.sessions
        if options.wav is not None and sessions:
            try:
                self._listen_to(sessions[-1])
            except AudioFileError as wrong:
                print(f"rtcore audit: error: argument --wav: {wrong}", file=sys.stderr)
                return NOTHING
        verdicts = [session.verdict() for session in sessions]
        if options.html is not None:
            try:
                with open(options.html, "w", encoding="utf-8") as file:
                    file.write(page(verdicts))
            except OSError as error:
                print(f"rtcore audit: {options.html}: {(error.strerror or str(error)).lower()}", file=sys.stderr)
                return NOTHING
        if options.json:
            print(msgspec.json.encode({"sessions": verdicts}).decode())
        else:
            for number, verdict in enumerate(verdicts, 1):
                print(f"session {number}: {text(verdict)}")
        return status(verdicts)

    def _listen_to(self, session: Session) -> None:
        recording = load_wav(self._options.wav, session.judge.format)
        start = session.opened
        if self._options.wav_start is not None:
            start += self._options.wav_start - session.opened_unix
        session.judge.sound(recording, at=start)


def status(verdicts: Sequence[AuditVerdict]) -> int:
    """What the verdicts come to, as an exit status."""
    if any(not each.clean for each in verdicts):
        return FOUND
    return CLEAN if verdicts and all(each.interruptions for each in verdicts) else NOTHING


def _websocket(url: str) -> str:
    if not url.startswith(("ws://", "wss://")):
        raise argparse.ArgumentTypeError(f"{place(url)!r} is no websocket URL: wss://host or wss://host/path")
    try:
        Link(Handshake(url), now=0.0)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return url
