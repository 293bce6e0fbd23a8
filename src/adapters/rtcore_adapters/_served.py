"""The server's end of a client's websocket, without a socket: what ``serve``, ``audit`` and the test bench have in common.

Fragments are joined and pings answered here. What a client sends is never logged, because headers and queries hold keys.
"""

import logging
from collections.abc import Sequence
from http import HTTPStatus

import msgspec
from websockets.frames import Opcode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import BytesLike, Subprotocol

MAX_MESSAGE = 32 * 1024 * 1024
"""An append holds at most 15 MiB (protocol facts, 1.9); what is larger than this is refused by name."""

# Headers carry keys: the library's log lines go nowhere.
_MUTE = logging.Logger("rtcore.served", level=logging.CRITICAL + 1)


class ServerEnd(ServerProtocol):
    """Websockets' protocol, with whole messages, and with refusals as this protocol's servers write them."""

    def __init__(self) -> None:
        super().__init__(max_size=MAX_MESSAGE, logger=_MUTE)
        self.request: Request | None = None
        """The handshake's request, once ``messages`` has come upon it."""
        self.chosen: str | None = "realtime"
        """The subprotocol that is taken where it is offered."""
        self._parts: list[BytesLike] = []

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        """For ``accept``."""
        return next((name for name in subprotocols if name == self.chosen), None)

    def refuse(self, status: int, code: str, message: str) -> None:
        """Answer the handshake with an HTTP status instead."""
        body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
        response = self.reject(HTTPStatus(status), msgspec.json.encode(body).decode())
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        self.send_response(response)

    def messages(self) -> list[bytes]:
        """What of the received bytes is whole."""
        whole: list[bytes] = []
        for event in self.events_received():
            if isinstance(event, Request):
                self.request = event
            elif isinstance(event, Response) or event.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                continue
            else:
                self._parts.append(event.data)
                if event.fin:
                    whole.append(b"".join(self._parts))
                    self._parts = []
        return whole
