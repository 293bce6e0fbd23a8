"""What the simulated server is going to do: options, scripted responses, and the answers that nobody knows.

A response is a plan before it is a stream: what it contains and how it is paced. A test or a demonstration writes plans
(``ServerOptions.script``); everything else is drawn from the seed (``_server_draws``). ``Rules`` are the answers of one server to
the questions that the protocol's facts leave open.
"""

from typing import Literal

from msgspec import Struct

from rtcore.sim._rng import Rng
from rtcore.sim._server_dialects import DialectName

Range = tuple[int, int]
"""Lowest and highest value, both included."""


# -- what the facts leave open ----------------------------------------------------------------------------------------------


class Rules(Struct, frozen=True):
    """One server's answers where the real server's are unknown; the defaults are the likeliest ones.

    - ``truncate_midway``: audio generated after a truncate of a running item is sent either way, and then dropped or kept (5.6).
    - ``truncate_repeat``: a truncate at the value it already has is accepted, or refused as ``item_already_truncated`` (5.6).
    - ``delete_midway``: a deleted item of a running response falls silent, or its deltas go on.
    - ``cascade``: whether the closing events of an interrupted response come after ``speech_started`` or before (4.9).
    - ``error_event_id``: whether an error names the client event: always, not for an active response or a duplicate id, never.
    - ``codes``: current error codes, or null where older servers had null (6.1).
    - ``unknown_item_text``: which of the two known texts a truncate of an unknown item gets (6.1).
    - ``item_done``: whether generated items get ``conversation.item.done``.
    - ``done_predecessor``: whether ``conversation.item.done`` names the predecessor or null (3.4).
    - ``late_cancel``: a cancel that arrives when only closing events are left still cancels, or the response completes.
    - ``created_if_cancelled``: whether a response cancelled before its ``response.created`` still gets one (4.10).
    - ``cancel_before_created``: a cancel without an id in that moment is refused as not active, or cancels (F049).
    - ``rate_limits``: when ``rate_limits.updated`` comes (4.3).
    - ``audio_done_first``: whether a part's audio or its transcript is closed first (S07).
    - ``cascade_audio_done``: whether the cascade closes audio and transcript before the part (4.9).
    - ``cancelled_output``: whether a cancelled response lists its items (7.3).
    - ``whole_samples``: whether every delta holds whole samples (9.2).
    - ``obfuscation``: whether text deltas carry padding (facts: ``obfuscation``).
    - ``part_content``: whether content_part events repeat the part as ``content`` (13, Azure GA).
    - ``detection_echo``: whether flags of turn detection that are at their default, true, are acknowledged as true, as null or
      not at all (C13).
    - ``detection_merge``: whether a turn detection of the same type keeps what the update does not name, or takes defaults.
    - ``held_short_ms``: by how much the held length is below what was sent (F005).
    - ``late_place``: an item that is announced late stands at the end, or in the place that it had when it began: its
      announcement was written then, and names the item before it, even if that has been deleted since (3.4, F108).
    - ``cut_transcript``: whether the events that close a part that was cut tell its transcript, or an empty one (13, F015).
    - ``repeated_call``: a second output for one call, or a second call with one ``call_id``, is accepted, or refused as
      ``invalid_tool_call_id`` (the facts know only the output for an unknown call, 6.1).
    - ``expiry``: how the end of the session's life is told: by an error with its code, by one without, or by the close frame
      alone, which says the same words in any case (1.7, 1.8).
    """

    truncate_midway: Literal["drops_later", "keeps_later"] = "drops_later"
    truncate_repeat: Literal["accepted", "refused"] = "accepted"
    delete_midway: Literal["silent", "goes_on"] = "silent"
    cascade: Literal["after_speech_started", "before_speech_started"] = "after_speech_started"
    error_event_id: Literal["always", "usual", "never"] = "usual"
    codes: Literal["current", "old"] = "current"
    unknown_item_text: Literal["not_found", "does_not_exist"] = "does_not_exist"
    item_done: bool = True
    done_predecessor: bool = True
    late_cancel: Literal["cancelled", "completed"] = "cancelled"
    created_if_cancelled: bool = True
    cancel_before_created: Literal["refused", "cancels"] = "refused"
    rate_limits: Literal["after_done", "at_start", "never"] = "after_done"
    audio_done_first: bool = True
    cascade_audio_done: bool = True
    cancelled_output: Literal["listed", "empty"] = "listed"
    whole_samples: bool = True
    obfuscation: bool = False
    part_content: bool = False
    detection_echo: Literal["true", "null", "absent"] = "true"
    detection_merge: bool = True
    held_short_ms: int = 0
    repeated_call: Literal["accepted", "refused"] = "accepted"
    expiry: Literal["error", "codeless error", "close frame"] = "error"
    late_place: Literal["end", "kept"] = "end"
    cut_transcript: Literal["told", "empty"] = "told"


