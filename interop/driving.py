"""Peers that nobody here wrote, as subprocesses that speak JSON lines, and our strict server for them to talk to.

The server runs in the test's event loop and in real time, on loopback: its ground truth is at hand while a peer talks. Nothing
here depends on how fast anybody is: what is waited for has a generous bound and no other meaning.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

HERE = Path(__file__).parent
AUDIT = HERE.parent / "examples" / "audit"
"""Where the clients find their loudspeaker, and livekit-agents its audio output."""
PATIENCE = 60.0
"""Seconds that anything may take."""

Line = dict[str, Any]


def theirs(variable: str) -> str:
    """The interpreter of an environment with peers, as ``make interop`` names it. Fails the test where it is not set."""
    python = os.environ.get(variable, "")
    assert python, f"{variable} is not set: make interop sets it"
    return str(Path(python).absolute())  # not resolved: a link is what makes it an environment


async def until(enough: Callable[[], object], what: str, why: Callable[[], str] = str) -> None:
    """Wait until it is so; fail with what it was, and why not."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not enough():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{what}: not within {PATIENCE:.0f} s. {why()}") from None


class Peer:
    """A running program of somebody else's, with everything that it has told."""

    def __init__(self, process: asyncio.subprocess.Process, errors: Path) -> None:
        self.process = process
        self.told: list[Line] = []
        self._errors = errors
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            # Some libraries greet on standard output.
            if line.startswith(b"{"):
                self.told.append(msgspec.json.decode(line))

    def values(self, key: str) -> list[Any]:
        """Everything that it told under this key, in order."""
        return [line[key] for line in self.told if key in line]

    @property
    def heard(self) -> int:
        """Samples that sounded at its speaker."""
        return sum(self.values("heard"))

    def say(self, **command: object) -> None:
        """Give it a command."""
        assert self.process.stdin is not None
        self.process.stdin.write(msgspec.json.encode(command) + b"\n")

    def why(self) -> str:
        """What may explain a failure: its problems, how it ended, and the end of its standard error."""
        errors = self._errors.read_text(errors="replace")[-3000:]
        return f"problems: {self.values('problem')}; exit status {self.process.returncode}; standard error: {errors}"

    async def until(self, enough: Callable[["Peer"], object], what: str) -> None:
        """Wait for something that it tells, or that can be seen meanwhile."""
        await until(lambda: self.process.returncode is not None or enough(self), what, self.why)
        assert enough(self), f"{what}: the peer has ended. {self.why()}"

    async def close(self) -> None:
        """No more commands: it ends, or is ended."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), 10)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        await self._reading


@asynccontextmanager
async def running(command: list[str], errors: Path, **environment: str) -> AsyncIterator[Peer]:
    """Start a program in the peers' folder; it is over when this is left."""
    with errors.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=HERE / "peers",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            limit=1 << 24,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "AZURE_", "PYTHON"))},
                **environment,
            },
        )
    peer = Peer(process, errors)
    try:
        yield peer
    except BaseException:
        await peer.close()
        print(peer.why())
        raise
    await peer.close()
