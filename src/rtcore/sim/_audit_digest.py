"""The digest of a world: of every byte that the session sent and every effect, with its time (invariant 14)."""

from collections.abc import Sequence
from zlib import adler32, crc32

import msgspec

from rtcore._effects import Effect, Play, Send

_AT_A_TIME = 64
"""So many pieces are digested at a time."""

_encode = msgspec.json.Encoder().encode


class Digest:
    """What a session did, as a number. Same seed, same digest."""

    def __init__(self, seed: int) -> None:
        self._blocks: list[bytes | memoryview] = []
        begin = seed.to_bytes(8, "big", signed=True)
        self._crc = crc32(begin)
        self._adler = adler32(begin)

    def add(self, effects: Sequence[Effect], now: int) -> None:
        """A call of the session gave these, at ``now`` in nanoseconds."""
        blocks = self._blocks
        blocks.append(now.to_bytes(8, "big"))
        for effect in effects:
            kind = type(effect)
            blocks.append(b"\x00")
            if kind is Play:
                blocks.append(effect.pcm)  # type: ignore[union-attr]  # a Play, as the line above says
            elif kind is Send:
                blocks.append(effect.payload)  # type: ignore[union-attr]  # a Send
            else:
                blocks.append(kind.__name__.encode() + _encode(effect))
        if len(blocks) > _AT_A_TIME:
            self._fold()

    @property
    def value(self) -> str:
        """Of everything until now, as 16 hexadecimal digits."""
        self._fold()
        return f"{self._crc:08x}{self._adler:08x}"

    def _fold(self) -> None:
        block = b"".join(self._blocks)
        self._blocks.clear()
        self._crc = crc32(block, self._crc)
        self._adler = adler32(block, self._adler)
