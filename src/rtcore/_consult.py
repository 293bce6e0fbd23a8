"""Asking a policy: what a program's own function gets wrong never stops the session (``rtcore.policies``)."""

from collections.abc import Callable
from typing import TypeVar

from rtcore._core import Core
from rtcore._notices import PolicyFailed

V = TypeVar("V")
A = TypeVar("A")


def consult(core: Core, decision: str, own: Callable[[V], A], default: Callable[[V], A], view: V, *answer: type) -> A:
    """The answer of ``own``; where it raises or gives something else than an ``answer``, that is told and ``default`` decides."""
    if own is default:
        return default(view)
    try:
        given = own(view)
    except Exception as error:
        failed = f"{type(error).__name__}: {error}"[:500]
    else:
        if isinstance(given, answer):
            return given
        failed = f"gave {type(given).__name__}, not {' or '.join(kind.__name__ for kind in answer)}"
    core.news.append(PolicyFailed(decision, core.scrub(failed)))
    return default(view)
