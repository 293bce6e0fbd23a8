"""A conversation on trio.

::

    async with connect(Config(connection=Connection(api_key=key)), speaker=speaker, microphone=microphone) as conversation:
        conversation.send_text("Tell me a story in two parts.")
        async for notice in conversation:
            ...

When the ``async with`` block has been left, all of it has ended: sockets, tasks, timers, files, and the sound. Needs the extra
``rtcore[trio]``.
"""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from ssl import SSLContext
from typing import Any

from rtcore_adapters._extras import missing

try:
    import trio
except ModuleNotFoundError as error:
    raise missing("rtcore_adapters.trio", error.name, "trio") from None

from rtcore import Config, Effect, Issued, Notice, Session
from rtcore.policies import Policies
from rtcore_adapters._commands import Commands
from rtcore_adapters._engine import Engine
from rtcore_adapters._failures import ConnectionFailed, RequestFailed
from rtcore_adapters._line import Ways
from rtcore_adapters._link import LinkTimes
from rtcore_adapters._recording import Record, recorder
from rtcore_adapters._token import TokenProvider
from rtcore_adapters._tools import Tool, Tools
from rtcore_adapters.audio import Microphone, Speaker
from rtcore_adapters.trio._pump import Pump
from rtcore_adapters.trio._request import Request
from rtcore_adapters.trio._wire import Dial

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


class Conversation(Commands[Request]):
    """A session that is ready: commands, views, and ``async for notice in conversation``.

    Commands belong to the task's own thread, and do not wait. The notices end after ``SessionClosed``. They belong to one
    consumer; two share them. A consumer that stops listening stops nothing: facts wait, streams of text flow together,
    diagnostics beyond a bound are dropped (``dropped_notices``).
    """

    def __init__(self, pump: Pump) -> None:
        super().__init__(pump.engine.session)
        self._pump = pump

    def __aiter__(self) -> AsyncIterator[Notice]:
        return self

    async def __anext__(self) -> Notice:
        return await self._pump.next_notice()

    @property
    def dropped_notices(self) -> int:
        """Notices that were dropped because nobody took them."""
        return self._pump.engine.mailbox.dropped

    def _ask(self, command: Callable[..., Issued], *args: Any, **options: Any) -> Request:
        return self._pump.engine.ask(partial(command, *args, **options))

    def _do(self, command: Callable[..., list[Effect]], *args: Any, **options: Any) -> None:
        self._pump.engine.do(partial(command, *args, **options))


@asynccontextmanager
async def connect(
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
    dial: Dial | None = None,
    nursery: trio.Nursery | None = None,
) -> AsyncIterator[Conversation]:
    """Open a session and give it once the server has acknowledged it.

    Without ``speaker`` the sound passes at real speed, unheard; without ``microphone`` nothing is sent but what the program
    appends. ``tools`` answer function calls: typed functions in a list define themselves (``rtcore_adapters.tools``), those
    in a mapping are defined elsewhere; a call of any other name is left to the program (``ToolCalled``). ``ssl`` replaces the
    default context, which verifies the server; ``proxy`` is a URL, None for none, or True for what the environment says, and
    ``proxy_ssl`` verifies one that is reached by TLS. ``times`` are the websocket's time-outs, ``seed`` fixes the ids
    (default: drawn). ``record`` names a file that ``rtcore replay`` runs again (see ``Record``). ``dial`` opens the socket to
    a host and a port in another way than this machine's: through a tunnel, a unix socket, a test.

    ``token`` is called for a bearer token whenever the session dials: for Entra ID, and others whose tokens live shortly.
    ``policies`` are decisions of the program's own (``rtcore.policies``), pure functions. ``history`` is an earlier
    conversation to begin with, as ``rtcore.saved.save`` writes it.

    Its tasks live in a nursery of its own around the block, or in ``nursery``; where that is cancelled, the conversation ends
    in order. A cancelled block hangs up in order, too, for which the server has ``LinkTimes.close_s``. What the block raises
    comes out as it is, not in an exception group.

    Raises ``ConnectionFailed`` where the session does not become ready, ``AudioFileError`` for a file that cannot be used,
    ``ValueError`` where the microphone's format is not the session's or a proxy's URL cannot be used, and ``OSError`` where
    the recording's file cannot be opened or, at the end, was not written whole.
    """
    left: BaseException | None = None
    async with AsyncExitStack() as stack:
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
        )
        pump = Pump(engine, dial=dial)
        if nursery is None:
            nursery = await stack.enter_async_context(trio.open_nursery())
        try:
            pump.start(nursery)
            await pump.ready()
            yield Conversation(pump)
        except BaseException as error:  # raised behind the nursery, which would wrap it
            left = error
        try:
            await pump.stop()
        except BaseException as error:
            left = left or error
    if left is not None:
        raise left
    if pump.engine.crash is not None:
        raise pump.engine.crash
