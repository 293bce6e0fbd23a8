"""OpenTelemetry spans and metrics, driven by notices alone, as the SDK's own in-memory exporters take them (issue 6, part 9)."""

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra otel and opentelemetry-sdk are not installed")

from helpers.scene import Scene, ready, sent
from helpers.wire import audio, call, created, done, message, opened, speech_started, speech_stopped, turn
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from test_docs import ROOT, blocks

from rtcore import Notice
from rtcore_adapters.telemetry import Telemetry

BEGAN_NS = 1_800_000_000_000_000_000
USAGE = {"input_tokens": 10, "output_tokens": 30, "output_token_details": {"text_tokens": 5, "audio_tokens": 25}}
SECRETS = ("the user's words", "the model's words", "sk-very-secret", "weather in Paris")


class Watched:
    """A scene whose notices reach the telemetry at once."""

    def __init__(self) -> None:
        self.spans = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        meters = MeterProvider([self.reader])
        self.scene = ready()
        self.telemetry = Telemetry(
            tracer_provider=tracers,
            meter_provider=meters,
            attributes={"call": "c1"},
            wall_ns=lambda: BEGAN_NS + round(self.scene.now * 1e9),
        )
        self._seen = len(self.scene.log)

    def watch(self) -> None:
        for effect in self.scene.log[self._seen :]:
            if isinstance(effect, Notice):
                self.telemetry.observe(effect)
        self._seen = len(self.scene.log)

    def at(self, now: float) -> Scene:
        self.watch()
        return self.scene.at(now)

    @property
    def told(self) -> dict[str, list[ReadableSpan]]:
        self.watch()
        found: dict[str, list[ReadableSpan]] = {}
        for span in self.spans.get_finished_spans():
            found.setdefault(span.name, []).append(span)
        return found

    def metrics(self) -> dict[str, list[tuple[dict[str, object], float]]]:
        self.watch()
        data = self.reader.get_metrics_data()
        assert data is not None
        return {
            metric.name: [
                (dict(point.attributes or {}), point.sum if hasattr(point, "sum") else point.value)
                for point in metric.data.data_points
            ]
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def conversation() -> Watched:
    """The user asks, the model calls a function, answers, and is interrupted."""
    watched = Watched()
    watched.scene.server(speech_started("u1"))
    watched.at(1.0).server(speech_stopped("u1"), turn("u1"))
    watched.at(1.2).server(created("r1"), call("c1", '{"city": "weather in Paris"}'), done("r1"))
    watched.at(2.2).tool_result("c1", "the model's words")
    used = [{**event, "response": {**event["response"], "usage": USAGE}} for event in done("r2", "cancelled", "turn_detected")]
    ours = int(sent(watched.scene.log)[-1]["response"]["metadata"]["rtcore_request"])
    watched.at(2.5).server(created("r2", request=ours), opened("m2", r="r2"), audio("m2", 1000, r="r2"))
    watched.at(3.0).played(1, 400)
    watched.at(3.1).barge_in(500, "u2")
    watched.at(3.2).server(used)
    return watched


def ns(seconds: float) -> int:
    return BEGAN_NS + round(seconds * 1e9)


def test_a_turn_is_a_trace_of_its_responses_tools_and_playout() -> None:
    told = conversation().told
    assert {name: len(spans) for name, spans in told.items()} == {"turn": 1, "response": 2, "tool": 1, "playout": 1}
    [turn_span], [tool], [playout] = told["turn"], told["tool"], told["playout"]
    first, second = told["response"]
    assert (turn_span.start_time, turn_span.end_time, turn_span.parent) == (ns(1.0), ns(3.2), None)
    assert [(each.start_time, each.end_time) for each in (first, second)] == [(ns(1.2), ns(1.2)), (ns(2.5), ns(3.2))]
    assert (tool.start_time, tool.end_time) == (ns(1.2), ns(2.2))
    assert (playout.start_time, playout.end_time) == (ns(2.6), ns(3.1))
    parents = {each.name: each.parent.span_id for each in (first, tool, playout) if each.parent is not None}
    assert parents == {
        "response": turn_span.context.span_id,
        "tool": first.context.span_id,
        "playout": turn_span.context.span_id,
    }


def test_attributes_are_numbers_ids_and_fixed_words() -> None:
    watched = conversation()
    told = watched.told
    assert dict(told["turn"][0].attributes or {}) == {
        "call": "c1",
        "rtcore.turn": 1,
        "rtcore.cause": "speech",
        "rtcore.outcome": "interrupted",
        "rtcore.estimated": False,
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 30,
        "rtcore.to_first_delta_ms": 1500,
        "rtcore.to_first_heard_ms": 1600,
        "rtcore.to_silence_ms": 0,
        "rtcore.clock_latency_ms": 0,
        "rtcore.underruns": 0,
        "rtcore.tool_calls": 1,
        "rtcore.tool_ms": 1000,
        "rtcore.renewals": 0,
        "rtcore.stale": 0,
    }
    assert dict(told["tool"][0].attributes or {}) == {
        "call": "c1",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "look",
        "gen_ai.tool.call.id": "c1",
        "rtcore.outcome": "answered",
    }


def test_metrics_add_up() -> None:
    metrics = conversation().metrics()
    assert metrics["rtcore.turns"] == [({"cause": "speech", "outcome": "interrupted"}, 1)]
    assert metrics["rtcore.turn.first_delta"] == [({"cause": "speech"}, 1.5)]
    assert metrics["rtcore.tool.duration"] == [({"gen_ai.tool.name": "look", "outcome": "answered"}, 1.0)]
    assert metrics["rtcore.playout.heard"] == [({"verdict": "partial"}, 0.5)]
    assert sorted(metrics["rtcore.tokens"], key=str) == [
        ({"direction": "input", "kind": "text"}, 10),
        ({"direction": "output", "kind": "audio"}, 25),
        ({"direction": "output", "kind": "text"}, 5),
    ]
    assert {tuple(each.values()) for each, _ in metrics["rtcore.responses"]} == {("completed",), ("cancelled",)}


def test_nothing_that_was_said_is_in_a_span_or_a_metric() -> None:
    watched = conversation()
    everything = " ".join(span.to_json() for spans in watched.told.values() for span in spans) + str(watched.metrics())
    assert not [word for word in SECRETS if word in everything]


def test_a_response_beside_the_conversation_is_a_trace_of_its_own() -> None:
    watched = Watched()
    watched.at(0.5).respond({"conversation": "none"})
    watched.at(1.0).server(
        created("r1", request=watched.scene.request, in_band=False), message("m1", 10), done("r1", in_band=False)
    )
    [span] = watched.told["response"]
    assert (span.parent, (span.attributes or {})["rtcore.out_of_band"]) == (None, True)


def test_a_function_that_outlives_its_turn_is_a_span_below_its_response() -> None:  # B28, C26: the user went on speaking
    watched = Watched()
    watched.at(1.0).server(turn("u1"), created("r1"), call("c1"), done("r1"))
    watched.at(4.0).server(turn("u2"))
    watched.watch()
    [told] = watched.told["response"]
    watched.at(11.0).tool_result("c1", "sunny")
    [tool] = watched.told["tool"]
    assert (tool.start_time, tool.end_time) == (ns(1.0), ns(11.0))
    assert tool.parent is not None
    assert told.context is not None
    assert (tool.parent.span_id, tool.context.trace_id) == (told.context.span_id, told.context.trace_id)


def test_a_function_of_a_response_beside_the_conversation_is_a_span_below_it() -> None:  # C26
    watched = Watched()
    watched.at(0.5).respond({"conversation": "none"})
    ours = watched.scene.request
    watched.at(1.0).server(created("r1", request=ours, in_band=False), call("c1"), done("r1", in_band=False))
    watched.at(3.0).tool_result("c1", "sunny")
    told = watched.told
    [response], [tool] = told["response"], told["tool"]
    assert tool.parent is not None
    assert (tool.parent.span_id, tool.start_time, tool.end_time) == (response.context.span_id, ns(1.0), ns(3.0))


def test_memory_stays_bounded_where_functions_are_never_answered() -> None:  # invariant 13
    watched = Watched()
    for number in range(200):
        watched.scene.server(turn(f"u{number}"), created(f"r{number}"), call(f"c{number}", r=f"r{number}"), done(f"r{number}"))
        watched.watch()
    assert len(watched.told["turn"]) == 199
    assert len(watched.telemetry._running) <= 64


def test_memory_stays_bounded_where_no_turn_is_reported() -> None:  # invariant 13
    watched = Watched()
    for number in range(200):
        watched.scene.server(created(f"r{number}"))
    watched.watch()
    assert len(watched.telemetry._responses) <= 64


def test_the_page_prints_what_stands_on_it(capsys: pytest.CaptureFixture[str]) -> None:
    [block] = blocks("python otel")
    exec(compile(block.body, block.name, "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out == block.output


def test_the_page_lists_the_metrics() -> None:
    watched = conversation()
    page = (ROOT / "docs" / "reports.md").read_text(encoding="utf-8")
    assert not [name for name in watched.metrics() if f"`{name}`" not in page]
