"""What an audio clock can do, declared by the adapter that owns it."""

from msgspec import Struct


class Clock(Struct, frozen=True):
    """Capabilities of the clock that sounds what the core hands over (DESIGN section 3).

    A clock is a FIFO of PCM with a counter. It reports one number per generation through ``Session.played``: how many samples
    of the handed-over stream have become audible. It answers every ``Flush(g)`` with ``Session.flushed(g, samples)``.
    """

    pause: bool = True
    """It can hold and go on without loss. Where it cannot, the core flushes and plays again from the heard sample."""
    report_ms: int = 20
    """Longest time between two position reports while it sounds, in milliseconds."""
    reports: bool = True
    """It reports positions at all. For a clock that does not, the core reckons by time: what was heard is an estimate (C19)."""
    latency_ms: int = 0
    """Time from a sample's report to its sound that the adapter could not subtract, in milliseconds. Without reports: from its
    hand-over to its sound."""
    flush_latency_ms: int = 350
    """Longest time it takes to answer a flush, in milliseconds. The core waits 150 ms more, then estimates (B29)."""
    answer_ms: int = 0
    """How far behind the truth an answer to a flush may be, in milliseconds: 0 where it is exact to the sample; the distance of
    two marks where a telephone knows nothing finer (F019). The core puts its estimate between the answer and that much more."""
