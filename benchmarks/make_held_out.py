"""Make the held-out speech of ``benchmarks/heard_text.py``: ``python benchmarks/make_held_out.py LIBRARIES``.

Sentences that nothing was fitted to, said by voices that nothing was fitted to: in English by flite's three statistical voices,
which were trained on people and pause as those did, in five other languages by espeak-ng with other speakers than the packaged
recordings have. LIBRARIES is a folder with ``libflite.so.1`` and what belongs to it (on Debian: ``apt-get download libflite1``,
``dpkg -x``); espeak-ng with its data has to be installed. numpy is needed here and nowhere else.

Writes ``held_out.json`` (text, and for every word its first character, where its sound begins and where it is over, in ms) and
``held_out.xz`` (all of it as 8 kHz mu-law, one after the other).
"""

import ctypes as c
import json
import lzma
import sys
from pathlib import Path
from typing import Any

import numpy as np

from rtcore.sim._server_g711 import codes

RATE = 8_000
QUIET, FRAME_MS, PAUSE_MS = 0.02, 10, 60
"""A share of the loudest that is silence, in frames of so long; so much of it before the next word is a pause."""

FLITE = ("slt", "rms", "awb")
ENGLISH = (
    "Good evening, and welcome back. I found two tables for tonight, one by the window and one in the garden.",
    "If the lamp keeps blinking, unplug the router, wait for half a minute, and then plug it in again. That usually helps.",
    "The river rises in the northern hills, runs past three small towns, and reaches the sea after almost 400 kilometers.",
    "No problem at all. I have moved your delivery to Saturday, between nine and noon; you will get a message in the morning.",
    "Honestly, I would take the earlier flight. It costs a little more, but you would be home before dinner.",
    "Chapter one. It was a cold bright day, the kind on which voices carry far, and somebody was singing down at the harbour.",
    "Your balance is 82 dollars, and your next payment is due on the first of June. Would you like to pay it now?",
    "Let me check that for you. One moment, please. Yes, the blue one is in stock, but only in large.",
    "Whales breathe air, just like us. They come up, they blow, and then they dive for an hour or longer.",
)
ESPEAK = (
    ("de+f3", 170, "Guten Abend. Ich habe zwei Tische gefunden, einen am Fenster und einen im Garten. Welchen möchten Sie?"),
    (
        "de+m4",
        145,
        "Der Fluss entspringt im Norden, fließt an drei kleinen Städten vorbei und erreicht nach 400 Kilometern das Meer.",
    ),
    ("fr+f2", 165, "Bonsoir, et merci d'avoir attendu. Il reste une table près de la fenêtre, ou bien une autre dans le jardin."),
    ("fr+m3", 150, "Si la lampe clignote encore, débranchez l'appareil, attendez une minute, puis rebranchez-le."),
    ("es+f4", 180, "Buenas noches. Tengo dos mesas libres para hoy, una junto a la ventana y otra en el jardín. ¿Cuál prefiere?"),
    ("es+m2", 155, "El río nace en el norte, pasa por tres pueblos pequeños y llega al mar después de casi 400 kilómetros."),
    ("cmn+f3", 170, "晚上好，欢迎回来。今晚还有两张桌子，一张靠窗，一张在花园里。"),  # noqa: RUF001
    ("cmn+m4", 150, "这条河从北方的山里流出来，经过三个小镇，最后流到大海。"),  # noqa: RUF001
    ("it+f2", 165, "Buonasera e bentornato. Ho trovato due tavoli per questa sera, uno vicino alla finestra e uno in giardino."),
)

Words = list[tuple[int, int, int]]


class _Id(c.Union):
    _fields_ = [("number", c.c_int), ("name", c.c_char_p), ("string", c.c_char * 8)]


class _Event(c.Structure):
    _fields_ = [
        ("type", c.c_int), ("unique", c.c_uint), ("text_position", c.c_int), ("length", c.c_int), ("audio_position", c.c_int),
        ("sample", c.c_int), ("user_data", c.c_void_p), ("id", _Id),
    ]  # fmt: skip


class _Wave(c.Structure):
    _fields_ = [
        ("type", c.c_char_p), ("rate", c.c_int), ("count", c.c_int), ("channels", c.c_int), ("samples", c.POINTER(c.c_short)),
    ]  # fmt: skip


