"""Is the sound paused, and by whom? The program may, and a decision about an interruption; it goes on when neither does."""

from typing import Literal

from rtcore._core import Core

Holder = Literal["program", "decision"]


class Pauses:
    """Owner of: is the sound paused?"""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._by: set[Holder] = set()
        self.silent_at: float | None = None
        """Since when nothing sounds for it. None: nobody holds the sound, or the clock has not answered yet."""

    def hold(self, who: Holder) -> None:
        """Not a sample more, and none lost."""
        core = self._core
        if not self._by:
            core.playout.pause(core.now, core.sound)
            core.interruption.watch_flush()
            core.speech.after_playout()
        self._by.add(who)
        self.settled()

    def settled(self) -> None:
        """The clock may have answered. One that can pause does so without an answer."""
        if self._by and self.silent_at is None and not self._core.playout.flushing:
            self.silent_at = self._core.now

    def release(self, who: Holder) -> None:
        """This one lets it go on."""
        core = self._core
        if who in self._by:
            self._by.discard(who)
            if not self._by:
                self.silent_at = None
                core.playout.resume(core.now, core.sound)
                core.speech.after_playout()

    def drop(self) -> None:
        """An interruption ends every hold."""
        if self._by:
            self._by.clear()
            self.silent_at = None
            self._core.playout.drop_hold(self._core.now, self._core.sound)
