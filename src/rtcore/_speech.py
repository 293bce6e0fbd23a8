"""What was heard, and when a message is over: from the clock's number to the news of who speaks and what became of each message.

The playout counts samples; this owner says what the counts mean. It also watches the clock: a segment that holds up the queue
and a clock that falls silent have a deadline, so that nothing waits for ever (F078, invariant 12).
"""

from rtcore._core import Core
from rtcore._items import Item, Segment
from rtcore._notices import MessageEnded, MessageStarted, SpeakingStarted, SpeakingStopped, Verdict
from rtcore._verdicts import verdict_of


class Speech:
    """Owner of: is the model speaking, and has a message ended?"""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.speaking = False
        self.since = 0.0
        """When the turn that is heard began to be."""
        self.watching = False

    # -- the clock ---------------------------------------------------------------------------------------------------------------

    def moved(self, segments: list[Segment]) -> None:
        """The clock's number moved these segments: say who began to sound and who was heard to the end."""
        core = self._core
        for segment in segments:
            item = core.responses.items.get(segment.item_id)
            if item is None:
                continue
            if not item.started_told and segment.started_at is not None:
                item.started_told = True
                if not self.speaking:
                    self.speaking, self.since = True, segment.started_at
                    core.news.append(SpeakingStarted(segment.response_id, segment.started_at))
                core.news.append(MessageStarted(segment.response_id, item.id, segment.started_at, item.phase))
                if item.response is not None:
                    core.barge_in.message_started(item.response)
            core.running_text.moved(item, segment)
            if segment.exhausted:
                self.check_ended(item)

    def after_playout(self) -> None:
        """Something in the queue changed: watch for a segment that holds it up, and notice the end of a turn's sound."""
        core = self._core
        if core.playout.stalled:
            core.timers.set_earlier("segment that holds up the queue", core.now + core.config.playout.stall_ms / 1000)
        else:
            core.timers.cancel("segment that holds up the queue")
        if self.speaking and core.playout.idle and not core.remote.sounding:
            self.speaking = False
            core.news.append(SpeakingStopped(core.now))
            core.idle.touched()
        if not core.playout.unconfirmed:
            self.watching = False
            core.timers.cancel("position report of the clock")
        elif not self.watching:
            self.watch_clock()

    def stop_speaking(self) -> None:
        """The session is over."""
        if self.speaking:
            self.speaking = False
            self._core.news.append(SpeakingStopped(self._core.now))

    def step_aside(self) -> None:
        """The stall deadline passed: what waits behind the incomplete segment plays first."""
        core = self._core
        if core.playout.stalled:
            due = core.playout.sounded_at + core.config.playout.stall_ms / 1000
            if core.now < due:
                # It went on meanwhile: the silence began later than the wait.
                core.timers.set("segment that holds up the queue", due)
                return
            core.counters.steps_aside += 1
            core.playout.step_aside(core.now, core.sound)
            self.after_playout()

    def watch_clock(self) -> None:
        """While samples are unconfirmed, the clock's silence has a deadline (invariant 12, F078)."""
        core = self._core
        if core.playout.unconfirmed and not core.playout.held:
            self.watching = True
            at = core.playout.overdue_at(self._slack()) if core.clock.reports else core.playout.reckon_at(core.now)
            core.timers.set("position report of the clock", at)

    def clock_overdue(self) -> None:
        """The clock said nothing although everything must have sounded: go on with an estimate."""
        core = self._core
        self.watching = False
        playout = core.playout
        if not playout.unconfirmed or playout.held:
            return
        if core.clock.reports:
            if core.now < playout.overdue_at(self._slack()):
                self.watch_clock()
                return
            if playout.drain(core.now, core.sound):
                # Perhaps it only holds a tail until more comes; told that nothing does, it gets the same time again.
                self.watching = True
                core.timers.set("position report of the clock", core.now + self._slack())
                return
            core.lifecycle.clock_fault(
                playout.generation.number, "no position report in time; what was handed over is taken as heard"
            )
            moved = playout.assume_heard(core.now)
        else:
            moved = playout.reckon(core.now)
        self.moved(moved)
        playout.release(core.now, core.sound)
        self.after_playout()

    def _slack(self) -> float:
        clock = self._core.clock
        return (clock.report_ms + clock.latency_ms + clock.flush_latency_ms + 1000) / 1000

    # -- the end of a message ----------------------------------------------------------------------------------------------------

    def check_ended(self, item: Item) -> None:
        """End a message that was heard to its end, once its texts are complete or their deadline passed."""
        response = item.response
        if response is None or item.type != "message" or item.verdict is not None:
            return
        if self._core.remote.holds(item):
            return
        if item.text_due is None and (response.dead or not (item.done or response.done)):
            return
        if not response.audible:
            if response.done:
                self.end(item, Verdict.TEXT)
            return
        audio = item.audio_parts
        if item.text_due is None and any(part.segment is not None and not part.segment.exhausted for _, part in audio):
            return
        core = self._core
        silent = not any(part.segment is not None and part.segment.received for _, part in audio)
        if audio and silent and item.text_due is None:
            # Declared, and closed without a sample: whether it was to be heard shows when its response is done (facts 17.21).
            if not response.done:
                return
            if not response.completed:
                core.interruption.unwant(item, response)
                self.end(item, Verdict.SKIPPED)
                return
        if all(part.final for part in item.parts.values()) or (item.text_due is not None and core.now >= item.text_due):
            torn = response.gone and not (item.parts and all(part.was_complete for part in item.parts.values()))
            self.end(item, verdict_of(item) if torn else Verdict.FULL if audio else Verdict.TEXT)
        else:
            self.await_text(item)

    def await_text(self, item: Item) -> None:
        """Everything was heard: its verdict waits for its text, up to a deadline."""
        if item.text_due is None:
            core = self._core
            item.text_due = core.now + core.config.timeouts.text_ms / 1000
            core.timers.set_earlier("text of a heard message", item.text_due)

    def text_overdue(self) -> None:
        """The deadline for a text passed."""
        core = self._core
        for response in list(core.responses.live.values()):
            for item in list(response.items.values()):
                if item.text_due is not None and item.verdict is None:
                    self.check_ended(item)
                    if item.verdict is None:
                        wait = core.config.timeouts.text_ms / 1000
                        item.text_due = item.text_due if item.text_due > core.now else core.now + wait
                        core.timers.set_earlier("text of a heard message", item.text_due)

    def end(self, item: Item, verdict: Verdict) -> None:
        """Tell a message's one verdict (invariant 6)."""
        core = self._core
        response = item.response
        if response is None or item.verdict is not None:
            return
        segments = item.segments
        began_at, ended_at = item.sounded_so_far
        heard_ms = item.heard_ms_so_far if item.remote_ms is None else item.remote_ms
        item.verdict = verdict
        full = item.full_text
        if verdict is Verdict.PARTIAL and item.remote_ms is None:
            item.heard_text = "".join(part.heard_text() for _, part in sorted(item.parts.items()))
        elif verdict is Verdict.SKIPPED:
            item.heard_text = ""
        item.heard_ms = heard_ms
        item.started_at, item.stopped_at = began_at, core.now if ended_at is None else ended_at
        if response.speaks is not None and verdict is not Verdict.SKIPPED:
            response.speaks.spoken = True
        if verdict is Verdict.FULL:
            core.barge_in.heard_out(response)
            core.playout.heard_out(segments)
        core.running_text.ended(item, verdict)
        if response.gone and verdict in (Verdict.PARTIAL, Verdict.SKIPPED) and core.state != "closed":
            item.told = "replay"
        core.responses.went_quiet(response)
        core.news.append(
            MessageEnded(
                response_id=response.id,
                item_id=item.id,
                verdict=verdict,
                heard_ms=heard_ms,
                received_ms=sum(segment.format.ms(segment.playable) for segment in segments),
                text=full if item.heard_text is None else item.heard_text,
                full_text=full,
                started_at=item.started_at,
                stopped_at=item.stopped_at,
                estimated=any(segment.estimated for segment in segments) or item.reckoned,
                told=item.told,
                phase=item.phase,
            )
        )
        if response.own:
            core.voice.ended(item, verdict)
        core.responses.retire(response)
        if response.gone:
            core.continuity.ended(item)
