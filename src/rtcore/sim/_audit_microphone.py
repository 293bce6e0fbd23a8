"""What the microphone gave against what the server was sent: invariant 8 of the audio that goes up, and the part of 12 that
concerns it.

The bytes of ``input_audio_buffer.append`` are exactly those that the program gave: in order, each once, all of them there before
the commit that ends their turn, and none held back longer than two batches. Only what was told as dropped may be missing, and
that is the oldest.
"""

from msgspec import Struct
from msgspec.json import Decoder

from rtcore.sim._ledger import ROUNDING, Ledger
from rtcore.sim.speaker import MILLISECOND

_PER_MS = 48
"""Bytes of a millisecond: the user of a world speaks PCM of 16 bit and 24 kHz."""


class _Append(Struct):
    audio: bytes


_decoder = Decoder(_Append)


class MicrophoneAudit:
    """Owner of the audio that goes up. ``batch_ms`` is how much the core puts into one message
    (``config.microphone.batch_ms``)."""

    def __init__(self, ledger: Ledger, *, batch_ms: int) -> None:
        self._ledger = ledger
        self._longest = 2 * batch_ms * MILLISECOND + ROUNDING
        self._held = bytearray()
        self._held_since = 0
        self._ready = False

    def given(self, pcm: bytes, now: int) -> None:
        """The program is about to give this."""
        if self._held:
            self.check(now)
        else:
            self._held_since = now
        self._held += pcm

    def ready(self) -> None:
        """The session is acknowledged: what was held goes out now."""
        self._ready = True
        self._held_since = self._ledger.now

    def sends(self, kind: str, payload: bytes) -> None:
        """The core sends something about the input buffer."""
        held, ledger = self._held, self._ledger
        if kind == "input_audio_buffer.append":
            audio = _decoder.decode(payload).audio
            if not held.startswith(audio):
                missing = held.find(audio)
                why = f"{missing} bytes before them are missing" if missing > 0 else f"not the next of {len(held)} that it gave"
                ledger.fail(8, f"{len(audio)} bytes of input audio are not as the microphone gave them: {why}")
                del held[: missing if missing > 0 else len(held)]
            del held[: len(audio)]
            self._held_since = ledger.now
        elif kind == "input_audio_buffer.commit":
            if held:
                ledger.fail(8, f"{len(held)} bytes of the turn's audio were not sent before its commit")
                held.clear()
        elif kind == "input_audio_buffer.clear":
            held.clear()

    def dropped(self, ms: int) -> None:
        """The core says that it dropped so much of the oldest."""
        if self._ready:
            self._ledger.fail(8, f"{ms} ms of input audio were dropped although the session was ready")
        del self._held[: ms * _PER_MS]

    def check(self, now: int) -> None:
        """Nothing may be held back for long."""
        if self._ready and self._held and now > self._held_since + self._longest:
            self._held_since = now
            self._ledger.fail(12, f"{len(self._held)} bytes of input audio are held back although the session is ready", now)
