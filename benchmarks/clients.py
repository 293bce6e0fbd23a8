"""What a client spends on what it receives: processor time per pair of an audio and a transcript delta, client beside client.

One run, one machine, the same bytes for all: every client is a process of its own on one core; this driver, on another core where
there is one, is its server: it shakes hands, acknowledges the session and sends responses that were rendered before. A client
takes everything, that is, the program in it is given every sample, decoded, and every character; the first part, not counted, is
digested and compared with what was sent, the rest is counted. A client that was given less is named as such and has no figure.

Deltas of 20 and of 200 ms, each in two ways: *apart*, every message in a write of its own, a millisecond between two, as a server
sends them while it generates; and *together*, as fast as the client takes them. Apart, waking up is a good part of the cost;
together, none of it.

The clients: rtcore on each of its runtimes; ``livekit-agents``' bare realtime session, ``openai-agents``' realtime session and
the ``openai`` package's realtime connection; and the floor, ``picows`` (a websocket client in C) with a bare msgspec decode.
Rounds take turns (A B C A B C), the best and the median count. A round in which other programs used more than a twentieth of the
client's core counts only where there is no other (then the line is VOID).

To reach: the best of the other three needs 5 times (20 ms) and 4 times (200 ms) of what rtcore needs on asyncio, and rtcore at
most 1.6 times of what the floor needs.

rtcore's speaker in it is the cheapest that is honest: it counts, and reports every sample heard at once, which is one report for
each audio delta. Nobody else does that work here, because none of the others asks for it.

Run it by ``make bench-clients`` or ``python benchmarks/clients.py [--clients-python PYTHON] [--rounds N] [--pairs N]``. Any
client that is written as those in ``programs`` are joins it by ``--also FILE``.
"""

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from random import Random
from selectors import EVENT_READ, DefaultSelector
from statistics import median
from typing import Any, NamedTuple

from machine import DISTURBED, Watch, cores, has, wait_for_quiet
from scripted import PCM_BYTES_PER_MS, Turn, accepted, client_frames, frame, session_event

PROGRAMS = Path(__file__).resolve().parent / "programs"
TURN_MS = 10_000
"""Audio in one response."""
APART_S = 0.001
"""Between two messages that are sent apart."""
AIMS = {20: 5.0, 200: 4.0}
"""How many times rtcore's time the best of the others needs, by the milliseconds of a delta."""
FLOOR_AIM = 1.6
"""How many times the floor's time rtcore may need."""


class Client(NamedTuple):
    """One line of the table."""

    name: str
    program: str
    arguments: tuple[str, ...]
    guest: bool
    """Whether it runs in the clients' environment."""
    kind: str
    """What it is to the others: ``rtcore``, ``other``, ``floor``, or only shown beside them."""
    needs: str
    """The module without which it cannot run."""


CLIENTS = (
    Client("rtcore, asyncio", "rtcore_asyncio.py", (), False, "rtcore", "rtcore_adapters.asyncio"),
    Client("rtcore, trio", "rtcore_trio.py", (), False, "rtcore", "rtcore_adapters.trio"),
    Client("rtcore, threads", "rtcore_threads.py", (), False, "rtcore", "rtcore_adapters.threads"),
    Client("livekit-agents", "livekit_client.py", (), True, "other", "livekit.plugins.openai"),
    Client("openai-agents", "agents_client.py", (), True, "other", "agents.realtime"),
    Client("openai", "openai_client.py", (), True, "other", "openai"),
    Client("picows + msgspec", "picows_client.py", (), True, "floor", "picows"),
    Client("rtcore, uvloop", "rtcore_asyncio.py", ("--uvloop",), False, "uvloop", "uvloop"),
    Client("picows, uvloop", "picows_client.py", ("--uvloop",), True, "uvloop", "uvloop"),
)
OWN, FLOOR = "rtcore, asyncio", "picows + msgspec"


class Case(NamedTuple):
    """Deltas of so many milliseconds, apart or together."""

    ms: int
    apart: bool

    def __str__(self) -> str:
        return f"{self.ms} ms {'apart' if self.apart else 'together'}"


