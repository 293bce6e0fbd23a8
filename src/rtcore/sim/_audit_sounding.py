"""What the core says of its own sound, against the sound: who speaks until when, and that a silent clock is not waited for.

Part of invariants 6 and 12. Where the clock may be wrong, knows marks only or has just been guessed at, the audible signal is no
measure of what the core can say, and only the order of its words is held.
"""

from rtcore._clock import Clock
from rtcore._effects import Deadline
from rtcore._notices import MessageEnded, MessageStarted, SpeakingStarted, SpeakingStopped, Verdict
from rtcore.sim._ledger import ROUNDING, ItemRecord, Ledger
from rtcore.sim.speaker import MILLISECOND, Speaker

_SECOND = 1_000_000_000
_SLACK = 2 * MILLISECOND
"""A crystal's drift between two reports, and the rounding of spans to samples."""


_PRESUMED = 10_000 * MILLISECOND
"""A response that has said nothing for so long may be taken as done, though its end was never told (``timeouts.create_ms``)."""


def patience(clock: Clock) -> int:
    """How long the core may wait for a clock that has fallen silent, once everything has sounded: nanoseconds."""
    # Once for the report, and once more after the word that nothing follows (a tail may have waited for it).
    return 2 * (clock.report_ms + clock.latency_ms + clock.flush_latency_ms + 1000) * MILLISECOND + _SECOND


class SoundingAudit:
    """Owner of: does the core tell the beginning and the end of sound where they are?"""

    def __init__(self, ledger: Ledger, clock: Clock, *, believes: bool, speaker: Speaker) -> None:
        """``believes``: the clock's words may differ from the truth."""
        self.speaking = False
        self._started: dict[str, float] = {}
        self._ledger = ledger
        self._exact = not believes
        self._watched = clock.reports
        self._report = clock.report_ms * MILLISECOND
        self._speaker = speaker
        self._patience = patience(clock)

    def turned(self, notice: SpeakingStarted | SpeakingStopped, *, closing: bool) -> None:
        """The core says that the model has begun to speak, or has stopped; ``closing``: because the session is over."""
        ledger = self._ledger
        begins = isinstance(notice, SpeakingStarted)
        if self.speaking is begins:
            ledger.fail(6, f"{type(notice).__name__} twice in a row")
        self.speaking = begins
        if begins or closing:
            return
        # One turn of the model is one speech, whatever gaps the line or the queue tear into it (S01, F147).
        for response in ledger.alive.values():
            if response.dead or not response.audible:
                continue
            begun = any(segment.heard for item in response.items.values() for segment in item.segments)
            if begun and not response.done and ledger.now < response.last_audio_at + _PRESUMED:
                ledger.fail(6, f"SpeakingStopped in a gap of {response.id}, which goes on")
            elif (
                response.done
                and self._exact
                and not ledger.stream.guessed
                and (left := self._left(list(response.items.values())))
            ):
                ledger.fail(6, f"SpeakingStopped although {left} is still to be heard")

    def _left(self, items: list[ItemRecord]) -> str | None:
        width = self._ledger.audio.sample_width
        for item in items:
            for segment in item.segments if item.ended is None and not item.guessed else ():
                if segment.heard < segment.received - segment.received % width - width:
                    return segment.name
        return None

    def message_ended(self, item: ItemRecord, notice: MessageEnded) -> None:
        """A message is over: its times are those of its sound (S01). Call it after the sound was attributed."""
        if round(notice.stopped_at * _SECOND) > self._ledger.now + ROUNDING:
            self._ledger.fail(6, f"{item.id} is told to have stopped at {notice.stopped_at:.3f} s, in the future")
        if not self._exact or item.guessed or notice.estimated or notice.heard_ms == 0:
            return
        sounded = [segment for segment in item.segments if segment.heard]
        if any(segment.inexact for segment in sounded) or not sounded:
            return
        ledger = self._ledger
        begun = min(segment.begun_at for segment in sounded)
        until = max(ledger.matcher.until(segment) for segment in sounded)
        if notice.started_at is not None and round(notice.started_at * _SECOND) < begun - _SLACK:
            ledger.fail(6, f"{item.id} is told to have begun at {notice.started_at:.3f} s, and began at {begun / _SECOND:.3f} s")
        stopped = round(notice.stopped_at * _SECOND)
        # One sample short counts as heard (B02), and a device may hold that one back.
        if stopped < max(ledger.matcher.nearly(segment) for segment in sounded) - _SLACK:
            ledger.fail(
                6, f"{item.id} is told to have stopped at {notice.stopped_at:.3f} s, and sounded until {until / _SECOND:.3f} s"
            )
        if notice.verdict is not Verdict.FULL:
            return
        # Where a flush's answer is what told it, the sound had ended by as much earlier as the answer took to come.
        told_by_a_flush = item.response.dead or any(flush.answered_at == ledger.now for flush in ledger.flushes[-3:])
        latest = until + self._report + _SLACK + (ledger.allowance if told_by_a_flush else 0)
        if stopped > latest and not ledger.stream.held:
            ledger.fail(
                6, f"{item.id} is told to have stopped at {notice.stopped_at:.3f} s, and sounded until {until / _SECOND:.3f} s"
            )
        follower = ledger.matcher.followers.get(item.id)
        if follower is not None and follower.begun_at >= until:
            self._in_turn(item, self._ledger.items.get(follower.item_id))

    def message_started(self, item: ItemRecord, notice: MessageStarted) -> None:
        """A message is heard for the first time."""
        self._started[item.id] = notice.at
        leader = self._ledger.matcher.leaders.get(item.id)
        if leader is not None and self._exact and not item.guessed:
            self._in_turn(self._ledger.items.get(leader.item_id), item)

    def _in_turn(self, first: ItemRecord | None, second: ItemRecord | None) -> None:
        """Two messages of which one sounded right behind the other: on the record, too, they are never heard at once (S01)."""
        if first is None or second is None or first is second or first.ended is None or first.guessed:
            return
        stopped, started = first.ended.stopped_at, self._started.get(second.id)
        until = max(self._ledger.matcher.until(segment) for segment in first.segments)
        one_by_one = until <= min(segment.begun_at for segment in second.segments if segment.heard)
        if started is not None and one_by_one and first.ended.verdict is Verdict.FULL and stopped > started + _SLACK / _SECOND:
            text = (
                f"{first.id} is told to have stopped at {stopped:.3f} s, {second.id} behind it to have begun at {started:.3f} s"
            )
            self._ledger.fail(6, text)

    def waiting(self, deadline: Deadline | None, *, held: bool) -> None:
        """While something is handed over that the clock has not confirmed, its silence has a deadline (F078, C19)."""
        if deadline is None and self._waits(held):
            samples = self._ledger.stream.unconfirmed
            self._ledger.fail(12, f"{samples} samples wait for the clock's report, and there is no deadline")
        self.over(held=held)

    def over(self, *, held: bool) -> None:
        """.. and when it has passed, what was handed over counts as heard; nobody waits for ever."""
        ledger = self._ledger
        if not self._speaker.pending and self._waits(held):
            samples = ledger.stream.unconfirmed
            latest = ledger.matcher.last_until + samples * _SECOND // ledger.audio.rate + self._patience
            if ledger.now > latest:
                ledger.fail(12, f"{samples} samples still wait for a clock that fell silent, and everything has sounded")

    def _waits(self, held: bool) -> bool:
        stream = self._ledger.stream
        if not (self._watched and stream.unconfirmed > 0) or stream.guessed or held or stream.held >= stream.generation:
            return False
        return not (self._speaker.lost or self._ledger.flush_waits)