def espeak(library: c.CDLL, text: str, voice: str, words_a_minute: int, rate: int) -> tuple[Any, Words]:
    """Its samples at ``rate``, and its words; where a sound is over shows in the samples."""
    pieces: list[Any] = []
    begins: list[tuple[int, int]] = []

    @c.CFUNCTYPE(c.c_int, c.POINTER(c.c_short), c.c_int, c.POINTER(_Event))
    def took(samples: Any, count: int, events: Any) -> int:
        if count > 0:
            pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        number = 0
        while events[number].type:
            if events[number].type == 1:
                begins.append((events[number].text_position - 1, events[number].audio_position))
            number += 1
        return 0

    library.espeak_SetSynthCallback(took)
    if library.espeak_SetVoiceByName(voice.encode()):
        raise SystemExit(f"espeak-ng has no voice {voice}")
    library.espeak_SetParameter(1, words_a_minute, 0)
    said = text.encode() + b"\0"
    library.espeak_Synth(said, len(said), 0, 1, 0, 1, None, None)
    library.espeak_Synchronize()
    samples = np.concatenate(pieces)
    level = np.abs(samples[: len(samples) // (rate // 100) * (rate // 100)].astype(float).reshape(-1, rate // 100)).mean(1)
    words: Words = []
    for number, (char, begin) in enumerate(begins):
        end = begins[number + 1][1] if number + 1 < len(begins) else len(samples) * 1000 // rate
        frame = min(end // FRAME_MS, len(level))
        while frame > 0 and level[frame - 1] < QUIET * level.max() and frame * FRAME_MS > begin:
            frame -= 1
        over = frame * FRAME_MS if end - frame * FRAME_MS >= PAUSE_MS else end
        joined = words and not text[words[-1][0] : char].strip().strip("'’-")  # noqa: RUF001
        if joined or (char and " " in text and not text[char - 1].isspace() and words):
            words[-1] = (words[-1][0], words[-1][1], over)  # a part of the word before it
        else:
            words.append((char, begin, over))
    return samples, words


def flite(library: c.CDLL, voice: c.c_void_p, text: str) -> tuple[Any, int, Words]:
    """Its samples, their rate, and its words: what stands between two spaces."""
    library.flite_synth_text.restype = library.utt_relation.restype = library.relation_head.restype = c.c_void_p
    library.item_next.restype = c.c_void_p
    library.ffeature_float.restype = c.c_float
    library.utt_wave.restype = c.POINTER(_Wave)
    spoken = c.c_void_p(library.flite_synth_text(text.encode(), voice))
    wave = library.utt_wave(spoken).contents
    samples = np.ctypeslib.as_array(wave.samples, (wave.count,)).copy()
    chars = [at for at in range(len(text)) if not text[at].isspace() and (at == 0 or text[at - 1].isspace())]
    words: Words = []
    token = library.relation_head(c.c_void_p(library.utt_relation(spoken, b"Token")))
    first = b"R:Token.daughter1.R:SylStructure.daughter1.daughter1.R:Segment.p.end"
    last = b"R:Token.daughtern.R:SylStructure.daughtern.daughtern.R:Segment.end"
    while token:
        begin, end = (library.ffeature_float(c.c_void_p(token), name) for name in (first, last))
        words.append((chars[len(words)], round(begin * 1000), round(end * 1000)))
        token = library.item_next(c.c_void_p(token))
    if len(words) != len(chars):
        raise SystemExit(f"flite says {len(words)} words for the {len(chars)} of {text!r}")
    return samples, wave.rate, words


def main(libraries: Path) -> None:
    """Make both files."""
    entries, sound = [], bytearray()
    table = codes("audio/pcmu")

    def add(name: str, text: str, samples: Any, rate: int, words: Words) -> None:
        count = len(samples) * RATE // rate
        # A mean over what becomes one sample is filter enough here.
        width = max(1, rate // RATE)
        smooth = np.convolve(samples.astype(float), np.ones(width) / width, mode="same")
        at8 = np.interp(np.arange(count) * rate / RATE, np.arange(len(samples)), smooth).astype("<i2")
        sound.extend(table[int(sample) & 0xFFFF] for sample in at8)
        entries.append({"name": name, "text": text, "samples": count, "words": words})

    for name in ("libflite_usenglish.so.1", "libflite_cmulex.so.1"):
        c.CDLL(str(libraries / name), mode=c.RTLD_GLOBAL)
    said = c.CDLL(str(libraries / "libflite.so.1"), mode=c.RTLD_GLOBAL)
    said.flite_init()
    for number, text in enumerate(ENGLISH):
        which = FLITE[number % len(FLITE)]
        register = getattr(c.CDLL(str(libraries / f"libflite_cmu_us_{which}.so.1")), f"register_cmu_us_{which}")
        register.restype = c.c_void_p
        samples, rate, words = flite(said, c.c_void_p(register(None)), text)
        add(f"flite {which}", text, samples, rate, words)
    other = c.CDLL("libespeak-ng.so.1")
    rate = other.espeak_Initialize(1, 500, None, 0)
    for voice, speed, text in ESPEAK:
        samples, words = espeak(other, text, voice, speed, rate)
        add(f"espeak-ng {voice}", text, samples, rate, words)
    here = Path(__file__).parent
    (here / "held_out.xz").write_bytes(lzma.compress(bytes(sound), preset=9 | lzma.PRESET_EXTREME))
    listed = json.dumps(entries, ensure_ascii=False, separators=(",", ":"))
    (here / "held_out.json").write_text(listed.replace('{"name"', '\n{"name"') + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
