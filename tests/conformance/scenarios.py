"""Scenarios as one reads them: the ``trace`` blocks of the documentation, and the files in ``scenarios/`` in the same format.

A line that begins with a time is an input (a server event, a clock's report, a command, a frame of the user's voice, the line's
end), an indented one what comes out. What stands there is what the bare core gives; a scenario then is a play for every adapter.
``python -m conformance.scenarios`` in tests/ writes the answers of the files anew.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from test_docs_traces import PAGES, TRACE, replayed

from conformance.plays import Script, Step
from conformance.worlds import WrittenDown
from rtcore import Clock, Config, Disconnection
from rtcore.config import Reconnect
from rtcore_adapters._link import Closed, disconnection

FILES = Path(__file__).parent / "scenarios"
_LAST_S = 0.1
"""How long after its last input a scenario that does not end by itself is closed."""


class Scenario(NamedTuple):
    """A name, and the text."""

    name: str
    text: str


def files() -> Iterator[Scenario]:
    """Those of this suite."""
    for path in sorted(FILES.glob("*.trace")):
        yield Scenario(path.stem, path.read_text(encoding="utf-8"))


def documented() -> Iterator[Scenario]:
    """Those of the documentation."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in TRACE.finditer(text):
            yield Scenario(f"{page.name}:{text.count(chr(10), 0, found.start()) + 1}", found[0])


def script(scenario: Scenario) -> Script:
    """The scenario as a play. Commands that it expects to be refused are refused there, too."""
    made: list[tuple[WrittenDown, Config, Clock]] = []

    def make(config: Config, *, clock: Clock) -> WrittenDown:
        # A play has one line; what comes after a lost one is test_continuity's.
        config = config.model_copy(update={"reconnect": Reconnect(attempts=0)})
        made.append((WrittenDown(config, clock=clock, seed=0), config, clock))
        return made[0][0]

    replayed(scenario.text, make)
    [(session, config, clock)] = made
    steps = [_in_the_links_words(step) for step in session.steps]
    if steps[-1].do not in ("close", "disconnected"):
        steps.append(Step(steps[-1].at + _LAST_S, "close"))
    return Script(scenario.name, config, clock, 0, steps)


def _in_the_links_words(step: Step) -> Step:
    if step.do != "disconnected":
        return step
    number, cause = step.args
    assert isinstance(cause, Disconnection) and cause.close_code is not None
    return Step(step.at, step.do, (number, disconnection(Closed(cause.close_code, cause.reason))))


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]) if sys.argv[1:] else FILES.glob("*.trace"):
        path.write_text(replayed(path.read_text(encoding="utf-8")), encoding="utf-8")
