"""Tools from Python: the definition that the model is told comes from a function's signature, and its calls are held to it.

::

    def weather(city: Annotated[str, Field(description="Name of the city")], days: int = 1) -> dict[str, object]:
        \"\"\"The weather forecast for a city.\"\"\"
        ...

    async with connect(config, tools=[weather]) as conversation: ...

A call whose arguments do not fit is answered with what is wrong with them, so that the model can mend it; the function is not
called. That holds for tools from pydantic models and JSON schemas as well (``rtcore[schema]`` checks the latter). Coroutine
functions are tools as well, except in a program of threads.
"""

import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Annotated, Any, get_type_hints

import msgspec
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PydanticInvalidForJsonSchema,
    PydanticSchemaGenerationError,
    ValidationError,
    create_model,
)

from rtcore import ToolCalled
from rtcore.config import FunctionTool
from rtcore_adapters._schema import Misfit, checked_by

__all__ = ["BadArguments", "DefinedTool", "Output", "ToolRun", "running", "tool"]

_STRICT = ConfigDict(extra="forbid", arbitrary_types_allowed=False)
_GIVEN = 80  # characters of a wrong value that are repeated

Take = Callable[[Mapping[str, Any]], Mapping[str, Any] | BaseModel]
"""Turns what the model gave into what the function takes; raises pydantic's ``ValidationError``, or ``Misfit``."""


class Output:
    """What a tool gives where it decides about the answer as well: ``return Output("saved", respond=False)`` tells the model and
    asks for nothing. One response follows the calls of a response unless all of them say so.
    """

    def __init__(self, value: object, *, respond: bool = True) -> None:
        self.value = value
        self.respond = respond


class ToolRun:
    """One call that runs, as the function that answers it may look at it: see ``running``.

    A coroutine function is cancelled where the call is given up. A plain one runs in a thread, which cannot be ended from
    outside: one that takes long asks ``cancelled`` now and then, or waits with ``wait``. What it gives afterwards is dropped.
    """

    def __init__(self, call: ToolCalled) -> None:
        self.call = call
        """What the model asked for."""
        self._given_up = threading.Event()
        self._cancels: Callable[[], None] | None = None

    @property
    def cancelled(self) -> bool:
        """Whether the call is settled without this function: given up, or gone with its item or the conversation."""
        return self._given_up.is_set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the call is given up, for ``timeout_s`` at most; gives whether it was. Blocks: only for plain functions."""
        return self._given_up.wait(timeout_s)

    def _began(self, cancels: Callable[[], None] | None) -> None:
        self._cancels = cancels

    def _give_up(self) -> None:
        self._given_up.set()
        if self._cancels is not None:
            self._cancels()


_RUNNING: ContextVar[ToolRun] = ContextVar("rtcore_tool")


def running() -> ToolRun:
    """The call that is being answered, from within the function that answers it. Raises ``LookupError`` anywhere else."""
    try:
        return _RUNNING.get()
    except LookupError:
        raise LookupError("running() is for the function of a tool while it answers a call") from None


class BadArguments(ValueError):
    """The model called a tool with arguments that do not fit. The text says which and why, for the model."""


class DefinedTool:
    """A function with the definition that the model is told. Made by ``tool``; calling it calls the function."""

    def __init__(self, function: Callable[..., object], definition: FunctionTool, take: Take) -> None:
        self.function = function
        self.definition = definition
        """What ``session.update`` says of it: name, description, and the JSON schema of its arguments."""
        self._take = take

    def __repr__(self) -> str:
        return f"DefinedTool({self.definition.name!r})"

    def __call__(self, *args: Any, **options: Any) -> object:
        return self.function(*args, **options)

    def call(self, arguments: str) -> object:
        """Call the function with the model's arguments, a JSON text. Raises ``BadArguments`` before anything was called."""
        name = self.definition.name
        try:
            given = msgspec.json.decode(arguments or "{}", type=dict[str, Any])
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise BadArguments(f"the arguments of {name} are not a JSON object: {error}") from None
        try:
            taken = self._take(given)
        except ValidationError as error:
            wrong = "; ".join(_words(each) for each in error.errors(include_url=False, include_context=False))
            raise BadArguments(f"the arguments of {name} do not fit: {wrong}") from None
        except Misfit as error:
            raise BadArguments(f"the arguments of {name} do not fit: {error}") from None
        return self.function(taken) if isinstance(taken, BaseModel) else self.function(**taken)


