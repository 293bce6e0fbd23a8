"""Which answers may stand, and which requests are one: two decisions of ``rtcore.policies``, with their views and defaults."""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

Stale = Literal["accept", "recreate"]
"""What becomes of a stale answer: it stands, or it is cancelled unheard and asked for again after our edits."""


class ContextView(Struct, frozen=True):
    """What is known when the server has begun a response by itself although an edit of ours is unsettled: the model may answer
    words that nobody heard (DESIGN 3). Nothing of it was heard yet.
    """

    response_id: str
    context: Literal["auto", "exact"]
    """``Config.context``"""
    stale_context: Stale
    """``Config.stale_context``"""
    unheard_ms: int | None
    """So much sound the server takes for heard, of what was cut, and nobody heard it; None while the clock has not said how much
    that is."""


def context(view: ContextView) -> Stale:
    """The default: with ``context="exact"`` such a response never stands, else as ``stale_context`` says."""
    return "recreate" if view.context == "exact" else view.stale_context


def checked(own: Callable[[ContextView], Stale]) -> Callable[[ContextView], Stale]:
    """A program's own policy, with an answer that is none told as such."""
    if own is context:
        return own

    def answer(view: ContextView) -> Stale:
        given = own(view)
        if given not in ("accept", "recreate"):
            raise ValueError(f'{given!r} is not "accept" or "recreate"')
        return given

    return answer


class Wanted(Struct, frozen=True):
    """A response that the program asked for, and that waits for its turn."""

    request: int
    """The number of its request."""
    plain: bool
    """It was asked for without options, neither held back nor uninterruptible: whatever the model says next is its answer."""


class CreationView(Struct, frozen=True):
    """What waits when one more response is asked for while another runs, or while edits are unsettled.

    Answers that nobody asked for by name (to a turn, to function results) are none of these: they are one in any case (C15).
    """

    waiting: tuple[Wanted, ...]
    """In the order in which they were asked for; the last is new."""
    coalesce: Literal["automatic", "plain"]
    """``Config.coalesce``"""


def creation(view: CreationView) -> tuple[int, ...]:
    """Which requests are not asked for, because a later one is: they end as ``superseded``.

    The default: none, or with ``coalesce="plain"`` every plain one but the newest.
    """
    plain = [wanted.request for wanted in view.waiting if wanted.plain]
    return tuple(plain[:-1]) if view.coalesce == "plain" else ()


def of_waiting(own: Callable[[CreationView], tuple[int, ...]]) -> Callable[[CreationView], tuple[int, ...]]:
    """A program's own policy, with a number that is of no request in the view told as such."""
    if own is creation:
        return own

    def answer(view: CreationView) -> tuple[int, ...]:
        given: object = own(view)
        waiting = [wanted.request for wanted in view.waiting]
        if not isinstance(given, tuple) or not all(type(request) is int and request in waiting for request in given):
            raise ValueError(f"{given!r} is no tuple of requests that wait; these do: {waiting}")
        return given

    return answer
