"""A session under broken messages, with a clock and a server that still do their part; and exchanges that must be understood.

After each broken message one of four exchanges follows, with ids that nothing broken can name: an answer is heard, a person's
turn is taken, a function is called, an option is changed. What must come of each comes at once, or where it may wait for
something, when the core's own deadlines have passed: late is not lost.
"""

from base64 import b64encode
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
from helpers import wire

from rtcore import (
    Config,
    Connect,
    Drain,
    Effect,
    Flush,
    Issued,
    ItemAdded,
    LocalProtocolError,
    MessageEnded,
    Notice,
    Pause,
    Play,
    RequestEnded,
    ResponseEnded,
    ResponseStarted,
    Resume,
    Send,
    Session,
    SessionClosed,
    ToolCalled,
    UserSpeechStarted,
    UserTranscript,
    UserTurnCommitted,
    Verdict,
)
from rtcore.sim._audit_memory import BOUNDED
from rtcore.sim.footprint import footprint

_READY = msgspec.json.encode(wire.session_updated()[0])
_CREATED = msgspec.json.encode(wire.session_created()[0])
_ENDING = ("error", "session.", "transcription_session.")
"""Types of the messages that may end a session: a fatal error, an unknown audio format."""
_PATIENT = ("renewal of the session",)
"""What a session at rest waits for."""
_DEADLINES = 400
_PATIENCE_S = 300.0
_PER_RESPONSE = 40
"""Entries that a response may cost that a broken server never ends."""

_SOUND, _WIRE = (Play, Flush, Pause, Resume, Drain), 1


class _Type(msgspec.Struct):
    type: Any = None


class _Item(msgspec.Struct):
    id: str = ""


class _Sent(msgspec.Struct):
    type: str
    event_id: str = ""
    item_id: str = ""
    content_index: int = 0
    audio_end_ms: int = 0
    item: _Item | None = None
    response: dict[str, Any] | None = None
    response_id: str = ""


_read_type = msgspec.json.Decoder(_Type)
_read_sent = msgspec.json.Decoder(_Sent)


