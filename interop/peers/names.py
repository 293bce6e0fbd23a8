"""The names of packages' modules, classes, fields, parameters, literals: ``names.py MODULE...`` prints them, one per line."""

import importlib
import inspect
import re
import sys
from typing import Any, ForwardRef, get_args, get_origin


def names(module: Any) -> set[str]:
    """Those of one module, what its classes and functions have included."""
    found: set[str] = set()
    for name, value in list(vars(module).items()):
        found.add(name)
        if inspect.isclass(value):
            found |= _of_class(value)
        elif inspect.isfunction(value):
            found |= set(_parameters(value))
        elif get_origin(value) is not None:
            found |= _literals(value)
    return found


def _of_class(kind: type) -> set[str]:
    found = set(dir(kind)) | set(_parameters(kind))
    for each in kind.__mro__:
        for name, annotation in vars(each).get("__annotations__", {}).items():
            found |= {name, *_literals(annotation)}
        for value in vars(each).values():
            if callable(value):
                found |= set(_parameters(value))
    return found


def _parameters(value: Any) -> list[str]:
    try:
        return list(inspect.signature(value).parameters)
    except (TypeError, ValueError):
        return []


def _literals(kind: Any) -> set[str]:
    # An annotation that nobody has evaluated; a package's own stand-in for something gone may be anything.
    unread = kind if type(kind) is str else getattr(kind, "__forward_arg__", "") if type(kind) is ForwardRef else ""
    found = set(re.findall(r"[\"']([\w.]+)[\"']", unread))
    for each in get_args(kind):
        found |= {each} if isinstance(each, str) else _literals(each)
    return found


if __name__ == "__main__":
    told: set[str] = set()
    for name in sys.argv[1:]:
        told |= names(importlib.import_module(name))
    print("\n".join(sorted(told)))
