"""A sound card as an audio clock.

Audio waits in ``Sounding``, is written to a ring, and the device's callback takes it from there, block by block, and notes for
each block when it will sound. ``tick`` compares those times with the stream's clock: what has sounded by now is what was heard.
Nothing but the callback runs in the device's thread, and the callback touches nothing but the ring.

A flush takes effect with the next block. What the device took before still sounds (its latency); the answer waits for that, so
its count is exact to the sample, whatever the time stamps are worth: it is what the device took. To throw away the device's own
buffer instead would save the person that much old speech, but costs a restart of the device (tens to hundreds of ms, a click) and
leaves a count that nobody knows.
"""

import math
from collections import deque
from collections.abc import Callable

from msgspec import Struct

from rtcore import PCM16_24K, AudioFormat, Clock
from rtcore_adapters.audio._host import Callback, Device, Host, Latency, Stream, opened
from rtcore_adapters.audio._interface import SpeakerReports
from rtcore_adapters.audio._resampler import Resampler
from rtcore_adapters.audio._ring import Block, OutputRing
from rtcore_adapters.audio._sounding import Sounding
from rtcore_adapters.audio._watch import Line, Spawn, Watch, in_a_thread

Tap = Callable[[bytes, int, float], object]
"""Gets PCM16 in mono that has just become audible, samples per second, and when the first of them sounded (``now`` seconds)."""

_POLL_S = 0.010  # while something sounds
_IDLE_S = 0.5  # while nothing does: a device that vanishes in silence is missed before it is needed
_RING_S = 2.0  # of audio ahead of the device: a program that is busy for so long is not heard to be
_MOVE_S = 1.0  # a device that was left gets so long to sound what it took
_HAIR = 1e-6  # of a frame: sums of floats may fall just short of the instant they mean


class SpeakerCounts(Struct, frozen=True):
    """What went wrong with a device so far."""

    xruns: int = 0
    """Times the sound system said that it had run dry: the callback came too late, something sounded chopped."""
    starved: int = 0
    """Times the ring was empty although audio waited: the program was busy for longer than the ring lasts."""
    underruns: int = 0
    """Times nothing was left to sound and no drain had said so: the server's audio came too late."""
    lost: int = 0
    """Times the device was lost."""