class Talk:
    """A session, its clock, and the half of a server that answers."""

    def __init__(self, config: Config, random: Random) -> None:
        self.session = Session(config, seed=int(random.random() * 1000))
        self.now = 100.0
        self.open = True
        self.renewed = False
        self._random = random
        self._answers = random.random() < 0.8
        self._exact = config.context == "exact"
        self._number = 0
        self._handed: dict[int, int] = {}
        self._heard: dict[int, int] = {}
        self._flushed = 0
        self._recent: list[Effect] = []
        self._owed: list[bytes] = []
        self._requests: set[int] = set()
        self._acknowledged = False
        self._last = b""

    def ended(self) -> bool:
        """Whether the session is over."""
        return not self.open

    # -- what happens ----------------------------------------------------------------------------------------------------

    def begin(self, early: Callable[[], None]) -> None:
        """Connect; ``early`` happens before the session is acknowledged."""
        self._took(self.session.open(now=self.now))
        self._took(self.session.connected(1, now=self.now))
        self.server(_CREATED)
        early()
        self.server(_READY)
        assert not self.open or self.session.state == "ready", f"an acknowledged session is {self.session.state}"
        self._acknowledged = True

    def server(self, message: bytes) -> None:
        """One message of the server, some milliseconds later."""
        if self.open:
            self.now += 0.005
            self._last = message
            self._took(self.session.receive(1, message, now=self.now))

    def command(self) -> None:
        """One command of the program, whatever becomes of it."""
        if not self.open:
            return
        session, now = self.session, self.now
        try:
            match int(self._random.random() * 8):
                case 0 | 1:
                    self._issued(session.send_text("Well?", now=now))
                case 2:
                    self._issued(session.respond(now=now))
                case 3:
                    self._issued(session.respond({"conversation": "none"}, now=now))
                case 4:
                    self._took(session.interrupt(now=now))
                case 5:
                    self._took(session.append_audio(bytes(6400), now=now))
                    self._issued(session.commit(now=now))
                case 6:
                    self._took(session.speech("started" if self._random.random() < 0.5 else "stopped", now=now))
                case _:
                    self._issued(session.create_item(_NOTE, now=now))
        except LocalProtocolError:
            pass  # a dialect without it, or a session that only listens

    def _issued(self, issued: Issued) -> None:
        self._requests.add(issued.request)
        self._took(issued.effects)

    def _took(self, effects: list[Effect]) -> None:
        """Carry the effects out, and answer what asks for an answer."""
        rank = 0
        flushes = []
        for effect in effects:
            assert self.open or self.renewed, f"after SessionClosed came {effect}"
            self._recent.append(effect)
            kind = 2 if isinstance(effect, Notice) else 0 if isinstance(effect, _SOUND) else 1
            assert kind >= rank, f"sound, wire, news is the order, not {effects}"
            rank = kind
            match effect:
                case Play(pcm, form, generation):
                    assert generation > self._flushed, "something of a flushed generation is handed over"
                    self._handed[generation] = self._handed.get(generation, 0) + len(pcm) // form.sample_width
                case Flush(generation):
                    flushes.append(generation)
                case Send(payload=payload) if self._answers:
                    self._owed += _answers(_read_sent.decode(payload))
                case RequestEnded(request):
                    assert request in self._requests or request == self.session_request, f"request {request} ended twice"
                    self._requests.discard(request)
                case SessionClosed():
                    self._closed(effect)
                case Connect(connection) if connection > 1:
                    self._renewed()
                case _:
                    pass
        for generation in flushes:
            self._flushed = generation
            heard = self._heard.get(generation, 0)
            count = heard + int(self._random.random() * (self._handed.get(generation, 0) - heard + 1))
            if self.open:
                self._took(self.session.flushed(generation, count, now=self.now))

    session_request = -1

    def _closed(self, closed: SessionClosed) -> None:
        self.open = False
        assert closed.problem is not None, f"ended without a reason: {closed}"
        if closed.reason == "not_acknowledged":
            assert not self._acknowledged, f"a session that was acknowledged ended: {closed}"
            return
        kind = _read_type.decode(self._last).type
        assert isinstance(kind, str) and kind.startswith(_ENDING), f"a message of type {kind!r} ended the session: {closed}"

    def _renewed(self) -> None:
        """The session goes on over a new line, because the server said that the old one is over: that ends the round."""
        kind = _read_type.decode(self._last).type
        assert kind == "error", f"a message of type {kind!r} ended the connection"
        self.open = False
        self.renewed = True

    def _report(self) -> None:
        """The clock has sounded all that it was given."""
        for generation, handed in list(self._handed.items()):
            if generation <= self._flushed or handed > self._heard.get(generation, 0):
                del self._handed[generation]
                self._heard.pop(generation, None)
            if generation > self._flushed and self.open:
                self._handed[generation] = self._heard[generation] = handed
                self._took(self.session.played(generation, handed, now=self.now))

    def _settle(self, enough: Callable[[], object]) -> None:
        """Let deadlines pass, as an adapter does, until it is enough."""
        until = self.now + _PATIENCE_S
        for _ in range(_DEADLINES):
            self._pay()
            self._report()
            due = self.session.deadline
            if not self.open or enough() or due is None or due.at > until:
                return
            self.now = max(self.now, due.at)
            self._took(self.session.tick(now=self.now))
        raise AssertionError(f"it never comes to rest: {self.session.deadline}")

    def _pay(self) -> None:
        """The server's answers to what the core has sent."""
        while self._owed and self.open:
            self.server(self._owed.pop(0))

    # -- what must be understood -----------------------------------------------------------------------------------------

    def exchange(self) -> None:
        """One exchange that is known to be good."""
        self._number += 1
        self._report()
        self._pay()
        core = self.session._core
        if self._exact:
            # What the server creates before our edits are settled would rightly be taken back.
            self._settle(lambda: not core.interruption.editing)
        if core.barge_in.pending:
            # Speech of which it is still open what it is would rightly cut what sounds.
            self._settle(lambda: not core.barge_in.pending)
        self._recent.clear()
        if not self.open:
            return
        n = self._number
        match n % 8:
            case 0:
                self._turn(n)
            case 2:
                self._called(n)
            case 4:
                self._changed(n)
            case _:
                self._answered(n)

    def _answered(self, n: int) -> None:
        """An answer is generated, and heard to its end."""
        pcm = n.to_bytes(8, "big") * 3
        remote = self.session.capabilities.playout == "server"
        for message in _ANSWER + _SOUNDED * remote:
            self.server(message.replace(b"#", b"%d" % n).replace(b"$", b64encode(pcm)))
        item = f"item_good_{n}"

        def heard() -> bool:
            return any(
                isinstance(e, MessageEnded) and e.item_id == item and e.verdict is Verdict.FULL and e.text == f"Good {n}."
                for e in self._recent
            )

        self._report()
        if not heard():
            self._settle(heard)
        if self.open:
            assert heard(), f"the message {item} was not heard: {self._recent}"
            self._must(ResponseStarted, "response_id", f"resp_good_{n}")
            self._must(ResponseEnded, "response_id", f"resp_good_{n}")
            sounded = b"".join(bytes(effect.pcm) for effect in self._recent if isinstance(effect, Play))
            assert remote or pcm in sounded, f"the sound of {item} was not handed over: {self._recent}"

    def _turn(self, n: int) -> None:
        """A person speaks, and it is written down."""
        for message in _TURN:
            self.server(message.replace(b"#", b"%d" % n))
        if self.open:
            for kind in (UserSpeechStarted, UserTurnCommitted, ItemAdded, UserTranscript):
                self._must(kind, "item_id", f"item_good_{n}")
        self._pay()

    def _called(self, n: int) -> None:
        """The model calls a function, and gets its output."""
        for message in _CALL:
            self.server(message.replace(b"#", b"%d" % n))
        if not self.open:
            return
        self._must(ToolCalled, "call_id", f"call_good_{n}")
        if self.session.capabilities.create:
            self._recent.clear()
            self._issued(self.session.tool_result(f"call_good_{n}", "done", now=self.now))
            told = [bytes(effect.payload) for effect in self._recent if isinstance(effect, Send)]
            assert any(b"function_call_output" in each and b"call_good_%d" % n in each for each in told), (
                f"the output did not leave: {self._recent}"
            )
        self._pay()

    def _changed(self, n: int) -> None:
        """An option is changed, and the server says so."""
        issued = self.session.update({"instructions": f"Good {n}."}, now=self.now)
        self._issued(issued)
        self.server(_READY)
        if self.open:
            self._must(RequestEnded, "request", issued.request)

    def _must(self, kind: type[Any], field: str, value: object) -> None:
        assert any(isinstance(effect, kind) and getattr(effect, field) == value for effect in self._recent), (
            f"no {kind.__name__} of {value!r} among {self._recent}"
        )

    # -- at the end ------------------------------------------------------------------------------------------------------

    def end(self, *, long: bool) -> None:
        """Everything comes to rest, adds up, and is let go."""
        if self.open:
            self._settle(lambda: False)
        if self.open:
            due = self.session.deadline
            assert due is None or due.why in _PATIENT, f"it waits for ever: {due}"
            for view in self.session.segments:
                assert view.heard + view.discarded + view.queued == view.received, view
            if long:
                self._check_memory()
        if self.session.state != "closed":
            effects = self.session.close(now=self.now)
            assert isinstance(effects[-1], SessionClosed), effects
            for effect in effects:
                if isinstance(effect, RequestEnded):
                    self._requests.discard(effect.request)
        assert not self._requests, f"requests {self._requests} never ended"

    def _check_memory(self) -> None:
        core = self.session._core
        found = footprint(core)
        for place, most in BOUNDED.items():
            assert found.entries.get(place, 0) <= most, f"{place} holds {found.entries[place]} entries, {most} at most"


