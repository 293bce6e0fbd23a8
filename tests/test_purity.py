"""The core does no IO, reads no clock and draws no randomness; adapters stand apart (DESIGN section 1, style "Proving purity").

Two proofs, each with negative controls that it has to catch: an allow-list over the sources, and a session run with sockets,
clocks, files and randomness out of reach. The first sees code that never runs; the second sees what a name hides.
"""

import ast
import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rtcore
import rtcore_adapters

TESTS = Path(__file__).parent
CORE = Path(rtcore.__file__).parent
ADAPTERS = Path(rtcore_adapters.__file__).parent
PLUGS = sorted(path for path in ADAPTERS.parent.glob("rtcore_*") if path != ADAPTERS)

# What the core may import: the standard library's data modules, msgspec, itself.
DATA_MODULES = frozenset(
    {
        "abc",
        "array",
        "base64",
        "binascii",
        "bisect",
        "collections",
        "collections.abc",
        "dataclasses",
        "enum",
        "fractions",
        "functools",
        "hashlib",
        "heapq",
        "ipaddress",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "string",
        "tomllib",
        "struct",
        "typing",
        "unicodedata",
        "urllib.parse",
        "zlib",
    }
)
# pydantic's import costs 40 to 130 ms, and its models are slow: the configuration alone may use it.
CONFIGURATION = "config.py"
IO_BUILTINS = frozenset({"__import__", "breakpoint", "compile", "eval", "exec", "input", "open", "print"})
RUNTIMES = frozenset({"asyncio", "trio", "anyio"})
ADAPTER_RUNTIME = {"asyncio": {"asyncio"}, "trio": {"trio"}, "threads": set[str]()}


