"""What a user installs: the built wheel, its types as a consumer outside the repository sees them, and its names explained."""

import ast
import importlib
import importlib.util
import inspect
import os
import pkgutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from enum import Enum
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

import rtcore
import rtcore.config
import rtcore.dialects
import rtcore.sim
import rtcore_adapters
import rtcore_adapters.cli

REPOSITORY = Path(__file__).parent.parent
PLUGS = {path.name for path in (REPOSITORY / "src" / "adapters").glob("rtcore_*") if path.name != "rtcore_adapters"}
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))

CONSUMER = """
from typing import assert_never

from pydantic import SecretStr

from rtcore import (
    Clock, Config, Connect, Disconnect, Drain, Effect, Flush, LocalProtocolError, MessageEnded, Notice, Pause, Play, Resume, Send,
    Session, Verdict,
)
from rtcore.config import AudioInput, AudioOptions, Connection, FunctionTool, SemanticVad, SessionOptions
from rtcore.dialects import Capabilities
from rtcore_adapters.asyncio import Conversation, connect
from rtcore_adapters.audio import VirtualSpeaker

config = Config(
    connection=Connection(api_key=SecretStr("sk-none"), model="gpt-realtime"),
    session=SessionOptions(
        instructions="Be brief.",
        audio=AudioOptions(input=AudioInput(turn_detection=SemanticVad(eagerness="low"))),
        tools=(FunctionTool(name="look", parameters={"type": "object"}),),
    ),
    context="exact",
)


def said(effect: Effect) -> str:
    match effect:
        case Play(pcm, format, generation):
            return f"{len(pcm)} bytes at {format.rate} in {generation}"
        case Drain() | Flush() | Pause() | Resume():
            return str(effect.generation)
        case Send(connection, payload):
            return f"{connection}: {payload.decode()}"
        case Connect() | Disconnect():
            return str(effect.connection)
        case MessageEnded(verdict=Verdict.PARTIAL):
            return effect.text
        case Notice():
            return type(effect).__name__
        case _:
            assert_never(effect)


async def talk() -> None:
    async with connect(config, speaker=VirtualSpeaker()) as conversation:
        await tell(conversation)


async def tell(conversation: Conversation) -> None:
    conversation.send_text("Hello")
    async for notice in conversation:
        print(said(notice))


session = Session(config, clock=Clock(pause=False), seed=1)
for effect in session.open(now=0.0):
    print(said(effect))
number: int = session.send_text("Hello", now=0.0).request
can: Capabilities = session.capabilities
try:
    session.tool_result("unknown", {}, now=0.0)
except LocalProtocolError as mistake:
    print(mistake)
"""

