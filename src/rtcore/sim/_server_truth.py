"""The ground truth: what the simulated server sent, holds, was told and refused, for an auditor that trusts nobody else.

These records are written by the server alone; a reader must not change them. Times are the ``now`` seconds of the call in
which something happened. Positions are samples of the part's own audio format.
"""

from typing import Any, Literal

from msgspec import Struct, field

from rtcore._formats import AudioFormat
from rtcore.sim.voices import Word


class Truncation(Struct, frozen=True, gc=False):
    """An accepted ``conversation.item.truncate``: when, to what, and how many samples had been sent until then."""

    at: float
    audio_end_ms: int
    sent_samples: int


class ServerPart(Struct, eq=False):
    """One content part of an item the server generated.

    ``planned_samples`` is its whole length, ``planned_text`` its whole text and ``words`` every word of it with times from the
    part's first sample; ``sent_samples`` and ``sent_text`` are what has been generated and sent so far. ``held_samples`` is what
    the server still keeps after truncations.

    ``announced_samples`` is the length that transcript and usage tell; where it is above ``planned_samples``, the words behind
    that are in ``planned_text`` and ``words`` all the same, and nobody can ever hear them (fewer samples than announced, empty
    audio). No client can know which words those are.
    """

    kind: Literal["audio", "text"]
    index: int
    format: AudioFormat
    planned_text: str
    planned_bytes: int
    words: tuple[Word, ...]
    source: bytes
    start: int
    announced_at: float
    first_audio_at: float | None = None
    last_audio_at: float | None = None
    done_at: float | None = None
    sent_bytes: int = 0
    kept_bytes: int = 0
    sent_chars: int = 0
    short_samples: int = 0
    announced_bytes: int = 0
    truncations: list[Truncation] = field(default_factory=list)
    sounds: list[tuple[float, float]] = field(default_factory=list)
    """On a call, where the server sounds it: from when to when, in seconds, in order. A clear ends what was to come."""

    @property
    def announced_samples(self) -> int:
        """The part's length by its transcript and by usage; at least ``planned_samples``."""
        return max(self.announced_bytes, self.planned_bytes) // self.format.sample_width

    @property
    def audio(self) -> bytes:
        """Every byte of audio sent for this part so far, in order (joined on demand; nothing is copied before)."""
        return self.source[self.start : self.start + self.sent_bytes]

    @property
    def planned_audio(self) -> bytes:
        """The audio this part would have if it were generated to its end."""
        return self.source[self.start : self.start + self.planned_bytes]

    @property
    def planned_samples(self) -> int:
        """Length of the whole part in samples."""
        return self.planned_bytes // self.format.sample_width

    @property
    def sent_samples(self) -> int:
        """Whole samples sent so far."""
        return self.sent_bytes // self.format.sample_width

    @property
    def held_samples(self) -> int:
        """Samples that the server holds: what it sent, minus what truncates removed (and see ``held_short_ms``, F005)."""
        return max(0, self.kept_bytes // self.format.sample_width - self.short_samples)

    @property
    def sent_text(self) -> str:
        """The text or transcript sent so far; it runs ahead of the audio."""
        return self.planned_text[: self.sent_chars]

    @property
    def truncated_ms(self) -> int | None:
        """The last accepted truncate's ``audio_end_ms``, or None."""
        return self.truncations[-1].audio_end_ms if self.truncations else None


class ServerItem(Struct, eq=False):
    """One item, for ever: deleted items stay here with ``deleted_at`` set.

    ``origin`` says who made it: ``"response"`` the model, ``"turn"`` committed user audio, ``"client"`` conversation.item.create.
    ``order`` counts announcements; it is -1, and ``announced_at`` None, while the item has not been announced (late announcement)
    and for ever where it never is: then it has no place in the conversation. ``parts`` are the parts of a generated message;
    ``content`` is the content of the others.
    """

    id: str
    type: str
    role: str | None
    origin: Literal["response", "turn", "client"]
    order: int
    announced_at: float | None
    previous_item_id: str | None = None
    response_id: str | None = None
    output_index: int | None = None
    out_of_band: bool = False
    status: str = "in_progress"
    phase: str | None = None
    parts: list[ServerPart] = field(default_factory=list)
    content: list[dict[str, Any]] = field(default_factory=list)
    call_id: str | None = None
    name: str | None = None
    arguments: str = ""
    server_label: str = ""
    output: Any = None
    done_at: float | None = None
    deleted_at: float | None = None

    @property
    def deleted(self) -> bool:
        """Whether the client deleted it."""
        return self.deleted_at is not None

    @property
    def audio(self) -> bytes:
        """Every byte of audio sent for this item, over its parts in order."""
        return b"".join(part.audio for part in self.parts)


class ServerResponse(Struct, eq=False):
    """One response: who asked for it, when it was accepted, announced (``response.created``) and done, and how it ended.

    ``created_at`` stays None where no ``response.created`` was sent. Two responses of the conversation can run at once: their
    times overlap (``ServerOptions.overlap_per_mille``).
    """

    id: str
    cause: Literal["client", "turn"]
    accepted_at: float
    out_of_band: bool
    metadata: dict[str, str] | None
    client_event_id: str | None = None
    created_at: float | None = None
    done_at: float | None = None
    status: str = "in_progress"
    reason: str | None = None
    stop_requested_at: float | None = None
    item_ids: list[str] = field(default_factory=list)


class Refusal(Struct, frozen=True):
    """One ``error`` event: what it said, and the client event that caused it.

    ``event`` is the decoded JSON, or the first bytes of what was no JSON, or None where the server itself was the cause.
    ``injected``: nothing was wrong with the event (``ServerOptions.reject_per_mille``); it had no effect.
    """

    at: float
    type: str
    code: str | None
    message: str
    param: str | None
    event_id: str | None
    event: Any
    injected: bool = False


class LogEntry(Struct, frozen=True, gc=False):
    """One line of the optional log: what passed when, in which direction, and the ids it names."""

    at: float
    direction: Literal["in", "out"]
    type: str
    response_id: str | None = None
    item_id: str | None = None
