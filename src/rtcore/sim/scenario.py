"""What kind of world it is: one value, drawn from the seed or written by a test.

Swarm testing: first it is drawn which troubles a world has at all, then how bad they are; a uniform mix would hide rare
combinations. A ``Scenario`` is data: it can be stored, compared and replayed.
"""

from typing import Any, Literal

from msgspec import Struct, structs

from rtcore._formats import PCM16_24K, PCMA, PCMU, AudioFormat
from rtcore.config import Config
from rtcore.dialects import DIALECTS
from rtcore.sim._audit_fillers import FILLER
from rtcore.sim._call_world import on_a_call
from rtcore.sim._hearing_world import FAULTS as HEARING
from rtcore.sim._hearing_world import with_echo
from rtcore.sim._kinds import KINDS as KINDS
from rtcore.sim._kinds import Kind as Kind
from rtcore.sim._kinds import KindRow as KindRow
from rtcore.sim._kinds import Turn as Turn
from rtcore.sim._kinds import Weights, weights
from rtcore.sim._pause_world import pausing_first
from rtcore.sim._rng import Rng
from rtcore.sim._server_dialects import MANNERS
from rtcore.sim._server_plan import draw_rules
from rtcore.sim._switches import present, without
from rtcore.sim._words import FAULTS as WORDS
from rtcore.sim._words import Words, with_words
from rtcore.sim.faults import NAMES
from rtcore.sim.network import NetworkOptions
from rtcore.sim.server import ServerOptions
from rtcore.sim.speaker import SpeakerOptions

