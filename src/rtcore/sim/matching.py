"""Whose samples are these? The audible signal, found again in what the server sent, byte for byte.

The core is not asked and the speaker's counter is not believed: a segment was heard as far as its own samples appear in the
sound. Server audio is distinct by its first samples, so the sound names its item; from there on every byte has to agree.

What may follow what is DESIGN section 3: segments in playing order, each to its end, unless it was cut; a new generation starts
at the start of a segment, or where a flush that cut nothing left one.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct

from rtcore.sim.speaker import Span

SIGNATURE_SAMPLES = 32
"""So many first samples tell an item from every other of the same server."""
_STALLED = 1_000_000_000
"""Silence, in nanoseconds, after which the core may let a later segment pass one that does not go on (DESIGN section 3)."""


class Place(NamedTuple):
    """A point in the audible stream: a sample's index in its generation."""

    generation: int
    sample: int


class Sent(Protocol):
    """What a segment needs of the server's truth: a stretch of a recording, of which so many bytes have been sent."""

    source: bytes
    start: int
    sent_bytes: int


class Segment(Struct, eq=False):
    """One audio part of one item: what the server sent of it, and how much of that was heard."""

    response_id: str
    item_id: str
    content_index: int
    order: tuple[int, int]
    """Its response's place in the order of creation, its own in the order of first audio."""
    sent: Sent
    heard: int = 0
    """Bytes of it that were audible."""
    received: int = 0
    """Bytes of it that reached the client."""
    latest: tuple[int, int] = (-1, 0)
    """When bytes of it last reached the client, and how many in that instant."""
    complete: bool = False
    """Its end reached the client."""
    lost: bool = False
    """The line by which it came is gone: no more of it comes than was received."""
    inexact: bool = False
    """It went on from a position that the core had to guess, because the clock gave no answer."""
    told: int | None = None
    """Bytes of it that were heard by the clock's own words, where these are what counts."""
    dead_from: Place | None = None
    """Nothing of it may sound from here on: it was cut."""
    aside: bool = False
    """It held up the queue for so long that it went behind those that waited."""
    dismissed: bool = False
    """The core said that it is over (a cancel, or the message's end): others may pass it."""
    begun_at: int = 0
    """When its first sample was audible."""
    alone: tuple[int, int] = (0, 0)
    """A single sample that came by itself: how much had been heard with it, and when the one before it had sounded."""
    left_at: int = 0
    """When the sound last went on to something else; ``Matcher.until`` knows when its last sample was audible."""

    @property
    def name(self) -> str:
        """How a reader finds it."""
        return f"{self.item_id}[{self.content_index}]"

    @property
    def due(self) -> int:
        """Bytes of it that are to be heard, if nothing cuts it."""
        return self.received if self.lost else self.sent.sent_bytes


class Mismatch(NamedTuple):
    """A sound that the design does not allow, and the number of the invariant that it breaks."""

    at: int
    invariant: int
    text: str


