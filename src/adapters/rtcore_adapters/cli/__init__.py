"""The command line, ``rtcore``: one module per command, loaded only when it is the one that runs.

A command's module offers ``arguments(parser)``, which declares its options, and ``run(options) -> int``, which gives the exit
status.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

from rtcore_adapters._extras import install

COMMANDS = {
    "audit": "a proxy that judges any client: what it told the server, and what could be heard",
    "demo": "talk for real, interrupt, count: a table, report.html and heard.wav",
    "fuzz": "interruptions by the thousand, in virtual time, against the invariants",
    "replay": "a recorded session, run again bit for bit; its timeline, other policies, smaller failures",
    "serve": "the strict simulated server on a local websocket",
    "talk": "talk to a model from the terminal: microphone, files or typing, on any runtime",
    "timeline": "recordings and worlds as a page that one can zoom and scrub, two on one axis",
}
"""Command, and module of this package, to what it is."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``rtcore`` with these arguments (default: the process's); gives the exit status. Wrong usage raises ``SystemExit``."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="rtcore", description="The part of realtime voice that is right.")
    parser.add_argument("--version", action="version", version=f"rtcore {version('rtcore')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in words if not word.startswith("-")), None)
    for name, meaning in COMMANDS.items():
        command = commands.add_parser(name, help=meaning, description=f"rtcore {name}: {meaning}.")
        if name == chosen:
            try:
                module = import_module(f"{__name__}.{name}")
            except ModuleNotFoundError as missing:
                if missing.name != "anyio":
                    raise
                parser.exit(1, f"rtcore {name} needs the package anyio: {install('cli')}\n")
            module.arguments(command)
            command.set_defaults(run=module.run)
    options = parser.parse_args(words)
    return int(options.run(options))
