"""How fast the simulated world runs on one core, and where its time goes.

Speed with the auditor on: interruptions and simulated seconds per second of processor time, idle time told apart (what nobody
speaks or sounds in costs next to nothing, so counting it flatters). Then the same worlds once more under the profiler: each
part's share. To reach: at least 300 interruptions and 500 simulated seconds per second and core, better 1,000 and 3,600.
"""

import argparse
import gc
import platform
from collections.abc import Sequence
from cProfile import Profile
from pathlib import Path
from pstats import Stats
from time import process_time

import rtcore
from rtcore.sim import Voice, World, WorldResult
from rtcore_adapters.voices import load_voices

FLOOR, AIM = (300, 500), (1_000, 3_600)
_CORE = Path(rtcore.__file__).parent
_PARTS = {
    "server": ("server.py", "_server_"),
    "auditor": ("auditor.py", "_audit", "_ledger", "_seen", "matching", "reference", "footprint", "results", "sometimes"),
    "speaker and network": ("speaker.py", "_speaker", "network.py"),
    "user and program": ("user.py", "_aim.py", "_program.py"),
    "world": ("",),
}
"""The simulated world's files by their beginnings; the first that fits has it."""


def part_of(file: str) -> str:
    """Which part of the world a source file belongs to."""
    path = Path(file)
    if path.parent == _CORE / "sim":
        return next(part for part, begins in _PARTS.items() if path.name.startswith(begins))
    return "core" if _CORE in path.parents else "libraries"


def run(seeds: Sequence[int], voices: Sequence[Voice]) -> list[WorldResult]:
    """These worlds, one after the other."""
    return [World(seed, voices).run() for seed in seeds]


def shares(profile: Profile) -> dict[str, float]:
    """Each part's share of the time, built-in functions counted where they are called."""
    taken: dict[str, float] = {}
    for (file, _, _), (_, _, own, _, callers) in Stats(profile).stats.items():  # type: ignore[attr-defined]  # typeshed has no stats
        if file == "~":
            for (caller, _, _), (_, _, inside, _) in callers.items():
                taken[part_of(caller)] = taken.get(part_of(caller), 0.0) + inside
        else:
            taken[part_of(file)] = taken.get(part_of(file), 0.0) + own
    total = sum(taken.values())
    return {part: own / total for part, own in sorted(taken.items(), key=lambda each: -each[1])}


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=100, help="how many (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="the first one's seed (default: 0)")
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many rounds (default: 3)")
    options = parser.parse_args()
    if options.worlds < 1 or options.rounds < 1:
        parser.error("--worlds and --rounds must be at least 1")
    seeds = range(options.seed, options.seed + options.worlds)
    voices = load_voices()
    run(seeds[:3], voices)  # what is worked out once
    gc.freeze()  # as a campaign's processes do it: neither code nor voices are garbage
    best, results = float("inf"), list[WorldResult]()
    for _ in range(options.rounds):
        began = process_time()
        results = run(seeds, voices)
        best = min(best, process_time() - began)
    interruptions = sum(result.interruptions for result in results)
    simulated = sum(result.simulated_ms for result in results) / 1000
    idle = sum(result.idle_ms for result in results) / 1000
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"{python}, {len(results)} worlds, {interruptions} interruptions, best of {options.rounds} rounds\n")
    print(f"{'per second and core':26}{'measured':>10}{'floor':>8}{'aim':>8}")
    print(f"{'interruptions':26}{interruptions / best:10.0f}{FLOOR[0]:8}{AIM[0]:8}")
    print(f"{'simulated seconds':26}{simulated / best:10.0f}{FLOOR[1]:8}{AIM[1]:8}")
    print(f"{'  without idle time':26}{(simulated - idle) / best:10.0f}\n")
    profile = Profile()
    profile.runcall(run, seeds[: max(1, len(seeds) // 3)], voices)
    for part, share in shares(profile).items():
        print(f"{part:26}{share:10.1%}")


if __name__ == "__main__":
    main()
