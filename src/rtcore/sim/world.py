"""A whole conversation in one process and in virtual time: server, network, speaker, user and auditor around one session.

Always the earliest of all wake-ups runs next; at equal times inputs come before ticks. One seed draws everything, so that a
seed is a world: ``World(seed, voices).run()`` gives the same result, to the bit, wherever and however often it runs.

Times are integer nanoseconds; the session and the server are given them as float seconds, of which every nanosecond has its
own.
"""

from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Literal, Protocol

from rtcore._clock import Clock
from rtcore._effects import Connect, Deadline, Disconnect, Drain, Effect, Flush, Pause, Play, Resume, Send
from rtcore._notices import Notice, SessionClosed, SessionReady, ToolCalled
from rtcore._session import Issued, Session
from rtcore.config import Config
from rtcore.sim._ledger import Interruption
from rtcore.sim._rng import Rng
from rtcore.sim._server_truth import ServerPart, ServerResponse
from rtcore.sim.auditor import PENDING, Auditor
from rtcore.sim.matching import SIGNATURE_SAMPLES
from rtcore.sim.network import Line
from rtcore.sim.results import WorldResult
from rtcore.sim.scenario import Scenario, draw_scenario
from rtcore.sim.server import Server
from rtcore.sim.speaker import MILLISECOND, Report, Speaker
from rtcore.sim.story import Story
from rtcore.sim.user import User
from rtcore.sim.voices import Voice, synthetic_voices

_SECOND = 1_000_000_000
_LONGEST = 3_000 * _SECOND
_SETTLE = 60 * _SECOND
"""How long everything may take to fall silent at the end."""
_STUCK = 5_000
"""So many steps without time passing are an endless loop."""
_FRAME_MS = 40


class SessionFactory(Protocol):
    """Makes the session under test: ``rtcore.Session`` itself, or one that was broken on purpose."""

    def __call__(self, config: Config, /, *, clock: Clock, seed: int) -> Session:
        """A new session."""


