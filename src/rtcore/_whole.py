"""Objects of a session that a server takes as a whole: what an update leaves out of one is lost, or filled with defaults.

An absent key of a session means unchanged (facts 2.1), but that holds for the session's own keys and the sides of ``audio``. A
turn detection is filled with other values than the server's defaults (F122), a transcription without its model is off. So a part
of such an object is sent with the rest of what it is.
"""

from collections.abc import Mapping
from typing import Any

from rtcore._errors import LocalProtocolError
from rtcore._sayable import at
from rtcore._vendor import TYPES
from rtcore.dialects import FLAT_NAMES, Dialect

Fields = Mapping[str, tuple[str, ...]]
"""The fields of an object, by its kind; "" where it has no kinds."""

OBJECTS = frozenset(
    {
        "format",
        "turn_detection",
        "transcription",
        "noise_reduction",
        "voice",
        "tool_choice",
        "tracing",
        "prompt",
        "truncation",
        "reasoning",
        "input_audio_transcription",
        "input_audio_noise_reduction",
    }
)
"""Their names, also a vendor's: of two updates the later one's counts, as it stands."""

_OF_ANY_MODEL = ("language", "prompt")
"""Of a transcription: what another model of it has, too."""

_NAMED_BY = {"turn_detection": "type", "noise_reduction": "type", "transcription": "model"}
"""What says which one it is, of those that a vendor can have of its own."""


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """What was asked for so far: an update merges, key by key, but for objects that are taken whole (facts 2.1, F122)."""
    result = dict(old)
    for key, value in new.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict) and key not in OBJECTS
        result[key] = merged(result[key], value) if both else value
    return result


def followed(asked: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The same, where an option and a vendor's key can mean the same: what was said later takes the other's place."""
    result = merged(asked, new)
    said = new.get("vendor") or {}
    if "vendor" in result:
        own = (result["vendor"] or {}).items()
        result["vendor"] = {key: value for key, value in own if key in said or not _names(new, FLAT_NAMES.get(key, ""))}
    for key in said:
        result = _without(result, FLAT_NAMES[key].split(".")) if key in FLAT_NAMES else result
    return result


def _names(tree: Mapping[str, Any], path: str) -> bool:
    *outer, last = path.split(".")
    inner = at(tree, *outer)
    return isinstance(inner, Mapping) and last in inner


def _without(tree: dict[str, Any], names: list[str]) -> dict[str, Any]:
    if len(names) == 1 or not isinstance(tree.get(names[0]), dict):
        return {key: value for key, value in tree.items() if key != names[0] or len(names) > 1}
    return {**tree, names[0]: _without(tree[names[0]], names[1:])}


def completed(
    changes: Mapping[str, object], present: Mapping[str, Any], objects: Mapping[str, Fields], table: Dialect | None
) -> tuple[dict[str, object], set[tuple[str, ...]]]:
    """The changes, each part of an object filled from the ``present`` session, in GA shape, and the paths of what was filled in.

    ``objects`` are the paths of those that can be filled, with their fields. Left out is what the dialect has no word for.
    Raises ``LocalProtocolError`` for a part of what only the vendor can say: the rest of it would be lost.
    """
    result: dict[str, object] = dict(changes)
    filled: set[tuple[str, ...]] = set()
    for path, fields in objects.items():
        names = path.split(".")
        new, old = at(result, *names), at(present, *names)
        if not isinstance(new, Mapping):
            continue
        _check_whole(path, new, old, present)
        kept = _kept(names[-1], new, old if isinstance(old, Mapping) else {}, fields)
        if table is not None:
            whole = {**kept, **new}
            kept = {key: value for key, value in kept.items() if key in new or _says(table, names, whole, key, fields)}
        if names[-1] == "turn_detection":
            kept = {"type": "server_vad", **kept}
        filled |= {(*names, key) for key in kept.keys() - new.keys()}
        result = _put(result, names, {**kept, **new})
    return result, filled


def _check_whole(path: str, new: Mapping[str, Any], old: object, present: Mapping[str, Any]) -> None:
    """Raise ``LocalProtocolError`` for a part of something that the options cannot say all of."""
    name = path.rpartition(".")[2]
    by = _NAMED_BY.get(name)
    if by is None or by in new:
        return
    vendor = present.get("vendor") or {}
    own = next((value for key, value in vendor.items() if FLAT_NAMES.get(key) == path), None)
    if own is None:
        own = old if path in TYPES and at(old, "type") is not None and at(old, "type") not in TYPES[path] else None
    if own is not None:
        raise LocalProtocolError(
            f"session.{path}: the session's has {by} {(at(old, by) or at(own, by))!r} and is the vendor's own, of which a part "
            f"cannot be changed; set a whole one, with its {by}, or session.vendor"
        )


def _kept(name: str, new: Mapping[str, Any], old: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """Of what the object is, what stays where only ``new`` is said of it."""
    if name == "format" and "type" in new:
        return {}  # a format says all of itself; PCM that names no rate has the usual one
    typed = "" not in fields
    if typed and new.get("type", old.get("type")) != old.get("type"):
        return {}
    if name == "prompt" and new.get("id", old.get("id")) != old.get("id"):
        return {}
    known = fields.get(str(old.get("type")) if typed else "", ())
    if name == "transcription" and new.get("model", old.get("model")) != old.get("model"):
        known = _OF_ANY_MODEL
    kept = {key: value for key, value in old.items() if key in known and value is not None}
    if new.get("interrupt_response") is False:
        kept.pop("create_response", None)  # the one implies the other
    return kept


def _says(table: Dialect, names: list[str], whole: Mapping[str, Any], key: str, fields: Fields) -> bool:
    """Whether the dialect has a word for this field of the object."""
    alone = {each: whole[each] for each in ("type", key) if each in whole and (each == key or "" not in fields)}
    try:
        table.render_session(_put({}, names, alone))
    except LocalProtocolError:
        return False
    return True


def _put(tree: Mapping[str, Any], names: list[str], value: object) -> dict[str, Any]:
    """The tree with the value at this place."""
    if len(names) > 1:
        inner = tree.get(names[0])
        value = _put(inner if isinstance(inner, Mapping) else {}, names[1:], value)
    return {**tree, names[0]: value}
