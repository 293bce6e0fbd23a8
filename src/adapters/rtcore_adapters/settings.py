"""A configuration from a file and the environment of this process.

What counts, from the strongest: what the file says, then the environment, then the defaults. A file that names a credential or an
address of its own is not mixed with the environment's.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from rtcore import Config
from rtcore.config_sources import Vendor, connection_from_environment, from_json, from_toml

__all__ = ["load_config"]

_READERS = {".toml": from_toml, ".json": from_json}


def load_config(
    path: str | os.PathLike[str] | None = None, *, environ: Mapping[str, str] | None = None, vendor: Vendor | None = None
) -> Config:
    """The configuration of a TOML or JSON file, if one is given, with the connection that the environment knows.

    ``environ`` is this process's by default; ``vendor`` says whose variables count where OpenAI's and Azure's are both set.
    Raises ``OSError`` where the file cannot be read, ``ValueError`` for a file that is neither, ``rtcore.LocalProtocolError`` and
    ``pydantic.ValidationError`` for what stands in it or in the variables; they name the place, and never a credential.
    """
    config = Config() if path is None else _read(Path(path))
    given = {name: getattr(config.connection, name) for name in config.connection.model_fields_set}
    if "url" in given or "api_key" in given or "bearer_token" in given or given.get("provided_token"):
        return config
    connection = connection_from_environment(os.environ if environ is None else environ, vendor=vendor, **given)
    return config.model_copy(update={"connection": connection})


def _read(path: Path) -> Config:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"{path}: the name must end in .toml or .json, so that it is known how to read it")
    return reader(path.read_text(encoding="utf-8"))
