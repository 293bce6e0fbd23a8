"""What changes a session, and where the one that the server acknowledged is not the one that was asked for (S09).

What counts is what was acknowledged (DESIGN 2), so that a program has to learn of a difference. What was asked for is compared,
name by name; what a server leaves out it says nothing about, and what it adds is its own.
"""

from collections.abc import Iterator, Mapping
from math import isclose
from typing import Any

from rtcore.dialects import audio_format, read_session

_UNSAID = frozenset({"type", "model", "vendor", "tools[].authorization", "tools[].headers"})
"""Not compared: what is no option of a session, a vendor's own, and credentials, which must not show."""
_OFF = frozenset({"audio.input.turn_detection", "audio.input.transcription", "audio.input.noise_reduction", "tracing", "prompt"})
"""Options that null switches off; elsewhere a null says nothing (facts 2.1)."""
_DETECTION = "audio.input.turn_detection."
_DEFAULT_TRUE = frozenset({f"{_DETECTION}interrupt_response", f"{_DETECTION}create_response"})
"""A null of these counts as true (C13)."""


_MERGED = frozenset({"audio", "audio.input", "audio.output"})
"""Objects of which a part can be sent: servers keep the rest."""


def changed(wanted: Mapping[str, Any], acknowledged: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Of these options those that the acknowledged session has not: only they are sent. Both are in GA shape."""
    found: dict[str, Any] = {}
    for name, value in wanted.items():
        given = acknowledged.get(name)
        if f"{path}{name}" == "vendor":
            own = {key: each for key, each in value.items() if changed(read_session({key: each}), acknowledged)}
            if own:
                found[name] = own
        elif f"{path}{name}" in _MERGED and isinstance(value, Mapping) and isinstance(given, Mapping):
            inner = changed(value, given, f"{path}{name}.")
            if inner:
                found[name] = inner
        elif name not in acknowledged or given != value:
            found[name] = value
    return found


def differences(asked: Mapping[str, Any], acknowledged: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Option, what was asked for, and what the server has instead. Both sessions are in GA shape."""
    for name, wanted in asked.items():
        option = f"{path}{name}"
        if name not in acknowledged or option in _UNSAID:
            continue
        given = acknowledged[name]
        if option in _DEFAULT_TRUE:
            given = given is not False
        if given is None and option not in _OFF:
            continue
        if option.endswith(".format"):
            if not _same_format(wanted, given):
                yield option, wanted, given
        elif isinstance(wanted, Mapping) and isinstance(given, Mapping):
            yield from differences(wanted, given, f"{option}.")
        elif not _same(wanted, given, option):
            yield option, _shown(wanted), _shown(given)


def _same_format(wanted: object, given: object) -> bool:
    try:
        return audio_format(wanted) == audio_format(given)
    except ValueError:
        return False  # ends the session anyway


def _same(wanted: object, given: object, option: str) -> bool:
    if isinstance(wanted, list) and isinstance(given, list):
        pairs = zip(wanted, given, strict=False)
        return len(wanted) == len(given) and all(_same_member(a, b, option) for a, b in pairs)
    if isinstance(wanted, str) and isinstance(given, Mapping):
        return wanted in given.values()  # a voice by its name, where the server has an object of it
    if isinstance(wanted, Mapping) and isinstance(given, str):
        return given in wanted.values()
    if isinstance(wanted, str) and isinstance(given, str):
        return wanted.strip() == given.strip()
    if _is_number(wanted) and _is_number(given):
        return isclose(float(str(wanted)), float(str(given)), rel_tol=1e-6)  # 0.8 comes back as 0.800000011920929
    return wanted == given


def _same_member(wanted: object, given: object, option: str) -> bool:
    if isinstance(wanted, Mapping) and isinstance(given, Mapping):
        return not any(differences(wanted, given, f"{option}[]."))
    return wanted == given


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: object) -> object:
    """A list of tools by their names: they are long, and may hold credentials."""
    if isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        return [each.get("name") or each.get("server_label") for each in value if isinstance(each, Mapping)]
    return value
