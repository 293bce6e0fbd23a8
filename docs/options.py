"""Writes the tables of docs/configuration.md from the schema of the options: ``python docs/options.py``. The tests compare."""

import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from rtcore import config

PAGE = Path(__file__).with_name("configuration.md")
MARK = "<!-- from here on written by docs/options.py -->\n"

_NAMES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None", "object": "object"}
_GENERIC = {"JsonValue": "JSON"}
_SOURCES = re.compile(r"\s*\((?:protocol facts [^)]*|DESIGN[^)]*|[FS]\d+)\)")
"""Where a rule comes from: for readers of the source, not of this page."""


def tables() -> str:
    """Every model that ``Config`` and ``ResponseOptions`` lead to, each after the one that first names it."""
    roots = (config.Config, config.ResponseOptions)
    return "\n".join(_section(model, schema) for model, schema in _models(roots))


def _models(roots: tuple[type[BaseModel], ...]) -> Iterator[tuple[type[BaseModel], dict[str, Any]]]:
    seen: set[str] = set()
    for root in roots:
        top = root.model_json_schema()
        found = {**top["$defs"], root.__name__: top}
        waiting = deque([root.__name__])
        while waiting:
            name = waiting.popleft()
            if name in seen or name in _GENERIC:
                continue
            seen.add(name)
            yield getattr(config, name), found[name]
            waiting.extend(_named(found[name].get("properties", {})))


def _named(schema: Any) -> Iterator[str]:
    """The models that a schema refers to, in order."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield _target(schema)
        for key, value in schema.items():
            if key != "discriminator":
                yield from _named(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _named(value)


def _target(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _section(model: type[BaseModel], schema: dict[str, Any]) -> str:
    intro = " ".join((model.__doc__ or "").partition("\n\n")[0].split())
    lines = [f"## {model.__name__}", "", _plain(intro), "", "| option | type | default | |", "|---|---|---|---|"]
    required = schema.get("required", [])
    needed = {name: _sample(schema["properties"][name]) for name in required}
    # Options of the protocol are typed "... | None" because an unset one reads as None; only some may be set to it.
    wire = TypeAdapter(model).validate_python(needed).wire() if hasattr(model, "wire") else None
    for name, option in schema["properties"].items():
        kind, default = _type(option), "required" if name in required else _default(option)
        if wire is not None and default == "`None`":
            default = default if name in wire else "not sent"
            if not _may_be_null(model, name, needed):
                kind = kind.removesuffix(" or `None`")
        meaning = model.model_fields[name].description or ""
        lines.append(f"| `{name}` | {kind} | {default} | {_plain(meaning)} |")
    return "\n".join([*lines, ""])


def _may_be_null(model: type[BaseModel], name: str, needed: dict[str, object]) -> bool:
    try:
        TypeAdapter(model).validate_python({**needed, name: None})
    except ValidationError:
        return False
    return True


def _sample(schema: dict[str, Any]) -> object:
    return schema["enum"][0] if "enum" in schema else {"string": "x", "number": 0.5}[schema["type"]]


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = _target(schema)
        return _GENERIC.get(name) or f"[{name}](#{name.lower()})"
    if "const" in schema:
        return f'`"{schema["const"]}"`' if isinstance(schema["const"], str) else f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f'`"{value}"`' for value in schema["enum"])
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return " or ".join(dict.fromkeys(_type(each) for each in schema[union]))
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"dict of `str` to {_type(schema['additionalProperties'])}"
    if "type" not in schema:
        return "JSON"
    return f"`{_NAMES[schema['type']]}`{_bounds(schema)}"


def _bounds(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" {low:g} to {high:g}"
    return f", at least {low:g}" if low is not None else ""


def _default(schema: dict[str, Any]) -> str:
    value = schema.get("default")
    if isinstance(value, dict) or "default" not in schema:
        return "its own defaults" if "$ref" in schema else "empty"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def _plain(text: str) -> str:
    return _SOURCES.sub("", text).replace("|", "\\|").replace("``", "`")


if __name__ == "__main__":
    written = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(f"{written}{MARK}\n{tables()}", encoding="utf-8")
