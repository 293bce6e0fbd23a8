"""A ``Config`` from text and from the environment, as values: whoever calls has read the file and the variables.

``rtcore_adapters.settings`` reads them.
"""

import tomllib
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from rtcore._errors import LocalProtocolError
from rtcore.config import Config, Connection
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
"""Azure's. ``OPENAI_API_VERSION`` is Azure's alone, whatever its name says, and by itself selects nothing."""

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
    Variables that are empty are not set. Raises ``LocalProtocolError`` naming the variable, ``pydantic.ValidationError`` naming
    the option.
    """
    whose = vendor_of(environ) if vendor is None else vendor
    table = {"openai": OPENAI_VARIABLES, "azure": AZURE_VARIABLES, None: {}}[whose]
    found: dict[str, Any] = {option: environ[name].strip() for name, option in table.items() if environ.get(name, "").strip()}
    if whose == "azure":
        _settle_azure(found, options)
    if "api_key" in options or "bearer_token" in options:
        found.pop("api_key", None)
        found.pop("bearer_token", None)
    return Connection.model_validate({**found, **options})


def _settle_azure(found: dict[str, Any], options: Mapping[str, Any]) -> None:
    if "url" not in found and "url" not in options:
        raise LocalProtocolError("AZURE_OPENAI_ENDPOINT: missing; set it to https://NAME.openai.azure.com")
    if "api_key" in found:
        found.pop("bearer_token", None)  # as Azure's own package has it: the key first
    version = found.get("api_version")
    if "dialect" in options or "api_version" in options:
        found.pop("api_version", None)  # the program has said what is spoken
    elif version in PREVIEWS:
        found["dialect"] = "azure-preview"
    elif version is not None:
        raise LocalProtocolError(
            f"OPENAI_API_VERSION: {version!r} has no realtime; {' and '.join(PREVIEWS)} have (dialect 'azure-preview'), and its "
            "successor, GA, needs no version: unset the variable, or say dialect='azure'"
        )
    else:
        found["dialect"] = "azure"
