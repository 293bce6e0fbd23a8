"""What we asked of the server and what it has not answered yet.

Two numbers must not be confused: a *request* is what the program waits for and settles exactly once (invariant 2); a *pending
event* is one client event that the server answers by an event or an error. An error is matched to its event by ``event_id``,
then by the item that its text names, then by its kind to the oldest one unanswered (facts 6, F046).
"""

from collections.abc import Iterable
from typing import Any, Literal

from msgspec import Struct

from rtcore._effects import Effect
from rtcore._errors import ErrorKind
from rtcore._notices import Outcome, Problem, RequestEnded
from rtcore._timers import Timers

Kind = Literal["update", "item", "response", "delete", "truncate", "cancel", "commit", "clear", "clear playout", "retrieve"]

_KIND_OF_ERROR: dict[ErrorKind, Kind] = {
    ErrorKind.ACTIVE_RESPONSE: "response",
    ErrorKind.CANCEL_NOT_ACTIVE: "cancel",
    ErrorKind.COMMIT_EMPTY: "commit",
    ErrorKind.DELETE_NOT_FOUND: "delete",
    ErrorKind.TRUNCATE_TOO_LONG: "truncate",
    ErrorKind.TRUNCATE_NO_AUDIO: "truncate",
    ErrorKind.TRUNCATE_NOT_FOUND: "truncate",
    ErrorKind.TRUNCATE_REPEATED: "truncate",
    ErrorKind.DUPLICATE_ITEM: "item",
    ErrorKind.BAD_PREDECESSOR: "item",
}


_OF_ITEMS: tuple[Kind, ...] = ("truncate", "delete", "retrieve")
"""What an error about an item that is not there may answer."""

_KIND_OF_PARAM: dict[str, Kind] = {"session": "update", "item": "item", "response": "response"}
"""The command that a parameter path belongs to: "session.audio.input" can only be of a session.update."""


_DIGITS = 16
"""No counter gets so far."""


class Pending(Struct, gc=False):
    """A client event without its answer.

    ``edit`` marks a truncate or delete of ours: creations wait for it (DESIGN 3). ``changes`` are the options of an update, which
    count as asked for once it is acknowledged.
    """

    event_id: str
    kind: Kind
    request: int | None = None
    key: str = ""
    edit: bool = False
    due: float | None = None
    changes: dict[str, Any] | None = None
    batch: int = 0
    """The program's edit that it is a part of."""


