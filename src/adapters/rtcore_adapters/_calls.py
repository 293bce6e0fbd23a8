"""The model's calls of the program's functions, and how what these give reaches the session: once for each call."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from inspect import isawaitable
from typing import Any

from rtcore import LocalProtocolError, ToolCalled, ToolEnded
from rtcore_adapters._host import Host
from rtcore_adapters._token import NO_CALL
from rtcore_adapters._tools import (
    NOT_JSON,
    Answer,
    Tool,
    failure,
    is_coroutine_tool,
    run_coroutine,
    run_in_thread,
    started,
    unknown,
)
from rtcore_adapters.tools import Output, ToolRun

Give = Callable[[ToolCalled, object, bool], None]
"""Tells the session a call's output, and whether the model is to go on. Raises ``LocalProtocolError`` for what cannot be sent."""

_log = logging.getLogger("rtcore.engine")


class Calls:
    """The functions of one conversation, and the calls of them that run.

    ``answer`` is what a runtime and its threads hand an output in by; it comes back to ``Calls.answer`` on the engine's thread. A
    function's failure is an output as well, for the model would wait for ever.
    """

    def __init__(self, tools: Mapping[str, Tool], host: Host[Any], *, give: Give, answer: Answer) -> None:
        self._tools = tools
        self._host = host
        self._give = give
        self._hand_in = answer
        self._runs: dict[str, ToolRun] = {}

    def begin(self, call: ToolCalled, known: frozenset[str] | None) -> None:
        """Have the function begin: on the runtime where it is a coroutine function, else in a thread of its own.

        ``known`` are the tools that the session has, if that is known: a call of another is answered so.
        """
        if not self._tools:
            return  # the program's
        tool = self._tools.get(call.name)
        refusal = None if tool is not None else unknown(call, known)
        if tool is None and refusal is None:
            return  # the program's
        run = self._runs[call.call_id] = ToolRun(call)
        if tool is None:
            self._answer_soon(call, refusal)
        elif is_coroutine_tool(tool):
            try:
                run_coroutine(started(tool, call), run, self._host.run)
            except Exception as error:  # arguments that are no JSON object, or not those of the function
                self._answer_soon(call, failure(call, error))
        else:
            run_in_thread(tool, run, partial(self._answer_soon, call))

    def _answer_soon(self, call: ToolCalled, output: object) -> None:
        self._host.hand_over(partial(self._hand_in, call, output))

    def answer(self, call: ToolCalled, output: object) -> None:
        """Tell the session what a function gave, or await it first."""
        if call is NO_CALL:
            return
        run = self._runs.get(call.call_id)
        if run is None or run.call is not call:
            return  # given up, or answered by the program
        if isawaitable(output):
            run_coroutine(output, run, self._host.run)
            return
        value, respond = (output.value, output.respond) if isinstance(output, Output) else (output, True)
        for each in (value, NOT_JSON):
            try:
                self._give(call, each, respond)
                return
            except LocalProtocolError as error:  # the output is not JSON
                # What is wrong may repeat the output, which the log is not to hold.
                _log.warning("the result of the tool %s for %s was not sent", call.name, call.call_id)
                _log.debug("the result for %s was not sent: %s", call.call_id, error)

    def end(self, ended: ToolEnded) -> None:
        """The session is done with a call: where it was given up, its function is told."""
        run = self._runs.pop(ended.call_id, None)
        if run is not None and ended.outcome != "answered":
            run._give_up()
