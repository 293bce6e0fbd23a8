"""The order of the history while the conversation goes on: invariant 11, what C25, F107 and F108 say of places.

At the end of a world the order is compared with the server's. Whatever is deleted by then leaves no trace, so it is held here
too, in the step in which an item takes a place that is not the last, or is named once more after it was deleted. Read from the
wire alone: an announcement's place is behind the item it names, behind what is left before that one where it was deleted, and
the last where nobody knows it.
"""

from collections.abc import Sequence

from rtcore.sim._audit_memory import Held
from rtcore.sim._ledger import Ledger


def ids_of(session: Held) -> list[str]:
    """The ids of the history in their order.

    The view makes every text of the conversation anew, which would make a long one's audit quadratic: where the session's inside
    can be looked at, the order is read that the view is made of.
    """
    core = getattr(session, "_core", None)
    return [item.id for item in session.history] if core is None else list(core.history._order)


class OrderAudit:
    """Owner of the places of items."""

    def __init__(self, ledger: Ledger) -> None:
        self.due = False
        """Something happened that an order can be got wrong by."""
        self._ledger = ledger
        self._places: list[str] = []
        """Every item that ever had a place, deleted ones included: these stay directly behind what they stood behind."""
        self._known: set[str] = set()
        self._deleted: set[str] = set()

    def announced(self, item_id: str, previous: str | None) -> None:
        """``conversation.item.added`` arrived; ``previous`` is None for the first place, empty where the event does not say."""
        if item_id in self._known or item_id in self._deleted:
            # Told twice; of a deleted item it may not come back (F108).
            self.due = self.due or item_id in self._deleted
            return
        places = self._places
        if previous in self._deleted:
            self._ledger.saw("F108: an announcement that names a deleted item")
            self.due = True
        last = places[-1] if places else None
        self._known.add(item_id)
        if previous is not None and (previous == last or previous not in self._known):
            places.append(item_id)
            return
        self.due = True
        at = 0 if previous is None else places.index(previous) + 1
        while at < len(places) and places[at] in self._deleted:
            at += 1
        places.insert(at, item_id)

    def deleted(self, item_id: str) -> None:
        """``conversation.item.deleted`` arrived."""
        self._deleted.add(item_id)

    def check(self, told: Sequence[str]) -> None:
        """The session has dealt with it, and has these items in this order: is every one where it belongs?"""
        self.due = False
        order = [item_id for item_id in self._places if item_id not in self._deleted]
        if list(told) == order:
            return
        back = next((item_id for item_id in told if item_id in self._deleted), None)
        if back is not None:
            self._ledger.fail(11, f"{back} was deleted, and is in the history again")
            return
        same = (one == other for one, other in zip(told, order, strict=False))
        at = next((at for at, equal in enumerate(same) if not equal), min(len(told), len(order)))
        text = f"from place {at} on the history is {told[at : at + 2]}, the announcements say {order[at : at + 2]}"
        self._ledger.fail(11, text)
