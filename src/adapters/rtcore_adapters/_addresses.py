"""The addresses of a host, in the order in which to try them (RFC 8305, happy eyeballs)."""

import socket
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

STAGGER_S = 0.25
"""How long one address may take before the next is tried beside it (RFC 8305, 5)."""

AddressInfo = tuple[int, int, int, str, Any]
"""One entry of what ``getaddrinfo`` returns."""


class Address(NamedTuple):
    """What a socket is made of, and connected to."""

    family: int
    type: int
    proto: int
    sockaddr: Any


def order_addresses(found: Sequence[AddressInfo]) -> list[Address]:
    """The resolver's order, its two families taken in turns, so that one that leads nowhere costs one stagger (RFC 8305, 4)."""
    kept = list(dict.fromkeys(Address(family, kind, proto, where) for family, kind, proto, _, where in found))
    first = [each for each in kept if each.family == kept[0].family]
    other = [each for each in kept if each.family != kept[0].family]
    return [each for pair in zip_longest(first, other) for each in pair if each is not None]


def worst(errors: Sequence[OSError], host: str) -> OSError:
    """What to tell of several attempts: not that a network is unreachable, which a machine without IPv6 says of every host."""
    if not errors:
        return socket.gaierror(socket.EAI_NONAME, f"{host} has no address")
    return next((each for each in errors if isinstance(each, ConnectionError | TimeoutError)), errors[0])
