"""Worlds as work: one by its seed, or a batch of them in another process, whose results travel as bytes."""

import os
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from rtcore.sim.campaign import policy_world
from rtcore.sim.policy import parse_policy
from rtcore.sim.results import WorldResult
from rtcore.sim.sabotage import SABOTAGED
from rtcore_adapters.voices import load_voices


def cores() -> int:
    """How many processes can run at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


INTERRUPTIONS_PER_WORLD = 20
"""A little less than worlds hold on average, so that no core is idle."""


def processes(jobs: int | None, interruptions: int | None) -> int:
    """How many processes to use: ``jobs``, by default one per core, but never more than there will be worlds (None: no end)."""
    wanted = jobs or cores()
    return wanted if interruptions is None else max(1, min(wanted, -(-interruptions // INTERRUPTIONS_PER_WORLD)))


def run_world(
    seed: int, sabotage: str | None = None, *, policy: str = "", story: bool = False
) -> tuple[WorldResult, tuple[str, ...]]:
    """One world, around the real core or a sabotaged one, under a policy; with ``story``, its lines."""
    rules, voices = parse_policy(policy), load_voices()
    if sabotage is None:
        world = policy_world(seed, voices, rules, story=story)
    else:
        world = policy_world(seed, voices, rules, session_factory=SABOTAGED[sabotage], story=story)
    result = world.run()
    lines = () if world.story is None else tuple(str(line) for line in world.story.lines)
    return result, lines


class Work(Struct, frozen=True):
    """The worlds of ``count`` seeds from ``first`` on, each once under every policy (``str(Policy)``)."""

    first: int
    count: int
    policies: tuple[str, ...] = ("",)
    sabotage: str | None = None


Worlds = tuple[WorldResult, ...]
"""One seed's results, one per policy."""

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[tuple[Worlds, ...]] = msgspec.msgpack.Decoder(tuple[Worlds, ...])


def run_batch(work: Work) -> bytes:
    """All of it, in the order of the seeds, as ``unpacked`` reads it."""
    return _ENCODER.encode([_worlds(work, work.first + place) for place in range(work.count)])


def _worlds(work: Work, seed: int) -> Worlds:
    return tuple(run_world(seed, work.sabotage, policy=policy)[0] for policy in work.policies)


def unpacked(packed: bytes) -> Sequence[Worlds]:
    """What ``run_batch`` gave."""
    return _DECODER.decode(packed)