_FORMATS: dict[str, AudioFormat] = {"audio/pcmu": PCMU, "audio/pcma": PCMA}
_USUAL = PCM16_24K.rate
_URLS = {"inworld": "ws://localhost/api/v1/realtime/session?key=world"}

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
    interruption: Literal["cut", "ignore", "pause", "half_duplex"] = "cut"
    """What speech of the user does to speech of the model, by the core's policy."""
    output: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate: int = 24_000
    """Samples per second of the model's PCM; G.711 has its own."""
    lead_ms: int | None = None
    tools: bool = True
    tool_ms: tuple[int, int] = (20, 1500)
    asides_per_mille: int = 0
    """How many turns the program accompanies with an out-of-band response of its own; some of those are to be heard."""
    edits_per_mille: int = 0
    """How many turns the program edits the conversation beside: it adds a system message, or deletes an old turn of the user."""
    syncs_per_mille: int = 0
    """How many turns the program synchronises the conversation beside with a list of its own."""
    pauses_per_mille: int = 0
    """How many turns the program holds the sound of for a moment."""
    mutes_per_mille: int = 0
    """How many turns the program mutes the user beside, for a moment."""
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
    button: bool = False
    """The turns are made by a button, where the server does not find them: ``begin_turn`` and ``end_turn``."""
    echo_ms: int = 0
    """The microphone hears the loudspeaker so much later (``microphone``, and sound in PCM of 24 kHz); 0: it does not."""
    echo_shift: int = 2
    """.. and by so many bits softer."""
    guard_ms: int = 0
    """So long behind the model's first sample a voice may be its own (``config.barge_in.echo_guard_ms``) ..."""
    guard: Literal["ignore", "defer"] = "defer"
    """.. and what becomes of such a one."""
    recogniser: bool = False
    """The turns come in words, from a recogniser of the program's own beside a local detector: ``speech`` and ``user_turn``."""
    idle_ms: int | None = None
    """When nobody has said anything for so long, the program is told (``config.timeouts.idle_ms``). None: it is not."""
    slow_ms: int | None = None
    """A function that takes so long is told, and bridged by a few words beside the conversation. None: it is not."""
    says_per_mille: int = 0
    """How many turns the program says something beside with a voice of its own."""
    tool_cancel_per_mille: int = 0
    """How many function calls the program gives up, most of them before they would have been answered."""
    talk_ms: tuple[int, int] | None = None
    """How long the user's speech lasts that interrupts, until its end is found; None: as each kind of interruption has it."""
    hold_ms: int = 0
    """How long the first audio of each response is held back, for the program's guardrail to look at."""
    blocks_per_mille: int = 0
    """How many of those responses the guardrail cuts before a word of them is heard."""
    device_lost_per_mille: int = 0
    """How many turns the audio device vanishes beside, to come back some seconds later."""
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
    batch_ms: int = 40
    """How much microphone audio the core puts into one message."""
    early: bool = False
    """The program gives commands before the session is ready."""
    names_defaults: bool = True
    """What the server does by default anyway is named in the configuration."""
    words: Words = Words()
    """What it has of the protocol's wider vocabulary."""
    core: dict[str, Any] = {}
    """Options of the core's ``Config``, laid over those that follow from the rest: how a policy sets what no field names."""
    stream: NetworkOptions = NetworkOptions()
    speaker: SpeakerOptions = SpeakerOptions()
    server: ServerOptions = ServerOptions()

    @property
    def audio(self) -> AudioFormat:
        """The format of the model's audio."""
        return AudioFormat("audio/pcm", self.rate) if self.output == "audio/pcm" else _FORMATS[self.output]

    @property
    def detects(self) -> bool:
        """Whether the server finds turns by itself."""
        return self.detection is not None

    def config(self) -> Config:
        """The core's configuration."""
        detection: dict[str, Any] | None = None
        if self.detection is not None:
            named = self.names_defaults
            detection = {"type": self.detection}
            if named or not self.server_interrupts:
                detection["interrupt_response"] = self.server_interrupts
            if self.context != "exact" and (named or not self.server_creates or not self.server_interrupts):
                detection["create_response"] = self.server_creates
        session: dict[str, Any] = {
            "audio": {
                "input": {"turn_detection": detection, "transcription": {"model": "whisper-1"}},
                "output": {"format": {"type": self.output} if self.rate == _USUAL else {"type": self.output, "rate": self.rate}},
            }
        }
        said = ((self.core.get("session") or {}).get("audio") or {}).get("input") or {}
        begins = MANNERS[self.server.dialect].begins
        if detection == {"type": begins} == {"type": "server_vad"} and "turn_detection" not in said:
            del session["audio"]["input"]["turn_detection"]  # what is not said at all is the server's default
        if self.names_defaults:
            session["output_modalities"] = ["audio"]
        if self.tools:
            session["tools"] = list(TOOLS)
        self.words.into(session)
        server = self.server
        connection = {
            "dialect": server.dialect,
            "url": _URLS.get(server.dialect, "ws://localhost/openai"),
            "api_key": "none",
            "model": server.model,
        }
        if server.call is not None:
            connection["call_id"] = "rtc_world"
        if session.get("type") == "transcription" and DIALECTS[server.dialect].way.intents:
            del connection["model"]  # dialled by its intent
        options: dict[str, Any] = {
            "connection": connection,
            "session": session,
            "context": self.context,
            "interruption": self.interruption,
            "playout": {"lead_ms": self.lead_ms} | ({"hold_ms": self.hold_ms} if self.hold_ms else {}),
            "microphone": {"batch_ms": self.batch_ms},
            # A world of one server ends with its connection; those in which it comes back are ``rtcore.sim.lines``.
            "reconnect": {"attempts": 0},
        }
        if self.guard_ms:
            options["barge_in"] = {"echo_guard_ms": self.guard_ms, "echo_guard": self.guard}
        if self.idle_ms is not None:
            options["timeouts"] = {"idle_ms": self.idle_ms}
        if self.slow_ms is not None:
            options["function_calls"] = {"slow_ms": self.slow_ms, "filler": FILLER}
        if self.words.tap != "off":
            options["tap"] = self.words.tap
        return Config.model_validate(_laid_over(options, self.core) if self.core else options)

    @property
    def faults(self) -> tuple[str, ...]:
        """What can go wrong in this world, by the names of ``rtcore.sim.faults``, in the order of that catalogue.

        It follows from the options, so that a scenario changed by hand says the truth; ``without`` takes one out.
        """
        return present(self)

    def without(self, fault: str) -> "Scenario":
        """The same, but this fault cannot happen. Raises KeyError for a name that is not in the catalogue."""
        return without(self, fault)

    def __str__(self) -> str:
        server = f"{self.server.dialect}, {self.detection or 'manual turns'}"
        if self.detection is not None:
            server += f" (creates: {self.server_creates and self.context == 'auto'}, interrupts: {self.server_interrupts})"
        clock = self.speaker
        speech = _SAID_OF_SPEECH[self.interruption]
        return (
            f"{server}, context {self.context}{speech}, {self.output}, lead {self.lead_ms} ms; "
            f"clock reports {clock.report_ms} ms, buffers {clock.buffer_ms} ms, "
            f"stops in {clock.stop_ms[0]}-{clock.stop_ms[1]} ms; network {self.stream.latency_ms}+{self.stream.jitter_ms} ms; "
            f"{'microphone audio; ' if self.microphone else ''}faults: {', '.join(self.faults) or 'none'}"
        )


