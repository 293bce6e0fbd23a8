"""A whole conversation in one process and in virtual time: server, network, speaker, user and auditor around one session.

Always the earliest of all wake-ups runs next; at equal times inputs come before ticks. One seed draws everything, so that a
seed is a world: ``World(seed, voices).run()`` gives the same result, to the bit, wherever and however often it runs.

Times are integer nanoseconds; the session and the server are given them as float seconds, of which every nanosecond has its
own.
"""

from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Any, Literal, Protocol

from msgspec import structs

from rtcore._clock import Clock
from rtcore._effects import Connect, Deadline, Disconnect, Drain, Effect, Flush, Pause, Play, Resume, Send
from rtcore._errors import LocalProtocolError
from rtcore._formats import AudioFormat
from rtcore._items import HistoryItem
from rtcore._lifecycle import Disconnection
from rtcore._notices import (
    ApprovalRequested,
    AudioHeld,
    ConversationIdle,
    IdleTimeout,
    Notice,
    RequestEnded,
    ServerError,
    SessionClosed,
    SessionReady,
    ToolCalled,
)
from rtcore._session import Issued, Session
from rtcore.config import Config
from rtcore.dialects import DIALECTS, Capabilities
from rtcore.sim._aim import ANYTHING, CLOCK, DELTAS, NEWS, SERVER, SOUND
from rtcore.sim._audit_voice import OwnSound
from rtcore.sim._handed import Handed
from rtcore.sim._kinds import KINDS, Kind
from rtcore.sim._ledger import Interruption
from rtcore.sim._program import Habits
from rtcore.sim._rng import Rng
from rtcore.sim._room import Room
from rtcore.sim._server_dialects import MANNERS
from rtcore.sim._server_truth import ServerResponse
from rtcore.sim._words import PROMPT
from rtcore.sim.auditor import PENDING, Auditor
from rtcore.sim.network import Line, NetworkOptions
from rtcore.sim.program import Commands, Program
from rtcore.sim.results import WorldResult
from rtcore.sim.scenario import Scenario, draw_scenario
from rtcore.sim.server import Server, ServerOptions
from rtcore.sim.speaker import MILLISECOND, Report, Speaker
from rtcore.sim.story import Story
from rtcore.sim.user import OF_INTEREST, User
from rtcore.sim.voices import Voice, synthetic_voices

_SECOND = 1_000_000_000
_LONGEST = 3_000 * _SECOND
_SETTLE = 60 * _SECOND
"""How long everything may take to fall silent at the end, from the last thing that kept the conversation going ..."""
_KEPT_GOING = 240 * _SECOND
""".. and for how long the server may keep it going by itself."""
_RECOVERY = 60 * _SECOND
"""T of invariant 15: how long after the faults have stopped a turn may take to be answered, and the answer to be heard out."""
_KEEPALIVE = (20 * _SECOND, 40 * _SECOND)
"""When a half-open line is noticed: the link pings every 20 s and waits 20 s for the answer."""
_SILENCE = 2 * _SECOND
"""How long a device may sound on after the end of the session before it is left alone."""
_NEVER = 1 << 62
_GRACE_MS = 100
"""So much longer something may take than the line alone."""
_STUCK = 5_000
"""So many steps without time passing are an endless loop."""
_FRAME_MS = 40
_DELTAS = frozenset({"response.output_audio.delta", "response.output_audio_transcript.delta", "response.output_text.delta"})
_FAULT_OF: dict[Kind, str | None] = {row.kind: row.fault for row in KINDS}


class SessionFactory(Protocol):
    """Makes the session under test: ``rtcore.Session`` itself, or one that was broken on purpose."""

    def __call__(self, config: Config, /, *, clock: Clock, seed: int) -> Session:
        """A new session."""


