"""What a button and a local detector say of the user, as the simulated world told the session: who has the floor on this side.

Kept apart from what the server tells (``Ledger.talking``): a button that is down is down, whatever the server does with its
buffer meanwhile.
"""

from rtcore.sim.speaker import MILLISECOND

_LONGEST = 60_000 * MILLISECOND
"""So long a button or a detector holds up answers whose end is never told (F127)."""
_ROUNDING = MILLISECOND // 1000


class Here:
    """Owner of: does a button, or a detector on this side, say that the user speaks?"""

    def __init__(self) -> None:
        self.pressed = self.detected = False
        self._since = 0

    def presses(self, now: int) -> None:
        """The button goes down."""
        self.pressed, self._since = True, now

    def hears(self, now: int) -> None:
        """The detector hears somebody begin."""
        self.detected, self._since = True, now

    def releases(self) -> None:
        """The button goes up: the turn is over."""
        self.pressed = self.detected = False

    def silent(self) -> None:
        """The detector says so, or the program or the server does, whose turn it became."""
        self.detected = False

    def surely(self, now: int) -> bool:
        """Whether nothing is to be asked for by itself because of it."""
        return self._told and now < self._since + _LONGEST - _ROUNDING

    def just(self, now: int) -> bool:
        """Whether it was said in this very instant: the timers that fall due in it come first."""
        return self._told and self._since >= now

    def perhaps(self, now: int) -> bool:
        """Whether it may still be a reason to wait."""
        return self._told and now <= self._since + _LONGEST + _ROUNDING

    @property
    def _told(self) -> bool:
        return self.pressed or self.detected
