"""rtcore's notices as the SDK's events."""

from collections.abc import Iterator, Mapping
from typing import Any

from agents.realtime import model_events as told
from agents.realtime.items import AssistantAudio, AssistantMessageItem, AssistantText, RealtimeMessageItem, RealtimeToolCallItem
from agents.usage import Usage
from msgspec import json
from openai.types.realtime import RealtimeError
from pydantic import TypeAdapter, ValidationError

import rtcore
from rtcore import Notice, Problem, Verdict

_MESSAGES: TypeAdapter[Any] = TypeAdapter(RealtimeMessageItem)
_WITH_ITEMS = frozenset(
    {
        "conversation.item.added",
        "conversation.item.created",
        "conversation.item.retrieved",
        "response.output_item.added",
        "response.output_item.done",
    }
)
_CONTENT = {"output_audio": "audio", "output_text": "text"}


def error(problem: Problem) -> told.RealtimeModelErrorEvent:
    """A problem as the server's errors are told."""
    what = RealtimeError(type=problem.type or "error", code=problem.code, message=problem.message, param=problem.param)
    return told.RealtimeModelErrorEvent(error=what)


class Teller:
    """Gives the events of each notice, in order. It remembers what was heard of messages that were cut."""

    def __init__(self, *, audible: bool) -> None:
        self.audible = audible
        """Whether the session's answers are spoken."""
        self._heard: dict[str, str] = {}
        self._refused: set[int] = set()

    def events(self, notice: Notice) -> Iterator[told.RealtimeModelEvent]:
        """What the SDK's session is told. A notice that it knows nothing like is an ``other`` event."""
        match notice:
            case rtcore.RawEvent(direction, payload):
                if direction == "received":
                    yield from self._raw(payload)
            case rtcore.SessionReady():
                yield told.RealtimeModelConnectionStatusEvent(status="connected")
            case rtcore.Reconnecting():
                yield told.RealtimeModelConnectionStatusEvent(status="connecting")
            case rtcore.Reconnected():
                yield told.RealtimeModelConnectionStatusEvent(status="connected")
            case rtcore.ResponseStarted(response_id):
                yield told.RealtimeModelTurnStartedEvent(response_id=response_id)
            case rtcore.ResponseEnded(response_id, usage=usage):
                if usage:
                    yield _usage(usage)
                yield told.RealtimeModelTurnEndedEvent(response_id=response_id)
            case rtcore.TextDelta(response_id, item_id, delta=delta):
                if item_id in self._heard:
                    return  # it was cut: nobody will hear these words
                kind = told.RealtimeModelTranscriptDeltaEvent if self.audible else told.RealtimeModelOutputTextDeltaEvent
                yield kind(item_id=item_id, delta=delta, response_id=response_id)
            case rtcore.ToolCalled(call_id, name, arguments, item_id=item_id):
                item = tool_item(item_id, call_id, name, arguments)
                yield told.RealtimeModelItemUpdatedEvent(item=item)
                yield told.RealtimeModelToolCallEvent(name=name, call_id=call_id, arguments=arguments, id=item_id)
            case rtcore.MessageEnded(item_id=item_id, verdict=Verdict.PARTIAL, text=text):
                self._heard[item_id] = text
                message = AssistantMessageItem(item_id=item_id, status="incomplete", content=[AssistantAudio(transcript=text)])
                yield told.RealtimeModelItemUpdatedEvent(item=message)
                yield told.RealtimeModelOtherEvent(data=notice)
            case rtcore.MessageEnded(item_id=item_id, verdict=Verdict.SKIPPED):
                self._heard[item_id] = ""
                yield told.RealtimeModelItemDeletedEvent(item_id=item_id)
                yield told.RealtimeModelOtherEvent(data=notice)
            case rtcore.AnsweredInText(item_id=item_id, text=text):
                answer = AssistantMessageItem(item_id=item_id, status="completed", content=[AssistantText(text=text)])
                yield told.RealtimeModelItemUpdatedEvent(item=answer)
            case rtcore.UserTranscript(item_id, text=text):
                yield told.RealtimeModelInputAudioTranscriptionCompletedEvent(item_id=item_id, transcript=text)
            case rtcore.IdleTimeout(item_id, audio_start_ms, audio_end_ms):
                yield told.RealtimeModelInputAudioTimeoutTriggeredEvent(item_id or "", audio_start_ms or 0, audio_end_ms or 0)
            case rtcore.ItemDeleted(item_id):
                self._heard.pop(item_id, None)
                yield told.RealtimeModelItemDeletedEvent(item_id=item_id)
            case rtcore.ServerError(problem, request):
                if request is not None:
                    self._refused.add(request)
                yield error(problem)
            case rtcore.RequestEnded(request, outcome, problem):
                if outcome in ("failed", "timed_out") and problem is not None and request not in self._refused:
                    yield error(problem)
                self._refused.discard(request)
            case rtcore.SessionClosed(_, problem):
                yield told.RealtimeModelConnectionStatusEvent(status="disconnected")
                if problem is not None:
                    yield error(problem)
                yield told.RealtimeModelEndOfStreamEvent()
            case _:
                yield told.RealtimeModelOtherEvent(data=notice)

    def _raw(self, payload: bytes) -> Iterator[told.RealtimeModelEvent]:
        """The server's event as it came, and the message in it, if there is one, less what nobody heard."""
        try:
            event = json.decode(payload)
        except ValueError:
            return  # told as ProtocolWarning
        yield told.RealtimeModelRawServerEvent(data=event)
        item = event.get("item") if isinstance(event, dict) and event.get("type") in _WITH_ITEMS else None
        if not isinstance(item, dict) or item.get("type") != "message":
            return
        item_id = str(item.get("id", ""))
        if self._heard.get(item_id) == "":
            return  # it is being deleted
        status = item.get("status")
        message = {
            "item_id": item_id,
            "previous_item_id": event.get("previous_item_id"),
            "type": "message",
            "role": item.get("role", "assistant"),
            "status": status if status in ("in_progress", "completed", "incomplete") else "in_progress",
            "content": [self._part(item_id, part) for part in item.get("content") or () if isinstance(part, dict)],
        }
        try:
            found = _MESSAGES.validate_python(message)
        except ValidationError:
            return  # a kind of message that this version of the SDK does not know
        yield told.RealtimeModelItemUpdatedEvent(item=found)

    def _part(self, item_id: str, part: Mapping[str, Any]) -> dict[str, Any]:
        content = {**part, "type": _CONTENT.get(str(part.get("type")), part.get("type"))}
        if content["type"] == "audio" and item_id in self._heard:
            content["transcript"] = self._heard[item_id]
        return content


