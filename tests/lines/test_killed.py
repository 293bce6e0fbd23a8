"""Three runtimes talk for minutes to a server that is killed, hung up, stopped and started again (``make lines``)."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from lines.judge import Judge, Truth, Verdict, read

pytestmark = pytest.mark.lines
TESTS = Path(__file__).resolve().parents[1]
RUNTIMES = ("asyncio", "trio", "threads")
SECONDS = float(os.environ.get("RTCORE_LINES_S", "180"))
UP_S = (12.0, 19.0)
"""So long a server lives."""
DOWN_S = (0.2, 1.5)
"""So long nobody is there."""
STOPPED_S = 5.0
"""So long a server is silent before it is killed: its clients notice after three seconds, and dial one that does not answer."""
HOWS = ("killed", "closed", "stopped")


def start(*arguments: object) -> "subprocess.Popen[str]":
    """A module of this directory as a process."""
    path = os.pathsep.join(str(Path(each).resolve()) for each in sys.path if each)
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.Popen(command, cwd=TESTS, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def ready(process: "subprocess.Popen[str]") -> None:
    """Wait until it says so."""
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


class Referee:
    """Starts servers, one after the other, and ends each in its own way."""

    def __init__(self, port: int, journal: Path) -> None:
        self.port, self.journal = port, journal
        self.dead: list[tuple[float, float]] = []
        """From when to when nobody was there, in seconds of the system's clock."""
        self.ended: Counter[str] = Counter()
        self._since = 0.0
        self._seed = 0
        self._server: subprocess.Popen[str] | None = None
        self._next = self._made()

    def _made(self) -> "subprocess.Popen[str]":
        self._seed += 1
        return start("lines.server", self.port, self._seed, self.journal)

    def start(self) -> None:
        """The next one, at the same port."""
        self._server, self._next = self._next, self._made()
        assert self._server.stdin is not None
        self._server.stdin.write("begin\n")
        self._server.stdin.flush()
        ready(self._server)
        if self._since:
            self.dead.append((self._since, time.monotonic()))
            (self.journal.parent / "dead.json").write_bytes(msgspec.json.encode(self.dead))

    def end(self, how: str) -> None:
        """It goes: without a word, politely, or by saying nothing any more."""
        server = self._server
        assert server is not None
        self._since = time.monotonic()
        self.ended[how] += 1
        if how == "stopped":
            server.send_signal(signal.SIGSTOP)
            time.sleep(STOPPED_S)
        server.send_signal(signal.SIGTERM if how == "closed" else signal.SIGKILL)
        server.communicate(timeout=60)
        self._server = None

    def leave(self) -> None:
        """Nothing stays behind."""
        if self._server is not None:
            self.end("killed")
        self._next.kill()
        self._next.communicate()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def play(directory: Path) -> list[Verdict]:
    """All three calls, at once; what came of each."""
    drawn = random.Random(6)
    referee = Referee(free_port(), directory / "journal.jsonl")
    clients: list[subprocess.Popen[str]] = []
    try:
        referee.start()
        url = f"ws://127.0.0.1:{referee.port}/v1/realtime?model=gpt-realtime"
        clients = [start("lines.client", name, url, SECONDS, seed, directory) for seed, name in enumerate(RUNTIMES)]
        for client in clients:
            ready(client)
        until = time.monotonic() + SECONDS
        while time.monotonic() < until - UP_S[1]:
            time.sleep(drawn.uniform(*UP_S))
            referee.end(HOWS[len(referee.dead) % len(HOWS)])
            time.sleep(drawn.uniform(*DOWN_S))
            referee.start()
        codes = [client.wait(UP_S[1] + 60) for client in clients]
    finally:
        for client in clients:
            client.kill()
            client.communicate()
        referee.leave()
    assert codes == [0] * len(RUNTIMES)
    assert set(referee.ended) == set(HOWS)
    # Each judge listens for itself: what was heard of a message is one client's.
    return [Judge(name, Truth(read(referee.journal)), directory, referee.dead).judge() for name in RUNTIMES]


@pytest.mark.skipif("RTCORE_LINES" not in os.environ, reason="minutes of real time; make lines runs it")
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs SIGSTOP to leave a line half-open")
def test_a_server_that_is_killed_again_and_again(tmp_path: Path) -> None:  # C27, S08, B21, B23 to B26, F085 to F087, F093
    verdicts = play(tmp_path)
    for verdict in verdicts:
        print(verdict.name, *(f"{name}={value}" for name, value in verdict.figures.items()))
    assert {verdict.name: verdict.problems for verdict in verdicts if verdict.problems} == {}
    for verdict in verdicts:
        figures = verdict.figures
        least = SECONDS / 60
        assert figures["turns"] > 5 * least and figures["answered"] + figures["into_nothing"] > 0.8 * figures["turns"]
        assert figures["reconnected"] > least and figures["interruptions"] > least
        assert figures["calls"] and figures["renewed"] and figures["requests"] and figures["replayed"]
    assert sum(verdict.figures["expired"] for verdict in verdicts) > 0
