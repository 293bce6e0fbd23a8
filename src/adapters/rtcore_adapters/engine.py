"""What an adapter is made of, for a runtime or a loop of your own: docs/own-loop.md.

``Engine`` drives a session, its devices, lines, tools and deadlines; ``Host`` is what it asks of a runtime. A ``Line`` is a
connection without a socket: a runtime opens one and moves bytes. ``Commands`` are what a conversation offers to a program.
"""

from rtcore_adapters._commands import Commands
from rtcore_adapters._engine import Engine
from rtcore_adapters._failures import ConnectionFailed, RequestFailed, outcome
from rtcore_adapters._host import Host, Settles
from rtcore_adapters._line import Line, Ways
from rtcore_adapters._link import LinkTimes
from rtcore_adapters._tools import Tools

__all__ = [
    "Commands",
    "ConnectionFailed",
    "Engine",
    "Host",
    "Line",
    "LinkTimes",
    "RequestFailed",
    "Settles",
    "Tools",
    "Ways",
    "outcome",
]
