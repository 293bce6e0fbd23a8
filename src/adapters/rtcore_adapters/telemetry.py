"""OpenTelemetry spans and metrics of a conversation, from its notices alone.

::

    telemetry = Telemetry()
    async for notice in conversation:
        telemetry.observe(notice)
        ...

Needs the extra ``rtcore[otel]``, which is OpenTelemetry's API; what becomes of the spans is its SDK's affair, as everywhere. A
turn is a trace: a span ``turn`` with its responses (``response``, their function calls ``tool`` below them) and what was heard of
them (``playout``). All are made when the turn is reported, with the times at which things happened; the span of a function that
outlives its turn, when it has ended. There is no text, no sound and no key in any attribute. See docs/reports.md for the names.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from rtcore_adapters._extras import missing

try:
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider, get_meter
    from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider, get_tracer, set_span_in_context
except ModuleNotFoundError as error:
    raise missing("rtcore_adapters.telemetry", error.name, "otel") from None

from rtcore import (
    MessageEnded,
    Notice,
    ResponseEnded,
    ResponseStarted,
    ServerError,
    ToolCalled,
    ToolEnded,
    TurnReport,
    UserSpeechStarted,
    UserSpeechStopped,
)
from rtcore.usage import Usage, response_usage

__all__ = ["Telemetry"]

_KEPT = 64
"""Responses whose turn was not reported yet, and function calls that outlive theirs; older ones are given up."""
_SCOPE = "rtcore"

Attributes = dict[str, str | int | float | bool]
"""What a span or a measurement is marked with."""


class _Response(Struct):
    started: ResponseStarted
    ended: ResponseEnded | None = None
    messages: list[MessageEnded] = []
    called: dict[str, ToolCalled] = {}
    tools: list[tuple[ToolCalled, ToolEnded]] = []


class Telemetry:
    """Makes spans and metrics of what it observes. One for each conversation; give it every notice, in order.

    ``tracer_provider`` and ``meter_provider`` replace the global ones. ``attributes`` are added to every span, and to no metric.
    ``wall_ns`` is the time of day: notices have the runtime's own clock, and the two are laid together by the notices themselves.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        attributes: Mapping[str, str | int | float | bool] | None = None,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._tracer = get_tracer(_SCOPE, tracer_provider=tracer_provider)
        self._always: Attributes = dict(attributes or {})
        self._wall_ns = wall_ns
        self._offset: int | None = None
        self._responses: dict[str, _Response] = {}
        self._running: dict[str, tuple[ToolCalled, Context]] = {}
        """Function calls that outlive their turn, and the span of the response that made them."""
        meter = get_meter(_SCOPE, meter_provider=meter_provider)
        self._turns = meter.create_counter("rtcore.turns", description="Turns, by what began them and what became of them")
        self._first_delta = meter.create_histogram("rtcore.turn.first_delta", "s", "End of speech to the first delta")
        self._first_heard = meter.create_histogram("rtcore.turn.first_heard", "s", "End of speech to the first heard sample")
        self._silence = meter.create_histogram("rtcore.turn.silence", "s", "Barge-in to silence")
        self._underruns = meter.create_counter("rtcore.playout.underruns", description="Times the clock ran dry")
        self._stale = meter.create_counter("rtcore.responses.stale", description="Responses created before our edits")
        self._renewals = meter.create_counter("rtcore.renewals", description="Connections renewed in a turn")
        self._ended = meter.create_counter("rtcore.responses", description="Responses, by status")
        self._tokens = meter.create_counter("rtcore.tokens", "{token}", "Tokens, by direction and kind")
        self._tool = meter.create_histogram("rtcore.tool.duration", "s", "Function calls, by name and outcome")
        self._heard = meter.create_histogram("rtcore.playout.heard", "s", "What was heard of a message, by verdict")
        self._errors = meter.create_counter("rtcore.errors", description="Errors of the server, by code")

    def observe(self, notice: Notice) -> None:
        """Take one notice. Cheap, and without IO of its own: exporting is the SDK's."""
        at = getattr(notice, "at", None)
        if isinstance(at, float):
            self._lay(at)
        match notice:
            case ResponseStarted(response_id=response_id):
                self._responses[response_id] = _Response(notice)
                while len(self._responses) > _KEPT:
                    del self._responses[next(iter(self._responses))]
            case ResponseEnded():
                self._response_ended(notice)
            case MessageEnded():
                self._heard.record(notice.heard_ms / 1000, {"verdict": notice.verdict.value})
                if (kept := self._responses.get(notice.response_id)) is not None:
                    kept.messages.append(notice)
            case ToolCalled(response_id=response_id, call_id=call_id):
                if (kept := self._responses.get(response_id)) is not None:
                    kept.called[call_id] = notice
            case ToolEnded():
                self._tool_ended(notice)
            case TurnReport():
                self._lay(notice.ended_at)
                self._turn(notice)
            case ServerError(problem=problem):
                self._errors.add(1, {"code": problem.code, "fatal": notice.fatal})
            case UserSpeechStarted() | UserSpeechStopped():
                pass  # their times were of use
            case _:
                pass

    # -- time ----------------------------------------------------------------------------------------------------------------

    def _lay(self, at: float) -> None:
        """The runtime's clock beside the time of day: a notice is seen at or after the time that it names, never before."""
        offset = self._wall_ns() - round(at * 1e9)
        self._offset = offset if self._offset is None else min(self._offset, offset)

    def _ns(self, at: float) -> int:
        return round(at * 1e9) + (self._offset or 0)

    # -- what happened -------------------------------------------------------------------------------------------------------

    def _response_ended(self, notice: ResponseEnded) -> None:
        self._ended.add(1, {"status": notice.status})
        if notice.usage is not None:
            self._count(response_usage(notice.usage))
        kept = self._responses.get(notice.response_id)
        if kept is None:
            return
        kept.ended = notice
        if kept.started.out_of_band:  # beside the conversation: of no turn
            del self._responses[notice.response_id]
            self._span_of(kept, Context(), notice.at)

    def _count(self, usage: Usage) -> None:
        for direction in ("input", "output"):
            for kind in ("text", "audio"):
                number = getattr(usage, f"{direction}_{kind}")
                if number:
                    self._tokens.add(number, {"direction": direction, "kind": kind})
        if usage.cached_text + usage.cached_audio:
            self._tokens.add(usage.cached_text + usage.cached_audio, {"direction": "input", "kind": "cached"})

    def _tool_ended(self, notice: ToolEnded) -> None:
        self._tool.record(notice.took_ms / 1000, {"gen_ai.tool.name": notice.name, "outcome": notice.outcome})
        for kept in self._responses.values():
            called = kept.called.pop(notice.call_id, None)
            if called is not None:
                kept.tools.append((called, notice))
                return
        if (running := self._running.pop(notice.call_id, None)) is not None:
            self._span_of_tool(running[0], notice, running[1])

    def _turn(self, report: TurnReport) -> None:
        self._turns.add(1, {"cause": report.cause, "outcome": report.outcome})
        for histogram, ms in (
            (self._first_delta, report.to_first_delta_ms),
            (self._first_heard, report.to_first_heard_ms),
            (self._silence, report.to_silence_ms),
        ):
            if ms is not None:
                histogram.record(ms / 1000, {"cause": report.cause})
        for counter, number in (
            (self._underruns, report.underruns),
            (self._stale, report.stale),
            (self._renewals, report.renewals),
        ):
            if number:
                counter.add(number)
        fields = (
            "to_first_delta_ms",
            "to_first_heard_ms",
            "to_silence_ms",
            "clock_latency_ms",
            "underruns",
            "tool_calls",
            "tool_ms",
            "renewals",
            "stale",
        )
        told = {f"rtcore.{name}": value for name in fields if (value := getattr(report, name)) is not None}
        context = self._span(
            "turn",
            Context(),
            report.began_at,
            report.ended_at,
            {
                "rtcore.turn": report.turn,
                "rtcore.cause": report.cause,
                "rtcore.outcome": report.outcome,
                "rtcore.estimated": report.estimated,
                "gen_ai.usage.input_tokens": report.usage.input_tokens,
                "gen_ai.usage.output_tokens": report.usage.output_tokens,
                **told,
            },
            failed=report.outcome == "failed",
        )
        for response_id in report.response_ids:
            kept = self._responses.pop(response_id, None)
            if kept is not None:
                self._span_of(kept, context, report.ended_at)

    # -- spans ---------------------------------------------------------------------------------------------------------------

    def _span_of(self, kept: _Response, parent: Context, until: float) -> None:
        ended = kept.ended
        attributes: Attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.response.id": kept.started.response_id,
            "rtcore.out_of_band": kept.started.out_of_band,
        }
        if ended is not None:
            attributes["rtcore.status"] = ended.status
            if ended.reason is not None:
                attributes["rtcore.reason"] = ended.reason
            if ended.problem is not None:
                attributes["error.type"] = ended.problem.code
        failed = ended is not None and ended.status == "failed"
        end = until if ended is None else ended.at
        context = self._span("response", parent, kept.started.at, end, attributes, kind=SpanKind.CLIENT, failed=failed)
        for called, tool in kept.tools:
            self._span_of_tool(called, tool, context)
        self._running.update((call_id, (called, context)) for call_id, called in kept.called.items())
        while len(self._running) > _KEPT:
            del self._running[next(iter(self._running))]
        for message in kept.messages:
            if message.started_at is not None:
                heard: Attributes = {
                    "rtcore.verdict": message.verdict.value,
                    "rtcore.heard_ms": message.heard_ms,
                    "rtcore.received_ms": message.received_ms,
                    "rtcore.item_id": message.item_id,
                }
                self._span("playout", parent, message.started_at, message.stopped_at, heard)

    def _span_of_tool(self, called: ToolCalled, ended: ToolEnded, parent: Context) -> None:
        told: Attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": called.name,
            "gen_ai.tool.call.id": called.call_id,
            "rtcore.outcome": ended.outcome,
        }
        self._span("tool", parent, called.at, ended.at, told)

    def _span(
        self,
        name: str,
        parent: Context,
        start: float,
        end: float,
        attributes: Mapping[str, Any],
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        failed: bool = False,
    ) -> Context:
        span = self._tracer.start_span(
            name, context=parent, kind=kind, attributes={**self._always, **attributes}, start_time=self._ns(start)
        )
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end_time=max(self._ns(start), self._ns(end)))
        return set_span_in_context(span, parent)
