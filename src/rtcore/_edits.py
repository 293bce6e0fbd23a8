"""The program edits the conversation: the owner of how a wanted history becomes events, as few as can be, and when they are sent.

An edit is planned in the moment in which it is sent, against the conversation as it stands then: between the command and that
moment cuts settle and items come and go. It waits for the edits of an interruption, and what is created waits for it, so that
the model is never asked about half of it. An id that nobody knows is told, never raised; an item that was replaced or moved
answers to its old id.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from rtcore._core import Core
from rtcore._edit_plan import Entry, Plan, Planner
from rtcore._notices import HistoryEdited, Outcome, Problem
from rtcore._recent import keep_latest
from rtcore._requests import Pending
from rtcore._wire import CreateItem, Delete

_ALIASES = 1024
"""How many ids of items that were replaced or moved are remembered."""


class _Batch(Struct):
    """An edit that was sent: how much of it has no answer yet, and what went wrong."""

    open: int
    outcome: Outcome = "done"
    problem: Problem | None = None


class Edits:
    """Owner of: what does the program's history become?"""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._queue: deque[tuple[int, Callable[[], Plan]]] = deque()
        self._batches: dict[int, _Batch] = {}
        self._aliases: dict[str, str] = {}
        self._joined: dict[str, list[int]] = {}
        self._planner = Planner(core, self.resolve)

    # -- asking ------------------------------------------------------------------------------------------------------------------

    def sync(self, entries: Sequence[Entry], base: frozenset[str] | None, request: int) -> None:
        """Make the conversation what ``entries`` say; ``base`` are the ids that the program knew when it made them."""
        known = base if base is not None else frozenset(item.id for item in self._core.history)
        self._ask(request, lambda: self._planner.synchronised(entries, known))

    def replace(self, item_id: str, body: dict[str, Any], request: int) -> None:
        """Put another item in the place of this one."""
        self._ask(request, lambda: self._planner.replaced(item_id, body))

    def move(self, item_id: str, behind: str | None, request: int) -> None:
        """Put an item elsewhere: behind another, first ("root"), or last (None)."""
        self._ask(request, lambda: self._planner.moved(item_id, behind))

    def _ask(self, request: int, plan: Callable[[], Plan]) -> None:
        self._queue.append((request, plan))
        self.pump()

    def join(self, item_id: str, request: int) -> None:
        """Another request for a delete that is on its way settles with it."""
        self._joined.setdefault(item_id, []).append(request)

    def clear(self) -> None:
        """The session is over."""
        self._queue.clear()
        self._batches.clear()
        self._joined.clear()

    def line_lost(self) -> None:
        """What was sent is not answered any more, and done all the same: the next session is told the history as it was to become
        (the creation adds what was to be created). What waits is planned anew."""
        for request, batch in self._batches.items():
            self._core.requests.end(request, batch.outcome, problem=batch.problem)
        self._batches.clear()
        for item_id in list(self._joined):
            self.delete_settled(item_id, "done")

    def resolve(self, item_id: str) -> str:
        """The id by which the item goes now."""
        for _ in range(_ALIASES):
            if item_id not in self._aliases:
                break
            item_id = self._aliases[item_id]
        return item_id

    # -- leaving -----------------------------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> bool:
        """Whether an edit of the program's is still to be sent: nothing is created before it."""
        return bool(self._queue)

    def pump(self) -> None:
        """Send what may be sent now."""
        core = self._core
        while self._queue and core.ready and not (core.interruption.unsettled or core.creation.placing):
            request, plan = self._queue.popleft()
            self._send(request, self._able(plan()))

    def _able(self, plan: Plan) -> Plan:
        """The plan, or why this dialect's servers cannot carry it out."""
        core = self._core
        able, name = core.capabilities, core.dialect.name
        lacking = ""
        if plan.deletes and not able.delete:
            lacking = "delete nothing"
        elif plan.creates and not able.create:
            lacking = "take no items"
        elif not able.create_assistant and any(body.get("role") == "assistant" for body, _, _ in plan.creates):
            lacking = "take no messages of the assistant"
        if not lacking:
            return plan
        remedy = "Session.capabilities says what can be edited; leave out what cannot."
        return Plan(problem=Problem("not_supported", f"servers of the {name} dialect {lacking}", False, remedy))

    def _send(self, request: int, plan: Plan) -> None:
        core = self._core
        if plan.problem is not None:
            core.requests.end(request, "failed", problem=plan.problem)
            return
        for item_id in plan.forgotten:
            core.responses.forget(item_id)
        if plan.forgotten:
            core.continuity.retell()
        for item_id in plan.deletes:
            event_id = core.requests.event_id()
            item = core.history.get(item_id)
            if item is not None:
                item.delete_sent = True
            pending = Pending(event_id, "delete", key=item_id, edit=True, batch=request)
            core.send(Delete(event_id, core.history.wire(item_id)), pending=pending, wait_ms=core.config.timeouts.edit_ms)
        for body, item_id, behind in plan.creates:
            event_id = core.requests.event_id()
            pending = Pending(event_id, "item", key=item_id, edit=True, batch=request)
            rendered = core.dialect.render_item({**body, "id": item_id})
            before = behind if behind == "root" else core.history.wire(behind)
            core.send(CreateItem(event_id, rendered, before), pending=pending, wait_ms=core.config.timeouts.edit_ms)
            core.creation.expect_edit(item_id, body, behind)
            core.continuity.images.sent(item_id, body)
        self._aliases.update(plan.aliases)
        keep_latest(self._aliases, _ALIASES)
        core.news.append(
            HistoryEdited(
                request,
                created=tuple(item_id for _, item_id, _ in plan.creates),
                deleted=tuple(plan.deletes),
                stayed=tuple(plan.stayed),
                unknown=tuple(plan.unknown),
            )
        )
        count = len(plan.deletes) + len(plan.creates)
        if count:
            self._batches[request] = _Batch(count)
        else:
            core.requests.end(request, "done")

    # -- answers -----------------------------------------------------------------------------------------------------------------

    def answered(self, pending: Pending, problem: Problem | None = None, outcome: Outcome = "done") -> None:
        """One event of an edit has its answer; with the last of them the request settles."""
        number, batch = pending.batch, self._batches.get(pending.batch)
        if batch is None:
            return
        pending.batch = 0
        batch.open -= 1
        if outcome != "done" and batch.outcome == "done":
            batch.outcome, batch.problem = outcome, problem
        if not batch.open:
            del self._batches[number]
            self._core.requests.end(number, batch.outcome, problem=batch.problem)

    def delete_settled(self, item_id: str, outcome: Outcome, problem: Problem | None = None) -> None:
        """What became of a delete, for the requests that joined it."""
        for request in self._joined.pop(item_id, ()):
            self._core.requests.end(request, outcome, problem=problem, item_id=item_id)
