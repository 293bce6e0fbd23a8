"""Why a session may end, and what it has to say then: the part of invariant 15 that lies between two turns.

A session ends because the program closes it, the line is gone, the server refuses everything from here on, or it was never
acknowledged. Nothing else ends it: an error is one command that failed (F007). And the end of the session's life is told as
that, at once, whether an error, its text alone or only the close frame says so (F085): the remedy is another than that for a
line that dropped.
"""

from rtcore._notices import CloseReason, ServerError, SessionClosed
from rtcore.sim._ledger import Ledger
from rtcore.sim._seen import ServerSeen

_EXPIRED = "maximum duration"
"""What every server says of the end of a session's life (protocol facts 1.7)."""


class EndAudit:
    """Owner of why a session ends."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._ready = False
        self._reason: CloseReason | None = None
        """Why the session may end, or must."""
        self.owed = False
        """The server has just said that the session is over."""

    def comes(self, reason: CloseReason) -> None:
        """The world is about to end the session, for this reason."""
        self._reason = reason

    def line_ends(self, words: str) -> None:
        """The line is gone: with these words, if the server hung up."""
        if _EXPIRED in words and self._reason != "expired":
            self._ledger.saw("F085: told by the close frame alone")
        self._reason = "expired" if _EXPIRED in words else "lost"

    def ready(self) -> None:
        """The session is acknowledged."""
        self._ready = True

    def arrived(self, message: ServerSeen) -> None:
        """An error reaches the client; the session gets it right after this."""
        error = message.error
        if error is None or not isinstance(error.message, str):
            return
        if _EXPIRED in error.message:
            self._reason, self.owed = "expired", True
            self._ledger.saw("F085: told by an error" if error.code else "F085: told by the text of an error")

    def error(self, notice: ServerError) -> None:
        """The program is told of an error."""
        if notice.fatal and self._reason != "expired":
            self._ledger.fail(15, f"{notice.problem.code} is told as the end of the session, which goes on")

    def closed(self, notice: SessionClosed) -> None:
        """The session is over, says the core."""
        self.owed = False
        if notice.reason == self._reason or (notice.reason == "not_acknowledged" and not self._ready):
            return
        why = f"{notice.reason} ({notice.problem.code})" if notice.problem is not None else notice.reason
        truly = f"the truth is: {self._reason}" if self._reason is not None else "nothing had ended it"
        self._ledger.fail(15, f"the session ended as {why}; {truly}")

    def check(self) -> None:
        """The session has dealt with the message that said that it is over."""
        if self.owed:
            self.owed = False
            self._ledger.fail(15, "the server said that the session's life is over, and the session went on")
