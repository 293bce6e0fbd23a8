"""What happens when the line drops: the conversation goes on in a session that knows nothing but what it is told.

    ready -- line lost --> reconnecting -- back-off --> connecting --> configuring -- acknowledged --> replay --> ready

A lost line takes with it everything that was said only to its server. Here is decided what of that is said again: the session's
options whole, as they were asked for; the history, as it was *heard*, as text; function calls with their outputs, in pairs; what
the user was about to say. Nothing that was meant for the lost session itself, a truncate, a cancel, is sent to another (B24).

What was received goes on sounding. An item that sounds while the line is gone is told when it is known how much of it was heard,
and nothing is created before that.
"""

from collections import deque
from collections.abc import Callable, Container
from math import isfinite

from msgspec import structs

from rtcore._consult import consult
from rtcore._core import Core
from rtcore._effects import Connect, Disconnect
from rtcore._errors import LocalProtocolError
from rtcore._images import Images
from rtcore._items import Item, Response
from rtcore._microphone import TURN_MS
from rtcore._notices import (
    ItemAdded,
    MicrophoneDropped,
    Problem,
    Reconnected,
    Reconnecting,
    ReplayIncomplete,
    SessionReady,
    Verdict,
)
from rtcore._recent import keep_latest
from rtcore._replay import SUMMARY, Summary, by_sound, rendered, summed_up, unsaid
from rtcore._requests import Pending
from rtcore._wire import Append, Commit, CreateItem, Delete
from rtcore.policies import ReconnectView, reconnect

_ASIDES = 64
"""So many items of ours that only say what a replay says anyway are waited for."""
_TURNS = 2
"""Turns of the user's whose audio is kept until their words are known."""
_LOOKBACK_MS = 1_000
"""So much of what was sent is kept at least: speech begins before the server says so."""
_RENEWAL_FIRST_S = 5.0
_RENEWAL_CAP_S = 300.0
"""A second line of a renewal is not dialled again sooner, and its waits may grow to this: the first goes on meanwhile."""
_MASK = (1 << 64) - 1


