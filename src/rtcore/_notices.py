"""What a program listens to. Open for new subclasses; a program matches those it cares about.

Times named ``at``, ``started_at`` and ``stopped_at`` are in ``now`` seconds. ``*_ms`` are whole milliseconds, floored.
"""

from enum import Enum
from typing import Any, Literal

from msgspec import Struct

from rtcore._formats import AudioFormat
from rtcore.usage import Usage


class Verdict(Enum):
    """How much of a message was heard (DESIGN section 3). Each message gets exactly one."""

    FULL = "full"
    PARTIAL = "partial"
    SKIPPED = "skipped"
    TEXT = "text"


class Problem(Struct, frozen=True):
    """An error with what can be done about it. Texts come from the server or the core and never hold a credential."""

    code: str
    message: str
    retryable: bool
    remedy: str
    param: str | None = None
    type: str = ""


Told = Literal["nothing", "truncate", "delete", "rewrite", "note", "record", "server", "replay"]
"""How the server came to know how much of a message was heard (DESIGN 5): it need not (all of it was, or it is out of band); by
a truncate; by a delete, where nothing was; by a delete and the heard words in its place; by a note to the model; not at all,
because it takes none of these; it sounds the audio itself; or its connection was lost, and the next session is told what was
heard."""

Outcome = Literal["done", "failed", "cancelled", "superseded", "timed_out", "connection_lost"]
"""How a request settled. ``cancelled``: interrupted, or open when the program closed the session; ``superseded``: a later one
stands for it (``Config.coalesce``); ``connection_lost``: open when the session ended in any other way, or under way when a
connection was lost."""

Cause = Literal["server", "local", "program", "text", "device", "overflow"]
"""What interrupted: the server's turn detection, a local detector, ``interrupt()``, typed text, a lost audio device (F100), or a
playout buffer at its bound (F075)."""

TurnCause = Literal["speech", "text", "idle", "program", "server"]
"""What began a turn: the user's voice, typed text or a text of a recogniser of one's own, the server's idle time-out, the program
(``respond``: a greeting, for one), or the server by itself."""

TurnOutcome = Literal["answered", "interrupted", "failed", "unanswered"]
"""What became of a turn: its answer was heard or read to its end; something of it was cut and not heard, or its last response was
cut off before there was a message or a call of it; its last response failed; no response came."""

ToolOutcome = Literal["answered", "cancelled", "gone"]
"""How a function call was settled: by ``tool_result``; by ``cancel_tool``; its item left the conversation."""

CloseReason = Literal["closed", "refused", "lost", "fatal_error", "not_acknowledged", "expired"]
"""Why a session ended: by ``close()``, handshake refused, line lost, fatal server error, no acknowledgement, server's limit."""


class Notice(Struct, frozen=True):
    """Base of everything a program can listen to."""


# -- session ---------------------------------------------------------------------------------------------------------------


class SessionReady(Notice, frozen=True):
    """The server acknowledged the configuration; what was queued has been sent."""

    connection: int
    session_id: str


class SessionChanged(Notice, frozen=True):
    """The server acknowledged a later ``update``; the acknowledged session is what the core acts on."""

    connection: int


class OptionDiffers(Notice, frozen=True):
    """The server acknowledged another value of an option than was asked for, and that counts (S09).

    ``option`` is its path, such as ``audio.output.voice``. Of lists of tools the names are told.
    """

    option: str
    asked: Any
    acknowledged: Any


class SessionClosed(Notice, frozen=True):
    """The session is over; always the last notice, exactly once (F101). ``problem`` is None after an orderly ``close()``."""

    reason: CloseReason
    problem: Problem | None = None


class Reconnecting(Notice, frozen=True):
    """The connection is lost, and the conversation goes on: it is dialled again in ``delay_s`` seconds. Told for each attempt.

    ``attempt`` counts from 1 since a response was last completed. What was received is heard meanwhile, commands wait.
    """

    attempt: int
    delay_s: float
    problem: Problem


class Reconnected(Notice, frozen=True):
    """The conversation goes on over another connection, in a session of its own; told once for each.

    ``planned``: the old session was changed for it at its time (renewal), rather than lost. ``replayed`` counts the items that it
    was told; ``ReplayIncomplete`` names those that it could not be. Items keep the ids under which they were told.
    """

    connection: int
    session_id: str
    replayed: int
    planned: bool = False