def draw_rules(rng: Rng, *, harsh: bool, held_short_ms: int) -> Rules:
    """One server's rules. ``harsh`` allows answers beyond those that a correct client is sure to survive without an error."""
    return Rules(
        truncate_midway=rng.choice(("drops_later", "keeps_later")),
        truncate_repeat="refused" if harsh and rng.chance(500) else "accepted",
        delete_midway=rng.choice(("silent", "goes_on")),
        cascade="before_speech_started" if rng.chance(250) else "after_speech_started",
        error_event_id=rng.choice(("always", "always", "usual", "usual", "never")),
        codes="old" if rng.chance(250) else "current",
        unknown_item_text=rng.choice(("not_found", "does_not_exist")),
        item_done=not rng.chance(120),
        done_predecessor=rng.chance(500),
        late_cancel=rng.choice(("cancelled", "completed")),
        created_if_cancelled=not rng.chance(250),
        cancel_before_created=rng.choice(("refused", "cancels")),
        rate_limits=rng.choice(("after_done", "after_done", "at_start", "never")),
        audio_done_first=not rng.chance(250),
        cascade_audio_done=not rng.chance(250),
        cancelled_output="empty" if rng.chance(250) else "listed",
        whole_samples=not rng.chance(125),
        obfuscation=rng.chance(500),
        part_content=rng.chance(250),
        detection_echo=rng.choice(("true", "true", "true", "true", "null", "absent")),
        detection_merge=rng.chance(500),
        held_short_ms=rng.between(0, held_short_ms),
        repeated_call=rng.choice(("accepted", "refused")),
        expiry=rng.choice(("error", "error", "codeless error", "close frame")),
        late_place=rng.choice(("end", "kept", "kept")),
        cut_transcript="empty" if rng.chance(250) else "told",
    )


# -- plans ------------------------------------------------------------------------------------------------------------------


class PartPlan(Struct, frozen=True):
    """One content part.

    An audio part lasts ``audio_ms`` plus ``extra_samples`` (at the output format's rate) and takes its words from the voices,
    near the beginning of ``voice`` where one is named. A text part says ``text``, or some words where that is empty.

    Faults of an audio part: the last ``lost_ms`` of it are never sent, although transcript and usage tell them; ``sound`` is
    ``"none"`` (no delta at all) or ``"empty deltas"`` (deltas without a byte); without ``transcript`` it has no words.
    """

    kind: Literal["audio", "text"] = "audio"
    audio_ms: int = 3000
    extra_samples: int = 0
    text: str = ""
    voice: str | None = None
    lost_ms: int = 0
    sound: Literal["whole", "none", "empty deltas"] = "whole"
    transcript: bool = True


class MessagePlan(Struct, frozen=True, tag="message"):
    """One message item. ``phase`` is ``"commentary"``, ``"final_answer"`` or None (11.2).

    Fault: ``conversation.item.added`` comes ``announced_ms`` after ``output_item.added``, behind its audio or behind
    ``response.done``; None: never. Until then the item has no place in the conversation, and a delete of it is refused (B03); a
    truncate is not, because the model's audio is there.
    """

    parts: tuple[PartPlan, ...] = (PartPlan(),)
    phase: str | None = None
    announced_ms: int | None = 0


class CallPlan(Struct, frozen=True, tag="call"):
    """One function call; ``arguments`` is JSON text, sent in ``fragments`` deltas.

    With ``server`` it is a call of that remote (MCP) server's tool, which the server runs itself: it gives ``result``, or fails
    with ``error`` as the message; with ``approval`` it only asks whether it may (4.14).
    """

    name: str
    arguments: str = "{}"
    fragments: int = 4
    server: str = ""
    result: str = "done"
    error: str = ""
    approval: bool = False

    @property
    def item_type(self) -> str:
        """What its item is called."""
        if not self.server:
            return "function_call"
        return "mcp_approval_request" if self.approval else "mcp_call"


class Stall(Struct, frozen=True):
    """Generation stands still for ``for_s`` seconds when ``at_ms`` of the audio of output number ``output`` have been sent."""

    output: int
    at_ms: int
    for_s: float


Interleaving = Literal["sequential", "announced", "ahead", "late_close"]
"""How one output follows another: announced after the one before has closed; announced while it is still sent; announced, with
text or arguments running ahead; announced, and the one before closed only after the first audio of the next (4.6, 4.8)."""


