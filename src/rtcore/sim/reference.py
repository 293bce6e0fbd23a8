"""Who heard what, worked out the slow way: a second opinion on the core's arithmetic that shares nothing with it.

Three lists, and nothing is ever updated in them: the audio that reached the client, what was handed to the clock, and what the
clock said. Every question is answered by going through them from the beginning. It believes the clock, as the core has to: where
the clock was wrong, coarse or silent, the answer is what follows from its words (DESIGN section 3), and whether that was the
truth is another's question. Where the core had to guess, it says so and gives the bounds.

Positions are samples of a segment, or of a generation's handed-over stream, from 0.
"""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Literal, NamedTuple, Protocol

from msgspec import Struct, field

from rtcore._formats import AudioFormat

_ROUNDING = 3
"""Samples by which two estimates from the same words may differ."""

Key = tuple[str, int]
"""A segment: item and content index."""
Outcome = Literal["full", "partial", "skipped", "text"]
"""A verdict, by the name that the core gives it."""


class Source(Protocol):
    """Where a segment's bytes can be looked up: a stretch of a recording."""

    source: bytes
    start: int


class Piece(NamedTuple):
    """Samples of one segment that were handed over in one generation: ``first`` in it, ``at`` in the segment."""

    generation: int
    first: int
    at: int
    size: int


class Known(Struct, eq=False):
    """What reached the client of one segment, and what was handed over of it."""

    key: Key
    sent: Source
    order: tuple[int, int] = (0, 0)
    """Its place among what is to sound."""
    received: list[int] = field(default_factory=list)
    """Bytes of each delta."""
    complete: bool = False
    cut_received: int | None = None
    """Bytes received when it was cut; later ones count for nothing."""
    cut_complete: bool = False
    pieces: list[Piece] = field(default_factory=list)
    lost: bool = False
    """It went on from where the core guessed that the clock had stopped: from then on nobody can say."""
    lost_at: int | None = None
    """Where it stands since then, as far as what was handed over shows it."""


class Heard(NamedTuple):
    """How many samples of a segment were heard: exactly, or between two bounds where the clock did not say."""

    least: int
    most: int

    @property
    def exact(self) -> bool:
        """Whether the clock's words leave no choice."""
        return self.least == self.most


class Judged(NamedTuple):
    """A message, judged: its verdict, its heard milliseconds, and the first part that was broken off (index, ms)."""

    verdict: Outcome
    heard_ms: int
    cut: tuple[int, int] | None


