"""The stage on the real clock, in a thread of its own: for every client that is not run in virtual time."""

import select
import socket
import threading
import time

from rtcore_adapters.testing._stage import Stage


class RealTime:
    """Runs until ``stop``. ``lock`` is held while the stage acts; take it to look at the stage or to change it, then ``wake``."""

    def __init__(self, stage: Stage) -> None:
        self.lock = threading.RLock()
        self._stage = stage
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="realtime_server", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something has changed."""
        self._far.send(b"\0")

    def stop(self) -> None:
        """Come back when the thread has ended."""
        self._stopping = True
        self.wake()
        self._thread.join()
        self._near.close()
        self._far.close()

    def _work(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        except Exception as error:
            with self.lock:
                self._stage.problems.append(f"the server broke: {type(error).__name__}: {error}")
                self._stage.close()

    def _turn(self) -> None:
        with self.lock:
            self._stage.carry(time.monotonic())
            while (due := self._stage.next_at) is not None and due <= time.monotonic():
                self._stage.step(time.monotonic())
            sockets = list(self._stage.sockets)
        reading = [self._near, *(each for each, _ in sockets)]
        writing = [each for each, writes in sockets if writes]
        patience = None if due is None else max(0.0, due - time.monotonic())
        ready, _, _ = select.select(reading, writing, [], patience)
        if self._near in ready:
            self._near.recv(4096)
