"""How loud a message is from one hundredth of a second to the next, and where it is silent: the landmarks that text is timed by.

Audio is looked at only when somebody asks, each piece once, and of its samples only a few: the high byte of one in every half
millisecond. What is kept of it is one byte for ten milliseconds, the largest of those, so a minute takes six kilobytes. A piece
that nobody asked about yet is kept by reference.
"""

import re
from bisect import bisect_right
from itertools import accumulate
from typing import NamedTuple

from rtcore._formats import AudioFormat

Pcm = bytes | memoryview


class Silence(NamedTuple):
    """A stretch of quiet frames, from the first to past the last."""

    start: int
    end: int
    sounded: int
    """Frames of sound before it."""


FRAMES = 100
"""In a second, about: as many as whole samples permit."""
_LOOKED_AT = 20
"""Samples of a frame."""
_AT_ONCE = 2_000
"""Frames that are looked at in one go: 20 s. A minute that came at once is taken in by the next looks, a little later."""
_SHORTEST = 7
"""Frames of silence that count: the closure of a "t" or a "k" lasts up to five or so, a pause at a comma ten or more."""
_NOTHING = Silence(0, 0, 0)
_LEVELS = 128
_LOUDEST_QUIET = 31
"""No level above this one is taken as silence, however loud the noise."""
_QUIET = tuple(re.compile(b"[\\x00-\\x%02x]{%d,}" % (most, _SHORTEST)) for most in range(_LOUDEST_QUIET + 1))
"""A silence, by the largest level that it may have."""


def _mulaw(code: int) -> int:
    code = ~code & 0x7F
    return (((code & 15) << 3) + 0x84 << (code >> 4)) - 0x84 >> 8


def _alaw(code: int) -> int:
    code = (code ^ 0x55) & 0x7F
    segment, step = code >> 4, (code & 15) << 4
    return (step + 8 if segment == 0 else step + 0x108 << segment - 1) >> 8


_MAGNITUDES = {
    "audio/pcm": bytes(high if high < 128 else 255 - high for high in range(256)),
    "audio/pcmu": bytes(map(_mulaw, range(256))),
    "audio/pcma": bytes(map(_alaw, range(256))),
}
"""For each byte that may stand at a sample's highest place: the high byte of its magnitude as PCM16."""


class Loudness:
    """The levels of one segment's audio, as far as it was looked at."""

    __slots__ = (
        "_counts",
        "_found",
        "_levels",
        "_most",
        "_rest",
        "_scanned",
        "_skip",
        "_stride",
        "_type",
        "fresh",
        "per_frame",
    )

    def __init__(self, format: AudioFormat) -> None:
        step = max(1, format.rate // FRAMES // _LOOKED_AT)
        self.per_frame = step * _LOOKED_AT
        """Samples."""
        self._stride = step * format.sample_width
        self._skip = format.sample_width - 1
        self._type = format.type
        self.fresh: list[Pcm] = []
        """Pieces, of whole samples, that were not looked at yet; whoever has more appends it."""
        self._rest = b""
        self._levels = bytearray()
        self._counts = [0] * _LEVELS
        self._found: list[Silence] = []
        self._scanned = 0
        self._most = 0

    @property
    def frames(self) -> int:
        """Whole frames looked at."""
        return len(self._levels)

    def look(self) -> bool:
        """Take the levels of what has come since, or of as much as is looked at in one go. Gives whether there was a new one."""
        fresh = self.fresh
        if not fresh:
            return False
        stride, skip = self._stride, self._skip
        codes = [self._rest]
        left, whole = _AT_ONCE * _LOOKED_AT * stride, 0
        for pcm in fresh:
            if not left:
                break
            if len(pcm) > left:
                fresh[whole] = memoryview(pcm)[left:]
            else:
                whole += 1
            taken = min(len(pcm), left)
            codes.append(bytes(pcm[skip:taken:stride]))
            skip = (skip - taken) % stride
            left -= taken
        self._skip = skip
        del fresh[:whole]
        looked = b"".join(codes)
        end = len(looked) - len(looked) % _LOOKED_AT
        self._rest = looked[end:]
        looked = looked.translate(_MAGNITUDES[self._type])
        counts, levels = self._counts, self._levels
        for at in range(0, end, _LOOKED_AT):
            level = max(looked[at : at + _LOOKED_AT])
            counts[level] += 1
            levels.append(level)
        return end > 0

    @property
    def sounds(self) -> bool:
        """Whether there was anything but silence."""
        return len(self._levels) > self._counts[0]

    def silences(self) -> list[Silence]:
        """The silences so far, in order; the last may still go on. Where all is silence, none is one."""
        if not self.sounds:
            return self._found
        most = self._quiet()
        if most != self._most:
            self._most, self._scanned = most, 0
            self._found.clear()
        found, levels = self._found, self._levels
        if found and found[-1].end >= self._scanned:
            self._scanned = found.pop().start
        last = found[-1] if found else _NOTHING
        for match in _QUIET[most].finditer(levels, self._scanned):
            last = Silence(*match.span(), last.sounded + match.start() - last.end)
            found.append(last)
        self._scanned = max(last.end, len(levels) - _SHORTEST)
        return found

    def tail(self) -> Silence:
        """The quiet at the very end, however short."""
        last = self._found[-1] if self._found else _NOTHING
        if not self.sounds:
            return Silence(len(self._levels), len(self._levels), len(self._levels))
        loud = len(self._levels.rstrip(bytes(range(self._most + 1))))
        return last if loud <= last.start else Silence(loud, len(self._levels), last.sounded + loud - last.end)

    def _quiet(self) -> int:
        """The largest level of silence: a little above the noise, and well below the loudest."""
        frames = len(self._levels)
        upto = list(accumulate(self._counts))
        floor, loud, loudest = (bisect_right(upto, rank) for rank in (frames // 20, frames * 4 // 5, frames - 1))
        return min(floor + max(loud - floor, 0) // 16 + (floor > 0), loudest // 3, _LOUDEST_QUIET)
