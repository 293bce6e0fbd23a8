"""SOCKS5 as a layer (RFC 1928; user and password: RFC 1929)."""

import ipaddress
from collections.abc import Mapping

from websockets.proxy import Proxy

from rtcore_adapters._layers import LayerFault
from rtcore_adapters._tunnel import Tunnel
from rtcore_adapters._words import bracketed

_NONE, _PASSWORD, _NO_METHOD = 0, 2, 0xFF
_IPV4, _NAME, _IPV6 = 1, 3, 4

# RFC 1928, 6
_REPLIES: Mapping[int, tuple[str, str]] = {
    1: ("a failure of its own", "the proxy is in trouble or cannot reach the server: try again later"),
    2: ("that its rules do not allow it", "have the destination allowed in the proxy's rules"),
    3: ("that the network is unreachable", "check the URL's host, and the proxy's network"),
    4: ("that the host is unreachable", "check the URL's host, and the proxy's network and name service"),
    5: ("that the connection was refused", "check the URL's host and port, and that the server runs"),
    6: ("that the server did not answer (TTL expired)", "check the URL's host, and the proxy's network"),
    7: ("that it cannot connect anywhere (command not supported)", "use a proxy that takes CONNECT"),
    8: ("that it does not take this kind of address", "use socks5h:// instead of socks5:// or the other way round"),
}


class SocksTunnel(Tunnel):
    """SOCKS5 to ``host`` and ``port`` through ``proxy``.

    With the scheme ``socks5h`` the proxy resolves the host's name. With ``socks5`` this machine has to: give the address to
    ``resolved`` before the first ``outgoing``.
    """

    def __init__(self, proxy: Proxy, host: str, port: int) -> None:
        super().__init__(f"the proxy {bracketed(proxy.host)}:{proxy.port}")
        self._target = f"{bracketed(host)}:{port}"
        self._address: bytes | None = _packed(host, names=proxy.scheme == "socks5h")
        self._port = port.to_bytes(2, "big")
        self._login = b""
        methods = bytes([_NONE])
        if proxy.user_info is not None:
            user, password = (part.encode() for part in proxy.user_info)
            self._login = b"\x01" + bytes([len(user)]) + user + bytes([len(password)]) + password
            methods += bytes([_PASSWORD])
        self._out.append(b"\x05" + bytes([len(methods)]) + methods)
        self._step = self._method
        self._open = False

    def resolved(self, address: str) -> None:
        """The numeric address of the host, for the scheme ``socks5``."""
        self._address = _packed(address, names=False)

    def outgoing(self) -> bytes:
        """The next word to the proxy, then what goes through the tunnel."""
        if self._address is None:
            raise RuntimeError("socks5:// wants the server's address: look up Route.lookup, then call Route.resolved")
        return super().outgoing()

    def unanswered(self, after_s: float) -> LayerFault:
        """No answer in so many seconds."""
        error = f"{self._where} did not connect to {self._target} by SOCKS5 in {after_s:g} s"
        return LayerFault(error, "check the proxy's scheme, host and port, and that it can reach the server")

    def _cut_off(self) -> LayerFault:
        error = f"{self._where} closed the connection before it connected to {self._target}"
        return LayerFault(error, "check the proxy's scheme (http, https or socks5), host and port, and whether it wants a user")

    def _answered(self) -> bool:
        while not self._open and self._step():
            pass
        return self._open

    # -- its three answers: each gives whether it took something from what was heard ------------------------------------------

    def _method(self) -> bool:
        if not self._speaks(5) or len(self._heard) < 2:
            return False
        method = self._heard[1]
        del self._heard[:2]
        if method == _NONE:
            return self._ask()
        if method == _PASSWORD and self._login:
            self._out.append(self._login)
            self._step = self._admitted
            return True
        if method == _NO_METHOD and not self._login:
            fault = "wants credentials", "put user and password into the proxy's URL (socks5://user:password@host:port)"
        elif method == _NO_METHOD:
            fault = "takes neither user and password nor none", "use a proxy that takes one of them"
        else:
            fault = f"chose the authentication {method}, which was not offered", "it is broken: use another proxy"
        self._fail(LayerFault(f"{self._where} {fault[0]}", fault[1]))
        return False

    def _admitted(self) -> bool:
        # The version is not looked at: proxies exist that answer 5 here.
        if len(self._heard) < 2:
            return False
        status = self._heard[1]
        del self._heard[:2]
        if status == 0:
            return self._ask()
        error = f"{self._where} does not take the user and password of its URL"
        self._fail(LayerFault(error, "check user and password in the proxy's URL"))
        return False

    def _ask(self) -> bool:
        assert self._address is not None  # nothing was written before it was there
        self._out.append(b"\x05\x01\x00" + self._address + self._port)
        self._step = self._connected
        return True

    def _connected(self) -> bool:
        if not self._speaks(5) or len(self._heard) < 2:
            return False
        if (reply := self._heard[1]) != 0:
            what, remedy = _REPLIES.get(reply, (f"the unknown code {reply}", "check the proxy's log"))
            self._fail(LayerFault(f"{self._where} did not connect to {self._target}: it answered {what}", remedy))
            return False
        if len(self._heard) < 5:
            return False
        kind, first = self._heard[3:5]
        size = {_IPV4: 4, _NAME: 1 + first, _IPV6: 16}.get(kind)
        if size is None:
            error = f"{self._where} gave no valid SOCKS5 answer: address type {kind}"
            self._fail(LayerFault(error, "check the proxy's scheme (http, https or socks5), host and port"))
            return False
        if len(self._heard) < 4 + size + 2:
            return False
        del self._heard[: 4 + size + 2]
        self._open = True
        return True

    def _speaks(self, version: int) -> bool:
        if not self._heard or self._heard[0] == version:
            return bool(self._heard)
        first = self._heard[0]
        remedy = "something else listens there: check the proxy's scheme (http, https or socks5), host and port"
        if first == ord("H"):
            remedy = "it may answer in HTTP: use http:// in the proxy's URL"
        elif first in (0, 4):
            remedy = "it may speak SOCKS4 only: use another proxy"
        self._fail(LayerFault(f"{self._where} does not speak SOCKS5: its answer begins with the byte 0x{first:02x}", remedy))
        return False


def _packed(host: str, *, names: bool) -> bytes | None:
    """The address as the request carries it (RFC 1928, 5); None for a name that may not go there."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if not names:
            return None
        name = host.encode("ascii")
        if len(name) > 255:
            raise ValueError("the URL's host name is longer than the 255 bytes that SOCKS5 can carry") from None
        return bytes([_NAME, len(name)]) + name
    return bytes([_IPV4 if address.version == 4 else _IPV6]) + address.packed
