"""Speaker and microphone of one conversation: effects in, reports out, and what becomes of a device that vanishes.

An ``OSError`` from a device means that it is gone. The core is told once, the device is asked for nothing more, and the
conversation goes on: without sound its flushes are estimated, without a microphone the program may still write.
"""

import logging
from collections.abc import Callable
from typing import Literal, Protocol

from rtcore import Drain, Effect, Flush, Pause, Play, Resume, Session
from rtcore_adapters.audio import Microphone, Speaker

Sound = Play | Drain | Flush | Pause | Resume
"""The effects that a speaker carries out."""

_log = logging.getLogger("rtcore.devices")


class Feed(Protocol):
    """How an input reaches the session: now, or after the effects that are being carried out. ``now`` defaults to the clock's."""

    def __call__(self, take: Callable[..., list[Effect]], *args: object, now: float | None = None) -> None: ...


class Devices:
    """The devices of one conversation. All methods belong to the runtime's thread."""

    def __init__(self, session: Session, speaker: Speaker, microphone: Microphone | None, feed: Feed) -> None:
        self._session = session
        self._feed = feed
        self._speaker: Speaker | None = speaker
        self._microphone = microphone
        self._all: tuple[Speaker | Microphone | None, ...] = (speaker, microphone)

    def open(self, *, now: float) -> None:
        """Open both. What they raise here is the caller's: a device that cannot be had, a file that cannot be written."""
        if self._speaker is not None:
            self._speaker.open(_Reports(self._session, self._feed, self._woken), now=now)
        if self._microphone is not None:
            self._microphone.open(_Sink(self._session, self._feed), now=now)

    @property
    def deadline(self) -> float | None:
        """When ``tick`` is due."""
        due = None if self._speaker is None else self._speaker.deadline  # asked for at every input: no list for two of them
        if self._microphone is not None:
            at = self._microphone.deadline
            if at is not None and (due is None or at < due):
                return at
        return due

    def sound(self, effect: Sound, *, now: float) -> None:
        """Carry out an effect."""
        if (speaker := self._speaker) is None:
            return
        try:
            match effect:
                case Play(pcm, format, generation):
                    speaker.play(pcm, format, generation, now=now)
                case Drain(generation):
                    speaker.drain(generation, now=now)
                case Flush(generation):
                    speaker.flush(generation, now=now)
                case Pause(generation):
                    speaker.pause(generation, now=now)
                case Resume(generation):
                    speaker.resume(generation, now=now)
        except OSError as error:
            self._lost_speaker(error)

    def tick(self, *, now: float) -> list[Effect]:
        """Time passed. An input without effects: what comes of it, the devices report."""
        try:
            if self._speaker is not None and self._speaker.deadline is not None and self._speaker.deadline <= now:
                self._speaker.tick(now=now)
        except OSError as error:
            self._lost_speaker(error)
        try:
            if self._microphone is not None and self._microphone.deadline is not None and self._microphone.deadline <= now:
                self._microphone.tick(now=now)
        except OSError as error:
            _log.warning("the microphone was lost: %s", error)
            self._microphone = None
        return []

    def _woken(self, *, now: float) -> list[Effect]:
        """The speaker has been told something from outside. An input without effects: what comes of it, it reports."""
        try:
            if self._speaker is not None:
                self._speaker.tick(now=now)
        except OSError as error:
            self._lost_speaker(error)
        return []

    def stop_listening(self, *, now: float) -> None:
        """The session is over: no more frames."""
        if self._microphone is not None:
            self._let_go(self._microphone, now)
            self._microphone = None  # whether it could be closed or not, it is not asked again

    def close(self, *, now: float) -> None:
        """Silence, and let both go."""
        for device in self._all:
            if device is not None:
                self._let_go(device, now)

    def _let_go(self, device: Speaker | Microphone, now: float) -> None:
        try:
            device.close(now=now)
        except OSError as error:
            _log.warning("a device did not close: %s", error)

    def _lost_speaker(self, error: OSError) -> None:
        _log.warning("the speaker was lost: %s", error)
        self._speaker = None
        self._feed(self._session.device, "lost")


class _Reports:
    """What the speaker tells, as inputs."""

    def __init__(self, session: Session, feed: Feed, woken: Callable[..., list[Effect]]) -> None:
        self._session, self._feed, self._woken = session, feed, woken

    def played(self, generation: int, samples: int) -> None:
        self._feed(self._session.played, generation, samples)

    def flushed(self, generation: int, samples: int) -> None:
        self._feed(self._session.flushed, generation, samples)

    def underrun(self, generation: int) -> None:
        self._feed(self._session.underrun, generation)

    def device(self, state: Literal["lost", "ready"]) -> None:
        self._feed(self._session.device, state)

    def wake(self) -> None:
        self._feed(self._woken)


class _Sink:
    """What the microphone hears, as inputs."""

    def __init__(self, session: Session, feed: Feed) -> None:
        self._session, self._feed = session, feed

    def audio(self, pcm: bytes) -> None:
        self._feed(self._session.append_audio, pcm)

    def speech(self, event: Literal["started", "stopped"]) -> None:
        self._feed(self._session.speech, event)
