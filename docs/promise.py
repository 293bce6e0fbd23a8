"""What a version promises to keep (docs/versions.md): ``python docs/promise.py`` adds what is new to tests/promised.txt.

It never takes a line out: what goes away is marked first, and its line goes with the version in which it is gone.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import rtcore
import rtcore_adapters
from rtcore import Notice, Session, config
from rtcore_adapters.engine import Commands

FILE = Path(__file__).resolve().parent.parent / "tests" / "promised.txt"
MODULES = ("rtcore", "rtcore.config", "rtcore.policies", "rtcore.saved", "rtcore.dialects", "rtcore.usage")
WORLD = ("Server", "ServerOptions", "World", "Scenario")


def promised() -> list[str]:
    """Names as ``module:name``, options as ``option Model.name``, inputs and commands with their arguments, fields of notices."""
    return sorted({*_names(), *_options(), *_inputs(), *_fields()})


def _names() -> Iterator[str]:
    for module in (*map(importlib.import_module, MODULES), *_adapters()):
        listed = getattr(module, "__all__", None)
        if listed is not None:
            yield from (f"{module.__name__}:{name}" for name in listed)
            continue
        for name, value in vars(module).items():
            if not name.startswith("_") and not inspect.ismodule(value) and _is_public(module, name, value):
                yield f"{module.__name__}:{name}"
    yield from (f"rtcore.sim:{name}" for name in WORLD)


def _adapters() -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(rtcore_adapters.__path__, "rtcore_adapters."):
        if not found.name.rpartition(".")[2].startswith("_") and found.name != "rtcore_adapters.pytest_plugin":
            try:
                yield importlib.import_module(found.name)
            except ImportError:
                continue  # an extra that is not installed


def _is_public(module: ModuleType, name: str, value: object) -> bool:
    """Whether the module gives the name away: it defines it, or re-exports it as itself."""
    return getattr(value, "__module__", module.__name__) == module.__name__ or f" as {name}\n" in inspect.getsource(module)


def _options() -> Iterator[str]:
    for name, model in vars(config).items():
        own = inspect.isclass(model) and model.__module__ == config.__name__ and not name.startswith("_")
        if own and hasattr(model, "model_fields"):
            yield from (f"option {name}.{option}" for option in model.model_fields)


def _inputs() -> Iterator[str]:
    for kind, owner in (("input", Session), ("command", Commands)):
        for name, method in inspect.getmembers(owner, inspect.isfunction):
            if not name.startswith("_"):
                given = [each for each in inspect.signature(method).parameters if each != "self"]
                yield from (f"{kind} {name}({each})" for each in given or [""])


def _fields() -> Iterator[str]:
    for kind in Notice.__subclasses__():
        if hasattr(rtcore, kind.__name__):
            yield from (f"notice {kind.__name__}.{field}" for field in kind.__struct_fields__)


if __name__ == "__main__":
    before = FILE.read_text(encoding="utf-8").split("\n") if FILE.exists() else []
    FILE.write_text("\n".join(sorted({*filter(None, before), *promised()})) + "\n", encoding="utf-8")
