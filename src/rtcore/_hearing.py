"""What of the user does the server get to hear? All of it; silence while the microphone is muted, or, half duplex, while the
model is heard.

A server's turn detection has no clock but the audio (F126): where nothing came, speech that had begun would never end, and no
turn with it. So while it listens for turns it is given silence of the same length. Where turns are the program's, it is given
nothing.
"""

from rtcore._core import Core
from rtcore._requests import Pending
from rtcore._wire import Clear

_TIMER = "silence of a muted microphone"
_CADENCE_MS = 100
"""So often at most a muted microphone's silence is sent."""
_MOST_MS = 10_000
"""So much of it at once: what a program that slept for longer owes, nobody misses."""
_ZERO = {"audio/pcm": b"\x00", "audio/pcmu": b"\xff", "audio/pcma": b"\xd5"}
"""A byte of silence (G.711: the code of the smallest amplitude)."""


class Hearing:
    """Owner of: what of the user is heard?"""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._half_duplex = core.config.interruption == "half_duplex"
        self._tail = core.config.barge_in.tail_ms / 1000
        self.muted = False
        self._since = 0.0
        self._written = 0

    def said(self, pcm: bytes) -> bytes:
        """What goes to the server of what the microphone gave."""
        if self.muted:
            return b""  # its silence goes by time, whether or not a microphone runs
        if not self._half_duplex or not self._model_is_heard:
            return pcm
        return self._silence(len(pcm)) if self._core.acknowledged.detects_turns else b""

    @property
    def _model_is_heard(self) -> bool:
        """From the hand-over of a sample, which is before it sounds, to a tail after the last one; and while a flush is
        unanswered, because the device may still sound (F039). A button that is down ends the tail: the room's last echo passes
        for no turn there, and the person's first words are not to be missing.
        """
        playout = self._core.playout
        if playout.flushing or (playout.unconfirmed and not playout.held):
            return True
        tail = 0.0 if self._core.microphone.pressed else self._tail
        return playout.heard > 0 and self._core.now < playout.sounded_at + tail

    def _silence(self, size: int) -> bytes:
        return _ZERO[self._core.microphone.format.type] * size

    def mute(self) -> None:
        """From now on silence; under manual turns nothing, and what was not committed is thrown away."""
        core = self._core
        if self.muted:
            return
        self.muted = True
        self._since, self._written = core.now, 0
        if core.acknowledged.detects_turns:
            self._arm()
        elif core.microphone.uncommitted:
            core.microphone.clear()
            core.timers.cancel("microphone batch")
            event_id = core.requests.event_id()
            core.send(Clear(event_id), pending=Pending(event_id, "clear"), wait_ms=core.config.timeouts.edit_ms)

    def unmute(self) -> None:
        """The user is heard again."""
        if self.muted:
            self._fill(rest=True)
            self.muted = False
            self._core.timers.cancel(_TIMER)

    def due(self) -> None:
        """Time has passed in silence."""
        self._fill(rest=False)
        self._arm()

    def _arm(self) -> None:
        core = self._core
        core.timers.set(_TIMER, core.now + max(_CADENCE_MS, core.config.microphone.batch_ms) / 1000)

    def _fill(self, *, rest: bool) -> None:
        """The silence since the last time, to the sample."""
        core = self._core
        form = core.microphone.format
        samples = int((core.now - self._since) * form.rate + 0.5) - self._written
        if samples <= 0:
            return
        self._written += samples
        if core.ready and core.acknowledged.detects_turns:
            most = form.samples(_MOST_MS)
            core.microphone.append(self._silence(min(samples, most) * form.sample_width), core.now, held=not core.ready)
            core.send_microphone(rest=rest)
