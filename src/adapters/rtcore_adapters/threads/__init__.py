"""A conversation for programs of threads, with no event loop.

::

    with connect(Config(connection=Connection(api_key=key)), speaker=speaker, microphone=microphone) as conversation:
        conversation.send_text("Tell me a story in two parts.")
        for notice in conversation:
            ...

It runs in a thread of its own, and any thread may give it commands. When the ``with`` block has been left, all of it has ended:
sockets, the thread, files, and the sound. Plain functions that answer function calls (``tools``) run in threads of their own,
which nothing can end from outside: what one gives after the end is dropped.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from ssl import SSLContext
from typing import Any, TypeVar

from rtcore import Config, Effect, Issued, Notice, Session
from rtcore.policies import Policies
from rtcore_adapters._commands import Commands
from rtcore_adapters._engine import Engine
from rtcore_adapters._failures import ConnectionFailed, RequestFailed
from rtcore_adapters._line import Ways
from rtcore_adapters._link import LinkTimes
from rtcore_adapters._mailbox import SharedMailbox
from rtcore_adapters._recording import Record, recorder
from rtcore_adapters._token import TokenProvider
from rtcore_adapters._tools import Tool, Tools, is_coroutine_tool
from rtcore_adapters.audio import Microphone, Speaker
from rtcore_adapters.threads._dial import open_socket
from rtcore_adapters.threads._pump import Pump
from rtcore_adapters.threads._request import Request
from rtcore_adapters.threads._wire import Dial

__all__ = [
    "ConnectionFailed",
    "Conversation",
    "LinkTimes",
    "Record",
    "Request",
    "RequestFailed",
    "TokenProvider",
    "Tool",
    "Tools",
    "connect",
]

_T = TypeVar("_T")


class Conversation(Commands[Request]):
    """A session that is ready: commands and views for any thread, and ``for notice in conversation``.

    A command waits until the conversation's thread has taken it, which is at once unless a device holds it up; not for the
    server. The notices end after ``SessionClosed``. They belong to one consumer; two share them. A consumer that stops listening
    stops nothing: facts wait, streams of text flow together, diagnostics beyond a bound are dropped (``dropped_notices``).
    """

    def __init__(self, pump: Pump) -> None:
        super().__init__(pump.engine.session)
        self._pump = pump

    def __iter__(self) -> Iterator[Notice]:
        return self

    def __next__(self) -> Notice:
        notice = self._pump.next_notice()
        if notice is None:
            raise StopIteration
        return notice

    def next_notice(self, timeout_s: float | None = None) -> Notice | None:
        """The next notice, or None after the last. Raises ``TimeoutError`` where none comes in ``timeout_s``; 0 asks only, and
        None and ``math.inf`` wait for ever."""
        return self._pump.next_notice(timeout_s)

    @property
    def dropped_notices(self) -> int:
        """Notices that were dropped because nobody took them."""
        return self._pump.engine.mailbox.dropped

    def _ask(self, command: Callable[..., Issued], *args: Any, **options: Any) -> Request:
        return self._pump.call(partial(self._pump.engine.ask, partial(command, *args, **options)))

    def _do(self, command: Callable[..., list[Effect]], *args: Any, **options: Any) -> None:
        self._pump.call(partial(self._pump.engine.do, partial(command, *args, **options)))

    def _look(self, view: Callable[[], _T]) -> _T:
        return self._pump.call(view)


@contextmanager
def connect(
    config: Config,
    *,
    speaker: Speaker | None = None,
    microphone: Microphone | None = None,
    tools: Tools | None = None,
    token: TokenProvider | None = None,
    policies: Policies | None = None,
    history: bytes | None = None,
    ssl: SSLContext | None = None,
    proxy: str | bool | None = True,
    proxy_ssl: SSLContext | None = None,
    times: LinkTimes | None = None,
    seed: int | None = None,
    record: Record | str | os.PathLike[str] | None = None,
    dial: Dial = open_socket,
) -> Iterator[Conversation]:
    """Open a session and give it once the server has acknowledged it.

    Without ``speaker`` the sound passes at real speed, unheard; without ``microphone`` nothing is sent but what the program
    appends. Both are used by the conversation's thread alone. ``tools`` are plain functions that answer function calls: typed
    ones in a list define themselves (``rtcore_adapters.tools``), those in a mapping are defined elsewhere; a call of any
    other name is left to the program (``ToolCalled``). ``ssl`` replaces the default context, which verifies the server;
    ``proxy`` is a URL, None for none, or True for what the environment says, and ``proxy_ssl`` verifies one that is reached
    by TLS. ``times`` are the websocket's time-outs, ``seed`` fixes the ids (default: drawn). ``record`` names a file that
    ``rtcore replay`` runs again (see ``Record``). ``dial`` opens the socket to a host and a port in another way than this
    machine's: through a tunnel, a unix socket, a test.

    ``token`` is called for a bearer token whenever the session dials: for Entra ID, and others whose tokens live shortly.
    ``policies`` are decisions of the program's own (``rtcore.policies``), pure functions. ``history`` is an earlier
    conversation to begin with, as ``rtcore.saved.save`` writes it.

    Ctrl-C in the block hangs up in order, for which the server has ``LinkTimes.close_s``; a second one drops the line.

    Raises ``ConnectionFailed`` where the session does not become ready, ``AudioFileError`` for a file that cannot be used,
    ``TypeError`` for a tool or a token provider that is a coroutine function, ``ValueError`` where the microphone's format is
    not the session's or a proxy's URL cannot be used, and ``OSError`` where the recording's file cannot be opened or, at the
    end, was not written whole.
    """
    for each in tools.values() if isinstance(tools, Mapping) else tools or ():
        if is_coroutine_tool(each):
            raise TypeError(
                f"the tool {each!r} is a coroutine function: give a plain one, or use rtcore_adapters.asyncio or .trio"
            )
    if token is not None and is_coroutine_tool(token):
        raise TypeError("token: is a coroutine function; give a plain one, or use rtcore_adapters.asyncio or .trio")
    with ExitStack() as stack:
        session = Session if record is None else stack.enter_context(recorder(record)).session
        engine = partial(
            Engine,
            config=config,
            speaker=speaker,
            microphone=microphone,
            tools=tools,
            token=token,
            policies=policies,
            history=history,
            times=times,
            ways=Ways(ssl=ssl, proxy=proxy, proxy_ssl=proxy_ssl),
            seed=seed,
            session=session,
            mailbox=SharedMailbox(),
        )
        pump = Pump(engine, dial=dial)
        try:
            pump.start()
            pump.ready()
            yield Conversation(pump)
        finally:
            pump.stop()
        if pump.engine.crash is not None:
            raise pump.engine.crash
