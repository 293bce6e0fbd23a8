"""Worlds for runtimes whose time is real: short ones, whose outcome does not depend on some milliseconds.

A world is cut at ``LONGEST_S`` and closed there. It is steady if the bare core gives the same however late each input comes, up
to ``LATE_S``, in the same order, and wherever everything stands still for ``STALL_S``. ``SEEDS`` are the first that are, and in
which something happens; ``python -m conformance.steady`` in tests/ finds them anew, and a test sees that each still is what it
was chosen for. A run in which the machine kept an input waiting for longer than ``LATE_S`` shows nothing, and is repeated.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random

from msgspec import structs

from conformance.drivers import Driver
from conformance.player import Player
from conformance.plays import Bare, Outcome, Script, Step, difference
from conformance.worlds import script
from rtcore import Interrupted, MessageEnded, ToolCalled

LONGEST_S = 3.0
LATE_S = 0.1
STALL_S = 0.4
_TRIES = 10
_LEAST_INPUTS = 40
_WANTED = 50
_AT_ONCE = (25, 5, 3, 1, 1)
"""How many are played side by side; those that were disturbed too much, again with fewer."""


SEEDS: tuple[int, ...] = (
    *(5, 7, 15, 16, 27, 53, 63, 69, 75, 77),
    *(81, 88, 99, 100, 101, 107, 129, 133, 136, 137),
    *(149, 151, 153, 162, 173, 176, 183, 187, 188, 206),
    *(213, 226, 231, 232, 237, 244, 248, 260, 261, 263),
    *(265, 266, 270, 275, 276, 284, 294, 297, 303, 304),
)


def short(seed: int) -> Script:
    """The world's beginning."""
    whole = script(seed)
    steps = [step for step in whole.steps if step.at < LONGEST_S]
    if steps[-1].do not in ("close", "disconnected"):
        steps.append(Step(LONGEST_S, "close"))
    return structs.replace(whole, name=f"{whole.name}, {LONGEST_S:g} s", steps=steps, half_open_at=None)


def late(written: Script, random: Random, most: float, stalled: int | None = None) -> Script:
    """The same inputs in the same order, each up to ``most`` seconds late; a stall holds up the one with index ``stalled``."""
    steps: list[Step] = []
    at = 0.0
    for index, step in enumerate(written.steps):
        at = max(at, step.at + random.uniform(0, most) + (STALL_S if index == stalled else 0))
        steps.append(structs.replace(step, at=at))
    return structs.replace(written, steps=steps)


def is_steady(written: Script, expected: Outcome, seed: int) -> bool:
    """Whether it does not matter how late the inputs come, and where the machine stands still for a moment."""
    random = Random(seed)
    wanted = expected.timeless().told()
    lates = [late(written, random, most) for most in (LATE_S / 10, LATE_S) for _ in range(_TRIES)]
    lates += [late(written, random, LATE_S / 10, stalled) for stalled in range(1, len(written.steps))]
    return all(Bare(each).run().timeless().told() == wanted for each in lates)


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


def all_differences(driver: Driver, seeds: Sequence[int] = SEEDS) -> dict[int, str]:
    """Play short worlds, side by side, so that they disturb each other as well; those that give something else than the bare
    core, the clock's own numbers apart."""
    scripts = {seed: short(seed) for seed in seeds}
    bares = {seed: Bare(written) for seed, written in scripts.items()}
    wanted = {seed: bare.run().timeless() for seed, bare in bares.items()}
    differences: dict[int, str] = {}

    def played(seed: int) -> Player:
        player = Player(scripts[seed], cuts=seed, microphone=bares[seed].session.input_format if seed % 2 else None)
        driver.play(player)
        return player

    left = list(seeds)
    for at_once in _AT_ONCE:
        with ThreadPoolExecutor(at_once) as pool:
            players = dict(zip(left, pool.map(played, left), strict=True))
        left = [seed for seed, player in players.items() if player.lateness > LATE_S]
        for seed, player in players.items():
            where = player.failed or difference(wanted[seed], player.outcome.timeless())
            if where and seed not in left:
                differences[seed] = where
    return differences | dict.fromkeys(left, "the machine was too slow to tell, again and again")


if __name__ == "__main__":
    print(*(seed for seed, _ in zip(found(), range(_WANTED), strict=False)), sep=", ")
