"""Build the wheel, install it alone into an empty environment of every Python that is supported, and use it there.

    python .ci/wheels.py                    # make wheels
    python .ci/wheels.py --without 3.13     # where there is no such Python

What is built must be installable without this repository, its extras and its development tools. Then it gets its extras, and is
used with these: a conversation on trio with ``rtcore serve``, a test by the pytest plugin, a page of the timeline.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13")
USE = """
import sys
from rtcore import Config, Session
from rtcore.config import Connection
from rtcore.sim import World, synthetic_voices
import rtcore_adapters.asyncio, rtcore_adapters.threads, rtcore_adapters.audio, rtcore_adapters.tools

session = Session(Config(connection=Connection(url="ws://127.0.0.1:1")))
[effect] = session.open(now=0.0)
result = World(7, synthetic_voices(1)).run()
assert result.interruptions > 0 and not result.violations, result.violations
print(f"{sys.version.split()[0]}: {type(effect).__name__}, {result.interruptions} interruptions, no rule broken")
"""
EXTRAS = "trio,cli,schema,otel"
TRIO = """
import sys
import trio
from rtcore import Config, MessageEnded
from rtcore.config import Connection
from rtcore_adapters.telemetry import Telemetry
from rtcore_adapters.trio import connect


async def main():
    telemetry = Telemetry()
    with trio.fail_after(60):
        async with connect(Config(connection=Connection(url=sys.argv[1]))) as conversation:
            conversation.send_text("Hello.")
            async for notice in conversation:
                telemetry.observe(notice)
                if isinstance(notice, MessageEnded):
                    assert notice.heard_ms == 500, notice
                    return


trio.run(main)
print("a conversation on trio")
"""


def interpreter(version: str) -> str | None:
    """Its path, among those that are on the path or in pyenv's folder."""
    named = shutil.which(f"python{version}")
    kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    found = [str(path) for path in kept] + ([named] if named else [])
    for path in found:
        ask = [path, "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"]
        asked = subprocess.run(ask, check=False, capture_output=True, text=True)
        if asked.stdout.strip() == version:
            return path
    return None


def alone(home: Path, folder: str) -> int:
    """How much fails of what must work without extras."""
    python = home / "bin" / "python"
    failed = subprocess.run([python, "-I", "-c", USE], check=False, cwd=folder).returncode != 0
    return failed + (subprocess.run([home / "bin" / "rtcore", "--version"], check=False, cwd=folder).returncode != 0)


def with_extras(home: Path, folder: str) -> int:
    """How much fails of what the extras and the plugin are for."""
    tools = home / "bin"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    page, test = Path(folder, "timeline.html"), home / "test_of_the_page.py"
    manual = (REPOSITORY / "docs" / "testing.md").read_text(encoding="utf-8")
    test.write_text(manual.partition("```python bench\n")[2].partition("```")[0], encoding="utf-8")

    def fails(*command: str | Path) -> bool:
        return subprocess.run(command, check=False, cwd=home, env=environment).returncode != 0

    with subprocess.Popen(
        [tools / "rtcore", "serve", "--port", "0", "--say", "500"], stdout=subprocess.PIPE, text=True, env=environment
    ) as server:
        try:
            assert server.stdout is not None
            url = next((found[0] for line in server.stdout if (found := re.search(r"ws://\S+/v1/realtime", line))), "")
            failed = int(fails(tools / "python", "-I", "-c", TRIO, url))
        finally:
            server.terminate()
    failed += fails(tools / "python", "-I", "-m", "pytest", "-q", "-p", "no:cacheprovider", test)
    page.unlink(missing_ok=True)
    failed += fails(tools / "rtcore", "timeline", "7", "--html", page)
    drawn = page.exists() and "<script" in page.read_text(encoding="utf-8")
    print("a page of the timeline" if drawn else "no page of the timeline")
    return failed + (not drawn)


def main() -> int:
    """How much failed. A Python that is not on this machine has failed, unless it was excepted by name."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--without", action="append", default=[], choices=PYTHONS, help="a Python that need not be here")
    without = options.parse_args().without
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, str(REPOSITORY)], check=True)
        [wheel] = Path(folder).glob("*.whl")
        for version in PYTHONS:
            python = interpreter(version)
            if python is None:
                print(f"{version}: not on this machine, not checked")
                failed += version not in without
                continue
            home = Path(folder, version)
            subprocess.run([python, "-m", "venv", str(home)], check=True)
            install = [str(home / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
            subprocess.run([*install, str(wheel)], check=True)
            failed += alone(home, folder)
            # By its name, as errors say it: pip adds to the one that is there, and asks no index for another.
            subprocess.run([*install, f"rtcore[{EXTRAS}]", "pytest"], check=True)
            failed += with_extras(home, folder)
    return failed


if __name__ == "__main__":
    sys.exit(main())
