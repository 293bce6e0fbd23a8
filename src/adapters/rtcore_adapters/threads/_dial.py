"""A TCP connection, from a thread that may block."""

import socket


def open_socket(host: str, port: int) -> socket.socket:
    """A connected socket. Raises ``OSError``."""
    return socket.create_connection((host, port))
