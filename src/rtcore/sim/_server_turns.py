"""Turn detection on the appended audio: a level, a threshold, and no clock but the audio itself (protocol facts, 8; F126).

Audio is judged in frames of 20 ms from a few samples each and then forgotten; only counts are kept. Speech starts after three
loud frames and stops when the session's silence duration has passed in audio.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from rtcore._formats import AudioFormat
from rtcore.sim._rng import Rng
from rtcore.sim._server_g711 import levels

Edge = tuple[Literal["started", "stopped"], int]
"""What was found, and at which millisecond of all audio written in the session."""

_FRAME_MS = 20
_LOUD_FRAMES = 3
# Every 13th sample: 1846 a second see any speech. A prime, so that a tone's period and the step seldom agree.
_STEP = 13
# By the high byte of a sample: how far from zero, 0 to 127.
_DISTANCE = bytes(min(value, 255 - value) for value in range(256))
# How long semantic detection waits at most, by eagerness (8.1); it usually decides sooner.
_PATIENCE_MS = {"low": 8_000, "medium": 4_000, "auto": 4_000, "high": 2_000}


class Detector:
    """Counts the input audio and finds where speech starts and stops. ``forced`` speech ends only by ``force``."""

    def __init__(self, rng: Rng) -> None:
        self.speaking = False
        self.forced = False
        self._rng = rng
        # All audio written in the session, how much of it was judged, and how much of it earlier turns took; in bytes.
        self._written = 0
        self._judged = 0
        self._taken = 0
        self._tail = b""
        self._loud = 0
        self._onset_ms = 0
        self._quiet_ms = 0
        self._patience_ms = 0

    def buffered_ms(self, form: AudioFormat) -> float:
        """How much audio was written since the last commit or clear, in milliseconds."""
        return (self._written - self._taken) / form.bytes_per_ms

    def written_ms(self, form: AudioFormat) -> int:
        """How much audio was written in the session."""
        return self._written // form.bytes_per_ms

    def take_all(self) -> None:
        """The buffer was committed or cleared by the client: it is empty, and nobody is speaking in it."""
        self._taken = self._judged = self._written
        self._tail = b""
        self._silence()

    def switch_off(self) -> None:
        """Turn detection was switched off: whatever was being said, nobody waits for its end."""
        self._silence()

    def take_turn(self) -> None:
        """The turn just found was committed: what was written after it stays in the buffer."""
        self._taken = self._judged

    @property
    def written(self) -> bool:
        """Whether anything was ever appended."""
        return self._written > 0

    def append(self, audio: bytes, form: AudioFormat, detection: Mapping[str, Any] | None) -> Iterator[Edge]:
        """Take appended audio; gives each edge when it is found, so that the caller can answer one before the next is sought."""
        self._written += len(audio)
        if detection is None or self.forced:
            self._judged = self._written
            self._tail = b""
            return
        frame = _FRAME_MS * form.bytes_per_ms
        data = self._tail + audio if self._tail else audio
        whole = len(data) // frame * frame
        self._tail = data[whole:]
        needed = _needed(detection)
        if not self.speaking and not self._loud and _level(data[:whole], form) < needed:
            self._judged += whole
            return
        for at in range(0, whole, frame):
            self._judged += frame
            edge = self._frame(_level(data[at : at + frame], form) >= needed, detection, self._judged // form.bytes_per_ms)
            if edge is not None:
                yield edge

    def _frame(self, loud: bool, detection: Mapping[str, Any], end_ms: int) -> Edge | None:
        if not self.speaking:
            if loud and self._loud == 0:
                self._onset_ms = end_ms - _FRAME_MS
            self._loud = self._loud + 1 if loud else max(0, self._loud - 1)
            if self._loud < _LOUD_FRAMES:
                return None
            self.speaking, self._loud, self._quiet_ms = True, 0, 0
            self._patience_ms = self._draw_patience(detection)
            return "started", max(0, self._onset_ms - detection.get("prefix_padding_ms", 300))
        self._quiet_ms = 0 if loud else self._quiet_ms + _FRAME_MS
        if self._quiet_ms < self._patience_ms:
            return None
        self._silence()
        return "stopped", end_ms

    def _draw_patience(self, detection: Mapping[str, Any]) -> int:
        if detection["type"] == "server_vad":
            return max(_FRAME_MS, int(detection["silence_duration_ms"]))
        longest = _PATIENCE_MS[detection["eagerness"]]
        return self._rng.between(200, longest // 2)

    def force(self, event: Literal["started", "stopped"], form: AudioFormat, detection: Mapping[str, Any]) -> Edge | None:
        """What it would have found; None where nothing changes."""
        if (event == "started") == self.speaking:
            return None
        now_ms = self._written // form.bytes_per_ms
        if event == "started":
            self.speaking = self.forced = True
            self._loud = 0
            return "started", max(0, now_ms - detection.get("prefix_padding_ms", 300))
        self._silence()
        return "stopped", now_ms

    def _silence(self) -> None:
        self.speaking = self.forced = False
        self._loud = self._quiet_ms = 0


def _needed(detection: Mapping[str, Any]) -> int:
    # The default threshold of 0.5 asks for about 3 % of full scale.
    return 1 + int(detection.get("threshold", 0.5) * 6)


def _level(audio: bytes, form: AudioFormat) -> int:
    if form.sample_width == 2:
        return max(audio[1 :: 2 * _STEP].translate(_DISTANCE), default=0)
    table = levels("audio/pcmu" if form.type == "audio/pcmu" else "audio/pcma")
    return max(audio[::_STEP].translate(table), default=0)
