"""Runs ``module.run()`` with sockets, clocks, files and randomness out of reach, and says what was reached for.

``python guarded.py FOLDER MODULE`` prints one JSON object: ``refused`` (imports of IO modules), ``called`` (clocks, randomness,
threads), ``touched`` (audit events while it ran: files, sockets, late imports), ``failed`` (an exception) and ``result``.

The order matters. msgspec and pydantic come first, and pydantic builds a model, because it pulls in names of IO modules and looks
for plug-ins then. From there on IO modules are refused and clocks raise, so that a module that binds one at import is caught too.
Then the module under test is imported, which reads files; only then are audit events counted. A guard records before it raises,
so that nothing can be swallowed.
"""

import _thread
import base64
import importlib.util
import json
import os
import random
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import msgspec.json  # noqa: F401  # imported before the guards are up, see above
from pydantic import BaseModel, JsonValue, SecretStr

IO_MODULES = frozenset(
    {
        "anyio",
        "asyncio",
        "http",
        "logging",
        "multiprocessing",
        "queue",
        "select",
        "selectors",
        "signal",
        "socket",
        "sounddevice",
        "ssl",
        "subprocess",
        "trio",
        "websockets",
    }
)
OUT_OF_REACH: list[tuple[Any, str]] = [
    (os, "urandom"),
    (uuid, "uuid1"),
    (uuid, "uuid4"),
    *((random, name) for name in random.__all__),
    # Python 3.11 audits no thread.
    (_thread, "start_new_thread"),
    (threading.Thread, "start"),
]


class _WarmUp(BaseModel, frozen=True):
    """Makes pydantic import what it imports late."""

    secret: SecretStr
    anything: JsonValue


class _Refusal:
    """A finder that finds no IO module, whoever asks."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name.partition(".")[0] in IO_MODULES:
            self.refused.append(name)
            raise ImportError(f"{name} is out of reach here")
        return None


def _clocks() -> Iterator[tuple[ModuleType, str]]:
    for name, value in vars(time).items():
        if callable(value) and not isinstance(value, type) and not name.startswith("_"):
            yield time, name


def _raiser(name: str, called: list[str]) -> Callable[..., NoReturn]:
    def out_of_reach(*_: object, **__: object) -> NoReturn:
        called.append(name)
        raise RuntimeError(f"{name} is out of reach here")

    return out_of_reach


def guarded(folder: Path, module: str) -> dict[str, Any]:
    """Import ``module`` from ``folder`` behind the guards, run its ``run()``, and report."""
    called: list[str] = []
    touched: list[str] = []
    armed = False

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        if armed:
            touched.append(f"{event} {arguments[:1]!r}")

    for name in [name for name in sys.modules if name.partition(".")[0] in IO_MODULES]:
        del sys.modules[name]
    refusal = _Refusal()
    sys.meta_path.insert(0, refusal)
    for owner, name in [*_clocks(), *OUT_OF_REACH]:
        setattr(owner, name, _raiser(f"{owner.__name__}.{name}", called))
    sys.addaudithook(audit)
    result, failed = "", None
    try:
        found = importlib.util.spec_from_file_location(module, folder / f"{module}.py")
        assert found is not None and found.loader is not None
        under_test = importlib.util.module_from_spec(found)
        found.loader.exec_module(under_test)
        armed = True
        result = base64.b64encode(under_test.run()).decode()
    except Exception:
        armed = False
        failed = traceback.format_exc()
    armed = False
    return {"refused": refusal.refused, "called": called, "touched": touched, "failed": failed, "result": result}


if __name__ == "__main__":
    print(json.dumps(guarded(Path(sys.argv[1]), sys.argv[2])))
