"""Calls: the server sounds the audio, on a WebRTC or SIP line of its own, and knows what was heard (DESIGN 5, facts 4.15).

This side sees the events only. ``output_audio_buffer.started``, ``.stopped`` and ``.cleared`` are the clock; there is no truncate
and no delete of ours, because the server cuts its own items, and says so by ``conversation.item.truncated``. An interruption
sends ``output_audio_buffer.clear``. Where the server does not say how much was heard, the time since it began stands for it.
"""

from rtcore._core import Core
from rtcore._items import Item, Response
from rtcore._notices import Cause, Interrupted, MessageStarted, SpeakingStarted, SpeakingStopped, Verdict
from rtcore._recent import keep_latest
from rtcore._requests import Pending
from rtcore._wire import ClearPlayout, ItemTruncated, ServerPlayoutCleared, ServerPlayoutStarted, ServerPlayoutStopped

_CHARS_PER_S = 15
"""How much text ordinary speech says in a second: by it the words that were heard are reckoned, where only the time is known."""
_PATIENCE_S = 60.0
"""So long after all that a message says must have been said, its end is given up."""
_TRUNCATED_S = 0.5
"""So long after ``cleared`` the server may take to say where it cut."""
_CLEARED_S = 1.0
"""So long after a clear of ours what was cut and has not sounded may still turn out to have: the news of it was on its way."""
_REMEMBERED = 64


