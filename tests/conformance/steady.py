"""Worlds for runtimes whose time is real: short ones, whose outcome does not depend on some milliseconds.

A world is cut at ``LONGEST_S`` and closed there. It is steady if the bare core gives the same however late each input comes, up
to ``LATE_S``, in the same order. ``SEEDS`` are the first that are, and in which something happens; ``python -m
conformance.steady`` in tests/ finds them anew, and a test sees that each still is what it was chosen for.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random

from msgspec import structs

from conformance.drivers import Driver
from conformance.player import Player
from conformance.plays import Bare, Outcome, Script, Step, difference
from conformance.worlds import script
from rtcore import Interrupted, MessageEnded, ToolCalled

LONGEST_S = 3.0
LATE_S = 0.06
_TRIES = 25
_LEAST_INPUTS = 40
_WANTED = 50
_AT_ONCE = 25

SEEDS: tuple[int, ...] = (
    *(1, 4, 5, 6, 7, 8, 13, 15, 16, 17),
    *(20, 27, 29, 30, 36, 40, 41, 43, 53, 63),
    *(66, 69, 74, 75, 76, 77, 78, 81, 82, 88),
    *(93, 94, 97, 98, 99, 100, 101, 107, 109, 114),
    *(116, 117, 127, 129, 133, 135, 136, 137, 142, 145),
)


def short(seed: int) -> Script:
    """The world's beginning."""
    whole = script(seed)
    steps = [step for step in whole.steps if step.at < LONGEST_S]
    if steps[-1].do not in ("close", "disconnected"):
        steps.append(Step(LONGEST_S, "close"))
    return structs.replace(whole, name=f"{whole.name}, {LONGEST_S:g} s", steps=steps, half_open_at=None)


def late(written: Script, random: Random) -> Script:
    """The same inputs in the same order, each a little late."""
    most = random.choice((0.003, 0.01, LATE_S))
    steps: list[Step] = []
    at = 0.0
    for step in written.steps:
        at = max(at, step.at + random.uniform(0, most))
        steps.append(structs.replace(step, at=at))
    return structs.replace(written, steps=steps)


def is_steady(written: Script, expected: Outcome, seed: int) -> bool:
    """Whether it does not matter how late the inputs come."""
    random = Random(seed)
    wanted = expected.timeless().told()
    return all(Bare(late(written, random)).run().timeless().told() == wanted for _ in range(_TRIES))


def is_eventful(expected: Outcome) -> bool:
    """Whether somebody is interrupted, or a message or a call ends, while it lasts."""
    return any(isinstance(notice, Interrupted | ToolCalled | MessageEnded) for notice in expected.notices)


def found(seeds: Sequence[int] | None = None) -> Iterator[int]:
    """The steady ones among these seeds; None: among all."""
    for seed in seeds if seeds is not None else range(100_000):
        written = short(seed)
        if len(written.steps) < _LEAST_INPUTS:
            continue
        expected = Bare(written).run()
        if is_eventful(expected) and is_steady(written, expected, seed):
            yield seed


def differs(seed: int, driver: Driver) -> str:
    """Play a short world on the real clock: where it first gives something else, the clock's own numbers apart."""
    written = short(seed)
    bare = Bare(written)
    expected = bare.run()
    player = Player(written, cuts=seed, microphone=bare.session.input_format if seed % 2 else None)
    outcome = driver.play(player)
    return player.failed or difference(expected.timeless(), outcome.timeless())


def all_differences(driver: Driver) -> dict[int, str]:
    """Play all short worlds, side by side, so that they disturb each other as well; those that give something else."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = zip(SEEDS, pool.map(partial(differs, driver=driver), SEEDS), strict=True)
        return {seed: where for seed, where in found if where}


if __name__ == "__main__":
    print(*(seed for seed, _ in zip(found(), range(_WANTED), strict=False)), sep=", ")
