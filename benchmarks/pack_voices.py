"""Rebuild the packaged speech: ``python benchmarks/pack_voices.py SOURCE TARGET``.

SOURCE is a folder of 24 kHz mono PCM16 WAV files, each with a JSON file of the same name that holds its ``text`` and ``words``
(``text``, ``char``, ``start_ms``, ``sound_end_ms``, ``end_ms``). TARGET receives ``voices.xz`` and ``voices.json`` in the form
that ``rtcore_adapters.voices`` reads and documents.
"""

import json
import lzma
import sys
import wave
from itertools import pairwise
from pathlib import Path

from rtcore_adapters.voices import BLOCK, ORDERS

_FILTER = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 2, "lp": 0, "pb": 0, "dict_size": 1 << 23}


def _wrap(value: int) -> int:
    return (value + 0x8000 & 0xFFFF) - 0x8000


def pack(source: Path, target: Path) -> None:
    """Write ``voices.xz`` and ``voices.json`` from every WAV and JSON pair in ``source``."""
    index, samples = [], []
    for path in sorted(source.glob("*.wav")):
        with wave.open(str(path)) as recording:
            if (recording.getnchannels(), recording.getsampwidth(), recording.getframerate()) != (1, 2, 24_000):
                raise SystemExit(f"{path.name}: expected mono PCM16 at 24 kHz")
            pcm = recording.readframes(recording.getnframes())
        samples += [int.from_bytes(pcm[at : at + 2], "little", signed=True) for at in range(0, len(pcm), 2)]
        described = json.loads(path.with_suffix(".json").read_text())
        keys = ("text", "char", "start_ms", "sound_end_ms", "end_ms")
        index.append(
            {
                "name": path.stem,
                "language": described["voice"],
                "text": described["text"],
                "samples": len(pcm) // 2,
                "words": [[word[key] for key in keys] for word in described["words"]],
            }
        )
    differences = [samples]
    for _ in range(ORDERS - 1):
        differences.append([_wrap(b - a) for a, b in pairwise([0, *differences[-1]])])
    orders = bytearray()
    residual: list[int] = []
    for at in range(0, len(samples), BLOCK):
        best = min(range(ORDERS), key=lambda order: sum(map(abs, differences[order][at : at + BLOCK])))
        orders.append(best)
        residual += differences[best][at : at + BLOCK]
    zigzag = [(value << 1) ^ (value >> 15) for value in residual]
    packed = [
        lzma.compress(plane, format=lzma.FORMAT_XZ, filters=[_FILTER])
        for plane in (bytes(orders), bytes(value & 0xFF for value in zigzag), bytes(value >> 8 & 0xFF for value in zigzag))
    ]
    target.mkdir(parents=True, exist_ok=True)
    (target / "voices.xz").write_bytes(b"".join(packed))
    text = json.dumps({"voices": index}, ensure_ascii=False, separators=(",", ":"))
    (target / "voices.json").write_text(text.replace('{"name"', '\n{"name"') + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    pack(Path(sys.argv[1]), Path(sys.argv[2]))