class Load:
    """What is sent: a part that is not counted, and a part that is, in frames; and what of it every client has to be given."""

    def __init__(self, ms: int, pairs: int) -> None:
        per_turn = TURN_MS // ms
        sizes = [per_turn] * (pairs // per_turn) + ([pairs % per_turn] if pairs % per_turn else [])
        noise = Random(ms)
        turns: list[Turn] = []
        self.digests = [sha256(), sha256()]
        self.audio, self.text = [0, 0], [0, 0]
        for number, size in enumerate([min(per_turn, pairs), *sizes]):
            audio = [noise.randbytes(ms * PCM_BYTES_PER_MS) for _ in range(size)]
            turns.append(Turn(f"{ms}x{number}", turns[-1].item if turns else None, audio))
            counted = min(number, 1)
            self.audio[counted] += sum(map(len, audio))
            self.text[counted] += sum(map(len, turns[-1].texts))
            if not counted:
                self.digests[0].update(b"".join(audio))
                self.digests[1].update("".join(turns[-1].texts).encode())
        self.pairs = pairs
        self.first = list(_frames(turns[:1]))
        self.counted = list(_frames(turns[1:]))

    @property
    def arguments(self) -> list[str]:
        """As a client is told."""
        return [str(each) for each in (self.audio[0], self.text[0], sum(self.audio), sum(self.text))]


def _frames(turns: Sequence[Turn]) -> Iterator[bytes]:
    for turn in turns:
        for payload in (*turn.opening(), *(each for pair in turn.pairs for each in pair), *turn.closing()):
            yield frame(payload)


class Figure(NamedTuple):
    """What one client took in one round: microseconds of processor time per pair; or why there is no figure."""

    us: float
    fault: str
    versions: dict[str, str]
    max_rss: int
    others: float | None
    """Share of the core that others used meanwhile; None where it is not known."""

    @property
    def disturbed(self) -> bool:
        """Whether it says more about the others."""
        return self.others is not None and self.others > DISTURBED


class Run:
    """One client, from its start to its figure."""

    def __init__(self, command: list[str], load: Load, *, apart: bool, cores: tuple[int, int] | None, patience_s: float) -> None:
        self._load, self._apart, self._patience = load, apart, patience_s
        places = [str(PROGRAMS), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
        self._listener = socket.create_server(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{self._listener.getsockname()[1]}/v1/realtime?model=gpt-realtime"
        command = [part for each in command for part in ((url, *load.arguments) if each == "URL" else (each,))]
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        self._watch = Watch(None if cores is None else cores[1])
        if cores is not None:
            os.sched_setaffinity(self._child.pid, {cores[1]})
        self._socket = socket.socket()
        self._said = bytearray()

    def figure(self) -> Figure:
        """Serve it, and take down what it says."""
        fault = ""
        try:
            self._accept()
            self._attend("ready")
            self._send(self._load.first)
            self._attend("warm")
            self._send(self._load.counted)
            found: dict[str, Any] = json.loads(self._attend("{"))
        except (OSError, ValueError) as error:
            fault = str(error)
            found = self._stopped()
        finally:
            self._end()
        return self._judged(found, fault, self._watch.others(found.get("whole_cpu", 0.0)))

    def _end(self) -> None:
        self._socket.close()
        self._listener.close()
        self._child.kill()
        self._child.communicate()

    def _accept(self) -> None:
        self._listener.settimeout(0.1)
        until = time.monotonic() + self._patience
        while True:
            try:
                self._socket, _ = self._listener.accept()
                break
            except TimeoutError:
                if (status := self._child.poll()) is not None:
                    raise ValueError(f"it ended with status {status}") from None
                if time.monotonic() > until:
                    raise TimeoutError(f"it did not connect in {self._patience:g} s") from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(self._patience)
        request = bytearray()
        while not request.endswith(b"\r\n\r\n"):
            request += self._socket.recv(65_536)
        self._socket.sendall(accepted(bytes(request)))
        self._socket.sendall(frame(session_event("session.created")))

    def _send(self, frames: Sequence[bytes]) -> None:
        if not self._apart:
            for at in range(0, len(frames), 100):
                self._socket.sendall(b"".join(frames[at : at + 100]))
            return
        due = time.perf_counter()
        for each in frames:
            due += APART_S
            while (left := due - time.perf_counter()) > 0:
                time.sleep(left)
            self._socket.sendall(each)

    def _attend(self, word: str) -> str:
        """Until the client says so, answering it on the line meanwhile."""
        assert self._child.stdout is not None
        with DefaultSelector() as selector:
            selector.register(self._socket, EVENT_READ)
            selector.register(self._child.stdout, EVENT_READ)
            until = time.monotonic() + self._patience
            while time.monotonic() < until:
                for key, _ in selector.select(1.0):
                    if key.fileobj is self._socket:
                        self._answer()
                    elif (line := self._child.stdout.readline()).startswith(word):
                        return line
                    elif not line:
                        raise ValueError(f"it ended with status {self._child.wait()}")
        raise TimeoutError(f"no {word!r} in {self._patience:g} s")

    def _answer(self) -> None:
        data = self._socket.recv(65_536)
        if not data:
            raise ValueError("it hung up")
        self._said += data
        for opcode, payload in client_frames(self._said):
            if opcode == 1 and b'"session.update"' in payload:
                self._socket.sendall(frame(session_event("session.updated")))
            elif opcode == 9:
                self._socket.sendall(frame(payload, opcode=10))

    def _stopped(self) -> dict[str, Any]:
        """What it has taken until now, if it still can say."""
        self._child.terminate()
        try:
            said, _ = self._child.communicate(timeout=self._patience)
        except (subprocess.TimeoutExpired, ValueError):
            return {}
        return next((json.loads(line) for line in said.splitlines() if line.startswith("{")), {})

    def _judged(self, found: dict[str, Any], fault: str, others: float | None) -> Figure:
        if not found:
            return Figure(float("nan"), fault, {}, 0, None)
        audio, text = sum(self._load.audio), sum(self._load.text)
        if (found["audio"], found["text"]) != (audio, text):
            fault = f"was given {found['audio'] / audio:.1%} of the audio and {found['text'] / text:.1%} of the text ({fault})"
        elif found["digests"] != [digest.hexdigest() for digest in self._load.digests]:
            fault = "was given something else than was sent"
        else:
            fault = ""  # it had everything, and hung up before what stands behind the last delta
        us = float("nan") if fault else found["cpu"] / self._load.pairs * 1e6
        return Figure(us, fault, found["versions"], found["max_rss"], others)


def report(figures: dict[tuple[str, Case], list[Figure]], clients: Sequence[Client], cases: Sequence[Case]) -> bool:
    """Print the tables and what was reached; false where a client has no figure."""
    best: dict[tuple[str, Case], float] = {}
    whole = True
    for case in cases:
        print(
            f"\n{f'{case}: microseconds per pair':40}{'best':>9}{'median':>9}{'to rtcore':>11}{'to floor':>10}{'disturbed':>11}"
        )
        for client in clients:
            taken = figures[client.name, case]
            if fault := next((each.fault for each in taken if each.fault), ""):
                whole = False
                print(f"{client.name:40}{fault}")
                continue
            best[client.name, case] = min(each.us for each in _quiet(taken))
        for client in clients:
            if (us := best.get((client.name, case))) is None:
                continue
            ratios = [us / best[to, case] if (to, case) in best else float("nan") for to in (OWN, FLOOR)]
            taken = figures[client.name, case]
            middle, disturbed = median(each.us for each in _quiet(taken)), sum(each.disturbed for each in taken)
            line = f"{client.name:40}{us:9.1f}{middle:9.1f}{ratios[0]:11.2f}{ratios[1]:10.2f}{disturbed:8} of {len(taken)}"
            print(line + ("  VOID" if disturbed == len(taken) else ""))
    print()
    for case in cases:
        others = {name: best[name, case] for name, _, _, _, kind, _ in clients if kind == "other" and (name, case) in best}
        if others and (OWN, case) in best:
            rival = min(others, key=lambda name: others[name])
            times, aim = others[rival] / best[OWN, case], AIMS[case.ms]
            print(f"{case!s:16}{rival} needs {times:.2f} times of rtcore's: {aim:g} {_verdict(times >= aim)}")
        if {(OWN, case), (FLOOR, case)} <= best.keys():
            times = best[OWN, case] / best[FLOOR, case]
            print(f"{case!s:16}rtcore needs {times:.2f} times of the floor's: {FLOOR_AIM:g} {_verdict(times <= FLOOR_AIM)}")
    return whole


def _quiet(taken: Sequence[Figure]) -> Sequence[Figure]:
    """The rounds that count: those that nobody disturbed, or all where all were disturbed."""
    return [each for each in taken if not each.disturbed] or taken


def _verdict(reached: bool) -> str:
    return "reached" if reached else "MISSED"


def main() -> int:
    """Run all, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given = os.environ.get("CLIENTS_PYTHON", sys.executable)
    parser.add_argument("--clients-python", default=given, metavar="PYTHON", help="interpreter of the others (CLIENTS_PYTHON)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is run (default: 5)")
    parser.add_argument("--pairs", type=int, default=1000, help="pairs that are counted in a round (default: 1000)")
    parser.add_argument("--only", action="append", metavar="NAME", help="only clients whose name begins so; may be repeated")
    parser.add_argument("--ms", type=int, action="append", choices=sorted(AIMS), help="only deltas of this length")
    parser.add_argument("--way", choices=("apart", "together"), help="only this way of sending")
    parser.add_argument("--also", type=Path, action="append", default=[], metavar="FILE", help="one more client")
    parser.add_argument(
        "--patience", type=float, default=20.0, metavar="S", help="how long a client may give no sign (default: 20)"
    )
    parser.add_argument(
        "--wait", type=float, default=0, metavar="S", help="before each, for a quiet machine, at most (default: 0)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round's figures there")
    options = parser.parse_args()
    if options.rounds < 1 or options.pairs < 1:
        parser.error("--rounds and --pairs must be at least 1")
    wanted = [c for c in CLIENTS if not options.only or any(c.name.startswith(each) for each in options.only)]
    wanted += [Client(each.stem, str(each.resolve()), (), True, "other", "sys") for each in options.also]
    pythons = {client.name: options.clients_python if client.guest else sys.executable for client in wanted}
    clients = [client for client in wanted if has(pythons[client.name], client.needs)]
    bound = cores()
    if bound is not None:
        os.sched_setaffinity(0, {bound[0]})
    where = "a core each" if bound is not None else "ON ONE CORE, or unbound: figures mean less"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"{python}, {options.rounds} rounds of {options.pairs} pairs, {where}")
    for client in wanted:
        if client not in clients:
            print(f"not here: {client.name} (no {client.needs} in {pythons[client.name]})")
    cases = [Case(ms, way == "apart") for way in ("apart", "together") for ms in options.ms or AIMS if options.way in (None, way)]
    figures: dict[tuple[str, Case], list[Figure]] = {}
    for case in cases:
        load = Load(case.ms, options.pairs)
        for _ in range(options.rounds):
            for client in clients:
                command = [pythons[client.name], str(PROGRAMS / client.program), "URL", *client.arguments]
                wait_for_quiet(bound[1] if bound is not None else None, options.wait)
                run = Run(command, load, apart=case.apart, cores=bound, patience_s=options.patience)
                taken = run.figure()
                figures.setdefault((client.name, case), []).append(taken)
    whole = report(figures, clients, cases)
    print()
    for title, guest in (("rtcore's environment", False), ("the others'", True)):
        names = {client.name for client in clients if client.guest is guest}
        found = {each for (name, _), taken in figures.items() if name in names for each in taken[-1].versions.items()}
        print(f"{title}: {', '.join(f'{package} {version}' for package, version in sorted(found))}")
    if options.json is not None:
        rows = [
            {"client": name, "case": str(case), "rounds": [each._asdict() for each in taken]}
            for (name, case), taken in figures.items()
        ]
        options.json.write_text(json.dumps(rows, indent=1))
    return 0 if whole and clients else 1


if __name__ == "__main__":
    sys.exit(main())
