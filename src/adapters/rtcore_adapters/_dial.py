"""Why a socket could not be opened or broke, in words: what happened, and what to do about it."""

import errno
import socket

from rtcore_adapters._words import bracketed


def dial_fault(error: Exception, host: str, port: int, *, proxy: bool = False) -> tuple[str, str]:
    """The error of a TCP connection attempt as (what happened, remedy). Neither holds more than host and port.

    ``proxy``: a proxy was dialled, and not the server of the URL.
    """
    where, url, name, both, it = f"{bracketed(host)}:{port}", "the URL", "the host name", "the host and the port", "the server"
    if proxy:
        where, url, name, both, it = f"the proxy {where}", "the proxy", "the proxy's host name", "the proxy's host and port", "it"
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"{name} {host!r} could not be resolved", f"check {url}'s host and this machine's name service"
    # With several addresses asyncio joins the errors into one text.
    if isinstance(error, ConnectionRefusedError) or f"[Errno {errno.ECONNREFUSED}]" in str(error):
        return f"nothing listens on {where}: connection refused", f"check {both}, and that {it} runs"
    if isinstance(error, TimeoutError):
        return f"{where} did not answer", f"check {both}, and that the network lets the connection through"
    return f"{where} could not be reached: {line_fault(error)}", f"check the network and {url}"


def line_fault(error: Exception | None) -> str:
    """The error of an established connection, in words; None means that it ended without one."""
    if error is None:
        return "the connection was closed"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if isinstance(error, ConnectionResetError):
        return "the connection was reset by the other side"
    return str(error) or type(error).__name__
