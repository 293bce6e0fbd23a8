"""What is on the wire beside the conversation: events sent twice, events that nobody knows, and frames that are no events.

``Noise`` sees every event on its way out and draws from a stream of its own, so that noise shifts nothing of what is said. An
auditor has to know, and every record of the server is silent about all of this:

- A duplicate is the same bytes, ``event_id`` included: at once, a few events later, or seldom so late that other responses run;
  the acknowledgement of an edit also just before that of the next edit.
  Only events that say what *is* are sent twice. Deltas are not: they carry no number, so a repeated one is more of the same to
  any client. Nor are ``session.updated`` and ``error``, which are counted against the commands they answer (protocol facts, 2.3
  and 6), ``session.created``, which begins a session, or ``speech_started`` and ``speech_stopped``, which are edges.
- An unknown event, or unknown fields in a known one, mean nothing (facts 14: ping, heartbeat, visemes, ``rid``, ``ts``).
- A malformed frame is sent *in addition* and never carries anything: no JSON, no object, a missing or mistyped field that the
  event cannot be read without, audio that is no base64. It has no meaning even where some of its fields look right.
  ``Server.malformed`` holds every one.
"""

from msgspec.json import encode

from rtcore.sim._rng import Rng
from rtcore.sim._server_plan import ServerOptions
from rtcore.sim._server_wire import Json, Wire

_REPEATABLE = frozenset(
    {
        "response.created",
        "response.done",
        "response.output_item.added",
        "response.output_item.done",
        "response.content_part.added",
        "response.content_part.done",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.output_text.done",
        "response.function_call_arguments.done",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.deleted",
        "conversation.item.truncated",
        "conversation.item.input_audio_transcription.completed",
        "input_audio_buffer.committed",
        "rate_limits.updated",
    }
)
STRANGERS = frozenset(
    {
        "ping",
        "heartbeat",
        "response.animation_viseme.delta",
        "response.audio_timestamp.delta",
        "response.reasoning.delta",
        "conversation.item.input_audio_transcription.revised",
        "session.notice",
    }
)
"""Types of events that the protocol does not have."""
STRANGE_FIELDS = (b',"rid":"r-', b'"ts":', b'"latency":')
"""How fields that nobody knows look in a known event."""
_LATE, _VERY_LATE = 3, 80
"""A duplicate comes at most so many events after its original; every eighth of them very late."""
_ACKNOWLEDGES = frozenset({"conversation.item.deleted", "conversation.item.truncated"})
_AGAIN_PER_MILLE = 300
"""How often the acknowledgement of one edit is preceded by that of the edit before once more, where events come twice."""
_NESTING = 5_000
_TORN = 400


