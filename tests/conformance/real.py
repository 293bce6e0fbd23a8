"""A script played on the real clock, from a thread of its own, to an adapter that runs in others.

What virtual time does by its rule is done by waiting here: before the next input, the adapter has read what was written and has
dealt with it.
"""

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from conformance.player import Player

_LOOK = 0.0005
_PATIENCE = 20.0
"""Real seconds after which a run is given up."""


class Conductor:
    """Plays a player's steps in real time; ``dealt_with`` comes back when the adapter has dealt with all it was told."""

    def __init__(self, player: Player, dealt_with: Callable[[Any], object]) -> None:
        self.player = player
        self.error: BaseException | None = None
        self._dealt_with = dealt_with
        self._dialled = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="conductor", daemon=True)
        self._thread.start()

    def dial(self, host: str, port: int) -> socket.socket:
        """What the adapter dials with."""
        near = self.player.dial(host, port)
        self._near = near
        self._dialled.set()
        return near

    def finish(self) -> None:
        """The conversation has ended: no more steps. Raises what went wrong."""
        self._over.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            self._play()
        except BaseException as error:
            self.error = error
            self.player.hang_up()

    def _play(self) -> None:
        self._wait_for(self._dialled.is_set, "nobody dialled")
        began = time.monotonic()
        while not self._over.is_set():
            at = self.player.next_at
            now = time.monotonic() - began
            if self.player.carry(now):
                continue
            if at is None or at > now:
                time.sleep(_LOOK if at is None else min(at - now, _LOOK))
                continue
            if self.player.next_is_a_command:
                self._wait_for(lambda: self.player.conversation is not None or self._over.is_set(), "it did not become ready")
            if not self.player.has_its_request:
                continue
            if self._over.is_set():
                return
            self.player.step(now)
            self._settle()
            self.player.lateness = max(self.player.lateness, time.monotonic() - began - at)

    def _settle(self) -> None:
        self._wait_for(lambda: not _unread(self._near) or self._over.is_set(), "the adapter does not read")
        if self.player.conversation is not None:
            self._dealt_with(self.player.conversation)
        else:
            time.sleep(0.005)

    def _wait_for(self, done: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + _PATIENCE
        while not done():
            if time.monotonic() > until:
                raise TimeoutError(f"{self.player.script.name}: {what}")
            self.player.carry(0.0)
            time.sleep(_LOOK)


def _unread(near: socket.socket) -> bool:
    """Whether something lies in the adapter's socket that it has not read."""
    try:
        return bool(near.recv(1, socket.MSG_PEEK))
    except OSError:  # it would block, or the adapter has let go of it
        return False
