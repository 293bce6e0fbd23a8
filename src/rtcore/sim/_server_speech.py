"""Real speech, cut so that sending it costs almost nothing.

All voices are joined to one track per audio format and encoded to base64 once per process. A message is a slice of a track
that begins where no other item of the same server begins, and never in silence, so that an auditor can tell by the first
samples whose audio it hears. Positions in a track are bytes; 3 bytes are 4 base64 characters, so that a delta is a slice.
"""

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import chain

from msgspec import Struct
from msgspec.json import encode

from rtcore._formats import PCM16_24K, AudioFormat
from rtcore.sim._rng import Rng
from rtcore.sim._server_g711 import codes
from rtcore.sim.voices import SAMPLES_PER_MS, Voice, Word

GRID = 20 * SAMPLES_PER_MS
"""Messages begin on a grid of 20 ms (in samples at 24 kHz)."""

KEY_SAMPLES = 32
"""No two items of a server begin with the same ``KEY_SAMPLES`` samples."""

_FINE = 30
# By the high byte of a sample: how far from zero. 2 means about 1.5 % of full scale.
_DISTANCE = bytes(min(value, 255 - value) for value in range(256))
_AUDIBLE = 2


class Track(Struct, frozen=True, eq=False):
    """All voices in one audio format, with their base64 form."""

    format: AudioFormat
    data: bytes
    base64: tuple[bytes, bytes, bytes]
    """From the first, second and third byte on: wherever a slice begins, one of them has it."""

    def fragment(self, start: int, end: int) -> bytes:
        """``data[start:end]`` in base64."""
        groups, rest = divmod(end - start, 3)
        first = start // 3 * 4
        found = self.base64[start % 3][first : first + groups * 4]
        return found + encode(self.data[end - rest : end])[1:-1] if rest else found


class Take(Struct, frozen=True, eq=False):
    """A slice of a track: what one audio part will say. Word times count from its first sample."""

    track: Track
    start: int
    end: int
    text: str
    words: tuple[Word, ...]


