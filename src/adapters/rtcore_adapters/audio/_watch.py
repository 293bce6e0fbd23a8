"""One open stream: noticing that it has died, having it back, changing it for another.

PortAudio opens and closes devices in its own time, which may be seconds where a driver hangs. So after the first opening this
happens in a short-lived thread beside the runtime; ``tick`` picks up what came of it. The device's callbacks are not concerned.
"""

import logging
from collections.abc import Callable, Sequence
from threading import Lock, Thread
from typing import Generic, Literal, Protocol, TypeVar

from rtcore_adapters.audio._host import Device, DeviceError, Host, Kind, Stream, again, choose

STALL_S = 0.5
"""A device that has not called for so long is dead, although it says that it is active."""
_START_S = 3.0  # ... but a sound server may take its time to wake up: PulseAudio was seen to take 2 s for the first block
_STEP_S = 0.1  # of a stall, one tick counts no more: a program that was suspended has not waited for the device
_FIRST_S, _MOST_S = 0.1, 5.0  # back-off between two attempts to have a device back
_LOOK_S = 0.02  # how often an attempt that is under way is looked at

_log = logging.getLogger("rtcore.devices")


class Calls(Protocol):
    """A ring, as far as it concerns the watch."""

    done: int
    """Callbacks that have ended."""


R = TypeVar("R", bound=Calls)


class Line(Generic[R]):
    """A device, its open stream, and the ring between it and the runtime."""

    def __init__(self, device: Device, stream: Stream, ring: R) -> None:
        self.device, self.stream, self.ring = device, stream, ring


Spawn = Callable[[Callable[[], None]], object]


def in_a_thread(work: Callable[[], None]) -> None:
    """Do it beside the runtime."""
    Thread(target=work, name="rtcore device", daemon=True).start()


class _Attempt(Generic[R]):
    """Opening a device, elsewhere. Whoever comes second, the result or the loss of interest in it, cleans up."""

    def __init__(self, work: Callable[[], Line[R]]) -> None:
        self._work = work
        self._lock = Lock()
        self._unwanted = False
        self.line: Line[R] | None = None
        self.error: DeviceError | None = None

    def run(self) -> None:
        line: Line[R] | None = None
        error: DeviceError | None = None
        try:
            line = self._work()
        except DeviceError as failure:
            error = failure
        except Exception as failure:  # a sound system's binding: whatever it raises, the device cannot be had
            error = DeviceError(f"{type(failure).__name__}: {failure}")
        with self._lock:
            self.line, self.error = line, error
            unwanted = self._unwanted
        if unwanted and line is not None:
            line.stream.close()

    def abandon(self) -> None:
        with self._lock:
            self._unwanted = True
            line = self.line
        if line is not None:
            line.stream.close()


