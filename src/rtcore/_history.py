"""The item mirror: the conversation as the server holds it, in the order in which it announced it.

``previous_item_id`` of the announcement fixes an item's place; its text fills in later by item id (F103). An unknown predecessor
puts the item at the tail, never drops it (F108). A deleted id leaves a tombstone, so that late news of it cannot bring it back.
"""

from collections.abc import Iterator

from rtcore._items import HistoryItem, Item
from rtcore._notices import Verdict
from rtcore._recent import keep_latest
from rtcore._verdicts import verdict_if_left

_NOWHERE = ""
"""The predecessor of an item that was deleted before it had a place, or names itself: no item, so that it goes to the tail."""
_RESTORED = -1
"""The connection of items that come from an earlier session."""
_SHELVED = 256
"""How many items of ended responses are kept for a late announcement."""
_TOMBSTONES = 1024
"""How many deleted ids are remembered; older ones cannot get late news any more."""


class History:
    """Items by id (known from any event) and the order of the announced ones."""

    def __init__(self) -> None:
        self._order: list[str] = []
        self._items: dict[str, Item] = {}
        self._tombstones: dict[str, str | None] = {}
        self._shelved: dict[str, None] = {}
        self._replayed: dict[str, str] = {}
        self._unconfirmed: dict[str, None] = {}
        """Replayed items whose place the server has not told."""
        self.line = 0
        """The connection whose session the items with this ``line`` are in."""
        self.summary = ""
        """The message that sums up for the present session what was said before it. It is the first of what the session holds."""

    def get(self, item_id: str) -> Item | None:
        """The item, announced or not."""
        return self._items.get(item_id)

    def know(self, item: Item) -> None:
        """Remember an item that some event showed; its place comes with its announcement."""
        self._items[item.id] = item

    def is_deleted(self, item_id: str) -> bool:
        """Whether the id was deleted."""
        return item_id in self._tombstones

    def announce(self, item: Item, previous_item_id: str | None) -> bool:
        """Give an item its place. False where it had one.

        None means first. An unknown predecessor, or the item itself, means the tail (C25), a deleted one the place that it had.
        """
        if item.announced:
            return False
        item.announced = True
        item.line = self.line
        self._items[item.id] = item
        self._shelved.pop(item.id, None)
        order = self._order
        if previous_item_id == item.id:
            previous_item_id = _NOWHERE
        while previous_item_id in self._tombstones:
            previous_item_id = self._tombstones[previous_item_id]
        if previous_item_id is None:
            order.insert(0 if item.id == self.summary else self._past_lost(0), item.id)
        elif order and order[-1] != previous_item_id and self._is_placed(previous_item_id):
            order.insert(self._past_lost(order.index(previous_item_id) + 1), item.id)
        else:
            order.append(item.id)
        return True

    def _past_lost(self, at: int) -> int:
        """What the server's session does not hold came before anything new: the new goes behind it, and what comes behind the
        summary, which may be on its way, behind all that this tells."""
        order = self._order
        if self.summary and (order[at - 1] == self.summary if at > 0 else not self._is_placed(self.summary)):
            return max((n for n, each in enumerate(order, 1) if self._items[each].line != self.line), default=at)
        while at < len(order) and self._items[order[at]].line != self.line:
            at += 1
        return at

    def standing(self, item_id: str | None) -> str | None:
        """What an item that is to stand behind this one names as its predecessor now: the item itself, what stood before it where
        it was deleted or is about to be, "root" where nothing did, None (the end) where its place is unknown.
        """
        while item_id is not None:
            item = self._items.get(item_id)
            if item_id in self._tombstones:
                item_id = self._tombstones[item_id]
            elif item is not None and item.announced and (item.delete_sent or item.line != self.line):
                at = self._order.index(item_id)
                item_id = self._order[at - 1] if at > 0 else None
            else:
                return item_id or None
        return "root"

    # -- another connection ------------------------------------------------------------------------------------------------------

    def line_lost(self) -> list[Item]:
        """The session that held the items is gone. Those of its responses that it never announced get a place at the end, because
        they were spoken all the same; gives these."""
        unannounced = [item for item in self._items.values() if not item.announced and _was_said(item)]
        for item in unannounced:
            self.announce(item, self.last)
        for item in [item for item in self._items.values() if not item.announced]:
            del self._items[item.id]
        self._shelved.clear()
        self._replayed.clear()
        self._unconfirmed.clear()
        return unannounced

    def restore(self, shown: HistoryItem) -> None:
        """An item of an earlier session, at the end: known here, and to no server yet."""
        item = Item(shown.id, shown.type, shown.role, None)
        item.status, item.verdict, item.heard_ms, item.phase = shown.status, verdict_if_left(shown), shown.heard_ms, shown.phase
        item.started_at, item.stopped_at = shown.started_at, shown.stopped_at
        item.call_id, item.name, item.arguments, item.output = shown.call_id, shown.name, shown.arguments, shown.output
        item.server_label, item.tools, item.error = shown.server_label, shown.tools, shown.error
        item.approval_request_id, item.approve = shown.approval_request_id, shown.approve
        if shown.full_text:
            item.part(0).finish_text(shown.full_text)
        for index in range(1, shown.images + 1):
            item.part(index).kind = "image"
        if shown.text != shown.full_text:
            item.heard_text = shown.text
        item.announced = item.done = True
        item.line = _RESTORED
        self._items[item.id] = item
        self._order.append(item.id)

    def replayed(self, item: Item, wire_id: str) -> None:
        """The item is in the session of the present connection, under this name."""
        item.line, item.wire_id = self.line, wire_id
        self._replayed[wire_id] = item.id
        self._unconfirmed[item.id] = None

    def confirm(self, item: Item, previous_item_id: str | None) -> None:
        """A replayed item is in the conversation. What the server put behind its predecessor, or first, before it came stands
        behind it now: a turn of the user's that was over in that moment. What was told after it, to stand before it, is on its
        way. What the server has behind the summary stands here where it was said, among what the summary tells.
        """
        if item.id not in self._unconfirmed:
            return
        del self._unconfirmed[item.id]
        order = self._order
        at, before = order.index(item.id), -1
        if previous_item_id is None:
            ahead = (self._items[each] for each in order[:at])
            if any(each.line == self.line and each.wire_id != each.id for each in ahead):
                return  # it was not told first, and that the server names none does not make it so
        elif previous_item_id == self.summary or not self._is_placed(previous_item_id):
            return
        else:
            before = order.index(previous_item_id)
        if at < before:
            # An output that came between a call and what was said behind it while that still sounded, and could not be told.
            # What follows it and is not told yet goes with it.
            moved = [item.id, *(each for each in order[at + 1 : before] if self._items[each].line != self.line)]
            order[at : before + 1] = [each for each in order[at : before + 1] if each not in moved] + moved
        elif any(self._items[each].line == self.line and each not in self._unconfirmed for each in order[before + 1 : at]):
            # What follows it and is not told yet goes with it, here too: it was said before what is behind it now.
            untold = at + 1
            while untold < len(order) and self._items[order[untold]].line != self.line:
                untold += 1
            moved = order[at:untold]
            del order[at:untold]
            to = self._past_lost(before + 1)
            order[to:to] = moved

    def by_wire(self, wire_id: str) -> Item | None:
        """The item that was replayed under this name."""
        found = self._replayed.get(wire_id)
        return self._items.get(found) if found is not None else None

    def public(self, wire_id: str) -> str:
        """The id that the program knows for the server's."""
        return self._replayed.get(wire_id, wire_id)

    def wire(self, item_id: str) -> str:
        """The id that the server knows for the program's."""
        item = self._items.get(item_id)
        return item.wire_id if item is not None and item.line == self.line else item_id

    def before(self, item: Item) -> str | None:
        """What an item of this place names as its predecessor on the wire: what stands before it there, or "root"."""
        at = self._order.index(item.id)
        found = self.standing(self._order[at - 1]) if at > 0 else "root"
        return found and (found if found == "root" else self.wire(found))

    @property
    def last(self) -> str | None:
        """The id at the tail."""
        return self._order[-1] if self._order else None

    def _is_placed(self, item_id: str) -> bool:
        item = self._items.get(item_id)
        return item is not None and item.announced

    def forget(self, item_id: str) -> None:
        """Drop an item that never entered the conversation (out of band)."""
        item = self._items.get(item_id)
        if item is not None and not item.announced:
            del self._items[item_id]

    def shelve(self, item_id: str) -> None:
        """Keep an item of an ended response for a late announcement: what was heard of it is known by then (F103). Bounded."""
        item = self._items.get(item_id)
        if item is None or item.announced:
            return
        self._shelved[item_id] = None
        for oldest in keep_latest(self._shelved, _SHELVED):
            self._items.pop(oldest, None)

    def delete(self, item_id: str) -> bool:
        """The server deleted it. False where it was not there."""
        if self._is_placed(item_id):
            at = self._order.index(item_id)
            self._tombstones[item_id] = self._order[at - 1] if at > 0 else None
        else:
            # It never had a place that could be kept: what names it as its predecessor goes to the tail.
            self._tombstones.setdefault(item_id, _NOWHERE)
        keep_latest(self._tombstones, _TOMBSTONES)
        item = self._items.pop(item_id, None)
        self._shelved.pop(item_id, None)
        if item is None:
            return False
        item.deleted = True
        self._replayed.pop(item.wire_id, None)
        self._unconfirmed.pop(item_id, None)
        if item.announced:
            self._order.remove(item_id)
        return item.announced

    def __iter__(self) -> Iterator[Item]:
        return (self._items[item_id] for item_id in self._order)

    def view(self) -> tuple[HistoryItem, ...]:
        """The conversation as the program sees it: heard text, the full text apart (DESIGN 3)."""
        return tuple(
            HistoryItem(
                id=item.id,
                type=item.type,
                role=item.role,
                status=item.status,
                text=item.text_so_far,
                full_text=item.full_text,
                verdict=item.verdict,
                heard_ms=item.heard_ms_so_far,
                call_id=item.call_id,
                name=item.name,
                arguments=item.arguments,
                output=item.output,
                phase=item.phase,
                server_label=item.server_label,
                tools=item.tools,
                error=item.error,
                approval_request_id=item.approval_request_id,
                approve=item.approve,
                images=item.images,
                aside=item.aside,
                started_at=item.sounded_so_far[0],
                stopped_at=item.sounded_so_far[1],
            )
            for item in self
        )


def _was_said(item: Item) -> bool:
    """A message or call of a response of the conversation that the server may only have forgotten to announce."""
    response = item.response
    if response is None or response.out_of_band or item.delete_sent:
        return False
    return item.dispatched or (item.type == "message" and item.verdict is not Verdict.SKIPPED)
