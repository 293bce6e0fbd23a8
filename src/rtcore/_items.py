"""Items, their parts, and the responses they belong to: what the other modules share, without behaviour of its own.

An ``Item`` is created at the first sight of its id, whatever event shows it first, and lives as long as the history names it.
Its texts stand in its parts, so that late transcripts find their place by item id (F103).
"""

from collections import deque
from collections.abc import Iterable
from typing import Any, Literal

from msgspec import Struct

from rtcore._formats import AudioFormat
from rtcore._notices import Cause, Told, Verdict
from rtcore._pacing import Pacing

PartKind = Literal["audio", "text", "image", "other"]


class Segment:
    """One audio content part of one item: counts in samples, and the PCM that was not handed over yet.

    ``received`` counts everything the server sent, late audio included; ``heard + discarded + queued == received`` holds at all
    times (invariant 8), with ``queued`` derived. At a cut ``received_at_cut`` is frozen: late audio never loosens a clamp.
    """

    __slots__ = (
        "asked",
        "carry",
        "complete",
        "complete_at_cut",
        "content_index",
        "cut",
        "discarded",
        "estimated",
        "format",
        "fresh",
        "heard",
        "item_id",
        "odd_told",
        "over",
        "pacing",
        "received",
        "received_at_cut",
        "response_id",
        "started_at",
        "stopped_at",
        "torn",
        "waiting",
        "width",
    )

    def __init__(self, response_id: str, item_id: str, content_index: int, format: AudioFormat) -> None:
        self.response_id = response_id
        self.item_id = item_id
        self.content_index = content_index
        self.format = format
        self.width = format.sample_width
        self.received = 0
        self.received_at_cut: int | None = None
        self.heard = 0
        self.discarded = 0
        self.complete = False
        self.complete_at_cut: bool | None = None
        self.cut = False
        self.torn = False
        """Its connection was lost before it was complete: what came of it is all that can be heard."""
        self.estimated = False
        self.over = False
        """Its message was heard to its end: the sample that there may be of it is not sounded any more."""
        self.carry = b""
        self.odd_told = False
        self.waiting: deque[tuple[bytes | memoryview, int]] = deque()
        self.started_at: float | None = None
        self.stopped_at: float | None = None
        self.asked = 0
        """Samples that had been heard when its text was last asked for."""
        self.pacing: Pacing | None = None
        self.fresh: list[bytes | memoryview] = []

    def follow_sound(self) -> None:
        """It will be heard: what its sound says of its text is looked at from now on."""
        if self.pacing is None:
            self.pacing = Pacing(self.format)
            self.fresh = self.pacing.fresh

    def forget_sound(self) -> None:
        """Its text needs no estimate any more, and nothing of its sound is kept for one."""
        self.pacing = None
        self.fresh = []

    def align(self, pcm: bytes) -> bytes:
        """Whole samples only: a half sample is carried to the next delta (B27, C22). One copy, where it is joined or cut."""
        carry = self.carry
        rest = (len(carry) + len(pcm)) % self.width
        if not (carry or rest):
            return pcm
        end = len(pcm) - rest
        if end < 0:
            return b""  # nothing came to join the half sample to
        self.carry = pcm[end:]
        return carry + memoryview(pcm)[:end]

    def freeze(self) -> None:
        """It is cut: what was received and whether it was complete count from here on, late audio does not."""
        self.cut = True
        self.received_at_cut = self.received
        self.complete_at_cut = self.complete

    @property
    def queued(self) -> int:
        """Samples received that are neither heard nor discarded."""
        return self.received - self.heard - self.discarded

    @property
    def playable(self) -> int:
        """Samples that counted when it was cut, or all so far."""
        return self.received if self.received_at_cut is None else self.received_at_cut

    @property
    def heard_ms(self) -> int:
        """Whole milliseconds heard, never above what was received when it was cut (C08)."""
        return self.format.ms(min(self.heard, self.playable))

    @property
    def all_heard(self) -> bool:
        """Complete, and heard but for a sample: clocks that convert rates round by one (B02)."""
        complete = self.complete if self.complete_at_cut is None else self.complete_at_cut
        return complete and self.heard >= self.playable - 1

    @property
    def exhausted(self) -> bool:
        """Nothing more of it can be heard: all of it was, or all that came before its connection was lost."""
        return self.all_heard or (self.torn and not self.cut and self.heard >= self.playable - 1)


