"""What a live conversation's signal held: whose samples sounded, when, and what became of the rest.

Two are believed: the signal that was audible, and the server that sent the audio (both are in this process). The signal's bytes
are found again in what the server sent (``rtcore.sim.matching``); what the core said is then compared with that.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from rtcore import PCM16_24K, MessageEnded, Verdict
from rtcore.sim.matching import Matcher, Place, Segment
from rtcore.sim.server import Server, ServerItem, ServerPart
from rtcore.sim.speaker import Span
from rtcore_adapters.audio import SpeakerReports, VirtualSpeaker

_SECOND = 1_000_000_000
_PIECE = 240
"""Samples of the signal that are matched at a time: 10 ms."""
_EXCUSED = frozenset(
    {
        "response_cancel_not_active",
        "conversation_already_has_active_response",
        "input_audio_buffer_commit_empty",
        "item_delete_invalid_item_id",
    }
)
"""The only refusals that a correct client can meet (DESIGN section 6, invariant 9)."""


class Silenced(Struct, frozen=True):
    """A flush: when it was asked for (``now`` seconds), and of which generation."""

    at: float
    generation: int


class Recorder(VirtualSpeaker):
    """A speaker that also remembers when it was opened and told to stop."""

    def __init__(self, *, block_ms: int, flush_ms: int) -> None:
        super().__init__(block_ms=block_ms, flush_ms=flush_ms)
        self.opened = 0.0
        self.silenced: list[Silenced] = []

    def open(self, reports: SpeakerReports, *, now: float) -> None:
        """Begin the signal."""
        self.opened = now
        super().open(reports, now=now)

    def flush(self, generation: int, *, now: float) -> None:
        """Silence."""
        self.silenced.append(Silenced(now, generation))
        super().flush(generation, now=now)


class Sounded(Struct, frozen=True):
    """A stretch of one message that was audible: its samples ``start`` to ``end``, from ``at`` to ``until`` (``now`` seconds)."""

    item_id: str
    at: float
    until: float
    start: int
    end: int


class Told(Struct, frozen=True):
    """An edit that the server accepted."""

    at: float
    what: Literal["truncate", "delete", "cancel"]
    item_id: str | None = None
    audio_end_ms: int | None = None


class Message(Struct, frozen=True):
    """One message of the model's in one conversation, as server and signal have it; samples at 24 kHz."""

    item_id: str
    response_id: str
    planned: int
    sent: int
    heard: int
    text: str
    heard_text: str
    verdict: str
    deleted: bool
    truncated_ms: int | None
    first_audio_at: float | None
    last_audio_at: float | None


class Hearing(Struct, frozen=True):
    """What one conversation's signal held, and what was wrong with it: ``faults`` in words."""

    messages: tuple[Message, ...] = ()
    sounded: tuple[Sounded, ...] = ()
    told: tuple[Told, ...] = ()
    truncation_errors_ms: tuple[int, ...] = ()
    faults: tuple[str, ...] = ()
    unheard_left: int = 0
    server_errors: int = 0


def hearing(server: Server, speaker: Recorder, ended: Sequence[MessageEnded]) -> Hearing:
    """Match the signal with what the server sent, and compare what the core told server and program."""
    parts = _parts(server)
    matcher = Matcher(PCM16_24K.sample_width)
    segments = [_segment(server, speaker, item, part, order) for order, (item, part) in enumerate(parts)]
    for (_, part), segment in zip(parts, segments, strict=True):
        if part.sent_bytes:
            matcher.add(segment)
    sounded = _sounded(matcher, segments, speaker)
    verdicts: dict[str, list[MessageEnded]] = {}
    for notice in ended:
        verdicts.setdefault(notice.item_id, []).append(notice)
    faults = [f"{mismatch.text} (invariant {mismatch.invariant})" for mismatch in matcher.mismatches]
    errors: list[int] = []
    messages: list[Message] = []
    left = 0
    for (item, part), segment in zip(parts, segments, strict=True):
        heard = segment.heard // 2
        one = verdicts.get(item.id, [])
        if len(one) != 1:
            faults.append(f"{item.id} ended {len(one)} times")
        response = server.responses[item.response_id or ""]
        closed_first = response.reason == "turn_detected" and server.rules.cascade == "before_speech_started"
        faults += _check(item, part, heard, one[-1] if one else None, closed_first=closed_first)
        if part.truncations:
            errors.append(part.truncations[-1].audio_end_ms - PCM16_24K.ms(heard))
        left += not item.deleted and part.held_samples > heard + PCM16_24K.samples(1)
        messages.append(_message(item, part, heard, one[-1] if one else None))
    refused = [refusal for refusal in server.refusals if refusal.code not in _EXCUSED]
    faults += [f"the server refused: {refusal.message}" for refusal in refused]
    told = _told(server, parts)
    return Hearing(tuple(messages), sounded, told, tuple(errors), tuple(faults), left, len(server.refusals))


def old_sound_us(found: Hearing, old: frozenset[str], since: float) -> int:
    """How long, in microseconds, messages of these responses went on sounding after ``since``."""
    ids = {message.item_id for message in found.messages if message.response_id in old}
    last = max((stretch.until for stretch in found.sounded if stretch.item_id in ids), default=since)
    return max(0, round((last - since) * 1_000_000))


