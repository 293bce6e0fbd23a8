"""What is said in ``benchmarks/heard_text.py``, with the time of every word: the packaged recordings in several kinds, and the
held-out ones, to which nothing was fitted (``make_held_out.py`` says whose voices those are).
"""

import json
import lzma
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rtcore.sim._server_g711 import codes
from rtcore_adapters.voices import load_voices

SPELLED = {
    "de_train": (("zwanzig", "20"), ("fünfzehn", "15"), ("sieben", "7"), ("zehn", "10")),
    "fr_museum": (("neuf", "9"),),
    "list": (("three options", "3 options"), ("third", "3rd"), ("second", "2nd"), ("first", "1st")),
    "order": (("four", "4"), ("two", "2"), ("seven", "7"), ("nine", "9")),
    "story_1": (("one", "1"),),
    "story_2": (("two", "2"),),
}


class Random:
    """A small integer generator (Lehmer's), so that the figures are the same under every Python."""

    def __init__(self, seed: int) -> None:
        self._state = seed % 2147483646 + 1

    def below(self, end: int) -> int:
        """0 to ``end`` - 1."""
        self._state = self._state * 48271 % 2147483647
        return self._state % end

    def between(self, first: int, last: int) -> int:
        """Both included."""
        return first + self.below(last - first + 1)


class Word(NamedTuple):
    """Where a word ends in the text, and when its sound begins and ends, in samples."""

    end: int
    starts: int
    over: int


class Message(NamedTuple):
    """What is said."""

    name: str
    text: str
    pcm: bytes
    words: tuple[Word, ...]

    @property
    def samples(self) -> int:
        """Of the whole."""
        return len(self.pcm) // 2


def _words(text: str, times: Sequence[tuple[int, int, int]]) -> tuple[Word, ...]:
    """Each ends where the space before the next one begins, or with its own character where there are none."""
    words = []
    for number, (char, starts, over) in enumerate(times):
        follows = times[number + 1][0] if number + 1 < len(times) else len(text)
        words.append(Word(char + len(text[char:follows].rstrip()), starts * 24, over * 24))
    return tuple(words)


def recordings() -> list[Message]:
    """As they are."""
    return [
        Message(
            voice.name,
            voice.text,
            voice.pcm,
            _words(voice.text, [(word.char, word.start_ms, word.sound_end_ms) for word in voice.words]),
        )
        for voice in load_voices()
    ]


def joined(parts: Sequence[Message], random: Random) -> Message:
    """Several as one, with the pauses of a speaker between them."""
    text, pcm, words = "", b"", []
    for part in parts:
        if text:
            pcm += bytes(48 * random.between(250, 600))
            text += " " if " " in part.text else ""
        words += [Word(len(text) + w.end, len(pcm) // 2 + w.starts, len(pcm) // 2 + w.over) for w in part.words]
        text += part.text
        pcm += part.pcm
    return Message("+".join(part.name for part in parts), text, pcm, tuple(words))


def paced(message: Message, hundredths: int) -> Message:
    """So many hundredths of its time, by linear interpolation."""
    source = array("h", message.pcm)
    count = (len(source) - 1) * hundredths // 100
    out = array("h", bytes(2 * count))
    for at in range(count):
        whole, part = divmod(at * 100, hundredths)
        out[at] = source[whole] + (source[whole + 1] - source[whole]) * part // hundredths
    words = tuple(Word(w.end, w.starts * hundredths // 100, w.over * hundredths // 100) for w in message.words)
    return Message(message.name, message.text, out.tobytes(), words)


def with_digits(message: Message) -> Message:
    """Numbers that are spelled out become digits."""
    text, words = message.text, list(message.words)
    for spelled, digits in SPELLED[message.name]:
        at = text.index(spelled)
        text = text[:at] + digits + text[at + len(spelled) :]
        grown = len(digits) - len(spelled)
        words = [w if w.end <= at else w._replace(end=w.end + grown) for w in words]
    return message._replace(text=text, words=tuple(words))


def surrounded(message: Message, random: Random, noise: int) -> Message:
    """Silence before and after it, and noise of that amplitude everywhere."""
    before, after = random.between(300, 1500), random.between(300, 1500)
    samples = array("h", bytes(48 * before) + message.pcm + bytes(48 * after))
    if noise:
        for at, sample in enumerate(samples):
            samples[at] = max(-32768, min(32767, sample + random.between(-noise, noise)))
    words = tuple(Word(w.end, w.starts + 24 * before, w.over + 24 * before) for w in message.words)
    return Message(message.name, message.text, samples.tobytes(), words)


def messages(random: Random) -> Iterator[tuple[str, list[Message]]]:
    """Each kind with its messages."""
    single = recordings()
    english = [each for each in single if each.name in ("list", "order", "pause", "preamble", "story_1", "story_2", "weather")]
    yield "single", single
    long = []
    for count in (4, 6, 9):
        long.append(joined([english[random.below(len(english))] for _ in range(count)], random))
    long += [joined([each] * 3, random) for each in single if each.name[:3] in ("de_", "es_", "fr_", "zh_")]
    yield "long", long
    yield "faster", [paced(each, 70) for each in single]
    yield "slower", [paced(each, 140) for each in single]
    yield "digits", [with_digits(each) for each in single if each.name in SPELLED]
    yield "silence", [surrounded(each, random, 0) for each in single]
    yield "noise", [surrounded(each, random, 400) for each in single]


def others(random: Random) -> Iterator[tuple[str, list[Message]]]:
    """The same of the held-out sentences, by whom they are said."""
    held = held_out()
    people = [each for each in held if each.name.startswith("flite")]
    yield "voices of people, English", people
    yield "espeak-ng, five languages", [each for each in held if each not in people]
    yield "long", [joined([people[random.below(len(people))] for _ in range(count)], random) for count in (3, 5)]
    yield "noise", [surrounded(each, random, 400) for each in held]


def held_out() -> list[Message]:
    """The held-out sentences: 8 kHz mu-law, made 24 kHz PCM16 again by straight lines."""
    here = Path(__file__).parent
    table = codes("audio/pcmu")
    # The sample in the middle of those that have this code.
    found: dict[int, list[int]] = {}
    for index, code in enumerate(table):
        found.setdefault(code, []).append(index - 0x10000 if index & 0x8000 else index)
    middle = [sorted(found.get(code, [0]))[len(found.get(code, [0])) // 2] for code in range(256)]  # one code is -0
    sound = lzma.decompress((here / "held_out.xz").read_bytes())
    messages, at = [], 0
    for entry in json.loads((here / "held_out.json").read_text(encoding="utf-8")):
        thirds = array("h", [middle[code] for code in sound[at : at + entry["samples"]]])
        at += entry["samples"]
        samples = array("h", bytes(6 * len(thirds)))
        samples[0::3] = thirds
        following = thirds[1:] + thirds[-1:]
        samples[1::3] = array("h", [(2 * one + two) // 3 for one, two in zip(thirds, following, strict=True)])
        samples[2::3] = array("h", [(one + 2 * two) // 3 for one, two in zip(thirds, following, strict=True)])
        messages.append(Message(entry["name"], entry["text"], samples.tobytes(), _words(entry["text"], entry["words"])))
    return messages