class ReplayIncomplete(Notice, frozen=True):
    """Items that the new session does not know, each with the reason. They stay in ``Session.history``.

    What nobody heard, and what was empty, is not among them.
    """

    connection: int
    left_out: tuple[tuple[str, str], ...]


class RequestEnded(Notice, frozen=True):
    """A request settled; each does exactly once (invariant 2).

    ``response_id`` is set where the request led to a response, ``item_id`` where it made or removed an item.
    """

    request: int
    outcome: Outcome
    problem: Problem | None = None
    response_id: str | None = None
    item_id: str | None = None


class ServerError(Notice, frozen=True):
    """The server reported an error; the session goes on unless ``fatal`` (F007). ``request`` is ours that it answers, if any."""

    problem: Problem
    request: int | None = None
    fatal: bool = False


class ProtocolWarning(Notice, frozen=True):
    """One server message could not be used: ``reason`` says why, ``detail`` where. Nothing needs doing: the session goes on.

    Many of one kind mean that the server speaks another dialect, or is broken: show ``event_type`` and ``detail`` to its maker
    (B27, C29).
    """

    reason: str
    event_type: str = ""
    detail: str = ""


class PolicyFailed(Notice, frozen=True):
    """A policy of the program's own raised, or gave what is no answer; the default decided instead.

    ``policy`` is its name in ``rtcore.policies.Policies``, ``error`` what it raised or gave.
    """

    policy: str
    error: str


class UnknownEvent(Notice, frozen=True):
    """A server event of a type this version does not know, whole and unread."""

    event_type: str
    payload: bytes


class UnknownFields(Notice, frozen=True):
    """A known server event had fields that this version does not know; told where ``Config.tap`` asks for it.

    ``fields`` are their paths, such as ``item.mood``; ``payload`` is the whole message.
    """

    event_type: str
    fields: tuple[str, ...]
    payload: bytes


class RawEvent(Notice, frozen=True):
    """One message as it went over the wire, where ``Config.tap`` is "all". Microphone audio and the model's are among them."""

    direction: Literal["received", "sent"]
    payload: bytes


class RateLimitsUpdated(Notice, frozen=True):
    """The server's rate limits, as it sent them."""

    limits: tuple[dict[str, Any], ...]


# -- the user ---------------------------------------------------------------------------------------------------------------


class UserSpeechStarted(Notice, frozen=True):
    """A person began to speak. ``item_id`` is the user item to be (None from a local detector).

    ``audio_start_ms`` counts the audio written in the session, padding included; it is no time of day (facts 5.10). ``at`` is
    when the session was told.
    """

    item_id: str | None
    source: Literal["server", "local"] = "server"
    audio_start_ms: int | None = None
    at: float = 0.0


class UserSpeechStopped(Notice, frozen=True):
    """A person stopped speaking. ``audio_end_ms`` and ``at`` as in ``UserSpeechStarted``: a detector that waits for silence is
    told of the end that much later.
    """

    item_id: str | None
    source: Literal["server", "local"] = "server"
    audio_end_ms: int | None = None
    at: float = 0.0


class IdleTimeout(Notice, frozen=True):
    """Nobody spoke for ``idle_timeout_ms``: the server commits the silence as ``item_id`` and speaks up (facts 4.12)."""

    item_id: str | None
    audio_start_ms: int | None = None
    audio_end_ms: int | None = None


class ConversationIdle(Notice, frozen=True):
    """Nobody has said anything since ``since`` (``now`` seconds), for ``timeouts.idle_ms``: told once, until somebody does
    (F130).

    A turn of the user and the end of the model's sound count; noise in the microphone does not. What to do is the program's:
    speak up, or hang up.
    """

    since: float
    idle_ms: int


class DtmfReceived(Notice, frozen=True):
    """The caller pressed a key of the telephone: 0 to 9, *, #, A to D. ``received_at`` is the server's time in unix seconds."""

    key: str
    received_at: float | None = None


