"""The program's edits of the history: what they may delete, and that nothing is sent where nothing is to be changed.

A list that the program wants is held against the history that it had looked at (B22, F067): an unchanged one costs nothing,
whatever has happened since; what came later is not deleted, nor what is being said or heard; and what was carried out once is not
sent again.
"""

from collections.abc import Collection

from rtcore._notices import HistoryEdited, RequestEnded
from rtcore.sim._ledger import Ledger


class SyncAudit:
    """Owner of: did an edit of the program's do what it may, and no more than it must?"""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._asked: dict[int, tuple[frozenset[str], int | None]] = {}
        """By request: the ids that the program knew, and the most events that it may come to."""
        self._made: set[str] = set()
        """Items that edits have created: those are the program's own."""
        self.whole: set[int] = set()
        """Edits that were carried out as they were wanted."""
        self.unsettled: set[int] = set()
        """Edits that are to be sent, or of whose events one has no answer yet: nothing that was asked for later comes before."""

    def asked(self, request: int, known: Collection[str], most: int | None) -> None:
        """The program wants a history, and knew these items when it made its list. ``most``: so many events are enough."""
        self._asked[request] = (frozenset(known), most)
        self.unsettled.add(request)

    @property
    def under_way(self) -> bool:
        """An edit was asked for whose outcome the history does not show yet: who looks at it now does not see their own edit."""
        return bool(self.unsettled)

    def edited(self, notice: HistoryEdited) -> None:
        """What the core made of it."""
        ledger = self._ledger
        known, most = self._asked.get(notice.request, (frozenset(), None))
        ledger.saw("B22: a history synchronised")
        count = len(notice.created) + len(notice.deleted)
        if most is not None and count > most:
            ledger.fail(11, f"an edit that takes {most} events at most took {count}: {notice}")
        if not count:
            ledger.saw("B22: an unchanged history costs nothing")
        for item_id in notice.deleted:
            item = ledger.items.get(item_id)
            if item_id not in known and item_id not in self._made:
                ledger.fail(11, f"{item_id} was deleted by an edit, and the program had not seen it")
            if item is not None and item.type == "message" and item.ended is None:
                ledger.fail(11, f"{item_id} was deleted by an edit while it was said or heard")
            if item is not None and item.call_id in ledger.called:
                ledger.fail(10, f"{item_id} was deleted by an edit while its function runs")
        self._made.update(notice.created)
        if notice.stayed:
            ledger.saw("F067: what is being said or heard stays")
        elif not notice.unknown:
            self.whole.add(notice.request)

    def ended(self, notice: RequestEnded) -> None:
        """A request settled."""
        self.unsettled.discard(notice.request)
        if notice.outcome != "done":
            self.whole.discard(notice.request)