_NOTE = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "It is night."}]}

_ANSWER = (
    b'{"type":"response.created","response":{"id":"resp_good_#","status":"in_progress","conversation_id":"conv","metadata":{}}}',
    b'{"type":"response.output_item.added","response_id":"resp_good_#","output_index":0,"item":{"id":"item_good_#",'
    b'"type":"message","role":"assistant","status":"in_progress","content":[]}}',
    b'{"type":"conversation.item.added","item":{"id":"item_good_#","type":"message","role":"assistant","content":[]}}',
    b'{"type":"response.output_audio.delta","response_id":"resp_good_#","item_id":"item_good_#","content_index":0,"delta":"$"}',
    b'{"type":"response.output_audio_transcript.done","response_id":"resp_good_#","item_id":"item_good_#","content_index":0,'
    b'"transcript":"Good #."}',
    b'{"type":"response.output_item.done","response_id":"resp_good_#","output_index":0,"item":{"id":"item_good_#",'
    b'"type":"message","role":"assistant","status":"completed","content":[{"type":"output_audio","transcript":"Good #."}]}}',
    b'{"type":"response.done","response":{"id":"resp_good_#","status":"completed","conversation_id":"conv","metadata":{}}}',
)
_SOUNDED = (
    b'{"type":"output_audio_buffer.started","response_id":"resp_good_#"}',
    b'{"type":"output_audio_buffer.stopped","response_id":"resp_good_#"}',
)
"""On a call the server sounds the audio, and says so."""
_TURN = (
    b'{"type":"input_audio_buffer.speech_started","item_id":"item_good_#","audio_start_ms":1}',
    b'{"type":"input_audio_buffer.speech_stopped","item_id":"item_good_#","audio_end_ms":2}',
    b'{"type":"input_audio_buffer.committed","item_id":"item_good_#"}',
    b'{"type":"conversation.item.added","item":{"id":"item_good_#","type":"message","role":"user","content":[]}}',
    b'{"type":"conversation.item.input_audio_transcription.completed","item_id":"item_good_#","content_index":0,'
    b'"transcript":"Good #."}',
)
_CALL = (
    b'{"type":"response.created","response":{"id":"resp_good_#","status":"in_progress","conversation_id":"conv","metadata":{}}}',
    b'{"type":"response.output_item.added","response_id":"resp_good_#","output_index":0,"item":{"id":"item_good_#",'
    b'"type":"function_call","call_id":"call_good_#","name":"look","arguments":""}}',
    b'{"type":"conversation.item.added","item":{"id":"item_good_#","type":"function_call","call_id":"call_good_#","name":"look"}}',
    b'{"type":"response.function_call_arguments.done","response_id":"resp_good_#","item_id":"item_good_#","output_index":0,'
    b'"call_id":"call_good_#","name":"look","arguments":"{}"}',
    b'{"type":"response.output_item.done","response_id":"resp_good_#","output_index":0,"item":{"id":"item_good_#",'
    b'"type":"function_call","call_id":"call_good_#","name":"look","arguments":"{}","status":"completed"}}',
    b'{"type":"response.done","response":{"id":"resp_good_#","status":"completed","conversation_id":"conv","metadata":{}}}',
)


