"""Where to dial and with what credential: URLs as people write them, headers as servers want them.

The rules are those of protocol facts 1.1, 1.2 and 13.
"""

import re
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

from rtcore._effects import Handshake
from rtcore._errors import LocalProtocolError

if TYPE_CHECKING:
    from rtcore.config import Connection

_SCHEMES = {"http": "ws", "ws": "ws", "https": "wss", "wss": "wss"}
_AZURE = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_CREDENTIAL = re.compile(r"[\x21-\x7e]+")


def is_azure(host: str) -> bool:
    """Whether the host is an Azure resource: it takes a key in the ``api-key`` header."""
    return host.endswith(_AZURE)


def is_loopback(host: str) -> bool:
    """Whether the host is this machine; then no key is needed."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def split_url(url: str) -> SplitResult:
    """The parts of a base URL with http(s), ws(s) or no scheme. Raises ``LocalProtocolError`` naming ``url``."""
    text = url.strip()
    if "://" not in text:
        text = f"//{text}"
    try:
        parts = urlsplit(text)
        host, port, secret = parts.hostname, parts.port, parts.username or parts.password
    except ValueError as fault:
        raise LocalProtocolError(f"url: not an address ({fault}); write for example wss://api.openai.com") from None
    if secret:
        raise LocalProtocolError("url: holds a user name or password; give the credential as api_key or bearer_token")
    if not host or re.search(r"\s", text):
        raise LocalProtocolError("url: names no host; write for example wss://api.openai.com or ws://127.0.0.1:8080")
    if parts.scheme and parts.scheme not in _SCHEMES:
        raise LocalProtocolError(f"url: scheme {parts.scheme!r} cannot be dialled; use wss, ws, https or http")
    scheme = _SCHEMES[parts.scheme] if parts.scheme else ("ws" if is_loopback(host) else "wss")
    netloc = f"[{host}]" if ":" in host else host
    return SplitResult(scheme, f"{netloc}:{port}" if port is not None else netloc, parts.path.rstrip("/"), parts.query, "")


def _with_query(existing: str, wanted: tuple[tuple[str, str], ...]) -> str:
    """What stands in the URL is kept; of the wanted parameters those that are not there are added."""
    present = {name for name, _ in parse_qsl(existing, keep_blank_values=True)}
    added = [f"{name}={quote(value, safe='')}" for name, value in wanted if name not in present]
    return "&".join([existing, *added] if existing else added)


def _credential(name: str, value: str) -> str:
    if not _CREDENTIAL.fullmatch(value):
        raise LocalProtocolError(f"{name}: is empty, or holds white space or another character that no key has")
    return value


def _authentication(connection: "Connection", azure: bool) -> list[tuple[str, str]]:
    key, token = connection.credential("api_key"), connection.credential("bearer_token")
    if key is not None and token is not None:
        raise LocalProtocolError("api_key: given together with bearer_token; give one of them")
    if token is not None:
        return [("Authorization", "Bearer " + _credential("bearer_token", token))]
    if key is None:
        return []
    key = _credential("api_key", key)
    return [("api-key", key)] if azure else [("Authorization", f"Bearer {key}")]


def _checked(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    checked = list(headers)
    for name, value in checked:
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise LocalProtocolError(f"headers[{name!r}]: not a header; names are letters and dashes, values one line of ASCII")
    return checked


def handshake(
    connection: "Connection", parts: SplitResult, *, path: Callable[[str], str], query: tuple[tuple[str, str], ...], azure: bool
) -> Handshake:
    """The address and the headers. ``path`` completes the path of the base URL, ``query`` is added where the URL has it not.

    Headers of the configuration replace those made here, whatever their case. Raises ``LocalProtocolError`` naming ``api_key``
    where a host other than this machine would be dialled without any credential (1.5).
    """
    own = _authentication(connection, azure)
    if connection.organization is not None:
        own.append(("OpenAI-Organization", connection.organization))
    if connection.project is not None:
        own.append(("OpenAI-Project", connection.project))
    given = _checked(connection.headers.items())
    replaced = {name.lower() for name, _ in given}
    headers = [*((name, value) for name, value in _checked(own) if name.lower() not in replaced), *given]
    names = {name.lower() for name, _ in headers} | {name.lower() for name, _ in parse_qsl(parts.query)}
    if not names & {"authorization", "api-key"} and not is_loopback(parts.hostname or ""):
        raise LocalProtocolError(f"api_key: missing, and {parts.hostname} will not answer without; set api_key (or bearer_token)")
    whole = parts._replace(path=path(parts.path), query=_with_query(parts.query, query))
    return Handshake(url=whole.geturl(), headers=tuple(headers))
