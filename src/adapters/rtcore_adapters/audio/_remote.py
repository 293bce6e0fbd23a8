"""A clock across a network: a player elsewhere sounds the audio and counts, such as an AudioWorklet in a browser.

The player owns the queue: everything is passed on at once, so that no delay of this side adds to its own. Its counts are passed
on as they come, late or repeated ones, too; the core judges them.
"""

import math
from collections import deque
from collections.abc import Callable

from rtcore import AudioFormat, Clock
from rtcore_adapters.audio._interface import SpeakerReports
from rtcore_adapters.audio._player import (
    Begin,
    Command,
    Drain,
    End,
    Flush,
    Flushed,
    Pause,
    Played,
    Report,
    Resume,
    Underrun,
    decode_report,
    encode_audio,
    encode_command,
)


class _Lost:
    """The connection to the player broke."""


class _Ready:
    """A player is there again, and empty."""


class RemoteSpeaker:
    """A ``Speaker`` whose sound is made by a player at the other end of a connection (``_player`` has the messages).

    ``send`` takes one message: ``str`` for a text frame, ``bytes`` for a binary one; the program sends them in order. It hands
    what the player answers to ``received``, and says ``lost()`` when the connection broke and ``ready()`` when a player, an empty
    one, is connected again.

    ``report_ms`` is how often the player is asked to tell where it is, ``round_trip_ms`` the longest time from a message to its
    answer, its own output delay included. ``latency_ms`` is what the player can neither subtract from its counts nor tell with
    them: time from a sample's count to its sound.
    """

    def __init__(
        self,
        send: Callable[[str | bytes], object],
        *,
        report_ms: int = 50,
        round_trip_ms: int = 400,
        latency_ms: int = 0,
    ) -> None:
        for name, value, least, most in (
            ("report_ms", report_ms, 5, 1000),
            ("round_trip_ms", round_trip_ms, 0, 5000),
            ("latency_ms", latency_ms, 0, 5000),
        ):
            if not least <= value <= most:
                raise ValueError(f"{name}={value}: between {least} and {most}")
        self.delay_ms = 0.0
        """The player's output delay, as it told it last; already subtracted."""
        self._send = send
        self._report_ms = report_ms
        self._capabilities = Clock(report_ms=report_ms + round_trip_ms, latency_ms=latency_ms, flush_latency_ms=round_trip_ms)
        self._reports: SpeakerReports | None = None
        self._inbox: deque[Report | _Lost | _Ready] = deque()
        self._closed = False
        self._lost = False
        self._rates: dict[int, int] = {}  # by generation, those that are not flushed
        self._told: dict[int, int] = {}
        self._before: dict[int, int] = {}  # what was heard of a generation before the player that counts it now

    # -- what the program calls, on any thread ------------------------------------------------------------------------------

    def received(self, message: str | bytes) -> None:
        """What the player sent. Raises ``PlayerMessageError`` for what no player sends."""
        self._put(decode_report(message))

    def lost(self) -> None:
        """The player is gone: nothing behind its last report can be known to have sounded."""
        self._put(_Lost())

    def ready(self) -> None:
        """A player is there again. It counts from 0; the conversation goes on with it."""
        self._put(_Ready())

    def _put(self, what: "Report | _Lost | _Ready") -> None:
        if self._reports is not None and not self._closed:
            self._inbox.append(what)
            self._reports.wake()

    # -- what an adapter calls ----------------------------------------------------------------------------------------------

    @property
    def capabilities(self) -> Clock:
        """It pauses, flushes, and reports as often as it is asked to, later by the way."""
        return self._capabilities

    @property
    def deadline(self) -> float | None:
        """None: the player has the time."""
        return None

    def open(self, reports: SpeakerReports, *, now: float) -> None:
        """The player has to be there: ``send`` is called from now on."""
        if self._reports is not None:
            raise RuntimeError("this speaker was opened before: one speaker serves one conversation")
        self._reports = reports
        self._tell(Begin(self._report_ms))

    def play(self, pcm: bytes | memoryview, format: AudioFormat, generation: int, *, now: float) -> None:
        """To the player's queue."""
        if not (self._closed or self._lost):
            self._rates[generation] = format.rate
            self._send(encode_audio(pcm, format, generation))

    def drain(self, generation: int, *, now: float) -> None:
        """The player is told."""
        self._tell(Drain(generation))

    def flush(self, generation: int, *, now: float) -> None:
        """The player is told, and answers. One that is lost is silent: what was told of it last is the answer."""
        if self._lost and not self._closed:
            self._flushed(generation, self._told.get(generation, 0))
        self._tell(Flush(generation))

    def pause(self, generation: int, *, now: float) -> None:
        """The player is told. What it puts out until then is heard, and counted."""
        self._tell(Pause(generation))

    def resume(self, generation: int, *, now: float) -> None:
        """The player is told."""
        self._tell(Resume(generation))

    def tick(self, *, now: float) -> None:
        """Pass on what the player told."""
        while self._inbox and not self._closed:
            self._take(self._inbox.popleft())

    def close(self, *, now: float) -> None:
        """Silence."""
        self._tell(End())
        self._closed = True

    # -- reports ------------------------------------------------------------------------------------------------------------

    def _tell(self, command: Command) -> None:
        if not (self._closed or self._lost or self._reports is None):
            self._send(encode_command(command))

    def _take(self, what: "Report | _Lost | _Ready") -> None:
        reports = self._reports
        if reports is None:
            return
        match what:
            case Played(generation, samples, delay_ms):
                self.delay_ms = delay_ms
                samples += self._before.get(generation, 0)
                if generation in self._rates:
                    told = self._told.get(generation, 0)
                    # Behind a gap the delay reaches back over samples that were heard before it.
                    delayed = samples - math.ceil(delay_ms * self._rates[generation] / 1000)
                    samples = max(delayed, min(samples, told))
                    self._told[generation] = max(samples, told)
                reports.played(generation, samples)
            case Flushed(generation, samples):
                self._flushed(generation, samples + self._before.get(generation, 0))
            case Underrun(generation):
                reports.underrun(generation)
            case _Lost() if not self._lost:
                self._lost = True
                reports.device("lost")
            case _Ready() if self._lost:
                self._lost = False
                self._before = dict(self._told)
                self._tell(Begin(self._report_ms))
                reports.device("ready")
            case _:
                pass

    def _flushed(self, generation: int, samples: int) -> None:
        for counts in (self._rates, self._told, self._before):
            for old in [each for each in counts if each <= generation]:
                del counts[old]
        if self._reports is not None:
            self._reports.flushed(generation, samples)