def _answers(sent: _Sent) -> list[bytes]:
    """What a server says to a client event, as far as the session waits for it."""
    encode = msgspec.json.encode
    match sent.type:
        case "conversation.item.truncate":
            fields = {"item_id": sent.item_id, "content_index": sent.content_index, "audio_end_ms": sent.audio_end_ms}
            return [encode({"type": "conversation.item.truncated", **fields})]
        case "conversation.item.delete":
            return [encode({"type": "conversation.item.deleted", "item_id": sent.item_id})]
        case "conversation.item.create" if sent.item is not None:
            return [encode({"type": "conversation.item.added", "item": {"id": sent.item.id, "type": "message"}})]
        case "response.create" if sent.response is not None:
            made = {"id": f"resp_{sent.event_id}", "metadata": sent.response.get("metadata"), "status": "completed"}
            made["conversation_id"] = None if sent.response.get("conversation") == "none" else "conv"
            return [encode({"type": kind, "response": made}) for kind in ("response.created", "response.done")]
        case "response.cancel":
            made = {"id": sent.response_id, "status": "cancelled"}
            return [encode({"type": "response.done", "response": made})]
        case "input_audio_buffer.commit":
            return [encode({"type": "input_audio_buffer.committed", "item_id": f"item_{sent.event_id}"})]
        case _:
            return []
