"""The news that the program keeps the runtime busy: the engine was to run at a time, and ran later."""

from rtcore import Notice

LAG_S = 0.1
"""Seconds of lateness from which on it is told: five frames of audio. Below it the machine's own scheduling is seen."""


class LoopLagged(Notice, frozen=True):
    """A deadline of this conversation came ``lag_ms`` late, because something else held the runtime's thread.

    What was heard stays right, since the audio clock counts it; but a barge-in that comes in such a time is acted on late.
    """

    lag_ms: int