class Matcher:
    """Feed it spans in the order of their sound."""

    def __init__(self, width: int) -> None:
        self.mismatches: list[Mismatch] = []
        self.begins: list[int] = []
        """When each segment was heard for the first time."""
        self.followers: dict[str, Segment] = {}
        """By item: the segment that went on right behind its last sample, from its own first, in the same generation."""
        self.leaders: dict[str, Segment] = {}
        """The other way round: which segment it went on behind."""
        self.lenient = False
        """A flush stayed without an answer: from then on a segment may go on from where the core believes it stopped."""
        self._width = width
        self._signature = SIGNATURE_SAMPLES * width
        self._open: list[Segment] = []
        self._all: dict[tuple[str, int], Segment] = {}
        self._current: Segment | None = None
        self._tentative = False
        self._generation = 0
        self.last_until = 0
        """When anything last sounded."""
        self._passed = (-1, 0)  # what comes before this place went behind it, after a silence that lasted too long
        self._vague = False  # so little went on from a guess that it could be from anywhere
        self._resumed = False  # the current one went on after such a silence: a device may hold a tail until more comes

    def add(self, segment: Segment) -> None:
        """A segment of which the server has sent its first audio."""
        self._all[segment.item_id, segment.content_index] = segment
        segment.aside = segment.order < self._passed
        self._open.append(segment)
        self._open.sort(key=lambda each: each.order)

    def find(self, item_id: str, content_index: int) -> Segment | None:
        """The segment, if the server sent audio of it."""
        return self._all.get((item_id, content_index))

    @property
    def current(self) -> Segment | None:
        """The segment that sounds, or sounded last in this generation."""
        return self._current

    @property
    def generation(self) -> int:
        """The generation that sounded last."""
        return self._generation

    def until(self, segment: Segment) -> int:
        """When the last sample of it that sounded had sounded."""
        return self.last_until if segment is self._current else segment.left_at

    def nearly(self, segment: Segment) -> int:
        """The same, but for a last sample that a device held back until more came, or until it was told that none would."""
        heard, before = segment.alone
        return before if before and heard == segment.heard else self.until(segment)

    def segments(self) -> list[Segment]:
        """All of them, in the order of their first audio on the wire."""
        return list(self._all.values())

    def consume_all(self, spans: Sequence[Span], first: int, ends: dict[int, int]) -> None:
        """Attribute ``spans[first:]``; ``ends`` keeps when each generation was last heard.

        Nearly all sound simply goes on, and that takes one comparison.
        """
        generation, until = self._generation, self.last_until
        current = self._current
        for index in range(first, len(spans)):
            span = spans[index]
            if current is not None and span.generation == generation and current.dead_from is None and not self._tentative:
                pcm, sent, heard = span.pcm, current.sent, current.heard
                after = heard + len(pcm)
                if after <= current.received and sent.source.startswith(pcm, sent.start + heard):
                    current.heard = after
                    if span.at - until >= _STALLED:
                        self._resumed = True
                    if len(pcm) == self._width:
                        current.alone = (after, until)
                    until = span.until
                    continue
            if generation:
                ends[generation] = until
            self.last_until = until
            self.consume(span)
            generation, until, current = self._generation, self.last_until, self._current
        self.last_until = until
        if generation:
            ends[generation] = until

    def consume(self, span: Span) -> None:
        """Attribute one stretch of sound."""
        if span.generation != self._generation:
            self._generation = span.generation
            if self._current is not None:
                self._current.left_at = self.last_until
            self._current = None
        gap = span.at - self.last_until
        self._resumed = self._resumed or gap >= _STALLED
        self.last_until = span.until
        offset, end = 0, len(span.pcm)
        while offset < end:
            taken = self._go_on(span, offset)
            if not taken:
                taken = self._begin(span, offset, gap)
            if not taken:
                lost = (end - offset) // self._width
                if self.lenient and span.index == 0 and end < self._signature:
                    return  # the rest of what had sounded, where the clock did not know: too little to be known again
                self._fail(span, 8, f"{lost} samples of generation {span.generation} are no item's")
                return
            offset += taken
            gap = 0

    def _go_on(self, span: Span, offset: int) -> int:
        current = self._current
        if current is None or _is_dead(current, Place(span.generation, span.index + offset // self._width)):
            return 0
        sent = current.sent
        # No further than what the client has: behind that, another's first samples may agree by chance.
        want = min(len(span.pcm) - offset, current.received - current.heard)
        taken = self._common(sent, current.heard, span.pcm[offset : offset + want]) if want > 0 else 0
        if current.dismissed and 0 < taken <= self._signature and offset + taken < len(span.pcm):
            # So little more of what was over: these may be the first samples of what begins here, as one silence is like another.
            place = Place(span.generation, span.index + offset // self._width)
            another, _ = self._search(span.pcm[offset:], place, current)
            taken = 0 if another is not None else taken
        if taken:
            self._take(current, span, offset, taken)
            if current.heard > self._signature:
                self._tentative = False
        return taken

    def _begin(self, span: Span, offset: int, gap: int) -> int:
        left = self._current
        sound = span.pcm[offset:]
        back = 0
        if left is not None and self._tentative:
            # So short that its first samples could be another's: judge again with what follows.
            back = left.heard
            begun = left.sent.source[left.sent.start : left.sent.start + back]
            sound = memoryview(begun + bytes(sound))
        place = Place(span.generation, span.index + offset // self._width)
        found, passed = self._search(sound, place, left if back else None)
        if found is None and back:
            back = 0  # the few samples were what they seemed
            sound = span.pcm[offset:]
            found, passed = self._search(sound, place, None)
        if found is None:
            found = (self.lenient and self._search_guess(sound, place)) or self._search_all(span, sound, place)
            if found is None:
                return 0
        taken = self._common(found.sent, found.heard, sound[: max(0, found.received - found.heard)])
        if taken <= back:
            return 0  # it sounds before it was received
        if back and left is not None:
            left.heard = 0
            left = None
        stalled, self._resumed = self._resumed, False
        # A device that sounds whole blocks may have held back a tail through the silence, and sounds that first.
        leaves = left is not None and left is not found and gap < _STALLED and not stalled
        leaves = leaves and not (left is not None and left.inexact and self._vague)
        if left is not None and leaves and left.heard < left.due and not self._over(left, place):
            heard, sent = left.heard // self._width, left.due // self._width
            text = f"{left.name} stops after {heard} samples of {sent} and {found.name} begins, although nothing cut it"
            self._fail(span, 8, text)
        if stalled:
            self._passed = max(self._passed, found.order)
            for earlier in self._open:
                earlier.aside = earlier.aside or earlier.order < found.order
        for other in passed:
            if not other.aside and other is not left and other is not found and not found.inexact:
                self._fail(span, 8, f"{found.name} sounds before {other.name}, which comes first")
        begins = found.heard == 0
        at = span.at + (span.until - span.at) * offset // len(span.pcm)
        if begins:
            self.begins.append(span.at)
            found.begun_at = at
        if left is not None and left is not found:
            left.left_at = at - gap
            if begins and not gap:
                self.followers[left.item_id] = found
                self.leaders[found.item_id] = left
        self._current = found
        self._take(found, span, offset, taken)
        self._tentative = begins and found.heard <= self._signature
        self._prune(place)
        return taken - back

    def _search(self, sound: memoryview, place: Place, besides: Segment | None) -> tuple[Segment | None, list[Segment]]:
        """The first in playing order that goes on like this, and those that should have come before it."""
        passed: list[Segment] = []
        rest: tuple[Segment, list[Segment]] | None = None
        for segment in self._open:
            if segment is besides or _is_dead(segment, place):
                continue
            if segment.heard >= segment.sent.sent_bytes:
                continue
            if self._begins(segment, segment.heard, sound):
                if not segment.dismissed or segment.heard + self._signature <= segment.sent.sent_bytes:
                    return segment, passed
                # The sample or two that it lacks could be anybody's: silence is everywhere.
                rest = rest or (segment, list(passed))
            elif not segment.dismissed:
                passed.append(segment)
        return rest or (None, passed)

    def _search_guess(self, sound: memoryview, place: Place) -> Segment | None:
        """A segment that goes on from somewhere else than where it stopped."""
        for segment in self._open:
            sent = segment.sent
            if not (segment.dismissed or _is_dead(segment, place)):
                # All of it, because speech has pauses, and one silence is like another.
                at = sent.source.find(sound, sent.start, sent.start + sent.sent_bytes)
                self._vague = len(sound) < self._signature
                if at >= 0:
                    segment.heard = at - sent.start
                    segment.inexact = True
                    return segment
        return None

    def _search_all(self, span: Span, sound: memoryview, place: Place) -> Segment | None:
        """Which item this is, although it must not sound now; reported, and followed from there."""
        for segment in self._all.values():
            sent = segment.sent
            at = sent.source.find(sound[: self._signature], sent.start, sent.start + sent.sent_bytes) - sent.start
            if at >= 0 and len(sound) >= self._signature:
                cut = _is_dead(segment, place)
                why = "it was cut" if cut else f"{segment.heard // self._width} samples of it were heard before"
                where = f"generation {place.generation} at sample {place.sample}"
                text = f"{segment.name} sounds from its sample {at // self._width} on in {where}, although {why}"
                self._fail(span, 3 if cut else 8, text)
                segment.heard = at
                return segment
        return None

    def _begins(self, segment: Segment, start: int, sound: memoryview) -> bool:
        want = min(len(sound), segment.received - start, self._signature)
        want -= want % self._width  # half a sample sounds like nothing
        return want > 0 and segment.sent.source.startswith(sound[:want], segment.sent.start + start)

    def _over(self, segment: Segment, place: Place) -> bool:
        return segment.dismissed or _is_dead(segment, place)

    def _take(self, segment: Segment, span: Span, offset: int, taken: int) -> None:
        first = Place(span.generation, span.index + offset // self._width)
        last = Place(span.generation, span.index + (offset + taken) // self._width - 1)
        if not _is_dead(segment, first) and _is_dead(segment, last):
            where = f"generation {last.generation} at sample {last.sample}"
            self._fail(span, 3, f"{segment.name} sounds on in {where} after it was cut")
        segment.heard += taken

    def _prune(self, place: Place) -> None:
        # What was cut sounds on until the device has obeyed the flush.
        if len(self._open) > 12:
            self._open = [s for s in self._open if not (_is_dead(s, place) or (s.complete and s.heard >= s.sent.sent_bytes))]

    def _common(self, sent: Sent, start: int, sound: memoryview) -> int:
        """How many bytes of ``sound``, in whole samples, agree with what was sent. One comparison where all do."""
        source, start = sent.source, sent.start + start
        if source.startswith(sound, start):
            return len(sound)
        low, high = 0, len(sound)  # the first ``low`` agree, the first ``high`` do not
        while high - low > 1:
            middle = (low + high) // 2
            if source.startswith(sound[:middle], start):
                low = middle
            else:
                high = middle
        return low - low % self._width

    def _fail(self, span: Span, invariant: int, text: str) -> None:
        self.mismatches.append(Mismatch(span.at, invariant, text))


def _is_dead(segment: Segment, place: Place) -> bool:
    return segment.dead_from is not None and place >= segment.dead_from