Closing = Literal["usual", "part first", "output first", "held", "reversed"]
"""In which order items are closed. Usual is protocol facts 4.3; xAI closes the part before its audio ("part first", 14). No order
is promised between ``output_item.done`` and ``conversation.item.done`` ("output first", 3.5), or between items (4.6 and 17.1):
they may all wait until nothing more is said, and then close in order ("held") or from the last to the first ("reversed")."""


class ResponsePlan(Struct, frozen=True):
    """One response: its outputs in order, and the pace.

    ``think_s`` passes before its first event, ``gap_s`` between the declaration of an audio part and its first audio.
    ``rate_percent`` is the speed of the audio against real time (200: twice as fast). Deltas are ``delta_ms`` long, cut every 20
    ms; ``ragged`` ones at any sample (or byte, see ``Rules.whole_samples``). ``burst`` deltas leave at once, then the pause that
    the rate demands; ``jitter_percent`` varies it. ``transcript_lead_ms`` is how far the transcript runs ahead, or
    ``transcript_lag_ms``, where that is not 0, how far it is behind: its rest comes so long after the last audio. ``stragglers``
    deltas still leave after a cancel (None: drawn). ``ends`` is the status: ``incomplete`` and ``failed`` responses break off
    after their last delta, with ``detail`` as the reason or the error code.

    Faults: without ``created`` it is never announced by ``response.created`` (a response of the conversation; one out of band
    always is, because nothing else says that it is); ``closing`` is the order of its done events; ``beside_ms`` after its first
    event the server answers the same turn once more, where it creates by itself and the first still runs (B11). A failed response
    is followed, ``error_ms`` after its end, by an error that names the event which asked for it. Without ``ended`` the
    ``response.done`` of one that completes is never sent, where turn detection cuts nothing by itself. The last ``tail_ms`` of
    the first message, where that has one audio part, are sent only behind everything else, while no item has been closed.
    """

    output: tuple[MessagePlan | CallPlan, ...] = (MessagePlan(),)
    think_s: float = 0.2
    gap_s: float = 0.1
    rate_percent: int = 300
    delta_ms: Range = (100, 100)
    ragged: bool = False
    burst: int = 1
    jitter_percent: int = 0
    transcript_lead_ms: int = 500
    transcript_lag_ms: int = 0
    interleaving: Interleaving = "sequential"
    stalls: tuple[Stall, ...] = ()
    stragglers: int | None = None
    ends: Literal["completed", "incomplete", "failed"] = "completed"
    detail: str | None = None
    created: bool = True
    closing: Closing = "usual"
    beside_ms: int | None = None
    error_ms: int | None = None
    ended: bool = True
    tail_ms: int = 0


def spoken(*audio_ms: int, think_s: float = 0.2, rate_percent: int = 300) -> ResponsePlan:
    """A plan with one spoken message per length (ms): ``spoken(3000, 2000)``."""
    messages = tuple(MessagePlan((PartPlan(audio_ms=length),)) for length in audio_ms)
    return ResponsePlan(messages, think_s=think_s, rate_percent=rate_percent)


class CallManner(Struct, frozen=True):
    """How the server of a call goes about its own sound, where the facts (4.15) leave it open.

    - ``deltas``: audio comes over the side channel as well, or not at all.
    - ``truncates``: when it says where it cut its items: with the clear, ``later_ms`` after it, or never.
    - ``cleared_first``: whether ``output_audio_buffer.cleared`` or the truncates come first.
    - ``unheard``: an item of which nothing was heard is truncated to zero, or not spoken of.
    - ``clears``: what had begun to sound is told as cleared, or each response that had sound left.
    - ``idle_clear``: a clear where nothing sounds is answered all the same, or not at all.
    """

    deltas: bool = False
    truncates: Literal["at once", "later", "never"] = "at once"
    later_ms: int = 200
    cleared_first: bool = True
    unheard: Literal["silent", "zero"] = "silent"
    clears: Literal["begun", "each"] = "begun"
    idle_clear: Literal["silent", "answered"] = "answered"


def draw_call(rng: Rng) -> CallManner:
    """One call's manner. That it never says where it cut is rare: what is held then is little."""
    return CallManner(
        deltas=rng.chance(200),
        truncates=rng.choice(("at once", "at once", "at once", "at once", "later", "later", "never")),
        later_ms=rng.between(1, 350),
        cleared_first=rng.chance(600),
        unheard=rng.choice(("silent", "zero")),
        clears=rng.choice(("begun", "each")),
        idle_clear=rng.choice(("silent", "answered", "answered")),
    )


Addressed = Literal["any", "conversation", "transcription", "both"]
"""What a client's address opened: by a model a conversation, by ``intent=transcription`` a session that only transcribes.

``both``: it named a model beside that intent, which opens neither. ``any``: nothing is known of it; the session says what it is.
"""


