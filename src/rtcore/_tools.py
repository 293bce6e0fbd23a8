"""The tool ledger: exactly one output per completed call, one answer per batch (DESIGN 4, invariant 10).

A call is dispatched once, when its arguments are complete and its response is alive. Its output goes out at once: it needs
neither the slot nor the end of the sound. Once every call of a response is answered and it is done, one answer is due.
"""

from typing import Any, Literal

from msgspec import Struct

from rtcore._core import Core
from rtcore._errors import LocalProtocolError
from rtcore._items import Item, Response
from rtcore._notices import ToolCalled
from rtcore._wire import ArgumentsDone

_NOT_RUN = '{"error":"interrupted: the function was not called"}'
"""What a model is told of a call that was cut at a server which cannot delete it."""


class _Call(Struct):
    response: Response
    item: Item
    state: Literal["open", "sent", "answered", "failed"] = "open"
    respond: bool = True


class Tools:
    """Owner of: what about tool calls?"""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._calls: dict[str, _Call] = {}
        self._outputs: dict[str, str] = {}
        self._passed: set[str] = set()
        self._refused = False
        """The last output that the server dealt with was refused."""

    def arguments_done(self, event: ArgumentsDone) -> None:
        """The arguments are complete: this is when a call is dispatched (F074)."""
        core = self._core
        response = core.responses.live.get(event.response_id)
        item = core.history.get(event.item_id)
        if response is None or item is None or item.response is not response:
            core.counters.late_deltas += 1
            return
        item.type = "function_call"
        item.arguments = event.arguments
        item.name = event.name or item.name
        item.call_id = event.call_id or item.call_id
        self._dispatch(item, response)

    def item_done(self, item: Item, response: Response, status: str | None) -> None:
        """A call's item is complete; it may be the first to say so. One that was cut is never executed (C26)."""
        if item.type == "function_call" and status != "incomplete" and item.arguments is not None:
            self._dispatch(item, response)

    def _dispatch(self, item: Item, response: Response) -> None:
        if item.dispatched or response.dead or not item.call_id or item.name is None or item.call_id in self._calls:
            return
        item.dispatched = True
        self._calls[item.call_id] = _Call(response, item)
        self._core.news.append(ToolCalled(item.call_id, item.name, item.arguments or "", response.id, item.id))

    def check(self, call_id: str) -> None:
        """Raise ``LocalProtocolError`` for a call that is unknown or has its output."""
        call = self._calls.get(call_id)
        if call is None or call.item.type == "mcp_approval_request":
            raise LocalProtocolError(
                f"call_id: {call_id!r} is not an open call; answer those that ToolCalled reported, once each"
            )
        if call.state != "open":
            raise LocalProtocolError(f"call_id: {call_id!r} has its output already; each call gets exactly one")

    def approval_requested(self, item: Item, response: Response) -> bool:
        """The model asks whether it may call a remote tool. True where that is to be told: once, and not of what was cut."""
        if item.dispatched or response.dead or item.id in self._calls:
            return False
        item.dispatched = True
        self._calls[item.id] = _Call(response, item)
        return True

    def check_approval(self, approval_request_id: str) -> None:
        """Raise ``LocalProtocolError`` for a request that is unknown or has its answer."""
        call = self._calls.get(approval_request_id)
        if call is None or call.item.type != "mcp_approval_request":
            raise LocalProtocolError(
                f"approval_request_id: {approval_request_id!r} is not open; answer those that ApprovalRequested reported, once"
            )
        if call.state != "open":
            raise LocalProtocolError(f"approval_request_id: {approval_request_id!r} has its answer already")

    def check_foreign(self, call_id: str) -> None:
        """Raise ``LocalProtocolError`` for an output that the program writes itself to a call that is the ledger's."""
        if call_id in self._calls:
            raise LocalProtocolError(f"item.call_id: {call_id!r} is a call of this session; answer it by tool_result()")

    def item_deleted(self, item_id: str) -> None:
        """A call that is no longer in the conversation cannot be answered."""
        for call_id, call in list(self._calls.items()):
            if call.item.id == item_id and call.state == "open":
                del self._calls[call_id]
                # It may have been the last that its batch was waiting for.
                self._batch(call.response)
                self._forget(call.response)

    def explain(self, item: Item, response: Response) -> None:
        """A call that was complete when its response was cut is not executed, and cannot be taken out of the conversation: its
        one output comes from here (invariant 10)."""
        core = self._core
        known = item.call_id is not None and item.status == "completed" and not item.deleted
        if not known or item.dispatched or response.out_of_band or not core.capabilities.create:
            return
        item.dispatched = True
        item_id = core.requests.item_id()
        output = {"type": "function_call_output", "call_id": item.call_id, "output": _NOT_RUN}
        core.creation.send_output({"id": item_id, **output}, item_id, 0)

    def answer(self, call_id: str, output: str, *, respond: bool, request: int) -> None:
        """Send a call's output. It is pinned: nothing holds it up, and no interruption takes it back (F064)."""
        self._answer(
            call_id, {"type": "function_call_output", "call_id": call_id, "output": output}, respond=respond, request=request
        )

    def approve(self, request_id: str, *, approve: bool, reason: str | None, respond: bool, request: int) -> None:
        """Answer a request for approval, which counts as a call of its batch: one response follows them all (facts 4.14)."""
        said = {"type": "mcp_approval_response", "approval_request_id": request_id, "approve": approve}
        self._answer(request_id, said if reason is None else {**said, "reason": reason}, respond=respond, request=request)

    def _answer(self, call_id: str, item: dict[str, Any], *, respond: bool, request: int) -> None:
        core = self._core
        call = self._calls[call_id]
        call.state = "sent"
        call.respond = respond
        if call.response.out_of_band:
            call.state = "answered"
            core.requests.end(request, "done")
            self._batch(call.response)
            self._forget(call.response)
            return
        item_id = core.requests.item_id()
        self._outputs[item_id] = call_id
        core.creation.send_output({"id": item_id, **item}, item_id, request)
        self._batch(call.response)

    @property
    def outputs_seen(self) -> bool:
        """Whether the server has confirmed every output sent, or a later one, so that a response created now was created with
        all of them that it has."""
        return len(self._outputs) == len(self._passed)

    def output_announced(self, item_id: str, *, late: bool = False) -> None:
        """The server has the output, and has dealt with those that were sent before. ``late``: no word of it came in time."""
        if item_id not in self._outputs:
            return
        for earlier in self._outputs:
            if earlier == item_id:
                break
            self._passed.add(earlier)
        call = self._calls[self._taken(item_id)]
        call.state = "answered"
        if not late:
            self._refused = False
        self._dealt_with(call.response)

    def output_failed(self, item_id: str) -> None:
        """The server refused the output: the call is failed, and no answer is asked for blindly (F071).

        Nor is one until an output was confirmed: a model that calls again at a server that refuses every output would otherwise
        be asked, and paid for, without end.
        """
        if item_id not in self._outputs:
            return
        call = self._calls[self._taken(item_id)]
        call.state = "failed"
        self._refused = True
        self._core.creation.drop_tools_answer()
        self._dealt_with(call.response)

    def _dealt_with(self, response: Response) -> None:
        self._batch(response)
        self._forget(response)

    def _taken(self, item_id: str) -> str:
        self._passed.discard(item_id)
        return self._outputs.pop(item_id)

    def response_done(self, response: Response) -> None:
        """The response of a batch is done."""
        self._batch(response)
        self._forget(response)

    def _batch(self, response: Response) -> None:
        calls = [call for call in self._calls.values() if call.response is response]
        if not calls or not response.done or response.tools_answered or any(call.state == "open" for call in calls):
            return
        if self._refused and any(call.state == "sent" for call in calls):
            return
        response.tools_answered = True
        # The program that interrupted decides itself what comes next; a person's turn is answered, by the server or by us (F064).
        silenced = response.dead and response.cut_cause not in ("server", "local")
        if any(call.respond and call.state != "failed" for call in calls) and not response.out_of_band and not silenced:
            self._core.creation.ask_answer(to="tools")
            self._core.creation.pump()

    def _forget(self, response: Response) -> None:
        # Answered calls stay in the history; the ledger keeps only what can still change.
        if not response.tools_answered:
            return
        for call_id, call in list(self._calls.items()):
            if call.response is response and call.state in ("answered", "failed"):
                del self._calls[call_id]
