"""A TCP connection, from a thread that may block."""

import socket

from rtcore_adapters._addresses import order_addresses
from rtcore_adapters._sockets import connect_any


def open_socket(host: str, port: int, *, stop: socket.socket | None = None) -> socket.socket:
    """A socket connected to whichever address of the host answers first. Raises ``OSError``.

    Something to read from ``stop`` ends the attempt, but not the lookup of the name before it, which nothing can end.
    """
    addresses = order_addresses(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    return connect_any(addresses, host, stop=stop)
