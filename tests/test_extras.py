"""What pages and errors say about installing: it works as it stands, from a checkout and from an index.

Pages install from a checkout (``pip install '.[audio]'``), because no version is on an index. An error comes from an rtcore that
is installed, and adds an extra to that by name, wherever it came from (``rtcore_adapters._extras``).
"""

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
RELEASED = "pip install rtcore==1.2.3"
"""The last step of a release, in docs/versions.md."""
NEEDED = {
    "rtcore_adapters.trio": ("trio", "trio"),
    "rtcore_adapters.testing._on_trio": ("trio", "trio"),
    "rtcore_adapters.telemetry": ("opentelemetry", "otel"),
    "rtcore_adapters.audio.device": ("sounddevice", "audio"),
    "rtcore_livekit": ("livekit", "livekit"),
    "rtcore_openai_agents": ("agents", "openai-agents"),
}
"""What is imported by itself, the package that it needs, and the extra that brings it."""
IMPORTS = """
import importlib, sys
for module, package in {!r}:
    sys.modules[package] = None
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        print(error)
    del sys.modules[package]
"""


def texts(*kinds: str) -> Iterator[tuple[str, str]]:
    folders = ("src", "docs", "examples", "interop", "tests", ".ci")
    found = [path for folder in folders for kind in kinds for path in (ROOT / folder).rglob(f"*.{kind}")]
    for path in [*found, *ROOT.glob("*.md")]:
        if path != Path(__file__) and "node_modules" not in path.parts:
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def test_an_extra_that_is_named_is_one() -> None:
    named = {
        (path, extra)
        for path, text in texts("py", "md", "toml")
        for group in re.findall(r"(?:rtcore|\s['\"]\.)\[([a-z][a-z,-]*)\]", text)
        for extra in group.split(",")
    }
    assert {extra for _, extra in named} >= {"audio", "trio", "cli", "cluster", "schema"}
    assert [each for each in sorted(named) if each[1] not in EXTRAS] == []


def test_pages_install_from_a_checkout() -> None:
    """Only the release itself, and what is said about adding an extra by its name, install rtcore by name."""
    pages = [(path, text) for path, text in texts("md") if path.startswith(("docs", "examples")) or path == "README.md"]
    commands = [(path, command) for path, text in pages for command in re.findall(r"pip install [^\n`#]*", text)]
    by_name = {(path, command.strip()) for path, command in commands if re.search(r"install '?\"?rtcore", command)}
    assert by_name == {("docs/versions.md", RELEASED), ("README.md", "pip install 'rtcore[trio]'")}
    assert len([command for _, command in commands if re.search(r"install (-e )?['\"]?\.", command)]) >= 10


def test_errors_name_the_command_in_one_form() -> None:
    """By ``install`` alone: a form of its own somewhere else would be another one soon."""
    of_sources = [(path, text) for path, text in texts("py") if path.startswith("src")]
    commands = {(path, each) for path, text in of_sources for each in re.findall(r"pip install [^\n]*?rtcore\[.*?\]['\"]?", text)}
    assert {each for path, each in commands if path.endswith("_extras.py")} == {"pip install 'rtcore[{extra}]'"}
    wrong = [each for _, each in commands if not re.fullmatch(r"pip install 'rtcore\[(\{extra\}|[a-z-]+)\]'", each)]
    assert wrong == []


def test_what_is_imported_without_its_extra_says_what_to_install() -> None:
    wanted = [(module, package) for module, (package, _) in NEEDED.items()]
    ran = subprocess.run([sys.executable, "-c", IMPORTS.format(wanted)], capture_output=True, text=True, check=True, cwd=ROOT)
    told = ran.stdout.splitlines()
    assert len(told) == len(NEEDED)
    for line, (package, extra) in zip(told, NEEDED.values(), strict=True):
        assert re.fullmatch(rf".+ needs the package {package}(\.\w+)*: pip install 'rtcore\[{extra}\]'", line)


def test_an_extra_is_added_to_the_rtcore_that_is_installed() -> None:
    """Without any index, so it is not fetched: the command is right for a checkout, too."""
    if importlib.util.find_spec("pip") is None:
        pytest.skip("this environment has no pip")
    try:
        assert "cli" in (metadata("rtcore").get_all("Provides-Extra") or ())
    except PackageNotFoundError:
        pytest.skip("rtcore is on the path, and not installed")
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--disable-pip-version-check", "rtcore[cli]"]
    spoken = {name: value for name, value in os.environ.items() if name != "PIP_QUIET"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=spoken)
    assert ran.returncode == 0, ran.stderr
    assert "Requirement already satisfied: rtcore[cli]" in ran.stdout