def tool(
    function: Callable[..., object],
    *,
    name: str | None = None,
    description: str | None = None,
    parameters: type[BaseModel] | Mapping[str, Any] | None = None,
    checked: bool = True,
) -> DefinedTool:
    """A tool from a function; also as a decorator.

    Without ``parameters`` the arguments are those of its signature: every one is annotated (``Annotated[int, Field(ge=1,
    description=...)]`` says more), and its docstring is the description. With a pydantic model the function takes an instance of
    it as its one argument. With a JSON schema (a mapping) it takes what the model gives, by name, once that fits the schema; with
    ``checked=False`` whatever the model gives. Raises ``TypeError`` for what cannot be described, and for a function that cannot
    take what its schema lets through; ``ValueError`` for a schema that is none; ``ImportError`` where the package that checks
    schemas is missing (``rtcore[schema]``). Each names what is wrong and the remedy.
    """
    called = name or getattr(function, "__name__", "")
    if not called or called == "<lambda>":
        raise TypeError("a tool needs a name: give name=...")
    if not checked and not isinstance(parameters, Mapping):
        raise TypeError(f"tool {called}: checked=False is for a JSON schema: leave it out, or give parameters={{...}}")
    take: Take
    if parameters is None:
        schema, take = _of_signature(function, called)
    elif isinstance(parameters, type) and issubclass(parameters, BaseModel):
        schema, take = _schema(parameters, called), parameters.model_validate
    elif isinstance(parameters, Mapping):
        schema = dict(parameters)
        take = (
            checked_by(function, schema, called, "take what the model gives as it is: checked=False") if checked else _unchecked
        )
    else:
        raise TypeError(f"tool {called}: parameters is a {type(parameters).__name__}: give a pydantic model or a JSON schema")
    words = inspect.getdoc(function) if description is None else description
    definition = FunctionTool(name=called, parameters=schema)
    return DefinedTool(function, definition.model_copy(update={"description": words}) if words else definition, take)


def defined(tools: Sequence[Callable[..., object] | DefinedTool]) -> dict[str, DefinedTool]:
    """Tools by their names. Raises ``TypeError`` for what is none, ``ValueError`` where two share a name."""
    found: dict[str, DefinedTool] = {}
    for number, each in enumerate(tools):
        if not callable(each):
            raise TypeError(f"tools[{number}] is a {type(each).__name__}: give a function, or tool(...)")
        made = each if isinstance(each, DefinedTool) else tool(each)
        if made.definition.name in found:
            raise ValueError(f"two tools are named {made.definition.name!r}: rename one of them, tool(function, name=...)")
        found[made.definition.name] = made
    return found


def _of_signature(function: Callable[..., object], called: str) -> tuple[dict[str, Any], Take]:
    """The schema of a signature, and what turns the model's arguments into the function's."""
    hints = get_type_hints(function if inspect.isroutine(function) else type(function).__call__, include_extras=True)
    fields: dict[str, Any] = {}
    names: dict[str, str] = {}
    for number, (name, parameter) in enumerate(inspect.signature(function).parameters.items()):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(f"tool {called}: {parameter} cannot be told to the model, which names each argument: name them all")
        if name not in hints:
            raise TypeError(f"tool {called}: parameter {name!r} has no annotation: write {name}: str, or what it is")
        # Names of its own for the model's fields: a parameter may be called what pydantic keeps for itself.
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[f"p{number}"] = (Annotated[hints[name], Field(alias=name)], default)
        names[f"p{number}"] = name
    try:
        model = create_model(called, __config__=_STRICT, **fields)
    except PydanticSchemaGenerationError as error:
        raise TypeError(f"tool {called}: an annotation is nothing that JSON can hold: {str(error).splitlines()[0]}") from None

    def take(given: Mapping[str, Any]) -> Mapping[str, Any]:
        valid = model.model_validate(given)
        return {names[field]: getattr(valid, field) for field in names}

    return _schema(model, called), take


def _schema(model: type[BaseModel], called: str) -> dict[str, Any]:
    try:
        schema = model.model_json_schema()
    except PydanticInvalidForJsonSchema as error:
        raise TypeError(f"tool {called}: an annotation is nothing that JSON can hold: {str(error).splitlines()[0]}") from None
    return _untitled(schema)


def _untitled(schema: dict[str, Any]) -> dict[str, Any]:
    """Without the titles that pydantic makes of the names, which tell the model nothing new."""
    schema.pop("title", None)
    for key in ("properties", "$defs"):
        for inner in schema.get(key, {}).values():
            _untitled(inner)
    return schema


def _unchecked(given: Mapping[str, Any]) -> Mapping[str, Any]:
    return given


def _words(error: Mapping[str, Any]) -> str:
    """One thing that is wrong, where, and what was given."""
    where = ".".join(str(each) for each in error["loc"]) or "arguments"
    given = "" if error["type"] == "missing" else f" (given: {repr(error['input'])[:_GIVEN]})"
    return f"{where}: {error['msg']}{given}"
