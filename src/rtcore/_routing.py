"""Which owner gets what: the table of the server's events, and that of the timers.

Tables, because they are many (style: a match for the few, a table for the many).
"""

from collections.abc import Callable
from typing import Any

from rtcore._core import Core
from rtcore._wire import (
    ArgumentsDelta,
    ArgumentsDone,
    AudioDelta,
    AudioDone,
    BufferCleared,
    BufferCommitted,
    ContentPartAdded,
    ContentPartDone,
    ConversationCreated,
    ErrorEvent,
    ItemAddedEvent,
    ItemCreatedEvent,
    ItemDeletedEvent,
    ItemDoneEvent,
    ItemRetrievedEvent,
    ItemTruncated,
    OutputItemAdded,
    OutputItemDone,
    OutputTextDelta,
    OutputTextDone,
    PreviewAudioDelta,
    PreviewAudioDone,
    PreviewTextDelta,
    PreviewTextDone,
    PreviewTranscriptDelta,
    PreviewTranscriptDone,
    RateLimits,
    ResponseCreated,
    ResponseDone,
    ServerPlayoutCleared,
    ServerPlayoutStarted,
    ServerPlayoutStopped,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TranscriptDelta,
    TranscriptDone,
    TranscriptionCompleted,
    TranscriptionDelta,
    TranscriptionFailed,
    TranscriptionSessionCreated,
    TranscriptionSessionUpdated,
    TranscriptionSoFar,
)
from rtcore._wire_other import (
    DtmfEvent,
    McpArgumentsDelta,
    McpArgumentsDone,
    McpCallBegan,
    McpCallDone,
    McpCallFailed,
    McpListingBegan,
    McpListingDone,
    McpListingFailed,
    TimeoutTriggered,
    TranscriptionSegment,
)

SETUP = (
    SessionCreated,
    SessionUpdated,
    TranscriptionSessionCreated,
    TranscriptionSessionUpdated,
    ErrorEvent,
    RateLimits,
)
"""Events that are handled before the session is acknowledged; any other waits."""

TIMERS: dict[str, Callable[[Core], None]] = {
    "acknowledgement of the session": lambda core: core.lifecycle.not_acknowledged(),
    "answer that was refused": lambda core: core.creation.try_again(),
    "answer to a command": lambda core: core.lifecycle.overdue(),
    "answer to a flush": lambda core: core.interruption.flush_overdue(),
    "audio held back": lambda core: core.holds.overdue(),
    "decision about an interruption": lambda core: core.barge_in.overdue(),
    "delete of an unheard item": lambda core: core.interruption.pump_deletes(),
    "end of a response that was cut": lambda core: core.interruption.overdue_responses(),
    "end of a response": lambda core: core.responses.responses_overdue(),
    "end of speech heard on this side": lambda core: core.turns.here_overdue(),
    "end of the user's speech": lambda core: core.turns.floor_overdue(),
    "end of the server's playout": lambda core: core.remote.overdue(),
    "function call that takes long": lambda core: core.tools.slow(),
    "microphone batch": lambda core: core.send_microphone(rest=True),
    "position report of the clock": lambda core: core.speech.clock_overdue(),
    "reconnection": lambda core: core.continuity.dial(),
    "renewal of the session": lambda core: core.renewal.look(),
    "response that holds the slot": lambda core: core.creation.slot_overdue(),
    "segment that holds up the queue": lambda core: core.speech.step_aside(),
    "silence of a muted microphone": lambda core: core.hearing.due(),
    "text of a heard message": lambda core: core.speech.text_overdue(),
    "somebody says something": lambda core: core.idle.overdue(),
    "turn of a request": lambda core: core.creation.queue_overdue(),
    "turn that may never come": lambda core: core.barge_in.turn_overdue(),
}
"""Which owner each timer wakes, by its reason (``Deadline.why``)."""


def handlers(core: Core) -> dict[type, Callable[[Any], None]]:
    """Which owner each event goes to."""
    responses, turns, lifecycle, mcp = core.responses, core.turns, core.lifecycle, core.mcp

    def truncated(event: ItemTruncated) -> None:
        if core.requests.take_first("truncate", event.item_id) is None:
            core.remote.truncated(event)
        core.creation.pump()

    def nothing(event: object) -> None:
        """Known, and of no consequence here."""

    return {
        AudioDelta: responses.audio_delta,
        PreviewAudioDelta: responses.audio_delta,
        TranscriptDelta: responses.text_delta,
        PreviewTranscriptDelta: responses.text_delta,
        OutputTextDelta: responses.text_delta,
        PreviewTextDelta: responses.text_delta,
        AudioDone: responses.audio_done,
        PreviewAudioDone: responses.audio_done,
        TranscriptDone: responses.text_done,
        PreviewTranscriptDone: responses.text_done,
        OutputTextDone: responses.text_done,
        PreviewTextDone: responses.text_done,
        ContentPartAdded: responses.part_added,
        ContentPartDone: responses.part_done,
        OutputItemAdded: responses.item_added_to_response,
        OutputItemDone: responses.item_done_in_response,
        ResponseCreated: responses.created,
        ResponseDone: responses.done,
        ItemAddedEvent: responses.item_announced,
        ItemCreatedEvent: responses.item_announced,
        ItemDoneEvent: responses.item_done,
        ItemRetrievedEvent: responses.item_retrieved,
        ConversationCreated: nothing,
        TimeoutTriggered: turns.idle,
        DtmfEvent: turns.dtmf,
        ItemDeletedEvent: responses.item_deleted,
        ItemTruncated: truncated,
        ArgumentsDelta: core.tools.arguments_delta if core.config.function_calls.stream_arguments else nothing,
        ArgumentsDone: core.tools.arguments_done,
        BufferCommitted: turns.committed,
        BufferCleared: lambda event: turns.cleared(),
        ServerPlayoutStarted: core.remote.started,
        ServerPlayoutStopped: core.remote.stopped,
        ServerPlayoutCleared: core.remote.cleared,
        SpeechStarted: turns.started,
        SpeechStopped: turns.stopped,
        TranscriptionDelta: turns.transcript_delta,
        TranscriptionSoFar: turns.transcript_so_far,
        TranscriptionCompleted: turns.transcript_completed,
        TranscriptionFailed: turns.transcript_failed,
        TranscriptionSegment: turns.transcript_segment,
        McpListingBegan: mcp.listing_began,
        McpListingDone: mcp.listing_done,
        McpListingFailed: mcp.listing_failed,
        McpArgumentsDelta: nothing,
        McpArgumentsDone: mcp.arguments_done,
        McpCallBegan: mcp.call_changed,
        McpCallDone: mcp.call_changed,
        McpCallFailed: mcp.call_changed,
        SessionCreated: lifecycle.session_created,
        SessionUpdated: lifecycle.session_updated,
        TranscriptionSessionCreated: lifecycle.session_created,
        TranscriptionSessionUpdated: lifecycle.session_updated,
        RateLimits: lifecycle.rate_limits,
        ErrorEvent: lifecycle.error,
    }
