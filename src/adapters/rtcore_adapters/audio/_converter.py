"""From the format that is handed over to the one that a line speaks, and back in the counts."""

from rtcore import AudioFormat
from rtcore_adapters.audio._g711 import decode, encode
from rtcore_adapters.audio._resampler import Resampler


class Converter:
    """A stream of ``source`` as a stream of ``target``. The same format passes through untouched.

    Raises ``ModuleNotFoundError``, which names the extra, where the rates differ and ``soxr`` is not installed.
    """

    def __init__(self, source: AudioFormat, target: AudioFormat) -> None:
        self._source, self._target = source, target
        self._resampler = None if source == target else Resampler(source.rate, target.rate)

    def push(self, pcm: bytes | memoryview) -> bytes:
        """Whole samples in, whole samples out: those that the filter does not hold back."""
        if self._resampler is None:
            return bytes(pcm)
        return encode(self._resampler.push(decode(pcm, self._source)), self._target)

    def drain(self) -> bytes:
        """What was held back."""
        return b"" if self._resampler is None else encode(self._resampler.drain(), self._target)

    def source_samples(self, samples: int) -> int:
        """How many samples of ``source`` the first ``samples`` of ``target`` stand for, floored; to be asked with rising ones."""
        return samples if self._resampler is None else self._resampler.source(samples)
