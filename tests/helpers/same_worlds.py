"""The same world in two dialects, and what of it differs: nothing may, where their capabilities are the same.

The worlds are drawn as any others are, with whatever faults, function calls, transcripts, jitter and stalls. Both servers number
their events apart, so that every id is the same; what is left out would differ by design: noise, which is drawn for each event,
a reader that is slow by bytes, and what is said with the names of a dialect (``phase``, which only GA has, and the raw tap).

    cd tests && python -m helpers.same_worlds --seeds 300
"""

import argparse
from typing import Any

from msgspec import structs

from rtcore import Notice, ProtocolWarning, RawEvent, UserTranscript
from rtcore.dialects import DIALECTS, Capabilities
from rtcore.sim._in_dialect import in_dialect
from rtcore.sim._server_dialects import DialectName
from rtcore.sim.scenario import Scenario, _laid_over, scenario_of
from rtcore.sim.world import World
from rtcore_adapters.voices import load_voices

_FITTED = {
    "turn_detection",
    "input_formats",
    "output_formats",
    "out_of_band",
    "server_obeys",
    "second_session",
    "session_s",
    "reasoning",
    "images",
    "detects_unasked",
}
"""What a world is fitted to, or what nothing in it asks for."""

_OF_THE_DIALECT = {
    "server: preview dialect",
    "server: reordered output_item.done",
    "words: the phase of a message",
    "network: split",
    "network: merge",
}
"""Situations that count names, or bytes and events on the wire (``conversation.item.done`` is not everywhere)."""
_STALLS = 4


def alike(name: str) -> list[DialectName]:
    """The dialects whose servers can do what this one's can, as far as it decides anything."""

    def decisive(able: Capabilities) -> dict[str, Any]:
        return {field: value for field, value in structs.asdict(able).items() if field not in _FITTED}

    wanted = decisive(DIALECTS[name].capabilities)
    return [other for other, table in DIALECTS.items() if other != name and decisive(table.capabilities) == wanted]  # type: ignore[misc]


class Lived(World):
    """One world that has been lived through, and every notice that the program was told."""

    def __init__(self, seed: int, scenario: Scenario) -> None:
        self.notices: list[Notice] = []
        super().__init__(seed, load_voices(), scenario=scenario)
        self.result = self.run()

    def _notice(self, notice: Notice) -> None:
        self.notices.append(notice)
        super()._notice(notice)

    def seen(self) -> dict[str, Any]:
        """The core's states as a program sees them, what it was told, what sounded, and what the world counted."""
        session = self.session
        return {
            "violations": self.result.violations,
            "notices": [_plain(notice) for notice in self.notices if not isinstance(notice, RawEvent)],
            "state": session.state,
            "history": [_plain(item) for item in session.history],
            "segments": session.segments,
            "counters": session.counters,
            "usage": session.usage,
            "playout": self.speaker.spans,
            "calls": [(item.call_id, item.type, item.output) for item in self.server.items.values() if item.call_id is not None],
            "server": [
                (item.id, item.role, item.deleted, [(part.sent_samples, part.truncations) for part in item.parts])
                for item in self.server.items.values()
            ],
            "situations": {name: count for name, count in self.result.situations.items() if name not in _OF_THE_DIALECT},
        }


def _plain(notice: Any) -> Any:
    if isinstance(notice, ProtocolWarning):
        return structs.replace(notice, detail=notice.detail.partition("; connection.dialect is ")[0])
    return structs.replace(notice, phase=None) if hasattr(notice, "phase") else notice


def common(scenario: Scenario, name: DialectName) -> Scenario:
    """The world as both this dialect and GA can have it."""
    fitted = in_dialect(scenario, name)
    if fitted.words.tap == "all":
        fitted = structs.replace(fitted, words=structs.replace(fitted.words, tap="off"))
    server = structs.replace(
        fitted.server, dialect=name, numbered_apart=True, duplicate_per_mille=0, unknown_per_mille=0, malformed_per_mille=0
    )
    line = fitted.stream
    # Every line jitters and stalls, also those that were drawn without.
    stream = structs.replace(
        line, slow_reader_kib=0, jitter_ms=line.jitter_ms or 15, stall_per_mille=line.stall_per_mille or _STALLS
    )
    if not DIALECTS[name].capabilities.out_of_band:
        fitted = structs.replace(fitted, slow_ms=None)  # a wait is bridged beside the conversation
    if fitted.microphone and fitted.detection == "server_vad":
        # The beta waits for less silence by itself.
        listening = {"turn_detection": {"silence_duration_ms": 300}}
        fitted = structs.replace(fitted, core=_laid_over({"session": {"audio": {"input": listening}}}, fitted.core))
    return structs.replace(fitted, server=server, stream=stream, stale_per_mille=0)


class Pairs:
    """Lives worlds in GA once, however many dialects are held against it."""

    def __init__(self, interruptions: int) -> None:
        self.situations: dict[str, int] = {}
        self.worlds = 0
        self._interruptions = interruptions
        self._lived: tuple[int, list[tuple[Scenario, dict[str, Any]]]] = (-1, [])

    def differences(self, seed: int, name: DialectName) -> list[str]:
        """What of this world is not as in GA; that an invariant broke in either is a difference."""
        drawn = structs.replace(scenario_of(seed), interruptions=self._interruptions)
        scenario = common(drawn, name)
        other = Lived(seed, scenario)
        self.worlds += 1
        seen, reference = other.seen(), self._reference(seed, scenario)
        different = [what for what, value in reference.items() if seen[what] != value]
        if seen["violations"]:
            different.append(str(seen["violations"][0]))
        told = {
            "tool outputs": sum(item.type == "function_call_output" for item in other.server.items.values()),
            "transcripts": sum(isinstance(notice, UserTranscript) for notice in other.notices),
        }
        for situation, count in (other.result.situations | told).items():
            self.situations[situation] = self.situations.get(situation, 0) + count
        return different

    def _reference(self, seed: int, scenario: Scenario) -> dict[str, Any]:
        if self._lived[0] != seed:
            self._lived = (seed, [])
        scenario = structs.replace(scenario, server=structs.replace(scenario.server, dialect="openai"))
        for known, seen in self._lived[1]:
            if known == scenario:
                return seen
        seen = Lived(seed, scenario).seen()
        self._lived[1].append((scenario, seen))
        return seen


def main() -> int:
    """Hold every dialect that can do what GA can against it, world by world."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first world's seed")
    parser.add_argument("--seeds", type=int, default=300, help="how many of them")
    parser.add_argument("--interruptions", type=int, default=6, help="interruptions in each world")
    options = parser.parse_args()
    pairs, names, broken = Pairs(options.interruptions), alike("openai"), 0
    for seed in range(options.seed, options.seed + options.seeds):
        for name in names:
            different = pairs.differences(seed, name)
            if different:
                broken += 1
                print(f"world {seed} in {name}: {', '.join(different)}", flush=True)
    print(f"{options.seeds} seeds, {pairs.worlds} worlds in {len(names)} dialects against openai: {broken} differ")
    for situation in ("tool outputs", "transcripts", "network: jitter", "network: stall"):
        print(f"  {situation}: {pairs.situations.get(situation, 0):,}")
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
