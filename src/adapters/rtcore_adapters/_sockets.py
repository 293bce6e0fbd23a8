"""A TCP connection to whichever address of a host answers first (RFC 8305), for a thread that may block; and what a connection is
set to, whoever opened it."""

import os
import selectors
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from rtcore_adapters._addresses import STAGGER_S, Address, worst

NOT_SENT = 16 * 1024
"""Bytes that the kernel may hold and has not sent yet; trio's own figure."""


_READ = 64 * 1024
_OF_THREAD = threading.local()


def shared_buffer() -> memoryview:
    """What a thread's lines are read into, one after the other: each is dealt with before the next is read, and nothing of a view
    is kept. One of its own for every line would be the largest thing that a quiet conversation holds.
    """
    buffer: memoryview | None = getattr(_OF_THREAD, "buffer", None)
    if buffer is None:
        buffer = _OF_THREAD.buffer = own_buffer()
    return buffer


def own_buffer() -> memoryview:
    """For a line whose reads are begun long before they end, beside those of others."""
    return memoryview(bytearray(_READ))


def tune(opened: socket.socket) -> None:
    """Send at once, and let what cannot be sent wait in the outbox: a cancel overtakes nothing in the kernel.

    Without the second, a line that stalls takes a minute of speech into the kernel's buffer, which grows to megabytes.
    """
    if opened.family in (socket.AF_INET, socket.AF_INET6):  # whoever dials may give a socket of another kind
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(AttributeError, OSError):  # Linux and macOS have it
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOT_SENT)


def connect_any(
    addresses: Sequence[Address],
    host: str,
    *,
    stagger_s: float = STAGGER_S,
    timeout_s: float | None = None,
    stop: socket.socket | None = None,
) -> socket.socket:
    """A connected socket, which does not block; every other one that was tried is closed.

    The addresses are tried in their order, the next when one has failed or ``stagger_s`` have passed. Raises ``OSError``: of one
    address its own, of several the one that says most (``host`` is named where there is none); ``TimeoutError`` after
    ``timeout_s``; ``InterruptedError`` as soon as there is something to read from ``stop``, which is left unread.
    """
    waiting = list(addresses)
    errors: list[OSError] = []
    tried: set[socket.socket] = set()
    end = None if timeout_s is None else time.monotonic() + timeout_s
    with selectors.DefaultSelector() as selector:
        if stop is not None:
            selector.register(stop, selectors.EVENT_READ)
        try:
            stagger = 0.0  # when the next is due; one without company is due at once
            while waiting or tried:
                now = time.monotonic()
                if end is not None and now >= end:
                    raise TimeoutError(f"{host} did not answer in {timeout_s:g} s")
                if waiting and (now >= stagger or not tried):
                    stagger = now + stagger_s
                    try:
                        tried.add(_begun(waiting.pop(0), selector))
                    except OSError as error:
                        errors.append(error)
                    continue
                dues = [due for due in (end, stagger if waiting else None) if due is not None]
                for key, _ in selector.select(max(0.0, min(dues) - now) if dues else None):
                    if key.fileobj is stop:
                        raise InterruptedError(f"dialling {host} was given up")
                    found = key.fileobj
                    assert isinstance(found, socket.socket)
                    tried.discard(found)
                    selector.unregister(found)
                    if (code := found.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) == 0:
                        return found
                    found.close()
                    errors.append(OSError(code, os.strerror(code)))
                    stagger = 0.0
            raise worst(errors, host)
        finally:
            for loser in tried:
                loser.close()


def _begun(address: Address, selector: selectors.BaseSelector) -> socket.socket:
    """A socket on its way to the address. Writable, once that is decided; a connection to this machine may be already."""
    found = socket.socket(address.family, address.type, address.proto)
    try:
        found.setblocking(False)
        with suppress(BlockingIOError, InterruptedError):  # it has begun
            found.connect(address.sockaddr)
        selector.register(found, selectors.EVENT_WRITE)
    except BaseException:
        found.close()
        raise
    return found
