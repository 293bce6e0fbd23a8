"""A strict realtime server that does no IO: client messages and time in, server messages out, and a record for an auditor.

It checks every client event against the protocol's facts and against the conversation, and refuses what the real server
refuses. It speaks real speech faster than real time, in several messages, with function calls and transcripts that run
ahead, and it detects turns in the audio it is given. Where nobody knows what the real server does, the seed draws an answer
(``Server.rules``). One ``Server`` is one connection's session; equal seeds, options and inputs give equal bytes.

    server = Server(seed=7, voices=synthetic_voices(1))
    for payload in server.connect(now=0.0): ...
    for payload in server.receive(b'{"type":"response.create"}', now=0.1): ...
    while server.deadline is not None:
        for payload in server.tick(now=server.deadline): ...
"""

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, Literal

from msgspec import DecodeError, Struct
from msgspec.json import Decoder, decode, encode

from rtcore.sim import _server_edits as edits
from rtcore.sim._rng import Rng
from rtcore.sim._server_call import Call as Call
from rtcore.sim._server_checks import Fault
from rtcore.sim._server_dialects import DialectName as DialectName
from rtcore.sim._server_draws import calm_options
from rtcore.sim._server_events import check_event
from rtcore.sim._server_flow import Flow
from rtcore.sim._server_plan import Addressed as Addressed
from rtcore.sim._server_plan import CallManner as CallManner
from rtcore.sim._server_plan import CallPlan as CallPlan
from rtcore.sim._server_plan import MessagePlan as MessagePlan
from rtcore.sim._server_plan import PartPlan as PartPlan
from rtcore.sim._server_plan import ResponsePlan as ResponsePlan
from rtcore.sim._server_plan import Rules as Rules
from rtcore.sim._server_plan import ServerOptions as ServerOptions
from rtcore.sim._server_plan import Stall as Stall
from rtcore.sim._server_plan import draw_rules
from rtcore.sim._server_plan import spoken as spoken
from rtcore.sim._server_speech import Bank, bank
from rtcore.sim._server_state import State
from rtcore.sim._server_truth import LogEntry as LogEntry
from rtcore.sim._server_truth import Refusal as Refusal
from rtcore.sim._server_truth import ServerItem as ServerItem
from rtcore.sim._server_truth import ServerPart as ServerPart
from rtcore.sim._server_truth import ServerResponse as ServerResponse
from rtcore.sim._server_truth import Truncation as Truncation
from rtcore.sim._server_wire import Json
from rtcore.sim.voices import Voice

_APPEND_HEAD = b'{"type":"input_audio_buffer.append"'


