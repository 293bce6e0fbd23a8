"""May this response be heard yet? Audio that is held back until a guardrail has spoken (F161).

A transcript runs ahead of its sound, and a check runs behind the transcript. So the first audio of a response is not handed to
the clock for ``hold_ms``, or until the program says that it may be: whoever interrupts the response until then has cut words that
nobody heard. A hold ends once, by command, by time, or because the response is cut; what follows is never held again.
"""

from typing import Literal

from rtcore._core import Core
from rtcore._items import Response
from rtcore._notices import AudioHeld, AudioReleased


class Holds:
    """Owner of: may this response be heard yet?"""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._until: dict[str, float] = {}

    def first_audio(self, response: Response) -> None:
        """The first audio of a response that is to be heard has come, and was not handed over."""
        core = self._core
        if not response.hold_ms:
            return
        until = core.now + response.hold_ms / 1000
        response.hold_ms = 0
        self._until[response.id] = until
        core.playout.withhold(response.id)
        core.timers.set_earlier("audio held back", until)
        core.news.append(AudioHeld(response.id, until))

    def release(self, response_id: str) -> None:
        """The program has nothing against it: it sounds in its turn, or will when its audio comes."""
        response = self._core.responses.live.get(response_id)
        if response is not None:
            response.hold_ms = 0
        self._end(response_id, "program")

    def overdue(self) -> None:
        """Nobody has spoken in time."""
        for response_id in [key for key, until in self._until.items() if until <= self._core.now]:
            self._end(response_id, "time")
        self._watch()

    def cut(self, response: Response) -> None:
        """It was cut: what was held back is discarded with the rest."""
        response.hold_ms = 0
        if self._until.pop(response.id, None) is not None:
            self._watch()

    def clear(self) -> None:
        """The session is over."""
        self._until.clear()

    def _end(self, response_id: str, by: Literal["program", "time"]) -> None:
        core = self._core
        if self._until.pop(response_id, None) is None:
            return
        core.news.append(AudioReleased(response_id, by))
        core.playout.let_go(response_id, core.now, core.sound)
        core.speech.after_playout()
        self._watch()

    def _watch(self) -> None:
        timers = self._core.timers
        if self._until:
            timers.set("audio held back", min(self._until.values()))
        else:
            timers.cancel("audio held back")