class ServerOptions(Struct, frozen=True):
    """How a server behaves. Ranges are drawn from evenly; ``*_per_mille`` are chances in 1000.

    ``script`` is used in order for the responses of the conversation before drawing begins; it shifts no other draw, so that a
    server whose script is another's ``Server.plans`` says the same bytes to the same inputs. ``rules`` fixes what the facts leave
    open; None draws it from the seed (``Server.rules`` tells). ``harsh`` lets the draw include answers with which a correct
    client cannot avoid an error; ``held_short_ms`` lets the held length be that much below the sent one (F005). ``session_s`` is
    the session's life, ``limit_minutes`` how long that is by the server's own words (None: the same; it was 30 once, and is 60),
    and ``epoch_s`` the Unix time at ``now == 0``, for ``expires_at``. ``log`` keeps ``Server.log``. With ``call`` the session is
    joined by a call's id: the server sounds the audio itself.

    ``remote_per_mille``: a response of the conversation calls tools of the session's remote servers, too.

    ``numbered_apart``: events are numbered apart from everything else that has an id, so that the same world has the same ids in
    every dialect, however many events each has for one thing.

    ``address``: what the address opened; a session of the other type is refused (protocol facts 1.1, docs/decisions.md).

    Faults, none by default, each drawn from a stream of its own. Per response, as part of its plan: ``no_created_per_mille``,
    ``reorder_per_mille`` (``ResponsePlan.closing``), ``empty_audio_per_mille`` and ``short_audio_per_mille`` (per audio part),
    ``late_announcement_per_mille`` (per message of the conversation, ``MessagePlan.announced_ms``), ``lagging_per_mille``
    (``ResponsePlan.transcript_lag_ms``). ``linger_per_mille``: a
    cancelled response goes on for a second or three before it ends, unless its plan says how many deltas still leave.
    ``overlap_per_mille``: a second response of the conversation beside a running one, by ``ResponsePlan.beside_ms``, and wherever
    the server's automatic response meets a running or ending one, or a client's creation an automatic response that was not
    announced yet, instead of a refusal. ``reject_per_mille``: a valid ``response.create`` or ``conversation.item.create`` is
    refused (``Refusal.injected``). ``phantom_per_mille``: such a ``response.create`` meets a response of which nothing was told
    and never will be; it holds the slot for a while, or this once. ``slow_per_mille``: a response begins only after more than ten
    seconds. ``late_error_per_mille``: an error that names its creation follows a failed response. ``no_done_per_mille``: a
    response that was heard about to its last item has no ``response.done`` (``ResponsePlan.ended``). Per event on the wire
    (``_server_noise``): ``duplicate_per_mille``, ``unknown_per_mille``, ``malformed_per_mille``.
    """

    dialect: DialectName = "openai"
    model: str = "gpt-realtime"
    address: Addressed = "any"
    script: tuple[ResponsePlan, ...] = ()
    rules: Rules | None = None
    harsh: bool = False
    held_short_ms: int = 0
    message_weights: tuple[int, int, int] = (55, 30, 15)
    audio_ms: Range = (300, 9000)
    text_per_mille: int = 40
    two_parts_per_mille: int = 60
    call_per_mille: int = 250
    think_ms: Range = (30, 900)
    gap_ms: Range = (0, 400)
    rate_percent: Range = (120, 1000)
    delta_ms: Range = (20, 400)
    ragged_per_mille: int = 150
    burst_per_mille: int = 200
    stall_per_mille: int = 120
    stall_ms: Range = (300, 2500)
    interleave_per_mille: int = 500
    incomplete_per_mille: int = 20
    failed_per_mille: int = 15
    stragglers: Range = (0, 4)
    transcription_delay_ms: Range = (100, 4000)
    transcription_failed_per_mille: int = 20
    session_s: int = 3600
    limit_minutes: int | None = None
    epoch_s: int = 1_767_225_600
    log: bool = False
    overlap_per_mille: int = 0
    duplicate_per_mille: int = 0
    unknown_per_mille: int = 0
    malformed_per_mille: int = 0
    reject_per_mille: int = 0
    reorder_per_mille: int = 0
    lagging_per_mille: int = 0
    no_created_per_mille: int = 0
    empty_audio_per_mille: int = 0
    short_audio_per_mille: int = 0
    late_announcement_per_mille: int = 0
    phantom_per_mille: int = 0
    slow_per_mille: int = 0
    late_error_per_mille: int = 0
    no_done_per_mille: int = 0
    linger_per_mille: int = 0
    remote_per_mille: int = 0
    call: CallManner | None = None
    numbered_apart: bool = False
