"""What passed between a client and a server, as records with times: read leniently, in either dialect, never raising.

The tape decides nothing. It knows what the client had been told by when, because a client can be blamed only for what it could
know. Nothing here imports the core's reading of the protocol: a judge that shares it would share its mistakes.
"""

from typing import Any

from msgspec import DecodeError, Struct, ValidationError, convert, field
from msgspec.json import decode

from rtcore._formats import PCM16_24K, PCMA, PCMU, AudioFormat

Json = dict[str, Any]

_FORMATS = {
    "audio/pcm": PCM16_24K,
    "audio/pcmu": PCMU,
    "audio/pcma": PCMA,
    "pcm16": PCM16_24K,
    "g711_ulaw": PCMU,
    "g711_alaw": PCMA,
}
_RENAMED = ("response.audio", "response.text")


class Part(Struct, eq=False):
    """One content part of the model's: its audio as it reached the client."""

    item: "Item"
    index: int
    format: AudioFormat
    order: int
    """Among all parts, by first audio."""
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    """When, and how many bytes of it had come by then."""
    received: int = 0
    chunks: list[bytes] = field(default_factory=list)
    text: str = ""
    done_at: float | None = None
    positions: list[tuple[float, int]] = field(default_factory=list)
    """What the speaker reported: when, and how many samples of it had been heard."""
    heard_least: int = 0
    """Bytes that were audible for certain, where samples tell."""
    heard_most: int = 0
    """The same, with the silence behind them that nobody can attribute."""
    heard_until: float | None = None
    """When it sounded last."""
    heard_at: list[tuple[float, int]] = field(default_factory=list)
    """By when, how many bytes of it had sounded."""

    @property
    def ms(self) -> int:
        """Length of what the client received."""
        return self.format.ms(self.samples)

    @property
    def samples(self) -> int:
        """What the client received."""
        return self.received // self.format.sample_width

    def received_by(self, at: float) -> int:
        """Bytes that had reached the client."""
        known = 0
        for when, count in self.arrivals:
            if when > at:
                break
            known = count
        return known


class Truncate(Struct, frozen=True):
    """A truncate that the client sent, and how much of the item it had received by then (bytes)."""

    at: float
    event: "Sent"
    content_index: int
    audio_end_ms: int
    received: int


class Item(Struct, eq=False):
    """One item, as far as it was on the wire."""

    id: str
    type: str = ""
    role: str | None = None
    response: "Response | None" = None
    announced_at: float | None = None
    call_id: str | None = None
    name: str = ""
    call_done_at: float | None = None
    parts: dict[int, Part] = field(default_factory=dict)
    truncates: list[Truncate] = field(default_factory=list)
    deleted_at: float | None = None


class Response(Struct, eq=False):
    """One response, as far as it was on the wire."""

    id: str
    order: int
    seen_at: float
    out_of_band: bool = False
    done_at: float | None = None
    status: str = ""
    reason: str = ""
    items: list[Item] = field(default_factory=list)
    cancels: list[float] = field(default_factory=list)


class Sent(Struct, eq=False):
    """A client event that can be refused, and what was wrong with it."""

    at: float
    type: str
    event: Json
    findings: int = 0
    """How many findings name it."""
    active: str | None = None
    """Which response of the conversation was running, as far as the client could know."""
    refused: bool = False
    busy_since: float | None = None
    """Of a ``response.create``: since when the client could know that another response runs or was asked for."""


class Error(Struct, frozen=True):
    """An error event, and the client event that it answers, where that can be told."""

    at: float
    type: str
    code: str | None
    message: str
    cause: Sent | None


class Speech(Struct, frozen=True):
    """``speech_started`` as it reached the client; ``interrupts``: the session lets the server cut its response."""

    at: float
    interrupts: bool


