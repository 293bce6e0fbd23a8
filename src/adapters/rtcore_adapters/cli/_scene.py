"""What each live conversation is to be: when it is interrupted, what the server says, and on what terms they talk.

The server's plan opens a window for every kind of interruption (it thinks, hesitates before its first sample, stalls), the seed
draws the point within it, and ``aim`` says when the person must be heard, as soon as the notices tell it.
"""

import random
from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from rtcore import (
    Config,
    ItemAdded,
    MessageStarted,
    Notice,
    ResponseEnded,
    SpeakingStopped,
    ToolCalled,
    Underrun,
    UserSpeechStopped,
)
from rtcore.sim.scenario import Kind
from rtcore.sim.server import CallPlan, MessagePlan, PartPlan, ResponsePlan, ServerOptions, Stall

KINDS: tuple[Kind, ...] = (
    "inside message 2",
    "before the first event",
    "between declaration and audio",
    "on the first sample",
    "inside message 1",
    "at the boundary",
    "in an underrun",
    "after all audio arrived",
    "after all was heard",
    "twice within 100 ms",
    "during a function call",
)
"""The kinds of the live part; the first one is the conversation that the report shows."""

TOOL_S = 0.8
"""How long the program takes to answer a function call."""

_THINK_S = 0.6
_GAP_S = 0.45
_STALL_S = 0.8
_STALL_AT_MS = 400
_ARGUMENTS = '{"query":"' + "the opening hours of the museum, " * 6 + '"}'
_ARGUMENTS_S = 0.45
_FRAGMENT_S = 0.015  # what the simulated server takes for a piece of arguments
_ANSWER_MS = 1000
_STORY = (("story_1", 3150), ("story_2", 3480), ("weather", 1960))
"""What is said in the conversation of the picture: messages of whole phrases."""
_TOOL = {
    "type": "function",
    "name": "look_up",
    "description": "Look something up.",
    "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
}


class Scene(Struct, frozen=True):
    """One conversation's settings. ``share`` (0 to 1) is where in its window the interruption falls."""

    number: int
    kind: Kind
    share: float
    messages_ms: tuple[int, ...]
    """Lengths of the messages of the response that is interrupted."""
    voices: tuple[str, ...]
    """Which recordings these messages, and then the next answer, are taken from; empty: any."""
    dialect: Literal["openai", "azure-preview"]
    server_interrupts: bool
    context: Literal["auto", "exact"]
    lead_ms: int | None
    block_ms: int
    flush_ms: int
    """How long the speaker goes on when it is told to stop."""
    starts_after_s: float
    turns_ms: tuple[int, int]
    """How long the person speaks at most, first and then."""
    server_seed: int

    @property
    def server(self) -> ServerOptions:
        """Its server: the scripted response, then short ones."""
        voices = self.voices or (None,) * (len(self.messages_ms) + 1)
        first: tuple[MessagePlan | CallPlan, ...] = tuple(
            _spoken(length, voice) for length, voice in zip(self.messages_ms, voices, strict=False)
        )
        if self.kind == "during a function call":
            first += (CallPlan("look_up", _ARGUMENTS, round(_ARGUMENTS_S / _FRAGMENT_S)),)
        plan = ResponsePlan(
            first,
            think_s=_THINK_S,
            gap_s=_GAP_S,
            rate_percent=250,
            delta_ms=(60, 120),
            jitter_percent=30,
            stalls=(Stall(0, _STALL_AT_MS, _STALL_S),) if self.kind == "in an underrun" else (),
        )
        answer = ResponsePlan((_spoken(_ANSWER_MS, voices[-1]),), think_s=0.25, rate_percent=300, delta_ms=(60, 120))
        return ServerOptions(
            script=(plan, *[answer] * 4), transcription_delay_ms=(100, 400), transcription_failed_per_mille=0, log=True
        )

    def turn_detection(self, silence_ms: int = 500) -> dict[str, Any]:
        """Turn detection as this session has it; a turn ends after so much silence."""
        return {"type": "server_vad", "silence_duration_ms": silence_ms, "interrupt_response": self.server_interrupts}

    def config(self, port: int) -> Config:
        """The conversation's configuration, for its server on this port."""
        path = "v1/realtime?model=gpt-realtime"
        if self.dialect == "azure-preview":
            path = "openai/realtime?api-version=2025-04-01-preview&deployment=gpt-realtime"
        return Config.model_validate(
            {
                "connection": {"dialect": self.dialect, "url": f"ws://127.0.0.1:{port}/{path}", "api_key": "none"},
                "session": {
                    "audio": {"input": {"turn_detection": self.turn_detection(), "transcription": {"model": "whisper-1"}}},
                    "tools": [_TOOL],
                },
                "microphone": {"batch_ms": 20},
                "playout": {"lead_ms": self.lead_ms},
                "context": self.context,
            }
        )


def draw_scenes(seed: int, count: int) -> tuple[Scene, ...]:
    """``count`` conversations that cover the kinds in turn; equal seeds draw equal ones."""
    return tuple(_draw(random.Random(f"{seed}/{number}"), number, KINDS[number % len(KINDS)]) for number in range(count))


