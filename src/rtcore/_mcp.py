"""Remote tools (MCP): the server lists and calls them; this side hears of it, and says yes or no where it is asked (facts 4.14).

What came of a listing or a call stands in its item, which may be shown before or after the event that says how it went; the
notices are told once both are there. An approval is answered like a function call: through the tool ledger, one per request.
"""

from typing import Any, Literal

from rtcore._core import Core
from rtcore._errors import problem
from rtcore._items import Item, Response
from rtcore._notices import ApprovalRequested, McpCalled, McpCallEnded, McpListing, Problem
from rtcore._wire import ItemBody
from rtcore._wire_other import (
    McpArgumentsDone,
    McpCallBegan,
    McpCallDone,
    McpCallFailed,
    McpListingBegan,
    McpListingDone,
    McpListingFailed,
)


class Mcp:
    """Owner of: what became of remote tools?"""

    def __init__(self, core: Core) -> None:
        self._core = core

    # -- listings ----------------------------------------------------------------------------------------------------------------

    def listing_began(self, event: McpListingBegan) -> None:
        """The remote server is asked for its tools."""
        self._listed(event.item_id, "in_progress")

    def listing_done(self, event: McpListingDone) -> None:
        """It has answered; the tools stand in the item, which begins without any and may be complete only later."""
        item = self._core.history.get(event.item_id)
        if item is not None and (item.tools or item.done):
            self._tools_known(item)

    def listing_failed(self, event: McpListingFailed) -> None:
        """It could not be asked: the conversation goes on without its tools."""
        self._listed(event.item_id, "failed")

    def _listed(self, item_id: str, state: Literal["in_progress", "failed"]) -> None:
        item = self._core.history.get(item_id)
        self._core.news.append(McpListing(item_id, (item.server_label if item is not None else None) or "", state))

    def _tools_known(self, item: Item) -> None:
        if not item.ended_told:
            item.ended_told = True
            self._core.news.append(McpListing(item.id, item.server_label or "", "completed", item.tools or ()))

    # -- calls -------------------------------------------------------------------------------------------------------------------

    def arguments_done(self, event: McpArgumentsDone) -> None:
        """The model has said what it wants of the tool."""
        item = self._core.history.get(event.item_id)
        if item is None or item.type != "mcp_call":
            self._core.counters.late_deltas += 1
            return
        item.arguments = event.arguments
        self._called(item)

    def call_changed(self, event: McpCallBegan | McpCallDone | McpCallFailed) -> None:
        """The server runs it, or has run it; its outcome stands in the item, whose end tells it."""
        item = self._core.history.get(event.item_id)
        if item is None or item.type != "mcp_call":
            self._core.counters.late_deltas += 1
            return
        item.failed = item.failed or isinstance(event, McpCallFailed)
        item.ran = item.ran or isinstance(event, McpCallDone)
        if item.arguments is not None:
            self._called(item)
        if isinstance(event, McpCallDone | McpCallFailed) and item.done:
            self._call_ended(item)

    def _called(self, item: Item) -> None:
        if not item.started_told and item.response is not None:
            item.started_told = True
            name, label = item.name or "", item.server_label or ""
            self._core.news.append(McpCalled(item.id, item.response.id, label, name, item.arguments or ""))

    def _call_ended(self, item: Item) -> None:
        if item.ended_told or item.response is None:
            return
        self._called(item)
        item.ended_told = True
        told = self._problem(item.error) if item.error is not None or item.failed else None
        # Items of remote tools have no status (4.14): one without an output, of which nothing said that it had run, was cut.
        if told is None and item.output is None and not item.ran and item.status != "completed":
            told = Problem("incomplete", "the call was cut before it had an output", True, "Ask again.")
        label = item.server_label or ""
        self._core.news.append(McpCallEnded(item.id, item.response.id, label, item.name or "", item.output, told))

    def _problem(self, error: dict[str, Any] | None) -> Problem:
        given = error or {}
        code, message, kind = given.get("code"), given.get("message"), given.get("type")
        words = message if isinstance(message, str) else "the remote tool failed"
        return problem(str(code) if code is not None else None, self._core.scrub(words), None, str(kind or ""))

    # -- items -------------------------------------------------------------------------------------------------------------------

    def item_shown(self, item: Item, body: ItemBody, *, done: bool) -> None:
        """An item of a remote tool as some event shows it; ``done`` where it is complete."""
        label, request = body.server_label, body.approval_request_id
        item.server_label = label if isinstance(label, str) else item.server_label
        item.approval_request_id = request if isinstance(request, str) else item.approval_request_id
        item.error = body.error if isinstance(body.error, dict) else item.error
        item.approve = body.approve if isinstance(body.approve, bool) else item.approve
        if isinstance(body.tools, list):
            item.tools = tuple(tool for tool in body.tools if isinstance(tool, dict))
        if not done:
            return
        if item.type == "mcp_list_tools":
            if item.tools is not None:
                self._tools_known(item)
        elif item.type == "mcp_call":
            self._call_ended(item)
        elif item.type == "mcp_approval_request" and item.response is not None:
            self._ask(item, item.response)

    def _ask(self, item: Item, response: Response) -> None:
        if self._core.tools.approval_requested(item, response):
            label, name, arguments = item.server_label or "", item.name or "", item.arguments or ""
            self._core.news.append(ApprovalRequested(item.id, label, name, arguments, response.id))

    def response_done(self, response: Response) -> None:
        """The response has ended: a call that was not told to its end will not be."""
        for item in response.items.values():
            if item.type == "mcp_call":
                item.status = item.status if item.status not in (None, "in_progress") else "incomplete"
                self._call_ended(item)
