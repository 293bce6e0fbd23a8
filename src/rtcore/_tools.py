"""The tool ledger: exactly one output per completed call, one answer per batch (DESIGN 4, invariant 10).

A call is dispatched once, when its arguments are complete and its response is alive. Its output goes out at once: it needs
neither the slot nor the end of the sound. Once every call of a response is answered and it is done, one answer is due.
"""

from collections.abc import Collection
from typing import Any, Literal

from msgspec import Struct

from rtcore._core import Core
from rtcore._errors import LocalProtocolError
from rtcore._items import Item, Response
from rtcore._notices import Cause, Problem, ToolArguments, ToolCalled, ToolEnded, ToolOutcome, ToolSlow
from rtcore._recent import keep_latest
from rtcore._wire import ArgumentsDelta, ArgumentsDone

CANCELLED = '{"status":"cancelled"}'
"""The output of a call that was cancelled, where the program gives none."""
_REMEMBERED = 64
"""Settled calls of which it is known how they were, so that an answer that comes too late is told why it is refused."""

_UNTOLD = "ReplayIncomplete says why; tell the model by send_text() or create_item(), where it still matters."
_NOT_RUN = '{"error":"interrupted: the function was not called"}'
"""What a model is told of a call that was cut at a server which cannot delete it."""


class _Call(Struct):
    response: Response
    item: Item
    at: float
    """When it was told."""
    state: Literal["open", "sent", "answered", "failed"] = "open"
    respond: bool = True
    seen: bool = False
    """A response of the conversation saw its output, and answered it."""
    slow_told: bool = False
    output: dict[str, Any] | None = None
    """Its output as an item, from when it is known until the server has it."""
    output_id: str = ""
    request: int = 0