class Remote:
    """Owner of: what was heard on a call?"""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.sounding = ""
        """The response that the server sounds, or none."""
        self._began: dict[str, float] = {}
        self._cleared: dict[str, float] = {}
        self._truncated: dict[str, int] = {}
        self._stopped: dict[str, None] = {}
        """Responses that had sounded to their end, though we had cut them by then."""
        self._damaged: dict[str, None] = {}
        """Responses of which a clear that was meant for another dropped the beginning, before they sounded."""
        self._cuts: dict[str, Response] = {}
        self._silenced: dict[str, float] = {}
        """Responses that were cut, and when: should one of them begin to sound, it is cleared."""
        self._shown: dict[str, float] = {}
        """Responses that were reckoned and of which something came after all, and when: from here on its word is waited for."""
        self._clear_at = 0.0
        """When we last asked for silence."""

    @property
    def _here(self) -> bool:
        """Whether this session is the side channel of a call; elsewhere these events mean nothing."""
        return self._core.capabilities.playout == "server"

    def holds(self, item: Item) -> bool:
        """Whether the message has sound of which the server has not said what became of it."""
        if not self._here or item.text_due is not None:
            return False
        held = bool(item.audio_parts)
        if held and item.response is not None and item.response.done:
            self._watch(item.response)
        return held

    # -- the clock ---------------------------------------------------------------------------------------------------------------

    def started(self, event: ServerPlayoutStarted) -> None:
        """The first sample of a response leaves the server."""
        core = self._core
        if not self._here:
            return
        response = core.responses.live.get(event.response_id)
        self.sounding = event.response_id
        self._began[event.response_id] = core.now
        keep_latest(self._began, _REMEMBERED)
        silenced_at = self._silenced.get(event.response_id)
        if silenced_at is not None:
            if not (core.requests.keys("clear playout") and self._clear_at >= silenced_at):
                self._clear()  # otherwise it began before our clear came, which is on its way
            return
        if response is None or response.dead:
            return
        if not core.speech.speaking:
            core.speech.speaking, core.speech.since = True, core.now
            core.news.append(SpeakingStarted(response.id, core.now))
        first = next((item for item in response.items.values() if item.type == "message" and not item.started_told), None)
        if first is not None:
            first.started_told = True
            core.news.append(MessageStarted(response.id, first.id, core.now, first.phase))
            core.barge_in.message_started(response)

    def stopped(self, event: ServerPlayoutStopped) -> None:
        """The last sample has left the server: every message of the response was heard."""
        if not self._here:
            return
        response = self._core.responses.live.get(event.response_id)
        self._silent(event.response_id)
        if response is None:
            return
        if response.id in self._cuts:
            # What a cancel of ours ended had more to say, of which the server sounds nothing.
            more = response.done and response.cancel_sent and not response.outran_cancel
            if more or response.id in self._damaged:
                self._cleared.setdefault(response.id, self._core.now)
                keep_latest(self._cleared, _REMEMBERED)
            elif response.id not in self._cleared:
                self._stopped[response.id] = None
                keep_latest(self._stopped, _REMEMBERED)
            self._settle(response)
        else:
            self._heard_out(response)

    def cleared(self, event: ServerPlayoutCleared) -> None:
        """The rest was dropped. What of it was heard, the server's truncates say."""
        core = self._core
        if not self._here:
            return
        ours = core.requests.take_first("clear playout")
        self._cleared[event.response_id] = core.now
        keep_latest(self._cleared, _REMEMBERED)
        self._silent(event.response_id)
        response = core.responses.live.get(event.response_id)
        if response is not None and not response.dead:
            # A clear of ours that came late: what goes on without its beginning is not let go on.
            self._cut(response, "server")
            core.interruption.cancel(response)
        if ours is not None:
            self._lose_waiting()
        for cut in list(self._cuts.values()):
            self._settle(cut)  # what had not begun is not named, and is gone as well

    def _lose_waiting(self) -> None:
        """A clear of ours emptied the line: what waited behind what it was meant for has lost its beginning, or all of it."""
        self._damaged.update((response_id, None) for response_id in self._cuts if response_id not in self._began)
        for response in list(self._core.responses.live.values()):
            waits = not (response.dead or response.out_of_band or response.id in self._began)
            if waits and any(item.audio_parts for item in response.items.values()):
                self._damaged[response.id] = None
                self._cut(response, "server")
                if not response.done:
                    self._core.interruption.cancel(response)
                self._core.barge_in.missing(response)

    def truncated(self, event: ItemTruncated) -> None:
        """A truncate that nobody here asked for: the server cut its own item."""
        core = self._core
        item = core.responses.items.get(event.item_id)
        if not self._here or item is None or item.response is None:
            return
        self._truncated[event.item_id] = event.audio_end_ms
        keep_latest(self._truncated, _REMEMBERED)
        self._settle(item.response)

    def _silent(self, response_id: str) -> None:
        core = self._core
        if self.sounding in ("", response_id):
            self.sounding = ""
            if core.speech.speaking:
                core.speech.speaking = False
                core.news.append(SpeakingStopped(core.now))
            if self._cuts:
                # What was cut behind it would sound now, if at all.
                core.timers.set_earlier("end of the server's playout", core.now + _CLEARED_S)

    def _heard_out(self, response: Response) -> None:
        speech = self._core.speech
        for item in list(response.items.values()):
            if item.type == "message" and item.verdict is None and item.audio_parts:
                item.told = "server"
                speech.await_text(item)
                speech.check_ended(item)

    # -- interruptions -----------------------------------------------------------------------------------------------------------

    def interrupt(self, cause: Cause, responses: list[Response]) -> None:
        """Silence the server, unless its own turn detection does."""
        core = self._core
        itself = cause == "server" and core.acknowledged.server_interrupts and core.capabilities.server_cancels
        for response in responses:
            self._cut(response, cause)
            if not itself and not response.done:
                core.interruption.cancel(response)
        # A clear names no response: while another sounds, what waits behind it is cleared when it begins.
        if not itself and (not self.sounding or any(response.id == self.sounding for response in responses)):
            self._clear()
        for response in responses:
            self._settle(response)

    def _clear(self) -> None:
        core = self._core
        event_id = core.requests.event_id()
        pending = Pending(event_id, "clear playout")
        self._clear_at = core.now
        core.send(ClearPlayout(event_id), lane="urgent", pending=pending, wait_ms=core.config.timeouts.edit_ms)

    def _cut(self, response: Response, cause: Cause) -> None:
        core = self._core
        response.dead = True
        response.cut_at = core.now
        response.cut_cause = cause
        response.cut_settled = False
        for item in response.items.values():
            for part in item.parts.values():
                part.cut()
        core.playout.cut(response.id, [], core.now)
        self._cuts[response.id] = response
        self._silenced[response.id] = core.now
        keep_latest(self._silenced, _REMEMBERED)
        core.timers.set_earlier("end of the server's playout", core.now + core.config.timeouts.edit_ms / 1000)
        if not response.done:
            core.timers.set_earlier("end of a response that was cut", core.now + core.config.timeouts.create_ms / 1000)

    def shown_late(self, response: Response) -> bool:
        """A message of a response that was cut comes behind its settlement. Gives whether what the server says of it is on its
        way as well: the line stood still, and nothing had been said of its sound (F022)."""
        if not response.reckoned:
            return False
        response.reckoned = response.cut_settled = False
        self._cuts[response.id] = response
        self._shown[response.id] = self._core.now
        self._settle(response)
        return True

    def response_done(self, response: Response) -> None:
        """A response that was cut has ended: where nothing of it sounded, that is all there is to know."""
        self._settle(response)

    def end(self) -> None:
        """The session is over: what was not settled is reckoned."""
        if self._here:
            for response in list(self._core.responses.live.values()):
                if response.id not in self._cuts and not response.cut_settled:
                    self._cut(response, "program")
                self._settle(response, overdue=True)

    def _waits_until(self, response: Response) -> float | None:
        """Until when the server may still say what was heard of a response that was cut; None where it has said so."""
        core = self._core
        cut_at = self._shown.get(response.id, core.now if response.cut_at is None else response.cut_at)
        if response.id in self._stopped or any(item_id in self._truncated for item_id in response.items):
            return None
        cleared = self._cleared.get(response.id)
        if response.id in self._began:
            return cut_at + core.config.timeouts.edit_ms / 1000 if cleared is None else cleared + _TRUNCATED_S
        if cleared is not None:
            return None  # it never began
        if not response.done or response.presumed:
            # Of one whose end is only presumed nothing was said at all: what it is taken for is reckoned.
            return cut_at + core.config.timeouts.create_ms / 1000
        if self._waits_behind(response, cut_at) and core.now < self._sounds_until():
            return core.now + _CLEARED_S
        return cut_at + _CLEARED_S if core.requests.keys("clear playout") else None

    def _waits_behind(self, response: Response, cut_at: float) -> bool:
        """Whether something sounds that comes before it: it was created earlier, or sounded already when this was cut."""
        if self.sounding in ("", response.id):
            return False
        first = next((each for each in self._core.responses.live if each in (self.sounding, response.id)), "")
        return first == self.sounding or self._began[self.sounding] <= cut_at

    def _sounds_until(self) -> float:
        """When all of what sounds must have sounded; a server that never says that it stopped is not waited for any longer."""
        response = self._core.responses.live.get(self.sounding)
        return self._began[self.sounding] + _PATIENCE_S if response is None else self._due(response)

    def _settle(self, response: Response, *, overdue: bool = False) -> None:
        """Tell the verdicts once the server has said where it cut, or will not say any more."""
        core = self._core
        if response.id not in self._cuts:
            return
        until = self._waits_until(response)
        if until is not None and not overdue and core.now < until:
            core.timers.set_earlier("end of the server's playout", until)
            return
        del self._cuts[response.id]
        response.cut_settled = True
        self._shown.pop(response.id, None)
        # Otherwise nobody said it in time, or the session is over.
        known = until is None
        response.reckoned = not known
        if response.id in self._stopped:
            self._heard_out(response)
        damaged = response.id in self._damaged
        self._damaged.pop(response.id, None)
        messages = [
            item for item in response.items.values() if item.type == "message" and item.verdict is None and item.text_due is None
        ]
        said = any(item.id in self._truncated for item in messages)
        began, cleared = self._began.get(response.id), self._cleared.get(response.id)
        heard_until = cleared if cleared is not None else core.now
        reckoned = None if began is None else int((heard_until - began) * 1000)
        for item in messages:
            item.reckoned = not known
        if said and damaged:
            # What was said before where it was cut need not have sounded: as much of it did as there was time for.
            rest = max(0, (reckoned or 0) - sum(self._truncated.get(item.id, 0) for item in messages))
            for item in messages:
                if item.id in self._truncated:
                    break
                self._truncated[item.id], item.reckoned, rest = rest, True, 0
        partial, skipped = self._judge(messages, said=said, reckoned_ms=reckoned)
        core.responses.retire(response)
        core.reports.silenced([response], heard_until, estimated=not known)
        if partial or skipped:
            estimated = any(item.reckoned for item in messages)
            core.news.append(Interrupted(response.cut_cause or "server", partial, skipped, estimated))
        core.creation.pump()

    def _judge(self, messages: list[Item], *, said: bool, reckoned_ms: int | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
        partial: list[str] = []
        skipped: list[str] = []
        past = False
        for item in messages:
            if not item.audio_parts:
                if item.response is not None:
                    self._core.interruption.judge_silent(item, item.response)
                continue
            heard_ms = self._truncated.pop(item.id, None)
            if heard_ms is None and not said and not past:
                heard_ms = reckoned_ms or 0
                item.reckoned |= heard_ms > 0
            item.told = "server"
            if heard_ms is None and not past:
                verdict = Verdict.FULL
            elif heard_ms:
                item.remote_ms, item.heard_text = heard_ms, _spoken(item, heard_ms)
                verdict, past = Verdict.PARTIAL, True
                partial.append(item.id)
            else:
                verdict, past = Verdict.SKIPPED, True
                skipped.append(item.id)
            self._core.speech.end(item, verdict)
        return tuple(partial), tuple(skipped)

    # -- what never comes --------------------------------------------------------------------------------------------------------

    def _watch(self, response: Response) -> None:
        self._core.timers.set_earlier("end of the server's playout", self._due(response))

    def _due(self, response: Response) -> float:
        """When all of it must have sounded."""
        text = sum(len(item.full_text) for item in response.items.values())
        return max(response.quiet_since, self._began.get(response.id, response.quiet_since)) + _PATIENCE_S + text / _CHARS_PER_S

    def overdue(self) -> None:
        """The server did not say what became of its sound: what was cut is reckoned, what was not is taken as heard."""
        core = self._core
        for response in list(self._cuts.values()):
            self._settle(response)
        for response in list(core.responses.live.values()):
            waits = any(item.type == "message" and item.verdict is None for item in response.items.values())
            if response.dead or not response.done or not waits:
                continue
            if core.now >= self._due(response):
                core.lifecycle.warn("the server did not say that its audio ended; it is taken as heard", "", response.id)
                self._silent(response.id)
                self._heard_out(response)
            else:
                self._watch(response)


def _spoken(item: Item, heard_ms: int) -> str:
    """The words that ordinary speech says in this time, the one in progress included."""
    text = "".join(part.text_at_cut for _, part in sorted(item.parts.items()))
    end = heard_ms * _CHARS_PER_S // 1000
    if end >= len(text):
        return text
    following = text.find(" ", end)
    return text if following < 0 else text[:following]
