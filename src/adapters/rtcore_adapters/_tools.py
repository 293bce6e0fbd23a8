"""Tools of a conversation: functions that answer the model's calls, and what becomes of their answers and failures.

A coroutine function runs on the runtime; any other callable in a thread of its own, so that one that blocks stops nothing.
"""

import inspect
import logging
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from typing import Any

import msgspec

from rtcore import Config, ToolCalled
from rtcore.config import FunctionTool
from rtcore_adapters._schema import checked_by
from rtcore_adapters._token import NO_CALL
from rtcore_adapters.tools import _RUNNING, BadArguments, DefinedTool, ToolRun, defined

Tool = Callable[..., object]
"""A function, or coroutine function, that answers a function call: arguments by name in, output (``str`` or JSON-like) out."""

Tools = Mapping[str, Tool] | Sequence[Tool]
"""Functions by the names under which tools are defined elsewhere; or functions that define their tools as well."""

Answer = Callable[[ToolCalled, object], None]
"""Takes a tool's output, on the engine's thread."""

Stop = Callable[[], None]
"""Ends a coroutine tool that nobody waits for any more."""

_log = logging.getLogger("rtcore.tools")

NOT_JSON: dict[str, str] = {"error": "the tool returned something that is not JSON"}
"""The output that stands for one that cannot be sent."""


def is_coroutine_tool(tool: Tool) -> bool:
    """Whether calling it only makes something to await."""
    function = tool.function if isinstance(tool, DefinedTool) else tool
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def started(tool: Tool, call: ToolCalled) -> Awaitable[object]:
    """The coroutine of a call. Raises what the arguments are worth: the caller answers with ``failure``."""
    return _called(tool, call)  # type: ignore[return-value]  # a coroutine function gives an awaitable


def _called(tool: Tool, call: ToolCalled) -> object:
    if isinstance(tool, DefinedTool):
        return tool.call(call.arguments)
    return tool(**msgspec.json.decode(call.arguments or "{}", type=dict[str, Any]))


def run_in_thread(tool: Tool, run: ToolRun, answer: Callable[[object], None]) -> None:
    """Call a plain function in a thread of its own; ``answer`` takes its output in that thread.

    The thread cannot be ended from outside, but ``run`` tells it where nobody waits for it any more. A conversation that is over
    does not wait for it, and drops what it gives.
    """

    call = run.call

    def work() -> None:
        _RUNNING.set(run)
        try:
            output = _called(tool, call)
        except BaseException as error:  # a tool that raises SystemExit must be answered as well
            output = failure(call, error)
        answer(output)

    # A thread begins without context variables; a task of a coroutine function has those that are here.
    threading.Thread(target=copy_context().run, args=(work,), name=f"rtcore tool {call.name}", daemon=True).start()


def run_coroutine(work: Awaitable[object], run: ToolRun, start: Callable[[Awaitable[object], ToolCalled], Stop | None]) -> None:
    """Have ``start``, the runtime, await what a coroutine function gave; inside, ``running`` is this call."""
    token = _RUNNING.set(run)  # a task takes the context of whoever starts it
    try:
        run._began(start(work, run.call))
    finally:
        _RUNNING.reset(token)


def unknown(call: ToolCalled, names: frozenset[str] | None) -> dict[str, str] | None:
    """The answer to a call of a function that the model was not told of (F070); None where it was, or where nobody can know."""
    if names is None or call.name in names:
        return None
    return {"error": f"there is no tool of this name; there are: {', '.join(sorted(names)) or 'none'}"}


def not_its_own(error: BaseException, *cancelled: type[BaseException]) -> BaseException | None:
    """What a coroutine tool raised that is no failure of its own and has to go on: the program's end, or its cancellation.

    A task group or a nursery wraps it together with other errors; then it is taken out, because a loop looks for it itself.
    None for everything else, which is the call's answer.
    """
    leaves = list(_leaves(error))
    for kinds in ((KeyboardInterrupt, SystemExit, GeneratorExit), cancelled):
        if (found := next((each for each in leaves if isinstance(each, kinds)), None)) is not None:
            return found
    return None


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def failure(call: ToolCalled, error: BaseException) -> dict[str, str]:
    """A tool's failure as its output, or the model would wait for ever. What goes out has to be UTF-8."""
    if call is NO_CALL:
        return {}  # a token provider's, which has been told; its words may hold what it was sent or given
    if isinstance(error, BadArguments):
        _log.warning("a call of the tool %s does not fit and was sent back", call.name)
        text = str(error)
    else:
        # The words of an error and the frames of its traceback may repeat what was said.
        _log.error("the tool %s failed: %s%s", call.name, type(error).__name__, _where(error))
        _log.debug("the tool %s failed", call.name, exc_info=error)
        text = type(error).__name__
        with suppress(Exception):  # words of the program's own making, which may fail as well
            text += f": {error}" if str(error) else ""
    return {"error": text.encode("utf-8", "replace").decode()}


def _where(error: BaseException) -> str:
    """File and line of what raised, where there is one."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" in {frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def own(tools: Tools | None, config: Config) -> tuple[dict[str, Tool], Config]:
    """The program's tools by name, and the configuration with those that define themselves.

    A function that is named by a mapping is held to the schema of the tool of that name in ``session.tools``, where there is one.
    Raises ``TypeError`` for what is no tool, ``ValueError`` where a tool is defined twice, and what ``tool`` raises.
    """
    if tools is None or isinstance(tools, Mapping):
        found = dict(tools or {})
        for name, tool in found.items():
            if not callable(tool):
                raise TypeError(f"tools[{name!r}] is a {type(tool).__name__}: give a function or a coroutine function")
        return {name: _held(name, tool, config) for name, tool in found.items()}, config
    made = defined(tools)
    given = config.session.tools or ()
    names = {each.get("name") if isinstance(each, dict) else getattr(each, "name", None) for each in given}
    if twice := sorted(name for name in made if name in names):
        raise ValueError(f"the tool {twice[0]!r} is defined in session.tools and in tools: leave one of them out")
    if not made:
        return {}, config
    told = (*given, *(each.definition for each in made.values()))
    return dict(made), config.model_copy(update={"session": config.session.model_copy(update={"tools": told})})


def _held(name: str, function: Tool, config: Config) -> Tool:
    """The function, with its calls held to what ``session.tools`` says of it."""
    if isinstance(function, DefinedTool):
        return function
    for each in config.session.tools or ():
        if isinstance(each, FunctionTool) and each.name == name and each.parameters is not None:
            remedy = f'take what the model gives as it is: tools={{"{name}": tool(function, parameters={{...}}, checked=False)}}'
            return DefinedTool(function, each, checked_by(function, each.parameters, name, remedy))
    return function
