"""What an input gave: its digest, and the same in words without a word of what was said.

The words hold ids, counts and verdicts, because a recording without text must not bring it back by this way.
"""

from collections.abc import Sequence
from hashlib import blake2s
from typing import Any

import msgspec
from msgspec import Struct

from rtcore._effects import Connect, Deadline, Disconnect, Drain, Effect, Flush, Pause, Play, Resume, Send
from rtcore._notices import Notice

_DIGEST_BYTES = 6
_encode = msgspec.json.Encoder().encode


class _Sent(Struct):
    """What identifies a client message."""

    type: str = ""
    item_id: str | None = None
    response_id: str | None = None
    content_index: int | None = None
    audio_end_ms: int | None = None
    item: dict[str, Any] | None = None


_sent = msgspec.json.Decoder(_Sent)

_SHOWN = frozenset(
    {
        "cause", "connection", "content_index", "context", "dropped_ms", "estimated", "event_type", "fatal", "generation",
        "heard_ms", "item_id", "item_type", "name", "out_of_band", "outcome", "partial", "previous_item_id", "received_ms",
        "request", "response_id", "role", "skipped", "source", "status", "verdict", "call_id", "reason", "phase", "state",
        "direction", "approval_request_id",
    }
)  # fmt: skip
"""Fields of notices that are ids, counts or words of the protocol."""


def digest(effects: Sequence[Effect], request: int | None, due: str | None) -> str:
    """Twelve hexadecimal digits that change with any byte of what an input gave. ``due`` is the deadline where it changed."""
    state = blake2s(digest_size=_DIGEST_BYTES)
    if request is not None:
        state.update(b"request %d\n" % request)
    for effect in effects:
        if isinstance(effect, Play):
            head = f"Play {effect.generation} {effect.format.type} {effect.format.rate} {len(effect.pcm)}\n"
            state.update(head.encode())
            state.update(effect.pcm)
        else:
            state.update(type(effect).__name__.encode())
            state.update(_encode(effect))
    if due is not None:
        state.update(f"until {due}".encode())
    return state.hexdigest()


def told(effect: Effect) -> str:
    """An effect in words: what it is, about what, how much; never what was said or sounds."""
    match effect:
        case Play():
            return f"Play({len(effect.pcm) // effect.format.sample_width} samples, generation {effect.generation})"
        case Drain() | Flush() | Pause() | Resume():
            return f"{type(effect).__name__}({effect.generation})"
        case Send():
            return f"Send({_message(effect.payload)})"
        case Connect() | Disconnect():
            return f"{type(effect).__name__}({effect.connection})"
        case Notice():
            return _notice(effect)


def _message(payload: bytes) -> str:
    try:
        sent = _sent.decode(payload)
    except msgspec.MsgspecError:
        return f"{len(payload)} bytes"
    words = [sent.type]
    item_id = sent.item_id or (sent.item or {}).get("id")
    if item_id:
        words.append(str(item_id))
    if sent.audio_end_ms is not None:
        words.append(f"[{sent.content_index}] {sent.audio_end_ms} ms")
    if sent.response_id:
        words.append(sent.response_id)
    return " ".join(words)


def _notice(notice: Notice) -> str:
    words: list[str] = []
    for name in notice.__struct_fields__:
        value = getattr(notice, name)
        if name in _SHOWN and value not in (None, False, ()):
            words.append(f"{name}={getattr(value, 'value', None) or _plain(value)}")
        elif name == "problem" and value is not None:
            words.append(f"problem={value.code}")
        elif name in ("text", "full_text", "delta"):
            words.append(f"{len(value)} characters")
        elif name == "pcm":
            words.append(f"{len(value)} bytes")
    return f"{type(notice).__name__}({', '.join(words)})"


def _plain(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def waiting(deadline: Deadline | None) -> str:
    """A deadline that changed, in words."""
    return "waits for nothing" if deadline is None else f"waits until {deadline.at:.3f} for {deadline.why}"