class World:
    """One seed's world. ``run`` it once.

    ``scenario`` replaces what the seed would draw. ``split_seed`` moves the places where the byte streams are cut, and nothing
    else (invariant 14). With ``story`` it tells itself in ``self.story.lines``.
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
    ) -> None:
        voices = voices if voices is not None else synthetic_voices(1)
        rng = Rng(seed)
        drawn = draw_scenario(rng.fork("scenario"))
        self.seed = seed
        self.scenario = scenario = scenario if scenario is not None else drawn
        self.now = 0
        self.server = Server(seed=rng.bits(), voices=voices, options=scenario.server)
        self.speaker = Speaker(scenario.speaker, rng.fork("speaker"), scenario.audio)
        self.session = session_factory(scenario.config(), clock=scenario.speaker.clock, seed=seed)
        self.auditor = Auditor(
            self.server,
            self.speaker,
            seed=seed,
            audio=scenario.audio,
            server_interrupts=scenario.detects and scenario.server_interrupts,
            own_index=self.session.capabilities.truncate_content_index == "own",
            clock=scenario.speaker.clock,
        )
        self.story = Story(scenario.audio) if story else None
        self.responses: list[ServerResponse] = []
        """The conversation's responses, in the order in which the server accepted them."""
        self.calls_open = 0
        """Function calls that the program has not answered."""
        self.dry = False
        """The speaker has run out of sound while a response goes on."""
        self._up = Line(scenario.stream, rng.fork("up"), split_seed=split_seed)
        self._down = Line(scenario.stream, rng.fork("down"), split_seed=split_seed + 1)
        self._tools = rng.fork("tools")
        self._chance = rng.fork("program")
        self.user = User(self, rng.fork("user"))
        self._voice = voices[0].pcm
        self._voice_at = 0
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._agenda_count = 0
        self._effects: deque[Sequence[Effect]] = deque()
        self._dispatching = False
        self._plays: list[tuple[int, bytes]] = []  # where each piece handed over begins in its generation, and its first samples
        self._starts: dict[int, tuple[int, int]] = {}
        self._scanned: dict[int, int] = {}
        self._generation = 0
        self._handed = 0
        self._accepted = 0
        self._server_at: int | None = None
        self._session_due: Deadline | None = None
        self._session_at: int | None = None
        self._ready = False
        self._closed = False
        self._paused = False
        self._deleting: set[str] = set()
        self._speaking = False
        self._idle = 0

    # -- running -------------------------------------------------------------------------------------------------------------

    def run(self) -> WorldResult:
        """Let everything happen, then settle, close, and say what was found."""
        self._call(self.session.open(now=self._seconds))
        try:
            self._converse()
            self.auditor.finish(self.session, self.now)
            self._call(self.session.close(now=self._seconds))
            self.auditor.closed(self.now)
        except Exception as error:
            # Whatever raised, in the core or in the world: a campaign goes on, and the seed is named.
            self.auditor.ledger.fail(15, f"{type(error).__name__}: {error}")
        return self._result()

    def _converse(self) -> None:
        steps = 0
        settle_by: int | None = None
        while self._step():
            steps = steps + 1 if self._same else 0
            if steps > _STUCK:
                self.auditor.ledger.fail(12, "the world stands still: time does not pass any more")
                break
            if self.now > _LONGEST:
                self.auditor.ledger.fail(15, "the conversation does not come to an end")
                break
            if self.user.done:
                settle_by = self.now + _SETTLE if settle_by is None else settle_by
                if self.idle() or self.now >= settle_by:
                    break
        if settle_by is not None and not self.idle():
            self.auditor.ledger.fail(15, f"{_SETTLE // _SECOND} s after the user's last word something is still open")

    @property
    def _seconds(self) -> float:
        return self.now / _SECOND

    def _step(self) -> bool:
        """Run the earliest wake-up. The order of the sources decides at equal times: inputs before ticks."""
        best: int | None = None
        which = -1
        sources = (
            self.speaker.next_at,
            self._down.next_at,
            self._up.next_at,
            self._agenda[0][0] if self._agenda else None,
            self.user.next_at,
            self._server_at,
            self._session_at,
        )
        for index, at in enumerate(sources):
            if at is not None and (best is None or at < best):
                best, which = at, index
        if best is None:
            return False
        self._same = best <= self.now
        if best >= self.now + MILLISECOND and self.idle():
            self._idle += best - self.now
        self.now = max(best, self.now)
        self._runners[which](self)
        self.auditor.checkpoint(self.session, self.now)
        self.user.look()
        return True

    def _run_speaker(self) -> None:
        for report in self.speaker.step(self.now):
            self._hear(report)

    def _run_down(self) -> None:
        for payload in self._down.arrivals(self.now):
            seen = self.auditor.client_receives(self.now)
            if self.story is not None:
                self.story.client_received(self.now, seen)
            self._call(self.session.receive(1, payload, now=self._seconds))
            if self.scenario.stale_per_mille and self._chance.chance(self.scenario.stale_per_mille):
                self.auditor.replayed(self.session.receive(0, payload, now=self._seconds))

    def _run_up(self) -> None:
        for payload in self._up.arrivals(self.now):
            message = self.auditor.server_receives(self.now)
            if self.story is not None:
                self.story.server_received(self.now, message)
            answers = self.server.receive(payload, now=self._seconds)
            self._from_server(answers)
            self.auditor.server_received(message)

    def _run_agenda(self) -> None:
        _, _, step = heappop(self._agenda)
        step()

    def _run_user(self) -> None:
        self.user.act(self.now)

    def _run_server(self) -> None:
        answers = self.server.tick(now=self._seconds)
        self._from_server(answers)
        self.auditor.server_received(None)

    def _run_session(self) -> None:
        due = self._session_due
        effects = self.session.tick(now=self._seconds)
        self._call(effects)
        if due is not None:
            self.auditor.ticked(due, self.session.deadline, self.now)

    _runners: tuple[Callable[["World"], None], ...] = (
        _run_speaker, _run_down, _run_up, _run_agenda, _run_user, _run_server, _run_session,
    )  # fmt: skip

    # -- between the parts ---------------------------------------------------------------------------------------------------

    def _call(self, effects: Sequence[Effect], issued: tuple[int, str] | None = None) -> None:
        """A call of the session gave these effects: audit them, carry all of them out, note the next deadline."""
        self.auditor.did(effects, self.now, issued)
        if effects:
            if self.story is not None:
                self.story.effects(self.now, effects)
            self._carry_out(effects)
        due = self.session.deadline
        if due != self._session_due:
            self._session_due = due
            self._session_at = None if due is None else _wake(due.at)

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        outbox: list[bytes] = []
        now = self.now
        for effect in effects:
            match effect:
                case Play():
                    self._note_play(effect)
                    self.speaker.play(effect.generation, effect.pcm, now=now)
                case Drain():
                    self.speaker.drain(effect.generation, now=now)
                case Flush():
                    self.speaker.flush(effect.generation, now=now)
                case Pause():
                    self.speaker.pause(now=now)
                case Resume():
                    self.speaker.resume(now=now)
                case Send():
                    outbox.append(effect.payload)
                case Connect():
                    self._later(2 * self.scenario.stream.latency_ms, self._connected)
                case Disconnect():
                    self._closed = True
                case Notice():
                    self._notice(effect)
        if outbox:
            self._up.send(outbox, now=now)

    def _note_play(self, effect: Play) -> None:
        self.dry = False
        if effect.generation != self._generation:
            self._generation, self._handed = effect.generation, 0
            self._plays.clear()
            self._starts.clear()
            self._scanned.clear()
        self._plays.append((self._handed, bytes(effect.pcm[: SIGNATURE_SAMPLES * self.scenario.audio.sample_width])))
        self._handed += len(effect.pcm) // self.scenario.audio.sample_width

    def _notice(self, notice: Notice) -> None:
        match notice:
            case SessionReady():
                self.user.begin()
            case ToolCalled():
                self.calls_open += 1
                self._later(self._tools.between(*self.scenario.tool_ms), lambda: self._answer_call(notice.call_id))
            case SessionClosed():
                self._closed = True
            case _:
                self.user.notices(notice)

    def _answer_call(self, call_id: str) -> None:
        self.calls_open -= 1
        self._issue(self.session.tool_result(call_id, {"ok": True, "temperature": 21}, now=self._seconds), "tool_result")

    def _connected(self) -> None:
        self._from_server(self.server.connect(now=self._seconds))
        self._call(self.session.connected(1, now=self._seconds))

    def _from_server(self, messages: Sequence[bytes], arrive_at: int | None = None) -> None:
        if messages:
            seen = self.auditor.server_sent(messages, self.now)
            if self.story is not None:
                self.story.server_sent(self.now, seen)
            self._down.send(messages, now=self.now, arrive_at=arrive_at)
        accepted = self.server.responses
        if len(accepted) > self._accepted:
            for response in list(accepted.values())[self._accepted :]:
                if not response.out_of_band:
                    self.responses.append(response)
            self._accepted = len(accepted)
        deadline = self.server.deadline
        self._server_at = None if deadline is None else _wake(deadline)

    def _hear(self, report: Report) -> None:
        self.auditor.reports(report, self.now)
        if self.story is not None:
            self.story.report(self.now, report)
        now = self._seconds
        match report.kind:
            case "played":
                self._call(self.session.played(report.generation, report.samples, now=now))
            case "flushed":
                self._call(self.session.flushed(report.generation, report.samples, now=now))
            case "underrun":
                self.dry = True
                self._call(self.session.underrun(report.generation, now=now))

    def _later(self, ms: int, step: Callable[[], None]) -> None:
        self._agenda_count += 1
        at = self.now + ms * MILLISECOND + self._tools.below(MILLISECOND)
        heappush(self._agenda, (at, self._agenda_count, step))

    def _issue(self, issued: Issued, what: str) -> None:
        self._call(issued.effects, (issued.request, what))

    # -- what the user and the program do ------------------------------------------------------------------------------------

    def begin_interruption(self, kind: str) -> Interruption:
        """The user's next act is an interruption."""
        if self.story is not None:
            self.story.tell(self.now, "user", f"interrupts: {kind}")
        return self.auditor.begin(kind, self.now)

    def user_speech(self, event: Literal["started", "stopped"], *, arrive_at: int | None = None) -> None:
        """The server's detector finds that speech started or stopped; the news is to arrive at a certain time, if it can."""
        self._tell(f"speech {event}")
        self._speaking = event == "started"
        self._from_server(self.server.user_speech(event, now=self._seconds), arrive_at)
        self.auditor.server_received(None)

    def local_speech(self, event: Literal["started", "stopped"]) -> None:
        """A detector on this side finds it."""
        self._tell(f"local detector: speech {event}")
        self.auditor.interrupts("local", self.now)
        self._call(self.session.speech(event, now=self._seconds))

    def interrupt(self) -> None:
        """The program silences the model."""
        self._tell("interrupt()")
        self.auditor.interrupts("program", self.now)
        self._call(self.session.interrupt(now=self._seconds))

    def send_text(self, text: str, *, interrupt: bool) -> None:
        """The user types."""
        self._tell(f"types {text!r}")
        if interrupt:
            self.auditor.interrupts("text", self.now)
        self.auditor.line.text_typed()
        self._issue(self.session.send_text(text, interrupt=interrupt, now=self._seconds), "send_text")

    def talk(self, *, silence: bool = False) -> None:
        """A frame of microphone audio."""
        size = _FRAME_MS * 48
        if self._voice_at + size > len(self._voice):
            self._voice_at = 0
        pcm = bytes(size) if silence else self._voice[self._voice_at : self._voice_at + size]
        self._voice_at += size
        self._call(self.session.append_audio(pcm, now=self._seconds))

    def commit(self) -> None:
        """The turn is over, says the program."""
        self._issue(self.session.commit(now=self._seconds), "commit")

    def respond(self) -> None:
        """An answer is wanted, says the program."""
        self._issue(self.session.respond(now=self._seconds), "respond")

    def turn_made(self) -> None:
        """The user has made a turn: what the program does beside it."""
        chance = self._chance
        if chance.chance(self.scenario.asides_per_mille):
            self._later(chance.between(0, 2000), self._aside)
        if chance.chance(self.scenario.edits_per_mille):
            self._later(chance.between(0, 3000), self._edit_history)
        if chance.chance(self.scenario.pauses_per_mille):
            self._later(chance.between(300, 2500), self.pause)
            self._later(chance.between(2500, 4000), self.resume)

    def _edit_history(self) -> None:
        if self.user.done:
            return
        old = next((item for item in self.session.history if item.role == "user"), None)
        if old is None or self._chance.chance(500):
            item = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Speak slowly."}]}
            self._issue(self.session.create_item(item, now=self._seconds), "create_item")
        elif old.id not in self._deleting:
            self._deleting.add(old.id)
            self.auditor.deletes(old.id)
            self._issue(self.session.delete_item(old.id, now=self._seconds), "delete_item")

    def _aside(self) -> None:
        if not self.user.done:
            audible = self._chance.chance(300)
            options = {"conversation": "none", "metadata": {"topic": "aside"}}
            issued = self.session.respond(options, audible=audible, now=self._seconds)
            if audible:
                self.auditor.wants_to_hear(issued.request)
            self._issue(issued, "respond")

    def pause(self) -> None:
        """The program holds the sound."""
        if self.user.done or self._closed:
            return
        self._tell("pause()")
        self._paused = True
        self.auditor.pauses()
        self._call(self.session.pause(now=self._seconds))

    def resume(self) -> None:
        """The program lets it go on, if it held it."""
        if self._paused:
            self._paused = False
            self._tell("resume()")
            self._call(self.session.resume(now=self._seconds))

    def _tell(self, what: str) -> None:
        if self.story is not None:
            self.story.tell(self.now, "user", what)

    # -- what the user can see -----------------------------------------------------------------------------------------------

    @property
    def down_busy(self) -> bool:
        """Something is on its way to the client."""
        return self._down.next_at is not None

    def idle(self) -> bool:
        """Nothing sounds, nothing is on its way, nothing is asked for."""
        return not (
            self._paused
            or self._speaking
            or self.speaker.pending
            or self.speaker.flushing
            or self.speaker.next_at is not None
            or self._down.next_at is not None
            or self._up.next_at is not None
            or self.server.active_response is not None
            or self.calls_open
            or self.auditor.line.requests_open
            or self.auditor.ledger.creations
            or self.auditor.ledger.edits
        )

    def was_cancelled(self, response_id: str) -> bool:
        """The core cancelled this response."""
        record = self.auditor.ledger.responses.get(response_id)
        return record is not None and (record.cancels > 0 or record.dead)

    def start_of(self, part: ServerPart) -> tuple[int, int] | None:
        """Where in the handed-over stream (generation, sample) this part begins, if it was handed over in this generation."""
        found = self._starts.get(id(part))
        if found is not None:
            return found
        length = min(part.sent_bytes, SIGNATURE_SAMPLES * part.format.sample_width)
        if length < SIGNATURE_SAMPLES * part.format.sample_width and part.done_at is None:
            return None  # so little of it could be any part's
        key = part.source[part.start : part.start + length]
        for start, first in self._plays[self._scanned.get(id(part), 0) :]:
            if key.startswith(first[:length]):
                self._starts[id(part)] = found = (self._generation, start)
                break
        self._scanned[id(part)] = len(self._plays)
        return found

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
            situations=dict(sorted(ledger.situations.items())),
            faults=self.scenario.faults,
            idle_ms=self._idle // MILLISECOND,
        )


def _wake(at: float) -> int:
    """The first nanosecond that, as float seconds, is not before ``at``."""
    wake = int(at * _SECOND)
    while wake / _SECOND < at:
        wake += 1
    return wake
