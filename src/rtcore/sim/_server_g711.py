"""G.711 by integer arithmetic: one table per law, from a 16 bit sample (as an unsigned index) to its code.

Written from ITU-T G.711: mu-law in 14 bits with a bias of 33, A-law in 13 bits; both as eight segments
of sixteen steps, inverted as the standard says.
"""

from typing import Literal

Law = Literal["audio/pcmu", "audio/pcma"]


def _ulaw(sample: int) -> int:
    magnitude = min(abs(sample >> 2), 8_158) + 33
    segment = magnitude.bit_length() - 6
    step = magnitude >> (segment + 1) & 0x0F
    return ~((0x80 if sample < 0 else 0) | segment << 4 | step) & 0xFF


def _alaw(sample: int) -> int:
    sign = 0x80 if sample >= 0 else 0
    magnitude = min(sample if sample >= 0 else ~sample, 32_767)
    if magnitude < 256:
        code = magnitude >> 4
    else:
        segment = magnitude.bit_length() - 8
        code = segment << 4 | (magnitude >> (segment + 3) & 0x0F)
    return (code | sign) ^ 0x55


_TABLES: dict[str, bytes] = {}


def codes(law: Law) -> bytes:
    """The code of each 16 bit sample, indexed by ``sample & 0xFFFF``; made at the first use."""
    if law not in _TABLES:
        encode = _ulaw if law == "audio/pcmu" else _alaw
        _TABLES[law] = bytes(encode(index - 0x10000 if index & 0x8000 else index) for index in range(0x10000))
    return _TABLES[law]


_LEVELS: dict[str, bytes] = {}


def levels(law: Law) -> bytes:
    """How far from zero each code is: 0 for silence, 127 for full scale; made at the first use."""
    if law not in _LEVELS:
        table = codes(law)
        loudness = bytearray(256)
        for index in range(0x10000):
            loudness[table[index]] = min(127, abs(index - 0x10000 if index & 0x8000 else index) >> 8)
        _LEVELS[law] = bytes(loudness)
    return _LEVELS[law]
