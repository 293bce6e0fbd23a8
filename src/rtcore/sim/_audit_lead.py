"""Where a program bounds what is handed over, that is no reason for silence: what waits behind the lead comes in time.

Part of invariant 12. The core is told how often its clock says where it stands, and has to hand over so much that the sound lasts
until the next word, whatever lead was asked for (F019, F020, F040).
"""

from collections.abc import Callable

from rtcore._clock import Clock
from rtcore._effects import Play
from rtcore.sim._ledger import Ledger
from rtcore.sim.speaker import MILLISECOND, Speaker


class LeadAudit:
    """Owner of: does the sound stop though its next sample has long arrived, and waits in the core for the clock's word?"""

    def __init__(self, ledger: Ledger, speaker: Speaker, clock: Clock, lead_ms: int | None, sync: Callable[[int], None]) -> None:
        """``lead_ms``: as configured; None: all is handed over at once."""
        options = speaker.options
        # Ahead of the sound there is always its buffer, the block that goes in next, and one that may have to be whole.
        needed = options.buffer_ms + 2 * options.block_ms
        # One that falls silent says nothing by which more could be handed over: what is heard then has a deadline of its own.
        bounded = lead_ms is not None and clock.reports and not options.silent_per_mille
        lead = max(lead_ms or 0, 2 * clock.report_ms + clock.latency_ms)
        self.watches = bounded and lead - clock.report_ms >= needed
        """There is a lead, and one that is enough for this device."""
        self._ledger = ledger
        self._speaker = speaker
        self._sync = sync
        self._slack = 2 * options.block_ms * MILLISECOND
        self._told_at = -1

    def plays(self, effect: Play) -> None:
        """Audio is about to be handed over."""
        ledger, speaker = self._ledger, self._speaker
        stream = ledger.stream
        if effect.generation != stream.generation or stream.held >= stream.generation or stream.guessed or speaker.lost:
            return
        self._sync(ledger.now)
        matcher = ledger.matcher
        segment = matcher.current
        if speaker.pending or segment is None or matcher.generation != effect.generation or self._told_at == ledger.now:
            return
        silent_since = matcher.last_until
        arrived = ledger.responses[segment.response_id].last_audio_at
        goes_on = segment.sent.source.startswith(effect.pcm, segment.sent.start + segment.heard)
        if goes_on and arrived < silent_since < ledger.now - self._slack:
            self._told_at = ledger.now
            waited = (ledger.now - silent_since) // MILLISECOND
            ledger.fail(12, f"{segment.name} was silent for {waited} ms, and its next sample waited in the core behind the lead")
