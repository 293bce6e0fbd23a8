"""What kind of world it is: one value, drawn from the seed or written by a test.

Swarm testing: first it is drawn which troubles a world has at all, then how bad they are; a uniform mix would hide rare
combinations. A ``Scenario`` is data: it can be stored, compared and replayed.
"""

from typing import Any, Literal

from msgspec import Struct, structs

from rtcore._formats import PCM16_24K, PCMA, PCMU, AudioFormat
from rtcore.config import Config
from rtcore.sim._kinds import KINDS as KINDS
from rtcore.sim._kinds import Kind as Kind
from rtcore.sim._kinds import KindRow as KindRow
from rtcore.sim._kinds import Turn as Turn
from rtcore.sim._kinds import Weights, weights
from rtcore.sim._rng import Rng
from rtcore.sim.faults import NAMES
from rtcore.sim.network import NetworkOptions
from rtcore.sim.server import ServerOptions
from rtcore.sim.speaker import SpeakerOptions

_FORMATS: dict[str, AudioFormat] = {"audio/pcm": PCM16_24K, "audio/pcmu": PCMU, "audio/pcma": PCMA}

TOOLS: tuple[dict[str, Any], ...] = (
    {
        "type": "function",
        "name": "look_up",
        "description": "Look something up.",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
    },
    {"type": "function", "name": "end_call", "description": "Hang up.", "parameters": {"type": "object", "properties": {}}},
)
"""The functions that a world's model may call."""


class Scenario(Struct, frozen=True):
    """One world's settings. ``tool_ms`` is how long the program takes to answer a function call."""

    interruptions: int = 12
    kinds: Weights = weights(by_speech=True, faults=set(NAMES))
    """The kinds that come up, with their weights."""
    turns: tuple[Turn, ...] | None = None
    """The interruptions themselves, in order: a script. None: ``interruptions`` of them are drawn from ``kinds``."""
    detection: Literal["server_vad", "semantic_vad"] | None = "server_vad"
    server_creates: bool = True
    server_interrupts: bool = True
    context: Literal["auto", "exact"] = "auto"
    output: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    lead_ms: int | None = None
    tools: bool = True
    tool_ms: tuple[int, int] = (20, 1500)
    asides_per_mille: int = 0
    """How many turns the program accompanies with an out-of-band response of its own; some of those are to be heard."""
    edits_per_mille: int = 0
    """How many turns the program edits the conversation beside: it adds a system message, or deletes an old turn of the user."""
    pauses_per_mille: int = 0
    """How many turns the program holds the sound of for a moment."""
    tool_error_per_mille: int = 0
    """How many function calls are answered with an error."""
    tool_late_per_mille: int = 0
    """How many are answered long after anybody waits for it."""
    updates_per_mille: int = 0
    """How many turns the program changes options beside."""
    typed_per_mille: int = 0
    """How many turns are followed by a text that is typed, and is to interrupt nothing."""
    dead_calls_per_mille: int = 0
    """How many turns the program answers a call beside that is unknown, answered or gone."""
    away_per_mille: int = 0
    """How many turns are followed by a while in which the program does not listen."""
    hang_up_turn: int | None = None
    """The number (from 0) of the interruption after which the user hangs up."""
    hang_up_ms: int = 0
    """So long after it."""
    loss: Literal["cut mid-frame", "half-open", "session end"] | None = None
    """How the connection is lost; the world ends then. None: it is not."""
    loss_at_ms: int = 0
    stale_per_mille: int = 0
    """How many server messages come once more, under the number of a connection that is gone."""
    microphone: bool = False
    """The user is heard by the server's own detector in real microphone audio."""
    core: dict[str, Any] = {}
    """Options of the core's ``Config``, laid over those that follow from the rest: how a policy sets what no field names."""
    stream: NetworkOptions = NetworkOptions()
    speaker: SpeakerOptions = SpeakerOptions()
    server: ServerOptions = ServerOptions()
    faults: tuple[str, ...] = ()
    """What can go wrong in this world, by the names of ``rtcore.sim.faults``, in the order of that catalogue."""

    @property
    def audio(self) -> AudioFormat:
        """The format of the model's audio."""
        return _FORMATS[self.output]

    @property
    def detects(self) -> bool:
        """Whether the server finds turns by itself."""
        return self.detection is not None

    def config(self) -> Config:
        """The core's configuration."""
        detection: dict[str, Any] | None = None
        if self.detection is not None:
            detection = {"type": self.detection, "interrupt_response": self.server_interrupts}
            if self.context != "exact":
                detection["create_response"] = self.server_creates
        session: dict[str, Any] = {
            "audio": {
                "input": {"turn_detection": detection, "transcription": {"model": "whisper-1"}},
                "output": {"format": {"type": self.output}},
            }
        }
        if self.tools:
            session["tools"] = list(TOOLS)
        server = self.server
        connection = {"dialect": server.dialect, "url": "ws://localhost/openai", "api_key": "none", "model": server.model}
        options = {"connection": connection, "session": session, "context": self.context, "playout": {"lead_ms": self.lead_ms}}
        return Config.model_validate(_laid_over(options, self.core) if self.core else options)

    def __str__(self) -> str:
        server = f"{self.server.dialect}, {self.detection or 'manual turns'}"
        if self.detection is not None:
            server += f" (creates: {self.server_creates and self.context == 'auto'}, interrupts: {self.server_interrupts})"
        clock = self.speaker
        faults = [name for name in ("late", "slow", "missing", "stale") if getattr(clock, f"{name}_per_mille")]
        return (
            f"{server}, context {self.context}, {self.output}, lead {self.lead_ms} ms, clock reports {clock.report_ms} ms, "
            f"buffers {clock.buffer_ms} ms, stops in {clock.stop_ms[0]}-{clock.stop_ms[1]} ms, "
            f"{'can' if clock.pause else 'cannot'} pause{', faults: ' + ' '.join(faults) if faults else ''}; "
            f"network {self.stream.latency_ms}+{self.stream.jitter_ms} ms"
        )