_SAID_OF_SPEECH = {
    "cut": "",
    "ignore": ", speech of the user is ignored",
    "pause": ", speech of the user pauses first",
    "half_duplex": ", half duplex",
}


def scenario_of(seed: int) -> Scenario:
    """What ``World(seed)`` draws for itself."""
    return draw_scenario(Rng(seed).fork("scenario"))


def draw_scenario(rng: Rng) -> Scenario:
    """One of the default mix: first which faults exist, then what kind of world it is, and how bad they are."""
    return _draw_parts(rng, draw_faults(rng.fork("faults")))


def draw_with(rng: Rng, faults: set[str]) -> Scenario:
    """A world with these faults, and those without which one of them cannot happen; as far as they go together."""
    return _draw_parts(rng, faults.union(*(_NEEDS.get(fault, ()) for fault in faults)))


def _draw_parts(rng: Rng, faults: set[str]) -> Scenario:
    seed = rng.bits()
    # A stream for each part: another option in one of them shifts no other.
    scenario = _draw_session(
        Rng(seed).fork("session"),
        faults,
        stream=_draw_network(Rng(seed).fork("network"), faults),
        speaker=_draw_speaker(Rng(seed).fork("speaker"), faults),
        server=_draw_server(Rng(seed).fork("server"), faults),
    )
    if "server: sounds by itself" in faults:
        scenario = on_a_call(scenario, Rng(seed).fork("call"))
    else:
        scenario = pausing_first(scenario, Rng(seed).fork("pause first"))
    scenario = with_words(scenario, faults, Rng(seed).fork("words"))
    return with_echo(scenario, faults, Rng(seed).fork("echo")) if faults & HEARING else scenario


