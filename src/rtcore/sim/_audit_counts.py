"""Invariant 8, from the outside: the core's sample counts add up, and are what arrived and what was audible.

Of invariant 12: audio does not wait while nothing sounds.
"""

from collections.abc import Callable, Sequence

from rtcore._items import HistoryItem, SegmentView
from rtcore.sim._audit_cuts import CutAudit
from rtcore.sim._audit_reference import ReferenceAudit
from rtcore.sim._audit_sounding import patience
from rtcore.sim._ledger import Ledger
from rtcore.sim.speaker import MILLISECOND, Speaker

_WITHHELD = 1_000 * MILLISECOND
"""How much longer audio may wait while nothing sounds than a segment may hold up the queue (DESIGN section 3)."""


class CountAudit:
    """Compares the counts of a session with what was sent, handed over and audible."""

    def __init__(
        self,
        ledger: Ledger,
        speaker: Speaker,
        cuts: CutAudit,
        reference: ReferenceAudit | None,
        *,
        stall_ms: int,
        withheld: Callable[[], bool] = lambda: False,
    ) -> None:
        """``stall_ms``: how long a segment may hold up the queue (``config.playout.stall_ms``). ``withheld``: whether audio is
        held back for a guardrail, which has a deadline of its own (``_audit_holds``).

        What waits for a clock that falls silent, or knows marks only and so tells an end only after ``Drain``, waits as long as
        such a clock is waited for (``_audit_sounding``).
        """
        self._ledger = ledger
        self._speaker = speaker
        self._cuts = cuts
        self._reference = reference
        self._width = ledger.audio.sample_width
        self._held_back = withheld
        self._withheld_since: int | None = None
        self._patient = False
        self._withheld = stall_ms * MILLISECOND + _WITHHELD
        if speaker.options.silent_per_mille or speaker.options.marks_ms:
            self._withheld += patience(speaker.options.clock)
            self._patient = True

    def check(self, views: Sequence[SegmentView]) -> None:
        """Now; the sound until now has been attributed."""
        if not views:
            self._withheld_since = None
            return
        ledger = self._ledger
        width = self._width
        guessed = ledger.stream.guessed
        believes = False
        if self._reference is not None:
            self._reference.counts(views)
            believes = self._reference.believes
        still = not self._speaker.pending and not ledger.flush_waits
        self._withholds(views, still)
        self.add_up(views)
        for view in views:
            segment = ledger.matcher.find(view.item_id, view.content_index)
            item = ledger.items.get(view.item_id)
            if segment is None or item is None or guessed or item.guessed:
                continue
            received, heard = segment.received // width, segment.heard // width
            if view.received != received:
                ledger.fail(8, f"{segment.name}: the core counts {view.received} samples received, {received} were")
            if believes:
                continue
            if view.heard > heard:
                ledger.fail(8, f"{segment.name}: the core counts {view.heard} samples heard, {heard} were audible")
            # A message is over without a report of its last sample (B02): a device that is lost may leave that untold.
            elif still and not view.queued and view.heard < heard - bool(self._speaker.losses):
                ledger.fail(8, f"{segment.name}: the core counts {view.heard} samples heard, but {heard} were audible")

    def told(self, history: Sequence[HistoryItem], views: Sequence[SegmentView]) -> None:
        """The history says of a message that sounds that as much was heard of it as the core counts; behind a cut, less (C08)."""
        counted: dict[str, int] = {}
        for view in views:
            counted[view.item_id] = counted.get(view.item_id, 0) + view.format.ms(view.heard)
        for shown in history:
            item = self._ledger.items.get(shown.id)
            if item is None or item.ended is not None or item.response.cut is not None:
                continue
            if shown.heard_ms != counted.get(shown.id, 0):
                text = f"{shown.id} sounds, and {counted.get(shown.id, 0)} ms of it are counted as heard"
                self._ledger.fail(11, f"{text}; the history says {shown.heard_ms}")

    def add_up(self, views: Sequence[SegmentView]) -> None:
        """Heard, discarded and queued are what was received, whenever one looks, and of a closed session too."""
        for view in views:
            if view.heard + view.discarded + view.queued != view.received:
                parts = f"heard {view.heard} + discarded {view.discarded} + queued {view.queued}"
                self._ledger.fail(8, f"{view.item_id}[{view.content_index}]: {parts} != received {view.received}")

    def released(self) -> None:
        """The program lets the sound go on: a wait begins anew, however seldom one has looked while it was held."""
        self._withheld_since = None

    def _withholds(self, views: Sequence[SegmentView], still: bool) -> None:
        ledger = self._ledger
        if not still or self._cuts.may_hold or self._speaker.lost or self._held_back() or not self._waiting(views):
            # While the program holds it, or without a device, a segment's wait does not count.
            self._withheld_since = None
            return
        if self._withheld_since is None or ledger.matcher.last_until > self._withheld_since:
            self._withheld_since = ledger.now
            return
        # What the clock has not told of may have to sound still, for all that the core knows.
        untold = ledger.stream.unconfirmed * 1_000_000_000 // ledger.audio.rate if self._patient else 0
        if ledger.now >= self._withheld_since + self._withheld + untold:
            waited = (ledger.now - self._withheld_since) // MILLISECOND
            self._withheld_since = ledger.now
            ledger.fail(12, f"nothing sounds for {waited} ms although audio waits to be heard")

    def _waiting(self, views: Sequence[SegmentView]) -> bool:
        """Whether something that could sound has not sounded."""
        for view in views:
            segment = self._ledger.matcher.find(view.item_id, view.content_index) if view.queued else None
            if segment is not None and segment.dead_from is None and segment.heard < segment.received - self._width:
                return True
        return False
