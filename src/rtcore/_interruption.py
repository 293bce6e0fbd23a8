"""Who cancels, and what is the server told: an interruption from its first silence to the settlement of the cut.

An interruption happens in two steps. First silence: the responses that are cut die, the clock is flushed, and a cancel goes out
if it is ours to send. Then, with the clock's answer, the truth: each message gets its verdict, and the server is told by a
truncate or a delete what was not heard. Where nothing unconfirmed was handed over, both happen in one step.
"""

from typing import NamedTuple

from msgspec import Struct

from rtcore._core import Core
from rtcore._items import Item, Response, Segment
from rtcore._notices import Cause, Interrupted, Told, Verdict
from rtcore._recent import keep_latest
from rtcore._requests import Pending
from rtcore._verdicts import verdict_of
from rtcore._wire import Cancel, CreateItem, Delete, Truncate
from rtcore.dialects import Wire

_DELETE_AFTER_S = 1.0
"""An unheard item is deleted once its response is done, or this long after the cut (DESIGN 3)."""
_SERVER_CANCEL_S = 0.4
"""A server that interrupts by itself and still sends deltas after this long gets one cancel (DESIGN 4)."""
_BEGINNING = 60
"""So many characters tell the model which of its messages is meant."""
_ORPHANS = 256
"""Unheard items of ended responses that the server has not announced; deleted if it ever does."""


class _Cut(Struct):
    """A cut that waits for the clock's answer to flush ``generation`` (0: for nothing)."""

    generation: int
    cause: Cause
    responses: list[Response]
    silent_at: float | None = None
    """Since when nothing sounds, where a pause came before it. None: that is settled with it."""


class Lost(NamedTuple):
    """What an interruption cut, and whether the answer to a turn, or to function results, was among it that had not begun."""

    responses: tuple[Response, ...] = ()
    answer: bool = False


