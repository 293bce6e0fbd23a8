"""Text in step with sound: how much of a transcript was heard, without word times, which the protocol does not give (F105).

Two clues are laid side by side. The text says how long its words take, in syllables, and where a speaker is likely to pause; the
audio says where it is silent. Silences are matched with punctuation where the speech between them takes about as long as the
words between the marks; a silence without a mark and a mark without a silence cost something, the least sum wins. Between two
matches the words share the time by their syllables. Behind the last one they go on at the pace so far, slowed down where the
next mark's silence has not come yet, and once text and audio are complete, at exactly the pace that uses up both.

It stays an estimate, the same one for the text that runs along and for the text at a cut: asked again, it never gives less.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from math import inf, log, sqrt
from typing import NamedTuple

from rtcore._formats import AudioFormat
from rtcore._loudness import Loudness, Pcm, Silence
from rtcore._script import Mark, Script

_PACE = 20.5
"""Frames (of 10 ms) that a syllable takes, until the message itself shows it."""
_TRUST = 4.0
"""Syllables that the pace above counts for, beside those that were heard."""
_ENOUGH = 0.85
"""Share of a word that makes it a heard one. The estimate's error is a seventh of a word at the median, so that at this share a
word is hardly ever told before it began, and hardly ever missing when it is over."""
_REACH = 5
"""Silences in a row that may have no mark, and marks that may have no silence."""
_WINDOW = 12
"""Silences and marks that are matched together; the first match among more of them is settled."""
_PER_FRAME, _CLOSURE = 0.1, 6
"""What a silence without a mark costs for each of its frames, beyond as many as a consonant may take."""
_NO_PAUSE, _NO_PAUSE_AT_END = 1.0, 3.0
"""What a mark without a silence costs, within a sentence and at its end."""
_MISFIT = 12.0
"""The most that a stretch costs, however little it fits."""
_FAR, _FARTHER = 0.2, 1.2
"""A silence is held against no mark that is farther off the pace, as a logarithm: in a long stretch, and more in a short one."""
_HURRY = 1.2
"""Times the pace: a mark counts as passed only where the speech would have to be that much slower."""
_SLOWER, _SLOWER_AT_END = 1.4, 2.0
"""Times the pace: so much slower a phrase may be, before its mark counts as passed without a pause, and a sentence."""
_PACES = (1.0, 0.75, 1.33, 1.75)
"""Times the pace so far: what else is tried while little is known."""
_FASTEST = 0.5
"""Times the usual pace: nobody speaks faster."""
_SLOWEST = 2.0
"""Times the usual pace: hardly anybody speaks slower."""
_UNLIKELY = 0.3
"""Spread of the pace between speakers, as a logarithm."""
_KNOWN = 20.0
"""Syllables after which the pace is known."""
_NEVER = 1e9


class _Match(NamedTuple):
    """A place in the text, and the silence there: its sound ends at ``stop``, the next word begins at ``go``."""

    words: int
    time: float
    """Syllables before it."""
    stop: int
    go: int
    sounded: int
    """Frames of sound before it."""


_BEGIN = _Match(0, 0.0, 0, 0, 0)


class _Way(NamedTuple):
    """A match of one silence (by number) with one mark, the cheapest way there, and what it costs so far."""

    stop: int
    mark: int
    cost: float
    before: "_Way | None"


class Pacing:
    """The estimate for one audio part, as its text and its audio arrive."""

    __slots__ = (
        "_closed",
        "_due",
        "_edition",
        "_ends",
        "_loudness",
        "_matches",
        "_pace",
        "_script",
        "_seen",
        "_settled",
        "_shown",
    )

    def __init__(self, format: AudioFormat) -> None:
        self._loudness = Loudness(format)
        self._script = Script()
        self._settled: list[_Match] = [_BEGIN]
        self._matches: list[_Match] = [_BEGIN]
        self._pace = _PACE
        self._shown = 0
        self._due = inf
        self._closed = self._ends = False
        self._edition = self._script.edition
        self._seen: tuple[int, int] = (0, 0)

    @property
    def fresh(self) -> list[Pcm]:
        """Audio that was not looked at yet, in whole samples, by reference: more of it is appended here."""
        return self._loudness.fresh

    def look(self) -> bool:
        """Take in the audio that has come, and keep nothing of it but its levels. Gives whether there was any."""
        return self._loudness.look()

    def heard(self, text: str, heard: int, received: int, *, final: bool, complete: bool) -> int:
        """How many characters of ``text`` were heard when ``heard`` of the ``received`` samples were (B30, S05).

        ``final``: no more text comes. ``complete``: no more audio comes. Never less than before, and never half a word.
        """
        if heard <= 0:
            return 0
        fresh = self._script.read(text, final)
        if complete and heard >= received:
            self._shown = len(text) if final else max(self._shown, self._script.whole)
            return self._shown
        if self._script.edition != self._edition:
            self._edition = self._script.edition
            self._settled = [_BEGIN]
        if self.look():
            silences = self._loudness.silences()
            last = silences[-1] if silences else None
            # A silence that goes on is no news until it is over.
            over = last is not None and last.end < self._loudness.frames
            seen = (len(silences), over)
            fresh |= seen != self._seen
            self._seen = seen
        complete = complete and not self.fresh  # what was not looked at yet is as if it had not come
        self._ends = complete or final
        closed = complete and final and self._plausible()
        frame = heard / self._loudness.per_frame
        if fresh or closed != self._closed or frame >= self._due:
            self._closed = closed
            self._align(frame)
        if not (complete or self._loudness.sounds):
            return self._shown  # nothing was said yet
        words = self._words(frame)
        end = self._script.ends[words - 1] if words else 0
        self._shown = min(max(self._shown, end), len(text))
        return self._shown

    def _plausible(self) -> bool:
        """Whether so much can be said in this time: a server that is cut short closes a text that its sound never came to."""
        return self._loudness.tail().sounded >= self._script.total * _PACE * _FASTEST

    # -- position ----------------------------------------------------------------------------------------------------------------

    def _words(self, frame: float) -> int:
        """Words that were heard by ``frame``."""
        script, matches = self._script, self._matches
        at = bisect_right(matches, frame + 1, key=_stop_of) - 1
        last = matches[max(at, 0)]
        sounded = max(self._sounded(frame) - last.sounded, 0.0)
        if at + 1 == len(matches):
            return script.said(last.time + sounded / self._pace_behind(last), _ENOUGH)
        after = matches[at + 1]
        share = sounded / max(after.sounded - last.sounded, 1)
        # The word before a pause is over where the pause begins, and that is known.
        return max(min(script.said(last.time + share * (after.time - last.time), _ENOUGH), after.words - 1), 0)

    def _pace_behind(self, last: _Match) -> float:
        """The pace behind the last match: slow enough that the next mark is not passed without a silence."""
        script, pace = self._script, self._pace
        there = self._sounded(self._loudness.frames) - last.sounded
        for mark in script.marks[bisect_right(script.marks, last.words, key=_words_of) :]:
            slowest = there / max(mark.time - last.time, 0.1)
            if slowest < pace:
                break
            if slowest < pace * (_SLOWER_AT_END if mark.strong else _SLOWER):
                return slowest
        # Where nothing is missing at one end, all sound that is there says what is there of the text, or less.
        return max(pace, there / max(script.total - last.time, 0.1)) if self._ends else pace

    def _sounded(self, frame: float) -> float:
        """Frames of sound before ``frame``."""
        silences = self._loudness.silences()
        at = bisect_right(silences, frame, key=_start_of) - 1
        return frame if at < 0 else silences[at].sounded + max(frame - silences[at].end, 0.0)

    # -- matching ----------------------------------------------------------------------------------------------------------------

    def _align(self, frame: float) -> None:
        """Match what has come since with what is not settled yet; settled is only what was heard, since more may yet come."""
        self._due = inf
        while self._match(frame):
            pass

    def _match(self, frame: float) -> bool:
        """Match one window of it. Gives whether some of that was settled, so that there is a next one."""
        script, frames, begin = self._script, self._loudness.frames, self._settled[-1]
        silences = self._loudness.silences()
        end = None
        if self._closed:
            tail = self._loudness.tail()
            end = _Match(len(script.ends), script.total, tail.start, tail.end, tail.sounded)
        # Before the first sound there is nothing to match, behind the last one only the end.
        stops = [
            silence
            for silence in silences[bisect_right(silences, begin.stop, key=_start_of) :][:_WINDOW]
            if silence.sounded > begin.sounded and (end is None or silence.sounded < end.sounded)
        ]
        marks = script.marks[bisect_right(script.marks, begin.words, key=_words_of) :][: 2 * _WINDOW]
        if end is not None:
            marks = marks[: bisect_left(marks, end.words, key=_words_of)]
        full = len(stops) == _WINDOW
        reach = stops[-1].sounded if full else frames if end is None else end.sounded
        found, self._pace = self._fit(begin, stops, marks, end, full, reach)
        self._matches = [*self._settled, *found]
        if not full:
            return False
        half = stops[_WINDOW // 2]
        if half.end > frame:
            self._due = half.end
            return False
        settled = [match for match in found if match.stop <= half.start]
        if not settled:
            # Nothing to hold on to: settled where the pace says, unless the text is not there yet.
            time = begin.time + (half.sounded - begin.sounded) / self._pace
            if time >= script.total:
                return False
            words = max(script.said(time, 0.5), begin.words)
            settled = [_Match(words, max(time, begin.time), half.start, half.end, half.sounded)]
        self._settled += settled
        return True

    def _fit(
        self, begin: _Match, stops: Sequence[Silence], marks: Sequence[Mark], end: _Match | None, full: bool, reach: int
    ) -> tuple[list[_Match], float]:
        """The cheapest matches, and the pace that they go with."""
        if end is not None:
            pace = max(end.sounded - begin.sounded, 1) / max(end.time - begin.time, 0.1)
            return _cheapest(begin, stops, marks, None if full else end, pace, reach, None)[1], pace
        last = begin if len(self._matches) == 1 else self._matches[-1]
        so_far = _pace_at(last)
        total = self._script.total - begin.time if self._script.final else None
        found: list[_Match] = []
        cheapest = _NEVER
        for times in _PACES if last.time < _KNOWN else _PACES[:1]:
            cost, matches = _cheapest(begin, stops, marks, None, so_far * times, reach, total)
            # Held against the usual pace, not against the one so far: that is a guess too, and one wrong guess is not to make the
            # next one, further off, a likely one.
            cost += (log(so_far * times / _PACE) / _UNLIKELY) ** 2 / 2
            if max(so_far * times, _pace_at(matches[-1] if matches else begin)) > _PACE * _SLOWEST:
                cost += _MISFIT
            if cost < cheapest:
                cheapest, found = cost, matches
        return found, _pace_at(found[-1] if found else begin)


def _cheapest(
    begin: _Match,
    stops: Sequence[Silence],
    marks: Sequence[Mark],
    end: _Match | None,
    pace: float,
    reach: int,
    total: float | None,
) -> tuple[float, list[_Match]]:
    """The cheapest way to lay silences and marks side by side, in order; ``end`` is matched with itself where it is known.

    ``reach``: frames of sound in all; ``total``: syllables, where the text is complete. A silence behind the text that is known,
    and a mark behind it, cost nothing.
    """
    heard = [stop.sounded - begin.sounded for stop in stops]
    said = [mark.time - begin.time for mark in marks]
    unmarked, silent = [0.0], [0.0]
    for silence in stops:
        unmarked.append(unmarked[-1] + (silence.end - silence.start - _CLOSURE) * _PER_FRAME)
    for each in marks:
        silent.append(silent[-1] + (_NO_PAUSE_AT_END if each.strong else _NO_PAUSE))
    ways = [_Way(-1, -1, 0.0, None)]
    for stop, frames in enumerate(heard):
        for mark, time in enumerate(said):
            if abs(log((frames + 1) / (time * pace + 1))) > _FAR + _FARTHER / sqrt(time + 1):
                continue
            cheapest, before = _NEVER, None
            for way in reversed(ways):
                if way.stop < stop - 1 - _REACH:
                    break
                if way.stop >= stop or not mark - 1 - _REACH <= way.mark < mark:
                    continue
                first, begun = (heard[way.stop], said[way.mark]) if way.before else (0, 0.0)
                cost = way.cost + unmarked[stop] - unmarked[way.stop + 1] + silent[mark] - silent[way.mark + 1]
                if cost < cheapest:
                    cost += _misfit(frames - first, time - begun, pace)
                    if cost < cheapest:
                        cheapest, before = cost, way
            if before is not None:
                ways.append(_Way(stop, mark, cheapest, before))
    cheapest, chosen = _NEVER, ways[0]
    for way in ways:
        first, begun = (heard[way.stop], said[way.mark]) if way.before else (0, 0.0)
        if end is not None:
            cost = unmarked[-1] - unmarked[way.stop + 1] + silent[-1] - silent[way.mark + 1]
            cost += _misfit(end.sounded - begin.sounded - first, end.time - begin.time - begun, pace)
        else:
            # As far as the pace goes on from here, text and audio are held against each other.
            until = begun + (reach - begin.sounded - first) / pace
            passed = bisect_right(said, until / _HURRY)
            known = bisect_right(heard, first + (said[-1] - begun) * pace) if said else 0
            cost = max(silent[passed] - silent[way.mark + 1], 0.0) + max(unmarked[known] - unmarked[way.stop + 1], 0.0)
            if total is not None and until > total:
                # Behind the end of a text that is complete nothing is said any more.
                cost += _misfit(reach - begin.sounded - first, total - begun, pace)
        if way.cost + cost < cheapest:
            cheapest, chosen = way.cost + cost, way
    found = [] if end is None else [end]
    while chosen.before is not None:
        found.append(_Match(*marks[chosen.mark][:2], *stops[chosen.stop]))
        chosen = chosen.before
    return cheapest, found[::-1]


def _pace_at(last: _Match) -> float:
    """The pace that a message shows up to this match."""
    return (_PACE * _TRUST + last.sounded) / (_TRUST + last.time)


def _misfit(heard: int, said: float, pace: float) -> float:
    """What it costs that so many frames of sound are so many syllables: the longer the stretch, the closer it has to fit."""
    ratio = log((heard + 1) / (said * pace + 1))
    spread = 0.1 + 0.35 / sqrt(said + 0.5)
    return min((ratio / spread) ** 2 / 2, _MISFIT)


def _start_of(silence: Silence) -> int:
    return silence.start


def _stop_of(match: _Match) -> int:
    return match.stop


def _words_of(mark: Mark) -> int:
    return mark.words
