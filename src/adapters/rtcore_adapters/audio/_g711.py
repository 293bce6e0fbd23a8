"""G.711 as tables: telephone audio to PCM16 and back (ITU-T G.711). One byte a sample, 8000 samples a second."""

import sys
from array import array

from rtcore import AudioFormat


def _ulaw_sample(code: int) -> int:
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def _alaw_sample(code: int) -> int:
    code ^= 0x55
    segment = (code & 0x70) >> 4
    magnitude = ((code & 0x0F) << 4) + 8
    if segment:
        magnitude = (magnitude + 0x100) << (segment - 1)
    return magnitude if code & 0x80 else -magnitude


_DECODED = {
    "audio/pcmu": [_ulaw_sample(code) for code in range(256)],
    "audio/pcma": [_alaw_sample(code) for code in range(256)],
}


def _encoder(decoded: list[int]) -> bytes:
    """For each PCM16 sample, by its upper 14 bits (mu-law keeps no more), the code that sounds nearest."""
    codes = sorted(range(256), key=lambda code: decoded[code])
    table = bytearray()
    at = 0
    for sample in range(-32768, 32768, 4):
        while at < 255 and abs(decoded[codes[at + 1]] - sample - 2) <= abs(decoded[codes[at]] - sample - 2):
            at += 1
        table.append(codes[at])
    return bytes(table)


_ENCODED = {name: _encoder(decoded) for name, decoded in _DECODED.items()}


def silence(format: AudioFormat, samples: int) -> bytes:
    """``samples`` samples of silence in ``format``."""
    quiet = {"audio/pcm": b"\0\0", "audio/pcmu": b"\xff", "audio/pcma": b"\xd5"}[format.type]
    return quiet * samples


def decode(data: bytes | memoryview, format: AudioFormat) -> bytes:
    """Audio of ``format`` as PCM16, little endian, at the same rate."""
    if format.type == "audio/pcm":
        return bytes(data)
    table = _DECODED[format.type]
    return _little(array("h", [table[code] for code in bytes(data)]))


def encode(pcm: bytes, format: AudioFormat) -> bytes:
    """PCM16, little endian, as audio of ``format`` at the same rate."""
    if format.type == "audio/pcm":
        return pcm
    table = _ENCODED[format.type]
    return bytes(table[(sample + 32768) >> 2] for sample in _samples(pcm))


def resampled(pcm: bytes, samples: int) -> bytes:
    """PCM16 held to another number of samples: each repeated or left out, as a telephone line sounds. Not for measuring."""
    source = _samples(pcm)
    if len(source) == samples:
        return pcm
    return _little(array("h", [source[at * len(source) // samples] for at in range(samples)]))


def _samples(pcm: bytes) -> "array[int]":
    samples = array("h")
    samples.frombytes(pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _little(samples: "array[int]") -> bytes:
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()
