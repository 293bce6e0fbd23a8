"""Side by side: programs of other frameworks as they are and with rtcore behind them, interrupted at the same drawn points.

``make plugs`` runs this in the plugs' environment, and prints a row for each: how many of its events the server refused, how much
the conversation holds that nobody heard, and how far its truncates are from what was heard, sample by sample (``rtcore audit``).
The exit status says whether rtcore left nothing, and was refused nothing but a cancel that crossed the server's own.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles

import msgspec
from msgspec import Struct

from rtcore.sim.judge import AuditVerdict

AUDIT = Path(__file__).parent.parent / "examples" / "audit"
CROSSED = "response_cancel_not_active"
"""The code of a cancel that comes too late, because the response has ended, or the server has cancelled it."""
TOLERANCE_MS = 60
"""What a truncate may be off by, for everybody: the programs play 20 ms at a time, several of them at once on a busy machine."""


class Side(Struct, frozen=True):
    """A program, and whether rtcore is behind it."""

    name: str
    command: tuple[str, ...]
    behind: bool


SIDES = (
    Side("openai-agents", ("openai_agents_client.py",), behind=False),
    Side("openai-agents, rtcore behind it", ("openai_agents_behind.py",), behind=True),
    Side("openai-agents with a tracker", ("openai_agents_client.py", "--tracker"), behind=False),
    Side("openai-agents with a tracker, rtcore behind it", ("openai_agents_behind.py", "--tracker"), behind=True),
    Side("livekit-agents", ("livekit_client.py",), behind=False),
    Side("livekit-agents, rtcore behind it", ("livekit_behind.py",), behind=True),
)


def judged(side: Side, seed: int, interruptions: int) -> AuditVerdict:
    """The audit's verdict on it. Raises ``RuntimeError`` where there is none."""
    options = ["--listen", "0", "--http", "0", "--seed", str(seed), "--interruptions", str(interruptions), "--json"]
    command = [sys.executable, "-m", "rtcore_adapters.cli", "audit", *options, "--tolerance", str(TOLERANCE_MS), "--"]
    command += [sys.executable, str(AUDIT / side.command[0]), *side.command[1:]]
    done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    if not done.stdout:
        raise RuntimeError(f"{side.name}, seed {seed}: no verdict: {done.stderr.decode(errors='replace')[-2000:]}")
    return msgspec.json.decode(done.stdout, type=dict[str, list[AuditVerdict]])["sessions"][0]


class Row(Struct, frozen=True):
    """What several verdicts on one side come to. Errors of truncates are in ms, without their sign.

    ``wrong`` are the refusals but for those of a cancel that crossed the server's own.
    """

    interruptions: int
    refused: int
    wrong: int
    unheard_ms: int
    unheard_words: int
    errors_ms: tuple[int, ...]

    @property
    def text(self) -> str:
        """Its cells."""
        errors = sorted(self.errors_ms) or [0]
        cuts = quantiles(errors, n=20, method="inclusive") if len(errors) > 1 else errors * 19
        spread = f"{round(cuts[9])} / {round(cuts[18])} / {errors[-1]} ms"
        return f"{self.interruptions} | {self.refused} | {self.unheard_words} ({self.unheard_ms} ms) | {spread}"


def summed(verdicts: Sequence[AuditVerdict]) -> Row:
    """The row of these verdicts."""
    parts = [part for verdict in verdicts for cut in verdict.interruptions for part in cut.parts]
    left = [part for part in parts if part.unheard_ms > TOLERANCE_MS]
    return Row(
        interruptions=sum(len(verdict.interruptions) for verdict in verdicts),
        refused=sum(len(verdict.refused) for verdict in verdicts),
        wrong=sum(each.code != CROSSED for verdict in verdicts for each in verdict.refused),
        unheard_ms=sum(part.unheard_ms for part in left),
        unheard_words=sum(len(part.unheard_words.split()) for part in left),
        errors_ms=tuple(abs(part.error_ms) for part in parts if part.told == "truncate" and part.error_ms is not None),
    )


def main() -> int:
    """Run all sides on all seeds, some beside each other; print the table."""
    parser = argparse.ArgumentParser(description="Programs of other frameworks, with and without rtcore behind them.")
    parser.add_argument(
        "--seeds", default="5", help="comma-separated; each is a schedule of interruptions (default: %(default)s)"
    )
    parser.add_argument(
        "--interruptions", type=int, default=6, help="by the simulated user, for each seed (default: %(default)s)"
    )
    parser.add_argument("--beside", type=int, default=6, help="how many run at once (default: %(default)s)")
    parser.add_argument("--of", default="", metavar="NAME", help="only programs with this in their name")
    options = parser.parse_args()
    sides = [side for side in SIDES if options.of in side.name]
    seeds = [int(seed) for seed in options.seeds.split(",")]
    with ThreadPoolExecutor(options.beside) as pool:
        runs = [[pool.submit(judged, side, seed, options.interruptions) for seed in seeds] for side in sides]
        rows = [summed([run.result() for run in each]) for each in runs]
    print("| program | interruptions | refused | unheard words left | truncates off by (p50 / p95 / max) |")
    print("|---|---|---|---|---|")
    for side, row in zip(sides, rows, strict=True):
        print(f"| {side.name} | {row.text} |")
    mine = [row for side, row in zip(sides, rows, strict=True) if side.behind]
    return int(any(row.wrong or row.unheard_words or row.unheard_ms for row in mine))


if __name__ == "__main__":
    sys.exit(main())
