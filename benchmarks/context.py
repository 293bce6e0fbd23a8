"""Answers from words that nobody heard: how many there are, and what it costs to have none.

In the simulated world, by the line's round trip, with and without stalls. The server finds a turn's end after 200 ms of silence
and may answer at once by itself; people interrupt in the middle of a message with 100 to 500 ms of speech, so that the next
answer is often begun before the truncate has arrived. Three ways to have it: what the server began stands (``accept``), it is
taken back unheard and asked for again (``recreate``), or the core alone asks, after its edits (``exact``).

Counted are, per 1,000 cuts, the answers that were begun although the server held sound that nobody heard, and those of them that
were heard. The price is the time from the end of speech to the first heard sample of the answer. All of it is quality: the same
seeds give the same figures on every machine.
"""

import argparse
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any, NamedTuple

from msgspec import structs

from rtcore.sim import NetworkOptions, Scenario, ServerOptions, SpeakerOptions, Voice, World
from rtcore_adapters.voices import load_voices

ROUND_TRIPS_MS = (10, 30, 100, 200, 300)
SILENCE_MS = 200
"""Silence after which the server takes the turn: part of the time that the user waits."""
TALK_MS = (SILENCE_MS + 100, SILENCE_MS + 500)
STALLS: dict[str, dict[str, Any]] = {"": {}, "stalls": {"stall_per_mille": 20, "stall_ms": (200, 1500)}}
WAYS: dict[str, dict[str, Any]] = {
    "accept": {},
    "recreate": {"core": {"stale_context": "recreate"}},
    "exact": {"context": "exact", "server_creates": False},
}
_BASE = Scenario(
    interruptions=20,
    kinds=(("inside message 1", 6), ("inside message 2", 2), ("at the boundary", 1), ("after all audio arrived", 3)),
    talk_ms=TALK_MS,
    tools=False,
    speaker=SpeakerOptions(buffer_ms=20, report_ms=100, stop_ms=(0, 40), answer_ms=(0, 5)),
    server=ServerOptions(audio_ms=(1000, 4000), think_ms=(0, 5), rate_percent=(300, 1000), call_per_mille=0, text_per_mille=0),
)


class Line(NamedTuple):
    """One row: what came of so many worlds."""

    cuts: int
    stale: int
    """Answers that were begun from words that nobody heard."""
    stood: int
    """.. and were not taken back."""
    waits_ms: list[float]
    """From the end of speech to the first heard sample of the answer."""
    violations: int

    @property
    def per_thousand(self) -> tuple[float, float]:
        """Stale, and stale and heard, per 1,000 cuts."""
        return 1000 * self.stale / max(1, self.cuts), 1000 * self.stood / max(1, self.cuts)

    @property
    def wait_ms(self) -> tuple[float, float]:
        """Median and 95th percentile."""
        ranked = sorted(self.waits_ms)
        return median(ranked), ranked[int(0.95 * (len(ranked) - 1))]


def measured(seeds: Sequence[int], voices: Sequence[Voice], way: str, round_trip_ms: int, stalls: str) -> Line:
    """The same worlds in one of the ways, over one line."""
    network = NetworkOptions(latency_ms=round_trip_ms // 2, jitter_ms=round_trip_ms // 10, **STALLS[stalls])
    scenario = structs.replace(_BASE, stream=network, **WAYS[way])
    cuts = stale = stood = violations = 0
    waits: list[float] = []
    for seed in seeds:
        world = World(seed, voices, scenario=scenario)
        result = world.run()
        context = world.auditor.context
        cuts += result.cuts
        stale += len(context.stale)
        stood += len(context.stale - context.taken_back)
        violations += len(result.violations)
        for kind in result.kinds:
            for answer_us, count in kind.answer_us.items():
                waits += [SILENCE_MS + answer_us / 1000] * count
    return Line(cuts, stale, stood, waits, violations)


def rows(seeds: Sequence[int], voices: Sequence[Voice], round_trips: Sequence[int]) -> Iterator[tuple[str, int, str, Line]]:
    """Every way over every line."""
    for stalls in STALLS:
        for round_trip_ms in round_trips:
            for way in WAYS:
                yield stalls, round_trip_ms, way, measured(seeds, voices, way, round_trip_ms, stalls)


def main() -> int:
    """Print the table; 1 where an invariant broke."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--worlds", type=int, default=40, help="worlds of 20 interruptions for each row (default: 40)")
    parser.add_argument("--round-trips", type=int, nargs="+", default=list(ROUND_TRIPS_MS), metavar="MS")
    options = parser.parse_args()
    if options.worlds < 1 or min(options.round_trips) < 0:
        parser.error("--worlds must be at least 1, --round-trips at least 0")
    voices = load_voices()
    broken = 0
    print("round trip  line    way       cuts  begun too early  and heard   wait: median      p95   per 1,000 cuts; ms")
    for stalls, round_trip_ms, way, line in rows(range(options.worlds), voices, options.round_trips):
        early, heard = line.per_thousand
        middle, late = line.wait_ms
        broken += line.violations
        where = f"{round_trip_ms:7d} ms  {stalls or 'clean':6s}  {way:8s}"
        print(f"{where}{line.cuts:6d}{early:17.1f}{heard:11.1f}{middle:15.0f}{late:9.0f}", flush=True)
    if broken:
        print(f"{broken} broken invariants")
    return int(broken > 0)


if __name__ == "__main__":
    raise SystemExit(main())
