"""The session: inputs to effects. The only file that makes the others; ``_routing`` says which of them gets what.

Each input first fires the timers that are overdue (at < now), then does its own work, then fires those at == now; what it caused
comes back as one list, silence first, then the wire, then the news. Nothing here does IO, reads a clock or draws randomness.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from rtcore import saved
from rtcore._barge_in import BargeIn
from rtcore._clock import Clock
from rtcore._continuity import Continuity
from rtcore._core import Core, Counters, State
from rtcore._creation import Creation
from rtcore._differences import changed
from rtcore._edit_plan import unknown_item
from rtcore._edits import Edits
from rtcore._effects import Deadline, Effect, Send
from rtcore._errors import LocalProtocolError
from rtcore._formats import AudioFormat
from rtcore._generation import Generation
from rtcore._hearing import Hearing
from rtcore._holds import Holds
from rtcore._idle import Idle
from rtcore._interruption import Interruption
from rtcore._item_check import check_item, images_alone, known_ids, wanted_entries
from rtcore._items import HistoryItem, PartView, SegmentView
from rtcore._lead import Lead
from rtcore._lifecycle import Disconnection, Lifecycle
from rtcore._mcp import Mcp
from rtcore._microphone import COMMIT_MIN_MS
from rtcore._notices import Problem, RawEvent, Underrun, UnknownEvent, UnknownFields
from rtcore._pauses import Pauses
from rtcore._remote import Remote
from rtcore._renewal import Renewal
from rtcore._requests import Pending
from rtcore._responses import Responses
from rtcore._routing import SETUP, TIMERS, handlers
from rtcore._running_text import RunningText
from rtcore._sayable import check_response, check_sayable, check_vendor
from rtcore._silent_answers import SilentAnswers
from rtcore._speech import Speech
from rtcore._tap import check_raw, unknown_fields
from rtcore._tools import CANCELLED, Tools
from rtcore._turn_report import Reports
from rtcore._turns import Turns
from rtcore._voice import Voice
from rtcore._whole import followed, merged
from rtcore._wire import (
    KNOWN_TYPES,
    AppendImage,
    AudioDelta,
    Clear,
    Commit,
    Delete,
    Retrieve,
    decode,
    decode_so_far,
    decode_type,
    encode,
    plain,
)
from rtcore.config import Config, check_hold, parse_options, parse_response
from rtcore.dialects import Capabilities, Translation
from rtcore.policies import DEFAULT, Policies
from rtcore.usage import UsageTotals

T = TypeVar("T")
_FOREVER = float("inf")


class Issued(NamedTuple):
    """What a command that expects an answer gives back: the request's number and the effects to carry out now.

    ``RequestEnded(request, ...)`` follows exactly once, perhaps already among the effects (invariant 2).
    """

    request: int
    effects: list[Effect]


class Session:
    """One realtime conversation: a pure state machine (DESIGN section 2).

    Feed it what happens, each with ``now`` in seconds of any monotonic clock; carry out the effects it returns, in order and
    all of them, before the next input; call ``tick`` at ``deadline.at`` at the latest. A remote fault never raises. The
    caller's mistake raises ``LocalProtocolError`` before anything changes. Not thread-safe: one thread at a time; re-entry
    raises.

    ``clock`` says what the audio clock can do. ``seed`` makes event and item ids distinct between sessions; the same inputs with
    the same seed give the same effects, byte for byte. ``policies`` are decisions of the program's own (``rtcore.policies``).
    """

    def __init__(
        self, config: Config | None = None, *, clock: Clock | None = None, seed: int = 0, policies: Policies | None = None
    ) -> None:
        chosen = policies if policies is not None else DEFAULT
        core = self._core = Core(
            config if config is not None else Config(), clock if clock is not None else Clock(), seed, chosen
        )
        core.responses = Responses(core)
        core.speech = Speech(core)
        core.running_text = RunningText(core)
        core.remote = Remote(core)
        core.interruption = Interruption(core)
        core.barge_in = BargeIn(core)
        core.hearing = Hearing(core)
        core.pauses = Pauses(core)
        core.creation = Creation(core)
        core.holds = Holds(core)
        core.edits = Edits(core)
        core.tools = Tools(core)
        core.turns = Turns(core)
        core.mcp = Mcp(core)
        core.silent_answers = SilentAnswers(core)
        core.lifecycle = Lifecycle(core)
        core.reports = Reports(core)
        core.continuity = Continuity(core, seed)
        core.voice = Voice(core)
        core.idle = Idle(core)
        core.renewal = Renewal(core)
        core.lead = Lead(core)
        self._timers = core.timers
        self._inside = False
        self._tap = core.config.tap
        self._translations: dict[int, Translation] = {}
        self._spoken = 0
        self._audio_delta = core.responses.audio_delta
        self._handlers = handlers(core)

    # -- transport ---------------------------------------------------------------------------------------------------------------

    def open(self, *, now: float) -> list[Effect]:
        """Begin: gives ``Connect``. Raises where the connection is not fully configured, and the second time."""
        core = self._core
        if core.state != "new":
            raise LocalProtocolError("open() was called before; make a new Session for a new conversation")
        core.handshake()
        out = self._enter(now)
        core.lifecycle.open()
        return self._leave(out)

    def load(self, history: bytes | str | Iterable[HistoryItem], *, now: float) -> list[Effect]:
        """Begin with an earlier conversation: what ``rtcore.saved.save`` wrote, or the ``history`` of another session.

        The server is told it as after a lost line, as ``config.reconnect.history`` says; ``ReplayIncomplete`` names what it could
        not be told. Raises ``LocalProtocolError`` for what is no history, for one with an id twice, and after ``open``.
        """
        if self._core.state != "new":
            raise LocalProtocolError("load(): the session is open; load a history before open(), or make a new Session")
        items = self._read("load", lambda: saved.load(history) if isinstance(history, bytes | str) else tuple(history))
        if not all(isinstance(item, HistoryItem) for item in items):
            raise LocalProtocolError("history: holds something else than HistoryItem; give Session.history or saved bytes")
        if len({item.id for item in items}) < len(items) or self._core.history.last is not None:
            raise LocalProtocolError("history: has an item twice, or one was loaded before; give one history, once")
        out = self._enter(now)
        self._core.requests.pass_over(item.id for item in items)
        for item in items:
            if not item.aside:
                self._core.history.restore(item)
        return self._leave(out)

    def connected(self, connection: int, *, now: float) -> list[Effect]:
        """The transport of ``connection`` is up, its handshake accepted."""
        out = self._enter(now)
        if connection and connection == self._core.renewal.coming:
            self._core.renewal.connected()
        elif self._current(connection) and self._core.state == "connecting":
            self._core.lifecycle.connected()
        return self._leave(out)

    def disconnected(self, connection: int, cause: Disconnection, *, now: float) -> list[Effect]:
        """The transport of ``connection`` did not come up, or went away: the session goes on over another one, or ends and every
        request settles (``config.reconnect``).
        """
        out = self._enter(now)
        if connection and connection == self._core.renewal.coming:
            self._core.renewal.lost(self._core.lifecycle.told(cause))
        elif self._current(connection):
            self._core.lifecycle.disconnected(cause)
        return self._leave(out)

    def receive(self, connection: int, payload: bytes, *, now: float) -> list[Effect]:
        """One server message. No bytes whatever make it raise: what cannot be used is one ``ProtocolWarning`` (C29)."""
        out = self._enter(now)
        core = self._core
        if connection != core.connection or core.state not in ("ready", "configuring"):
            if connection and connection == core.renewal.coming:
                core.renewal.received(payload)
            else:
                core.counters.stale_connections += 1
            return self._leave(out)
        if self._tap != "off":
            self._tapped(payload)
        if core.dialect.translation is None:
            self._feed(payload)
        else:
            for each in self._translated(payload):
                self._feed(each)
        return self._leave(out)

    def _translated(self, payload: bytes) -> list[bytes]:
        """What this server's message says in the protocol's events."""
        try:
            event = msgspec.json.decode(payload)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return [payload]
        if not isinstance(event, dict):
            return [payload]
        core = self._core
        self._speak()
        sent, read = self._translation(core.connection).back(event)
        core.wire += [Send(core.connection, encode(each)) for each in sent]
        self._spoken = len(core.wire)
        return [encode(each) for each in read]

    def _translation(self, connection: int) -> Translation:
        """That of a connection; only the present one's and a coming one's are kept."""
        found = self._translations.get(connection)
        if found is None:
            make = self._core.dialect.translation
            assert make is not None
            found = make()
            self._translations = {**dict([*self._translations.items()][-1:]), connection: found}
        return found

    def _speak(self) -> None:
        """What was put on the wire, in the events that this server has; what it leaves unanswered is answered here."""
        core = self._core
        done: list[Effect] = core.wire[: self._spoken]
        del core.wire[: self._spoken]
        while core.wire:
            batch = list(core.wire)
            core.wire.clear()
            for effect in batch:
                if not isinstance(effect, Send):
                    done.append(effect)
                    continue
                sent, read = self._translation(effect.connection).out(msgspec.json.decode(effect.payload))
                done += [Send(effect.connection, encode(each), effect.lane) for each in sent]
                for each in read:
                    if effect.connection == core.renewal.coming:
                        core.renewal.received(encode(each))
                    elif effect.connection == core.connection and core.state != "closed":
                        self._feed(encode(each))
        core.wire += done
        self._spoken = len(core.wire)

    def _feed(self, payload: bytes) -> None:
        """One message of the present connection."""
        core = self._core
        try:
            event = decode.decode(payload)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            self._unreadable(payload, error)
            return
        kind = type(event)
        if core.state == "ready":
            if isinstance(event, AudioDelta):
                self._audio_delta(event)
            else:
                self._handlers[kind](event)
        elif kind in SETUP:
            self._handlers[kind](event)
            self._replay_early()
        elif not core.lifecycle.hold_early(event):
            core.lifecycle.warn("too many events before the session was acknowledged", "", "")

    def _replay_early(self) -> None:
        core = self._core
        if core.state == "ready":
            early, core.lifecycle.early = core.lifecycle.early, []
            for event in early:
                self._handlers[type(event)](event)

    def _tapped(self, payload: bytes) -> None:
        news = self._core.news
        if self._tap == "all":
            news.append(RawEvent("received", bytes(payload)))
        kind, fields = unknown_fields(payload)
        if fields:
            news.append(UnknownFields(kind, fields, bytes(payload)))

    def _unreadable(self, payload: bytes, error: Exception) -> None:
        core = self._core
        try:
            event_type = decode_type.decode(payload).type
        except (msgspec.MsgspecError, ValueError, RecursionError):
            event_type = ""
        if event_type in core.dialect.ignored:
            return
        if event_type and event_type == core.dialect.transcript_so_far:
            try:
                event = decode_so_far.decode(payload)
            except msgspec.ValidationError as fault:
                error = fault
            else:
                if core.state == "ready":
                    self._handlers[type(event)](event)
                else:
                    core.lifecycle.hold_early(event)
                return
        elif event_type and event_type not in KNOWN_TYPES:
            core.counters.unknown_events += 1
            core.news.append(UnknownEvent(event_type, bytes(payload)))
            return
        core.lifecycle.warn("a server message could not be read", event_type, f"{type(error).__name__}: {error}"[:500])

    def _runs(self) -> bool:
        """Whether there is a conversation, over whatever connection."""
        return self._core.ready or (self._core.continuity.begun and self._core.state != "closed")

    def _current(self, connection: int) -> bool:
        if connection == self._core.connection and self._core.state != "closed":
            return True
        self._core.counters.stale_connections += 1
        return False

    # -- the audio clock ---------------------------------------------------------------------------------------------------------

    def played(self, generation: int, samples: int, *, now: float) -> list[Effect]:
        """How many samples of ``generation`` have become audible by ``now``, in total.

        Reports of settled generations and smaller ones are ignored and counted (C21); more than was handed over is clamped, with
        one notice per generation (B02, C08).
        """
        self._check_counts(generation, samples)
        out = self._enter(now)
        core = self._core
        found = core.playout.find(generation)
        if found is None or samples < found.confirmed or core.state == "closed":
            core.counters.stale_reports += 1
            return self._leave(out)
        playout = core.playout
        moved = playout.report(found, self._clamped(found, samples), core.now)
        if moved:
            core.speech.moved(moved)
        if playout.paced or not playout.unconfirmed:
            playout.release(core.now, core.sound)
        core.speech.after_playout()
        return self._leave(out)

    def flushed(self, generation: int, samples: int, *, now: float) -> list[Effect]:
        """The answer to ``Flush(generation)``: its final count. Settles every generation up to it; a late answer is ignored
        (B29).
        """
        self._check_counts(generation, samples)
        out = self._enter(now)
        core = self._core
        found = core.playout.find(generation)
        if found is None or found.flush_due is None or core.state == "closed":
            core.counters.stale_reports += 1
            return self._leave(out)
        core.interruption.flushed(generation, self._clamped(found, samples))
        return self._leave(out)

    def _check_counts(self, generation: object, samples: object) -> None:
        if not isinstance(generation, int) or not isinstance(samples, int):
            raise LocalProtocolError(
                f"generation, samples: {generation!r}, {samples!r} are no ints; a clock counts whole samples"
            )

    def _clamped(self, generation: Generation, samples: int) -> int:
        if samples <= generation.handed:
            return samples
        core = self._core
        core.counters.excess_reports += 1
        if not generation.excess_told:
            generation.excess_told = True
            reason = f"reported {samples} samples of {generation.handed} handed over; clamped"
            core.lifecycle.clock_fault(generation.number, reason)
        return generation.handed

    def underrun(self, generation: int, *, now: float) -> list[Effect]:
        """The clock ran dry. Told while a response is still generating; it is not the end of anything (F147)."""
        out = self._enter(now)
        core = self._core
        open_and_current = core.state == "ready" and generation == core.playout.generation.number
        if open_and_current and any(not r.done and not r.dead for r in core.responses.live.values()):
            core.counters.underruns += 1
            core.lead.ran_dry()
            core.news.append(Underrun(generation))
        return self._leave(out)

    def device(self, state: Literal["lost", "ready"], *, now: float) -> list[Effect]:
        """The audio device vanished or is back. What was playing is cut at the last report (F100)."""
        if state not in ("lost", "ready"):
            raise LocalProtocolError(f'state: {state!r} is not "lost" or "ready"')
        out = self._enter(now)
        core = self._core
        if state == "lost" and core.state != "closed":
            core.playout.device_lost()
            core.interruption.barge_in("device")
            core.interruption.settle_now()
            core.creation.pump()  # a turn that waited for what its speech was is answered now
        elif state == "ready" and self._runs():
            core.playout.device_ready(core.now, core.sound)
            core.speech.after_playout()
        return self._leave(out)

    def speech(self, event: Literal["started", "stopped"], *, now: float) -> list[Effect]:
        """A detector on this side heard a person start or stop; a start is an interruption of its own."""
        if event not in ("started", "stopped"):
            raise LocalProtocolError(f'event: {event!r} is not "started" or "stopped"')
        out = self._enter(now)
        if self._runs():
            self._core.turns.local(event)
        return self._leave(out)

    def tick(self, *, now: float) -> list[Effect]:
        """Time passed. Allowed early, late and often."""
        return self._leave(self._enter(now))

    # -- commands ----------------------------------------------------------------------------------------------------------------

    def append_audio(self, pcm: bytes, *, now: float) -> list[Effect]:
        """Microphone audio in the acknowledged input format; sent in batches, held (bounded) until the session is ready.

        Raises ``LocalProtocolError`` for anything but bytes of whole samples.
        """
        self._check_open("append_audio")
        if not isinstance(pcm, bytes | bytearray | memoryview):
            raise LocalProtocolError(f"pcm: is {type(pcm).__name__}, not bytes")
        width = self._core.microphone.format.sample_width
        if len(pcm) % width:
            raise LocalProtocolError(
                f"pcm: {len(pcm)} bytes are no whole samples of {width} bytes; keep the rest for the next call"
            )
        out = self._enter(now)
        core = self._core
        core.microphone.append(core.hearing.said(pcm), core.now, held=not core.ready)
        if not core.acknowledged.detects_turns and core.microphone.of_a_turn:
            core.microphone.in_turn = True  # until it is committed
        core.send_microphone(rest=False)
        return self._leave(out)

    def commit(self, *, now: float) -> Issued:
        """End the user's turn: the buffered audio becomes an item.

        Less than 100 ms is cleared instead, and the request fails (F123). Raises ``LocalProtocolError`` where nothing was
        appended since the last commit.
        """
        self._check_open("commit")
        if not self._core.microphone.uncommitted:
            raise LocalProtocolError("commit(): no audio was appended since the last commit; append_audio() first")
        out = self._enter(now)
        core = self._core
        core.microphone.by_commit |= not core.microphone.pressed
        request = core.requests.open()
        core.turns.ended_here()
        core.turns.made |= self._commit(request, request)
        return Issued(request, self._leave(out))

    def _commit(self, request: int, settled_by_turn: int | None) -> bool:
        """Commit what was said, or clear what is too little of it; then the request has failed. It settles with the turn, or else
        with the answer to it."""
        core = self._core
        core.send_microphone(rest=True)
        event_id = core.requests.event_id()
        wait = core.config.timeouts.edit_ms
        if core.microphone.uncommitted_ms < COMMIT_MIN_MS:
            if core.microphone.uncommitted and core.capabilities.clear:
                core.microphone.clear()
                core.send(Clear(event_id), pending=Pending(event_id, "clear"), wait_ms=wait)
            message = f"less than {COMMIT_MIN_MS} ms of audio since the last commit"
            told = Problem("input_audio_buffer_commit_empty", message, True, "Append at least 100 ms before commit().")
            core.requests.end(request, "failed", problem=told)
            return False
        core.microphone.committed()
        core.reports.asked("speech")
        core.continuity.committing(event_id)
        key = "" if settled_by_turn is not None else str(request)
        core.send(Commit(event_id), pending=Pending(event_id, "commit", request=settled_by_turn, key=key), wait_ms=wait)
        return True

    def clear(self, *, now: float) -> Issued:
        """Throw away the audio that was not committed, here and at the server."""
        self._check_open("clear")
        self._check_able("clear", able=self._core.capabilities.clear)
        out = self._enter(now)
        request = self._core.requests.open()
        self._clear(request)
        return Issued(request, self._leave(out))

    def _clear(self, request: int | None) -> None:
        core = self._core
        core.microphone.clear()
        core.timers.cancel("microphone batch")
        if not core.capabilities.clear:
            return
        event_id = core.requests.event_id()
        core.send(Clear(event_id), pending=Pending(event_id, "clear", request=request), wait_ms=core.config.timeouts.edit_ms)

    def send_text(self, text: str, *, interrupt: bool = True, respond: bool = True, now: float) -> Issued:
        """A typed message of the user. It silences the model first (``interrupt``, F037) and asks for an answer (``respond``).

        The request settles with the response, or without one when the item is in the conversation. Raises
        ``LocalProtocolError`` for an empty text, or one that is no Unicode.
        """
        self._check_open("send_text")
        self._check_answers("send_text")
        self._check_able("send_text", able=self._core.capabilities.create)
        plain("text", text)
        if not issubclass(type(text), str) or not text:
            raise LocalProtocolError("text: is empty or no str; an item needs content (F110)")
        out = self._enter(now)
        core = self._core
        request = core.requests.open()
        if interrupt:
            core.interruption.barge_in("text")
        core.idle.touched()
        item_id = core.requests.item_id()
        if respond:
            core.reports.asked("text", request=request, item_id=item_id)
        item = {"id": item_id, "type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        core.creation.ask_item(item, item_id, request=0 if respond else request, previous_item_id=None, gated=True)
        if respond:
            core.creation.ask_response({}, request=request, after=item_id, for_user=True)
        else:
            core.turns.made = True
        core.creation.pump()
        return Issued(request, self._leave(out))

    def user_turn(self, text: str, *, respond: bool = True, now: float) -> Issued:
        """What a recogniser of the program's own heard the user say: a turn like one that the server committed, in words.

        For sessions whose ``turn_detection`` is None, and beside ``speech``, by which a local detector tells where it began:
        whether it interrupts is the policy's. Microphone audio that was sent meanwhile is thrown away, here and at the server.
        The request settles with the item. Raises as ``send_text`` does.
        """
        self._check_open("user_turn")
        self._check_answers("user_turn")
        self._check_able("user_turn", able=self._core.capabilities.create)
        plain("text", text)
        if not issubclass(type(text), str) or not text:
            raise LocalProtocolError("text: is empty or no str; an item needs content (F110)")
        out = self._enter(now)
        core = self._core
        request = core.requests.open()
        if core.microphone.uncommitted:
            self._clear(None)
        core.microphone.by_commit = False
        item_id = core.requests.item_id()
        item = {"id": item_id, "type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        core.creation.ask_item(item, item_id, request=request, previous_item_id=None, gated=True)
        core.turns.said(item_id, text, respond=respond)
        core.turns.made |= not respond
        core.creation.pump()
        return Issued(request, self._leave(out))

    def begin_turn(self, *, now: float) -> list[Effect]:
        """Push-to-talk: the button is down. Silences the model, and throws away audio that was not committed.

        Raises ``LocalProtocolError`` where the server finds the turns: ``turn_detection`` has to be None.
        """
        self._check_manual("begin_turn")
        out = self._enter(now)
        core = self._core
        if core.microphone.uncommitted:
            self._clear(None)
        core.microphone.press()
        core.turns.pressed()
        core.creation.pump()
        return self._leave(out)

    def end_turn(self, *, respond: bool = True, now: float) -> Issued:
        """Push-to-talk: the button is up. The audio becomes the user's turn, and a response is asked for.

        Less than 100 ms is thrown away and answered by nothing: the request fails (F123), and what ``begin_turn`` cut unheard is
        asked for once more, unless the button is pressed again in ``barge_in.false_interruption_ms`` (F120). Otherwise it
        settles with the response, or, without one, when the turn is in the conversation. Pressed again at once, the first turn's
        answer is never heard (F125). Raises ``LocalProtocolError`` where the server finds the turns.
        """
        self._check_manual("end_turn")
        if respond:
            self._check_answers("end_turn")
        out = self._enter(now)
        core = self._core
        core.turns.released()
        request = core.requests.open()
        made = self._commit(request, None if respond else request)
        core.turns.made |= made and not respond
        if made and respond:
            core.reports.asked("program", request=request)
            core.creation.ask_response({}, request=request, for_user=True)
        core.barge_in.released(turn=made)
        core.microphone.release()
        core.creation.pump()
        return Issued(request, self._leave(out))

    def _check_manual(self, command: str) -> None:
        self._check_open(command)
        if self._core.acknowledged.detects_turns:
            raise LocalProtocolError(f"{command}(): the server finds the turns; set audio.input.turn_detection to None")

    def say(
        self,
        pcm: bytes,
        text: str = "",
        *,
        format: AudioFormat | None = None,
        remember: bool = False,
        interruptible: bool = True,
        speaks: str | None = None,
        now: float,
    ) -> Issued:
        """Sound of the program's own, in its turn in the same playout: a clip, words that bridge a wait, synthesised speech.

        It is a message like any: ``MessageStarted``, one verdict, cut by an interruption, by a person's voice only if it is
        ``interruptible``. ``text`` is what it says. With ``remember`` the server is told what was heard of it, as a message of
        the assistant's at the end of the conversation. ``format`` is that of ``pcm``; None: the session's output format. The
        request settles with the verdict: done if all was heard, else cancelled.

        ``speaks`` names the model's message in text of which this is the sound: then nobody has read that answer, and where it is
        cut before any of it was heard, and no turn follows, it is asked for once more like any other.

        Raises ``LocalProtocolError`` for anything but bytes of whole samples, more than may wait to be heard, and where the
        server sounds the audio itself.
        """
        told = self._check_saying("say", pcm, text, format, speaks)
        if not len(pcm):
            raise LocalProtocolError("pcm: is empty; there is nothing to say")
        out = self._enter(now)
        core = self._core
        request = core.requests.open()
        core.voice.begin(request, told, remember=bool(remember), interruptible=bool(interruptible), speaks=speaks)
        core.voice.append(request, bytes(pcm), text)
        core.voice.end(request)
        return Issued(request, self._leave(out))

    def say_begin(
        self,
        *,
        format: AudioFormat | None = None,
        remember: bool = False,
        interruptible: bool = True,
        speaks: str | None = None,
        now: float,
    ) -> Issued:
        """The same in pieces, as a synthesiser makes them: ``say_append(request, ...)``, then ``say_end(request)``.

        It has its place in the queue from here on; what comes behind it waits, but for ``playout.stall_ms`` of silence at most.
        """
        told = self._check_saying("say_begin", b"", "", format, speaks)
        out = self._enter(now)
        core = self._core
        request = core.requests.open()
        core.voice.begin(request, told, remember=bool(remember), interruptible=bool(interruptible), speaks=speaks)
        return Issued(request, self._leave(out))

    def say_append(self, request: int, pcm: bytes, text: str = "", *, now: float) -> list[Effect]:
        """More of what ``say_begin`` began, and the words of it. Of what was cut meanwhile it is nothing, and no mistake."""
        self._check_open("say_append")
        format = self._core.voice.check_open(request)
        self._check_saying("say_append", pcm, text, format)
        out = self._enter(now)
        self._core.voice.append(request, bytes(pcm), text)
        return self._leave(out)

    def say_end(self, request: int, *, now: float) -> list[Effect]:
        """All of it was given."""
        self._check_open("say_end")
        self._core.voice.check_open(request)
        out = self._enter(now)
        self._core.voice.end(request)
        return self._leave(out)

    def _check_saying(self, command: str, pcm: object, text: object, format: object, speaks: object = None) -> AudioFormat:
        self._check_open(command)
        core = self._core
        self._check_able(command, able=core.capabilities.playout == "client")
        if not isinstance(format, AudioFormat | None):
            raise LocalProtocolError(f"format: is {type(format).__name__}, not AudioFormat")
        if not isinstance(speaks, str | None):
            raise LocalProtocolError(f"speaks: is {type(speaks).__name__}, not the id of a message")
        told = core.acknowledged.output_format if format is None else format
        if not isinstance(pcm, bytes | bytearray | memoryview):
            raise LocalProtocolError(f"pcm: is {type(pcm).__name__}, not bytes")
        if len(pcm) % told.sample_width:
            raise LocalProtocolError(f"pcm: {len(pcm)} bytes are no whole samples of {told.sample_width} bytes")
        if not isinstance(text, str):
            raise LocalProtocolError(f"text: is {type(text).__name__}, not str")
        plain("text", text)
        core.voice.check_room(len(pcm) // told.sample_width, told)
        return told

    def respond(
        self,
        options: Mapping[str, object] | None = None,
        *,
        audible: bool | None = None,
        hold_ms: int | None = None,
        interruptible: bool = True,
        now: float,
    ) -> Issued:
        """Ask for a response. ``options`` are those of ``response.create`` in the protocol's names (facts 5.1).

        With ``conversation="none"`` it runs beside the conversation; its audio comes as ``OutOfBandAudio``, unless ``audible``.
        ``hold_ms`` is how long its first audio is held back for a guardrail, instead of ``playout.hold_ms``; 0: not at all.
        ``interruptible=False``: no voice interrupts it, only the program (or a policy of its own); what the user says meanwhile
        is answered afterwards. It takes a session whose server does not interrupt by itself.

        Raises ``LocalProtocolError`` naming the option, its value and what is allowed.
        """
        _check_mapping("options", options, optional=True)
        body = self._read("respond", lambda: plain("options", parse_response(options or {})))
        self._check_answers("respond")
        out_of_band = body.get("conversation") == "none"
        answers_nothing = out_of_band or "input" in body
        if out_of_band:
            self._check_able('respond({"conversation": "none"})', able=self._core.capabilities.out_of_band)
        check_response(self._core.dialect, body)
        if audible is False and not out_of_band:
            raise LocalProtocolError(
                'audible: False needs options={"conversation": "none"}; a response of the conversation is heard'
            )
        heard = bool(audible) or not out_of_band
        if hold_ms is not None:
            check_hold(hold_ms)
            if not heard or self._core.capabilities.playout == "server":
                raise LocalProtocolError(
                    "hold_ms: this response is not sounded here, so nothing of it can be held back; leave it out"
                )
        if not interruptible and self._core.acknowledged.server_interrupts and self._core.capabilities.server_cancels:
            raise LocalProtocolError(
                "interruptible: False needs a server that does not interrupt by itself: "
                "set audio.input.turn_detection.interrupt_response=False, or Config.interruption to 'pause' or 'ignore'"
            )
        out = self._enter(now)
        core = self._core
        request = core.requests.open()
        if not out_of_band:
            core.reports.asked("program", request=request, apart=answers_nothing)
        core.tools.offer(body)
        core.creation.ask_response(
            body,
            request=request,
            out_of_band=out_of_band,
            audible=heard,
            hold_ms=hold_ms,
            interruptible=bool(interruptible),
            for_user=core.turns.made and interruptible and not (body or hold_ms is not None),
        )
        core.turns.made &= answers_nothing
        core.creation.pump()
        return Issued(request, self._leave(out))

    def interrupt(self, response: str | None = None, *, now: float) -> list[Effect]:
        """Silence the model: everything, or one response by id. What was heard is settled as for any interruption (C12).

        Nothing to interrupt gives no effects.
        """
        self._check_open("interrupt")
        _check_id("response", response, optional=True)
        out = self._enter(now)
        self._core.interruption.barge_in("program", response)
        self._core.creation.pump()
        return self._leave(out)

    def release(self, response: str, *, now: float) -> list[Effect]:
        """Let a response be heard whose first audio is, or would be, held back (``playout.hold_ms``).

        One that is not held, is over or unknown gives no effects.
        """
        self._check_open("release")
        _check_id("response", response)
        out = self._enter(now)
        self._core.holds.release(response)
        return self._leave(out)

    def tool_result(self, call_id: str, output: object, *, respond: bool = True, now: float) -> Issued:
        """Answer a call that ``ToolCalled`` reported, once. A str passes as it is, anything else is encoded as JSON once (F076).

        After every call of the response is answered, one response is created, unless each said ``respond=False``. A call of an
        out-of-band response is not in the conversation, so its output goes nowhere: the request settles at once, and a program
        that wants the model to go on names both in the ``input`` of its next ``respond``.

        Raises ``LocalProtocolError`` for a call that is unknown or answered, and for an output that JSON cannot say.
        """
        self._check_open("tool_result")
        self._check_able("tool_result", able=self._core.capabilities.create)
        _check_id("call_id", call_id)
        self._core.tools.check(call_id)
        text = self._read("tool_result", lambda: _as_text(output))
        out = self._enter(now)
        request = self._core.requests.open()
        self._core.tools.answer(call_id, text, respond=respond, request=request)
        return Issued(request, self._leave(out))

    def cancel_tool(self, call_id: str, output: object = None, *, respond: bool = True, now: float) -> Issued:
        """Give up a call that ``ToolCalled`` reported: the model is told ``output`` ({"status": "cancelled"} where there is
        none), as the call's one output. ``ToolEnded`` tells whoever works on it to stop; what they give is refused.

        Raises ``LocalProtocolError`` as ``tool_result`` does.
        """
        self._check_open("cancel_tool")
        self._check_able("cancel_tool", able=self._core.capabilities.create)
        _check_id("call_id", call_id)
        self._core.tools.check(call_id)
        text = CANCELLED if output is None else self._read("cancel_tool", lambda: _as_text(output))
        out = self._enter(now)
        request = self._core.requests.open()
        self._core.tools.answer(call_id, text, respond=respond, request=request, outcome="cancelled")
        return Issued(request, self._leave(out))

    def approve(
        self, approval_request_id: str, *, approve: bool = True, reason: str | None = None, respond: bool = True, now: float
    ) -> Issued:
        """Answer ``ApprovalRequested`` once: let the model call the remote tool, or not. ``reason`` is told to the model.

        It counts as a call of its response: after all of them are answered, one response is created, unless each said
        ``respond=False``. Raises ``LocalProtocolError`` for a request that is unknown or answered.
        """
        self._check_open("approve")
        self._check_able("approve", able=self._core.capabilities.create)
        _check_id("approval_request_id", approval_request_id)
        self._core.tools.check_approval(approval_request_id)
        said: tuple[object, object] = (approve, reason)
        if not isinstance(said[0], bool) or not isinstance(said[1], str | None):
            raise LocalProtocolError(f"approve, reason: {approve!r}, {reason!r} are not a bool and a str or None")
        plain("reason", reason)
        out = self._enter(now)
        request = self._core.requests.open()
        self._core.tools.approve(approval_request_id, approve=approve, reason=reason, respond=respond, request=request)
        return Issued(request, self._leave(out))

    def update(self, changes: Mapping[str, object], *, now: float) -> Issued:
        """Change options of the session; only what changes is sent. What the server acknowledges counts (S09).

        Where nothing changes, the request is done at once. Another voice once the model has spoken, and another tracing once it
        is on, are refused here, because the server would refuse them (facts 2.4, 2.10, F135).
        """
        _check_mapping("changes", changes)
        core = self._core
        config = core.config
        wire = self._read(
            "update",
            lambda: plain(
                "changes",
                parse_options(
                    changes,
                    acknowledged=self._expected(),
                    table=core.dialect,
                    context=config.context,
                    interruption=config.interruption,
                    barge_in=config.barge_in,
                ).wire(),
            ),
        )
        kind = core.asked.get("type") or "realtime"
        if wire.get("type", kind) != kind:
            raise LocalProtocolError(f"type: the session's is {kind!r} for good; open a new session for another")
        check_sayable(core.dialect, {"type": kind, **wire})
        if not core.requests.keys("update"):
            wire = changed({name: value for name, value in wire.items() if name != "type"}, core.session)
        self._check_frozen(wire)
        out = self._enter(now)
        if "format" in ((wire.get("audio") or {}).get("input") or {}):
            core.send_microphone(rest=True)  # what was said in the old format goes before the new one
        request = core.requests.open()
        if wire:
            core.lifecycle.update(wire, request)
        else:
            core.requests.end(request, "done")
        return Issued(request, self._leave(out))

    def _expected(self) -> dict[str, Any]:
        """The session as it will be once the server has answered: a part of an object is part of what was asked for last."""
        core = self._core
        session, whole = core.session, core.asked
        for changes in () if core.ready else (core.asked,):
            session = self._shown(session, changes)
        for changes in core.requests.updates():
            session, whole = self._shown(session, changes), followed(whole, changes)
        return {**session, "vendor": whole.get("vendor") or {}}

    def _shown(self, session: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
        """The session with these changes, the vendor's own by the names that the server would show them under."""
        return merged(merged(session, changes), self._core.dialect.read_session(changes.get("vendor") or {}))

    def _check_frozen(self, wire: dict[str, Any]) -> None:
        """Raise ``LocalProtocolError`` for what the server would refuse to change (facts 2.4, 2.10)."""
        core = self._core
        whole = core.asked
        for changes in (*core.requests.updates(), wire):
            whole = followed(whole, changes)
        check_vendor(core.dialect, whole)
        # What stands among the vendor's own options is no way around: its names are read as the server would show them.
        wire = merged(wire, core.dialect.read_session(wire.get("vendor") or {}))
        if core.playout.received and "voice" in ((wire.get("audio") or {}).get("output") or {}):
            raise LocalProtocolError(
                "audio.output.voice: the voice is fixed once the model has spoken; open a new session for another"
            )
        if "tracing" in wire and core.ready and core.session.get("tracing") is not None:
            raise LocalProtocolError("tracing: once on it cannot be changed; open a new session")

    def create_item(self, item: Mapping[str, object], *, previous_item_id: str | None = None, now: float) -> Issued:
        """Put an item into the conversation: behind ``previous_item_id``, at the start ("root"), or at the end (None).

        A predecessor that was deleted meanwhile leaves its place to the item; of one that nobody knows, the request fails.
        Where a server takes images beside the audio alone (``Capabilities.images``), a user's message of images is sent so.

        Raises ``LocalProtocolError`` for an item that no server takes or the dialect cannot say, an id that is or was in use, and
        an output to a call that ``tool_result`` answers.
        """
        _check_mapping("item", item)
        _check_id("previous_item_id", previous_item_id, optional=True)
        core = self._core
        if core.capabilities.images == "buffer" and not core.capabilities.create:
            return self._append_images(item, previous_item_id, now)
        self._check_able("create_item", able=core.capabilities.create)
        body = self._read("create_item", lambda: check_item(item, core.dialect))
        if body.get("role") == "assistant":
            self._check_able("create_item (role assistant)", able=core.capabilities.create_assistant)
        if body["type"] == "function_call_output":
            core.tools.check_foreign(str(body["call_id"]))
        behind = core.edits.resolve(previous_item_id) if previous_item_id is not None else None
        lost = behind not in (None, "root") and not (core.creation.knows(behind) or core.history.is_deleted(str(behind)))
        chosen = body.get("id")
        if chosen is not None and (core.creation.knows(chosen) or core.history.is_deleted(chosen)):
            raise LocalProtocolError(f"item.id: {chosen!r} is, or was, in the conversation; leave it out to get a fresh one")
        out = self._enter(now)
        request = core.requests.open()
        if lost:
            core.requests.end(request, "failed", problem=unknown_item(str(previous_item_id)))
            return Issued(request, self._leave(out))
        item_id = str(body.get("id") or core.requests.item_id())
        core.creation.ask_item(
            {**body, "id": item_id},
            item_id,
            request=request,
            previous_item_id=behind,
            gated=body.get("role") == "user",
        )
        core.creation.pump()
        return Issued(request, self._leave(out))

    def _append_images(self, item: Mapping[str, object], previous_item_id: str | None, now: float) -> Issued:
        """Images beside what the user says (facts 14). Nothing acknowledges them: the request is done when they are sent."""
        core = self._core
        self._check_able("create_item (but images)", able=_holds_image(item))
        images = self._read("create_item", lambda: images_alone(item))
        if previous_item_id is not None:
            raise LocalProtocolError("previous_item_id: an image belongs to what is said beside it; leave it out")
        if not core.microphone.begun:
            raise LocalProtocolError("item: an image follows the audio that it belongs to; append_audio() first")
        out = self._enter(now)
        request = core.requests.open()
        core.send_microphone(rest=True)
        for image in images:
            core.send(AppendImage(core.requests.event_id(), image))
        core.requests.end(request, "done")
        return Issued(request, self._leave(out))

    def delete_item(self, item_id: str, *, now: float) -> Issued:
        """Take an item out of the conversation. A call's output goes with its call, and the other way round: delete both.

        One that is gone already, or was replaced, is done at once; of one that nobody knows, the request fails.
        """
        self._check_open("delete_item")
        self._check_able("delete_item", able=self._core.capabilities.delete)
        _check_id("item_id", item_id)
        out = self._enter(now)
        core = self._core
        request = core.requests.open()
        given, item_id = item_id, core.edits.resolve(item_id)
        item = core.history.get(item_id)
        if item is None or item.delete_sent:
            if item is not None:
                core.edits.join(item_id, request)
            elif core.history.is_deleted(item_id):
                core.requests.end(request, "done", item_id=item_id)
            else:
                core.requests.end(request, "failed", problem=unknown_item(given))
            return Issued(request, self._leave(out))
        if item.line != core.history.line:
            # Lost with the session that held it: the present one was never told, or in a summary.
            core.responses.forget(item_id)
            core.continuity.retell()
            core.requests.end(request, "done", item_id=item_id)
            return Issued(request, self._leave(out))
        event_id = core.requests.event_id()
        item.delete_sent = True
        core.send(
            Delete(event_id, core.history.wire(item_id)),
            pending=Pending(event_id, "delete", request=request, key=item_id),
            wait_ms=core.config.timeouts.edit_ms,
        )
        return Issued(request, self._leave(out))

    def replace_item(self, item_id: str, item: Mapping[str, object], *, now: float) -> Issued:
        """Put another item in the place of one: a delete and a create, or nothing where it says the same already.

        It gets a new id, which ``HistoryEdited`` tells; the old one goes on meaning it. The request fails for an item that nobody
        knows, or that is being said, heard or answered. Raises ``LocalProtocolError`` as ``create_item`` does.
        """
        _check_mapping("item", item)
        self._check_open("replace_item")
        _check_id("item_id", item_id)
        core = self._core
        body = self._read("replace_item", lambda: check_item(item, core.dialect))
        body.pop("id", None)
        out = self._enter(now)
        request = core.requests.open()
        core.edits.replace(item_id, body, request)
        return Issued(request, self._leave(out))

    def move_item(self, item_id: str, previous_item_id: str | None = None, *, now: float) -> Issued:
        """Put an item behind another, at the start ("root"), or at the end (None): what was heard or said of it, as text.

        It gets a new id, which ``HistoryEdited`` tells; the old one goes on meaning it. The request fails for an item that nobody
        knows, that is being said, heard or answered, or of which no text is known.
        """
        self._check_open("move_item")
        _check_id("item_id", item_id)
        _check_id("previous_item_id", previous_item_id, optional=True)
        out = self._enter(now)
        core = self._core
        request = core.requests.open()
        core.edits.move(item_id, previous_item_id, request)
        return Issued(request, self._leave(out))

    def sync_history(
        self,
        items: Iterable[HistoryItem | str | Mapping[str, object]],
        *,
        base: Iterable[HistoryItem | str] | None = None,
        now: float,
    ) -> Issued:
        """Make the conversation this one, by the least number of events; none where nothing is to be changed (B22).

        Each entry is an item that stays (its id, or as ``history`` shows it) or one as it is to be (GA shape). One with the id of
        an item that stands is left alone where it says the same, or what the item said earlier; else it takes its place. One
        without an id is the same as an item that says the same. What stands and is not listed is deleted, but for what is newer
        than ``base``, the history as the program knew it (default: as it stands now), and for what is being said, heard or
        answered (F067). What was deleted meanwhile is not brought back, and unknown ids are told, not raised (``HistoryEdited``).

        It is sent after the edits of an interruption, and nothing is created before it is settled. Raises ``LocalProtocolError``
        for what is no list of items.
        """
        core = self._core
        entries, known = self._read("sync_history", lambda: (wanted_entries(items, core.dialect), known_ids(base)))
        out = self._enter(now)
        request = core.requests.open()
        core.edits.sync(entries, known, request)
        return Issued(request, self._leave(out))

    def retrieve_item(self, item_id: str, *, now: float) -> Issued:
        """Ask for the server's own copy of an item, audio included: ``ItemRetrieved`` brings it, the request settles with it."""
        self._check_open("retrieve_item")
        _check_id("item_id", item_id)
        out = self._enter(now)
        core = self._core
        request = core.requests.open()
        event_id = core.requests.event_id()
        core.send(
            Retrieve(event_id, core.history.wire(item_id)),
            pending=Pending(event_id, "retrieve", request=request, key=item_id),
            wait_ms=core.config.timeouts.edit_ms,
        )
        return Issued(request, self._leave(out))

    def send_raw(self, event: Mapping[str, object], *, now: float) -> list[Effect]:
        """Send a client event that no command sends, as it is: what one vendor has alone, or a later version of the protocol.

        Without ``event_id`` it gets one. No answer is known: it comes as ``UnknownEvent`` or ``ServerError``, if at all.
        Raises ``LocalProtocolError`` for what is no event, and for one that a command sends, naming that.
        """
        _check_mapping("event", event)
        core = self._core
        body = self._read("send_raw", lambda: check_raw(event, core.requests.event_prefix))
        out = self._enter(now)
        if body.get("event_id") is None:
            body["event_id"] = core.requests.event_id()
        core.send(body)
        return self._leave(out)

    def pause(self, *, now: float) -> list[Effect]:
        """Hold the sound; nothing is lost. On a clock that cannot hold, it is flushed and played again from the heard sample.

        Raises ``LocalProtocolError`` on a call, where the server sounds the audio and cannot hold it.
        """
        self._check_open("pause")
        if self._core.capabilities.playout == "server":
            raise LocalProtocolError("pause(): on a call the server sounds the audio and cannot hold it; interrupt() silences it")
        out = self._enter(now)
        self._core.pauses.hold("program")
        return self._leave(out)

    def resume(self, *, now: float) -> list[Effect]:
        """Go on with the sample after the last one heard."""
        self._check_open("resume")
        out = self._enter(now)
        self._core.pauses.release("program")
        return self._leave(out)

    def mute(self, *, now: float) -> list[Effect]:
        """The user is not heard from now on: whatever ``append_audio`` is given, the server hears silence (F126).

        Under manual turns it hears nothing, and what was not committed is thrown away. Muted twice is muted.
        """
        self._check_open("mute")
        out = self._enter(now)
        self._core.hearing.mute()
        return self._leave(out)

    def unmute(self, *, now: float) -> list[Effect]:
        """The user is heard again."""
        self._check_open("unmute")
        out = self._enter(now)
        self._core.hearing.unmute()
        return self._leave(out)

    def renew(self, *, now: float) -> list[Effect]:
        """Change the session for a new one that is told what was heard, at the next quiet moment, or after ``reconnect.grace_s``.

        For a session that has gone bad (F092), or one whose moment the program knows better than the core. ``Reconnected`` says
        that it was done. Raises ``LocalProtocolError`` where it cannot be: before it is ready, on a call, or by configuration.
        """
        self._check_open("renew")
        if not (self._core.continuity.begun and self._core.renewal.able):
            raise LocalProtocolError("renew(): the session is not ready yet, or config.reconnect or a call forbids it")
        out = self._enter(now)
        self._core.renewal.want()
        return self._leave(out)

    def close(self, *, now: float) -> list[Effect]:
        """End the session in order. ``SessionClosed`` is the last effect; after it, every input gives none."""
        out = self._enter(now)
        self._core.lifecycle.end("closed", hang_up=self._core.state in ("connecting", "configuring", "ready"))
        return self._leave(out)

    # -- views -------------------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> Deadline | None:
        """When to tick at the latest, and why; None while nothing but an input can change anything (invariant 12)."""
        return self._timers.deadline

    @property
    def state(self) -> State:
        """new, connecting, configuring (sent, not acknowledged), ready, reconnecting (lost, not dialled again yet), closed."""
        return self._core.state

    @property
    def speaking(self) -> bool:
        """From a turn's first audible sample until nothing more of it will be heard (S01)."""
        return self._core.speech.speaking

    @property
    def muted(self) -> bool:
        """Whether the user is not heard, by ``mute()``."""
        return self._core.hearing.muted

    @property
    def history(self) -> tuple[HistoryItem, ...]:
        """The conversation in the server's order, with heard and full text."""
        return self._core.history.view()

    @property
    def tool_names(self) -> frozenset[str] | None:
        """The functions that the model was told of; None where a stored prompt may define others. Models call functions that
        nobody defined now and then (F070).
        """
        return self._core.tools.names

    @property
    def usage(self) -> UsageTotals:
        """Tokens and seconds used so far, by the session and by its latest turn; ``rtcore.usage.cost`` prices them."""
        return self._core.accounts.totals

    @property
    def counters(self) -> Counters:
        """What was survived, in numbers: a copy."""
        return msgspec.structs.replace(self._core.counters)

    @property
    def segments(self) -> tuple[SegmentView, ...]:
        """Sample counts of the audio parts of responses that have not ended (invariant 8)."""
        return tuple(
            SegmentView(s.response_id, s.item_id, s.content_index, s.format, s.received, s.heard, s.discarded, s.queued)
            for s in self._core.responses.segments.values()
        )

    def part_at(self, generation: int, sample: int) -> PartView | None:
        """The part of the conversation that a sample is of, which the clock was handed and has not confirmed as heard.

        For players that name what they sound. None for one that was confirmed, was never handed over, or whose flush is settled.
        A voice of the program's own has an item's id, too, that no server knows unless it is remembered.
        """
        found = self._core.playout.part_at(generation, sample)
        return PartView(found.response_id, found.item_id, found.content_index) if found is not None else None

    @property
    def capabilities(self) -> Capabilities:
        """What the dialect's server can do."""
        return self._core.capabilities

    @property
    def output_format(self) -> AudioFormat:
        """Format of the model's audio as acknowledged (as asked for, before)."""
        return self._core.acknowledged.output_format

    @property
    def input_format(self) -> AudioFormat:
        """Format of the microphone's audio as acknowledged (as asked for, before)."""
        return self._core.acknowledged.input_format

    # -- one step ----------------------------------------------------------------------------------------------------------------

    def _check_open(self, command: str) -> None:
        if self._inside:
            raise LocalProtocolError(
                f"{command}() was called while another input was being handled; queue it until that returned"
            )
        if self._core.state == "closed":
            raise LocalProtocolError(f"{command}(): the session is closed; make a new Session")

    def _check_able(self, command: str, *, able: bool) -> None:
        if not able:
            name = self._core.dialect.name
            raise LocalProtocolError(f"{command}: servers of the {name} dialect cannot; Session.capabilities says what they can")

    def _check_answers(self, command: str) -> None:
        if self._core.asked.get("type") == "transcription":
            raise LocalProtocolError(f"{command}: a transcription session has no model that answers; leave session.type out")

    def _enter(self, now: float) -> list[Effect]:
        if self._inside:
            raise LocalProtocolError(
                "an input was fed while another was being handled; carry out its effects first, then feed the next"
            )
        core = self._core
        if now > core.now:
            if now == _FOREVER:
                raise LocalProtocolError("now: is infinite; give seconds of a monotonic clock")
            core.now = now
        self._inside = True
        out: list[Effect] = []
        if self._timers.next_at < core.now:
            self._fire(inclusive=False)
        return out

    def _leave(self, out: list[Effect]) -> list[Effect]:
        core = self._core
        if self._timers.next_at <= core.now:
            self._fire(inclusive=True)
        if core.wire and core.dialect.translation is not None:
            self._speak()
        if core.sound:
            out += core.sound
            core.sound.clear()
        if core.wire:
            out += core.wire
            if self._tap == "all":
                core.news += [RawEvent("sent", effect.payload) for effect in core.wire if isinstance(effect, Send)]
            core.wire.clear()
            self._spoken = 0
        if core.news:
            core.reports.read(core.news)
            out += core.news
            core.news.clear()
            core.reports.left()
        self._inside = False
        return out

    def _fire(self, *, inclusive: bool) -> None:
        # Each at most once an input: a timer that is armed again for now waits for the next.
        for why in self._timers.due(self._core.now, inclusive=inclusive):
            if self._timers.take(why, self._core.now):
                TIMERS[why](self._core)

    def _read(self, command: str, read: Callable[[], T]) -> T:
        """Read a command's arguments; they may be objects of the caller, whose code must not feed the session meanwhile."""
        self._check_open(command)
        self._inside = True
        try:
            return read()
        except RecursionError:
            raise LocalProtocolError(f"{command}(): an argument is nested too deeply") from None
        finally:
            self._inside = False


def _check_id(name: str, value: object, *, optional: bool = False) -> None:
    if not (isinstance(value, str) or (optional and value is None)):
        raise LocalProtocolError(f"{name}: is {type(value).__name__}, not str; give the id as a notice told it")


def _check_mapping(name: str, value: object, *, optional: bool = False) -> None:
    if not (isinstance(value, Mapping) or (optional and value is None)):
        raise LocalProtocolError(f"{name}: is {type(value).__name__}, not a mapping of option names to values")


def _holds_image(item: Mapping[str, object]) -> bool:
    content = item.get("content")
    return isinstance(content, list | tuple) and any(
        isinstance(part, Mapping) and part.get("type") == "input_image" for part in content
    )


def _as_text(output: object) -> str:
    """A str as it is, anything else as JSON, once (F076)."""
    checked = plain("output", output)
    return output if isinstance(output, str) else encode(checked).decode()