class Part:
    """A content part: its kind once known, its text so far, its segment if it has audio."""

    __slots__ = (
        "_complete_at_cut",
        "_cut_length",
        "_final_at_cut",
        "_pieces",
        "_shown",
        "complete",
        "final",
        "kind",
        "segment",
        "told",
    )

    def __init__(self) -> None:
        self.kind: PartKind | None = None
        self._pieces: list[str] = []
        self.final = False
        self.complete = False
        self.segment: Segment | None = None
        self._cut_length: int | None = None
        self._complete_at_cut: bool | None = None
        self._final_at_cut = False
        self._shown = 0
        self.told = 0
        """Characters that were told as heard while it sounded."""

    def cut(self) -> None:
        """Freeze what belongs to the audio received so far: the text, and whether the part was complete.

        The server's cascade closes a part that it cut; it does not make it one that was heard to its end (DESIGN 3).
        """
        self._cut_length = len(self.text)
        self._complete_at_cut = self.complete
        self._final_at_cut = self.final

    @property
    def was_complete(self) -> bool:
        """Whether it was complete when it was cut, or is now."""
        return self.complete if self._complete_at_cut is None else self._complete_at_cut

    @property
    def text_at_cut(self) -> str:
        """The text that had arrived when the part was cut, or all of it."""
        return self.text if self._cut_length is None else self.text[: self._cut_length]

    @property
    def told_text(self) -> str:
        """The text of what was heard of its audio when it was last looked at; of a text part, all that came before the cut."""
        return self.text_at_cut[: self._shown] if self.kind == "audio" else self.text_at_cut

    def heard_text(self) -> str:
        """The text of what was heard of its audio until now; of a text part, all that came before the cut (B30, S05)."""
        segment = self.segment
        if self.kind == "audio" and segment is not None and segment.pacing is not None:
            text = self.text_at_cut
            cut = self._cut_length is not None
            final = self._final_at_cut if cut else self.final
            complete = segment.complete if segment.complete_at_cut is None else segment.complete_at_cut
            heard = segment.playable if segment.all_heard else segment.heard
            self._shown = segment.pacing.heard(text, heard, segment.playable, final=final, complete=complete)
        return self.told_text

    def add_text(self, delta: str) -> None:
        """One more piece, unless the complete text is there already (F115)."""
        if not self.final:
            self._pieces.append(delta)

    def finish_text(self, text: str | None) -> None:
        """The complete text wins over the pieces; an empty one never replaces what is there (C24, F115)."""
        if text:
            self._pieces = [text]
        if text is not None:
            self.final = True

    @property
    def text(self) -> str:
        """The text so far; joined once and kept, so that reading it again is free."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""


class Item:
    """A conversation item. Assistant messages get a ``verdict``; function calls are pinned once ``dispatched``."""

    __slots__ = (
        "announced",
        "approval_request_id",
        "approve",
        "arguments",
        "aside",
        "call_id",
        "delete_sent",
        "deleted",
        "dispatched",
        "done",
        "ended_told",
        "error",
        "failed",
        "heard_ms",
        "heard_text",
        "id",
        "late_audio",
        "line",
        "name",
        "output",
        "parts",
        "phase",
        "ran",
        "reckoned",
        "remote_ms",
        "response",
        "role",
        "server_label",
        "started_at",
        "started_told",
        "status",
        "stopped_at",
        "text_due",
        "told",
        "tools",
        "truncated",
        "type",
        "verdict",
        "wire_id",
    )

    def __init__(self, id: str, type: str, role: str | None, response: "Response | None") -> None:
        self.id = id
        self.type = type
        self.role = role
        self.status: str | None = None
        self.call_id: str | None = None
        self.name: str | None = None
        self.arguments: str | None = None
        self.output: str | None = None
        self.phase: str | None = None
        self.server_label: str | None = None
        self.approval_request_id: str | None = None
        self.approve: bool | None = None
        self.error: dict[str, Any] | None = None
        self.tools: tuple[dict[str, Any], ...] | None = None
        self.failed = False
        self.ran = False
        """A remote call of which the server said that it was completed."""
        self.ended_told = False
        self.response = response
        self.parts: dict[int, Part] = {}
        self.announced = False
        self.done = False
        self.dispatched = False
        self.deleted = False
        self.delete_sent = False
        self.verdict: Verdict | None = None
        self.heard_ms = 0
        self.started_at: float | None = None
        self.stopped_at: float | None = None
        self.heard_text: str | None = None
        self.truncated: tuple[int, int] | None = None
        self.late_audio = False
        self.started_told = False
        self.text_due: float | None = None
        self.told: Told = "nothing"
        self.aside = False
        """A note of ours about what was heard: whoever is told what was heard need not be told it twice."""
        self.line = 0
        """The connection whose session holds it; an earlier one where it was lost with that and not replayed."""
        self.wire_id = id
        """Its name on that connection; another than ``id`` where it was replayed."""
        self.remote_ms: int | None = None
        """How much of it was heard by the word of a server that sounds the audio itself."""
        self.reckoned = False
        """That server did not say so in time: it is a guess."""

    def part(self, index: int) -> Part:
        """The part at ``index``, made at first sight."""
        found = self.parts.get(index)
        if found is None:
            found = self.parts[index] = Part()
            if self.response is not None and self.response.dead:
                found.cut()
        return found

    @property
    def audio_parts(self) -> list[tuple[int, Part]]:
        """Its audio parts in content order."""
        return [(index, part) for index, part in sorted(self.parts.items()) if part.kind == "audio"]

    @property
    def segments(self) -> list[Segment]:
        """The segments of its audio parts, in content order."""
        return [part.segment for _, part in self.audio_parts if part.segment is not None]

    @property
    def activity(self) -> int:
        """A number that grows with whatever the server sends for it."""
        return self.done + sum(
            part.complete + len(part.text) + (part.segment.received if part.segment is not None else 0)
            for part in self.parts.values()
        )

    @property
    def text_so_far(self) -> str:
        """What was heard of it until now; of texts and of the user's words, everything."""
        if self.heard_text is not None:
            return self.heard_text
        if self.verdict is not None or self.response is None:
            return self.full_text
        return "".join(part.told_text for _, part in sorted(self.parts.items()))

    @property
    def heard_ms_so_far(self) -> int:
        """How much of it was heard until now, over its audio parts."""
        if self.verdict is not None or self.response is None:
            return self.heard_ms
        return sum(segment.heard_ms for segment in self.segments)

    @property
    def sounded_so_far(self) -> tuple[float | None, float | None]:
        """From when to when it was heard until now; at its end, as ``MessageEnded`` tells it."""
        if self.verdict is not None or self.response is None:
            return self.started_at, self.stopped_at
        starts = [segment.started_at for segment in self.segments if segment.started_at is not None]
        stops = [segment.stopped_at for segment in self.segments if segment.stopped_at is not None]
        return min(starts, default=None), max(stops, default=None)

    @property
    def images(self) -> int:
        """So many pictures it shows."""
        return sum(part.kind == "image" for part in self.parts.values())

    @property
    def full_text(self) -> str:
        """Everything that was generated, heard or not."""
        return joined(self.role, [part.text for _, part in sorted(self.parts.items())])

    @property
    def texts(self) -> list[str]:
        """``text_so_far`` as the parts of an item that is created anew: those that were texts of their own stay so."""
        if self.role not in ("user", "system") or self.heard_text is not None:
            parts = [self.text_so_far]
        else:
            parts = [part.text for _, part in sorted(self.parts.items())]
        return [text for text in parts if text.strip()]