class World:
    """One seed's world. ``run`` it once.

    ``scenario`` replaces what the seed would draw. ``split_seed`` moves the places where the byte streams are cut, and nothing
    else (invariant 14). With ``story`` it tells itself in ``self.story.lines``.
    ``program`` makes a program of one's own, to be fuzzed on top of the core (``rtcore.sim.program``).
    """

    def __init__(
        self,
        seed: int,
        voices: Sequence[Voice] | None = None,
        *,
        scenario: Scenario | None = None,
        session_factory: SessionFactory = Session,
        split_seed: int = 0,
        story: bool = False,
        program: Callable[[], Program] | None = None,
    ) -> None:
        voices = voices if voices is not None else synthetic_voices(1)
        rng = Rng(seed)
        drawing = rng.fork("scenario")
        self.seed = seed
        self.scenario = scenario = scenario if scenario is not None else draw_scenario(drawing)
        self.now = 0
        self.seconds = 0.0
        """``now`` as the session and the server are told it."""
        served = scenario.server
        if scenario.loss == "session end":
            served = structs.replace(served, session_s=max(1, scenario.loss_at_ms // 1000))
        self.server = Server(seed=rng.bits(), voices=voices, options=served)
        self.speaker = Speaker(scenario.speaker, rng.fork("speaker"), scenario.audio)
        config = scenario.config()
        self.session = session_factory(config, clock=scenario.speaker.clock, seed=seed)
        self.auditor = Auditor(
            self.server,
            self.speaker,
            seed=seed,
            audio=scenario.audio,
            server_interrupts=scenario.detects and scenario.server_interrupts,
            ignores=config.interruption == "ignore",
            creates=scenario.detects and scenario.server_creates and scenario.context == "auto",
            answers=config.answer_turns and not scenario.words.listens,
            loses=scenario.device_lost_per_mille > 0,
            stall_ms=config.playout.stall_ms,
            lead_ms=config.playout.lead_ms,
            batch_ms=config.microphone.batch_ms,
            hold_ms=config.playout.hold_ms,
            able=_able(self.session.capabilities, served),
            call=self.server.call,
            line_ms=_there_and_back(scenario.stream),
            tap=config.tap,
            ignored=DIALECTS[served.dialect].ignored,
            phases=not MANNERS[served.dialect].beta,
            exact=config.context == "exact",
            recreates=config.stale_context == "recreate",
            retries_text=config.text_answers == "retry" and self.session.capabilities.delete,
            heard_text_ms=config.playout.heard_text_ms,
            interruptions=config.interruptions(),
            silence_ms=_silence_ms(config),
            transcribes=_transcribes(config),
            manual=not scenario.detects,
            slow_ms=scenario.slow_ms,
            idle_ms=scenario.idle_ms,
            half_duplex_ms=config.barge_in.tail_ms if config.interruption == "half_duplex" else None,
            clock=scenario.speaker.clock,
        )
        self.story = Story(scenario.audio) if story else None
        self.responses: list[ServerResponse] = []
        """The conversation's responses, in the order in which the server accepted them."""
        self.happened: dict[str, int] = {}
        """How often the user and the program did what is in the catalogue of faults."""
        self.dry = False
        """The speaker has run out of sound while a response goes on."""
        self._up = Line(scenario.stream, rng.fork("up"), split_seed=split_seed)
        self._down = Line(scenario.stream, rng.fork("down"), split_seed=split_seed + 1)
        self.own: Program | None = program() if program is not None else None
        """The program under test, where one was given: it hears the notices and answers the calls."""
        self._chance = rng.fork("line")
        self.program = Habits(self, rng.fork("program"))
        self.room = Room(self, scenario.echo_ms, scenario.echo_shift) if scenario.echo_ms else None
        """Where the microphone hears the loudspeaker."""
        self.user = User(self, rng.fork("user"))
        if self.room is None:  # where it is, the user hears of it as the program does
            self.auditor.pending.dismissed = self.user.dismissed
        self._voice = voices[0].pcm
        self._voice_at = 0
        self._agenda: list[tuple[int, int, Callable[[], object]]] = []
        self._agenda_count = 0
        self._commands = Commands(self)
        self._news: deque[Notice] = deque()
        self.handed = Handed(scenario.audio.sample_width)
        self._accepted = 0
        self._changed = 0  # what the user may wait for: bits of _aim
        self._server_at = _NEVER
        self._session_due: Deadline | None = None
        self._session_at = _NEVER
        self._closed = False
        self._hanging_up = False
        self._speaking = False
        self._spoke_up_at = 0
        """When the server last spoke up because nobody did."""
        self._idle = 0

    # -- running -------------------------------------------------------------------------------------------------------------

    def run(self) -> WorldResult:
        """Let everything happen, then settle, close, and say what was found."""
        if self.scenario.loss in ("cut mid-frame", "half-open"):
            self.at(self.scenario.loss_at_ms * MILLISECOND, self._lose)
        try:
            self._call(self.session.open(now=self.seconds))
            if self.scenario.early:
                self.program.hurry()
            self._converse()
            if not self._closed:
                self._recover()
            if self._closed:
                self._tell_own()
                self._fall_silent()
                self.auditor.broken_off(self.session, self.now)
            else:
                self.auditor.finish(self.session, self.now)
                self.auditor.end.comes("closed")
                self._call(self.session.close(now=self.seconds))
                self._tell_own()
            self.auditor.closed(self.now)
        except Exception as error:
            # Whatever raised, in the core or in the world: a campaign goes on, and the seed is named.
            self.auditor.ledger.fail(15, f"{type(error).__name__}: {error}")
        return self._result()

    def _converse(self) -> None:
        """Until the user has said all, and everything has settled; or until the session is over."""
        user = self.user
        if not self._go_on(lambda: user.done, _LONGEST):
            self.auditor.ledger.fail(15, "the conversation does not come to an end")
            return
        if self.room is not None:
            self.room.calm()  # a model that hears itself may talk for ever
        if not self._settles():
            since = f"{_SETTLE // _SECOND} s after the user's last word, or what kept the conversation going since"
            self.auditor.ledger.fail(15, f"{since}, something is still open")

    def _settles(self) -> bool:
        """Whether it comes to rest.

        Functions that are asked for one behind the other, and a server that speaks up whenever nobody does, keep a conversation
        going without the user, and neither need ever stop: after some time the server asks for no function any more.
        """
        ends, until = self.now + _KEPT_GOING, self.now + _SETTLE
        while not self._go_on(self.idle, min(until, ends)):
            if until >= ends:
                self.server.calm()  # what runs, and the answer to it, have their time
                return self._go_on(self.idle, ends + 2 * _SETTLE)
            kept = until if self.program.calls_open else max(self.program.worked_at, self._spoke_up_at)
            if kept <= until - _SETTLE:
                return False
            until = kept + _SETTLE
        return True

    def _recover(self) -> None:
        """Faults stop; the user makes one more turn, which is to be answered and heard to its end (invariant 15)."""
        for part in (self.server, self.speaker, self._up, self._down):
            part.calm()
        if self.room is not None:
            self.room.calm()
        user = self.user
        user.speak_last()
        if not self._go_on(lambda: user.heard_out and self.idle() and not self.session.speaking, self.now + _RECOVERY):
            self.auditor.ledger.fail(15, f"no whole answer within {_RECOVERY // _SECOND} s after the faults have stopped")

    def _fall_silent(self) -> None:
        """The session is over; what it does from here on would be for nobody."""
        until = self.now + _SILENCE
        while self.speaker.next_at is not None and self.speaker.next_at <= until:
            self._pass(max(self.now, self.speaker.next_at))
            for report in self.speaker.step(self.now):
                self.auditor.reports(report, self.now)
                if report.kind == "played":
                    self._call(self.session.played(report.generation, report.samples, now=self.seconds))
                elif report.kind == "flushed":
                    self._call(self.session.flushed(report.generation, report.samples, now=self.seconds))

    def _pass(self, now: int) -> None:
        self.now = now
        self.seconds = now / _SECOND

    def _go_on(self, enough: Callable[[], bool], until: int) -> bool:
        """Run the earliest wake-up, again and again. The order of the sources decides at equal times: inputs before ticks.

        Until it is ``enough``, or the session is over; False where the time ran out before.
        """
        user, speaker, up, down, agenda = self.user, self.speaker, self._up, self._down, self._agenda
        session, checkpoint = self.session, self.auditor.checkpoint
        guarded = self.auditor.echo.watches
        same = 0
        while not self._closed and not enough():
            best, run = _NEVER, World._run_session
            at = speaker.next_at
            if at is not None:
                best, run = at, World._run_speaker
            at = down.next_at
            if at is not None and at < best:
                best, run = at, World._run_down
            at = up.next_at
            if at is not None and at < best:
                best, run = at, World._run_up
            if agenda and agenda[0][0] < best:
                best, run = agenda[0][0], World._run_agenda
            at = user.next_at
            if at is not None and at < best:
                best, run = at, World._run_user
            if self._server_at < best:
                best, run = self._server_at, World._run_server
            if self._session_at < best:
                best, run = self._session_at, World._run_session
            if best >= until:
                return False
            if best > self.now:
                same = 0
                if best >= self.now + _SECOND and self._watched():
                    # Nothing happens for long: what waits then is seen first, however few steps there are.
                    self.auditor.look(session, self.now)
                if best >= self.now + MILLISECOND and self.idle():
                    if user.stranded():
                        continue
                    self._idle += best - self.now
                self.now = best
                self.seconds = best / _SECOND
            else:
                same += 1
                if same > _STUCK:
                    self.auditor.ledger.fail(12, "the world stands still: time does not pass any more")
                    break
            if guarded and run is not World._run_session and self._session_at <= self.now:
                self._run_session()  # the guard's end and something else in one instant: one after the other, so that both show
            run(self)
            if self._watched():
                checkpoint(session, self.now)
            if user.wants & self._changed:
                user.look()
            self._changed = 0
        return True

    def _watched(self) -> bool:
        """Whether what the core owes the server can still be asked for: not after the end, and not over a dead line."""
        return not (self._closed or self._down.dead)

    def _run_speaker(self) -> None:
        self._changed |= CLOCK
        for report in self.speaker.step(self.now):
            self._hear(report)

    def _run_down(self) -> None:
        for payload in self._down.arrivals(self.now):
            seen = self.auditor.client_receives(self.now)
            if seen.type not in _DELTAS:
                self._changed |= NEWS
            if self.story is not None:
                self.story.client_received(self.now, seen)
            self._call(self.session.receive(1, payload, now=self.seconds))
            if self.scenario.stale_per_mille and self._chance.chance(self.scenario.stale_per_mille):
                self.saw("F090: a message of a connection that is gone")
                self.auditor.replayed(self.session.receive(0, payload, now=self.seconds))

    def _run_up(self) -> None:
        self._changed |= NEWS
        for payload in self._up.arrivals(self.now):
            message = self.auditor.server_receives(self.now)
            if self.story is not None:
                self.story.server_received(self.now, message)
            self._from_server(self.server.receive(payload, now=self.seconds))
            # What turn detection does about microphone audio is the server's own doing.
            self.auditor.server_received(message if message.type != "input_audio_buffer.append" else None)

    def _run_agenda(self) -> None:
        self._changed |= NEWS
        _, _, step = heappop(self._agenda)
        step()

    def _run_user(self) -> None:
        self._changed = ANYTHING
        self.user.act(self.now)

    def _run_server(self) -> None:
        answers = self.server.tick(now=self.seconds)
        self._from_server(answers)
        self.auditor.server_received(None)

    def _run_session(self) -> None:
        due = self._session_due
        self._changed |= NEWS
        self.auditor.ticks(self.now)
        self._call(self.session.tick(now=self.seconds))
        if due is not None:
            self.auditor.ticked(due, self.session.deadline, self.now)

    # -- between the parts ---------------------------------------------------------------------------------------------------

    def _call(self, effects: Sequence[Effect], issued: tuple[int, str] | None = None) -> None:
        """A call of the session gave these effects: audit them, carry all of them out, note the next deadline."""
        self.auditor.did(effects, self.now, issued)
        if effects:
            if self.story is not None:
                self.story.effects(self.now, effects)
            self._carry_out(effects)
        due = self.session.deadline
        if due is not self._session_due:
            self._session_due = due
            self._session_at = _NEVER if due is None else _wake(due.at)

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        outbox: list[bytes] = []
        now = self.now
        for effect in effects:
            match effect:  # what is frequent comes first
                case Play():
                    self.dry = False
                    self._changed |= SOUND
                    self.handed.note(effect)
                    if self.room is not None:
                        self.room.listens()
                    self.speaker.play(effect.generation, effect.pcm, now=now)
                case Notice():
                    self._notice(effect)
                case Send():
                    outbox.append(effect.payload)
                case Drain():
                    self.speaker.drain(effect.generation, now=now)
                case Flush():
                    self.speaker.flush(effect.generation, now=now)
                    self.program.flushed()
                case Pause():
                    self.speaker.pause(now=now)
                case Resume():
                    self.speaker.resume(now=now)
                case Connect():
                    dial = 2 * self.scenario.stream.latency_ms * MILLISECOND
                    self.at(now + dial + self._chance.below(MILLISECOND), self._connected)
                case Disconnect():
                    self._closed = True
        if outbox:
            self._up.send(outbox, now=now)

    def _notice(self, notice: Notice) -> None:
        if self.own is not None:
            # Not in the middle of the effects: an adapter carries all of them out before the program gets to do anything.
            self._news.append(notice)
            self.at(self.now, self._tell_own)
        if type(notice) in OF_INTEREST:
            self.user.notices(notice)
            return
        match notice:
            case SessionReady():
                self._begin()
            case ToolCalled():
                self.program.called(notice)
            case ApprovalRequested():
                self.program.asked(notice)
            case AudioHeld():
                self.program.held(notice)
            case IdleTimeout():
                self._spoke_up_at = self.now
            case ConversationIdle():
                self.saw("program: told of silence")
            case RequestEnded(outcome="failed" | "timed_out") | ServerError():
                self.program.failed(notice.problem)
            case SessionClosed():
                self._closed = True
            case _:
                pass

    def _begin(self) -> None:
        """The session is up, with what was asked for."""
        if self.scenario.words.prompt:
            self.saw("program: stored prompt")
            if self.server.session["prompt"] != PROMPT:
                self.auditor.ledger.fail(9, f"the stored prompt is {self.server.session['prompt']}")
        self.user.begin()

    def _tell_own(self) -> None:
        while self.own is not None and self._news:
            self.own.heard(self._news.popleft(), self._commands)

    def _connected(self) -> None:
        self._from_server(self.server.connect(now=self.seconds))
        self._call(self.session.connected(1, now=self.seconds))

    def _from_server(self, messages: Sequence[bytes], arrive_at: int | None = None) -> None:
        if messages:
            seen = self.auditor.server_sent(messages, self.now)
            for message in seen:
                self._changed |= DELTAS if message.type in _DELTAS else SERVER
            if self.story is not None:
                self.story.server_sent(self.now, seen)
        closing = self.server.closing
        if messages or (closing is not None and not self._hanging_up):
            # A close frame that nothing goes before comes behind everything that is on its way.
            arrives = self._down.send(messages, now=self.now, arrive_at=arrive_at)
            if closing is not None and not self._hanging_up:
                self._hanging_up = True
                self.at(arrives, lambda: self._disconnected(Disconnection(close_code=closing[0], reason=closing[1])))
        accepted = self.server.responses
        if len(accepted) > self._accepted:
            for response in list(accepted.values())[self._accepted :]:
                if not response.out_of_band:
                    self.responses.append(response)
                    self.auditor.accepted(response, self.now)
            self._accepted = len(accepted)
        deadline = self.server.deadline
        self._server_at = _NEVER if deadline is None else _wake(deadline)

    def _hear(self, report: Report) -> None:
        self.auditor.reports(report, self.now)
        if self.story is not None:
            self.story.report(self.now, report)
        now = self.seconds
        match report.kind:
            case "played":
                self._call(self.session.played(report.generation, report.samples, now=now))
            case "flushed":
                self._call(self.session.flushed(report.generation, report.samples, now=now))
            case "underrun":
                self.dry = True
                self._call(self.session.underrun(report.generation, now=now))

    def at(self, at: int, step: Callable[[], object]) -> None:
        """Do it then; at equal times in the order in which it was asked for."""
        self._agenda_count += 1
        heappush(self._agenda, (at, self._agenda_count, step))

    # -- how it can end ------------------------------------------------------------------------------------------------------

    def _lose(self) -> None:
        """The line is gone: noticed at once where it is cut, by the link's keepalive where it is half-open."""
        if self.scenario.loss == "cut mid-frame" and self._down.next_at is None and not self.user.done:
            self.at(self.now + _FRAME_MS * MILLISECOND, self._lose)  # there is no frame to cut
            return
        self.tell("network", self.scenario.loss or "")
        wait = 0
        for line in (self._up, self._down):
            if self.scenario.loss == "cut mid-frame":
                line.cut(self.now)
                cause = Disconnection(error="the connection was cut without a close frame")
            else:
                line.freeze(self.now)
                self.auditor.line.deaf = True
                wait = self._chance.between(*_KEEPALIVE)
                cause = Disconnection(error="keepalive ping timeout: no answer in 20 s")
        self.at(self.now + wait, lambda: self._disconnected(cause))

    def _disconnected(self, cause: Disconnection) -> None:
        self.auditor.end.line_ends(cause.reason)
        self._call(self.session.disconnected(1, cause, now=self.seconds))
        self._closed = True

    def _hang_up(self) -> None:
        """The user ends the conversation in the middle of anything."""
        self.tell("user", "hangs up")
        self.saw("user: hang-up")
        if self.session.state != "closed":
            self.program.ask_at_the_end()
        self.auditor.end.comes("closed")
        self._call(self.session.close(now=self.seconds))
        self._closed = True

    # -- what the user and the program do ------------------------------------------------------------------------------------

    def interrupting(self, number: int) -> None:
        """Interruption ``number`` is about to come: in some worlds the user hangs up a moment later."""
        if number == self.scenario.hang_up_turn:
            self.at(self.now + self.scenario.hang_up_ms * MILLISECOND, self._hang_up)

    def begin_interruption(self, kind: Kind) -> Interruption:
        """The user's next act is an interruption."""
        if self.scenario.guard_ms:
            self.saw("program: echo guard")
        if self.scenario.interruption == "half_duplex":
            self.saw("program: half duplex")
        self.tell("user", f"interrupts: {kind}")
        fault = _FAULT_OF[kind]
        if fault is not None:
            self.saw(fault)
        return self.auditor.begin(kind, self.now)

    def saw(self, fault: str) -> None:
        """The user or the program did what the catalogue of faults names."""
        self.happened[fault] = self.happened.get(fault, 0) + 1

    def do(self, command: Callable[[Session, float], Sequence[Effect]]) -> None:
        """The program gives a command that gives back effects."""
        self._call(command(self.session, self.seconds))

    def issue(self, command: Callable[[Session, float], Issued], what: str) -> None:
        """The program gives a command that gives back a request."""
        self.issued(command(self.session, self.seconds), what)

    def issued(self, issued: Issued, what: str) -> int:
        """A command gave back a request; gives its number."""
        self._call(issued.effects, (issued.request, what))
        return issued.request

    def refused(self, what: str, command: Callable[[Session, float], object]) -> None:
        """The program makes a mistake: it must be told so, and nothing may change (DESIGN section 2)."""
        before = self._view()
        try:
            command(self.session, self.seconds)
        except LocalProtocolError:
            if self._view() != before:
                self.auditor.ledger.fail(3, f"{what} was refused and changed the session all the same")
        else:
            self.auditor.ledger.fail(10, f"{what} that makes no sense was accepted")

    def _view(self) -> tuple[object, ...]:
        session = self.session
        return session.state, session.deadline, session.segments, session.history, session.counters, session.speaking

    def mumbles(self, said: str) -> None:
        """What the user says next are these words, for whoever writes them down."""
        self.server.say_next(said)

    def user_speech(self, event: Literal["started", "stopped"], *, arrive_at: int | None = None) -> None:
        """The server's detector finds that speech started or stopped; the news is to arrive at a certain time, if it can."""
        self.tell("user", f"speech {event}")
        self._speaking = event == "started"
        self._from_server(self.server.user_speech(event, now=self.seconds), arrive_at)
        self.auditor.server_received(None)

    def local_speech(self, event: Literal["started", "stopped"]) -> None:
        """A detector on this side finds it."""
        self.tell("user", f"local detector: speech {event}")
        if event == "started":
            self.auditor.interrupts("local", self.now)
            self.auditor.ledger.here.hears(self.now)
        else:
            self.auditor.falls_silent(self.now)
        self._call(self.session.speech(event, now=self.seconds))

    def interrupt(self, response_id: str | None = None) -> None:
        """The program silences the model, or one response of it."""
        self.tell("user", f"interrupt({response_id or ''})")
        self.auditor.interrupts("program", self.now, response_id)
        self._call(self.session.interrupt(response_id, now=self.seconds))

    def say(self, sound: OwnSound) -> None:
        """The program says something, at once."""
        self.tell("user", f"say({len(sound.source)} bytes)")
        issued = self.session.say(sound.source, format=self._own_format, now=self.seconds)
        self._began(issued.request, sound)
        self.auditor.voice.gave(issued.request, len(sound.source))
        self.auditor.voice.closed(issued.request)
        self.issued(issued, "say")

    def say_begin(self, sound: OwnSound) -> int:
        """The program begins to say something; gives the request."""
        issued = self.session.say_begin(format=self._own_format, now=self.seconds)
        self._began(issued.request, sound)
        return self.issued(issued, "say")

    @property
    def _own_format(self) -> AudioFormat | None:
        """A session that only transcribes has no format of its own for sound."""
        return self.scenario.audio if self.scenario.words.listens else None

    def _began(self, request: int, sound: OwnSound) -> None:
        view = self.session.segments[-1]
        self.auditor.ledger.now = self.now
        self.auditor.voice.began(request, view.response_id, view.item_id, sound)

    def say_append(self, request: int, pcm: bytes) -> None:
        """.. goes on with it ..."""
        self.auditor.ledger.now = self.now  # nothing else may have happened since the last piece
        self.auditor.voice.gave(request, len(pcm))
        self._call(self.session.say_append(request, pcm, now=self.seconds))

    def say_end(self, request: int) -> None:
        """.. and has said it."""
        if self.auditor.voice.is_open(request):
            self.auditor.voice.closed(request)
        self._call(self.session.say_end(request, now=self.seconds))

    def release(self, response_id: str) -> None:
        """The program lets a response be heard that is held back."""
        self.tell("user", f"release({response_id})")
        self.auditor.holds.freed(response_id)
        self._call(self.session.release(response_id, now=self.seconds))

    def sync(self, items: Sequence[Any], known: Sequence[HistoryItem], most: int | None) -> int:
        """The program wants this history, and had looked at ``known``; gives the request's number."""
        issued = self.session.sync_history(items, base=known, now=self.seconds)
        self.tell("user", f"sync_history() of {len(items)} items")
        self.auditor.sync_audit.asked(issued.request, [item.id for item in known], most)
        return self.issued(issued, "sync_history")

    def send_text(self, text: str, *, interrupt: bool, respond: bool = True) -> int:
        """The user types; gives the request's number."""
        self.tell("user", f"types {text!r}")
        if interrupt:
            self.auditor.interrupts("text", self.now)
        self.auditor.line.text_typed()
        self.auditor.idle.touched(self.now)
        self.auditor.asking.typed(text)
        issued = self.session.send_text(text, interrupt=interrupt, respond=respond, now=self.seconds)
        return self.issued(issued, "send_text" if respond else "send_text without an answer")

    def talk(self, *, silence: bool = False) -> None:
        """A frame of microphone audio."""
        size = _FRAME_MS * 48
        if self._voice_at + size > len(self._voice):
            self._voice_at = 0
        pcm = bytes(size) if silence else self._voice[self._voice_at : self._voice_at + size]
        self._voice_at += size
        if self.room is not None:
            self.room.says(pcm)
        else:
            self.gives(pcm)

    def gives(self, pcm: bytes) -> None:
        """The microphone has recorded this."""
        self.auditor.gives(pcm, self.now)
        self._call(self.session.append_audio(pcm, now=self.seconds))

    def user_turn(self, text: str) -> None:
        """A recogniser of the program's own has written down what the user said."""
        self.tell("user", f"is understood: {text!r}")
        self.saw("user: own recogniser")
        self.auditor.recognised(text, self.now)
        self.issue(lambda session, now: session.user_turn(text, now=now), "user_turn")

    def press(self, key: str) -> None:
        """The caller presses a key of the telephone."""
        self.saw("user: presses keys")
        self.tell("user", f"presses {key}")
        self._from_server(self.server.press(key, now=self.seconds))

    def commit(self) -> None:
        """The turn is over, says the program."""
        self.auditor.ends_turn(self.now)
        self.issued(self.session.commit(now=self.seconds), "commit")

    def begin_turn(self) -> None:
        """The button is down."""
        self.tell("user", "button down")
        self.saw("user: button")
        self.auditor.interrupts("program", self.now, by_button=True)
        self.auditor.ledger.here.presses(self.now)
        self._call(self.session.begin_turn(now=self.seconds))

    def end_turn(self, *, respond: bool = True) -> None:
        """The button is up."""
        self.tell("user", "button up")
        self.auditor.ends_turn(self.now, button=True)
        self.issued(self.session.end_turn(respond=respond, now=self.seconds), "respond" if respond else "commit")

    def respond(self) -> None:
        """An answer is wanted, says the program."""
        self.issued(self.session.respond(now=self.seconds), "respond")

    def tell(self, who: str, what: str) -> None:
        """A line of the story, where one is told."""
        if self.story is not None:
            self.story.tell(self.now, who, what)

    # -- what the user can see -----------------------------------------------------------------------------------------------

    @property
    def down_busy(self) -> bool:
        """Something is on its way to the client."""
        return self._down.next_at is not None

    def idle(self) -> bool:
        """Nothing sounds, nothing is on its way, nothing is asked for."""
        return not (
            # What is cheap to ask and often so comes first: this is asked at nearly every step.
            self._down.next_at is not None
            or self.speaker.next_at is not None
            or self._speaking
            or self._up.next_at is not None
            or self.server.active_response is not None
            or (self.server.call is not None and self.server.call.sounds)
            or (self.room is not None and self.room.running)
            or self.program.calls_open
            or self.program.paused
            or self.program.muted
            or self.speaker.lost
            or self.speaker.flushing
            or self.speaker.pending
            or self.auditor.line.requests_open
            or self.auditor.ledger.creations
            or self.auditor.ledger.edits
            or self.auditor.holds.open
        )

    @property
    def editing(self) -> bool:
        """A truncate or delete of the core's is on its way, or its acknowledgement is."""
        return bool(self.auditor.ledger.edits)

    def was_cancelled(self, response_id: str) -> bool:
        """The core cancelled this response."""
        record = self.auditor.ledger.responses.get(response_id)
        return record is not None and (record.cancels > 0 or record.dead)

    def script(self) -> Scenario:
        """After a run: the scenario with everything that user and server drew written down, which gives the same world again."""
        server = structs.replace(self.scenario.server, script=tuple(self.server.plans))
        return structs.replace(self.scenario, turns=self.user.turns, interruptions=len(self.user.turns), server=server)

    def _situations(self) -> dict[str, int]:
        """What came up, and which faults really happened, by everybody who counts."""
        total = dict(self.auditor.ledger.situations)
        for counted in (self._up.happened, self._down.happened, self.speaker.happened, self.server.happened, self.happened):
            for name, count in counted.items():
                total[name] = total.get(name, 0) + count
        return dict(sorted(total.items()))

    def _result(self) -> WorldResult:
        auditor = self.auditor
        ledger = auditor.ledger
        return WorldResult(
            seed=self.seed,
            settings=str(self.scenario),
            kinds=auditor.kinds(),
            violations=tuple(auditor.violations),
            cuts=len(ledger.cuts),
            cuts_checked=auditor.checked,
            cuts_estimated=sum(cut.estimated for cut in ledger.cuts),
            server_errors=dict(sorted(ledger.errors.items())),
            simulated_ms=self.now // MILLISECOND,
            digest=auditor.digest,
            pending_invariants=PENDING,
            situations=self._situations(),
            faults=self.scenario.faults,
            idle_ms=self._idle // MILLISECOND,
        )


def _able(capabilities: Capabilities, served: ServerOptions) -> Capabilities:
    """What the auditor takes the server to be able to do. Nothing is deleted for the core's sake on a call; and whether a
    truncate is answered is the server's to say: a core that takes it for silent does not wait."""
    answered = MANNERS[served.dialect].truncate_answered
    return structs.replace(
        capabilities, truncate_acknowledged=answered, delete=capabilities.delete and capabilities.playout == "client"
    )


def _there_and_back(line: NetworkOptions) -> int | None:
    """How long a message and its answer take at most (milliseconds); None where the line may stand still."""
    if line.stall_per_mille or line.slow_reader_kib:
        return None
    return 2 * (line.latency_ms + line.jitter_ms + line.burst_ms) + _GRACE_MS


def _listening(config: Config) -> dict[str, Any]:
    found = (config.session.wire().get("audio") or {}).get("input") or {}
    return found if isinstance(found, dict) else {}


def _silence_ms(config: Config) -> int:
    """So much silence the server hears before it says that speech has ended."""
    return int((_listening(config).get("turn_detection") or {}).get("silence_duration_ms") or 0)


def _transcribes(config: Config) -> bool:
    """Whether the session asks for the user's words."""
    return bool(_listening(config).get("transcription"))


def _wake(at: float) -> int:
    """The first nanosecond that, as float seconds, is not before ``at``."""
    wake = int(at * _SECOND)
    while wake / _SECOND < at:
        wake += 1
    return wake
