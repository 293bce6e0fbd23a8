"""A loudspeaker that remembers whose samples it sounded, so that nobody has to be believed about what was heard."""

from collections.abc import Iterator, Sequence

from rtcore import AudioFormat
from rtcore.sim.server import ServerPart
from rtcore_adapters.audio import VirtualSpeaker

_KEY = 32  # samples by which a part is known


class BenchSpeaker(VirtualSpeaker):
    """A ``VirtualSpeaker`` that keeps what it was handed, in its own format."""

    def __init__(self, *, block_ms: int, flush_ms: int) -> None:
        super().__init__(block_ms=block_ms, flush_ms=flush_ms)
        self._handed: dict[int, bytearray] = {}

    @property
    def used(self) -> bool:
        """Whether a conversation has opened it."""
        return self._reports is not None

    def play(self, pcm: bytes | memoryview, format: AudioFormat, generation: int, *, now: float) -> None:
        """Sound it, and remember it."""
        self._handed.setdefault(generation, bytearray()).extend(pcm)
        super().play(pcm, format, generation, now=now)

    def heard(self) -> Iterator[tuple[bytes, AudioFormat]]:
        """What became audible until now, one stretch without a pause after the other."""
        for span in self.spans:
            width = span.format.sample_width
            yield bytes(self._handed[span.generation][span.start * width : (span.start + span.samples) * width]), span.format


def found(speakers: Sequence[BenchSpeaker], parts: Sequence[ServerPart]) -> list[int]:
    """How many samples of each part were audible: its own samples, found again in what sounded."""
    audio = [part.audio for part in parts]
    heard = [0] * len(parts)
    for speaker in speakers:
        for pcm, form in speaker.heard():
            _match(pcm, form, parts, audio, heard)
    return heard


def _match(pcm: bytes, form: AudioFormat, parts: Sequence[ServerPart], audio: list[bytes], heard: list[int]) -> None:
    width = form.sample_width
    mine = [index for index, part in enumerate(parts) if part.format == form]
    at = 0
    while at < len(pcm):
        index, start = _whose(pcm[at : at + _KEY * width], width, mine, audio, heard)
        same = _common(pcm, at, audio[index], start) // width * width if index >= 0 else 0
        if same:
            heard[index] = max(heard[index], (start + same) // width)
            at += same
        else:
            at = _next(pcm, at + width, width, mine, audio, heard)


def _whose(key: bytes, width: int, mine: list[int], audio: list[bytes], heard: list[int]) -> tuple[int, int]:
    """Which part goes on like this, and at which byte; (-1, 0) where none does."""
    for index in mine:
        start = heard[index] * width
        if start < len(audio[index]) and key.startswith(audio[index][start : start + len(key)]):
            return index, start
    if len(key) == _KEY * width:
        # After a pause that was none to the device, it sounds again from where it was heard.
        for index in mine:
            start = audio[index].find(key, 0, heard[index] * width)
            if start >= 0 and start % width == 0:
                return index, start
    return -1, 0


def _next(pcm: bytes, at: int, width: int, mine: list[int], audio: list[bytes], heard: list[int]) -> int:
    """Behind a sound that is none of the server's: where one of its parts begins or goes on."""
    keys = [audio[index][heard[index] * width :][: _KEY * width] for index in mine]
    places = [pcm.find(key, at) for key in keys if len(key) == _KEY * width]
    return min((place for place in places if place >= 0 and place % width == 0), default=len(pcm))


def _common(one: bytes, at: int, other: bytes, start: int) -> int:
    """How many bytes are the same from there on."""
    low, high = 0, min(len(one) - at, len(other) - start)
    while low < high:
        middle = (low + high + 1) // 2
        if one[at + low : at + middle] == other[start + low : start + middle]:
            low = middle
        else:
            high = middle - 1
    return low
