"""What a version promises to keep (docs/versions.md): ``python docs/promise.py`` adds what is new to tests/promised.txt.

It never takes a line out: what goes away is marked first, and its line goes with the version in which it is gone.
"""

import ast
import importlib.util
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import rtcore
import rtcore_adapters
from rtcore import Notice, Session, config
from rtcore_adapters.engine import Commands

FILE = Path(__file__).resolve().parent.parent / "tests" / "promised.txt"
MODULES = (
    "rtcore",
    "rtcore.config",
    "rtcore.policies",
    "rtcore.saved",
    "rtcore.dialects",
    "rtcore.dialects.calls",
    "rtcore.recording",
    "rtcore.usage",
)
PLUGS = ("rtcore_livekit", "rtcore_openai_agents")
NOT = ("rtcore_adapters.pytest_plugin", "rtcore_adapters.cli.")
"""Pytest finds the one by itself, and what is promised of the commands is ``main``."""
WORLD = ("Server", "ServerOptions", "World", "Scenario")


def promised() -> list[str]:
    """Names as ``module:name``, options as ``option Model.name``, inputs and commands with their arguments, fields of notices."""
    return sorted({*_names(), *_options(), *_inputs(), *_fields()})


def _names() -> Iterator[str]:
    for module in (*MODULES, *_adapters(), *PLUGS):
        yield from (f"{module}:{name}" for name in written(module))
    yield from (f"rtcore.sim:{name}" for name in WORLD)


def written(module: str) -> set[str]:
    """The names that a module gives away, by its source: what it lists, or re-exports as themselves and defines.

    The module is not imported: an extra, a sound library or a framework may not be here.
    """
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None, f"there is no module {module}"
    names: set[str] = set()
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=listed):
                return set(ast.literal_eval(listed))
            case ast.ImportFrom(names=found):
                names |= {each.name for each in found if each.asname == each.name}
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case _:
                pass
    return {name for name in names if not name.startswith("_")}


def _adapters() -> Iterator[str]:
    unseen: list[str] = []  # packages that cannot be imported here
    for found in pkgutil.walk_packages(rtcore_adapters.__path__, "rtcore_adapters.", onerror=unseen.append):
        if not any(part.startswith("_") for part in found.name.split(".")) and not found.name.startswith(NOT):
            yield found.name


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
