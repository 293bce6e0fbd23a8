"""Which option stands for which fault: how a scenario tells what can go wrong in it, and how one fault is taken out of it.

A fault is present where the first of its switches is away from ``off``: above ``beyond`` in size where it is a number, equal to
``on`` where that is said, otherwise just different. Faults that are kinds of interruption are present where one of those kinds
can come up.
"""

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from msgspec import Struct, structs

from rtcore.sim._kinds import KINDS
from rtcore.sim._server_plan import Rules
from rtcore.sim.faults import NAMES
from rtcore.sim.speaker import LARGE_BUFFER_MS

if TYPE_CHECKING:
    from rtcore.sim.scenario import Scenario

_S = TypeVar("_S", bound=Struct)
_Section = Literal["scenario", "stream", "speaker", "server", "rules", "words"]


class Switch(NamedTuple):
    """One option of one part, and its value where the fault does not exist."""

    section: _Section
    option: str
    off: Any = 0
    beyond: int = 0
    on: Any = None

    def is_on(self, value: Any) -> bool:
        """Whether this value lets the fault happen."""
        if self.on is not None:
            return bool(value == self.on)
        if type(value) is int and type(self.off) is int:
            return abs(value) > self.beyond
        return bool(value != self.off)


SWITCHES: dict[str, tuple[Switch, ...]] = {
    "network: latency": (Switch("stream", "latency_ms", 0, 19),),
    "network: jitter": (Switch("stream", "jitter_ms"),),
    "network: stall": (Switch("stream", "stall_per_mille"),),
    "network: split": (Switch("stream", "stream", False),),
    "network: merge": (Switch("stream", "burst_ms"),),
    "network: cut mid-frame": (Switch("scenario", "loss", None, on="cut mid-frame"),),
    "network: half-open": (Switch("scenario", "loss", None, on="half-open"),),
    "network: slow reader": (Switch("stream", "slow_reader_kib"),),
    "server: bursts": (Switch("server", "burst_per_mille"),),
    "server: late deltas": (Switch("server", "stragglers", (0, 0)),),
    "server: interleaved items": (Switch("server", "interleave_per_mille"),),
    "server: overlapping responses": (Switch("server", "overlap_per_mille"),),
    "server: failed response": (Switch("server", "failed_per_mille"),),
    "server: incomplete response": (Switch("server", "incomplete_per_mille"),),
    "server: filtered response": (Switch("server", "incomplete_per_mille"),),
    "server: text-only answer": (Switch("server", "text_per_mille"),),
    "server: empty audio": (Switch("server", "empty_audio_per_mille"),),
    "server: odd bytes": (Switch("rules", "whole_samples", True),),
    "server: fewer samples than announced": (Switch("server", "short_audio_per_mille"),),
    "server: two audio parts": (Switch("server", "two_parts_per_mille"),),
    "server: duplicate event": (Switch("server", "duplicate_per_mille"),),
    "server: unknown event": (Switch("server", "unknown_per_mille"),),
    "server: malformed event": (Switch("server", "malformed_per_mille"),),
    "server: error without event_id": (Switch("rules", "error_event_id", "always"),),
    "server: rejection": (Switch("server", "reject_per_mille"),),
    "server: slot held by nothing": (Switch("server", "phantom_per_mille"),),
    "server: slow to begin": (Switch("server", "slow_per_mille"),),
    "server: error behind its response": (Switch("server", "late_error_per_mille"),),
    "server: late announcement": (Switch("server", "late_announcement_per_mille"),),
    "server: slow cancel": (Switch("server", "linger_per_mille"),),
    "server: reordered output_item.done": (Switch("server", "reorder_per_mille"),),
    "server: missing response.created": (Switch("server", "no_created_per_mille"),),
    "server: missing response.done": (Switch("server", "no_done_per_mille"),),
    "server: cascade before speech_started": (Switch("rules", "cascade", "after_speech_started"),),
    "server: several function calls": (Switch("scenario", "tools", False),),
    "server: session end": (Switch("scenario", "loss", None, on="session end"),),
    "server: sounds by itself": (Switch("server", "call", None),),
    "server: remote tools": (Switch("words", "remote_tools", False), Switch("server", "remote_per_mille")),
    "server: idle time-out": (Switch("words", "idle_ms", None),),
    "server: only transcribes": (Switch("words", "listens", False),),
    "user: presses keys": (Switch("words", "keys_per_mille"),),
    "program: raw event": (Switch("words", "raw_per_mille"),),
    "program: image": (Switch("words", "images_per_mille"),),
    "program: input of its own": (Switch("words", "own_input", False),),
    "program: logprobs": (Switch("words", "logprobs", False),),
    "program: stored prompt": (Switch("words", "prompt", False),),
    "program: tap": (Switch("words", "tap", "off"),),
    "server: preview dialect": (Switch("server", "dialect", "openai"),),
    "speaker: large buffer": (Switch("speaker", "buffer_ms", 40, LARGE_BUFFER_MS),),
    "speaker: drift": (Switch("speaker", "drift_ppm", 0, 49),),
    "speaker: underrun": (Switch("server", "stall_per_mille"), Switch("server", "rate_percent", (150, 1500))),
    "speaker: slow answer": (Switch("speaker", "slow_per_mille"),),
    "speaker: late answer": (Switch("speaker", "late_per_mille"),),
    "speaker: missing answer": (Switch("speaker", "missing_per_mille"),),
    "speaker: duplicate answer": (Switch("speaker", "duplicate_per_mille"),),
    "speaker: stale report": (Switch("speaker", "stale_per_mille"),),
    "speaker: counted padding": (Switch("speaker", "padding_per_mille"),),
    "speaker: falls silent": (Switch("speaker", "silent_per_mille"),),
    "speaker: wrong answer": (Switch("speaker", "wrong_per_mille"),),
    "speaker: marks only": (Switch("speaker", "marks_ms"),),
    "speaker: no reports": (Switch("speaker", "reports", "all"),),
    "speaker: echo": (Switch("scenario", "echo_ms"),),
    "program: told of silence": (Switch("scenario", "idle_ms", None),),
    "program: half duplex": (Switch("scenario", "interruption", "cut", on="half_duplex"),),
    "program: echo guard": (Switch("scenario", "guard_ms"),),
    "speaker: device lost": (Switch("scenario", "device_lost_per_mille"),),
    "speaker: late pause": (Switch("speaker", "late_pause_ms", (0, 0)),),
    "speaker: no pause": (Switch("speaker", "pause", True),),
    "user: typed text while the model speaks": (Switch("scenario", "typed_per_mille"),),
    "user: hang-up": (Switch("scenario", "hang_up_turn", None),),
    "program: slow tools": (Switch("scenario", "tool_late_per_mille"),),
    "program: failing tools": (Switch("scenario", "tool_error_per_mille"),),
    "program: answer to a dead call": (Switch("scenario", "dead_calls_per_mille"),),
    "program: update in mid-response": (Switch("scenario", "updates_per_mille"),),
    "program: stops listening": (Switch("scenario", "away_per_mille"),),
    "program: out-of-band response": (Switch("scenario", "asides_per_mille"),),
    "program: history edits": (Switch("scenario", "edits_per_mille"),),
    "program: pauses": (Switch("scenario", "pauses_per_mille"),),
    "program: history synchronised": (Switch("scenario", "syncs_per_mille"),),
    "user: own recogniser": (Switch("scenario", "recogniser", False),),
    "program: words for a wait": (Switch("scenario", "slow_ms", None),),
    "user: button": (Switch("scenario", "button", False),),
    "program: own voice": (Switch("scenario", "says_per_mille"),),
    "program: tools given up": (Switch("scenario", "tool_cancel_per_mille"),),
    "program: mute": (Switch("scenario", "mutes_per_mille"),),
    "program: guardrail": (Switch("scenario", "hold_ms"), Switch("scenario", "blocks_per_mille")),
}
"""The options behind each fault."""


