"""May something be created now? The response slot, and the queue of everything we create.

The slot holds one in-conversation response at a time:

    FREE      -- we send response.create -->            RESERVED
    RESERVED  -- response.created (ours) -->            ACTIVE
    RESERVED  -- rejection, or no answer in time -->    FREE   (an active-response rejection queues it once more)
    any       -- response.created (the server's) -->    ACTIVE
    ACTIVE    -- response.done of every active one -->  FREE

Items and responses of ours leave in the order in which they were asked for, and only while no edit of ours is unsettled: the
model must not answer from words that nobody heard (DESIGN 3). Out-of-band responses have a lane of their own, past the slot.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import Any

import msgspec
from msgspec import UNSET, Struct, structs

from rtcore._consult import consult
from rtcore._context import ContextView, CreationView, Wanted, checked, context, creation, of_waiting
from rtcore._core import Core
from rtcore._errors import ErrorKind, named_response
from rtcore._formats import AudioFormat
from rtcore._items import Asked, Response
from rtcore._notices import Cause, ContextStale, Outcome, Problem
from rtcore._recent import keep_latest
from rtcore._requests import Pending
from rtcore._wire import CreateItem, CreateResponse, ItemAddedEvent, ItemBody
from rtcore.dialects import audio_format

_METADATA = "rtcore_request"
"""Correlates ``response.created`` with our request: the server echoes metadata, not our event_id (facts 5.4)."""
_TRIES = 3
"""How often an answer of ours that the server refuses for a passing reason is asked for again."""
_AGAIN_S = 1.0
"""How long after the first refusal; twice as long after each further one."""
_TROUBLE = frozenset({"server_error", "internal_error", "rate_limit_exceeded", "inference_rate_limit_exceeded"})
"""What a server says that could not begin a response (facts 6.1), and may say of anything else."""
_SHOWN_S = 2.0
"""So long a response may take to show itself for whose refusal such an error is taken."""
_ANY_TURN = frozenset({""})
"""A turn that is none of the program's items, so that no refusal can take it back."""
_KEPT = 64
"""Orders that were given up and are known again if their response shows itself."""


class Order(Struct):
    """Something to create: an item (``item_id`` set) or a response."""

    request: int
    """What the program waits for; 0: nobody asked for it by name."""
    number: int
    """Its mark, by which a response is known to be ours."""
    body: dict[str, Any]
    item_id: str | None = None
    previous_item_id: str | None = None
    edit: bool = False
    """A part of an edit; with a ``body`` if it is to say what no other item says."""
    after: str | None = None
    """The item without which it makes no sense."""
    gated: bool = True
    """An item that waits for edits of ours."""
    out_of_band: bool = False
    audible: bool = True
    hold_ms: int | None = None
    """How long its first audio is held back; None: as configured."""
    interruptible: bool = True
    """A person's voice may cut it."""
    asked_at: float = float("-inf")
    """When it was sent."""
    for_turn: bool = False
    """Our answer to a turn of the user's that nobody else answers ..."""
    for_tools: frozenset[str] = frozenset()
    """.. or to these outputs of function calls."""
    turn_items: frozenset[str] = _ANY_TURN
    """The items of the turns that it answers, where they are the program's; "": of one that is not."""
    for_user: bool = False
    """The program asked for it by name as the answer to a turn that it made: typed, or by button."""
    stands_for: frozenset[str] = frozenset()
    """The items of requests that gave way to it; "": of one that has none."""
    retried: bool = False
    """It was refused because a response ran, and is asked for once more."""
    doubtful: bool = False
    """A refusal that named no event may have been its own, or that of a creation of the server's."""
    suspected: Problem | None = None
    """That refusal, while what holds the slot has not shown itself."""
    suspected_at: float = 0.0
    """When it came."""
    trouble: Problem | None = None
    """An error that named nothing, and that may have been its refusal: it is, should nothing of its response be seen soon."""
    turns: int = 0
    """How many turns the server had to answer by itself until then."""
    dead: bool = False
    """Interrupted or given up: should its response show itself, nobody is to hear it."""
    cut_cause: Cause = "program"
    """What interrupted it, where it was interrupted."""
    filler: bool = False
    """A few words while a function takes long: nobody is to hear them once something else comes."""
    given_up: bool = False
    """Dead only because it had no answer in time."""
    due: float | None = None
    """When its turn must have come."""
    unseen: frozenset[str] = frozenset()
    """Items that were sent behind it: on one line nothing overtakes."""
    place: int = 0
    """Behind so many of the events that wait for the session to be acknowledged it was asked for."""

    def interrupted(self, cause: Cause) -> None:
        """An interruption ends it. The program's own is the last word: it decides itself what comes next."""
        if not self.dead or cause == "program":
            self.cut_cause = cause
        self.dead = True

    @property
    def in_vain(self) -> bool:
        """Whether what it was for has been answered meanwhile, and nobody waits for it by name."""
        return not (self.request or self.for_turn or self.for_tools)

    @property
    def answers(self) -> frozenset[str]:
        """The items of ours without all of which it answers nothing."""
        if self.after is not None:
            return self.stands_for | {self.after}
        return _ANY_TURN if self.for_tools else self.turn_items

    @property
    def silent(self) -> bool:
        """Whether nobody would hear its response, so that an interruption has nothing to do with it."""
        return self.out_of_band and not self.audible

    @property
    def asked(self) -> Asked:
        """How it is asked for."""
        return Asked(self.body, self.after, self.hold_ms, self.interruptible)


