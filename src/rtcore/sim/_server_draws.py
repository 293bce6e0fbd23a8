"""What a server is going to say, drawn from a seed by the weights of its options.

Whoever draws passes a stream that nobody else uses: what one response draws never shifts another's.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import structs

from rtcore.sim._rng import Rng
from rtcore.sim._server_plan import CallPlan, Closing, Interleaving, MessagePlan, PartPlan, ResponsePlan, ServerOptions, Stall

_DETAILS = {"incomplete": ("max_output_tokens", "content_filter"), "failed": ("server_error", "rate_limit_exceeded")}
_SLOW_MS = (10_100, 14_000)
"""How long a response takes to begin that takes longer than any client waits for it."""
_ARGUMENTS = (
    '{"place":"Paris","unit":"celsius"}',
    '{"order":4279}',
    '{"query":"the opening hours of the museum","limit":3}',
    '{"text":"caf\\u00e9 \\"quoted\\""}',
    "{}",
)


def draw_plan(
    rng: Rng,
    options: ServerOptions,
    *,
    spoken_only: bool,
    text_only: bool,
    tools: Sequence[Mapping[str, Any]],
    tool_choice: Any,
) -> ResponsePlan:
    """A response by the weights of ``options``. Only declared functions are called; an answer to function results speaks."""
    names = [tool["name"] for tool in tools if tool.get("type", "function") == "function"]
    calls: list[MessagePlan | CallPlan] = []
    if names and not spoken_only and tool_choice != "none" and (tool_choice == "required" or rng.chance(options.call_per_mille)):
        for _ in range(1 + (rng.below(3) if rng.chance(400) else 0)):
            calls.append(CallPlan(rng.choice(names), rng.choice(_ARGUMENTS), rng.between(1, 6)))
    count = 0 if calls and rng.chance(400) else 1 + _weighted(rng, options.message_weights)
    if calls:
        count = min(count, 1)
    output: list[MessagePlan | CallPlan] = []
    for index in range(count):
        phase = None
        if calls or count > 1:
            phase = "commentary" if calls or index + 1 < count else "final_answer"
        output.append(MessagePlan(_draw_parts(rng, options, text_only), phase))
    output += calls
    ends = _draw_end(rng, options)
    low = rng.between(*options.delta_ms)
    stalls: tuple[Stall, ...] = ()
    if count and rng.chance(options.stall_per_mille):
        stalls = (Stall(rng.below(count), rng.between(0, options.audio_ms[1] // 2), rng.between(*options.stall_ms) / 1000),)
    return ResponsePlan(
        output=tuple(output),
        think_s=rng.between(*options.think_ms) / 1000,
        gap_s=rng.between(*options.gap_ms) / 1000,
        rate_percent=rng.between(*options.rate_percent),
        delta_ms=(low, rng.between(low, options.delta_ms[1])),
        ragged=rng.chance(options.ragged_per_mille),
        burst=rng.between(2, 8) if rng.chance(options.burst_per_mille) else 1,
        jitter_percent=rng.choice((0, 10, 50, 90)),
        transcript_lead_ms=rng.choice((0, 300, 1500, 60_000)),
        interleaving=_draw_interleaving(rng, options),
        stalls=stalls,
        ends=ends,
        detail=None if ends == "completed" else rng.choice(_DETAILS[ends]),
    )


def add_faults(plan: ResponsePlan, rng: Rng, options: ServerOptions, *, out_of_band: bool, hurried: bool) -> ResponsePlan:
    """The plan with the faults that the rates of ``options`` give it, but not slow to begin if ``hurried``; ``rng`` is theirs."""
    in_parts = options.empty_audio_per_mille or options.short_audio_per_mille
    if in_parts:
        output = tuple(_hurt(out, rng, options) if isinstance(out, MessagePlan) else out for out in plan.output)
        plan = structs.replace(plan, output=output)
    if rng.chance(options.reorder_per_mille):
        kinds: tuple[Closing, ...] = ("part first", "output first", "held", "reversed")
        plan = structs.replace(plan, closing=rng.choice(kinds))
        if plan.closing in ("held", "reversed"):
            plan = _stand_still(plan, rng.beside("held up"))
    if not out_of_band and rng.chance(options.no_created_per_mille):
        plan = structs.replace(plan, created=False)
    if not out_of_band and rng.chance(options.overlap_per_mille):
        plan = structs.replace(plan, beside_ms=rng.between(0, 1500))
    if not out_of_band and options.slow_per_mille:
        slow = rng.beside("slow")
        if slow.chance(options.slow_per_mille) and not hurried:
            plan = structs.replace(plan, think_s=slow.between(*_SLOW_MS) / 1000)
    spoken = any(isinstance(out, MessagePlan) and any(_sounds(part) for part in out.parts) for out in plan.output)
    if not out_of_band and options.no_done_per_mille and plan.created and plan.ends == "completed" and spoken:
        plan = structs.replace(plan, ended=not rng.beside("no done").chance(options.no_done_per_mille))
    if options.late_error_per_mille and plan.ends == "failed":
        late = rng.beside("late error")
        if late.chance(options.late_error_per_mille):
            plan = structs.replace(plan, error_ms=late.choice((0, late.between(0, 400), late.between(300, 700))))
    if options.lagging_per_mille:
        lags = rng.beside("lagging transcript")
        if lags.chance(options.lagging_per_mille):
            plan = structs.replace(plan, transcript_lag_ms=lags.choice((200, 1000, 3000)))
    if not out_of_band and options.late_announcement_per_mille:
        output = tuple(_announced(out, rng, options) if isinstance(out, MessagePlan) else out for out in plan.output)
        plan = structs.replace(plan, output=output)
    return plan


def add_remote(plan: ResponsePlan, rng: Rng, options: ServerOptions, tools: Sequence[Mapping[str, Any]]) -> ResponsePlan:
    """The plan with calls of remote tools: run, failed, or waiting for the program's approval (4.14)."""
    labels = [str(tool["server_label"]) for tool in tools if tool.get("type") == "mcp" and tool.get("server_url")]
    if not labels or not rng.chance(options.remote_per_mille):
        return plan
    calls = []
    for _ in range(rng.choice((1, 1, 2))):
        outcome = rng.below(4)
        calls.append(
            CallPlan(
                "look_up",
                rng.choice(_ARGUMENTS),
                rng.between(1, 4),
                server=rng.choice(labels),
                result=rng.choice(("done", '{"hours":"9-17"}', "")),
                error="the remote server is away" if outcome == 0 else "",
                approval=outcome == 1,
            )
        )
    return structs.replace(plan, output=(*plan.output, *calls))