class Tools:
    """Owner of: what about tool calls?"""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._calls: dict[str, _Call] = {}
        self._outputs: dict[str, str] = {}
        self._passed: set[str] = set()
        self._unseen: dict[str, _Call] = {}
        """Calls whose output counts as there, although no word of it came: they may have gone with a line that was dead."""
        self._refused = False
        """The last output that the server dealt with was refused."""
        self._settled: dict[str, ToolOutcome] = {}
        self._filled: set[str] = set()
        """Responses to whose calls a filler was said."""
        self._offered: dict[str, None] = {}
        """Names of functions that single responses were given."""

    def arguments_delta(self, event: ArgumentsDelta) -> None:
        """A piece of the arguments, for a program that shows them as they come. Nothing is done by it."""
        core = self._core
        response = core.responses.live.get(event.response_id)
        item = core.history.get(event.item_id)
        if response is None or response.dead or item is None or item.response is not response or item.dispatched:
            core.counters.late_deltas += 1
            return
        core.news.append(ToolArguments(response.id, item.id, event.call_id or item.call_id, event.delta))

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
        now = self._core.now
        self._calls[item.call_id] = _Call(response, item, now)
        self._settled.pop(item.call_id, None)
        self._core.news.append(ToolCalled(item.call_id, item.name, item.arguments or "", response.id, item.id, at=now))
        wait_ms = self._core.config.function_calls.slow_ms
        if wait_ms is not None:
            self._core.timers.set_earlier("function call that takes long", now + wait_ms / 1000)

    def check(self, call_id: str) -> None:
        """Raise ``LocalProtocolError`` for a call that is unknown or has its output."""
        call = self._calls.get(call_id)
        if call is not None and call.item.type != "mcp_approval_request" and call.state == "open":
            return
        settled = self._settled.get(call_id)
        if settled is not None:
            raise LocalProtocolError(f"call_id: {call_id!r} {_SETTLED[settled]}")
        raise LocalProtocolError(f"call_id: {call_id!r} is not an open call; answer those that ToolCalled reported, once each")

    def approval_requested(self, item: Item, response: Response) -> bool:
        """The model asks whether it may call a remote tool. True where that is to be told: once, and not of what was cut."""
        if item.dispatched or response.dead or item.id in self._calls:
            return False
        item.dispatched = True
        self._calls[item.id] = _Call(response, item, self._core.now)
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

    def holds(self, call_id: str) -> bool:
        """Whether the call is the ledger's."""
        return call_id in self._calls

    def pins(self, item_id: str) -> bool:
        """Whether the item is a call that waits for its output, or an output that is on its way."""
        if item_id in self._outputs:
            return True
        return any(call.item.id == item_id and call.state in ("open", "sent") for call in self._calls.values())

    def item_deleted(self, item_id: str) -> None:
        """A call that is no longer in the conversation cannot be answered."""
        for call_id, call in list(self._calls.items()):
            if call.item.id == item_id and call.state == "open":
                del self._calls[call_id]
                self._ended(call, "gone")
                # It may have been the last that its batch was waiting for.
                self._batch(call.response)
                self._forget(call.response)

    def explain(self, item: Item, response: Response) -> None:
        """A call that was complete when its response was cut is not executed, and cannot be taken out of the conversation: its
        one output comes from here (invariant 10)."""
        call_id = item.call_id
        if call_id is None or item.status != "completed" or item.deleted or item.dispatched or call_id in self._calls:
            return
        if not response.out_of_band and self._core.capabilities.create:
            item.dispatched = True
            call = self._calls[call_id] = _Call(response, item, self._core.now, state="sent", respond=False)
            call.output_id = self._core.requests.item_id()
            call.output = {
                "id": call.output_id,
                "type": "function_call_output",
                "call_id": call_id,
                "output": _NOT_RUN,
            }
            self.send_output(call_id)
            self._batch(response)

    def answer(self, call_id: str, output: str, *, respond: bool, request: int, outcome: ToolOutcome = "answered") -> None:
        """Send a call's output. It is pinned: nothing holds it up, and no interruption takes it back (F064)."""
        item = {"type": "function_call_output", "call_id": call_id, "output": output}
        self._answer(call_id, item, respond=respond, request=request, outcome=outcome)

    @property
    def interruptible(self) -> bool:
        """Whether a call runs that an interruption cancels."""
        return self._core.config.function_calls.interrupted == "cancel" and bool(self._running)

    @property
    def _running(self) -> list[str]:
        return [call_id for call_id, call in self._calls.items() if call.state == "open" and call.item.type == "function_call"]

    def interrupted(self, cause: Cause) -> bool:
        """Somebody interrupts. Where calls are not to outlive that, the model is told so before anything is created (F069).
        Gives whether the answer to one of them is missing now, should no turn follow."""
        if not self.interruptible or cause in ("device", "overflow"):
            return False
        missing = False
        for call_id in self._running:
            response = self._calls[call_id].response
            missing |= not (response.out_of_band or self._said_all(response))
            self.answer(call_id, CANCELLED, respond=False, request=0, outcome="cancelled")
        return missing

    def _said_all(self, response: Response) -> bool:
        """Whether nothing is asked for once its calls are answered, because it spoke itself."""
        return self._core.config.function_calls.answer == "if_silent" and _spoke(response)

    def end(self) -> None:
        """The session is over: no call can be answered any more."""
        for call in self._calls.values():
            if call.state == "open":
                self._ended(call, "gone")
        self._calls.clear()

    def offer(self, body: dict[str, Any]) -> None:
        """A response is given functions of its own."""
        for tool in body.get("tools") or ():
            self._offered[str(tool.get("name"))] = None
        keep_latest(self._offered, _REMEMBERED)

    @property
    def open(self) -> bool:
        """Whether any call has no output yet."""
        return any(call.state == "open" for call in self._calls.values())

    @property
    def names(self) -> frozenset[str] | None:
        """The functions that the model was told of, or None where a stored prompt may define others."""
        core = self._core
        if core.session.get("prompt") or core.asked.get("prompt"):
            return None
        # Not every server repeats what it was given.
        lists = [each for each in (core.session.get("tools"), core.asked.get("tools")) if isinstance(each, list | tuple)]
        return frozenset(str(tool.get("name")) for told in lists for tool in told if isinstance(tool, dict)).union(self._offered)

    # -- calls that take long ----------------------------------------------------------------------------------------------------

    def slow(self) -> None:
        """Some call is open for so long that somebody should say so."""
        core = self._core
        options = core.config.function_calls
        wait = (options.slow_ms or 0) / 1000
        again: list[float] = []
        for call_id, call in self._calls.items():
            if call.state != "open" or call.item.type != "function_call":
                continue
            if core.now < call.at + wait:
                again.append(call.at + wait)
                continue
            filler = self._may_fill(call)
            if not call.slow_told:
                call.slow_told = True
                core.news.append(ToolSlow(call_id, call.item.name or "", int((core.now - call.at) * 1000 + 0.001), filler))
            if filler:
                self._filled.add(call.response.id)
                core.creation.ask_filler(options.filler or "")
            elif options.filler is not None and call.response.id not in self._filled:
                again.append(core.now + wait)  # something sounds: it may end before the call does
        if again:
            core.timers.set("function call that takes long", min(again))

    def _may_fill(self, call: _Call) -> bool:
        core = self._core
        wanted = core.config.function_calls.filler is not None and call.response.id not in self._filled
        able = core.capabilities.out_of_band and core.capabilities.playout != "server" and core.ready
        # Calls of another response may be slow in the same moment: one filler is enough to wait for both.
        silent = core.playout.idle and not core.responses.running and not core.creation.filling
        silent = silent and not core.turns.user_has_the_floor
        return wanted and able and silent and not core.interruption.editing and not core.playout.held

    def approve(self, request_id: str, *, approve: bool, reason: str | None, respond: bool, request: int) -> None:
        """Answer a request for approval, which counts as a call of its batch: one response follows them all (facts 4.14)."""
        said = {"type": "mcp_approval_response", "approval_request_id": request_id, "approve": approve}
        self._answer(request_id, said if reason is None else {**said, "reason": reason}, respond=respond, request=request)

    def _answer(
        self, call_id: str, item: dict[str, Any], *, respond: bool, request: int, outcome: ToolOutcome = "answered"
    ) -> None:
        core = self._core
        call = self._calls[call_id]
        call.state = "sent"
        call.respond = respond
        self._ended(call, outcome)
        if call.response.out_of_band:
            call.state = "answered"
            core.requests.end(request, "done")
            self._batch(call.response)
            self._forget(call.response)
            return
        call.output_id, call.request = core.requests.item_id(), request
        call.output = {"id": call.output_id, **item}
        if core.continuity.holds(call.item):
            self.send_output(call_id)  # else it goes with its call, which the present session was not told
        self._batch(call.response)

    def _ended(self, call: _Call, outcome: ToolOutcome) -> None:
        if call.item.type == "function_call":
            now, item = self._core.now, call.item
            took_ms = max(0, int((now - call.at) * 1000 + 0.001))
            self._settled[item.call_id or ""] = outcome
            keep_latest(self._settled, _REMEMBERED)
            self._core.news.append(ToolEnded(item.call_id or "", item.name or "", outcome, now, took_ms))

    def send_output(self, call_id: str, previous_item_id: str | None = None) -> str:
        """Create the output of a call that is in the conversation; at its end, or where the call is not. Gives its id."""
        call = self._calls[call_id]
        if call.output is not None:
            self._outputs[call.output_id] = call_id
            self._core.creation.send_output(call.output, call.output_id, call.request, previous_item_id)
        return call.output_id

    # -- another connection ------------------------------------------------------------------------------------------------------

    def owns(self, item_id: str | None) -> bool:
        """Whether the item is an output that was sent."""
        return item_id in self._outputs

    def output_of(self, call_id: str | None) -> str | None:
        """The output of a call that the server may not have, as text, or None: there is none yet, or the server has it."""
        call = self._calls.get(call_id or "")
        return str(call.output["output"]) if call is not None and call.output is not None and "output" in call.output else None

    def goes_with(self, item: Item) -> bool:
        """Whether an output that the present server was not sent is due with this item of its call. A server may announce a call
        twice: only where its own item was deleted does its output go with the other."""
        call = self._calls.get(item.call_id or "")
        if call is None or call.output is None or self.owns(call.output_id):
            return False
        return call.item is item or call.item.deleted

    def is_open(self, call_id: str | None) -> bool:
        """Whether the call still runs."""
        call = self._calls.get(call_id or "")
        return call is not None and call.state == "open"

    @property
    def open_calls(self) -> bool:
        """Whether any call of the conversation still runs."""
        return any(call.state == "open" and not call.response.out_of_band for call in self._calls.values())

    def line_lost(self, told: Problem) -> None:
        """Outputs that the lost session did not confirm are to be created with their calls in the next; what only that session
        could be told, an approval, is over."""
        self._outputs.clear()
        self._passed.clear()
        self._refused = False
        for call_id, call in list(self._calls.items()):
            if call.item.type == "mcp_approval_request":
                if call.output is not None:
                    self._core.requests.end(call.request, "connection_lost", problem=told)
                del self._calls[call_id]
        for call_id, call in self._unseen.items():
            if not call.item.deleted:
                call.state, call.request = "sent", 0
                self._calls.setdefault(call_id, call)
        self._unseen.clear()
        for response in {call.response.id: call.response for call in self._calls.values()}.values():
            self._batch(response)
            self._forget(response)

    def give_up_untold(self) -> None:
        """The present session was told all that it can be: a result that it was not, nobody ever has. Its request ends (invariant
        2), and no answer is asked for on its account."""
        core = self._core
        told = Problem("connection_lost", "the next session could not be told the call of this result", False, _UNTOLD)
        for call in list(self._calls.values()):
            if call.state == "sent" and call.output is not None and not self.owns(call.output_id):
                call.state, call.output = "failed", None
                core.creation.drop_output(call.output_id)
                core.requests.end(call.request, "connection_lost", problem=told)
                self._dealt_with(call.response)

    def line_lives(self) -> None:
        """The server goes on: it has what it did not confirm."""
        for call in self._unseen.values():
            call.output = None
        self._unseen.clear()

    def seen(self, *, behind: frozenset[str]) -> frozenset[str]:
        """A response of the conversation shows itself: it answers the outputs that it saw. Gives those that it may not have seen,
        because the server has not confirmed them, nor a later one, or that were sent ``behind`` its ``response.create``."""
        unseen = behind | (self._outputs.keys() - self._passed)
        for call in self._calls.values():
            call.seen |= call.state == "answered" and call.output_id not in unseen
        return unseen

    def withholds(self, outputs: Collection[str]) -> bool:
        """Whether an answer to these waits: the server refused an output, and has confirmed none since, nor any of these."""
        return self._refused and all(item_id in self._outputs for item_id in outputs)

    def output_announced(self, item_id: str, *, late: bool = False) -> None:
        """The server has the output, and has dealt with those that were sent before. ``late``: no word of it came in time."""
        if item_id not in self._outputs:
            for call_id in [each for each, call in self._unseen.items() if call.output_id == item_id]:
                self._unseen.pop(call_id).output = None
            return
        for earlier in self._outputs:
            if earlier == item_id:
                break
            self._passed.add(earlier)
        call_id = self._taken(item_id)
        call = self._calls[call_id]
        call.state = "answered"
        held = self._refused
        if late:
            self._unseen[call_id] = call
            keep_latest(self._unseen, _REMEMBERED)
        else:
            call.output = None
            self._refused = False
        self._dealt_with(call.response)
        if held:
            self._core.creation.pump()

    def output_failed(self, item_id: str) -> None:
        """The server refused the output: the call is failed, and no answer is asked for blindly (F071).

        Nor is one until an output was confirmed: a model that calls again at a server that refuses every output would otherwise
        be asked, and paid for, without end.
        """
        if item_id not in self._outputs:
            return
        call = self._calls[self._taken(item_id)]
        call.state = "failed"
        call.output = None
        self._refused = True
        self._core.creation.drop_output(item_id)
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
        response.tools_answered = True
        self._filled.discard(response.id)
        self._core.creation.drop_filler()
        # The program that interrupted decides itself what comes next. A person's turn, spoken or typed, is answered, by the
        # server or by us (F064), and a device or a full buffer decides nothing.
        silenced = response.cut_cause == "program" and not response.by_button
        owed = [call.output_id for call in calls if call.respond and call.state != "failed"]
        if owed and not (response.out_of_band or silenced or self._said_all(response)):
            self._core.creation.ask_tools_answer(owed, [call.output_id for call in calls if call.seen])
            self._core.creation.pump()

    def _forget(self, response: Response) -> None:
        # Answered calls stay in the history; the ledger keeps only what can still change.
        if not response.tools_answered:
            return
        for call_id, call in list(self._calls.items()):
            if call.response is response and call.state in ("answered", "failed"):
                del self._calls[call_id]


_SETTLED: dict[ToolOutcome, str] = {
    "answered": "has its output already; each call gets exactly one",
    "cancelled": "was cancelled, and the model has been told so; drop this result",
    "gone": "is not in the conversation any more; drop this result",
}


def _spoke(response: Response) -> bool:
    """Whether the response said anything itself: sound that came, or text (F059)."""
    messages = [item for item in response.items.values() if item.type == "message"]
    return any(item.full_text or any(segment.received for segment in item.segments) for item in messages)
