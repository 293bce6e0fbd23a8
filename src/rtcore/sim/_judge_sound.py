"""Whose sound is this? The audible signal of any client, found again in what the server sent, sample by sample.

``matching`` reads the signal of a speaker that tells its generations and adds no silence. A foreign client's recording has
silence wherever nothing was to be heard, so this reader skips silence, follows a part as long as its samples agree, and finds the
next part by a window of samples. Silence behind the last loud sample could belong to the part or to nobody: that is the
difference between ``heard_least`` and ``heard_most``.
"""

from collections.abc import Sequence

from rtcore._formats import AudioFormat
from rtcore.sim._judge_tape import Part
from rtcore.sim.matching import SIGNATURE_SAMPLES

_SILENCE = {"audio/pcm": b"\0", "audio/pcmu": b"\xff\x7f", "audio/pcma": b"\xd5\x55"}
_SKIPPED = 240
"""Samples passed over at once where nobody's sound is heard."""
_RECENT = 24
"""So many of the latest parts are looked through."""


class Listener:
    """Feed it the signal in the order of its sound."""

    def __init__(self) -> None:
        self.heard = False
        """Something was fed."""
        self.known_samples = 0
        """Samples that are some part's."""
        self.unknown_samples = 0
        """Loud samples that are nobody's."""
        self._current: Part | None = None
        self._cursor = 0
        self._rest = b""
        self._rest_at = 0.0

    def hear(self, parts: Sequence[Part], form: AudioFormat, pcm: bytes, at: float) -> None:
        """``pcm`` begins to sound at ``at``; whole samples of ``form``. ``parts`` are all that the server has begun to send."""
        self.heard = True
        if self._rest:
            at, pcm, self._rest = self._rest_at, self._rest + pcm, b""
        width, window = form.sample_width, SIGNATURE_SAMPLES * form.sample_width
        quiet = _SILENCE[form.type]
        offset = 0
        while offset < len(pcm):
            taken = self._go_on(form, pcm, offset, at)
            if not taken:
                taken = (len(pcm) - offset - len(pcm[offset:].lstrip(quiet))) // width * width
            if not taken:
                if len(pcm) - offset < window:
                    # Too little to tell whose it is: judged with what follows.
                    self._rest, self._rest_at = pcm[offset:], at + offset / (form.rate * width)
                    return
                if not self._find(parts, pcm[offset : offset + window], quiet):
                    taken = min(_SKIPPED * width, len(pcm) - offset)
                    self.unknown_samples += taken // width
            offset += taken

    def _go_on(self, form: AudioFormat, pcm: bytes, offset: int, at: float) -> int:
        part = self._current
        if part is None:
            return 0
        source = self._source(part)
        taken = _common(source, self._cursor, pcm, offset, form.sample_width)
        if not taken:
            return 0
        self._cursor += taken
        part.heard_most = max(part.heard_most, self._cursor)
        self.known_samples += taken // form.sample_width
        loud = len(pcm[offset : offset + taken].rstrip(_SILENCE[form.type]))
        if loud:
            loud = -(-loud // form.sample_width) * form.sample_width
            until = at + (offset + loud) / (form.rate * form.sample_width)
            part.heard_least = max(part.heard_least, self._cursor - taken + loud)
            part.heard_until = until
            part.heard_at.append((until, part.heard_least))
        return taken

    def _find(self, parts: Sequence[Part], window: bytes, quiet: bytes) -> bool:
        """Whose samples begin like this: a part that was not heard yet at its beginning, else any part anywhere."""
        recent = parts[-_RECENT:]
        for part in recent:
            if not part.heard_most:
                source = self._source(part)
                width = part.format.sample_width
                first = (len(source) - len(source.lstrip(quiet))) // width * width
                if source.startswith(window, first):
                    self._current, self._cursor = part, first
                    return True
        for part in recent:
            place = self._source(part).find(window)
            while place >= 0 and place % part.format.sample_width:
                place = self._source(part).find(window, place + 1)
            if place >= 0:
                self._current, self._cursor = part, place
                return True
        return False

    def _source(self, part: Part) -> bytes:
        """All that was received of it, joined when it is first asked for after more had come."""
        if len(part.chunks) > 1:
            part.chunks[:] = [b"".join(part.chunks)]
        return part.chunks[0] if part.chunks else b""


def _common(source: bytes, start: int, sound: bytes, offset: int, width: int) -> int:
    """How many bytes, in whole samples, agree. One comparison where all do."""
    most = min(len(source) - start, len(sound) - offset)
    if most <= 0:
        return 0
    if source.startswith(sound[offset : offset + most], start):
        return most // width * width
    low, high = 0, most  # the first ``low`` agree, the first ``high`` do not
    while high - low > 1:
        middle = (low + high) // 2
        if source.startswith(sound[offset : offset + middle], start):
            low = middle
        else:
            high = middle
    return low // width * width
