"""Why a socket could not be opened or broke, in words: what happened, and what to do about it."""

import errno
import socket
import ssl

from rtcore_adapters._tls import NO_TLS, tls_fault, tls_reason
from rtcore_adapters._words import bracketed


def dial_fault(error: Exception, host: str, port: int, *, secure: bool = False, proxy: bool = False) -> tuple[str, str]:
    """The error of a connection attempt as (what happened, remedy). Neither holds more than host and port.

    ``secure``: TLS was spoken, so that a peer that hung up at once may be one that speaks none. ``proxy``: a proxy was dialled,
    and not the server of the URL.
    """
    where, url, name, both, it = f"{bracketed(host)}:{port}", "the URL", "the host name", "the host and the port", "the server"
    if proxy:
        where, url, name, both, it = f"the proxy {where}", "the proxy", "the proxy's host name", "the proxy's host and port", "it"
    if isinstance(error, ssl.SSLError):
        fault = tls_fault(error, where)
        return fault.error, fault.remedy
    if secure and isinstance(error, ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
        return f"{where} broke off the TLS handshake", NO_TLS
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"{name} {host!r} could not be resolved", f"check {url}'s host and this machine's name service"
    # With several addresses asyncio joins the errors into one text.
    if isinstance(error, ConnectionRefusedError) or f"[Errno {errno.ECONNREFUSED}]" in str(error):
        return f"nothing listens on {where}: connection refused", f"check {both}, and that {it} runs"
    if isinstance(error, TimeoutError):
        return f"{where} did not answer", f"check {both}, and that the network lets the connection through"
    return f"{where} could not be reached: {line_fault(error)}", "check the network and " + (
        "the proxy's URL" if proxy else "the URL"
    )


def line_fault(error: Exception | None) -> str:
    """The error of an established connection, in words; None means that it ended without one."""
    if error is None:
        return "the connection was closed"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {tls_reason(error)}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if isinstance(error, ConnectionResetError):
        return "the connection was reset by the other side"
    return str(error) or type(error).__name__
