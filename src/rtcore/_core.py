"""What the owners of decisions share: the state of one session, its three lists of effects, and how a message leaves.

Each decision has one owner (DESIGN section 4), a class in a module of its own that is told what happened and acts through this
object. Effects gather in three lists, because their order is part of the contract: silence first, then the wire, then the news.
"""

import re
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, unquote_plus

from msgspec import Struct

from rtcore._accounts import Accounts
from rtcore._clock import Clock
from rtcore._effects import Effect, Handshake, Lane, Send
from rtcore._formats import AudioFormat
from rtcore._history import History
from rtcore._microphone import Microphone
from rtcore._notices import MicrophoneDropped
from rtcore._playout import Playout
from rtcore._requests import Pending, Requests
from rtcore._timers import Timers
from rtcore._wire import Append, ClientEvent, Retrieve, encode, plain
from rtcore.dialects import OPENAI, Capabilities, Dialect, audio_format, capabilities, dialect_of
from rtcore.policies import Policies

if TYPE_CHECKING:
    from rtcore._barge_in import BargeIn
    from rtcore._continuity import Continuity
    from rtcore._creation import Creation
    from rtcore._edits import Edits
    from rtcore._hearing import Hearing
    from rtcore._holds import Holds
    from rtcore._idle import Idle
    from rtcore._interruption import Interruption
    from rtcore._lead import Lead
    from rtcore._lifecycle import Lifecycle
    from rtcore._mcp import Mcp
    from rtcore._pauses import Pauses
    from rtcore._remote import Remote
    from rtcore._renewal import Renewal
    from rtcore._responses import Responses
    from rtcore._running_text import RunningText
    from rtcore._silent_answers import SilentAnswers
    from rtcore._speech import Speech
    from rtcore._tools import Tools
    from rtcore._turn_report import Reports
    from rtcore._turns import Turns
    from rtcore._voice import Voice
    from rtcore.config import Config

_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+(\.[\w-]*)?")

State = Literal["new", "connecting", "configuring", "ready", "reconnecting", "closed"]


class Counters(Struct):
    """What was survived, in numbers. They only grow."""

    late_deltas: int = 0
    """Deltas of responses that were interrupted, have ended, or are unknown (B10)."""
    late_samples: int = 0
    """Samples in those that belonged to a known segment."""
    stale_reports: int = 0
    """Position reports and flush answers of generations that are settled, or smaller than the last (C21)."""
    excess_reports: int = 0
    """Reports above what was handed over (B02)."""
    estimated_cuts: int = 0
    """Flushes settled without the clock's answer (B29)."""
    warnings: int = 0
    """Server messages that could not be used."""
    unknown_events: int = 0
    """Server events of an unknown type."""
    stale_connections: int = 0
    """Messages of a connection that is not the current one."""
    late_cancels: int = 0
    """Cancels sent because a server that interrupts by itself went on for 400 ms."""
    steps_aside: int = 0
    """Segments that held up the queue and were passed (DESIGN 3)."""
    underruns: int = 0
    """Times the clock ran dry while a response was generating."""
    rejected_truncates: int = 0
    """Truncates that the server refused (C09)."""


class Acknowledged(Struct, frozen=True):
    """The session as the server acknowledged it; only this counts (DESIGN 2)."""

    session_id: str
    output_format: AudioFormat
    input_format: AudioFormat
    server_interrupts: bool
    """Its turn detection cancels the running response by itself."""
    server_creates: bool
    """It answers a turn by itself."""
    detects_turns: bool
    """It finds the turns; without, commits and cancels are the client's job (C13)."""
    transcribes: bool
    """It only writes down what is said, and never answers (facts 12.1)."""
    speaks: bool
    """Its answers are audio, so that a message without a part yet is one that nobody heard."""
    silence_ms: int
    """So much silence it hears before it says that speech has ended; 0 where it goes by something else."""
    writes_down: bool
    """It transcribes what the user says."""


