"""A ``Config`` from text and from the environment, as values: whoever calls has read the file and the variables.

``rtcore_adapters.settings`` reads them.
"""

import tomllib
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from rtcore._errors import LocalProtocolError
from rtcore.config import Config, Connection
from rtcore.dialects import Dialect, check_version, dialect, dialect_of
from rtcore.dialects.azure import PREVIEWS

Vendor = Literal["openai", "azure"]
"""Whose variables count."""

OPENAI_VARIABLES: Mapping[str, str] = {
    "OPENAI_API_KEY": "api_key",
    "OPENAI_BASE_URL": "url",
    "OPENAI_ORG_ID": "organization",
    "OPENAI_PROJECT_ID": "project",
}
"""OpenAI's variables, as its own package reads them, and the options of ``Connection`` that they set."""

AZURE_VARIABLES: Mapping[str, str] = {
    "AZURE_OPENAI_API_KEY": "api_key",
    "AZURE_OPENAI_AD_TOKEN": "bearer_token",
    "AZURE_OPENAI_ENDPOINT": "url",
    "OPENAI_API_VERSION": "api_version",
}
"""Azure's. ``OPENAI_API_VERSION`` is Azure's alone, whatever its name says, and by itself selects nothing; it counts, checked,
for the dialects that have a version, and is left alone for others."""

_TELLING: Mapping[Vendor, tuple[str, ...]] = {
    "openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
    "azure": ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN", "AZURE_OPENAI_ENDPOINT"),
}


def from_toml(text: str) -> Config:
    """A configuration written in TOML: tables and names are those of ``Config``.

    Raises ``LocalProtocolError`` where it is no TOML (it names the line), ``pydantic.ValidationError`` for what is in it.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise LocalProtocolError(f"the configuration is no TOML: {fault}") from None
    return Config.model_validate(data)


def from_json(text: str | bytes) -> Config:
    """The same in JSON. A ``null`` switches a feature off, where the protocol knows null; what is not there is not sent."""
    try:
        data = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise LocalProtocolError(f"the configuration is no JSON: {fault}") from None
    return Config.model_validate(data)


def vendor_of(environ: Mapping[str, str]) -> Vendor | None:
    """Whose credential or address the environment holds; None where it holds none.

    Raises ``LocalProtocolError`` where it holds both: one vendor's variable never decides over the other's.
    """
    found = {vendor: [name for name in names if environ.get(name, "").strip()] for vendor, names in _TELLING.items()}
    if found["openai"] and found["azure"]:
        raise LocalProtocolError(
            f"{found['openai'][0]} and {found['azure'][0]} are both set: say which one is meant, vendor='openai' or 'azure'"
        )
    return next((vendor for vendor, names in found.items() if names), None)


def connection_from_environment(environ: Mapping[str, str], *, vendor: Vendor | None = None, **options: Any) -> Connection:
    """Where to dial and with what credential, by the variables that the vendors' own packages read.

    ``vendor`` says whose variables count where both have some; ``options`` are those of ``Connection`` and win over them.
    Variables that are empty are not set. Where the options lead to another vendor's server, by dialect or address, no variable
    counts that was meant for OpenAI or Azure: a key goes to its own vendor alone. Raises ``LocalProtocolError`` naming the
    variable, ``pydantic.ValidationError`` naming the option.
    """
    if options.get("dialect") is None:
        options.pop("dialect", None)  # not said: what the variables say of it counts
    whose = vendor if vendor is not None else _vendor_of(environ, options)
    table = {"openai": OPENAI_VARIABLES, "azure": AZURE_VARIABLES, None: {}}[whose]
    found: dict[str, Any] = {option: environ[name].strip() for name, option in table.items() if environ.get(name, "").strip()}
    if whose == "azure":
        _settle_azure(found, options)
    if "api_key" in options or "bearer_token" in options:
        found.pop("api_key", None)
        found.pop("bearer_token", None)
    return Connection.model_validate({**found, **options})


_OTHERS = frozenset({"xai", "qwen", "inworld", "stepfun", "glm", "together"})
"""Dialects of vendors whose own keys open their servers. One's own servers take whatever key one gives them."""


_AZURES = frozenset({"azure", "azure-preview", "azure-voice-live"})


def _told(options: Mapping[str, Any]) -> str | None:
    """The dialect that options tell, by name or by address."""
    given = {name: options[name] for name in ("dialect", "url") if options.get(name) is not None}
    table = dialect_of(Connection.model_validate(given)) if given else None
    return table.name if table is not None else None


def _vendor_of(environ: Mapping[str, str], options: Mapping[str, Any]) -> Vendor | None:
    """Whose variables count, by what the program said of the server, else by which are there."""
    told = _told(options)
    if told in _OTHERS:
        return None
    if told in _AZURES:
        names = AZURE_VARIABLES if dialect(told).check_version is not None else _TELLING["azure"]
        return "azure" if any(environ.get(name, "").strip() for name in names) else None
    if told in ("openai", "openai-beta"):
        return "openai"
    return vendor_of(environ)


def _settle_azure(found: dict[str, Any], options: Mapping[str, Any]) -> None:
    if "url" not in found and "url" not in options:
        raise LocalProtocolError("AZURE_OPENAI_ENDPOINT: missing; set it to https://NAME.openai.azure.com")
    if "api_key" in found:
        found.pop("bearer_token", None)  # as Azure's own package has it: the key first
    version = found.get("api_version")
    named = options.get("dialect")
    told = _told({"dialect": named, "url": options.get("url") or found.get("url")})
    table = dialect(told) if told is not None else None
    if "api_version" in options:
        found.pop("api_version", None)  # the program has said it
    elif table is not None and table.check_version is not None and version is not None:
        _check_named(table, version)  # each has versions of its own
    elif named is not None:
        found.pop("api_version", None)  # the program has said what is spoken, and that has none
    elif version in PREVIEWS:
        found["dialect"] = "azure-preview"
    elif version is not None:
        raise LocalProtocolError(
            f"OPENAI_API_VERSION: {version!r} has no realtime; {' and '.join(PREVIEWS)} have (dialect 'azure-preview'), and its "
            "successor, GA, needs no version: unset the variable, or say dialect='azure'"
        )
    elif told in (None, "azure"):
        found["dialect"] = "azure"  # else the address tells another of Azure's


def _check_named(table: Dialect, version: str) -> None:
    """The same mistake as in ``api_version``, by the variable's name."""
    try:
        check_version(table, version)
    except LocalProtocolError as fault:
        said = str(fault).removeprefix("api_version: ")
        raise LocalProtocolError(f"OPENAI_API_VERSION: {said}. Unset the variable, or say api_version") from None
