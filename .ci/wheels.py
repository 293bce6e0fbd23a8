"""Build the wheel, install it alone into an empty environment of every Python that is supported, and use it there.

    python .ci/wheels.py        # make wheels

What is built must be installable without this repository, its extras and its development tools.
"""

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


def main() -> int:
    """How many of the Pythons failed; one that is not on this machine is named, and is no failure."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, str(REPOSITORY)], check=True)
        [wheel] = Path(folder).glob("*.whl")
        for version in PYTHONS:
            python = interpreter(version)
            if python is None:
                print(f"{version}: not on this machine, not checked")
                continue
            home = Path(folder, version)
            subprocess.run([python, "-m", "venv", str(home)], check=True)
            alone = str(home / "bin" / "python")
            subprocess.run([alone, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", str(wheel)], check=True)
            failed += subprocess.run([alone, "-I", "-c", USE], check=False, cwd=folder).returncode != 0
            failed += subprocess.run([str(home / "bin" / "rtcore"), "--version"], check=False, cwd=folder).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
