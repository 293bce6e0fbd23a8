"""Tools of a conversation: functions that answer the model's calls, and what becomes of their answers and failures.

A coroutine function runs on the runtime; any other callable in a thread of its own, so that one that blocks stops nothing.
"""

import inspect
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from rtcore import ToolCalled

Tool = Callable[..., object]
"""A function, or coroutine function, that answers a function call: arguments by name in, output (``str`` or JSON-like) out."""

Answer = Callable[[ToolCalled, object], None]
"""Takes a tool's output, on the engine's thread."""

_log = logging.getLogger("rtcore.tools")

NOT_JSON: dict[str, str] = {"error": "the tool returned something that is not JSON"}
"""The output that stands for one that cannot be sent."""


def is_coroutine_tool(tool: Tool) -> bool:
    """Whether calling it only makes something to await."""
    return inspect.iscoroutinefunction(tool) or inspect.iscoroutinefunction(getattr(tool, "__call__", None))  # noqa: B004


def started(tool: Tool, call: ToolCalled) -> Awaitable[object]:
    """The coroutine of a call. Raises what the arguments are worth: the caller answers with ``failure``."""
    return tool(**_arguments(call))  # type: ignore[return-value]  # a coroutine function gives an awaitable


def run_in_thread(tool: Tool, call: ToolCalled, answer: Callable[[object], None]) -> None:
    """Call a plain function in a thread of its own; ``answer`` takes its output in that thread.

    The thread cannot be ended from outside. A conversation that is over does not wait for it, and drops what it gives.
    """

    def work() -> None:
        try:
            output = tool(**_arguments(call))
        except BaseException as error:  # a tool that raises SystemExit must be answered as well
            output = failure(call, error)
        answer(output)

    threading.Thread(target=work, name=f"rtcore tool {call.name}", daemon=True).start()


def failure(call: ToolCalled, error: BaseException) -> dict[str, str]:
    """A tool's failure as its output, or the model would wait for ever. What goes out has to be UTF-8."""
    _log.error("the tool %s failed", call.name, exc_info=error)
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return {"error": text.encode("utf-8", "replace").decode()}


def own(tools: Mapping[str, Tool] | None) -> dict[str, Tool]:
    """A copy of the program's tools, each checked to be callable."""
    found = dict(tools or {})
    for name, tool in found.items():
        if not callable(tool):
            raise TypeError(f"tools[{name!r}] is a {type(tool).__name__}: give a function or a coroutine function")
    return found


def _arguments(call: ToolCalled) -> dict[str, Any]:
    return msgspec.json.decode(call.arguments or "{}", type=dict[str, Any])
