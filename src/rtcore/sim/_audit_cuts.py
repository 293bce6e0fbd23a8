"""Interruptions: what each cut, by what had arrived and what was heard, and that silence comes first (invariant 7).

A cut begins just before its cause reaches the session and ends with the session's answer. In between nothing can change, so what
is noted at the beginning is what the core has to judge by.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence

from rtcore._effects import Drain, Effect, Flush, Pause
from rtcore.sim._audit_reference import ReferenceAudit
from rtcore.sim._ledger import Cut, Flushing, Interruption, Ledger, ResponseRecord, Snapshot
from rtcore.sim.matching import Place
from rtcore.sim.speaker import MILLISECOND

_SOON = 200 * MILLISECOND
"""Two cuts so close together are one person's double barge-in (C11)."""
_SETTLED_AT_ONCE = ("device", "end")
"""Causes after which no clock can answer any more: the core settles with what it knows."""


class CutAudit:
    """Owner of invariant 7's first half, and of what was cut when."""

    def __init__(
        self,
        ledger: Ledger,
        sync: Callable[[int], None],
        reference: ReferenceAudit | None,
        pending: Callable[[], int],
        *,
        ignores: bool,
        bound: int,
    ) -> None:
        """``pending`` gives the samples that have not sounded; where fewer than ``bound`` have not, a clock that tells no
        positions may count as done."""
        self.unchecked: deque[Cut] = deque()
        """Cuts whose consequences are still to be checked, oldest first."""
        self.current: Interruption | None = None
        """What interrupts now belongs to this one."""
        self.pausing = False
        """The program pauses: a clock that cannot is flushed instead."""
        self.held = False
        """The program holds the sound."""
        self.may_hold = False
        """It held it, and what has come since may have ended that, or not: an interruption that cut nothing."""
        self.settles = False
        """What is being carried out settles without the clock."""
        self.remote = False
        """The server sounds the audio: what was heard shows with its word alone."""
        self.killed: list[ResponseRecord] = []
        """What died in this step."""
        self._ledger = ledger
        self._sync = sync
        self._reference = reference
        self._believes = reference is not None and reference.believes
        self._ignores = ignores
        self._pending = pending
        self._bound = bound
        self._cutting: Cut | None = None
        self._heard_out: list[ResponseRecord] = []
        self._due = False
        self._cause = ""
        self._expected = 0
        self._allowed = self._named = False
        self._last = -_SOON
        self._width = ledger.audio.sample_width

    def begin(
        self,
        cause: str,
        responses: Collection[str] | None = None,
        *,
        since: int | None = None,
        began_at: int | None = None,
        by_button: bool = False,
    ) -> None:
        """An interruption is about to reach the session: what does it cut? ``responses``: these at most, by their ids.
        ``since``: when the voice began that turned out to be one; what was asked for after that is not cut. ``began_at``: when
        the interruption began, where that was not now. ``by_button``: it is the user's button.
        """
        if self._ignores and cause in ("server", "local"):
            self._ledger.saw("F054: a voice that interrupts nothing")
            return
        ledger = self._ledger
        self._sync(ledger.now)
        one = self.current
        if one is not None and one.arrived_at is None:
            one.arrived_at = ledger.now
        affected = self._affected(cause, responses)
        if since is not None:
            affected = [each for each in affected if (each.asked_at if each.asked_at >= 0 else each.begun_at) <= since]
        self._due = True
        self._named = responses is not None
        self._cause = cause
        if responses is None:
            for creation in ledger.creations:
                if creation.filler or (not creation.silent and (since is None or creation.sent.sent_at <= since)):
                    if cause == "program" or not creation.killed:
                        creation.killed_by = cause
                    creation.killed, ledger.killed_at = True, ledger.now
        stream = ledger.stream
        unconfirmed = stream.unconfirmed
        # One sample short counts as heard (B02): a message that ended so is no reason for a flush, and no obstacle to one.
        expected = unconfirmed > 1 and responses is None and stream.faulty != stream.generation
        if since is not None and not any(segment.received > segment.heard for each in affected for segment in each.segments):
            expected = False  # what sounds was asked for after the voice began
        if self._bound:
            expected = expected and self._pending() > self._bound
        self._expected = stream.generation if expected else 0
        self._allowed = unconfirmed > 0 or stream.faulty > 0
        if not affected:
            if not unconfirmed and ledger.responses:
                ledger.saw("C07: a barge-in when all was heard")
            return
        cut = Cut(ledger.now, cause, one, affected, ledger.now if began_at is None else began_at, by_button=by_button)
        for response in affected:
            for item in response.items.values():
                (cut.closed_items if item.done else cut.open_items).add(item.id)
                cut.texts[item.id] = item.characters
                for segment in item.segments:
                    at, just = segment.latest
                    just = just if at == ledger.now else 0
                    cut.snapshots[id(segment)] = Snapshot(segment.received, segment.complete, just)
        self._cutting = cut
        self._note(cut, unconfirmed)

    def _affected(self, cause: str, responses: Collection[str] | None) -> list[ResponseRecord]:
        """The responses that an interruption would cut now, in the order of their creation."""
        ledger = self._ledger
        waits = ledger.flush_waits or self._believes or self.remote or cause in _SETTLED_AT_ONCE
        affected: list[ResponseRecord] = []
        self._heard_out = []
        for response in list(ledger.alive.values()):
            over = response.done and all(item.ended is not None for item in response.items.values() if item.type == "message")
            if response.dead or over:
                del ledger.alive[response.id]
            elif response.audible and (responses is None or response.id in responses):
                (affected if self._unfinished(response, waits) else self._heard_out).append(response)
        affected.sort(key=_by_order)
        return affected

    def keep_held(self) -> None:
        """The sound is held, whatever else was cut."""
        self.held = self.may_hold = True

    def anything(self) -> bool | None:
        """Whether a voice that begins now could cut something: heard, generated or asked for. None: what there is was heard to
        its end, and whether the client knows that, nobody can say.
        """
        ledger = self._ledger
        self._sync(ledger.now)
        asked = [each for each in ledger.creations if not (each.silent or each.filler or each.killed or each.expired)]
        affected = self._affected("server", None)
        # Where the item that it was to answer was refused, the client may have given it up.
        if any(not (each.shown or each.withdrawn) for each in asked) or any(not response.heard_out for response in affected):
            return True
        return None if asked or affected or self._heard_out else False

    def _unfinished(self, response: ResponseRecord, waits: bool) -> bool:
        if not response.done:
            return True
        items = response.items.values()
        if waits and any(item.ended is None for item in items):
            return True  # where the clock stands is not known, so what is heard to the end is not known either
        width = self._width
        for item in items:
            if item.ended is None:
                for segment in item.segments:
                    if segment.heard < segment.received - segment.received % width:
                        return True
        return False

    def _note(self, cut: Cut, unconfirmed: int) -> None:
        """Which situations of the behaviours this is."""
        ledger = self._ledger
        saw, stream = ledger.saw, ledger.stream
        if ledger.now < self._last + _SOON:
            saw("C11: double barge-in")
        self._last = ledger.now
        if ledger.edits:
            saw("C11: a cut while an edit is in flight")
        if ledger.waiting:
            saw("C11: a cut while a flush is unanswered")
        if stream.dry == stream.generation:
            saw("C19: underrun before a cut")
        if stream.held == stream.generation:
            saw("C20: a pause before a cut")
        if not ledger.detects:
            saw("C13: a cut in a session with manual turns")
        if ledger.called:
            saw("C26: a cut while a function runs")
        if len(cut.responses) > 1:
            saw("B11: two responses cut at once")
        for response in cut.responses:
            if response.out_of_band and any(segment.heard for segment in response.segments):
                saw("C17: an out-of-band response cut while it was heard")
            if response.done and unconfirmed:
                saw("B09: a cut after response.done, with sound left")
            for item in response.items.values():
                if item.ended is not None or item.type != "message":
                    continue
                if item.audio_at == ledger.now:
                    saw("F010: a cut in the instant of the first audio")
                if item.audio_parts and not any(segment.received for segment in item.segments):
                    saw("C04: a cut between declaration and audio")
                if not item.announced:
                    saw("B03: a cut before the item was announced")

    def end(self, effects: Sequence[Effect]) -> None:
        """The session has answered: its silence comes first, and the cut responses are dead from here."""
        flush: Flush | None = None
        for effect in effects:
            if type(effect) is Flush:
                flush = effect
                break
        ledger = self._ledger
        self.settles = False
        if not self._due:
            if flush is not None and not self.pausing:
                ledger.fail(7, "a flush that no interruption asked for")
            if self.pausing:
                self.held = self.may_hold = True
                self.pausing = False
            return
        self.held = self.held and self._named  # by its name one ends, and the program still holds what is left
        self._due = False
        self.settles = self._cause in _SETTLED_AT_ONCE
        if self.settles:
            for waiting in ledger.waiting:
                waiting.settled = True
            if ledger.waiting and self._reference is not None:
                self._reference.fault(ledger.waiting[-1].generation, flushed=True)
            ledger.waiting.clear()
        if self._expected:
            # Held and decided in one step, where all that was waited for came at once: both are silence. So is the word that
            # nothing more comes, where the end of a response arrives in the instant of the decision.
            first = next((effect for effect in effects if type(effect) not in (Pause, Drain)), None)
            if not (isinstance(first, Flush) and first.generation == self._expected):
                shown = type(first).__name__ if first is not None else "nothing"
                text = f"an interruption with unconfirmed sound began with {shown}, not Flush({self._expected})"
                ledger.fail(7, text)
        elif flush is not None and not self._allowed:
            ledger.fail(7, f"Flush({flush.generation}) although everything handed over was confirmed")
        if flush is not None or self._guessed:
            for response in self._heard_out:
                response.heard_out = True
        cut, self._cutting = self._cutting, None
        if cut is None:
            return
        # A response that was over before it had an item was nothing to be cut.
        self.may_hold = self.may_hold and (self._named or not any(response.items for response in cut.responses))
        one = cut.interruption
        if self._cause != "end":
            ledger.recent = [*ledger.recent[-3:], cut]
            ledger.cuts.append(cut)
            self.unchecked.append(cut)
        if flush is not None and one is not None:
            one.flushes.append((ledger.now, flush.generation))
        if flush is not None:
            cut.flush = self.flushed(flush.generation)
            place = Place(flush.generation + 1, 0)
        else:
            place = ledger.stream.end
        for response in cut.responses:
            response.cut = cut
            # Where no sound of it had come, none is among what was handed over.
            came = flush is not None or any(segment.received for segment in response.segments)
            self.kill(response, place if came else Place(place.generation, 0))

    @property
    def _guessed(self) -> bool:
        """Whether nothing was handed over since a flush that had no answer in time: where the sound stopped then, as a pause may
        have asked for, the client had to estimate, and a late answer changes nothing (B29)."""
        ledger = self._ledger
        last = ledger.flushes[-1] if ledger.flushes else None
        return last is not None and last.answered_at is None and not ledger.stream.handed.get(ledger.stream.generation)

    def flushed(self, generation: int) -> Flushing:
        """The core asked for silence; where no clock can answer any more, it settles at once."""
        made = self._ledger.flush(generation)
        if self.settles:
            made.settled = True
            self._ledger.waiting.remove(made)
        return made

    @property
    def waits(self) -> bool:
        """An interruption has reached the session, and its answer is still to be seen."""
        return self._due

    def kill(self, response: ResponseRecord, place: Place) -> None:
        """Nothing of this response may sound from ``place`` on."""
        response.dead = True
        response.dead_at = self._ledger.now
        response.dead_from = place
        if self._reference is not None:
            self._reference.cut(response)
        for segment in response.segments:
            segment.dead_from = place
        self._ledger.alive.pop(response.id, None)
        self.killed.append(response)


def _by_order(response: ResponseRecord) -> int:
    return response.order