class Claim(Struct, frozen=True):
    """Whose a response is that the server announced."""

    request: int | None = None
    shown: int | None = None
    ours: bool = False
    dead: bool = False
    doubtful: bool = False
    out_of_band: bool = False
    audible: bool = True
    interruptible: bool = True
    asked_at: float | None = None
    answers: frozenset[str] = frozenset()
    asked: Asked | None = None
    format: AudioFormat | None = None
    hold_ms: int | None = None
    text: bool = False
    for_user: bool = False
    unseen: frozenset[str] = frozenset()


class Creation:
    """Owner of: may a response be created now?"""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._queue: deque[Order] = deque()
        self._reserved: Order | None = None
        self._side: dict[int, Order] = {}
        self._expired: dict[int, Order] = {}
        self._passed_for: dict[int, Order] = {}
        """Orders for whose response one passed that was never announced."""
        self._late: dict[str, Order] = {}
        """Items of edits that had no answer in time: the same edit is not sent once more while they are on their way."""
        self._items: dict[str, Order] = {}
        self._foreign = False
        self._dropped_at = float("-inf")
        """When the program last interrupted everything: what was due by then is its own to decide."""
        self._turns_due: frozenset[str] = frozenset()
        """The items of the turns to which an answer is due; "": of one that is none of the program's."""
        self._tools_due: frozenset[str] = frozenset()
        self._tools_seen: frozenset[str] = frozenset()
        self._again: deque[tuple[str, Asked]] = deque()
        """Answers that are due once more, as they were asked for, each with the response that did not become it."""
        self._refused: list[Order] = []
        self._vain: Order | None = None
        """An answer that was given up without a word: where it was the line that was dead, the next session is asked for it."""
        self._tries = 0
        self._echoes = False

    # -- asking ------------------------------------------------------------------------------------------------------------------

    def ask_response(
        self,
        body: dict[str, Any],
        *,
        request: int,
        out_of_band: bool = False,
        audible: bool = True,
        after: str | None = None,
        hold_ms: int | None = None,
        interruptible: bool = True,
        for_user: bool = False,
    ) -> None:
        """Queue a response of the program; ``after`` is the item it answers, without which it makes no sense. ``for_user``: it
        answers a turn that the program made, and nothing else will."""
        core = self._core
        due = core.now + core.config.timeouts.queue_ms / 1000
        order = Order(request, request, body, after=after, out_of_band=out_of_band, audible=audible, hold_ms=hold_ms, due=due)
        order.interruptible, order.place, order.for_user = interruptible, core.kept, for_user
        self._queue.append(order)
        core.timers.set_earlier("turn of a request", due)
        self._coalesce()

    def _coalesce(self) -> None:
        """Of several requests that wait, those to which the answer of another is one too are not asked for (C15)."""
        core = self._core
        waiting = [o for o in self._queue if o.item_id is None and not (o.out_of_band or o.retried or o.doubtful)]
        if len(waiting) < 2:
            return
        wanted = tuple(Wanted(order.request, _plain(order)) for order in waiting)
        view = CreationView(wanted, core.config.coalesce)
        given_up = consult(core, "creation", of_waiting(core.policies.creation), creation, view, tuple)
        for order in waiting:
            if order.request in given_up:
                self._queue.remove(order)
                if _plain(waiting[-1]):
                    waiting[-1].for_user |= order.for_user
                    waiting[-1].stands_for |= order.stands_for | {order.after or ""}
                core.requests.end(order.request, "superseded")

    def ask_filler(self, instructions: str) -> None:
        """A few words beside the conversation, to be heard now or not at all; nobody waits for them by name."""
        core = self._core
        number = core.requests.number()
        body = {"conversation": "none", "instructions": instructions, "tool_choice": "none"}
        self._send_response(Order(0, number, body, out_of_band=True, filler=True))

    @property
    def filling(self) -> bool:
        """Whether a few words are asked for and have not begun."""
        return any(order.filler and not order.dead for order in self._side.values())

    def drop_filler(self) -> None:
        """There is something better to hear: what was not begun is cancelled when it shows itself."""
        for order in self._side.values():
            order.dead |= order.filler

    def ask_item(self, item: dict[str, Any], item_id: str, *, request: int, previous_item_id: str | None, gated: bool) -> None:
        """Queue an item. User items wait for edits (``gated``); others only for their place in the queue."""
        self._queue.append(Order(request, request, item, item_id, previous_item_id, gated=gated, place=self._core.kept))

    def send_output(self, item: dict[str, Any], item_id: str, request: int, previous_item_id: str | None) -> None:
        """Send a function call's output now: it is no creation that an edit could make wrong."""
        self._send_item(Order(request, request, item, item_id, previous_item_id))

    def ask_answer(self, items: frozenset[str] = _ANY_TURN) -> None:
        """An answer that nobody asked for by name is due, to a committed turn; several become one (C15). ``items``: to turns
        that the program told in words."""
        self._turns_due |= items

    def server_answers(self) -> None:
        """The server answers a later turn by itself, and with it the one before, to which an answer is still due (C15)."""
        self._turns_due = frozenset()

    def ask_again(self, response: Response) -> bool:
        """The answer that this response was to be is due once more, as it was asked for; nobody waits for it by name. False where
        nothing was said of it, so that any answer will do.
        """
        if response.asked is None or response.asked.plain:
            return False
        self._again.append((response.id, response.asked))
        return True

    def drop_again(self, response_id: str) -> None:
        """What came of this response was interrupted: it is due no more."""
        self._again = deque(each for each in self._again if each[0] != response_id)

    def ask_tools_answer(self, outputs: Collection[str], seen: Collection[str]) -> None:
        """The same to a batch of outputs: one that was refused later, or is not there yet, is none to be answered (F071).
        ``seen``: those that a response saw, which is answer enough where no other of the batch is there."""
        self._tools_due |= frozenset(outputs)
        self._tools_seen = (self._tools_seen | frozenset(seen)) & self._tools_due

    def drop_output(self, item_id: str) -> None:
        """An output was refused: an answer to it would make no sense; one to others that the server has is due (F071)."""
        sent = [self._reserved] if self._reserved is not None else []
        for order in [*sent, *self._refused]:
            order.for_tools -= {item_id}
        self._tools_due -= {item_id}
        if self._tools_due <= self._tools_seen:
            self._tools_due = self._tools_seen = frozenset()

    @property
    def placing(self) -> bool:
        """Whether an item of ours is on its way, so that its place is not known yet."""
        return bool(self._items)

    @property
    def _unsaid(self) -> frozenset[str]:
        """Items of ours that a response which shows itself now has not seen: the server has not told of them."""
        return frozenset([*self._items, *(order.item_id for order in self._queue if order.item_id is not None)])

    def output_of(self, call_id: str) -> str | None:
        """The item of this call's output that is on its way."""
        output = {"type": "function_call_output", "call_id": call_id}
        return next((key for key, order in self._items.items() if output.items() <= order.body.items()), None)

    def knows(self, item_id: str | None) -> bool:
        """Whether the item is in the conversation, or on its way there from us."""
        if item_id is None:
            return False
        return (
            item_id in self._items
            or item_id in self._late
            or any(o.item_id == item_id for o in self._queue)
            or bool(self._core.history.get(item_id))
        )

    # -- leaving -----------------------------------------------------------------------------------------------------------------

    def pump(self, *, before: int | None = None) -> None:
        """Create what may be created now. Called whenever something could have opened the way. ``before``: only what was asked
        for before the event of that place among those that waited for the session."""
        core = self._core
        if not core.ready:
            return
        core.edits.pump()
        if self._again and self._may_ask:
            _, asked = self._again.popleft()
            order = Order(0, core.requests.number(), asked.body, after=asked.after, hold_ms=asked.hold_ms, for_turn=True)
            order.interruptible = asked.interruptible
            self._send_response(order)
        while self._queue:
            order = self._queue[0]
            if before is not None and order.place > before:
                return
            if order.item_id is not None:
                if order.gated and core.interruption.editing:
                    return
                self._queue.popleft()
                self._send_item(order)
            elif core.interruption.editing:
                return
            elif order.out_of_band or self._free:
                self._queue.popleft()
                self._send_response(order)
            else:
                self._send_beside(before)
                return
        core.timers.cancel("turn of a request")
        if before is not None:
            return
        due = bool(self._turns_due) or (bool(self._tools_due) and not core.tools.withholds(self._tools_due))
        if due and self._may_ask:
            order = Order(0, core.requests.number(), {}, for_turn=bool(self._turns_due), for_tools=self._tools_due)
            order.turn_items = self._turns_due
            self._turns_due = self._tools_due = self._tools_seen = frozenset()
            self._send_response(order)

    def _send_beside(self, before: int | None) -> None:
        """The slot is taken: out-of-band responses do not wait for it, but for the items asked for before them."""
        for order in list(self._queue):
            if order.item_id is not None or (before is not None and order.place > before):
                return
            if order.out_of_band:
                self._queue.remove(order)
                self._send_response(order)

    @property
    def due(self) -> bool:
        """Whether a response of ours that somebody is to hear is asked for in the conversation, or will be."""
        owed = bool(self._turns_due or self._tools_due or self._refused or self._again)
        order = self._reserved
        sent = order is not None and not order.dead and not order.in_vain
        return owed or sent or any(o.item_id is None and not o.out_of_band for o in self._queue)

    @property
    def awaited(self) -> bool:
        """Whether an answer of ours was asked for, or given up, of which nothing was seen."""
        return self._reserved is not None or any(not order.out_of_band for order in self._expired.values())

    @property
    def _free(self) -> bool:
        return not (self._reserved is not None or self._foreign or self._core.responses.running)

    @property
    def _may_ask(self) -> bool:
        """Whether an answer that nobody waits for by name may be asked for."""
        core = self._core
        return self._free and not core.interruption.editing and not core.turns.user_has_the_floor

    def _send_item(self, order: Order) -> None:
        core = self._core
        item_id = order.item_id or ""
        event_id = core.requests.event_id()
        self._items[item_id] = order
        if self._reserved is not None:
            self._reserved.unseen |= {item_id}
        core.continuity.images.sent(item_id, order.body)
        # Its predecessor may have been deleted while it waited for its turn.
        previous = order.previous_item_id and core.history.standing(order.previous_item_id)
        core.send(
            CreateItem(event_id, core.dialect.render_item(order.body), previous and core.history.wire(previous)),
            pending=Pending(event_id, "item", request=order.request or None, key=item_id),
            wait_ms=core.config.timeouts.edit_ms,
        )

    def expect_edit(self, item_id: str, body: dict[str, Any] | None = None, behind: str | None = None) -> None:
        """An item that is an edit was sent: it is on its way, and nobody waits for it by name. ``body``, and the item ``behind``
        which it stands, of one that says something itself: it is not lost with the line.
        """
        self._items[item_id] = Order(0, 0, body or {}, item_id, behind, edit=True)

    def _send_response(self, order: Order) -> None:
        core = self._core
        if order.out_of_band:
            self._side[order.number] = order
        else:
            self._reserved = order
        event_id = core.requests.event_id()
        body = order.body
        if core.capabilities.metadata:
            body = {**body, "metadata": {**(body.get("metadata") or {}), _METADATA: str(order.number)}}
        if "input" in body:
            body = {**body, "input": [self._referring(each) for each in body["input"]]}
        order.due = order.trouble = None
        order.doubtful = False  # of one that is sent once more no refusal is open
        order.unseen = frozenset()  # .. and what was sent behind the one that was refused stands before it
        order.asked_at = core.now
        core.send(
            CreateResponse(event_id, core.dialect.render_response(body)),
            pending=Pending(event_id, "response", request=order.request or None, key=str(order.number)),
            wait_ms=core.config.timeouts.create_ms,
        )

    def _referring(self, item: Any) -> Any:
        """An item of a response's input; one that is named may have another name on this connection."""
        if not isinstance(item, dict) or item.get("type") != "item_reference" or not isinstance(item.get("id"), str):
            return item
        return {**item, "id": self._core.history.wire(item["id"])}

    # -- another connection ------------------------------------------------------------------------------------------------------

    def stays_behind(self, pending: Pending) -> None:
        """What was sent has no answer: asked for again, it stays behind the turns and the options that were sent before it."""
        if pending.kind == "item" and pending.key in self._items:
            self._items[pending.key] = order = self._items.pop(pending.key)
            order.place = self._core.kept
        elif pending.kind == "response":
            for order in self._sent:
                if pending.key == str(order.number):
                    order.place = self._core.kept

    @property
    def _sent(self) -> list[Order]:
        """Responses that were asked for and have not begun."""
        return [*([self._reserved] if self._reserved is not None else []), *self._side.values()]

    def asks(self, request: int) -> bool:
        """Whether this request is for a response of which nothing was seen yet."""
        sent = self._reserved is not None and self._reserved.request == request and not self._reserved.dead
        return sent or any(order.request == request and order.item_id is None for order in self._queue)

    def spoken(self, item: dict[str, Any], item_id: str, request: int) -> None:
        """What the user said, and a server that is gone was to make an item of: it counts as one that was sent to it."""
        self._items[item_id] = Order(request, request, item, item_id, place=self._core.kept)

    def line_lost(self, told: Problem, *, again: bool) -> None:
        """Nothing that was sent is answered any more. What was not carried out is asked for ``again``, or fails; what was
        interrupted is over."""
        core = self._core
        sent = [o for o in self._items.values() if o.body and not (o.edit or core.tools.owns(o.item_id))]
        edits = [order for order in [*self._late.values(), *self._items.values()] if order.edit and order.body]
        for order in self._queue:
            order.doubtful = order.retried = False
        asked = self._sent
        due = [order for order in [*asked, *self._refused] if (order.for_turn or order.for_tools) and not order.dead]
        for order in asked:
            if order.dead:
                core.requests.end(order.request, "cancelled")
        asked = [order for order in asked if not (order.dead or order in due) and core.requests.is_open(order.request)]
        due += [self._vain] if self._vain is not None else []
        self._items.clear()
        self._late.clear()
        self._side.clear()
        self._expired.clear()
        self._passed_for.clear()
        self._reserved = None
        self._forget_refused()
        self._slot_shown()
        for order in edits:
            # What it took away is gone from what the next session is told: so what it put there is a part of that.
            core.responses.item_announced(_announcement(order))
        core.continuity.images.line_lost()
        if again:
            for order in asked:
                order.doubtful, order.suspected = False, None
                order.due = core.now + core.config.timeouts.queue_ms / 1000
                core.timers.set_earlier("turn of a request", order.due)
            for order in self._queue:
                order.place = core.kept
            # An item comes before the response to it, which has a number of its own; so does a turn that is said again.
            asked.sort(key=lambda order: order.number)
            self._queue = deque(sorted([*sent, *asked, *self._queue], key=lambda order: order.place))
        else:
            untold = frozenset(order.item_id for order in [*sent, *self._queue] if order.item_id is not None)
            for order in due:
                order.turn_items -= untold
                order.for_turn &= bool(order.turn_items)
            self._turns_due -= untold
            for order in sorted([*sent, *asked, *self._queue], key=lambda order: order.request):
                core.requests.end(order.request, "connection_lost", problem=told)
            self._queue.clear()
            core.timers.cancel("turn of a request")
        for order in due:
            self._make_due(order)

    # -- answers -----------------------------------------------------------------------------------------------------------------

    def visible(self, metadata: dict[str, Any] | None) -> dict[str, str] | None:
        """The program's own metadata, without our mark."""
        if metadata is None:
            return None
        return {key: value for key, value in metadata.items() if key != _METADATA and isinstance(value, str)} or None

    def claim(self, metadata: dict[str, Any] | None, *, announced: bool, conversation_known: bool) -> Claim:
        """Whose response this is: by our mark in its metadata; by order only from a server that never echoed one, or where the
        response shows itself without having been announced (facts 4.10).
        """
        core = self._core
        number = _number(metadata)
        order: Order | None = None
        passed = False
        if number is not None:
            self._echoes = True
            order = self._take(number) or self._given_up(number)
        elif metadata is None and not (announced and self._echoes):
            # Where the server creates too, a response without the mark is its own; else the order tells.
            unmarked = not core.capabilities.metadata and not core.turns.automatic
            if self._reserved is not None and (unmarked or not core.acknowledged.server_creates):
                order, self._reserved = self._reserved, None
                passed = not announced
                if not core.capabilities.metadata:
                    self._expired.clear()  # it may have been one of these: then the next is the one that is wanted
            elif self._expired and announced and not (core.capabilities.metadata or core.acknowledged.server_creates):
                # A server that gives nothing back and creates nothing by itself: one that was given up shows itself (B14).
                order = self._expired.pop(next(iter(self._expired)))
            elif announced and self._side and not conversation_known:
                order = self._side.pop(next(iter(self._side)))
        if order is None:
            return Claim()
        pending = core.requests.take_first("response", str(order.number))
        if passed and pending is not None:
            self._passed_for[order.number] = structs.replace(order, dead=True, given_up=True, due=pending.due)
            keep_latest(self._passed_for, _KEPT)
        shown = order.request if order.request and core.requests.is_open(order.request) else None
        return Claim(
            request=order.request or None,
            shown=shown,
            ours=True,
            dead=order.dead,
            doubtful=order.doubtful,
            out_of_band=order.out_of_band,
            audible=order.audible,
            interruptible=order.interruptible,
            asked_at=order.asked_at,
            answers=order.answers,
            asked=None if order.out_of_band else order.asked,
            format=_format(order.body),
            hold_ms=order.hold_ms,
            text="text" in (order.body.get("output_modalities") or ()),
            for_user=order.for_user,
            unseen=order.unseen,
        )

    def _given_up(self, number: int) -> Order | None:
        """The order of this number, if another response passed for its own, and its time is over: what passed for it had been
        given up before, and two answers are one too many (B14)."""
        order = self._passed_for.pop(number, None)
        return order if order is not None and order.due is not None and self._core.now >= order.due else None

    def _take_sent(self, number: int) -> Order | None:
        """The order of this number that was sent and has no answer yet; now it has one."""
        order = self._reserved
        if order is None or order.number != number:
            return self._side.pop(number, None)
        self._reserved = None
        return order

    def _take(self, number: int) -> Order | None:
        """The order whose response shows itself: without an answer until now, given up, or waiting to be tried again."""
        return self._take_sent(number) or self._expired.pop(number, None) or self._unqueue(number)

    def _unqueue(self, number: int) -> Order | None:
        """A request that was to be tried again after a refusal that was not its own."""
        found = next((order for order in self._queue if order.number == number and order.item_id is None), None)
        if found is not None:
            self._queue.remove(found)
        return found

    def _keep(self, order: Order) -> None:
        """Know the order again, should its response show itself after all."""
        self._expired[order.number] = order
        keep_latest(self._expired, _KEPT)

    def response_created(
        self, response: Response, *, announced: bool, ours: bool, doubtful: bool, unseen: frozenset[str]
    ) -> None:
        """A response runs: an unnamed answer that was due is given by it, if it can have seen what it was due for. One with an
        ``input`` of its own has seen nothing of the conversation (facts 5.1). ``unseen``: items that were sent behind it."""
        if response.out_of_band:
            return
        self._slot_shown()
        if not ours:
            self._core.turns.automatic_seen()
        own_refused = announced and self._server_was_refused(response.id)
        if not ours and announced and not own_refused:
            self._refused_after_all(begun=True)
        if not (response.dead or response.own_input):
            self._forget_refused()
            self._core.barge_in.answered(response)
            unsaid = self._unsaid | unseen
            self._turns_due &= unsaid
            unseen = self._core.tools.seen(behind=unseen)
            self._tools_due &= unseen
            self._tools_seen &= unseen
            if self._reserved is not None and self._reserved.asked.plain:
                # .. and so is the one that was asked for and has no answer yet: refused or lost, it is not asked for again.
                self._reserved.turn_items &= unsaid
                self._reserved.for_turn &= bool(self._reserved.turn_items)
                self._reserved.for_tools &= unseen
        if ours and own_refused:
            self._core.turns.server_could_not_answer()  # what was given up answers nothing
        if doubtful:
            self._core.turns.server_could_not_answer()
        elif not response.own_input:
            self._core.turns.answered(by_server=not ours)
        if own_refused and not ours:
            self._core.turns.server_could_not_answer()
        if response.context_stale and response.dead:
            self.ask_answer()  # what it was to answer is answered after our edits

    def named_at_last(self, response: Response, metadata: dict[str, Any] | None) -> None:
        """A response that was never announced says at its end whose it is (facts 4.10): our request settles with it."""
        number = _number(metadata)
        order = self._take(number) if number is not None else None
        if order is None:
            return
        self._core.requests.take_first("response", str(order.number))
        response.request = order.request or None
        if order.dead and not order.given_up and not response.dead:
            self._core.interruption.barge_in("program", response.id)
            response.cut_cause = order.cut_cause  # who interrupted it decides whether what it called is answered (F064)
        if order.suspected is not None and self._core.config.answer_turns and order.suspected_at >= self._dropped_at:
            # It passed for the server's answer to the turn whose own creation was the one refused, and nobody dropped that since.
            self.ask_answer()
        elif order.doubtful:
            self._core.turns.server_could_not_answer()

    def stale(self, response: Response, unheard_ms: int | None) -> bool:
        """The server created this response before our edits were acknowledged (DESIGN 3). Gives whether it is not to stand."""
        core = self._core
        response.context_stale = True
        view = ContextView(response.id, core.config.context, core.config.stale_context, unheard_ms)
        again = consult(core, "context", checked(core.policies.context), context, view, str) == "recreate"
        core.news.append(ContextStale(response.id, again))
        return again

    def response_done(self, response: Response, status: str, problem: Problem | None) -> None:
        """The slot may be free; the request that led to it settles."""
        outcome = "cancelled" if response.dead else _outcome(status)
        self._core.requests.end(response.request, outcome, problem=problem, response_id=response.id)
        if not response.out_of_band:
            self._refused_after_all()
        self.pump()

    def unknown_done(self, response_id: str, metadata: dict[str, Any] | None, status: str, problem: Problem | None) -> None:
        """A response ended of which nothing else was seen (facts 4.10): if it was ours, its request settles."""
        core = self._core
        number = _number(metadata)
        order = self._take(number) if number is not None else None
        if order is not None:
            core.requests.take_first("response", str(order.number))
            core.requests.end(order.request, _outcome(status), problem=problem, response_id=response_id)
        else:
            core.turns.automatic_seen()
        if order is None or not order.out_of_band:
            self._slot_shown()
        self.pump()

    def item_announced(self, item_id: str) -> None:
        """An item of ours is in the conversation."""
        core = self._core
        core.continuity.images.arrived(item_id)
        self._late.pop(item_id, None)
        if self._items.pop(item_id, None) is None:
            return
        pending = core.requests.take_first("item", item_id)
        if pending is not None:
            core.requests.end(pending.request, "done", item_id=item_id)
            core.edits.answered(pending)
        core.tools.output_announced(item_id)
        if pending is not None and pending.edit:
            self.pump()
        elif core.edits.waiting:
            core.edits.pump()  # it may have waited for the place of this one
            self.pump()

    def item_failed(self, pending: Pending, problem: Problem, outcome: Outcome = "failed") -> None:
        """An item of ours was refused, or got no answer: a response that was to follow it is not created."""
        order = self._items.pop(pending.key, None)
        if outcome == "timed_out" and pending.edit and order is not None:
            self._late[pending.key] = order
            keep_latest(self._late, _KEPT)
        if outcome == "failed" and self._core.continuity.refused(pending.key, problem):
            return
        if outcome == "timed_out":
            # No word of it is no refusal: it is on its way, and counts as there.
            self._core.tools.output_announced(pending.key, late=True)
            self._core.continuity.images.not_answered(pending.key)
        else:
            self._core.tools.output_failed(pending.key)
            self._core.continuity.images.forget(pending.key)
        for order in self._queue:
            order.stands_for -= {pending.key}
        for order in [o for o in self._queue if o.after == pending.key]:
            self._queue.remove(order)
            self._core.requests.end(order.request, outcome, problem=problem)
            if order.stands_for:
                self.ask_answer(order.stands_for)
        if outcome == "failed":
            self._withdraw(pending.key, problem)
        self._core.requests.end(pending.request, outcome, problem=problem)
        self._core.edits.answered(pending, problem, outcome)
        self.pump()

    def _withdraw(self, item_id: str, problem: Problem) -> None:
        """An item of the program's is not in the conversation: no answer to it is due, and none that answers nothing else is
        heard."""
        core = self._core
        core.barge_in.turn_refused(item_id)
        self._turns_due -= {item_id}
        self._disown(lambda each: each.answers == {item_id}, problem)
        for response in core.responses.live.values():
            response.answers -= {item_id}
        for order in self._expired.values():
            order.dead |= order.answers == {item_id}  # should it have been accepted after all
        for order in [*([self._reserved] if self._reserved is not None else []), *self._refused, *self._expired.values()]:
            order.turn_items -= {item_id}
            order.for_turn &= bool(order.turn_items)
            order.stands_for -= {item_id}
            if order.after == item_id and order.stands_for:
                # What gave way to it is in the conversation, and is answered by it all the same.
                core.requests.end(order.request, "failed", problem=problem)
                order.after, order.for_turn, order.turn_items = None, True, order.stands_for
                order.stands_for = frozenset()

    def turn_refused(self, request: int, problem: Problem) -> None:
        """The server refused the turn that this request was to answer: there is nothing to be answered."""
        order = self._unqueue(request)
        if order is not None:
            self._core.requests.end(order.request, "failed", problem=problem)
        self._disown(lambda each: each.request == request, problem)

    def _disown(self, about: Callable[[Order | Response], bool], problem: Problem) -> None:
        """What a response was to answer is not in the conversation: what is under way answers something else."""
        if self._reserved is not None and about(self._reserved):
            self._reserved.dead = True
            self._core.requests.end(self._reserved.request, "failed", problem=problem)
        for response in list(self._core.responses.live.values()):
            if about(response):
                self._core.requests.end(response.request, "failed", problem=problem, response_id=response.id)
                self._core.interruption.barge_in("program", response.id)

    @property
    def slot_key(self) -> str:
        """The pending event that has the slot reserved."""
        return str(self._reserved.number) if self._reserved is not None else ""

    def response_failed(
        self, pending: Pending, kind: ErrorKind, problem: Problem, *, named: bool, holder_shown: bool = False
    ) -> None:
        """A response.create was refused: the slot is free of it, and an active-response refusal is tried once more (B13,
        F046).

        ``holder_shown``: what held the slot is known already, so there is nothing else to wait for.
        """
        core = self._core
        order = self._take_sent(int(pending.key))
        if kind is ErrorKind.ACTIVE_RESPONSE and not holder_shown:
            self.slot_is_taken()
        if order is None:
            core.requests.end(pending.request, "failed", problem=problem)
        elif order.dead:
            core.requests.end(order.request, "cancelled")
            order.doubtful = kind is ErrorKind.ACTIVE_RESPONSE and not named
            self._keep(order)
        elif order.in_vain:
            self._keep(order)
        elif kind is ErrorKind.ACTIVE_RESPONSE and not order.retried:
            # Without our event_id it may have been the server's own creation that was refused, because ours had been accepted.
            order.doubtful = not named
            if order.for_turn or order.for_tools:
                self._make_due(order)
                self._keep(order)
            else:
                order.retried = True
                order.due = core.now + core.config.timeouts.queue_ms / 1000
                core.timers.set_earlier("turn of a request", order.due)
                self._queue.appendleft(order)
        elif (order.for_turn or order.for_tools) and problem.retryable and self._tries < _TRIES:
            # Nobody else would ask for it again: the user waits for an answer.
            self._tries += 1
            self._refused.append(order)
            core.timers.set("answer that was refused", core.now + _AGAIN_S * 2 ** (self._tries - 1))
        else:
            core.requests.end(order.request, "failed", problem=problem)
        self.pump()

    def try_again(self) -> None:
        """An answer of ours that was refused is due once more."""
        for order in self._refused:
            self._make_due(order)
        self._refused.clear()
        self.pump()

    def _make_due(self, order: Order) -> None:
        """What this answer of ours was for is due again."""
        if not order.asked.plain:
            self._again.append(("", order.asked))
            return
        if order.for_turn:
            self._turns_due |= order.turn_items
        self._tools_due |= order.for_tools

    def _forget_refused(self) -> None:
        self._tries, self._vain = 0, None
        self._refused.clear()
        self._core.timers.cancel("answer that was refused")

    def may_be_ours(self, problem: Problem) -> bool:
        """An active-response refusal that names no event, from a server that creates too, while our own creation has no answer:
        whether it may have been accepted all the same.

        If what holds the slot has not shown itself, it may be ours, and the refused one the server's: nothing is settled until
        it shows itself. If another response holds it, and the server owes an answer of its own, that was the one refused.
        """
        core, order = self._core, self._reserved
        if order is None or not core.acknowledged.server_creates:
            return False
        named = named_response(problem.message)
        order.doubtful = True
        if core.responses.running or (named is not None and core.responses.knows(named)):
            owed = core.turns.automatic > 0
            if owed:
                core.turns.server_could_not_answer()
            return owed
        order.suspected, order.suspected_at, order.turns = problem, core.now, core.turns.automatic_turns
        return True

    def troubled(self, problem: Problem) -> None:
        """The server failed at something and does not say at what. If one creation of ours is all that waits for an answer, and
        no other is under way, it was that (F046): unless its response shows itself soon, it counts as refused.
        """
        core = self._core
        pending = core.requests.only("response")
        busy = core.turns.automatic or any(not response.done for response in core.responses.live.values())
        if problem.code not in _TROUBLE or pending is None or busy:
            return
        for order in self._sent:
            if str(order.number) == pending.key and order.suspected is None:
                order.trouble = problem
                core.requests.hurry(pending, core.now + _SHOWN_S)

    def _server_was_refused(self, holder: str) -> bool:
        """The response that held the slot shows itself, and is the server's, or one of ours that was given up. Where the server
        owed one more when something was refused, that was refused first: it tries in the moment of the turn, and ours was still
        on its way.
        """
        core, order = self._core, self._reserved
        if order is None or order.suspected is None or named_response(order.suspected.message) != holder:
            return False
        since = core.turns.automatic_turns - order.turns
        if core.turns.refusable <= since:
            return False
        order.suspected = None
        return True

    def _refused_after_all(self, *, begun: bool = False) -> None:
        """What held the slot was not ours: ours was the one that was refused, unless the server owes another of its own. Where
        a response of the server's has begun, it held the slot or came after what held it: ours would have come before.
        """
        order = self._reserved
        if order is None or order.suspected is None:
            return
        shown = begun and named_response(order.suspected.message) is not None
        if shown or not self._core.turns.automatic:
            told, order.suspected = order.suspected, None
            pending = self._core.requests.take_first("response", str(order.number))
            if pending is not None:
                self.response_failed(pending, ErrorKind.ACTIVE_RESPONSE, told, named=True, holder_shown=True)

    def slot_is_taken(self) -> None:
        """An active-response refusal, of whatever: a response holds the slot, though its ``response.created`` may still be on the
        way. Nothing is created until some response is seen to begin or end.
        """
        core = self._core
        if self._free or self._foreign:  # told once more, it still runs: its time begins again
            self._hold_slot(core.now + core.config.timeouts.create_ms / 1000)

    def _hold_slot(self, until: float) -> None:
        self._foreign = True
        self._core.timers.set("response that holds the slot", until)

    def response_overdue(self, pending: Pending, problem: Problem) -> None:
        """No response.created in time: the request ends; should it still come, it is cancelled and never heard (B14)."""
        core = self._core
        troubled = next((each for each in self._sent if str(each.number) == pending.key and each.trouble is not None), None)
        if troubled is not None and troubled.trouble is not None:
            self._keep(troubled)
            self.response_failed(pending, ErrorKind.OTHER, troubled.trouble, named=False)
            return
        order = self._take_sent(int(pending.key))
        if order is not None:
            if (order.for_turn or order.for_tools) and not order.dead and self._tries < _TRIES:
                # Nobody waits for it by name, and the user does: it is asked for again, also where it was perhaps refused (F061).
                self._tries += 1
                self._make_due(order)
            elif (order.for_turn or order.for_tools) and not order.dead:
                self._vain = order
            order.dead = order.given_up = True
            self._keep(order)
            shows_by = order.suspected_at + core.config.timeouts.create_ms / 1000
            if order.suspected is not None and named_response(order.suspected.message) is not None and shows_by > core.now:
                # The server had named what runs, which has not shown itself: that holds the slot as after any refusal.
                self._hold_slot(shows_by)
            if order.suspected is not None and order.turns == core.turns.automatic_turns:
                core.turns.server_could_not_answer()
            elif order.suspected is not None:
                core.turns.automatic_seen()  # a turn that came later, the server answers still
        core.requests.end(pending.request, "timed_out", problem=problem)
        self.pump()

    def _slot_shown(self) -> None:
        self._foreign = False
        self._core.timers.cancel("response that holds the slot")

    def slot_overdue(self) -> None:
        """A response that we were told of never showed itself: the slot is not held for ever."""
        self._foreign = False
        self.pump()

    def queue_overdue(self) -> None:
        """Requests whose turn did not come in time."""
        core = self._core
        for order in [o for o in self._queue if o.due is not None and o.due <= core.now]:
            self._queue.remove(order)
            # What it was to answer was not said either, if it is still here: said later, it would stand there without an answer.
            for unsent in [o for o in self._queue if o.item_id is not None and o.item_id == order.after]:
                self._queue.remove(unsent)
                core.requests.end(unsent.request, "timed_out")
            core.requests.end(order.request, "timed_out")
        due = min((o.due for o in self._queue if o.due is not None), default=None)
        if due is not None:
            core.timers.set("turn of a request", due)
        self.pump()

    @property
    def reserved(self) -> bool:
        """Whether a response was asked for that has not begun, and that an interruption would cut."""
        return any(not order.dead for order in self._unheard())

    def owes(self, key: str) -> bool:
        """Whether the create of this mark asked for an answer of the conversation to which any other is one, too."""
        order = self._reserved
        return order is not None and str(order.number) == key and not order.dead and order.asked.plain

    @property
    def reserved_uninterruptible(self) -> bool:
        """Whether the first of it was asked for as uninterruptible."""
        return any(not order.interruptible for order in self._unheard()[:1])

    def _unheard(self) -> list[Order]:
        """What was asked for by now, has no answer yet and is to be heard, in the conversation or beside it. A few words for a
        wait are nothing that anybody asked for: they are dropped in any case."""
        return [order for order in self._sent if not (order.silent or order.filler)]

    def kill_reserved(self, cause: Cause, *, sparing: bool = False, since: float = float("inf")) -> bool:
        """Interrupted: the response that answers our pending create is dead on arrival (B15, F035).

        Where the program itself interrupts, responses that it asked for and that were not sent are cancelled too. ``sparing``:
        but for those that were asked for as uninterruptible. Gives whether it was to answer a turn, or outputs.
        """
        core = self._core

        def reached(orders: Iterable[Order]) -> list[Order]:
            return [order for order in orders if (order.interruptible or not sparing) and order.asked_at <= since]

        self.drop_filler()
        answer = False
        for order in reached(self._unheard()):
            answer |= not order.dead and (order.for_turn or order.for_user or bool(order.for_tools))
            order.interrupted(cause)
        for order in reached(self._expired.values()):
            order.interrupted(cause)
        for order in reached(self._passed_for.values()):
            order.due = core.now  # what was heard in its place is cut: it is not heard after that
        for order in reached(o for o in self._queue if o.doubtful and not o.silent):
            # Perhaps it was not ours that was refused, and it runs already.
            self._queue.remove(order)
            order.interrupted(cause)
            answer |= order.for_user
            self._keep(order)
            core.requests.end(order.request, "cancelled")
        if cause == "program":
            queued = [o for o in self._queue if o.item_id is None and not o.silent]
            answer |= bool(self._turns_due or self._tools_due or self._again)
            answer |= any(order.for_turn or order.for_user or order.for_tools for order in queued)
            self._turns_due = self._tools_due = self._tools_seen = frozenset()
            self._again.clear()
            core.turns.interrupted_by_program()
            core.continuity.interrupted_by_program()
            self._forget_refused()
            self._dropped_at = core.now
            for order in queued:
                self._queue.remove(order)
                core.requests.end(order.request, "cancelled")
        return answer


def _announcement(order: Order) -> ItemAddedEvent:
    """What the server would have said of this item."""
    item = msgspec.convert({**order.body, "id": order.item_id, "status": "completed"}, ItemBody)
    return ItemAddedEvent(
        item=item, previous_item_id=None if order.previous_item_id == "root" else order.previous_item_id or UNSET
    )


def _outcome(status: str) -> Outcome:
    """What the end of a response means for the request that led to it."""
    return "cancelled" if status == "cancelled" else "failed" if status == "failed" else "done"


def _format(body: dict[str, Any]) -> AudioFormat | None:
    """The format that a response was asked for in, where that is its own."""
    asked = ((body.get("audio") or {}).get("output") or {}).get("format")
    return audio_format(asked) if asked else None


def _plain(order: Order) -> bool:
    """Whether whatever the model says next is the answer, as it is."""
    return not order.body and order.hold_ms is None and order.interruptible


def _number(metadata: dict[str, Any] | None) -> int | None:
    mark = metadata.get(_METADATA) if metadata else None
    return int(mark) if isinstance(mark, str) and mark.isascii() and mark.isdigit() and len(mark) < 16 else None