def read_acknowledged(session: dict[str, Any], asked: dict[str, Any], able: Capabilities) -> Acknowledged:
    """Read a GA-shaped session object. Raises ``ValueError`` for an unknown audio format (F016).

    A null or absent ``interrupt_response`` counts as true, a null ``turn_detection`` as manual; where the whole key is absent,
    what we asked for counts, and else the server's default, which is turn detection, but for those that say so (C13, facts 8.1).
    """
    audio = _object(session.get("audio"))
    given, wanted = _object(audio.get("input")), _object(_object(asked.get("audio")).get("input"))
    output, spoken = _object(audio.get("output")), _object(_object(asked.get("audio")).get("output"))
    unsaid: dict[str, Any] | None = {} if able.detects_unasked else None
    detection = given.get("turn_detection", wanted.get("turn_detection", unsaid))
    rules = _object(detection)
    detects = detection is not None
    silence_ms = _positive(rules.get("silence_duration_ms")) if detects else 0
    transcribes = (session.get("type") or asked.get("type")) == "transcription"
    if transcribes:
        rules = {"create_response": False, "interrupt_response": False}  # nothing to create, nothing to interrupt
    return Acknowledged(
        session_id=str(session.get("id") or ""),
        output_format=audio_format(
            output.get("format") or spoken.get("format") or (able.output_formats or able.input_formats)[0]
        ),
        input_format=audio_format(given.get("format") or wanted.get("format") or able.input_formats[0]),
        transcribes=transcribes,
        server_interrupts=detects and rules.get("interrupt_response") is not False,
        server_creates=detects and rules.get("create_response") is not False,
        detects_turns=detects,
        speaks="text" not in _list(session.get("output_modalities", asked.get("output_modalities"))),
        silence_ms=silence_ms,
        writes_down=bool(given.get("transcription", wanted.get("transcription"))),
    )


def _secrets(config: "Config") -> tuple[str, ...]:
    connection = config.connection
    keys = [key for key in (connection.credential("api_key"), connection.credential("bearer_token")) if key is not None]
    for pair in (connection.url or "").partition("?")[2].partition("#")[0].split("&"):
        # A key may stand in the address; a server that repeats it may do so as it was sent or decoded.
        name, _, value = pair.partition("=")
        if any(word in name.lower() for word in ("key", "token", "secret", "auth", "sig")):
            keys += [value, unquote(value), unquote_plus(value)]
    for tool in config.session.wire().get("tools") or ():
        if isinstance(tool, dict) and tool.get("type") == "mcp":
            keys += [tool.get("authorization") or "", *(tool.get("headers") or {}).values()]
    # Short header values are words, not credentials.
    return tuple(text for text in (*keys, *connection.headers.values()) if len(text) >= 8)