MISTAKEN = """
from typing import assert_never

from rtcore import Config, Effect, Flush, Play, Session

session = Session(Config(context="precise"))
session.played("1", 2, now=0.0)
session.flushed(1, 2)
session.speech("paused", now=0.0)
session.history[0].text = ""
config = Config()
config.context = "exact"


def said(effect: Effect) -> int:
    match effect:
        case Play() | Flush():
            return effect.generation
        case _:
            assert_never(effect)
"""
MISTAKES = ["arg-type", "arg-type", "call-arg", "arg-type", "misc", "misc", "arg-type"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as ``pip`` would build it, without a download."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python in which the wheel is installed, and which borrows the wheel's dependencies from this one."""
    folder = tmp_path_factory.mktemp("consumer") / "venv"
    venv.EnvBuilder(symlinks=os.name != "nt").create(folder)
    scheme = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", vars=scheme))
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([*install, "--target", str(packages), str(wheel)], check=True, capture_output=True)
    # A path in a .pth file is searched, but .pth files in it are not read: an editable rtcore is not found there.
    borrowed = Path(importlib.import_module("pydantic").__file__ or "").parent.parent
    (packages / "borrowed.pth").write_text(f"{borrowed}\n", encoding="utf-8")
    return Path(sysconfig.get_path("scripts", vars=scheme)) / "python"


def test_the_wheel_holds_the_two_packages_their_types_and_the_license(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    metadata = f"rtcore-{PROJECT['project']['version']}.dist-info"
    packages = {"rtcore", "rtcore_adapters", *PLUGS}
    assert {name.partition("/")[0] for name in names} == {*packages, metadata}
    assert {*(f"{package}/py.typed" for package in packages), f"{metadata}/licenses/LICENSE"} <= set(names)
    in_tree = {
        path.relative_to(root).as_posix()
        for root in (REPOSITORY / "src", REPOSITORY / "src" / "adapters")
        for package in packages
        for path in (root / package).rglob("*.*")
        if "__pycache__" not in path.parts and path.is_file()
    }
    assert in_tree <= set(names)
    entries = zipfile.ZipFile(wheel).read(f"{metadata}/entry_points.txt").decode()
    assert "[pytest11]\nrtcore_adapters.pytest_plugin = rtcore_adapters.pytest_plugin\n" in entries


def test_a_consumer_outside_the_repository_passes_strict_mypy_and_its_mistakes_do_not(python: Path, tmp_path: Path) -> None:
    (tmp_path / "consumer.py").write_text(CONSUMER, encoding="utf-8")
    (tmp_path / "mistaken.py").write_text(MISTAKEN, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context", "--no-pretty"]
    command += ["--config-file", os.devnull, "--cache-dir", str(tmp_path / "cache"), "--python-executable", str(python)]
    environment = {name: value for name, value in os.environ.items() if name not in ("MYPYPATH", "PYTHONPATH")}
    checked = subprocess.run(
        [*command, "consumer.py", "mistaken.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    errors = [line for line in checked.stdout.splitlines() if ": error: " in line]
    assert [line for line in errors if not line.startswith("mistaken.py:")] == [], checked.stdout + checked.stderr
    assert [line.rpartition("[")[2].rstrip("]") for line in errors] == MISTAKES, checked.stdout + checked.stderr


def test_a_consumer_runs_against_the_wheel(python: Path, tmp_path: Path) -> None:
    (tmp_path / "consumer.py").write_text(CONSUMER + "\nimport rtcore\nprint(rtcore.__file__)\n", encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(python), "-W", "error", "consumer.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    connection, mistake, where = done.stdout.splitlines()
    assert connection == "1"
    assert mistake.startswith("call_id: ")
    assert Path(where).is_relative_to(python.parent.parent)


def test_the_makefile_can_read_what_pip_cannot() -> None:
    """pip 23, which Python 3.11 brings, knows no dependency groups: a group that includes another would not be read."""
    assert all(isinstance(requirement, str) for requirement in PROJECT["dependency-groups"]["dev"])
    assert "rtcore_adapters.cli:main" in PROJECT["project"]["scripts"].values()


# -- every public name is explained ------------------------------------------------------------------------------------------


def public_names(module: ModuleType) -> Iterator[tuple[str, object]]:
    """The names that the module offers: those it defines or re-exports by ``import x as x``."""
    tree = ast.parse(inspect.getsource(module))
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names if alias.asname == alias.name]
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        else:
            continue
        yield from ((name, getattr(module, name)) for name in names if not name.startswith("_"))


def attribute_docs(root: str) -> set[str]:
    """Names of module constants that a string follows, in every module below ``root``."""
    found = set()
    for path in Path(root).rglob("*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for node, following in pairwise(body):
            if not (isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)):
                continue
            if isinstance(node, ast.Assign):
                found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
    return found


def undocumented(name: str, named: object, constants: set[str]) -> Iterator[str]:
    value = inspect.unwrap(named) if callable(named) else named
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        if name not in constants:
            yield name
        return
    # A class without a docstring of its own inherits none, but a named tuple writes one.
    own = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    if not own or own.startswith(f"{name}("):
        yield name
    if inspect.isclass(value) and not issubclass(value, Enum):
        for member, what in vars(value).items():
            if not member.startswith("_") and (inspect.isfunction(what) or isinstance(what, property)) and not what.__doc__:
                yield f"{name}.{member}"


@pytest.mark.parametrize("module", [rtcore, rtcore.config, rtcore.dialects], ids=lambda module: str(module.__name__))
def test_every_public_name_of_the_core_is_explained(module: ModuleType) -> None:
    constants = attribute_docs(next(iter(rtcore.__path__)))
    missing = [gap for name, value in public_names(module) for gap in undocumented(name, value, constants)]
    assert missing == []


def test_every_public_name_of_the_simulation_and_the_adapters_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", ModuleType("sounddevice"))  # neither it nor PortAudio has to be installed
    missing = []
    for package in (rtcore.sim, rtcore_adapters):
        constants = attribute_docs(next(iter(package.__path__)))
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            parts = info.name.split(".")
            if any(part.startswith("_") for part in parts) or "cli" in parts:
                continue
            if parts[-1] == "telemetry" and importlib.util.find_spec("opentelemetry") is None:
                continue  # an extra that nothing but test_telemetry needs
            module = importlib.import_module(info.name)
            assert module.__doc__, info.name
            for name, value in public_names(module):
                missing += [f"{info.name}: {gap}" for gap in undocumented(name, value, constants)]
    assert missing == []


def test_a_name_without_explanation_is_found() -> None:
    class Bare:
        def method(self) -> None: ...

    class Told:
        """Told."""

        def method(self) -> None: ...

    assert list(undocumented("Bare", Bare, set())) == ["Bare", "Bare.method"]
    assert list(undocumented("Told", Told, set())) == ["Told.method"]
    assert list(undocumented("CONSTANT", 7, set())) == ["CONSTANT"]
    assert list(undocumented("CONSTANT", 7, {"CONSTANT"})) == []


def test_the_command_line_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        rtcore_adapters.cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"rtcore {PROJECT['project']['version']}\n"
