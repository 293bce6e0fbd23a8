"""A long call whose line drops, again and again: one session over many strict servers, none of which knows of the others.

A person talks into a microphone that never stops, and talks over the model; servers find the turns in that sound, answer,
call functions. Lines are cut, go silent, cannot be dialled for a while; servers end their sessions. What is asked: every
turn is answered, every sound is some server's and follows where it may, what is told as heard was audible, each new session is
told exactly that, and no server refuses anything. The core is not believed in any of it.

    result = LongCall(7, LineOptions(seconds=600)).run()
    assert not result.problems
"""

from collections.abc import Callable, Sequence
from functools import partial
from heapq import heappop, heappush
from typing import Any

from msgspec import Struct, field

from rtcore._effects import Connect, Disconnect, Drain, Effect, Flush, Pause, Play, Resume, Send
from rtcore._errors import LocalProtocolError
from rtcore._formats import PCM16_24K
from rtcore._lifecycle import Disconnection
from rtcore._notices import (
    MessageEnded,
    MicrophoneDropped,
    Notice,
    Reconnected,
    Reconnecting,
    SessionClosed,
    ToolCalled,
    Verdict,
)
from rtcore._session import Session
from rtcore.config import Config
from rtcore.sim._audit_text import MOST, words_off
from rtcore.sim._rng import Rng
from rtcore.sim._seen import read_client, read_server
from rtcore.sim._server_truth import ServerPart
from rtcore.sim.footprint import footprint
from rtcore.sim.matching import Matcher, Place, Segment
from rtcore.sim.network import Line, NetworkOptions
from rtcore.sim.scenario import TOOLS
from rtcore.sim.server import Server, ServerOptions
from rtcore.sim.speaker import MILLISECOND, Speaker, SpeakerOptions
from rtcore.sim.voices import Voice, synthetic_voices

_SECOND = 1_000_000_000
_FRAME_MS = 40
_PATIENCE = 45 * _SECOND
"""A turn that is not answered so long after it ended, and after the last loss, is not answered at all."""
_KEEPALIVE = (20 * _SECOND, 40 * _SECOND)
"""When a half-open line is noticed, as the link does it."""
_CARRIED = 3 * _SECOND
"""``reconnect.carry_ms``"""
_NOTICED = 500 * MILLISECOND
"""So long a word may have begun before anybody has said so."""
_LATEST = 40
"""Of what was heard before, so much at least is told (``reconnect.max_items`` are 200, of every kind)."""
_BURST_MS, _TURN_BURST_MS = 5_500, 62_000
"""So much microphone audio may come in the first second of a line: what is carried, the last moment before the loss, and that
second; where a turn was under way when the line was lost, all of that."""


class LineOptions(Struct, frozen=True):
    """What kind of call it is."""

    seconds: int = 600
    drop_every_s: int = 120
    """A line is lost about so often; 0: never."""
    half_open_per_mille: int = 250
    """So many of the losses are silent."""
    down_per_mille: int = 300
    """So many attempts to dial find nobody."""
    session_s: int = 1800
    """The servers' limit."""
    limit_s: float | None = None
    """The session's own limit, where it renews itself."""
    barge_per_mille: int = 400
    """So many answers are talked over."""
    tool_ms: tuple[int, int] = (20, 4_000)
    call_per_mille: int = 250


class LineResult(Struct):
    """What came of it."""

    seed: int
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    turns: int = 0
    answered: int = 0
    lost: int = 0
    reconnected: int = 0
    renewed: int = 0
    renewed_in_silence: int = 0
    renewal_gaps_ms: list[int] = field(default_factory=list)
    """Where a renewal fell into sound: the silence between what was received before and the sound that went on from there."""
    interruptions: int = 0
    lost_while_sounding: int = 0
    lost_in_a_turn: int = 0
    into_nothing: int = 0
    """Turns that were spoken into a dead line, longer before the next than audio is kept for: nobody can have heard them."""
    calls: int = 0
    replayed: int = 0
    dropped_ms: int = 0
    """Microphone audio that the session dropped, and said so."""
    entries: list[int] = field(default_factory=list)
    """What the session held outside of its history, after each time it came back."""


class _Served(Struct):
    """One connection: its server, its line."""

    number: int
    server: Server
    up: Line
    down: Line
    alive: bool = True
    closing: bool = False
    opened_at: int = 0
    heard_ms: int = 0
    """Microphone audio in its first second."""
    told: list[str] | None = None
    """What was told as heard when it began; None once it was compared."""
    refusals: int = 0


