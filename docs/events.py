"""Writes docs/events.md, every event and field of the protocol facts and what becomes of it: ``python docs/events.py``.

``--count`` prints the coverage alone. What is handled is read from the code: the Structs that the decoder makes, the table of
handlers, the notices that their functions make, the options' models, and ``UNREAD``, the fields left out on purpose with reasons.
The facts are tests/facts/events.json. A test compares the page, and fails where an event or a field is neither handled nor has a
reason.
"""

import ast
import inspect
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from rtcore import Notice, Session, _routing, _tap, _wire, config
from rtcore._wire_other import UNREAD

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "events.md"
MARK = "<!-- from here on written by docs/events.py -->\n"
FACTS = json.loads((ROOT / "tests" / "facts" / "events.json").read_text(encoding="utf-8"))
_NOTICES = {kind.__name__ for kind in Notice.__subclasses__()}
_OBJECTS = {**FACTS["beta_objects"], **FACTS["objects"]}
_DEPTH = 3


class Field(NamedTuple):
    """One field of the facts: its path, and how it is handled ("" where it is not), or the reason why not."""

    path: str
    handled: str
    reason: str = ""


# -- the facts -----------------------------------------------------------------------------------------------------------------


def fields_of(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The fields of the objects that a type of the facts leads to; a union has those of all its members."""
    found: dict[str, dict[str, Any]] = {}
    for name in _refs(spec):
        for field, inner in _OBJECTS[name]["fields"].items():
            found[field] = {"type": "union", "of": [found[field], inner]} if field in found else inner
    return found


def _refs(spec: dict[str, Any]) -> list[str]:
    match spec.get("type"):
        case "ref":
            return [spec["ref"]] if spec["ref"] in _OBJECTS else []
        case "union":
            return [name for each in spec["of"] for name in _refs(each)]
        case "array" if isinstance(spec.get("items"), dict):
            return _refs(spec["items"])
        case _:
            return []


def _size(spec: dict[str, Any], seen: tuple[str, ...] = ()) -> int:
    """How many fields stand below a field."""
    names = [name for name in _refs(spec) if name not in seen]
    inner = fields_of({"type": "union", "of": [{"type": "ref", "ref": name} for name in names]})
    return sum(1 + _size(each, (*seen, *names)) for each in inner.values())


# -- what the server sends -----------------------------------------------------------------------------------------------------

_EVENTS = {str(kind.__struct_config__.tag): kind for kind in get_args(_wire.ServerEvent)}
_READ_AS = {("response", "output"): _wire.ItemBody}
"""Fields without a type of their own that are read by a function: ``output_items``."""


def server_fields(name: str) -> list[Field]:
    """What becomes of each field of a server event."""
    kind = _EVENTS.get(name)
    facts = FACTS["server"][name]["fields"]
    if kind is None:
        return [Field(path, "") for path in facts]
    return [*_compare(facts, kind, "", (name, "*"), ())]


def _compare(facts: dict[str, Any], kind: type, path: str, rows: tuple[str, ...], seen: tuple[type, ...]) -> Iterator[Field]:
    hints = get_type_hints(kind)
    for name, spec in facts.items():
        here = f"{path}{name}"
        reason = next((UNREAD[row][name] for row in rows if name in UNREAD.get(row, {})), "")
        if name == "type" and not path:
            yield Field(here, "names the event")
        elif name in hints:
            below = _tap._struct(hints[name]) or _READ_AS.get((rows[0], name))
            if below is not None and below not in seen:
                yield Field(here, "read")
                yield from _compare(fields_of(spec), below, f"{here}.", (_tap._OBJECTS[below],), (*seen, kind))
            else:
                size = _size(spec) if below is None else 0
                yield Field(here, f"whole, with {size} fields" if size else "read")
        else:
            yield Field(here, "", reason)


# -- who handles it ------------------------------------------------------------------------------------------------------------


def handlers() -> dict[str, Any]:
    """The function of each server event."""
    session = Session()
    return {str(kind.__struct_config__.tag): function for kind, function in _routing.handlers(session._core).items()}


def _tree(function: Any) -> ast.AST:
    source = inspect.getsource(function)
    indent = len(source) - len(source.lstrip())
    return ast.parse("\n".join(line[indent:] for line in source.splitlines()).rstrip().rstrip(","))


def notices(function: Any, depth: int = _DEPTH) -> set[str]:
    """The notices that a function makes, itself or through methods of its own class."""
    found: set[str] = set()
    owner = getattr(function, "__self__", None)
    for node in ast.walk(_tree(function)):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in _NOTICES:
            found.add(node.func.id)
        elif isinstance(node.func, ast.Attribute) and depth and owner is not None:
            called = ast.unparse(node.func)
            target = _method(owner, called)
            if target is not None:
                found |= notices(target, depth - 1)
    return found


def _method(owner: Any, called: str) -> Any:
    steps = called.split(".")
    if steps[0] == "core":
        steps = ["self", "_core", *steps[1:]]
    if steps[0] != "self" or (steps[1:2] == ["_core"] and len(steps) == 4 and steps[2] not in ("lifecycle", "remote", "speech")):
        return None
    target = owner
    for step in steps[1:]:
        target = getattr(target, step, None)
    return target if isinstance(target, types.MethodType) and target.__module__.startswith("rtcore") else None


def _where(function: Any) -> str:
    module = function.__module__.removeprefix("rtcore.")
    return (
        f"`{module}.{function.__qualname__.replace('.<locals>', '')}`"
        if "<lambda>" not in function.__qualname__
        else f"`{module}`"
    )


# -- what the client sends -----------------------------------------------------------------------------------------------------

_CLIENT = {str(kind.__struct_config__.tag): kind for kind in get_args(_wire.ClientEvent)}
_MODELS: dict[tuple[str, str], type[BaseModel]] = {
    ("session.update", "session"): config.SessionOptions,
    ("transcription_session.update", "session"): config.SessionOptions,
    ("response.create", "response"): config.ResponseOptions,
}
_FLAT = {
    "input_audio_format": "audio.input.format",
    "input_audio_noise_reduction": "audio.input.noise_reduction",
    "input_audio_transcription": "audio.input.transcription",
    "turn_detection": "audio.input.turn_detection",
}
"""Names of the preview, which the dialect writes from the GA options."""
_NOT_OURS = {
    "session.model": "fixed by the address (facts 2.4); dialects that want it here get it from connection.model",
    "session.client_secret": "of the helpers that make secrets, not of a running session",
    "session.modalities": "a transcription session has no answers",
}


def client_fields(name: str) -> list[Field]:
    """How each field of a client event is written."""
    kind = _CLIENT.get(name)
    found = []
    for field, spec in FACTS["client"][name]["fields"].items():
        if kind is None:
            found.append(Field(field, ""))
        elif field == "type":
            found.append(Field(field, "names the event"))
        elif (name, field) in _MODELS:
            found.append(Field(field, "options"))
            found += _options(fields_of(spec), _MODELS[name, field], f"{field}.")
        elif field in kind.__struct_fields__:
            size = _size(spec)
            found.append(Field(field, f"as given, with {size} fields" if size else "written"))
        else:
            found.append(Field(field, "", _UNSENT.get((name, field), "")))
    return found


_UNSENT = {("input_audio_buffer.append", "event_id"): "an append has no answer that could name it (facts 5.9)"}


def _options(facts: dict[str, Any], model: type[BaseModel], path: str) -> Iterator[Field]:
    for name, spec in facts.items():
        here = f"{path}{name}"
        option = _FLAT.get(name, name) if name not in model.model_fields else name
        if "." in option:
            yield Field(here, f"as `{option}`")
            continue
        known = model.model_fields.get(option)
        if known is None:
            yield Field(here, "", _NOT_OURS.get(here, ""))
            continue
        models = [*_models(known.annotation)]
        inner = fields_of(spec)
        if models and inner:
            yield Field(here, "option")
            names = {name for each in models for name in each.model_fields}
            whole = _takes_any(known.annotation)
            for field, below in inner.items():
                holders = [each for each in models if field in each.model_fields]
                if field in names and holders:
                    yield from _options({field: below}, holders[0], f"{here}.")
                else:
                    yield Field(f"{here}.{field}", "as given" if whole else "", _NOT_OURS.get(f"{here}.{field}", ""))
        else:
            size = _size(spec)
            yield Field(here, f"as given, with {size} fields" if size else "option")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _models(each)


def _takes_any(annotation: Any) -> bool:
    return get_origin(annotation) is dict or any(_takes_any(each) for each in get_args(annotation))


# -- the page ------------------------------------------------------------------------------------------------------------------


class Coverage(NamedTuple):
    """Events and fields: how many are known, handled, and left out with a reason; and what is neither."""

    events: int
    events_handled: int
    fields: int
    fields_handled: int
    fields_left: int
    missing: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.events_handled} of {self.events} events, {self.fields_handled} of {self.fields} fields, "
            f"{self.fields_left} left out with a reason, {len(self.missing)} missing"
        )


def coverage(side: str) -> Coverage:
    """The coverage of "server" or "client". A field that is passed on whole counts with those below it."""
    table = {name: server_fields(name) if side == "server" else client_fields(name) for name in FACTS[side]}
    known = _EVENTS if side == "server" else _CLIENT
    every = [(name, field) for name, fields in table.items() for field in fields]
    handled = sum(_count(field) for _, field in every if field.handled)
    left = sum(1 for _, field in every if not field.handled and field.reason)
    missing = tuple(f"{name}: {field.path}" for name, field in every if not field.handled and not field.reason)
    events = sum(name in known for name in table)
    return Coverage(len(table), events, handled + left + len(missing), handled, left, missing)


def _count(field: Field) -> int:
    words = field.handled.split(" with ")
    return 1 + (int(words[1].split()[0]) if len(words) > 1 else 0)


def page() -> str:
    """What stands behind the mark."""
    lines = [
        f"Server events: {coverage('server')}.",
        f"Client events: {coverage('client')}.",
        "",
        "## What the server sends",
        "",
        "| event | where | what it does | notices |",
        "|---|---|---|---|",
    ]
    table = handlers()
    for name in FACTS["server"]:
        function = table.get(name)
        if function is None:
            lines.append(f"| `{name}` | nowhere | | |")
            continue
        what = (inspect.getdoc(function) or "").partition("\n\n")[0].replace("\n", " ")
        told = ", ".join(f"[{each}](notices.md#{each.lower()})" for each in sorted(notices(function)))
        lines.append(f"| `{name}` | {_where(function)} | {_plain(what)} | {told} |")
    lines += ["", "## What the client sends", "", "| event | sent by |", "|---|---|"]
    lines += [f"| `{name}` | `{_tap._INSTEAD.get(name, 'nobody')}` |" for name in FACTS["client"]]
    for side, title in (("server", "Fields of server events"), ("client", "Fields of client events")):
        lines += ["", f"## {title}", "", "| event | read or written | left out |", "|---|---|---|"]
        for name in FACTS[side]:
            fields = server_fields(name) if side == "server" else client_fields(name)
            lines.append(f"| `{name}` | {_handled(fields)} | {_left(fields)} |")
    lines += ["", "## Seen on the wire, in no model", "", "| field | what becomes of it |", "|---|---|"]
    lines += [f"| `{fact['path']}` | {_WIRE.get(fact['path'], '')} |" for fact in FACTS["wire_facts_not_in_sdk"]]
    lines += ["", "## Sibling protocols", "", "| protocol | events | why not |", "|---|---|---|"]
    for name, why in SIBLINGS.items():
        count = sum(len(events) for events in FACTS[name].values())
        lines.append(f"| {name} | {count} | {why} |")
    return "\n".join([*lines, ""])


_WIRE = {
    "session.{id,object,expires_at}": "`SessionReady.session_id`; the session is kept whole",
    "item.phase": "`MessageStarted`, `MessageEnded`, `HistoryItem.phase`",
    "obfuscation": UNREAD["*"]["obfuscation"],
    "usage.output_token_details.reasoning_tokens": "`ResponseEnded.usage`, `Session.usage`",
    "item.object": UNREAD["item"]["object"],
    "content": UNREAD["response.content_part.done"]["content"],
    "status_details as string": "`ResponseEnded.reason`",
    "usage at event top level": "`ResponseEnded.usage`, `Session.usage`",
}
SIBLINGS = {
    "translation": "no responses, items or turns: a continuous stream, which needs another core (facts 12.2)",
    "live": "no responses, items, interruption or truncation: a continuous stream, which needs another core (facts 12.3)",
}


def _handled(fields: list[Field]) -> str:
    return ", ".join(
        f"`{field.path}`"
        + (f" ({field.handled})" if field.handled not in ("read", "written", "option", "names the event") else "")
        for field in fields
        if field.handled and field.handled != "names the event"
    )


def _left(fields: list[Field]) -> str:
    grouped: dict[str, list[str]] = {}
    for field in fields:
        if not field.handled:
            grouped.setdefault(field.reason or "**MISSING**", []).append(f"`{field.path}`")
    return "; ".join(f"{', '.join(paths)}: {_plain(reason)}" for reason, paths in grouped.items())


def _plain(text: str) -> str:
    return text.replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    for each in ("server", "client"):
        print(f"{each}: {coverage(each)}")
        for gap in coverage(each).missing:
            print(f"  missing: {gap}")
    if "--count" not in sys.argv:
        written = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
        PAGE.write_text(f"{written}{MARK}\n{page()}", encoding="utf-8")
