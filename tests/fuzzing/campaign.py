"""The campaign of broken messages under way: rounds one after the other, in a file that can be gone on with.

Rounds are numbered from 0 and drawn from the seed and their number, so that a campaign ended and gone on with is the one that was
never ended. A round in which a promise broke is noted with its last message; the campaign goes on.
"""

import gc
import hashlib
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from fuzzing.rounds import Broken, Tally, preload, run
from rtcore_adapters.cli._signals import shielded
from rtcore_adapters.cli._store import StoreError, fingerprint

FORMAT = "rtcore messages"
_SAVE_EVERY_S = 5.0
_WARM = 400
"""Rounds after which everything has been made that is made once."""
_LOOK_EVERY = 2_000
_GROWTH = 5_000
"""So many blocks of memory more than after the first rounds are no leak: a round leaves none, and there are many thousands."""
_KEPT = 10


class Failure(Struct, frozen=True):
    """A round in which a promise broke: what, and the message after which it was seen."""

    round: int
    what: str
    message: str


class Memory(Struct):
    """What one process held: blocks of Python's allocator, bytes of the process; after the first rounds and at the last look."""

    rounds: int = 0
    blocks: int = 0
    blocks_last: int = 0
    resident: int = 0
    resident_last: int = 0


class State(Struct):
    """A campaign so far, as it is stored."""

    format: str
    fingerprint: str
    seed: int
    messages: int
    rounds: int = 0
    seconds: float = 0.0
    counts: dict[str, int] = {}
    failures: list[Failure] = []
    failed: int = 0
    memory: list[Memory] = []

    @property
    def sent(self) -> int:
        """Mutated messages so far."""
        return self.counts.get("messages", 0)

    @property
    def complete(self) -> bool:
        """Whether it has sent as many as it was to send."""
        return self.sent >= self.messages

    @property
    def problems(self) -> list[str]:
        """What did not hold."""
        found = [f"round {each.round}: {each.what}" for each in self.failures]
        if self.failed > len(self.failures):
            found.append(f"... and {self.failed - len(self.failures)} more rounds")
        for each in self.memory:
            if each.blocks and each.blocks_last > each.blocks + _GROWTH:
                grown = each.blocks_last - each.blocks
                found.append(f"memory grew by {grown} blocks in {each.rounds} rounds (before: {each.blocks})")
        return found


def marked() -> str:
    """Of all that decides what a round does: the core, and the fuzzer with what it reads."""
    tests = Path(__file__).resolve().parent.parent
    found = hashlib.sha256(fingerprint().encode())
    for folder, pattern in (("fuzzing", "*.py"), ("corpus", "*.gz"), ("helpers", "*.py"), ("facts", "*.json")):
        for path in sorted((tests / folder).glob(pattern)):
            found.update(path.read_bytes())
    return found.hexdigest()[:16]


def begun(seed: int, messages: int) -> State:
    """A new campaign."""
    return State(FORMAT, marked(), seed, messages)


def resumed(path: Path, messages: int | None) -> State:
    """The campaign of a file, perhaps with another goal. Raises ``StoreError``."""
    try:
        state = msgspec.json.decode(path.read_bytes(), type=State)
    except OSError as error:
        raise StoreError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise StoreError(f"{path} is not a campaign of messages") from None
    if state.format != FORMAT:
        raise StoreError(f"{path} is not a campaign of messages")
    if state.fingerprint != marked():
        raise StoreError(f"{path} was made by another version of the core or of the fuzzer: begin anew")
    if messages is not None:
        state.messages = messages
    return state


def save(path: Path, state: State) -> None:
    """Write it, whole or not at all. Raises OSError."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(msgspec.json.encode(state))
    part.replace(path)


def advance(state: State, path: Path | None, told: Callable[[State], None] = lambda _: None) -> None:
    """Run rounds until it is complete. ``KeyboardInterrupt`` ends it between two; what was done is in the state and the file."""
    preload()
    memory = Memory()
    state.memory.append(memory)
    last = time.monotonic()
    next_save = last
    try:
        while not state.complete:
            with shielded():
                _one(state)
                memory.rounds += 1
                if memory.rounds == _WARM or (memory.rounds > _WARM and memory.rounds % _LOOK_EVERY == 0):
                    _look(memory)
                now = time.monotonic()
                state.seconds += now - last
                last = now
                if path is not None and now >= next_save:
                    save(path, state)
                    next_save = now + _SAVE_EVERY_S
            told(state)
    finally:
        with shielded():
            if memory.blocks:
                _look(memory)
            else:
                state.memory.remove(memory)  # too short a run to tell anything
            if path is not None:
                save(path, state)


def _one(state: State) -> None:
    tally = Tally()
    try:
        run(state.seed, state.rounds, tally)
    except Broken as broken:
        state.failed += 1
        if len(state.failures) < _KEPT:
            message = broken.messages[-1].decode(errors="backslashreplace")[:2_000] if broken.messages else ""
            state.failures.append(Failure(state.rounds, str(broken)[:2_000], message))
    state.rounds += 1
    state.counts = dict(Counter(state.counts) + tally.counts)


def _look(memory: Memory) -> None:
    gc.collect()
    memory.blocks_last, memory.resident_last = sys.getallocatedblocks(), _resident()
    if not memory.blocks:
        memory.blocks, memory.resident = memory.blocks_last, memory.resident_last


def _resident() -> int:
    """Bytes of the process that are in memory; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * 4096
