"""The pump: a thread as the host of an engine. It owns the session, the sockets and the devices, and sleeps in one ``select``.

Other threads hand work over to it, through a queue and a byte that wakes it. Nothing of the program is called under a lock.
"""

import selectors
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from rtcore import Notice, ToolCalled
from rtcore_adapters._engine import Engine
from rtcore_adapters._line import Line
from rtcore_adapters._tools import failure
from rtcore_adapters.threads._inbox import Inbox
from rtcore_adapters.threads._request import Request
from rtcore_adapters.threads._waiting import Process, patience
from rtcore_adapters.threads._wire import Dial, Wire

T = TypeVar("T")


class Pump:
    """An engine, made by ``build``, on a thread of its own."""

    def __init__(self, build: "Callable[[Pump], Engine[Request]]", *, dial: Dial) -> None:
        self.engine = build(self)  # first: it refuses what cannot be used before there is something to close
        self._dial = dial
        self._process = Process()
        self._wires: dict[int, Wire] = {}
        self._at: float | None = None
        self._selector = selectors.DefaultSelector()
        self._inbox = Inbox()
        self._after = threading.Lock()  # after the end whoever calls does it himself, one after the other
        self._stopping = False
        self._news = threading.Condition()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="rtcore conversation", daemon=True)

    # -- what the engine asks -------------------------------------------------------------------------------------------------

    def time(self) -> float:
        return time.monotonic()

    def request(self, number: int) -> Request:
        return Request(number)

    def dial(self, line: Line) -> None:
        wire = self._wires[line.number] = Wire(
            line, self.engine, selector=self._selector, time=self.time, hand_over=self._inbox.put
        )
        wire.dial(self._dial)

    def write(self, line: Line) -> None:
        if (wire := self._wires.get(line.number)) is not None:
            wire.write()

    def abort(self, line: Line) -> None:
        if (wire := self._wires.get(line.number)) is not None:
            wire.abort()

    def arm(self, at: float | None) -> None:
        self._at = at

    def run(self, work: Awaitable[object], call: ToolCalled) -> None:
        error = TypeError("a tool of a program of threads has to be a plain function: nothing here awaits what it gave")
        self.hand_over(partial(self.engine.answer, call, failure(call, error)))

    def hand_over(self, work: Callable[[], None]) -> None:
        self._inbox.put(work)

    def tell(self) -> None:
        with self._news:
            self._news.notify_all()

    # -- the thread -----------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self.engine.adopt()
            self._inbox.listen(self._selector)
            while not (self._stopping and not self._wires):
                self._turn()
        except BaseException as error:
            self._failed = error
        finally:
            self._end()

    def _turn(self) -> None:
        """One sleep, and all there is to do: sockets first, then what other threads want, then time."""
        for key, events in self._selector.select(self._sleep_s()):
            key.data(events)
        self._inbox.work_off()
        now = self.time()
        for number, wire in list(self._wires.items()):
            if wire.patience is not None and wire.patience <= now:
                wire.abort()
            if wire.gone:
                del self._wires[number]
        if self._at is not None and self._at <= now:
            self.engine.wake()

    def _sleep_s(self) -> float | None:
        if self._inbox:
            return 0
        due = [wire.patience for wire in self._wires.values() if wire.patience is not None]
        due += [self._at] if self._at is not None else []
        return max(0, min(due) - self.time()) if due else None

    def _end(self) -> None:
        """Nothing is left of the thread's: the sound, the sockets, and those who wait."""
        try:
            self.engine.abort()
            self.engine.silence()
        except BaseException as error:
            self._failed = self._failed or error
        self._inbox.shut()
        self._selector.close()
        self._inbox.close()
        self.tell()

    # -- what other threads ask -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin. ``stop`` ends it, also where this was interrupted."""
        self._thread.start()
        self.call(self._open)

    def _open(self) -> None:
        if self._failed is not None:
            raise self._failed  # the thread could not even begin: no device is opened behind its end
        self.engine.start()

    def call(self, work: Callable[[], T]) -> T:
        """Do this on the pump's thread: what it gives, or, raised, its error. After the end it is done at once.

        Raises ``RuntimeError`` in a child of ``os.fork``.
        """
        self._process.check()
        if threading.get_ident() == self._thread.ident:
            return work()
        result: Future[T] = Future()

        def done() -> None:
            try:
                result.set_result(work())
            except BaseException as error:
                result.set_exception(error)

        if self._inbox.put(done):
            return result.result()
        self._thread.join()
        with self._after:
            self.engine.adopt()
            return work()

    def ready(self) -> None:
        """Until the session is ready; raises what ``Engine.is_ready`` raises."""
        with self._news:
            while not self._is_ready():
                self._news.wait()

    def _is_ready(self) -> bool:
        if self._failed is not None:
            raise self._failed
        return self.engine.is_ready()

    def next_notice(self, timeout_s: float | None = None) -> Notice | None:
        """The next notice; None after the last. Raises ``TimeoutError`` where none comes in time, ``ValueError`` for a time-out
        that is none, and ``RuntimeError`` in a child of ``os.fork``."""
        self._process.check()
        left = patience(timeout_s)
        until = None if left is None else self.time() + left
        with self._news:
            over = self.engine.over  # before each look: the last notice is put in before it is over
            while (notice := self.engine.take()) is None:
                if self._failed is not None:
                    raise self._failed
                if over:
                    return None
                left = None if until is None else until - self.time()
                if not self._news.wait(left) and left is not None and left <= 0:
                    raise TimeoutError(f"no notice came in {timeout_s:g} s")
                over = self.engine.over
        return notice

    def stop(self) -> None:
        """End everything: in order, or at once where a second Ctrl-C comes meanwhile. Comes back when nothing is left."""
        if not self._process.here:
            return  # sockets, devices and files are the parent's; what is done to them here is done to the parent

        def begin() -> None:
            self._stopping = True
            self.engine.close()

        try:
            if self._thread.is_alive():
                self.call(begin)
            elif not self._inbox.is_shut:
                # Ctrl-C while the thread was to begin. If it comes to life all the same, it ends at once.
                self._stopping = True
                self._end()
                return
            self._thread.join()
        except BaseException:
            self._stopping = True
            self.hand_over(self.engine.abort)
            self._thread.join()
            raise
        if self._failed is not None:
            raise self._failed
