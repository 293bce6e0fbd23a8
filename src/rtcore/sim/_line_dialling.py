"""When a long call dials, waits and changes over: the back-off, its budget, and the moment of a planned renewal.

Held: attempts are counted from the last completed response (B25), each wait is as long as its place in the row allows, a session
is renewed neither before its time nor long after it (B26), in the middle of anything only where no quiet moment came, and never
before the second line is there (invariants 7 and 12 have no say in it; these are of 15, as it is the listening that fails).
"""

from rtcore._notices import Reconnecting
from rtcore.sim._line_book import SECOND, Book, LineOptions
from rtcore.sim.speaker import MILLISECOND

FIRST_S, CAP_S, JITTER = 0.1, 10.0, 0.2
"""``reconnect.first_ms``, ``cap_ms``, ``jitter``: their defaults."""
POISONED_AFTER = 3
"""``reconnect.poisoned_after``"""
_LOOK = 300 * MILLISECOND
"""How exactly the moment is met."""
_RENEWAL_FIRST_S, _RENEWAL_CAP_S = 5.0, 300.0
"""The longest waits between second lines that did not come up; the budget of attempts is the same, and begins with the second."""
_ACKNOWLEDGED = 10 * SECOND
"""``timeouts.acknowledge_ms``: so long the last of them may take to be ready."""
_MISSES = 30 * SECOND
"""How much later than ``grace_s``, or than the next second line is due, a renewal may come."""


class Dialling:
    """Owner of the moments."""

    def __init__(self, book: Book, options: LineOptions) -> None:
        self._book = book
        self._options = options
        self._attempt = 0
        self._dial_at: int | None = None
        self._dialled_at = -1
        self._began_at: int | None = None
        self._ready_at = 0
        self._failures = 0
        self._seconds = 0
        self._next_at = 0
        self.given_up = False
        """No second line came up, and none is dialled any more: nothing is made good by a next session."""
        self.poisoned = False
        """So many errors came in a row that the session is to be renewed."""

    # -- back-off ----------------------------------------------------------------------------------------------------------------

    def worked(self) -> None:
        """A completed response reached the client."""
        self._attempt = self._failures = 0

    def failed(self) -> None:
        """A response that the server failed reached it."""
        self._failures += 1
        if self._failures >= POISONED_AFTER:
            self.poisoned = True

    def waits(self, notice: Reconnecting, *, ended: bool) -> None:
        """The session is about to dial again; ``ended``: the server had ended its session and said so, and nothing is wrong."""
        book = self._book
        book.saw("F091: connected, and lost before a response was completed", self._attempt > 0 and self._began_at is not None)
        self._attempt += 1
        if notice.attempt != self._attempt:
            book.fail(15, f"attempt {notice.attempt} follows {self._attempt - 1} since the last completed response")
            self._attempt = notice.attempt
        if self._attempt > self._options.attempts:
            book.fail(15, f"attempt {self._attempt} of {self._options.attempts}")
        longest = min(CAP_S, FIRST_S * 2.0 ** (self._attempt - 1))
        if ended and self._attempt == 1:
            longest = 0.0
        if not longest * (1 - JITTER) - 1e-9 <= notice.delay_s <= longest + 1e-9:
            book.fail(15, f"attempt {self._attempt} waits {notice.delay_s} s, and not up to {longest} s")
        at = book.now + int(notice.delay_s * SECOND)
        # Without a wait the dial stands before the notice, in one step of the session.
        self._dial_at = None if at == self._dialled_at else at
        self._began_at = None

    def dials(self, *, second: bool) -> None:
        """It dials; ``second``: while the present line is there."""
        at, self._dial_at = self._dial_at, None
        if second:
            self._dials_second()
        else:
            self._dialled_at = self._book.now
        if second or at is None:
            return
        if abs(self._book.now - at) > 2 * MILLISECOND:
            self._book.fail(15, f"it dials {(self._book.now - at) // MILLISECOND} ms off the wait that it told")

    def _dials_second(self) -> None:
        if self.given_up:
            self.given_up, self._seconds = False, 0  # another renewal, with a budget of its own
        wait = int(min(_RENEWAL_CAP_S, _RENEWAL_FIRST_S * 2.0**self._seconds) * SECOND)
        self._seconds += 1
        self._next_at = self._book.now + (wait if self._seconds <= self._options.attempts else _ACKNOWLEDGED)

    def second_refused(self) -> None:
        """A second line did not come up."""
        self.given_up = self._seconds > self._options.attempts

    def spent(self) -> None:
        """The session ended because nobody was there: only after the last attempt."""
        if self._attempt < self._options.attempts:
            self._book.fail(15, f"the session was given up after {self._attempt} of {self._options.attempts} attempts")
        else:
            self._book.saw("B25: the budget of attempts was spent")

    @property
    def renews(self) -> bool:
        """Whether a second line is made ready, or the next one is still to be dialled."""
        return self._seconds > 0 and not self.given_up and self._book.now <= self._next_at + _LOOK

    # -- renewal -----------------------------------------------------------------------------------------------------------------

    def second_ready(self) -> None:
        """The second line has its session."""
        self._ready_at = self._book.now

    def begins(self, *, planned: bool, quiet: bool) -> None:
        """A session begins, or goes on; ``quiet``: nobody spoke, and nothing was heard, when it did."""
        book, options = self._book, self._options
        if planned and self._began_at is not None and options.limit_s is not None and not self.poisoned:
            due = self._began_at + int(options.limit_s * SECOND)
            latest = due + int(options.grace_s * SECOND)
            if book.now < due - MILLISECOND:
                book.fail(15, f"renewed {(due - book.now) // MILLISECOND} ms before its time")
            elif not quiet and book.now < latest - MILLISECOND:
                book.fail(15, f"renewed in the middle of it, {(latest - book.now) // MILLISECOND} ms before it had to be")
            elif book.now > max(latest, self._ready_at) + _LOOK:
                book.fail(15, f"renewed {(book.now - max(latest, self._ready_at)) // MILLISECOND} ms later than it had to be")
        if planned and self.poisoned:
            book.saw("F092: a poisoned session was renewed")
        self._began_at = book.now
        self._failures = self._seconds = self._next_at = 0
        self.given_up = self.poisoned = False

    def look(self) -> None:
        """Is a renewal overdue?"""
        options, began = self._options, self._began_at
        if began is None or options.limit_s is None or options.gone_at_s is not None or self._seconds > options.attempts:
            return
        due = began + int((options.limit_s + options.grace_s) * SECOND)
        if self._book.now > max(due, self._next_at) + _MISSES:
            self._book.fail(15, f"a session that began at {began / SECOND:.3f} s is not renewed")
            self._began_at = None
