"""Audio formats and the one place where samples become milliseconds.

Three measures exist and are never mixed: bytes (what the wire carries), samples (what was heard; the only measure the core
counts in) and integer milliseconds (what the wire's ``*_ms`` fields speak). Milliseconds are always floored: a truncate that
names one millisecond more than the server holds is refused (protocol facts, 5.6), one less is not.
"""

from typing import Literal

from msgspec import Struct

FormatType = Literal["audio/pcm", "audio/pcmu", "audio/pcma"]


class AudioFormat(Struct, frozen=True):
    """A mono audio encoding: its GA name on the wire and its rate in samples per second.

    ``audio/pcm`` is signed 16 bit little endian (2 bytes a sample); ``audio/pcmu`` and ``audio/pcma`` are G.711 (1 byte).
    """

    type: FormatType
    rate: int

    @property
    def sample_width(self) -> int:
        """Bytes per sample."""
        return 2 if self.type == "audio/pcm" else 1

    @property
    def bytes_per_ms(self) -> int:
        """Bytes per millisecond: 48 for PCM16 at 24 kHz, 8 for G.711 (C22)."""
        return self.rate * self.sample_width // 1000

    def ms(self, samples: int) -> int:
        """Whole milliseconds in ``samples``, floored (C08, F011)."""
        return samples * 1000 // self.rate

    def samples(self, ms: int) -> int:
        """Samples in ``ms`` milliseconds."""
        return ms * self.rate // 1000

    def seconds(self, samples: int) -> float:
        """Seconds that ``samples`` take to sound."""
        return samples / self.rate


PCM16_24K = AudioFormat("audio/pcm", 24_000)
"""PCM16 at 24 kHz: what servers of this protocol speak by default, 48 bytes per ms."""
PCMU = AudioFormat("audio/pcmu", 8_000)
"""G.711 mu-law at 8 kHz, 8 bytes per ms."""
PCMA = AudioFormat("audio/pcma", 8_000)
"""G.711 A-law at 8 kHz, 8 bytes per ms."""