def tool_item(item_id: str, call_id: str, name: str, arguments: str, output: str | None = None) -> RealtimeToolCallItem:
    """A function call in the SDK's history, answered or not."""
    return RealtimeToolCallItem(
        item_id=item_id,
        call_id=call_id,
        name=name,
        arguments=arguments,
        status="in_progress" if output is None else "completed",
        output=output,
    )


def _usage(usage: Mapping[str, Any]) -> told.RealtimeModelUsageEvent:
    """Tokens of a response; what the server did not say is left out."""
    given: Mapping[str, Any] = usage.get("input_token_details") or {}
    made: Mapping[str, Any] = usage.get("output_token_details") or {}
    cached: Mapping[str, Any] = given.get("cached_tokens_details") or {}
    read, written = usage.get("input_tokens") or 0, usage.get("output_tokens") or 0
    total = Usage(requests=1, input_tokens=read, output_tokens=written, total_tokens=usage.get("total_tokens") or read + written)
    total.input_tokens_details.cached_tokens = given.get("cached_tokens") or 0
    kinds = ("text_tokens", "audio_tokens", "image_tokens")
    details = told.RealtimeModelInputTokensDetails(
        **{name: given.get(name) for name in (*kinds, "cached_tokens")},
        cached_tokens_details=told.RealtimeModelCachedTokensDetails(**{name: cached.get(name) for name in kinds})
        if cached
        else None,
    )
    return told.RealtimeModelUsageEvent(
        usage=total,
        input_tokens_details=details if given else None,
        output_tokens_details=told.RealtimeModelOutputTokensDetails(made.get("text_tokens"), made.get("audio_tokens"))
        if made
        else None,
    )