class Watch(Generic[R]):
    """Keeps one stream of a kind open. All methods belong to the runtime's thread, but ``switch`` may be called from any."""

    def __init__(
        self, host: Host, kind: Kind, wanted: int | str | None, connect: Callable[[Device], Line[R]], spawn: Spawn
    ) -> None:
        self.line: Line[R] | None = None
        """What is open, or None while it is lost."""
        self.offered: Line[R] | None = None
        """What is to take its place (``switch``): ``adopt`` it when the present one may go."""
        self.last = choose(host.devices(), wanted, kind)
        """The device that is or was open last."""
        self._host, self._kind, self._connect, self._spawn = host, kind, connect, spawn
        self._named = wanted is not None
        self._attempt: _Attempt[R] | None = None
        self._target: tuple[Device, bool] | None = None  # what a switch wants, and whether somebody named it
        self._naming = self._named  # of what is being opened
        self._retry_at = 0.0
        self._pause = _FIRST_S
        self._checked = self._opened = 0.0
        self._calls = -1
        self._still = 0.0

    def open(self, *, now: float) -> Line[R]:
        """For the first time, here and now. Raises ``DeviceError``."""
        line = self._connect(self.last)
        self._take(line, now)
        return line

    @property
    def due(self) -> float | None:
        """When ``tick`` has something to do besides looking at the stream."""
        if self._attempt is not None or self._target is not None or self.offered is not None:
            return self._checked + _LOOK_S
        return self._retry_at if self.line is None else None

    def switch(self, wanted: int | str | None) -> None:
        """Another device, please: it is opened by the next ticks, and ``offered``. ``DeviceError`` where there is no such one."""
        self._target = (choose(self._host.devices(), wanted, self._kind), wanted is not None)

    def tick(self, *, now: float) -> Literal["lost", "ready"] | None:
        """Look after the stream. "lost": ``line`` is None from here on; "ready": there is one again."""
        self._listen_for_life(now)
        self._checked = now
        if self.line is not None and (why := self._death()) is not None:
            _log.warning("%s: %s: the device is lost", self.line.device.name, why)
            self._lose(now)
            return "lost"
        if self._attempt is not None and self._attempt.line is not None:
            line, self._attempt = self._attempt.line, None
            self._named = self._naming
            if self.line is not None:
                self.offered = line
                return None
            self._take(line, now)
            return "ready"
        if self._attempt is not None and self._attempt.error is not None:
            _log.warning("%s", self._attempt.error)
            self._attempt = None
            self._retry_at, self._pause = now + self._pause, min(2 * self._pause, _MOST_S)
        if self._attempt is None:
            self._try(now)
        return None

    def adopt(self, *, now: float) -> Line[R]:
        """The offered line becomes the present one, and the old one is closed."""
        assert self.offered is not None
        if self.line is not None:
            self._spawn(self.line.stream.close)
        line, self.offered = self.offered, None
        self._take(line, now)
        return line

    def close(self) -> None:
        """Let everything go."""
        if self._attempt is not None:
            self._attempt.abandon()
            self._attempt = None
        for line in (self.line, self.offered):
            if line is not None:
                line.stream.close()
        self.line = self.offered = self._target = None

    # -- one at a time ----------------------------------------------------------------------------------------------------------

    def _take(self, line: Line[R], now: float) -> None:
        self.line, self.last = line, line.device
        self._pause = _FIRST_S
        self._opened = self._checked = now
        self._calls, self._still = -1, 0.0

    def _listen_for_life(self, now: float) -> None:
        if self.line is None:
            return
        calls = self.line.ring.done
        if calls == self._calls:
            self._still += min(max(0.0, now - self._checked), _STEP_S)
        else:
            self._calls, self._still = calls, 0.0

    def _death(self) -> str | None:
        assert self.line is not None
        if (failure := self.line.stream.failure) is not None:
            return failure
        patience = STALL_S if self._checked - self._opened > _START_S else _START_S
        return f"nothing was asked for in {self._still:.1f} s" if self._still > patience else None

    def _lose(self, now: float) -> None:
        assert self.line is not None
        stream, self.line = self.line.stream, None
        self._retry_at = now + self._pause
        if self.offered is not None:
            self._spawn(stream.close)
            self._attempt, self.offered = _arrived(self.offered), None
        elif self._attempt is not None:
            self._spawn(stream.close)  # a switch was under way: what it opens takes the place
        else:
            self._naming = self._named
            self._begin(lambda: self._instead_of(stream))

    def _try(self, now: float) -> None:
        if self.offered is not None:
            return  # one change at a time
        if self._target is not None:
            (target, self._naming), self._target = self._target, None
            if self.line is None:
                self.last, self._named = target, self._naming
            self._begin(lambda: self._connect(target))
        elif self.line is None and now >= self._retry_at:
            self._naming = self._named
            self._begin(self._again)

    def _begin(self, work: Callable[[], Line[R]]) -> None:
        self._attempt = _Attempt(work)
        self._spawn(self._attempt.run)

    def _instead_of(self, stream: Stream) -> Line[R]:
        stream.close()
        return self._again()

    def _again(self) -> Line[R]:
        """The same device; where nobody named one, else the default."""
        devices: Sequence[Device] = self._host.rescan()
        same = again(devices, self.last, self._kind)
        if self._named or same is not None:
            if same is None:
                raise DeviceError(f"{self.last.name}: it is not there")
            try:
                return self._connect(same)
            except DeviceError:
                if self._named:
                    raise
        return self._connect(choose(devices, None, self._kind))


def _arrived(line: Line[R]) -> _Attempt[R]:
    attempt: _Attempt[R] = _Attempt(lambda: line)
    attempt.run()
    return attempt
