"""What a conversation writes to the standard library's log: what happened, and no word, sound or key of it.

A line says what kind of thing happened, with the numbers, ids and fixed words that belong to it. Which fields are such is a list,
so that a field that is added to a notice stays out until somebody has looked at it. Words of the server's (an error may quote
what was said) are left out as well; the notice has them. See docs/reports.md.
"""

import logging

import msgspec

from rtcore import (
    ClockFault,
    LoopLagged,
    MicrophoneDropped,
    Notice,
    Problem,
    ProtocolWarning,
    RawEvent,
    ServerError,
    SessionClosed,
    SessionReady,
    TextDelta,
    TurnReport,
    UnknownEvent,
    UnknownFields,
    UserTranscriptDelta,
    Verdict,
)

# A library says nothing on its own: who wants to read it sets up logging (logging.lastResort would print warnings otherwise).
logging.getLogger("rtcore").addHandler(logging.NullHandler())
_conversation = logging.getLogger("rtcore.conversation")
_wire = logging.getLogger("rtcore.wire")

_SAFE = frozenset(
    {
        "at",
        "audio_end_ms",
        "audio_start_ms",
        "began_at",
        "call_id",
        "cause",
        "clock_latency_ms",
        "connection",
        "content_index",
        "dropped_ms",
        "ended_at",
        "estimated",
        "fatal",
        "generation",
        "heard_ms",
        "item_id",
        "item_type",
        "lag_ms",
        "out_of_band",
        "outcome",
        "partial",
        "previous_item_id",
        "received_ms",
        "renewals",
        "request",
        "response_id",
        "responses",
        "role",
        "skipped",
        "source",
        "stale",
        "started_at",
        "status",
        "stopped_at",
        "to_first_delta_ms",
        "to_first_heard_ms",
        "to_silence_ms",
        "told",
        "took_ms",
        "tool_calls",
        "tool_ms",
        "turn",
        "underruns",
        "verdict",
    }
)
"""Fields of notices that hold numbers, ids and words of this package."""

_STREAMS = (TextDelta, UserTranscriptDelta, RawEvent)
"""Many to an answer: not written at any level."""
_INFO = (SessionReady, SessionClosed, TurnReport)
_WARNING = (ServerError, ProtocolWarning, UnknownEvent, UnknownFields, ClockFault, MicrophoneDropped, LoopLagged)


def note(notice: Notice) -> None:
    """Write a notice down, at the level of its kind."""
    if isinstance(notice, _STREAMS):
        return
    level = logging.INFO if isinstance(notice, _INFO) else logging.WARNING if isinstance(notice, _WARNING) else logging.DEBUG
    if isinstance(notice, SessionClosed) and notice.problem is not None:
        level = logging.WARNING
    if _conversation.isEnabledFor(level):
        _conversation.log(level, "%s", line(notice))


def line(notice: Notice) -> str:
    """A notice in one line."""
    fields = [
        f"{name}={_word(value)}"
        for name in notice.__struct_fields__
        if name in _SAFE and (value := getattr(notice, name)) not in (None, ())
    ]
    match notice:
        case ServerError(problem=Problem() as problem) | SessionClosed(problem=Problem() as problem):
            fields += [f"code={problem.code}", f"retryable={problem.retryable}"]
            fields += [f"param={problem.param}"] if problem.param else []
        case ProtocolWarning(reason=reason, event_type=event_type) if event_type:
            fields += [f"reason={reason!r}", f"event_type={event_type}"]
        case ProtocolWarning(reason=reason) | ClockFault(reason=reason) | MicrophoneDropped(reason=reason):
            fields.append(f"reason={reason!r}")
        case UnknownEvent(event_type=event_type) | UnknownFields(event_type=event_type):
            fields.append(f"event_type={event_type}")
        case _:
            pass
    if isinstance(notice, SessionClosed):
        fields.insert(0, f"reason={notice.reason}")
    return " ".join([type(notice).__name__, *fields])


def _word(value: object) -> str:
    if isinstance(value, Verdict):
        return value.value
    if isinstance(value, float):
        return f"{value:.3f}"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


# -- the wire ------------------------------------------------------------------------------------------------------------------


def traces() -> bool:
    """Whether each message is to be written down: asked once a conversation, because sound is most of them."""
    return _wire.isEnabledFor(logging.DEBUG)


def message(direction: str, connection: int, payload: bytes) -> None:
    """One message: its type and its size."""
    _wire.debug("%s connection=%d type=%s bytes=%d", direction, connection, _type(payload), len(payload))


class _Typed(msgspec.Struct):
    type: str = ""


_read = msgspec.json.Decoder(_Typed)


def _type(payload: bytes) -> str:
    try:
        found = _read.decode(payload).type
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return "?"
    return found if found.isascii() and len(found) < 80 and " " not in found else "?"
