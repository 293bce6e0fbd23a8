"""Holds the core against the reference model at every settlement: heard samples, verdict and milliseconds, by the clock's words.

Where the clock is exact, its words are the truth, and the audible signal is held against the core besides. Where it may be wrong
or knows marks only, its words are all that the core can go by, and ``believes`` makes them the measure of invariants 4, 5, 6
and 11.
"""

from collections.abc import Iterable

from rtcore._clock import Clock
from rtcore._effects import Play
from rtcore._items import SegmentView
from rtcore._notices import Interrupted, MessageEnded, Verdict
from rtcore.sim._audit_estimates import Estimates
from rtcore.sim._ledger import Flushing, ItemRecord, Ledger, ResponseRecord
from rtcore.sim._seen import ClientSeen
from rtcore.sim.matching import Segment
from rtcore.sim.reference import Reference
from rtcore.sim.speaker import MILLISECOND, Report


class ReferenceAudit:
    """Feeds the reference model, and compares."""

    def __init__(self, ledger: Ledger, clock: Clock, *, believes: bool, own_index: bool) -> None:
        self.believes = believes
        """The clock's words are the measure, not the audible signal."""
        self.compared = 0
        self.estimates = Estimates(ledger.audio.rate, 0 if clock.reports else clock.latency_ms * MILLISECOND)
        self._reports = clock.reports
        self._model = Reference(ledger.audio, coarse=ledger.audio.samples(clock.answer_ms), reports=clock.reports)
        self._ledger = ledger
        self._own_index = own_index

    # -- what happened -------------------------------------------------------------------------------------------------------

    def audio(self, item: ItemRecord, segment: Segment, size: int) -> None:
        """Audio of an item reached the client."""
        if item.ended is None:
            key = item.id, segment.content_index
            self._model.received(key, segment.sent, size, order=segment.order, dead=item.response.dead)

    def complete(self, segment: Segment) -> None:
        """Its end reached the client."""
        self._model.complete((segment.item_id, segment.content_index))

    def cut(self, response: ResponseRecord) -> None:
        """A response was cut."""
        self._model.cut([(segment.item_id, segment.content_index) for segment in response.segments])

    def play(self, effect: Play) -> None:
        """The core handed audio over."""
        self._model.played(effect.generation, effect.pcm)
        self.estimates.play(effect.generation, len(effect.pcm) // self._ledger.audio.sample_width, self._ledger.now)
        if self._model.stray:
            for text in self._model.stray:
                self._ledger.fail(8, text)
            self._model.stray.clear()

    def report(self, report: Report) -> None:
        """The clock said something that the core has to take at its word."""
        if report.kind == "played":
            self._model.said(report.generation, report.samples)
            self.estimates.report(report.generation, report.samples, self._ledger.now)

    def answered(self, flush: Flushing, samples: int) -> None:
        """A flush was answered in time."""
        self._model.said(flush.generation, samples)
        self._model.settled(flush.generation, answered=True, estimates=self.estimates.final)

    def fault(self, generation: int, *, flushed: bool) -> None:
        """The core goes on without the clock: a flush has no answer, or no position was reported for too long."""
        if flushed:
            self._model.settled(generation, answered=False, estimates=self.estimates.final)
        else:
            self._model.assumed(generation)

    # -- what the core made of it --------------------------------------------------------------------------------------------

    def believe(self, item: ItemRecord) -> None:
        """Write down what the clock's words say of an item, while they are known."""
        if not self.believes or item.ended is not None:
            return
        width = self._ledger.audio.sample_width
        item.unsure = False
        for segment in item.segments:
            if not segment.received:
                continue
            heard = self._model.heard((item.id, segment.content_index))
            if heard is None or not heard.exact:
                item.unsure = True
            else:
                segment.told = heard.least * width

    def counts(self, views: Iterable[SegmentView]) -> None:
        """The core's sample counts, at any time."""
        for view in views:
            heard = self._model.heard((view.item_id, view.content_index))
            if heard is not None and not heard.least <= view.heard <= heard.most:
                bounds = str(heard.least) if heard.exact else f"{heard.least} to {heard.most}"
                name = f"{view.item_id}[{view.content_index}]"
                self._ledger.fail(8, f"{name}: the core counts {view.heard} samples heard, the clock said {bounds}")
            self.compared += heard is not None

    def truncate(self, item: ItemRecord, message: ClientSeen) -> None:
        """A truncate leaves the core."""
        judged = self._model.judge(item.id, self._parts(item)) if item.ended is None and self._plain(item) else None
        if judged is None or judged.cut is None:
            return
        index, ms = judged.cut
        self.compared += 1
        if message.audio_end_ms != ms or (self._own_index and message.content_index != index):
            told = f"[{message.content_index}] to {message.audio_end_ms} ms"
            # More than was heard is the fourth's (see EditAudit.truncate), anything else the fifth's.
            more = message.content_index == index and (message.audio_end_ms or 0) > ms
            self._ledger.fail(
                4 if more else 5, f"truncate of {item.id}{told}, but by the clock's words [{index}] was heard for {ms} ms"
            )

    def ended(self, item: ItemRecord, notice: MessageEnded) -> None:
        """A message got its verdict; call it before the verdict is written down."""
        judged = self._model.judge(item.id, self._parts(item)) if self._plain(item) else None
        if judged is None:
            self.estimated(item, notice)  # what is no estimate lies within what one could be all the same
        else:
            self.compared += 1
            either = judged.verdict == "full" and self._open(item) and notice.verdict is Verdict.PARTIAL
            if notice.verdict.value != judged.verdict and not either and not (judged.verdict == "text" and not item.shown_text):
                self._ledger.fail(6, f"{item.id} ended {notice.verdict.value}; by the clock's words it is {judged.verdict}")
            elif notice.heard_ms != judged.heard_ms:
                self._ledger.fail(
                    11, f"{item.id} ended with heard_ms {notice.heard_ms}; by the clock's words it is {judged.heard_ms}"
                )

    def estimated(self, item: ItemRecord, notice: MessageEnded) -> None:
        """A message ended by an estimate: it is the one that the clock's last words and the time since give (C19, C20)."""
        if notice.verdict is Verdict.TEXT or not (self._reports and self._plain(item)):
            return  # what was reckoned without reports is not taken back when an answer says less
        least = most = 0
        for segment in item.segments:
            heard = self._model.heard((item.id, segment.content_index))
            if heard is None:
                return
            cut = item.response.cut
            state = cut.snapshots.get(id(segment)) if cut is not None else None
            received = (state.received if state is not None else segment.received) // self._ledger.audio.sample_width
            least += self._ledger.audio.ms(min(heard.least, received))
            most += self._ledger.audio.ms(min(heard.most, received))
        self.compared += 1
        if not least <= notice.heard_ms <= most:
            text = f"{item.id} is estimated at {notice.heard_ms} ms; the clock's last words make it {least} to {most} ms"
            self._ledger.fail(11, text)

    def over(self, item: ItemRecord) -> None:
        """Its message has ended: nothing more will be asked about it."""
        for segment in item.segments:
            self._model.forget((item.id, segment.content_index))

    def interrupted(self, notice: Interrupted) -> None:
        """What the notice names has ended so."""
        for item_ids, verdict in ((notice.partial, Verdict.PARTIAL), (notice.skipped, Verdict.SKIPPED)):
            for item_id in item_ids:
                item = self._ledger.items.get(item_id)
                if item is None or item.ended is None or item.ended.verdict is not verdict:
                    self._ledger.fail(6, f"Interrupted names {item_id} as {verdict.value}, and it has not ended so")

    def _plain(self, item: ItemRecord) -> bool:
        """Every audio part of it has audio, and it can be heard: the table alone decides."""
        return item.response.audible and item.audio_parts == {s.content_index for s in item.segments if s.received}

    def _parts(self, item: ItemRecord) -> list[int]:
        return sorted(item.audio_parts)

    def _open(self, item: ItemRecord) -> bool:
        cut = item.response.cut
        return cut is not None and item.id in cut.open_items