def draw_faults(rng: Rng) -> set[str]:
    """Which faults exist: none in some worlds, many in some, few in most, so that deep states are reached."""
    mood = rng.below(sum(weight for weight, _ in _MOODS))
    percent = 0
    for weight, chosen in _MOODS:
        mood -= weight
        if mood < 0:
            percent = chosen
            break
    base = rng.bits()
    found = {name for name in NAMES if Rng(base).fork(name).chance(min(900, _CHANCE[name] * percent // 100))}
    if len(found.intersection(_ENDS)) > 1:  # a world ends once
        found -= set(_ENDS) - {Rng(base).choice(sorted(found.intersection(_ENDS)))}
    if "server: late announcement" in found and Rng(base).fork("behind with both").chance(600):
        found.add("server: slow cancel")  # a delete that waits for its announcement meets a response that does not end
    if "speaker: missing answer" in found:
        # An estimate shows what the core made of the clock's words: of a smaller one, and of a pause.
        found |= {name for name in _ESTIMATED if Rng(base).fork(f"{name} beside missing answers").chance(600)}
        if Rng(base).fork("holds beside missing answers").chance(600):
            found.discard("speaker: no pause")
    if "server: error without event_id" in found and Rng(base).fork("asides beside nameless errors").chance(400):
        found.add("program: out-of-band response")  # with two responses it matters which of them an error is about
    if percent:
        # The interruptions that hit a spot cost nothing: most worlds have most of them.
        found |= {name for name in _SPOTS if Rng(base).fork(f"spot {name}").chance(600)}
    return found


_MOODS: tuple[tuple[int, int], ...] = ((8, 0), (50, 40), (30, 100), (12, 220))
"""How many worlds are how troubled: weights, and percent of the chances below."""
_ENDS = ("network: cut mid-frame", "network: half-open", "server: session end", "user: hang-up")
_ESTIMATED = ("speaker: stale report", "program: pauses")
"""What an estimate can be led astray by; most worlds in which answers are lost have them."""
_SPOTS = (
    "user: end of an item",
    "user: between two deltas",
    "user: with nothing queued",
    "user: while a truncate is in flight",
    "user: typed text while the model speaks",
    "program: interrupt before response.created",
)
_NEEDS: dict[str, tuple[str, ...]] = {
    "program: slow tools": ("server: several function calls",),
    "program: failing tools": ("server: several function calls",),
    "program: tools given up": ("server: several function calls",),
    "program: words for a wait": ("server: several function calls",),
    "program: answer to a dead call": ("server: several function calls",),
    "speaker: late pause": ("program: pauses",),
    "speaker: no pause": ("program: pauses",),
    "server: error without event_id": ("server: rejection",),
    "server: error behind its response": ("server: failed response",),
    "user: with nothing queued": ("speaker: underrun",),
    "speaker: echo": ("program: half duplex",),
    "program: input of its own": ("program: out-of-band response",),
}
"""What has to exist for a fault to happen at all, or more than once in many worlds."""
_CHANCE: dict[str, int] = dict.fromkeys(NAMES, 150) | {
    "network: latency": 800,
    "network: jitter": 500,
    "network: split": 250,
    "network: slow reader": 80,
    "server: bursts": 400,
    "server: late deltas": 600,
    "server: late announcement": 250,
    "server: interleaved items": 500,
    "server: failed response": 250,
    "server: incomplete response": 250,
    "server: filtered response": 250,
    "server: text-only answer": 300,
    "server: error without event_id": 400,
    "server: cascade before speech_started": 250,
    "server: several function calls": 700,
    "server: preview dialect": 300,
    "server: two audio parts": 300,
    "speaker: drift": 600,
    "speaker: underrun": 400,
    "speaker: large buffer": 100,
    "speaker: slow answer": 60,
    "speaker: late answer": 60,
    "speaker: missing answer": 160,
    "speaker: no pause": 300,
    "server: slot held by nothing": 250,
    "server: slow to begin": 100,
    "server: error behind its response": 600,
    "program: out-of-band response": 300,
    "user: cough": 400,
    "user: backchannel": 400,
    "user: silence": 250,
    "user: pressed twice": 500,
    "program: pauses": 300,
    "program: mute": 80,
    "program: guardrail": 100,
    "program: history synchronised": 100,
    "user: button": 300,
    "user: own recogniser": 350,
    "program: words for a wait": 120,
    "program: told of silence": 80,
    "program: own voice": 120,
    "program: tools given up": 200,
    "program: history edits": 250,
    "network: cut mid-frame": 50,
    "network: half-open": 30,
    "server: session end": 80,
    "speaker: echo": 300,
    "program: half duplex": 200,
    "program: echo guard": 200,
    "speaker: device lost": 160,
    "speaker: marks only": 60,
    "speaker: no reports": 40,
    "server: sounds by itself": 60,
    **dict.fromkeys(WORDS, 120),
    "server: only transcribes": 40,
    "speaker: wrong answer": 60,
    "speaker: falls silent": 60,
    "user: hang-up": 60,
}
"""In how many of 1000 worlds of the usual mood each fault exists."""
_DELTAS_MS = ((20, 60), (60, 120), (100, 200), (100, 400), *((200, 400),) * 2, *((200, 800),) * 3, *((400, 1200),) * 3)
_REPORTS_MS = (10, 20, 20, *(50,) * 3, *(100,) * 8, *(200,) * 16)
"""How long a server's deltas are, and how often a device reports: seldom finely, because an interruption of a fine world costs
twice that of a coarse one and comes upon little more."""
_BATCHES_MS = (10, 20, 40, 40, 60, 100, 100, 250)
"""How much microphone audio goes into one message: a frame of 40 ms seldom fills it exactly."""
_FALLS_SILENT = 150
"""In how many of 1000 worlds whose line stalls it does so for 9 to 13 s."""
_REFUSES_REPEATS = 500
"""In how many of 1000 worlds whose server drops what it says after a truncate it also refuses to be told the same once more."""
_RECREATES = 150
"""In how many of 1000 worlds whose server answers by itself its stale answers are taken back."""
_COALESCES = 100
"""In how many of 1000 worlds plain requests that wait become one."""
_HOLDS_LESS = 80
"""In how many of 1000 worlds the server holds less of each part than it sent (F005)."""
_IGNORES = 250
"""In how many of 1000 worlds where the server does not interrupt the core does not either (``interruption="ignore"``)."""


def _draw_session(
    rng: Rng, faults: set[str], *, stream: NetworkOptions, speaker: SpeakerOptions, server: ServerOptions
) -> Scenario:
    detection: Literal["server_vad", "semantic_vad"] | None = None
    if rng.chance(800):
        detection = rng.choice(("server_vad", "server_vad", "server_vad", "semantic_vad"))
    context: Literal["auto", "exact"] = "exact" if rng.chance(250) else "auto"
    interrupts = not rng.chance(250)
    creates = detection is not None and context == "auto" and (not rng.chance(250) if interrupts else rng.chance(300))
    ignores = detection is not None and not interrupts and rng.chance(_IGNORES)
    if "speaker: missing answer" in faults and detection is not None and rng.beside("beside missing answers").chance(600):
        # Only a server that answers by itself answers before a flush is settled; so the next flush meets the lost answer.
        context, interrupts, creates, ignores = "auto", True, True, False
    interruptions = rng.between(10, 40)
    loss: Literal["cut mid-frame", "half-open", "session end"] | None = None
    if "network: cut mid-frame" in faults:
        loss = "cut mid-frame"
    elif "network: half-open" in faults:
        loss = "half-open"
    elif "server: session end" in faults:
        loss = "session end"

    def rate(fault: str, low: int, high: int) -> int:
        drawn = rng.between(low, high)
        return drawn if fault in faults else 0

    tools = "server: several function calls" in faults
    guardrail, synchronises = rng.beside("guardrail"), rng.beside("synchronises")
    bridges = rng.beside("words for a wait")
    in_words = "user: own recogniser" in faults and detection is None
    lead_ms = rng.choice((200, 500, 1000, 3000)) if rng.chance(300) else None
    if speaker.silent_per_mille:
        lead_ms = None  # it would stand still for seconds each time the device tells nothing, and what waits would grow as well
    if lead_ms is not None:
        # A lead within the device's own buffer starves it: it would sound at half speed, and what waits would grow without end.
        lead_ms = max(lead_ms, speaker.buffer_ms + speaker.block_ms + 2 * speaker.clock.report_ms)
    lead_ms = _within_a_report(lead_ms, speaker, rng.beside("lead within a report"))
    return Scenario(
        interruptions=interruptions,
        kinds=weights(by_speech=detection is not None, faults=faults),
        detection=detection,
        server_creates=creates,
        server_interrupts=interrupts,
        context=context,
        interruption="ignore" if ignores else "cut",
        output=rng.choice(("audio/pcm",) * 7 + ("audio/pcmu", "audio/pcmu", "audio/pcma")),
        lead_ms=lead_ms,
        tools=tools,
        tool_ms=rng.choice(((0, 20), (20, 1500), (500, 4000))),
        tool_error_per_mille=rate("program: failing tools", 100, 700) if tools else 0,
        tool_late_per_mille=rate("program: slow tools", 50, 300) if tools else 0,
        dead_calls_per_mille=rate("program: answer to a dead call", 200, 600),
        updates_per_mille=rate("program: update in mid-response", 200, 600),
        away_per_mille=rate("program: stops listening", 100, 400),
        typed_per_mille=rate("user: typed text while the model speaks", 50, 300),
        asides_per_mille=rate("program: out-of-band response", 100, 500),
        edits_per_mille=rate("program: history edits", 100, 500),
        syncs_per_mille=synchronises.choice((200, 500)) if "program: history synchronised" in faults else 0,
        pauses_per_mille=rate("program: pauses", 100, 500),
        button="user: button" in faults and detection is None and not in_words,
        recogniser=in_words,
        idle_ms=rng.beside("silence").choice((200, 500, 2000)) if "program: told of silence" in faults else None,
        slow_ms=bridges.choice((100, 300, 300, 1000)) if "program: words for a wait" in faults and tools else None,
        says_per_mille=rng.beside("own voice").between(100, 600) if "program: own voice" in faults else 0,
        tool_cancel_per_mille=rng.beside("given up").between(100, 600) if "program: tools given up" in faults and tools else 0,
        mutes_per_mille=rng.beside("mute").between(100, 500) if "program: mute" in faults and detection is not None else 0,
        hold_ms=guardrail.choice((20, 100, 300, 300, 1000, 2500)) if "program: guardrail" in faults else 0,
        blocks_per_mille=guardrail.choice((0, 100, 300)) if "program: guardrail" in faults else 0,
        device_lost_per_mille=rate("speaker: device lost", 30, 200),
        hang_up_turn=rng.below(interruptions) if "user: hang-up" in faults else None,
        hang_up_ms=rng.choice((0, 5, 50, 400, 4000)) if "user: hang-up" in faults else 0,
        loss=loss,
        loss_at_ms=rng.between(500, 60_000) if loss is not None else 0,
        stale_per_mille=20 if rng.chance(200) else 0,
        microphone=detection is not None and rng.chance(50),
        batch_ms=rng.beside("batch").choice(_BATCHES_MS),
        early=rng.chance(150),
        names_defaults=rng.chance(500),
        core=_draw_core(rng.beside("decisions"), by_server=creates)
        | (
            {"text_answers": "retry"}
            if "server: text-only answer" in faults and rng.beside("written answers").chance(400)
            else {}
        ),
        stream=stream,
        speaker=speaker,
        server=server,
    )


def _draw_core(rng: Rng, *, by_server: bool) -> dict[str, Any]:
    """Decisions that a program may make by configuration, in some worlds."""
    drawn: dict[str, Any] = {}
    if rng.chance(_RECREATES) and by_server:
        drawn["stale_context"] = "recreate"
    if rng.chance(_COALESCES):
        drawn["coalesce"] = "plain"
    return drawn


def _within_a_report(lead_ms: int | None, speaker: SpeakerOptions, rng: Rng) -> int | None:
    """The lead, or one that ends long before the clock's next word: the core has to know better (F019, F020).

    Only where two reports are enough for the device: a word may be one report old, and its buffer is to be filled even so.
    """
    needed, clock = speaker.buffer_ms + 2 * speaker.block_ms, speaker.clock
    fits = clock.reports and clock.report_ms >= needed and not speaker.silent_per_mille
    if not fits or not (rng.chance(700) if speaker.marks_ms else lead_ms is not None and rng.chance(400)):
        return lead_ms
    return rng.between(needed, max(needed, clock.report_ms))


def _or(usual: tuple[int, int], instead: tuple[int, int] | None) -> tuple[int, int]:
    """``instead``, where there is one; the usual value is drawn all the same, so that nothing behind it shifts."""
    return usual if instead is None else instead


def _draw_network(rng: Rng, faults: set[str]) -> NetworkOptions:
    # Some lines stand still for longer than a client waits for anything (10 s); seldom, or nothing else would happen there.
    silent = rng.beside("silent line")
    still, how_often = silent.chance(_FALLS_SILENT), silent.between(2, 4)
    return NetworkOptions(
        latency_ms=rng.choice((20, 40, 80, 150)) if "network: latency" in faults else rng.choice((0, 0, 5)),
        jitter_ms=rng.choice((5, 20, 60)) if "network: jitter" in faults else 0,
        burst_ms=rng.choice((20, 60, 120)) if "network: merge" in faults else 0,
        stall_per_mille=min(rng.between(2, 20), how_often if still else 20) if "network: stall" in faults else 0,
        stall_ms=_or(rng.choice(((100, 600), (100, 600), (1000, 5000))), (9000, 13_000) if still else None),
        slow_reader_kib=rng.choice((200, 300, 500)) if "network: slow reader" in faults else 0,
        stream="network: split" in faults or "network: cut mid-frame" in faults,
    )


def _draw_speaker(rng: Rng, faults: set[str]) -> SpeakerOptions:
    def rate(fault: str, low: int, high: int) -> int:
        drawn = rng.between(low, high)
        return drawn if f"speaker: {fault}" in faults else 0

    drift = rng.between(50, 500) * rng.choice((-1, 1))
    moods = rng.beside("moods")
    # A device far away (a network, a telephone) declares that it takes long; then a second flush meets the first.
    declared = rng.beside("declared latency")
    patient, far = declared.chance(800 if "speaker: missing answer" in faults else 120), declared.chance(500)
    flush_latency_ms, answer_ms = declared.choice((1000, 2500)), (100, 900)
    if "speaker: missing answer" in faults and declared.chance(700):
        patient, flush_latency_ms = True, 2500  # so long that the next flush comes while one is waited for that is lost
    return SpeakerOptions(
        buffer_ms=rng.choice((200, 300, 500)) if "speaker: large buffer" in faults else rng.choice((0, 10, 20, 40, 80, 160)),
        block_ms=rng.choice((10, 20)),
        drift_ppm=drift if "speaker: drift" in faults else rng.between(-20, 20),
        report_ms=rng.choice(_REPORTS_MS),
        stop_ms=rng.choice(((0, 0), (0, 40), (0, 40), (20, 120), (100, 300))),
        answer_ms=_or(rng.choice(((0, 0), (0, 5), (5, 45))), answer_ms if patient and far else None),
        instant_per_mille=rng.choice((0, 300, 1000)),
        late_per_mille=rate("late answer", 50, 400),
        slow_per_mille=rate("slow answer", 50, 400),
        missing_per_mille=rate("missing answer", 50, 400),
        duplicate_per_mille=rate("duplicate answer", 100, 500),
        wrong_per_mille=rate("wrong answer", 50, 300),
        stale_per_mille=rate("stale report", 100, 300),
        marks_ms=rng.choice((100, 200, 500)) if "speaker: marks only" in faults else 0,
        reports="none" if "speaker: no reports" in faults else "all",
        late_pause_ms=rng.choice(((20, 60), (20, 300))) if "speaker: late pause" in faults else (0, 0),
        hold_tail=rng.chance(250),
        flush_latency_ms=flush_latency_ms if patient else 350,
        padding_per_mille=moods.choice((200, 700, 1000)) if "speaker: counted padding" in faults else 0,
        silent_per_mille=moods.choice((10, 40, 100)) if "speaker: falls silent" in faults else 0,
        pause="speaker: no pause" not in faults or "speaker: no reports" in faults,
    )


def _draw_server(rng: Rng, faults: set[str]) -> ServerOptions:
    def rate(fault: str, low: int, high: int) -> int:
        drawn = rng.between(low, high)
        return drawn if f"server: {fault}" in faults else 0

    runs_dry = "speaker: underrun" in faults
    slow = runs_dry and rng.chance(600)  # hardly faster than it sounds, so that the speaker runs dry
    ends = "server: incomplete response" in faults or "server: filtered response" in faults
    rules = draw_rules(rng.fork("rules"), harsh=False, held_short_ms=0)
    # What such a server refuses no client can know before; both from a stream of their own.
    unknown = rng.beside("answers to truncates")
    refuses, short = unknown.chance(_REFUSES_REPEATS), unknown.chance(_HOLDS_LESS)
    rules = structs.replace(
        rules,
        # Where the server keeps what it says after a truncate, its repeat is another truncate: only here it can be idle.
        truncate_repeat="refused" if refuses and rules.truncate_midway == "drops_later" else "accepted",
        held_short_ms=unknown.choice((20, 85, 300)) if short else 0,
        cascade="before_speech_started" if "server: cascade before speech_started" in faults else "after_speech_started",
        whole_samples="server: odd bytes" not in faults,
        error_event_id=rng.choice(("usual", "never")) if "server: error without event_id" in faults else "always",
    )
    odd = "server: odd bytes" in faults
    slow_to_think = rng.beside("slow to think").chance(200)
    lagging = rng.beside("lagging transcripts")
    return ServerOptions(
        dialect="azure-preview" if "server: preview dialect" in faults else "openai",
        rules=rules,
        audio_ms=rng.choice(((100, 700), (200, 1500), (200, 1500), (300, 3000), (1000, 6000))),
        # Some think for longer than a client waits before it asks for the answer to a function's result (F127).
        think_ms=_or(rng.choice(((0, 50), (0, 50), (30, 600))), (2000, 5000) if slow_to_think else None),
        message_weights=rng.choice(((40, 40, 20), (20, 60, 20), (90, 10, 0))),
        rate_percent=(70, 140) if slow else (150, 1500),
        delta_ms=rng.choice(_DELTAS_MS),
        ragged_per_mille=rng.choice((250, 800)) if odd or rng.chance(300) else 0,
        burst_per_mille=rate("bursts", 150, 600),
        stall_per_mille=rng.choice((60, 400)) if runs_dry else 0,
        interleave_per_mille=rate("interleaved items", 200, 800),
        call_per_mille=rng.choice((100, 250, 600)),
        text_per_mille=rate("text-only answer", 20, 200),
        two_parts_per_mille=rate("two audio parts", 50, 400),
        incomplete_per_mille=rng.between(20, 150) if ends else 0,
        failed_per_mille=rate("failed response", 10, 120),
        stragglers=(0, 9) if "server: late deltas" in faults else (0, 0),
        overlap_per_mille=rate("overlapping responses", 50, 300),
        duplicate_per_mille=rate("duplicate event", 15, 130),
        unknown_per_mille=rate("unknown event", 15, 80),
        malformed_per_mille=rate("malformed event", 15, 80),
        reject_per_mille=rate("rejection", 20, 80),
        reorder_per_mille=rate("reordered output_item.done", 100, 400),
        no_created_per_mille=rate("missing response.created", 50, 300),
        empty_audio_per_mille=rate("empty audio", 50, 300),
        short_audio_per_mille=rate("fewer samples than announced", 50, 300),
        late_announcement_per_mille=rate("late announcement", 150, 700),
        linger_per_mille=rate("slow cancel", 200, 600),
        # Words behind their sound: in a few worlds, and there in half of the answers.
        lagging_per_mille=500 if lagging.chance(80) else 0,
        limit_minutes=rng.beside("limit").choice((60, 60, 60, 30)) if "server: session end" in faults else None,
        # Behind the others, so that they shift none of them.
        phantom_per_mille=rate("slot held by nothing", 50, 300),
        slow_per_mille=rate("slow to begin", 20, 150),
        late_error_per_mille=rate("error behind its response", 400, 1000),
        # Beside a second response nobody could tell which of the two a refused cancel means.
        no_done_per_mille=0 if "server: overlapping responses" in faults else rate("missing response.done", 50, 250),
    )


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """``below`` with what ``above`` says instead, object by object."""
    both = dict(below)
    for name, value in above.items():
        under = both.get(name)
        both[name] = _laid_over(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return both