class Requests:
    """The open requests and the pending events."""

    def __init__(self, tag: str, news: list[Effect], timers: Timers) -> None:
        self._tag = tag
        self.event_prefix = f"event_{tag}_"
        self._news = news
        self._timers = timers
        self._events = 0
        self._numbers = 0
        self._open: dict[int, None] = {}
        self._pending: dict[str, Pending] = {}
        self._edits = 0
        self.answered = 0
        """The latest event that was answered, by its number."""
        self.created = 0
        """The latest ``response.create`` that was answered, by its number."""

    @property
    def issued(self) -> int:
        """So many event ids were given."""
        return self._events

    def event_number(self, event_id: str) -> int:
        """Which of them this is, from 1 on."""
        return int(event_id.removeprefix(self.event_prefix))

    def event_id(self) -> str:
        """A fresh event id, from the seeded counter."""
        self._events += 1
        return f"{self.event_prefix}{self._events}"

    def item_id(self) -> str:
        """A fresh item id of ours (at most 32 characters, facts 3.2)."""
        self._events += 1
        return f"item_{self._tag}_{self._events}"

    def pass_over(self, item_ids: Iterable[str]) -> None:
        """These items are known: no fresh id is one of theirs, though another session of the same seed gave it."""
        ours = f"item_{self._tag}_"
        numbers = [each.removeprefix(ours) for each in item_ids if each.startswith(ours)]
        self._events = max([self._events, *(int(number) for number in numbers if number.isdecimal() and len(number) < _DIGITS)])

    def open(self) -> int:
        """A fresh request number."""
        number = self.number()
        self._open[number] = None
        return number

    def number(self) -> int:
        """A number for a creation that nobody waits for."""
        self._numbers += 1
        return self._numbers

    def is_open(self, request: int) -> bool:
        """Whether the request has not settled."""
        return request in self._open

    def end(
        self,
        request: int | None,
        outcome: Outcome,
        *,
        problem: Problem | None = None,
        response_id: str | None = None,
        item_id: str | None = None,
    ) -> None:
        """Settle a request; what is settled, or nobody's, stays silent."""
        if request is not None and request in self._open:
            del self._open[request]
            self._news.append(RequestEnded(request, outcome, problem, response_id, item_id))

    def end_all(self, outcome: Outcome, problem: Problem | None) -> None:
        """The session is over: everything open settles."""
        self._pending.clear()
        self._edits = 0
        for request in list(self._open):
            self.end(request, outcome, problem=problem)

    def line_lost(self) -> list[Pending]:
        """Nothing answers any more: gives what was pending, oldest first. The requests stay open."""
        pending = list(self._pending.values())
        self._pending.clear()
        self._edits = 0
        self._timers.cancel("answer to a command")
        return pending

    @property
    def waiting(self) -> bool:
        """Whether anything was asked for that has not come to its end."""
        return bool(self._open or self._pending)

    @property
    def editing(self) -> bool:
        """Whether a truncate or delete of ours is unacknowledged."""
        return self._edits > 0

    @property
    def due(self) -> float | None:
        """When the earliest pending event is given up."""
        return min((p.due for p in self._pending.values() if p.due is not None), default=None)

    def expect(self, pending: Pending) -> None:
        """Wait for the answer to a client event."""
        self._pending[pending.event_id] = pending
        self._edits += pending.edit
        if pending.due is not None:
            self._timers.set_earlier("answer to a command", pending.due)

    def take(self, event_id: str | None) -> Pending | None:
        """The pending event of that id is answered; it is pending no more."""
        found = self._pending.get(event_id) if event_id else None
        if found is not None:
            self._drop(found)
            number = self.event_number(found.event_id)
            self.answered = max(self.answered, number)
            if found.kind == "response":
                self.created = max(self.created, number)
        return found

    def _drop(self, pending: Pending) -> None:
        del self._pending[pending.event_id]
        self._edits -= pending.edit
        if self.due is None:
            self._timers.cancel("answer to a command")

    def take_first(self, kind: str, key: str | None = None) -> Pending | None:
        """The oldest pending event of a kind (and key)."""
        for pending in self._pending.values():
            if pending.kind == kind and (key is None or pending.key == key):
                return self.take(pending.event_id)
        return None

    def keys(self, kind: Kind) -> list[str]:
        """What the pending events of a kind are about, oldest first."""
        return [pending.key for pending in self._pending.values() if pending.kind == kind]

    def outrun(self, pending: Pending) -> bool:
        """Whether a response that was asked for behind it has its answer: "nothing is active" of a cancel would have come before,
        because it holds of the moment in which the server reads it."""
        return self.event_number(pending.event_id) < self.created

    def cancels(self) -> list[str]:
        """The responses whose cancels may still be answered, oldest first."""
        return [each.key for each in self._pending.values() if each.kind == "cancel" and not self.outrun(each)]

    def only(self, kind: Kind) -> Pending | None:
        """The pending event of a kind, where no other is pending of any."""
        pending = next(iter(self._pending.values()), None)
        return pending if pending is not None and pending.kind == kind and len(self._pending) == 1 else None

    def hurry(self, pending: Pending, due: float) -> None:
        """Wait for this answer no longer than that."""
        pending.due = due if pending.due is None else min(pending.due, due)
        self._timers.set_earlier("answer to a command", pending.due)

    def updates(self) -> list[dict[str, Any]]:
        """What the updates of the session that the server has not answered ask for, oldest first."""
        return [pending.changes for pending in self._pending.values() if pending.kind == "update" and pending.changes]

    def take_for_error(
        self, event_id: str | None, kind: ErrorKind, item_id: str | None, param: str | None, command: str = ""
    ) -> Pending | None:
        """The client event that an error answers; ``command`` is its kind, where the dialect's table says it."""
        found = self.take(event_id)
        if found is not None or (event_id or "").startswith(self.event_prefix):
            # An event of ours that waits no more: the error must not be laid to another.
            return found
        if kind is ErrorKind.ITEM_NOT_FOUND:
            fits = [p for p in self._pending.values() if p.kind in _OF_ITEMS and item_id in (None, p.key)]
            return self.take(fits[0].event_id) if fits else None
        candidate = _KIND_OF_ERROR.get(kind) or command or _KIND_OF_PARAM.get((param or "").partition(".")[0])
        if not candidate:
            return None
        # A refused predecessor is named in the text, not the item that was to follow it.
        named = item_id if kind is not ErrorKind.BAD_PREDECESSOR else None
        return self.take_first(candidate, named)

    def overdue(self, now: float) -> list[Pending]:
        """Take out what was not answered in time."""
        late = [p for p in self._pending.values() if p.due is not None and p.due <= now]
        for pending in late:
            self._drop(pending)
        return late
