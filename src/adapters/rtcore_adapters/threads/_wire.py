"""A line's socket on a selector. Its methods belong to the pump's thread; none of them blocks."""

import selectors
import socket
import threading
from collections.abc import Callable
from functools import partial

from rtcore_adapters._engine import Engine
from rtcore_adapters._line import Line
from rtcore_adapters._sockets import tune
from rtcore_adapters.threads._dial import open_socket
from rtcore_adapters.threads._request import Request

Dial = Callable[[str, int], socket.socket]
"""Opens a socket to a host and a port; it may block."""

HandOver = Callable[[Callable[[], None]], bool]
"""Has work done on the pump's thread; False where that has ended."""

_READ = 64 * 1024


class Wire:
    """A line and its socket. ``gone`` is true when nothing of it is left."""

    def __init__(
        self,
        line: Line,
        engine: Engine[Request],
        *,
        selector: selectors.BaseSelector,
        time: Callable[[], float],
        hand_over: HandOver,
    ) -> None:
        self.gone = False
        self.patience: float | None = None
        """Until when the last bytes may be written, once the line is over."""
        self._line = line
        self._engine = engine
        self._selector = selector
        self._time = time
        self._hand_over = hand_over
        self._socket: socket.socket | None = None
        self._dialling: socket.socket | None = None  # closed: no socket is wanted any more
        self._rest = memoryview(b"")  # of a piece that the socket did not take whole

    def dial(self, dial: Dial) -> None:
        """Open the socket in a thread of its own, because resolving a name blocks. It ends with the line, as far as it can."""
        stop, self._dialling = socket.socketpair()

        def work() -> None:
            line = self._line
            try:
                if line.lookup is not None:
                    line.resolved(str(socket.getaddrinfo(line.lookup, None, type=socket.SOCK_STREAM)[0][4][0]))
                opened = open_socket(line.host, line.port, stop=stop) if dial is open_socket else dial(line.host, line.port)
            except Exception as error:  # OSError as a rule; what a resolver raises ends it as well
                self._hand_over(partial(self._failed, error))
                return
            finally:
                stop.close()
            if not self._hand_over(partial(self._opened, opened)):
                opened.close()  # the conversation is over

        threading.Thread(target=work, name="rtcore dial", daemon=True).start()

    def _failed(self, error: Exception) -> None:
        self._dialled()
        if not self.gone:
            self.gone = True
            self._engine.failed(self._line, error)

    def _opened(self, opened: socket.socket) -> None:
        self._dialled()
        if self.gone:
            opened.close()
            return
        opened.setblocking(False)
        tune(opened)
        self._socket = opened
        self._selector.register(opened, selectors.EVENT_READ, self.ready)
        self.write()

    def _dialled(self) -> None:
        if self._dialling is not None:
            self._dialling.close()

    # -- what the engine asks -------------------------------------------------------------------------------------------------

    def write(self) -> None:
        """Write what the socket takes; when the line is over and all is written, let go of it."""
        opened = self._socket
        if opened is None:
            if self._line.over:
                self.abort()
            return
        try:
            while self._rest or (data := self._line.outgoing()):
                self._rest = self._rest or memoryview(data)
                self._rest = self._rest[opened.send(self._rest) :]
        except (BlockingIOError, InterruptedError):
            self._watch(opened, selectors.EVENT_READ | selectors.EVENT_WRITE)
        except OSError as error:
            self._hand_over(partial(self._lose, error))
            return
        else:
            self._watch(opened, selectors.EVENT_READ)
            if self._line.over:
                self.abort()
        if self._line.over and self.patience is None:
            self.patience = self._time() + self._line.close_s

    def abort(self) -> None:
        """No more waiting: drop the socket."""
        self._hand_over(partial(self._lose, None))

    def _watch(self, opened: socket.socket, events: int) -> None:
        if self._selector.get_key(opened).events != events:
            self._selector.modify(opened, events, self.ready)

    # -- what the socket tells ------------------------------------------------------------------------------------------------

    def ready(self, events: int) -> None:
        """The selector found something to do."""
        if events & selectors.EVENT_WRITE:
            self.write()
        if events & selectors.EVENT_READ and self._socket is not None:
            try:
                data = self._socket.recv(_READ)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._lose(error)
                return
            self._engine.received(self._line, data)

    def _lose(self, error: OSError | None) -> None:
        if self.gone:
            return
        self.gone = True
        self._dialled()
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None
        self._engine.lost(self._line, error)
