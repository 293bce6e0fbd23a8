"""One connection's session: the strict server, what passed both ways, and the ideal ear beside the client."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct

from rtcore.sim.server import Server, ServerItem, ServerPart
from rtcore_adapters.testing._ear import Ear, Key
from rtcore_adapters.testing._script import Refusing
from rtcore_adapters.testing._timeline import Timeline

APPEND = "input_audio_buffer.append"
_APPENDS = b'{"type":"input_audio_buffer.append"'
_CUTS = ("conversation.item.truncate", "conversation.item.delete")


class _Head(Struct):
    type: str = ""
    item_id: str = ""
    content_index: int = 0
    response_id: str = ""


_head = msgspec.json.Decoder(_Head)


class Sent(Struct, frozen=True):
    """One client event as it came."""

    at: float
    type: str
    payload: bytes
    refused: bool = False
    """The script has refused it: it never reached the server."""


class Talk:
    """Feed it what the client sends and the time; ``out`` is what the server says, to be taken from the front."""

    def __init__(self, server: Server, timeline: Timeline, refusing: list[Refusing]) -> None:
        self.server = server
        self.ear = Ear()
        self.sent: list[Sent] = []
        self.received: list[tuple[float, int, bytes]] = []
        """What the server said, when, and how many of ``sent`` had come by then."""
        self.out: list[bytes] = []
        self.ended = False
        self.ready_at: float | None = None
        """When the client was told which session is in force."""
        self.said: dict[str, str] = {}
        """The user's words, by the item that they became."""
        self._timeline = timeline
        self._refusing = refusing
        self._delivered: dict[Key, int] = {}

    # -- what comes in --------------------------------------------------------------------------------------------------------

    def begin(self, *, now: float) -> None:
        """The connection is up."""
        self._timeline.tell(now, "test", "a client has connected")
        self._say(self.server.connect(now=now), now)

    def take(self, payload: bytes, *, now: float) -> None:
        """A client message."""
        if payload.startswith(_APPENDS):
            head = _Head(APPEND)
        else:
            head = _read(payload)
            self._timeline.client(now, _event(payload))
        refusing = next((each for each in self._refusing if each.type == head.type and each.times > 0), None)
        self.sent.append(Sent(now, head.type, payload, refusing is not None))
        if refusing is not None:
            refusing.times -= 1
            error = _refusal(refusing, payload)
            self._timeline.server(now, _event(error))
            self.out.append(error)
            return
        self._hush_for(head, now)
        self._say(self.server.receive(payload, now=now), now)

    def tick(self, *, now: float) -> None:
        """Time passed."""
        self._say(self.server.tick(now=now), now)

    def user(self, event: Literal["started", "stopped"], text: str, *, now: float) -> None:
        """The user begins or stops to speak; only turn detection hears it."""
        if event == "started":
            if self.detects and self.detection.get("interrupt_response") is not False:
                self.ear.hush(set(self.server.responses), now=now)
            self._say(self.server.user_speech(event, now=now), now)
            return
        known = set(self.server.items)
        self.server.say_next(text)
        messages = self.server.user_speech(event, now=now)
        self.said |= {each.id: text for each in self.server.items.values() if each.origin == "turn" and each.id not in known}
        self._say(messages, now)

    def send(self, payload: bytes, *, now: float) -> None:
        """A server event that the script made up."""
        self._say([payload], now)

    # -- what is known --------------------------------------------------------------------------------------------------------

    @property
    def detection(self) -> Mapping[str, Any]:
        """Turn detection as it is in force."""
        found: Mapping[str, Any] | None = self.server.session["audio"]["input"]["turn_detection"]
        return found or {}

    @property
    def detects(self) -> bool:
        """Whether the session has turn detection."""
        return bool(self.detection)

    def parts(self) -> list[tuple[ServerItem, ServerPart]]:
        """Every audio part that the model began, in order."""
        return [
            (item, part)
            for item in self.server.items.values()
            if item.origin == "response"
            for part in item.parts
            if part.kind == "audio"
        ]

    # -- inside ---------------------------------------------------------------------------------------------------------------

    def _say(self, messages: list[bytes], now: float) -> None:
        for payload in messages:
            head = _read(payload)
            if head.type.endswith("audio.delta"):
                self._deliver(head, now)
            elif not head.type.endswith(".delta"):
                self._timeline.server(now, _event(payload))
            if self.ready_at is None and head.type in ("session.updated", "transcription_session.updated"):
                self.ready_at = now
            self.received.append((now, len(self.sent), payload))
            self.out.append(payload)

    def _deliver(self, head: _Head, now: float) -> None:
        item = self.server.items.get(head.item_id)
        if item is None or head.content_index >= len(item.parts):
            return
        part, key = item.parts[head.content_index], (head.item_id, head.content_index)
        known = self._delivered.get(key, 0)
        if not known:
            self._timeline.tell(now, "server", f"begins to say {part.planned_text!r} ({head.item_id})")
        # Where several deltas leave at once, the first brings them all.
        self._delivered[key] = part.sent_samples
        self.ear.deliver(key, head.response_id, known, part.sent_samples - known, part.format.rate, now=now)

    def _hush_for(self, head: _Head, now: float) -> None:
        """The client interrupts of its own accord: it says so by what it cuts."""
        if head.type == "response.cancel":
            active = head.response_id or self.server.active_response
            if active:
                self.ear.hush({active}, now=now)
        elif head.type in _CUTS:
            item = self.server.items.get(head.item_id)
            parts = item.parts if item is not None else ()
            if item is not None and item.response_id and any(self.ear.sounds((item.id, part.index), now=now) for part in parts):
                self.ear.hush({item.response_id}, now=now)


def _read(payload: bytes) -> _Head:
    try:
        return _head.decode(payload)
    except (msgspec.DecodeError, ValueError):
        return _Head()


def _event(payload: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(payload)
    except (msgspec.DecodeError, ValueError):
        return {"type": f"(no JSON) {payload[:40]!r}"}
    return found if isinstance(found, dict) else {"type": f"(no object) {payload[:40]!r}"}


def _refusal(refusing: Refusing, payload: bytes) -> bytes:
    error = {
        "type": "invalid_request_error",
        "code": refusing.code,
        "message": refusing.message,
        "param": None,
        "event_id": _event(payload).get("event_id"),
    }
    return msgspec.json.encode({"type": "error", "event_id": "event_scripted", "error": error})
