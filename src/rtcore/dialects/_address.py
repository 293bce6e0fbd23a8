"""Where to dial and with what credential: URLs as people write them, headers as servers want them.

The rules are those of protocol facts 1.1 to 1.3, 13 and 14.
"""

import re
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

from msgspec import Struct

from rtcore._effects import NO_TOKEN, Handshake
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


Place = Literal["bearer", "api-key", "basic"]
"""Where a key goes: ``Authorization: Bearer``, the ``api-key`` header, ``Authorization: Basic``. A token is always a bearer's."""


def _authentication(connection: "Connection", place: Place) -> list[tuple[str, str]]:
    key, token = connection.credential("api_key"), connection.credential("bearer_token")
    if key is not None and token is not None:
        raise LocalProtocolError("api_key: given together with bearer_token; give one of them")
    if connection.provided_token and (key is not None or token is not None):
        given = "api_key" if key is not None else "bearer_token"
        raise LocalProtocolError(f"{given}: given although a token is provided at each dialling; leave it out")
    if connection.provided_token:
        return [NO_TOKEN]
    if token is not None:
        return [("Authorization", "Bearer " + _credential("bearer_token", token))]
    if key is None:
        return []
    key = _credential("api_key", key)
    match place:
        case "api-key":
            return [("api-key", key)]
        case "basic":
            return [("Authorization", f"Basic {key}")]
        case "bearer":
            return [("Authorization", f"Bearer {key}")]


_PROTOCOL_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class Subprotocol(Struct, frozen=True):
    """The credential among the websocket's subprotocols, as browsers send it, who cannot set headers (1.3)."""

    form: str
    """What the key stands behind."""
    source: str
    """Where that is written."""
    before: tuple[str, ...] = ()
    """Offered before it."""
    after: tuple[str, ...] = ()
    """.. and behind it."""
    scopes: bool = False
    """Whether organization and project may stand among them."""

    def offered(self, connection: "Connection") -> tuple[str, ...]:
        """The subprotocols to offer. Raises ``LocalProtocolError`` for what cannot stand among them."""
        key, token = connection.credential("api_key"), connection.credential("bearer_token")
        if key is None or token is not None or connection.provided_token:
            raise LocalProtocolError(
                "authentication: 'subprotocol' sends api_key; set it, alone (an ephemeral client secret will do)"
            )
        offered = [*self.before, f"{self.form}.{_credential('api_key', key)}"]
        for option, value in (("organization", connection.organization), ("project", connection.project)):
            if value is not None and not self.scopes:
                raise LocalProtocolError(
                    f"{option}: cannot stand among this server's subprotocols; leave it out, or use a header"
                )
            if value is not None:
                offered.append(f"openai-{option}.{value}")
        for name in offered:
            if not _PROTOCOL_TOKEN.fullmatch(name):
                raise LocalProtocolError(
                    f"{name.partition('.')[0]}: holds a character that a subprotocol may not have; use a header"
                )
        return (*offered, *self.after)


def no_subprotocol(where: str, instead: str = "") -> LocalProtocolError:
    """The caller's mistake of asking for subprotocol authentication where a server has none."""
    return LocalProtocolError(f"authentication: {where} takes no key among the subprotocols; use 'header'{instead}")


IN_ADDRESS = ", or where none can be set, as in a browser, the address with ?api-key=..."
"""What Azure takes instead (MS)."""


