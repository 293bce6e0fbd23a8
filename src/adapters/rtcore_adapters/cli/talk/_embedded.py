"""The simulated server for one talk: in this process, on loopback, in a thread with a loop of its own."""

from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from functools import partial

from anyio.from_thread import start_blocking_portal

from rtcore.sim.server import ServerOptions
from rtcore_adapters.cli.serve import serve


@contextmanager
def embedded(*, seed: int, options: ServerOptions) -> Iterator[str]:
    """Serve while this lasts; gives the base address. Raises what ``serve`` raises."""
    with start_blocking_portal("asyncio", name="rtcore server") as portal:
        serving, port = portal.start_task(partial(serve, seed=seed, options=options))
        try:
            yield f"ws://127.0.0.1:{port}"
        finally:
            serving.cancel()
            with suppress(CancelledError):
                serving.result()