def _list(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _positive(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


class Core:
    """The state of one session."""

    responses: "Responses"
    speech: "Speech"
    running_text: "RunningText"
    interruption: "Interruption"
    barge_in: "BargeIn"
    hearing: "Hearing"
    pauses: "Pauses"
    creation: "Creation"
    edits: "Edits"
    holds: "Holds"
    tools: "Tools"
    turns: "Turns"
    lifecycle: "Lifecycle"
    remote: "Remote"
    mcp: "Mcp"
    silent_answers: "SilentAnswers"
    reports: "Reports"
    continuity: "Continuity"
    voice: "Voice"
    idle: "Idle"
    renewal: "Renewal"
    lead: "Lead"

    def __init__(self, config: "Config", clock: Clock, seed: int, policies: Policies) -> None:
        self.config = config
        self.policies = policies
        self.clock = clock
        told = dialect_of(config.connection)
        self.recognising = told is None
        """Whether the server's first event is to show its dialect."""
        self.dialect: Dialect = told or OPENAI
        self.capabilities: Capabilities = capabilities(config.connection)
        self.asked: dict[str, Any] = plain("session", config.session.wire())
        self.now = float("-inf")
        self.state: State = "new"
        self.connection = 0
        self.last_connection = 0
        """The highest number that a connection has had."""
        self.sound: list[Effect] = []
        self.wire: list[Effect] = []
        self.news: list[Effect] = []
        self.timers = Timers()
        self.counters = Counters()
        self.requests = Requests(f"{seed & 0xFFFFFFFF:08x}", self.news, self.timers)
        self.history = History()
        self.accounts = Accounts()
        self.session: dict[str, Any] = self.asked
        self.acknowledged = read_acknowledged(self.asked, self.asked, self.capabilities)
        self.playout = Playout(clock, self.acknowledged.output_format, config.playout.lead_ms)
        self.microphone = Microphone(self.acknowledged.input_format, config.microphone.batch_ms, config.microphone.max_held_ms)
        self._secrets = _secrets(config)
        self._backlog: list[tuple[bytes, Lane, Pending | None, float]] = []

    def handshake(self) -> Handshake:
        """Where and how the next line is dialled: a session that only transcribes may have an address of its own (facts 1.1)."""
        return self.dialect.handshake(self.config.connection, transcribes=self.asked.get("type") == "transcription")

    def able(self, dialect: Dialect) -> Capabilities:
        """What a server of this dialect can do over this connection."""
        return capabilities(self.config.connection, dialect)

    @property
    def ready(self) -> bool:
        """Whether the server has acknowledged the session, so that anything may be sent."""
        return self.state == "ready"

    def scrub(self, words: str) -> str:
        """Words of the server or the line without the credentials that they may repeat."""
        for secret in self._secrets:
            words = words.replace(secret, "***")
        # A token that an adapter puts in is not known here, but what such tokens look like is (RFC 7519).
        return _TOKEN.sub("***", words) if self.config.connection.provided_token else words

    def send(
        self,
        event: ClientEvent | dict[str, Any],
        *,
        lane: Lane = "ordered",
        pending: Pending | None = None,
        wait_ms: int = 0,
        first: bool = False,
    ) -> None:
        """Put a client event on the wire, or keep it until the session is acknowledged (F136).

        ``pending`` is what its answer settles; it is given up ``wait_ms`` after sending (0: never). ``first``
        marks the event that asks for the acknowledgement.
        """
        payload = encode(event)
        if self.ready or first:
            self._put(payload, lane, pending, wait_ms / 1000)
        else:
            self._backlog.append((payload, lane, pending, wait_ms / 1000))

    @property
    def kept(self) -> int:
        """So many events wait for the session to be acknowledged."""
        return len(self._backlog)

    def send_backlog(self) -> None:
        """The session is acknowledged: what was kept goes out in order."""
        backlog, self._backlog = self._backlog, []
        for place, kept in enumerate(backlog):
            if kept[2] is not None and kept[2].kind in ("commit", "update"):
                self.creation.pump(before=place)  # a turn, and options, stand behind what was asked for before them
            payload, lane, pending, wait = kept
            if pending is not None and pending.kind == "retrieve":
                # By the name that the item has on this connection.
                payload = encode(Retrieve(pending.event_id, self.history.wire(pending.key)))
            self._put(payload, lane, pending, wait)

    def send_microphone(self, *, rest: bool) -> None:
        """Send whole batches of microphone audio; the rest too when its time has come. Held until the session is ready."""
        microphone = self.microphone
        if not self.ready and rest:
            # A commit or clear waits for the session; the audio before it waits in front of it.
            for pcm in microphone.batches(rest=True):
                self.send(Append(pcm), lane="audio")
            return
        if not self.ready:
            dropped_ms = microphone.trim()
            if dropped_ms:
                self.news.append(MicrophoneDropped(dropped_ms, "the session is not ready"))
            return
        for pcm in microphone.batches(rest=rest):
            self.wire.append(Send(self.connection, encode(Append(pcm)), "audio"))
        if not microphone.holds:
            self.timers.cancel("microphone batch")
        elif not self.timers.armed("microphone batch"):
            self.timers.set("microphone batch", self.now + 2 * self.config.microphone.batch_ms / 1000)

    def _put(self, payload: bytes, lane: Lane, pending: Pending | None, wait: float) -> None:
        self.wire.append(Send(self.connection, payload, lane))
        if pending is not None:
            pending.due = self.now + wait if wait else None
            self.requests.expect(pending)
