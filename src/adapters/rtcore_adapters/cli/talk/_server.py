"""With whom the talk is: the simulated server, or a real one whose key is in the environment. Pure: the environment is given."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from rtcore import LocalProtocolError
from rtcore.config import Connection
from rtcore.dialects import DIALECTS, dialect_of
from rtcore_adapters._words import place

SIMULATED = ("openai", "azure-preview")
"""What the simulated server speaks."""

_OPENAI = (None, "openai", "openai-beta")
_AZURE = (None, "azure", "azure-preview", "azure-voice-live")
OPENAI_KEY = "OPENAI_API_KEY"
AZURE_KEY, AZURE_ENDPOINT = "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"
"""The variables of the environment that are read."""


class Wanted(Struct, frozen=True):
    """What the command line says of the server."""

    simulated: bool = False
    url: str | None = None
    dialect: str | None = None
    model: str | None = None


class Choice(Struct, frozen=True):
    """The server: where to dial, or None for the simulated one, which has no address yet but may have a dialect; and who it is,
    in words."""

    connection: Connection | None
    words: str
    dialect: str | None = None


class NoServer(ValueError):
    """What was asked for cannot be had. The text says what to do, and holds no key."""


def choose(wanted: Wanted, environment: Mapping[str, str]) -> Choice:
    """The server to talk to. Raises ``NoServer``."""
    if wanted.simulated and wanted.url is not None:
        raise NoServer("--simulated and --url are two servers: give one of them")
    openai, azure = environment.get(OPENAI_KEY), environment.get(AZURE_KEY)
    endpoint = environment.get(AZURE_ENDPOINT)
    if wanted.simulated:
        return _simulated(wanted, "asked for")
    if wanted.url is not None:
        told = wanted.dialect or ("azure" if _host(wanted.url).endswith(".azure.com") else "openai")
        name = AZURE_KEY if told in _AZURE else OPENAI_KEY
        return _real(wanted, wanted.url, name, environment.get(name) or None)
    if openai and wanted.dialect in _OPENAI:
        return _real(wanted, None, OPENAI_KEY, openai)
    if azure and wanted.dialect in _AZURE:
        if not endpoint:
            raise NoServer(f"{AZURE_KEY} is set, {AZURE_ENDPOINT} is not: set it, or talk to the simulated server: --simulated")
        return _real(wanted, endpoint, AZURE_KEY, azure)
    return _simulated(wanted, "no key is set for this dialect" if openai or azure else "no key is set")


def _simulated(wanted: Wanted, why: str) -> Choice:
    if wanted.dialect not in (None, *SIMULATED):
        raise NoServer(f"the simulated server speaks {' and '.join(SIMULATED)}: for {wanted.dialect}, give the server's --url")
    return Choice(None, f"the simulated server, in this process ({why})", wanted.dialect)


def _real(wanted: Wanted, url: str | None, name: str, key: str | None) -> Choice:
    azure = name == AZURE_KEY
    try:
        dialled = {"dialect": wanted.dialect, "url": url, "model": wanted.model or "gpt-realtime"}
        connection = Connection.model_validate({**dialled, "api_key": key})
        # Which one it is may only show at the server's first event; until then it is dialled as the first.
        dialect = dialect_of(connection) or DIALECTS["openai"]
        parts = urlsplit(dialect.handshake(connection).url)
    except (LocalProtocolError, ValueError) as error:
        if key is None and "api_key: missing" in str(error):
            raise NoServer(f"{place(url or '')} wants a key: set {name}") from None
        raise NoServer(f"the server's address or key cannot be used: {error}") from None
    if key is not None and parts.scheme == "ws" and not _is_here(parts.hostname or ""):
        raise NoServer(f"the key of {name} would travel unencrypted to {parts.hostname}: use wss://, or unset {name}")
    paid = not _is_here(parts.hostname or "")
    who = "the server at" if wanted.url is not None else "Azure at" if azure else "OpenAI at"
    with_key = "without a key" if key is None else f"with the key of {name}" + (", which may cost money" if paid else "")
    return Choice(connection, f"{who} {place(parts.geturl())}, {with_key}")


def _host(url: str) -> str:
    try:
        return (urlsplit(url if "://" in url else f"//{url}").hostname or "").lower()
    except ValueError:
        return ""


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.endswith(".localhost")