def _parts(server: Server) -> list[tuple[ServerItem, ServerPart]]:
    """The audio parts of all messages: responses in the order of their creation, in each by first audio."""
    order = {response: index for index, response in enumerate(server.responses)}
    found = [(item, part) for item in server.items.values() for part in item.parts if part.kind == "audio"]
    return sorted(found, key=lambda pair: (order[pair[0].response_id or ""], pair[1].first_audio_at or float("inf")))


def _segment(server: Server, speaker: Recorder, item: ServerItem, part: ServerPart, order: int) -> Segment:
    response = server.responses[item.response_id or ""]
    # Everything that was sent has arrived: the matching begins when all is over.
    received = part.sent_bytes
    segment = Segment(response.id, item.id, part.index, (order, 0), part, received=received, complete=part.done_at is not None)
    segment.dismissed = item.deleted or bool(part.truncations) or response.status == "cancelled"
    # What had begun when the speaker was told to stop must never sound again.
    cut = [each.generation for each in speaker.silenced if part.first_audio_at is not None and part.first_audio_at <= each.at]
    if cut:
        segment.dead_from = Place(min(cut) + 1, 0)
    return segment


def _sounded(matcher: Matcher, segments: Sequence[Segment], speaker: Recorder) -> tuple[Sounded, ...]:
    signal = memoryview(bytes(speaker.signal))
    found: list[Sounded] = []
    for span in speaker.spans:
        # In pieces, so that a time can be told for each message even where one follows another without a gap.
        for first in range(0, span.samples, _PIECE):
            samples = min(_PIECE, span.samples - first)
            position = span.position + first
            at, until = (speaker.opened + place / speaker.rate for place in (position, position + samples))
            before = [segment.heard for segment in segments]
            pcm = signal[2 * position : 2 * (position + samples)]
            matcher.consume(Span(round(at * _SECOND), round(until * _SECOND), span.generation, span.start + first, pcm))
            shift = 0
            for segment, old in zip(segments, before, strict=True):
                if (taken := (segment.heard - old) // 2) > 0:
                    begin = at + shift / speaker.rate
                    shift += taken
                    _extend(found, Sounded(segment.item_id, begin, begin + taken / speaker.rate, old // 2, segment.heard // 2))
    return tuple(found)


def _extend(found: list[Sounded], piece: Sounded) -> None:
    last = found[-1] if found else None
    if last is not None and last.item_id == piece.item_id and last.end == piece.start and piece.at - last.until < 0.001:
        found[-1] = Sounded(last.item_id, last.at, piece.until, last.start, piece.end)
    else:
        found.append(piece)


def _check(item: ServerItem, part: ServerPart, heard: int, ended: MessageEnded | None, *, closed_first: bool) -> list[str]:
    """What is wrong with one message (DESIGN section 3, the table of verdicts).

    ``closed_first``: the server closed it before it told of the interruption. Without a single sample it may then be left.
    """
    heard_ms = PCM16_24K.ms(heard)
    faults = []
    if part.truncations:
        told = [each.audio_end_ms for each in part.truncations]
        if item.deleted:
            faults.append(f"{item.id} was truncated and deleted")
        if set(told) != {heard_ms}:
            faults.append(f"{item.id}: the server was told {told} ms, {heard_ms} ms were heard")
        expected = Verdict.PARTIAL
    elif item.deleted:
        if heard_ms:
            faults.append(f"{item.id} was deleted, but {heard_ms} ms of it were heard")
        expected = Verdict.SKIPPED
    elif not part.sent_bytes:
        if not closed_first:
            faults.append(f"{item.id} was declared and never heard, and it was not deleted")
        return faults
    else:
        if heard < part.sent_samples:
            faults.append(f"{item.id}: {heard} of {part.sent_samples} samples were heard, and the server was not told")
        expected = Verdict.FULL
    if ended is not None and ended.verdict is not expected:
        faults.append(f"{item.id} ended {ended.verdict.value}, and it was {expected.value}")
    # A message counts as heard with all but its last sample, which may sound a moment later (B02).
    one_less = PCM16_24K.ms(heard - 1) if expected is Verdict.FULL else heard_ms
    if ended is not None and ended.heard_ms not in (heard_ms, one_less):
        faults.append(f"{item.id}: the program was told {ended.heard_ms} ms, {heard_ms} ms were heard")
    return faults


def _message(item: ServerItem, part: ServerPart, heard: int, ended: MessageEnded | None) -> Message:
    return Message(
        item_id=item.id,
        response_id=item.response_id or "",
        planned=part.planned_samples,
        sent=part.sent_samples,
        heard=heard,
        text=part.sent_text,
        heard_text=ended.text if ended is not None else "",
        verdict=ended.verdict.value if ended is not None else "none",
        deleted=item.deleted,
        truncated_ms=part.truncated_ms,
        first_audio_at=part.first_audio_at,
        last_audio_at=part.last_audio_at,
    )


def _told(server: Server, parts: Sequence[tuple[ServerItem, ServerPart]]) -> tuple[Told, ...]:
    told = [Told(each.at, "truncate", item.id, each.audio_end_ms) for item, part in parts for each in part.truncations]
    told += [Told(item.deleted_at, "delete", item.id) for item in server.items.values() if item.deleted_at is not None]
    told += [Told(entry.at, "cancel") for entry in server.log if entry.type == "response.cancel"]
    return tuple(sorted(told, key=lambda each: each.at))
