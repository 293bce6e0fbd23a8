"""Compares rtcore's vocabulary with the models of the installed ``openai`` package, and prints what differs. For development.

    make drift

Runs where both can be imported (``PYTHONPATH=src``). Exit code 1 where the package knows an event or a field that rtcore neither
reads nor leaves out on purpose: then the protocol has moved, and tests/facts/events.json wants an update first.
"""

import sys
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import openai
from openai.types import realtime
from pydantic import BaseModel

from rtcore import _tap, _wire, config
from rtcore._wire_other import UNREAD

_SERVER = {str(kind.__struct_config__.tag): kind for kind in get_args(_wire.ServerEvent)}
_CLIENT = {str(kind.__struct_config__.tag): kind for kind in get_args(_wire.ClientEvent)}
_OPTIONS: dict[tuple[str, str], tuple[str, type[BaseModel]]] = {
    ("session.update", "session"): ("session", config.SessionOptions),
    ("response.create", "response"): ("response", config.ResponseOptions),
}
_ELSEWHERE = {"session.model": "connection.model"}


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation leads to, through unions, lists and ``Annotated``."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from models(get_args(annotation)[0])
    elif origin in (Union, UnionType, list):
        for each in get_args(annotation):
            yield from models(each)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation


def tag(model: type[BaseModel]) -> str:
    """The type that the event names."""
    annotation = model.model_fields["type"].annotation
    return str(get_args(annotation)[0]) if get_origin(annotation) is Literal else ""


def fields(found: list[type[BaseModel]]) -> dict[str, list[type[BaseModel]]]:
    """Every field of some models, with the models below it. A field has the name that it has on the wire."""
    result: dict[str, list[type[BaseModel]]] = {}
    for model in found:
        for name, field in model.model_fields.items():
            result.setdefault(field.alias or name, []).extend(models(field.annotation))
    return result


def drift() -> Iterator[str]:
    """What the package has and rtcore has not, and the other way round for events."""
    theirs = {tag(model): model for model in models(realtime.RealtimeServerEvent)}
    for name, model in sorted(theirs.items()):
        if name not in _SERVER:
            yield f"server event {name}: not known here"
        else:
            yield from _server(name, fields([model]), _SERVER[name], "", (name, "*"))
    yield from (
        f"- server event {name}: only here (preview, or told by recordings)" for name in sorted(set(_SERVER) - set(theirs))
    )
    ours = {tag(model): model for model in models(realtime.RealtimeClientEvent)}
    for name, model in sorted(ours.items()):
        kind = _CLIENT.get(name)
        if kind is None:
            yield f"client event {name}: cannot be sent from here"
            continue
        for field, below in fields([model]).items():
            if (name, field) in _OPTIONS:
                path, options = _OPTIONS[name, field]
                yield from _client(path, fields(below), options)
            elif field not in (*kind.__struct_fields__, "type", "event_id"):
                yield f"client event {name}: field {field} is not written"
    yield from (f"- client event {name}: only here (preview)" for name in sorted(set(_CLIENT) - set(ours)))


def _server(name: str, theirs: dict[str, Any], kind: type, path: str, rows: tuple[str, ...]) -> Iterator[str]:
    objects = _tap._nested(kind)
    for field, below in theirs.items():
        if field not in (*kind.__struct_fields__, "type") and not any(field in UNREAD.get(row, ()) for row in rows):
            yield f"server event {name}: field {path}{field} is neither read nor left out on purpose"
        elif field in objects:
            inner = objects[field]
            yield from _server(name, fields(below), inner, f"{path}{field}.", (_tap._OBJECTS[inner],))


def _client(path: str, theirs: dict[str, Any], options: type[BaseModel]) -> Iterator[str]:
    for field, below in theirs.items():
        here = f"{path}.{field}"
        known = options.model_fields.get(field)
        if known is None:
            if here not in _ELSEWHERE:
                yield f"option {here}: not known here"
            continue
        inner = [*models(known.annotation)]
        if below and inner and not _open(known.annotation):
            for name in fields(below):
                if not any(name in each.model_fields for each in inner):
                    yield f"option {here}.{name}: not known here"
            for each in inner:
                same = [model for model in below if model.__name__.startswith(("Realtime", each.__name__)) and len(inner) == 1]
                if same:
                    yield from _client(here, {k: v for k, v in fields(same).items() if k in each.model_fields}, each)


def _open(annotation: Any) -> bool:
    return get_origin(annotation) is dict or any(_open(each) for each in get_args(annotation))


if __name__ == "__main__":
    found = [*drift()]
    print(f"openai {openai.__version__}: {len(_SERVER)} server events and {len(_CLIENT)} client events here")
    print("\n".join(found) or "no drift")
    sys.exit(any(not line.startswith("-") for line in found))
