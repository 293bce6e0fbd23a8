"""What a dialect cannot say, told with the option's name, its value, what is allowed, and which dialects can say it.

A dialect's table refuses by the path of the option alone (``rtcore.dialects``): it knows neither what was given nor the others.
"""

from collections.abc import Callable, Mapping
from typing import Any

from rtcore._errors import LocalProtocolError
from rtcore._vendor import check_names
from rtcore.dialects import DIALECTS, Dialect

_SHORT = 80
_Render = Callable[[Dialect, dict[str, Any]], object]


def shortened(value: object) -> str:
    """A value as an error shows it."""
    text = repr(value)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}..."


def at(value: object, *path: str) -> object:
    """What stands at this path of nested mappings; None where nothing does."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def check_sayable(table: Dialect, options: Mapping[str, Any]) -> None:
    """Raise ``LocalProtocolError`` for options of a session that the dialect cannot say, with the value, and who can."""
    _check(table, dict(options), "session", lambda other, said: other.render_session({"type": "realtime", **said}))
    check_vendor(table, options)


def check_response(table: Dialect, options: Mapping[str, Any]) -> None:
    """The same for options of one response."""
    _check(table, dict(options), "response", lambda other, said: other.render_response(said))


def check_vendor(table: Dialect, options: Mapping[str, Any]) -> None:
    """Raise ``LocalProtocolError`` where a name in ``vendor`` is an option's, or stands for what one says: one would be lost."""
    own = options.get("vendor") or {}
    check_names(own, table.own_forms)
    said = table.render_session({name: value for name, value in options.items() if name != "vendor"})
    for name in sorted(own.keys() & said.keys()):
        raise LocalProtocolError(f"vendor.{name}: another option says {name!r} of the {table.name} dialect already; say it once")


def _check(table: Dialect, options: dict[str, Any], root: str, render: _Render) -> None:
    try:
        if root == "session":
            table.render_session(options)
        else:
            table.render_response(options)
    except LocalProtocolError as fault:
        named, _, said = str(fault).partition(": ")
        path = named.partition(" = ")[0]
        value = at(options, *path.split("."))
        if value is None or path.startswith(("tools", "vendor", "input")):  # a list, or what may hold credentials
            raise LocalProtocolError(f"{root}.{fault}") from None
        alone = _alone(options, path)
        able = [name for name, other in DIALECTS.items() if other is not table and _renders(render, other, alone)]
        others = f"; {', '.join(able)} can" if able else ""
        raise LocalProtocolError(f"{root}.{path} = {shortened(value)}: {said}{others}") from None


def _alone(options: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Of the options only the object that the path leads into, whole: a rate says nothing without its format's type."""
    names = path.split(".")
    names = names[:3] if names[0] == "audio" else names[:1]
    alone = at(options, *names)
    for name in reversed(names):
        alone = {name: alone}
    assert isinstance(alone, dict)
    kind = {"type": options["type"]} if "type" in options else {}
    return {**kind, **alone}


def _renders(render: _Render, table: Dialect, options: dict[str, Any]) -> bool:
    try:
        render(table, options)
    except LocalProtocolError:
        return False
    return True
