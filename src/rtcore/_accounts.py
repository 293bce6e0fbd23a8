"""What the server said was used: totals of the session and of the latest turn. Nothing in the core depends on them."""

from typing import Any

from rtcore.usage import Usage, UsageTotals, response_usage, transcription_usage


class Accounts:
    """Adds up usage. A turn begins with a message of the user."""

    def __init__(self) -> None:
        self._session = Usage()
        self._turn = Usage()
        self._turn_item = ""

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
        found = transcription_usage(usage)
        self._session += found
        if item_id == self._turn_item:
            self._turn += found
