"""A person in front of a microphone who begins to speak exactly when told: recorded speech, silence before, between and after.

The server's detector hears speech in its third loud frame (``rtcore.sim``), so a clip begins with a loud one, and a person who is
to be heard at an instant begins two frames earlier. What was said is kept, with its times, for the picture.
"""

from msgspec import Struct

from rtcore import PCM16_24K, AudioFormat
from rtcore.sim.voices import SAMPLES_PER_MS, Voice
from rtcore_adapters.audio import MicrophoneSink

FRAME_MS = 20
"""A frame of the microphone, and of the detector."""

FRAMES_TO_HEAR = 3
"""So many loud frames in a row are speech."""

_FRAME_BYTES = FRAME_MS * PCM16_24K.bytes_per_ms
_FRAME_S = FRAME_MS / 1000
_LOUD = 24  # of 128: far above any detector's threshold
_HAIR = 1e-6


class Utterance(Struct, frozen=True):
    """Something the person said: when it began (``now`` seconds), and its samples."""

    at: float
    pcm: bytes

    @property
    def until(self) -> float:
        """When it ended."""
        return self.at + PCM16_24K.seconds(len(self.pcm) // PCM16_24K.sample_width)


class Person:
    """A ``Microphone`` at real speed. ``say`` speaks; everything else is a quiet room."""

    def __init__(self) -> None:
        self.said: list[Utterance] = []
        self._sink: MicrophoneSink | None = None
        self._next = 0.0
        self._clip = b""
        self._begin = 0.0

    @property
    def format(self) -> AudioFormat:
        """PCM16, 24 kHz."""
        return PCM16_24K

    @property
    def speaking(self) -> bool:
        """Whether something is left to say."""
        return bool(self._clip)

    @property
    def deadline(self) -> float | None:
        """When the next frame is complete."""
        return None if self._sink is None else self._next

    def open(self, sink: MicrophoneSink, *, now: float) -> None:
        """Deliver from now on."""
        self._sink, self._next = sink, now + _FRAME_S

    def say(self, clip: bytes, *, heard_at: float, now: float) -> None:
        """Speak so that the detector finds it at ``heard_at``, or as soon as possible. The clip begins loud.

        Frames arrive a little later from here on (less than one frame): like any device's, their phase is nobody's choice.
        """
        self._clip = clip
        third = max(heard_at, now + FRAMES_TO_HEAR * _FRAME_S)
        self._begin = third - (FRAMES_TO_HEAR - 1) * _FRAME_S
        self._next += (self._begin - self._next) % _FRAME_S

    def tick(self, *, now: float) -> None:
        """Deliver the frames that are complete by now."""
        while self._sink is not None and self._next <= now + _HAIR:
            at, self._next = self._next, self._next + _FRAME_S
            self._sink.audio(self._frame(at))

    def close(self, *, now: float) -> None:
        """Stop."""
        self._sink = None

    def _frame(self, at: float) -> bytes:
        if not self._clip or at < self._begin - _HAIR:
            return bytes(_FRAME_BYTES)
        if not self.said or self.said[-1].until < at - _FRAME_S - _HAIR:
            self.said.append(Utterance(at - _FRAME_S, b""))
        frame, self._clip = self._clip[:_FRAME_BYTES], self._clip[_FRAME_BYTES:]
        self.said[-1] = Utterance(self.said[-1].at, self.said[-1].pcm + frame)
        return frame + bytes(_FRAME_BYTES - len(frame))


def clip(voice: Voice, length_ms: int) -> bytes:
    """The beginning of a recording, from its first loud frames on, to the end of the last word that fits; PCM16, 24 kHz."""
    start = 0
    while not _loud(voice.pcm, start):
        start += _FRAME_BYTES
    limit = start // (2 * SAMPLES_PER_MS) + length_ms
    end = max((word.sound_end_ms for word in voice.words if word.sound_end_ms <= limit), default=limit)
    return voice.pcm[start : end * 2 * SAMPLES_PER_MS]


def stutter(speech: bytes) -> bytes:
    """The same after a false start: three loud frames, one of silence."""
    return speech[: FRAMES_TO_HEAR * _FRAME_BYTES] + bytes(_FRAME_BYTES) + speech


def _loud(pcm: bytes, at: int) -> bool:
    """Whether so many frames from here on are loud that a detector hears them. ValueError where nothing is."""
    frames = [pcm[at + n * _FRAME_BYTES : at + (n + 1) * _FRAME_BYTES] for n in range(FRAMES_TO_HEAR)]
    if len(frames[-1]) < _FRAME_BYTES:
        raise ValueError("this recording is too quiet to interrupt anybody")
    # The high byte of a sample, as its distance from zero: 0 to 127.
    return all(max(min(high, 255 - high) for high in frame[1::2]) >= _LOUD for frame in frames)
