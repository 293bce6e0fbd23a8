"""A long call whose line drops, again and again: one session over many strict servers, none of which knows of the others.

A person talks into a microphone that never stops, and talks over the model; servers find the turns in that sound, answer,
call functions. Lines are cut, go silent, cannot be dialled for a while; servers end their sessions, or fail whatever they are
asked; the session renews itself. What is asked: every turn is answered, every sound is some server's and follows where it may,
what is told as heard was audible, each new session is told exactly that, what is said goes on where it was lost, every request
settles once, and no server refuses anything. The core is not believed in any of it.

    result = LongCall(7, LineOptions(seconds=600)).run()
    assert not result.problems
"""

from collections.abc import Callable, Sequence
from functools import partial
from heapq import heappop, heappush
from typing import Any

from rtcore._clock import Clock
from rtcore._effects import Connect, Disconnect, Drain, Effect, Flush, Pause, Play, Resume, Send
from rtcore._formats import PCM16_24K
from rtcore._lifecycle import Disconnection
from rtcore._notices import (
    AnsweredInText,
    Interrupted,
    MessageEnded,
    MicrophoneDropped,
    Notice,
    Reconnected,
    Reconnecting,
    ReplayIncomplete,
    RequestEnded,
    ResponseEnded,
    ResponseStarted,
    SessionClosed,
    SessionReady,
    ToolCalled,
    ToolEnded,
    UserSpeechStarted,
    UserTranscript,
    UserTurnCommitted,
)
from rtcore._session import Session
from rtcore.config import Config
from rtcore.sim._audit_digest import Digest
from rtcore.sim._line_asked import Asked
from rtcore.sim._line_book import SECOND, Book
from rtcore.sim._line_book import LineOptions as LineOptions
from rtcore.sim._line_book import LineResult as LineResult
from rtcore.sim._line_button import Button
from rtcore.sim._line_dialling import Dialling
from rtcore.sim._line_hearing import Hearing
from rtcore.sim._line_microphone import MicrophoneLog
from rtcore.sim._line_person import Person
from rtcore.sim._line_pictures import Pictures
from rtcore.sim._line_sent import Sent
from rtcore.sim._line_served import Served, serve
from rtcore.sim._line_told import Told
from rtcore.sim._line_tools import Tools
from rtcore.sim._rng import Rng
from rtcore.sim._seen import read_client, read_server
from rtcore.sim.footprint import footprint
from rtcore.sim.scenario import TOOLS
from rtcore.sim.speaker import MILLISECOND, Speaker, SpeakerOptions
from rtcore.sim.story import Story
from rtcore.sim.voices import Voice, synthetic_voices

_KEEPALIVE = (20 * SECOND, 40 * SECOND)
"""When a half-open line is noticed, as the link does it."""
_CARRY_MS = 3_000
"""``reconnect.carry_ms``"""