class UserTurnCommitted(Notice, frozen=True):
    """The user's audio became the item ``item_id``."""

    item_id: str


class UserTranscriptDelta(Notice, frozen=True):
    """A piece of the user's transcript; it may come after the reply has ended (F103)."""

    item_id: str
    content_index: int
    delta: str
    logprobs: tuple[dict[str, Any], ...] = ()


class UserTranscript(Notice, frozen=True):
    """The user's transcript is complete; possibly empty.

    ``confidence`` is the geometric mean of the tokens' probabilities, from 0 to 1, where the session asked for ``logprobs`` by
    ``include``. ``usage`` is what the transcription cost, apart from the response's (facts 10.2).
    """

    item_id: str
    content_index: int
    text: str
    confidence: float | None = None
    logprobs: tuple[dict[str, Any], ...] = ()
    languages: tuple[Any, ...] = ()
    usage: dict[str, Any] | None = None


class UserTranscriptSegment(Notice, frozen=True):
    """A stretch of the user's words by one speaker, from ``start_s`` to ``end_s`` of the item's audio, in seconds."""

    item_id: str
    content_index: int
    segment_id: str
    text: str
    speaker: str | None = None
    start_s: float | None = None
    end_s: float | None = None


class UserTranscriptFailed(Notice, frozen=True):
    """The user's words could not be transcribed; the conversation goes on."""

    item_id: str
    content_index: int
    problem: Problem


class MicrophoneDropped(Notice, frozen=True):
    """Microphone audio was dropped, oldest first, because it could not be sent."""

    dropped_ms: int
    reason: str


class LoopLagged(Notice, frozen=True):
    """A deadline of the conversation came late, because something else held the runtime's thread. Told by adapters.

    What was heard stays right, since the audio clock counts it; a barge-in that comes in such a time is acted on as late.
    """

    lag_ms: int


# -- the model --------------------------------------------------------------------------------------------------------------


class ResponseStarted(Notice, frozen=True):
    """The server began a response. ``request`` is ours that asked for it, or None where the server created it by itself."""

    response_id: str
    request: int | None = None
    out_of_band: bool = False
    metadata: dict[str, str] | None = None
    at: float = 0.0


class ResponseEnded(Notice, frozen=True):
    """The server finished generating (not: the user finished hearing). ``status`` is the protocol's, ``reason`` its detail
    (F143).
    """

    response_id: str
    status: str
    reason: str | None = None
    problem: Problem | None = None
    usage: dict[str, Any] | None = None
    at: float = 0.0


class TextDelta(Notice, frozen=True):
    """Generated text: a transcript or text delta. It runs ahead of the sound; ``HeardText`` is in step with it."""

    response_id: str
    item_id: str
    content_index: int
    delta: str


class HeardText(Notice, frozen=True):
    """Words that were heard, told in step with the sound: ``delta`` goes on where the last one of this part ended.

    Never taken back, and never beyond what ``MessageEnded.text`` says: the pieces of a message's audio parts are together its
    heard text, unless the server's complete transcript is another one than its pieces (F115). ``estimated``: the protocol gives
    no word times; the piece that ends a part that the clock says was heard to its end is exact (B30, C24, F105). How often:
    ``playout.heard_text_ms``.
    """

    response_id: str
    item_id: str
    content_index: int
    delta: str
    estimated: bool = True


class OutOfBandAudio(Notice, frozen=True):
    """Audio of an out-of-band response that does not enter the speech queue (B12)."""

    response_id: str
    item_id: str
    content_index: int
    pcm: bytes
    format: AudioFormat


class SpeakingStarted(Notice, frozen=True):
    """The first sample of a turn became audible; once per turn (S01)."""

    response_id: str
    at: float


class SpeakingStopped(Notice, frozen=True):
    """Nothing more of the turn will be heard."""

    at: float


class AudioHeld(Notice, frozen=True):
    """The first audio of a response has come and is held back until ``until``, for a guardrail (``playout.hold_ms``, F161):
    ``release(response_id)`` lets it be heard sooner, ``interrupt(response_id)`` never.
    """

    response_id: str
    until: float


class AudioReleased(Notice, frozen=True):
    """What was held back may be heard from here on: the program said so, or nobody has said anything in time."""

    response_id: str
    by: Literal["program", "time"]