def joined(role: str | None, texts: Iterable[str]) -> str:
    """The texts of a message's parts as one. Those that a person or a program wrote are apart, and their words stay apart; what
    the model says goes on in its next part, to the letter: what was heard of it is told by its place in the whole."""
    if role not in ("user", "system"):
        return "".join(texts)
    whole = ""
    for text in texts:
        apart = not whole or not text or whole[-1].isspace() or text[0].isspace()
        whole += text if apart else f" {text}"
    return whole


class Asked(Struct, frozen=True):
    """How a response was asked for, so that it can be asked for again in the same way."""

    body: dict[str, Any]
    after: str | None
    hold_ms: int | None
    interruptible: bool

    @property
    def plain(self) -> bool:
        """Nothing was said of it: any answer will do."""
        return not self.body and self.hold_ms is None and self.interruptible

    @property
    def own_input(self) -> bool:
        """It sees items of its own in the place of the conversation (facts 5.1)."""
        return "input" in self.body


class Response:
    """One response of the server. ``dead`` is for ever: it was interrupted, and its later events are counted and dropped."""

    __slots__ = (
        "activity",
        "answers",
        "asked",
        "asked_at",
        "audible",
        "by_button",
        "cancel_sent",
        "completed",
        "context_stale",
        "cut_at",
        "cut_cause",
        "cut_settled",
        "dead",
        "done",
        "for_user",
        "format",
        "gone",
        "hold_ms",
        "id",
        "interrupted_at",
        "interruptible",
        "items",
        "out_of_band",
        "outran_cancel",
        "own",
        "presumed",
        "quiet_since",
        "reckoned",
        "request",
        "speaks",
        "spoken",
        "text",
        "tools_answered",
        "used",
    )

    def __init__(self, id: str, *, request: int | None, out_of_band: bool, audible: bool) -> None:
        self.id = id
        self.request = request
        self.out_of_band = out_of_band
        self.audible = audible
        self.done = False
        self.completed = False
        self.outran_cancel = False
        self.presumed = False
        """Taken as done because nothing came for so long: the line may only stand still, and more of it come."""
        self.dead = False
        self.cut_at: float | None = None
        self.interrupted_at: float | None = None
        """When what cut it reached the core: a voice may have been put to the test first."""
        self.cut_cause: Cause | None = None
        self.by_button = False
        """It was the user's button that cut it."""
        self.cut_settled = False
        self.reckoned = False
        """It was cut on a call, and the server did not say in time what of it was heard."""
        self.cancel_sent = False
        self.context_stale = False
        self.tools_answered = False
        self.used = False
        """What the server says that it used is counted."""
        self.gone = False
        """Its connection is lost: nothing more comes of it, and nothing can be said to the server about it."""
        self.quiet_since = 0.0
        self.activity = 0
        self.answers: frozenset[str] = frozenset()
        self.format: AudioFormat | None = None
        self.hold_ms = 0
        """How long its first audio is to be held back, until it is."""
        self.interruptible = True
        self.asked: Asked | None = None
        """How we asked for it, in the conversation; None: the server began it by itself."""
        self.asked_at = float("-inf")
        """When it was asked for by us, or began by itself."""
        self.text = False
        """It was asked for in text."""
        self.for_user = False
        """The program asked for it as the answer to a turn that it made."""
        self.own = False
        """The program's own voice, which no server knows."""
        self.speaks: Response | None = None
        """Of the program's own voice: the answer in text that it says."""
        self.spoken = False
        """An answer in text: the program's own voice was heard with some of it."""
        self.items: dict[str, Item] = {}

    @property
    def own_input(self) -> bool:
        """It saw nothing of the conversation, so that it answers nothing that is due there."""
        return self.asked is not None and self.asked.own_input


