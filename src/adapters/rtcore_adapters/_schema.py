"""Arguments held to a JSON schema, and a function held to the schema that the model is told of it.

The schema is checked by the package ``jsonschema`` (the extra ``rtcore[schema]``), which is imported when a tool is made from a
schema and not before. Nothing is ever fetched: a reference that leaves the schema is refused.
"""

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from rtcore_adapters._extras import install

__all__ = ["Misfit", "checked_by"]

_ERRORS = 16
"""Things that are wrong with one call and told at once."""
_SAID = 80
"""Characters of a wrong value, or of a rule, that are repeated."""
_ELSEWHERE = ("$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "not", "dependentSchemas", "patternProperties")
"""Keywords by which a schema may say more of its properties than stands in ``properties``."""


class Misfit(Exception):
    """What is wrong with the arguments of one call, in words for the model."""


def checked_by(
    function: Callable[..., object], schema: Mapping[str, Any], called: str, remedy: str
) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """What takes the arguments of a call, or raises ``Misfit``.

    Raises ``ImportError`` where ``jsonschema`` is missing, ``ValueError`` for a schema that is none or not one of arguments, and
    ``TypeError`` for a function that cannot be called with what the schema lets through; ``remedy`` says how to do without.
    """
    validator = _validator(schema, called, remedy)
    taken, needed = _names(function, schema, called)

    def take(given: Mapping[str, Any]) -> Mapping[str, Any]:
        lines = (line for error in validator.iter_errors(given) for line in _lines(error))
        found = dict.fromkeys(islice(lines, _ERRORS + 1))
        told = {line.partition(": ")[0] for line in found}  # what the schema has said of a name is not said again
        if taken is not None:
            found |= {_other(name, taken): None for name in given if name not in taken and _bare(name) not in told}
        found |= {_missing(name): None for name in needed if name not in given}
        if found:
            raise Misfit("; ".join(islice(found, _ERRORS)) + ("; and more" if len(found) > _ERRORS else ""))
        return given

    return take


def _validator(schema: Mapping[str, Any], called: str, remedy: str) -> Any:
    try:
        from jsonschema.exceptions import SchemaError  # noqa: PLC0415  # an extra
        from jsonschema.validators import Draft202012Validator, validator_for  # noqa: PLC0415  # an extra
        from referencing import Registry  # noqa: PLC0415  # an extra
        from referencing.exceptions import Unresolvable  # noqa: PLC0415  # an extra
    except ImportError:
        told = f"tool {called}: its JSON schema is checked by the package jsonschema, which is missing"
        raise ImportError(f"{told}: {install('schema')}, or {remedy}") from None
    if (kinds := schema.get("type", "object")) != "object" and "object" not in (kinds if isinstance(kinds, list) else ()):
        raise ValueError(f"tool {called}: parameters.type is {_short(kinds)}: arguments are a JSON object, say 'object'")
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
        # A registry of its own, that is empty: without one a reference would be fetched from wherever it leads.
        validator = kind(dict(schema), registry=Registry(), format_checker=kind.FORMAT_CHECKER)
        _resolve(schema, kind)
        validator.is_valid({})
    except SchemaError as error:
        where = "".join(f".{each}" for each in error.absolute_path)
        raise ValueError(f"tool {called}: parameters{where} is no JSON schema: {error.message[: 2 * _SAID]}") from None
    except Unresolvable as error:
        raise ValueError(
            f"tool {called}: parameters refer to what they do not hold, {_short(error.ref)}: put it in $defs"
        ) from None
    except RecursionError:
        raise ValueError(f"tool {called}: parameters refer to themselves without an end") from None
    return validator


def _resolve(schema: Mapping[str, Any], kind: Any) -> None:
    """Raise ``Unresolvable`` for a reference, anywhere in the schema, that leads out of it or to nothing."""
    from referencing import Registry  # noqa: PLC0415  # an extra
    from referencing.jsonschema import DRAFT202012, specification_with  # noqa: PLC0415  # an extra

    specification = specification_with(kind.META_SCHEMA["$schema"], default=DRAFT202012)

    def look(resource: Any, resolver: Any) -> None:
        contents = resource.contents
        if isinstance(contents, Mapping):
            for key in ("$ref", "$dynamicRef"):
                if isinstance(contents.get(key), str):
                    resolver.lookup(contents[key])
        for each in resource.subresources():
            look(each, resolver.in_subresource(each))

    whole = specification.create_resource(schema)
    look(whole, Registry().resolver_with_root(whole))


def _names(function: Callable[..., object], schema: Mapping[str, Any], called: str) -> tuple[frozenset[str] | None, list[str]]:
    """The arguments that the function takes by name, None where it takes any; and those that it does not do without.

    Raises ``TypeError`` where it cannot be called with what the schema tells the model.
    """
    try:
        every = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise TypeError(f"tool {called}: its signature cannot be read: wrap it in a function of your own") from None
    for each in every:
        if each.kind is each.POSITIONAL_ONLY and each.default is each.empty:
            raise TypeError(f"tool {called}: {each} is positional only, and the model names each argument: let it be named")
    named = [each for each in every if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    taken = None if any(each.kind is each.VAR_KEYWORD for each in every) else frozenset(each.name for each in named)
    needed = [each.name for each in named if each.default is each.empty]
    properties = schema.get("properties", {})
    for name in properties:
        if taken is not None and name not in taken:
            raise TypeError(
                f"tool {called}: the schema has {name!r}, which the function does not take: let it, or leave it out there"
            )
    for name in needed:
        if name not in properties and not any(each in schema for each in _ELSEWHERE):
            raise TypeError(f"tool {called}: the function needs {name!r}, which the schema has not: add it, or give it a default")
    return taken, needed


def _lines(error: Any) -> Iterator[str]:
    """What one error of the validator says: where, what is allowed, and what was given."""
    where, rule, given = _path(error.absolute_path), error.validator_value, error.instance
    below = f"{where}." if where else ""
    if error.validator == "required":
        # One error of each name, and only its words say which: all of them each time, and told once.
        yield from (below + _missing(name) for name in rule if name not in given)
    elif error.validator == "additionalProperties" and rule is False:
        known, patterns = error.schema.get("properties", {}), error.schema.get("patternProperties", ())
        for name in given:
            if name not in known and not any(re.search(each, name) for each in patterns):
                yield below + _other(name, known)
    elif error.validator is None:
        yield f"{where or 'arguments'}: nothing is allowed here (given: {_short(given)})"
    else:
        yield f"{where or 'arguments'}: does not fit {error.validator} {_short(rule)} (given: {_short(given)})"


def _other(name: str, known: Iterable[str]) -> str:
    return f"{_bare(name)}: no such argument (there are: {_bare(', '.join(sorted(known)) or 'none')})"


def _missing(name: str) -> str:
    return f"{_bare(name)}: is required"


def _path(path: Iterable[str | int]) -> str:
    return _bare("".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in path).removeprefix("."))


def _short(value: object) -> str:
    return _bare(json.dumps(value, ensure_ascii=False, default=repr))


def _bare(words: str) -> str:
    return words if len(words) <= _SAID else words[:_SAID] + "..."
