"""The way to a server: what to dial, and which layers lie between that socket and the websocket.

Proxies come from an argument, or from the environment by the rules of websockets (and of urllib below it). Reading the
environment is an adapter's business, so this file stands here and not in the core.
"""

import functools
import ipaddress
import ssl as _ssl
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from websockets.exceptions import InvalidProxy
from websockets.proxy import Proxy, get_proxy, parse_proxy
from websockets.uri import WebSocketURI

from rtcore_adapters._layers import Layer
from rtcore_adapters._socks import SocksTunnel
from rtcore_adapters._tls import Tls
from rtcore_adapters._tunnel import HttpTunnel, Tunnel
from rtcore_adapters._words import bracketed

_SCHEMES = "http, https, socks5 or socks5h"
_SOCKS_PORT = 1080  # RFC 1928, 3; the library would take 80
_NO_TLS_PROXY = "if the proxy speaks no TLS on this port, use http:// in its URL"


class Route(Struct, frozen=True):
    """Dial ``host`` and ``port``, then talk through ``layers``, the first of which is next to the socket.

    ``proxied``: it is a proxy that is dialled.
    ``lookup`` is the name of the server where this machine has to resolve it for a proxy (``socks5://``): look it up, and give
    one of its addresses to ``resolved`` before the layers are asked for bytes. None for every other way.
    """

    host: str
    port: int
    layers: tuple[Layer, ...] = ()
    lookup: str | None = None
    proxied: bool = False

    def resolved(self, address: str) -> None:
        """The numeric address of ``lookup``."""
        for layer in self.layers:
            if isinstance(layer, SocksTunnel):
                layer.resolved(address)


def route(
    host: str,
    port: int,
    secure: bool,
    *,
    ssl: _ssl.SSLContext | None = None,
    proxy: str | bool | None = True,
    proxy_ssl: _ssl.SSLContext | None = None,
) -> Route:
    """The way to ``host`` and ``port``; ``secure`` for ``wss://``. A route is good for one connection: its layers hold its state.

    ``ssl`` verifies the server (default: this machine's authorities), ``proxy_ssl`` a proxy with an ``https://`` URL. ``proxy``
    is a URL, None for none, or True for what the environment says; that never applies to this machine itself (``localhost``,
    ``127.0.0.1``, ``::1``). Raises ``ValueError`` for a proxy URL or a context that cannot be used; it names the part, no value.
    """
    url = _from_environment(host, port, secure) if proxy is True else None if proxy is False else proxy
    way = None if url is None else _parsed(url, "the proxy of the environment" if proxy is True else "proxy")
    layers: list[Layer] = []
    lookup = None
    if way is not None:
        if way.scheme == "https":
            where = f"the proxy {bracketed(way.host)}:{way.port}"
            layers.append(Tls(proxy_ssl or _default_context(), way.host, where=where, no_tls=_NO_TLS_PROXY))
        layers.append(_tunnel(way, host, port, secure))
        if way.scheme == "socks5" and not _is_address(host):
            lookup = host
    if secure:
        layers.append(Tls(ssl or _default_context(), host, where=f"{bracketed(host)}:{port}"))
    return Route(way.host if way else host, way.port if way else port, tuple(layers), lookup, way is not None)


def _tunnel(proxy: Proxy, host: str, port: int, secure: bool) -> Tunnel:
    if proxy.scheme in ("http", "https"):
        return HttpTunnel(proxy, host, port, secure=secure)
    return SocksTunnel(proxy, host, port)


@functools.cache
def _default_context() -> _ssl.SSLContext:
    # One for all connections: it holds some hundred certificates, and reading them takes milliseconds.
    return _ssl.create_default_context()


def _from_environment(host: str, port: int, secure: bool) -> str | None:
    if host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback):
        return None
    return get_proxy(WebSocketURI(secure, host, port, "", ""))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _parsed(url: str, source: str) -> Proxy:
    """The proxy of a URL. Errors are made here and not passed on: the library's hold the URL, password included."""
    text = url if "://" in url else f"http://{url}"  # as curl reads it, and as the variables are often written
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError(f"{source}: the URL cannot be read: it must look like http://user:password@host:port") from None
    if parts.scheme in ("socks4", "socks4a"):
        raise ValueError(f"{source}: the scheme {parts.scheme} is not spoken (no IPv6, no passwords): use {_SCHEMES}")
    if parts.scheme not in ("http", "https", "socks5", "socks5h"):
        raise ValueError(f"{source}: the scheme must be {_SCHEMES}")
    if not parts.hostname:
        raise ValueError(f"{source}: the host is missing")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(f"{source}: the port must be a number from 1 to 65535 (encode /, @, : and # of a password by %)")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"{source}: nothing may follow the port (encode / as %2F, ? as %3F and # as %23 in a password)")
    if parts.username is not None and parts.password is None:
        raise ValueError(f"{source}: the user comes without a password: write user:password@host")
    try:
        proxy = parse_proxy(text)
        if parts.username is not None and parts.password is not None:
            # websockets 17 decodes them, and 16 does not.
            proxy.username, proxy.password = unquote(parts.username, errors="strict"), unquote(parts.password, errors="strict")
    except UnicodeError:
        raise ValueError(f"{source}: the host, user or password is not valid: encode other characters as UTF-8 by %") from None
    except (InvalidProxy, ValueError):
        raise ValueError(f"{source}: the URL cannot be read") from None
    if port is None and proxy.scheme.startswith("socks"):
        proxy.port = _SOCKS_PORT
    if proxy.user_info is not None:
        _check_user(proxy, *proxy.user_info, source)
    return proxy


def _check_user(proxy: Proxy, user: str, password: str, source: str) -> None:
    if not proxy.scheme.startswith("socks"):
        if ":" in user:
            raise ValueError(f"{source}: the user may hold no colon: Basic authentication ends it there (RFC 7617, 2)")
        return
    for name, value in (("user", user), ("password", password)):
        if not 1 <= len(value.encode()) <= 255:
            raise ValueError(f"{source}: the {name} must have 1 to 255 bytes (RFC 1929, 2)")
