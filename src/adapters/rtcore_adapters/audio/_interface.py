"""What an adapter asks of a loudspeaker and a microphone.

Both are dumb: a FIFO of samples with a counter, and a source of frames. They know no items, no responses and no protocol, start
no tasks and read no clock: time comes in as ``now``, and ``deadline`` says when they want ``tick``. So one implementation serves
all runtimes, in real and in virtual time. What a speaker is told from outside of these methods, on whatever thread, it keeps and
asks to be woken; its state belongs to the runtime's thread. Reports and deliveries are handed over to that thread.
"""

from typing import Literal, Protocol

from rtcore import AudioFormat, Clock


class SpeakerReports(Protocol):
    """What a speaker tells; the adapter gives it to ``Speaker.open``. May be called from within any method of the speaker."""

    def played(self, generation: int, samples: int) -> None:
        """So many samples of this generation have become audible in all; at least every ``Clock.report_ms`` while it sounds."""

    def flushed(self, generation: int, samples: int) -> None:
        """The answer to ``flush``: the generation's final count. Nothing of it may sound after this."""

    def underrun(self, generation: int) -> None:
        """Nothing is left to sound, and no ``drain`` said that nothing more was coming."""

    def device(self, state: Literal["lost", "ready"]) -> None:
        """The device went away or came back."""

    def wake(self) -> None:
        """Something came from outside (a mark, a message of a player): call ``tick`` at once. May be called on any thread."""


class Speaker(Protocol):
    """A clock that sounds PCM (DESIGN section 3). One speaker serves one conversation.

    An ``OSError`` from any method means that the device is lost: the adapter tells the core and asks the speaker no more.
    """

    @property
    def capabilities(self) -> Clock:
        """What it can do. The core relies on it: ``pause`` and ``resume`` are only called where it says ``pause=True``."""

    @property
    def deadline(self) -> float | None:
        """When it wants ``tick`` at the latest (``now`` seconds), or None."""

    def open(self, reports: SpeakerReports, *, now: float) -> None:
        """Get ready to sound; called once, before anything else."""

    def play(self, pcm: bytes | memoryview, format: AudioFormat, generation: int, *, now: float) -> None:
        """Append whole samples behind what waits."""

    def drain(self, generation: int, *, now: float) -> None:
        """Nothing more is coming for now: sound the tail of resamplers and jitter buffers."""

    def flush(self, generation: int, *, now: float) -> None:
        """Silence now: drop every generation up to this one, then report ``flushed`` once."""

    def pause(self, generation: int, *, now: float) -> None:
        """Hold without losing a sample, until ``resume`` or a ``flush`` of this generation."""

    def resume(self, generation: int, *, now: float) -> None:
        """Go on."""

    def tick(self, *, now: float) -> None:
        """Time passed; allowed early, late, often."""

    def close(self, *, now: float) -> None:
        """Silence, and let the device go. No report after this. Called once or more."""


class MicrophoneSink(Protocol):
    """Where a microphone's frames go; the adapter gives it to ``Microphone.open``."""

    def audio(self, pcm: bytes) -> None:
        """One frame of whole samples in ``Microphone.format``."""

    def speech(self, event: Literal["started", "stopped"]) -> None:
        """What a detector of the microphone's own noticed."""


class Microphone(Protocol):
    """A source of frames, from ``open`` to ``close``. One microphone serves one conversation; ``OSError`` ends it."""

    @property
    def format(self) -> AudioFormat:
        """What its frames are; it has to be the session's input format."""

    @property
    def deadline(self) -> float | None:
        """When it wants ``tick`` at the latest (``now`` seconds), or None."""

    def open(self, sink: MicrophoneSink, *, now: float) -> None:
        """Begin to deliver; called once."""

    def tick(self, *, now: float) -> None:
        """Time passed; allowed early, late, often."""

    def close(self, *, now: float) -> None:
        """Stop, and let the device go. No frame after this. Called once or more."""