def present(scenario: "Scenario") -> tuple[str, ...]:
    """The faults that can happen in it, in the order of the catalogue."""
    turns = scenario.turns
    kinds = {turn.kind for turn in turns} if turns is not None else {kind for kind, weight in scenario.kinds if weight}
    found = {row.fault for row in KINDS if row.kind in kinds}
    for name, switches in SWITCHES.items():
        first = switches[0]
        part = _part(scenario, first.section)
        if part is not None and first.is_on(getattr(part, first.option)):
            found.add(name)
    return tuple(name for name in NAMES if name in found)


def without(scenario: "Scenario", fault: str) -> "Scenario":
    """The same scenario, in which this fault cannot happen; what else was drawn stays. Raises KeyError for an unknown name."""
    kinds = {row.kind for row in KINDS if row.fault == fault}
    if not kinds and fault not in SWITCHES:
        raise KeyError(fault)
    turns = scenario.turns
    if turns is not None:
        turns = tuple(turn for turn in turns if turn.kind not in kinds)
    left = tuple((kind, weight) for kind, weight in scenario.kinds if kind not in kinds)
    scenario = structs.replace(scenario, turns=turns, kinds=left)
    for switch in SWITCHES.get(fault, ()):
        part = _part(scenario, switch.section)
        if part is None or (switch.on is not None and not switch.is_on(getattr(part, switch.option))):
            continue
        scenario = _with(scenario, switch.section, {switch.option: switch.off})
    return scenario


def _part(scenario: "Scenario", section: _Section) -> Struct | None:
    match section:
        case "scenario":
            return scenario
        case "stream":
            return scenario.stream
        case "speaker":
            return scenario.speaker
        case "server":
            return scenario.server
        case "rules":
            return scenario.server.rules
        case "words":
            return scenario.words


def _with(scenario: "Scenario", section: _Section, changes: dict[str, Any]) -> "Scenario":
    match section:
        case "scenario":
            return _changed(scenario, changes)
        case "stream":
            return structs.replace(scenario, stream=_changed(scenario.stream, changes))
        case "speaker":
            return structs.replace(scenario, speaker=_changed(scenario.speaker, changes))
        case "server":
            return structs.replace(scenario, server=_changed(scenario.server, changes))
        case "words":
            return structs.replace(scenario, words=_changed(scenario.words, changes))
        case "rules":
            rules = _changed(scenario.server.rules or Rules(), changes)
            return structs.replace(scenario, server=structs.replace(scenario.server, rules=rules))


def _changed(part: _S, changes: dict[str, Any]) -> _S:
    return structs.replace(part, **changes)