class MessageStarted(Notice, frozen=True):
    """The first sample of this message became audible (S01, F026). ``phase`` as in ``MessageEnded``."""

    response_id: str
    item_id: str
    at: float
    phase: str | None = None


class MessageEnded(Notice, frozen=True):
    """A message's one verdict. ``text`` is what was heard, ``full_text`` what was generated when it ended.

    ``heard_ms`` and ``received_ms`` are the sums over its audio parts; a full one may be short of the last sample (B02), and so
    of the last millisecond. ``started_at`` is None where nothing was heard.
    ``estimated`` marks a verdict made without the clock's answer. ``told`` says how the server came to know. ``phase`` is
    ``commentary`` or ``final_answer``, where the model says which it is (facts 11.2).
    """

    response_id: str
    item_id: str
    verdict: Verdict
    heard_ms: int
    received_ms: int
    text: str
    full_text: str
    started_at: float | None
    stopped_at: float
    estimated: bool = False
    told: Told = "nothing"
    phase: str | None = None


class AnsweredInText(Notice, frozen=True):
    """A message of a session that speaks has text and no sound: nobody will hear it, unless the program says it (F140).

    Models copy what they see: after messages of text were put into the conversation, an answer may come in text. ``retried``: it
    is deleted, and the answer asked for once more, as ``Config.text_answers`` says.
    """

    response_id: str
    item_id: str
    text: str
    retried: bool = False


class Interrupted(Notice, frozen=True):
    """An interruption is settled and something was not heard: which messages were cut, which were not heard at all (C02)."""

    cause: Cause
    partial: tuple[str, ...]
    skipped: tuple[str, ...]
    estimated: bool = False


class InterruptionPending(Notice, frozen=True):
    """A person spoke while the model could be heard, and what it is shows only with time: ``Interrupted`` or
    ``FalseInterruption`` follows, unless something else interrupts meanwhile.

    ``held``: the sound is held until then. ``item_id`` is the user item to be (None from a local detector).
    """

    cause: Cause
    item_id: str | None
    held: bool


class FalseInterruption(Notice, frozen=True):
    """What a person was heard to say interrupts nothing; where the sound was held (``held_ms``), it goes on with the next sample.

    ``answered``: it was said to the model all the same, which answers when it has finished. Without, it was a cough, an "mhm", an
    echo.
    """

    cause: Cause
    item_id: str | None
    held_ms: int
    answered: bool


class EchoSuspected(Notice, frozen=True):
    """A voice cut the model so often in a row right after it began to be heard: it may hear itself through the loudspeaker
    (F118).

    ``guard_ms``: for how long after its beginning voices are held for echo from now on, by ``barge_in.echo_guard_ms``; 0: not at
    all.
    """

    in_a_row: int
    guard_ms: int


class ToolCalled(Notice, frozen=True):
    """A function call is complete: answer it once with ``tool_result(call_id, output)``. ``arguments`` is JSON text."""

    call_id: str
    name: str
    arguments: str
    response_id: str
    item_id: str
    at: float = 0.0


class ToolArguments(Notice, frozen=True):
    """A piece of a call's arguments, while the model writes them; told where ``function_calls.stream_arguments`` asks for it.

    The call may be cut before it is complete: nothing may be done by a piece. ``ToolCalled`` has the whole.
    """

    response_id: str
    item_id: str
    call_id: str | None
    delta: str


class ToolSlow(Notice, frozen=True):
    """A function call is open for ``function_calls.slow_ms``; told once for each. ``filler``: the core says that it takes a
    while.
    """

    call_id: str
    name: str
    waited_ms: int
    filler: bool = False


class ToolEnded(Notice, frozen=True):
    """A function call that ``ToolCalled`` reported is settled, told once: nothing more can be said to it.

    ``took_ms`` is the time from one to the other. Whatever still works on a call that was ``cancelled``, or is ``gone``, works
    for nothing.
    """

    call_id: str
    name: str
    outcome: ToolOutcome
    at: float
    took_ms: int