class Interruption:
    """Owner of: who cancels? And of the edits that follow. Whether it is an interruption at all, ``_barge_in`` decides."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._cuts: list[_Cut] = []
        self._unwanted: dict[str, Item] = {}
        self._orphans: dict[str, None] = {}

    @property
    def editing(self) -> bool:
        """Whether an edit is unsettled or still to be sent: nothing may be created yet (DESIGN 3)."""
        return self.unsettled or self._core.edits.waiting

    @property
    def unsettled(self) -> bool:
        """Whether a flush, truncate or delete of ours is unsettled."""
        core = self._core
        if core.continuity.replaying:
            return True
        return bool(self._cuts or self._unwanted) or core.requests.editing or core.playout.flushing

    # -- silence -----------------------------------------------------------------------------------------------------------------

    @property
    def anything(self) -> bool:
        """Whether anything is heard, generated or asked for that an interruption would cut, or runs that it would cancel."""
        core = self._core
        sounds = any(self._cuttable(response, None) for response in core.responses.live.values())
        return core.creation.reserved or sounds or core.tools.interruptible

    @property
    def uninterruptible(self) -> bool:
        """Whether what is heard now, or next, was asked for as uninterruptible."""
        core = self._core
        head = core.playout.head
        if head is not None and head.response_id in core.responses.live:
            return not core.responses.live[head.response_id].interruptible
        following = next((r for r in core.responses.live.values() if self._cuttable(r, None)), None)
        return not following.interruptible if following is not None else core.creation.reserved_uninterruptible

    def barge_in(
        self,
        cause: Cause,
        only: str | None = None,
        *,
        sparing: bool = False,
        since: float = float("inf"),
        began_at: float | None = None,
        cancelled: Response | None = None,
    ) -> Lost:
        """Cut everything that can still be heard (or ``only`` one response) and what would be heard next.

        ``sparing``: but for what was asked for as uninterruptible. ``since``: when the voice began that turned out to interrupt;
        what was asked for after that may be the answer to it. ``began_at``: when the interruption began, where that was not now.
        ``cancelled``: what the server cancelled by itself, whenever it was asked for.
        """
        lost = self._silence(cause, only, sparing=sparing, since=since, began_at=began_at, cancelled=cancelled)
        if only is not None or cause in ("server", "local"):
            return lost
        self._core.barge_in.ended_by(cause)
        return lost

    def _silence(
        self,
        cause: Cause,
        only: str | None,
        *,
        sparing: bool,
        since: float,
        began_at: float | None,
        cancelled: Response | None,
    ) -> Lost:
        core = self._core
        answer = False
        if only is None:
            answer = core.creation.kill_reserved(cause, sparing=sparing, since=since)
            answer |= core.tools.interrupted(cause)
        live = core.responses.live.values()
        cut = (r for r in live if self._cuttable(r, only) and (r.interruptible or not sparing))
        targets = [r for r in cut if r.asked_at <= since or r is cancelled]
        for response_id in [response.id for response in targets] if only is None else [only]:
            core.continuity.cut(response_id, by_voice=cause in ("server", "local"))
        if not targets:
            return Lost(answer=answer)
        lost = Lost(tuple(targets), answer)
        for response in targets:
            # What was asked for since that voice began, another one interrupted.
            response.interrupted_at = core.now if began_at is None or response.asked_at > since else began_at
        if core.capabilities.playout == "server":
            core.remote.interrupt(cause, targets)
            return lost
        flush = False
        segments: list[Segment] = []
        for response in targets:
            response.dead = True
            response.cut_at = core.now
            response.cut_cause = cause
            core.holds.cut(response)
            own = [part.segment for item in response.items.values() for part in item.parts.values() if part.segment is not None]
            for item in response.items.values():
                if item.verdict is None and item.text_due is None:
                    for part in item.parts.values():
                        part.cut()
            segments += own
            flush |= core.playout.cut(response.id, own, core.now)
            flush |= core.playout.may_sound and any(segment.estimated for segment in own)
        generation = core.playout.flush(core.now, core.sound) if flush else core.playout.awaited(segments)
        silent_at = core.pauses.silent_at
        if only is None:
            core.pauses.drop()
        if flush:
            self.watch_flush()
        for response in targets:
            if response.own:
                core.voice.cut(response)
            if not response.done:
                core.timers.set_earlier("end of a response that was cut", core.now + core.config.timeouts.create_ms / 1000)
                if not self._server_cancels(response, cause):
                    self.cancel(response)
        self._cuts.append(_Cut(generation, cause, targets, silent_at))
        if not generation:
            self._settle_cuts(0)
        core.playout.release(core.now, core.sound)
        core.speech.after_playout()
        return lost

    def _cuttable(self, response: Response, only: str | None) -> bool:
        if response.dead or (only is not None and response.id != only) or (only is None and not response.audible):
            return False
        return not response.done or any(
            item.type == "message" and item.verdict is None and item.text_due is None for item in response.items.values()
        )

    def _server_cancels(self, response: Response, cause: Cause) -> bool:
        core = self._core
        interrupts = core.acknowledged.server_interrupts and core.capabilities.server_cancels
        return cause == "server" and interrupts and not response.out_of_band

    def cancel(self, response: Response) -> None:
        """Exactly one cancel per response, always by id (B07, F052)."""
        if response.cancel_sent or response.done or response.gone:
            return
        response.cancel_sent = True
        core = self._core
        event_id = core.requests.event_id()
        core.send(
            Cancel(event_id, response.id),
            lane="urgent",
            pending=Pending(event_id, "cancel", key=response.id),
            wait_ms=core.config.timeouts.create_ms,
        )

    def refused_cancel(self) -> str | None:
        """Which cancel "nothing is active" answers where the error does not say: one whose response had ended, then one that was
        given up, for it was sent before all that wait ("": none of these), or else one of which every item has, so that only the
        word of its end is missing (F022). None where there is none of them."""
        responses = self._core.responses
        live = responses.live
        cancels = self._core.requests.cancels()
        ended = next((key for key in cancels if key not in live or live[key].done), None)
        if ended is not None or responses.refusal_awaited:
            return ended or ""
        whole = (key for key in cancels if live[key].items and all(item.done for item in live[key].items.values()))
        return next(whole, None)

    def server_cancelled(self, response: Response) -> None:
        """The server's turn detection cancelled it, and its ``speech_started`` has not come: the same interruption (facts
        4.9).
        """
        response.done = True
        response.interruptible = True  # whatever it was asked for as, no more of it comes; everything else is spared (F054)
        self._core.barge_in.server_cancelled(response)
        response.done = False

    def overflow(self, response_id: str) -> None:
        """The bound of unheard audio is reached: model audio is never dropped silently, its response ends (F075)."""
        core = self._core
        core.lifecycle.warn("more unheard audio than playout.max_buffered_s allows; the response was cancelled", "", response_id)
        self.barge_in("overflow", response_id)

    def response_created(self, response: Response, *, ours: bool, dead: bool) -> None:
        """A response begins: dead already if its request was interrupted before (B15), stale if our edits are under way."""
        core = self._core
        if not (dead or self._not_to_stand(response, ours)):
            return
        if core.capabilities.playout == "server":
            core.remote.interrupt("program", [response])
        else:
            self._dead_on_arrival(response)

    def _not_to_stand(self, response: Response, ours: bool) -> bool:
        """Whether it is stale, and the policy wants another after our edits."""
        if ours or response.out_of_band or not self.editing:
            return False
        return self._core.creation.stale(response, self._unheard_ms)

    def _dead_on_arrival(self, response: Response) -> None:
        core = self._core
        response.dead = True
        response.cut_at = core.now
        response.cut_cause = "program"
        response.cut_settled = True
        core.playout.cut(response.id, [], core.now)
        core.timers.set_earlier("end of a response that was cut", core.now + core.config.timeouts.create_ms / 1000)
        self.cancel(response)

    @property
    def _unheard_ms(self) -> int | None:
        """How much sound of what was cut the server takes for heard until our edits reach it."""
        core = self._core
        if self._cuts:
            return None
        edited = {*self._unwanted, *core.requests.keys("truncate"), *core.requests.keys("delete")}
        items = [item for item in map(core.history.get, edited) if item is not None]
        segments = [segment for item in items for segment in item.segments]
        return sum(segment.format.ms(segment.received - min(segment.heard, segment.playable)) for segment in segments)

    def overdue_responses(self) -> None:
        """A response that was cut never ended: the server is taken at its silence, so that the slot is free again. While sound of
        it comes it runs, however long ago it was cut."""
        core = self._core
        wait = core.config.timeouts.create_ms / 1000
        for response in list(core.responses.live.values()):
            if response.dead and not response.done and response.cut_at is not None:
                due = max(response.cut_at, response.quiet_since) + wait
                if core.now >= due:
                    core.responses.presume_cut(response)
                else:
                    core.timers.set_earlier("end of a response that was cut", due)

    # -- truth -------------------------------------------------------------------------------------------------------------------

    def watch_flush(self) -> None:
        """Wait for the clock's answer, but not for ever (B29)."""
        due = self._core.playout.flush_due
        if due is None:
            self._core.timers.cancel("answer to a flush")
        else:
            self._core.timers.set("answer to a flush", due)

    def flushed(self, generation: int, samples: int | None) -> None:
        """The clock's final count, or None where it gave none: settle every generation up to this one."""
        core = self._core
        if samples is None:
            core.counters.estimated_cuts += 1
        moved = core.playout.settle(generation, samples, core.now)
        core.speech.moved(moved)
        core.pauses.settled()
        self.watch_flush()
        self._settle_cuts(generation)
        core.playout.release(core.now, core.sound)
        core.speech.after_playout()
        core.creation.pump()

    def flush_overdue(self) -> None:
        """No answer within the clock's declared latency and 150 ms: settle with the estimate, go on (B29)."""
        core = self._core
        late = [number for number, due in core.playout.dues() if due <= core.now]
        if late:
            core.lifecycle.clock_fault(max(late), "no answer to a flush in time; the heard position is estimated")
            self.flushed(max(late), None)
        self.watch_flush()

    def settle_now(self) -> None:
        """The clock will not answer any more (device lost, session over): settle with what is known."""
        numbers = [number for number, _ in self._core.playout.dues()]
        if numbers:
            self.flushed(max(numbers), None)

    def _settle_cuts(self, generation: int) -> None:
        core = self._core
        settled = [cut for cut in self._cuts if cut.generation <= generation]
        self._cuts = [cut for cut in self._cuts if cut.generation > generation]
        for cut in settled:
            partial: list[str] = []
            skipped: list[str] = []
            estimated = False
            for response in cut.responses:
                response.cut_settled = True
                for item in list(response.items.values()):
                    if item.verdict is not None:
                        continue
                    self._judge(item, response, at_cut=True)
                    # mypy narrows verdict to None above; _judge sets it.
                    verdict: Verdict | None = item.verdict
                    if verdict is Verdict.PARTIAL:
                        partial.append(item.id)
                    elif verdict is Verdict.SKIPPED:
                        skipped.append(item.id)
                    estimated |= any(p.segment is not None and p.segment.estimated for p in item.parts.values())
                core.responses.retire(response)
            at = core.now if cut.silent_at is None else cut.silent_at
            # A clock that can pause does not say when it was silent: that is taken for the moment in which it was told to.
            unanswered = cut.silent_at is not None and core.clock.pause
            core.reports.silenced(cut.responses, at, estimated=estimated or unanswered)
            if partial or skipped:
                core.news.append(Interrupted(cut.cause, tuple(partial), tuple(skipped), estimated))
        self.pump_deletes()

    def _judge(self, item: Item, response: Response, *, at_cut: bool = False) -> None:
        """The verdict of one message that was cut (the table of DESIGN section 3)."""
        core = self._core
        if item.type == "function_call":
            if not item.dispatched:
                self.unwant(item, response)
            return
        on_a_call = core.capabilities.playout == "server"
        if item.type != "message" or (on_a_call and item.text_due is not None):
            return
        if not item.parts and not response.done and not (at_cut and core.acknowledged.speaks):
            # Announced after the cut: whether it is sound or text shows with its part, or never.
            return
        verdict = verdict_of(item)
        if verdict is Verdict.TEXT:
            # Sound may still follow in an item that is open; what was read before the cut makes it a text all the same.
            over = item.done or (response.done and not response.presumed)
            if over or _was_read(item) or (response.done and item.full_text):
                core.speech.end(item, verdict)
                return
            if not response.done:
                return
            # Its response counts as over, and nobody has read a word: what the server has of it by now is not known.
            verdict = Verdict.SKIPPED
        if verdict is Verdict.FULL:
            core.speech.await_text(item)
            core.speech.check_ended(item)
            return
        if verdict is Verdict.PARTIAL:
            cut = next((segment for segment in item.segments if segment.heard_ms >= 1 and not segment.all_heard), None)
            if cut is not None:
                item.told = self._tell_partial(item, response, cut)
        else:
            item.told = self._tell_skipped(item, response)
        core.speech.end(item, verdict)
        if item.told == "note":
            self._note(item)

    # -- edits -------------------------------------------------------------------------------------------------------------------

    def _tell_partial(self, item: Item, response: Response, cut: Segment) -> Told:
        """The best way that the server has to learn how much was heard (the ladder of DESIGN 5)."""
        if response.gone:
            return "nothing"
        if response.out_of_band or item.deleted or item.delete_sent:
            return "nothing"
        rung = self._core.capabilities.heard
        if rung == "truncate":
            self._truncate(item, response, cut)
        elif rung == "rewrite":
            if not self.unwant(item, response):
                return "note" if self._core.capabilities.create else "record"
            # Less than a word was heard: there is nothing to put in its place.
            return "rewrite" if _words(item) else "delete"
        return rung

    def _tell_skipped(self, item: Item, response: Response) -> Told:
        if self.unwant(item, response):
            return "delete"
        able = self._core.capabilities
        if response.gone:
            return "nothing"
        if able.playout == "server":
            return "server"
        if response.out_of_band or item.delete_sent or item.deleted or able.delete or _was_read(item):
            return "nothing"
        return "note" if able.create else "record"

    def _note(self, item: Item) -> None:
        """Tell the model in words what was heard of its message, where the server takes neither a truncate nor a delete."""
        beginning = item.full_text[:_BEGINNING].strip()
        which = f'your message that begins "{beginning}"' if beginning else "your last message"
        heard = f'only: "{item.heard_text}"' if item.heard_text else "nothing of it"
        if item.verdict is Verdict.PARTIAL and not item.heard_text:
            heard = "only its very beginning"
        text = f"The user interrupted {which} and heard {heard}."
        self._create({"type": "message", "role": "system", "content": [{"type": "input_text", "text": text}]}, None, aside=True)

    def _rewrite(self, item: Item, previous_item_id: str | None) -> None:
        """Put the words that were heard in the place of the message that was deleted."""
        if item.heard_text:
            content = [{"type": "output_text", "text": item.heard_text}]
            self._create({"type": "message", "role": "assistant", "content": content}, previous_item_id)

    def _create(self, item: Wire, previous_item_id: str | None, *, aside: bool = False) -> None:
        """Create an item that is an edit: nothing else is created before it is there."""
        core = self._core
        event_id, item_id = core.requests.event_id(), core.requests.item_id()
        core.send(
            CreateItem(
                event_id,
                core.dialect.render_item({"id": item_id, **item}),
                previous_item_id and core.history.wire(previous_item_id),
            ),
            lane="urgent",
            pending=Pending(event_id, "item", key=item_id, edit=True),
            wait_ms=core.config.timeouts.edit_ms,
        )
        if aside:
            core.creation.expect_edit(item_id)
            core.continuity.aside(item_id)
        else:
            core.creation.expect_edit(item_id, {"id": item_id, **item}, previous_item_id)

    def _truncate(self, item: Item, response: Response, segment: Segment) -> None:
        own = self._core.capabilities.truncate_content_index == "own"
        item.truncated = (segment.content_index if own else 0, segment.heard_ms)
        self._send_truncate(item)

    def _send_truncate(self, item: Item) -> None:
        core = self._core
        if item.truncated is None or item.deleted or item.delete_sent or (item.response is not None and item.response.gone):
            return
        event_id = core.requests.event_id()
        waits = core.capabilities.truncate_acknowledged
        core.send(
            Truncate(event_id, item.id, *item.truncated),
            lane="urgent",
            pending=Pending(event_id, "truncate", key=item.id, edit=waits),
            wait_ms=core.config.timeouts.edit_ms,
        )

    def late_audio(self, response: Response, item: Item) -> None:
        """Audio of a response that was cut: the server may hold more than we said, and may have missed its own cancel."""
        core = self._core
        response.quiet_since = core.now
        if item.truncated is not None and (not response.done or response.presumed):
            item.late_audio = True
        if (
            response.cut_cause == "server"
            and response.cut_at is not None
            and core.now - response.cut_at >= _SERVER_CANCEL_S
            and not response.cancel_sent
            and not response.done
        ):
            core.counters.late_cancels += 1
            self.cancel(response)

    def item_known(self, item: Item) -> None:
        """An item of a dead response appeared: a call that will not be executed goes; a message waits for its kind."""
        response = item.response
        if response is not None and response.dead and response.cut_settled and item.type == "function_call":
            self._judge(item, response)
            self.pump_deletes()

    def part_known(self, item: Item) -> None:
        """The kind of a dead response's part is known: its message can be judged."""
        response = item.response
        if response is not None and response.dead and response.cut_settled and item.verdict is None:
            if not self._core.remote.shown_late(response):
                self._judge(item, response)
            self.pump_deletes()

    def response_done(self, response: Response) -> None:
        """A response is done: its calls that never became complete go (DESIGN 4), and what waited for the end of a cut."""
        if not response.dead:
            for item in response.items.values():
                if item.type == "function_call" and not item.dispatched:
                    self.unwant(item, response)
            self.pump_deletes()
            return
        core = self._core
        if core.capabilities.playout == "server":
            core.remote.response_done(response)
        if all(r.done or not r.dead for r in self._core.responses.live.values()):
            self._core.timers.cancel("end of a response that was cut")
        if not response.outran_cancel:
            # One that ended by itself before the cancel came leaves an error behind; it must find its cancel (C14).
            self._core.requests.take_first("cancel", response.id)
        for item in list(response.items.values()):
            if response.cut_settled and item.verdict is None:
                self._judge(item, response)
            if item.type == "function_call" and not self._deletable:
                core.tools.explain(item, response)
            if item.late_audio or (response.presumed and not item.done):
                # Of one whose end is only presumed more may have been made behind our truncate, and be on its way (C10, C16).
                item.late_audio = False
                self._send_truncate(item)
        self.pump_deletes()

    @property
    def _deletable(self) -> bool:
        """Whether items can be taken out: not on a call, where the server looks after its own (DESIGN 5)."""
        able = self._core.capabilities
        return able.delete and able.playout == "client"

    def judge_silent(self, item: Item, response: Response) -> None:
        """On a call, a message without sound was cut."""
        self._judge(item, response, at_cut=True)

    def unwant(self, item: Item, response: Response) -> bool:
        """Have an item deleted that nobody heard or read (DESIGN 3). Gives whether it will be."""
        if response.gone:
            return False
        shown = _was_read(item)
        if response.out_of_band or shown or item.delete_sent or item.deleted or not self._deletable:
            return False
        self._unwanted[item.id] = item
        return True

    def pump_deletes(self) -> None:
        """Delete unheard items: announced, settled, and their response done or a second past the cut."""
        core = self._core
        for item in list(self._unwanted.values()):
            response = item.response
            if response is None or item.deleted or item.delete_sent or _is_text(item):
                del self._unwanted[item.id]  # gone, or the program has had it deleted meanwhile
                continue
            due = (core.now if response.cut_at is None else response.cut_at) + _DELETE_AFTER_S
            if response.done and not item.announced:
                # The server never announced it; if it ever does, it is deleted then.
                del self._unwanted[item.id]
                self._orphans[item.id] = None
                keep_latest(self._orphans, _ORPHANS)
            elif item.announced and (response.done or core.now >= due):
                del self._unwanted[item.id]
                self._delete(item)
            elif core.now < due:
                core.timers.set_earlier("delete of an unheard item", due)
        if not self._unwanted:
            core.timers.cancel("delete of an unheard item")

    def take_out(self, item: Item) -> None:
        """Delete a message although it can be read: the program wants it so (F140)."""
        if item.announced:
            self._delete(item)
        else:
            self._orphans[item.id] = None
            keep_latest(self._orphans, _ORPHANS)

    def line_lost(self) -> list[Item]:
        """The session that held them is gone, and what was unheard of it with it: gives the items that were to be deleted."""
        # Of one that was to be rewritten something was heard, and the next session is told that anyway.
        unwanted = [item for item in self._unwanted.values() if item.told != "rewrite"]
        self._unwanted.clear()
        self._orphans.clear()
        self._core.timers.cancel("delete of an unheard item")
        return unwanted

    def announced(self, item: Item) -> None:
        """The server announced an item that nobody heard."""
        if item.id in self._orphans:
            del self._orphans[item.id]
            self._delete(item)
        elif item.id in self._unwanted:
            self.pump_deletes()

    def _delete(self, item: Item) -> None:
        core = self._core
        item.delete_sent = True
        behind = core.history.standing(item.id) if item.told == "rewrite" else None
        event_id = core.requests.event_id()
        core.send(
            Delete(event_id, item.id),
            lane="urgent",
            pending=Pending(event_id, "delete", key=item.id, edit=True),
            wait_ms=core.config.timeouts.edit_ms,
        )
        if item.told == "rewrite":
            self._rewrite(item, behind)


def _words(item: Item) -> str:
    """What was heard of it, in words."""
    return "".join(part.heard_text() for _, part in sorted(item.parts.items()))


def _was_read(item: Item) -> bool:
    """Whether text of it was there to be read before it was cut."""
    return any(part.kind == "text" and part.text_at_cut for part in item.parts.values())


def _is_text(item: Item) -> bool:
    """A message that turned out to be text is never deleted by an interruption (DESIGN 3); one of which not a word came before
    its response was taken for over has turned out to be nothing."""
    kinds = {part.kind for part in item.parts.values()}
    presumed = item.response is not None and item.response.presumed
    return item.type == "message" and "text" in kinds and "audio" not in kinds and bool(item.full_text or not presumed)