class HistoryItem(Struct, frozen=True):
    """One item of the conversation as the program sees it.

    ``text`` is what was heard (for the user and for texts: all of it), ``full_text`` what was generated. ``verdict`` is None
    until the message ended, and for items that are not assistant messages. While it sounds, ``text`` and ``heard_ms`` are what
    was heard so far; one that was saved then is over where it is loaded. ``phase`` is a message's (``commentary`` or
    ``final_answer``); the five from ``server_label`` on are those of remote tools. ``images``: so many pictures it shows, which
    are not part of it. ``aside``: a note of rtcore's own to the server, which says what the other items say.

    ``started_at`` and ``stopped_at`` are those of ``MessageEnded``, and while it sounds, of what was heard so far; None where
    that is not known, and for items that are not assistant messages. They are seconds of the clock of the session that heard
    it: what was loaded keeps them, and two clocks need not have a beginning in common.
    """

    id: str
    type: str
    role: str | None
    status: str | None
    text: str
    full_text: str
    verdict: Verdict | None = None
    heard_ms: int = 0
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | None = None
    phase: str | None = None
    server_label: str | None = None
    tools: tuple[dict[str, Any], ...] | None = None
    error: dict[str, Any] | None = None
    approval_request_id: str | None = None
    approve: bool | None = None
    images: int = 0
    aside: bool = False
    started_at: float | None = None
    stopped_at: float | None = None


class PartView(Struct, frozen=True):
    """An audio part of the conversation: where a sample comes from that the clock was handed."""

    response_id: str
    item_id: str
    content_index: int


class SegmentView(Struct, frozen=True):
    """Sample counts of one audio part; ``heard + discarded + queued == received`` (invariant 8)."""

    response_id: str
    item_id: str
    content_index: int
    format: AudioFormat
    received: int
    heard: int
    discarded: int
    queued: int