class LongCall:
    """One seed's call. ``run`` it once."""

    def __init__(
        self,
        seed: int,
        options: LineOptions | None = None,
        *,
        voices: Sequence[Voice] | None = None,
        session_factory: Callable[..., Session] = Session,
    ) -> None:
        self.options = options if options is not None else LineOptions()
        self.result = LineResult(seed)
        self.now = 0
        rng = Rng(seed)
        self._rng, self._user, self._network, self._tools = (rng.fork(name) for name in ("world", "user", "network", "tools"))
        self._voices = voices if voices is not None else synthetic_voices(1)
        self.speaker = Speaker(SpeakerOptions(), rng.fork("speaker"))
        self.session = session_factory(self._config(), clock=self.speaker.options.clock, seed=seed)
        self._served: dict[int, _Served] = {}
        self._ids: set[str] = set()
        self._matcher = Matcher(PCM16_24K.sample_width)
        self._parts: dict[str, list[ServerPart]] = {}
        self._spans = 0
        self._heard: list[str] = []
        self._flushed = 0
        self._over_from: dict[str, Place] = {}
        self._agenda: list[tuple[int, int, Callable[[], object]]] = []
        self._count = 0
        self._over = self._closing = self._lost_a_turn = False
        self._speaking_until = 0
        self._mouth = 0
        self._turn_ended: int | None = None
        self._accepted: dict[str, int] = {}
        self._lost_at = self._dead_since = self._began_at = 0
        self._gap_from: int | None = None
        self._before = 0
        self._outputs: dict[str, int] = {}

    def _config(self) -> Config:
        detection = {"type": "server_vad", "create_response": True, "interrupt_response": True}
        input_ = {"turn_detection": detection, "transcription": {"model": "whisper-1"}}
        return Config.model_validate(
            {
                "connection": {"dialect": "openai", "url": "ws://localhost/v1/realtime"},
                "session": {"audio": {"input": input_}, "tools": list(TOOLS)},
                "reconnect": {"attempts": 100, "limit_s": self.options.limit_s, "grace_s": 20},
            }
        )

    # -- running -------------------------------------------------------------------------------------------------------------

    def run(self) -> LineResult:
        """Let the call take place, hang up, and say what was found."""
        self._call(self.session.open(now=0.0))
        self._at(_SECOND, self._frame)
        self._at(2 * _SECOND, self._think)
        self._next_drop()
        until = self.options.seconds * _SECOND
        while not self._over and self.now < until:
            self._step()
        if not self._over:
            self._closing = True
            self._call(self.session.close(now=self._seconds))
        self.result.seconds = self._seconds
        return self.result

    @property
    def _seconds(self) -> float:
        return self.now / _SECOND

    def _step(self) -> None:
        """The earliest wake-up; inputs before ticks."""
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
            due.append((_wake(deadline.at), 5, lambda: self._call(self.session.tick(now=self._seconds))))
        at, _, act = min(due, key=lambda each: each[:2])
        self.now = max(self.now, at)
        act()

    def _next(self) -> None:
        heappop(self._agenda)[2]()

    def _at(self, at: int, act: Callable[[], object]) -> None:
        self._count += 1
        heappush(self._agenda, (at, self._count, act))

    def _fail(self, text: str) -> None:
        if len(self.result.problems) < 20:
            self.result.problems.append(f"{self._seconds:.3f} s: {text}")

    # -- the session's effects -----------------------------------------------------------------------------------------------

    def _call(self, effects: Sequence[Effect]) -> None:
        outbox: dict[int, list[bytes]] = {}
        for effect in effects:
            match effect:
                case Play():
                    self.speaker.play(effect.generation, effect.pcm, now=self.now)
                case Send():
                    outbox.setdefault(effect.connection, []).append(effect.payload)
                case Drain():
                    self.speaker.drain(effect.generation, now=self.now)
                case Flush():
                    self.result.interruptions += 1
                    self._flushed = effect.generation
                    self.speaker.flush(effect.generation, now=self.now)
                case Pause() | Resume():
                    self._fail("nobody asked for a pause")
                case Connect():
                    self._dial(effect.connection)
                case Disconnect():
                    if (served := self._served.pop(effect.connection, None)) is not None:
                        self._leave(served)
                case Notice():
                    self._notice(effect)
        for number, payloads in outbox.items():
            served = self._served.get(number)
            if served is None or not served.alive:
                continue
            for payload in payloads:
                self._check_sent(served, payload)
            served.up.send(payloads, now=self.now)

    def _check_sent(self, served: _Served, payload: bytes) -> None:
        seen = read_client(payload, self.now, 0)
        if seen.type == "input_audio_buffer.append":
            if self.now < served.opened_at + _SECOND:
                served.heard_ms += len(payload) * 3 // 4 // 48
                if served.heard_ms > (_TURN_BURST_MS if self._lost_a_turn else _BURST_MS):
                    self._fail(f"a burst of {served.heard_ms} ms of microphone audio on connection {served.number}")
                    served.heard_ms = 0
        elif seen.type != "session.update":
            named = {seen.item_id, (seen.item or {}).get("id")}
            own = served.server.items
            if foreign := [name for name in named if name in self._ids and name not in own]:
                self._fail(f"{seen.type} on connection {served.number} names {foreign[0]} of a lost session")

    def _notice(self, notice: Notice) -> None:
        match notice:
            case MessageEnded():
                self._ended(notice)
            case ToolCalled():
                self.result.calls += 1
                low, high = self.options.tool_ms
                self._at(self.now + self._tools.between(low, high) * MILLISECOND, lambda: self._answer(notice.call_id))
            case Reconnecting():
                pass
            case Reconnected():
                self._back(notice)
            case MicrophoneDropped():
                self.result.dropped_ms += notice.dropped_ms
            case SessionClosed():
                self._over = True
                if notice.reason != "closed":
                    self._fail(f"the session ended: {notice.reason}, {notice.problem}")
            case _:
                pass

    def _answer(self, call_id: str) -> None:
        try:
            issued = self.session.tool_result(call_id, "It is so.", now=self._seconds)
        except LocalProtocolError:
            return  # its call is gone: cut before it was told, or its answer was due to a session that is over
        self._call(issued.effects)

    def _back(self, notice: Reconnected) -> None:
        result = self.result
        result.reconnected += 1
        if (
            self._turn_ended is not None
            and self._turn_ended + _CARRIED < self.now
            and self._began_at > self._dead_since - _NOTICED
        ):
            result.into_nothing += 1
            self._turn_ended = None
        result.replayed += notice.replayed
        if notice.planned:
            result.renewed += 1
            if self.speaker.pending:
                self._gap_from = notice.connection
            else:
                result.renewed_in_silence += 1
        served = self._served.get(notice.connection)
        if served is not None:
            served.opened_at = self.now
            served.told = list(self._heard)
        found = footprint(self.session._core, without=("asked", "session", "history._items", "history._order"))
        result.entries.append(sum(found.entries.values()))

    # -- connections ---------------------------------------------------------------------------------------------------------

    def _dial(self, number: int) -> None:
        latency = 60 * MILLISECOND
        if number > 1 and self._network.chance(self.options.down_per_mille):
            cause = Disconnection(error="connection refused")
            self._at(self.now + latency, lambda: self._call(self.session.disconnected(number, cause, now=self._seconds)))
            return
        self._at(self.now + latency, lambda: self._open(number))

    def _open(self, number: int) -> None:
        options = ServerOptions(
            session_s=self.options.session_s,
            call_per_mille=self.options.call_per_mille,
            text_per_mille=0,
            incomplete_per_mille=0,
            failed_per_mille=0,
        )
        server = Server(seed=self._network.bits(), voices=self._voices, options=options)
        network = NetworkOptions()
        up, down = Line(network, self._network.fork("up")), Line(network, self._network.fork("down"))
        served = self._served[number] = _Served(number, server, up, down, opened_at=self.now)
        self._said(served, server.connect(now=self._seconds))
        self._call(self.session.connected(number, now=self._seconds))

    def _leave(self, served: _Served) -> None:
        served.alive = False
        self._check_replay(served)

    def _said(self, served: _Served, payloads: Sequence[bytes]) -> None:
        refusals = served.server.refusals
        for refusal in refusals[served.refusals :]:
            if refusal.code not in _NOBODYS_FAULT and not any(words in refusal.message for words in _HARMLESS):
                self._fail(f"the server of connection {served.number} refused: {refusal.code}, {refusal.message}")
        served.refusals = len(refusals)
        arrives = served.down.send(payloads, now=self.now) if payloads else self.now
        closing = served.server.closing
        if closing is not None and not served.closing:
            served.closing = True
            cause = Disconnection(close_code=closing[0], reason=closing[1])
            self._at(arrives + 30 * MILLISECOND, lambda: self._gone(served, cause))

    def _tick(self, served: _Served) -> None:
        self._said(served, served.server.tick(now=self._seconds))

    def _reach(self, served: _Served) -> None:
        for payload in served.up.arrivals(self.now):
            if served.alive:
                self._said(served, served.server.receive(payload, now=self._seconds))

    def _arrive(self, served: _Served) -> None:
        for payload in served.down.arrivals(self.now):
            if self._served.get(served.number) is not served:
                continue
            seen = read_server(payload, self.now)
            if seen.type == "response.output_audio.delta" and seen.item_id is not None:
                self._receive_audio(served, seen.item_id, seen.response_id or "", seen.content_index, seen.audio_bytes)
            self._call(self.session.receive(served.number, payload, now=self._seconds))

    def _next_drop(self) -> None:
        every = self.options.drop_every_s
        if every:
            self._at(self.now + self._network.between(every // 2, every * 3 // 2) * _SECOND, self._drop)

    def _drop(self) -> None:
        """The line of the present session is lost."""
        self._next_drop()
        served = self._served.get(self.session._core.connection)
        if served is None or not served.alive or served.down.dead or self.session.state != "ready":
            return
        result = self.result
        result.lost += 1
        self._dead_since = self.now
        self._lost_a_turn = self._turn_ended is not None or self.now < self._speaking_until + _SECOND
        result.lost_while_sounding += bool(self.speaker.pending)
        result.lost_in_a_turn += self.now < self._speaking_until
        if self._network.chance(self.options.half_open_per_mille):
            served.up.freeze(self.now)
            served.down.freeze(self.now)
            cause = Disconnection(error="keepalive ping timeout: no answer in 20 s")
            self._at(self.now + self._network.between(*_KEEPALIVE), lambda: self._gone(served, cause))
        else:
            served.up.cut(self.now)
            served.down.cut(self.now)
            self._gone(served, Disconnection(close_code=1006))

    def _gone(self, served: _Served, cause: Disconnection) -> None:
        self._lost_at = self.now
        if self._served.pop(served.number, None) is not None:
            self._leave(served)
        self._call(self.session.disconnected(served.number, cause, now=self._seconds))

    # -- what is heard -------------------------------------------------------------------------------------------------------

    def _receive_audio(self, served: _Served, item_id: str, response_id: str, index: int, size: int) -> None:
        item = served.server.items[item_id]
        self._ids.add(item_id)
        found = self._matcher.find(item_id, index)
        if found is None:
            part = item.parts[index]
            self._parts.setdefault(item_id, []).append(part)
            order = list(served.server.responses).index(response_id)
            found = Segment(response_id, item_id, index, (served.number * 100_000 + order, len(self._parts)), part)
            self._accepted[response_id] = int(served.server.responses[response_id].accepted_at * _SECOND)
            found.dead_from = self._over_from.get(item_id)
            found.dismissed = found.dead_from is not None
            self._matcher.add(found)
        found.received += size

    def _sound(self) -> None:
        for report in self.speaker.step(self.now):
            match report.kind:
                case "played":
                    self._call(self.session.played(report.generation, report.samples, now=self._seconds))
                case "flushed":
                    self._call(self.session.flushed(report.generation, report.samples, now=self._seconds))
                case "underrun":
                    self._call(self.session.underrun(report.generation, now=self._seconds))
        self._listen()

    def _listen(self) -> None:
        spans = self.speaker.spans
        if len(spans) > self._spans:
            self._matcher.consume_all(spans, self._spans, {})
            self._spans = len(spans)
        for mismatch in self._matcher.mismatches:
            self._fail(f"sound: {mismatch.text}")
        self._matcher.mismatches.clear()
        current = self._matcher.current
        if current is not None and self._gap_from is not None and current.order[0] >= self._gap_from * 100_000:
            if self._began_at < self._before:
                self.result.renewal_gaps_ms.append((current.begun_at - self._before) // MILLISECOND)
            self._gap_from = None
        self._before = self._matcher.last_until
        if current is not None and self._turn_ended is not None and current.begun_at > self._turn_ended:
            self.result.answered += 1
            self._turn_ended = None

    def _ended(self, notice: MessageEnded) -> None:
        """A message is over: what is told of it must have been audible."""
        self._listen()
        parts = self._parts.get(notice.item_id, [])
        heard = 0
        over = self._over_from[notice.item_id] = Place(max(self._flushed, self._matcher.generation) + 1, 0)
        for part in parts:
            segment = self._matcher.find(notice.item_id, part.index)
            if segment is not None:
                segment.dismissed = True
                segment.dead_from = over
                heard += segment.heard
        heard_ms = heard // 48
        if self._closing:
            return  # reckoned, because nobody waits for the clock any more
        if parts and abs(heard_ms - notice.heard_ms) > 1:
            self._fail(f"{notice.item_id} was heard for {heard_ms} ms, and {notice.heard_ms} ms are told")
        if len(parts) == 1 and notice.verdict is Verdict.PARTIAL and parts[0].planned_text.startswith(notice.full_text.strip()):
            off = words_off(notice.text, parts[0].words, heard_ms, len(notice.full_text))
            if abs(off) > MOST:
                self._fail(f"{notice.item_id}: {notice.text!r} is {off} words off what was heard in {heard_ms} ms")
        if notice.verdict is not Verdict.SKIPPED and notice.text.strip():
            self._heard.append(notice.text)

    def _check_replay(self, served: _Served) -> None:
        """The session is over: did it begin with what was audible until then?"""
        if served.told is None:
            return
        items = [served.server.items[name] for name in served.server.conversation]
        replayed = [item for item in items if item.origin == "client" and item.role == "assistant"]
        texts = ["".join(str(part.get("text")) for part in item.content) for item in replayed]
        missing = [text for text in texts if text not in self._heard]
        if missing:
            self._fail(f"connection {served.number} was told {missing[0]!r}, which was not heard")
        # What sounded when it began is told when it was over, so that there may be more; never less, but for what is too old.
        latest = served.told[-_LATEST:]
        if self.now < served.opened_at + _SECOND:
            return  # it was lost before it could be told
        if missing := [text for text in latest if text not in texts]:
            self._fail(f"connection {served.number} was not told {missing[0]!r}, which was heard")
        elif [text for text in texts if text in latest][-len(latest) :] != latest and len(set(texts)) == len(texts):
            self._fail(f"connection {served.number} was told in another order than was heard")
        served.told = None

    # -- the person ----------------------------------------------------------------------------------------------------------

    def _frame(self) -> None:
        """A frame of the microphone: the person's voice, or silence."""
        self._at(self.now + _FRAME_MS * MILLISECOND, self._frame)
        size = _FRAME_MS * 48
        pcm = bytes(size)
        if self.now < self._speaking_until:
            voice = self._voices[0].pcm
            self._mouth = 0 if self._mouth + size > len(voice) else self._mouth
            pcm, self._mouth = voice[self._mouth : self._mouth + size], self._mouth + size
        if self.session.state != "closed":
            self._call(self.session.append_audio(pcm, now=self._seconds))

    def _think(self) -> None:
        """Is it the person's turn?"""
        self._at(self.now + 200 * MILLISECOND, self._think)
        if self.now < self._speaking_until + 2 * _SECOND:
            return
        if self._turn_ended is not None:
            waited = self.now - max(self._turn_ended, self._lost_at)
            if waited > _PATIENCE:
                self._fail(f"the turn that ended at {self._turn_ended / _SECOND:.3f} s was never answered")
                self._turn_ended = None
            return
        if self.speaker.pending and not self._user.chance(self.options.barge_per_mille // 10):
            return
        if not self.speaker.pending and not self._user.chance(150):
            return
        self.result.turns += 1
        self._began_at = self.now
        self._speaking_until = self.now + self._user.between(600, 2_500) * MILLISECOND
        self._at(self._speaking_until, self._stop)

    def _stop(self) -> None:
        self._turn_ended = self.now


_NOBODYS_FAULT = ("response_cancel_not_active", "conversation_already_has_active_response", "session_expired")
_HARMLESS = ("no active response", "already has an active response", "maximum duration")
"""Refusals that a race can cause, or that are no refusals; by their texts where the server sends no codes."""


def _wake(at: float) -> int:
    wake = int(at * _SECOND)
    while wake / _SECOND < at:
        wake += 1
    return wake


def figures(result: LineResult) -> dict[str, Any]:
    """The figures of a call, for people."""
    shown = {name: getattr(result, name) for name in result.__struct_fields__ if name not in ("problems", "entries")}
    return {
        **shown,
        "entries": (result.entries[0], result.entries[-1]) if result.entries else (),
        "problems": len(result.problems),
    }
