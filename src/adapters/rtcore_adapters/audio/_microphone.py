"""Microphones without a device: speech from files or memory at real speed, and silence while nobody speaks.

Frame ``n`` is delivered at ``opened + (n + 1) * frame``, when its last sample has been spoken, so nothing drifts.
"""

from rtcore import PCM16_24K, AudioFormat
from rtcore_adapters.audio._g711 import silence
from rtcore_adapters.audio._interface import MicrophoneSink
from rtcore_adapters.audio._wav import Path, load_wav

_HAIR = 1e-6  # of a frame: sums of floats may fall just short of the instant they mean
_BEHIND = 1.0  # seconds of frames that a late wake-up still delivers; a device's buffer holds no more either


class SilentMicrophone:
    """A ``Microphone`` in a quiet room: silence in frames of ``frame_ms``. Turn detection needs it to hear that speech ended."""

    def __init__(self, *, format: AudioFormat = PCM16_24K, frame_ms: int = 20) -> None:
        if not 1 <= frame_ms <= 1000:
            raise ValueError(f"frame_ms={frame_ms}: between 1 and 1000")
        self.position = 0
        """Samples delivered until now; their time is ``opened + position / format.rate``."""
        self.skipped = 0
        """Samples that were never delivered because the program slept for longer than a second."""
        self._format = format
        self._frame = frame_ms / 1000
        self._samples = format.samples(frame_ms)
        self._sink: MicrophoneSink | None = None
        self._opened = 0.0
        self._frames = 0

    @property
    def format(self) -> AudioFormat:
        """What its frames are."""
        return self._format

    @property
    def deadline(self) -> float | None:
        """When the next frame is complete."""
        return None if self._sink is None else self._opened + (self._frames + 1) * self._frame

    def open(self, sink: MicrophoneSink, *, now: float) -> None:
        """Deliver from now on."""
        self._sink, self._opened = sink, now

    def tick(self, *, now: float) -> None:
        """Deliver the frames that are complete by now."""
        if self._sink is None:
            return
        due = int((now - self._opened) / self._frame + _HAIR)
        if (late := due - self._frames - int(_BEHIND / self._frame)) > 0:
            self._frames += late
            self.skipped += late * self._samples
        for _ in range(self._frames, due):
            self._frames += 1
            self.position += self._samples
            self._deliver(self._next(self._samples))

    def close(self, *, now: float) -> None:
        """Stop."""
        self._sink = None

    def _deliver(self, frame: bytes) -> None:
        if self._sink is not None:  # a frame may have ended the session, and with it the microphone
            self._sink.audio(frame)

    def _next(self, samples: int) -> bytes:
        return silence(self._format, samples)


class WavMicrophone(SilentMicrophone):
    """A ``Microphone`` that says what it is told to: a clip from the start, others by ``say``, silence in between.

    A clip is a WAV file's path (see ``load_wav``; ``AudioFileError`` where it cannot be used) or audio in ``format``.
    """

    def __init__(self, clip: Path | bytes | None = None, *, format: AudioFormat = PCM16_24K, frame_ms: int = 20) -> None:
        super().__init__(format=format, frame_ms=frame_ms)
        self._words = bytearray()
        if clip is not None:
            self.say(clip)

    @property
    def speaking(self) -> bool:
        """Whether something is left to say."""
        return bool(self._words)

    def say(self, clip: Path | bytes) -> float:
        """Speak a clip behind what is left to say, from the next frame on; gives back its length in seconds."""
        pcm = clip if isinstance(clip, bytes) else load_wav(clip, self._format)
        if len(pcm) % self._format.sample_width:
            raise ValueError(f"{len(pcm)} bytes are not whole samples of {self._format.type}")
        self._words += pcm
        return self._format.seconds(len(pcm) // self._format.sample_width)

    def hush(self) -> None:
        """Stop speaking in mid-word; what was left is never said."""
        self._words.clear()

    def _next(self, samples: int) -> bytes:
        size = samples * self._format.sample_width
        said = bytes(self._words[:size])
        del self._words[:size]
        return said + silence(self._format, (size - len(said)) // self._format.sample_width)
