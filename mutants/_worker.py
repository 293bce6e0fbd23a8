"""Runs worlds in a process of its own, around whatever ``rtcore`` its path names; started by ``mutants.hunt``.

Reads an order from standard input, writes one JSON object per line: first what the plain conversation gave, then one per world.
It ends at the first world that broke an invariant, unless it is told to go on.
"""

import json
import re
import sys
from pathlib import Path

import rtcore
from rtcore.sim import NetworkOptions, Scenario, ServerOptions, SpeakerOptions, World, synthetic_voices
from rtcore.sim._server_plan import CallPlan, ResponsePlan, Rules, spoken
from rtcore.sim.campaign import policy_world
from rtcore.sim.policy import Policy
from rtcore.sim.results import WorldResult

VOICES = synthetic_voices(1)
_EXCEPTION = re.compile(r"\w*(Error|Exception|Warning|Interrupt|StopIteration)\b")

PLAIN = Scenario(
    interruptions=5,
    kinds=(("after all was heard", 1),),
    tools=True,
    tool_ms=(300, 300),
    # A demo shows no words beside the sound, so what is wrong with them alone does not show in it.
    core={"playout": {"heard_text_ms": None}},
    stream=NetworkOptions(latency_ms=30, jitter_ms=0),
    speaker=SpeakerOptions(drift_ppm=0, stale_per_mille=0, late_per_mille=0, slow_per_mille=0, missing_per_mille=0),
    server=ServerOptions(
        rules=Rules(),
        script=(
            spoken(2000),
            ResponsePlan((CallPlan("look_up", '{"query":"the weather"}'),)),
            spoken(1500),
            spoken(2500, 1200),
            spoken(1000),
            spoken(1800),
            spoken(1600),
        ),
        text_per_mille=0,
        two_parts_per_mille=0,
        call_per_mille=0,
        incomplete_per_mille=0,
        failed_per_mille=0,
        transcription_failed_per_mille=0,
    ),
)
"""A conversation as a demo shows it: turns of the user, each heard to its end, one function call, two messages in one response;
nobody interrupts, nothing goes wrong."""


def main() -> None:
    """Carry out one order."""
    order = json.load(sys.stdin)
    # The path decides what is judged; an installed rtcore must not stand in for the copy.
    if Path(rtcore.__file__).resolve().parent.parent != Path(order["sources"]).resolve():
        raise SystemExit(f"the copy is not what is imported: {rtcore.__file__}")
    result = World(order["plain_seed"], scenario=PLAIN).run()
    told = _judge(result)
    if told is None and result.turns_unanswered:
        told = {"invariant": 15, "exception": False, "text": f"{result.turns_unanswered} turns got no answer"}
    if told is None and result.interruptions < PLAIN.interruptions:
        told = {"invariant": 15, "exception": False, "text": f"only {result.interruptions} turns came about"}
    _say({"plain": told, "cuts": result.cuts})
    if told is not None:
        return
    for seed in order["seeds"]:
        told = _judge(policy_world(seed, VOICES, Policy()).run())
        _say({"seed": seed, "broken": told})
        if told is not None and not order["all"]:
            return


def _judge(result: WorldResult) -> dict[str, object] | None:
    """The first broken invariant, and whether it is only an exception that the world survived."""
    if not result.violations:
        return None
    first = result.violations[0]
    exception = first.invariant == 15 and _EXCEPTION.match(first.text) is not None
    return {"invariant": first.invariant, "exception": exception, "text": first.text}


def _say(what: dict[str, object]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
