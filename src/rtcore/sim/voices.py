"""What the simulated server says: voices as values, and tiny synthetic ones for tests.

A voice is recorded speech with the time of every word, so that an auditor can say which words were audible. The simulator
takes voices as values and reads no file; ``rtcore_adapters.voices.load_voices`` brings the packaged recordings.
"""

from msgspec import Struct

from rtcore.sim._rng import Rng

SAMPLES_PER_MS = 24
"""Voices are PCM16, mono, 24 kHz: 24 samples a millisecond."""


class Word(Struct, frozen=True, gc=False):
    """One spoken word. Times are whole milliseconds from the start of the audio it belongs to.

    ``char`` is the offset of the word in its text; the text up to the next word's ``char`` (spaces, punctuation, words that
    the recording runs together) belongs to it. Its sound lasts from ``start_ms`` to ``sound_end_ms``; the next word starts at
    ``end_ms``.
    """

    text: str
    char: int
    start_ms: int
    sound_end_ms: int
    end_ms: int


class Voice(Struct, frozen=True):
    """Recorded speech: ``pcm`` is PCM16 little endian, mono, 24 kHz; ``words`` are in the order of ``text``."""

    name: str
    text: str
    pcm: bytes
    words: tuple[Word, ...]

    @property
    def samples(self) -> int:
        """Length in samples."""
        return len(self.pcm) // 2


_SYLLABLES = ("ba", "ko", "mi", "re", "tu", "la", "ne", "so", "pi", "du", "fa", "vo")
_QUARTER_SCALE = 0x1FFF_1FFF_1FFF_1FFF


def synthetic_voices(seed: int, *, count: int = 6, words: int = 14) -> tuple[Voice, ...]:
    """``count`` voices of ``words`` noise words each (160 to 400 ms of sound, 40 to 120 ms of silence between): loud enough
    for turn detection, and no two windows of them alike. Equal seeds give equal voices."""
    rng = Rng(seed ^ 0x766F696365)
    return tuple(_synthetic(rng.fork(f"voice {index}"), f"synthetic_{index}", words) for index in range(count))


def _synthetic(rng: Rng, name: str, count: int) -> Voice:
    pcm: list[bytes] = []
    words: list[Word] = []
    text = ""
    at = 0
    for index in range(count):
        spoken = "".join(rng.choice(_SYLLABLES) for _ in range(rng.between(1, 3)))
        sound, gap = 20 * rng.between(8, 20), 20 * rng.between(2, 6)
        # Four samples from one draw; the mask keeps them at most a quarter of full scale.
        quads = sound * SAMPLES_PER_MS // 4
        pcm.extend((rng.bits() & _QUARTER_SCALE).to_bytes(8, "little") for _ in range(quads))
        pcm.append(bytes(gap * SAMPLES_PER_MS * 2))
        words.append(Word(spoken, len(text), at, at + sound, at + sound + gap))
        text += spoken + (" " if index + 1 < count else ".")
        at += sound + gap
    return Voice(name, text, b"".join(pcm), tuple(words))
