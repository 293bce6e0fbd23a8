"""A program's live conversations together, so that an option can be changed in all of them (S09).

For every runtime: a conversation is asked as by its own ``update``, and gives a request of its runtime. With threads it may be
used from any of them; otherwise from the thread that the conversations run on.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Generic, NamedTuple, TypeVar

from rtcore_adapters._commands import Commands

__all__ = ["Conversations", "Updated"]

_R = TypeVar("_R")


class Updated(NamedTuple, Generic[_R]):
    """What became of a change in one conversation: the ``request`` that settles with the server's answer, or why not."""

    conversation: Commands[_R]
    """Which one."""
    request: _R | None
    """As ``update`` of that conversation gives; None where it was refused."""
    refused: Exception | None = None
    """Why nothing was sent to it: a ``LocalProtocolError``, or whatever else its ``update`` raised."""


class Conversations(Generic[_R]):
    """The conversations that are held at present, in the order in which they joined. One that has ended leaves by itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[int, Commands[_R]] = {}

    def add(self, conversation: Commands[_R]) -> None:
        """From now on it is one of them. Twice is once."""
        with self._lock:
            self._held[id(conversation)] = conversation

    def discard(self, conversation: Commands[_R]) -> None:
        """It is none of them any more, if it was one."""
        with self._lock:
            self._held.pop(id(conversation), None)

    @contextmanager
    def joined(self, conversation: Commands[_R]) -> Iterator[None]:
        """One of them while this lasts."""
        self.add(conversation)
        try:
            yield
        finally:
            self.discard(conversation)

    def __iter__(self) -> Iterator[Commands[_R]]:
        """Those that have not ended."""
        with self._lock:
            held = list(self._held.values())
        for conversation in held:
            if conversation.state == "closed":
                self.discard(conversation)
            else:
                yield conversation

    def __len__(self) -> int:
        """How many there are."""
        return sum(1 for _ in self)

    def update(self, changes: Mapping[str, object]) -> list[Updated[_R]]:
        """Change options of the session in all of them; to each is sent what changes there, and nothing where nothing does.

        One that cannot change (a voice that has spoken, an option that its dialect does not have) is refused before anything is
        sent to it, and the others change all the same: look at ``refused``. What each server acknowledges counts, and where it
        differs that conversation tells ``OptionDiffers``.
        """
        made = []
        for conversation in self:
            try:
                made.append(Updated(conversation, conversation.update(changes)))
            except Exception as refused:  # one that fails, however it does, keeps no other from changing
                made.append(Updated(conversation, None, refused))
        return made
