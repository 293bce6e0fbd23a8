"""Tools given as JSON schema: calls are held to it, and one that does not fit is answered so that the model can mend it (issue 5,
C26). A schema that is none, and a function that cannot be called with it, are refused when the tool is made.
"""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from rtcore.config import Config
from rtcore_adapters._tools import own
from rtcore_adapters.tools import BadArguments, DefinedTool, tool

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 2},
        "days": {"type": "integer", "minimum": 1, "maximum": 7},
        "unit": {"enum": ["celsius", "kelvin"]},
        "on": {"type": "string", "format": "date"},
        "at": {"type": "array", "items": {"type": "object", "properties": {"hour": {"type": "integer"}}, "required": ["hour"]}},
    },
    "required": ["city"],
}
CLOSED = {**SCHEMA, "additionalProperties": False, "patternProperties": {"^x_": True}}


def weather(city: str, days: int = 1, unit: str = "celsius", on: str = "", at: tuple[object, ...] = ()) -> dict[str, object]:
    """The weather."""
    return {"city": city, "days": days, "unit": unit, "on": on, "at": at}


def rest(**given: object) -> dict[str, object]:
    """Takes anything."""
    return given


def refused(made: DefinedTool, arguments: str) -> str:
    with pytest.raises(BadArguments) as caught:
        made.call(arguments)
    return str(caught.value)


def test_a_call_that_fits_reaches_the_function_by_name() -> None:
    made = tool(weather, parameters=SCHEMA)
    assert made.definition.parameters == SCHEMA
    assert made.call('{"city": "Paris", "days": 2.0, "at": [{"hour": 8}]}') == weather("Paris", 2, at=[{"hour": 8}])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("{}", "city: is required"),
        ('{"city": 5}', 'city: does not fit type "string" (given: 5)'),
        ('{"city": "Paris", "days": 9}', "days: does not fit maximum 7 (given: 9)"),
        ('{"city": "Paris", "days": true}', 'days: does not fit type "integer" (given: true)'),
        ('{"city": "Paris", "unit": "rankine"}', 'unit: does not fit enum ["celsius", "kelvin"] (given: "rankine")'),
        ('{"city": "Paris", "on": "on Tuesday"}', 'on: does not fit format "date" (given: "on Tuesday")'),
        ('{"city": "Paris", "at": [{"hour": 8}, {"hour": "9"}]}', 'at[1].hour: does not fit type "integer" (given: "9")'),
        ('{"city": "Paris", "at": [{}]}', "at[0].hour: is required"),
        ('{"city": "Paris", "land": "France"}', "land: no such argument (there are: at, city, days, on, unit)"),
        (
            '{"days": 0, "land": 1}',
            "days: does not fit minimum 1 (given: 0); city: is required; "
            "land: no such argument (there are: at, city, days, on, unit)",
        ),
    ],
)
@pytest.mark.parametrize("schema", [SCHEMA, CLOSED], ids=["open", "closed"])
def test_what_is_wrong_with_a_call_is_said_with_what_is_allowed(schema: dict[str, Any], arguments: str, words: str) -> None:
    prefix, _, lines = refused(tool(weather, parameters=schema), arguments).partition(" do not fit: ")
    assert prefix == "the arguments of weather"
    assert sorted(lines.split("; ")) == sorted(words.split("; "))


def test_a_closed_schema_lets_through_what_its_patterns_allow() -> None:
    made = tool(rest, parameters=CLOSED)
    assert made.call('{"city": "Paris", "x_1": 1}') == {"city": "Paris", "x_1": 1}
    assert "y_1: no such argument (there" in refused(made, '{"city": "Paris", "y_1": 1}')


def test_an_argument_that_only_the_function_needs_is_asked_for_too() -> None:
    made = tool(weather, parameters={"type": "object", "properties": {"city": {"type": "string"}}})
    assert refused(made, "{}") == "the arguments of weather do not fit: city: is required"