class Bank:
    """The voices of a server, joined; made once per process for the same voices."""

    def __init__(self, voices: Sequence[Voice]) -> None:
        self.voices = tuple(voices)
        self.pcm = b"".join(voice.pcm for voice in voices)
        self.samples = len(self.pcm) // 2
        self._tracks: dict[AudioFormat, Track] = {}
        self._names: dict[str, int] = {}
        # Parallel lists, by the word's first sample: where it begins, where its sound ends, and its piece of the text.
        self._begins: list[int] = []
        self._ends: list[int] = []
        self._pieces: list[str] = []
        self._texts: list[str] = []
        at = 0
        for voice in voices:
            self._names[voice.name] = at
            cuts = [word.char for word in voice.words[1:]] + [len(voice.text)]
            first = 0
            for word, cut in zip(voice.words, cuts, strict=True):
                piece = voice.text[first:cut]
                first = cut
                last = cut == len(voice.text)
                self._begins.append(at + word.start_ms * SAMPLES_PER_MS)
                self._ends.append(at + word.sound_end_ms * SAMPLES_PER_MS)
                self._pieces.append(piece + " " if last and not piece.endswith(" ") else piece)
                self._texts.append(word.text)
            at += voice.samples

    def track(self, form: AudioFormat) -> Track:
        """The joined voices in ``form``."""
        track = self._tracks.get(form)
        if track is None:
            if form.type != "audio/pcm":
                data = _compand(self.pcm, codes(form.type))
            else:
                data = self.pcm if form == PCM16_24K else _resampled(self.pcm, form.rate)
            track = self._tracks[form] = Track(form, data, (_base64(data), _base64(data[1:]), _base64(data[2:])))
        return track

    def start_of(self, voice: str) -> int:
        """Where ``voice`` begins, in samples; ValueError where there is none of that name."""
        if voice not in self._names:
            raise ValueError(f"no voice is called {voice!r}; there are {', '.join(self._names)}")
        return self._names[voice]

    def phrase(self, rng: Rng) -> str:
        """Some words in a row, as a person might have said them."""
        count = rng.between(2, min(9, len(self._pieces)))
        first = rng.below(len(self._pieces) - count + 1)
        return "".join(self._pieces[first : first + count]).strip()

    def take(self, form: AudioFormat, samples: int, rng: Rng, used: set[bytes], voice: str | None = None) -> Take:
        """A slice of ``samples`` samples of ``form`` that begins audibly and unlike every slice in ``used``, or as near to the
        beginning of ``voice`` as that allows. It is at most as long as the voices together."""
        track = self.track(form)
        room = max(0, self.samples - _at_24k(samples, form))
        if voice is None:
            at = self._draw(track, room, rng, used)
        else:
            at = self._probe(track, min(self.start_of(voice), room), room, used, GRID)
        used.add(self._key(track, at))
        width = form.sample_width
        start = _from_24k(at, form) * width
        end = min(start + samples * width, len(track.data))
        text, words = self._words(at, _at_24k((end - start) // width, form))
        return Take(track, start, end, text, words)

    def _draw(self, track: Track, room: int, rng: Rng, used: set[bytes]) -> int:
        at = 0
        for _ in range(16):
            at = rng.below(room // GRID + 1) * GRID
            word = bisect_left(self._begins, at)
            # Prefer to begin with a word, as people do.
            onset = -(-self._begins[word] // GRID) * GRID if word < len(self._begins) else room + 1
            for candidate in (onset, at):
                if candidate <= room and self._fresh(track, candidate, used):
                    return candidate
        return self._probe(track, at, room, used, _FINE)

    def _probe(self, track: Track, start: int, room: int, used: set[bytes], step: int) -> int:
        start = start // _FINE * _FINE
        for at in chain(range(start, room + 1, step), range(0, room + 1, _FINE)):
            if self._fresh(track, at, used):
                return at
        # Every audible start has been used, some ten thousand items later: begin again.
        used.clear()
        return start

    def _fresh(self, track: Track, at: int, used: set[bytes]) -> bool:
        distances: bytes = self.pcm[at * 2 + 1 : (at + KEY_SAMPLES) * 2 : 2].translate(_DISTANCE)
        return max(distances, default=0) >= _AUDIBLE and self._key(track, at) not in used

    def _key(self, track: Track, at: int) -> bytes:
        width, first = track.format.sample_width, _from_24k(at, track.format)
        return track.data[first * width : (first + KEY_SAMPLES) * width]

    def _words(self, at: int, length: int) -> tuple[str, tuple[Word, ...]]:
        first = bisect_right(self._ends, at)
        last = bisect_left(self._begins, at + length)
        total = length // SAMPLES_PER_MS
        words = []
        text = ""
        for index in range(first, last):
            begin = max(0, (self._begins[index] - at) // SAMPLES_PER_MS)
            sound_end = min(total, (self._ends[index] - at) // SAMPLES_PER_MS)
            following = self._begins[index + 1] if index + 1 < len(self._begins) else self._ends[index]
            end = max(sound_end, min(total, (following - at) // SAMPLES_PER_MS))
            words.append(Word(self._texts[index], len(text), begin, sound_end, end))
            text += self._pieces[index]
        return text.rstrip(), tuple(words)


def _at_24k(samples: int, form: AudioFormat) -> int:
    """So many samples at 24 kHz last as long."""
    return samples * PCM16_24K.rate // form.rate


def _from_24k(samples: int, form: AudioFormat) -> int:
    return samples * form.rate // PCM16_24K.rate


def _resampled(pcm: bytes, rate: int) -> bytes:
    """24 kHz to another rate, by straight lines between the samples: a simulated voice has no need of more."""
    samples = struct.unpack(f"<{len(pcm) // 2}h", pcm)
    last = len(samples) - 1
    made = []
    for index in range(len(samples) * rate // PCM16_24K.rate):
        at, part = divmod(index * PCM16_24K.rate, rate)
        following = samples[at + 1] if at < last else samples[at]
        made.append(samples[at] + (following - samples[at]) * part // rate)
    return struct.pack(f"<{len(made)}h", *made)


def _base64(data: bytes) -> bytes:
    return encode(data[: len(data) // 3 * 3])[1:-1]


def _compand(pcm: bytes, table: bytes) -> bytes:
    samples = struct.unpack(f"<{len(pcm) // 2}h", pcm)
    # 24 kHz to 8 kHz: the mean of three neighbours is filter enough for a simulated telephone.
    thirds = zip(samples[0::3], samples[1::3], samples[2::3], strict=False)
    return bytes([table[(a + b + c) // 3 & 0xFFFF] for a, b, c in thirds])


_BANKS: dict[tuple[int, ...], Bank] = {}
_BANKS_KEPT = 8


def bank(voices: Sequence[Voice]) -> Bank:
    """The bank of ``voices``, made at the first use of these very objects (the last few are remembered)."""
    key = tuple(map(id, voices))
    found = _BANKS.get(key)
    if found is None:
        if not voices or not any(voice.words for voice in voices):
            raise ValueError("a server needs at least one voice with at least one word")
        found = Bank(voices)
        while len(_BANKS) >= _BANKS_KEPT:
            del _BANKS[next(iter(_BANKS))]
        _BANKS[key] = found
    return found
