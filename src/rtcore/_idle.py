"""Nobody says anything: told once, so that the program can speak up or hang up (F130).

The clock is the core's own, for every dialect and with or without the server's turn detection. What counts as something is a turn
of the user, spoken or typed, and the end of the model's sound; noise in the microphone is nothing. It runs from the session's
beginning: a caller who never says a word is silent, too.
"""

from rtcore._core import Core
from rtcore._notices import ConversationIdle

TIMER = "somebody says something"


class Idle:
    """Owner of: has nobody said anything for long?"""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._since = 0.0

    def touched(self) -> None:
        """Somebody has said something, or the model has said all."""
        core = self._core
        wait_ms = core.config.timeouts.idle_ms
        if wait_ms is not None:
            self._since = core.now
            core.timers.set(TIMER, core.now + wait_ms / 1000)

    def overdue(self) -> None:
        """So long has passed. Where something is under way, and while the line is away, it is looked at again when that much more
        has."""
        core = self._core
        wait_ms = core.config.timeouts.idle_ms or 0
        # What was handed over sounds before the clock has said a word of it.
        sounds = core.speech.speaking or not core.playout.idle
        busy = sounds or core.responses.running or core.turns.user_has_the_floor or not core.ready
        if busy or core.creation.due or core.tools.open or core.playout.held:
            core.timers.set(TIMER, core.now + wait_ms / 1000)
        else:
            core.news.append(ConversationIdle(self._since, int((core.now - self._since) * 1000 + 0.001)))