class Noise:
    """Puts events on the wire, and noise beside them. ``saw`` is told each fault, ``malformed`` keeps the frames."""

    def __init__(self, rng: Rng, options: ServerOptions, wire: Wire) -> None:
        self._rng = rng
        self._duplicate = options.duplicate_per_mille
        self._unknown = options.unknown_per_mille
        self._malformed = options.malformed_per_mille
        self._wire = wire
        self._waiting: list[tuple[int, bytes]] = []
        self._acknowledged: bytes | None = None
        """The last acknowledgement of an edit."""
        self._count = 0
        self._ids: Json = {"response_id": "resp_none", "item_id": "item_none", "output_index": 0, "content_index": 0}
        self.malformed: set[bytes] = set()

    def around(self, payload: bytes, kind: str, ids: Json | None) -> tuple[list[bytes], list[str]]:
        """What leaves in the place of one event (GA name ``kind``), and the faults in it. ``ids`` name its part, if any."""
        rng = self._rng
        self._count += 1
        if ids is not None:
            self._ids = ids
        draw = rng.bits()
        faults = []
        if (draw & 0xFFFF) * 1000 >> 16 < self._unknown:
            faults.append("unknown event")
            more = b""
            if rng.chance(500):
                payload = payload[:-1] + b',"rid":"r-%d","ts":%d,"latency":{"ms":[1.5,null,{}]}}' % (
                    self._count,
                    rng.below(1 << 40),
                )
            else:
                more = self._stranger()
            out = [payload, more] if more else [payload]
        else:
            out = [payload]
        if (draw >> 16 & 0xFFFF) * 1000 >> 16 < self._malformed:
            faults.append("malformed event")
            broken = self._broken(payload)
            self.malformed.add(broken)
            out.append(broken)
        if kind in _ACKNOWLEDGES:
            # In the one moment in which a client can take it for the answer to another edit, which is under way (F113).
            if self._duplicate and self._acknowledged is not None and (draw >> 48) * 1000 >> 16 < _AGAIN_PER_MILLE:
                out.insert(0, self._acknowledged)
                faults.append("duplicate event")
            self._acknowledged = payload
        if self._waiting:
            due = [held for at, held in self._waiting if at <= self._count]
            self._waiting = [(at, held) for at, held in self._waiting if at > self._count]
            out += due
            faults += ["duplicate event"] * len(due)
        if kind in _REPEATABLE and (draw >> 32 & 0xFFFF) * 1000 >> 16 < self._duplicate:
            later = rng.between(_LATE + 1, _VERY_LATE) if rng.chance(125) else rng.between(0, _LATE)
            if later:
                self._waiting.append((self._count + later, payload))
            else:
                out.append(payload)
                faults.append("duplicate event")
        return out, faults

    def _stranger(self) -> bytes:
        """An event of a type that the protocol does not have; other servers of the dialect do (facts 14)."""
        ids, number = self._ids, self._count
        strangers: tuple[Json, ...] = (
            {"type": "ping", "timestamp": number},
            {"type": "heartbeat"},
            {"type": "response.animation_viseme.delta", **ids, "viseme_id": number % 22, "delta": "AAAA"},
            {"type": "response.audio_timestamp.delta", **ids, "audio_offset_ms": number, "text": "word"},
            {"type": "response.reasoning.delta", **ids, "delta": "hm"},
            {"type": "conversation.item.input_audio_transcription.revised", "item_id": ids["item_id"], "transcript": "so far"},
            {"type": "session.notice", "event_id": f"event_x{number}", "session": None, "response": {"id": ids["response_id"]}},
        )
        return encode(self._rng.choice(strangers))

    def _broken(self, payload: bytes) -> bytes:
        """A frame that cannot be read as any event."""
        ids = self._ids
        number = self._count
        name = self._wire.name
        part: Json = {"event_id": f"event_m{number}", **ids}
        nameless: Json = {"event_id": f"event_m{number}"}
        kind = self._rng.below(16)
        match kind:
            case 0:
                return payload[: 1 + self._rng.below(min(len(payload), _TORN) - 1)]
            case 1:
                return b""
            case 2:
                return b'{"type":"%s","delta":"\xc3\x28"}' % name("response.output_text.delta").encode()
            case 3:
                return self._rng.choice((b"[]", b"null", b"17", b'"pong"', b"true", b"\x00\x01"))
            case 4:
                return b'{"type":"response.done","response":' + b"[" * _NESTING
            case 5:
                return b'{"type":"%s","content_index":NaN}' % name("response.output_audio.delta").encode()
            case 6:
                return encode(
                    {**part, "type": name("response.output_audio.delta"), "delta": self._rng.choice(("%%%", "A", "AAA*", "A==="))}
                )
            case _:
                broken: tuple[Json, ...] = (
                    part,
                    {"type": number, **part},
                    {"type": name("response.output_audio.delta"), **nameless, "delta": "AAAA"},
                    {"type": name("response.output_audio.delta"), **nameless, "response_id": 1, "item_id": [], "delta": {}},
                    {"type": "response.done", **nameless},
                    {"type": "response.done", **nameless, "response": ids["response_id"]},
                    {"type": "response.output_item.added", **nameless, "response_id": ids["response_id"], "item": None},
                    {"type": name("conversation.item.added"), **nameless, "item": "item"},
                    {"type": "input_audio_buffer.speech_started", **nameless, "item_id": 7},
                )
                return encode(broken[kind - 7])
