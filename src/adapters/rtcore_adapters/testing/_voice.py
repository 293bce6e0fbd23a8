"""Sound made from text: every word has its time, and nobody has to speak.

A word lasts as long as it has letters, and there is a pause behind it, longer behind a comma or a full stop. The sound itself is
noise, loud enough for turn detection and never the same twice, so that a sample tells which word it is of.
"""

import random

from rtcore.sim.voices import SAMPLES_PER_MS, Voice, Word

_LETTER_MS = 55
_SHORTEST_MS = 120
_PAUSE_MS = 60
_COMMA_MS = 160
_STOP_MS = 260
_GRID_MS = 20  # the server cuts its audio on this grid
# At most a quarter of full scale.
_QUARTER = 0x1FFF


def speak(name: str, text: str, pace: float) -> Voice:
    """``text`` as a voice. ``pace`` 2 is twice as fast. Equal arguments give equal sound."""
    pcm: list[bytes] = []
    words: list[Word] = []
    noise = random.Random(f"{name}: {text}")
    at = char = 0
    for each in text.split():
        char = text.index(each, char)
        sound = _on_grid(max(_SHORTEST_MS, _LETTER_MS * sum(map(str.isalnum, each))) / pace)
        pause = _on_grid((_STOP_MS if each[-1] in ".!?" else _COMMA_MS if each[-1] in ",;:" else _PAUSE_MS) / pace)
        samples = sound * SAMPLES_PER_MS
        mask = int.from_bytes(_QUARTER.to_bytes(2, "little") * samples, "little")
        pcm.append((noise.getrandbits(16 * samples) & mask).to_bytes(2 * samples, "little"))
        pcm.append(bytes(2 * pause * SAMPLES_PER_MS))
        words.append(Word(each, char, at, at + sound, at + sound + pause))
        at += sound + pause
        char += len(each)
    return Voice(name, text, b"".join(pcm), tuple(words))


def filler(longest_ms: int) -> Voice:
    """What a server needs beside its script: half as much again as its longest message, mostly silence."""
    spoken = speak("filler", "Hm hm hm hm.", 1.0)
    silence = max(0, longest_ms * 3 // 2 + 1000 - spoken.samples // SAMPLES_PER_MS)
    return Voice("filler", spoken.text, spoken.pcm + bytes(2 * SAMPLES_PER_MS * silence), spoken.words)


def seconds(text: str, pace: float = 1.0) -> float:
    """How long somebody speaks to say this."""
    return sum(_on_grid(max(_SHORTEST_MS, _LETTER_MS * len(each)) + _PAUSE_MS) for each in text.split()) / 1000 / pace


def _on_grid(ms: float) -> int:
    return max(1, round(ms / _GRID_MS)) * _GRID_MS