class Continuity:
    """Owner of: what happens when the line drops?"""

    def __init__(self, core: Core, seed: int) -> None:
        self._core = core
        core.microphone.keeps = self.able  # a turn may be ended before the session is ready, and lost once it is
        self._drawn = seed & _MASK
        self.begun = False
        """Whether the session was ready once: only then is there anything to go on with."""
        self._attempt = 0
        self._lost_at: float | None = None
        self._planned = False
        self._todo: deque[Item] = deque()
        self._outputs: dict[str, str] = {}
        self._left_out: list[tuple[str, str]] = []
        self._told = 0
        self._behind: dict[str, str] = {}
        """By the name of a call in the new session: the output that is sent right behind it."""
        self._empty = False
        self._owed = False
        self._broken: dict[str, None] = {}
        """Answers that the line cut off, of which nothing was said when they were asked for."""
        self._asides: dict[str, None] = {}
        self._audio: dict[str, list[bytes]] = {}
        self._commits: dict[str, list[bytes]] = {}
        """What was said of the turns that the program ended and no server has yet, by the commit's event id."""
        self._overdue: dict[int, list[bytes]] = {}
        """The same of those whose commit had no answer in time, by the request of the answer to them: it may come still, and the
        line may turn out to be dead."""
        self.images = Images(core)

    @property
    def able(self) -> bool:
        """Whether a lost connection is not the end. On a call it is: the call's session lives on, with all it holds."""
        return self._core.config.reconnect.attempts > 0 and self._core.capabilities.playout == "client"

    @property
    def replaying(self) -> bool:
        """Whether the session has not been told all yet that it is to know before anything is created."""
        return bool(self._todo)

    @property
    def owes(self) -> bool:
        """Whether another session is to be asked for an answer that the present one, or the lost one, did not give."""
        return self._owed or bool(self._broken) or self._core.renewal.will_ask

    # -- losing ------------------------------------------------------------------------------------------------------------------

    def lost(self, told: Problem, *, hang_up: bool = False, planned: bool = False) -> bool:
        """The connection is gone, or did not come up, or is of no use (``hang_up``); ``planned``: the server meant it so. Gives
        whether another one is dialled."""
        core = self._core
        if not (self.begun and told.retryable and self.able):
            return False
        if self._lost_at is None:
            self._planned = planned or told.code == "session_expired"
            if core.renewal.coming:
                if hang_up:
                    core.wire.append(Disconnect(core.connection))
                if core.renewal.take_over(told):
                    return True
                hang_up = False
        delay = self._delay(told)
        if delay is None:
            return False
        self._attempt += 1
        if hang_up:
            core.wire.append(Disconnect(core.connection))
        first, core.state = self._lost_at is None, "reconnecting"
        core.lifecycle.early.clear()
        if first:
            self._let_go(told)
        else:
            core.requests.line_lost()
        core.timers.cancel("acknowledgement of the session")
        core.connection = core.last_connection = core.last_connection + 1
        core.history.line = core.connection
        core.news.append(Reconnecting(self._attempt, delay, told))
        core.timers.set("reconnection", core.now + delay)
        return True

    def leave(self, told: Problem) -> None:
        """The session is left for a new one, by our choice, at a server that has room for one alone."""
        self.lost(told, hang_up=True, planned=True)

    def change_over(self, connection: int, session: dict[str, object], told: Problem, *, changed: bool) -> None:
        """Another connection, whose session was acknowledged so, takes the place of the present one. ``changed``: since it was
        configured, something else was asked for."""
        core = self._core
        self._planned = True
        core.state = "reconnecting"
        self._let_go(told)
        core.connection = core.history.line = connection
        core.lifecycle.take_over(session, changed=changed)

    def interrupted_by_program(self) -> None:
        """Who interrupts says what comes next: what the lost session owed is not asked for (C12)."""
        self._owed = False
        self._broken.clear()
        self._core.renewal.interrupted_by_program()

    def cut(self, response_id: str, *, by_voice: bool) -> None:
        """What came of a response is interrupted: one that the line had cut off is not asked for again. A voice is answered
        itself, or turns out to be none: any answer will do then, so one of which nothing was said stays due."""
        self._core.creation.drop_again(response_id)
        if not by_voice:
            self._broken.pop(response_id, None)

    def _delay(self, told: Problem) -> float | None:
        core = self._core
        down_s = 0.0 if self._lost_at is None else core.now - self._lost_at
        return self._asked(self._view(self._attempt + 1, told, planned=self._planned, down_s=down_s))

    def renewal_delay(self, attempt: int, told: Problem) -> float | None:
        """Seconds until the second line of a renewal is dialled for this ``attempt``, or None: no more."""
        view = self._view(attempt, told, planned=False, down_s=0.0)
        first_s, cap_s = max(view.first_s, _RENEWAL_FIRST_S), max(view.cap_s, _RENEWAL_CAP_S)
        return self._asked(structs.replace(view, first_s=first_s, cap_s=cap_s, renewal=True))

    def _view(self, attempt: int, told: Problem, *, planned: bool, down_s: float) -> ReconnectView:
        options = self._core.config.reconnect
        return ReconnectView(
            attempt=attempt,
            problem=told,
            planned=planned,
            down_s=down_s,
            chance=self._draw(),
            attempts=options.attempts,
            first_s=options.first_ms / 1000,
            cap_s=options.cap_ms / 1000,
            jitter=options.jitter,
        )

    def _asked(self, view: ReconnectView) -> float | None:
        core = self._core
        delay = consult(core, "reconnect", _checked(core.policies.reconnect), reconnect, view, float, int, type(None))
        return None if delay is None else max(0.0, delay)

    def _draw(self) -> float:
        """The next number from 0 to 1 of the session's own (SplitMix64, as the simulated world has it)."""
        self._drawn = (self._drawn + 0x9E3779B97F4A7C15) & _MASK
        z = self._drawn
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((z ^ (z >> 31)) >> 11) / (1 << 53)

    def dial(self) -> None:
        """The wait is over."""
        core = self._core
        core.state = "connecting"
        core.wire.append(Connect(core.connection, core.handshake()))

    def _let_go(self, told: Problem) -> None:
        """Every owner lets go of what was said to the lost session alone."""
        core = self._core
        self._lost_at = core.now
        self._todo.clear()
        self._asides.clear()
        again = core.config.reconnect.pending == "again"
        core.microphone.line_lost(core.now)
        self._place_turns()
        overdue, self._overdue = self._overdue, {}
        for request, pieces in overdue.items():
            if again and core.creation.asks(request):
                self._say_again(pieces, None, str(request))
        pending = [each for each in core.requests.line_lost() if not self._said_again(each, told, again=again)]
        unwanted = core.interruption.line_lost()
        self._owed |= core.renewal.owes
        self._owed |= core.turns.line_lost()
        core.barge_in.line_lost()
        core.creation.line_lost(told, again=again)
        broken = core.responses.line_lost(told)
        # One that calls a function is answered after its output.
        broken = [response for response in broken if not any(item.dispatched for item in response.items.values())]
        self._broken.update((response.id, None) for response in broken if not core.creation.ask_again(response))
        for item in core.history.line_lost():
            core.news.append(ItemAdded(item.id, item.type, item.role, None))
        for item in [*unwanted, *(item for item in core.history if item.delete_sent or _never_said(item))]:
            core.responses.forget(item.id)
        core.tools.line_lost(told)
        for each in pending:
            self._settle(each, told)
        core.edits.line_lost()
        core.timers.cancel("microphone batch")
        core.timers.cancel("renewal of the session")

    def _place_turns(self) -> None:
        """A turn that the server said it has, and had not announced yet: it was said all the same, and stands at the end."""
        core = self._core
        for item_id in self._audio:
            if core.creation.knows(item_id) or core.history.is_deleted(item_id):
                continue
            item = core.turns.early_words.get(item_id) or Item(item_id, "message", "user", None)
            core.history.announce(item, core.history.last)
            core.news.append(ItemAdded(item.id, item.type, item.role, None))

    def _said_again(self, pending: Pending, told: Problem, *, again: bool) -> bool:
        """A change of the options, or a turn that the program ended, of which the server had said nothing yet: the next one is
        told, in its place among what is created again (B24). Gives whether it is."""
        core = self._core
        core.creation.stays_behind(pending)
        # What a server closed on would end the next session as well (F102).
        if pending.kind == "update" and again and told.code != "configuration_refused":
            if pending.request and pending.changes is not None:
                core.lifecycle.update(pending.changes, pending.request)
            return True
        pieces = self._commits.pop(pending.event_id, None)
        if not (again and pieces):
            return False
        if core.acknowledged.detects_turns and core.capabilities.create:
            # A server that listens for turns would find others in it: it is told as what it was about to become.
            content = [{"type": "input_audio", "audio": b"".join(pieces)}]
            item_id = core.requests.item_id()
            body = {"id": item_id, "type": "message", "role": "user", "content": content}
            core.creation.spoken(body, item_id, pending.request or 0)
            self._audio[item_id] = pieces
            return True
        self._say_again(pieces, pending.request, pending.key)
        return True

    def _say_again(self, pieces: list[bytes], request: int | None, key: str) -> None:
        core = self._core
        for pcm in pieces:
            core.send(Append(pcm), lane="audio")
        core.microphone.said_again(pieces)
        event_id = core.requests.event_id()
        self._commits[event_id] = pieces
        wait = core.config.timeouts.edit_ms
        core.send(Commit(event_id), pending=Pending(event_id, "commit", request=request, key=key), wait_ms=wait)

    def _settle(self, pending: Pending, told: Problem) -> None:
        """What becomes of one command that was not answered; items and responses are the creation's and the tools' affair."""
        core = self._core
        if pending.request is None or pending.kind in ("item", "response"):
            return
        if pending.kind == "update" and told.code == "configuration_refused":
            core.requests.end(pending.request, "failed", problem=told)
        elif pending.kind in ("delete", "clear"):
            core.requests.end(pending.request, "done", item_id=pending.key or None)
        else:
            core.requests.end(pending.request, "connection_lost", problem=told)

    # -- coming back -------------------------------------------------------------------------------------------------------------

    def acknowledged(self) -> None:
        """The server has acknowledged the session: it begins, or goes on."""
        core = self._core
        self.begun = True
        core.history.line = core.connection
        core.microphone.keeps, core.microphone.turn_ms = self.able, TURN_MS
        core.microphone.lookback_ms = max(_LOOKBACK_MS, core.config.reconnect.carry_ms)
        if self._lost_at is None:
            core.news.append(SessionReady(core.connection, core.acknowledged.session_id))
            if core.history.last is not None:
                self._begin()  # what an earlier session left behind
            return
        self._lost_at = None
        options = core.config.reconnect
        core.turns.forget_overdue()
        if not (core.turns.unfinished or core.microphone.in_turn):
            dropped_ms = core.microphone.trim_older(core.now - options.carry_ms / 1000, options.carry_ms)
            if dropped_ms:
                core.news.append(MicrophoneDropped(dropped_ms, "it was said too long before the session went on"))
        self._told = 0
        at = len(core.news)
        self._begin()
        core.news.insert(at, Reconnected(core.connection, core.acknowledged.session_id, self._told, self._planned))
        core.turns.go_on()
        core.barge_in.go_on()

    def _begin(self) -> None:
        core = self._core
        options = core.config.reconnect
        self._left_out = []
        self._behind.clear()
        items = [item for item in core.history if not item.aside]
        outputs = {item.call_id: item.output or "" for item in items if item.type == "function_call_output" and item.call_id}
        if options.history == "none" or core.acknowledged.transcribes:
            items = []
        elif len(items) > options.max_items:
            left = [item for item in items[: -options.max_items] if not self._owes(item)]
            items = items[-options.max_items :]
            if left:
                reason = f"with it {len(left)} items are left out: reconnect.max_items is {options.max_items}"
                self._left_out.append((left[-1].id, reason))
            told = {item.call_id for item in items if item.type == "function_call"}
            items = [item for item in items if item.type != "function_call_output" or item.call_id in told]
        # Whatever else is left out: a result that no server has taken is told, with its call (invariant 10).
        owed = [item for item in core.history if self._owes(item) and item not in items]
        self._todo.extend([*owed, *items])
        # Those of the calls that are told: the conversation may be long, and this stands until the last that sounds is over.
        calls = {item.call_id for item in self._todo if item.type == "function_call"}
        self._outputs = {call_id: output for call_id, output in outputs.items() if call_id in calls}
        core.history.summary = ""
        core.silent_answers.session_begins()
        self._empty = True
        self._go_on()
        self._empty = False

    def _go_on(self) -> None:
        """Tell what can be told, in order, up to an item that still sounds."""
        core = self._core
        if core.config.reconnect.history == "summary":
            if any(_sounds(item) for item in self._todo):
                return
            sounds = {item.id for item in self._todo if item.id in self._audio and by_sound(item)}
            # Where something still sounded, a turn may have come meanwhile: what was said before stands before it.
            told = self._sum_up(sounds, None if self._empty else "root")
            self._todo = deque(item for item in self._todo if item.id not in told)
        while self._todo and not _sounds(self._todo[0]):
            item = self._todo.popleft()
            if not item.deleted:
                self._tell(item)
        if self._todo:
            return
        self._outputs.clear()
        core.tools.give_up_untold()
        if self._left_out:
            core.news.append(ReplayIncomplete(core.connection, tuple(self._left_out)))
            self._left_out = []
        if self._owed or self._broken:
            self._owed = False
            self._broken.clear()
            core.creation.ask_answer()
        # A turn that waits for the session is sent after this, and before the answer to it.
        core.creation.pump(before=0 if core.kept else None)

    def _owes(self, item: Item) -> bool:
        """Whether it is a call whose result no server has taken yet."""
        return item.type == "function_call" and self._core.tools.output_of(item.call_id) is not None

    def _tell(self, item: Item) -> None:
        """Create an item anew: as text, under a name of its own, in its place."""
        core = self._core
        if item.line == core.history.line:
            return
        reason = self._reason(item)
        if reason is not None:
            if reason:
                self._left_out.append((item.id, reason))
            return
        body = rendered(item, self._audio.get(item.id), self.images.body(item.id))
        if not isinstance(body, dict):
            if body is not None:
                self._left_out.append((item.id, body))
            return
        sounds = any(part["type"] == "input_audio" for part in body.get("content", ()))
        wire_id = core.requests.item_id()
        try:
            body = core.dialect.render_item({"id": wire_id, **body})
        except LocalProtocolError as fault:
            self._left_out.append((item.id, str(fault)))
            return
        self._create(item, wire_id, body)
        self._told += 1
        if not sounds and (missing := unsaid(item)):
            self._left_out.append((item.id, missing))
        core.silent_answers.shown_as_text |= item.role == "assistant"
        if core.tools.goes_with(item):
            self._behind[wire_id] = core.tools.send_output(item.call_id or "", item.id)

    def _reason(self, item: Item) -> str | None:
        """Why an item is not told, as far as that does not lie in its words; empty where it need not be said."""
        core = self._core
        able = core.capabilities
        if not able.create or (item.role == "assistant" and item.type == "message" and not able.create_assistant):
            return f"servers of the {core.dialect.name} dialect take no such items"
        if item.type == "function_call" and item.call_id not in self._outputs and core.tools.output_of(item.call_id) is None:
            return "" if core.tools.is_open(item.call_id) else "the call has no output"
        if item.type == "function_call_output":
            calls = (each for each in core.history if each.type == "function_call" and each.call_id == item.call_id)
            return None if any(call.line == core.history.line for call in calls) else "its call is not told"
        return None

    def _create(self, item: Item, wire_id: str, body: dict[str, object]) -> None:
        core = self._core
        previous = core.history.before(item)
        if previous == "root" and core.creation.knows(core.history.summary):
            previous = core.history.summary  # on its way
        elif previous == "root" and self._empty:
            previous = None  # nothing is there yet: its end is its beginning
        # What follows a call follows its output, which our order of items does not hold before it is announced.
        previous = self._behind.get(previous or "", previous)
        core.history.replayed(item, wire_id)
        event_id = core.requests.event_id()
        core.send(
            CreateItem(event_id, body, previous),
            pending=Pending(event_id, "item", key=item.id),
            wait_ms=core.config.timeouts.edit_ms,
        )
        core.creation.expect_edit(item.id)

    def sums_up(self, item_id: str) -> bool:
        """Whether this is the message that tells the present session what was said before it."""
        return bool(item_id) and item_id == self._core.history.summary

    def retell(self) -> None:
        """Something that only the summary tells was taken out of the conversation: another summary takes its place."""
        core, old = self._core, self._core.history.summary
        standing = core.history.get(old)
        if not (old and core.ready) or core.history.is_deleted(old) or (standing is not None and standing.delete_sent):
            return
        if standing is not None:
            standing.delete_sent = True
        event_id = core.requests.event_id()
        pending = Pending(event_id, "delete", key=old, edit=True)
        core.send(Delete(event_id, old), pending=pending, wait_ms=core.config.timeouts.edit_ms)
        shown, core.history.summary = core.silent_answers.shown_as_text, ""
        sounds = {item.id for item in core.history if self._sounds_behind(item)}
        lost = [item for item in core.history if not item.aside and (item.line != core.history.line or item.id in sounds)]
        self._outputs = {item.call_id: item.output or "" for item in lost if item.type == "function_call_output" and item.call_id}
        self._todo.extend(lost)
        self._sum_up(sounds, "root")
        self._todo.clear()
        self._outputs.clear()
        self._left_out = []
        core.silent_answers.shown_as_text = shown

    def _sounds_behind(self, item: Item) -> bool:
        """Whether it is a turn of the user's that the present session was told by its sound, behind the summary."""
        told = item.line == self._core.history.line and item.wire_id != item.id
        return told and item.type == "message" and not item.delete_sent

    def _sum_up(self, sounds: Container[str], previous: str | None) -> set[str]:
        """Tell in one message what text can tell. Gives the ids of what need not be told apart: for the rest there are items, as
        behind a summary for a call whose result is owed and for ``sounds``, or a reason."""
        todo = [item for item in self._todo if not self._owes(item)]  # such a call is told itself
        summary = summed_up(todo, self._outputs, self.images.text, sounds)
        if summary.text:
            self._create_summary(summary, previous)
        named = ((item.id, unsaid(item)) for item in todo if item.id in summary.told)
        self._left_out.extend((item_id, missing) for item_id, missing in named if missing)
        calls = {item.call_id for item in todo if item.id in summary.told and item.type == "function_call"}
        outputs = {item.id for item in todo if item.type == "function_call_output" and item.call_id in calls}
        return {*summary.told, *outputs}

    def _create_summary(self, summary: Summary, previous: str | None) -> None:
        core = self._core
        if summary.cut:
            reason = f"its beginning, or all of it, and what came before are left out: a summary has {SUMMARY} characters at most"
            self._left_out.append((summary.cut, reason))
        item_id, event_id = core.requests.item_id(), core.requests.event_id()
        body = {"id": item_id, "type": "message", "role": "system", "content": [{"type": "input_text", "text": summary.text}]}
        try:
            wire = core.dialect.render_item(body)
        except LocalProtocolError as fault:
            self._left_out.append((core.history.last or "", str(fault)))
            return
        if not core.capabilities.create:
            self._left_out.append((core.history.last or "", f"servers of the {core.dialect.name} dialect take no items"))
            return
        self.aside(item_id)
        core.history.summary = item_id
        wait = core.config.timeouts.edit_ms
        core.send(CreateItem(event_id, wire, previous), pending=Pending(event_id, "item", key=item_id), wait_ms=wait)
        core.creation.expect_edit(item_id)
        self._told = 1
        core.silent_answers.shown_as_text = True

    # -- what the other owners tell ----------------------------------------------------------------------------------------------

    def ended(self, item: Item) -> None:
        """How much of an item of a lost connection was heard is known. What nobody heard or read was never said."""
        core = self._core
        if core.state == "closed":
            return
        if item.verdict is Verdict.SKIPPED:
            core.responses.forget(item.id)
        if core.ready and self._todo:
            self._go_on()

    def holds(self, item: Item) -> bool:
        """Whether the present session has this call. If it has not, it is told now, with its output, or its turn comes."""
        core = self._core
        if not core.ready:
            return False
        if item.line == core.history.line or not item.announced:
            return True
        if item not in self._todo and not item.deleted:
            self._tell(item)
        return False

    def refused(self, item_id: str, told: Problem) -> bool:
        """The new session did not take an item that it was told. Gives whether it was one."""
        core = self._core
        item = core.history.get(item_id)
        if item is None or item.wire_id == item.id or item.line != core.history.line:
            return False
        item.line = 0
        core.news.append(ReplayIncomplete(core.connection, ((item_id, told.message),)))
        return True

    def aside(self, item_id: str) -> None:
        """An item of ours that says only what a replay says anyway."""
        self._asides[item_id] = None
        keep_latest(self._asides, _ASIDES)  # one that was refused is never announced

    def announced(self, item: Item) -> None:
        """An item is in the conversation."""
        if item.id in self._asides:
            del self._asides[item.id]
            item.aside = True

    def committing(self, event_id: str) -> None:
        """The program ends the user's turn by this event; what was sent of it is kept until the server has it."""
        if self._core.microphone.keeps:
            self._commits[event_id] = self._core.microphone.turn()

    def not_committed(self, pending: Pending, *, late: bool = False) -> None:
        """A commit was refused, or had no answer in time (``late``): what was said in it is not another turn's. No word of it is
        no refusal: while an answer to the turn is waited for, it is kept for a line that turns out to be dead."""
        pieces = self._commits.pop(pending.event_id, None)
        if late and pieces and pending.key:
            self._overdue[int(pending.key)] = pieces
            keep_latest(self._overdue, _TURNS)

    def turn_committed(self, item_id: str, pending: Pending | None, *, found: bool) -> None:
        """The server has the turn, by our commit, or because it ``found`` it; what was said is kept until its words are known."""
        microphone = self._core.microphone
        if not microphone.keeps:
            return
        if pending is not None:
            pieces = self._commits.pop(pending.event_id, [])
        elif found:
            pieces = microphone.turn()
        else:  # a commit of ours that was late
            waiting = [request for request in self._overdue if self._core.requests.is_open(request)]
            pieces = self._overdue.pop(waiting[0]) if waiting else []
        if pieces:
            self._audio[item_id] = pieces
            keep_latest(self._audio, _TURNS)

    def words_known(self, item_id: str) -> None:
        """The words of a turn have come: its audio need not be kept."""
        self._audio.pop(item_id, None)

    def response_done(self, response: Response, status: str, problem: Problem | None) -> None:
        """A response ended. One that was completed shows that the session is sound: the attempts are counted anew (B25)."""
        if problem is not None and status == "failed":
            owes = not (response.out_of_band or response.dead) and (response.asked is None or response.asked.plain)
            self._core.renewal.failed(problem, owes=owes)
        if status == "completed":
            self._attempt = 0
            self._core.renewal.worked()
            self._core.tools.line_lives()


def _sounds(item: Item) -> bool:
    """A message of a lost connection of which it is not known yet how much is heard."""
    return item.type == "message" and item.response is not None and item.response.gone and item.verdict is None


def _never_said(item: Item) -> bool:
    """A call of the model's whose arguments were not complete."""
    return item.type == "function_call" and item.response is not None and not item.dispatched


def _checked(own: Callable[[ReconnectView], float | None]) -> Callable[[ReconnectView], float | None]:
    """A program's own policy, with a delay that is none told as such: it would end the session as if that had been meant."""
    if own is reconnect:
        return own

    def answer(view: ReconnectView) -> float | None:
        given: object = own(view)
        if given is None:
            return None
        if isinstance(given, bool) or not isinstance(given, float | int) or not isfinite(given):
            raise ValueError(f"{given!r} is no number of seconds, and not None")
        return given

    return answer