def imports(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Every import, wherever it stands: line, module, imported name ("" for the module itself)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, "." * node.level + (node.module or ""), alias.name


def sources(root: Path) -> Iterator[tuple[Path, ast.AST]]:
    for path in sorted(root.rglob("*.py")):
        yield path.relative_to(root), ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def impurities(root: Path) -> list[str]:
    """What in the package at ``root`` is not on the allow-list."""
    found = []
    for path, tree in sources(root):
        for line, module, _ in imports(tree):
            top = module.partition(".")[0]
            settings = path == Path(CONFIGURATION) and top in ("pydantic", "pydantic_core")
            if not (module in DATA_MODULES or top in ("msgspec", "rtcore") or settings):
                found.append(f"{path}:{line}: import of {module}")
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in IO_BUILTINS:
                found.append(f"{path}:{node.lineno}: use of {node.id}")
    return found


def test_the_core_imports_nothing_but_data_modules() -> None:  # DESIGN 1, proof 1
    assert impurities(CORE) == []


@pytest.mark.parametrize(
    ("name", "code", "found"),
    [
        ("_core.py", "import time\n", "_core.py:1: import of time"),
        ("_core.py", "def f():\n    from os import urandom\n", "_core.py:2: import of os"),
        ("_core.py", "import urllib.request\n", "_core.py:1: import of urllib.request"),
        ("_core.py", "import random as json\n", "_core.py:1: import of random"),
        ("_core.py", "from pydantic import BaseModel\n", "_core.py:1: import of pydantic"),
        ("sim/config.py", "from pydantic import BaseModel\n", "sim/config.py:1: import of pydantic"),
        ("_core.py", "from . import config\n", "_core.py:1: import of ."),
        ("_core.py", "import rtcore_adapters\n", "_core.py:1: import of rtcore_adapters"),
        ("_core.py", "__import__('socket')\n", "_core.py:1: use of __import__"),
        ("_core.py", "def f(read=open):\n    pass\n", "_core.py:1: use of open"),
        ("_core.py", "import json\nfrom urllib.parse import quote\nfrom rtcore import Play\n", None),
        ("config.py", "from pydantic import BaseModel\n", None),
    ],
    ids=lambda part: repr(part)[:40],
)
def test_the_allow_list_catches_what_it_is_for(tmp_path: Path, name: str, code: str, found: str | None) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(code)
    assert [each.replace(os.sep, "/") for each in impurities(tmp_path)] == ([] if found is None else [found])


# -- proof 2: a session behind guards ----------------------------------------------------------------------------------------


def behind_guards(folder: Path, module: str, hash_seed: str = "0") -> dict[str, Any]:
    """The report of ``tests/purity/guarded.py`` on ``module`` in ``folder``."""
    path = os.pathsep.join([str(CORE.parent), str(ADAPTERS.parent), str(TESTS)])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": hash_seed, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(TESTS / "purity" / "guarded.py"), str(folder), module]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_a_session_runs_without_sockets_clocks_files_and_randomness() -> None:  # DESIGN 1, proof 2
    report = behind_guards(TESTS / "purity", "session")
    assert report["failed"] is None, report["failed"]
    assert (report["refused"], report["called"], report["touched"]) == ([], [], [])
    assert report["result"]


@pytest.mark.parametrize(
    ("code", "where", "what"),
    [
        ("import socket\ndef run():\n    return b''\n", "refused", "socket"),
        ("import asyncio.events\ndef run():\n    return b''\n", "refused", "asyncio"),
        ("def run():\n    import select\n    return b''\n", "refused", "select"),
        ("from time import monotonic\nSTART = monotonic()\ndef run():\n    return b''\n", "called", "time.monotonic"),
        ("import time\ndef run():\n    time.sleep(0)\n    return b''\n", "called", "time.sleep"),
        ("import random\ndef run():\n    return bytes([random.randrange(9)])\n", "called", "random.randrange"),
        ("import random\ndef run():\n    return bytes([random.Random(7).randrange(9)])\n", "called", "random.Random"),
        ("import os\ndef run():\n    return os.urandom(4)\n", "called", "os.urandom"),
        (
            "import uuid\ndef run():\n    try:\n        return uuid.uuid4().bytes\n    except Exception:\n        return b''\n",
            "called",
            "uuid",
        ),
        ("def run():\n    return open(__file__, 'rb').read()\n", "touched", "open"),
        ("def run():\n    import colorsys\n    return b''\n", "touched", "import ('colorsys',)"),
        ("import threading\ndef run():\n    threading.Thread(target=list).start()\n    return b''\n", "called", "Thread.start"),
        ("import os\ndef run():\n    return str(os.listdir('.')).encode()\n", "touched", "os.listdir"),
        ("def run():\n    return b'clean'\n", None, ""),
    ],
    ids=lambda part: repr(part)[:40],
)
def test_the_guards_catch_what_they_are_for(tmp_path: Path, code: str, where: str | None, what: str) -> None:
    (tmp_path / "suspect.py").write_text(code)
    report = behind_guards(tmp_path, "suspect")
    caught = {kind: entries for kind in ("refused", "called", "touched") if (entries := report[kind])}
    if where is None:
        assert (caught, report["failed"]) == ({}, None)
    else:
        assert any(what in entry for entry in caught[where]), report


# -- determinism -------------------------------------------------------------------------------------------------------------


def transcript(hash_seed: str) -> bytes:
    report = behind_guards(TESTS / "purity", "session", hash_seed)
    assert report["failed"] is None, report["failed"]
    return base64.b64decode(report["result"])


def test_the_same_inputs_give_the_same_bytes_under_any_hash_seed() -> None:  # B31, C30, invariant 14
    first, second = (transcript(seed) for seed in ("1", "2"))
    assert first == second
    # The run reaches what matters: it sends every kind of edit, and it ends.
    for reached in (b"conversation.item.truncate", b"conversation.item.delete", b"response.cancel", b"SessionClosed"):
        assert reached in first


def test_a_set_of_strings_would_be_noticed(tmp_path: Path) -> None:
    (tmp_path / "suspect.py").write_text("def run():\n    return ''.join({f'id_{n}' for n in range(50)}).encode()\n")
    first, second = (behind_guards(tmp_path, "suspect", seed)["result"] for seed in ("1", "2"))
    assert first != second


# -- adapters ----------------------------------------------------------------------------------------------------------------


def is_public(module: str, name: str) -> bool:
    return not any(part.startswith("_") for part in [*module.split("."), name])


def unplugged(root: Path) -> list[str]:
    """Where the plug in the package at ``root`` reaches into the core, the adapters, another plug or another runtime."""
    found = []
    for path, tree in sources(root):
        for line, module, name in imports(tree):
            top = module.partition(".")[0]
            if top in ("rtcore", rtcore_adapters.__name__):
                if not is_public(module, name):
                    found.append(f"{path}:{line}: {module} {name} is private")
            elif top.startswith("rtcore_") and top != root.name:
                found.append(f"{path}:{line}: the plug {top}")
            elif top in RUNTIMES - {"asyncio"}:
                found.append(f"{path}:{line}: the runtime {top}")
    return found


def crossings(root: Path) -> list[str]:
    """Where the adapters in the package at ``root`` reach into the core, into each other, or into another's runtime."""
    found = []
    for path, tree in sources(root):
        adapter = path.parts[0].removesuffix(".py")
        allowed = RUNTIMES if adapter in ("cli", "testing") else ADAPTER_RUNTIME.get(adapter, set())
        for line, module, name in imports(tree):
            top, _, rest = module.partition(".")
            # ``from rtcore_adapters import trio`` names the adapter behind ``import``.
            other = (rest or name).partition(".")[0] if top == rtcore_adapters.__name__ else ""
            if module.startswith("."):
                found.append(f"{path}:{line}: relative import")
            elif top == "rtcore" and not is_public(module, name):
                found.append(f"{path}:{line}: {module} {name} is private to the core")
            elif top in RUNTIMES and top not in allowed:
                found.append(f"{path}:{line}: the runtime {top}")
            elif other in ADAPTER_RUNTIME and adapter not in (other, "cli"):
                found.append(f"{path}:{line}: the adapter {other}")
    return found


def test_plugs_use_public_names_and_asyncio_and_no_plug_uses_another() -> None:
    assert {path.name for path in PLUGS} == {"rtcore_livekit", "rtcore_openai_agents"}
    assert [crossing for plug in PLUGS for crossing in unplugged(plug)] == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("from rtcore import Session\nfrom rtcore_adapters.asyncio import connect\nimport asyncio\n", None),
        ("from rtcore_here._model import Model\n", None),
        ("from rtcore._core import Core\n", "_model.py:1: rtcore._core Core is private"),
        ("from rtcore_adapters._engine import Engine\n", "_model.py:1: rtcore_adapters._engine Engine is private"),
        ("import rtcore_there\n", "_model.py:1: the plug rtcore_there"),
        ("import trio\n", "_model.py:1: the runtime trio"),
    ],
)
def test_what_a_plug_may_not_use_is_found(tmp_path: Path, code: str, found: str | None) -> None:
    plug = tmp_path / "rtcore_here"
    plug.mkdir()
    (plug / "_model.py").write_text(code)
    assert unplugged(plug) == ([] if found is None else [found])


