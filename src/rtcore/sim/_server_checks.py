"""The words in which the tables of ``_server_schema`` are written: small checks of one value, and the faults they find.

Every check looks at a decoded JSON value and the path that names it and gives the first fault or None. An object's faults have
a fixed order: a missing field, an unknown field, then each field's value in the order in which it was sent.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Fault(NamedTuple):
    """Why a client event is refused: the protocol's ``code``, the ``param`` it names, and the text."""

    code: str | None
    param: str | None
    message: str
    type: str = "invalid_request_error"
    injected: bool = False


Check = Callable[[Any, str], Fault | None]
"""Looks at a value and the path that names it; gives its first fault."""


# -- values -----------------------------------------------------------------------------------------------------------------


def kind_of(value: object) -> str:
    """What the server calls a value of this kind: ``a string``, ``null``."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a decimal number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"


def wrong(path: str, expected: str, value: object) -> Fault:
    """The refusal of a value of the wrong kind."""
    message = f"Invalid type for '{path}': expected {expected}, but got {kind_of(value)} instead."
    return Fault("invalid_type", path, message)


def _outside(code: str, path: str, what: str, expected: str) -> Fault:
    return Fault(code, path, f"Invalid '{path}': {what}. Expected {expected} instead.")


def listed(values: tuple[str, ...]) -> str:
    """The values as the server lists them: ``'a', 'b', and 'c'``."""
    quoted = [f"'{value}'" for value in values]
    match quoted:
        case [only]:
            return only
        case [first, second]:
            return f"{first} and {second}"
        case _:
            return ", ".join(quoted[:-1]) + f", and {quoted[-1]}"


def invalid_value(path: str, value: object, values: tuple[str, ...]) -> Fault:
    """The refusal of a value outside a closed list."""
    return Fault("invalid_value", path, f"Invalid value: '{value}'. Supported values are: {listed(values)}.")


def text(maximum: int = 1 << 20, *, minimum: int = 0) -> Check:
    """A string of ``minimum`` to ``maximum`` characters."""

    def check(value: Any, path: str) -> Fault | None:
        if not isinstance(value, str):
            return wrong(path, "a string", value)
        if len(value) > maximum:
            expected = f"a string with maximum length {maximum}, but got a string with length {len(value)}"
            return _outside("string_above_max_length", path, "string too long", expected)
        if len(value) < minimum:
            expected = f"a string with minimum length {minimum}, but got an empty string"
            return _outside("empty_string", path, "empty string", expected)
        return None

    return check


def one_of(*values: str) -> Check:
    """A string of a closed list."""

    def check(value: Any, path: str) -> Fault | None:
        if not isinstance(value, str):
            return wrong(path, "a string", value)
        return None if value in values else invalid_value(path, value, values)

    return check


def whole(low: int, high: int = 1 << 53) -> Check:
    """An integer in [low, high]. A decimal number is refused even where its value is whole (F011)."""

    def check(value: Any, path: str) -> Fault | None:
        if not isinstance(value, int) or isinstance(value, bool):
            return wrong(path, "an integer", value)
        if value < low:
            return _outside("integer_below_min_value", path, "integer below minimum value", f"a value >= {low}, but got {value}")
        if value > high:
            return _outside("integer_above_max_value", path, "integer above maximum value", f"a value <= {high}, but got {value}")
        return None

    return check


def number(low: float, high: float) -> Check:
    """A number in [low, high]."""

    def check(value: Any, path: str) -> Fault | None:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return wrong(path, "a decimal number", value)
        if value < low:
            return _outside("decimal_below_min_value", path, "decimal below minimum value", f"a value >= {low}, but got {value}")
        if value > high:
            return _outside("decimal_above_max_value", path, "decimal above maximum value", f"a value <= {high}, but got {value}")
        return None

    return check


def flag(value: Any, path: str) -> Fault | None:
    """True or false."""
    return None if isinstance(value, bool) else wrong(path, "a boolean", value)


def anything(value: Any, path: str) -> Fault | None:
    """Whatever JSON can say."""
    return None


def mapping(value: Any, path: str) -> Fault | None:
    """An object with any keys."""
    return None if isinstance(value, dict) else wrong(path, "an object", value)


def pairs(value: Any, path: str) -> Fault | None:
    """``metadata``: at most 16 pairs of strings, keys up to 64 characters, values up to 512 (protocol facts, 2.7)."""
    if not isinstance(value, dict):
        return wrong(path, "an object", value)
    if len(value) > 16:
        expected = f"an object with at most 16 properties, but got an object with {len(value)} properties"
        return _outside("object_above_max_properties", path, "too many properties", expected)
    for key, held in value.items():
        if len(key) > 64:
            expected = f"a name with maximum length 64, but got a name with length {len(key)}"
            return _outside("property_name_above_max_length", path, "property name too long", expected)
        if fault := text(512)(held, f"{path}.{key}"):
            return fault
    return None


def maybe(check: Check) -> Check:
    """Null, or what ``check`` takes."""

    def nullable(value: Any, path: str) -> Fault | None:
        return None if value is None else check(value, path)

    return nullable


def listing(check: Check) -> Check:
    """An array of what ``check`` takes."""

    def array(value: Any, path: str) -> Fault | None:
        if not isinstance(value, list):
            return wrong(path, "an array", value)
        for index, held in enumerate(value):
            if fault := check(held, f"{path}[{index}]"):
                return fault
        return None

    return array


def shape(fields: Mapping[str, Check], *required: str) -> Check:
    """An object with these fields and no others."""

    def check(value: Any, path: str) -> Fault | None:
        if not isinstance(value, dict):
            return wrong(path, "an object", value)
        stem = f"{path}." if path else ""
        for key in required:
            if key not in value:
                return missing(f"{stem}{key}")
        for key in value:
            if key not in fields:
                return Fault("unknown_parameter", f"{stem}{key}", f"Unknown parameter: '{stem}{key}'.")
        for key, held in value.items():
            if fault := fields[key](held, f"{stem}{key}"):
                return fault
        return None

    return check


def missing(path: str) -> Fault:
    """The refusal of an absent field."""
    return Fault("missing_required_parameter", path, f"Missing required parameter: '{path}'.")


def tagged(key: str, options: Mapping[str, Check], default: str | None = None) -> Check:
    """An object whose ``key`` says which of ``options`` it must be."""

    def check(value: Any, path: str) -> Fault | None:
        if not isinstance(value, dict):
            return wrong(path, "an object", value)
        stem = f"{path}." if path else ""
        tag = value.get(key, default)
        if tag is None and key not in value:
            return missing(f"{stem}{key}")
        if not isinstance(tag, str):
            return wrong(f"{stem}{key}", "a string", tag)
        if tag not in options:
            return invalid_value(f"{stem}{key}", tag, tuple(options))
        return options[tag](value, path)

    return check


def either(word: Check, thing: Check, *, kinds: tuple[type, ...] = (str,)) -> Check:
    """``word`` where the value is of ``kinds``, ``thing`` otherwise."""

    def check(value: Any, path: str) -> Fault | None:
        return word(value, path) if isinstance(value, kinds) else thing(value, path)

    return check
