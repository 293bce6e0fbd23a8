"""Who heard what: the one place where the clock's single number becomes segments, and the only owner of unheard PCM.

Audio flows through three places, each of which keeps it by reference:

    segment.waiting  ->  generation.runs (handed over, unconfirmed)  ->  heard, and forgotten

The clock reports how many samples of a generation became audible; ``runs`` map that number onto segments. A flush closes the
generation: what it leaves unheard is discarded where its segment was cut, and played again in the next generation where not
(a pause on a clock that cannot pause, or an interruption of another response).

Everything is counted in samples. No milliseconds, no events, no policy here.
"""

from collections import deque
from collections.abc import Callable, Iterable

from rtcore._clock import Clock
from rtcore._effects import Drain, Effect, Flush, Pause, Play, Resume
from rtcore._formats import AudioFormat
from rtcore._generation import Generation, Pcm
from rtcore._items import Segment


class _Entry:
    """A response's place in the playing order."""

    __slots__ = ("done", "segments", "withheld")

    def __init__(self) -> None:
        self.segments: deque[Segment] = deque()
        self.done = False
        self.withheld = False


class Playout:
    """The queue of segments, the generations, and the arithmetic between them."""

    def __init__(self, clock: Clock, format: AudioFormat, lead_ms: int | None) -> None:
        self._clock = clock
        self.bound(lead_ms)
        self.begun: Callable[[], object] = lambda: None
        """Called when a generation has begun, before anything of it is handed over."""
        self._entries: dict[str, _Entry] = {}
        self._replay: deque[tuple[Segment, Pcm, int]] = deque()
        self._flushing: dict[int, Generation] = {}
        self._blocked_on = 0
        self._held = False
        self._lost = False
        self._head: Segment | None = None
        self._direct = False
        # What the core reckons without a report sounds so much after it was handed over.
        self._latency = 0.0 if clock.reports else clock.latency_ms / 1000
        self.generation = Generation(1, format, self._latency)
        self.sounded_at = 0.0
        """When the clock last said that it had gone on."""
        self.received = 0
        self.heard = 0
        self.discarded = 0

    def bound(self, lead_ms: int | None) -> None:
        """From now on so much is handed over ahead of what was heard; None: all."""
        # A clock that says less often where it stands than the lead lasts would run dry before it asks for more.
        self._lead_ms = None if lead_ms is None else max(lead_ms, 2 * self._clock.report_ms + self._clock.latency_ms)
        self._direct = False

    # -- what the rest of the core asks ---------------------------------------------------------------------------------------

    @property
    def queued(self) -> int:
        """Samples of all segments that are neither heard nor discarded."""
        return self.received - self.heard - self.discarded

    @property
    def unconfirmed(self) -> bool:
        """Whether a handed-over sample of the current generation is unconfirmed."""
        return self.generation.confirmed < self.generation.handed

    @property
    def paced(self) -> bool:
        """Whether a report of the clock may make room for more: there is a lead. Without one, all is handed over at once."""
        return self._lead_ms is not None

    @property
    def flush_due(self) -> float | None:
        """When the earliest unanswered flush is settled without an answer."""
        return min((due for _, due in self.dues()), default=None)

    def dues(self) -> list[tuple[int, float]]:
        """Unanswered flushes: generation, and when it is settled without an answer."""
        return [(g.number, g.flush_due) for g in self._flushing.values() if g.flush_due is not None]

    @property
    def flushing(self) -> bool:
        """Whether a flush is unanswered."""
        return bool(self._flushing)

    @property
    def idle(self) -> bool:
        """Nothing sounds, nothing waits, and no response that is still open could add to it."""
        return not (self._entries or self._replay or self._flushing or self.unconfirmed)

    @property
    def head(self) -> Segment | None:
        """The segment that sounds, or goes on after a hold; None where nothing was handed over or put back."""
        if self.generation.runs:
            return self.generation.runs[0][0]
        flushing = next((g.runs[0][0] for g in self._flushing.values() if g.runs and not g.runs[0][0].cut), None)
        return flushing or (self._replay[0][0] if self._replay else None)

    @property
    def held(self) -> bool:
        """Whether the sound is held."""
        return self._held

    def overdue_at(self, slack: float) -> float:
        """When the unconfirmed audio will have sounded for sure, plus ``slack`` seconds. A tail may have waited for the word that
        nothing follows it.
        """
        generation = self.generation
        latest = max(generation.anchor_at, generation.runs[-1][4] if generation.runs else 0.0)
        sounded = latest + (generation.handed - generation.anchor) / generation.format.rate
        return max(sounded, generation.drained_at) + slack

    @property
    def stalled(self) -> bool:
        """The clock is dry while later audio waits behind a segment that is not complete."""
        if self.unconfirmed or self._held or self._blocked_on or self._lost or self._withholds:
            return False
        return any(segment.waiting for entry in self._entries.values() if not entry.withheld for segment in entry.segments)

    @property
    def _withholds(self) -> bool:
        """Whether what comes next is held back: it has a deadline of its own."""
        first = next(iter(self._entries.values()), None)
        return first is not None and first.withheld

    # -- audio in ----------------------------------------------------------------------------------------------------------------

    def open(self, response_id: str) -> None:
        """Give a response its place in the playing order: that of its creation."""
        self._entries.setdefault(response_id, _Entry())

    def add(self, segment: Segment, *, done: bool = False) -> None:
        """A segment's first audio gives it its place within its response; ``done``: the response has ended already."""
        self.open(segment.response_id)
        entry = self._entries[segment.response_id]
        entry.done |= done
        if segment not in entry.segments:
            entry.segments.append(segment)
            segment.follow_sound()
        self._direct = False

    def withhold(self, response_id: str) -> None:
        """Hand over nothing of this response, and so of what comes behind it."""
        self.open(response_id)
        self._entries[response_id].withheld = True
        self._head, self._direct = None, False

    def let_go(self, response_id: str, now: float, sound: list[Effect]) -> None:
        """What was withheld plays in its turn."""
        entry = self._entries.get(response_id)
        if entry is not None:
            entry.withheld = False
            self.release(now, sound)

    def append(self, segment: Segment, pcm: bytes, now: float, sound: list[Effect]) -> None:
        """One audio delta. Constant work; the PCM is kept by reference, never copied but to join half samples."""
        count = len(pcm)
        if segment.width == 2:
            if count & 1 or segment.carry:
                pcm = segment.align(pcm)
                count = len(pcm)
            count >>= 1
        if not count:
            return
        segment.received += count
        self.received += count
        segment.fresh.append(pcm)
        if self._direct and segment is self._head:
            generation = self.generation
            start = generation.handed
            generation.handed = end = start + count
            generation.drained = False
            generation.runs.append((segment, start, end, pcm, now))
            sound.append(Play(pcm, generation.format, generation.number))
            return
        segment.waiting.append((pcm, count))
        self.release(now, sound)

    def discard_late(self, segment: Segment, pcm: bytes) -> int:
        """Audio of a segment that was cut: counted, never played (C10). Gives its samples."""
        count = len(segment.align(pcm)) // segment.width
        segment.received += count
        segment.discarded += count
        self.received += count
        self.discarded += count
        return count

    def response_done(self, response_id: str, now: float, sound: list[Effect]) -> None:
        """No more audio comes for this response: its segments are complete."""
        entry = self._entries.get(response_id)
        if entry is not None:
            entry.done = True
            self.release(now, sound)

    # -- the clock ---------------------------------------------------------------------------------------------------------------

    def find(self, number: int) -> Generation | None:
        """The generation ``number`` if it is current or its flush is unanswered."""
        return self.generation if number == self.generation.number else self._flushing.get(number)

    def part_at(self, number: int, sample: int) -> Segment | None:
        """Where an unconfirmed sample of a generation comes from. What was handed over last is looked at first."""
        generation = self.find(number)
        if generation is not None:
            for segment, start, end, *_ in reversed(generation.runs):
                if start <= sample < end:
                    return segment
        return None

    def report(self, generation: Generation, samples: int, now: float) -> list[Segment]:
        """The clock's number, already clamped. Gives the segments it moved, in order."""
        moved = self._confirm(generation, samples, now)
        generation.lost = False
        generation.anchor = generation.reported = samples
        generation.anchor_at = now
        return moved

    def assume_heard(self, now: float) -> list[Segment]:
        """The clock fell silent although everything must have sounded: take it as heard, marked as an estimate."""
        for segment, *_ in self.generation.runs:
            segment.estimated = True
        reported = self.generation.reported
        moved = self.report(self.generation, self.generation.handed, now)
        self.generation.reported = reported
        return moved

    def reckon(self, now: float) -> list[Segment]:
        """The clock reports nothing: what must have sounded by now, by time alone, is heard, marked as an estimate (C19)."""
        generation = self.generation
        samples, at = generation.reckon(now)
        for segment, start, *_ in generation.runs:
            if start >= samples:
                break
            segment.estimated = True
        reported = generation.reported
        moved = self.report(generation, samples, now) if samples > generation.confirmed else []
        generation.reported, generation.anchor_at = reported, at
        return moved

    def reckon_at(self, now: float) -> float:
        """When to reckon next: where a piece of audio ends, and as often as a clock would report."""
        generation = self.generation
        _, start, end, _, at = generation.runs[0]
        position = max(generation.anchor, start)
        since = max(generation.anchor_at, at + generation.latency)
        sample = 1 / generation.format.rate
        # Half a sample on top, so that rounding never wakes just before it.
        if since > now:
            return since + 1.5 * sample
        return max(now + sample, min(since + (end - position + 0.5) * sample, now + self._clock.report_ms / 1000))

    @property
    def may_sound(self) -> bool:
        """Whether the clock itself has not confirmed everything: what was only assumed heard may still sound."""
        return self.generation.reported < self.generation.handed

    def device_ready(self, now: float, sound: list[Effect]) -> None:
        """The device is back: what waited for it plays."""
        self._lost = self.generation.lost = False
        self.generation.paused = False  # one that is back knows of no pause
        self.release(now, sound)

    def device_lost(self) -> None:
        """The device is gone: nothing sounded after its last report, and nothing is handed over until it is back (F100)."""
        self._lost = True
        for generation in (*self._flushing.values(), self.generation):
            generation.guess = generation.confirmed
        self.generation.lost = True

    def flush(self, now: float, sound: list[Effect]) -> int:
        """Silence now; the next generation begins. Gives the number that the clock will answer."""
        closing = self.generation
        closing.guess = closing.estimate(now)
        closing.flush_due = now + (self._clock.flush_latency_ms + 150) / 1000
        self._flushing[closing.number] = closing
        sound.append(Flush(closing.number))
        if any(not segment.cut for segment, *_ in closing.runs):
            self._blocked_on = closing.number
        self._next_generation(closing.format)
        return closing.number

    def settle(self, number: int, samples: int | None, now: float) -> list[Segment]:
        """Close every flushed generation up to ``number``; ``samples`` is the clock's final count, None where it gave none."""
        moved: list[Segment] = []
        for generation in [g for g in self._flushing.values() if g.number <= number]:
            del self._flushing[generation.number]
            answered = samples is not None and generation.number == number
            final = self._final(generation, samples) if answered and samples is not None else generation.guess
            if not answered:
                for segment, *_ in generation.runs:
                    segment.estimated = True
            moved += self._confirm(generation, max(generation.confirmed, min(final, generation.handed)), now)
            self._put_back(generation)
        if self._blocked_on and self._blocked_on <= number:
            self._blocked_on = 0
        return moved

    def _final(self, generation: Generation, samples: int) -> int:
        """What the answer to a flush means: itself, or where the clock knows only marks, the estimate between two of them."""
        slack = generation.format.samples(self._clock.answer_ms)
        most = min(samples + slack, generation.handed)
        if samples >= most:
            return samples
        for segment, start, end, *_ in generation.runs:
            if start < most and end > samples:
                segment.estimated = True
        return max(samples, min(generation.guess, most))

    # -- cutting -----------------------------------------------------------------------------------------------------------------

    def cut(self, response_id: str, segments: list[Segment], now: float) -> bool:
        """These segments of a response will not be heard any further. Gives whether the clock still holds samples of them."""
        self._entries.pop(response_id, None)
        self._head, self._direct = None, False
        for segment in segments:
            if segment.cut:
                continue
            segment.freeze()
            while segment.waiting:
                self._discard(segment, segment.waiting.popleft()[1])
        if self._replay:
            for segment, _, count in [entry for entry in self._replay if entry[0].cut]:
                self._discard(segment, count)
            self._replay = deque(entry for entry in self._replay if not entry[0].cut)
        return any(segment.cut for segment, *_ in self.generation.runs)

    def awaited(self, segments: list[Segment]) -> int:
        """The latest unanswered flush that decides how much of these segments was heard, or 0."""
        wanted = set(map(id, segments))
        return max((g.number for g in self._flushing.values() if any(id(run[0]) in wanted for run in g.runs)), default=0)

    def step_aside(self, now: float, sound: list[Effect]) -> None:
        """The segments that hold up the queue go behind those that wait; nothing of them is lost.

        All of them: where several are open and dry, each with a wait of its own would be that much more silence.
        """
        for _ in range(sum(1 + len(entry.segments) for entry in self._entries.values())):
            head = self._find_head()
            if (head is not None and head.waiting) or self._withholds:
                break
            response_id, entry = next(iter(self._entries.items()))
            if any(segment.waiting for segment in entry.segments):
                entry.segments.rotate(-1)
            else:
                self._entries[response_id] = self._entries.pop(response_id)
        self.release(now, sound)

    # -- pausing -----------------------------------------------------------------------------------------------------------------

    def pause(self, now: float, sound: list[Effect]) -> None:
        """Hold the sound: by the clock where it can, else by a flush and playing again from the heard sample. A device that is
        gone holds nothing: it is handed nothing until both are over."""
        self._held = True
        generation = self.generation
        if self._lost:
            pass
        elif self._clock.pause and self.unconfirmed:
            generation.anchor = generation.estimate(now)
            generation.anchor_at = now
            generation.paused = True
            sound.append(Pause(generation.number))
        elif self.unconfirmed:
            self.flush(now, sound)
        self._direct = False

    def resume(self, now: float, sound: list[Effect]) -> None:
        """Go on with the next sample."""
        self.drop_hold(now, sound)
        self.release(now, sound)

    def heard_out(self, segments: Iterable[Segment]) -> None:
        """Their message has ended. It counts as heard without its last sample (B02), which is not sounded behind its end."""
        for segment in segments:
            segment.over = True
        while self._replay and self._replay[0][0].over:
            self._discard(*self._replay.popleft()[::2])

    def drop_hold(self, now: float, sound: list[Effect]) -> None:
        """An interruption ends a pause: a flush silences the clock; where none was due, the clock is told to go on."""
        self._held = False
        generation = self.generation
        if generation.paused:
            generation.paused = False
            generation.anchor_at = now
            sound.append(Resume(generation.number))

    # -- handing over ------------------------------------------------------------------------------------------------------------

    def release(self, now: float, sound: list[Effect]) -> None:
        """Hand over what may sound next: in order, in one format per generation, and no further ahead than the lead."""
        while self._may_release():
            head = self._find_head()
            source = self._replay[0] if self._replay else (head, *head.waiting[0]) if head and head.waiting else None
            if source is None:
                break
            segment, pcm, count = source
            if self._replay and segment.over:
                self._discard(*self._replay.popleft()[::2])
                continue
            if not self._same_format(segment.format, now, sound):
                break
            generation = self.generation
            if self._lead_ms is not None:
                room = segment.format.samples(self._lead_ms) - (generation.handed - generation.confirmed)
                if room <= 0:
                    break
                if count > room:
                    self._split_first(segment, pcm, room)
                    continue
            (self._replay if self._replay else segment.waiting).popleft()
            start = generation.handed
            generation.handed = start + count
            generation.drained = False
            generation.runs.append((segment, start, start + count, pcm, now))
            sound.append(Play(pcm, generation.format, generation.number))
        self._note_head(now, sound)

    def _note_head(self, now: float, sound: list[Effect]) -> None:
        self._head = head = self._find_head()
        generation = self.generation
        self._direct = (
            self._lead_ms is None
            and self._may_release()
            and not self._replay
            and head is not None
            and not head.waiting
            and head.format == generation.format
        )
        # What was only reckoned to be heard may still wait in the clock for more; behind what is withheld nothing comes for now.
        if (self._withholds or not self._entries) and not (self._replay or generation.drained) and self.may_sound:
            self.drain(now, sound)

    def _may_release(self) -> bool:
        # A clock that was paused holds what it is given; any other must not be given anything while held.
        return not (self._blocked_on or self._lost) and (not self._held or self.generation.paused)

    def _find_head(self) -> Segment | None:
        entries = self._entries
        while entries:
            response_id, entry = next(iter(entries.items()))
            segments = entry.segments
            if entry.withheld:
                return None
            while segments:
                head = segments[0]
                if head.waiting or not (head.complete or entry.done):
                    return head
                segments.popleft()
            if not entry.done:
                return None
            del entries[response_id]
        return None

    def _same_format(self, format: AudioFormat, now: float, sound: list[Effect]) -> bool:
        generation = self.generation
        if format == generation.format:
            return True
        if not generation.handed:
            generation.format = format
            return True
        if self.unconfirmed:
            self.drain(now, sound)
            return False
        self._next_generation(format)
        return True

    def drain(self, now: float, sound: list[Effect]) -> bool:
        """Tell the clock, once, that nothing more is coming for now."""
        if self.generation.drained:
            return False
        self.generation.drained = True
        self.generation.drained_at = now
        sound.append(Drain(self.generation.number))
        return True

    def _next_generation(self, format: AudioFormat) -> None:
        self.generation = Generation(self.generation.number + 1, format, self._latency)
        self._head, self._direct = None, False
        self.begun()

    def _split_first(self, segment: Segment, pcm: Pcm, room: int) -> None:
        view = memoryview(pcm)
        at = room * segment.width
        first, rest = view[:at], view[at:]
        count = len(rest) // segment.width
        if self._replay:
            self._replay.popleft()
            self._replay.extendleft([(segment, rest, count), (segment, first, room)])
        else:
            segment.waiting.popleft()
            segment.waiting.extendleft([(rest, count), (first, room)])

    # -- accounting --------------------------------------------------------------------------------------------------------------

    def _confirm(self, generation: Generation, samples: int, now: float) -> list[Segment]:
        moved: list[Segment] = []
        before = generation.confirmed
        if samples <= before:
            return moved
        runs = generation.runs
        rate, since = generation.format.rate, generation.anchor_at
        while runs:
            segment, start, end, _, _ = runs[0]
            begin = start if start > before else before
            upto = end if end < samples else samples
            fresh = upto - begin
            if fresh > 0:
                if segment.started_at is None:
                    # Between the last report and this one; the report says how long ago the segment's first sample was.
                    segment.started_at = max(now - (samples - begin) / rate, since)
                segment.stopped_at = max(now - (samples - upto) / rate, since)
                segment.heard += fresh
                self.heard += fresh
                if not moved or moved[-1] is not segment:
                    moved.append(segment)
            if end > samples:
                break
            runs.popleft()
        generation.confirmed = samples
        self.sounded_at = now
        return moved

    def _put_back(self, generation: Generation) -> None:
        again: list[tuple[Segment, Pcm, int]] = []
        for segment, start, end, pcm, _ in generation.runs:
            skip = max(0, generation.confirmed - start)
            count = end - start - skip
            if segment.cut or segment.over:
                self._discard(segment, count)
            else:
                again.append((segment, memoryview(pcm)[skip * segment.width :] if skip else pcm, count))
        generation.runs.clear()
        self._replay.extendleft(reversed(again))

    def _discard(self, segment: Segment, count: int) -> None:
        segment.discarded += count
        self.discarded += count
