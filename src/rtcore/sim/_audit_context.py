"""What the server's model knew when it was asked: does it hold words that were cut and that nobody heard?

Worked out where the server accepts a response, from what it holds then and from the audible signal. Whoever created it, the truth
is the same; what is owed differs. A response that the core asked for after the cut must not see such words (DESIGN section 3,
edits come before creations); with ``context="exact"`` there is no other kind. One that the server began by itself may, and is
marked as stale, or taken back unheard.
"""

from collections.abc import Callable

from rtcore.sim._ledger import ItemRecord, Ledger
from rtcore.sim._server_truth import ServerResponse


class ContextAudit:
    """Owner of: does the model answer from words that nobody heard?"""

    def __init__(
        self, ledger: Ledger, unheard_left: Callable[[ItemRecord], bool], sync: Callable[[int], None], *, exact: bool, call: bool
    ) -> None:
        """``unheard_left``: whether the server holds sound of an item that was cut and nobody heard. ``exact``: no response may
        see such words (``config.context``). ``call``: the server sounds the audio itself, and knows by itself what was heard.
        """
        self.asked = 0
        """Responses of the conversation, however they came about, that the server began after a cut."""
        self.stale: set[str] = set()
        """Those that saw words that nobody heard."""
        self.taken_back: set[str] = set()
        """.. and were cancelled for it."""
        self._ledger = ledger
        self._unheard = unheard_left
        self._sync = sync
        self._exact = exact
        self._call = call

    def accepted(self, response: ServerResponse, now: int) -> None:
        """The server has begun a response of the conversation."""
        ledger = self._ledger
        asked_at, ours = now, response.cause == "client"
        if ours:
            named = (
                c.sent.sent_at for c in ledger.creations if c.event_id is not None and c.event_id == response.client_event_id
            )
            asked_at = next(named, now)
        cuts = [cut for cut in ledger.recent if cut.at < asked_at]
        if not cuts or self._call:
            return
        self.asked += 1
        self._sync(now)
        items = [item for cut in cuts for one in cut.responses for item in one.items.values() if item.type == "message"]
        if ours:
            # What enters the conversation while the request is on its way, nobody could have taken out before.
            items = [item for item in items if 0 <= item.announced_at < asked_at]
        unheard = next((item for item in items if self._unheard(item)), None)
        if unheard is None:
            return
        self.stale.add(response.id)
        ledger.saw("C16: the model saw words that nobody heard")
        if ours or self._exact:
            whose = "that the core asked for" if ours else "that the server began"
            ledger.fail(5, f"{response.id}, {whose}, was made from words of {unheard.id} that nobody heard")