def test_the_answer_to_a_bad_call_is_bounded() -> None:
    many: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "string", "enum": ["a" * 500]}}
    arguments = "{" + ", ".join(f'"{number}{"n" * 300}": [{"7," * 2000}7]' for number in range(500)) + "}"
    text = refused(tool(rest, parameters=many), arguments)
    assert len(text) < 16 * 300
    assert text.endswith("; and more")


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "objekt"}, 'parameters.type is "objekt": arguments are a JSON object'),
        ({"type": "array"}, "parameters.type is \"array\": arguments are a JSON object, say 'object'"),
        ({"properties": {"city": {"type": "text"}}}, "parameters.properties.city.type is no JSON schema: 'text' is not valid"),
        ({"properties": {"city": {"pattern": "("}}}, "parameters.properties.city.pattern is no JSON schema"),
        ({"required": "city"}, "parameters.required is no JSON schema"),
        ({"properties": {"city": {"$ref": "#/$defs/City"}}}, 'refer to what they do not hold, "/$defs/City": put it in $defs'),
        ({"properties": {"city": {"$ref": "http://127.0.0.1:9/city.json"}}}, "refer to what they do not hold"),
        ({"$ref": "#"}, "refer to themselves without an end"),
    ],
)
def test_a_schema_that_is_none_is_refused_when_the_tool_is_made(schema: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError) as caught:
        tool(rest, parameters=schema)
    assert str(caught.value).startswith("tool rest: ") and words in str(caught.value)


def _positional(city: str, /) -> str:
    return city


def _town(town: str = "") -> str:
    return town


@pytest.mark.parametrize(
    ("function", "schema", "words"),
    [
        (_town, SCHEMA, "the schema has 'city', which the function does not take"),
        (weather, {"type": "object"}, "the function needs 'city', which the schema has not: add it, or give it a default"),
        (_positional, SCHEMA, "is positional only"),
        (dict, SCHEMA, "its signature cannot be read"),
    ],
)
def test_a_function_that_cannot_take_the_schema_is_refused_when_the_tool_is_made(
    function: Callable[..., object], schema: dict[str, Any], words: str
) -> None:
    with pytest.raises(TypeError, match=words):
        tool(function, name="look", parameters=schema)


def test_a_schema_with_definitions_of_its_own_is_followed() -> None:
    schema = {"properties": {"city": {"$ref": "#/$defs/City"}}, "$defs": {"City": {"type": "string"}}}
    assert "city: does not fit type" in refused(tool(weather, parameters=schema), '{"city": 1}')


def configured(*tools: dict[str, Any]) -> Config:
    return Config.model_validate({"session": {"tools": tools}})


def test_a_function_that_a_mapping_names_is_held_to_the_definition_of_the_session() -> None:
    config = configured({"type": "function", "name": "look", "parameters": SCHEMA}, {"type": "function", "name": "wait"})
    found, same = own({"look": weather, "wait": rest, "stored": rest}, config)
    assert same is config
    look = found["look"]
    assert isinstance(look, DefinedTool)
    assert refused(look, '{"city": 5}') == 'the arguments of look do not fit: city: does not fit type "string" (given: 5)'
    assert (found["wait"], found["stored"]) == (rest, rest)  # nobody here knows what theirs look like


def test_a_mapping_may_take_what_the_model_gives_as_it_is() -> None:
    config = configured({"type": "function", "name": "look", "parameters": SCHEMA})
    loose = tool(rest, name="look", parameters=SCHEMA, checked=False)
    assert own({"look": loose}, config)[0] == {"look": loose}
    assert loose.call('{"city": 5}') == {"city": 5}


def test_without_the_package_that_checks_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    monkeypatch.setitem(sys.modules, "jsonschema.exceptions", None)
    with pytest.raises(ImportError, match=r"tool weather: .* pip install 'rtcore\[schema\]', or .* checked=False"):
        tool(weather, parameters=SCHEMA)
    with pytest.raises(ImportError, match=r"tool look: .* pip install 'rtcore\[schema\]', or .* tool\(.*checked=False\)"):
        own({"look": weather}, configured({"type": "function", "name": "look", "parameters": SCHEMA}))
    assert tool(weather, parameters=SCHEMA, checked=False).call('{"city": 5}') == weather(5)  # type: ignore[arg-type]