def _checked(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    checked = list(headers)
    for name, value in checked:
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise LocalProtocolError(f"headers[{name!r}]: not a header; names are letters and dashes, values one line of ASCII")
    return checked


def completed(path: str, bare: tuple[str, ...], whole: str) -> str:
    """The path of a base URL, which people write in part: ``bare`` ones become ``whole``, others get its last segment."""
    last = whole.rpartition("/")[2]
    if path.endswith(f"/{last}"):
        return path
    return whole if path in bare else f"{path}/{last}"


_OF_AZURE = frozenset(f"{base}{last}" for base in ("", "/v1", "/openai", "/openai/v1") for last in ("", "/realtime"))
"""Paths of an Azure resource as people write them, for either generation."""


def azure_path(host: str, path: str, bare: tuple[str, ...], whole: str) -> str:
    """The path at an Azure resource, which has one for each generation, whichever was written; elsewhere as ``completed``."""
    return whole if is_azure(host) and path in _OF_AZURE else completed(path, bare, whole)


class Address(Struct, frozen=True):
    """Where one vendor's server is, and what it wants to see first. ``handshake`` makes the request of it."""

    path: Callable[[str, str], str]
    """Host and path of the base URL to the whole path."""
    query: "Callable[[Connection, str], tuple[tuple[str, str], ...]]"
    """What is added to the query for this host, where it is not there."""
    base: str = ""
    """The address where none was configured; without one it has to be."""
    example: str = "wss://api.openai.com"
    """What an address looks like, for the error."""
    key: Place = "bearer"
    headers: tuple[tuple[str, str], ...] = ()
    subprotocol: Subprotocol | None = None
    """The credential among the subprotocols, where the server takes it there."""
    instead: str = ""
    """What takes the place of a subprotocol where there is none."""
    wanted: tuple[tuple[str, str], ...] = ()
    """Parameters that only the program can give, and what to do where they are missing; not on this machine."""
    calls: bool = False
    """Whether ``call_id`` opens the side channel to a call."""
    intents: bool = False
    """Whether the address decides what a session is: a model opens a conversation, ``intent=transcription`` without one a session
    that only transcribes, and neither becomes the other (1.1, and the pages and threads of docs/decisions.md)."""

    def handshake(self, connection: "Connection", *, transcribes: bool = False) -> Handshake:
        """The address and the headers; ``transcribes``: of a session that only transcribes.

        Headers of the configuration replace those made here, whatever their case. Raises ``LocalProtocolError`` naming
        ``deployment`` where no Azure resource is dialled, ``url`` or ``api_key`` where they are missing: no host but this machine
        is dialled without any credential (1.5).
        """
        if connection.url is None and not self.base:
            raise LocalProtocolError(f"url: missing; {self.example}")
        if connection.url is None and connection.deployment is not None:
            raise LocalProtocolError(
                f"deployment: {connection.deployment!r}: {self.base} has none; name it in model, or set url to an Azure resource"
            )
        parts = split_url(self.base if connection.url is None else connection.url)
        host = parts.hostname or ""
        given = _checked(connection.headers.items())
        replaced = {name.lower() for name, _ in given}
        subprotocols: tuple[str, ...] = ()
        own: list[tuple[str, str]] = []
        if connection.authentication == "subprotocol":
            if self.subprotocol is None or is_azure(host):
                raise no_subprotocol(host, IN_ADDRESS if is_azure(host) else self.instead)
            subprotocols = self.subprotocol.offered(connection)
        else:
            own = _authentication(connection, "api-key" if is_azure(host) else self.key)
            if connection.organization is not None:
                own.append(("OpenAI-Organization", connection.organization))
            if connection.project is not None:
                own.append(("OpenAI-Project", connection.project))
        own += self.headers
        headers = [*((name, value) for name, value in _checked(own) if name.lower() not in replaced), *given]
        present = {name for name, value in parse_qsl(parts.query) if value}
        for name, remedy in self.wanted:
            if name not in present and not is_loopback(host):
                raise LocalProtocolError(f"url: has no {name!r} in its query; {remedy}")
        names = {name.lower() for name, _ in headers} | {name.lower() for name, _ in parse_qsl(parts.query)}
        known = names & {"authorization", "api-key"} or subprotocols
        if not known and not is_loopback(host):
            raise LocalProtocolError(f"api_key: missing, and {host} will not answer without; set api_key (or bearer_token)")
        return Handshake(
            url=parts._replace(path=self.path(host, parts.path), query=self._query(connection, parts, transcribes)).geturl(),
            headers=tuple(headers),
            subprotocols=subprotocols,
        )

    def _query(self, connection: "Connection", parts: SplitResult, transcribes: bool) -> str:
        call = connection.call_id
        if call is not None:
            if not self.calls:
                raise LocalProtocolError("call_id: this dialect has no side channel to a call; leave it out")
            return _with_query(parts.query, (("call_id", call),))
        # A side channel to a call is addressed by call_id and has no model (1.1).
        if self.calls and call_in(parts.query):
            return parts.query
        wanted = self.query(connection, parts.hostname or "")
        if self.intents and (transcribes or transcribes_in(parts.query)):
            wanted = tuple((name, value) for name, value in wanted if name not in _SELECTING)
            # A model that stands in the URL is the program's own word, and an intent beside it would contradict it.
            if not any(name in _SELECTING for name, _ in parse_qsl(parts.query)):
                wanted += (_TRANSCRIPTION,)
        return _with_query(parts.query, wanted)


def version_in(query: str) -> str | None:
    """The api-version that a query names."""
    return next((value for name, value in parse_qsl(query) if name == "api-version"), None)


_TRANSCRIPTION = ("intent", "transcription")
_SELECTING = ("model", "deployment")
"""What opens a conversation, where the address decides."""


def transcribes_in(query: str) -> bool:
    """Whether a query asks for a session that only transcribes."""
    return _TRANSCRIPTION in parse_qsl(query)


def call_in(query: str) -> bool:
    """Whether a query names a call."""
    return any(name == "call_id" for name, _ in parse_qsl(query))


def model_of(connection: "Connection", default: str = "") -> str:
    """The model, or the vendor's usual one where none was set."""
    if not default or "model" in connection.model_fields_set:
        return connection.model
    return default
