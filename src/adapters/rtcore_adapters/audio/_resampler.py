"""Mono PCM16 from one rate to another, and which samples of the source have come out.

The filter (``soxr``) looks ahead, so it holds the last tens of milliseconds back until more comes or ``drain`` says that nothing
does. What came out is in step with what was put in: sample ``k`` of the output stands at ``k * source_rate / target_rate`` of the
source. Where the rates are equal nothing is changed, held back, or needed.
"""

from collections import deque
from importlib import import_module

from rtcore_adapters._extras import missing


class _Section:
    """From the first sample after a drain to the next drain: where it begins, and how much went in and came out."""

    __slots__ = ("ended", "out", "out_from", "put", "put_from")

    def __init__(self, put_from: int, out_from: int) -> None:
        self.put_from, self.out_from = put_from, out_from
        self.put = self.out = 0
        self.ended = False


class Resampler:
    """A stream of mono PCM16 (little endian) at ``source_rate`` as a stream at ``target_rate``.

    Raises ``ModuleNotFoundError``, which names the extra, where the rates differ and ``soxr`` is not installed.
    """

    def __init__(self, source_rate: int, target_rate: int) -> None:
        for name, rate in (("source_rate", source_rate), ("target_rate", target_rate)):
            if not 1000 <= rate <= 768_000:
                raise ValueError(f"{name}={rate}: between 1000 and 768000 samples a second")
        self.source_rate = source_rate
        self.target_rate = target_rate
        self._filter = None if source_rate == target_rate else _Filter(source_rate, target_rate)
        self._sections: deque[_Section] = deque([_Section(0, 0)])

    @property
    def put(self) -> int:
        """Samples put in since the last ``clear``."""
        return self._sections[-1].put_from + self._sections[-1].put

    @property
    def out(self) -> int:
        """Samples that came out since the last ``clear``."""
        return self._sections[-1].out_from + self._sections[-1].out

    def push(self, pcm: bytes | memoryview) -> bytes:
        """What comes out when these whole samples go in: more or less than they are, and nothing at first."""
        if len(pcm) % 2:
            raise ValueError(f"{len(pcm)} bytes are not whole samples of PCM16")
        section = self._sections[-1]
        if section.ended:
            section = _Section(self.put, self.out)
            self._sections.append(section)
        section.put += len(pcm) // 2
        return self._came(bytes(pcm) if self._filter is None else self._filter.push(pcm))

    def drain(self) -> bytes:
        """The tail: what was held back. What is pushed afterwards begins anew, without an echo of what came before."""
        section = self._sections[-1]
        if section.ended or not section.put:
            return b""
        tail = self._came(b"" if self._filter is None else self._filter.drain())
        section.ended = True
        return tail

    def clear(self) -> None:
        """Forget what is held back, and count from 0 again."""
        if self._filter is not None:
            self._filter.clear()
        self._sections = deque([_Section(0, 0)])

    def source(self, out: int) -> int:
        """How many source samples the first ``out`` samples of the output stand for, floored; all of them at a drained end.

        Never more than were put in. May be asked with rising ``out`` only: what lies behind is forgotten.
        """
        sections = self._sections
        while len(sections) > 1 and sections[1].out_from <= out:
            sections.popleft()
        section = sections[0]
        if section.ended and out >= section.out_from + section.out:
            return section.put_from + section.put
        came = max(0, out - section.out_from) * self.source_rate // self.target_rate
        return section.put_from + min(section.put, came)

    def _came(self, pcm: bytes) -> bytes:
        self._sections[-1].out += len(pcm) // 2
        return pcm


class _Filter:
    """``soxr``, which wants arrays."""

    def __init__(self, source_rate: int, target_rate: int) -> None:
        try:
            self._numpy = import_module("numpy")
            soxr = import_module("soxr")
        except ModuleNotFoundError as error:
            raise missing(f"to change {source_rate} Hz into {target_rate} Hz", error.name, "audio") from None
        self._stream = soxr.ResampleStream(source_rate, target_rate, 1, dtype="int16", quality="HQ")

    def push(self, pcm: bytes | memoryview, *, last: bool = False) -> bytes:
        samples = self._numpy.frombuffer(pcm, dtype="<i2").astype("=i2", copy=False)
        return bytes(self._stream.resample_chunk(samples, last=last).astype("<i2", copy=False).tobytes())

    def drain(self) -> bytes:
        tail = self.push(b"", last=True)
        self._stream.clear()
        return tail

    def clear(self) -> None:
        self._stream.clear()
