"""The requests of a long call: each settles exactly once, whatever line it was sent on (invariant 2, B24)."""

from rtcore._notices import RequestEnded
from rtcore.sim._line_book import Book


class Asked:
    """Owner of what was asked for."""

    def __init__(self, book: Book, *, again: bool) -> None:
        self._book = book
        self._again = again
        self._open: dict[int, str] = {}
        self._lost: set[int] = set()
        self._ended: set[int] = set()
        self._begun: set[int] = set()
        self._given_up: list[tuple[int, str]] = []

    def issued(self, request: int, what: str) -> None:
        """The session gave this number for it."""
        if request not in self._ended:
            self._open[request] = what

    def begun(self, request: int) -> None:
        """A response shows that it is the answer. Lost with its line, it is the turn that is answered anew, not the request."""
        self._begun.add(request)

    def open(self, what: str) -> bool:
        """Whether anything of this kind is not settled."""
        return what in self._open.values()

    def line_lost(self) -> None:
        """The line is gone."""
        self._lost.update(self._open)
        if self.open("respond"):
            self._book.saw("B24: a request for an answer was pending at the loss")
        if self.open("type"):
            self._book.saw("B24: a typed text was pending at the loss")

    def ended(self, notice: RequestEnded) -> None:
        """A request is settled. Effects may come before the number is known to whoever asked."""
        request = notice.request
        if request in self._ended:
            self._book.fail(2, f"request {request} settled twice")
            return
        self._ended.add(request)
        what = self._open.pop(request, None)
        if what is not None and notice.outcome == "connection_lost" and self._again and request not in self._begun:
            self._given_up.append((request, what))

    def look(self, *, over: bool) -> None:
        """All that one input caused is known; ``over``: the session with it, and then nothing can be asked for again."""
        for request, what in () if over else self._given_up:
            self._book.fail(2, f"request {request} ({what}) was given up with its line, and not asked for again")
        self._given_up.clear()

    def check(self) -> None:
        """The session is closed: nothing is left open."""
        for request, what in self._open.items():
            self._book.fail(2, f"request {request} ({what}) never settled")
