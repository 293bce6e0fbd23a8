"""A microphone whose frames come from elsewhere: a telephone's media messages, a browser, another process."""

from typing import Literal

from rtcore import PCM16_24K, AudioFormat
from rtcore_adapters.audio._converter import Converter
from rtcore_adapters.audio._interface import MicrophoneSink


class PushMicrophone:
    """A ``Microphone`` that delivers what it is pushed.

    ``format`` is what it delivers and has to be the session's input format. ``source`` is what it is pushed (default: the same);
    where the two differ it is converted, and for another rate that needs ``soxr``. ``push`` and ``detected`` may be called on any
    thread, but ``push`` on one at a time. What is pushed before the conversation begins or after it ended is dropped.
    """

    def __init__(self, format: AudioFormat = PCM16_24K, *, source: AudioFormat | None = None) -> None:
        self.position = 0
        """Samples delivered until now."""
        self._format = format
        self._source = source or format
        self._converter = Converter(self._source, format)
        self._sink: MicrophoneSink | None = None

    @property
    def format(self) -> AudioFormat:
        """What its frames are."""
        return self._format

    @property
    def deadline(self) -> float | None:
        """None: the program brings the frames."""
        return None

    def open(self, sink: MicrophoneSink, *, now: float) -> None:
        """Deliver from now on."""
        self._sink = sink

    def tick(self, *, now: float) -> None:
        """Nothing is due, ever."""

    def close(self, *, now: float) -> None:
        """Stop."""
        self._sink = None

    def push(self, pcm: bytes | memoryview) -> None:
        """Audio as it came in: whole samples in ``source``, in frames of any length."""
        if len(pcm) % self._source.sample_width:
            raise ValueError(f"pcm: {len(pcm)} bytes are not whole samples of {self._source.type}")
        if (sink := self._sink) is None:
            return
        if frame := self._converter.push(pcm):
            self.position += len(frame) // self._format.sample_width
            sink.audio(frame)

    def detected(self, event: Literal["started", "stopped"]) -> None:
        """A detector beside the line heard speech begin or end."""
        if (sink := self._sink) is not None:
            sink.speech(event)