class DeviceSpeaker:
    """See ``rtcore_adapters.audio.device``, where it gets its ``host``."""

    def __init__(
        self,
        host: Host,
        device: int | str | None = None,
        *,
        rate: int | None = None,
        latency: Latency = "low",
        tap: Tap | None = None,
        block_ms: int = 10,
        spawn: Spawn = in_a_thread,
    ) -> None:
        check_settings(rate, latency, block_ms)
        self._host, self._rate, self._latency, self._block_ms = host, rate, latency, block_ms
        self._tap = tap
        self._watch: Watch[OutputRing] = Watch(host, "output", device, self._connect, spawn)
        wait = 1000 * self._watch.last.latency("output", latency)
        # Twice: sound servers add a buffer of their own to the one that was asked for.
        flush_ms = max(Clock().flush_latency_ms, math.ceil(2 * wait) + 2 * block_ms + 100)
        self._capabilities = Clock(report_ms=max(20, 2 * block_ms), flush_latency_ms=flush_ms)
        self._reports: SpeakerReports | None = None
        self._closed = False
        self._polled = 0.0
        self._sounding = Sounding()
        self._told: dict[int, int] = {}
        self._blocks: deque[Block] = deque()  # those not yet sounded to their end
        self._taken = 0  # frames of the ring that the device took, or skipped, as far as the blocks say
        self._unnoted = 0
        self._reached = 0  # the latest call of which something has sounded
        self._flushes: deque[tuple[int, int]] = deque()  # generation, and the calls that had begun when it was asked for
        self._refused = 0  # generations up to this one are flushed
        self._held: int | None = None
        self._quiet_after = 0  # calls: those up to here may have begun before the pause
        self._moving: tuple[float, int] | None = None  # to another device: until when, and the calls that had begun
        self._dry = True
        self._underrun = 0  # the generation of one that is still to be told
        self._starving = False
        self._past_xruns = self._starved = self._underruns = self._lost = 0

    # -- what it is --------------------------------------------------------------------------------------------------------------

    @property
    def capabilities(self) -> Clock:
        """It pauses, reports every 20 ms, and answers a flush when what the device took before has sounded."""
        return self._capabilities

    @property
    def device(self) -> Device:
        """The device that is open, was open last, or will be opened."""
        return self._watch.last

    @property
    def rate(self) -> int:
        """The device's samples per second; 0 while none is open."""
        return self._watch.line.stream.rate if self._watch.line is not None else 0

    @property
    def latency_ms(self) -> float:
        """What the sound system says of its latency, in milliseconds; 0 while no device is open."""
        return 1000 * self._watch.line.stream.latency if self._watch.line is not None else 0.0

    @property
    def counts(self) -> SpeakerCounts:
        """What went wrong so far."""
        xruns = self._watch.line.ring.xruns if self._watch.line is not None else 0
        return SpeakerCounts(self._past_xruns + xruns, self._starved, self._underruns, self._lost)

    @property
    def deadline(self) -> float | None:
        """The next look at the device: soon while something sounds, twice a second otherwise."""
        if self._reports is None or self._closed:
            return None
        line = self._watch.line
        busy = line is not None and (bool(self._flushes) or self._tap is not None or self._still_sounds(line.ring))
        poll = self._polled + (_POLL_S if busy else _IDLE_S)
        return poll if self._watch.due is None else min(poll, self._watch.due)

    def _still_sounds(self, ring: OutputRing) -> bool:
        if self._held is None:
            return self._sounding.unsounded or not self._dry
        return ring.done <= self._quiet_after or any(block.sounded < block.count for block in self._blocks)

    # -- what it is asked --------------------------------------------------------------------------------------------------------

    def open(self, reports: SpeakerReports, *, now: float) -> None:
        """Open the device and let it run: silence at first. Raises ``DeviceError``."""
        if self._reports is not None:
            raise RuntimeError("this speaker was opened before: one speaker serves one conversation")
        line = self._watch.open(now=now)
        try:
            Resampler(PCM16_24K.rate, line.stream.rate)  # if it cannot be had, now is the time to say so
        except ImportError:
            self._watch.close()
            raise
        self._sounding.rate = line.stream.rate
        self._reports, self._polled = reports, now

    def play(self, pcm: bytes | memoryview, format: AudioFormat, generation: int, *, now: float) -> None:
        """Sound it behind what waits. What comes behind its own flush is dropped (F032)."""
        if generation <= self._refused:
            return
        self._take_note(self._watch.line)
        self._sounding.add(pcm, format, generation)
        self._fill()

    def drain(self, generation: int, *, now: float) -> None:
        """Running dry is no underrun from here on, and what the resampler holds back sounds."""
        self._take_note(self._watch.line)
        self._sounding.drain(generation)
        self._fill()

    def flush(self, generation: int, *, now: float) -> None:
        """Silence with the next block; the answer comes when what the device took before has sounded."""
        self._refused = max(self._refused, generation)
        self._sounding.drop(generation)
        if self._held is not None and self._held <= generation:
            self._held = None
        begun = 0
        if (line := self._watch.line) is not None:
            ring = line.ring
            ring.skip = self._sounding.boundary(generation, ring.written)
            self._hold(ring)  # behind ``skip``: see OutputRing.fill
            begun = ring.begun
        self._listen(now)
        if self._dry and line is not None and line.ring.done >= begun and not self._sounding.on_its_way(generation, self._taken):
            begun = -1  # nothing of it sounds, and it is silent already
        self._flushes.append((generation, begun))
        self._answer()

    def pause(self, generation: int, *, now: float) -> None:
        """Hold with the next block; what the device took before still sounds, and counts."""
        self._held = generation
        if (line := self._watch.line) is not None:
            self._hold(line.ring)
            self._quiet_after = line.ring.begun

    def resume(self, generation: int, *, now: float) -> None:
        """Go on with the next block."""
        self._held = None
        if (line := self._watch.line) is not None:
            self._hold(line.ring)

    def switch(self, device: int | str | None) -> None:
        """Go on from another device (an index, a name, a part of one; None: the default), in mid-sentence and without losing a
        sample: the present one sounds what it took, then the other goes on. Until the other is open, and if it cannot be, the
        present one stays. Raises ``DeviceError`` where there is no such device. May be called on any thread.
        """
        self._watch.switch(device)
        if self._reports is not None and not self._closed:
            self._reports.wake()

    def tick(self, *, now: float) -> None:
        """Look at the device: what has sounded, what is to be written, whether it still lives."""
        if self._reports is None or self._closed:
            return
        self._polled = now
        line = self._watch.line
        match self._watch.tick(now=now):
            case "lost" if line is not None:
                self._lose(line, now)
            case "ready":
                self._begin()
                self._reports.device("ready")
            case _:
                pass
        self._listen(now)
        self._move(now)
        self._fill()
        self._report()
        self._answer()

    def close(self, *, now: float) -> None:
        """Silence, and let the device go."""
        if not self._closed and self._watch.line is not None:
            ring = self._watch.line.ring
            ring.skip = ring.written
            self._listen(now)
        self._closed = True
        self._watch.close()

    # -- the device --------------------------------------------------------------------------------------------------------------

    def _connect(self, device: Device) -> Line[OutputRing]:
        rings: list[OutputRing] = []

        def ring(rate: int, channels: int) -> Callback:
            longest = max(1, rate * self._block_ms // 1000)
            rings.append(OutputRing(int(rate * _RING_S), 2 * channels, longest))
            return rings[-1].fill

        stream = opened(self._host, "output", device, rate=self._rate, block_ms=self._block_ms, latency=self._latency, ring=ring)
        return _started(device, stream, rings[-1])

    def _begin(self) -> None:
        """A device is there, the first or another: go on from the last sample that was heard."""
        line = self._watch.line
        assert line is not None
        self._blocks.clear()
        self._taken = self._unnoted = self._quiet_after = self._reached = 0
        self._moving = None
        self._flushes = deque((generation, -1) for generation, _ in self._flushes)
        self._sounding.restart(line.stream.rate)
        self._hold(line.ring)

    def _hold(self, ring: OutputRing) -> None:
        ring.hold = self._held is not None or self._moving is not None

    def _lose(self, line: Line[OutputRing], now: float) -> None:
        """What had sounded when the device last took something is the last report: more than that is not known."""
        self._take_note(line)
        if self._blocks:
            alive = self._blocks[-1].at - line.stream.latency
            self._count(line, alive, now + alive - line.stream.time)
        self._past_xruns += line.ring.xruns
        self._lost += 1
        self._blocks.clear()
        self._moving = None
        self._dry = True  # nothing is missing that the device took with it
        self._sounding.lose()
        self._report()
        assert self._reports is not None
        if not self._closed:
            self._reports.device("lost")

    def _move(self, now: float) -> None:
        """To the device that is offered, when the present one has sounded what it took."""
        line = self._watch.line
        if self._watch.offered is None or line is None:
            return
        if self._moving is None:
            self._moving = (now + _MOVE_S, line.ring.begun)
            self._hold(line.ring)
        until, begun = self._moving
        self._take_note(self._watch.line)
        sounded = line.ring.done > begun and all(block.sounded >= block.count for block in self._blocks)
        if sounded or now >= until:
            self._past_xruns += line.ring.xruns
            self._watch.adopt(now=now)
            self._begin()

    # -- what sounded ------------------------------------------------------------------------------------------------------------

    def _take_note(self, line: Line[OutputRing] | None) -> None:
        """What the device took since the last look."""
        if line is None or self._closed:
            return
        ring = line.ring
        for block in ring.blocks():
            # Whatever fits in is written at every look. What still waits had no room; so the ring was full, and now it is empty.
            emptied = block.count < block.frames and block.start + block.count == ring.written
            block.starved = emptied and not block.held and self._sounding.waiting
            self._starved += block.starved and not self._starving
            self._starving = block.starved
            if block.count:
                self._taken = block.start + block.count
            self._blocks.append(block)
        if (missed := ring.unnoted - self._unnoted) > 0:
            self._unnoted += missed
            last = self._blocks[-1] if self._blocks else Block(line.stream.time, 0, 0, 0, False)
            self._blocks.append(Block(last.at + last.frames / line.stream.rate, missed, self._taken, 0, True))

    def _listen(self, now: float) -> None:
        """What has sounded by now, block by block."""
        self._take_note(self._watch.line)
        if (line := self._watch.line) is not None:
            self._count(line, line.stream.time, now)

    def _count(self, line: Line[OutputRing], clock: float, now: float) -> None:
        """What has sounded by ``clock`` of the stream, which is ``now``."""
        rate = line.stream.rate
        while self._blocks:
            block = self._blocks[0]
            audible = max(block.sounded, min(block.frames, math.floor((clock - block.at) * rate + _HAIR)))
            before = block.sounded
            pieces = self._sounding.sound(block, audible)
            if pieces:
                self._dry = False
            if block.sounded > block.count and not self._dry:
                self._ran_dry(block)
            if self._tap is not None and block.sounded > before:
                pcm = b"".join(bytes(piece) for _, piece in pieces)
                quiet = block.sounded - before - len(pcm) // 2
                self._tap(pcm + bytes(2 * quiet), rate, now + block.at + before / rate - clock)
            if block.sounded:
                self._reached = max(self._reached, block.call)
            if block.sounded < block.frames:
                return
            self._blocks.popleft()

    def _ran_dry(self, block: Block) -> None:
        """Silence follows in this block. It is an underrun where nothing was left and nobody had said that nothing was coming."""
        self._dry = True
        generation = max(self._sounding.heard, default=0)
        flushed = max((each for each, _ in self._flushes), default=0)
        if not (block.held or block.starved or generation <= flushed or self._sounding.drained(generation)):
            self._underruns += 1
            self._underrun = generation

    def _fill(self) -> None:
        line = self._watch.line
        if line is not None and not self._closed and self._moving is None:
            self._sounding.fill(line.ring, line.stream.channels)

    # -- what it tells -----------------------------------------------------------------------------------------------------------

    def _report(self) -> None:
        """Anything may come back from a report, a flush or the end included."""
        assert self._reports is not None
        for generation, samples in list(self._sounding.heard.items()):
            if self._closed:
                return
            if generation in self._sounding.heard and samples > self._told.get(generation, 0):
                self._told[generation] = samples
                self._reports.played(generation, samples)
        if (generation := self._underrun) and not self._closed:
            self._underrun = 0
            if generation in self._sounding.heard:
                self._reports.underrun(generation)

    def _answer(self) -> None:
        """The flushes of which nothing is on its way any more."""
        while self._flushes and not self._closed:
            generation, begun = self._flushes[0]
            if self._watch.line is not None:
                # Not before the silence itself sounds, in the first block behind it, by a stamp of its own: where the device
                # stood still, the stamps of the blocks before are worth nothing. A call that was under way then counts, too.
                if self._reached <= begun:
                    return
                self._take_note(self._watch.line)
                if self._sounding.on_its_way(generation, self._taken):
                    return
            self._flushes.popleft()
            samples = self._sounding.settle(generation)
            for each in [number for number in self._told if number <= generation]:
                del self._told[each]
            assert self._reports is not None
            self._reports.flushed(generation, samples)


def check_settings(rate: int | None, latency: Latency, block_ms: int) -> None:
    """Raises ``ValueError`` that names the setting."""
    if rate is not None and not 4000 <= rate <= 384_000:
        raise ValueError(f"rate={rate}: between 4000 and 384000 samples a second, or None for the device's own")
    if latency not in ("low", "high") and not (isinstance(latency, int | float) and 0.001 <= latency <= 2):
        raise ValueError(f'latency={latency!r}: "low", "high", or seconds between 0.001 and 2')
    if not 2 <= block_ms <= 100:
        raise ValueError(f"block_ms={block_ms}: between 2 and 100")


def _started(device: Device, stream: Stream, ring: OutputRing) -> Line[OutputRing]:
    try:
        stream.start()
    except BaseException:
        stream.close()
        raise
    return Line(device, stream, ring)