def _sounds(part: PartPlan) -> bool:
    return part.kind == "audio" and part.sound == "whole"


def _stand_still(plan: ResponsePlan, rng: Rng) -> ResponsePlan:
    """While no item is closed, the second message stands still: it waits behind one that nobody says is complete (B11, F078)."""
    spoken = [index for index, out in enumerate(plan.output) if isinstance(out, MessagePlan)]
    if len(spoken) < 2 or not rng.chance(800):
        return plan
    stall = Stall(spoken[1], rng.between(20, 150), rng.between(4000, 8000) / 1000)
    # What was passed may not have been over: its end comes behind what passed it.
    tail_ms = rng.between(40, 600) if rng.chance(700) else 0
    return structs.replace(plan, stalls=(*plan.stalls, stall), tail_ms=tail_ms)


def _announced(message: MessagePlan, rng: Rng, options: ServerOptions) -> MessagePlan:
    if not rng.chance(options.late_announcement_per_mille):
        return message
    soon, late = rng.between(1, 600), rng.between(600, 5000)
    return structs.replace(message, announced_ms=rng.choice((soon, soon, soon, late, late, late, late, None)))


def _hurt(message: MessagePlan, rng: Rng, options: ServerOptions) -> MessagePlan:
    return structs.replace(message, parts=tuple(_hurt_part(part, rng, options) for part in message.parts))


