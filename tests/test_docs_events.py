"""The vocabulary is whole: every event and field of the facts is handled, or has a written reason (issue 5)."""

import re
import runpy
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from rtcore import _tap, _wire
from rtcore._wire_other import UNREAD

DOCS = Path(__file__).resolve().parent.parent / "docs"
SOURCES = DOCS.parent / "src" / "rtcore"
WRITTEN: dict[str, Any] = runpy.run_path(str(DOCS / "events.py"))
FACTS = WRITTEN["FACTS"]


@pytest.mark.parametrize("side", ["server", "client"])
def test_every_event_and_field_is_handled_or_has_a_reason(side: str) -> None:
    found = WRITTEN["coverage"](side)
    assert found.missing == ()
    assert found.events_handled == found.events == len(FACTS[side]) > 0
    assert found.fields_handled + found.fields_left == found.fields


def test_the_page_is_what_the_code_says() -> None:
    """Whoever changes an event runs docs/events.py."""
    text = (DOCS / "events.md").read_text(encoding="utf-8")
    assert text.partition(WRITTEN["MARK"])[2] == "\n" + WRITTEN["page"]()


def test_an_event_that_nobody_handles_would_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: a new event, a new field, a reason taken back."""
    fields = {"type": {"type": "string"}, "mood": {"type": "string"}}
    monkeypatch.setitem(FACTS["server"], "response.mood.changed", {"fields": fields})
    monkeypatch.setitem(FACTS["server"]["response.done"]["fields"], "mood", {"type": "string"})
    found = WRITTEN["coverage"]("server")
    assert found.missing == ("response.done: mood", "response.mood.changed: type", "response.mood.changed: mood")
    assert found.events_handled == found.events - 1
    assert "nowhere" in WRITTEN["page"]()


def test_every_reason_is_for_a_field_that_is_not_read() -> None:
    """A reason beside a field that is read would be a lie."""
    events = {str(kind.__struct_config__.tag): kind for kind in get_args(_wire.ServerEvent)}
    objects = {name: kind for kind, name in _tap._OBJECTS.items()}
    for row, reasons in UNREAD.items():
        found: list[Any] = list(events.values()) if row == "*" else [events.get(row) or objects[row]]
        for kind in found:
            assert not set(reasons) & set(kind.__struct_fields__), (row, kind)


def test_every_field_of_an_event_is_read_somewhere() -> None:
    """The Structs hold what some function looks at, and nothing else."""
    source = "".join(path.read_text() for path in SOURCES.glob("_*.py") if not path.name.startswith("_wire"))
    kinds = [*get_args(_wire.ServerEvent), *_tap._OBJECTS]
    unread = {
        f"{kind.__name__}.{name}" for kind in kinds for name in kind.__struct_fields__ if not re.search(rf"\.{name}\b", source)
    }
    assert unread == set()


def test_every_wire_fact_and_sibling_has_its_line() -> None:
    assert {fact["path"] for fact in FACTS["wire_facts_not_in_sdk"]} == set(WRITTEN["_WIRE"])
    assert set(WRITTEN["SIBLINGS"]) == {"translation", "live"}


@pytest.mark.parametrize("name", FACTS["server"])
def test_an_event_with_every_required_field_decodes(name: str) -> None:
    """A value of the type that the facts give each required field; nothing is a ProtocolWarning for want of understanding."""
    event = {field: _sample(spec) for field, spec in FACTS["server"][name]["fields"].items() if spec["required"]}
    event["type"] = name
    decoded = _wire.decode.decode(msgspec.json.encode(event))
    assert type(decoded).__struct_config__.tag == name
    assert _tap.unknown_fields(msgspec.json.encode(event)) == (name, ())


def _sample(spec: dict[str, Any]) -> Any:
    match spec["type"]:
        case "string":
            return spec.get("const") or (spec.get("enum") or spec.get("known_values") or [""])[0]
        case "integer" | "number":
            return 1
        case "boolean":
            return True
        case "array":
            return [_sample(spec["items"])] if isinstance(spec.get("items"), dict) else []
        case "union":
            return _sample(spec["of"][0])
        case "ref" if spec["ref"] in WRITTEN["_OBJECTS"]:
            inner = WRITTEN["_OBJECTS"][spec["ref"]]["fields"]
            return {name: _sample(field) for name, field in inner.items() if field["required"]} | _identity(spec["ref"], inner)
        case _:
            return {}


def _identity(ref: str, fields: dict[str, Any]) -> dict[str, str]:
    # The SDK types the id of a response as optional; a server always sends it.
    return {"id": "x"} if "id" in fields else {}
