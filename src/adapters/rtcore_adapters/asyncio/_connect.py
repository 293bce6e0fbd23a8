"""A TCP connection to whichever address of a host answers first (RFC 8305), on asyncio.

``loop.create_connection`` can do that on some loops and versions only, and may lose the socket of a winner when it is cancelled.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from rtcore_adapters._addresses import STAGGER_S, Address, order_addresses, worst

Dial = Callable[[str, int], Awaitable[socket.socket]]
"""Opens a socket to a host and a port."""


async def open_socket(host: str, port: int) -> socket.socket:
    """A connected socket. Raises ``OSError``: of one address its own, of several the one that says most."""
    loop = asyncio.get_running_loop()
    addresses = order_addresses(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    tries: set[asyncio.Task[socket.socket]] = set()  # those under way
    errors: list[OSError] = []
    try:
        while addresses or tries:
            if addresses:
                tries.add(loop.create_task(_connected(addresses.pop(0))))
            done, _ = await asyncio.wait(tries, timeout=STAGGER_S if addresses else None, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                tries.discard(each)
                try:
                    winner = each.result()
                except OSError as error:
                    errors.append(error)
                    continue
                for other in done & tries:
                    _let_go(other)
                tries -= done
                return winner
        raise worst(errors, host)
    finally:
        for each in tries:
            each.add_done_callback(_let_go)
            each.cancel()
        await asyncio.gather(*tries, return_exceptions=True)


async def _connected(address: Address) -> socket.socket:
    found = socket.socket(address.family, address.type, address.proto)
    try:
        found.setblocking(False)
        await asyncio.get_running_loop().sock_connect(found, address.sockaddr)
    except BaseException:
        found.close()
        raise
    return found


def _let_go(late: asyncio.Task[socket.socket]) -> None:
    """An attempt that nobody needs may have succeeded all the same."""
    if not late.cancelled() and late.exception() is None:
        late.result().close()