class LongCall:
    """One seed's call. ``run`` it once. With ``story`` it tells itself in ``self.story.lines``."""

    def __init__(
        self,
        seed: int,
        options: LineOptions | None = None,
        *,
        voices: Sequence[Voice] | None = None,
        session_factory: Callable[..., Session] = Session,
        story: bool = False,
    ) -> None:
        self.options = options = options if options is not None else LineOptions()
        self.book = book = Book(seed)
        self.result = book.result
        self.story = Story(PCM16_24K) if story else None
        rng = Rng(seed)
        self._network, tools = rng.fork("network"), rng.fork("tools")
        spoken = synthetic_voices(1)
        self._voices = voices if voices is not None else spoken
        self.speaker = Speaker(SpeakerOptions(), rng.fork("speaker"))
        clock: Clock = self.speaker.options.clock
        self.session = session_factory(self._config(), clock=clock, seed=seed)
        self._hearing = Hearing(book, self.speaker)
        bound = options.image_bytes if options.history == "items" else 0  # a summary is text
        self._pictures = Pictures(book, rng.beside("pictures"), bound)
        self._told = Told(book, self._hearing, self._pictures, summary=options.history == "summary")
        self._microphone = MicrophoneLog(book, rng.fork("microphone"), _CARRY_MS, button=options.button)
        self._button = Button(book, self._microphone) if options.button else None
        self._dialling = Dialling(book, options)
        self._asked = Asked(book, again=options.pending == "again")
        self._sent = Sent(book, self._microphone, self._hearing, self._pictures, self._button)
        self._tools = Tools(self, tools, told=self._told, asked=self._asked)
        self.person = Person(
            self,
            rng.fork("user"),
            spoken[0],
            microphone=self._microphone,
            hearing=self._hearing,
            told=self._told,
            asked=self._asked,
            dialling=self._dialling,
            pictures=self._pictures,
            button=self._button,
        )
        self._digest = Digest(seed)
        self._served: dict[int, Served] = {}
        self._current: Served | None = None
        self._left: Served | None = None
        self._turned_away = False
        """The line was lost to a server that closed on the configuration, and the program has not been told yet."""
        self._agenda: list[tuple[int, int, Callable[[], object]]] = []
        self._count = 0
        self._over = self._closing = False
        self._dead_since = 0
        self._text_again = False
        self._running: set[str] = set()
        self._hushed: set[str] = set()
        """Responses that ran when something was interrupted."""

    def _config(self) -> Config:
        options = self.options
        detection = {"type": "server_vad", "create_response": True, "interrupt_response": True}
        input_ = {"turn_detection": None if options.button else detection, "transcription": {"model": "whisper-1"}}
        again = {"attempts": options.attempts, "limit_s": options.limit_s, "grace_s": options.grace_s}
        again["image_bytes"] = options.image_bytes
        return Config.model_validate(
            {
                "connection": {"dialect": "openai", "url": "ws://localhost/v1/realtime"},
                "session": {"audio": {"input": input_}, "tools": list(TOOLS)},
                "microphone": {"batch_ms": options.batch_ms},
                "reconnect": {**again, "history": options.history, "pending": options.pending},
            }
        )

    # -- running -------------------------------------------------------------------------------------------------------------

    def run(self) -> LineResult:
        """Let the call take place, hang up, and say what was found."""
        book, result = self.book, self.result
        self.call(self.session.open(now=0.0))
        self.person.begin()
        self._next_drop()
        until = self.options.seconds * SECOND
        while not self._over and book.now < until:
            self._step()
        if self._current is not None:
            self._hearing.written(self._current, self.session.history)
        self._hearing.check_history(self.session.history, self._current)
        if not self._over:
            self._closing = True
            self.call(self.session.close(now=book.seconds))
        self._asked.check()
        result.seconds = book.seconds
        result.digest = self.digest
        return result

    @property
    def digest(self) -> str:
        """Of every byte sent and every effect, with its time (invariant 14)."""
        return self._digest.value

    def _step(self) -> None:
        """The earliest wake-up; inputs before ticks."""
        book = self.book
        due: list[tuple[int, int, Callable[[], object]]] = []
        if self.speaker.next_at is not None:
            due.append((self.speaker.next_at, 0, self._sound))
        for served in self._served.values():
            if served.down.next_at is not None:
                due.append((served.down.next_at, 1, partial(self._arrive, served)))
            if served.up.next_at is not None:
                due.append((served.up.next_at, 2, partial(self._reach, served)))
            if served.alive and served.server.deadline is not None:
                due.append((_wake(served.server.deadline), 4, partial(self._tick, served)))
        if self._agenda:
            due.append((self._agenda[0][0], 3, self._next))
        deadline = self.session.deadline
        if deadline is not None:
            due.append((_wake(deadline.at), 5, lambda: self.call(self.session.tick(now=book.seconds))))
        at, _, act = min(due, key=lambda each: each[:2])
        book.now = max(book.now, at)
        act()

    def _next(self) -> None:
        heappop(self._agenda)[2]()

    def at(self, at: int, act: Callable[[], object]) -> None:
        """Do it then; at equal times in the order in which it was asked for."""
        self._count += 1
        heappush(self._agenda, (at, self._count, act))

    def _tell(self, who: str, what: str) -> None:
        if self.story is not None:
            self.story.tell(self.book.now, who, what)

    # -- the session's effects -----------------------------------------------------------------------------------------------

    def call(self, effects: Sequence[Effect]) -> None:
        """The session gave these: they are carried out, and every owner sees them."""
        now = self.book.now
        self._digest.add(effects, now)
        if self.story is not None:
            self.story.effects(now, effects)
        outbox: dict[int, list[bytes]] = {}
        self._left = None
        came_back = False
        for effect in effects:
            match effect:
                case Play():
                    self.speaker.play(effect.generation, effect.pcm, now=now)
                case Send():
                    outbox.setdefault(effect.connection, []).append(effect.payload)
                case Drain():
                    self.speaker.drain(effect.generation, now=now)
                case Flush():
                    self._hushed |= self._running  # a line may be lost before the device has answered, and it is told
                    self._hearing.flushed(effect.generation)
                    self.speaker.flush(effect.generation, now=now)
                case Pause() | Resume():
                    self.book.fail(7, "nobody asked for a pause")
                case Connect():
                    self._dial(effect.connection)
                case Disconnect():
                    if (served := self._served.pop(effect.connection, None)) is not None:
                        self._left = served if served is self._current and _healthy(served) else None
                        self._leave(served)
                case Notice():
                    came_back = came_back or isinstance(effect, Reconnected)
                    self._notice(effect, closing=type(effects[-1]) is SessionClosed)
        self._asked.look(over=self._over or self._closing)
        if self._left is not None and not (came_back or self._over or self._closing):
            self.book.fail(15, f"connection {self._left.number} was left before another was there")
        for number, payloads in outbox.items():
            served_now = self._served.get(number)
            if served_now is None or not served_now.alive:
                continue
            for payload in payloads:
                self._sent.check(served_now, payload)
            served_now.up.send(payloads, now=now)

    def _notice(self, notice: Notice, *, closing: bool) -> None:
        result = self.result
        match notice:
            case MessageEnded():
                self._hearing.listen(self.person.began_at)
                self._hearing.over(notice, closing=closing)
            case ToolCalled():
                self._tools.called(notice.call_id)
            case ToolEnded():
                self._tools.ended(notice.call_id)
            case Interrupted():
                result.interruptions += 1
                self._hushed |= self._running
            case RequestEnded():
                self._asked.ended(notice)
                if self._button is not None:
                    self._button.ended(notice.request)
                self.person.request_ended(notice)
            case ResponseStarted():
                self._running.add(notice.response_id)
                if notice.request is not None:
                    self._asked.begun(notice.request)
            case ResponseEnded():
                self._running.discard(notice.response_id)
                if notice.status == "failed":
                    self._failed(notice)
            case AnsweredInText():
                self._answered_in_text(notice)
            case UserSpeechStarted():
                self.person.heard("started")
            case UserTurnCommitted():
                self.person.heard("committed")
                self._told.committed(notice.item_id)
                if self._button is None:
                    self._microphone.committed()
                elif self._current is not None:
                    self._button.committed(self._current.number)
            case UserTranscript():
                self._told.words(notice.item_id, notice.text)
            case Reconnecting():
                if self._turned_away and notice.problem.code != "configuration_refused":
                    self.book.fail(15, f"a server closed on the configuration, and the program was told {notice.problem.code}")
                self._turned_away = False
                self._dialling.waits(notice, ended=self._current is not None and self._current.closing)
            case SessionReady():
                self._current = self._served[notice.connection]
                self._current.opened_at = self.book.now
                self._dialling.begins(planned=False, quiet=True)
            case Reconnected():
                self._back(notice)
            case ReplayIncomplete():
                self._told.named(notice.left_out)
            case MicrophoneDropped():
                result.dropped_ms += notice.dropped_ms
            case SessionClosed():
                self._closed(notice)
            case _:
                pass

    def _failed(self, notice: ResponseEnded) -> None:
        if notice.reason != "connection_lost":
            self._dialling.failed()
            self.person.refused()
        elif notice.response_id not in self._hushed | self._sent.cancelled:
            self.person.cut_off()

    def _closed(self, notice: SessionClosed) -> None:
        self._over = True
        if notice.reason == "closed":
            return
        # The last attempt may have been one at a server that closed on the configuration.
        if notice.reason in ("lost", "not_acknowledged") and self.options.attempts < 100:
            self._dialling.spent()
        else:
            self.book.fail(15, f"the session ended: {notice.reason}, {notice.problem}")

    def _answered_in_text(self, notice: AnsweredInText) -> None:
        served = self._current
        if notice.retried:
            self._text_again = True
            self._hearing.taken_back(notice.item_id, notice.text)
            self.book.saw("lines: an answer in text after a replay was asked for again")
            return
        if served is not None and served.alive and served.shown and not self._text_again:
            self.book.fail(15, f"{notice.item_id} is text alone, the first after a replay, and was not asked for again")
        self.person.give_up()

    def _back(self, notice: Reconnected) -> None:
        result, book, before = self.result, self.book, self._current
        served = self._served.get(notice.connection)
        self._text_again = False
        result.reconnected += 1
        result.replayed += notice.replayed
        book.saw(f"lines: told as {'items' if self.options.history == 'items' else 'a summary'}", notice.replayed > 0)
        self.person.back(self._dead_since, _CARRY_MS)
        turn = self.person.turn_under_way()
        book.saw("lines: an utterance carried over", turn is not None)
        self._microphone.back(turn, self._button.earliest() if self._button is not None else None)
        chosen = notice.planned and self._left is not None
        # Who begins in this very instant comes behind what was due in it.
        speaks = self.person.speaks and self.person.noticed and self.person.began_at < book.now
        self._dialling.begins(planned=chosen, quiet=not (speaks or self.sounds or self._tools.running))
        if chosen:
            result.renewed += 1
            if self.speaker.pending:
                book.saw("lines: renewed in sound")
                self._hearing.renewed(notice.connection)
            else:
                book.saw("lines: renewed in silence")
                result.renewed_in_silence += 1
        if served is not None:
            served.opened_at, served.before, self._current = book.now, before, served
            served.pictures, served.pictures_before = self._pictures.kept, self._pictures.there
            served.wordless = self._told.wordless
        core = getattr(self.session, "_core", None)  # a recorded session shows none
        if core is not None:
            found = footprint(core, without=("asked", "session", "history._items", "history._order"))
            result.entries.append(sum(found.entries.values()))

    # -- connections ---------------------------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether the session has a line, and it is alive."""
        served = self._current
        return self.session.state == "ready" and served is not None and _healthy(served)

    @property
    def sounds(self) -> bool:
        """Whether something is heard, or about to be."""
        return bool(self.speaker.pending)

    def _dial(self, number: int) -> None:
        options, book = self.options, self.book
        second = self.session.state == "ready"
        self._dialling.dials(second=second)
        at = book.now + 60 * MILLISECOND
        if number > 1 and (self._network.chance(options.down_per_mille) or options.gone(book.now)):
            book.saw("lines: the second line did not come up" if second else "lines: nobody was there to dial")
            cause = Disconnection(error="connection refused")
            self.person.waits_on()
            self.at(at, lambda: self._nobody(number, cause, second=second))
            return
        if (
            number > 1
            and options.turned_away_per_mille
            and self._network.beside("turned away").chance(options.turned_away_per_mille)
        ):
            self.person.waits_on()
            self.at(at, lambda: self._turn_away(number, second=second))
            return
        if second and options.aimed_per_mille and self._network.beside("aimed").chance(options.aimed_per_mille):
            book.saw("lines: the present line was lost while a second came")
            self.at(book.now + self._network.beside("moment").between(0, 400) * MILLISECOND, self.drop)
        self.at(at, lambda: self._open(number))

    def _nobody(self, number: int, cause: Disconnection, *, second: bool) -> None:
        if second and self.session.state == "ready":
            self._dialling.second_refused()
        self.call(self.session.disconnected(number, cause, now=self.book.seconds))

    def _turn_away(self, number: int, *, second: bool) -> None:
        """A server takes the line, and closes it in order instead of acknowledging the configuration (F102)."""
        self.book.saw("F102: a server closed on the configuration")
        self._turned_away = not second
        self.call(self.session.connected(number, now=self.book.seconds))
        cause = Disconnection(close_code=1000)
        self.at(self.book.now + 60 * MILLISECOND, lambda: self._nobody(number, cause, second=second))

    def _open(self, number: int) -> None:
        served = self._served[number] = serve(number, self._network, self._voices, self.options)
        self._tell("network", f"connection {number} is up{' (poisoned)' if served.poisoned else ''}")
        self._said(served, served.server.connect(now=self.book.seconds))
        self.call(self.session.connected(number, now=self.book.seconds))

    def _leave(self, served: Served) -> None:
        served.alive = False
        self._hearing.written(served, self.session.history)
        self._told.leave(served)

    def _said(self, served: Served, payloads: Sequence[bytes]) -> None:
        book, errors = self.book, self.result.server_errors
        refusals = served.server.refusals
        for refusal in refusals[served.refusals :]:
            code = refusal.code or "without a code"
            errors[code] = errors.get(code, 0) + 1
            if refusal.code not in _NOBODYS_FAULT and not any(words in refusal.message for words in _HARMLESS):
                book.fail(9, f"the server of connection {served.number} refused: {refusal.code}, {refusal.message}")
        served.refusals = len(refusals)
        arrives = served.down.send(payloads, now=book.now) if payloads else book.now
        closing = served.server.closing
        # A close is told over the line like anything else: one that has gone silent tells nothing of it.
        if closing is not None and not (served.closing or served.down.dead):
            served.closing = True
            book.saw("lines: a server ended its session")
            cause = Disconnection(close_code=closing[0], reason=closing[1])
            self.at(arrives + 30 * MILLISECOND, lambda: self._gone(served, cause))

    def _tick(self, served: Served) -> None:
        self._said(served, served.server.tick(now=self.book.seconds))

    def _reach(self, served: Served) -> None:
        for payload in served.up.arrivals(self.book.now):
            if served.alive:
                if self.story is not None:
                    self.story.server_received(self.book.now, read_client(payload, self.book.now, 0))
                self._said(served, served.server.receive(payload, now=self.book.seconds))

    def _arrive(self, served: Served) -> None:
        for payload in served.down.arrivals(self.book.now):
            if self._served.get(served.number) is not served:
                continue
            seen = read_server(payload, self.book.now)
            if self.story is not None:
                self.story.client_received(self.book.now, seen)
            response = seen.response
            if response is not None and response.id:
                self._hearing.arrived(served, response.id)
            if seen.type == "session.updated" and served is not self._current:
                self._dialling.second_ready()
            if seen.type == "response.output_audio.delta" and seen.item_id is not None:
                self._hearing.received(served, seen.item_id, seen.response_id or "", seen.content_index, seen.audio_bytes)
            if seen.type == "conversation.item.deleted" and seen.item_id is not None:
                self._hearing.deleted(seen.item_id)
            completed = seen.type == "response.done" and response is not None and response.status == "completed"
            if completed:
                self._dialling.worked()
                own = (served.server.items[name] for name in served.server.conversation)
                replay = (item for item in own if item.origin == "client" and item.role in ("assistant", "system"))
                served.shown = served.shown or (served.before is not None and any(replay))
            self.call(self.session.receive(served.number, payload, now=self.book.seconds))
            if completed and response is not None:
                self._completed(served, response.id)

    def _completed(self, served: Served, response_id: str) -> None:
        """Something was answered: what comes after it is not the first after a replay."""
        made = [served.server.items[name] for name in served.server.responses[response_id].item_ids]
        # One that was cut does not show that the model speaks again: what comes of it is not waited for.
        hushed = response_id in self._hushed | self._sent.cancelled
        if not hushed and any(part.kind == "audio" for item in made for part in item.parts):
            self._text_again = False
        served.shown = False

    def _next_drop(self) -> None:
        every = self.options.drop_every_s
        if every:
            self.at(self.book.now + self._network.between(every // 2, every * 3 // 2) * SECOND, self._dropped_by_time)

    def _dropped_by_time(self) -> None:
        self._next_drop()
        if self.book.now < self.options.calm_at:
            self.drop()

    def drop(self) -> None:
        """The line of the present session is lost."""
        served, book, result, person = self._current, self.book, self.result, self.person
        if served is None or not _healthy(served) or self.session.state != "ready":
            return
        result.lost += 1
        self._dead_since = served.dead_at = book.now
        book.saw("lines: lost")
        who = "program" if self._hearing.own_sounds else "model"
        book.saw(f"lines: lost while the {who} was heard", bool(self.speaker.pending))
        book.saw("lines: lost in a turn", person.speaks)
        book.saw("lines: lost while a tool ran", self._tools.running)
        result.lost_while_sounding += bool(self.speaker.pending)
        result.lost_in_a_turn += person.speaks
        self._asked.line_lost()
        if self._button is not None:
            self._button.line_lost()
        if self._network.chance(self.options.half_open_per_mille):
            book.saw("lines: lost without a word")
            self._tell("network", f"connection {served.number} is half-open")
            served.up.freeze(book.now)
            served.down.freeze(book.now)
            cause = Disconnection(error="keepalive ping timeout: no answer in 20 s")
            self.at(book.now + self._network.between(*_KEEPALIVE), lambda: self._gone(served, cause))
        else:
            self._tell("network", f"connection {served.number} is cut")
            served.up.cut(book.now)
            served.down.cut(book.now)
            self._gone(served, Disconnection(close_code=1006))

    def _gone(self, served: Served, cause: Disconnection) -> None:
        if self._served.pop(served.number, None) is not None:
            self._leave(served)
        self._hearing.lost(served)
        self.call(self.session.disconnected(served.number, cause, now=self.book.seconds))

    # -- what is heard -------------------------------------------------------------------------------------------------------

    def _sound(self) -> None:
        seconds = self.book.seconds
        for report in self.speaker.step(self.book.now):
            if self.story is not None:
                self.story.report(self.book.now, report)
            match report.kind:
                case "played":
                    self.call(self.session.played(report.generation, report.samples, now=seconds))
                case "flushed":
                    self.call(self.session.flushed(report.generation, report.samples, now=seconds))
                case "underrun":
                    self.call(self.session.underrun(report.generation, now=seconds))
        self._hearing.listen(self.person.began_at)
        self.person.answered()


_NOBODYS_FAULT = ("response_cancel_not_active", "conversation_already_has_active_response", "session_expired")
_HARMLESS = ("no active response", "already has an active response", "maximum duration")
"""Refusals that a race can cause, or that are no refusals; by their texts where the server sends no codes."""


def _healthy(served: Served) -> bool:
    return served.server.closing is None and not served.down.dead and bool(served.opened_at)


def _wake(at: float) -> int:
    wake = int(at * SECOND)
    while wake / SECOND < at:
        wake += 1
    return wake


def figures(result: LineResult) -> dict[str, Any]:
    """The figures of a call, for people."""
    hidden = ("problems", "entries", "situations", "truncation_error_ms")
    shown = {name: getattr(result, name) for name in result.__struct_fields__ if name not in hidden}
    return {
        **shown,
        "entries": (result.entries[0], result.entries[-1]) if result.entries else (),
        "problems": len(result.problems),
    }
