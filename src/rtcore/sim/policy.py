"""A policy: a few named settings that a campaign holds fixed, while everything else is as each seed draws it.

Two policies over the same seeds are a fair comparison: the same people interrupt the same answers. A policy is written as
``context=exact,lead_ms=200,network.latency_ms=150,server.rate_percent=[100,120]`` and is plain data::

    parse_policy("network=noisy,speaker.report_ms=200").applied(scenario_of(7))

Three groups of keys: settings of the world (``context``, ``interruption``, ``lead_ms``, ``tool_ms`` ...), of one of its parts
(``network.``, ``speaker.``, ``server.``), and options of the core's configuration (``answer_turns``, ``playout.``,
``microphone.``, ``timeouts.``). ``faults=none`` takes every fault out of a world first, ``network`` alone takes a whole line by
its name next, and single settings come last.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct, structs

from rtcore.config import Config, Microphone, Playout, Timeouts
from rtcore.sim._hearing_world import guarded, half_duplex
from rtcore.sim._in_dialect import in_dialect
from rtcore.sim.network import NetworkOptions
from rtcore.sim.scenario import Scenario
from rtcore.sim.server import ServerOptions
from rtcore.sim.speaker import SpeakerOptions

Value = bool | int | str | tuple[int, ...] | None
"""What a setting may be."""

NETWORKS: dict[str, NetworkOptions] = {
    "clean": NetworkOptions(latency_ms=20, jitter_ms=0),
    "noisy": NetworkOptions(latency_ms=150, jitter_ms=60, burst_ms=60, stall_per_mille=20, stall_ms=(200, 1500)),
}
"""Whole lines by name: a good wire, and a bad mobile connection (losses stall it for up to 1.5 s)."""

_PARTS: dict[str, tuple[str, type[Struct]]] = {
    "network": ("stream", NetworkOptions),
    "speaker": ("speaker", SpeakerOptions),
    "server": ("server", ServerOptions),
}
_None, _Union = type(None), type(int | None)
_Section = type[Playout] | type[Microphone] | type[Timeouts] | type[Config]
_SECTIONS: dict[str, _Section] = {"playout": Playout, "microphone": Microphone, "timeouts": Timeouts}
_CORE: tuple[str, ...] = ("answer_turns", "stale_context", "coalesce")
_DEPENDENT = frozenset({"detection", "microphone", "core", "loss", "loss_at_ms", "hang_up_turn", "hang_up_ms"})
"""Settings of a world that a seed draws together with others."""
_UNSETTLED = frozenset({"server.log", "server.model"})
"""What changes nothing that a campaign measures."""
_BELOW_ZERO = frozenset({"speaker.drift_ppm"})
_ABOVE_ZERO = frozenset(
    {"interruptions", "speaker.block_ms", "speaker.report_ms", "server.audio_ms", "server.delta_ms", "server.rate_percent"}
)
_LONGEST = 4_000  # characters of a policy: it comes from a command line or a file


class PolicyError(ValueError):
    """A policy that cannot be: the text names the key and what is allowed."""


class Policy(Struct, frozen=True):
    """Settings by key, in the order of the keys; none: everything as the seeds draw it. ``parse_policy`` makes one."""

    changes: tuple[tuple[str, Value], ...] = ()

    def __str__(self) -> str:
        """As ``parse_policy`` reads it; equal policies have equal texts."""
        return ",".join(f"{key}={_written(value)}" for key, value in self.changes)

    @property
    def name(self) -> str:
        """For a table: its text, or that it changes nothing."""
        return str(self) or "as drawn"

    def applied(self, scenario: Scenario) -> Scenario:
        """The same world with these settings."""
        own: dict[str, Any] = {}
        parts: dict[str, dict[str, Any]] = {}
        core: dict[str, Any] = dict(scenario.core)
        named: NetworkOptions | None = None
        for key, value in self.changes:
            group, _, name = key.partition(".")
            if key == "faults":
                for fault in scenario.faults if value is None else ():
                    scenario = scenario.without(fault)
            elif key == "network":
                named = NETWORKS[str(value)]
            elif group in _PARTS:
                parts.setdefault(group, {})[name] = value
            elif group in _SECTIONS:
                core[group] = {**core.get(group, {}), name: value}
            elif key in _CORE:
                core[key] = value
            else:
                own[key] = value
        if own.get("interruption") == "pause" and scenario.server.call is not None:
            del own["interruption"]  # on a call the server holds the sound: nothing can be paused here
        if own.get("interruption") in ("ignore", "pause"):
            # A server that cut by itself would contradict it (rtcore.config).
            own |= {"server_interrupts": False, "server_creates": False}
        if named is not None:
            own["stream"] = named
        for group, changes in parts.items():
            field = _PARTS[group][0]
            own[field] = structs.replace(own.get(field, getattr(scenario, field)), **changes)
        quiet, guard_ms = own.get("interruption") == "half_duplex", own.get("guard_ms")
        for key in ("interruption",) * quiet + ("guard_ms",) * bool(guard_ms):
            del own[key]  # these change more than themselves, where they fit
        changed = structs.replace(scenario, **own, core=core)
        if quiet:
            changed = half_duplex(changed)
        elif guard_ms:
            changed = guarded(changed, guard_ms)
        if changed.echo_ms and not _withstands_echo(changed):
            changed = structs.replace(changed, echo_ms=0)  # a model that hears itself would talk to itself without end
        # Named or not: a world of the wrong dialect would show what the configuration refuses, and nothing else.
        redrawn = quiet or guard_ms or "dialect" in parts.get("server", {})
        return in_dialect(changed, changed.server.dialect) if redrawn else changed


def _withstands_echo(scenario: Scenario) -> bool:
    """Whether its session does something against the echo of its loudspeaker."""
    guarded = bool(scenario.guard_ms) and scenario.interruption in ("cut", "pause")
    return guarded or scenario.interruption == "half_duplex"


def parse_policy(text: str) -> Policy:
    """Read ``key=value,key=value``; empty for a policy that changes nothing.

    Values: whole numbers, ``true``, ``false``, ``none``, names, ``[least,most]``. Raises ``PolicyError`` naming the key and what
    is allowed.
    """
    if len(text) > _LONGEST:
        raise PolicyError(f"a policy of {len(text)} characters; at most {_LONGEST}")
    found: dict[str, Value] = {}
    allowed = keys()
    for piece in _pieces(text):
        key, equals, written = piece.partition("=")
        key = key.strip()
        if not equals or not key:
            raise PolicyError(f"{piece!r} is not key=value")
        if key not in allowed:
            raise PolicyError(f"unknown key {key[:40]!r}; {_overview(key)}")
        if key in found:
            raise PolicyError(f"{key} is given twice")
        found[key] = _checked(key, _read(written.strip()), allowed[key])
    policy = Policy(tuple(sorted(found.items())))
    _check_core(policy)
    return policy


def keys() -> dict[str, Any]:
    """Every key that a policy may set, with the type of its values."""
    return dict(_keys())


@cache
def _keys() -> dict[str, Any]:
    simple = {name: kind for name, kind in get_type_hints(Scenario).items() if name not in _DEPENDENT and _simple(kind)}
    found: dict[str, Any] = {**simple, "faults": Literal["drawn"] | None, "network": Literal[tuple(NETWORKS)]}
    for group, (_, part) in _PARTS.items():
        found |= {f"{group}.{name}": kind for name, kind in get_type_hints(part).items() if _simple(kind)}
        found = {key: kind for key, kind in found.items() if key not in _UNSETTLED}
    found |= {name: _core_type(Config, name) for name in _CORE}
    for group, section in _SECTIONS.items():
        found |= {f"{group}.{name}": _core_type(section, name) for name in section.model_fields}
    del found["playout.lead_ms"], found["playout.hold_ms"]  # the world's own are the same, and known to every part of it
    return dict(sorted(found.items()))


def allowed_values(key: str) -> str:
    """What a key takes, in words."""
    return _words(keys()[key])


# -- reading ------------------------------------------------------------------------------------------------------------------


def _pieces(text: str) -> Iterator[str]:
    """Between commas outside brackets."""
    for piece in re.split(r",(?![^\[\]]*\])", text):
        if piece.strip():
            yield piece.strip()


def _read(written: str) -> object:
    if written == "none":
        return None
    if written.startswith("["):
        try:
            value = json.loads(written)
        except ValueError:
            return written
        return tuple(value)
    if written in ("true", "false"):
        return written == "true"
    return int(written) if re.fullmatch(r"-?\d{1,12}", written) else written


def _written(value: Value) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"[{','.join(map(str, value))}]" if isinstance(value, tuple) else str(value)


def _checked(key: str, value: object, kind: Any) -> Value:
    wrong = PolicyError(f"{key}={_written(cast(Value, value))}: {_words(kind)} is allowed")
    try:
        found: Value = msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError:
        raise wrong from None
    numbers = found if isinstance(found, tuple) else (found,)
    for one in numbers:
        if isinstance(one, int) and not isinstance(one, bool):
            least = 1 if key in _ABOVE_ZERO else 0
            if one < least and key not in _BELOW_ZERO:
                raise PolicyError(f"{key}={_written(found)}: at least {least}")
            if key.endswith("_per_mille") and one > 1000:
                raise PolicyError(f"{key}={_written(found)}: at most 1000")
    if isinstance(found, tuple) and not key.endswith("_weights") and list(found) != sorted(found):
        raise PolicyError(f"{key}={_written(found)}: [least,most]")
    if key == "server.message_weights" and not any(cast(tuple[int, ...], found)):
        raise PolicyError(f"{key}={_written(found)}: one of them at least must be above 0")
    return found


def _check_core(policy: Policy) -> None:
    """The core's configuration has the last word about its own options."""
    try:
        policy.applied(Scenario()).config()
    except ValueError as fault:
        # pydantic's own error is one; its type is rtcore.config's affair.
        line = cast(Any, fault).errors(include_url=False, include_context=False)[0]
        path = ".".join(str(step) for step in line["loc"])
        key = path.removeprefix("playout.") if path in ("playout.lead_ms", "playout.hold_ms") else path
        raise PolicyError(f"{key}={line['input']}: {line['msg']}") from None


