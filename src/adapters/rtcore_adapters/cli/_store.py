"""Campaigns in files: versioned JSON, written whole or not at all, and read again only by what would have written the same.

A file holds the sum of its worlds and one row of integers per world, so that it can be gone on with and compared.
"""

import hashlib
import os
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from rtcore.sim.comparison import COLUMNS, Row
from rtcore.sim.results import CampaignResult

FORMAT: Literal["rtcore campaign"] = "rtcore campaign"
VERSION = 1
"""Of the file's own shape."""


class StoreError(Exception):
    """A file that cannot be used: the text says why, and what to do."""


class Saved(Struct, frozen=True):
    """A campaign so far: the ``result`` of its first worlds (``first_seed`` and the seeds after it), and what it is to become.

    ``fingerprint`` is that of the core, the simulated world and the voices. ``seconds`` is how long it ran, ``process_seconds``
    the same times the number of its processes. ``rows`` are the worlds, in order; ``columns`` their names. ``unanswered`` and
    ``unheard`` are the seeds of worlds in which a turn got no answer, or an unheard message was left.
    """

    format: Literal["rtcore campaign"]
    version: int
    fingerprint: str
    first_seed: int
    policy: str
    sabotage: str | None
    interruptions: int | None
    minutes: float | None
    complete: bool
    seconds: float
    process_seconds: float
    result: CampaignResult
    unanswered: tuple[int, ...]
    unheard: tuple[int, ...]
    columns: tuple[str, ...]
    rows: list[Row]


class _Header(Struct):
    format: str
    version: int


def save(path: Path, saved: Saved) -> None:
    """Write it: after a failure, a kill or a power cut there is the old file or the new one. Raises OSError."""
    part = _part(path)
    with open(part, "wb") as file:
        file.write(msgspec.json.encode(saved))
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def savable(path: Path) -> None:
    """Raises ``StoreError`` where ``save`` could not write this file. Leaves no trace."""
    if path.is_dir():
        raise StoreError(f"cannot write {path}: is a directory")
    try:
        _touched(_part(path))
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def load(path: Path) -> Saved:
    """Read it. Raises ``StoreError``."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    try:
        header = msgspec.json.decode(data, type=_Header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise StoreError(f"{path} is not a result that rtcore fuzz --save wrote") from None
    if header.format != FORMAT:
        raise StoreError(f"{path} is not a result that rtcore fuzz --save wrote")
    if header.version != VERSION:
        raise StoreError(f"{path} is of version {header.version} of the file format; this is version {VERSION}")
    try:
        saved = msgspec.json.decode(data, type=Saved)
    except (msgspec.DecodeError, RecursionError) as error:
        raise StoreError(f"{path} is damaged: {error}") from None
    if len(saved.rows) != saved.result.worlds or any(len(row) != len(saved.columns) for row in saved.rows):
        raise StoreError(f"{path} is damaged: its worlds do not add up")
    if saved.columns != tuple(COLUMNS):
        raise StoreError(f"{path} holds other figures of each world than this rtcore: run that campaign again")
    return saved


def writable(path: Path) -> None:
    """Raises ``StoreError`` where a page cannot be written: better known before hours of work than after. Leaves no trace."""
    try:
        _touched(path)
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None


def writable_into(directory: Path) -> None:
    """Raises ``StoreError`` where no file can be written into this directory, made first if it must be. Leaves no trace."""
    try:
        there = next(each for each in (directory, *directory.absolute().parents) if each.exists())
        if not there.is_dir():
            raise StoreError(f"cannot write into {directory}: {there} is no directory")
        _touched(there / f".rtcore-{os.getpid()}")
    except (OSError, ValueError) as error:
        why = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
        raise StoreError(f"cannot write into {directory}: {why}") from None


def _touched(path: Path) -> None:
    """Open it for writing, and let it be as it was."""
    there = path.exists()
    with open(path, "ab"):
        pass
    if not there:
        path.unlink()


def write_page(path: Path, page: str) -> None:
    """Write a page. Raises ``StoreError`` where that cannot be done."""
    try:
        path.write_text(page, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError | ValueError) -> StoreError:
    why = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
    return StoreError(f"cannot write {path}: {why}")


@cache
def fingerprint() -> str:
    """Of all that decides what a world does: the sources of the core and of ``rtcore.sim``, and the voices."""
    found = hashlib.sha256()
    for package, endings in (("rtcore", (".py",)), ("rtcore_adapters.voices", (".py", ".json", ".xz"))):
        for name, file in sorted(_files(resources.files(package), "")):
            if name.endswith(endings):
                data = file.read_bytes()
                found.update(f"{package}/{name} {len(data)}\n".encode())
                found.update(data)
    return found.hexdigest()[:16]


def _files(folder: Traversable, above: str) -> list[tuple[str, Traversable]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _files(entry, f"{above}{entry.name}/")
        else:
            found.append((above + entry.name, entry))
    return found
