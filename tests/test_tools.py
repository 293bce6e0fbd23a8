"""Tools from Python functions and pydantic models: what the model is told, and what becomes of a bad call (issue 5, C26)."""

from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from rtcore_adapters.tools import BadArguments, DefinedTool, defined, tool


class Unit(Enum):
    """Of a temperature."""

    CELSIUS = "celsius"
    KELVIN = "kelvin"


def weather(
    city: Annotated[str, Field(description="Name of the city")],
    days: Annotated[int, Field(ge=1, le=7)] = 1,
    unit: Unit = Unit.CELSIUS,
    model_config: Literal["fine", "coarse"] | None = None,
) -> dict[str, object]:
    """The weather forecast for a city."""
    return {"city": city, "days": days, "unit": unit, "grid": model_config}


def test_the_definition_comes_from_the_signature() -> None:
    definition = tool(weather).definition
    assert (definition.name, definition.description) == ("weather", "The weather forecast for a city.")
    assert definition.parameters == {
        "type": "object",
        "additionalProperties": False,
        "required": ["city"],
        "properties": {
            "city": {"type": "string", "description": "Name of the city"},
            "days": {"type": "integer", "minimum": 1, "maximum": 7, "default": 1},
            "unit": {"$ref": "#/$defs/Unit", "default": "celsius"},
            "model_config": {"anyOf": [{"enum": ["fine", "coarse"], "type": "string"}, {"type": "null"}], "default": None},
        },
        "$defs": {"Unit": {"description": "Of a temperature.", "enum": ["celsius", "kelvin"], "type": "string"}},
    }


def test_arguments_arrive_as_what_they_were_annotated() -> None:
    found = tool(weather).call('{"city": "Paris", "days": "2", "unit": "kelvin"}')
    assert found == {"city": "Paris", "days": 2, "unit": Unit.KELVIN, "grid": None}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("{}", "the arguments of weather do not fit: city: Field required"),
        ('{"city": "Paris", "days": 9}', "days: Input should be less than or equal to 7 (given: 9)"),
        ('{"city": "Paris", "unit": "rankine"}', "unit: Input should be 'celsius' or 'kelvin' (given: 'rankine')"),
        ('{"city": "Paris", "land": "France"}', "land: Extra inputs are not permitted (given: 'France')"),
        ('{"city": 7, "days": "x"}', "city: Input should be a valid string (given: 7); days: Input should be a valid integer"),
        ("[1]", "the arguments of weather are not a JSON object"),
        ('{"city"', "the arguments of weather are not a JSON object"),
        ("7", "the arguments of weather are not a JSON object"),
    ],
)
def test_a_bad_call_says_what_is_wrong_and_calls_nothing(arguments: str, words: str) -> None:  # C26, F group E
    called = []

    def spy(city: str) -> None:
        """A spy."""
        called.append(city)

    with pytest.raises(BadArguments) as caught:
        tool(weather).call(arguments)
    assert words in str(caught.value)
    with pytest.raises(BadArguments):
        tool(spy).call('{"town": "Paris"}')
    assert called == []


def test_a_long_wrong_value_is_not_repeated_whole() -> None:
    with pytest.raises(BadArguments) as caught:
        tool(weather).call('{"city": "Paris", "days": "%s"}' % ("x" * 5000))
    assert len(str(caught.value)) < 300


class Booking(BaseModel):
    """A table in a restaurant."""

    guests: int = Field(ge=1, description="How many")
    names: list[str] = []


def test_a_pydantic_model_is_the_one_argument() -> None:
    def book(booking: Booking) -> int:
        """Book a table."""
        return booking.guests + len(booking.names)

    made = tool(book, parameters=Booking)
    assert made.definition.parameters is not None
    assert made.definition.parameters["required"] == ["guests"]
    assert made.call('{"guests": 2, "names": ["Ada"]}') == 3
    with pytest.raises(BadArguments, match="guests: Input should be greater than or equal to 1"):
        made.call('{"guests": 0}')


def test_a_json_schema_is_passed_on_as_it_is() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    made = tool(lambda **given: given, name="look", description="Look.", parameters=schema, checked=False)
    assert made.definition.parameters == schema
    assert made.call('{"city": 7, "more": 1}') == {"city": 7, "more": 1}


def test_a_decorated_function_stays_one() -> None:
    @tool
    def double(number: int) -> int:
        return 2 * number

    assert isinstance(double, DefinedTool)
    assert (double(4), double.call('{"number": 5}'), repr(double)) == (8, 10, "DefinedTool('double')")


def test_methods_and_callables_are_tools() -> None:
    class Shop:
        """A shop."""

        def price(self, article: str) -> str:
            """What it costs."""
            return f"{article}: 3"

        def __call__(self, article: str) -> str:
            return "called " + article

    assert tool(Shop().price).call('{"article": "tea"}') == "tea: 3"
    assert tool(Shop(), name="shop").call('{"article": "tea"}') == "called tea"


def _unnamed(city) -> None:  # type: ignore[no-untyped-def]
    pass


def _many(*cities: str) -> None:
    pass


def _any(**more: str) -> None:
    pass


def _odd(where: object, socket: Callable[[], int]) -> None:
    pass


@pytest.mark.parametrize(
    ("function", "options", "words"),
    [
        (_unnamed, {}, "tool _unnamed: parameter 'city' has no annotation: write city: str"),
        (_many, {}, r"tool _many: \*cities: str cannot be told to the model"),
        (_any, {}, r"tool _any: \*\*more: str cannot be told to the model"),
        (_odd, {}, "tool _odd: an annotation is nothing that JSON can hold"),
        (lambda: 1, {}, "a tool needs a name"),
        (weather, {"parameters": 7}, "tool weather: parameters is a int: give a pydantic model or a JSON schema"),
        (weather, {"checked": False}, "tool weather: checked=False is for a JSON schema: leave it out"),
    ],
)
def test_what_cannot_be_described_is_named_with_the_remedy(function: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        tool(function, **options)


def test_tools_in_a_list_have_names_of_their_own() -> None:
    assert list(defined([weather, tool(weather, name="again")])) == ["weather", "again"]
    with pytest.raises(ValueError, match="two tools are named 'weather'"):
        defined([weather, weather])
    with pytest.raises(TypeError, match=r"tools\[1\] is a str: give a function"):
        defined([weather, "x"])  # type: ignore[list-item]
