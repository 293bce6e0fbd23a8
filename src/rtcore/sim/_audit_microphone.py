"""What the microphone gave against what the server was sent: invariant 8 of the audio that goes up, and the part of 12 that
concerns it.

The bytes of ``input_audio_buffer.append`` are exactly those that the program gave: in order, each once, all of them there before
the commit that ends their turn, and none held back longer than two batches. Only what was told as dropped may be missing, and
that is the oldest. While the program mutes, it is silence in real time instead, to the sample (F126).
"""

from collections import deque
from typing import Literal

from msgspec import Struct
from msgspec.json import Decoder

from rtcore.sim._ledger import ROUNDING, Ledger
from rtcore.sim.speaker import MILLISECOND

_SECOND = 1_000_000_000
_CADENCE = 250 * MILLISECOND
"""How long the silence of a muted microphone may wait beside its batches."""
_PER_MS = 48
"""Bytes of a millisecond: the user of a world speaks PCM of 16 bit and 24 kHz."""


Heard = Literal["voice", "silence", "either"]
"""What the server has to hear of a piece: it, silence in its place, or one of both."""


class _Append(Struct):
    audio: bytes


_decoder = Decoder(_Append)


class MicrophoneAudit:
    """Owner of the audio that goes up. ``batch_ms`` is how much the core puts into one message
    (``config.microphone.batch_ms``)."""

    def __init__(self, ledger: Ledger, *, batch_ms: int, silences: bool = False) -> None:
        """``silences``: some of it is silenced, because the model is heard (``config.interruption == "half_duplex"``)."""
        self.silences = silences
        self._ledger = ledger
        self._heard: deque[tuple[int, Heard]] = deque()
        """For so many bytes of what is held, in order: what has to become of them."""
        self._longest = 2 * batch_ms * MILLISECOND + ROUNDING
        self._held = bytearray()
        self._held_since = 0
        self._ready = False
        self._muted_at: int | None = None
        self._rate = 0
        self._silence = 0
        """Samples of silence since then."""

    def mutes(self, now: int, rate: int) -> None:
        """The program is about to mute; the session takes so many samples a second."""
        self._muted_at, self._silence, self._rate = now, 0, rate

    def unmutes(self, now: int) -> None:
        """It is about to let the user be heard again."""
        self._go_on_silent(now)
        self._muted_at = None

    def _go_on_silent(self, now: int) -> None:
        """The silence until now is to be sent."""
        if self._muted_at is None:
            return
        # As a session reckons it: from seconds, to the nearest sample.
        samples = int((now / _SECOND - self._muted_at / _SECOND) * self._rate + 0.5)
        if samples > self._silence:
            if not self._held:
                self._held_since = now
            self._held += bytes(2 * (samples - self._silence))
            self._silence = samples

    def given(self, pcm: bytes, now: int, heard: Heard = "voice") -> None:
        """The program is about to give this. ``heard``: the server has to hear it, or silence in its place; or nobody can say."""
        if self._muted_at is not None:
            return
        if self._held:
            self.check(now)
        else:
            self._held_since = now
        self._held += pcm
        if self.silences:
            self._heard.append((len(pcm), heard))
            if pcm.strip(b"\0") and heard == "silence":
                self._ledger.saw("F039: half duplex, the model is heard and not the user")
            elif pcm.strip(b"\0") and heard == "voice":
                self._ledger.saw("F039: half duplex, the model is silent and the user heard")

    def ready(self) -> None:
        """The session is acknowledged: what was held goes out now."""
        self._ready = True
        self._held_since = self._ledger.now

    def sends(self, kind: str, payload: bytes) -> None:
        """The core sends something about the input buffer."""
        held, ledger = self._held, self._ledger
        self._go_on_silent(ledger.now)
        if kind == "input_audio_buffer.append":
            audio = _decoder.decode(payload).audio
            if self.silences:
                self._silenced(audio, held)
            elif not held.startswith(audio):
                missing = held.find(audio)
                why = f"{missing} bytes before them are missing" if missing > 0 else f"not the next of {len(held)} that it gave"
                ledger.fail(8, f"{len(audio)} bytes of input audio are not as the microphone gave them: {why}")
                del held[: missing if missing > 0 else len(held)]
            del held[: len(audio)]
            self._held_since = ledger.now
        elif kind == "input_audio_buffer.commit":
            ledger.commits.append(ledger.commits_sent)
            ledger.commits_sent += 1
            if held:
                ledger.fail(8, f"{len(held)} bytes of the turn's audio were not sent before its commit")
                held.clear()
        elif kind == "input_audio_buffer.clear":
            held.clear()

    def _silenced(self, audio: bytes, held: bytearray) -> None:
        """Piece by piece, as it was given: the voice where nothing sounded, silence where the model did (F039)."""
        at = 0
        while at < len(audio):
            size, heard = self._heard.popleft() if self._heard else (len(audio) - at, "voice")
            piece, given = audio[at : at + size], bytes(held[at : at + size])
            if len(piece) < size:
                self._heard.appendleft((size - len(piece), heard))
            at += len(piece)
            said = given.startswith(piece)
            if not (said or not piece.strip(b"\0")):
                self._ledger.fail(8, f"{len(piece)} bytes of input audio are neither as the microphone gave them nor silence")
            elif heard == "silence" and piece.strip(b"\0"):
                self._ledger.fail(8, f"{len(piece)} bytes of the microphone went to the server while the model was heard")
            elif heard == "voice" and not said:
                self._ledger.fail(8, f"{len(piece)} bytes of the user were kept from the server, and nothing was heard")

    def dropped(self, ms: int) -> None:
        """The core says that it dropped so much of the oldest."""
        if self._ready:
            self._ledger.fail(8, f"{ms} ms of input audio were dropped although the session was ready")
        del self._held[: ms * _PER_MS]

    def check(self, now: int) -> None:
        """Nothing may be held back for long."""
        if self._muted_at is not None:
            if self._ready and now > max(self._held_since, self._muted_at) + self._longest + _CADENCE:
                self._held_since = now
                self._ledger.fail(12, "the microphone is muted, and the server gets no silence in its place", now)
        elif self._ready and self._held and now > self._held_since + self._longest:
            self._held_since = now
            self._ledger.fail(12, f"{len(self._held)} bytes of input audio are held back although the session is ready", now)
