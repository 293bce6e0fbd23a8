"""Named deadlines. The core owns every timer; the adapter only asks for the earliest and ticks.

Few timers exist at a time, so finding the earliest is a scan, done only when one changed.
"""

from rtcore._effects import Deadline

NEVER = float("inf")


class Timers:
    """Named one-shot timers, each with the reason that ``Deadline.why`` shows."""

    __slots__ = ("_armed", "_told", "next_at")

    def __init__(self) -> None:
        self._armed: dict[str, float] = {}
        self._told: Deadline | None = None  # the last answer of ``deadline``, as long as it holds
        self.next_at = NEVER
        """When the earliest fires, or ``NEVER``; read on every input, so it is kept rather than computed."""

    def set(self, why: str, at: float) -> None:
        """Arm, or move, the timer ``why``."""
        before = self._armed.get(why, NEVER)
        self._armed[why] = at
        if at <= self.next_at:
            self.next_at = at
            self._told = None
        elif before <= self.next_at:
            self.next_at = min(self._armed.values())
            self._told = None

    def set_earlier(self, why: str, at: float) -> None:
        """Arm the timer ``why`` unless it is to fire before ``at`` anyway."""
        if at < self._armed.get(why, NEVER):
            self.set(why, at)

    def cancel(self, why: str) -> None:
        """Disarm ``why`` if it is armed."""
        if why not in self._armed:
            return
        if self._armed.pop(why) <= self.next_at:
            self.next_at = min(self._armed.values(), default=NEVER)
            self._told = None

    def armed(self, why: str) -> bool:
        """Whether ``why`` is to fire."""
        return why in self._armed

    def due(self, now: float, *, inclusive: bool) -> list[str]:
        """The timers with at < now (or at == now too, if ``inclusive``), earliest first. They stay armed."""
        late = [(at, why) for why, at in self._armed.items() if at < now or (inclusive and at == now)]
        return [why for _, why in sorted(late)]

    def take(self, why: str, now: float) -> bool:
        """Disarm ``why``, to fire it. False where another that fired before it has disarmed it, or put it off."""
        if self._armed.get(why, NEVER) > now:
            return False
        self.cancel(why)
        return True

    def clear(self) -> None:
        """Disarm all."""
        self._armed.clear()
        self._told = None
        self.next_at = NEVER

    @property
    def deadline(self) -> Deadline | None:
        """The earliest, with its reason."""
        told = self._told
        if told is None and self._armed:
            why = min(self._armed, key=self._armed.__getitem__)
            told = self._told = Deadline(self._armed[why], why)
        return told