class _Append(Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["input_audio_buffer.append"]
    audio: bytes
    event_id: str | None = None


_append_decoder = Decoder(_Append)
_LONGEST_APPEND = 15 << 20
# Of what could not be parsed, this much is kept for the record.
_REMEMBERED = 1000
_DEFAULTS = ServerOptions()


class Server:
    """One session of a strict realtime server.

    ``seed`` draws everything that is not scripted. ``voices`` is what it says: at least one; together they must be at least half
    as long again as the longest message. Raises ValueError where they are not, or where the script names an unknown voice.
    """

    def __init__(self, *, seed: int, voices: Sequence[Voice], options: ServerOptions = _DEFAULTS) -> None:
        rng = Rng(seed)
        self.options = options
        # Drawn in any case, so that writing a world's rules down shifts no other draw.
        drawn = draw_rules(rng.fork("rules"), harsh=options.harsh, held_short_ms=options.held_short_ms)
        self.rules = options.rules or drawn
        """This server's answers to what the facts leave open."""
        speech = bank(voices)
        _check_lengths(options, speech)
        self._state = State(speech, options, self.rules, rng.fork("session"))
        self._flow = Flow(self._state)
        self._connected = False
        self._expires = 0.0
        self.closing: tuple[int, str] | None = None
        """The websocket close code and reason with which the server hangs up now, or None (at the end of the session's life, or
        because its address names a model beside ``intent=transcription``)."""

    # -- inputs ---------------------------------------------------------------------------------------------------------------

    def connect(self, *, now: float) -> list[bytes]:
        """The connection is up; gives what the server says first. Once per server: RuntimeError the second time."""
        if self._connected:
            raise RuntimeError("this server is connected already; a second connection needs a Server of its own")
        self._connected = True
        state = self._state
        state.now = now
        self._expires = now + self.options.session_s
        state.expires_at = self.options.epoch_s + int(self._expires)
        state.listens = self.options.address == "transcription"
        state.session_event("session.created")
        if state.wire.preview:
            state.saw("preview dialect")
        if state.wire.manner.greets:
            state.emit(state.wire.manner.greets, timestamp=0)
        if state.wire.manner.says_conversation:
            state.emit("conversation.created", conversation={"id": state.conversation_id, "object": "realtime.conversation"})
        return self._taken()

    def receive(self, payload: bytes, *, now: float) -> list[bytes]:
        """One client message, as bytes; gives what is due by ``now``, then the answer. No bytes make it raise."""
        if not self._advance(now):
            return self._taken()
        self._take(payload)
        self._flow.advance()
        return self._taken()

    def tick(self, *, now: float) -> list[bytes]:
        """Time passed; gives what is due by ``now``. Early, late and repeated ticks are fine."""
        self._advance(now)
        return self._taken()

    def user_speech(self, event: Literal["started", "stopped"], *, now: float) -> list[bytes]:
        """What its turn detection would have found now, without audio; "stopped" means that the silence has already passed.

        Nothing happens under manual turns, or where it repeats what is known. Speech started so ends only so, whatever the audio
        says.
        """
        if self._advance(now):
            self._flow.user_speech(event)
            self._flow.advance()
        return self._taken()

    def say_next(self, said: str) -> None:
        """The words of the user's next turn, in the place of those that are drawn."""
        self._flow.said = said

    def press(self, key: str, *, now: float) -> list[bytes]:
        """The caller presses a key of the telephone, as on a SIP call; the one event without an id (protocol facts, 1.10)."""
        if self._advance(now):
            at = self.options.epoch_s + int(now)
            self._state.out.append(encode({"type": "input_audio_buffer.dtmf_event_received", "event": key, "received_at": at}))
        return self._taken()

    @property
    def deadline(self) -> float | None:
        """When to tick next (``now`` seconds), or None before the connection and after its end."""
        if not self._connected or self.closing is not None:
            return None
        due = self._flow.deadline
        return self._expires if due is None else min(due, self._expires)

    def calm(self) -> None:
        """No faults from now on: what is planned from here speaks, completes, and comes in order. What is under way may finish
        as it was planned, and the answers of ``rules`` stay; scripted responses lose their faults too."""
        self._state.calm_down(calm_options(self._state.options))

    # -- ground truth ---------------------------------------------------------------------------------------------------------

    @property
    def items(self) -> Mapping[str, ServerItem]:
        """Every item ever, by id, deleted and out-of-band ones included, in the order of their announcement."""
        return self._state.items

    @property
    def conversation(self) -> tuple[str, ...]:
        """The ids of the conversation's items as it stands now, in order."""
        return tuple(self._state.order)

    @property
    def responses(self) -> Mapping[str, ServerResponse]:
        """Every response ever, by id."""
        return self._state.responses

    @property
    def refusals(self) -> Sequence[Refusal]:
        """Every error event sent, in order."""
        return self._state.refusals

    @property
    def plans(self) -> Sequence[ResponsePlan]:
        """The plan of every response of the conversation, in the order in which they were accepted. As another server's
        ``ServerOptions.script``, with the same seed, options and inputs, it gives the same bytes."""
        return self._flow.plans

    @property
    def happened(self) -> Mapping[str, int]:
        """The faults that happened on the wire, by their names in the catalogue (``"server: late deltas"``), with how often:
        once per response, item or event that showed it."""
        return self._state.happened

    @property
    def malformed(self) -> Set[bytes]:
        """Every malformed frame it sent; none of them means anything (``ServerOptions.malformed_per_mille``)."""
        return self._state.malformed

    @property
    def untold(self) -> Set[str]:
        """The responses that have ended and of whose end the client is never told (``ServerOptions.no_done_per_mille``)."""
        return self._state.untold

    @property
    def log(self) -> Sequence[LogEntry]:
        """What passed in both directions, where ``ServerOptions.log`` asked for it; otherwise empty."""
        return self._state.log or ()

    @property
    def session(self) -> Mapping[str, Any]:
        """The session in force, in GA form."""
        return self._state.session

    @property
    def active_response(self) -> str | None:
        """The id of the response that holds the conversation's slot (the latest, where two run), or None."""
        return self._flow.running[-1].response.id if self._flow.running else None

    @property
    def call(self) -> Call | None:
        """The line on which it sounds its audio itself, where the session belongs to a call."""
        return self._flow.call

    # -- inside ---------------------------------------------------------------------------------------------------------------

    def _advance(self, now: float) -> bool:
        """Do what is due by now; tells whether the session still lives."""
        if not self._connected:
            raise RuntimeError("connect() comes first")
        state = self._state
        state.now = max(state.now, now)
        if self.closing is not None:
            return False
        if state.now < self._expires:
            self._flow.advance()
            return True
        minutes = self.options.session_s // 60 if self.options.limit_minutes is None else self.options.limit_minutes
        message = f"Your session hit the maximum duration of {minutes} minutes."
        state.saw("session end")
        if self.rules.expiry != "close frame":
            state.refuse(Fault("session_expired", None, message))
        self.closing = (1001, message)
        return False

    def _taken(self) -> list[bytes]:
        out, self._state.out = self._state.out, []
        return out

    def _take(self, payload: bytes) -> None:
        # Microphone audio is most of what comes: it has a decoder of its own, and anything odd about it takes the long way.
        if payload.startswith(_APPEND_HEAD) and len(payload) < _LONGEST_APPEND:
            try:
                append = _append_decoder.decode(payload)
            except (DecodeError, ValueError):
                pass
            else:
                if append.event_id is None or len(append.event_id) <= 512:
                    self._note(append.type, {})
                    self._flow.hear(append.audio)
                    return
        try:
            event = decode(payload)
        except (DecodeError, ValueError, RecursionError) as error:
            message = f"The message could not be parsed as JSON: {error}"
            self._state.refuse(Fault("invalid_json", None, message), payload[:_REMEMBERED])
            return
        fault = check_event(self.options.dialect, event, on_a_call=self.options.call is not None)
        if fault is None:
            self._note(event["type"], event)
            fault = _HANDLERS[event["type"]](self, event)
        if fault is not None:
            self._state.refuse(fault, event)

    def _update(self, event: Json) -> Fault | None:
        fault = edits.update(self._state, event)
        if fault is not None and fault.code == edits.NO_MODEL:
            self.closing = (4000, f"invalid_request_error.{edits.NO_MODEL}")
        self._flow.session_changed()
        return fault

    def _note(self, kind: str, event: Json) -> None:
        if self._state.log is not None:
            self._state.log.append(LogEntry(self._state.now, "in", kind, event.get("response_id"), event.get("item_id")))


def _check_lengths(options: ServerOptions, speech: Bank) -> None:
    longest = options.audio_ms[1]
    for plan in options.script:
        for message in plan.output:
            for part in message.parts if isinstance(message, MessagePlan) else ():
                if part.kind == "audio":
                    longest = max(longest, part.audio_ms)
                    if part.voice is not None:
                        speech.start_of(part.voice)
    if longest * 36 > speech.samples:
        raise ValueError(
            f"messages of {longest} ms need voices of at least {longest * 3 // 2} ms together; "
            f"these have {speech.samples // 24} ms: give more voices, or lower ServerOptions.audio_ms or the script's lengths"
        )


_Handler = Callable[[Server, Json], Fault | None]
_HANDLERS: dict[str, _Handler] = {
    "session.update": lambda server, event: server._update(event),
    "transcription_session.update": lambda server, event: server._update(event),
    "input_audio_buffer.append": lambda server, event: server._flow.append(event),
    "input_image_buffer.append": lambda server, event: server._flow.append_image(event),
    "input_audio_buffer.commit": lambda server, event: server._flow.commit(event),
    "input_audio_buffer.clear": lambda server, event: server._flow.clear(event),
    "conversation.item.create": lambda server, event: edits.create(server._state, event),
    "conversation.item.truncate": lambda server, event: edits.truncate(server._state, event),
    "conversation.item.delete": lambda server, event: edits.delete(server._state, event),
    "conversation.item.retrieve": lambda server, event: edits.retrieve(server._state, event),
    "response.create": lambda server, event: server._flow.create(event),
    "response.cancel": lambda server, event: server._flow.cancel(event),
    "output_audio_buffer.clear": lambda server, event: server._flow.clear_playout(event),
}
