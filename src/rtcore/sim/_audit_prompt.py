"""What a message of the server calls for at once: the step in which it arrives is the step in which the core has to answer.

What is only late is repaired by something else before anybody looks: a delete that was forgotten goes out with the response's
end, a verdict comes with it. In between the core holds back everything else, and the program is told too late. Held here:

- an unheard item is deleted as its announcement arrives, if nothing else was waited for (invariant 5; B03);
- a message whose part turns out to be sound after the cut ends at once (invariant 6; DESIGN section 3: partial and skipped are
  told at once);
- the end of one response is not the end of another (invariant 3; C18, F057).
"""

from collections.abc import Sequence

from rtcore._effects import Effect
from rtcore._notices import ResponseEnded, Verdict
from rtcore.sim._ledger import ROUNDING, ItemRecord, Ledger
from rtcore.sim._seen import ServerSeen
from rtcore.sim.speaker import MILLISECOND

_DELETE_AFTER = 1_000 * MILLISECOND
"""An unheard item is deleted so long after the cut, even if its response is not done (DESIGN section 3)."""
ASKS = frozenset({"response.done", "conversation.item.added", "response.content_part.added"})
"""Messages after which something may be due at once."""


class PromptAudit:
    """Owner of what is due in the step of a server message."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._message: ServerSeen | None = None
        self._ends: ItemRecord | None = None

    def arrived(self, message: ServerSeen) -> None:
        """One of ``ASKS`` reached the client, and is written in the ledger; the session gets it now."""
        self._message, self._ends = message, None
        if message.type == "response.content_part.added":
            item = self._ledger.items.get(message.item_id or "")
            if item is not None and item.ended is None and item.audio_parts == {message.content_index}:
                self._ends = item
                if item.response.dead:
                    self._ledger.saw("S03: a part began after the cut of its response")

    @property
    def asked(self) -> bool:
        """Whether such a message has just reached the client."""
        return self._message is not None

    def did(self, effects: Sequence[Effect]) -> None:
        """The session has answered, and its effects are written in the ledger."""
        message, self._message = self._message, None
        if message is None:
            return
        match message.type:
            case "response.done":
                self._ended(message, effects)
            case "conversation.item.added":
                self._announced(message)
            case _:
                self._part()

    def _ended(self, message: ServerSeen, effects: Sequence[Effect]) -> None:
        named = message.response.id if message.response is not None else ""
        for effect in effects:
            if isinstance(effect, ResponseEnded) and effect.response_id != named:
                self._ledger.fail(3, f"the end of {named or 'nothing'} ended {effect.response_id}")

    def _announced(self, message: ServerSeen) -> None:
        item = self._ledger.items.get(message.item.id) if message.item is not None else None
        if item is None or item.ended is None or item.ended.verdict is not Verdict.SKIPPED:
            return
        response, ledger = item.response, self._ledger
        if response.out_of_band or not response.dead or item.shown_text or not item.audio_parts or ledger.waiting:
            return
        if not response.done and ledger.now >= response.dead_at + _DELETE_AFTER + ROUNDING:
            ledger.saw("B03: announced when its delete was due")
        due = response.done or ledger.now >= response.dead_at + _DELETE_AFTER + ROUNDING
        if not due or item.deleted or item.deletes or not ledger.able.delete:
            return
        ledger.fail(5, f"{item.id} was announced, nothing of it was heard, nothing is waited for, and it was not deleted")

    def _part(self) -> None:
        item, self._ends = self._ends, None
        if item is None or item.ended is not None or not item.response.dead or self._ledger.waiting:
            return
        on_a_call = self._ledger.able.playout == "server"  # what of it sounds, the server has yet to say
        if item.response.audible and not item.shown_text and not on_a_call:
            self._ledger.fail(6, f"{item.id} turned out to be sound after the cut of its response, and has not ended")