def _hurt_part(part: PartPlan, rng: Rng, options: ServerOptions) -> PartPlan:
    if part.kind == "text":
        return part
    if rng.chance(options.empty_audio_per_mille):
        sounds: tuple[Literal["none", "empty deltas"], ...] = ("none", "empty deltas")
        return structs.replace(part, sound=rng.choice(sounds), transcript=rng.chance(500))
    if rng.chance(options.short_audio_per_mille):
        return structs.replace(part, lost_ms=rng.between(1, max(1, part.audio_ms * 9 // 10)))
    return part


def _draw_parts(rng: Rng, options: ServerOptions, text_only: bool) -> tuple[PartPlan, ...]:
    if text_only or rng.chance(options.text_per_mille):
        return (PartPlan("text"),)
    # The extra samples keep lengths off whole milliseconds, so that rounding up shows.
    audio = PartPlan(audio_ms=rng.between(*options.audio_ms), extra_samples=rng.below(24))
    if not rng.chance(options.two_parts_per_mille):
        return (audio,)
    other = PartPlan("text") if rng.chance(500) else PartPlan(audio_ms=rng.between(300, 2000), extra_samples=rng.below(24))
    return (other, audio) if rng.chance(500) else (audio, other)


def _draw_interleaving(rng: Rng, options: ServerOptions) -> Interleaving:
    if not rng.chance(options.interleave_per_mille):
        return "sequential"
    kinds: tuple[Interleaving, ...] = ("announced", "ahead", "late_close")
    return rng.choice(kinds)


def _draw_end(rng: Rng, options: ServerOptions) -> Literal["completed", "incomplete", "failed"]:
    roll = rng.below(1000)
    if roll < options.failed_per_mille:
        return "failed"
    return "incomplete" if roll < options.failed_per_mille + options.incomplete_per_mille else "completed"


def _weighted(rng: Rng, weights: Sequence[int]) -> int:
    roll = rng.below(sum(weights))
    for index, weight in enumerate(weights):
        roll -= weight
        if roll < 0:
            return index
    return len(weights) - 1


# -- calm -------------------------------------------------------------------------------------------------------------------

_TROUBLES = (
    "text_per_mille",
    "two_parts_per_mille",
    "call_per_mille",
    "ragged_per_mille",
    "burst_per_mille",
    "stall_per_mille",
    "interleave_per_mille",
    "incomplete_per_mille",
    "failed_per_mille",
    "transcription_failed_per_mille",
    "overlap_per_mille",
    "duplicate_per_mille",
    "unknown_per_mille",
    "malformed_per_mille",
    "reject_per_mille",
    "reorder_per_mille",
    "no_created_per_mille",
    "empty_audio_per_mille",
    "short_audio_per_mille",
    "late_announcement_per_mille",
    "phantom_per_mille",
    "slow_per_mille",
    "late_error_per_mille",
    "no_done_per_mille",
    "linger_per_mille",
    "remote_per_mille",
    "lagging_per_mille",
)


def calm_options(options: ServerOptions) -> ServerOptions:
    """The same server without faults: every response speaks, completes, and comes in order."""
    return structs.replace(options, stragglers=(0, 0), **dict.fromkeys(_TROUBLES, 0))


def calm_plan(plan: ResponsePlan, options: ServerOptions) -> ResponsePlan:
    """A plan without faults, as near to ``plan`` as that allows; a plan that ``calm_options`` drew stays as it is."""
    spoken = tuple(
        structs.replace(message, parts=tuple(_whole(part) for part in message.parts if part.kind == "audio")[:1], announced_ms=0)
        for message in plan.output
        if isinstance(message, MessagePlan)
    )
    spoken = tuple(message for message in spoken if message.parts)
    return structs.replace(
        plan,
        output=spoken or (MessagePlan((PartPlan(audio_ms=options.audio_ms[0]),)),),
        think_s=min(plan.think_s, options.think_ms[1] / 1000),
        ragged=False,
        burst=1,
        interleaving="sequential",
        stalls=(),
        stragglers=0,
        ends="completed",
        detail=None,
        created=True,
        closing="usual",
        beside_ms=None,
        error_ms=None,
        ended=True,
        transcript_lag_ms=0,
    )


def _whole(part: PartPlan) -> PartPlan:
    return structs.replace(part, lost_ms=0, sound="whole", transcript=True)