class McpListing(Notice, frozen=True):
    """The server asks a remote (MCP) server for its tools, or has asked: ``tools`` are those that it offers, once completed."""

    item_id: str
    server_label: str
    state: Literal["in_progress", "completed", "failed"]
    tools: tuple[dict[str, Any], ...] = ()


class McpCalled(Notice, frozen=True):
    """The model calls a remote tool. The server runs it; there is nothing to answer. ``arguments`` is JSON text."""

    item_id: str
    response_id: str
    server_label: str
    name: str
    arguments: str


class McpCallEnded(Notice, frozen=True):
    """A remote tool was run, told once for each ``McpCalled``: its ``output``, or the ``problem``."""

    item_id: str
    response_id: str
    server_label: str
    name: str
    output: str | None = None
    problem: Problem | None = None


class ApprovalRequested(Notice, frozen=True):
    """The model wants to call a remote tool and may not by itself: answer once, by ``approve(approval_request_id, ...)``."""

    approval_request_id: str
    server_label: str
    name: str
    arguments: str
    response_id: str


class ContextStale(Notice, frozen=True):
    """The server created this response before our truncates or deletes were acknowledged; it may answer unheard words.

    ``recreated``: so it is cancelled, nothing of it is heard, and another is asked for after our edits (``stale_context``).
    """

    response_id: str
    recreated: bool = False


# -- the turn ---------------------------------------------------------------------------------------------------------------


class TurnReport(Notice, frozen=True):
    """What a turn took, told once when it is over. A turn is what follows once the user has said something, or once the program
    or the server has spoken up by itself: the responses up to the next turn, with their tools.

    ``to_first_delta_ms``: from ``began_at``, the end of the user's speech (as told; see ``UserSpeechStopped``), the typed text or
    the command, to the first audio of an answer, or the first text of one in writing. ``to_first_heard_ms``: to its first audible
    sample. ``to_silence_ms``: from what interrupted it to the clock's answer that it is silent; ``estimated`` where it gave none.
    Both hold ``clock_latency_ms``, what the clock declares to sound later than it can tell. Each is None where nothing of the
    kind happened. ``tool_ms`` is how long at least one function call was open. ``stale`` counts responses that the server created
    before our edits were acknowledged. ``usage`` is that of its responses, and of its transcription where that came before the
    report. ``response_ids`` are the first 32 of ``responses``.
    """

    turn: int
    cause: TurnCause
    outcome: TurnOutcome
    item_id: str | None
    response_ids: tuple[str, ...]
    responses: int
    began_at: float
    ended_at: float
    to_first_delta_ms: int | None = None
    to_first_heard_ms: int | None = None
    to_silence_ms: int | None = None
    clock_latency_ms: int = 0
    estimated: bool = False
    underruns: int = 0
    tool_calls: int = 0
    tool_ms: int = 0
    renewals: int = 0
    stale: int = 0
    usage: Usage = Usage()


# -- the conversation -------------------------------------------------------------------------------------------------------


class ItemAdded(Notice, frozen=True):
    """The server announced an item; its place in ``Session.history`` is fixed from here on (C25)."""

    item_id: str
    item_type: str
    role: str | None
    previous_item_id: str | None


class HistoryEdited(Notice, frozen=True):
    """An edit of the program's was sent: what it came to. ``RequestEnded`` follows when the server has carried all of it out.

    ``created`` and ``deleted`` are ids; an item that was replaced or moved is in both, under its old and its new one. ``stayed``
    are items that are not where, or what, they were to be: they are being said, heard or answered, or cannot be written again.
    ``unknown`` are ids that are nowhere.
    """

    request: int
    created: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    stayed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class ItemRetrieved(Notice, frozen=True):
    """The server's own copy of an item, as ``retrieve_item`` asked for it: GA shape not enforced, audio included."""

    item_id: str
    item: dict[str, Any]


class ItemDeleted(Notice, frozen=True):
    """An item left the conversation."""

    item_id: str


# -- the clock --------------------------------------------------------------------------------------------------------------


class Underrun(Notice, frozen=True):
    """The clock ran dry while a response was still generating (F147)."""

    generation: int


class ClockFault(Notice, frozen=True):
    """The clock said something impossible or nothing at all; what the core did about it is in ``reason``."""

    generation: int
    reason: str
