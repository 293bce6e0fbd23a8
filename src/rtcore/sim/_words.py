"""What a world has of the protocol's wider vocabulary: remote tools, keys, silence that is told, images, raw events, taps.

Nothing of it is in most worlds. Each is drawn from a stream of its own, as one of the catalogue's faults, and has its rule in
``_audit_words``.
"""

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, structs

from rtcore._errors import LocalProtocolError
from rtcore.dialects import DIALECTS, Dialect
from rtcore.sim._rng import Rng

if TYPE_CHECKING:
    from rtcore.sim.scenario import Scenario

REMOTE_TOOLS: tuple[dict[str, Any], ...] = (
    {"type": "mcp", "server_label": "docs", "server_url": "https://tools.example/mcp", "require_approval": "never"},
    {"type": "mcp", "server_label": "deaf"},
)
"""A remote server that answers, and one that has no address and cannot be asked for its tools."""
PROMPT = {"id": "pmpt_world", "version": "2", "variables": {"city": "Paris"}}
LOGPROBS = "item.input_audio_transcription.logprobs"
KEYS = "0123456789*#ABCD"


class Words(Struct, frozen=True):
    """Which of it there is; the defaults are none."""

    remote_tools: bool = False
    """Remote (MCP) servers are named in the session; ``ServerOptions.remote_per_mille`` is how often their tools are called."""
    idle_ms: int | None = None
    """So long a silence is told and answered by the server."""
    keys_per_mille: int = 0
    """How many turns the caller presses keys of the telephone beside."""
    raw_per_mille: int = 0
    """How many turns the program sends an event beside that the protocol does not know; the strict server refuses it."""
    images_per_mille: int = 0
    """How many turns the program shows a picture beside."""
    own_input: bool = False
    """Responses beside the conversation bring their own input and metadata."""
    logprobs: bool = False
    """How sure the transcription is, is asked for."""
    prompt: bool = False
    """A stored prompt is named."""
    tap: Literal["off", "unknown", "all"] = "off"
    """What the program listens in on (``Config.tap``)."""
    listens: bool = False
    """A transcription session: it never answers."""

    def into(self, session: dict[str, Any]) -> None:
        """Say it in the session's options (GA)."""
        if self.remote_tools:
            session["tools"] = [*session.get("tools", ()), *REMOTE_TOOLS]
        if self.prompt:
            session["prompt"] = PROMPT
        if self.logprobs:
            session["include"] = [LOGPROBS]
        if self.idle_ms is not None:
            detection = session["audio"]["input"].setdefault("turn_detection", {"type": "server_vad"})
            session["audio"]["input"]["turn_detection"] = {**detection, "idle_timeout_ms": self.idle_ms}
        if self.listens:
            detection = session["audio"]["input"].get("turn_detection", {"type": "server_vad"})
            for name in list(session):
                if name not in ("audio", "include"):
                    del session[name]
            session["type"] = "transcription"
            del session["audio"]["output"]
            if detection is not None:
                session["audio"]["input"]["turn_detection"] = {"type": detection["type"]}


FAULTS: dict[str, str] = {
    "server: remote tools": "remote_tools",
    "server: idle time-out": "idle_ms",
    "server: only transcribes": "listens",
    "user: presses keys": "keys_per_mille",
    "program: raw event": "raw_per_mille",
    "program: image": "images_per_mille",
    "program: input of its own": "own_input",
    "program: logprobs": "logprobs",
    "program: stored prompt": "prompt",
    "program: tap": "tap",
}
"""By the catalogue's name: the option."""


def spoken_in(words: Words, name: str) -> Words:
    """As much of it as this dialect has, which its table says: what it cannot say is not there."""
    table = DIALECTS[name]
    able = table.capabilities
    return structs.replace(
        words,
        remote_tools=words.remote_tools and says(table, {"tools": list(REMOTE_TOOLS)}),
        idle_ms=words.idle_ms if says(table, _SILENCE) else None,
        images_per_mille=words.images_per_mille if _shows(table) else 0,
        own_input=words.own_input and able.out_of_band,
        logprobs=words.logprobs and says(table, {"include": [LOGPROBS]}),
        prompt=words.prompt and says(table, {"prompt": PROMPT}),
        listens=words.listens and says(table, {"type": "transcription"}),
    )


_SILENCE = {"audio": {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5_000}}}}


def says(table: Dialect, session: dict[str, Any]) -> bool:
    """Whether a dialect can say this of a session."""
    try:
        table.render_session({"type": "realtime", **session})
    except LocalProtocolError:
        return False
    return True


def _shows(table: Dialect) -> bool:
    return table.capabilities.images == "item" and table.capabilities.create


def with_words(scenario: "Scenario", faults: set[str], rng: Rng) -> "Scenario":
    """The same world with what these faults name of the vocabulary, as far as its dialect knows it."""
    if not faults.intersection(FAULTS):
        return scenario
    server = scenario.server
    table, on_a_call = DIALECTS[server.dialect], server.call is not None

    def rate(fault: str, low: int, high: int) -> int:
        drawn = rng.fork(fault).between(low, high)
        return drawn if fault in faults else 0

    idle = (
        says(table, _SILENCE)
        and "server: idle time-out" in faults
        and scenario.detection == "server_vad"
        and not scenario.microphone
    )
    words = Words(
        remote_tools="server: remote tools" in faults,
        idle_ms=rng.fork("idle").choice((5_000, 5_000, 6_000, 9_000)) if idle else None,
        keys_per_mille=rate("user: presses keys", 100, 600),
        raw_per_mille=rate("program: raw event", 50, 400),
        images_per_mille=rate("program: image", 100, 500) if _shows(table) else 0,
        own_input="program: input of its own" in faults and scenario.asides_per_mille > 0,
        logprobs="program: logprobs" in faults,
        prompt="program: stored prompt" in faults,
        tap=rng.fork("tap").choice(("unknown", "unknown", "all")) if "program: tap" in faults else "off",
    )
    words = spoken_in(words, server.dialect)
    if words.remote_tools:
        server = structs.replace(server, remote_per_mille=rng.fork("remote").between(150, 600))
    scenario = structs.replace(scenario, words=words, server=server)
    listens = "server: only transcribes" in faults and not on_a_call and scenario.loss is None
    return _listening(scenario) if listens else scenario


def _listening(scenario: "Scenario") -> "Scenario":
    """A session that writes down what is said, and nothing else."""
    kept = Words(logprobs=scenario.words.logprobs, tap=scenario.words.tap, listens=True)
    return structs.replace(
        scenario,
        words=kept,
        tools=False,
        slow_ms=None,
        recogniser=False,
        idle_ms=None,
        context="auto",
        interruption="cut",
        server_interrupts=False,
        server_creates=False,
        asides_per_mille=0,
        edits_per_mille=0,
        syncs_per_mille=0,
        pauses_per_mille=0,
        updates_per_mille=0,
        typed_per_mille=0,
        dead_calls_per_mille=0,
        device_lost_per_mille=0,
        hold_ms=0,
        blocks_per_mille=0,
        hang_up_turn=None,
        microphone=False,
        early=False,
        lead_ms=None,
    )
