"""``python -m conformance [WORLDS]`` in tests/: worlds of the simulated network through asyncio and trio, in virtual time, then
short ones through threads on the real clock.

Prints how many were played and one digest of all that came out; exits with 1 where an adapter gave anything else than the core.
"""

import sys
import time
from hashlib import blake2s

from conformance.drivers import REAL, SHIPPED
from conformance.steady import LONGEST_S, SEEDS, all_differences, found
from conformance.worlds import play

_EVERY_S = 20.0


def main(worlds: int) -> int:
    """Play the first so many seeds."""
    state = blake2s(digest_size=8)
    inputs = wrong = 0
    seconds = 0.0
    began = told = time.monotonic()
    for seed in range(worlds):
        played = play(seed, SHIPPED)
        state.update(played.digest.encode())
        inputs += played.inputs
        seconds += played.seconds
        for name, where in played.differences.items():
            wrong += 1
            print(f"world {seed} through {name}: {where}", flush=True)
        if time.monotonic() - told > _EVERY_S:
            told = time.monotonic()
            print(f"{seed + 1} of {worlds} worlds after {told - began:.0f} s", flush=True)
    names = " and ".join(driver.name for driver in SHIPPED)
    print(
        f"{worlds} worlds ({inputs} inputs, {seconds / 3600:.1f} h of virtual time) through {names} in "
        f"{time.monotonic() - began:.0f} s: {wrong} differences, digest {state.hexdigest()}"
    )
    late = 0
    for driver in REAL:
        for seed, where in all_differences(driver).items():
            late += 1
            print(f"world {seed} through {driver.name}: {where}")
    names = " and ".join(driver.name for driver in REAL)
    print(f"{len(SEEDS)} worlds of at most {LONGEST_S:g} s through {names} on the real clock: {late} differences")
    unsteady = set(SEEDS) - set(found(SEEDS))
    print(f"{len(unsteady)} of them depend on when an input comes")
    return 1 if wrong or late or unsteady else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