class Tape:
    """The records of one connection."""

    def __init__(self, *, keep_audio: bool) -> None:
        self.keep_audio = keep_audio
        self.began: float | None = None
        self.now = 0.0
        self.client_messages = 0
        self.server_messages = 0
        self.responses: dict[str, Response] = {}
        self.items: dict[str, Item] = {}
        self.parts: list[Part] = []
        self.calls: dict[str, Item] = {}
        self.outputs: dict[str, list[Sent]] = {}
        self.speeches: list[Speech] = []
        self.sent: list[Sent] = []
        self.errors: list[Error] = []
        self.malformed: list[float] = []
        self.committed: list[float] = []
        self.creations: list[Sent] = []
        """``response.create`` of the conversation that has no answer yet."""
        self.format = PCM16_24K
        self.interrupts = True
        self.detects = True
        """The session finds turns by itself."""
        self.updated_at: float | None = None

    @property
    def active(self) -> Response | None:
        """The conversation's running response, as far as the client knows."""
        for response in reversed(self.responses.values()):
            if not response.out_of_band and response.done_at is None:
                return response
        return None

    def _time(self, now: float) -> None:
        self.now = max(self.now, now)
        if self.began is None:
            self.began = now

    # -- what the server says -------------------------------------------------------------------------------------------------

    def server(self, payload: bytes, now: float) -> None:
        """A server message, as it was handed to the client."""
        self._time(now)
        self.server_messages += 1
        event = _object(payload)
        if event is None:
            return
        kind = _renamed(_text(event.get("type")))
        response = self._response(event)
        match kind:
            case "session.created" | "session.updated":
                self._session(_dict(event.get("session")))
            case "input_audio_buffer.speech_started":
                self.speeches.append(Speech(self.now, self.detects and self.interrupts))
            case "input_audio_buffer.committed":
                self.committed.append(self.now)
            case "response.created":
                # Which request it answers cannot be told for certain: the oldest, which excuses rather than blames.
                if self.creations and response is not None and not response.out_of_band:
                    del self.creations[0]
            case "response.done":
                if response is not None and response.done_at is None:
                    response.done_at = self.now
                    body = _dict(event.get("response"))
                    response.status = _text(body.get("status"))
                    response.reason = _text(_dict(body.get("status_details")).get("reason"))
            case "response.output_item.added" | "response.output_item.done" | "conversation.item.added":
                item = self._item(_dict(event.get("item")), response)
                if item is not None and kind == "response.output_item.done" and item.type == "function_call":
                    self._called(item, _dict(event.get("item")))
            case "response.output_audio.delta":
                self._audio(event, response)
            case "response.output_audio.done" | "response.content_part.done":
                if (part := self._part(event, response, make=False)) is not None and part.done_at is None:
                    part.done_at = self.now
            case "response.output_audio_transcript.delta":
                if (part := self._part(event, response, make=True)) is not None:
                    part.text += _text(event.get("delta"))
            case "response.output_audio_transcript.done":
                if (part := self._part(event, response, make=False)) is not None and event.get("transcript"):
                    part.text = _text(event.get("transcript"))
            case "conversation.item.deleted":
                if (known := self.items.get(_text(event.get("item_id")))) is not None and known.deleted_at is None:
                    known.deleted_at = self.now
            case "error":
                self._error(_dict(event.get("error")))
            case _:
                pass

    def _session(self, session: Json) -> None:
        self.updated_at = self.now
        audio = _dict(session.get("audio"))
        source = _dict(audio.get("input")) if audio else session
        form = _dict(audio.get("output")).get("format") if audio else session.get("output_audio_format")
        name = _text(form.get("type")) if isinstance(form, dict) else _text(form)
        self.format = _FORMATS.get(name, self.format)
        if "turn_detection" in source:
            detection = source["turn_detection"]
            self.detects = detection is not None
            # Null and absent count as the default, true (C13).
            self.interrupts = _dict(detection).get("interrupt_response") is not False

    def _response(self, event: Json) -> Response | None:
        body = _dict(event.get("response"))
        identity = _text(event.get("response_id")) or _text(body.get("id"))
        if not identity:
            return None
        found = self.responses.get(identity)
        if found is None:
            found = self.responses[identity] = Response(identity, len(self.responses), self.now)
        if "conversation_id" in body:
            found.out_of_band = body["conversation_id"] is None
        return found

    def _item(self, shown: Json, response: Response | None) -> Item | None:
        identity = _text(shown.get("id"))
        if not identity:
            return None
        item = self.items.get(identity)
        if item is None:
            item = self.items[identity] = Item(identity)
        item.type = _text(shown.get("type")) or item.type
        item.role = _text(shown.get("role")) or item.role
        if item.announced_at is None:
            item.announced_at = self.now
        if response is not None and item.response is None:
            item.response = response
            response.items.append(item)
        return item

    def _called(self, item: Item, shown: Json) -> None:
        call_id = _text(shown.get("call_id"))
        if not call_id:
            return
        item.call_id, item.name = call_id, _text(shown.get("name"))
        self.calls.setdefault(call_id, item)
        if shown.get("status") in (None, "completed") and item.call_done_at is None:
            item.call_done_at = self.now

    def _part(self, event: Json, response: Response | None, *, make: bool) -> Part | None:
        item = self._item({"id": event.get("item_id")}, response)
        index = event.get("content_index", 0)
        if item is None or not isinstance(index, int):
            return None
        part = item.parts.get(index)
        if part is None and make:
            part = item.parts[index] = Part(item, index, self.format, -1)
        return part

    def _audio(self, event: Json, response: Response | None) -> None:
        part = self._part(event, response, make=True)
        try:
            audio = convert(event.get("delta"), bytes)
        except ValidationError:
            return
        if part is None or not audio:
            return
        if part.order < 0:
            part.order = len(self.parts)
            self.parts.append(part)
        part.received += len(audio)
        part.arrivals.append((self.now, part.received))
        if self.keep_audio:
            part.chunks.append(audio)

    def _error(self, error: Json) -> None:
        code, message = _text(error.get("code")) or None, _text(error.get("message"))
        cause = self._cause(_text(error.get("event_id")), code, message)
        if cause is not None:
            cause.refused = True
            if cause in self.creations:
                self.creations.remove(cause)
        self.errors.append(Error(self.now, _text(error.get("type")), code, message, cause))

    def _cause(self, event_id: str, code: str | None, message: str) -> Sent | None:
        if event_id:
            return next((sent for sent in reversed(self.sent) if sent.event.get("event_id") == event_id), None)
        for words, kind in _CAUSES:
            if words in (code or "") or words in message:
                # The oldest of that kind that has no answer yet would be exact; the last one is what servers answer at once.
                return next((sent for sent in reversed(self.sent) if sent.type == kind and not sent.refused), None)
        return None

    # -- what the client says -------------------------------------------------------------------------------------------------

    def client(self, payload: bytes, now: float) -> None:
        """A client message, as it came."""
        self._time(now)
        self.client_messages += 1
        event = _object(payload)
        if event is None or not isinstance(event.get("type"), str):
            self.malformed.append(self.now)
            return
        kind = event["type"]
        if kind == "input_audio_buffer.append":
            return
        active = self.active
        sent = Sent(self.now, kind, event, active=active.id if active is not None else None)
        self.sent.append(sent)
        match kind:
            case "conversation.item.truncate":
                self._truncate(sent)
            case "conversation.item.delete":
                if (item := self.items.get(_text(event.get("item_id")))) is not None and item.deleted_at is None:
                    item.deleted_at = self.now
            case "response.create" if _dict(event.get("response")).get("conversation") != "none":
                if self.creations:
                    sent.busy_since = self.creations[0].at
                elif active is not None:
                    sent.busy_since = active.seen_at
                self.creations.append(sent)
            case "conversation.item.create":
                body = _dict(event.get("item"))
                if body.get("type") == "function_call_output":
                    self.outputs.setdefault(_text(body.get("call_id")), []).append(sent)
            case _:
                pass

    def _truncate(self, sent: Sent) -> None:
        event = sent.event
        item, index, end = self.items.get(_text(event.get("item_id"))), event.get("content_index"), event.get("audio_end_ms")
        if item is None or not isinstance(index, int) or not isinstance(end, int) or isinstance(end, bool):
            return
        part = item.parts.get(index)
        item.truncates.append(Truncate(self.now, sent, index, end, part.received if part is not None else 0))


_CAUSES = (
    ("cancel", "response.cancel"),
    ("Cancel", "response.cancel"),
    ("active_response", "response.create"),
    ("active response", "response.create"),
    ("truncat", "conversation.item.truncate"),
    ("already shorter", "conversation.item.truncate"),
    ("delet", "conversation.item.delete"),
    ("commit", "input_audio_buffer.commit"),
    ("tool_call", "conversation.item.create"),
    ("item_create", "conversation.item.create"),
    ("audio_end_ms", "conversation.item.truncate"),
)
"""What an error without an event id answers, by words of its code or its text (protocol facts, 6.1)."""


def _object(payload: bytes) -> Json | None:
    try:
        event = decode(payload)
    except (DecodeError, ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _renamed(kind: str) -> str:
    """Preview's names in GA's words."""
    if kind == "conversation.item.created":
        return "conversation.item.added"
    for old in _RENAMED:
        if kind.startswith((old + ".", old + "_")):
            return "response.output_" + kind.removeprefix("response.")
    return kind


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _dict(value: object) -> Json:
    return value if isinstance(value, dict) else {}
