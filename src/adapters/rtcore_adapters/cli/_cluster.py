"""The same campaign past one machine: batches of worlds on the workers of a Dask cluster.

The scheduler may run a batch twice, or on a worker that dies with it. A batch is known by its seeds, its result is taken once and
in its place, and a world is the same wherever it runs: so the sum is that of one process, to the bit, and every world counts
once.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any
from uuid import uuid4

from rtcore_adapters._extras import install
from rtcore_adapters.cli._pool import Runner, batches
from rtcore_adapters.cli._store import fingerprint
from rtcore_adapters.cli._worlds import Work, Worlds, run_batch, unpacked

_CONNECT_S = 10
_WORKERS_S = 60
_LOOK_EVERY_S = 2.0
_AHEAD = 3
"""Tasks per thread of the cluster that are handed out ahead."""
_TRIES = 5
"""Workers that may die with the same batch, each time after the scheduler's own three tries."""


class ClusterError(Exception):
    """The cluster cannot be used, or not any more: the text says why, and what to do."""


def run_on_worker(version: str, work: Work) -> bytes:
    """``run_batch``, on a worker of the same version. Raises ``ClusterError`` on another."""
    if fingerprint() != version:
        raise ClusterError(f"a worker runs another version of rtcore ({fingerprint()}, here it is {version}): install the same")
    return run_batch(work)


class Cluster:
    """A connection to a scheduler. ``close`` it."""

    def __init__(self, address: str) -> None:
        """Connect, and wait for a worker. Raises ``ClusterError``."""
        try:
            self._dask: Any = import_module("distributed")
        except ModuleNotFoundError:
            raise ClusterError(f"--scheduler needs the package distributed: {install('cluster')}") from None
        try:
            self._client = self._dask.Client(address, timeout=_CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise ClusterError(f"no scheduler answers at {address}: {str(error) or 'it took too long'}") from None
        try:
            self._client.wait_for_workers(1, timeout=_WORKERS_S)
        except TimeoutError:
            self.close()
            raise ClusterError(f"the scheduler at {address} has had no worker for {_WORKERS_S} s: start one") from None
        self._address = address
        self._looked = 0.0
        self._threads = 1

    def close(self) -> None:
        """Hang up; what still runs there is of no use any more."""
        with suppress(TimeoutError, OSError):
            self._client.close(timeout=_CONNECT_S)

    def threads(self) -> int:
        """How many batches run at once; workers come and go."""
        if time.monotonic() - self._looked >= _LOOK_EVERY_S:
            self._threads = max(1, sum(self._client.nthreads().values()))
            self._looked = time.monotonic()
        return self._threads

    @property
    def runner(self) -> Runner:
        """Runs worlds there. A batch that cannot be had raises ``ClusterError``."""

        @contextmanager
        def run(work: Work) -> Iterator[Iterator[Worlds]]:
            ahead: deque[_Batch] = deque()
            try:
                yield self._in_order(work, ahead)
            finally:
                with suppress(TimeoutError, OSError, CancelledError):
                    self._client.cancel([batch.future for batch in ahead])

        return run

    def _in_order(self, work: Work, ahead: "deque[_Batch]") -> Iterator[Worlds]:
        # Names of this campaign alone: a scheduler gives the result of an older task of the same name, whatever it was.
        campaign = f"rtcore-{uuid4().hex}"
        for batch in batches(work):
            ahead.append(_Batch(batch, campaign, self._submit))
            while len(ahead) >= _AHEAD * self.threads():
                yield from self._taken(ahead[0])
                ahead.popleft()

    def _submit(self, work: Work, name: str) -> Any:
        return self._client.submit(run_on_worker, fingerprint(), work, key=name, pure=False)

    def _taken(self, batch: "_Batch") -> Iterator[Worlds]:
        found = unpacked(self._result(batch))
        seeds = [worlds[0].seed for worlds in found]
        if seeds != list(range(batch.work.first, batch.work.first + batch.work.count)):
            raise ClusterError(f"a worker gave the worlds {seeds} for {batch.work}")
        yield from found

    def _result(self, batch: "_Batch") -> bytes:
        while True:
            try:
                packed: bytes = batch.future.result()
            except (self._dask.KilledWorker, CancelledError) as error:
                # Lost with its workers, or with what the scheduler knew of it: the same worlds again, under a new name.
                if self._client.status != "running":
                    raise ClusterError(f"the scheduler at {self._address} is gone") from None
                if batch.tries >= _TRIES:
                    seeds = f"{batch.work.first} to {batch.work.first + batch.work.count - 1}"
                    raise ClusterError(f"workers die with the worlds {seeds}: {error}") from None
                batch.again()
            except ModuleNotFoundError as error:
                raise ClusterError(f"a worker has no {error.name}: install rtcore there, in the same version") from None
            except OSError as error:  # a closed connection is one, too
                raise ClusterError(f"the scheduler at {self._address} is gone: {error}") from None
            else:
                return packed


class _Batch:
    """Some worlds on their way, under a name that no other task has."""

    def __init__(self, work: Work, campaign: str, submit: Callable[[Work, str], Any]) -> None:
        self.work = work
        self.tries = 0
        self._campaign, self._submit = campaign, submit
        self.again()

    def again(self) -> None:
        """Hand it out (once more)."""
        self.tries += 1
        self.future = self._submit(self.work, f"{self._campaign}-{self.work.first}-{self.tries}")
