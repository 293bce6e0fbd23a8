"""Any server event of the protocol facts, made of its fields' types: what the facts allow, with ids that are in use.

``tests/facts/events.json`` says which fields an event has, of which type, and which must be there. Each type becomes a function
once, so that a campaign of millions can afford it.
"""

import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from helpers.wire import Event

FACTS = json.loads((Path(__file__).resolve().parent.parent / "facts" / "events.json").read_text(encoding="utf-8"))
SERVER: tuple[str, ...] = tuple(FACTS["server"])
"""The types of all server events, of both generations."""
_OBJECTS = {**FACTS["beta_objects"], **FACTS["objects"]}
_DEPTH = 5
"""How deep objects nest; below that an optional one is left out, and another is empty."""
_WORDS = ("", "a", "Hello there.", "é" * 12, "0", "null", "\x00", "One. Two.", "💡", "speech")
_CODES = (
    None, "", "server_error", "invalid_value", "conversation_already_has_active_response", "response_cancel_not_active",
    "item_truncate_invalid_item_id", "item_create_duplicate_item_id", "rate_limit_exceeded", "session_expired", "novel_error",
)  # fmt: skip
_NUMBERS = (0, 1, 2, 9, 100, 480, 4096, 65_536)
_KEPT = 6
_PCM = tuple(b64encode(bytes(range(1, 1 + 2 * count))).decode() for count in (1, 2, 5, 12, 40))


class Ids:
    """The ids that messages of one round name: those that were announced lately, those of our own, and now and then a new one."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._made = 0
        self.known: dict[str, list[str]] = {"response": ["r1"], "item": ["m1"], "call": ["c1"], "event": ["event_x"]}

    def name(self, kind: str) -> str:
        """One of the known ids of a kind ("response", "item", "call", "event"), or a new one."""
        known = self.known[kind]
        if self._random.random() < 0.15:
            self._made += 1
            self.learn(kind, f"{kind}_{self._made}")
        return known[int(self._random.random() * len(known))]

    def learn(self, kind: str, name: str) -> None:
        """An id that was seen; the oldest of its kind is forgotten."""
        known = self.known[kind]
        if name not in known:
            known.append(name)
            del known[:-_KEPT]


Make = Callable[[Random, Ids], Any]

_IDS = {
    "item_id": "item", "previous_item_id": "item", "response_id": "response", "call_id": "call", "event_id": "event",
    "approval_request_id": "item",
}  # fmt: skip


def _field(name: str, spec: dict[str, Any], owner: str, depth: int) -> Make:
    """The maker of one field; ids are known by its name, and sound by that of a delta's event."""
    if name in _IDS:
        kind = _IDS[name]
        return lambda _, ids: ids.name(kind)
    if name == "id":
        kind = "response" if "Response" in owner and "Item" not in owner else "item"
        return lambda _, ids: ids.name(kind)
    if name == "code":
        return lambda random, _: random.choice(_CODES)
    if (name == "delta" and owner.endswith("audio.delta")) or (name in ("audio", "data") and spec.get("type") == "string"):
        return lambda random, _: random.choice(_PCM)
    return _value(spec, depth)


def _value(spec: dict[str, Any], depth: int) -> Make:
    if "const" in spec:
        constant = spec["const"]
        return lambda _, __: constant
    for listed in ("enum", "known_values"):
        if spec.get(listed):
            values = tuple(spec[listed])
            return lambda random, _: random.choice(values)
    match spec.get("type"):
        case "string":
            return lambda random, _: random.choice(_WORDS)
        case "integer":
            return lambda random, _: random.choice(_NUMBERS)
        case "number":
            return lambda random, _: random.random() * 10
        case "boolean":
            return lambda random, _: random.random() < 0.5
        case "array":
            inner = _value(spec["items"], depth + 1) if isinstance(spec.get("items"), dict) else _anything
            return lambda random, ids: [inner(random, ids) for _ in range(int(random.random() * 3))]
        case "map":
            return lambda random, _: {random.choice(_WORDS): random.choice(_WORDS)}
        case "union":
            makers = tuple(_value(each, depth) for each in spec["of"])
            return lambda random, ids: random.choice(makers)(random, ids)
        case "ref" if spec["ref"] in _OBJECTS:
            return _object(spec["ref"], depth + 1)
        case _:
            return _anything


def _anything(random: Random, _: Ids) -> Any:
    return random.choice((None, True, 0, "x", [], {}, {"x": 1}))


_MADE: dict[tuple[str, int], Make] = {}


def _object(name: str, depth: int) -> Make:
    if depth > _DEPTH:
        return lambda _, __: {}
    if (name, depth) not in _MADE:
        _MADE[name, depth] = _fields(_OBJECTS[name]["fields"], name, depth)
    return _MADE[name, depth]


def _fields(facts: dict[str, Any], owner: str, depth: int) -> Make:
    needed: list[tuple[str, Make]] = []
    others: list[tuple[str, Make, bool]] = []
    for name, spec in facts.items():
        made = _field(name, spec, owner, depth)
        if spec.get("required"):
            needed.append((name, made))
        else:
            others.append((name, made, bool(spec.get("optional_or_null"))))
    likely = 0.6 if len(others) < 8 else 0.3

    def make(random: Random, ids: Ids) -> Any:
        value = {name: made(random, ids) for name, made in needed}
        for name, made, null in others:
            drawn = random.random()
            if drawn < likely:
                value[name] = made(random, ids)
            elif null and drawn > 0.9:
                value[name] = None
        return value

    return make


_EVENTS: dict[str, Make] = {name: _fields(FACTS["server"][name]["fields"], name, 0) for name in SERVER}
_RARE = frozenset({"error"} | {name for name in SERVER if name.startswith(("session.", "transcription_session."))})
"""An error may be fatal, and a session changes what all others mean: too many of them and nothing else is seen."""
_COMMON = tuple(name for name in SERVER if name not in _RARE)


def event(random: Random, ids: Ids, kind: str | None = None) -> Event:
    """One event as the facts describe it, of this type or of any."""
    if kind is None:
        kind = random.choice(_COMMON if random.random() < 0.93 else SERVER)
    made: Event = _EVENTS[kind](random, ids)
    made["type"] = kind
    return made
