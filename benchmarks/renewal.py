"""What a person hears of a renewal that found no quiet moment: the silence between what was received and what goes on from there.

The calls are those of ``rtcore.sim.lines``, on lines that hold, with a person who talks over the answers. A session is renewed
every ``limit_s``; how long that waits for a quiet moment is ``grace_s``. Without one it is done in the middle of anything: what
was received sounds to its end, what was heard is told to the new session, and the answer that the old one was making is asked for
again. A renewal after which the person speaks first has no such silence, and counts as one in sound alone.

Everything is in virtual time, so that the figures are the same on every machine. Run it by ``python benchmarks/renewal.py``,
shorter with ``--calls N --seconds S``; three calls of twenty minutes for each row take some minutes.
"""

import argparse
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import structs

from rtcore import Effect, TurnReport
from rtcore.sim.lines import LineOptions, LongCall
from rtcore.sim.network import NetworkOptions

_ONE_WAY = NetworkOptions(latency_ms=30, jitter_ms=10)
ROWS: tuple[tuple[str, LineOptions], ...] = (
    ("not at all, no functions", LineOptions(limit_s=20, grace_s=0, call_per_mille=0)),
    ("not at all, functions of up to 4 s", LineOptions(limit_s=20, grace_s=0)),
    ("20 s, functions", LineOptions(limit_s=60, grace_s=20)),
    ("60 s, functions", LineOptions(limit_s=60, grace_s=60)),
)
"""How long a renewal waits for a quiet moment, and where functions are called."""


class Measured(NamedTuple):
    """What came of one row's calls."""

    renewed: int
    in_silence: int
    gaps_ms: list[int]
    """Silences, in order of length."""
    answers_ms: list[int]
    """From the end of a person's speech until the answer was heard, without a renewal or with one, in order of length."""
    problems: list[str]


class _Timed(LongCall):
    """A call that keeps how long the person waited for each answer."""

    def __init__(self, seed: int, options: LineOptions) -> None:
        super().__init__(seed, options)
        self.answers_ms: list[int] = []

    def call(self, effects: Sequence[Effect]) -> None:
        """As ever."""
        reports = [each for each in effects if isinstance(each, TurnReport) and each.cause == "speech"]
        self.answers_ms += [each.to_first_heard_ms for each in reports if each.to_first_heard_ms is not None]
        super().call(effects)


def measured(options: LineOptions, *, calls: int, seconds: int) -> Measured:
    """So many calls of so many seconds each."""
    renewed, in_silence = 0, 0
    gaps: list[int] = []
    answers: list[int] = []
    problems: list[str] = []
    for seed in range(1, calls + 1):
        call = _Timed(seed, structs.replace(options, seconds=seconds, drop_every_s=0, network=_ONE_WAY))
        result = call.run()
        renewed, in_silence = renewed + result.renewed, in_silence + result.renewed_in_silence
        gaps += result.renewal_gaps_ms
        answers += call.answers_ms
        problems += map(str, result.problems)
    return Measured(renewed, in_silence, sorted(gaps), sorted(answers), problems)


def _spread(times_ms: Sequence[int]) -> str:
    """The median, the 95th percentile and the most, in seconds."""
    if not times_ms:
        return "-"
    shown = times_ms[len(times_ms) // 2], times_ms[len(times_ms) * 95 // 100], times_ms[-1]
    return " / ".join(f"{each / 1000:.1f}" for each in shown)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=1200)
    arguments = parser.parse_args()
    print("| waits | renewed | in silence | in sound | with a gap | gap: p50 / p95 / max, s | any answer: p50 / p95 / max, s |")
    print("|---|---|---|---|---|---|---|")
    for name, options in ROWS:
        found = measured(options, calls=arguments.calls, seconds=arguments.seconds)
        numbers = (found.renewed, found.in_silence, found.renewed - found.in_silence, len(found.gaps_ms))
        print(
            f"| {name} | {' | '.join(map(str, numbers))} | {_spread(found.gaps_ms)} | {_spread(found.answers_ms)} |", flush=True
        )
        for problem in found.problems:
            print(problem)


if __name__ == "__main__":
    main()