def _draw(rng: random.Random, number: int, kind: Kind) -> Scene:
    show = number == 0
    share = rng.random()
    interrupts = show or rng.random() < 0.7
    return Scene(
        number=number,
        kind=kind,
        share=0.35 + 0.3 * share if show else share,
        messages_ms=tuple(length for _, length in _STORY) if show else _lengths(rng, kind),
        voices=(*(voice for voice, _ in _STORY), "order") if show else (),
        dialect="openai" if show or rng.random() < 0.7 else "azure-preview",
        server_interrupts=interrupts,
        context="exact" if not show and interrupts and rng.random() < 0.3 else "auto",
        lead_ms=None if show or rng.random() < 0.7 else 500,
        block_ms=rng.choice((10, 20)),
        flush_ms=rng.choice((0, 10, 20, 40)),
        starts_after_s=0.15 * number,
        turns_ms=(rng.randint(700, 1100), rng.randint(700, 1200)),
        server_seed=rng.randrange(1 << 30),
    )


def _spoken(length_ms: int, voice: str | None) -> MessagePlan:
    return MessagePlan((PartPlan(audio_ms=length_ms, voice=voice),))


def _lengths(rng: random.Random, kind: Kind) -> tuple[int, ...]:
    match kind:
        case "inside message 2":
            return (rng.randint(1400, 1800), rng.randint(1800, 2400), rng.randint(1000, 1500))
        case "at the boundary":
            return (rng.randint(900, 1500), rng.randint(1200, 1800))
        case "during a function call" | "after all was heard":
            return (rng.randint(900, 1300),)
        case _:
            return (rng.randint(1500, 2500), rng.randint(800, 1500))


# -- aiming -------------------------------------------------------------------------------------------------------------------


def aim(scene: Scene, notice: Notice, now: float) -> float | None:
    """When the person must be heard (``now`` seconds), once this notice tells; None: not yet."""
    return _AIMS[scene.kind](scene, notice, now)


def _around(scene: Scene, at: float) -> float:
    """Within some milliseconds of it."""
    return at + (scene.share - 0.4) * 0.02


def _before_first_event(scene: Scene, notice: Notice, now: float) -> float | None:
    return now + (0.1 + 0.85 * scene.share) * _THINK_S if isinstance(notice, UserSpeechStopped) else None


def _between(scene: Scene, notice: Notice, now: float) -> float | None:
    return now + (0.15 + 0.8 * scene.share) * _GAP_S if _is_answer(notice) else None


def _first_sample(scene: Scene, notice: Notice, now: float) -> float | None:
    return _around(scene, now + _GAP_S) if _is_answer(notice) else None


def _inside_1(scene: Scene, notice: Notice, now: float) -> float | None:
    return notice.at + (0.05 + 0.9 * scene.share) * _length(scene, 0) if isinstance(notice, MessageStarted) else None


def _boundary(scene: Scene, notice: Notice, now: float) -> float | None:
    return _around(scene, notice.at + _length(scene, 0)) if isinstance(notice, MessageStarted) else None


def _inside_2(scene: Scene, notice: Notice, now: float) -> float | None:
    if not isinstance(notice, MessageStarted):
        return None
    return notice.at + _length(scene, 0) + (0.05 + 0.9 * scene.share) * _length(scene, 1)


def _underrun(scene: Scene, notice: Notice, now: float) -> float | None:
    return now + 0.06 + 0.4 * scene.share * _STALL_S if isinstance(notice, Underrun) else None


def _all_arrived(scene: Scene, notice: Notice, now: float) -> float | None:
    # The pace makes what is left some three fifths of the sound.
    left = 0.5 * sum(scene.messages_ms) / 1000
    return now + 0.06 + 0.9 * scene.share * left if isinstance(notice, ResponseEnded) else None


def _all_heard(scene: Scene, notice: Notice, now: float) -> float | None:
    return now + 0.06 + 0.5 * scene.share if isinstance(notice, SpeakingStopped) else None


def _call(scene: Scene, notice: Notice, now: float) -> float | None:
    if scene.share < 0.5:  # while its arguments arrive
        added = isinstance(notice, ItemAdded) and notice.item_type == "function_call"
        return now + 0.06 + 2 * scene.share * (_ARGUMENTS_S - 0.1) if added else None
    return now + 0.06 + (2 * scene.share - 1) * (TOOL_S - 0.1) if isinstance(notice, ToolCalled) else None


def _is_answer(notice: Notice) -> bool:
    return isinstance(notice, ItemAdded) and notice.role == "assistant"


def _length(scene: Scene, message: int) -> float:
    return scene.messages_ms[message] / 1000


_AIMS: dict[Kind, Callable[[Scene, Notice, float], float | None]] = {
    "before the first event": _before_first_event,
    "between declaration and audio": _between,
    "on the first sample": _first_sample,
    "inside message 1": _inside_1,
    "at the boundary": _boundary,
    "inside message 2": _inside_2,
    "in an underrun": _underrun,
    "after all audio arrived": _all_arrived,
    "after all was heard": _all_heard,
    "twice within 100 ms": _inside_1,
    "during a function call": _call,
}
