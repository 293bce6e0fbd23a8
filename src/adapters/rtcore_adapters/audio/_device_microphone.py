"""A sound card as a microphone: the device's callback writes a ring, ``tick`` makes whole frames of it."""

import logging

from rtcore import PCM16_24K, AudioFormat
from rtcore_adapters.audio._device_speaker import check_settings
from rtcore_adapters.audio._g711 import encode
from rtcore_adapters.audio._host import Callback, Device, Host, Latency, opened
from rtcore_adapters.audio._interface import MicrophoneSink
from rtcore_adapters.audio._resampler import Resampler
from rtcore_adapters.audio._ring import InputRing
from rtcore_adapters.audio._watch import Line, Spawn, Watch, in_a_thread

_POLL_S = 0.010
_RING_S = 2.0  # a program that is busy for longer misses what is said meanwhile

_log = logging.getLogger("rtcore.devices")


class DeviceMicrophone:
    """See ``rtcore_adapters.audio.device``, where it gets its ``host``."""

    def __init__(
        self,
        host: Host,
        device: int | str | None = None,
        *,
        format: AudioFormat = PCM16_24K,
        rate: int | None = None,
        latency: Latency = "low",
        frame_ms: int = 20,
        block_ms: int = 10,
        spawn: Spawn = in_a_thread,
    ) -> None:
        check_settings(rate, latency, block_ms)
        if not 1 <= frame_ms <= 1000:
            raise ValueError(f"frame_ms={frame_ms}: between 1 and 1000")
        self._host, self._rate, self._latency, self._block_ms = host, rate, latency, block_ms
        self._format = format
        self._frame = 2 * format.samples(frame_ms)
        self._watch: Watch[InputRing] = Watch(host, "input", device, self._connect, spawn)
        self._sink: MicrophoneSink | None = None
        self._opened = self._closed = False
        self._polled = 0.0
        self._resampler: Resampler | None = None
        self._heard = bytearray()  # PCM16 at the format's rate, less than a frame
        self._dropped = 0  # frames of this device that were told
        self._lost_at = 0.0
        self.position = 0
        """Samples delivered until now."""
        self.skipped = 0
        """Samples that were never delivered, because the device was away or the program was busy for seconds."""
        self.lost = 0
        """Times the device was lost."""
        self._past_xruns = 0

    @property
    def format(self) -> AudioFormat:
        """What its frames are."""
        return self._format

    @property
    def device(self) -> Device:
        """The device that is open, was open last, or will be opened."""
        return self._watch.last

    @property
    def rate(self) -> int:
        """The device's samples per second; 0 while none is open."""
        return self._watch.line.stream.rate if self._watch.line is not None else 0

    @property
    def xruns(self) -> int:
        """Times the sound system said that it had run over: something of what was said is missing."""
        return self._past_xruns + (self._watch.line.ring.xruns if self._watch.line is not None else 0)

    @property
    def deadline(self) -> float | None:
        """The next look at the device."""
        if self._sink is None:
            return None
        if self._watch.line is not None:
            return self._polled + _POLL_S
        return self._watch.due

    def open(self, sink: MicrophoneSink, *, now: float) -> None:
        """Open the device and deliver from now on. Raises ``DeviceError``."""
        if self._opened:
            raise RuntimeError("this microphone was opened before: one microphone serves one conversation")
        line = self._watch.open(now=now)
        try:
            self._begin(line)
        except ImportError:
            self._watch.close()
            raise
        self._opened, self._sink, self._polled = True, sink, now

    def switch(self, device: int | str | None) -> None:
        """Listen with another device (an index, a name, a part of one; None: the default). It takes effect with the next ticks;
        until the other is open, and if it cannot be, the present one goes on. Raises ``DeviceError`` where there is no such
        device. May be called from any thread.
        """
        self._watch.switch(device)

    def tick(self, *, now: float) -> None:
        """Deliver the frames that are complete."""
        if self._sink is None:
            return
        self._polled = now
        line = self._watch.line
        match self._watch.tick(now=now):
            case "lost" if line is not None:
                self._leave(line)
                self.lost += 1
                self._lost_at = now
            case "ready" if self._watch.line is not None:
                away = round((now - self._lost_at) * self._format.rate)
                self.skipped += away
                _log.warning("the microphone is back; %.1f s of it were missed", away / self._format.rate)
                self._begin(self._watch.line)
            case _:
                pass
        if self._watch.offered is not None and self._watch.line is not None:
            self._take(self._watch.line)
            self._leave(self._watch.line)
            self._begin(self._watch.adopt(now=now))
        if self._watch.line is not None:
            self._take(self._watch.line)
        self._deliver()

    def close(self, *, now: float) -> None:
        """Stop, and let the device go."""
        self._sink = None
        self._watch.close()

    # -- the device --------------------------------------------------------------------------------------------------------------

    def _connect(self, device: Device) -> Line[InputRing]:
        rings: list[InputRing] = []

        def ring(rate: int, channels: int) -> Callback:
            rings.append(InputRing(int(rate * _RING_S), 2 * channels))
            return rings[-1].put

        stream = opened(self._host, "input", device, rate=self._rate, block_ms=self._block_ms, latency=self._latency, ring=ring)
        try:
            stream.start()
        except BaseException:
            stream.close()
            raise
        return Line(device, stream, rings[-1])

    def _begin(self, line: Line[InputRing]) -> None:
        self._resampler = Resampler(line.stream.rate, self._format.rate)
        self._dropped = 0

    def _leave(self, line: Line[InputRing]) -> None:
        """What a resampler holds back was said right before the device went."""
        self._past_xruns += line.ring.xruns
        if self._resampler is not None:
            self._heard += self._resampler.drain()

    # -- what it heard -----------------------------------------------------------------------------------------------------------

    def _take(self, line: Line[InputRing]) -> None:
        ring = line.ring
        pcm = memoryview(ring.take())
        if line.stream.channels > 1:
            pcm = memoryview(pcm.cast("h")[:: line.stream.channels].tobytes())  # the first channel
        assert self._resampler is not None
        self._heard += self._resampler.push(pcm)
        if (dropped := ring.dropped - self._dropped) > 0:
            self._dropped += dropped
            self.skipped += dropped * self._format.rate // line.stream.rate
            _log.warning("the program was busy: %.1f s of the microphone were missed", dropped / line.stream.rate)

    def _deliver(self) -> None:
        while len(self._heard) >= self._frame:
            frame = bytes(self._heard[: self._frame])
            del self._heard[: self._frame]
            if self._sink is None:  # a frame may have ended the session, and with it the microphone
                return
            self.position += self._frame // 2
            self._sink.audio(encode(frame, self._format))
