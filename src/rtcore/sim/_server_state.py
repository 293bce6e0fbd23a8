"""The conversation as the server holds it, and the one place from which events leave.

Requests, responses and turns change it through these methods alone; nothing here decides when something happens.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from msgspec.json import encode

from rtcore.sim._rng import Rng
from rtcore.sim._server_checks import Fault
from rtcore.sim._server_noise import Noise
from rtcore.sim._server_plan import Rules, ServerOptions
from rtcore.sim._server_speech import Bank
from rtcore.sim._server_truth import LogEntry, Refusal, ServerItem, ServerPart, ServerResponse
from rtcore.sim._server_wire import Json, Wire, default_session, merge_session, shown_session

_DIGITS = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjklmnpqrstuvwxyz"
# Faults whose errors often do not name the client event (protocol facts, 6).
_UNNAMED = ("conversation_already_has_active_response", "item_create_duplicate_item_id")
# What older servers answered without a code (protocol facts, 6.1).
_CODELESS = (
    "conversation_already_has_active_response",
    "input_audio_buffer_commit_empty",
    "unsupported_content_type",
    "response_cancel_not_active",  # only other vendors' servers send their own code or none (C14)
)


class Sounding(Protocol):
    """What the others tell the line of a call (``_server_call``)."""

    def generated(self, response: ServerResponse, item: ServerItem, part: ServerPart, size: int) -> None:
        """So many bytes more of a part."""

    def ended(self, response: ServerResponse) -> None:
        """A response is done."""

    def clear(self, *, asked: bool) -> None:
        """Silence."""


class State:
    """Everything that one connection's session knows."""

    def __init__(self, bank: Bank, options: ServerOptions, rules: Rules, rng: Rng) -> None:
        self.options = options
        self.calm = False
        self.happened: dict[str, int] = {}
        self.rules = rules
        self.rng = rng
        self.bank = bank
        self.wire = Wire(options.dialect)
        noise = Noise(rng.fork("noise"), options, self.wire)
        self.malformed = noise.malformed
        noisy = options.duplicate_per_mille or options.unknown_per_mille or options.malformed_per_mille
        self.noise: Noise | None = noise if noisy else None
        self._rejections = rng.fork("rejections")
        self.session: Json = default_session(self.wire, rules)
        self.now = 0.0
        self.out: list[bytes] = []
        self.items: dict[str, ServerItem] = {}
        self.order: dict[str, None] = {}
        self._held_calls: dict[tuple[str, str | None], int] = {}  # items in the conversation, by type and call
        self.unannounced: dict[str, ServerItem] = {}
        """Items being generated, or generated, that have no place in the conversation yet."""
        self._places: dict[str, str | None] = {}
        """Behind what each of those began, where it keeps its place."""
        self._gone: dict[str, str | None] = {}
        """Behind what an item stood that was deleted while one of those kept its place."""
        self.responses: dict[str, ServerResponse] = {}
        self.refusals: list[Refusal] = []
        self.untold: set[str] = set()
        """Responses that have ended without a ``response.done``."""
        self.log: list[LogEntry] | None = [] if options.log else None
        self.calls: dict[str, str] = {}
        self.used_starts: set[bytes] = set()
        self.later: Callable[[float, Callable[[], None]], None] = _nobody
        """Does something so many seconds from now; the flow sets it."""
        self.spoke = False
        self.listed: set[str] = set()
        """Remote servers that were asked for their tools."""
        self.call: Sounding | None = None
        """The line on which the server sounds its audio, on a call; the flow sets it."""
        self.listens = False
        """Whether this is a transcription session, which never answers (protocol facts, 12.1)."""
        self.generating = 0
        """Responses of the conversation that have begun and are not done."""
        self.text_out = 0
        self._tag = "".join(rng.choice(_DIGITS) for _ in range(9))
        self.count = 0
        """How many ids were given; the next event's id is ``event_stem`` and the next number, in seven hexadecimal digits."""
        self._things = 0
        """How many things got an id, where events are numbered apart."""
        self.event_stem = f"event_{self._tag}".encode()
        self.plain = self.noise is None and self.log is None
        """Whether an event that is already JSON needs nothing but to be sent (``emit_raw`` otherwise)."""
        self._announced = 0
        self.session_id = self.new_id("sess")
        self.conversation_id = self.new_id("conv")
        self.expires_at = 0

    def saw(self, fault: str) -> None:
        """A fault of the catalogue happened on the wire."""
        name = f"server: {fault}"
        self.happened[name] = self.happened.get(name, 0) + 1

    # -- sending --------------------------------------------------------------------------------------------------------------

    def new_id(self, prefix: str) -> str:
        """An id that nobody else has; 32 characters at most."""
        if self.options.numbered_apart and prefix != "event":
            self._things += 1
            return f"{prefix}_{self._tag}{self._things:07x}"
        self.count += 1
        return f"{prefix}_{self._tag}{self.count:07x}"

    def emit(self, kind: str, **fields: object) -> None:
        """Put one server event on the wire; ``kind`` is its GA name."""
        name = self.wire.name(kind)
        payload = encode({"type": name, "event_id": self.new_id("event"), **fields})
        if self.noise is not None:
            self._put(payload, kind, fields if "content_index" in fields and "response_id" in fields else None)
        else:
            self.out.append(payload)
        if self.log is not None:
            self.log.append(LogEntry(self.now, "out", name, *_named(fields)))

    def _put(self, payload: bytes, kind: str, fields: Mapping[str, object] | None) -> None:
        assert self.noise is not None
        ids = (
            None if fields is None else {key: fields[key] for key in ("response_id", "output_index", "item_id", "content_index")}
        )
        out, faults = self.noise.around(payload, kind, ids)
        self.out += out
        for fault in faults:
            self.saw(fault)

    def emit_raw(self, payload: bytes, kind: str, ids: Json) -> None:
        """Put one event of a part on the wire that is already JSON."""
        if self.noise is not None:
            self._put(payload, kind, ids)
        else:
            self.out.append(payload)
        if self.log is not None:
            self.log.append(LogEntry(self.now, "out", self.wire.name(kind), ids["response_id"], ids["item_id"]))

    def rejection(self) -> Fault | None:
        """Whether a valid creation is refused for no fault of its own, and how."""
        if not self._rejections.chance(self.options.reject_per_mille):
            return None
        self.saw("rejection")
        if self._rejections.chance(500):
            message = "Rate limit reached for this session. Please try again later."
            return Fault("rate_limit_exceeded", None, message, "rate_limit_error", injected=True)
        message = "The server had an error while processing your request."
        return Fault("server_error", None, message, "server_error", injected=True)

    def calm_down(self, options: ServerOptions) -> None:
        """Go on with these options, without noise."""
        self.calm = True
        self.options = options
        self.noise = None
        self.plain = self.log is None

    def refuse(self, fault: Fault, event: Any = None) -> None:
        """Answer a client event (or, with None, the server's own attempt) with an error."""
        sent = event.get("event_id") if isinstance(event, dict) else None
        rule = self.rules.error_event_id
        named = rule == "always" or (rule == "usual" and fault.code not in _UNNAMED)
        echo = sent if named and isinstance(sent, str) else None
        if isinstance(sent, str) and echo is None:
            self.saw("error without event_id")
        code = fault.code
        if self.rules.codes == "old" and (code in _CODELESS or fault.message.startswith("Audio content of")):
            code = None
        if fault.code == "session_expired" and self.rules.expiry == "codeless error":
            code = None
        error = {"type": fault.type, "code": code, "message": fault.message, "param": fault.param, "event_id": echo}
        self.refusals.append(Refusal(self.now, fault.type, code, fault.message, fault.param, echo, event, fault.injected))
        self.emit("error", error=error)

    # -- the session ----------------------------------------------------------------------------------------------------------

    def session_event(self, kind: Literal["session.created", "session.updated"]) -> None:
        """Tell the client the whole effective session."""
        told = shown_session(self.session, self.rules)
        if self.listens:
            session = self.wire.listening(told, identity=self.session_id, expires_at=self.expires_at)
            self.emit(f"transcription_{kind}" if self.wire.preview else kind, session=session)
            return
        session = self.wire.session(told, identity=self.session_id, model=self.options.model, expires_at=self.expires_at)
        self.emit(kind, session=session)

    def merged(self, sent: Json) -> Json:
        """What the session would become by this update (already GA)."""
        return merge_session(self.session, sent, self.wire, self.rules)

    @property
    def turn_detection(self) -> Mapping[str, Any] | None:
        """The turn detection in force, or None for manual turns."""
        detection: Mapping[str, Any] | None = self.session["audio"]["input"]["turn_detection"]
        return detection

    # -- items ----------------------------------------------------------------------------------------------------------------

    def add(self, item: ServerItem, after: str | None = None, *, first: bool = False) -> None:
        """Give an item its place: at the end, after ``after``, or first. Out-of-band items get a record and no place."""
        item.order = self._announced
        self._announced += 1
        self.items[item.id] = item
        if item.out_of_band:
            return
        self._held_calls[item.type, item.call_id] = self._held_calls.get((item.type, item.call_id), 0) + 1
        if first or (after is not None and after != self.last_item()):
            places = list(self.order)
            places.insert(0 if first else places.index(after or "") + 1, item.id)
            self.order = dict.fromkeys(places)
            item.previous_item_id = None if first else after
        else:
            item.previous_item_id = self.last_item()
            self.order[item.id] = None

    def has_call(self, type: str, call_id: str | None) -> bool:
        """Whether an item of this type with this call is in the conversation now."""
        return self._held_calls.get((type, call_id), 0) > 0

    def last_item(self) -> str | None:
        """The conversation's last item."""
        return next(reversed(self.order), None)

    def present(self, item_id: str) -> ServerItem | None:
        """An item that is in the conversation now."""
        return self.items[item_id] if item_id in self.order else None

    def delete(self, item: ServerItem) -> None:
        """Take an item out of the conversation; its record stays."""
        if self._places:
            places = list(self.order)
            at = places.index(item.id)
            self._gone[item.id] = places[at - 1] if at else None
        del self.order[item.id]
        self._held_calls[item.type, item.call_id] -= 1
        item.deleted_at = self.now

    def announce(self, item: ServerItem) -> None:
        """Tell the client that an item entered the conversation."""
        if not item.out_of_band:
            self.emit("conversation.item.added", previous_item_id=item.previous_item_id, item=self.shape(item))

    def hold_back(self, item: ServerItem, *, for_ever: bool) -> None:
        """An item exists and is not announced yet, or never will be."""
        item.order, item.announced_at = -1, None
        # One at a time: of two that began behind the same item nobody could say which is first.
        if self.rules.late_place == "kept" and not for_ever and not self._places:
            self._places[item.id] = self.last_item()
        self.items[item.id] = self.unannounced[item.id] = item

    def announce_late(self, item: ServerItem) -> None:
        """It is now, and takes its place: at the end, or behind the item that was the last when it began, or where that was."""
        if self.unannounced.pop(item.id, None) is None:
            return
        item.announced_at = self.now
        if item.id in self._places:
            named = after = self._places.pop(item.id)
            while after in self._gone:
                after = self._gone[after]
            self._gone.clear()
            self.add(item, after, first=after is None)
            item.previous_item_id = named
        else:
            self.add(item)
        self.announce(item)
        self.saw("late announcement")
        if item.done_at is not None:
            self._tell_done(item)

    def finish(self, item: ServerItem, status: str) -> bool:
        """An item is final; tells whether the client was told by ``conversation.item.done`` (it is with a late announcement)."""
        item.status = status
        item.done_at = self.now
        return item.id not in self.unannounced and self._tell_done(item)

    def _tell_done(self, item: ServerItem) -> bool:
        whose = self.wire.manner.item_done
        silent = whose == "none" or (whose == "user" and item.role != "user")
        if item.type == "mcp_list_tools":
            silent = False  # what was found stands nowhere else (4.14)
        if item.out_of_band or item.deleted or silent:
            return False
        if item.origin == "response" and not self.rules.item_done:
            return False
        previous = item.previous_item_id if self.rules.done_predecessor else None
        self.emit("conversation.item.done", previous_item_id=previous, item=self.shape(item))
        return True

    def shape(self, item: ServerItem, *, audio: bool = False) -> Json:
        """An item as this dialect shows it; ``audio`` includes what the server holds of it."""
        shaped: Json = {"id": item.id, "type": item.type, "status": item.status}
        match item.type:
            case "message":
                shaped["role"] = item.role
                if item.phase is not None:
                    shaped["phase"] = item.phase
                shaped["content"] = [part_shape(part, audio=audio) for part in item.parts] if item.parts else item.content
            case "function_call":
                shaped |= {"call_id": item.call_id, "name": item.name, "arguments": item.arguments}
            case "function_call_output":
                shaped |= {"call_id": item.call_id, "output": item.output}
            case "mcp_call" | "mcp_approval_request" if item.server_label:
                del shaped["status"]
                shaped |= {"server_label": item.server_label, "name": item.name, "arguments": item.arguments}
                shaped |= item.output or {}
            case _:
                shaped |= item.output
        return self.wire.item(shaped)


def _nobody(after_s: float, step: Callable[[], None]) -> None:
    raise RuntimeError("nothing keeps the time of this state")


def part_shape(part: ServerPart, *, audio: bool = False) -> Json:
    """A generated part as it appears inside its item, in GA."""
    if part.kind == "text":
        return {"type": "output_text", "text": part.sent_text}
    shaped: Json = {"type": "output_audio", "transcript": None if part.truncations else part.sent_text}
    if audio:
        shaped["audio"] = encode(part.audio[: part.held_samples * part.format.sample_width])[1:-1].decode()
    return shaped


def _named(fields: Mapping[str, object]) -> tuple[str | None, str | None]:
    response, item = fields.get("response"), fields.get("item")
    return _text(fields.get("response_id") or (response.get("id") if isinstance(response, dict) else None)), _text(
        fields.get("item_id") or (item.get("id") if isinstance(item, dict) else None)
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
