"""What the server said was used: totals of the session and of the latest turn. Nothing in the core depends on them."""

from typing import Any

from rtcore._recent import keep_latest
from rtcore.usage import Usage, UsageTotals, response_usage, transcription_usage

_REMEMBERED = 64
"""Transcriptions whose usage is recognised when it is told again."""


class Accounts:
    """Adds up usage. A turn begins with a message of the user."""

    def __init__(self) -> None:
        self._session = Usage()
        self._turn = Usage()
        self._turn_item = ""
        self._transcribed: dict[str, None] = {}

    @property
    def totals(self) -> UsageTotals:
        """What was used so far."""
        return UsageTotals(self._session, self._turn)

    def turn(self, item_id: str) -> None:
        """The user said something: a new turn."""
        self._turn = Usage()
        self._turn_item = item_id

    def response(self, usage: dict[str, Any]) -> None:
        """A response ended."""
        found = response_usage(usage)
        self._session += found
        self._turn += found

    def transcription(self, item_id: str, usage: dict[str, Any]) -> None:
        """The user's words were transcribed, perhaps those of an earlier turn."""
        if item_id in self._transcribed:
            return  # told again (facts 14), and used once
        self._transcribed[item_id] = None
        keep_latest(self._transcribed, _REMEMBERED)
        found = transcription_usage(usage)
        self._session += found
        if item_id == self._turn_item:
            self._turn += found