# -- types --------------------------------------------------------------------------------------------------------------------


def _simple(kind: Any) -> bool:
    """One of the types of ``Value``."""
    origin = get_origin(kind)
    if origin is Literal:
        return True
    if origin in (Union, _Union):
        return all(map(_simple, get_args(kind)))
    if origin is tuple:
        return all(each is int or each is Ellipsis for each in get_args(kind))
    return kind in (bool, int, str, _None)


def _core_type(model: _Section, name: str) -> Any:
    """The plain type of a configuration's option: pydantic checks its range."""
    kind = get_type_hints(model)[name]
    return kind if _simple(kind) else type(model.model_fields[name].default)


def _words(kind: Any) -> str:
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Literal:
        return f"one of {', '.join(map(str, inside))}" if len(inside) > 1 else str(inside[0])
    if origin in (Union, _Union):
        return " or ".join(_words(each) for each in inside)
    if origin is tuple:
        return f"[{','.join('number' for _ in inside)}]" if Ellipsis not in inside else "[number,...]"
    names: Mapping[Any, str] = {bool: "true or false", int: "a whole number", str: "a name", _None: "none"}
    return names[kind]


def _overview(key: str) -> str:
    """The keys of the group that was meant, or all that stand alone and the names of the groups."""
    group, dot, _ = key.partition(".")
    inside = [each for each in _keys() if dot and each.startswith(f"{group}.")]
    plain = [each for each in _keys() if "." not in each]
    groups = sorted({each.partition(".")[0] for each in _keys() if "." in each})
    if inside:
        return f"there are {', '.join(inside)}"
    return f"there are {', '.join(plain)}, and those of {', '.join(f'{each}.' for each in groups)}"
