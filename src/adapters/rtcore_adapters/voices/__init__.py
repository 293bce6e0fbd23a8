"""The packaged speech: twelve recordings in five languages, as the values that ``rtcore.sim`` takes.

``voices.json`` names the recordings with their words; ``voices.xz`` holds their samples, joined in that order, losslessly: a
block of ``BLOCK`` samples is stored as its difference of the order (0 to 3) that comes out smallest, zigzag-coded. The
concatenated xz streams decode to one byte per block (its order), then all low bytes, then all high bytes.
"""

import json
import lzma
from array import array
from functools import cache
from importlib import resources
from itertools import accumulate

from rtcore.sim.voices import Voice, Word

BLOCK = 512
"""Samples per block."""

ORDERS = 4
"""Differences of order 0 to 3 are in use."""


@cache
def load_voices() -> tuple[Voice, ...]:
    """The packaged recordings, in the order of their names; read and decoded once per process (about a third of a second).

    Raises FileNotFoundError where the package was installed without its data."""
    package = resources.files(__name__)
    index = json.loads((package / "voices.json").read_text(encoding="utf-8"))["voices"]
    pcm = _decode(lzma.decompress((package / "voices.xz").read_bytes()), sum(entry["samples"] for entry in index))
    voices = []
    at = 0
    for entry in index:
        end = at + 2 * entry["samples"]
        voices.append(Voice(entry["name"], entry["text"], pcm[at:end], tuple(Word(*word) for word in entry["words"])))
        at = end
    return tuple(voices)


def _decode(data: bytes, samples: int) -> bytes:
    blocks = -(-samples // BLOCK)
    orders, low, high = data[:blocks], data[blocks : blocks + samples], data[blocks + samples :]
    out = array("H")
    # The last sample, its first and its second difference: where the next block goes on.
    last = [0, 0, 0]
    for block, order in enumerate(orders):
        at = block * BLOCK
        codes = [a | b << 8 for a, b in zip(low[at : at + BLOCK], high[at : at + BLOCK], strict=True)]
        values = [(code >> 1) ^ -(code & 1) for code in codes]
        for level in range(order - 1, -1, -1):
            values = list(accumulate(values, initial=last[level]))[1:]
        out.extend([value & 0xFFFF for value in values])
        tail = [((sample + 0x8000) & 0xFFFF) - 0x8000 for sample in out[-3:]]
        c, b, a = (tail[-1], tail[-2], tail[-3]) if len(tail) == 3 else (tail[-1], 0, 0)
        last = [c, c - b, c - 2 * b + a]
    if out.itemsize != 2:  # pragma: no cover - the C standard allows it, no platform does it
        raise RuntimeError("this platform's short is not 16 bits")
    return b"".join(value.to_bytes(2, "little") for value in out) if _BIG_ENDIAN else out.tobytes()


_BIG_ENDIAN = array("H", [1]).tobytes() == b"\x00\x01"