def test_adapters_use_public_names_and_their_own_runtime_and_never_each_other() -> None:  # DESIGN 1
    assert crossings(ADAPTERS) == []


@pytest.mark.parametrize(
    ("name", "code", "found"),
    [
        ("asyncio.py", "from rtcore._session import Session\n", "asyncio.py:1: rtcore._session Session is private to the core"),
        ("asyncio.py", "from rtcore import _session\n", "asyncio.py:1: rtcore _session is private to the core"),
        ("asyncio.py", "import rtcore.sim._rng\n", "asyncio.py:1: rtcore.sim._rng  is private to the core"),
        ("asyncio.py", "import trio\n", "asyncio.py:1: the runtime trio"),
        ("threads.py", "import asyncio\n", "threads.py:1: the runtime asyncio"),
        ("_link.py", "import asyncio\n", "_link.py:1: the runtime asyncio"),
        ("trio.py", "from rtcore_adapters.asyncio import connect\n", "trio.py:1: the adapter asyncio"),
        ("trio.py", "from rtcore_adapters import threads\n", "trio.py:1: the adapter threads"),
        ("_link.py", "import rtcore_adapters.trio\n", "_link.py:1: the adapter trio"),
        ("trio.py", "from ._link import Link\n", "trio.py:1: relative import"),
        ("asyncio.py", "import asyncio\nfrom rtcore import Session\nfrom rtcore_adapters._link import Link\n", None),
        ("cli/demo.py", "import anyio\nimport rtcore_adapters.asyncio\nfrom rtcore.sim.server import Server\n", None),
    ],
    ids=lambda part: repr(part)[:40],
)
def test_the_check_of_adapters_catches_what_it_is_for(tmp_path: Path, name: str, code: str, found: str | None) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(code)
    assert crossings(tmp_path) == ([] if found is None else [found])


def test_the_configuration_alone_imports_pydantic() -> None:  # style, measured facts
    users = {
        str(path)
        for path, tree in sources(CORE)
        for _, module, _ in imports(tree)
        if module.partition(".")[0].startswith("pydantic")
    }
    assert users == {CONFIGURATION}


def test_dialects_know_the_configuration_by_name_only() -> None:
    """Dialects import the configuration's types for annotations alone, so that there is no cycle at run time."""
    for path, tree in sources(CORE / "dialects"):
        guarded = {
            line
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        }
        for line, module, _ in imports(tree):
            assert module != "rtcore.config" or line in guarded, f"{path}:{line}"