def scenario_of(seed: int) -> Scenario:
    """What ``World(seed)`` draws for itself."""
    return draw_scenario(Rng(seed).fork("scenario"))


def draw_scenario(rng: Rng) -> Scenario:
    """One of the default mix."""
    detection: Literal["server_vad", "semantic_vad"] | None = None
    if rng.chance(800):
        detection = rng.choice(("server_vad", "server_vad", "server_vad", "semantic_vad"))
    context: Literal["auto", "exact"] = "exact" if rng.chance(250) else "auto"
    interrupts = not rng.chance(250)
    return Scenario(
        interruptions=rng.between(10, 40),
        kinds=weights(by_speech=detection is not None, faults=set(NAMES)),
        detection=detection,
        server_creates=detection is not None and context == "auto" and interrupts and not rng.chance(250),
        server_interrupts=interrupts,
        context=context,
        output=rng.choice(("audio/pcm",) * 7 + ("audio/pcmu", "audio/pcmu", "audio/pcma")),
        lead_ms=rng.choice((200, 500, 1000, 3000)) if rng.chance(300) else None,
        tools=rng.chance(700),
        tool_ms=rng.choice(((0, 20), (20, 1500), (500, 4000))),
        asides_per_mille=300 if rng.chance(150) else 0,
        edits_per_mille=300 if rng.chance(150) else 0,
        pauses_per_mille=400 if rng.chance(200) else 0,
        stale_per_mille=20 if rng.chance(200) else 0,
        microphone=detection is not None and rng.chance(60),
        stream=_draw_network(rng),
        speaker=_draw_speaker(rng),
        server=_draw_server(rng),
    )


def _draw_network(rng: Rng) -> NetworkOptions:
    return NetworkOptions(
        latency_ms=rng.choice((0, 5, 20, 40, 80, 150)),
        jitter_ms=rng.choice((0, 5, 20, 60)),
        burst_ms=rng.choice((20, 60, 120)) if rng.chance(150) else 0,
        stall_per_mille=rng.between(2, 20) if rng.chance(150) else 0,
        stream=rng.chance(250),
    )


def _draw_speaker(rng: Rng) -> SpeakerOptions:
    options = SpeakerOptions(
        buffer_ms=rng.choice((0, 10, 20, 40, 80, 160)),
        block_ms=rng.choice((10, 20)),
        drift_ppm=rng.between(-200, 200),
        report_ms=rng.choice((10, 20, 20, 50, 50, 100, 100, 200)),
        stop_ms=rng.choice(((0, 0), (0, 40), (0, 40), (20, 120), (100, 300))),
        answer_ms=rng.choice(((0, 0), (0, 5), (5, 45))),
        instant_per_mille=rng.choice((0, 300, 1000)),
        stale_per_mille=100 if rng.chance(150) else 0,
        hold_tail=rng.chance(250),
        pause=rng.chance(700),
    )
    if not rng.chance(120):
        return options
    faults = {name: rng.between(50, 400) for name in ("late_per_mille", "slow_per_mille", "missing_per_mille") if rng.chance(500)}
    return structs.replace(options, **faults)


def _draw_server(rng: Rng) -> ServerOptions:
    slow = rng.chance(250)  # hardly faster than it sounds, so that the speaker runs dry
    low, high = (70, 140) if slow else (150, 1500)
    return ServerOptions(
        dialect="azure-preview" if rng.chance(300) else "openai",
        audio_ms=rng.choice(((200, 1500), (300, 4000), (1000, 7000))),
        think_ms=rng.choice(((0, 50), (30, 900))),
        message_weights=rng.choice(((55, 30, 15), (20, 60, 20), (90, 10, 0))),
        rate_percent=(low, high),
        delta_ms=rng.choice(((20, 60), (100, 200), (100, 200), (50, 400))),
        stall_per_mille=400 if rng.chance(200) else 60,
        call_per_mille=rng.choice((100, 250, 600)),
    )


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """``below`` with what ``above`` says instead, object by object."""
    both = dict(below)
    for name, value in above.items():
        under = both.get(name)
        both[name] = _laid_over(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return both
