"""A program of trio's on the bench."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from rtcore_adapters._extras import missing

try:
    import trio
except ModuleNotFoundError as error:
    raise missing("runtime='trio'", error.name, "trio") from None

from rtcore_adapters.testing._virtual import Jumper
from rtcore_adapters.testing._virtual_trio import run_trio

T = TypeVar("T")
Over = Callable[[Callable[[float], Awaitable[object]]], Coroutine[Any, Any, None]]


def run_within(main: Callable[[], Coroutine[Any, Any, T]], jumper: Jumper, within: float, over: Over | None) -> T | None:
    """What ``main`` returns, or None where ``over`` was first. ``TimeoutError`` after so many virtual seconds."""

    async def both() -> T | None:
        try:
            with trio.fail_after(within):
                if over is None:
                    return await main()
                return await _first(main, over)
        except trio.TooSlowError:
            raise TimeoutError(f"the program has not ended after {within:g} s of virtual time") from None

    return run_trio(both, jumper=jumper)


async def _first(main: Callable[[], Coroutine[Any, Any, T]], over: Over) -> T | None:
    result: T | None = None
    failed: BaseException | None = None

    async def end() -> None:
        await over(trio.sleep)
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(end)
        try:
            result = await main()
        except Exception as error:  # raised behind the nursery, which would wrap it
            failed = error
        nursery.cancel_scope.cancel()
    if failed is not None:
        raise failed
    return result