class Reference:
    """One session's model. Tell it what happened, in order; ask ``heard`` and ``judge``."""

    def __init__(self, audio: AudioFormat, *, coarse: int = 0, reports: bool = True) -> None:
        """``coarse``: an answer may be so many samples behind the truth. ``reports``: whether positions are told at all."""
        self.stray: list[str] = []
        """Sound that was handed over although no segment's next samples are these."""
        self._audio = audio
        self._width = audio.sample_width
        self._segments: dict[Key, Known] = {}
        self._handed: dict[int, int] = {}
        self._said: dict[int, list[int]] = {}
        self._coarse = coarse
        self._reports = reports
        self._guessed: dict[int, int | None] = {}
        self._near: set[int] = set()
        self._closed = 0
        self._last: Known | None = None

    # -- what happened -------------------------------------------------------------------------------------------------------

    def received(self, key: Key, sent: Source, size: int, *, order: tuple[int, int] = (0, 0), dead: bool = False) -> None:
        """A delta of ``size`` bytes reached the client; ``dead``: of a response that was cut before. ``order``: where two begin
        with the same sound, the one that is to be heard first is meant.
        """
        if key not in self._segments:
            self._segments[key] = Known(key, sent, order, cut_received=0 if dead else None)
        self._segments[key].received.append(size)

    def complete(self, key: Key) -> None:
        """The segment's end reached the client."""
        if key in self._segments:
            self._segments[key].complete = True

    def cut(self, keys: Sequence[Key]) -> None:
        """An interruption: what these segments hold now is all that counts."""
        for key in keys:
            known = self._segments.get(key)
            if known is not None and known.cut_received is None:
                known.cut_received = sum(known.received)
                known.cut_complete = known.complete

    def forget(self, key: Key) -> None:
        """Its message has ended: nothing will be asked about it any more."""
        known = self._segments.pop(key, None)
        if known is not None and known is self._last:
            self._last = None

    def played(self, generation: int, pcm: bytes | memoryview) -> None:
        """The core handed this over."""
        count = len(pcm) // self._width
        first = self._handed.get(generation, 0)
        self._handed[generation] = first + count
        candidates = sorted(self._segments.values(), key=attrgetter("order"))
        if self._last is not None:
            candidates.insert(0, self._last)
        for known in candidates:
            if known.lost:
                if self._goes_on(known, pcm, count):
                    self._doubt(candidates, generation, pcm, count)
                    return
                continue
            at = self._fits(known, generation, pcm, count)
            if at is not None:
                last = known.pieces[-1] if known.pieces else None
                if last is not None and (last.generation, last.first + last.size, last.at + last.size) == (generation, first, at):
                    known.pieces[-1] = Piece(generation, last.first, last.at, last.size + count)  # more of the same
                else:
                    known.pieces.append(Piece(generation, first, at, count))
                self._last = known
                return
        if not any(known.lost for known in candidates):
            self.stray.append(f"{count} samples at {first} of generation {generation} are no segment's next ones")

    def _fits(self, known: Known, generation: int, pcm: bytes | memoryview, count: int) -> int | None:
        """Where in the segment these are, if they are its next samples."""
        at = self._next(known, generation)
        if at is None or (at + count) * self._width > sum(known.received):
            return None
        return at if known.sent.source.startswith(pcm, known.sent.start + at * self._width) else None

    def _doubt(self, candidates: Sequence[Known], generation: int, pcm: bytes | memoryview, count: int) -> None:
        """What a segment that was lost may go on with is another's next sound as well: that one is lost sight of, too."""
        for other in candidates:
            at = None if other.lost else self._fits(other, generation, pcm, count)
            if at is not None:
                other.lost, other.lost_at = True, at + count

    def _goes_on(self, known: Known, pcm: bytes | memoryview, count: int) -> bool:
        """Whether these are the next samples of a segment that was lost sight of; nobody knows where it went on at first."""
        sent, held = known.sent, sum(known.received) // self._width
        if known.lost_at is None:
            least = sent.start + self._count(known).least * self._width
            at = sent.source.find(pcm, least, sent.start + held * self._width)
            if at < 0:
                return False
            known.lost_at = (at - sent.start) // self._width + count
            return True
        if known.lost_at + count > held or not sent.source.startswith(pcm, sent.start + known.lost_at * self._width):
            return False
        known.lost_at += count
        return True

    def said(self, generation: int, samples: int) -> None:
        """The clock reported a position, or answered a flush. News of a generation that is settled counts for nothing."""
        if generation > self._closed:
            said, heard = self._said.setdefault(generation, []), min(samples, self._handed.get(generation, 0))
            # A list of every word of the clock would be walked for ever; a word that is no news is left out.
            if not said or heard > said[-1]:
                said.append(heard)

    def settled(self, generation: int, *, answered: bool, estimates: Mapping[int, int] | None = None) -> None:
        """The flush of this generation was answered, or will not be: nothing more of it, and of those before, is heard.

        ``estimates``: by generation, where an unanswered flush leaves it; the core may be a few samples off, no more.
        """
        for number in [number for number in range(self._closed + 1, generation + 1) if number in self._handed]:
            if number != generation or not answered:
                self._guess(number, estimates.get(number) if estimates is not None else None)
            elif self._coarse or not self._reports:
                self._guess(number, near=self._reports)
        self._closed = max(self._closed, generation)
        for known in self._segments.values():
            known.lost_at = None

    def assumed(self, generation: int) -> None:
        """The clock fell silent for so long that the core took everything as heard: what follows is what was not handed over."""
        followed = [known for known in self._segments.values() if not known.lost]
        self._guess(generation)
        for known in followed:
            if known.lost:
                known.lost_at = known.pieces[-1].at + known.pieces[-1].size

    def _guess(self, generation: int, estimate: int | None = None, *, near: bool = False) -> None:
        if self._position(generation) < self._handed.get(generation, 0):
            if near:
                self._near.add(generation)
            else:
                self._guessed[generation] = estimate
            for known in self._segments.values():
                if known.cut_received is None and any(piece.generation == generation for piece in known.pieces):
                    known.lost, known.lost_at = True, None

    # -- what follows from it ------------------------------------------------------------------------------------------------

    def heard(self, key: Key) -> Heard | None:
        """How many samples of a segment the clock says were audible; None if it is unknown, or was lost sight of."""
        known = self._segments.get(key)
        return None if known is None or known.lost else self._count(known)

    def _count(self, known: Known) -> Heard:
        least = most = 0
        for piece in known.pieces:
            position = self._position(piece.generation)
            lowest = highest = position
            estimate = self._guessed.get(piece.generation, -1)
            if estimate is None or (estimate < 0 and not (self._reports or piece.generation <= self._closed)):
                highest = piece.first + piece.size
            elif estimate >= 0:
                lowest, highest = max(position, estimate - _ROUNDING), max(position, estimate + _ROUNDING)
            elif piece.generation in self._near:
                highest = position + self._coarse
            least += max(0, min(lowest - piece.first, piece.size))
            most += max(0, min(highest - piece.first, piece.size))
        return Heard(least, most)

    def judge(self, item_id: str, parts: Sequence[int]) -> Judged | None:
        """The table of DESIGN section 3 for a message with these audio parts; None where the clock left a choice."""
        if not parts:
            return Judged("text", 0, None)
        full, heard_ms = True, 0
        cut: tuple[int, int] | None = None
        for index in sorted(parts):
            key = (item_id, index)
            known = self._segments.get(key)
            if known is None:
                full = False
                continue
            counts = self._count(known)
            if known.lost or not counts.exact:
                return None
            held = sum(known.received) if known.cut_received is None else known.cut_received
            complete = known.complete if known.cut_received is None else known.cut_complete
            samples = held // self._width
            milliseconds = self._audio.ms(min(counts.least, samples))
            # One sample short is whole: clocks that convert rates round by one (B02).
            whole = complete and counts.least >= samples - 1
            full = full and whole
            heard_ms += milliseconds
            if cut is None and milliseconds and not whole:
                cut = (index, milliseconds)
        if full:
            return Judged("full", heard_ms, None)
        return Judged("partial", heard_ms, cut) if heard_ms else Judged("skipped", 0, None)

    def _position(self, generation: int) -> int:
        said = self._said.get(generation)
        return said[-1] if said else 0

    def _next(self, known: Known, generation: int) -> int | None:
        """The segment's next sample for the clock: behind the last piece, or, in a new generation, where the old one stopped."""
        if known.lost or known.cut_received is not None:
            return None
        if known.pieces and known.pieces[-1].generation == generation:
            return known.pieces[-1].at + known.pieces[-1].size
        if any(piece.generation > self._closed for piece in known.pieces):
            last = known.pieces[-1]
            # The generation before ended by itself (another format), or was flushed for others when all of this had been heard:
            # the clock has said so, if it says anything.
            heard = not self._reports or self._position(last.generation) >= last.first + last.size
            return last.at + last.size if heard else None
        return self._count(known).least
