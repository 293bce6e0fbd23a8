"""Faults of the simulated server by their names in the catalogue (``rtcore.sim.FAULTS``), put upon a script."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from rtcore.sim.server import MessagePlan, PartPlan, ResponsePlan, Rules, ServerOptions

_OFTEN = 120  # per mille of the events, where each event draws
_ALWAYS = 1000

_PLANS: Mapping[str, Mapping[str, Any]] = {
    "bursts": {"burst": 8},
    "late deltas": {"stragglers": 4},
    "interleaved items": {"interleaving": "announced"},
    "failed response": {"ends": "failed", "detail": "server_error"},
    "incomplete response": {"ends": "incomplete", "detail": "max_output_tokens"},
    "filtered response": {"ends": "incomplete", "detail": "content_filter"},
    "odd bytes": {"ragged": True, "delta_ms": (60, 140)},
    "reordered output_item.done": {"closing": "reversed"},
    "missing response.created": {"created": False},
    "missing response.done": {"ended": False},
    "slow to begin": {"think_s": 11.0},
    "slow cancel": {"stragglers": None},
    "overlapping responses": {"beside_ms": 300},
    "error behind its response": {"ends": "failed", "detail": "server_error", "error_ms": 200},
}
_MESSAGES: Mapping[str, Mapping[str, Any]] = {"late announcement": {"announced_ms": 400}}
_PARTS: Mapping[str, Mapping[str, Any]] = {
    "empty audio": {"sound": "none"},
    "fewer samples than announced": {"lost_ms": 200},
}
_OPTIONS: Mapping[str, Mapping[str, int]] = {
    "duplicate event": {"duplicate_per_mille": _OFTEN},
    "unknown event": {"unknown_per_mille": _OFTEN},
    "malformed event": {"malformed_per_mille": _OFTEN},
    "slow cancel": {"linger_per_mille": _ALWAYS},
    "slot held by nothing": {"phantom_per_mille": _ALWAYS},
    "overlapping responses": {"overlap_per_mille": _ALWAYS},
}
_RULES: Mapping[str, Mapping[str, Any]] = {
    "odd bytes": {"whole_samples": False},
    "error without event_id": {"error_event_id": "never"},
    "cascade before speech_started": {"cascade": "before_speech_started"},
}
KNOWN: tuple[str, ...] = tuple(sorted({*_PLANS, *_MESSAGES, *_PARTS, *_OPTIONS, *_RULES}))
"""Those that a script can have."""


def checked(names: Iterable[str]) -> frozenset[str]:
    """The names without their group. ``ValueError`` for one that a script cannot have."""
    found = [name.removeprefix("server: ") for name in names]
    if unknown := [name for name in found if name not in KNOWN]:
        raise ValueError(f"faults: {', '.join(map(repr, unknown))} cannot be scripted; there are {', '.join(KNOWN)}")
    return frozenset(found)


def hurt(plan: ResponsePlan, faults: frozenset[str]) -> ResponsePlan:
    """An answer's plan with these faults."""
    changes = _of(_PLANS, faults)
    output = tuple(_message(out, faults) if isinstance(out, MessagePlan) else out for out in plan.output)
    return replace(plan, output=output, **changes)


def _message(message: MessagePlan, faults: frozenset[str]) -> MessagePlan:
    def part(one: PartPlan) -> PartPlan:
        changes: dict[str, Any] = _of(_PARTS, faults) if one.kind == "audio" else {}
        if "lost_ms" in changes:
            changes["lost_ms"] = min(changes["lost_ms"], one.audio_ms // 2)
        return replace(one, **changes)

    return replace(message, parts=tuple(map(part, message.parts)), **_of(_MESSAGES, faults))


def options(base: ServerOptions, faults: frozenset[str]) -> ServerOptions:
    """A server's options with these faults. What the facts leave open is at its likeliest."""
    rules = Rules(**{"error_event_id": "always", **_of(_RULES, faults)})
    return replace(base, rules=rules, **_of(_OPTIONS, faults))


def _of(table: Mapping[str, Mapping[str, Any]], faults: frozenset[str]) -> dict[str, Any]:
    return {key: value for name in sorted(faults) if name in table for key, value in table[name].items()}
