"""What a judge says of a client: plain data that reads as JSON. Times are seconds since the connection, lengths milliseconds."""

from typing import Literal

from msgspec import Struct

FINDINGS: dict[str, str] = {
    "unheard words left": "after an interruption the conversation holds audio that nobody heard: the model believes it said it",
    "told too much": "a truncate, or an item left as it is, claims more than could be heard",
    "told too little": "a truncate cut words that were heard",
    "cumulative position": "a truncate counted from the beginning of the answer, not of its own item",
    "truncate at zero": "a truncate keeps nothing: servers refuse it, delete the item instead",
    "truncate above what was sent": "a truncate keeps more audio than the client had received of this item",
    "truncate of a wrong item": "a truncate names an item that has no audio of the model, or that is gone",
    "truncate not an integer": "audio_end_ms is not a whole number",
    "raised truncate": "a later truncate claims more than an earlier one of the same item",
    "deleted what was heard": "an item of which something was heard was deleted, and not created anew",
    "second cancel": "a response was cancelled that was cancelled already, by the server's turn detection or by the client",
    "friendly fire": "a cancel without response_id hit the answer to the new turn",
    "late audio": "the speaker still sounded an interrupted response after the interruption had reached the client",
    "response while one is active": "response.create although a response was running or asked for",
    "call without output": "a completed function call never got its output",
    "second output": "a function call got more than one output",
    "output for no call": "a function call output names a call that the server never made",
    "refused event": "the server refused something else that the client sent",
    "malformed message": "the client sent something that is no JSON object",
    "hung up": "the client hung up before the test was over",
    "unanswered": "the user spoke, and again, and no answer came: the client may have switched turn detection off",
}
"""Every finding's name, and what it means."""

Signal = Literal["messages", "positions", "samples"]
"""What the verdict rests on: the messages and real time alone, positions that a speaker reported, or the audible samples."""


class Finding(Struct, frozen=True):
    """One thing that is wrong: its name (of ``FINDINGS``), when, what happened, and where it belongs (None: nowhere)."""

    name: str
    at: float
    text: str
    item_id: str | None = None
    interruption: int | None = None


class RefusedEvent(Struct, frozen=True):
    """A client event that the server refused: the error's ``code``, and the type of the event that caused it (None: not known).

    ``excused``: the event that made it wrong was on its way to the client when the client sent it; nobody can avoid that.
    """

    at: float
    code: str | None
    message: str
    event_type: str | None
    excused: bool


class PartVerdict(Struct, frozen=True):
    """One audio part that an interruption cut.

    ``received_ms`` is what the client had of it in the end. It heard at least ``heard_least_ms`` and at most ``heard_most_ms``
    (equal where samples tell). ``told`` is what the client did about it, ``told_ms`` the position of its last truncate.
    ``error_ms`` is by how much that misses what was heard (0 inside the bounds). ``unheard_ms`` and ``unheard_words`` are what
    the conversation holds although nobody heard it, for certain.
    """

    item_id: str
    content_index: int
    received_ms: int
    heard_least_ms: int
    heard_most_ms: int
    told: Literal["nothing", "truncate", "delete"]
    told_ms: int | None = None
    error_ms: int | None = None
    unheard_ms: int = 0
    unheard_words: str = ""


class InterruptionVerdict(Struct, frozen=True):
    """One interruption: what began it, which responses it cut, what the client sent (in order), and what became of each part.

    ``late_ms`` is how long the cut responses went on sounding after it (None: nothing tells).
    """

    number: int
    at: float
    cause: Literal["speech_started", "turn detection", "response.cancel", "truncate"]
    responses: tuple[str, ...]
    sent: tuple[str, ...]
    parts: tuple[PartVerdict, ...]
    late_ms: int | None = None


class AuditVerdict(Struct, frozen=True):
    """The verdict on one client in one connection. ``findings`` is everything that is wrong with it, in the order of time."""

    signal: Signal
    duration_s: float
    client_messages: int
    server_messages: int
    responses: int
    calls: int
    interruptions: tuple[InterruptionVerdict, ...]
    refused: tuple[RefusedEvent, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    """What limits the verdict."""

    @property
    def clean(self) -> bool:
        """Nothing is wrong."""
        return not self.findings

    @property
    def counts(self) -> dict[str, int]:
        """How often each finding came up, by name."""
        found: dict[str, int] = {}
        for finding in self.findings:
            found[finding.name] = found.get(finding.name, 0) + 1
        return found
